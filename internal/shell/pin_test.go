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
