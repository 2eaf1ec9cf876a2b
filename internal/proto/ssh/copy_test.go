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
