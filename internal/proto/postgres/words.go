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
	// reachCommit: a transaction ends at such a target. What was deferred runs now,
	// over rows of any statement before: a constraint's message names only itself,
	// but a trigger's can hold a value.
	reachCommit
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
	if shape == nil || shape.Facts == nil || slices.ContainsFunc(shape.Statements, commits) {
		return reachCommit
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

// commits reports whether a statement runs what was deferred.
func commits(st sql.Statement) bool {
	return st.Kind == sql.KindCommit || st.Word == "set constraints"
}

// namesOnly reports whether the server's own message under a SQLSTATE names
// objects, and never holds a value of a row: constraints (ExecConstraints in
// executor/execMain.c, ri_ReportViolation in utils/adt/ri_triggers.c, which keep
// values in DETAIL), transactions, resources, cancellation. Conversions (22) and
// what a function raises (P0) are not of that kind.
func namesOnly(code string) bool {
	switch code[:min(2, len(code))] {
	case "08", "0A", "23", "25", "26", "34", "40", "53", "54", "55", "57":
		return true
	}
	return false
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
		withoutRows(f)
	case reachCommit:
		if !namesOnly(f.Code) {
			rebuild(f)
			return
		}
		withoutRows(f)
	default:
		rebuild(f)
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

// withoutRows drops the fields in which the server shows rows, and what a trigger
// was doing.
func withoutRows(f *wire.Fault) {
	f.Detail, f.Internal = "", slices.DeleteFunc(f.Internal, func(field string) bool {
		return field[0] == 'W' || field[0] == 'q' || field[0] == 'p'
	})
}

// rebuild leaves only the SQLSTATE of what the server said.
func rebuild(f *wire.Fault) {
	*f = wire.Fault{Severity: f.Severity, Code: f.Code,
		Message: "the statement failed with SQLSTATE " + f.Code,
		Detail:  "The statement has labelled data in reach, so the gateway does not pass on the server's own words.",
	}
}

// notice passes on a notice, unless labelled data was in its reach.
func (s *session) notice(front *expect, n int) error {
	f, err := s.readFault(n)
	if err != nil {
		return err
	}
	if r := reachOf(s.gate.Target, front.shape); r == reachLabels || r == reachCommit && !namesOnly(f.Code) {
		return nil
	}
	s.clean(front, f)
	s.ans = f.Append(s.answers(), wire.NoticeResponse)
	return nil
}
