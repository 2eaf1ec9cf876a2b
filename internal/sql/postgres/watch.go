package postgres

import (
	"slices"
	"strconv"
	"strings"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/sallyport-gateway/sallyport/internal/gate"
	"github.com/sallyport-gateway/sallyport/internal/sql/postgres/lex"
)

// watched is what a text's judgement rests on and what somebody else can change
// at the target while the text is on its way. Names that can be written out are
// not in it: those are pinned in the text itself.
type watched struct {
	relations []string // quoted schema.name, sorted: what the text names, and the ancestors of it
	parents   []oid    // those of them whose children could show labelled columns
	functions []string // names of functions that are not pg_catalog's
	operators bool     // any, by name
}

// pin is a token that gets a schema in front, so that nobody can put another
// relation or function under the name that was judged.
type pin struct {
	token  int
	schema string
}

// pinRelation notes a relation that the text names. Its schema is written into
// the text to send, so that it is the relation that was judged whatever the
// session's temporary relations are by then: one that is gone is an error instead
// of the relation that it hid, and one that the gateway does not know hides
// nothing. Without labels the second cannot do harm: a statement is judged by the
// relation that it would otherwise mean.
func (a *analysis) pinRelation(rv *pg_query.RangeVar, rel *Relation) {
	if a.outside || a.tokens == nil {
		return
	}
	if rv.GetSchemaname() == "" && (rel.isTemporary() || a.in.labels.all != 0) {
		a.pins = append(a.pins, pin{a.tokens.TokenAt(int(rv.GetLocation())), rel.schema})
	}
	a.watchRelation(rel)
}

// watchRelation adds a relation and its ancestors: rows and labels come down
// from those.
func (a *analysis) watchRelation(rel *Relation) {
	if rel.isSystem() || rel.isTemporary() || a.outside || a.in.labels.all == 0 {
		return // nobody else can change the session's temporary relations
	}
	name := quoteIdent(rel.schema) + "." + quoteIdent(rel.name)
	if slices.Contains(a.watched.relations, name) {
		return
	}
	a.watched.relations = append(a.watched.relations, name)
	if a.in.couldShow(rel) {
		a.watched.parents = append(a.watched.parents, rel.oid)
	}
	for _, o := range rel.extras().parents {
		if parent := a.in.cat.relations[o]; parent != nil {
			a.watchRelation(parent)
		}
	}
}

// couldShow reports whether a child, attached now, could show labelled columns
// through the relation: a child's columns are matched by name, so only a column
// that has the name of a labelled one, and no label itself, can.
func (in *Inspector) couldShow(rel *Relation) bool {
	if rel.kind != 'r' && rel.kind != 'p' && rel.kind != 'f' {
		return false
	}
	labels := in.labels.of(rel)
	for i := range rel.columns {
		if c := &rel.columns[i]; in.labelled[c.name] && labels.column(c.num) == 0 {
			return true
		}
	}
	return false
}

// labelledNames are the names of all labelled columns.
func (in *Inspector) labelledNames() map[string]bool {
	names := map[string]bool{}
	for o, l := range in.labels.tables {
		rel := in.cat.relations[o]
		if rel == nil {
			continue
		}
		for i := range rel.columns {
			if l.column(rel.columns[i].num) != 0 {
				names[rel.columns[i].name] = true
			}
		}
	}
	return names
}

// pinFunction notes a function that the text calls by name. One that only
// pg_catalog has gets its schema, so that an overload that somebody adds
// elsewhere is not a candidate. The grammar treats unnest with several arguments
// apart, but only without a schema (transformRangeFunction, parser/parse_clause.c).
func (a *analysis) pinFunction(f *pg_query.FuncCall, names []string) {
	if a.outside || a.tokens == nil || a.in.labels.all == 0 {
		return
	}
	name := names[len(names)-1]
	if names[0] == "pg_catalog" && len(names) == 2 {
		return
	}
	if len(names) == 1 && len(a.in.cat.userFunctions("", name)) == 0 && a.in.cat.builtinNames[name] && (name != "unnest" || len(f.GetArgs()) < 2) {
		if i := a.tokens.TokenAt(int(f.GetLocation())); a.tokens.Value(i) == name {
			a.pins = append(a.pins, pin{i, "pg_catalog"})
			return
		}
	}
	if !slices.Contains(a.watched.functions, name) {
		a.watched.functions = append(a.watched.functions, name)
	}
}

// appendPins adds the pins to the edits of a text. What an edit replaces names
// its relations with their schemas already.
func appendPins(edits []lex.Edit, pins []pin) []lex.Edit {
	replaced := slices.Clone(edits)
	slices.SortFunc(replaced, func(x, y lex.Edit) int { return x.From - y.From })
	ends := make([]int, len(replaced)) // how far those up to here reach
	for i := range replaced {
		ends[i] = replaced[i].To
		if i > 0 {
			ends[i] = max(ends[i], ends[i-1])
		}
	}
	seen := make(map[int]bool, len(pins))
	for _, p := range pins {
		before, _ := slices.BinarySearchFunc(replaced, p.token+1, func(e lex.Edit, token int) int { return e.From - token })
		if seen[p.token] || before > 0 && ends[before-1] > p.token {
			continue
		}
		seen[p.token] = true
		edits = append(edits, lex.Edit{From: p.token, To: p.token, Pieces: []lex.Piece{lex.Before(quoteIdent(p.schema)+".", p.token)}})
	}
	return edits
}

// watch makes the questions of a Shape. They are empty when nothing in the text
// can mean anything else at another time.
func (s *Shape) watch() {
	s.Watch, s.Guard, s.Steady = "", "", false
	if s.watched == nil || len(s.watched.relations) == 0 && len(s.watched.functions) == 0 && !s.watched.operators {
		return
	}
	for i := range s.Statements {
		if s.Statements[i].watchable() {
			s.Watch, s.Guard, s.Steady = s.watched.question(), s.watched.guard(), s.watched.facts() == "" && !s.Moves()
			return
		}
	}
}

// Moves reports whether settings may be others while the text runs, or behind it.
func (s *Shape) Moves() bool { return s.Runs || len(s.Facts.Settings) > 0 }

// lasting reports whether not all of what was found is taken back with a transaction.
func (a *analysis) lasting() bool {
	return a.lasts || a.runs && a.effects&^(gate.EffectRead|gate.EffectExport) != 0 ||
		len(a.facts.settings) > 0 && len(a.facts.tables) > 0 || slices.ContainsFunc(a.facts.functions, func(name string) bool {
		switch name {
		case "pg_catalog.nextval", "pg_catalog.setval", "pg_catalog.setseed", "pg_catalog.pg_logical_emit_message":
			return true
		}
		return strings.Contains(name, "_advisory_")
	})
}

// watchable reports whether a statement can be sent together with a question:
// it is planned, so it reads definitions, and it may stand in a transaction.
func (s *Statement) watchable() bool {
	switch s.Kind {
	case KindOther, KindExecute, KindDeclare, KindCopyIn, KindCopyOut, KindPrepare:
	default:
		return false
	}
	switch s.Word {
	case "select", "insert", "update", "delete", "merge", "copy", "declare", "execute", "explain", "prepare", "call",
		"create table as", "create materialized view", "create view":
		return true
	}
	return false
}

// question is a statement of two columns: when the server last analysed it, and
// what the definitions outside of the server's own bookkeeping are. Both are text,
// whatever the session's settings.
//
// The server keeps the analysis of a prepared statement until it is told that a
// relation of it, or any schema or operator, was changed (utils/cache/plancache.c),
// and 'now' is read when a statement is analysed (PostgreSQL documentation,
// "Date/Time Input", "Special Values"). So the first column stays the same as
// long as no definition behind the relations has changed, views within views
// included, whatever snapshot the transaction has. The condition true keeps the
// relations from being read and their privileges from being asked, but not from
// being locked.
func (w *watched) question() string {
	facts := w.facts()
	if facts == "" {
		facts = "NULL"
	} else {
		// Under a stricter isolation level they are those of the transaction's snapshot, and
		// say nothing.
		facts = "pg_catalog.concat(" + facts + ", CASE WHEN pg_catalog.current_setting('transaction_isolation') <> 'read committed' THEN pg_catalog.clock_timestamp() END)"
	}
	return "SELECT pg_catalog.encode(pg_catalog.timestamptz_send('now'::pg_catalog.timestamptz), 'hex'), " + facts + "::pg_catalog.text" + w.locks()
}

// guard is a question with three parameters, the answer that it should have and the
// isolation level. Its third column fails unless each of them is NULL or equal to what it
// is for, the first in binary form.
func (w *watched) guard() string {
	const marker = "'now'::pg_catalog.timestamptz"
	facts := w.facts()
	if facts == "" {
		return "SELECT " + marker + ", NULL::pg_catalog.text, 1 / (($1 IS NULL OR $1 = " + marker + ") AND $2 IS NULL AND $3 IS NULL)::pg_catalog.int4" + w.locks()
	}
	return "SELECT " + marker + ", f, 1 / (($1 IS NULL OR $1 = " + marker + ") AND ($2 IS NULL OR $2 = f) AND ($3 IS NULL OR $3 = pg_catalog.current_setting('transaction_isolation')))::pg_catalog.int4 " +
		"FROM (SELECT pg_catalog.concat(" + facts + ") AS f OFFSET 0) AS q" + w.locks()
}

// locks is the condition that holds the relations without reading them. A server
// process takes notice of changes when it takes a lock that it does not hold yet
// (LockRelationOid, storage/lmgr/lmgr.c): the last relation is one that nothing
// else locks, so that a question takes notice in the transaction of its statement.
func (w *watched) locks() string {
	var b strings.Builder
	b.WriteString(" WHERE true")
	for _, r := range w.relations {
		b.WriteString(" OR EXISTS (SELECT FROM " + r + ")")
	}
	b.WriteString(" OR EXISTS (SELECT FROM pg_catalog.pg_user_mapping)")
	return b.String()
}

// facts are what the server does not count as a part of a relation: a child that
// was attached meanwhile, and another function of a name.
func (w *watched) facts() string {
	var facts []string
	if len(w.parents) > 0 {
		var list []string
		for _, o := range w.parents {
			list = append(list, strconv.FormatUint(uint64(o), 10))
		}
		facts = append(facts, "(SELECT pg_catalog.concat(pg_catalog.count(*), ':', pg_catalog.sum(inhrelid::pg_catalog.int8)) "+
			"FROM pg_catalog.pg_inherits WHERE inhparent IN ("+strings.Join(list, ", ")+"))")
	}
	if len(w.functions) > 0 {
		var list []string
		for _, f := range w.functions {
			list = append(list, quoteLiteral(f))
		}
		facts = append(facts, "(SELECT pg_catalog.concat(pg_catalog.count(*), ':', pg_catalog.sum(oid::pg_catalog.int8)) "+
			"FROM pg_catalog.pg_proc WHERE proname IN ("+strings.Join(list, ", ")+"))")
	}
	return strings.Join(facts, ", ' ', ")
}

// quoteLiteral quotes a value under standard_conforming_strings, which is pinned.
func quoteLiteral(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// join adds what another text rests on.
func (w *watched) join(other *watched) {
	w.relations = unique(append(w.relations, other.relations...))
	w.functions = unique(append(w.functions, other.functions...))
	w.parents = append(w.parents, other.parents...)
	w.operators = w.operators || other.operators
	slices.Sort(w.parents)
	w.parents = slices.Compact(w.parents)
}

// sorted returns a copy in order, so that texts over the same relations ask the same
// question.
func (w *watched) sorted() *watched {
	out := &watched{}
	out.join(w)
	return out
}
