package shell

import (
	"bytes"
	"math/rand/v2"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// TestTheTextIsReadAsTheSameCommand settles the text of every understood line
// again: it must come out as itself, with the same effects and facts.
func TestTheTextIsReadAsTheSameCommand(t *testing.T) {
	b := newBed(t)
	type source struct {
		line string
		d    Dialect
	}
	var all []source
	for _, c := range loadCases(t, "../../test/corpus-ssh/cases.jsonl") {
		d, _ := dialectOf(&c)
		all = append(all, source{b.here(c.Cmd), d})
	}
	for _, l := range append(lines(t, "testdata/harmless.txt"), lines(t, "testdata/attacks.txt")...) {
		all = append(all, source{b.here(l), Bash})
	}
	checked := 0
	for _, s := range all {
		first, err := b.settle(t, s.line, s.d)
		if err != nil || len(first.Unknown) > 0 {
			continue
		}
		checked++
		if strings.Contains(first.Text, " "+keptInput+"<&0") {
			if out, err := exec.Command("bash", "-n", "-c", first.Text).CombinedOutput(); err != nil {
				t.Errorf("%q\n  as %q\n  does not parse: %s", s.line, first.Text, out)
			}
			continue // descriptors stand for process substitutions, which no line can name
		}
		second, err := b.settle(t, first.Text, s.d)
		if err != nil || len(second.Unknown) > 0 {
			t.Errorf("%q\n  as %q\n  is not understood again: %s", s.line, first.Text, why(second, err))
			continue
		}
		if second.Text != first.Text {
			t.Errorf("%q\n  as %q\n  then %q", s.line, first.Text, second.Text)
		}
		if first.Effects != second.Effects {
			t.Errorf("%q\n  as %q\n  effects %v, then %v", s.line, first.Text, first.Effects, second.Effects)
		}
		if strings.ContainsAny(s.line, "*?[") || strings.Contains(s.line, "/self/") {
			continue // the names are literal now, and what only printed them asks nothing
		}
		if diff := cmp.Diff(first, second, cmpopts.IgnoreUnexported(Command{}), cmpopts.IgnoreFields(Facts{}, "Argv"), cmpopts.EquateEmpty(),
			cmp.Transformer("set", func(f Facts) Facts { slices.Sort(f.Programs); return f })); diff != "" {
			t.Errorf("%q\n  as %q\n%s", s.line, first.Text, diff)
		}
		if out, err := exec.Command(map[Dialect]string{Bash: "bash", POSIX: "dash"}[s.d], "-n", "-c", first.Text).CombinedOutput(); err != nil {
			t.Errorf("%q\n  as %q\n  does not parse: %s", s.line, first.Text, out)
		}
	}
	t.Logf("%d lines", checked)
}

// TestEveryShellReadsAQuotedWordAsThatWord is a property of forward, against the
// shells themselves.
func TestEveryShellReadsAQuotedWordAsThatWord(t *testing.T) {
	alphabet := []rune("ab-~=*?[]{}()<>|&;!#$`'\"\\ \t\n%^@:,./+éß☃0")
	r := rand.New(rand.NewPCG(1, 2))
	var words []string
	for range 400 {
		w := make([]rune, r.IntN(8))
		for i := range w {
			w[i] = alphabet[r.IntN(len(alphabet))]
		}
		words = append(words, string(w))
	}
	words = append(words, "if", "then", "{", "}", "!", "[[", "~", "~root", "-n", "=ls", "a=~/x", "")
	var quoted, want []string
	for _, w := range words {
		quoted = append(quoted, forward(w))
		want = append(want, w+"\x00")
	}
	line := `printf '%s\0' ` + strings.Join(quoted, " ")
	for _, argv := range [][]string{{"bash", "-c"}, {"dash", "-c"}, {"busybox", "sh", "-c"}, {"zsh", "-c"}} {
		path, err := exec.LookPath(argv[0])
		if err != nil {
			t.Logf("%s is not on this machine", argv[0])
			continue
		}
		out, err := exec.Command(path, append(argv[1:], line)...).Output()
		if err != nil || string(out) != strings.Join(want, "") {
			t.Errorf("%s reads the words differently: %v", argv[0], err)
		}
	}
}

// FuzzAnalyse: no panic, bounded time, and what is understood is understood
// again from its text.
func FuzzAnalyse(f *testing.F) {
	for _, path := range []string{"testdata/harmless.txt", "testdata/attacks.txt"} {
		for _, l := range lines(f, path) {
			f.Add([]byte(l), true)
			f.Add([]byte(l), false)
		}
	}
	f.Fuzz(func(t *testing.T, line []byte, bash bool) {
		d := POSIX
		if bash {
			d = Bash
		}
		if checkLine(line) != nil {
			return
		}
		from := time.Now()
		p, err := analyse(line, d, Programs())
		if took := time.Since(from); took > time.Minute {
			t.Fatalf("took %v", took)
		}
		if err != nil {
			return
		}
		c, err := p.Settle(nil)
		if err != nil {
			t.Fatalf("settle: %v", err)
		}
		if len(c.Unknown) > 0 {
			return
		}
		again, err := analyse([]byte(c.Text), d, Programs())
		if err != nil {
			t.Fatalf("%q as %q: %v", line, c.Text, err)
		}
		if p.a.processed {
			return // descriptors stand for process substitutions, which no line can name
		}
		second, err := again.Settle(nil)
		if err != nil || len(second.Unknown) > 0 || second.Text != c.Text || second.Effects != c.Effects {
			t.Fatalf("%q\n as %q\n then %q %v %v", line, c.Text, second.Text, second.Unknown, err)
		}
	})
}

func FuzzAwk(f *testing.F) {
	for _, l := range lines(f, "testdata/attacks.txt") {
		if _, program, found := strings.Cut(l, "awk '"); found {
			f.Add(strings.SplitN(program, "'", 2)[0])
		}
	}
	f.Fuzz(func(t *testing.T, program string) {
		if awkSafe(program) == nil && (strings.Contains(stripped(program), "system(") || strings.Contains(stripped(program), "|")) && !strings.Contains(program, "||") {
			t.Fatalf("%q", program)
		}
	})
}

// stripped is a program without its strings, expressions and comments, or nothing
// if it has any.
func stripped(program string) string {
	if strings.ContainsAny(program, "\"/#\\") {
		return ""
	}
	return program
}

func FuzzSed(f *testing.F) {
	for _, l := range lines(f, "testdata/attacks.txt") {
		if _, script, found := strings.Cut(l, "sed '"); found {
			f.Add(strings.SplitN(script, "'", 2)[0])
		}
	}
	f.Fuzz(func(t *testing.T, script string) { _ = sedSafe(script) })
}

func TestBracesThatMultiplyEndSoon(t *testing.T) {
	from := time.Now()
	p, err := Analyse([]byte("echo "+strings.Repeat("{a,b}", 100)), Bash, Programs())
	if err != nil || len(p.a.unknown) == 0 {
		t.Errorf("2^100 words are understood: %v", err)
	}
	if took := time.Since(from); took > time.Minute {
		t.Errorf("took %v", took)
	}
}

func BenchmarkAnalyse(b *testing.B) {
	line := []byte("grep -c ERROR logs/app.log | sort -rn | head -5")
	table := Programs()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Analyse(line, Bash, table); err != nil {
			b.Fatal(err)
		}
	}
}

func TestLinesBeyondTheBoundsAreRefused(t *testing.T) {
	for name, line := range map[string][]byte{
		"empty": nil, "blank": []byte("  "), "NUL": []byte("ls\x00"), "not UTF-8": []byte("ls \xff"), "escape": []byte("ls \x1b[2K"),
		"return": []byte("ls\r"), "long": bytes.Repeat([]byte("a"), maxLine+1), "override": []byte("ls \u202e"), "deep": bytes.Repeat([]byte("("), 600),
		"unfinished": []byte("ls |"), "quote": []byte("ls 'x"), "next line": []byte("ls \u0085"),
	} {
		if _, err := Analyse(line, Bash, Programs()); err == nil {
			t.Errorf("%s: a line beyond the bounds is analysed", name)
		}
	}
}
