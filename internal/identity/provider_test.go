package identity_test

import (
	"testing"
	"time"

	"github.com/sallyport-gateway/sallyport/internal/gate"
	"github.com/sallyport-gateway/sallyport/internal/identity"
	"github.com/sallyport-gateway/sallyport/test/oidc"
)

// trust makes the world trust a real provider instead of its own issuer.
func (w *world) trust(p *oidc.Provider) identity.Issuer {
	w.t.Helper()
	doc := w.document()
	doc.URL = p.URL
	doc.Claims = identity.Claims{Agent: "client_id", Groups: "groups", Attributes: map[string]identity.AttributeClaim{
		"purpose": {Claim: "purpose"}, "risk_tier": {Claim: "risk_tier"}}}
	w.set(doc)
	return doc
}

func TestTokensOfARealProviderNameTheirAgents(t *testing.T) {
	p := oidc.Start(t, oidc.Options{})
	w := newWorld(t, "")
	w.clock.now = time.Now()
	w.trust(p)
	got := w.accepts(p.Token("support-agent"))
	if got.Agent != "support-agent" || got.Issuer != p.URL || got.Subject != "support-agent" || got.TokenID == "" {
		t.Errorf("principal %+v", got)
	}
	if a := got.Attributes["risk_tier"]; a != (gate.Attribute{Value: "high", Trust: gate.TrustProvider}) {
		t.Errorf("risk_tier %+v", a)
	}
	w.refuses(p.TokenFor("support-agent", "another-service"), identity.RuleAudience)
	w.refuses(p.Token("alice"), identity.RuleBound)

	people := identity.Issuer{Name: "people", URL: p.URL, Audience: "sallyport-console", Tokens: identity.TokensAccess,
		Identifies: identity.IdentifiesPeople, Bound: map[string]identity.OneOrMore{"groups": {"dba"}},
		Claims: identity.Claims{Groups: "groups"}}
	agents := w.document()
	agents.URL = p.URL
	w.set(agents, people)
	alice := w.accepts(p.TokenFor("alice", "sallyport-console"))
	if alice.Kind != gate.KindPerson || len(alice.Groups) != 1 || alice.Groups[0] != "dba" {
		t.Errorf("principal %+v", alice)
	}
	w.refuses(p.TokenFor("support-agent", "sallyport-console"), identity.RuleBound)
}

func TestARealProviderRotatesItsKeys(t *testing.T) {
	p := oidc.Start(t, oidc.Options{Algorithm: "ES256", TTL: 10 * time.Minute})
	w := newWorld(t, "")
	w.clock.now = time.Now()
	w.trust(p)
	old := p.Token("reporting-agent")
	w.accepts(old)

	p.Rotate()
	fresh := p.Token("reporting-agent")
	w.add(11 * time.Second) // one fetch in ten seconds
	w.accepts(fresh)
	w.accepts(old) // its key is still published

	p.Retire()
	w.add(11 * time.Second)
	p.Rotate()
	w.accepts(p.Token("reporting-agent")) // an unknown key id, which brings the new set
	w.refuses(old, identity.RuleKey)
	w.accepts(fresh)
	w.add(11 * time.Minute)
	w.refuses(fresh, identity.RuleExpired)
}
