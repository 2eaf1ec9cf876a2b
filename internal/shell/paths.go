package shell

import (
	"slices"
	"strings"

	"github.com/sallyport-gateway/sallyport/internal/gate"
	"github.com/sallyport-gateway/sallyport/internal/hostpath"
)

// questions are what the kinds of paths ask, and their effects.
var questions = map[Kind]struct {
	question hostpath.Question
	effects  gate.Effects
}{
	Stat:    {hostpath.Question{Use: hostpath.Stat, Follow: true}, gate.EffectRead},
	Entry:   {hostpath.Question{Use: hostpath.Stat}, gate.EffectRead},
	List:    {hostpath.Question{Use: hostpath.List, Follow: true}, gate.EffectRead},
	Read:    {hostpath.Question{Use: hostpath.Read, Follow: true}, gate.EffectRead},
	Recurse: {hostpath.Question{Use: hostpath.Recurse}, gate.EffectRead},
	Walk:    {hostpath.Question{Use: hostpath.Walk}, gate.EffectRead},
	Follow:  {hostpath.Question{Use: hostpath.Recurse, Follow: true}, gate.EffectRead},
	Write:   {hostpath.Question{Use: hostpath.Write, Follow: true}, gate.EffectWrite},
	Create:  {hostpath.Question{Use: hostpath.Create, Follow: true}, gate.EffectWrite},
	Delete:  {hostpath.Question{Use: hostpath.Delete}, gate.EffectDelete},
	Remove:  {hostpath.Question{Use: hostpath.Delete}, gate.EffectDelete},
	Alter:   {hostpath.Question{Use: hostpath.Delete, Follow: true}, gate.EffectDelete},
	Spread:  {hostpath.Question{Use: hostpath.Fill}, gate.EffectWrite},
	Fill:    {hostpath.Question{Use: hostpath.Fill}, gate.EffectWrite},
}

// ls understands ls. In a long list the sign behind a link, and its colour, are those of
// what it leads to.
func (c *call) ls(p *Program, from int) {
	in, ok := c.parse(p, from)
	if !ok {
		return
	}
	some := func(names ...string) bool {
		return slices.ContainsFunc(in.given, func(g given) bool { return slices.Contains(names, g.name) })
	}
	format, _ := in.has("--format")
	long := c.name == "vdir" || some("-l", "-g", "-n", "--numeric-uid-gid", "-o", "--full-time") || format.is("long") || format.is("verbose")
	signs := some("-F", "-p", "--file-type", "--classify", "--indicator-style")
	always := slices.ContainsFunc(in.given, func(g given) bool {
		// Without a value it is always; auto is never, for there is no terminal.
		return (g.name == "--color" || g.name == "--hyperlink") && !slices.ContainsFunc([]string{"auto", "tty", "if-tty", "never", "no", "none"}, g.value.is)
	})
	if long && signs || always {
		in.modes = append(in.modes, "follow")
	}
	c.parsed(p, from, in)
}

// path asks the host about a path that nothing reads as an option.
func (a *analysis) path(w *word, s *state, q hostpath.Question, what string) {
	a.place(w, s, q, what, true)
}

// place asks the host about a path.
func (a *analysis) place(w *word, s *state, q hostpath.Question, what string, safe bool) bool {
	switch w.form {
	case static, homely:
		if w.form == static && w.text == "" {
			if q.Use == hostpath.Enter || q.Use == hostpath.Repository {
				a.fail(what, "an empty name of a directory can mean the one in which it runs", "write . or leave it out")
				return false
			}
			return true // no file has an empty name
		}
		a.ask(w, s, q, what)
		return true
	case pattern:
		if w.from != nil && !sameDirectories(w.from, s.dirs) {
			break
		}
		w.asked = a.ask(w, s, q, what+" "+w.text)
		for _, i := range w.asked {
			a.asked[i].option = !safe
		}
		return true
	case each:
		if w.feed != nil && !w.newest(s, q.Use) {
			break
		}
		for i := range w.alternatives {
			alternative := w.alternatives[i]
			first := len(a.asked)
			if !a.place(&alternative, s, q, what, safe) {
				return false
			}
			for j := first; j < len(a.asked); j++ {
				a.asked[j].spaced = w.spaced
			}
		}
		return true
	}
	a.fail(what+" "+w.source(), "the path is known only when it runs", "write the path out")
	return false
}

func sameDirectories(x, y [][]hostpath.Step) bool {
	return slices.EqualFunc(x, y, func(x, y []hostpath.Step) bool { return slices.Equal(x, y) })
}

// match asks the host for the names of a pattern.
func (a *analysis) match(w *word, s *state, what string) {
	w.from = s.dirs
	w.asked = a.ask(w, s, hostpath.Question{Use: hostpath.Match}, what+" "+w.text)
}

// ask adds a question for each directory that the command may run in.
func (a *analysis) ask(w *word, s *state, q hostpath.Question, what string) []int {
	q.Name = w.text
	if w.below {
		switch q.Use {
		case hostpath.Enter, hostpath.Repository:
			a.fail(what, "which of the directories below it is meant is known only when it runs", "write it out")
		case hostpath.Write, hostpath.Create, hostpath.Fill:
			// A rule that looks at the files that are written must see them.
			a.fail(what, "which of the files below it is written is known only when it runs", "name the files")
		}
		// Any file below is meant, whatever is done with it.
		switch q.Use {
		case hostpath.Recurse:
			// What is found can be a link, and where it is named itself it is followed.
			q.Follow = true
		case hostpath.Delete:
			if q.Follow {
				q.Use = hostpath.Fill // through the links that are found, too
			}
		default:
			q.Use = hostpath.Recurse
		}
	}
	switch w.form {
	case homely:
		q.Home, q.Name = true, strings.TrimPrefix(w.text, "/")
	case pattern:
		if q.Use == hostpath.Repository {
			// The host tells the settings of one repository.
			a.fail(what, "which of the repositories of a pattern is meant is known only when it runs", "write the directories out")
		}
		q.Glob, q.Home, q.Name = true, w.home, w.glob
	}
	if strings.ContainsFunc(q.Name, func(r rune) bool { return r < ' ' || r == 0x7f }) || len(q.Name) > 4096 {
		a.fail(what, "the path has a control character, or is too long", "")
		return nil
	}
	var all []int
	for _, dirs := range s.dirs {
		if len(a.asked) >= maxAsked {
			a.fail("command line", "it names too many paths", "")
			return all
		}
		q.Dirs = dirs
		all = append(all, len(a.asked))
		a.asked = append(a.asked, asked{question: q, below: w.below, placed: len(a.placings), what: what})
	}
	return all
}
