package sshproof_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// arrivals is what a program has printed so far.
type arrivals struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (a *arrivals) Write(p []byte) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.b.Write(p)
}

func (a *arrivals) String() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.b.String()
}

// going is a program that runs.
type going struct {
	cmd      *exec.Cmd
	out, err arrivals
	ended    chan error
}

// begin runs a command with OpenSSH's client and does not wait.
func (w *way) begin(t testing.TB, command string) *going {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 4*patience)
	g := &going{cmd: exec.CommandContext(ctx, "ssh", "-F", w.config, w.host, command), ended: make(chan error, 1)}
	g.cmd.Stdout, g.cmd.Stderr = &g.out, &g.err
	if err := g.cmd.Start(); err != nil {
		cancel()
		t.Fatal(err)
	}
	go func() { g.ended <- g.cmd.Wait() }() // ends with the program
	t.Cleanup(cancel)
	return g
}

// wait returns what the program printed by its end.
func (g *going) wait(t testing.TB) answer {
	t.Helper()
	select {
	case <-g.ended:
	case <-time.After(2 * patience):
		t.Fatalf("the command does not end; stderr %q", g.err.String())
	}
	return answer{g.out.String(), g.err.String(), g.cmd.ProcessState.ExitCode()}
}

var requestID = regexp.MustCompile(`apr_[a-z0-9]+`)

// heldRequest waits until the client is told of the hold and returns its request.
func (g *going) heldRequest(t testing.TB) string {
	t.Helper()
	eventually(t, "the client is told that its command is held", patience, func() bool { return requestID.MatchString(g.err.String()) })
	if said := g.err.String(); !strings.Contains(said, "sallyport: held by rule held/changes-need-a-person") || !strings.Contains(said, "four eyes") {
		t.Errorf("told %q", said)
	}
	return requestID.FindString(g.err.String())
}

func there(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

func TestAHeldCommandRunsOnceAPersonApproves(t *testing.T) {
	w := the(t)
	path := filepath.Join(emptyFolder(t), "approved")
	g := w.at(held).begin(t, "mkdir "+path)
	id := g.heldRequest(t)
	if there(path) || g.out.String() != "" {
		t.Error("it ran before it was approved")
	}
	if shown := w.operator(t, "approvals", "show", id); !strings.Contains(shown, "mkdir") || !strings.Contains(shown, path) || !strings.Contains(shown, agent) {
		t.Errorf("approvals show:\n%s", shown)
	}
	w.operator(t, "approvals", "approve", id)
	if a := g.wait(t); a.status != 0 || !there(path) {
		t.Errorf("%s; made: %v", a, there(path))
	}
	// The grant is used up: the same again is held again.
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	again := w.at(held).begin(t, "mkdir "+path)
	if other := again.heldRequest(t); other == id {
		t.Error("the grant was not used up")
	}
	again.wait(t)
	if there(path) {
		t.Error("it ran twice on one approval")
	}
}

func TestADeniedCommandDoesNotRun(t *testing.T) {
	w := the(t)
	path := filepath.Join(emptyFolder(t), "denied")
	g := w.at(held).begin(t, "mkdir "+path)
	w.operator(t, "approvals", "deny", g.heldRequest(t), "--comment", "not today")
	if a := g.wait(t); a.status != 77 || !strings.Contains(a.err, "SALLYPORT approval_denied") || there(path) {
		t.Errorf("%s", a)
	}
}

func TestACommandThatWaitsInVainRunsLaterOnceAndOnlyAsItWas(t *testing.T) {
	w := the(t)
	dir := emptyFolder(t)
	path := filepath.Join(dir, "later")
	began := time.Now()
	g := w.at(held).begin(t, "mkdir "+path)
	id := g.heldRequest(t)
	a := g.wait(t)
	if a.status != 77 || !strings.Contains(a.err, "\nSALLYPORT approval_required") || !strings.Contains(a.err, id) || there(path) {
		t.Errorf("%s", a)
	}
	if took := time.Since(began); took < holdFor || took > holdFor+patience {
		t.Errorf("it waited %v", took)
	}
	if lines := strings.Count(a.err, "SALLYPORT "); lines != 1 {
		t.Errorf("%d machine-readable lines in %q", lines, a.err)
	}
	w.operator(t, "approvals", "approve", id)
	// Another command is not what was approved, nor is the same of another agent.
	for name, other := range map[string]*going{
		"another path":   w.at(held).begin(t, "mkdir "+path+"2"),
		"another option": w.at(held).begin(t, "mkdir -m 777 "+path),
		"another agent":  w.as(t, reviewed, held, 5*time.Minute).begin(t, "mkdir "+path),
	} {
		if id2 := other.heldRequest(t); id2 == id {
			t.Errorf("%s uses the grant", name)
		}
		_ = other.cmd.Process.Kill()
		other.wait(t)
	}
	if there(path) {
		t.Fatal("another command used the grant")
	}
	if a := w.at(held).begin(t, "mkdir "+path).wait(t); a.status != 0 || !there(path) {
		t.Errorf("the identical command after approval: %s", a)
	}
}

func TestAClientThatLeavesWithdrawsItsRequest(t *testing.T) {
	w := the(t)
	path := filepath.Join(emptyFolder(t), "left")
	g := w.at(held).begin(t, "mkdir "+path)
	id := g.heldRequest(t)
	_ = g.cmd.Process.Kill()
	g.wait(t)
	eventually(t, "the request is no longer pending", patience, func() bool {
		return !strings.Contains(w.operator(t, "approvals", "list", "--state", "pending"), id)
	})
	if there(path) {
		t.Error("it ran")
	}
}
