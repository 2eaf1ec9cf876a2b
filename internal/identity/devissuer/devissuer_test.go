package devissuer_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/sallyport-gateway/sallyport/internal/identity/devissuer"
)

func TestOnlyLoopbackAddressesAreServed(t *testing.T) {
	for _, url := range []string{"", "https://127.0.0.1:1", "http://localhost:1", "http://10.0.0.1:1", "http://idp.example", "http://127.0.0.1:1/realm"} {
		if _, err := devissuer.New(devissuer.Config{URL: url}); err == nil {
			t.Errorf("%q is accepted", url)
		}
	}
	if _, err := devissuer.New(devissuer.Config{URL: "http://127.0.0.1:1", Algorithm: "none"}); err == nil {
		t.Error("alg none is accepted")
	}
}

func TestOnlyPublicKeysArePublished(t *testing.T) {
	for _, algorithm := range []string{"RS256", "ES256", "EdDSA"} {
		i, err := devissuer.New(devissuer.Config{URL: "http://127.0.0.1:1", Algorithm: algorithm})
		if err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		i.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/keys", nil))
		if body := w.Body.String(); strings.Contains(body, `"d"`) || !strings.Contains(body, `"dev-1"`) {
			t.Errorf("published %s", body)
		}
	}
}

func TestATokenNeedsASubjectAndAnAudience(t *testing.T) {
	i, err := devissuer.New(devissuer.Config{URL: "http://127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []devissuer.Claims{{}, {Subject: "a"}, {Audience: "b"}} {
		if _, err := i.Mint(c); err == nil {
			t.Errorf("minted %+v", c)
		}
	}
}

func TestAnExpiredTokenLivedBefore(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	i, err := devissuer.New(devissuer.Config{URL: "http://127.0.0.1:1", Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	token, err := i.Mint(devissuer.Claims{Subject: "a", Audience: "b", Lifetime: -time.Minute, ID: "x"})
	if err != nil {
		t.Fatal(err)
	}
	jws, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		t.Fatal(err)
	}
	want := `{"aud":"b","client_id":"a","exp":1799999940,"iat":1799999640,"iss":"http://127.0.0.1:1","jti":"x","sub":"a"}`
	if got := string(jws.UnsafePayloadWithoutVerification()); got != want {
		t.Errorf("payload %s", got)
	}
}

func TestEverythingElseIsNotFound(t *testing.T) {
	i, err := devissuer.New(devissuer.Config{URL: "http://127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]int{"/": 404, "/token": 404, "/.well-known/openid-configuration": 200} {
		w := httptest.NewRecorder()
		i.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		if w.Code != want {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
	w := httptest.NewRecorder()
	i.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/keys", nil))
	if w.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", w.Code)
	}
}
