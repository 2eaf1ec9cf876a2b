package store

import (
	"context"
	"database/sql"
	"time"

	"github.com/sallyport-gateway/sallyport/internal/gate"
)

// Spent is what an agent spent at a target in one minute, or a part of it.
type Spent struct {
	// Issuer and Agent name the agent, Target the target.
	Issuer, Agent, Target string
	// Minute is when the minute began.
	Minute time.Time
	gate.Spending
}

// Spending keeps what agents spent. Several processes may share it.
type Spending interface {
	// Spend adds amounts, all or none, durably. Amounts for one agent, target and
	// minute add up.
	Spend(ctx context.Context, all []Spent) error
	// SpentSince returns the sum of the minutes that began at or after since.
	SpentSince(ctx context.Context, issuer, agent, target string, since time.Time) (gate.Spending, error)
	// ForgetSpending deletes the minutes that began before the time.
	ForgetSpending(ctx context.Context, before time.Time) error
}

// spending implements Spending.
type spending struct{ db *database }

// Spend implements Spending.
func (s spending) Spend(ctx context.Context, all []Spent) error {
	if len(all) == 0 {
		return nil
	}
	return s.db.write(ctx, func(tx *sql.Tx) error {
		for _, x := range all {
			_, err := tx.ExecContext(ctx, `INSERT INTO spending (issuer, agent, target, minute, rows, bytes, cells, writes)
				VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (issuer, agent, target, minute) DO UPDATE SET
				rows = rows + excluded.rows, bytes = bytes + excluded.bytes, cells = cells + excluded.cells, writes = writes + excluded.writes`,
				x.Issuer, x.Agent, x.Target, micros(x.Minute), x.Rows, x.Bytes, x.Cells, x.Writes)
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// SpentSince implements Spending.
func (s spending) SpentSince(ctx context.Context, issuer, agent, target string, since time.Time) (sum gate.Spending, err error) {
	err = s.db.r.QueryRowContext(ctx, `SELECT coalesce(sum(rows), 0), coalesce(sum(bytes), 0), coalesce(sum(cells), 0), coalesce(sum(writes), 0)
		FROM spending WHERE issuer = ? AND agent = ? AND target = ? AND minute >= ?`, issuer, agent, target, micros(since)).
		Scan(&sum.Rows, &sum.Bytes, &sum.Cells, &sum.Writes)
	return sum, err
}

// ForgetSpending implements Spending.
func (s spending) ForgetSpending(ctx context.Context, before time.Time) error {
	return s.db.write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM spending WHERE minute < ?`, micros(before))
		return err
	})
}
