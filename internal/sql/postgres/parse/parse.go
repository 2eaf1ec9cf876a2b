package parse

import (
	"errors"
	"fmt"
	"strings"

	pg_query "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"
)

// Why a text could not be parsed though it may be well formed. An [*Error]
// wraps one of them; nothing of the text may be forwarded then.
var (
	// ErrUnavailable: this program was built without the parser (cgo).
	ErrUnavailable = errors.New("the SQL parser is not part of this build")
	// ErrCrashed: the worker ended while it parsed the text.
	ErrCrashed = errors.New("the parser ended unexpectedly")
	// ErrTimeout: the worker did not answer in time and was ended.
	ErrTimeout = errors.New("the parser took too long")
	// ErrTooLarge: the text or its tree exceeds a bound.
	ErrTooLarge = errors.New("the statement is too large")
	// ErrTree: the worker's answer is not a parse tree of the text.
	ErrTree = errors.New("the parser's answer cannot be used")
	// ErrClosed: the pool was closed.
	ErrClosed = errors.New("the parser pool is closed")
)

// The SQLSTATEs of texts that were not parsed (PostgreSQL, appendix A).
const (
	CodeSyntax   = "42601" // syntax_error
	CodeComplex  = "54001" // statement_too_complex
	CodeMemory   = "53200" // out_of_memory
	CodeInternal = "XX000" // internal_error
)

// Error says why a text has no parse tree.
type Error struct {
	// Code is the SQLSTATE.
	Code string
	// Message is what the parser says, word for word, or what went wrong.
	Message string
	// Position is where, in characters of the canonical text from 1; 0 if unknown.
	Position int
	// Err is one of this package's errors if the parser itself failed; nil if
	// the text is wrong.
	Err error
}

// Error returns the message.
func (e *Error) Error() string { return e.Message }

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

// failure makes an Error for a text that the parser could not deal with.
func failure(err error) *Error {
	e := &Error{Code: CodeComplex, Message: "the statement could not be parsed: " + err.Error(), Err: err}
	if errors.Is(err, ErrUnavailable) || errors.Is(err, ErrClosed) || errors.Is(err, ErrTree) {
		e.Code = CodeInternal
	}
	return e
}

// nulMessage is how PostgreSQL words it.
const nulMessage = `invalid byte sequence for encoding "UTF8": 0x00`

// rejection makes an Error of what the parser says. It reports no SQLSTATE, so
// the few messages that are not about syntax are told apart by their words.
func rejection(message string, position int) *Error {
	e := &Error{Code: CodeSyntax, Message: message, Position: max(position, 0)}
	switch {
	case strings.HasPrefix(message, "memory exhausted"), strings.HasPrefix(message, "stack depth limit exceeded"):
		e.Code = CodeComplex
	case strings.HasPrefix(message, "out of memory"):
		e.Code = CodeMemory
	}
	return e
}

// treeDepth bounds the nesting of messages in a tree: one expression is about
// three. It is protobuf-go's own default, and deep enough for every text that
// package lex accepts.
const treeDepth = 10_000

// decode reads a tree as a worker sends it and checks that it can be one of text.
func decode(data []byte, text string) (*pg_query.ParseResult, error) {
	tree := &pg_query.ParseResult{}
	if err := (proto.UnmarshalOptions{RecursionLimit: treeDepth, DiscardUnknown: true}).Unmarshal(data, tree); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrTree, err)
	}
	end := 0
	for _, s := range tree.Stmts {
		from, n := int(s.GetStmtLocation()), int(s.GetStmtLen())
		if s.GetStmt() == nil || from < end || n < 0 || from+n > len(text) {
			return nil, ErrTree
		}
		end = from + n
	}
	return tree, nil
}
