package vault_test

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/sallyport-gateway/sallyport/internal/gate"
	"github.com/sallyport-gateway/sallyport/internal/vault"
)

// memoryStore keeps one row.
type memoryStore struct {
	vault.Store
	row *vault.Sealed
}

func (s memoryStore) Sealed(context.Context, string) (vault.Sealed, error) {
	if s.row.Ciphertext == nil {
		return vault.Sealed{}, vault.ErrNotFound
	}
	return *s.row, nil
}

func (s memoryStore) PutSealed(_ context.Context, row vault.Sealed) error {
	*s.row = row
	return nil
}

func FuzzRowThatNobodySealedDoesNotOpen(f *testing.F) {
	key, err := vault.OpenKey("file:" + filepath.Join(f.TempDir(), "key"))
	if err != nil {
		f.Fatal(err)
	}
	row := &vault.Sealed{}
	v, err := vault.New(vault.Config{Store: memoryStore{row: row}, Keys: key, StoreID: "s"})
	if err != nil {
		f.Fatal(err)
	}
	if err := v.Put(context.Background(), "db", gate.Credential{Username: "u", Password: gate.NewSecret("x")}, "op"); err != nil {
		f.Fatal(err)
	}
	if err := v.SetDocuments([]vault.Document{sealedDoc("db")}); err != nil {
		f.Fatal(err)
	}
	good := *row
	f.Add(good.Version, good.Username, good.KeyID, good.WrappedKey, good.Ciphertext)
	f.Add(int64(0), "", "", []byte{}, []byte{})
	f.Fuzz(func(t *testing.T, version int64, username, keyID string, wrapped, ciphertext []byte) {
		*row = vault.Sealed{Name: "db", Version: version, Username: username, KeyID: keyID, WrappedKey: wrapped, Ciphertext: ciphertext}
		same := version == good.Version && username == good.Username && keyID == good.KeyID &&
			string(wrapped) == string(good.WrappedKey) && string(ciphertext) == string(good.Ciphertext)
		if _, err := v.Credential(context.Background(), "db"); (err == nil) != same {
			t.Errorf("same row: %v, error: %v", same, err)
		}
	})
}
