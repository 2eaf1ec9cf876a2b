package store_test

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/sallyport-gateway/sallyport/internal/store"
	"github.com/sallyport-gateway/sallyport/internal/store/storetest"
)

func open(t *testing.T, path string) *store.State {
	t.Helper()
	s, err := store.Open(context.Background(), "sqlite:"+path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestSQLiteKeepsWhatEveryBackendMustKeep(t *testing.T) {
	storetest.Run(t, func(t *testing.T) func() *store.State {
		path := filepath.Join(t.TempDir(), "data", "state.db")
		return func() *store.State { return open(t, path) }
	})
}

func TestUnknownSchemeIsAClearErrorWithoutThePassword(t *testing.T) {
	for _, location := range []string{"postgres://u:hunter2@db/x", "state.db", "sqlite:", "", "x:y", "hunter2hunter2hunter2:x"} {
		_, err := store.Open(context.Background(), location)
		if err == nil || strings.Contains(err.Error(), "hunter2@") || strings.Contains(err.Error(), "hunter2hunter2hunter2") {
			t.Errorf("%s: %v", location, err)
		}
		if strings.HasPrefix(location, "postgres") && !strings.Contains(err.Error(), "not supported by this release") {
			t.Errorf("%s: %v", location, err)
		}
	}
}

func TestFilesAndFolderBelongToTheirOwnerAlone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	s := open(t, filepath.Join(dir, "state.db"))
	if err := s.Changes.Log(context.Background(), store.Change{Kind: "x"}); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("folder: %v, %v", info.Mode(), err)
	}
	for _, name := range []string{"state.db", "state.db-wal", "state.db-shm"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
}

func TestFileThatOthersCanReadIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	if err := os.WriteFile(path, nil, 0o640); err != nil {
		t.Fatal(err)
	}
	_, err := store.Open(context.Background(), "sqlite:"+path)
	if err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Error(err)
	}
}

func TestFolderThatOthersCanWriteIsRefused(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	_, err := store.Open(context.Background(), "sqlite:"+filepath.Join(dir, "state.db"))
	if err == nil || !strings.Contains(err.Error(), "chmod go-w") {
		t.Error(err)
	}
}

func TestSymbolicLinkAndRubbishAreRefused(t *testing.T) {
	dir := t.TempDir()
	rubbish, link := filepath.Join(dir, "rubbish.db"), filepath.Join(dir, "link.db")
	if err := os.WriteFile(rubbish, []byte(strings.Repeat("no database ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(rubbish, link); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{rubbish, link} {
		if _, err := store.Open(context.Background(), "sqlite:"+path); err == nil {
			t.Errorf("%s was opened", path)
		}
	}
}

// raw runs statements on the file behind the store's back.
func raw(t *testing.T, path string, statements ...string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	for _, s := range statements {
		if _, err := db.Exec(s); err != nil {
			t.Fatal(err)
		}
	}
}

func TestStateOfANewerReleaseIsRefusedAndLeftAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	if err := open(t, path).Close(); err != nil {
		t.Fatal(err)
	}
	raw(t, path, "PRAGMA user_version = 9999")
	for range 2 {
		if _, err := store.Open(context.Background(), "sqlite:"+path); !errors.Is(err, store.ErrNewer) {
			t.Error(err)
		}
	}
}

func TestDatabaseOfSomethingElseIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "other.db")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	raw(t, path, "CREATE TABLE theirs (a)")
	_, err := store.Open(context.Background(), "sqlite:"+path)
	if err == nil || !strings.Contains(err.Error(), "something else") {
		t.Error(err)
	}
}

func TestManyWhoOpenAFreshStateAtOnceGetTheSame(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data", "state.db")
	ids := make([]string, 8)
	var wg sync.WaitGroup
	for i := range ids {
		wg.Go(func() {
			s, err := store.Open(context.Background(), "sqlite:"+path)
			if err != nil {
				t.Error(err)
				return
			}
			ids[i] = s.ID
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, id := range ids {
		if id != ids[0] {
			t.Errorf("ids differ: %v", ids)
		}
	}
}

func TestPathWithSignsOfAURLIsTakenLiterally(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a?b#c%41 d&mode=memory.db")
	open(t, path)
	if _, err := os.Stat(path + "-wal"); err != nil {
		t.Error(err)
	}
}

func BenchmarkOpenExisting(b *testing.B) {
	path := filepath.Join(b.TempDir(), "state.db")
	for b.Loop() {
		s, err := store.Open(context.Background(), "sqlite:"+path)
		if err != nil {
			b.Fatal(err)
		}
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
