package postgres

import (
	_ "embed"
	"strings"
	"sync"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/sallyport-gateway/sallyport/internal/gate"
	"github.com/sallyport-gateway/sallyport/internal/sql/postgres/lex"
)

//go:embed functions.txt
var functionsText string

// builtin says what a function of pg_catalog does.
type builtin struct {
	effects gate.Effects
	others  bool // shows content that cannot be masked
	volume  bool // shows how much was written
	stored  bool // shows how its argument is stored
}

// builtins is the reviewed table of pg_catalog functions by name.
var builtins = sync.OnceValue(func() map[string]builtin {
	classes := map[string]builtin{
		"read": {effects: gate.EffectRead}, "others": {effects: gate.EffectRead, others: true},
		"volume": {effects: gate.EffectRead, volume: true}, "stored": {effects: gate.EffectRead, stored: true},
		"write": {effects: gate.EffectWrite}, "delete": {effects: gate.EffectDelete},
		"tunnel": {effects: gate.EffectTunnel}, "execute": {effects: gate.EffectExecute}, "admin": {effects: gate.EffectAdmin},
	}
	table := make(map[string]builtin, 2000)
	for line := range strings.Lines(functionsText) {
		words := strings.Fields(line)
		if len(words) < 2 || words[0] == "#" {
			continue
		}
		class := classes[words[0]]
		for _, name := range words[1:] {
			table[name] = class
		}
	}
	return table
})

// funcCall reads a call: the function by name, then its arguments.
func (a *analysis) funcCall(f *pg_query.FuncCall, sc *scope, u use) taint {
	names := strs(f.GetFuncname())
	name := names[len(names)-1]
	switch {
	case name == "current_setting":
		a.readsSetting(f, sc)
	case name == "set_config" && len(f.GetArgs()) > 0:
		a.changesSetting(f.GetArgs()[0], sc)
	}
	if name == "set_config" && (len(names) == 1 || names[0] == "pg_catalog") && len(a.in.cat.userFunctions("", name)) == 0 {
		return a.setConfig(f, sc)
	}
	if !a.scansOfIndex(f, names) {
		a.function(names)
	}
	a.pinFunction(f, names)
	a.changesBy(f, name)
	argument := useArgument(name)
	argument.equal = f.GetAggDistinct() && (name == "count" || a.carrier(names))
	switch {
	case countsOnly(f, name):
		argument = useNull
	case a.carries(u) && !f.GetAggDistinct() && a.carrier(names):
		argument = u
	}
	argument = u.under(argument)
	if u.kind == useKindControl && argument.kind == useKindControl && countsOnly(f, name) {
		argument = useNull
	}
	if b := builtins()[name]; b.stored {
		was := a.sized
		a.sized = name
		defer func() { a.sized = was }()
	}
	var t taint
	at, labelled, typ := -1, 0, oid(0)
	for i, n := range f.GetArgs() {
		v := a.argument(n, sc, argument, name)
		if argument.kind == useKindNull {
			v = a.asked(v, u)
		}
		t.join(v)
		if i == 0 {
			typ = v.typ
		}
		if v.labels != 0 {
			at, labelled = i, labelled+1
		}
	}
	if labelled > 1 {
		at = -1
	}
	for _, n := range f.GetAggOrder() {
		a.operator(n.GetSortBy().GetUseOp())
		t.join(a.expr(n.GetSortBy().GetNode(), sc, useOrder))
	}
	a.expr(f.GetAggFilter(), sc, useWhere)
	a.window(f.GetOver(), sc)
	if !a.totalCall(f, at, typ, t) {
		a.computes(t)
	}
	if name == "regexp_match" && t.labels != 0 {
		t.kinds |= kindArray
	}
	return t
}

// scansOfIndex lets pg_stat_get_numscans() be called, by which clients list the indexes
// of a table, where labels apply as well: of an index of TOAST tables, whose scans tell
// of the size of values, it is asked for nothing. It reports whether it has.
func (a *analysis) scansOfIndex(f *pg_query.FuncCall, names []string) bool {
	name := names[len(names)-1]
	if name != "pg_stat_get_numscans" || len(names) > 2 || len(names) == 2 && names[0] != "pg_catalog" || a.outside || a.tokens == nil ||
		len(f.GetArgs()) != 1 || f.GetArgs()[0].GetNamedArgExpr() != nil || f.GetFuncVariadic() || len(a.in.cat.userFunctions("", name)) > 0 {
		return false
	}
	open := a.nameSpan(f.GetLocation()).to
	end := open
	for depth := 0; end < a.tokens.Len(); end++ {
		switch a.tokens.At(end).Kind {
		case lex.LeftParen:
			depth++
		case lex.RightParen:
			depth--
		}
		if depth == 0 {
			break
		}
	}
	if end >= a.tokens.Len() || end == open {
		return false
	}
	all := a.in.labels.all
	a.labels |= all
	a.change(edit{from: open + 1, to: open + 1, labels: all, pieces: []editPiece{{text: "(SELECT q.o FROM (SELECT ("}}})
	a.change(edit{from: end, to: end, labels: all, pieces: []editPiece{{text: ")) AS q(o) WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_class AS t " +
		"WHERE t.oid OPERATOR(pg_catalog.=) q.o AND t.relnamespace OPERATOR(pg_catalog.=) 'pg_toast'::pg_catalog.regnamespace))"}}})
	a.facts.functions = append(a.facts.functions, "pg_catalog."+name)
	a.add(gate.EffectRead)
	return true
}

// countsOnly is count(x) without DISTINCT, or a function that counts its arguments: it
// shows only whether they are null.
func countsOnly(f *pg_query.FuncCall, name string) bool {
	switch name {
	case "count":
		return !f.GetAggDistinct() && len(f.GetFuncname()) <= 2
	case "num_nulls", "num_nonnulls":
		return !f.GetFuncVariadic() && len(f.GetFuncname()) <= 2
	}
	return false
}

// carriers are functions of pg_catalog whose result shows what they are given, in full
// and as it is. What they are given is a mask, and who reads the result sees that.
// Others would make something of the mask that looks like an answer, such as its length.
const carriers = " any_value array_agg array_append array_cat array_prepend array_to_json array_to_string btrim concat concat_ws first_value format " +
	"initcap json_agg json_build_array json_build_object jsonb_agg jsonb_build_array jsonb_build_object lag last_value lead " +
	"lower ltrim max min nth_value quote_literal quote_nullable row_to_json rtrim string_agg to_json to_jsonb upper "

// carrier reports whether a call is of one of the carriers.
func (a *analysis) carrier(names []string) bool {
	name := names[len(names)-1]
	return (len(names) == 1 || len(names) == 2 && names[0] == "pg_catalog") && !strings.Contains(name, " ") &&
		strings.Contains(carriers, " "+name+" ") && len(a.in.cat.userFunctions("", name)) == 0
}

// carries reports whether an operand may be shown where an expression is: in a
// statement it is made of masks. In a definition it is not.
func (a *analysis) carries(u use) bool { return u.kind == useKindShow && !a.outside }

// argument reads an argument. Functions that write a whole row as a document
// may have one: the row that they see is made of masks.
func (a *analysis) argument(n *pg_query.Node, sc *scope, u use, function string) taint {
	if u.kind == useKindRefuse && writesRows(function) && n.GetColumnRef() != nil {
		v := a.expr(n, sc, useTarget)
		if !v.row {
			a.flow(v, u)
		}
		return v
	}
	return a.expr(n, sc, u)
}

func writesRows(function string) bool {
	switch function {
	case "row_to_json", "to_json", "to_jsonb", "json_agg", "jsonb_agg", "array_agg":
		return true
	}
	return false
}

// function adds the effects of every function that a name can mean.
func (a *analysis) function(names []string) {
	name := names[len(names)-1]
	schema := ""
	switch {
	case len(names) == 2:
		schema = names[0]
	case len(names) == 3 && names[0] == a.env.Database:
		schema = names[1]
	case len(names) > 2:
		a.unknown()
		return
	}
	user := a.in.cat.userFunctions(schema, name)
	for _, f := range user {
		a.userFunction(f)
	}
	switch schema {
	case "", "pg_catalog":
		a.builtinFunction(name, len(user) > 0)
	case "information_schema":
		a.facts.functions = append(a.facts.functions, schema+"."+name)
		if !strings.HasPrefix(name, "_pg_") {
			a.unknown()
		}
	default:
		if len(user) == 0 {
			a.missing("function " + schema + "." + name)
		}
	}
}

// builtinFunction adds the effects of a function of pg_catalog.
func (a *analysis) builtinFunction(name string, userToo bool) {
	b, ok := builtins()[name]
	if !ok {
		if !a.in.cat.builtinNames[name] {
			if !userToo && !a.in.cat.builtinTypes[name] { // uuid('…') is a cast
				a.missing("function " + name)
			}
			return
		}
		a.facts.functions = append(a.facts.functions, "pg_catalog."+name)
		a.unknown()
		a.add(gate.EffectExecute)
		a.refuseAll(name+"()", "is not on the list of functions that are known to be safe", "use another function")
		return
	}
	a.facts.functions = append(a.facts.functions, "pg_catalog."+name)
	a.add(b.effects)
	if name == "pg_get_partition_constraintdef" { // of any of them, by number: its key is planned
		for _, rel := range a.in.cat.relations {
			if rel.extras().partition != nil {
				a.include(a.in.planned[rel.oid])
			}
		}
	}
	if b.others {
		a.refuseAll(name+"()", "shows content that cannot be masked", "select from the tables themselves")
	}
	if b.volume {
		a.refuseAll(name+"()", "shows how much was written, which depends on the labelled values that an update replaces", "leave it out")
	}
}

// userFunction adds what was reviewed of a function, or marks it.
func (a *analysis) userFunction(f *function) {
	a.facts.functions = append(a.facts.functions, f.schema+"."+f.name)
	e, ok := a.in.reviewed(f)
	a.runs = a.runs || !ok || runsBeside(f, e)
	for _, o := range f.types { // what is given becomes a value of them before it is called
		a.touchType(o)
	}
	a.touchType(f.returns) // what it gives can be compared
	if f.support != 0 {
		a.mayRun(f.support)
	}
	if ok {
		a.add(e)
		return
	}
	a.unreviewedFunction(f)
}

// unreviewedFunction marks a function of which nobody knows what it does.
func (a *analysis) unreviewedFunction(f *function) {
	a.unreviewed("function " + f.signature())
	switch {
	case f.language == "sql" || f.language == "plpgsql" || f.kind == 'a':
		a.add(gate.EffectExecute)
	default: // untrusted code can reach files and the network
		a.add(gate.EffectExecute | gate.EffectAdmin)
	}
	a.refuseAll(f.signature(), "was not reviewed, so what it returns cannot be traced", "select from the tables themselves, or have it reviewed")
}

// missing marks a name that the catalog does not have.
func (a *analysis) missing(what string) {
	a.absent = append(a.absent, what)
	a.unreviewed(what + " (not in the catalog)")
	a.refuseAll(what, "is not in the catalog, so what it shows cannot be traced", "check the name")
}

// functionOID adds the effects of a function that the catalog names by OID.
func (a *analysis) functionOID(o oid) {
	if o < firstUserOID {
		return
	}
	if f := a.in.cat.funcByOID[o]; f != nil {
		a.userFunction(f)
		return
	}
	a.unknown()
}

// attribute is .f where f may be a function on a row instead of a field.
func (a *analysis) attribute(name string) {
	for _, f := range a.in.cat.userFunctions("", name) {
		if f.argCount >= 1 {
			a.userFunction(f)
		}
	}
	if _, ok := builtins()[name]; ok || a.in.cat.builtinNames[name] {
		a.builtinFunction(name, true)
	}
}

// operator adds the effects of every operator that a name can mean. If all
// candidates are pg_catalog's, no types are needed: every function behind an
// operator of pg_catalog is harmless (see TestOperators…).
func (a *analysis) operator(name []*pg_query.Node) {
	if len(name) == 0 {
		return
	}
	a.watched.operators = a.watched.operators || !a.outside
	parts := strs(name)
	op := parts[len(parts)-1]
	schema := ""
	if len(parts) > 1 {
		schema = parts[len(parts)-2]
	}
	for _, o := range a.in.cat.operatorsNamed(op) {
		if schema == "" || o.schema == schema {
			a.useOperator(&o)
		}
	}
}

// operatorsNamed returns the user operators that an operator name can mean.
// LIKE and its relatives are parsed to names of their own.
func (c *Catalog) operatorsNamed(name string) []operator {
	list := c.operators[name]
	if name == "<>" {
		list = append(list[:len(list):len(list)], c.operators["="]...)
	}
	return list
}
