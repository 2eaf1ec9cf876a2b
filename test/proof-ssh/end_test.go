package sshproof_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// nextSleep makes the sleeps of tests different, so that each is found on the host.
var nextSleep atomic.Int64

// aSleep is a command that no other test runs, in this process or another.
func aSleep() string { return fmt.Sprintf("sleep 86400.%d%03d", os.Getpid(), nextSleep.Add(1)) }

// sleeper starts a sleep on the host and returns its text once it runs there.
func sleeper(t testing.TB, w *way) (*going, string) {
	t.Helper()
	mark := aSleep()
	g := w.begin(t, mark)
	eventually(t, "the command runs on the host", patience, func() bool {
		select {
		case err := <-g.ended:
			g.ended <- err
			t.Fatalf("it ended: %v, %s", err, g.err.String())
		default:
		}
		return onHost(mark)
	})
	return g, mark
}

// onHost says whether a process of the account has this command line.
func onHost(command string) bool {
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	want := strings.ReplaceAll(command, " ", "\x00") + "\x00"
	for _, f := range files {
		if text, err := os.ReadFile(f); err == nil && string(text) == want {
			return true
		}
	}
	return false
}

// gone waits until a command is ended, at the client and on the host.
func gone(t testing.TB, g *going, mark string) answer {
	t.Helper()
	a := g.wait(t)
	eventually(t, "the process on the host is gone", patience, func() bool { return !onHost(mark) })
	if a.status == 0 || a.out != "" {
		t.Errorf("%s", a)
	}
	return a
}

type sessionView struct {
	ID, State string
	Target    string
}

// liveOf are the sessions of an agent that live.
func (w *world) liveOf(t testing.TB, name string) []sessionView {
	t.Helper()
	var views []sessionView
	w.list(t, &views, "sessions", "list", "--live", "--agent", name)
	return views
}

func TestRevokingASessionEndsItsCommandOnTheHost(t *testing.T) {
	w := the(t)
	way := w.as(t, watcher, open, 5*time.Minute)
	g, mark := sleeper(t, way)
	other, otherMark := sleeper(t, way)
	var id string
	for _, v := range w.liveOf(t, watcher) {
		if strings.Contains(w.operator(t, "sessions", "replay", v.ID, "--speed", "0"), mark) {
			id = v.ID
		}
	}
	if id == "" {
		t.Fatalf("no live session shows %q", mark)
	}
	w.operator(t, "revoke", "session", id, "--reason", "proof")
	if a := gone(t, g, mark); a.status != 77 || !strings.Contains(a.err, "SALLYPORT ended reason=revoked") {
		t.Errorf("told %s", a)
	}
	if !onHost(otherMark) {
		t.Error("the agent's other session was ended too")
	}
	_ = other.cmd.Process.Kill()
	gone(t, other, otherMark)
}

func TestRevokingAnAgentEndsItsCommandsAndItsLogIns(t *testing.T) {
	w := the(t)
	way := w.as(t, doomed, open, 5*time.Minute)
	g, mark := sleeper(t, way)
	w.operator(t, "revoke", "agent", doomed, "--reason", "proof")
	gone(t, g, mark)
	if a := way.ssh(t, "", "echo hello"); a.status == 0 {
		t.Errorf("a revoked agent's certificate: %s", a)
	}
	if err := w.logIn(t, open, way.auth...); err == nil {
		t.Error("a revoked agent's token logs in")
	}
}

func TestTheEndOfATokenEndsItsCommandOnTheHost(t *testing.T) {
	w := the(t)
	const life = 12 * time.Second
	g, mark := sleeper(t, w.as(t, agent, open, life))
	if a := gone(t, g, mark); !strings.Contains(a.err, "SALLYPORT ended reason=expired") {
		t.Errorf("told %s", a)
	}
}

func TestAClientThatLeavesEndsItsCommandOnTheHost(t *testing.T) {
	w := the(t)
	g, mark := sleeper(t, &w.gateway)
	_ = g.cmd.Process.Kill()
	gone(t, g, mark)
}

func TestAShellThatARuleAllowsIsRecordedInBothDirections(t *testing.T) {
	w := the(t)
	client := w.at(term).dial(t)
	s, err := client.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.RequestPty("xterm", 24, 80, nil); err != nil {
		t.Fatal(err)
	}
	in, err := s.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	var out arrivals
	s.Stdout = &out
	if err := s.Shell(); err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprint(in, "echo answer-$((6*7))\n"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the shell answers", patience, func() bool { return strings.Contains(out.String(), "answer-42") })
	if err := s.WindowChange(40, 132); err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprint(in, "stty size\n"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the terminal has the new size", patience, func() bool { return strings.Contains(out.String(), "40 132") })
	if _, err := fmt.Fprint(in, "exit 3\n"); err != nil {
		t.Fatal(err)
	}
	if got := ending(t, s.Wait()); got != `exit 3, signal ""` {
		t.Errorf("%s", got)
	}
	var views []sessionView
	w.list(t, &views, "sessions", "list", "--target", term)
	if len(views) == 0 {
		t.Fatal("no session is listed")
	}
	said := w.recorded(t, views[0].ID)
	for _, want := range []string{"echo answer-$((6*7))", "answer-42", "exit 3"} {
		if !strings.Contains(said, want) {
			t.Errorf("the recording lacks %q", want)
		}
	}
}

// recorded is everything in a recording that is text or encoded text.
func (w *world) recorded(t testing.TB, id string) string {
	t.Helper()
	var b strings.Builder
	for line := range strings.Lines(w.operator(t, "sessions", "export", id, "--format", "jsonl")) {
		var event any
		if err := json.Unmarshal([]byte(line), &event); err != nil {
			t.Fatal(err)
		}
		texts(&b, event)
	}
	return b.String()
}

func texts(b *strings.Builder, v any) {
	switch v := v.(type) {
	case string:
		b.WriteString(v + "\n")
		if d, err := base64.StdEncoding.DecodeString(v); err == nil {
			b.Write(d)
		}
	case []any:
		for _, x := range v {
			texts(b, x)
		}
	case map[string]any:
		for _, x := range v {
			texts(b, x)
		}
	}
}

func TestParallelChannelsAreRecordedApart(t *testing.T) {
	w := the(t)
	client := w.as(t, reviewed, strict, 5*time.Minute).dial(t)
	const channels = 8
	done := make(chan error, channels)
	for i := range channels {
		s, err := client.NewSession()
		if err != nil {
			t.Fatal(err)
		}
		s.Stdin = strings.NewReader(strings.Repeat(fmt.Sprintf("input-%d-mark\n", i), 100))
		go func() { done <- s.Run("sort -u") }() // ends with the command
	}
	for range channels {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	_ = client.Close()
	seen := map[int]int{}
	eventually(t, "the sessions are ended", patience, func() bool { return len(w.liveOf(t, reviewed)) == 0 })
	var views []sessionView
	w.list(t, &views, "sessions", "list", "--agent", reviewed, "--target", strict)
	if len(views) != channels {
		t.Errorf("%d sessions, want %d", len(views), channels)
	}
	for _, v := range views {
		text := w.recorded(t, v.ID)
		var of []int
		for i := range channels {
			if strings.Contains(text, fmt.Sprintf("input-%d-mark", i)) {
				of = append(of, i)
			}
		}
		if len(of) != 1 {
			t.Errorf("the recording %s holds the channels %v", v.ID, of)
			continue
		}
		seen[of[0]]++
	}
	if len(seen) != channels {
		t.Errorf("recorded: %v", seen)
	}
}
