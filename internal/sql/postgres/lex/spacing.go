package lex

// spaced says whether the canonical text has a space between the token at index
// prev and a next one of kind k. It depends on the two tokens alone, treats all
// literals alike, and leaves the space out only where the two cannot be read as
// anything else together.
func (s *scanner) spaced(prev int, k Kind) bool {
	p := s.t.list[prev]
	switch p.Kind {
	case LeftParen, LeftBracket:
		return false
	case Dot:
		// Before a number the space keeps ".5" and ". 5" apart.
		return k != Word && k != QuotedIdent && k != Star
	case TypeCast:
		return k != Word && k != QuotedIdent
	}
	switch k {
	case Comma, Semicolon, RightParen, RightBracket:
		return false
	case Dot:
		// After a number the space keeps "1." and "1 ." apart.
		return !names(p.Kind)
	case TypeCast:
		return !names(p.Kind) && !p.Kind.Literal()
	case LeftBracket:
		return !names(p.Kind)
	case LeftParen:
		return p.Kind != QuotedIdent && (p.Kind != Word || clause(string(s.out[p.CanonStart:p.CanonEnd])))
	}
	return true
}

// names says that a point, a subscript or a cast sticks to a token.
func names(k Kind) bool {
	switch k {
	case Word, QuotedIdent, Param, RightParen, RightBracket:
		return true
	}
	return false
}

// clause lists the keywords that readers do not take for a function's name. It
// is only about looks.
func clause(w string) bool {
	switch w {
	case "in", "and", "or", "not", "values", "as", "on", "using", "where", "from", "join", "select", "any", "all",
		"exists", "over", "filter", "within", "when", "then", "else", "case", "by", "having", "union", "except", "intersect",
		"returning", "set", "limit", "offset", "lateral", "with", "is", "like", "between", "only", "explain", "to", "copy", "check",
		"distinct", "materialized", "conflict", "key", "some":
		return true
	}
	return false
}
