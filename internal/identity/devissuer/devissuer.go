// Package devissuer is an OpenID issuer inside the process, for the
// demonstration and for tests. It serves discovery and its keys, and mints
// access tokens (RFC 9068) for whoever can call it in Go.
//
// It is never for production: it has no clients, no log-in and no storage; its
// keys are made at the start and are gone at the end. [New] refuses every
// address that other machines can reach.
//
// It follows OpenID Connect Discovery 1.0, JSON Web Key (RFC 7517) and the JWT
// profile for access tokens (RFC 9068).
package devissuer

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// DefaultLifetime is how long a minted token lives when Claims do not say.
const DefaultLifetime = 5 * time.Minute

// Config is what an Issuer is made of.
type Config struct {
	// URL is the issuer identifier: http with a loopback address and a port, where
	// the caller serves the Issuer. Required. Example: http://127.0.0.1:40123.
	URL string
	// Algorithm signs the tokens: RS256, PS256, ES256, ES384 or EdDSA. Default: ES256.
	Algorithm string
	// Now is the clock. Nil means time.Now.
	Now func() time.Time
}

// Issuer is a development issuer. It is an http.Handler and safe for concurrent
// use.
type Issuer struct {
	cfg Config

	mu   sync.Mutex
	keys []signingKey // guarded by mu; the newest signs, all are published
	made int          // guarded by mu; numbers the keys
}

type signingKey struct {
	id      string
	private crypto.Signer
}

// Claims is what a token says.
type Claims struct {
	// Subject is sub. Required.
	Subject string
	// ClientID is client_id. Default: Subject.
	ClientID string
	// Audience is aud. Required.
	Audience string
	// Lifetime is how long after now the token expires; negative for a token that
	// has expired. Default: DefaultLifetime.
	Lifetime time.Duration
	// ID is jti. Default: random.
	ID string
	// Extra are further claims, and replace those above; a nil value removes one.
	Extra map[string]any
}

// New returns an issuer with one key.
func New(cfg Config) (*Issuer, error) {
	u, err := url.Parse(cfg.URL)
	if err != nil || u.Scheme != "http" || u.Path != "" {
		return nil, fmt.Errorf("devissuer: %q is not of the form http://127.0.0.1:PORT", cfg.URL)
	}
	if ip := net.ParseIP(u.Hostname()); ip == nil || !ip.IsLoopback() {
		return nil, errors.New("devissuer: the development issuer serves loopback addresses only")
	}
	if cfg.Algorithm == "" {
		cfg.Algorithm = "ES256"
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	i := &Issuer{cfg: cfg}
	return i, i.Rotate()
}

// URL returns the issuer identifier.
func (i *Issuer) URL() string { return i.cfg.URL }

// Rotate makes a new key that signs from now on. The old ones stay published.
func (i *Issuer) Rotate() error {
	private, err := newKey(i.cfg.Algorithm)
	if err != nil {
		return fmt.Errorf("devissuer: %w", err)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.made++
	i.keys = append([]signingKey{{fmt.Sprintf("dev-%d", i.made), private}}, i.keys...)
	return nil
}

// Retire stops publishing all keys but the newest.
func (i *Issuer) Retire() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys = i.keys[:1]
}

// Mint returns a signed access token.
func (i *Issuer) Mint(c Claims) (string, error) {
	if c.Subject == "" || c.Audience == "" {
		return "", errors.New("devissuer: a token needs a subject and an audience")
	}
	if c.ClientID == "" {
		c.ClientID = c.Subject
	}
	if c.Lifetime == 0 {
		c.Lifetime = DefaultLifetime
	}
	if c.ID == "" {
		c.ID = rand.Text()
	}
	now := i.cfg.Now()
	issued := now
	if c.Lifetime < 0 { // expired: issued before it ran out
		issued = now.Add(c.Lifetime - DefaultLifetime)
	}
	claims := map[string]any{
		"iss": i.cfg.URL, "sub": c.Subject, "client_id": c.ClientID, "aud": c.Audience,
		"iat": issued.Unix(), "exp": now.Add(c.Lifetime).Unix(), "jti": c.ID,
	}
	maps.Copy(claims, c.Extra)
	maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", fmt.Errorf("devissuer: claims: %w", err)
	}
	return i.Sign(payload, map[string]any{"typ": "at+jwt"})
}

// Sign signs any payload with the newest key and returns it in compact form.
// Header members besides alg and kid come from extra.
func (i *Issuer) Sign(payload []byte, extra map[string]any) (string, error) {
	i.mu.Lock()
	k := i.keys[0]
	i.mu.Unlock()
	opts := (&jose.SignerOptions{}).WithHeader("kid", k.id)
	for name, v := range extra {
		opts = opts.WithHeader(jose.HeaderKey(name), v)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(i.cfg.Algorithm), Key: k.private}, opts)
	if err != nil {
		return "", fmt.Errorf("devissuer: %w", err)
	}
	jws, err := signer.Sign(payload)
	if err != nil {
		return "", fmt.Errorf("devissuer: %w", err)
	}
	return jws.CompactSerialize()
}

// ServeHTTP answers discovery and the key set, and nothing else.
func (i *Issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet {
		http.Error(w, "only GET", http.StatusMethodNotAllowed)
		return
	}
	var doc any
	switch r.URL.Path {
	case "/.well-known/openid-configuration":
		doc = map[string]any{
			"issuer": i.cfg.URL, "jwks_uri": i.cfg.URL + "/keys",
			"id_token_signing_alg_values_supported": []string{i.cfg.Algorithm},
			"response_types_supported":              []string{"none"},
			"subject_types_supported":               []string{"public"},
		}
	case "/keys":
		doc = i.published()
	default:
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(doc) // the client has gone; nobody is left to tell
}

func (i *Issuer) published() jose.JSONWebKeySet {
	i.mu.Lock()
	defer i.mu.Unlock()
	var set jose.JSONWebKeySet
	for _, k := range i.keys {
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: k.private.Public(), KeyID: k.id, Algorithm: i.cfg.Algorithm, Use: "sig"})
	}
	return set
}

func newKey(algorithm string) (crypto.Signer, error) {
	switch algorithm {
	case "RS256", "PS256":
		return rsa.GenerateKey(rand.Reader, 2048)
	case "ES256":
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "ES384":
		return ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case "EdDSA":
		_, private, err := ed25519.GenerateKey(rand.Reader)
		return private, err
	}
	return nil, fmt.Errorf("algorithm %q is not known", algorithm)
}
