package identity_test

import (
	"errors"
	"testing"
	"time"

	"github.com/sallyport-gateway/sallyport/internal/gate"
	"github.com/sallyport-gateway/sallyport/internal/identity"
	"github.com/sallyport-gateway/sallyport/test/oidc"
)

// trust makes the world trust a real provider instead of its own issuer.
func (w *world) trust(p *oidc.Provider) identity.Issuer {
	w.t.Helper()
	doc := w.document()
	doc.URL = p.URL
	doc.Claims = identity.Claims{Agent: "client_id", Groups: "groups", Attributes: map[string]identity.AttributeClaim{
		"purpose": {Claim: "purpose"}, "risk_tier": {Claim: "risk_tier"}}}
	w.set(doc)
	return doc
}

func TestTokensOfARealProviderNameTheirAgents(t *testing.T) {
	p := oidc.Start(t, oidc.Options{})
	w := newWorld(t, "")
	w.clock.now = time.Now()
	w.trust(p)
	got := w.accepts(p.Token("support-agent"))
	if got.Agent != "support-agent" || got.Issuer != p.URL || got.Subject != "support-agent" || got.TokenID == "" {
		t.Errorf("principal %+v", got)
	}
	if a := got.Attributes["risk_tier"]; a != (gate.Attribute{Value: "high", Trust: gate.TrustProvider}) {
		t.Errorf("risk_tier %+v", a)
	}
	w.refuses(p.TokenFor("support-agent", "another-service"), identity.RuleAudience)
	w.refuses(p.Token("alice"), identity.RuleBound)

	people := identity.Issuer{Name: "people", URL: p.URL, Audience: "sallyport-console", Tokens: identity.TokensAccess,
		Identifies: identity.IdentifiesPeople, Bound: map[string]identity.OneOrMore{"groups": {"dba"}},
		Claims: identity.Claims{Groups: "groups"}}
	agents := w.document()
	agents.URL = p.URL
	w.set(agents, people)
	alice := w.accepts(p.TokenFor("alice", "sallyport-console"))
	if alice.Kind != gate.KindPerson || len(alice.Groups) != 1 || alice.Groups[0] != "dba" {
		t.Errorf("principal %+v", alice)
	}
	w.refuses(p.TokenFor("support-agent", "sallyport-console"), identity.RuleBound)
}

func TestARealProviderRotatesItsKeys(t *testing.T) {
	p := oidc.Start(t, oidc.Options{Algorithm: "ES256", TTL: 10 * time.Minute})
	w := newWorld(t, "")
	w.clock.now = time.Now()
	w.trust(p)
	old := p.Token("reporting-agent")
	w.accepts(old)

	p.Rotate()
	fresh := p.Token("reporting-agent")
	w.add(11 * time.Second) // one fetch in ten seconds
	w.accepts(fresh)
	w.accepts(old) // its key is still published

	p.Retire()
	w.add(11 * time.Second)
	p.Rotate()
	w.accepts(p.Token("reporting-agent")) // an unknown key id, which brings the new set
	w.refuses(old, identity.RuleKey)
	w.accepts(fresh)
	w.add(11 * time.Minute)
	w.refuses(fresh, identity.RuleExpired)
}

// TestAChangedDocumentJudgesAgain: a session goes on only under the document that its token
// was verified under; what another one makes of the token is seen when it is shown again.
func TestAChangedDocumentJudgesAgain(t *testing.T) {
	p := oidc.Start(t, oidc.Options{})
	w := newWorld(t, "")
	w.clock.now = time.Now()
	five := identity.Duration(5 * time.Second)
	for name, change := range map[string]func(*identity.Issuer){
		"fewer agents":       func(i *identity.Issuer) { i.Bound = map[string]identity.OneOrMore{"client_id": {"reporting-agent"}} },
		"one more condition": func(i *identity.Issuer) { i.Bound["risk_tier"] = identity.OneOrMore{"low"} },
		"another audience":   func(i *identity.Issuer) { i.Audience = "another" },
		"other tokens":       func(i *identity.Issuer) { i.Tokens = identity.TokensJWT },
		"other callers":      func(i *identity.Issuer) { i.Identifies = identity.IdentifiesPeople },
		"other algorithms":   func(i *identity.Issuer) { i.Algorithms = []string{"ES384"} },
		"shorter lives":      func(i *identity.Issuer) { i.MaxLifetime = identity.Duration(time.Minute) },
		"closer clocks":      func(i *identity.Issuer) { i.Leeway = &five },
		"one audience":       func(i *identity.Issuer) { i.MaxAudiences = 1 },
		"another name":       func(i *identity.Issuer) { i.Claims.Agent = "sub" },
		"an actor":           func(i *identity.Issuer) { i.Claims.Actor = "client_id" },
		"other groups":       func(i *identity.Issuer) { i.Claims.Groups = "" },
		"an attribute less":  func(i *identity.Issuer) { delete(i.Claims.Attributes, "purpose") },
		"an attribute elsewhere": func(i *identity.Issuer) {
			i.Claims.Attributes["risk_tier"] = identity.AttributeClaim{Claim: "purpose"}
		},
		"an attribute trusted less": func(i *identity.Issuer) {
			i.Claims.Attributes["risk_tier"] = identity.AttributeClaim{Claim: "risk_tier", Trust: "caller"}
		},
		"keys elsewhere":    func(i *identity.Issuer) { i.JWKSURL = p.URL + "/other" },
		"unproven bindings": func(i *identity.Issuer) { i.AllowUnprovenCnf = true },
	} {
		t.Run(name, func(t *testing.T) {
			doc := w.trust(p)
			who := w.accepts(p.Token("support-agent"))
			if err := w.verifier.Recheck(who); err != nil {
				t.Fatal(err)
			}
			change(&doc)
			w.set(doc)
			var r *identity.Rejection
			if err := w.verifier.Recheck(who); !errors.As(err, &r) || r.Rule != identity.RuleChanged {
				t.Errorf("error %v", err)
			}
			if _, ended := w.verifier.Revoked(who); !ended {
				t.Error("whoever asks for revocations alone goes on")
			}
			w.trust(p)
			if err := w.verifier.Recheck(who); err != nil {
				t.Errorf("under the document as it was: %v", err)
			}
		})
	}
	who := w.accepts(p.Token("support-agent"))
	same := w.trust(p)
	same.Name, same.Identifies, same.Algorithms = "renamed", identity.IdentifiesAgents, []string{"EdDSA", "RS256", "ES256"}
	same.Bound["client_id"] = identity.OneOrMore{"support-agent", "reporting-agent"}
	same.MaxLifetime, same.Claims.Attributes["purpose"] = identity.Duration(identity.DefaultMaxLifetime), identity.AttributeClaim{Claim: "purpose", Trust: "provider"}
	other := same
	other.Name, other.Audience = "other", "other"
	w.set(other, same)
	if err := w.verifier.Recheck(who); err != nil {
		t.Errorf("the same in other words: %v", err)
	}
}
