package slice_test

import (
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
