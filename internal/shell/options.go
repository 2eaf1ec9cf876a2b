package shell

import (
	"regexp"
	"slices"
	"strings"
)

// input is how the arguments are parsed.
type input struct {
	// operands are the indexes of what is no option.
	operands []int
	// ended is the index from which on a dash begins no option.
	ended int
	modes []string
	given []given
}

// given is an option that was given.
type given struct {
	option *Option
	name   string
	value  word
	// attached: the value stands in the same word.
	attached bool
}

func (in *input) mode(name string) bool { return slices.Contains(in.modes, name) }

// has is the last value of an option by one of its names.
func (in *input) has(name string) (word, bool) {
	for i := len(in.given) - 1; i >= 0; i-- {
		if slices.Contains(in.given[i].option.Names, name) {
			return in.given[i].value, true
		}
	}
	return word{}, false
}

// dashFrom reports whether an argument from an index on begins with a dash.
func (c *call) dashFrom(from int) bool {
	return slices.ContainsFunc(c.args[from:], func(w word) bool { return strings.HasPrefix(w.prefix(), "-") })
}

// parse splits the arguments from an index on into options and operands, as
// getopt_long does with the names spelt out (glibc manual, section 25.3):
// abbreviations of names are not understood.
func (c *call) parse(p *Program, from int) (*input, bool) {
	in := &input{ended: len(c.args)}
	options := c.a.table.options[p]
	var late []word // operands that go behind two dashes, at the end
	early := 0      // how many stood before them
	for i := from; i < len(c.args); i++ {
		w := &c.args[i]
		prefix := w.prefix()
		if !p.Data {
			w.one()
		}
		if i >= in.ended {
			in.operands = append(in.operands, i)
			continue
		}
		if w.is("--") && !p.Endless {
			in.ended = i + 1
			continue
		}
		if w.form == pattern && strings.HasPrefix(prefix, "-") {
			// Only the host knows whether this is the pattern's own text.
			c.literally(w)
			*w = word{form: static, text: w.text}
			prefix = w.text
		}
		if prefix == "" && w.form != static && !c.harmless(w) && !p.Data {
			if p.Dashes && !w.number && c.own && c.dashFrom(i+1) {
				if late == nil {
					early = len(in.operands)
				}
				late = append(late, *w)
				c.args = slices.Concat(c.args[:i:i], c.args[i+1:])
				in.ended--
				i--
				continue
			}
			if !p.Dashes || w.number || c.dashFrom(i+1) {
				c.fail(w.source(), "it may become an option when it runs", "put -- before it, if the program allows that, or write it out")
				return nil, false
			}
			c.args = slices.Insert(slices.Clone(c.args), i, lit("--"))
			in.ended = i + 1
			continue
		}
		if w.form == each && w.some(func(one *word) bool { p := one.prefix(); return len(p) > 1 && p[0] == '+' && options[p[:2]] != nil }) {
			c.fail(w.source(), "one of its words is an option", "write it out")
			return nil, false
		}
		if len(prefix) < 2 || prefix[0] != '-' && (prefix[0] != '+' || options[prefix[:2]] == nil) {
			in.operands = append(in.operands, i)
			if p.First || len(p.Commands) > 0 {
				for j := i + 1; j < len(c.args); j++ {
					in.operands = append(in.operands, j)
				}
				in.ended = i + 1 // the first may still be taken for an option
				return in, true
			}
			continue
		}
		next, ok := c.option(p, in, options, i)
		if !ok {
			return nil, false
		}
		i = next
	}
	return in, c.behind(in, late, early)
}

// behind puts operands behind two dashes at the end, if none stood after them.
func (c *call) behind(in *input, late []word, early int) bool {
	if late == nil {
		return true
	}
	if len(in.operands) > early || slices.ContainsFunc(c.args, func(w word) bool { return w.is("--") }) {
		c.fail(late[0].source(), "it may become an option when it runs", "put -- before it, and options before that")
		return false
	}
	in.ended = len(c.args) + 1
	c.args = slices.Concat(c.args, lits("--"), late)
	for i := range late {
		in.operands = append(in.operands, in.ended+i)
	}
	return true
}

// harmless: a word of unknown beginning that cannot begin with a dash: a count. What
// is calculated can be below zero.
func (c *call) harmless(w *word) bool {
	return w.form == dynamic && w.number && len(w.parts) == 1 &&
		(strings.HasPrefix(w.parts[0].text, "${#") || w.parts[0].text == "${?}" || w.parts[0].text == "${$}")
}

// option reads the option at an index; the next index is returned.
func (c *call) option(p *Program, in *input, options map[string]*Option, i int) (int, bool) {
	w := &c.args[i]
	text := w.prefix()
	switch {
	case p.Words && options[text] == nil && strings.Contains(text, "="):
		name, _, _ := strings.Cut(text, "=")
		return c.named(in, options, i, name, name+"=")
	case p.Words:
		return c.named(in, options, i, text, "")
	case strings.HasPrefix(text, "--"):
		name, _, has := strings.Cut(text, "=")
		rest := ""
		if has {
			rest = name + "="
		}
		return c.named(in, options, i, name, rest)
	case p.Number && w.form == static && digitsOnly(text[1:]):
		return i, true
	}
	return c.letters(in, options, i, text)
}

// one quotes what only the run knows behind text that is known, as in date -d @$(...):
// one word is meant, and one is sent.
func (w *word) one() {
	if w.form == dynamic && w.split && w.prefix() != "" {
		quoteAll(w)
	}
}

// unzoned puts a comment before a date that only the run knows: a time zone stands at
// the beginning of a date or not at all (parse_datetime, gnulib).
func (c *call) unzoned(w *word) {
	if w.form == dynamic && w.prefix() == "" {
		w.parts = slices.Concat([]part{{text: "()"}}, w.parts)
	}
}

func digitsOnly(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

// named reads an option by its whole name; head is what stands before a value in
// the same word.
func (c *call) named(in *input, options map[string]*Option, i int, name, head string) (int, bool) {
	w := &c.args[i]
	o := options[name]
	if o == nil || w.form != static && head == "" {
		c.fail(name, "the option is not in the table of those that are understood", "spell its name out, or leave it out")
		return 0, false
	}
	if head != "" {
		if o.Value == "" {
			c.fail(name, "the option takes no value", "")
			return 0, false
		}
		value, ok := cut(w, len(head))
		if !ok {
			c.fail(name, "its value is known only when it runs", "")
			return 0, false
		}
		return i, c.give(in, o, name, &value, true)
	}
	if o.Value == "" || o.Optional {
		return i, c.give(in, o, name, nil, true)
	}
	if i+1 >= len(c.args) {
		c.fail(name, "its value is missing", "")
		return 0, false
	}
	return c.following(in, o, name, i)
}

// following takes the word behind an option as its value.
func (c *call) following(in *input, o *Option, name string, i int) (int, bool) {
	if value, is := c.joined(o, i); is {
		return i, c.give(in, o, name, &value, true)
	}
	return i + 1, c.separate(in, o, name, i+1)
}

// joined writes an option and a value that begins with a dash and a digit, as in
// --since -1h, as one word with the option's long name: if the table were wrong about
// the value, the program would say so, and take it for no option.
func (c *call) joined(o *Option, i int) (value word, is bool) {
	long := slices.IndexFunc(o.Names, func(n string) bool { return strings.HasPrefix(n, "--") })
	w := c.args[i+1]
	if !c.own || long < 0 || w.form != static || !relative.MatchString(w.text) {
		return word{}, false
	}
	c.args = slices.Concat(c.args[:i], lits(o.Names[long]+"="+w.text), c.args[i+2:])
	return w, true
}

// relative is a time in the past: a number and units.
var relative = regexp.MustCompile(`^-[0-9]+ ?[a-z]+( [a-z]+)?$`)

// separate takes the next word as an option's value. One that looks like an
// option is refused: if the table were wrong about the value, it would be one.
func (c *call) separate(in *input, o *Option, name string, i int) bool {
	c.args[i].one()
	if o.Value == Date && c.name == "date" && c.own && !c.args[i].split && !c.args[i].number {
		c.unzoned(&c.args[i])
	}
	prefix := c.args[i].prefix()
	if len(prefix) > 1 && prefix[0] == '-' && !digitsOnly(prefix[1:]) && name != "-e" && name != "--regexp" {
		c.fail(name, "its value looks like an option", "write the two as one word")
		return false
	}
	return c.give(in, o, name, &c.args[i], false)
}

// letters reads a word of short options.
func (c *call) letters(in *input, options map[string]*Option, i int, text string) (int, bool) {
	w := &c.args[i]
	for j := 1; j < len(text); j++ {
		name := text[:1] + text[j:j+1]
		o := options[name]
		if o == nil {
			c.fail(name, "the option is not in the table of those that are understood", "leave it out")
			return 0, false
		}
		last := j+1 == len(text)
		switch {
		case o.Value == "":
			if last && w.form != static {
				c.fail(name, "what follows it is known only when it runs", "")
				return 0, false
			}
			if !c.give(in, o, name, nil, true) {
				return 0, false
			}
			continue
		case o.Apart && (!last || w.form != static):
			c.fail(name, "its value is the next word, and what follows it here are more options", "write it as the last letter")
			return 0, false
		case last && w.form == static && o.Optional:
			return i, c.give(in, o, name, nil, true)
		case last && w.form == static:
			if i+1 >= len(c.args) {
				c.fail(name, "its value is missing", "")
				return 0, false
			}
			if j == 1 {
				return c.following(in, o, name, i)
			}
			return i + 1, c.separate(in, o, name, i+1)
		}
		value, ok := cut(w, j+1)
		if !ok || c.hollow(&value) {
			c.fail(name, "its value is known only when it runs, and if it is empty the next word is taken for it", "write a blank before it")
			return 0, false
		}
		return i, c.give(in, o, name, &value, true)
	}
	return i, true
}

// hollow reports whether a value behind a short option may be empty.
func (c *call) hollow(value *word) bool {
	if value.form == each {
		return value.may("")
	}
	for _, p := range value.parts {
		name := strings.TrimSuffix(strings.TrimPrefix(p.text, "${"), "}")
		if p.body == nil && p.text != "" && (!p.expansion || strings.HasPrefix(p.text, "$((") || strings.HasPrefix(p.text, "${#") || isNumber(c.s.vars[name])) {
			return false
		}
	}
	return value.form == dynamic
}

// cut takes known text off the beginning of a word.
func cut(w *word, n int) (word, bool) {
	out := *w
	switch w.form {
	case static:
		out.text = w.text[n:]
		return out, true
	case each:
		out.alternatives = nil
		for i := range w.alternatives {
			v, ok := cut(&w.alternatives[i], n)
			if !ok || w.alternatives[i].form != static || !strings.HasPrefix(w.alternatives[i].text, w.prefix()[:n]) {
				return word{}, false
			}
			out.alternatives = append(out.alternatives, v)
		}
		return out, true
	case dynamic:
		out.parts = slices.Clone(w.parts)
		out.parts[0].text = out.parts[0].text[n:]
		return out, true
	}
	return word{}, false
}

// give takes an option with its value.
func (c *call) give(in *input, o *Option, name string, value *word, attached bool) bool {
	g := given{option: o, name: name, attached: attached}
	if o.Value == Never {
		c.fail(name, "the option can write, run programs, or read names from a file", "leave it out")
		return false
	}
	if value != nil {
		if !c.use(o.Value, value, o.Values, name, true) {
			return false
		}
		g.value = *value
	}
	if o.Mode != "" {
		in.modes = append(in.modes, strings.Split(o.Mode, "+")...)
	}
	c.a.effects |= o.Effects
	in.given = append(in.given, g)
	return true
}
