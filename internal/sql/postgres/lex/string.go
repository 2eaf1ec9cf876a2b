package lex

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// prefixed reads the constants and identifiers that start with a letter: E'…',
// B'…', X'…', N'…', U&'…' and U&"…".
func (s *scanner) prefixed(c, after byte) (handled bool, err *Error) {
	if after != '\'' && after != '&' {
		return false, nil
	}
	if after == '&' {
		if c|0x20 != 'u' || s.pos+2 >= len(s.src) {
			return false, nil
		}
		switch s.src[s.pos+2] {
		case '\'':
			return true, s.unicodeString()
		case '"':
			return true, s.unicodeIdent()
		}
		return false, nil
	}
	switch c | 0x20 {
	case 'e':
		return true, s.stringConstant(s.pos, s.pos+2, true)
	case 'b':
		return true, s.bits(BitString, "B'", "01", "binary")
	case 'x':
		return true, s.bits(HexString, "X'", "0123456789abcdefABCDEF", "hexadecimal")
	case 'n':
		// scan.l turns the letter into the keyword and reads the rest as an
		// ordinary string.
		from := s.pos
		s.pos++
		s.emit(Word, from, "nchar")
		return true, nil
	}
	return false, nil
}

// stringConstant reads '…' (at is past the quote) or E'…'.
func (s *scanner) stringConstant(from, at int, escapes bool) *Error {
	c := s.begin(String)
	s.out = append(s.out, '\'')
	if err := s.quoted(from, at, escapes, true); err != nil {
		return err
	}
	s.out = append(s.out, '\'')
	s.end(String, from, c)
	return nil
}

// quoted appends the value of a quoted constant with its continuation lines,
// every quote in it doubled if doubled is set.
func (s *scanner) quoted(from, at int, escapes, doubled bool) *Error {
	start := len(s.out)
	high := false // an octal or hex escape made a byte that needs checking
	i := at
	for {
		n := s.plain(i, escapes)
		s.out = append(s.out, s.src[i:i+n]...)
		i += n
		if i >= len(s.src) {
			return s.syntax("unterminated quoted string", from, len(s.src))
		}
		if s.src[i] == '\\' {
			var raw bool
			var err *Error
			if i, raw, err = s.escape(from, i, doubled); err != nil {
				return err
			}
			high = high || raw
			continue
		}
		if i+1 < len(s.src) && s.src[i+1] == '\'' {
			s.out = s.appendByte('\'', doubled)
			i += 2
			continue
		}
		next, more := continued(s.src, i+1)
		if !more {
			s.pos = i + 1
			break
		}
		i = next
	}
	if high && (!utf8.Valid(s.out[start:]) || strings.IndexByte(string(s.out[start:]), 0) >= 0) {
		return s.fail(CodeEncoding, invalidUTF8(string(s.out[start:])), from)
	}
	return nil
}

// plain returns how many bytes stand for themselves.
func (s *scanner) plain(i int, escapes bool) int {
	var n int
	if escapes {
		n = strings.IndexAny(s.src[i:], "'\\")
	} else {
		n = strings.IndexByte(s.src[i:], '\'')
	}
	if n < 0 {
		return len(s.src) - i
	}
	return n
}

func (s *scanner) appendByte(b byte, doubled bool) []byte {
	if doubled && b == '\'' {
		return append(s.out, b, b)
	}
	return append(s.out, b)
}

// continued reports whether a constant whose closing quote is before at goes on
// in a later line, and where. White space and -- comments with at least one line
// end may stand between; a comment is always followed by a line end or by the
// end of the source.
func continued(src string, at int) (next int, ok bool) {
	newline := false
	for at < len(src) {
		switch c := src[at]; {
		case c == '\n' || c == '\r':
			newline = true
			at++
		case space(c):
			at++
		case c == '-' && strings.HasPrefix(src[at:], "--"):
			at = lineEnd(src, at)
		case c == '\'' && newline:
			return at + 1, true
		default:
			return 0, false
		}
	}
	return 0, false
}

// bits reads B'…' or X'…'. A doubled quote ends them.
func (s *scanner) bits(k Kind, open, digits, name string) *Error {
	from, i := s.pos, s.pos+2
	c := s.begin(k)
	s.out = append(s.out, open...)
	for {
		n := strings.IndexByte(s.src[i:], '\'')
		if n < 0 {
			what := "unterminated bit string literal"
			if k == HexString {
				what = "unterminated hexadecimal string literal"
			}
			return s.syntax(what, from, len(s.src))
		}
		for j, r := range s.src[i : i+n] {
			if !strings.ContainsRune(digits, r) {
				return s.fail(CodeRepresented, fmt.Sprintf("\"%c\" is not a valid %s digit", r, name), i+j)
			}
		}
		s.out = append(s.out, s.src[i:i+n]...)
		i += n + 1
		next, more := continued(s.src, i)
		if !more {
			break
		}
		i = next
	}
	s.pos = i
	s.out = append(s.out, '\'')
	s.end(k, from, c)
	return nil
}

// invalidUTF8 words the error of report_invalid_encoding for the first invalid
// character in text.
func invalidUTF8[T string | []byte](text T) string {
	b := []byte(text)
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		if b[0] == 0 || r == utf8.RuneError && n == 1 {
			break
		}
		b = b[n:]
	}
	m := `invalid byte sequence for encoding "UTF8":`
	for _, c := range b[:min(len(b), sequenceLength(b))] {
		m += fmt.Sprintf(" 0x%02x", c)
	}
	return m
}

// sequenceLength is pg_utf_mblen: what the first byte announces.
func sequenceLength(b []byte) int {
	switch {
	case len(b) == 0:
		return 0
	case b[0]&0xe0 == 0xc0:
		return 2
	case b[0]&0xf0 == 0xe0:
		return 3
	case b[0]&0xf8 == 0xf0:
		return 4
	}
	return 1
}
