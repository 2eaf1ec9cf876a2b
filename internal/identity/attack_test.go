package identity_test

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-gateway/sallyport/internal/identity"
)

type attack struct {
	name string
	rule identity.Rule
	make func(f *forger) string
}

type claims = map[string]any

// hmacToken signs with the public key as the secret of an HMAC.
func hmacToken(f *forger, alg string) string {
	signed := b64([]byte(`{"alg":"`+alg+`","typ":"at+jwt","kid":"k1"}`)) + "." + b64([]byte(f.payload(nil)))
	mac := hmac.New(sha256.New, f.private.Public().(ed25519.PublicKey))
	mac.Write([]byte(signed))
	return signed + "." + b64(mac.Sum(nil))
}

func unsigned(f *forger, alg, sig string) string {
	return b64([]byte(`{"alg":"`+alg+`","typ":"at+jwt","kid":"k1"}`)) + "." + b64([]byte(f.payload(nil))) + "." + sig
}

func formAttacks() []attack {
	return []attack{
		{"an empty token", identity.RuleSize, func(*forger) string { return "" }},
		{"a token over 16 KiB", identity.RuleSize, func(f *forger) string { return f.with(claims{"pad": strings.Repeat("x", 16<<10)}) }},
		{"an encrypted token", identity.RuleForm, func(*forger) string { return "eyJhbGciOiJkaXIifQ..aaaa.bbbb.cccc" }},
		{"JSON serialisation with two signatures", identity.RuleForm, func(f *forger) string {
			p := strings.Split(f.with(nil), ".")
			return fmt.Sprintf(`{"payload":%q,"signatures":[{"protected":%q,"signature":%q},{"protected":%q,"signature":"AA"}]}`, p[1], p[0], p[2], p[0])
		}},
		{"two parts", identity.RuleForm, func(f *forger) string { s := f.with(nil); return s[:strings.LastIndex(s, ".")] }},
		{"four parts", identity.RuleForm, func(f *forger) string { return f.with(nil) + ".AA" }},
		{"an empty signature", identity.RuleForm, func(f *forger) string { return unsigned(f, "EdDSA", "") }},
		{"base64url with padding", identity.RuleEncoding, func(f *forger) string { return f.with(nil) + "==" }},
		{"base64url with a line end inside", identity.RuleEncoding, func(f *forger) string {
			s := f.with(nil)
			return s[:len(s)-4] + "\r\n" + s[len(s)-4:]
		}},
		{"a line end after the token", identity.RuleEncoding, func(f *forger) string { return f.with(nil) + "\n" }},
		{"a blank before the token", identity.RuleEncoding, func(f *forger) string { return " " + f.with(nil) }},
		{"base64url with bits that do not count", identity.RuleEncoding, func(f *forger) string {
			// An Ed25519 signature is 64 bytes: 86 characters, the last with 4 spare bits.
			s := f.with(nil)
			const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
			last := strings.IndexByte(alphabet, s[len(s)-1])
			return s[:len(s)-1] + string(alphabet[last|1])
		}},
		{"base64 with + and /", identity.RuleEncoding, func(f *forger) string { return "+/" + f.with(nil) }},
		{"a header that is no object", identity.RuleJSON, func(f *forger) string { return f.raw(`["EdDSA"]`, f.payload(nil)) }},
		{"a payload that is no object", identity.RuleJSON, func(f *forger) string { return f.raw(goodHeader, `"sub"`) }},
		{"a payload with something behind it", identity.RuleJSON, func(f *forger) string { return f.raw(goodHeader, f.payload(nil)+`{}`) }},
		{"a payload nested 10,000 levels deep", identity.RuleJSON, func(f *forger) string {
			return f.insert(`"x":` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000))
		}},
		{"invalid UTF-8", identity.RuleJSON, func(f *forger) string { return f.replace(`"sub":"reporting-agent"`, "\"sub\":\"reporting-agent\xff\"") }},
		{"an unpaired surrogate", identity.RuleJSON, func(f *forger) string { return f.replace(`"sub":"reporting-agent"`, `"sub":"\ud800"`) }},
		{"a duplicate claim", identity.RuleJSON, func(f *forger) string { return f.insert(`"aud":"sallyport"`) }},
		{"a duplicate claim, spelled with an escape", identity.RuleJSON, func(f *forger) string { return f.insert(`"a\u0075d":"other"`) }},
		{"a duplicate header member", identity.RuleJSON, func(f *forger) string { return f.head(`"alg":"none"`) }},
		{"AUD beside aud", identity.RuleJSON, func(f *forger) string { return f.insert(`"AUD":"sallyport"`) }},
		{"AUD in place of aud", identity.RuleJSON, func(f *forger) string { return f.replace(`"aud"`, `"AUD"`) }},
		{"sub with a long s", identity.RuleJSON, func(f *forger) string { return f.replace(`"sub"`, `"ſub"`) }},
		{"Exp in place of exp", identity.RuleJSON, func(f *forger) string { return f.replace(`"exp"`, `"Exp"`) }},
		{"a mapped claim in other case", identity.RuleJSON, func(f *forger) string { return f.replace(`"purpose"`, `"Purpose"`) }},
		{"Kid with a Kelvin sign", identity.RuleJSON, func(f *forger) string {
			return f.raw(`{"alg":"EdDSA","typ":"at+jwt","`+"\u212a"+`id":"k1"}`, f.payload(nil))
		}},
		{"ALG beside alg", identity.RuleJSON, func(f *forger) string { return f.head(`"ALG":"none"`) }},
	}
}

func headerAttacks() []attack {
	list := []attack{
		{"alg none", identity.RuleAlgorithm, func(f *forger) string { return unsigned(f, "none", "AA") }},
		{"alg None", identity.RuleAlgorithm, func(f *forger) string { return unsigned(f, "None", "AA") }},
		{"alg none without a signature", identity.RuleForm, func(f *forger) string { return unsigned(f, "none", "") }},
		{"no alg", identity.RuleAlgorithm, func(f *forger) string { return f.raw(`{"typ":"at+jwt","kid":"k1"}`, f.payload(nil)) }},
		{"alg that is a list", identity.RuleHeader, func(f *forger) string { return f.raw(`{"alg":["EdDSA"],"typ":"at+jwt"}`, f.payload(nil)) }},
		{"HS256 with the public key as secret", identity.RuleAlgorithm, func(f *forger) string { return hmacToken(f, "HS256") }},
		{"PS256, which was not asked for", identity.RuleAlgorithm, func(f *forger) string { return unsigned(f, "PS256", "AA") }},
		{"another algorithm than the key's", identity.RuleKey, func(f *forger) string { return unsigned(f, "ES256", b64(make([]byte, 64))) }},
		{"an all-zero signature", identity.RuleSignature, func(f *forger) string { return unsigned(f, "EdDSA", b64(make([]byte, 64))) }},
		{"a signature by another key", identity.RuleSignature, func(f *forger) string {
			_, f.private, _ = ed25519.GenerateKey(rand.Reader)
			return f.with(nil)
		}},
		{"a payload that was changed", identity.RuleSignature, func(f *forger) string {
			good, other := strings.Split(f.with(nil), "."), strings.Split(f.with(claims{"purpose": "other"}), ".")
			return good[0] + "." + other[1] + "." + good[2]
		}},
		{"a kid that is a path", identity.RuleKey, func(f *forger) string {
			return f.raw(`{"alg":"EdDSA","typ":"at+jwt","kid":"../../../../dev/null"}`, f.payload(nil))
		}},
		{"a kid that is SQL", identity.RuleKey, func(f *forger) string {
			return f.raw(`{"alg":"EdDSA","typ":"at+jwt","kid":"' UNION SELECT 'k1"}`, f.payload(nil))
		}},
		{"a kid that is a number", identity.RuleHeader, func(f *forger) string { return f.raw(`{"alg":"EdDSA","typ":"at+jwt","kid":1}`, f.payload(nil)) }},
		{"a kid of 10 KB", identity.RuleHeader, func(f *forger) string {
			return f.raw(`{"alg":"EdDSA","typ":"at+jwt","kid":"`+strings.Repeat("k", 10000)+`"}`, f.payload(nil))
		}},
		{"no typ", identity.RuleType, func(f *forger) string { return f.raw(`{"alg":"EdDSA","kid":"k1"}`, f.payload(nil)) }},
	}
	for _, member := range []string{
		`"jku":"http://127.0.0.1:1/keys"`, `"x5u":"http://127.0.0.1:1/cert"`, `"jwk":{"kty":"OKP","crv":"Ed25519","x":"AA"}`, `"x5c":["AA"]`,
		`"crit":["exp"]`, `"crit":[]`, `"b64":false`, `"zip":"DEF"`, `"cty":"JWT"`, `"enc":"A256GCM"`,
	} {
		list = append(list, attack{"the header member " + member, identity.RuleHeader, func(f *forger) string { return f.head(member) }})
	}
	for _, typ := range []string{"JWT", "dpop+jwt", "oauth-id-jag+jwt", "logout+jwt", "secevent+jwt", "wit+jwt", "txntoken+jwt", "application/jwt", "at+jwt ", ""} {
		list = append(list, attack{"typ " + typ, identity.RuleType, func(f *forger) string {
			return f.raw(`{"alg":"EdDSA","typ":"`+typ+`","kid":"k1"}`, f.payload(nil))
		}})
	}
	return list
}

func claimAttacks() []attack {
	list := []attack{
		{"an unknown issuer", identity.RuleIssuer, func(f *forger) string { return f.with(claims{"iss": "https://evil.example"}) }},
		{"the issuer with a trailing slash", identity.RuleIssuer, func(f *forger) string { return f.with(claims{"iss": f.issuer.URL() + "/"}) }},
		{"the issuer in capitals", identity.RuleIssuer, func(f *forger) string { return f.with(claims{"iss": strings.ToUpper(f.issuer.URL())}) }},
		{"the issuer in a list", identity.RuleIssuer, func(f *forger) string { return f.with(claims{"iss": []string{f.issuer.URL()}}) }},
		{"no issuer", identity.RuleIssuer, func(f *forger) string { return f.with(claims{"iss": nil}) }},
		{"another audience", identity.RuleAudience, func(f *forger) string { return f.with(claims{"aud": "other"}) }},
		{"an audience that begins with ours", identity.RuleAudience, func(f *forger) string { return f.with(claims{"aud": "sallyport.evil"}) }},
		{"an audience that ours begins with", identity.RuleAudience, func(f *forger) string { return f.with(claims{"aud": "sally"}) }},
		{"an audience list without ours", identity.RuleAudience, func(f *forger) string { return f.with(claims{"aud": []string{"a", "b"}}) }},
		{"an audience list with a number", identity.RuleAudience, func(f *forger) string { return f.with(claims{"aud": []any{"sallyport", 1}}) }},
		{"an audience object", identity.RuleAudience, func(f *forger) string { return f.with(claims{"aud": claims{"sallyport": true}}) }},
		{"no audience", identity.RuleAudience, func(f *forger) string { return f.with(claims{"aud": nil}) }},
		{"no exp", identity.RuleClaims, func(f *forger) string { return f.with(claims{"exp": nil}) }},
		{"no iat", identity.RuleClaims, func(f *forger) string { return f.with(claims{"iat": nil}) }},
		{"an expired token", identity.RuleExpired, func(f *forger) string {
			return f.with(claims{"iat": f.Now().Add(-time.Hour).Unix(), "exp": f.Now().Add(-time.Minute).Unix()})
		}},
		{"nbf in the future", identity.RuleNotYetValid, func(f *forger) string { return f.with(claims{"nbf": f.Now().Add(2 * time.Minute).Unix()}) }},
		{"iat in the future", identity.RuleNotYetValid, func(f *forger) string { return f.with(claims{"iat": f.Now().Add(2 * time.Minute).Unix()}) }},
		{"exp before iat", identity.RuleLifetime, func(f *forger) string {
			return f.with(claims{"iat": f.Now().Unix(), "exp": f.Now().Add(-time.Second).Unix()})
		}},
		{"a life of a day", identity.RuleLifetime, func(f *forger) string { return f.with(claims{"exp": f.Now().Add(24 * time.Hour).Unix()}) }},
		{"exp in the year 9999", identity.RuleLifetime, func(f *forger) string { return f.with(claims{"exp": 253402300799}) }},
		{"no sub", identity.RuleClaims, func(f *forger) string { return f.with(claims{"sub": nil}) }},
		{"an empty sub", identity.RuleClaims, func(f *forger) string { return f.with(claims{"sub": ""}) }},
		{"a sub that is a number", identity.RuleClaims, func(f *forger) string { return f.with(claims{"sub": 7}) }},
		{"a sub with a control character", identity.RuleClaims, func(f *forger) string { return f.with(claims{"sub": "a\x1b[2Jb"}) }},
		{"no client_id", identity.RuleClaims, func(f *forger) string { return f.with(claims{"client_id": nil}) }},
		{"client_id and azp that disagree", identity.RuleClaims, func(f *forger) string { return f.with(claims{"azp": "another"}) }},
		{"no jti", identity.RuleClaims, func(f *forger) string { return f.with(claims{"jti": nil}) }},
		{"an empty jti", identity.RuleClaims, func(f *forger) string { return f.with(claims{"jti": ""}) }},
		{"a jti that is a list", identity.RuleClaims, func(f *forger) string { return f.with(claims{"jti": []string{"a"}}) }},
		{"an ID token's nonce", identity.RuleTokenKind, func(f *forger) string { return f.with(claims{"nonce": "n"}) }},
		{"an ID token's at_hash", identity.RuleTokenKind, func(f *forger) string { return f.with(claims{"at_hash": "h"}) }},
		{"a logout token's events", identity.RuleTokenKind, func(f *forger) string { return f.with(claims{"events": claims{}}) }},
		{"a Keycloak refresh token", identity.RuleTokenKind, func(f *forger) string { return f.with(claims{"typ": "Refresh"}) }},
		{"a Keycloak ID token", identity.RuleTokenKind, func(f *forger) string { return f.with(claims{"typ": "ID"}) }},
		{"a DPoP-bound token", identity.RuleConfirmation, func(f *forger) string { return f.with(claims{"cnf": claims{"jkt": "x"}}) }},
		{"a certificate-bound token", identity.RuleConfirmation, func(f *forger) string { return f.with(claims{"cnf": claims{"x5t#S256": "x"}}) }},
		{"a confirmation that is null", identity.RuleConfirmation, func(f *forger) string { return f.insert(`"cnf":null`) }},
		{"another agent of the issuer", identity.RuleBound, func(f *forger) string { return f.with(claims{"client_id": "intruder"}) }},
		{"an agent whose name ends in ours", identity.RuleBound, func(f *forger) string { return f.with(claims{"client_id": "evil-reporting-agent"}) }},
		{"an agent whose name begins with ours", identity.RuleBound, func(f *forger) string { return f.with(claims{"client_id": "reporting-agent[bot]"}) }},
		{"an attribute that is an object", identity.RuleMapping, func(f *forger) string { return f.with(claims{"tags": claims{"risk_tier": claims{"a": 1}}}) }},
		{"an attribute that is a list", identity.RuleMapping, func(f *forger) string { return f.with(claims{"purpose": []string{"a", "b"}}) }},
		{"an attribute that is a fraction", identity.RuleMapping, func(f *forger) string { return f.with(claims{"purpose": 1.5}) }},
		{"groups that are numbers", identity.RuleMapping, func(f *forger) string { return f.with(claims{"groups": []int{1}}) }},
		{"groups that did not fit", identity.RuleMapping, func(f *forger) string { return f.with(claims{"_claim_names": claims{"groups": "src1"}}) }},
		{"groups that did not fit, implicit flow", identity.RuleMapping, func(f *forger) string { return f.with(claims{"hasgroups": true}) }},
	}
	for _, bad := range []string{`"%s"`, `%s.0`, `1e10`, `1e99`, `-1`, `0`, `null`, `true`, `253402300800`, `99999999999999999999`, `[%s]`} {
		list = append(list, attack{"exp as " + bad, identity.RuleClaims, func(f *forger) string {
			return f.replace(`"exp":`+f.unix(5*time.Minute), `"exp":`+strings.ReplaceAll(bad, "%s", f.unix(5*time.Minute)))
		}})
	}
	for _, claim := range []string{"nbf", "iat"} {
		list = append(list, attack{claim + " as a string", identity.RuleClaims, func(f *forger) string { return f.with(claims{claim: f.unix(0)}) }})
		list = append(list, attack{claim + " as a fraction", identity.RuleClaims, func(f *forger) string { return f.with(claims{claim: 1.5}) }})
	}
	return list
}

func delegationAttacks() []attack {
	chain := func(n int) any {
		var act any
		for i := range n {
			link := claims{"sub": fmt.Sprintf("agent-%d", i)}
			if act != nil {
				link["act"] = act
			}
			act = link
		}
		return act
	}
	act := func(name string, rule identity.Rule, v any) attack {
		return attack{name, rule, func(f *forger) string { return f.with(claims{"act": v}) }}
	}
	return []attack{
		act("act without sub", identity.RuleDelegation, claims{"iss": "https://a.example"}),
		act("act with an empty sub", identity.RuleDelegation, claims{"sub": ""}),
		act("act as a string", identity.RuleDelegation, "agent"),
		act("act as a list", identity.RuleDelegation, []any{claims{"sub": "agent"}}),
		{"act as null", identity.RuleDelegation, func(f *forger) string { return f.insert(`"act":null`) }},
		act("a nested act as null", identity.RuleDelegation, claims{"sub": "a", "act": nil}),
		act("a nested act without sub", identity.RuleDelegation, claims{"sub": "a", "act": claims{}}),
		act("six actors", identity.RuleDelegation, chain(6)),
		act("an actor that is the subject", identity.RuleDelegation, claims{"sub": "reporting-agent"}),
		act("a cycle", identity.RuleDelegation, claims{"sub": "a", "act": claims{"sub": "b", "act": claims{"sub": "a"}}}),
		act("act with a malformed iss", identity.RuleDelegation, claims{"sub": "a", "iss": 1}),
		act("act with Sub", identity.RuleJSON, claims{"Sub": "a"}),
		act("act with sub and SUB", identity.RuleJSON, claims{"sub": "a", "SUB": "b"}),
	}
}

func TestEveryBadTokenIsRefusedByItsRule(t *testing.T) {
	for _, list := range [][]attack{formAttacks(), headerAttacks(), claimAttacks(), delegationAttacks()} {
		for _, a := range list {
			t.Run(a.name, func(t *testing.T) {
				f := newForger(t)
				r := f.refuses(a.make(f), a.rule)
				for _, said := range []string{r.Error(), r.Public(), r.LogValue().String(), fmt.Sprintf("%+v", r.Err)} {
					if strings.Contains(strings.ReplaceAll(said, "token="+marker, ""), marker) {
						t.Errorf("the token's content is in %q", said)
					}
				}
			})
		}
	}
}
