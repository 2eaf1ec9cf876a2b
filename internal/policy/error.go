package policy

import (
	"fmt"
	"strings"
)

// Error is a mistake in a policy document.
type Error struct {
	// Policy is the document's name.
	Policy string
	// Path is the field ("rules[1].when").
	Path string
	// Line and Column are inside the expression at Path, from 1 in characters;
	// zero means the field as a whole.
	Line, Column int
	Message      string
	// Suggestion says what would be right; may be empty.
	Suggestion string

	text string // the expression
}

// Error returns the message, without its place.
func (e *Error) Error() string { return e.Message }

// Hint returns the suggestion.
func (e *Error) Hint() string { return e.Suggestion }

// Place returns where the mistake is, for whoever knows where the document stands.
func (e *Error) Place() (kind, name, path string, line, column int) {
	return KindName, e.Policy, e.Path, e.Line, e.Column
}

// Detail returns the error with its place, the expression's line and a caret.
func (e *Error) Detail() string {
	var b strings.Builder
	fmt.Fprintf(&b, "policy %s, %s: %s", e.Policy, e.Path, e.Message)
	lines := strings.Split(e.text, "\n")
	if e.Line > 0 && e.Line <= len(lines) && e.Column > 0 {
		fmt.Fprintf(&b, "\n    %s\n    %s^", lines[e.Line-1], strings.Repeat(" ", e.Column-1))
	}
	if e.Suggestion != "" {
		b.WriteString("\n    = " + e.Suggestion)
	}
	return b.String()
}
