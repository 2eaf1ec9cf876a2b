package postgres

import (
	"slices"

	pg_query "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/sallyport-gateway/sallyport/internal/gate"
)

// target reads the relation that a statement changes.
func (a *analysis) target(rv *pg_query.RangeVar) (*item, *Relation) {
	it := &item{alias: rv.GetRelname(), target: true}
	if alias := rv.GetAlias(); alias != nil {
		it.alias = alias.GetAliasname()
	}
	a.saw(rv)
	rel := a.resolve(rv)
	if rel == nil {
		it.open = true
		return it, nil
	}
	it.rel, it.schema = rel, rel.schema
	it.cols = a.relationColumns(rel)
	a.noteName(rv)
	a.partitioned(rel)
	return it, rel
}

// insertedColumns are the columns of an INSERT's or COPY's list; nil means all.
func insertedColumns(rel *Relation, names []string) []int16 {
	if len(names) == 0 {
		return nil
	}
	out := []int16{}
	for _, n := range names {
		if c := rel.column(n); c != nil {
			out = append(out, c.num)
		}
	}
	return out
}

func targetNames(list []*pg_query.Node) []string {
	var names []string
	for _, n := range list {
		names = append(names, n.GetResTarget().GetName())
	}
	return names
}

// insert reads INSERT.
func (a *analysis) insert(s *pg_query.InsertStmt, outer *scope) []outCol {
	a.word("insert")
	a.add(gate.EffectWrite)
	sc := a.with(s.GetWithClause(), outer)
	it, rel := a.target(s.GetRelation())
	if rel != nil {
		a.writes(rel, triggerInsert, insertedColumns(rel, targetNames(s.GetCols())))
	}
	a.noteAssigned(rel, targetNames(s.GetCols()))
	a.indirections(s.GetCols(), sc)
	if q := s.GetSelectStmt().GetSelectStmt(); q != nil {
		a.insertSource(q, sc)
	}
	visible := &scope{parent: sc.parent, ctes: sc.ctes, items: []*item{it}, star: it.cols}
	if c := s.GetOnConflictClause(); c != nil {
		a.onConflict(c, it, rel, visible)
		a.boundedConflict(s, it, rel, sc)
	}
	return a.returning(s.GetReturningList(), it, rel, visible, nil)
}

// insertSource reads what is inserted: VALUES of one INSERT has no scope of its
// own.
func (a *analysis) insertSource(q *pg_query.SelectStmt, sc *scope) {
	if len(q.GetValuesLists()) > 0 && q.GetWithClause() == nil && len(q.GetSortClause()) == 0 {
		for _, row := range q.GetValuesLists() {
			a.exprs(row.GetList().GetItems(), sc, useTarget)
		}
		return
	}
	a.lasts = true // the default of a column can count the rows
	a.selectStmt(q, sc)
}

func (a *analysis) onConflict(c *pg_query.OnConflictClause, it *item, rel *Relation, visible *scope) {
	infer := c.GetInfer()
	inner := &scope{parent: visible.parent, ctes: visible.ctes, items: []*item{it}}
	for _, n := range infer.GetIndexElems() {
		e := n.GetIndexElem()
		if rel != nil {
			if col := rel.column(e.GetName()); col != nil {
				a.noteAssigned(rel, []string{col.name})
				if l := a.in.labels.of(rel).column(col.num); l != 0 {
					a.refuse(l, a.columnName(rel, col.num), "in ON CONFLICT would show whether a value exists", "use another constraint")
				}
			}
		}
		a.expr(e.GetExpr(), inner, useWhere)
		a.namesTarget(it, rel, e.GetExpr())
	}
	a.expr(infer.GetWhereClause(), inner, useWhere)
	a.namesTarget(it, rel, infer.GetWhereClause()) // compared with the predicates of indexes
	if c.GetAction() == pg_query.OnConflictAction_ONCONFLICT_UPDATE {
		a.add(gate.EffectWrite | gate.EffectRead)
		if rel != nil {
			a.writes(rel, triggerUpdate, insertedColumns(rel, targetNames(c.GetTargetList())))
		}
		excluded := &item{alias: "excluded", open: rel == nil}
		if rel != nil {
			excluded.cols = plainColumns(rel) // the agent's own values
		}
		both := &scope{parent: visible.parent, ctes: visible.ctes, items: []*item{it, excluded}}
		a.noteAssigned(rel, targetNames(c.GetTargetList()))
		a.assignments(c.GetTargetList(), it, rel, both)
		a.expr(c.GetWhereClause(), both, useWhere)
		a.visibleToTarget(it, rel, c.GetWhereClause())
	}
}

// assignments reads SET lists.
func (a *analysis) assignments(list []*pg_query.Node, it *item, rel *Relation, sc *scope) {
	a.indirections(list, sc)
	for _, n := range list {
		value := n.GetResTarget().GetVal()
		a.assignsInto(rel, n.GetResTarget())
		u := useValue
		if value.GetColumnRef() != nil {
			u = useTarget // a mask may be written
		}
		if rel != nil && rel.column(n.GetResTarget().GetName()) == nil {
			a.attribute(n.GetResTarget().GetName())
		}
		a.expr(value, sc, u)
		a.visibleToTarget(it, rel, value)
	}
}

// indirections reads subscripts in target lists: SET a[i] = …
func (a *analysis) indirections(list []*pg_query.Node, sc *scope) {
	for _, n := range list {
		for _, i := range n.GetResTarget().GetIndirection() {
			if i.GetAIndices() != nil {
				a.expr(i, sc, useWhere)
			}
		}
	}
}

// update reads UPDATE.
func (a *analysis) update(s *pg_query.UpdateStmt, outer *scope) []outCol {
	a.word("update")
	a.add(gate.EffectWrite | gate.EffectRead)
	sc := a.with(s.GetWithClause(), outer)
	it, rel := a.target(s.GetRelation())
	if rel != nil {
		a.presentIn(rel, s.GetTargetList())
		a.writes(rel, triggerUpdate, insertedColumns(rel, targetNames(s.GetTargetList())))
		a.present = present{}
	}
	a.noteAssigned(rel, targetNames(s.GetTargetList()))
	a.bounded(s.GetWhereClause(), it, rel, s.GetFromClause(), sc)
	visible, from := a.changing(it, sc, s.GetFromClause())
	a.assignments(s.GetTargetList(), it, rel, visible)
	a.expr(s.GetWhereClause(), visible, useWhere)
	a.visibleToTarget(it, rel, s.GetWhereClause())
	return a.returning(s.GetReturningList(), it, rel, visible, from)
}

// delete reads DELETE.
func (a *analysis) delete(s *pg_query.DeleteStmt, outer *scope) []outCol {
	a.word("delete")
	a.add(gate.EffectDelete | gate.EffectRead)
	sc := a.with(s.GetWithClause(), outer)
	it, rel := a.target(s.GetRelation())
	if rel != nil {
		a.writes(rel, triggerDelete, nil)
	}
	a.bounded(s.GetWhereClause(), it, rel, s.GetUsingClause(), sc)
	visible, from := a.changing(it, sc, s.GetUsingClause())
	a.expr(s.GetWhereClause(), visible, useWhere)
	a.visibleToTarget(it, rel, s.GetWhereClause())
	return a.returning(s.GetReturningList(), it, rel, visible, from)
}

// changing builds the scope of UPDATE and DELETE: the target is not visible to
// the FROM list, but with it to everything else.
func (a *analysis) changing(it *item, sc *scope, list []*pg_query.Node) (visible *scope, from []*pg_query.Node) {
	source := &scope{parent: sc.parent, ctes: sc.ctes}
	var star []outCol
	for _, n := range list {
		star = append(star, a.fromItem(n, source)...)
		// A join condition cannot see the target either.
	}
	return &scope{parent: sc.parent, ctes: sc.ctes, items: append([]*item{it}, source.items...), star: append(slices.Clone(it.cols), star...)}, list
}

// merge reads MERGE.
func (a *analysis) merge(s *pg_query.MergeStmt, outer *scope) []outCol {
	a.word("merge")
	a.add(gate.EffectRead)
	sc := a.with(s.GetWithClause(), outer)
	it, rel := a.target(s.GetRelation())
	list := []*pg_query.Node{s.GetSourceRelation()}
	visible, _ := a.changing(it, sc, list)
	a.expr(s.GetJoinCondition(), visible, useJoin)
	a.visibleToTarget(it, rel, s.GetJoinCondition())
	lv := a.changedLevel(it, rel, list, sc)
	a.settle(lv, s.GetJoinCondition())
	everyRow := !rel.isOwnTable() && !a.bounds(s.GetJoinCondition(), lv.sources[0], lv)
	for _, n := range s.GetMergeWhenClauses() {
		w := n.GetMergeWhenClause()
		a.mergeWhen(w, it, rel, visible)
		changes := w.GetCommandType() == pg_query.CmdType_CMD_UPDATE || w.GetCommandType() == pg_query.CmdType_CMD_DELETE
		bySource := w.GetMatchKind() == pg_query.MergeMatchKind_MERGE_WHEN_NOT_MATCHED_BY_SOURCE
		if changes && (everyRow || bySource && !rel.isOwnTable()) && (w.GetCondition() == nil || !a.bounds(w.GetCondition(), lv.sources[0], lv)) {
			a.facts.unbounded = true
		}
	}
	if len(s.GetReturningList()) > 0 {
		a.function([]string{"merge_action"})
	}
	// MERGE puts the source's columns first in a star, so none is written out.
	return a.returning(s.GetReturningList(), it, rel, visible, []*pg_query.Node{{}})
}

func (a *analysis) mergeWhen(w *pg_query.MergeWhenClause, it *item, rel *Relation, visible *scope) {
	a.expr(w.GetCondition(), visible, useWhere)
	a.visibleToTarget(it, rel, w.GetCondition())
	var event uint16
	switch w.GetCommandType() {
	case pg_query.CmdType_CMD_UPDATE:
		a.add(gate.EffectWrite)
		event = triggerUpdate
	case pg_query.CmdType_CMD_INSERT:
		a.add(gate.EffectWrite)
		a.lasts, event = true, triggerInsert
	case pg_query.CmdType_CMD_DELETE:
		a.add(gate.EffectDelete)
		event = triggerDelete
	case pg_query.CmdType_CMD_NOTHING:
		return
	default:
		a.unknown()
		return
	}
	if rel != nil {
		a.writes(rel, event, insertedColumns(rel, targetNames(w.GetTargetList())))
	}
	if event != triggerDelete {
		a.noteAssigned(rel, targetNames(w.GetTargetList()))
	}
	a.assignments(w.GetTargetList(), it, rel, visible)
	for _, v := range w.GetValues() {
		a.expr(v, visible, useTarget)
		a.visibleToTarget(it, rel, v)
	}
}

// visibleToTarget reads an expression that can see the changed relation: what it asks of
// labelled columns is refused, or hidden from the planner.
func (a *analysis) visibleToTarget(it *item, rel *Relation, n *pg_query.Node) {
	a.namesTarget(it, rel, n)
	if n == nil || a.outside || a.tokens == nil || rel == nil || !a.in.sortedBelow(rel, 0) {
		return
	}
	walkSides(n.ProtoReflect(), func(m protoreflect.Message) bool {
		if t, ok := m.Interface().(*pg_query.NullTest); ok {
			a.notByIndex(rel, t)
		}
		return true
	})
}

// namesTarget refuses an expression in which a labelled column of the
// changed relation can be named, whatever the analysis of scopes made of it:
// the target cannot be replaced by masks, so this check stands alone. A name
// that is qualified by something else is something else.
func (a *analysis) namesTarget(it *item, rel *Relation, n *pg_query.Node) {
	if n == nil || a.outside {
		return
	}
	if rel == nil {
		return // resolve refused it
	}
	labels := a.in.labels.of(rel)
	if labels.any() == 0 {
		return
	}
	nulls := map[*pg_query.ColumnRef]bool{}
	walkColumnRefs(n.ProtoReflect(), func(c *pg_query.ColumnRef) {
		if nulls[c] && !namesComputed(rel, labels, c) {
			return
		}
		if l, name := targetHit(it, rel, labels, c); l != 0 {
			a.refuse(l, name, "of the relation that the statement changes can only be selected in RETURNING", "leave it out, or qualify the column if another one is meant")
		}
	}, nulls)
}

// notByIndex keeps a question for what is null or not from being answered by an index
// over labelled columns, in whose order the rows would come. The planner finds it behind
// NOT, comparisons with constants and sub-selects; it does not look into a CASE.
func (a *analysis) notByIndex(rel *Relation, t *pg_query.NullTest) {
	labels, c := a.in.labels.of(rel), t.GetArg().GetColumnRef()
	fields := c.GetFields()
	if len(fields) == 0 {
		return // anything else over labelled columns is refused
	}
	col := rel.column(fields[len(fields)-1].GetString_().GetSval())
	if col == nil || labels.column(col.num) == 0 {
		return
	}
	from := a.tokens.TokenAt(int(c.GetLocation()))
	ref := a.entry(tokenSpan{from, from + 2*len(fields) - 1})
	l, to := labels.column(col.num), ref.to
	switch {
	case a.tokens.Is(to, "notnull") || a.tokens.Is(to, "isnull"):
		to++
	case a.tokens.Is(to, "is") && a.tokens.Is(to+1, "null"):
		to += 2
	case a.tokens.Is(to, "is") && a.tokens.Is(to+1, "not") && a.tokens.Is(to+2, "null"):
		to += 3
	default:
		a.refuse(l, a.columnName(rel, col.num), "is asked for NULL in a way that is not understood", "write it as IS NULL")
		return
	}
	a.change(edit{from: ref.from, to: ref.from, labels: l, pieces: []editPiece{{text: "(CASE WHEN "}}})
	a.change(edit{from: to, to: to, labels: l, pieces: []editPiece{{text: " THEN true ELSE false END)"}}})
}

// namesComputed says whether a reference can mean a computed column, of which not
// even NULL is open.
func namesComputed(rel *Relation, labels *columnLabels, c *pg_query.ColumnRef) bool {
	fields := c.GetFields()
	if len(fields) > 0 {
		if col := rel.column(fields[len(fields)-1].GetString_().GetSval()); col != nil {
			return labels.isComputed(col.num)
		}
	}
	return len(labels.computed) > 0
}

// targetHit says whether a reference can mean labelled columns of the target.
func targetHit(it *item, rel *Relation, labels *columnLabels, c *pg_query.ColumnRef) (labelSet, string) {
	fields := c.GetFields()
	if len(fields) == 0 {
		return labels.any(), rel.Name()
	}
	last := fields[len(fields)-1]
	if len(fields) > 1 {
		q := fields[len(fields)-2].GetString_().GetSval()
		if q != it.alias && q != "old" && q != "new" && fields[len(fields)-1].GetString_().GetSval() != it.alias {
			return 0, ""
		}
	}
	if last.GetAStar() != nil {
		return labels.any(), rel.Name() + ".*"
	}
	name := last.GetString_().GetSval()
	col := rel.column(name)
	switch {
	case col != nil && labels.column(col.num) != 0:
		return labels.column(col.num), rel.Name() + "." + name
	case name == it.alias || len(fields) == 1 && (name == "old" || name == "new"):
		return labels.any(), rel.Name()
	case col == nil && len(fields) > 1 && !isSystemColumn(name):
		return labels.any(), rel.Name() // a function on the row
	}
	return 0, ""
}

// walkColumnRefs finds every column reference below a node, whatever stands in
// between. If nulls is not nil, it gets those that are only asked whether they
// are null, before they are found.
func walkColumnRefs(m protoreflect.Message, found func(*pg_query.ColumnRef), nulls map[*pg_query.ColumnRef]bool) {
	switch v := m.Interface().(type) {
	case *pg_query.ColumnRef:
		found(v)
		return
	case *pg_query.NullTest:
		if c := v.GetArg().GetColumnRef(); c != nil && nulls != nil {
			nulls[c] = true
		}
	}
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.IsList() && f.Message() != nil:
			for i := range v.List().Len() {
				walkColumnRefs(v.List().Get(i).Message(), found, nulls)
			}
		case f.Message() != nil:
			walkColumnRefs(v.Message(), found, nulls)
		}
		return true
	})
}
