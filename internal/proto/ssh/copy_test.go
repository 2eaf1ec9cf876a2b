package ssh_test

import (
	"os"
	"strings"
	"testing"

	"github.com/sallyport-gateway/sallyport/internal/gate"
	"github.com/sallyport-gateway/sallyport/internal/proto/ssh"
)

// ownFolder allows what writes in one folder alone, by the rule of the documentation.
func (a *arena) ownFolder(dir string) {
	a.set(func() {
		a.verdict = func(cmd *gate.Command) gate.Verdict {
			f, ok := cmd.Facts.(*ssh.Facts)
			if !ok || cmd.Effects.Has(gate.EffectUnknown) {
				return gate.Verdict{}
			}
			for _, p := range f.Writes {
				if p != dir && !strings.HasPrefix(p, dir+"/") {
					return gate.Verdict{}
				}
			}
			return gate.Verdict{Decision: gate.Allow, Rule: "arena/own-folder"}
		}
	})
}

// copies are lines that write to names that links in the folder in have: one leads to a
// labelled file, one to a file outside of what may be written.
var copies = []string{
	"cp mine/%s in/", "cp mine/%s in", "cp mine/%s in/.", "cp -T mine/%s in/%s", "cp -t in mine/%s", "cp --target-directory=in mine/%s",
	"cp mine/other mine/%s in/", "cp -- mine/%s in", "cp mine/../mine/%s in", "cp mine/%s way", "cp mine/%s way/", "cp -f mine/%s in",
	"cp mine/%.3s* in/", "cp mine/* in", "cp mine/{%s,other} in/", "f=%s; cp mine/$f in/", "for f in other %s; do cp mine/$f in/; done",
	"for f in mine/*; do cp \"$f\" in/; done", "cd mine; cp %s ../in", "cd in && cp ../mine/%s .", "d=in; cp mine/%s $d",
	"find mine -name '%s' -exec cp {} in/ \\;", "find mine -type f -exec cp -t in {} +", "cp -r mine/. in", "cp -a mine/. in/", "cp -R deep/in .",
	"cp -r deep/* .", "cp -r -T mine in", "cp -rT deep/in way", "cd mine; cp -r . ../in", "cd deep/in; cp -r ../in/. ../../way",
	"install mine/%s in/", "install -t in mine/%s", "install -m 644 mine/%s in", "cat mine/%s | tee in/%s", "(cd in; cp ../mine/%s ./)",
	"timeout 5 cp mine/%s in/", "cp -r deep/in in/..",
}

func TestNothingIsCopiedThroughALinkInTheTargetDirectory(t *testing.T) {
	a := newArena(t, "", "")
	a.tree([2]string{"data/", ""}, [2]string{"data/keys/", ""}, [2]string{"data/keys/token", "CANARY-9"}, [2]string{"far", "CANARY-9"},
		[2]string{"own/", ""}, [2]string{"own/in/", ""}, [2]string{"own/mine/", ""}, [2]string{"own/way", "->in"}, [2]string{"own/free/", ""},
		[2]string{"own/in/report", "->../../data/keys/token"}, [2]string{"own/in/notes", "->../../far"},
		[2]string{"own/mine/report", "mine"}, [2]string{"own/mine/notes", "mine"}, [2]string{"own/mine/other", "mine"},
		[2]string{"own/deep/", ""}, [2]string{"own/deep/in/", ""}, [2]string{"own/deep/in/report", "mine"}, [2]string{"own/deep/in/notes", "mine"})
	a.ownFolder(a.folder + "/own")
	c := a.dial()
	for name, marks := range map[string]map[string][]string{"report": {"secret": {a.folder + "/data/keys"}}, "notes": nil} {
		a.set(func() { a.target.Marks = marks })
		for _, form := range copies {
			line := strings.ReplaceAll(strings.ReplaceAll(form, "%.3s", name[:3]), "%s", name)
			if got := command(t, c, "cd "+a.folder+"/own && "+line); got.status != 77 {
				t.Errorf("%s: %+v", line, got)
			}
		}
		for _, file := range []string{"/data/keys/token", "/far"} {
			if b, err := os.ReadFile(a.folder + file); err != nil || string(b) != "CANARY-9" {
				t.Errorf("%s: %q, %v", file, b, err)
			}
		}
	}
	// Where no link is in the way, the same lines work.
	for _, line := range []string{
		"cp mine/report free/", "cp mine/report free", "cp -t free mine/report mine/notes", "cp mine/* free", "cp -r mine free", "cp -r mine/. free",
		"cp mine/report free/name", "find mine -type f -exec cp {} free/ \\;", "for f in mine/*; do cp \"$f\" free/; done", "mv free/report free/moved",
		"ln -s name free/link", "install -m 644 mine/other free", "cp mine/other in", "mkdir free/new && cp mine/report free/new/", "cp mine/other ./new",
		"cp -r deep free/deep",
	} {
		if got := command(t, c, "cd "+a.folder+"/own && "+line); got.status != 0 {
			t.Errorf("%s: %+v", line, got)
		}
	}
}

// TestALineDoesNotTurnThePathsOfItsOtherCommands: where paths lead is asked before the line
// runs, so a command of it must not put a link where another one goes.
func TestALineDoesNotTurnThePathsOfItsOtherCommands(t *testing.T) {
	a := newArena(t, "", "")
	a.tree([2]string{"data/", ""}, [2]string{"data/keys/", ""}, [2]string{"data/keys/token", "CANARY-9"}, [2]string{"far", "CANARY-9"},
		[2]string{"own/", ""}, [2]string{"own/mine", "mine"}, [2]string{"own/tree/", ""}, [2]string{"own/tree/link", "->../../data"})
	a.set(func() { a.target.Marks = map[string][]string{"secret": {a.folder + "/data/keys"}} })
	a.ownFolder(a.folder + "/own")
	c := a.dial()
	for _, line := range []string{
		"ln -s ../data l1; cat l1/keys/token", "ln -s ../data l2 && cp mine l2/keys/token", "ln -s ../far l3; echo > l3", "ln -s .. l4 && cp mine l4/far",
		"mv tree t1; cat t1/link/keys/token; mv t1 tree", "cp -r tree t2 && cat t2/link/keys/token", "cp -a tree t3; cp mine t3/link/keys/token",
		"for i in 1 2; do cat l5/keys/token; ln -s ../data l5; done", "ln -s ../data l6 | cat l6/keys/token", "f() { ln -s ../data l7; }; f; cat l7/keys/token",
		"tar -cf - tree | tar -xf - -C . --strip-components=1; cat link/keys/token", "while ! cat l8/keys/token; do ln -s ../data l8; done",
		"if ln -s ../data l9; then cat l9/keys/token; fi", "ln -s ../data la; cd la; cat keys/token", "ln -s ../data lb; grep -r CANARY lb/",
		"cat lc/keys/token; ln -s ../data lc; cat lc/keys/token", "ln -s ../far ld; find . -name mine -exec cp {} ld \\;",
	} {
		got := command(t, c, "cd "+a.folder+"/own && "+line)
		if got.status != 77 || strings.Contains(got.out, "CANARY") {
			t.Errorf("%s: %+v", line, got)
		}
	}
	for _, line := range []string{
		"mv mine other && cat other && mv other mine", "cp -a mine copy; cat copy", "cat mine; ln -s mine link", "rm copy && cp mine copy && cat copy",
		"for f in mine; do cp -p $f second; cat second; done", "cat mine | tee third && cat third", "tar -cf a.tar mine && tar -tf a.tar",
	} {
		if got := command(t, c, "cd "+a.folder+"/own && "+line); got.status != 0 {
			t.Errorf("%s: %+v", line, got)
		}
	}
	for _, file := range []string{"/data/keys/token", "/far"} {
		if b, err := os.ReadFile(a.folder + file); err != nil || string(b) != "CANARY-9" {
			t.Errorf("%s: %q, %v", file, b, err)
		}
	}
}
