package shell

import (
	"maps"
	"slices"

	"mvdan.cc/sh/v3/syntax"

	"github.com/sallyport-gateway/sallyport/internal/hostpath"
)

// Bounds of an analysis; a line beyond them is refused.
const (
	maxLine         = 32 << 10
	maxDepth        = 32        // nested commands
	maxWords        = 4096      // words of all commands
	maxAlternatives = 64        // values of a loop's variable
	maxPlaces       = 4         // directories that a command may run in
	maxAsked        = 384       // questions for the host
	maxVariables    = 128       // variables of a line
	maxBraces       = 256       // words that the braces of one word make
	maxCalls        = 64        // calls of functions
	maxWork         = 1 << 14   // values of loops' variables and of braces that are tried
	maxText         = 120 << 10 // the text; Linux takes no argument over 128 KiB (MAX_ARG_STRLEN)
)

// state is what is known where a command runs.
type state struct {
	// vars are the variables that the line has assigned.
	vars map[string]word
	// dirs are the directories that the command may run in: each a chain of cd.
	dirs [][]hostpath.Step
	// functions are those that the line has defined, and args the arguments of the one
	// whose body is read; called says that one is.
	functions map[string]*syntax.Stmt
	args      []string
	called    bool
	// noglob after set -f.
	noglob bool
	// piped: standard input is not the channel's.
	piped bool
	// feed is what standard input consists of, if it is names of known files.
	feed *feed
	// turned: a redirection made standard output or error something that was opened
	// to be read. The names /dev/stdout and /dev/stderr would open it anew, to write.
	turned bool
	// inLoop: cd would add up.
	inLoop bool
	depth  int
}

// feed is the output of a command that prints names of files at or below known
// places, and nothing else.
type feed struct {
	roots []word
	// nul: the names end in NUL, as they must, because a name can hold a newline
	// and blanks. Otherwise end makes the command print them so.
	nul bool
	end func()
	// plain: the names stand in lines, and have nothing in them that could be read
	// otherwise; end asks the host whether that is so.
	plain bool
	// from and to are the questions about what ls is given; dirs are where it runs, of a
	// feed whose one name is a word.
	from, to int
	dirs     [][]hostpath.Step
}

func start() state { return state{dirs: [][]hostpath.Step{nil}} }

func (s state) clone() state {
	s.vars = maps.Clone(s.vars)
	s.dirs = slices.Clone(s.dirs)
	return s
}

// unfed is the state of a program that may run several times: a later run would begin
// where an earlier one stopped, perhaps within a name.
func (s *state) unfed() *state {
	inner := *s
	inner.feed = nil
	return &inner
}

// set assigns a variable. Other states, such as that in which a command before && has
// failed, have the same variables, and keep theirs.
func (s *state) set(name string, w word) {
	if s.vars = maps.Clone(s.vars); s.vars == nil {
		s.vars = map[string]word{}
	}
	s.vars[name] = w
}

// fuzz is the value that only the run gives.
func fuzz(number bool) word { return word{number: number} }

// merge is what is known when either state may hold.
func merge(a, b state) state {
	out := a.clone()
	for name, w := range b.vars {
		if v, ok := a.vars[name]; ok && same(v, w) {
			continue
		}
		v := fuzz(isNumber(a.vars[name]) && isNumber(w))
		v.said = says(a.vars[name]) || says(w)
		out.set(name, v)
	}
	for name := range a.vars {
		if _, ok := b.vars[name]; !ok {
			out.set(name, fuzz(false))
		}
	}
	for _, d := range b.dirs {
		if !slices.ContainsFunc(out.dirs, func(x []hostpath.Step) bool { return slices.Equal(x, d) }) {
			out.dirs = append(out.dirs, d)
		}
	}
	out.noglob = a.noglob && b.noglob
	return out
}

// says reports whether a variable's value is text that nobody calculates with.
func says(w word) bool { return w.said || w.form != dynamic && !isNumber(w) }

func same(a, b word) bool {
	if a.form != b.form || a.text != b.text || a.glob != b.glob || a.home != b.home || a.number != b.number || a.single != b.single || a.feed != b.feed || a.below != b.below || len(a.alternatives) != len(b.alternatives) {
		return false
	}
	for i := range a.alternatives {
		if !same(a.alternatives[i], b.alternatives[i]) {
			return false
		}
	}
	return true
}

func isNumber(w word) bool {
	if w.form == each {
		return allNumbers(w.alternatives)
	}
	return w.form == dynamic && w.number || w.form == static && !w.below && digits(w.text)
}

// digits reports whether a text is a decimal number without a leading zero,
// which arithmetic would read as octal.
func digits(s string) bool {
	if s == "" || len(s) > 9 || len(s) > 1 && s[0] == '0' {
		return false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}
