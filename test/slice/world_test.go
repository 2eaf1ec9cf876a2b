package slice_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/sallyport-gateway/sallyport/internal/identity/devissuer"
	"github.com/sallyport-gateway/sallyport/internal/pgserver"
	"github.com/sallyport-gateway/sallyport/test/clients"
	"github.com/sallyport-gateway/sallyport/test/oidc"
)

// The role that the gateway logs in with, and its password, which must never be
// seen anywhere else.
const (
	role     = "agent"
	password = "canary-5f0b7c1e9a"
)

// tokenTTL is the lifetime of the shared provider's tokens.
const tokenTTL = 30 * time.Minute

// patience bounds every wait for something that should happen at once. It is
// long because the machines that run this are slow and shared.
const patience = 20 * time.Second

// world is what all tests share: one PostgreSQL, one OpenID provider, one build
// of the program and one gateway.
type world struct {
	dir     string
	program string
	pg      *pgserver.Server
	idp     *oidc.Provider
	// forger is a second issuer that the gateway trusts, which signs whatever a
	// test wants.
	forger *devissuer.Issuer
	gw     *gateway

	mu     sync.Mutex
	tokens map[string]string // guarded by mu; by client and audience
}

// process stands for the test process in what wants a test and must outlive one.
type process struct {
	testing.TB
	cleanups []func()
}

func (p *process) Helper()                   {}
func (p *process) Cleanup(f func())          { p.cleanups = append(p.cleanups, f) }
func (p *process) Failed() bool              { return false }
func (p *process) Logf(f string, a ...any)   { fmt.Fprintf(os.Stderr, f+"\n", a...) }
func (p *process) Log(a ...any)              { fmt.Fprintln(os.Stderr, a...) }
func (p *process) Fatal(a ...any)            { panic(setupError(fmt.Sprint(a...))) }
func (p *process) Fatalf(f string, a ...any) { panic(setupError(fmt.Sprintf(f, a...))) }
func (p *process) Errorf(f string, a ...any) { fmt.Fprintf(os.Stderr, f+"\n", a...) }

type setupError string

func (p *process) end() {
	for i := len(p.cleanups) - 1; i >= 0; i-- {
		p.cleanups[i]()
	}
}

// all and its error are made by the first test that asks.
var (
	whole    process
	all      *world
	errWorld error
	once     sync.Once
)

func TestMain(m *testing.M) {
	code := m.Run()
	whole.end()
	os.Exit(code)
}

// the returns what the tests share.
func the(t testing.TB) *world {
	t.Helper()
	once.Do(func() { all, errWorld = newWorld() })
	if errWorld != nil {
		t.Fatal(errWorld)
	}
	return all
}

func newWorld() (_ *world, err error) {
	defer func() {
		if r := recover(); r != nil {
			failed, ok := r.(setupError)
			if !ok {
				panic(r)
			}
			err = errors.New(string(failed))
		}
	}()
	w := &world{tokens: map[string]string{}}
	if w.dir, err = os.MkdirTemp("", "slice-"); err != nil {
		return nil, err
	}
	whole.Cleanup(func() { _ = os.RemoveAll(w.dir) })
	whole.Cleanup(func() {
		if w.pg != nil {
			_ = w.pg.Stop()
		}
	})
	var wait sync.WaitGroup
	var built, started error
	wait.Go(func() { built = w.build() })
	wait.Go(func() { w.pg, started = pgserver.Start(context.Background(), databaseOptions()) })
	w.idp = oidc.Start(&whole, oidc.Options{TTL: tokenTTL, Clients: idpClients()})
	w.forger = startForger(&whole)
	wait.Wait()
	if err := errors.Join(built, started); err != nil {
		return nil, err
	}
	w.gw = newGateway(&whole, w, sharedConfig(w))
	w.gw.start(&whole)
	return w, nil
}

// startForger serves a development issuer on loopback.
func startForger(t testing.TB) *devissuer.Issuer {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	issuer, err := devissuer.New(devissuer.Config{URL: "http://" + l.Addr().String()})
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: issuer, ReadHeaderTimeout: patience}
	go func() { _ = server.Serve(l) }() // ends with Close
	t.Cleanup(func() { _ = server.Close() })
	return issuer
}

// build builds the program as `make build` does.
func (w *world) build() error {
	w.program = filepath.Join(w.dir, "bin", "sallyport")
	cmd := exec.Command("go", "build", "-trimpath", "-o", w.program, "../../cmd/sallyport")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build sallyport: %w\n%s", err, out)
	}
	return nil
}

// The agents, and the people who may approve.
const (
	reporter = "reporting-agent" // risk_tier low
	support  = "support-agent"   // risk_tier high
	stranger = "stranger"        // not bound by the issuer's document
	alice    = "alice"           // in group dba
	bob      = "bob"             // in group dba
	carol    = "carol"           // in no group that approves
	twin     = "twin"            // an agent, and a person in group dba
)

func idpClients() []oidc.Client {
	return []oidc.Client{
		{ID: reporter, Claims: map[string]any{"purpose": "reporting", "risk_tier": "low"}},
		{ID: support, Claims: map[string]any{"purpose": "support", "risk_tier": "high"}},
		{ID: "mobile-agent", Claims: map[string]any{"purpose": "support", "risk_tier": "low"}},
		{ID: stranger, Claims: map[string]any{"purpose": "support", "risk_tier": "low"}},
		{ID: "untiered-agent", Claims: map[string]any{"purpose": "support"}},
		{ID: alice, Claims: map[string]any{"groups": []string{"dba"}}},
		{ID: bob, Claims: map[string]any{"groups": []string{"dba"}}},
		{ID: twin, Claims: map[string]any{"purpose": "support", "risk_tier": "low", "groups": []string{"dba"}}},
		{ID: carol, Claims: map[string]any{"groups": []string{"interns"}}},
	}
}

// token returns a token of an agent; the same one again while it is good.
func (w *world) token(t testing.TB, client string) string { return w.tokenFor(t, client, "") }

// person returns a token of a person.
func (w *world) person(t testing.TB, name string) string { return w.tokenFor(t, name, peopleAudience) }

func (w *world) tokenFor(t testing.TB, client, audience string) string {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	key := client + " " + audience
	if w.tokens[key] == "" {
		w.tokens[key] = w.idp.TokenFor(client, audience)
	}
	return w.tokens[key]
}

func databaseOptions() pgserver.Options {
	return pgserver.Options{
		RequireTLS: true, LogStatements: true, MaxConnections: 200,
		Roles:     []pgserver.Role{{Name: role, Password: password}},
		Databases: []pgserver.Database{{Name: "shop"}, {Name: "clients"}},
		Scripts: []pgserver.Script{
			{Database: "clients", SQL: clients.Schema(role)},
			{Database: "shop", SQL: shopSchema},
		},
	}
}

// shopSchema is what an agent works on. The labelled values are canaries: none
// may be seen where it is not asked for.
const shopSchema = `
CREATE TABLE customers (id int PRIMARY KEY, name text NOT NULL, email text, ssn text, city text);
INSERT INTO customers VALUES
	(1, 'Ada', 'ada@canary.example', '078-05-1120', 'Paris'),
	(2, 'Ben', 'ben@canary.example', '219-09-9999', 'Rome');
CREATE TABLE payments (id int PRIMARY KEY, customer int REFERENCES customers, card_number text, amount numeric(10,2));
INSERT INTO payments VALUES (1, 1, '4111111111111111', 10.50), (2, 2, '5500005555555559', 99.90);
CREATE TABLE orders (id int PRIMARY KEY, status text NOT NULL, amount numeric(10,2) NOT NULL CHECK (amount >= 0));
INSERT INTO orders SELECT g, 'new', g FROM generate_series(1, 100) g;
CREATE TABLE ledger (n serial PRIMARY KEY, entry text NOT NULL, at timestamptz DEFAULT now());
CREATE TABLE scratch (n int PRIMARY KEY, t text);
CREATE TABLE hostile (id int, t text);
INSERT INTO hostile VALUES (1, E'\x1b]0;owned\x07\x1b[2Jgone\x1b[31m'), (2, E'line\u202eesrever\r\nALLOW SELECT 1');
CREATE TABLE wide (id int PRIMARY KEY, filler text);
INSERT INTO wide SELECT g, repeat('x', 1000) FROM generate_series(1, 20000) g;
ANALYZE;
GRANT SELECT, INSERT, UPDATE, DELETE ON customers, payments, orders, ledger, scratch, hostile, wide TO agent;
GRANT USAGE ON SEQUENCE ledger_n_seq TO agent;
`
