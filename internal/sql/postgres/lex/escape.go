package lex

import (
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// escape reads one backslash escape of an E'…' string at i and returns where it
// ends. raw says that it made a byte that may not be valid UTF-8 on its own.
func (s *scanner) escape(from, i int, doubled bool) (next int, raw bool, err *Error) {
	if i+1 >= len(s.src) {
		return 0, false, s.syntax("unterminated quoted string", from, len(s.src))
	}
	c := s.src[i+1]
	switch c {
	case 'b':
		c = '\b'
	case 'f':
		c = '\f'
	case 'n':
		c = '\n'
	case 'r':
		c = '\r'
	case 't':
		c = '\t'
	case 'v':
		return 0, false, s.refuse(CodeEscape, `the escape \v is not accepted: `+differentOnServer, `Use \x0B or v.`, i)
	case 'u', 'U':
		next, err = s.unicodeEscape(i, doubled)
		return next, false, err
	case 'x':
		if v, n := digits(s.src[i+2:], 16, 2); n > 0 {
			s.out = s.appendByte(byte(v), doubled)
			return i + 2 + n, v == 0 || v >= 0x80, nil
		}
	case '0', '1', '2', '3', '4', '5', '6', '7':
		v, n := digits(s.src[i+1:], 8, 3)
		s.out = s.appendByte(byte(v), doubled)
		return i + 1 + n, byte(v) == 0 || byte(v) >= 0x80, nil
	}
	s.out = s.appendByte(c, doubled)
	return i + 2, false, nil
}

// digits reads at most limit digits of the base and returns their value and
// number.
func digits(src string, base rune, limit int) (value rune, n int) {
	for n < limit && n < len(src) {
		d := hexValue(src[n])
		if d >= base {
			break
		}
		value = value*base + d
		n++
	}
	return value, n
}

func hexValue(c byte) rune {
	switch {
	case c >= '0' && c <= '9':
		return rune(c - '0')
	case c >= 'a' && c <= 'f':
		return rune(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return rune(c-'A') + 10
	default:
		return 99
	}
}

// unicodeEscape reads \uXXXX or \UXXXXXXXX, with its second half if it is the
// first half of a surrogate pair.
func (s *scanner) unicodeEscape(i int, doubled bool) (int, *Error) {
	r, n := s.codeUnit(i)
	if n == 0 {
		return 0, s.refuse(CodeEscape, "invalid Unicode escape", `Unicode escapes must be \uXXXX or \UXXXXXXXX.`, i)
	}
	if utf16.IsSurrogate(r) {
		second, m := s.codeUnit(i + n)
		pair := utf16.DecodeRune(r, second)
		if m == 0 || pair == utf8.RuneError {
			return 0, s.syntax("invalid Unicode surrogate pair", i, i+n+m)
		}
		r, n = pair, n+m
	}
	if r == 0 || r > utf8.MaxRune {
		return 0, s.syntax("invalid Unicode escape value", i, i+n)
	}
	if r == '\'' {
		s.out = s.appendByte('\'', doubled)
	} else {
		s.out = utf8.AppendRune(s.out, r)
	}
	return i + n, nil
}

// codeUnit reads one \uXXXX or \UXXXXXXXX; n is its length, or 0.
func (s *scanner) codeUnit(i int) (r rune, n int) {
	if i+1 >= len(s.src) || s.src[i] != '\\' {
		return 0, 0
	}
	want := 4
	switch s.src[i+1] {
	case 'u':
	case 'U':
		want = 8
	default:
		return 0, 0
	}
	src := s.src[i+2:]
	if want == 8 && len(src) >= 2 && src[:2] != "00" {
		if _, n := digits(src, 16, 8); n == 8 {
			return utf8.MaxRune + 1, 10 // above any character; must not overflow
		}
	}
	if r, n = digits(src, 16, want); n != want {
		return 0, 0
	}
	return r, n + 2
}

// unicodeString reads U&'…' with its UESCAPE clause.
func (s *scanner) unicodeString() *Error {
	from := s.pos
	c := s.begin(String)
	if err := s.quoted(from, from+3, false, false); err != nil {
		return err
	}
	if err := s.decode(from, c, '\''); err != nil {
		return err
	}
	s.end(String, from, c)
	return nil
}

// unicodeIdent reads U&"…" with its UESCAPE clause.
func (s *scanner) unicodeIdent() *Error {
	from := s.pos
	c := s.begin(QuotedIdent)
	if err := s.delimited(from, from+3); err != nil {
		return err
	}
	s.out = append(s.out[:c], strings.ReplaceAll(string(s.out[c:]), `""`, `"`)...)
	if err := s.decode(from, c, '"'); err != nil {
		return err
	}
	s.out = s.out[:len(s.out)-1]
	s.truncateQuoted(c + 1)
	s.out = append(s.out, '"')
	s.end(QuotedIdent, from, c)
	return nil
}

// decode replaces the text from canonical offset c by its value with the
// Unicode escapes resolved, in quotes (str_udeescape of parser.c).
func (s *scanner) decode(from, c int, quote byte) *Error {
	text := string(s.out[c:])
	s.out = s.out[:c]
	mark, err := s.uescape()
	if err != nil {
		return err
	}
	s.out = append(s.out, quote)
	for len(text) > 0 {
		if text[0] != mark {
			i := strings.IndexByte(text, mark)
			if i < 0 {
				i = len(text)
			}
			s.out = appendDoubled(s.out, text[:i], quote)
			text = text[i:]
			continue
		}
		r, n := uescaped(text, mark)
		if second := text[min(n, len(text)):]; n > 0 && utf16.IsSurrogate(r) {
			r2, m := uescaped(second, mark)
			if r = utf16.DecodeRune(r, r2); m < 3 || r == utf8.RuneError {
				return s.syntax("invalid Unicode surrogate pair", from, s.pos)
			}
			n += m
		}
		switch {
		case n == 0:
			return s.refuse(CodeSyntax, "invalid Unicode escape", `Unicode escapes must be \XXXX or \+XXXXXX.`, from)
		case r == 0 || r > utf8.MaxRune:
			return s.syntax("invalid Unicode escape value", from, s.pos)
		}
		s.out = appendDoubled(s.out, string(r), quote)
		text = text[n:]
	}
	s.out = append(s.out, quote)
	return nil
}

// uescaped reads one escape at the start of text; n is its length, or 0.
func uescaped(text string, mark byte) (r rune, n int) {
	if len(text) < 2 || text[0] != mark {
		return 0, 0
	}
	if text[1] == mark {
		return rune(mark), 2
	}
	if text[1] == '+' {
		if r, n = digits(text[2:], 16, 6); n == 6 {
			return r, 8
		}
		return 0, 0
	}
	if r, n = digits(text[1:], 16, 4); n == 4 {
		return r, 5
	}
	return 0, 0
}

// uescape reads an optional UESCAPE clause after U&'…' or U&"…" and returns the
// escape character, which is a backslash without it.
func (s *scanner) uescape() (byte, *Error) {
	const keyword = "uescape"
	at := skipSpace(s.src, s.pos)
	end := at + len(keyword)
	if end > len(s.src) || !strings.EqualFold(s.src[at:end], keyword) || end < len(s.src) && identCont(s.src[end]) {
		return '\\', nil
	}
	at = skipSpace(s.src, end)
	var err *Error
	mark := len(s.out)
	switch {
	case at < len(s.src) && s.src[at] == '\'':
		err = s.quoted(at, at+1, false, false)
	case strings.HasPrefix(s.src[at:], "e'"), strings.HasPrefix(s.src[at:], "E'"):
		err = s.quoted(at, at+2, true, false)
	default:
		err = s.syntax("UESCAPE must be followed by a simple string literal", at, at+1)
	}
	if err != nil {
		return 0, err
	}
	value := string(s.out[mark:])
	s.out = s.out[:mark]
	if len(value) != 1 || hexValue(value[0]) < 16 || strings.ContainsAny(value, "+'\" \t\n\r\f\v") || value[0] >= 0x80 {
		return 0, s.syntax("invalid Unicode escape character", at, s.pos)
	}
	return value[0], nil
}

// skipSpace skips white space and comments.
func skipSpace(src string, at int) int {
	for at < len(src) {
		switch {
		case space(src[at]):
			at++
		case strings.HasPrefix(src[at:], "--"):
			at = lineEnd(src, at)
		case strings.HasPrefix(src[at:], "/*"):
			at, _ = commentEnd(src, at)
		default:
			return at
		}
	}
	return at
}
