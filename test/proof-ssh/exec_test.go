package sshproof_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/crypto/ssh"
)

// commands are what an agent runs, each the same both ways.
func commands() []struct{ name, command, input string } {
	long := strings.Repeat("a line of text that is sent to the host\n", 50000)
	return []struct{ name, command, input string }{
		{"text", "echo hello", ""},
		{"nothing", "true", ""},
		{"exit status 1", "false", ""},
		{"exit status of a program", "grep nothing /etc/hostname", ""},
		{"exit status that is asked for", "exit 42", ""},
		{"the highest exit status", "exit 255", ""},
		{"standard error", "ls /nonexistent", ""},
		{"both outputs", "echo out; echo err >&2; exit 3", ""},
		{"no such program", "no-such-program --x", ""},
		{"a signal", "kill -TERM $$", ""},
		{"another signal", "kill -KILL $$", ""},
		{"quotes", `printf '%s|' "a b" 'c"d' e\ f '' "$HOME" '$HOME'`, ""},
		{"a pipeline", "printf 'b\\na\\n' | sort | head -n 1", ""},
		{"an and-list", "test -d /etc && echo yes || echo no", ""},
		{"input", "cat", "line one\nline two"},
		{"much input", "wc -c", long},
		{"much input and output", "cat", long},
		{"input that nobody reads", "echo done", long},
		{"input that is read in part", "head -n 1", "first\nsecond\n"},
		{"no input", "cat", ""},
		{"binary data", "cat", string([]byte{0, 1, 2, 255, 254, '\r', '\n', 0x1b, '[', 'A', 3, 4, 26, 28})},
		{"much output", "seq 1 200000", ""},
		{"much output on standard error", "seq 1 100000 >&2", ""},
		{"output without an end of line", "printf x", ""},
		{"text in UTF-8", "echo 'grüße – 漢字 🚀'", ""},
		{"who and where", "id -un; pwd", ""},
		{"no terminal", "tty", ""},
	}
}

func TestOpenSSHGetsTheSameFromACommandBothWays(t *testing.T) {
	for _, c := range commands() {
		t.Run(c.name, func(t *testing.T) {
			bothWays(t, func(t *testing.T, w *way, _ string) string {
				a := w.ssh(t, c.input, c.command)
				return fmt.Sprintf("exit %d\n%s\n%s", a.status, a.out, a.err)
			})
		})
	}
}

func TestWhatIsNoCommandIsRefusedWithAReason(t *testing.T) {
	w := the(t)
	for _, command := range []string{"if", "echo 'open", "a | | b", "", strings.Repeat("(", 5000), strings.Repeat("echo x; ", 12000)} {
		a := w.gateway.ssh(t, "", command, "-T")
		if command == "" { // OpenSSH asks for a shell then, which no rule names
			a = program(t, "", "ssh", "-F", w.gateway.config, "-T", w.gateway.host)
		}
		if a.status != 77 || a.out != "" || !strings.Contains(a.err, "sallyport: ") || !strings.Contains(a.err, "SALLYPORT blocked") {
			t.Errorf("%.40q: %s", command, a)
		}
	}
}

func TestXCryptoGetsTheSameFromACommandBothWays(t *testing.T) {
	for _, c := range commands() {
		t.Run(c.name, func(t *testing.T) {
			bothWays(t, func(t *testing.T, w *way, _ string) string {
				s, err := w.dial(t).NewSession()
				if err != nil {
					t.Fatal(err)
				}
				var out, stderr bytes.Buffer
				s.Stdin, s.Stdout, s.Stderr = strings.NewReader(c.input), &out, &stderr
				return fmt.Sprintf("%s\n%s\n%s", ending(t, s.Run(c.command)), out.String(), stderr.String())
			})
		})
	}
}

// ending is how a command ended.
func ending(t testing.TB, err error) string {
	t.Helper()
	var exit *ssh.ExitError
	var missing *ssh.ExitMissingError
	switch {
	case err == nil:
		return "exit 0"
	case errors.As(err, &exit):
		return fmt.Sprintf("exit %d, signal %q", exit.ExitStatus(), exit.Signal())
	case errors.As(err, &missing):
		return "no exit status"
	case errors.Is(err, io.EOF):
		// The library tells of input that was not taken only where the status was
		// zero; whether the command ended before all of it was sent is a race.
		return "exit 0"
	}
	return err.Error()
}

func TestBigFilesComeOutOfCatByteForByte(t *testing.T) {
	content := random(8 << 20)
	bothWays(t, func(t *testing.T, w *way, remote string) string {
		place(t, filepath.Join(remote, "big"), content, 0o644)
		a := w.ssh(t, "", "cat "+remote+"/big")
		if a.out != content {
			t.Errorf("%d bytes, exit %d, %s", len(a.out), a.status, clip(a.err))
		}
		return a.err
	})
}

func TestManyChannelsOfOneControlMasterAreKeptApart(t *testing.T) {
	bothWays(t, func(t *testing.T, w *way, _ string) string {
		socket := filepath.Join(t.TempDir(), "cm")
		control := []string{"-o", "ControlPath=" + socket}
		if a := program(t, "", "ssh", append(append([]string{"-F", w.config}, control...), "-o", "ControlMaster=yes", "-o", "ControlPersist=60", "-Nf", w.host)...); a.status != 0 {
			t.Fatal(a)
		}
		defer func() {
			program(t, "", "ssh", append(append([]string{"-F", w.config}, control...), "-O", "exit", w.host)...)
		}()
		const channels = 40
		results := make([]string, channels)
		var wait sync.WaitGroup
		for i := range channels {
			wait.Go(func() {
				mark := fmt.Sprintf("channel-%d", i)
				a := w.ssh(t, strings.Repeat(mark+"\n", 500), "sort -u; echo "+mark+" >&2; exit "+fmt.Sprint(i), control...)
				results[i] = fmt.Sprintf("%s: %d %s %s", mark, a.status, strings.TrimSpace(a.out), strings.TrimSpace(a.err))
			})
		}
		wait.Wait()
		return strings.Join(results, "\n")
	})
}
