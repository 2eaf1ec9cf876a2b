package storetest

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport-gateway/sallyport/internal/store"
	"github.com/sallyport-gateway/sallyport/internal/vault"
)

func sealed(name string, version int64) vault.Sealed {
	return vault.Sealed{Name: name, Version: version, Username: "u", KeyID: "k", WrappedKey: []byte{1, 0, 255},
		Ciphertext: []byte{0, 2}, Who: "op", At: start}
}

// Secrets tests vault.Store.
func Secrets(t *testing.T, b Backend) {
	ctx := context.Background()
	t.Run("a credential comes back as it was put and survives closing", func(t *testing.T) {
		open := b(t)
		s := open()
		if err := s.Secrets.PutSealed(ctx, sealed("a", 1)); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		got, err := open().Secrets.Sealed(ctx, "a")
		if d := cmp.Diff(sealed("a", 1), got); d != "" || err != nil {
			t.Error(d, err)
		}
	})
	t.Run("only the next version is taken, also after a deletion", func(t *testing.T) {
		s := b(t)().Secrets
		for _, step := range []struct {
			version int64
			want    error
		}{{0, vault.ErrConflict}, {2, vault.ErrConflict}, {1, nil}, {1, vault.ErrConflict}, {3, vault.ErrConflict}, {2, nil}} {
			if err := s.PutSealed(ctx, sealed("a", step.version)); !errors.Is(err, step.want) {
				t.Errorf("version %d: %v, want %v", step.version, err, step.want)
			}
		}
		if err := s.DeleteSealed(ctx, "a", "op", start); err != nil {
			t.Fatal(err)
		}
		if c, err := s.Sealed(ctx, "a"); !errors.Is(err, vault.ErrNotFound) || c.Version != 2 || c.Ciphertext != nil {
			t.Errorf("deleted: %+v, %v", c, err)
		}
		if err := s.PutSealed(ctx, sealed("a", 1)); !errors.Is(err, vault.ErrConflict) {
			t.Errorf("an old version came back: %v", err)
		}
		if err := s.PutSealed(ctx, sealed("a", 3)); err != nil {
			t.Error(err)
		}
	})
	t.Run("what is not there cannot be read or deleted", func(t *testing.T) {
		s := b(t)().Secrets
		_, err := s.Sealed(ctx, "a")
		if derr := s.DeleteSealed(ctx, "a", "op", start); !errors.Is(err, vault.ErrNotFound) || !errors.Is(derr, vault.ErrNotFound) {
			t.Error(err, derr)
		}
	})
	t.Run("a list is in order of name and holds no ciphertext", func(t *testing.T) {
		s := b(t)().Secrets
		for _, name := range []string{"b", "c", "a"} {
			if err := s.PutSealed(ctx, sealed(name, 1)); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.DeleteSealed(ctx, "c", "op", start); err != nil {
			t.Fatal(err)
		}
		got, err := s.ListSealed(ctx)
		want := []vault.Sealed{sealed("a", 1), sealed("b", 1)}
		for i := range want {
			want[i].WrappedKey, want[i].Ciphertext = nil, nil
		}
		if d := cmp.Diff(want, got); d != "" || err != nil {
			t.Error(d, err)
		}
	})
	t.Run("of two who put the same version through two handles one wins", func(t *testing.T) {
		open := b(t)
		var wins atomic.Int32
		var wg sync.WaitGroup
		for _, s := range []*store.State{open(), open()} {
			wg.Go(func() {
				switch err := s.Secrets.PutSealed(ctx, sealed("a", 1)); {
				case err == nil:
					wins.Add(1)
				case !errors.Is(err, vault.ErrConflict):
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if wins.Load() != 1 {
			t.Errorf("%d won", wins.Load())
		}
	})
}

// Revocations tests store.Revocations.
func Revocations(t *testing.T, b Backend) {
	ctx := context.Background()
	rev := func(value string, until time.Time) store.Revocation {
		return store.Revocation{Kind: "agent", Issuer: "i", Value: value, Who: "op", Why: "stolen", At: start, Until: until}
	}
	later := func(d time.Duration) time.Time { return start.Add(d) }
	t.Run("a revocation holds until its end, on every handle", func(t *testing.T) {
		open := b(t)
		s := open().Revocations
		for _, r := range []store.Revocation{rev("a", time.Time{}), rev("b", later(time.Hour))} {
			if err := s.Revoke(ctx, r); err != nil {
				t.Fatal(err)
			}
		}
		other := open().Revocations
		for _, c := range []struct {
			now  time.Time
			want []store.Revocation
		}{
			{later(0), []store.Revocation{rev("a", time.Time{}), rev("b", later(time.Hour))}},
			{later(time.Hour), []store.Revocation{rev("a", time.Time{})}},
		} {
			got, err := other.Revoked(ctx, c.now)
			if d := cmp.Diff(c.want, got); d != "" || err != nil {
				t.Error(d, err)
			}
		}
	})
	t.Run("revoking again never shortens", func(t *testing.T) {
		s := b(t)().Revocations
		for _, c := range []struct{ until, want time.Time }{
			{later(2 * time.Hour), later(2 * time.Hour)}, {later(time.Hour), later(2 * time.Hour)},
			{later(3 * time.Hour), later(3 * time.Hour)}, {time.Time{}, time.Time{}}, {later(time.Hour), time.Time{}},
		} {
			if err := s.Revoke(ctx, rev("a", c.until)); err != nil {
				t.Fatal(err)
			}
			got, err := s.Revoked(ctx, start)
			if err != nil || len(got) != 1 || !got[0].Until.Equal(c.want) {
				t.Errorf("until %v gives %v, %v", c.until, got, err)
			}
		}
	})
	t.Run("one can be taken back, and those that no longer hold are forgotten", func(t *testing.T) {
		s := b(t)().Revocations
		for _, r := range []store.Revocation{rev("a", time.Time{}), rev("b", later(time.Hour)), rev("c", later(2*time.Hour))} {
			if err := s.Revoke(ctx, r); err != nil {
				t.Fatal(err)
			}
		}
		did, err1 := s.Restore(ctx, "agent", "i", "a")
		again, err2 := s.Restore(ctx, "agent", "i", "a")
		n, err3 := s.Forget(ctx, later(time.Hour))
		left, err4 := s.Revoked(ctx, start)
		if err := errors.Join(err1, err2, err3, err4); err != nil || !did || again || n != 1 || len(left) != 1 || left[0].Value != "c" {
			t.Error(err, did, again, n, left)
		}
	})
	t.Run("one that names nothing is refused", func(t *testing.T) {
		if err := b(t)().Revocations.Revoke(ctx, store.Revocation{Kind: "agent"}); err == nil {
			t.Error("it was taken")
		}
	})
}

// Changes tests store.Changes.
func Changes(t *testing.T, b Backend) {
	ctx := context.Background()
	change := func(kind, name string) store.Change {
		return store.Change{Who: "op", At: start, Kind: kind, Name: name, Diff: "- a\n+ b"}
	}
	t.Run("changes come back newest first, by document and in pages", func(t *testing.T) {
		open := b(t)
		s := open().Changes
		if err := s.Log(ctx, change("Target", "a"), change("Target", "b"), change("Policy", "a")); err != nil {
			t.Fatal(err)
		}
		if err := s.Log(ctx, change("Target", "a")); err != nil {
			t.Fatal(err)
		}
		other := open().Changes
		all, err := other.Changed(ctx, "", "", 0, 0)
		if err != nil || len(all) != 4 || all[0].ID <= all[1].ID {
			t.Fatal(all, err)
		}
		want := change("Target", "a")
		want.ID = all[0].ID
		if d := cmp.Diff(want, all[0]); d != "" {
			t.Error(d)
		}
		one, err1 := other.Changed(ctx, "Target", "a", 0, 10)
		page, err2 := other.Changed(ctx, "", "", all[1].ID, 1)
		if err := errors.Join(err1, err2); err != nil || len(one) != 2 || len(page) != 1 || page[0].ID != all[2].ID {
			t.Error(one, page, err)
		}
	})
	t.Run("a difference that is too long is refused with all that came with it", func(t *testing.T) {
		s := b(t)().Changes
		long := change("Target", "b")
		long.Diff = string(make([]byte, 4<<20+1))
		err := s.Log(ctx, change("Target", "a"), long)
		if all, _ := s.Changed(ctx, "", "", 0, 0); err == nil || len(all) != 0 {
			t.Error(all, err)
		}
	})
}
