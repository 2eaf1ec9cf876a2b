package shell

import (
	"regexp"
	"slices"
	"strings"

	"github.com/sallyport-gateway/sallyport/internal/gate"
	"github.com/sallyport-gateway/sallyport/internal/hostpath"
)

// specials is the code that a table's entry names; nil if there is none of that
// name.
func specials(name string) func(*call, *Program, int) {
	switch name {
	case "getent":
		return (*call).getent
	case "ss":
		return (*call).ss
	case "fuser":
		return (*call).fuser
	case "lsof":
		return (*call).lsof
	case "ls":
		return (*call).ls
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
	case "zgrep":
		return (*call).zgrep
	case "unzip":
		return (*call).unzip
	case "query":
		return (*call).query
	case "network":
		return (*call).network
	case "dig":
		return (*call).dig
	case "words":
		return (*call).plainWords
	case "listless":
		return (*call).listless
	case "sudo":
		return (*call).sudo
	case "yq":
		return (*call).yq
	case "pager":
		return (*call).pager
	case "version":
		return (*call).version
	case "kube":
		return (*call).kube
	case "service":
		return (*call).service
	case "journal":
		return (*call).journal
	case "kill":
		return (*call).kill
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
		if len(c.args) == from && c.name == "nice" {
			return
		}
		c.fail("", "the program that it runs is missing", "")
		return
	}
	c.nested(rest[0], false)
}

// The variables with which programs make no files of their own. Without them go keeps
// counters, and fetches the toolchain that a module names, and top makes its folder; helm
// keeps what servers offer.
const (
	noToolchain = "GOTOOLCHAIN=local"
	noConfig    = "XDG_CONFIG_HOME=/dev/null"
	noKubeCache = "KUBECACHEDIR=/dev/null"
)

var pins = []string{noToolchain, noConfig, noKubeCache}

// env understands env with assignments of harmless variables.
func (c *call) env(p *Program, from int) {
	in, ok := c.parse(p, from)
	if !ok {
		return
	}
	c.effect(0)
	if _, cleared := in.has("-i"); cleared {
		c.pinned = nil
	}
	for _, i := range in.operands {
		w := &c.args[i]
		name, value, assigns := strings.Cut(w.prefix(), "=")
		if !assigns {
			c.nested(i, false)
			return
		}
		if w.form == static && slices.Contains(pins, w.text) {
			c.pinned = append(slices.Clone(c.pinned), w.text)
			continue
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
	c.applet = true
	c.nested(from, false)
}

// kill understands kill: signal 0 only asks whether the process is there.
func (c *call) kill(p *Program, from int) {
	if c.name != "kill" || len(c.args) < from+2 || !c.args[from].is("-0") {
		c.standard(p, from)
		return
	}
	c.effect(0)
	for i := from + 1; i < len(c.args); i++ {
		w := &c.args[i]
		if c.own && w.form == dynamic && len(w.parts) == 1 && !w.many && !severalProcesses(&w.parts[0]) {
			quoteAll(w) // one process is meant
		}
		if !digitsOnly(w.text) && (w.form != dynamic || w.split) {
			c.fail(w.source(), "the number of a process is needed", "")
			return
		}
	}
}

// severalProcesses reports whether a part is what a program prints that may find more than
// one.
func severalProcesses(p *part) bool {
	if p.single || p.body == nil || len(p.body.items) != 1 {
		return false
	}
	only, is := p.body.items[0].node.(*simple)
	return is && len(only.words) > 0 && (only.words[0].is("pgrep") || only.words[0].is("pidof"))
}

// pager understands less, more and zless, which prints what it is given where its output is no
// terminal: cat and zcat are written for them, which does so where it is one, too.
func (c *call) pager(p *Program, from int) {
	in, ok := c.parse(p, from)
	if !ok {
		return
	}
	// Without a terminal it begins at the beginning.
	in.operands = slices.DeleteFunc(in.operands, func(i int) bool { return c.args[i].is("+G") })
	command := func(i int) bool { return c.args[i].begins("+") }
	if !c.own || slices.ContainsFunc(in.operands, command) {
		c.fail("", "it does more than to print", "use cat")
		return
	}
	first := len(c.a.asked)
	c.operands(p, in)
	c.effect(0)
	var files []word
	for _, i := range in.operands {
		files = append(files, c.args[i])
	}
	if c.name == "zless" {
		if len(files) == 0 {
			c.fail("", "a file is needed", "use zcat")
			return
		}
		c.a.present(first)
		if slices.ContainsFunc(files, func(w word) bool { return w.may("-") }) {
			c.stdin()
		}
		c.name, c.typed = "zcat", lit("zcat")
		c.args = append(lits("-f", "--"), files...)
		return
	}
	if c.name == "more" && (len(in.operands) > 0 || !c.s.piped) {
		c.fail("", "it is understood behind a pipe", "use cat")
		return
	}
	c.name, c.typed = "cat", lit("cat")
	c.args = append(lits("--"), files...)
}

// plainWord is a word in which no language of a program has more than a name.
var plainWord = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.:@ -]*$`)

// plainWords understands programs that read their words as a language of their own: each
// must be a name.
func (c *call) plainWords(p *Program, from int) {
	for i := from; i < len(c.args); i++ {
		if w := &c.args[i]; w.form != static || !strings.HasPrefix(w.text, "-") && !plainWord.MatchString(w.text) && !fields.MatchString(w.text) {
			c.fail(w.source(), "the word is no plain name", "write it out")
			return
		}
	}
	c.standard(p, from)
}

// fields are names with commas between them.
var fields = regexp.MustCompile(`^[A-Za-z0-9_.-]+(,[A-Za-z0-9_.-]+)*$`)

// listless understands programs that read names of files from standard input where a
// dash is given for one.
func (c *call) listless(p *Program, from int) {
	if slices.ContainsFunc(c.args[from:], func(w word) bool { return w.may("-") }) {
		c.fail("-", "it reads the names of files from its input", "name the files")
		return
	}
	c.standard(p, from)
}

// sudo understands sudo with a program that is given no path: where a path leads root
// to was not asked, and the account may not see it.
func (c *call) sudo(p *Program, from int) {
	in, ok := c.parse(p, from)
	if !ok {
		return
	}
	c.effect(gate.EffectRead | p.Effects)
	if len(in.operands) == 0 || in.mode("list") {
		if !in.mode("list") || len(in.operands) > 0 {
			c.fail("", "only sudo PROGRAM and sudo -l are understood", "")
		}
		c.add(p, from)
		return
	}
	c.pinned = nil // it leaves the environment behind
	questions, statements := len(c.a.asked), len(c.a.sql)
	c.nested(in.operands[0], false)
	if len(c.a.asked) > questions || len(c.a.sql) > statements {
		c.fail("", "with a path, or a statement, what root reaches is not known", "leave sudo out")
		return
	}
	c.add(p, from)
}

// yqPath is an expression of yq that takes a value out of a document, in either of the
// two programs of this name; with more, one of them loads files.
var yqPath = regexp.MustCompile(`^\.([A-Za-z0-9_.-]|\[[0-9]*\]|\["[A-Za-z0-9_./-]*"\])*( *\| *(keys|length))?$`)

// yq understands yq with a path for its expression. One of the programs takes a word for
// a file where there is one of the name.
func (c *call) yq(p *Program, from int) {
	in, ok := c.parse(p, from)
	if !ok {
		return
	}
	rest := in.operands
	if len(rest) > 0 && (c.args[rest[0]].is("eval") || c.args[rest[0]].is("e")) {
		c.use(Read, &c.args[rest[0]], nil, "", true)
		rest = rest[1:]
	}
	if len(rest) == 0 || c.args[rest[0]].form != static || !yqPath.MatchString(c.args[rest[0]].text) {
		c.fail("", "only paths like .a.b[0] are understood as its expression", "use grep or sed, or jq for JSON")
		return
	}
	for _, i := range rest {
		if !c.use(Read, &c.args[i], nil, "", i >= in.ended) {
			return
		}
	}
	if len(rest) == 1 || slices.ContainsFunc(rest[1:], func(i int) bool { return c.args[i].is("-") }) {
		c.stdin()
	}
	c.effect(0)
}

// service understands service with status: without an action it runs the service's
// script, which does what it likes.
func (c *call) service(p *Program, from int) {
	in, ok := c.parse(p, from)
	if !ok {
		return
	}
	if !in.mode("query") || len(in.operands) > 0 {
		c.operands(p, in)
	}
	c.effect(0)
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
	// The host says which files the list names. Checking tells of a file whether it has
	// the sum that the list gives, so the list must not be the agent's own.
	if len(in.operands) == 0 {
		c.fail("-c", "a list from standard input can test any file", "name the list")
	}
	for _, i := range in.operands {
		w := &c.args[i]
		if w.form != static && w.form != homely || w.process != nil || w.is("-") || w.is("/dev/stdin") {
			c.fail(w.source(), "which files the list names is known only when it runs", "name the list")
			return
		}
		c.a.place(w, c.s, hostpath.Question{Use: hostpath.Read, Follow: true, List: true}, c.name+" -c", true)
	}
}
