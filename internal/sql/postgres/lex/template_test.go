package lex

import (
	"errors"
	"strings"
	"testing"
)

func TestTemplateRendersEditsWithTheLiteralsOfAnotherText(t *testing.T) {
	first := scan(t, "SELECT a.email, 1 FROM customers AS a WHERE a.email = 'x' AND id IN (SELECT 5 FROM customers)")
	// select a . email , 1 from customers as a where a . email = 'x' and id in ( select 5 from customers )
	// 0      1 2 3     4 5 6    7         8  9 10    11 12 13  14 15 16  17 18 19 20    21 22   23        24
	template, err := NewTemplate(first, []Edit{
		{From: 19, To: 25, Pieces: []Piece{Text("(/* wrapped */"), Span(19, 25), Text(")")}},
		{From: 7, To: 8, Pieces: []Piece{Text("(SELECT id, 'm' AS email FROM"), Span(7, 8), Text(")")}},
		{From: 23, To: 24, Pieces: []Piece{Text("masked")}},
		{From: 0, To: 0, Pieces: []Piece{Text("EXPLAIN")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	second := scan(t, "select /* é */ a.email,22 from customers as a where a.email='o''x' and id in (select 7 from customers)")
	got, err := template.Append(nil, second)
	if err != nil {
		t.Fatal(err)
	}
	want := "EXPLAIN select a.email, 22 from (SELECT id, 'm' AS email FROM customers ) as a where a.email = 'o''x' and id in (/* wrapped */ (select 7 from masked ) )"
	if string(got) != want {
		t.Fatalf("\n got %s\nwant %s", got, want)
	}
	for _, c := range []struct {
		at   string
		want int
	}{{"EXPLAIN", 0}, {"select a", 1}, {"22", 24}, {"customers )", 32}, {"'o''x'", 61}, {"masked", 0}} {
		if p := template.SourcePosition(second, strings.Index(want, c.at)+1); p != c.want {
			t.Errorf("position of %q is %d, want %d", c.at, p, c.want)
		}
	}
	for _, other := range []string{"select 1", "select 1, 2, 3", ""} {
		if _, err := template.Append(nil, scan(t, other)); !errors.Is(err, ErrShape) {
			t.Errorf("%q: %v", other, err)
		}
	}
}

func TestOverlappingOrForeignEditsAreRefused(t *testing.T) {
	tokens := scan(t, "select a, b, c from t")
	for _, edits := range [][]Edit{
		{{From: -1, To: 1}}, {{From: 2, To: 1}}, {{From: 0, To: 99}},
		{{From: 0, To: 3}, {From: 2, To: 4}},
		{{From: 0, To: 3}, {From: 0, To: 3}},
		{{From: 0, To: 3, Pieces: []Piece{Span(0, 4)}}},
		{{From: 2, To: 3, Pieces: []Piece{Span(1, 3)}}},
	} {
		if _, err := NewTemplate(tokens, edits); err == nil {
			t.Errorf("%v was accepted", edits)
		}
	}
}

func TestATemplateWithoutEditsIsTheCanonicalText(t *testing.T) {
	for _, sql := range []string{"", "select 1", "select f(a)::int, 'x', (1.5), $1 from \"T\"; delete from t", "5", "'a'::text"} {
		tokens := scan(t, sql)
		template, err := NewTemplate(tokens, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := template.Append(nil, tokens); err != nil || string(got) != tokens.Canonical() {
			t.Errorf("%q: %q, %v", sql, got, err)
		}
	}
}
