package slice_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-gateway/sallyport/test/pgtest"
)

// randomDialogues is how many dialogues the test plays; SLICE_DIALOGUES says
// otherwise, and SLICE_SEED where to begin.
const randomDialogues = 150

// TestRandomDialoguesGoAsWithoutTheGateway sends sequences of messages that
// nobody thought of.
func TestRandomDialoguesGoAsWithoutTheGateway(t *testing.T) {
	w := the(t)
	count, seed := number("SLICE_DIALOGUES", randomDialogues), number("SLICE_SEED", 1)
	pgtest.Query(t, w.pg, "shop", "TRUNCATE scratch; INSERT INTO scratch SELECT g, 'row ' || g FROM generate_series(1, 5) g")
	for i := range count {
		got, said := playRandom(bareThrough(t, w.gw, "open", w.token(t, reporter)), seed+i, refusedByPolicy)
		want, _ := playRandom(bareDirect(t, w, "shop"), seed+i, failsInServer)
		if got != want {
			t.Errorf("dialogue %d:\n%s\n  got  %s\n  want %s", seed+i, strings.Join(said, "\n"), got, want)
		}
	}
}

func number(name string, otherwise int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
		return n
	}
	return otherwise
}

// playRandom plays the dialogue of a seed and returns the answers and what was
// said.
func playRandom(b *bare, seed int, bad string) (string, []string) {
	b.patience = 5 * time.Second
	r := rand.New(rand.NewPCG(uint64(seed), 7))
	var batch []byte
	var said []string
	for range 3 + r.IntN(14) {
		name, m := randomMessage(r, bad)
		batch, said = append(batch, m...), append(said, name)
	}
	b.send(batch, mSync(), mQuery("ROLLBACK"), mQuery("SELECT 'end'"))
	var shown []string
	for {
		typ, body, err := b.receive()
		if err != nil {
			return strings.Join(append(shown, silence), " "), said
		}
		s := show(typ, body)
		if strings.HasPrefix(s, "E(FATAL") {
			_ = b.conn.Close()
			return strings.Join(append(shown, s), " "), said
		}
		for _, code := range []string{"26000", "34000", "42501"} { // what the gateway knows before the server says that the block has failed
			s = strings.Replace(s, code, "25P02", 1)
		}
		if shown = append(shown, s); len(shown) > 2 && s == "Z(I)" && strings.HasSuffix(shown[len(shown)-3], `D["end"]`) {
			_ = b.conn.Close()
			return strings.Join(shown, " "), said
		}
	}
}

var randomTexts = []string{
	"SELECT 1", "SELECT $1::int + 1", "SELECT id FROM orders WHERE id < 4 ORDER BY id", "SELECT 1/0", "SELECT n, t FROM scratch ORDER BY n",
	"BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT a", "ROLLBACK TO a", "RELEASE a", "UPDATE scratch SET t = t WHERE n = 2", "",
	"DELETE FROM scratch WHERE n = -1 RETURNING n", "COPY (SELECT n FROM scratch WHERE n < 3) TO STDOUT", "SELECT 'x'::int", "bad",
	"PREPARE a AS SELECT 'a'", "PREPARE b (int) AS SELECT $1 * 2", "EXECUTE a", "EXECUTE b(4)", "DEALLOCATE a", "DEALLOCATE b", "DEALLOCATE ALL",
	"DECLARE p CURSOR FOR SELECT id FROM orders ORDER BY id", "FETCH 2 FROM p", "MOVE 1 IN p", "CLOSE p", "CLOSE ALL", "FETCH 1 FROM q",
	"SELECT 1; SELECT 2", "BEGIN; SELECT 1", "SELECT 1; SELECT 1/0; SELECT 2", "COMMIT; SELECT 3", "SHOW transaction_isolation", "VALUES (1), (2)",
	"DECLARE q CURSOR WITH HOLD FOR VALUES (1), (2), (3)", "FETCH ALL FROM q", "CLOSE q", "DISCARD PLANS",
}

func randomMessage(r *rand.Rand, bad string) (string, []byte) {
	text := randomTexts[r.IntN(len(randomTexts))]
	shownText := text
	if text == "bad" {
		text = bad
	}
	// A Parse that is refused leaves the unnamed statement, where the server would
	// have dropped it first.
	name := []string{"a", "b"}[r.IntN(2)]
	// A failed simple query leaves PostgreSQL an unnamed portal, which the gateway
	// does not pass on; a server of release 15 crashes when it is executed.
	portal := []string{"p", "q"}[r.IntN(2)]
	kind := r.IntN(12)
	switch strings.Fields(text + " .")[0] {
	case "EXECUTE", "FETCH", "MOVE":
		kind = 0 // a name that is not there is refused at Bind already, not at Execute
	case "COPY", "DEALLOCATE", "PREPARE", "DECLARE", "CLOSE", "BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE", "SHOW", "DISCARD":
		if kind == 2 || kind == 3 {
			kind = 0 // see TestExecuteRunsOnlyOrdinaryStatements
		}
	}
	switch kind {
	case 0, 1:
		return "Query " + shownText, mQuery(text)
	case 2, 3:
		return fmt.Sprintf("Parse %q %s", name, shownText), mParse(name, text)
	case 4, 5:
		if r.IntN(2) == 0 {
			portal = ""
		}
		if r.IntN(3) == 0 {
			return fmt.Sprintf("Bind %q %q 1", portal, name), mBind(portal, name, "1")
		}
		return fmt.Sprintf("Bind %q %q", portal, name), mBind(portal, name)
	case 6:
		n := byte(r.IntN(3))
		return fmt.Sprintf("Execute %q %d", portal, n), mExecute(portal, n)
	case 7:
		if r.IntN(2) == 0 {
			return fmt.Sprintf("Describe statement %q", name), mDescribe('S', name)
		}
		return fmt.Sprintf("Describe portal %q", portal), mDescribe('P', portal)
	case 8:
		if r.IntN(2) == 0 {
			return fmt.Sprintf("Close statement %q", name), mClose('S', name)
		}
		return fmt.Sprintf("Close portal %q", portal), mClose('P', portal)
	case 9:
		return "Flush", mFlush()
	case 10:
		return "Sync", mSync()
	default:
		return "all of " + shownText, mAll(text)
	}
}
