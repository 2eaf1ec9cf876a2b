package postgres

import (
	"strconv"

	pg_query "github.com/pganalyze/pg_query_go/v6"
)

func columnNumber(i int) string { return "column" + strconv.Itoa(i+1) }

// fromItem reads one entry of a FROM clause into the scope and returns its
// columns as a star shows them.
func (a *analysis) fromItem(n *pg_query.Node, sc *scope) []outCol {
	if !a.enter() {
		return nil
	}
	defer a.leave()
	switch f := n.GetNode().(type) {
	case *pg_query.Node_RangeVar:
		return a.push(sc, a.rangeVar(f.RangeVar, sc, false))
	case *pg_query.Node_RangeSubselect:
		inner := &scope{parent: sc.parent, ctes: sc.ctes}
		if f.RangeSubselect.GetLateral() {
			inner.parent = sc
		}
		cols := a.nested(f.RangeSubselect.GetSubquery(), inner)
		alias := f.RangeSubselect.GetAlias()
		return a.push(sc, &item{alias: alias.GetAliasname(), cols: rename(cols, strs(alias.GetColnames())), hidden: alias == nil})
	case *pg_query.Node_RangeFunction:
		return a.push(sc, a.rangeFunction(f.RangeFunction, sc))
	case *pg_query.Node_RangeTableFunc:
		return a.push(sc, a.rangeTableFunc(f.RangeTableFunc, sc))
	case *pg_query.Node_JsonTable:
		return a.push(sc, a.jsonTable(f.JsonTable, sc))
	case *pg_query.Node_RangeTableSample:
		return a.tableSample(f.RangeTableSample, sc)
	case *pg_query.Node_JoinExpr:
		return a.join(f.JoinExpr, sc)
	default:
		a.unknown()
		return nil
	}
}

// lateralScope lets a function or a LATERAL sub-query see the items that stand
// before it.
func lateralScope(sc *scope) *scope {
	return &scope{parent: sc, ctes: sc.ctes}
}

func (a *analysis) push(sc *scope, it *item) []outCol {
	sc.items = append(sc.items, it)
	return it.cols
}

// rangeVar reads a relation or a WITH query that is read from.
func (a *analysis) rangeVar(rv *pg_query.RangeVar, sc *scope, sampled bool) *item {
	a.saw(rv)
	alias := rv.GetAlias()
	it := &item{alias: rv.GetRelname()}
	if alias != nil {
		it.alias = alias.GetAliasname()
	}
	if rv.GetSchemaname() == "" {
		if c := sc.withClause().find(rv.GetRelname()); c != nil {
			it.cols, it.open = rename(c.cols, strs(alias.GetColnames())), c.open
			return it
		}
	}
	rel := a.resolve(rv)
	if rel == nil {
		it.open = true
		return it
	}
	if alias == nil {
		it.schema = rel.schema
	}
	it.rel, it.open = rel, rel.extras().open
	it.cols = rename(a.relationColumns(rel), strs(alias.GetColnames()))
	a.readRelation(rel)
	a.substitute(rv, rel, sampled)
	return it
}

// resolve finds a relation, or notes that nobody knows it.
func (a *analysis) resolve(rv *pg_query.RangeVar) *Relation {
	if c := rv.GetCatalogname(); c != "" && c != a.env.Database {
		a.unknown()
		return nil
	}
	rel := a.relation(rv)
	if rel == nil {
		name := rv.GetRelname()
		if s := rv.GetSchemaname(); s != "" {
			name = s + "." + name
		}
		a.facts.tables = append(a.facts.tables, qualifyUnknown(rv))
		a.missing("relation " + name)
		return nil
	}
	a.pinRelation(rv, rel)
	return rel
}

func qualifyUnknown(rv *pg_query.RangeVar) string {
	if isTemporaryName(rv) {
		return temporarySchema + "." + rv.GetRelname()
	}
	if s := rv.GetSchemaname(); s != "" {
		return s + "." + rv.GetRelname()
	}
	return "?." + rv.GetRelname()
}

// relationColumns returns the columns of a relation with their labels.
func (a *analysis) relationColumns(rel *Relation) []outCol {
	out := make([]outCol, len(rel.columns))
	if rel.isView() && !rel.isSystem() && !rel.isTemporary() {
		a.view(rel) // its labels come from its definition
	}
	labels := a.in.labels.of(rel)
	for i := range rel.columns {
		c := &rel.columns[i]
		out[i] = outCol{name: c.name, typ: c.typ, plain: !labels.isComputed(c.num), rel: rel, column: c.name}
		l := labels.column(c.num)
		if !a.outside {
			l = labels.ofWhole(c.num) // masked parts leave the rest to be used
		}
		if l != 0 {
			out[i].labels, out[i].src, out[i].kinds = l, rel.Name()+"."+c.name, a.in.cat.kindsOf(c.typ, 0)
		}
	}
	return out
}

func (a *analysis) rangeFunction(f *pg_query.RangeFunction, sc *scope) *item {
	alias := f.GetAlias()
	it := &item{alias: alias.GetAliasname(), open: true}
	var all taint
	for _, n := range f.GetFunctions() {
		parts := n.GetList().GetItems()
		if len(parts) == 0 {
			a.unknown()
			continue
		}
		if it.alias == "" {
			it.alias = outputName(parts[0])
		}
		all.join(a.expr(parts[0], lateralScope(sc), useTarget))
		if len(parts) > 1 {
			a.columnDefinitions(parts[1].GetList().GetItems(), it, all)
		}
	}
	a.columnDefinitions(f.GetColdeflist(), it, all)
	for _, name := range strs(alias.GetColnames()) {
		it.cols = append(it.cols, outCol{name: name, labels: all.labels, src: all.src, kinds: all.kinds})
	}
	if len(it.cols) == 0 {
		it.cols = append(it.cols, outCol{name: it.alias, labels: all.labels, src: all.src, kinds: all.kinds})
	}
	if all.labels != 0 { // columns that are not listed here show the same
		it.cols = append(it.cols, outCol{labels: all.labels, src: all.src, kinds: all.kinds})
	}
	return it
}

func (a *analysis) columnDefinitions(list []*pg_query.Node, it *item, all taint) {
	for _, n := range list {
		def := n.GetColumnDef()
		a.typeName(def.GetTypeName())
		it.cols = append(it.cols, outCol{name: def.GetColname(), labels: all.labels, src: all.src, kinds: all.kinds})
	}
}

// rangeTableFunc reads XMLTABLE.
func (a *analysis) rangeTableFunc(f *pg_query.RangeTableFunc, sc *scope) *item {
	inner := lateralScope(sc)
	all := a.expr(f.GetRowexpr(), inner, useArgument("xmltable"))
	all.join(a.expr(f.GetDocexpr(), inner, useArgument("xmltable")))
	for _, n := range f.GetNamespaces() {
		all.join(a.expr(n.GetResTarget().GetVal(), inner, useArgument("xmltable")))
	}
	it := &item{alias: f.GetAlias().GetAliasname()}
	if it.alias == "" {
		it.alias = "xmltable"
	}
	for _, n := range f.GetColumns() {
		c := n.GetRangeTableFuncCol()
		if !c.GetForOrdinality() {
			a.typeName(c.GetTypeName())
		}
		all.join(a.expr(c.GetColexpr(), inner, useArgument("xmltable")))
		all.join(a.expr(c.GetColdefexpr(), inner, useArgument("xmltable")))
		it.cols = append(it.cols, outCol{name: c.GetColname()})
	}
	a.computes(all)
	for i := range it.cols {
		it.cols[i].labels, it.cols[i].src, it.cols[i].kinds = all.labels, all.src, all.kinds
	}
	it.cols = rename(it.cols, strs(f.GetAlias().GetColnames()))
	return it
}

// jsonTable reads JSON_TABLE (17 and later).
func (a *analysis) jsonTable(t *pg_query.JsonTable, sc *scope) *item {
	inner := lateralScope(sc)
	u := useArgument("json_table")
	all := a.jsonValue(t.GetContextItem(), inner, u)
	all.join(a.expr(t.GetPathspec().GetString_(), inner, u))
	for _, n := range t.GetPassing() {
		all.join(a.expr(n, inner, u))
	}
	all.join(a.jsonBehavior(t.GetOnError(), inner, u))
	it := &item{alias: t.GetAlias().GetAliasname()}
	if it.alias == "" {
		it.alias = "json_table"
	}
	a.jsonColumns(t.GetColumns(), it, inner, u, &all)
	a.computes(all)
	for i := range it.cols {
		it.cols[i].labels, it.cols[i].src, it.cols[i].kinds = all.labels, all.src, all.kinds
	}
	it.cols = rename(it.cols, strs(t.GetAlias().GetColnames()))
	return it
}

func (a *analysis) jsonColumns(list []*pg_query.Node, it *item, sc *scope, u use, all *taint) {
	if !a.enter() {
		return
	}
	defer a.leave()
	for _, n := range list {
		c := n.GetJsonTableColumn()
		if c == nil {
			a.unknown()
			continue
		}
		if c.GetTypeName() != nil {
			a.typeName(c.GetTypeName())
		}
		all.join(a.expr(c.GetPathspec().GetString_(), sc, u))
		all.join(a.jsonBehavior(c.GetOnEmpty(), sc, u))
		all.join(a.jsonBehavior(c.GetOnError(), sc, u))
		if len(c.GetColumns()) > 0 {
			a.jsonColumns(c.GetColumns(), it, sc, u, all)
			continue
		}
		it.cols = append(it.cols, outCol{name: c.GetName()})
	}
}

func (a *analysis) tableSample(s *pg_query.RangeTableSample, sc *scope) []outCol {
	method := strs(s.GetMethod())
	if n := len(method); n == 0 || (method[n-1] != "bernoulli" && method[n-1] != "system") || n > 1 && method[0] != "pg_catalog" || len(a.in.cat.userFunctions("", method[n-1])) > 0 {
		a.unreviewed("sampling method")
	}
	for _, n := range s.GetArgs() {
		a.expr(n, sc, useLimit)
	}
	a.expr(s.GetRepeatable(), sc, useLimit)
	rv := s.GetRelation().GetRangeVar()
	if rv == nil {
		a.unknown()
		return nil
	}
	it := a.rangeVar(rv, sc, true)
	if it.rel != nil {
		a.place(it.rel, "TABLESAMPLE of "+it.rel.Name())
	}
	return a.push(sc, it)
}

// join reads both sides and gives the joined columns.
func (a *analysis) join(j *pg_query.JoinExpr, sc *scope) []outCol {
	before := len(sc.items)
	left := a.fromItem(j.GetLarg(), sc)
	right := a.fromItem(j.GetRarg(), sc)
	using := strs(j.GetUsingClause())
	if j.GetIsNatural() {
		using = common(left, right)
	}
	var cols []outCol
	for _, name := range using {
		merged := outCol{name: name}
		var shown [2]taint
		for i, side := range [][]outCol{left, right} {
			for _, c := range side {
				if c.name == name {
					a.controlled(c, useUsing)
					a.noteColumn(nil, &c)
					shown[i].join(taint{labels: c.labels, src: c.src})
					merged.labels |= c.labels
					merged.kinds |= c.kinds
					merged.src, merged.typ, merged.rel, merged.column = c.src, c.typ, c.rel, c.column
				}
			}
		}
		a.compared(shown[0], shown[1])
		cols = append(cols, merged)
	}
	cols = append(append(cols, without(left, using)...), without(right, using)...)
	if len(using) > 0 {
		a.operator([]*pg_query.Node{pg_query.MakeStrNode("=")})
	}
	a.expr(j.GetQuals(), sc, useJoin)
	if u := j.GetJoinUsingAlias(); u != nil {
		a.push(sc, &item{alias: u.GetAliasname(), cols: cols[:len(using)]})
	}
	if alias := j.GetAlias(); alias != nil {
		a.joinAlias = true
		sc.items = append(sc.items[:before:before], &item{alias: alias.GetAliasname(), cols: rename(cols, strs(alias.GetColnames()))})
		return sc.items[before].cols
	}
	return cols
}

func common(left, right []outCol) []string {
	var names []string
	for _, l := range left {
		for _, r := range right {
			if l.name == r.name && l.name != "" {
				names = append(names, l.name)
				break
			}
		}
	}
	return names
}

func without(cols []outCol, names []string) []outCol {
	var out []outCol
next:
	for _, c := range cols {
		for _, n := range names {
			if c.name == n {
				continue next
			}
		}
		out = append(out, c)
	}
	return out
}
