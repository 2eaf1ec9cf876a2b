package main

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-gateway/sallyport/internal/budget"
	"github.com/sallyport-gateway/sallyport/internal/gate"
	"github.com/sallyport-gateway/sallyport/internal/policy"
	"github.com/sallyport-gateway/sallyport/internal/store"
)

// counted is a gateway with budgets on a state, and nothing else that is real
// but its policy.
type counted struct {
	gateway *gate.Gateway
	budget  *budget.Book
	state   *store.State
}

func (counted) Identify(_ context.Context, proof gate.Proof) (*gate.Principal, error) {
	token := proof.Token
	return &gate.Principal{Party: gate.Party{Issuer: "https://idp.example", Subject: "for " + token.Reveal()}, Kind: gate.KindAgent,
		Agent: "reporting", TokenID: token.Reveal(), Expiry: time.Now().Add(time.Hour)}, nil
}
func (counted) Revoked(*gate.Principal) (string, bool) { return "", false }
func (counted) Target(name string) (*gate.Target, bool) {
	return &gate.Target{Name: name, Protocol: "p"}, true
}
func (counted) Ask(context.Context, *gate.Ask) (gate.Asked, error) { return gate.Asked{}, errNobody }
func (*counted) Withdraw(context.Context, string) error            { return nil }

func (counted) Wait(context.Context, string) (gate.RequestState, error) {
	return "", errNobody
}
func (counted) Credential(context.Context, string) (*gate.Credential, error) { return nil, errNobody }
func (counted) Start(*gate.SessionInfo) (gate.Recording, error)              { return unrecorded{}, nil }

var errNobody = errors.New("nobody is here")

type unrecorded struct{}

func (unrecorded) Append(*gate.Event) error { return nil }
func (unrecorded) Commit() error            { return nil }
func (unrecorded) Close() error             { return nil }

func newCounted(t *testing.T, file string) *counted {
	t.Helper()
	state, err := store.Open(t.Context(), "sqlite:"+file)
	if err != nil {
		t.Fatal(err)
	}
	engine, err := policy.New(policy.Options{})
	if err != nil {
		t.Fatal(err)
	}
	program, errs := engine.Compile([]*policy.Document{{Name: "p", Rules: []policy.Rule{
		{Name: "budget", When: "budget.rows >= 10", Then: "block", Message: "ten rows an hour"}, {Name: "all", When: "true", Then: "allow"}}}}, policy.Known{})
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	engine.Swap(program)
	c := &counted{state: state}
	if c.budget, err = budget.New(budget.Config{Store: spendingStore{state.Spending}, Wanted: engine.Budgets}); err != nil {
		t.Fatal(err)
	}
	if c.gateway, err = gate.New(gate.Config{Identifier: c, Directory: c, Policy: engine, Approver: c, Recorder: c, Dialer: dialer{}, Vault: c, Meter: c.budget}); err != nil {
		t.Fatal(err)
	}
	return c
}

// close ends the gateway as a process does.
func (c *counted) close(t *testing.T) {
	t.Helper()
	if err := errors.Join(c.budget.Flush(context.Background()), c.state.Close()); err != nil {
		t.Error(err)
	}
}

// spend reads rows in a session of its own; it returns the rule that refused.
func (c *counted) spend(t *testing.T, token, target string, rows int64) string {
	t.Helper()
	here, there := net.Pipe()
	defer here.Close()
	defer there.Close()
	s, err := c.gateway.Open(t.Context(), gate.Proof{Token: gate.NewSecret(token)}, target, gate.Client{Conn: here, Protocol: "p"})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	permit, err := s.Decide(t.Context(), &gate.Command{Effects: gate.EffectRead})
	var refusal *gate.Refusal
	if errors.As(err, &refusal) {
		return refusal.Rule
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Effect(permit.Command(), "DONE", rows); err != nil {
		t.Fatal(err)
	}
	return ""
}

func TestABudgetHoldsOverTokensRestartsAndGateways(t *testing.T) {
	file := filepath.Join(t.TempDir(), "state.db")
	one := newCounted(t, file)
	for i, rule := range []string{"", "", "p/budget"} { // 5, 10, and no more
		if got := one.spend(t, strings.Repeat("t", i+1), "x", 5); got != rule {
			t.Errorf("session %d is refused by %q, want %q", i, got, rule)
		}
	}
	if got := one.spend(t, "t", "y", 9); got != "" {
		t.Errorf("another target is refused by %q", got)
	}
	if err := one.budget.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	two := newCounted(t, file)
	if got := two.spend(t, "t", "x", 1); got != "p/budget" {
		t.Errorf("another gateway on the same state lets it pass: %q", got)
	}
	if got := two.spend(t, "t", "y", 1); got != "" { // 9 and 1
		t.Errorf("another gateway refuses what is within the budget: %q", got)
	}
	two.close(t)
	one.close(t)
	after := newCounted(t, file)
	defer after.close(t)
	for _, target := range []string{"x", "y"} {
		if got := after.spend(t, "t", target, 1); got != "p/budget" {
			t.Errorf("after a restart %s passes: %q", target, got)
		}
	}
}
