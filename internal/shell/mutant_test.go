package shell

import (
	"context"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-gateway/sallyport/internal/hostpath"
)

// cell is a bed in which lines run as nobody, so that what an accepted line does
// wrong stays in it.
type cell struct {
	home  string
	marks hostpath.Marks
}

func newCell(t *testing.T) *cell {
	t.Helper()
	dir := t.TempDir()
	home := filepath.Join(dir, "shx")
	if out, err := exec.Command("bash", "testdata/home.sh", home).CombinedOutput(); err != nil {
		t.Fatalf("make the home directory: %v\n%s", err, out)
	}
	for d := dir; d != "/" && d != os.TempDir(); d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			break
		}
	}
	if os.Getuid() == 0 {
		if out, err := exec.Command("chown", "-R", "65534:65534", home).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	return &cell{home, hostpath.Marks{"secret": {home + "/secret"}}}
}

// run runs a line; both outputs count.
func (c *cell) run(line string) string {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	argv := []string{"bash", "-c", line}
	if os.Getuid() == 0 {
		argv = append([]string{"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs"}, argv...)
	}
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir, cmd.Env, cmd.WaitDelay = c.home, []string{"HOME=" + c.home, "PATH=/usr/local/bin:/usr/bin:/bin"}, time.Second
	out, _ := cmd.CombinedOutput()
	return string(out)
}

// state is everything below the home directory with its times.
func (c *cell) state(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("find", c.home, "-printf", "%p %s %m %i %n %T@ %C@\n").Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// settle takes a line through analysis and the host; nil if it is not allowed.
func (c *cell) settle(line string) *Command {
	p, err := Analyse([]byte(line), Bash, Programs())
	if err != nil || len(p.a.unknown) > 0 {
		return nil
	}
	var answers *hostpath.Answers
	if questions := p.Questions(); len(questions) > 0 {
		script, err := hostpath.Script(questions, c.marks)
		if err != nil {
			return nil
		}
		if answers, err = hostpath.ReadAnswers([]byte(c.run(script)), questions, c.marks); err != nil {
			return nil
		}
	}
	cmd, err := p.Settle(answers)
	if err != nil || !readonly(cmd) {
		return nil
	}
	return cmd
}

// TestMutantsThatAreAllowedHaveNoEffect changes lines at random and makes lines of
// the table's options, and runs those that are allowed: nothing may change, and
// nothing labelled may come out.
func TestMutantsThatAreAllowedHaveNoEffect(t *testing.T) {
	c := newCell(t)
	var pool []string
	for _, path := range []string{"testdata/attacks.txt", "testdata/harmless.txt"} {
		pool = append(pool, lines(t, path)...)
	}
	r := rand.New(rand.NewPCG(7, 11))
	before := c.state(t)
	ran := 0
	for range 500 {
		line := fromTable(r)
		if r.IntN(2) == 0 {
			line = mutant(r, pool)
		}
		cmd := c.settle(strings.ReplaceAll(line, "/home/shx", c.home))
		if cmd == nil || strings.Contains(cmd.Text, "tail") || strings.Contains(cmd.Text, "yes") || strings.Contains(cmd.Text, "sleep") || strings.Contains(cmd.Text, "top") {
			continue
		}
		ran++
		if strings.Contains(c.run(cmd.Text), "Zq7f3a91") {
			t.Errorf("%q\n  as %q\n  shows what is labelled", line, cmd.Text)
		}
		if after := c.state(t); after != before {
			t.Errorf("%q\n  as %q\n  changes something", line, cmd.Text)
			before = after
		}
	}
	t.Logf("%d lines ran", ran)
}

func pick(r *rand.Rand, from []string) string { return from[r.IntN(len(from))] }

// mutant changes some words of a line.
func mutant(r *rand.Rand, pool []string) string {
	words := strings.Split(pick(r, pool), " ")
	for range 1 + r.IntN(3) {
		i := r.IntN(len(words))
		other := strings.Split(pick(r, pool), " ")
		switch r.IntN(6) {
		case 0:
			words[i] = pick(r, other)
		case 1:
			words = slices.Insert(words, i, pick(r, other))
		case 2:
			if len(words) > 1 {
				words = slices.Delete(words, i, i+1)
			}
		case 3:
			words[i] = strings.NewReplacer("outbox/pwned", "secret/token.txt", "data/l1.txt", "secret/token.txt", "app", "links").Replace(words[i])
		case 4:
			words = append(words, pick(r, []string{"|", "&&", ";", "||"}), pick(r, pool))
		case 5:
			words = append(words[:i:i], other[r.IntN(len(other)):]...)
		}
	}
	return strings.Join(words, " ")
}

// fromTable makes a line of a program's own options and of words that would give
// an effect away.
func fromTable(r *rand.Rand) string {
	values := []string{"outbox/pwned", "data/l1.txt", "secret/token.txt", "app", "links", "links/report.txt", "1", "a", "trap/rc", "trap/list",
		"data/bundle.tar", "data/bundle.zip", "logs/app.log.1.gz", "data/app.db", ".", "x=1", "@trap/list", "outbox", "canary/v1.txt", "repo", "-", "links/hard.txt", "HEAD"}
	var names []string
	for name := range Programs().programs {
		names = append(names, name)
	}
	slices.Sort(names)
	name := pick(r, names)
	p := Programs().programs[name]
	words := []string{name}
	options := func(p *Program) {
		for range r.IntN(4) {
			if len(p.Options) == 0 {
				return
			}
			o := p.Options[r.IntN(len(p.Options))]
			option, value := pick(r, o.Names), pick(r, values)
			if len(o.Values) > 0 {
				value = pick(r, o.Values)
			}
			switch {
			case o.Value == "":
				words = append(words, option)
			case strings.HasPrefix(option, "--"):
				words = append(words, option+"="+value)
			default:
				words = append(words, option, value)
			}
		}
	}
	options(p)
	for len(p.Commands) > 0 {
		p = &p.Commands[r.IntN(len(p.Commands))]
		words = append(words, p.Name)
		options(p)
	}
	for range r.IntN(4) {
		words = append(words, pick(r, values))
	}
	options(p)
	return strings.Join(words, " ")
}
