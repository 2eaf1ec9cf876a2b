package identity

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sallyport-gateway/sallyport/internal/gate"
)

// Config is what a Verifier is made of.
type Config struct {
	// Revocations is asked for every principal. Required.
	Revocations *Revocations
	// Log receives refreshes of keys and their failures, never anything of a
	// token. Nil discards.
	Log *slog.Logger
	// Now is the clock. Nil means time.Now.
	Now func() time.Time
}

// Verifier verifies tokens against the issuers in force. It implements
// [gate.Identifier] and is safe for concurrent use. A new one knows no issuer
// and refuses every token.
type Verifier struct {
	revocations *Revocations
	log         *slog.Logger
	now         func() time.Time
	root        context.Context // ends with Close; bounds the fetches
	cancel      context.CancelFunc
	flights     flights

	reload sync.Mutex // serialises SetIssuers
	reg    atomic.Pointer[registry]
}

// registry is one generation of issuers, with what was verified under it.
type registry struct {
	byURL   map[string][]*issuer
	sources map[[sha256.Size]byte]*keySource
	cache   *tokenCache
}

// New returns a verifier without issuers.
func New(cfg Config) (*Verifier, error) {
	if cfg.Revocations == nil {
		return nil, errors.New("identity: no Revocations")
	}
	v := &Verifier{revocations: cfg.Revocations, log: cfg.Log, now: cfg.Now}
	if v.log == nil {
		v.log = slog.New(slog.DiscardHandler)
	}
	if v.now == nil {
		v.now = time.Now
	}
	v.root, v.cancel = context.WithCancel(context.Background())
	v.reg.Store(&registry{})
	return v, nil
}

// Close ends the fetches under way and waits for them. Tokens whose issuer's
// keys are at hand are still verified.
func (v *Verifier) Close() {
	v.flights.close()
	v.cancel()
	v.flights.wait.Wait()
}

// Issuers are documents that were checked and read, with the files that they name: what
// SetIssuers puts in force. The zero value has none.
type Issuers struct{ all []prepared }

type prepared struct {
	issuer
	source [sha256.Size]byte // of what its keys are fetched by
	roots  *x509.CertPool    // nil: the system's
}

// PrepareIssuers validates each document and all of them together, and reads their CA
// files, once. Errors are joined. It never uses the network.
func PrepareIssuers(docs []Issuer) (*Issuers, error) {
	errs := []error{checkTogether(docs)}
	next := &Issuers{}
	for _, doc := range docs {
		p, err := prepare(doc)
		next.all, errs = append(next.all, p), append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return next, nil
}

func prepare(doc Issuer) (prepared, error) {
	if err := doc.Validate(); err != nil {
		return prepared{}, err
	}
	ca, err := doc.caPEM()
	if err != nil {
		return prepared{}, fmt.Errorf("issuer %q: ca: %w", doc.Name, err)
	}
	p := prepared{source: sha256.Sum256(fmt.Appendf(nil, "%q %q %q", doc.URL, doc.JWKSURL, ca))}
	if p.roots, err = authorities(ca); err != nil {
		return prepared{}, fmt.Errorf("issuer %q: ca: %w", doc.Name, err)
	}
	i, err := compile(doc)
	if err != nil {
		return prepared{}, err
	}
	if i.digest, err = i.fingerprint(ca); err != nil {
		return prepared{}, err
	}
	p.issuer = *i
	return p, nil
}

// SetIssuers puts exactly these issuers in force, at once and for all callers. Providers
// whose address and CA are unchanged keep their keys. It uses neither files nor the
// network, and cannot fail.
func (v *Verifier) SetIssuers(issuers *Issuers) {
	v.reload.Lock()
	defer v.reload.Unlock()
	old := v.reg.Load()
	next := &registry{
		byURL:   map[string][]*issuer{},
		sources: map[[sha256.Size]byte]*keySource{},
		cache:   newTokenCache(tokenCacheSize),
	}
	for _, p := range issuers.all {
		source := cmp.Or(next.sources[p.source], old.sources[p.source])
		if source == nil {
			source = v.newSource(&p)
		}
		i := p.issuer
		next.sources[p.source], i.keys = source, source
		next.byURL[i.URL] = append(next.byURL[i.URL], &i)
	}
	v.reg.Store(next)
}

// checkTogether refuses two documents of one name, and two that the same token
// would always fit.
func checkTogether(docs []Issuer) error {
	var errs []error
	names, fits := map[string]bool{}, map[[2]string]string{}
	for _, doc := range docs {
		if names[doc.Name] {
			errs = append(errs, fmt.Errorf("issuer %q: there are two documents of this name", doc.Name))
		}
		names[doc.Name] = true
		pair := [2]string{doc.URL, doc.Audience}
		if other, taken := fits[pair]; taken {
			errs = append(errs, fmt.Errorf("issuer %q: url and audience are those of issuer %q; give one of them its own audience", doc.Name, other))
		}
		fits[pair] = doc.Name
	}
	return errors.Join(errs...)
}

func (v *Verifier) newSource(p *prepared) *keySource {
	return &keySource{issuer: p.URL, jwksURL: p.JWKSURL, client: newClient(p.roots), now: v.now, log: v.log,
		root: v.root, flights: &v.flights}
}

// Identify verifies a token and returns whom it names. It waits for the network
// only if the issuer's keys are not at hand or do not hold the token's key, at
// most [fetchTimeout], and never for an issuer that is not configured. Errors
// are *[Rejection].
func (v *Verifier) Identify(ctx context.Context, secret gate.Secret) (*gate.Principal, error) {
	reg := v.reg.Load()
	raw := secret.Reveal()
	hash := sha256.Sum256([]byte(raw))
	if e := reg.cached(hash); e != nil && e.issuer.keys.current(e.version) {
		if r := e.issuer.checkTimes(e.times, v.now()); r != nil {
			return nil, r.named(e.issuer, e.principal.TokenID, hash)
		}
		return v.unlessRevoked(e.principal, e.issuer, hash)
	}
	t, r := decodeToken(raw)
	if r != nil {
		return nil, r
	}
	i, r := reg.choose(t)
	if r != nil {
		return nil, r.about("", hash)
	}
	version, r := i.authenticate(ctx, t)
	if r != nil {
		return nil, r.about(i.Name, hash)
	}
	id, r := t.id()
	if r != nil {
		return nil, r.about(i.Name, hash)
	}
	p, times, r := i.principal(t, id, v.now())
	if r != nil {
		return nil, r.named(i, id, hash)
	}
	reg.cache.put(&cached{hash: hash, issuer: i, version: version, principal: p, times: times})
	return v.unlessRevoked(p, i, hash)
}

// Recheck reports whether a principal that was verified before, and has a session or a
// certificate since, may still be let in: its issuer's document says what it said
// then, and nothing about the principal was revoked. What another document would make of
// the token cannot be told without it, so the agent shows it again. Errors are *[Rejection].
func (v *Verifier) Recheck(p *gate.Principal) error {
	all := v.reg.Load().byURL[p.Issuer]
	if len(all) == 0 {
		return reject(RuleIssuer, "no document has this url")
	}
	if !slices.ContainsFunc(all, func(i *issuer) bool { return i.kind == p.Kind && i.digest == p.Document }) {
		return reject(RuleChanged, "verified under another document")
	}
	if why, yes := v.revocations.Revoked(p); yes {
		return reject(RuleRevoked, "%s", why)
	}
	return nil
}

func (v *Verifier) unlessRevoked(p *gate.Principal, i *issuer, hash [sha256.Size]byte) (*gate.Principal, error) {
	if why, yes := v.revocations.Revoked(p); yes {
		return nil, reject(RuleRevoked, "%s", why).named(i, p.TokenID, hash)
	}
	return p, nil
}

// Revoked reports whether a principal that was verified before may not go on, and why: what
// Recheck says.
func (v *Verifier) Revoked(p *gate.Principal) (reason string, revoked bool) {
	if err := v.Recheck(p); err != nil {
		return err.Error(), true
	}
	return "", false
}

func (r *Rejection) named(i *issuer, id string, hash [sha256.Size]byte) *Rejection {
	r.TokenID = id
	return r.about(i.Name, hash)
}

func (reg *registry) cached(hash [sha256.Size]byte) *cached {
	if reg.cache == nil {
		return nil
	}
	return reg.cache.get(hash)
}

// choose finds the document for the token by its unverified iss, compared byte
// by byte. Where several share an issuer, the audience decides between them.
func (reg *registry) choose(t *token) (*issuer, *Rejection) {
	iss, _ := t.payload["iss"].(string)
	all := reg.byURL[iss]
	switch len(all) {
	case 0:
		return nil, reject(RuleIssuer, "no document has this url")
	case 1:
		return all[0], nil
	}
	audiences, r := t.audiences()
	if r != nil {
		return nil, r
	}
	var chosen *issuer
	for _, i := range all {
		if !slices.Contains(audiences, i.Audience) {
			continue
		}
		if chosen != nil {
			return nil, reject(RuleAmbiguous, "issuers %s and %s", chosen.Name, i.Name)
		}
		chosen = i
	}
	if chosen == nil {
		return nil, reject(RuleAudience, "none of the %d documents of its issuer", len(all))
	}
	return chosen, nil
}
