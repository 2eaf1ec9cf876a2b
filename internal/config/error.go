package config

import (
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

// Error is one mistake in a file or document. Line and Column count from 1 (the
// column in characters); zero means the place is not known.
type Error struct {
	File    string
	Line    int
	Column  int
	Message string
	// Hint says what would be right; may be empty.
	Hint string

	excerpt string // the source line, without what could be a secret
}

// Error returns "file:line:column: message (hint)" on one line.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.place())
	b.WriteString(e.Message)
	if e.Hint != "" {
		b.WriteString(" (" + e.Hint + ")")
	}
	return b.String()
}

func (e *Error) place() string {
	switch {
	case e.Line > 0:
		return fmt.Sprintf("%s:%d:%d: ", e.File, e.Line, e.Column)
	case e.File != "":
		return e.File + ": "
	}
	return ""
}

// Detail returns the error with its source line, a caret under the place, and
// the hint on a line of its own. It does not end in a newline.
func (e *Error) Detail() string {
	var b strings.Builder
	b.WriteString(e.place())
	b.WriteString(e.Message)
	if e.excerpt != "" && e.Line > 0 {
		number := fmt.Sprintf("%5d", e.Line)
		fmt.Fprintf(&b, "\n%s | %s", number, e.excerpt)
		if e.Column > 0 && e.Column <= utf8.RuneCountInString(e.excerpt)+1 {
			fmt.Fprintf(&b, "\n%s | %s^", strings.Repeat(" ", len(number)), pad(e.excerpt, e.Column-1))
		}
	}
	if e.Hint != "" {
		b.WriteString("\n      = " + e.Hint)
	}
	return b.String()
}

// pad returns white space as wide as the first n characters of line.
func pad(line string, n int) string {
	var b strings.Builder
	for i, r := range []rune(line) {
		if i == n {
			break
		}
		if r == '\t' {
			b.WriteByte('\t')
		} else {
			b.WriteByte(' ')
		}
	}
	return b.String()
}

// Errors are all mistakes of one read, in the order of their places.
type Errors []*Error

// Error returns the details of all errors.
func (e Errors) Error() string {
	parts := make([]string, len(e))
	for i, one := range e {
		parts[i] = one.Detail()
	}
	return strings.Join(parts, "\n")
}

// Unwrap returns the single errors.
func (e Errors) Unwrap() []error {
	all := make([]error, len(e))
	for i, one := range e {
		all[i] = one
	}
	return all
}

// err returns nil for no errors, so that an empty Errors is no error.
func (e Errors) err() error {
	if len(e) == 0 {
		return nil
	}
	return e
}

// Placed is an error of a validator that knows where in a document it belongs.
// Packages that config does not know satisfy it by their methods alone.
type Placed interface {
	error
	// Place returns the document, the path of the field in it ("rules[1].when"),
	// and line and column from 1 inside the text of that field. An empty kind is
	// the document that is being validated; line 0 is the start of the field.
	Place() (kind, name, path string, line, column int)
	// Hint says what would be right; may be empty.
	Hint() string
}

// secretKey finds a key whose value must not be shown in an excerpt.
var secretKey = regexp.MustCompile(`(?i)(pass|secret|token|private|bearer|sealed)[\w.-]*["']?\s*:`)

// userInfo finds the password part of a URL.
var userInfo = regexp.MustCompile(`://[^/\s]*@`)

// excerptWidth bounds a source line shown in an error, in characters.
const excerptWidth = 160

// excerpt returns a source line for showing, without what could be a secret.
// In a secret document nothing after the first colon is shown.
func excerpt(line string, secret bool) string {
	line = strings.TrimRight(line, "\r\n \t")
	cut := -1
	if secret {
		cut = strings.IndexByte(line, ':')
		if cut < 0 {
			return ""
		}
	} else if at := secretKey.FindStringIndex(line); at != nil {
		cut = at[1] - 1
	}
	if cut >= 0 && cut+1 < len(line) {
		line = line[:cut+1] + " …"
	}
	line = userInfo.ReplaceAllString(line, "://…@")
	line = strings.Map(func(r rune) rune {
		if r != '\t' && (r < 0x20 || r >= 0x7f && r < 0xa0) {
			return '�'
		}
		return r
	}, line)
	if runes := []rune(line); len(runes) > excerptWidth {
		line = string(runes[:excerptWidth]) + "…"
	}
	return line
}
