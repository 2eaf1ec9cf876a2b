package vault

import (
	"context"
	"errors"
	"time"
)

// Sealed is a credential as the state holds it. Nothing in it is secret.
type Sealed struct {
	// Name is the credential's name.
	Name string
	// Version counts from 1 each time the credential is put, and goes on
	// counting when it is deleted and put again.
	Version int64
	// Username is the account at the target.
	Username string
	// KeyID names the master key that wrapped WrappedKey.
	KeyID string
	// WrappedKey is the data key, wrapped by the KeyProvider.
	WrappedKey []byte
	// Ciphertext is the sealed credential.
	Ciphertext []byte
	// Who put it, and when.
	Who string
	At  time.Time
}

// Store keeps sealed credentials. Its methods are safe for concurrent use. When
// PutSealed or DeleteSealed returns nil, the change survives the death of the
// process and of the machine.
type Store interface {
	// PutSealed replaces the credential of that name. It returns ErrConflict if
	// s.Version is not the version after the last one, deleted ones included.
	PutSealed(ctx context.Context, s Sealed) error
	// Sealed returns the credential, or ErrNotFound together with a Sealed whose
	// Version is the last one used (0 if there was none).
	Sealed(ctx context.Context, name string) (Sealed, error)
	// ListSealed returns every credential in order of name, without WrappedKey
	// and Ciphertext.
	ListSealed(ctx context.Context) ([]Sealed, error)
	// DeleteSealed forgets the credential's key and ciphertext and remembers its
	// version. It returns ErrNotFound if there is none.
	DeleteSealed(ctx context.Context, name, who string, at time.Time) error
}

// ErrNotFound is the error for a credential that does not exist.
var ErrNotFound = errors.New("vault: there is no such credential")

// ErrConflict is the error for a credential that somebody else put meanwhile.
var ErrConflict = errors.New("vault: the credential was changed by somebody else meanwhile")
