package ssh_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	cryptossh "golang.org/x/crypto/ssh"

	"github.com/sallyport-gateway/sallyport/internal/gate"
	"github.com/sallyport-gateway/sallyport/internal/gate/gatetest"
	"github.com/sallyport-gateway/sallyport/internal/proto/ssh"
	"github.com/sallyport-gateway/sallyport/test/sshtest"
)

const (
	account  = "spconform"
	password = "canary-4b1f9e27"
)

// host starts a real sshd. Its account's start-up file notes every command line that
// reaches the shell, which is what the host has seen of the gateway.
func host(t testing.TB) (s *sshtest.Server, seen func(testing.TB) string, folder string) {
	t.Helper()
	s = sshtest.Run(t, sshtest.Options{Accounts: []sshtest.Account{{Name: account, Password: password}},
		Settings: map[string]string{"MaxSessions": "100", "MaxStartups": "100"}})
	folder = t.TempDir()
	for dir := folder; dir != "/" && dir != os.TempDir(); dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	log := filepath.Join(folder, "seen")
	if err := os.WriteFile(log, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(log, 0o666); err != nil {
		t.Fatal(err)
	}
	rc := "printf '%s\\n' \"$BASH_EXECUTION_STRING\" >>" + log + "\n"
	if err := os.WriteFile("/home/"+account+"/.bashrc", []byte(rc), 0o644); err != nil {
		t.Fatal(err)
	}
	return s, func(t testing.TB) string {
		b, err := os.ReadFile(log)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}, folder
}

// authority makes the gateway's own keys.
func authority(t testing.TB) *ssh.Authority {
	t.Helper()
	var keys ssh.Keys
	for _, k := range []*gate.Secret{&keys.Host, &keys.HostAuthority, &keys.UserAuthority} {
		var err error
		if *k, err = ssh.GenerateKey(); err != nil {
			t.Fatal(err)
		}
	}
	a, err := ssh.NewAuthority(keys, nil)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// client is a native client: x/crypto/ssh for commands, the connection below it for
// hostile bytes. A channel is opened with the connection, as a session is.
type client struct {
	raw   net.Conn
	conn  *cryptossh.Client
	first *cryptossh.Session
	gone  chan struct{}
}

func connect(_ testing.TB, addr, target, token string) (gatetest.Client, error) {
	raw, err := net.DialTimeout("tcp", addr, 10*time.Second)
	if err != nil {
		return nil, err
	}
	_ = raw.SetDeadline(time.Now().Add(10 * time.Second))
	var banner string
	conn, channels, requests, err := cryptossh.NewClientConn(raw, addr, &cryptossh.ClientConfig{User: target,
		Auth: []cryptossh.AuthMethod{cryptossh.Password(token)}, HostKeyCallback: cryptossh.InsecureIgnoreHostKey(),
		BannerCallback: func(m string) error { banner += m; return nil }})
	if err != nil {
		_ = raw.Close()
		return nil, errors.Join(err, errors.New(banner))
	}
	_ = raw.SetDeadline(time.Time{})
	c := &client{raw: raw, conn: cryptossh.NewClient(conn, channels, requests), gone: make(chan struct{})}
	go func() { _ = conn.Wait(); close(c.gone) }()
	if c.first, err = c.conn.NewSession(); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func (c *client) Do(command string) gatetest.Answer {
	s := c.first
	c.first = nil
	if s == nil {
		var err error
		if s, err = c.conn.NewSession(); err != nil {
			return gatetest.Answer{Err: err, Closed: c.closed(true)}
		}
	}
	var out, errOut buffer
	s.Stdout, s.Stderr = &out, &errOut
	a := gatetest.Answer{Err: s.Run(command)}
	a.Text = out.String() + errOut.String()
	for line := range strings.Lines(errOut.String()) {
		switch {
		case strings.HasPrefix(line, "SALLYPORT "):
			a.Refused = strings.TrimSpace(line)
		case strings.HasPrefix(line, "sallyport: held"):
			a.Notices = append(a.Notices, line)
		}
	}
	var exit *cryptossh.ExitError
	if a.Refused != "" && (!errors.As(a.Err, &exit) || exit.ExitStatus() != 77) {
		a.Err = errors.Join(a.Err, errors.New("a refusal without exit status 77"))
	}
	a.Closed = c.closed(strings.Contains(a.Refused, "SALLYPORT ended") || a.Err != nil && a.Refused == "")
	return a
}

// closed reports whether the gateway has closed the connection. It does so just after
// its last words, so what should end the connection is waited for.
func (c *client) closed(expected bool) bool {
	if expected {
		select {
		case <-c.gone:
			return true
		case <-time.After(5 * time.Second):
		}
	}
	_, _, err := c.conn.SendRequest("keepalive@openssh.com", true, nil)
	return err != nil
}

func (c *client) Raw(b []byte) (string, bool) {
	if _, err := c.raw.Write(b); err != nil {
		return "", true
	}
	select {
	case <-c.gone:
		return "", true
	case <-time.After(5 * time.Second):
		return "", false
	}
}

func (c *client) Close() { _ = c.conn.Close() }

// runs reports whether a process of this machine has the words in its command line.
func runs(t testing.TB, words string) bool {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err == nil && strings.Contains(strings.ReplaceAll(string(b), "\x00", " "), words) {
			return true
		}
	}
	return false
}

func TestConformance(t *testing.T) {
	server, seen, folder := host(t)
	effects := filepath.Join(folder, "effects")
	mail := filepath.Join(folder, "mail")
	for name, text := range map[string]string{effects: "", mail: "write to alice.liddell@example.org today\n"} {
		if err := os.WriteFile(name, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(name, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	gatetest.Run(t, &gatetest.Case{
		Protocol: "ssh",
		New: func(t testing.TB) gate.Protocol {
			p, err := ssh.New(ssh.Config{Authority: authority(t)})
			if err != nil {
				t.Fatal(err)
			}
			return p
		},
		Target:     gate.Target{Address: server.Address(), Keys: []string{server.Host.Line()}, Detect: []string{"email"}},
		Credential: gate.Credential{Name: "conformance", Username: account, Password: gate.NewSecret(password)},
		Connect:    connect, Seen: seen,
		Marker: "mark", Secret: "alice.liddell@example.org",
		Allowed: "echo mark; expr 1000 + 7", AllowedAnswer: "1007",
		Blocked: "echo mark_blocked",
		Held:    "echo mark_held >>" + effects, Held2: "echo mark_held two >>" + folder + "/other",
		Effects: func(t testing.TB) int {
			b, err := os.ReadFile(effects)
			if err != nil {
				t.Fatal(err)
			}
			return strings.Count(string(b), "mark_held")
		},
		Masked: "echo mark; cat " + mail,
		Slow:   "echo mark_slow; sleep 86311", Running: func(t testing.TB) bool { return runs(t, "sleep 86311") },
		Hostile: []gatetest.Hostile{
			{Name: "bytes that are no packet", Bytes: []byte(strings.Repeat("not encrypted ", 20)), Ends: true},
			{Name: "a length beyond every bound", Bytes: []byte{0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28}, Ends: true},
			{Name: "half a packet", Bytes: []byte{0, 0, 0, 64, 7}, Truncated: true},
		},
	})
}

var _ io.Writer = (*buffer)(nil)
