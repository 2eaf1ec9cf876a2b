package ssh_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"strings"
	"testing"
	"time"

	cryptossh "golang.org/x/crypto/ssh"

	"github.com/sallyport-gateway/sallyport/internal/gate"
	"github.com/sallyport-gateway/sallyport/internal/proto/ssh"
)

func signer(t testing.TB, key any) cryptossh.Signer {
	t.Helper()
	s, err := cryptossh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func newSigner(t testing.TB) cryptossh.Signer {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return signer(t, key)
}

func principal(expiry time.Time) *gate.Principal {
	return &gate.Principal{Party: gate.Party{Issuer: "https://idp.test", Subject: "s"}, Actor: gate.Party{Issuer: "https://idp.test", Subject: "a"},
		Kind: gate.KindAgent, Agent: "reporting", ClientID: "c", TokenID: "jti-1", Expiry: expiry,
		Attributes: map[string]gate.Attribute{"risk_tier": {Value: "low", Trust: gate.TrustProvider}}}
}

// issuing returns an authority with a known user key, and that key.
func issuing(t testing.TB, now func() time.Time) (*ssh.Authority, cryptossh.Signer) {
	t.Helper()
	var keys ssh.Keys
	for _, k := range []*gate.Secret{&keys.Host, &keys.HostAuthority, &keys.UserAuthority} {
		var err error
		if *k, err = ssh.GenerateKey(); err != nil {
			t.Fatal(err)
		}
	}
	a, err := ssh.NewAuthority(keys, now)
	if err != nil {
		t.Fatal(err)
	}
	ca, err := cryptossh.ParsePrivateKey([]byte(keys.UserAuthority.Reveal()))
	if err != nil {
		t.Fatal(err)
	}
	return a, ca
}

func issue(t testing.TB, a *ssh.Authority, p *gate.Principal, key cryptossh.PublicKey) *cryptossh.Certificate {
	t.Helper()
	line, err := a.Issue(p, cryptossh.MarshalAuthorizedKey(key))
	if err != nil {
		t.Fatal(err)
	}
	parsed, _, _, _, err := cryptossh.ParseAuthorizedKey([]byte(line))
	if err != nil {
		t.Fatal(err)
	}
	return parsed.(*cryptossh.Certificate)
}

func TestACertificateNamesWhomItWasIssuedTo(t *testing.T) {
	now := time.Now().Truncate(time.Second)
	a, _ := issuing(t, func() time.Time { return now })
	p := principal(now.Add(10 * time.Minute))
	c := issue(t, a, p, newSigner(t).PublicKey())
	got, err := a.Principal(c.Marshal())
	if err != nil {
		t.Fatal(err)
	}
	if got.Party != p.Party || got.Actor != p.Actor || got.TokenID != p.TokenID || got.Agent != p.Agent ||
		got.Attributes["risk_tier"] != p.Attributes["risk_tier"] || !got.Expiry.Equal(p.Expiry) || got.Kind != gate.KindAgent {
		t.Fatalf("got %+v, want %+v", got, p)
	}
	if b := c.Marshal(); strings.Contains(string(b), "eyJ") {
		t.Error("the certificate looks as if it held a token")
	}
}

func TestACertificateEndsWithItsToken(t *testing.T) {
	now := time.Now().Truncate(time.Second)
	clock := now
	a, _ := issuing(t, func() time.Time { return clock })
	c := issue(t, a, principal(now.Add(time.Minute)), newSigner(t).PublicKey())
	if _, err := a.Principal(c.Marshal()); err != nil {
		t.Fatal(err)
	}
	clock = now.Add(time.Minute)
	if _, err := a.Principal(c.Marshal()); err == nil {
		t.Fatal("the certificate outlived its token")
	}
	if _, err := a.Issue(principal(now.Add(time.Minute)), cryptossh.MarshalAuthorizedKey(newSigner(t).PublicKey())); err == nil {
		t.Fatal("a certificate was issued for an expired token")
	}
}

func TestOnlyStrongPlainKeysAreCertified(t *testing.T) {
	a, _ := issuing(t, nil)
	p := principal(time.Now().Add(time.Hour))
	short, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	long, err := rsa.GenerateKey(rand.Reader, 3072)
	if err != nil {
		t.Fatal(err)
	}
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		line string
		good bool
	}{
		"ed25519":       {string(cryptossh.MarshalAuthorizedKey(newSigner(t).PublicKey())), true},
		"ecdsa":         {string(cryptossh.MarshalAuthorizedKey(signer(t, curve).PublicKey())), true},
		"rsa 3072":      {string(cryptossh.MarshalAuthorizedKey(signer(t, long).PublicKey())), true},
		"rsa 2048":      {string(cryptossh.MarshalAuthorizedKey(signer(t, short).PublicKey())), false},
		"a certificate": {string(cryptossh.MarshalAuthorizedKey(issue(t, a, p, newSigner(t).PublicKey()))), false},
		"two keys":      {strings.Repeat(string(cryptossh.MarshalAuthorizedKey(newSigner(t).PublicKey())), 2), false},
		"nothing":       {"", false},
		"no key":        {"ssh-ed25519 AAAA", false},
	} {
		if _, err := a.Issue(p, []byte(c.line)); (err == nil) != c.good {
			t.Errorf("%s: %v", name, err)
		}
	}
	person := principal(time.Now().Add(time.Hour))
	person.Kind = gate.KindPerson
	if _, err := a.Issue(person, cryptossh.MarshalAuthorizedKey(newSigner(t).PublicKey())); err == nil {
		t.Error("a person got a certificate")
	}
}

// Each case changes one thing of a certificate that would be accepted and signs it
// with the authority's own key where nothing else is said: the check that remains is
// the one in the name.
func TestForgedCertificatesNameNobody(t *testing.T) {
	now := time.Now()
	a, ca := issuing(t, nil)
	other, otherCA := issuing(t, nil)
	key := newSigner(t)
	p := principal(now.Add(time.Hour))
	base := func() *cryptossh.Certificate { return issue(t, a, p, key.PublicKey()) }
	// By hand: the library refuses to sign some of what a forger would.
	sign := func(c *cryptossh.Certificate, by cryptossh.Signer) *cryptossh.Certificate {
		c.Nonce, c.SignatureKey, c.Signature = make([]byte, 32), by.PublicKey(), nil
		unsigned := c.Marshal()
		signature, err := by.Sign(rand.Reader, unsigned[:len(unsigned)-4]) // without the length of no signature
		if err != nil {
			t.Fatal(err)
		}
		c.Signature = signature
		return c
	}
	withPrincipal := func(change func(*gate.Principal)) *cryptossh.Certificate {
		q := *p
		change(&q)
		text, err := json.Marshal(&q)
		if err != nil {
			t.Fatal(err)
		}
		c := base()
		c.Extensions = map[string]string{"principal@sallyport": string(text)}
		return sign(c, ca)
	}
	cases := map[string][]byte{}
	change := func(name string, f func(*cryptossh.Certificate), by cryptossh.Signer) {
		c := base()
		f(c)
		cases[name] = sign(c, by).Marshal()
	}
	nothing := func(*cryptossh.Certificate) {}
	change("another authority", nothing, otherCA)
	change("signed by its own key", nothing, key)
	change("a host certificate", func(c *cryptossh.Certificate) { c.CertType = cryptossh.HostCert }, ca)
	change("an unknown type", func(c *cryptossh.Certificate) { c.CertType = 3 }, ca)
	change("no principal", func(c *cryptossh.Certificate) { c.ValidPrincipals = nil }, ca)
	change("an account as principal", func(c *cryptossh.Certificate) { c.ValidPrincipals = []string{"root"} }, ca)
	change("two principals", func(c *cryptossh.Certificate) { c.ValidPrincipals = append(c.ValidPrincipals, "root") }, ca)
	change("a principal with a comma", func(c *cryptossh.Certificate) { c.ValidPrincipals = []string{"sallyport-agent,root"} }, ca)
	change("a principal with NUL", func(c *cryptossh.Certificate) { c.ValidPrincipals = []string{"sallyport-agent\x00"} }, ca)
	change("a critical option", func(c *cryptossh.Certificate) { c.CriticalOptions = map[string]string{"force-command": "id"} }, ca)
	change("not valid yet", func(c *cryptossh.Certificate) { c.ValidAfter = uint64(now.Add(time.Hour).Unix()) }, ca)
	change("expired", func(c *cryptossh.Certificate) { c.ValidBefore = uint64(now.Add(-time.Second).Unix()) }, ca)
	change("nobody in it", func(c *cryptossh.Certificate) { c.Extensions = nil }, ca)
	change("no JSON in it", func(c *cryptossh.Certificate) { c.Extensions = map[string]string{"principal@sallyport": "{"} }, ca)
	cases["a person in it"] = withPrincipal(func(q *gate.Principal) { q.Kind = gate.KindPerson }).Marshal()
	cases["an ended principal in it"] = withPrincipal(func(q *gate.Principal) { q.Expiry = now.Add(-time.Minute) }).Marshal()
	cases["of another gateway"] = issue(t, other, p, key.PublicKey()).Marshal()
	cases["a plain key"] = key.PublicKey().Marshal()
	cases["the authority's own key"] = ca.PublicKey().Marshal()
	cases["nothing"] = nil
	tampered := base().Marshal()
	tampered[len(tampered)-1] ^= 1
	cases["a changed signature"] = tampered
	inner := base()
	cases["signed by a certificate"] = func() []byte {
		nested, err := cryptossh.NewCertSigner(inner, key)
		if err != nil {
			t.Fatal(err)
		}
		return sign(base(), nested).Marshal()
	}()
	for name, certificate := range cases {
		if got, err := a.Principal(certificate); err == nil {
			t.Errorf("%s: named %v", name, got)
		}
	}
	// An expiry in the principal beyond the certificate's own does not count.
	late := withPrincipal(func(q *gate.Principal) { q.Expiry = now.Add(24 * time.Hour) })
	if got, err := a.Principal(late.Marshal()); err != nil || got.Expiry.After(now.Add(time.Hour+time.Second)) {
		t.Errorf("got %+v, %v", got, err)
	}
}
