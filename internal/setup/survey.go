package setup

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/sallyport-gateway/sallyport/internal/gate"
)

// Known is what documents say of a target already.
type Known struct {
	// Reviewed are the reviewed functions: signature → effect.
	Reviewed map[string]gate.Effects
	// Labelled are the labelled places: schema.table.column, and what follows.
	Labelled []string
}

// Item is one object of a target that needs a person's eye.
type Item struct {
	// Kind is function, extension, operator, cast, type, trigger, event trigger, rule, policy,
	// view, foreign table, index or column.
	Kind string `json:"kind"`
	// Object is its name, or its signature as reviews use it.
	Object string `json:"object"`
	// Why says what it can do to a decision.
	Why string `json:"why"`
	// Review is what a document of kind Functions would say of it; empty where
	// none settles it.
	Review string `json:"review,omitempty"`
	// Label is the label that its name suggests; empty for all but columns.
	Label string `json:"label,omitempty"`
	// Note is what a reader wants to know first: language, volatility, what it
	// is on.
	Note string `json:"note,omitempty"`
}

// View is a view of the target, for whoever can trace what it shows.
type View struct {
	// Identity is its quoted name, Object the plain one.
	Identity, Object string
}

// Inventory is what a target holds that nobody has reviewed.
type Inventory struct {
	Items []Item
	// Views are all views and materialised views, reviewed or not.
	Views []View
}

// Survey reads what of a target is unreviewed.
func Survey(ctx context.Context, q Querier, k Known) (*Inventory, error) {
	s := &surveyor{r: begin(ctx, q), reviewed: normalReviews(k.Reviewed), labelled: map[string]bool{}, out: &Inventory{}}
	for _, path := range k.Labelled {
		if parts := splitPath(path); len(parts) >= 3 {
			s.labelled[strings.Join(parts[:3], "\x00")] = true
		}
	}
	for _, step := range []func(context.Context){s.functions, s.operators, s.casts, s.types, s.triggers, s.eventTriggers, s.rules, s.policies, s.foreign, s.indexes, s.columns, s.views} {
		step(ctx)
	}
	if err := s.r.end(ctx); err != nil {
		return nil, err
	}
	return s.out, nil
}

type surveyor struct {
	r        *reader
	reviewed map[string]gate.Effects
	labelled map[string]bool
	out      *Inventory
}

func (s *surveyor) add(i Item) { s.out.Items = append(s.out.Items, i) }

// userSchema is the condition that leaves out PostgreSQL's own schemas.
const userSchema = `n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'`

// signature is an expression for the name under which function p of schema n is
// reviewed.
func signature(n, p string) string {
	return fmt.Sprintf("%s.nspname || '.' || %s.proname || '(' || oidvectortypes(%s.proargtypes) || ')'", n, p, p)
}

func (s *surveyor) unreviewed(signature, extension string) bool {
	_, ok := review(s.reviewed, signature, extension)
	return !ok
}

// suggested is the effect that a suggested review gives: a policy that allows
// reading does not allow it, until somebody has read the function and changed it.
const suggested = "execute"

func (s *surveyor) functions(ctx context.Context) {
	extensions := map[string]int{}
	s.r.rows(ctx, "functions", 6, `SELECT `+signature("n", "p")+`, `+fmt.Sprintf(inExtension, "pg_proc", "p")+`, l.lanname, p.provolatile, p.prosecdef, p.prokind
		FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace JOIN pg_catalog.pg_language l ON l.oid = p.prolang
		WHERE p.oid >= 16384 AND `+userSchema+` AND p.prorettype NOT IN ('pg_catalog.trigger'::pg_catalog.regtype, 'pg_catalog.event_trigger'::pg_catalog.regtype)
		ORDER BY 1`, func(f []string) error {
		if !s.unreviewed(f[0], f[1]) {
			return nil
		}
		if f[1] != "" {
			extensions[f[1]]++
			return nil
		}
		note := f[2] + ", " + volatility(f[3])
		why := "a statement that calls it is refused: its code can read and change anything that its caller may"
		if f[4] == "t" {
			note += ", SECURITY DEFINER"
			why = "a statement that calls it is refused: it runs with its owner's rights"
		}
		s.add(Item{Kind: routineKind(f[5]), Object: f[0], Why: why, Review: suggested, Note: note})
		return nil
	})
	var names []string
	for name := range extensions {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		why := "its functions, operators and casts are refused until it is reviewed as a whole"
		if reaching(name) {
			why = "its functions reach other servers, files or programs from inside the database: review single functions only"
		}
		s.add(Item{Kind: "extension", Object: "extension " + name, Why: why, Review: suggested, Note: fmt.Sprintf("%d functions", extensions[name])})
	}
}

func routineKind(prokind string) string {
	switch prokind {
	case "p":
		return "procedure"
	case "a":
		return "aggregate"
	case "w":
		return "window function"
	default:
		return "function"
	}
}

func volatility(v string) string {
	switch v {
	case "i":
		return "declared immutable"
	case "s":
		return "declared stable"
	default:
		return "volatile"
	}
}

// through lists objects that call a function which nobody reviewed.
func (s *surveyor) through(ctx context.Context, kind, why, sql string) {
	s.r.rows(ctx, kind+"s", 3, sql, func(f []string) error {
		if s.unreviewed(f[1], f[2]) && f[2] == "" {
			s.add(Item{Kind: kind, Object: f[0], Why: why, Note: "runs " + f[1]})
		}
		return nil
	})
}

const withFunction = `JOIN pg_catalog.pg_proc p ON p.oid = %s JOIN pg_catalog.pg_namespace pn ON pn.oid = p.pronamespace`

func (s *surveyor) operators(ctx context.Context) {
	s.through(ctx, "operator", "an operator is a function call that does not look like one: review the function",
		`SELECT n.nspname || '.' || o.oprname || '(' || CASE WHEN o.oprleft = 0 THEN 'NONE' ELSE format_type(o.oprleft, NULL) END || ',' || format_type(o.oprright, NULL) || ')', `+
			signature("pn", "p")+`, `+fmt.Sprintf(inExtension, "pg_operator", "o")+` FROM pg_catalog.pg_operator o JOIN pg_catalog.pg_namespace n ON n.oid = o.oprnamespace `+
			`JOIN pg_catalog.pg_proc p ON p.oid IN (o.oprcode, o.oprrest, o.oprjoin) JOIN pg_catalog.pg_namespace pn ON pn.oid = p.pronamespace WHERE o.oid >= 16384 AND p.oid >= 16384 ORDER BY 1, 2`)
	s.through(ctx, "operator family", "values of PostgreSQL's own types can be compared by it where no operator is named: review the function",
		`SELECT DISTINCT n.nspname || '.' || f.opfname || ' USING ' || m.amname, `+signature("pn", "p")+`, `+fmt.Sprintf(inExtension, "pg_opfamily", "f")+` FROM pg_catalog.pg_opfamily f
		JOIN pg_catalog.pg_namespace n ON n.oid = f.opfnamespace JOIN pg_catalog.pg_am m ON m.oid = f.opfmethod JOIN pg_catalog.pg_amproc a ON a.amprocfamily = f.oid
		JOIN pg_catalog.pg_proc p ON p.oid = a.amproc JOIN pg_catalog.pg_namespace pn ON pn.oid = p.pronamespace
		WHERE p.oid >= 16384 AND a.amproclefttype < 16384 AND a.amprocrighttype < 16384 AND m.amname IN ('btree', 'hash') ORDER BY 1, 2`)
}

func (s *surveyor) casts(ctx context.Context) {
	s.through(ctx, "cast", "a cast calls its function wherever the types meet: review the function",
		`SELECT format_type(c.castsource, NULL) || ' as ' || format_type(c.casttarget, NULL), `+signature("pn", "p")+`, `+fmt.Sprintf(inExtension, "pg_cast", "c")+
			` FROM pg_catalog.pg_cast c `+fmt.Sprintf(withFunction, "c.castfunc")+` WHERE c.oid >= 16384 AND p.oid >= 16384 ORDER BY 1`)
}

func (s *surveyor) types(ctx context.Context) {
	s.r.rows(ctx, "domains", 2, `SELECT n.nspname || '.' || t.typname, pg_get_constraintdef(c.oid) FROM pg_catalog.pg_constraint c
		JOIN pg_catalog.pg_type t ON t.oid = c.contypid JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
		WHERE c.contype = 'c' AND t.oid >= 16384 AND `+userSchema+` AND `+s.notOfExtension("pg_type", "t")+` ORDER BY 1, 2`, func(f []string) error {
		s.add(Item{Kind: "type", Object: f[0], Why: "a cast to the domain runs its check, and the check's error tells of the value", Note: f[1]})
		return nil
	})
	s.through(ctx, "type", "reading and writing a value of the type runs its functions: review them",
		`SELECT n.nspname || '.' || t.typname, `+signature("pn", "p")+`, `+fmt.Sprintf(inExtension, "pg_type", "t")+` FROM pg_catalog.pg_type t
		JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace JOIN pg_catalog.pg_proc p ON p.oid IN (t.typinput, t.typoutput, t.typreceive, t.typsend, t.typmodin)
		JOIN pg_catalog.pg_namespace pn ON pn.oid = p.pronamespace WHERE t.oid >= 16384 AND t.typtype = 'b' AND p.oid >= 16384 ORDER BY 1, 2`)
}

// notOfExtension is the condition that leaves out an extension's own objects.
func (s *surveyor) notOfExtension(catalog, alias string) string {
	return fmt.Sprintf(inExtension, catalog, alias) + " IS NULL"
}

const ofRelation = `JOIN pg_catalog.pg_class c ON c.oid = %s JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace`

func (s *surveyor) triggers(ctx context.Context) {
	s.r.rows(ctx, "triggers", 4, `SELECT t.tgname, n.nspname || '.' || c.relname, `+signature("pn", "p")+`, `+fmt.Sprintf(inExtension, "pg_proc", "p")+
		` FROM pg_catalog.pg_trigger t `+fmt.Sprintf(ofRelation, "t.tgrelid")+` `+fmt.Sprintf(withFunction, "t.tgfoid")+
		` WHERE NOT t.tgisinternal AND `+userSchema+` ORDER BY 2, 1`, func(f []string) error {
		if s.unreviewed(f[2], f[3]) {
			s.add(Item{Kind: "trigger", Object: f[0] + " on " + f[1], Why: "writing to the table runs it, with whatever it reads, changes and reports", Note: "runs " + f[2]})
			s.add(Item{Kind: "trigger function", Object: f[2], Why: "a review of it settles the trigger", Review: suggested})
		}
		return nil
	})
}

func (s *surveyor) eventTriggers(ctx context.Context) {
	s.r.rows(ctx, "event triggers", 4, `SELECT t.evtname, t.evtevent, `+signature("pn", "p")+`, `+fmt.Sprintf(inExtension, "pg_proc", "p")+
		` FROM pg_catalog.pg_event_trigger t `+fmt.Sprintf(withFunction, "t.evtfoid")+
		` WHERE t.evtenabled <> 'D' AND t.evtevent <> 'login' ORDER BY 1`, func(f []string) error {
		if s.unreviewed(f[2], f[3]) {
			s.add(Item{Kind: "event trigger", Object: f[0] + " on " + f[1], Why: "a change of definitions runs it, that of a temporary table as well", Note: "runs " + f[2]})
			s.add(Item{Kind: "trigger function", Object: f[2], Why: "a review of it settles the event trigger", Review: suggested})
		}
		return nil
	})
}

func (s *surveyor) rules(ctx context.Context) {
	s.r.rows(ctx, "rules", 3, `SELECT r.rulename, n.nspname || '.' || c.relname, pg_get_ruledef(r.oid) FROM pg_catalog.pg_rewrite r `+fmt.Sprintf(ofRelation, "r.ev_class")+
		` WHERE r.rulename <> '_RETURN' AND `+userSchema+` ORDER BY 2, 1`, func(f []string) error {
		s.add(Item{Kind: "rule", Object: f[0] + " on " + f[1], Why: "the server replaces a statement on the relation by the rule's own", Note: f[2]})
		return nil
	})
}

func (s *surveyor) policies(ctx context.Context) {
	s.r.rows(ctx, "row security", 3, `SELECT p.polname, n.nspname || '.' || c.relname, concat_ws(' check ', pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid))
		FROM pg_catalog.pg_policy p `+fmt.Sprintf(ofRelation, "p.polrelid")+` WHERE `+userSchema+` ORDER BY 2, 1`, func(f []string) error {
		s.add(Item{Kind: "policy", Object: f[0] + " on " + f[1], Why: "every statement on the table runs its expression; where it reads labelled columns, which rows are there tells of them", Note: f[2]})
		return nil
	})
}

func (s *surveyor) foreign(ctx context.Context) {
	s.r.rows(ctx, "foreign tables", 2, `SELECT n.nspname || '.' || c.relname, v.srvname FROM pg_catalog.pg_foreign_table f `+fmt.Sprintf(ofRelation, "f.ftrelid")+
		` JOIN pg_catalog.pg_foreign_server v ON v.oid = f.ftserver ORDER BY 1`, func(f []string) error {
		s.add(Item{Kind: "foreign table", Object: f[0], Why: "its rows are another server's: what they hold has no labels here unless a document names them", Note: "server " + f[1]})
		return nil
	})
}

// indexes lists those by which rows could come in the order of a labelled column.
func (s *surveyor) indexes(ctx context.Context) {
	s.r.rows(ctx, "indexes", 6, `SELECT x.relname, n.nspname, c.relname, a.attname, pg_get_indexdef(i.indexrelid), i.indnatts > 1 OR i.indpred IS NOT NULL
		FROM pg_catalog.pg_index i `+fmt.Sprintf(ofRelation, "i.indrelid")+` JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
		JOIN pg_catalog.pg_am m ON m.oid = x.relam AND m.amname NOT IN ('gin', 'brin', 'hash')
		CROSS JOIN pg_catalog.generate_series(0, i.indnkeyatts - 1) AS k(n)
		JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum > 0 AND (a.attnum = i.indkey[k.n]
			OR i.indkey[k.n] = 0 AND strpos(pg_get_expr(i.indexprs, i.indrelid), quote_ident(a.attname)) > 0)
		WHERE i.indrelid >= 16384 ORDER BY 2, 3, 1, k.n`, func(f []string) error {
		if f[5] == "t" && s.labelled[strings.Join(f[1:4], "\x00")] {
			s.add(Item{Kind: "index", Object: f[0] + " on " + f[1] + "." + f[2], Note: f[4],
				Why: "rows could come in the order of the labelled column " + f[3] + ", so statements that read this table do without index scans, and ORDER BY ... LIMIT sorts; " +
					"INCLUDE (" + f[3] + "), or an index of it alone and of all rows, has no such cost"})
		}
		return nil
	})
}

func (s *surveyor) views(ctx context.Context) {
	s.r.rows(ctx, "views", 2, `SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname), n.nspname || '.' || c.relname FROM pg_catalog.pg_class c
		JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('v', 'm') AND `+userSchema+` AND `+s.notOfExtension("pg_class", "c")+` ORDER BY 1`,
		func(f []string) error { s.out.Views = append(s.out.Views, View{f[0], f[1]}); return nil })
}
