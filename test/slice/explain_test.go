package slice_test

import (
	"strings"
	"testing"
)

// crowd is a target whose statistics say much of the labelled values.
var crowd = twinned{
	schema: `CREATE TABLE customers (id int PRIMARY KEY, name text, ssn text UNIQUE, region text);
		INSERT INTO customers SELECT i, 'n' || i, CASE WHEN i % 10 = 0 THEN '078-05-' || i ELSE '9' || i END, 'EU' FROM generate_series(1, 2000) i;
		CREATE INDEX ON customers (left(ssn, 3));
		CREATE VIEW open_customers AS SELECT id, name, region AS area FROM customers;
		CREATE VIEW europe AS SELECT c.id, c.name FROM customers c WHERE region = 'EU' WITH CHECK OPTION;
		CREATE VIEW odd AS SELECT id, name, 'x'::text AS x FROM customers WHERE ssn LIKE '0%';
		CREATE VIEW whole AS SELECT id, ssn FROM customers;
		CREATE VIEW seen AS SELECT id, count(ssn) AS n FROM customers GROUP BY id;
		CREATE TABLE orders (id int PRIMARY KEY, total int);
		INSERT INTO orders SELECT i, i FROM generate_series(1, 100) i;
		CREATE FUNCTION wipe() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN DELETE FROM orders; RETURN NULL; END $$;
		CREATE TRIGGER wipe AFTER UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION wipe()`,
	secrets: `UPDATE customers SET ssn = 'x' || id || repeat('y', id % 50)`,
	labels:  "  pii: [public.customers.ssn]\n",
	rules: `  - name: work
    when: sql.understood && command.effects.all(e, e in ["read", "write", "delete"])
    then: allow
    mask: {pii: redact}
`,
}

func TestExplainShowsNoCostsOfLabelledColumns(t *testing.T) {
	p := startTwins(t, "crowd", crowd)
	const notice = "EXPLAIN shows no costs here"
	for _, text := range []string{
		"EXPLAIN SELECT * FROM customers WHERE id < 10", "EXPLAIN VERBOSE SELECT ssn FROM customers", "EXPLAIN (FORMAT JSON) SELECT ssn FROM customers", "EXPLAIN (COSTS, VERBOSE off) SELECT ssn FROM customers",
		"EXPLAIN SELECT id FROM customers WHERE ssn IS NULL", "EXPLAIN SELECT c FROM customers c", "EXPLAIN DELETE FROM customers WHERE id = 1", "EXPLAIN SELECT id FROM customers FOR UPDATE", "EXPLAIN SELECT id FROM seen WHERE n > 1",
		"EXPLAIN (COSTS ON) UPDATE customers SET name = 'x' WHERE id = 1", "EXPLAIN (SELECT ssn FROM customers)", "EXPLAIN SELECT * FROM whole", "EXPLAIN SELECT id FROM whole",
	} {
		for _, steps := range [][]step{queries(text), {send("Z", mAll(text), mSync())}} {
			answer := strings.Join(p.play(steps), "\n")
			if strings.Contains(answer, "cost") && !strings.Contains(answer, notice) || strings.Contains(answer, "cost=") || strings.Contains(answer, "Plan Rows") || !strings.Contains(answer, notice) {
				t.Errorf("%s: %s", text, answer)
			}
			if !strings.Contains(answer, "Scan") && !strings.Contains(answer, "Update") {
				t.Errorf("%s shows no plan: %s", text, answer)
			}
		}
	}
	// Of columns without labels they are as without the gateway.
	b := bareThrough(t, p.gw, "crowd", p.w.token(t, "mobile-agent"))
	for _, text := range []string{"EXPLAIN SELECT id, name FROM customers WHERE id < 10", "EXPLAIN SELECT * FROM open_customers", "EXPLAIN VERBOSE SELECT count(*) FROM customers c WHERE region = 'EU'"} {
		b.send(mQuery(text))
		if answer := b.whole(); !strings.Contains(answer, "cost=") || strings.Contains(answer, notice) {
			t.Errorf("%s: %s", text, answer)
		}
	}
	answers := p.play(queries("PREPARE p AS SELECT id FROM customers", "EXPLAIN EXECUTE p", "EXPLAIN ANALYZE SELECT ssn FROM customers", "EXPLAIN SELECT * FROM orders", "EXPLAIN (COSTS OFF) SELECT id FROM customers"))
	for i, want := range []string{"PREPARE", notice, "ERROR", "cost=", "Scan"} {
		if !strings.Contains(answers[i], want) {
			t.Errorf("want %s in %s", want, answers[i])
		}
	}
	if strings.Contains(answers[4], notice) {
		t.Errorf("a notice for nothing: %s", answers[4])
	}
}

func TestExplainRunsNoTriggers(t *testing.T) {
	p := startTwins(t, "crowd_trigger", crowd)
	answers := p.play(queries("EXPLAIN UPDATE orders SET total = 1 WHERE id = 1", "EXPLAIN ANALYZE UPDATE orders SET total = 1 WHERE id = 1", "UPDATE orders SET total = 1 WHERE id = 1", "SELECT count(*) FROM orders"))
	for i, want := range []string{"Update on orders", "ERROR", "ERROR", `["100"]`} {
		if !strings.Contains(answers[i], want) {
			t.Errorf("want %s in %s", want, answers[i])
		}
	}
}

func TestPlainViewsAreWrittenToAsTheirTables(t *testing.T) {
	p := startTwins(t, "crowd_views", crowd)
	answers := p.play(queries(
		"UPDATE open_customers SET area = 'US' WHERE id = 1 RETURNING *", "INSERT INTO open_customers (id, name, area) VALUES (9001, 'V', 'EU')", "DELETE FROM open_customers WHERE id = 9001",
		"UPDATE europe SET name = 'z' WHERE id = 2 RETURNING name", "INSERT INTO whole VALUES (9002, '078-05-10')", "UPDATE whole SET ssn = '078-05-10' WHERE id = 3", "UPDATE odd SET name = 'z'",
		"UPDATE whole SET id = 9003 WHERE id = 4 RETURNING ssn", "DELETE FROM whole WHERE ssn LIKE '0%'", "INSERT INTO open_customers (id) SELECT 1 ON CONFLICT (id) DO UPDATE SET name = 'c' RETURNING open_customers.name"))
	for i, want := range []string{`["1","n1","US"]`, "INSERT 0 1", "DELETE 1", `["z"]`, "ERROR", "ERROR", "ERROR", `["[redacted]"]`, "ERROR", `["c"]`} {
		if !strings.Contains(answers[i], want) {
			t.Errorf("%d: want %s in %s", i, want, answers[i])
		}
	}
}
