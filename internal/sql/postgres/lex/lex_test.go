package lex

import (
	"errors"
	"strings"
	"testing"
)

func scan(t testing.TB, sql string) *Tokens {
	t.Helper()
	var tokens Tokens
	if err := Scan(&tokens, sql, Limits{}); err != nil {
		t.Fatalf("Scan(%q): %v", sql, err)
	}
	return &tokens
}

func TestCanonicalTextHasOneSpellingPerToken(t *testing.T) {
	for _, c := range []struct{ sql, want string }{
		{"", ""},
		{" -- nothing\n /* at /* all */ */ ", ""},
		{"SELECT abalance FROM pgbench_accounts WHERE aid = 007;", "select abalance from pgbench_accounts where aid = 7;"},
		{"DELETE/**/FROM/*x*/t", "delete from t"},
		{`DELETE FROM"t"WHERE"q">0`, `delete from "t" where "q" > 0`},
		{"SELECT 1; -- n\rDELETE FROM t", "select 1; delete from t"},
		{"SELECT 5 */* ' */2; DELETE FROM t", "select 5 * 2; delete from t"},
		{`SELECT E'\''`, `select ''''`},
		{"SELECT E'a'\n'\\'/*'", "select 'a''/*'"},
		{"SELECT 'a' -- it's\n'b'", "select 'ab'"},
		{"SELECT 'a' 'b'", "select 'a' 'b'"},
		{"SELECT $é$it's$é$", "select 'it''s'"},
		{"SELECT $$a$b$$", "select 'a$b'"},
		{"SELECT $a$ $b$a$", "select ' $b'"},
		{"SELECT 1 AS a$x$; DELETE FROM t; --$x$", "select 1 as a$x$; delete from t;"},
		{`SELECT U&"t!0069ckets" UESCAPE '!'`, `select "tickets"`},
		{`DELETE FROM U&"order\005Fitems"`, `delete from "order_items"`},
		{`SELECT U&'d\0061t\+000061\\' , U&'\D83D\DE00'`, `select 'data\', '😀'`},
		{`SELECT U&'a''b!0027' /* x */ uescape E'!'`, `select 'a''b'''`},
		{`SELECT E'\u00e9\U0001F600\ud83d\ude00\x41\101\n'`, "select 'é😀😀AA\n'"},
		{`SELECT E'\xc3\xa9'`, "select 'é'"},
		{`SELECT '\'/* c */`, `select '\'`},
		{"SELECT N'x', n 'x', B'01'\n'1', x'fF'", "select nchar 'x', n 'x', B'011', X'fF'"},
		{"SELECT É, naïve(1)", `select "É", "naïve"(1)`},
		{"SELECT a!=b, a<>b, a<=b, a=>b, a:=b, 1..2, a[1:2]", "select a <> b, a <> b, a <= b, a => b, a := b, 1 .. 2, a[1 : 2]"},
		{"SELECT 1=-1, 2@-3, 4--5\n+-6", "select 1 = - 1, 2 @- 3, 4 + - 6"},
		{"SELECT count(*), a.b.*, .5, 1., 1.e5, 2147483648, f(a)::int[], (x).y, $01", "select count(*), a.b.*, .5, 1., 1.e5, 2147483648, f(a)::int[], (x).y, $1"},
		{"SELECT a . .5, 1 .x", "select a. .5, 1 .x"},
		{"select * from t where a in(1,2)and(b)", "select * from t where a in (1, 2) and (b)"},
		{"SELECT \"" + strings.Repeat("x", 62) + "é\"", "select \"" + strings.Repeat("x", 62) + "\""},
		{"SELECT " + strings.Repeat("X", 80), "select " + strings.Repeat("x", 63)},
	} {
		tokens := scan(t, c.sql)
		if got := tokens.Canonical(); got != c.want {
			t.Errorf("%q\n got %q\nwant %q", c.sql, got, c.want)
		}
		if again := scan(t, tokens.Canonical()).Canonical(); again != tokens.Canonical() {
			t.Errorf("%q: canonical of canonical is %q", c.sql, again)
		}
	}
}

func TestTextsThatServersReadDifferentlyOrNotAtAllAreRefused(t *testing.T) {
	for _, c := range []struct{ sql, code, message string }{
		{"SELECT 1\x00; DELETE", CodeEncoding, `invalid byte sequence for encoding "UTF8": 0x00`},
		{"SELECT '\xff'", CodeEncoding, `invalid byte sequence for encoding "UTF8": 0xff`},
		{`SELECT E'\000'`, CodeEncoding, `invalid byte sequence for encoding "UTF8": 0x00`},
		{`SELECT E'\xc3'`, CodeEncoding, `invalid byte sequence for encoding "UTF8": 0xc3`},
		{"SELECT 0x1F", CodeSyntax, `trailing junk after numeric literal at or near "0x1F"`},
		{"SELECT 0b1", CodeSyntax, `trailing junk after numeric literal at or near "0b1"`},
		{"SELECT 1_000", CodeSyntax, `trailing junk after numeric literal at or near "1_000"`},
		{"SELECT 1abc", CodeSyntax, `trailing junk after numeric literal at or near "1abc"`},
		{"SELECT 1e", CodeSyntax, `trailing junk after numeric literal at or near "1e"`},
		{"SELECT 1e+", CodeSyntax, `trailing junk after numeric literal at or near "1e"`},
		{"SELECT $1abc", CodeSyntax, `trailing junk after parameter at or near "$1abc"`},
		{"SELECT $4294967297", CodeSyntax, `parameter number too large at or near "$4294967297"`},
		{"SELECT\v1", CodeNotSupported, "a vertical tab between tokens is not accepted: " + differentOnServer},
		{`SELECT E'\v'`, CodeEscape, `the escape \v is not accepted: ` + differentOnServer},
		{"SELECT 'abc", CodeSyntax, `unterminated quoted string at or near "'abc"`},
		{`SELECT "abc`, CodeSyntax, `unterminated quoted identifier at or near ""abc"`},
		{`SELECT ""`, CodeSyntax, `zero-length delimited identifier at or near """"`},
		{"SELECT $a$abc", CodeSyntax, `unterminated dollar-quoted string at or near "$a$abc"`},
		{"SELECT /* abc", CodeSyntax, `unterminated /* comment at or near "/* abc"`},
		{"SELECT b'2'", CodeRepresented, `"2" is not a valid binary digit`},
		{"SELECT (1", CodeSyntax, "syntax error at end of input"},
		{"SELECT 1)", CodeSyntax, `syntax error at or near ")"`},
		{"SELECT (1]", CodeSyntax, `syntax error at or near "]"`},
		{"SELECT {", CodeSyntax, `syntax error at or near "{"`},
		{`SELECT E'\u12'`, CodeEscape, "invalid Unicode escape"},
		{`SELECT E'\ud83d'`, CodeSyntax, `invalid Unicode surrogate pair at or near "\ud83d"`},
		{`SELECT U&'\0000'`, CodeSyntax, `invalid Unicode escape value at or near "U&'\0000'"`},
		{`SELECT U&'a' UESCAPE '+'`, CodeSyntax, `invalid Unicode escape character at or near "'+'"`},
		{`SELECT U&'a' UESCAPE x`, CodeSyntax, `UESCAPE must be followed by a simple string literal at or near "x"`},
		{"SELECT 1 " + strings.Repeat("@", 64) + " 2", CodeSyntax, `operator too long at or near "` + strings.Repeat("@", 64) + `"`},
	} {
		var tokens Tokens
		err := Scan(&tokens, c.sql, Limits{})
		var e *Error
		if !errors.As(err, &e) {
			t.Errorf("%q was accepted as %q", c.sql, tokens.Canonical())
			continue
		}
		if e.Code != c.code || e.Message != c.message {
			t.Errorf("%q\n got %s %s\nwant %s %s", c.sql, e.Code, e.Message, c.code, c.message)
		}
		if tokens.Len() != 0 {
			t.Errorf("%q: %d tokens after an error", c.sql, tokens.Len())
		}
	}
}
