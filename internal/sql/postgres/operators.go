package postgres

import (
	"maps"
	"slices"
)

// What a text names is not all that runs. PostgreSQL puts an operator's negator or
// commutator in its place (for NOT (a = b), or to have the column on the left),
// estimates with its functions while it plans, for EXPLAIN as well, and wherever it
// sorts, groups or hashes, it compares by what the operator families of btree and hash
// have for the type (utils/cache/typcache.c, utils/cache/lsyscache.c). A class for json,
// which has none of PostgreSQL's own, is used by every DISTINCT over json; one for
// integer as soon as it has one of integer's own operators.

// operatorRow is an operator while the catalog is loaded.
type operatorRow struct {
	schema, name string
	function     oid
	estimators   [2]oid
	partners     [2]oid // commutator and negator
	operands     [2]oid
}

// operatorFamily is what users made of a family of btree or hash for types of pg_catalog.
// One without a class that is the default for its type is found by its operators alone,
// and where PostgreSQL has a family for an operator, that one is found first, by its OID
// (get_ordering_op_properties and get_op_hash_functions, utils/cache/lsyscache.c). Only
// what proves one condition by another takes operators of any family that has both
// (get_btree_test_op, optimizer/util/predtest.c).
type operatorFamily struct {
	compare    []oid // support functions
	replace    []oid // functions behind operators
	operators  []oid // of users
	shared     bool  // it has operators of pg_catalog too
	everywhere bool  // found without an operator of users
}

// behind returns an operator and its partners, the functions of users that can run where
// it is used, and the types of users that these take.
func (l *loader) behind(o oid) (operators, functions, types []oid) {
	for open := []oid{o}; len(open) > 0; {
		o, open = open[len(open)-1], open[:len(open)-1]
		row := l.operators[o]
		if row == nil || slices.Contains(operators, o) { // one that was not loaded has nothing of users
			continue
		}
		operators = append(operators, o)
		functions = appendUsers(functions, row.function)
		functions = appendUsers(functions, row.estimators[:]...)
		types = appendUsers(types, row.operands[:]...)
		open = append(open, row.partners[:]...)
	}
	return operators, functions, types
}

// appendUsers adds the objects that somebody made, each once.
func appendUsers(list []oid, objects ...oid) []oid {
	for _, o := range objects {
		if o >= firstUserOID && !slices.Contains(list, o) {
			list = append(list, o)
		}
	}
	return list
}

// operatorSteps come behind those of functions and types.
func (l *loader) operatorSteps() []step {
	c := l.cat
	return []step{
		// Those of pg_catalog are here if they have something of users: one without a
		// commutator or negator gets it from whoever declares that his operator is that
		// (OperatorUpd, catalog/pg_operator.c).
		{"operators", `SELECT oid, oprnamespace, oprname, oprcode::pg_catalog.oid, oprrest::pg_catalog.oid, oprjoin::pg_catalog.oid, oprcom, oprnegate, oprleft, oprright FROM pg_catalog.pg_operator WHERE oid >= 16384 OR oprcode >= 16384 OR oprrest >= 16384 OR oprjoin >= 16384 OR oprcom >= 16384 OR oprnegate >= 16384`, 10, func(r record) error {
			l.operators[r.oid(0)] = &operatorRow{
				schema: c.schemaName(r.oid(1)), name: r.name(2), function: r.oid(3),
				estimators: [2]oid{r.oid(4), r.oid(5)}, partners: [2]oid{r.oid(6), r.oid(7)}, operands: [2]oid{r.oid(8), r.oid(9)},
			}
			return nil
		}},
		// What only the other access methods use runs for relations that have such an index,
		// or by an operator's name. An access method may have the handler of another one.
		{"operator families", `SELECT x.family, x.lefttype, x.righttype, x.fn, x.op, h.oid < 16384 AND h.proname IN ('bthandler', 'hashhandler'), x.family < 16384 OR EXISTS (SELECT FROM pg_catalog.pg_opclass c WHERE c.opcfamily = x.family AND c.opcdefault), EXISTS (SELECT FROM pg_catalog.pg_amop b WHERE b.amopopr = x.op AND b.amopmethod IN (403, 405) AND b.amopfamily < 16384) FROM (SELECT amprocfamily, amproclefttype, amprocrighttype, amproc::pg_catalog.oid, 0::pg_catalog.oid FROM pg_catalog.pg_amproc WHERE amproc >= 16384 UNION ALL SELECT amopfamily, amoplefttype, amoprighttype, 0::pg_catalog.oid, amopopr FROM pg_catalog.pg_amop WHERE amopopr >= 16384 OR amopfamily >= 16384) x(family, lefttype, righttype, fn, op) JOIN pg_catalog.pg_opfamily f ON f.oid = x.family JOIN pg_catalog.pg_am m ON m.oid = f.opfmethod JOIN pg_catalog.pg_proc h ON h.oid = m.amhandler`, 8, func(r record) error {
			_, functions, _ := l.behind(r.oid(4))
			types := appendUsers(nil, r.oid(1), r.oid(2))
			for _, o := range types {
				if t := c.types[o]; t != nil {
					t.functions = appendUsers(appendUsers(t.functions, r.oid(3)), functions...)
				}
			}
			if len(types) > 0 || !r.bool(5) {
				return nil
			}
			f := l.families[r.oid(0)]
			if f == nil {
				f = &operatorFamily{everywhere: r.bool(6)}
				l.families[r.oid(0)] = f
			}
			f.compare, f.replace = appendUsers(f.compare, r.oid(3)), appendUsers(f.replace, functions...)
			switch o := r.oid(4); {
			case o >= firstUserOID:
				f.operators = append(f.operators, o)
			case o != 0:
				f.shared, f.everywhere = true, f.everywhere || !r.bool(7)
			}
			return nil
		}},
		// The class of a type that a value can become as it is serves for it too
		// (GetDefaultOpClass, commands/indexcmds.c).
		{"implicit casts", `SELECT castsource, casttarget FROM pg_catalog.pg_cast WHERE castmethod = 'b' AND castcontext = 'i' AND casttarget >= 16384`, 2, func(r record) error {
			source := r.oid(0)
			if source < firstUserOID {
				source = 0
			}
			c.coerced[source] = appendUsers(c.coerced[source], r.oid(1))
			return nil
		}},
		// A range compares its bounds by the class that it was made with, which need not be
		// the default one of their type.
		{"classes of ranges", `SELECT r.rngtypid, p.amproc::pg_catalog.oid FROM pg_catalog.pg_range r JOIN pg_catalog.pg_opclass c ON c.oid = r.rngsubopc JOIN pg_catalog.pg_amproc p ON p.amprocfamily = c.opcfamily WHERE p.amproc >= 16384`, 2, func(r record) error {
			if t := c.types[r.oid(0)]; t != nil {
				t.functions = appendUsers(t.functions, r.oid(1))
			}
			return nil
		}},
		// Servers before 14 have no multiranges, and no such column.
		{"multiranges", `SELECT r.rngtypid, coalesce(pg_catalog.to_jsonb(r) ->> 'rngmultitypid', '0') FROM pg_catalog.pg_range r WHERE r.rngtypid >= 16384`, 2, func(r record) error {
			if t := c.types[r.oid(1)]; t != nil && t.base == 0 {
				t.base = r.oid(0)
			}
			return nil
		}},
	}
}

// nameOperators makes what the analysis asks for of operators and their families.
func (l *loader) nameOperators() {
	c := l.cat
	member := map[oid][]oid{}
	for _, o := range slices.Sorted(maps.Keys(l.families)) {
		f := l.families[o]
		if f.everywhere {
			c.everywhere = appendUsers(c.everywhere, f.compare...)
		}
		if f.everywhere || f.shared {
			c.everywhere = appendUsers(c.everywhere, f.replace...)
		}
		for _, m := range f.operators {
			member[m] = appendUsers(appendUsers(member[m], f.compare...), f.replace...)
		}
	}
	for _, o := range slices.Sorted(maps.Keys(l.operators)) {
		operators, functions, types := l.behind(o)
		if o < firstUserOID { // much uses it without naming it
			c.everywhere = appendUsers(c.everywhere, functions...)
			continue
		}
		row := l.operators[o]
		for _, p := range operators {
			functions = appendUsers(functions, member[p]...)
		}
		c.operators[row.name] = append(c.operators[row.name], operator{schema: row.schema, name: row.name, function: row.function,
			others: slices.DeleteFunc(functions, func(f oid) bool { return f == row.function }), types: types})
	}
}

// useOperator adds what can run where an operator of users is used.
func (a *analysis) useOperator(o *operator) {
	a.functionOID(o.function)
	for _, f := range o.others {
		a.mayRun(f)
	}
	for _, t := range o.types {
		a.touchType(t)
	}
}

// usesEverything adds what can run for any text: casts between types of pg_catalog,
// and what compares and replaces there.
func (a *analysis) usesEverything() {
	for _, c := range a.in.cat.casts[0] {
		a.functionOID(c.function)
	}
	for _, f := range a.in.cat.everywhere {
		a.mayRun(f)
	}
	for _, t := range a.in.cat.coerced[0] {
		a.touchType(t)
	}
}

// mayRun adds the effects of a function that the server may call by itself: it is not
// among those that the text calls.
func (a *analysis) mayRun(o oid) {
	f := a.in.cat.funcByOID[o]
	if f == nil {
		a.unknown()
		return
	}
	e, ok := a.in.reviewed(f)
	a.runs = a.runs || !ok || runsBeside(f, e)
	if ok {
		a.add(e)
		return
	}
	a.unreviewedFunction(f)
}
