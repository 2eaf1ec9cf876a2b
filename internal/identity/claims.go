package identity

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-gateway/sallyport/internal/gate"
)

// issuer is a document made ready for use.
type issuer struct {
	Issuer
	kind       gate.Kind
	maxLife    time.Duration
	leeway     time.Duration
	bound      []boundClaim
	agent      path // nil: the acting party's subject
	actor      path // nil: none
	groups     path // nil: none
	attributes []attribute
	known      map[string]string // folded names of the top-level claims that are read, exactly spelled
	keys       *keySource
	digest     string // of everything that the document says, see fingerprint
}

type boundClaim struct {
	claim  string // as the document writes it
	path   path
	values []string
}

type attribute struct {
	name  string
	path  path
	trust gate.Trust
}

// times are the claims that a verified token must go on satisfying.
type times struct{ issued, notBefore, expiry time.Time }

// compile applies the defaults. The document has been validated.
func compile(doc Issuer) (*issuer, error) {
	i := &issuer{Issuer: doc, maxLife: doc.MaxLifetime.or(DefaultMaxLifetime), leeway: DefaultLeeway,
		kind: gate.KindAgent, known: map[string]string{}}
	if doc.Leeway != nil {
		i.leeway = time.Duration(*doc.Leeway)
	}
	if doc.Identifies == IdentifiesPeople {
		i.kind = gate.KindPerson
	}
	if len(i.Algorithms) == 0 {
		i.Algorithms = defaultAlgorithms()
	}
	var errs []error
	read := func(s string) path {
		if s == "" {
			return nil
		}
		p, err := parsePath(s)
		if err != nil {
			errs = append(errs, err)
			return nil
		}
		i.known[foldName(p[0])] = p[0]
		return p
	}
	for _, claim := range sortedKeys(doc.Bound) {
		i.bound = append(i.bound, boundClaim{claim, read(claim), doc.Bound[claim]})
	}
	i.agent, i.actor, i.groups = read(doc.Claims.Agent), read(doc.Claims.Actor), read(doc.Claims.Groups)
	for _, name := range sortedKeys(doc.Claims.Attributes) {
		from := doc.Claims.Attributes[name]
		a := attribute{name, read(from.Claim), gate.TrustProvider}
		if from.Trust == "caller" {
			a.trust = gate.TrustCaller
		}
		i.attributes = append(i.attributes, a)
	}
	return i, errors.Join(errs...)
}

// fingerprint returns the digest of what the document and the CA say. Its name, the order
// of lists, and defaults that are written out make no difference.
func (i *issuer) fingerprint(ca []byte) (string, error) {
	doc := i.Issuer
	doc.Name, doc.CA = "", string(ca)
	doc.Identifies = cmp.Or(doc.Identifies, IdentifiesAgents)
	doc.Algorithms = slices.Sorted(slices.Values(doc.Algorithms))
	leeway := Duration(i.leeway)
	doc.MaxLifetime, doc.Leeway = Duration(i.maxLife), &leeway
	doc.Bound = map[string]OneOrMore{}
	for claim, values := range i.Bound {
		doc.Bound[claim] = slices.Sorted(slices.Values(values))
	}
	doc.Claims.Attributes = map[string]AttributeClaim{}
	for name, a := range i.Claims.Attributes {
		doc.Claims.Attributes[name] = AttributeClaim{a.Claim, cmp.Or(a.Trust, "provider")}
	}
	raw, err := json.Marshal(doc)
	if err != nil {
		return "", fmt.Errorf("issuer %q: %w", i.Name, err)
	}
	sum := sha256.Sum256(raw)
	return base64.RawURLEncoding.EncodeToString(sum[:]), nil
}

// authenticate applies algorithm, typ, key and signature.
func (i *issuer) authenticate(ctx context.Context, t *token) (version uint64, r *Rejection) {
	if !slices.Contains(i.Algorithms, t.header.alg) || !supported(t.header.alg) {
		return 0, reject(RuleAlgorithm, "accepted are %s", strings.Join(i.Algorithms, ", "))
	}
	if !i.acceptsType(&t.header) {
		return 0, reject(RuleType, "the issuer sends %s", i.Tokens)
	}
	k, version, err := i.keys.lookup(ctx, t.header.kid, t.header.alg)
	switch {
	case errors.Is(err, errUnknownKey), errors.Is(err, errSeveral):
		return 0, reject(RuleKey, "%w", err)
	case err != nil:
		return 0, reject(RuleKeys, "%w", err)
	}
	if err := verifySignature(t, k); err != nil {
		return 0, reject(RuleSignature, "%w", err)
	}
	return version, nil
}

// acceptsType compares typ, a media type with the prefix application/ left out
// (RFC 7515, section 4.1.9). Whatever is not known for the kind is refused: ID
// assertions, logout tokens, DPoP proofs and the like have types of their own.
func (i *issuer) acceptsType(h *header) bool {
	typ := strings.TrimPrefix(strings.ToLower(h.typ), "application/")
	switch i.Tokens {
	case TokensAccess: // RFC 9068, section 4
		return typ == "at+jwt"
	case TokensJWT:
		return !h.hasTyp || typ == "jwt" || typ == "jose"
	}
	return false
}

// principal applies the rules about claims to a token whose signature was
// verified, and maps it.
func (i *issuer) principal(t *token, id string, now time.Time) (*gate.Principal, times, *Rejection) {
	if r := i.checkNames(t); r != nil {
		return nil, times{}, r
	}
	if r := i.checkAudience(t); r != nil {
		return nil, times{}, r
	}
	when, r := i.times(t)
	if r != nil {
		return nil, times{}, r
	}
	if r := i.checkTimes(when, now); r != nil {
		return nil, times{}, r
	}
	if r := i.checkKind(t); r != nil {
		return nil, times{}, r
	}
	if _, bound := t.payload["cnf"]; bound && !i.AllowUnprovenCnf {
		return nil, times{}, reject(RuleConfirmation, "cnf is present")
	}
	if r := i.checkBound(t); r != nil {
		return nil, times{}, r
	}
	p := &gate.Principal{Kind: i.kind, TokenID: id, Document: i.digest, IssuedAt: when.issued, Expiry: when.expiry}
	if r := i.parties(t, p); r != nil {
		return nil, times{}, r
	}
	if r := i.mapClaims(t, p); r != nil {
		return nil, times{}, r
	}
	return p, when, nil
}

// checkNames refuses names that a case-insensitive reader would take for a
// claim that this issuer's document reads.
func (i *issuer) checkNames(t *token) *Rejection {
	for name := range t.payload {
		if known, ok := i.known[foldName(name)]; ok && known != name {
			return reject(RuleJSON, "payload: a name that differs from %s only in case", known)
		}
	}
	return nil
}

// audiences returns aud, a string or a list of strings (RFC 7519, section 4.1.3).
func (t *token) audiences() ([]string, *Rejection) {
	switch aud := t.payload["aud"].(type) {
	case string:
		return []string{aud}, nil
	case []any:
		all := make([]string, 0, len(aud))
		for _, a := range aud {
			s, ok := a.(string)
			if !ok {
				return nil, reject(RuleAudience, "aud is no list of strings")
			}
			all = append(all, s)
		}
		return all, nil
	}
	return nil, reject(RuleAudience, "aud is missing or malformed")
}

func (i *issuer) checkAudience(t *token) *Rejection {
	all, r := t.audiences()
	if r != nil {
		return r
	}
	if !slices.Contains(all, i.Audience) {
		return reject(RuleAudience, "%s is not among %d", i.Audience, len(all))
	}
	if i.MaxAudiences > 0 && len(all) > i.MaxAudiences {
		return reject(RuleAudience, "%d audiences, over max_audiences", len(all))
	}
	if i.MaxAudiences == 0 && len(all) > 1 && i.Tokens == TokensJWT {
		// OpenID Connect Core, section 3.1.3.7: several audiences need an azp.
		if id, r := clientID(t); r != nil || id == "" {
			return reject(RuleAudience, "%d audiences and no azp", len(all))
		}
	}
	return nil
}

func (i *issuer) times(t *token) (times, *Rejection) {
	var when times
	var ok bool
	var r *Rejection
	if when.expiry, ok, r = t.payload.time("exp"); r != nil || !ok {
		return when, orMissing(r, "exp")
	}
	if when.issued, ok, r = t.payload.time("iat"); r != nil || !ok && i.Tokens == TokensAccess {
		return when, orMissing(r, "iat")
	}
	if when.notBefore, _, r = t.payload.time("nbf"); r != nil {
		return when, r
	}
	return when, nil
}

func orMissing(r *Rejection, claim string) *Rejection {
	if r == nil {
		r = reject(RuleClaims, "%s is missing", claim)
	}
	return r
}

// checkTimes also bounds how long the token lives, because a revocation that an
// issuer makes on its side is seen here only when its tokens run out.
func (i *issuer) checkTimes(when times, now time.Time) *Rejection {
	if !now.Before(when.expiry.Add(i.leeway)) {
		return reject(RuleExpired, "at %s", when.expiry.UTC().Format(time.RFC3339))
	}
	if now.Add(i.leeway).Before(when.notBefore) {
		return reject(RuleNotYetValid, "nbf is in the future")
	}
	if now.Add(i.leeway).Before(when.issued) {
		return reject(RuleNotYetValid, "iat is in the future")
	}
	start := when.issued
	if start.IsZero() { // SPIFFE and some others send no iat
		start = now
	} else if !start.Before(when.expiry) {
		return reject(RuleLifetime, "exp is not after iat")
	}
	if life := when.expiry.Sub(start); life > i.maxLife {
		return reject(RuleLifetime, "%s, over %s", life, i.maxLife)
	}
	return nil
}

// checkKind refuses tokens that were not made to be presented to a service, and
// asks for what the kind requires (RFC 9068, section 2.2).
func (i *issuer) checkKind(t *token) *Rejection {
	for _, claim := range []string{"nonce", "at_hash", "c_hash"} {
		if _, ok := t.payload[claim]; ok {
			return reject(RuleTokenKind, "%s: an ID token (OpenID Connect Core, section 2)", claim)
		}
	}
	if _, ok := t.payload["events"]; ok {
		return reject(RuleTokenKind, "events: a security event or logout token (RFC 8417)")
	}
	// Keycloak says in the payload what a token is for.
	if typ, ok := t.payload["typ"]; ok {
		if s, _ := typ.(string); !strings.EqualFold(s, "Bearer") && !strings.EqualFold(s, "JWT") && !strings.EqualFold(s, "at+jwt") {
			return reject(RuleTokenKind, "the payload's typ is no access token's")
		}
	}
	if i.Tokens != TokensAccess {
		return nil
	}
	for _, claim := range []string{"client_id", "jti"} {
		if _, ok := t.payload[claim]; !ok {
			return reject(RuleClaims, "%s is missing", claim)
		}
	}
	return nil
}

func (i *issuer) checkBound(t *token) *Rejection {
	if len(i.bound) == 0 {
		return reject(RuleBound, "the issuer has no conditions")
	}
	for _, b := range i.bound {
		v, ok := b.path.find(t.payload)
		if !ok || !b.matches(v) {
			return reject(RuleBound, "%s", b.claim)
		}
		if r := verifiedEmail(b.path, t); r != nil {
			return r
		}
	}
	return nil
}

func (b *boundClaim) matches(v any) bool {
	if list, ok := v.([]any); ok {
		return slices.ContainsFunc(list, func(e any) bool {
			s, ok := text(e)
			return ok && slices.Contains(b.values, s)
		})
	}
	s, ok := text(v)
	return ok && slices.Contains(b.values, s)
}

// verifiedEmail refuses an address that the provider has not verified, where the
// document relies on it: anyone can type one in.
func verifiedEmail(p path, t *token) *Rejection {
	if len(p) != 1 || p[0] != "email" {
		return nil
	}
	if t.payload["email_verified"] != true {
		return reject(RuleMapping, "email is not verified")
	}
	return nil
}
