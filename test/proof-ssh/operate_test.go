package sshproof_test

import (
	"context"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/crypto/ssh"
)

// screen collects what a program prints while it runs.
type screen struct {
	mu   sync.Mutex
	text strings.Builder
}

func (s *screen) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(b)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// follower is a person who watches a session.
type follower struct {
	name string
	out  screen
	done chan error
}

// follow starts `sallyport sessions follow`.
func (w *world) follow(t testing.TB, name, token string, args ...string) *follower {
	t.Helper()
	f := &follower{name: name, done: make(chan error, 1)}
	cmd := exec.CommandContext(t.Context(), w.gw.Program, append([]string{"sessions", "follow"}, args...)...)
	cmd.Env = append(cmd.Environ(), w.gw.Environment(token)...)
	cmd.Stdout, cmd.Stderr = &f.out, &f.out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { f.done <- cmd.Wait() }() // ends with the program, which ends with the test
	return f
}

// liveOn returns the one live session on a target.
func (w *world) liveOn(t testing.TB, target string) (id string) {
	t.Helper()
	eventually(t, "one live session on "+target, patience, func() bool {
		var all []struct{ ID string }
		w.list(t, &all, "sessions", "list", "--live", "--target", target)
		if len(all) == 1 {
			id = all[0].ID
		}
		return len(all) == 1
	})
	return id
}

func TestAPersonWatchesALiveShellAndItsEnd(t *testing.T) {
	w := the(t)
	c := w.at(term).dial(t)
	s, err := c.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.RequestPty("xterm", 24, 80, ssh.TerminalModes{ssh.ECHO: 1}); err != nil {
		t.Fatal(err)
	}
	keys, err := s.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	var shown screen
	s.Stdout = &shown
	if err := s.Shell(); err != nil {
		t.Fatal(err)
	}
	id := w.liveOn(t, term)
	alice, err := w.gw.Person("alice", "operators")
	if err != nil {
		t.Fatal(err)
	}
	followers := []*follower{
		w.follow(t, "through the gateway", alice, id),
		w.follow(t, "from the folder", "", id, "--dir", filepath.Join(w.gw.Dir, "data", "recordings")),
	}
	// Each key is one message, and a colour is in the way; the answer has no line end.
	for _, k := range "printf '\\033[1m%s%s' watch $((40+2))\r" {
		if _, err := keys.Write([]byte(string(k))); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range followers {
		eventually(t, f.name+": the answer, before its line ends", patience, func() bool { return strings.Contains(f.out.String(), "watch42") })
		select {
		case err := <-f.done:
			t.Fatalf("%s: it ended while the session lives: %v\n%s", f.name, err, f.out.String())
		default:
		}
	}
	if _, err := keys.Write([]byte("exit 3\r")); err != nil {
		t.Fatal(err)
	}
	_ = s.Wait()
	for _, f := range followers {
		if err := <-f.done; err != nil {
			t.Errorf("%s: %v", f.name, err)
		}
		out := f.out.String()
		for _, want := range []string{"interactive shell", "rule term/shells", "exit 3", "exit status 3", "session ended: closed"} {
			if !strings.Contains(out, want) {
				t.Errorf("%s: no %q in:\n%s", f.name, want, out)
			}
		}
		if strings.ContainsFunc(out, func(r rune) bool { return r < ' ' && r != '\n' || r == 0x7f }) {
			t.Errorf("%s: control characters reach the terminal: %q", f.name, out)
		}
	}
}

func TestAPersonWithoutThePermissionWatchesNothing(t *testing.T) {
	w := the(t)
	id := "ses_aaaaaaaaaaaaaaaaaaaaaaaaaa"
	for name, make := range map[string]func() (string, error){
		"no group": func() (string, error) { return w.gw.Person("bob") },
		"an agent": func() (string, error) { return w.gw.Token(agent, patience) },
	} {
		token, err := make()
		if err != nil {
			t.Fatal(err)
		}
		a, err := w.gw.CLI(context.Background(), token, "sessions", "follow", id)
		if err != nil {
			t.Fatal(err)
		}
		if a.Status != 3 || a.Out != "" {
			t.Errorf("%s: exit %d %s%s", name, a.Status, a.Out, a.Err)
		}
	}
}

func TestAnOperatorLearnsWhyACommandLineIsDecidedAsItIs(t *testing.T) {
	w := the(t)
	dir := emptyFolder(t)
	place(t, filepath.Join(dir, "note"), "x\n", 0o644)
	config := filepath.Join(w.gw.Dir, "sallyport.yaml")
	explain := func(target, line string) answer {
		a, err := w.gw.CLI(context.Background(), "", "policy", "explain", "--config", config, "--target", target, line)
		if err != nil {
			t.Fatal(err)
		}
		return answer{a.Out, a.Err, a.Status}
	}
	for _, c := range []struct {
		target, line string
		status       int
		want         []string
	}{
		{strict, "cat " + dir + "/note | wc -l", 0, []string{"effects: read\n", "ALLOW by strict/reads"}},
		{strict, "cat /home/" + account + "/../" + account + "/secret/key", 0, []string{"labels: secret\n", "refused all the same: it touches paths labelled \"secret\""}},
		{strict, "rm " + dir + "/note", 0, []string{"delete\n", "BLOCK"}},
		{strict, "eval \"$X\"", 0, []string{"not understood: eval", "BLOCK"}},
		{strict, "cat 'unfinished", 1, []string{"does not parse"}},
		{open, "scp -f /etc/passwd", 1, []string{"decided as they move"}},
		{held, "touch " + dir + "/new", 0, []string{"HOLD by held/changes-need-a-person"}},
		// A host that lies cannot be asked: what was assumed is said.
		{liar(0), "cat /etc/passwd", 0, []string{"assumed: the host could not be asked", "BLOCK"}},
		{liar(0), "echo words", 0, []string{"effects: read\n", "ALLOW"}},
	} {
		a := explain(c.target, c.line)
		for _, want := range c.want {
			if a.status != c.status || !strings.Contains(a.out+a.err, want) {
				t.Errorf("%s: %s: exit %d, no %q in:\n%s%s", c.target, c.line, a.status, want, a.out, a.err)
			}
		}
	}
}
