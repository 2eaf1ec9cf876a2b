package sshproof_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport-gateway/sallyport/test/sshtest"
)

// account is who the gateway logs in as.
const account = "spproof"

// world is what all tests share.
type world struct {
	dir    string
	server *sshtest.Server
	direct way
}

// all and its error are made by the first test that asks.
var (
	all      *world
	errWorld error
	once     sync.Once
)

func TestMain(m *testing.M) {
	code := m.Run()
	if all != nil {
		if err := all.stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// the returns what the tests share.
func the(t testing.TB) *world {
	t.Helper()
	once.Do(func() {
		all = &world{}
		if errWorld = all.start(context.Background()); errWorld != nil {
			errWorld = errors.Join(errWorld, all.stop())
			all = nil
		}
	})
	if errWorld != nil {
		t.Fatal(errWorld)
	}
	return all
}

// ways are the ways to the host, the straight one first.
func ways(t testing.TB) []*way {
	t.Helper()
	w := the(t)
	return []*way{&w.direct}
}

func (w *world) start(ctx context.Context) (err error) {
	if w.dir, err = os.MkdirTemp("", "proof-ssh-"); err != nil {
		return err
	}
	if w.server, err = sshtest.Start(ctx, sshtest.Options{Accounts: []sshtest.Account{{Name: account}}}); err != nil {
		return err
	}
	return w.makeDirect()
}

func (w *world) makeDirect() error {
	s := w.server
	w.direct = way{
		name: "direct", config: filepath.Join(w.dir, "direct_config"), host: "box", address: s.Address(), user: account,
		auth: []ssh.AuthMethod{ssh.PublicKeys(s.Client.Signer)}, hostKey: ssh.FixedHostKey(s.Host.Public()),
		keyFile: s.ClientKeyFile(), knownHosts: filepath.Join(w.dir, "direct_known_hosts"),
	}
	text := fmt.Sprintf(`Host box
  HostName 127.0.0.1
  Port %d
  User %s
  IdentityFile %s
  IdentitiesOnly yes
  UserKnownHostsFile %s
  BatchMode yes
`, s.Port, account, s.ClientKeyFile(), w.direct.knownHosts)
	return errors.Join(os.WriteFile(w.direct.config, []byte(text), 0o600), os.WriteFile(w.direct.knownHosts, []byte(s.KnownHosts()), 0o600))
}

func (w *world) stop() error {
	var errs []error
	if w.server != nil {
		errs = append(errs, w.server.Stop())
	}
	if w.dir != "" {
		errs = append(errs, os.RemoveAll(w.dir))
	}
	return errors.Join(errs...)
}
