package vault

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/sallyport-gateway/sallyport/internal/gate"
)

// maxSecret bounds, in bytes, each part of a credential: a certificate chain
// with an RSA key has about 10 KiB.
const maxSecret = 64 << 10

// errTampered says no more: what exactly did not fit is nobody's business.
var errTampered = errors.New("the sealed data was changed, or belongs to another credential")

// payload is what a ciphertext holds.
type payload struct {
	Username    string `json:"username"`
	Password    []byte `json:"password"` // bytes, since JSON would mend what is not UTF-8
	Certificate []byte `json:"certificate"`
	Key         []byte `json:"key"`
}

// bindings joins parts so that no two lists of parts give the same bytes.
func bindings(parts ...string) []byte {
	var b []byte
	for _, p := range parts {
		b = binary.BigEndian.AppendUint64(b, uint64(len(p)))
		b = append(b, p...)
	}
	return b
}

// place is what a sealed credential is bound to before its master key is known.
func place(store string, s *Sealed) []byte {
	return bindings("sallyport-vault-v1", store, s.Name, strconv.FormatInt(s.Version, 10), s.Username)
}

func seal(ctx context.Context, keys KeyProvider, store string, s *Sealed, c *gate.Credential) error {
	plain, err := json.Marshal(payload{c.Username, []byte(c.Password.Reveal()), c.Certificate, []byte(c.Key.Reveal())})
	if err != nil {
		return errors.New("the credential cannot be encoded")
	}
	defer clear(plain)
	key := make([]byte, keySize)
	defer clear(key)
	_, _ = rand.Read(key) // crypto/rand.Read never fails (Go 1.24)
	if s.WrappedKey, s.KeyID, err = keys.Wrap(ctx, key, place(store, s)); err != nil {
		return fmt.Errorf("wrap the data key: %w", err)
	}
	aead, err := newAEAD(key)
	if err != nil {
		return err
	}
	s.Ciphertext = aead.Seal(nil, nil, plain, bindings(string(place(store, s)), s.KeyID))
	return nil
}

func unseal(ctx context.Context, keys KeyProvider, store string, s *Sealed) (*payload, error) {
	key, err := keys.Unwrap(ctx, s.KeyID, s.WrappedKey, place(store, s))
	if err != nil {
		return nil, err
	}
	defer clear(key)
	aead, err := newAEAD(key)
	if err != nil {
		return nil, errTampered
	}
	plain, err := aead.Open(nil, nil, s.Ciphertext, bindings(string(place(store, s)), s.KeyID))
	if err != nil {
		return nil, errTampered
	}
	defer clear(plain)
	var p payload
	if err := json.Unmarshal(plain, &p); err != nil {
		return nil, errTampered // without the decoder's error, which may quote
	}
	return &p, nil
}
