package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sallyport-gateway/sallyport/internal/gate"
)

// twins are connections to the two databases that differ only in secrets.
type twins struct {
	in   *Inspector
	a, b *pgconn.PgConn
	buf  Buffer
}

func newTwins(t testing.TB, in *Inspector) *twins {
	t.Helper()
	w := &twins{in: in}
	for _, p := range []struct {
		c  **pgconn.PgConn
		db string
	}{{&w.a, database}, {&w.b, twin}} {
		c, err := theServer.connect(context.Background(), p.db, "postgres")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close(context.Background()) })
		if _, err := c.Exec(context.Background(), "SET statement_timeout = '3s'").ReadAll(); err != nil {
			t.Fatal(err)
		}
		*p.c = c
	}
	return w
}

// send runs a text as an agent under masking. It returns what the agent gets, or
// why it was refused; it fails the test if the twins differ.
func (w *twins) send(t *testing.T, text string) (got answer, refused string) {
	t.Helper()
	i, err := w.in.Inspect(context.Background(), corpusEnv, text, &w.buf)
	if err != nil {
		return answer{}, err.Error()
	}
	if i.Shape.Effects&^(gate.EffectRead|gate.EffectExport|gate.EffectWrite|gate.EffectDelete) != 0 {
		return answer{}, fmt.Sprintf("effects %v %v", i.Shape.Effects, i.Shape.Facts.Unreviewed)
	}
	sql, err := i.AppendSQL(nil, nil)
	if err != nil {
		var e *Error
		if !errors.As(err, &e) {
			t.Fatalf("%s: %v", text, err)
		}
		return answer{}, e.Error()
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
		t.Errorf("the twins differ for %q\n sent %s\n a: %s\n b: %s", text, sql, answers[0].text, answers[1].text)
	}
	for _, s := range secrets {
		if strings.Contains(answers[0].text, s) {
			t.Errorf("the answer to %q holds %s\n sent %s", text, s, sql)
		}
	}
	return answers[0], ""
}

func TestNothingOfALabelledValueReachesTheAgent(t *testing.T) {
	w := newTwins(t, inspector(t, database, corpusMarks, corpusFunctions))
	for _, text := range []string{
		"SELECT x.* FROM customers AS x",
		"SELECT * FROM ONLY customers",
		"SELECT * FROM ONLY (customers) c",
		"SELECT * FROM customers * c",
		"TABLE ONLY customers",
		"TABLE public.customers ORDER BY id",
		"SELECT cc FROM customers AS c(a,b,cc,d,e)",
		"SELECT d FROM customers AS c(a,b,cc,d,e) WHERE d LIKE '078%'",
		"WITH customers AS (SELECT * FROM customers) SELECT * FROM customers",
		"WITH RECURSIVE r(i, s) AS (SELECT id, ssn FROM customers UNION ALL SELECT i + 100, s FROM r WHERE i < 100) SELECT * FROM r",
		"(WITH customers AS (SELECT 1 AS ssn) SELECT ssn::text FROM customers) UNION ALL SELECT ssn FROM customers",
		"SELECT j.ssn FROM (customers c JOIN orders o ON o.customer_id = c.id) AS j",
		"SELECT j FROM (customers c JOIN orders o ON o.customer_id = c.id) AS j",
		"SELECT j.* FROM (customers c CROSS JOIN app.settings) AS j",
		"SELECT row_to_json(j) FROM (customers JOIN orders USING (id)) AS j",
		"SELECT * FROM customers NATURAL JOIN vip_customers",
		"SELECT id FROM customers a JOIN customers b USING (id, ssn)",
		"SELECT (c).ssn FROM customers c",
		"SELECT (c).* FROM customers c",
		"SELECT (SELECT c).email FROM customers c",
		"SELECT ssn(customers) FROM customers",
		"SELECT c.row_to_json FROM customers c",
		"SELECT c.to_jsonb FROM customers c",
		"SELECT c.text FROM customers c",
		"SELECT ROW(c.*) FROM customers c",
		"SELECT ARRAY(SELECT ssn FROM customers)",
		"SELECT jsonb_path_query(to_jsonb(c), '$.ssn') FROM customers c",
		"SELECT json_each_text(row_to_json(c)) FROM customers c",
		"SELECT record_send(c) FROM customers c",
		"SELECT pg_column_size(c.*) FROM customers c",
		"SELECT pg_column_size(customers) FROM customers",
		"SELECT count(DISTINCT ssn) FROM customers",
		"SELECT count(*) FILTER (WHERE ssn LIKE '0%') FROM customers",
		"SELECT count(*) FROM customers GROUP BY ssn",
		"SELECT count(*) FROM customers c GROUP BY c",
		"SELECT c.id, c.email FROM customers c, orders o GROUP BY c.id, c.email, 2",
		"SELECT c.id, c.email AS region FROM customers c, orders o GROUP BY c.id, 2",
		"SELECT c.email AS e, count(*) FROM customers c, orders o GROUP BY e, c.id",
		"SELECT c.id, c.ssn FROM customers c, orders o GROUP BY ROLLUP (c.id, 2)",
		"SELECT o.id, c.ssn FROM orders o LEFT JOIN customers c ON c.ssn > o.meta::text GROUP BY o.id, c.id",
		"SELECT 1 FROM customers GROUP BY GROUPING SETS ((ssn), ())",
		"SELECT 1 FROM customers GROUP BY ROLLUP (email)",
		"SELECT id, ssn FROM customers ORDER BY 2",
		"SELECT id, ssn AS q FROM customers ORDER BY q",
		"SELECT id FROM customers c ORDER BY c",
		"SELECT DISTINCT ON (ssn) id FROM customers",
		"SELECT DISTINCT ssn FROM customers",
		"SELECT ssn FROM customers EXCEPT SELECT '078-05-1120'",
		"SELECT id FROM customers WHERE (id, ssn) = (1, '078-05-1120')",
		"SELECT id FROM customers c WHERE c = ROW(1)",
		"SELECT id FROM customers WHERE ssn IN ('078-05-1120')",
		"SELECT id FROM customers WHERE ssn BETWEEN '0' AND '1'",
		"SELECT id FROM customers WHERE ssn = ANY (ARRAY['078-05-1120'])",
		"SELECT id FROM customers WHERE EXISTS (SELECT 1 WHERE ssn LIKE '078%')",
		"SELECT id FROM orders WHERE EXISTS (SELECT 1 FROM customers WHERE ssn LIKE '078%')",
		"SELECT id FROM orders WHERE customer_id IN (SELECT id FROM customers WHERE email LIKE 'a%')",
		"SELECT id FROM customers LIMIT (SELECT length(ssn) FROM customers WHERE id = 1)",
		"SELECT * FROM generate_series(1, (SELECT ascii(ssn) FROM customers WHERE id = 1))",
		"SELECT rank() OVER (ORDER BY ssn) FROM customers",
		"SELECT rank() OVER w FROM customers WINDOW w AS (PARTITION BY email)",
		"SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY ssn) FROM customers",
		"SELECT string_agg(name, ',' ORDER BY ssn) FROM customers",
		"SELECT CASE ssn WHEN '078-05-1120' THEN 1 END FROM customers",
		"SELECT nullif(ssn, '078-05-1120') FROM customers",
		"SELECT greatest(ssn, '5') FROM customers",
		"SELECT ssn IS DISTINCT FROM '078-05-1120' FROM customers",
		"SELECT ssn SIMILAR TO '0%' FROM customers",
		"SELECT ssn COLLATE \"C\" FROM customers",
		"SELECT ssn::bpchar FROM customers",
		"SELECT CAST(ssn AS int) FROM customers",
		"SELECT format('%s', ssn) FROM customers",
		"SELECT xmlforest(ssn, email) FROM customers",
		"SELECT x.* FROM customers, XMLTABLE('/r' PASSING xmlparse(content '<r>'||ssn||'</r>') COLUMNS v text PATH '.') x",
		"SELECT s.* FROM customers c, LATERAL (SELECT c.ssn) s",
		"SELECT s.* FROM customers c, LATERAL (VALUES (c.ssn), (c.email)) s",
		"SELECT u FROM customers c, unnest(ARRAY[c.ssn, c.email]) u",
		"SELECT regexp_split_to_table(ssn, '') FROM customers",
		"SELECT tableoid::regclass, * FROM customers",
		"SELECT * FROM customers TABLESAMPLE system (100)",
		"SELECT ssn FROM customers FOR UPDATE",
		"SELECT c.ssn FROM customers c FOR UPDATE OF c",
		"SELECT * FROM vip_customers",
		"SELECT * FROM payments_2026",
		"SELECT payments FROM payments",
		"SELECT ssn_last4 FROM customers",
		"SELECT * FROM customer_contact WHERE tax_id LIKE '078%'",
		"SELECT customer_contact FROM customer_contact",
		"SELECT * FROM customer_deep ORDER BY b",
		"SELECT * FROM customer_mv",
		"SELECT contact FROM profiles",
		"SELECT (contact).email, (contact).* FROM profiles",
		"SELECT doc, doc->'card' FROM profiles",
		"SELECT doc['ssn'] FROM profiles",
		"SELECT jsonb_each(doc) FROM profiles",
		"COPY customers TO STDOUT",
		"COPY customers (id, ssn) TO STDOUT CSV HEADER",
		"COPY (TABLE customers) TO STDOUT",
		"COPY (UPDATE customers SET notes = '' WHERE id = 1 RETURNING ssn, email) TO STDOUT",
		"COPY vip_customers TO STDOUT (FORMAT binary)",
		"COPY payments TO STDOUT",
		"UPDATE customers SET notes = ssn WHERE id = 1 RETURNING notes",
		"UPDATE customers SET notes = 'x' WHERE ssn LIKE '078%'",
		"UPDATE customers SET notes = 'x' WHERE id = 1 RETURNING *",
		"UPDATE customers SET notes = 'x' WHERE id = 1 RETURNING customers.*",
		"UPDATE customers SET notes = 'x' WHERE id = 1 RETURNING customers",
		"UPDATE customers SET notes = 'x' WHERE id = 1 RETURNING (customers).ssn",
		"UPDATE customers SET notes = 'x' WHERE id = 1 RETURNING upper(ssn)",
		"UPDATE customers SET notes = 'x' WHERE id = 1 RETURNING (SELECT ssn)",
		"UPDATE customers SET notes = 'x' WHERE id = 1 RETURNING row_to_json(customers)",
		"UPDATE customers c SET notes = 'x' FROM orders o WHERE o.customer_id = c.id RETURNING *",
		"UPDATE customers c SET notes = s.ssn FROM customers s WHERE s.id = c.id AND c.id = 1 RETURNING c.notes, s.ssn, s.*",
		"UPDATE customers SET (notes, region) = (SELECT ssn, email FROM customers c WHERE c.id = 1) WHERE id = 2 RETURNING notes, region",
		"UPDATE customers SET notes = (SELECT customers.ssn) WHERE id = 2 RETURNING notes",
		"UPDATE orders SET total = 1 FROM customers c WHERE c.ssn LIKE '078%' AND c.id = orders.customer_id",
		"DELETE FROM customers WHERE ssn = '078-05-1120'",
		"DELETE FROM vip_customers WHERE id = 50 RETURNING *",
		"DELETE FROM vip_customers v WHERE id = 50 RETURNING v.ssn, v.email AS e, name",
		"DELETE FROM order_items USING customers c WHERE c.id = 1 RETURNING c.*",
		"INSERT INTO tickets SELECT id + 1000, id, ssn FROM customers RETURNING *",
		"INSERT INTO tickets (id, body) SELECT 2000, row_to_json(c)::text FROM customers c WHERE id = 1 RETURNING body",
		"INSERT INTO customers (id, name, ssn) VALUES (300, 'x', '078-05-1120')",
		"INSERT INTO customers (id, name, email) VALUES (300, 'x', 'alice.archer@secretmail.example') ON CONFLICT DO NOTHING",
		"INSERT INTO customers (id, name, ssn) VALUES (300, 'x', '078-05-1120') ON CONFLICT (ssn) DO NOTHING",
		"INSERT INTO customers VALUES (300, 'x')",
		"INSERT INTO customers (id, name) VALUES (1, 'n') ON CONFLICT (id) DO UPDATE SET notes = customers.ssn RETURNING notes",
		"INSERT INTO customers (id, name) VALUES (1, 'n') ON CONFLICT (id) DO UPDATE SET notes = 'y' WHERE customers.ssn LIKE '078%' RETURNING id",
		"INSERT INTO customers (id, name) VALUES (1, 'n') ON CONFLICT (id) DO UPDATE SET region = excluded.region RETURNING *, ssn",
		"WITH u AS (UPDATE customers SET notes = '' WHERE id = 1 RETURNING *) SELECT ssn, u FROM u",
		"MERGE INTO customers t USING orders s ON t.id = s.customer_id AND t.ssn LIKE '078%' WHEN MATCHED THEN UPDATE SET notes = 'x'",
		"MERGE INTO tickets t USING customers s ON t.customer_id = s.id WHEN NOT MATCHED THEN INSERT VALUES (s.id + 5000, s.id, s.ssn)",
		"EXPLAIN SELECT * FROM customers",
		"EXPLAIN SELECT name FROM customers",
		"EXPLAIN ANALYZE SELECT id FROM customer_public",
		"EXPLAIN (COSTS OFF) SELECT ssn FROM customers WHERE id = 1",
		"EXPLAIN (COSTS OFF, VERBOSE) SELECT ssn FROM customers WHERE id = 1",
		"SELECT * FROM pg_stats", "SELECT * FROM pg_statistic", "SELECT * FROM pg_stats_ext_exprs",
		"SELECT query, query_id FROM pg_stat_activity WHERE pid = pg_backend_pid()", "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%078-05-1120%'", "SELECT * FROM pg_largeobject", "SELECT lo_get(424242)", "SELECT loread(lo_open(424242, 262144), 100)",
		"SELECT table_to_xml('customers', true, false, '')", "SELECT query_to_xml('select 1', true, false, '')",
		"SELECT database_to_xml(true, false, '')", "SELECT cursor_to_xml('c', 1, true, false, '')",
		"SELECT ts_stat('select to_tsvector(ssn) from customers')", "SELECT ts_rewrite('a'::tsquery, 'select 1')",
		"SELECT glue(ssn) FROM customers", "SELECT * FROM get_customers()", "SELECT customer_pan(1)", "SELECT (find_customer(1)).code",
		"DECLARE c CURSOR WITH HOLD FOR SELECT ssn FROM customers",
		"PREPARE p AS SELECT ssn FROM customers WHERE id = $1",
		"SELECT \"ssn\", \"customers\".\"email\" FROM \"public\".\"customers\"",
		"SELECT SSN, Customers.EMAIL FROM PUBLIC.CUSTOMERS",
		"SELECT U&\"s\\0073n\" FROM customers",
		"SELECT corpus.public.customers.ssn FROM corpus.public.customers",
		"SELECT public.customers.* FROM public.customers",
		"SELECT a.ssn, public.customers.email FROM public.customers, customers a WHERE a.id = public.customers.id",
		"SELECT id*2 FROM customers", "SELECT *FROM customers", "SELECT*FROM customers", "SELECT 1,* FROM customers",
		"SELECT ssn FROM customers; SELECT email FROM customers",
		"BEGIN; SELECT ssn FROM customers; COMMIT",
		"VALUES ((SELECT ssn FROM customers WHERE id = 1))",
		"SELECT * FROM (VALUES (1)) v JOIN LATERAL (TABLE customers) t ON true",
		"SELECT * FROM ROWS FROM (generate_series(1, 2), unnest((SELECT array_agg(ssn) FROM customers))) x",
		"SELECT * FROM json_to_record((SELECT row_to_json(c) FROM customers c WHERE id = 1)) AS x(ssn text)",
		"SELECT (json_populate_record(NULL::customers, row_to_json(c))).ssn FROM customers c",
		"SELECT set_config('application_name', ssn, false) FROM customers WHERE id = 1",
		"SELECT set_config('search_path', (SELECT ssn FROM customers WHERE id = 1), false)",
		"SELECT setval('app.counter', replace(ssn, '-', '')::bigint) FROM customers WHERE id = 1",
		"SELECT pg_notify('x', ssn) FROM customers", "SELECT pg_advisory_lock(replace(ssn, '-', '')::bigint) FROM customers",
		"SELECT 1/(length(ssn) - 11) FROM customers",
		"SELECT ssn::regclass FROM customers", "SELECT ('{' || ssn)::json FROM customers",
	} {
		got, refused := w.send(t, text)
		t.Logf("%-90.90s → %.110q", text, refused+got.text)
	}
}

func TestARoleNeedsNoRightsOnColumnsThatItDoesNotName(t *testing.T) {
	in := inspector(t, database, corpusMarks, corpusFunctions)
	sql, err := inspect(t, in, "WITH x AS (SELECT 1) SELECT name, email FROM customers WHERE region = 'EU'").AppendSQL(nil, nil)
	want := `with x as (select 1) select name, email from ( SELECT "name", CASE WHEN "email" IS NOT NULL THEN '[redacted]' END AS "email", "region" FROM "public"."customers" ) AS "customers" where region = 'EU'`
	if err != nil || string(sql) != want {
		t.Errorf("%v\n%s\n%s", err, sql, want)
	}
}

func TestAColumnIsMaskedInPlaceWhereNothingElseCanNameIt(t *testing.T) {
	in := inspector(t, database, corpusMarks, corpusFunctions)
	const masked = `CASE WHEN "customers"."email" IS NOT NULL THEN '[redacted]' END`
	for text, want := range map[string]string{
		"SELECT name, email FROM customers WHERE region = 'EU'":                     `select name, ` + masked + ` AS "email" from "public". customers where region = 'EU'`,
		"SELECT customers.email, email FROM customers LIMIT 2":                      `select ` + masked + ` AS "email", ` + masked + ` AS "email" from "public". customers limit 2`,
		"SELECT email AS e, id FROM ONLY customers ORDER BY id":                     `select ` + masked + ` as e, id from only "public". customers order by id`,
		"SELECT ((email)), id FROM customers":                                       `select ` + masked + ` AS "email", id from "public". customers`,
		`SELECT "email" x FROM public.customers AS c`:                               `select ` + strings.ReplaceAll(masked, "customers", "c") + ` x from public. customers as c`,
		"SELECT email FROM customers WHERE id IN (SELECT customer_id FROM orders)":  `select ` + masked + ` AS "email" from "public". customers where id in ( select customer_id from "public". orders )`,
		"SELECT id, email, count(*) FROM customers GROUP BY id HAVING count(*) > 0": `select id, ` + masked + ` AS "email", "pg_catalog". count(*) from "public". customers group by id having "pg_catalog". count(*) > 0`,
		"SELECT c.id, c.email, count(o.id) FROM orders o RIGHT JOIN (customers c CROSS JOIN app.settings) ON o.customer_id = c.id GROUP BY c.id": `select c.id, ` + strings.ReplaceAll(masked, "customers", "c") +
			` AS "email", "pg_catalog". count(o.id) from "public". orders o right join ( "public". customers c cross join app.settings ) on o.customer_id = c.id group by c.id`,
	} {
		sql, err := inspect(t, in, text).AppendSQL(nil, nil)
		if err != nil || squeeze(string(sql)) != squeeze(want) {
			t.Errorf("%q: %v\n%s\n%s", text, err, sql, want)
		}
	}
	for _, text := range []string{
		"SELECT email, upper(email) FROM customers", "SELECT email, * FROM customers", "SELECT email, customers FROM customers", "SELECT email, row_to_json(c) FROM customers c",
		"SELECT email, (customers).ssn FROM customers", "SELECT email, c.email FROM customers c(id)", "SELECT email AS email FROM customers", "SELECT public.customers.email FROM customers",
		"SELECT email FROM customers, orders GROUP BY customers.id", "SELECT c.email FROM customers c, (SELECT 'x' AS email) l GROUP BY c.id HAVING max(l.email) > ''", "SELECT c.email FROM customers c JOIN (SELECT 'x' AS email) l USING (email) GROUP BY c.id",
		"SELECT c.email, (SELECT c.ssn) FROM customers c, orders GROUP BY c.id", "SELECT c.email FROM customers c, LATERAL (SELECT c.ssn) s GROUP BY c.id", "SELECT c.email FROM (SELECT * FROM customers) c, orders GROUP BY c.id", "SELECT j.email FROM (customers c CROSS JOIN orders o) AS j GROUP BY j.name",
		"SELECT c.ssn_last4 FROM orders o LEFT JOIN customers c ON c.id = o.id GROUP BY c.id", "SELECT c.email FROM customers c, orders GROUP BY c.email", "SELECT c.email, c.* FROM customers c, orders GROUP BY c.id",
		"SELECT email FROM customers, orders", "SELECT c.email FROM customers c JOIN orders o ON o.customer_id = c.id", "SELECT email FROM (SELECT email FROM customers) x",
		"WITH x AS (SELECT 1) SELECT email FROM customers", "SELECT email FROM customers UNION ALL SELECT email FROM customers", "SELECT email FROM customers FOR UPDATE",
		"SELECT email, (SELECT max(ssn) FROM customers x) FROM customers", "SELECT email FROM customers WHERE EXISTS (SELECT FROM customers c WHERE c IS NULL)",
		"SELECT email FROM leads WHERE EXISTS (SELECT FROM customers)",
		"SELECT email::text FROM customers", "SELECT email INTO TEMP x FROM customers", "SELECT max(region) FILTER (WHERE true), (SELECT email FROM customers LIMIT 1) FROM customers",
	} {
		sql, err := inspect(t, in, text).AppendSQL(nil, nil)
		if err == nil && !strings.Contains(string(sql), `( SELECT `) {
			t.Errorf("%q is sent without a sub-select: %s", text, sql)
		}
	}
}

// squeeze leaves blanks out: they are the lexer's.
func squeeze(s string) string { return strings.ReplaceAll(s, " ", "") }

func TestHonestStatementsOverLabelledRelationsAreAnswered(t *testing.T) {
	w := newTwins(t, inspector(t, database, corpusMarks, corpusFunctions))
	direct, err := theServer.connect(context.Background(), database, "postgres")
	if err != nil {
		t.Fatal(err)
	}
	defer direct.Close(context.Background())
	for _, c := range []struct {
		text string
		same bool // the answer is the direct one
	}{
		{"SELECT name, region FROM customers ORDER BY name", true},
		{"SELECT count(*) FROM customers", true},
		{"SELECT count(ssn), count(*) FROM customers", true},
		{"SELECT id FROM customers WHERE ssn IS NOT NULL ORDER BY id", true},
		{"SELECT id, ssn IS NULL AS missing FROM customers ORDER BY id", true},
		{"SELECT c.region, sum(o.total) * 2 FROM customers c JOIN orders o ON o.customer_id = c.id GROUP BY 1 ORDER BY 1", true},
		{"SELECT o.* FROM orders o JOIN customers c ON c.id = o.customer_id ORDER BY o.id", true},
		{"SELECT * FROM customer_public ORDER BY id", true},
		{"SELECT * FROM (SELECT id, name FROM customers) q ORDER BY 1", true},
		{"UPDATE customers SET notes = 'x' WHERE id = 1 RETURNING id, notes", true},
		{"DELETE FROM vip_customers WHERE id = 50", true},
		{"UPDATE customers SET notes = 'x' WHERE ssn IS NULL AND id = 1", true},
		{"INSERT INTO customers (id, name) VALUES (400, 'n') RETURNING id, name", true},
		{"WITH d AS (DELETE FROM vip_customers WHERE id = 50 RETURNING id, perk) SELECT * FROM d", true},
		{"EXPLAIN (COSTS OFF) SELECT name FROM customers WHERE id = 1", true},
		{"SELECT ctid, id FROM customers ORDER BY id", true},
		{"SELECT ssn, id FROM customers WHERE id IN (1, 2) ORDER BY id", false},
		{"SELECT row_to_json(c) FROM customers c ORDER BY id", false},
		{"SELECT json_agg(c) FROM customers c", false},
		{"SELECT c FROM customers c", false},
		{"SELECT customer_id, contact, doc FROM profiles", false},
		{"TABLE customers", false},
		{"COPY customers TO STDOUT", false},
		{"UPDATE customers SET notes = 'x' WHERE id = 1 RETURNING *", false},
		{"UPDATE customers c SET notes = 'x' FROM orders o WHERE o.customer_id = c.id RETURNING *", false},
		{"WITH x AS (SELECT * FROM customers) SELECT id, email FROM x ORDER BY id", false},
		{"SELECT c.id, c.name, c.email, count(o.id) FROM customers c LEFT JOIN orders o ON o.customer_id = c.id GROUP BY c.id ORDER BY c.id", false},
		{"SELECT row_to_json((SELECT e FROM (SELECT c.id AS id, c.email AS email) AS e)) FROM (SELECT * FROM customers) c ORDER BY c.id", false},
		{"SELECT a.ssn, public.customers.email FROM public.customers, customers a WHERE a.id = public.customers.id", false},
	} {
		got, refused := w.send(t, c.text)
		if refused != "" || got.err != nil {
			t.Errorf("%q was refused: %s %v", c.text, refused, got.err)
			continue
		}
		ask(t, direct, "BEGIN")
		want := ask(t, direct, c.text)
		ask(t, direct, "ROLLBACK")
		if c.same && want.text != got.text {
			t.Errorf("%q was answered\n%s instead of\n%s", c.text, got.text, want.text)
		}
		if !c.same && want.text == got.text {
			t.Errorf("%q was answered with plain values:\n%s", c.text, got.text)
		}
	}
}
