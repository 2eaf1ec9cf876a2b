package postgres

import (
	"slices"
	"strings"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/sallyport-gateway/sallyport/internal/gate"
)

// copyStmt reads COPY. TO STDOUT is a read that also has the effect export, FROM
// STDIN a write; files and programs at the server are administration.
func (a *analysis) copyStmt(s *pg_query.CopyStmt) Statement {
	a.exact()
	a.word("copy")
	st := Statement{Kind: KindCopyOut, Word: "copy"}
	if s.GetIsProgram() || s.GetFilename() != "" {
		st.Kind = KindOther
		a.add(gate.EffectAdmin | gate.EffectExecute)
	}
	a.copyOptions(s.GetOptions())
	if s.GetQuery() != nil {
		a.add(gate.EffectRead | gate.EffectExport)
		a.shows(a.nested(s.GetQuery(), nil))
		return st
	}
	a.saw(s.GetRelation())
	rel := a.resolve(s.GetRelation())
	if rel == nil {
		a.add(gate.EffectRead)
		return a.copyDirection(s, st)
	}
	st = a.copyDirection(s, st)
	if s.GetIsFrom() {
		a.copyFrom(s, rel)
		return st
	}
	a.add(gate.EffectRead | gate.EffectExport)
	a.facts.columns = append(a.facts.columns, copyColumns(rel, strs(s.GetAttlist()))...)
	for _, c := range rel.columns {
		a.touchType(c.typ)
	}
	var cols []outCol
	for _, c := range a.relationColumns(rel) {
		if len(s.GetAttlist()) == 0 || slices.Contains(strs(s.GetAttlist()), c.name) {
			cols = append(cols, c)
		}
	}
	a.shows(cols)
	a.readRelation(rel)
	a.substituteCopy(s, rel)
	return st
}

func (a *analysis) copyDirection(s *pg_query.CopyStmt, st Statement) Statement {
	if s.GetIsFrom() {
		a.add(gate.EffectWrite)
		if st.Kind == KindCopyOut {
			st.Kind = KindCopyIn
		}
	}
	return st
}

func copyColumns(rel *Relation, names []string) []string {
	if len(names) == 0 {
		return []string{rel.Name() + ".*"}
	}
	out := make([]string, 0, len(names))
	for _, n := range names {
		out = append(out, rel.Name()+"."+n)
	}
	return out
}

// copyFrom reads COPY rel FROM: an INSERT of the agent's own values.
func (a *analysis) copyFrom(s *pg_query.CopyStmt, rel *Relation) {
	columns := insertedColumns(rel, strs(s.GetAttlist()))
	a.writes(rel, triggerInsert, columns)
	a.noteAssigned(rel, strs(s.GetAttlist()))
	sc := &scope{items: []*item{{alias: rel.name, cols: plainColumns(rel), rel: rel, target: true}}}
	a.expr(s.GetWhereClause(), sc, useWhere)
}

// plainColumns are a relation's columns without labels: values that the agent
// itself gives.
func plainColumns(rel *Relation) []outCol {
	out := make([]outCol, len(rel.columns))
	for i := range rel.columns {
		out[i] = outCol{name: rel.columns[i].name, typ: rel.columns[i].typ}
	}
	return out
}

// copyOptions allows the options of PostgreSQL 13 to 18 that only say how rows
// are written.
func (a *analysis) copyOptions(options []*pg_query.Node) {
	for _, n := range options {
		d := n.GetDefElem()
		switch strings.ToLower(d.GetDefname()) {
		case "format", "freeze", "delimiter", "null", "default", "header", "quote", "escape",
			"force_quote", "force_not_null", "force_null", "on_error", "log_verbosity", "reject_limit":
		case "encoding":
			if v := strings.ToLower(d.GetArg().GetString_().GetSval()); v != "utf8" && v != "utf-8" && v != "unicode" {
				a.add(gate.EffectAdmin)
			}
		default:
			a.unknown()
		}
	}
}
