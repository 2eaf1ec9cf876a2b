package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/sallyport-gateway/sallyport/internal/gate"
	"github.com/sallyport-gateway/sallyport/internal/sql/postgres/lex"
	"github.com/sallyport-gateway/sallyport/internal/sql/postgres/parse"
)

// Parser turns canonical text into PostgreSQL's parse tree.
type Parser interface {
	// Parse must be safe for concurrent use. Errors for the agent are
	// *parse.Error.
	Parse(ctx context.Context, canonical string) (*pg_query.ParseResult, error)
}

// Options are what an Inspector knows of its target besides the catalog.
type Options struct {
	// Parser parses texts and the catalog's definitions. Required.
	Parser Parser
	// Database is the name of the target's database: names may be qualified
	// with it.
	Database string
	// Marks are the labelled columns: label → "schema.table.column"
	// (gate.Target.Marks).
	Marks map[string][]string
	// Functions are what was reviewed (gate.Target.Functions):
	//   schema.name(type, type)          one function
	//   schema.name(*)                   all functions of that name
	//   extension NAME                   all functions of an extension
	//   rule NAME on schema.table        a rewrite rule
	//   table schema.name                a foreign table
	// A reviewed function must not return labelled values: they are not masked.
	Functions map[string]gate.Effects
	// Limits bound a text; zero members have the defaults of package lex.
	Limits lex.Limits
}

// Inspector inspects texts for one target, one generation of its documents and
// one catalog snapshot. It is safe for concurrent use.
type Inspector struct {
	cat       *Catalog
	parser    Parser
	database  string
	limits    lex.Limits
	functions map[string]gate.Effects
	labels    *labelTable
	domains   map[oid]*summary
	presets   map[oid]*summary // what the default of a domain does
	fires     map[firing]condition
	writes    map[oid]*summary
	planned   map[oid]*summary
	policies  map[oid]*policySummary
	views     map[oid]*view
	cache     *shapeCache
	fallible  map[oid][]fallible
	labelled  map[string]bool // names of labelled columns
	ordered   map[string]bool // relations whose rows an index could give in the order of labelled values
	// referenced is used while labels propagate.
	referenced map[oid][]oid
}

// Env is the session context that changes what a text means. An Env must not
// change once it was used; sessions share one per combination.
type Env struct {
	// SearchPath are the schemas of the pinned search_path, "$user" resolved.
	SearchPath []string
	// NoUserSchema says that "$user" in a search_path names no schema.
	NoUserSchema bool
	// Database is the name of the session's database.
	Database string
	// StatementTimeout bounds the timeouts that an agent may set; zero lets it
	// set any.
	StatementTimeout time.Duration
	// Temporary are the session's temporary relations; nil means that it has none.
	Temporary *Temporary
}

// Buffer is memory for one session, used again for each text. What an
// Inspection says of a text is valid until the Buffer's next use.
type Buffer struct {
	tokens     lex.Tokens
	key        []byte
	inspection Inspection
}

// Shape is what texts that differ only in harmless literals have in common. It
// is immutable: a decision may be remembered under its pointer.
type Shape struct {
	Facts      *Facts
	Effects    gate.Effects
	Labels     []string
	Statements []Statement
	// Missing are relations and functions that the catalog does not have. If the
	// text is refused, they are likely why: a name is misspelled, or the object
	// is temporary or newer than the snapshot.
	Missing []string
	// Watch is a question that is asked in the transaction in which the text
	// runs, or directly behind it: as long as its answer stays the same, no
	// definition that the text was judged by has changed. Empty for a text that
	// reads none, and for a target without labels. Guard is the same question, to
	// be asked in front: it fails if the answer is not the expected one. See
	// docs/masking-soundness.md.
	Watch, Guard string
	// Steady says that Watch asks for nothing but the server's own notice of changes: it
	// would have to analyse the text anew as well. The text changes no setting.
	Steady bool

	// Parameters are literals in whose place parameters do the same, by their numbers in
	// the text, in order, and ParameterTypes the types to declare for these, four bytes
	// each as a Parse message has them. Kept says that the server can keep the text with
	// them as a prepared statement: what it means depends on no setting.
	Parameters     []int32
	ParameterTypes []byte
	Kept           bool

	// NotNull are numbers of parameters that are not to be NULL where a label is masked: by
	// the outcome one could tell a labelled value.
	NotNull []int32

	watched *watched // nil where nothing is labelled
	// Runs says that functions, triggers or the like of users run, so that more
	// can happen in the session than the text says.
	Runs bool
	// Unordered says that rows could come in the order of an index over labelled
	// columns, so that the text is to be planned without Scans.
	Unordered bool
	// Lasts says that not all of what the text does is taken back with its transaction:
	// sequences, locks of the session, messages.
	Lasts bool
	// Temporaries says that temporary relations may come, go or change.
	Temporaries bool
	// Creations are the temporary tables that the text makes.
	Creations []Creation

	answers []resultLabels
}

// NewInspector resolves the labels and reads every definition of the catalog
// that a statement can run. A label that names nothing is an error with the
// nearest name.
func NewInspector(ctx context.Context, cat *Catalog, o Options) (*Inspector, error) {
	if o.Parser == nil {
		return nil, errors.New("inspector without a parser")
	}
	labels, err := newLabelTable(cat, o.Marks)
	if err != nil {
		return nil, err
	}
	in := &Inspector{
		cat: cat, parser: o.Parser, database: o.Database, limits: o.Limits, labels: labels,
		functions: make(map[string]gate.Effects, len(o.Functions)), domains: map[oid]*summary{}, presets: map[oid]*summary{}, fires: map[firing]condition{},
		writes: map[oid]*summary{}, planned: map[oid]*summary{}, policies: map[oid]*policySummary{}, views: map[oid]*view{}, fallible: map[oid][]fallible{}, cache: newShapeCache(),
	}
	for name, e := range o.Functions {
		in.functions[normalSignature(name)] = e
	}
	if err := in.propagate(ctx); err != nil {
		return nil, err
	}
	if err := in.summarise(ctx); err != nil {
		return nil, err
	}
	in.labelled = in.labelledNames()
	in.orderOfLabels()
	in.labelMissingValues()
	return in, nil
}

// Catalog returns the snapshot that the Inspector works with.
func (in *Inspector) Catalog() *Catalog { return in.cat }

// Inspect says what a text does. The error is an *Error for the agent, or ctx's.
func (in *Inspector) Inspect(ctx context.Context, env *Env, sql string, buf *Buffer) (*Inspection, error) {
	if known, err := in.Recall(env, sql, buf); known != nil || err != nil {
		return known, err
	}
	v, err := in.analyse(ctx, env, &buf.tokens)
	if err != nil {
		return nil, err
	}
	in.cache.put(buf.key, v)
	buf.inspection = Inspection{Shape: v.shape, tokens: &buf.tokens, analysed: v.analysed}
	return &buf.inspection, nil
}

// Recall says what a text does if one of its shape was inspected before, and
// returns nil otherwise. It neither parses nor blocks. The error is an *Error for
// the agent.
func (in *Inspector) Recall(env *Env, sql string, buf *Buffer) (*Inspection, error) {
	t := &buf.tokens
	if err := lex.Scan(t, sql, in.limits); err != nil {
		return nil, lexError(err)
	}
	buf.key = env.appendKey(buf.key[:0])
	buf.key = t.AppendShape(buf.key)
	v := in.cache.find(buf.key, t)
	if v == nil {
		return nil, nil
	}
	buf.inspection = Inspection{Shape: v.shape, tokens: t, analysed: v.analysed}
	return &buf.inspection, nil
}

func (e *Env) appendKey(dst []byte) []byte {
	dst = append(append(dst, e.Database...), 0)
	for _, s := range e.SearchPath {
		dst = append(append(dst, s...), 0)
	}
	if e.NoUserSchema {
		dst = append(dst, 2)
	}
	dst = append(dst, 1)
	for t := uint64(e.StatementTimeout); t > 0; t >>= 8 {
		dst = append(dst, byte(t))
	}
	dst = e.Temporary.appendKey(append(dst, 0))
	return append(dst, 1)
}

func lexError(err error) error {
	var e *lex.Error
	if errors.As(err, &e) {
		return &Error{SQLSTATE: e.Code, Message: e.Message, Hint: e.Hint, Position: e.Position}
	}
	return err
}

// analyse parses and reads a text that is not in the cache.
func (in *Inspector) analyse(ctx context.Context, env *Env, t *lex.Tokens) (*variant, error) {
	tree, err := in.parser.Parse(ctx, t.Canonical())
	if err != nil {
		var e *parse.Error
		if errors.As(err, &e) {
			return nil, &Error{SQLSTATE: e.Code, Message: e.Message, Position: t.SourcePosition(e.Position)}
		}
		return nil, fmt.Errorf("parse: %w", err)
	}
	a := &analysis{in: in, env: env, tokens: t}
	a.usesEverything()
	for _, s := range tree.GetStmts() {
		a.from, a.to = statementTokens(t, s)
		a.statement(s.GetStmt())
	}
	if len(tree.GetStmts()) == 0 {
		a.add(gate.EffectRead)
	}
	a.guardTemporary()
	if a.effects.Has(gate.EffectSchema) {
		a.eventTriggers()
	}
	v := a.variant()
	v.shape.Unordered = a.unordered(tree.GetStmts())
	a.parameters(v.shape)
	return v, nil
}

// statementTokens returns the tokens of one statement of a text.
func statementTokens(t *lex.Tokens, s *pg_query.RawStmt) (from, to int) {
	from = t.TokenAt(int(s.GetStmtLocation()))
	if s.GetStmtLen() == 0 {
		return from, t.Len()
	}
	return from, t.TokenAt(int(s.GetStmtLocation() + s.GetStmtLen()))
}

// variant freezes what the analysis found.
func (a *analysis) variant() *variant {
	if a.effects == 0 {
		a.unknown()
	}
	v := &variant{
		shape: &Shape{Facts: a.facts.facts(), Effects: a.effects, Labels: a.in.labels.list(a.labels), Statements: a.statements, Missing: unique(a.absent),
			Runs: a.runs, Lasts: a.lasting(), Temporaries: a.temporaries, Creations: a.creations, NotNull: a.notNull, answers: a.answers},
		analysed: &analysed{in: a.in, edits: a.edits, always: len(a.pins) > 0 || slices.ContainsFunc(a.edits, func(e edit) bool { return e.always }),
			pins: a.pins, costly: a.costly, refusals: a.refusals, labels: a.labels, secrets: a.secrets},
	}
	if a.in.labels.all != 0 {
		v.shape.watched = a.watched.sorted()
		v.shape.watch()
	}
	seen := map[int32]bool{}
	note := func(n int) {
		if !seen[int32(n)] {
			seen[int32(n)] = true
			v.literals = append(v.literals, int32(n))
			v.values = append(v.values, string(a.tokens.Text(int(a.tokens.Literals()[n]))))
		}
	}
	slots := a.tokens.Literals()
	if a.allExact {
		for n := range slots {
			note(n)
		}
		return v
	}
	for _, at := range a.literals {
		token, found := int32(a.tokens.TokenAt(int(at))), false
		for n, slot := range slots {
			if slot == token || slot == token+1 { // a sign belongs to the constant
				note(n)
				found = true
			}
		}
		if !found { // true, false or NULL; or a place that is not known
			for n := range slots {
				note(n)
			}
		}
	}
	return v
}

// Combine returns what a statement that runs another does: EXECUTE, FETCH and
// MOVE with the statements behind their names.
func Combine(shapes ...*Shape) *Shape {
	out := &Shape{}
	var f factSet
	understood := true
	for i, s := range shapes {
		if s == nil {
			understood = false
			out.Effects |= gate.EffectUnknown
			out.Unordered = true
			continue
		}
		out.Effects |= s.Effects
		if s.Effects == 0 {
			out.Effects |= gate.EffectUnknown
		}
		out.Labels = append(out.Labels, s.Labels...)
		out.Missing = append(out.Missing, s.Missing...)
		if s.watched != nil {
			if out.watched == nil {
				out.watched = &watched{}
			}
			out.watched.join(s.watched)
		}
		out.Creations = append(out.Creations, s.Creations...)
		out.answers = append(out.answers, s.answers...)
		out.Runs, out.Lasts = out.Runs || s.Runs, out.Lasts || s.Lasts
		out.Temporaries, out.Unordered = out.Temporaries || s.Temporaries, out.Unordered || s.Unordered
		if i == 0 {
			out.Statements = s.Statements
		}
		x := s.Facts
		f.statements = append(f.statements, x.Statements...)
		f.tables = append(f.tables, x.Tables...)
		f.written = append(f.written, x.Written...)
		f.columns = append(f.columns, x.Columns...)
		f.functions = append(f.functions, x.Functions...)
		f.settings = append(f.settings, x.Settings...)
		f.unreviewed = append(f.unreviewed, x.Unreviewed...)
		f.unbounded = f.unbounded || x.Unbounded
		understood = understood && x.Understood
	}
	f.notUnderstood = !understood
	out.Facts = f.facts()
	if len(shapes) > 0 && shapes[0] != nil {
		out.Facts.Verb, out.Facts.Temporary = shapes[0].Facts.Verb, shapes[0].Facts.Temporary
	}
	out.Labels = unique(out.Labels)
	out.watch()
	return out
}
