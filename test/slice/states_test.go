package slice_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-gateway/sallyport/test/pgtest"
)

// step is what a client sends at once, and the message types that it then waits
// for, in order.
type step struct {
	send  [][]byte
	until string
}

func send(until string, messages ...[]byte) step { return step{messages, until} }

// dialogue is a conversation that must go the same way with and without the
// gateway. bad is a statement that the one refuses and the other fails on, both
// before it runs.
type dialogue struct {
	name  string
	steps func(bad string) []step
}

// The statements that take each other's place. Both fail in Parse.
const (
	refusedByPolicy = "DROP TABLE orders"
	failsInServer   = "SELECT nonsense FROM orders"
)

func dialogues() []dialogue {
	return append(append(append(refusals(), extendeds()...), names()...), copies()...)
}

// working ends a dialogue with proof that the session goes on.
func working(steps ...step) []step {
	return append(steps, send("Z", mQuery("SELECT 'works'")), send("Z", mAll("SELECT 'works', $1", "too"), mSync()))
}

func refusals() []dialogue {
	return []dialogue{
		{"refused in a simple query", func(bad string) []step { return working(send("Z", mQuery(bad))) }},
		{"refused in a transaction block", func(bad string) []step {
			return working(send("Z", mQuery("BEGIN")), send("Z", mQuery(bad)), send("Z", mQuery("SELECT 1")), send("Z", mQuery("COMMIT")))
		}},
		{"refused in a transaction block with a savepoint", func(bad string) []step {
			return working(send("Z", mQuery("BEGIN")), send("Z", mQuery("SAVEPOINT a")), send("Z", mQuery(bad)),
				send("Z", mQuery("ROLLBACK TO a")), send("Z", mQuery("SELECT 1")), send("Z", mQuery("COMMIT")))
		}},
		{"refused in the extended protocol", func(bad string) []step { return working(send("Z", mAll(bad), mSync())) }},
		{"refused in the extended protocol in a transaction block", func(bad string) []step {
			return working(send("Z", mQuery("BEGIN")), send("Z", mAll(bad), mSync()), send("Z", mAll("SELECT 1"), mSync()),
				send("Z", mAll("ROLLBACK"), mSync()))
		}},
		{"refused in the middle of a pipeline", func(bad string) []step {
			return working(send("ZZ", mAll("SELECT 1"), mAll(bad), mAll("SELECT 2"), mSync(), mAll("SELECT 3"), mSync()))
		}},
		{"refused at the head of a pipeline", func(bad string) []step {
			return working(send("ZZZ", mAll(bad), mAll("SELECT 2"), mSync(), mSync(), mAll("SELECT 3"), mSync()))
		}},
		{"a write before a refusal in one pipeline is undone", func(bad string) []step {
			return working(send("Z", mQuery("DELETE FROM scratch")),
				send("Z", mAll("INSERT INTO scratch VALUES (1, 'a')"), mAll(bad), mSync()),
				send("Z", mQuery("SELECT count(*) FROM scratch")))
		}},
		{"refused between two synced writes", func(bad string) []step {
			return working(send("Z", mQuery("DELETE FROM scratch")),
				send("ZZZ", mAll("INSERT INTO scratch VALUES (1, 'a')"), mSync(), mAll(bad), mSync(), mAll("INSERT INTO scratch VALUES (2, 'b')"), mSync()),
				send("Z", mQuery("SELECT n FROM scratch ORDER BY n")))
		}},
		{"refused and flushed", func(bad string) []step {
			return working(send("1", mParse("", "SELECT 1"), mFlush()), send("C", mBind("", ""), mExecute("", 0), mFlush()),
				send("E", mParse("", bad), mFlush()), send("Z", mParse("", "SELECT 2"), mFlush(), mSync()))
		}},
		{"a query is discarded behind a refusal that was not synced", func(bad string) []step {
			return working(send("E", mParse("", bad), mFlush()), send("Z", mQuery("SELECT 1"), mSync()))
		}},
		{"refused as a query behind an unsynced pipeline", func(bad string) []step {
			return working(send("Z", mAll("SELECT 1"), mQuery(bad)))
		}},
		{"refused as a query behind an unsynced BEGIN", func(bad string) []step {
			return working(send("Z", mAll("BEGIN"), mQuery(bad)), send("Z", mQuery("SELECT 1")), send("Z", mQuery("ROLLBACK")))
		}},
		{"refused as a query behind an unsynced write, which is undone", func(bad string) []step {
			return working(send("Z", mAll("INSERT INTO scratch VALUES (1, 'a')"), mQuery(bad)), send("Z", mQuery("SELECT count(*) FROM scratch")))
		}},
		{"Describe of a refused statement", func(bad string) []step {
			return working(send("Z", mParse("d", bad), mDescribe('S', "d"), mSync()), send("Z", mDescribe('S', "d"), mSync()))
		}},
		{"a refused Parse leaves the old statement of the name", func(bad string) []step {
			return working(send("Z", mParse("keep", "SELECT 'kept'"), mSync()),
				send("Z", mClose('S', "keep"), mParse("keep", bad), mSync()),
				send("Z", mBind("", "keep"), mExecute("", 0), mSync()))
		}},
		{"what follows an error is ignored until Sync", func(bad string) []step {
			return working(send("Z", mParse("keep", "SELECT 'kept'"), mSync()),
				send("Z", mParse("", bad), mClose('S', "keep"), mParse("other", "SELECT 1"), mSync()),
				send("Z", mBind("", "keep"), mExecute("", 0), mSync()), send("Z", mBind("", "other"), mExecute("", 0), mSync()))
		}},
	}
}

func extendeds() []dialogue {
	return []dialogue{
		{"an error in the middle of a pipeline", func(string) []step {
			return working(send("ZZ", mAll("SELECT 1"), mAll("SELECT 1/0"), mAll("SELECT 2"), mSync(), mAll("SELECT 3"), mSync()))
		}},
		{"twenty commands before the first answer", func(string) []step {
			var all [][]byte
			for i := range 20 {
				all = append(all, mAll("SELECT $1::int + 1", fmt.Sprint(i)))
			}
			return working(send("Z", append(all, mSync())...))
		}},
		{"six hundred commands before the first answer", func(string) []step {
			var all [][]byte
			for i := range 600 {
				all = append(all, mParse("", "SELECT $1::int"), mBind("", "", fmt.Sprint(i)), mExecute("", 0))
			}
			return working(send("Z", append(all, mSync())...))
		}},
		{"a portal gives its rows in pieces", func(string) []step {
			return working(send("Z", mQuery("BEGIN")),
				send("Z", mParse("s", "SELECT id FROM orders ORDER BY id LIMIT 5"), mBind("p", "s"), mExecute("p", 2), mExecute("p", 2), mSync()),
				send("Z", mExecute("p", 2), mExecute("p", 2), mSync()), send("Z", mQuery("COMMIT")), send("Z", mExecute("p", 0), mSync()))
		}},
		{"a portal ends with its Sync outside a transaction", func(string) []step {
			return working(send("Z", mParse("s", "SELECT 1"), mBind("p", "s"), mSync()), send("Z", mExecute("p", 0), mSync()))
		}},
		{"a portal is executed again", func(string) []step {
			return working(send("Z", mParse("", "SELECT 1"), mBind("p", ""), mExecute("p", 0), mExecute("p", 0), mSync()),
				send("Z", mParse("", "DELETE FROM scratch WHERE n < 0"), mBind("q", ""), mExecute("q", 0), mExecute("q", 0), mSync()))
		}},
		{"a portal is bound twice", func(string) []step {
			return working(send("Z", mParse("", "SELECT 1"), mBind("p", ""), mBind("p", ""), mSync()))
		}},
		{"several portals at the same time", func(string) []step {
			return working(send("Z", mQuery("BEGIN")),
				send("Z", mParse("s", "SELECT id FROM orders WHERE id > $1::int ORDER BY id LIMIT 3"), mBind("a", "s", "0"), mBind("b", "s", "50"),
					mExecute("a", 1), mExecute("b", 1), mExecute("a", 1), mExecute("b", 0), mClose('P', "a"), mExecute("a", 0), mSync()),
				send("Z", mQuery("ROLLBACK")))
		}},
		{"Flush brings the answers without Sync", func(string) []step {
			return working(send("1", mParse("f", "SELECT 7"), mFlush()), send("2", mBind("", "f"), mFlush()),
				send("T", mDescribe('P', ""), mFlush()), send("C", mExecute("", 0), mFlush()), send("Z", mSync()))
		}},
		{"an empty query ends an unsynced pipeline", func(string) []step {
			return working(send("Z", mAll("BEGIN"), mQuery("")), send("Z", mQuery("ROLLBACK")), send("Z", mAll("SELECT 1"), mQuery(" ")))
		}},
		{"a query drops the unnamed statement", func(bad string) []step {
			return working(send("Z", mParse("", "SELECT 1"), mSync()), send("Z", mQuery(bad)), send("Z", mBind("", ""), mExecute("", 0), mSync()))
		}},
		{"the same unnamed statement again and again", func(bad string) []step {
			const text = "SELECT id, status FROM orders WHERE id = $1::int"
			again := func(id string) [][]byte {
				return [][]byte{mParse("", text), mDescribe('S', ""), mBind("", "", id), mDescribe('P', ""), mExecute("", 0)}
			}
			var steps []step
			for i := range 12 {
				steps = append(steps, send("Z", append(again(fmt.Sprint(i)), mSync())...))
			}
			steps = append(steps,
				send("Z", slices.Concat(again("1"), again("2"), again("x"), again("3"), [][]byte{mSync()})...), // fails in the third
				send("Z", append(again("4"), mSync())...),
				send("1", mParse("", text), mFlush()), send("2", mBind("", "", "5"), mFlush()), send("Z", mExecute("", 0), mSync()),
				send("Z", mParse("", bad), mSync()), send("Z", append(again("6"), mSync())...),
				send("Z", mParse("", "SELECT nothing"), mSync()), send("Z", append(again("7"), mSync())...),
				send("Z", mAll("SELECT 1/0"), mParse("", "SELECT nothing"), mSync()), send("Z", append(again("7"), mSync())...),
				send("Z", mQuery("SELECT 1")), send("Z", append(again("8"), mSync())...),
				send("Z", mClose('S', ""), mSync()), send("Z", append(again("9"), mSync())...),
				send("Z", mQuery("BEGIN")), send("Z", append(again("10"), mSync())...), send("Z", mAll("SELECT 1/0"), mSync()),
				send("Z", append(again("11"), mSync())...), send("Z", mQuery("ROLLBACK")), send("Z", append(again("12"), mSync())...))
			for range 3 { // a literal that the server reads when it parses
				steps = append(steps, send("Z", mParse("", "SELECT '2026-03-04'::date::text"), mBind("", ""), mExecute("", 0), mSync()),
					send("Z", mParse("s", "SET datestyle = 'German'"), mBind("", "s"), mExecute("", 0), mClose('S', "s"), mSync()),
					send("Z", mParse("", "SELECT '02.03.2026'::date::text"), mBind("", ""), mExecute("", 0), mSync()),
					send("Z", mQuery("RESET datestyle")))
			}
			return working(steps...)
		}},
		{"a query ends an unsynced pipeline", func(string) []step {
			return working(send("Z", mAll("SELECT 1"), mQuery("SELECT 2")))
		}},
		{"binary results", func(string) []step {
			return working(send("Z", mParse("", "SELECT id, amount, status FROM orders WHERE id = $1::int"), mDescribe('S', ""), mBindBinary("", "", "7"),
				mDescribe('P', ""), mExecute("", 0), mSync()))
		}},
		{"the empty statement", func(string) []step {
			return working(send("Z", mQuery("")), send("Z", mQuery(" ; ")), send("Z", mAll(""), mSync()))
		}},
		{"several statements in one query", func(string) []step {
			return working(send("Z", mQuery("SELECT 1; SELECT 2, 3; DELETE FROM scratch WHERE n < 0")))
		}},
		{"several statements in one Parse", func(string) []step { return working(send("Z", mAll("SELECT 1; SELECT 2"), mSync())) }},
		{"an error among several statements undoes them", func(string) []step {
			return working(send("Z", mQuery("DELETE FROM scratch")),
				send("Z", mQuery("INSERT INTO scratch VALUES (1, 'a'); SELECT 1/0; INSERT INTO scratch VALUES (2, 'b')")),
				send("Z", mQuery("SELECT n FROM scratch")))
		}},
		{"transaction control among several statements", func(string) []step {
			return working(send("Z", mQuery("DELETE FROM scratch")),
				send("Z", mQuery("BEGIN; INSERT INTO scratch VALUES (1, 'a'); COMMIT; INSERT INTO scratch VALUES (2, 'b'); SELECT 1/0")),
				send("Z", mQuery("SELECT n FROM scratch")), send("Z", mQuery("BEGIN; SELECT 1")), send("Z", mQuery("ROLLBACK")))
		}},
		{"COMMIT of a failed transaction block", func(string) []step {
			return working(send("Z", mAll("BEGIN"), mSync()), send("Z", mAll("SELECT 1/0"), mSync()), send("Z", mAll("COMMIT"), mSync()))
		}},
		{"messages about what is not there", func(string) []step {
			return working(send("Z", mBind("", "none"), mSync()), send("Z", mExecute("none", 0), mSync()), send("Z", mDescribe('S', "none"), mSync()),
				send("Z", mDescribe('P', "none"), mSync()), send("Z", mClose('S', "none"), mClose('P', "none"), mSync()))
		}},
		{"the wrong number of parameter formats", func(string) []step {
			formats := message('B', "\x00s\x00\x00\x02\x00\x00\x00\x00\x00\x01\x00\x00\x00\x01x\x00\x00")
			return working(send("Z", mParse("s", "SELECT $1::text"), mSync()), send("Z", formats, mExecute("", 0), mSync()), send("Z", mBind("", "s", "y"), mExecute("", 0), mSync()))
		}},
		{"the wrong number of parameters", func(string) []step {
			return working(send("Z", mParse("", "SELECT $1::int"), mBind("", ""), mExecute("", 0), mSync()))
		}},
		{"a parameter that is no number", func(string) []step {
			return working(send("Z", mParse("", "SELECT $1::int"), mBind("", "", "x"), mExecute("", 0), mSync()))
		}},
		{"Sync and Flush alone", func(string) []step { return working(send("ZZ", mSync(), mFlush(), mSync())) }},
		{"writes return rows", func(string) []step {
			return working(send("Z", mQuery("DELETE FROM scratch")), send("Z", mAll("INSERT INTO scratch VALUES (5, $1) RETURNING n, t", "five"), mSync()),
				send("Z", mAll("UPDATE scratch SET t = 'six' WHERE n = 5 RETURNING t"), mSync()), send("Z", mAll("INSERT INTO scratch VALUES (5, 'again')"), mSync()),
				send("Z", mAll("DELETE FROM scratch WHERE n = 5 RETURNING t"), mSync()))
		}},
		{"a warning", func(string) []step { return working(send("Z", mQuery("ROLLBACK")), send("Z", mAll("COMMIT"), mSync())) }},
		{"a changed setting is told", func(string) []step {
			return working(send("Z", mQuery("SET application_name = 'told'")), send("Z", mQuery("SET TimeZone = 'Asia/Tokyo'")))
		}},
	}
}

func names() []dialogue {
	return []dialogue{
		{"named statements", func(string) []step {
			return working(send("Z", mParse("a", "SELECT $1::int * 2"), mSync()), send("Z", mBind("", "a", "2"), mExecute("", 0), mBind("", "a", "3"), mExecute("", 0), mSync()),
				send("Z", mParse("a", "SELECT 'again'"), mSync()), send("Z", mClose('S', "a"), mParse("a", "SELECT 'again'"), mSync()),
				send("Z", mBind("", "a"), mExecute("", 0), mSync()), send("Z", mClose('S', "a"), mSync()), send("Z", mBind("", "a"), mSync()))
		}},
		{"PREPARE makes what Bind uses", func(string) []step {
			return working(send("Z", mQuery("PREPARE p (int) AS SELECT $1 + 1")), send("Z", mDescribe('S', "p"), mBind("", "p", "4"), mExecute("", 0), mSync()),
				send("Z", mQuery("EXECUTE p(5)")), send("Z", mQuery("DEALLOCATE p")), send("Z", mBind("", "p", "4"), mSync()), send("Z", mQuery("EXECUTE p(5)")))
		}},
		{"Parse makes what EXECUTE uses", func(string) []step {
			return working(send("Z", mParse("q", "SELECT $1::int + 10"), mSync()), send("Z", mQuery("EXECUTE q(5)")), send("Z", mAll("EXECUTE q(6)"), mSync()),
				send("Z", mQuery("PREPARE q AS SELECT 1")), send("Z", mQuery("DEALLOCATE q")), send("Z", mQuery("EXECUTE q(5)")))
		}},
		{"DEALLOCATE ALL forgets all", func(string) []step {
			return working(send("Z", mParse("x", "SELECT 1"), mSync()), send("Z", mQuery("PREPARE y AS SELECT 2")), send("Z", mQuery("DEALLOCATE ALL")),
				send("Z", mBind("", "x"), mSync()), send("Z", mQuery("EXECUTE y")), send("Z", mParse("x", "SELECT 3"), mBind("", "x"), mExecute("", 0), mSync()))
		}},
		{"a PREPARE that fails makes nothing", func(string) []step {
			return working(send("Z", mQuery("PREPARE p AS SELECT 'first'")), send("Z", mQuery("PREPARE p AS SELECT 'second'")), send("Z", mQuery("EXECUTE p")),
				send("Z", mQuery("BEGIN; PREPARE r AS SELECT 'r'; SELECT 1/0")), send("Z", mQuery("ROLLBACK")), send("Z", mQuery("EXECUTE r")))
		}},
		{"a cursor of SQL", func(string) []step {
			return working(send("Z", mQuery("BEGIN")), send("Z", mQuery("DECLARE c CURSOR FOR SELECT id FROM orders ORDER BY id")), send("Z", mQuery("FETCH 2 FROM c")),
				send("Z", mQuery("MOVE 3 IN c")), send("Z", mQuery("FETCH NEXT FROM c")), send("Z", mExecute("c", 2), mSync()), send("Z", mDescribe('P', "c"), mSync()),
				send("Z", mQuery("CLOSE c")), send("Z", mQuery("FETCH 1 FROM c")), send("Z", mQuery("ROLLBACK")))
		}},
		{"a cursor ends with its transaction", func(string) []step {
			return working(send("Z", mQuery("BEGIN")), send("Z", mQuery("DECLARE c CURSOR FOR SELECT 1")), send("Z", mQuery("COMMIT")), send("Z", mQuery("FETCH 1 FROM c")))
		}},
		{"a cursor WITH HOLD outlives its transaction", func(string) []step {
			return working(send("Z", mQuery("BEGIN")), send("Z", mQuery("DECLARE h CURSOR WITH HOLD FOR SELECT id FROM orders ORDER BY id LIMIT 3")), send("Z", mQuery("COMMIT")),
				send("Z", mQuery("FETCH 2 FROM h")), send("Z", mQuery("CLOSE h")), send("Z", mQuery("FETCH 1 FROM h")))
		}},
		{"Close closes what SQL made", func(string) []step {
			return working(send("Z", mQuery("DECLARE h CURSOR WITH HOLD FOR SELECT 1")), send("Z", mClose('P', "h"), mSync()), send("Z", mQuery("FETCH 1 FROM h")),
				send("Z", mQuery("PREPARE p AS SELECT 1")), send("Z", mClose('S', "p"), mSync()), send("Z", mQuery("EXECUTE p")), send("Z", mParse("p", "SELECT 2"), mSync()))
		}},
		{"a portal of Bind is fetched from by SQL", func(string) []step {
			return working(send("Z", mQuery("BEGIN")), send("Z", mParse("", "SELECT id FROM orders ORDER BY id"), mBind("b", ""), mSync()),
				send("Z", mQuery("FETCH 2 FROM b")), send("Z", mExecute("b", 1), mSync()), send("Z", mQuery("COMMIT")))
		}},
	}
}

func copies() []dialogue {
	const count = "SELECT count(*), min(n), max(t) FROM scratch"
	clean := send("Z", mQuery("DELETE FROM scratch"))
	return []dialogue{
		{"COPY TO STDOUT", func(string) []step {
			return working(send("Z", mQuery("COPY (SELECT id, status FROM orders WHERE id < 4 ORDER BY id) TO STDOUT")),
				send("Z", mAll("COPY orders (id) TO STDOUT (FORMAT csv)"), mSync()), send("Z", mQuery("COPY (SELECT 1/(id - 2) FROM orders ORDER BY id) TO STDOUT")))
		}},
		{"COPY FROM STDIN", func(string) []step {
			return working(clean, send("G", mQuery("COPY scratch FROM STDIN")), send("Z", mCopyData("1\tone\n2\ttw"), mCopyData("o\n"), mCopyDone()), send("Z", mQuery(count)))
		}},
		{"COPY FROM STDIN in the extended protocol", func(string) []step {
			return working(clean, send("G", mParse("", "COPY scratch FROM STDIN"), mBind("", ""), mExecute("", 0), mSync()),
				send("Z", mCopyData("1\tone\n"), mCopyDone(), mSync()), send("Z", mQuery(count)))
		}},
		{"CopyFail", func(string) []step {
			return working(clean, send("G", mQuery("COPY scratch FROM STDIN")), send("Z", mCopyData("1\tone\n"), mCopyFail("no more")), send("Z", mQuery(count)))
		}},
		{"CopyFail in the extended protocol", func(string) []step {
			return working(clean, send("G", mParse("", "COPY scratch FROM STDIN"), mBind("", ""), mExecute("", 0), mSync()),
				send("Z", mCopyData("1\tone\n"), mCopyFail("no more"), mSync()), send("Z", mQuery(count)))
		}},
		{"COPY of malformed data", func(string) []step {
			return working(clean, send("G", mQuery("COPY scratch FROM STDIN")), send("Z", mCopyData("1\tone\nx\ttwo\n"), mCopyData("3\tthree\n"), mCopyDone()), send("Z", mQuery(count)))
		}},
		{"COPY of malformed data in the extended protocol", func(string) []step {
			return working(clean, send("G", mParse("", "COPY scratch FROM STDIN"), mBind("", ""), mExecute("", 0), mSync()),
				send("Z", mCopyData("x\tone\n"), mCopyDone(), mSync()), send("Z", mQuery(count)))
		}},
		{"COPY of a key that is there", func(string) []step {
			return working(clean, send("G", mQuery("COPY scratch FROM STDIN")), send("Z", mCopyData("1\tone\n1\ttwo\n"), mCopyDone()), send("Z", mQuery(count)))
		}},
		{"two COPY FROM STDIN in one query", func(string) []step {
			return working(clean, send("G", mQuery("COPY scratch FROM STDIN; COPY scratch FROM STDIN; SELECT 9")), send("G", mCopyData("1\tone\n"), mCopyDone()),
				send("Z", mCopyData("2\ttwo\n"), mCopyDone()), send("Z", mQuery(count)))
		}},
		{"the second of two COPY FROM STDIN fails", func(string) []step {
			return working(clean, send("G", mQuery("COPY scratch FROM STDIN; COPY scratch FROM STDIN")), send("G", mCopyData("1\tone\n"), mCopyDone()),
				send("Z", mCopyFail("not this one")), send("Z", mQuery(count)))
		}},
		{"COPY in a transaction block", func(string) []step {
			return working(clean, send("Z", mQuery("BEGIN")), send("G", mQuery("COPY scratch FROM STDIN")), send("Z", mCopyData("1\tone\n"), mCopyDone()),
				send("Z", mQuery("ROLLBACK")), send("Z", mQuery(count)))
		}},
		{"Flush and Sync during COPY are ignored", func(string) []step {
			return working(clean, send("G", mQuery("COPY scratch FROM STDIN")), send("Z", mCopyData("1\tone\n"), mFlush(), mSync(), mCopyDone()), send("Z", mQuery(count)))
		}},
		{"a large COPY in both directions", func(string) []step {
			big := strings.Repeat("x", 70000)
			return working(clean, send("G", mQuery("COPY scratch FROM STDIN")), send("Z", mCopyData("1\t"+big+"\n"), mCopyData("2\t"+big+"\n"), mCopyDone()),
				send("Z", mQuery("SELECT n, length(t) FROM scratch ORDER BY n")), send("Z", mQuery("COPY scratch TO STDOUT")))
		}},
		{"a refused COPY whose data follow unasked", func(bad string) []step {
			copied := "COPY pg_authid FROM STDIN"
			if bad == refusedByPolicy {
				copied = "COPY orders FROM '/etc/passwd'"
			}
			return working(send("Z", mQuery(copied), mCopyData("1\tone\n"), mCopyDone()))
		}},
		{"COPY data outside of COPY", func(string) []step { return working(send("Z", mCopyData("x"), mCopyDone(), mCopyFail("x"), mSync())) }},
		{"a refusal behind a COPY in one pipeline", func(bad string) []step {
			return working(send("Z", mAll("COPY orders (id) TO STDOUT"), mAll(bad), mAll("SELECT 1"), mSync()))
		}},
	}
}

// TestExecuteRunsOnlyOrdinaryStatements: PostgreSQL also executes by name what
// changes names, when a Parse prepared it, and the gateway would not see it.
func TestExecuteRunsOnlyOrdinaryStatements(t *testing.T) {
	w := the(t)
	for _, text := range []string{"DEALLOCATE keep", "PREPARE x AS SELECT 1", "BEGIN", "COPY orders TO STDOUT", "SET application_name = 'x'", "DECLARE c CURSOR FOR SELECT 1"} {
		b := bareThrough(t, w.gw, "open", w.token(t, reporter))
		got := converse(b, []step{send("Z", mParse("keep", "SELECT 'kept'"), mParse("d", text), mSync()), send("Z", mQuery("EXECUTE d")),
			send("Z", mAll("EXECUTE d"), mSync()), send("Z", mQuery("EXECUTE keep"))})
		if got[1] != "E(ERROR 0A000) Z(I)" || got[2] != "1 E(ERROR 0A000) Z(I)" || !strings.Contains(got[3], `D["kept"]`) {
			t.Errorf("%s: %q", text, got)
		}
	}
}

func TestAnswersInEveryStateAreThoseOfPostgreSQL(t *testing.T) {
	w := the(t)
	for _, d := range dialogues() {
		t.Run(d.name, func(t *testing.T) {
			pgtest.Query(t, w.pg, "shop", "TRUNCATE scratch")
			want := converse(bareDirect(t, w, "shop"), d.steps(failsInServer))
			pgtest.Query(t, w.pg, "shop", "TRUNCATE scratch")
			got := converse(bareThrough(t, w.gw, "open", w.token(t, reporter)), d.steps(refusedByPolicy))
			for i := range want {
				if i >= len(got) || got[i] != want[i] {
					t.Errorf("step %d:\n  got  %.3000s\n  want %.3000s", i+1, slices.Concat(got, make([]string, len(want)))[i], want[i])
				}
			}
		})
	}
}

// TestWritesMayEndAnywhereInAMessage: where a session rests it has read nothing of a
// message, or goes on where it was, whatever TLS has buffered meanwhile.
func TestWritesMayEndAnywhereInAMessage(t *testing.T) {
	w := the(t)
	b := bareThrough(t, w.gw, "open", w.token(t, reporter))
	query := mQuery("SELECT 'in pieces'")
	for _, first := range [][][]byte{
		{mSync()}, {mSync(), mSync(), mSync(), mSync()},
		{mQuery("SELECT 123")}, // 16 bytes, as much as an idle session reads at first
	} {
		for cut := range query {
			b.send(append(first, query[:cut])...)
			if got := b.until(strings.Repeat("Z", len(first))); !strings.HasSuffix(got, "Z(I)") {
				t.Fatalf("what came before %d bytes: %q", cut, got)
			}
			b.send(query[cut:])
			if got := b.until("Z"); !strings.Contains(got, `D["in pieces"]`) || !strings.HasSuffix(got, "Z(I)") {
				t.Fatalf("the query after %d bytes, after %d messages: %q", cut, len(first), got)
			}
		}
	}
}

// converse plays the steps, up to one that is not answered.
func converse(b *bare, steps []step) []string {
	b.patience = 5 * time.Second
	var answers []string
	for _, s := range steps {
		b.send(s.send...)
		a := b.until(s.until)
		answers = append(answers, a)
		if strings.HasSuffix(a, silence) {
			break
		}
	}
	return answers
}
