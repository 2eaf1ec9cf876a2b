package slice_test

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestDecisionsOfAPolicy(t *testing.T) {
	w := the(t)
	low, high, untiered := "mobile-agent", support, "untiered-agent"
	for _, c := range []struct{ name, agent, sql, rule, text string }{
		{"a schema change is blocked", low, "DROP TABLE orders", "shop/no-destructive-ddl", "migrations"},
		{"a schema change in other words is blocked", low, "/* read */ alter table ONLY public.orders add column x int", "shop/no-destructive-ddl", "migrations"},
		{"a new index is a schema change", low, "CREATE INDEX ON orders (status)", "shop/no-destructive-ddl", "migrations"},
		{"a write without WHERE is blocked", low, "DELETE FROM ledger", "shop/no-unbounded-writes", "Say which rows"},
		{"a write with WHERE true is blocked", low, "UPDATE scratch SET t = 'x' WHERE 1 = 1", "shop/no-unbounded-writes", "Say which rows"},
		{"TRUNCATE is blocked", low, "TRUNCATE scratch", "", "blocked"},
		{"a write of a high-risk agent is blocked, not held", high, "UPDATE orders SET status = 'paid' WHERE id = 60", "", "no rule allows"},
		{"a write inside WITH is seen", high, "WITH x AS (UPDATE orders SET status = 'paid' WHERE id = 60 RETURNING 1) SELECT * FROM x", "", "no rule allows"},
		{"EXPLAIN ANALYZE of a write is a write", high, "EXPLAIN ANALYZE UPDATE orders SET status = 'paid' WHERE id = 60", "", "no rule allows"},
		{"an agent without the attribute is blocked", untiered, "UPDATE orders SET status = 'paid' WHERE id = 60", "shop/writes-need-a-person", "risk_tier"},
		{"what no rule allows is blocked", low, "INSERT INTO hostile VALUES (9, 'x')", "", "no rule allows"},
		{"a server's file is blocked", low, "COPY ledger (entry) FROM '/etc/passwd'", "", "blocked"},
		{"a program is blocked", low, "COPY ledger TO PROGRAM 'cat'", "", "blocked"},
		{"a function that nobody reviewed is blocked", low, "SELECT pg_terminate_backend(1)", "", "blocked"},
		{"DO is blocked", low, "DO $$ BEGIN DELETE FROM orders; END $$", "", "blocked"},
		{"another role is blocked", low, "SET ROLE postgres", "", "blocked"},
		{"another search_path is blocked", low, "SET search_path = pg_temp, public", "", "blocked"},
		{"another encoding is blocked", low, "SET client_encoding = 'SQL_ASCII'", "", "blocked"},
		{"LOAD is blocked", low, "LOAD 'x'", "", "blocked"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := w.gw.connect(t, "shop", w.token(t, c.agent))
			e := a.refused(t, c.sql, "42501", c.text)
			if c.rule != "" && !strings.Contains(e.Detail, "rule="+c.rule) || !strings.HasPrefix(e.Detail, "SALLYPORT blocked ") {
				t.Errorf("detail %q, want rule %s", e.Detail, c.rule)
			}
			a.alive(t)
		})
	}
	t.Run("what is allowed runs", func(t *testing.T) {
		a := w.gw.connect(t, "shop", w.token(t, high))
		a.want(t, "SELECT status FROM orders WHERE id = 60", "new")
		a.want(t, "INSERT INTO ledger (entry) VALUES ('allowed') RETURNING entry", "allowed")
		a.want(t, "EXPLAIN (COSTS OFF) UPDATE orders SET status = 'x' WHERE id = 1 AND false", "Update on orders", "  ->  Result", "        One-Time Filter: false")
	})
}

func TestMasksOfSeveralRulesCombineToTheStricter(t *testing.T) {
	w := the(t)
	const read = "SELECT c.email, c.ssn IS NULL, p.card_number FROM customers c JOIN payments p ON p.customer = c.id WHERE c.id = 1"
	rows, err := w.gw.connect(t, "shop", w.token(t, "mobile-agent")).run(read)
	if err != nil || len(rows) != 1 || rows[0][0] != "[redacted]" || rows[0][1] != "t" || !strings.HasSuffix(rows[0][2], "1111") || strings.Contains(rows[0][2], "4111") {
		t.Errorf("one rule: %q %s", rows, describe(err))
	}
	// Both rules allow the reporter: card is last4 and digits, so it is redacted;
	// ssn is null and plain, so it is null.
	rows, err = w.gw.connect(t, "shop", w.token(t, reporter)).run(read)
	if err != nil || len(rows) != 1 || rows[0][0] != "[redacted]" || rows[0][1] != "t" || rows[0][2] != "[redacted]" {
		t.Errorf("two rules: %q %s", rows, describe(err))
	}
}

func TestPolicyTestAndExplain(t *testing.T) {
	w := the(t)
	g := configGateway(t, w)
	config := filepath.Join(g.dir, "sallyport.yaml")
	g.start(t)
	if out := g.must(t, "", "policy", "test", "--config", config, "--catalog", "shop"); !strings.Contains(out, "3 cases passed") {
		t.Errorf("policy test:\n%s", out)
	}
	explain := func(args ...string) string {
		return g.must(t, "", append([]string{"policy", "explain", "--config", config, "--target", "shop"}, args...)...)
	}
	const update = "UPDATE orders SET status = 'paid' WHERE id = 7"
	for _, c := range []struct {
		args []string
		want []string
	}{
		{[]string{"--attribute", "risk_tier=low", "--attribute", "purpose=x", update}, []string{"hold", "writes-need-a-person"}},
		{[]string{"--attribute", "risk_tier=high", "--attribute", "purpose=x", update}, []string{"block"}},
		{[]string{"--attribute", "purpose=reporting", "SELECT email FROM customers"}, []string{"allow", "reads", "redact"}},
		{[]string{"--attribute", "risk_tier=low", "DROP TABLE orders"}, []string{"block", "no-destructive-ddl"}},
	} {
		out := explain(c.args...)
		for _, want := range c.want {
			if !strings.Contains(strings.ToLower(out), want) {
				t.Errorf("policy explain %q lacks %q:\n%s", c.args, want, out)
			}
		}
	}
	if status(t, w, 7) == "explained" {
		t.Error("explain ran the statement")
	}
	g.write(t, "documents/shop.yaml", strings.Replace(shopPolicy, "expect: allow", "expect: block", 1))
	if failed := g.cli(t, "", "policy", "test", "--config", config, "--catalog", "shop"); failed.code != 1 || !strings.Contains(failed.out, "FAIL") {
		t.Errorf("policy test with a wrong case: exit %d\n%s%s", failed.code, failed.out, failed.err)
	}
}

func TestRefusedTextsNeverReachTheTarget(t *testing.T) {
	w := the(t)
	for name, steps := range map[string][]step{
		"query":    {send("Z", mQuery("DROP TABLE never_reaches_query"))},
		"parse":    {send("Z", mParse("s", "DROP TABLE never_reaches_parse"), mSync())},
		"pipeline": {send("Z", mAll("SELECT 'reaches_the_log'"), mAll("DROP TABLE never_reaches_pipeline"), mSync())},
		"block":    {send("Z", mQuery("BEGIN")), send("Z", mQuery("DROP TABLE never_reaches_block")), send("Z", mQuery("ROLLBACK"))},
		"prepare":  {send("Z", mQuery("PREPARE x AS DELETE FROM orders WHERE status = 'never_reaches_prepare'")), send("Z", mQuery("EXECUTE x"))},
		"nonsense": {send("Z", mQuery("never_reaches_nonsense")), send("Z", mAll("never_reaches_nonsense"), mSync())},
	} {
		for _, answer := range converse(bareThrough(t, w.gw, "shop", w.token(t, support)), steps) {
			if name != "block" && name != "pipeline" && !strings.Contains(answer, "E(ERROR ") {
				t.Errorf("%s: %s", name, answer)
			}
		}
	}
	log, err := w.pg.Log()
	if err != nil || !strings.Contains(log, "reaches_the_log") {
		t.Fatalf("the target's log lacks what reached it: %v", err)
	}
	if i := strings.Index(log, "never_reaches"); i >= 0 {
		t.Errorf("the target saw a refused text: …%.200s…", log[max(0, i-50):])
	}
}
