package postgres

import (
	"context"
	"fmt"
	"slices"
	"strings"

	pg_query "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/sallyport-gateway/sallyport/internal/gate"
	"github.com/sallyport-gateway/sallyport/internal/sql/postgres/lex"
)

// summary is what a definition of the catalog does when it runs. A nil summary
// does nothing.
type summary struct {
	effects       gate.Effects
	functions     []string
	tables        []string
	unreviewed    []string
	notUnderstood bool
	refused       bool // it can show labelled values that cannot be masked
	runs          bool // code of users, see analysis.runs
}

// include adds what a definition does to the text that runs it.
func (a *analysis) include(s *summary) {
	if s == nil {
		return
	}
	a.add(s.effects)
	a.facts.functions = append(a.facts.functions, s.functions...)
	a.facts.tables = append(a.facts.tables, s.tables...)
	a.facts.unreviewed = append(a.facts.unreviewed, s.unreviewed...)
	a.facts.notUnderstood = a.facts.notUnderstood || s.notUnderstood
	a.runs = a.runs || s.runs
	if s.refused {
		a.refuseAll(strings.Join(s.unreviewed, ", "), "was not reviewed, so what it shows cannot be traced", "ask for a review")
	}
}

// summary returns what the analysis of a definition found; nil if it is
// harmless.
func (a *analysis) summary() *summary {
	s := &summary{
		effects: a.effects &^ gate.EffectRead, functions: unique(a.facts.functions), tables: unique(a.facts.tables),
		unreviewed: unique(a.facts.unreviewed), notUnderstood: a.facts.notUnderstood, refused: a.opaque, runs: a.runs,
	}
	if s.effects == 0 && !s.refused && !s.runs && len(s.tables) == 0 {
		return nil
	}
	return s
}

// defining is an analysis of definitions, in which names are qualified.
func (in *Inspector) defining() *analysis {
	return &analysis{in: in, env: &Env{Database: in.database}, outside: true}
}

// parseDefinition parses text of the catalog.
func (in *Inspector) parseDefinition(ctx context.Context, sql string) (*pg_query.Node, error) {
	var tokens lex.Tokens
	if err := lex.Scan(&tokens, sql, lex.Limits{}); err != nil {
		return nil, err
	}
	tree, err := in.parser.Parse(ctx, tokens.Canonical())
	if err != nil {
		return nil, err
	}
	if len(tree.GetStmts()) != 1 {
		return nil, fmt.Errorf("%d statements in a definition", len(tree.GetStmts()))
	}
	return tree.GetStmts()[0].GetStmt(), nil
}

// expression reads an expression of the catalog over the columns of a relation.
func (in *Inspector) expression(ctx context.Context, a *analysis, what, expr string, rel *Relation) taint {
	n, err := in.parseDefinition(ctx, "SELECT ("+expr+")")
	if err != nil {
		if ctx.Err() == nil {
			a.unreviewed(what + " (cannot be read)")
			a.opaque = true
		}
		return taint{labels: in.labels.all}
	}
	sc := &scope{}
	if rel != nil {
		it := &item{alias: rel.name, cols: a.relationColumns(rel), rel: rel}
		sc.items = append(sc.items, it)
		// Policies and triggers name rows in these ways.
		for _, alias := range []string{"new", "old"} {
			sc.items = append(sc.items, &item{alias: alias, cols: it.cols})
		}
	} else {
		sc.items = append(sc.items, &item{alias: "value", open: true, hidden: true})
	}
	targets := n.GetSelectStmt().GetTargetList()
	if len(targets) != 1 {
		a.unknown()
		return taint{labels: in.labels.all}
	}
	return a.expr(targets[0].GetResTarget().GetVal(), sc, useTarget)
}

// summarise reads every definition of the catalog that can run.
func (in *Inspector) summarise(ctx context.Context) error {
	for o, t := range in.cat.types {
		if t.preset != "" && !plainDefault(t.preset) {
			a := in.defining()
			in.expression(ctx, a, "the default of domain "+t.schema+"."+t.name, t.preset, nil)
			if s := a.summary(); s != nil {
				in.presets[o] = s
			}
		}
		if len(t.checks) == 0 {
			continue
		}
		a := in.defining()
		for _, c := range t.checks {
			in.expression(ctx, a, "domain "+t.schema+"."+t.name, c, nil)
		}
		if s := a.summary(); s != nil {
			in.domains[o] = s
		}
	}
	for o, rel := range in.cat.relations {
		if rel.more == nil || rel.isSystem() {
			continue
		}
		in.policiesOf(ctx, rel, 0)
		in.summariseRelation(ctx, o, rel)
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("read definitions: %w", err)
		}
	}
	for _, rel := range in.cat.relations {
		if rel.isView() && !rel.isSystem() {
			in.viewOf(ctx, rel, 0)
		}
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("read definitions: %w", err)
	}
	return nil
}

// policySummary is what the row-level security of a relation does. The
// existence of its rows depends on control.
type policySummary struct {
	summary *summary
	control labelSet
	asks    bool        // whether something labelled is null
	bases   []*Relation // what it reads besides its own relation
}

// policiesOf reads a relation's policies, once. One that comes back to its own
// relation is an error of PostgreSQL, or runs with other rights through a view:
// its rows can depend on everything.
func (in *Inspector) policiesOf(ctx context.Context, rel *Relation, depth int) *policySummary {
	p, ok := in.policies[rel.oid]
	if ok || !rel.rls || len(rel.extras().policies) == 0 {
		return p
	}
	p = &policySummary{control: in.labels.all}
	in.policies[rel.oid] = p
	a := in.defining()
	in.nest(ctx, a, depth)
	a.onRelation = func(r *Relation) { p.bases = append(p.bases, r) }
	var control labelSet
	for _, x := range rel.extras().policies {
		for _, e := range x.exprs {
			control |= in.expression(ctx, a, "policy "+x.name+" on "+rel.Name(), e, rel).labels
		}
	}
	p.control, p.summary, p.asks = control|a.control|a.forced, a.summary(), a.asks
	return p
}

// nest lets the analysis of a definition read other definitions, which may not
// have been read yet.
func (in *Inspector) nest(ctx context.Context, a *analysis, depth int) {
	a.onView = func(inner *Relation) *view { return in.viewOf(ctx, inner, depth+1) }
	a.onPolicies = func(inner *Relation) *policySummary {
		if depth > maxViewDepth {
			a.unknown()
			return &policySummary{control: in.labels.all}
		}
		return in.policiesOf(ctx, inner, depth+1)
	}
}

func (in *Inspector) summariseRelation(ctx context.Context, o oid, rel *Relation) {
	a := in.defining()
	for _, e := range rel.more.defaults {
		if !plainDefault(e) {
			in.expression(ctx, a, "a default of "+rel.Name(), e, rel)
		}
	}
	for _, c := range rel.more.checks {
		in.expression(ctx, a, "check "+c.name+" of "+rel.Name(), c.expr, rel)
	}
	for _, x := range rel.more.indexes {
		for _, e := range x.exprs {
			// Index expressions are printed as a list.
			in.expression(ctx, a, "index "+x.name, "ROW("+e+")", rel)
			in.mayFail(ctx, rel, "the index "+x.name, "ROW("+e+")")
		}
	}
	for i := range rel.columns {
		if c := &rel.columns[i]; c.generated {
			in.mayFail(ctx, rel, "the generated column "+c.name, rel.more.defaults[c.num])
		}
	}
	for _, table := range in.partitionedTables(rel) {
		if e := table.extras().partition.expressions(); e != "" {
			in.expression(ctx, a, "the partition key of "+table.Name(), e, table)
		}
	}
	for _, t := range rel.more.triggers {
		if t.when == "" {
			continue
		}
		n, err := in.parseDefinition(ctx, t.when)
		if w := n.GetCreateTrigStmt().GetWhenClause(); err == nil && w != nil {
			a.expr(w, &scope{items: []*item{{open: true, hidden: true}}}, useTarget)
			in.fires[firing{o, t.name}] = in.conditionOf(w, rel)
		} else {
			a.unreviewed("trigger " + t.name + " (cannot be read)")
			in.fires[firing{o, t.name}] = condition{always: in.labels.of(rel).any()}
		}
	}
	if s := a.summary(); s != nil {
		in.writes[o] = s
	}
	in.planning(ctx, o, rel)
}

// partitionedTables are those by whose keys the rows of a relation lie where they do: it
// itself and the tables that it is a partition of.
func (in *Inspector) partitionedTables(rel *Relation) []*Relation {
	var tables []*Relation
	for depth := 0; rel != nil && depth < maxViewDepth; depth++ {
		more := rel.extras()
		if more.partition != nil {
			tables = append(tables, rel)
		}
		if len(more.parents) != 1 { // a partition has one
			break
		}
		rel = in.cat.relations[more.parents[0]]
	}
	return tables
}

// expressions are those of the key, as an expression; empty if it has none.
func (k *partitionKey) expressions() string {
	if k.exprs == "" {
		return ""
	}
	return "ROW(" + k.exprs + ")" // printed as a list
}

// planning reads what the server computes when it plans any statement over a relation:
// what its indexes, checks, partition keys and extended statistics call with constants
// alone (RelationGetIndexPredicate in utils/cache/relcache.c, get_relation_constraints and
// get_relation_statistics in optimizer/util/plancat.c, RelationBuildPartitionKey in
// utils/cache/partcache.c), and what their operator classes call: an operator of
// PostgreSQL itself can be an index's by a function of users.
func (in *Inspector) planning(ctx context.Context, o oid, rel *Relation) {
	if len(in.cat.funcByOID) == 0 {
		return
	}
	var exprs []string
	for _, c := range rel.more.checks {
		exprs = append(exprs, c.expr)
	}
	for _, x := range rel.more.indexes {
		for _, e := range x.exprs {
			exprs = append(exprs, "ROW("+e+")")
		}
	}
	for _, table := range in.partitionedTables(rel) {
		if e := table.extras().partition.expressions(); e != "" {
			exprs = append(exprs, e)
		}
	}
	definitions := slices.Clone(rel.more.statistics)
	for _, e := range exprs {
		definitions = append(definitions, "SELECT ("+e+")")
	}
	a := in.defining()
	for _, d := range definitions {
		n, err := in.parseDefinition(ctx, d)
		if err != nil {
			if ctx.Err() == nil {
				a.unreviewed("a definition of " + rel.Name() + " (cannot be read)")
				a.opaque = true
			}
			continue
		}
		walkSides(n.ProtoReflect(), func(m protoreflect.Message) bool {
			switch v := m.Interface().(type) {
			case *pg_query.FuncCall, *pg_query.A_Expr, *pg_query.TypeCast:
				if !variable(m) {
					a.constantExpr(v)
					return false
				}
			}
			return true
		})
	}
	support := rel.more.support
	for _, table := range in.partitionedTables(rel) {
		support = slices.Concat(support, table.extras().support)
	}
	for _, f := range support {
		a.functionOID(f)
	}
	if s := a.summary(); s != nil {
		in.planned[o] = s
	}
}

// constantExpr reads an expression that is a constant.
func (a *analysis) constantExpr(v any) {
	n := &pg_query.Node{}
	switch e := v.(type) {
	case *pg_query.FuncCall:
		n.Node = &pg_query.Node_FuncCall{FuncCall: e}
	case *pg_query.A_Expr:
		n.Node = &pg_query.Node_AExpr{AExpr: e}
	case *pg_query.TypeCast:
		n.Node = &pg_query.Node_TypeCast{TypeCast: e}
	}
	a.expr(n, &scope{}, useTarget)
}

// planned adds what planning a statement over a relation, or its children, computes.
func (a *analysis) planned(rel *Relation, depth int) {
	a.include(a.in.planned[rel.oid])
	for _, o := range rel.extras().children {
		if child := a.in.cat.relations[o]; child != nil && depth < maxViewDepth {
			a.planned(child, depth+1)
		}
	}
}

// mayFail remembers an expression over labelled columns that is not known to give
// a value for all of theirs.
func (in *Inspector) mayFail(ctx context.Context, rel *Relation, what, expr string) {
	if in.labels.of(rel).any() == 0 {
		return
	}
	a := in.defining()
	if in.expression(ctx, a, what, expr, rel); a.forced != 0 || a.opaque {
		in.fallible[rel.oid] = append(in.fallible[rel.oid], fallible{what, expr})
	}
}

// plainDefault is a default of a serial or identity column, or a constant: most
// of them, and not worth a parse.
func plainDefault(e string) bool {
	return !strings.ContainsAny(e, "(") || strings.HasPrefix(e, "nextval('") && strings.HasSuffix(e, "'::regclass)")
}

// view is what reading a view does and shows.
type view struct {
	summary *summary
	cols    []labelSet // by output column
	src     []string
	plain   []bool      // a column of a table as it is
	control labelSet    // what the existence of rows depends on
	forced  labelSet    // the part of it that holds even for a view in a sub-query
	bases   []*Relation // what its definition reads directly
	asks    bool        // whether something labelled is null
	touches labelSet    // of columns of bases that the text of its definition can name
	// simple are the columns of the only table that a plain view shows, by output
	// column, 0 for what is computed; nil if the view is not plain. Writing to a
	// plain view writes these columns of the table.
	simple []int16
}

// baseColumns are the columns of a plain view's table that get values when some
// of the view's get some, or all of them; nil if it is not known.
func (v *view) baseColumns(rel *Relation, columns []int16) []int16 {
	if v.simple == nil || len(v.simple) != len(rel.columns) {
		return nil
	}
	out := []int16{}
	for i := range rel.columns {
		if v.simple[i] != 0 && (columns == nil || slices.Contains(columns, rel.columns[i].num)) {
			out = append(out, v.simple[i])
		}
	}
	return out
}

// simpleColumns are those of a view that PostgreSQL lets write to by itself
// (PostgreSQL documentation, CREATE VIEW, "Updatable Views").
func simpleColumns(s *pg_query.SelectStmt, bases []*Relation) []int16 {
	from := s.GetFromClause()
	if len(bases) != 1 || len(from) != 1 || from[0].GetRangeVar() == nil || len(from[0].GetRangeVar().GetAlias().GetColnames()) > 0 || s.GetOp() > pg_query.SetOperation_SETOP_NONE || s.GetWithClause() != nil ||
		len(s.GetDistinctClause())+len(s.GetGroupClause())+len(s.GetWindowClause())+len(s.GetValuesLists()) > 0 || s.GetHavingClause() != nil ||
		s.GetLimitCount() != nil || s.GetLimitOffset() != nil {
		return nil
	}
	out := make([]int16, 0, len(s.GetTargetList()))
	for _, n := range s.GetTargetList() {
		fields := n.GetResTarget().GetVal().GetColumnRef().GetFields()
		num := int16(0)
		if len(fields) > 0 {
			if fields[len(fields)-1].GetAStar() != nil {
				return nil
			}
			if c := bases[0].column(fields[len(fields)-1].GetString_().GetSval()); c != nil {
				num = c.num
			}
		}
		out = append(out, num)
	}
	return out
}

// namedIn returns the labels of a relation's columns that a definition, as
// PostgreSQL prints it, can name: it writes stars out, and whole rows as stars.
func (in *Inspector) namedIn(definition string, rel *Relation) labelSet {
	var set labelSet
	labels := in.labels.of(rel)
	for i := range rel.columns {
		c := &rel.columns[i]
		if definitionNames(definition, c.name) {
			set |= labels.column(c.num)
		}
	}
	return set
}

// viewOf reads a view's definition, once.
func (in *Inspector) viewOf(ctx context.Context, rel *Relation, depth int) *view {
	if v := in.views[rel.oid]; v != nil {
		return v
	}
	a := in.defining()
	v := &view{}
	n, err := in.parseDefinition(ctx, rel.extras().definition)
	if err != nil || n.GetSelectStmt() == nil || depth > maxViewDepth {
		a.unreviewed("view " + rel.Name() + " (cannot be read)")
		v.control, v.forced = in.labels.all, in.labels.all
		a.opaque = true
	} else {
		in.nest(ctx, a, depth)
		a.onRelation = func(r *Relation) { v.bases = append(v.bases, r) }
		for _, c := range a.selectStmt(n.GetSelectStmt(), nil) {
			v.cols = append(v.cols, c.labels)
			v.src = append(v.src, c.src)
			v.plain = append(v.plain, c.plain)
		}
		v.control, v.forced, v.asks = a.control|a.forced, a.forced, a.asks
		v.simple = simpleColumns(n.GetSelectStmt(), v.bases)
	}
	for _, base := range v.bases {
		v.touches |= in.namedIn(rel.extras().definition, base)
	}
	v.summary = a.summary()
	if ctx.Err() == nil {
		in.views[rel.oid] = v
		in.labels.setView(rel, v)
	}
	return v
}
