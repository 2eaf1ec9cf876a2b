package shell

import (
	"maps"
	"slices"
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

// local reads the variables of a function. They are written as those of the line,
// which is the same where no command outside of the function has the name.
func (a *analysis) local(c *syntax.DeclClause, s state, out *statement) (ok, bad state) {
	node := &simple{}
	out.node = node
	names := map[string]bool{}
	for _, arg := range c.Args {
		switch {
		case arg.Name == nil || arg.Array != nil || arg.Index != nil || arg.Append:
			a.fail("local", "only local NAME and local NAME=VALUE are understood", "")
			return s, s
		case !a.locals[arg.Name.Value]:
			a.fail("local "+arg.Name.Value, "something else in the line has the name", "use another name")
			return s, s
		case arg.Value != nil && mentions(arg.Value, names):
			a.fail("local "+arg.Name.Value, "its value has the name of another variable that the same command sets", "write them as two commands")
			return s, s
		}
		names[arg.Name.Value] = true
	}
	for _, arg := range c.Args {
		bare := *arg
		bare.Naked = false
		a.assign(&bare, true, &s, node)
	}
	if slices.ContainsFunc(node.assigns, func(as assign) bool { return as.value.form == dynamic || as.value.feed != nil }) {
		// It succeeds whatever a command in it does.
		out.node = &binary{op: "||", x: &statement{node: node}, y: &statement{node: &simple{words: lits(":")}}}
	}
	return s, s
}

// localNames are the variables that stand only in functions that say that they are
// local.
func localNames(file *syntax.File) map[string]bool {
	var inside []*syntax.FuncDecl
	said, outside := map[*syntax.FuncDecl]map[string]bool{}, map[string]bool{}
	syntax.Walk(file, func(n syntax.Node) bool {
		if f, is := n.(*syntax.FuncDecl); is {
			inside = append(inside, f)
			said[f] = map[string]bool{}
			saysLocal(f.Body, func(name string) {
				if said[f][name] {
					outside[name] = true // the second time it keeps its value
				}
				said[f][name] = true
			})
			return false
		}
		named(n, outside)
		return true
	})
	all := map[string]bool{}
	for _, f := range inside {
		for name := range said[f] {
			all[name] = !outside[name]
		}
	}
	for _, f := range inside {
		within := map[string]bool{}
		syntax.Walk(f.Body, func(n syntax.Node) bool { named(n, within); return true })
		for name := range within {
			if !said[f][name] {
				delete(all, name)
			}
		}
	}
	return all
}

// saysLocal passes on the names that local has in a function, and those within a loop
// twice.
func saysLocal(body syntax.Node, name func(string)) {
	within := func(n syntax.Node) bool {
		if d, is := n.(*syntax.DeclClause); is && d.Variant.Value == "local" {
			for _, arg := range d.Args {
				if arg.Name != nil {
					name(arg.Name.Value)
				}
			}
		}
		return true
	}
	syntax.Walk(body, within)
	syntax.Walk(body, func(n syntax.Node) bool {
		switch n.(type) {
		case *syntax.ForClause, *syntax.WhileClause:
			syntax.Walk(n, within)
			return false
		}
		return true
	})
}

// mentions reports whether a variable of one of the names is in a word.
func mentions(w *syntax.Word, names map[string]bool) bool {
	found := map[string]bool{}
	syntax.Walk(w, func(n syntax.Node) bool { named(n, found); return true })
	for name := range found {
		if names[name] {
			return true
		}
	}
	return false
}

// named notes what may be the name of a variable in a node: where names stand, and
// every word that is a name where words are (read, mapfile, and expressions).
func named(n syntax.Node, names map[string]bool) {
	switch n := n.(type) {
	case *syntax.Assign:
		if n.Name != nil {
			names[n.Name.Value] = true
		}
	case *syntax.WordIter:
		names[n.Name.Value] = true
	case *syntax.CallExpr:
		if len(n.Args) > 0 && assigning[n.Args[0].Lit()] {
			for _, w := range n.Args[1:] {
				names[w.Lit()] = true
			}
		}
	case *syntax.ParamExp, *syntax.ArithmExp, *syntax.ArithmCmd, *syntax.CStyleLoop, *syntax.LetClause:
		syntax.Walk(n, func(n syntax.Node) bool {
			if l, is := n.(*syntax.Lit); is {
				names[l.Value] = true
			}
			return true
		})
	}
}

// assigning are words of the shell that set variables that they are given.
var assigning = set("read mapfile readarray printf unset getopts")

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
