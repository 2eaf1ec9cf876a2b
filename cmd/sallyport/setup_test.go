//go:build cgo

package main

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/sallyport-gateway/sallyport/internal/pgserver"
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
