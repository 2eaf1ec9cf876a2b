package sshtest_test

import (
	"context"
	"errors"
	"net"
	"os"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport-gateway/sallyport/test/sshtest"
)

// The accounts of these tests.
const (
	account = "sptest"
	other   = "sptest-pw"
)

func output(t *testing.T, c *ssh.Client, command string) string {
	t.Helper()
	session, err := c.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = session.Close() }()
	out, err := session.Output(command)
	if err != nil {
		t.Fatalf("%s: %v", command, err)
	}
	return string(out)
}

func dial(t *testing.T, s *sshtest.Server, user string, auth ssh.AuthMethod) (*ssh.Client, error) {
	t.Helper()
	c, err := sshtest.Dial(t.Context(), s.Address(), &ssh.ClientConfig{
		User: user, Auth: []ssh.AuthMethod{auth}, HostKeyCallback: ssh.FixedHostKey(s.Host.Public()),
	})
	if err == nil {
		t.Cleanup(func() { _ = c.Close() })
	}
	return c, err
}

func TestTheClientKeyLogsInAsTheAccountsAndAsNobodyElse(t *testing.T) {
	s := sshtest.Run(t, sshtest.Options{Accounts: []sshtest.Account{{Name: account}}})
	c, err := s.Dial(t.Context(), account)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if got := strings.TrimSpace(output(t, c, "id -un; pwd")); got != account+"\n/home/"+account {
		t.Errorf("logged in as %q", got)
	}
	for _, name := range []string{"root", "nobody", other} {
		if c, err := s.Dial(t.Context(), name); err == nil {
			_ = c.Close()
			t.Errorf("%s could log in", name)
		}
	}
	if log := s.Log(); !strings.Contains(log, "Accepted publickey for "+account) {
		t.Errorf("the log does not say who logged in:\n%s", log)
	}
}

func TestACertificateOfATrustedAuthorityLogsInAsItsPrincipalOnly(t *testing.T) {
	authority, key := newKey(t), newKey(t)
	s := sshtest.Run(t, sshtest.Options{Accounts: []sshtest.Account{{Name: account}}, UserAuthorities: []ssh.PublicKey{authority.Public()}})
	for principal, allowed := range map[string]bool{account: true, "somebody": false} {
		certificate, err := authority.UserCertificate(key.Public(), principal)
		if err != nil {
			t.Fatal(err)
		}
		signer, err := ssh.NewCertSigner(certificate, key.Signer)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := dial(t, s, account, ssh.PublicKeys(signer)); (err == nil) != allowed {
			t.Errorf("principal %s: %v, want allowed %v", principal, err, allowed)
		}
	}
}

func TestAPasswordWorksUntilTheServerStops(t *testing.T) {
	const password = "it's \"secret\" $x"
	o := sshtest.Options{Accounts: []sshtest.Account{{Name: other, Password: password}}}
	s := sshtest.Run(t, o)
	if _, err := dial(t, s, other, ssh.Password(password)); err != nil {
		t.Errorf("right password: %v", err)
	}
	if _, err := dial(t, s, other, ssh.Password("wrong")); err == nil {
		t.Error("a wrong password logs in")
	}
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	shadow, err := os.ReadFile("/etc/shadow")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains("\n"+string(shadow), "\n"+other+":*:") {
		t.Error("the password is still there")
	}
}

func TestTheHostShowsACertificateOfItsAuthority(t *testing.T) {
	authority := newKey(t)
	s := sshtest.Run(t, sshtest.Options{Accounts: []sshtest.Account{{Name: account}}, HostAuthority: authority})
	checker := &ssh.CertChecker{IsHostAuthority: func(key ssh.PublicKey, _ string) bool {
		return string(key.Marshal()) == string(authority.Public().Marshal())
	}}
	c, err := sshtest.Dial(t.Context(), s.Address(), &ssh.ClientConfig{
		User: account, Auth: []ssh.AuthMethod{ssh.PublicKeys(s.Client.Signer)}, HostKeyCallback: checker.CheckHostKey,
		HostKeyAlgorithms: []string{ssh.CertAlgoED25519v01},
	})
	if err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
}

func TestStopEndsTheSessionsAndLeavesNothingBehind(t *testing.T) {
	s, err := sshtest.Start(context.Background(), sshtest.Options{Accounts: []sshtest.Account{{Name: account}}})
	if err != nil {
		t.Fatal(err)
	}
	c, err := s.Dial(t.Context(), account)
	if err != nil {
		t.Fatal(err)
	}
	session, err := c.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := session.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := session.Start("echo ready; exec sleep 86417"); err != nil {
		t.Fatal(err)
	}
	if _, err := stdout.Read(make([]byte, 6)); err != nil {
		t.Fatal(err)
	}
	if len(sshtest.Descendants(s.PID())) == 0 {
		t.Error("the session has no process below the server")
	}
	for range 2 {
		if err := s.Stop(); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Wait(); err == nil {
		t.Error("the session's connection ended without an error")
	}
	if _, err := os.Stat(s.Dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is still there: %v", s.Dir, err)
	}
	if c, err := net.Dial("tcp", s.Address()); err == nil {
		_ = c.Close()
		t.Error("the server still answers")
	}
}

func newKey(t *testing.T) *sshtest.Key {
	t.Helper()
	key, err := sshtest.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	return key
}
