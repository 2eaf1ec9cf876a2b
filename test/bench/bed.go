package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sallyport-gateway/sallyport/internal/pgserver"
)

const (
	dbName = "bench"
	dbRole = "bench"
	// dbPassword is of a database on loopback that lives for minutes.
	dbPassword = "bench-password"
	// loopback is where everything listens; certificates name it.
	loopback = "127.0.0.1"
	// startPatience is how long a proxy may take to accept the first log-in.
	startPatience = 30 * time.Second
)

// bed is the test bed: the database, the systems before it, and their files.
type bed struct {
	dir       string
	server    *pgserver.Server
	authority *pgserver.Authority
	// certFile, keyFile and caFile are the proxies' certificate and its CA.
	certFile, keyFile, caFile string
	systems                   []*system
}

// prepare starts the database, fills it, and starts the systems.
func prepare(ctx context.Context, c plan) (*bed, error) {
	b := &bed{}
	if err := b.prepare(ctx, c); err != nil {
		return nil, errors.Join(err, b.stop())
	}
	return b, nil
}

func (b *bed) prepare(ctx context.Context, c plan) (err error) {
	if b.dir, err = os.MkdirTemp("", "sallyport-bench-"); err != nil {
		return err
	}
	if err := os.Chmod(b.dir, 0o755); err != nil { // PgBouncer's account must get through
		return err
	}
	if err := b.certificates(); err != nil {
		return err
	}
	b.server, err = pgserver.Start(ctx, pgserver.Options{
		MaxConnections: 2*maxIdle + 200, // the pooler keeps its sessions for the next client
		Settings: map[string]string{
			"shared_buffers": "256MB", "work_mem": "16MB", "max_wal_size": "4GB",
			"checkpoint_timeout": "60min", "autovacuum": "off", "jit": "off",
			"max_parallel_workers_per_gather": "0",
		},
		Roles:     []pgserver.Role{{Name: dbRole, Password: dbPassword}},
		Databases: []pgserver.Database{{Name: dbName, Owner: dbRole}},
	})
	if err != nil {
		return err
	}
	if err := b.fill(ctx, c); err != nil {
		return err
	}
	for _, name := range c.systems {
		s, err := b.start(ctx, c, name)
		if err != nil {
			return fmt.Errorf("start %s: %w", name, err)
		}
		b.systems = append(b.systems, s)
	}
	return nil
}

func (b *bed) start(ctx context.Context, c plan, name string) (*system, error) {
	switch name {
	case direct:
		return &system{name: direct, host: loopback, port: b.server.Port, database: dbName, user: dbRole,
			password: func() (string, error) { return dbPassword, nil }, caFile: b.server.CAFile}, nil
	case pgbouncer:
		return b.startPgBouncer(ctx)
	case sallyport:
		return b.startSallyport(ctx, c.gateway)
	default:
		return nil, fmt.Errorf("unknown system")
	}
}

func (b *bed) certificates() (err error) {
	if b.authority, err = pgserver.NewAuthority(); err != nil {
		return err
	}
	pair, err := b.authority.IssueServer()
	if err != nil {
		return err
	}
	b.certFile, b.keyFile, b.caFile = filepath.Join(b.dir, "proxy.crt"), filepath.Join(b.dir, "proxy.key"), filepath.Join(b.dir, "ca.crt")
	return errors.Join(
		os.WriteFile(b.certFile, pair.CertPEM, 0o644),
		os.WriteFile(b.keyFile, pair.KeyPEM, 0o600),
		os.WriteFile(b.caFile, b.authority.CertPEM, 0o644),
	)
}

// fill makes pgbench's tables and the bulk table, with one column (card) to be
// labelled.
func (b *bed) fill(ctx context.Context, c plan) error {
	pgbench, err := b.server.Programs.Path("pgbench")
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, pgbench, "-i", "-I", "dtgvp", "-q", "-s", strconv.Itoa(c.scale))
	cmd.Env = append(os.Environ(), clientEnv(&system{host: loopback, port: b.server.Port, database: dbName, user: dbRole, caFile: b.server.CAFile}, dbPassword)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("fill the database: %w\n%s", err, out)
	}
	err = b.server.Exec(ctx, dbName, `SET ROLE `+dbRole+`;
		CREATE TABLE bulk AS SELECT g AS id, 'customer number ' || g AS name, lpad((g * 7919::bigint % 10000000000000000)::text, 16, '4') AS card,
			'a line of ordinary text about an ordinary order, ' || md5(g::text) AS note
		FROM generate_series(1, `+strconv.Itoa(c.bulkRows)+`) g`)
	for _, sql := range []string{"VACUUM ANALYZE", "CHECKPOINT"} {
		if err == nil {
			err = b.server.Exec(ctx, dbName, sql)
		}
	}
	return err
}

// clientEnv is the environment that makes a libpq client use a system.
func clientEnv(s *system, password string) []string {
	return []string{
		"PGHOST=" + s.host, "PGPORT=" + strconv.Itoa(s.port), "PGDATABASE=" + s.database, "PGUSER=" + s.user,
		"PGPASSWORD=" + password, "PGSSLMODE=verify-full", "PGSSLROOTCERT=" + s.caFile, "PGGSSENCMODE=disable",
	}
}

// connect logs in to a system as pgconn does, over verified TLS.
func connect(ctx context.Context, s *system) (*pgconn.PgConn, error) {
	password, err := s.password()
	if err != nil {
		return nil, err
	}
	config, err := pgconn.ParseConfig(fmt.Sprintf("host=%s port=%d sslmode=verify-full sslrootcert=%s", s.host, s.port, s.caFile))
	if err != nil {
		return nil, err
	}
	config.Database, config.User, config.Password = s.database, s.user, password
	config.Fallbacks = nil
	return pgconn.ConnectConfig(ctx, config)
}

// awaitReady waits until the system takes a log-in, and notes how long that took
// since began and the memory that the process has then.
func awaitReady(ctx context.Context, s *system, began time.Time, ended <-chan error) error {
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	address := net.JoinHostPort(s.host, strconv.Itoa(s.port))
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		var dialer net.Dialer
		conn, err := dialer.DialContext(ctx, "tcp", address)
		if err == nil {
			_ = conn.Close()
			break
		}
		select {
		case err := <-ended:
			return fmt.Errorf("it ended before it was ready: %v", err)
		case <-ctx.Done():
			return fmt.Errorf("it does not listen: %w", ctx.Err())
		case <-tick.C:
		}
	}
	conn, err := connect(ctx, s)
	if err != nil {
		return err
	}
	s.ready = time.Since(began)
	_ = conn.Close(ctx)
	usage, err := usageOf(s.pid)
	s.idleMiB = float64(usage.pss) / (1 << 20)
	return err
}

func removeAll(dir string) error {
	if dir == "" {
		return nil
	}
	return os.RemoveAll(dir)
}
