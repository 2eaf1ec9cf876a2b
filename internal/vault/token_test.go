package vault_test

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/sallyport-gateway/sallyport/internal/vault"
)

func tokenKey(t *testing.T, v *vault.Vault, target string) []byte {
	t.Helper()
	key, err := v.TokenKey(context.Background(), target)
	if err != nil || len(key) != 32 {
		t.Fatalf("%d bytes, %v", len(key), err)
	}
	return key
}

func TestTokenKeysAreTheSameAtEveryGatewayOfAState(t *testing.T) {
	w := newWorld(t)
	other := w.open(t, w.key(t, "key"), w.state.ID)
	var keys [8][]byte
	var wait sync.WaitGroup
	for i := range keys { // all make the secret at once
		v := w.vault
		if i%2 == 1 {
			v = other
		}
		wait.Go(func() { keys[i] = tokenKey(t, v, "shop") })
	}
	wait.Wait()
	for _, k := range keys {
		if !bytes.Equal(k, keys[0]) {
			t.Error("two gateways have different keys")
		}
	}
	if bytes.Equal(tokenKey(t, w.vault, "shop2"), keys[0]) {
		t.Error("two targets have the same key")
	}
	if err := w.vault.Delete(context.Background(), "sallyport.token-masks", "operator"); err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(tokenKey(t, other, "shop"), keys[0]) {
		t.Error("the key is the same after its secret was deleted")
	}
}

func TestATokenKeyNeedsTheMasterKey(t *testing.T) {
	w := newWorld(t)
	tokenKey(t, w.vault, "shop")
	if _, err := w.open(t, w.key(t, "another"), w.state.ID).TokenKey(context.Background(), "shop"); !errors.Is(err, vault.ErrWrongKey) {
		t.Errorf("got %v", err)
	}
	w.put(t, "sallyport.token-masks", "short")
	if _, err := w.vault.TokenKey(context.Background(), "shop"); err == nil {
		t.Error("a secret of another length is taken")
	}
}
