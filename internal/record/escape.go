package record

import (
	"unicode"
	"unicode/utf8"
)

// cutMark stands where a text was cut. It cannot come from a recording as it
// stands here: a cut text is always followed by what says so.
const cutMark = "…"

// maxMarks is how many combining marks may follow one another; more of them
// paint over the lines above and below.
const maxMarks = 4

// appendSafe appends s to b so that a terminal shows it and does nothing else.
// Letters, marks, numbers, punctuation, symbols and the space pass. Everything
// else is written as an escape: controls of C0 and C1, DEL, and invalid UTF-8
// as \xNN, bidirectional controls, zero-width characters, line separators,
// private and unassigned characters as \uNNNN or \U00NNNNNN. A backslash is
// doubled, so that an escape is always ours. The text is cut with cutMark after
// limit runes, each of which takes at most ten bytes; zero means no limit.
func appendSafe[S string | []byte](b []byte, s S, limit int) []byte {
	n, marks := 0, 0
	for len(s) > 0 {
		if n++; limit > 0 && n > limit {
			return append(b, cutMark...)
		}
		c := s[0]
		if c >= 0x20 && c < 0x7f {
			if c == '\\' {
				b = append(b, '\\')
			}
			b = append(b, c)
			s = s[1:]
			marks = 0
			continue
		}
		r, size := decodeRune(s)
		if unicode.Is(unicode.M, r) {
			marks++
		} else {
			marks = 0
		}
		if shows(r) && marks <= maxMarks && !(r == utf8.RuneError && size == 1) {
			b = append(b, s[:size]...)
		} else {
			b = appendEscape(b, r, c, size)
		}
		s = s[size:]
	}
	return b
}

func decodeRune[S string | []byte](s S) (rune, int) {
	var first [utf8.UTFMax]byte
	return utf8.DecodeRune(first[:copy(first[:], s)])
}

func appendEscape(b []byte, r rune, c byte, size int) []byte {
	const hex = "0123456789abcdef"
	switch {
	case size == 1: // ASCII control or invalid UTF-8: the byte itself
		switch c {
		case '\n':
			return append(b, `\n`...)
		case '\r':
			return append(b, `\r`...)
		case '\t':
			return append(b, `\t`...)
		}
		return append(b, '\\', 'x', hex[c>>4], hex[c&15])
	case r <= 0xffff:
		return append(b, '\\', 'u', hex[r>>12], hex[r>>8&15], hex[r>>4&15], hex[r&15])
	default:
		b = append(b, `\U00`...)
		for shift := 20; shift >= 0; shift -= 4 {
			b = append(b, hex[r>>shift&15])
		}
		return b
	}
}

// shows reports whether a rune is seen and keeps its place. unicode.IsPrint
// excludes all of Cc, Cf, Zl, Zp, Co and Cn; some letters have no shape.
func shows(r rune) bool {
	switch r {
	case 0x115f, 0x1160, 0x3164, 0xffa0, 0x2800: // Hangul fillers, empty Braille
		return false
	}
	if r >= 0xfe00 && r <= 0xfe0f || r >= 0xe0100 && r <= 0xe01ef || r == 0x34f {
		return false // variation selectors and the grapheme joiner can carry hidden text
	}
	return unicode.IsPrint(r)
}

// Safe returns s in the form in which replay shows texts of a recording.
func Safe(s string) string { return string(appendSafe(nil, s, 0)) }
