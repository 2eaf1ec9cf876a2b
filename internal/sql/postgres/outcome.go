package postgres

import (
	"slices"
	"strings"

	pg_query "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// What is here refuses statements by whose outcome, a failure or a count, an
// agent could tell labelled values that it never sees.

// constraints refuses writes whose success depends on labelled values of other
// rows or of the same row.
func (a *analysis) constraints(rel *Relation, event uint16, columns []int16) {
	a.references(rel, columns)
	labels := a.in.labels.of(rel)
	if labels.any() == 0 {
		return
	}
	touches := func(nums []int16) bool { // 0 is the whole row
		return columns == nil || slices.ContainsFunc(nums, func(n int16) bool { return n == 0 && len(columns) > 0 || slices.Contains(columns, n) })
	}
	if event == triggerUpdate {
		a.recomputes(rel, columns)
		a.routes(rel, columns)
	}
	for _, x := range rel.extras().indexes {
		// An insert that leaves the labelled column out puts NULL in it, which
		// equals nothing.
		for _, n := range x.columns {
			l := labels.column(n)
			if l == 0 || !x.unique {
				continue
			}
			written := touches([]int16{n})
			if event == triggerUpdate {
				written = touches(x.columns)
			}
			if written || a.hasDefault(rel, n) && event == triggerInsert {
				a.refuse(l, a.columnName(rel, n), "is unique, so the answer to this write would show whether a value exists", "leave the column out")
			}
		}
		if x.unique && len(x.exprs) > 0 && (touches(x.columns)) {
			a.refuse(a.in.indexLabels(rel, x), rel.Name(), "has the unique index "+x.name+" over labelled columns, so the answer to this write would depend on them", "leave its columns out")
		}
	}
	for _, c := range rel.extras().checks {
		if !touches(c.columns) && event == triggerUpdate {
			continue
		}
		l, row := labelSet(0), slices.Contains(c.columns, 0)
		for _, n := range c.columns {
			l |= labels.column(n)
		}
		if row {
			l = labels.any()
		}
		if event == triggerInsert || len(c.columns) == 1 && !row {
			continue // only the agent's own values are checked
		}
		a.refuse(l, rel.Name(), "has the check "+c.name+" over labelled columns, so the answer to this write would depend on them", "leave its columns out")
	}
}

// recomputes refuses updates that compute an expression over a labelled column
// that stays as it is and a column that is changed: with the value that the agent
// chose it can fail, or not, by the other one.
func (a *analysis) recomputes(rel *Relation, columns []int16) {
	labels := a.in.labels.of(rel)
	for _, x := range a.in.fallible[rel.oid] {
		l, changed := labelSet(0), false
		for i := range rel.columns {
			c := &rel.columns[i]
			if !definitionNames(x.expr, c.name) {
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
			a.refuse(l, rel.Name(), "has "+x.what+" over labelled columns and one that is written, so the answer to this write would depend on them", "leave the other column out")
		}
	}
}

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

// fallible is an expression of a relation that the server computes when a row is
// written, and that can fail for some values of labelled columns.
type fallible struct{ what, expr string }

// triggerOutcome refuses writes after which a trigger of PostgreSQL itself shows
// something: whether a row was left out, by its condition or because nothing
// changed.
func (a *analysis) triggerOutcome(rel *Relation, t trigger, event uint16, columns []int16) {
	labels := a.in.labels.of(rel)
	if strings.HasPrefix(t.builtin, "tsvector_update_trigger") {
		return // the column that it writes has the labels of those that it reads
	}
	l := labelSet(0)
	if t.when != "" {
		l = a.in.namedIn(t.when, rel)
	}
	for i := range rel.columns {
		if n := rel.columns[i].num; event == triggerUpdate && (columns == nil || slices.Contains(columns, n)) {
			l |= labels.column(n)
		}
	}
	a.refuse(l, rel.Name(), "has the trigger "+t.name+" of "+t.builtin+"(), by which the answer to this write would show whether a labelled value is the same", "leave the labelled columns out")
}

// firing is a trigger of a relation, by name.
type firing struct {
	relation oid
	trigger  string
}

// condition is what a trigger's WHEN asks of labelled columns: of their values, or
// only whether an update changes them.
type condition struct {
	always  labelSet
	changed []int16
}

// conditionOf reads the WHEN of a trigger. Whether a value is null may be asked.
func (in *Inspector) conditionOf(when *pg_query.Node, rel *Relation) condition {
	labels := in.labels.of(rel)
	var c condition
	if labels.any() == 0 {
		return c
	}
	walkSides(when.ProtoReflect(), func(m protoreflect.Message) bool {
		switch e := m.Interface().(type) {
		case *pg_query.NullTest:
			return e.GetArg().GetColumnRef() == nil || labels.isComputed(in.columnOf(e.GetArg().GetColumnRef(), rel))
		case *pg_query.A_Expr:
			x, y := e.GetLexpr().GetColumnRef().GetFields(), e.GetRexpr().GetColumnRef().GetFields()
			name := operatorName(e.GetName())
			if len(x) != 2 || len(y) != 2 || name != "=" && name != "<>" || x[0].GetString_().GetSval() == y[0].GetString_().GetSval() {
				return true
			}
			if x[1].GetAStar() != nil && y[1].GetAStar() != nil {
				for i := range rel.columns {
					if n := rel.columns[i].num; labels.column(n) != 0 {
						c.changed = append(c.changed, n)
					}
				}
				return false
			}
			if n := in.columnOf(e.GetLexpr().GetColumnRef(), rel); n != 0 && n == in.columnOf(e.GetRexpr().GetColumnRef(), rel) {
				c.changed = append(c.changed, n)
				return false
			}
		case *pg_query.ColumnRef:
			if n := in.columnOf(e, rel); n != 0 {
				c.always |= labels.column(n)
			} else {
				c.always |= labels.any() // a whole row
			}
		}
		return true
	})
	return c
}

// columnOf is the number of the column of a relation that old.c or new.c is; 0 for none.
func (in *Inspector) columnOf(ref *pg_query.ColumnRef, rel *Relation) int16 {
	fields := ref.GetFields()
	if c := rel.column(fields[len(fields)-1].GetString_().GetSval()); c != nil && len(fields) == 2 {
		return c.num
	}
	return 0
}

// firesBy refuses writes after which a reviewed trigger shows, by having run or not, what
// a labelled value is or whether it is the same: its condition is no part of the review.
// Of a row that is inserted it asks only for the agent's own values.
func (a *analysis) firesBy(rel *Relation, t trigger, event uint16, columns []int16) {
	c, ok := a.in.fires[firing{rel.oid, t.name}]
	if !ok || event == triggerInsert {
		return
	}
	l := c.always
	for _, n := range c.changed {
		if event == triggerUpdate && (columns == nil || slices.Contains(columns, n)) {
			l |= a.in.labels.of(rel).column(n)
		}
	}
	a.refuse(l, rel.Name(), "has the trigger "+t.name+", which runs by labelled columns, so what it does would show them", "leave the labelled columns out")
}

// references refuses writes that a foreign key checks against labelled values.
func (a *analysis) references(rel *Relation, columns []int16) {
	for _, k := range rel.extras().references {
		other := a.in.cat.relations[k.relation]
		if other == nil {
			continue
		}
		a.planned(other, 0) // it is asked for the row
		for i, n := range k.columns {
			if columns != nil && !slices.Contains(columns, n) || i >= len(k.others) {
				continue
			}
			if l := a.in.labels.of(other).column(k.others[i]); l != 0 {
				a.refuse(l, a.columnName(rel, n), "refers to "+a.columnName(other, k.others[i])+", so the answer to this write would show whether a value exists", "leave the column out")
			}
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

func (a *analysis) hasDefault(rel *Relation, num int16) bool {
	c := rel.columnByNum(num)
	return c != nil && c.hasDef && !c.generated
}

func (a *analysis) columnName(rel *Relation, num int16) string {
	if c := rel.columnByNum(num); c != nil {
		return rel.Name() + "." + c.name
	}
	return rel.Name()
}

// assignsInto refuses to write into a part of a labelled value where it depends on
// the value whether that works: by subscript, or into a domain, whose checks see
// the whole.
func (a *analysis) assignsInto(rel *Relation, t *pg_query.ResTarget) {
	if rel == nil || len(t.GetIndirection()) == 0 {
		return
	}
	c := rel.column(t.GetName())
	if c == nil {
		return
	}
	typ := a.in.cat.types[c.typ]
	subscripts := slices.ContainsFunc(t.GetIndirection(), func(n *pg_query.Node) bool { return n.GetAIndices() != nil })
	if subscripts || typ == nil || typ.kind == 'd' {
		a.refuse(a.in.labels.of(rel).column(c.num), rel.Name()+"."+c.name, "cannot be written in part: whether that works depends on the rest", "write the whole value")
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

// definitionNames reports whether the text of a definition, as PostgreSQL prints
// it, can name a column: it writes whole rows as stars.
func definitionNames(text, column string) bool {
	return strings.Contains(column, `"`) || strings.Contains(text, column) || strings.Contains(text, ".*")
}
