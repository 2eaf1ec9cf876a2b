package lex

import (
	"strings"
	"unicode/utf8"
)

// scanner is one pass over a source.
type scanner struct {
	t      *Tokens
	src    string
	pos    int
	limits Limits
	out    []byte // the canonical text so far
	depth  int32  // limits.Depth
}

// Scan reads sql into dst, whose memory is used again. A non-nil error is an
// [*Error] and leaves dst without tokens. Limits that are zero have their
// defaults. Scan keeps a reference to sql in dst.
func Scan(dst *Tokens, sql string, limits Limits) error {
	dst.Reset()
	s := scanner{t: dst, src: sql, limits: limits.withDefaults(), out: dst.canon}
	s.depth = int32(min(s.limits.Depth, 1<<30))
	err := s.run()
	dst.canon = s.out
	if err != nil {
		dst.Reset()
		return err
	}
	dst.src = sql
	return nil
}

func (s *scanner) run() *Error {
	if err := s.check(); err != nil {
		return err
	}
	s.t.levels = append(s.t.levels, level{})
	for s.pos < len(s.src) {
		if err := s.next(); err != nil {
			return err
		}
		if len(s.t.list) > s.limits.Tokens {
			return s.fail(CodeComplex, "the query has too many tokens", s.pos)
		}
	}
	if len(s.t.levels) > 1 {
		return s.syntax("syntax error", len(s.src), len(s.src))
	}
	if h := int(s.t.levels[0].height()); h > 64 && h*len(s.out) > maxPacked {
		return s.fail(CodeComplex, "the query is too deeply nested for its size", 0)
	}
	return nil
}

func (s *scanner) check() *Error {
	if len(s.src) > s.limits.Bytes || len(s.src) > 1<<29 { // offsets are int32, and the canonical text may be longer
		return &Error{Code: CodeLimit, Message: "the query is too long"}
	}
	if i := strings.IndexByte(s.src, 0); i >= 0 {
		return &Error{Code: CodeEncoding, Message: `invalid byte sequence for encoding "UTF8": 0x00`, Offset: i}
	}
	if !utf8.ValidString(s.src) {
		for i, r := range s.src {
			if r == utf8.RuneError && !strings.HasPrefix(s.src[i:], "\uFFFD") {
				return &Error{Code: CodeEncoding, Message: invalidUTF8(s.src[i:]), Offset: i}
			}
		}
		return &Error{Code: CodeEncoding, Message: `invalid byte sequence for encoding "UTF8"`}
	}
	return nil
}

// next reads one token or one run of space.
func (s *scanner) next() *Error {
	c := s.src[s.pos]
	switch classes[c] {
	case classSpace:
		s.pos++
		return nil
	case classWord:
		if s.pos+1 < len(s.src) {
			if handled, err := s.prefixed(c, s.src[s.pos+1]); handled || err != nil {
				return err
			}
		}
		return s.word()
	case classHigh:
		return s.word()
	case classDigit:
		return s.number()
	case classQuote:
		return s.stringConstant(s.pos, s.pos+1, false)
	case classDoubleQuote:
		return s.quotedIdent()
	case classDollar:
		return s.dollar()
	case classOperator:
		return s.operator(c)
	case classSelf:
		return s.self(c)
	default:
		return s.unexpected()
	}
}

func (s *scanner) unexpected() *Error {
	if s.src[s.pos] == '\v' {
		return s.refuse(CodeNotSupported, "a vertical tab between tokens is not accepted: "+differentOnServer, "Use a space.", s.pos)
	}
	return s.syntax("syntax error", s.pos, s.pos+1)
}

// begin starts a token in the canonical text, with a space before it where the
// spelling has one.
func (s *scanner) begin(k Kind) int {
	if n := len(s.t.list); n > 0 && s.spaced(n-1, k) {
		s.out = append(s.out, ' ')
	}
	return len(s.out)
}

// end finishes the token that began at canonical offset c and source offset from.
func (s *scanner) end(k Kind, from, c int) {
	s.t.list = append(s.t.list, Token{Kind: k, Slot: k.Literal(), Start: int32(from), End: int32(s.pos), CanonStart: int32(c), CanonEnd: int32(len(s.out))})
	if k.Literal() {
		s.t.slots = append(s.t.slots, int32(len(s.t.list)-1))
	}
}

// emit writes a token whose canonical text is given.
func (s *scanner) emit(k Kind, from int, text string) {
	c := s.begin(k)
	s.out = append(s.out, text...)
	s.end(k, from, c)
}

// top is the innermost level of brackets.
func (s *scanner) top() *level { return &s.t.levels[len(s.t.levels)-1] }

// checkDepth refuses a tree that has become too high.
func (s *scanner) checkDepth(l *level, from int) *Error {
	if l.height() > s.depth {
		return s.refuse(CodeComplex, "stack depth limit exceeded", "The statement nests or chains too many expressions. Use lists (IN, ANY, VALUES) or split it.", from)
	}
	return nil
}

// self reads , ( ) [ ] . ; : and the tokens that start with a point or a colon.
func (s *scanner) self(c byte) *Error {
	from := s.pos
	var after byte
	if from+1 < len(s.src) {
		after = s.src[from+1]
	}
	s.pos++
	switch c {
	case ',':
		s.emit(Comma, from, ",")
		s.top().endSegment()
	case ';':
		s.semicolon(from)
		if len(s.t.semicolons) > s.limits.Statements {
			return s.fail(CodeComplex, "the query has too many statements", from)
		}
	case '.':
		switch {
		case digit(after):
			s.pos--
			return s.number()
		case after == '.':
			s.pos++
			s.emit(DotDot, from, "..")
		default:
			s.emit(Dot, from, ".")
		}
	case ':':
		switch after {
		case ':':
			s.pos++
			s.emit(TypeCast, from, "::")
			s.top().soft++
			return s.checkDepth(s.top(), from)
		case '=':
			s.pos++
			s.emit(ColonEquals, from, ":=")
		default:
			s.emit(Colon, from, ":")
		}
	case '(':
		s.emit(LeftParen, from, "(")
		return s.open(RightParen, from)
	case '[':
		s.emit(LeftBracket, from, "[")
		return s.open(RightBracket, from)
	case ')':
		return s.close(RightParen, from, ")")
	case ']':
		return s.close(RightBracket, from, "]")
	}
	return nil
}

func (s *scanner) semicolon(from int) {
	s.emit(Semicolon, from, ";")
	l := s.top()
	l.endSegment()
	l.done, l.sets = l.done+l.sets, 0
	if len(s.t.levels) == 1 {
		s.t.semicolons = append(s.t.semicolons, int32(len(s.t.list)-1))
		l.done = 0
	}
}

func (s *scanner) open(closing Kind, from int) *Error {
	if len(s.t.levels) > s.limits.Nesting {
		return s.checkNesting(from)
	}
	s.t.levels = append(s.t.levels, level{close: closing})
	return nil
}

func (s *scanner) checkNesting(from int) *Error {
	return s.refuse(CodeComplex, "stack depth limit exceeded", "The statement nests too many brackets.", from)
}

func (s *scanner) close(k Kind, from int, text string) *Error {
	inner := s.top()
	if inner.close != k {
		return s.syntax("syntax error", from, from+1)
	}
	h := inner.height() + 1
	s.t.levels = s.t.levels[:len(s.t.levels)-1]
	s.emit(k, from, text)
	outer := s.top()
	outer.child = max(outer.child, h)
	return s.checkDepth(outer, from)
}
