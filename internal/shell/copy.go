package shell

import (
	"slices"
	"strings"

	"github.com/sallyport-gateway/sallyport/internal/hostpath"
)

// copy understands cp, mv, ln and install: what they read, and the places where
// they write.
func (c *call) copy(p *Program, from int) {
	in, ok := c.parse(p, from)
	if !ok {
		return
	}
	c.effect(p.Effects)
	sources := slices.Clone(in.operands)
	target, directory := in.has("-t")
	if !directory {
		if len(sources) < 2 && !(c.name == "ln" && len(sources) == 1) {
			c.fail("", "a source and a target are needed", "")
			return
		}
		if len(sources) > 1 {
			last := &c.args[sources[len(sources)-1]]
			target, sources = *last, sources[:len(sources)-1]
		} else {
			target = lit(".")
		}
	}
	if target.form == pattern {
		c.fail(target.source(), "the target is a pattern", "write it out")
		return
	}
	first := len(c.a.asked)
	kinds := map[string][]Kind{"cp": {Read}, "install": {Read}, "mv": {Recurse, Remove}, "ln": {Stat}}[c.name]
	if c.name == "cp" && in.mode("recurse") {
		// A link is copied as one.
		kinds = append(kinds, Entry)
	}
	if _, symbolic := in.has("-s"); c.name == "ln" && !symbolic {
		// Whoever may write the new name writes the file itself by it.
		kinds = append(kinds, Write)
	}
	for _, i := range sources {
		for _, k := range kinds {
			if !c.use(in.kind(k), &c.args[i], nil, "", i >= in.ended) {
				return
			}
		}
	}
	last := len(c.a.asked)
	_, whole := in.has("-T")
	target.every(func(to *word) {
		first := len(c.a.asked)
		c.written(to, in.mode("recurse") && whole)
		if n := len(c.s.dirs); !whole && len(c.a.asked) == first+2*n {
			// The target may be a directory, in which the sources' names are written.
			for _, i := range sources {
				c.args[i].every(func(source *word) { c.writtenIn(to, source, in.mode("recurse"), first+n) })
			}
		}
	})
	_, entry := in.has("-P")
	_, same := in.has("-d")
	switch {
	case c.name == "ln", entry, same:
		c.places(0, 0)
	case c.name == "mv", in.mode("recurse"):
		c.places(first, last)
	}
}

// places notes that the command can put links where paths of the line lead; from and to
// are the questions about what it moves.
func (c *call) places(from, to int) {
	c.a.placings = append(c.a.placings, placing{c.name, from, to, c.a.repeats})
}

// written asks about a path that a copy goes to: it may be put in the place of what is
// there, or written to, through a link too.
func (c *call) written(to *word, recurse bool) {
	kinds := []Kind{Remove, Create}
	if recurse {
		kinds = append(kinds, Fill)
	}
	for _, k := range kinds {
		c.use(k, to, nil, "", true)
	}
}

// writtenIn asks about the names that a source gets in a directory; question is the
// index of the first one about the directory.
func (c *call) writtenIn(dir, source *word, recurse bool, question int) {
	names, known := namesOf(source)
	if !known {
		c.fail(source.source(), "the name that it gets in a directory is known only when it runs", "write it out, or use -T")
		return
	}
	for _, name := range names {
		to := inside(dir, name)
		first := len(c.a.asked)
		if name == "" {
			// What is below the source is written below the directory itself.
			if recurse {
				c.use(Fill, dir, nil, "", true)
			}
			continue
		}
		c.written(&to, recurse)
		for i := first; i < len(c.a.asked); i++ {
			c.a.asked[i].inside = 1 + question + (i-first)%len(c.s.dirs)
		}
	}
}

// namesOf are patterns for the last component of a path, none of them more than one
// component long; empty for one that stands for the directory itself.
func namesOf(w *word) (names []string, known bool) {
	path := w.text
	switch {
	case w.process != nil:
		return nil, false
	case w.below:
		return []string{"*", ".[!.]*", "..?*", ""}, true
	case w.form == pattern:
		path = w.glob
	case w.form == static && path != "":
		path = hostpath.Pattern(path)
	case w.form == homely && strings.Trim(path, "/") != "":
		path = hostpath.Pattern(path)
	case w.form == static:
		return nil, true // no file has an empty name
	default:
		return nil, false
	}
	path = strings.TrimRight(path, "/")
	switch name := path[strings.LastIndexByte(path, '/')+1:]; {
	case name == "." || name == "..":
		return []string{""}, true
	case strings.HasPrefix(name, ".") && strings.ContainsAny(name, "*?["):
		// Shells differ in whether such a pattern matches these two.
		return []string{name, ""}, true
	default:
		return []string{name}, true
	}
}

// inside is the word for the names in a directory that a pattern matches.
func inside(dir *word, name string) word {
	text := strings.TrimRight(dir.text, "/") + "/"
	if !strings.ContainsAny(name, "*?[") {
		w := *dir
		w.text = text + name
		return w
	}
	w := word{form: pattern, text: text + name, home: dir.form == homely}
	if w.home {
		text = strings.TrimPrefix(text, "/") // the host puts $HOME and a slash before it
	}
	w.glob = hostpath.Pattern(text) + name
	return w
}

// every calls f for the words that a word can be.
func (w *word) every(f func(*word)) {
	if w.form != each {
		f(w)
		return
	}
	for i := range w.alternatives {
		w.alternatives[i].every(f)
	}
}
