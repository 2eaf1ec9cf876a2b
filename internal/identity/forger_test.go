package identity_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"
)

// forger is an issuer that signs whatever bytes a test wants, validly, so that a
// refusal is never only the signature's.
type forger struct {
	*world
	private ed25519.PrivateKey
	kid     string
	keys    func() string // the key set as served
	jwks    string        // jwks_uri as discovery says it
	name    string        // issuer as discovery says it
}

func newForger(t testing.TB) *forger {
	t.Helper()
	w := newWorld(t, "EdDSA")
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	f := &forger{world: w, private: private, kid: "k1", jwks: w.issuer.URL() + "/keys", name: w.issuer.URL()}
	f.keys = func() string {
		return fmt.Sprintf(`{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"k1","use":"sig","alg":"EdDSA","x":%q}]}`, b64(public))
	}
	f.serve(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/keys" {
			_, _ = fmt.Fprint(rw, f.keys())
			return
		}
		_, _ = fmt.Fprintf(rw, `{"issuer":%q,"jwks_uri":%q}`, f.name, f.jwks)
	})
	return f
}

func (f *forger) serve(h http.HandlerFunc) {
	var handler http.Handler = h
	f.wrap.Store(&handler)
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// raw signs exactly these bytes.
func (f *forger) raw(header, payload string) string {
	signed := b64([]byte(header)) + "." + b64([]byte(payload))
	return signed + "." + b64(ed25519.Sign(f.private, []byte(signed)))
}

// payload returns good claims with changes; a change to nil removes a claim.
func (f *forger) payload(changes map[string]any) string {
	now := f.Now().Unix()
	claims := map[string]any{
		"iss": f.issuer.URL(), "sub": "reporting-agent", "client_id": "reporting-agent", "aud": "sallyport",
		"iat": now, "exp": now + 300, "jti": marker, "purpose": marker,
	}
	maps.Copy(claims, changes)
	maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
	raw, err := json.Marshal(claims)
	if err != nil {
		f.t.Fatal(err)
	}
	return string(raw)
}

const (
	marker     = "c0ffee-marker"
	goodHeader = `{"alg":"EdDSA","typ":"at+jwt","kid":"k1"}`
)

// with signs good claims with changes under a good header.
func (f *forger) with(changes map[string]any) string { return f.raw(goodHeader, f.payload(changes)) }

// head signs good claims under a header with members put in front.
func (f *forger) head(members string) string {
	return f.raw(`{`+members+`,`+goodHeader[1:], f.payload(nil))
}

// insert signs good claims with raw members put in front.
func (f *forger) insert(members string) string {
	return f.raw(goodHeader, `{`+members+`,`+f.payload(nil)[1:])
}

// replace signs good claims with one raw text replaced.
func (f *forger) replace(old, with string) string {
	good := f.payload(nil)
	if !strings.Contains(good, old) {
		f.t.Fatalf("%s is not in the payload", old)
	}
	return f.raw(goodHeader, strings.Replace(good, old, with, 1))
}

func (f *forger) unix(d time.Duration) string { return fmt.Sprint(f.Now().Add(d).Unix()) }

func TestTheForgersGoodTokenIsAccepted(t *testing.T) {
	f := newForger(t)
	if p := f.accepts(f.with(nil)); p.TokenID != marker {
		t.Errorf("token id %q", p.TokenID)
	}
}

func unix(t time.Time) string { return fmt.Sprint(t.Unix()) }
