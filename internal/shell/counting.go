package shell

import (
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// counter is the variable that an arithmetic expression assigns; empty if none.
func counter(e syntax.ArithmExpr) string {
	var target syntax.ArithmExpr
	switch x := e.(type) {
	case *syntax.BinaryArithm:
		switch x.Op {
		case syntax.Assgn, syntax.AddAssgn, syntax.SubAssgn, syntax.MulAssgn, syntax.QuoAssgn, syntax.RemAssgn:
			target = x.X
		}
	case *syntax.UnaryArithm:
		if x.Op == syntax.Inc || x.Op == syntax.Dec {
			target = x.X
		}
	}
	if w, is := target.(*syntax.Word); is {
		return w.Lit()
	}
	return ""
}

// counting writes an arithmetic command: a comparison of numbers, or an
// assignment of one to a variable, which then is a number.
func (a *analysis) counting(e syntax.ArithmExpr, s *state) (string, bool) {
	name := counter(e)
	if name == "" {
		return a.arithmeticExpr(e, s, 0)
	}
	if !syntax.ValidName(name) || !a.assignable(name) {
		return "", false
	}
	number := isNumber(s.vars[name])
	switch x := e.(type) {
	case *syntax.UnaryArithm:
		s.set(name, fuzz(true))
		if x.Post {
			return name + x.Op.String(), number
		}
		return x.Op.String() + name, number
	case *syntax.BinaryArithm:
		value, ok := a.arithmeticExpr(x.Y, s, 1)
		// Where the expression fails (a division by zero, text that is no number) the
		// shell goes on, and the variable is what it was: perhaps nothing, and no word.
		s.set(name, fuzz(number || !strings.ContainsAny(value, "/%\x01")))
		return name + " " + x.Op.String() + " " + value, ok && (number || x.Op == syntax.Assgn)
	}
	return "", false
}

// counted reads for ((i = 0; i < n; i++)).
func (a *analysis) counted(c *syntax.ForClause, head *syntax.CStyleLoop, s state, out *statement) state {
	node := &counted{body: &list{}}
	out.node = node
	good := head.Init != nil && head.Cond != nil && head.Post != nil && a.dialect == Bash
	inner := s.clone()
	inner.inLoop = true
	for i, e := range []syntax.ArithmExpr{head.Init, head.Cond, head.Post} {
		if !good {
			break
		}
		if i == 1 {
			widen(&inner, c)
		}
		text, ok := a.counting(e, &inner)
		if i > 0 {
			node.head += "; "
		}
		node.head += text
		good = good && ok && (i != 1 || counter(e) == "")
	}
	if !good {
		a.fail("for ((", "it evaluates the text of a variable that is no number for sure", "use for NAME in WORDS")
		return s
	}
	before, taken := inner.clone(), len(a.taken)
	node.body = a.statements(c.Do, &inner)
	a.turns(before, inner, "", a.taken[taken:])
	after := merge(before, inner)
	after.inLoop = s.inLoop
	return after
}
