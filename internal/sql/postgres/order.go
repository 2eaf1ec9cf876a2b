package postgres

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/sallyport-gateway/sallyport/internal/gate"
)

// Rows that no ORDER BY puts in order come as the server finds them: in the order of
// the table's storage, or of an index. An index over a labelled column would show how
// its values compare, with whatever else the statement selects, and an agent that can
// write a value of its choice could find any of them. So a statement that reads a table
// with such an index is planned without the scans that give rows in an index's order; a
// bitmap of the index is read in the order of the storage.
//
// If nothing but labelled columns is in an index, a statement that reads nothing else
// could be answered from it alone, in the order of what a mask shows a part of. There
// the mask looks at where the row is stored, which no index knows; of a view, which has
// no such place, the rows are put in the order of what is shown.

// Order says which scans could give rows in the order of labelled values.
type Order uint8

const (
	// OrderStorage: none.
	OrderStorage Order = iota
	// OrderIndex: those of indexes.
	OrderIndex
)

// Order returns which scans could give rows in the order of labelled values.
func (in *Inspector) Order() Order {
	if len(in.ordered) > 0 {
		return OrderIndex
	}
	return OrderStorage
}

// Scans are the parameters that let the server give rows in the order of an index: where
// Shape.Unordered says so, a text is to be planned while they are off.
func Scans() []string { return []string{"enable_indexscan", "enable_indexonlyscan"} }

// orderOfLabels notes the relations whose rows could come in the order of an index over
// labelled columns, and the columns of indexes that hold nothing but labelled ones.
func (in *Inspector) orderOfLabels() {
	in.ordered = map[string]bool{}
	for o := range in.labels.tables {
		rel := in.cat.relations[o]
		if rel == nil {
			continue
		}
		for _, x := range rel.extras().indexes {
			switch among, alone := in.labelsOf(rel, x); {
			case among:
				in.setOrdered(rel)
			case alone:
				in.setSorted(rel, 0)
				for _, n := range x.columns {
					in.setAlone(rel, n, 0)
				}
			}
		}
	}
	for _, rel := range in.cat.relations {
		if in.asksPresence(rel) {
			in.setOrdered(rel)
		}
	}
	seen := map[oid]bool{}
	for _, rel := range in.cat.relations {
		in.readsOrdered(rel, seen)
	}
}

// setOrdered notes a relation, and the ancestors through which its rows are read.
func (in *Inspector) setOrdered(rel *Relation) {
	if in.ordered[rel.Name()] {
		return
	}
	in.ordered[rel.Name()] = true
	for _, o := range rel.extras().parents {
		if parent := in.cat.relations[o]; parent != nil {
			in.setOrdered(parent)
		}
	}
}

// readsOrdered notes a view that reads such a relation, itself or by other views, and
// reports whether a relation is one. A materialized one reads when it is refreshed.
func (in *Inspector) readsOrdered(rel *Relation, seen map[oid]bool) bool {
	if v := in.views[rel.oid]; v != nil && !seen[rel.oid] {
		seen[rel.oid] = true
		for _, base := range v.bases {
			if in.readsOrdered(base, seen) {
				in.ordered[rel.Name()] = true
			}
		}
	}
	return in.ordered[rel.Name()]
}

// unordered reports whether what was found of a text could read such a relation: code of
// users, and that of definitions (REFRESH MATERIALIZED VIEW), may read any.
func (a *analysis) unordered(texts []*pg_query.RawStmt) bool {
	return len(a.in.ordered) > 0 && (a.runs || a.effects.Has(gate.EffectUnknown) || a.effects.Has(gate.EffectExecute) ||
		slices.ContainsFunc(a.facts.tables, func(name string) bool { return a.in.ordered[name] }) && !a.byKey(texts))
}

// asksPresence reports whether a view or a policy asks whether something labelled is
// null, of a relation below which an index holds nothing but labelled columns: the
// planner makes of NOT (x IS NULL), (x IS NULL) = false and many others that x is not
// null, which can be answered by the index, in its order; with x IS NULL, the order is
// that of its other columns. Which column is asked, its name does not tell: it may have
// another one in the definition. What a statement itself asks is asked of a mask, or
// hidden from the planner.
func (in *Inspector) asksPresence(rel *Relation) bool {
	sorted := func(base *Relation) bool { return in.sortedBelow(base, 0) }
	if p := in.policies[rel.oid]; p != nil && p.asks && (sorted(rel) || slices.ContainsFunc(p.bases, sorted)) {
		return true
	}
	v := in.views[rel.oid]
	return v != nil && v.asks && slices.ContainsFunc(v.bases, sorted)
}

// setSorted notes a relation with an index of nothing but labelled columns, or of an
// expression of them, and the ancestors through which its rows are read.
func (in *Inspector) setSorted(rel *Relation, depth int) {
	labels := in.labels.of(rel)
	if labels == nil || labels.sorted || depth > maxViewDepth {
		return
	}
	labels.sorted = true
	for _, o := range rel.extras().parents {
		if parent := in.cat.relations[o]; parent != nil {
			in.setSorted(parent, depth+1)
		}
	}
}

// sortedBelow reports whether a relation has such an index, or is a view that reads one.
func (in *Inspector) sortedBelow(rel *Relation, depth int) bool {
	if l := in.labels.of(rel); l != nil && l.sorted {
		return true
	}
	v := in.views[rel.oid]
	return v != nil && rel.kind == 'v' && (depth >= maxViewDepth || slices.ContainsFunc(v.bases, func(base *Relation) bool { return in.sortedBelow(base, depth+1) }))
}

// setAlone notes a column of such an index, for the ancestors as well, through which
// the rows are read.
func (in *Inspector) setAlone(rel *Relation, num int16, depth int) {
	labels, c := in.labels.of(rel), rel.columnByNum(num)
	if labels == nil || c == nil || depth > maxViewDepth {
		return
	}
	labels.setAlone(num)
	for _, o := range rel.extras().parents {
		if parent := in.cat.relations[o]; parent != nil {
			if other := parent.column(c.name); other != nil {
				in.setAlone(parent, other.num, depth+1)
			}
		}
	}
}

// labelsOf says whether an index gives rows in the order of labelled columns: alone, or
// among others, which a statement can select by. A predicate is as good for that as
// another column: the index answers each statement that implies it.
func (in *Inspector) labelsOf(rel *Relation, x index) (among, alone bool) {
	labels := in.labels.of(rel)
	labelled, others := false, len(x.columns) > x.keys || x.partial
	for i, n := range x.columns {
		switch {
		case n == 0:
			others = others || len(x.columns) > 1
		case labels.column(n) != 0:
			labelled = labelled || i < x.keys
		default:
			others = true
		}
	}
	labelled = x.ordered && (labelled || slices.Contains(x.columns, 0) && in.keyLabels(rel, x) != 0)
	return labelled && others, labelled
}

// aloneBelow reports whether a view reads a table that has an index of nothing but
// labelled columns.
func (in *Inspector) aloneBelow(rel *Relation, depth int) bool {
	if l := in.labels.of(rel); l != nil && len(l.alone) > 0 {
		return true
	}
	v := in.views[rel.oid]
	return v != nil && rel.kind == 'v' && (depth >= maxViewDepth || slices.ContainsFunc(v.bases, func(base *Relation) bool { return in.aloneBelow(base, depth+1) }))
}

// showsPart reports whether a mask shows something of a value.
func showsPart(mask string) bool {
	what, _ := MaskLeaks(mask)
	return what != "" && mask != gate.MaskPlain
}

// stored is a condition that holds for every row, and that no index knows.
func stored(scope string) string { return " AND " + scope + `"ctid" OPERATOR(pg_catalog.>=) '(0,0)'` }

// shownOrder puts the rows of a select list in the order of what its masks show.
func (in *Inspector) shownOrder(columns []maskedColumn, masks gate.Masks) string {
	var list []string
	for i, c := range columns {
		t := in.cat.base(c.column.typ)
		if t != nil && strings.ContainsRune("SDNUA", rune(t.category)) && t.kind == 'b' && !c.computed && showsPart(in.labels.maskFor(c.whole, masks)) {
			list = append(list, strconv.Itoa(i+1))
		}
	}
	if len(list) == 0 {
		return ""
	}
	return " ORDER BY " + strings.Join(list, " , ")
}

// Unorders returns a setting, among those that an agent asks for, by which the server
// would prefer a scan that it is to do without.
func (o Order) Unorders(asked map[string]string) string {
	if o != OrderStorage {
		for _, name := range slices.Sorted(maps.Keys(asked)) {
			if choosesScan(name) {
				return name
			}
		}
	}
	return ""
}

// choosesScan says that a parameter can make the server prefer a scan that is switched
// off: that only makes it dear, or the last choice (optimizer/path/costsize.c).
func choosesScan(name string) bool {
	switch name {
	case "enable_seqscan", "enable_bitmapscan", "enable_tidscan", "enable_indexscan", "enable_indexonlyscan", "enable_sort", "enable_incremental_sort":
		return true
	}
	return planner(name) && strings.HasSuffix(name, "_cost")
}

// choosingScan refuses to set what could make the server give rows in the order of
// labelled values.
func (a *analysis) choosingScan(name string) {
	if a.in.Order() != OrderStorage && choosesScan(name) {
		a.add(gate.EffectAdmin) // a session that sees all may be one that does not later
		a.refuseAll(name, "is set so that rows do not come in the order of an index over labelled columns", "leave it as it is")
	}
}
