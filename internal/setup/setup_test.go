package setup_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sallyport-gateway/sallyport/internal/gate"
	"github.com/sallyport-gateway/sallyport/internal/pgserver"
	"github.com/sallyport-gateway/sallyport/internal/setup"
	"github.com/sallyport-gateway/sallyport/test/pgtest"
)

const database = "corpus"

// more is what a target may hold besides the corpus schema.
const more = `
CREATE SCHEMA "Odd ""name""";
CREATE TABLE "Odd ""name"""."Tab.le; --" ("Col 1" int, "Pass Word" text);
CREATE EXTENSION dblink;
CREATE EXTENSION pg_trgm;
CREATE SERVER elsewhere FOREIGN DATA WRAPPER dblink_fdw;
GRANT USAGE ON FOREIGN SERVER elsewhere TO agent;
CREATE USER MAPPING FOR agent SERVER elsewhere OPTIONS (user 'x', password 'y');
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE TABLE people (id int, "birthDate" date, api_token text, note text, confirmed_email bool);
ALTER TABLE people ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON people USING (note = current_user);
CREATE FOREIGN DATA WRAPPER nowhere;
CREATE SERVER far FOREIGN DATA WRAPPER nowhere;
CREATE FOREIGN TABLE remote_orders (id int) SERVER far;
GRANT SELECT ON remote_orders TO agent;
ALTER DEFAULT PRIVILEGES IN SCHEMA scratch GRANT ALL ON TABLES TO agent;
GRANT EXECUTE ON FUNCTION pg_catalog.pg_ls_dir(text) TO agent;
GRANT UPDATE (name) ON customers TO other;
CREATE TABLE delegated (id int);
GRANT SELECT, TRUNCATE ON delegated TO other WITH GRANT OPTION;
SET ROLE other;
GRANT TRUNCATE ON delegated TO agent;
RESET ROLE;
CREATE FUNCTION noted() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN NULL; END $$;
CREATE EVENT TRIGGER noted ON ddl_command_end EXECUTE FUNCTION noted();
`

// grantCheckpoint gives the role that is new in 15.
const grantCheckpoint = "DO $$ BEGIN IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'pg_checkpoint') THEN GRANT pg_checkpoint TO agent; END IF; END $$"

const password = "canary-54b1f0e2"

func start(t testing.TB) *pgserver.Server {
	t.Helper()
	schema, err := os.ReadFile("../../test/corpus/postgres/schema.sql")
	if err != nil {
		t.Fatal(err)
	}
	return pgtest.Start(t, pgserver.Options{
		NoTLS: true,
		Roles: []pgserver.Role{{Name: "agent", Password: password, Attributes: "REPLICATION"}, {Name: "other"},
			{Name: "root", Password: password, Attributes: "SUPERUSER"}},
		Databases: []pgserver.Database{{Name: database}},
		Scripts: []pgserver.Script{
			{SQL: "GRANT pg_read_server_files, pg_write_server_files, pg_execute_server_program, pg_signal_backend, pg_monitor, other TO agent"},
			{SQL: grantCheckpoint},
			{Database: database, SQL: string(schema)}, {Database: database, SQL: more}},
	})
}

// querier runs queries for the package under test.
type querier struct{ pg *pgconn.PgConn }

func (q querier) Query(ctx context.Context, text string, row func([][]byte) error) error {
	results, err := q.pg.Exec(ctx, text).ReadAll()
	if err != nil {
		return err
	}
	for _, r := range results {
		for _, values := range r.Rows {
			if err := row(values); err != nil {
				return err
			}
		}
	}
	return nil
}

func connect(t testing.TB, s *pgserver.Server, user string) *pgconn.PgConn {
	t.Helper()
	c, err := pgconn.Connect(t.Context(), s.URL(database, user, password))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close(context.Background()) })
	return c
}

func read(t testing.TB, s *pgserver.Server, user string, o setup.Options) *setup.Audit {
	t.Helper()
	c := connect(t, s, user)
	defer c.Close(context.Background())
	a, err := setup.Read(t.Context(), querier{c}, o)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func reviewed() map[string]gate.Effects {
	return map[string]gate.Effects{"public.order_total(int)": gate.EffectRead, "public.fmt_money(numeric)": gate.EffectRead,
		"public.cleanup_orders()": gate.EffectDelete}
}

// apply runs a script as superuser and gives the role a password.
func apply(t testing.TB, s *pgserver.Server, a *setup.Audit) {
	t.Helper()
	pgtest.Query(t, s, database, a.Script())
	pgtest.Query(t, s, database, `ALTER ROLE "`+strings.ReplaceAll(a.Role(), `"`, `""`)+`" PASSWORD '`+password+`'`)
}

// refused fails the test unless the statement is refused for want of privilege.
func refused(t testing.TB, c *pgconn.PgConn, sql string) {
	t.Helper()
	_, err := c.Exec(t.Context(), sql).ReadAll()
	var pg *pgconn.PgError
	if !errors.As(err, &pg) || pg.Code != "42501" {
		t.Errorf("%s: %v, want permission denied", sql, err)
	}
}

func runs(t testing.TB, c *pgconn.PgConn, sql string) {
	t.Helper()
	if _, err := c.Exec(t.Context(), sql).ReadAll(); err != nil {
		t.Errorf("%s: %v", sql, err)
	}
}

// forbidden is what no account made by a script can do.
func forbidden() []string {
	return []string{
		"CREATE TABLE mine (id int)", "CREATE TABLE app.mine (id int)", "CREATE TEMP TABLE mine (id int)", "CREATE SCHEMA mine",
		"TRUNCATE orders", "DROP TABLE orders", "ALTER TABLE orders ADD COLUMN x int", "CREATE INDEX ON orders (total)",
		"CREATE TRIGGER t BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION trg()", "CREATE RULE r AS ON DELETE TO orders DO NOTHING",
		"CREATE ROLE mine", "CREATE DATABASE mine", "ALTER SYSTEM SET work_mem = '1GB'", "DO $$ BEGIN END $$",
		"CREATE FUNCTION public.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'", "CREATE EXTENSION citext SCHEMA app", "CREATE SERVER mine FOREIGN DATA WRAPPER dblink_fdw",
		"COPY (SELECT 1) TO PROGRAM 'cat'", "COPY orders TO '/tmp/x'", "SELECT pg_read_file('/etc/passwd')", "SELECT pg_ls_dir('.')",
		"SELECT pg_reload_conf()", "SELECT run_report('SELECT 1')", "SELECT * FROM find_customer(1)", "SELECT customer_pan(1)", "CALL close_day()", "SELECT 'a'::text, @!! 'x'::text",
		"SELECT dblink_connect('host=127.0.0.1')", "SELECT lo_create(0)", "SELECT lo_get(424242)", "SELECT setval('customers_id_seq', 1)",
		"SET ROLE other", "SET SESSION AUTHORIZATION postgres", "SELECT * FROM pg_authid", "SELECT pg_create_physical_replication_slot('x')",
	}
}

func TestTheScriptMakesAReaderThatCanOnlyRead(t *testing.T) {
	s := start(t)
	o := setup.Options{Role: `the "new" role`, Reviewed: reviewed()}
	apply(t, s, planned(t, s, o))
	c := connect(t, s, o.Role)
	for _, sql := range forbidden() {
		refused(t, c, sql)
	}
	for _, sql := range []string{"INSERT INTO orders(customer_id, total) VALUES (1, 1)", "UPDATE orders SET total = 0", "DELETE FROM orders", "SELECT cleanup_orders()",
		"SELECT nextval('orders_id_seq')", "SELECT FROM orders FOR UPDATE"} {
		refused(t, c, sql)
	}
	for _, sql := range []string{"SELECT ssn FROM customers", "SELECT * FROM customer_contact", "SELECT * FROM app.settings", `SELECT * FROM "Odd ""name"""."Tab.le; --"`,
		"SELECT order_total(1), fmt_money(1)", "SELECT count(*) FROM customer_mv", "SELECT similarity('a', 'b')"} {
		runs(t, c, sql)
	}
	rows, err := c.Exec(t.Context(), "SELECT current_setting('statement_timeout'), current_setting('lock_timeout'), current_setting('idle_in_transaction_session_timeout'), current_setting('temp_file_limit'), (SELECT rolconnlimit FROM pg_roles WHERE rolname = current_user)").ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, v := range rows[0].Rows[0] {
		got = append(got, string(v))
	}
	if want := []string{"1min", "5s", "1min", "1GB", "50"}; !slices.Equal(got, want) {
		t.Errorf("bounds are %q, want %q", got, want)
	}
	pgtest.Query(t, s, database, "CREATE TABLE later (id int)")
	runs(t, c, "SELECT * FROM later")
	if rows := pgtest.Query(t, s, database, `SELECT has_table_privilege('the "new" role', 'remote_orders', 'SELECT')`); rows[0][0] != "f" {
		t.Error("the role may read a foreign table")
	}
}

func TestTheScriptMakesAWriterThatCanOnlyChangeRows(t *testing.T) {
	s := start(t)
	o := setup.Options{Role: "writer", Write: true, Reviewed: reviewed(), Schemas: []string{"public"}}
	apply(t, s, planned(t, s, o))
	c := connect(t, s, "writer")
	for _, sql := range forbidden() {
		refused(t, c, sql)
	}
	refused(t, c, "SELECT * FROM app.settings")
	refused(t, c, "INSERT INTO customer_public(name) VALUES ('x')")
	for _, sql := range []string{"INSERT INTO orders(customer_id, total) VALUES (1, 1)", "UPDATE tickets SET body = 'x' WHERE id = 9", "DELETE FROM order_items", "SELECT order_total(1)"} {
		runs(t, c, sql)
	}
}

// planned reads what the role of o may do, as the gateway would: with the present
// credential.
func planned(t testing.TB, s *pgserver.Server, o setup.Options) *setup.Audit {
	t.Helper()
	return read(t, s, "agent", o)
}

func TestTheScriptCanRunTwiceAndLeavesNothingToFind(t *testing.T) {
	s := start(t)
	for _, o := range []setup.Options{
		{Role: "reader", Reviewed: reviewed()},
		{Role: "writer", Write: true, Reviewed: reviewed(), Schemas: []string{"public", "app"}},
		{Role: "masked", Masked: true, Withheld: []string{"public.customers.ssn"}},
		{Role: "agent", Reviewed: reviewed()},
	} {
		first := planned(t, s, o)
		pgtest.Query(t, s, database, first.Script())
		pgtest.Query(t, s, database, first.Script())
		second := planned(t, s, o)
		if left := second.Findings(); len(left) > 0 {
			t.Errorf("%s: still found: %+v", o.Role, left)
		}
		pgtest.Query(t, s, database, second.Script())
		if left := planned(t, s, o).Findings(); len(left) > 0 {
			t.Errorf("%s: found after the second script: %+v", o.Role, left)
		}
	}
}

func TestEveryRightTooMuchOfAnOverprivilegedAccountIsFound(t *testing.T) {
	s := start(t)
	a := read(t, s, "agent", setup.Options{Reviewed: reviewed()})
	if a.Role() != "agent" {
		t.Fatalf("the role is %q", a.Role())
	}
	found := a.Findings()
	for _, role := range pgtest.Query(t, s, database, "SELECT b.rolname FROM pg_auth_members m JOIN pg_roles b ON b.oid = m.roleid WHERE m.member = 'agent'::regrole") {
		if !slices.ContainsFunc(found, func(f setup.Finding) bool { return f.What == "is a member of "+role[0] }) {
			t.Errorf("not found: the membership of %s", role[0])
		}
	}
	for _, want := range []struct{ kind, what, object string }{
		{"attribute", "is REPLICATION", ""},
		{"membership", "is a member of pg_read_server_files", ""}, {"membership", "is a member of pg_write_server_files", ""},
		{"membership", "is a member of pg_execute_server_program", ""}, {"membership", "is a member of pg_signal_backend", ""},
		{"membership", "is a member of pg_monitor", ""}, {"membership", "is a member of other", ""},
		{"ownership", "owns objects", "table public.orders"}, {"ownership", "owns objects", "table public.tickets"}, {"ownership", "owns objects", "table public.customers"},
		{"ownership", "owns objects", "table public.vip_customers"}, {"ownership", "owns objects", "materialized view public.customer_mv"},
		{"ownership", "owns objects", "view public.customer_contact"},
		{"database", "may CREATE", database}, {"database", "may TEMPORARY", database},
		{"schema", "may CREATE", "public"}, {"schema", "may CREATE", "app"}, {"schema", "may CREATE", "scratch"},
		{"table", "may TRUNCATE", "public.order_items"}, {"table", "may TRIGGER", "public.payments"}, {"table", "may REFERENCES", "app.settings"},
		{"table", "may INSERT", "public.profiles"}, {"table", "may UPDATE", "public.customer_public"}, {"table", "may DELETE", "public.payments_2025"},
		{"table", "may TRUNCATE", "public.delegated"}, {"table", "may SELECT", "public.remote_orders"},
		{"sequence", "may UPDATE", "app.counter"}, {"sequence", "may USAGE", "public.audit_log_id_seq"},
		{"function", "may EXECUTE unreviewed functions", "public.run_report(text)"}, {"function", "may EXECUTE unreviewed functions", "public.close_day()"},
		{"function", "may EXECUTE unreviewed functions", "public.cleanup_orders()"}, {"function", "may EXECUTE unreviewed functions", "public.glue(text)"},
		{"function", "may EXECUTE unreviewed functions", "pg_catalog.pg_ls_dir(text)"},
		{"function", "may EXECUTE unreviewed SECURITY DEFINER functions", "public.find_customer(integer)"},
		{"function", "may EXECUTE functions of dblink", "public.dblink(text)"},
		{"language", "may write code (USAGE)", "plpgsql"},
		{"server", "may USAGE", "elsewhere"}, {"server", "has a user mapping", "elsewhere"},
		{"large object", "may UPDATE", "424242"}, {"large object", "may SELECT", "424242"}, {"large object", "may make large objects", "pg_catalog.lo_create(oid)"},
		{"default", "may DELETE on tables made later", "made by postgres in scratch"}, {"default", "may EXECUTE functions made later", "by postgres"},
		{"setting", "has no statement_timeout", ""}, {"setting", "has no lock_timeout", ""}, {"setting", "has no temp_file_limit", ""},
		{"setting", "has no idle_in_transaction_session_timeout", ""}, {"setting", "has no connection limit", ""},
	} {
		if !slices.ContainsFunc(found, func(f setup.Finding) bool {
			return f.Kind == want.kind && f.What == want.what && len(f.SQL) > 0 && f.Why != "" && (want.object == "" || slices.Contains(f.Objects, want.object))
		}) {
			t.Errorf("not found: %s %s %s", want.kind, want.what, want.object)
		}
	}
	for _, f := range found {
		if slices.Contains(f.Objects, "public.order_total(integer)") || slices.Contains(f.Objects, "public.similarity(text, text)") {
			t.Errorf("a reviewed or harmless function is found: %+v", f)
		}
	}
}

func TestASuperuserIsFound(t *testing.T) {
	s := start(t)
	found := read(t, s, "root", setup.Options{}).Findings()
	if !slices.ContainsFunc(found, func(f setup.Finding) bool { return f.What == "is SUPERUSER" }) {
		t.Errorf("found only %+v", found)
	}
}

func TestTheSQLOfEachFindingTakesItAway(t *testing.T) {
	s := start(t)
	o := setup.Options{Reviewed: reviewed()}
	for _, f := range read(t, s, "agent", o).Findings() {
		pgtest.Query(t, s, database, "BEGIN; "+strings.Join(f.SQL, "\n")+"; COMMIT")
	}
	if left := read(t, s, "agent", o).Findings(); len(left) > 0 {
		t.Errorf("still found: %+v", left)
	}
}

func TestWithheldColumnsAreUnreadableWhereverTheyShow(t *testing.T) {
	s := start(t)
	o := setup.Options{Role: "masked", Masked: true, Withheld: []string{"public.customers.ssn", "public.payments.card_number"}}
	apply(t, s, planned(t, s, o))
	c := connect(t, s, "masked")
	for _, sql := range []string{"SELECT ssn FROM customers", "SELECT * FROM customers", "SELECT ssn FROM vip_customers", "SELECT ssn_last4 FROM customers",
		"SELECT card_number FROM payments", "SELECT card_number FROM payments_2025", "SELECT tax_id FROM customer_contact", "SELECT b FROM customer_deep",
		"SELECT t FROM customer_mv", "SELECT customers FROM customers"} {
		refused(t, c, sql)
	}
	for _, sql := range []string{"SELECT id, name, email, CAST(NULL AS text) AS ssn FROM customers", "SELECT count(*) FROM customers", "SELECT amount FROM payments", "SELECT * FROM customer_public"} {
		runs(t, c, sql)
	}
	pgtest.Query(t, s, database, "CREATE TABLE later (id int)")
	refused(t, c, "SELECT * FROM later")
}

func TestNamesThatDoNotExistAreErrors(t *testing.T) {
	s := start(t)
	c := connect(t, s, "agent")
	for _, o := range []setup.Options{
		{Schemas: []string{"pubic"}}, {Withheld: []string{"public.customers.sn"}}, {Withheld: []string{"customers.ssn"}},
		{Role: "a\nb"}, {Role: "a$$b"}, {Role: strings.Repeat("x", 64)},
	} {
		if _, err := setup.Read(t.Context(), querier{c}, o); err == nil {
			t.Errorf("%+v is accepted", o)
		}
	}
}

func TestTheSurveyListsWhatNobodyReviewed(t *testing.T) {
	s := start(t)
	c := connect(t, s, "agent")
	labelled := []string{"public.customers.email", "public.customers.ssn", "public.customers.card_number", "public.payments.card_number", "public.profiles.doc"}
	v, err := setup.Survey(t.Context(), querier{c}, setup.Known{Reviewed: reviewed(), Labelled: labelled})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []struct{ kind, object string }{
		{"function", "public.run_report(text)"}, {"function", "public.find_customer(integer)"}, {"procedure", "public.close_day()"}, {"aggregate", "public.glue(text)"},
		{"extension", "extension dblink"}, {"extension", "extension pg_trgm"}, {"operator", "public.@!!(NONE,text)"}, {"cast", "integer as public.wiper"},
		{"type", "public.positive"}, {"trigger", "orders_trg on public.orders"}, {"trigger function", "public.trg()"},
		{"event trigger", "noted on ddl_command_end"}, {"trigger function", "public.noted()"}, {"rule", "tickets_log on public.tickets"},
		{"policy", "own on public.people"}, {"foreign table", "public.remote_orders"}, {"column", "public.profiles.contact"}, {"column", "public.profiles.tax"},
		{"column", `public.people."birthDate"`}, {"column", "public.people.api_token"}, {"column", `"Odd ""name"""."Tab.le; --"."Pass Word"`},
	} {
		if !slices.ContainsFunc(v.Items, func(i setup.Item) bool { return i.Kind == want.kind && i.Object == want.object && i.Why != "" }) {
			t.Errorf("not listed: %s %s", want.kind, want.object)
		}
	}
	for _, i := range v.Items {
		switch i.Object {
		case "public.order_total(integer)", "public.customers.ssn", "public.vip_customers.ssn", "public.payments_2025.card_number", "public.people.confirmed_email":
			t.Errorf("listed without need: %+v", i)
		}
	}
	if len(v.Views) != 7 {
		t.Errorf("%d views, want 7: %v", len(v.Views), v.Views)
	}
	text := v.Documents("shop")
	for _, want := range []string{"kind: Functions", `"public.run_report(text)": execute`, "kind: Labels", `- "public.people.api_token"`, `name: "shop-unlabelled"`} {
		if !strings.Contains(text, want) {
			t.Errorf("the documents do not have %s:\n%s", want, text)
		}
	}
}

func TestTheSurveyListsIndexesInTheOrderOfLabelledColumns(t *testing.T) {
	s := start(t)
	c := connect(t, s, "agent")
	for _, sql := range []string{
		"CREATE TABLE public.tenants (id int, tenant int, email text, name text)", "CREATE UNIQUE INDEX among ON public.tenants (tenant, email)",
		"CREATE INDEX stored ON public.tenants (tenant) INCLUDE (email)", "CREATE INDEX alone ON public.tenants (email)",
		"CREATE INDEX other ON public.tenants (tenant, name)", "CREATE INDEX hashed ON public.tenants USING brin (tenant, email)",
		"CREATE INDEX partly ON public.tenants (email) WHERE tenant > 5", "CREATE INDEX computed ON public.tenants (lower(email), tenant)",
		"CREATE INDEX lower_alone ON public.tenants (lower(email))", "CREATE INDEX asked ON public.tenants (lower(name)) WHERE email IS NOT NULL",
	} {
		pgtest.Query(t, s, database, sql)
	}
	v, err := setup.Survey(t.Context(), querier{c}, setup.Known{Labelled: []string{"public.tenants.email"}})
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, i := range v.Items {
		if i.Kind == "index" {
			found = append(found, i.Object)
		}
	}
	if !slices.Equal(found, []string{"among on public.tenants", "computed on public.tenants", "partly on public.tenants"}) {
		t.Errorf("listed: %q", found)
	}
}

func TestNamesSuggestLabelsOnlyAsWholeWordsWhereShort(t *testing.T) {
	for name, want := range map[string]string{
		"ssn": "pii", "customer_ssn": "pii", "SSN": "pii", "e_mail": "pii", "emailAddress": "pii", "phone2": "pii", "dateOfBirth": "pii", "card_number": "card",
		"iban": "bank", "password_hash": "secret", "accessToken": "secret", "client_secret": "secret", "pan": "card", "cvv2": "card", "ssn_d": "pii",
		"company": "", "session": "", "expand": "", "spinning": "", "basic": "", "id": "", "total": "", "assignment": "", "": "",
	} {
		if got, word := setup.Sensitive(name); got != want {
			t.Errorf("%q suggests %q by %q, want %q", name, got, word, want)
		}
	}
}

func FuzzDocumentsOfHostileNamesStayOneLinePerName(f *testing.F) {
	f.Add("public.f()", "sql")
	f.Add("a\nkind: Policy", "x\n---\nkind: Role")
	f.Fuzz(func(t *testing.T, name, note string) {
		v := &setup.Inventory{Items: []setup.Item{{Kind: "function", Object: name, Review: "execute", Note: note}, {Kind: "column", Object: name, Label: "pii"}}}
		if n := strings.Count(v.Documents("t"), "\n"); n != 12 {
			t.Errorf("%d lines: %q", n, v.Documents("t"))
		}
	})
}

func TestTheRoleMadeByHandCanOnlyRead(t *testing.T) {
	s := start(t)
	psql := exec.Command("psql", "-X", "-q", "-d", s.URL(database, "root", password), "-v", "role=by hand", "-v", "schema=public", "-v", "write=off", "-f", "../../deploy/postgres/role.sql")
	if out, err := psql.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	pgtest.Query(t, s, database, `ALTER ROLE "by hand" PASSWORD '`+password+`'`)
	c := connect(t, s, "by hand")
	runs(t, c, "SELECT * FROM orders")
	for _, sql := range []string{"DELETE FROM orders", "CREATE TABLE mine (id int)", "CREATE TEMP TABLE mine (id int)", "DO $$ BEGIN END $$", "SELECT * FROM app.settings", "TRUNCATE orders"} {
		refused(t, c, sql)
	}
}

// hostileNames are what somebody who may create objects might call them. The
// script is run by a superuser.
const hostileNames = `
CREATE SCHEMA "s"";DROP TABLE public.orders CASCADE;--";
CREATE TABLE "s"";DROP TABLE public.orders CASCADE;--"."t
DROP TABLE public.orders CASCADE;--" (id int, "c"");DROP TABLE public.orders CASCADE;--" text, "d
DROP TABLE public.orders CASCADE;--" text);
CREATE TABLE "t';$$;DROP TABLE public.orders CASCADE;--" (id int);
CREATE FOREIGN TABLE "x
DROP TABLE public.orders CASCADE;--" (id int) SERVER far;
CREATE VIEW "v
DROP TABLE public.orders CASCADE;--" AS SELECT ssn FROM customers;
CREATE FUNCTION "f
DROP TABLE public.orders CASCADE;--"("t';$$;DROP TABLE public.orders CASCADE;--") RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE ROLE "g
DROP TABLE public.orders CASCADE;--" LOGIN;
GRANT "g
DROP TABLE public.orders CASCADE;--" TO agent;
`

func TestNamesInTheScriptAreOnlyNames(t *testing.T) {
	s := start(t)
	pgtest.Query(t, s, database, hostileNames)
	for _, o := range []setup.Options{
		{Role: "agent", Masked: true, Withheld: []string{"public.customers.ssn", `"s"";DROP TABLE public.orders CASCADE;--"."t
DROP TABLE public.orders CASCADE;--"."c"");DROP TABLE public.orders CASCADE;--"`}},
		{Role: `r"; DROP TABLE public.orders CASCADE; --'`, Write: true},
	} {
		pgtest.Query(t, s, database, planned(t, s, o).Script())
		if left := planned(t, s, o).Findings(); len(left) > 0 {
			t.Errorf("still found: %+v", left)
		}
	}
	if rows := pgtest.Query(t, s, database, "SELECT count(*) FROM orders"); rows[0][0] != "5" {
		t.Errorf("orders has %v rows", rows)
	}
}

// everySort makes agent own objects of every sort.
const everySort = `
GRANT CREATE ON DATABASE corpus TO agent;
SET ROLE agent;
CREATE SCHEMA mine;
CREATE EXTENSION citext SCHEMA mine;
CREATE TABLE mine.t (id serial, n int, name text);
CREATE SEQUENCE mine.s;
CREATE VIEW mine.v AS SELECT 1 AS x;
CREATE FUNCTION mine.f(int, VARIADIC text[]) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE PROCEDURE mine.p(INOUT x int, y text) LANGUAGE sql AS 'SELECT 1';
CREATE AGGREGATE mine.a(text) (SFUNC = textcat, STYPE = text);
CREATE TYPE mine.e AS ENUM ('x');
CREATE TYPE mine.c AS (x int);
CREATE TYPE mine.r AS RANGE (SUBTYPE = float8);
CREATE DOMAIN mine.d AS int;
CREATE FUNCTION mine.plus(mine.c, mine.c) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE OPERATOR mine.+ (LEFTARG = mine.c, RIGHTARG = mine.c, FUNCTION = mine.plus);
CREATE COLLATION mine.coll FROM "C";
CREATE STATISTICS mine.st ON id, n FROM mine.t;
CREATE TEXT SEARCH DICTIONARY mine.dict (TEMPLATE = pg_catalog.simple);
CREATE TEXT SEARCH CONFIGURATION mine.conf (COPY = pg_catalog.simple);
CREATE PUBLICATION pub;
SELECT lo_create(777);
RESET ROLE;
CREATE AGGREGATE mine.o(float8 ORDER BY anyelement) (SFUNC = pg_catalog.ordered_set_transition, STYPE = internal, FINALFUNC = pg_catalog.percentile_disc_final, FINALFUNC_EXTRA);
ALTER AGGREGATE mine.o(float8 ORDER BY anyelement) OWNER TO agent;
ALTER SERVER far OWNER TO agent;
ALTER FOREIGN TABLE remote_orders OWNER TO agent;
`

func TestEverySortOfOwnedObjectIsTakenAway(t *testing.T) {
	s := start(t)
	pgtest.Query(t, s, database, everySort)
	o := setup.Options{Role: "agent"}
	pgtest.Query(t, s, database, planned(t, s, o).Script())
	if left := planned(t, s, o).Findings(); len(left) > 0 {
		t.Errorf("still found: %+v", left)
	}
	rows := pgtest.Query(t, s, database, `SELECT pg_describe_object(classid, objid, objsubid) FROM pg_shdepend WHERE deptype = 'o' AND refobjid = 'agent'::regrole`)
	if len(rows) > 0 {
		t.Errorf("agent still owns %v", rows)
	}
}
