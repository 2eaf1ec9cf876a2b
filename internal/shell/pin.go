package shell

import (
	"slices"

	"mvdan.cc/sh/v3/syntax"

	"github.com/sallyport-gateway/sallyport/internal/hostpath"
)

// pin holds the questions that say whether a change of directory comes about: what was
// judged behind it holds only where it does, or does not, when the line runs, too. A
// directory can come and go in between: a program makes its own, or another one does.
type pin struct {
	// into and stay are the questions, by number, about what is so if it comes about and
	// if it does not; no more than one of each pair is feasible.
	into, stay []int
	// typed: the line has it so itself, and stays says by which form.
	typed, stays bool
}

// What stands around a change of directory that came about when the host was asked, and
// around one that did not. By the second form its status stays what it is, and the shell
// that set -e ends still ends.
const (
	pinInto, pinnedInto = "{ ", " || exit 77; }"
	pinStay, pinnedStay = "{ if ", "; then exit 77; else (exit $?); fi; }"
)

// around is what is written before and behind the command.
func (p *pin) around(r *renderer) (before, after string) {
	if p == nil {
		return "", ""
	}
	feasible := func(i int) bool { return i < len(r.answers) && !r.answers[i].Infeasible }
	comes, fails := slices.ContainsFunc(p.into, feasible), slices.ContainsFunc(p.stay, feasible)
	switch {
	case comes && fails:
		r.failed = "whether a change of directory comes about is not known for sure"
	case p.typed && (comes && p.stays || fails && !p.stays):
		r.failed = "a change of directory does not come about as the line has it, and ends the shell"
	case comes:
		return pinInto, pinnedInto
	case fails:
		return pinStay, pinnedStay
	}
	return "", "" // it is not reached
}

// probe asks whether changes of directory come about.
func (a *analysis) probe(dirs [][]hostpath.Step) (asked []int) {
	for _, d := range dirs {
		asked = append(asked, len(a.asked))
		a.ask(&word{form: static, text: "."}, &state{dirs: [][]hostpath.Step{d}}, hostpath.Question{Use: hostpath.Stat, Follow: true}, "cd")
		if len(a.asked) > asked[len(asked)-1] {
			a.asked[len(a.asked)-1].probe = true
		}
	}
	return asked
}

// pinned is the change of directory in a block that has a form in which it is written, and
// whether that is the one in which it does not come about; nil if the block has another.
func pinned(b *syntax.Block) (cd *syntax.CallExpr, stays bool) {
	switch c := sole(b.Stmts).(type) {
	case *syntax.BinaryCmd:
		if c.Op == syntax.OrStmt && spells(sole([]*syntax.Stmt{c.Y}), "exit", "77") {
			return moves(sole([]*syntax.Stmt{c.X})), false
		}
	case *syntax.IfClause:
		if c.Else == nil || c.Else.ThenPos.IsValid() || !spells(sole(c.Then), "exit", "77") {
			return nil, false
		}
		if s, is := sole(c.Else.Then).(*syntax.Subshell); is && status(sole(s.Stmts)) {
			return moves(sole(c.Cond)), true
		}
	}
	return nil, false
}

// sole is the command of a single plain statement.
func sole(stmts []*syntax.Stmt) syntax.Command {
	if len(stmts) != 1 {
		return nil
	}
	st := stmts[0]
	if st.Negated || st.Background || st.Coprocess || st.Disown || len(st.Redirs) > 0 {
		return nil
	}
	return st.Cmd
}

// moves is a command if it changes the directory.
func moves(cmd syntax.Command) *syntax.CallExpr {
	if c, is := cmd.(*syntax.CallExpr); is && len(c.Assigns) == 0 && len(c.Args) > 0 && c.Args[0].Lit() == "cd" {
		return c
	}
	return nil
}

// spells reports whether a command is the words.
func spells(cmd syntax.Command, words ...string) bool {
	c, is := cmd.(*syntax.CallExpr)
	return is && len(c.Assigns) == 0 && slices.EqualFunc(c.Args, words, func(w *syntax.Word, s string) bool { return w.Lit() == s })
}

// status reports whether a command is exit with the status of the one before it.
func status(cmd syntax.Command) bool {
	c, is := cmd.(*syntax.CallExpr)
	if !is || len(c.Assigns) > 0 || len(c.Args) != 2 || c.Args[0].Lit() != "exit" || len(c.Args[1].Parts) != 1 {
		return false
	}
	x, is := c.Args[1].Parts[0].(*syntax.ParamExp)
	return is && x.Short && x.Param != nil && x.Param.Value == "?"
}
