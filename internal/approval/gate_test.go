package approval_test

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/sallyport-gateway/sallyport/internal/approval"
	"github.com/sallyport-gateway/sallyport/internal/gate"
)

// parts are the gate's other parts, with everything that a grant is bound to in
// the test's hands.
type parts struct {
	principal gate.Principal
	target    gate.Target
	rule      string
	decision  gate.Decision
	epoch     uint64
}

func (p *parts) Identify(context.Context, gate.Proof) (*gate.Principal, error) {
	c := p.principal
	return &c, nil
}
func (p *parts) Revoked(*gate.Principal) (string, bool)          { return "", false }
func (p *parts) Target(string) (*gate.Target, bool)              { c := p.target; return &c, true }
func (p *parts) Generation() uint64                              { return p.epoch }
func (p *parts) Start(*gate.SessionInfo) (gate.Recording, error) { return tape{}, nil }
func (p *parts) Dial(context.Context, *gate.Target) (net.Conn, error) {
	return nil, errors.New("nothing is dialled")
}
func (p *parts) Credential(context.Context, string) (*gate.Credential, error) {
	return nil, errors.New("nobody logs in")
}
func (p *parts) Decide(context.Context, *gate.SessionInfo, *gate.Command) (gate.Verdict, error) {
	return gate.Verdict{Decision: p.decision, Rule: p.rule, Reason: "ask",
		Approval: gate.Approval{Groups: []string{"dba"}, Within: time.Hour}}, nil
}

type tape struct{}

func (tape) Append(*gate.Event) error { return nil }
func (tape) Commit() error            { return nil }
func (tape) Close() error             { return nil }

func newParts() *parts {
	return &parts{
		principal: gate.Principal{Party: gate.Party{Issuer: "https://idp", Subject: "alice"}, Kind: gate.KindAgent,
			Actor: gate.Party{Issuer: "https://idp", Subject: "bot"}, ClientID: "reporting", TokenID: "t1", Expiry: time.Now().Add(time.Hour)},
		target: gate.Target{Name: "orders", Protocol: "postgres", Generation: "g1"},
		rule:   "p/writes", decision: gate.Hold,
	}
}

type action struct {
	SQL    string   `json:"sql"`
	Params []string `json:"params"`
	Path   string   `json:"search_path"`
}

func command(b gate.Binding) *gate.Command {
	return &gate.Command{Text: "UPDATE t SET a = 1", Effects: gate.EffectWrite, Facts: new(int), Binding: func() gate.Binding { return b }}
}

func binding() gate.Binding {
	return gate.Binding{Role: "app", Database: "orders", Action: action{"UPDATE t SET a = $1", []string{"int4:1"}, "public"}}
}

// run opens a session of its own and decides one command.
func (w *world) run(p *parts, cmd *gate.Command) error {
	w.t.Helper()
	g, err := gate.New(gate.Config{Identifier: p, Directory: p, Policy: p, Approver: w.desk, Recorder: p, Dialer: p, Vault: p,
		Hold: 10 * time.Second})
	if err != nil {
		w.t.Fatal(err)
	}
	near, far := net.Pipe()
	w.t.Cleanup(func() { _, _ = near.Close(), far.Close() })
	s, err := g.Open(context.Background(), gate.Proof{Token: gate.NewSecret("token")}, "orders", gate.Client{Conn: near, Protocol: p.target.Protocol})
	if err != nil {
		w.t.Fatal(err)
	}
	defer s.Close()
	_, err = s.Decide(context.Background(), cmd)
	return err
}

func (w *world) required(err error) *gate.Refusal {
	w.t.Helper()
	var r *gate.Refusal
	if !errors.As(err, &r) || r.Status != gate.StatusApprovalRequired {
		w.t.Fatalf("%v, want approval_required", err)
	}
	return r
}

func TestEveryFieldThatAGrantIsBoundToIsBound(t *testing.T) {
	for name, change := range map[string]func(p *parts, b *gate.Binding){
		"subject":           func(p *parts, _ *gate.Binding) { p.principal.Subject = "mallory" },
		"issuer":            func(p *parts, _ *gate.Binding) { p.principal.Issuer = "https://idp/" },
		"actor":             func(p *parts, _ *gate.Binding) { p.principal.Actor.Subject = "bot2" },
		"actor's issuer":    func(p *parts, _ *gate.Binding) { p.principal.Actor.Issuer = "https://other" },
		"client":            func(p *parts, _ *gate.Binding) { p.principal.ClientID = "support" },
		"target":            func(p *parts, _ *gate.Binding) { p.target.Name = "orders2" },
		"target generation": func(p *parts, _ *gate.Binding) { p.target.Generation = "g2" },
		"protocol":          func(p *parts, _ *gate.Binding) { p.target.Protocol = "mysql" },
		"rule":              func(p *parts, _ *gate.Binding) { p.rule = "p/other" },
		"role":              func(_ *parts, b *gate.Binding) { b.Role = "postgres" },
		"database":          func(_ *parts, b *gate.Binding) { b.Database = "orders2" },
		"statement": func(_ *parts, b *gate.Binding) {
			b.Action = action{"UPDATE t SET b = $1", []string{"int4:1"}, "public"}
		},
		"parameter": func(_ *parts, b *gate.Binding) {
			b.Action = action{"UPDATE t SET a = $1", []string{"int4:2"}, "public"}
		},
		"parameter's type": func(_ *parts, b *gate.Binding) {
			b.Action = action{"UPDATE t SET a = $1", []string{"text:1"}, "public"}
		},
		"search_path": func(_ *parts, b *gate.Binding) {
			b.Action = action{"UPDATE t SET a = $1", []string{"int4:1"}, "evil, public"}
		},
	} {
		w := newWorld(t, func(c *approval.Config) { c.Now = nil })
		p := newParts()
		id := w.required(w.run(p, command(binding()))).Request
		if _, err := w.desk.Approve(context.Background(), id, person("dana"), ""); err != nil {
			t.Fatal(err)
		}
		other, b := *p, binding()
		change(&other, &b)
		if r := w.required(w.run(&other, command(b))); r.Request == id {
			t.Errorf("another %s joined the request", name)
		}
		p.principal.TokenID = "t2" // tokens rotate between asking and running again
		if err := w.run(p, command(binding())); err != nil {
			t.Errorf("%s: the approved command itself: %v", name, err)
		}
		w.required(w.run(p, command(binding())))
	}
}

func TestApprovalDoesNotOverrideABlock(t *testing.T) {
	w := newWorld(t, func(c *approval.Config) { c.Now = nil })
	p := newParts()
	id := w.required(w.run(p, command(binding()))).Request
	if _, err := w.desk.Approve(context.Background(), id, person("dana"), ""); err != nil {
		t.Fatal(err)
	}
	p.decision, p.epoch = gate.Block, 1
	var r *gate.Refusal
	if err := w.run(p, command(binding())); !errors.As(err, &r) || r.Status != gate.StatusBlocked {
		t.Errorf("%v", err)
	}
	w.expect(id, gate.RequestApproved)
}

func TestWaitingCommandRunsWhenItIsApprovedAndOnlyOneOfTwoDoes(t *testing.T) {
	w := newWorld(t, func(c *approval.Config) { c.Now = nil })
	held := make(chan string, 2)
	results := make([]error, 2)
	var wg sync.WaitGroup
	for i := range results {
		wg.Go(func() {
			cmd := command(binding())
			cmd.Wait = func(h gate.Held) { held <- h.Request }
			results[i] = w.run(newParts(), cmd)
		})
	}
	first, second := <-held, <-held
	if first != second {
		t.Fatal("the second command filed a request of its own")
	}
	if _, err := w.desk.Approve(context.Background(), first, person("dana"), ""); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	ran := 0
	for _, err := range results {
		if err == nil {
			ran++
		} else if r := w.required(err); r.Request == first {
			t.Error("the one that came second is told of the used request")
		}
	}
	if ran != 1 {
		t.Errorf("%d ran", ran)
	}
}

func TestFloodReachesTheAgentAsAReason(t *testing.T) {
	w := newWorld(t, func(c *approval.Config) { c.Now, c.Pending = nil, 1 })
	w.required(w.run(newParts(), command(binding())))
	b := binding()
	b.Role = "other"
	var r *gate.Refusal
	if err := w.run(newParts(), command(b)); !errors.As(err, &r) || r.Status != gate.StatusBlocked ||
		r.Reason != "the command needs approval, and the request could not be filed: 1 requests of this agent are waiting already; let approvers answer them first" {
		t.Error(err)
	}
}
