package postgres

import (
	"strings"

	pg_query "github.com/pganalyze/pg_query_go/v6"
)

// A definition is computed with the true values. What it shows of them is masked
// afterwards, but an expression that can fail, or that returns a set, also
// decides whether there is an answer and how many rows it has. So a labelled
// operand of anything that is not on the lists below counts as one that rows
// depend on. The lists hold what returns one value for every value of its type,
// whatever it is; what fails for a wrong constant, such as the field of
// date_part, always fails. Some fail for values of some types after all: see
// [analysis.failsFor].

// totalFunctions are functions, aggregates and window functions of pg_catalog.
const totalFunctions = " array_agg array_length array_to_json array_to_string avg bit_length bool_and bool_or btrim " +
	"cardinality char_length character_length coalesce concat concat_ws count cume_dist dense_rank every " +
	"first_value hashtext initcap json_agg json_strip_nulls json_typeof jsonb_agg " +
	"jsonb_strip_nulls jsonb_typeof lag last_value lead left length lower ltrim max md5 min num_nonnulls num_nulls " +
	"octet_length percent_rank position quote_ident quote_literal quote_nullable rank reverse right row_number row_to_json " +
	"rtrim sha224 sha256 sha384 sha512 starts_with string_agg strpos to_json to_jsonb translate upper "

// Functions that give one value for every value of one argument, if the others
// are the same for every row.
const (
	totalFirst  = " lpad regexp_match regexp_replace rpad split_part substr substring to_char "
	totalSecond = " date_part date_trunc extract json_object_agg "
)

// totalOperators are operators of pg_catalog. || is one only between texts.
const totalOperators = " = <> != < <= > >= -> ->> #> #>> @> <@ ? ?| ?& && "

// computes notes the labelled operands of what can fail or return a set.
func (a *analysis) computes(t taint) {
	if a.outside {
		a.forced |= t.labels
	}
}

// comparesKinds notes labelled operands of comparisons that can fail.
func (a *analysis) comparesKinds(operands ...taint) {
	for _, t := range operands {
		if t.kinds&kindGeometric != 0 {
			a.computes(t)
		}
	}
}

// totalFunction reports whether a call returns one value whatever its arguments.
func (a *analysis) totalFunction(names []string) bool {
	name := names[len(names)-1]
	return (len(names) == 1 || len(names) == 2 && names[0] == "pg_catalog") && !strings.Contains(name, " ") &&
		strings.Contains(totalFunctions, " "+name+" ") && len(a.in.cat.userFunctions("", name)) == 0
}

// totalCall reports the same of a call of which only one argument is labelled;
// at is which one, -1 if there are several. typ is the type of the first argument,
// if it is known, and t what all of them show.
func (a *analysis) totalCall(f *pg_query.FuncCall, at int, typ oid, t taint) bool {
	names := strs(f.GetFuncname())
	if a.failsFor(f, names[len(names)-1], typ, t.kinds) {
		return false
	}
	name := " " + names[len(names)-1] + " "
	if a.totalFunction(names) {
		return true
	}
	list := ""
	switch at {
	case 0:
		list = totalFirst
	case 1:
		list = totalSecond
	}
	if len(names) == 2 && names[0] != "pg_catalog" || len(names) > 2 {
		return false
	}
	return strings.Count(name, " ") == 2 && strings.Contains(list, name) && len(a.in.cat.userFunctions("", names[len(names)-1])) == 0
}

// typeKinds are kinds of types of whose values some make functions fail that give a
// value for all of other types.
type typeKinds uint8

const (
	kindJSON      typeKinds = 1 << iota // json, whose text each function reads anew: it can hold what no text can
	kindGeometric                       // lengths and areas overflow, which comparisons compute
	kindArray                           // not every array can be an element of another
	kindInexact                         // floats and intervals: a sum overflows
	kindDate                            // dates go further than timestamps

	kindsAll = kindJSON | kindGeometric | kindArray | kindInexact | kindDate
)

// kindsOf returns the kinds of a type and of what it is made of.
func (c *Catalog) kindsOf(o oid, depth int) typeKinds {
	t := c.base(o)
	switch {
	case t == nil || depth > maxMaskDepth:
		return kindsAll
	case t.category == 'A':
		return kindArray | c.kindsOf(t.elem, depth+1)
	case t.kind == 'c':
		rel := c.relations[t.relation]
		if rel == nil {
			return kindsAll
		}
		var kinds typeKinds
		for i := range rel.columns {
			kinds |= c.kindsOf(rel.columns[i].typ, depth+1)
		}
		return kinds
	case t.category == 'G':
		return kindGeometric
	case t.category == 'R':
		return kindDate | kindInexact // its bounds can be that
	case t.name == "json":
		return kindJSON
	}
	switch t.oid {
	case oidFloat4, oidFloat8, oidInterval:
		return kindInexact
	case oidDate:
		return kindDate
	}
	return 0
}

// failsFor reports whether a function that is on a list above can fail for some values
// of the kinds of its arguments, or with the constants that it is given.
func (a *analysis) failsFor(f *pg_query.FuncCall, name string, typ oid, kinds typeKinds) bool {
	args := f.GetArgs()
	switch name {
	case "array_agg":
		return kinds&kindArray != 0
	case "avg":
		return kinds&kindInexact != 0
	case "date_part", "extract": // the time zone of a timestamp that has none is asked for in vain, but for infinity
		if len(args) == 0 {
			return true
		}
		c, ok := a.constantOf(args[0])
		return name == "date_part" && kinds&kindDate != 0 || !ok || strings.HasPrefix(strings.ToLower(c.s), "timezone")
	case "jsonb_agg", "to_jsonb", "json_strip_nulls":
		return kinds&kindJSON != 0
	case "length": // of bytes in an encoding
		return kinds&kindGeometric != 0 || len(args) != 1
	case "date_trunc":
		// The century of a date can begin before time does; the year begins before it
		// only for the last weeks of 4714 BC.
		if len(args) == 0 {
			return true
		}
		c, ok := a.constantOf(args[0])
		return !ok || !strings.Contains(" microseconds milliseconds second minute hour day week month quarter year ", " "+c.s+" ")
	case "to_char":
		switch typ {
		case oidDate, oidTimestamp, oidTimestamptz, oidInterval:
			return false
		}
		if len(args) != 2 {
			return true
		}
		c, ok := a.constantOf(args[1])
		format := strings.ToUpper(c.s)
		return !ok || strings.Contains(format, "V") || strings.Contains(format, "RN") || strings.Contains(format, "TH")
	}
	return false
}

// valueOperator reports whether an operator makes a value rather than compares:
// rows do not depend on it by themselves.
func valueOperator(e *pg_query.A_Expr) bool {
	name := operatorName(e.GetName())
	return e.GetKind() == pg_query.A_Expr_Kind_AEXPR_OP && !strings.Contains(name, " ") && strings.Contains(" || -> ->> #> #>> + - * / % ^ & | # ", " "+name+" ")
}

// totalOperator reports the same of an operator.
func (a *analysis) totalOperator(e *pg_query.A_Expr, left, right taint) bool {
	name := operatorName(e.GetName())
	kinds := left.kinds | right.kinds
	if len(a.in.cat.operatorsNamed(name)) > 0 || kinds&kindGeometric != 0 {
		return false
	}
	switch e.GetKind() {
	case pg_query.A_Expr_Kind_AEXPR_LIKE, pg_query.A_Expr_Kind_AEXPR_ILIKE:
		return a.totalPattern(e.GetRexpr())
	case pg_query.A_Expr_Kind_AEXPR_SIMILAR:
		return false
	case pg_query.A_Expr_Kind_AEXPR_OP, pg_query.A_Expr_Kind_AEXPR_OP_ANY, pg_query.A_Expr_Kind_AEXPR_OP_ALL:
		switch name {
		case "||":
			return textual(e.GetLexpr(), left) && textual(e.GetRexpr(), right)
		case "~~", "!~~", "~~*", "!~~*":
			return a.totalPattern(e.GetRexpr())
		case "->", "->>", "#>", "#>>":
			return kinds&kindJSON == 0
		}
		return !strings.Contains(name, " ") && strings.Contains(totalOperators, " "+name+" ")
	}
	return true // DISTINCT FROM, NULLIF, IN and BETWEEN compare
}

// totalPattern is a constant pattern that does not end in an escape, which would
// fail only where the text reaches it.
func (a *analysis) totalPattern(n *pg_query.Node) bool {
	c, ok := a.constantOf(n)
	return ok && !strings.HasSuffix(c.s, `\`)
}

// constantOf returns the constant that an expression is, apart from casts.
func (a *analysis) constantOf(n *pg_query.Node) (constant, bool) {
	for n.GetTypeCast() != nil {
		n = n.GetTypeCast().GetArg()
	}
	if n.GetAConst() == nil {
		return constant{}, false
	}
	return a.constant(n.GetAConst()), true
}

// textual reports whether an operand is a text, which || joins without fail.
func textual(n *pg_query.Node, t taint) bool {
	switch t.typ {
	case oidText, oidVarchar, oidBpchar:
		return true
	}
	switch e := n.GetNode().(type) {
	case *pg_query.Node_AConst:
		return true // pg_get_viewdef writes the type of every other constant
	case *pg_query.Node_TypeCast:
		return textType(e.TypeCast.GetTypeName())
	case *pg_query.Node_FuncCall:
		return strings.Contains(" lower upper initcap left right substr reverse btrim ltrim rtrim concat concat_ws md5 split_part translate ", " "+operatorName(e.FuncCall.GetFuncname())+" ")
	}
	return false
}

// Types of pg_catalog (catalog/pg_type.dat).
const (
	oidInt8        oid = 20
	oidInt2        oid = 21
	oidInt4        oid = 23
	oidText        oid = 25
	oidFloat4      oid = 700
	oidFloat8      oid = 701
	oidBpchar      oid = 1042
	oidVarchar     oid = 1043
	oidDate        oid = 1082
	oidTimestamp   oid = 1114
	oidTimestamptz oid = 1184
	oidBool        oid = 16
	oidInterval    oid = 1186
	oidNumeric     oid = 1700
	oidUUID        oid = 2950
)

// oneRow reports whether a sub-query gives one row whatever it reads, so that it
// cannot fail for having two: an aggregate without groups, or LIMIT 1.
func (a *analysis) oneRow(n *pg_query.Node) bool {
	s := n.GetSelectStmt()
	if s == nil || s.GetOp() > pg_query.SetOperation_SETOP_NONE {
		return false
	}
	if rows, ok := a.limit(s); ok && rows == 1 {
		return true
	}
	if len(s.GetGroupClause()) > 0 || len(s.GetTargetList()) != 1 {
		return false
	}
	v := s.GetTargetList()[0].GetResTarget().GetVal()
	if args := v.GetCoalesceExpr().GetArgs(); len(args) > 0 {
		v = args[0]
	}
	f := v.GetFuncCall()
	if f == nil || f.GetOver() != nil || !a.totalFunction(strs(f.GetFuncname())) && operatorName(f.GetFuncname()) != "sum" {
		return false
	}
	switch operatorName(f.GetFuncname()) {
	case "count", "sum", "avg", "min", "max", "bool_and", "bool_or", "every", "string_agg", "array_agg", "json_agg", "jsonb_agg":
		return true
	}
	return false
}

// textType is a type of pg_catalog that every value can be cast to.
func textType(t *pg_query.TypeName) bool {
	names := strs(t.GetNames())
	if len(names) == 0 || len(names) > 2 || len(names) == 2 && names[0] != "pg_catalog" || len(t.GetArrayBounds()) > 0 || t.GetSetof() {
		return false
	}
	switch names[len(names)-1] {
	case "text", "varchar", "bpchar":
		return true
	}
	return false
}

// ownRow is relation.*::relation, as which pg_get_viewdef writes a whole row.
func (a *analysis) ownRow(c *pg_query.TypeCast, sc *scope) bool {
	fields := c.GetArg().GetColumnRef().GetFields()
	names := strs(c.GetTypeName().GetNames())
	if len(fields) < 2 || fields[len(fields)-1].GetAStar() == nil || len(names) == 0 || len(c.GetTypeName().GetArrayBounds()) > 0 {
		return false
	}
	it := a.findItem(strs(fields[:len(fields)-1]), sc)
	types := a.in.cat.typeNames[names[len(names)-1]]
	return it != nil && it.rel != nil && len(types) == 1 && a.in.cat.relations[types[0].relation] == it.rel
}

// totalCast reports whether a cast never fails. A cast between types of
// pg_catalog only: others have functions of users.
func (a *analysis) totalCast(c *pg_query.TypeCast, from oid) bool {
	t := c.GetTypeName()
	names := strs(t.GetNames())
	if len(names) == 0 || len(a.in.cat.typeNames[names[len(names)-1]]) > 0 || len(a.in.cat.casts[0]) > 0 {
		return false
	}
	if textType(t) {
		return true
	}
	if len(names) > 2 || len(names) == 2 && names[0] != "pg_catalog" || len(t.GetTypmods()) > 0 || len(t.GetArrayBounds()) > 0 {
		return false
	}
	switch names[len(names)-1] {
	case "int4":
		return from == oidInt2 || from == oidInt4
	case "int8":
		return from == oidInt2 || from == oidInt4 || from == oidInt8
	case "numeric":
		return from == oidInt2 || from == oidInt4 || from == oidInt8 || from == oidNumeric
	case "date":
		return from == oidDate || from == oidTimestamp || from == oidTimestamptz
	}
	return false
}
