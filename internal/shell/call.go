package shell

import (
	"slices"
	"strconv"
	"strings"

	"github.com/sallyport-gateway/sallyport/internal/gate"
	"github.com/sallyport-gateway/sallyport/internal/hostpath"
)

// call is one simple command while it is understood.
type call struct {
	a    *analysis
	s    *state
	name string
	// typed is the program's name as it stands in the line.
	typed word
	// args are the words after the name; they are changed to what is written.
	args []word
	// assigns are put before the command.
	assigns []assign
	// feed is what the command prints, if that is names of known files; feedWords
	// are then its arguments with which the names end in NUL.
	feed      *feed
	feedWords func() []word
}

// fail notes what was not understood of the command.
func (c *call) fail(what, why, instead string) { c.a.fail(c.name+" "+what, why, instead) }

// run understands an external program.
func (c *call) run() {
	p := c.a.table.programs[c.name]
	if p == nil {
		c.a.fail(c.name, "the program is not in the table of programs that are understood", "")
		return
	}
	c.program(p, 0)
}

// program understands the arguments from an index on by an entry.
func (c *call) program(p *Program, from int) {
	if from == 0 && len(c.args) == 1 && (c.args[0].is("--version") || c.args[0].is("--help")) {
		c.effect(0)
		return
	}
	if p.Special != "" {
		specials(p.Special)(c, p, from)
		return
	}
	c.standard(p, from)
}

// effect adds what a program does.
func (c *call) effect(e gate.Effects) {
	if e == 0 {
		e = gate.EffectRead
	}
	c.a.effects |= e
}

// standard understands arguments by the entry alone.
func (c *call) standard(p *Program, from int) {
	in, ok := c.parse(p, from)
	if !ok {
		return
	}
	if len(p.Commands) > 0 {
		c.command(p, in)
		c.add(p, from)
		return
	}
	c.operands(p, in)
	c.effect(p.Effects)
	c.add(p, from)
	c.grepFeed(p, in)
}

// grepFeed notes that grep -l prints names of files.
func (c *call) grepFeed(p *Program, in *input) {
	if p.Name != "grep" || len(in.operands) == 0 {
		return
	}
	_, with := in.has("-l")
	_, without := in.has("-L")
	if !with && !without {
		return
	}
	files := in.operands
	if !in.mode("none") {
		files = files[1:]
	}
	f := &feed{}
	for _, i := range files {
		if w := c.args[i]; w.form != dynamic && !w.is("-") {
			f.roots = append(f.roots, w)
			continue
		}
		return
	}
	if len(f.roots) == 0 {
		return
	}
	if _, nul := in.has("-Z"); nul {
		f.nul = true
	}
	c.feed = f
	c.feedWords = func() []word { return append(lits("-Z"), c.args...) }
}

// command understands a subcommand.
func (c *call) command(p *Program, in *input) {
	if len(in.operands) == 0 {
		if p.Alone {
			c.effect(p.Effects)
			return
		}
		c.fail("", "a subcommand is needed", "")
		return
	}
	i := in.operands[0]
	w := &c.args[i]
	for j := range p.Commands {
		sub := &p.Commands[j]
		if w.form == static && (w.text == sub.Name || slices.Contains(sub.Aliases, w.text)) {
			before := c.name
			c.name += " " + sub.Name
			c.program(sub, i+1)
			c.name = before
			c.a.effects |= p.Effects
			return
		}
	}
	c.fail(w.source(), "the subcommand is not in the table of those that are understood", "")
}

// add puts the entry's own words before the arguments.
func (c *call) add(p *Program, from int) {
	if len(p.Add) == 0 {
		return
	}
	for i := range p.Add {
		if from+i >= len(c.args) || !c.args[from+i].is(p.Add[i]) {
			c.args = slices.Concat(c.args[:from], lits(p.Add...), c.args[from:])
			return
		}
	}
}

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

// parse splits the arguments from an index on into options and operands, as
// getopt_long does with the names spelt out (glibc manual, section 25.3):
// abbreviations of names are not understood.
func (c *call) parse(p *Program, from int) (*input, bool) {
	in := &input{ended: len(c.args)}
	options := c.a.table.options[p]
	for i := from; i < len(c.args); i++ {
		w := &c.args[i]
		prefix := w.prefix()
		if i >= in.ended {
			in.operands = append(in.operands, i)
			continue
		}
		if w.is("--") {
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
			c.fail(w.source(), "it may become an option when it runs", "put -- before it, if the program allows that, or write it out")
			return nil, false
		}
		if len(prefix) < 2 || prefix[0] != '-' && (prefix[0] != '+' || options[prefix[:2]] == nil) {
			in.operands = append(in.operands, i)
			if p.First || len(p.Commands) > 0 {
				for j := i + 1; j < len(c.args); j++ {
					in.operands = append(in.operands, j)
				}
				in.ended = i
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
	return in, true
}

// harmless: a word of unknown beginning that cannot begin with a dash.
func (c *call) harmless(w *word) bool { return w.form == dynamic && w.number }

// option reads the option at an index; the next index is returned.
func (c *call) option(p *Program, in *input, options map[string]*Option, i int) (int, bool) {
	w := &c.args[i]
	text := w.prefix()
	switch {
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
	return i + 1, c.separate(in, o, name, i+1)
}

// separate takes the next word as an option's value. One that looks like an
// option is refused: if the table were wrong about the value, it would be one.
func (c *call) separate(in *input, o *Option, name string, i int) bool {
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
		case last && w.form == static && o.Optional:
			return i, c.give(in, o, name, nil, true)
		case last && w.form == static:
			if i+1 >= len(c.args) {
				c.fail(name, "its value is missing", "")
				return 0, false
			}
			return i + 1, c.separate(in, o, name, i+1)
		}
		value, ok := cut(w, j+1)
		if !ok {
			c.fail(name, "its value is known only when it runs", "")
			return 0, false
		}
		return i, c.give(in, o, name, &value, true)
	}
	return i, true
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

// operands understands what is no option.
func (c *call) operands(p *Program, in *input) {
	kinds := p.Operands
	if in.mode("none") && len(kinds) > 0 {
		kinds = kinds[1:]
	}
	last := len(kinds) - 1
	used := false
	for n, i := range in.operands {
		if n > last && (last < 0 || !kinds[last].Many) {
			c.fail(c.args[i].source(), "an operand too many", "")
			return
		}
		k := kinds[min(n, last)]
		if p.Response && strings.HasPrefix(c.args[i].prefix(), "@") {
			c.fail(c.args[i].source(), "it names a file of arguments", "begin it with ./")
			return
		}
		used = used || n >= last
		if p.Stdin && c.args[i].is("-") && k.Kind != Text && k.Kind != Const {
			c.stdin()
			continue
		}
		if !c.use(in.kind(k.Kind), &c.args[i], k.Values, "", i >= in.ended) {
			return
		}
	}
	if used || last < 0 && !p.Stdin {
		return
	}
	switch {
	case p.Default != "" && last >= 0 && (p.Stdin == false || in.mode("recurse")):
		if c.name == "rg" {
			c.stdin() // which of the two it searches depends on what they are
		}
		def := lit(p.Default)
		c.use(in.kind(kinds[last].Kind), &def, nil, "", true)
	case p.Stdin:
		c.stdin()
	}
}

// kind is what an operand is under the modes.
func (in *input) kind(k Kind) Kind {
	switch {
	case k == Read && in.mode("follow") && in.mode("recurse"), k == List && in.mode("follow") && in.mode("recurse"),
		(k == Recurse || k == Walk) && in.mode("follow"):
		return Follow
	case k == List && in.mode("recurse"):
		return Walk
	case k == Read && in.mode("recurse"):
		return Recurse
	case k == List && in.mode("stat"):
		return Stat
	case k == Entry && in.mode("stat"):
		return Stat
	case k == Delete && in.mode("recurse"):
		return Remove
	}
	return k
}

// stdin notes that standard input is read.
func (c *call) stdin() {
	if !c.s.piped {
		c.a.stdin = true
	}
}

// use understands a value by its kind. Safe says that a dash at its beginning
// makes no option of it.
func (c *call) use(k Kind, w *word, values []string, what string, safe bool) bool {
	switch k {
	case Text:
		return c.text(w, what) && c.dashes(w, safe)
	case Const:
		return c.constant(w, values, what)
	case Local:
		if w.form != static && w.form != pattern && w.form != each || strings.Contains(w.source(), ":") {
			c.fail(what+" "+w.source(), "a path with a colon may be a URI", "")
			return false
		}
		k = Read
	case Setting, Name, Header, Format, RPMFormat, Lines, Output, Duration:
		return c.formed(k, w, what)
	case Never, "":
		c.fail(what+w.source(), "this argument is not understood", "leave it out")
		return false
	}
	if (k == Write || k == Create) && (w.is("/dev/null") || w.is("/dev/stdout") || w.is("/dev/stderr")) {
		c.effect(0)
		return true
	}
	q := questions[k]
	c.a.effects |= q.effects
	return c.a.place(w, c.s, q.question, c.name, safe)
}

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
}

// text accepts data.
func (c *call) text(w *word, what string) bool {
	switch w.form {
	case pattern:
		c.literally(w)
	case dynamic:
		if w.split {
			c.fail(what, "unquoted, it may become several words", `put it in "..."`)
			return false
		}
	}
	return true
}

// dashes asks that no name that a pattern of a loop matches is read as an option.
func (c *call) dashes(w *word, safe bool) bool {
	if safe || w.form != each {
		return true
	}
	for i := range w.alternatives {
		if alternative := w.alternatives[i]; alternative.form == pattern {
			for _, j := range c.a.ask(&alternative, c.s, hostpath.Question{Use: hostpath.Match}, c.name+" "+alternative.text) {
				c.a.asked[j].option = true
			}
		}
	}
	return true
}

// literally makes a pattern stand for its own text: the host is asked that it
// matches nothing.
func (c *call) literally(w *word) {
	for _, i := range c.a.ask(w, c.s, hostpath.Question{Use: hostpath.Match}, c.name+" "+w.text) {
		c.a.asked[i].unmatched = true
	}
	w.unmatched = true
}

// constant accepts text that is known and allowed.
func (c *call) constant(w *word, values []string, what string) bool {
	if w.form == pattern {
		c.literally(w)
		*w = lit(w.text)
	}
	if w.form != static {
		c.fail(what, "it must be written out", "")
		return false
	}
	if len(values) > 0 && !slices.Contains(values, w.text) {
		c.fail(what+" "+w.text, "this value is not understood here", "")
		return false
	}
	return true
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
			return true // no file has an empty name
		}
		a.ask(w, s, q, what)
		return true
	case pattern:
		w.asked = a.ask(w, s, q, what+" "+w.text)
		for _, i := range w.asked {
			a.asked[i].option = !safe
		}
		return true
	case each:
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

// match asks the host for the names of a pattern.
func (a *analysis) match(w *word, s *state, what string) {
	w.asked = a.ask(w, s, hostpath.Question{Use: hostpath.Match}, what+" "+w.text)
}

// ask adds a question for each directory that the command may run in.
func (a *analysis) ask(w *word, s *state, q hostpath.Question, what string) []int {
	q.Name = w.text
	if w.below {
		// Any file below is meant, whatever is done with it.
		if q.Use != hostpath.Delete {
			q.Use = hostpath.Recurse
		}
	}
	switch w.form {
	case homely:
		q.Home, q.Name = true, strings.TrimPrefix(w.text, "/")
	case pattern:
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
		a.asked = append(a.asked, asked{question: q, below: w.below, what: what})
	}
	return all
}

// formed accepts data whose form decides whether it is harmless.
func (c *call) formed(k Kind, w *word, what string) bool {
	if !c.constant(w, nil, what) {
		return false
	}
	bad := false
	switch t := w.text; k {
	case Setting:
		bad = strings.Contains(t, "=")
	case Name:
		bad = strings.ContainsAny(t, "/=") || strings.HasPrefix(t, ".")
	case Header:
		bad = strings.HasPrefix(t, "@")
	case Format:
		bad = strings.HasPrefix(t, "@") || strings.Contains(t, "output{")
	case RPMFormat:
		// rpm expands %{lua:...} and %(...) in some places.
		bad = strings.Contains(t, "%(") || strings.Contains(t, "lua") || strings.Contains(t, "expand")
	case Lines:
		bad = !digitsOnly(strings.TrimPrefix(t, "+")) && t != "all"
	case Duration:
		n, err := strconv.ParseFloat(strings.TrimSuffix(t, "s"), 64)
		bad = err != nil || strings.Trim(t, "0123456789.s") != "" || n > 600
	case Output:
		bad = strings.Contains(t, "file")
	}
	if bad {
		c.fail(what+" "+w.text, "this value reaches beyond the program's own data", "")
	}
	return !bad
}
