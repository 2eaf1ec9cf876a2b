package slice_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sallyport-gateway/sallyport/test/pgtest"
)

const (
	leaking = "CREATE OR REPLACE VIEW shown AS SELECT id, ssn AS city FROM customers"
	ofShown = "SELECT city FROM shown WHERE id = 1"
)

// TestAnAnswerInDoubtIsDroppedFromWhereItBegins has an answer that is dropped behind an
// exchange in which much stood in front of one.
func TestAnAnswerInDoubtIsDroppedFromWhereItBegins(t *testing.T) {
	w := the(t)
	p := startTwins(t, "later_mark", often)
	b := bareThrough(t, p.gw, "later_mark", w.token(t, "mobile-agent"))
	converse(b, []step{send("Z", mParse("q", ofShown), mSync()), send("Z", mAll("SELECT repeat('x', 20000)"), mAll(ofShown), mSync())})
	pgtest.Query(t, w.pg, "later_mark", leaking)
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
