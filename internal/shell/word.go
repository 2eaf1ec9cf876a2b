package shell

import (
	"slices"
	"strings"

	"github.com/sallyport-gateway/sallyport/internal/hostpath"
)

// form is how much of a word is known. The zero value knows nothing.
type form uint8

const (
	// dynamic is text that only the run gives.
	dynamic form = iota
	// static is text that is known.
	static
	// homely is $HOME followed by known text.
	homely
	// pattern is names that the host knows.
	pattern
	// each is one of several words, by the value of a loop's variable.
	each
)

// word is one word of a simple command.
type word struct {
	form form
	// text is the word without quotes. For homely it is what follows $HOME.
	text string
	// glob is the pattern; home puts $HOME before it.
	glob string
	home bool
	// alternatives are the words that an each can be.
	alternatives []word
	// spaced: an each that was not quoted, so that none of its values may hold
	// what would be split or expanded.
	spaced bool
	// parts are how a dynamic or each word is written.
	parts []part
	// split: a dynamic word that may become any number of words.
	split bool
	// many: it becomes any number of words in quotes too, as "${x[@]}" does.
	many bool
	// number: a dynamic word that is a decimal number.
	number bool
	// said: text that stands in the line or in a file, which nobody calculates with.
	said bool
	// process is the process substitution that the word is.
	process *process
	// feed: an each that is one of the names that ls prints, or empty if it prints none.
	feed *feed
	// single: a dynamic word that holds no blanks.
	single bool
	// whole: a variable that is an array.
	whole bool
	// from are the directories where a pattern was expanded, of a loop's variable: what is
	// asked about it elsewhere need not be about its names.
	from [][]hostpath.Step
	// asked are the questions that a pattern's names come from.
	asked []int
	// below: anything at or below the path is meant.
	below bool
	// unmatched: the pattern stands for itself and must match nothing.
	unmatched bool
}

// part is a piece of a dynamic word.
type part struct {
	// text is literal text, or a rendered expansion.
	text      string
	expansion bool
	// quoted expansions are written in double quotes.
	quoted bool
	// single: an expansion that is one word.
	single bool
	// body is the commands of a command substitution.
	body *list
	// process is a process substitution.
	process *process
}

func lit(text string) word { return word{form: static, text: text} }

func lits(texts ...string) []word {
	words := make([]word, len(texts))
	for i, t := range texts {
		words[i] = lit(t)
	}
	return words
}

// is reports whether the word is known to be the text.
func (w *word) is(text string) bool { return w.form == static && w.text == text }

// may reports whether the word can be the text, as far as it is known.
func (w *word) may(text string) bool {
	return w.is(text) || slices.ContainsFunc(w.alternatives, func(one word) bool { return one.may(text) })
}

// some reports whether the condition holds for the word, or for any that it can be.
func (w *word) some(is func(*word) bool) bool {
	if w.form != each {
		return is(w)
	}
	for i := range w.alternatives {
		if w.alternatives[i].some(is) {
			return true
		}
	}
	return false
}

// begins reports whether the word can begin with the text, as far as it is known.
func (w *word) begins(text string) bool {
	return w.some(func(one *word) bool { return strings.HasPrefix(one.prefix(), text) })
}

// prefix is the known beginning of a word.
func (w *word) prefix() string {
	switch w.form {
	case static:
		return w.text
	case pattern:
		if w.home {
			return "/"
		}
		return w.glob
	case homely:
		return "/"
	case each:
		p := w.alternatives[0].prefix()
		for i := range w.alternatives {
			if strings.HasPrefix(w.alternatives[i].prefix(), "-") || w.alternatives[i].prefix() == "" {
				return w.alternatives[i].prefix()
			}
		}
		return p
	case dynamic:
		if len(w.parts) > 0 && !w.parts[0].expansion && w.parts[0].body == nil {
			return w.parts[0].text
		}
	}
	return ""
}

// source is the word for messages.
func (w *word) source() string {
	switch w.form {
	case static:
		return w.text
	case homely:
		return "~" + w.text
	case pattern:
		return w.text
	}
	var b strings.Builder
	for _, p := range w.parts {
		switch {
		case p.body != nil, strings.Contains(p.text, "\x01"):
			b.WriteString("$(...)")
		default:
			b.WriteString(p.text)
		}
	}
	return b.String()
}

// forward quotes a text so that every shell reads it as that one word. A word
// like "if" or "ls" needs no quotes as an argument.
func forward(s string) string { return hostpath.Quote(s) }
