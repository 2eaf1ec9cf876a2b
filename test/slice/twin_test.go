package slice_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport-gateway/sallyport/test/pgtest"
)

var often = twinned{
	schema: `CREATE TABLE customers (id int PRIMARY KEY, name text, ssn text, city text);
		INSERT INTO customers VALUES (1, 'Ada', '078-05-1120', 'Paris'), (2, 'Ben', '219-09-9999', 'Rome');
		CREATE VIEW shown AS SELECT id, city FROM customers;
		CREATE VIEW above AS SELECT * FROM shown;
		CREATE TABLE orders (id int PRIMARY KEY, at timestamptz)`,
	secrets: `UPDATE customers SET ssn = '999-99-999' || id`,
	labels:  "  pii: [public.customers.ssn]\n",
	rules: `  - name: work
    when: sql.understood && command.effects.all(e, e in ["read", "write", "delete"])
    then: allow
    mask: {pii: redact}
`,
}

// prepare and runs are what a driver sends for a prepared statement.
func prepare(name, sql string) step {
	return send("Z", mParse(name, sql), mDescribe('S', name), mSync())
}

func runs(n int, name string, params ...string) []step {
	var out []step
	for range n {
		out = append(out, send("Z", mBind("", name, params...), mDescribe('P', ""), mExecute("", 0), mSync()))
	}
	return out
}

// expectTwins fails the test unless the session has twins of statements, or of questions, as
// wanted. Before PostgreSQL 14 it has none.
func expectTwins(b *bare, questions, want bool) {
	b.t.Helper()
	b.send(mQuery("SHOW server_version_num"))
	if version := b.until("Z"); strings.Contains(version, `D["13`) {
		want = false
	}
	b.send(mQuery(fmt.Sprintf("SELECT name FROM pg_prepared_statements WHERE name LIKE 'sallyport twin%%' AND starts_with(statement, 'SELECT WHERE NOT') = %t ORDER BY name", questions)))
	if list := b.until("Z"); want != strings.Contains(list, "sallyport twin") {
		b.t.Fatalf("twins: %t, want %t: %s", !want, want, list)
	}
}

// TestAPreparedStatementThatRunsOftenIsStillProved changes what a statement means while
// the gateway does not ask about it any more.
func TestAPreparedStatementThatRunsOftenIsStillProved(t *testing.T) {
	w := the(t)
	swap := "CREATE VIEW other AS SELECT id, ssn AS city FROM customers; ALTER VIEW shown RENAME TO x; ALTER VIEW other RENAME TO shown; ALTER VIEW x RENAME TO other"
	view := "CREATE OR REPLACE VIEW shown AS SELECT id, ssn AS city FROM customers"
	for name, c := range map[string]struct{ sql, change string }{
		"views that change places": {"SELECT city FROM shown WHERE id = $1", swap},
		"at once":                  {"SELECT city FROM shown WHERE id = $1", "BEGIN; " + swap + "; COMMIT"},
		"a view":                   {"SELECT city FROM shown WHERE id = $1", view},
		"a view below":             {"SELECT city FROM above WHERE id = $1", view},
		"schemas that change places": {"SELECT city FROM public.customers WHERE id = $1",
			"CREATE SCHEMA aside; ALTER TABLE public.customers SET SCHEMA aside; CREATE VIEW public.customers AS SELECT id, ssn AS city FROM aside.customers; GRANT ALL ON public.customers TO agent"},
	} {
		t.Run(name, func(t *testing.T) {
			p := startTwins(t, "often", often)
			b := bareThrough(t, p.gw, "often", w.token(t, "mobile-agent"))
			answers := converse(b, append([]step{prepare("q", c.sql)}, runs(6, "q", "1")...))
			if !strings.Contains(answers[6], "Paris") {
				t.Fatalf("before: %s", answers)
			}
			expectTwins(b, false, true)
			pgtest.Query(t, w.pg, "often", c.change)
			for _, answer := range converse(b, runs(8, "q", "1")) {
				clean(t, "the answer", answer)
			}
		})
	}
}

// TestAPreparedStatementThatRunsOftenIsAnsweredAsWithoutTheGateway does what makes the
// server analyse it anew, or drop it, or fail it.
func TestAPreparedStatementThatRunsOftenIsAnsweredAsWithoutTheGateway(t *testing.T) {
	p := startTwins(t, "oftener", often)
	const one = "SELECT name, city FROM customers WHERE id = $1;"
	twice := send("Z", mBind("", "q", "1"), mExecute("", 0), mBind("", "q", "2"), mExecute("", 0), mSync())
	bad := send("Z", mBind("", "q", "x"), mExecute("", 0), mSync())
	many := func(steps ...[]step) []step {
		out := append([]step{prepare("q", one)}, runs(6, "q", "1")...)
		for _, s := range steps {
			out = append(out, s...)
			out = append(out, runs(5, "q", "2")...)
		}
		return out
	}
	analyse := "ANALYZE customers"
	for name, c := range map[string]struct {
		steps []step
		admin string // between the third last step and the one before
		own   bool   // a second statement is made
	}{
		"alone":             {many(nil), "", true},
		"analysed anew":     {many(nil, nil), analyse, true},
		"indexed":           {many(nil, nil), "CREATE INDEX IF NOT EXISTS by_city ON customers (city)", true},
		"in a transaction":  {many(queries("BEGIN"), queries("COMMIT"), queries("BEGIN", "SELECT 1/0"), queries("ROLLBACK")), analyse, true},
		"twice":             {many([]step{twice, twice}), analyse, true},
		"wrong values":      {many([]step{bad, bad, send("Z", mBind("", "q"), mExecute("", 0), mSync()), send("Z", mBind("", "q", "1", "2"), mSync())}), "", true},
		"closed":            {many([]step{send("Z", mClose('S', "q"), mSync()), prepare("q", "SELECT city, name FROM customers WHERE id = $1")}), "", true},
		"deallocated":       {many(append(queries("DEALLOCATE ALL"), prepare("q", one)), append(queries("DISCARD ALL"), prepare("q", one))), analyse, true},
		"deallocated twice": {many(queries("DEALLOCATE ALL; SELECT 1")), "", false},
		"another zone":      {many(queries("SET TimeZone = '<x>-15:17'"), queries("SET TimeZone = 'Europe/Paris'")), analyse, true},
		"from the start":    {append(queries("SET TimeZone = '<x>-15:17'"), many(nil, nil)...), analyse, false},
		"in pieces":         {many([]step{send("Z", mBind("", "q", "1"), mExecute("", 1), mExecute("", 1), mSync()), send("2", mBind("", "q", "1"), mFlush()), send("Z", mExecute("", 0), mSync())}), analyse, true},
		"in binary form":    {many([]step{send("Z", mBindBinary("", "q", "1"), mExecute("", 0), mSync())}), "", true},
		"named portal":      {many([]step{send("Z", mBind("p", "q", "1"), mDescribe('P', "p"), mExecute("p", 0), mClose('P', "p"), mSync())}), analyse, true},
		"a literal":         {append([]step{prepare("q", "SELECT id FROM orders WHERE at > '2020-01-01' AND id = $1")}, runs(8, "q", "1")...), "", false},
		"a star":            {append([]step{prepare("q", "SELECT * FROM orders WHERE id = $1")}, runs(8, "q", "1")...), "", false},
		"written":           {append([]step{prepare("q", "UPDATE customers SET name = name WHERE id = $1")}, runs(8, "q", "1")...), "", false},
		"refused":           {many([]step{send("Z", mBind("", "q", "1"), mParse("", "DROP TABLE customers"), mExecute("", 0), mSync())}), "", true},
	} {
		t.Run(name, func(t *testing.T) {
			p.answersAsWithout(t, c.steps, c.admin, c.own, func(answer string) string { return answer })
		})
	}
}

// TestATextThatIsSentOftenIsStillProved: by the twin of its question, in a Query and in a
// pipeline.
func TestATextThatIsSentOftenIsStillProved(t *testing.T) {
	w := the(t)
	view := "CREATE OR REPLACE VIEW shown AS SELECT id, ssn AS city FROM customers"
	for name, way := range map[string]func(text string) step{
		"text":     func(text string) step { return send("Z", mQuery(text)) },
		"texts":    func(text string) step { return send("Z", mQuery(text+"; "+text)) },
		"unnamed":  func(text string) step { return send("Z", mAll(text), mSync()) },
		"pipeline": func(text string) step { return send("Z", mAll(text), mAll(text), mSync()) },
	} {
		t.Run(name, func(t *testing.T) {
			p := startTwins(t, "texts", often)
			b, direct := bareThrough(t, p.gw, "texts", w.token(t, "mobile-agent")), bareDirect(t, w, "texts")
			const read, fails = "SELECT id, city FROM shown WHERE id = 1", "SELECT id, 1 / (id - 1) FROM shown"
			var steps []step
			for range 6 {
				steps = append(steps, way(read))
			}
			more := append([]step{way(fails)}, steps...)
			more = append(append(append(more, queries("BEGIN")...), way(read), way(fails)), queries("ROLLBACK")...)
			compare := func(steps []step) {
				t.Helper()
				through, want := converse(b, steps), converse(direct, steps)
				for i := range want {
					if i >= len(through) || withoutTables(through[i]) != withoutTables(want[i]) {
						t.Errorf("%s\nthrough %s\ndirect  %s", steps[i].send, through[min(i, len(through)-1)], want[i])
					}
				}
			}
			compare(steps)
			expectTwins(b, name != "text", true) // a text has one itself
			compare(more)
			for _, change := range []string{"ANALYZE customers", "CREATE INDEX IF NOT EXISTS by_city ON customers (city)", "CREATE SCHEMA IF NOT EXISTS aside"} {
				pgtest.Query(t, w.pg, "texts", change)
				compare(more)
			}
			pgtest.Query(t, w.pg, "texts", view)
			for _, answer := range converse(b, steps) {
				clean(t, "the answer", answer)
			}
		})
	}
}

// TestALongAnswerIsWholeWhateverBecomesOfATwin has the server analyse a question's twin
// anew while the agent reads what stands before it.
func TestALongAnswerIsWholeWhateverBecomesOfATwin(t *testing.T) {
	w := the(t)
	p := startTwins(t, "longer", often)
	const read, rows = "SELECT city, repeat('x', 4000) FROM shown, generate_series(1, 8000) WHERE id = 1", 8000
	for name, message := range map[string][]byte{"text": mQuery(read), "pipeline": slices.Concat(mAll(read), mSync())} {
		t.Run(name, func(t *testing.T) {
			b := bareThrough(t, p.gw, "longer", w.token(t, "mobile-agent"))
			short := bytes.ReplaceAll(message, []byte("8000"), []byte("0008"))
			var before []step
			for range 6 {
				before = append(before, send("Z", short))
			}
			converse(b, before)
			expectTwins(b, true, true)
			b.send(message)
			got := strings.Count(b.until("D"), "D[")
			pgtest.Query(t, w.pg, "longer", "ANALYZE customers")
			rest := b.until("Z")
			if got += strings.Count(rest, "D["); got != rows || strings.Contains(rest, " E(") {
				t.Errorf("%d of %d rows: %.200s … %s", got, rows, rest, rest[max(0, len(rest)-200):])
			}
			if answer := converse(b, []step{send("Z", short), send("Z", short)}); strings.Count(answer[0]+answer[1], "D[") != 16 {
				t.Errorf("behind it: %.300s", strings.Join(answer, " "))
			}
		})
	}
}

// TestATwinIsNotAnalysedInTheZoneOfItsGuard by what an agent sends before it.
func TestATwinIsNotAnalysedInTheZoneOfItsGuard(t *testing.T) {
	w := the(t)
	const zone = "SELECT set_config('TimeZone', '<guard>-15:17', true) FROM shown WHERE id = 1"
	for twinned, read := range map[string]string{"a text": "SELECT id, city FROM shown WHERE id = 1", "a question": "SELECT 1; SELECT id, city FROM shown WHERE id = 1"} {
		for name, steps := range map[string][]step{
			"text":     {send("Z", mQuery(zone+"; "+read))},
			"pipeline": {send("Z", mAll(zone), mAll(strings.TrimPrefix(read, "SELECT 1; ")), mSync())},
			"function": {send("Z", mQuery("SELECT elsewhere() FROM shown WHERE id = 1; "+read))},
			"before":   queries("SET TimeZone = '<guard>-15:17'", read),
			"in hours": queries("SET TIME ZONE INTERVAL '15:17'", read),
		} {
			t.Run(twinned+", "+name, func(t *testing.T) {
				d := often
				d.schema += "; CREATE FUNCTION elsewhere() RETURNS text LANGUAGE sql AS $$ SELECT set_config('TimeZone', '<guard>-15:17', true) $$"
				d.functions = "  \"public.elsewhere()\": read\n"
				p := startTwins(t, "zones", d)
				b := bareThrough(t, p.gw, "zones", w.token(t, "mobile-agent"))
				before := append(append(queries(read, read, read, read, read), steps...), queries("RESET TimeZone", read)...)
				if answers := strings.Join(converse(b, before), "\n"); strings.Contains(answers, "ERROR") {
					t.Fatalf("before: %s", answers)
				}
				expectTwins(b, twinned == "a question", true)
				pgtest.Query(t, w.pg, "zones", "CREATE OR REPLACE VIEW shown AS SELECT id, ssn AS city FROM customers")
				for _, answer := range converse(b, steps) {
					clean(t, "the answer", answer)
				}
			})
		}
	}
}

// TestAPreparedStatementThatWaitsForALockIsCancelledOnce: the gateway does not run again
// what somebody has cancelled.
func TestAPreparedStatementThatWaitsForALockIsCancelledOnce(t *testing.T) {
	w := the(t)
	p := startTwins(t, "oftlocked", often)
	b := bareThrough(t, p.gw, "oftlocked", w.token(t, "mobile-agent"))
	converse(b, append([]step{send("Z", mQuery("SET lock_timeout = '200ms'")), prepare("q", "SELECT name FROM customers WHERE id = $1")}, runs(6, "q", "1")...))
	expectTwins(b, false, true)
	other := bareDirect(t, w, "oftlocked")
	converse(other, queries("BEGIN", "LOCK TABLE customers IN ACCESS EXCLUSIVE MODE"))
	if answer := converse(b, runs(1, "q", "1"))[0]; strings.Count(answer, "55P03") != 1 || strings.Contains(answer, "twin") {
		t.Errorf("a lock that is not to be had: %s", answer)
	}
	converse(other, queries("ROLLBACK"))
	if answer := converse(b, runs(1, "q", "1"))[0]; !strings.Contains(answer, "Ada") {
		t.Errorf("behind it: %s", answer)
	}
}
