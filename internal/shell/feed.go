package shell

import (
	"regexp"
	"slices"

	"mvdan.cc/sh/v3/syntax"

	"github.com/sallyport-gateway/sallyport/internal/hostpath"
)

// readNames understands the condition of while read NAME behind a command that prints
// names of known files: the variable is one of them. The names end in NUL on the way,
// because a line of a name with a newline in it could name any file.
func (a *analysis) readNames(f *feed, condition *list, s *state) (name string) {
	if a.dialect != Bash || len(condition.items) != 1 || len(condition.items[0].redirs) > 0 || condition.items[0].not {
		return ""
	}
	read, is := condition.items[0].node.(*simple)
	if !is || len(read.words) < 2 || !read.words[0].is("read") || !f.nul && f.end == nil {
		return ""
	}
	words := slices.DeleteFunc(slices.Clone(read.words[1:]), func(w word) bool { return w.is("-r") })
	delimited := len(words) == 3 && words[0].is("-d") && words[1].is("")
	if delimited {
		words = words[2:]
	}
	// The shell sets $_ anew with each command.
	if len(words) != 1 || words[0].form != static || !syntax.ValidName(words[0].text) || words[0].is("_") || delimited != f.nul {
		return ""
	}
	if !f.nul {
		f.end()
	}
	read.assigns = []assign{{name: "IFS", value: lit("")}}
	read.words = append(f.read(), words[0])
	s.set(words[0].text, foundBelow(f.roots))
	return words[0].text
}

// read is how a shell reads one name.
func (f *feed) read() []word {
	if f.plain {
		return lits("read", "-r")
	}
	return lits("read", "-r", "-d", "")
}

// listFeed notes that ls prints names of files, in lines, where it is given those of
// files: of a directory it would print what lies there, by other names.
func (c *call) listFeed(in *input, from int) {
	if !c.own || c.name != "ls" || len(in.operands) == 0 {
		return
	}
	_, itself := in.has("-d")
	f := &feed{plain: true}
	for _, g := range in.given {
		if !listed[g.name] {
			return
		}
	}
	for _, i := range in.operands {
		w := c.args[i]
		if w.form != static && (w.form != pattern || w.home) || !itself && !suffixed.MatchString(w.text) {
			return
		}
		w.from = c.s.dirs
		f.roots = append(f.roots, w)
	}
	f.from, f.to = from, len(c.a.asked)
	f.end = func() {
		for i := f.from; i < f.to; i++ {
			c.a.asked[i].line, c.a.asked[i].file = true, !itself
		}
	}
	c.feed = f
}

// newest reads $(ls -t PATTERN | head -1): one of the names that the pattern matches.
func (a *analysis) newest(body *list, s *state) (value *word, is bool) {
	if a.dialect == Zsh || len(body.items) != 1 {
		return nil, false
	}
	f := feedOf(body)
	pipe, is := body.items[0].node.(*binary)
	if f == nil || !is || !f.plain || f.end == nil || f.to == f.from {
		return nil, false
	}
	first, is := pipe.y.node.(*simple)
	if !is || len(first.words) < 2 || !first.words[0].is("head") && !first.words[0].is("tail") {
		return nil, false
	}
	if only := first.words[1:]; !(len(only) == 1 && (only[0].is("-1") || only[0].is("-n1")) || len(only) == 2 && only[0].is("-n") && only[1].is("1")) {
		return nil, false
	}
	if names, is := pipe.x.node.(*simple); !is || len(names.words) == 0 || !names.words[0].is("ls") {
		return nil, false // of what a filter lets through there may be nothing
	}
	if slices.ContainsFunc(f.roots, func(w word) bool { return w.begins("-") || w.begins("+") }) {
		return nil, false
	}
	one := *f
	one.dirs = s.dirs
	one.end = func() {
		f.end()
		for i := f.from; i < f.to; i++ {
			a.asked[i].matched = true
		}
	}
	return &word{form: each, alternatives: f.roots, feed: &one}, true
}

// newest asks the host that what ls prints are names as they stand, and that there are
// some; false if another path could be meant by them here.
func (w *word) newest(s *state, use hostpath.Use) bool {
	if !sameDirectories(w.feed.dirs, s.dirs) || !slices.Contains([]hostpath.Use{hostpath.Read, hostpath.Stat, hostpath.List, hostpath.Walk, hostpath.Recurse}, use) {
		return false
	}
	w.feed.end()
	return true
}

// suffixed are names that directories hardly have: of others it is not asked whether
// they are files, because what ls prints of a directory may be no more than data.
var suffixed = regexp.MustCompile(`[^/]\.[a-zA-Z0-9]+$`)

// listed are the options under which ls prints names as they were given, in any order.
var listed = set("-1 -t -r -S -X -v -U -d -a -A --sort --reverse")

// aside is the body of a loop that reads names: a command in it that read from the
// same input would leave the rest of a name for the next turn.
func aside(body *list) *list {
	redirs := []redirect{{op: "<", target: &word{form: static, text: "/dev/null"}}}
	if len(body.items) == 1 && len(body.items[0].redirs) == 1 {
		block, is := body.items[0].node.(*nested)
		if d := body.items[0].redirs[0]; is && block.open == "{" && d.op == "<" && d.target != nil && d.target.is("/dev/null") {
			return body
		}
	}
	return &list{items: []*statement{{node: &nested{"{", "}", body}, redirs: redirs}}}
}

// names reads for NAME in $(find ...), where the command prints names of known files,
// as a loop that reads them; false if it is not that.
func (a *analysis) names(c *syntax.ForClause, item word, s *state, out *statement) (state, bool) {
	if a.dialect != Bash || s.depth > 1 || len(item.parts) != 1 || item.parts[0].body == nil || len(out.redirs) > 0 || out.input != nil {
		return state{}, false
	}
	f := feedOf(item.parts[0].body)
	name := c.Loop.(*syntax.WordIter).Name.Value
	if f == nil || f.nul || f.end == nil {
		return state{}, false
	}
	f.end()
	inner := s.clone()
	inner.inLoop = true
	widen(&inner, c)
	inner.set(name, foundBelow(f.roots))
	before, taken := inner.clone(), len(a.taken)
	body := a.statements(c.Do, &inner)
	a.turns(before, inner, name, a.taken[taken:])
	a.processed = true
	out.input = &process{body: item.parts[0].body}
	out.node = &loop{keyword: "while",
		condition: &list{items: []*statement{{node: &simple{assigns: []assign{{name: "IFS", value: lit("")}}, words: append(f.read(), lit(name))}}}},
		body:      &list{items: []*statement{{node: &nested{"{", "}", body}, redirs: []redirect{{op: "<&" + keptInput}}}}}}
	after := merge(before, inner)
	after.set(name, fuzz(false))
	after.inLoop = s.inLoop
	return after, true
}

// elements are the words of "${NAME[@]}", where the line has set the array to words
// that are known.
func (a *analysis) elements(w *syntax.Word, s *state) (word, bool) {
	if len(w.Parts) != 1 {
		return word{}, false
	}
	quoted, is := w.Parts[0].(*syntax.DblQuoted)
	if !is || quoted.Dollar || len(quoted.Parts) != 1 {
		return word{}, false
	}
	x, is := quoted.Parts[0].(*syntax.ParamExp)
	if !is || x.Index == nil || x.Param == nil {
		return word{}, false
	}
	value := s.vars[x.Param.Value]
	index, is := x.Index.(*syntax.Word)
	if !is || index.Lit() != "@" || !value.whole || len(value.alternatives) == 0 || len(a.element(x, s, true)) != 1 {
		return word{}, false
	}
	return word{form: each, alternatives: value.alternatives, parts: []part{{text: "${" + x.Param.Value + "[@]}", expansion: true, quoted: true}}}, true
}

// filterFeed notes that a filter passes on names that it is fed, line by line.
func (c *call) filterFeed(p *Program, in *input) {
	up := c.s.feed
	if up == nil || !up.nul && up.end == nil || c.feed != nil {
		return
	}
	zero := slices.ContainsFunc(in.given, func(g given) bool { return g.name == "-z" })
	if zero != up.nul {
		return
	}
	allowed, patterns := feedFilters[c.name], 0
	if c.name == "grep" {
		patterns = 1
		if in.mode("none") {
			return
		}
	}
	if allowed == nil || len(in.operands) != patterns {
		return
	}
	for _, g := range in.given {
		if !allowed[g.name] && g.name != "-z" {
			return
		}
	}
	if up.nul {
		c.feed = &feed{roots: up.roots, nul: true}
		return
	}
	if slices.ContainsFunc(c.args, func(w word) bool { return w.is("--") }) {
		return
	}
	c.feed = &feed{roots: up.roots, end: up.end, plain: up.plain, from: up.from, to: up.to}
	if up.plain {
		return
	}
	c.feedWords = func() []word { return append(slices.Clone(c.args), lit("-z")) }
}

// feedFilters are the filters that print some of the lines that they read, as they
// are, with the options under which they do, and that take -z for lines that end in
// NUL.
var feedFilters = map[string]map[string]bool{
	"sort": set("-r -u -n -V -f -R -h --reverse --unique"),
	"uniq": set("-u -d"),
	"head": set("-n --lines"),
	"tail": set("-n --lines"),
	"grep": set("-v -i -E -F -w"),
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
		if w := c.args[i]; w.form != dynamic && !w.may("-") {
			w.from = c.s.dirs
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
