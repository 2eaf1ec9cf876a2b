package vault

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
)

// KeyProvider wraps data keys with a master key that it keeps to itself. It is
// safe for concurrent use and bounds its own network waits.
type KeyProvider interface {
	// Wrap encrypts a data key of 32 bytes, bound to context, and returns it
	// with the id of the master key. It does not keep key or context.
	Wrap(ctx context.Context, key, context []byte) (wrapped []byte, keyID string, err error)
	// Unwrap reverses Wrap. The caller clears the key when it is done. It
	// returns ErrWrongKey if it does not hold the master key with this id.
	Unwrap(ctx context.Context, keyID string, wrapped, context []byte) (key []byte, err error)
}

// ErrWrongKey is the error for something that was sealed with another master
// key than the present one.
var ErrWrongKey = errors.New("vault: sealed with another master key")

// keySize is the length of master and data keys in bytes: AES-256.
const keySize = 32

// FileKey is a KeyProvider with a master key in a local file.
type FileKey struct {
	id   string
	aead cipher.AEAD
}

// OpenKey returns the key provider that location names:
//
//	file:./data/key
//
// The file holds 32 random bytes. It is created for its owner alone if it does
// not exist, together with its folder, and refused if anybody else could read
// or change it. A key file that is lost makes every sealed credential
// unreadable: back it up apart from the state.
func OpenKey(location string) (*FileKey, error) {
	scheme, path, ok := strings.Cut(location, ":")
	switch {
	case !ok || path == "":
		return nil, fmt.Errorf("key %q: want file:PATH", location)
	case scheme != "file":
		return nil, fmt.Errorf("key %q: scheme %q is not supported by this release, want file:PATH", location, scheme)
	}
	key, err := readKey(path)
	if errors.Is(err, fs.ErrNotExist) {
		if key, err = createKey(path); errors.Is(err, fs.ErrExist) {
			key, err = readKey(path) // another process was faster
		}
	}
	if err != nil {
		return nil, fmt.Errorf("key file %s: %w", path, err)
	}
	defer clear(key)
	return newFileKey(key)
}

func newFileKey(key []byte) (*FileKey, error) {
	aead, err := newAEAD(key)
	if err != nil {
		return nil, err
	}
	// The id tells two keys apart and says nothing about 256 random bits.
	sum := sha256.Sum256(append([]byte("sallyport-key-id-v1\x00"), key...))
	return &FileKey{id: "file:" + hex.EncodeToString(sum[:8]), aead: aead}, nil
}

func newAEAD(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

func readKey(path string) ([]byte, error) {
	f, info, err := openRegular(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	if perm := info.Mode().Perm(); perm&0o077 != 0 {
		return nil, fmt.Errorf("its mode is %04o, so that others can read or change it: chmod 600 it, and if it may have been read, replace it", perm)
	}
	if err := checkOwner(info); err != nil {
		return nil, err
	}
	if info.Size() != keySize {
		return nil, fmt.Errorf("it has %d bytes, want %d random ones", info.Size(), keySize)
	}
	key := make([]byte, keySize)
	if _, err := io.ReadFull(f, key); err != nil {
		return nil, err
	}
	if bytes.Equal(key, make([]byte, keySize)) {
		return nil, errors.New("it holds only zeros")
	}
	return key, nil
}

// createKey writes the key under another name first, so that the file is never
// seen half written, and links it, which fails if the name is taken.
func createKey(path string) ([]byte, error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	f, err := os.CreateTemp(dir, ".key-*") // O_EXCL, mode 0600
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.Remove(f.Name()) }()
	key := make([]byte, keySize)
	_, _ = rand.Read(key) // crypto/rand.Read never fails (Go 1.24)
	_, err = f.Write(key)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Link(f.Name(), path)
	}
	if err == nil {
		err = syncDir(dir)
	}
	if err != nil {
		clear(key)
		return nil, err
	}
	return key, nil
}

// syncDir makes a new name in a folder survive a power cut.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer func() { _ = d.Close() }()
	return d.Sync()
}

// ID names the master key; it is not secret.
func (k *FileKey) ID() string { return k.id }

// Wrap encrypts key under the master key.
func (k *FileKey) Wrap(_ context.Context, key, context []byte) ([]byte, string, error) {
	return k.aead.Seal(nil, nil, key, wrapContext(k.id, context)), k.id, nil
}

// Unwrap reverses Wrap.
func (k *FileKey) Unwrap(_ context.Context, keyID string, wrapped, context []byte) ([]byte, error) {
	if keyID != k.id {
		return nil, fmt.Errorf("%w: it needs %q, the key file holds %q", ErrWrongKey, keyID, k.id)
	}
	key, err := k.aead.Open(nil, nil, wrapped, wrapContext(k.id, context))
	if err != nil {
		return nil, errTampered
	}
	return key, nil
}

func wrapContext(id string, context []byte) []byte {
	return bindings("sallyport-wrap-v1", id, string(context))
}

// String names the key without showing it.
func (k *FileKey) String() string { return "master key " + k.id }

// GoString is String, for %#v.
func (k *FileKey) GoString() string { return k.String() }

// Format writes String for every verb.
func (k *FileKey) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, k.String()) }

// LogValue is String, for log/slog.
func (k *FileKey) LogValue() slog.Value { return slog.StringValue(k.String()) }
