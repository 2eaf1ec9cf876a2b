package pgtest

import (
	"context"
	"testing"

	"github.com/sallyport-gateway/sallyport/internal/pgserver"
)

// Start runs a server for the test, stops it at the test's end, and fails the
// test if either goes wrong. When the test failed, the end of the server's log
// is in the test's output.
func Start(t testing.TB, o pgserver.Options) *pgserver.Server {
	t.Helper()
	s, err := pgserver.Start(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			logTail(t, s)
		}
		if err := s.Stop(); err != nil {
			t.Errorf("stop PostgreSQL: %v", err)
		}
	})
	return s
}

// Query runs SQL as superuser and returns the rows of the last statement as
// text. An empty database means "postgres".
func Query(t testing.TB, s *pgserver.Server, database, sql string) [][]string {
	t.Helper()
	rows, err := s.Query(context.Background(), database, sql)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return rows
}

func logTail(t testing.TB, s *pgserver.Server) {
	t.Helper()
	text, err := s.Log()
	if err != nil {
		t.Logf("PostgreSQL's log: %v", err)
		return
	}
	const last = 4000
	if len(text) > last {
		text = "…" + text[len(text)-last:]
	}
	t.Logf("PostgreSQL's log:\n%s", text)
}
