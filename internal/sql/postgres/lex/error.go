package lex

import (
	"strings"
	"unicode/utf8"
)

// The SQLSTATEs of refused texts (PostgreSQL, appendix A).
const (
	CodeSyntax        = "42601" // syntax_error
	CodeEncoding      = "22021" // character_not_in_repertoire
	CodeEscape        = "22025" // invalid_escape_sequence
	CodeRepresented   = "22P02" // invalid_text_representation
	CodeLimit         = "54000" // program_limit_exceeded
	CodeComplex       = "54001" // statement_too_complex
	CodeNotSupported  = "0A000" // feature_not_supported
	maxNear           = 128     // bytes of the source quoted in a message
	differentOnServer = "servers of different versions read it differently"
)

// Error says why a text is refused, in PostgreSQL's words where it has some.
type Error struct {
	// Code is the SQLSTATE.
	Code    string
	Message string
	// Hint says what to write instead; may be empty.
	Hint string
	// Offset is the byte in the source where it goes wrong.
	Offset int
	// Position is the same place counted in characters from 1, as in field P
	// of an ErrorResponse; 0 if there is none.
	Position int
}

// Error returns the message.
func (e *Error) Error() string { return e.Message }

func (s *scanner) fail(code, message string, offset int) *Error {
	return &Error{Code: code, Message: message, Offset: offset, Position: utf8.RuneCountInString(s.src[:offset]) + 1}
}

// syntax words an error as scanner_yyerror does: the text from the start of the
// token to where the scanner stands.
func (s *scanner) syntax(message string, from, to int) *Error {
	if from >= len(s.src) {
		return s.fail(CodeSyntax, message+" at end of input", len(s.src))
	}
	near := s.src[from:min(to, len(s.src))]
	if len(near) > maxNear {
		near = strings.ToValidUTF8(near[:maxNear], "")
	}
	return s.fail(CodeSyntax, message+` at or near "`+near+`"`, from)
}

// refuse words an error for what PostgreSQL itself might accept.
func (s *scanner) refuse(code, message, hint string, offset int) *Error {
	e := s.fail(code, message, offset)
	e.Hint = hint
	return e
}
