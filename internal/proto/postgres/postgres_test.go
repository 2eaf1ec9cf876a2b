package postgres_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sallyport-gateway/sallyport/internal/gate"
	"github.com/sallyport-gateway/sallyport/internal/gate/gatetest"
	"github.com/sallyport-gateway/sallyport/internal/pgserver"
	"github.com/sallyport-gateway/sallyport/internal/proto/postgres"
	"github.com/sallyport-gateway/sallyport/internal/sql/postgres/parse"
	"github.com/sallyport-gateway/sallyport/test/pgtest"
)

func TestMain(m *testing.M) {
	parse.WorkerMain()
	os.Exit(m.Run())
}

const password = "canary-1c9d4e7b"

const schema = `
CREATE TABLE orders (id int PRIMARY KEY, status text NOT NULL);
INSERT INTO orders SELECT i, 'new' FROM generate_series(1, 10) i;
CREATE TABLE customers (id int PRIMARY KEY, name text, ssn text);
INSERT INTO customers VALUES (1, 'Alice', '078-05-1120');
CREATE SEQUENCE effects;
CREATE TABLE log (n serial, t text);
GRANT ALL ON ALL TABLES IN SCHEMA public TO agent;
GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO agent;
`

func startPostgres(t testing.TB) *pgserver.Server {
	return pgtest.Start(t, pgserver.Options{
		NoTLS:     true,
		Roles:     []pgserver.Role{{Name: "agent", Password: password}},
		Databases: []pgserver.Database{{Name: "shop"}},
		Scripts:   []pgserver.Script{{Database: "shop", SQL: schema}},
	})
}

// gatewayTLS is the certificate of the gateway under test and the pool that
// trusts it.
func gatewayTLS(t testing.TB) (*tls.Config, *x509.CertPool) {
	t.Helper()
	a, err := pgserver.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	pair, err := a.IssueServer()
	if err != nil {
		t.Fatal(err)
	}
	c, err := tls.X509KeyPair(pair.CertPEM, pair.KeyPEM)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(c.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return &tls.Config{Certificates: []tls.Certificate{c}}, pool
}

// client is a native client: pgconn for commands, the bare TLS connection for
// hostile bytes.
type client struct {
	pg      *pgconn.PgConn
	notices []string
}

func connector(config *tls.Config) func(t testing.TB, addr, target, token string) (gatetest.Client, error) {
	return func(_ testing.TB, addr, target, token string) (gatetest.Client, error) {
		host, port, err := net.SplitHostPort(addr)
		if err != nil {
			return nil, err
		}
		cfg, err := pgconn.ParseConfig(fmt.Sprintf("host=%s port=%s user=agent dbname=%s sslmode=require", host, port, target))
		if err != nil {
			return nil, err
		}
		cfg.Password = token
		cl := &client{}
		cfg.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) { cl.notices = append(cl.notices, n.Message) }
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		cl.pg, err = pgconn.ConnectConfig(ctx, cfg)
		if err != nil {
			return nil, err
		}
		return cl, nil
	}
}

func (c *client) Do(command string) gatetest.Answer {
	c.notices = nil
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	results, err := c.pg.Exec(ctx, command).ReadAll()
	var b strings.Builder
	for _, r := range results {
		for _, row := range r.Rows {
			for _, v := range row {
				b.Write(v)
				b.WriteByte('\t')
			}
			b.WriteByte('\n')
		}
	}
	a := gatetest.Answer{Text: b.String(), Err: err, Closed: c.pg.IsClosed(), Notices: c.notices}
	var pe *pgconn.PgError
	if errors.As(err, &pe) {
		a.Text += pe.Message + "\n" + pe.Detail + "\n" + pe.Hint
		if pe.Code == "42501" || pe.Code == "57014" {
			a.Refused = pe.Detail
		}
	}
	return a
}

func (c *client) Raw(b []byte) (string, bool) {
	conn := c.pg.Conn()
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	defer conn.SetDeadline(time.Time{})
	if _, err := conn.Write(b); err != nil {
		return "", true
	}
	var got []byte
	buf := make([]byte, 4096)
	for {
		n, err := conn.Read(buf)
		got = append(got, buf[:n]...)
		if errors.Is(err, io.EOF) {
			return string(got), true
		}
		if err != nil {
			var timeout net.Error
			return string(got), !(errors.As(err, &timeout) && timeout.Timeout())
		}
		if strings.HasSuffix(string(got), "Z\x00\x00\x00\x05I") {
			return string(got), false
		}
	}
}

func (c *client) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = c.pg.Close(ctx)
}

func message(typ byte, body string) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{typ}, uint32(len(body)+4)), body...)
}

func TestConformance(t *testing.T) {
	pg := startPostgres(t)
	conformance(t, pg, pg.Address())
}

// TestConformanceWhereAQueryDoesNotEndATransaction has the server say that it is of
// release 18: what writes then runs in a block of the gateway's own.
func TestConformanceWhereAQueryDoesNotEndATransaction(t *testing.T) {
	pg := startPostgres(t)
	p := &disguise{to: pg.Address()}
	conformance(t, pg, p.listen(t))
	if p.begun.Load() == 0 || p.committed.Load() == 0 {
		t.Errorf("%d blocks were begun and %d committed", p.begun.Load(), p.committed.Load())
	}
}

// disguise relays to a server and changes the release that it says it is of.
type disguise struct {
	to               string
	begun, committed atomic.Int64
}

func (p *disguise) listen(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() { // ends with the listener
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go p.relay(c)
		}
	}()
	return l.Addr().String()
}

func (p *disguise) relay(c net.Conn) {
	defer c.Close()
	up, err := net.Dial("tcp", p.to)
	if err != nil {
		return
	}
	defer up.Close()
	go func() {
		pass(up, c, func(b []byte) []byte {
			p.begun.Add(int64(bytes.Count(b, message('Q', "BEGIN\x00"))))
			p.committed.Add(int64(bytes.Count(b, message('Q', "COMMIT\x00"))))
			return b
		})
		_ = up.Close()
	}()
	release := regexp.MustCompile(`server_version\x00\d\d`)
	pass(c, up, func(b []byte) []byte { return release.ReplaceAll(b, []byte("server_version\x0018")) })
}

// pass copies what comes, each piece changed.
func pass(dst io.Writer, src io.Reader, change func([]byte) []byte) {
	buf := make([]byte, 64<<10)
	for {
		n, err := src.Read(buf)
		if n > 0 {
			if _, err := dst.Write(change(buf[:n])); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func conformance(t *testing.T, pg *pgserver.Server, address string) {
	config, _ := gatewayTLS(t)
	pool, err := parse.New(parse.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pool.Close() })
	log := slog.New(slog.DiscardHandler)
	count := func(t testing.TB) int {
		var n int
		rows := pgtest.Query(t, pg, "shop", "SELECT count(*) FROM log")
		if _, err := fmt.Sscan(rows[0][0], &n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	gatetest.Run(t, &gatetest.Case{
		Protocol: "postgres",
		New: func(testing.TB) gate.Protocol {
			return postgres.New(postgres.Config{TLS: config, Catalogs: postgres.NewCatalogs(pool, log), Log: log})
		},
		Target:     gate.Target{Address: address, Database: "shop", TLS: gate.TLS{Mode: gate.TLSDisable}},
		Credential: gate.Credential{Name: "conformance", Username: "agent", Password: gate.NewSecret(password)},
		Connect:    connector(config),
		Marker:     "mark", Marks: []string{"public.customers.ssn"}, Secret: "078-05-1120",
		Allowed: "SELECT 'mark', id + 1000 AS answer FROM orders WHERE id = 7", AllowedAnswer: "1007",
		Blocked: "DELETE FROM orders WHERE status = 'mark_blocked'",
		Held:    "INSERT INTO log (t) VALUES ('mark_held')", Held2: "INSERT INTO log (t) VALUES ('mark_held two')",
		Effects: count,
		Masked:  "SELECT 'mark', name, ssn FROM customers",
		Slow:    "SELECT 'mark_slow', count(*) FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b",
		Running: func(t testing.TB) bool {
			rows := pgtest.Query(t, pg, "shop", "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%mark_slow%' AND pid <> pg_backend_pid()")
			return rows[0][0] != "0"
		},
		Hostile: []gatetest.Hostile{
			{Name: "unknown type", Bytes: message('j', "hello"), Ends: true},
			{Name: "second startup packet", Bytes: []byte("\x00\x00\x00\x08\x04\xd2\x16\x2f"), Ends: true},
			{Name: "length below four", Bytes: []byte{'Q', 0, 0, 0, 3}, Ends: true},
			{Name: "length that wraps", Bytes: []byte{'Q', 0xff, 0xff, 0xff, 0xff}, Ends: true},
			{Name: "two texts in one Query", Bytes: message('Q', "SELECT 1\x00DELETE FROM orders\x00"), Ends: true},
			{Name: "Query without NUL", Bytes: message('Q', "SELECT 1"), Ends: true},
			{Name: "FunctionCall", Bytes: message('F', "\x00\x00\x05\x39\x00\x00\x00\x00\x00\x00")},
			{Name: "Bind with a size beyond its end", Bytes: message('B', "\x00\x00\x00\x00\x00\x01\x7f\xff\xff\xff\x00\x00"), Ends: true},
			{Name: "half a header", Bytes: []byte{'Q', 0, 0}, Truncated: true},
			{Name: "half a body", Bytes: append([]byte{'Q', 0, 0, 1, 0}, "SELECT"...), Truncated: true},
			{Name: "a text that is not UTF-8", Bytes: message('Q', "SELECT '\xff'\x00")},
			{Name: "20,000 parentheses", Bytes: message('Q', "SELECT "+strings.Repeat("(", 20000)+"1"+strings.Repeat(")", 20000)+"\x00")},
			{Name: "100,000 terms", Bytes: message('Q', "SELECT 1"+strings.Repeat("+1", 100000)+"\x00")},
			{Name: "more than 16 MiB of SQL", Bytes: message('Q', "SELECT '"+strings.Repeat("x", 16<<20)+"'\x00")},
		},
	})
}
