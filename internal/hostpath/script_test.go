package hostpath

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
)

// shells are the Bourne shells of this machine that the script must run in.
func shells(t *testing.T) map[string][]string {
	t.Helper()
	found := map[string][]string{}
	for name, argv := range map[string][]string{
		"dash": {"dash"}, "bash": {"bash", "--posix"}, "busybox": {"busybox", "sh"}, "sh": {"sh"},
	} {
		if path, err := exec.LookPath(argv[0]); err == nil {
			found[name] = append([]string{path}, argv[1:]...)
		}
	}
	return found
}

// world is a home directory with what paths can go wrong with.
func world(t *testing.T) string {
	t.Helper()
	home, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, d := range []string{"app/src", "secret/keys", "links", "empty", "odd", "dash"} {
		must(os.MkdirAll(filepath.Join(home, d), 0o755))
	}
	for _, f := range []string{"app/a.txt", "app/b.txt", "app/src/c.txt", "secret/token", "secret/keys/id", "odd/-x", "odd/a b", "odd/é", "odd/*"} {
		must(os.WriteFile(filepath.Join(home, f), []byte("x"), 0o644))
	}
	must(os.Symlink("../secret/token", filepath.Join(home, "links/token")))
	must(os.Symlink("../secret", filepath.Join(home, "links/dir")))
	must(os.Symlink("nowhere", filepath.Join(home, "links/broken")))
	must(os.Link(filepath.Join(home, "secret/keys/id"), filepath.Join(home, "links/hard")))
	must(os.Symlink("../app", filepath.Join(home, "empty/app")))
	must(os.Symlink("../secret", filepath.Join(home, "dash/-")))
	return home
}

// ask runs the script for questions in a shell.
func ask(t *testing.T, shell []string, home string, questions []Question, marks Marks) *Answers {
	t.Helper()
	text, err := Script(questions, marks)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("bash", "-c", text)
	if shell != nil {
		cmd = exec.Command(shell[0], append(shell[1:], append([]string{"-c", script, "sallyport"}, arguments(questions, marks)...)...)...)
	}
	cmd.Dir, cmd.Env = home, []string{"HOME=" + home, "PATH=/usr/bin:/bin"}
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("script: %v", err)
	}
	a, err := ReadAnswers(out, questions, marks)
	if err != nil {
		t.Fatalf("%v\n%q", err, out)
	}
	return a
}

func arguments(questions []Question, marks Marks) []string {
	patterns := marks.patterns()
	args := []string{itoa(len(patterns))}
	for _, p := range patterns {
		args = append(args, p.path)
	}
	for i := range questions {
		args = append(args, questions[i].arguments()...)
	}
	return args
}

func itoa(n int) string { return string(rune('0' + n)) }

func TestTheHostSaysWhatPathsAre(t *testing.T) {
	home := world(t)
	marks := Marks{"secret": {"~/secret"}}
	into := func(dirs ...string) []Step {
		var s []Step
		for _, d := range dirs {
			s = append(s, Step{Dir: d})
		}
		return s
	}
	cases := []struct {
		name   string
		q      Question
		real   string
		kind   Kind
		labels bool
		odd    string // "infeasible", "unanswered" or "refused"
	}{
		{name: "plain", q: Question{Name: "app/a.txt", Use: Read, Follow: true}, real: "app/a.txt", kind: File},
		{name: "labelled", q: Question{Name: "secret/token", Use: Read, Follow: true}, real: "secret/token", kind: File, labels: true},
		{name: "dots", q: Question{Name: "app/../secret/./token", Use: Read, Follow: true}, real: "secret/token", kind: File, labels: true},
		{name: "absolute", q: Question{Name: home + "//secret/token", Use: Read, Follow: true}, real: "secret/token", kind: File, labels: true},
		{name: "home", q: Question{Name: "secret/token", Home: true, Use: Read, Follow: true}, real: "secret/token", kind: File, labels: true},
		{name: "link", q: Question{Name: "links/token", Use: Read, Follow: true}, real: "secret/token", kind: File, labels: true},
		{name: "link itself", q: Question{Name: "links/token", Use: Stat}, real: "links/token", kind: Link},
		{name: "through a link", q: Question{Name: "links/dir/keys/id", Use: Read, Follow: true}, real: "secret/keys/id", kind: File, labels: true},
		{name: "hard link", q: Question{Name: "links/hard", Use: Read, Follow: true}, real: "links/hard", kind: File, labels: true},
		{name: "process root", q: Question{Name: "/proc/self/root" + home + "/secret/token", Use: Read, Follow: true}, real: "secret/token", kind: File, labels: true},
		{name: "below a link", q: Question{Name: "links/dir", Use: Recurse}, real: "secret", kind: Directory, labels: true},
		{name: "below a link to a file", q: Question{Name: "links/token", Use: Recurse}, real: "secret/token", kind: File, labels: true},
		{name: "names below a link", q: Question{Name: "links/dir", Use: Walk}, real: "links/dir", kind: Link},
		{name: "directory of a process", q: Question{Name: "/proc/self/cwd/app/a.txt", Use: Read, Follow: true}, kind: File, odd: "refused"},
		{name: "dots behind nothing", q: Question{Name: "nowhere/../secret/token", Use: Read, Follow: true}, odd: "refused", labels: false},
		{name: "broken link", q: Question{Name: "links/broken", Use: Read, Follow: true}, real: "links/nowhere", kind: Missing},
		{name: "missing", q: Question{Name: "no/such/file", Use: Read, Follow: true}, real: "no/such/file", kind: Missing},
		{name: "missing and labelled", q: Question{Name: "secret/no/such", Use: Stat}, real: "secret/no/such", kind: Missing, labels: true},
		{name: "cd", q: Question{Dirs: into("app", "src"), Name: "../../secret/token", Use: Read, Follow: true}, real: "secret/token", kind: File, labels: true},
		{name: "logical cd", q: Question{Dirs: into("links/dir", ".."), Name: "token", Use: Read, Follow: true}, real: "secret/token", kind: File, labels: true},
		{name: "physical cd", q: Question{Dirs: []Step{{Dir: "links/dir"}, {Dir: "..", Physical: true}}, Name: "token", Use: Read, Follow: true}, real: "token", kind: Missing},
		{name: "a directory that is a dash", q: Question{Dirs: into("dash"), Name: "-/token", Use: Read, Follow: true}, real: "secret/token", kind: File, labels: true},
		{name: "cd that fails", q: Question{Dirs: into("nowhere"), Name: "x", Use: Read, Follow: true}, odd: "infeasible"},
		{name: "cd by dots", q: Question{Dirs: into("app/src/../../secret"), Name: "token", Use: Read, Follow: true}, real: "secret/token", kind: File, labels: true},
		{name: "cd by dots behind nothing", q: Question{Dirs: into("nowhere/../app"), Name: "a.txt", Use: Read, Follow: true}, odd: "unanswered"},
		{name: "cd that fails by dots behind nothing", q: Question{Dirs: []Step{{Dir: "nowhere/../app", Fails: true}}, Name: "a.txt", Use: Read, Follow: true}, odd: "unanswered"},
		{name: "cd by dots behind a file", q: Question{Dirs: into("app/a.txt/../src"), Name: "c.txt", Use: Read, Follow: true}, odd: "unanswered"},
		{name: "cd by dots that links alone lead by", q: Question{Dirs: into("links/dir/../app"), Name: "a.txt", Use: Read, Follow: true}, odd: "unanswered"},
		{name: "cd that must fail", q: Question{Dirs: []Step{{Dir: "app", Fails: true}}, Name: "x", Use: Read, Follow: true}, odd: "infeasible"},
		{name: "cd that fails as asked", q: Question{Dirs: []Step{{Dir: "nowhere", Fails: true}}, Name: "secret/token", Use: Read, Follow: true}, real: "secret/token", kind: File, labels: true},
		{name: "below: labelled place", q: Question{Name: ".", Use: Recurse}, real: "", kind: Directory, labels: true},
		{name: "below: nothing", q: Question{Name: "app", Use: Recurse, Follow: true}, real: "app", kind: Directory},
		{name: "below: hard link", q: Question{Name: "links", Use: Recurse}, real: "links", kind: Directory, labels: true},
		{name: "below: links", q: Question{Name: "links", Use: Recurse, Follow: true}, real: "links", kind: Directory, labels: true, odd: "refused"},
		{name: "below: a link elsewhere", q: Question{Name: "empty", Use: Recurse, Follow: true}, real: "empty", kind: Directory, odd: "refused"},
		{name: "listing the parent", q: Question{Name: ".", Use: List}, real: "", kind: Directory},
		{name: "environment", q: Question{Name: "/proc/self/environ", Use: Read, Follow: true}, kind: File, odd: "refused"},
		{name: "descriptor", q: Question{Name: "/dev/fd/0", Use: Read, Follow: true}, odd: "refused"},
		{name: "null", q: Question{Name: "/dev/null", Use: Write, Follow: true}, real: "/dev/null", kind: Device},
		{name: "odd name", q: Question{Name: "odd/a b", Use: Read, Follow: true}, real: "odd/a b", kind: File},
		{name: "dash name", q: Question{Dirs: into("odd"), Name: "-x", Use: Read, Follow: true}, real: "odd/-x", kind: File},
	}
	var questions []Question
	for _, c := range cases {
		questions = append(questions, c.q)
	}
	all := shells(t)
	all["login shell"] = nil
	for name, shell := range all {
		answers := ask(t, shell, home, questions, marks)
		if answers.Home != home || answers.Start != home {
			t.Errorf("%s: home %q, start %q", name, answers.Home, answers.Start)
		}
		for i, c := range cases {
			a := answers.List[i]
			if c.odd == "infeasible" {
				if !a.Infeasible {
					t.Errorf("%s: %s is feasible: %+v", name, c.name, a)
				}
				continue
			}
			if c.odd == "unanswered" {
				if a.Refused == "" || len(a.Places) > 0 {
					t.Errorf("%s: %s is answered: %+v", name, c.name, a)
				}
				continue
			}
			if len(a.Places) != 1 || a.Infeasible || a.Refused != "" {
				t.Errorf("%s: %s: %+v", name, c.name, a)
				continue
			}
			p := a.Places[0]
			if (p.Refused != "") != (c.odd == "refused") {
				t.Errorf("%s: %s: refused %q", name, c.name, p.Refused)
			}
			want := c.real
			if !filepath.IsAbs(want) {
				want = filepath.Join(home, want)
			}
			if c.odd != "refused" && p.Real != want {
				t.Errorf("%s: %s: real path %q, want %q", name, c.name, p.Real, want)
			}
			if c.odd != "refused" && p.Kind != c.kind || (len(p.Labels) > 0) != c.labels {
				t.Errorf("%s: %s: kind %d, labels %v", name, c.name, p.Kind, p.Labels)
			}
		}
	}
}

func TestPatternsBecomeNamesAtTheHost(t *testing.T) {
	home := world(t)
	for name, shell := range shells(t) {
		questions := []Question{
			{Name: "app/*.txt", Glob: true, Use: Read, Follow: true},
			{Name: "*/token", Glob: true, Use: Read, Follow: true},
			{Name: "app/*.zip", Glob: true, Use: Read, Follow: true},
			{Dirs: []Step{{Dir: "odd"}}, Name: "*", Glob: true, Use: Read, Follow: true},
			{Name: "odd/" + Pattern("*") + "*", Glob: true, Use: Read, Follow: true},
			{Name: "app/*", Home: true, Glob: true, Use: List},
		}
		a := ask(t, shell, home, questions, Marks{"secret": {"~/sec*"}})
		names := func(i int) (all []string) {
			for _, p := range a.List[i].Places {
				all = append(all, p.Name)
			}
			return all
		}
		for i, want := range [][]string{{"app/a.txt", "app/b.txt"}, {"links/token", "secret/token"}, nil, {"*", "-x", "a b", "é"}, {"odd/*"},
			{home + "/app/a.txt", home + "/app/b.txt", home + "/app/src"}} {
			if got := names(i); !slices.Equal(got, want) {
				t.Errorf("%s: %q matched %q, want %q", name, questions[i].Name, got, want)
			}
		}
		if l := a.List[1].Labels(); !slices.Equal(l, []string{"secret"}) {
			t.Errorf("%s: labels %q", name, l)
		}
	}
}
