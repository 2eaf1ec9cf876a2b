package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"golang.org/x/sync/errgroup"
)

const (
	// warmSessions are opened and closed before the first look, so that what a
	// process allocates once is not counted.
	warmSessions = 50
	// settle is how long memory has to settle before a look.
	settle = 3 * time.Second
)

// idleSessions opens n logged-in sessions that have each run one query, and
// returns how much memory each keeps in the proxy, in KiB.
func idleSessions(ctx context.Context, s *system, n int) (kib float64, err error) {
	warm, err := openSessions(ctx, s, warmSessions)
	if err = errors.Join(err, closeAll(ctx, warm)); err != nil {
		return 0, err
	}
	before, err := settled(ctx, s)
	if err != nil {
		return 0, err
	}
	conns, err := openSessions(ctx, s, n)
	defer func() { err = errors.Join(err, closeAll(ctx, conns)) }()
	if err != nil {
		return 0, err
	}
	after, err := settled(ctx, s)
	if err != nil {
		return 0, err
	}
	return float64(after.pss-before.pss) / 1024 / float64(n), nil
}

func settled(ctx context.Context, s *system) (usage, error) {
	select {
	case <-time.After(settle):
		return usageOf(s.pid)
	case <-ctx.Done():
		return usage{}, ctx.Err()
	}
}

// openSessions opens n sessions, a few at a time. What it opened is returned also
// with an error.
func openSessions(ctx context.Context, s *system, n int) ([]*pgconn.PgConn, error) {
	conns := make([]*pgconn.PgConn, n)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(8)
	for i := range conns {
		group.Go(func() error {
			conn, err := connect(ctx, s)
			if err != nil {
				return fmt.Errorf("session %d: %w", i+1, err)
			}
			conns[i] = conn
			return conn.Exec(ctx, "SELECT 1").Close()
		})
	}
	return conns, group.Wait()
}

func closeAll(ctx context.Context, conns []*pgconn.PgConn) error {
	var group errgroup.Group
	group.SetLimit(8)
	for _, conn := range conns {
		if conn != nil {
			group.Go(func() error { return conn.Close(ctx) })
		}
	}
	return group.Wait()
}
