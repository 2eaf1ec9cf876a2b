package approval

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The marks around what is not shown as itself. They are themselves always
// written as a mark, so that an agent cannot imitate one.
const (
	markOpen  = '⟦'
	markClose = '⟧'
	markTab   = '⇥'
)

// Runs of spaces and of empty lines that are longer are shown as a count: they
// push what follows out of sight.
const (
	maxSpaces     = 40
	maxEmptyLines = 3
)

// Visible returns s so that a person sees on a terminal or page what is in it:
// line feeds are kept, and every character that is invisible, moves others
// around, or pretends to be another one is written as ⟦U+202E⟧. That is every
// control, format, bidirectional, zero-width and combining character, every
// non-ASCII sign that is not a letter or digit, the letters of scripts written
// from right to left, and in a word of mixed scripts, or one made only of
// letters that look like Latin ones, every letter outside ASCII. A byte that is
// not UTF-8 is ⟦0xFF⟧, a tab ⇥, a carriage return ⟦CR⟧. Nothing is left out.
func Visible(s string) string {
	var b strings.Builder
	b.Grow(len(s) + len(s)/8)
	for len(s) > 0 {
		n := wordLength(s)
		if n > 0 {
			writeWord(&b, s[:n])
			s = s[n:]
			continue
		}
		r, size := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, "%c0x%02X%c", markOpen, s[0], markClose)
		case r == ' ':
			size = len(s) - len(strings.TrimLeft(s, " "))
			if size > maxSpaces {
				fmt.Fprintf(&b, "%c%d spaces%c", markOpen, size, markClose)
			} else {
				b.WriteString(s[:size])
			}
		case r == '\n':
			b.WriteByte('\n')
		case r == '\t':
			b.WriteRune(markTab)
		case r == '\r':
			fmt.Fprintf(&b, "%cCR%c", markOpen, markClose)
		case r > ' ' && r < 0x7f:
			b.WriteByte(byte(r))
		default:
			writeMark(&b, r)
		}
		s = s[size:]
	}
	return b.String()
}

// VisibleLine is Visible in one line: a line feed is ⟦LF⟧.
func VisibleLine(s string) string {
	return strings.ReplaceAll(Visible(s), "\n", string(markOpen)+"LF"+string(markClose))
}

func writeMark(b *strings.Builder, r rune) {
	fmt.Fprintf(b, "%cU+%04X%c", markOpen, r, markClose)
}

// wordLength returns how many bytes of s, from its start, are letters and
// digits.
func wordLength(s string) int {
	for i, r := range s {
		if !(unicode.IsLetter(r) || unicode.Is(unicode.Nd, r) || r == '_') || r == utf8.RuneError {
			return i
		}
	}
	return len(s)
}

// scripts are those whose letters may be shown: written from left to right, and
// told apart from ASCII by their shape, or by lookalikes below. CJK counts as
// one, since Japanese mixes its parts in one word.
var scripts = []*unicode.RangeTable{
	unicode.Greek, unicode.Cyrillic, unicode.Armenian, unicode.Georgian, unicode.Ethiopic, unicode.Thai,
	unicode.Devanagari, unicode.Bengali, unicode.Tamil, unicode.Telugu, unicode.Hangul,
}

var cjk = []*unicode.RangeTable{unicode.Han, unicode.Hiragana, unicode.Katakana}

// lookalikes are the Greek, Cyrillic and Armenian letters that most fonts draw
// like a letter of ASCII (Unicode Technical Standard 39, confusables).
const lookalikes = "ΑΒΕΖΗΙΚΜΝΟΡΤΥΧαγικνορτυχϲϳϹ" +
	"АВЕЅЗІЈКМНОРСТУХҮԌԚԜабгезіїјклмнопрсԁѕтухһүӏԛԝѵЬьӀѴПУ" + "ՍՕօսոցհզԼ"

// writeWord looks at the whole word a few times and never again for each letter:
// a word may be as long as the text.
func writeWord(b *strings.Builder, w string) {
	plain, latin := asciiWord(w)
	if plain {
		b.WriteString(w)
		return
	}
	script := soleScript(w)
	if script != nil && !latin && !onlyLookalikes(w) || script == nil && !mixed(w) {
		b.WriteString(w)
		return
	}
	for _, r := range w {
		if r < utf8.RuneSelf {
			b.WriteByte(byte(r))
		} else {
			writeMark(b, r)
		}
	}
}

// asciiWord reports whether w is all ASCII, and whether it has an ASCII letter.
func asciiWord(w string) (plain, latin bool) {
	plain = true
	for i := range len(w) {
		switch c := w[i]; {
		case c >= utf8.RuneSelf:
			plain = false
		case c != '_' && (c < '0' || c > '9'):
			latin = true
		}
	}
	return plain, latin
}

// soleScript returns the one script of w's letters outside ASCII, or nil.
func soleScript(w string) *unicode.RangeTable {
	var found *unicode.RangeTable
	for _, r := range w {
		if r < utf8.RuneSelf {
			continue
		}
		s := scriptOf(r)
		if s == nil || found != nil && found != s {
			return nil
		}
		found = s
	}
	return found
}

func scriptOf(r rune) *unicode.RangeTable {
	if !unicode.IsLetter(r) || compatibility(r) {
		return nil // digits of other scripts, modifiers
	}
	for _, s := range cjk {
		if unicode.Is(s, r) {
			return unicode.Han
		}
	}
	for _, s := range scripts {
		if unicode.Is(s, r) {
			return s
		}
	}
	return nil
}

// compatibility reports letters that are variants of others: half and full
// width, mathematical, presentation forms.
func compatibility(r rune) bool {
	return r >= 0xF900 && r <= 0xFFFF || r >= 0x1D400 && r <= 0x1D7FF || unicode.Is(unicode.Lm, r) ||
		r >= 0x3130 && r <= 0x318F || r >= 0x2E80 && r <= 0x2FDF || r >= 0x2F800 && r <= 0x2FA1F || r == 0x3164
}

// europeanLatin reports the accented Latin letters of Latin-1 and Latin
// Extended-A, without those that look like a letter or sign of ASCII.
func europeanLatin(r rune) bool {
	return r >= 0xC0 && r <= 0x17F && unicode.IsLetter(r) && !strings.ContainsRune("ıĸŀĿŉſ", r)
}

// mixed reports whether w has a letter that belongs neither to ASCII nor to
// accented Latin.
func mixed(w string) bool {
	for _, r := range w {
		if r >= utf8.RuneSelf && !europeanLatin(r) {
			return true
		}
	}
	return false
}

func onlyLookalikes(w string) bool {
	for _, r := range w {
		if r >= utf8.RuneSelf && !strings.ContainsRune(lookalikes, r) {
			return false
		}
	}
	return true
}
