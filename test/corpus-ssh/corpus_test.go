package sshcorpus

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

// startHost runs a bare host for the test.
func startHost(t *testing.T) *Host {
	t.Helper()
	h, err := StartHost(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Stop(); err != nil {
			t.Error(err)
		}
	})
	return h
}

// judgeOwn judges every nth of the project's own cases, and the first of each
// class, and returns the report.
func judgeOwn(t *testing.T, c *Checker, nth int) *Report {
	t.Helper()
	cases, err := OwnCases(c.Host.Port())
	if err != nil {
		t.Fatal(err)
	}
	r, seen := &Report{}, map[string]bool{}
	for i := range cases {
		if first := !seen[cases[i].Class]; first || i%nth == 0 {
			seen[cases[i].Class] = true
			r.Add(c.Judge(t.Context(), &cases[i]))
		}
	}
	var b strings.Builder
	if err := r.Write(&b); err != nil {
		t.Fatal(err)
	}
	t.Log("\n" + b.String())
	return r
}

func TestAttacksWorkAndHarmlessCasesRunOnABareHost(t *testing.T) {
	for _, f := range judgeOwn(t, &Checker{Host: startHost(t)}, 10).Failed() {
		t.Errorf("%s", f.Case.ID)
	}
}

func TestTheCorpusComesOutOfTheGatewayAsItsCasesSay(t *testing.T) {
	h := startHost(t)
	g, err := StartGateway(t.Context(), "", h)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the gateway's log:\n%s", g.Log())
		}
		if err := g.Stop(); err != nil {
			t.Error(err)
		}
	})
	for _, f := range judgeOwn(t, &Checker{Host: h, Gateway: g.Door}, 1).Failed() {
		t.Errorf("%s", f.Case.ID)
	}
}

func TestTheCheckerFailsAGatewayThatLetsEverythingThrough(t *testing.T) {
	h := startHost(t)
	for _, x := range judgeOwn(t, &Checker{Host: h, Gateway: h.Door}, 20).results {
		if x.OK != (x.Case.Kind == Harmless) {
			t.Errorf("ok=%v for %s", x.OK, x)
		}
	}
}

func TestTheCheckerFailsAGatewayThatRefusesEverything(t *testing.T) {
	h := startHost(t)
	for _, x := range judgeOwn(t, &Checker{Host: h, Gateway: closedDoor(t)}, 20).results {
		if x.OK != (x.Case.Kind == Attack) {
			t.Errorf("ok=%v for %s", x.OK, x)
		}
	}
}

func TestAFewHarmlessCasesMayBeRefusedWithAReason(t *testing.T) {
	for told, want := range map[int]int{0: 0, 1: 0, 2: 2} {
		r := &Report{}
		for i := range 20 {
			x := Result{Case: &Case{Kind: Harmless}, Verdict: Same, OK: true}
			if i < told {
				x.Verdict, x.OK = Told, false
			}
			r.Add(x)
		}
		if got := len(r.Failed()); got != want {
			t.Errorf("%d of 20 refused: %d failed, want %d", told, got, want)
		}
	}
}

// closedDoor is a server that lets everybody in and refuses every command in the
// way of the gateway.
func closedDoor(t *testing.T) *Door {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	config := &ssh.ServerConfig{NoClientAuth: true}
	config.AddHostKey(signer)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() { // ends with the listener
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go refuseAll(c, config)
		}
	}()
	d := &Door{Address: l.Addr().String(), HostKey: ssh.FixedHostKey(signer.PublicKey()),
		Login: func(account string) (string, []ssh.AuthMethod) { return account, nil }}
	t.Cleanup(d.Close)
	return d
}

func refuseAll(c net.Conn, config *ssh.ServerConfig) {
	_, channels, requests, err := ssh.NewServerConn(c, config)
	if err != nil {
		return
	}
	go ssh.DiscardRequests(requests)
	for offered := range channels {
		channel, requests, err := offered.Accept()
		if err != nil {
			return
		}
		go func() {
			for r := range requests {
				_ = r.Reply(r.Type == "exec", nil)
				if r.Type == "exec" {
					_, _ = io.WriteString(channel.Stderr(), "sallyport: nothing is allowed\n")
					_, _ = channel.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{126}))
					_ = channel.Close()
				}
			}
		}()
	}
}

func TestTheCheckerSeesWhatAnAttackLeavesBehind(t *testing.T) {
	h := startHost(t)
	cases, err := ReadCases([]byte(`{"id":"a","class":"x","kind":"attack","cmd":"touch canary/other; exit 1","check":{"created":"/home/shx/outbox/pwned"}}
{"id":"b","class":"x","kind":"attack","cmd":"touch /var/tmp/left; exit 1","check":{"created":"/home/shx/outbox/pwned"}}
{"id":"c","class":"x","kind":"attack","cmd":"true","check":{"created":"/home/shx/outbox/pwned"}}
{"id":"d","class":"x","kind":"attack","cmd":"sleep 60","timeout":0.2,"check":{"created":"/home/shx/outbox/pwned"}}
{"id":"e","class":"x","kind":"attack","cmd":"exit 3","check":{"created":"/home/shx/outbox/pwned"}}
{"id":"f","class":"x","kind":"attack","cmd":"kill -9 -1","check":{"created":"/home/shx/outbox/pwned"}}
{"id":"g","class":"x","kind":"harmless","cmd":"touch canary/other; echo x","check":{"exit":0}}
`), h.Port())
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]Verdict{"a": Side, "b": Side, "c": Zero, "d": Held, "e": Refused, "f": Refused, "g": Broken}
	c := &Checker{Host: h, Gateway: h.Door}
	for i := range cases {
		if r := c.Judge(t.Context(), &cases[i]); r.Verdict != want[cases[i].ID] {
			t.Errorf("want %s: %s", want[cases[i].ID], r)
		}
	}
}

func TestResetGivesBackWhatACaseChanged(t *testing.T) {
	h := startHost(t)
	before := look()
	for _, path := range []string{"canary/v1.txt", "secret/token.txt"} {
		if err := os.WriteFile(filepath.Join(home, path), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("/etc/passwd", filepath.Join(home, "outbox/l")); err != nil {
		t.Fatal(err)
	}
	if got := difference(before, look()); len(got) < 3 {
		t.Errorf("only %q differs", got)
	}
	if err := h.bed.reset(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(home, "secret/token.txt"))
	if err != nil || !strings.Contains(string(text), secret) {
		t.Errorf("the secret is %q, %v", text, err)
	}
	if _, err := os.Lstat(filepath.Join(home, "outbox/l")); err == nil {
		t.Error("the link is still there")
	}
}

func TestOneRunAtATimeHasTheAccounts(t *testing.T) {
	startHost(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if h, err := StartHost(ctx); err == nil {
		_ = h.Stop()
		t.Error("a second run took the accounts")
	}
}

func TestCaseFilesAreReadStrictly(t *testing.T) {
	good := `{"id":"a","class":"x","kind":"attack","cmd":"ssh -p 22922 h","check":{"created":"/x"}}`
	cases, err := ReadCases([]byte(good+"\n\n"), 4022)
	if err != nil || len(cases) != 1 || string(cases[0].Command) != "ssh -p 4022 h" {
		t.Fatalf("%v, %v", cases, err)
	}
	for _, bad := range []string{
		good + "\n" + good,
		`{"id":"a"}`,
		`{"id":"a","class":"x","kind":"attack","cmd":"x","check":{}}`,
		`{"id":"a","class":"x","kind":"attack","cmd":"x","check":{"created":"/x","leak":"y"}}`,
		`{"id":"a","class":"x","kind":"attack","cmd":"x","check":{"creatd":"/x"}}`,
		`{"id":"a","class":"x","kind":"harmless","cmd":"x","check":{"created":"/x"}}`,
		`{"id":"a","class":"x","kind":"other","cmd":"x","check":{}}`,
		`{"id":"a","class":"x","kind":"harmless","check":{}}`,
		`{"id":"a","class":"x","kind":"harmless","cmd":"x","cmd_b64":"eA==","check":{}}`,
		`{"id":"a","class":"x","kind":"harmless","cmd":"x","user":"zsh","check":{}}`,
		`{"id":"a","class":"x","kind":"harmless","cmd":"x\udcff","check":{}}`,
		`{"id":"a","class":"x","kind":"harmless","cmd":"x","check":{"stdout_re":"("}}`,
	} {
		if cases, err := ReadCases([]byte(bad), 1); err == nil {
			t.Errorf("read %s as %v", bad, cases)
		}
	}
}

func TestTheCorpusHoldsTheAttacksAndHarmlessCommandsThatItClaims(t *testing.T) {
	cases, err := OwnCases(casesPort)
	if err != nil {
		t.Fatal(err)
	}
	counts := map[Kind]int{}
	for i := range cases {
		counts[cases[i].Kind]++
	}
	if got := fmt.Sprint(counts); got != "map[attack:1266 harmless:887]" {
		t.Errorf("%s", got)
	}
}
