package gate_test

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/sallyport-gateway/sallyport/internal/gate"
)

// panicking is a protocol that opens a session and cannot serve it.
type panicking struct{}

func (panicking) Name() string { return "p" }
func (panicking) Serve(ctx context.Context, c net.Conn, g *gate.Gateway) error {
	if _, err := g.Open(ctx, gate.Proof{Token: gate.NewSecret("a")}, "x", gate.Client{Conn: c, Protocol: "p"}); err != nil {
		return err
	}
	panic("hostile target")
}

// lines is a log that many write.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) { l.mu.Lock(); defer l.mu.Unlock(); return l.b.Write(b) }

// listenOnce serves n connections, one after the other.
func listenOnce(t *testing.T, g *gate.Gateway, p gate.Protocol, n, limit int) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- g.Listen(ctx, l, p, limit) }() // ends with ctx
	for range n {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		_, _ = c.Read(make([]byte, 1)) // until the gateway closes it
		_ = c.Close()
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestAPanicBeforeASessionIsServedLeavesNoSession(t *testing.T) {
	st := &stage{target: gate.Target{Limits: gate.Limits{Sessions: 1}}}
	g := st.gateway(t, false)
	listenOnce(t, g, panicking{}, 1, 0)
	if n := len(g.Sessions()); n != 0 {
		t.Errorf("%d sessions live on without a connection", n)
	}
	if _, err := open(t, g, "a"); err != nil {
		t.Errorf("the seat is still taken: %v", err)
	}
}

// failing is a protocol with which nobody gets far.
type failing struct{}

func (failing) Name() string                                         { return "p" }
func (failing) Serve(context.Context, net.Conn, *gate.Gateway) error { return context.Canceled }

func TestAFloodOfFailedConnectionsDoesNotFillTheLog(t *testing.T) {
	out := &lines{}
	st := &stage{}
	g, err := gate.New(gate.Config{Identifier: st, Directory: st, Policy: st, Approver: st, Recorder: st, Dialer: st, Vault: st,
		Log: slog.New(slog.NewTextHandler(out, nil))})
	if err != nil {
		t.Fatal(err)
	}
	listenOnce(t, g, failing{}, 2000, 0)
	if n := strings.Count(out.b.String(), "\n"); n > 100 || g.Counters().Failed.Load() != 2000 {
		t.Errorf("%d lines for %d failed connections", n, g.Counters().Failed.Load())
	}
}
