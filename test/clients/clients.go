package clients

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// Client names a client.
type Client string

// The clients.
const (
	PSQL     Client = "psql"
	PGX      Client = "pgx"
	Psycopg2 Client = "psycopg2"
	JDBC     Client = "jdbc"
	Node     Client = "node"
)

// AllClients returns the five clients.
func AllClients() []Client { return []Client{PSQL, PGX, Psycopg2, JDBC, Node} }

// Config says where the clients connect and with what.
type Config struct {
	Host     string
	Port     int
	Database string
	User     string
	// Password is the password or token; up to 4 KiB is what tokens need.
	Password string
	// CAFile is the PEM file that the server's certificate is verified with, for
	// Host as its name.
	CAFile string
	// Clients are the clients to run; nil means all.
	Clients []Client
	// SlowSQL is the query that scenario Cancel cancels; empty means
	// "SELECT pg_sleep(30)".
	SlowSQL string
	// RefusedSQL is the statement that scenario Refused expects to fail with
	// SQLSTATE 42501; empty means a table of [Schema] that the role may not read.
	RefusedSQL string
	// Statements are what scenario Statements runs, one after the other, going on
	// after errors.
	Statements []string
	// Timeout bounds one client's whole run; zero means two minutes.
	Timeout time.Duration
}

// Result is what came of one scenario with one client.
type Result struct {
	Client   Client   `json:"client"`
	Scenario Scenario `json:"scenario"`
	// OK is true if the scenario did all that it must and its rows are the wanted
	// ones.
	OK bool `json:"ok"`
	// Unsupported says why the client cannot play the scenario at all; OK is then
	// true, and nothing was proved.
	Unsupported string `json:"unsupported,omitempty"`
	// Rows are the rows that the scenario is judged by, as text; null is "NULL".
	Rows [][]string `json:"rows,omitempty"`
	// Steps are the answers of scenario Statements, one per statement.
	Steps []Step `json:"steps,omitempty"`
	// Error is the server's error that the scenario looked for (Refused, Cancel) or
	// failed with, as the client shows it.
	Error *ServerError `json:"error,omitempty"`
	// Notices are the notices that arrived, each "SEVERITY: message".
	Notices []string `json:"notices,omitempty"`
	// Failure says what went wrong; empty when OK.
	Failure string `json:"failure,omitempty"`
}

// Step is the answer to one statement.
type Step struct {
	Rows  [][]string   `json:"rows,omitempty"`
	Error *ServerError `json:"error,omitempty"`
}

// ServerError is an ErrorResponse as the client reports it.
type ServerError struct {
	SQLState string `json:"sqlstate"`
	Message  string `json:"message"`
	Detail   string `json:"detail,omitempty"`
	Hint     string `json:"hint,omitempty"`
}

// String is the error in one line.
func (e *ServerError) String() string {
	if e == nil {
		return "no error"
	}
	return fmt.Sprintf("%s: %s (detail %q, hint %q)", e.SQLState, e.Message, e.Detail, e.Hint)
}

// Run plays the scenarios (none means all but Statements) with every configured
// client, one client after the other, and returns one result for each pair. The
// error is about the machinery: a client that is not installed, a program that
// crashed. What the server did is in the results.
func Run(ctx context.Context, c Config, scenarios ...Scenario) ([]Result, error) {
	if len(scenarios) == 0 {
		scenarios = AllScenarios()
	}
	c = c.withDefaults()
	var all []Result
	for _, client := range c.Clients {
		results, err := runClient(ctx, c, client, scenarios)
		if err != nil {
			return all, fmt.Errorf("client %s: %w", client, err)
		}
		for _, s := range scenarios {
			i := slices.IndexFunc(results, func(r Result) bool { return r.Scenario == s })
			if i < 0 {
				return all, fmt.Errorf("client %s: no result for scenario %s", client, s)
			}
			all = append(all, judge(client, results[i]))
		}
	}
	return all, nil
}

func (c Config) withDefaults() Config {
	if c.Clients == nil {
		c.Clients = AllClients()
	}
	if c.SlowSQL == "" {
		c.SlowSQL = "SELECT pg_sleep(30)"
	}
	if c.RefusedSQL == "" {
		c.RefusedSQL = "SELECT secret FROM client_secret"
	}
	if c.Timeout == 0 {
		c.Timeout = 2 * time.Minute
	}
	return c
}

func runClient(ctx context.Context, c Config, client Client, scenarios []Scenario) ([]Result, error) {
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	switch client {
	case PSQL:
		return runPSQL(ctx, c, scenarios)
	case PGX:
		return runPGX(ctx, c, scenarios)
	case Psycopg2, JDBC, Node:
		return runProgram(ctx, c, client, scenarios)
	default:
		return nil, fmt.Errorf("unknown client")
	}
}

// judge completes a result: OK only without a failure and with the wanted rows.
func judge(client Client, r Result) Result {
	r.Client = client
	if r.Failure == "" && r.Unsupported == "" {
		if want, fixed := r.Scenario.want(); fixed && !equalRows(r.Rows, want) {
			r.Failure = fmt.Sprintf("rows %q, want %q", r.Rows, want)
		}
	}
	r.OK = r.Failure == ""
	return r
}

func equalRows(a, b [][]string) bool {
	return slices.EqualFunc(a, b, func(x, y []string) bool { return slices.Equal(x, y) })
}
