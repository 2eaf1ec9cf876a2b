package slice_test

import (
	"strings"
	"testing"
)

// TestNamesHideNoHeldStatement prepares a write that must be approved, which is
// allowed, and then tries to have it run under something else.
func TestNamesHideNoHeldStatement(t *testing.T) {
	w := the(t)
	const write = "UPDATE orders SET status = 'hidden' WHERE id = 70"
	const read = "SELECT status FROM orders WHERE id = 70"
	long := strings.Repeat("n", 63)
	prepare := mQuery("PREPARE n AS " + write)
	for name, messages := range map[string][][]byte{
		"EXECUTE":                          {prepare, mQuery("EXECUTE n")},
		"EXECUTE by the extended protocol": {prepare, together(mAll("EXECUTE n"), mSync())},
		"Bind of what SQL prepared":        {prepare, together(mBind("", "n"), mExecute("", 0), mSync())},
		"EXPLAIN ANALYZE EXECUTE":          {prepare, mQuery("EXPLAIN ANALYZE EXECUTE n")},
		"EXPLAIN ANALYZE of the write":     {mQuery("EXPLAIN ANALYZE " + write)},
		"CREATE TABLE AS EXECUTE":          {mQuery("PREPARE n AS " + write + " RETURNING id"), mQuery("CREATE TEMP TABLE x AS EXECUTE n")},
		"several statements":               {prepare, mQuery("SELECT 1; EXECUTE n; SELECT 2")},
		"prepared and executed at once":    {mQuery("PREPARE n AS " + write + "; EXECUTE n")},
		"a new meaning of a name": {together(mParse("n", read), mSync()), mQuery("DEALLOCATE n; PREPARE n AS " + write),
			together(mBind("", "n"), mExecute("", 0), mSync()), mQuery("EXECUTE n")},
		"a new meaning after DEALLOCATE ALL": {together(mParse("n", read), mSync()), mQuery("DEALLOCATE ALL; PREPARE n AS " + write),
			together(mBind("", "n"), mExecute("", 0), mSync())},
		"a new meaning that failed in part": {together(mParse("n", read), mSync()), mQuery("DEALLOCATE n; PREPARE n AS " + write + "; SELECT 1/0"),
			together(mBind("", "n"), mExecute("", 0), mSync())},
		"a name that the server cuts": {together(mParse(long, read), mSync()), mQuery("DEALLOCATE " + long + "; PREPARE " + long + "x AS " + write),
			together(mBind("", long), mExecute("", 0), mSync()), mQuery("EXECUTE " + long), mQuery("EXECUTE " + long + "x")},
		"a name in another case": {together(mParse("n", read), mSync()), mQuery(`DEALLOCATE N; PREPARE N AS ` + write),
			together(mBind("", "n"), mExecute("", 0), mSync()), mQuery(`EXECUTE "n"`)},
		"a name in Unicode escapes": {together(mParse("n", read), mSync()), mQuery(`DEALLOCATE n; PREPARE U&"\006e" AS ` + write),
			together(mBind("", "n"), mExecute("", 0), mSync())},
		"a new meaning in a pipeline": {together(mParse("n", read), mSync()),
			together(mClose('S', "n"), mParse("n", write), mBind("", "n"), mExecute("", 0), mSync())},
		"a new meaning behind an error": {together(mParse("n", read), mSync()),
			together(mAll("SELECT 1/0"), mClose('S', "n"), mParse("n", write), mSync()), together(mBind("", "n"), mExecute("", 0), mSync())},
		"Parse over PREPARE": {prepare, together(mParse("n", read), mSync()), together(mBind("", "n"), mExecute("", 0), mSync())},
		"a portal that is bound again": {mQuery("BEGIN"), together(mParse("", read), mBind("p", ""), mSync()),
			together(mParse("w", write), mBind("p", "w"), mSync()), together(mExecute("p", 0), mSync()), mQuery("COMMIT")},
		"the unnamed statement changes behind a portal": {mQuery("BEGIN"), together(mParse("", write), mBind("", ""), mParse("", read), mExecute("", 0), mSync()), mQuery("COMMIT")},
		"a rule's effect in WITH":                       {mQuery("WITH x AS (" + write + " RETURNING id) SELECT * FROM x")},
		"a cursor":                                      {mQuery("BEGIN"), mQuery("DECLARE c CURSOR FOR WITH x AS (" + write + " RETURNING id) SELECT * FROM x"), mQuery("FETCH 1 FROM c"), mQuery("COMMIT")},
		"COPY of a write":                               {mQuery("COPY (" + write + " RETURNING id) TO STDOUT")},
		"a copy into the table":                         {mQuery("COPY orders FROM STDIN"), together(mCopyData("7000\thidden\t1\n"), mCopyDone(), mQuery("SELECT 1"))},
	} {
		t.Run(name, func(t *testing.T) {
			b := bareThrough(t, w.gw, "shop", w.token(t, "mobile-agent"))
			var answers []string
			for _, m := range messages {
				// In a transaction block nobody is waited for.
				b.send(mQuery("BEGIN"))
				b.until("Z")
				b.send(m)
				answers = append(answers, b.until("Z"))
				b.send(mQuery("COMMIT"))
				b.until("Z")
			}
			if got := status(t, w, 70); got != "new" {
				t.Fatalf("the write ran:\n%s", strings.Join(answers, "\n"))
			}
			if !strings.Contains(strings.Join(answers, "\n"), "E(ERROR ") {
				t.Errorf("nothing was refused:\n%s", strings.Join(answers, "\n"))
			}
		})
	}
}

// TestNamesOfTheGatewayAreNotForClients: whoever could give one would answer the
// gateway's questions at the target in its place.
func TestNamesOfTheGatewayAreNotForClients(t *testing.T) {
	w := the(t)
	for name, refused := range map[string]bool{"sallyport question 1": true, "sallyportable": false} {
		for what, m := range map[string][]byte{
			"PREPARE":                    mQuery(`PREPARE "` + name + `" AS SELECT 1`),
			"PREPARE in Unicode escapes": mQuery(`PREPARE U&"` + strings.ReplaceAll(name, " ", `\0020`) + `" AS SELECT 1`),
			"PREPARE and DEALLOCATE":     mQuery(`PREPARE "` + name + `" AS SELECT 1; DEALLOCATE "` + name + `"`),
			"DECLARE":                    mQuery(`BEGIN; DECLARE "` + name + `" CURSOR FOR SELECT 1; ROLLBACK`),
			"Parse":                      together(mParse(name, "SELECT 1"), mSync()),
			"Bind":                       together(mParse("", "SELECT 1"), mBind(name, ""), mSync()),
		} {
			answers := strings.Join(converse(bareThrough(t, w.gw, "shop", w.token(t, "mobile-agent")), []step{send("Z", m)}), "\n")
			if got := strings.Contains(answers, "E(ERROR 42501)"); got != refused {
				t.Errorf("%s of %q:\n%s", what, name, answers)
			}
		}
	}
}
