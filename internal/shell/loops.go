package shell

import (
	"slices"

	"mvdan.cc/sh/v3/syntax"
)

// every reads for.
func (a *analysis) every(c *syntax.ForClause, s state, out *statement) state {
	out.node = &every{body: &list{}}
	s.feed = nil
	if c3, is := c.Loop.(*syntax.CStyleLoop); is && !c.Braces {
		return a.counted(c, c3, s, out)
	}
	iter, words := c.Loop.(*syntax.WordIter)
	if c.Select || !words || !iter.InPos.IsValid() || c.Braces {
		a.fail("for", "only for NAME in WORDS is understood", "")
		return s
	}
	node := &every{name: iter.Name.Value}
	out.node = node
	if !a.assignable(node.name) {
		a.fail(node.name, "a variable of this name can change what programs do", "use another name")
	}
	for _, item := range iter.Items {
		if w, is := a.elements(item, &s); is {
			node.items = append(node.items, w)
			continue
		}
		node.items = append(node.items, a.word(item, &s)...)
	}
	if len(node.items) == 1 && a.assignable(node.name) {
		if after, is := a.names(c, node.items[0], &s, out); is {
			return after
		}
	}
	inner := s.clone()
	inner.inLoop = true
	widen(&inner, c)
	inner.set(node.name, a.items(node.items, &s))
	before, taken := inner.clone(), len(a.taken)
	node.body = a.statements(c.Do, &inner)
	a.turns(before, inner, node.name, a.taken[taken:])
	after := merge(before, inner)
	after.set(node.name, fuzz(false))
	after.inLoop = s.inLoop
	return after
}

// items is what the variable of a for loop can be.
func (a *analysis) items(words []word, s *state) word {
	value := word{form: each}
	for i := range words {
		switch w := &words[i]; w.form {
		case dynamic:
			value.form = dynamic
		case each:
			if w.feed != nil {
				return fuzz(false)
			}
			value.alternatives = append(value.alternatives, w.alternatives...)
		case pattern:
			a.match(w, s, "for")
			value.alternatives = append(value.alternatives, *w)
		default:
			value.alternatives = append(value.alternatives, *w)
		}
	}
	if value.form == dynamic || len(value.alternatives) == 0 || len(value.alternatives) > maxAlternatives {
		return fuzz(false)
	}
	return value
}

// turns checks that a turn of a loop leaves no variable with a value that it was not
// read for: the next turn begins with it. What was taken from input may stand where
// continue ends the turn. The loop sets its own variable each time.
func (a *analysis) turns(begin, end state, own string, taken []string) {
	follows := func(name string, value word) bool {
		first := begin.vars[name]
		return name == own || same(first, value) || first.covers(value)
	}
	for name, value := range end.vars {
		if !follows(name, value) || slices.Contains(taken, name) && !follows(name, fuzz(false)) {
			a.fail(name, "a turn of the loop changes it in a way that is not followed", "write the variable's name without quotes")
			return
		}
	}
}

// covers reports whether what was understood for a value holds for the other too.
func (w word) covers(other word) bool {
	return w.form == dynamic && len(w.alternatives) == 0 && (!w.number || isNumber(other)) && (!w.single || other.single)
}

// widen forgets the variables that a loop assigns, because an earlier turn may
// have assigned them.
func widen(s *state, loop syntax.Node) {
	nodes := []syntax.Node{loop}
	for _, body := range s.functions {
		nodes = append(nodes, body)
	}
	for _, n := range nodes {
		widenBy(s, n)
	}
}

func widenBy(s *state, node syntax.Node) {
	syntax.Walk(node, func(n syntax.Node) bool {
		switch x := n.(type) {
		case *syntax.Assign:
			if x.Name != nil {
				number := isNumber(s.vars[x.Name.Value]) && !x.Append && isArithmetic(x.Value)
				value := fuzz(number)
				value.said = says(s.vars[x.Name.Value]) || !computed(x.Value)
				s.set(x.Name.Value, value)
			}
		case *syntax.WordIter:
			s.set(x.Name.Value, fuzz(false))
		case *syntax.BinaryArithm, *syntax.UnaryArithm:
			if name := counter(x.(syntax.ArithmExpr)); name != "" {
				s.set(name, fuzz(isNumber(s.vars[name])))
			}
		case *syntax.CallExpr:
			if len(x.Args) > 0 && slices.Contains([]string{"read", "unset", "getopts", "mapfile", "readarray", "printf"}, x.Args[0].Lit()) {
				for _, arg := range x.Args[1:] {
					if name := arg.Lit(); syntax.ValidName(name) {
						s.set(name, fuzz(false))
					}
				}
			}
		}
		return true
	})
}

// computed reports whether a value is a number, or nothing but one expansion.
func computed(w *syntax.Word) bool {
	if w == nil || len(w.Parts) != 1 {
		return false
	}
	switch p := w.Parts[0].(type) {
	case *syntax.ArithmExp, *syntax.CmdSubst, *syntax.ParamExp:
		return true
	case *syntax.DblQuoted:
		return computed(&syntax.Word{Parts: p.Parts})
	}
	return digits(w.Lit())
}

// isArithmetic reports whether a value is nothing but an arithmetic expansion.
func isArithmetic(w *syntax.Word) bool {
	if w == nil || len(w.Parts) != 1 {
		return false
	}
	_, is := w.Parts[0].(*syntax.ArithmExp)
	return is
}

// loop reads while and until.
func (a *analysis) loop(c *syntax.WhileClause, s state, out *statement) state {
	inner := s.clone()
	inner.inLoop = true
	widen(&inner, c)
	before, taken := inner.clone(), len(a.taken)
	l := &loop{keyword: "while"}
	if c.Until {
		l.keyword = "until"
	}
	out.node = l
	fed := inner.feed
	inner.feed = nil
	l.condition = a.statements(c.Cond, &inner)
	name := ""
	if fed != nil && !c.Until {
		name = a.readNames(fed, l.condition, &inner)
	}
	after := merge(before, inner) // break may stand in the condition
	l.body = a.statements(c.Do, &inner)
	a.turns(before, inner, name, a.taken[taken:])
	after = merge(after, inner)
	if name != "" {
		l.body = aside(l.body)
		after.set(name, fuzz(false))
	}
	after.inLoop = s.inLoop
	return after
}
