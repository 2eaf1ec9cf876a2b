package postgres

import (
	"slices"

	pg_query "github.com/pganalyze/pg_query_go/v6"
)

// bounded notes an UPDATE or DELETE that reaches every row. Whether a condition
// is always true cannot be decided in general; what is found here is the
// absence of a condition, a condition that no column of the changed relation
// takes part in, and the plain tautologies over one.
func (a *analysis) bounded(where *pg_query.Node, it *item, rel *Relation) {
	if where == nil || a.alwaysTrue(where, it, rel) {
		a.facts.unbounded = true
	}
}

func (a *analysis) alwaysTrue(n *pg_query.Node, it *item, rel *Relation) bool {
	if n == nil || !a.enter() {
		return false
	}
	defer a.leave()
	switch e := n.GetNode().(type) {
	case *pg_query.Node_AConst:
		v := a.constant(e.AConst)
		return v.kind != 'b' || v.b
	case *pg_query.Node_CurrentOfExpr:
		return false
	case *pg_query.Node_TypeCast:
		if c := e.TypeCast.GetArg().GetAConst(); c != nil {
			v := a.constant(c)
			return v.s != "f" && v.s != "false" && !(v.kind == 'b' && !v.b)
		}
	case *pg_query.Node_BoolExpr:
		return a.alwaysTrueBool(e.BoolExpr, it, rel)
	case *pg_query.Node_NullTest:
		return a.nullTestTrue(e.NullTest, rel)
	case *pg_query.Node_AExpr:
		if a.comparesItself(e.AExpr) || a.matchesAll(e.AExpr) {
			return true
		}
	}
	return !dependsOn(n, it, rel)
}

func (a *analysis) alwaysTrueBool(e *pg_query.BoolExpr, it *item, rel *Relation) bool {
	switch e.GetBoolop() {
	case pg_query.BoolExprType_AND_EXPR:
		for _, n := range e.GetArgs() {
			if !a.alwaysTrue(n, it, rel) {
				return false
			}
		}
		return true
	case pg_query.BoolExprType_OR_EXPR:
		var tests [2]map[string]bool
		tests[0], tests[1] = map[string]bool{}, map[string]bool{}
		for _, n := range e.GetArgs() {
			if a.alwaysTrue(n, it, rel) {
				return true
			}
			if t := n.GetNullTest(); t != nil { // x IS NULL OR x IS NOT NULL
				i := 0
				if t.GetNulltesttype() == pg_query.NullTestType_IS_NOT_NULL {
					i = 1
				}
				key := columnKey(t.GetArg())
				tests[i][key] = true
				if key != "" && tests[1-i][key] {
					return true
				}
			}
		}
		return false
	default: // NOT
		for _, n := range e.GetArgs() {
			if t := n.GetNullTest(); t != nil && t.GetNulltesttype() == pg_query.NullTestType_IS_NULL {
				return neverNull(t.GetArg(), rel)
			}
			if dependsOn(n, it, rel) {
				return false
			}
			if c := n.GetAConst(); c != nil {
				v := a.constant(c)
				return v.kind == 'b' && !v.b
			}
		}
		return true
	}
}

func columnKey(n *pg_query.Node) string {
	fields := n.GetColumnRef().GetFields()
	if len(fields) == 0 {
		return ""
	}
	return fields[len(fields)-1].GetString_().GetSval()
}

func (a *analysis) nullTestTrue(t *pg_query.NullTest, rel *Relation) bool {
	return t.GetNulltesttype() == pg_query.NullTestType_IS_NOT_NULL && neverNull(t.GetArg(), rel)
}

// neverNull is a column of the changed relation that cannot be null.
func neverNull(n *pg_query.Node, rel *Relation) bool {
	key := columnKey(n)
	if key == "" || rel == nil {
		return false
	}
	if isSystemColumn(key) {
		return true
	}
	c := rel.column(key)
	return c != nil && c.notNull
}

// comparesItself is x = x, x <= x or x >= x.
func (a *analysis) comparesItself(e *pg_query.A_Expr) bool {
	switch operatorName(e.GetName()) {
	case "=", "<=", ">=":
		l, r := strs(e.GetLexpr().GetColumnRef().GetFields()), strs(e.GetRexpr().GetColumnRef().GetFields())
		return len(l) > 0 && slices.Equal(l, r)
	}
	return false
}

// matchesAll is x LIKE '%'.
func (a *analysis) matchesAll(e *pg_query.A_Expr) bool {
	if k := e.GetKind(); k != pg_query.A_Expr_Kind_AEXPR_LIKE && k != pg_query.A_Expr_Kind_AEXPR_ILIKE {
		return false
	}
	c := e.GetRexpr().GetAConst()
	if c == nil || operatorName(e.GetName())[0] == '!' {
		return false
	}
	v := a.constant(c)
	return v.kind == 's' && (v.s == "%" || v.s == "%%")
}

// dependsOn says whether a condition names a column of the changed relation.
func dependsOn(n *pg_query.Node, it *item, rel *Relation) bool {
	found := false
	walkColumnRefs(n.ProtoReflect(), func(c *pg_query.ColumnRef) {
		fields := strs(c.GetFields())
		if len(fields) > 1 {
			found = found || fields[len(fields)-2] == it.alias
			return
		}
		if len(fields) == 1 {
			found = found || rel == nil || rel.column(fields[0]) != nil || isSystemColumn(fields[0]) || fields[0] == it.alias
		}
	}, nil)
	return found
}
