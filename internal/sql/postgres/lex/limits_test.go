package lex

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestHostileTextsAreRefusedQuickly(t *testing.T) {
	rep := strings.Repeat
	for name, sql := range map[string]string{
		"100,000 terms":        "SELECT 1" + rep("+1", 100_000),
		"20,000 brackets":      "SELECT " + rep("(", 20_000) + "1" + rep(")", 20_000),
		"NOT chain":            "SELECT " + rep("NOT ", 20_000) + "true",
		"cast chain":           "SELECT 1" + rep("::int", 20_000),
		"minus chain":          "SELECT " + rep("- ", 20_000) + "1",
		"concatenation":        "SELECT 'a'" + rep("||'a'", 20_000),
		"UNION chain":          "SELECT 1, 2" + rep(" UNION SELECT 1, 2", 20_000),
		"JOIN chain":           "SELECT 1 FROM t" + rep(" JOIN t USING (a)", 20_000),
		"CASE nesting":         "SELECT " + rep("CASE WHEN a THEN ", 20_000) + "1" + rep(" END", 20_000),
		"COLLATE chain":        "SELECT a" + rep(" COLLATE c", 20_000),
		"AT TIME ZONE chain":   "SELECT a" + rep(" AT TIME ZONE b", 20_000),
		"array nesting":        "SELECT ARRAY" + rep("[", 20_000) + rep("]", 20_000),
		"sub-selects":          "SELECT " + rep("(SELECT ", 20_000) + "1" + rep(")", 20_000),
		"WITH nesting":         rep("WITH a AS (", 20_000) + "SELECT 1" + rep(") SELECT 1", 20_000),
		"chains in brackets":   "SELECT " + rep("("+rep("1+", 300), 10) + "1" + rep(")", 10),
		"chains after":         "SELECT " + rep("(", 10) + "1" + rep(rep("+1", 300)+")", 10),
		"half open":            rep("(1+", 20_000),
		"too many statements":  rep("SELECT 1;", 20_000),
		"too many tokens":      "SELECT 1" + rep(",1", MaxTokens),
		"too long":             "SELECT '" + rep("a", MaxBytes) + "'",
		"a long text in depth": "SELECT '" + rep("a", 8<<20) + "'" + rep("||'a'", 500),
	} {
		var tokens Tokens
		start := time.Now()
		err := Scan(&tokens, sql, Limits{})
		var e *Error
		if !errors.As(err, &e) || e.Code != CodeComplex && e.Code != CodeLimit {
			t.Errorf("%s: %v", name, err)
		}
		// A guard against a scan that is not linear, with room for a busy machine.
		if d := time.Since(start); d > time.Minute {
			t.Errorf("%s took %v", name, d)
		}
	}
}

func TestLargeHonestTextsAreAccepted(t *testing.T) {
	rep := strings.Repeat
	for name, sql := range map[string]string{
		"30,000 values":      "SELECT * FROM t WHERE id IN (1" + rep(", 1", 30_000) + ")",
		"30,000 rows":        "INSERT INTO t VALUES (1, 'a', -1.5, now())" + rep(", (1, 'a', -1.5, now() - 1)", 30_000),
		"10,000 conditions":  "SELECT 1 FROM t WHERE a = 1" + rep(" OR a = 1 AND b + 1 > 2", 10_000),
		"10,000 cases":       "UPDATE t SET a = CASE" + rep(" WHEN id = 1 THEN a + 1", 10_000) + " END",
		"500 terms":          "SELECT a" + rep(" + a", 500),
		"300 brackets":       "SELECT " + rep("(", 300) + "1" + rep(")", 300),
		"100 joins":          "SELECT 1 FROM t" + rep(" JOIN u ON t.a = u.a AND t.b > u.b + 1", 100),
		"100 unions":         "SELECT 1, 2" + rep(" UNION ALL SELECT 1, a + 2 FROM t", 100),
		"1,000 statements":   rep("INSERT INTO t VALUES (1 + 2);", 1000),
		"a function's body":  "CREATE FUNCTION f() RETURNS int AS $$" + rep("((((x + 1;", 10_000) + "$$ LANGUAGE plpgsql",
		"15 MiB in a string": "INSERT INTO t VALUES ('" + rep("a", 15<<20) + "')",
	} {
		var tokens Tokens
		if err := Scan(&tokens, sql, Limits{}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
