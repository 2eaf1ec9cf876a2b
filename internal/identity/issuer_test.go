package identity_test

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"

	"github.com/sallyport-gateway/sallyport/internal/gate"
	"github.com/sallyport-gateway/sallyport/internal/identity"
)

const document = `
name: corp
url: https://idp.corp.example/realms/agents
audience: sallyport
tokens: at+jwt
max_lifetime: 15m
leeway: 5s
bound: {azp: [reporting-agent, support-agent], project_id: 42, protected: true}
claims:
  agent: azp
  attributes: {purpose: purpose, risk_tier: {claim: /tags/risk, trust: caller}}
`

func decode(text string) (identity.Issuer, error) {
	var doc identity.Issuer
	err := yaml.UnmarshalWithOptions([]byte(text), &doc, yaml.Strict())
	return doc, err
}

func TestADocumentIsReadFromYAMLAndJSONAlike(t *testing.T) {
	doc, err := decode(document)
	if err != nil {
		t.Fatal(err)
	}
	leeway := identity.Duration(5 * time.Second)
	want := identity.Issuer{
		Name: "corp", URL: "https://idp.corp.example/realms/agents", Audience: "sallyport", Tokens: "at+jwt",
		MaxLifetime: identity.Duration(15 * time.Minute), Leeway: &leeway,
		Bound: map[string]identity.OneOrMore{"azp": {"reporting-agent", "support-agent"}, "project_id": {"42"}, "protected": {"true"}},
		Claims: identity.Claims{Agent: "azp", Attributes: map[string]identity.AttributeClaim{
			"purpose": {Claim: "purpose"}, "risk_tier": {Claim: "/tags/risk", Trust: "caller"}}},
	}
	if diff := cmp.Diff(want, doc); diff != "" {
		t.Error(diff)
	}
	raw, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	var again identity.Issuer
	if err := json.Unmarshal(raw, &again); err != nil {
		t.Fatalf("%s: %v", raw, err)
	}
	if diff := cmp.Diff(want, again); diff != "" {
		t.Error(diff)
	}
	if err := doc.Validate(); err != nil {
		t.Error(err)
	}
	var numbers struct{ V identity.OneOrMore }
	if err := json.Unmarshal([]byte(`{"V":[1234567890123456789,"a",false]}`), &numbers); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(identity.OneOrMore{"1234567890123456789", "a", "false"}, numbers.V); diff != "" {
		t.Error(diff)
	}
}

func TestABoundInJSONIsAsStrictAsInYAML(t *testing.T) {
	for _, bad := range []string{`1.5`, `[1e3]`, `null`, `{"a":"b"}`, `[["a"]]`} {
		var l identity.OneOrMore
		if err := json.Unmarshal([]byte(bad), &l); err == nil {
			t.Errorf("%s is read as %v", bad, l)
		}
	}
}

func TestADocumentThatCannotBeReadIsAnError(t *testing.T) {
	for name, line := range map[string]string{
		"an unknown field":                "colour: red",
		"a lifetime without a unit":       "max_lifetime: 3600",
		"a negative lifetime":             "max_lifetime: -5m",
		"a bound that is a mapping":       "bound: {azp: {a: b}}",
		"a bound that is a fraction":      "bound: {azp: 1.5}",
		"an attribute with a third field": "claims: {attributes: {a: {claim: a, colour: red}}}",
		"an attribute that is a list":     "claims: {attributes: {a: [b]}}",
	} {
		t.Run(name, func(t *testing.T) {
			if doc, err := decode("name: a\n" + line + "\n"); err == nil {
				t.Errorf("read as %+v", doc)
			}
		})
	}
}

func TestADocumentThatIsUnsafeIsRefusedWithItsReason(t *testing.T) {
	over := identity.Duration(2 * time.Minute)
	cases := map[string]struct {
		change func(*identity.Issuer)
		says   string
	}{
		"no bound":                      {func(i *identity.Issuer) { i.Bound = nil }, "everyone who can get a token"},
		"a bound without values":        {func(i *identity.Issuer) { i.Bound["azp"] = nil }, "at least one value"},
		"an empty bound value":          {func(i *identity.Issuer) { i.Bound["azp"] = identity.OneOrMore{""} }, "binds nothing"},
		"a bound that looks like glob":  {func(i *identity.Issuer) { i.Bound["azp"] = identity.OneOrMore{"agent-*"} }, "match exactly"},
		"a bound on aud":                {func(i *identity.Issuer) { i.Bound["aud"] = identity.OneOrMore{"sallyport"} }, "nothing about whom"},
		"a bad pointer":                 {func(i *identity.Issuer) { i.Bound["/a~2b"] = identity.OneOrMore{"x"} }, "JSON Pointer"},
		"http":                          {func(i *identity.Issuer) { i.URL = "http://idp.corp.example" }, "loopback"},
		"http that looks like loopback": {func(i *identity.Issuer) { i.URL = "http://127.0.0.1.evil.example" }, "loopback"},
		"a URL with a password":         {func(i *identity.Issuer) { i.URL = "https://a:b@idp.example" }, "user information"},
		"a URL with a query":            {func(i *identity.Issuer) { i.URL = "https://idp.example?a=b" }, "query"},
		"no URL":                        {func(i *identity.Issuer) { i.URL = "" }, "required"},
		"keys over http":                {func(i *identity.Issuer) { i.JWKSURL = "http://idp.corp.example/keys" }, "loopback"},
		"no audience":                   {func(i *identity.Issuer) { i.Audience = "" }, "other services"},
		"no token kind":                 {func(i *identity.Issuer) { i.Tokens = "" }, "RFC 9068"},
		"two token kinds":               {func(i *identity.Issuer) { i.Tokens = "at+jwt,jwt" }, "neither"},
		"an unknown kind of caller":     {func(i *identity.Issuer) { i.Identifies = "robots" }, "neither agents nor people"},
		"HS256":                         {func(i *identity.Issuer) { i.Algorithms = []string{"HS256"} }, "not one of"},
		"none":                          {func(i *identity.Issuer) { i.Algorithms = []string{"none"} }, "not one of"},
		"a leeway of two minutes":       {func(i *identity.Issuer) { i.Leeway = &over }, "60s"},
		"tokens for a month":            {func(i *identity.Issuer) { i.MaxLifetime = identity.Duration(720 * time.Hour) }, "24h"},
		"a name with a blank":           {func(i *identity.Issuer) { i.Name = "my issuer" }, "lower-case"},
		"an attribute name with a dot":  {func(i *identity.Issuer) { i.Claims.Attributes["a.b"] = identity.AttributeClaim{Claim: "a"} }, "lower-case"},
		"an attribute of no claim":      {func(i *identity.Issuer) { i.Claims.Attributes["a"] = identity.AttributeClaim{} }, "empty"},
		"an unknown trust": {func(i *identity.Issuer) {
			i.Claims.Attributes["a"] = identity.AttributeClaim{Claim: "a", Trust: "full"}
		}, "trust"},
		"a CA file that is missing":   {func(i *identity.Issuer) { i.CA = "/nowhere/ca.pem" }, "no such file"},
		"a CA that is no certificate": {func(i *identity.Issuer) { i.CA = "-----BEGIN NOTHING-----" }, "PEM"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			doc, err := decode(document)
			if err != nil {
				t.Fatal(err)
			}
			c.change(&doc)
			if _, err := identity.PrepareIssuers([]identity.Issuer{doc}); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("error %v does not say %q", err, c.says)
			}
		})
	}
}

func TestTheZeroDocumentAndAVerifierWithoutOneAcceptNothing(t *testing.T) {
	if err := (identity.Issuer{}).Validate(); err == nil {
		t.Error("the zero document is valid")
	}
	w := newWorld(t, "")
	w.set()
	w.refuses(w.mint(w.claims()), identity.RuleIssuer)
	if _, err := identity.New(identity.Config{}); err == nil {
		t.Error("a verifier without revocations")
	}
}

func TestTwoDocumentsMayShareAnIssuerButNotAToken(t *testing.T) {
	f := newForger(t)
	agents, people := f.document(), f.document()
	people.Name, people.Audience, people.Identifies = "people", "console", identity.IdentifiesPeople
	f.set(agents, people)
	if p := f.accepts(f.with(nil)); p.Kind != gate.KindAgent {
		t.Errorf("kind %s", p.Kind)
	}
	if p := f.accepts(f.with(claims{"aud": []string{"console", "other"}})); p.Kind != gate.KindPerson {
		t.Errorf("kind %s", p.Kind)
	}
	f.refuses(f.with(claims{"aud": []string{"console", "sallyport"}}), identity.RuleAmbiguous)
	f.refuses(f.with(claims{"aud": "other"}), identity.RuleAudience)

	people.Audience = agents.Audience
	if _, err := identity.PrepareIssuers([]identity.Issuer{agents, people}); err == nil || !strings.Contains(err.Error(), "its own audience") {
		t.Errorf("error %v", err)
	}
	people.Audience, people.Name = "console", agents.Name
	if _, err := identity.PrepareIssuers([]identity.Issuer{agents, people}); err == nil || !strings.Contains(err.Error(), "two documents") {
		t.Errorf("error %v", err)
	}
}

func TestReloadingChangesTheRulesAtOnceAndKeepsTheKeys(t *testing.T) {
	f := newForger(t)
	token := f.with(nil)
	f.accepts(token)
	before := f.fetches.Load()
	doc := f.document()
	doc.Bound = map[string]identity.OneOrMore{"client_id": {"support-agent"}}
	f.set(doc)
	f.refuses(token, identity.RuleBound) // although it was verified a moment ago
	f.set(f.document())
	f.accepts(token)
	f.set()
	f.refuses(token, identity.RuleIssuer)
	if n := f.fetches.Load() - before; n != 0 {
		t.Errorf("%d fetches", n)
	}
}

func TestAPrivateAuthorityIsTrustedForItsProviderAlone(t *testing.T) {
	f := newForger(t)
	server := httptest.NewUnstartedServer(nil)
	server.Config.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/keys" {
			_, _ = fmt.Fprint(rw, f.keys())
			return
		}
		_, _ = fmt.Fprintf(rw, `{"issuer":%q,"jwks_uri":%q}`, server.URL, server.URL+"/keys")
	})
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // the refused handshake
	server.StartTLS()
	t.Cleanup(server.Close)
	doc := f.document()
	doc.URL = server.URL
	f.set(doc)
	token := f.with(claims{"iss": server.URL})
	f.refuses(token, identity.RuleKeys)

	authority := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	doc.CA = authority
	f.set(doc)
	f.accepts(token)
	doc.CA = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(doc.CA, []byte(authority), 0o600); err != nil {
		t.Fatal(err)
	}
	issuers, err := identity.PrepareIssuers([]identity.Issuer{doc})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(doc.CA, []byte("another file"), 0o600); err != nil {
		t.Fatal(err)
	}
	f.set() // forgets the keys
	f.verifier.SetIssuers(issuers)
	f.accepts(token) // by the file as it was when it was checked
	if err := os.WriteFile(doc.CA, []byte(strings.Repeat("x", 2<<20)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := identity.PrepareIssuers([]identity.Issuer{doc}); err == nil || !strings.Contains(err.Error(), "longer than") {
		t.Errorf("error %v", err)
	}
	doc.CA = "beside-the-configuration.pem" // whose folder only the reader of documents knows
	if err := doc.Validate(); err != nil {
		t.Error(err)
	}
}
