package postgres

import (
	"slices"
	"strings"

	"github.com/sallyport-gateway/sallyport/internal/gate"
)

// readRelation adds what reading a relation does.
func (a *analysis) readRelation(rel *Relation) {
	a.facts.tables = append(a.facts.tables, rel.Name())
	if a.onRelation != nil {
		a.onRelation(rel)
	}
	if rel.isSystem() {
		a.systemRelation(rel)
		return
	}
	if rel.isTemporary() {
		a.useTemporary(rel)
		return
	}
	a.policies(rel)
	a.planned(rel, 0)
	a.explained(rel)
	switch rel.kind {
	case 'r', 'p', 'S':
		a.partitioned(rel)
	case 'v', 'm':
		v := a.view(rel)
		if rel.kind == 'v' {
			a.include(v.summary)
		} else if v.summary != nil && v.summary.refused {
			a.refuseAll(rel.Name(), "shows what nobody can trace", "select from the tables themselves")
		}
		a.control |= v.control
		a.forced |= v.forced
		if !a.in.labels.declared(rel) {
			a.refuse(v.control, rel.Name(), "has rows that depend on labelled columns", "select from the tables themselves")
		}
	case 'f':
		if e, ok := a.in.functions["table "+rel.Name()]; ok {
			a.add(e)
			return
		}
		a.unreviewed("foreign table " + rel.Name())
		a.add(gate.EffectExecute)
		if !a.in.labels.declared(rel) {
			a.refuseAll(rel.Name(), "is a foreign table, so what it shows cannot be traced", "label its columns, or have it reviewed")
		}
	default:
		a.unknown()
	}
}

// policies adds what the row-level security of a relation does, which runs with
// every read and every change.
func (a *analysis) policies(rel *Relation) {
	p := a.in.policies[rel.oid]
	if a.onPolicies != nil {
		p = a.onPolicies(rel)
	}
	if p == nil {
		return
	}
	a.include(p.summary)
	a.control |= p.control
	a.refuse(p.control, rel.Name(), "has a policy by which rows depend on labelled columns", "use another relation")
}

// view returns what a view does.
func (a *analysis) view(rel *Relation) *view {
	if a.onView != nil {
		return a.onView(rel)
	}
	if v := a.in.views[rel.oid]; v != nil {
		return v
	}
	a.unknown()
	return &view{control: a.in.labels.all, summary: &summary{effects: gate.EffectUnknown, notUnderstood: true, refused: true}}
}

// explained notes estimates over labelled relations, which are made from
// statistics of the values: EXPLAIN shows none then, and EXPLAIN ANALYZE is
// refused.
func (a *analysis) explained(rel *Relation) {
	if a.explain != explainPlain && a.explain != explainCosts {
		return
	}
	if l := a.in.below(rel, 0); l != 0 {
		if a.explain == explainCosts {
			a.costly |= l
			a.beneath |= a.in.touched(rel, 0) | a.in.splitBelow(rel, 0)
			return
		}
		a.refuse(l, rel.Name(), "under EXPLAIN shows estimates that are made from labelled columns", "use EXPLAIN (COSTS OFF)")
	}
}

// touched returns the labels of columns that the definition of a view, or of one
// that it reads, can name.
func (in *Inspector) touched(rel *Relation, depth int) labelSet {
	v := in.views[rel.oid]
	switch {
	case v == nil || rel.kind != 'v':
		return 0
	case depth >= maxViewDepth:
		return in.labels.all
	}
	l := v.touches
	for _, base := range v.bases {
		l |= in.touched(base, depth+1)
	}
	return l
}

// below returns the labels of a relation and of what a view reads.
func (in *Inspector) below(rel *Relation, depth int) labelSet {
	l := in.labels.of(rel).any()
	if v := in.views[rel.oid]; v != nil && rel.kind == 'v' && depth < maxViewDepth {
		for _, base := range v.bases {
			l |= in.below(base, depth+1)
		}
	}
	return l
}

// systemRelation says what reading a relation of PostgreSQL itself does.
func (a *analysis) systemRelation(rel *Relation) {
	if rel.schema == "information_schema" {
		if strings.HasPrefix(rel.name, "user_mapping") || rel.name == "_pg_user_mappings" {
			a.add(gate.EffectAdmin)
		}
		return
	}
	switch rel.name {
	case "pg_authid", "pg_shadow", "pg_user_mapping", "pg_user_mappings", "pg_hba_file_rules", "pg_ident_file_mappings",
		"pg_file_settings", "pg_config":
		a.add(gate.EffectAdmin) // passwords, connection strings, files
	case "pg_statistic", "pg_stats", "pg_statistic_ext_data", "pg_stats_ext", "pg_stats_ext_exprs":
		a.refuseAll(rel.Name(), "holds values of labelled columns as statistics", "use pg_class and pg_attribute")
	case "pg_largeobject":
		a.refuseAll(rel.Name(), "shows content that cannot be masked", "select from the tables themselves")
	case "pg_backend_memory_contexts":
		a.refuseAll(rel.Name(), "shows how much memory the values take that a statement holds", "leave it out")
	default:
		if !knownSystemRelation(rel.name) {
			a.unknown()
			a.refuseAll(rel.Name(), "is not on the list of catalogs that are known to be safe", "use another catalog")
		}
	}
}

// systemRelations are the other catalogs and views of pg_catalog, 13 to 18.
const systemRelations = " pg_aggregate pg_aios pg_am pg_amop pg_amproc pg_attrdef pg_attribute pg_auth_members " +
	"pg_available_extension_versions pg_available_extensions pg_cast pg_class pg_collation " +
	"pg_constraint pg_conversion pg_cursors pg_database pg_db_role_setting pg_default_acl pg_depend pg_description pg_enum " +
	"pg_event_trigger pg_extension pg_foreign_data_wrapper pg_foreign_server pg_foreign_table pg_group pg_index pg_indexes " +
	"pg_inherits pg_init_privs pg_language pg_largeobject_metadata pg_locks pg_matviews pg_namespace pg_opclass pg_operator " +
	"pg_opfamily pg_parameter_acl pg_partitioned_table pg_policies pg_policy pg_prepared_statements pg_prepared_xacts pg_proc pg_publication " +
	"pg_publication_namespace pg_publication_rel pg_publication_tables pg_range pg_replication_origin " +
	"pg_replication_origin_status pg_replication_slots pg_rewrite pg_roles pg_rules pg_seclabel pg_seclabels pg_sequence " +
	"pg_sequences pg_settings pg_shdepend pg_shdescription pg_shmem_allocations pg_shmem_allocations_numa pg_shseclabel " +
	"pg_subscription pg_subscription_rel pg_tables pg_tablespace pg_timezone_abbrevs pg_timezone_names pg_transform pg_trigger pg_ts_config " +
	"pg_ts_config_map pg_ts_dict pg_ts_parser pg_ts_template pg_type pg_user pg_views pg_wait_events "

func knownSystemRelation(name string) bool {
	return strings.Contains(systemRelations, " "+name+" ") ||
		strings.HasPrefix(name, "pg_stat_") || strings.HasPrefix(name, "pg_statio_") || name == "pg_statistic_ext"
}

// writes adds what changing rows of a relation runs: triggers, rules, defaults,
// checks, indexes, policies, and what foreign keys do elsewhere. columns are
// those that get values; nil means all of them or, for deletes, none.
func (a *analysis) writes(rel *Relation, event uint16, columns []int16) {
	a.changes(rel, event, columns, map[change]*reached{})
}

// change is a relation and what happens to its rows.
type change struct {
	relation oid
	event    uint16
}

// reached is what a write has reached of a relation: it can come there by several ways,
// each with columns of its own.
type reached struct {
	all     bool
	columns []int16
}

// more notes columns, nil for all of them, and reports whether one of them is new.
func (r *reached) more(columns []int16) bool {
	if r.all {
		return false
	}
	r.all = columns == nil
	n := len(r.columns)
	for _, c := range columns {
		if !slices.Contains(r.columns, c) {
			r.columns = append(r.columns, c)
		}
	}
	return r.all || len(r.columns) > n
}

func (a *analysis) changes(rel *Relation, event uint16, columns []int16, seen map[change]*reached) {
	was, again := seen[change{rel.oid, event}]
	if !again {
		was = &reached{}
		seen[change{rel.oid, event}] = was
	}
	if more := was.more(columns); again && !more || !a.enter() {
		return
	}
	defer a.leave()
	a.facts.tables = append(a.facts.tables, rel.Name())
	a.facts.written = append(a.facts.written, rel.Name())
	a.labels |= a.in.labels.of(rel).any() // errors can show whole rows
	a.explained(rel)
	if rel.isSystem() {
		a.add(gate.EffectAdmin | gate.EffectSchema)
		return
	}
	if rel.isTemporary() {
		a.useTemporary(rel)
		for i := range rel.columns {
			a.touchType(rel.columns[i].typ)
			a.include(a.in.presets[rel.columns[i].typ])
		}
		if v := rel.extras().view; v != nil {
			for _, base := range v.bases {
				a.changes(base, event, v.baseColumns(rel, columns), seen)
			}
		}
		return
	}
	a.policies(rel)
	a.planned(rel, 0)
	if event != triggerDelete && event != triggerTruncate {
		a.include(a.in.writes[rel.oid])
		for i := range rel.columns {
			c := &rel.columns[i]
			a.touchType(c.typ)
			if !c.hasDef {
				a.include(a.in.presets[c.typ])
			}
		}
		a.constraints(rel, event, columns)
	}
	more := rel.extras()
	if !a.plans {
		a.triggers(rel, event, columns)
	}
	a.ruleActions(rel, event)
	switch rel.kind {
	case 'v':
		v := a.view(rel)
		a.include(v.summary)
		a.control |= v.control
		if !a.in.labels.declared(rel) {
			a.refuse(v.control, rel.Name(), "has rows that depend on labelled columns, so the answer to this write would too", "change the tables themselves")
		}
		if event == triggerInsert && columns != nil { // a view can have defaults of its own
			for i := range rel.columns {
				if c := &rel.columns[i]; c.hasDef {
					columns = append(slices.Clone(columns), c.num)
				}
			}
		}
		for _, base := range v.bases {
			a.changes(base, event, v.baseColumns(rel, columns), seen)
		}
	case 'f':
		a.unreviewed("foreign table " + rel.Name())
		a.add(gate.EffectExecute)
	}
	for _, child := range more.children {
		if c := a.in.cat.relations[child]; c != nil {
			a.changes(c, event, a.sameColumns(rel, c, columns), seen)
		}
	}
	a.cascades(rel, event, columns, seen)
}

// sameColumns finds a parent's columns in a child, whose numbers can differ.
func (a *analysis) sameColumns(parent, child *Relation, columns []int16) []int16 {
	if columns == nil {
		return nil
	}
	out := []int16{}
	for _, n := range columns {
		if c := parent.columnByNum(n); c != nil {
			if other := child.column(c.name); other != nil {
				out = append(out, other.num)
			}
		}
	}
	return out
}

// eventTriggers adds what a change of definitions runs. For which of them a trigger is
// (its WHEN TAG) is left out of account.
func (a *analysis) eventTriggers() {
	for _, t := range a.in.cat.eventTriggers {
		f := a.in.cat.funcByOID[t.function]
		if f == nil {
			a.unknown()
			continue
		}
		e, ok := a.in.reviewed(f)
		a.runs = a.runs || runsBeside(f, e)
		if ok {
			a.add(e)
			continue
		}
		a.unreviewed("event trigger " + t.name + " → " + f.signature())
		a.add(gate.EffectExecute)
		a.refuseAll("the event trigger "+t.name, "runs when definitions change, was not reviewed and can show or copy labelled values", "have the function "+f.signature()+" reviewed")
	}
}

func (a *analysis) triggers(rel *Relation, event uint16, columns []int16) {
	for _, t := range rel.extras().triggers {
		// ON CONFLICT DO UPDATE and row movement between partitions fire the
		// others too, so every row trigger of an insert or update counts.
		fires := t.events&event != 0
		if event == triggerInsert || event == triggerUpdate {
			moves := rel.kind == 'p' || len(rel.extras().parents) > 0
			fires = fires || event == triggerUpdate && moves && t.events&(triggerInsert|triggerDelete) != 0
		}
		if !fires {
			continue
		}
		f := a.in.cat.funcByOID[t.function]
		if f == nil {
			if t.function >= firstUserOID {
				a.unknown()
			}
			a.triggerOutcome(rel, t, event, columns)
			continue
		}
		e, ok := a.in.reviewed(f)
		a.runs = a.runs || runsBeside(f, e)
		if ok {
			a.add(e)
			a.firesBy(rel, t, event, columns)
			continue
		}
		a.unreviewed("trigger " + t.name + " on " + rel.Name() + " → " + f.signature())
		a.add(gate.EffectExecute)
		a.refuseAll(rel.Name(), "has the trigger "+t.name+", which was not reviewed and can show or copy labelled values", "have the function "+f.signature()+" reviewed")
	}
}

func (a *analysis) ruleActions(rel *Relation, event uint16) {
	for _, r := range rel.extras().rules {
		if r.event == '2' && event != triggerUpdate || r.event == '3' && event != triggerInsert || r.event == '4' && event != triggerDelete {
			continue
		}
		a.runs = true
		name := "rule " + r.name + " on " + rel.Name()
		if e, ok := a.in.functions[name]; ok {
			a.add(e)
			continue
		}
		a.unreviewed(name)
		a.add(gate.EffectExecute)
		a.refuseAll(rel.Name(), "has the rule "+r.name+", which was not reviewed and can copy labelled values", "have it reviewed as \""+name+"\"")
	}
}

// cascades follows foreign keys that change rows elsewhere, or ask for some.
func (a *analysis) cascades(rel *Relation, event uint16, columns []int16, seen map[change]*reached) {
	if event == triggerInsert || event == triggerTruncate {
		return
	}
	columns = a.in.withGenerated(rel, columns)
	if a.present.rel != nil {
		// What is carried on gives other rows other values, also of the same table.
		was := a.present
		a.present, seen = present{}, map[change]*reached{}
		defer func() { a.present = was }()
	}
	for _, k := range rel.extras().referencing {
		other := a.in.cat.relations[k.relation]
		if other == nil {
			continue
		}
		a.planned(other, 0) // rows that refer to this one are asked for
		a.referenced(rel, other, k, event, columns)
		action := k.onDelete
		if event == triggerUpdate {
			action = k.onUpdate
		}
		switch {
		case action == 'c' && event == triggerDelete:
			a.add(gate.EffectDelete)
			a.changes(other, triggerDelete, nil, seen)
		case action == 'c' || action == 'n' || action == 'd':
			a.add(gate.EffectWrite)
			if event == triggerUpdate && columns != nil && !slices.ContainsFunc(k.others, func(n int16) bool { return slices.Contains(columns, n) }) {
				a.changes(other, triggerUpdate, []int16{}, seen)
				continue
			}
			a.changes(other, triggerUpdate, k.columns, seen)
		}
	}
}
