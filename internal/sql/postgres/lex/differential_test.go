//go:build cgo

package lex

import (
	"bufio"
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	pg_query "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// nasty are texts in which scanners go wrong, whole and in pieces.
var nasty = []string{
	"SELECT 5 */* ' */2; DELETE FROM t", "SELECT E'a'\n'\\'/*'", "SELECT 'a' -- it's\n'b'", "SELECT 1 AS a$x$; DELETE FROM t; --$x$",
	"SELECT 1; -- n\rDELETE FROM t", "/* /* */ ; */ SELECT 1", "SELECT $é$ $e$ $é$", "SELECT U&'d\\0061t' UESCAPE '!'", "U&\"a!0062\" uescape '!'",
	"SELECT 1.5.3, 1..2, 1...5, t.1, .5e-3, 1.e+5", "SELECT -2147483648, 2147483648, 9223372036854775808, 00012345678901234567890, 007",
	"SELECT a@-b, a=-b, a<>-b, a!=-b, a+-b, a@--b\n, a/*c*/b", "SELECT N'a'\n'b', n'', b'0'\n'1', x'aF'", "SELECT 'a'\n\n -- c\r\n'b', 'c'",
	"SELECT E'\\u00e9\\U0001F600\\ud83d\\ude00\\x41\\101\\'\\\\'", "SELECT É, \"É\", é$1, _a, a$", "SELECT a::b::c, (a).b.*, a[1:2], a[:], $1.x, $01",
	"SELECT f(a => 1, b := 2), x'1'::int, a ~~ b, a ? b, a ?| b, a ->> 'x', a #>> b", "SELECT \"a\"\"b\", U&\"a\"\"b\", '''', $$'$$, $a$$$a$",
	"SELECT " + strings.Repeat("É", 40) + ", \"" + strings.Repeat("\"\"é", 30) + "\"", "SELECT U&\"" + strings.Repeat("\\00e9", 40) + "\"",
	"CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT 2; END; SELECT 3", "SELECT a IS NOT NULL AND b NOT IN (1,2) OR NOT c BETWEEN 1 AND 2",
	"SELECT 'a' 'b'", "SELECT e 'a', x 'a', u & 'a', U& 'a'", "SELECT 1 UESCAPE 'x'", "SELECT U&'a' /* c */ -- d\n UESCAPE /* e */ E'!'", "SELECT a<>b,a<=b,a>=b,a=>b,a:=b",
}

// pieces are glued together in every order by the tests of adjacency.
var pieces = []string{
	"a", "B", "e", "E", "x", "n", "u", "U&", "u&", "select", "uescape", "é", "_", "1", "0", "1.", ".5", "1e5", "1.5e-3", "2147483648", "$1", "$", "$$", "$a$",
	"'", "''", "'a'", "'a\\'", "E'\\''", "\"", "\"a\"", "\"\"", "U&\"a\"", "U&'\\0041'", "'!'", "b'1'", "x'f'", "n'a'", "+", "-", "*", "/", "%", "^", "<", ">", "=", "!", "@", "#", "&", "|", "`", "?", "~",
	"::", ":", ":=", "=>", "..", ".", ",", ";", "(", ")", "[", "]", "--", "/*", "*/", "\n", "\r", " ", "\t", "\f", "\\", "\\n", "-- c\n", "/* c */", "not", "and", "null",
}

var kindOf = map[pg_query.Token]Kind{
	pg_query.Token_SCONST: String, pg_query.Token_USCONST: String, pg_query.Token_BCONST: BitString, pg_query.Token_XCONST: HexString,
	pg_query.Token_ICONST: Integer, pg_query.Token_FCONST: Float, pg_query.Token_PARAM: Param, pg_query.Token_Op: Op, pg_query.Token_TYPECAST: TypeCast,
	pg_query.Token_DOT_DOT: DotDot, pg_query.Token_COLON_EQUALS: ColonEquals, pg_query.Token_EQUALS_GREATER: EqualsGreater,
	pg_query.Token_LESS_EQUALS: LessEquals, pg_query.Token_GREATER_EQUALS: GreaterEquals, pg_query.Token_NOT_EQUALS: NotEquals,
	pg_query.Token_ASCII_37: Percent, pg_query.Token_ASCII_40: LeftParen, pg_query.Token_ASCII_41: RightParen, pg_query.Token_ASCII_42: Star,
	pg_query.Token_ASCII_43: Plus, pg_query.Token_ASCII_44: Comma, pg_query.Token_ASCII_45: Minus, pg_query.Token_ASCII_46: Dot, pg_query.Token_ASCII_47: Slash,
	pg_query.Token_ASCII_58: Colon, pg_query.Token_ASCII_59: Semicolon, pg_query.Token_ASCII_60: Less, pg_query.Token_ASCII_61: Equal,
	pg_query.Token_ASCII_62: Greater, pg_query.Token_ASCII_91: LeftBracket, pg_query.Token_ASCII_93: RightBracket, pg_query.Token_ASCII_94: Caret,
	pg_query.Token_UIDENT: QuotedIdent,
}

// sameKind compares a token of ours with one of libpg_query.
func sameKind(ours Kind, theirs *pg_query.ScanToken) bool {
	switch {
	case ours == BigInteger:
		ours = Float
	case ours == Word || ours == QuotedIdent:
		return theirs.KeywordKind != pg_query.KeywordKind_NO_KEYWORD && ours == Word ||
			theirs.Token == pg_query.Token_IDENT || theirs.Token == pg_query.Token_UIDENT
	}
	return kindOf[theirs.Token] == ours
}

// reference scans with libpg_query, without the comments.
func reference(sql string) ([]*pg_query.ScanToken, error) {
	result, err := pg_query.Scan(sql)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(result.Tokens, func(t *pg_query.ScanToken) bool {
		return t.Token == pg_query.Token_SQL_COMMENT || t.Token == pg_query.Token_C_COMMENT
	}), nil
}

// checkTokens compares what was scanned with what libpg_query scans, in the
// source and in the canonical text. merged says that a constant of ours is
// several tokens to libpg_query: one with a UESCAPE clause, or one with a comment
// between its lines, which libpg_query does not know.
func checkTokens(t testing.TB, sql string, tokens *Tokens) (merged bool) {
	t.Helper()
	theirs, err := reference(sql)
	if err != nil {
		t.Fatalf("%q: accepted as %q, but libpg_query says %v", sql, tokens.Canonical(), err)
	}
	for i := range tokens.Len() {
		tok := tokens.At(i)
		if len(theirs) == 0 || theirs[0].Start != tok.Start || !sameKind(tok.Kind, theirs[0]) {
			t.Fatalf("%q: token %d is %s at %d, libpg_query has %v", sql, i, tok.Kind, tok.Start, theirs)
		}
		for theirs[0].End < tok.End && len(theirs) > 1 && (tok.Kind == QuotedIdent || tok.Kind.Literal()) {
			merged = true
			theirs = theirs[1:]
		}
		if theirs[0].End != tok.End {
			t.Fatalf("%q: token %d (%s) ends at %d, libpg_query has %v", sql, i, tok.Kind, tok.End, theirs[0])
		}
		theirs = theirs[1:]
	}
	if len(theirs) != 0 {
		t.Fatalf("%q: libpg_query has more: %v", sql, theirs)
	}
	canonical := tokens.Canonical()
	theirs, err = reference(canonical)
	if err != nil || len(theirs) != tokens.Len() {
		t.Fatalf("%q: canonical %q has %d tokens, libpg_query %d, %v", sql, canonical, tokens.Len(), len(theirs), err)
	}
	for i, their := range theirs {
		if tok := tokens.At(i); their.Start != tok.CanonStart || their.End != tok.CanonEnd || !sameKind(tok.Kind, their) {
			t.Fatalf("%q: canonical %q: token %d is %v, libpg_query has %v", sql, canonical, i, tok, their)
		}
	}
	return merged
}

// checkIdempotent scans the canonical text again.
func checkIdempotent(t testing.TB, sql string, tokens *Tokens) {
	t.Helper()
	var again Tokens
	canonical := tokens.Canonical()
	if err := Scan(&again, canonical, Limits{Bytes: 1 << 28}); err != nil {
		t.Fatalf("%q: canonical %q: %v", sql, canonical, err)
	}
	if again.Canonical() != canonical || !bytes.Equal(again.AppendShape(nil), tokens.AppendShape(nil)) {
		t.Fatalf("%q: canonical %q becomes %q", sql, canonical, again.Canonical())
	}
	for i := range again.Len() {
		a, b := again.At(i), tokens.At(i)
		if a.Kind != b.Kind || a.CanonStart != b.CanonStart || a.CanonEnd != b.CanonEnd || a.Start != a.CanonStart || a.End != a.CanonEnd {
			t.Fatalf("%q: token %d becomes %v", sql, i, a)
		}
	}
}

// checkTree compares the parse trees of the source and of the canonical text.
func checkTree(t testing.TB, sql string, tokens *Tokens, merged bool) {
	t.Helper()
	want, errWant := pg_query.Parse(sql)
	got, errGot := pg_query.Parse(tokens.Canonical())
	switch {
	case errWant != nil && errGot != nil:
		return
	case errWant != nil && merged:
		return // libpg_query reads the canonical text better
	case errWant != nil || errGot != nil:
		t.Fatalf("%q: %v; canonical %q: %v", sql, errWant, tokens.Canonical(), errGot)
	}
	forget(want.ProtoReflect())
	forget(got.ProtoReflect())
	if !proto.Equal(want, got) {
		t.Fatalf("%q: the tree of canonical %q differs\n%v\n%v", sql, tokens.Canonical(), want, got)
	}
}

// forget clears the locations in a tree, and the zeros in front of big numbers,
// which mean nothing.
func forget(m protoreflect.Message) {
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		name := string(f.Name())
		switch {
		case strings.HasSuffix(name, "location") || name == "stmt_len":
			m.Clear(f)
		case name == "fval" && f.Kind() == protoreflect.StringKind && !strings.ContainsAny(v.String(), ".eE"):
			m.Set(f, protoreflect.ValueOfString(strings.TrimLeft(v.String(), "0")))
		case f.IsList() && f.Message() != nil:
			for i := range v.List().Len() {
				forget(v.List().Get(i).Message())
			}
		case !f.IsList() && f.Message() != nil:
			forget(v.Message())
		}
		return true
	})
}

func check(t testing.TB, sql string) bool {
	t.Helper()
	var tokens Tokens
	if err := Scan(&tokens, sql, Limits{}); err != nil {
		return false
	}
	merged := checkTokens(t, sql, &tokens)
	checkIdempotent(t, sql, &tokens)
	checkTree(t, sql, &tokens, merged)
	template, err := NewTemplate(&tokens, nil)
	if err != nil {
		t.Fatal(err)
	}
	if out, err := template.Append(nil, &tokens); err != nil || string(out) != tokens.Canonical() {
		t.Fatalf("%q: the empty template gives %q, %v", sql, out, err)
	}
	return true
}

// corpus are the statements of the attack corpus.
func corpus(t testing.TB) []string {
	t.Helper()
	f, err := os.Open("testdata/corpus.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var all []string
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var sql string
		if err := json.Unmarshal(lines.Bytes(), &sql); err != nil {
			t.Fatal(err)
		}
		all = append(all, sql)
	}
	return all
}

func TestTheCorpusIsScannedAsLibpgQueryDoes(t *testing.T) {
	all := append(corpus(t), nasty...)
	accepted := 0
	for _, sql := range all {
		if check(t, sql) {
			accepted++
		} else {
			t.Logf("refused: %q", sql)
		}
	}
	if len(all) < 200 || accepted < len(all)-8 {
		t.Errorf("only %d of %d were accepted", accepted, len(all))
	}
}

func TestAdjacentTokensAreScannedAsLibpgQueryDoes(t *testing.T) {
	accepted := 0
	for _, a := range pieces {
		for _, b := range pieces {
			if check(t, a+b) {
				accepted++
			}
		}
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 30_000 {
		var sql strings.Builder
		for range 2 + random.IntN(9) {
			sql.WriteString(pieces[random.IntN(len(pieces))])
		}
		if check(t, sql.String()) {
			accepted++
		}
	}
	t.Logf("%d accepted", accepted)
}

func FuzzScanAgreesWithLibpgQuery(f *testing.F) {
	for _, sql := range append(corpus(f), nasty...) {
		f.Add(sql)
	}
	f.Fuzz(func(t *testing.T, sql string) {
		if len(sql) > 4096 {
			return
		}
		check(t, sql)
	})
}
