package vault

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/sallyport-gateway/sallyport/internal/gate"
)

// tokenName is the sealed credential that holds the secret behind all token
// masks. Whoever deletes it changes every token.
const tokenName = "sallyport.token-masks"

// TokenKey returns the key of the mask token at a target, made from a secret that
// is sealed in the state: all gateways of one state mask alike, and two targets
// do not. The secret is made when it is first asked for.
func (v *Vault) TokenKey(ctx context.Context, target string) ([]byte, error) {
	secret, err := v.tokenSecret(ctx)
	if err != nil {
		return nil, fmt.Errorf("key of token masks: %w", err)
	}
	defer clear(secret)
	mac := hmac.New(sha256.New, secret)
	_, _ = mac.Write([]byte("sallyport-token-mask-v1\x00" + target))
	return mac.Sum(nil), nil
}

func (v *Vault) tokenSecret(ctx context.Context) ([]byte, error) {
	secret, err := v.openToken(ctx)
	if !errors.Is(err, ErrNotFound) {
		return secret, err
	}
	made := make([]byte, keySize)
	_, _ = rand.Read(made) // crypto/rand.Read never fails (Go 1.24)
	defer clear(made)
	err = v.create(ctx, tokenName, gate.Credential{Username: "token masks", Password: gate.NewSecret(string(made))}, "sallyport")
	if err != nil && !errors.Is(err, ErrConflict) {
		return nil, err
	}
	return v.openToken(ctx) // what another gateway has put, if that was faster
}

func (v *Vault) openToken(ctx context.Context) ([]byte, error) {
	s, err := v.cfg.Store.Sealed(ctx, tokenName)
	if err != nil {
		return nil, err
	}
	if s.Name != tokenName {
		return nil, errTampered
	}
	p, err := unseal(ctx, v.cfg.Keys, v.cfg.StoreID, &s)
	if err != nil {
		return nil, err
	}
	if len(p.Password) != keySize {
		return nil, errors.New("it is not one that the gateway made: delete the credential " + tokenName)
	}
	return p.Password, nil
}
