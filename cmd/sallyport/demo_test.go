//go:build cgo && unix

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// playDemo runs the demo as a person does and returns what it printed.
func playDemo(t *testing.T, arguments ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	var out bytes.Buffer
	err := run(ctx, append([]string{"demo"}, arguments...), strings.NewReader(""), &out, &out)
	return out.String(), err
}

func TestTheDemoDoesWhatItSays(t *testing.T) {
	file := filepath.Join(t.TempDir(), "demo.json")
	out, err := playDemo(t, "--json", file)
	if err != nil {
		t.Fatalf("the demo failed: %v\n%s", err, out)
	}
	checkScreen(t, out)

	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, want 0600 (%v)", info.Mode(), err)
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.DisallowUnknownFields()
	var r demoReport
	if err := decoder.Decode(&r); err != nil {
		t.Fatal(err)
	}
	checkReport(t, r)
	if _, err := os.Stat(filepath.Dir(r.State)); !os.IsNotExist(err) {
		t.Errorf("the demo left its folder %s", filepath.Dir(r.State))
	}
}

// checkScreen: nothing is wider than the screen that it is made for, and nothing
// in it acts on a terminal.
func checkScreen(t *testing.T, out string) {
	t.Helper()
	for line := range strings.Lines(out) {
		if line = strings.TrimRight(line, "\n"); utf8.RuneCountInString(line) > 100 {
			t.Errorf("wider than 100 columns: %q", line)
		}
	}
	if strings.ContainsAny(out, "\x1b\r\t") {
		t.Error("there are control characters in output that goes to no terminal")
	}
}

func checkReport(t *testing.T, r demoReport) {
	t.Helper()
	p := r.Postgres
	for name, ok := range map[string]bool{
		"api":      strings.HasPrefix(r.API, "https://127.0.0.1:"),
		"ca":       filepath.IsAbs(r.CA),
		"state":    filepath.IsAbs(r.State),
		"ssh":      r.SSH.Host == "127.0.0.1" && r.SSH.Port > 0 && r.SSH.Target == "web",
		"postgres": p.Host == "127.0.0.1" && p.Port > 0 && p.Database == "shop",
		"upstream": p.Upstream.Host == "127.0.0.1" && p.Upstream.Port > 0 && p.Upstream.Port != p.Port &&
			p.Upstream.User != "" && p.Upstream.Password != "" && p.Upstream.Database == "shop",
	} {
		if !ok {
			t.Errorf("%s is not of its form: %+v", name, r)
		}
	}
	for name, token := range map[string]string{"agent": r.AgentToken, "agent2": r.Agent2Token, "approver": r.ApproverToken} {
		if until, ok := tokenExpiry(token); !ok || time.Until(until) < 50*time.Minute {
			t.Errorf("%s_token ends at %v, too soon to go on by hand", name, until)
		}
	}
	steps := demoSteps()
	if len(r.Steps) != len(steps) {
		t.Fatalf("%d steps on record, want %d", len(r.Steps), len(steps))
	}
	for i, s := range r.Steps {
		if s.Name != steps[i].name || !s.OK || s.Seconds < 0 {
			t.Errorf("step %d: %+v, want %s to be ok", i, s, steps[i].name)
		}
	}
}

func TestAStepThatDoesNotDoWhatItSaysFailsTheDemoAndLaterStepsStillRun(t *testing.T) {
	var out bytes.Buffer
	var played []string
	step := func(name string, err error) demoStep {
		return demoStep{name: name, title: name, play: func(context.Context, *demoStory) error {
			played = append(played, name)
			return err
		}}
	}
	reports := 0
	w := &demoWorld{dir: t.TempDir()}
	s := &demoStory{w: w, p: newDemoPrinter(&out), report: func([]demoStepDone) error { reports++; return nil }}
	done, err := s.play(t.Context(), []demoStep{step("a", nil), step("b", expectIn("yes\x1b[2J", "no")), step("c", nil)})
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(played, ""); got != "abc" {
		t.Errorf("played %s, want abc", got)
	}
	if reports != 2 {
		t.Errorf("%d reports, want one when all is up and one at the end", reports)
	}
	if err := summarise(s.p, w, done, time.Second); err == nil || !strings.Contains(err.Error(), "1 of 3 steps did not do what they say: b") {
		t.Errorf("error %v", err)
	}
	if text := out.String(); !strings.Contains(text, `✗ expected "no" in the answer, but saw: yes`) || strings.Contains(text, "\x1b") {
		t.Errorf("screen %q", text)
	}
}

func TestADemoTakesOverOnlyAFolderOfItsOwn(t *testing.T) {
	foreign := t.TempDir()
	if err := os.WriteFile(filepath.Join(foreign, "thesis.tex"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := new(demoWorld).openDir(foreign); err == nil || exitCode(err) != exitConflict {
		t.Errorf("a folder with other files: %v", err)
	}

	dir := filepath.Join(t.TempDir(), "new")
	first, second := new(demoWorld), new(demoWorld)
	if err := first.openDir(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "data"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := second.openDir(dir); err == nil || !strings.Contains(err.Error(), "another demo runs in") {
		t.Errorf("a folder in use: %v", err)
	}
	if err := first.close(); err != nil {
		t.Fatal(err)
	}
	// What a demo that crashed has left does not stop the next one.
	third := new(demoWorld)
	if err := third.openDir(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "data")); !os.IsNotExist(err) {
		t.Errorf("old state is still there: %v", err)
	}
	if err := third.close(); err != nil {
		t.Fatal(err)
	}
}

func TestTheDemoEndsWhenItIsInterrupted(t *testing.T) {
	// Not t.TempDir, whose parent only the owner can enter: PostgreSQL may run as
	// another account.
	dir, err := os.MkdirTemp("", "demo-test-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil { //nolint:gosec // see above
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", dir)
	ctx, cancel := context.WithCancel(t.Context())
	out := &cancelOn{text: "waits for a person", cancel: cancel}
	if err := run(ctx, []string{"demo"}, strings.NewReader(""), out, out); err == nil {
		t.Error("an interrupted demo reports success")
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v (%v)", left, err)
	}
}

// cancelOn cancels when a text is written.
type cancelOn struct {
	text   string
	cancel context.CancelFunc
}

func (c *cancelOn) Write(b []byte) (int, error) {
	if strings.Contains(string(b), c.text) {
		c.cancel()
	}
	return len(b), nil
}

func TestLongLinesAreWrappedWithoutLosingAnything(t *testing.T) {
	for _, text := range []string{"", "short", strings.Repeat("word ", 60), strings.Repeat("x", 250), strings.Repeat("é—", 150),
		"    indented " + strings.Repeat("word ", 40)} {
		indent := margin(text) + "    "
		lines := wrap(text, 40, indent)
		var joined strings.Builder
		for i, l := range lines {
			if n := utf8.RuneCountInString(l); n > 40 {
				t.Errorf("a line of %d", n)
			}
			if i > 0 && !strings.HasPrefix(l, indent) {
				t.Errorf("%q does not begin with the indent", l)
			}
			joined.WriteString(strings.TrimSpace(l))
		}
		strip := func(s string) string { return strings.ReplaceAll(s, " ", "") }
		if strip(joined.String()) != strip(text) {
			t.Errorf("%q became %q", text, lines)
		}
	}
}
