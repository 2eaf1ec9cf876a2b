package identity

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/go-jose/go-jose/v4"
)

// maxKeys bounds a key set. Providers publish two to four keys; SPIFFE bundles
// and shared endpoints some tens.
const maxKeys = 100

// defaultAlgorithms are accepted where the issuer's document names none.
func defaultAlgorithms() []string { return []string{"RS256", "ES256", "EdDSA"} }

// supported reports whether the algorithm can be allowed at all. Symmetric ones
// and none cannot (RFC 8725, sections 3.1 and 3.2).
func supported(alg string) bool {
	switch alg {
	case "RS256", "ES256", "EdDSA", "PS256", "ES384":
		return true
	}
	return false
}

// key is a public key that may verify signatures.
type key struct {
	kid    string
	alg    string // the only algorithm it is for; empty if the set does not say
	public any
}

// fits reports whether the key may verify alg: its type, its curve and what its
// set says it is for.
func (k *key) fits(alg string) bool {
	if k.alg != "" && k.alg != alg {
		return false
	}
	switch public := k.public.(type) {
	case *rsa.PublicKey:
		return alg == "RS256" || alg == "PS256"
	case *ecdsa.PublicKey:
		return alg == "ES256" && public.Curve == elliptic.P256() || alg == "ES384" && public.Curve == elliptic.P384()
	case ed25519.PublicKey:
		return alg == "EdDSA"
	}
	return false
}

// parseKeys reads a JSON Web Key Set (RFC 7517, section 5). Keys that are not
// for signatures, not understood or too weak are left out, as the RFC asks; a
// set without one usable key is an error.
func parseKeys(raw []byte) ([]key, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(raw, &set); err != nil {
		return nil, errors.New("the key set is malformed JSON")
	}
	if len(set.Keys) > maxKeys {
		return nil, fmt.Errorf("the key set has %d keys, over %d", len(set.Keys), maxKeys)
	}
	var keys []key
	for _, raw := range set.Keys {
		if k, ok := parseKey(raw); ok {
			keys = append(keys, k)
		}
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("none of the %d keys in the key set can be used", len(set.Keys))
	}
	return keys, nil
}

func parseKey(raw []byte) (key, bool) {
	var meta struct {
		Use string   `json:"use"`
		Ops []string `json:"key_ops"`
		D   any      `json:"d"`
		K   any      `json:"k"`
	}
	if json.Unmarshal(raw, &meta) != nil || meta.D != nil || meta.K != nil {
		return key{}, false // a published private key is nobody's proof
	}
	// SPIFFE bundles mark the keys for JWT-SVIDs with their own use.
	if meta.Use != "" && meta.Use != "sig" && meta.Use != "jwt-svid" {
		return key{}, false
	}
	if meta.Ops != nil && !slices.Contains(meta.Ops, "verify") {
		return key{}, false
	}
	var jwk jose.JSONWebKey
	if jwk.UnmarshalJSON(raw) != nil || !jwk.IsPublic() || !jwk.Valid() || len(jwk.KeyID) > maxTokenIDBytes {
		return key{}, false
	}
	switch public := jwk.Key.(type) {
	case *rsa.PublicKey:
		// RFC 7518, section 3.3 asks for 2,048 bits or more; over 8,192 the
		// verification costs milliseconds.
		if n := public.N.BitLen(); n < 2048 || n > 8192 || public.E < 3 || public.E&1 == 0 {
			return key{}, false
		}
	case *ecdsa.PublicKey, ed25519.PublicKey:
	default:
		return key{}, false
	}
	return key{kid: jwk.KeyID, alg: jwk.Algorithm, public: jwk.Key}, true
}

// errSeveral says that a token names no kid and the issuer has several keys.
var errSeveral = errors.New("several keys match")

// selectKey returns the one key for kid and alg; nil if there is none.
func selectKey(keys []key, kid, alg string) (*key, error) {
	var found *key
	for i := range keys {
		k := &keys[i]
		if kid != "" && k.kid != kid || !k.fits(alg) {
			continue
		}
		if found != nil {
			return nil, errSeveral
		}
		found = k
	}
	return found, nil
}

// verifySignature checks the token's signature with the one algorithm that its
// header names and its issuer allows.
func verifySignature(t *token, k *key) error {
	alg := jose.SignatureAlgorithm(t.header.alg)
	jws, err := jose.ParseSignedCompact(t.raw, []jose.SignatureAlgorithm{alg})
	if err != nil {
		return errors.New("the signature library does not read it")
	}
	body, err := jws.Verify(k.public)
	if err != nil {
		return errors.New("the signature does not match")
	}
	if string(body) != string(t.body) {
		return errors.New("the signature is over another payload")
	}
	return nil
}

// readBounded reads all of r and fails if that is more than limit bytes.
func readBounded(r io.Reader, limit int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(b)) > limit {
		return nil, fmt.Errorf("longer than %d bytes", limit)
	}
	return b, nil
}
