package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/sallyport-gateway/sallyport/internal/pgserver"
	"github.com/sallyport-gateway/sallyport/test/port"
)

// startPgBouncer runs PgBouncer in session mode: TLS and a plain password on the
// client's leg, as the gateway has it, and no TLS to the database.
func (b *bed) startPgBouncer(ctx context.Context) (*system, error) {
	program, err := exec.LookPath("pgbouncer")
	if err != nil {
		program = "/usr/sbin/pgbouncer" // not in everyone's PATH
	}
	listen, err := port.Free()
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(b.dir, "pgbouncer")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	users, config := filepath.Join(dir, "users.txt"), filepath.Join(dir, "pgbouncer.ini")
	cert, key := filepath.Join(dir, "proxy.crt"), filepath.Join(dir, "proxy.key")
	files := []string{dir, users, config, cert, key}
	text := fmt.Sprintf(`[databases]
%s = host=%s port=%d
[pgbouncer]
listen_addr = %s
listen_port = %d
unix_socket_dir =
pool_mode = session
auth_type = plain
auth_file = %s
client_tls_sslmode = require
client_tls_cert_file = %s
client_tls_key_file = %s
server_tls_sslmode = disable
max_client_conn = %d
default_pool_size = %d
ignore_startup_parameters = extra_float_digits
log_connections = 0
log_disconnections = 0
`, dbName, loopback, b.server.Port, loopback, listen, users, cert, key, maxIdle+200, maxIdle+100)
	certPEM, err := os.ReadFile(b.certFile)
	if err != nil {
		return nil, err
	}
	keyPEM, err := os.ReadFile(b.keyFile)
	if err != nil {
		return nil, err
	}
	for path, content := range map[string]string{
		users: fmt.Sprintf("%q %q\n", dbRole, dbPassword), config: text, cert: string(certPEM), key: string(keyPEM),
	} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			return nil, err
		}
	}
	began := time.Now()
	c, err := startChild(filepath.Join(b.dir, "pgbouncer.log"), func(cmd *exec.Cmd) error { return pgserver.Unprivileged(cmd, files...) }, program, config)
	if err != nil {
		return nil, err
	}
	s := &system{name: pgbouncer, host: loopback, port: listen, database: dbName, user: dbRole, caFile: b.caFile,
		password: func() (string, error) { return dbPassword, nil }, pid: c.cmd.Process.Pid, stop: c.stop}
	if err := awaitReady(ctx, s, began, c.ended); err != nil {
		_ = c.stop()
		return nil, c.withLog(err)
	}
	return s, nil
}
