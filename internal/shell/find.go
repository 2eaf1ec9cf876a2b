package shell

import (
	"regexp"
	"slices"
	"strings"

	"github.com/sallyport-gateway/sallyport/internal/gate"
)

// find understands find's expression. What -exec runs is understood as a
// command, in which the found paths lie below the roots.
func (c *call) find(p *Program, from int) {
	c.effect(0)
	i := from
	follow, root := false, false
	for ; i < len(c.args) && c.args[i].form == static; i++ {
		switch c.args[i].text {
		case "-P":
			continue
		case "-H":
			root = true
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
	f := &finder{call: c, roots: slices.Clone(c.args[first:i]), i: i, kind: Walk}
	if len(f.roots) == 0 {
		f.roots = lits(".")
	}
	if !f.expression() {
		return
	}
	deletes := f.kind == Remove
	switch {
	case follow || f.follow:
		f.kind = Follow
	case f.shallow && !f.opens && f.kind == Walk:
		// At a depth of one only the names in the directory are looked at.
		f.kind = List
	case root && f.kind == Walk:
		f.kind = Recurse
	}
	f.feeds(first, i)
	for j := range f.roots {
		f.roots[j].from = c.s.dirs
		if !c.use(f.kind, &f.roots[j], nil, "", false) || deletes && f.kind != Remove && !c.use(Remove, &f.roots[j], nil, "", false) {
			return
		}
		if first+j < i {
			c.args[first+j] = f.roots[j]
		}
	}
}

type finder struct {
	*call
	roots []word
	i     int
	kind  Kind
	// follow: what links lead to is looked at.
	follow bool
	// prints are where actions stand that print; other is any other action.
	prints []int
	other  bool
	// shallow: no more than the entries of the roots are looked at.
	shallow bool
	// opens: what is found is opened, or a program is run on it.
	opens bool
}

// feeds notes that find prints nothing but the names of what it finds.
func (f *finder) feeds(first, expression int) {
	if f.other || len(f.prints) > 1 || f.kind == Remove {
		return
	}
	c := f.call
	if len(f.prints) == 1 && c.args[f.prints[0]].is("-print0") {
		c.feed = &feed{roots: f.roots, nul: true}
		return
	}
	c.feed = &feed{roots: f.roots}
	prints := f.prints
	c.feedWords = func() []word {
		if len(prints) == 1 {
			all := slices.Clone(c.args)
			all[prints[0]] = lit("-print0")
			return all
		}
		// Without an action the whole expression prints; options that are no
		// tests stay in front.
		at := expression
		for at < len(c.args) && c.args[at].form == static && findOptions[c.args[at].text] > 0 {
			at += findOptions[c.args[at].text]
		}
		if at >= len(c.args) {
			return append(slices.Clone(c.args), lit("-print0"))
		}
		return slices.Concat(c.args[:at], lits("("), c.args[at:], lits(")", "-print0"))
	}
}

// findOptions are the words of an expression that are options, with how many
// words they take.
var findOptions = map[string]int{"-maxdepth": 2, "-mindepth": 2, "-mount": 1, "-xdev": 1, "-depth": 1, "-d": 1, "-follow": 1, "-noleaf": 1, "-daystart": 1}

// The tests and actions of find without a value, and with one that is data, a
// number, or a path that is looked at (find(1)).
var (
	findFlags = set("( ) ! , -not -a -and -o -or -depth -d -mount -xdev -noleaf -daystart -true -false -nouser -nogroup " +
		"-prune -quit -nowarn -warn -ignore_readdir_race -noignore_readdir_race")
	// What links lead to decides in these.
	findFollows = set("-follow -readable -writable -executable")
	findValues  = set("-name -iname -path -ipath -wholename -iwholename -regex -iregex -regextype -type -xtype -size -mtime -atime -ctime -mmin -amin " +
		"-cmin -user -group -uid -gid -perm -links -inum -maxdepth -mindepth -newermt -newerat -newerct -lname -ilname -fstype -used -printf")
	findPaths = set("-newer -anewer -cnewer -samefile")
)

// targetType is the directive of -printf for the type of what a link leads to; behind A,
// B, C and T the letter is that of the year.
var targetType = regexp.MustCompile(`%[^A-Za-z%]*Y`)

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
		case name == "-print", name == "-print0":
			f.prints = append(f.prints, f.i)
		case name == "-ls":
			f.other = true
		case name == "-empty":
			f.opens = true
		case findFlags[name]:
		case findFollows[name]:
			f.follow = true
		case findValues[name]:
			f.other = f.other || name == "-printf"
			f.follow = f.follow || name == "-xtype" || name == "-printf" && f.i+1 < len(f.args) && (f.args[f.i+1].form != static || targetType.MatchString(f.args[f.i+1].text))
			if next := f.i + 1; name == "-maxdepth" && next < len(f.args) {
				f.shallow = f.args[next].is("0") || f.args[next].is("1")
			}
			kind := Text
			if strings.HasPrefix(name, "-newer") {
				kind = Date
			}
			ok = f.value(name, kind)
		case findPaths[name]:
			ok = f.value(name, Stat)
		case name == "-delete":
			f.kind = Remove
			f.effect(gate.EffectDelete)
		case name == "-exec", name == "-execdir":
			f.other, f.opens = true, true
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
	inner := &call{a: f.a, s: f.s.unfed(), name: name, typed: f.args[from], args: slices.Clone(f.args[from+1 : end])}
	if f.args[end].is("+") {
		// The last {} becomes any number of paths: three stand for them.
		inner.args = append(inner.args, lits("{}", "{}")...)
	}
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
	f.a.again(inner.external)
	f.a.program(name)
	if len(f.a.unknown) > before {
		return false
	}
	for _, q := range f.a.asked[questions:] {
		// An absolute path can lead back there, through /proc or a link to it.
		if action == "-execdir" && !q.below && q.question.Name != "/dev/null" {
			f.fail(action, "a path is meant where each file is", "use -exec")
			return false
		}
	}
	kept := inner.args
	if f.args[end].is("+") {
		kept = kept[:max(0, len(kept)-2)]
	}
	if !slices.Equal(shape(kept), shape(f.args[from+1:end])) {
		f.fail(name, "it needs words of its own before its arguments", "")
		return false
	}
	f.i = end
	return true
}

// found is what {} can be: a path below any root, which is asked for with
// everything below.
func (f *finder) found() word { return foundBelow(f.roots) }

func foundBelow(roots []word) word {
	w := word{form: each, parts: []part{{text: "{}"}}}
	for _, r := range roots {
		all := []word{r}
		if r.form == each {
			all = r.alternatives
		}
		for _, one := range all {
			one.asked = nil
			one.below = true
			w.alternatives = append(w.alternatives, one)
		}
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
