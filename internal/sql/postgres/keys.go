package postgres

import (
	"regexp"
	"slices"

	pg_query "github.com/pganalyze/pg_query_go/v6"
)

// What is here refuses statements by which an agent could tell labelled values from what
// unique indexes and foreign keys say of them: by the outcome of a write, and by who has
// written or locked a row.

// unique refuses writes by whose success an agent could tell labelled values in a unique
// index: those that put a row in it that was not there, or another key. An insert that
// leaves the labelled column out puts NULL in it, which equals nothing. One that is not
// valid can hold two rows of one key, of which neither can be written again.
func (a *analysis) unique(rel *Relation, x index, event uint16, written []int16) {
	labels := a.in.labels.of(rel)
	if a.in.indexLabels(rel, x) == 0 && !slices.ContainsFunc(x.columns, func(n int16) bool { return labels.column(n) != 0 }) {
		return
	}
	touched := written == nil || slices.ContainsFunc(x.columns, func(n int16) bool { return n != 0 && slices.Contains(written, n) }) ||
		slices.ContainsFunc(x.keyExprs(), func(e string) bool { return a.in.namesAny(rel, e, written) })
	entered := x.partial && a.in.namesAny(rel, x.predicate(), written) && !a.leaves(rel, x.predicate())
	again := !x.valid || !x.settled
	for _, n := range x.columns {
		own := labels.column(n) != 0 && (written == nil || slices.Contains(written, n))
		switch event {
		case triggerUpdate:
			own = touched || entered || again
		case triggerInsert:
			own = own || a.hasDefault(rel, n)
		}
		if own {
			a.refuse(labels.column(n), a.columnName(rel, n), "is unique, so the answer to this write would show whether a value exists", "leave the column out")
		}
	}
	if event == triggerInsert { // it puts a row in every index
		touched = !a.nullKey(rel, x, written)
	}
	if touched || entered && event == triggerUpdate || again {
		a.refuse(a.in.indexLabels(rel, x), rel.Name(), "has the unique index "+x.name+" over labelled columns, so the answer to this write would depend on them", "leave its columns out")
	}
}

// nullOfNull are expressions that are NULL where their column is.
var nullOfNull = regexp.MustCompile(`^(?:lower|upper|btrim|ltrim|rtrim|md5)\(\(?([a-z_][a-z0-9_]*)\)?(?:::text)?\)$`)

// nullKey reports whether a row that is inserted has a NULL among the keys of an index:
// that equals no other.
func (a *analysis) nullKey(rel *Relation, x index, written []int16) bool {
	left := func(c *Column) bool {
		return c != nil && written != nil && !slices.Contains(written, c.num) && !a.hasDefault(rel, c.num) && !c.generated
	}
	return !x.nulls && (slices.ContainsFunc(x.columns[:x.keys], func(n int16) bool { return n != 0 && left(rel.columnByNum(n)) }) ||
		slices.ContainsFunc(x.keyExprs(), func(e string) bool {
			m := nullOfNull.FindStringSubmatch(e)
			return m != nil && left(rel.column(m[1]))
		}))
}

// The predicates of which leaves knows: that a column is null, and that a flag is set or not.
var (
	isNull = regexp.MustCompile(`^\(([a-z_][a-z0-9_]*) IS NULL\)$`)
	isSet  = regexp.MustCompile(`^([a-z_][a-z0-9_]*)$`)
	notSet = regexp.MustCompile(`^\(NOT ([a-z_][a-z0-9_]*)\)$`)
)

// leaves reports whether an update takes every row out of an index: its predicate is that
// a column is null, and it gets a value that is not, or that a flag is set, and it is not.
func (a *analysis) leaves(rel *Relation, predicate string) bool {
	if a.present.rel == nil || rel != a.present.rel && !slices.Contains(rel.extras().parents, a.present.rel.oid) {
		return false
	}
	if m := isSet.FindStringSubmatch(predicate); m != nil {
		set, is := a.present.flags[m[1]]
		return is && !set
	}
	if m := notSet.FindStringSubmatch(predicate); m != nil {
		return a.present.flags[m[1]]
	}
	m := isNull.FindStringSubmatch(predicate)
	if m == nil || rel.column(m[1]) == nil {
		return false
	}
	// A row of NULLs is null, and no NULL.
	typ := a.in.cat.base(rel.column(m[1]).typ)
	if typ == nil || typ.kind != 'b' {
		return false
	}
	if _, flag := a.present.flags[m[1]]; flag {
		return true
	}
	if n := a.present.parameters[m[1]]; n > 0 {
		a.notNull = append(a.notNull, n)
		return true
	}
	return slices.Contains(a.present.columns, m[1])
}

// presentIn notes the columns that an update gives a value that is not null.
func (a *analysis) presentIn(rel *Relation, targets []*pg_query.Node) {
	a.present = present{rel: rel}
	for _, n := range targets {
		t := n.GetResTarget()
		if len(t.GetIndirection()) > 0 {
			continue
		}
		v := t.GetVal()
		if cast := v.GetTypeCast(); cast != nil && cast.GetArg().GetParamRef() != nil {
			v = cast.GetArg()
		}
		switch number := v.GetParamRef().GetNumber(); {
		case number > 0 && !a.preparing: // what is bound to it can be looked at
			if a.present.parameters == nil {
				a.present.parameters = map[string]int32{}
			}
			a.present.parameters[t.GetName()] = number
		case v.GetAConst().GetBoolval() != nil:
			if a.present.flags == nil {
				a.present.flags = map[string]bool{}
			}
			a.present.flags[t.GetName()] = v.GetAConst().GetBoolval().GetBoolval()
		case a.neverNull(v):
			a.present.columns = append(a.present.columns, t.GetName())
		}
	}
}

// neverNull reports whether an expression is a constant, or the time.
func (a *analysis) neverNull(n *pg_query.Node) bool {
	switch e := n.GetNode().(type) {
	case *pg_query.Node_AConst:
		return !e.AConst.GetIsnull()
	case *pg_query.Node_TypeCast:
		return e.TypeCast.GetArg().GetAConst() != nil && a.neverNull(e.TypeCast.GetArg())
	case *pg_query.Node_SqlvalueFunction:
		switch e.SqlvalueFunction.GetOp() {
		case pg_query.SQLValueFunctionOp_SVFOP_CURRENT_TIMESTAMP, pg_query.SQLValueFunctionOp_SVFOP_LOCALTIMESTAMP, pg_query.SQLValueFunctionOp_SVFOP_CURRENT_DATE:
			return true
		}
	case *pg_query.Node_FuncCall:
		f := strs(e.FuncCall.GetFuncname())
		name := f[len(f)-1]
		if len(a.in.cat.userFunctions("", name)) > 0 {
			return false
		}
		switch args := e.FuncCall.GetArgs(); name {
		case "now", "clock_timestamp", "statement_timestamp", "transaction_timestamp":
			return len(args) == 0
		case "timezone": // AT TIME ZONE
			return len(args) == 2 && args[0].GetAConst() != nil && a.neverNull(args[0]) && a.neverNull(args[1])
		}
	}
	return false
}

// present are columns of a relation that get a value.
type present struct {
	rel        *Relation
	columns    []string
	parameters map[string]int32 // those that get a parameter
	flags      map[string]bool  // those that get true or false
}

// references refuses writes that a foreign key checks against labelled values, of the
// relation that it refers to or of the same row. It is checked when one of its columns is
// written, with all of them, and not at all where one is null.
func (a *analysis) references(rel *Relation, event uint16, columns []int16) {
	labels := a.in.labels.of(rel)
	written := a.in.withGenerated(rel, columns)
	for _, k := range rel.extras().references {
		other := a.in.cat.relations[k.relation]
		if other == nil {
			continue
		}
		a.planned(other, 0) // it is asked for the row
		if event == triggerUpdate && !k.valid {
			// Nobody has checked that the values of other rows exist. They are checked where
			// one changes, and by the second update in a transaction in any case
			// (RI_FKey_fk_upd_check_required in utils/adt/ri_triggers.c).
			for _, n := range k.columns {
				a.refuse(labels.column(n), a.columnName(rel, n), "refers to "+other.Name()+" by a key that is not valid, so the answer to this write would show whether its value is there", "have the key validated")
			}
		}
		has := func(n int16) bool {
			return written == nil || slices.Contains(written, n) || event == triggerInsert && a.hasDefault(rel, n)
		}
		if !slices.ContainsFunc(k.columns, has) || event == triggerInsert && slices.ContainsFunc(k.columns, func(n int16) bool { return !has(n) }) {
			continue
		}
		for i, n := range k.columns {
			if i < len(k.others) {
				l := a.in.labels.of(other).column(k.others[i])
				a.refuse(l, a.columnName(rel, n), "refers to "+a.columnName(other, k.others[i])+", so the answer to this write would show whether a value exists", "leave the columns of the key out")
			}
			if event == triggerUpdate && (written == nil || !slices.Contains(written, n)) {
				a.refuse(labels.column(n), a.columnName(rel, n), "refers to "+other.Name()+" together with a column that is written, so the answer to this write would depend on it", "leave the other column out")
			}
		}
	}
}

// locks refuses updates of a row to which labelled columns refer that wait while one of
// them is being written: those of a column by which it could be referred to
// (HeapDetermineColumnsInfo in access/heap/heapam.c).
func (a *analysis) locks(rel *Relation, columns []int16) {
	l := a.in.referredBy(rel, 0)
	if l == 0 {
		return
	}
	written := a.in.withGenerated(rel, columns)
	for _, x := range rel.extras().indexes {
		if x.unique && !x.partial && len(x.exprs) == 0 && (written == nil || slices.ContainsFunc(x.columns, func(n int16) bool { return slices.Contains(written, n) })) {
			a.refuse(l, rel.Name(), "is referred to by labelled columns, so whether this write has to wait would tell by which rows", "leave the columns of the unique index "+x.name+" out")
		}
	}
}

// referenced refuses writes that a foreign key of another relation checks against
// labelled values there, or carries on to the rows that hold one.
func (a *analysis) referenced(rel, other *Relation, k foreignKey, event uint16, columns []int16) {
	for i, n := range k.columns {
		l := a.in.labels.of(other).column(n)
		if l == 0 || i >= len(k.others) {
			continue
		}
		what := "cannot be deleted from: "
		if event == triggerUpdate {
			if columns != nil && !slices.ContainsFunc(k.others, func(n int16) bool { return slices.Contains(columns, n) }) {
				continue
			}
			what = "cannot be changed in " + a.columnName(rel, k.others[i]) + ": "
		}
		a.refuse(l, rel.Name(), what+a.columnName(other, n)+" refers to it, so the answer to this write would show whether a value is there", "leave the rows as they are")
	}
}

// transactions notes that a statement asks by which transactions rows were written or
// locked. A row that a foreign key refers to is locked by the transaction that writes the
// referring one (xmax), and where the key carries a change on, both rows are written by one
// (xmin): what has the same number belongs together.
func (a *analysis) transactions(rel *Relation, column string) {
	l := a.in.referredBy(rel, 0)
	if column == "xmin" {
		l = a.in.carriedTo(rel, 0)
	}
	a.control |= l
	a.refuse(l, rel.Name()+"."+column, "tells which rows a foreign key over labelled columns has to do with", "leave it out")
}

// referredBy returns the labels of the columns that refer to a relation.
func (in *Inspector) referredBy(rel *Relation, depth int) labelSet {
	var l labelSet
	for _, k := range rel.extras().referencing {
		if other := in.cat.relations[k.relation]; other != nil {
			for _, n := range k.columns {
				l |= in.labels.of(other).column(n)
			}
		}
	}
	for _, o := range rel.extras().children {
		if child := in.cat.relations[o]; child != nil && depth <= maxViewDepth {
			l |= in.referredBy(child, depth+1)
		}
	}
	return l
}

// carriedTo returns the labels of the columns of a relation by which it refers to others
// whose changes are carried on to it.
func (in *Inspector) carriedTo(rel *Relation, depth int) labelSet {
	var l labelSet
	for _, k := range rel.extras().references {
		for _, n := range k.columns {
			if k.carries {
				l |= in.labels.of(rel).column(n)
			}
		}
	}
	for _, o := range rel.extras().children {
		if child := in.cat.relations[o]; child != nil && depth <= maxViewDepth {
			l |= in.carriedTo(child, depth+1)
		}
	}
	return l
}

// lockedRows refuses FOR UPDATE where it meets the locks that foreign keys over labelled
// columns take (FOR KEY SHARE): what it waits for, or leaves out, is what an open
// transaction refers to. read are the relations that the query reads.
func (a *analysis) lockedRows(list []*pg_query.Node, sc *scope, read []string) {
	for _, n := range list {
		clause := n.GetLockingClause()
		if clause.GetStrength() != pg_query.LockClauseStrength_LCS_FORUPDATE {
			continue
		}
		locked := read
		if of := clause.GetLockedRels(); len(of) > 0 {
			locked = nil
			for _, n := range of {
				if it := a.findItem([]string{n.GetRangeVar().GetRelname()}, sc); it != nil && it.rel != nil && !it.rel.isView() {
					locked = append(locked, it.rel.Name())
				} else {
					locked = read
					break
				}
			}
		}
		for _, rel := range a.in.cat.relations {
			if l := a.in.referredBy(rel, 0); l != 0 && slices.Contains(locked, rel.Name()) {
				a.control |= l
				a.refuse(l, rel.Name(), "is referred to by labelled columns, so which of its rows are locked would tell by which rows", "use FOR NO KEY UPDATE")
			}
		}
	}
}
