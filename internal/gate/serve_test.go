package gate_test

import (
	"context"
	"net"
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
