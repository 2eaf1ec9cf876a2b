package postgres

import (
	pg_query "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// saw remembers a relation that the analysis came to.
func (a *analysis) saw(rv *pg_query.RangeVar) {
	if a.outside {
		return
	}
	if a.seen == nil {
		a.seen = map[int32]bool{}
	}
	a.seen[rv.GetLocation()] = true
}

// allSeen makes the statement unknown if its tree names a relation that the
// analysis did not come to. It does not trust the analysis to know every field
// of every node: it looks at all of them.
func (a *analysis) allSeen(n *pg_query.Node) {
	switch n.GetNode().(type) {
	case *pg_query.Node_SelectStmt, *pg_query.Node_InsertStmt, *pg_query.Node_UpdateStmt, *pg_query.Node_DeleteStmt, *pg_query.Node_MergeStmt,
		*pg_query.Node_ExplainStmt, *pg_query.Node_CopyStmt, *pg_query.Node_PrepareStmt, *pg_query.Node_DeclareCursorStmt,
		*pg_query.Node_ExecuteStmt, *pg_query.Node_CallStmt, *pg_query.Node_CreateTableAsStmt, *pg_query.Node_ViewStmt:
	default:
		return // refused where labels apply, or without a query
	}
	if a.in.labels.all == 0 || a.facts.notUnderstood {
		return
	}
	if !a.seenBelow(n.ProtoReflect()) {
		a.unknown()
	}
}

// seenBelow reports whether every relation below a node was seen.
func (a *analysis) seenBelow(m protoreflect.Message) bool {
	switch v := m.Interface().(type) {
	case *pg_query.RangeVar:
		return a.seen[v.GetLocation()]
	case *pg_query.IntoClause, *pg_query.LockingClause:
		return true // names what is made, or what the FROM list names
	case *pg_query.ViewStmt:
		return a.seenBelow(v.GetQuery().ProtoReflect())
	case *pg_query.ColumnRef, *pg_query.A_Const, *pg_query.TypeName:
		return true
	}
	ok := true
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.IsList() && f.Message() != nil:
			for i := range v.List().Len() {
				ok = ok && a.seenBelow(v.List().Get(i).Message())
			}
		case f.Message() != nil:
			ok = a.seenBelow(v.Message())
		}
		return ok
	})
	return ok
}
