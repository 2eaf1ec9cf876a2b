package clients_test

import (
	"context"
	"testing"

	"github.com/sallyport-gateway/sallyport/internal/pgserver"
	"github.com/sallyport-gateway/sallyport/test/clients"
	"github.com/sallyport-gateway/sallyport/test/pgtest"
)

const role, password = "agent", "pa ss'word\"$x"

func start(t *testing.T) clients.Config {
	t.Helper()
	s := pgtest.Start(t, pgserver.Options{
		RequireTLS: true,
		Roles:      []pgserver.Role{{Name: role, Password: password}},
		Databases:  []pgserver.Database{{Name: "orders"}},
		Scripts:    []pgserver.Script{{Database: "orders", SQL: clients.Schema(role)}},
	})
	return clients.Config{Host: "localhost", Port: s.Port, Database: "orders", User: role, Password: password, CAFile: s.CAFile}
}

func TestEveryClientPlaysEveryScenarioAgainstPostgreSQL(t *testing.T) {
	config := start(t)
	for _, client := range clients.AllClients() {
		t.Run(string(client), func(t *testing.T) {
			config := config
			config.Clients = []clients.Client{client}
			results, err := clients.Run(context.Background(), config)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range results {
				t.Run(string(r.Scenario), func(t *testing.T) {
					if !r.OK {
						t.Errorf("%s (error: %v)", r.Failure, r.Error)
					}
					if r.Unsupported != "" {
						t.Logf("not supported: %s", r.Unsupported)
					}
				})
			}
		})
	}
}

func TestEveryClientReportsTheAnswerOfEachStatement(t *testing.T) {
	config := start(t)
	config.Statements = []string{"SELECT 1 AS a, NULL::text AS b", "SELECT secret FROM client_secret", "SELECT 2"}
	results, err := clients.Run(context.Background(), config, clients.Statements)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range results {
		t.Run(string(r.Client), func(t *testing.T) {
			if !r.OK || len(r.Steps) != 3 {
				t.Fatalf("%+v", r)
			}
			if rows := r.Steps[0].Rows; len(rows) != 1 || rows[0][0] != "1" || rows[0][1] != "NULL" {
				t.Errorf("first rows: %q", rows)
			}
			if e := r.Steps[1].Error; e == nil || e.SQLState != "42501" || e.Message != "permission denied for table client_secret" {
				t.Errorf("second error: %v", e)
			}
			if rows := r.Steps[2].Rows; len(rows) != 1 || rows[0][0] != "2" {
				t.Errorf("third rows: %q", rows)
			}
		})
	}
}

func TestEveryClientReportsARefusedLogIn(t *testing.T) {
	config := start(t)
	config.Password = "wrong"
	results, err := clients.Run(context.Background(), config, clients.Connect)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range results {
		t.Run(string(r.Client), func(t *testing.T) {
			if r.OK || r.Error == nil || r.Error.Message == "" {
				t.Errorf("%+v, want a failure with the server's error", r)
			}
		})
	}
}

func TestEveryClientVerifiesTheServersCertificate(t *testing.T) {
	config := start(t)
	config.CAFile = start(t).CAFile // another server's
	results, err := clients.Run(context.Background(), config, clients.Connect)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range results {
		if r.OK {
			t.Errorf("%s trusted a certificate of a foreign CA", r.Client)
		}
	}
}
