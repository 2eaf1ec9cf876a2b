package shell

import (
	"maps"
	"slices"

	"github.com/sallyport-gateway/sallyport/internal/hostpath"
)

// Bounds of an analysis; a line beyond them is refused.
const (
	maxLine         = 32 << 10
	maxDepth        = 32   // nested commands
	maxWords        = 4096 // words of all commands
	maxAlternatives = 64   // values of a loop's variable
	maxPlaces       = 4    // directories that a command may run in
	maxAsked        = 384  // questions for the host
)

// state is what is known where a command runs.
type state struct {
	// vars are the variables that the line has assigned.
	vars map[string]word
	// dirs are the directories that the command may run in: each a chain of cd.
	dirs [][]hostpath.Step
	// noglob after set -f.
	noglob bool
	// piped: standard input is not the channel's.
	piped bool
	// inLoop: cd would add up.
	inLoop bool
	depth  int
}

func start() state { return state{dirs: [][]hostpath.Step{nil}} }

func (s state) clone() state {
	s.vars = maps.Clone(s.vars)
	s.dirs = slices.Clone(s.dirs)
	return s
}

// set assigns a variable.
func (s *state) set(name string, w word) {
	if s.vars == nil {
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
		out.set(name, fuzz(isNumber(a.vars[name]) && isNumber(w)))
	}
	for name, w := range a.vars {
		if _, ok := b.vars[name]; !ok {
			out.set(name, fuzz(false))
			_ = w
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

func same(a, b word) bool {
	return a.form == b.form && a.text == b.text && (a.form == static || a.form == homely) ||
		a.form == dynamic && b.form == dynamic && a.number == b.number
}

func isNumber(w word) bool {
	return w.form == dynamic && w.number || w.form == static && digits(w.text)
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
