package vault

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"github.com/sallyport-gateway/sallyport/internal/gate"
)

// Config is what a Vault is made of.
type Config struct {
	// Store keeps the sealed credentials; required.
	Store Store
	// Keys wraps the data keys; required.
	Keys KeyProvider
	// StoreID names the state that Store belongs to; required. A ciphertext
	// does not open in another state.
	StoreID string
	// Getenv looks up an environment variable. Nil means os.LookupEnv.
	Getenv func(name string) (string, bool)
	// Now is the clock. Nil means time.Now.
	Now func() time.Time
}

// Vault hands out credentials. It is safe for concurrent use.
type Vault struct {
	cfg  Config
	docs atomic.Pointer[map[string]Document]
}

// New returns a vault without documents.
func New(cfg Config) (*Vault, error) {
	switch {
	case cfg.Store == nil:
		return nil, errors.New("vault: no Store")
	case cfg.Keys == nil:
		return nil, errors.New("vault: no Keys")
	case cfg.StoreID == "":
		return nil, errors.New("vault: no StoreID")
	}
	if cfg.Getenv == nil {
		cfg.Getenv = os.LookupEnv
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	v := &Vault{cfg: cfg}
	v.docs.Store(&map[string]Document{})
	return v, nil
}

// SetDocuments replaces all documents at once. If one of them is not valid, or
// two have the same name, it changes nothing.
func (v *Vault) SetDocuments(docs []Document) error {
	byName := make(map[string]Document, len(docs))
	for _, d := range docs {
		if err := d.Validate(); err != nil {
			return fmt.Errorf("credential %q: %w", d.Name, err)
		}
		if _, twice := byName[d.Name]; twice {
			return fmt.Errorf("credential %q: two documents have this name", d.Name)
		}
		byName[d.Name] = d
	}
	v.docs.Store(&byName)
	return nil
}

// Credential returns the named credential with its secrets as they are now. Its
// errors name the credential and where it should have come from, never a value.
func (v *Vault) Credential(ctx context.Context, name string) (*gate.Credential, error) {
	d, ok := (*v.docs.Load())[name]
	if !ok {
		return nil, fmt.Errorf("credential %q: %w: no document of this name", name, ErrNotFound)
	}
	c, err := v.credential(ctx, d)
	if err != nil {
		return nil, fmt.Errorf("credential %q: %w", name, err)
	}
	return c, nil
}

// Put seals c under name, in place of what was there. who is kept with it. It
// returns ErrConflict if somebody else put the same credential meanwhile. The
// credential needs no document to be put, and one to be used.
func (v *Vault) Put(ctx context.Context, name string, c gate.Credential, who string) error {
	if err := checkParts(name, &c); err != nil {
		return fmt.Errorf("credential %q: %w", name, err)
	}
	last, err := v.cfg.Store.Sealed(ctx, name)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return fmt.Errorf("credential %q: %w", name, err)
	}
	return v.put(ctx, name, last.Version+1, c, who)
}

// create seals a credential if there is none of the name, otherwise it returns
// ErrConflict.
func (v *Vault) create(ctx context.Context, name string, c gate.Credential, who string) error {
	last, err := v.cfg.Store.Sealed(ctx, name)
	if err == nil {
		err = ErrConflict
	}
	if !errors.Is(err, ErrNotFound) {
		return fmt.Errorf("credential %q: %w", name, err)
	}
	return v.put(ctx, name, last.Version+1, c, who)
}

// put seals the given version of a credential, unless it is there already.
func (v *Vault) put(ctx context.Context, name string, version int64, c gate.Credential, who string) error {
	s := Sealed{Name: name, Version: version, Username: c.Username, Who: who,
		At: v.cfg.Now().UTC().Truncate(time.Microsecond)}
	if err := seal(ctx, v.cfg.Keys, v.cfg.StoreID, &s, &c); err != nil {
		return fmt.Errorf("credential %q: %w", name, err)
	}
	if err := v.cfg.Store.PutSealed(ctx, s); err != nil {
		return fmt.Errorf("credential %q: %w", name, err)
	}
	return nil
}

func checkParts(name string, c *gate.Credential) error {
	switch {
	case name == "" || len(name) > 256 || len(c.Username) > 1024:
		return errors.New("the name and the user name must be of sensible length")
	case c.Password.IsZero() && c.Key.IsZero():
		return errors.New("there is no secret in it")
	case len(c.Password.Reveal()) > maxSecret || len(c.Key.Reveal()) > maxSecret || len(c.Certificate) > maxSecret:
		return fmt.Errorf("a part of it is longer than %d bytes", maxSecret)
	case len(c.Certificate) > 0 && c.Key.IsZero():
		return errors.New("certificate and key belong together")
	}
	return nil
}

// Own returns the key of the gateway's own that is kept sealed under name, and
// makes it with generate the first time. Of several gateways that make it at the
// same time, one wins and all return its key. The name must be one that no
// document can have.
func (v *Vault) Own(ctx context.Context, name string, generate func() (gate.Secret, error)) (gate.Secret, error) {
	for range 3 {
		c, err := v.credential(ctx, Document{Name: name, Key: sealedWord})
		if err == nil {
			return c.Key, nil
		}
		if !errors.Is(err, ErrNotFound) {
			return gate.Secret{}, fmt.Errorf("own key %q: %w", name, err)
		}
		key, err := generate()
		if err != nil {
			return gate.Secret{}, fmt.Errorf("own key %q: %w", name, err)
		}
		err = v.create(ctx, name, gate.Credential{Key: key}, "the gateway")
		if err != nil && !errors.Is(err, ErrConflict) {
			return gate.Secret{}, err
		}
	}
	return gate.Secret{}, fmt.Errorf("own key %q: %w", name, ErrConflict)
}

// Delete forgets a sealed credential. It returns ErrNotFound if there is none.
func (v *Vault) Delete(ctx context.Context, name, who string) error {
	if err := v.cfg.Store.DeleteSealed(ctx, name, who, v.cfg.Now().UTC().Truncate(time.Microsecond)); err != nil {
		return fmt.Errorf("credential %q: %w", name, err)
	}
	return nil
}

// Entry is what may be shown of a sealed credential.
type Entry struct {
	Name     string
	Username string
	Version  int64
	KeyID    string
	Who      string
	At       time.Time
}

// List returns the sealed credentials in order of name, never their secrets.
func (v *Vault) List(ctx context.Context) ([]Entry, error) {
	all, err := v.cfg.Store.ListSealed(ctx)
	if err != nil {
		return nil, fmt.Errorf("list credentials: %w", err)
	}
	entries := make([]Entry, len(all))
	for i, s := range all {
		entries[i] = Entry{s.Name, s.Username, s.Version, s.KeyID, s.Who, s.At}
	}
	return entries, nil
}
