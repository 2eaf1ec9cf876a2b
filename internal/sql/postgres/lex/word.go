package lex

import "unicode/utf8"

// maxIdent is the longest identifier in bytes: NAMEDATALEN-1 (pg_config_manual.h).
const maxIdent = 63

// word reads an unquoted identifier or keyword.
func (s *scanner) word() *Error {
	from := s.pos
	c := s.begin(Word)
	src := s.src
	i := from
	for i < len(src) {
		b := lower[src[i]]
		if b == 0 {
			break
		}
		s.out = append(s.out, b)
		i++
	}
	if i < len(src) && src[i] >= 0x80 {
		return s.foreignWord(from, c)
	}
	s.pos = i
	if i-from > maxIdent {
		s.out = s.out[:c+maxIdent]
	}
	s.end(Word, from, c)
	if n := i - from; n >= 2 && n <= 9 {
		if l := s.top(); l.word(string(s.out[c:])) {
			return s.checkDepth(l, from)
		}
	}
	return nil
}

// foreignWord reads an unquoted identifier with characters outside ASCII. It is
// spelled with quotes, because a server whose database has a single-byte
// encoding would fold their case too.
func (s *scanner) foreignWord(from, c int) *Error {
	i := from
	for i < len(s.src) && identCont(s.src[i]) {
		i++
	}
	s.pos = i
	// A quoted identifier is spaced as a word is: see spaced.
	s.out = append(s.out[:c], '"')
	for _, b := range []byte(s.src[from:i]) {
		if b < 0x80 {
			b = lower[b]
		}
		s.out = append(s.out, b)
	}
	s.truncate(c + 1)
	s.out = append(s.out, '"')
	s.end(QuotedIdent, from, c)
	return nil
}

// quotedIdent reads "…".
func (s *scanner) quotedIdent() *Error {
	from := s.pos
	c := s.begin(QuotedIdent)
	s.out = append(s.out, '"')
	if err := s.delimited(from, from+1); err != nil {
		return err
	}
	s.truncateQuoted(c + 1)
	s.out = append(s.out, '"')
	s.end(QuotedIdent, from, c)
	return nil
}

// delimited copies the inside of a quoted identifier, quotes still doubled.
func (s *scanner) delimited(from, at int) *Error {
	i := at
	for {
		for i < len(s.src) && s.src[i] != '"' {
			i++
		}
		if i >= len(s.src) {
			return s.syntax("unterminated quoted identifier", from, len(s.src))
		}
		if i+1 >= len(s.src) || s.src[i+1] != '"' {
			break
		}
		i += 2
	}
	s.pos = i + 1
	if i == at {
		return s.syntax("zero-length delimited identifier", from, s.pos)
	}
	s.out = append(s.out, s.src[at:i]...)
	return nil
}

// truncateQuoted cuts an identifier whose quotes are doubled, from canonical
// offset at, to what the server would keep of it.
func (s *scanner) truncateQuoted(at int) {
	if len(s.out)-at <= maxIdent {
		return
	}
	n := 0
	for i := at; i < len(s.out); {
		_, size := utf8.DecodeRune(s.out[i:])
		if n+size > maxIdent {
			s.out = s.out[:i]
			return
		}
		n += size
		if s.out[i] == '"' {
			i++
		}
		i += size
	}
}

// truncate does the same where there are no quotes.
func (s *scanner) truncate(at int) {
	if len(s.out)-at <= maxIdent {
		return
	}
	end := at + maxIdent
	for !utf8.RuneStart(s.out[end]) {
		end--
	}
	s.out = s.out[:end]
}
