package postgres

import (
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/sallyport-gateway/sallyport/internal/nearest"
)

// labelSet is a set of label names of one target, by number.
type labelSet uint64

// maxLabels is how many names fit a labelSet.
const maxLabels = 64

// labelTable says which columns carry which labels.
type labelTable struct {
	names    []string // sorted
	all      labelSet
	tables   map[oid]*columnLabels
	declares map[oid]bool // relations named by a label document
}

// columnLabels are the labels of one relation; nil means none.
type columnLabels struct {
	columns  map[int16]labelSet // of the column or of a part of it
	parts    map[int16][]labelPart
	whole    map[int16]labelSet // of the column itself
	computed map[int16]bool
	alone    map[int16]bool // of an index that holds nothing but labelled columns
	sorted   bool           // there is such an index, or one over an expression of them
	shown    map[int16]*shownRows
}

// shownRows are those rows of a catalog or view of statistics that tell nothing of
// labelled values: the condition says which, after the column that it is about.
type shownRows struct{ column, condition string }

// isComputed says that a labelled column is computed from others, in a view or
// as a generated column: whether it is null, or can be computed at all, may
// depend on their values.
func (l *columnLabels) isComputed(num int16) bool { return l != nil && l.computed[num] }

func (l *columnLabels) isAlone(num int16) bool { return l != nil && l.alone[num] }

func (l *columnLabels) setAlone(num int16) {
	if l.alone == nil {
		l.alone = map[int16]bool{}
	}
	l.alone[num] = true
}

func (l *columnLabels) shownRows(num int16) *shownRows {
	if l == nil {
		return nil
	}
	return l.shown[num]
}

func (l *columnLabels) show(num int16, rows *shownRows) {
	if l.shown == nil {
		l.shown = map[int16]*shownRows{}
	}
	l.shown[num] = rows
}

func (l *columnLabels) column(num int16) labelSet {
	if l == nil {
		return 0
	}
	return l.columns[num]
}

// ofWhole are the labels of a column itself: its parts are masked by themselves.
func (l *columnLabels) ofWhole(num int16) labelSet {
	if l == nil {
		return 0
	}
	return l.whole[num]
}

func (l *columnLabels) partsOf(num int16) []labelPart {
	if l == nil {
		return nil
	}
	return l.parts[num]
}

func (l *columnLabels) any() labelSet {
	var set labelSet
	if l != nil {
		for _, s := range l.columns {
			set |= s
		}
	}
	return set
}

func (t *labelTable) of(rel *Relation) *columnLabels { return t.tables[rel.oid] }

// declared says that a label document names columns of the relation, so that
// somebody knows what it shows.
func (t *labelTable) declared(rel *Relation) bool { return t.declares[rel.oid] }

// list returns the names of a set, sorted.
func (t *labelTable) list(s labelSet) []string {
	out := []string{}
	for i, n := range t.names {
		if s&(1<<i) != 0 {
			out = append(out, n)
		}
	}
	return out
}

func (t *labelTable) add(rel *Relation, num int16, s labelSet) bool {
	l := t.entry(rel)
	before := l.whole[num]
	l.columns[num] |= s
	l.whole[num] = before | s
	return l.whole[num] != before
}

func (t *labelTable) entry(rel *Relation) *columnLabels {
	l := t.tables[rel.oid]
	if l == nil {
		l = &columnLabels{columns: map[int16]labelSet{}, whole: map[int16]labelSet{}, parts: map[int16][]labelPart{}}
		t.tables[rel.oid] = l
	}
	return l
}

// addPart labels a part of a column.
func (t *labelTable) addPart(rel *Relation, num int16, part labelPart) bool {
	l := t.entry(rel)
	l.columns[num] |= part.labels
	for i := range l.parts[num] {
		if p := &l.parts[num][i]; slices.Equal(p.path, part.path) {
			before := p.labels
			p.labels |= part.labels
			return p.labels != before
		}
	}
	l.parts[num] = append(l.parts[num], part)
	return true
}

func (t *labelTable) setComputed(rel *Relation, num int16) {
	l := t.tables[rel.oid]
	if l.computed == nil {
		l.computed = map[int16]bool{}
	}
	l.computed[num] = true
}

// setView gives a view the labels that its definition shows.
func (t *labelTable) setView(rel *Relation, v *view) {
	for i, s := range v.cols {
		if s != 0 && i < len(rel.columns) {
			t.add(rel, rel.columns[i].num, s)
			if !v.plain[i] {
				t.setComputed(rel, rel.columns[i].num)
			}
		}
	}
	if v.control == t.all && t.all != 0 && v.summary != nil && v.summary.refused {
		for i := range rel.columns {
			t.add(rel, rel.columns[i].num, t.all)
			t.setComputed(rel, rel.columns[i].num)
		}
	}
}

// newLabelTable resolves the paths of label documents. A path that names
// nothing is an error with the nearest name.
func newLabelTable(cat *Catalog, marks map[string][]string) (*labelTable, error) {
	t := &labelTable{names: slices.Sorted(maps.Keys(marks)), tables: map[oid]*columnLabels{}, declares: map[oid]bool{}}
	if len(t.names) > maxLabels {
		return nil, fmt.Errorf("%d labels: at most %d can apply to one target", len(t.names), maxLabels)
	}
	var errs []error
	for i, name := range t.names {
		t.all |= 1 << i
		for _, path := range marks[name] {
			rel, num, part, err := cat.column(path)
			if err != nil {
				errs = append(errs, fmt.Errorf("label %s: %w", name, err))
				continue
			}
			t.declares[rel.oid] = true
			if len(part) > 0 {
				t.addPart(rel, num, labelPart{part, 1 << i})
				continue
			}
			t.add(rel, num, 1<<i)
		}
	}
	t.labelStatistics(cat)
	return t, errors.Join(errs...)
}

// column resolves schema.relation.column. What follows the column names a part
// of its value, a field or a member; it is returned if it can be masked by itself.
func (c *Catalog) column(path string) (*Relation, int16, []string, error) {
	parts := splitPath(path)
	if len(parts) < 3 || slices.Contains(parts, "") {
		return nil, 0, nil, fmt.Errorf("%q is not of the form schema.table.column", path)
	}
	rel := c.byName[qualified{parts[0], parts[1]}]
	if rel == nil {
		if !c.hasSchema(parts[0]) {
			if hint := nearest.Name(parts[0], maps.Values(c.schemas)); hint != "" {
				return nil, 0, nil, fmt.Errorf("%q: there is no schema %s%s", path, parts[0], didYouMean(hint))
			}
		}
		hint := nearest.Name(parts[0]+"."+parts[1], c.relationNames())
		return nil, 0, nil, fmt.Errorf("%q: there is no relation %s.%s%s", path, parts[0], parts[1], didYouMean(hint))
	}
	col := rel.column(parts[2])
	if col == nil {
		return nil, 0, nil, fmt.Errorf("%q: %s has no column %s%s", path, rel.Name(), parts[2], didYouMean(nearest.Name(parts[2], columnNames(rel))))
	}
	whole, err := c.partsOf(col.typ, parts[3:])
	if err != nil {
		return nil, 0, nil, fmt.Errorf("%q: %w", path, err)
	}
	if whole {
		return rel, col.num, nil, nil
	}
	return rel, col.num, parts[3:], nil
}

func (c *Catalog) hasSchema(name string) bool {
	for _, s := range c.schemas {
		if s == name {
			return true
		}
	}
	return false
}

func didYouMean(name string) string {
	if name == "" {
		return ""
	}
	return "; did you mean " + name + "?"
}

func (c *Catalog) relationNames() iter.Seq[string] {
	return func(yield func(string) bool) {
		for q := range c.byName {
			if !isSystemSchema(q.schema) && !yield(q.String()) {
				return
			}
		}
	}
}

// splitPath splits at dots outside double quotes.
func splitPath(path string) []string {
	var parts []string
	var b strings.Builder
	quoted := false
	for i := 0; i < len(path); i++ {
		switch c := path[i]; {
		case c == '"' && quoted && i+1 < len(path) && path[i+1] == '"':
			b.WriteByte('"')
			i++
		case c == '"':
			quoted = !quoted
		case c == '.' && !quoted:
			parts = append(parts, b.String())
			b.Reset()
		default:
			b.WriteByte(c)
		}
	}
	return append(parts, b.String())
}

// statisticColumns are columns of PostgreSQL's statistics that tell how much was
// written: an update writes only what differs from the old row, and leaves the
// indexes alone if nothing in them changes; what a sort or a hash table cannot hold
// goes to a file.
var statisticColumns = map[string][]string{
	"pg_stat_%_tables":             {"n_tup_hot_upd", "n_tup_newpage_upd"},
	"pg_stat_xact_%_tables":        {"n_tup_hot_upd", "n_tup_newpage_upd"},
	"pg_statio_%_tables":           {"idx_blks_read", "idx_blks_hit", "toast_blks_read", "toast_blks_hit", "tidx_blks_read", "tidx_blks_hit"},
	"pg_statio_%_indexes":          {"idx_blks_read", "idx_blks_hit"},
	"pg_stat_database":             {"temp_files", "temp_bytes"},
	"pg_stat_wal":                  {"wal_records", "wal_fpi", "wal_bytes", "wal_buffers_full", "wal_write", "wal_sync"},
	"pg_stat_slru":                 {"blks_zeroed", "blks_hit", "blks_read", "blks_written", "blks_exists", "flushes", "truncates"},
	"pg_stat_io":                   {"writes", "write_bytes", "extends", "extend_bytes"},
	"pg_stat_replication":          {"sent_lsn", "write_lsn", "flush_lsn", "replay_lsn"},
	"pg_stat_replication_slots":    {"spill_bytes", "stream_bytes", "total_bytes"},
	"pg_replication_slots":         {"restart_lsn", "confirmed_flush_lsn", "safe_wal_size"},
	"pg_stat_wal_receiver":         {"receive_start_lsn", "written_lsn", "flushed_lsn", "latest_end_lsn"},
	"pg_stat_subscription":         {"received_lsn", "latest_end_lsn"},
	"pg_replication_origin_status": {"remote_lsn", "local_lsn"},
}

// toastColumns are those that count rows of any table: a long value has rows of its own
// in a TOAST table, which are found, read and deleted with it. The views with user in
// their name list no TOAST tables.
var toastColumns = map[string][]string{
	"pg_stat_%_tables":      {"seq_tup_read", "idx_scan", "idx_tup_fetch", "n_tup_ins", "n_tup_upd", "n_tup_del", "n_live_tup", "n_dead_tup", "n_mod_since_analyze", "n_ins_since_vacuum"},
	"pg_stat_xact_%_tables": {"seq_tup_read", "idx_scan", "idx_tup_fetch", "n_tup_ins", "n_tup_upd", "n_tup_del"},
	"pg_stat_%_indexes":     {"idx_scan", "idx_tup_read", "idx_tup_fetch"},
	"pg_statio_%_tables":    {"heap_blks_read", "heap_blks_hit"},
}

// contentColumns are columns of views that show what others have sent: their
// statements, with the values in them. For a utility statement query_id is a hash of
// its text (compute_utility_query_id, utils/misc/queryjumble.c).
var contentColumns = map[string][]string{
	"pg_stat_activity":  {"query", "query_id"},
	"pg_prepared_xacts": {"gid"},
}

// labelStatistics masks the statistics that tell of labelled values, and what others
// have sent.
func (t *labelTable) labelStatistics(cat *Catalog) {
	if t.all == 0 {
		return
	}
	each := func(list map[string][]string, kinds []string, found func(*Relation, int16)) {
		for pattern, columns := range list {
			for _, kind := range kinds {
				rel := cat.byName[qualified{"pg_catalog", strings.Replace(pattern, "%", kind, 1)}]
				if rel == nil {
					continue
				}
				for _, name := range columns {
					if c := rel.column(name); c != nil {
						t.add(rel, c.num, t.all)
						found(rel, c.num)
					}
				}
			}
		}
	}
	each(statisticColumns, []string{"all", "sys", "user"}, func(*Relation, int16) {})
	// What others have sent has no form of which a mask could show a part.
	each(contentColumns, []string{""}, t.setComputed)
	// Which files a statement of another session waits for tells what did not fit into
	// memory, as temp_files does.
	each(map[string][]string{"pg_stat_activity": {"wait_event"}}, []string{""}, func(rel *Relation, num int16) {
		t.tables[rel.oid].show(num, &shownRows{"wait_event_type", "OPERATOR(pg_catalog.<>) 'IO'"})
	})
	// Which row of a table is locked tells what a foreign key over labelled columns refers
	// to.
	if t.refers(cat) {
		each(map[string][]string{"pg_locks": {"page", "tuple"}}, []string{""}, func(rel *Relation, num int16) {
			t.tables[rel.oid].show(num, &shownRows{"locktype", "OPERATOR(pg_catalog.<>) ALL ('{page,tuple}')"})
		})
	}
	each(toastColumns, []string{"all", "sys"}, func(rel *Relation, num int16) {
		t.tables[rel.oid].show(num, &shownRows{"schemaname", "OPERATOR(pg_catalog.<>) 'pg_toast'"})
	})
	if rel := cat.byName[qualified{"pg_catalog", "pg_attribute"}]; rel != nil {
		if c := rel.column("attmissingval"); c != nil {
			t.add(rel, c.num, t.all)
		}
	}
}

// refers reports whether there is a foreign key over labelled columns.
func (t *labelTable) refers(cat *Catalog) bool {
	for o, labels := range t.tables {
		if rel := cat.relations[o]; rel != nil && slices.ContainsFunc(rel.extras().references, func(k reference) bool {
			return slices.ContainsFunc(k.columns, func(n int16) bool { return labels.column(n) != 0 })
		}) {
			return true
		}
	}
	return false
}

// maxListed bounds how many relations are told apart in a condition.
const maxListed = 500

// labelMissingValues says of which relations pg_attribute shows the value that rows have
// which were there before the column was added: of those without labels.
func (in *Inspector) labelMissingValues() {
	rel := in.cat.byName[qualified{"pg_catalog", "pg_attribute"}]
	l := in.labels.of(rel)
	if l == nil {
		return
	}
	c := rel.column("attmissingval")
	if c == nil || l.column(c.num) == 0 {
		return
	}
	var list []string
	for _, o := range slices.Sorted(maps.Keys(in.labels.tables)) {
		if other := in.cat.relations[o]; other != nil && !other.isSystem() {
			list = append(list, strconv.FormatUint(uint64(o), 10))
		}
	}
	if len(list) > maxListed {
		l.show(c.num, &shownRows{"attrelid", "IS NULL"})
		return
	}
	l.show(c.num, &shownRows{"attrelid", "OPERATOR(pg_catalog.<>) ALL ( '{" + strings.Join(list, ",") + "}' :: pg_catalog.oid[] )"})
}
