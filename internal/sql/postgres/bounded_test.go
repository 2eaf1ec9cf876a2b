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
		"NOT false", "order_id * 0 = 0",
		// Always true, or true for every row of some table.
		"(1, order_id) > (0, 5)", "(order_id, 1) IS DISTINCT FROM (NULL, NULL)", "(sku, order_id) >= ('', 0)", "qty < 5 OR (qty, 1) > (1, 1)",
		"order_id <> ALL (SELECT 1 WHERE false)", "order_id NOT IN (SELECT 1 WHERE false)", "order_id <> ALL (ARRAY(SELECT 1 WHERE false))", "sku NOT IN (SELECT k FROM app.settings)", "order_id NOT IN (SELECT id FROM orders)",
		"sku ^@ ''", "to_char(order_id, '\"x\"') = 'x'", "btrim(sku, 'ABCD-1239') = ''", "order_id::bool", "order_id::bool = true", "sku !~ 'x{0}y{1}zzz'", "sku ~ '^a?'", "sku ~ 'x{0}'", "sku LIKE '_%'", "sku ~ '^(a|.)'", "sku LIKE $1", "sku LIKE '%' || $1 || '%'",
		"order_id NOT BETWEEN 0 AND -1", "order_id >= (SELECT min(order_id) FROM order_items)", "order_id <= (SELECT max(id) FROM orders)", "qty <> 1", "NOT (sku = 'x')", "qty <> ALL ('{1}')", "qty IS NOT NULL", "sku > ''", "cmax = 0",
		"EXISTS (SELECT FROM orders o WHERE o.id = order_id OR true)", "EXISTS (SELECT 1 FROM orders WHERE order_items.qty = order_items.qty)", "EXISTS (SELECT FROM orders WHERE order_items.order_id IS NOT NULL)",
		"EXISTS (SELECT count(*) FROM orders o WHERE o.id = order_id AND o.total = 0)", "EXISTS (SELECT FROM orders o WHERE o.id = order_id)", "EXISTS (SELECT FROM orders o LEFT JOIN tickets t ON order_items.order_id = 1)",
		"EXISTS (SELECT FROM json_each('{\"a\": 1}') order_id WHERE order_items.order_id = order_id)",
		// The rows of another table can be all that there are.
		"order_id IN (SELECT id FROM orders)", "order_id IN (SELECT order_id FROM (SELECT order_id FROM order_items) s)", "order_id IN (WITH x AS (TABLE order_items) SELECT order_id FROM x)",
		"order_id IN (SELECT o.id FROM orders o, customers c WHERE c.id = 1)", "order_id IN (SELECT s.order_id FROM (SELECT order_id, 1 AS one FROM order_items) s WHERE s.one = 1)",
		"order_id IN (SELECT s.order_id FROM (SELECT i.order_id, o.id FROM order_items i, orders o) s WHERE s.id = 1)", "order_id IN (SELECT s.a FROM (SELECT i.order_id AS a, o.id AS b FROM order_items i LEFT JOIN orders o ON false) s WHERE s.b IS NULL)",
		"order_id IN (SELECT row_number() OVER () FROM order_items)", "order_id IN (SELECT (random() * 9)::int FROM order_items)", "order_id IN (SELECT unnest((SELECT array_agg(order_id) FROM order_items)))",
		"order_id IN (SELECT x.order_id FROM order_items x WHERE x.order_id = order_items.order_id LIMIT 1)", "order_id IN (SELECT order_items.order_id LIMIT 1)", "order_id IN (VALUES (order_id))", "order_id = ANY (ARRAY[qty, order_id])",
		"order_id IN (SELECT id FROM orders UNION SELECT 1)", "order_id IN (WITH RECURSIVE x AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM x WHERE n < 9999) SELECT n FROM x)", "order_id IN (SELECT id FROM get_customers())",
		"order_id = order_total(order_id)", "order_id IN (SELECT g FROM generate_series(1, (SELECT max(order_id) FROM order_items)) t(g))", "order_id < 5 OR (order_id >= 5 AND qty > 0)", "order_id IS NULL OR order_id IS NOT NULL",
		"qty < 5 OR EXISTS (SELECT FROM orders WHERE order_items.qty >= 5)", "qty < 5 OR order_items.qty >= 5", "ctid > '(0,0)'", "price <= 'NaN'", "price > '-infinity'", "qty OPERATOR(app.=) 1", "app.lower(sku) = 'x'",
		"order_id IN (WITH orders AS (SELECT order_id AS id, 'new' AS status FROM order_items) SELECT id FROM orders WHERE status = 'new')", "EXISTS (SELECT FROM order_items WHERE order_id = 1)", "coalesce(order_id, 1) = order_id", "EXISTS (SELECT 1 FROM orders) AND sku = sku",
	} {
		if !inspect(t, in, "DELETE FROM order_items WHERE "+where).Shape.Facts.Unbounded {
			t.Errorf("%s is bounded", where)
		}
	}
	for _, where := range []string{
		"order_id = 1", "1 = order_id", "order_items.order_id = 1 AND sku = 'x'", "order_id = $1", "order_id IN (1, 2)", "order_id = ANY ($1)", "order_id BETWEEN 1 AND 2", "sku LIKE 'a%'", "sku ~ '^a'",
		"sku <= ''", "sku >= 'a'", "qty = ANY ('{}')",
		"ctid = ANY (ARRAY(SELECT ctid FROM order_items WHERE qty = 3 LIMIT 100))", "ctid = ANY (ARRAY(SELECT ctid FROM order_items LIMIT 100))", "order_id = ANY (ARRAY(SELECT id FROM orders WHERE total > 5))",
		"qty IS NULL", "lower(sku) = 'x'", "order_id::text = '1'", "sku = 'x' COLLATE \"C\"", "(order_id, sku) = (1, 'x')", "(order_id, sku) IN ((1, 'x'), (2, 'y'))", "order_id = 1 OR order_id = 2", "order_id = 1 OR sku = 'x'",
		"order_id IN (SELECT id FROM orders WHERE total > 5)", "EXISTS (SELECT 1 FROM orders o WHERE o.id = order_items.order_id AND o.total = 0)",
		"order_id IN (SELECT order_id FROM order_items WHERE sku = 'x' LIMIT 5)", "order_id IN (SELECT order_id FROM order_items LIMIT 100)",
		"order_id = (SELECT max(id) FROM orders)", "order_id = (SELECT max(order_id) FROM order_items)", "price < 5 AND price > 1",
		"sku ILIKE 'a%'", "sku LIKE 'a%b'", "sku LIKE '%a%'", "sku ^@ 'A-'", "sku IS NOT DISTINCT FROM 'x'", "qty = 1 OR qty IS NULL", "qty BETWEEN 1 AND 2 OR qty = 9", "price > now()::date - '2020-01-01'::date", "order_id = order_total(1)", "qty = $1::int AND true",
		"order_id IN (SELECT o.id FROM orders o JOIN customers c ON c.id = o.customer_id WHERE c.region = 'EU')", "order_id IN (SELECT o.id FROM orders o JOIN customers c ON c.id = o.customer_id AND c.region = 'EU')",
		"order_id IN (WITH x AS (SELECT id FROM orders WHERE status = 'new') SELECT id FROM x)", "order_id IN (SELECT s.id FROM (SELECT id, status FROM orders) s WHERE s.status = 'new')", "order_id IN (VALUES (1), (2))",
		"order_id IN (SELECT unnest($1::int[]))", "order_id IN (SELECT x FROM unnest('{1,2}'::int[]) AS u(x))", "order_id IN (SELECT id FROM orders WHERE status = 'new' UNION SELECT 1)", "order_id = ANY (string_to_array($1, ',')::int[])",
		"order_id IN (SELECT id FROM orders WHERE customer_id IN (SELECT id FROM customers WHERE region = 'EU'))", "order_id IN (SELECT max(order_id) FROM order_items WHERE sku = 'x' GROUP BY sku)", "false", "qty = 1 AND sku = sku",
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
		"UPDATE order_items a SET qty = 1 FROM order_items b WHERE a.order_id = b.order_id":                                                                    true,
		"DELETE FROM order_items a USING order_items b WHERE a.order_id = b.order_id":                                                                          true,
		"DELETE FROM order_items a USING orders b WHERE a.order_id = b.id":                                                                                     true,
		"DELETE FROM order_items a USING orders b WHERE a.order_id = b.id AND b.total = 0":                                                                     false,
		"MERGE INTO order_items t USING order_items s ON t.order_id = s.order_id AND t.sku = s.sku WHEN MATCHED THEN DELETE":                                   true,
		"MERGE INTO order_items t USING orders s ON t.order_id = s.id WHEN MATCHED THEN DELETE":                                                                true,
		"MERGE INTO order_items t USING orders s ON t.order_id = s.id AND s.status = 'new' WHEN MATCHED THEN DELETE":                                           false,
		"MERGE INTO order_items t USING (SELECT id FROM orders LIMIT 10) s ON t.order_id = s.id WHEN MATCHED THEN DELETE":                                      false,
		"MERGE INTO order_items t USING orders s ON t.order_id = s.id WHEN MATCHED AND t.sku = 'x' THEN DELETE":                                                false,
		"WITH x AS MATERIALIZED (SELECT ctid c FROM order_items) DELETE FROM order_items WHERE ctid IN (SELECT c FROM x)":                                      true,
		"WITH x AS MATERIALIZED (SELECT ctid c FROM order_items WHERE qty = 3) DELETE FROM order_items WHERE ctid IN (SELECT c FROM x)":                        false,
		"WITH x(a, b) AS (SELECT order_id, sku FROM order_items WHERE qty = 3) DELETE FROM order_items i USING x WHERE i.order_id = x.a AND i.sku = x.b":       false,
		"WITH x AS (TABLE order_items) MERGE INTO order_items t USING x ON t.order_id = x.order_id WHEN MATCHED THEN DELETE":                                   true,
		"WITH x AS (TABLE order_items) UPDATE order_items t SET qty = 0 FROM x WHERE t.order_id = x.order_id":                                                  true,
		"UPDATE order_items SET qty = 0 FROM (SELECT order_id FROM order_items) s WHERE s.order_id = order_items.order_id":                                     true,
		"UPDATE order_items SET qty = 0 FROM (SELECT order_id FROM order_items) s WHERE s.order_id = order_items.order_id AND s.order_id = 5":                  false,
		"WITH m AS (SELECT min(order_id) a FROM order_items) DELETE FROM order_items WHERE order_id >= (SELECT a FROM m)":                                      true,
		"DELETE FROM payments WHERE id IN (SELECT id FROM payments_2025 UNION ALL SELECT id FROM payments_2026)":                                               true,
		"DELETE FROM payments_2026 WHERE id IN (SELECT id FROM payments)":                                                                                      true,
		"DELETE FROM customer_public WHERE id IS NOT NULL":                                                                                                     true,
		"DELETE FROM customer_public WHERE id IN (SELECT id FROM customers)":                                                                                   true,
		"DELETE FROM customer_public USING customers c WHERE customer_public.id = c.id":                                                                        true,
		"DELETE FROM orders WHERE status >= 'new'":                                                                                                             true, // its first value
		"DELETE FROM orders WHERE status = 'new'":                                                                                                              false,
		"UPDATE order_items SET qty = 0 FROM orders o, LATERAL (SELECT o.id LIMIT 1) l WHERE order_id = l.id":                                                  true,
		"INSERT INTO order_items SELECT b.* FROM (WITH order_items AS (SELECT 1) SELECT 1) a, order_items b ON CONFLICT (order_id, sku) DO UPDATE SET qty = 0": true,
		"INSERT INTO order_items WITH a AS (TABLE order_items), order_items AS (SELECT 1) SELECT * FROM a ON CONFLICT (order_id, sku) DO UPDATE SET qty = 0":   true,
		"WITH RECURSIVE a AS (TABLE order_items) INSERT INTO order_items SELECT * FROM a ON CONFLICT (order_id, sku) DO UPDATE SET qty = 0":                    true,
		"WITH a AS (SELECT id, 'x', 1, 1 FROM orders) INSERT INTO order_items SELECT * FROM a ON CONFLICT (order_id, sku) DO UPDATE SET qty = 0":               false,
		"DELETE FROM customer_public WHERE id = 5":                                                                                                             false,
		"DELETE FROM customers WHERE id IN (SELECT id FROM customer_public)":                                                                                   true,
		"DELETE FROM customers WHERE id IN (SELECT id FROM customer_public WHERE region = 'EU')":                                                               false,
		"DELETE FROM customer_deep WHERE b = ''":                                                                                                               true, // b is computed
		"UPDATE order_items i SET price = i.price FROM orders o JOIN customers c ON c.id = o.customer_id WHERE o.id = i.order_id AND c.region = 'EU'":          false,
		"UPDATE order_items i SET price = i.price FROM orders o LEFT JOIN customers c ON c.region = 'EU' WHERE o.id = i.order_id":                              true,
		"UPDATE order_items i SET price = v.p FROM (VALUES (1, 2), (3, 4)) AS v(id, p) WHERE i.order_id = v.id":                                                false,
		"UPDATE order_items i SET price = 0 FROM (orders o JOIN customers c ON c.id = 1) AS j WHERE i.order_id = j.id":                                         true,
		"WITH x AS (TABLE order_items) INSERT INTO order_items SELECT * FROM x ON CONFLICT (order_id, sku) DO UPDATE SET qty = 0":                              true,
		"WITH x AS (TABLE order_items) INSERT INTO order_items SELECT * FROM x WHERE order_id = 1 ON CONFLICT (order_id, sku) DO UPDATE SET qty = 0":           false,
		"INSERT INTO customers SELECT * FROM vip_customers ON CONFLICT (id) DO UPDATE SET region = ''":                                                         true,
		"INSERT INTO customer_public SELECT id, name FROM customers ON CONFLICT (id) DO UPDATE SET region = ''":                                                true,
		"INSERT INTO customers (id, name) SELECT id, name FROM customer_public ON CONFLICT (id) DO UPDATE SET region = ''":                                     true,
		"INSERT INTO order_items SELECT * FROM order_items LIMIT 5 ON CONFLICT (order_id, sku) DO UPDATE SET qty = 0":                                          false,
		"INSERT INTO order_items VALUES (1, 'x', fmt_money(1)::int, 1) ON CONFLICT (order_id, sku) DO UPDATE SET qty = excluded.qty":                           false,
		"INSERT INTO order_items SELECT * FROM order_items ON CONFLICT (order_id, sku) DO UPDATE SET qty = 0":                                                  true,
		"INSERT INTO order_items SELECT * FROM order_items ON CONFLICT (order_id, sku) DO UPDATE SET qty = 0 WHERE order_items.sku = 'x'":                      false,
		"INSERT INTO order_items SELECT id, 'x', 1, 1 FROM orders ON CONFLICT (order_id, sku) DO UPDATE SET qty = 0":                                           false,
		"INSERT INTO order_items SELECT * FROM order_items ON CONFLICT DO NOTHING":                                                                             false,
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
