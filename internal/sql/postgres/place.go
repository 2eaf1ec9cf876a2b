package postgres

import "slices"

// What is here refuses statements by which an agent could tell labelled values from
// where rows lie: in which partition, and at which place of their table.

// routes refuses updates of a column by which rows lie in partitions together with a
// labelled one that stays as it is: whether there is a partition for both shows the
// other one.
func (a *analysis) routes(rel *Relation, columns []int16) {
	labels := a.in.labels.of(rel)
	for _, table := range a.in.partitionedTables(rel) {
		key := table.extras().partition
		l, changed := labelSet(0), false
		for i := range table.columns {
			c := rel.column(table.columns[i].name)
			if c == nil || !slices.Contains(key.columns, table.columns[i].num) && (key.exprs == "" || !definitionNames(key.exprs, c.name)) {
				continue
			}
			if columns == nil || slices.Contains(columns, c.num) {
				changed = true
			}
			if columns == nil || !slices.Contains(columns, c.num) {
				l |= labels.column(c.num)
			}
		}
		if changed {
			a.refuse(l, rel.Name(), "lies in partitions by a labelled column and one that is written, so the answer to this write would depend on them", "leave the other column out")
		}
	}
}

// partitioned notes that a relation is a partition by labelled columns, so that
// which rows it has depends on them.
func (a *analysis) partitioned(rel *Relation) {
	if l := a.in.partitionedBy(rel, 0); l != 0 {
		a.control |= l
		a.refuse(l, rel.Name(), "is a partition by labelled columns, so its rows depend on them", "use the partitioned table")
	}
}

// partitionedBy returns the labels of the columns by which the rows of a relation
// were told from those of its siblings.
func (in *Inspector) partitionedBy(rel *Relation, depth int) labelSet {
	var l labelSet
	for _, o := range rel.extras().parents {
		parent := in.cat.relations[o]
		if parent == nil || parent.kind != 'p' || depth > maxViewDepth {
			continue
		}
		l |= in.splitBy(parent) | in.partitionedBy(parent, depth+1)
	}
	return l
}

// splitBy returns the labels of the partition key of a relation.
func (in *Inspector) splitBy(rel *Relation) labelSet {
	key := rel.extras().partition
	if key == nil {
		return 0
	}
	l := in.namedIn(key.exprs, rel)
	for _, n := range key.columns {
		l |= in.labels.of(rel).column(n)
	}
	return l
}

// tableOID notes that tableoid of a relation tells in which partition a row lies.
func (a *analysis) tableOID(rel *Relation) {
	if l := a.in.splitBelow(rel, 0); l != 0 {
		a.control |= l
		a.refuse(l, rel.Name()+".tableoid", "tells in which partition a row lies, which depends on labelled columns", "leave it out")
	}
}

func (in *Inspector) splitBelow(rel *Relation, depth int) labelSet {
	l := in.splitBy(rel)
	for _, o := range rel.extras().children {
		if child := in.cat.relations[o]; child != nil && depth <= maxViewDepth {
			l |= in.splitBelow(child, depth+1)
		}
	}
	return l
}

// place notes that a statement asks where rows lie. An update that writes the value that
// was there leaves the indexes alone, and the place of the old row can then be used again
// (access/heap/README.HOT): where later rows lie shows whether it was the same.
func (a *analysis) place(rel *Relation, what string) {
	if l := a.in.placedBy(rel, 0); l != 0 {
		a.control |= l
		a.refuse(l, what, "tells where rows lie, which depends on whether updates changed labelled columns that have an index", "leave it out")
	}
}

// placedBy returns the labels of the columns of a relation that an index has and an
// update may write: a unique one forbids it.
func (in *Inspector) placedBy(rel *Relation, depth int) labelSet {
	labels, l, unique := in.labels.of(rel), labelSet(0), []int16{}
	indexes := rel.extras().indexes
	for _, x := range indexes {
		if x.unique {
			unique = append(unique, x.columns...)
		}
	}
	for _, x := range indexes {
		for _, n := range x.columns {
			if !slices.Contains(unique, n) {
				l |= labels.column(n)
			}
		}
		for _, e := range x.exprs {
			l |= in.keptIn(rel, e, unique)
		}
	}
	for _, o := range rel.extras().children {
		if child := in.cat.relations[o]; child != nil && depth <= maxViewDepth {
			l |= in.placedBy(child, depth+1)
		}
	}
	return l
}
