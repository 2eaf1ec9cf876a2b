package identity

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

// plain turns our decoding into what encoding/json with UseNumber gives.
func plain(v any) any {
	switch v := v.(type) {
	case object:
		m := map[string]any{}
		for k, e := range v {
			m[k] = plain(e)
		}
		return m
	case []any:
		list := make([]any, len(v))
		for i, e := range v {
			list[i] = plain(e)
		}
		return list
	case number:
		return json.Number(v)
	}
	return v
}

// FuzzObject holds the strict decoder against encoding/json: whatever the strict
// one accepts, the other one must read as the same.
func FuzzObject(f *testing.F) {
	for _, seed := range []string{
		`{}`, ` {"a" : [1, -2.5e+3, true, null, "x"] } `, `{"a":{"a":{}}}`, `{"\u0061":"\ud83d\ude00\n"}`, `{"a":1,"A":2}`, `{"a":1,"a":2}`,
		`{"a":"\ud800"}`, `{"a":01}`, `{"a":1.}`, `{"a":.5}`, `{"a":1e}`, `{"a":tru}`, `{"a":1,}`, `{,}`, `{"a"}`, `{"a":"` + "\x01" + `"}`,
		`{"a":"` + "\xff" + `"}`, `[]`, `{}x`, `{"a":[}`, `{"a":"\x"}`, `{"a":"\u12"}`, `{"` + "\u017f" + `ub":1,"sub":2}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		o, err := parseObject(raw, maxJSONDepth)
		if err != nil {
			return
		}
		d := json.NewDecoder(bytes.NewReader(raw))
		d.UseNumber()
		var want any
		if err := d.Decode(&want); err != nil {
			t.Fatalf("encoding/json does not read %q: %v", raw, err)
		}
		if got := plain(o); !reflect.DeepEqual(got, want) {
			t.Fatalf("%q: %v, encoding/json reads %v", raw, got, want)
		}
	})
}

func FuzzToken(f *testing.F) {
	b64 := base64.RawURLEncoding.EncodeToString
	add := func(header, payload string) { f.Add(b64([]byte(header)) + "." + b64([]byte(payload)) + ".AAAA") }
	add(`{"alg":"ES256","typ":"at+jwt","kid":"1"}`, `{"iss":"https://a","sub":"s","aud":["a","b"],"exp":1,"act":{"sub":"x"}}`)
	add(`{"alg":"none"}`, `{}`)
	add(`{"alg":"RS256","crit":["b64"],"b64":false}`, `{"exp":1e99}`)
	f.Add("..")
	f.Add("a.b.c.d.e")
	f.Add(`{"payload":"","signatures":[]}`)
	i, err := compile(Issuer{URL: "https://a", Audience: "a", Tokens: TokensAccess, Bound: map[string]OneOrMore{"sub": {"s"}},
		Claims: Claims{Agent: "sub", Groups: "groups", Attributes: map[string]AttributeClaim{"a": {Claim: "/x/y"}}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		tok, r := decodeToken(raw)
		if r != nil {
			if r.Fingerprint == "" || r.Public() == "" {
				t.Error("a rejection without a fingerprint or text")
			}
			return
		}
		// A token that is accepted has one spelling.
		parts := strings.Split(raw, ".")
		if len(parts) != 3 || !strings.HasPrefix(raw, tok.signed+".") {
			t.Fatalf("accepted %q", raw)
		}
		for _, part := range parts {
			decoded, ok := decodeSegment(part)
			if !ok || b64(decoded) != part {
				t.Fatalf("accepted the spelling %q", part)
			}
		}
		_, _ = tok.id()
		when, r := i.times(tok)
		if r == nil {
			if p, _, r := i.principal(tok, "id", when.expiry); r == nil && (p.Subject == "" || p.Expiry.IsZero()) {
				t.Fatalf("a principal without subject or expiry: %+v", p)
			}
		}
	})
}

func FuzzKeys(f *testing.F) {
	f.Add([]byte(`{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","kid":"1","use":"sig"}]}`))
	f.Add([]byte(`{"keys":[{"kty":"EC","crv":"P-256","x":"AQ","y":"AQ"},{"kty":"RSA","n":"AQ","e":"AQ"},{"kty":"oct","k":"AQ"},7,null]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		keys, err := parseKeys(raw)
		if err == nil && len(keys) == 0 {
			t.Fatal("no keys and no error")
		}
		for _, k := range keys {
			if k.fits("none") || k.fits("HS256") || k.fits("") {
				t.Fatal("a key that verifies nothing")
			}
		}
	})
}

func FuzzPath(f *testing.F) {
	for _, seed := range []string{"azp", "/a/b", "/a~1b/~0", "/~2", "/", "//", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := parsePath(s)
		if err != nil {
			return
		}
		if len(p) == 0 || len(p) > maxJSONDepth {
			t.Fatalf("%q has %d names", s, len(p))
		}
		var o any = "found"
		for i := len(p) - 1; i >= 0; i-- {
			o = object{p[i]: o}
		}
		if v, ok := p.find(o.(object)); !ok || v != "found" {
			t.Fatalf("%q does not find its own names", s)
		}
	})
}

func TestTheTokenCacheForgetsTheLeastRecentlyUsed(t *testing.T) {
	c := newTokenCache(2)
	entry := func(b byte) *cached { return &cached{hash: [32]byte{b}} }
	c.put(entry(1))
	c.put(entry(2))
	c.get([32]byte{1})
	c.put(entry(3))
	c.put(entry(3))
	for b, want := range map[byte]bool{1: true, 2: false, 3: true} {
		if got := c.get([32]byte{b}) != nil; got != want {
			t.Errorf("entry %d kept: %t", b, got)
		}
	}
	if c.order.Len() != 2 || len(c.byHash) != 2 {
		t.Errorf("%d entries", c.order.Len())
	}
}
