package slice_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport-gateway/sallyport/test/clients"
)

// through is how the clients reach the gateway, with a token as the password.
func through(t *testing.T, w *world) clients.Config {
	return clients.Config{Host: "localhost", Port: w.gw.port, Database: "clients", User: role, Password: w.token(t, reporter), CAFile: w.gw.ca,
		RefusedSQL: "DROP TABLE client_item"}
}

func directly(w *world) clients.Config {
	return clients.Config{Host: "localhost", Port: w.pg.Port, Database: "clients", User: role, Password: password, CAFile: w.pg.CAFile}
}

func TestEveryClientGetsTheSameAnswersAsWithoutTheGateway(t *testing.T) {
	w := the(t)
	scenarios := slices.DeleteFunc(clients.AllScenarios(), func(s clients.Scenario) bool { return s == clients.Refused })
	for _, client := range clients.AllClients() {
		t.Run(string(client), func(t *testing.T) {
			config, without := through(t, w), directly(w)
			config.Clients, without.Clients = []clients.Client{client}, []clients.Client{client}
			got, err := clients.Run(context.Background(), config, scenarios...)
			if err != nil {
				t.Fatal(err)
			}
			want, err := clients.Run(context.Background(), without, scenarios...)
			if err != nil {
				t.Fatal(err)
			}
			for i, r := range got {
				t.Run(string(r.Scenario), func(t *testing.T) { sameResult(t, r, want[i]) })
			}
		})
	}
}

func sameResult(t *testing.T, got, want clients.Result) {
	t.Helper()
	if !got.OK {
		t.Errorf("%s (error: %v)", got.Failure, got.Error)
	}
	if !slices.EqualFunc(got.Rows, want.Rows, slices.Equal) {
		t.Errorf("rows %q, directly %q", got.Rows, want.Rows)
	}
	if (got.Error == nil) != (want.Error == nil) || got.Error != nil && got.Error.SQLState != want.Error.SQLState {
		t.Errorf("error %v, directly %v", got.Error, want.Error)
	}
	if !slices.Equal(got.Notices, want.Notices) {
		t.Errorf("notices %q, directly %q", got.Notices, want.Notices)
	}
}

func TestEveryClientGoesOnAfterARefusal(t *testing.T) {
	w := the(t)
	results, err := clients.Run(context.Background(), through(t, w), clients.Refused)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range results {
		t.Run(string(r.Client), func(t *testing.T) {
			if !r.OK || r.Error == nil || !strings.Contains(r.Error.Message, "No schema changes here") ||
				!strings.Contains(r.Error.Detail, "rule=open/no-schema-changes") {
				t.Errorf("%s; error %v", r.Failure, r.Error)
			}
		})
	}
}

// ordinary are statements of everyday work, on the tables of the scenarios.
var ordinary = []string{
	"SELECT 1 AS a, NULL::text AS b, 'x''y' AS c, 1.50::numeric(10,2)",
	"SELECT count(*), sum(amount), min(made), max(name) FROM client_item",
	"SELECT name, length(name), upper(name) FROM client_item ORDER BY id DESC LIMIT 2 OFFSET 1",
	"SELECT i.name, b.filler FROM client_item i JOIN client_big b USING (id) ORDER BY i.id",
	"WITH x AS (SELECT id FROM client_item WHERE id > 1) SELECT sum(id) FROM x",
	"SELECT id, row_number() OVER (ORDER BY id DESC) FROM client_item ORDER BY id",
	"SELECT id, name, amount, made, doc, numbers, tags, note FROM client_item WHERE id = 1",
	"SELECT generate_series(1, 3)",
	"SELECT array_agg(id ORDER BY id) FROM client_item",
	"SELECT doc->>'a' FROM client_item WHERE id = 1",
	"SELECT to_char(made, 'YYYY-MM-DD') FROM client_item WHERE id = 1",
	"SELECT CASE WHEN id = 1 THEN 'one' ELSE 'many' END FROM client_item ORDER BY id",
	"SELECT current_database(), current_user, current_setting('server_version_num')::int > 0",
	"SHOW standard_conforming_strings",
	"SHOW client_encoding",
	"SET TIME ZONE 'Europe/Paris'",
	"SET search_path TO public",
	"EXPLAIN (COSTS OFF) SELECT name FROM client_item WHERE id = 1",
	"VALUES (1, 'a'), (2, 'b')",
	"INSERT INTO client_scratch VALUES ('ordinary', 1, 'a') RETURNING n, t",
	"UPDATE client_scratch SET t = 'b' WHERE client = 'ordinary' RETURNING t",
	"DELETE FROM client_scratch WHERE client = 'ordinary' RETURNING n",
	"SELECT nonsense FROM client_item",
	"selec 1",
	"SELECT 1/0",
	"SELECT 'a'::int",
	"SELECT 1; SELECT 'b'::int",
	"INSERT INTO client_scratch (client, n) VALUES (NULL, 1)",
	"BEGIN", "SAVEPOINT a", "SELECT 1/0", "ROLLBACK TO a", "SELECT 2", "COMMIT",
	"BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY", "INSERT INTO client_scratch VALUES ('x', 1, 'x')", "END",
	"", ";", "-- nothing", "/* nothing */ SELECT 3 -- more",
}

func TestOrdinaryStatementsAnswerAsWithoutTheGateway(t *testing.T) {
	w := the(t)
	config, without := through(t, w), directly(w)
	for _, c := range []*clients.Config{&config, &without} {
		c.Statements = ordinary
		c.Clients = []clients.Client{clients.Psycopg2, clients.Node, clients.PGX}
	}
	got, err := clients.Run(context.Background(), config, clients.Statements)
	if err != nil {
		t.Fatal(err)
	}
	want, err := clients.Run(context.Background(), without, clients.Statements)
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range got {
		t.Run(string(r.Client), func(t *testing.T) {
			if len(r.Steps) != len(want[i].Steps) {
				t.Fatalf("%d answers, directly %d: %s", len(r.Steps), len(want[i].Steps), r.Failure)
			}
			for j, step := range r.Steps {
				direct := want[i].Steps[j]
				if !slices.EqualFunc(step.Rows, direct.Rows, slices.Equal) {
					t.Errorf("%s: rows %q, directly %q", ordinary[j], step.Rows, direct.Rows)
				}
				if step.Error.String() != direct.Error.String() {
					t.Errorf("%s: %v, directly %v", ordinary[j], step.Error, direct.Error)
				}
			}
		})
	}
}
