package scp

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport-gateway/sallyport/internal/proto/ssh/sftp"
)

const serverPath = "/usr/lib/openssh/sftp-server"

// The test program is also what the real scp runs in place of ssh.
const sshVariable = "SALLYPORT_TEST_SCP_SSH"

func TestMain(m *testing.M) {
	if log := os.Getenv(sshVariable); log != "" {
		status, err := runSSH(log)
		if err != nil {
			fmt.Fprintln(os.Stderr, "serve:", err)
		}
		os.Exit(status)
	}
	os.Exit(m.Run())
}

// runSSH serves the command that scp gives to ssh as its last argument.
func runSSH(logFile string) (int, error) {
	line := os.Args[len(os.Args)-1]
	if os.Getenv(sshVariable+"_REAL") != "" {
		cmd := exec.Command("/bin/sh", "-c", line)
		cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
		err := cmd.Run()
		return cmd.ProcessState.ExitCode(), err
	}
	cmd, err := Parse(strings.Fields(line))
	if err != nil {
		return 1, err
	}
	p := &policy{secret: os.Getenv(sshVariable + "_SECRET")}
	status, err := serve(cmd, stdio{}, p)
	if writeErr := os.WriteFile(logFile, []byte(strings.Join(p.log, "\n")), 0o600); writeErr != nil {
		return 1, writeErr
	}
	if err != nil {
		status = 1
	}
	return status, err
}

type stdio struct{}

func (stdio) Read(b []byte) (int, error)  { return os.Stdin.Read(b) }
func (stdio) Write(b []byte) (int, error) { return os.Stdout.Write(b) }

// serve serves a command with a real SFTP server.
func serve(cmd *Command, client io.ReadWriter, p *policy) (int, error) {
	server := exec.Command(serverPath)
	in, err := server.StdinPipe()
	if err != nil {
		return 1, err
	}
	out, err := server.StdoutPipe()
	if err != nil {
		return 1, err
	}
	if err := server.Start(); err != nil {
		return 1, err
	}
	cfg := sftp.Config{Judge: p, Resolver: sftp.ByServer{}, Observer: p, Timeout: 20 * time.Second}
	status, err := Serve(context.Background(), cmd, client, cfg, in, out)
	return status, errors.Join(err, server.Wait())
}

// policy allows everything outside a secret directory, and is the observer.
type policy struct {
	mu     sync.Mutex
	secret string
	grant  *sftp.Grant
	log    []string
}

func (p *policy) Decide(_ context.Context, c *sftp.Command) (sftp.Grant, error) {
	p.note("judge " + c.Text())
	for i := range c.Paths {
		real := c.Paths[i].Place.Real
		if p.secret != "" && (real == p.secret || strings.HasPrefix(real, p.secret+"/")) {
			return sftp.Grant{}, &sftp.Refused{Message: "SALLYPORT blocked rule=secret"}
		}
	}
	if p.grant != nil {
		return *p.grant, nil
	}
	return sftp.Grant{Read: sftp.NoLimit, Write: sftp.NoLimit}, nil
}

func (p *policy) note(s string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.log = append(p.log, s)
}

func (p *policy) Content(*sftp.File, sftp.Direction, []byte) error { return nil }
func (p *policy) Done(*sftp.Command, sftp.Code, string) error      { return nil }
func (p *policy) Refused(what string) error                        { p.note("refused " + what); return nil }
func (p *policy) Closed(r *sftp.Report) error {
	p.note(fmt.Sprintf("closed %s down=%s up=%s", r.File.Place.Real, r.Downloaded.SHA256, r.Uploaded.SHA256))
	return nil
}

// run runs the real scp, in its old protocol, against Serve or, real, against
// another scp.
func run(t *testing.T, dir, secret string, real bool, args ...string) (out, log string, err error) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	logFile := filepath.Join(t.TempDir(), "log")
	cmd := exec.CommandContext(t.Context(), "scp", append([]string{"-O", "-S", self}, args...)...)
	cmd.WaitDelay = 10 * time.Second
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), sshVariable+"="+logFile, sshVariable+"_SECRET="+secret)
	if real {
		cmd.Env = append(cmd.Env, sshVariable+"_REAL=1")
	}
	b, err := cmd.CombinedOutput()
	seen, _ := os.ReadFile(logFile)
	return string(b), string(seen), err
}

func put(t *testing.T, path string, b []byte, mode fs.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b, mode); err != nil {
		t.Fatal(err)
	}
	old := time.Unix(1_600_000_000, 0)
	if err := errors.Join(os.Chmod(path, mode), os.Chtimes(path, old, old)); err != nil {
		t.Fatal(err)
	}
}

// tree says what is below a directory: names, modes, contents and, if asked,
// times.
func tree(t *testing.T, dir string, times bool) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(dir, path)
		fmt.Fprintf(&b, "%s %v", rel, info.Mode())
		if times && rel != "." && rel != "dst" {
			fmt.Fprintf(&b, " %d", info.ModTime().Unix())
		}
		if info.Mode().IsRegular() {
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			fmt.Fprintf(&b, " %d %x", len(content), content[:min(len(content), 32)])
		}
		b.WriteByte('\n')
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func tempDir(t *testing.T) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func random(n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{1})
	_, _ = r.Read(b)
	return b
}

func fill(t *testing.T, dir string) {
	t.Helper()
	put(t, dir+"/src/big", random(5<<20+3), 0o644)
	put(t, dir+"/src/empty", nil, 0o600)
	put(t, dir+"/src/exactly", random(chunk), 0o755)
	put(t, dir+"/src/a/b/c", []byte("deep"), 0o640)
	put(t, dir+"/src/a/x", []byte("x"), 0o444)
	put(t, dir+"/there/big", random(6<<20), 0o644)
	if err := errors.Join(os.MkdirAll(dir+"/src/none", 0o700), os.Mkdir(dir+"/dst", 0o755)); err != nil {
		t.Fatal(err)
	}
	old := time.Unix(1_600_000_000, 0)
	for _, d := range []string{"src/a/b", "src/a", "src/none", "src", "there"} {
		if err := os.Chtimes(dir+"/"+d, old, old); err != nil {
			t.Fatal(err)
		}
	}
}

func TestScpDoesWhatItDoesAgainstAnotherScp(t *testing.T) {
	for name, args := range map[string][]string{
		"upload":                  {"src/big", "h:DIR/dst/file"},
		"upload into a directory": {"src/big", "src/exactly", "src/empty", "h:DIR/dst"},
		"upload over a file":      {"src/big", "h:DIR/there"},
		"upload a tree":           {"-r", "src", "h:DIR/dst"},
		"upload a tree, new":      {"-r", "src", "h:DIR/dst/new"},
		"upload preserving":       {"-p", "src/exactly", "h:DIR/dst"},
		"upload a tree, kept":     {"-rp", "src", "h:DIR/dst"},
		"download":                {"h:DIR/src/big", "dst/file"},
		"download several":        {"h:DIR/src/big", "h:DIR/src/exactly", "h:DIR/src/empty", "dst"},
		"download a tree":         {"-r", "h:DIR/src", "dst"},
		"download a tree, kept":   {"-rp", "h:DIR/src", "dst"},
		"download a directory":    {"h:DIR/src", "dst"},
		"download nothing":        {"h:DIR/nothing", "dst"},
		"upload to nowhere":       {"src/big", "h:DIR/no/where"},
		"upload several to file":  {"src/big", "src/exactly", "h:DIR/src/empty"},
		"download with a slash":   {"-r", "h:DIR/src/a/", "dst"},
	} {
		t.Run(name, func(t *testing.T) {
			var trees [2]string
			var errs [2]bool
			kept := strings.HasPrefix(args[0], "-") && strings.Contains(args[0], "p")
			for i, real := range []bool{true, false} {
				dir := tempDir(t)
				fill(t, dir)
				mine := append([]string(nil), args...)
				for j := range mine {
					mine[j] = strings.ReplaceAll(mine[j], "DIR", dir)
				}
				out, _, err := run(t, dir, "", real, mine...)
				trees[i], errs[i] = tree(t, dir, kept), err != nil
				t.Log(strings.ReplaceAll(out, dir, "DIR"))
			}
			if trees[0] != trees[1] {
				t.Errorf("scp made\n%s\nthe gateway\n%s", trees[0], trees[1])
			}
			if errs[0] != errs[1] {
				t.Errorf("scp failed: %v, the gateway: %v", errs[0], errs[1])
			}
		})
	}
}

func TestARefusedFileIsToldAndTheRestIsCarried(t *testing.T) {
	dir := tempDir(t)
	fill(t, dir)
	put(t, dir+"/src/secret/token", []byte("CANARY"), 0o644)
	if err := os.Symlink("secret/token", dir+"/src/innocent"); err != nil {
		t.Fatal(err)
	}
	out, log, err := run(t, dir, dir+"/src/secret", false, "-r", "h:"+dir+"/src", "dst")
	if err == nil {
		t.Error("no failure although a file was refused")
	}
	if !strings.Contains(out, "SALLYPORT blocked rule=secret") {
		t.Errorf("the message is missing:\n%s\n%s", out, log)
	}
	for _, gone := range []string{"secret", "innocent"} {
		if _, err := os.Lstat(dir + "/dst/src/" + gone); err == nil {
			t.Errorf("%s was carried", gone)
		}
	}
	got, err := os.ReadFile(dir + "/dst/src/big")
	if err != nil || !bytes.Equal(got, random(5<<20+3)) {
		t.Errorf("the rest was not carried: %v", err)
	}
	if err := os.MkdirAll(dir+"/up/sub", 0o755); err != nil {
		t.Fatal(err)
	}
	out, log, err = run(t, dir, dir+"/dst2/up/sub", false, "-r", "src/a", "h:"+dir+"/dst")
	if err != nil {
		t.Fatalf("%v\n%s\n%s", err, out, log)
	}
	out, _, err = run(t, dir, dir+"/src/secret", false, "src/big", "h:"+dir+"/src/innocent")
	if err == nil || !strings.Contains(out, "SALLYPORT blocked") {
		t.Errorf("written through a link: %v %s", err, out)
	}
	out, log, err = run(t, dir, dir+"/dst/src", false, "-r", "src", "h:"+dir+"/dst")
	if err == nil || !strings.Contains(out, "SALLYPORT blocked") {
		t.Errorf("a directory was written: %v %s %s", err, out, log)
	}
}

func TestASizeLimitIsToldAfterTheFile(t *testing.T) {
	dir := tempDir(t)
	fill(t, dir)
	p := &policy{grant: &sftp.Grant{Read: 1 << 20, Write: 1 << 20}}
	var out bytes.Buffer
	in := AppendRecord(nil, File{0o644, 5 << 20, "big"})
	in = append(append(in, make([]byte, 5<<20)...), 0)
	in = append(AppendRecord(in, File{0o644, 3, "small"}), "abc\x00"...)
	status, err := serve(&Command{Upload: true, Paths: []string{dir + "/dst"}}, duplex{bytes.NewReader(in), &out}, p)
	if err != nil || status != 1 {
		t.Errorf("status %d %v", status, err)
	}
	if !strings.Contains(out.String(), "1048576 bytes") {
		t.Errorf("answers %q", out.String())
	}
	if got, err := os.ReadFile(dir + "/dst/small"); err != nil || string(got) != "abc" {
		t.Errorf("the next file: %q %v", got, err)
	}
}

type duplex struct {
	io.Reader
	io.Writer
}

func TestCommandLinesAreParsedStrictly(t *testing.T) {
	for _, line := range []string{"scp -t .", "scp -f a", "scp -r -p -d -v -t a", "scp -rptd -- -a", "scp -qf a b c", "/usr/bin/scp -v -f -- a"} {
		if _, err := Parse(strings.Fields(line)); err != nil {
			t.Errorf("%s: %v", line, err)
		}
	}
	for _, line := range []string{"", "scp", "scp a b", "scp -t", "scp -t a b", "scp -f", "scp -t -f a", "scp -S prog -t a", "scp -F conf -t a",
		"scp -o ProxyCommand=x -t a", "scp -D x -f a", "scp -tS a", "scp -3 -t a", "scp --t a", "./scp -t a", "scp -t -R a", "scp -tX a", "sftp -t a"} {
		if c, err := Parse(strings.Fields(line)); err == nil {
			t.Errorf("%s: %+v", line, c)
		}
	}
	c, err := Parse([]string{"scp", "-prt", "--", "-x y"})
	if err != nil || strings.Join(c.Argv(), "|") != "scp|-r|-p|-t|--|-x y" {
		t.Errorf("%v %v", c.Argv(), err)
	}
}

func TestRecordsAreParsedStrictly(t *testing.T) {
	for _, good := range []string{"C0644 5 name", "C7777 0 a b", "D0755 0 d", "E", "T1 0 2 0", "T4294967295 999999 0 1", "\x01oops", "\x02", "C0644 9223372036854775807 x", "C0644 1 \xff"} {
		r, err := ReadRecord(bufio.NewReader(strings.NewReader(good + "\n")))
		if err != nil {
			t.Errorf("%q: %v", good, err)
			continue
		}
		again, err := ReadRecord(bufio.NewReader(bytes.NewReader(AppendRecord(nil, r))))
		if err != nil || again != r {
			t.Errorf("%q: %+v, then %+v %v", good, r, again, err)
		}
	}
	for _, bad := range []string{"", "C", "C0644", "C0644 5", "C644 5 x", "C0648 5 x", "C00644 5 x", "C0644 -5 x", "C0644 +5 x", "C0644  5 x", "C0644 5 ",
		"C0644 9223372036854775808 x", "C0644 5x x", "C0644 5 .", "C0644 5 ..", "C0644 5 a/b", "C0644 5 ../x", "C0644 5 /", "C0644 5 a\tb", "C0644 5 \x1b[2J",
		"D0755 1 d", "D0755 0 ..", "Ex", "T", "T1 0 2", "T1 0 2 0 ", "T-1 0 2 0", "T1 1000000 2 0", "T4294967296 0 0 0", "X", "\x03", "\x00", "C0644 5 " + strings.Repeat("n", 256),
		"C0644 5 " + strings.Repeat("n", 3000)} {
		if r, err := ReadRecord(bufio.NewReader(strings.NewReader(bad + "\n"))); !errors.Is(err, ErrMalformed) {
			t.Errorf("%q: %+v %v", bad, r, err)
		}
	}
}

func TestAClientThatLiesHarmsNothing(t *testing.T) {
	dir := tempDir(t)
	fill(t, dir)
	before := tree(t, dir, false)
	for _, in := range []string{
		"C0644 3 ../evil\nabc\x00", "C0644 3 /etc/evil\nabc\x00", "C0644 3 ..\nabc\x00", "D0755 0 ..\nC0644 3 evil\nabc\x00E\n", "D0755 0 .\n",
		"E\n", "D0755 0 sub\n", "C0644 99999999999999999999 x\n", "\x00\x00\x00\n", "T1 0 1 0\nX\n", "Crubbish\n", strings.Repeat("x", 5000), "\x02dead\n",
		"C0644 3 \x1b]0;x\nabc\x00",
	} {
		for _, recursive := range []bool{false, true} {
			if recursive && strings.HasPrefix(in, "D0755 0 sub") {
				continue // is a proper beginning then
			}
			var out bytes.Buffer
			_, _ = serve(&Command{Upload: true, Recursive: recursive, Paths: []string{dir + "/dst"}}, duplex{strings.NewReader(in), &out}, &policy{})
			if after := tree(t, dir, false); after != before {
				t.Fatalf("%q changed\n%s to\n%s", in, before, after)
			}
		}
	}
}

func TestAnInterruptedUploadEndsAndTheServerToo(t *testing.T) {
	dir := tempDir(t)
	fill(t, dir)
	in := AppendRecord(nil, File{0o644, 1 << 30, "big"})
	in = append(in, make([]byte, 1<<20)...)
	var out bytes.Buffer
	p := &policy{}
	if _, err := serve(&Command{Upload: true, Paths: []string{dir + "/dst"}}, duplex{bytes.NewReader(in), &out}, p); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("error %v", err)
	}
	if !strings.Contains(strings.Join(p.log, "\n"), "closed "+dir+"/dst/big") {
		t.Errorf("the open file was not reported: %q", p.log)
	}
}
