package lex

import "strings"

// maxOperator is the longest operator name: NAMEDATALEN-1.
const maxOperator = 63

// operator reads a comment or an operator.
func (s *scanner) operator(c byte) *Error {
	from := s.pos
	i := from + 1
	for i < len(s.src) && classes[s.src[i]] == classOperator {
		i++
	}
	if i == from+1 { // by far the most frequent
		return s.emitOperator(from, i)
	}
	run := s.src[from:i]
	switch {
	case c == '-' && run[1] == '-':
		s.lineComment()
		return nil
	case c == '/' && run[1] == '*':
		return s.blockComment()
	}
	return s.emitOperator(from, from+operatorLength(run))
}

// operatorLength says how many of the characters in a run belong to the first
// operator. It follows the {operator} rule of scan.l.
func operatorLength(run string) int {
	n := len(run)
	if i := strings.Index(run, "/*"); i >= 0 {
		n = i
	}
	if i := strings.Index(run[:n], "--"); i >= 0 {
		n = i
	}
	// A name of several characters ends in + or - only if it holds a character
	// that SQL's own operators do not have.
	if n > 1 && (run[n-1] == '+' || run[n-1] == '-') && !strings.ContainsAny(run[:n-1], "~!@#^&|`?%") {
		for n > 1 && (run[n-1] == '+' || run[n-1] == '-') {
			n--
		}
	}
	return n
}

func (s *scanner) emitOperator(from, to int) *Error {
	text := s.src[from:to]
	if len(text) > maxOperator {
		return s.syntax("operator too long", from, to)
	}
	s.pos = to
	k := operatorKind(text)
	if k == NotEquals {
		text = "<>"
	}
	s.emit(k, from, text)
	if k == EqualsGreater {
		return nil
	}
	l := s.top()
	l.soft++
	return s.checkDepth(l, from)
}

func operatorKind(text string) Kind {
	switch text {
	case "+":
		return Plus
	case "-":
		return Minus
	case "*":
		return Star
	case "/":
		return Slash
	case "%":
		return Percent
	case "^":
		return Caret
	case "<":
		return Less
	case ">":
		return Greater
	case "=":
		return Equal
	case "<=":
		return LessEquals
	case ">=":
		return GreaterEquals
	case "=>":
		return EqualsGreater
	case "<>", "!=":
		return NotEquals
	default:
		return Op
	}
}

// lineComment skips from -- to the end of the line. A carriage return ends a
// line as a line feed does.
func (s *scanner) lineComment() { s.pos = lineEnd(s.src, s.pos) }

func lineEnd(src string, at int) int {
	if i := strings.IndexAny(src[at:], "\n\r"); i >= 0 {
		return at + i
	}
	return len(src)
}

// blockComment skips a comment; they nest.
func (s *scanner) blockComment() *Error {
	end, ok := commentEnd(s.src, s.pos)
	if !ok {
		return s.syntax("unterminated /* comment", s.pos, len(s.src))
	}
	s.pos = end
	return nil
}

func commentEnd(src string, from int) (end int, ok bool) {
	depth := 0
	for i := from; i+1 < len(src); {
		switch {
		case src[i] == '/' && src[i+1] == '*':
			depth++
			i += 2
		case src[i] == '*' && src[i+1] == '/':
			i += 2
			if depth--; depth == 0 {
				return i, true
			}
		default:
			i++
		}
	}
	return len(src), false
}
