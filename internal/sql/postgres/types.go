package postgres

import (
	pg_query "github.com/pganalyze/pg_query_go/v6"
)

// typeName adds what happens when a value becomes one of a named type.
func (a *analysis) typeName(t *pg_query.TypeName) {
	if t == nil {
		return
	}
	names := strs(t.GetNames())
	if t.GetPctType() || len(names) == 0 {
		a.unknown() // table.column%TYPE
		return
	}
	schema, name := "", names[len(names)-1]
	if len(names) > 1 {
		schema = names[len(names)-2]
	}
	a.temporaryType(name)
	for _, u := range a.in.cat.typeNames[name] {
		if schema == "" || u.schema == schema {
			a.touchType(u.oid)
		}
	}
	for _, n := range t.GetTypmods() {
		if n.GetAConst() == nil && n.GetColumnRef() == nil {
			a.unknown()
		}
	}
}

// touchType adds the functions that values of a type can call: input and
// output, domain checks, casts from and to it, and those of what it is made of.
// Types of pg_catalog have none that are not harmless.
func (a *analysis) touchType(o oid) {
	if o < firstUserOID || a.typeSeen[o] || !a.enter() {
		return
	}
	defer a.leave()
	if a.typeSeen == nil {
		a.typeSeen = map[oid]bool{}
	}
	a.typeSeen[o] = true
	t := a.in.cat.types[o]
	if t == nil {
		a.unknown()
		return
	}
	for _, c := range a.in.cat.casts[o] {
		a.functionOID(c.function)
	}
	for _, f := range t.functions {
		a.functionOID(f)
	}
	for _, c := range a.in.cat.coerced[o] {
		a.touchType(c)
	}
	a.touchType(t.base)
	a.touchType(t.elem)
	if rel := a.in.cat.relations[t.relation]; rel != nil {
		for i := range rel.columns {
			a.touchType(rel.columns[i].typ)
		}
	}
	a.include(a.in.domains[o])
}
