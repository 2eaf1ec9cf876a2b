package shell

import (
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"

	"github.com/sallyport-gateway/sallyport/internal/gate"
)

// list is a sequence of statements.
type list struct{ items []*statement }

// statement is one statement with its redirections.
type statement struct {
	not    bool
	node   node
	redirs []redirect
	// processes are the process substitutions among its words; input is the one that
	// it reads as its standard input.
	processes []*process
	input     *process
}

// node is what a statement runs.
type node interface{ render(*renderer) }

type (
	// simple is a simple command; without words it only assigns.
	simple struct {
		assigns []assign
		words   []word
		feed    *feed
		// pin is what the host says of a change of directory.
		pin *pin
		// block is what a call of a function does, in place of words.
		block *nested
	}
	// binary is x && y, x || y or x | y.
	binary struct {
		op   string
		x, y *statement
	}
	// nested is ( list ) or { list; }.
	nested struct {
		open, end string
		body      *list
	}
	// branch is one arm of if.
	branch struct{ condition, body *list }
	// conditional is if.
	conditional struct {
		arms      []branch
		otherwise *list
	}
	// loop is while or until.
	loop struct {
		keyword         string
		condition, body *list
	}
	// every is for.
	every struct {
		name  string
		items []word
		body  *list
	}
	// choice is case.
	choice struct {
		subject word
		arms    []arm
	}
	arm struct {
		patterns []string
		body     *list
	}
	// regular is [[ word =~ expression ]].
	regular struct {
		left       word
		expression string
	}
	// counting is (( expression )).
	counting struct{ text string }
	// counted is for (( ; ; )).
	counted struct {
		head string
		body *list
	}
	// timed is the keyword time.
	timed struct {
		portable bool
		body     *statement
	}
)

type assign struct {
	name  string
	value word
	// array are the values of an array.
	array   []word
	isArray bool
}

// fail notes that something was not understood.
func (a *analysis) fail(what, why, instead string) {
	a.effects |= gate.EffectUnknown
	if len(a.unknown) < 32 {
		a.unknown = append(a.unknown, Reason{short(what), why, instead})
	}
}

// statements reads a sequence.
func (a *analysis) statements(stmts []*syntax.Stmt, s *state) *list {
	l := &list{}
	if s.depth++; s.depth > maxDepth {
		a.fail("command line", "it is nested too deeply", "")
		return l
	}
	for _, st := range stmts {
		ok, bad := a.statement(st, *s, l)
		*s = merge(ok, bad)
		s.depth = ok.depth
		s.feed = nil // what the first leaves of the names may begin within one
	}
	s.depth--
	return l
}

// statement reads one statement into the list. The states are those after its
// success and after its failure.
func (a *analysis) statement(st *syntax.Stmt, s state, l *list) (ok, bad state) {
	out := &statement{not: st.Negated}
	l.items = append(l.items, out)
	switch {
	case st.Background || st.Coprocess || st.Disown:
		a.fail("&", "work in the background goes on when nobody sees it", "run it in the foreground")
	case st.Cmd == nil && len(st.Redirs) == 0:
		a.fail("command line", "a part of it is empty", "")
	}
	inner := s
	before := a.processes
	a.processes = nil
	for _, r := range st.Redirs {
		n := len(out.redirs)
		a.redirect(r, &inner, out)
		if len(out.redirs) == n || slices.ContainsFunc(out.redirs[n:], func(d redirect) bool { return !d.answersOnly() }) {
			inner.feed = nil
		}
	}
	if out.input != nil && !slices.ContainsFunc(out.redirs, func(d redirect) bool { return d.target == nil || !strings.Contains(d.op, ">") }) {
		inner.feed = feedOf(out.input.body)
	}
	ok, bad = a.command(st.Cmd, inner, out)
	a.finish(out, before)
	if slices.ContainsFunc(out.redirs, func(d redirect) bool { return d.target == nil || !d.target.is("/dev/null") }) {
		bad = merge(bad, s) // a redirection that fails keeps the command from running
	}
	ok.piped, bad.piped, ok.feed, bad.feed = s.piped, s.piped, s.feed, s.feed
	if st.Negated {
		ok, bad = bad, ok
	}
	return ok, bad
}

// feedOf are the names of files that a list prints, if it prints nothing else.
func feedOf(l *list) *feed {
	if len(l.items) != 1 || l.items[0].not || slices.ContainsFunc(l.items[0].redirs, func(d redirect) bool { return !d.discards() }) {
		return nil
	}
	switch n := l.items[0].node.(type) {
	case *simple:
		return n.feed
	case *binary:
		if n.op == "|" {
			return feedOf(&list{items: []*statement{n.y}})
		}
	}
	return nil
}

// command reads what a statement runs.
func (a *analysis) command(cmd syntax.Command, s state, out *statement) (ok, bad state) {
	switch c := cmd.(type) {
	case nil:
		if a.dialect == Zsh {
			a.fail("redirection", "without a command zsh runs $NULLCMD", "use cat")
		}
		out.node = &simple{}
		return s, s
	case *syntax.CallExpr:
		return a.simple(c, s, out)
	case *syntax.BinaryCmd:
		return a.binary(c, s, out)
	case *syntax.Subshell:
		after := s.clone()
		after.inLoop = false
		out.node = &nested{"(", ")", a.statements(c.Stmts, &after)}
		return s, s
	case *syntax.Block:
		if cd, stays := pinned(c); cd != nil {
			ok, bad := a.simple(cd, s, out)
			if n, is := out.node.(*simple); is && n.pin != nil {
				n.pin.typed, n.pin.stays = true, stays
			}
			return ok, bad
		}
		after := s.clone()
		out.node = &nested{"{", "}", a.statements(c.Stmts, &after)}
		return after, after
	case *syntax.IfClause:
		after := a.conditional(c, s, out)
		return after, after
	case *syntax.WhileClause:
		var after state
		a.again(func() { after = a.loop(c, s, out) })
		return after, after
	case *syntax.ForClause:
		var after state
		a.again(func() { after = a.every(c, s, out) })
		return after, after
	case *syntax.CaseClause:
		after := a.choice(c, s, out)
		return after, after
	case *syntax.TestClause:
		out.node = a.extendedTest(c.X, &s)
		return s, s
	case *syntax.TimeClause:
		return a.timed(c, s, out)
	case *syntax.DeclClause:
		return a.declare(c, s, out)
	case *syntax.FuncDecl:
		after := a.define(c, s, out)
		return after, after
	case *syntax.ArithmCmd:
		text, ok := a.counting(c.X, &s)
		if !ok || c.Unsigned {
			a.fail("((", "it evaluates the text of a variable that is no number for sure", "use [ ... ] and $(( ... ))")
		}
		out.node = &counting{text}
	case *syntax.LetClause:
		a.fail("let", "it evaluates the text of variables", "use $(( ... ))")
	case *syntax.CoprocClause:
		a.fail("coproc", "work in the background goes on when nobody sees it", "")
	default:
		a.fail("command line", "a construct of it is not understood", "")
	}
	return s, s
}

// binary reads and-lists, or-lists and pipelines.
func (a *analysis) binary(c *syntax.BinaryCmd, s state, out *statement) (ok, bad state) {
	x, y := &list{}, &list{}
	b := &binary{}
	out.node = b
	if s.depth++; s.depth > maxDepth*8 {
		a.fail("command line", "it has too many parts", "")
		b.op, b.x, b.y = "&&", &statement{node: &simple{}}, &statement{node: &simple{}}
		return s, s
	}
	switch c.Op {
	case syntax.AndStmt:
		b.op = "&&"
		ok1, bad1 := a.statement(c.X, s, x)
		ok1.feed = nil
		ok2, bad2 := a.statement(c.Y, ok1, y)
		ok, bad = ok2, merge(bad1, bad2)
	case syntax.OrStmt:
		b.op = "||"
		ok1, bad1 := a.statement(c.X, s, x)
		bad1.feed = nil
		ok2, bad2 := a.statement(c.Y, bad1, y)
		ok, bad = merge(ok1, ok2), bad2
	case syntax.Pipe, syntax.PipeAll:
		// The parts of a pipeline run in subshells, but zsh and some others run
		// the last in the shell itself: what it changes may stand or not.
		b.op = "|"
		a.statement(c.X, s.clone(), x)
		if c.Op == syntax.PipeAll {
			last := x.items[len(x.items)-1]
			last.redirs = append(last.redirs, redirect{op: "2>&1"})
		}
		right := s.clone()
		right.piped, right.feed = true, nil
		right.feed = feedOf(x)
		var ok2, bad2 state
		a.again(func() { ok2, bad2 = a.statement(c.Y, right, y) })
		after := merge(s, merge(ok2, bad2))
		after.piped, after.feed = s.piped, s.feed
		ok, bad = after, after
	default:
		a.fail("command line", "an operator of it is not understood", "")
		return s, s
	}
	ok.depth, bad.depth = s.depth-1, s.depth-1
	b.x, b.y = x.items[0], y.items[0]
	return ok, bad
}

// conditional reads if.
func (a *analysis) conditional(c *syntax.IfClause, s state, out *statement) state {
	node := &conditional{}
	out.node = node
	var after []state
	rest := s.clone()
	for ; c != nil; c = c.Else {
		if !c.ThenPos.IsValid() {
			taken := rest.clone()
			node.otherwise = a.statements(c.Then, &taken)
			after = append(after, taken)
			rest = taken
			break
		}
		condition := a.statements(c.Cond, &rest)
		taken := rest.clone()
		node.arms = append(node.arms, branch{condition, a.statements(c.Then, &taken)})
		after = append(after, taken)
	}
	out2 := rest
	for _, t := range after {
		out2 = merge(out2, t)
	}
	return out2
}

// choice reads case.
func (a *analysis) choice(c *syntax.CaseClause, s state, out *statement) state {
	s.feed = nil
	node := &choice{subject: a.plain(c.Word, &s)}
	out.node = node
	after := s.clone()
	for _, item := range c.Items {
		if item.Op != syntax.Break {
			a.fail(item.Op.String(), "falling through to the next branch is not understood", "end branches with ;;")
		}
		var m arm
		for _, p := range item.Patterns {
			m.patterns = append(m.patterns, a.casePattern(p))
		}
		taken := s.clone()
		m.body = a.statements(item.Stmts, &taken)
		node.arms = append(node.arms, m)
		after = merge(after, taken)
	}
	if c.Braces {
		a.fail("case", "this form is not understood", "")
	}
	return after
}

// timed reads the keyword time.
func (a *analysis) timed(c *syntax.TimeClause, s state, out *statement) (ok, bad state) {
	node := &timed{portable: c.PosixFormat}
	out.node = node
	l := &list{}
	if c.Stmt == nil {
		a.fail("time", "without a command it is not understood", "")
		node.body = &statement{node: &simple{}}
		return s, s
	}
	a.program("time")
	s.depth++
	ok, bad = a.statement(c.Stmt, s, l)
	ok.depth, bad.depth = s.depth-1, s.depth-1
	node.body = l.items[0]
	return ok, bad
}

// declare reads export and its like: only harmless variables.
func (a *analysis) declare(c *syntax.DeclClause, s state, out *statement) (ok, bad state) {
	node := &simple{}
	out.node = node
	if c.Variant.Value == "declare" && a.dialect == Bash {
		for _, arg := range c.Args {
			if arg.Name == nil && arg.Value != nil && arg.Value.Lit() == "-a" {
				continue
			}
			a.assign(arg, true, &s, node)
		}
		return s, s
	}
	if c.Variant.Value == "local" && a.dialect == Bash && s.called {
		return a.local(c, s, out)
	}
	if c.Variant.Value != "export" {
		a.fail(c.Variant.Value, "it changes what variables mean", "assign with NAME=VALUE")
		return s, s
	}
	words := []word{lit("export")}
	for _, arg := range c.Args {
		if arg.Name == nil || arg.Naked || arg.Value == nil || arg.Index != nil || arg.Array != nil || arg.Append {
			a.fail("export", "only export NAME=VALUE is understood", "")
			return s, s
		}
		value := a.plain(arg.Value, &s)
		if value.form != static || !a.harmlessVariable(arg.Name.Value, value.text) {
			a.fail("export "+arg.Name.Value, "the variable can change what programs do", "")
			return s, s
		}
		words = append(words, lit(arg.Name.Value+"="+value.text))
		s.set(arg.Name.Value, value)
	}
	out.node = &simple{words: words}
	a.record("export", words)
	return s, s
}
