package postgres

import (
	"testing"

	"github.com/sallyport-gateway/sallyport/internal/gate"
)

func TestAConditionBoundsAChangeOnlyIfItComparesAColumnWithSomethingElse(t *testing.T) {
	in := inspector(t, database, corpusMarks, corpusFunctions)
	for _, where := range []string{
		"sku ~ ''", "sku ~ '.*'", "sku ~ '^'", "sku SIMILAR TO '%'", "sku LIKE '%%'", "order_id BETWEEN order_id AND order_id", "order_id IN (order_id)", "order_id = ANY (ARRAY[order_id])",
		"(order_id, sku) = (order_id, sku)", "order_items IS NOT NULL", "order_id + 0 = order_id", "(order_id = order_id) IS TRUE", "order_items.order_id = order_id", "((order_id)) = ((order_id))",
		"sku || '' = sku", "sku = sku COLLATE \"C\"", "order_id::text = order_id::text", "abs(order_id) = abs(order_id)", "CASE WHEN order_id = 1 THEN true ELSE true END",
		"order_id <= 1 OR order_id > 1", "order_id = 1 OR order_id <> 1", "order_id = 1 OR NOT (order_id = 1)", "order_id < 5 OR order_id > 1", "1 >= order_id OR order_id > 1", "length(sku) >= 0", "tableoid = 'order_items'::regclass",
		"order_id IN (SELECT order_id FROM order_items)", "EXISTS (SELECT 1 FROM order_items x WHERE x.order_id = order_items.order_id)", "EXISTS (SELECT 1 FROM orders)", "EXISTS (SELECT 1)",
		"order_id = (SELECT order_id)", "order_id = (SELECT order_id FROM customers LIMIT 1)", "order_id IS NOT NULL", "NOT (order_id IS NULL)", "qty IS NULL OR qty IS NOT NULL", "NOT (order_id = 1 AND sku = 'x')", "true", "1 = 1", "order_id = 1 OR true",
		"order_id IN (SELECT order_id FROM order_items LIMIT 2000000000)", "order_id IN (SELECT order_id FROM order_items LIMIT $1)", "order_id IN (SELECT order_id FROM order_items LIMIT ALL)",
		"order_id IN (SELECT order_id FROM order_items ORDER BY 1 = 1 FETCH FIRST 1 ROW WITH TIES)", "order_id IN (SELECT order_id FROM order_items WHERE sku = sku)",
		"order_id NOT IN (SELECT order_id FROM order_items LIMIT 1)", "NOT order_id IN (SELECT order_id FROM order_items LIMIT 1)", "NOT (order_id IN (SELECT order_id FROM order_items WHERE sku = 'x'))",
		"order_id IN (SELECT order_id FROM order_items LIMIT 1) IS NOT NULL", "order_id > ANY (SELECT order_id FROM order_items LIMIT 1) OR order_id <= ANY (SELECT order_id FROM order_items LIMIT 1)",
		"sku >= ''", "'' <= sku", "sku >= ''::text", "qty <> ALL ('{}')", "qty = ALL ('{}'::int[])", "qty <> ALL (ARRAY[]::int[])", "NOT qty = ANY ('{}')", "NOT (qty = ANY (ARRAY[]::int[]))",
		"order_id = ANY (ARRAY(SELECT order_id FROM order_items))", "NOT order_id = ANY (ARRAY(SELECT order_id FROM order_items LIMIT 1))", "order_id <> ANY (ARRAY(SELECT order_id FROM order_items LIMIT 1))", "order_id = ALL (ARRAY(SELECT order_id FROM order_items WHERE false))",
		"NOT false", "order_id * 0 = 0", "coalesce(order_id, 1) = order_id", "EXISTS (SELECT 1 FROM orders) AND sku = sku",
	} {
		if !inspect(t, in, "DELETE FROM order_items WHERE "+where).Shape.Facts.Unbounded {
			t.Errorf("%s is bounded", where)
		}
	}
	for _, where := range []string{
		"order_id = 1", "1 = order_id", "order_items.order_id = 1 AND sku = 'x'", "order_id = $1", "order_id IN (1, 2)", "order_id = ANY ($1)", "order_id BETWEEN 1 AND 2", "sku LIKE 'a%'", "sku ~ '^a'", "sku LIKE '%' || $1 || '%'",
		"sku > ''", "sku <= ''", "sku >= 'a'", "qty <> ALL ('{1}')", "qty = ANY ('{}')", "NOT qty = ANY ('{1,2}')", "qty <> ALL ($1)",
		"ctid = ANY (ARRAY(SELECT ctid FROM order_items WHERE qty = 3 LIMIT 100))", "ctid = ANY (ARRAY(SELECT ctid FROM order_items LIMIT 100))", "order_id = ANY (ARRAY(SELECT id FROM orders WHERE total > 5))",
		"qty IS NULL", "qty IS NOT NULL", "lower(sku) = 'x'", "order_id::text = '1'", "sku = 'x' COLLATE \"C\"", "(order_id, sku) = (1, 'x')", "(order_id, sku) IN ((1, 'x'), (2, 'y'))", "order_id = 1 OR order_id = 2", "order_id = 1 OR sku = 'x'",
		"order_id IN (SELECT id FROM orders WHERE total > 5)", "NOT (sku = 'x')", "order_id NOT IN (SELECT id FROM orders)", "EXISTS (SELECT 1 FROM orders o WHERE o.id = order_items.order_id AND o.total = 0)",
		"order_id IN (SELECT order_id FROM order_items WHERE sku = 'x' LIMIT 5)", "order_id IN (SELECT order_id FROM order_items LIMIT 100)",
		"order_id = (SELECT max(id) FROM orders)", "order_id = (SELECT max(order_id) FROM order_items)", "price < 5 AND price > 1", "qty <> 1", "false", "qty = 1 AND sku = sku",
	} {
		if inspect(t, in, "DELETE FROM order_items WHERE "+where).Shape.Facts.Unbounded {
			t.Errorf("%s is unbounded", where)
		}
	}
	// The same shape: what was found for one number is not taken for another.
	for _, limit := range []string{"5", "2000000000", "5", "10000", "10001"} {
		got := inspect(t, in, "UPDATE order_items SET qty = 1 WHERE order_id IN (SELECT order_id FROM order_items LIMIT "+limit+")").Shape.Facts.Unbounded
		if want := len(limit) > 4 && limit != "10000"; got != want {
			t.Errorf("LIMIT %s: unbounded is %v", limit, got)
		}
	}
	for text, want := range map[string]bool{
		"UPDATE order_items a SET qty = 1 FROM order_items b WHERE a.order_id = b.order_id":                                               true,
		"DELETE FROM order_items a USING order_items b WHERE a.order_id = b.order_id":                                                     true,
		"DELETE FROM order_items a USING orders b WHERE a.order_id = b.id AND b.total = 0":                                                false,
		"MERGE INTO order_items t USING order_items s ON t.order_id = s.order_id AND t.sku = s.sku WHEN MATCHED THEN DELETE":              true,
		"MERGE INTO order_items t USING orders s ON t.order_id = s.id WHEN MATCHED THEN DELETE":                                           false,
		"INSERT INTO order_items SELECT * FROM order_items ON CONFLICT (order_id, sku) DO UPDATE SET qty = 0":                             true,
		"INSERT INTO order_items SELECT * FROM order_items ON CONFLICT (order_id, sku) DO UPDATE SET qty = 0 WHERE order_items.sku = 'x'": false,
		"INSERT INTO order_items SELECT id, 'x', 1, 1 FROM orders ON CONFLICT (order_id, sku) DO UPDATE SET qty = 0":                      false,
		"INSERT INTO order_items SELECT * FROM order_items ON CONFLICT DO NOTHING":                                                        false,
	} {
		if got := inspect(t, in, text).Shape.Facts.Unbounded; got != want {
			t.Errorf("%q: unbounded is %v", text, got)
		}
	}
}

func TestSettingsThatOnlyChooseAPlanAreHarmless(t *testing.T) {
	in := inspector(t, database, corpusMarks, corpusFunctions)
	for _, text := range []string{"SET random_page_cost = 1.1", "SET effective_cache_size = '1GB'", "SET LOCAL geqo_threshold = 20", "RESET cpu_tuple_cost", "SET seq_page_cost TO DEFAULT",
		"SET recursive_worktable_factor = 5", "SET debug_parallel_query = off", "SET enable_self_join_elimination = off"} {
		if s := inspect(t, in, text).Shape; s.Effects != gate.EffectRead {
			t.Errorf("%q has effects %v", text, s.Effects)
		}
	}
	for _, text := range []string{"SET work_mem = '10GB'", "SET temp_tablespaces = 'x'", "SET session_preload_libraries = 'x'", "SET local_preload_libraries = 'x'", "SET jit_provider = 'x'", "SET geqo_unknown = 1"} {
		if s := inspect(t, in, text).Shape; !s.Effects.Has(gate.EffectAdmin) {
			t.Errorf("%q has effects %v", text, s.Effects)
		}
	}
}
