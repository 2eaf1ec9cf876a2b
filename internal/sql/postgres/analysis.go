package postgres

import (
	"slices"
	"strings"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/sallyport-gateway/sallyport/internal/gate"
	"github.com/sallyport-gateway/sallyport/internal/sql/postgres/lex"
)

// maxWalk bounds how deep the analysis recurses, views within views included.
// The lexer bounds the tree of one text far below it.
const maxWalk = 10_000

// maxSteps bounds the work that goes beyond reading each node of a text once:
// recursive WITH queries are read again until their labels settle, and they
// nest.
const maxSteps = 50_000

// maxViewDepth bounds views within views; PostgreSQL itself has no such limit.
const maxViewDepth = 64

// analysis looks at one text. It reads values of literals only through
// constant and exact, which note the literal: everything else it finds is a
// function of the shape, and the shape cache rests on that.
type analysis struct {
	in     *Inspector
	env    *Env
	tokens *lex.Tokens // nil inside definitions read from the catalog

	facts      factSet
	effects    gate.Effects
	statements []Statement
	edits      []edit
	editAt     map[tokenSpan]int // in edits
	refusals   []refusal
	labels     labelSet
	control    labelSet // labels that the existence of rows depends on
	forced     labelSet // in definitions: labels that success or the number of rows depends on, wherever they stand

	literals  []int32 // byte offsets of constants whose values mattered
	allExact  bool    // every literal matters
	compares  []parameter
	present   present // of the UPDATE that is read
	notNull   []int32 // parameters
	preparing bool    // in PREPARE, whose parameters nobody binds
	sized     string  // the function that tells how what it is given is stored, among whose arguments this is

	ranges        []rangeUse // labelled relations that are read
	names         []tokenSpan
	from, to      int // the tokens of the statement being read
	joinAlias     bool
	systemColumns []systemColumn
	explain       explainMode
	plans         bool                  // EXPLAIN without ANALYZE: nothing runs but what planning runs
	costly        labelSet              // labels of relations whose costs EXPLAIN shows
	beneath       labelSet              // labels that the definitions of their views name
	reached       labelSet              // labels that the statement's tokens name
	explaining    *pg_query.ExplainStmt // shows costs
	onlyReads     bool                  // and explains a query
	planning      string                // options that take back those by which it measures planning
	depth         int
	work          int                   // names compared
	again         int                   // inside this many repeated readings
	steps         int                   // in repeated readings
	outside       bool                  // reading a definition: no edits, no refusals
	session       bool                  // a definition of the session's own, which can name its temporary relations
	opaque        bool                  // something shows what cannot be traced
	asks          bool                  // a definition asks whether something labelled is null
	onView        func(*Relation) *view // while definitions are read
	onRelation    func(*Relation)
	onPolicies    func(*Relation) *policySummary
	typeSeen      map[oid]bool
	seen          map[int32]bool // places of relations that were read or changed
	secrets       []tokenSpan
	absent        []string
	pins          []pin
	watched       watched
	runs          bool // code of users runs, which finds relations by the search path
	lasts         bool // how many rows it writes, a sequence tells
	temporaries   bool // temporary relations may come, go or change
	creations     []Creation
	answers       []resultLabels
	made          map[string]*Relation                 // temporary tables made in the text, by name
	boundQueries  map[*pg_query.SelectStmt]*boundQuery // queries that were looked at for what they bound
}

type explainMode uint8

const (
	explainNone  explainMode = iota
	explainPlain             // shows timings, or costs of what cannot be left out
	explainCosts             // shows costs
	explainBare              // COSTS OFF and not ANALYZE
)

// edit is a place where the text changes once the masks are known.
type edit struct {
	from, to int // tokens
	pieces   []editPiece
	labels   labelSet // the edit applies if one of these is masked
	always   bool     // or if this is set
}

// editPiece is text, or masked columns, or the order of what these show.
type editPiece struct {
	text    string
	columns []maskedColumn
	scope   string // prefix of the columns, with its dot
	order   []maskedColumn
}

// maskedColumn is a column in a select list.
type maskedColumn struct {
	column *Column
	labels labelSet // of the column and of its parts
	whole  labelSet // of the column
	parts  []labelPart
	// computed: even whether it is null says something; a mask does not look.
	computed bool
	shown    *shownRows // see columnLabels
	alone    bool       // the same
	as       string     // empty for the column's own name
}

// refusal is a use of labels that cannot be masked.
type refusal struct {
	labels labelSet
	what   string // the column or object, "public.customers.ssn"
	use    string // "in WHERE"
	hint   string
	equal  bool // a token would do: only which values are equal matters
}

// factSet collects facts.
type factSet struct {
	statements, tables, written, columns, functions, settings, unreviewed []string
	unbounded, notUnderstood, created, createdPermanent                   bool
}

func (f *factSet) facts() *Facts {
	verb := ""
	if len(f.statements) > 0 {
		verb = f.statements[0]
	}
	tables := unique(f.tables)
	var schemas []string
	for _, t := range tables {
		schema, _, _ := strings.Cut(t, ".")
		schemas = append(schemas, schema)
	}
	return &Facts{
		Verb: verb, Statements: unique(f.statements), Schemas: unique(schemas), Tables: tables,
		Written: unique(f.written), Columns: unique(f.columns), Functions: unique(f.functions),
		Settings: unique(f.settings), Unreviewed: unique(f.unreviewed), Understood: !f.notUnderstood,
		Unbounded: f.unbounded, Temporary: f.created && !f.createdPermanent,
	}
}

// unique sorts a copy and drops duplicates. It never returns nil.
func unique(list []string) []string {
	out := slices.Clone(list)
	slices.Sort(out)
	out = slices.Compact(out)
	if out == nil {
		out = []string{}
	}
	return out
}

// add adds effects.
func (a *analysis) add(e gate.Effects) { a.effects |= e }

// unknown marks what was not understood at all. What stands below it was not
// read, so nothing of the text can be trusted to be masked.
func (a *analysis) unknown() {
	a.effects |= gate.EffectUnknown
	if !a.facts.notUnderstood {
		a.facts.notUnderstood = true
		a.refuseAll("a part of the statement", "is not understood", "write it in a simpler way")
	}
}

// unreviewed marks an object that can run and that nobody reviewed.
func (a *analysis) unreviewed(what string) {
	a.effects |= gate.EffectUnknown
	a.facts.unreviewed = append(a.facts.unreviewed, what)
}

// exact makes every literal of the text part of the shape.
func (a *analysis) exact() { a.allExact = true }

// constant returns the value of a constant and makes it part of the shape.
func (a *analysis) constant(c *pg_query.A_Const) constant {
	a.literals = append(a.literals, c.GetLocation())
	switch v := c.GetVal().(type) {
	case *pg_query.A_Const_Ival:
		return constant{kind: 'i', i: int64(v.Ival.GetIval())}
	case *pg_query.A_Const_Fval:
		return constant{kind: 'f', s: v.Fval.GetFval()}
	case *pg_query.A_Const_Sval:
		return constant{kind: 's', s: v.Sval.GetSval()}
	case *pg_query.A_Const_Boolval:
		return constant{kind: 'b', b: v.Boolval.GetBoolval()}
	}
	if c.GetIsnull() {
		return constant{kind: 'n'}
	}
	return constant{}
}

// constant is a constant's value; kind 0 is one that was not read.
type constant struct {
	kind byte // i, f, s, b, n
	i    int64
	s    string
	b    bool
}

// refuse notes a use that cannot be masked.
func (a *analysis) refuse(l labelSet, what, use, hint string) {
	if l == 0 || a.outside {
		return
	}
	a.labels |= l
	a.refusals = append(a.refusals, refusal{labels: l, what: what, use: use, hint: hint})
}

// misused notes such a use of a column or of an expression.
func (a *analysis) misused(l labelSet, what string, u use) {
	n := len(a.refusals)
	a.refuse(l, what, u.text, u.hint)
	if len(a.refusals) > n {
		a.refusals[n].equal = u.equal
	}
}

// refuseAll notes something that can show any labelled value.
func (a *analysis) refuseAll(what, why, hint string) {
	a.opaque = true
	a.refuse(a.in.labels.all, what, why, hint)
}

// enter bounds the recursion.
func (a *analysis) enter() bool {
	if a.again > 0 {
		a.steps++
	}
	if a.depth >= maxWalk || a.steps > maxSteps {
		a.unknown()
		return false
	}
	a.depth++
	return true
}

func (a *analysis) leave() { a.depth-- }

// strs returns the strings of a list of String nodes.
func strs(nodes []*pg_query.Node) []string {
	out := make([]string, 0, len(nodes))
	for _, n := range nodes {
		out = append(out, n.GetString_().GetSval())
	}
	return out
}
