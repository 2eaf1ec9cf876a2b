package hostile_test

import (
	"context"
	"net"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport-gateway/sallyport/test/sshtest"
	"github.com/sallyport-gateway/sallyport/test/sshtest/hostile"
	"github.com/sallyport-gateway/sallyport/test/sshtest/peer"
)

// enough is how long a client that has no bounds of its own is left with a lie.
const enough = time.Second

func key(t *testing.T) *sshtest.Key {
	t.Helper()
	k, err := sshtest.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// run runs a command on a host that lies, with a client that knows nothing of it.
func run(t *testing.T, l *hostile.Lie) (loggedIn bool, output string, err error) {
	t.Helper()
	pinned := key(t)
	config := l.Config
	config.HostKey = pinned.Signer
	if l.WrongKey {
		config.HostKey = key(t).Signer
	}
	server, err := peer.Listen(func(c net.Conn) error { return l.Serve(c, config) })
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = server.Close() }()
	ctx, cancel := context.WithTimeout(t.Context(), enough)
	defer cancel()
	c, err := sshtest.Dial(ctx, server.Address, &ssh.ClientConfig{
		User: "u", Auth: []ssh.AuthMethod{ssh.Password("p")}, HostKeyCallback: ssh.FixedHostKey(pinned.Public()),
	})
	if err != nil {
		return false, "", err
	}
	defer func() { _ = c.Close() }()
	defer context.AfterFunc(ctx, func() { _ = c.Close() })()
	s, err := c.NewSession()
	if err != nil {
		return true, "", err
	}
	out, err := s.Output("echo hello")
	return true, string(out), err
}

func TestEachLieIsToldWhereItSays(t *testing.T) {
	for _, l := range hostile.Lies() {
		t.Run(l.Name, func(t *testing.T) {
			t.Parallel()
			loggedIn, output, err := run(t, &l)
			if loggedIn == l.LogIn {
				t.Errorf("logged in: %v; %v", loggedIn, err)
			}
			if l.Outcome == hostile.Survives && (err != nil || output != hostile.Greeting) {
				t.Errorf("an honest client does not survive it: %q, %v", output, err)
			}
		})
	}
}

func TestAHostWithoutALieAnswers(t *testing.T) {
	if _, output, err := run(t, &hostile.Lie{}); err != nil || output != hostile.Greeting {
		t.Errorf("%q, %v", output, err)
	}
}
