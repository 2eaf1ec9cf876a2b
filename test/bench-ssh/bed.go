package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport-gateway/sallyport/test/sshtest"
)

// account is who logs in to the host.
const account = "spbench"

// What all connections of clients use: the cost of a key exchange differs more
// between algorithms than between systems.
const (
	cipher = "aes128-gcm@openssh.com"
	kex    = "curve25519-sha256"
)

// system is one of those that are compared.
type system struct {
	name string
	// config is an ssh_config(5) that knows the host under the name host.
	config, host string
	// pid is the process whose cost counts; 0: none.
	pid int
	// dial logs in for an open session.
	dial func(context.Context) (*ssh.Client, error)
}

// bed is what a run needs.
type bed struct {
	dir     string // keys, configuration, files
	server  *sshtest.Server
	systems []*system
	stops   []func() error
}

func (b *bed) stop() error {
	var errs []error
	for i := len(b.stops) - 1; i >= 0; i-- {
		errs = append(errs, b.stops[i]())
	}
	return errors.Join(errs...)
}

func prepare(ctx context.Context, p plan) (*bed, error) {
	b := &bed{}
	if err := b.prepare(ctx, p); err != nil {
		return nil, errors.Join(err, b.stop())
	}
	return b, nil
}

func (b *bed) prepare(ctx context.Context, p plan) (err error) {
	if b.dir, err = os.MkdirTemp("", "bench-ssh-"); err != nil {
		return err
	}
	b.stops = append(b.stops, func() error { return os.RemoveAll(b.dir) })
	if err := os.Chmod(b.dir, 0o755); err != nil {
		return err
	}
	if b.server, err = sshtest.Start(ctx, sshtest.Options{Accounts: []sshtest.Account{{Name: account}}, LogLevel: "ERROR"}); err != nil {
		return err
	}
	b.stops = append(b.stops, b.server.Stop)
	if err := b.writeFiles(p.bulkBytes()); err != nil {
		return err
	}
	direct, err := b.direct()
	if err != nil {
		return err
	}
	gateway, err := b.gateway(ctx, p.gateway)
	if err != nil {
		return err
	}
	relay, err := b.relay()
	if err != nil {
		return err
	}
	b.systems = []*system{direct, relay, gateway}
	return nil
}

func (b *bed) path(name string) string { return filepath.Join(b.dir, name) }

// writeFiles makes a file of random bytes, one of log lines, and the folder that
// copies go to.
func (b *bed) writeFiles(size int) error {
	who, err := user.Lookup(account)
	if err != nil {
		return err
	}
	uid, err := strconv.Atoi(who.Uid)
	if err != nil {
		return err
	}
	if err := errors.Join(os.Mkdir(b.path("incoming"), 0o755), os.Chown(b.path("incoming"), uid, -1), os.Mkdir(b.path("outgoing"), 0o755)); err != nil {
		return err
	}
	r := rand.New(rand.NewChaCha8([32]byte{7}))
	if err := write(b.path("random"), size, func(line []byte) []byte {
		for range 128 {
			n := r.Uint64()
			line = append(line, byte(n), byte(n>>8), byte(n>>16), byte(n>>24), byte(n>>32), byte(n>>40), byte(n>>48), byte(n>>56))
		}
		return line
	}); err != nil {
		return err
	}
	at := time.Date(2026, 5, 1, 8, 0, 0, 0, time.UTC)
	levels := []string{"INFO", "INFO", "INFO", "WARN", "DEBUG"}
	return write(b.path("log"), size, func(line []byte) []byte {
		at = at.Add(time.Duration(r.IntN(2000)) * time.Millisecond)
		return fmt.Appendf(line, "%s %s worker-%d request %d took %d ms, path /api/v1/items, status %d\n", at.Format(time.RFC3339Nano), levels[r.IntN(len(levels))],
			r.IntN(8), r.IntN(100000), r.IntN(900), 200+r.IntN(4)*100)
	})
}

// write fills a file to a size.
func write(path string, size int, next func([]byte) []byte) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, 1<<20)
	var line []byte
	for written := 0; written < size && err == nil; written += len(line) {
		line = next(line[:0])
		_, err = w.Write(line)
	}
	return errors.Join(err, w.Flush(), f.Close())
}

// direct is OpenSSH itself.
func (b *bed) direct() (*system, error) {
	s := &system{name: "direct", config: b.path("direct_config"), host: "bench", dial: func(ctx context.Context) (*ssh.Client, error) { return b.server.Dial(ctx, account) }}
	text := fmt.Sprintf(`Host bench
  HostName 127.0.0.1
  Port %d
  User %s
  IdentityFile %s
  IdentitiesOnly yes
  UserKnownHostsFile %s
  BatchMode yes
`, b.server.Port, account, b.server.ClientKeyFile(), b.path("known_hosts"))
	return s, errors.Join(os.WriteFile(s.config, []byte(text), 0o600), os.WriteFile(b.path("known_hosts"), []byte(b.server.KnownHosts()), 0o600))
}
