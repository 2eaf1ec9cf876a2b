package store

import (
	"context"
	"crypto/rand"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"time"

	"modernc.org/sqlite" // the driver "sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

//go:embed migrations/*.sql
var migrations embed.FS

const (
	// applicationID marks the file as a Sallyport state ("SaPo"), so that a path
	// to some other database is not migrated.
	applicationID = 0x5361506f
	// busyTimeout is how long a transaction waits for another process.
	busyTimeout = 5 * time.Second
	// readers bounds the connections for reading; each costs about 300 KiB.
	readers = 4
	// cacheKiB is the page cache of each connection. The state is small, and
	// the kernel caches it as well.
	cacheKiB = 256
)

// database is a SQLite file: one connection that writes, and some that read.
type database struct {
	w, r *sql.DB
}

func openSQLite(ctx context.Context, path string) (_ *State, err error) {
	if path, err = prepareFile(path); err != nil {
		return nil, err
	}
	db := &database{}
	defer func() {
		if err != nil {
			_ = db.close()
		}
	}()
	if db.w, err = sql.Open("sqlite", dsn(path, "journal_mode(WAL)", "synchronous(FULL)")); err != nil {
		return nil, err
	}
	db.w.SetMaxOpenConns(1)
	id, err := db.migrate(ctx, migrations)
	for began := time.Now(); busy(err) && time.Since(began) < busyTimeout; id, err = db.migrate(ctx, migrations) {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
	if err != nil {
		return nil, err
	}
	if db.r, err = sql.Open("sqlite", dsn(path, "query_only(1)")); err != nil {
		return nil, err
	}
	db.r.SetMaxOpenConns(readers)
	db.r.SetMaxIdleConns(1)
	return &State{
		ID: id, Requests: requests{db}, Secrets: secrets{db}, Revocations: revocations{db}, Changes: changes{db}, Spending: spending{db},
		close: db.close,
	}, nil
}

// busy reports whether another process was in the way. While one changes the journal's
// mode, or ends as the last one, SQLite does not wait for it (sqlite3_busy_handler,
// "deadlock").
func busy(err error) bool {
	var e *sqlite.Error
	return errors.As(err, &e) && e.Code()&0xff == sqlite3.SQLITE_BUSY
}

// dsn names the file and what holds for every connection. Double-quoted string
// literals and a schema that calls functions are switched off: both are old
// gifts to somebody who can write the file.
func dsn(path string, pragmas ...string) string {
	q := url.Values{"_txlock": {"immediate"}, "_dqs": {"0"}, "_defensive": {"1"}}
	for _, p := range append([]string{
		fmt.Sprintf("busy_timeout(%d)", busyTimeout.Milliseconds()),
		fmt.Sprintf("cache_size(-%d)", cacheKiB),
		"trusted_schema(0)", "cell_size_check(1)", "secure_delete(1)", "journal_size_limit(4194304)",
	}, pragmas...) {
		q.Add("_pragma", p)
	}
	return (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: q.Encode()}).String()
}

// prepareFile makes the folder and the file, or checks them. SQLite gives the
// files beside it (-wal, -shm) the mode of the file itself.
func prepareFile(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	info, err := os.Stat(dir)
	if err != nil {
		return "", err
	}
	if perm := info.Mode().Perm(); perm&0o022 != 0 {
		return "", fmt.Errorf("the folder %s has mode %04o, so that others can put files into it: chmod go-w it", dir, perm)
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err == nil {
		return path, f.Close()
	}
	if !errors.Is(err, fs.ErrExist) {
		return "", err
	}
	for _, name := range []string{path, path + "-wal", path + "-shm"} {
		info, err := os.Lstat(name)
		switch {
		case errors.Is(err, fs.ErrNotExist) && name != path:
			continue
		case err != nil:
			return "", err
		case !info.Mode().IsRegular():
			return "", fmt.Errorf("%s is not a regular file", name)
		case info.Mode().Perm()&0o077 != 0:
			return "", fmt.Errorf("%s has mode %04o, so that others can read or change it: chmod 600 it", name, info.Mode().Perm())
		}
	}
	return path, nil
}

func (db *database) close() error {
	var errs []error
	for _, one := range []*sql.DB{db.r, db.w} {
		if one != nil {
			errs = append(errs, one.Close())
		}
	}
	return errors.Join(errs...)
}

// migrate brings the file to the newest version, in one transaction, and returns
// the state's id. Versions only go forward.
func (db *database) migrate(ctx context.Context, from fs.FS) (id string, err error) {
	files, err := fs.Glob(from, "migrations/*.sql")
	if err != nil {
		return "", err
	}
	slices.Sort(files)
	err = db.write(ctx, func(tx *sql.Tx) error {
		var version, app, tables int
		err := tx.QueryRowContext(ctx, `SELECT (SELECT user_version FROM pragma_user_version),
			(SELECT application_id FROM pragma_application_id), (SELECT count(*) FROM sqlite_schema)`).
			Scan(&version, &app, &tables)
		switch {
		case err != nil:
			return err
		case version > len(files) && app == applicationID:
			return fmt.Errorf("schema version %d, this release knows %d: %w", version, len(files), ErrNewer)
		case tables > 0 && app != applicationID:
			return errors.New("it is a database of something else")
		}
		for i := version; i < len(files); i++ {
			text, err := fs.ReadFile(from, files[i])
			if err != nil {
				return err
			}
			if _, err := tx.ExecContext(ctx, string(text)); err != nil {
				return fmt.Errorf("migration %s: %w", files[i], err)
			}
		}
		if version < len(files) {
			// PRAGMA takes no parameters; both values are ours.
			mark := fmt.Sprintf("PRAGMA user_version = %d; PRAGMA application_id = %d", len(files), applicationID)
			if _, err := tx.ExecContext(ctx, mark); err != nil {
				return err
			}
		}
		if version == 0 {
			if _, err := tx.ExecContext(ctx, `INSERT INTO state (id, made_at) VALUES (?, ?)`,
				"state_"+rand.Text(), micros(time.Now())); err != nil {
				return err
			}
		}
		return tx.QueryRowContext(ctx, `SELECT id FROM state`).Scan(&id)
	})
	return id, err
}

// write runs f in a transaction that holds the write lock from its beginning.
// When it returns nil, what f wrote is on the disk.
func (db *database) write(ctx context.Context, f func(tx *sql.Tx) error) error {
	tx, err := db.w.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := f(tx); err != nil {
		_ = tx.Rollback() // the error of f says more
		return err
	}
	return tx.Commit()
}

// micros is the form that times are kept in.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func fromMicros(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.UnixMicro(n).UTC()
}
