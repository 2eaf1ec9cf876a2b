package postgres

import (
	pg_query "github.com/pganalyze/pg_query_go/v6"
)

// taint is what an expression shows.
type taint struct {
	labels labelSet
	src    string
	typ    oid       // the type if it is known
	kinds  typeKinds // of the labelled columns in it, whatever became of them
	row    bool
	plain  bool // a column of a table as it is; of anything else even NULL says something of the value
}

// join adds what another expression shows; the result has no known type.
func (t *taint) join(o taint) {
	t.labels |= o.labels
	t.kinds |= o.kinds
	if t.src == "" {
		t.src = o.src
	}
	t.typ, t.row, t.plain = 0, false, false
}

// use says where an expression stands, and so what a labelled column does there.
type use struct {
	kind useKind
	text string
	hint string
	// equal: it matters only which values are equal, which tokens show.
	equal bool
}

type useKind uint8

const (
	useKindRefuse  useKind = iota // the value flows on, in another form
	useKindControl                // rows or their order depend on the value
	useKindShow                   // the value is shown as it is
	useKindNull                   // only whether it is null
)

var (
	useTarget = use{kind: useKindShow}
	useNull   = use{kind: useKindNull}
)

// The other uses. They are constants in all but syntax.
var (
	useWhere      = use{kind: useKindControl, text: "in WHERE", hint: "leave it out of WHERE; IS NULL is allowed"}
	useHaving     = use{kind: useKindControl, text: "in HAVING", hint: "leave it out of HAVING"}
	useGroup      = use{kind: useKindControl, text: "in GROUP BY", hint: "group by another column", equal: true}
	useOrder      = use{kind: useKindControl, text: "in ORDER BY", hint: "order by another column"}
	useDistinctOn = use{kind: useKindControl, text: "in DISTINCT ON", hint: "leave it out of DISTINCT ON", equal: true}
	useDistinct   = use{kind: useKindControl, text: "in SELECT DISTINCT", hint: "leave DISTINCT out, or leave the column out", equal: true}
	useUnion      = use{kind: useKindControl, text: "in UNION, INTERSECT or EXCEPT, which compare rows", hint: "use UNION ALL, or leave the column out", equal: true}
	useJoin       = use{kind: useKindControl, text: "in a join condition", hint: "join on another column"}
	useUsing      = use{kind: useKindControl, text: useJoin.text, hint: useJoin.hint, equal: true}
	useWindow     = use{kind: useKindControl, text: "in a window definition", hint: "use another column"}
	usePartition  = use{kind: useKindControl, text: useWindow.text, hint: useWindow.hint, equal: true}
	useLimit      = use{kind: useKindControl, text: "in LIMIT, OFFSET or TABLESAMPLE", hint: "use a constant"}
	useCase       = use{kind: useKindControl, text: "in a condition", hint: "select the column by itself"}
	useCompare    = use{kind: useKindControl, text: "in a comparison", hint: "select the column by itself"}
	useValue      = use{kind: useKindRefuse, text: "in an expression", hint: "select the column by itself"}
)

// useArgument is an argument of a function.
func useArgument(name string) use {
	return use{kind: useKindRefuse, text: "as an argument of " + name + "()", hint: "select the column by itself"}
}

// under returns how an operand is used inside an expression used as u: a
// condition stays one.
func (u use) under(inner use) use {
	if u.kind == useKindControl {
		return u
	}
	return inner
}

// carried is how an operand is used whose value the expression shows as it is.
func (a *analysis) carried(u use) use {
	if a.carries(u) {
		return u
	}
	return u.under(useValue)
}

// expr reads an expression. Every kind of node that PostgreSQL's parser can
// make in an expression is listed; any other is unknown.
func (a *analysis) expr(n *pg_query.Node, sc *scope, u use) taint {
	if n == nil || n.GetNode() == nil || !a.enter() {
		return taint{}
	}
	defer a.leave()
	switch e := n.GetNode().(type) {
	case *pg_query.Node_ColumnRef:
		return a.columnRef(e.ColumnRef, sc, u)
	case *pg_query.Node_AConst, *pg_query.Node_ParamRef, *pg_query.Node_SetToDefault, *pg_query.Node_CurrentOfExpr,
		*pg_query.Node_String_, *pg_query.Node_Integer, *pg_query.Node_Float, *pg_query.Node_Boolean:
		return taint{}
	case *pg_query.Node_SqlvalueFunction:
		return taint{}
	case *pg_query.Node_AExpr:
		return a.operatorExpr(e.AExpr, sc, u)
	case *pg_query.Node_FuncCall:
		return a.funcCall(e.FuncCall, sc, u)
	case *pg_query.Node_TypeCast:
		return a.typeCast(e.TypeCast, sc, u)
	case *pg_query.Node_SubLink:
		return a.subLink(e.SubLink, sc, u)
	case *pg_query.Node_AIndirection:
		return a.indirection(e.AIndirection, sc, u)
	case *pg_query.Node_CaseExpr:
		return a.caseExpr(e.CaseExpr, sc, u)
	case *pg_query.Node_NullTest:
		t := a.expr(e.NullTest.GetArg(), sc, useNull)
		a.asks = a.asks || t.labels != 0
		return a.asked(t, u)
	default:
		if t, ok := a.plainExpr(n, sc, u); ok {
			return t
		}
		t := a.standardExpr(n, sc, u)
		a.computes(t)
		return t
	}
}

// asked is whether a value is null. In a definition that can depend on what the
// value is computed from; in a statement it is computed from masks.
func (a *analysis) asked(t taint, u use) taint {
	if !a.outside || t.plain || t.labels == 0 {
		return taint{}
	}
	a.flow(t, u)
	return taint{labels: t.labels, src: t.src}
}

// plainExpr reads expressions that only combine others.
func (a *analysis) plainExpr(n *pg_query.Node, sc *scope, u use) (taint, bool) {
	inner := u.under(useValue)
	switch e := n.GetNode().(type) {
	case *pg_query.Node_BoolExpr:
		return a.exprs(e.BoolExpr.GetArgs(), sc, u.under(useCase)), true
	case *pg_query.Node_BooleanTest:
		return a.exprs([]*pg_query.Node{e.BooleanTest.GetArg()}, sc, u.under(useCase)), true
	case *pg_query.Node_CoalesceExpr:
		return a.exprs(e.CoalesceExpr.GetArgs(), sc, a.carried(u)), true
	case *pg_query.Node_MinMaxExpr:
		return a.exprs(e.MinMaxExpr.GetArgs(), sc, u.under(useCompare)), true
	case *pg_query.Node_AArrayExpr:
		return a.exprs(e.AArrayExpr.GetElements(), sc, u), true
	case *pg_query.Node_RowExpr:
		return a.exprs(e.RowExpr.GetArgs(), sc, u), true
	case *pg_query.Node_List:
		return a.exprs(e.List.GetItems(), sc, u), true
	case *pg_query.Node_CollateClause:
		t := a.expr(e.CollateClause.GetArg(), sc, inner)
		return t, true
	case *pg_query.Node_NamedArgExpr:
		return a.expr(e.NamedArgExpr.GetArg(), sc, u), true
	case *pg_query.Node_MultiAssignRef:
		return a.expr(e.MultiAssignRef.GetSource(), sc, u), true
	case *pg_query.Node_GroupingFunc:
		return a.exprs(e.GroupingFunc.GetArgs(), sc, useGroup), true
	case *pg_query.Node_AIndices:
		return a.exprs([]*pg_query.Node{e.AIndices.GetLidx(), e.AIndices.GetUidx()}, sc, inner), true
	case *pg_query.Node_ResTarget:
		return a.expr(e.ResTarget.GetVal(), sc, u), true
	case *pg_query.Node_GroupingSet:
		return a.exprs(e.GroupingSet.GetContent(), sc, useGroup), true
	default:
		return taint{}, false
	}
}

// standardExpr reads what the SQL/XML and SQL/JSON standards add.
func (a *analysis) standardExpr(n *pg_query.Node, sc *scope, u use) taint {
	a.calledBefore(n)
	inner := u.under(useValue)
	switch e := n.GetNode().(type) {
	case *pg_query.Node_XmlExpr:
		t := a.exprs(e.XmlExpr.GetNamedArgs(), sc, inner)
		t.join(a.exprs(e.XmlExpr.GetArgs(), sc, inner))
		return t
	case *pg_query.Node_XmlSerialize:
		a.typeName(e.XmlSerialize.GetTypeName())
		return a.expr(e.XmlSerialize.GetExpr(), sc, inner)
	case *pg_query.Node_JsonValueExpr:
		return a.jsonValue(e.JsonValueExpr, sc, inner)
	case *pg_query.Node_JsonArgument:
		return a.jsonValue(e.JsonArgument.GetVal(), sc, inner)
	case *pg_query.Node_JsonKeyValue:
		return a.jsonPair(e.JsonKeyValue, sc, inner)
	case *pg_query.Node_JsonObjectConstructor:
		a.jsonOutput(e.JsonObjectConstructor.GetOutput())
		return a.exprs(e.JsonObjectConstructor.GetExprs(), sc, inner)
	case *pg_query.Node_JsonArrayConstructor:
		a.jsonOutput(e.JsonArrayConstructor.GetOutput())
		return a.exprs(e.JsonArrayConstructor.GetExprs(), sc, inner)
	case *pg_query.Node_JsonArrayQueryConstructor:
		a.jsonOutput(e.JsonArrayQueryConstructor.GetOutput())
		return union(a.nested(e.JsonArrayQueryConstructor.GetQuery(), lateralScope(sc)))
	case *pg_query.Node_JsonObjectAgg:
		t := a.jsonAggregate(e.JsonObjectAgg.GetConstructor(), sc)
		t.join(a.jsonPair(e.JsonObjectAgg.GetArg(), sc, inner))
		return t
	case *pg_query.Node_JsonArrayAgg:
		t := a.jsonAggregate(e.JsonArrayAgg.GetConstructor(), sc)
		t.join(a.jsonValue(e.JsonArrayAgg.GetArg(), sc, inner))
		return t
	case *pg_query.Node_JsonParseExpr:
		a.jsonOutput(e.JsonParseExpr.GetOutput())
		return a.jsonValue(e.JsonParseExpr.GetExpr(), sc, inner)
	case *pg_query.Node_JsonScalarExpr:
		a.jsonOutput(e.JsonScalarExpr.GetOutput())
		return a.expr(e.JsonScalarExpr.GetExpr(), sc, inner)
	case *pg_query.Node_JsonSerializeExpr:
		a.jsonOutput(e.JsonSerializeExpr.GetOutput())
		return a.jsonValue(e.JsonSerializeExpr.GetExpr(), sc, inner)
	case *pg_query.Node_JsonIsPredicate:
		return a.expr(e.JsonIsPredicate.GetExpr(), sc, u.under(useCase))
	case *pg_query.Node_JsonFuncExpr:
		return a.jsonFunc(e.JsonFuncExpr, sc, inner)
	default:
		a.unknown()
		return taint{}
	}
}

// calledBefore adds what an expression of SQL/JSON does at a server that does not know
// it yet: there JSON_SCALAR(1) is a call of whatever function has that name. Without
// words between the arguments both read the same text.
func (a *analysis) calledBefore(n *pg_query.Node) {
	name, since := "", 17
	switch e := n.GetNode().(type) {
	case *pg_query.Node_JsonObjectConstructor:
		name, since = "json_object", 16
	case *pg_query.Node_JsonArrayConstructor, *pg_query.Node_JsonArrayQueryConstructor:
		name, since = "json_array", 16
	case *pg_query.Node_JsonObjectAgg:
		name, since = "json_objectagg", 16
	case *pg_query.Node_JsonArrayAgg:
		name, since = "json_arrayagg", 16
	case *pg_query.Node_JsonParseExpr:
		name = "json"
	case *pg_query.Node_JsonScalarExpr:
		name = "json_scalar"
	case *pg_query.Node_JsonSerializeExpr:
		name = "json_serialize"
	case *pg_query.Node_JsonFuncExpr:
		switch e.JsonFuncExpr.GetOp() {
		case pg_query.JsonExprOp_JSON_EXISTS_OP:
			name = "json_exists"
		case pg_query.JsonExprOp_JSON_QUERY_OP:
			name = "json_query"
		case pg_query.JsonExprOp_JSON_VALUE_OP:
			name = "json_value"
		default:
			a.unknown()
		}
	}
	if name == "" || a.in.cat.version/10000 >= since {
		return
	}
	for _, f := range a.in.cat.userFunctions("", name) {
		a.userFunction(f)
	}
	if !a.outside && a.in.labels.all != 0 {
		a.watched.functions = append(a.watched.functions, name)
	}
}

func (a *analysis) exprs(list []*pg_query.Node, sc *scope, u use) taint {
	var t taint
	for _, n := range list {
		t.join(a.expr(n, sc, u))
	}
	return t
}

func union(cols []outCol) taint {
	var t taint
	for _, c := range cols {
		t.join(taint{labels: c.labels, src: c.src, kinds: c.kinds})
	}
	return t
}

// operatorExpr reads an operator with its operands.
func (a *analysis) operatorExpr(e *pg_query.A_Expr, sc *scope, u use) taint {
	a.operatorOf(e)
	inner := u.under(useCompare)
	switch {
	case e.GetKind() == pg_query.A_Expr_Kind_AEXPR_OP && operatorName(e.GetName()) == "||" && len(a.in.cat.operatorsNamed("||")) == 0:
		inner = a.carried(u)
	case valueOperator(e):
		inner = u.under(useValue)
	}
	name := "in the expression " + operatorName(e.GetName())
	if inner.kind == useKindRefuse || inner.kind == useKindControl && u.kind != useKindControl {
		inner.text = name
	}
	inner.equal = equates(e)
	t := a.expr(e.GetLexpr(), sc, inner)
	right := a.expr(e.GetRexpr(), sc, inner)
	left := t
	a.parameter(e, u, left, right)
	if inner.equal {
		a.compared(left, right)
	}
	t.join(right)
	if !a.totalOperator(e, left, right) {
		a.computes(t)
	} else if operatorName(e.GetName()) == "||" {
		t.typ = oidText
	}
	return t
}

// equates reports whether an expression compares two columns for equality.
func equates(e *pg_query.A_Expr) bool {
	if e.GetLexpr().GetColumnRef() == nil || e.GetRexpr().GetColumnRef() == nil {
		return false
	}
	switch e.GetKind() {
	case pg_query.A_Expr_Kind_AEXPR_OP:
		name := operatorName(e.GetName())
		return name == "=" || name == "<>"
	case pg_query.A_Expr_Kind_AEXPR_DISTINCT, pg_query.A_Expr_Kind_AEXPR_NOT_DISTINCT:
		return true
	}
	return false
}

// compared notes that a value is compared with one that no token stands for: they are
// never equal.
func (a *analysis) compared(left, right taint) {
	if left.labels == 0 || right.labels == 0 {
		left.join(right)
		a.refuse(left.labels, left.src, "in a comparison with what is not masked", "compare it with a column that is masked in the same way")
	}
}

func operatorName(parts []*pg_query.Node) string {
	if len(parts) == 0 {
		return ""
	}
	return parts[len(parts)-1].GetString_().GetSval()
}

// operatorOf adds the effects of the operators behind an expression
// (parser/parse_expr.c says which).
func (a *analysis) operatorOf(e *pg_query.A_Expr) {
	names := func(list ...string) {
		for _, n := range list {
			a.operator([]*pg_query.Node{pg_query.MakeStrNode(n)})
		}
	}
	switch e.GetKind() {
	case pg_query.A_Expr_Kind_AEXPR_OP, pg_query.A_Expr_Kind_AEXPR_OP_ANY, pg_query.A_Expr_Kind_AEXPR_OP_ALL,
		pg_query.A_Expr_Kind_AEXPR_DISTINCT, pg_query.A_Expr_Kind_AEXPR_NOT_DISTINCT, pg_query.A_Expr_Kind_AEXPR_NULLIF,
		pg_query.A_Expr_Kind_AEXPR_IN, pg_query.A_Expr_Kind_AEXPR_LIKE, pg_query.A_Expr_Kind_AEXPR_ILIKE,
		pg_query.A_Expr_Kind_AEXPR_SIMILAR:
		a.operator(e.GetName())
	case pg_query.A_Expr_Kind_AEXPR_BETWEEN, pg_query.A_Expr_Kind_AEXPR_NOT_BETWEEN,
		pg_query.A_Expr_Kind_AEXPR_BETWEEN_SYM, pg_query.A_Expr_Kind_AEXPR_NOT_BETWEEN_SYM:
		names("<=", ">=", "<", ">")
	default:
		a.unknown()
	}
}

func (a *analysis) caseExpr(e *pg_query.CaseExpr, sc *scope, u use) taint {
	condition := u.under(useCase)
	var arg taint
	if e.GetArg() != nil {
		a.operator([]*pg_query.Node{pg_query.MakeStrNode("=")})
		arg = a.expr(e.GetArg(), sc, condition)
	}
	result := a.carried(u)
	t := a.expr(e.GetDefresult(), sc, result)
	for _, n := range e.GetArgs() {
		w := n.GetCaseWhen()
		c := a.expr(w.GetExpr(), sc, condition)
		t.join(c) // which branch is taken shows the condition
		if e.GetArg() != nil {
			a.comparesKinds(arg, c)
		}
		t.join(a.expr(w.GetResult(), sc, result))
	}
	return t
}

// subLink reads a sub-query in an expression.
func (a *analysis) subLink(s *pg_query.SubLink, sc *scope, u use) taint {
	if len(s.GetOperName()) > 0 {
		a.operator(s.GetOperName())
	} else if s.GetTestexpr() != nil {
		a.operator([]*pg_query.Node{pg_query.MakeStrNode("=")})
	}
	compare := u.under(useCompare)
	compare.equal = s.GetSubLinkType() == pg_query.SubLinkType_ANY_SUBLINK && len(s.GetOperName()) == 0 && s.GetTestexpr().GetColumnRef() != nil
	test := a.expr(s.GetTestexpr(), sc, compare)
	before := a.control
	a.control = 0
	t := union(a.nested(s.GetSubselect(), lateralScope(sc)))
	inner := a.control
	a.control |= before
	if s.GetSubLinkType() == pg_query.SubLinkType_EXISTS_SUBLINK {
		return taint{labels: inner}
	}
	compared := s.GetTestexpr() != nil
	if compared {
		a.comparesKinds(t, test)
	}
	if !compared && s.GetSubLinkType() != pg_query.SubLinkType_ARRAY_SUBLINK && !a.oneRow(s.GetSubselect()) {
		a.computes(taint{labels: inner})
	}
	if t.labels != 0 && (compared || u.kind != useKindShow) {
		if compared {
			u = compare
		}
		a.flow(t, u)
	}
	if compare.equal {
		a.compared(test, t)
	}
	t.join(test)
	t.labels |= inner
	return t
}

// flow notes that a labelled value that is already computed is used.
func (a *analysis) flow(t taint, u use) {
	switch u.kind {
	case useKindShow, useKindNull:
	case useKindControl:
		a.control |= t.labels
		a.misused(t.labels, t.src, u)
	default:
		a.misused(t.labels, t.src, u)
	}
}

// indirection reads (expr).field and expr[i].
func (a *analysis) indirection(e *pg_query.A_Indirection, sc *scope, u use) taint {
	t := a.expr(e.GetArg(), sc, u)
	t.typ, t.plain = 0, false
	for _, n := range e.GetIndirection() {
		switch i := n.GetNode().(type) {
		case *pg_query.Node_AIndices:
			t.join(a.expr(n, sc, u))
		case *pg_query.Node_String_:
			a.attribute(i.String_.GetSval())
			a.systemAttribute(i.String_.GetSval(), sc)
		case *pg_query.Node_AStar:
		default:
			a.unknown()
		}
	}
	return t
}

func (a *analysis) typeCast(c *pg_query.TypeCast, sc *scope, u use) taint {
	a.typeName(c.GetTypeName())
	inner := u.under(use{kind: useKindRefuse, text: "in a cast", hint: "select the column without the cast"})
	if c.GetArg().GetAConst() != nil || textType(c.GetTypeName()) && a.carries(u) {
		inner = u
	}
	t := a.expr(c.GetArg(), sc, inner)
	total := a.totalCast(c, t.typ) || a.ownRow(c, sc)
	if !total {
		a.computes(t)
	}
	t.typ, t.row, t.plain = 0, false, t.plain && total
	if textType(c.GetTypeName()) && total {
		t.typ = oidText
	}
	return t
}
