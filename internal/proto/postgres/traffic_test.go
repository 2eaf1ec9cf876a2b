package postgres

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"encoding/pem"
	"io"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/sallyport-gateway/sallyport/internal/pgserver"
	"github.com/sallyport-gateway/sallyport/internal/proto/postgres/wire"
	"github.com/sallyport-gateway/sallyport/test/clients"
	"github.com/sallyport-gateway/sallyport/test/pgtest"
)

// capture is what one client and the server said: the parameters of the first
// StartupMessage, and both directions of every connection from the end of the log-in on.
type capture struct {
	mu                         sync.Mutex // guards the three
	startup, frontend, backend []byte
}

// relay takes TLS off what a client sends, passes it on to a server that speaks
// without, and keeps what both say.
func (c *capture) relay(ctx context.Context, client net.Conn, server string, cert tls.Certificate) error {
	defer client.Close()
	defer context.AfterFunc(ctx, func() { client.Close() })()
	request := make([]byte, 8)
	if _, err := io.ReadFull(client, request); err != nil || binary.BigEndian.Uint32(request[4:]) != wire.SSLRequest {
		return err // a cancel request without TLS: psql of before 17
	}
	if _, err := client.Write([]byte{'S'}); err != nil {
		return err
	}
	client = tls.Server(client, &tls.Config{Certificates: []tls.Certificate{cert}})
	var d net.Dialer
	upstream, err := d.DialContext(ctx, "tcp", server)
	if err != nil {
		return err
	}
	defer upstream.Close()

	size := make([]byte, 4)
	if _, err := io.ReadFull(client, size); err != nil {
		return err
	}
	start := make([]byte, binary.BigEndian.Uint32(size)-4)
	if _, err := io.ReadFull(client, start); err != nil {
		return err
	}
	if _, err := upstream.Write(append(size, start...)); err != nil {
		return err
	}
	var sent, received []byte
	var pumps sync.WaitGroup
	pump := func(to io.Writer, from io.Reader, kept *[]byte) {
		pumps.Go(func() {
			_, _ = io.Copy(to, io.TeeReader(from, writer(func(b []byte) { *kept = append(*kept, b...) })))
			_ = upstream.Close()
			_ = client.Close()
		})
	}
	pump(upstream, client, &sent)
	pump(client, upstream, &received)
	pumps.Wait()
	if binary.BigEndian.Uint32(start) == wire.CancelRequest {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.startup == nil {
		c.startup = start[4:]
	}
	c.frontend = append(c.frontend, behind(sent, func(typ byte, _ []byte) bool { return typ == 'p' })...)
	c.backend = append(c.backend, behind(received, func(typ byte, _ []byte) bool { return typ == wire.Authentication })...)
	return nil
}

// writer calls itself for what is written.
type writer func([]byte)

func (w writer) Write(b []byte) (int, error) { w(b); return len(b), nil }

// behind returns what stands behind the last message of a kind: what a log-in says
// are secrets of this server, and differ each time.
func behind(b []byte, is func(typ byte, body []byte) bool) []byte {
	r := reader{src: &chunks{b, len(b) + 1}, eager: true}
	cut, at := 0, 0
	for {
		typ, n, err := r.header()
		if err != nil {
			return b[cut:]
		}
		body, err := r.body(n)
		if err != nil {
			return b[cut:]
		}
		if at += wire.HeaderSize + n; is(typ, body) {
			cut = at
		}
		r.release()
	}
}

// TestTrafficCanBeReadMessageByMessage captures what the five clients and a real
// server say, checks that the framing understands all of it, and with -update keeps
// it as the fuzz targets' seeds.
func TestTrafficCanBeReadMessageByMessage(t *testing.T) {
	server := pgtest.Start(t, pgserver.Options{NoTLS: true,
		Roles:     []pgserver.Role{{Name: "agent", Password: "p"}},
		Databases: []pgserver.Database{{Name: "orders"}},
		Scripts:   []pgserver.Script{{Database: "orders", SQL: clients.Schema("agent")}}})
	shown := httptest.NewTLSServer(nil) // for its certificate
	defer shown.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: shown.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, client := range clients.AllClients() {
		t.Run(string(client), func(t *testing.T) {
			said := play(t, client, server, shown.TLS.Certificates[0], ca)
			for direction, b := range map[string][]byte{"frontend": said.frontend, "backend": said.backend} {
				if n := count(t, direction, b); n < 50 {
					t.Errorf("%s: %d messages", direction, n)
				}
			}
			if s, _, fault := parseStartup(said.startup); fault != nil || s.database != "orders" {
				t.Errorf("startup %q: %v", said.startup, fault)
			}
			if *update {
				keep(t, string(client), said)
			}
		})
	}
}

// play runs a client's scenarios through a relay; those of many rows say nothing new.
func play(t *testing.T, client clients.Client, server *pgserver.Server, cert tls.Certificate, ca string) *capture {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	said := &capture{}
	ctx, cancel := context.WithCancel(t.Context())
	var relays sync.WaitGroup
	relays.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			relays.Go(func() {
				if err := said.relay(ctx, conn, server.Address(), cert); err != nil {
					t.Errorf("relay: %v", err)
				}
			})
		}
	})
	results, err := clients.Run(ctx, clients.Config{Host: "127.0.0.1", Port: ln.Addr().(*net.TCPAddr).Port, Database: "orders",
		User: "agent", Password: "p", CAFile: ca, Clients: []clients.Client{client}},
		clients.Select, clients.Parameters, clients.Prepared, clients.Pipeline, clients.Transaction, clients.Error,
		clients.CopyOut, clients.Metadata, clients.Notice, clients.Multi, clients.ApplicationName, clients.Refused)
	cancel()
	ln.Close()
	relays.Wait()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range results {
		if !r.OK {
			t.Errorf("%s: %s", r.Scenario, r.Failure)
		}
	}
	return said
}

// count says how many messages the framing reads.
func count(t *testing.T, direction string, b []byte) (n int) {
	r := reader{src: &chunks{b, 1000}, eager: true}
	for {
		_, size, err := r.header()
		if err != nil {
			return n
		}
		if _, err := r.body(size); err != nil {
			t.Fatalf("%s, message %d: %v", direction, n, err)
		}
		r.release()
		n++
	}
}

// keep writes what was captured into testdata.
func keep(t *testing.T, client string, said *capture) {
	dir := filepath.Join("testdata", "traffic")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for direction, b := range map[string][]byte{"startup": said.startup, "frontend": said.frontend, "backend": said.backend} {
		if err := os.WriteFile(filepath.Join(dir, client+"."+direction), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
