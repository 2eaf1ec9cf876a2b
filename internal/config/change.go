package config

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// Where a change came from.
const (
	SourceStart  = "start"  // the documents found when the gateway started
	SourceReload = "reload" // somebody wrote files in the folder
	SourceApply  = "apply"  // sallyport apply, the API or the console
)

// What happened to a document.
const (
	ActionAdded   = "added"
	ActionChanged = "changed"
	ActionRemoved = "removed"
)

// Change is one change of the configuration. It holds no secret, because
// documents hold none.
type Change struct {
	Time time.Time `json:"time"`
	// Who made the change; empty when it was made in the folder.
	Who string `json:"who,omitempty"`
	// Source is SourceStart, SourceReload or SourceApply.
	Source string `json:"source"`
	// Generation is the generation of the set that the change makes.
	Generation uint64 `json:"generation"`
	// Documents are what changed, in the order of kind and name.
	Documents []DocumentChange `json:"documents"`
	// Failed says that a change that was recorded could not be stored, and why.
	Failed string `json:"failed,omitempty"`
}

// DocumentChange is what happened to one document.
type DocumentChange struct {
	Kind   string `json:"kind"`
	Name   string `json:"name"`
	Action string `json:"action"`
	// Digest is "sha256:…" over the new text; empty for a removed document.
	Digest string `json:"digest,omitempty"`
	// Diff are the lines that differ, with "-" and "+" before them.
	Diff string `json:"diff"`
}

// change compares a new set with the one in force.
func (s *Store) change(set *Set, source, who string) *Change {
	c := &Change{Time: s.o.Now(), Who: who, Source: source, Generation: set.generation}
	old := s.Set()
	for _, d := range set.All("") {
		was, ok := old.Get(d.Kind, d.Name)
		switch {
		case !ok:
			c.Documents = append(c.Documents, DocumentChange{d.Kind, d.Name, ActionAdded, d.Digest(), diff("", d.Source())})
		case was.Source() != d.Source():
			c.Documents = append(c.Documents, DocumentChange{d.Kind, d.Name, ActionChanged, d.Digest(), diff(was.Source(), d.Source())})
		}
	}
	for _, d := range old.All("") {
		if _, ok := set.Get(d.Kind, d.Name); !ok {
			c.Documents = append(c.Documents, DocumentChange{d.Kind, d.Name, ActionRemoved, "", diff(d.Source(), "")})
		}
	}
	slices.SortStableFunc(c.Documents, func(a, b DocumentChange) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name))
	})
	return c
}

// maxDiffLines bounds the quadratic comparison; longer documents are shown as
// wholly replaced.
const maxDiffLines = 2000

// diff shows the lines that differ between two texts.
func diff(old, fresh string) string {
	a, b := lines(old), lines(fresh)
	for len(a) > 0 && len(b) > 0 && a[0] == b[0] {
		a, b = a[1:], b[1:]
	}
	for len(a) > 0 && len(b) > 0 && a[len(a)-1] == b[len(b)-1] {
		a, b = a[:len(a)-1], b[:len(b)-1]
	}
	var out strings.Builder
	line := func(sign byte, l string) {
		out.WriteByte(sign)
		out.WriteString(l)
		out.WriteByte('\n')
	}
	if len(a) > maxDiffLines || len(b) > maxDiffLines {
		for _, l := range a {
			line('-', l)
		}
		a = nil
		for _, l := range b {
			line('+', l)
		}
		b = nil
	}
	common := longest(a, b)
	i, j := 0, 0
	for i < len(a) || j < len(b) {
		switch {
		case i < len(a) && j < len(b) && a[i] == b[j]:
			i, j = i+1, j+1
		case j == len(b) || i < len(a) && common[i+1][j] >= common[i][j+1]:
			line('-', a[i])
			i++
		default:
			line('+', b[j])
			j++
		}
	}
	return out.String()
}

// longest is the table of the longest common subsequence of a[i:] and b[j:].
func longest(a, b []string) [][]int {
	t := make([][]int, len(a)+1)
	for i := range t {
		t[i] = make([]int, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i] == b[j] {
				t[i][j] = t[i+1][j+1] + 1
			} else {
				t[i][j] = max(t[i+1][j], t[i][j+1])
			}
		}
	}
	return t
}

func lines(s string) []string {
	s = strings.Trim(s, "\n")
	if s == "" {
		return nil
	}
	return strings.Split(s, "\n")
}
