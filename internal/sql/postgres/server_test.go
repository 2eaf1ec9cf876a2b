package postgres

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/sallyport-gateway/sallyport/internal/sql/postgres/parse"
)

// server is a private PostgreSQL for the tests of this package.
type server struct {
	port int
	dir  string
}

// databases of the server.
const (
	database = "corpus"     // the corpus schema
	twin     = "corpus_alt" // the same with other secrets
)

var theServer *server

func TestMain(m *testing.M) {
	parse.WorkerMain()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "sallyport-postgres-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	s, stop, err := startServer(dir)
	if err != nil {
		fmt.Fprintln(os.Stderr, "start PostgreSQL:", err)
		return 1
	}
	defer stop()
	theServer = s
	return m.Run()
}

// startServer makes a cluster in dir and starts it, not as root.
func startServer(dir string) (*server, func(), error) {
	bins, err := filepath.Glob(cmp.Or(os.Getenv("PGBIN"), "/usr/lib/postgresql/*/bin"))
	if err != nil || len(bins) == 0 {
		return nil, nil, fmt.Errorf("no PostgreSQL in /usr/lib/postgresql: %v", err)
	}
	bin := bins[len(bins)-1]
	attr := &syscall.SysProcAttr{}
	if os.Getuid() == 0 {
		u, err := user.Lookup("postgres")
		if err != nil {
			return nil, nil, err
		}
		uid, _ := strconv.Atoi(u.Uid)
		gid, _ := strconv.Atoi(u.Gid)
		attr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		if err := os.Chown(dir, uid, gid); err != nil {
			return nil, nil, err
		}
	}
	command := func(name string, args ...string) error {
		c := exec.Command(filepath.Join(bin, name), args...)
		c.SysProcAttr, c.Dir = attr, dir
		out, err := c.CombinedOutput()
		if err != nil {
			return fmt.Errorf("%s: %w: %s", name, err, out)
		}
		return nil
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	s := &server{port: l.Addr().(*net.TCPAddr).Port, dir: dir}
	l.Close()
	data := filepath.Join(dir, "data")
	if err := command("initdb", "-D", data, "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C", "--no-sync"); err != nil {
		return nil, nil, err
	}
	options := fmt.Sprintf("-p %d -k %s -c listen_addresses=127.0.0.1 -c fsync=off -c autovacuum=off -c max_connections=30", s.port, dir)
	if err := command("pg_ctl", "-D", data, "-l", filepath.Join(dir, "log"), "-o", options, "-w", "start"); err != nil {
		return nil, nil, err
	}
	stop := func() { _ = command("pg_ctl", "-D", data, "-m", "immediate", "stop") }
	if err := s.seed(); err != nil {
		stop()
		return nil, nil, err
	}
	return s, stop, nil
}

// corpus is where the corpus' own files are.
const corpus = "../../../test/corpus/postgres/"

// seed loads the corpus schema and its twin.
func (s *server) seed() error {
	ctx := context.Background()
	schema, err := os.ReadFile(corpus + "schema.sql")
	if err != nil {
		return err
	}
	alt, err := os.ReadFile(corpus + "twin.sql")
	if err != nil {
		return err
	}
	steps := []struct {
		database string
		sql      []string
	}{
		{"postgres", []string{"CREATE ROLE agent LOGIN", "CREATE ROLE other NOLOGIN", "CREATE DATABASE " + database}},
		{database, splitScript(string(schema))},
		{"postgres", []string{"CREATE DATABASE " + twin + " TEMPLATE " + database}},
		{twin, splitScript(string(alt))},
	}
	for _, step := range steps {
		c, err := s.connect(ctx, step.database, "postgres")
		if err != nil {
			return err
		}
		for _, sql := range step.sql {
			if _, err := c.Exec(ctx, sql).ReadAll(); err != nil {
				return fmt.Errorf("%s: %w", sql, err)
			}
		}
		c.Close(ctx)
	}
	return nil
}

// splitScript splits a script at lines that end with a semicolon outside
// dollar quotes: VACUUM must be sent alone.
func splitScript(script string) []string {
	var out []string
	var b strings.Builder
	for line := range strings.Lines(script) {
		b.WriteString(line)
		text := strings.TrimSpace(line)
		if at := strings.Index(text, " --"); at >= 0 && !strings.Contains(text[at:], "'") {
			text = strings.TrimSpace(text[:at])
		}
		if strings.HasSuffix(text, ";") && strings.Count(b.String(), "$$")%2 == 0 {
			if strings.HasPrefix(text, "VACUUM") {
				for p := range strings.SplitSeq(b.String(), ";") {
					if strings.TrimSpace(p) != "" {
						out = append(out, p)
					}
				}
			} else {
				out = append(out, b.String())
			}
			b.Reset()
		}
	}
	return out
}

func (s *server) connect(ctx context.Context, db, role string) (*pgconn.PgConn, error) {
	c, err := pgconn.ParseConfig(fmt.Sprintf("host=127.0.0.1 port=%d dbname=%s user=%s sslmode=disable application_name=corpus", s.port, db, role))
	if err != nil {
		return nil, err
	}
	return pgconn.ConnectConfig(ctx, c)
}

// connected is a connection as the superuser, to the end of the test.
func connected(t *testing.T, db string) *pgconn.PgConn {
	t.Helper()
	conn, err := theServer.connect(context.Background(), db, "postgres")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

// querier is a Querier over a connection of pgconn.
type querier struct{ *pgconn.PgConn }

func (q querier) Query(ctx context.Context, sql string, row func([][]byte) error) error {
	r := q.Exec(ctx, sql)
	for r.NextResult() {
		for r.ResultReader().NextRow() {
			if row == nil {
				continue
			}
			if err := row(r.ResultReader().Values()); err != nil {
				_ = r.Close()
				return err
			}
		}
	}
	return r.Close()
}

// answer is everything that a server sent for some statements, in order.
type answer struct {
	text  string
	tags  []string
	err   *pgconn.PgError
	fatal error
}

// ask sends one simple query and writes down every message.
func ask(t *testing.T, c *pgconn.PgConn, sql string) answer {
	t.Helper()
	ctx := context.Background()
	var a answer
	var b strings.Builder
	f := c.Frontend()
	f.SendQuery(&pgproto3.Query{String: sql})
	if err := f.Flush(); err != nil {
		return answer{fatal: err}
	}
	for {
		m, err := c.ReceiveMessage(ctx)
		if err != nil {
			a.fatal = err
			return a
		}
		switch m := m.(type) {
		case *pgproto3.ReadyForQuery:
			a.text = b.String()
			return a
		case *pgproto3.RowDescription:
			for _, d := range m.Fields {
				fmt.Fprintf(&b, "T %s %d\n", d.Name, d.DataTypeOID)
			}
		case *pgproto3.DataRow:
			fmt.Fprintf(&b, "D")
			for _, v := range m.Values {
				if v == nil {
					b.WriteString(" NULL")
				} else {
					fmt.Fprintf(&b, " %q", v)
				}
			}
			b.WriteByte('\n')
		case *pgproto3.CommandComplete:
			a.tags = append(a.tags, string(m.CommandTag))
			fmt.Fprintf(&b, "C %s\n", m.CommandTag)
		case *pgproto3.CopyData:
			fmt.Fprintf(&b, "d %q\n", m.Data)
		case *pgproto3.CopyInResponse:
			f.Send(&pgproto3.CopyDone{})
			if err := f.Flush(); err != nil {
				return answer{fatal: err}
			}
		case *pgproto3.ErrorResponse:
			a.err = pgconn.ErrorResponseToPgError(m)
			fmt.Fprintf(&b, "E %s\n", m.Code) // the wire loop words the rest
		}
	}
}
