package budget_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-gateway/sallyport/internal/budget"
	"github.com/sallyport-gateway/sallyport/internal/gate"
)

// memory is a store that several books share.
type memory struct {
	mu      sync.Mutex
	entries []budget.Entry // guarded by mu
	adds    int            // guarded by mu
	sums    int            // guarded by mu
	fail    error          // guarded by mu
	slow    time.Duration  // guarded by mu; how long Add takes to answer when it is done
}

func (m *memory) Add(_ context.Context, entries []budget.Entry) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return m.fail
	}
	m.adds++
	m.entries = append(m.entries, entries...)
	if slow := m.slow; slow > 0 {
		m.mu.Unlock()
		pass(slow)
		m.mu.Lock()
	}
	return nil
}

func (m *memory) Sum(_ context.Context, k budget.Key, since time.Time) (sum gate.Spending, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sums++
	for _, e := range m.entries {
		if e.Key == k && !e.Minute.Before(since) {
			sum = sum.Plus(e.Spending)
		}
	}
	return sum, m.fail
}

func (m *memory) Forget(_ context.Context, before time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	kept := m.entries[:0]
	for _, e := range m.entries {
		if !e.Minute.Before(before) {
			kept = append(kept, e)
		}
	}
	m.entries = kept
	return m.fail
}

func (m *memory) setFail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fail = err
}

func (m *memory) counts() (adds, sums, entries int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.adds, m.sums, len(m.entries)
}

func agent(name string) *gate.Principal {
	return &gate.Principal{Party: gate.Party{Issuer: "https://idp.example", Subject: "somebody"}, Agent: name}
}

func target(name string) *gate.Target { return &gate.Target{Name: name} }

func book(t testing.TB, m *memory) *budget.Book {
	t.Helper()
	b, err := budget.New(budget.Config{Store: m})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func spent(t testing.TB, a gate.Account) gate.Spending {
	t.Helper()
	s, err := a.Spent()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// running runs a book until stop.
func running(b *budget.Book) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { b.Run(ctx); close(done) }()
	return func() { cancel(); <-done }
}

func TestWhatIsSpentCountsAtOnceInTheSameGateway(t *testing.T) {
	b := book(t, &memory{})
	one, two := b.Account(agent("a"), target("x")), b.Account(agent("a"), target("x"))
	one.Spend(gate.Spending{Rows: 5, Bytes: 7})
	if got := spent(t, two); got != (gate.Spending{Rows: 5, Bytes: 7}) {
		t.Errorf("the other session sees %+v", got)
	}
	one.Spend(gate.Spending{Rows: 1, Cells: 2, Writes: 3})
	if got := spent(t, two); got != (gate.Spending{Rows: 6, Bytes: 7, Cells: 2, Writes: 3}) {
		t.Errorf("the other session sees %+v", got)
	}
}

func TestAgentsAndTargetsAreCountedApart(t *testing.T) {
	b := book(t, &memory{})
	b.Account(agent("a"), target("x")).Spend(gate.Spending{Rows: 5})
	other := agent("a")
	other.Issuer = "https://other.example"
	for _, a := range []gate.Account{b.Account(agent("b"), target("x")), b.Account(agent("a"), target("y")), b.Account(other, target("x"))} {
		if got := spent(t, a); got != (gate.Spending{}) {
			t.Errorf("somebody else spent %+v", got)
		}
	}
}

func TestSpendingSurvivesReconnectingWithAnotherTokenAndARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{}
		b := book(t, m)
		stop := running(b)
		a := b.Account(agent("a"), target("x"))
		a.Spend(gate.Spending{Rows: 5})
		a.Close()
		pass(10 * time.Second) // the account is dropped meanwhile
		again := agent("a")
		again.Subject, again.TokenID = "somebody else", "another"
		a = b.Account(again, target("x"))
		if got := spent(t, a); got.Rows != 5 {
			t.Errorf("after reconnecting %+v", got)
		}
		a.Spend(gate.Spending{Rows: 2})
		stop()
		if got := spent(t, book(t, m).Account(agent("a"), target("x"))); got.Rows != 7 {
			t.Errorf("after a restart %+v", got)
		}
	})
}

func TestGatewaysSeeEachOthersSpendingWithinTwoSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{}
		one, two := book(t, m), book(t, m)
		defer running(one)()
		defer running(two)()
		a, b := one.Account(agent("a"), target("x")), two.Account(agent("a"), target("x"))
		for range 5 {
			a.Spend(gate.Spending{Rows: 1})
			b.Spend(gate.Spending{Rows: 10})
			_, _ = spent(t, a), spent(t, b)
			pass(100 * time.Millisecond)
		}
		pass(2100 * time.Millisecond)
		if x, y := spent(t, a), spent(t, b); x.Rows != 55 || y.Rows != 55 {
			t.Errorf("one sees %+v, the other %+v", x, y)
		}
	})
}

func TestSpendingIsForgottenAfterTheHourAndNotBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{}
		b := book(t, m)
		defer running(b)()
		a := b.Account(agent("a"), target("x"))
		pass(59 * time.Second) // late in a minute
		a.Spend(gate.Spending{Rows: 5})
		pass(time.Hour)
		if got := spent(t, a); got.Rows != 5 {
			t.Errorf("after an hour %+v", got)
		}
		pass(61 * time.Second)
		if got := spent(t, a); got.Rows != 0 {
			t.Errorf("after an hour and a minute %+v", got)
		}
		pass(2 * time.Hour)
		if _, _, n := m.counts(); n != 0 {
			t.Errorf("%d entries are still stored", n)
		}
	})
}

func TestTheStoreIsWrittenAndReadAtMostOnceASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{}
		b := book(t, m)
		defer running(b)()
		a := b.Account(agent("a"), target("x"))
		for range 1000 {
			a.Spend(gate.Spending{Rows: 1})
			spent(t, a)
			pass(10 * time.Millisecond)
		}
		if adds, sums, _ := m.counts(); adds > 11 || sums > 11 {
			t.Errorf("in 10 s the store was written %d and read %d times", adds, sums)
		}
		if got := spent(t, a); got.Rows != 1000 {
			t.Errorf("%+v", got)
		}
	})
}

func TestWhatIsBeingStoredCountsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{slow: 2 * time.Second}
		b := book(t, m)
		a := b.Account(agent("a"), target("x"))
		if got := spent(t, a); got.Rows != 0 {
			t.Errorf("%+v", got)
		}
		a.Spend(gate.Spending{Rows: 5})
		defer running(b)()
		for range 60 {
			pass(100 * time.Millisecond)
			if got := spent(t, a); got.Rows != 5 {
				t.Fatalf("%+v", got)
			}
		}
	})
}

func TestASlowStoreHidesNothingThatOthersSpend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{slow: 2900 * time.Millisecond} // one Add follows the other
		here, there := book(t, m), book(t, m)
		a, b := here.Account(agent("a"), target("x")), there.Account(agent("a"), target("x"))
		spent(t, a)
		defer running(here)()
		defer running(there)()
		b.Spend(gate.Spending{Bytes: 7})
		for range 100 {
			a.Spend(gate.Spending{Rows: 1})
			pass(100 * time.Millisecond)
			if got := spent(t, a); got.Rows < 1 {
				t.Fatalf("%+v", got)
			}
		}
		if got := spent(t, a); got.Bytes != 7 || got.Rows < 100 {
			t.Errorf("after ten seconds %+v", got)
		}
	})
}

func TestAStoreThatCannotBeReadIsAnErrorAndOneThatCannotBeWrittenLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{}
		b := book(t, m)
		defer running(b)()
		a := b.Account(agent("a"), target("x"))
		a.Spend(gate.Spending{Rows: 5})
		m.setFail(errors.New("disk"))
		pass(3 * time.Second)
		if s, err := a.Spent(); err == nil {
			t.Errorf("an unreadable store gives %+v", s)
		}
		m.setFail(nil)
		if got := spent(t, a); got.Rows != 5 {
			t.Errorf("before it is stored %+v", got)
		}
		pass(3 * time.Second)
		if got := spent(t, book(t, m).Account(agent("a"), target("x"))); got.Rows != 5 {
			t.Errorf("stored %+v", got)
		}
	})
}

func TestNothingIsStoredWhileNoPolicyAsks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{}
		b, err := budget.New(budget.Config{Store: m, Wanted: func() bool { return false }})
		if err != nil {
			t.Fatal(err)
		}
		defer running(b)()
		a := b.Account(agent("a"), target("x"))
		a.Spend(gate.Spending{Rows: 5})
		pass(time.Minute)
		if adds, _, n := m.counts(); adds != 0 || n != 0 {
			t.Errorf("stored %d times", adds)
		}
	})
}

func TestNothingIsLostOrSeenTooSmallUnderConcurrency(t *testing.T) {
	m := &memory{}
	books := []*budget.Book{book(t, m), book(t, m)}
	const sessions, each = 8, 500
	var open sync.WaitGroup
	for i := range sessions {
		open.Go(func() {
			a := books[i%2].Account(agent("a"), target("x"))
			defer a.Close()
			mine := int64(0)
			for range each {
				a.Spend(gate.Spending{Rows: 1, Bytes: 2})
				mine++
				if s, err := a.Spent(); err != nil || s.Rows < mine {
					t.Errorf("a session that spent %d sees %+v, %v", mine, s, err)
					return
				}
			}
		})
	}
	for range 50 {
		for _, b := range books {
			open.Go(func() {
				if err := b.Flush(context.Background()); err != nil {
					t.Error(err)
				}
			})
		}
	}
	open.Wait()
	for _, b := range books {
		if err := b.Flush(context.Background()); err != nil {
			t.Error(err)
		}
	}
	if got := spent(t, book(t, m).Account(agent("a"), target("x"))); got.Rows != sessions*each || got.Bytes != 2*sessions*each {
		t.Errorf("in the end %+v", got)
	}
}

func TestSpendingAllocatesNothing(t *testing.T) {
	a := book(t, &memory{}).Account(agent("a"), target("x"))
	if n := testing.AllocsPerRun(100, func() { a.Spend(gate.Spending{Rows: 1, Bytes: 100}) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// pass lets time pass in a bubble.
func pass(d time.Duration) { <-time.After(d) }
