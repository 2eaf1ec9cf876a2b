package sshproof_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport-gateway/sallyport/test/sshtest"
)

// way is how a client reaches the host: straight, or through the gateway.
type way struct {
	name string
	// config is an ssh_config(5) that knows the host under the name host.
	config, host string
	// address, user and auth are for clients that read no ssh_config.
	address, user string
	auth          []ssh.AuthMethod
	hostKey       ssh.HostKeyCallback
	// password or keyFile is what other programs log in with; knownHosts is a file.
	password, keyFile, knownHosts string
}

// port is the port of the way's address.
func (w *way) port() string { return w.address[strings.LastIndexByte(w.address, ':')+1:] }

// answer is what a program printed.
type answer struct {
	out, err string
	status   int
}

// String shortens an answer for a reader.
func (a answer) String() string {
	return fmt.Sprintf("exit %d, stdout %q, stderr %q", a.status, clip(a.out), clip(a.err))
}

func clip(s string) string {
	const most = 600
	if len(s) > most {
		sum := sha256.Sum256([]byte(s))
		return fmt.Sprintf("%s… (%d bytes, SHA-256 %s)", s[:most], len(s), hex.EncodeToString(sum[:4]))
	}
	return s
}

// patience bounds every wait for something that should happen at once. It is
// long because the machines that run this are slow and shared.
const patience = 30 * time.Second

// program runs a program to its end.
func program(t testing.TB, input string, name string, args ...string) answer {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 4*patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdin = strings.NewReader(input)
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "TZ=UTC")
	cmd.WaitDelay = time.Second // a ControlMaster in the background holds its output
	var out, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &stderr
	err := cmd.Run()
	if cmd.ProcessState == nil {
		t.Fatalf("%s: %v", name, err)
	}
	if ctx.Err() != nil {
		t.Errorf("%s %q did not end; stderr %q", name, args, clip(stderr.String()))
	}
	return answer{out.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// ssh runs a command with OpenSSH's client.
func (w *way) ssh(t testing.TB, input, command string, options ...string) answer {
	t.Helper()
	args := append([]string{"-F", w.config}, options...)
	return program(t, input, "ssh", append(args, w.host, command)...)
}

// dial logs in with the x/crypto client.
func (w *way) dial(t testing.TB) *ssh.Client {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c, err := sshtest.Dial(ctx, w.address, &ssh.ClientConfig{User: w.user, Auth: w.auth, HostKeyCallback: w.hostKey})
	if err != nil {
		t.Fatalf("%s: %v", w.name, err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// bothWays runs a scenario straight and through the gateway, each on an empty
// remote folder, and wants the same text from both: what a client was told, and
// what the folder holds afterwards.
func bothWays(t *testing.T, scenario func(t *testing.T, w *way, remote string) string) {
	t.Helper()
	var results []string
	all := ways(t)
	for _, w := range all {
		t.Run(w.name, func(t *testing.T) {
			remote := emptyFolder(t)
			got := scenario(t, w, remote)
			results = append(results, got+"\n"+listing(t, remote))
		})
	}
	if t.Failed() {
		return
	}
	for i, got := range results[1:] {
		if got != results[0] {
			t.Errorf("%s differs:\n%s\n%s gives:\n%s", all[i+1].name, got, all[0].name, results[0])
		}
	}
}

// emptyFolder makes the test's folder on the host, owned by the account.
func emptyFolder(t testing.TB) string {
	t.Helper()
	name := strings.NewReplacer("/", "-", " ", "-").Replace(t.Name())
	if i := strings.LastIndexByte(name, '-'); i > 0 {
		name = name[:i] // without the way's name: both ways have the same paths
	}
	dir := filepath.Join("/home", account, name)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	own(t, dir)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// own gives a file on the host to the account.
func own(t testing.TB, path string) {
	t.Helper()
	who, err := user.Lookup(account)
	if err != nil {
		t.Fatal(err)
	}
	uid, _ := strconv.Atoi(who.Uid)
	gid, _ := strconv.Atoi(who.Gid)
	if err := os.Chown(path, uid, gid); err != nil {
		t.Fatal(err)
	}
}

// place writes a file on the host as the account's.
func place(t testing.TB, path, content string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
	own(t, path)
}

// listing is every file below a folder: path, mode, size and content.
func listing(t testing.TB, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		what := ""
		switch {
		case info.Mode().IsRegular():
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			sum := sha256.Sum256(text)
			what = fmt.Sprintf("%d bytes %x", len(text), sum[:8])
		case info.Mode()&os.ModeSymlink != 0:
			if what, err = os.Readlink(path); err != nil {
				return err
			}
		}
		fmt.Fprintf(&b, "%s %s %s\n", info.Mode(), strings.TrimPrefix(path, dir), what)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// eventually waits until a condition holds.
func eventually(t testing.TB, what string, within time.Duration, holds func() bool) {
	t.Helper()
	deadline := time.NewTimer(within)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-deadline.C:
			t.Fatalf("not within %v: %s", within, what)
		case <-tick.C:
		}
	}
}
