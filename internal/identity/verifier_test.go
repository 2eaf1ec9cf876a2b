package identity_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport-gateway/sallyport/internal/gate"
	"github.com/sallyport-gateway/sallyport/internal/identity"
	"github.com/sallyport-gateway/sallyport/internal/identity/devissuer"
)

// clock is a clock that stands until it is moved.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// memoryStore keeps revocations for a test.
type memoryStore struct {
	mu    sync.Mutex
	saved []identity.Revocation
	err   error
}

func (s *memoryStore) Load(context.Context) ([]identity.Revocation, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.saved, s.err
}

func (s *memoryStore) Save(_ context.Context, r identity.Revocation) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.saved = append(s.saved, r)
	}
	return s.err
}

// world is a development issuer, served over HTTP, and a verifier that trusts it.
type world struct {
	*clock
	t        testing.TB
	issuer   *devissuer.Issuer
	verifier *identity.Verifier
	revoked  *identity.Revocations
	fetches  atomic.Int64 // requests that reached the issuer
	down     atomic.Bool  // the issuer answers 503
	wrap     atomic.Pointer[http.Handler]
}

func newWorld(t testing.TB, algorithm string) *world {
	t.Helper()
	w := &world{clock: &clock{now: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)}, t: t}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w.issuer, err = devissuer.New(devissuer.Config{URL: "http://" + listener.Addr().String(), Algorithm: algorithm, Now: w.Now})
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.fetches.Add(1)
		if w.down.Load() {
			http.Error(rw, "down", http.StatusServiceUnavailable)
			return
		}
		if h := w.wrap.Load(); h != nil {
			(*h).ServeHTTP(rw, r)
			return
		}
		w.issuer.ServeHTTP(rw, r)
	})}
	go func() { _ = server.Serve(listener) }() // ends with Close
	t.Cleanup(func() { _ = server.Close() })

	if w.revoked, err = identity.OpenRevocations(t.Context(), &memoryStore{}, w.Now); err != nil {
		t.Fatal(err)
	}
	if w.verifier, err = identity.New(identity.Config{Revocations: w.revoked, Now: w.Now}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.verifier.Close)
	w.set(w.document())
	return w
}

// document is the issuer's document as an operator would write it.
func (w *world) document() identity.Issuer {
	return identity.Issuer{
		Name: "dev", URL: w.issuer.URL(), Audience: "sallyport", Tokens: identity.TokensAccess,
		Bound: map[string]identity.OneOrMore{"client_id": {"reporting-agent", "support-agent"}},
		Claims: identity.Claims{Agent: "client_id", Groups: "groups", Attributes: map[string]identity.AttributeClaim{
			"purpose": {Claim: "purpose", Trust: "caller"}, "risk_tier": {Claim: "/tags/risk_tier"},
		}},
	}
}

func (w *world) set(docs ...identity.Issuer) {
	w.t.Helper()
	issuers, err := identity.PrepareIssuers(docs)
	if err != nil {
		w.t.Fatal(err)
	}
	w.verifier.SetIssuers(issuers)
}

func (w *world) claims() devissuer.Claims {
	return devissuer.Claims{Subject: "reporting-agent", Audience: "sallyport",
		Extra: map[string]any{"purpose": "month-end", "tags": map[string]any{"risk_tier": "low"}}}
}

func (w *world) mint(c devissuer.Claims) string {
	w.t.Helper()
	token, err := w.issuer.Mint(c)
	if err != nil {
		w.t.Fatal(err)
	}
	return token
}

func (w *world) identify(token string) (*gate.Principal, error) {
	return w.verifier.Identify(w.t.Context(), gate.NewSecret(token))
}

func (w *world) accepts(token string) *gate.Principal {
	w.t.Helper()
	p, err := w.identify(token)
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

func (w *world) refuses(token string, rule identity.Rule) *identity.Rejection {
	w.t.Helper()
	p, err := w.identify(token)
	if p != nil || err == nil {
		w.t.Fatalf("accepted as %v", p)
	}
	var r *identity.Rejection
	if !errors.As(err, &r) {
		w.t.Fatalf("error is %T", err)
	}
	if r.Rule != rule {
		w.t.Fatalf("refused by rule %s (%v), not %s", r.Rule, err, rule)
	}
	return r
}

func TestAGoodTokenNamesItsAgent(t *testing.T) {
	for _, algorithm := range []string{"RS256", "ES256", "EdDSA"} {
		t.Run(algorithm, func(t *testing.T) {
			w := newWorld(t, algorithm)
			c := w.claims()
			c.ID = "token-1"
			p := w.accepts(w.mint(c))
			if p.Agent != "reporting-agent" || p.Kind != gate.KindAgent || p.TokenID != "token-1" || p.ClientID != "reporting-agent" {
				t.Errorf("principal %+v", p)
			}
			if want := w.Now().Add(devissuer.DefaultLifetime); !p.Expiry.Equal(want) || !p.IssuedAt.Equal(w.Now()) {
				t.Errorf("expiry %s, want %s", p.Expiry, want)
			}
			if a := p.Attributes["purpose"]; a != (gate.Attribute{Value: "month-end", Trust: gate.TrustCaller}) {
				t.Errorf("purpose %+v", a)
			}
			if a := p.Attributes["risk_tier"]; a != (gate.Attribute{Value: "low", Trust: gate.TrustProvider}) {
				t.Errorf("risk_tier %+v", a)
			}
		})
	}
}
