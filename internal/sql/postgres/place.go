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
			a.arrives(rel, columns)
			a.refuse(l, rel.Name(), "lies in partitions by a labelled column and one that is written, so the answer to this write would depend on them", "leave the other column out")
		}
	}
}

// arrives refuses updates that put rows in another partition, where what is asked of their
// labelled values is not what was asked of them where they lay: by a constraint of its own,
// or whether what they refer to is locked.
func (a *analysis) arrives(rel *Relation, columns []int16) {
	labels, more := a.in.labels.of(rel), rel.extras()
	refuse := func(l labelSet, what string) {
		a.refuse(l, rel.Name(), "has "+what+" over labelled columns, which a row meets that this write puts there", "leave the columns of the partition key out")
	}
	for _, k := range more.references {
		for _, n := range k.columns {
			if columns == nil || !slices.Contains(columns, n) {
				refuse(labels.column(n), "a foreign key")
			}
		}
	}
	for _, x := range more.indexes {
		if x.unique {
			l := a.in.indexLabels(rel, x)
			for _, n := range x.columns {
				l |= labels.column(n)
			}
			refuse(l, "the unique index "+x.name)
		}
	}
	for _, c := range more.checks {
		if c.holds && a.in.checkedAbove(rel, c) {
			continue
		}
		l := labelSet(0)
		for _, n := range c.columns {
			l |= labels.column(n)
		}
		if slices.Contains(c.columns, 0) {
			l = labels.any()
		}
		refuse(l, "the check "+c.name)
	}
	for _, x := range a.in.fallible[rel.oid] {
		refuse(a.in.keptIn(rel, x.expr, []int16{}), x.what)
	}
}

// checkedAbove reports whether the partitioned tables above a relation have a check as
// well, so that every row has met it.
func (in *Inspector) checkedAbove(rel *Relation, c check) bool {
	above := false
	for _, table := range in.partitionedTables(rel) {
		if table == rel {
			continue
		}
		above = true
		if !slices.ContainsFunc(table.extras().checks, func(other check) bool { return other.name == c.name && other.expr == c.expr }) {
			return false
		}
	}
	return above || rel.kind == 'p'
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

// stored notes a column among the arguments of a function that tells how large a value is
// where it is stored, or how. A row that is too long is made shorter from its longest value
// on, so that of one column depends on the others: only those of a fixed length tell
// nothing. nil is a whole row.
func (a *analysis) stored(c *outCol) {
	if a.sized == "" {
		return
	}
	if c != nil {
		switch c.typ {
		case oidInt2, oidInt4, oidInt8, oidFloat4, oidFloat8, oidBool, oidDate, oidTimestamp, oidTimestamptz, oidUUID:
			return
		}
		if c.rel != nil {
			if own := c.rel.column(c.column); own != nil && own.short() {
				return
			}
		}
	}
	a.refuseAll(a.sized+"()", "tells how a value is stored, which depends on what else its row holds", "give it columns of a fixed length only")
}
