package sshproof_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport-gateway/sallyport/test/sshgate"
	"github.com/sallyport-gateway/sallyport/test/sshtest"
)

// setupAccount is who the printed script prepares a host for.
const setupAccount = "spsetup"

// prepared is a gateway with a host that was prepared by what `sallyport setup ssh`
// prints.
type prepared struct {
	gw      *sshgate.Gateway
	address string
	dir     string
}

func (p *prepared) document(hostKeys string) string {
	return fmt.Sprintf(`kind: Credential
name: box
username: %s
authority: ssh
---
kind: Target
name: box
protocol: ssh
address: %s
credential: box
labels: {mode: open}
%s---
`, setupAccount, p.address, hostKeys)
}

// offline runs a subcommand on the gateway's own configuration.
func (p *prepared) offline(t *testing.T, args ...string) answer {
	t.Helper()
	a, err := p.gw.CLI(context.Background(), "", append(args, "--config", filepath.Join(p.gw.Dir, "sallyport.yaml"))...)
	if err != nil {
		t.Fatal(err)
	}
	return answer{a.Out, a.Err, a.Status}
}

// setup runs the script that the gateway prints, twice, with its folder in the place
// of /etc/ssh and without its last step, which is about this machine's own sshd.
func (p *prepared) setup(t *testing.T) {
	t.Helper()
	printed := p.offline(t, "setup", "ssh", "box")
	if printed.status != 0 || printed.err != "" {
		t.Fatalf("setup: %v", printed)
	}
	script, _, found := strings.Cut(printed.out, "# 5. ")
	if !found {
		t.Fatalf("the script has another form:\n%s", printed.out)
	}
	key := filepath.Join(p.dir, "host")
	config := filepath.Join(p.dir, "sshd_config")
	for name, text := range map[string]string{config: "HostKey " + key + "\nInclude " + p.dir + "/sshd_config.d/*.conf\n"} {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	host, err := sshtest.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	if err := host.Write(key); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(p.dir, "sshd_config.d"), 0o755); err != nil {
		t.Fatal(err)
	}
	script = strings.NewReplacer("/etc/ssh/", p.dir+"/", "\nsshd -t\n", "\n/usr/sbin/sshd -t -f "+config+"\n").Replace(script)
	for range 2 {
		cmd := exec.CommandContext(t.Context(), "sh", "-s")
		cmd.Stdin = strings.NewReader(script)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("the script: %v\n%s\n%s", err, out, script)
		}
	}
}

// serve runs the host as it was prepared.
func (p *prepared) serve(t *testing.T, settings map[string]string) *sshtest.Server {
	t.Helper()
	_, port, _ := net.SplitHostPort(p.address)
	options := sshtest.Options{Accounts: []sshtest.Account{{Name: setupAccount}},
		Settings: map[string]string{"Include": filepath.Join(p.dir, "sshd_config.d", "50-sallyport.conf")}}
	for k, v := range settings {
		options.Settings[k] = v
	}
	if _, err := fmt.Sscan(port, &options.Port); err != nil {
		t.Fatal(err)
	}
	return sshtest.Run(t, options)
}

func prepare(t *testing.T) *prepared {
	t.Helper()
	w := the(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &prepared{address: l.Addr().String(), dir: t.TempDir()}
	_ = l.Close()
	for dir := p.dir; dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil { // sshd reads as the account
			t.Fatal(err)
		}
	}
	if p.gw, err = sshgate.Start(context.Background(), sshgate.Options{Program: w.gw.Program, Documents: map[string]string{
		"issuers.yaml": sshgate.Issuers(agent), "target.yaml": p.document(""), "policies.yaml": fmt.Sprintf(policies, w.service.Addr()),
	}}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the gateway's log:\n%s", lastLines(p.gw.Log()))
		}
		if err := p.gw.Stop(); err != nil {
			t.Error(err)
		}
	})
	p.setup(t)
	return p
}

// TestAHostThatWasSetUpTakesTheGatewaysCertificatesAndNothingElse goes the way of
// docs/ssh.md: setup, inspect, pin, log in.
func TestAHostThatWasSetUpTakesTheGatewaysCertificatesAndNothingElse(t *testing.T) {
	p := prepare(t)
	server := p.serve(t, nil)

	// The key is shown, and not trusted until it is in the document.
	shown := p.offline(t, "inspect", "box")
	if shown.status != 0 || !strings.Contains(shown.out, "does not trust") || !strings.Contains(shown.out, ssh.FingerprintSHA256(server.Host.Public())) {
		t.Fatalf("inspect: %v", shown)
	}
	if a := p.offline(t, "setup", "ssh", "box", "--check"); a.status != 1 || !strings.Contains(a.err, "host_keys") {
		t.Errorf("a host whose key is not pinned was logged in to: %v", a)
	}
	var key struct {
		HostKey string `json:"host_key"`
		Pinned  bool   `json:"pinned"`
	}
	if err := json.Unmarshal([]byte(p.offline(t, "inspect", "box", "--json").out), &key); err != nil || key.Pinned {
		t.Fatalf("%+v %v", key, err)
	}
	pinned := p.document(fmt.Sprintf("host_keys: [%q]\n", key.HostKey))
	if err := os.WriteFile(filepath.Join(p.gw.Dir, "documents", "target.yaml"), []byte(pinned), 0o600); err != nil {
		t.Fatal(err)
	}
	if a := p.offline(t, "inspect", "box"); !strings.Contains(a.out, "which its document trusts") {
		t.Errorf("inspect: %v", a)
	}

	token, err := p.gw.Token(agent, 10*time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	config, err := p.gw.Login(t.Context(), t.TempDir(), token, "box")
	if err != nil {
		t.Fatal(err)
	}
	w := &way{name: "box", config: config, host: "box"}
	eventually(t, "the gateway logs in", patience, func() bool { return w.ssh(t, "", "id -un").out == setupAccount+"\n" })
	if log := server.Log(); !strings.Contains(log, "sallyport session=ses_") || !strings.Contains(log, agent) {
		t.Errorf("the host's log does not name the agent and its session:\n%s", log)
	}

	// The account has no other way in, and its certificates open no tunnel.
	if c, err := server.Dial(t.Context(), setupAccount); err == nil {
		_ = c.Close()
		t.Error("a key logs in beside the gateway's certificates")
	}
	if a := p.offline(t, "setup", "ssh", "box", "--check"); a.status != 0 || !strings.Contains(a.out, "can do no more than it needs") {
		t.Errorf("check: %v", a)
	}
}

// TestACredentialThatCanDoTooMuchIsReported checks an account whose PATH begins with a
// folder of its own, in which a program answers as sudo(8) does.
func TestACredentialThatCanDoTooMuchIsReported(t *testing.T) {
	p := prepare(t)
	own := filepath.Join(p.dir, "own")
	if err := os.Mkdir(own, 0o755); err != nil {
		t.Fatal(err)
	}
	sudo := "#!/bin/sh\n[ \"$*\" = '-n -l' ] && printf 'User may run the following commands on box:\\n    (ALL : ALL) NOPASSWD: ALL\\n'\n"
	if err := os.WriteFile(filepath.Join(own, "sudo"), []byte(sudo), 0o755); err != nil {
		t.Fatal(err)
	}
	server := p.serve(t, map[string]string{"SetEnv": "PATH=" + own + ":/usr/bin:/bin"})
	if out, err := exec.CommandContext(t.Context(), "chown", setupAccount, own).CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	pinned := p.document(fmt.Sprintf("host_keys: [%q]\n", server.Host.Line()))
	if err := os.WriteFile(filepath.Join(p.gw.Dir, "documents", "target.yaml"), []byte(pinned), 0o600); err != nil {
		t.Fatal(err)
	}
	a := p.offline(t, "setup", "ssh", "box", "--check")
	for _, want := range []string{"may run commands by sudo without a password", "(ALL : ALL) ALL", "may write a directory of its PATH", own, "what to do:"} {
		if !strings.Contains(a.out, want) {
			t.Errorf("no %q in:\n%s", want, a.out)
		}
	}
	if a.status != 1 || !strings.Contains(a.err, "can do more than it needs: 2 findings") {
		t.Errorf("check: %v", a)
	}
	var report struct {
		Account string
		Beyond  []struct{ What, Why, Do string }
	}
	a = p.offline(t, "setup", "ssh", "box", "--check", "--json")
	if err := json.Unmarshal([]byte(a.out), &report); err != nil || a.status != 1 || report.Account != setupAccount || len(report.Beyond) != 2 {
		t.Errorf("%v %+v %v", err, report, a)
	}
}
