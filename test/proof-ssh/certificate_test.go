package sshproof_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-gateway/sallyport/internal/identity/devissuer"
	"github.com/sallyport-gateway/sallyport/test/sshgate"
)

// certified is a gateway of the test's own, whose documents it may change.
type certified struct {
	*world
	gw *sshgate.Gateway
}

func startCertified(t *testing.T) *certified {
	t.Helper()
	w := the(t)
	host := sshgate.Host{Name: "web1", Server: w.server, Account: account, Labels: "mode: open"}
	gw, err := sshgate.Start(context.Background(), sshgate.Options{
		Program: w.gw.Program,
		Documents: map[string]string{"issuers.yaml": sshgate.Issuers(agent, doomed), "targets.yaml": host.Document(),
			"policies.yaml": fmt.Sprintf(policies, w.service.Addr())},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the gateway's log:\n%s", lastLines(gw.Log()))
		}
		if err := gw.Stop(); err != nil {
			t.Error(err)
		}
	})
	return &certified{w, gw}
}

// login logs an agent in with stock tools and returns how it reaches the host, and the
// id of its token.
func (c *certified) login(t *testing.T, name string, lifetime time.Duration) (*way, string) {
	t.Helper()
	id := fmt.Sprintf("jti-%s-%d", name, time.Now().UnixNano())
	token, err := c.gw.Issuer.Mint(devissuer.Claims{Subject: name, Audience: sshgate.Audience, Lifetime: lifetime, ID: id})
	if err != nil {
		t.Fatal(err)
	}
	config, err := c.gw.Login(t.Context(), t.TempDir(), token, "web1")
	if err != nil {
		t.Fatal(err)
	}
	return &way{name: name, config: config, host: "web1"}, id
}

// running starts a command that goes on until it is ended from outside.
func running(t *testing.T, w *way, command string) (out *screen, done chan error) {
	t.Helper()
	out, done = &screen{}, make(chan error, 1)
	cmd := exec.CommandContext(t.Context(), "ssh", "-F", w.config, w.host, command)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { done <- cmd.Wait() }() // ends with the program, which ends with the test
	eventually(t, command+" runs at the host", patience, func() bool { return onHost(command) })
	return out, done
}

// ended waits for the end of a command whose session was ended from outside.
func ended(t *testing.T, command, reason string, out *screen, done chan error) {
	t.Helper()
	select {
	case err := <-done:
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != 77 && exit.ExitCode() != 255 {
			t.Errorf("%s: %v", command, err)
		}
	case <-time.After(2 * patience):
		t.Fatalf("%s goes on", command)
	}
	if !strings.Contains(out.String(), "SALLYPORT ended reason="+reason) {
		t.Errorf("%s: it was not told why: %s", command, out.String())
	}
	eventually(t, command+" is gone at the host", patience, func() bool { return !onHost(command) })
}

// useless wants a certificate that logs in no more.
func useless(t *testing.T, w *way) {
	t.Helper()
	if a := w.ssh(t, "", "echo in"); a.status != 255 || a.out != "" || !strings.Contains(a.err, "Permission denied") {
		t.Errorf("%s still logs in: %v", w.name, a)
	}
}

func logsIn(t *testing.T, w *way) {
	t.Helper()
	if a := w.ssh(t, "", "echo in"); a.status != 0 || a.out != "in\n" {
		t.Errorf("%s: %v", w.name, a)
	}
}

func TestRevokingATokenEndsItsSessionsAndItsCertificate(t *testing.T) {
	c := startCertified(t)
	victim, id := c.login(t, doomed, 10*time.Minute)
	other, _ := c.login(t, agent, 10*time.Minute)
	logsIn(t, victim)
	command := aSleep()
	out, done := running(t, victim, command)
	person, err := c.gw.Person("alice", "operators")
	if err != nil {
		t.Fatal(err)
	}
	a, err := c.gw.CLI(t.Context(), person, "revoke", "token", id, "--reason", "leaked")
	if err != nil || a.Status != 0 || !strings.Contains(a.Out, "live sessions ended: 1") {
		t.Fatalf("revoke: %v %+v", err, a)
	}
	ended(t, command, "revoked", out, done)
	useless(t, victim)
	logsIn(t, other)
	// Another token of the same agent is another log-in.
	again, _ := c.login(t, doomed, 10*time.Minute)
	logsIn(t, again)
}

func TestAnIssuerThatIsGoneTakesItsCertificatesAlong(t *testing.T) {
	c := startCertified(t)
	w, _ := c.login(t, agent, 10*time.Minute)
	logsIn(t, w)
	file := filepath.Join(c.gw.Dir, "documents", "issuers.yaml")
	before, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(before), "---\n") // the agents' issuer is the first
	if err := os.WriteFile(file, []byte(rest), 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the certificate is useless", patience, func() bool { return w.ssh(t, "", "echo in").status == 255 })
	useless(t, w)
	if err := os.WriteFile(file, before, 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, "with the issuer the certificate is back", patience, func() bool { return w.ssh(t, "", "echo in").status == 0 })
}

func TestACertificateEndsWithItsTokenAndSoDoesTheConnection(t *testing.T) {
	c := startCertified(t)
	w, _ := c.login(t, agent, 20*time.Second)
	command := aSleep()
	out, done := running(t, w, command)
	ended(t, command, "expired", out, done)
	useless(t, w)
	expired, err := c.gw.Token(agent, -time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if a, err := c.gw.CLI(t.Context(), expired, "login", "--dir", t.TempDir()); err != nil || a.Status != 3 {
		t.Errorf("an expired token logs in: %v %+v", err, a)
	}
}
