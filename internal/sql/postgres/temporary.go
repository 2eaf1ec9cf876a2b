package postgres

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/sallyport-gateway/sallyport/internal/gate"
)

// temporarySchema is the name under which every session has its own temporary
// objects (PostgreSQL documentation, search_path).
const temporarySchema = "pg_temp"

// TemporaryQuery asks a session for its temporary relations: a row for each
// column (a relation without columns has one with NULLs), and rows with number 0
// for what else runs when rows are written. [NewTemporary] reads the rows.
//
// A relation is plain if it is a sequence, a view of which nothing but its query
// is known to the server, or a table that nothing but its own columns, checks and
// indexes belongs to. A session cannot make a temporary relation in
// another one's schema, so the agent's own statements and the functions that
// they call have made all of them.
const TemporaryQuery = `SELECT c.oid, c.relname, c.relkind OPERATOR(pg_catalog.=) ANY ('{r,S,v}'::pg_catalog."char"[])` +
	` AND (SELECT pg_catalog.count(*) FROM pg_catalog.pg_rewrite r WHERE r.ev_class OPERATOR(pg_catalog.=) c.oid) OPERATOR(pg_catalog.=) (c.relkind OPERATOR(pg_catalog.=) 'v')::pg_catalog.int4 AND NOT c.relhassubclass AND NOT c.relrowsecurity AND NOT c.relispartition` +
	` AND NOT EXISTS (SELECT FROM pg_catalog.pg_trigger t WHERE t.tgrelid OPERATOR(pg_catalog.=) c.oid AND NOT t.tgisinternal)` +
	` AND NOT EXISTS (SELECT FROM pg_catalog.pg_inherits i WHERE i.inhrelid OPERATOR(pg_catalog.=) c.oid),` +
	` coalesce(a.attnum, 0), a.attname, a.atttypid, pg_catalog.format_type(a.atttypid, a.atttypmod), a.attgenerated OPERATOR(pg_catalog.<>) '', a.attnotnull, a.atthasdef,` +
	` pg_catalog.pg_get_expr(d.adbin, d.adrelid), c.relkind` +
	` FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid OPERATOR(pg_catalog.=) c.oid AND a.attnum OPERATOR(pg_catalog.>) 0 AND NOT a.attisdropped` +
	` LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid OPERATOR(pg_catalog.=) a.attrelid AND d.adnum OPERATOR(pg_catalog.=) a.attnum` +
	` WHERE c.relnamespace OPERATOR(pg_catalog.=) pg_catalog.pg_my_temp_schema() AND c.relkind OPERATOR(pg_catalog.<>) ALL ('{i,I,t}'::pg_catalog."char"[])` +
	` UNION ALL SELECT conrelid, '', false, 0, NULL, 0, NULL, false, false, false, pg_catalog.pg_get_expr(conbin, conrelid), NULL` +
	` FROM pg_catalog.pg_constraint WHERE connamespace OPERATOR(pg_catalog.=) pg_catalog.pg_my_temp_schema() AND contype OPERATOR(pg_catalog.=) 'c'` +
	` UNION ALL SELECT i.indrelid, '', false, 0, NULL, 0, NULL, false, false, false, pg_catalog.concat('ROW(', pg_catalog.concat_ws(',', pg_catalog.pg_get_expr(i.indexprs, i.indrelid), pg_catalog.pg_get_expr(i.indpred, i.indrelid)), ')'), NULL` +
	` FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) i.indexrelid` +
	` WHERE c.relnamespace OPERATOR(pg_catalog.=) pg_catalog.pg_my_temp_schema() AND (i.indexprs IS NOT NULL OR i.indpred IS NOT NULL)` +
	` UNION ALL SELECT c.oid, '', false, 0, NULL, 0, NULL, false, false, false, pg_catalog.pg_get_viewdef(c.oid), 'v'` +
	` FROM pg_catalog.pg_class c WHERE c.relnamespace OPERATOR(pg_catalog.=) pg_catalog.pg_my_temp_schema() AND c.relkind OPERATOR(pg_catalog.=) 'v'` +
	` ORDER BY 1, 2 DESC, 4`

// TemporaryRow is one row of [TemporaryQuery].
type TemporaryRow struct {
	// Relation is the relation's OID.
	Relation uint32
	// Name is the relation's name; empty in rows that only add an expression.
	Name       string
	plain      bool
	kind       byte // pg_class.relkind; 0 in rows that only add an expression
	column     Column
	expression string
}

// IsView reports whether the row is of a view.
func (r *TemporaryRow) IsView() bool { return r.kind == 'v' }

// ReadTemporaryRow reads the fields of one row of [TemporaryQuery]. It keeps none
// of them.
func ReadTemporaryRow(fields [][]byte) (TemporaryRow, error) {
	if len(fields) != 12 {
		return TemporaryRow{}, fmt.Errorf("read temporary relation: %d columns", len(fields))
	}
	r := record{fields: fields}
	row := TemporaryRow{Relation: uint32(r.oid(0)), Name: r.text(1), plain: r.bool(2), expression: r.text(10), kind: r.byte(11)}
	row.column = Column{name: r.text(4), num: int16(r.int(3)), typ: r.oid(5), typeSQL: r.text(6), generated: r.bool(7), notNull: r.bool(8), hasDef: r.bool(9)}
	if row.Relation == 0 {
		return TemporaryRow{}, errors.New("read temporary relation: no OID")
	}
	return row, nil
}

// Temporary are the temporary relations of one session, as one Inspector sees
// them. It is immutable.
type Temporary struct {
	relations map[string]*Relation
	key       [sha256.Size]byte
}

// NewTemporary reads what the target said of a session's temporary relations.
// Tables and sequences that own reports true of hold only what the agent's
// statements have put there, and can be used; the others are known to exist. A
// view is its query, whoever made it, with names as the session's search path
// shortens them: a nil path says that the query may have been printed for other
// definitions than the Inspector's, and no view can be used.
func (in *Inspector) NewTemporary(ctx context.Context, rows []TemporaryRow, path []string, own func(relation uint32) bool) (*Temporary, error) {
	t := &Temporary{relations: map[string]*Relation{}}
	byOID := map[uint32]*Relation{}
	hash := sha256.New()
	var order []*Relation
	for i := range rows {
		row := rows[i]
		rel := byOID[row.Relation]
		if rel == nil {
			if row.Name == "" {
				return nil, errors.New("read temporary relations: an expression without its relation")
			}
			rel = &Relation{oid: oid(row.Relation), schema: temporarySchema, name: row.Name, kind: row.kind, more: &relationExtras{}}
			rel.more.unusable = !row.plain || rel.kind != 'v' && !own(row.Relation) || rel.kind == 'v' && path == nil
			byOID[row.Relation], t.relations[row.Name] = rel, rel
			order = append(order, rel)
		}
		if row.Name == "" && row.kind == 'v' {
			rel.more.definition = row.expression
			row.expression = ""
		}
		if row.column.num > 0 {
			rel.columns = append(rel.columns, row.column)
		}
		if row.expression != "" && row.column.num == 0 {
			rel.more.checks = append(rel.more.checks, check{expr: row.expression})
		}
		if row.expression != "" && row.column.num > 0 {
			if rel.more.defaults == nil {
				rel.more.defaults = map[int16]string{}
			}
			rel.more.defaults[row.column.num] = row.expression
		}
		fmt.Fprintf(hash, "%d %q %t %d %q %d %q %t %q\n", row.Relation, row.Name, rel.more.unusable, row.column.num, row.column.name,
			row.column.typ, row.column.typeSQL, row.column.generated, rows[i].expression)
	}
	hash.Sum(t.key[:0])
	for _, rel := range order {
		rel.more.writes = in.temporaryWrites(ctx, rel)
		rel.more.checks, rel.more.defaults = nil, nil
	}
	// A view that reads one which was made later, by CREATE OR REPLACE, finds that
	// nobody knows it yet.
	for _, rel := range order {
		if rel.kind == 'v' && !rel.more.unusable {
			rel.more.view = in.temporaryView(ctx, rel, &Env{SearchPath: path, Database: in.database, Temporary: t})
			rel.more.unusable = rel.more.view == nil
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("read temporary relations: %w", err)
	}
	return t, nil
}

// temporaryWrites is what writing to a temporary table runs.
func (in *Inspector) temporaryWrites(ctx context.Context, rel *Relation) *summary {
	a := in.defining()
	for _, e := range rel.more.defaults {
		if !plainDefault(e) {
			in.expression(ctx, a, "a default of "+rel.Name(), e, rel)
		}
	}
	for _, c := range rel.more.checks {
		in.expression(ctx, a, "a check of "+rel.Name(), c.expr, rel)
	}
	return a.summary()
}

// temporaryView reads the query of a temporary view; nil if it cannot be read.
func (in *Inspector) temporaryView(ctx context.Context, rel *Relation, env *Env) *view {
	n, err := in.parseDefinition(ctx, rel.more.definition)
	if err != nil || n.GetSelectStmt() == nil {
		return nil
	}
	a := in.defining()
	a.env, a.session = env, true
	v := &view{}
	a.onRelation = func(r *Relation) { v.bases = append(v.bases, r) }
	for _, c := range a.selectStmt(n.GetSelectStmt(), nil) {
		v.control |= c.labels
	}
	v.control |= a.control | a.forced
	v.summary, v.simple = a.summary(), simpleColumns(n.GetSelectStmt(), v.bases)
	return v
}

// Len returns how many relations there are. A nil Temporary has none.
func (t *Temporary) Len() int {
	if t == nil {
		return 0
	}
	return len(t.relations)
}

// Names returns the names of the relations, sorted.
func (t *Temporary) Names() []string {
	var names []string
	if t != nil {
		for n := range t.relations {
			names = append(names, n)
		}
	}
	slices.Sort(names)
	return names
}

func (t *Temporary) appendKey(dst []byte) []byte {
	if t == nil {
		return append(dst, 0)
	}
	dst = append(dst, 1)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(t.relations))) //nolint:gosec // bounded by what the session holds
	return append(dst, t.key[:]...)
}

// Creation is a temporary table that a text makes.
type Creation struct {
	Name string
	// Perhaps says that nothing is made if the name is taken (IF NOT EXISTS).
	Perhaps bool
}

func (r *Relation) isTemporary() bool { return r.schema == temporarySchema }

// isOwnTable is a temporary table that only the session's statements have made.
func (r *Relation) isOwnTable() bool {
	return r != nil && r.kind == 'r' && r.isTemporary() && !r.extras().unusable
}

// relation finds a relation as PostgreSQL would. Temporary relations come before
// all others (PostgreSQL documentation, search_path).
func (a *analysis) relation(rv *pg_query.RangeVar) *Relation {
	schema, name := rv.GetSchemaname(), rv.GetRelname()
	if (!a.outside || a.session) && (schema == "" || schema == temporarySchema) {
		if rel := a.made[name]; rel != nil {
			return rel
		}
		if t := a.env.Temporary; t != nil && t.relations[name] != nil {
			return t.relations[name]
		}
	}
	return a.in.cat.relation(schema, name, a.env.SearchPath)
}

// useTemporary adds what reading or writing a temporary relation does.
func (a *analysis) useTemporary(rel *Relation) {
	more := rel.extras()
	a.include(more.writes)
	if rel.kind == 'v' && (more.view == nil || more.unusable) {
		a.unreviewed("temporary view " + rel.name)
		a.refuseAll(rel.Name(), "was made by another statement of this text, or for other definitions than those of now, so what it shows cannot be traced", "send the statement again by itself")
		return
	}
	if rel.kind == 'v' {
		a.useTemporaryView(rel, more.view)
	}
	if more.unusable {
		a.unreviewed("temporary relation " + rel.name)
		a.refuseAll(rel.Name(), "was not made by a statement of this session as a plain table, so what it shows cannot be traced", "make another one with CREATE TEMPORARY TABLE")
	}
}

// useTemporaryView adds what the query of a temporary view does. Its labelled
// columns, if it has any, are not told from the others.
func (a *analysis) useTemporaryView(rel *Relation, v *view) {
	a.include(v.summary)
	a.control |= v.control
	a.refuse(v.control, rel.Name(), "reads labelled columns", "select from the tables themselves")
	for _, base := range v.bases {
		a.watchRelation(base)
		a.explained(base)
		if a.explain == explainCosts {
			a.beneath |= a.in.below(base, 0)
		}
	}
}

// guardTemporary refuses to run code of others beside temporary relations where
// something is labelled. A function that names a table without its schema would
// take the agent's for it: it could write labelled values there, or tell by its
// result what it found.
func (a *analysis) guardTemporary() {
	if a.runs && (a.env.Temporary.Len() > 0 || len(a.creations) > 0) {
		a.refuseAll("A function or trigger", "could take this session's temporary tables for those that it means, so it does not run beside them",
			"drop the temporary tables, or use a session of its own")
	}
}

// creation notes a temporary table that the text makes.
func (a *analysis) creation(rv *pg_query.RangeVar, perhaps bool) {
	if a.outside || !isTemporaryName(rv) {
		return
	}
	a.creations = append(a.creations, Creation{rv.GetRelname(), perhaps})
	a.temporaries = true
}

// makes lets the statements that follow in the text use the temporary tables
// that a statement has made. Where something is labelled, a text that makes
// relations holds nothing else.
func (a *analysis) makes(made []Creation, effects gate.Effects) {
	if a.in.labels.all != 0 {
		return
	}
	rest := effects &^ (gate.EffectRead | gate.EffectWrite | gate.EffectSchema)
	for _, c := range made {
		if c.Perhaps {
			continue
		}
		if a.made == nil {
			a.made = map[string]*Relation{}
		}
		a.made[c.Name] = &Relation{schema: temporarySchema, name: c.Name, kind: 'r', more: &relationExtras{temporaryExtras: temporaryExtras{
			open: true, writes: &summary{effects: rest, runs: a.runs, notUnderstood: a.facts.notUnderstood, unreviewed: unique(a.facts.unreviewed)},
		}}}
	}
}

func isTemporaryName(rv *pg_query.RangeVar) bool {
	return rv.GetRelpersistence() == "t" || rv.GetSchemaname() == temporarySchema
}

// temporaryType adds what a value of a temporary table's row type can run.
func (a *analysis) temporaryType(name string) {
	if t := a.env.Temporary; t != nil && !a.outside {
		if rel := t.relations[strings.TrimPrefix(name, "_")]; rel != nil {
			for i := range rel.columns {
				a.touchType(rel.columns[i].typ)
			}
		}
	}
}

// runsBeside says that a function runs with names that the session's temporary
// relations can change: of a language of names, or not known.
func runsBeside(f *function, effects gate.Effects) bool {
	return f.language != "c" && f.language != "internal" || effects&^gate.EffectRead != 0
}
