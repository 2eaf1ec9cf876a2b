package postgres

import (
	"testing"

	"github.com/sallyport-gateway/sallyport/internal/gate"
)

func TestAFunctionInAttributeNotationIsJudgedWhateverItIsAppliedTo(t *testing.T) {
	in := inspector(t, database, corpusMarks, corpusFunctions)
	for _, text := range []string{
		"SELECT g.customer_pan FROM generate_series(1,2) g",
		"SELECT g.customer_pan FROM generate_series(1,2) AS g(n)",
		"SELECT g.customer_pan FROM ROWS FROM (generate_series(1,2), generate_series(1,2)) AS g(a, b)",
		"SELECT g.customer_pan FROM generate_series(1,2) WITH ORDINALITY g",
		"SELECT e.op_wipe FROM unnest(ARRAY['x']) e",
		"SELECT g.to_wiper FROM generate_series(1,1) g",
		"SELECT 1 FROM generate_series(1,1) g WHERE g.to_wiper IS NULL",
		"SELECT 1 FROM generate_series(1,1) g ORDER BY g.to_wiper",
		"SELECT (g.to_wiper).x FROM generate_series(1,1) g",
		"SELECT (g).to_wiper FROM generate_series(1,1) g",
		"SELECT (SELECT g.to_wiper) FROM generate_series(1,1) g",
		"SELECT s.customer_pan FROM (SELECT 1 AS customer_id) s",
		"SELECT s.customer_pan FROM (SELECT (SELECT customer_pan.* FROM (SELECT 1 AS n) customer_pan)) s",
		"SELECT s.customer_pan FROM (SELECT CASE WHEN true THEN 1 END::customer_pan::int) s",
		"WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r WHERE n < 2) SELECT r.customer_pan FROM r",
		"WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT r.customer_pan::int FROM r WHERE n < 2) SELECT n FROM r",
		"SELECT x.customer_pan FROM json_table('[1]', '$[*]' COLUMNS (a int PATH '$')) x",
		"SELECT x.customer_pan FROM XMLTABLE('/r' PASSING '<r/>' COLUMNS v int PATH '.') x",
		"SELECT c.customer_pan FROM orders o, LATERAL (SELECT 1 AS customer_pan FROM (SELECT 1 AS n) c WHERE c.customer_pan IS NULL) d, orders c",
		"SELECT (SELECT c.customer_pan FROM (SELECT 1 AS n) c) FROM (SELECT 1 AS customer_pan) c",
		"UPDATE orders SET total = g.customer_pan::int FROM generate_series(1,1) g WHERE orders.id = g",
		"INSERT INTO tickets SELECT g, 1, g.customer_pan FROM generate_series(1,1) g",
		"DELETE FROM orders USING generate_series(1,1) g WHERE g.to_wiper IS NULL AND id = 1",
		"SELECT g.lo_get FROM generate_series(424242, 424242) g",
		"SELECT f.pg_ls_dir FROM unnest(ARRAY['/']) f",
		"SELECT c.lo_get FROM customers c",
	} {
		i, err := in.Inspect(t.Context(), corpusEnv, text, new(Buffer))
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if _, err := i.AppendSQL(nil, nil); err == nil && i.Shape.Effects&^gate.EffectRead == 0 {
			t.Errorf("%q is sent to an agent that may read under masking", text)
		}
	}
	for _, text := range []string{
		"SELECT g.g, g.n FROM generate_series(1,2) g, LATERAL generate_series(1, g) AS n(n)",
		"SELECT o.order_total FROM (SELECT 1 AS order_total) o",
		"SELECT c.name, c.id FROM customers c",
		"SELECT e.value, e.key, e.ordinality FROM json_each('{}') WITH ORDINALITY e",
		"WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT r.n + 1 FROM r WHERE r.n < 2) SELECT r.n FROM r",
		"SELECT o.customer_pan FROM (SELECT 1 AS customer_pan) o",
	} {
		i := inspect(t, in, text)
		if _, err := i.AppendSQL(nil, nil); err != nil || i.Shape.Effects.Has(gate.EffectUnknown) {
			t.Errorf("%q: %v, effects %v, %v", text, err, i.Shape.Effects, i.Shape.Facts.Unreviewed)
		}
	}
}

func TestAChangeOfALabelledRelationHasItsLabels(t *testing.T) {
	in := inspector(t, database, corpusMarks, corpusFunctions)
	for text, want := range map[string]int{
		"UPDATE customers SET name = NULL WHERE id = 1":                                                 2,
		"UPDATE vip_customers SET name = NULL WHERE id = 50":                                            2,
		"UPDATE payments_2025 SET paid_at = '2026-01-05' WHERE id = 1":                                  1,
		"UPDATE payments SET paid_at = '2026-01-05' WHERE id = 1":                                       1,
		"INSERT INTO customers (id, name) VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET name = NULL":   2,
		"MERGE INTO customers t USING orders s ON t.id = s.id WHEN MATCHED THEN UPDATE SET name = NULL": 2,
		"WITH u AS (UPDATE customers SET name = NULL WHERE id = 1 RETURNING id) SELECT id FROM u":       2,
		"UPDATE customer_public SET name = NULL WHERE id = 1":                                           2,
		"TRUNCATE customers CASCADE":                                                                    2,
		"COPY customers (id, name) FROM STDIN":                                                          2,
		"EXPLAIN ANALYZE DELETE FROM vip_customers WHERE id = 1":                                        2,
		"PREPARE p AS UPDATE customers SET name = NULL WHERE id = 1":                                    2,
		"UPDATE order_items SET quantity = 1 WHERE id = 1":                                              0,
		"INSERT INTO tickets (id, customer_id, body) VALUES (1, 1, 'x')":                                0,
	} {
		if got := inspect(t, in, text).Shape.Labels; len(got) != want {
			t.Errorf("%q has the labels %v, want %d", text, got, want)
		}
	}
}

// A range type may compare its bounds by another class of operators than the default one.
func TestARangeComparesByItsOwnClass(t *testing.T) {
	fresh(t, "spans", "CREATE FUNCTION compares(int, int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN btint4cmp($1, $2); END'",
		"CREATE OPERATOR CLASS others FOR TYPE int4 USING btree AS OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >, FUNCTION 1 compares(int, int)",
		"CREATE TYPE span AS RANGE (subtype = int4, subtype_opclass = others)", "CREATE TABLE spans (s span, a int)")
	reviewed := map[string]gate.Effects{"public.span(*)": gate.EffectRead, "public.span_multirange(*)": gate.EffectRead}
	texts := []string{"SELECT '[1,2]'::span < '[1,3]'::span", "SELECT s FROM spans ORDER BY s", "SELECT '{[1,2]}'::span[]"}
	in := inspector(t, "spans", nil, reviewed)
	if in.Catalog().Version() >= 140000 {
		texts = append(texts, "SELECT '{[1,2]}'::span_multirange")
	}
	for _, text := range texts {
		if s := inspect(t, in, text).Shape; !s.Effects.Has(gate.EffectUnknown) {
			t.Errorf("%q has effects %v", text, s.Effects)
		}
	}
	reviewed["public.compares(int4, int4)"] = gate.EffectRead
	in = inspector(t, "spans", nil, reviewed)
	for _, text := range append(texts, "SELECT a FROM spans") {
		if s := inspect(t, in, text).Shape; s.Effects.Has(gate.EffectUnknown) {
			t.Errorf("%q is unknown: %v", text, s.Facts.Unreviewed)
		}
	}
}
