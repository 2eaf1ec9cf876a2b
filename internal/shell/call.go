package shell

import (
	"regexp"
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
	// own: the words are written as they are here, changes included, as those of
	// find -exec and xargs are not.
	own bool
	// applet: it is busybox's program of that name.
	applet bool
	// pin is what the host says of a change of directory.
	pin *pin
	// pinned are the variables of Program.Env that env gives it.
	pinned []string
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
		c.a.fail(c.name, "the program is not in the table of programs that are understood", instead[c.name])
		return
	}
	c.program(p, 0)
}

// instead says what does what an agent wants of a program that is not understood.
var instead = map[string]string{
	"xzgrep": "use xzcat FILE | grep PATTERN", "bzgrep": "use bzcat FILE | grep PATTERN", "zstdgrep": "use zstdcat FILE | grep PATTERN",
	"zmore": "use zcat", "zdiff": "use diff <(zcat FILE) <(zcat FILE)", "sdiff": "use diff -y", "split": "use sed -n or head",
	"dc": "use bc", "ldd": "use readelf -d",
	"wget": "use curl -s URL", "docker-compose": "use docker ps, docker logs NAME",
	"man": "use PROGRAM --help", "whatis": "use PROGRAM --help",
	"watch": "run the command again, or in a loop with sleep", "nohup": "leave it out", "sh": "write its commands out", "bash": "write its commands out",
}

// program understands the arguments from an index on by an entry.
func (c *call) program(p *Program, from int) {
	if from == 0 && len(c.args) == 1 && (c.args[0].is("--version") || c.args[0].is("--help")) {
		// It prints and ends, whatever it needs otherwise. A program that does not know the
		// option may do what it does without it: nslookup reads names from its input.
		if o := c.a.table.options[p][c.args[0].text]; o != nil {
			c.effect(gate.EffectRead | o.Effects)
			return
		}
	}
	if p.Special != "" {
		specials(p.Special)(c, p, from)
	} else {
		c.standard(p, from)
	}
	if len(p.Env) > 0 {
		c.environment(p.Env)
	}
}

// environment has env give the program the variables that it lacks.
func (c *call) environment(variables []string) {
	lacks := slices.DeleteFunc(slices.Clone(variables), func(v string) bool { return slices.Contains(c.pinned, v) })
	switch {
	case len(lacks) == 0:
	case !c.own:
		c.fail("", "it needs variables of its own", "write env "+strings.Join(lacks, " ")+" before it")
	default:
		c.args = slices.Concat(lits(lacks...), []word{c.typed}, c.args)
		c.typed = lit("env")
		c.a.program("env")
	}
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
	if in, ok := c.parse(p, from); ok {
		c.parsed(p, from, in)
	}
}

// parsed understands arguments that are parsed, by the entry alone.
func (c *call) parsed(p *Program, from int, in *input) {
	if len(p.Commands) > 0 {
		c.command(p, in)
		c.add(p, from)
		return
	}
	asked := len(c.a.asked)
	c.operands(p, in)
	c.listFeed(in, asked)
	c.effect(p.Effects)
	c.add(p, from)
	c.grepFeed(p, in)
	c.filterFeed(p, in)
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

// operands understands what is no option.
func (c *call) operands(p *Program, in *input) {
	kinds := p.Operands
	if in.mode("none") && len(kinds) > 0 {
		kinds = kinds[1:]
	}
	if p.Response {
		// An option's value is read so too.
		for i := range c.args {
			if c.args[i].begins("@") {
				c.fail(c.args[i].source(), "it names a file of arguments", "begin it with ./")
				return
			}
		}
	}
	last := len(kinds) - 1
	if p.All && len(in.operands) <= last {
		c.fail("", "an operand is missing, and without it it does something else", "write it out")
		return
	}
	used := false
	for n, i := range in.operands {
		if n > last && (last < 0 || !kinds[last].Many) {
			c.fail(c.args[i].source(), "an operand too many", "")
			return
		}
		k := kinds[min(n, last)]
		used = used || n >= last
		if p.Dashes && i >= in.ended && c.names(kinds, k, &c.args[i]) {
			continue
		}
		if p.Stdin && c.args[i].is("-") && (k.Kind == Read || k.Kind == Follow) {
			// Standard input, or for some programs a file of that name.
			c.stdin()
		}
		if !c.use(c.kind(in, k.Kind), &c.args[i], k.Values, "", i >= in.ended) {
			return
		}
	}
	if used || last < 0 && !p.Stdin {
		return
	}
	switch {
	case p.Default != "" && last >= 0 && (!p.Stdin || in.mode("recurse")):
		if c.name == "rg" {
			c.stdin() // which of the two it searches depends on what they are
		}
		def := lit(p.Default)
		c.use(c.kind(in, kinds[last].Kind), &def, nil, "", true)
	case p.Stdin:
		c.stdin()
	}
}

// names accepts, behind two dashes, words that only the run knows, where all operands are
// names: any number of them if the program takes that, and otherwise one.
func (c *call) names(kinds []Operand, k Operand, w *word) bool {
	if !c.own || w.form != dynamic || !w.split || slices.ContainsFunc(kinds, func(o Operand) bool { return o.Kind != Text }) {
		return false
	}
	if k.Many {
		return true
	}
	if len(w.parts) == 1 && !w.many {
		quoteAll(w)
	}
	return false
}

// kind is what an operand of the program is under the modes: what busybox's grep finds
// below a directory it opens, also if it is a link to a file.
func (c *call) kind(in *input, k Kind) Kind {
	if k = in.kind(k); k == Recurse && c.applet && strings.HasSuffix(c.name, "grep") {
		return Follow
	}
	return k
}

// kind is what an operand is under the modes.
func (in *input) kind(k Kind) Kind {
	switch {
	case k == Read && in.mode("follow") && in.mode("recurse"),
		// What the links in a directory lead to is looked at, too.
		k == List && in.mode("follow") && (in.mode("recurse") || !in.mode("stat")),
		(k == Recurse || k == Walk) && in.mode("follow"):
		return Follow
	case k == List && in.mode("recurse"), k == Walk && in.mode("root"):
		// A link that is named itself is followed.
		return Recurse
	case k == Read && in.mode("recurse"):
		return Recurse
	case k == List && in.mode("stat"):
		return Stat
	case k == Entry && in.mode("stat"):
		return Stat
	case k == Delete && in.mode("recurse"):
		return Remove
	case k == Alter && in.mode("recurse"):
		return Spread
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
	switch {
	case w.process != nil && (k == Read || k == Follow):
		w.process.read = true
		c.effect(0)
		return true
	case k == Read && w.is("/dev/stdin"):
		// Whatever it is, it was opened to be read, and judged then.
		c.stdin()
		c.effect(0)
		return true
	}
	switch k {
	case Text:
		return c.text(w, what) && c.dashes(w, safe)
	case Date:
		if w.some(zoned) {
			c.fail(what, "a date can begin with a time zone, which can be any file", `write what it begins with, as in @$(...), and set TZ for a zone`)
			return false
		}
		return c.text(w, what) && c.dashes(w, safe)
	case Const:
		return c.constant(w, values, what)
	case Package:
		if w.begins("/") || w.begins(".") || w.form == dynamic && w.prefix() == "" {
			c.fail(w.source(), "a path names a file of a package", "write the package's name out")
			return false
		}
		return c.text(w, what) && c.dashes(w, safe)
	case Local:
		if w.form != static && w.form != pattern && w.form != each || w.some(func(one *word) bool { return strings.Contains(one.text, ":") }) {
			c.fail(what+" "+w.source(), "a path with a colon may be a URI", "")
			return false
		}
		k = Read
	case Setting, Name, Charset, Header, Format, RPMFormat, Lines, Output, Duration, Deadline:
		return c.formed(k, w, what)
	case Never, "":
		c.fail(what+w.source(), "this argument is not understood", "leave it out")
		return false
	}
	if (k == Write || k == Create) && (w.is("/dev/null") || (w.is("/dev/stdout") || w.is("/dev/stderr")) && !c.s.turned) {
		c.effect(0)
		return true
	}
	if (k == Alter || k == Spread) && !c.use(Remove, w, values, what, safe) {
		// With some options it is the link itself that is changed.
		return false
	}
	q := questions[k]
	c.a.effects |= q.effects
	if k == Read && c.own && c.holds(w) && c.a.ofProcess(w) {
		w = anyProcess(w)
	}
	return c.a.place(w, c.s, q.question, c.name, safe)
}

// holds reports whether the word is an argument as it is written, and no part of one.
func (c *call) holds(w *word) bool {
	for i := range c.args {
		if w == &c.args[i] {
			return true
		}
	}
	return false
}

// zoned reports whether a date may begin with a time zone (GNU coreutils manual,
// section 29.9).
func zoned(w *word) bool {
	const zone = "TZ="
	known := strings.TrimLeft(w.prefix(), " \t\n\v\f\r")
	return strings.HasPrefix(known, zone) || w.form == dynamic && !w.number && strings.HasPrefix(zone, known)
}

// text accepts data.
func (c *call) text(w *word, what string) bool {
	switch w.form {
	case pattern:
		c.literally(w)
	case dynamic:
		if w.split && c.own && !w.many && !slices.ContainsFunc(w.parts, func(p part) bool { return !p.single && (p.expansion || p.body != nil) && !p.quoted }) {
			quoteAll(w)
		}
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
	if w.form != static || w.below {
		c.fail(what, "it must be written out", "")
		return false
	}
	if len(values) > 0 && !slices.Contains(values, w.text) {
		c.fail(what+" "+w.text, "this value is not understood here", "")
		return false
	}
	return true
}

// setting is the name of a kernel setting. A slash parts names as a dot does, and behind a
// first dot it is the dot of a name: two of either next to each other would lead elsewhere.
var setting = regexp.MustCompile(`^[A-Za-z0-9_*-]+([./][A-Za-z0-9_*-]+)*$`)

// formed accepts data whose form decides whether it is harmless.
func (c *call) formed(k Kind, w *word, what string) bool {
	if !c.constant(w, nil, what) {
		return false
	}
	bad := false
	switch t := w.text; k {
	case Setting:
		bad = !setting.MatchString(t)
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
	case Duration, Deadline:
		number, minutes := strings.CutSuffix(t, "m")
		if !minutes {
			number = strings.TrimSuffix(t, "s")
		}
		n, err := strconv.ParseFloat(number, 64)
		if minutes {
			n *= 60
		}
		bad = err != nil || strings.Trim(number, "0123456789.") != "" || n > 600 || n == 0 && k == Deadline
	case Output:
		bad = strings.Contains(t, "file")
	case Charset:
		name, _, _ := strings.Cut(t, "//") // //TRANSLIT and //IGNORE say what to do with the rest
		rest := t[len(name):]
		bad = strings.Contains(name, "/") || rest != "" && rest != "//TRANSLIT" && rest != "//IGNORE"
	}
	if bad {
		c.fail(what+" "+w.text, "this value reaches beyond the program's own data", "")
	}
	return !bad
}
