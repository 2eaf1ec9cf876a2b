//go:build cgo

package main

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	pg_query "github.com/pganalyze/pg_query_go/v6"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/sallyport-gateway/sallyport/internal/gate"
	"github.com/sallyport-gateway/sallyport/internal/pgserver"
	"github.com/sallyport-gateway/sallyport/internal/setup"
	sql "github.com/sallyport-gateway/sallyport/internal/sql/postgres"
	"github.com/sallyport-gateway/sallyport/internal/sql/postgres/parse"
	"github.com/sallyport-gateway/sallyport/test/pgtest"
)

const shopSchema = `
CREATE TABLE customers (id int PRIMARY KEY, name text, ssn text, email text, api_token text);
CREATE FUNCTION wipe() RETURNS int LANGUAGE sql AS 'DELETE FROM customers; SELECT 1';
CREATE FUNCTION total() RETURNS bigint LANGUAGE sql STABLE AS 'SELECT count(*) FROM customers';
CREATE VIEW nightly AS SELECT wipe() AS n;
CREATE VIEW names AS SELECT name FROM customers;
GRANT ALL ON ALL TABLES IN SCHEMA public TO agent;
`

// TestSetupAndInspectReadARealTarget runs testdata/setup: the real command line
// against a real PostgreSQL.
func TestSetupAndInspectReadARealTarget(t *testing.T) {
	s := pgtest.Start(t, pgserver.Options{
		NoTLS: true, Roles: []pgserver.Role{{Name: "agent", Password: "canary-77aa"}},
		Databases: []pgserver.Database{{Name: "shop"}}, Scripts: []pgserver.Script{{Database: "shop", SQL: shopSchema}},
	})
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/setup",
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("PG_ADDRESS", s.Address())
			env.Setenv("AGENT_PASSWORD", "canary-77aa")
			return os.Mkdir(filepath.Join(env.WorkDir, "data"), 0o700)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits,
			// superuser runs a file of SQL.
			"superuser": func(ts *testscript.TestScript, _ bool, args []string) {
				ts.Check(s.Exec(context.Background(), "shop", ts.ReadFile(args[0])))
			},
			// expand puts environment variables into a file.
			"expand": func(ts *testscript.TestScript, _ bool, args []string) {
				ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(os.Expand(ts.ReadFile(args[0]), ts.Getenv)), 0o600))
			},
		},
	})
}

// direct runs the gateway's own queries on a plain connection.
type direct struct{ pg *pgconn.PgConn }

func (d direct) Query(ctx context.Context, text string, row func([][]byte) error) error {
	results, err := d.pg.Exec(ctx, text).ReadAll()
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

// TestMaskedStatementsRunWithoutTheWithheldColumns takes SELECT on a column away
// and runs what the gateway makes of statements on its table.
func TestMaskedStatementsRunWithoutTheWithheldColumns(t *testing.T) {
	s := pgtest.Start(t, pgserver.Options{
		NoTLS: true, Roles: []pgserver.Role{{Name: "agent", Password: "canary-77aa"}},
		Databases: []pgserver.Database{{Name: "shop"}}, Scripts: []pgserver.Script{{Database: "shop", SQL: shopSchema + `
			INSERT INTO customers VALUES (1, 'Alice', '078-05-1120', 'alice@example.com', 'x');`}},
	})
	pg, err := pgconn.Connect(t.Context(), s.URL("shop", "agent", "canary-77aa"))
	if err != nil {
		t.Fatal(err)
	}
	defer pg.Close(context.Background())
	marks := map[string][]string{"secret": {"public.customers.ssn"}, "pii": {"public.customers.email"}}
	o := setup.Options{Write: true, Masked: true, Withheld: marks["secret"]}
	audit, err := setup.Read(t.Context(), direct{pg}, o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := pg_query.Parse(audit.Script()); err != nil {
		t.Errorf("PostgreSQL 17 does not parse the script: %v", err)
	}
	pgtest.Query(t, s, "shop", audit.Script())
	if _, err := pg.Exec(t.Context(), "SELECT ssn FROM customers").ReadAll(); err == nil {
		t.Fatal("the column can still be read")
	}
	catalog, err := sql.LoadCatalog(t.Context(), direct{pg})
	if err != nil {
		t.Fatal(err)
	}
	inspector, err := sql.NewInspector(t.Context(), catalog, sql.Options{Parser: parse.Direct{}, Database: "shop", Marks: marks})
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		"SELECT * FROM customers", "SELECT id, ssn, email FROM customers c WHERE name = 'Alice'", "SELECT count(*) FROM customers", "TABLE customers",
		"SELECT c.name FROM customers c JOIN customers d USING (id)", "COPY customers TO STDOUT", "UPDATE customers SET name = 'Bob' WHERE id = 1",
		"DELETE FROM customers WHERE id = 2", "INSERT INTO customers (id, name, ssn) VALUES (3, 'Carol', '1')", "UPDATE customers SET name = 'Bob' WHERE id = 1 RETURNING id, name",
	} {
		var buf sql.Buffer
		in, err := inspector.Inspect(t.Context(), &sql.Env{SearchPath: []string{"public"}, Database: "shop"}, text, &buf)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		sent, err := in.AppendSQL(nil, gate.Masks{"secret": sql.MaskNull, "pii": gate.MaskRedact})
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if _, err := pg.Exec(t.Context(), string(sent)).ReadAll(); err != nil {
			t.Errorf("%s is sent as %s: %v", text, sent, err)
		}
	}
}
