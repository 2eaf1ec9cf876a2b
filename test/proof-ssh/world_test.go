package sshproof_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport-gateway/sallyport/test/sshgate"
	"github.com/sallyport-gateway/sallyport/test/sshtest"
	"github.com/sallyport-gateway/sallyport/test/sshtest/hostile"
	"github.com/sallyport-gateway/sallyport/test/sshtest/peer"
)

// account is who the gateway logs in as.
const account = "spproof"

// holdFor is how long a command waits for a person at this gateway.
const holdFor = 6 * time.Second

// world is what all tests share: a host, hosts that lie, and the gateway in front
// of them.
type world struct {
	dir     string
	server  *sshtest.Server
	pinned  *sshtest.Key // of the hosts that lie
	lies    []*peer.Listener
	watched *peer.Listener
	// offered is what the gateway offered the watched host.
	offered chan *peer.Init
	service net.Listener // where tunnels may lead
	gw      *sshgate.Gateway
	// plainKey is the gateway's host key without its certificate.
	plainKey ssh.PublicKey

	direct, gateway way
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
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the gateway's log:\n%s", lastLines(all.gw.Log()))
		}
	})
	return all
}

func lastLines(text string) string { return text[max(0, len(text)-3000):] }

// ways are the ways to the host, the straight one first.
func ways(t testing.TB) []*way {
	t.Helper()
	w := the(t)
	return []*way{&w.direct, &w.gateway}
}

func (w *world) start(ctx context.Context) (err error) {
	if w.dir, err = os.MkdirTemp("", "proof-ssh-"); err != nil {
		return err
	}
	if w.server, err = sshtest.Start(ctx, sshtest.Options{Accounts: []sshtest.Account{{Name: account}}}); err != nil {
		return err
	}
	if err := errors.Join(w.startLies(), w.startService(), w.makeDirect()); err != nil {
		return err
	}
	w.gw, err = sshgate.Start(ctx, sshgate.Options{
		Process: fmt.Sprintf("hold: %s\nlog: {level: info}\nlimits: {handshake: 5s}\n", holdFor),
		Documents: map[string]string{
			"issuers.yaml":  sshgate.Issuers(agent, reviewed, watcher, doomed),
			"targets.yaml":  w.hosts() + w.liars() + labels,
			"policies.yaml": fmt.Sprintf(policies, w.service.Addr()),
		},
	})
	if err != nil {
		return err
	}
	return w.makeGateway(ctx)
}

// startLies runs the hosts that lie. All have the pinned key, but for the one
// whose lie it is to have another.
func (w *world) startLies() (err error) {
	if w.pinned, err = sshtest.NewKey(); err != nil {
		return err
	}
	other, err := sshtest.NewKey()
	if err != nil {
		return err
	}
	for _, l := range hostile.Lies() {
		config := l.Config
		config.HostKey = w.pinned.Signer
		if l.WrongKey {
			config.HostKey = other.Signer
		}
		listener, err := peer.Listen(func(c net.Conn) error { return l.Serve(c, config) })
		if err != nil {
			return err
		}
		w.lies = append(w.lies, listener)
	}
	w.offered = make(chan *peer.Init, 1)
	honest := hostile.Lie{Seen: func(offered *peer.Init) {
		select {
		case w.offered <- offered:
		default: // an earlier connection's is there
		}
	}}
	w.watched, err = peer.Listen(func(c net.Conn) error { return honest.Serve(c, peer.Config{HostKey: w.pinned.Signer}) })
	return err
}

// startService runs what tunnels may lead to: it sends back what it gets.
func (w *world) startService() (err error) {
	if w.service, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return err
	}
	go func() { // ends with the listener
		for {
			c, err := w.service.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = c.Close() }()
				buf := make([]byte, 4096)
				for {
					n, err := c.Read(buf)
					if err != nil {
						return
					}
					if _, err := c.Write(bytes.ToUpper(buf[:n])); err != nil {
						return
					}
				}
			}()
		}
	}()
	return nil
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

// makeGateway logs in as an agent does: with a certificate for what reads an
// ssh_config, with the token for what does not.
func (w *world) makeGateway(ctx context.Context) error {
	token, err := w.gw.Token(agent, 55*time.Minute)
	if err != nil {
		return err
	}
	names := []string{open, strict, held, term, tunnel, watched}
	for i := range w.lies {
		names = append(names, liar(i))
	}
	dir := filepath.Join(w.dir, "client")
	config, err := w.gw.Login(ctx, dir, token, names...)
	if err != nil {
		return err
	}
	hostKey, err := sshgate.HostKey(dir)
	if err != nil {
		return err
	}
	raw, err := peer.Dial(w.gw.Address, peer.Config{})
	if err != nil {
		return err
	}
	w.plainKey = raw.HostKey
	_, port, _ := strings.Cut(w.gw.Address, ":")
	w.gateway = way{
		name: "gateway", config: config, host: open, address: w.gw.Address, user: open, auth: []ssh.AuthMethod{ssh.Password(token)},
		hostKey: hostKey, password: token, knownHosts: filepath.Join(w.dir, "gateway_known_hosts"),
	}
	known := fmt.Sprintf("[127.0.0.1]:%s %s\n", port, sshtest.Line(w.plainKey))
	return errors.Join(raw.Close(), os.WriteFile(w.gateway.knownHosts, []byte(known), 0o600))
}

func (w *world) stop() error {
	var errs []error
	if w.gw != nil {
		errs = append(errs, w.gw.Stop())
	}
	for _, l := range w.lies {
		errs = append(errs, l.Close())
	}
	if w.watched != nil {
		errs = append(errs, w.watched.Close())
	}
	if w.service != nil {
		errs = append(errs, w.service.Close())
	}
	if w.server != nil {
		errs = append(errs, w.server.Stop())
	}
	if w.dir != "" {
		errs = append(errs, os.RemoveAll(w.dir))
	}
	return errors.Join(errs...)
}

// at is the way to another target of the gateway.
func (w *world) at(target string) *way {
	other := w.gateway
	other.name, other.host, other.user = target, target, target
	return &other
}

// as is the way to a target for another agent, whose token lives for a time.
func (w *world) as(t testing.TB, name, target string, lifetime time.Duration) *way {
	t.Helper()
	other := w.at(target)
	token, err := w.gw.Token(name, lifetime)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if other.config, err = w.gw.Login(t.Context(), dir, token, target); err != nil {
		t.Fatal(err)
	}
	other.password, other.auth = token, []ssh.AuthMethod{ssh.Password(token)}
	return other
}

// operator runs a subcommand as a person who may do everything; it has to succeed.
func (w *world) operator(t testing.TB, args ...string) string {
	t.Helper()
	token, err := w.gw.Person("alice", "operators")
	if err != nil {
		t.Fatal(err)
	}
	a, err := w.gw.CLI(context.Background(), token, args...)
	if err != nil {
		t.Fatal(err)
	}
	if a.Status != 0 {
		t.Fatalf("sallyport %s: exit %d\n%s%s", strings.Join(args, " "), a.Status, a.Out, a.Err)
	}
	return a.Out
}

// list runs a subcommand with --json and decodes what it prints.
func (w *world) list(t testing.TB, into any, args ...string) {
	t.Helper()
	if err := json.Unmarshal([]byte(w.operator(t, append(args, "--json")...)), into); err != nil {
		t.Fatal(err)
	}
}
