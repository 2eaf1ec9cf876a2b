package config

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/sallyport-gateway/sallyport/internal/gate"
)

// maxSecretBytes bounds a secret file: the largest are PEM keys of a few KiB.
const maxSecretBytes = 64 << 10

// Source says where a secret is: an environment variable or a file.
type Source struct {
	From Place `yaml:"from" required:"true" doc:"env:NAME for an environment variable of the gateway, or file:PATH, relative to the configuration file." example:"env:ORDERS_PASSWORD"`
}

// ScalarHint is what somebody is told who wrote the secret itself.
func (Source) ScalarHint() (message, hint string) {
	return "a secret never stands in a document",
		"write {from: env:NAME} or {from: file:PATH}, or store it with sallyport credential set and write sealed: NAME"
}

// Place is "env:NAME" or "file:PATH".
type Place string

var envName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// UnmarshalText refuses anything but env:NAME and file:PATH, without repeating
// what it was given: that may be the secret.
func (p *Place) UnmarshalText(b []byte) error {
	scheme, rest, _ := strings.Cut(string(b), ":")
	if scheme == "env" && envName.MatchString(rest) || scheme == "file" && rest != "" {
		*p = Place(b)
		return nil
	}
	return fmt.Errorf("expected env:NAME or file:PATH")
}

// MarshalText writes the place.
func (p Place) MarshalText() ([]byte, error) { return []byte(p), nil }

// read fetches the secret. Relative files are under base.
func (p Place) read(base string) (gate.Secret, error) {
	scheme, rest, _ := strings.Cut(string(p), ":")
	switch scheme {
	case "env":
		if v := os.Getenv(rest); v != "" {
			return gate.NewSecret(v), nil
		}
		return gate.Secret{}, fmt.Errorf("environment variable %s: %w", rest, errNoSecret)
	case "file":
		b, err := readFile(resolve(base, rest), maxSecretBytes)
		if err != nil {
			return gate.Secret{}, err
		}
		if v := strings.TrimRight(string(b), "\r\n"); v != "" {
			return gate.NewSecret(v), nil
		}
		return gate.Secret{}, fmt.Errorf("%s: %w", rest, errNoSecret)
	}
	return gate.Secret{}, errNoSecret
}

// Sealed opens secrets of the sealed store by name.
type Sealed interface {
	// Open returns the secret, or an error that names only the secret.
	Open(ctx context.Context, name string) (gate.Secret, error)
}

// Credentials is a gate.Vault over the Credential documents of a Store. It is
// safe for concurrent use. Secrets are read at each log-in and never kept.
type Credentials struct {
	// Store holds the documents.
	Store *Store
	// Sealed opens what documents call sealed; nil refuses those.
	Sealed Sealed
	// Base is the folder that relative files are under.
	Base string
}

// Credential implements gate.Vault.
func (c *Credentials) Credential(ctx context.Context, name string) (*gate.Credential, error) {
	doc, ok := c.Store.Set().Credential(name)
	if !ok {
		return nil, fmt.Errorf("credential %s: there is no such document", name)
	}
	cred, err := c.read(ctx, doc)
	if err != nil {
		return nil, fmt.Errorf("credential %s: %w", name, err)
	}
	return cred, nil
}

func (c *Credentials) read(ctx context.Context, doc *Credential) (*gate.Credential, error) {
	cred := &gate.Credential{Name: doc.Name, Username: doc.Username}
	var err error
	switch {
	case doc.Password != nil:
		cred.Password, err = doc.Password.From.read(c.Base)
	case doc.Sealed != "" && c.Sealed != nil:
		cred.Password, err = c.Sealed.Open(ctx, doc.Sealed)
	case doc.Sealed != "":
		err = errNoSecret
	}
	if err != nil {
		return nil, err
	}
	if doc.Certificate != "" {
		if cred.Certificate, err = readFile(resolve(c.Base, doc.Certificate), maxSecretBytes); err != nil {
			return nil, err
		}
		if cred.Key, err = doc.Key.From.read(c.Base); err != nil {
			return nil, err
		}
	}
	return cred, nil
}

// resolve makes a path absolute under base, unless it is already.
func resolve(base, path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(base, path)
}

// readFile reads a regular file of at most limit bytes.
func readFile(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is not a file", path)
	}
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(b)) > limit {
		err = fmt.Errorf("%s is larger than %d bytes", path, limit)
	}
	return b, err
}

// canonical encodes documents deterministically: structs, slices and sorted maps.
func canonical(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		// Only documents decoded by this package come here; all of them encode.
		panic("config: " + err.Error())
	}
	return b
}
