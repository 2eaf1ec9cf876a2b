package postgres

import (
	"slices"

	pg_query "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"
)

// byKey reports whether a text is one query of columns of one table, whose rows can come
// in one order only, however the server finds them: it sorts by the primary key, or
// compares the key with constants, and nothing in it fails for the values of a row, by
// whose error one could tell which came first.
func (a *analysis) byKey(texts []*pg_query.RawStmt) bool {
	if len(texts) != 1 {
		return false
	}
	text := texts[0].GetStmt()
	if e := text.GetExplainStmt(); e != nil {
		text = e.GetQuery() // to show the plan that it has
	}
	s := text.GetSelectStmt()
	if s == nil || !proto.Equal(s, &pg_query.SelectStmt{Op: pg_query.SetOperation_SETOP_NONE, TargetList: s.GetTargetList(), FromClause: s.GetFromClause(),
		WhereClause: s.GetWhereClause(), SortClause: s.GetSortClause(), LimitOffset: s.GetLimitOffset(), LimitCount: s.GetLimitCount(), LimitOption: s.GetLimitOption()}) {
		return false // there is more in it
	}
	if len(s.GetFromClause()) != 1 {
		return false
	}
	rv := s.GetFromClause()[0].GetRangeVar()
	if rv == nil || len(rv.GetAlias().GetColnames()) > 0 {
		return false
	}
	k := &keyed{a: a, rel: a.relation(rv), alias: rv.GetRelname()}
	if as := rv.GetAlias(); as != nil {
		k.alias = as.GetAliasname()
	}
	return k.plain() && constantOrNone(s.GetLimitCount()) && constantOrNone(s.GetLimitOffset()) &&
		k.shows(s.GetTargetList()) && k.compares(s.GetWhereClause()) && k.sorts(s.GetSortClause()) && k.covered()
}

// keyed is the table that a query reads, and what puts its rows in order.
type keyed struct {
	a     *analysis
	rel   *Relation
	alias string
	fixed []int16 // columns that are sorted by, or have one value
}

// plain reports whether the table's rows are its own, and reading them computes nothing.
func (k *keyed) plain() bool {
	if k.rel == nil || k.rel.kind != 'r' || k.rel.isTemporary() || k.rel.isSystem() || k.rel.rls {
		return false
	}
	x := k.rel.extras()
	return len(x.children) == 0 && len(x.policies) == 0 && len(x.rules) == 0 &&
		!slices.ContainsFunc(k.rel.columns, func(c Column) bool { return c.generated })
}

// column returns the column that an expression is, nil if it is none.
func (k *keyed) column(n *pg_query.Node) *Column {
	fields := n.GetColumnRef().GetFields()
	if len(fields) == 0 || len(fields) > 2 || fields[len(fields)-1].GetString_() == nil || len(fields) == 2 && fields[0].GetString_().GetSval() != k.alias {
		return nil
	}
	return k.rel.column(fields[len(fields)-1].GetString_().GetSval())
}

// shows reports whether a select list has columns only, under their own names: ORDER BY
// means those of the list before those of the table.
func (k *keyed) shows(list []*pg_query.Node) bool {
	return !slices.ContainsFunc(list, func(n *pg_query.Node) bool {
		t := n.GetResTarget()
		fields := t.GetVal().GetColumnRef().GetFields()
		star := len(fields) > 0 && fields[len(fields)-1].GetAStar() != nil
		return t.GetName() != "" || len(t.GetIndirection()) > 0 || !star && k.column(t.GetVal()) == nil
	})
}

// sorts notes what the rows are sorted by, which must be columns without labels.
func (k *keyed) sorts(list []*pg_query.Node) bool {
	for _, n := range list {
		s := n.GetSortBy()
		c := k.column(s.GetNode())
		if c == nil || s.GetSortbyDir() == pg_query.SortByDir_SORTBY_USING || !k.comparable(c) {
			return false
		}
		k.fixed = append(k.fixed, c.num)
	}
	return true
}

// compares reports whether a condition compares columns with constants, and notes those
// that have one value then. Two values of a key can be equal to one parameter, whose type
// the client declares.
func (k *keyed) compares(n *pg_query.Node) bool {
	if n == nil {
		return true
	}
	switch e := n.GetNode().(type) {
	case *pg_query.Node_BoolExpr:
		return e.BoolExpr.GetBoolop() == pg_query.BoolExprType_AND_EXPR && !slices.ContainsFunc(e.BoolExpr.GetArgs(), func(n *pg_query.Node) bool { return !k.compares(n) })
	case *pg_query.Node_NullTest:
		c := k.column(e.NullTest.GetArg())
		return c != nil && k.comparable(c)
	case *pg_query.Node_AExpr:
		c, to, name := k.column(e.AExpr.GetLexpr()), e.AExpr.GetRexpr(), strs(e.AExpr.GetName())
		if c == nil || !k.comparable(c) || len(name) != 1 {
			return false
		}
		if e.AExpr.GetKind() == pg_query.A_Expr_Kind_AEXPR_IN {
			return !slices.ContainsFunc(to.GetList().GetItems(), func(n *pg_query.Node) bool { return !constantOrNone(n) })
		}
		if e.AExpr.GetKind() != pg_query.A_Expr_Kind_AEXPR_OP || to == nil || !constantOrNone(to) || !slices.Contains([]string{"=", "<>", "<", "<=", ">", ">="}, name[0]) {
			return false
		}
		if name[0] == "=" && to.GetAConst() != nil {
			k.fixed = append(k.fixed, c.num)
		}
		return true
	}
	return false
}

// comparable reports whether a column's values can be compared without an error, and
// shown in an order.
func (k *keyed) comparable(c *Column) bool {
	return k.a.in.labels.of(k.rel).column(c.num) == 0 && c.typ < firstUserOID && k.a.in.cat.kindsOf(c.typ, 0)&kindGeometric == 0
}

// covered reports whether no two rows have the same values in what is fixed.
func (k *keyed) covered() bool {
	for _, x := range k.rel.extras().indexes {
		if x.primary {
			return !slices.ContainsFunc(x.columns[:x.keys], func(n int16) bool { return !slices.Contains(k.fixed, n) })
		}
	}
	return false
}

func constantOrNone(n *pg_query.Node) bool {
	return n == nil || n.GetAConst() != nil || n.GetParamRef() != nil
}
