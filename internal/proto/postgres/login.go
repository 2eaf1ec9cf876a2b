package postgres

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/sallyport-gateway/sallyport/internal/gate"
	sql "github.com/sallyport-gateway/sallyport/internal/sql/postgres"
)

// maxLoginMessage bounds what a target may send while the gateway logs in and
// reads a catalog.
const maxLoginMessage = 16 << 20

// minServerVersion is the oldest release the gateway knows the grammar of.
const minServerVersion = 13

// backend is the target's side of a session after log-in.
type backend struct {
	settings map[string]string // what the client asked for at start
	session  string            // the session's id; empty for the gateway's own
	own      map[string]string // settings of the gateway; secret
	order    sql.Order         // in which no row may come, when the session began
	catalog  *catalog          // what to compare with the target; nil for the gateway's own

	reader io.Reader // what pgconn reads from

	pid        uint32
	key        []byte // the target's cancel key; never shown to a client
	params     map[string]string
	release    int // PostgreSQL's major version
	searchPath []string
	noSchema   bool // "$user" in a search_path names none
	role       string
	database   string
}

// login implements gate.Login. The log-in itself (TLS, SCRAM with channel
// binding, MD5, certificates) is pgconn's.
func (b *backend) login(ctx context.Context, conn net.Conn, t *gate.Target, c *gate.Credential) (net.Conn, error) {
	pg, err := b.dial(ctx, conn, t, c)
	if err != nil {
		return nil, err
	}
	if err := b.describe(ctx, pg); err != nil {
		return nil, err
	}
	if b.catalog != nil {
		// Judging this session by definitions from before it would let whoever
		// changes definitions choose what the gateway sees.
		if err := b.readCatalog(ctx, pg, t); err != nil {
			return nil, fmt.Errorf("read the catalog: %w", err)
		}
		b.order = b.catalog.order()
		if name := b.order.Unorders(b.settings); name != "" {
			f := fatal(codeRejected, "setting %q is not allowed at connection start: rows could come in the order of an index over labelled columns", name)
			f.Hint = "Leave it out of the connection parameters and of the options parameter."
			return nil, f
		}
		if in := b.catalog.inspector.Load(); in != nil && in.Serializes(b.settings) {
			f := fatal(codeRejected, "setting \"default_transaction_isolation\" is not to be serializable: whether a transaction fails could tell what labelled columns refer to")
			f.Hint = "Use repeatable read."
			return nil, f
		}
	}
	h, err := pg.Hijack()
	if err != nil {
		return nil, err
	}
	if err := b.quiesce(h.Conn); err != nil {
		return nil, err
	}
	b.pid, b.key, b.params = h.PID, h.SecretKey, h.ParameterStatuses
	b.release = majorVersion(b.params["server_version"])
	return h.Conn, checkServer(b.params)
}

// quiesce ends pgconn's reading. Where a write takes it long, pgconn reads in the
// background, and it does not wait for the last of these reads: that would take
// the first answer of the session for itself.
func (b *backend) quiesce(conn net.Conn) error {
	if err := conn.SetReadDeadline(time.Unix(1, 0)); err != nil {
		return err
	}
	// pgconn's reader waits for its own background and then reads itself.
	var one [1]byte
	n, err := b.reader.Read(one[:])
	b.reader = nil
	switch {
	case n > 0:
		return errors.New("the target said something after the log-in")
	case !timeout(err):
		return fmt.Errorf("end of the log-in: %w", err)
	}
	return conn.SetReadDeadline(time.Time{})
}

func (b *backend) dial(ctx context.Context, conn net.Conn, t *gate.Target, c *gate.Credential) (*pgconn.PgConn, error) {
	// Every value is overwritten below; the empty sources keep the process's
	// PG* environment and files out of it.
	cfg, err := pgconn.ParseConfig("host=127.0.0.1 port=5432 sslmode=disable passfile=/dev/null servicefile=/dev/null")
	if err != nil {
		return nil, err
	}
	cfg.Fallbacks = nil
	cfg.User, cfg.Password, cfg.Database = c.Username, c.Password.Reveal(), t.Database
	cfg.MaxProtocolMessageBodyLen = maxLoginMessage
	cfg.DialFunc = func(context.Context, string, string) (net.Conn, error) { return conn, nil }
	cfg.LookupFunc = func(context.Context, string) ([]string, error) { return []string{"127.0.0.1"}, nil }
	cfg.BuildFrontend = func(r io.Reader, w io.Writer) *pgproto3.Frontend {
		b.reader = r
		return pgproto3.NewFrontend(r, w)
	}
	cfg.RuntimeParams = runtimeParams(b.settings, t)
	if b.session != "" {
		cfg.RuntimeParams["sallyport.session"] = b.session // for the agent, and for the target's own log
	}
	maps.Copy(cfg.RuntimeParams, b.own)
	if cfg.TLSConfig, err = upstreamTLS(t, c); err != nil {
		return nil, err
	}
	// A password in clear only where TLS has shown who reads it.
	cfg.RequireAuth = "md5,scram-sha-256,none"
	if t.TLS.Mode == gate.TLSVerifyFull || t.TLS.Mode == gate.TLSVerifyCA {
		cfg.RequireAuth += ",password"
	}
	pg, err := pgconn.ConnectConfig(ctx, cfg)
	if err != nil {
		return nil, loginError(err)
	}
	return pg, nil
}

// runtimeParams are the settings of the session: what the client asked for, and
// what the gateway pins over it.
func runtimeParams(asked map[string]string, t *gate.Target) map[string]string {
	params := map[string]string{}
	for name, value := range asked {
		params[name] = value
	}
	params["client_encoding"] = "UTF8"
	params["standard_conforming_strings"] = "on"
	if l := t.Limits.Statement; l > 0 {
		params["statement_timeout"] = strconv.FormatInt(l.Milliseconds(), 10)
	}
	return params
}

func upstreamTLS(t *gate.Target, c *gate.Credential) (*tls.Config, error) {
	if t.TLS.Mode == gate.TLSDisable {
		return nil, nil
	}
	host, _, err := net.SplitHostPort(t.Address)
	if err != nil {
		host = t.Address
	}
	cfg := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.TLS.ServerName}
	if cfg.ServerName == "" {
		cfg.ServerName = host
	}
	if len(t.TLS.CA) > 0 {
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM(t.TLS.CA) {
			return nil, errors.New("the target's ca holds no certificate")
		}
	}
	switch t.TLS.Mode {
	case gate.TLSVerifyCA:
		cfg.InsecureSkipVerify = true // the chain is verified below, the name is not
		cfg.VerifyConnection = verifyChain(cfg.RootCAs)
	case gate.TLSRequire:
		cfg.InsecureSkipVerify = true
	}
	if len(c.Certificate) > 0 {
		pair, err := tls.X509KeyPair(c.Certificate, []byte(c.Key.Reveal()))
		if err != nil {
			return nil, errors.New("the credential's certificate and key do not fit together")
		}
		cfg.Certificates = []tls.Certificate{pair}
	}
	return cfg, nil
}

func verifyChain(roots *x509.CertPool) func(tls.ConnectionState) error {
	return func(s tls.ConnectionState) error {
		opts := x509.VerifyOptions{Roots: roots, Intermediates: x509.NewCertPool()}
		for _, c := range s.PeerCertificates[1:] {
			opts.Intermediates.AddCert(c)
		}
		_, err := s.PeerCertificates[0].Verify(opts)
		return err
	}
}

// loginError keeps what the target said about a setting or the database for the
// client, and nothing about the credential.
func loginError(err error) error {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		return err
	}
	switch pg.Code[:min(2, len(pg.Code))] {
	case "53", "57": // too many connections, starting up or shutting down
		return fatal(pg.Code, "the target refused the connection: %s", pg.Message)
	case "22", "42": // a setting's value
		return fatal(pg.Code, "%s", pg.Message)
	}
	return err
}

// readCatalog compares the catalog in this session. The time that one statement
// of an agent may take is not the gateway's.
func (b *backend) readCatalog(ctx context.Context, pg *pgconn.PgConn, t *gate.Target) error {
	if t.Limits.Statement > 0 {
		if err := pg.Exec(ctx, "SET statement_timeout TO 0").Close(); err != nil {
			return err
		}
	}
	if err := b.catalog.compare(ctx, querier{pg}); err != nil {
		return err
	}
	if t.Limits.Statement > 0 {
		return pg.Exec(ctx, "RESET statement_timeout").Close() // to what the startup packet said
	}
	return nil
}

// describe reads what the gateway must know of the session it logged in to.
func (b *backend) describe(ctx context.Context, pg *pgconn.PgConn) error {
	err := querier{pg}.Query(ctx, `SELECT pg_catalog.current_database(), current_user, s.n, pg_catalog.to_regnamespace(pg_catalog.quote_ident(current_user)) IS NULL
		FROM (SELECT NULL::pg_catalog.text AS n UNION ALL SELECT pg_catalog.unnest(pg_catalog.current_schemas(false))::pg_catalog.text) AS s`,
		func(row [][]byte) error {
			if len(row) != 4 || row[0] == nil || row[1] == nil {
				return errors.New("unexpected answer")
			}
			b.database, b.role, b.noSchema = string(row[0]), string(row[1]), string(row[3]) == "t"
			if row[2] != nil {
				b.searchPath = append(b.searchPath, string(row[2]))
			}
			return nil
		})
	if err != nil || b.database == "" {
		return fmt.Errorf("the target does not describe its session: %w", err)
	}
	return nil
}

// checkServer refuses a target whose answers would be read differently from how
// the gateway reads them (bypass: encoding and string syntax).
func checkServer(params map[string]string) error {
	if params["client_encoding"] != "UTF8" {
		return fatal(codeRejected, "the target does not speak UTF8 to the gateway")
	}
	if params["standard_conforming_strings"] != "on" {
		return fatal(codeRejected, "the target does not keep standard_conforming_strings on")
	}
	if v := majorVersion(params["server_version"]); v < minServerVersion {
		return fatal(codeRejected, "the target's version %q is not supported: it must be %d or later", params["server_version"], minServerVersion)
	}
	return nil
}

// majorVersion reads the leading digits of server_version ("15.18 (Debian …)",
// "18beta1"); zero if there are none.
func majorVersion(s string) int {
	n := strings.IndexFunc(s, func(r rune) bool { return r < '0' || r > '9' })
	if n < 0 {
		n = len(s)
	}
	v, _ := strconv.Atoi(s[:n])
	return v
}

// querier runs the gateway's own catalog queries in a log-in.
type querier struct{ pg *pgconn.PgConn }

// Query implements sql.Querier. It streams: a catalog can be large.
func (q querier) Query(ctx context.Context, text string, row func([][]byte) error) error {
	results := q.pg.Exec(ctx, text)
	var failed error
	for results.NextResult() {
		r := results.ResultReader()
		for r.NextRow() {
			if failed == nil && row != nil {
				failed = row(r.Values())
			}
		}
		if _, err := r.Close(); err != nil && failed == nil {
			failed = err
		}
	}
	if err := results.Close(); err != nil && failed == nil {
		failed = err
	}
	return failed
}
