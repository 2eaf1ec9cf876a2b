package sshproof_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport-gateway/sallyport/test/sshtest/peer"
)

// raw is a client that sends any message, logged in on a target.
func (w *world) raw(t testing.TB, target string) *peer.Conn {
	t.Helper()
	p, err := peer.Dial(w.gw.Address, peer.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	if err := p.Login(target, w.gateway.password); err != nil {
		t.Fatal(err)
	}
	return p
}

// channel opens a session channel.
func channel(t testing.TB, p *peer.Conn, number uint32) *peer.ChannelConfirm {
	t.Helper()
	ok, refused, err := p.Open(&peer.ChannelOpen{Type: "session", Sender: number, Window: 1 << 21, Packet: 1 << 15})
	if err != nil || refused != nil {
		t.Fatalf("open a session channel: %v, %v", refused, err)
	}
	return ok
}

// request makes a channel request that wants an answer, and returns whether it was
// granted.
func request(t testing.TB, p *peer.Conn, number uint32, kind string, rest []byte) bool {
	t.Helper()
	if err := p.Send(&peer.ChannelRequest{Recipient: number, Type: kind, WantReply: true, Rest: rest}); err != nil {
		t.Fatal(err)
	}
	payload, err := p.Await(peer.MsgChannelSuccess, peer.MsgChannelFailure)
	if err != nil {
		t.Fatalf("request %q: %v", kind, err)
	}
	return payload[0] == peer.MsgChannelSuccess
}

func text(s ...string) []byte {
	var b []byte
	for _, x := range s {
		b = append(b, ssh.Marshal(struct{ Text string }{x})...)
	}
	return b
}

func number(n ...uint32) []byte {
	var b []byte
	for _, x := range n {
		b = append(b, ssh.Marshal(struct{ Number uint32 }{x})...)
	}
	return b
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// works proves that a connection goes on: a command on a new channel answers.
func works(t testing.TB, p *peer.Conn) {
	t.Helper()
	ok := channel(t, p, 900)
	if !request(t, p, ok.Sender, "exec", text("echo still here")) {
		t.Error("the connection does not go on: exec was refused")
		return
	}
	var out []byte
	for !strings.Contains(string(out), "still here") {
		payload, err := p.Await(peer.MsgChannelData, peer.MsgChannelClose)
		if err != nil || payload[0] == peer.MsgChannelClose {
			t.Errorf("the connection does not go on: %q, %v", out, err)
			return
		}
		var data peer.ChannelData
		if err := ssh.Unmarshal(payload, &data); err != nil {
			t.Fatal(err)
		}
		out = append(out, data.Data...)
	}
	if _, err := p.Await(peer.MsgChannelClose); err != nil {
		t.Error(err)
	}
}

func TestEveryChannelTypeButSessionIsRefusedWithAReason(t *testing.T) {
	w := the(t)
	p := w.raw(t, strict)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	reached := make(chan bool, 1)
	go func() { // ends with the listener
		if c, err := l.Accept(); err == nil {
			_ = c.Close()
			reached <- true
		}
	}()
	port := uint32(l.Addr().(*net.TCPAddr).Port)
	address := join(text("127.0.0.1"), number(port), text("127.0.0.1"), number(1))
	for name, rest := range map[string][]byte{
		"direct-tcpip":                       address,
		"forwarded-tcpip":                    address,
		"x11":                                join(text("127.0.0.1"), number(6000)),
		"direct-streamlocal@openssh.com":     join(text("/run/docker.sock"), text(""), number(0)),
		"forwarded-streamlocal@openssh.com":  text("/tmp/x", ""),
		"tun@openssh.com":                    number(1, 0),
		"auth-agent":                         nil,
		"auth-agent@openssh.com":             nil,
		"":                                   nil,
		"nobody-knows-this@example.com":      address,
		strings.Repeat("long", 5000):         nil,
		"control\x1b[2J\r\nsallyport: fake":  nil,
		"direct-tcpip with nothing after it": nil,
	} {
		kind, _, _ := strings.Cut(name, " with ")
		ok, refused, err := p.Open(&peer.ChannelOpen{Type: kind, Sender: 5, Window: 1 << 20, Packet: 1 << 15, Rest: rest})
		if err != nil {
			t.Fatalf("%.60q: %v", name, err)
		}
		// RFC 4254, section 5.1: 1 administratively prohibited, 3 unknown channel type.
		if ok != nil || refused.Reason != 1 && refused.Reason != 3 || refused.Description == "" || strings.ContainsAny(refused.Description, "\x1b\r") {
			t.Errorf("%.60q: %+v, %+v", name, ok, refused)
		}
	}
	works(t, p)
	select {
	case <-reached:
		t.Error("a refused tunnel reached its destination")
	default:
	}
}

func TestEveryGlobalRequestIsRefusedAndTheConnectionGoesOn(t *testing.T) {
	w := the(t)
	p := w.raw(t, strict)
	for name, rest := range map[string][]byte{
		"tcpip-forward":                          join(text("127.0.0.1"), number(0)),
		"cancel-tcpip-forward":                   join(text("127.0.0.1"), number(1)),
		"streamlocal-forward@openssh.com":        text("/tmp/proof.sock"),
		"cancel-streamlocal-forward@openssh.com": text("/tmp/proof.sock"),
		"hostkeys-00@openssh.com":                text("key"),
		"hostkeys-prove-00@openssh.com":          text("key"),
		"no-more-sessions@openssh.com":           nil,
		"keepalive@openssh.com":                  nil,
		"":                                       nil,
		"nobody-knows-this@example.com":          text("x"),
		strings.Repeat("long", 5000):             nil,
	} {
		if err := p.Send(&peer.GlobalRequest{Type: name, WantReply: true, Rest: rest}); err != nil {
			t.Fatal(err)
		}
		payload, err := p.Await(peer.MsgRequestSuccess, peer.MsgRequestFailure)
		if err != nil {
			t.Fatalf("%.60q: %v", name, err)
		}
		if payload[0] != peer.MsgRequestFailure {
			t.Errorf("%.60q was granted", name)
		}
	}
	works(t, p)
}

func TestChannelRequestsAreRefusedButForWhatACommandNeeds(t *testing.T) {
	w := the(t)
	p := w.raw(t, strict)
	terminal := join(text("xterm"), number(80, 24, 0, 0), text("\x00"))
	for _, r := range []struct {
		name    string
		kind    string
		rest    []byte
		granted bool
	}{
		{"a terminal", "pty-req", terminal, true},
		{"a terminal that is cut short", "pty-req", text("xterm"), false},
		{"a terminal with a path for a name", "pty-req", join(text("../../etc/passwd"), number(80, 24, 0, 0), text("\x00")), false},
		{"a language", "env", text("LANG", "C.UTF-8"), true},
		{"a variable that loads code", "env", text("LD_PRELOAD", "/tmp/x.so"), false},
		{"a variable that runs code", "env", text("BASH_ENV", "/tmp/x"), false},
		{"a variable that shells read", "env", text("LC_X", "() { :; }; touch /tmp/x"), false},
		{"a language that is a path", "env", text("LANG", "../../tmp/x"), false},
		{"a language with backslashes in its letters", "env", text("LC_ALL", "zh_CN.GBK"), false},
		{"a variable of git", "env", text("GIT_SSH_COMMAND", "touch /tmp/x"), false},
		{"a search path", "env", text("PATH", "/tmp"), false},
		{"X11", "x11-req", join([]byte{0}, text("MIT-MAGIC-COOKIE-1", "00"), number(0)), false},
		{"an agent", "auth-agent-req@openssh.com", nil, false},
		{"an agent, by its old name", "auth-agent-req", nil, false},
		{"flow control", "xon-xoff", []byte{1}, false},
		{"a break", "break", number(500), false},
		{"a signal before a command", "signal", text("TERM"), false},
		{"a new size before a command", "window-change", number(80, 24), false},
		{"an exit status", "exit-status", number(0), false},
		{"an exit by a signal", "exit-signal", join(text("TERM"), []byte{0}, text("", "")), false},
		{"the end of writing", "eow@openssh.com", nil, false},
		{"a sign of life", "keepalive@openssh.com", nil, false},
		{"what nobody knows", "nobody-knows-this@example.com", text("x"), false},
		{"nothing", "", nil, false},
	} {
		ok := channel(t, p, 11)
		if got := request(t, p, ok.Sender, r.kind, r.rest); got != r.granted {
			t.Errorf("%s (%s): granted %v, want %v", r.name, r.kind, got, r.granted)
		}
		if err := p.Send(&peer.ChannelClose{Recipient: ok.Sender}); err != nil {
			t.Fatal(err)
		}
		if _, err := p.Await(peer.MsgChannelClose); err != nil {
			t.Fatal(err)
		}
	}
	works(t, p)
}

func TestASecondProgramOnAChannelIsRefusedAndDoesNotRun(t *testing.T) {
	w := the(t)
	p := w.raw(t, open)
	remote := emptyFolder(t)
	ok := channel(t, p, 12)
	if !request(t, p, ok.Sender, "exec", text("cat")) {
		t.Fatal("the first command was refused")
	}
	for i, kind := range []string{"exec", "shell", "subsystem"} {
		rest := text(fmt.Sprintf("touch %s/second-%d", remote, i))
		if kind == "shell" {
			rest = nil
		}
		if request(t, p, ok.Sender, kind, rest) {
			t.Errorf("a second program (%s) was granted", kind)
		}
	}
	if err := errors.Join(p.Send(&peer.ChannelData{Recipient: ok.Sender, Data: []byte("to the first\n")}), p.Send(&peer.ChannelEOF{Recipient: ok.Sender})); err != nil {
		t.Fatal(err)
	}
	payload, err := p.Await(peer.MsgChannelData)
	if err != nil || !strings.Contains(string(payload), "to the first") {
		t.Errorf("the first command: %q, %v", payload, err)
	}
	if got := listing(t, remote); strings.Contains(got, "second") {
		t.Errorf("a second program ran:\n%s", got)
	}
}

func TestShellsAndSubsystemsAreRefusedWhereNoRuleNamesThem(t *testing.T) {
	w := the(t)
	for _, r := range []struct{ name, kind, argument string }{
		{"a shell", "shell", ""}, {"a shell with a terminal", "shell", "terminal"},
		{"a subsystem", "subsystem", "netconf"}, {"a subsystem with a path for a name", "subsystem", "../../bin/sh"}, {"a subsystem without a name", "subsystem", ""},
	} {
		p := w.raw(t, strict)
		ok := channel(t, p, 13)
		if r.argument == "terminal" && !request(t, p, ok.Sender, "pty-req", join(text("xterm"), number(80, 24, 0, 0), text("\x00"))) {
			t.Error("the terminal was refused")
		}
		var rest []byte
		if r.kind == "subsystem" {
			rest = text(r.argument)
		}
		if !request(t, p, ok.Sender, r.kind, rest) {
			continue // refused at once
		}
		// What is typed into it must not run, whatever keys and pastes it holds.
		keys := "ls\x7f\x7f\x1b[A\x1b[D\x12touch /tmp/proof-typed\r\x1b[200~touch /tmp/proof-typed\n\x1b[201~\r\n"
		_ = p.Send(&peer.ChannelData{Recipient: ok.Sender, Data: []byte(keys)}) // it may be closed already
		status, stderr := refusal(t, p)
		if status != 77 || !strings.Contains(stderr, "SALLYPORT blocked") {
			t.Errorf("%s: exit %d, %q", r.name, status, stderr)
		}
		if _, err := os.Stat("/tmp/proof-typed"); err == nil {
			t.Errorf("%s: what was typed ran", r.name)
		}
		works(t, p)
	}
}

// refusal reads a channel to its end: the exit status and the standard error.
func refusal(t testing.TB, p *peer.Conn) (status uint32, stderr string) {
	t.Helper()
	for {
		payload, err := p.Await(peer.MsgChannelData, peer.MsgChannelExtended, peer.MsgChannelRequest, peer.MsgChannelClose)
		if err != nil {
			t.Fatal(err)
		}
		switch payload[0] {
		case peer.MsgChannelExtended:
			var m peer.ChannelExtended
			if err := ssh.Unmarshal(payload, &m); err != nil {
				t.Fatal(err)
			}
			stderr += string(m.Data)
		case peer.MsgChannelData:
			t.Errorf("something came on standard output: %q", payload)
		case peer.MsgChannelRequest:
			var m peer.ChannelRequest
			var exit peer.ExitStatus
			if err := errors.Join(ssh.Unmarshal(payload, &m), ssh.Unmarshal(m.Rest, &exit)); err != nil || m.Type != "exit-status" {
				t.Fatalf("%q, %v", m.Type, err)
			}
			status = exit.Status
		default:
			return status, stderr
		}
	}
}

func TestATunnelThatARuleNamesWorksAndOthersDoNot(t *testing.T) {
	w := the(t)
	client := w.at(tunnel).dial(t)
	c, err := client.Dial("tcp", w.service.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, 5)
	if _, err := io.WriteString(c, "hello"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, answer); err != nil || string(answer) != "HELLO" {
		t.Errorf("%q, %v", answer, err)
	}
	_ = c.Close()
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Close() }()
	for _, to := range []string{other.Addr().String(), "127.0.0.1:1", "localhost:" + w.gateway.port()} {
		if c, err := client.Dial("tcp", to); err == nil {
			_ = c.Close()
			t.Errorf("a tunnel to %s was opened", to)
		} else if !strings.Contains(err.Error(), "SALLYPORT blocked") {
			t.Errorf("%s: %v", to, err)
		}
	}
	for _, options := range [][]string{{"-W", other.Addr().String()}, {"-R", "0:127.0.0.1:22", "-o", "ExitOnForwardFailure=yes", "-N"}, {"-w", "0:0", "-o", "ExitOnForwardFailure=yes", "-N"}} {
		a := program(t, "", "ssh", append(append([]string{"-F", w.gateway.config}, options...), tunnel)...)
		if a.status == 0 || a.out != "" {
			t.Errorf("ssh %q: %s", options, a)
		}
	}
}

func TestATunnelToATargetLeadsToTheGatewayAgain(t *testing.T) {
	w := the(t)
	// The host's own address is that of targets: the gateway serves it itself, so that
	// a jump through it is judged like everything else.
	a := program(t, "", "ssh", "-F", w.gateway.config, "-W", w.server.Address(), tunnel)
	if !strings.HasPrefix(a.out, "SSH-2.0-Sallyport") && a.status == 0 {
		t.Errorf("ssh -W: %s", a)
	}
	a = program(t, "", "ssh", "-F", w.gateway.config, "-o", "ProxyCommand=ssh -F "+w.gateway.config+" -W "+w.server.Address()+" "+tunnel,
		"-o", "IdentityFile="+w.server.ClientKeyFile(), "-o", "CertificateFile=none", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-l", account, strict, "touch /tmp/proof-jumped")
	if a.status == 0 {
		t.Errorf("a jump past the gateway worked: %s", a)
	}
	if _, err := os.Stat("/tmp/proof-jumped"); err == nil {
		t.Error("a command ran behind a jump")
	}
}

func TestASecretIsNotReachedByAnyWayIn(t *testing.T) {
	w := the(t)
	dir := filepath.Join("/home", account, "secret")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	own(t, dir)
	const secret = "CANARY-proof-8c1f"
	place(t, filepath.Join(dir, "token"), secret+"\n", 0o600)
	place(t, filepath.Join("/home", account, "plain"), "plain\n", 0o600)
	t.Cleanup(func() { _ = errors.Join(os.RemoveAll(dir), os.Remove(filepath.Join("/home", account, "plain"))) })
	local := t.TempDir()
	batch := filepath.Join(local, "batch")
	if err := os.WriteFile(batch, []byte("get secret/token "+local+"/sftp\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	at := w.at(strict)
	if a := at.ssh(t, "", "cat plain"); a.out != "plain\n" || a.status != 0 {
		t.Errorf("what is not labelled: %s", a)
	}
	for name, a := range map[string]answer{
		"cat":         at.ssh(t, "", "cat secret/token"),
		"a pattern":   at.ssh(t, "", "cat s*/t*"),
		"scp":         program(t, "", "scp", "-s", "-q", "-F", at.config, strict+":secret/token", local+"/scp"),
		"scp -O":      program(t, "", "scp", "-O", "-q", "-F", at.config, strict+":secret/token", local+"/scp-old"),
		"sftp":        program(t, "", "sftp", "-q", "-F", at.config, "-b", batch, strict),
		"rsync":       program(t, "", "rsync", "-e", "ssh -F "+at.config, strict+":secret/token", local+"/rsync"),
		"a terminal":  program(t, "", "ssh", "-tt", "-F", at.config, strict, "cat secret/token"),
		"its hash":    at.ssh(t, "", "sha256sum secret/token"),
		"an archive":  at.ssh(t, "", "tar -cf - secret"),
		"a home path": at.ssh(t, "", "cat ~/secret/token"),
	} {
		if a.status == 0 || strings.Contains(a.out+a.err, secret) {
			t.Errorf("%s: %s", name, a)
		}
	}
	if got := listing(t, local); strings.Contains(got, "bytes") && strings.Contains(got, fmt.Sprint(len(secret)+1)+" bytes") {
		t.Errorf("a copy came:\n%s", got)
	}
}
