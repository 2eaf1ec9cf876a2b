package postgres

import (
	"slices"
	"strings"

	pg_query "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// bounded notes an UPDATE or DELETE that may reach every row. Whether a condition
// is always true cannot be decided in general, so a condition counts only if it is of
// a form that leaves rows out; see [analysis.bounds]. The rows of a session's own
// temporary tables are nobody else's.
func (a *analysis) bounded(where *pg_query.Node, it *item, rel *Relation, from []*pg_query.Node, sc *scope) {
	if rel.isOwnTable() {
		return
	}
	lv := a.changedLevel(it, rel, from, sc)
	a.settle(lv, where)
	if where == nil || !a.bounds(where, lv.sources[0], lv) {
		a.facts.unbounded = true
	}
}

// changedLevel is what the condition of a statement can name; the relation that the
// statement changes comes first.
func (a *analysis) changedLevel(it *item, rel *Relation, from []*pg_query.Node, sc *scope) *level {
	lv := &level{ctes: sc.withClause()}
	target := a.relationSource(rel, it.alias)
	target.target = true
	lv.sources = append(lv.sources, target)
	for _, n := range from {
		a.boundFrom(n, lv, true)
	}
	return lv
}

// boundedConflict notes an ON CONFLICT DO UPDATE that may reach every row: rows that
// come from the relation itself conflict with all of it.
func (a *analysis) boundedConflict(s *pg_query.InsertStmt, it *item, rel *Relation, sc *scope) {
	c, q := s.GetOnConflictClause(), s.GetSelectStmt().GetSelectStmt()
	if c.GetAction() != pg_query.OnConflictAction_ONCONFLICT_UPDATE || q == nil || len(q.GetValuesLists()) > 0 || rel.isOwnTable() {
		return
	}
	lv := a.changedLevel(it, rel, nil, sc)
	lv.sources = append(lv.sources, &boundSource{alias: "excluded", open: true})
	if c.GetWhereClause() != nil && a.bounds(c.GetWhereClause(), lv.sources[0], lv) {
		return
	}
	cols := a.boundedQuery(q, nil, sc.withClause()).cols
	few := len(cols) > 0 && !slices.ContainsFunc(cols, func(c boundColumn) bool { return !c.few })
	if !few && a.mayRead(q.ProtoReflect(), sc.withClause(), rel, map[*cteScope]bool{}) {
		a.facts.unbounded = true
	}
}

// bounds reports whether a condition leaves rows of a source out. It does if it
// compares a column of it by = with few values, by < or > with a constant, or by LIKE
// with a constant text; if it asks for NULL; or if it is a boolean column. Of an AND one
// arm is enough, of an OR all are needed. Nothing else does: most of what can be
// written is true for every row of some table.
func (a *analysis) bounds(n *pg_query.Node, s *boundSource, lv *level) bool {
	if n == nil || !a.working(1) || !a.enter() {
		return false
	}
	defer a.leave()
	switch e := n.GetNode().(type) {
	case *pg_query.Node_AConst, *pg_query.Node_TypeCast:
		v, ok := a.constantOf(n)
		return ok && (v.kind == 'n' || v.kind == 'b' && !v.b || v.s == "f" || v.s == "false")
	case *pg_query.Node_CurrentOfExpr:
		return true
	case *pg_query.Node_ColumnRef:
		return a.bare(n, s, lv) != nil
	case *pg_query.Node_BooleanTest:
		switch e.BooleanTest.GetBooltesttype() {
		case pg_query.BoolTestType_IS_TRUE:
			return a.bounds(e.BooleanTest.GetArg(), s, lv)
		case pg_query.BoolTestType_IS_FALSE, pg_query.BoolTestType_IS_UNKNOWN:
			return a.bare(e.BooleanTest.GetArg(), s, lv) != nil
		}
	case *pg_query.Node_NullTest:
		return e.NullTest.GetNulltesttype() == pg_query.NullTestType_IS_NULL && a.bare(e.NullTest.GetArg(), s, lv) != nil
	case *pg_query.Node_BoolExpr:
		args := e.BoolExpr.GetArgs()
		not := func(n *pg_query.Node) bool { return !a.bounds(n, s, lv) }
		switch e.BoolExpr.GetBoolop() {
		case pg_query.BoolExprType_AND_EXPR:
			return slices.ContainsFunc(args, func(n *pg_query.Node) bool { return a.bounds(n, s, lv) })
		case pg_query.BoolExprType_OR_EXPR:
			return !slices.ContainsFunc(args, not) && !a.complementary(args, s, lv)
		default:
			return len(args) == 1 && a.bare(args[0], s, lv) != nil
		}
	case *pg_query.Node_SubLink:
		return a.boundsSubLink(e.SubLink, s, lv)
	case *pg_query.Node_AExpr:
		return a.boundsComparison(e.AExpr, s, lv)
	}
	return false
}

// boundsSubLink is an IN of few values, or an EXISTS whose condition leaves rows of the
// source out. A query that computes aggregates has a row whatever its condition says.
func (a *analysis) boundsSubLink(l *pg_query.SubLink, s *boundSource, lv *level) bool {
	q := l.GetSubselect().GetSelectStmt()
	switch l.GetSubLinkType() {
	case pg_query.SubLinkType_EXISTS_SUBLINK:
		plain := q.GetOp() <= pg_query.SetOperation_SETOP_NONE && len(q.GetValuesLists())+len(q.GetGroupClause()) == 0 && q.GetHavingClause() == nil &&
			!slices.ContainsFunc(q.GetTargetList(), calls)
		inner := a.boundedQuery(q, lv, lv.ctes)
		return plain && inner.level != nil && a.bounds(q.GetWhereClause(), s, inner.level)
	case pg_query.SubLinkType_ANY_SUBLINK:
		if len(l.GetOperName()) > 0 && !equality(l.GetOperName()) {
			return false
		}
		cols := a.boundedQuery(q, lv, lv.ctes).cols
		for i, n := range parts(l.GetTestexpr()) {
			if i < len(cols) && cols[i].few && a.own(n, s, lv) != nil {
				return true
			}
		}
	}
	return false
}

// equality reports whether an operator is PostgreSQL's =.
func equality(name []*pg_query.Node) bool {
	return operatorName(name) == "=" && ofCatalog(name)
}

// ofCatalog reports whether a name can mean something of pg_catalog.
func ofCatalog(name []*pg_query.Node) bool {
	return len(name) == 1 || name[0].GetString_().GetSval() == "pg_catalog"
}

// parts are the fields of a row, or an expression by itself.
func parts(n *pg_query.Node) []*pg_query.Node {
	if r := n.GetRowExpr(); r != nil {
		return r.GetArgs()
	}
	return []*pg_query.Node{n}
}

// fewRows is how many rows a LIMIT may leave and still count as a bound: more is
// more than many tables have.
const fewRows = 10000

// limit is how many rows a LIMIT of a constant leaves at most. WITH TIES leaves any
// number of them.
func (a *analysis) limit(s *pg_query.SelectStmt) (rows int64, ok bool) {
	c := s.GetLimitCount().GetAConst()
	if c == nil || s.GetLimitOption() != pg_query.LimitOption_LIMIT_OPTION_COUNT {
		return 0, false
	}
	v := a.constant(c)
	return v.i, v.kind == 'i'
}

// boundsComparison is a comparison of a column with few values.
func (a *analysis) boundsComparison(e *pg_query.A_Expr, s *boundSource, lv *level) bool {
	l, r := e.GetLexpr(), e.GetRexpr()
	if !ofCatalog(e.GetName()) {
		return false
	}
	switch e.GetKind() {
	case pg_query.A_Expr_Kind_AEXPR_OP, pg_query.A_Expr_Kind_AEXPR_NOT_DISTINCT:
		if !equality(e.GetName()) {
			break
		}
		x, y := parts(l), parts(r)
		for i := range x {
			if len(x) == len(y) && (a.equals(x[i], y[i], s, lv) || a.equals(y[i], x[i], s, lv)) {
				return true
			}
		}
		return false
	case pg_query.A_Expr_Kind_AEXPR_IN:
		return equality(e.GetName()) && a.listed(l, r.GetList().GetItems(), s, lv)
	case pg_query.A_Expr_Kind_AEXPR_OP_ANY:
		c := a.own(l, s, lv)
		if c == nil || c.typ == oidBool || !equality(e.GetName()) {
			return false
		}
		if q := r.GetSubLink(); q.GetSubLinkType() == pg_query.SubLinkType_ARRAY_SUBLINK {
			// It is an IN, as which rows are named by ctid.
			cols := a.boundedQuery(q.GetSubselect().GetSelectStmt(), lv, lv.ctes).cols
			return len(cols) == 1 && cols[0].few
		}
		few, _ := a.limited(r, lv)
		return few
	case pg_query.A_Expr_Kind_AEXPR_BETWEEN, pg_query.A_Expr_Kind_AEXPR_BETWEEN_SYM:
		ends := r.GetList().GetItems()
		return a.inOrder(l, s, lv) && len(ends) == 2 && a.constantIn(ends[0], lv) && a.constantIn(ends[1], lv)
	case pg_query.A_Expr_Kind_AEXPR_LIKE, pg_query.A_Expr_Kind_AEXPR_ILIKE:
	default:
		return false
	}
	switch op := operatorName(e.GetName()); op {
	case "<", "<=", ">", ">=":
		left, right := a.inOrder(l, s, lv), a.inOrder(r, s, lv)
		if right {
			r = l
		}
		if left == right || !a.constantIn(r, lv) {
			return false
		}
		c, ok := a.constantOf(r) // no text is less than the empty one
		return !ok || c.kind != 's' || !endless(c.s) && (c.s != "" || op[0] == '<' == left)
	default:
		c, ok := a.constantOf(r)
		return ok && c.kind == 's' && leavesOut(op, c.s) && a.own(l, s, lv) != nil
	}
}

// inOrder reports whether an expression is a column of which less and more leave rows
// out: not one of a type that has a first and a last value, as where a row lies has.
func (a *analysis) inOrder(n *pg_query.Node, s *boundSource, lv *level) bool {
	c := a.own(n, s, lv)
	if c == nil || c.base == nil || c.typ == oidBool {
		return false
	}
	t := a.in.cat.types[c.typ]
	return t == nil || t.kind != 'e'
}

// endless reports whether a text is a value that nothing is beyond.
func endless(s string) bool {
	switch strings.ToLower(strings.Trim(s, " \t\n+-")) {
	case "infinity", "inf", "nan":
		return true
	}
	return false
}

// equals is a column that has to equal one of few values. A sub-query in parentheses
// gives one, if it gives the same for every row.
func (a *analysis) equals(column, with *pg_query.Node, s *boundSource, lv *level) bool {
	if a.own(column, s, lv) == nil {
		return false
	}
	if l := with.GetSubLink(); l != nil {
		q := l.GetSubselect().GetSelectStmt()
		cols := a.boundedQuery(q, lv, lv.ctes).cols
		return l.GetSubLinkType() == pg_query.SubLinkType_EXPR_SUBLINK && (len(cols) == 1 && cols[0].few || a.closed(q, lv.ctes))
	}
	few, _ := a.limited(with, lv)
	return few || sameForEveryRow(with)
}

// listed is an IN of a list: of a column, or of a row that has one.
func (a *analysis) listed(l *pg_query.Node, list []*pg_query.Node, s *boundSource, lv *level) bool {
	for i, n := range parts(l) {
		c := a.own(n, s, lv)
		if c == nil || c.typ == oidBool && len(list) > 1 {
			continue
		}
		if !slices.ContainsFunc(list, func(x *pg_query.Node) bool {
			y := parts(x)
			few := false
			if i < len(y) {
				few, _ = a.limited(y[i], lv)
			}
			return !few
		}) {
			return true
		}
	}
	return false
}

func (a *analysis) constantIn(n *pg_query.Node, lv *level) bool {
	_, constant := a.limited(n, lv)
	return constant
}

// sameForEveryRow reports whether an expression names no column and no query, so that
// it gives one value, even if functions of users make it.
func sameForEveryRow(n *pg_query.Node) bool {
	found := false
	walkSides(n.ProtoReflect(), func(m protoreflect.Message) bool {
		switch m.Interface().(type) {
		case *pg_query.ColumnRef, *pg_query.SubLink:
			found = true
		}
		return !found
	})
	return !found
}

// bare returns the column of a source that an expression is, nil if it is none.
func (a *analysis) bare(n *pg_query.Node, s *boundSource, lv *level) *boundColumn {
	if c := n.GetColumnRef(); c != nil {
		if src, col := a.resolveBound(c, lv); src == s && col != nil && col.own {
			return col
		}
	}
	return nil
}

// own is bare, apart from what keeps different values apart, or nearly, and from
// members of documents.
func (a *analysis) own(n *pg_query.Node, s *boundSource, lv *level) *boundColumn {
	for range maxMaskDepth {
		switch e := n.GetNode().(type) {
		case *pg_query.Node_TypeCast:
			t := e.TypeCast.GetTypeName()
			if names := strs(t.GetNames()); len(t.GetTypmods())+len(t.GetArrayBounds()) > 0 || len(names) == 0 || len(names) > 1 && names[0] != "pg_catalog" ||
				!strings.Contains(" text varchar date uuid int8 numeric ", " "+names[len(names)-1]+" ") {
				return nil
			}
			n = e.TypeCast.GetArg()
		case *pg_query.Node_CollateClause:
			n = e.CollateClause.GetArg()
		case *pg_query.Node_AExpr:
			if !ofCatalog(e.AExpr.GetName()) || !strings.Contains(" -> ->> #> #>> ", " "+operatorName(e.AExpr.GetName())+" ") || variable(e.AExpr.GetRexpr().ProtoReflect()) {
				return nil
			}
			n = e.AExpr.GetLexpr()
		case *pg_query.Node_FuncCall:
			name := operatorName(e.FuncCall.GetFuncname())
			if len(e.FuncCall.GetArgs()) != 1 || name != "lower" && name != "upper" || !ofCatalog(e.FuncCall.GetFuncname()) || len(a.in.cat.userFunctions("", name)) > 0 {
				return nil
			}
			n = e.FuncCall.GetArgs()[0]
		default:
			return a.bare(n, s, lv)
		}
	}
	return nil
}

// complementary says whether the arms of an OR can cover every value of a column
// together: x < 5 OR x > 1, or two that ask a boolean column.
func (a *analysis) complementary(args []*pg_query.Node, s *boundSource, lv *level) bool {
	before := map[*Column]string{}
	for _, n := range args {
		arm := map[*Column]string{}
		a.sides(n, s, lv, arm)
		for c, sides := range arm {
			other := before[c]
			if other != "" && c != nil && c.typ == oidBool || strings.Contains(sides, "<") && strings.Contains(other, ">") || strings.Contains(sides, ">") && strings.Contains(other, "<") {
				return true
			}
			before[c] += sides
		}
	}
	return false
}

// sides collects from which side the comparisons below a condition bound a column: < or
// >, or = for any other.
func (a *analysis) sides(n *pg_query.Node, s *boundSource, lv *level, found map[*Column]string) {
	if n == nil || !a.enter() {
		return
	}
	defer a.leave()
	for _, x := range append(n.GetBoolExpr().GetArgs(), n.GetBooleanTest().GetArg(), n.GetNullTest().GetArg()) {
		a.sides(x, s, lv, found)
	}
	if l := n.GetSubLink(); l.GetSubLinkType() == pg_query.SubLinkType_EXISTS_SUBLINK {
		q := l.GetSubselect().GetSelectStmt()
		if inner := a.boundedQuery(q, lv, lv.ctes).level; inner != nil {
			a.sides(q.GetWhereClause(), s, inner, found)
		}
	}
	if c := a.bare(n, s, lv); c != nil {
		found[c.base] += "="
	}
	e := n.GetAExpr()
	if e == nil {
		return
	}
	op := operatorName(e.GetName())
	if op == "" {
		return
	}
	for _, x := range parts(e.GetRexpr()) {
		if c := a.own(x, s, lv); c != nil {
			found[c.base] += map[byte]string{'<': ">", '>': "<"}[op[0]] + "="
		}
	}
	for _, x := range parts(e.GetLexpr()) {
		c := a.own(x, s, lv)
		switch {
		case c == nil:
		case e.GetKind() == pg_query.A_Expr_Kind_AEXPR_BETWEEN, e.GetKind() == pg_query.A_Expr_Kind_AEXPR_BETWEEN_SYM:
			found[c.base] += "<>"
		default:
			found[c.base] += strings.Trim(op[:1], "~^!") + "="
		}
	}
}

// variable says that an expression is not made of constants alone.
func variable(m protoreflect.Message) bool {
	found := false
	walkSides(m, func(m protoreflect.Message) bool {
		switch m.Interface().(type) {
		case *pg_query.ParamRef, *pg_query.ColumnRef, *pg_query.RangeVar:
			found = true
		}
		return !found
	})
	return found
}

// walkSides visits a tree; visit says whether to go below a node.
func walkSides(m protoreflect.Message, visit func(protoreflect.Message) bool) {
	if !visit(m) {
		return
	}
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.IsList() && f.Message() != nil:
			for i := range v.List().Len() {
				walkSides(v.List().Get(i).Message(), visit)
			}
		case f.Message() != nil:
			walkSides(v.Message(), visit)
		}
		return true
	})
}
