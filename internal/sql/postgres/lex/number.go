package lex

import "strings"

// number reads an integer or a decimal number.
func (s *scanner) number() *Error {
	from, i, src := s.pos, s.pos, s.src
	for i < len(src) && digit(src[i]) {
		i++
	}
	whole := true
	if i < len(src) && src[i] == '.' && !(i > from && i+1 < len(src) && src[i+1] == '.') {
		whole = false
		for i++; i < len(src) && digit(src[i]); i++ {
		}
	}
	if i < len(src) && (src[i] == 'e' || src[i] == 'E') {
		j := i + 1
		if j < len(src) && (src[j] == '+' || src[j] == '-') {
			j++
		}
		if j < len(src) && digit(src[j]) {
			for whole = false; j < len(src) && digit(src[j]); j++ {
			}
			i = j
		}
	}
	if i < len(src) && identCont(src[i]) { // a dollar sign too: some versions refuse it
		return s.junk("trailing junk after numeric literal", from, i)
	}
	s.pos = i
	if !whole {
		s.emit(Float, from, src[from:i])
		return nil
	}
	text := strings.TrimLeft(src[from:i], "0")
	if text == "" {
		text = "0"
	}
	s.emit(integerKind(text), from, text)
	switch text {
	case "2147483648", "9223372036854775808":
		// With a minus sign before it, the server makes it the smallest number
		// of the next smaller type, so it is not like others of its kind.
		s.t.list[len(s.t.list)-1].Slot = false
		s.t.slots = s.t.slots[:len(s.t.slots)-1]
	}
	return nil
}

func integerKind(text string) Kind {
	const max32, max64 = "2147483647", "9223372036854775807"
	switch {
	case len(text) < len(max32) || len(text) == len(max32) && text <= max32:
		return Integer
	case len(text) < len(max64) || len(text) == len(max64) && text <= max64:
		return BigInteger
	default:
		return Float
	}
}

// junk refuses letters right after a number. PostgreSQL up to 14 reads them as
// the next token, 15 refuses them, 16 reads some of them as part of the number.
func (s *scanner) junk(message string, from, at int) *Error {
	end := at
	for end < len(s.src) && identCont(s.src[end]) {
		end++
	}
	e := s.syntax(message, from, end)
	e.Hint = "Put a space between the number and the word, and write numbers in decimal digits without underscores."
	return e
}

// dollar reads $1 or a dollar-quoted string.
func (s *scanner) dollar() *Error {
	from, i, src := s.pos, s.pos+1, s.src
	if i < len(src) && digit(src[i]) {
		return s.param()
	}
	if i < len(src) && identStart(src[i]) {
		for i++; i < len(src) && identCont(src[i]) && src[i] != '$'; i++ {
		}
	}
	if i >= len(src) || src[i] != '$' {
		return s.syntax("syntax error", from, from+1)
	}
	tag := src[from : i+1]
	n := strings.Index(src[i+1:], tag)
	if n < 0 {
		return s.syntax("unterminated dollar-quoted string", from, len(src))
	}
	s.pos = i + 1 + n + len(tag)
	c := s.begin(String)
	s.out = append(s.out, '\'')
	s.out = appendDoubled(s.out, src[i+1:i+1+n], '\'')
	s.out = append(s.out, '\'')
	s.end(String, from, c)
	return nil
}

// param reads $n.
func (s *scanner) param() *Error {
	from, i := s.pos, s.pos+1
	for i < len(s.src) && digit(s.src[i]) {
		i++
	}
	if i < len(s.src) && identCont(s.src[i]) {
		return s.junk("trailing junk after parameter", from, i)
	}
	text := strings.TrimLeft(s.src[from+1:i], "0")
	if text == "" {
		text = "0"
	}
	if integerKind(text) != Integer { // PostgreSQL up to 17 would wrap around
		return s.syntax("parameter number too large", from, i)
	}
	s.pos = i
	c := s.begin(Param)
	s.out = append(s.out, '$')
	s.out = append(s.out, text...)
	s.end(Param, from, c)
	return nil
}

// appendDoubled appends text with every quote in it doubled.
func appendDoubled(dst []byte, text string, quote byte) []byte {
	for {
		i := strings.IndexByte(text, quote)
		if i < 0 {
			return append(dst, text...)
		}
		dst = append(dst, text[:i+1]...)
		dst = append(dst, quote)
		text = text[i+1:]
	}
}
