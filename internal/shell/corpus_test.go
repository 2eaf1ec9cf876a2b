package shell

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport-gateway/sallyport/internal/gate"
	"github.com/sallyport-gateway/sallyport/internal/hostpath"
)

// corpusCase is one line of a corpus file.
type corpusCase struct {
	ID, Kind, Class, User string
	Cmd                   string
	CmdB64                string `json:"cmd_b64"`
	Stdin                 string
	Check                 struct {
		Volatile bool
	}
}

// loadCases reads a corpus file.
func loadCases(t testing.TB, path string) []corpusCase {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var all []corpusCase
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		var c corpusCase
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		if c.CmdB64 != "" {
			raw, err := base64.StdEncoding.DecodeString(c.CmdB64)
			if err != nil {
				t.Fatal(err)
			}
			c.Cmd = string(raw)
		}
		all = append(all, c)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

// bed is a home directory to run lines in.
type bed struct {
	home  string
	marks hostpath.Marks
}

var makeBed = sync.OnceValues(func() (*bed, error) {
	dir, err := filepath.EvalSymlinks(os.Getenv("SALLYPORT_SHELL_BED"))
	if err != nil {
		return nil, err
	}
	home := filepath.Join(dir, "shx")
	out, err := exec.Command("bash", "testdata/home.sh", home).CombinedOutput()
	if err != nil {
		os.Stderr.Write(out)
		return nil, err
	}
	return &bed{home, hostpath.Marks{"secret": {home + "/secret"}}}, nil
})

func newBed(t testing.TB) *bed {
	t.Helper()
	b, err := makeBed()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "sallyport-shell-")
	if err != nil {
		panic(err)
	}
	os.Setenv("SALLYPORT_SHELL_BED", dir)
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// here puts the bed's home in the place of the corpus's.
func (b *bed) here(line string) string {
	return strings.ReplaceAll(strings.ReplaceAll(line, "//home//shx", "/"+b.home), "/home/shx", b.home)
}

// run runs a line in a shell as sshd does.
func (b *bed) run(shell, line, stdin string) (string, int) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, shell, "-c", line)
	cmd.Dir = b.home
	cmd.Env = []string{"HOME=" + b.home, "PATH=/usr/local/bin:/usr/bin:/bin:/usr/games", "USER=shx", "LOGNAME=shx", "SHELL=/bin/" + shell}
	cmd.Stdin = strings.NewReader(stdin)
	out, _ := cmd.Output()
	return string(out), cmd.ProcessState.ExitCode()
}

// settle takes a line through analysis and the host.
func (b *bed) settle(t testing.TB, line string, dialect Dialect) (*Command, error) {
	t.Helper()
	p, err := Analyse([]byte(line), dialect, Programs())
	if err != nil {
		return nil, err
	}
	questions := p.Questions()
	if len(questions) == 0 {
		return p.Settle(nil)
	}
	script, err := hostpath.Script(questions, b.marks)
	if err != nil {
		return nil, err
	}
	out, code := b.run("bash", script, "")
	if code != 0 {
		t.Logf("the script of %q ended with %d", line, code)
	}
	answers, err := hostpath.ReadAnswers([]byte(out), questions, b.marks)
	if err != nil {
		return nil, err
	}
	return p.Settle(answers)
}

// readonly is the policy under test: reading, and nothing labelled.
func readonly(c *Command) bool { return c.Effects == gate.EffectRead && len(c.Labels) == 0 }

func dialectOf(c *corpusCase) (Dialect, string) {
	if c.User == "dash" {
		return POSIX, "dash"
	}
	return Bash, "bash"
}

func why(c *Command, err error) string {
	if err != nil {
		return err.Error()
	}
	var all []string
	for _, r := range c.Unknown {
		all = append(all, r.String())
	}
	return c.Effects.String() + " labels " + strings.Join(c.Labels, ",") + " " + strings.Join(all, " | ")
}

// judge runs the cases of a file: attacks must be refused, and the others must
// come out as they do when they are run directly.
func judge(t *testing.T, path string) {
	b := newBed(t)
	allowed, harmless := 0, 0
	for _, c := range loadCases(t, path) {
		dialect, sh := dialectOf(&c)
		line := b.here(c.Cmd)
		cmd, err := b.settle(t, line, dialect)
		if c.Kind == "attack" {
			if err == nil && readonly(cmd) {
				t.Errorf("%s: attack allowed: %q\n  as %q", c.ID, c.Cmd, cmd.Text)
			}
			continue
		}
		harmless++
		if err != nil || !readonly(cmd) {
			t.Errorf("%s: refused: %q\n  %s", c.ID, c.Cmd, why(cmd, err))
			continue
		}
		stdin, _ := base64.StdEncoding.DecodeString(c.Stdin)
		wantOut, wantCode := b.run(sh, line, string(stdin))
		gotOut, gotCode := b.run(sh, cmd.Text, string(stdin))
		if gotCode != wantCode || gotOut != wantOut && !c.Check.Volatile {
			t.Errorf("%s: %q\n  as %q\n  exit %d, want %d\n  output %.200q\n  want   %.200q", c.ID, c.Cmd, cmd.Text, gotCode, wantCode, gotOut, wantOut)
			continue
		}
		allowed++
	}
	t.Logf("%s: %d of %d harmless lines allowed and equal", path, allowed, harmless)
}

func TestPublicCorpus(t *testing.T) { judge(t, "../../test/corpus-ssh/cases.jsonl") }
