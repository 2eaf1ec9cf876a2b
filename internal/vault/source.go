package vault

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/sallyport-gateway/sallyport/internal/gate"
)

// Document says where the parts of one credential come from. Password and Key
// are each empty, or one of
//
//	env:NAME    the environment variable of the gateway's process
//	file:PATH   a file that only the gateway's account may read
//	sealed      the sealed store
//
// Certificate is empty, file:PATH or sealed, and needs its key. Either a password
// or a key must be there. The values themselves never stand in a document.
type Document struct {
	// Name is what targets name the credential by.
	Name string
	// Username is the account at the target. Empty takes the sealed one.
	Username string
	// Sealed is the name in the sealed store. Empty takes Name.
	Sealed string
	// Password is the source of the password, such as "env:ORDERS_PASSWORD".
	Password string
	// Certificate is the source of the PEM chain, such as "file:/etc/sallyport/orders.pem".
	Certificate string
	// Key is the source of the PEM private key: the certificate's, or one of its own.
	Key string
	// Authority says that Key signs certificates to log in with.
	Authority bool
}

const sealedWord = "sealed"

// Validate checks the document's form; it reads no secret. Errors are of type
// *FieldError and never quote what may be a secret by mistake.
func (d Document) Validate() error {
	switch {
	case d.Name == "":
		return &FieldError{"name", "a credential needs a name"}
	case d.Password == "" && d.Certificate == "" && d.Key == "":
		return &FieldError{"password", "a credential needs a password, a key, or a certificate with its key"}
	case d.Certificate != "" && d.Key == "":
		return &FieldError{"key", "certificate and key belong together"}
	case d.Username == "" && d.Password != "" && d.Password != sealedWord:
		return &FieldError{"username", "a password needs the name of its account"}
	}
	for _, f := range []struct {
		name, source string
		env          bool // a secret; a certificate is none, and does not fit well there
	}{{"password", d.Password, true}, {"certificate", d.Certificate, false}, {"key", d.Key, true}} {
		if f.source == "" || f.source == sealedWord {
			continue
		}
		scheme, rest, _ := strings.Cut(f.source, ":")
		known := scheme == "file" || scheme == "env" && f.env
		if !known || rest == "" || strings.ContainsRune(rest, 0) {
			want := "file:PATH or sealed"
			if f.env {
				want = "env:NAME, " + want
			}
			return &FieldError{f.name, "want where the value comes from, not the value: " + want}
		}
	}
	return nil
}

// FieldError is a mistake in one field of a document.
type FieldError struct {
	// Field is the field's name in the document.
	Field string
	// Text says what is wrong; it holds no secret.
	Text string
}

// Error joins the field and the text.
func (e *FieldError) Error() string { return e.Field + ": " + e.Text }

func (d Document) sealed() bool {
	return d.Password == sealedWord || d.Certificate == sealedWord || d.Key == sealedWord
}

// credential puts the parts together.
func (v *Vault) credential(ctx context.Context, d Document) (*gate.Credential, error) {
	var p payload
	if d.sealed() {
		name := d.Sealed
		if name == "" {
			name = d.Name
		}
		s, err := v.cfg.Store.Sealed(ctx, name)
		if errors.Is(err, ErrNotFound) {
			return nil, fmt.Errorf("%w in the sealed store", ErrNotFound)
		} else if err != nil {
			return nil, err
		}
		if s.Name != name {
			return nil, errTampered
		}
		opened, err := unseal(ctx, v.cfg.Keys, v.cfg.StoreID, &s)
		if err != nil {
			return nil, err
		}
		p = *opened
	}
	c := &gate.Credential{Name: d.Name, Username: d.Username, Authority: d.Authority}
	if c.Username == "" {
		c.Username = p.Username
	}
	password, err := v.part("password", d.Password, string(p.Password), true)
	if err != nil {
		return nil, err
	}
	key, err := v.part("key", d.Key, string(p.Key), true)
	if err != nil {
		return nil, err
	}
	chain, err := v.part("certificate", d.Certificate, string(p.Certificate), false)
	if err != nil {
		return nil, err
	}
	c.Password, c.Key = gate.NewSecret(password), gate.NewSecret(key)
	if chain != "" {
		c.Certificate = []byte(chain)
	}
	return c, nil
}

// part returns the value of one source. A source that gives nothing is an
// error: an empty password must never be tried.
func (v *Vault) part(name, source, fromSeal string, secret bool) (value string, err error) {
	scheme, where, _ := strings.Cut(source, ":")
	switch scheme {
	case "":
		return "", nil
	case sealedWord:
		value = fromSeal
	case "env":
		value, _ = v.cfg.Getenv(where)
	case "file":
		value, err = readSecret(where, secret)
	default:
		err = errors.New("unknown source")
	}
	if err == nil && value == "" {
		err = errors.New("it is empty")
	}
	if err == nil && len(value) > maxSecret {
		err = fmt.Errorf("it is longer than %d bytes", maxSecret)
	}
	if err != nil {
		return "", fmt.Errorf("%s from %s: %w", name, source, err)
	}
	return value, nil
}

// readSecret reads a file without its last line feed. A secret one is refused
// if its mode lets everybody read it, and every one if others may change it. A
// group may read it: mounted secrets are handed over that way.
func readSecret(path string, secret bool) (string, error) {
	f, info, err := openRegular(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	perm := info.Mode().Perm()
	if secret && perm&0o007 != 0 {
		return "", fmt.Errorf("its mode is %04o, so that everybody on the machine can use it: chmod o-rwx it", perm)
	}
	if perm&0o022 != 0 {
		return "", fmt.Errorf("its mode is %04o, so that others can change it: chmod go-w it", perm)
	}
	if err := checkOwner(info); err != nil {
		return "", err
	}
	b, err := io.ReadAll(io.LimitReader(f, maxSecret+2))
	if err != nil {
		return "", err
	}
	defer clear(b)
	text := string(b)
	if line, ok := strings.CutSuffix(text, "\n"); ok {
		return strings.TrimSuffix(line, "\r"), nil
	}
	return text, nil
}
