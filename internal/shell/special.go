package shell

import (
	"slices"
	"strings"

	"github.com/sallyport-gateway/sallyport/internal/gate"
)

// specials is the code that a table's entry names; nil if there is none of that
// name.
func specials(name string) func(*call, *Program, int) {
	switch name {
	case "awk":
		return (*call).awk
	case "sed":
		return (*call).sed
	case "find":
		return (*call).find
	case "xargs":
		return (*call).xargs
	case "wrapper":
		return (*call).wrapper
	case "env":
		return (*call).env
	case "busybox":
		return (*call).busybox
	case "git":
		return (*call).git
	case "jq":
		return (*call).jq
	case "tar":
		return (*call).tar
	case "sqlite":
		return (*call).sqlite
	case "psql":
		return (*call).psql
	case "curl":
		return (*call).curl
	case "date":
		return (*call).date
	case "dd":
		return (*call).dd
	case "ps":
		return (*call).ps
	case "ip":
		return (*call).ip
	case "sums":
		return (*call).sums
	case "uniq":
		return (*call).uniq
	case "tr":
		return (*call).tr
	case "copy":
		return (*call).copy
	case "compress":
		return (*call).compress
	case "unzip":
		return (*call).unzip
	case "query":
		return (*call).query
	case "version":
		return (*call).version
	case "kube":
		return (*call).kube
	case "journal":
		return (*call).journal
	}
	return nil
}

// wrapper understands a program that runs another one given in its arguments:
// nice, timeout and their like. The entry's operands come before the program.
func (c *call) wrapper(p *Program, from int) {
	in, ok := c.parse(p, from)
	if !ok {
		return
	}
	rest := in.operands
	for _, o := range p.Operands {
		if len(rest) == 0 {
			break
		}
		if !c.use(o.Kind, &c.args[rest[0]], o.Values, "", true) {
			return
		}
		rest = rest[1:]
	}
	c.effect(p.Effects)
	if len(rest) == 0 {
		c.fail("", "the program that it runs is missing", "")
		return
	}
	c.nested(rest[0], false)
}

// env understands env with assignments of harmless variables.
func (c *call) env(p *Program, from int) {
	in, ok := c.parse(p, from)
	if !ok {
		return
	}
	c.effect(0)
	for _, i := range in.operands {
		w := &c.args[i]
		name, value, assigns := strings.Cut(w.prefix(), "=")
		if !assigns {
			c.nested(i, false)
			return
		}
		if w.form != static || !c.a.harmlessVariable(name, value) {
			c.fail(w.source(), "the variable can change what the program does", "")
			return
		}
	}
}

// busyboxApplets are those whose arguments are understood like those of the
// programs of the same name.
var busyboxApplets = set("cat head tail wc sort uniq cut tr grep egrep fgrep sed awk find ls df du date echo printf id stat md5sum sha1sum sha256sum " +
	"sha512sum nl tac rev fold paste comm cmp od xxd hexdump strings readlink realpath basename dirname seq expr test true false " +
	"uname hostname whoami free uptime ps pgrep sleep env printenv pwd which zcat bzcat xzcat tree cksum base64 nproc tty diff")

// busybox understands busybox APPLET ARGUMENTS.
func (c *call) busybox(p *Program, from int) {
	if len(c.args) == from {
		c.effect(0)
		return
	}
	w := &c.args[from]
	if w.form != static || !busyboxApplets[w.text] {
		c.fail(w.source(), "the applet is not in the table of those that are understood", "")
		return
	}
	c.nested(from, false)
}

// find understands find's expression. What -exec runs is understood as a
// command, in which the found paths lie below the roots.
func (c *call) find(p *Program, from int) {
	c.effect(0)
	i := from
	follow := false
	for ; i < len(c.args) && c.args[i].form == static; i++ {
		switch c.args[i].text {
		case "-H", "-P":
			continue
		case "-L":
			follow = true
			continue
		}
		break
	}
	first := i
	for ; i < len(c.args); i++ {
		prefix := c.args[i].prefix()
		if prefix == "" && c.args[i].form != static {
			c.fail(c.args[i].source(), "it may become a part of the expression when it runs", "write it out")
			return
		}
		if strings.HasPrefix(prefix, "-") || c.args[i].is("(") || c.args[i].is("!") || c.args[i].is(")") || c.args[i].is(",") {
			break
		}
	}
	f := &finder{call: c, roots: slices.Clone(c.args[first:i]), i: i, kind: Recurse}
	if len(f.roots) == 0 {
		f.roots = lits(".")
	}
	f.names = true
	if !f.expression() {
		return
	}
	if follow || f.follow {
		f.kind = Follow
	}
	for j := range f.roots {
		if !c.use(f.kind, &f.roots[j], nil, "", false) {
			return
		}
		if first+j < i {
			c.args[first+j] = f.roots[j]
		}
	}
}

type finder struct {
	*call
	roots  []word
	i      int
	kind   Kind
	names  bool
	follow bool
}

// The tests and actions of find without a value, and with one that is data, a
// number, or a path that is looked at (find(1)).
var (
	findFlags = set("( ) ! , -not -a -and -o -or -depth -d -mount -xdev -noleaf -daystart -true -false -empty -nouser -nogroup " +
		"-readable -writable -executable -print -print0 -prune -quit -ls -nowarn -warn -ignore_readdir_race -noignore_readdir_race")
	findValues = set("-name -iname -path -ipath -wholename -iwholename -regex -iregex -regextype -type -xtype -size -mtime -atime -ctime -mmin -amin " +
		"-cmin -user -group -uid -gid -perm -links -inum -maxdepth -mindepth -newermt -newerat -newerct -lname -ilname -fstype -used -printf")
	findPaths = set("-newer -anewer -cnewer -samefile")
)

// expression understands the tests and actions.
func (f *finder) expression() bool {
	for ; f.i < len(f.args); f.i++ {
		w := &f.args[f.i]
		if w.form == pattern {
			f.literally(w)
			*w = word{form: static, text: w.text}
		}
		if w.form != static {
			f.fail(w.source(), "the expression is known only when it runs", "write it out")
			return false
		}
		ok := true
		switch name := w.text; {
		case findFlags[name]:
		case name == "-follow":
			f.follow = true
		case findValues[name]:
			ok = f.value(name, Text)
		case findPaths[name]:
			ok = f.value(name, Stat)
		case name == "-delete":
			f.kind = Remove
			f.effect(gate.EffectDelete)
		case name == "-exec", name == "-execdir":
			ok = f.exec(name)
		default:
			f.fail(name, "the test or action can write, ask, or run programs, or is not in the table", "")
			return false
		}
		if !ok {
			return false
		}
	}
	return true
}

func (f *finder) value(name string, k Kind) bool {
	if f.i++; f.i >= len(f.args) {
		f.fail(name, "its value is missing", "")
		return false
	}
	if w := &f.args[f.i]; w.form == dynamic || w.form == each && k == Text {
		if w.split {
			f.fail(name, "unquoted, its value may become several words", `put it in "..."`)
			return false
		}
		return k == Text || f.use(k, w, nil, name, true)
	}
	return f.use(k, &f.args[f.i], nil, name, true)
}

// exec understands -exec and -execdir. Every {} stands for a path below a root:
// it begins with the root, so it is no option unless the root is.
func (f *finder) exec(action string) bool {
	from := f.i + 1
	end := from
	for ; end < len(f.args); end++ {
		if f.args[end].is(";") || f.args[end].is("+") && end > from && f.args[end-1].is("{}") {
			break
		}
	}
	if end == len(f.args) || end == from {
		f.fail(action, "its end is missing", `end it with \; or {} +`)
		return false
	}
	name, found := f.a.name(&f.args[from])
	if !found {
		return false
	}
	inner := &call{a: f.a, s: f.s, name: name, typed: f.args[from], args: slices.Clone(f.args[from+1 : end])}
	for i := range inner.args {
		w := &inner.args[i]
		if w.form == pattern {
			f.literally(&f.args[from+1+i])
			f.args[from+1+i] = lit(w.text)
			*w = lit(w.text)
		}
		if w.form != static {
			f.fail(w.source(), "the command is known only when it runs", "write it out")
			return false
		}
		if strings.Contains(w.text, "{}") {
			if w.text != "{}" {
				f.fail(w.text, "{} within a word", "use {} alone")
				return false
			}
			*w = f.found()
		}
	}
	before, questions := len(f.a.unknown), len(f.a.asked)
	inner.external()
	f.a.program(name)
	if len(f.a.unknown) > before {
		return false
	}
	for _, q := range f.a.asked[questions:] {
		if action == "-execdir" && !q.below && !strings.HasPrefix(q.question.Name, "/") {
			f.fail(action, "a relative path is meant where each file is", "use -exec")
			return false
		}
	}
	if !slices.Equal(shape(inner.args), shape(f.args[from+1:end])) {
		f.fail(name, "it needs words of its own before its arguments", "")
		return false
	}
	f.i = end
	return true
}

// found is what {} can be: a path below any root, which is asked for with
// everything below.
func (f *finder) found() word {
	w := word{form: each, parts: []part{{text: "{}"}}}
	for _, r := range f.roots {
		r.asked = nil
		r.below = true
		w.alternatives = append(w.alternatives, r)
	}
	return w
}

// shape is the words without what analysis adds to them.
func shape(words []word) []string {
	var all []string
	for i := range words {
		switch w := &words[i]; {
		case len(w.parts) == 1 && w.parts[0].text == "{}":
			all = append(all, "{}")
		default:
			all = append(all, w.text)
		}
	}
	return all
}

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
	replace, replaces := in.has("-I")
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
	c.a.program(name)
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
		c.fail(name, "the names that it is given are known only when it runs", "use find -exec, or a pattern")
	}
}

// uniq understands uniq, whose second operand is written.
func (c *call) uniq(p *Program, from int) {
	c.standard(p, from)
}

// tr understands tr: two sets, which are data.
func (c *call) tr(p *Program, from int) {
	c.standard(p, from)
	c.stdin()
}

// sums understands checksums. With -c the list names files that are read.
func (c *call) sums(p *Program, from int) {
	in, ok := c.parse(p, from)
	if !ok {
		return
	}
	c.operands(p, in)
	c.effect(0)
	if !in.mode("check") {
		return
	}
	// The names in the list are known to the host alone. Checking tells no more
	// of a file than whether it has the sum that the list gives, so the list
	// must not be the agent's own: from standard input it is refused.
	if len(in.operands) == 0 || slices.ContainsFunc(in.operands, func(i int) bool { return c.args[i].is("-") }) {
		c.fail("-c", "a list from standard input can test any file", "name the list")
		return
	}
	here := lit(".")
	c.use(Recurse, &here, nil, "", true)
}
