package slice_test

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	sslRequest    = 80877103
	gssEncRequest = 80877104
	cancelRequest = 80877102
)

// packet is a packet without a type byte.
func packet(code uint32, body string) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(8+len(body)))
	return append(binary.BigEndian.AppendUint32(b, code), body...)
}

// startup is a startup packet for the target shop.
func startup(version uint32, parameters string) []byte {
	return packet(version, "user\x00agent\x00database\x00shop\x00"+parameters+"\x00")
}

// raw is a TCP connection to the gateway.
func (g *gateway) raw(t testing.TB) *bare {
	t.Helper()
	conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", g.port))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &bare{t: t, conn: conn, r: bufio.NewReader(conn), patience: patience}
}

// byte1 reads the single byte that answers SSLRequest.
func (b *bare) byte1() string {
	_ = b.conn.SetReadDeadline(time.Now().Add(b.patience))
	c, err := b.r.ReadByte()
	if err != nil {
		return "closed"
	}
	return string(c)
}

// encrypt does the client's part of the TLS handshake.
func (b *bare) encrypt(g *gateway, protocols ...string) error {
	pem, err := os.ReadFile(g.ca)
	if err != nil {
		return err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	_ = b.conn.SetDeadline(time.Now().Add(patience))
	c := tls.Client(b.conn, &tls.Config{RootCAs: pool, ServerName: "127.0.0.1", NextProtos: protocols})
	if err := c.Handshake(); err != nil {
		return err
	}
	_ = c.SetDeadline(time.Time{})
	b.conn, b.r = c, bufio.NewReader(c)
	return nil
}

// secured is a connection after the TLS handshake.
func (g *gateway) secured(t testing.TB) *bare {
	t.Helper()
	b := g.raw(t)
	b.send(packet(sslRequest, ""))
	if got := b.byte1(); got != "S" {
		t.Fatalf("SSLRequest: %q", got)
	}
	if err := b.encrypt(g); err != nil {
		t.Fatal(err)
	}
	return b
}

// logIn sends the token and reads to the end of the log-in.
func (b *bare) logIn(t testing.TB, token string) string {
	t.Helper()
	b.send(message('p', token+"\x00"))
	return b.until("Z")
}

func TestWhatComesBeforeTheSession(t *testing.T) {
	w := the(t)
	token := w.token(t, reporter)
	t.Run("a startup packet without TLS is refused", func(t *testing.T) {
		b := w.gw.raw(t)
		b.send(startup(3<<16, ""))
		if got := b.closed(); got != "E(FATAL 28000) closed" {
			t.Error(got)
		}
	})
	t.Run("what stands in clear behind SSLRequest is not taken for the client's", func(t *testing.T) {
		b := w.gw.raw(t)
		b.send(packet(sslRequest, ""), startup(3<<16, ""))
		if got := b.byte1(); got != "S" {
			t.Fatal(got)
		}
		if err := b.encrypt(w.gw); err == nil {
			b.send(startup(3<<16, ""))
			if got := b.until("R"); strings.HasPrefix(got, "R") {
				t.Error("the connection goes on: " + got)
			}
		}
	})
	t.Run("GSSENCRequest then SSLRequest", func(t *testing.T) {
		b := w.gw.raw(t)
		b.send(packet(gssEncRequest, ""))
		if got := b.byte1(); got != "N" {
			t.Fatal(got)
		}
		b.send(packet(sslRequest, ""))
		if got := b.byte1(); got != "S" {
			t.Fatal(got)
		}
		if err := b.encrypt(w.gw); err != nil {
			t.Fatal(err)
		}
		b.send(startup(3<<16, ""))
		if got := b.until("R") + b.logIn(t, token); !strings.HasPrefix(got, "RR") || !strings.HasSuffix(got, "K Z(I)") {
			t.Error(got)
		}
	})
	t.Run("TLS without SSLRequest", func(t *testing.T) {
		b := w.gw.raw(t)
		if err := b.encrypt(w.gw, "postgresql"); err != nil {
			t.Fatal(err)
		}
		if got := b.conn.(*tls.Conn).ConnectionState().NegotiatedProtocol; got != "postgresql" {
			t.Errorf("ALPN %q", got)
		}
		b.send(startup(3<<16, ""))
		if got := b.until("R") + b.logIn(t, token); !strings.HasSuffix(got, "K Z(I)") {
			t.Error(got)
		}
	})
	t.Run("protocol 3.2 is brought down to 3.0", func(t *testing.T) {
		b := w.gw.secured(t)
		b.send(startup(3<<16|2, "_pq_.unknown\x00x\x00"))
		typ, body, err := b.receive()
		if err != nil || typ != 'v' || string(body) != "\x00\x00\x00\x00\x00\x00\x00\x01_pq_.unknown\x00" && string(body) != "\x00\x03\x00\x00\x00\x00\x00\x01_pq_.unknown\x00" {
			t.Errorf("%q %q %v", typ, body, err)
		}
		if got := b.until("R") + b.logIn(t, token); !strings.HasSuffix(got, "K Z(I)") {
			t.Error(got)
		}
	})
	for name, send := range map[string][]byte{
		"an oversized startup packet": {0x7f, 0xff, 0xff, 0xff, 0, 3, 0, 0}, "a startup packet that is too short": {0, 0, 0, 4, 0, 3, 0, 0},
		"protocol 2": startup(2<<16, ""), "a second SSLRequest": packet(sslRequest, ""),
		"parameters without an end": packet(3<<16, "user\x00agent"), "no user": packet(3<<16, "database\x00shop\x00\x00"),
		"a parameter twice": startup(3<<16, "user\x00other\x00"),
	} {
		t.Run(name+" is refused", func(t *testing.T) {
			b := w.gw.secured(t)
			b.send(send)
			if got := b.closed(); !strings.HasPrefix(got, "E(FATAL ") {
				t.Error(got)
			}
		})
	}
	t.Run("a password that is too long is refused", func(t *testing.T) {
		b := w.gw.secured(t)
		b.send(startup(3<<16, ""))
		b.until("R")
		b.send(message('p', strings.Repeat("x", 20000)))
		if got := b.closed(); !strings.HasPrefix(got, "E(FATAL 08P01)") {
			t.Error(got)
		}
	})
}

func TestStartupParametersAreAnAllowList(t *testing.T) {
	w := the(t)
	connect := func(parameters map[string]string) (*pgx.Conn, error) {
		config, err := pgx.ParseConfig(w.gw.url("open"))
		if err != nil {
			t.Fatal(err)
		}
		config.Password, config.RuntimeParams = w.token(t, reporter), parameters
		return pgx.ConnectConfig(t.Context(), config)
	}
	for name, c := range map[string]struct{ parameter, value, code string }{
		"replication": {"replication", "database", "0A000"}, "physical replication": {"replication", "true", "0A000"},
		"another encoding": {"client_encoding", "LATIN1", "08004"}, "another string syntax": {"standard_conforming_strings", "off", "08004"},
		"a role": {"role", "postgres", "08004"}, "a role in options": {"options", "-c role=postgres", "08004"},
		"a preload": {"options", "-c session_preload_libraries=x", "08004"}, "the end of the session settings": {"options", "--session_authorization=postgres", "08004"},
		"an option that is not known": {"options", "-d5", "08004"}, "pg_temp first": {"search_path", "pg_temp, public", "08004"},
		"a value that is wrong": {"TimeZone", "Nowhere/None", "22023"},
	} {
		t.Run(name+" is refused", func(t *testing.T) {
			_, err := connect(map[string]string{c.parameter: c.value})
			wantError(t, "log in", err, c.code, "")
		})
	}
	conn, err := connect(map[string]string{"application_name": "a name", "TimeZone": "Asia/Tokyo", "options": `-c statement_timeout=12345 --datestyle=SQL,\ DMY`, "replication": "off"})
	if err != nil {
		t.Fatal(describe(err))
	}
	defer conn.Close(t.Context())
	for setting, want := range map[string]string{"application_name": "a name", "TimeZone": "Asia/Tokyo", "statement_timeout": "12345ms", "DateStyle": "SQL, DMY", "client_encoding": "UTF8"} {
		var got string
		if err := conn.QueryRow(t.Context(), "SHOW "+setting, pgx.QueryExecModeSimpleProtocol).Scan(&got); err != nil || got != want {
			t.Errorf("%s is %q, want %q (%v)", setting, got, want, err)
		}
	}
}

func TestSilentClientsAreClosedAtTheHandshakeDeadline(t *testing.T) {
	w := the(t)
	began := time.Now()
	silent := map[string]*bare{"after the connection": w.gw.raw(t), "after SSLRequest": w.gw.raw(t), "after TLS": w.gw.secured(t), "before the password": w.gw.secured(t)}
	silent["after SSLRequest"].send(packet(sslRequest, ""))
	silent["before the password"].send(startup(3<<16, ""))
	t.Run("the wait", func(t *testing.T) {
		for name, b := range silent {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				b.patience = 15 * time.Second
				buf := make([]byte, 1<<10)
				for {
					_ = b.conn.SetReadDeadline(time.Now().Add(b.patience))
					if _, err := b.conn.Read(buf); err != nil {
						break
					}
				}
				if took := time.Since(began); took < 8*time.Second || took > 14*time.Second {
					t.Errorf("closed after %v", took)
				}
			})
		}
	})
}

func TestTenThousandSilentConnectionsDisturbNobody(t *testing.T) {
	w := the(t)
	a := w.gw.connect(t, "open", w.token(t, reporter))
	accepted, failed := w.gw.metric(t, "connections_total"), w.gw.metric(t, "connections_failed_total")
	var silent []net.Conn
	defer func() {
		for _, c := range silent {
			_ = c.Close()
		}
	}()
	for range 10_000 {
		c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", w.gw.port))
		if err != nil {
			t.Fatal(err)
		}
		silent = append(silent, c)
	}
	began := time.Now()
	for range 20 {
		a.alive(t)
	}
	w.gw.connect(t, "open", w.token(t, reporter)).alive(t)
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("20 statements and a log-in took %v", took)
	}
	if got := w.gw.metric(t, "connections_total") - accepted; got < 10_000 {
		t.Errorf("%v of 10,000 connections are counted", got)
	}
	for _, c := range silent {
		_ = c.Close()
	}
	eventually(t, "the connections are counted as failed", patience, func() bool { return w.gw.metric(t, "connections_failed_total")-failed >= 10_000 })
}

// metric reads one of the gateway's own metrics, with its labels if it has some.
func (g *gateway) metric(t *testing.T, name string) float64 {
	t.Helper()
	status, text := g.call(t, http.MethodGet, "/metrics", the(t).person(t, alice), "")
	if status != http.StatusOK {
		t.Fatalf("GET /metrics: %d %s", status, text)
	}
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, "sallyport_"+name+" "); ok {
			n, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatalf("there is no metric %s in\n%s", name, text)
	return 0
}

func TestWhatIsRefusedIsCounted(t *testing.T) {
	w := the(t)
	grows := func(name string, do func()) {
		t.Helper()
		before := w.gw.metric(t, name)
		do()
		eventually(t, name+" grows", patience, func() bool { return w.gw.metric(t, name) > before })
	}
	a := w.gw.connect(t, "shop", w.token(t, reporter))
	grows(`commands_total{decision="block"}`, func() { a.refused(t, "DROP TABLE orders", "42501", "no-destructive-ddl") })
	grows("connections_failed_total", func() {
		b := bareThrough(t, w.gw, "open", w.token(t, reporter))
		b.send(message('j', "x"))
		b.closed()
	})
	grows("connections_failed_total", func() {
		if _, err := w.gw.tryConnect("open", "no token"); err == nil {
			t.Error("logged in without a token")
		}
	})
}

func TestMoreThan256MiBOfParametersAreRefused(t *testing.T) {
	w := the(t)
	b := bareThrough(t, w.gw, "open", w.token(t, reporter))
	const size = 256<<20 + 1
	b.send(append([]byte{'B'}, binary.BigEndian.AppendUint32(nil, size+4)...))
	chunk := make([]byte, 1<<20)
	for range size >> 20 {
		b.send(chunk)
	}
	b.send(chunk[:size&(1<<20-1)], mSync())
	if got := b.until("Z"); got != "E(ERROR 54000) Z(I)" {
		t.Error(got)
	}
	b.send(mQuery("SELECT 1"))
	if got := b.until("Z"); !strings.HasSuffix(got, `D["1"] C(SELECT 1) Z(I)`) {
		t.Error(got)
	}
}

func TestCancelNeedsTheGatewaysKey(t *testing.T) {
	w := the(t)
	b := bareThrough(t, w.gw, "open", w.token(t, reporter))
	b.send(mQuery("SELECT 'cancel_marker', pg_sleep(100)"))
	eventually(t, "the statement runs", patience, func() bool { return running(t, w, "cancel_marker") })
	cancel := func(pid uint32, key []byte) {
		c := w.gw.raw(t)
		body := append(binary.BigEndian.AppendUint32(nil, pid), key...)
		c.send(packet(cancelRequest, string(body)))
		if got := c.closed(); got != "closed" {
			t.Errorf("CancelRequest is answered with %s", got)
		}
	}
	wrong := append([]byte(nil), b.key...)
	wrong[0] ^= 1
	cancel(b.pid, wrong)
	cancel(b.pid^1, b.key)
	if !running(t, w, "cancel_marker") {
		t.Fatal("a wrong key cancelled the statement")
	}
	cancel(b.pid, b.key)
	if got := b.until("Z"); !strings.HasSuffix(got, "E(ERROR 57014) Z(I)") {
		t.Error(got)
	}
	b.send(mQuery("SELECT 1"))
	if got := b.until("Z"); !strings.HasSuffix(got, `D["1"] C(SELECT 1) Z(I)`) {
		t.Error(got)
	}
}

func TestMessagesThatNoClientMaySend(t *testing.T) {
	w := the(t)
	for name, c := range map[string]struct {
		send []byte
		want string
	}{
		"FunctionCall":                     {message('F', "\x00\x00\x05\x39\x00\x00\x00\x00\x00\x00"), "E(ERROR 0A000) Z(I)"},
		"a message of an unknown type":     {message('j', "x"), "E(FATAL 08P01) closed"},
		"a second password":                {message('p', "x\x00"), "E(FATAL 08P01) closed"},
		"a length of two gigabytes":        {[]byte{'Q', 0x7f, 0xff, 0xff, 0xff}, "E(FATAL 08P01) closed"},
		"a length below its own":           {[]byte{'Q', 0, 0, 0, 3}, "E(FATAL 08P01) closed"},
		"two texts in one Query":           {message('Q', "SELECT 1\x00SELECT 2\x00"), "E(FATAL 08P01) closed"},
		"a Bind that ends early":           {message('B', "\x00\x00\x00\x01\x00\x01\x00\x05\x00\x00\x00\x09x"), "E(FATAL 08P01) closed"},
		"a Describe of neither":            {message('D', "Xname\x00"), "E(FATAL 08P01) closed"},
		"a name that PostgreSQL would cut": {append(mParse(strings.Repeat("n", 64), "SELECT 1"), mSync()...), "E(ERROR 42622) Z(I)"},
		"a statement of more than 16 MiB":  {mQuery("SELECT '" + strings.Repeat("x", 16<<20) + "'"), "E(ERROR 54000) Z(I)"},
		"text that is not UTF-8":           {mQuery("SELECT '\xff'"), "E(ERROR 22021) Z(I)"},
	} {
		t.Run(name, func(t *testing.T) {
			b := bareThrough(t, w.gw, "open", w.token(t, reporter))
			b.send(c.send)
			if strings.HasSuffix(c.want, "closed") {
				if got := b.closed(); got != c.want {
					t.Error(got)
				}
				return
			}
			if got := b.until("Z"); got != c.want {
				t.Error(got)
			}
			b.send(mQuery("SELECT 1"))
			if got := b.until("Z"); !strings.HasSuffix(got, `D["1"] C(SELECT 1) Z(I)`) {
				t.Error(got)
			}
		})
	}
}
