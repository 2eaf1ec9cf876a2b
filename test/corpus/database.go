package corpus

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/sallyport-gateway/sallyport/internal/pgserver"
)

// The roles that the gateway logs in with.
const (
	roleAgent = "agent"    // over-privileged, as met in practice
	roleSuper = "agent_su" // superuser
)

// The scratch database and the templates that it is copied from.
const (
	databaseName = "corpus"
	templateName = "corpus_tpl"
	twinName     = "corpus_tpl_alt"
)

//go:embed postgres/schema.sql
var schemaSQL string

//go:embed postgres/twin.sql
var twinSQL string

//go:embed postgres/cases.jsonl
var publicCases []byte

//go:embed postgres/more.jsonl
var moreCases []byte

// OwnCases are the project's own cases. port is that of the direct server.
func OwnCases(port int) ([]Case, error) {
	return ReadCases(slices.Concat(publicCases, []byte("\n"), moreCases), port)
}

// Database is a private PostgreSQL with the templates of the corpus. Everybody
// on loopback is trusted.
type Database struct {
	server *pgserver.Server
	dir    string // to remove; empty if the server does it
	copied string // the end of CREATE DATABASE
	// Release is the server's major version.
	Release int
}

// StartDatabase starts the server and makes the templates. The caller stops it
// with [Database.Stop].
func StartDatabase(ctx context.Context) (*Database, error) {
	d := &Database{dir: memoryFolder()}
	var err error
	d.server, err = pgserver.Start(ctx, pgserver.Options{Auth: pgserver.AuthTrust, NoTLS: true, Dir: d.dir, Settings: map[string]string{
		"wal_level": "logical", "max_prepared_transactions": "8", "autovacuum": "off", "jit": "off",
	}})
	if err == nil {
		err = d.makeTemplates(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, d.Stop())
	}
	return d, nil
}

// memoryFolder is a new folder in memory; empty without such a file system. A
// database is 300 small files: on disk copying them takes twenty times as long.
func memoryFolder() string {
	dir, err := os.MkdirTemp("/dev/shm", "sallyport-corpus-")
	if err != nil {
		return ""
	}
	return dir
}

// Stop ends the server and removes all that it wrote.
func (d *Database) Stop() error {
	var err error
	if d.server != nil {
		err = d.server.Stop()
	}
	if d.dir != "" {
		err = errors.Join(err, os.RemoveAll(d.dir))
	}
	return err
}

// Address is host:port of the server.
func (d *Database) Address() string { return d.server.Address() }

// Port is the server's port.
func (d *Database) Port() int { return d.server.Port }

// grantSQL gives the agent's role whatever of PostgreSQL's own roles there are:
// pg_checkpoint is new in 15.
const grantSQL = `DO $$
DECLARE r name;
BEGIN
  FOR r IN SELECT rolname FROM pg_roles WHERE rolname IN ('pg_read_server_files', 'pg_write_server_files',
      'pg_execute_server_program', 'pg_signal_backend', 'pg_monitor', 'pg_checkpoint') LOOP
    EXECUTE format('GRANT %I TO agent', r);
  END LOOP;
END $$`

// makeTemplates does what a database administrator did before the gateway came:
// roles that may do too much, and the schema. The twin has the same objects with
// the same OIDs, and other secrets.
func (d *Database) makeTemplates(ctx context.Context) error {
	type script struct{ database, sql string }
	scripts := []script{
		{"", "CREATE ROLE agent LOGIN REPLICATION"},
		{"", grantSQL},
		{"", "CREATE ROLE agent_su LOGIN SUPERUSER"},
		{"", "CREATE ROLE other NOLOGIN"},
		{"", "GRANT other TO agent"},
		{"", "CREATE DATABASE " + templateName},
		{templateName, schemaSQL},
		{"", "CREATE DATABASE " + twinName + " TEMPLATE " + templateName},
	}
	for _, s := range scripts {
		if err := d.server.Exec(ctx, s.database, s.sql); err != nil {
			return fmt.Errorf("%w in %s", err, clip(s.sql))
		}
	}
	if err := d.makeTwin(); err != nil {
		return err
	}
	version, err := d.server.Query(ctx, "", "SHOW server_version_num")
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(version[0][0])
	if err != nil {
		return err
	}
	if d.Release = n / 10000; d.Release >= 15 {
		d.copied = " STRATEGY FILE_COPY" // half the time of WAL_LOG, in memory without fsync
	}
	return nil
}

// makeTwin runs twin.sql in one session (it uses a temporary function), and
// rewrites the tables until no trace of the change is left in them.
func (d *Database) makeTwin() error {
	c, err := connect(login{address: d.Address(), user: pgserver.Superuser, database: twinName})
	if err != nil {
		return err
	}
	defer c.close()
	// What twin.sql vacuums at its end cannot run among other statements.
	changes, vacuum, _ := strings.Cut(twinSQL, "VACUUM")
	for _, sql := range append([]string{changes}, strings.Split("VACUUM"+vacuum, ";")...) {
		if _, err := query(c, sql); err != nil {
			return fmt.Errorf("%w in %s", err, clip(sql))
		}
	}
	for range 2 {
		for _, table := range []string{"customers", "vip_customers", "payments_2025", "payments_2026", "profiles"} {
			if _, err := query(c, "VACUUM FULL "+table); err != nil {
				return err
			}
		}
	}
	_, err = query(c, "ANALYZE")
	return err
}

// login is a direct log-in.
func (d *Database) login(role string) login {
	return login{address: d.Address(), user: role, database: databaseName}
}

// reset makes the scratch database anew, and takes back what a case set for a role
// of the whole server.
func (d *Database) reset(template string) error {
	if _, err := d.admin("postgres", "DROP DATABASE IF EXISTS "+databaseName+" WITH (FORCE)"); err != nil {
		if _, err = d.release(); err != nil {
			return err
		}
		if _, err = d.admin("postgres", "DROP DATABASE IF EXISTS "+databaseName+" WITH (FORCE)"); err != nil {
			return err
		}
	}
	for _, sql := range []string{
		"CREATE DATABASE " + databaseName + " TEMPLATE " + template + d.copied,
		"GRANT ALL ON DATABASE " + databaseName + " TO agent; ALTER DATABASE " + databaseName + " SET work_mem = '4MB'; " +
			"ALTER ROLE " + roleAgent + " RESET ALL; ALTER ROLE " + roleSuper + " RESET ALL; ALTER ROLE ALL RESET ALL",
	} {
		if _, err := d.admin("postgres", sql); err != nil {
			return err
		}
	}
	return nil
}

// release ends what keeps a database from being dropped: prepared transactions
// and replication slots that a case left.
func (d *Database) release() ([][]string, error) {
	gids, err := d.admin("postgres", "SELECT quote_literal(gid) FROM pg_prepared_xacts WHERE database = '"+databaseName+"'")
	for _, row := range gids {
		if err == nil {
			_, err = d.admin(databaseName, "ROLLBACK PREPARED "+row[0])
		}
	}
	if err != nil {
		return nil, err
	}
	return d.admin("postgres", "SELECT pg_terminate_backend(active_pid, 5000) FROM pg_replication_slots WHERE database = '"+databaseName+"' AND active;"+
		"SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = '"+databaseName+"'")
}

// function returns the OID of a function of the scratch database.
func (d *Database) function(signature string) (uint32, error) {
	rows, err := d.admin(databaseName, "SELECT '"+strings.ReplaceAll(signature, "'", "''")+"'::regprocedure::oid")
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseUint(rows[0][0], 10, 32)
	return uint32(n), err
}

// admin runs SQL as superuser over a connection of its own and returns the rows.
func (d *Database) admin(database, sql string) ([][]string, error) {
	c, err := connect(login{address: d.Address(), user: pgserver.Superuser, database: database})
	if err != nil {
		return nil, err
	}
	defer c.close()
	return query(c, sql)
}

// query runs SQL and returns the rows of all statements; NULL is "\N".
func query(c *conn, sql string) ([][]string, error) {
	if c.dead {
		return nil, errors.New(refusal(c.got))
	}
	if err := c.write(appendFrame(nil, 'Q', cstring(sql))); err != nil {
		return nil, err
	}
	got, err := c.until()
	if err != nil {
		return nil, err
	}
	var rows [][]string
	for _, f := range got {
		switch f.typ {
		case 'E':
			return nil, errors.New(refusal([]frame{f}))
		case 'D':
			fields, err := dataFields(f.body)
			if err != nil {
				return nil, err
			}
			var row []string
			for _, v := range fields {
				if v == nil {
					v = []byte(`\N`)
				}
				row = append(row, string(v))
			}
			rows = append(rows, row)
		}
	}
	if c.dead {
		return nil, errors.New("the connection was lost")
	}
	return rows, nil
}

func sortedKeys(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }

// moduleRoot is the folder of go.mod, upwards from here.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("no go.mod here or above: run within the repository")
		}
		dir = parent
	}
}
