package lex

import (
	"strings"
	"testing"
)

const (
	selectOnly = "SELECT abalance FROM pgbench_accounts WHERE aid = 4711021;"
	update     = "UPDATE pgbench_accounts SET abalance = abalance + -2113 WHERE aid = 4711021;"
	medium     = `SELECT o.id, o.created_at, c.name, sum(i.quantity * i.unit_price) AS total
FROM orders o JOIN customers c ON c.id = o.customer_id LEFT JOIN order_items i ON i.order_id = o.id
WHERE o.status IN ('paid', 'shipped') AND o.created_at >= '2026-01-01' AND c.country = 'DE'
GROUP BY o.id, o.created_at, c.name HAVING sum(i.quantity) > 10 ORDER BY total DESC LIMIT 50`
)

func BenchmarkScanAndShape(b *testing.B) {
	for name, sql := range map[string]string{"select-only": selectOnly, "update": update, "medium": medium} {
		b.Run(name, func(b *testing.B) {
			var tokens Tokens
			var shape []byte
			b.ReportAllocs()
			b.SetBytes(int64(len(sql)))
			for b.Loop() {
				if err := Scan(&tokens, sql, Limits{}); err != nil {
					b.Fatal(err)
				}
				shape = tokens.AppendShape(shape[:0])
			}
		})
	}
}

func BenchmarkTemplateAppend(b *testing.B) {
	var tokens Tokens
	if err := Scan(&tokens, selectOnly, Limits{}); err != nil {
		b.Fatal(err)
	}
	template, err := NewTemplate(&tokens, []Edit{{From: 3, To: 4, Pieces: []Piece{Text("(SELECT aid, 0 AS abalance FROM"), Span(3, 4), Text(")")}}})
	if err != nil {
		b.Fatal(err)
	}
	var out []byte
	b.ReportAllocs()
	for b.Loop() {
		if out, err = template.Append(out[:0], &tokens); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkScanLarge(b *testing.B) {
	for name, sql := range map[string]string{
		"30,000 values": "SELECT * FROM t WHERE id IN (" + strings.Repeat("1234567, ", 30_000) + "1)",
		"8 MiB string":  "SELECT '" + strings.Repeat("abcdefgh", 1<<20) + "'",
	} {
		b.Run(name, func(b *testing.B) {
			var tokens Tokens
			b.ReportAllocs()
			b.SetBytes(int64(len(sql)))
			for b.Loop() {
				if err := Scan(&tokens, sql, Limits{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func TestScanningAgainAllocatesNothing(t *testing.T) {
	var tokens Tokens
	var shape, out []byte
	first := scan(t, update)
	template, err := NewTemplate(first, nil)
	if err != nil {
		t.Fatal(err)
	}
	run := func() {
		if err := Scan(&tokens, update, Limits{}); err != nil {
			t.Fatal(err)
		}
		shape = tokens.AppendShape(shape[:0])
		out, _ = template.Append(out[:0], &tokens)
	}
	run()
	if n := testing.AllocsPerRun(100, run); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
