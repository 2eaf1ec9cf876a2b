package shell

import (
	"maps"
	"strconv"
	"strings"

	"mvdan.cc/sh/v3/syntax"

	"github.com/sallyport-gateway/sallyport/internal/gate"
)

// define notes a function. Each call is read, and written, as the body with the
// arguments in it, so that what a name means is never left to the run.
func (a *analysis) define(c *syntax.FuncDecl, s state, out *statement) state {
	nothing := lits(":")
	out.node = &simple{words: nothing}
	a.effects |= gate.EffectRead
	a.record(":", nothing)
	name := ""
	if c.Name != nil {
		name = c.Name.Value
	}
	if s.depth > 1 || a.dialect == Zsh || !syntax.ValidName(name) || refused[name][0] != "" || ownWords[name] || len(out.redirs) > 0 {
		a.fail("function", "a name that means something else later in the line", "write the commands out")
		return s
	}
	after := s.clone()
	after.functions = maps.Clone(s.functions)
	if after.functions == nil {
		after.functions = map[string]*syntax.Stmt{}
	}
	after.functions[name] = c.Body
	return after
}

// ownWords are words of the shell that a function would take the place of.
var ownWords = set("echo printf cd pwd read test set exit break continue type command export readonly local declare typeset times umask ulimit true false unset kill let mapfile readarray time")

// inline reads a call of a function of the line: its arguments must be literal.
func (a *analysis) inline(body *syntax.Stmt, name string, args []word, s *state, node *simple) (*nested, state) {
	inner := s.clone()
	inner.args, inner.called = nil, true
	if a.calls++; a.calls > maxCalls {
		a.fail("function", "it is called too often", "")
		return &nested{"{", "}", &list{}}, *s
	}
	for i := range args {
		if args[i].form != static {
			a.fail(name, "the arguments of a function must be literal words", "write the commands out")
			return &nested{"{", "}", &list{}}, *s
		}
		inner.args = append(inner.args, args[i].text)
	}
	if len(node.assigns) > 0 || s.called {
		a.fail(name, "a function that calls another, or with variables before it, is not understood", "write the commands out")
		return &nested{"{", "}", &list{}}, *s
	}
	block := &nested{"{", "}", a.statements([]*syntax.Stmt{body}, &inner)}
	inner.args, inner.called = s.args, s.called
	return block, inner
}

// positional reads $1, $# and $* within a function.
func (a *analysis) positional(x *syntax.ParamExp, s *state, quoted bool) ([]piece, bool) {
	name := x.Param.Value
	n, err := strconv.Atoi(name)
	number := err == nil && n > 0
	switch {
	case !s.called || !number && name != "#" && name != "*" && name != "@":
		return nil, false
	case x.Exp != nil || x.Slice != nil || x.Repl != nil || x.Length:
		a.fail("${"+name+"...}", "of a function's arguments only $1, $# and $* are understood", "")
		return nil, true
	}
	text := ""
	switch {
	case name == "#":
		text = strconv.Itoa(len(s.args))
	case number && n <= len(s.args):
		text = s.args[n-1]
	case number:
	case name == "*" && quoted, len(s.args) == 1:
		text = strings.Join(s.args, " ")
	default:
		a.fail("$"+name, "it may become several words", `use "$*", or name the arguments`)
	}
	if !quoted && !a.whole && (text == "" || strings.ContainsAny(text, " \t\n*?[\\")) {
		a.fail("$"+name, "unquoted, it may become several words", `put it in "..."`)
	}
	return []piece{{text: text, quoted: true}}, true
}

// function is the body of a function of the line that a name calls.
func (s *state) function(w *word) *syntax.Stmt {
	if w.form != static {
		return nil
	}
	return s.functions[w.text]
}
