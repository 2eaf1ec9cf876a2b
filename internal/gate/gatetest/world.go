package gatetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport-gateway/sallyport/internal/gate"
)

// The tokens and the target that a Case's client uses.
const (
	Token      = "agent-token"
	TargetName = "conformance"
	OtherAgent = "other-token"
	Label      = "secret"
)

// world is a gateway with everything around it played by the test.
type world struct {
	t       testing.TB
	c       *Case
	gateway *gate.Gateway
	addr    string
	target  gate.Target
	before  int // how much of Case.Seen is older than this world

	mu     sync.Mutex
	log    bytes.Buffer // guarded by mu
	trace  []string     // guarded by mu: what happened, in order
	events []gate.Event // guarded by mu: copies of everything recorded
	sent   bytes.Buffer // guarded by mu: every byte written to the target
	asks   map[string]*request
	bySum  map[string]*request

	failAppend atomic.Bool
	failCommit atomic.Bool
	generation atomic.Uint64
	block      atomic.Bool // the policy blocks everything
}

type request struct {
	id, digest string
	state      gate.RequestState
	changed    chan struct{}
}

func newWorld(t testing.TB, c *Case, hold time.Duration) *world {
	t.Helper()
	w := &world{t: t, c: c, asks: map[string]*request{}, bySum: map[string]*request{}, target: c.Target}
	if c.Seen != nil {
		w.before = len(c.Seen(t))
	}
	w.target.Name, w.target.Protocol = TargetName, c.Protocol
	w.target.Marks = map[string][]string{Label: c.Marks}
	w.target.Credential, w.target.Generation = "conformance", "1"
	g, err := gate.New(gate.Config{
		Identifier: w, Directory: w, Policy: w, Approver: w, Recorder: w, Dialer: w, Vault: w, Hold: hold,
		Log: slog.New(slog.NewJSONHandler(writer{w}, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err != nil {
		t.Fatal(err)
	}
	w.gateway = g
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w.addr = l.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- g.Listen(ctx, l, c.New(t), 0) }()
	t.Cleanup(func() {
		cancel()
		stop, cancelStop := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancelStop()
		if err := g.Shutdown(stop); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		if err := <-done; err != nil {
			t.Errorf("listen: %v", err)
		}
	})
	return w
}

func (w *world) connect() Client {
	w.t.Helper()
	cl, err := w.c.Connect(w.t, w.addr, TargetName, Token)
	if err != nil {
		w.t.Fatalf("connect: %v", err)
	}
	w.t.Cleanup(cl.Close)
	return cl
}

// forwarded returns every byte that went to the target so far.
func (w *world) forwarded() string {
	if w.c.Seen != nil {
		return w.c.Seen(w.t)[w.before:]
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.sent.String()
}

// observe notes in the trace what the target itself has received.
func (w *world) observe() {
	if w.c.Seen == nil {
		return
	}
	if got := w.forwarded(); got != "" {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.trace = append(w.trace, "forwarded "+got)
	}
}

func (w *world) logged() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.log.String()
}

// recorded returns everything that is on record, as one text.
func (w *world) recorded() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var b strings.Builder
	for _, e := range w.events {
		fmt.Fprintf(&b, "%d %q %q %q %v\n", e.Kind, e.Text, e.Params, e.Data, e.Verdict)
	}
	return b.String()
}

type writer struct{ w *world }

func (l writer) Write(p []byte) (int, error) {
	l.w.mu.Lock()
	defer l.w.mu.Unlock()
	return l.w.log.Write(p)
}

// Identify implements gate.Identifier.
func (w *world) Identify(_ context.Context, proof gate.Proof) (*gate.Principal, error) {
	subject := ""
	switch proof.Token.Reveal() {
	case Token:
		subject = "agent"
	case OtherAgent:
		subject = "other"
	default:
		return nil, errors.New("no such token")
	}
	now := time.Now()
	return &gate.Principal{Party: gate.Party{Issuer: "https://issuer.test", Subject: subject}, Kind: gate.KindAgent,
		Agent: subject, ClientID: subject, TokenID: "jti-" + subject, IssuedAt: now, Expiry: now.Add(time.Hour)}, nil
}

// Revoked implements gate.Identifier.
func (w *world) Revoked(*gate.Principal) (string, bool) { return "", false }

// Target implements gate.Directory.
func (w *world) Target(name string) (*gate.Target, bool) {
	if name != TargetName {
		return nil, false
	}
	t := w.target
	return &t, true
}

// Generation implements gate.Policy.
func (w *world) Generation() uint64 { return w.generation.Load() }

// Decide implements gate.Policy: the case's own commands are decided as their
// names say, and nothing else is allowed.
func (w *world) Decide(_ context.Context, _ *gate.SessionInfo, cmd *gate.Command) (gate.Verdict, error) {
	if w.block.Load() {
		return gate.Verdict{Rule: "suite/block-all", Reason: "everything is blocked"}, nil
	}
	switch {
	case strings.Contains(cmd.Text, w.c.Marker+"_blocked"):
		return gate.Verdict{Rule: "suite/block", Reason: "the suite blocks it"}, nil
	case strings.Contains(cmd.Text, w.c.Marker+"_held"):
		return gate.Verdict{Decision: gate.Hold, Rule: "suite/hold", Reason: "the suite holds it",
			Approval: gate.Approval{Groups: []string{"approvers"}, Within: time.Minute}}, nil
	case strings.Contains(cmd.Text, w.c.Marker):
		return gate.Verdict{Decision: gate.Allow, Rule: "suite/allow"}, nil
	}
	return gate.Verdict{}, nil
}

// Ask implements gate.Approver.
func (w *world) Ask(_ context.Context, a *gate.Ask) (gate.Asked, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	r := w.bySum[a.Digest]
	if r != nil && r.state == gate.RequestApproved {
		r.state = gate.RequestConsumed
		delete(w.bySum, a.Digest)
		return gate.Asked{Granted: true, Request: r.id}, nil
	}
	if r == nil || r.state != gate.RequestPending {
		r = &request{id: fmt.Sprintf("apr_%d", len(w.asks)+1), digest: a.Digest, state: gate.RequestPending, changed: make(chan struct{})}
		w.asks[r.id], w.bySum[a.Digest] = r, r
	}
	w.trace = append(w.trace, "asked "+r.id)
	return gate.Asked{Request: r.id, State: r.state, Expires: time.Now().Add(time.Minute), URL: "https://gateway.test/" + r.id}, nil
}

// Wait implements gate.Approver.
func (w *world) Wait(ctx context.Context, id string) (gate.RequestState, error) {
	w.mu.Lock()
	r := w.asks[id]
	w.mu.Unlock()
	select {
	case <-r.changed:
		w.mu.Lock()
		defer w.mu.Unlock()
		return r.state, nil
	case <-ctx.Done():
		return gate.RequestPending, ctx.Err()
	}
}

// Withdraw implements gate.Approver.
func (w *world) Withdraw(_ context.Context, id string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asks[id].state = gate.RequestCancelled
	delete(w.bySum, w.asks[id].digest)
	return nil
}

// answer approves or denies the newest pending request, waiting for one.
func (w *world) answer(state gate.RequestState) {
	w.t.Helper()
	eventually(w.t, "an access request is filed", func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		for _, r := range w.bySum {
			if r.state == gate.RequestPending {
				r.state = state
				close(r.changed)
				return true
			}
		}
		return false
	})
}

// Start implements gate.Recorder.
func (w *world) Start(*gate.SessionInfo) (gate.Recording, error) {
	if w.failAppend.Load() {
		return nil, errors.New("no space left on device")
	}
	return &recording{w: w}, nil
}

type recording struct {
	w       *world
	pending []gate.Event
	failed  bool
}

func (r *recording) Append(e *gate.Event) error {
	if r.failed || r.w.failAppend.Load() {
		r.failed = true
		return errors.New("no space left on device")
	}
	c := *e
	c.Data = bytes.Clone(e.Data)
	if e.Verdict != nil {
		v := *e.Verdict
		c.Verdict = &v
	}
	r.pending = append(r.pending, c)
	return nil
}

func (r *recording) Commit() error {
	if r.failed || r.w.failCommit.Load() {
		r.failed = true
		return errors.New("no space left on device")
	}
	r.w.observe()
	r.w.mu.Lock()
	defer r.w.mu.Unlock()
	for _, e := range r.pending {
		if e.Kind == gate.EventCommand {
			r.w.trace = append(r.w.trace, "recorded "+e.Text)
		}
	}
	r.w.events = append(r.w.events, r.pending...)
	r.pending = r.pending[:0]
	return nil
}

func (r *recording) Close() error { return r.Commit() }

// Dial implements gate.Dialer: every byte written to the target is kept.
func (w *world) Dial(ctx context.Context, t *gate.Target) (net.Conn, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", t.Address)
	if err != nil {
		return nil, err
	}
	return &tapped{Conn: c, w: w}, nil
}

type tapped struct {
	net.Conn
	w *world
}

func (c *tapped) Write(b []byte) (int, error) {
	c.w.mu.Lock()
	if c.w.c.Seen == nil {
		c.w.sent.Write(b)
		c.w.trace = append(c.w.trace, "forwarded "+string(b))
	}
	c.w.mu.Unlock()
	return c.Conn.Write(b)
}

// Credential implements gate.Vault.
func (w *world) Credential(context.Context, string) (*gate.Credential, error) {
	c := w.c.Credential
	return &c, nil
}

// eventually waits for a condition, for at most ten seconds.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.NewTimer(10 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		if ok() {
			return
		}
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("waited in vain until %s", what)
		}
	}
}
