package postgres

import (
	"context"
	"net"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport-gateway/sallyport/internal/gate"
	"github.com/sallyport-gateway/sallyport/internal/pgserver"
	"github.com/sallyport-gateway/sallyport/internal/proto/postgres/wire"
	"github.com/sallyport-gateway/sallyport/test/pgtest"
)

// slowConn is a connection whose writes end only when their answer has been read
// and the next read waits: then pgconn reads in the background.
type slowConn struct {
	net.Conn
	reads chan struct{} // a read has begun
	under atomic.Int32  // reads under way
	plain atomic.Bool   // not slow any more
	// background: the last slow write was waited for by a read.
	background atomic.Bool
}

func (c *slowConn) Write(b []byte) (int, error) {
	if c.plain.Load() {
		return c.Conn.Write(b)
	}
	begins := 2 - c.under.Load() // the read of the answer, and the next one
	n, err := c.Conn.Write(b)
	for range begins {
		select {
		case <-c.reads:
		case <-time.After(200 * time.Millisecond): // pgconn does not read beside every write
			c.background.Store(false)
			return n, err
		}
	}
	c.background.Store(true)
	return n, err
}

func (c *slowConn) Read(b []byte) (int, error) {
	c.under.Add(1)
	defer c.under.Add(-1)
	select {
	case c.reads <- struct{}{}:
	default:
	}
	return c.Conn.Read(b)
}

// TestLoginLeavesNoReaderBehind logs in over a connection that is so slow that
// pgconn reads in the background. A read that it left behind would take the first
// answer of the session.
func TestLoginLeavesNoReaderBehind(t *testing.T) {
	server := pgtest.Start(t, pgserver.Options{NoTLS: true, Roles: []pgserver.Role{{Name: "agent", Password: "p"}}})
	address := net.JoinHostPort(server.Host, strconv.Itoa(server.Port))
	raw, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	slow := &slowConn{Conn: raw, reads: make(chan struct{})}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	b := &backend{}
	conn, err := b.login(ctx, slow, &gate.Target{Name: "t", Address: address, Database: "postgres", TLS: gate.TLS{Mode: gate.TLSDisable}},
		&gate.Credential{Username: "agent", Password: gate.NewSecret("p")})
	if err != nil {
		t.Fatal(err)
	}
	if !slow.background.Load() {
		t.Fatal("pgconn did not read in the background, so this test shows nothing")
	}
	if n := slow.under.Load(); n != 0 {
		t.Fatalf("%d reads are left behind", n)
	}
	slow.plain.Store(true)
	if _, err := conn.Write(wire.AppendQuery(nil, []byte("SELECT 1"))); err != nil {
		t.Fatal(err)
	}
	first := make([]byte, 1)
	if _, err := conn.Read(first); err != nil || first[0] != wire.RowDescription {
		t.Fatalf("the session reads %q, %v", first, err)
	}
}
