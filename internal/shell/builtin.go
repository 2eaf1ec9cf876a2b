package shell

import (
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"

	"github.com/sallyport-gateway/sallyport/internal/gate"
	"github.com/sallyport-gateway/sallyport/internal/hostpath"
)

// refused are the words of the shell that run text, or change what other words
// mean, with the reason.
var refused = map[string][2]string{
	"eval":     {"it runs text", "write the commands out"},
	".":        {"it runs a file in the shell", ""},
	"source":   {"it runs a file in the shell", ""},
	"exec":     {"it replaces the shell, or changes where its output goes", "run the program without exec"},
	"trap":     {"it runs text later", ""},
	"alias":    {"it changes what names mean", ""},
	"unalias":  {"it changes what names mean", ""},
	"builtin":  {"it changes what names mean", ""},
	"enable":   {"it changes what names mean", ""},
	"hash":     {"it changes which file a name runs", ""},
	"shopt":    {"it changes how the rest of the line is read", ""},
	"unset":    {"it changes what names mean", ""},
	"getopts":  {"it assigns variables at run time", ""},
	"fc":       {"it runs text from the history", ""},
	"history":  {"it shows and changes what was typed", ""},
	"bind":     {"it runs text on keys", ""},
	"complete": {"it runs text", ""},
	"compgen":  {"it can run text", ""},
	"wait":     {"there is no work in the background", ""},
	"jobs":     {"there is no work in the background", ""},
	"fg":       {"there is no work in the background", ""},
	"bg":       {"there is no work in the background", ""},
	"disown":   {"there is no work in the background", ""},
	"shift":    {"a line has no positional parameters", ""},
	"return":   {"a line has no functions", ""},
	"pushd":    {"the directory is not followed through it", "use cd"},
	"popd":     {"the directory is not followed through it", "use cd"},
	"dirs":     {"the directory is not followed through it", "use pwd"},
}

// builtin understands a word of the shell itself; false if it is none.
func (c *call) builtin() (ok, bad state, is bool) {
	s := *c.s
	if why, found := refused[c.typed.text]; found {
		c.a.fail(c.typed.text, why[0], why[1])
		return s, s, true
	}
	switch c.typed.text {
	case ":", "true", "false":
		c.effect(0)
		c.data(c.args)
	case "echo":
		c.effect(0)
		c.data(c.args)
	case "printf":
		c.printf()
	case "cd":
		ok, bad = c.cd()
		return ok, bad, true
	case "pwd":
		c.flags("-L", "-P")
	case "read":
		ok = c.read()
		return ok, ok, true
	case "mapfile", "readarray":
		if c.a.dialect != Bash {
			return s, s, false
		}
		ok = c.mapfile()
		return ok, ok, true
	case "test":
		c.test(c.args)
	case "[":
		if len(c.args) == 0 || !c.args[len(c.args)-1].is("]") {
			c.fail("", "the closing ] is missing", "")
			return s, s, true
		}
		c.test(c.args[:len(c.args)-1])
	case "set":
		s = c.set()
	case "exit", "break", "continue":
		c.effect(0)
		if len(c.args) > 1 || len(c.args) == 1 && !isNumber(c.args[0]) {
			c.fail("", "its argument must be a number", "")
		}
	case "type", "command", "which":
		return s, s, c.lookUp()
	case "export":
		c.fail("", "only export NAME=VALUE with a harmless variable is understood", "")
	case "times", "umask":
		c.flags()
	case "ulimit":
		c.flags("-a", "-n", "-u", "-c", "-f", "-s", "-t", "-v", "-S", "-H", "-Sn", "-Hn")
	default:
		return s, s, false
	}
	return s, s, true
}

// flags accepts nothing but the given words.
func (c *call) flags(allowed ...string) {
	c.effect(0)
	for i := range c.args {
		if c.args[i].form != static || !slices.Contains(allowed, c.args[i].text) {
			c.fail(c.args[i].source(), "the argument is not understood", "leave it out")
		}
	}
}

// data accepts words whose text does not matter. The names that a pattern stands
// for are asked of the host.
func (c *call) data(words []word) {
	for i := range words {
		if words[i].form == pattern {
			c.a.match(&words[i], c.s, c.name)
		}
	}
}

// printf understands the shell's printf: a literal format without the
// conversions that assign or, with run-time text, evaluate.
func (c *call) printf() {
	c.effect(0)
	args := c.args
	if len(args) > 0 && args[0].is("--") {
		args = args[1:]
	}
	if len(args) == 0 {
		return
	}
	format := &args[0]
	if !c.text(format, "format") {
		return
	}
	if format.form != static || strings.HasPrefix(format.text, "-") {
		c.fail("", "the format must be written out, and begin with no dash", `use printf '%s\n' ...`)
		return
	}
	numbers, ok := conversions(format.text)
	if !ok {
		c.fail(format.text, "a conversion of the format is not understood", "")
		return
	}
	c.data(args[1:])
	for i := range args[1:] {
		w := &args[1+i]
		if len(numbers) == 0 || !numbers[i%len(numbers)] && !w.many {
			continue
		}
		switch {
		case c.a.dialect == Zsh:
			c.number(w) // it may be the name of a variable, whose text is evaluated
		case w.form == static && strings.ContainsAny(w.text, "[$`("):
			c.fail(w.text, "it is no number", "use %s")
		}
	}
}

// conversions reads a format: for each argument that it takes, whether it takes a
// number.
func conversions(format string) (numbers []bool, ok bool) {
	for i := 0; i < len(format); i++ {
		if format[i] != '%' {
			continue
		}
		if i++; i < len(format) && format[i] == '%' {
			continue
		}
		for i < len(format) && strings.IndexByte("-+ #0123456789.*'", format[i]) >= 0 {
			if format[i] == '*' {
				numbers = append(numbers, true)
			}
			i++
		}
		if i < len(format) && format[i] == '(' {
			end := strings.IndexByte(format[i:], ')')
			if end < 0 {
				return nil, false
			}
			i += end + 1
		}
		if i >= len(format) {
			return nil, false
		}
		switch format[i] {
		case 's', 'b', 'q', 'c':
			numbers = append(numbers, false)
		case 'd', 'i', 'u', 'o', 'x', 'X', 'e', 'E', 'f', 'F', 'g', 'G', 'T':
			numbers = append(numbers, true)
		default:
			return nil, false // %n assigns
		}
	}
	return numbers, true
}

// cd understands a change of directory to a place that is known.
func (c *call) cd() (ok, bad state) {
	ok, bad = *c.s, *c.s
	c.effect(0)
	step := hostpath.Step{}
	var target *word
	ended := false
	for i := range c.args {
		w := &c.args[i]
		switch {
		case target != nil:
			// What looks like an option here is an operand too many, and bash stays.
			c.fail("", "it takes one directory", "")
			return ok, bad
		case !ended && w.is("-P"):
			step.Physical = true
		case !ended && w.is("-L"):
			step.Physical = false
		case !ended && w.is("--"):
			ended = true
		default:
			target = w
		}
	}
	if target != nil && target.feed != nil {
		c.fail(target.source(), "the directory is known only when it runs", "write it out")
		return ok, bad
	}
	if c.s.inLoop {
		c.fail("", "in a loop the directory adds up", "put it in ( ... )")
		return ok, bad
	}
	targets := []word{{form: homely}}
	if target != nil {
		targets = []word{*target}
		if target.form == each {
			targets = target.alternatives
		}
	}
	var into, stay [][]hostpath.Step
	for i := range targets {
		switch w := &targets[i]; {
		case w.form == homely:
			step.Home, step.Dir = true, strings.TrimPrefix(w.text, "/")
		case w.form == static && w.text != "" && w.text[0] != '-' && w.text[0] != '+':
			step.Home, step.Dir = false, w.text
		default:
			c.fail(w.source(), "the directory is known only when it runs", "write it out")
			return ok, bad
		}
		c.a.place(&targets[i], c.s, hostpath.Question{Use: hostpath.Enter, Follow: true}, "cd", true)
		failed := step
		failed.Fails = true
		for _, d := range c.s.dirs {
			into = append(into, append(slices.Clone(d), step))
			stay = append(stay, append(slices.Clone(d), failed))
		}
	}
	if len(into) > maxPlaces || len(into[0]) > 12 {
		c.fail("", "the directory is not known for sure", "use one cd at the beginning")
		return ok, bad
	}
	switch {
	case target != nil && target.form == static && searched(target):
		target.text = "./" + target.text
	case target != nil && target.form == each && slices.ContainsFunc(targets, func(w word) bool { return searched(&w) }):
		if slices.ContainsFunc(targets, func(w word) bool { return !searched(&w) }) {
			c.fail(target.source(), "some of the directories would be looked for elsewhere", "begin them all with ./")
			return ok, bad
		}
		target.parts = append([]part{{text: "./"}}, target.parts...)
	}
	ok.dirs, bad.dirs = into, stay
	c.pin = &pin{into: c.a.probe(into), stay: c.a.probe(stay)}
	for _, i := range c.pin.stay {
		if i < len(c.a.asked) {
			c.a.asked[i].stays = true
		}
	}
	return ok, bad
}

// searched reports whether $CDPATH is searched for a directory: for names that do not
// begin with . or .. alone.
func searched(w *word) bool {
	return w.form == static && !strings.HasPrefix(w.text, "/") && !slices.Contains([]string{".", ".."}, strings.Split(w.text, "/")[0])
}

// read understands read: the variables become data.
func (c *call) read() state {
	s := c.s.clone()
	c.effect(0)
	c.stdin()
	i, array := 0, false
	for ; i < len(c.args); i++ {
		w := &c.args[i]
		if w.form != static {
			c.fail(w.source(), "its arguments must be written out", "")
			return s
		}
		if w.text == "" || w.text[0] != '-' {
			break
		}
		switch w.text {
		case "-r", "-s", "-rs":
		case "-a", "-ra":
			// The next word is the array's name, and a last one.
			if array = true; c.a.dialect != Bash || len(c.args) != i+2 {
				c.fail(w.text, "only read -a NAME is understood, in bash", "")
				return s
			}
		case "-d", "-n", "-N", "-t", "-p":
			// What an option takes no value for is a variable's name.
			if c.a.dialect == POSIX && w.text != "-t" && w.text != "-p" || c.a.dialect == Zsh && w.text != "-d" && w.text != "-t" {
				c.fail(w.text, "this shell's read does not know it", "")
				return s
			}
			if i++; i < len(c.args) && c.args[i].form == static && (w.text == "-d" || w.text == "-p" || strings.Trim(c.args[i].text, "0123456789.") == "") {
				continue
			}
			fallthrough
		default:
			c.fail(w.text, "the option is not understood", "")
			return s
		}
	}
	for ; i < len(c.args); i++ {
		name := c.args[i].text
		if c.args[i].is("_") && c.a.dialect != Zsh {
			continue // for what is not wanted; the shell sets it anew by itself
		}
		if c.args[i].form != static || !syntax.ValidName(name) || !c.a.assignable(name) {
			c.fail(c.args[i].source(), "a variable of this name can change what the shell or programs do", "use another name, in small letters")
			return s
		}
		s.set(name, word{whole: array})
		c.a.taken = append(c.a.taken, name)
	}
	return s
}

// mapfile understands mapfile -t NAME: the array is data.
func (c *call) mapfile() state {
	s := c.s.clone()
	c.effect(0)
	c.stdin()
	args := c.args
	if len(args) > 0 && args[0].is("-t") {
		args = args[1:]
	}
	if len(args) != 1 || args[0].form != static || !syntax.ValidName(args[0].text) || !c.a.assignable(args[0].text) {
		c.fail("", "only mapfile -t NAME is understood", "use while read")
		return s
	}
	s.set(args[0].text, word{whole: true})
	c.a.taken = append(c.a.taken, args[0].text)
	return s
}

// set understands the options of the shell that change nothing but when it ends.
func (c *call) set() state {
	s := c.s.clone()
	c.effect(0)
	for i := 0; i < len(c.args); i++ {
		w := &c.args[i]
		if w.form == static && (w.text == "-o" || w.text == "+o") && i+1 < len(c.args) && c.args[i+1].form == static &&
			slices.Contains([]string{"pipefail", "errexit", "nounset"}, c.args[i+1].text) {
			c.a.pipefail = c.a.pipefail || c.args[i+1].is("pipefail")
			i++
			continue
		}
		if w.form != static || len(w.text) < 2 || w.text[0] != '-' || strings.Trim(w.text[1:], "euf") != "" {
			if w.form == static && strings.HasPrefix(w.text, "-") && strings.TrimLeft(w.text[1:], "eu") == "o" && i+1 < len(c.args) && c.args[i+1].is("pipefail") {
				c.a.pipefail = true
				i++
				continue
			}
			c.fail(w.source(), "only set -e, -u, -f and -o pipefail are understood", "")
			return s
		}
		if strings.Contains(w.text, "f") {
			if c.a.dialect == Zsh { // where it is about start-up files
				c.fail(w.source(), "zsh goes on to expand patterns", `quote them`)
			}
			s.noglob = true
		}
	}
	if len(c.args) == 0 {
		c.effect(gate.EffectRead)
	}
	return s
}

// lookUp understands type, which and command -v; command with a program runs it
// without the shell's own words.
func (c *call) lookUp() bool {
	i := 0
	looks := c.name != "command"
	for ; i < len(c.args) && c.args[i].form == static && strings.HasPrefix(c.args[i].text, "-"); i++ {
		switch flag := c.args[i].text; {
		case c.name == "command" && (flag == "-v" || flag == "-V"):
			looks = true
		case c.name == "command" && flag == "-p", flag == "-a" && c.name != "command", flag == "-t" && c.name == "type", flag == "-s" && c.name == "which":
		default:
			c.fail(flag, "the option is not understood", "leave it out")
			return true
		}
	}
	if looks {
		c.effect(0)
		for ; i < len(c.args); i++ {
			w := &c.args[i]
			switch {
			case w.form != static && w.form != each:
				c.fail(w.source(), "the name must be written out", "")
			case w.some(func(one *word) bool { return one.form != static || strings.Contains(one.text, "/") }):
				c.a.place(w, c.s, hostpath.Question{Use: hostpath.Stat, Follow: true}, c.name, false)
			}
		}
		return true
	}
	if i >= len(c.args) {
		c.fail("", "the program is missing", "")
		return true
	}
	c.nested(i, true)
	return true
}

// nested understands the command that begins at an argument. Shell says that the
// shell's own words count.
func (c *call) nested(i int, shell bool) {
	name, found := c.a.name(&c.args[i])
	if !found {
		return
	}
	inner := &call{a: c.a, s: c.s, name: name, args: slices.Clone(c.args[i+1:]), typed: c.args[i], own: c.own, pinned: c.pinned, applet: c.applet}
	if shell {
		if _, _, is := inner.builtin(); is {
			if slices.Contains([]string{"cd", "set", "read", "mapfile", "readarray", "exit"}, name) {
				c.fail(name, "it is not followed through "+c.name, "write "+name+" alone")
			}
			c.a.program(name)
			c.args = append(slices.Clone(c.args[:i+1]), inner.args...)
			return
		}
	}
	inner.external()
	c.a.program(inner.name)
	c.args = slices.Concat(c.args[:i], []word{inner.typed}, inner.args)
}

// external runs a name as a program where the shell's own words do not count.
// The programs of those names do the same, but for printf's assignments.
func (c *call) external() {
	switch c.name {
	case "echo", "true", "false":
		c.effect(0)
		c.data(c.args)
	case "printf":
		c.printf()
	case "test":
		c.test(c.args)
	case "[":
		if len(c.args) > 0 && c.args[len(c.args)-1].is("]") {
			c.test(c.args[:len(c.args)-1])
			return
		}
		c.fail("", "the closing ] is missing", "")
	case "pwd":
		c.flags("-L", "-P")
	case "which":
		c.lookUp()
	default:
		c.run()
	}
}
