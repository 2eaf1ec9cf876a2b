package config

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Bounds of what is read. They are our own: configuration is written by people,
// and these leave two orders of magnitude above the largest sets seen.
const (
	maxFileBytes = 4 << 20 // one file
	maxDepth     = 48      // nesting of mappings and lists
	maxNodes     = 400_000 // values decoded from one file, aliases expanded
	maxErrors    = 50      // reported of one read
	maxFields    = 10_000  // of one document; the YAML parser takes quadratic time over them
)

// chunk is one document of a file: the lines between two "---" markers.
type chunk struct {
	file   string
	line   int      // of the first line in the file, from 1
	lines  []string // without line ends
	secret bool     // values must not be shown in errors
	home   *chunk   // its place in the folder, where file is only what errors call it
}

// errorAt returns an error at a line and column of the file.
func (c *chunk) errorAt(line, column int, hint, format string, args ...any) *Error {
	e := &Error{File: c.file, Line: line, Column: column, Message: fmt.Sprintf(format, args...), Hint: hint}
	if i := line - c.line; i >= 0 && i < len(c.lines) {
		e.excerpt = excerpt(c.lines[i], c.secret)
	}
	return e
}

// first is the line of the file that has the first text.
func (c *chunk) first() int {
	blank := 0
	for blank < len(c.lines)-1 && c.lines[blank] == "" {
		blank++
	}
	return c.line + blank
}

// text returns the chunk's source.
func (c *chunk) text() string { return strings.Join(c.lines, "\n") }

// empty reports whether the chunk holds only comments and blank lines.
func (c *chunk) empty() bool {
	for _, l := range c.lines {
		if t := strings.TrimSpace(l); t != "" && t[0] != '#' {
			return false
		}
	}
	return true
}

// split cuts a file at its document markers. YAML 1.2.2, section 9.1.2: a line
// that starts with "---" or "..." is a marker wherever it stands, in block
// scalars and quoted text too. Cutting before parsing keeps a document from being
// lost inside a parser.
func split(file string, text []byte) ([]*chunk, *Error) {
	if len(text) > maxFileBytes {
		return nil, &Error{File: file, Message: fmt.Sprintf("the file is larger than %d MiB", maxFileBytes>>20)}
	}
	s := strings.TrimPrefix(string(text), "\ufeff")
	c := &chunk{file: file, line: 1}
	chunks := []*chunk{c}
	for i, l := range strings.Split(s, "\n") {
		l = strings.TrimSuffix(l, "\r")
		if e := checkCharacters(file, i+1, l); e != nil {
			return nil, e
		}
		marker := strings.HasPrefix(l, "---") || strings.HasPrefix(l, "...")
		if !marker || len(l) > 3 && l[3] != ' ' && l[3] != '\t' {
			c.lines = append(c.lines, l)
			continue
		}
		if rest := strings.TrimSpace(l[3:]); rest != "" && rest[0] != '#' {
			return nil, &Error{File: file, Line: i + 1, Column: 1, Message: "a document starts on the line after its marker",
				excerpt: excerpt(l, true)}
		}
		c = &chunk{file: file, line: i + 2}
		chunks = append(chunks, c)
	}
	return chunks, nil
}

func checkCharacters(file string, line int, l string) *Error {
	if !utf8.ValidString(l) {
		return &Error{File: file, Line: line, Column: 1, Message: "the line is not valid UTF-8"}
	}
	column := 0
	for _, r := range l {
		column++
		// Line and paragraph separators are line breaks to some YAML readers and
		// not to others.
		if r < 0x20 && r != '\t' || r >= 0x7f && r < 0xa0 || r == '\u2028' || r == '\u2029' || r == '\ufeff' {
			return &Error{File: file, Line: line, Column: column, Message: fmt.Sprintf("control character %U", r)}
		}
	}
	return nil
}

// parse returns the mapping that a chunk holds.
func (c *chunk) parse() (body *ast.MappingNode, err *Error) {
	defer func() {
		// The YAML reader is not ours; a panic in it must not end the process.
		if p := recover(); p != nil {
			body, err = nil, c.errorAt(c.line, 1, "", "the document cannot be read as YAML")
		}
	}()
	text := c.text() + "\n"
	tokens := lexer.Tokenize(text)
	if err := c.guard(tokens); err != nil {
		return nil, err
	}
	f, perr := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if perr != nil {
		return nil, c.syntaxError(perr)
	}
	if len(f.Docs) != 1 || f.Docs[0].Body == nil {
		return nil, c.errorAt(c.line, 1, "", "the document cannot be read as YAML")
	}
	switch n := f.Docs[0].Body.(type) {
	case *ast.MappingNode:
		return n, nil
	case *ast.MappingValueNode:
		return &ast.MappingNode{BaseNode: n.BaseNode, Start: n.Start, Values: []*ast.MappingValueNode{n}}, nil
	default:
		line, column := c.position(n)
		return nil, c.errorAt(line, column, "write it as \"field: value\" lines", "a document is a mapping of fields")
	}
}

// guard bounds the nesting before the parser, which is recursive, sees it.
func (c *chunk) guard(tokens token.Tokens) *Error {
	flow, line, inLine, fields := 0, 0, 0, 0
	for _, t := range tokens {
		if t.Position.Line != line {
			line, inLine = t.Position.Line, 0
		}
		switch t.Type {
		case token.SequenceStartType, token.MappingStartType:
			flow++
		case token.SequenceEndType, token.MappingEndType:
			flow--
		case token.SequenceEntryType, token.MappingKeyType, token.TagType, token.AnchorType:
			inLine++
		case token.MappingValueType:
			if fields++; fields > maxFields {
				return c.errorAt(c.line+line-1, 1, "", "the document has more than %d fields", maxFields)
			}
		case token.DirectiveType:
			return c.errorAt(c.line+line-1, 1, "", "YAML directives are not accepted")
		}
		// A deeper block needs a larger indent, so the column bounds it.
		if flow > maxDepth || inLine > maxDepth || t.Position.IndentNum > 8*maxDepth {
			return c.errorAt(c.line+line-1, t.Position.Column, "", "nested more than %d levels deep", maxDepth)
		}
	}
	return nil
}

func (c *chunk) syntaxError(err error) *Error {
	var s *yaml.SyntaxError
	if errors.As(err, &s) && s.Token != nil && s.Token.Position != nil {
		p := s.Token.Position
		// Some messages of the parser quote the text around the place.
		message, _, _ := strings.Cut(s.Message, "\n")
		return c.errorAt(c.line+p.Line-1, p.Column, "", "not valid YAML: %s", message)
	}
	return c.errorAt(c.line, 1, "", "not valid YAML")
}

// position returns where a node starts in the file.
func (c *chunk) position(n ast.Node) (line, column int) {
	t := n.GetToken()
	switch n := n.(type) {
	case *ast.MappingNode:
		if !n.IsFlowStyle && len(n.Values) > 0 {
			t = n.Values[0].Key.GetToken()
		}
	case *ast.MappingValueNode:
		t = n.Key.GetToken()
	}
	if t == nil || t.Position == nil {
		return c.line, 1
	}
	return c.line + t.Position.Line - 1, max(1, t.Position.Column)
}
