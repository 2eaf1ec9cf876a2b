package gatetest

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-gateway/sallyport/internal/gate"
)

// Case is what a protocol brings to the suite.
type Case struct {
	// Protocol is the protocol's name.
	Protocol string
	// New makes the protocol. The certificate it offers is its own affair; the
	// case's client trusts it.
	New func(t testing.TB) gate.Protocol
	// Target is how to reach a real server: address, database, TLS mode.
	Target gate.Target
	// Credential logs in to the target. Its password must be a value that
	// appears nowhere else: the suite looks for it everywhere.
	Credential gate.Credential
	// Connect opens a native client. An error is the gateway's refusal.
	Connect func(t testing.TB, addr, target, token string) (Client, error)

	// Marker is a word in every command of the case; commands with
	// Marker_blocked and Marker_held are blocked and held.
	Marker string
	// Allowed answers with AllowedAnswer in it.
	Allowed, AllowedAnswer string
	Blocked                string
	// Held must change something that Held2 (another command, also held) does
	// not, and Effects returns how often Held has taken effect at the target.
	Held, Held2 string
	Effects     func(t testing.TB) int
	// Masked reads what Marks names; its plain answer would hold Secret.
	Masked, Secret string
	Marks          []string
	// Seen returns what commands the target itself has received so far, as text. Nil
	// means that the bytes on the connection to it tell, because nothing encrypts
	// them.
	Seen func(t testing.TB) string
	// Slow runs for a long time at the target while Running reports true.
	Slow    string
	Running func(t testing.TB) bool
	// Hostile are byte strings that no client may send after log-in.
	Hostile []Hostile
}

// Hostile is a message that must be refused.
type Hostile struct {
	Name  string
	Bytes []byte
	// Ends says that the connection must be closed; otherwise the session goes
	// on after an error.
	Ends bool
	// Truncated says that the client closes after sending.
	Truncated bool
}

// Client is a native client of the protocol, connected.
type Client interface {
	// Do runs a command and returns what came of it.
	Do(command string) Answer
	// Raw sends bytes as they are and returns every byte that comes back until
	// the gateway is silent for a moment or closes; closed says which.
	Raw(b []byte) (answer string, closed bool)
	Close()
}

// Answer is what a client got.
type Answer struct {
	// Text is everything received, rows and errors, as text.
	Text string
	// Refused is the machine-readable line of a native refusal, or empty.
	Refused string
	// Notices are what was told while the command waited.
	Notices []string
	// Err is any error, the refusal included.
	Err error
	// Closed says that the connection is gone.
	Closed bool
}

// Run runs the suite.
func Run(t *testing.T, c *Case) {
	for name, test := range map[string]func(*testing.T, *Case){
		"an allowed command is answered":                               allowed,
		"a command is on record before it is forwarded":                recordedFirst,
		"a blocked command never reaches the target":                   blocked,
		"a recorder that cannot write stops the traffic":               recorderFails,
		"a session that cannot be recorded is not opened":              recorderFailsAtStart,
		"a held command runs when it is approved":                      heldApproved,
		"a held command that nobody approves comes back":               heldExpires,
		"a denied command does not run":                                heldDenied,
		"an approval never overrides a block":                          heldThenBlocked,
		"a masked value never leaves":                                  masked,
		"a credential is in no record, log or error":                   credential,
		"a refused token opens nothing and a wrong target names none":  refusedOpen,
		"a hostile message is refused and no other session notices it": hostile,
		"a session that is ended stops what runs at the target":        ended,
	} {
		t.Run(name, func(t *testing.T) { test(t, c) })
	}
}

func allowed(t *testing.T, c *Case) {
	w := newWorld(t, c, time.Minute)
	a := w.connect().Do(c.Allowed)
	if a.Err != nil || !strings.Contains(a.Text, c.AllowedAnswer) {
		t.Fatalf("got %+v, want %q", a, c.AllowedAnswer)
	}
}

func recordedFirst(t *testing.T, c *Case) {
	w := newWorld(t, c, time.Minute)
	if a := w.connect().Do(c.Allowed); a.Err != nil {
		t.Fatal(a.Err)
	}
	w.observe()
	w.mu.Lock()
	defer w.mu.Unlock()
	recorded := slices.IndexFunc(w.trace, func(s string) bool {
		return strings.HasPrefix(s, "recorded ") && strings.Contains(s, c.Marker)
	})
	forwarded := slices.IndexFunc(w.trace, func(s string) bool {
		return strings.HasPrefix(s, "forwarded ") && strings.Contains(s, c.Marker)
	})
	if recorded < 0 || forwarded < 0 || recorded > forwarded {
		t.Fatalf("recorded at %d, forwarded at %d of %q", recorded, forwarded, w.trace)
	}
	if !slices.ContainsFunc(w.events, func(e gate.Event) bool {
		return e.Kind == gate.EventAnswer && strings.Contains(string(e.Data), c.AllowedAnswer)
	}) {
		t.Fatal("the answer is not on record")
	}
}

func blocked(t *testing.T, c *Case) {
	w := newWorld(t, c, time.Minute)
	cl := w.connect()
	for range 2 {
		a := cl.Do(c.Blocked)
		if !strings.HasPrefix(a.Refused, "SALLYPORT blocked ") || !strings.Contains(a.Refused, "rule=suite/block") || a.Closed {
			t.Fatalf("got %+v, want a native refusal", a)
		}
		if strings.Contains(w.forwarded(), c.Marker+"_blocked") {
			t.Fatal("the target has seen the blocked command")
		}
		if a := cl.Do(c.Allowed); a.Err != nil || !strings.Contains(a.Text, c.AllowedAnswer) {
			t.Fatalf("after a refusal: %+v", a)
		}
	}
	if !strings.Contains(w.recorded(), c.Marker+"_blocked") {
		t.Fatal("the blocked command is not on record")
	}
}

func recorderFails(t *testing.T, c *Case) {
	for _, fail := range []string{"append", "commit"} {
		w := newWorld(t, c, time.Minute)
		cl := w.connect()
		if a := cl.Do(c.Allowed); a.Err != nil {
			t.Fatal(a.Err)
		}
		before := w.forwarded()
		w.failAppend.Store(fail == "append")
		w.failCommit.Store(fail == "commit")
		a := cl.Do(c.Allowed)
		if a.Err == nil || !a.Closed {
			t.Errorf("%s: got %+v, want an error and the end of the session", fail, a)
		}
		if strings.Contains(a.Text, c.AllowedAnswer) {
			t.Errorf("%s: an answer was sent that is not on record", fail)
		}
		if after := w.forwarded(); strings.Contains(after[len(before):], c.Marker) {
			t.Errorf("%s: a command was forwarded that is not on record", fail)
		}
	}
}

func recorderFailsAtStart(t *testing.T, c *Case) {
	w := newWorld(t, c, time.Minute)
	w.failAppend.Store(true)
	if _, err := c.Connect(t, w.addr, TargetName, Token); err == nil {
		t.Fatal("a session was opened that cannot be recorded")
	}
}

func heldApproved(t *testing.T, c *Case) {
	w := newWorld(t, c, time.Minute)
	before := c.Effects(t)
	cl := w.connect()
	got := make(chan Answer, 1)
	go func() { got <- cl.Do(c.Held) }()
	w.answer(gate.RequestApproved)
	a := <-got
	if a.Err != nil {
		t.Fatalf("got %+v", a)
	}
	if n := c.Effects(t) - before; n != 1 {
		t.Fatalf("it took effect %d times, want once", n)
	}
	// The grant is used up: the identical command waits again.
	go func() { got <- cl.Do(c.Held) }()
	w.answer(gate.RequestDenied)
	if a := <-got; !strings.HasPrefix(a.Refused, "SALLYPORT approval_denied ") {
		t.Fatalf("the second time: %+v", a)
	}
	if n := c.Effects(t) - before; n != 1 {
		t.Fatalf("it took effect %d times, want once", n)
	}
}

func heldExpires(t *testing.T, c *Case) {
	w := newWorld(t, c, 50*time.Millisecond)
	before := c.Effects(t)
	cl := w.connect()
	a := cl.Do(c.Held)
	if !strings.HasPrefix(a.Refused, "SALLYPORT approval_required id=apr_") || !strings.Contains(a.Refused, "digest=sha256:") || a.Closed {
		t.Fatalf("got %+v", a)
	}
	if c.Effects(t) != before {
		t.Fatal("it took effect without an approval")
	}
	w.answer(gate.RequestApproved)
	if a := cl.Do(c.Held2); a.Err == nil {
		t.Fatal("another command ran on the approval")
	}
	other := w.connect() // another connection: the grant is not bound to it
	if a := other.Do(c.Held); a.Err != nil {
		t.Fatalf("the identical command after approval: %+v", a)
	}
	if a := cl.Do(c.Held); !strings.HasPrefix(a.Refused, "SALLYPORT approval_required") {
		t.Fatalf("the identical command again: %+v", a)
	}
	if n := c.Effects(t) - before; n != 1 {
		t.Fatalf("it took effect %d times, want once", n)
	}
}

func heldDenied(t *testing.T, c *Case) {
	w := newWorld(t, c, time.Minute)
	before := c.Effects(t)
	cl := w.connect()
	got := make(chan Answer, 1)
	go func() { got <- cl.Do(c.Held) }()
	w.answer(gate.RequestDenied)
	if a := <-got; !strings.HasPrefix(a.Refused, "SALLYPORT approval_denied ") || a.Closed {
		t.Fatalf("got %+v", a)
	}
	if c.Effects(t) != before || strings.Contains(w.forwarded(), c.Marker+"_held") {
		t.Fatal("a denied command reached the target")
	}
}

func heldThenBlocked(t *testing.T, c *Case) {
	w := newWorld(t, c, time.Minute)
	before := c.Effects(t)
	cl := w.connect()
	got := make(chan Answer, 1)
	go func() { got <- cl.Do(c.Held) }()
	eventually(t, "the command waits", func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return slices.ContainsFunc(w.trace, func(s string) bool { return strings.HasPrefix(s, "asked ") })
	})
	w.block.Store(true)
	w.generation.Add(1)
	w.answer(gate.RequestApproved)
	if a := <-got; !strings.HasPrefix(a.Refused, "SALLYPORT blocked ") {
		t.Fatalf("got %+v", a)
	}
	if c.Effects(t) != before {
		t.Fatal("an approval overrode a block")
	}
}

func masked(t *testing.T, c *Case) {
	w := newWorld(t, c, time.Minute)
	a := w.connect().Do(c.Masked)
	if strings.Contains(a.Text, c.Secret) {
		t.Fatalf("the secret left: %+v", a)
	}
	if a.Err != nil {
		t.Fatalf("a direct read of a masked value is refused: %v", a.Err)
	}
	if strings.Contains(w.recorded(), c.Secret) {
		t.Fatal("the secret is in the recording")
	}
}

func credential(t *testing.T, c *Case) {
	w := newWorld(t, c, time.Minute)
	cl := w.connect()
	text := cl.Do(c.Allowed).Text + cl.Do(c.Blocked).Text
	secret := c.Credential.Password.Reveal()
	wrong := *c
	wrong.Credential.Password = gate.NewSecret(secret + "-wrong")
	w2 := newWorld(t, &wrong, time.Minute)
	_, err := c.Connect(t, w2.addr, TargetName, Token)
	if err == nil {
		t.Fatal("a wrong credential logged in")
	}
	for where, s := range map[string]string{"answer": text, "recording": w.recorded() + w2.recorded(),
		"log": w.logged() + w2.logged(), "error": err.Error()} {
		if strings.Contains(s, secret) {
			t.Errorf("the credential is in the %s: %s", where, s)
		}
		if strings.Contains(s, Token) {
			t.Errorf("the token is in the %s: %s", where, s)
		}
	}
}

func refusedOpen(t *testing.T, c *Case) {
	w := newWorld(t, c, time.Minute)
	if _, err := c.Connect(t, w.addr, TargetName, "forged"); err == nil {
		t.Error("a forged token opened a session")
	}
	if _, err := c.Connect(t, w.addr, "no-such-target", Token); err == nil {
		t.Error("a session to no target was opened")
	}
	if w.forwarded() != "" {
		t.Error("bytes reached a target without a session")
	}
}

func hostile(t *testing.T, c *Case) {
	w := newWorld(t, c, time.Minute)
	bystander := w.connect()
	for _, h := range c.Hostile {
		t.Run(h.Name, func(t *testing.T) {
			cl, err := c.Connect(t, w.addr, TargetName, Token)
			if err != nil {
				t.Fatal(err)
			}
			defer cl.Close()
			before := len(w.forwarded())
			if h.Truncated {
				_, _ = cl.Raw(h.Bytes)
				cl.Close()
			} else if answer, closed := cl.Raw(h.Bytes); h.Ends && !closed {
				t.Errorf("the connection is still open after %q", answer)
			} else if answer == "" && !closed {
				t.Error("neither an error nor the end of the connection")
			} else if !h.Ends {
				if a := cl.Do(c.Allowed); a.Err != nil {
					t.Errorf("the next command: %+v", a)
				}
			}
			if h.Ends && len(h.Bytes) > 0 && strings.Contains(w.forwarded()[before:], string(h.Bytes)) {
				t.Error("the target has seen the message")
			}
		})
		if a := bystander.Do(c.Allowed); a.Err != nil {
			t.Fatalf("another session after %s: %+v", h.Name, a)
		}
	}
}

func ended(t *testing.T, c *Case) {
	w := newWorld(t, c, time.Minute)
	cl := w.connect()
	got := make(chan Answer, 1)
	go func() { got <- cl.Do(c.Slow) }()
	eventually(t, "the command runs", func() bool { return c.Running(t) })
	if n := w.gateway.End(gate.EndRevoked, nil, func(*gate.SessionInfo) bool { return true }); n != 1 {
		t.Fatalf("%d sessions ended, want 1", n)
	}
	if a := <-got; a.Err == nil || !a.Closed {
		t.Fatalf("got %+v, want the end of the session", a)
	}
	eventually(t, "the target has stopped", func() bool { return !c.Running(t) })
}
