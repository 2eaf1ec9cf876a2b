package config

import (
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// locate returns the place in the file of line and column (from 1) inside the
// text of the scalar at a path. Line 0 is the start of the value. Both block and
// flow scalars keep all characters but white space in order, so the place is
// found by counting those.
func (d *Document) locate(path string, line, column int) (int, int) {
	n := d.node(path)
	if n == nil {
		return d.Line, 1
	}
	startLine, startColumn := d.chunk.position(n)
	if line <= 0 {
		return startLine, startColumn
	}
	var text string
	escape := byte(0)
	block := false
	switch n := n.(type) {
	case *ast.StringNode:
		text = n.Value
		switch t := n.GetToken(); {
		case strings.HasPrefix(strings.TrimSpace(t.Origin), `"`):
			escape = '\\'
		case strings.HasPrefix(strings.TrimSpace(t.Origin), `'`):
			escape = '\''
		}
	case *ast.LiteralNode:
		text, block = n.Value.Value, true
	default:
		return startLine, startColumn
	}
	count := visible(text, line, column)
	row, col := startLine-d.chunk.line, startColumn-1
	switch {
	case block:
		row, col = row+1, 0
	case escape != 0:
		col++
	}
	return d.chunk.advance(row, col, count, escape, startLine, startColumn)
}

// node returns the node at a path or at its nearest parent that is there.
func (d *Document) node(path string) ast.Node {
	for path != "" {
		if n := d.places[path]; n != nil {
			if a, ok := n.(*ast.AnchorNode); ok {
				return a.Value
			}
			return n
		}
		path = strings.TrimSuffix(path, "#key")
		if d.places[path] != nil {
			continue
		}
		path = path[:max(0, strings.LastIndexAny(path, ".["))]
	}
	return nil
}

// visible counts the characters other than white space before line and column.
func visible(text string, line, column int) int {
	count, l, c := 0, 1, 1
	for _, r := range text {
		if l > line || l == line && c >= column {
			break
		}
		c++
		switch r {
		case '\n':
			l, c = l+1, 1
		case ' ', '\t':
		default:
			count++
		}
	}
	return count
}

// advance walks count visible characters on from a row and column of the chunk
// and returns the place of the next visible one.
func (c *chunk) advance(row, col, count int, escape byte, line, column int) (int, int) {
	for ; row < len(c.lines); row, col = row+1, 0 {
		runes := []rune(c.lines[row])
		for i := col; i < len(runes); i++ {
			if runes[i] == ' ' || runes[i] == '\t' {
				continue
			}
			if count == 0 {
				return c.line + row, i + 1
			}
			if escape != 0 && runes[i] == rune(escape) && i+1 < len(runes) {
				i++
			}
			count--
		}
	}
	return line, column
}
