package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport-gateway/sallyport/internal/gate"
	"github.com/sallyport-gateway/sallyport/internal/sql/postgres/parse"
)

// fresh makes a database of its own with a schema.
func fresh(t testing.TB, name string, schema ...string) {
	t.Helper()
	ctx := context.Background()
	c, err := theServer.connect(ctx, "postgres", "postgres")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(ctx)
	for _, sql := range []string{"DROP DATABASE IF EXISTS " + name + " WITH (FORCE)", "CREATE DATABASE " + name} {
		if _, err := c.Exec(ctx, sql).ReadAll(); err != nil {
			t.Fatal(err)
		}
	}
	d, err := theServer.connect(ctx, name, "postgres")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close(ctx)
	for _, sql := range schema {
		if _, err := d.Exec(ctx, sql).ReadAll(); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
}

// maskErr returns the refusal of a text under the default masks; nil if it runs.
func maskErr(t *testing.T, in *Inspector, text string) *Error {
	t.Helper()
	_, err := inspect(t, in, text).AppendSQL(nil, nil)
	var e *Error
	if err != nil && !errors.As(err, &e) {
		t.Fatal(err)
	}
	return e
}

func TestMasksKeepTheTypeOfTheColumn(t *testing.T) {
	columns := []struct{ name, typ, value, redacted string }{
		{"a", "text", "'secret'", "[redacted]"},
		{"b", "varchar(4)", "'secr'", "[red"},
		{"c", "char(12)", "'secret'", "[redacted]  "},
		{"d", "numeric(10,2)", "4711.42", "NULL"},
		{"e", "int", "4711", "NULL"},
		{"f", "date", "'2001-02-03'", "NULL"},
		{"g", "timestamptz", "'2001-02-03'", "NULL"},
		{"h", "text[]", "'{secret,b}'", "{[redacted]}"},
		{"i", "int[]", "'{4711}'", "NULL"},
		{"j", "json", "'{\"a\":\"secret\"}'", `"[redacted]"`},
		{"k", "jsonb", "'{\"a\":\"secret\"}'", `"[redacted]"`},
		{"l", "bytea", "'secret'", "NULL"},
		{"m", "xml", "'<secret/>'", "NULL"},
		{"n", "mood", "'happy'", "NULL"},
		{"o", "checked", "'secret'", "[redacted]"},
		{"p", "pair", "ROW('secret', 4711)", "([redacted],)"},
		{"q", "outer_pair", "ROW(ROW('secret', 1), 'secret')", `("([redacted],)",[redacted])`},
		{"r", "pair[]", "ARRAY[ROW('secret', 1)::pair]", "NULL"},
		{"s", "bool", "true", "NULL"},
		{"t", "uuid", "'00000000-0000-0000-0000-000000004711'", "NULL"},
		{"u", "inet", "'10.47.11.1'", "NULL"},
		{"v", "int4range", "'[1,4711)'", "NULL"},
		{"w", "name", "'secret'", "[redacted]"},
		{"Mixed \"Case", "text", "'secret'", "[redacted]"},
	}
	var defs, values, marks []string
	for _, c := range columns {
		defs = append(defs, quoteIdent(c.name)+" "+c.typ)
		values = append(values, c.value)
		marks = append(marks, "public.t."+quoteIdent(c.name))
	}
	fresh(t, "masks",
		"CREATE TYPE mood AS ENUM ('happy')", "CREATE DOMAIN checked AS varchar(20) CHECK (value ~ '^s')",
		"CREATE TYPE pair AS (x text, y int)", "CREATE TYPE outer_pair AS (p pair, z text)",
		"CREATE TABLE t ("+strings.Join(defs, ", ")+")", "INSERT INTO t VALUES ("+strings.Join(values, ", ")+")", "INSERT INTO t DEFAULT VALUES")
	in := inspector(t, "masks", map[string][]string{"pii": marks}, nil)
	ctx := context.Background()
	conn, err := theServer.connect(ctx, "masks", "postgres")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	for name, value := range TokenSettings([]byte("another key")) {
		if a := ask(t, conn, "SET "+name+" = '"+value+"'"); a.err != nil {
			t.Fatal(a.err)
		}
	}
	for _, c := range columns {
		text := "SELECT " + quoteIdent(c.name) + " FROM t"
		for _, mask := range []string{gate.MaskRedact, MaskNull, MaskLast4, MaskEmail, MaskDateYear, MaskDigits, MaskToken} {
			i := inspect(t, in, text)
			sql, err := i.AppendSQL(nil, gate.Masks{"pii": mask})
			if err != nil {
				t.Fatal(err)
			}
			direct, masked := conn.Exec(ctx, text), ""
			want, err := direct.ReadAll()
			if err != nil {
				t.Fatal(err)
			}
			got, err := conn.Exec(ctx, string(sql)).ReadAll()
			if err != nil {
				t.Errorf("%s %s: %v", c.typ, mask, err)
				continue
			}
			w, g := want[0].FieldDescriptions[0], got[0].FieldDescriptions[0]
			if w.Name != g.Name || w.DataTypeOID != g.DataTypeOID || w.TypeModifier != g.TypeModifier {
				t.Errorf("%s %s: described as %+v instead of %+v", c.typ, mask, g, w)
			}
			masked = "NULL"
			if v := got[0].Rows[0][0]; v != nil {
				masked = string(v)
			}
			if mask == gate.MaskRedact && masked != c.redacted {
				t.Errorf("%s: %s", c.typ, masked)
			}
			if strings.Contains(masked, "secre") && mask != MaskDigits || strings.Contains(masked, "4711") {
				t.Errorf("%s %s shows %s", c.typ, mask, masked)
			}
			if got[0].Rows[1][0] != nil {
				t.Errorf("%s %s: NULL became %s", c.typ, mask, got[0].Rows[1][0])
			}
		}
	}
}

func TestEveryDateHasAYearOrNone(t *testing.T) {
	fresh(t, "years", "CREATE TABLE t (id int, d date, w timestamp, z timestamptz, s text)",
		"INSERT INTO t VALUES (1, '5874897-12-31', '294276-12-31 23:59:59.999999', '294276-12-31 23:59:59.999999Z', '2001-12-31'), (2, '4714-11-24 BC', '4714-11-24 BC', '4714-11-24 00:00Z BC', '200'), "+
			"(3, '0044-03-15 BC', '0044-03-15 BC', '0044-03-15 00:00Z BC', 'n2001'), (4, 'infinity', 'infinity', '-infinity', '')")
	in := inspector(t, "years", map[string][]string{"l": {"public.t.d", "public.t.w", "public.t.z", "public.t.s"}}, nil)
	sql, err := inspect(t, in, "SELECT d, w, z, s FROM t ORDER BY id").AppendSQL(nil, gate.Masks{"l": MaskDateYear})
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	conn, err := theServer.connect(ctx, "years", "postgres")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	r, err := conn.Exec(ctx, "SET timezone = 'UTC'; "+string(sql)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"|294276-01-01 00:00:00|294276-01-01 00:00:00+00|2001", "|||[redacted]", "0044-01-01 BC|0044-01-01 00:00:00 BC|0044-01-01 00:00:00+00 BC|[redacted]", "|infinity||[redacted]"}
	for i, row := range r[1].Rows {
		if got := string(bytes.Join(row, []byte("|"))); got != want[i] {
			t.Errorf("row %d: %s, want %s", i+1, got, want[i])
		}
	}
}

func TestTheYearOfADateIsTheSameInEveryTimeZone(t *testing.T) {
	fresh(t, "zones", "CREATE TABLE t (d date, w timestamp, z timestamptz, n timestamptz[])",
		"INSERT INTO t VALUES ('2001-12-31', '2001-12-31 23:30', '2001-12-31 23:30Z', '{2001-12-31 23:30Z}'), ('2001-01-01', '2001-01-01', '2001-01-01 00:00Z', '{2001-01-01 00:00Z}')")
	in := inspector(t, "zones", map[string][]string{"l": {"public.t.d", "public.t.w", "public.t.z", "public.t.n"}}, nil)
	sql, err := inspect(t, in, "SELECT * FROM t").AppendSQL(nil, gate.Masks{"l": MaskDateYear})
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	conn, err := theServer.connect(ctx, "zones", "postgres")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	for _, zone := range []string{"UTC", "America/New_York", "Pacific/Kiritimati", "<a>-167", "<a>167", "<a>0<b>-167,J363/0,J180"} {
		r, err := conn.Exec(ctx, "SET timezone = '"+zone+"'; "+string(sql)).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		if last, first := r[1].Rows[0], r[1].Rows[1]; !slices.EqualFunc(last, first, bytes.Equal) {
			t.Errorf("%s: the last day of 2001 is shown as %q, the first as %q", zone, last, first)
		}
	}
}

func TestPartialMasksShowOnlyWhatTheyDeclare(t *testing.T) {
	fresh(t, "partial", "CREATE TABLE t (v text, d date)", "INSERT INTO t VALUES ('alice@example.org', '2001-02-03'), ('4111-1111', '1999-12-31'), ('abc', NULL), ('@x', NULL)")
	in := inspector(t, "partial", map[string][]string{"l": {"public.t.v", "public.t.d"}}, nil)
	ctx := context.Background()
	conn, err := theServer.connect(ctx, "partial", "postgres")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	for mask, want := range map[string]string{
		MaskLast4:    "****.org|****1111|****|****",
		MaskEmail:    "a***@example.org|***|***|***",
		MaskDigits:   "alice@example.org|0000-0000|abc|@x",
		MaskDateYear: "[redacted]|4111|[redacted]|[redacted]",
	} {
		sql, err := inspect(t, in, "SELECT v FROM t").AppendSQL(nil, gate.Masks{"l": mask})
		if err != nil {
			t.Fatal(err)
		}
		r, err := conn.Exec(ctx, string(sql)).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, row := range r[0].Rows {
			got = append(got, string(row[0]))
		}
		if strings.Join(got, "|") != want {
			t.Errorf("%s: %q", mask, got)
		}
	}
	if _, err := inspect(t, in, "SELECT v FROM t").AppendSQL(nil, gate.Masks{"l": "nonsense"}); err == nil {
		t.Error("an unknown mask is accepted")
	}
	sql, err := inspect(t, in, "SELECT d FROM t").AppendSQL(nil, gate.Masks{"l": MaskDateYear})
	if err != nil {
		t.Fatal(err)
	}
	if r, err := conn.Exec(ctx, string(sql)).ReadAll(); err != nil || string(r[0].Rows[0][0]) != "2001-01-01" {
		t.Errorf("date-year: %v %v", r, err)
	}
}

func TestHiddenCodeIsFoundWhereverItHides(t *testing.T) {
	fresh(t, "hidden",
		"CREATE FUNCTION evil() RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1'",
		"CREATE FUNCTION evil(text) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT true'",
		"CREATE FUNCTION evil(text, text) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT true'",
		"CREATE FUNCTION trg() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
		"CREATE TABLE plain (a int, b text)",
		"CREATE TABLE defaulted (a int DEFAULT evil(), b text)",
		"CREATE TABLE checked (a text CHECK (evil(a)))",
		"CREATE TABLE indexed (a text)", "CREATE INDEX ON indexed ((evil(a)))",
		"CREATE TABLE part (a text)", "CREATE INDEX ON part (a) WHERE evil(a)",
		"CREATE TABLE foretold (a int)", "CREATE INDEX ON foretold (a) WHERE evil() = 1", "CREATE TABLE sworn (a int CHECK (a > 0 OR evil('x')))", "CREATE TABLE ancestor (a int)", "CREATE TABLE heir () INHERITS (ancestor)", "CREATE INDEX ON heir ((a - evil()))",
		"CREATE TABLE counted (a int, b int)", "DO $$BEGIN IF current_setting('server_version_num')::int >= 140000 THEN EXECUTE 'CREATE STATISTICS counts ON ((a - evil())), b FROM counted'; END IF; END$$",
		"CREATE TABLE keyed (a int) PARTITION BY RANGE ((a - evil()))", "CREATE TABLE keyed_1 PARTITION OF keyed FOR VALUES FROM (0) TO (10)",
		"CREATE FUNCTION sly(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN $1; END'", "CREATE TABLE routed (a text) PARTITION BY LIST ((sly(a)))", "CREATE TABLE routed_1 PARTITION OF routed DEFAULT",
		"CREATE FUNCTION evil_cmp(int, int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT btint4cmp($1, $2)'", "CREATE OPERATOR CLASS evil_ops FOR TYPE int4 USING btree AS OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >, FUNCTION 1 evil_cmp(int, int)",
		"CREATE DOMAIN preset AS int DEFAULT evil()", "CREATE TABLE presets (a int, b preset)", "CREATE TABLE set_otherwise (a int, b preset DEFAULT 1)",
		"CREATE TABLE asked (id int PRIMARY KEY)", "CREATE INDEX ON asked (id) WHERE evil() = 1", "CREATE TABLE asks (a int REFERENCES asked)",
		"CREATE TABLE replied (id int PRIMARY KEY)", "CREATE TABLE replies (a int REFERENCES replied)", "CREATE INDEX ON replies (a) WHERE evil() = 1",
		"CREATE TABLE sorted (a int)", "CREATE INDEX ON sorted (a evil_ops)", "CREATE TABLE classed (a int) PARTITION BY RANGE (a evil_ops)", "CREATE TABLE classed_1 PARTITION OF classed FOR VALUES FROM (0) TO (10)",
		"CREATE VIEW over_foretold AS SELECT a FROM foretold",
		`CREATE FUNCTION "json_scalar"(int) RETURNS int LANGUAGE sql AS 'SELECT 1'`, `CREATE FUNCTION "json_value"(int, int) RETURNS int LANGUAGE sql AS 'SELECT 1'`, `CREATE FUNCTION "json_array"() RETURNS int LANGUAGE sql AS 'SELECT 1'`,
		"CREATE TABLE generated (a text, b bool GENERATED ALWAYS AS (evil(a)) STORED)",
		"CREATE TABLE guarded (a text)", "ALTER TABLE guarded ENABLE ROW LEVEL SECURITY", "CREATE POLICY p ON guarded USING (evil(a))",
		"CREATE TABLE triggered (a text)", "CREATE TRIGGER x BEFORE INSERT ON triggered FOR EACH ROW EXECUTE FUNCTION trg()",
		"CREATE TABLE owner (id int PRIMARY KEY)", "CREATE TABLE owned (id int REFERENCES owner ON DELETE CASCADE)", "CREATE TRIGGER x AFTER DELETE ON owned FOR EACH ROW EXECUTE FUNCTION trg()",
		"CREATE TABLE ranged (a int) PARTITION BY RANGE (a)", "CREATE TABLE ranged_1 PARTITION OF ranged FOR VALUES FROM (0) TO (10)", "CREATE TRIGGER x BEFORE INSERT ON ranged_1 FOR EACH ROW EXECUTE FUNCTION trg()",
		"CREATE VIEW viewed AS SELECT evil() AS x FROM plain", "CREATE VIEW viewed2 AS SELECT * FROM viewed", "CREATE VIEW updatable AS SELECT * FROM triggered",
		"CREATE DOMAIN dom AS text CHECK (evil(value))", "CREATE TABLE domained (a dom)", "CREATE TYPE comp AS (d dom)", "CREATE FUNCTION reviewed(dom) RETURNS int LANGUAGE sql AS 'SELECT 1'", "CREATE FUNCTION honest(text) RETURNS int LANGUAGE sql AS 'SELECT 1'", "CREATE TABLE composed (c comp[])",
		"CREATE OPERATOR === (LEFTARG = text, RIGHTARG = text, FUNCTION = evil)",
		"CREATE OPERATOR + (LEFTARG = text, RIGHTARG = text, FUNCTION = evil)",
		"CREATE TYPE box2 AS (x int)", "CREATE FUNCTION to_box2(text) RETURNS box2 LANGUAGE sql AS 'SELECT ROW(1)::box2'", "CREATE CAST (text AS box2) WITH FUNCTION to_box2(text) AS IMPLICIT", "CREATE TABLE boxed (b box2)",
		"CREATE FUNCTION vat(plain) RETURNS int LANGUAGE sql AS 'SELECT 1'",
		"CREATE AGGREGATE agg(int) (SFUNC = int4pl, STYPE = int)",
		"CREATE PROCEDURE proc() LANGUAGE sql AS 'SELECT 1'",
	)
	in := inspector(t, "hidden", nil, map[string]gate.Effects{"public.reviewed(dom)": gate.EffectRead, "public.honest(text)": gate.EffectRead})
	for _, text := range []string{
		"SELECT evil()", "SELECT public.evil()", "SELECT * FROM evil() e", "SELECT 1 LIMIT evil()", "VALUES (evil())", "SELECT 1 ORDER BY evil()",
		"INSERT INTO defaulted (b) VALUES ('x')", "INSERT INTO checked VALUES ('x')", "INSERT INTO indexed VALUES ('x')", "INSERT INTO part VALUES ('x')",
		"INSERT INTO generated (a) VALUES ('x')", "SELECT * FROM guarded", "DELETE FROM guarded WHERE a = 'x'", "INSERT INTO triggered VALUES ('x')",
		"COPY triggered FROM STDIN", "DELETE FROM owner WHERE id = 1", "INSERT INTO ranged VALUES (1)", "UPDATE ranged SET a = 1 WHERE a = 2", "INSERT INTO updatable VALUES ('x')",
		"SELECT * FROM viewed", "SELECT * FROM viewed2", "TABLE viewed2", "COPY (SELECT * FROM viewed2) TO STDOUT", "EXPLAIN SELECT * FROM viewed2",
		"SELECT 'x'::dom", "SELECT CAST('x' AS dom)", "SELECT '{x}'::dom[]", "SELECT '(x)'::comp", "INSERT INTO domained VALUES ('x')", "SELECT * FROM composed", "SELECT json_populate_record(NULL::comp, '{}')",
		"SELECT * FROM json_to_record('{}') AS x(d dom)", "SELECT * FROM XMLTABLE('/' PASSING '<a/>' COLUMNS d dom PATH '.')",
		"SELECT 'a' === 'b'", "SELECT 'a' OPERATOR(public.===) 'b'", "SELECT 1 + 1", "SELECT 1 WHERE 1 + ANY (ARRAY[1])", "SELECT 1 ORDER BY 1 USING ===",
		"SELECT 'x'::box2", "SELECT b FROM boxed", "INSERT INTO boxed SELECT b FROM plain", "SELECT p.vat FROM plain p", "SELECT (p).vat FROM plain p", "SELECT vat(p) FROM plain p",
		"SELECT agg(a) FROM plain", "SELECT agg(a) OVER () FROM plain", "CALL proc()", "EXECUTE p(evil())", "DECLARE c CURSOR FOR SELECT evil()", "PREPARE p AS SELECT evil()",
		"MERGE INTO triggered t USING plain p ON true WHEN NOT MATCHED THEN INSERT VALUES ('x')",
		"INSERT INTO plain VALUES (1); INSERT INTO triggered VALUES ('x')", "UPDATE triggered SET a = 'x' WHERE a = 'y'; INSERT INTO triggered VALUES ('x')",
		"WITH x AS (INSERT INTO triggered VALUES ('x')) SELECT 1",
		"SELECT reviewed('x')", "SELECT reviewed($1)",
		"SELECT a FROM foretold", "DELETE FROM foretold WHERE a = 1", "SELECT a FROM sworn", "SELECT a FROM ancestor", "SELECT a FROM over_foretold",
		"INSERT INTO presets (a) VALUES (1)", "UPDATE presets SET b = DEFAULT WHERE a = 1", "INSERT INTO asks VALUES (1)", "UPDATE asks SET a = 2 WHERE a = 1", "DELETE FROM replied WHERE id = 1",
		"SELECT a FROM keyed", "SELECT a FROM keyed_1", "INSERT INTO routed VALUES ('x')", "INSERT INTO routed_1 VALUES ('x')", "UPDATE routed_1 SET a = 'x' WHERE a = 'y'",
		"SELECT a FROM sorted WHERE a = 1", "INSERT INTO sorted VALUES (1)", "DELETE FROM sorted WHERE a = 1", "SELECT a FROM classed WHERE a = 1", "INSERT INTO classed VALUES (1)", "INSERT INTO classed_1 VALUES (1)",
		"CREATE TEMP TABLE t (a int, EXCLUDE USING btree ((a - evil()) WITH =))", "CREATE TEMP TABLE t (a int, EXCLUDE USING btree (a WITH =) WHERE (evil() = 1))", "CREATE TEMP TABLE t (a int, EXCLUDE USING btree (a evil_ops WITH =))",
		"CREATE TEMP TABLE t (a text, EXCLUDE USING btree (a WITH OPERATOR(public.===)))", "CREATE TEMP TABLE t (a int) PARTITION BY RANGE ((a - evil()))", "CREATE TEMP TABLE t (a int) PARTITION BY LIST (a evil_ops)",
	} {
		if s := inspect(t, in, text).Shape; !s.Effects.Has(gate.EffectUnknown) {
			t.Errorf("%q has effects %v", text, s.Effects)
		}
	}
	for text, since := range map[string]int{"SELECT JSON_SCALAR(1)": 17, "SELECT JSON_VALUE(1, 2)": 17, "SELECT json_array()": 16} {
		if s := inspect(t, in, text).Shape; s.Effects.Has(gate.EffectUnknown) != (in.Catalog().Version()/10000 < since) {
			t.Errorf("%q has effects %v at %d", text, s.Effects, in.Catalog().Version())
		}
	}
	if s := inspect(t, in, "SELECT b FROM counted").Shape; s.Effects.Has(gate.EffectUnknown) != (in.Catalog().Version()/10000 >= 14) {
		t.Errorf("extended statistics have effects %v at %d", s.Effects, in.Catalog().Version())
	}
	for _, text := range []string{"SELECT a, b FROM plain", "INSERT INTO plain VALUES (1, 'x')", "SELECT a - 1 FROM plain", "UPDATE owner SET id = 2 WHERE id = 1", "SELECT id FROM owned", "SELECT a FROM ranged", "SELECT uuid('x'), count(*) FROM plain",
		"SELECT a FROM checked", "SELECT a FROM indexed", "SELECT a FROM part", "SELECT a FROM routed", "SELECT b FROM presets", "DELETE FROM presets WHERE a = 1", "INSERT INTO set_otherwise (a) VALUES (1)", "SELECT a FROM asks", "INSERT INTO replied VALUES (1)", "CREATE TEMP TABLE t (a int, EXCLUDE USING btree ((a - 1) WITH =)) PARTITION BY RANGE (a)", "SELECT JSON_EXISTS('{}', '$')", "SELECT honest('x')"} {
		if s := inspect(t, in, text).Shape; s.Effects.Has(gate.EffectUnknown) {
			t.Errorf("%q is unknown: %v", text, s.Facts.Unreviewed)
		}
	}
}

func TestLabelsReachEverythingThatShowsTheSameValues(t *testing.T) {
	fresh(t, "spread",
		"CREATE TABLE people (ssn text UNIQUE, name text, region text, UNIQUE (region, ssn), up text GENERATED ALWAYS AS (upper(ssn)) STORED, up2 int)",
		"CREATE TABLE ids (person text REFERENCES people (ssn), note text)",
		"CREATE VIEW v1 AS SELECT ssn AS a, name AS b, count(*) OVER () AS c FROM people", "CREATE VIEW v2 AS SELECT max(a) AS m, b FROM v1 GROUP BY b",
		"CREATE VIEW filtered AS SELECT name FROM people WHERE ssn LIKE '0%'", "CREATE VIEW ordered AS SELECT name FROM people ORDER BY ssn LIMIT 1", "CREATE VIEW clean AS SELECT name FROM people WHERE ssn IS NOT NULL",
		"CREATE VIEW joined AS SELECT p.name FROM people p JOIN ids i ON i.person = p.ssn",
		"CREATE VIEW rec AS WITH RECURSIVE r(x, n) AS (SELECT ssn, 1 FROM people UNION ALL SELECT x, n + 1 FROM r WHERE n < 2) SELECT x, n FROM r",
		"CREATE VIEW cased AS SELECT CASE WHEN ssn = '0' THEN 1 ELSE 2 END AS k, name FROM people",
		"CREATE VIEW scalar AS SELECT (SELECT max(p.ssn) FROM people p) AS s, 1 AS one",
		"CREATE VIEW lat AS SELECT x.l FROM people p, LATERAL (SELECT length(p.ssn) AS l) x",
		"CREATE VIEW rows AS SELECT p AS whole, row_to_json(p) AS doc FROM people p",
		"CREATE VIEW unioned AS SELECT name AS n FROM people UNION ALL SELECT ssn FROM people",
		"CREATE MATERIALIZED VIEW mv AS SELECT a, b FROM v1", "CREATE VIEW over_mv AS SELECT a AS z FROM mv",
		"CREATE TABLE numbers (n text PRIMARY KEY, kind text UNIQUE)", "CREATE TABLE accounts (n text REFERENCES numbers, kind text REFERENCES numbers (kind), note text)",
		"CREATE TABLE groups (g text PRIMARY KEY)", "ALTER TABLE numbers ADD g text REFERENCES groups ON DELETE CASCADE",
		"CREATE TABLE areas (area text PRIMARY KEY)", "CREATE TABLE residents (ssn text, area text REFERENCES areas ON UPDATE CASCADE ON DELETE SET NULL, CHECK (ssn <> area))",
		"CREATE TABLE routes (area text, s text, note text) PARTITION BY RANGE (area, s)", "CREATE TABLE routes_1 PARTITION OF routes DEFAULT",
		"CREATE TABLE base (secret text)", "CREATE TABLE child (extra text) INHERITS (base)",
		"CREATE TABLE parts (k int, s text) PARTITION BY LIST (k)", "CREATE TABLE parts_1 PARTITION OF parts FOR VALUES IN (1) PARTITION BY LIST (k)", "CREATE TABLE parts_1_1 PARTITION OF parts_1 FOR VALUES IN (1)",
	)
	in := inspector(t, "spread", map[string][]string{"pii": {"public.people.ssn", "public.child.secret", "public.parts_1_1.s", "public.accounts.n", "public.residents.ssn", "public.routes.s"}}, nil)
	masked := func(text string) string {
		sql, err := inspect(t, in, text).AppendSQL(nil, nil)
		if err != nil {
			return "refused"
		}
		if strings.Contains(string(sql), "CASE WHEN") || strings.Contains(string(sql), "CAST (") {
			return "masked"
		}
		return "plain"
	}
	for text, want := range map[string]string{
		"SELECT up FROM people": "masked", "SELECT person FROM ids": "masked", "SELECT note FROM ids": "plain",
		"SELECT a FROM v1": "masked", "SELECT b, c FROM v1": "plain", "SELECT m FROM v2": "masked", "SELECT b FROM v2": "plain",
		"SELECT name FROM filtered": "refused", "SELECT name FROM ordered": "refused", "SELECT name FROM clean": "plain", "SELECT name FROM joined": "refused",
		"SELECT x FROM rec": "masked", "SELECT n FROM rec": "plain", "SELECT k FROM cased": "refused", "SELECT s FROM scalar": "masked", "SELECT one FROM scalar": "plain",
		"SELECT l FROM lat": "masked", "SELECT whole FROM rows": "masked", "SELECT doc FROM rows": "masked", "SELECT n FROM unioned": "masked",
		"SELECT a FROM mv": "masked", "SELECT b FROM mv": "plain", "SELECT z FROM over_mv": "masked",
		"SELECT secret FROM base": "masked", "SELECT secret FROM child": "masked", "SELECT extra FROM child": "plain",
		"SELECT s FROM parts": "masked", "SELECT s FROM parts_1": "masked", "SELECT k FROM parts": "plain",
		"INSERT INTO ids (person) VALUES ('0')": "refused", "INSERT INTO ids (note) VALUES ('0')": "plain",
		"UPDATE people SET region = 'x' WHERE name = 'a'": "refused", "UPDATE people SET name = 'x' WHERE name = 'a'": "plain",
		"SELECT attmissingval FROM pg_attribute": "masked", "SELECT * FROM pg_attribute": "masked", "SELECT attname FROM pg_attribute a": "plain",
		"DELETE FROM numbers WHERE n = '1'": "refused", "UPDATE numbers SET n = '1' WHERE kind = 'a'": "refused", "UPDATE numbers SET kind = 'b' WHERE kind = 'a'": "refused", "INSERT INTO numbers VALUES ('1')": "plain",
		"INSERT INTO numbers VALUES ('1') ON CONFLICT (n) DO UPDATE SET n = '2'": "refused", "SELECT n FROM numbers": "plain", "INSERT INTO accounts VALUES ('1', 'a')": "plain",
		"DELETE FROM groups WHERE g = 'a'": "refused", "UPDATE groups SET g = 'b' WHERE g = 'a'": "plain", "DELETE FROM accounts WHERE kind = 'a'": "plain",
		"UPDATE areas SET area = 'b' WHERE area = 'a'": "refused", "DELETE FROM areas WHERE area = 'a'": "refused", "INSERT INTO areas VALUES ('a')": "plain",
		"UPDATE routes SET area = 'b' WHERE note = 'a'": "refused", "UPDATE routes_1 SET area = 'b' WHERE note = 'a'": "refused", "UPDATE routes SET note = 'b' WHERE area = 'a'": "plain", "INSERT INTO routes VALUES ('a', 'b')": "plain",
		"INSERT INTO people (name) VALUES ('a')": "plain", "INSERT INTO people (ssn) VALUES ('a')": "refused",
		"DROP TABLE ids": "plain", "ALTER TABLE people RENAME ssn TO x": "refused", "CREATE VIEW x AS SELECT ssn FROM people": "masked",
		"SELECT name FROM people TABLESAMPLE system (1)": "plain", "SELECT ssn FROM people TABLESAMPLE system (1)": "refused",
	} {
		if got := masked(text); got != want {
			t.Errorf("%q is %s, want %s (%v)", text, got, want, maskErr(t, in, text))
		}
	}
}

// TestAReviewedTriggerDoesNotShowByWhatItRuns: its condition is no part of the review.
func TestAReviewedTriggerDoesNotShowByWhatItRuns(t *testing.T) {
	const touch = "CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.seen := now(); RETURN NEW; END'"
	for when, want := range map[string]map[string]bool{
		"WHEN (OLD.ssn IS DISTINCT FROM NEW.ssn)":                          {"UPDATE people SET ssn = 'x' WHERE id = 1": true, "UPDATE people SET name = 'x' WHERE id = 1": false},
		"WHEN (OLD.* IS DISTINCT FROM NEW.*)":                              {"UPDATE people SET ssn = 'x' WHERE id = 1": true, "UPDATE people SET name = 'x' WHERE id = 1": false},
		"WHEN (NEW.ssn <> OLD.ssn OR OLD.name = 'x')":                      {"UPDATE people SET ssn = 'x' WHERE id = 1": true, "UPDATE people SET name = 'x' WHERE id = 1": false},
		"WHEN (OLD.ssn LIKE '0%')":                                         {"UPDATE people SET name = 'x' WHERE id = 1": true},
		"WHEN (OLD.ssn IS DISTINCT FROM NEW.name)":                         {"UPDATE people SET name = 'x' WHERE id = 1": true},
		"WHEN (OLD.* IS NOT DISTINCT FROM ROW(1, 'a', 'b', NULL)::people)": {"UPDATE people SET name = 'x' WHERE id = 1": true},
		"WHEN (OLD.ssn IS NOT NULL)":                                       {"UPDATE people SET ssn = 'x' WHERE id = 1": false, "UPDATE people SET name = 'x' WHERE id = 1": false},
		"WHEN (OLD.name IS DISTINCT FROM NEW.name)":                        {"UPDATE people SET ssn = 'x' WHERE id = 1": false},
		"": {"UPDATE people SET ssn = 'x' WHERE id = 1": false},
	} {
		fresh(t, "fired", "CREATE TABLE people (id int, ssn text, name text, seen timestamptz)", touch, "CREATE TRIGGER touches BEFORE UPDATE ON people FOR EACH ROW "+when+" EXECUTE FUNCTION touch()")
		in := inspector(t, "fired", map[string][]string{"pii": {"public.people.ssn"}}, map[string]gate.Effects{"public.touch()": gate.EffectRead})
		for text, refused := range want {
			if err := maskErr(t, in, text); (err != nil) != refused {
				t.Errorf("%s: %q: %v", when, text, err)
			}
		}
	}
}

func TestASnapshotOfTenThousandRelationsFitsItsMemory(t *testing.T) {
	fresh(t, "large", `DO $$BEGIN FOR i IN 1..10000 LOOP EXECUTE format('CREATE TABLE t%s (id bigserial, name text NOT NULL, email text, created_at timestamptz DEFAULT now(), a int, b int, c numeric(10,2), d jsonb)', i); IF i % 500 = 0 THEN COMMIT; END IF; END LOOP; END$$`)
	ctx := context.Background()
	conn, err := theServer.connect(ctx, "large", "postgres")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	cat, err := LoadCatalog(ctx, querier{conn})
	if err != nil {
		t.Fatal(err)
	}
	in, err := NewInspector(ctx, cat, Options{Parser: parse.Direct{}, Database: "large"})
	if err != nil {
		t.Fatal(err)
	}
	used := heap() - before
	t.Logf("%d relations in %.1f MiB", len(cat.relations), float64(used)/(1<<20))
	if used > 64<<20 {
		t.Errorf("%d bytes", used)
	}
	runtime.KeepAlive(in)
	epoch, err := Epoch(ctx, querier{conn})
	if err != nil || epoch != cat.Epoch() {
		t.Errorf("the epoch changed without a change: %v", err)
	}
	for _, sql := range []string{"CREATE TEMP TABLE z (a int PRIMARY KEY, b serial CHECK (b > 0))", "INSERT INTO t1 (name) VALUES ('x')", "ANALYZE t1", "VACUUM t1"} {
		if _, err := conn.Exec(ctx, sql).ReadAll(); err != nil {
			t.Fatal(err)
		}
		if now, err := Epoch(ctx, querier{conn}); err != nil || now != epoch {
			t.Errorf("%s changes the epoch: %v", sql, err)
		}
	}
	for _, sql := range []string{
		"ALTER TABLE t1 RENAME email TO x", "CREATE VIEW v AS SELECT 1", "CREATE OR REPLACE VIEW v AS SELECT 2 AS \"?column?\"", "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
		"CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 2'", "ALTER TABLE t2 INHERIT t3", "ALTER TABLE t1 ALTER a SET DEFAULT 1", "CREATE TRIGGER x BEFORE UPDATE ON t1 FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()",
		"ALTER TABLE t1 ENABLE ROW LEVEL SECURITY", "CREATE POLICY p ON t1 USING (true)", "ALTER TABLE t1 ADD CHECK (a > 0)", "CREATE DOMAIN dd AS int", "ALTER DOMAIN dd ADD CHECK (value > 0)", "CREATE UNIQUE INDEX ON t1 (b)", "DROP TABLE t4", "ALTER SCHEMA public RENAME TO public2",
	} {
		if _, err := conn.Exec(ctx, sql).ReadAll(); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
		now, err := Epoch(ctx, querier{conn})
		if err != nil || now == epoch {
			t.Errorf("%s does not change the epoch: %v", sql, err)
		}
		epoch = now
	}
}

func TestEpochOfNoTransactionIsThatOfAnother(t *testing.T) {
	fresh(t, "epochs", "CREATE SCHEMA one", "CREATE SCHEMA two")
	ctx := context.Background()
	conn, err := theServer.connect(ctx, "epochs", "postgres")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	seen := map[string]bool{}
	// Each changes the same two rows, with numbers side by side.
	for range 16 {
		for _, sql := range []string{"ALTER SCHEMA one RENAME TO three; ALTER SCHEMA two RENAME TO one", "ALTER SCHEMA one RENAME TO two; ALTER SCHEMA three RENAME TO one"} {
			if _, err := conn.Exec(ctx, sql).ReadAll(); err != nil {
				t.Fatal(err)
			}
			epoch, err := Epoch(ctx, querier{conn})
			if err != nil {
				t.Fatal(err)
			}
			if seen[epoch] {
				t.Fatalf("the epoch after %d changes has been there before", len(seen))
			}
			seen[epoch] = true
		}
	}
}

func BenchmarkEpoch(b *testing.B) {
	fresh(b, "epoch", `DO $$BEGIN FOR i IN 1..2000 LOOP EXECUTE format('CREATE TABLE t%s (id int, a int, b int, c int, d int)', i); IF i % 500 = 0 THEN COMMIT; END IF; END LOOP; END$$`)
	ctx := context.Background()
	conn, err := theServer.connect(ctx, "epoch", "postgres")
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close(ctx)
	for b.Loop() {
		if _, err := Epoch(ctx, querier{conn}); err != nil {
			b.Fatal(err)
		}
	}
}

func TestEveryOperatorOfPostgreSQLIsHarmless(t *testing.T) {
	ctx := context.Background()
	conn, err := theServer.connect(ctx, database, "postgres")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	for _, sql := range []string{
		"SELECT DISTINCT p.proname FROM pg_operator o JOIN pg_proc p ON p.oid = o.oprcode WHERE o.oid < 16384",
		"SELECT DISTINCT p.proname FROM pg_cast c JOIN pg_proc p ON p.oid = c.castfunc WHERE c.oid < 16384",
		"SELECT DISTINCT p.proname FROM pg_amproc a JOIN pg_proc p ON p.oid = a.amproc JOIN pg_opfamily f ON f.oid = a.amprocfamily JOIN pg_am m ON m.oid = f.opfmethod WHERE m.amname IN ('btree', 'hash') AND a.amprocnum IN (1, 2) AND NOT 'internal'::regtype = ANY (p.proargtypes) AND a.oid < 16384",
	} {
		err := querier{conn}.Query(ctx, sql, func(row [][]byte) error {
			if b, ok := builtins()[string(row[0])]; !ok || b.effects != gate.EffectRead || b.others {
				t.Errorf("%s is behind an operator, a cast or an operator class and not on the list", row[0])
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestWhatIsMaskedInStatisticsIsRefusedAsAFunction(t *testing.T) {
	in := inspector(t, database, corpusMarks, nil)
	conn, err := theServer.connect(context.Background(), database, "postgres")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	column := regexp.MustCompile(`(?m)^.* AS "?(\w+)"?,?$`)
	call := regexp.MustCompile(`pg_stat_get_\w+`)
	seen := 0
	for o, labels := range in.labels.tables {
		rel := in.cat.relations[o]
		if !rel.isSystem() {
			continue
		}
		err := querier{conn}.Query(context.Background(), fmt.Sprintf("SELECT pg_get_viewdef(%d)", o), func(row [][]byte) error {
			for _, m := range column.FindAllStringSubmatch(string(row[0]), -1) {
				c := rel.column(m[1])
				if c == nil || labels.column(c.num) == 0 {
					continue
				}
				for _, name := range call.FindAllString(m[0], -1) {
					seen++
					if name != "pg_stat_get_numscans" && maskErr(t, in, "SELECT "+name+"(1)") == nil {
						t.Errorf("%s.%s is masked, and %s() is not refused", rel.Name(), c.name, name)
					}
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if seen < 20 {
		t.Errorf("only %d functions are behind masked statistics", seen)
	}
}

func TestTheScansOfAnIndexAreShownUnlessItIsOfATOASTTable(t *testing.T) {
	in := inspector(t, database, corpusMarks, nil)
	conn, err := theServer.connect(context.Background(), database, "postgres")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	for text, null := range map[string]bool{
		"SELECT pg_stat_get_numscans(i.indexrelid) FROM pg_index i WHERE i.indrelid = 'orders'::regclass LIMIT 1":                                                                   false,
		"SELECT max(pg_catalog.pg_stat_get_numscans ( ( q.oid ) )) FROM pg_class q WHERE q.relname = 'orders_pkey'":                                                                 false,
		"SELECT pg_stat_get_numscans(max(t.oid::int)::oid) FROM pg_class t WHERE t.relname = 'orders_pkey'":                                                                         false,
		"SELECT pg_stat_get_numscans((SELECT i.indexrelid FROM pg_class c JOIN pg_index i ON i.indrelid = c.reltoastrelid WHERE c.relname = 'customers'))":                          true,
		"SELECT pg_catalog.pg_stat_get_numscans(i.indexrelid) FROM pg_index i, pg_class o WHERE i.indrelid = o.reltoastrelid AND o.relname = 'customers'":                           true,
		"SELECT pg_stat_get_numscans(x.o::oid) FROM (SELECT i.indexrelid::int8 AS o FROM pg_class c JOIN pg_index i ON i.indrelid = c.reltoastrelid AND c.relname = 'customers') x": true,
	} {
		sql, err := inspect(t, in, text).AppendSQL(nil, nil)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		rows, err := conn.Exec(context.Background(), string(sql)).ReadAll()
		if err != nil || len(rows[0].Rows) != 1 || (rows[0].Rows[0][0] == nil) != null {
			t.Errorf("%s: %v %v\n%s", text, rows, err, sql)
		}
	}
	for _, text := range []string{"SELECT pg_stat_get_numscans(VARIADIC ARRAY[1])", "SELECT pg_stat_get_numscans(\"\" => 1)", "SELECT (i.indexrelid).pg_stat_get_numscans FROM pg_index i"} {
		if _, err := in.Inspect(context.Background(), corpusEnv, text, &Buffer{}); err == nil && maskErr(t, in, text) == nil {
			t.Errorf("%s is not refused", text)
		}
	}
}
