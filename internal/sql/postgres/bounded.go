package postgres

import (
	"slices"
	"strings"

	pg_query "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// target is the relation that a statement changes, for the question whether a
// condition leaves rows out.
type target struct {
	it    *item
	rel   *Relation
	again []string // aliases under which the statement reads the same relation
}

// bounded notes an UPDATE or DELETE that may reach every row. Whether a condition
// is always true cannot be decided in general, so a condition counts only if it
// compares a column of the changed relation, by itself, with something that does
// not depend on that relation. The rows of a session's own temporary tables are
// nobody else's.
func (a *analysis) bounded(where *pg_query.Node, it *item, rel *Relation, sources []*pg_query.Node) {
	if rel.isOwnTable() {
		return
	}
	if where == nil || !a.bounds(where, a.targetOf(it, rel, sources)) {
		a.facts.unbounded = true
	}
}

func (a *analysis) targetOf(it *item, rel *Relation, sources []*pg_query.Node) *target {
	t := &target{it: it, rel: rel}
	for _, n := range sources {
		for _, rv := range rangeVars(n) {
			if a.isRelation(rv, rel) {
				alias := rv.GetRelname()
				if x := rv.GetAlias(); x != nil {
					alias = x.GetAliasname()
				}
				t.again = append(t.again, alias)
			}
		}
	}
	return t
}

// isRelation reports whether a range variable can be the relation.
func (a *analysis) isRelation(rv *pg_query.RangeVar, rel *Relation) bool {
	return rel != nil && a.relation(rv) == rel
}

// bounds reports whether a condition leaves rows out.
func (a *analysis) bounds(n *pg_query.Node, t *target) bool {
	if n == nil || !a.enter() {
		return false
	}
	defer a.leave()
	switch e := n.GetNode().(type) {
	case *pg_query.Node_AConst:
		v := a.constant(e.AConst)
		return v.kind == 'b' && !v.b || v.kind == 'n'
	case *pg_query.Node_CurrentOfExpr:
		return true
	case *pg_query.Node_ColumnRef:
		return t.alone(n) != ""
	case *pg_query.Node_TypeCast:
		if c := e.TypeCast.GetArg().GetAConst(); c != nil {
			v := a.constant(c)
			return v.s == "f" || v.s == "false" || v.kind == 'b' && !v.b
		}
		return t.alone(n) != ""
	case *pg_query.Node_BoolExpr:
		return a.boundsBool(e.BoolExpr, t)
	case *pg_query.Node_BooleanTest:
		if e.BooleanTest.GetBooltesttype() == pg_query.BoolTestType_IS_TRUE {
			return a.bounds(e.BooleanTest.GetArg(), t)
		}
		return t.alone(e.BooleanTest.GetArg()) != ""
	case *pg_query.Node_NullTest:
		return t.boundsNull(e.NullTest, false)
	case *pg_query.Node_SubLink:
		return a.boundsSubLink(e.SubLink, t, false)
	case *pg_query.Node_AExpr:
		return a.boundsComparison(e.AExpr, t)
	}
	return false
}

func (a *analysis) boundsBool(e *pg_query.BoolExpr, t *target) bool {
	args := e.GetArgs()
	switch e.GetBoolop() {
	case pg_query.BoolExprType_AND_EXPR:
		for _, n := range args {
			if a.bounds(n, t) {
				return true
			}
		}
		return false
	case pg_query.BoolExprType_OR_EXPR:
		for _, n := range args {
			if !a.bounds(n, t) {
				return false
			}
		}
		return !t.complementary(args)
	default:
		return len(args) == 1 && a.boundsNot(args[0], t)
	}
}

// boundsNot reports whether the opposite of a condition leaves rows out.
func (a *analysis) boundsNot(n *pg_query.Node, t *target) bool {
	switch e := n.GetNode().(type) {
	case *pg_query.Node_NullTest:
		return t.boundsNull(e.NullTest, true)
	case *pg_query.Node_BoolExpr:
		switch e.BoolExpr.GetBoolop() {
		case pg_query.BoolExprType_NOT_EXPR:
			return len(e.BoolExpr.GetArgs()) == 1 && a.bounds(e.BoolExpr.GetArgs()[0], t)
		case pg_query.BoolExprType_OR_EXPR:
			for _, x := range e.BoolExpr.GetArgs() {
				if a.boundsNot(x, t) {
					return true
				}
			}
		}
		return false
	case *pg_query.Node_AConst:
		v := a.constant(e.AConst)
		return v.kind == 'b' && v.b
	case *pg_query.Node_TypeCast:
		return t.alone(n) != ""
	case *pg_query.Node_SubLink:
		return a.boundsSubLink(e.SubLink, t, true)
	case *pg_query.Node_AExpr:
		if e.AExpr.GetKind() != pg_query.A_Expr_Kind_AEXPR_OP_ANY {
			break
		}
		if s := e.AExpr.GetRexpr().GetSubLink(); a.emptyArray(e.AExpr.GetRexpr()) || s != nil && slices.ContainsFunc(rangeVars(s.GetSubselect()), func(rv *pg_query.RangeVar) bool { return a.isRelation(rv, t.rel) }) {
			return false // nothing equals one of nothing
		}
	}
	return a.bounds(n, t)
}

// boundsNull is a test that not every row passes: of a column that can be null.
func (t *target) boundsNull(n *pg_query.NullTest, not bool) bool {
	name := t.alone(n.GetArg())
	if name == "" {
		return false
	}
	c := t.rel.column(name)
	never := c == nil || c.notNull
	return !never || (n.GetNulltesttype() == pg_query.NullTestType_IS_NULL) != not
}

// boundsSubLink is a condition over a sub-query, or its opposite. One over the
// changed relation itself leaves rows out if it is an IN of some of its rows.
func (a *analysis) boundsSubLink(s *pg_query.SubLink, t *target, not bool) bool {
	vars := rangeVars(s.GetSubselect())
	for _, rv := range vars {
		if a.isRelation(rv, t.rel) {
			in := s.GetSubLinkType() == pg_query.SubLinkType_ANY_SUBLINK && (len(s.GetOperName()) == 0 || operatorName(s.GetOperName()) == "=")
			return !not && in && t.anyAlone(s.GetTestexpr()) && len(vars) == 1 && a.someOf(s.GetSubselect().GetSelectStmt(), rv)
		}
	}
	switch s.GetSubLinkType() {
	case pg_query.SubLinkType_EXISTS_SUBLINK:
		return len(vars) > 0 && t.named(s.GetSubselect())
	case pg_query.SubLinkType_ANY_SUBLINK, pg_query.SubLinkType_ALL_SUBLINK:
		return t.anyAlone(s.GetTestexpr()) && !a.dependsInside(s.GetSubselect(), t)
	}
	return false
}

// fewRows is how many rows a LIMIT may leave and still count as a bound: more is
// more than many tables have.
const fewRows = 10000

// someOf reports whether a plain query over one relation leaves rows out: by its
// condition, or because it gives a few of them. How many a parameter says is not
// known when a statement is judged.
func (a *analysis) someOf(s *pg_query.SelectStmt, rv *pg_query.RangeVar) bool {
	if from := s.GetFromClause(); len(from) != 1 || from[0].GetRangeVar() != rv || s.GetOp() > pg_query.SetOperation_SETOP_NONE {
		return false
	}
	alias := rv.GetRelname()
	if x := rv.GetAlias(); x != nil {
		alias = x.GetAliasname()
	}
	if n, ok := a.limit(s); ok && n <= fewRows {
		return true
	}
	inner := &target{it: &item{alias: alias}, rel: a.relation(rv)}
	return s.GetWhereClause() != nil && a.bounds(s.GetWhereClause(), inner)
}

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

func (a *analysis) boundsComparison(e *pg_query.A_Expr, t *target) bool {
	l, r := e.GetLexpr(), e.GetRexpr()
	if k := e.GetKind(); k == pg_query.A_Expr_Kind_AEXPR_DISTINCT && (isNull(l) || isNull(r)) {
		return t.boundsNull(&pg_query.NullTest{Arg: l, Nulltesttype: pg_query.NullTestType_IS_NOT_NULL}, false)
	}
	if x, y := l.GetRowExpr().GetArgs(), r.GetRowExpr().GetArgs(); len(x) > 0 && len(x) == len(y) {
		for i := range x {
			if a.compares(x[i], y[i], t) || a.compares(y[i], x[i], t) {
				return true
			}
		}
		return false
	}
	if s := r.GetSubLink(); s.GetSubLinkType() == pg_query.SubLinkType_ARRAY_SUBLINK {
		// = ANY (ARRAY(SELECT …)) is an IN, as which rows are named by ctid.
		in := &pg_query.SubLink{Testexpr: l, OperName: e.GetName(), Subselect: s.GetSubselect()}
		switch e.GetKind() {
		case pg_query.A_Expr_Kind_AEXPR_OP_ANY:
			in.SubLinkType = pg_query.SubLinkType_ANY_SUBLINK
			return a.boundsSubLink(in, t, false)
		case pg_query.A_Expr_Kind_AEXPR_OP_ALL:
			in.SubLinkType = pg_query.SubLinkType_ALL_SUBLINK
			return a.boundsSubLink(in, t, false)
		}
	}
	return (a.compares(l, r, t) || a.compares(r, l, t)) && !a.matchesAll(e)
}

func isNull(n *pg_query.Node) bool { return n.GetAConst().GetIsnull() }

// compares is a column of the target against what does not depend on it.
func (a *analysis) compares(column, with *pg_query.Node, t *target) bool {
	return t.anyAlone(column) && !a.depends(with, t)
}

// complementary says whether the arms of an OR can cover every value of a column
// together: x < 5 OR x > 1, x = 1 OR x <> 1, x IS NULL OR x IS NOT NULL.
func (t *target) complementary(args []*pg_query.Node) bool {
	seen := map[string]string{}
	for _, n := range args {
		name, class := t.class(n)
		if name == "" {
			continue
		}
		for _, other := range seen[name] {
			if c := string(other); c != class && (c+class == "<>" || c+class == "><" || c == "!" || class == "!" || c+class == "01" || c+class == "10") {
				return true
			}
		}
		seen[name] += class
	}
	return false
}

// class says of which column a condition is, and of what sort: < > = ! (not
// equal), 0 (null), 1 (not null).
func (t *target) class(n *pg_query.Node) (name, class string) {
	if e := n.GetNullTest(); e != nil {
		if e.GetNulltesttype() == pg_query.NullTestType_IS_NULL {
			return t.alone(e.GetArg()), "0"
		}
		return t.alone(e.GetArg()), "1"
	}
	if e := n.GetBoolExpr(); e != nil && len(e.GetArgs()) == 1 {
		name, class = t.class(e.GetArgs()[0])
		opposite := map[string]string{"<": ">", ">": "<", "=": "!", "!": "=", "0": "1", "1": "0"}
		return name, opposite[class]
	}
	e := n.GetAExpr()
	if e == nil {
		return t.alone(n), "="
	}
	op, left := operatorName(e.GetName()), t.alone(e.GetLexpr())
	name = left
	if name == "" {
		name = t.alone(e.GetRexpr())
	}
	switch {
	case op == "<>" || strings.HasPrefix(op, "!") || e.GetKind() == pg_query.A_Expr_Kind_AEXPR_NOT_BETWEEN || e.GetKind() == pg_query.A_Expr_Kind_AEXPR_DISTINCT:
		return name, "!"
	case op == "<" || op == "<=" || op == ">" || op == ">=":
		if (op[0] == '<') == (left != "") {
			return name, "<"
		}
		return name, ">"
	}
	return name, "="
}

// matchesAll is a comparison that every value stands: a pattern that every text
// matches, LIKE '%', ~ '.*'; no less than the empty text; and any comparison with ALL of
// nothing.
func (a *analysis) matchesAll(e *pg_query.A_Expr) bool {
	op, set := operatorName(e.GetName()), ""
	switch {
	case e.GetKind() == pg_query.A_Expr_Kind_AEXPR_OP_ALL:
		return a.emptyArray(e.GetRexpr())
	case op == ">=" || op == "<=":
		n := e.GetRexpr()
		if op == "<=" {
			n = e.GetLexpr()
		}
		c, ok := a.constantOf(n)
		return ok && c.kind == 's' && c.s == ""
	case e.GetKind() == pg_query.A_Expr_Kind_AEXPR_SIMILAR, op == "~", op == "~*":
		set = ".*+?^$()|%"
	case op == "~~", op == "~~*":
		set = "%"
	default:
		return false
	}
	n := e.GetRexpr()
	if args := n.GetFuncCall().GetArgs(); len(args) > 0 { // similar_to_escape
		n = args[0]
	}
	for n.GetTypeCast() != nil {
		n = n.GetTypeCast().GetArg()
	}
	c := n.GetAConst()
	if c == nil {
		return n == nil || !variable(n.ProtoReflect())
	}
	v := a.constant(c)
	return v.kind == 's' && strings.Trim(v.s, set) == "" && (v.s != "" || set != "%")
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

// rangeVars are the relations that a query names, at any depth.
func rangeVars(n *pg_query.Node) []*pg_query.RangeVar {
	var out []*pg_query.RangeVar
	if n == nil {
		return nil
	}
	walkSides(n.ProtoReflect(), func(m protoreflect.Message) bool {
		if rv, ok := m.Interface().(*pg_query.RangeVar); ok {
			out = append(out, rv)
		}
		return true
	})
	return out
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

// emptyArray reports whether an expression is an array without elements.
func (a *analysis) emptyArray(n *pg_query.Node) bool {
	for n.GetTypeCast() != nil {
		n = n.GetTypeCast().GetArg()
	}
	if x := n.GetAArrayExpr(); x != nil {
		return len(x.GetElements()) == 0
	}
	c, ok := a.constantOf(n)
	return ok && c.kind == 's' && strings.Trim(c.s, " \t\r\n{}") == ""
}

func columnKey(n *pg_query.Node) string {
	fields := n.GetColumnRef().GetFields()
	if len(fields) == 0 {
		return ""
	}
	return fields[len(fields)-1].GetString_().GetSval()
}
