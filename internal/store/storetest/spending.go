package storetest

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/sallyport-gateway/sallyport/internal/gate"
	"github.com/sallyport-gateway/sallyport/internal/store"
)

// Spending tests store.Spending.
func Spending(t *testing.T, b Backend) {
	ctx := context.Background()
	minute := start.Truncate(time.Minute)
	spent := func(agent, target string, after time.Duration, rows int64) store.Spent {
		return store.Spent{Issuer: "i", Agent: agent, Target: target, Minute: minute.Add(after),
			Spending: gate.Spending{Rows: rows, Bytes: 2 * rows, Cells: 3 * rows, Writes: 4 * rows}}
	}
	sum := func(t *testing.T, s *store.State, agent, target string, since time.Duration) int64 {
		t.Helper()
		got, err := s.Spending.SpentSince(ctx, "i", agent, target, minute.Add(since))
		if err != nil {
			t.Fatal(err)
		}
		if got != (gate.Spending{Rows: got.Rows, Bytes: 2 * got.Rows, Cells: 3 * got.Rows, Writes: 4 * got.Rows}) {
			t.Errorf("the members are mixed up: %+v", got)
		}
		return got.Rows
	}
	t.Run("amounts add up by minute, agent and target, and survive closing", func(t *testing.T) {
		open := b(t)
		s := open()
		for _, all := range [][]store.Spent{{spent("a", "x", 0, 1), spent("a", "x", time.Minute, 10), spent("b", "x", 0, 100)}, {spent("a", "x", 0, 1000), spent("a", "y", 0, 5)}, nil} {
			if err := s.Spending.Spend(ctx, all); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = open()
		if x, later, y, other, none := sum(t, s, "a", "x", 0), sum(t, s, "a", "x", time.Minute), sum(t, s, "a", "y", 0), sum(t, s, "b", "x", 0), sum(t, s, "c", "x", 0); x != 1011 || later != 10 || y != 5 || other != 100 || none != 0 {
			t.Error(x, later, y, other, none)
		}
	})
	t.Run("only what is old is forgotten", func(t *testing.T) {
		s := b(t)()
		if err := s.Spending.Spend(ctx, []store.Spent{spent("a", "x", 0, 1), spent("a", "x", time.Minute, 10)}); err != nil {
			t.Fatal(err)
		}
		if err := s.Spending.ForgetSpending(ctx, minute.Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		if got := sum(t, s, "a", "x", -time.Hour); got != 10 {
			t.Error(got)
		}
	})
	t.Run("two processes add to one sum", func(t *testing.T) {
		open := b(t)
		one, two := open(), open()
		var all sync.WaitGroup
		for range 20 {
			for _, s := range []*store.State{one, two} {
				all.Go(func() {
					if err := s.Spending.Spend(ctx, []store.Spent{spent("a", "x", 0, 1)}); err != nil {
						t.Error(err)
					}
				})
			}
		}
		all.Wait()
		if x, y := sum(t, one, "a", "x", 0), sum(t, two, "a", "x", 0); x != 40 || y != 40 {
			t.Error(x, y)
		}
	})
}
