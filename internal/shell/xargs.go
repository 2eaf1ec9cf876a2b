package shell

import (
	"slices"
	"strings"
)

// xargs understands xargs with a program to which unknown words may be added:
// only those whose operands are data.
func (c *call) xargs(p *Program, from int) {
	in, ok := c.parse(p, from)
	if !ok {
		return
	}
	c.effect(0)
	if _, reads := in.has("-a"); !reads {
		c.stdin()
	}
	if len(in.operands) == 0 {
		return // echo
	}
	i := in.operands[0]
	name, found := c.a.name(&c.args[i])
	if !found {
		return
	}
	for j := i + 1; j < len(c.args); j++ {
		if w := &c.args[j]; w.form == pattern {
			c.literally(w)
			*w = lit(w.text)
		}
	}
	if replace, replaces := in.has("-I"); replaces && strings.Contains(c.args[i].text, replace.text) {
		c.fail("-I", "some put the names in the place of the program's own too", "use -I{}")
		return
	}
	c.a.program(name)
	if c.s.feed != nil && c.fed(p, in, i, name) {
		return
	}
	c.unfed(in, i, name)
}

// fed understands xargs behind a command that prints names of known files. The
// names end in NUL on the way, so that each is one argument whatever is in it.
func (c *call) fed(p *Program, in *input, i int, name string) bool {
	f := c.s.feed
	_, nul := in.has("-0")
	for _, other := range []string{"-a", "-d", "-E", "-L"} {
		if _, given := in.has(other); given {
			return false
		}
	}
	if nul != f.nul {
		return false
	}
	if !nul && f.end == nil {
		return false
	}
	replace, replaces := in.has("-I")
	if n, given := in.has("-n"); replaces && given && !n.is("1") {
		return false // of the two the last one counts
	}
	inner := &call{a: c.a, s: c.s.unfed(), name: name, typed: c.args[i], args: slices.Clone(c.args[i+1:])}
	for j := range inner.args {
		w := &inner.args[j]
		if w.form != static {
			return false
		}
		switch {
		case !replaces:
		case w.text == replace.text:
			*w = foundBelow(f.roots)
		case strings.Contains(w.text, replace.text):
			head, _, _ := strings.Cut(w.text, replace.text)
			*w = word{form: dynamic, parts: []part{{text: head}, {text: "{}", expansion: true, quoted: true}}}
			if head == "" {
				w.parts = w.parts[1:]
			}
		}
	}
	single := replaces
	if n, given := in.has("-n"); given && n.is("1") {
		single = true
		inner.args = append(inner.args, foundBelow(f.roots))
	}
	if !single {
		for range 3 {
			inner.args = append(inner.args, foundBelow(f.roots))
		}
	}
	if !replaces {
		// Without any name the program runs once without one.
		bare := &call{a: c.a, s: inner.s, name: name, typed: c.args[i], args: slices.Clone(c.args[i+1:])}
		c.a.again(bare.external)
	}
	length := len(inner.args)
	c.a.again(inner.external)
	if len(inner.args) != length {
		c.fail(name, "it needs words of its own before its arguments", "")
	}
	if nul {
		return true
	}
	if f.end(); !f.plain {
		c.args = slices.Concat(c.args[:0:0], lits("-0"), c.args)
	}
	return true
}

// dashed reports whether a subcommand takes names that only the run knows behind two
// dashes, which none of its words are yet.
func (c *call) dashed(name string, args []word) bool {
	p := c.a.table.programs[name]
	if p == nil || !c.own || len(args) == 0 || slices.ContainsFunc(args, func(w word) bool { return w.is("--") }) {
		return false
	}
	return slices.ContainsFunc(p.Commands, func(sub Program) bool { return args[0].is(sub.Name) && sub.Dashes })
}

// dashedNames understands the command from an index on, to which a name that only the run
// knows is added behind two dashes, or put in the place of its last word.
func (c *call) dashedNames(i int, name, replace string) {
	inner := &call{a: c.a, s: c.s, name: name, typed: c.args[i], args: slices.Clone(c.args[i+1:])}
	if replace != "" {
		inner.args = inner.args[:len(inner.args)-1]
	}
	own := slices.Clone(inner.args)
	if replace != "" && slices.ContainsFunc(own, func(w word) bool { return w.form != static || strings.Contains(w.text, replace) }) {
		c.fail("-I", "the names are put in other places, too", "use one {}, as the last word")
		return
	}
	inner.args = append(inner.args, word{form: dynamic, parts: []part{{text: "{}", expansion: true, quoted: true}}})
	c.a.again(inner.external)
	shown := inner.args[:len(inner.args)-1]
	if inner.typed.text != c.args[i].text || slices.ContainsFunc(shown, func(w word) bool { return w.form != static || replace != "" && strings.Contains(w.text, replace) }) {
		c.fail(name, "it needs words of its own before its arguments", "")
		return
	}
	c.args = slices.Concat(c.args[:i+1:i+1], shown)
	if replace != "" {
		c.args = append(c.args, lit(replace))
	}
}

// unfed understands xargs whose names only the run knows.
func (c *call) unfed(in *input, i int, name string) {
	replace, replaces := in.has("-I")
	if !replaces && c.dashed(name, c.args[i+1:]) {
		c.args = append(slices.Clone(c.args), lit("--"))
		c.dashedNames(i, name, "")
		return
	}
	if last := len(c.args) - 1; replaces && last > i && c.args[last].is(replace.text) && !strings.Contains("--", replace.text) && c.dashed(name, c.args[i+1:last]) {
		c.args = slices.Concat(c.args[:last:last], lits("--"), c.args[last:])
		c.dashedNames(i, name, replace.text)
		return
	}
	inner := &call{a: c.a, s: c.s, name: name, typed: c.args[i], args: slices.Clone(c.args[i+1:])}
	unknown := word{form: dynamic, parts: []part{{text: "{}", expansion: true, quoted: true}}, split: true}
	if replaces {
		if replace.form != static || replace.text == "" {
			c.fail("-I", "its value must be written out", "")
			return
		}
		for j := range inner.args {
			w := &inner.args[j]
			if w.form != static {
				c.fail(w.source(), "the command is known only when it runs", "write it out")
				return
			}
			if strings.Contains(w.text, replace.text) {
				head, _, _ := strings.Cut(w.text, replace.text)
				*w = word{form: dynamic, parts: []part{{text: head}, unknown.parts[0]}}
				if head == "" {
					w.parts = w.parts[1:]
				}
			}
		}
	} else {
		inner.args = append(inner.args, unknown)
	}
	switch name {
	case "echo":
		// An option of echo's changes nothing but the form of its output.
		inner.external()
	case "printf":
		if !replaces {
			inner.args[len(inner.args)-1].split = false
		}
		inner.external()
	case "basename", "dirname":
		for j := range inner.args {
			if inner.args[j].form != dynamic && !inner.args[j].is("--") {
				c.fail(name, "it is understood without options only", "")
				return
			}
		}
	default:
		c.fail(name, "the names that it is given are known only when it runs", "use find | xargs, find -exec, or a pattern")
	}
}
