package identity

import (
	"crypto/sha256"
	"encoding/base64"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	// maxTokenBytes bounds a token. The largest that providers send, with group
	// lists, stay under 8 KiB; MySQL's client refuses over 10,000 bytes.
	maxTokenBytes = 16 << 10
	// maxNameBytes bounds every text taken from a token: OpenID Connect Core,
	// section 2, allows 255 characters for sub; SPIFFE ids may have 2,048 bytes.
	maxNameBytes = 2048
	// maxTokenIDBytes bounds jti and kid, which are kept in memory.
	maxTokenIDBytes = 256
)

// token is a decoded token. Nothing in it may be believed before the signature
// is verified.
type token struct {
	raw     string
	hash    [sha256.Size]byte
	signed  string // header and payload as they were signed
	header  header
	body    []byte
	payload object
}

type header struct {
	alg, kid, typ string
	hasTyp        bool
}

// decodeToken applies the rules that need no issuer: size, form, encoding,
// strict JSON, header members.
func decodeToken(raw string) (*token, *Rejection) {
	t := &token{raw: raw, hash: sha256.Sum256([]byte(raw))}
	if r := t.decode(); r != nil {
		return nil, r.about("", t.hash)
	}
	return t, nil
}

func (t *token) decode() *Rejection {
	if t.raw == "" || len(t.raw) > maxTokenBytes {
		return reject(RuleSize, "%d bytes", len(t.raw))
	}
	head, rest, _ := strings.Cut(t.raw, ".")
	body, sig, ok := strings.Cut(rest, ".")
	switch parts := strings.Count(t.raw, ".") + 1; {
	case parts == 5:
		return reject(RuleForm, "an encrypted token (JWE)")
	case !ok || parts != 3 || head == "" || body == "" || sig == "":
		return reject(RuleForm, "%d parts", parts)
	}
	t.signed = t.raw[:len(head)+1+len(body)]
	rawHeader, ok := decodeSegment(head)
	if !ok {
		return reject(RuleEncoding, "header")
	}
	if t.body, ok = decodeSegment(body); !ok {
		return reject(RuleEncoding, "payload")
	}
	if _, ok = decodeSegment(sig); !ok {
		return reject(RuleEncoding, "signature")
	}
	h, err := parseObject(rawHeader, maxJSONDepth)
	if err != nil {
		return reject(RuleJSON, "header: %w", err)
	}
	if t.payload, err = parseObject(t.body, maxJSONDepth); err != nil {
		return reject(RuleJSON, "payload: %w", err)
	}
	if r := t.header.set(h); r != nil {
		return r
	}
	for name := range t.payload {
		if known, ok := registeredClaim(foldName(name)); ok && known != name {
			return reject(RuleJSON, "payload: a name that differs from %s only in case", known)
		}
	}
	return nil
}

// decodeSegment decodes base64url in its one canonical spelling: no padding, no
// white space (encoding/base64 skips line ends), no bits that do not count.
// Otherwise one token would have many spellings, and many hashes.
func decodeSegment(s string) ([]byte, bool) {
	if strings.ContainsAny(s, "\r\n") {
		return nil, false
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	return b, err == nil
}

// set reads the header's members (RFC 7515, section 4.1). Members that carry or
// point to keys, change how the token is read, or must be understood, refuse it.
func (h *header) set(o object) *Rejection {
	for name, v := range o {
		known, ok := registeredHeader(foldName(name))
		if ok && known != name {
			return reject(RuleJSON, "header: a name that differs from %s only in case", known)
		}
		switch name {
		case "alg", "kid", "typ":
			s, isText := v.(string)
			if !isText || len(s) > maxTokenIDBytes {
				return reject(RuleHeader, "%s is no short string", name)
			}
			switch name {
			case "alg":
				h.alg = s
			case "kid":
				h.kid = s
			case "typ":
				h.typ, h.hasTyp = s, true
			}
		case "crit", "jku", "jwk", "x5u", "x5c", "zip", "b64", "cty", "enc", "epk", "apu", "apv", "p2s", "p2c", "iv", "tag":
			return reject(RuleHeader, "the member %s is not accepted", name)
		}
	}
	if h.alg == "" {
		return reject(RuleAlgorithm, "no alg")
	}
	return nil
}

// registeredHeader returns the exact spelling of a header member that has a
// meaning somewhere (IANA registry of JOSE header parameters).
func registeredHeader(folded string) (string, bool) {
	switch folded {
	case "alg", "kid", "typ", "crit", "jku", "jwk", "x5u", "x5c", "x5t", "zip", "b64", "cty", "enc", "epk", "apu", "apv",
		"p2s", "p2c", "iv", "tag":
		return folded, true
	case "x5t#s256":
		return "x5t#S256", true
	}
	return "", false
}

// registeredClaim returns the exact spelling of a claim that this package reads.
func registeredClaim(folded string) (string, bool) {
	switch folded {
	case "iss", "sub", "aud", "exp", "nbf", "iat", "jti", "uti", "act", "cnf", "azp", "client_id", "appid", "cid", "typ",
		"nonce", "at_hash", "c_hash", "events", "email", "email_verified", "hasgroups", "_claim_names":
		return folded, true
	}
	return "", false
}

// id returns what revocation names the token by: jti, Entra's uti, or the
// SHA-256 of the signed part. The signature is left out, because an ECDSA
// signature has a second valid form.
func (t *token) id() (string, *Rejection) {
	for _, name := range []string{"jti", "uti"} {
		v, ok := t.payload[name]
		if !ok {
			continue
		}
		s, isText := v.(string)
		if !isText || s == "" || len(s) > maxTokenIDBytes || !printable(s) {
			return "", reject(RuleClaims, "%s is no short string", name)
		}
		return s, nil
	}
	sum := sha256.Sum256([]byte(t.signed))
	return base64.RawURLEncoding.EncodeToString(sum[:]), nil
}

// maxTime is the last second of the year 9999, the last that RFC 3339 can write.
const maxTime = 253402300799

// time returns a NumericDate claim, which must be a positive integer: RFC 7519
// allows fractions, but readers disagree on them, and no provider sends them.
func (o object) time(name string) (t time.Time, present bool, r *Rejection) {
	v, ok := o[name]
	if !ok {
		return time.Time{}, false, nil
	}
	n, ok := v.(number)
	if !ok || len(n) > 12 {
		return time.Time{}, true, reject(RuleClaims, "%s is no integer in range", name)
	}
	var sec int64
	for _, c := range n {
		if c < '0' || c > '9' {
			return time.Time{}, true, reject(RuleClaims, "%s is no positive integer", name)
		}
		sec = sec*10 + int64(c-'0')
	}
	if sec == 0 || sec > maxTime {
		return time.Time{}, true, reject(RuleClaims, "%s is out of range", name)
	}
	return time.Unix(sec, 0), true, nil
}

// name returns a claim that names somebody; empty if the claim is absent.
func (o object) name(claim string) (string, *Rejection) {
	v, ok := o[claim]
	if !ok {
		return "", nil
	}
	s, isText := v.(string)
	if !isText || !isName(s) {
		return "", reject(RuleClaims, "%s is no name", claim)
	}
	return s, nil
}

// isName reports whether s can name somebody: not empty, bounded, printable.
func isName(s string) bool { return s != "" && len(s) <= maxNameBytes && printable(s) }

// printable refuses control characters, which a reader of a log or a screen
// would not see.
func printable(s string) bool {
	for _, r := range s {
		if r < 0x20 || r == 0x7f || r >= 0x80 && r < 0xa0 || r == utf8.RuneError {
			return false
		}
	}
	return true
}
