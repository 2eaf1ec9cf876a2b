// Package storetest holds the claims that every backend of package store must
// keep, as one suite per part of the state. It exists so that a second backend
// is held to the same words as the first. It tests no rule of a consumer: those
// have tests of their own.
package storetest

import (
	"testing"

	"github.com/sallyport-gateway/sallyport/internal/store"
)

// Backend makes a fresh, empty state and returns how to open it. Every call of
// open is another handle on the same state, as another process would have; the
// test closes what it opened.
type Backend func(t *testing.T) (open func() *store.State)

// Run runs every suite.
func Run(t *testing.T, b Backend) {
	t.Run("state", func(t *testing.T) { State(t, b) })
	t.Run("requests", func(t *testing.T) { Requests(t, b) })
	t.Run("secrets", func(t *testing.T) { Secrets(t, b) })
	t.Run("revocations", func(t *testing.T) { Revocations(t, b) })
	t.Run("changes", func(t *testing.T) { Changes(t, b) })
	t.Run("spending", func(t *testing.T) { Spending(t, b) })
}

// State tests what holds for a state as a whole.
func State(t *testing.T, b Backend) {
	t.Run("the id stays the same when it is opened again", func(t *testing.T) {
		open := b(t)
		one := open()
		id := one.ID
		if id == "" {
			t.Fatal("a state has no id")
		}
		if err := one.Close(); err != nil {
			t.Fatal(err)
		}
		if two := open(); two.ID != id {
			t.Errorf("id was %s, is %s", id, two.ID)
		}
	})
	t.Run("two fresh states have different ids", func(t *testing.T) {
		if a, c := b(t)(), b(t)(); a.ID == c.ID {
			t.Errorf("both are %s", a.ID)
		}
	})
}
