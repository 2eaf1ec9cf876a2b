package slice_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-gateway/sallyport/test/pgtest"
)

const (
	leaking = "CREATE OR REPLACE VIEW shown AS SELECT id, ssn AS city FROM customers"
	back    = "CREATE OR REPLACE VIEW shown AS SELECT id, city FROM customers"
	ofShown = "SELECT city FROM shown WHERE id = 1"
)

// redefined is an agent of a database in which somebody has changed what shown means, after
// the agent has done something.
func redefined(t *testing.T, database string, before []step) *bare {
	t.Helper()
	w := the(t)
	b := bareThrough(t, startTwins(t, database, often).gw, database, w.token(t, "mobile-agent"))
	converse(b, before)
	pgtest.Query(t, w.pg, database, leaking)
	return b
}

// answered fails the test unless there is an answer, without a labelled value.
func answered(t *testing.T, answer string) {
	t.Helper()
	clean(t, "the answer", answer)
	if strings.Contains(answer, silence) {
		t.Errorf("no answer: %.200s", answer)
	}
}

// TestAnAnswerInDoubtIsDroppedFromWhereItBegins has an answer that is dropped behind an
// exchange in which much stood in front of one.
func TestAnAnswerInDoubtIsDroppedFromWhereItBegins(t *testing.T) {
	b := redefined(t, "later_mark", []step{send("Z", mParse("q", ofShown), mSync()), send("Z", mAll("SELECT repeat('x', 20000)"), mAll(ofShown), mSync())})
	for _, answer := range converse(b, runs(2, "q")) {
		clean(t, "the answer", answer)
	}
}

// TestAPortalRunsWhatItWasBoundTo puts another statement in the place of the one that a
// portal runs by its name.
func TestAPortalRunsWhatItWasBoundTo(t *testing.T) {
	d := often
	d.rules = `  - name: people
    when: command.effects.exists(e, e in ["write", "delete"])
    then: hold
    approvers: {groups: [dba], count: 1, within: 15m}
` + d.rules
	p := startTwins(t, "later_names", d)
	p.t = t
	const remove = "DELETE FROM orders"
	pgtest.Query(t, p.w.pg, "later_names", "INSERT INTO orders VALUES (1)")
	pgtest.Query(t, p.w.pg, "later_names_twin", "INSERT INTO orders VALUES (1)")
	for name, steps := range map[string][]step{
		"pipeline": {send("Z", mParse("p", "SELECT 1"), mParse("e", "EXECUTE p"), mSync()),
			send("Z", mBind("a", "e"), mClose('S', "p"), mParse("p", remove), mExecute("a", 0), mSync())},
		"in a block": {send("Z", mParse("p", "SELECT 1"), mParse("e", "EXECUTE p"), mSync()), send("Z", mQuery("BEGIN")), send("Z", mBind("a", "e"), mSync()),
			send("Z", mClose('S', "p"), mParse("p", remove), mSync()), send("Z", mExecute("a", 0), mSync()), send("Z", mQuery("COMMIT"))},
		"a transaction": {send("Z", mParse("p", "SELECT 1"), mParse("e", "EXECUTE p"), mSync()), send("Z", mQuery("BEGIN")), send("Z", mBind("a", "e"), mSync()),
			send("Z", mClose('S', "p"), mParse("p", "COMMIT"), mSync()), send("Z", mExecute("a", 0), mSync()), send("Z", mQuery("ROLLBACK"))},
	} {
		t.Run(name, func(t *testing.T) {
			p.t = t
			answers := strings.Join(p.play(steps), "\n")
			if n := fmt.Sprint(pgtest.Query(t, p.w.pg, "later_names", "SELECT count(*) FROM orders")); !strings.Contains(n, "1") {
				t.Errorf("it was deleted without a person: %s", answers)
			}
			if strings.Contains(answers, "DELETE") || strings.Count(answers, "COMMIT") > 1 || name == "a transaction" && strings.Contains(answers, "COMMIT") {
				t.Errorf("it ran: %s", answers)
			}
		})
	}
}

// TestMorePortalsThanQuestions has more statements bound than the session keeps questions.
func TestMorePortalsThanQuestions(t *testing.T) {
	w := the(t)
	d := often
	d.schema += `; DO $$ BEGIN FOR i IN 1..200 LOOP EXECUTE format('CREATE TABLE t%s (id int)', i); END LOOP; END $$`
	p := startTwins(t, "later_many", d)
	b := bareThrough(t, p.gw, "later_many", w.token(t, "mobile-agent"))
	steps := queries("BEGIN")
	for i := range 200 {
		steps = append(steps, send("Z", mParse("", fmt.Sprintf("SELECT count(*) FROM t%d", i+1)), mBind(fmt.Sprint("p", i), ""), mSync()))
	}
	for i := range 200 {
		steps = append(steps, send("Z", mExecute(fmt.Sprint("p", i), 0), mSync()))
	}
	more := send("Z", mAll("SELECT count(*) FROM customers"), mSync())
	steps = append(append(steps, queries("COMMIT", "SELECT count(*) FROM t7", "SELECT count(*) FROM t8")...), more, more, more)
	for i, answer := range converse(b, steps) {
		if strings.Contains(answer, "E(") || strings.Contains(answer, "closed") || strings.Contains(answer, "silence") {
			t.Fatalf("%d: %s", i, answer)
		}
	}
}

// TestWhatRunsLaterComesInTheOrderOfStorage has what is planned when it runs, or when its
// transaction ends, run behind a statement that has the indexes back.
func TestWhatRunsLaterComesInTheOrderOfStorage(t *testing.T) {
	d := indexed
	d.schema += `; CREATE TABLE noted (id int);
		CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO noted SELECT id FROM people WHERE region = 'X' LIMIT 1; RETURN NULL; END $$;
		CREATE CONSTRAINT TRIGGER later AFTER INSERT ON orders DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION note()`
	d.functions += "  \"public.note()\": write\n"
	const call, insert, noted = "SELECT first('X')", "INSERT INTO orders VALUES (0)", "SELECT id FROM noted"
	bound := func(sql string) []step {
		return []step{send("Z", mParse("n", sql), mSync()), send("Z", mBind("c", "n"), mAll(other), mExecute("c", 0), mSync())}
	}
	p := startTwins(t, "later_order", d)
	p.play(queries(ofRegion))
	for name, steps := range map[string][]step{
		"copy":            slices.Concat(queries(ofRegion), bound("COPY ("+ofRegion+") TO STDOUT")),
		"function":        slices.Concat(queries(ofRegion), bound(call)),
		"execute":         slices.Concat(queries("PREPARE p AS "+call), bound("EXECUTE p")),
		"temporary table": slices.Concat(queries(ofRegion), bound("CREATE TEMP TABLE mine AS "+ofRegion), queries("SELECT id FROM mine")),
		"in a block": slices.Concat(queries(ofRegion, "BEGIN"), []step{send("Z", mParse("n", call), mBind("c", "n"), mSync())}, queries(other),
			[]step{send("Z", mExecute("c", 0), mSync())}, queries("ROLLBACK")),
		"cursor":                    queries("BEGIN", "DECLARE c CURSOR FOR "+call, other, "FETCH ALL FROM c", "ROLLBACK"),
		"cursor, by Execute":        slices.Concat(queries("BEGIN", "DECLARE c CURSOR FOR "+call, other), []step{send("Z", mExecute("c", 0), mSync())}, queries("ROLLBACK")),
		"cursor WITH HOLD":          queries("BEGIN", "DECLARE c CURSOR WITH HOLD FOR "+call, other, "COMMIT", "FETCH ALL FROM c"),
		"WITH HOLD, in a text":      queries("DECLARE c CURSOR WITH HOLD FOR "+call+"; "+other, "FETCH ALL FROM c"),
		"WITH HOLD, reset":          queries("DECLARE c CURSOR WITH HOLD FOR "+call+"; RESET ALL", "FETCH ALL FROM c"),
		"WITH HOLD, a pipeline":     append(queries(ofRegion), send("Z", mAll("DECLARE c CURSOR WITH HOLD FOR "+call), mAll(other), mSync()), send("Z", mQuery("FETCH ALL FROM c"))),
		"WITH HOLD, then a text":    append(queries(ofRegion), send("Z", mAll("DECLARE c CURSOR WITH HOLD FOR "+call), mQuery(other)), send("Z", mQuery("FETCH ALL FROM c"))),
		"WITH HOLD, then RESET":     append(queries(ofRegion), send("Z", mAll("DECLARE c CURSOR WITH HOLD FOR "+call), mQuery("RESET ALL")), send("Z", mQuery("FETCH ALL FROM c"))),
		"deferred":                  queries("BEGIN", insert, other, "COMMIT", noted),
		"deferred, at once":         queries("BEGIN", insert, other, "SET CONSTRAINTS ALL IMMEDIATE", "COMMIT", noted),
		"deferred, reset":           queries(insert+"; RESET ALL", noted),
		"deferred, in a text":       queries(insert+"; "+other, noted),
		"deferred, taken back":      queries("BEGIN", "SAVEPOINT s", insert, "SAVEPOINT t", "RESET ALL", "ROLLBACK TO t", "COMMIT", noted),
		"deferred, a pipeline":      {send("Z", mQuery(ofRegion)), send("Z", mAll(insert), mAll(other), mSync()), send("Z", mQuery(noted))},
		"deferred, pipelined reset": {send("Z", mQuery(ofRegion)), send("Z", mAll("BEGIN"), mAll(insert), mAll("RESET ALL"), mAll("COMMIT"), mSync()), send("Z", mQuery(noted))},
		"deferred, bound before": {send("Z", mQuery(ofRegion)), send("Z", mParse("n", "COMMIT"), mSync()), send("Z", mAll("BEGIN"), mBind("c", "n"), mAll(insert), mAll(other), mExecute("c", 0), mSync()),
			send("Z", mQuery(noted))},
	} {
		t.Run(name, func(t *testing.T) {
			for _, db := range p.names {
				pgtest.Query(t, p.w.pg, db, "DELETE FROM orders WHERE id = 0; TRUNCATE noted")
			}
			p.t = t
			answers := strings.Join(p.play(steps), "\n")
			if !strings.Contains(answers, `2000`) && !strings.Contains(answers, "one by one") && !strings.Contains(answers, "E(") {
				t.Errorf("it was not run: %s", answers)
			}
		})
	}
}

// TestWhatStandsBehindALongAnswerIsProved changes definitions while the target waits for a
// long answer to be read, before it has analysed what comes next.
func TestWhatStandsBehindALongAnswerIsProved(t *testing.T) {
	w := the(t)
	const long = "SELECT city, repeat('x', 4000) FROM shown, generate_series(1, 8000) WHERE id = 1"
	const next = "SELECT id, city FROM above WHERE id = 1"
	d := often
	d.rules = strings.Replace(d.rules, `"delete"`, `"delete", "export"`, 1)
	for name, message := range map[string][]byte{
		"text":         mQuery("SELECT city, repeat('x', 4000) FROM customers, generate_series(1, 8000) WHERE id = 1; " + next),
		"pipeline":     slices.Concat(mAll("SELECT city, repeat('x', 4000) FROM customers, generate_series(1, 8000) WHERE id = 1"), mAll(next), mSync()),
		"bound before": slices.Concat(mParse("b", long), mBind("b", "b"), mParse("a", "COPY ("+next+") TO STDOUT"), mBind("a", "a"), mExecute("b", 0), mExecute("a", 0), mSync()),
		"three":        mQuery("SELECT 1 FROM orders; SELECT city, repeat('x', 4000) FROM customers, generate_series(1, 8000) WHERE id = 1; " + next + "; " + next),
	} {
		t.Run(name, func(t *testing.T) {
			p := startTwins(t, "later_long", d)
			b := bareThrough(t, p.gw, "later_long", w.token(t, "mobile-agent"))
			b.send(message)
			got := b.until("D")
			if name != "bound before" { // that has locked the view
				pgtest.Query(t, w.pg, "later_long", leaking)
			} else {
				pgtest.Query(t, w.pg, "later_long", "CREATE OR REPLACE VIEW above AS SELECT id, ssn AS city FROM customers")
			}
			got += b.until("Z")
			answered(t, got)
		})
	}
	p := startTwins(t, "later_long", d)
	b := bareThrough(t, p.gw, "later_long", w.token(t, "mobile-agent"))
	for _, steps := range [][]step{queries(long + "; " + next + "; " + long), {send("Z", mAll(long), mAll(next), mAll(long), mSync())}} {
		if got := converse(b, steps)[0]; strings.Count(got, "D[") != 16001 || strings.Contains(got, " E(") {
			t.Errorf("where nothing changes: %d rows, %s", strings.Count(got, "D["), got[max(0, len(got)-200):])
		}
	}
}

// TestATextWithCopyIsProved: no question can stand behind data of the client's.
func TestATextWithCopyIsProved(t *testing.T) {
	for name, before := range map[string][]step{"alone": nil, "in a block": queries("BEGIN"), "behind a savepoint": queries("BEGIN", "SAVEPOINT s")} {
		t.Run(name, func(t *testing.T) {
			b := redefined(t, "later_copy", append(queries(ofShown), before...))
			text := ofShown + "; COPY orders FROM STDIN"
			if name == "behind a savepoint" {
				text = "ROLLBACK TO s; " + text
			}
			b.send(mQuery(text), mCopyDone()) // if there is no COPY, that is ignored
			answered(t, b.until("Z"))
		})
	}
}

// TestAStatementBehindCopyInAPipelineIsAnswered as without the gateway: the target takes it
// for a mistake in the client's data, and nothing of it is in doubt.
func TestAStatementBehindCopyInAPipelineIsAnswered(t *testing.T) {
	w := the(t)
	p := startTwins(t, "later_behind", often)
	steps := []step{send("Z", mAll("COPY orders FROM STDIN"), mAll(ofShown), mSync())}
	through := converse(bareThrough(t, p.gw, "later_behind", w.token(t, "mobile-agent")), steps)
	if direct := converse(bareDirect(t, w, "later_behind"), steps); !slices.Equal(direct, through) {
		t.Errorf("%s instead of %s", through, direct)
	}
}

// TestWhatACursorKeepsIsProved changes a view for the moment in which a cursor is declared
// that outlives its transaction.
func TestWhatACursorKeepsIsProved(t *testing.T) {
	w := the(t)
	const declare = "DECLARE c CURSOR WITH HOLD FOR " + ofShown
	for name, message := range map[string][]byte{"text": mQuery(declare), "pipeline": slices.Concat(mBind("", "d"), mExecute("", 0), mSync())} {
		t.Run(name, func(t *testing.T) {
			b := redefined(t, "later_hold", append(queries(ofShown), send("Z", mParse("d", declare), mSync())))
			answers := converse(b, []step{send("Z", message)})
			pgtest.Query(t, w.pg, "later_hold", back)
			for _, answer := range append(answers, converse(b, queries(ofShown, "FETCH ALL FROM c"))...) {
				clean(t, "the answer", answer)
			}
		})
	}
}

// waits returns when somebody waits for a lock of a table.
func waits(t *testing.T, w *world, database, table string) {
	t.Helper()
	until := time.Now().Add(20 * time.Second)
	for len(pgtest.Query(t, w.pg, database, "SELECT 1 FROM pg_locks WHERE NOT granted AND relation = '"+table+"'::regclass")) == 0 {
		if time.Now().After(until) {
			t.Fatalf("nobody waits for %s", table)
		}
	}
}

// TestLocksThatGoWithASavepointProveNothing changes a view back behind a ROLLBACK TO, which
// has given back the lock that was held on it.
func TestLocksThatGoWithASavepointProveNothing(t *testing.T) {
	w := the(t)
	const count = "SELECT count(*) FROM orders"
	for name, message := range map[string][]byte{
		"text":     mQuery(ofShown + "; ROLLBACK TO s; " + count),
		"pipeline": slices.Concat(mAll(ofShown), mAll("ROLLBACK TO s"), mAll(count), mSync()),
	} {
		t.Run(name, func(t *testing.T) {
			b := redefined(t, "later_savepoint", queries(ofShown, "BEGIN", "SAVEPOINT s"))
			holder := bareDirect(t, w, "later_savepoint")
			converse(holder, queries("BEGIN", "LOCK TABLE orders IN ACCESS EXCLUSIVE MODE"))
			b.send(message)
			if name == "text" { // the other is told before it gets there
				waits(t, w, "later_savepoint", "orders")
			}
			pgtest.Query(t, w.pg, "later_savepoint", back)
			converse(holder, queries("ROLLBACK"))
			answered(t, b.until("Z"))
		})
	}
}

// TestWhatARollbackLeavesIsProvedBefore: sequences tell how many rows there were, though the
// transaction is rolled back.
func TestWhatARollbackLeavesIsProvedBefore(t *testing.T) {
	w := the(t)
	d := often
	d.schema += "; CREATE SEQUENCE counter; CREATE TABLE numbered (id serial, city text); CREATE TABLE more (id int GENERATED ALWAYS AS IDENTITY, city text)"
	for name, c := range map[string]struct{ text, left string }{
		"nextval":  {"SELECT nextval('counter') FROM shown WHERE city LIKE '0%'", "SELECT is_called FROM counter"},
		"setval":   {"SELECT setval('counter', 1, true) FROM shown WHERE city LIKE '0%'", "SELECT is_called FROM counter"},
		"serial":   {"INSERT INTO numbered (city) SELECT 'x' FROM shown WHERE city LIKE '0%'", "SELECT is_called FROM numbered_id_seq"},
		"identity": {"INSERT INTO more (city) SELECT 'x' FROM shown WHERE city LIKE '0%'", "SELECT is_called FROM more_id_seq"},
		"merged": {"MERGE INTO numbered n USING (SELECT city FROM shown WHERE city LIKE '0%') s ON n.city = s.city WHEN NOT MATCHED THEN INSERT (city) VALUES ('x')",
			"SELECT is_called FROM numbered_id_seq"},
	} {
		for how, message := range map[string][]byte{"text": mQuery(c.text), "pipeline": slices.Concat(mAll(c.text), mSync())} {
			t.Run(name+", "+how, func(t *testing.T) {
				p := startTwins(t, "later_left", d)
				b := bareThrough(t, p.gw, "later_left", w.token(t, "mobile-agent"))
				if before := converse(b, append(queries("BEGIN"), send("Z", message), send("Z", mQuery("ROLLBACK")))); strings.Contains(strings.Join(before, ""), "42501") {
					t.Fatalf("refused: %s", before)
				}
				// Under a stricter isolation level nothing is different.
				for _, level := range []string{"REPEATABLE READ", "SERIALIZABLE"} {
					answers := converse(b, append(queries("BEGIN ISOLATION LEVEL "+level), send("Z", message), send("Z", message), send("Z", mQuery("ROLLBACK"))))
					if all := strings.Join(answers, ""); strings.Contains(all, "E(") && !(name == "merged" && strings.Contains(all, "42601")) { // before 15 there is no MERGE
						t.Errorf("%s: %s", level, answers)
					}
				}
				converse(b, queries("BEGIN"))
				pgtest.Query(t, w.pg, "later_left", leaking)
				b.send(message)
				b.until("Z")
				if left := pgtest.Query(t, w.pg, "later_left", c.left); left[0][0] != "false" && left[0][0] != "f" {
					t.Errorf("it is left: %v", left)
				}
			})
		}
	}
}

// TestAPortalThatAFailedTextDeclaredAgainIsProved: what runs is what was bound.
func TestAPortalThatAFailedTextDeclaredAgainIsProved(t *testing.T) {
	b := redefined(t, "later_portal", append(queries(ofShown), send("Z", mParse("n", ofShown), mSync()), send("Z", mQuery("BEGIN"))))
	for i, answer := range converse(b, []step{send("Z", mBind("a", "n"), mSync()), send("Z", mQuery("SAVEPOINT s")), send("Z", mQuery("SELECT 1; DECLARE a CURSOR FOR SELECT 2")),
		send("Z", mQuery("ROLLBACK TO s")), send("Z", mExecute("a", 0), mSync())}) {
		clean(t, fmt.Sprint("the answer to ", i), answer)
	}
}

// TestNoTwinIsMadeInATransactionBlock: it would stay in the time zone of its guard.
func TestNoTwinIsMadeInATransactionBlock(t *testing.T) {
	w := the(t)
	p := startTwins(t, "later_block", often)
	for name, begin := range map[string]func(run []byte) step{
		"pipeline": func(run []byte) step { return send("Z", run, mAll("BEGIN"), mSync()) },
		"flushed":  func(run []byte) step { return send("C", run, mFlush()) },
	} {
		t.Run(name, func(t *testing.T) {
			b := bareThrough(t, p.gw, "later_block", w.token(t, "mobile-agent"))
			run := slices.Concat(mBind("", "q"), mExecute("", 0))
			steps := []step{send("Z", mParse("q", ofShown), mSync()), send("Z", run, mSync()), send("Z", run, mSync()), begin(run)}
			if name == "flushed" {
				steps = append(steps, send("Z", mAll("BEGIN"), mSync()))
			}
			answers := converse(b, append(steps, queries("SELECT now() - now(), current_setting('TimeZone')", "ROLLBACK")...))
			if zone := answers[len(answers)-2]; !strings.Contains(zone, `"UTC"]`) {
				t.Errorf("the zone of the guard: %s", zone)
			}
		})
	}
}
