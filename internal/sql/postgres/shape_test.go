package postgres

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-gateway/sallyport/internal/gate"
)

// inspect returns a copy of what is found of a text.
func inspect(t *testing.T, in *Inspector, text string) *Inspection {
	t.Helper()
	var buf Buffer
	i, err := in.Inspect(context.Background(), corpusEnv, text, &buf)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return i
}

func TestLiteralsThatDecideNothingShareAShape(t *testing.T) {
	in := inspector(t, database, corpusMarks, corpusFunctions)
	for _, pair := range [][2]string{
		{"SELECT id FROM orders WHERE id = 1", "select  id from orders where id=2 -- x"},
		{"SELECT name FROM customers WHERE name = 'a'", "SELECT name FROM customers WHERE name = $$b$$"},
		{"SELECT id FROM orders LIMIT 5", "SELECT id FROM orders LIMIT 6"},
	} {
		if inspect(t, in, pair[0]).Shape != inspect(t, in, pair[1]).Shape {
			t.Errorf("%q and %q have different shapes", pair[0], pair[1])
		}
	}
}

func TestLiteralsThatDecideSplitAShape(t *testing.T) {
	in := inspector(t, database, corpusMarks, corpusFunctions)
	for _, c := range []struct {
		a, b string
	}{
		{"SELECT set_config('application_name', 'x', false)", "SELECT set_config('role', 'x', false)"},
		{"SELECT set_config('search_path', '', false)", "SELECT set_config('search_path', 'scratch', false)"},
		{"SET search_path = 'public'", "SET search_path = 'scratch'"},
		{"SET client_encoding = 'UTF8'", "SET client_encoding = 'SJIS'"},
		{"COPY (SELECT 1) TO STDOUT (ENCODING 'UTF8')", "COPY (SELECT 1) TO STDOUT (ENCODING 'SJIS')"},
		{"DELETE FROM orders WHERE id LIKE 'a'", "DELETE FROM orders WHERE id LIKE '%'"},
	} {
		// Whichever comes first must not lend its decision to the other.
		for _, order := range [][2]string{{c.a, c.b}, {c.b, c.a}} {
			in.cache = newShapeCache()
			first, second := inspect(t, in, order[0]).Shape, inspect(t, in, order[1]).Shape
			if first.Effects == second.Effects && first.Facts.Unbounded == second.Facts.Unbounded {
				t.Errorf("%q and %q are decided alike", order[0], order[1])
			}
		}
	}
	a, b := inspect(t, in, "SELECT id, ssn FROM customers ORDER BY 1"), inspect(t, in, "SELECT id, ssn FROM customers ORDER BY 2")
	if _, err := a.AppendSQL(nil, nil); err != nil {
		t.Error(err)
	}
	if _, err := b.AppendSQL(nil, nil); err == nil {
		t.Error("ORDER BY 2 took the decision of ORDER BY 1")
	}
}

func TestACachedDecisionEqualsAFreshOne(t *testing.T) {
	cached, fresh := inspector(t, database, corpusMarks, corpusFunctions), inspector(t, database, corpusMarks, corpusFunctions)
	replace := strings.NewReplacer("'x'", "'%s'", " 1", " 2", "'078%'", "'%'", "true", "false")
	for _, c := range readCases(t) {
		texts, _ := c.statements(t)
		for _, text := range texts {
			for _, variant := range []string{text, replace.Replace(text), text} {
				var b1, b2 Buffer
				fresh.cache = newShapeCache()
				i, err := cached.Inspect(context.Background(), corpusEnv, variant, &b1)
				j, err2 := fresh.Inspect(context.Background(), corpusEnv, variant, &b2)
				if (err == nil) != (err2 == nil) {
					t.Fatalf("%q: %v, %v", variant, err, err2)
				}
				if err != nil {
					continue
				}
				if !reflect.DeepEqual(i.Shape, j.Shape) {
					t.Errorf("%q:\n%+v\n%+v", variant, i.Shape.Facts, j.Shape.Facts)
				}
				s1, e1 := i.AppendSQL(nil, nil)
				s2, e2 := j.AppendSQL(nil, nil)
				if string(s1) != string(s2) || (e1 == nil) != (e2 == nil) {
					t.Errorf("%q: %s %v, %s %v", variant, s1, e1, s2, e2)
				}
			}
		}
	}
}

func TestEffectsOfStatements(t *testing.T) {
	in := inspector(t, database, nil, corpusFunctions)
	for text, want := range map[string]string{
		"":         "read",
		"SELECT 1": "read",
		"INSERT INTO app.settings VALUES ('a', 'b')":         "write",
		"DELETE FROM order_items WHERE order_id = 1":         "read,delete",
		"WITH d AS (DELETE FROM tickets) SELECT 1":           "read,delete",
		"SELECT 1 INTO scratch.x":                            "read,write,schema",
		"CREATE TEMP TABLE z (a int)":                        "schema",
		"DROP TABLE orders":                                  "schema",
		"GRANT SELECT ON orders TO other":                    "admin",
		"COPY orders TO STDOUT":                              "read,export",
		"COPY app.settings FROM STDIN":                       "write",
		"COPY (SELECT 1) TO PROGRAM 'cat'":                   "read,admin,execute,export",
		"DO 'BEGIN END'":                                     "execute,unknown",
		"LISTEN x":                                           "tunnel",
		"LOCK orders IN ACCESS SHARE MODE":                   "read",
		"LOCK orders":                                        "read,write",
		"SELECT nextval('app.counter')":                      "read,write",
		"SELECT pg_read_file('x')":                           "read,admin",
		"SELECT nothing_like_it(1)":                          "read,unknown",
		"EXPLAIN DELETE FROM tickets":                        "read",
		"EXPLAIN ANALYZE DELETE FROM tickets":                "read,delete",
		"EXPLAIN SELECT fake_stable()":                       "read,execute,unknown",
		"BEGIN READ WRITE":                                   "read,write",
		"SET ROLE other":                                     "read,admin",
		"RESET ALL":                                          "read",
		"DISCARD ALL":                                        "write",
		"SET statement_timeout = 5":                          "read",
		"PREPARE TRANSACTION 'x'":                            "admin",
		"VACUUM":                                             "admin,execute",
		"TRUNCATE app.settings":                              "delete",
		"SELECT 1; DROP TABLE x":                             "read,schema",
		"CREATE FUNCTION f() RETURNS int LANGUAGE sql AS ''": "schema,execute",
		"SELECT * FROM pg_authid":                            "read,admin",
		"SELECT * FROM nowhere":                              "read,unknown",
	} {
		if got := inspect(t, in, text).Shape.Effects.String(); got != want {
			t.Errorf("%q has effects %s, want %s", text, got, want)
		}
	}
}

func TestUnboundedChangesAreFound(t *testing.T) {
	in := inspector(t, database, nil, nil)
	for text, want := range map[string]bool{
		"DELETE FROM tickets":                                                                        true,
		"DELETE FROM tickets WHERE true":                                                             true,
		"DELETE FROM tickets WHERE 1 = 1":                                                            true,
		"DELETE FROM tickets WHERE id = id":                                                          true,
		"DELETE FROM tickets WHERE id IS NOT NULL":                                                   true,
		"DELETE FROM tickets WHERE id = 1 OR true":                                                   true,
		"DELETE FROM tickets WHERE EXISTS (SELECT 1)":                                                true,
		"DELETE FROM tickets WHERE EXISTS (SELECT 1 FROM orders)":                                    true,
		"DELETE FROM tickets WHERE body IS NULL OR body IS NOT NULL":                                 true,
		"DELETE FROM tickets WHERE NOT false":                                                        true,
		"DELETE FROM tickets WHERE ctid IS NOT NULL":                                                 true,
		"DELETE FROM tickets WHERE $1":                                                               true,
		"DELETE FROM tickets WHERE NOT (id IS NULL)":                                                 true,
		"MERGE INTO tickets t USING orders o ON true WHEN MATCHED THEN DELETE":                       true,
		"MERGE INTO tickets t USING orders o ON o.id = t.id WHEN NOT MATCHED BY SOURCE THEN DELETE":  true,
		"MERGE INTO tickets t USING orders o ON o.id = t.id WHEN MATCHED THEN UPDATE SET body = 'x'": true,
		"TRUNCATE tickets":                                                                           true,
		"WITH d AS (UPDATE tickets SET body = '') SELECT 1":                                          true,
		"DELETE FROM tickets WHERE id = 1":                                                           false,
		"DELETE FROM tickets WHERE id = 1 AND true":                                                  false,
		"DELETE FROM tickets WHERE id IN (SELECT order_id FROM order_items)":                         true,
		"DELETE FROM tickets t USING orders o WHERE o.id = t.id AND o.total > 5":                     false,
		"UPDATE tickets SET body = '' WHERE body IS NULL":                                            false,
		"EXPLAIN DELETE FROM tickets":                                                                false,
		"DELETE FROM tickets WHERE CURRENT OF c":                                                     false,
	} {
		if got := inspect(t, in, text).Shape.Facts.Unbounded; got != want {
			t.Errorf("%q: unbounded is %v", text, got)
		}
	}
}

func TestOnlyTemporaryObjectsCountAsTemporary(t *testing.T) {
	in := inspector(t, database, nil, nil)
	for text, want := range map[string]bool{
		"CREATE TEMP TABLE z (a int)":                        true,
		"CREATE TEMP TABLE z AS SELECT 1":                    true,
		"SELECT 1 INTO TEMP z":                               true,
		"CREATE TABLE pg_temp.z (a int)":                     true,
		"CREATE TEMP VIEW z AS SELECT 1":                     true,
		"CREATE TABLE z (a int)":                             false,
		"CREATE TEMP TABLE z (a int); DROP TABLE orders":     false,
		"CREATE TEMP TABLE z (a int); CREATE INDEX ON z (a)": true,
		"CREATE INDEX ON orders (id)":                        false,
		"CREATE TEMP TABLE z (a int); ALTER TABLE z ADD b int; ALTER TABLE z RENAME TO y": true,
		"CREATE TEMP TABLE z (a int); ALTER TABLE z INHERIT orders":                       false,
		"DROP TABLE orders": false,
		"DROP TABLE IF EXISTS z; CREATE TEMP TABLE z (a int)": true,
		"DROP TABLE IF EXISTS z, orders":                      false,
		"SELECT 1":                                            false,
	} {
		if got := inspect(t, in, text).Shape.Facts.Temporary; got != want {
			t.Errorf("%q: temporary is %v", text, got)
		}
	}
}

func TestFactsNameWhatAStatementTouches(t *testing.T) {
	in := inspector(t, database, nil, nil)
	f := inspect(t, in, "WITH x AS (UPDATE tickets SET body = upper(body) WHERE id = 1 RETURNING id) SELECT o.total, now() FROM orders o JOIN x ON true").Shape.Facts
	want := Facts{
		Verb: "select", Statements: []string{"select", "update"}, Schemas: []string{"public"},
		Tables: []string{"public.orders", "public.tickets"}, Written: []string{"public.tickets"},
		Columns:   []string{"public.orders.total", "public.tickets.body", "public.tickets.id"},
		Functions: []string{"pg_catalog.now", "pg_catalog.upper"}, Settings: []string{},
		Unreviewed: []string{"rule tickets_log on public.tickets"}, Understood: true,
	}
	if !reflect.DeepEqual(*f, want) {
		t.Errorf("got %+v", *f)
	}
}

func TestPasswordsAreNotInTheRecord(t *testing.T) {
	in := inspector(t, database, nil, nil)
	for text, want := range map[string]string{
		"CREATE ROLE r PASSWORD 'geheim' -- x":                             "CREATE ROLE r PASSWORD 'REDACTED' -- x",
		"ALTER USER r WITH PASSWORD E'ge\\'heim'":                          "ALTER USER r WITH PASSWORD 'REDACTED'",
		"CREATE USER MAPPING FOR r SERVER s OPTIONS (password 'geheim')":   "CREATE USER MAPPING FOR r SERVER s OPTIONS (password 'REDACTED')",
		"CREATE SUBSCRIPTION s CONNECTION 'password=geheim' PUBLICATION p": "CREATE SUBSCRIPTION s CONNECTION 'REDACTED' PUBLICATION p",
		"SELECT 'a'; ALTER ROLE r PASSWORD $$geheim$$":                     "SELECT 'a'; ALTER ROLE r PASSWORD 'REDACTED'",
		"SELECT 'plain'": "SELECT 'plain'",
	} {
		if got := inspect(t, in, text).Record(); got != want {
			t.Errorf("%q is recorded as %q", text, got)
		}
	}
}

func TestErrorsAreWordedAsPostgreSQLWordsThem(t *testing.T) {
	in := inspector(t, database, corpusMarks, nil)
	var buf Buffer
	_, err := in.Inspect(context.Background(), corpusEnv, "SELECT /* é */ 1 FRM orders o", &buf)
	var e *Error
	if !errors.As(err, &e) || e.SQLSTATE != "42601" || !strings.HasPrefix(e.Message, "syntax error at or near") || e.Position == 0 {
		t.Errorf("got %#v", err)
	}
	i := inspect(t, in, "SELECT /* é */ id FROM customers WHERE ssn = 'x'")
	_, err = i.AppendSQL(nil, gate.Masks{"pii": gate.MaskRedact})
	if !errors.As(err, &e) || e.SQLSTATE != "42501" || e.Message != "public.customers.ssn is masked and cannot be used in WHERE" || e.Hint == "" {
		t.Errorf("got %#v", err)
	}
	for _, masks := range []gate.Masks{{"pii": gate.MaskPlain, "card": gate.MaskPlain}, {"pii": gate.MaskPlain}} {
		if sql, err := i.AppendSQL(nil, masks); err != nil || string(sql) != "select id from \"public\". customers where ssn = 'x'" {
			t.Errorf("with the masks %v: %s %v", masks, sql, err)
		}
	}
}

func TestALabelThatNamesNothingIsAnErrorWithTheNearestName(t *testing.T) {
	cat := inspector(t, database, nil, nil).Catalog()
	for path, want := range map[string]string{
		"public.custmers.email":  "did you mean public.customers?",
		"public.customers.emial": "did you mean email?",
		"customers.email":        "schema.table.column",
	} {
		_, err := newLabelTable(cat, map[string][]string{"pii": {path}})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestHostileSizesAreBounded(t *testing.T) {
	in := inspector(t, database, corpusMarks, nil)
	doubling := "WITH a0 AS (SELECT * FROM customers)"
	for i := range 40 {
		doubling += fmt.Sprintf(", a%d AS (SELECT * FROM a%d, a%d x)", i+1, i, i)
	}
	for name, text := range map[string]string{
		"ranges":   "SELECT 1 FROM customers" + strings.Repeat(", customers", 50_000),
		"aliases":  "SELECT ssn FROM customers a" + strings.Repeat(", customers b", 900),
		"lookups":  "SELECT nothing" + strings.Repeat(", nothing", 50_000) + " FROM orders" + strings.Repeat(", orders", 10_000),
		"doubling": doubling + " SELECT * FROM a40",
		"values":   "INSERT INTO app.settings VALUES ('a', 'b')" + strings.Repeat(", ('a', 'b')", 50_000),
		"names":    "SELECT " + strings.Repeat("c.id, ", 50_000) + "1 FROM customers c",
	} {
		start := time.Now()
		var buf Buffer
		i, err := in.Inspect(context.Background(), corpusEnv, text, &buf)
		if d := time.Since(start); d > time.Minute {
			t.Errorf("%s took %v", name, d)
		} else if err == nil {
			_, err = i.AppendSQL(nil, nil)
			t.Logf("%s: %v, understood %v, %.80v", name, d, i.Shape.Facts.Understood, err)
		} else {
			t.Logf("%s: %v, %.80v", name, d, err)
		}
	}
}

func TestNestedRecursiveQueriesAreBounded(t *testing.T) {
	in := inspector(t, database, corpusMarks, nil)
	text := "SELECT 1 AS a"
	for range 60 {
		text = "WITH RECURSIVE r AS (" + text + " UNION ALL SELECT ssn FROM customers) SELECT a FROM r"
	}
	start := time.Now()
	var buf Buffer
	i, err := in.Inspect(context.Background(), corpusEnv, text, &buf)
	if d := time.Since(start); d > time.Minute {
		t.Errorf("took %v", d)
	}
	if err == nil && i.Shape.Facts.Understood {
		t.Log("understood within the bound")
	}
}

func TestWhatARollbackLeavesIsKnown(t *testing.T) {
	fresh(t, "lasting", "CREATE TABLE people (id int PRIMARY KEY, email text)", "CREATE TABLE numbered (id serial, email text)", "CREATE SEQUENCE counter",
		"CREATE VIEW counts AS SELECT nextval('counter') AS n FROM people", "CREATE TABLE coded (code text DEFAULT 'x' || nextval('counter'), email text)",
		"CREATE FUNCTION note() RETURNS int LANGUAGE sql AS 'SELECT 1'", "CREATE FUNCTION look() RETURNS int LANGUAGE sql AS 'SELECT 1'")
	in := inspector(t, "lasting", map[string][]string{"pii": {"public.people.email"}}, map[string]gate.Effects{"public.note()": gate.EffectWrite, "public.look()": gate.EffectRead})
	for text, want := range map[string]bool{
		"SELECT nextval('counter') FROM people": true, "SELECT setval('counter', id) FROM people": true, "SELECT setseed(0.5) FROM people": true,
		"SELECT n FROM counts": true, "SELECT pg_try_advisory_xact_lock(id) FROM people": true, "SELECT pg_advisory_unlock_all() FROM people": true,
		"SELECT pg_logical_emit_message(false, 'a', 'b') FROM people": true, "SELECT set_config('application_name', 'x', false) FROM people": true,
		"INSERT INTO numbered (email) SELECT 'x' FROM people": true, "WITH p AS (SELECT id FROM people) INSERT INTO numbered (email) SELECT 'x' FROM p": true,
		"INSERT INTO coded (email) VALUES ('x')": true, "MERGE INTO numbered n USING people p ON n.id = p.id WHEN NOT MATCHED THEN INSERT (email) VALUES ('x')": true,
		"SELECT note()": true, "PREPARE p AS SELECT nextval('counter') FROM people": true,
		"SELECT id FROM people": false, "SELECT look()": false, "INSERT INTO numbered (email) VALUES ('x')": false, "UPDATE numbered SET email = 'x'": false,
		"DELETE FROM numbered": false, "MERGE INTO numbered n USING people p ON n.id = p.id WHEN MATCHED THEN DELETE": false,
		"SET application_name = 'x'": false, "SELECT set_config('application_name', 'x', false)": false, "BEGIN": false,
	} {
		if got := inspect(t, in, text).Shape.Lasts; got != want {
			t.Errorf("%s: %t", text, got)
		}
	}
}
