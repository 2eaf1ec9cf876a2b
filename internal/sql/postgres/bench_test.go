package postgres

import (
	"context"
	"fmt"
	"testing"
)

// analytic is a statement of some thirty lines.
const analytic = `WITH monthly AS (
  SELECT date_trunc('month', o.placed_at) AS month, o.customer_id, sum(o.total) AS total, count(*) AS orders
  FROM orders o
  WHERE o.placed_at >= now() - interval '1 year' AND o.status IN ('paid', 'shipped')
  GROUP BY 1, 2
), ranked AS (
  SELECT m.month, m.customer_id, m.total, m.orders,
    rank() OVER (PARTITION BY m.month ORDER BY m.total DESC) AS place,
    lag(m.total) OVER (PARTITION BY m.customer_id ORDER BY m.month) AS previous
  FROM monthly m
), items AS (
  SELECT i.order_id, string_agg(i.sku, ',' ORDER BY i.sku) AS skus, sum(i.qty * i.price) AS value
  FROM order_items i
  GROUP BY i.order_id
  HAVING sum(i.qty) > 0
)
SELECT r.month, c.name, c.region, r.total, r.orders, r.place,
  CASE WHEN r.previous IS NULL THEN 'new' WHEN r.total > r.previous THEN 'up' ELSE 'down' END AS trend,
  coalesce(round(100 * (r.total - r.previous) / nullif(r.previous, 0), 1), 0) AS percent,
  (SELECT count(*) FROM tickets t WHERE t.customer_id = c.id) AS tickets,
  x.skus, x.value
FROM ranked r
JOIN customers c ON c.id = r.customer_id
LEFT JOIN LATERAL (
  SELECT it.skus, it.value FROM items it JOIN orders o2 ON o2.id = it.order_id
  WHERE o2.customer_id = c.id ORDER BY o2.placed_at DESC LIMIT 1
) x ON true
WHERE r.place <= 10 AND c.region <> 'APAC'
ORDER BY r.month DESC, r.place, c.name
LIMIT 100`

func BenchmarkRepeatedShape(b *testing.B) {
	in := inspector(b, database, corpusMarks, corpusFunctions)
	for _, bench := range []struct{ name, format string }{
		{"select", "SELECT abalance FROM orders WHERE id = %d"},
		{"masked", "SELECT id, name, email FROM customers WHERE id = %d"},
		{"update", "UPDATE app.settings SET v = '%d' WHERE k = 'theme'"},
	} {
		b.Run(bench.name, func(b *testing.B) {
			texts := make([]string, 1000)
			for i := range texts {
				texts[i] = fmt.Sprintf(bench.format, i*7919)
			}
			var buf Buffer
			dst := make([]byte, 0, 4096)
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				i, err := in.Inspect(context.Background(), corpusEnv, texts[n%len(texts)], &buf)
				if err != nil {
					b.Fatal(err)
				}
				if dst, err = i.AppendSQL(dst[:0], nil); err != nil {
					b.Fatal(err)
				}
				n++
			}
		})
	}
}

func BenchmarkNewAnalyticStatement(b *testing.B) {
	in := inspector(b, database, corpusMarks, corpusFunctions)
	var buf Buffer
	n := 0
	b.ReportAllocs()
	for b.Loop() {
		n++
		text := fmt.Sprintf("%s /* */ OFFSET %d", analytic, n)
		in.cache = newShapeCache()
		if _, err := in.Inspect(context.Background(), corpusEnv, text, &buf); err != nil {
			b.Fatal(err)
		}
	}
}
