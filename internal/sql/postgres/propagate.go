package postgres

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// propagate carries labels along inheritance, in both directions because a
// parent shows its children's rows, and into generated columns, until nothing
// changes.
func (in *Inspector) propagate(ctx context.Context) error {
	in.referenced = map[oid][]oid{}
	for o, rel := range in.cat.relations {
		for _, k := range rel.extras().references {
			in.referenced[k.relation] = append(in.referenced[k.relation], o)
		}
	}
	defer func() { in.referenced = nil }()
	work := slices.Sorted(maps.Keys(in.labels.tables))
	for len(work) > 0 {
		rel := in.cat.relations[work[0]]
		work = work[1:]
		if rel == nil {
			continue
		}
		if in.propagateTriggers(rel) || in.propagateGenerated(ctx, rel) {
			work = append(work, rel.oid)
		}
		for _, o := range in.referenced[rel.oid] {
			if in.copyReferenced(rel, in.cat.relations[o]) {
				work = append(work, o)
			}
		}
		more := rel.extras()
		for _, o := range append(slices.Clone(more.children), more.parents...) {
			if other := in.cat.relations[o]; other != nil && in.copyLabels(rel, other) {
				work = append(work, o)
			}
		}
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("propagate labels: %w", err)
		}
	}
	return nil
}

// copyReferenced labels columns that refer to labelled ones: a foreign key says
// that they hold the same values. It does not go the other way: a label on a
// customer's number in one table does not make the number of all customers
// secret.
func (in *Inspector) copyReferenced(rel, other *Relation) bool {
	changed := false
	for _, k := range other.extras().references {
		if k.relation != rel.oid {
			continue
		}
		for i, n := range k.columns {
			if i < len(k.others) {
				if s := in.labels.of(rel).column(k.others[i]); s != 0 && in.labels.add(other, n, s) {
					changed = true
				}
			}
		}
	}
	return changed
}

// copyLabels copies labels by column name, as inheritance matches columns.
func (in *Inspector) copyLabels(from, to *Relation) bool {
	changed := false
	labels := in.labels.of(from)
	for i := range from.columns {
		c := &from.columns[i]
		other := to.column(c.name)
		if labels.column(c.num) == 0 || other == nil {
			continue
		}
		if s := labels.ofWhole(c.num); s != 0 && in.labels.add(to, other.num, s) {
			changed = true
		}
		for _, p := range labels.partsOf(c.num) {
			changed = in.labels.addPart(to, other.num, p) || changed
		}
	}
	return changed
}

func (in *Inspector) propagateGenerated(ctx context.Context, rel *Relation) bool {
	changed := false
	for i := range rel.columns {
		c := &rel.columns[i]
		if !c.generated {
			continue
		}
		a := in.defining()
		t := in.expression(ctx, a, rel.Name()+"."+c.name, rel.extras().defaults[c.num], rel)
		if s := t.labels | a.control | a.forced; s != 0 {
			changed = in.labels.add(rel, c.num, s) || changed
			in.labels.setComputed(rel, c.num)
		}
	}
	return changed
}

// indexLabels are the labels of columns that the expressions or the predicate of
// an index name.
func (in *Inspector) indexLabels(rel *Relation, x index) labelSet {
	var set labelSet
	for _, e := range x.exprs {
		set |= in.namedIn(e, rel)
	}
	return set
}

// keyLabels are the labels of columns that the expressions among an index's keys name.
func (in *Inspector) keyLabels(rel *Relation, x index) labelSet {
	x.exprs = x.keyExprs()
	return in.indexLabels(rel, x)
}

// propagateTriggers labels columns into which a trigger of PostgreSQL itself
// writes the words of labelled ones.
func (in *Inspector) propagateTriggers(rel *Relation) bool {
	changed := false
	for _, t := range rel.extras().triggers {
		if !strings.HasPrefix(t.builtin, "tsvector_update_trigger") || len(t.arguments) < 3 {
			continue
		}
		to := rel.column(t.arguments[0])
		for _, name := range t.arguments[2:] {
			if from := rel.column(name); from != nil && to != nil {
				if s := in.labels.of(rel).column(from.num); s != 0 && in.labels.add(rel, to.num, s) {
					changed = true
				}
			}
		}
	}
	return changed
}
