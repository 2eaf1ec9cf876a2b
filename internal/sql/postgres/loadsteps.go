package postgres

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// userSchemas leaves out what initdb made and other sessions' temporary
// objects.
const userSchemas = `n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp_)'`

func (l *loader) steps() []step {
	return slices.Concat(l.relationSteps(), l.constraintSteps(), l.hookSteps(), l.codeSteps(), l.operatorSteps())
}

func (l *loader) relationSteps() []step {
	c := l.cat
	return []step{
		{"version", `SELECT pg_catalog.current_setting('server_version_num')`, 1, func(r record) error {
			c.version = r.int(0)
			return nil
		}},
		{"schemas", `SELECT oid, nspname FROM pg_catalog.pg_namespace WHERE nspname !~ '^pg_(toast|temp_)'`, 2, func(r record) error {
			c.schemas[r.oid(0)] = r.name(1)
			return nil
		}},
		{"relations", `SELECT oid, relnamespace, relname, relkind, relrowsecurity FROM pg_catalog.pg_class WHERE relkind IN ('r','p','v','m','f','S','c') AND relnamespace IN (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname !~ '^pg_(toast|temp_)')`, 5, func(r record) error {
			rel := &Relation{oid: r.oid(0), schema: c.schemas[r.oid(1)], name: r.name(2), kind: r.byte(3), rls: r.bool(4)}
			c.relations[rel.oid] = rel
			if rel.kind != 'c' {
				c.byName[qualified{rel.schema, rel.name}] = rel
			}
			return nil
		}},
		{"columns", `SELECT a.attrelid, a.attname, a.attnum, a.atttypid, pg_catalog.format_type(a.atttypid, a.atttypmod), a.attgenerated <> '', a.attnotnull, a.atthasdef, a.attstorage = 'p' FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid WHERE c.relkind IN ('r','p','v','m','f','c','S') AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attrelid, a.attnum`, 9, func(r record) error {
			if rel := c.relations[r.oid(0)]; rel != nil {
				rel.columns = append(rel.columns, Column{name: r.name(1), num: int16(r.int(2)), typ: r.oid(3), typeSQL: r.name(4), generated: r.bool(5), notNull: r.bool(6), hasDef: r.bool(7), plain: r.bool(8)})
			}
			return nil
		}},
		{"inheritance", `SELECT inhrelid, inhparent FROM pg_catalog.pg_inherits`, 2, func(r record) error {
			child, parent := c.relations[r.oid(0)], c.relations[r.oid(1)]
			if child != nil && parent != nil { // indexes of partitions are here too
				child.extend().parents = append(child.extend().parents, parent.oid)
				parent.extend().children = append(parent.extend().children, child.oid)
			}
			return nil
		}},
		{"partition keys", `SELECT partrelid, partattrs, coalesce(pg_catalog.pg_get_expr(partexprs, partrelid), '') FROM pg_catalog.pg_partitioned_table`, 3, func(r record) error {
			if rel := c.relations[r.oid(0)]; rel != nil {
				rel.extend().partition = &partitionKey{columns: r.nums(1), exprs: r.text(2)}
			}
			return nil
		}},
		{"view definitions", `SELECT c.oid, pg_catalog.pg_get_viewdef(c.oid) FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('v','m') AND (c.oid >= 16384 OR ` + userSchemas + `)`, 2, func(r record) error {
			if rel := c.relations[r.oid(0)]; rel != nil {
				rel.extend().definition = r.text(1)
			}
			return nil
		}},
		{"defaults", `SELECT d.adrelid, d.adnum, pg_catalog.pg_get_expr(d.adbin, d.adrelid) FROM pg_catalog.pg_attrdef d WHERE d.adrelid >= 16384`, 3, func(r record) error {
			if rel := c.relations[r.oid(0)]; rel != nil {
				e := rel.extend()
				if e.defaults == nil {
					e.defaults = map[int16]string{}
				}
				e.defaults[int16(r.int(1))] = r.l.intern(r.fields[2])
			}
			return nil
		}},
	}
}

func (r *Relation) extend() *relationExtras {
	if r.more == nil {
		r.more = &relationExtras{}
	}
	return r.more
}

func (l *loader) constraintSteps() []step {
	c := l.cat
	return []step{
		// Those that are neither unique nor computed matter for the order of their keys.
		{"indexes", `SELECT i.indrelid, c.relname, i.indisunique OR i.indisexclusion, i.indkey, pg_catalog.pg_get_expr(i.indexprs, i.indrelid), pg_catalog.pg_get_expr(i.indpred, i.indrelid), m.amname NOT IN ('gin', 'brin', 'hash'), i.indnkeyatts, i.indisprimary AND i.indimmediate AND i.indisvalid, i.indisvalid, ` + onColumnsOnly(`pg_catalog.concat(i.indexprs, i.indpred)`) + `, coalesce((pg_catalog.to_jsonb(i) ->> 'indnullsnotdistinct')::pg_catalog.bool, false) FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid JOIN pg_catalog.pg_am m ON m.oid = c.relam WHERE i.indrelid >= 16384`, 12, func(r record) error {
			rel := c.relations[r.oid(0)]
			if rel == nil {
				return nil
			}
			x := index{name: r.name(1), unique: r.bool(2), columns: r.nums(3), ordered: r.bool(6), keys: r.int(7), primary: r.bool(8), valid: r.bool(9), partial: !r.null(5), settled: r.bool(10), nulls: r.bool(11)}
			for _, i := range []int{4, 5} {
				if !r.null(i) {
					x.exprs = append(x.exprs, r.text(i))
				}
			}
			rel.extend().indexes = append(rel.extend().indexes, x)
			return nil
		}},
		{"checks", `SELECT conrelid, contypid, conname, conkey, pg_catalog.pg_get_expr(conbin, conrelid), convalidated AND ` + onColumnsOnly(`conbin::pg_catalog.text`) + ` FROM pg_catalog.pg_constraint WHERE contype = 'c' AND oid >= 16384`, 6, func(r record) error {
			if rel := c.relations[r.oid(0)]; rel != nil {
				rel.extend().checks = append(rel.extend().checks, check{name: r.name(2), columns: r.nums(3), expr: r.text(4), holds: r.bool(5)})
			}
			return nil
		}},
		{"foreign keys", `SELECT confrelid, conrelid, confdeltype, confupdtype, conkey, confkey, convalidated FROM pg_catalog.pg_constraint WHERE contype = 'f'`, 7, func(r record) error {
			if rel := c.relations[r.oid(1)]; rel != nil {
				rel.extend().references = append(rel.extend().references, reference{relation: r.oid(0), columns: r.nums(4), others: r.nums(5), valid: r.bool(6), carries: strings.IndexByte("nd", r.byte(2)) >= 0 || strings.IndexByte("cnd", r.byte(3)) >= 0})
			}
			if rel := c.relations[r.oid(0)]; rel != nil {
				rel.extend().referencing = append(rel.extend().referencing, foreignKey{relation: r.oid(1), onDelete: r.byte(2), onUpdate: r.byte(3), columns: r.nums(4), others: r.nums(5)})
			}
			return nil
		}},
		{"statistics", `SELECT stxrelid, pg_catalog.pg_get_statisticsobjdef(oid) FROM pg_catalog.pg_statistic_ext WHERE stxrelid >= 16384`, 2, func(r record) error {
			if rel := c.relations[r.oid(0)]; rel != nil && !r.null(1) {
				rel.extend().statistics = append(rel.extend().statistics, r.text(1))
			}
			return nil
		}},
		// Functions in C are left out: those of extensions, which nobody but a superuser
		// can put something else in the place of.
		{"support functions", `SELECT x.rel, f.fn FROM (SELECT indrelid, pg_catalog.unnest(indclass) FROM pg_catalog.pg_index WHERE indrelid >= 16384 UNION SELECT partrelid, pg_catalog.unnest(partclass) FROM pg_catalog.pg_partitioned_table) x(rel, class) JOIN pg_catalog.pg_opclass c ON c.oid = x.class JOIN (SELECT amprocfamily, amproc::pg_catalog.oid FROM pg_catalog.pg_amproc UNION SELECT a.amopfamily, o.oprcode::pg_catalog.oid FROM pg_catalog.pg_amop a JOIN pg_catalog.pg_operator o ON o.oid = a.amopopr) f(family, fn) ON f.family = c.opcfamily JOIN pg_catalog.pg_proc p ON p.oid = f.fn JOIN pg_catalog.pg_language l ON l.oid = p.prolang WHERE f.fn >= 16384 AND l.lanname NOT IN ('c', 'internal') ORDER BY 1, 2`, 2, func(r record) error {
			if rel := c.relations[r.oid(0)]; rel != nil && !slices.Contains(rel.extend().support, r.oid(1)) {
				rel.extend().support = append(rel.extend().support, r.oid(1))
			}
			return nil
		}},
	}
}

// hookSteps read what runs when rows are read or written.
func (l *loader) hookSteps() []step {
	c := l.cat
	return []step{
		{"triggers", `SELECT t.tgrelid, t.tgname, t.tgfoid, t.tgtype, CASE WHEN t.tgqual IS NOT NULL THEN pg_catalog.pg_get_triggerdef(t.oid) END, (SELECT proname FROM pg_catalog.pg_proc p WHERE p.oid = t.tgfoid AND p.oid < 16384), pg_catalog.encode(t.tgargs, 'hex') FROM pg_catalog.pg_trigger t WHERE NOT t.tgisinternal`, 7, func(r record) error {
			if rel := c.relations[r.oid(0)]; rel != nil {
				t := trigger{name: r.name(1), function: r.oid(2), events: uint16(r.int(3))}
				if !r.null(4) {
					t.when = r.text(4)
				}
				if !r.null(5) {
					args, err := hex.DecodeString(r.text(6))
					if err != nil {
						return fmt.Errorf("arguments of trigger %s: %w", t.name, err)
					}
					t.builtin, t.arguments = r.name(5), strings.Split(string(args), "\x00")
				}
				rel.extend().triggers = append(rel.extend().triggers, t)
			}
			return nil
		}},
		// Those of logging in run before there is anything to decide.
		{"event triggers", `SELECT evtname, evtfoid FROM pg_catalog.pg_event_trigger WHERE evtenabled <> 'D' AND evtevent <> 'login' ORDER BY evtname`, 2, func(r record) error {
			c.eventTriggers = append(c.eventTriggers, eventTrigger{name: r.name(0), function: r.oid(1)})
			return nil
		}},
		{"rules", `SELECT ev_class, rulename, ev_type FROM pg_catalog.pg_rewrite WHERE rulename <> '_RETURN' AND oid >= 16384`, 3, func(r record) error {
			if rel := c.relations[r.oid(0)]; rel != nil {
				rel.extend().rules = append(rel.extend().rules, rule{name: r.name(1), event: r.byte(2)})
			}
			return nil
		}},
		{"policies", `SELECT polrelid, polname, pg_catalog.pg_get_expr(polqual, polrelid), pg_catalog.pg_get_expr(polwithcheck, polrelid) FROM pg_catalog.pg_policy`, 4, func(r record) error {
			rel := c.relations[r.oid(0)]
			if rel == nil {
				return nil
			}
			p := policy{name: r.name(1)}
			for _, i := range []int{2, 3} {
				if !r.null(i) {
					p.exprs = append(p.exprs, r.text(i))
				}
			}
			rel.extend().policies = append(rel.extend().policies, p)
			return nil
		}},
	}
}

func (l *loader) codeSteps() []step {
	c := l.cat
	return []step{
		{"functions", `SELECT p.oid, p.pronamespace, p.proname, pg_catalog.oidvectortypes(p.proargtypes), l.lanname, p.prorettype, p.prokind, p.pronargs, coalesce((SELECT e.extname FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid WHERE d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.objid = p.oid AND d.deptype = 'e' AND d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass), ''), p.proargtypes, p.prosupport::pg_catalog.oid FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_language l ON l.oid = p.prolang WHERE p.oid >= 16384`, 11, func(r record) error {
			f := &function{oid: r.oid(0), schema: c.schemaName(r.oid(1)), name: r.name(2), arguments: r.name(3), language: r.name(4), returns: r.oid(5), kind: r.byte(6), argCount: r.int(7), extension: r.name(8)}
			for word := range strings.FieldsSeq(r.text(9)) {
				if n, err := strconv.ParseUint(word, 10, 32); err == nil && oid(n) >= firstUserOID {
					f.types = append(f.types, oid(n))
				}
			}
			if o := r.oid(10); o >= firstUserOID {
				f.support = o
			}
			c.functions[f.name] = append(c.functions[f.name], f)
			c.funcByOID[f.oid] = f
			return nil
		}},
		{"built-in functions", `SELECT DISTINCT proname FROM pg_catalog.pg_proc WHERE oid < 16384 AND pronamespace = 'pg_catalog'::pg_catalog.regnamespace`, 1, func(r record) error {
			c.builtinNames[r.name(0)] = true
			return nil
		}},
		{"casts", `SELECT castsource, casttarget, castfunc FROM pg_catalog.pg_cast WHERE oid >= 16384 AND castfunc >= 16384`, 3, func(r record) error {
			x := cast{source: r.oid(0), target: r.oid(1), function: r.oid(2)}
			key := oid(0)
			for _, o := range []oid{x.source, x.target} {
				if o >= firstUserOID {
					key = o
					c.casts[o] = append(c.casts[o], x)
				}
			}
			if key == 0 {
				c.casts[0] = append(c.casts[0], x)
			}
			return nil
		}},
		// Row types of tables are left out, but for their names: a table's
		// name is also a type's.
		{"types", `SELECT t.oid, t.typnamespace, t.typname, t.typtype, t.typcategory, t.typbasetype, t.typrelid, CASE WHEN t.typcategory = 'A' THEN t.typelem ELSE 0 END, t.typinput::pg_catalog.oid, t.typoutput::pg_catalog.oid, t.typreceive::pg_catalog.oid, t.typsend::pg_catalog.oid, t.typmodin::pg_catalog.oid, coalesce(r.rngcanonical::pg_catalog.oid, 0), coalesce(r.rngsubdiff::pg_catalog.oid, 0), coalesce(r.rngsubtype, 0), CASE WHEN t.typtype = 'd' THEN pg_catalog.format_type(t.typbasetype, t.typtypmod) END, CASE WHEN t.typtype = 'd' THEN pg_catalog.pg_get_expr(t.typdefaultbin, 0) END FROM pg_catalog.pg_type t LEFT JOIN pg_catalog.pg_range r ON r.rngtypid = t.oid`, 18, l.typeRow},
		{"domain checks", `SELECT contypid, pg_catalog.pg_get_expr(conbin, 0) FROM pg_catalog.pg_constraint WHERE contypid <> 0 AND contype = 'c'`, 2, func(r record) error {
			if t := c.types[r.oid(0)]; t != nil {
				t.checks = append(t.checks, r.text(1))
			}
			return nil
		}},
	}
}

func (c *Catalog) schemaName(o oid) string {
	if s, ok := c.schemas[o]; ok {
		return s
	}
	return "pg_temp" // the only schemas that are not loaded
}

func (l *loader) typeRow(r record) error {
	c := l.cat
	t := &typeInfo{oid: r.oid(0), schema: c.schemaName(r.oid(1)), name: r.name(2), kind: r.byte(3), category: r.byte(4), base: r.oid(5), relation: r.oid(6), elem: r.oid(7)}
	if subtype := r.oid(15); subtype != 0 && t.base == 0 {
		t.base = subtype
	}
	if !r.null(16) {
		t.baseSQL = r.name(16)
	}
	if !r.null(17) {
		t.preset = r.text(17)
	}
	for i := 8; i <= 14; i++ {
		if f := r.oid(i); f >= firstUserOID {
			t.functions = append(t.functions, f)
		}
	}
	c.types[t.oid] = t
	if t.oid < firstUserOID && t.schema == "pg_catalog" {
		c.builtinTypes[t.name] = true
	}
	if t.oid >= firstUserOID {
		c.typeNames[t.name] = append(c.typeNames[t.name], t)
	}
	return nil
}

// onColumnsOnly is the condition that an expression, as its tree is printed, depends on nothing
// but its columns: not on the time or the session, and no value is written in a way that a
// setting chooses.
func onColumnsOnly(tree string) string {
	return tree + ` !~ 'SQLVALUEFUNCTION|COERCEVIAIO' AND NOT EXISTS (SELECT FROM pg_catalog.regexp_matches(` + tree + `, ':(?:op)?funcid ([0-9]+)', 'g') m JOIN pg_catalog.pg_proc p ON p.oid = m[1]::pg_catalog.oid WHERE p.provolatile <> 'i')`
}
