package main

import (
	"context"
	"time"

	"github.com/sallyport-gateway/sallyport/internal/budget"
	"github.com/sallyport-gateway/sallyport/internal/gate"
	"github.com/sallyport-gateway/sallyport/internal/store"
)

// openBudget opens the book of what agents spend. What it holds at the end is
// stored after the last session has closed.
func (p *process) openBudget(context.Context) (err error) {
	p.budget, err = budget.New(budget.Config{Store: spendingStore{p.state.Spending}, Wanted: p.policy.Budgets, Log: p.log})
	if err != nil {
		return err
	}
	p.onClose(func() error { return p.budget.Flush(context.Background()) })
	return nil
}

// spendingStore keeps what agents spend in the state.
type spendingStore struct{ in store.Spending }

// Add implements budget.Store.
func (s spendingStore) Add(ctx context.Context, entries []budget.Entry) error {
	all := make([]store.Spent, len(entries))
	for i, e := range entries {
		all[i] = store.Spent{Issuer: e.Issuer, Agent: e.Agent, Target: e.Target, Minute: e.Minute, Spending: e.Spending}
	}
	return s.in.Spend(ctx, all)
}

// Sum implements budget.Store.
func (s spendingStore) Sum(ctx context.Context, k budget.Key, since time.Time) (gate.Spending, error) {
	return s.in.SpentSince(ctx, k.Issuer, k.Agent, k.Target, since)
}

// Forget implements budget.Store.
func (s spendingStore) Forget(ctx context.Context, before time.Time) error {
	return s.in.ForgetSpending(ctx, before)
}
