package vault_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/sallyport-gateway/sallyport/internal/gate"
	"github.com/sallyport-gateway/sallyport/internal/store"
	"github.com/sallyport-gateway/sallyport/internal/vault"
)

// world is a vault over a real state in a folder of its own.
type world struct {
	dir   string
	state *store.State
	vault *vault.Vault
	env   map[string]string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{dir: filepath.Join(t.TempDir(), "data"), env: map[string]string{}}
	state, err := store.Open(context.Background(), "sqlite:"+filepath.Join(w.dir, "state.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = state.Close() })
	w.state = state
	w.vault = w.open(t, w.key(t, "key"), state.ID)
	return w
}

func (w *world) key(t *testing.T, name string) *vault.FileKey {
	t.Helper()
	k, err := vault.OpenKey("file:" + filepath.Join(w.dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func (w *world) open(t *testing.T, keys vault.KeyProvider, id string) *vault.Vault {
	t.Helper()
	v, err := vault.New(vault.Config{Store: w.state.Secrets, Keys: keys, StoreID: id,
		Getenv: func(name string) (string, bool) { v, ok := w.env[name]; return v, ok }})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func (w *world) put(t *testing.T, name, password string) {
	t.Helper()
	c := gate.Credential{Username: "app", Password: gate.NewSecret(password)}
	if err := w.vault.Put(context.Background(), name, c, "operator"); err != nil {
		t.Fatal(err)
	}
}

func declare(t *testing.T, v *vault.Vault, docs ...vault.Document) {
	t.Helper()
	if err := v.SetDocuments(docs); err != nil {
		t.Fatal(err)
	}
}

func sealedDoc(name string) vault.Document {
	return vault.Document{Name: name, Password: "sealed"}
}

func TestSealedCredentialComesBackInFull(t *testing.T) {
	w, ctx := newWorld(t), context.Background()
	want := gate.Credential{Username: "app", Password: gate.NewSecret("p\xff\x00ß"), Certificate: []byte("chain"), Key: gate.NewSecret("key\xfe")}
	if err := w.vault.Put(ctx, "db", want, "operator"); err != nil {
		t.Fatal(err)
	}
	declare(t, w.vault, vault.Document{Name: "db", Password: "sealed", Certificate: "sealed", Key: "sealed"})
	got, err := w.vault.Credential(ctx, "db")
	if err != nil {
		t.Fatal(err)
	}
	if got.Name != "db" || got.Username != "app" || got.Password != want.Password || got.Key != want.Key || !bytes.Equal(got.Certificate, want.Certificate) {
		t.Error("the credential is another one")
	}
	if list, err := w.vault.List(ctx); err != nil || len(list) != 1 || list[0].Name != "db" || list[0].Username != "app" ||
		list[0].Who != "operator" || list[0].At.IsZero() || list[0].Version != 1 {
		t.Errorf("%+v, %v", list, err)
	}
}

func TestPutReplacesAndDeleteForgets(t *testing.T) {
	w, ctx := newWorld(t), context.Background()
	declare(t, w.vault, sealedDoc("db"))
	for _, password := range []string{"one", "two"} {
		w.put(t, "db", password)
		if c, err := w.vault.Credential(ctx, "db"); err != nil || c.Password.Reveal() != password {
			t.Errorf("%s: %v", password, err)
		}
	}
	if err := w.vault.Delete(ctx, "db", "operator"); err != nil {
		t.Fatal(err)
	}
	_, err := w.vault.Credential(ctx, "db")
	if again := w.vault.Delete(ctx, "db", "operator"); !errors.Is(err, vault.ErrNotFound) || !errors.Is(again, vault.ErrNotFound) {
		t.Error(err, again)
	}
	w.put(t, "db", "three")
	if c, err := w.vault.Credential(ctx, "db"); err != nil || c.Password.Reveal() != "three" {
		t.Error(err)
	}
}

func TestCredentialWithoutDocumentIsNotHandedOut(t *testing.T) {
	w := newWorld(t)
	w.put(t, "db", "x")
	if _, err := w.vault.Credential(context.Background(), "db"); !errors.Is(err, vault.ErrNotFound) {
		t.Error(err)
	}
}

// rows gives access to what is stored.
func (w *world) row(t *testing.T, name string) vault.Sealed {
	t.Helper()
	s, err := w.state.Secrets.Sealed(context.Background(), name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// lyingStore returns a row that somebody tampered with.
type lyingStore struct {
	vault.Store
	row vault.Sealed
}

func (s lyingStore) Sealed(context.Context, string) (vault.Sealed, error) { return s.row, nil }

func TestRowThatWasTamperedWithDoesNotOpen(t *testing.T) {
	w, ctx := newWorld(t), context.Background()
	w.put(t, "a", "secret-a")
	w.put(t, "b", "secret-b")
	a, b := w.row(t, "a"), w.row(t, "b")
	w.put(t, "a", "newer")
	newer := w.row(t, "a")
	flip := func(p []byte, i int) []byte {
		p = bytes.Clone(p)
		p[i] ^= 1
		return p
	}
	changes := map[string]func(s *vault.Sealed){
		"ciphertext of b":              func(s *vault.Sealed) { s.Ciphertext = b.Ciphertext },
		"key of b":                     func(s *vault.Sealed) { s.WrappedKey = b.WrappedKey },
		"key and ciphertext of b":      func(s *vault.Sealed) { s.Ciphertext, s.WrappedKey = b.Ciphertext, b.WrappedKey },
		"row of b under its name":      func(s *vault.Sealed) { *s = b },
		"row of b renamed":             func(s *vault.Sealed) { *s = b; s.Name = "a" },
		"ciphertext of a later put":    func(s *vault.Sealed) { s.Ciphertext = newer.Ciphertext },
		"later put as another version": func(s *vault.Sealed) { s.Ciphertext, s.WrappedKey = newer.Ciphertext, newer.WrappedKey },
		"another version":              func(s *vault.Sealed) { s.Version++ },
		"another account":              func(s *vault.Sealed) { s.Username = "postgres" },
		"another master key's id":      func(s *vault.Sealed) { s.KeyID = "file:0" },
		"no ciphertext":                func(s *vault.Sealed) { s.Ciphertext = nil },
		"no key":                       func(s *vault.Sealed) { s.WrappedKey = nil },
		"key as ciphertext":            func(s *vault.Sealed) { s.Ciphertext = s.WrappedKey },
	}
	for i := range len(a.Ciphertext) {
		changes[fmt.Sprintf("ciphertext bit %d", i)] = func(s *vault.Sealed) { s.Ciphertext = flip(s.Ciphertext, i) }
		changes[fmt.Sprintf("ciphertext cut at %d", i)] = func(s *vault.Sealed) { s.Ciphertext = s.Ciphertext[:i] }
	}
	for i := range len(a.WrappedKey) {
		changes[fmt.Sprintf("key bit %d", i)] = func(s *vault.Sealed) { s.WrappedKey = flip(s.WrappedKey, i) }
		changes[fmt.Sprintf("key cut at %d", i)] = func(s *vault.Sealed) { s.WrappedKey = s.WrappedKey[:i] }
	}
	open := func(row vault.Sealed, id string) (*gate.Credential, error) {
		v, err := vault.New(vault.Config{Store: lyingStore{w.state.Secrets, row}, Keys: w.key(t, "key"), StoreID: id})
		if err != nil {
			t.Fatal(err)
		}
		declare(t, v, sealedDoc("a"))
		return v.Credential(ctx, "a")
	}
	if _, err := open(a, w.state.ID); err != nil {
		t.Fatalf("the row itself does not open: %v", err)
	}
	for name, change := range changes {
		row := a
		change(&row)
		if c, err := open(row, w.state.ID); err == nil || c != nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: opened, or told too much: %v", name, err)
		}
	}
	if _, err := open(a, "another state"); err == nil {
		t.Error("the row opens in another state")
	}
}

func TestWrongMasterKeyIsAClearError(t *testing.T) {
	w := newWorld(t)
	w.put(t, "db", "x")
	other := w.open(t, w.key(t, "other"), w.state.ID)
	declare(t, other, sealedDoc("db"))
	_, err := other.Credential(context.Background(), "db")
	if !errors.Is(err, vault.ErrWrongKey) || !strings.Contains(err.Error(), w.key(t, "key").ID()) {
		t.Error(err)
	}
}

func TestSecretIsNowhereInClear(t *testing.T) {
	w, ctx := newWorld(t), context.Background()
	canary := "canary-" + rand.Text()
	fileSecret := filepath.Join(w.dir, "secret")
	if err := os.WriteFile(fileSecret, []byte(canary), 0o600); err != nil {
		t.Fatal(err)
	}
	w.env["PW"] = canary
	full := gate.Credential{Name: "db", Username: "app", Password: gate.NewSecret(canary), Certificate: []byte("pem"), Key: gate.NewSecret(canary)}
	var out bytes.Buffer
	log := slog.New(slog.NewJSONHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))
	show := func(what ...any) {
		for _, v := range what {
			fmt.Fprintf(&out, "%v %+v %#v %s %q %x\n", v, v, v, v, v, v)
			b, _ := json.Marshal(v)
			out.Write(b)
			log.Info("shown", "value", v)
		}
	}
	for range 3 {
		if err := w.vault.Put(ctx, "db", full, "operator"); err != nil {
			t.Fatal(err)
		}
	}
	declare(t, w.vault,
		vault.Document{Name: "db", Password: "sealed", Certificate: "sealed", Key: "sealed"},
		vault.Document{Name: "env", Username: "app", Password: "env:PW"},
		vault.Document{Name: "file", Username: "app", Password: "file:" + fileSecret})
	for _, name := range []string{"db", "env", "file"} {
		c, err := w.vault.Credential(ctx, name)
		if err != nil || c.Password.Reveal() != canary {
			t.Fatal(err)
		}
		show(c, *c)
	}
	list, err := w.vault.List(ctx)
	show(list, err, w.vault, w.key(t, "key"), *w.key(t, "key"), w.row(t, "db"), full)

	// Errors of every kind: a document with the secret in the wrong place, a
	// file that is too open, an empty source, a wrong key.
	show(w.vault.SetDocuments([]vault.Document{{Name: "x", Username: "u", Password: canary}}))
	show(w.vault.SetDocuments([]vault.Document{{Name: "x", Username: "u", Password: "vault:" + canary}}))
	show(w.vault.Put(ctx, "", full, "operator"))
	show(w.vault.Put(ctx, "half", gate.Credential{Key: gate.NewSecret(canary)}, "operator"))
	if err := os.Chmod(fileSecret, 0o644); err != nil {
		t.Fatal(err)
	}
	_, err = w.vault.Credential(ctx, "file")
	show(err)
	other := w.open(t, w.key(t, "other"), w.state.ID)
	declare(t, other, sealedDoc("db"))
	_, err = other.Credential(ctx, "db")
	show(err)
	if err := w.vault.Delete(ctx, "db", "operator"); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(fileSecret); err != nil {
		t.Fatal(err)
	}

	master, err := os.ReadFile(filepath.Join(w.dir, "key"))
	if err != nil {
		t.Fatal(err)
	}
	var needles [][]byte
	for _, secret := range [][]byte{[]byte(canary), master} {
		needles = append(needles, secret, []byte(hex.EncodeToString(secret)), []byte(base64.StdEncoding.EncodeToString(secret)),
			[]byte(base64.RawURLEncoding.EncodeToString(secret)))
	}
	sweep := func(where string, b []byte) {
		for _, n := range needles {
			if bytes.Contains(b, n) {
				t.Errorf("%s holds a secret", where)
			}
		}
	}
	sweep("what was printed", out.Bytes())
	err = filepath.WalkDir(w.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(path, "/key") {
			return err
		}
		b, err := os.ReadFile(path)
		sweep(path, b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func BenchmarkCredentialSealed(b *testing.B) {
	dir := b.TempDir()
	state, err := store.Open(context.Background(), "sqlite:"+filepath.Join(dir, "state.db"))
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = state.Close() }()
	key, err := vault.OpenKey("file:" + filepath.Join(dir, "key"))
	if err != nil {
		b.Fatal(err)
	}
	v, err := vault.New(vault.Config{Store: state.Secrets, Keys: key, StoreID: state.ID})
	if err != nil {
		b.Fatal(err)
	}
	if err := v.Put(context.Background(), "db", gate.Credential{Password: gate.NewSecret("x")}, "op"); err != nil {
		b.Fatal(err)
	}
	if err := v.SetDocuments([]vault.Document{sealedDoc("db")}); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := v.Credential(context.Background(), "db"); err != nil {
			b.Fatal(err)
		}
	}
}

func TestOwnKeyIsMadeOnceAndKeptSealed(t *testing.T) {
	w := newWorld(t)
	made := 0
	generate := func() (gate.Secret, error) {
		made++
		return gate.NewSecret(fmt.Sprintf("key %d", made)), nil
	}
	for range 2 {
		key, err := w.vault.Own(t.Context(), "gateway/host-key", generate)
		if err != nil || key.Reveal() != "key 1" {
			t.Fatalf("got %q, %v", key.Reveal(), err)
		}
	}
	other, err := w.vault.Own(t.Context(), "gateway/other", generate)
	if err != nil || other.Reveal() != "key 2" || made != 2 {
		t.Fatalf("another name: %q, %v, made %d", other.Reveal(), err, made)
	}
	fails := errors.New("no randomness")
	if _, err := w.vault.Own(t.Context(), "gateway/third", func() (gate.Secret, error) { return gate.Secret{}, fails }); !errors.Is(err, fails) {
		t.Fatalf("got %v", err)
	}
}

func TestOwnKeyIsTheSameForAllWhoMakeItAtOnce(t *testing.T) {
	w := newWorld(t)
	other := w.open(t, w.key(t, "key"), w.state.ID)
	var keys [8]string
	var wait sync.WaitGroup
	for i := range keys {
		v := w.vault
		if i%2 == 1 {
			v = other
		}
		wait.Go(func() {
			key, err := v.Own(t.Context(), "gateway/host-key", func() (gate.Secret, error) { return gate.NewSecret(fmt.Sprintf("key %d", i)), nil })
			if err != nil {
				t.Error(err)
			}
			keys[i] = key.Reveal()
		})
	}
	wait.Wait()
	for _, k := range keys {
		if k != keys[0] {
			t.Errorf("%q and %q", k, keys[0])
		}
	}
}
