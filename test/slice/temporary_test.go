package slice_test

import (
	"slices"
	"strings"
	"testing"
)

// temps is a target on which agents may make temporary tables: customers and its
// audit have labelled columns, a trigger and a function were reviewed, and both
// name their tables without a schema.
var temps = twinned{
	schema: `CREATE TABLE customers (id int PRIMARY KEY, name text, ssn text, city text);
		INSERT INTO customers VALUES (1, 'Ada', '078-05-1120', 'Paris'), (2, 'Ben', '219-09-9999', 'Rome');
		CREATE TABLE audit (ssn text, note text);
		CREATE TABLE listed (ssn text);
		CREATE TABLE orders (id int PRIMARY KEY, total numeric);
		INSERT INTO orders VALUES (1, 10), (2, 20);
		CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO audit (ssn) VALUES (OLD.ssn); RETURN NEW; END $$;
		CREATE TRIGGER keep BEFORE UPDATE ON customers FOR EACH ROW EXECUTE FUNCTION keep();
		CREATE FUNCTION late() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO audit (ssn) SELECT ssn FROM customers; RETURN NEW; END $$;
		CREATE CONSTRAINT TRIGGER late AFTER UPDATE ON orders DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION late();
		CREATE FUNCTION known(customer int) RETURNS bool LANGUAGE sql AS $$ SELECT EXISTS (SELECT FROM listed l JOIN customers c ON c.ssn LIKE l.ssn WHERE c.id = customer) $$;
		CREATE FUNCTION stage() RETURNS int LANGUAGE plpgsql AS $$ BEGIN CREATE TEMPORARY TABLE IF NOT EXISTS stage AS SELECT * FROM customers; RETURN 1; END $$`,
	secrets: `ALTER TABLE customers DISABLE TRIGGER USER; UPDATE customers SET ssn = '999-99-999' || id; ALTER TABLE customers ENABLE TRIGGER USER`,
	labels:  "  pii: [public.customers.ssn, public.audit.ssn, public.listed.ssn]\n",
	functions: `  "public.keep()": write
  "public.late()": write
  "public.known(integer)": read
  "public.stage()": write
`,
	rules: `  - name: no-definitions
    when: command.effects.exists(e, e == "schema") && !sql.temporary
    then: block
  - name: work
    when: sql.understood && command.effects.all(e, e in ["read", "write", "delete", "schema"])
    then: allow
    mask: {pii: redact}
`,
}

func TestTemporaryTablesHoldMasks(t *testing.T) {
	p := startTwins(t, "temps_mask", temps)
	for name, c := range map[string]struct {
		steps []step
		want  []string // in this order
	}{
		"as select": {queries("CREATE TEMP TABLE t AS SELECT * FROM customers", "SELECT * FROM t ORDER BY id", "SELECT ssn LIKE '0%', length(ssn) FROM t",
			"SELECT upper(t.ssn) FROM t GROUP BY ssn", "TABLE pg_temp.t", "DROP TABLE t", "SELECT * FROM t"),
			[]string{"SELECT 2", `D["1","Ada","[redacted]","Paris"]`, `D["f","10"]`, `D["[REDACTED]"]`, `["2","Ben","[redacted]","Rome"]`, "DROP TABLE", "ERROR"}},
		"select into": {queries("SELECT id, ssn INTO TEMP t FROM customers", "SELECT * FROM t WHERE ssn > '1' ORDER BY ssn, id", "SELECT t::text FROM t", "SELECT row_to_json(t) FROM t"),
			[]string{"SELECT 2", `["1","[redacted]"]`, `(1,[redacted])`, `redacted`}},
		"insert": {queries("CREATE TEMP TABLE t (id serial, v text NOT NULL CHECK (v <> ''), w text GENERATED ALWAYS AS (upper(v)) STORED)", "INSERT INTO t (v) SELECT ssn FROM customers ORDER BY id RETURNING *",
			"SELECT * FROM t", "UPDATE t SET v = c.ssn FROM customers c WHERE c.id = t.id AND t.id = 1", "INSERT INTO t (v) SELECT nullif(name, 'Ada') FROM customers", "SELECT v FROM t"),
			[]string{"CREATE TABLE", `["1","[redacted]","[REDACTED]"]`, "INSERT 0 2", "SELECT 2", "UPDATE 1", "C23502", "SELECT 2"}},
		"execute": {queries("PREPARE p AS SELECT ssn FROM customers", "CREATE TEMP TABLE t AS EXECUTE p", "SELECT * FROM t"), []string{"SELECT 2", "redacted"}},
		"altered": {queries("CREATE TEMP TABLE t AS SELECT id, ssn FROM customers", "ALTER TABLE t ADD COLUMN more text DEFAULT upper('x')", "ALTER TABLE t RENAME TO u", "ALTER TABLE u RENAME COLUMN ssn TO s", "CREATE INDEX ON u (lower(s))", "SELECT * FROM u ORDER BY id", "SELECT ssn FROM t"),
			[]string{"ALTER", "ALTER", "ALTER", "CREATE INDEX", `["1","[redacted]","X"]`, "ERROR"}},
		"shadow": {queries("CREATE TEMP TABLE orders AS SELECT id, ssn FROM customers", "SELECT * FROM orders ORDER BY id", "SELECT * FROM public.orders ORDER BY id", "DROP TABLE orders", "SELECT * FROM orders ORDER BY id"),
			[]string{`["1","[redacted]"]`, `["1","10"]`, "DROP TABLE", `["1","10"]`}},
		"view": {queries("CREATE TEMP VIEW v AS SELECT id, ssn FROM customers", "SELECT * FROM v ORDER BY ssn, id", "CREATE TEMP VIEW w AS SELECT ssn || 'x' AS y FROM v", "SELECT y FROM w WHERE y > '0'"),
			[]string{"CREATE VIEW", "redacted", "CREATE VIEW", "redacted", "SELECT 2"}},
		"view over a temporary table": {queries("CREATE TEMP TABLE customers AS SELECT ssn FROM public.customers", "CREATE TEMP VIEW v AS SELECT ssn FROM customers", "SELECT * FROM v", "DROP TABLE customers CASCADE", "SELECT * FROM v"),
			[]string{"redacted", "DROP TABLE", "ERROR"}},
		"view in the way": {queries("CREATE TEMP VIEW customers AS SELECT 1 AS id, 'x' AS ssn", "SELECT * FROM customers", "SELECT ssn FROM public.customers", "DROP VIEW customers", "SELECT ssn FROM customers"),
			[]string{"x", "redacted", "DROP VIEW", "redacted"}},
		"view replaced": {queries("CREATE TEMP VIEW v AS SELECT note AS ssn FROM audit", "PREPARE p AS SELECT * FROM v", "CREATE OR REPLACE TEMP VIEW v AS SELECT ssn FROM customers", "EXECUTE p", "SELECT * FROM v"),
			[]string{"CREATE VIEW", "CREATE VIEW", "redacted"}},
		"view that calls a function": {queries("CREATE TEMP VIEW v AS SELECT known(1)", "SELECT * FROM v", "CREATE TEMP VIEW listed AS SELECT '0%'::text AS ssn", "SELECT * FROM v"),
			[]string{"ERROR"}},
		"sequence": {queries("CREATE TEMP SEQUENCE s", "SELECT nextval('s')", "SELECT last_value FROM s", "DROP SEQUENCE s"), []string{"CREATE SEQUENCE", "SELECT 1", "SELECT 1", "DROP SEQUENCE"}},
		"pipeline": {[]step{send("Z", mAll("CREATE TEMP TABLE t AS SELECT ssn FROM customers"), mAll("SELECT * FROM t"), mAll("SELECT count(*) FROM t WHERE ssn LIKE '0%'"), mSync()), send("Z", mQuery("SELECT * FROM t"))},
			[]string{"SELECT 2", "redacted", `["0"]`, "redacted"}},
		"pipeline that fails": {[]step{send("Z", mAll("CREATE TEMP TABLE customers AS SELECT 1 AS id, 'x' AS ssn"), mAll("SELECT ssn FROM customers"), mAll("SELECT 1/0"), mSync()), send("Z", mQuery("SELECT ssn FROM customers"))},
			[]string{"SELECT 1", `["x"]`, "22012", "redacted"}},
		"the same text again": {[]step{send("Z", mParse("c", "CREATE TEMP TABLE customers AS SELECT 1 AS id, 'x' AS ssn"), mParse("d", "DISCARD TEMP"), mSync()), send("Z", mAll("SELECT ssn FROM customers"), mSync()),
			send("Z", mBind("", "c"), mExecute("", 0), mSync()), send("Z", mAll("SELECT ssn FROM customers"), mSync()), send("Z", mBind("", "d"), mExecute("", 0), mSync()), send("Z", mAll("SELECT ssn FROM customers"), mSync())},
			[]string{"redacted", "SELECT 1", `["x"]`, "DISCARD", "redacted"}},
		"what it reads is dropped": {queries("CREATE TEMP TABLE customers AS SELECT 1 AS id, 'x' AS ssn", "PREPARE p AS SELECT ssn FROM customers", "EXECUTE p", "DROP TABLE customers", "EXECUTE p", "SELECT ssn FROM customers"), []string{`["x"]`, "DROP TABLE", "ERROR", "redacted"}},
		"rolled back": {queries("BEGIN", "CREATE TEMP TABLE customers AS SELECT 1 AS id, 'x' AS ssn", "SELECT ssn FROM customers", "ROLLBACK", "SELECT ssn FROM customers ORDER BY id",
			"BEGIN", "SAVEPOINT s", "CREATE TEMP TABLE customers AS SELECT 2 AS id, 'y' AS ssn", "ROLLBACK TO s", "SELECT ssn FROM customers ORDER BY id", "COMMIT"),
			[]string{`["x"]`, "ROLLBACK", "redacted", "ROLLBACK", "redacted"}},
		"on commit drop": {queries("BEGIN", "CREATE TEMP TABLE customers ON COMMIT DROP AS SELECT 1 AS id, 'x' AS ssn", "SELECT ssn FROM customers", "COMMIT", "SELECT ssn FROM customers ORDER BY id"),
			[]string{`["x"]`, "COMMIT", "redacted"}},
		"cursor": {queries("CREATE TEMP TABLE t AS SELECT ssn FROM customers", "BEGIN", "DECLARE c CURSOR FOR SELECT * FROM t", "FETCH ALL FROM c", "COMMIT"), []string{"redacted", "FETCH 2"}},
	} {
		t.Run(name, func(t *testing.T) {
			p.t = t
			answers := strings.Join(p.play(c.steps), "\n")
			clean(t, "the answer", answers)
			inOrder(t, answers, c.want)
		})
	}
}

// inOrder fails the test unless a text holds all parts, one behind the other.
func inOrder(t *testing.T, text string, parts []string) {
	t.Helper()
	rest := text
	for _, part := range parts {
		_, after, found := strings.Cut(rest, part)
		if !found {
			t.Errorf("%q is missing, or not in its place, in\n%s", part, text)
			return
		}
		rest = after
	}
}

// TestTemporaryRelationsThatComeBackShowMasks ends a transaction in which a view
// shows nothing, so that what stood there before is read by what was judged in it.
func TestTemporaryRelationsThatComeBackShowMasks(t *testing.T) {
	p := startTwins(t, "temps_back", temps)
	const read = "SELECT ssn FROM v"
	made := []string{"CREATE TEMP VIEW v AS SELECT id, ssn FROM customers", "BEGIN", "SAVEPOINT s", "CREATE OR REPLACE TEMP VIEW v AS SELECT id, name AS ssn FROM customers", read}
	failed := append(slices.Clone(made), "SELECT 1/0 FROM customers")
	pipeline := func(before []string, parts ...[]byte) []step {
		return append(queries(before...), send("Z", append(parts, mSync())...))
	}
	for name, steps := range map[string][]step{
		"text":                      queries(append(slices.Clip(made), "ROLLBACK; "+read)...),
		"text, to a savepoint":      queries(append(slices.Clip(made), "ROLLBACK TO s; "+read)...),
		"failed, text":              queries(append(slices.Clip(failed), "ROLLBACK; "+read)...),
		"failed, COMMIT":            queries(append(slices.Clip(failed), "COMMIT; "+read)...),
		"failed, and chained":       queries(append(slices.Clip(failed), "ROLLBACK AND CHAIN; "+read)...),
		"failed, to a savepoint":    queries(append(slices.Clip(failed), "ROLLBACK TO s; "+read)...),
		"pipeline":                  pipeline(made, mAll("ROLLBACK"), mAll(read)),
		"failed, pipeline":          pipeline(failed, mAll("ROLLBACK"), mAll(read)),
		"failed, COMMIT, pipeline":  pipeline(failed, mAll("COMMIT"), mAll(read)),
		"failed, to s, pipeline":    pipeline(failed, mAll("ROLLBACK TO s"), mAll(read)),
		"failed, then a text":       append(queries(failed...), send("Z", mAll("ROLLBACK"), mQuery(read))),
		"failed, prepared before":   append(append([]step{queries(made...)[0], send("Z", mParse("n", read), mSync())}, queries(failed[1:]...)...), send("Z", mAll("ROLLBACK"), mBind("", "n"), mExecute("", 0), mSync())),
		"failed, read in a cursor":  queries(append(slices.Clip(failed), "ROLLBACK; BEGIN; DECLARE c CURSOR FOR "+read, "FETCH ALL FROM c")...),
		"failed, copied":            queries(append(slices.Clip(failed), "ROLLBACK; COPY ("+read+") TO STDOUT")...),
		"failed, written elsewhere": queries(append(slices.Clip(failed), "ROLLBACK; INSERT INTO orders (id) SELECT length(ssn) + 100 FROM v", "SELECT * FROM orders")...),
	} {
		t.Run(name, func(t *testing.T) {
			p.t = t
			clean(t, "the answer", strings.Join(p.play(steps), "\n"))
		})
	}
}

// TestTemporaryTablesHideNothingFromCodeOfOthers has temporary tables stand where
// reviewed code looks for its own: it would write labelled values into them, fail
// by them, or answer by what the agent has put there.
func TestTemporaryTablesHideNothingFromCodeOfOthers(t *testing.T) {
	p := startTwins(t, "temps_code", temps)
	const audit = "CREATE TEMP TABLE audit (ssn text, note text, copied text GENERATED ALWAYS AS (ssn) STORED)"
	const touch = "UPDATE customers SET city = 'Oslo' WHERE id = 1"
	for name, steps := range map[string][]step{
		"trigger writes":         queries(audit, touch, "SELECT copied FROM audit", "SELECT * FROM pg_temp.audit", "TABLE audit"),
		"trigger fails":          queries("CREATE TEMP TABLE audit (ssn text CHECK (ssn < '5'), note text)", touch, "SELECT note FROM audit"),
		"function reads":         queries("CREATE TEMP TABLE listed (ssn text)", "INSERT INTO listed VALUES ('0%')", "SELECT known(1), known(2)"),
		"hidden by a view":       queries("CREATE TEMP VIEW listed AS SELECT '0%'::text AS ssn", "SELECT known(1), known(2)"),
		"deferred":               queries("BEGIN", "UPDATE orders SET total = 1 WHERE id = 1", audit, "COMMIT", "SELECT copied FROM audit", "SELECT * FROM pg_temp.audit"),
		"the function's own":     queries("SELECT stage()", "SELECT * FROM stage", "SELECT * FROM pg_temp.stage", "CREATE TEMP TABLE IF NOT EXISTS stage (a int)", "SELECT * FROM stage", "SELECT * FROM pg_temp.stage"),
		"taken for the agent's":  queries("SELECT stage()", "CREATE TEMP TABLE stage (a int)", "SELECT * FROM stage", "SELECT * FROM pg_temp.stage"),
		"taken, in a savepoint":  queries("SELECT stage()", "BEGIN", "SAVEPOINT s", "CREATE TEMP TABLE stage (a int)", "ROLLBACK TO s", "SELECT * FROM stage", "ROLLBACK", "SELECT * FROM pg_temp.stage"),
		"taken, by EXECUTE":      {send("Z", mParse("n", "CREATE TEMP TABLE stage (a int)"), mSync()), send("Z", mQuery("SELECT stage()")), send("Z", mAll("EXECUTE n"), mSync()), send("Z", mQuery("SELECT * FROM stage")), send("Z", mQuery("SELECT * FROM pg_temp.stage"))},
		"made before":            queries("CREATE TEMP TABLE stage (id int, name text, ssn text, city text)", "SELECT stage()", "SELECT * FROM stage"),
		"prepared before":        {send("Z", mParse("p", touch), mSync()), send("Z", mQuery(audit)), send("Z", mBind("", "p"), mExecute("", 0), mSync()), send("Z", mQuery("SELECT copied FROM audit"))},
		"in one pipeline":        {send("Z", mAll(audit), mAll(touch), mAll("SELECT copied FROM audit"), mSync()), send("Z", mQuery("SELECT * FROM audit"))},
		"cursor over a function": queries("BEGIN", "DECLARE c CURSOR FOR SELECT known(id) FROM customers ORDER BY id", "CREATE TEMP TABLE listed (ssn text)", "INSERT INTO listed VALUES ('0%')", "FETCH ALL FROM c", "COMMIT"),
		"names that were judged": {send("Z", mParse("q", "SELECT note FROM audit"), mSync()), send("Z", mQuery(audit)), send("Z", mBind("", "q"), mExecute("", 0), mSync())},
	} {
		t.Run(name, func(t *testing.T) {
			p.t = t
			answers := strings.Join(p.play(steps), "\n")
			clean(t, "the answer", answers)
			if !strings.Contains(answers, "ERROR") {
				t.Errorf("nothing was refused:\n%s", answers)
			}
		})
	}
}

// TestEventTriggersAreCodeThatAStatementRuns: one that copies what nobody may see runs when
// a temporary table is made, too.
func TestEventTriggersAreCodeThatAStatementRuns(t *testing.T) {
	d := temps
	d.schema += `; CREATE TABLE made (what text);
		CREATE FUNCTION note() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN IF session_user = 'agent' THEN INSERT INTO made SELECT ssn FROM customers; END IF; END $$;
		CREATE EVENT TRIGGER note ON ddl_command_end EXECUTE FUNCTION note()`
	const read, refused = "SELECT what FROM made", "event trigger note"
	makes := []string{"CREATE TEMP TABLE t (a int)", "CREATE TEMP TABLE t AS SELECT id FROM orders", "SELECT id INTO TEMP t FROM orders", "CREATE TEMP VIEW v AS SELECT 1 AS a", "CREATE TEMP SEQUENCE s"}
	p := startTwins(t, "events", d)
	for _, text := range makes {
		answers := p.play(queries(text, read))
		clean(t, "the answer", strings.Join(answers, "\n"))
		if !strings.Contains(answers[0], refused) {
			t.Errorf("%s: %s", text, answers[0])
		}
	}
	if answers := p.play([]step{send("Z", mAll("SELECT count(*) FROM orders"), mAll(makes[0]), mSync()), send("Z", mQuery(read))}); !strings.Contains(answers[0], refused) {
		t.Errorf("in a pipeline: %s", answers)
	}
	d.functions += "  \"public.note()\": write\n"
	d.labels += "  pii2: [public.made.what]\n"
	d.rules = strings.ReplaceAll(d.rules, "{pii: redact}", "{pii: redact, pii2: redact}")
	p = startTwins(t, "events", d)
	if answers := strings.Join(p.play(queries(makes[1], read)), "\n"); !strings.Contains(answers, "SELECT 2") || !strings.Contains(answers, "redacted") {
		t.Errorf("reviewed: %s", answers)
	}
}

func TestTemporaryTablesAreUsedAsWithoutTheGateway(t *testing.T) {
	w := the(t)
	p := startTwins(t, "temps_open", twinned{schema: "CREATE TABLE orders (id int PRIMARY KEY, total numeric); INSERT INTO orders VALUES (1, 10), (2, 20)", rules: strings.ReplaceAll(temps.rules, "    mask: {pii: redact}\n", "")})
	for name, steps := range map[string][]step{
		"made and used": queries("CREATE TEMP TABLE tt (a int, b text)", "INSERT INTO tt VALUES (1, 'x'), (2, 'y')", "SELECT a, b FROM tt ORDER BY a", "UPDATE tt SET b = 'z' WHERE a = 1 RETURNING *", "DELETE FROM tt WHERE a = 2", "TRUNCATE tt", "DROP TABLE tt", "SELECT 1"),
		"as":            queries("CREATE TEMP TABLE tt AS SELECT id, total FROM orders", "SELECT count(*), sum(total) FROM tt", "SELECT o.id FROM orders o JOIN tt USING (id) ORDER BY 1"),
		"into":          queries("SELECT id INTO TEMP t2 FROM orders", "SELECT count(*) FROM t2"),
		"one text":      queries("DROP TABLE IF EXISTS tt; CREATE TEMP TABLE tt AS SELECT * FROM orders; CREATE INDEX ON tt (id); SELECT * FROM tt ORDER BY id", "SELECT * FROM tt ORDER BY id DESC"),
		"shadow":        queries("CREATE TEMP TABLE orders (x int)", "SELECT * FROM orders", "SELECT * FROM public.orders ORDER BY id", "DROP TABLE orders", "SELECT * FROM orders ORDER BY id"),
		"like":          queries("CREATE TEMP TABLE o2 (LIKE orders INCLUDING ALL)", "INSERT INTO o2 TABLE orders", "SELECT * FROM o2 ORDER BY id"),
		"copy":          {send("Z", mQuery("CREATE TEMP TABLE c (a int)")), send("G", mQuery("COPY c FROM STDIN")), send("Z", mCopyData("1\n2\n"), mCopyDone()), send("Z", mQuery("SELECT sum(a) FROM c"))},
		"transaction":   queries("BEGIN", "CREATE TEMP TABLE t (a int) ON COMMIT DROP", "INSERT INTO t VALUES (1)", "SELECT * FROM t", "COMMIT", "BEGIN", "CREATE TEMP TABLE orders (a int)", "ROLLBACK", "SELECT id FROM orders ORDER BY id"),
		"pipeline":      {send("Z", mAll("CREATE TEMP TABLE t (a int)"), mAll("INSERT INTO t VALUES ($1::int)", "7"), mAll("SELECT * FROM t"), mSync())},
	} {
		t.Run(name, func(t *testing.T) {
			through := converse(bareThrough(t, p.gw, "temps_open", w.token(t, "mobile-agent")), steps)
			direct := converse(bareDirect(t, w, "temps_open"), steps)
			for i := range steps {
				if withoutTables(through[i]) != withoutTables(direct[i]) {
					t.Errorf("%s\nthrough %s\ndirect  %s", steps[i].send, through[i], direct[i])
				}
			}
		})
	}
}
