package shell

import (
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// simple reads a simple command.
func (a *analysis) simple(c *syntax.CallExpr, s state, out *statement) (ok, bad state) {
	node := &simple{}
	out.node = node
	bare := len(c.Args) == 0
	before := a.substituted
	for _, as := range c.Assigns {
		if !bare && c.Args[0].Lit() == "read" && as.Name != nil && as.Name.Value == "IFS" && !as.Append && as.Index == nil && as.Array == nil {
			// For read alone: how it splits its line into variables.
			node.assigns = append(node.assigns, assign{name: "IFS", value: a.plain(as.Value, &s)})
			continue
		}
		a.assign(as, bare, &s, node)
	}
	if bare {
		return s, s
	}
	var words []word
	for _, arg := range c.Args {
		words = append(words, a.word(arg, &s)...)
	}
	if len(words) == 0 {
		a.fail("command", "its name is empty", "")
		return s, s
	}
	if a.substituted > before {
		s.feed = nil // commands among the words read the same input, and before it
	}
	return a.invoke(words, &s, node)
}

// invoke reads a command by its words.
func (a *analysis) invoke(words []word, s *state, node *simple) (ok, bad state) {
	name, found := a.name(&words[0])
	if !found {
		return *s, *s
	}
	if name == words[0].text && name == "time" && a.dialect != POSIX {
		// Written without its quotes it would be the keyword.
		a.fail("time", "quoted, it is another program than the shell's own", "do not quote it")
		return *s, *s
	}
	if body := s.function(&words[0]); body != nil {
		block, after := a.inline(body, name, words[1:], s, node)
		node.block = block
		return after, after
	}
	c := &call{a: a, s: s, name: name, args: words[1:], typed: words[0], own: true}
	ok, bad, changed := c.builtin()
	node.pin = c.pin
	if !changed {
		c.external()
		ok, bad = *s, *s
	}
	node.words = append([]word{c.typed}, c.args...)
	if node.feed = c.feed; node.feed != nil && c.feedWords != nil {
		before := node.feed.end
		node.feed.end = func() {
			if node.words = append([]word{c.typed}, c.feedWords()...); before != nil {
				before()
			}
		}
	}
	if c.assigns != nil {
		node.assigns = append(node.assigns, c.assigns...)
	}
	if name != "set" {
		a.record(c.name, node.words)
	}
	return ok, bad
}

// directories are where a program may be named by its path.
var directories = []string{"/bin/", "/usr/bin/", "/sbin/", "/usr/sbin/", "/usr/local/bin/", "/usr/local/sbin/"}

// name is the program that a command's first word names.
func (a *analysis) name(w *word) (string, bool) {
	if w.form != static {
		a.fail(w.source(), "the name of the program is known only when it runs", "write the program's name")
		return "", false
	}
	name := w.text
	if i := strings.LastIndexByte(name, '/'); i >= 0 {
		if !slices.Contains(directories, name[:i+1]) {
			a.fail(name, "programs are known by their name, or by their path in the system's own directories", "")
			return "", false
		}
		name = name[i+1:]
	}
	if name == "" {
		a.fail("command", "its name is empty", "")
		return "", false
	}
	return name, true
}

func (a *analysis) program(name string) {
	if !slices.Contains(a.programs, name) {
		a.programs = append(a.programs, name)
	}
}

// record notes a simple command for the facts.
func (a *analysis) record(name string, words []word) {
	a.program(name)
	if a.words += len(words); a.words > maxWords {
		a.fail("command line", "it has too many words", "")
		return
	}
	a.argv = append(a.argv, words)
}
