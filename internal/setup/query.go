package setup

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// Querier runs queries at the target in a session of the gateway's own.
type Querier interface {
	// Query runs one statement and calls row for each row in order; a nil member
	// is NULL, everything else is the text form. The slices are valid only
	// during the call. An error of row ends the query and is returned. row is
	// nil for a statement that returns nothing.
	Query(ctx context.Context, sql string, row func([][]byte) error) error
}

// maxRows bounds what one catalog query may return: as much as the gateway's own
// snapshot of a catalog (10,000 relations with at most 1,600 columns each never
// come close).
const maxRows = 4_000_000

// reader runs the catalog queries of one read-only transaction and keeps the
// first error.
type reader struct {
	q   Querier
	err error
}

// begin starts the transaction. With an empty search path the catalogs print
// every name qualified.
func begin(ctx context.Context, q Querier) *reader {
	r := &reader{q: q}
	r.exec(ctx, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
	r.exec(ctx, "SET LOCAL search_path = ''")
	return r
}

// end ends the transaction and returns the first error.
func (r *reader) end(ctx context.Context) error {
	if err := r.q.Query(context.WithoutCancel(ctx), "ROLLBACK", nil); r.err == nil && err != nil {
		r.err = err
	}
	return r.err
}

func (r *reader) exec(ctx context.Context, sql string) {
	if r.err == nil {
		r.err = r.q.Query(ctx, sql, nil)
	}
}

// rows calls each with the columns of every row; NULL is the empty text.
func (r *reader) rows(ctx context.Context, what string, columns int, sql string, each func(f []string) error) {
	if r.err != nil {
		return
	}
	n := 0
	err := r.q.Query(ctx, sql, func(fields [][]byte) error {
		if n++; n > maxRows {
			return errors.New("too many rows")
		}
		if len(fields) != columns {
			return fmt.Errorf("%d columns instead of %d", len(fields), columns)
		}
		f := make([]string, columns)
		for i := range fields {
			f[i] = string(fields[i])
		}
		return each(f)
	})
	if err != nil {
		r.err = fmt.Errorf("read %s: %w", what, err)
	}
}

// quoteIdent writes a name so that it is read as exactly this name.
func quoteIdent(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }

// quoteLiteral writes a text constant. It needs standard_conforming_strings,
// which the gateway pins for its own sessions, and which a script sets.
func quoteLiteral(s string) string { return `'` + strings.ReplaceAll(s, `'`, `''`) + `'` }

// maxIdent is the longest name PostgreSQL keeps (NAMEDATALEN - 1).
const maxIdent = 63

// checkName refuses what cannot be the name of a role, would be cut to another
// name, or would end the quotes of a DO block.
func checkName(name string) error {
	if name == "" || len(name) > maxIdent || strings.ContainsAny(name, "\x00\r\n") || strings.Contains(name, "$$") {
		return fmt.Errorf("%q cannot be the name of the role: it has 1 to %d bytes, on one line and without $$", name, maxIdent)
	}
	return nil
}

// splitPath splits at dots outside double quotes.
func splitPath(path string) []string {
	var parts []string
	var b strings.Builder
	quoted := false
	for i := 0; i < len(path); i++ {
		switch c := path[i]; {
		case c == '"' && quoted && i+1 < len(path) && path[i+1] == '"':
			b.WriteByte('"')
			i++
		case c == '"':
			quoted = !quoted
		case c == '.' && !quoted:
			parts = append(parts, b.String())
			b.Reset()
		default:
			b.WriteByte(c)
		}
	}
	return append(parts, b.String())
}

// oneLine makes a name that came from the target safe inside a -- comment.
func oneLine(s string) string {
	return strings.Map(func(c rune) rune {
		if c < 0x20 || c == 0x7f || c == 0x85 || c == 0x2028 || c == 0x2029 {
			return '?'
		}
		return c
	}, s)
}
