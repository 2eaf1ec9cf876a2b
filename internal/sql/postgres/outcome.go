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
	a.references(rel, event, columns)
	if event == triggerUpdate {
		a.locks(rel, columns)
	}
	labels := a.in.labels.of(rel)
	if labels.any() == 0 {
		return
	}
	written := a.in.withGenerated(rel, columns)
	if event == triggerUpdate {
		a.recomputes(rel, columns, written)
		a.routes(rel, columns)
		a.outgrows(rel, columns, written)
	}
	touches := func(nums []int16) bool { // 0 is the whole row
		return written == nil || slices.ContainsFunc(nums, func(n int16) bool { return n == 0 && len(written) > 0 || slices.Contains(written, n) })
	}
	for _, x := range rel.extras().indexes {
		if x.unique {
			a.unique(rel, x, event, written)
		}
	}
	if event == triggerInsert {
		return // only the agent's own values are checked
	}
	for _, c := range rel.extras().checks {
		l, row := labelSet(0), slices.Contains(c.columns, 0)
		for _, n := range c.columns {
			l |= labels.column(n)
		}
		if row {
			l = labels.any()
		}
		// Every update checks every row anew: what was found true of a value that stays
		// is true again, unless nobody looked or it depends on the time or the session.
		again := !touches(c.columns)
		own := len(c.columns) == 1 && !row && !again
		if own || again && c.holds {
			continue
		}
		a.refuse(l, rel.Name(), "has the check "+c.name+" over labelled columns, so the answer to this write would depend on them", "leave its columns out")
	}
}

// withGenerated adds to the columns that are written those that are generated from
// them. nil is all.
func (in *Inspector) withGenerated(rel *Relation, columns []int16) []int16 {
	if columns == nil {
		return nil
	}
	all := slices.Clone(columns)
	for i := range rel.columns {
		if c := &rel.columns[i]; c.generated && in.namesAny(rel, rel.extras().defaults[c.num], columns) {
			all = append(all, c.num)
		}
	}
	return all
}

// namesAny reports whether a definition can name one of the columns; nil is all.
func (in *Inspector) namesAny(rel *Relation, definition string, columns []int16) bool {
	for i := range rel.columns {
		if c := &rel.columns[i]; (columns == nil || slices.Contains(columns, c.num)) && definitionNames(definition, c.name) {
			return true
		}
	}
	return false
}

// keptIn returns the labels of what a definition names and an update of the columns
// leaves as it is; nil is an update of nobody knows which.
func (in *Inspector) keptIn(rel *Relation, definition string, columns []int16) labelSet {
	labels, l := in.labels.of(rel), labelSet(0)
	for i := range rel.columns {
		c := &rel.columns[i]
		if (columns == nil || !slices.Contains(columns, c.num)) && definitionNames(definition, c.name) {
			l |= labels.column(c.num)
		}
	}
	return l
}

// recomputes refuses updates that compute an expression over a labelled column
// that stays as it is and a column that is changed: with the value that the agent
// chose it can fail, or not, by the other one. So can what a generated column asks of
// its value.
func (a *analysis) recomputes(rel *Relation, columns, written []int16) {
	refuse := func(what, expr string) {
		if a.in.namesAny(rel, expr, written) {
			a.refuse(a.in.keptIn(rel, expr, columns), rel.Name(), "has "+what+" over labelled columns and one that is written, so the answer to this write would depend on them", "leave the other column out")
		}
	}
	for _, x := range a.in.fallible[rel.oid] {
		refuse(x.what, x.expr)
	}
	for i := range rel.columns {
		if c := &rel.columns[i]; c.generated && a.in.demanding(rel, c) {
			refuse("the generated column "+c.name, rel.extras().defaults[c.num])
		}
	}
}

// demanding reports whether a generated column can refuse a value of its expression:
// pg_get_expr does not print the cast to its type.
func (in *Inspector) demanding(rel *Relation, c *Column) bool {
	if c.notNull || c.typeSQL != "text" && c.typeSQL != "boolean" {
		return true
	}
	more := rel.extras()
	return slices.ContainsFunc(more.indexes, func(x index) bool {
		return x.unique && (slices.Contains(x.columns, c.num) || slices.ContainsFunc(x.exprs, func(e string) bool { return definitionNames(e, c.name) }))
	}) || slices.ContainsFunc(more.checks, func(k check) bool {
		return slices.Contains(k.columns, c.num) || slices.Contains(k.columns, 0)
	}) || slices.ContainsFunc(more.references, func(k reference) bool { return slices.Contains(k.columns, c.num) })
}

// outgrows refuses updates of a column without a bound to its length where it shares a
// row's place with labelled values that stay: whether both fit shows how long those are
// (54000, access/nbtree/nbtutils.c and heap/hio.c).
func (a *analysis) outgrows(rel *Relation, columns, written []int16) {
	labels := a.in.labels.of(rel)
	refuse := func(l labelSet, what string) {
		a.refuse(l, rel.Name(), what+" a column that is written together with labelled ones, so whether a long value fits would show how long those are", "leave the other column out")
	}
	for i := range rel.columns {
		c := &rel.columns[i]
		if c.short() || written != nil && !slices.Contains(written, c.num) {
			continue
		}
		if c.plain {
			refuse(a.in.keptIn(rel, ".*", columns), "stores in its rows, unpacked,") // the whole row
		}
		for _, x := range rel.extras().indexes {
			if !slices.Contains(x.columns, c.num) && !slices.ContainsFunc(x.keyExprs(), func(e string) bool { return definitionNames(e, c.name) }) {
				continue
			}
			l := labelSet(0)
			for _, k := range x.columns {
				if columns == nil || !slices.Contains(columns, k) {
					l |= labels.column(k)
				}
			}
			for _, e := range x.keyExprs() {
				l |= a.in.keptIn(rel, e, columns)
			}
			refuse(l, "has the index "+x.name+" over")
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
		// The column that it writes has the labels of those that it reads. Together they
		// can be too long.
		var kept labelSet
		written := false
		for _, name := range t.arguments[min(2, len(t.arguments)):] {
			c := rel.column(name)
			if c == nil {
				continue
			}
			if columns == nil || slices.Contains(columns, c.num) {
				written = true
			}
			if columns == nil || !slices.Contains(columns, c.num) {
				kept |= labels.column(c.num)
			}
		}
		if written && event == triggerUpdate {
			a.refuse(kept, rel.Name(), "has the trigger "+t.name+" over labelled columns and one that is written, so whether they fit would show how long those are", "leave the other column out")
		}
		return
	}
	l := labelSet(0)
	if t.when != "" {
		l = a.in.namedIn(t.when, rel)
	}
	columns = a.in.withGenerated(rel, columns)
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
	columns = a.in.withGenerated(rel, columns)
	for _, n := range c.changed {
		if event == triggerUpdate && (columns == nil || slices.Contains(columns, n)) {
			l |= a.in.labels.of(rel).column(n)
		}
	}
	a.refuse(l, rel.Name(), "has the trigger "+t.name+", which runs by labelled columns, so what it does would show them", "leave the labelled columns out")
}

func (a *analysis) hasDefault(rel *Relation, num int16) bool {
	c := rel.columnByNum(num)
	if c == nil || c.generated {
		return false
	}
	typ := a.in.cat.types[c.typ]
	return c.hasDef || typ != nil && typ.preset != ""
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

// definitionNames reports whether the text of a definition, as PostgreSQL prints
// it, can name a column: it writes whole rows as stars.
func definitionNames(text, column string) bool {
	return strings.Contains(column, `"`) || strings.Contains(text, column) || strings.Contains(text, ".*")
}
