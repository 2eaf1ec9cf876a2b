package pgserver

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// maxLog bounds what Log returns: 64 MiB is more than a test server writes.
const maxLog = 64 << 20

// Exec runs SQL, of one or several statements, as superuser. An empty database
// means "postgres".
func (s *Server) Exec(ctx context.Context, database, sql string) error {
	_, err := s.Query(ctx, database, sql)
	return err
}

// Query runs SQL, of one or several statements, as superuser over the unix
// socket, and returns the rows of the last statement as text; SQL null is "".
func (s *Server) Query(ctx context.Context, database, sql string) ([][]string, error) {
	conn, err := s.connect(ctx, database)
	if err != nil {
		return nil, err
	}
	defer func() {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		_ = conn.Close(closing)
	}()
	results, err := conn.Exec(ctx, sql).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("run SQL as superuser: %w", err)
	}
	if len(results) == 0 {
		return nil, nil
	}
	var rows [][]string
	for _, row := range results[len(results)-1].Rows {
		text := make([]string, len(row))
		for i, value := range row {
			text[i] = string(value)
		}
		rows = append(rows, text)
	}
	return rows, nil
}

func (s *Server) connect(ctx context.Context, database string) (*pgconn.PgConn, error) {
	if database == "" {
		database = "postgres"
	}
	// Given as settings, not as a URL: nothing needs escaping but spaces, and the
	// PG… variables of the caller cannot change host, port, user or database.
	config, err := pgconn.ParseConfig("sslmode=disable")
	if err != nil {
		return nil, err
	}
	config.Host, config.Port = s.Socket, uint16(s.Port)
	config.User, config.Database, config.Password = Superuser, database, ""
	config.Fallbacks = nil
	return pgconn.ConnectConfig(ctx, config)
}

// Log is what the server has written to its log so far.
func (s *Server) Log() (string, error) {
	f, err := os.Open(s.LogFile)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	text, err := io.ReadAll(io.LimitReader(f, maxLog))
	return string(text), err
}

// logTail is the end of the log, for errors.
func (s *Server) logTail() string {
	text, err := s.Log()
	if err != nil {
		return err.Error()
	}
	const last = 2000
	if len(text) > last {
		text = "…" + text[len(text)-last:]
	}
	return text
}
