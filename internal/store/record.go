package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/sallyport-gateway/sallyport/internal/vault"
)

// secrets implements vault.Store.
type secrets struct{ db *database }

// PutSealed implements vault.Store.
func (s secrets) PutSealed(ctx context.Context, c vault.Sealed) error {
	return s.db.write(ctx, func(tx *sql.Tx) error {
		var last int64
		err := tx.QueryRowContext(ctx, `SELECT version FROM credential WHERE name = ?`, c.Name).Scan(&last)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if c.Version != last+1 {
			return vault.ErrConflict
		}
		_, err = tx.ExecContext(ctx, `INSERT OR REPLACE INTO credential
			(name, version, username, key_id, wrapped_key, ciphertext, who, at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
			c.Name, c.Version, c.Username, c.KeyID, c.WrappedKey, c.Ciphertext, c.Who, micros(c.At))
		return err
	})
}

// Sealed implements vault.Store.
func (s secrets) Sealed(ctx context.Context, name string) (vault.Sealed, error) {
	c := vault.Sealed{Name: name}
	var at int64
	err := s.db.r.QueryRowContext(ctx, `SELECT version, username, key_id, wrapped_key, ciphertext, who, at
		FROM credential WHERE name = ?`, name).
		Scan(&c.Version, &c.Username, &c.KeyID, &c.WrappedKey, &c.Ciphertext, &c.Who, &at)
	if errors.Is(err, sql.ErrNoRows) {
		return vault.Sealed{}, vault.ErrNotFound
	}
	if err != nil {
		return vault.Sealed{}, err
	}
	if c.Ciphertext == nil {
		return vault.Sealed{Name: name, Version: c.Version}, vault.ErrNotFound
	}
	c.At = fromMicros(at)
	return c, nil
}

// ListSealed implements vault.Store.
func (s secrets) ListSealed(ctx context.Context) ([]vault.Sealed, error) {
	rows, err := s.db.r.QueryContext(ctx, `SELECT name, version, username, key_id, who, at
		FROM credential WHERE ciphertext IS NOT NULL ORDER BY name`)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var all []vault.Sealed
	for rows.Next() {
		var c vault.Sealed
		var at int64
		if err := rows.Scan(&c.Name, &c.Version, &c.Username, &c.KeyID, &c.Who, &at); err != nil {
			return nil, err
		}
		c.At = fromMicros(at)
		all = append(all, c)
	}
	return all, rows.Err()
}

// DeleteSealed implements vault.Store.
func (s secrets) DeleteSealed(ctx context.Context, name, who string, at time.Time) error {
	return s.db.write(ctx, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, `UPDATE credential SET wrapped_key = NULL, ciphertext = NULL, who = ?, at = ?
			WHERE name = ? AND ciphertext IS NOT NULL`, who, micros(at), name)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return errors.Join(err, vault.ErrNotFound)
		}
		return nil
	})
}

// revocations implements Revocations.
type revocations struct{ db *database }

// liftPrefix marks the kind of a row that lifts those of the same kind without it.
const liftPrefix = "lift-"

// Revoke implements Revocations. What a lift has ended is deleted before it could lend
// its end to a revocation that is made later.
func (s revocations) Revoke(ctx context.Context, r Revocation) error {
	if r.Kind == "" || r.Value == "" {
		return errors.New("revoke: nothing is named")
	}
	kind := r.Kind
	if r.Lift {
		kind, r.Until = liftPrefix+kind, time.Time{}
	}
	return s.db.write(ctx, func(tx *sql.Tx) error {
		if !r.Lift {
			if err := deleteLifted(ctx, tx, r); err != nil {
				return err
			}
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO revocation (kind, issuer, value, who, why, at, until)
			VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (kind, issuer, value) DO UPDATE SET
			who = excluded.who, why = excluded.why, at = max(at, excluded.at),
			until = CASE WHEN until = 0 OR excluded.until = 0 THEN 0 ELSE max(until, excluded.until) END`,
			kind, r.Issuer, r.Value, r.Who, r.Why, micros(r.At), micros(r.Until))
		if err != nil || !r.Lift {
			return err
		}
		return deleteLifted(ctx, tx, r)
	})
}

func deleteLifted(ctx context.Context, tx *sql.Tx, r Revocation) error {
	_, err := tx.ExecContext(ctx, `DELETE FROM revocation WHERE kind = ?1 AND issuer = ?2 AND value = ?3
		AND at <= (SELECT at FROM revocation WHERE kind = ?4 AND issuer = ?2 AND value = ?3)`,
		r.Kind, r.Issuer, r.Value, liftPrefix+r.Kind)
	return err
}

// Restore implements Revocations.
func (s revocations) Restore(ctx context.Context, kind, issuer, value string) (bool, error) {
	n, err := s.delete(ctx, `DELETE FROM revocation WHERE kind = ? AND issuer = ? AND value = ?`, kind, issuer, value)
	return n > 0, err
}

// Forget implements Revocations.
func (s revocations) Forget(ctx context.Context, now time.Time) (int, error) {
	return s.delete(ctx, `DELETE FROM revocation WHERE until <> 0 AND until <= ?`, micros(now))
}

func (s revocations) delete(ctx context.Context, query string, args ...any) (n int, err error) {
	err = s.db.write(ctx, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, query, args...)
		if err != nil {
			return err
		}
		affected, err := res.RowsAffected()
		n = int(affected)
		return err
	})
	return n, err
}

// Revoked implements Revocations.
func (s revocations) Revoked(ctx context.Context, now time.Time) ([]Revocation, error) {
	rows, err := s.db.r.QueryContext(ctx, `SELECT kind, issuer, value, who, why, at, until FROM revocation
		WHERE until = 0 OR until > ? ORDER BY at, kind, issuer, value`, micros(now))
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var all []Revocation
	for rows.Next() {
		var r Revocation
		var at, until int64
		if err := rows.Scan(&r.Kind, &r.Issuer, &r.Value, &r.Who, &r.Why, &at, &until); err != nil {
			return nil, err
		}
		r.At, r.Until = fromMicros(at), fromMicros(until)
		r.Kind, r.Lift = strings.CutPrefix(r.Kind, liftPrefix)
		all = append(all, r)
	}
	return all, rows.Err()
}

// changes implements Changes.
type changes struct{ db *database }

// Log implements Changes.
func (s changes) Log(ctx context.Context, cs ...Change) error {
	for _, c := range cs {
		if len(c.Diff) > maxDiff {
			return fmt.Errorf("log change of %s %q: the difference is longer than %d bytes", c.Kind, c.Name, maxDiff)
		}
	}
	return s.db.write(ctx, func(tx *sql.Tx) error {
		for _, c := range cs {
			if _, err := tx.ExecContext(ctx, `INSERT INTO config_change (who, at, kind, name, diff) VALUES (?, ?, ?, ?, ?)`,
				c.Who, micros(c.At), c.Kind, c.Name, c.Diff); err != nil {
				return err
			}
		}
		return nil
	})
}

// Changed implements Changes.
func (s changes) Changed(ctx context.Context, kind, name string, before int64, limit int) ([]Change, error) {
	if limit <= 0 || limit > 1000 {
		limit = 1000
	}
	rows, err := s.db.r.QueryContext(ctx, `SELECT id, who, at, kind, name, diff FROM config_change
		WHERE (?1 = '' OR kind = ?1) AND (?2 = '' OR name = ?2) AND (?3 = 0 OR id < ?3) ORDER BY id DESC LIMIT ?4`,
		kind, name, before, limit)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var all []Change
	for rows.Next() {
		var c Change
		var at int64
		if err := rows.Scan(&c.ID, &c.Who, &at, &c.Kind, &c.Name, &c.Diff); err != nil {
			return nil, err
		}
		c.At = fromMicros(at)
		all = append(all, c)
	}
	return all, rows.Err()
}
