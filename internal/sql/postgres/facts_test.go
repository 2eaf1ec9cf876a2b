package postgres

import (
	"slices"
	"strings"
	"testing"
)

func TestColumnsAreNamedAsTheirTablesNameThem(t *testing.T) {
	in := inspector(t, database, nil, nil)
	for text, want := range map[string]string{
		"SELECT x.d FROM customers AS x(a, b, c, d)":                                   "public.customers.ssn",
		"SELECT d FROM customers AS x(a, b, c, d)":                                     "public.customers.ssn",
		"SELECT 1 FROM customers AS x(a, b, c, d) WHERE d = '1'":                       "public.customers.ssn",
		"SELECT j.d FROM (customers JOIN orders ON true) AS j(a, b, c, d)":             "public.customers.ssn",
		"SELECT j FROM (customers JOIN tickets ON true) AS j":                          "public.customers.* public.tickets.*",
		"SELECT * FROM (tickets JOIN order_items ON true) AS j(a, b)":                  "public.order_items.* public.tickets.*",
		"SELECT 1 FROM orders NATURAL JOIN (SELECT 1) AS x(total)":                     "public.orders.total",
		"SELECT 1 FROM tickets JOIN orders USING (id, customer_id)":                    "public.orders.customer_id public.orders.id public.tickets.customer_id public.tickets.id",
		"SELECT 1 FROM tickets JOIN orders USING (id) AS u WHERE u.id = 1":             "public.orders.id public.tickets.id",
		"SELECT s.b FROM (SELECT * FROM tickets) AS s(a, b)":                           "public.tickets.* public.tickets.customer_id",
		"UPDATE customers SET ssn = '1', email = '2' WHERE id = 1":                     "public.customers.email public.customers.id public.customers.ssn",
		"UPDATE customers SET (ssn, email) = ('1', '2') WHERE id = 1":                  "public.customers.email public.customers.id public.customers.ssn",
		"INSERT INTO customers (id, ssn) VALUES (1, '1')":                              "public.customers.id public.customers.ssn",
		"INSERT INTO tickets VALUES (1)":                                               "public.tickets.*",
		"INSERT INTO tickets (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET body = ''": "public.tickets.body public.tickets.id",
		"COPY customers (id, ssn) FROM STDIN":                                          "public.customers.id public.customers.ssn",
		"MERGE INTO tickets t USING (VALUES (1)) v(k) ON t.id = v.k WHEN MATCHED THEN UPDATE SET body = '' WHEN NOT MATCHED THEN INSERT (customer_id) VALUES (1)": "public.tickets.body public.tickets.customer_id public.tickets.id",
		"MERGE INTO tickets t USING (VALUES (1)) v(k) ON t.id = v.k WHEN MATCHED THEN DELETE":                                                                     "public.tickets.id",
	} {
		if got := strings.Join(inspect(t, in, text).Shape.Facts.Columns, " "); got != want {
			t.Errorf("%q names %s, want %s", text, got, want)
		}
	}
}

func TestWhatFunctionsChangeIsWritten(t *testing.T) {
	in := inspector(t, database, nil, nil)
	for text, want := range map[string]string{
		"INSERT INTO audit_log (what) VALUES (setval('orders_id_seq', 1)::text)":             "public.audit_log public.orders_id_seq",
		"INSERT INTO audit_log (what) VALUES (nextval('app.counter'::regclass)::text)":       "app.counter public.audit_log",
		"INSERT INTO audit_log (what) VALUES (setval('\"app\".\"counter\"', 1)::text)":       "app.counter public.audit_log",
		"INSERT INTO audit_log (what) VALUES (pg_catalog.setval(' APP . Counter', 1)::text)": "app.counter public.audit_log",
		"INSERT INTO audit_log (what) VALUES (setval($1, 1)::text)":                          "?.? public.audit_log",
		"INSERT INTO audit_log (what) VALUES (setval('app.' || 'counter', 1)::text)":         "?.? public.audit_log",
		"INSERT INTO audit_log (what) VALUES (setval('nowhere', 1)::text)":                   "?.nowhere public.audit_log",
		"INSERT INTO audit_log (what) VALUES (setval('\"nowhere', 1)::text)":                 "?.? public.audit_log",
		"INSERT INTO audit_log (what) VALUES (setval(16400, 1)::text)":                       "?.? public.audit_log",
		"INSERT INTO audit_log (what) VALUES (lo_put(424242, 0, '')::text)":                  "pg_catalog.pg_largeobject public.audit_log",
		"INSERT INTO audit_log (what) VALUES (lo_create(1)::text)":                           "pg_catalog.pg_largeobject public.audit_log",
		"SELECT lo_unlink(424242)":                                             "pg_catalog.pg_largeobject",
		"SELECT lowrite(1, '')":                                                "pg_catalog.pg_largeobject",
		"SELECT lo_get(424242)":                                                "",
		"SELECT currval('app.counter')":                                        "",
		"INSERT INTO audit_log (what) VALUES ('x')":                            "public.audit_log",
		"INSERT INTO audit_log (what) VALUES (pg_advisory_xact_lock(1)::text)": "public.audit_log",
	} {
		f := inspect(t, in, text).Shape.Facts
		if got := strings.Join(f.Written, " "); got != want {
			t.Errorf("%q writes %s, want %s", text, got, want)
		}
		for _, name := range f.Written {
			if !slices.Contains(f.Tables, name) {
				t.Errorf("%q: %s is not among the tables", text, name)
			}
		}
	}
	// The same shape: what was found for one name is not taken for another.
	for _, name := range []string{"app.counter", "public.orders_id_seq", "app.counter"} {
		if got := inspect(t, in, "SELECT setval('"+name+"', 1)").Shape.Facts.Written; !slices.Equal(got, []string{name}) {
			t.Errorf("setval of %s writes %v", name, got)
		}
	}
}

func TestTruncateCascadeNamesTheTablesThatRefer(t *testing.T) {
	in := inspector(t, database, nil, nil)
	for text, want := range map[string]string{
		"TRUNCATE orders":            "public.orders",
		"TRUNCATE orders RESTRICT":   "public.orders",
		"TRUNCATE orders CASCADE":    "public.order_items public.orders",
		"TRUNCATE customers CASCADE": "public.customers public.order_items public.orders public.vip_customers",
	} {
		f := inspect(t, in, text).Shape.Facts
		if got := strings.Join(f.Written, " "); got != want {
			t.Errorf("%q writes %s, want %s", text, got, want)
		}
	}
}
