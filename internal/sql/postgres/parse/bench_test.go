//go:build cgo && linux

package parse

import (
	"context"
	"testing"
	"time"

	pg_query "github.com/pganalyze/pg_query_go/v6"
)

var benchTexts = map[string]string{
	"short": "select abalance from pgbench_accounts where aid = 4711021;",
	"medium": "select o.id, o.created_at, c.name, sum(i.quantity * i.unit_price) as total from orders o join customers c on c.id = o.customer_id " +
		"left join order_items i on i.order_id = o.id where o.status in ('paid', 'shipped') and o.created_at >= '2026-01-01' and c.country = 'DE' " +
		"group by o.id, o.created_at, c.name having sum(i.quantity) > 10 order by total desc limit 50",
}

func BenchmarkParse(b *testing.B) {
	p := newPool(b, Config{Workers: 2})
	for name, sql := range benchTexts {
		for parser, x := range map[string]interface {
			Parse(context.Context, string) (*pg_query.ParseResult, error)
		}{"pool": p, "direct": Direct{}} {
			b.Run(name+"/"+parser, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if _, err := x.Parse(b.Context(), sql); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func BenchmarkStartToReady(b *testing.B) {
	var slowest time.Duration
	for b.Loop() {
		start := time.Now()
		p, err := New(Config{Workers: 2})
		if err != nil {
			b.Fatal(err)
		}
		if err := p.Ready(b.Context()); err != nil {
			b.Fatal(err)
		}
		slowest = max(slowest, time.Since(start))
		_ = p.Close()
	}
	b.ReportMetric(float64(slowest.Milliseconds()), "slowest-ms")
}
