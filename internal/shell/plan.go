package shell

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"mvdan.cc/sh/v3/syntax"

	"github.com/sallyport-gateway/sallyport/internal/gate"
	"github.com/sallyport-gateway/sallyport/internal/hostpath"
)

// Plan is a line as far as it is understood without the host.
type Plan struct {
	a    *analysis
	body *list
	// file is the parsed line. As the shell parser's own printer writes it, it is
	// the text of a line that was not understood.
	file *syntax.File
	lang syntax.LangVariant
}

// analysis collects what a line does.
type analysis struct {
	table    *Table
	dialect  Dialect
	effects  gate.Effects
	sql      []Statement
	unknown  []Reason
	programs []string
	argv     [][]word
	hosts    []string
	asked    []asked
	// placings are the commands that can put a link somewhere, and repeats says that what
	// is read now runs again, or beside what stands before it.
	placings []placing
	repeats  bool
	// words counts what was read, against maxWords.
	words int
	// multiplied: braces made too many words.
	multiplied bool
	// work counts the values of loops' variables, against maxWork.
	work  int
	stdin bool
	// split: the text has unquoted words that only the run knows.
	split bool
	// whole: the word that is read now is not split into several.
	whole bool
	// processes are the process substitutions of the simple command that is read, and
	// pipefail says that set -o pipefail stands somewhere.
	processes []*process
	processed bool
	// taken are the names that read and mapfile have set.
	taken []string
	// substituted counts the command substitutions that were read.
	substituted int
	calls       int
	// locals are the variables of functions that nothing else in the line has.
	locals   map[string]bool
	pipefail bool
	// numerals are the texts that stand in expressions as numbers; an expression has
	// their indexes between \x01, which no line has.
	numerals []part
}

// asked is a question for the host with what its answer must be.
type asked struct {
	question hostpath.Question
	// option: names that begin with a dash would be read as options.
	option bool
	// spaced: names that would be split or expanded again.
	spaced bool
	// line: a name must be a line, and a word to xargs; file: it must be a regular file.
	line, file bool
	// matched: something must be there.
	matched bool
	// unmatched: nothing may match.
	unmatched bool
	// settings: the names of a repository's settings are checked.
	settings bool
	// present: it must be there.
	present bool
	// below: the question is about anything below the path.
	below bool
	// probe: it is asked only whether its changes of directory come about.
	probe bool
	// stays: it is a probe of what is so if they do not.
	stays bool
	// inside is the number, from one, of the question about the directory that the
	// path lies in: if there is no directory, nothing is done at the path.
	inside int
	// placed is how many placings come before it.
	placed int
	what   string
}

// placing is a command that can put a link, or a directory with links, where a path of
// the line leads: the host was asked where that was before.
type placing struct {
	name string
	// sources are the indexes, from and to, of the questions about what it moves: of
	// regular files alone there is no link. None if it makes links itself.
	from, to int
	repeats  bool
}

// Analyse reads a command line. An error is a *Refusal: the line cannot be
// parsed, or is beyond the bounds. Everything that is parsed but not understood
// is a Reason of the command that Settle gives. It is safe for concurrent use.
func Analyse(line []byte, dialect Dialect, table *Table) (plan *Plan, err error) {
	defer func() {
		// The line is an agent's: a fault of ours, or of the parser's, refuses it
		// and ends nothing else.
		if recover() != nil {
			plan, err = nil, refusal("command line", "it cannot be understood", "")
		}
	}()
	return analyse(line, dialect, table)
}

func analyse(line []byte, dialect Dialect, table *Table) (*Plan, error) {
	if err := checkLine(line); err != nil {
		return nil, err
	}
	lang := map[Dialect]syntax.LangVariant{POSIX: syntax.LangPOSIX, Bash: syntax.LangBash, Zsh: syntax.LangZsh}[dialect]
	if lang == 0 || table == nil {
		return nil, refusal("shell", "the account's shell is not one that is understood", "")
	}
	file, err := syntax.NewParser(syntax.Variant(lang)).Parse(bytes.NewReader(line), "")
	if err != nil {
		return nil, refusal("command line", parseError(err), "")
	}
	if len(file.Stmts) == 0 {
		return nil, refusal("command line", "it is empty", "")
	}
	a := &analysis{table: table, dialect: dialect, locals: localNames(file)}
	s := start()
	p := &Plan{a: a, file: file, lang: lang}
	p.body = a.statements(file.Stmts, &s)
	if a.pipefail && a.processed {
		a.fail("<(", "with pipefail its end would count", "leave one of them out")
	}
	return p, nil
}

func parseError(err error) string {
	var p syntax.ParseError
	if errors.As(err, &p) {
		return "it does not parse: " + p.Text
	}
	var l syntax.LangError
	if errors.As(err, &l) {
		return "it does not parse: " + l.Feature + " is not of this shell"
	}
	return "it does not parse"
}

// checkLine holds the bounds of what the parser is given.
func checkLine(line []byte) error {
	switch {
	case len(line) > maxLine:
		return refusal("command line", fmt.Sprintf("it is over %d KiB", maxLine>>10), "send a shorter one")
	case !utf8.Valid(line):
		return refusal("command line", "it is not valid UTF-8", "")
	case len(bytes.TrimSpace(line)) == 0:
		return refusal("command line", "it is empty", "")
	}
	for _, r := range string(line) {
		if r < ' ' && r != '\n' && r != '\t' || r == 0x7f || r >= 0x80 && r < 0xa0 || invisible(r) {
			return refusal("command line", "it has a control or invisible character", `write it as an escape, as in printf '\033'`)
		}
	}
	depth := 0
	for _, c := range line {
		switch c {
		case '(', '{', '`', '[':
			if depth++; depth > 512 {
				return refusal("command line", "it has too many brackets", "")
			}
		}
	}
	return nil
}

// invisible are the characters that make a line look like another: direction,
// joiners, separators that are no spaces to a shell.
func invisible(r rune) bool {
	return r >= 0x200b && r <= 0x200f || r >= 0x2028 && r <= 0x202e || r >= 0x2060 && r <= 0x206f || r == 0xfeff || r == 0xad || r == 0xa0
}

// rewrite is the parsed line as the printer writes it; an error if that is not
// the same line.
func rewrite(file *syntax.File, lang syntax.LangVariant) (string, error) {
	printed := func(f *syntax.File) (string, error) {
		var b strings.Builder
		err := syntax.NewPrinter(syntax.SingleLine(false)).Print(&b, f)
		return strings.TrimSuffix(b.String(), "\n"), err
	}
	text, err := printed(file)
	if err != nil {
		return "", refusal("command line", "it cannot be written anew", "")
	}
	again, err := syntax.NewParser(syntax.Variant(lang)).Parse(strings.NewReader(text), "")
	if err != nil {
		return "", refusal("command line", "it cannot be written anew", "")
	}
	if second, err := printed(again); err != nil || second != text {
		return "", refusal("command line", "it cannot be written anew", "")
	}
	return text, nil
}

// Questions are what the host must be asked before the line can be settled; none
// if the line needs nothing of the host.
func (p *Plan) Questions() []hostpath.Question {
	if len(p.a.asked) == 0 {
		return nil
	}
	all := make([]hostpath.Question, len(p.a.asked))
	for i := range p.a.asked {
		all[i] = p.a.asked[i].question
	}
	return all
}

// Settle makes the command with the host's answers to the plan's questions. With
// nil it makes the command of a line whose questions could not be asked, which
// is unknown if there were any. An error is a *Refusal.
func (p *Plan) Settle(answers *hostpath.Answers) (*Command, error) {
	c := &Command{Effects: p.a.effects, Stdin: p.a.stdin, SQL: slices.Clone(p.a.sql), Unknown: slices.Clone(p.a.unknown)}
	c.Facts.Programs, c.Facts.Hosts = slices.Clone(p.a.programs), slices.Clone(p.a.hosts)
	r := renderer{plan: p}
	switch {
	case answers == nil && len(p.a.asked) > 0:
		c.Unknown = append(c.Unknown, Reason{What: "paths", Why: "the host could not be asked where they lead"})
	case answers != nil && len(answers.List) != len(p.a.asked):
		return nil, refusal("paths", "the host's answers are not to these questions", "")
	case answers != nil:
		r.answers = answers.List
		p.apply(c, answers.List)
	}
	for _, argv := range p.a.argv {
		c.Facts.Argv = append(c.Facts.Argv, r.flat(argv))
	}
	if len(c.Unknown) == 0 {
		c.Text = r.line(p.body)
		if len(c.Text) > maxText {
			c.Unknown = append(c.Unknown, Reason{What: "command line", Why: "with the names that its patterns match it is too long"})
		}
		if r.failed != "" {
			c.Unknown = append(c.Unknown, Reason{What: "command line", Why: r.failed})
		}
	}
	if len(c.Unknown) > 0 {
		var err error
		if c.Text, err = rewrite(p.file, p.lang); err != nil {
			return nil, err
		}
	}
	p.effects(c)
	return c, nil
}

// effects completes the effects: none at all is a line that only computes.
func (p *Plan) effects(c *Command) {
	if len(c.Unknown) > 0 {
		c.Effects |= gate.EffectUnknown
	}
	if c.Effects == 0 {
		c.Effects = gate.EffectRead
	}
	c.withoutSQL = c.Effects
	if len(c.SQL) > 0 {
		c.Effects |= gate.EffectUnknown
	}
}

// apply adds what the answers say.
func (p *Plan) apply(c *Command, answers []hostpath.Answer) {
	var reads, writes, paths []string
	for i := range p.a.asked {
		q, answer := &p.a.asked[i], &answers[i]
		if q.probe || answer.Infeasible || q.inside > 0 && !directory(&answers[q.inside-1]) {
			continue
		}
		c.Unknown = append(c.Unknown, q.check(answer)...)
		if i := slices.IndexFunc(p.a.placings[:q.placed], func(x placing) bool { return x.links(answers) }); i >= 0 {
			c.Unknown = append(c.Unknown, p.a.placings[i].reason(q.what))
		}
		c.Labels = append(c.Labels, answer.Labels()...)
		for _, place := range answer.Places {
			if place.Real == "" || place.Kind == hostpath.Missing && place.Name == "-" {
				continue
			}
			paths = append(paths, place.Real)
			switch q.question.Use {
			case hostpath.Read, hostpath.Recurse, hostpath.Walk, hostpath.List, hostpath.Repository:
				reads = append(reads, place.Real)
			case hostpath.Write, hostpath.Create, hostpath.Delete, hostpath.Fill:
				writes = append(writes, place.Real)
			}
		}
	}
	c.Unknown = append(c.Unknown, p.written(answers)...)
	missing := false
	for i := range p.a.asked {
		missing = missing || p.a.asked[i].stays && !answers[i].Infeasible
	}
	if missing && len(writes) > 0 {
		// The shell would end in the middle where the line makes the directory itself.
		c.Unknown = append(c.Unknown, Reason{"cd", "the directory is not there yet, and the line writes", "send the commands one after the other"})
	}
	for _, x := range p.a.placings {
		if x.repeats && x.links(answers) {
			c.Unknown = append(c.Unknown, x.reason("command line"))
		}
	}
	slices.Sort(c.Labels)
	c.Labels = slices.Compact(c.Labels)
	c.Facts.Reads, c.Facts.Writes, c.Facts.Paths = unique(reads), unique(writes), unique(paths)
}

// gitFiles are paths that may be settings of git, or make a repository of a directory.
var gitFiles = regexp.MustCompile(`/\.git(/|$)|/(\.?gitconfig|config|config\.worktree|HEAD|commondir|gitdir)$`)

// written are the reasons against a line that writes what the host was asked to read for
// it: git's settings, and lists of checksums.
func (p *Plan) written(answers []hostpath.Answer) (all []Reason) {
	var places []hostpath.Place
	filled := false
	for i := range p.a.asked {
		if use := p.a.asked[i].question.Use; !answers[i].Infeasible && writes(use) {
			places = append(places, answers[i].Places...)
			filled = filled || use == hostpath.Fill
		}
	}
	for i := range p.a.asked {
		q := &p.a.asked[i]
		if answers[i].Infeasible || !q.settings && !q.question.List {
			continue
		}
		list := answers[i].Places[:min(1, len(answers[i].Places))] // the files that it names come behind it
		by := func(w hostpath.Place) bool {
			return q.settings && gitFiles.MatchString(w.Real) || q.question.List && slices.ContainsFunc(list, func(r hostpath.Place) bool {
				return r.Real == w.Real || w.Kind != hostpath.Missing && r.Identity == w.Identity
			})
		}
		if filled || slices.ContainsFunc(places, by) {
			all = append(all, Reason{short(q.what), "the line writes what it goes by", "send the commands one after the other"})
		}
	}
	return all
}

// links reports whether the command puts more there than regular files.
func (x *placing) links(answers []hostpath.Answer) bool {
	if x.from == x.to {
		return true
	}
	return slices.ContainsFunc(answers[x.from:x.to], func(a hostpath.Answer) bool {
		return !a.Infeasible && (a.Refused != "" || slices.ContainsFunc(a.Places, func(p hostpath.Place) bool { return p.Kind != hostpath.File }))
	})
}

func (x *placing) reason(what string) Reason {
	return Reason{short(what), x.name + ", before it or beside it, can put a link where the path leads", "send the commands one after the other"}
}

// again reads what runs again, or beside what stands before it.
func (a *analysis) again(read func()) {
	before := a.repeats
	a.repeats = true
	read()
	a.repeats = before
}

// directory reports whether a path may be a directory. Why it cannot be told is among
// the reasons.
func directory(a *hostpath.Answer) bool {
	return len(a.Places) != 1 || a.Places[0].Kind == hostpath.Directory
}

func unique(all []string) []string {
	slices.Sort(all)
	return slices.Compact(all)
}

// check says what speaks against an answer.
func (q *asked) check(a *hostpath.Answer) []Reason {
	var all []Reason
	add := func(what, why, instead string) { all = append(all, Reason{what, why, instead}) }
	if a.Refused != "" {
		add(q.what, a.Refused, "")
	}
	if q.matched && (len(a.Places) == 0 || slices.ContainsFunc(a.Places, func(p hostpath.Place) bool { return p.Kind == hostpath.Missing })) {
		add(q.what, "it is not there, and what is meant then is known only when it runs", "")
	}
	if q.question.Glob && len(a.Places) == 0 { // its own text is the path then
		switch {
		case writes(q.question.Use) && q.inside == 0: // the names in a directory are ours
			add(q.what, "the pattern matches nothing, and its own text would be written to", "name the file")
		case strings.Contains("/"+q.question.Name+"/", "/../"):
			add(q.what, "the pattern matches nothing, and where its own text leads, programs read in different ways", "leave .. out")
		}
	}
	for _, p := range a.Places {
		found := p.Name
		if q.question.Glob && len(p.Labels) > 0 {
			// The agent does not learn from a message which names there are.
			p.Name, p.Refused = q.question.Name, strings.ReplaceAll(p.Refused, p.Name, q.question.Name)
		}
		switch {
		case p.Refused != "":
			add(p.Name, p.Refused, "")
		case q.question.Glob && !printable(found):
			add(q.what, "the pattern matches a name with control characters", "name the files")
		case q.present && p.Kind == hostpath.Missing:
			add(p.Name, "it is not there, and the program would try other names", "write the whole name")
		case q.unmatched:
			add(q.what, "the pattern matches "+short(p.Name)+", and what that would mean here is not known", "quote it")
		case q.option && strings.HasPrefix(found, "-"):
			add(q.what, "the pattern matches "+short(p.Name)+", which would be read as an option", "begin the pattern with ./")
		case q.spaced && strings.ContainsAny(found, " \t\n*?[\\"):
			add(q.what, "the pattern matches "+short(p.Name)+", which would be split", "quote the variable")
		case q.line && !plainLine(found):
			add(q.what, "it prints "+short(p.Name)+", which would be split, or printed by another name", "use find")
		case q.file && p.Kind != hostpath.File:
			add(q.what, short(p.Name)+" is no file, and what is printed of it is known only when it runs", "use ls -d, or find")
		case writes(q.question.Use) && p.Real == "":
			add(p.Name, "the host cannot tell where it would be", "")
		}
		if len(all) > 0 {
			break
		}
	}
	if q.settings {
		all = append(all, checkSettings(a.Settings)...)
	}
	return all
}

// plainLine reports whether a name is one word to xargs, and printed as it is: for letters
// beyond ASCII busybox's ls may print question marks, which can be another file's name.
func plainLine(name string) bool {
	return !strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune("*?[\\'\"", r) })
}

// printable reports whether a person who reads the text sees the name as it is.
func printable(name string) bool {
	return utf8.ValidString(name) && !strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || invisible(r) })
}

func writes(u hostpath.Use) bool {
	return u == hostpath.Write || u == hostpath.Create || u == hostpath.Delete || u == hostpath.Fill
}
