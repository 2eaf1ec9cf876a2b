package slice_test

import (
	"slices"
	"strings"
	"testing"
)

// indexed has an index that gives a region's rows in the order of their addresses,
// which is the other way round in the twin.
var indexed = twinned{
	schema: `CREATE TABLE people (id int PRIMARY KEY, region text, email text, note text);
		INSERT INTO people SELECT i, CASE WHEN i % 2000 = 0 THEN 'X' ELSE 'R' || i END, 'p' || lpad(i::text, 5, '0'), repeat('n', 200) FROM generate_series(1, 6000) i;
		CREATE INDEX ON people (region, email);
		CREATE TABLE orders (id int PRIMARY KEY, note text);
		INSERT INTO orders SELECT i, repeat('n', 100) FROM generate_series(1, 5000) i;
		CREATE VIEW shown AS SELECT id, region FROM people;
		CREATE FUNCTION first(r text) RETURNS int LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN (SELECT id FROM people WHERE region = r LIMIT 1); END $$`,
	secrets:   `TRUNCATE people; INSERT INTO people SELECT i, CASE WHEN i % 2000 = 0 THEN 'X' ELSE 'R' || i END, 'p' || lpad((6000 - i)::text, 5, '0'), repeat('n', 200) FROM generate_series(1, 6000) i`,
	labels:    "  pii: [public.people.email]\n",
	functions: "  \"public.first(text)\": read\n",
	rules: `  - name: no-definitions
    when: command.effects.exists(e, e == "schema") && !sql.temporary
    then: block
  - name: work
    when: sql.understood && command.effects.all(e, e in ["read", "write", "delete", "schema", "export"])
    then: allow
    mask: {pii: redact}
`,
}

// ofRegion reads rows that the index would give in the order of labelled values, and
// other has a plan that should use one.
const (
	ofRegion = "SELECT id FROM people WHERE region = 'X'"
	other    = "EXPLAIN (COSTS OFF) SELECT note FROM orders ORDER BY id LIMIT 3"
	inScan   = "Index Scan using orders_pkey"
	fails    = "SELECT 1/0"
)

// TestRowsComeInTheOrderOfStorageWhateverASessionDid takes back, in every way there is,
// what the session was told for the statement.
func TestRowsComeInTheOrderOfStorageWhateverASessionDid(t *testing.T) {
	w := the(t)
	p := startTwins(t, "indexed", indexed)
	direct := func(name string) string {
		return strings.Join(converse(bareDirect(t, w, name), queries(ofRegion)), "")
	}
	if direct(p.names[0]) == direct(p.names[1]) {
		t.Fatalf("the index is not used by itself: %s", direct(p.names[0]))
	}
	named := send("Z", mParse("n", "SELECT id FROM people WHERE region = $1"), mSync())
	bound := send("Z", mBind("", "n", "X"), mExecute("", 0), mSync())
	for name, steps := range map[string][]step{
		"text":             queries(ofRegion),
		"among others":     queries(other, ofRegion, other, ofRegion),
		"view":             queries("SELECT id FROM shown WHERE region = 'X'"),
		"temporary view":   queries("CREATE TEMP VIEW mine AS SELECT id, region FROM people", "SELECT id FROM mine WHERE region = 'X'"),
		"temporary table":  queries("CREATE TEMP TABLE mine AS "+ofRegion, "SELECT id FROM mine"),
		"copy":             queries("COPY (" + ofRegion + ") TO STDOUT"),
		"function":         queries("SELECT first('X')"),
		"rolled back":      queries("BEGIN", ofRegion, "ROLLBACK", ofRegion),
		"rolled back part": queries("BEGIN", "SAVEPOINT s", ofRegion, "ROLLBACK TO s", ofRegion, "COMMIT", ofRegion),
		"failed":           queries("BEGIN", ofRegion, "SELECT 1/0 FROM people", "ROLLBACK", ofRegion, "SELECT 1/0 FROM people", ofRegion),
		"reset":            queries(ofRegion, "RESET ALL", ofRegion, "DISCARD ALL", ofRegion, "RESET enable_indexscan", ofRegion, "SET enable_indexonlyscan TO DEFAULT", ofRegion),
		"in one text":      queries("BEGIN", ofRegion+"; ROLLBACK; "+ofRegion, ofRegion+"; RESET ALL; "+ofRegion, "ROLLBACK", "BEGIN; "+ofRegion+"; ROLLBACK"),
		"failed and ended": queries(ofRegion, "BEGIN", other, fails, "COMMIT; "+ofRegion, "ROLLBACK", "BEGIN", other, fails, "COMMIT AND CHAIN; "+ofRegion, "ROLLBACK",
			"BEGIN", other, fails, "END; "+ofRegion, "ROLLBACK", "BEGIN", "SAVEPOINT s", other, fails, "ROLLBACK TO s; "+ofRegion, "ROLLBACK"),
		"failed and ended, as begun": queries("BEGIN", fails, "COMMIT; "+ofRegion, "ROLLBACK; "+ofRegion, "ROLLBACK", ofRegion),
		"failed, and ended in a pipeline": slices.Concat(queries(ofRegion),
			queries("BEGIN", other, fails), []step{send("Z", mAll("ROLLBACK"), mAll(ofRegion), mSync())},
			queries("BEGIN", other, fails), []step{send("Z", mAll("COMMIT"), mAll(ofRegion), mSync())},
			queries("BEGIN", "SAVEPOINT s", other, fails), []step{send("Z", mAll("ROLLBACK TO s"), mAll(ofRegion), mSync())}, queries("ROLLBACK"),
			queries("BEGIN", other, fails), []step{send("Z", mAll("ROLLBACK"), mQuery(ofRegion))}, queries(ofRegion)),
		"failed, and ended in a pipeline, as begun": slices.Concat(queries("BEGIN", fails), []step{send("Z", mAll("ROLLBACK"), mAll(ofRegion), mSync())}, queries(ofRegion)),
		"temporary view, back again": queries("CREATE TEMP VIEW mine AS SELECT id, region FROM people", "BEGIN", "CREATE OR REPLACE TEMP VIEW mine AS SELECT id, note AS region FROM orders",
			"ROLLBACK; SELECT id FROM mine WHERE region = 'X'", "ROLLBACK", "SELECT id FROM mine WHERE region = 'X'"),
		"temporary view, back in a pipeline": append(queries("CREATE TEMP VIEW mine AS SELECT id, region FROM people", "BEGIN", "CREATE OR REPLACE TEMP VIEW mine AS SELECT id, note AS region FROM orders", "SELECT count(*) FROM mine", fails),
			send("Z", mAll("ROLLBACK"), mAll("SELECT id FROM mine WHERE region = 'X'"), mSync())),
		"prepared, behind ROLLBACK": queries("PREPARE p AS "+ofRegion, "EXECUTE p", "BEGIN; EXECUTE p; ROLLBACK; EXECUTE p", "BEGIN", "ROLLBACK; EXECUTE p", "BEGIN", "SELECT 1/0 FROM people", "ROLLBACK; EXECUTE p", "RESET ALL; EXECUTE p"),
		"prepared":                  queries("PREPARE p AS "+ofRegion, "EXECUTE p", "BEGIN", "EXECUTE p", "ROLLBACK", "EXECUTE p", other, "EXECUTE p"),
		"cursor":                    queries("BEGIN", other, "DECLARE c CURSOR FOR "+ofRegion, other, "FETCH ALL FROM c", "ROLLBACK", ofRegion),
		"extended":                  {send("Z", mAll(ofRegion), mSync()), send("Z", mAll(other), mAll(ofRegion), mAll(other), mAll(ofRegion), mSync()), send("Z", mQuery(ofRegion))},
		"named":                     {named, bound, bound, bound, bound, bound, bound, bound, send("Z", mQuery("BEGIN")), bound, send("Z", mQuery("ROLLBACK")), bound, send("Z", mQuery(other)), bound},
		"failed pipeline":           {send("Z", mAll(ofRegion), mAll("SELECT 1/0"), mSync()), send("Z", mAll(ofRegion), mSync()), send("Z", mAll("SELECT 1/0 FROM people"), mAll(ofRegion), mSync()), send("Z", mAll(ofRegion), mSync())},
		"refused":                   {send("Z", mAll(ofRegion), mAll("DROP TABLE people"), mSync()), send("Z", mAll(ofRegion), mSync()), send("Z", mQuery("BEGIN")), send("Z", mAll(ofRegion), mAll("DROP TABLE people"), mSync()), send("Z", mQuery("ROLLBACK")), send("Z", mAll(ofRegion), mSync())},
		"ended in a pipeline": {send("Z", mAll("BEGIN"), mAll(ofRegion), mAll("ROLLBACK"), mAll(ofRegion), mSync()), send("Z", mAll(ofRegion), mSync()),
			send("Z", mAll("BEGIN"), mAll(ofRegion), mAll("ROLLBACK"), mSync()), send("Z", mQuery(ofRegion))},
		"text behind a pipeline": {send("Z", mAll("SELECT 1 FROM orders LIMIT 1"), mQuery(ofRegion)), send("Z", mQuery(ofRegion)), send("Z", mAll(ofRegion), mQuery("SELECT 1/0")), send("Z", mQuery(ofRegion))},
		"written":                queries("BEGIN", "UPDATE people SET note = 'x' WHERE region = 'X' RETURNING id", "ROLLBACK", "BEGIN", "DELETE FROM people WHERE region = 'X' RETURNING id", "ROLLBACK"),
		"asked for":              queries("SET enable_indexscan = on", "SELECT set_config('enable_indexscan', 'on', false)", "SET enable_seqscan = off", "SET enable_bitmapscan = off", ofRegion),
	} {
		t.Run(name, func(t *testing.T) {
			p.t = t
			if answers := strings.Join(strings.Fields(strings.Join(p.play(steps), "\n")), ""); name != "function" && !strings.Contains(answers, `["2000"]D["4000"]D["6000"]`) && !strings.Contains(answers, `d("2000`) {
				t.Errorf("the rows do not come in the order of storage:\n%s", answers)
			}
		})
	}
}

// TestOtherIndexesAreUsed: a table with such an index costs only those who read it
// without saying in which order.
func TestOtherIndexesAreUsed(t *testing.T) {
	p := startTwins(t, "unindexed", indexed)
	p.t = t
	if answers := strings.Join(p.play(queries(ofRegion, "EXPLAIN (COSTS OFF) SELECT id, email FROM people ORDER BY id LIMIT 3", "SELECT id, email FROM people ORDER BY id LIMIT 1")), "\n"); !strings.Contains(answers, "Index Scan using people_pkey") || !strings.Contains(answers, `["1","[redacted]"]`) {
		t.Errorf("the primary key is not used:\n%s", answers)
	}
	for name, steps := range map[string][]step{
		"at first":         queries(other),
		"behind it":        queries(ofRegion, other),
		"in a transaction": queries("BEGIN", ofRegion, other, "ROLLBACK", other),
		"behind an error":  queries(ofRegion, "SELECT 1/0 FROM people", other),
		"in a pipeline":    {send("Z", mAll(ofRegion), mAll(other), mSync())},
	} {
		t.Run(name, func(t *testing.T) {
			p.t = t
			answers := p.play(steps)
			if i := slices.IndexFunc(steps, func(s step) bool { return strings.Contains(string(slices.Concat(s.send...)), other) }); !strings.Contains(answers[i], inScan) {
				t.Errorf("an index is not used:\n%s", strings.Join(answers, "\n"))
			}
		})
	}
}
