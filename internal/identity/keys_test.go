package identity_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"math/big"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport-gateway/sallyport/internal/gate"
	"github.com/sallyport-gateway/sallyport/internal/identity"
)

func TestNothingIsFetchedBeforeTheFirstToken(t *testing.T) {
	w := newWorld(t, "")
	w.refuses("not a token", identity.RuleForm)
	if n := w.fetches.Load(); n != 0 {
		t.Errorf("%d fetches", n)
	}
	w.accepts(w.mint(w.claims()))
	if n := w.fetches.Load(); n != 2 { // discovery and keys
		t.Errorf("%d fetches", n)
	}
}

func TestATokenOfAnUnknownIssuerFetchesNothing(t *testing.T) {
	f := newForger(t)
	f.refuses(f.with(claims{"iss": "http://127.0.0.1:9"}), identity.RuleIssuer)
	f.refuses(f.with(claims{"iss": f.issuer.URL() + "/x"}), identity.RuleIssuer)
	if n := f.fetches.Load(); n != 0 {
		t.Errorf("%d fetches", n)
	}
}

func TestAFloodOfUnknownKeysMakesOneFetchInTenSeconds(t *testing.T) {
	f := newForger(t)
	f.accepts(f.with(nil))
	before := f.fetches.Load()
	var wait sync.WaitGroup
	for i := range 200 {
		token := f.raw(fmt.Sprintf(`{"alg":"EdDSA","typ":"at+jwt","kid":"random-%d"}`, i), f.payload(nil))
		wait.Go(func() { _, _ = f.identify(token) })
	}
	wait.Wait()
	if n := f.fetches.Load() - before; n != 0 {
		t.Errorf("%d fetches within ten seconds of the first", n)
	}
	f.add(11 * time.Second)
	for i := range 200 {
		f.refuses(f.raw(fmt.Sprintf(`{"alg":"EdDSA","typ":"at+jwt","kid":"other-%d"}`, i), f.payload(nil)), identity.RuleKey)
	}
	if n := f.fetches.Load() - before; n != 1 { // the keys; discovery is believed for an hour
		t.Errorf("%d fetches", n)
	}
	f.accepts(f.with(nil))
}

func TestManyLogInsAtOnceShareOneFetch(t *testing.T) {
	f := newForger(t)
	inner := *f.wrap.Load()
	release := make(chan struct{})
	f.serve(func(rw http.ResponseWriter, r *http.Request) {
		<-release
		inner.ServeHTTP(rw, r)
	})
	var wait sync.WaitGroup
	errs := make(chan error, 50)
	for range 50 {
		token := f.with(nil)
		wait.Go(func() {
			_, err := f.identify(token)
			errs <- err
		})
	}
	close(release)
	wait.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			t.Error(err)
		}
	}
	if n := f.fetches.Load(); n != 2 {
		t.Errorf("%d fetches", n)
	}
}

func TestACallerThatGivesUpDoesNotWaitForTheProvider(t *testing.T) {
	f := newForger(t)
	arrived, release := make(chan struct{}), make(chan struct{})
	defer close(release)
	f.serve(func(http.ResponseWriter, *http.Request) {
		close(arrived)
		<-release
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { // ends when the fetch has begun
		<-arrived
		cancel()
	}()
	if _, err := f.verifier.Identify(ctx, gate.NewSecret(f.with(nil))); err == nil {
		t.Error("accepted without keys")
	}
}

func TestANewKeyIsFoundAndAnOldOneForgotten(t *testing.T) {
	w := newWorld(t, "ES256")
	old := w.mint(w.claims())
	w.accepts(old)
	if err := w.issuer.Rotate(); err != nil {
		t.Fatal(err)
	}
	w.issuer.Retire()
	fresh := w.mint(w.claims())
	w.refuses(fresh, identity.RuleKey) // the last fetch is too recent
	w.add(11 * time.Second)
	w.accepts(fresh)
	w.refuses(old, identity.RuleKey) // it was verified before, with a key that is gone
}

func TestKeysAreRefreshedInTheBackground(t *testing.T) {
	w := newWorld(t, "")
	c := w.claims()
	c.Lifetime = time.Hour
	token := w.mint(c)
	w.accepts(token)
	before := w.fetches.Load()
	w.add(11 * time.Minute)
	w.accepts(token) // starts the refresh and does not wait for it
	w.verifier.Close()
	if n := w.fetches.Load() - before; n > 1 {
		t.Errorf("%d fetches", n)
	}
}

func TestTheLastGoodKeysServeWhileTheProviderIsDown(t *testing.T) {
	f := newForger(t)
	f.accepts(f.with(nil))
	f.down.Store(true)
	for range 20 {
		f.add(time.Hour)
		f.accepts(f.with(nil))
	}
	f.add(5 * time.Hour) // a day after the last good fetch
	f.refuses(f.with(nil), identity.RuleKeys)
	f.down.Store(false)
	f.add(11 * time.Second)
	f.accepts(f.with(nil))
}

func TestAProviderThatIsDownAtTheStartIsFoundLater(t *testing.T) {
	w := newWorld(t, "")
	w.down.Store(true)
	w.refuses(w.mint(w.claims()), identity.RuleKeys)
	before := w.fetches.Load()
	w.refuses(w.mint(w.claims()), identity.RuleKeys)
	if w.fetches.Load() != before {
		t.Error("a second fetch within ten seconds")
	}
	w.down.Store(false)
	w.add(11 * time.Second)
	w.accepts(w.mint(w.claims()))
}

func TestAProviderThatLiesIsNotBelieved(t *testing.T) {
	cases := map[string]func(f *forger){
		"discovery of another issuer":            func(f *forger) { f.name = "https://other.example" },
		"discovery with a trailing slash":        func(f *forger) { f.name += "/" },
		"keys over plain http on another host":   func(f *forger) { f.jwks = "http://192.0.2.1/keys" },
		"keys in a file":                         func(f *forger) { f.jwks = "file:///etc/passwd" },
		"no keys address":                        func(f *forger) { f.jwks = "" },
		"keys that are no JSON":                  func(f *forger) { f.keys = func() string { return "<html>" } },
		"an empty key set":                       func(f *forger) { f.keys = func() string { return `{"keys":[]}` } },
		"a key set over 1 MiB":                   func(f *forger) { k := f.keys(); f.keys = func() string { return k + strings.Repeat(" ", 1<<20) } },
		"a key set of 101 keys":                  func(f *forger) { f.keys = func() string { return `{"keys":[` + strings.Repeat(`{},`, 100) + `{}]}` } },
		"a key for encryption":                   func(f *forger) { f.edit(`"use":"sig"`, `"use":"enc"`) },
		"a key that is for signing only":         func(f *forger) { f.edit(`"use":"sig"`, `"key_ops":["sign"]`) },
		"a private key":                          func(f *forger) { f.edit(`"use":"sig"`, `"use":"sig","d":"AAAA"`) },
		"a symmetric key":                        func(f *forger) { f.keys = func() string { return `{"keys":[{"kty":"oct","k":"AAAA","kid":"k1"}]}` } },
		"an RSA key of 1024 bits":                func(f *forger) { f.keys = weakRSA },
		"an RSA key with exponent 1":             func(f *forger) { f.keys = exponentOne },
		"a point that is not on its curve":       func(f *forger) { f.keys = offCurve },
		"a redirect to another host":             func(f *forger) { f.redirect("http://localhost:9/") },
		"a redirect without end":                 func(f *forger) { f.redirect("/again") },
		"an answer that is an error with a body": func(f *forger) { f.down.Store(true) },
	}
	for name, lie := range cases {
		t.Run(name, func(t *testing.T) {
			f := newForger(t)
			lie(f)
			f.refuses(f.with(nil), identity.RuleKeys)
		})
	}
}

func TestAKeyServesOnlyTheAlgorithmThatItsSetNames(t *testing.T) {
	f := newForger(t)
	f.edit(`"alg":"EdDSA"`, `"alg":"ES256"`)
	f.refuses(f.with(nil), identity.RuleKey)
}

func (f *forger) edit(old, with string) {
	k := f.keys
	f.keys = func() string { return strings.Replace(k(), old, with, 1) }
}

func (f *forger) redirect(to string) {
	f.serve(func(rw http.ResponseWriter, r *http.Request) { http.Redirect(rw, r, to, http.StatusFound) })
}

func weakRSA() string {
	n := make([]byte, 128)
	_, _ = rand.Read(n)
	n[0], n[127] = 0x80|n[0], n[127]|1
	return fmt.Sprintf(`{"keys":[{"kty":"RSA","kid":"k1","n":%q,"e":"AQAB"}]}`, b64(n))
}

func exponentOne() string {
	n := make([]byte, 256)
	_, _ = rand.Read(n)
	n[0], n[255] = 0x80|n[0], n[255]|1
	return fmt.Sprintf(`{"keys":[{"kty":"RSA","kid":"k1","n":%q,"e":"AQ"}]}`, b64(n))
}

func offCurve() string {
	one := b64(big.NewInt(1).FillBytes(make([]byte, 32)))
	return fmt.Sprintf(`{"keys":[{"kty":"EC","crv":"P-256","kid":"k1","x":%q,"y":%q}]}`, one, one)
}

func TestATokenWithoutAKeyIDNeedsTheOnlyFittingKey(t *testing.T) {
	f := newForger(t)
	token := func() string { return f.raw(`{"alg":"EdDSA","typ":"at+jwt"}`, f.payload(nil)) }
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	point, err := ec.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	other := fmt.Sprintf(`{"kty":"EC","crv":"P-256","kid":"k2","x":%q,"y":%q}`, b64(point[1:33]), b64(point[33:]))
	f.edit(`{"keys":[`, `{"keys":[`+other+`,`)
	f.accepts(token()) // the other key is of another type

	two := newForger(t)
	public := strings.TrimSuffix(strings.TrimPrefix(two.keys(), `{"keys":[`), `]}`)
	two.edit(`{"keys":[`, `{"keys":[`+strings.Replace(public, `"k1"`, `"k2"`, 1)+`,`)
	two.refuses(two.raw(`{"alg":"EdDSA","typ":"at+jwt"}`, two.payload(nil)), identity.RuleKey)
	two.accepts(two.with(nil))
}

func TestAnUnusableKeyDoesNotHideTheOthers(t *testing.T) {
	f := newForger(t)
	f.edit(`{"keys":[`, `{"keys":[{"kty":"new-fashioned"},7,{"kty":"oct","k":"AA"},`)
	f.accepts(f.with(nil))
}

func TestEveryAlgorithmOnTheListVerifies(t *testing.T) {
	for _, algorithm := range []string{"RS256", "PS256", "ES256", "ES384", "EdDSA"} {
		t.Run(algorithm, func(t *testing.T) {
			w := newWorld(t, algorithm)
			doc := w.document()
			doc.Algorithms = []string{algorithm}
			w.set(doc)
			w.accepts(w.mint(w.claims()))
			doc.Algorithms = []string{"RS256"}
			if algorithm == "RS256" {
				doc.Algorithms = []string{"ES256"}
			}
			w.set(doc)
			w.refuses(w.mint(w.claims()), identity.RuleAlgorithm)
		})
	}
}
