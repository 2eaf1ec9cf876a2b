package budget

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sallyport-gateway/sallyport/internal/gate"
)

const (
	// window is how far back spending counts, beside the present minute.
	window = time.Hour
	// flushInterval is how often what was spent is stored.
	flushInterval = time.Second
	// freshness is how old a sum read from the store may be; while this gateway is
	// storing something of its own, storeTimeout more.
	freshness = time.Second
	// keep is how long spending is kept in the store: the window, and as much
	// again for gateways whose clocks differ.
	keep = 2 * window
	// forgetInterval is how often older spending is deleted.
	forgetInterval = 10 * time.Minute
	// storeTimeout bounds one call of the store. A command waits for it.
	storeTimeout = 3 * time.Second
)

// Key names an account: one agent at one target.
type Key struct{ Issuer, Agent, Target string }

// Entry is what was spent from one account within one minute, or a part of it.
type Entry struct {
	Key
	// Minute is when the minute began.
	Minute time.Time
	gate.Spending
}

// Store keeps what was spent, for all gateways together.
type Store interface {
	// Add adds entries, all or none. When it returns nil they survive the death
	// of the process; entries of one account and minute add up.
	Add(ctx context.Context, entries []Entry) error
	// Sum returns what was spent from an account in the minutes that began at or
	// after since.
	Sum(ctx context.Context, k Key, since time.Time) (gate.Spending, error)
	// Forget deletes the minutes that began before the time.
	Forget(ctx context.Context, before time.Time) error
}

// Config is what a Book is made of.
type Config struct {
	// Store is required.
	Store Store
	// Wanted reports whether anybody asks for budgets at present. While it is
	// false nothing is stored, and what is spent is forgotten. Nil means always.
	Wanted func() bool
	// Log receives what went wrong. Nil discards.
	Log *slog.Logger
	// Now is the clock. Nil means time.Now.
	Now func() time.Time
}

// Book keeps the accounts of one gateway. It implements gate.Meter and is safe
// for concurrent use.
type Book struct {
	cfg Config

	mu       sync.Mutex
	accounts map[Key]*account // guarded by mu; those in use, or with something to store
}

var _ gate.Meter = (*Book)(nil)

// New returns an empty book. Call Run to have it stored.
func New(cfg Config) (*Book, error) {
	if cfg.Store == nil {
		return nil, errors.New("budget: no store")
	}
	if cfg.Wanted == nil {
		cfg.Wanted = func() bool { return true }
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Book{cfg: cfg, accounts: map[Key]*account{}}, nil
}

// Account implements gate.Meter.
func (b *Book) Account(p *gate.Principal, t *gate.Target) gate.Account {
	who := p.Spender()
	k := Key{Issuer: who.Issuer, Agent: who.Subject, Target: t.Name}
	b.mu.Lock()
	defer b.mu.Unlock()
	a := b.accounts[k]
	if a == nil {
		a = &account{book: b, key: k}
		b.accounts[k] = a
	}
	a.users++
	return a
}

// Run stores what is spent until ctx ends, and then once more.
func (b *Book) Run(ctx context.Context) {
	ticker := time.NewTicker(flushInterval)
	defer ticker.Stop()
	forgotten := time.Time{}
	for {
		select {
		case <-ctx.Done():
			if err := b.Flush(context.WithoutCancel(ctx)); err != nil {
				b.cfg.Log.Error("spending not stored at the end", "error", err)
			}
			return
		case <-ticker.C:
		}
		if err := b.Flush(ctx); err != nil {
			b.cfg.Log.Error("spending not stored, trying again", "error", err)
		}
		if now := b.cfg.Now(); b.cfg.Wanted() && now.Sub(forgotten) >= forgetInterval {
			forgotten = now
			if err := b.forget(ctx, now.Add(-keep)); err != nil {
				b.cfg.Log.Error("old spending not deleted", "error", err)
			}
		}
	}
}

func (b *Book) forget(ctx context.Context, before time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	return b.cfg.Store.Forget(ctx, before)
}

// Flush stores what was spent since the last time, in one go. What cannot be
// stored counts here all the same, and is tried again.
func (b *Book) Flush(ctx context.Context) error {
	minute := b.cfg.Now().Truncate(time.Minute)
	wanted := b.cfg.Wanted()
	var entries []Entry
	var from []*account
	for _, a := range b.inUse() {
		s := a.take(wanted)
		if s != (gate.Spending{}) && wanted {
			entries, from = append(entries, Entry{a.key, minute, s}), append(from, a)
		}
	}
	var err error
	if len(entries) > 0 {
		ctx, cancel := context.WithTimeout(ctx, storeTimeout)
		err = b.cfg.Store.Add(ctx, entries)
		cancel()
	}
	for i, a := range from {
		a.settle(entries[i].Spending, err == nil)
	}
	b.drop()
	if err != nil {
		return fmt.Errorf("store spending: %w", err)
	}
	return nil
}

func (b *Book) inUse() []*account {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := make([]*account, 0, len(b.accounts))
	for _, a := range b.accounts {
		all = append(all, a)
	}
	return all
}

// drop forgets the accounts that no session uses and that have nothing to store.
func (b *Book) drop() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for k, a := range b.accounts {
		if a.users == 0 && a.idle() {
			delete(b.accounts, k)
		}
	}
}

// account implements gate.Account.
type account struct {
	book  *Book
	key   Key
	users int // guarded by book.mu

	rows, bytes, cells, writes atomic.Int64 // spent, and not yet being stored

	mu       sync.Mutex    // guards what follows; held while the store is read
	inFlight gate.Spending // being stored
	stored   gate.Spending // the store's sum, and what was stored since
	read     time.Time     // when stored was read; zero: never
}

// Spend implements gate.Account.
func (a *account) Spend(s gate.Spending) {
	if s.Rows > 0 {
		a.rows.Add(s.Rows)
	}
	if s.Bytes > 0 {
		a.bytes.Add(s.Bytes)
	}
	if s.Cells > 0 {
		a.cells.Add(s.Cells)
	}
	if s.Writes > 0 {
		a.writes.Add(s.Writes)
	}
}

// Spent implements gate.Account. It reads the store if the last sum is older than
// freshness. While something of this account is being stored that waits storeTimeout
// longer: nobody could say whether the sum has it. The very first sum, and one that
// could not wait, may count it twice; nothing is ever left out.
func (a *account) Spent() (gate.Spending, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.book.cfg.Now()
	age := now.Sub(a.read)
	due := freshness
	if a.inFlight != (gate.Spending{}) {
		due += storeTimeout
	}
	if a.read.IsZero() || age >= due || age < 0 {
		ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
		defer cancel()
		sum, err := a.book.cfg.Store.Sum(ctx, a.key, now.Truncate(time.Minute).Add(-window))
		if err != nil {
			a.book.cfg.Log.Error("spending not read", "target", a.key.Target, "error", err)
			return gate.Spending{}, fmt.Errorf("read spending: %w", err)
		}
		a.stored, a.read = sum, now
	}
	return a.stored.Plus(a.inFlight).Plus(a.pending()), nil
}

// Close implements gate.Account.
func (a *account) Close() {
	a.book.mu.Lock()
	defer a.book.mu.Unlock()
	a.users--
}

func (a *account) pending() gate.Spending {
	return gate.Spending{Rows: a.rows.Load(), Bytes: a.bytes.Load(), Cells: a.cells.Load(), Writes: a.writes.Load()}
}

// take moves what was spent to what is being stored, or forgets it.
func (a *account) take(keep bool) gate.Spending {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := gate.Spending{Rows: a.rows.Swap(0), Bytes: a.bytes.Swap(0), Cells: a.cells.Swap(0), Writes: a.writes.Swap(0)}
	if keep {
		a.inFlight = a.inFlight.Plus(s)
	}
	return s
}

// settle ends what take began.
func (a *account) settle(s gate.Spending, stored bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.inFlight = a.inFlight.Plus(gate.Spending{Rows: -s.Rows, Bytes: -s.Bytes, Cells: -s.Cells, Writes: -s.Writes})
	if stored {
		a.stored = a.stored.Plus(s)
		return
	}
	a.Spend(s)
}

func (a *account) idle() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.inFlight == gate.Spending{} && a.pending() == gate.Spending{}
}
