package gate

import (
	"fmt"
	"log/slog"
)

const redacted = "REDACTED"

// Secret is a value that must never be printed. Every formatting verb, slog and
// encoding/json show REDACTED; only Reveal gives the value.
type Secret struct{ value string }

// NewSecret wraps value.
func NewSecret(value string) Secret { return Secret{value} }

// Reveal returns the value. Call it only where the value goes on the wire to
// the target or into a cipher.
func (s Secret) Reveal() string { return s.value }

// IsZero reports whether there is no value.
func (s Secret) IsZero() bool { return s.value == "" }

// String returns REDACTED.
func (s Secret) String() string { return redacted }

// GoString returns REDACTED, for %#v.
func (s Secret) GoString() string { return redacted }

// Format writes REDACTED for every verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// LogValue returns REDACTED.
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText returns REDACTED, for encoding/json and its relatives.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// Credential is what the gateway logs in to a target with. Agents never see one.
type Credential struct {
	// Name is the document's name; it may be shown.
	Name string
	// Username is the account at the target; it may be shown to operators.
	Username string
	// Password is the account's password; zero for certificate log-in.
	Password Secret
	// Certificate is a PEM chain for TLS or SSH client authentication; may be empty.
	Certificate []byte
	// Key is a PEM private key: that of Certificate, or an SSH key; zero without one.
	Key Secret
	// Authority says that Key is a certificate authority's: the protocol logs in
	// with a key of its own that it signs with Key for minutes.
	Authority bool
}
