package setup

import (
	"context"
	"fmt"
	"slices"
)

// readWithheld marks the columns that the account must not read, and everything
// that shows them: the same columns of children and partitions, columns
// generated from them, and views over them, those over such views included. A
// view runs with its owner's rights, so that SELECT on it would give back what
// the table withholds.
func (a *Audit) readWithheld(ctx context.Context, r *reader) {
	if r.err != nil || len(a.o.Withheld) == 0 {
		return
	}
	for _, path := range a.o.Withheld {
		if err := a.withhold(path); err != nil {
			r.err = err
			return
		}
	}
	children := map[string][]string{}
	r.rows(ctx, "inheritance", 2, `SELECT inhparent, inhrelid FROM pg_catalog.pg_inherits`, func(f []string) error {
		children[f[0]] = append(children[f[0]], f[1])
		return nil
	})
	generated := map[string][][2]string{} // relation → column, and what it is generated from
	// Releases up to 14 keep the dependency at the column, later ones at its
	// expression.
	r.rows(ctx, "generated columns", 3, `SELECT t.attrelid, t.attnum, d.refobjsubid FROM pg_catalog.pg_attribute t
		LEFT JOIN pg_catalog.pg_attrdef e ON e.adrelid = t.attrelid AND e.adnum = t.attnum
		JOIN pg_catalog.pg_depend d ON d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = t.attrelid AND d.refobjsubid <> t.attnum
			AND (d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = t.attrelid AND d.objsubid = t.attnum
				OR d.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass AND d.objid = e.oid)
		WHERE t.attgenerated <> '' AND NOT t.attisdropped`, func(f []string) error {
		generated[f[0]] = append(generated[f[0]], [2]string{f[1], f[2]})
		return nil
	})
	views := map[string][][2]string{} // view → relation and column that it reads; column 0 is the whole row
	r.rows(ctx, "what views read", 3, `SELECT DISTINCT w.ev_class, d.refobjid, d.refobjsubid FROM pg_catalog.pg_depend d
		JOIN pg_catalog.pg_rewrite w ON w.oid = d.objid WHERE d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass
		AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid <> w.ev_class`, func(f []string) error {
		views[f[0]] = append(views[f[0]], [2]string{f[1], f[2]})
		return nil
	})
	if r.err == nil {
		a.spread(children, generated, views)
	}
}

func (a *Audit) withhold(path string) error {
	parts := splitPath(path)
	if len(parts) < 3 {
		return fmt.Errorf("%q is not of the form schema.table.column", path)
	}
	if len(parts) > 3 {
		return nil // the rest of the value is read
	}
	for _, rel := range a.relations {
		if rel.schema != parts[0] || rel.name != parts[1] {
			continue
		}
		for _, c := range rel.columns {
			if c.name == parts[2] {
				rel.withheld[c.number] = true
				return nil
			}
		}
	}
	return fmt.Errorf("%q names no column of the target", path)
}

// spread carries the marks on until nothing changes.
func (a *Audit) spread(children map[string][]string, generated, views map[string][][2]string) {
	for changed := true; changed; {
		changed = false
		for oid, rel := range a.relations {
			for _, child := range children[oid] {
				changed = a.inherit(rel, a.relations[child]) || changed
			}
			for _, g := range generated[oid] {
				if rel.withheld[g[1]] && !rel.withheld[g[0]] {
					rel.withheld[g[0]], changed = true, true
				}
			}
			if (rel.kind == "v" || rel.kind == "m") && !rel.tainted && a.shows(views[oid]) {
				rel.tainted, changed = true, true
			}
		}
	}
}

func (a *Audit) inherit(parent, child *relation) (changed bool) {
	if child == nil { // an index of a partition
		return false
	}
	for _, c := range parent.columns {
		if !parent.withheld[c.number] {
			continue
		}
		i := slices.IndexFunc(child.columns, func(x column) bool { return x.name == c.name })
		if i >= 0 && !child.withheld[child.columns[i].number] {
			child.withheld[child.columns[i].number], changed = true, true
		}
	}
	return changed
}

// shows reports whether a view reads a withheld column or another view that
// does.
func (a *Audit) shows(reads [][2]string) bool {
	return slices.ContainsFunc(reads, func(read [2]string) bool {
		rel := a.relations[read[0]]
		return rel != nil && (rel.tainted || rel.withheld[read[1]] || read[1] == "0" && len(rel.withheld) > 0)
	})
}
