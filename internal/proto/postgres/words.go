package postgres

import (
	"context"
	"slices"
	"strings"

	"github.com/sallyport-gateway/sallyport/internal/gate"
	"github.com/sallyport-gateway/sallyport/internal/proto/postgres/wire"
	sql "github.com/sallyport-gateway/sallyport/internal/sql/postgres"
)

// reach says how close the server's own words about a statement come to labelled
// data.
type reach byte

const (
	// reachNothing: no relation with labelled columns takes part.
	reachNothing reach = iota
	// reachRows: rows change at a target that has labels. A constraint, a
	// partition or a trigger may put rows that the statement does not name into
	// DETAIL or CONTEXT.
	reachRows
	// reachLabels: labelled columns, or whole rows of a relation that has some.
	reachLabels
)

// reachOf judges by what the statement is. A shape that is not known is that of
// a Sync, whose commit checks what was deferred.
func reachOf(t *gate.Target, shape *sql.Shape) reach {
	if shape != nil && len(shape.Labels) > 0 {
		return reachLabels
	}
	if len(t.Marks) == 0 {
		return reachNothing
	}
	if shape == nil || shape.Facts == nil {
		return reachRows
	}
	if shape.Effects&^(gate.EffectRead|gate.EffectExport) == 0 && len(shape.Facts.Tables) > 0 {
		return reachNothing // labelled columns would be in Labels
	}
	for _, tables := range [][]string{shape.Facts.Written, shape.Facts.Tables} {
		if slices.ContainsFunc(tables, func(table string) bool { return marked(t, table) }) {
			return reachLabels
		}
	}
	return reachRows
}

// marked reports whether a label names a column of the table, schema.name.
func marked(t *gate.Target, table string) bool {
	for _, places := range t.Marks {
		for _, place := range places {
			if strings.HasPrefix(place, table+".") {
				return true
			}
		}
	}
	return false
}

// clean makes an error or notice fit for the agent: its position counts in the
// agent's text, and where labelled data was in reach only the SQLSTATE is left
// of what the server said.
func (s *session) clean(e *expect, f *wire.Fault) {
	switch reachOf(s.gate.Target, e.shape) {
	case reachNothing:
	case reachRows:
		f.Detail, f.Internal = "", slices.DeleteFunc(f.Internal, func(field string) bool {
			return field[0] == 'W' || field[0] == 'q' || field[0] == 'p'
		})
	default:
		*f = wire.Fault{Severity: f.Severity, Code: f.Code,
			Message: "the statement failed with SQLSTATE " + f.Code,
			Detail:  "The statement has labelled data in reach, so the gateway does not pass on the server's own words.",
		}
		return
	}
	if f.Position == 0 {
		return
	}
	if e.text == "" {
		f.Position = 0
		return
	}
	var buf sql.Buffer
	in, err := s.catalog.inspector.Load().Inspect(context.Background(), &s.env, e.text, &buf)
	if err != nil {
		f.Position = 0
		return
	}
	f.Position = in.SourcePosition(f.Position, nil)
}

// notice passes on a notice, unless labelled data was in its reach.
func (s *session) notice(front *expect, n int) error {
	f, err := s.readFault(n)
	if err != nil {
		return err
	}
	if reachOf(s.gate.Target, front.shape) == reachLabels {
		return nil
	}
	s.clean(front, f)
	s.ans = f.Append(s.answers(), wire.NoticeResponse)
	return nil
}
