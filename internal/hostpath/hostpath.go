package hostpath

import (
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

//go:embed script.sh
var script string

// Use says what is done at a path. The zero value is no use: a question with it
// is an error.
type Use uint8

const (
	// Stat looks at the entry: existence, size, times, the text of a link.
	Stat Use = iota + 1
	// List reads the names in a directory.
	List
	// Read reads the contents.
	Read
	// Recurse reads everything at and below the path.
	Recurse
	// Write changes the contents of what is there, or makes it.
	Write
	// Create makes a new entry.
	Create
	// Delete takes the entry away.
	Delete
	// Execute runs the file as a program.
	Execute
	// Enter makes the path the working directory.
	Enter
	// Match asks only which names a pattern matches.
	Match
	// Repository is what git reads when it works in the directory: the work
	// tree, the repository's own files, and settings.
	Repository
	// Walk looks at the names of everything at and below the path, and reads
	// nothing else.
	Walk
	// Fill changes the contents of anything at and below the path, also through
	// the links that are there.
	Fill
)

var useNames = [...]string{"", "stat", "list", "read", "recurse", "write", "create", "delete", "execute", "enter", "match", "repository", "walk", "fill"}

// String is the use in one word, for messages.
func (u Use) String() string {
	if int(u) < len(useNames) {
		return useNames[u]
	}
	return fmt.Sprintf("use %d", uint8(u))
}

// Step is one change of directory before the path is used, as the shell's cd
// does it.
type Step struct {
	// Dir is where it goes; with Home it is below the home directory, and empty
	// for the home directory itself.
	Dir  string
	Home bool
	// Physical is cd -P: symbolic links are resolved before dot-dot.
	Physical bool
	// Fails is a change that did not come about: the question is about what
	// happens if the directory cannot be entered.
	Fails bool
}

// Question is one path and what is to be done with it.
type Question struct {
	// Dirs are the changes of directory before, starting in the directory in
	// which the account's commands start.
	Dirs []Step
	// Name is the path as the program would be given it. With Glob it is a
	// pattern, see [Pattern].
	Name string
	// Home puts $HOME and a slash before Name, or is $HOME itself if Name is
	// empty.
	Home bool
	Glob bool
	Use  Use
	// List: it is a list of checksums, and the files that it names are read as well.
	List bool
	// Follow: symbolic links are followed; for the last component, and with
	// Recurse also below.
	Follow bool
}

// Marks are the labelled paths: by label, absolute paths or paths that begin with
// "~/". A path covers itself and everything below. A star matches within one
// component.
type Marks map[string][]string

// The bounds of a script. Linux takes no argument over 128 KiB
// (MAX_ARG_STRLEN), and the whole script is one argument of the login shell.
const (
	maxScript    = 120 << 10
	maxQuestions = 512
	maxName      = 4096 // PATH_MAX
	maxSteps     = 16
)

// pattern is one labelled pattern.
type pattern struct{ label, path string }

// patterns are all patterns in a fixed order, which the script's indexes go by.
func (m Marks) patterns() []pattern {
	var all []pattern
	for label, paths := range m {
		for _, p := range paths {
			all = append(all, pattern{label, p})
		}
	}
	slices.SortFunc(all, func(a, b pattern) int {
		return strings.Compare(a.label+"\x00"+a.path, b.label+"\x00"+b.path)
	})
	return all
}

// Validate reports what is wrong with the patterns.
func (m Marks) Validate() error {
	for _, p := range m.patterns() {
		rest, home := strings.CutPrefix(p.path, "~/")
		if !home {
			var absolute bool
			if rest, absolute = strings.CutPrefix(p.path, "/"); !absolute {
				return fmt.Errorf("label %s: path %q is neither absolute nor below ~/", p.label, p.path)
			}
		}
		if err := checkName(p.path); err != nil {
			return fmt.Errorf("label %s: path %q: %w", p.label, p.path, err)
		}
		if strings.ContainsAny(rest, "?[]\\") {
			return fmt.Errorf("label %s: path %q: only * is a pattern", p.label, p.path)
		}
		for _, c := range strings.Split(rest, "/") {
			if c == "" || c == "." || c == ".." {
				return fmt.Errorf("label %s: path %q has an empty or dot component", p.label, p.path)
			}
		}
	}
	return nil
}

// ErrName is the error for names that a script is not given.
var ErrName = errors.New("names are up to 4096 bytes of UTF-8 without control characters")

// checkName holds for all names that a script is given. Control characters would
// make what a person reads differ from what is used.
func checkName(name string) error {
	if len(name) > maxName || !utf8.ValidString(name) || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return ErrName
	}
	return nil
}

// Pattern writes a literal text so that it stands for itself in a pattern.
func Pattern(literal string) string {
	var b strings.Builder
	for i := range len(literal) {
		switch c := literal[i]; c {
		case '*', '?', '[':
			b.WriteString("[" + string(c) + "]")
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

func (q *Question) check() error {
	if q.Use == 0 || int(q.Use) >= len(useNames) {
		return errors.New("no use")
	}
	if len(q.Dirs) > maxSteps {
		return fmt.Errorf("more than %d changes of directory", maxSteps)
	}
	if q.Name == "" && !q.Home {
		return errors.New("an empty name")
	}
	if q.List && (q.Glob || q.Use != Read) {
		return errors.New("a list is one file that is read")
	}
	if q.Glob && strings.Contains(q.Name, `\`) {
		return errors.New("a backslash in a pattern")
	}
	for _, d := range q.Dirs {
		if d.Dir == "" && !d.Home {
			return errors.New("an empty directory")
		}
		if err := checkName(d.Dir); err != nil {
			return err
		}
	}
	return checkName(q.Name)
}

// arguments are a question in the script's form.
func (q *Question) arguments() []string {
	kind, follow, home := "p", "-", "-"
	switch {
	case q.Use == Repository:
		kind = "r"
	case q.Glob:
		kind = "g"
	case q.List:
		kind = "l"
	}
	if q.Use == Recurse || q.Use == Fill || q.Use == Walk && q.Follow {
		follow = "0"
		if q.Follow || q.Use == Fill {
			follow = "1"
		}
	}
	if q.Home {
		home = "h"
	}
	args := []string{kind, follow, home, fmt.Sprint(len(q.Dirs))}
	for _, d := range q.Dirs {
		form := "-"
		for _, f := range []struct {
			is   bool
			name string
		}{{d.Home, "h"}, {d.Physical, "p"}, {d.Fails, "x"}} {
			if f.is {
				form += f.name
			}
		}
		args = append(args, form, d.Dir)
	}
	return append(args, q.Name)
}

// Script is the command that answers the questions: one line for the account's
// login shell, whatever Bourne shell that is. It reads no input and changes
// nothing. Its output is for [ReadAnswers] with the same questions and marks.
func Script(questions []Question, marks Marks) (string, error) {
	if err := marks.Validate(); err != nil {
		return "", err
	}
	if len(questions) > maxQuestions {
		return "", fmt.Errorf("ask the host: more than %d paths", maxQuestions)
	}
	var b strings.Builder
	b.WriteString("exec /bin/sh -c " + Quote(script) + " sallyport ")
	patterns := marks.patterns()
	fmt.Fprint(&b, len(patterns))
	for _, p := range patterns {
		b.WriteString(" " + Quote(p.path))
	}
	for i := range questions {
		if err := questions[i].check(); err != nil {
			return "", fmt.Errorf("ask the host about %q: %w", questions[i].Name, err)
		}
		for _, a := range questions[i].arguments() {
			b.WriteString(" " + Quote(a))
		}
	}
	if b.Len() > maxScript {
		return "", fmt.Errorf("ask the host: the paths are over %d KiB", maxScript>>10)
	}
	return b.String(), nil
}

// Quote writes a text as one word of every Bourne shell (POSIX.1-2024, shell
// command language, section 2.2.2).
func Quote(s string) string {
	if s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+./,:@%") == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
