package slice_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-gateway/sallyport/internal/identity/devissuer"
	"github.com/sallyport-gateway/sallyport/test/oidc"
	"github.com/sallyport-gateway/sallyport/test/pgtest"
)

// forged is a token of the forger that would be accepted, with changes.
func forged(t *testing.T, w *world, change func(*devissuer.Claims)) string {
	t.Helper()
	c := devissuer.Claims{Subject: "forged-agent", Audience: agentsAudience, Extra: map[string]any{"purpose": "test", "risk_tier": "low"}}
	change(&c)
	token, err := w.forger.Mint(c)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func with(name string, value any) func(*devissuer.Claims) {
	return func(c *devissuer.Claims) { c.Extra[name] = value }
}

// rewritten changes one part of a token and leaves the signature.
func rewritten(token string, part int, change func(map[string]any)) string {
	parts := strings.Split(token, ".")
	raw, _ := base64.RawURLEncoding.DecodeString(parts[part])
	members := map[string]any{}
	_ = json.Unmarshal(raw, &members)
	change(members)
	raw, _ = json.Marshal(members)
	parts[part] = base64.RawURLEncoding.EncodeToString(raw)
	return strings.Join(parts, ".")
}

func TestEveryRejectedTokenIsToldWhy(t *testing.T) {
	w := the(t)
	good := w.token(t, reporter)
	unsigned := rewritten(good, 0, func(h map[string]any) { h["alg"] = "none" })
	other, err := devissuer.New(devissuer.Config{URL: "http://127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := other.Mint(devissuer.Claims{Subject: reporter, Audience: agentsAudience})
	if err != nil {
		t.Fatal(err)
	}
	signed := func(payload string, header map[string]any) string {
		token, err := w.forger.Sign([]byte(payload), header)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	now := time.Now().Unix()
	claims := fmt.Sprintf(`"iss":%q,"sub":"forged-agent","client_id":"forged-agent","aud":"sallyport","iat":%d,"exp":%d,"jti":"x","purpose":"p","risk_tier":"low"`,
		w.forger.URL(), now, now+60)
	cases := []struct{ name, token, text string }{
		{"no token at all", "hello", "not a signed token"},
		{"larger than 16 KiB", strings.Repeat("x", 16<<10+10), "larger than 16 KiB"},
		{"a password of the target", password, "not a signed token"},
		{"another audience of the provider", w.tokenFor(t, reporter, "billing"), "another audience"},
		{"a client that is not bound", w.token(t, stranger), "not made for an agent"},
		{"a person", w.person(t, alice), "identifies no agent"},
		{"a claim changed behind the signature", rewritten(good, 1, func(c map[string]any) { c["client_id"] = support }), "signature is not valid"},
		{"alg none", unsigned[:strings.LastIndexByte(unsigned, '.')+1], "token"},
		{"another issuer", foreign, "issuer is not known"},
		{"expired", forged(t, w, func(c *devissuer.Claims) { c.Lifetime = -time.Hour }), "expired"},
		{"not yet valid", forged(t, w, with("nbf", now+3600)), "not valid yet"},
		{"lives too long", forged(t, w, func(c *devissuer.Claims) { c.Lifetime = 3 * time.Hour }), "lives longer"},
		{"no expiry", forged(t, w, with("exp", nil)), "required claim"},
		{"no subject", forged(t, w, with("sub", nil)), "required claim"},
		{"a mapped attribute that is no text", forged(t, w, with("purpose", []int{1})), "missing or malformed"},
		{"bound to a key", forged(t, w, with("cnf", map[string]any{"jkt": "abc"})), "bound to a key"},
		{"an actor without a subject", forged(t, w, with("act", map[string]any{"x": "y"})), "delegation"},
		{"another type of token", signed("{"+claims+"}", map[string]any{"typ": "JWT"}), "type of token"},
		{"a claim twice", signed("{"+claims+`,"sub":"other"}`, map[string]any{"typ": "at+jwt"}), "unambiguous JSON"},
		{"a claim in another case", signed("{"+claims+`,"AUD":"other"}`, map[string]any{"typ": "at+jwt"}), "unambiguous JSON"},
		{"a critical header", rewritten(good, 0, func(h map[string]any) { h["crit"] = []string{"b64"}; h["b64"] = false }), "header"},
		{"an embedded key", rewritten(good, 0, func(h map[string]any) { h["jwk"] = map[string]any{"kty": "oct", "k": "AA"} }), "header"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			a, err := w.gw.tryConnect("shop", c.token)
			if err == nil {
				a.leave()
				t.Fatal("the token was accepted")
			}
			e := pgError(err)
			if e == nil || e.Severity != "FATAL" || !strings.HasPrefix(e.Code, "28") || !strings.Contains(e.Message, c.text) {
				t.Errorf("%s; want FATAL 28xxx with %q", describe(err), c.text)
			}
			if e != nil && strings.Contains(e.Message+e.Detail+e.Hint, c.token) {
				t.Error("the refusal repeats the token")
			}
		})
	}
	t.Run("what they are compared with is accepted", func(t *testing.T) {
		w.gw.connect(t, "shop", forged(t, w, func(*devissuer.Claims) {})).alive(t)
		w.gw.connect(t, "shop", signed("{"+claims+"}", map[string]any{"typ": "at+jwt"})).alive(t)
	})
}

func TestUnknownTargetIsRefusedAtLogIn(t *testing.T) {
	w := the(t)
	_, err := w.gw.tryConnect("postgres", w.token(t, reporter))
	wantError(t, "log in", err, "28000", `no postgres target named "postgres"`)
}

// running reports whether a statement with the marker runs at the target.
func running(t *testing.T, w *world, marker string) bool {
	t.Helper()
	rows := pgtest.Query(t, w.pg, "shop", "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND pid <> pg_backend_pid() AND query LIKE '%"+marker+"%'")
	return rows[0][0] != "0"
}

// slow starts a statement that runs until it is cancelled; its error comes on
// the channel.
func (a *agent) slow(t *testing.T, w *world, marker string) <-chan error {
	t.Helper()
	ended := make(chan error, 1)
	go func() {
		_, err := a.run("SELECT '" + marker + "', pg_sleep(100)")
		ended <- err
	}()
	eventually(t, marker+" runs", patience, func() bool { return running(t, w, marker) })
	return ended
}

// cut waits for the end of a session and of its statement at the target.
func cut(t *testing.T, w *world, ended <-chan error, marker, text string) {
	t.Helper()
	began := time.Now()
	select {
	case err := <-ended:
		wantError(t, marker, err, "57P01", text)
	case <-time.After(patience):
		t.Fatalf("%s: the session did not end", marker)
	}
	eventually(t, marker+" is gone from the target", 2*time.Second-min(time.Since(began), time.Second), func() bool { return !running(t, w, marker) })
}

// tokenID is jti of a token.
func tokenID(token string) string {
	raw, _ := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	var claims struct{ Jti string }
	_ = json.Unmarshal(raw, &claims)
	return claims.Jti
}

// identityGateway is a gateway for tests that revoke.
func identityGateway(t *testing.T, w *world) *gateway {
	t.Helper()
	return startGateway(t, w, settings{documents: map[string]string{
		"issuers.yaml": issuers(w.idp.URL),
		"targets.yaml": w.target("open", "shop", "env: test") + credential + openPolicy,
	}})
}

type sessionView struct {
	ID, State, End string
	By             struct{ Agent string }
}

func TestRevokedSessionsEndAtOnceAndStayRevokedAfterARestart(t *testing.T) {
	w := the(t)
	g := identityGateway(t, w)
	dba := w.person(t, alice)
	bystander := g.connect(t, "open", w.token(t, reporter))

	first := g.connect(t, "open", w.idp.Token("mobile-agent"))
	ended := first.slow(t, w, "revoke_session")
	var live []sessionView
	g.list(t, &live, dba, "sessions", "list", "--live", "--agent", "mobile-agent")
	if len(live) != 1 {
		t.Fatalf("live sessions: %+v", live)
	}
	g.must(t, dba, "revoke", "session", live[0].ID, "--reason", "test")
	cut(t, w, ended, "revoke_session", "revoked")
	g.connect(t, "open", w.idp.Token("mobile-agent")).alive(t)

	token := w.idp.Token("mobile-agent")
	ended = g.connect(t, "open", token).slow(t, w, "revoke_token")
	other := g.connect(t, "open", w.idp.Token("mobile-agent"))
	if out := g.must(t, dba, "revoke", "token", "--reason", "stolen", "--", tokenID(token)); !strings.Contains(out, "sessions ended: 1") {
		t.Errorf("revoke token printed %q", out)
	}
	cut(t, w, ended, "revoke_token", "revoked")
	other.alive(t)
	if _, err := g.tryConnect("open", token); pgError(err) == nil || !strings.Contains(pgError(err).Message, "revoked") {
		t.Errorf("log in with the revoked token: %s", describe(err))
	}

	ended = g.connect(t, "open", w.idp.Token("mobile-agent")).slow(t, w, "revoke_agent")
	g.revokeByAPI(t, dba, `{"agent":"mobile-agent","reason":"misbehaves"}`)
	cut(t, w, ended, "revoke_agent", "revoked")
	if _, err := other.run("SELECT 1"); err == nil {
		t.Error("another session of the revoked agent goes on")
	}
	bystander.alive(t)

	g.stop(t)
	g.start(t)
	for name, token := range map[string]string{"token": token, "agent": w.idp.Token("mobile-agent")} {
		if _, err := g.tryConnect("open", token); pgError(err) == nil || !strings.Contains(pgError(err).Message, "revoked") {
			t.Errorf("log in with the revoked %s after a restart: %s", name, describe(err))
		}
	}
	g.connect(t, "open", w.token(t, reporter)).alive(t)
	if out := g.must(t, dba, "revoke", "list"); !strings.Contains(out, "mobile-agent") || !strings.Contains(out, "misbehaves") {
		t.Errorf("revoke list printed %q", out)
	}

	// A revocation can be lifted, and only one that is there.
	if a := g.cli(t, dba, "revoke", "lift", "agent", "mobile-agent", "--issuer", "https://elsewhere.example", "--reason", "was a mistake"); a.code != 4 {
		t.Errorf("lifting what is not revoked: exit %d %s", a.code, a.err)
	}
	if out := g.must(t, dba, "revoke", "lift", "agent", "mobile-agent", "--reason", "was a mistake"); !strings.Contains(out, "Lifted") {
		t.Errorf("revoke lift printed %q", out)
	}
	g.connect(t, "open", w.idp.Token("mobile-agent")).alive(t)
	g.stop(t)
	g.start(t)
	g.connect(t, "open", w.idp.Token("mobile-agent")).alive(t)
	if _, err := g.tryConnect("open", token); pgError(err) == nil || !strings.Contains(pgError(err).Message, "revoked") {
		t.Errorf("log in with the token whose revocation was not lifted: %s", describe(err))
	}
	if a := g.cli(t, dba, "revoke", "lift", "session", live[0].ID, "--reason", "r"); a.code != 2 {
		t.Errorf("lifting the end of a session: exit %d %s", a.code, a.err)
	}
}

func (g *gateway) revokeByAPI(t *testing.T, token, body string) {
	t.Helper()
	status, text := g.call(t, http.MethodPost, "/v1/revocations", token, body)
	if status/100 != 2 {
		t.Fatalf("POST /v1/revocations: %d %s", status, text)
	}
}

// call sends one request to the API.
func (g *gateway) call(t *testing.T, method, path, token, body string) (int, string) {
	t.Helper()
	pem, err := os.ReadFile(g.ca)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}
	defer transport.CloseIdleConnections()
	request, err := http.NewRequestWithContext(t.Context(), method, fmt.Sprintf("https://127.0.0.1:%d%s", g.console, path), bytes.NewReader([]byte(body)))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := (&http.Client{Transport: transport, Timeout: patience}).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

func TestOnlyPeopleWithThePermissionRevoke(t *testing.T) {
	w := the(t)
	for name, token := range map[string]string{
		"an agent": w.token(t, reporter), "a person without the role": w.person(t, carol), "nobody": "",
		"a person's token for agents": w.tokenFor(t, alice, agentsAudience),
	} {
		status, text := w.gw.call(t, http.MethodPost, "/v1/revocations", token, `{"agent":"support-agent","reason":"x"}`)
		if status != 401 && status != 403 {
			t.Errorf("%s: %d %s", name, status, text)
		}
		if a := w.gw.cli(t, token, "revoke", "agent", support, "--reason", "x"); a.code != 3 {
			t.Errorf("%s: sallyport revoke: exit %d %s", name, a.code, a.err)
		}
	}
	w.gw.connect(t, "open", w.token(t, support)).alive(t)
}

func TestSessionsEndWithTheirTokenAndKeysRotate(t *testing.T) {
	w := the(t)
	short := oidc.Start(t, oidc.Options{TTL: 4 * time.Second, Algorithm: "ES256", Clients: []oidc.Client{
		{ID: reporter, Claims: map[string]any{"purpose": "reporting", "risk_tier": "low"}}}})
	g := startGateway(t, w, settings{documents: map[string]string{
		"issuers.yaml": issuers(short.URL),
		"targets.yaml": w.target("open", "shop", "env: test") + credential + openPolicy,
	}})
	token := short.Token(reporter)
	ended := g.connect(t, "open", token).slow(t, w, "expiry_marker")
	cut(t, w, ended, "expiry_marker", "expired")
	_, err := g.tryConnect("open", token)
	wantError(t, "log in with the expired token", err, "28P01", "expired")

	short.Rotate()
	eventually(t, "a token of the new key is accepted", patience, func() bool {
		a, err := g.tryConnect("open", short.Token(reporter))
		if err == nil {
			a.alive(t)
			a.leave()
		}
		return err == nil
	})
}
