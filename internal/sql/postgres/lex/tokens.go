package lex

import (
	"bytes"
	"sort"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Tokens is a scanned text. The zero value is empty and ready for [Scan]. It is
// not safe for concurrent use; reading without scanning is.
type Tokens struct {
	src        string
	list       []Token
	canon      []byte
	slots      []int32 // tokens that are left out of the shape, in order
	semicolons []int32 // semicolons outside brackets
	levels     []level // scratch of Scan
}

// keepBytes is how much memory of one text Reset keeps for the next.
const keepBytes = 64 << 10

// Reset forgets the text. It keeps memory for the next one unless that is large.
func (t *Tokens) Reset() {
	if cap(t.canon) > keepBytes || cap(t.list) > keepBytes/16 {
		*t = Tokens{}
		return
	}
	t.src = ""
	t.list, t.canon, t.slots = t.list[:0], t.canon[:0], t.slots[:0]
	t.semicolons, t.levels = t.semicolons[:0], t.levels[:0]
}

// Len returns the number of tokens.
func (t *Tokens) Len() int { return len(t.list) }

// At returns a token.
func (t *Tokens) At(i int) Token { return t.list[i] }

// Source returns the text that was scanned.
func (t *Tokens) Source() string { return t.src }

// Canonical returns the canonical text.
func (t *Tokens) Canonical() string { return string(t.canon) }

// AppendCanonical appends the canonical text.
func (t *Tokens) AppendCanonical(dst []byte) []byte { return append(dst, t.canon...) }

// Text returns the canonical spelling of a token. The bytes are valid until the
// next Scan and must not be changed.
func (t *Tokens) Text(i int) []byte { return t.canon[t.list[i].CanonStart:t.list[i].CanonEnd] }

// Is reports whether a token is the given unquoted word, in lower case.
func (t *Tokens) Is(i int, word string) bool {
	return t.list[i].Kind == Word && string(t.Text(i)) == word
}

// Value returns what a token stands for: a string or an identifier without its
// quotes, anything else as it is spelled.
func (t *Tokens) Value(i int) string {
	text := string(t.Text(i))
	switch t.list[i].Kind {
	case String:
		return strings.ReplaceAll(text[1:len(text)-1], "''", "'")
	case QuotedIdent:
		return strings.ReplaceAll(text[1:len(text)-1], `""`, `"`)
	case BitString, HexString:
		return text[2 : len(text)-1]
	}
	return text
}

// Literals returns the tokens that the shape leaves out, in order. The slice is
// valid until the next Scan and must not be changed.
func (t *Tokens) Literals() []int32 { return t.slots }

// Semicolons returns the semicolons outside brackets, in order. Most of them
// end a statement, but not those in the body of a SQL function. The slice is
// valid until the next Scan and must not be changed.
func (t *Tokens) Semicolons() []int32 { return t.semicolons }

// TokenAt returns the token that covers a byte of the canonical text, or the
// next one if none does, or Len.
func (t *Tokens) TokenAt(canonical int) int {
	return sort.Search(len(t.list), func(i int) bool { return int(t.list[i].CanonEnd) > canonical })
}

// SourceOffset maps a byte offset in the canonical text to one in the source.
// Inside a token that is spelled the same in both it is exact; elsewhere it is
// the start of the token.
func (t *Tokens) SourceOffset(canonical int) int {
	i := t.TokenAt(canonical)
	if i == len(t.list) {
		return len(t.src)
	}
	tok := t.list[i]
	if d := canonical - int(tok.CanonStart); d > 0 && tok.End-tok.Start == tok.CanonEnd-tok.CanonStart {
		return int(tok.Start) + d
	}
	return int(tok.Start)
}

// SourcePosition maps a position in the canonical text to one in the source.
// Both count characters from 1, as field P of an ErrorResponse does. Zero and
// what lies outside the text give 0.
func (t *Tokens) SourcePosition(canonical int) int {
	at, ok := offsetOf(t.canon, canonical)
	if !ok {
		return 0
	}
	return utf8.RuneCountInString(t.src[:t.SourceOffset(at)]) + 1
}

// offsetOf turns a character position, counted from 1, into a byte offset. The
// position after the last character is the end.
func offsetOf(text []byte, position int) (offset int, ok bool) {
	if position < 1 || position > len(text)+1 {
		return 0, false
	}
	for n := 1; n < position; n++ {
		if offset >= len(text) {
			return 0, false
		}
		_, size := utf8.DecodeRune(text[offset:])
		offset += size
	}
	return offset, true
}

// AppendShape appends the canonical text with every literal replaced by its
// class. Texts with equal shapes have the same tokens up to the values of their
// literals, and Literals gives the same indexes. A control character stands for
// a class; outside quotes the canonical text has none.
func (t *Tokens) AppendShape(dst []byte) []byte {
	at := int32(0)
	for _, i := range t.slots {
		tok := &t.list[i]
		dst = append(dst, t.canon[at:tok.CanonStart]...)
		dst = append(dst, byte(tok.Kind))
		at = tok.CanonEnd
	}
	return append(dst, t.canon[at:]...)
}

// AppendParameters appends the canonical text with parameters $1, $2 … in place of some
// of its literals, which are given by their numbers in Literals.
func (t *Tokens) AppendParameters(dst []byte, of []int32) []byte {
	at := int32(0)
	for i, n := range of {
		tok := &t.list[t.slots[n]]
		dst = appendParameter(append(dst, t.canon[at:tok.CanonStart]...), i)
		at = tok.CanonEnd
	}
	return append(dst, t.canon[at:]...)
}

func appendParameter(dst []byte, i int) []byte {
	return strconv.AppendInt(append(dst, '$'), int64(i)+1, 10)
}

// AppendValue appends what Value returns.
func (t *Tokens) AppendValue(dst []byte, i int) []byte {
	text := t.Text(i)
	if t.list[i].Kind != String {
		return append(dst, t.Value(i)...)
	}
	for text = text[1 : len(text)-1]; ; {
		n := bytes.IndexByte(text, '\'')
		if n < 0 {
			return append(dst, text...)
		}
		dst, text = append(dst, text[:n+1]...), text[n+2:]
	}
}
