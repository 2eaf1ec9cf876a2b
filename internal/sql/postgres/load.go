package postgres

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Querier runs queries at the target in a session of the gateway's own.
type Querier interface {
	// Query runs one statement and calls row for each row in order; a nil
	// member is NULL, everything else is the text form. The slices are valid
	// only during the call. All queries of one LoadCatalog must run in the same
	// session, with nothing else in between. An error of row ends the query and
	// is returned. row is nil for a statement that returns nothing.
	Query(ctx context.Context, sql string, row func([][]byte) error) error
}

// The hash takes a row's transaction and, as its seed, what the row is: of one
// number made of both, hashint8 would mix the halves with XOR, and a transaction
// that changes two rows could look like another one (access/hash/hashfunc.c).
const (
	epochHead = `(SELECT pg_catalog.concat(pg_catalog.count(*), ':', pg_catalog.sum(pg_catalog.hashint8extended(x.xmin::text::int8, x.oid::int8))) FROM pg_catalog.`
	epochTail = `),`
	// Temporary objects of any session come and go, and are not in a Catalog.
	lasting      = ` NOT IN (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname ~ '^pg_(toast_)?temp_')`
	lastingTable = ` NOT IN (SELECT oid FROM pg_catalog.pg_class WHERE relpersistence = 't')`
)

// EpochQuery is the query behind [Epoch]: one row with one value, which differs
// whenever a definition that LoadCatalog reads was committed in between.
const EpochQuery = `SELECT pg_catalog.md5(pg_catalog.concat_ws(',',` +
	`(SELECT pg_catalog.concat(pg_catalog.count(*), ':', pg_catalog.sum(pg_catalog.hashint8extended(xmin::text::int8, (attrelid::int8 << 16) | attnum::int8))) FROM pg_catalog.pg_attribute WHERE attrelid >= 16384 AND attnum > 0 AND attrelid` + lastingTable + `),` +
	epochHead + `pg_class x WHERE relkind <> 't' AND relpersistence <> 't'` + epochTail +
	epochHead + `pg_proc x WHERE pronamespace` + lasting + epochTail +
	epochHead + `pg_rewrite x WHERE ev_class` + lastingTable + epochTail +
	epochHead + `pg_type x WHERE typnamespace` + lasting + epochTail +
	epochHead + `pg_cast x` + epochTail +
	epochHead + `pg_operator x WHERE oprnamespace` + lasting + epochTail +
	epochHead + `pg_amproc x` + epochTail +
	epochHead + `pg_amop x` + epochTail +
	epochHead + `pg_opclass x` + epochTail +
	epochHead + `pg_trigger x WHERE tgrelid` + lastingTable + epochTail +
	epochHead + `pg_policy x` + epochTail +
	epochHead + `pg_event_trigger x` + epochTail +
	epochHead + `pg_constraint x WHERE connamespace` + lasting + epochTail +
	epochHead + `pg_attrdef x WHERE adrelid` + lastingTable + epochTail +
	epochHead + `pg_statistic_ext x WHERE stxrelid` + lastingTable + epochTail +
	epochHead + `pg_namespace x WHERE oid` + lasting + epochTail +
	`(SELECT pg_catalog.concat(pg_catalog.count(*), ':', pg_catalog.sum(pg_catalog.hashint8extended(inhrelid::int8, inhparent::int8))) FROM pg_catalog.pg_inherits WHERE inhrelid` + lastingTable + `)))`

// sharedQuery is the part of the epoch that belongs to no relation.
const sharedQuery = `SELECT pg_catalog.md5(pg_catalog.concat_ws(',',` +
	epochHead + `pg_proc x WHERE pronamespace` + lasting + epochTail +
	epochHead + `pg_type x WHERE typrelid = 0 AND typcategory <> 'A' AND typnamespace` + lasting + epochTail +
	epochHead + `pg_cast x` + epochTail +
	epochHead + `pg_operator x WHERE oprnamespace` + lasting + epochTail +
	epochHead + `pg_amproc x` + epochTail +
	epochHead + `pg_amop x` + epochTail +
	epochHead + `pg_opclass x` + epochTail +
	epochHead + `pg_event_trigger x` + epochTail +
	epochHead + `pg_namespace x WHERE oid` + lasting + `)))`

// Epoch asks the target for the state of its definitions. A [Catalog] whose
// Epoch differs is stale.
func Epoch(ctx context.Context, q Querier) (string, error) {
	var epoch string
	err := q.Query(ctx, EpochQuery, func(row [][]byte) error {
		if len(row) != 1 || row[0] == nil {
			return errors.New("unexpected answer")
		}
		epoch = string(row[0])
		return nil
	})
	if err != nil {
		return "", fmt.Errorf("read catalog epoch: %w", err)
	}
	if epoch == "" {
		return "", errors.New("read catalog epoch: no row")
	}
	return epoch, nil
}

// LoadCatalog reads a snapshot of the target's catalog in one read-only
// transaction. It leaves the session as it was.
func LoadCatalog(ctx context.Context, q Querier) (*Catalog, error) {
	l := &loader{q: q, names: map[string]string{}, operators: map[oid]*operatorRow{}, families: map[oid]*operatorFamily{}, cat: &Catalog{
		schemas: map[oid]string{}, relations: map[oid]*Relation{}, byName: map[qualified]*Relation{},
		types: map[oid]*typeInfo{}, typeNames: map[string][]*typeInfo{}, functions: map[string][]*function{},
		funcByOID: map[oid]*function{}, operators: map[string][]operator{}, casts: map[oid][]cast{}, coerced: map[oid][]oid{}, builtinNames: map[string]bool{}, builtinTypes: map[string]bool{},
	}}
	if err := l.exec(ctx, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"); err != nil {
		return nil, err
	}
	err := l.load(ctx)
	end := "COMMIT"
	if err != nil {
		end = "ROLLBACK"
	}
	if endErr := l.exec(context.WithoutCancel(ctx), end); err == nil {
		err = endErr
	}
	if err != nil {
		return nil, err
	}
	return l.cat, nil
}

// maxCatalogRows bounds what one catalog query may return: 10,000 relations
// with 1,600 columns each (MaxHeapAttributeNumber) never come close together.
const maxCatalogRows = 4_000_000

type loader struct {
	q     Querier
	cat   *Catalog
	names map[string]string // interned
	// operators are those by which functions of users can run.
	operators map[oid]*operatorRow
	families  map[oid]*operatorFamily
}

func (l *loader) exec(ctx context.Context, sql string) error {
	if err := l.q.Query(ctx, sql, nil); err != nil {
		return fmt.Errorf("read catalog: %w", err)
	}
	return nil
}

// intern keeps one copy of each name.
func (l *loader) intern(b []byte) string {
	if s, ok := l.names[string(b)]; ok {
		return s
	}
	s := string(b)
	l.names[s] = s
	return s
}

func (l *loader) load(ctx context.Context) error {
	// With an empty path the deparsers qualify every name that is not in
	// pg_catalog.
	if err := l.exec(ctx, "SET LOCAL search_path = ''"); err != nil {
		return err
	}
	// A definition is printed under a lock on what it names. Somebody who changes
	// that may wait for a transaction that waits for this very snapshot.
	if err := l.exec(ctx, "SET LOCAL lock_timeout = '500ms'"); err != nil {
		return err
	}
	for _, s := range l.steps() {
		if err := l.rows(ctx, s.name, s.sql, s.columns, s.row); err != nil {
			return err
		}
	}
	l.nameOperators()
	l.names, l.operators, l.families = nil, nil, nil
	if err := l.rows(ctx, "shared definitions", sharedQuery, 1, func(r record) error {
		l.cat.shared = r.text(0)
		return nil
	}); err != nil {
		return err
	}
	epoch, err := Epoch(ctx, l.q)
	l.cat.epoch = epoch
	return err
}

// step is one catalog query and what to do with each row.
type step struct {
	name, sql string
	columns   int
	row       func(r record) error
}

func (l *loader) rows(ctx context.Context, what, sql string, columns int, row func(record) error) error {
	n := 0
	err := l.q.Query(ctx, sql, func(fields [][]byte) error {
		if n++; n > maxCatalogRows {
			return errors.New("too many rows")
		}
		if len(fields) != columns {
			return fmt.Errorf("%d columns instead of %d", len(fields), columns)
		}
		r := record{fields: fields, l: l}
		if err := row(r); err != nil {
			return err
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("read %s: %w", what, err)
	}
	return nil
}

// record reads the fields of one catalog row.
type record struct {
	fields [][]byte
	l      *loader
}

func (r record) null(i int) bool   { return r.fields[i] == nil }
func (r record) name(i int) string { return r.l.intern(r.fields[i]) }
func (r record) text(i int) string { return string(r.fields[i]) }
func (r record) bool(i int) bool   { return string(r.fields[i]) == "t" }

func (r record) byte(i int) byte {
	if len(r.fields[i]) == 0 {
		return 0
	}
	return r.fields[i][0]
}

func (r record) oid(i int) oid {
	n, err := strconv.ParseUint(string(r.fields[i]), 10, 32)
	if err != nil {
		return 0
	}
	return oid(n)
}

func (r record) int(i int) int {
	n, err := strconv.Atoi(string(r.fields[i]))
	if err != nil {
		return 0
	}
	return n
}

// nums reads an int2vector or oidvector: numbers with blanks between.
func (r record) nums(i int) []int16 {
	var out []int16
	for _, f := range strings.FieldsFunc(string(r.fields[i]), func(c rune) bool { return c == ' ' || c == ',' || c == '{' || c == '}' }) {
		if n, err := strconv.ParseInt(f, 10, 16); err == nil {
			out = append(out, int16(n))
		}
	}
	return out
}
