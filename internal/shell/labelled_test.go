package shell

import (
	"os"
	"testing"

	"github.com/sallyport-gateway/sallyport/internal/hostpath"
)

// TestNamesUnderALabelAreNoOptions: a rule can allow a label, and the names below it are
// words of the line as others are.
func TestNamesUnderALabelAreNoOptions(t *testing.T) {
	p, err := Analyse([]byte("sort *"), Bash, Programs())
	if err != nil {
		t.Fatal(err)
	}
	names := []hostpath.Place{{Name: "-oout.txt", Real: "/s/-oout.txt", Kind: hostpath.File, Labels: []string{"secret"}}}
	answers := &hostpath.Answers{List: make([]hostpath.Answer, len(p.Questions()))}
	for i := range answers.List {
		answers.List[i].Places = names
	}
	c, err := p.Settle(answers)
	if err != nil || len(c.Unknown) == 0 {
		t.Errorf("the name is an option: %v, %+v", err, c)
	}
}

// TestNamesThatLsPrintsOtherwise: a name that a line of ls cannot be is not taken from it.
func TestNamesThatLsPrintsOtherwise(t *testing.T) {
	b := newBed(t)
	dir := b.home + "/outbox/names"
	for _, name := range []string{"tök.txt", "a b.txt", `a"b.txt`, `a\b.txt`, "a'b.txt", "a*.txt"} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(dir+"/"+name, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		for _, line := range []string{"ls outbox/names/*.txt | xargs cat", "ls outbox/names/*.txt | while read -r f; do cat \"$f\"; done"} {
			if cmd, err := b.settle(t, line, Bash); err == nil && readonly(cmd) {
				t.Errorf("%q is taken for %q in %q", cmd.Text, name, line)
			}
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
	}
}

// TestOtherEndingsAreNotTried: of a name that is not there some programs take another.
func TestOtherEndingsAreNotTried(t *testing.T) {
	b := newBed(t)
	link := b.home + "/outbox/report.gz"
	if err := os.Symlink("../secret/token.txt", link); err != nil {
		t.Fatal(err)
	}
	defer os.Remove(link)
	for _, line := range []string{"zcat outbox/report", "zless outbox/report", "zless -- outbox/report", "gzip -dc outbox/report"} {
		if cmd, err := b.settle(t, line, Bash); err == nil && readonly(cmd) {
			t.Errorf("%q is allowed as %q", line, cmd.Text)
		}
	}
}
