//go:build cgo

package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sallyport-gateway/sallyport/internal/budget"
	"github.com/sallyport-gateway/sallyport/internal/gate"
	"github.com/sallyport-gateway/sallyport/internal/pgserver"
	"github.com/sallyport-gateway/sallyport/internal/policy"
	"github.com/sallyport-gateway/sallyport/internal/proto/postgres"
	"github.com/sallyport-gateway/sallyport/internal/sql/postgres/parse"
	"github.com/sallyport-gateway/sallyport/internal/store"
	"github.com/sallyport-gateway/sallyport/test/pgtest"
)

// shop is a gateway in front of a real database, with budgets.
type shop struct {
	counted
	target gate.Target
}

func (s *shop) Target(string) (*gate.Target, bool) { return &s.target, true }

func (s *shop) Credential(context.Context, string) (*gate.Credential, error) {
	return &gate.Credential{Name: "shop", Username: "agent", Password: gate.NewSecret("canary-77aa")}, nil
}

// serveShop serves one gateway on a state until the test ends.
func serveShop(t *testing.T, file string, target gate.Target, rules ...policy.Rule) (address string) {
	t.Helper()
	state, err := store.Open(t.Context(), "sqlite:"+file)
	if err != nil {
		t.Fatal(err)
	}
	engine, err := policy.New(policy.Options{Facts: facts()})
	if err != nil {
		t.Fatal(err)
	}
	program, errs := engine.Compile([]*policy.Document{{Name: "p", Protocol: "postgres", Rules: rules}}, policy.Known{Labels: []string{"pii"}})
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	engine.Swap(program)
	s := &shop{target: target}
	if s.budget, err = budget.New(budget.Config{Store: spendingStore{state.Spending}, Wanted: engine.Budgets}); err != nil {
		t.Fatal(err)
	}
	if s.gateway, err = gate.New(gate.Config{Identifier: s, Directory: s, Policy: engine, Approver: s, Recorder: s, Dialer: dialer{}, Vault: s, Meter: s.budget}); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	protocol := postgres.New(postgres.Config{TLS: serverTLS(t), Catalogs: postgres.NewCatalogs(parse.Direct{}, log), Log: log})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 2)
	go func() { done <- s.gateway.Listen(ctx, l, protocol, 0) }()
	go func() { s.budget.Run(ctx); done <- nil }()
	t.Cleanup(func() {
		cancel()
		if err := errors.Join(s.gateway.Shutdown(context.Background()), <-done, <-done, s.budget.Flush(context.Background()), state.Close()); err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

func serverTLS(t *testing.T) *tls.Config {
	t.Helper()
	a, err := pgserver.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	pair, err := a.IssueServer()
	if err != nil {
		t.Fatal(err)
	}
	c, err := tls.X509KeyPair(pair.CertPEM, pair.KeyPEM)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{c}}
}

// ask runs a statement in a connection of its own and returns the SQLSTATE and
// detail of its refusal.
func ask(t *testing.T, address, sql string) string {
	t.Helper()
	c, err := login(t, address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(context.Background())
	_, err = c.Exec(t.Context(), sql).ReadAll()
	return sqlstate(err)
}

func login(t *testing.T, address string) (*pgconn.PgConn, error) {
	t.Helper()
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	return pgconn.Connect(t.Context(), fmt.Sprintf("host=%s port=%s user=agent password=token dbname=shop sslmode=require", host, port))
}

func sqlstate(err error) string {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code
	}
	return fmt.Sprint(err)
}

func startShop(t *testing.T) gate.Target {
	t.Helper()
	s := pgtest.Start(t, pgserver.Options{
		NoTLS: true, Roles: []pgserver.Role{{Name: "agent", Password: "canary-77aa"}}, Databases: []pgserver.Database{{Name: "shop"}},
		Scripts: []pgserver.Script{{Database: "shop", SQL: `CREATE TABLE people (id int, email text);
			INSERT INTO people SELECT i, 'p' || i FROM generate_series(1, 100) i; GRANT ALL ON people TO agent`}},
	})
	return gate.Target{Name: "shop", Protocol: "postgres", Address: s.Address(), Database: "shop", Credential: "shop", Generation: "1",
		TLS: gate.TLS{Mode: gate.TLSDisable}, Marks: map[string][]string{"pii": {"public.people.email"}}}
}

func allowAll() policy.Rule {
	return policy.Rule{Name: "all", When: "true", Then: "allow", Mask: map[string]string{"pii": "plain"}}
}

func TestAnAgentOverItsBudgetGetsNothingMoreFromPostgreSQL(t *testing.T) {
	target := startShop(t)
	for name, c := range map[string]struct{ when, sql string }{
		"rows":                 {"budget.rows >= 100", "SELECT id FROM people WHERE id <= 50"},
		"bytes":                {"budget.bytes >= 20000", "SELECT repeat('x', 10000)"},
		"cells":                {"budget.cells >= 100", "SELECT email FROM people WHERE id <= 50"},
		"cells of two columns": {"budget.cells >= 100", "SELECT email, id, lower(email) FROM people WHERE id <= 25"},
		"writes":               {"budget.writes >= 100", "UPDATE people SET id = id WHERE id <= 50"},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "state.db")
			one := serveShop(t, file, target, policy.Rule{Name: "over", When: policy.Expression(c.when), Then: "block"}, allowAll())
			for i, want := range []string{"<nil>", "<nil>", "42501", "42501"} { // each in a connection of its own
				if got := ask(t, one, c.sql); got != want {
					t.Fatalf("statement %d: %s, want %s", i, got, want)
				}
			}
		})
	}
}

func TestAConnectionBeyondTheLimitIsRefusedAsPostgreSQLDoes(t *testing.T) {
	target := startShop(t)
	target.Limits.SessionsPerAgent = 1
	address := serveShop(t, filepath.Join(t.TempDir(), "state.db"), target, allowAll())
	first, err := login(t, address)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close(context.Background())
	if _, err := login(t, address); sqlstate(err) != "53300" {
		t.Errorf("the second connection: %v, want 53300", err)
	}
}
