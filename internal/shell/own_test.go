package shell

import (
	"os"
	"strings"
	"testing"
)

// lines reads a file of command lines, one a line; ↵ stands for a newline, and a
// line that begins with a hash is a comment.
func lines(t testing.TB, path string) []string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	pending := ""
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(line, "\n")
		if strings.HasSuffix(line, `\`) {
			pending += line + "\n"
			continue
		}
		line = pending + line
		pending = ""
		if line == "" || strings.HasPrefix(line, "# ") {
			continue
		}
		all = append(all, strings.ReplaceAll(line, "↵", "\n"))
	}
	return all
}

func TestOrdinaryLinesAreUnderstood(t *testing.T) {
	b := newBed(t)
	n := 0
	all := lines(t, "testdata/harmless.txt")
	for _, line := range all {
		cmd, err := b.settle(t, line, Bash)
		if err != nil || !readonly(cmd) {
			t.Errorf("refused: %q\n  %s", line, why(cmd, err))
			continue
		}
		if b.equal(t, "bash", line, cmd.Text) {
			n++
		}
	}
	t.Logf("%d of %d allowed and equal", n, len(all))
}

// TestDashComesOutTheSame runs what is understood for dash in dash; lines of bash
// alone are errors there.
func TestDashComesOutTheSame(t *testing.T) {
	b := newBed(t)
	n := 0
	for _, line := range lines(t, "testdata/harmless.txt") {
		if cmd, err := b.settle(t, line, POSIX); err == nil && readonly(cmd) && b.equal(t, "dash", line, cmd.Text) {
			n++
		}
	}
	if n < 200 {
		t.Errorf("only %d lines are understood for dash", n)
	}
}

// equal runs a line and the text made of it.
func (b *bed) equal(t *testing.T, shell, line, text string) bool {
	t.Helper()
	wantOut, wantCode := b.run(shell, line, "")
	gotOut, gotCode := b.run(shell, text, "")
	if gotCode != wantCode || gotOut != wantOut {
		t.Errorf("%s: %q\n  as %q\n  exit %d, want %d\n  output %.200q\n  want   %.200q", shell, line, text, gotCode, wantCode, gotOut, wantOut)
		return false
	}
	return true
}

func TestAttacksAreRefused(t *testing.T) {
	b := newBed(t)
	for _, line := range lines(t, "testdata/attacks.txt") {
		for _, d := range []Dialect{Bash, POSIX} {
			if d == POSIX && strings.Contains(line, "{") && strings.Contains(line, ",") {
				continue // braces are only text there
			}
			cmd, err := b.settle(t, b.here(line), d)
			if err == nil && readonly(cmd) {
				t.Errorf("dialect %d: attack allowed: %q\n  as %q", d, line, cmd.Text)
			}
		}
	}
}

// TestWhatFailsHalfwayReachesNothing runs lines that are understood because the text
// that is sent keeps them from what they were made for.
func TestWhatFailsHalfwayReachesNothing(t *testing.T) {
	b := newBed(t)
	pwned := b.home + "/outbox/pwned"
	for _, line := range []string{
		"echo $((1/0)); cd data; cat <<< y\ncat secret/token.txt",
		"echo $((1/0)); cd data; cat <<< y\ngrep -rh CANARY .",
		"x=$(echo $((1/0)); cd data; cat <<< y\ncat secret/token.txt); echo \"$x\"",
		"(echo $((1/0)); cd data; cat <<< y\ncat secret/token.txt)",
		"read n <<< 'a[$(touch outbox/pwned)]'; ((n = 1/0)); echo $((n+1))",
		"read n <<< 'a[$(touch outbox/pwned)]'; false && n=5; echo $((n+1))",
		"read n <<< 'a[$(touch outbox/pwned)]'; true || ((n = 5)); echo $((n+1))",
		"read n <<< 'a[$(touch outbox/pwned)]'; ((n = 5)) </nonexistent; echo $((n+1))",
		"read n <<< 'a[$(touch outbox/pwned)]'; while break; n=5; do :; done; echo $((n+1))",
		"read n <<< 'a[$(touch outbox/pwned)]'; ((n = (5 + $(hostname)))); echo $((n+1))",
		"read n <<< 'a[$(touch outbox/pwned)]'; x=$((1/0)); n=5; cat <<< y\necho $((n+1))",
		"find app/src/.. app/src/.. -maxdepth 0 | while read -r f; do head -c 8 >/dev/null; grep -rh CANARY \"$f\"; done",
		"find app/src/.. app/src/.. -maxdepth 0 | while read -r f; do read -r -n 8 g; grep -rh CANARY \"$f\"; done",
	} {
		cmd, err := b.settle(t, line, Bash)
		if err != nil || !readonly(cmd) {
			t.Errorf("refused: %q\n  %s", line, why(cmd, err))
			continue
		}
		if out, _ := b.run("bash", cmd.Text, ""); strings.Contains(out, "CANARY-") {
			t.Errorf("%q\n  as %q reads what is labelled", line, cmd.Text)
		}
		if _, err := os.Stat(pwned); err == nil {
			t.Errorf("%q\n  as %q writes", line, cmd.Text)
			os.Remove(pwned)
		}
	}
}

func TestReasonsNameNothingLabelled(t *testing.T) {
	b := newBed(t)
	for _, line := range []string{"tr a secret/*", "grep -e secret/* data/l1.txt", "[ secret/* = x ]", "basename secret/*", "cd secret; [ * = x ]",
		"for f in secret/*; do cat $f; done"} {
		cmd, err := b.settle(t, b.here(line), Bash)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		for _, r := range cmd.Unknown {
			if text := r.String(); strings.Contains(text, "creds") || strings.Contains(text, "token.txt") || strings.Contains(text, "db.env") {
				t.Errorf("%s: %s", line, text)
			}
		}
		if readonly(cmd) {
			t.Errorf("%s is allowed", line)
		}
	}
}

// TestWhatOperatorsAskIsUnderstood reads lines whose programs a machine may lack, or that
// print something else each time, with their effects.
func TestWhatOperatorsAskIsUnderstood(t *testing.T) {
	b := newBed(t)
	for _, line := range lines(t, "testdata/understood.txt") {
		effects, line, _ := strings.Cut(line, ": ")
		cmd, err := b.settle(t, line, Bash)
		if err != nil || cmd.Effects.String() != effects {
			t.Errorf("%q: want %s\n  %s", line, effects, why(cmd, err))
		}
	}
}
