package postgres

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/sallyport-gateway/sallyport/internal/pgserver"
	"github.com/sallyport-gateway/sallyport/test/pgtest"
)

// tee keeps both directions of one connection.
type tee struct {
	net.Conn
	mu             sync.Mutex
	sent, received []byte
}

func (c *tee) Write(b []byte) (int, error) {
	c.mu.Lock()
	c.sent = append(c.sent, b...)
	c.mu.Unlock()
	return c.Conn.Write(b)
}

func (c *tee) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.mu.Lock()
	c.received = append(c.received, b[:n]...)
	c.mu.Unlock()
	return n, err
}

// TestTrafficCanBeReadMessageByMessage captures what a real client and server
// say, checks that the framing understands all of it, and with -update keeps it
// as the fuzz targets' seeds.
func TestTrafficCanBeReadMessageByMessage(t *testing.T) {
	server := pgtest.Start(t, pgserver.Options{NoTLS: true, Roles: []pgserver.Role{{Name: "agent", Password: "p"}}})
	ctx := context.Background()
	for name, play := range map[string]func(*pgx.Conn) error{
		"simple": func(c *pgx.Conn) error {
			_, err := c.PgConn().Exec(ctx, "SELECT 1 AS one, NULL::text; SELECT 'x'; DO $$BEGIN RAISE NOTICE 'n'; END$$; SELECT 1/0").ReadAll()
			if err == nil {
				t.Error("1/0 has a value")
			}
			return nil
		},
		"extended": func(c *pgx.Conn) error {
			rows, err := c.Query(ctx, "SELECT i, i::text FROM generate_series(1, $1::int) i", 20)
			if err != nil {
				return err
			}
			rows.Close()
			return rows.Err()
		},
		"copy": func(c *pgx.Conn) error {
			if _, err := c.Exec(ctx, "CREATE TEMP TABLE t (a int)"); err != nil {
				return err
			}
			_, err := c.CopyFrom(ctx, pgx.Identifier{"t"}, []string{"a"}, pgx.CopyFromRows([][]any{{1}, {2}}))
			return err
		},
	} {
		cfg, err := pgx.ParseConfig("sslmode=disable user=agent password=p dbname=postgres host=" + server.Host)
		if err != nil {
			t.Fatal(err)
		}
		cfg.Port = uint16(server.Port)
		var wire *tee
		cfg.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
			var d net.Dialer
			c, err := d.DialContext(ctx, network, addr)
			wire = &tee{Conn: c}
			return wire, err
		}
		c, err := pgx.ConnectConfig(ctx, cfg)
		if err != nil {
			t.Fatal(err)
		}
		wire.mu.Lock()
		wire.sent, wire.received = nil, nil // the log-in has secrets of this server
		wire.mu.Unlock()
		if err := play(c); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := c.Close(ctx); err != nil {
			t.Fatal(err)
		}
		for direction, b := range map[string][]byte{"frontend": wire.sent, "backend": wire.received} {
			r := reader{src: &chunks{b, 1000}, eager: true}
			n := 0
			for {
				_, size, err := r.header()
				if err != nil {
					break
				}
				if _, err := r.body(size); err != nil {
					t.Fatalf("%s %s, message %d: %v", name, direction, n, err)
				}
				n++
			}
			if n < 2 {
				t.Errorf("%s %s: %d messages", name, direction, n)
			}
			if *update {
				if err := os.MkdirAll(filepath.Join("testdata", "traffic"), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join("testdata", "traffic", name+"."+direction), b, 0o644); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}
