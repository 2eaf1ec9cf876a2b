//go:build cgo && linux

package parse

import (
	"errors"
	"strings"
	"testing"

	"github.com/sallyport-gateway/sallyport/internal/sql/postgres/lex"
)

// The guard of package lex is right if whatever it lets through can be parsed
// without the loss of a worker. This test goes to its limits.
func TestWhatTheGuardLetsThroughDoesNotHurtAWorker(t *testing.T) {
	p := newPool(t, Config{Workers: 1, Deadline: 20e9})
	rep := strings.Repeat
	for name, text := range map[string]func(n int) string{
		"terms":       func(n int) string { return "select 1" + rep(" + 1", n) },
		"casts":       func(n int) string { return "select 1" + rep("::int", n) },
		"unions":      func(n int) string { return "select 1" + rep(" union select 1", n) },
		"joins":       func(n int) string { return "select 1 from t" + rep(" cross join t", n) },
		"nots":        func(n int) string { return "select " + rep("not ", n) + "true" },
		"betweens":    func(n int) string { return "select " + rep("a between 1 and not ", n) + "true" },
		"sub-selects": func(n int) string { return "select " + rep("(select ", n) + "1" + rep(")", n) },
		"froms":       func(n int) string { return "select 1 from " + rep("(select 1 from ", n) + "t" + rep(") x", n) },
		"withs":       func(n int) string { return rep("with a as (", n) + "select 1" + rep(") select 1", n) },
		"ins":         func(n int) string { return "select " + rep("a in (select ", n) + "1" + rep(")", n) },
		"arrays":      func(n int) string { return "select array" + rep("[", n) + "1" + rep("]", n) },
		"calls":       func(n int) string { return "select " + rep("f(", n) + "1" + rep(")", n) },
		"cases":       func(n int) string { return "select " + rep("case when true then ", n) + "1" + rep(" end", n) },
		"mixed": func(n int) string {
			return "select " + rep("(select case when 1 + 2 = ", n) + "1" + rep(" then 1 end)", n)
		},
		"atomics":    func(n int) string { return rep("create function f() returns int begin atomic ", n) + rep("end;", n) },
		"ands":       func(n int) string { return "select a" + rep(" and a = 1", 10*n) },
		"subscripts": func(n int) string { return "select a" + rep("[1]", 10*n) },
	} {
		// The largest that the guard accepts.
		lo, hi := 1, 20_000
		var tokens lex.Tokens
		for hi-lo > 1 {
			mid := (lo + hi) / 2
			if lex.Scan(&tokens, text(mid), lex.Limits{}) == nil {
				lo = mid
			} else {
				hi = mid
			}
		}
		if err := lex.Scan(&tokens, text(lo), lex.Limits{}); err != nil {
			t.Fatal(err)
		}
		_, err := p.Parse(t.Context(), tokens.Canonical())
		var e *Error
		if errors.As(err, &e) && e.Err != nil {
			t.Errorf("%s: %d are let through: %v", name, lo, err)
		}
		t.Logf("%s: %d, %v", name, lo, err)
	}
	if s := p.Stats(); s.Crashed != 0 || s.TimedOut != 0 {
		t.Errorf("%+v", s)
	}
}
