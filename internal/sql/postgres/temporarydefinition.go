package postgres

import (
	"slices"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/sallyport-gateway/sallyport/internal/gate"
)

// temporaryDefinition reads statements that change the definition of temporary
// tables only; false means that it is none.
func (a *analysis) temporaryDefinition(n *pg_query.Node) (Statement, bool) {
	word := ""
	switch s := n.GetNode().(type) {
	case *pg_query.Node_DropStmt:
		if !a.dropsTemporary(s.DropStmt) {
			return Statement{}, false
		}
		word = "drop"
	case *pg_query.Node_AlterTableStmt:
		rel := a.ownTemporary(s.AlterTableStmt.GetRelation())
		if rel == nil || s.AlterTableStmt.GetObjtype() != pg_query.ObjectType_OBJECT_TABLE || !alterable(s.AlterTableStmt.GetCmds()) {
			return Statement{}, false
		}
		word = "alter table"
		a.alters(s.AlterTableStmt, rel)
	case *pg_query.Node_RenameStmt:
		r := s.RenameStmt
		kind := r.GetRenameType()
		if kind == pg_query.ObjectType_OBJECT_COLUMN {
			kind = r.GetRelationType()
		}
		if (kind != pg_query.ObjectType_OBJECT_TABLE && kind != pg_query.ObjectType_OBJECT_TABCONSTRAINT) || a.ownTemporary(r.GetRelation()) == nil {
			return Statement{}, false
		}
		word = "rename"
		a.pinRelation(r.GetRelation(), a.relation(r.GetRelation()))
	case *pg_query.Node_CreateSeqStmt:
		if !isTemporaryName(s.CreateSeqStmt.GetSequence()) || a.outside {
			return Statement{}, false
		}
		word = "create sequence"
		a.creates(s.CreateSeqStmt.GetSequence())
		a.creation(s.CreateSeqStmt.GetSequence(), s.CreateSeqStmt.GetIfNotExists())
	case *pg_query.Node_VacuumStmt:
		if !a.analyses(s.VacuumStmt) {
			return Statement{}, false
		}
		a.word("analyze")
		a.add(gate.EffectWrite)
		return Statement{Word: "analyze"}, true
	case *pg_query.Node_IndexStmt:
		rel := a.ownTemporary(s.IndexStmt.GetRelation())
		if rel == nil || !a.indexes(s.IndexStmt, rel) {
			return Statement{}, false
		}
		word = "create index"
	default:
		return Statement{}, false
	}
	a.word(word)
	a.add(gate.EffectSchema)
	a.facts.created, a.temporaries = true, true
	return Statement{Word: word}, true
}

// ownTemporary returns the session's own plain temporary table that a name
// means, or nil.
func (a *analysis) ownTemporary(rv *pg_query.RangeVar) *Relation {
	rel := a.relation(rv)
	if !rel.isOwnTable() || rv.GetCatalogname() != "" {
		return nil
	}
	a.facts.tables = append(a.facts.tables, rel.Name())
	return rel
}

// columnScope is what the definition of a table's column or constraint can name.
func columnScope(rel *Relation) *scope {
	return &scope{items: []*item{{alias: rel.name, rel: rel, cols: plainColumns(rel), open: true, hidden: true}}}
}

// alterable reports whether every command of an ALTER TABLE changes only the
// table itself. What is not listed, such as INHERIT, rules and triggers, is not.
func alterable(cmds []*pg_query.Node) bool {
	return !slices.ContainsFunc(cmds, func(n *pg_query.Node) bool {
		switch n.GetAlterTableCmd().GetSubtype() {
		case pg_query.AlterTableType_AT_AddColumn, pg_query.AlterTableType_AT_DropColumn, pg_query.AlterTableType_AT_ColumnDefault,
			pg_query.AlterTableType_AT_SetNotNull, pg_query.AlterTableType_AT_DropNotNull, pg_query.AlterTableType_AT_AlterColumnType,
			pg_query.AlterTableType_AT_AddConstraint, pg_query.AlterTableType_AT_DropConstraint:
			return false
		}
		return true
	})
}

func (a *analysis) alters(s *pg_query.AlterTableStmt, rel *Relation) {
	a.pinRelation(s.GetRelation(), rel)
	a.useTemporary(rel) // changing a column computes defaults and checks
	sc := columnScope(rel)
	for _, n := range s.GetCmds() {
		def := n.GetAlterTableCmd().GetDef()
		switch {
		case def == nil:
		case def.GetColumnDef() != nil || def.GetConstraint() != nil:
			a.columnDefinition(def)
			a.expr(def.GetColumnDef().GetRawDefault(), sc, useTarget) // USING
		default:
			a.expr(def, sc, useTarget)
		}
	}
}

// analyses reports whether ANALYZE, without options, names the session's temporary
// tables only.
func (a *analysis) analyses(s *pg_query.VacuumStmt) bool {
	if s.GetIsVacuumcmd() || len(s.GetOptions()) > 0 || len(s.GetRels()) == 0 {
		return false
	}
	for _, n := range s.GetRels() {
		rv := n.GetVacuumRelation().GetRelation()
		rel := a.ownTemporary(rv)
		if rel == nil {
			return false
		}
		a.pinRelation(rv, rel)
		a.useTemporary(rel) // it computes the expressions of indexes
	}
	return true
}

// indexes reads CREATE INDEX on a temporary table; false means that it needs more
// than the types' own operators.
func (a *analysis) indexes(s *pg_query.IndexStmt, rel *Relation) bool {
	for _, n := range s.GetIndexParams() {
		if len(n.GetIndexElem().GetOpclass()) > 0 {
			return false
		}
	}
	a.pinRelation(s.GetRelation(), rel)
	for i := range rel.columns {
		a.touchType(rel.columns[i].typ)
	}
	sc := columnScope(rel)
	for _, n := range s.GetIndexParams() {
		a.expr(n.GetIndexElem().GetExpr(), sc, useTarget)
	}
	a.expr(s.GetWhereClause(), sc, useTarget)
	return true
}

// dropsTemporary reports whether DROP TABLE, VIEW or SEQUENCE names the session's
// temporary relations only, and makes sure that it can drop no other. With IF EXISTS a name that means
// nothing at all is taken for a temporary one.
func (a *analysis) dropsTemporary(s *pg_query.DropStmt) bool {
	switch s.GetRemoveType() {
	case pg_query.ObjectType_OBJECT_TABLE, pg_query.ObjectType_OBJECT_VIEW, pg_query.ObjectType_OBJECT_SEQUENCE:
	default:
		return false
	}
	if a.outside || a.tokens == nil {
		return false
	}
	at := a.from + 2 // DROP TABLE
	if s.GetMissingOk() {
		at += 2 // IF EXISTS
	}
	var unqualified []int
	for i, n := range s.GetObjects() {
		names := strs(n.GetList().GetItems())
		rv := &pg_query.RangeVar{Relname: names[len(names)-1]}
		if len(names) > 1 {
			rv.Schemaname = names[len(names)-2]
		}
		rel := a.relation(rv)
		absent := rel == nil && s.GetMissingOk() && len(names) == 1
		if len(names) > 2 || !absent && (rel == nil || !rel.isTemporary()) {
			return false
		}
		if i > 0 {
			at++ // the comma
		}
		if end := at + 2*len(names) - 1; end > a.to || a.tokens.Value(end-1) != rv.Relname {
			return false
		}
		if len(names) == 1 {
			unqualified = append(unqualified, at)
		}
		at += 2*len(names) - 1
		a.facts.tables = append(a.facts.tables, temporarySchema+"."+rv.Relname)
		delete(a.made, rv.Relname)
	}
	for _, i := range unqualified {
		a.pins = append(a.pins, pin{i, temporarySchema})
	}
	return true
}

// likeClause reads CREATE TABLE … (LIKE relation): it can copy what runs when
// rows are written.
func (a *analysis) likeClause(c *pg_query.TableLikeClause) {
	rel := a.resolve(c.GetRelation())
	if rel == nil {
		return
	}
	a.facts.tables = append(a.facts.tables, rel.Name())
	a.include(a.in.writes[rel.oid])
	a.include(rel.extras().writes)
	for i := range rel.columns {
		a.touchType(rel.columns[i].typ)
	}
}
