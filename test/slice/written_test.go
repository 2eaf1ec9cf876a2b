package slice_test

import (
	"strings"
	"testing"

	"github.com/sallyport-gateway/sallyport/test/pgtest"
)

// TestWritesArePermanentWhenTheyAreAnsweredAndNotBefore sends writes by the simple
// protocol where labels apply: on every release, what stands alone is committed with
// its answer, and what stands in a block of the agent's own only with that.
func TestWritesArePermanentWhenTheyAreAnsweredAndNotBefore(t *testing.T) {
	w := the(t)
	pgtest.Query(t, w.pg, "shop", "CREATE TABLE IF NOT EXISTS late_keys (n int UNIQUE DEFERRABLE INITIALLY DEFERRED); TRUNCATE late_keys; GRANT ALL ON late_keys TO agent")
	count := func() string { return pgtest.Query(t, w.pg, "shop", "SELECT count(*) FROM late_keys")[0][0] }
	b := bareThrough(t, w.gw, "open", w.token(t, reporter))
	ask := func(text string) string {
		b.send(mQuery(text))
		return b.until("Z")
	}
	if got := ask("INSERT INTO late_keys VALUES (1)"); got != "C(INSERT 0 1) Z(I)" || count() != "1" {
		t.Errorf("alone: %s, %s rows", got, count())
	}
	if got := ask("INSERT INTO late_keys VALUES (2); INSERT INTO late_keys VALUES (3)"); got != "C(INSERT 0 1) C(INSERT 0 1) Z(I)" || count() != "3" {
		t.Errorf("two: %s, %s rows", got, count())
	}
	if got := ask("INSERT INTO late_keys VALUES (4); SELECT 1/0"); !strings.HasSuffix(got, "E(ERROR 22012) Z(I)") || count() != "3" {
		t.Errorf("one that fails: %s, %s rows", got, count())
	}
	// The error comes from the commit.
	if got := ask("INSERT INTO late_keys VALUES (1)"); !strings.HasSuffix(got, "E(ERROR 23505) Z(I)") || count() != "3" {
		t.Errorf("a key that is there: %s, %s rows", got, count())
	}
	ask("BEGIN; INSERT INTO late_keys VALUES (5)")
	if count() != "3" {
		t.Errorf("in a block that is open: %s rows", count())
	}
	ask("ROLLBACK")
	if got := ask("SELECT 1"); !strings.HasSuffix(got, "C(SELECT 1) Z(I)") || count() != "3" {
		t.Errorf("rolled back: %s, %s rows", got, count())
	}
	ask("BEGIN")
	if got := ask("INSERT INTO late_keys VALUES (6)"); got != "C(INSERT 0 1) Z(T)" || count() != "3" {
		t.Errorf("in a block: %s, %s rows", got, count())
	}
	if got := ask("COMMIT"); got != "C(COMMIT) Z(I)" || count() != "4" {
		t.Errorf("committed: %s, %s rows", got, count())
	}
}
