package slice_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sallyport-gateway/sallyport/test/pgtest"
)

// TestStatementsAreProvedWhenASessionIsReset: the questions that go with
// statements under labels are prepared statements too, and are gone when all of
// them are dropped.
func TestStatementsAreProvedWhenASessionIsReset(t *testing.T) {
	p := startTwins(t, "reset_proved", temps)
	const read = "SELECT ssn FROM customers ORDER BY id"
	execute := func(texts ...string) step {
		var messages [][]byte
		for _, text := range texts {
			messages = append(messages, mAll(text))
		}
		return send("Z", append(messages, mSync())...)
	}
	for name, steps := range map[string][]step{
		"simple":             queries(read, "DISCARD ALL", read, "DEALLOCATE ALL", read, "DISCARD PLANS", read, "RESET ALL", read),
		"one text":           queries(read, read+"; DEALLOCATE ALL", read, "DEALLOCATE ALL; "+read, read, "SELECT 1; DEALLOCATE ALL; "+read, read),
		"a text with blocks": queries(read, "BEGIN; "+read+"; DEALLOCATE ALL; COMMIT", read, "INSERT INTO listed SELECT city FROM customers WHERE id = 7; DEALLOCATE ALL", read),
		"extended":           {execute(read), execute("DISCARD ALL"), execute(read), execute("DEALLOCATE ALL"), execute(read)},
		"pipeline":           {execute(read), execute(read, "DEALLOCATE ALL", read), execute(read), execute("DEALLOCATE ALL", "INSERT INTO listed SELECT city FROM customers WHERE id = 7", read)},
		"temporary":          queries(read, "CREATE TEMP TABLE t AS "+read, "SELECT * FROM t", "DISCARD TEMP", "CREATE TEMP TABLE t AS "+read, "TABLE t", "DISCARD ALL", read),
		"write":              queries("INSERT INTO listed VALUES ('a')", "DISCARD ALL", "INSERT INTO listed VALUES ('b')", "DEALLOCATE ALL", "INSERT INTO listed VALUES ('c')"),
	} {
		t.Run(name, func(t *testing.T) {
			p.t = t
			answers := strings.Join(p.play(steps), "\n")
			clean(t, "the answer", answers)
			if strings.Contains(answers, "ERROR") || strings.Contains(answers, "FATAL") {
				t.Errorf("refused: %s", answers)
			}
		})
	}
	t.Run("what fails", func(t *testing.T) {
		p.t = t
		answers := strings.Join(p.play(queries(read, "BEGIN", "DISCARD ALL", "ROLLBACK", read, "SELECT 1/0 FROM customers; DEALLOCATE ALL", read, "BEGIN", read, "SELECT 1/0 FROM customers; DEALLOCATE ALL", "ROLLBACK", read)), "\n")
		clean(t, "the answer", answers)
		inOrder(t, answers, []string{"redacted", "25001", "redacted", "22012", "redacted", "redacted", "22012", "redacted"})
	})
}

// TestANoticeComesWithEveryExplain has the same text again, which is not read
// anew.
func TestANoticeComesWithEveryExplain(t *testing.T) {
	p := startTwins(t, "crowd_again", crowd)
	explain := mAll("EXPLAIN SELECT ssn FROM customers WHERE id < 10")
	for i, answer := range p.play([]step{send("Z", explain, mSync()), send("Z", explain, mSync()), send("Z", explain, explain, mSync())}) {
		if want := 1 + i/2; strings.Count(answer, "EXPLAIN shows no costs here") != want || strings.Contains(answer, "cost=") {
			t.Errorf("%d: want the notice %d times in %s", i, want, answer)
		}
	}
}

// TestDefinitionsChangeBesideTemporaryTables: a statement over the session's own
// relations and others is judged again with both.
func TestDefinitionsChangeBesideTemporaryTables(t *testing.T) {
	d := temps
	d.schema += "; CREATE VIEW shown AS SELECT id, city FROM customers"
	p := startTwins(t, "temps_race", d)
	change := func(sql string) {
		for _, db := range p.names {
			pgtest.Query(t, p.w.pg, db, sql)
		}
	}
	const read = "SELECT city, one FROM shown, mine ORDER BY id"
	const leak = "CREATE OR REPLACE VIEW shown AS SELECT id, ssn AS city FROM customers"
	const back = "CREATE OR REPLACE VIEW shown AS SELECT id, city FROM customers"
	b := bareThrough(t, p.gw, p.names[0], p.w.token(t, "mobile-agent"))
	ask := func(sql string) string {
		t.Helper()
		b.send(mQuery(sql))
		answer := b.whole()
		clean(t, sql, answer)
		return answer
	}
	want := func(sql, part string) {
		t.Helper()
		if answer := ask(sql); !strings.Contains(answer, part) {
			t.Errorf("%s: want %s in %s", sql, part, answer)
		}
	}
	want("CREATE TEMP TABLE mine AS SELECT 1 AS one", "SELECT 1")
	want(read, `["Paris","1"]`)
	change(leak)
	want(read, `["[redacted]","1"]`)
	change(back)
	want("CREATE TEMP TABLE got AS "+read, "SELECT 2")
	want("SELECT * FROM got", `["Paris","1"]`)
	change(leak)
	want("INSERT INTO got "+read, "INSERT 0 2")
	want("SELECT * FROM got", `["[redacted]","1"]`)
	change(back)
	want("BEGIN", "BEGIN")
	want("SELECT one FROM mine", `["1"]`)
	change("CREATE TABLE another (a int)")
	want(read, `["Paris","1"]`)
	want("ROLLBACK", "ROLLBACK")
	want("BEGIN", "BEGIN")
	want("SELECT one FROM mine", `["1"]`)
	change(leak)
	if answer := ask(read); !strings.Contains(answer, `["[redacted]","1"]`) && !strings.Contains(answer, "40001") {
		t.Errorf("in a transaction: %s", answer)
	}
	want("ROLLBACK", "ROLLBACK")
	want(read, `["[redacted]","1"]`)
}

// TestAWriteInAPipelineThatGoesOnIsProved changes what a statement means between two
// messages of one pipeline: behind what has set the transaction's snapshot, or has begun a
// transaction of its own.
func TestAWriteInAPipelineThatGoesOnIsProved(t *testing.T) {
	w := the(t)
	const write, begin, count = "UPDATE customers SET name = (SELECT city FROM shown WHERE id = 1) WHERE id = 2", "BEGIN ISOLATION LEVEL REPEATABLE READ", "SELECT count(*) FROM orders"
	for name, c := range map[string]struct{ before, after []step }{
		"in a stricter block": {[]step{send("C", mAll(begin), mFlush()), send("C", mAll(count), mFlush())}, []step{send("Z", mAll(write), mAll("COMMIT"), mSync())}},
		"stricter":            {append(queries("SET default_transaction_isolation = 'serializable'"), send("C", mAll(count), mFlush())), []step{send("Z", mAll(write), mSync())}},
		"as a text":           {[]step{send("C", mAll(count), mFlush())}, []step{send("Z", mQuery(write))}},
		"with its COMMIT":     {queries(begin, count), []step{send("Z", mQuery(write+"; COMMIT"))}},
		"behind a ROLLBACK":   {append(queries("BEGIN", "SELECT 1/0"), send("C", mAll("ROLLBACK"), mFlush())), []step{send("Z", mAll(write), mSync())}},
		"text behind one":     {append(queries("BEGIN"), send("C", mAll("ROLLBACK"), mFlush())), []step{send("Z", mQuery(write))}},
	} {
		t.Run(name, func(t *testing.T) {
			p := startTwins(t, "goes_on", often)
			b := bareThrough(t, p.gw, "goes_on", w.token(t, "mobile-agent"))
			converse(b, c.before)
			pgtest.Query(t, w.pg, "goes_on", "CREATE OR REPLACE VIEW shown AS SELECT id, ssn AS city FROM customers")
			answers := converse(b, c.after)
			if strings.Contains(strings.Join(answers, ""), "silence") {
				t.Errorf("no answer: %s", answers)
			}
			if name := pgtest.Query(t, w.pg, "goes_on", "SELECT name FROM customers WHERE id = 2"); strings.Contains(fmt.Sprint(name), "078") {
				t.Errorf("a labelled value was written: %v\n%s", name, answers)
			}
		})
	}
}

// TestAnotherFunctionIsNoticedUnderAStricterIsolationLevel: its row is not in the
// snapshot of the transaction, which calls it.
func TestAnotherFunctionIsNoticedUnderAStricterIsolationLevel(t *testing.T) {
	w := the(t)
	d := often
	d.schema += "; CREATE FUNCTION known(text) RETURNS text LANGUAGE sql AS 'SELECT $1'"
	d.functions = "  \"public.known(text)\": read\n"
	const read, begin, count = "SELECT known('x'::varchar)", "BEGIN ISOLATION LEVEL SERIALIZABLE", "SELECT count(*) FROM orders"
	const write = "UPDATE customers SET name = known('x'::varchar) WHERE id = 2"
	for name, c := range map[string]struct{ before, after []step }{
		"read":                 {queries(read, begin, count), queries(read)},
		"read again":           {queries(read, begin, read), queries(read)},
		"unnamed":              {queries(read, begin, count), []step{send("Z", mAll(read), mSync())}},
		"written":              {queries(write, begin, count), queries(write, "COMMIT")},
		"written, with COMMIT": {queries(write, begin, count), queries(write + "; COMMIT")},
		"written, in a pipeline": {append(queries(write, "SET default_transaction_isolation = 'serializable'"), send("C", mAll(count), mFlush())),
			[]step{send("Z", mAll(write), mSync())}},
	} {
		t.Run(name, func(t *testing.T) {
			p := startTwins(t, "overloads", d)
			b := bareThrough(t, p.gw, "overloads", w.token(t, "mobile-agent"))
			converse(b, c.before)
			pgtest.Query(t, w.pg, "overloads", "CREATE FUNCTION known(varchar) RETURNS text LANGUAGE sql SECURITY DEFINER AS 'SELECT max(ssn) FROM public.customers'; GRANT EXECUTE ON FUNCTION known(varchar) TO agent")
			for _, answer := range converse(b, c.after) {
				clean(t, "the answer", answer)
				if strings.Contains(answer, "silence") {
					t.Errorf("no answer: %s", answer)
				}
			}
			if name := pgtest.Query(t, w.pg, "overloads", "SELECT name FROM customers WHERE id = 2"); strings.Contains(fmt.Sprint(name), "219") {
				t.Errorf("a labelled value was written: %v", name)
			}
		})
	}
}

// TestWhatAPipelineChangesIsNotReadByIt: nobody else sees what a transaction has changed of
// the definitions, so what it reads then cannot be judged.
func TestWhatAPipelineChangesIsNotReadByIt(t *testing.T) {
	w := the(t)
	d := often
	d.rules = "  - name: all\n    when: \"true\"\n    then: allow\n    mask: {pii: redact}\n"
	const change, read = "CREATE OR REPLACE VIEW shown AS SELECT id, ssn AS city FROM customers", "SELECT city FROM shown"
	for name, steps := range map[string][]step{
		"pipeline":           {send("Z", mAll(read), mAll(change), mAll(read), mSync())},
		"in a block":         {send("Z", mAll("BEGIN"), mAll(change), mAll(read), mSync())},
		"bound before":       {send("Z", mParse("n", read), mSync()), send("Z", mAll(change), mBind("", "n"), mExecute("", 0), mSync())},
		"then a text":        {send("Z", mAll(change), mQuery(read))},
		"two texts":          queries("BEGIN", change, read),
		"flushed":            {send("C", mAll(change), mFlush()), send("Z", mAll(read), mSync())},
		"written":            {send("Z", mAll(change), mAll("UPDATE orders SET at = now() WHERE EXISTS (SELECT FROM shown WHERE city LIKE '0%')"), mSync())},
		"failed before":      append(queries("BEGIN", "SELECT 1/0"), send("Z", mAll("ROLLBACK"), mAll(change), mAll(read), mSync())),
		"behind a savepoint": append(queries("BEGIN", "SAVEPOINT s", "SELECT 1/0"), send("Z", mAll("ROLLBACK TO s"), mAll(change), mAll(read), mSync())),
		"prepared before":    append(queries("PREPARE p AS "+read), send("Z", mAll(change), mAll("EXECUTE p"), mSync())),
	} {
		t.Run(name, func(t *testing.T) {
			p := startTwins(t, "redefines", d)
			pgtest.Query(t, w.pg, "redefines", "ALTER TABLE customers OWNER TO agent; ALTER VIEW shown OWNER TO agent; GRANT CREATE ON SCHEMA public TO agent")
			b := bareThrough(t, p.gw, "redefines", w.token(t, "mobile-agent"))
			answers := strings.Join(converse(b, steps), " ")
			clean(t, "the answer", answers)
			if strings.Count(answers, "42501") != 1 || !strings.Contains(answers, "C(CREATE VIEW)") {
				t.Errorf("nothing is refused behind the change: %s", answers)
			}
		})
	}
}

// TestATextDoesNotWriteBehindTheEndOfATransaction: the locks that the question in front of
// it has taken are gone there, and what it writes is permanent before the one behind it.
func TestATextDoesNotWriteBehindTheEndOfATransaction(t *testing.T) {
	const write, refused = "UPDATE customers SET name = city WHERE id = 2", "is not sent together"
	p := startTwins(t, "two_texts", often)
	for _, c := range []struct {
		before []string
		text   string
	}{
		{nil, "ROLLBACK; " + write}, {nil, "COMMIT; " + write}, {nil, "BEGIN; SELECT 1; COMMIT; " + write}, {nil, write + "; COMMIT; " + write},
		{[]string{"BEGIN"}, "COMMIT; " + write}, {[]string{"BEGIN", "SELECT 1/0"}, "ROLLBACK; " + write}, {[]string{"BEGIN", "SELECT 1/0"}, "END; " + write},
	} {
		steps := queries(append(c.before, c.text)...)
		if answers := p.play(steps); !strings.Contains(answers[len(answers)-1], refused) {
			t.Errorf("%s: %s", c.text, answers)
		}
	}
	for _, text := range []string{"BEGIN; " + write + "; COMMIT", write + "; COMMIT", "ROLLBACK; SELECT 1 FROM customers", "BEGIN; " + write + "; COMMIT; SELECT 1 FROM customers"} {
		if answers := p.play(queries(text)); strings.Contains(text, "COMMIT; SELECT") != strings.Contains(answers[0], refused) {
			t.Errorf("%s: %s", text, answers)
		}
	}
}
