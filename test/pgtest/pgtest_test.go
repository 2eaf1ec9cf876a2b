package pgtest_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sallyport-gateway/sallyport/internal/pgserver"
	"github.com/sallyport-gateway/sallyport/test/pgtest"
)

func connect(t *testing.T, url string) (*pgx.Conn, error) {
	t.Helper()
	config, err := pgx.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.ConnectConfig(context.Background(), config)
	if err == nil {
		t.Cleanup(func() { _ = conn.Close(context.Background()) })
	}
	return conn, err
}

func scalar(t *testing.T, conn *pgx.Conn, sql string) string {
	t.Helper()
	var value string
	if err := conn.QueryRow(context.Background(), sql).Scan(&value); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return value
}

func TestServerHasTheRolesDatabasesAndDataAskedFor(t *testing.T) {
	s := pgtest.Start(t, pgserver.Options{
		Roles:     []pgserver.Role{{Name: "app", Password: "it's \"secret\"", Attributes: "CONNECTION LIMIT 3"}},
		Databases: []pgserver.Database{{Name: "orders", Owner: "app"}},
		Scripts:   []pgserver.Script{{Database: "orders", SQL: "CREATE TABLE t(a int); INSERT INTO t VALUES (42); GRANT SELECT ON t TO app"}},
	})
	conn, err := connect(t, s.URL("orders", "app", "it's \"secret\""))
	if err != nil {
		t.Fatal(err)
	}
	if got := scalar(t, conn, "SELECT a::text FROM t"); got != "42" {
		t.Errorf("t.a = %s, want 42", got)
	}
	if got := scalar(t, conn, "SELECT ssl::text FROM pg_stat_ssl WHERE pid = pg_backend_pid()"); got != "true" {
		t.Errorf("connection uses TLS: %s, want true", got)
	}
	if rows := pgtest.Query(t, s, "orders", "SELECT 1; SELECT a, NULL FROM t"); len(rows) != 1 || rows[0][0] != "42" || rows[0][1] != "" {
		t.Errorf("Query = %v, want the last statement's row", rows)
	}
}

func TestWrongPasswordIsRefusedByEveryMethodThatHasOne(t *testing.T) {
	for _, auth := range []pgserver.Auth{pgserver.AuthSCRAM, pgserver.AuthMD5} {
		t.Run(string(auth), func(t *testing.T) {
			s := pgtest.Start(t, pgserver.Options{Auth: auth})
			if _, err := connect(t, s.URL("", "", "")); err != nil {
				t.Errorf("right password: %v", err)
			}
			_, err := connect(t, s.URL("", "postgres", "wrong"))
			var refused *pgconn.PgError
			if !errors.As(err, &refused) || refused.Code != "28P01" {
				t.Errorf("wrong password: %v, want SQLSTATE 28P01", err)
			}
		})
	}
}

func TestTrustNeedsNoPassword(t *testing.T) {
	s := pgtest.Start(t, pgserver.Options{Auth: pgserver.AuthTrust, NoTLS: true})
	if s.CAFile != "" || s.Authority != nil {
		t.Errorf("a server without TLS has an authority")
	}
	if _, err := connect(t, s.URL("", "postgres", "anything")); err != nil {
		t.Error(err)
	}
}

func TestCertificateLogsInAsItsCommonNameOnly(t *testing.T) {
	s := pgtest.Start(t, pgserver.Options{Auth: pgserver.AuthCert, Roles: []pgserver.Role{{Name: "app"}}})
	pair, err := s.Authority.IssueClient("app")
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := tls.X509KeyPair(pair.CertPEM, pair.KeyPEM)
	if err != nil {
		t.Fatal(err)
	}
	for user, allowed := range map[string]bool{"app": true, "postgres": false} {
		config, err := pgx.ParseConfig(s.URL("", user, ""))
		if err != nil {
			t.Fatal(err)
		}
		config.TLSConfig.Certificates = []tls.Certificate{certificate}
		conn, err := pgx.ConnectConfig(context.Background(), config)
		if (err == nil) != allowed {
			t.Errorf("log in as %s with app's certificate: %v, want allowed %v", user, err, allowed)
		}
		if err == nil {
			_ = conn.Close(context.Background())
		}
	}
}

func TestRequiredTLSRefusesPlainConnections(t *testing.T) {
	s := pgtest.Start(t, pgserver.Options{RequireTLS: true})
	plain := strings.Split(s.URL("", "", ""), "?")[0] + "?sslmode=disable"
	if _, err := connect(t, plain); err == nil || !strings.Contains(err.Error(), "no encryption") {
		t.Errorf("plain connection: %v, want a refusal that says no encryption", err)
	}
}

func TestLogHoldsTheStatementsThatReachedTheServer(t *testing.T) {
	s := pgtest.Start(t, pgserver.Options{LogStatements: true})
	conn, err := connect(t, s.URL("", "", ""))
	if err != nil {
		t.Fatal(err)
	}
	scalar(t, conn, "SELECT 'marker-7b1d'::text")
	log, err := s.Log()
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(log, "marker-7b1d") {
		t.Errorf("the log lacks the statement:\n%s", log)
	}
}

func TestStopLeavesNothingBehind(t *testing.T) {
	s, err := pgserver.Start(context.Background(), pgserver.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := s.Stop(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(s.Dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is still there: %v", s.Dir, err)
	}
	if conn, err := net.Dial("tcp", s.Address()); err == nil {
		_ = conn.Close()
		t.Error("the server still answers")
	}
}

func TestAChosenFolderStaysAndIsNotTakenTwice(t *testing.T) {
	parent, err := os.MkdirTemp("", "pgtest-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(parent) })
	if err := os.Chmod(parent, 0o755); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(parent, "server")
	s, err := pgserver.Start(context.Background(), pgserver.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "data", "PG_VERSION")); err != nil {
		t.Error(err)
	}
	if s, err := pgserver.Start(context.Background(), pgserver.Options{Dir: dir}); err == nil {
		_ = s.Stop()
		t.Error("a second server took the folder of the first")
	}
}

func TestSetupErrorStopsTheServerAndNamesTheError(t *testing.T) {
	_, err := pgserver.Start(context.Background(), pgserver.Options{Scripts: []pgserver.Script{{SQL: "SELECT nonsense"}}})
	if err == nil || !strings.Contains(err.Error(), "nonsense") {
		t.Errorf("error = %v, want PostgreSQL's", err)
	}
}
