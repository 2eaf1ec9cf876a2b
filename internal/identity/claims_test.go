package identity_test

import (
	"testing"
	"time"

	"github.com/sallyport-gateway/sallyport/internal/gate"
	"github.com/sallyport-gateway/sallyport/internal/identity"
)

// jwtDocument is for an issuer whose tokens are no at+jwt.
func (f *forger) jwtDocument() identity.Issuer {
	doc := f.document()
	doc.Tokens = identity.TokensJWT
	doc.Bound = map[string]identity.OneOrMore{"sub": {"reporting-agent", "system:serviceaccount:prod:agent"}}
	doc.Claims = identity.Claims{}
	return doc
}

const jwtHeader = `{"alg":"EdDSA","kid":"k1"}`

func TestTheOutermostActorActsForTheSubject(t *testing.T) {
	f := newForger(t)
	doc := f.document()
	doc.Claims.Agent = ""
	f.set(doc)
	p := f.accepts(f.with(claims{"sub": "alice", "act": claims{"sub": "reporting-agent", "exp": "ignored",
		"act": claims{"sub": "orchestrator", "iss": "https://elsewhere.example"}}}))
	if p.Subject != "alice" || p.Actor != (gate.Party{Issuer: f.issuer.URL(), Subject: "reporting-agent"}) || p.Agent != "reporting-agent" {
		t.Errorf("principal %+v", p)
	}
	p = f.accepts(f.with(claims{"act": claims{"sub": "x", "iss": "https://elsewhere.example"}}))
	if p.Actor.Issuer != "https://elsewhere.example" {
		t.Errorf("actor %+v", p.Actor)
	}
}

func TestFiveActorsAreAccepted(t *testing.T) {
	f := newForger(t)
	var act claims
	for _, name := range []string{"e", "d", "c", "b", "a"} {
		link := claims{"sub": name}
		if act != nil {
			link["act"] = act
		}
		act = link
	}
	if p := f.accepts(f.with(claims{"act": act})); p.Actor.Subject != "a" {
		t.Errorf("actor %+v", p.Actor)
	}
}

func TestAnActorMayBeMappedFromTheClientClaim(t *testing.T) {
	f := newForger(t)
	doc := f.document()
	doc.Claims.Actor = "client_id"
	f.set(doc)
	if p := f.accepts(f.with(claims{"sub": "alice"})); p.Subject != "alice" || p.Actor.Subject != "reporting-agent" {
		t.Errorf("principal %+v", p)
	}
	if p := f.accepts(f.with(nil)); !p.Actor.IsZero() {
		t.Errorf("an agent that acts for itself has the actor %+v", p.Actor)
	}
}

func TestATokenOfKindJWTHasOtherTypes(t *testing.T) {
	f := newForger(t)
	f.set(f.jwtDocument())
	bare := claims{"client_id": nil, "jti": nil, "purpose": nil}
	for _, header := range []string{jwtHeader, `{"alg":"EdDSA","kid":"k1","typ":"JWT"}`, `{"alg":"EdDSA","kid":"k1","typ":"JOSE"}`} {
		f.accepts(f.raw(header, f.payload(bare)))
	}
	for _, typ := range []string{"at+jwt", "application/at+jwt", "logout+jwt", "dpop+jwt", "secevent+jwt", "oauth-id-jag+jwt", "wit+jwt", "txntoken+jwt", ""} {
		f.refuses(f.raw(`{"alg":"EdDSA","kid":"k1","typ":"`+typ+`"}`, f.payload(bare)), identity.RuleType)
	}
}

func TestATokenWithoutAnIDIsNamedByItsSignedPart(t *testing.T) {
	f := newForger(t)
	f.set(f.jwtDocument())
	one := f.accepts(f.raw(jwtHeader, f.payload(claims{"jti": nil}))).TokenID
	two := f.accepts(f.raw(jwtHeader, f.payload(claims{"jti": nil, "n": 1}))).TokenID
	if len(one) != 43 || len(two) != 43 || one == two {
		t.Errorf("ids %q and %q", one, two)
	}
	if id := f.accepts(f.raw(jwtHeader, f.payload(claims{"jti": nil, "uti": "entra"}))).TokenID; id != "entra" {
		t.Errorf("id %q", id)
	}
}

func TestSeveralAudiencesNeedAClient(t *testing.T) {
	f := newForger(t)
	doc := f.jwtDocument()
	f.set(doc)
	two := []string{"sallyport", "other"}
	f.refuses(f.raw(jwtHeader, f.payload(claims{"aud": two, "client_id": nil})), identity.RuleAudience)
	f.accepts(f.raw(jwtHeader, f.payload(claims{"aud": two, "client_id": nil, "azp": "a"})))
	doc.MaxAudiences = 1
	f.set(doc)
	f.refuses(f.raw(jwtHeader, f.payload(claims{"aud": two, "client_id": nil, "azp": "a"})), identity.RuleAudience)
	doc.MaxAudiences = 2
	f.set(doc)
	f.accepts(f.raw(jwtHeader, f.payload(claims{"aud": two, "client_id": nil})))
}

func TestALifetimeIsBoundedWithoutIat(t *testing.T) {
	f := newForger(t)
	f.set(f.jwtDocument())
	f.accepts(f.raw(jwtHeader, f.payload(claims{"iat": nil})))
	f.refuses(f.raw(jwtHeader, f.payload(claims{"iat": nil, "exp": f.Now().Add(2 * time.Hour).Unix()})), identity.RuleLifetime)
}

func TestNestedClaimsAreFoundByPointer(t *testing.T) {
	f := newForger(t)
	doc := f.jwtDocument()
	doc.Bound = map[string]identity.OneOrMore{"/kubernetes.io/namespace": {"prod"}, "roles": {"reader"}, "admin": {"false"}, "level": {"3"}}
	doc.Claims = identity.Claims{Agent: "/kubernetes.io/serviceaccount/name", Attributes: map[string]identity.AttributeClaim{
		"risk_tier": {Claim: "/https:~1~1sts.amazonaws.com~1/principal_tags/risk_tier"}, "missing": {Claim: "/sub/x"}}}
	f.set(doc)
	good := claims{
		"kubernetes.io": claims{"namespace": "prod", "serviceaccount": claims{"name": "agent-7"}}, "roles": []string{"writer", "reader"},
		"admin": false, "level": 3, "https://sts.amazonaws.com/": claims{"principal_tags": claims{"risk_tier": "low"}},
	}
	p := f.accepts(f.raw(jwtHeader, f.payload(good)))
	if p.Agent != "agent-7" || p.Attributes["risk_tier"].Value != "low" || len(p.Attributes) != 1 {
		t.Errorf("principal %+v", p)
	}
	for claim, v := range map[string]any{"roles": []string{"writer"}, "admin": true, "level": 3.0001, "kubernetes.io": claims{"namespace": "prod2"}} {
		bad := claims{}
		for k, v := range good {
			bad[k] = v
		}
		bad[claim] = v
		f.refuses(f.raw(jwtHeader, f.payload(bad)), identity.RuleBound)
	}
}

func TestAnAddressCountsOnlyWhenItIsVerified(t *testing.T) {
	f := newForger(t)
	doc := f.jwtDocument()
	doc.Bound = map[string]identity.OneOrMore{"email": {"agent@corp.example"}}
	f.set(doc)
	f.refuses(f.raw(jwtHeader, f.payload(claims{"email": "agent@corp.example"})), identity.RuleMapping)
	f.refuses(f.raw(jwtHeader, f.payload(claims{"email": "agent@corp.example", "email_verified": "true"})), identity.RuleMapping)
	f.refuses(f.raw(jwtHeader, f.payload(claims{"email": "agent@corp.example", "email_verified": false})), identity.RuleMapping)
	f.accepts(f.raw(jwtHeader, f.payload(claims{"email": "agent@corp.example", "email_verified": true})))
}

func TestABoundTokenIsAcceptedWhereTheDocumentSaysSo(t *testing.T) {
	f := newForger(t)
	doc := f.document()
	doc.AllowUnprovenCnf = true
	f.set(doc)
	f.accepts(f.with(claims{"cnf": claims{"jkt": "x"}}))
}

func TestATokenIsRefusedWhenTheClockPassesItsEnd(t *testing.T) {
	f := newForger(t)
	token := f.with(nil)
	f.accepts(token)
	f.add(5*time.Minute + 29*time.Second) // within the leeway
	f.accepts(token)
	f.add(time.Second)
	f.refuses(token, identity.RuleExpired) // although it was verified before
	f.add(-10 * time.Minute)
	f.refuses(token, identity.RuleNotYetValid)
}

func TestAnEcdsaTokenWithItsOtherSignatureHasTheSameID(t *testing.T) {
	w := newWorld(t, "ES256")
	doc := w.document()
	doc.Tokens = identity.TokensJWT
	doc.Claims = identity.Claims{}
	w.set(doc)
	sign := func() string {
		token, err := w.issuer.Sign([]byte(`{"iss":"`+w.issuer.URL()+`","sub":"a","client_id":"support-agent","aud":"sallyport","exp":`+
			unix(w.Now().Add(time.Minute))+`}`), nil)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	one, two := sign(), sign() // ECDSA signs the same bytes differently each time
	if one == two {
		t.Fatal("the signatures are equal")
	}
	if a, b := w.accepts(one).TokenID, w.accepts(two).TokenID; a != b {
		t.Errorf("ids %q and %q", a, b)
	}
}
