package postgres

import (
	"cmp"
	"encoding/binary"
	"slices"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/sallyport-gateway/sallyport/internal/sql/postgres/lex"
)

// A text that comes again with other literals costs the server its parsing each time, and
// under masks that is most of what a small statement costs. As a prepared statement it
// would not, if parameters stood in place of its literals. They mean the same where the
// literal is compared in WHERE or a join condition, by an operator that is chosen by the
// types of its operands alone (parser/parse_oper.c): nowhere else in the statement must the
// server find an equal expression, as it must for GROUP BY, nor does the literal name an
// output column by its number. Planned for its values, the statement has the plan of the
// text: the planner puts them in place first (eval_const_expressions_mutator in
// optimizer/util/clauses.c).

// parameter is a literal that can be one: where it stands, and the type that a literal of
// its kind has.
type parameter struct {
	at  int32
	typ oid // 0: it is found by what it is compared with
}

// parameter notes a literal in a comparison.
func (a *analysis) parameter(e *pg_query.A_Expr, u use, left, right taint) {
	if a.outside || u.text != useWhere.text && u.text != useJoin.text || e.GetKind() != pg_query.A_Expr_Kind_AEXPR_OP || len(e.GetName()) != 1 {
		return
	}
	switch operatorName(e.GetName()) {
	case "=", "<>", "<", "<=", ">", ">=":
		a.compare(e.GetRexpr(), e.GetLexpr(), left)
		a.compare(e.GetLexpr(), e.GetRexpr(), right)
	}
}

// compare notes a literal that is compared with something. A string has no type of its
// own: it gets that of a cast or of a column, if its values are written in one way
// whatever is set.
func (a *analysis) compare(n, with *pg_query.Node, t taint) {
	c := n.GetAConst()
	if cast := n.GetTypeCast(); cast != nil {
		if c = cast.GetArg().GetAConst(); c.GetSval() != nil && settled(cast.GetTypeName()) {
			a.compares = append(a.compares, parameter{c.GetLocation(), 0})
		}
		return
	}
	switch c.GetVal().(type) {
	case *pg_query.A_Const_Ival:
		a.compares = append(a.compares, parameter{c.GetLocation(), oidInt4})
	case *pg_query.A_Const_Fval:
		a.compares = append(a.compares, parameter{c.GetLocation(), oidInt8}) // if it is no fraction
	case *pg_query.A_Const_Sval:
		if with.GetColumnRef() == nil || t.labels != 0 {
			return
		}
		switch t.typ {
		case oidInt2, oidInt4, oidInt8, oidNumeric, oidText, oidVarchar, oidBpchar, oidUUID:
			a.compares = append(a.compares, parameter{c.GetLocation(), 0})
		}
	}
}

// settled reports whether a type's values are written in one way.
func settled(t *pg_query.TypeName) bool {
	names := strs(t.GetNames())
	if len(t.GetTypmods()) > 0 || len(t.GetArrayBounds()) > 0 || t.GetPctType() || t.GetSetof() || len(names) == 0 || len(names) > 2 || len(names) == 2 && names[0] != "pg_catalog" {
		return false
	}
	switch names[len(names)-1] {
	case "int2", "int4", "int8", "numeric", "text", "uuid":
		return true
	}
	return false
}

// KeepsOtherwise reports whether a text that the server keeps may do otherwise than one that is sent,
// once a setting has been changed: it may be planned for all values, or not be looked at
// where a text would be refused.
func KeepsOtherwise(setting string) bool {
	return setting == "plan_cache_mode" || setting == "restrict_nonsystem_relation_kind" || planner(setting)
}

// parameters says which literals of a text can be parameters, and whether the text can be
// kept with them: it is one query, without parameters of its own, and without other
// strings.
func (a *analysis) parameters(s *Shape) {
	if len(a.statements) != 1 || a.statements[0].Kind != KindOther || a.statements[0].Word != "select" {
		return
	}
	for i := range a.tokens.Len() {
		if a.tokens.At(i).Kind == lex.Param {
			return
		}
	}
	slices.SortFunc(a.compares, func(x, y parameter) int { return cmp.Compare(x.at, y.at) })
	a.compares = slices.Compact(a.compares)
	s.Kept = !slices.ContainsFunc(a.facts.functions, func(name string) bool { return name == "pg_catalog.current_query" || name == "pg_catalog.pg_cursor" }) &&
		!slices.Contains(a.facts.tables, "pg_catalog.pg_cursors") // they show what is sent
	for n, token := range a.tokens.Literals() {
		kind := a.tokens.At(int(token)).Kind
		i := slices.IndexFunc(a.compares, func(p parameter) bool { return int(token) == a.tokens.TokenAt(int(p.at)) })
		if i >= 0 && (kind == lex.Integer || kind == lex.BigInteger || kind == lex.String) {
			s.Parameters = append(s.Parameters, int32(n)) //nolint:gosec // the lexer bounds the tokens
			s.ParameterTypes = binary.BigEndian.AppendUint32(s.ParameterTypes, uint32(a.compares[i].typ))
		} else if kind == lex.String || kind == lex.BitString || kind == lex.HexString {
			s.Kept = false
		}
	}
}
