package postgres

import (
	"strings"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/sallyport-gateway/sallyport/internal/gate"
)

// columnRef resolves a column, a whole row or an attribute call.
func (a *analysis) columnRef(c *pg_query.ColumnRef, sc *scope, u use) taint {
	fields := c.GetFields()
	if len(fields) == 0 {
		a.unknown()
		return taint{}
	}
	if fields[len(fields)-1].GetAStar() != nil {
		// A star that is not a target of its own: count(t.*), ROW(t.*).
		cols, ok := a.star(&pg_query.Node{Node: &pg_query.Node_ColumnRef{ColumnRef: c}}, sc)
		if !ok {
			return taint{}
		}
		t := union(cols)
		t.row = true
		a.useColumn(t, u)
		return t
	}
	names := strs(fields)
	t, found := a.lookup(names, sc)
	if len(names) > 1 && !namesColumnOfAll(names, sc) && !(found && a.namesSystemColumn(names, sc)) {
		// x.f where f is no column of x calls the function f on the row of x.
		a.attribute(names[len(names)-1])
		if row, ok := a.wholeRow(names[:len(names)-1], sc); ok {
			if found {
				row.labels |= t.labels
				row.kinds |= t.kinds
			}
			t = row
		}
	}
	a.useColumn(t, u)
	return t
}

// useColumn notes the use of a column or row.
func (a *analysis) useColumn(t taint, u use) {
	if t.labels == 0 {
		return
	}
	if t.row && u.kind == useKindRefuse && u.text == "in a cast" {
		return
	}
	a.flow(t, u)
}

// lookup finds what a name means, from the inside out.
func (a *analysis) lookup(names []string, sc *scope) (taint, bool) {
	if len(names) == 1 {
		return a.lookupPlain(names[0], sc)
	}
	if len(names) > 4 {
		a.unknown()
		return taint{}, false
	}
	column := names[len(names)-1]
	it := a.findItem(names[:len(names)-1], sc)
	if it == nil {
		if row, ok := a.wholeRow(names, sc); ok { // schema.table
			return row, true
		}
		return taint{}, false
	}
	return a.itemColumn(it, column)
}

func (a *analysis) lookupPlain(name string, sc *scope) (taint, bool) {
	var t taint
	found := false
	for s := sc; s != nil; s = s.parent {
		open := false
		for _, it := range s.items {
			if a.work > maxWork {
				return t, true
			}
			v, ok := a.itemColumn(it, name)
			if ok && (!it.open || v.labels != 0 || namesColumn(it, name)) {
				plain := v.plain && !found
				t.join(v)
				t.typ, t.plain = v.typ, plain
				found = true
			}
			open = open || it.open
		}
		if found && !open {
			return t, true
		}
	}
	if found {
		return t, true
	}
	return a.wholeRow([]string{name}, sc)
}

func namesColumn(it *item, name string) bool {
	for i := range it.cols {
		if it.cols[i].name == name {
			return true
		}
	}
	return false
}

// namesColumnOfAll reports whether x.f is a column, whichever of the visible
// items x means. An item that is open may have columns that are not known, so
// only the known ones count.
func namesColumnOfAll(names []string, sc *scope) bool {
	qualifier, column := names[len(names)-2], names[len(names)-1]
	found := false
	for s := sc; s != nil; s = s.parent {
		for _, it := range s.items {
			if it.alias != qualifier || it.hidden {
				continue
			}
			if !namesColumn(it, column) {
				return false
			}
			found = true
		}
	}
	return found
}

// namesSystemColumn reports whether x.f is a system column: every x that is
// visible is a relation, and those have them before any function on their rows.
func (a *analysis) namesSystemColumn(names []string, sc *scope) bool {
	qualifier := names[len(names)-2]
	found := false
	for s := sc; s != nil; s = s.parent {
		for _, it := range s.items {
			if it.alias == qualifier && !it.hidden {
				if it.rel == nil || it.rel.isView() || it.open {
					return false
				}
				found = true
			}
		}
	}
	return found && isSystemColumn(names[len(names)-1])
}

// itemColumn finds a column of one item.
func (a *analysis) itemColumn(it *item, name string) (taint, bool) {
	var t taint
	found, plain := false, true
	if !a.working(len(it.cols)) {
		return t, true
	}
	for i := range it.cols {
		c := &it.cols[i]
		if c.name == name || c.name == "" {
			t.join(taint{labels: c.labels, src: c.src, kinds: c.kinds})
			t.typ = c.typ
			plain = plain && c.plain
			if c.name == name {
				found = true
				a.noteColumn(it.rel, c)
			}
			a.stored(c)
			if it.rel != nil && it.rel.holdsSecret(i) {
				a.add(gate.EffectAdmin)
			}
		}
	}
	t.plain = plain && found
	if it.rel != nil && found {
		a.touchType(t.typ)
	}
	if !found && it.rel != nil && isSystemColumn(name) {
		a.systemColumn(it.rel, name)
		if !it.target {
			a.systemColumns = append(a.systemColumns, systemColumn{it.rel.oid, name})
		}
		return taint{}, true
	}
	return t, found || it.open
}

// systemColumn notes that a statement asks for a system column of a relation.
func (a *analysis) systemColumn(rel *Relation, name string) {
	switch name {
	case "tableoid":
		a.tableOID(rel)
	case "ctid":
		a.place(rel, rel.Name()+".ctid")
	default:
		a.transactions(rel, name)
	}
}

// systemAttribute notes that a field of a row is a system column: of the row of any
// relation that is visible, it could be.
func (a *analysis) systemAttribute(name string, sc *scope) {
	if !isSystemColumn(name) {
		return
	}
	for ; sc != nil; sc = sc.parent {
		for _, it := range sc.items {
			if it.rel != nil {
				a.systemColumn(it.rel, name)
			}
		}
	}
}

// noteColumn notes a column that is named, under the name that its table gives it.
func (a *analysis) noteColumn(rel *Relation, c *outCol) {
	switch {
	case c.rel != nil:
		a.facts.columns = append(a.facts.columns, c.rel.Name()+"."+c.column)
	case rel != nil:
		a.facts.columns = append(a.facts.columns, rel.Name()+"."+c.name)
	}
}

// noteAssigned notes the columns of a list that get values.
func (a *analysis) noteAssigned(rel *Relation, names []string) {
	if rel != nil {
		a.facts.columns = append(a.facts.columns, copyColumns(rel, names)...)
	}
}

// holdsSecret says that a column of a catalog holds a connection string; the
// rest of that catalog is harmless.
func (r *Relation) holdsSecret(i int) bool {
	return r.name == "pg_subscription" && r.isSystem() && i < len(r.columns) && r.columns[i].name == "subconninfo"
}

func isSystemColumn(name string) bool {
	switch name {
	case "ctid", "xmin", "xmax", "cmin", "cmax", "tableoid":
		return true
	}
	return false
}

// maxWork bounds how many names are compared for one text, some tenths of a
// second.
const maxWork = 20_000_000

// working counts comparisons; false means that there were too many.
func (a *analysis) working(n int) bool {
	a.work += 1 + n
	if a.work > maxWork {
		a.unknown()
		return false
	}
	return true
}

// systemColumn is a system column that a statement reads.
type systemColumn struct {
	relation oid
	name     string
}

// findItem finds a range item by alias, or by schema and name.
func (a *analysis) findItem(qualifier []string, sc *scope) *item {
	name := qualifier[len(qualifier)-1]
	schema := ""
	if len(qualifier) > 1 {
		schema = qualifier[len(qualifier)-2]
	}
	for s := sc; s != nil; s = s.parent {
		if !a.working(len(s.items)) {
			return nil
		}
		for _, it := range s.items {
			if it.alias != name || it.hidden {
				continue
			}
			if schema == "" || schema == it.schema {
				return it
			}
		}
	}
	return nil
}

// wholeRow finds a row named by its alias.
func (a *analysis) wholeRow(names []string, sc *scope) (taint, bool) {
	it := a.findItem(names, sc)
	if it == nil {
		return taint{}, false
	}
	t := union(it.cols)
	t.row = true
	a.stored(nil)
	a.wholeRowFacts(it)
	return t, true
}

func (a *analysis) wholeRowFacts(it *item) {
	if it.rel == nil { // a join shows the rows of its tables
		var last *Relation
		for i := range it.cols {
			if rel := it.cols[i].rel; rel != nil && rel != last {
				a.facts.columns = append(a.facts.columns, rel.Name()+".*")
				last = rel
			}
		}
		return
	}
	a.facts.columns = append(a.facts.columns, it.rel.Name()+".*")
	for i := range it.cols {
		a.touchType(it.cols[i].typ)
		if it.rel.holdsSecret(i) {
			a.add(gate.EffectAdmin)
		}
	}
}

// star expands *, x.* and (expr).*; ok is false for anything else.
func (a *analysis) star(n *pg_query.Node, sc *scope) (cols []outCol, ok bool) {
	if i := n.GetAIndirection(); i != nil {
		list := i.GetIndirection()
		if len(list) == 0 || list[len(list)-1].GetAStar() == nil {
			return nil, false
		}
		t := a.indirection(i, sc, useTarget)
		return []outCol{{labels: t.labels, src: t.src, kinds: t.kinds}}, true
	}
	fields := n.GetColumnRef().GetFields()
	if len(fields) == 0 || fields[len(fields)-1].GetAStar() == nil {
		return nil, false
	}
	if len(fields) == 1 {
		for _, it := range sc.items {
			if it.target && it.hidden {
				continue
			}
			a.wholeRowFacts(it)
		}
		return sc.star, true
	}
	it := a.findItem(strs(fields[:len(fields)-1]), sc)
	if it == nil {
		return nil, true
	}
	a.wholeRowFacts(it)
	return it.cols, true
}

// outputName is the name that PostgreSQL gives an output column without an
// alias (parser/parse_target.c, FigureColname).
func outputName(n *pg_query.Node) string {
	switch e := n.GetNode().(type) {
	case *pg_query.Node_ColumnRef:
		for i := len(e.ColumnRef.GetFields()) - 1; i >= 0; i-- {
			if s := e.ColumnRef.GetFields()[i].GetString_().GetSval(); s != "" {
				return s
			}
		}
	case *pg_query.Node_AIndirection:
		list := e.AIndirection.GetIndirection()
		for i := len(list) - 1; i >= 0; i-- {
			if s := list[i].GetString_().GetSval(); s != "" {
				return s
			}
		}
		return outputName(e.AIndirection.GetArg())
	case *pg_query.Node_FuncCall:
		return operatorName(e.FuncCall.GetFuncname())
	case *pg_query.Node_TypeCast:
		if name := outputName(e.TypeCast.GetArg()); name != "?column?" && !weakName(e.TypeCast.GetArg()) {
			return name
		}
		if names := strs(e.TypeCast.GetTypeName().GetNames()); len(names) > 0 {
			return names[len(names)-1]
		}
	case *pg_query.Node_CollateClause:
		return outputName(e.CollateClause.GetArg())
	case *pg_query.Node_CaseExpr:
		if name := outputName(e.CaseExpr.GetDefresult()); name != "?column?" && !weakName(e.CaseExpr.GetDefresult()) {
			return name
		}
		return "case"
	case *pg_query.Node_CoalesceExpr:
		return "coalesce"
	case *pg_query.Node_AArrayExpr:
		return "array"
	case *pg_query.Node_RowExpr:
		return "row"
	case *pg_query.Node_MinMaxExpr:
		return strings.ToLower(strings.TrimPrefix(e.MinMaxExpr.GetOp().String(), "IS_"))
	case *pg_query.Node_SubLink:
		return subLinkName(e.SubLink)
	}
	return "?column?"
}

func subLinkName(s *pg_query.SubLink) string {
	switch s.GetSubLinkType() {
	case pg_query.SubLinkType_EXISTS_SUBLINK:
		return "exists"
	case pg_query.SubLinkType_ARRAY_SUBLINK:
		return "array"
	case pg_query.SubLinkType_EXPR_SUBLINK:
		if t := s.GetSubselect().GetSelectStmt().GetTargetList(); len(t) > 0 {
			if name := t[0].GetResTarget().GetName(); name != "" {
				return name
			}
			if f := t[0].GetResTarget().GetVal().GetColumnRef().GetFields(); len(f) == 0 || f[len(f)-1].GetAStar() == nil {
				return outputName(t[0].GetResTarget().GetVal())
			}
		}
	}
	return "?column?" // of a star it is the name of a column that is not read here
}

// weakName says that an expression's name gives way to that of a cast or CASE
// around it.
func weakName(n *pg_query.Node) bool {
	switch e := n.GetNode().(type) {
	case *pg_query.Node_CollateClause:
		return weakName(e.CollateClause.GetArg())
	case *pg_query.Node_TypeCast:
		return outputName(e.TypeCast.GetArg()) == "?column?" || weakName(e.TypeCast.GetArg())
	case *pg_query.Node_CaseExpr:
		return outputName(e.CaseExpr.GetDefresult()) == "?column?" || weakName(e.CaseExpr.GetDefresult())
	}
	return false
}
