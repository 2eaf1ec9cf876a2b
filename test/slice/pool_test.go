package slice_test

import (
	"fmt"
	"strings"
	"testing"
)

// pooled are what connection pools send when they take a session back.
var pooled = []string{
	"DISCARD ALL",
	"RESET ALL",
	"CLOSE ALL; UNLISTEN *; SELECT pg_advisory_unlock_all(); DISCARD SEQUENCES; DISCARD TEMP; RESET ALL",
}

func TestPoolsResetASessionAsWithoutTheGateway(t *testing.T) {
	w := the(t)
	p := startTwins(t, "pool", twinned{schema: "CREATE TABLE orders (id int PRIMARY KEY); INSERT INTO orders VALUES (1)", rules: strings.ReplaceAll(temps.rules, "    mask: {pii: redact}\n", "")})
	for i, reset := range pooled {
		for name, steps := range map[string][]step{
			"settings":   queries("SET application_name = 'mine'", "SET DateStyle = 'German'", "SET statement_timeout = '1s'", reset, "SHOW application_name", "SHOW DateStyle", "SHOW statement_timeout", "SHOW search_path", "SELECT id FROM orders"),
			"statements": queries("PREPARE p AS SELECT 1", reset, "DEALLOCATE ALL", "EXECUTE p", "PREPARE p AS SELECT 2", "EXECUTE p"),
			"protocol": {send("Z", mParse("n", "SELECT 1"), mSync()), send("Z", mQuery(reset)), send("Z", mQuery("DEALLOCATE ALL")), send("Z", mBind("", "n"), mExecute("", 0), mSync()),
				send("Z", mParse("n", "SELECT 2"), mBind("", "n"), mExecute("", 0), mSync())},
			"extended":  {send("Z", mParse("n", "SELECT 1"), mSync()), send("Z", mAll("DISCARD ALL"), mSync()), send("Z", mBind("", "n"), mExecute("", 0), mSync()), send("Z", mParse("n", "SELECT 2"), mBind("", "n"), mExecute("", 0), mSync())},
			"refused":   append(queries("PREPARE p AS SELECT 1", "BEGIN", "DISCARD ALL", "ROLLBACK", "EXECUTE p"), send("Z", mParse("n", "SELECT 1"), mSync()), send("Z", mQuery("BEGIN")), send("Z", mAll("DISCARD ALL"), mSync()), send("Z", mQuery("ROLLBACK")), send("Z", mBind("", "n"), mExecute("", 0), mSync())),
			"temporary": queries("CREATE TEMP TABLE orders (id text)", "SELECT * FROM orders", "DISCARD ALL", "SELECT * FROM orders", "CREATE TEMP TABLE t (a int)", "DISCARD TEMP", "SELECT * FROM orders"),
			"cursor":    queries("BEGIN", "DECLARE c CURSOR WITH HOLD FOR SELECT 1", "COMMIT", reset, "CLOSE ALL", "FETCH c"),
		} {
			t.Run(fmt.Sprint(i, " ", name), func(t *testing.T) {
				through := converse(bareThrough(t, p.gw, "pool", w.token(t, "mobile-agent")), steps)
				direct := converse(bareDirect(t, w, "pool"), steps)
				for i := range steps {
					if withoutTables(through[i]) != withoutTables(direct[i]) {
						t.Errorf("%s\nthrough %s\ndirect  %s", steps[i].send, through[i], direct[i])
					}
				}
			})
		}
	}
}

// TestAResetSessionKeepsWhatTheGatewayPins: what DISCARD ALL goes back to is what
// the gateway has asked for when it logged in.
func TestAResetSessionKeepsWhatTheGatewayPins(t *testing.T) {
	w := the(t)
	target := strings.Replace(w.target("pinned", "shop", "env: test"), "---", "limits: {statement: 7s}\n---", 1)
	g := startGateway(t, w, settings{documents: map[string]string{"issuers.yaml": issuers(w.idp.URL), "targets.yaml": target + credential + openPolicy}})
	for _, reset := range pooled {
		b := bareThrough(t, g, "pinned", w.token(t, reporter))
		var before, after string
		const pins = "SELECT current_setting('statement_timeout'), current_setting('client_encoding'), current_setting('standard_conforming_strings'), current_setting('search_path'), current_setting('sallyport.session')"
		b.send(mQuery(pins))
		before = b.until("Z")
		b.send(mQuery("SET statement_timeout = '1s'"))
		b.until("Z")
		b.send(mQuery(reset))
		if answer := b.until("Z"); strings.Contains(answer, "E(") {
			t.Errorf("%s: %s", reset, answer)
		}
		b.send(mQuery(pins))
		if after = b.until("Z"); after != before || !strings.Contains(after, `"7s"`) {
			t.Errorf("after %s\n%s\n%s", reset, before, after)
		}
		b.send(mQuery("SELECT pg_sleep(0)"), mQuery("SET statement_timeout = '8s'"))
		if answer := b.until("ZZ"); !strings.Contains(answer, "E(ERROR 42501)") {
			t.Errorf("a longer timeout is allowed after %s: %s", reset, answer)
		}
	}
}
