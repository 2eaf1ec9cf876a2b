package postgres

import (
	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/sallyport-gateway/sallyport/internal/gate"
)

// outCol is a column that a range item or a query gives.
type outCol struct {
	name   string
	labels labelSet
	src    string // the labelled column that it shows, for messages
	typ    oid    // 0 if not known
	kinds  typeKinds
	plain  bool      // see taint
	rel    *Relation // of which it is a column as it is
	column string    // its name there
}

// item is one entry of a FROM clause.
type item struct {
	alias  string
	schema string // of a relation without an alias
	cols   []outCol
	open   bool      // there may be columns beyond cols
	rel    *Relation // of a relation
	target bool      // the relation that a statement changes
	hidden bool      // reached by its columns only: a join without an alias
}

// scope is what names mean inside one query.
type scope struct {
	parent *scope
	items  []*item
	ctes   *cteScope
	star   []outCol // what * shows
	// setting is the only name in pg_settings that the query reads.
	setting *pg_query.A_Const
	outs    []outCol // output columns, for ORDER BY and GROUP BY
}

// cteScope is a chain of visible WITH queries.
type cteScope struct {
	parent *cteScope
	name   string
	cols   []outCol
	open   bool
	query  *pg_query.CommonTableExpr // of one that is not recursive
}

func (s *cteScope) find(name string) *cteScope {
	for c := s; c != nil; c = c.parent {
		if c.name == name {
			return c
		}
	}
	return nil
}

func (s *scope) withClause() *cteScope {
	if s == nil {
		return nil
	}
	return s.ctes
}

// with reads a WITH clause and returns the scope of the query that it heads.
func (a *analysis) with(w *pg_query.WithClause, outer *scope) *scope {
	sc := &scope{parent: outer, ctes: outer.withClause()}
	if w == nil {
		return sc
	}
	if w.GetRecursive() {
		for _, n := range w.GetCtes() {
			c := n.GetCommonTableExpr()
			sc.ctes = &cteScope{parent: sc.ctes, name: c.GetCtename(), open: true}
		}
	}
	for _, n := range w.GetCtes() {
		a.cte(n.GetCommonTableExpr(), sc, w.GetRecursive())
	}
	return sc
}

// cte reads one WITH query. A recursive one is read until its labels no longer
// grow.
func (a *analysis) cte(c *pg_query.CommonTableExpr, sc *scope, recursive bool) {
	inner := &scope{parent: sc.parent, ctes: sc.ctes}
	if !recursive {
		cols := a.cteColumns(c, a.nested(c.GetCtequery(), inner))
		sc.ctes = &cteScope{parent: sc.ctes, name: c.GetCtename(), cols: cols, query: c}
		return
	}
	self := sc.ctes.find(c.GetCtename())
	for pass := range 2 + len(a.in.labels.names) {
		if pass == 1 {
			a.again++
			defer func() { a.again-- }()
		}
		cols := a.cteColumns(c, a.nested(c.GetCtequery(), inner))
		same := self.cols != nil && sameLabels(self.cols, cols)
		self.cols, self.open = cols, false
		if same {
			break
		}
	}
}

func sameLabels(x, y []outCol) bool {
	if len(x) != len(y) {
		return false
	}
	for i := range x {
		if x[i].labels != y[i].labels {
			return false
		}
	}
	return true
}

func (a *analysis) cteColumns(c *pg_query.CommonTableExpr, cols []outCol) []outCol {
	cols = rename(cols, strs(c.GetAliascolnames()))
	var all outCol
	for _, col := range cols {
		all.labels |= col.labels
		all.kinds |= col.kinds
		if col.src != "" {
			all.src = col.src
		}
	}
	if s := c.GetSearchClause(); s != nil {
		cols = append(cols, outCol{name: s.GetSearchSeqColumn(), labels: all.labels, src: all.src, kinds: all.kinds})
	}
	if s := c.GetCycleClause(); s != nil {
		cols = append(cols, outCol{name: s.GetCycleMarkColumn(), labels: all.labels, src: all.src, kinds: all.kinds},
			outCol{name: s.GetCyclePathColumn(), labels: all.labels, src: all.src, kinds: all.kinds})
		a.control |= all.labels
	}
	return cols
}

// rename gives the first columns the names of an alias list.
func rename(cols []outCol, names []string) []outCol {
	if len(names) == 0 {
		return cols
	}
	out := append([]outCol(nil), cols...)
	for i, n := range names {
		if i < len(out) {
			out[i].name = n
		}
	}
	return out
}

// nested reads a query or a data-changing statement inside another statement.
func (a *analysis) nested(n *pg_query.Node, outer *scope) []outCol {
	if !a.enter() {
		return nil
	}
	defer a.leave()
	switch q := n.GetNode().(type) {
	case *pg_query.Node_SelectStmt:
		return a.selectStmt(q.SelectStmt, outer)
	case *pg_query.Node_InsertStmt:
		return a.insert(q.InsertStmt, outer)
	case *pg_query.Node_UpdateStmt:
		return a.update(q.UpdateStmt, outer)
	case *pg_query.Node_DeleteStmt:
		return a.delete(q.DeleteStmt, outer)
	case *pg_query.Node_MergeStmt:
		return a.merge(q.MergeStmt, outer)
	default:
		a.unknown()
		return nil
	}
}

// selectStmt reads a SELECT, VALUES or set operation.
func (a *analysis) selectStmt(s *pg_query.SelectStmt, outer *scope) []outCol {
	if s == nil || !a.enter() {
		a.unknown()
		return nil
	}
	defer a.leave()
	a.word("select")
	a.add(gate.EffectRead)
	before := len(a.facts.tables)
	if into := s.GetIntoClause(); into != nil {
		a.into(into, "select into", false)
	}
	if len(s.GetLockingClause()) > 0 {
		a.add(gate.EffectWrite) // row locks make others wait
	}
	sc := a.with(s.GetWithClause(), outer)
	switch {
	case s.GetOp() > pg_query.SetOperation_SETOP_NONE:
		sc.outs = a.setOperation(s, sc)
	case len(s.GetValuesLists()) > 0:
		sc.outs = a.values(s, sc)
	default:
		a.simpleSelect(s, sc)
	}
	a.tail(s, sc)
	a.lockedRows(s.GetLockingClause(), sc, a.facts.tables[before:])
	return sc.outs
}

func (a *analysis) setOperation(s *pg_query.SelectStmt, sc *scope) []outCol {
	left := a.selectStmt(s.GetLarg(), sc)
	right := a.selectStmt(s.GetRarg(), sc)
	out := append([]outCol(nil), left...)
	for i := range out {
		if i < len(right) {
			out[i].labels |= right[i].labels
			out[i].kinds |= right[i].kinds
			out[i].plain = out[i].plain && right[i].plain
			if out[i].src == "" {
				out[i].src = right[i].src
			}
		}
	}
	if !s.GetAll() || s.GetOp() != pg_query.SetOperation_SETOP_UNION {
		for _, c := range out {
			a.controlled(c, useUnion)
		}
	}
	return out
}

func (a *analysis) values(s *pg_query.SelectStmt, sc *scope) []outCol {
	var out []outCol
	for _, row := range s.GetValuesLists() {
		for i, n := range row.GetList().GetItems() {
			t := a.expr(n, sc, useTarget)
			if i >= len(out) {
				out = append(out, outCol{name: columnNumber(i), typ: t.typ})
			}
			out[i].labels |= t.labels
			out[i].kinds |= t.kinds
			if out[i].src == "" {
				out[i].src = t.src
			}
		}
	}
	return out
}

func (a *analysis) simpleSelect(s *pg_query.SelectStmt, sc *scope) {
	for _, n := range s.GetFromClause() {
		sc.star = append(sc.star, a.fromItem(n, sc)...)
		if !a.working(len(sc.star)) || len(sc.star) > maxColumns {
			a.unknown()
			sc.star = nil
		}
	}
	sc.setting = a.namedSetting(s)
	sc.outs = a.targets(s.GetTargetList(), sc)
	a.expr(s.GetWhereClause(), sc, useWhere)
	for _, n := range s.GetGroupClause() {
		a.grouped(n, sc)
	}
	a.expr(s.GetHavingClause(), sc, useHaving)
	for _, n := range s.GetWindowClause() {
		a.window(n.GetWindowDef(), sc)
	}
	if d := s.GetDistinctClause(); len(d) > 0 {
		if len(d) == 1 && d[0].GetNode() == nil {
			for _, c := range sc.outs {
				a.controlled(c, useDistinct)
			}
		} else {
			for _, n := range d {
				a.ordered(n, sc, useDistinctOn)
			}
		}
	}
}

// tail reads ORDER BY and LIMIT, which every kind of query can have.
func (a *analysis) tail(s *pg_query.SelectStmt, sc *scope) {
	for _, n := range s.GetSortClause() {
		by := n.GetSortBy()
		a.operator(by.GetUseOp())
		a.ordered(by.GetNode(), sc, useOrder)
	}
	a.expr(s.GetLimitOffset(), sc, useLimit)
	a.expr(s.GetLimitCount(), sc, useLimit)
}

// ordered reads an expression of ORDER BY, GROUP BY or DISTINCT ON, which can
// also be the number or name of an output column.
func (a *analysis) ordered(n *pg_query.Node, sc *scope, u use) {
	if c := n.GetAConst(); c != nil {
		if v := a.constant(c); v.kind == 'i' && v.i >= 1 && int(v.i) <= len(sc.outs) {
			a.controlled(sc.outs[v.i-1], u)
		}
		return
	}
	if f := n.GetColumnRef().GetFields(); len(f) == 1 {
		if name := f[0].GetString_().GetSval(); name != "" {
			found := false
			for _, c := range sc.outs {
				if c.name == name {
					a.controlled(c, u)
					found = true
				}
			}
			// GROUP BY prefers the input column, the others do not have it
			// (parser/parse_clause.c, findTargetlistEntrySQL92).
			if found && u != useGroup && !a.outside {
				return
			}
		}
	}
	a.expr(n, sc, u)
}

func (a *analysis) grouped(n *pg_query.Node, sc *scope) {
	if g := n.GetGroupingSet(); g != nil {
		for _, c := range g.GetContent() {
			a.grouped(c, sc)
		}
		return
	}
	if r := n.GetRowExpr(); r != nil && r.GetRowFormat() == pg_query.CoercionForm_COERCE_IMPLICIT_CAST {
		for _, c := range r.GetArgs() {
			a.grouped(c, sc)
		}
		return
	}
	a.ordered(n, sc, useGroup)
}

// controlled notes that the rows of the answer depend on a column.
func (a *analysis) controlled(c outCol, u use) {
	if c.labels == 0 {
		return
	}
	a.control |= c.labels
	a.misused(c.labels, c.src, u)
}

// maxColumns bounds what a star stands for: twelve times what PostgreSQL allows
// in a select list (MaxTupleAttributeNumber, 1664). Stars of joins of stars
// double at every level.
const maxColumns = 20_000

// targets reads a select list.
func (a *analysis) targets(list []*pg_query.Node, sc *scope) []outCol {
	var out []outCol
	for _, n := range list {
		t := n.GetResTarget()
		if t == nil {
			a.unknown()
			continue
		}
		if cols, ok := a.star(t.GetVal(), sc); ok {
			out = append(out, cols...)
			if len(out) > maxColumns {
				a.unknown()
				return nil
			}
			continue
		}
		v := a.expr(t.GetVal(), sc, useTarget)
		name := t.GetName()
		if name == "" {
			name = outputName(t.GetVal())
		}
		out = append(out, outCol{name: name, labels: v.labels, src: v.src, typ: v.typ, kinds: v.kinds, plain: v.plain})
	}
	return out
}

// window reads a window definition.
func (a *analysis) window(w *pg_query.WindowDef, sc *scope) {
	if w == nil {
		return
	}
	for _, n := range w.GetPartitionClause() {
		a.expr(n, sc, usePartition)
	}
	for _, n := range w.GetOrderClause() {
		a.operator(n.GetSortBy().GetUseOp())
		a.expr(n.GetSortBy().GetNode(), sc, useWindow)
	}
	a.expr(w.GetStartOffset(), sc, useWindow)
	a.expr(w.GetEndOffset(), sc, useWindow)
}
