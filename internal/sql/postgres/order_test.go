package postgres

import (
	"context"
	"strings"
	"testing"

	"github.com/sallyport-gateway/sallyport/internal/gate"
)

func TestNoRowComesInTheOrderOfLabelledValues(t *testing.T) {
	fresh(t, "ordered", "CREATE TABLE people (id int PRIMARY KEY, region text, email text, doc jsonb)", "CREATE TABLE others (id int, email text)", "CREATE TABLE child () INHERITS (people)",
		"CREATE TABLE plain (id int)", "CREATE VIEW between AS SELECT * FROM people", "CREATE VIEW shown AS SELECT id FROM between", "CREATE MATERIALIZED VIEW kept AS SELECT id FROM shown",
		"CREATE FUNCTION own(int) RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN 1; END'")
	ctx := context.Background()
	conn := connected(t, "ordered")
	for _, c := range []struct {
		index string
		want  Order
	}{
		{"people (region)", OrderStorage}, {"people (region) INCLUDE (email)", OrderStorage}, {"others (id, email)", OrderStorage},
		{"people (region) WHERE email IS NOT NULL", OrderStorage}, {"people (lower(email))", OrderStorage}, {"people USING hash (email)", OrderStorage},
		{"people USING gin (doc)", OrderStorage}, {"people USING brin (region, email)", OrderStorage},
		{"people (lower(region)) WHERE email IS NOT NULL", OrderStorage}, {"people USING hash (email) WHERE region = 'x'", OrderStorage},
		{"people (email) WHERE region = 'x'", OrderIndex}, {"people (lower(email)) WHERE region = 'x'", OrderIndex}, {"people (email) WHERE email IS NOT NULL", OrderIndex}, {"child (email) WHERE id < 5", OrderIndex},
		{"people (email)", OrderStorage}, {"people (email, doc)", OrderStorage},
		{"people (region, email)", OrderIndex}, {"people (email, id)", OrderIndex}, {"people (email) INCLUDE (id)", OrderIndex}, {"child (id, email)", OrderIndex},
		{"people (region, lower(email))", OrderIndex}, {"people (lower(region), email)", OrderIndex}, {"people (lower(region), lower(email))", OrderIndex},
	} {
		if _, err := conn.Exec(ctx, "CREATE INDEX x ON "+c.index).ReadAll(); err != nil {
			t.Fatal(err)
		}
		in := inspector(t, "ordered", map[string][]string{"pii": {"public.people.email", "public.people.doc"}}, nil)
		if in.Order() != c.want {
			t.Errorf("an index on %s: %d instead of %d", c.index, in.Order(), c.want)
		}
		order := c.want != OrderStorage
		for text, unordered := range map[string]bool{
			"SELECT id FROM people": order, "SELECT id FROM shown": order, "UPDATE people SET region = 'x'": order, "COPY people (id) TO STDOUT": order, "REFRESH MATERIALIZED VIEW kept": order,
			"PREPARE p AS SELECT id FROM people": order, "CREATE TEMP TABLE t AS SELECT id FROM people": order, "SELECT * FROM plain WHERE EXISTS (SELECT FROM people)": order,
			"SELECT id FROM plain": false, "SELECT 1": false, "BEGIN": false, "SELECT own(1)": order, "DO 'BEGIN END'": order,
		} {
			if got := inspect(t, in, text).Shape.Unordered; got != unordered {
				t.Errorf("an index on %s: %q: unordered %t", c.index, text, got)
			}
		}
		for text, refused := range map[string]bool{
			"SET enable_seqscan = off": true, "SET LOCAL seq_page_cost = 1e300": true, "SELECT set_config('enable_sort', 'off', true)": true, "SET enable_indexscan = on": true,
			"SET enable_hashjoin = off": false, "RESET enable_indexscan": false, "SET seq_page_cost TO DEFAULT": false,
		} {
			if _, err := inspect(t, in, text).AppendSQL(nil, nil); (err != nil) != (refused && c.want != OrderStorage) {
				t.Errorf("an index on %s: %q: %v", c.index, text, err)
			}
		}
		if _, err := conn.Exec(ctx, "DROP INDEX x").ReadAll(); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		definitions []string
		want        Order
	}{
		{[]string{"CREATE INDEX y ON people (email)", "CREATE VIEW present AS SELECT id FROM people WHERE region IS NOT NULL", "CREATE VIEW mails AS SELECT id, email FROM people WHERE region IS NULL"}, OrderStorage},
		{[]string{"CREATE VIEW reached AS SELECT id FROM people WHERE email IS NOT NULL"}, OrderIndex},
		{[]string{"DROP VIEW reached", "CREATE VIEW named AS SELECT id, email AS mail FROM people", "CREATE VIEW over AS SELECT id FROM named WHERE mail IS NOT NULL"}, OrderIndex},
		{[]string{"DROP VIEW over", "CREATE POLICY p ON people USING (NOT (email IS NULL))", "ALTER TABLE people ENABLE ROW LEVEL SECURITY"}, OrderIndex},
		{[]string{"DROP POLICY p ON people"}, OrderStorage},
		{[]string{"CREATE VIEW asked AS SELECT id FROM people WHERE NOT (email IS NULL)"}, OrderIndex},
		{[]string{"CREATE OR REPLACE VIEW asked AS SELECT id FROM people WHERE (email IS NULL) = false"}, OrderIndex},
		{[]string{"CREATE OR REPLACE VIEW asked AS SELECT id FROM people p (id, b, c, d) JOIN others o USING (id) WHERE c IS NOT NULL"}, OrderIndex},
		{[]string{"CREATE OR REPLACE VIEW asked AS SELECT id FROM (SELECT id, email AS q FROM people) s WHERE q IS NOT NULL"}, OrderIndex},
		{[]string{"CREATE OR REPLACE VIEW asked AS WITH s AS (SELECT id, email AS q FROM people) SELECT id FROM s WHERE EXISTS (SELECT 1 WHERE NOT (q IS NULL))"}, OrderIndex},
		{[]string{"CREATE OR REPLACE VIEW asked AS SELECT id FROM people", "CREATE VIEW has AS SELECT id, email IS NOT NULL AS mail FROM people"}, OrderIndex},
		{[]string{"DROP VIEW has", "CREATE MATERIALIZED VIEW present_ones AS SELECT id FROM people WHERE NOT (email IS NULL)"}, OrderIndex},
		{[]string{"DROP MATERIALIZED VIEW present_ones"}, OrderStorage},
		{[]string{"DROP INDEX y", "CREATE INDEX y ON people (lower(email))", "CREATE VIEW lowered AS SELECT id FROM people WHERE lower(email) IS NOT NULL"}, OrderIndex},
		{[]string{"DROP INDEX y"}, OrderStorage},
	} {
		for _, text := range c.definitions {
			if _, err := conn.Exec(ctx, text).ReadAll(); err != nil {
				t.Fatal(err)
			}
		}
		if in := inspector(t, "ordered", map[string][]string{"pii": {"public.people.email", "public.people.doc"}}, nil); in.Order() != c.want {
			t.Errorf("after %s: %d instead of %d", c.definitions, in.Order(), c.want)
		}
	}
	asked := map[string]string{"application_name": "x", "enable_seqscan": "off"}
	if OrderStorage.Unorders(asked) != "" || OrderIndex.Unorders(asked) != "enable_seqscan" {
		t.Error("what a session begins with is judged otherwise")
	}
}

func TestRowsThatHaveOneOrderAreReadByAnyIndex(t *testing.T) {
	fresh(t, "keyed", "CREATE TABLE people (id int PRIMARY KEY, region text, email text)", "CREATE INDEX ON people (region, email)", "CREATE TABLE made (id int PRIMARY KEY, email text, g int GENERATED ALWAYS AS (1 / id) STORED)", "CREATE INDEX ON made (id, email)",
		"CREATE TABLE parent (id int PRIMARY KEY, email text)", "CREATE INDEX ON parent (id, email)", "CREATE TABLE child () INHERITS (parent)",
		"CREATE TABLE items (tenant int, pos bigint, email text, PRIMARY KEY (tenant, pos))", "CREATE UNIQUE INDEX ON items (tenant, email)",
		"CREATE TABLE later (id int PRIMARY KEY DEFERRABLE, email text)", "CREATE INDEX ON later (id, email)", "CREATE TABLE keyless (id int NOT NULL UNIQUE, email text)", "CREATE INDEX ON keyless (id, email)",
		"CREATE TABLE secured (id int PRIMARY KEY, email text)", "CREATE INDEX ON secured (id, email)", "ALTER TABLE secured ENABLE ROW LEVEL SECURITY", "CREATE VIEW shown AS SELECT * FROM people")
	in := inspector(t, "keyed", map[string][]string{"pii": {"public.people.email", "public.made.email", "public.parent.email", "public.items.email", "public.later.email", "public.keyless.email", "public.secured.email"}}, nil)
	for text, want := range map[string]bool{
		"SELECT * FROM people ORDER BY id": false, "SELECT id, email FROM people WHERE region = 'x' ORDER BY region DESC, id LIMIT 10 OFFSET 5": false,
		"SELECT p.* FROM people AS p WHERE p.region IN ('a', 'b') AND id > $1 ORDER BY p.id NULLS FIRST LIMIT $2": false,
		"EXPLAIN SELECT * FROM people ORDER BY id":                                                                false, "EXPLAIN SELECT * FROM people": true,
		"SELECT email FROM people WHERE id = 5": false, "SELECT email FROM people WHERE id = 5 AND region IS NOT NULL": false,
		"SELECT * FROM items WHERE tenant = 3 ORDER BY pos": false, "SELECT * FROM items WHERE tenant = 3 AND pos = 4": false, "SELECT * FROM items ORDER BY pos, tenant": false,

		"SELECT * FROM people": true, "SELECT * FROM people ORDER BY region": true, "SELECT * FROM items WHERE tenant = 3": true, "SELECT * FROM items ORDER BY pos": true, "SELECT * FROM items WHERE tenant > 3 ORDER BY pos": true,
		"SELECT * FROM items WHERE tenant = 3 OR pos = 4 ORDER BY pos": true, "SELECT * FROM items WHERE NOT tenant = 3 ORDER BY pos": true,
		"SELECT * FROM people WHERE id = $1": true, "SELECT * FROM people WHERE id = region::int": true, "SELECT region AS id FROM people ORDER BY id": true, "SELECT region id, id region FROM people ORDER BY region": true,
		"SELECT 1 / id FROM people ORDER BY id": true, "SELECT region::int FROM people ORDER BY id": true, "SELECT id FROM people WHERE region::int = 1 ORDER BY id": true, "SELECT id FROM people WHERE region LIKE 'a' ORDER BY id": true, "SELECT id FROM people ORDER BY id + 0": true,
		"SELECT id FROM people ORDER BY id FOR UPDATE": true, "SELECT DISTINCT id FROM people ORDER BY id": true, "SELECT id FROM people GROUP BY id ORDER BY id": true, "SELECT id FROM people UNION ALL SELECT id FROM people ORDER BY id": true,
		"SELECT id FROM people p (a, id) ORDER BY id": true, "SELECT a.id FROM people a, people b ORDER BY a.id": true, "SELECT id FROM people ORDER BY id LIMIT (SELECT count(*) FROM people)": true, "SELECT id FROM people TABLESAMPLE SYSTEM (50) ORDER BY id": true,
		"WITH x AS (SELECT 1) SELECT id FROM people ORDER BY id": true, "SELECT id FROM shown ORDER BY id": true, "SELECT id FROM people ORDER BY id; SELECT id FROM people": true, "SELECT id INTO TEMP t FROM people ORDER BY id": true,
		"SELECT id, g FROM made ORDER BY id": true, "SELECT id FROM parent ORDER BY id": true, "SELECT id FROM later ORDER BY id": true, "SELECT id FROM keyless ORDER BY id": true, "SELECT id FROM secured ORDER BY id": true,
		"DECLARE c CURSOR FOR SELECT id FROM people ORDER BY id": true, "SELECT id FROM people ORDER BY id USING <": true, "SELECT ctid FROM people ORDER BY id": true,
	} {
		if got := inspect(t, in, text).Shape.Unordered; got != want {
			t.Errorf("%q: unordered %t", text, got)
		}
	}
}

func TestAPartOfAValueIsNotShownInTheOrderOfTheWhole(t *testing.T) {
	fresh(t, "parts", "CREATE TABLE people (id int, email text, born date, code varchar(20), wide text)", "CREATE TABLE child () INHERITS (people)",
		"INSERT INTO people SELECT i, chr(97 + i % 3) || (100 - i) || '@x.org', date '2000-12-31' - i, 'code-' || (100 - i) || '0000', repeat('w', 500) FROM generate_series(1, 60) i",
		"CREATE INDEX ON people (email)", "CREATE INDEX ON people (born)", "CREATE INDEX ON people (code)", "CREATE INDEX ON child (code)",
		"CREATE VIEW shown AS SELECT id, email, born, code FROM people", "CREATE VIEW over AS SELECT email AS mail FROM shown",
		"CREATE MATERIALIZED VIEW stored AS SELECT email FROM people", "CREATE INDEX ON stored (email)", "VACUUM ANALYZE people", "VACUUM ANALYZE stored")
	in := inspector(t, "parts", map[string][]string{"mail": {"public.people.email"}, "date": {"public.people.born"}, "code": {"public.people.code"}}, nil)
	ctx := context.Background()
	conn := connected(t, "parts")
	for _, mask := range []string{MaskEmail, MaskDateYear, MaskLast4, MaskToken, MaskDigits, gate.MaskRedact} {
		masks := gate.Masks{"mail": mask, "date": mask, "code": mask}
		for _, text := range []string{"SELECT email FROM people", "SELECT email FROM ONLY people", "SELECT p.email FROM people p, (SELECT 1) o", "SELECT born FROM people", "SELECT code FROM people",
			"SELECT email FROM stored", "SELECT email FROM shown", "SELECT mail FROM over", "SELECT born FROM shown", "COPY people (email) TO STDOUT", "SELECT string_agg(e, ',') FROM (SELECT email FROM shown) x(e)"} {
			sql, err := inspect(t, in, text).AppendSQL(nil, masks)
			if err != nil || strings.Contains(text, "born") && mask != MaskDateYear {
				continue // a mask in an expression; a constant in every row
			}
			plan := strings.TrimSuffix(strings.TrimPrefix(string(sql), "copy ( "), " ) to stdout")
			r, err := conn.Exec(ctx, "SET enable_seqscan = off; SET enable_bitmapscan = off; EXPLAIN (COSTS OFF) "+plan).ReadAll()
			if err != nil {
				t.Errorf("%q %s: %v\n%s", text, mask, err, sql)
				continue
			}
			var lines []string
			for _, row := range r[2].Rows {
				lines = append(lines, string(row[0]))
			}
			if p := strings.Join(lines, "\n"); strings.Contains(p, "Index") && !strings.Contains(p, "Sort") && showsPart(mask) {
				t.Errorf("%q under %s is answered in the order of the index:\n%s\n%s", text, mask, p, sql)
			}
		}
	}
}

func TestWhatIsNotNullIsNotChangedInTheOrderOfAnIndex(t *testing.T) {
	fresh(t, "present", "CREATE TABLE people (id int PRIMARY KEY, email text UNIQUE, note text)", "CREATE VIEW shown AS SELECT id, email AS mail, note FROM people", "INSERT INTO people SELECT i, 'm' || (1000 - i) FROM generate_series(1, 500) i", "VACUUM ANALYZE people")
	in := inspector(t, "present", map[string][]string{"pii": {"public.people.email"}}, nil)
	ctx := context.Background()
	conn := connected(t, "present")
	for _, text := range []string{"UPDATE people SET note = 'x' WHERE email IS NOT NULL RETURNING id", "UPDATE people p SET note = 'x' WHERE ((p.email)) NOTNULL AND note IS NULL RETURNING id",
		"DELETE FROM people WHERE public.people.email IS NOT NULL RETURNING id", "UPDATE people SET note = 'x' WHERE NOT email IS NOT NULL OR (email IS NOT NULL) RETURNING (email IS NOT NULL), id",
		"UPDATE people SET note = 'x' WHERE NOT (email IS NULL) RETURNING id", "DELETE FROM people WHERE NOT email ISNULL", "UPDATE people SET note = 'x' WHERE (email IS NULL) = false", "UPDATE people SET note = 'x' WHERE false = (((email)) IS NULL)",
		"UPDATE people SET note = 'x' WHERE NOT (people.email IS NULL OR note IS NULL)", "DELETE FROM people WHERE EXISTS (SELECT 1 WHERE NOT (email IS NULL)) RETURNING id", "UPDATE people SET note = 'x' WHERE (email IS NULL) IS NOT TRUE", "UPDATE people SET note = 'x' WHERE email IS NULL",
		"UPDATE people SET note = 'x' WHERE (email IS NULL, 1) = (false, 1)", "UPDATE people SET note = 'x' FROM (VALUES (false)) v (b) WHERE (email IS NULL) = v.b", "MERGE INTO people p USING (VALUES (1)) v (i) ON NOT (p.email IS NULL) WHEN MATCHED THEN UPDATE SET note = 'x'",
		"UPDATE shown SET note = 'x' WHERE NOT (mail IS NULL) RETURNING id", "WITH u AS (UPDATE people SET note = 'x' WHERE NOT bool(email IS NULL) RETURNING id) TABLE u"} {
		sql, err := inspect(t, in, text).AppendSQL(nil, nil)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if v := conn.ParameterStatus("server_version"); strings.HasPrefix(text, "MERGE") && (strings.HasPrefix(v, "13.") || strings.HasPrefix(v, "14.")) {
			continue // it is new in 15
		}
		r, err := conn.Exec(ctx, "SET enable_seqscan = off; SET enable_bitmapscan = off; EXPLAIN (COSTS OFF) "+string(sql)).ReadAll()
		if err != nil {
			t.Errorf("%q: %v\n%s", text, err, sql)
			continue
		}
		for _, row := range r[2].Rows {
			if strings.Contains(string(row[0]), "Index Cond") || strings.Contains(string(row[0]), "email_key") {
				t.Errorf("%q: %s\n%s", text, row[0], sql)
			}
		}
	}
}
