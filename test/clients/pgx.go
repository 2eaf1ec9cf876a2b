package clients

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// pgxSession is one pgx connection playing one scenario.
type pgxSession struct {
	config  Config
	conn    *pgx.Conn
	notices []*pgconn.Notice
}

func runPGX(ctx context.Context, c Config, scenarios []Scenario) ([]Result, error) {
	var results []Result
	for _, s := range scenarios {
		if err := ctx.Err(); err != nil {
			return results, err
		}
		r := playPGX(ctx, c, s)
		r.Scenario = s
		results = append(results, r)
	}
	return results, nil
}

func playPGX(ctx context.Context, c Config, s Scenario) Result {
	session := &pgxSession{config: c}
	r, err := session.open(ctx, s)
	if err != nil {
		r.Failure = err.Error()
		if r.Error == nil {
			r.Error = serverError(err)
		}
	}
	for _, n := range session.notices {
		r.Notices = append(r.Notices, n.Severity+": "+n.Message)
	}
	return r
}

func (p *pgxSession) open(ctx context.Context, s Scenario) (Result, error) {
	config, err := p.connConfig()
	if err != nil {
		return Result{}, err
	}
	if p.conn, err = pgx.ConnectConfig(ctx, config); err != nil {
		return Result{}, err
	}
	defer func() {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		_ = p.conn.Close(closing)
	}()
	return p.play(ctx, s)
}

func (p *pgxSession) connConfig() (*pgx.ConnConfig, error) {
	config, err := pgx.ParseConfig("sslmode=disable")
	if err != nil {
		return nil, err
	}
	ca, err := os.ReadFile(p.config.CAFile)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca) {
		return nil, fmt.Errorf("%s has no certificate", p.config.CAFile)
	}
	config.Host, config.Port = p.config.Host, uint16(p.config.Port)
	config.Database, config.User, config.Password = p.config.Database, p.config.User, p.config.Password
	config.TLSConfig = &tls.Config{RootCAs: roots, ServerName: p.config.Host, MinVersion: tls.VersionTLS12}
	config.Fallbacks = nil
	config.ConnectTimeout = 30 * time.Second
	config.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) { p.notices = append(p.notices, n) }
	return config, nil
}

func (p *pgxSession) play(ctx context.Context, s Scenario) (Result, error) {
	switch s {
	case Connect:
		return p.rows(ctx, "SELECT 1")
	case Select:
		return p.rows(ctx, "SELECT id, name, note FROM client_item ORDER BY id")
	case Parameters:
		return p.parameters(ctx)
	case Prepared:
		return p.prepared(ctx)
	case Pipeline:
		return p.pipeline(ctx)
	case Transaction:
		return p.transaction(ctx)
	case Error:
		return p.error(ctx)
	case Cursor:
		return p.cursor(ctx)
	case CopyOut:
		return p.copyOut(ctx)
	case CopyIn:
		return p.copyIn(ctx)
	case Large:
		return p.large(ctx)
	case Cancel:
		return p.cancel(ctx)
	case Metadata:
		return p.metadata(ctx)
	case Notice:
		return p.notice(ctx)
	case Multi:
		return p.multi(ctx)
	case ApplicationName:
		if _, err := p.conn.Exec(ctx, "SET application_name = 'client check'"); err != nil {
			return Result{}, err
		}
		return p.rows(ctx, "SHOW application_name")
	case Refused:
		return p.refused(ctx)
	case Statements:
		return p.statements(ctx)
	default:
		return Result{}, fmt.Errorf("pgx does not know scenario %q", s)
	}
}

// rows runs a query by the extended protocol, in text format, and returns its
// rows as text.
func (p *pgxSession) rows(ctx context.Context, sql string, args ...any) (Result, error) {
	rows, err := p.query(ctx, sql, args...)
	return Result{Rows: rows}, err
}

func (p *pgxSession) query(ctx context.Context, sql string, args ...any) ([][]string, error) {
	args = append([]any{pgx.QueryResultFormats{pgx.TextFormatCode}}, args...)
	rows, err := p.conn.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all [][]string
	for rows.Next() {
		all = append(all, textRow(rows.RawValues()))
	}
	return all, rows.Err()
}

func textRow(values [][]byte) []string {
	row := make([]string, len(values))
	for i, v := range values {
		row[i] = "NULL"
		if v != nil {
			row[i] = string(v)
		}
	}
	return row
}

// fails runs a statement that must fail at the server.
func (p *pgxSession) fails(ctx context.Context, sql string) (*ServerError, error) {
	_, err := p.query(ctx, sql)
	if found := serverError(err); found != nil {
		return found, nil
	}
	if err == nil {
		err = fmt.Errorf("no error from: %s", sql)
	}
	return nil, err
}

// serverError is the server's error in err; nil without one.
func serverError(err error) *ServerError {
	var e *pgconn.PgError
	if !errors.As(err, &e) {
		return nil
	}
	return &ServerError{SQLState: e.Code, Message: e.Message, Detail: e.Detail, Hint: e.Hint}
}
