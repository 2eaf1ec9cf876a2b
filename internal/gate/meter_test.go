package gate_test

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/sallyport-gateway/sallyport/internal/gate"
)

// stage is everything around a gateway.
type stage struct {
	target  gate.Target
	verdict gate.Verdict
	spent   gate.Spending // guarded by mu
	mu      sync.Mutex
	closed  int // guarded by mu
	asked   []gate.Spending
	starts  int // guarded by mu: recordings begun
	started func()
}

func (s *stage) Identify(_ context.Context, proof gate.Proof) (*gate.Principal, error) {
	token := proof.Token
	return &gate.Principal{Party: gate.Party{Issuer: "i", Subject: "s"}, Kind: gate.KindAgent, Agent: token.Reveal(), Expiry: time.Now().Add(time.Hour)}, nil
}
func (s *stage) Revoked(*gate.Principal) (string, bool) { return "", false }
func (s *stage) Target(string) (*gate.Target, bool)     { t := s.target; return &t, true }
func (s *stage) Generation() uint64                     { return 1 }
func (s *stage) Append(*gate.Event) error               { return nil }
func (s *stage) Commit() error                          { return nil }
func (s *stage) Ask(context.Context, *gate.Ask) (gate.Asked, error) {
	return gate.Asked{}, errors.New("nobody is asked")
}
func (s *stage) Withdraw(context.Context, string) error { return nil }

func (s *stage) Wait(context.Context, string) (gate.RequestState, error) {
	return "", errors.New("nobody is asked")
}
func (s *stage) Dial(context.Context, *gate.Target) (net.Conn, error) {
	return nil, errors.New("no network")
}
func (s *stage) Credential(context.Context, string) (*gate.Credential, error) {
	return nil, errors.New("no credential")
}

func (s *stage) Start(*gate.SessionInfo) (gate.Recording, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.starts++
	if s.started != nil {
		s.started()
	}
	return recording{s}, nil
}

type recording struct{ *stage }

func (recording) Close() error { return nil }

func (s *stage) Decide(_ context.Context, _ *gate.SessionInfo, cmd *gate.Command) (gate.Verdict, error) {
	if cmd.Spent != nil {
		spent, err := cmd.Spent()
		if err != nil {
			return gate.Verdict{}, err
		}
		s.asked = append(s.asked, spent)
	}
	return s.verdict, nil
}

// Account implements gate.Meter with one account.
func (s *stage) Account(*gate.Principal, *gate.Target) gate.Account { return account{s} }

type account struct{ *stage }

func (a account) Spent() (gate.Spending, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.spent, nil
}

func (a account) Spend(s gate.Spending) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.spent = a.spent.Plus(s)
}

func (a account) Close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closed++
}

func (s *stage) gateway(t testing.TB, metered bool) *gate.Gateway {
	t.Helper()
	s.target.Name, s.target.Protocol = "x", "p"
	cfg := gate.Config{Identifier: s, Directory: s, Policy: s, Approver: s, Recorder: s, Dialer: s, Vault: s}
	if metered {
		cfg.Meter = s
	}
	g, err := gate.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func open(t testing.TB, g *gate.Gateway, agent string) (*gate.Session, error) {
	t.Helper()
	here, there := net.Pipe()
	t.Cleanup(func() { _, _ = here.Close(), there.Close() })
	go func() { // ends when the pipe closes
		b := make([]byte, 4096)
		for {
			if _, err := there.Read(b); err != nil {
				return
			}
		}
	}()
	return g.Open(t.Context(), gate.Proof{Token: gate.NewSecret(agent)}, "x", gate.Client{Conn: here, Protocol: "p"})
}

func must(t testing.TB, s *gate.Session, err error) *gate.Session {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// decide runs a command and returns its number.
func decide(t testing.TB, s *gate.Session, cmd gate.Command) uint64 {
	t.Helper()
	cmd.Mask = func(gate.Masks) error { return nil }
	p, err := s.Decide(t.Context(), &cmd)
	if err != nil {
		t.Fatal(err)
	}
	return p.Command()
}

func TestEveryAnswerAndEffectIsCounted(t *testing.T) {
	st := &stage{verdict: gate.Verdict{Decision: gate.Allow, Masks: gate.Masks{"name": "plain", "card": "last4", "ssn": "null", "token": "token"}}}
	s, err := open(t, st.gateway(t, true), "a")
	s = must(t, s, err)
	read := decide(t, s, gate.Command{Effects: gate.EffectRead, Labels: []string{"email", "ssn"}}) // redacted and null: nothing is shown
	shown := decide(t, s, gate.Command{Effects: gate.EffectRead, Labels: []string{"card", "email", "name", "ssn"}})
	many := decide(t, s, gate.Command{Effects: gate.EffectRead, Labels: []string{"token"}, Cells: 5})
	write := decide(t, s, gate.Command{Effects: gate.EffectRead | gate.EffectWrite})
	unknown := decide(t, s, gate.Command{})
	prepared := decide(t, s, gate.Command{Effects: gate.EffectWrite, Phase: gate.Prepare})
	for _, step := range []struct {
		n    uint64
		rows int64
		want gate.Spending
	}{
		{read, 10, gate.Spending{Rows: 10}}, {shown, 10, gate.Spending{Rows: 10, Cells: 20}}, {many, 2, gate.Spending{Rows: 2, Cells: 10}},
		{write, 7, gate.Spending{Rows: 7, Writes: 7}}, {write, 0, gate.Spending{Writes: 1}}, {unknown, 3, gate.Spending{Rows: 3, Writes: 3}},
		{prepared, 0, gate.Spending{}}, {read, -4, gate.Spending{}},
	} {
		st.spent = gate.Spending{}
		if err := s.Effect(step.n, "DONE", step.rows); err != nil {
			t.Fatal(err)
		}
		if st.spent != step.want {
			t.Errorf("command %d with %d rows counts %+v, want %+v", step.n, step.rows, st.spent, step.want)
		}
	}
	st.spent = gate.Spending{}
	if err := s.Answer(read, make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	if st.spent != (gate.Spending{Bytes: 100}) {
		t.Errorf("100 bytes count %+v", st.spent)
	}
	s.Close()
	s.Close()
	if st.closed != 1 {
		t.Errorf("the account was closed %d times", st.closed)
	}
}

func TestAnOldCommandCountsLikeTheHeaviestForgotten(t *testing.T) {
	st := &stage{verdict: gate.Verdict{Decision: gate.Allow, Masks: gate.Masks{"name": "plain"}}}
	s, err := open(t, st.gateway(t, true), "a")
	s = must(t, s, err)
	old := decide(t, s, gate.Command{Effects: gate.EffectRead, Labels: []string{"name"}, Cells: 3})
	for range 3000 {
		decide(t, s, gate.Command{Effects: gate.EffectRead, Labels: []string{"name"}})
	}
	fresh := decide(t, s, gate.Command{Effects: gate.EffectRead})
	for n, want := range map[uint64]int64{old: 30, fresh: 0} {
		st.spent = gate.Spending{}
		if err := s.Effect(n, "DONE", 10); err != nil {
			t.Fatal(err)
		}
		if st.spent.Cells != want {
			t.Errorf("command %d counts %d cells, want %d", n, st.spent.Cells, want)
		}
	}
}

func TestThePolicyIsToldWhatWasSpentOnlyWhereItIsCounted(t *testing.T) {
	st := &stage{verdict: gate.Verdict{Decision: gate.Allow}, spent: gate.Spending{Rows: 9}}
	s, err := open(t, st.gateway(t, true), "a")
	decide(t, must(t, s, err), gate.Command{Effects: gate.EffectRead})
	if len(st.asked) != 1 || st.asked[0].Rows != 9 {
		t.Errorf("the policy was told %+v", st.asked)
	}
	bare := &stage{verdict: gate.Verdict{Decision: gate.Allow}}
	s, err = open(t, bare.gateway(t, false), "a")
	s = must(t, s, err)
	n := decide(t, s, gate.Command{Effects: gate.EffectWrite})
	if err := errors.Join(s.Effect(n, "DONE", 1), s.Answer(n, []byte("x"))); err != nil || len(bare.asked) != 0 {
		t.Errorf("%v, %+v", err, bare.asked)
	}
}

func TestSessionsBeyondALimitAreRefusedUntilOneCloses(t *testing.T) {
	st := &stage{target: gate.Target{Limits: gate.Limits{Sessions: 3, SessionsPerAgent: 2}}}
	g := st.gateway(t, true)
	open1 := func(agent string) (*gate.Session, error) { return open(t, g, agent) }
	limited := func(agent string) {
		t.Helper()
		_, err := open1(agent)
		var o *gate.OpenError
		if !errors.As(err, &o) || o.Stage != "limit" {
			t.Errorf("agent %s: %v, want the limit", agent, err)
		}
	}
	a1, err := open1("a")
	a1 = must(t, a1, err)
	a2, err := open1("a")
	must(t, a2, err)
	limited("a") // its own
	b1, err := open1("b")
	must(t, b1, err)
	limited("c") // the target's
	if st.starts != 3 {
		t.Errorf("%d recordings for 3 sessions", st.starts)
	}
	a1.End(gate.EndExpired, nil)
	limited("c") // it has ended, and its connections are still open
	a1.Close()
	a1.Close()
	c1, err := open1("c")
	must(t, c1, err)
	limited("a")
}

func TestNoMoreSessionsThanTheLimitOpenAtOnce(t *testing.T) {
	st := &stage{target: gate.Target{Limits: gate.Limits{Sessions: 5}}}
	g := st.gateway(t, false)
	var all sync.WaitGroup
	for range 40 {
		all.Go(func() {
			for range 5 {
				s, err := open(t, g, "a")
				if n := len(g.Sessions()); n > 5 {
					t.Errorf("%d sessions are open", n)
				}
				if err == nil {
					s.Close()
				}
			}
		})
	}
	all.Wait()
	s, err := open(t, g, "a")
	must(t, s, err)
}

func TestCountingAddsNoAllocationToAReadingCommand(t *testing.T) {
	allocations := func(metered bool) float64 {
		st := &stage{verdict: gate.Verdict{Decision: gate.Allow, Stable: true}}
		s, err := open(t, st.gateway(t, metered), "a")
		s = must(t, s, err)
		cmd, answer := gate.Command{Effects: gate.EffectRead, Facts: &struct{ n int }{}}, make([]byte, 100)
		return testing.AllocsPerRun(100, func() {
			p, err := s.Decide(context.Background(), &cmd)
			if err != nil || s.Effect(p.Command(), "DONE", 1) != nil || s.Answer(p.Command(), answer) != nil {
				t.Fatal(err)
			}
		})
	}
	if bare, metered := allocations(false), allocations(true); metered > bare {
		t.Errorf("%v allocations with counting, %v without", metered, bare)
	}
}

// TestASessionThatBeginsWhileItsTargetChangesDoesNotOpen: who ends the sessions of the
// old target may have looked before it was there.
func TestASessionThatBeginsWhileItsTargetChangesDoesNotOpen(t *testing.T) {
	s := &stage{}
	g := s.gateway(t, false)
	s.started = func() {
		s.target.Generation = "another"
		g.End(gate.EndRevoked, errors.New("changed"), func(*gate.SessionInfo) bool { return true })
	}
	if _, err := open(t, g, "a"); err == nil || len(g.Sessions()) != 0 {
		t.Errorf("opened with %v, %d sessions", err, len(g.Sessions()))
	}
	s.started = nil
	again, err := open(t, g, "a")
	must(t, again, err)
}
