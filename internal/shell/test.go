package shell

import (
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"

	"github.com/sallyport-gateway/sallyport/internal/gate"
	"github.com/sallyport-gateway/sallyport/internal/hostpath"
)

var (
	fileTests   = []string{"-e", "-f", "-d", "-r", "-w", "-x", "-s", "-L", "-h", "-p", "-S", "-b", "-c", "-g", "-u", "-k", "-O", "-G", "-N"}
	stringTests = []string{"-n", "-z"}
	numberTests = []string{"-eq", "-ne", "-gt", "-ge", "-lt", "-le"}
	wordTests   = []string{"=", "==", "!=", "<", ">"}
	pairTests   = []string{"-nt", "-ot", "-ef"}
)

// test understands the arguments of test and [: what compares data, and what
// looks at files (POSIX.1-2024, test). Its grammar goes by the number of
// arguments, so that no argument may become more than one.
func (c *call) test(args []word) {
	c.effect(0)
	for i := range args {
		w := &args[i]
		if w.form == dynamic && w.split {
			if w.many || len(args) != 3 && !(len(args) == 4 && args[0].is("!")) {
				c.fail(w.source(), "it may become several words or none", `put one value in "..."`)
				return
			}
			quoteAll(w)
		}
		if w.form == pattern && !w.is("[") {
			c.literally(w)
		}
	}
	c.expression(args, len(args) > 4)
}

// quoteAll puts what is unquoted in quotes.
func quoteAll(w *word) {
	w.parts = slices.Clone(w.parts)
	for i := range w.parts {
		w.parts[i].quoted = true
	}
	w.split = w.many
}

// expression understands one expression; -a and -o join several. Among so many words
// that their number does not tell what each is, one that stands alone must be none that
// can be an operator: what follows it would be another's operand, perhaps a file.
func (c *call) expression(args []word, many bool) {
	for i := 1; i < len(args)-1; i++ {
		if args[i].is("-a") || args[i].is("-o") {
			c.expression(args[:i], many)
			c.expression(args[i+1:], many)
			return
		}
	}
	if len(args) > 1 && args[0].is("!") {
		c.expression(args[1:], many)
		return
	}
	op := func(i int) string {
		if args[i].form == static {
			return args[i].text
		}
		return ""
	}
	switch {
	case len(args) == 0:
	case len(args) == 1:
		if args[0].form == static && strings.HasPrefix(args[0].text, "-") && args[0].text != "-" {
			c.fail(args[0].text, "its operand is missing", "")
		}
		if many && args[0].some(func(one *word) bool { p := one.prefix(); return p == "" || strings.Contains("-!()", p[:1]) }) {
			c.fail(args[0].source(), "among so many words it may be taken for an operator", "write each test in its own [ ... ], joined by && and ||")
		}
	case len(args) == 2 && slices.Contains(stringTests, op(0)):
	case len(args) == 2 && op(0) == "-t" && isNumber(args[1]):
	case len(args) == 2 && slices.Contains(fileTests, op(0)):
		link := op(0) == "-L" || op(0) == "-h"
		c.a.place(&args[1], c.s, hostpath.Question{Use: hostpath.Stat, Follow: !link}, c.name, true)
	case len(args) == 3 && slices.Contains(wordTests, op(1)):
	case len(args) == 3 && slices.Contains(numberTests, op(1)):
		for _, i := range []int{0, 2} {
			c.number(&args[i])
		}
	case len(args) == 3 && slices.Contains(pairTests, op(1)):
		for _, i := range []int{0, 2} {
			c.a.place(&args[i], c.s, hostpath.Question{Use: hostpath.Stat, Follow: true}, c.name, true)
		}
	default:
		c.fail("", "the expression is not understood", "use [ -f FILE ], [ A = B ], [ N -gt M ], joined by && and ||")
	}
}

// number is an operand of a numeric test, which zsh evaluates.
func (c *call) number(w *word) {
	switch {
	case w.form == static && strings.Trim(w.text, "0123456789- ") == "", isNumber(*w), w.form == each && allNumbers(w.alternatives):
	case w.form == dynamic && c.a.dialect != Zsh:
	default:
		c.fail(w.source(), "it is not known to be a number", "")
	}
}

// extendedTest understands [[ ... ]] as far as [ ... ] means the same, and
// writes that.
func (a *analysis) extendedTest(x syntax.TestExpr, s *state) node {
	st := a.testStatement(x, s, 0)
	if r, is := st.node.(*regular); is {
		return r
	}
	return &nested{"{", "}", &list{items: []*statement{st}}}
}

func (a *analysis) testStatement(x syntax.TestExpr, s *state, depth int) *statement {
	fail := func(what, why, instead string) *statement {
		a.fail(what, why, instead)
		return &statement{node: &simple{words: lits("false")}}
	}
	if depth > maxDepth {
		return fail("[[", "it is nested too deeply", "")
	}
	switch t := x.(type) {
	case *syntax.ParenTest:
		inner := a.testStatement(t.X, s, depth+1)
		return &statement{node: &nested{"{", "}", &list{items: []*statement{inner}}}}
	case *syntax.UnaryTest:
		if t.Op == syntax.TsNot {
			inner := a.testStatement(t.X, s, depth+1)
			return &statement{not: true, node: &nested{"{", "}", &list{items: []*statement{inner}}}}
		}
		w, is := t.X.(*syntax.Word)
		if !is {
			break
		}
		return a.bracket(s, lit(t.Op.String()), a.plain(w, s))
	case *syntax.BinaryTest:
		if t.Op == syntax.AndTest || t.Op == syntax.OrTest {
			op := "&&"
			if t.Op == syntax.OrTest {
				op = "||"
			}
			left, right := a.testStatement(t.X, s, depth+1), a.testStatement(t.Y, s, depth+1)
			inner := &statement{node: &binary{op, left, right}}
			return &statement{node: &nested{"{", "}", &list{items: []*statement{inner}}}}
		}
		x, is1 := t.X.(*syntax.Word)
		y, is2 := t.Y.(*syntax.Word)
		if !is1 || !is2 {
			break
		}
		return a.compare(t.Op.String(), x, y, s)
	case *syntax.Word:
		return a.bracket(s, lit("-n"), a.plain(t, s))
	}
	return fail("[[", "the expression is not understood", "use [ ... ]")
}

// compare understands a comparison within [[.
func (a *analysis) compare(op string, x, y *syntax.Word, s *state) *statement {
	left := a.plain(x, s)
	if op == "=~" {
		return a.regular(left, y)
	}
	right := a.plain(y, s)
	switch op {
	case "==", "=", "!=":
		if op == "==" {
			op = "="
		}
		for _, piece := range a.pieces(y.Parts, s, false) {
			if piece.quoted {
				continue
			}
			switch {
			case piece.part != nil && !piece.part.quoted, piece.value != nil:
				a.fail("[[", "the right side of "+op+" is a pattern", "quote it, or use case")
			case strings.ContainsAny(piece.text, "*?[(\\"):
				return a.matching(left, y, op == "!=")
			}
		}
	case "-eq", "-ne", "-gt", "-ge", "-lt", "-le":
		for _, w := range []word{left, right} {
			if !isNumber(w) {
				// [[ evaluates it as an expression; [ takes a number or fails.
				if w.form == static || w.form == each {
					a.fail(w.source(), "it is evaluated as an expression", "use a number")
				}
			}
		}
	default:
		a.fail("[[ "+op, "this comparison is not understood", "use [ ... ], case or grep")
	}
	return a.bracket(s, left, lit(op), right)
}

// matching writes a comparison with a pattern as case.
func (a *analysis) matching(left word, y *syntax.Word, negated bool) *statement {
	if left.form == dynamic {
		quoteAll(&left)
	}
	a.effects |= gate.EffectRead
	yes, no := "true", "false"
	if negated {
		yes, no = no, yes
	}
	body := func(word string) *list {
		a.record(word, lits(word))
		return &list{items: []*statement{{node: &simple{words: lits(word)}}}}
	}
	return &statement{node: &choice{subject: left, arms: []arm{{[]string{a.casePattern(y)}, body(yes)}, {[]string{"*"}, body(no)}}}}
}

// regular writes a comparison with a regular expression as it is, for characters
// that mean nothing to the shell there.
func (a *analysis) regular(left word, y *syntax.Word) *statement {
	text := ""
	for _, p := range y.Parts {
		l, is := p.(*syntax.Lit)
		if !is {
			a.fail("[[ =~", "the expression is known only when it runs", "write it out")
			return &statement{node: &simple{words: lits("false")}}
		}
		text += l.Value
	}
	// A backslash makes a character of the expression stand for itself.
	bare := text
	for _, c := range `.*+?^$[]/-` {
		bare = strings.ReplaceAll(bare, `\`+string(c), "")
	}
	if a.dialect != Bash || text == "" || strings.Trim(bare, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-^$.*+?[]:/=@%,") != "" || strings.Contains(strings.TrimSuffix(bare, "$"), "$") {
		a.fail("[[ =~", "the expression is not understood", "use grep -q")
	}
	if left.form == dynamic {
		quoteAll(&left)
	}
	return &statement{node: &regular{left, text}}
}

// bracket is the statement [ words ].
func (a *analysis) bracket(s *state, words ...word) *statement {
	c := &call{a: a, s: s, name: "[", typed: lit("["), args: words}
	for i := range words {
		if words[i].form == dynamic {
			quoteAll(&words[i])
		}
	}
	c.test(words)
	all := append(append([]word{lit("[")}, words...), lit("]"))
	a.record("[", all)
	return &statement{node: &simple{words: all}}
}

// casePattern reads one pattern of case.
func (a *analysis) casePattern(w *syntax.Word) string {
	var b strings.Builder
	for _, p := range a.pieces(w.Parts, &state{}, false) {
		switch {
		case p.part != nil, p.value != nil, p.home:
			a.fail("case", "a pattern is known only when it runs", "write it out")
		case p.quoted:
			if p.text != "" {
				b.WriteString(forward(p.text))
			}
		default:
			for _, r := range p.text {
				if strings.ContainsRune("*?[]!^-_./:,=+%@", r) || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
					b.WriteRune(r)
					continue
				}
				b.WriteString(forward(string(r)))
			}
		}
	}
	if b.Len() == 0 {
		return "''"
	}
	return b.String()
}
