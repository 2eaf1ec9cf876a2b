package shell

import (
	"os"
	"strings"
	"testing"
)

// What is judged behind a change of directory holds when the line runs, or the shell ends:
// a directory may have come, or gone, since the host was asked.
func TestADirectoryThatComesOrGoesEndsTheLine(t *testing.T) {
	b := newBed(t)
	for _, line := range []string{
		"mkdir outbox/n && cd outbox/n && cat ../../secret/token.txt",
		"mkdir outbox/n; cd outbox/n; cat ../../secret/token.txt",
		"mkdir outbox/n && (cd outbox/n && cat ../../secret/token.txt)",
		"mkdir outbox/n; x=$(cd outbox/n && cat ../../secret/token.txt); echo \"$x\"",
		"mkdir outbox/n; if cd outbox/n; then cat ../../secret/token.txt; fi",
		"mkdir outbox/n; cd nowhere || cd outbox/n; cat ../../secret/token.txt",
		"mkdir outbox/n; { if cd outbox/n; then exit 77; else (exit $?); fi; } && cat ../../secret/token.txt",
		"mkdir -p outbox/n/m; cd outbox/n && cd m; grep -r CANARY ../../../secret",
		"rmdir empty/n; cd empty/n || cat secret/token.txt",
		"rmdir empty/n; ! cd empty/n && cat secret/token.txt",
	} {
		for dialect, shell := range map[Dialect]string{Bash: "bash", POSIX: "dash"} {
			if err := os.MkdirAll(b.home+"/empty/n", 0o755); err != nil {
				t.Fatal(err)
			}
			cmd, err := b.settle(t, line, dialect)
			if err != nil {
				t.Errorf("refused: %q: %v", line, err)
				continue
			}
			if len(cmd.Unknown) > 0 || len(cmd.Labels) > 0 {
				continue
			}
			if out, _ := b.run(shell, cmd.Text, ""); strings.Contains(out, "CANARY-") {
				t.Errorf("%s: %q\n  as %q reads what is labelled", shell, line, cmd.Text)
			}
			for _, made := range []string{"/outbox/n", "/empty/n"} {
				if err := os.RemoveAll(b.home + made); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

// A line may have the forms itself: where the directory is not as they say, the shell ends.
func TestAFormThatDoesNotHoldIsNotUnderstood(t *testing.T) {
	b := newBed(t)
	for line, understood := range map[string]bool{
		"{ cd app || exit 77; }; ls": true, "{ if cd ./nowhere; then exit 77; else (exit $?); fi; }; ls": true,
		"{ cd nowhere || exit 77; }; cat data/l1.txt": false, "{ if cd app; then exit 77; else (exit $?); fi; }; ls": false,
	} {
		cmd, err := b.settle(t, line, Bash)
		if got := err == nil && len(cmd.Unknown) == 0; got != understood {
			t.Errorf("%q is understood: %t: %s", line, got, why(cmd, err))
		}
	}
}
