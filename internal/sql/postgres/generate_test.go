package postgres

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sallyport-gateway/sallyport/internal/gate"
	"github.com/sallyport-gateway/sallyport/internal/sql/postgres/lex"
	"github.com/sallyport-gateway/sallyport/internal/sql/postgres/parse"
)

// generator makes random statements over the corpus schema. It prefers labelled
// columns, in every place where an expression can stand.
type generator struct {
	r     *rand.Rand
	depth int
}

type source struct {
	name    string
	columns []string
}

var sources = []source{
	{"customers", []string{"id", "name", "email", "ssn", "card_number", "region", "notes", "ssn_last4"}},
	{"vip_customers", []string{"id", "ssn", "perk", "email"}},
	{"payments", []string{"id", "customer_id", "card_number"}},
	{"payments_2025", []string{"card_number", "id"}},
	{"profiles", []string{"customer_id", "contact", "doc", "tags"}},
	{"customer_contact", []string{"id", "tax_id", "mail", "display_name"}},
	{"customer_deep", []string{"a", "b"}},
	{"customer_mv", []string{"id", "t", "pan"}},
	{"orders", []string{"id", "customer_id", "total", "status"}},
	{"tickets", []string{"id", "body"}},
}

func (g *generator) pick(list ...string) string { return list[g.r.IntN(len(list))] }

func (g *generator) chance(n int) bool { return g.r.IntN(n) == 0 }

// from returns a FROM list and the columns that it makes visible.
func (g *generator) from() (string, []string) {
	n := 1 + g.r.IntN(2)
	var text strings.Builder
	var columns []string
	for i := range n {
		alias := fmt.Sprintf("%c%d", 'a'+g.r.IntN(3), i)
		part, names := g.item(alias)
		switch {
		case i == 0:
		case g.chance(3):
			text.WriteString(", ")
		case g.chance(2):
			text.WriteString(g.pick(" JOIN ", " LEFT JOIN ", " FULL JOIN "))
			part += " ON " + g.pick("true", "a0.id = b1.id", g.expr(append(columns, names...))+" IS NOT NULL")
		default:
			text.WriteString(g.pick(" CROSS JOIN ", " CROSS JOIN LATERAL (SELECT 1) z, ", " NATURAL JOIN "))
		}
		text.WriteString(part)
		columns = append(columns, names...)
	}
	return text.String(), columns
}

func (g *generator) item(alias string) (string, []string) {
	s := sources[g.r.IntN(len(sources))]
	prefixed := func(columns []string) []string {
		var out []string
		for _, c := range columns {
			if g.chance(2) {
				out = append(out, alias+"."+c)
			} else {
				out = append(out, c)
			}
		}
		return append(out, alias, alias+".*")
	}
	switch g.r.IntN(8) {
	case 0:
		if g.depth < 3 {
			g.depth++
			defer func() { g.depth-- }()
			return g.pick("", "LATERAL ") + "(" + g.query() + ") " + alias, prefixed([]string{"c1", "c2"})
		}
	case 1:
		return s.name + " AS " + alias + "(k1, k2, k3, k4)", prefixed(append([]string{"k1", "k2", "k3", "k4"}, s.columns...))
	case 2:
		return g.pick("ONLY ", "") + "public." + s.name + " " + alias, prefixed(s.columns)
	case 3:
		return s.name, append(append([]string{}, s.columns...), s.name, s.name+".*", "public."+s.name+"."+s.columns[0])
	case 4:
		return "(" + s.name + " CROSS JOIN app.settings) AS " + alias, prefixed(append([]string{"k", "v"}, s.columns...))
	case 5:
		return "generate_series(1, 3) " + alias, []string{alias, alias + "." + alias}
	}
	return s.name + " " + alias, prefixed(s.columns)
}

// expr returns a random expression.
func (g *generator) expr(columns []string) string {
	g.depth++
	defer func() { g.depth-- }()
	if g.depth > 5 || g.chance(3) {
		return strings.TrimSuffix(g.pick(columns...), ".*")
	}
	e := func() string { return g.expr(columns) }
	switch g.r.IntN(24) {
	case 15:
		return g.pick("min", "max", "count", "bool_or") + "(" + e() + "::text LIKE '0%')" + g.pick("", " FILTER (WHERE "+e()+" IS NOT NULL)")
	case 16:
		return g.pick("percentile_disc(0.5)", "mode()", "rank('0')") + " WITHIN GROUP (ORDER BY " + e() + "::text)"
	case 17:
		return g.pick("jsonb_path_query_first(to_jsonb("+e()+"), '$.ssn')", "jsonb_path_exists(to_jsonb("+e()+"), '$.* ? (@ like_regex \"^0\")')", "(to_jsonb("+e()+") -> 'ssn')", "to_jsonb("+e()+")['ssn']", "xmlforest("+e()+"::text AS x)", "jsonb_build_object('k', "+e()+")")
	case 18:
		return g.pick("max", "lead", "nth_value", "array_agg") + "(" + e() + g.pick("::text", "::text, 2") + ") OVER (PARTITION BY " + e() + " ORDER BY id ROWS BETWEEN " + g.pick("1", "CURRENT ROW AND 1", "UNBOUNDED") + g.pick(" PRECEDING AND CURRENT ROW", " FOLLOWING") + ")"
	case 19:
		return "(SELECT v FROM (VALUES (" + e() + "::text), ('0')) AS x(v) ORDER BY v LIMIT 1)"
	case 20:
		return "(ARRAY[" + e() + "::text, '1'])[" + g.pick("1", "length("+e()+"::text)", "1:1") + "]"
	case 21:
		return e() + "::text " + g.pick("IN", "= ANY", "NOT IN", "> ALL") + " (" + g.pick("SELECT "+e()+"::text", "VALUES ('078-05-1120'), ('x')") + ")"
	case 22:
		return "(ROW(" + e() + ", 1) " + g.pick("=", "<", "IS DISTINCT FROM") + " ROW(" + e() + ", 2))"
	case 23:
		return g.pick("format('%s', ", "num_nonnulls(", "greatest(", "nullif('', ", "convert_to(", "to_tsvector(", "encode(sha256(") + e() + g.pick("::text)", "::text)::text", "::text, 'UTF8')", "::text::bytea), 'hex')")
	case 0:
		return g.pick("upper", "length", "md5", "reverse", "to_jsonb", "row_to_json", "ascii", "quote_literal", "pg_typeof", "pg_column_size", "count", "max", "min", "array_agg", "json_agg") + "(" + e() + ")"
	case 1:
		return "(" + e() + g.pick(" || ", " = ", " < ", " LIKE ", " ~ ", " <> ", " IS DISTINCT FROM ") + g.pick(e(), "'078%'", "'0'", "1") + ")"
	case 2:
		return "CASE WHEN " + e() + g.pick(" IS NULL", "::text < '5'", " = '1'") + " THEN " + e() + " ELSE NULL END"
	case 3:
		return "coalesce(" + e() + "::text, " + e() + "::text)"
	case 4:
		return "(" + e() + ")::" + g.pick("text", "varchar(3)", "int", "jsonb", "bytea")
	case 5:
		return "(SELECT " + e() + ")"
	case 6:
		if g.depth < 4 {
			return "(" + g.query() + " LIMIT 1)"
		}
	case 7:
		return "substr(" + e() + "::text, " + g.pick("1", "2", "length("+e()+"::text)") + ", 1)"
	case 8:
		return "ARRAY[" + e() + "::text, " + e() + "::text]"
	case 9:
		return "EXISTS (SELECT 1 WHERE " + e() + "::text LIKE '0%')"
	case 10:
		return "(" + e() + ")." + g.pick("ssn", "email", "card_number", "id")
	case 11:
		return g.pick("rank()", "lag("+e()+")", "count(*)", "first_value("+e()+")") + " OVER (ORDER BY " + e() + ")"
	case 12:
		return "ROW(" + g.pick(columns...) + ", " + e() + ")"
	case 13:
		return "(" + e() + " IS NULL)"
	case 14:
		return "string_agg(" + e() + "::text, ',' ORDER BY " + e() + ")"
	}
	return strings.TrimSuffix(g.pick(columns...), ".*")
}

// query returns a random SELECT.
func (g *generator) query() string {
	from, columns := g.from()
	var b strings.Builder
	if g.depth == 0 && g.chance(5) {
		inner, _ := g.from()
		name := g.pick("customers", "w")
		fmt.Fprintf(&b, "WITH %s AS (SELECT %s FROM %s) ", name, g.pick("*", "1 AS ssn"), inner)
	}
	if g.chance(12) {
		return b.String() + "TABLE " + sources[g.r.IntN(len(sources))].name
	}
	b.WriteString("SELECT " + g.pick("", "", "", "DISTINCT "))
	switch {
	case g.chance(5):
		b.WriteString("*")
	case g.chance(4):
		b.WriteString(g.pick(columns...))
	default:
		fmt.Fprintf(&b, "%s AS c1, %s AS c2", g.expr(columns), g.expr(columns))
	}
	b.WriteString(" FROM " + from)
	if g.chance(3) {
		b.WriteString(" WHERE " + g.expr(columns) + g.pick("::text LIKE '0%'", " IS NOT NULL", "::text > '4'"))
	}
	if g.chance(6) {
		b.WriteString(" GROUP BY " + g.pick("1", "1, 2", g.expr(columns), "ROLLUP (1, 2)", "GROUPING SETS ((1), (2), ())", "CUBE ("+g.expr(columns)+")"))
	}
	if g.chance(4) {
		b.WriteString(" ORDER BY " + g.pick("1", "2", g.expr(columns)))
	}
	if g.depth == 0 && g.chance(6) {
		b.WriteString(g.pick(" UNION ALL ", " UNION ", " EXCEPT ", " INTERSECT ") + g.query())
	} else if g.chance(12) {
		b.WriteString(g.pick(" FOR UPDATE", " FOR SHARE SKIP LOCKED", " FETCH FIRST 2 ROWS WITH TIES", " OFFSET 1"))
	}
	return b.String()
}

// statement returns a random statement of any kind.
func (g *generator) statement() string {
	columns := sources[0].columns
	switch g.r.IntN(18) {
	case 10:
		return "WITH d AS (DELETE FROM vip_customers RETURNING " + g.pick("*", "ssn, id", "ctid, id") + ") SELECT " + g.pick("*", "count(*)", "max(d::text)", "d.ssn") + " FROM d WHERE " + g.pick("true", "d::text LIKE '%0%'", "id IS NOT NULL")
	case 11:
		return "WITH u AS (UPDATE payments SET amount = amount RETURNING *), t AS (INSERT INTO tickets SELECT 9100 + u.id, 1, " + g.expr([]string{"u.card_number", "u", "u.id"}) + "::text FROM u RETURNING *) SELECT * FROM u, t"
	case 12:
		return "MERGE INTO tickets t USING customers c ON t.customer_id = c.id AND " + g.expr(append([]string{"c"}, columns...)) + " IS NOT NULL WHEN MATCHED THEN UPDATE SET body = " +
			g.pick("c.ssn", "c::text", "c.name", g.expr([]string{"c.email", "c.ssn", "c.id"})+"::text") + " WHEN NOT MATCHED THEN " + g.pick("DO NOTHING", "INSERT VALUES (9200 + c.id, 1, c.ssn)")
	case 13:
		return "INSERT INTO tickets (id, body) SELECT id, " + g.expr(columns) + "::text FROM customers ON CONFLICT (id) DO UPDATE SET body = " + g.pick("excluded.body", "tickets.body || excluded.body", "(SELECT max(ssn) FROM customers)") + " RETURNING *"
	case 14:
		return "DECLARE c CURSOR FOR " + g.query() + "; FETCH ALL FROM c; CLOSE c"
	case 15:
		return "PREPARE q AS " + g.query() + "; EXECUTE q; DEALLOCATE q"
	case 16:
		return "SELECT " + g.pick("*", "ctid", "tableoid::regclass, ssn", "ssn") + " FROM customers TABLESAMPLE BERNOULLI (100)" + g.pick("", " REPEATABLE (1)")
	case 17:
		return "SELECT " + g.pick("*", "c1", "x.*", "row_to_json(x)", "x::text") + " FROM (" + g.query() + ") x" + g.pick("", ", LATERAL (SELECT x::text AS l) y", " WHERE x::text LIKE '%0%'")
	case 0:
		return "UPDATE customers c SET notes = " + g.expr(append([]string{"c", "c.ssn", "c.id"}, columns...)) + " WHERE id = 1 RETURNING " + g.pick("*", "c.*", "ssn", "c.email AS e, id", g.expr(columns))
	case 1:
		from, names := g.from()
		return "UPDATE customers SET notes = " + g.expr(names) + "::text FROM " + from + " WHERE customers.id = 2 RETURNING " + g.pick("*", "customers.ssn", "customers.*", g.expr(names))
	case 2:
		return "INSERT INTO tickets (id, body) SELECT 9000, " + g.expr(columns) + "::text FROM customers WHERE id = 1 RETURNING *"
	case 3:
		return "DELETE FROM vip_customers v WHERE " + g.pick("id = 50", g.expr([]string{"ssn", "v.ssn", "perk", "v"})+"::text < '5'") + " RETURNING " + g.pick("*", "v.*", "ssn", "v", g.expr([]string{"ssn", "v.email", "v"}))
	case 4:
		return "COPY (" + g.query() + ") TO STDOUT"
	}
	return g.query()
}

// sendUnrefused is twins.send, except that refusals that are only for the
// agent's sake do not count: substitution alone must keep the twins equal.
func (w *twins) sendUnrefused(t *testing.T, text string) (sent bool, failed bool) {
	t.Helper()
	i, err := w.in.Inspect(context.Background(), corpusEnv, text, &w.buf)
	if err != nil || i.Shape.Effects&^(gate.EffectRead|gate.EffectExport|gate.EffectWrite|gate.EffectDelete) != 0 {
		return false, false
	}
	for _, r := range i.analysed.refusals {
		if !strings.HasPrefix(r.use, "in ") && !strings.HasPrefix(r.use, "as ") {
			return false, false
		}
	}
	template, err := i.analysed.template(i.tokens, nil)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	sql, err := template.Append(nil, i.tokens)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	var answers [2]answer
	for n, c := range []*pgconn.PgConn{w.a, w.b} {
		ask(t, c, "BEGIN")
		answers[n] = ask(t, c, string(sql))
		ask(t, c, "ROLLBACK")
		if answers[n].fatal != nil {
			t.Fatalf("%s: %v", sql, answers[n].fatal)
		}
	}
	if answers[0].text != answers[1].text {
		t.Errorf("the twins differ for %q\n sent %s\n a: %.600s\n b: %.600s", text, sql, answers[0].text, answers[1].text)
	}
	if answers[0].err != nil && strings.Contains(answers[0].err.Message, "syntax error") {
		t.Errorf("the rewritten text does not parse: %q\n sent %s\n %s", text, sql, answers[0].err.Message)
	}
	return true, answers[0].err != nil
}

var statements = flag.Int("statements", 3000, "random statements for the twins")

func TestRandomStatementsAnswerTheSameOnTwinsThatDifferOnlyInSecrets(t *testing.T) {
	w := newTwins(t, inspector(t, database, corpusMarks, corpusFunctions))
	n, sent, failed := *statements, 0, 0
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	for k := range n {
		g := &generator{r: rand.New(rand.NewPCG(seed, uint64(k)))}
		ok, bad := w.sendUnrefused(t, g.statement())
		if ok {
			sent++
		}
		if bad {
			failed++
		}
		if t.Failed() {
			return
		}
	}
	t.Logf("%d of %d statements sent, %d of them with an error of the server", sent, n, failed)
}

func TestRandomStatementsTellTheTwinsApartWithoutLabels(t *testing.T) {
	w := newTwins(t, inspector(t, database, nil, corpusFunctions))
	differ := 0
	for k := range 300 {
		g := &generator{r: rand.New(rand.NewPCG(7, uint64(k)))}
		text := g.query()
		a, b := ask(t, w.a, text), ask(t, w.b, text)
		if a.text != b.text {
			differ++
		}
	}
	if differ < 30 {
		t.Errorf("only %d of 300 statements tell the twins apart: the generator proves nothing", differ)
	}
	t.Logf("%d of 300 differ", differ)
}

// FuzzInspect feeds any text to the inspector. What is accepted must rewrite to
// text that parses, and an Inspection from the cache must equal a fresh one.
func FuzzInspect(f *testing.F) {
	in := inspector(f, database, corpusMarks, corpusFunctions)
	for _, s := range []string{"SELECT * FROM customers", "TABLE customers", "COPY customers TO STDOUT", "SELECT ssn FROM customers ORDER BY 1", analytic, "UPDATE customers SET notes='' WHERE id=1 RETURNING *"} {
		f.Add(s)
	}
	for k := range 50 {
		f.Add((&generator{r: rand.New(rand.NewPCG(1, uint64(k)))}).statement())
	}
	var parser parse.Direct
	f.Fuzz(func(t *testing.T, text string) {
		var buf, again Buffer
		i, err := in.Inspect(context.Background(), corpusEnv, text, &buf)
		if err != nil {
			return
		}
		sql, err := i.AppendSQL(nil, nil)
		if err == nil {
			var tokens lex.Tokens
			if err := lex.Scan(&tokens, string(sql), lex.Limits{}); err != nil {
				t.Fatalf("the rewritten text is refused: %v: %s", err, sql)
			}
			if _, err := parser.Parse(context.Background(), tokens.Canonical()); err != nil {
				t.Fatalf("the rewritten text does not parse: %v: %s", err, sql)
			}
		}
		second, err2 := in.Inspect(context.Background(), corpusEnv, text, &again)
		if err2 != nil || second.Shape != i.Shape {
			t.Fatalf("the same text has another shape: %v", err2)
		}
	})
}
