package api_test

import (
	"context"
	"crypto/x509"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-gateway/sallyport/internal/api"
	"github.com/sallyport-gateway/sallyport/internal/gate"
)

func TestTheClientSpeaksEveryCall(t *testing.T) {
	w := newWorld()
	c, ctx := client(t, w.serve(t, nil), admin), context.Background()
	check := func(what string, err error, ok bool) {
		t.Helper()
		if err != nil || !ok {
			t.Errorf("%s: %v", what, err)
		}
	}
	who, err := c.Whoami(ctx)
	check("whoami", err, who.Kind == "person" && len(who.Permissions) == len(api.Permissions()))
	list, err := c.Approvals(ctx, api.ApprovalFilter{State: "pending", Limit: 5})
	check("approvals", err, len(list) == 1 && list[0].ID == "apr_own")
	one, err := c.Approval(ctx, "apr_own")
	check("approval", err, one.Command.Text != "")
	one, err = c.Answer(ctx, "apr_own", true, "fine")
	check("approve", err, one.State == "approved")
	one, err = c.Answer(ctx, "apr_own", false, "")
	check("deny", err, one.State == "denied")
	all, err := c.Sessions(ctx, api.SessionFilter{Target: "a b&c", Agent: "x", Since: w.now, Until: w.now, Live: true, Blocked: true, Limit: 1})
	check("sessions", err, len(all) == 0 && w.filter.Target == "a b&c" && w.filter.Live && w.filter.Blocked && w.filter.Since.Equal(w.now))
	s, err := c.Session(ctx, "ses_1")
	check("session", err, s.ID == "ses_1")
	until := w.now.Add(time.Hour)
	done, err := c.Revoke(ctx, api.Revocation{Agent: "a", Issuer: issuer, Reason: "r", Until: &until})
	check("revoke", err, done.Ended == 2 && done.Revocation.Until.Equal(until))
	revs, err := c.Revocations(ctx)
	check("revocations", err, len(revs) == 1)
	applied, err := c.Apply(ctx, []byte("kind: Target"), false)
	check("apply", err, len(applied.Changes) == 1 && len(w.applied) == 1)
	r, err := c.Recording(ctx, "ses_1", "jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	raw, err := io.ReadAll(r)
	check("recording", err, string(raw) == "{\"n\":1}\n")
}

func TestTheClientReturnsProblemsWithTheirPlaces(t *testing.T) {
	c := client(t, newWorld().serve(t, nil), admin)
	_, err := c.Apply(context.Background(), []byte("bad"), false)
	var p *api.Problem
	if !errors.As(err, &p) || p.Status != 422 || len(p.Errors) != 1 || p.Errors[0].Line != 3 || p.Errors[0].Suggestion == "" {
		t.Errorf("%#v", err)
	}
	if _, err := c.Session(context.Background(), "../../healthz"); !errors.As(err, &p) || p.Status != 404 {
		t.Errorf("an id that climbs: %v", err)
	}
	if _, err := c.Documents(context.Background()); !errors.As(err, &p) || p.Code != "internal" {
		t.Errorf("%v", err)
	}
}

func TestTheClientTrustsOnlyTheGivenAuthorityAndOnlyHTTPS(t *testing.T) {
	srv := newWorld().serve(t, nil)
	asked := false
	token := func(context.Context) (gate.Secret, error) { asked = true; return gate.NewSecret(admin), nil }
	c, err := api.NewClient(api.ClientConfig{URL: srv.URL, Token: token})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Whoami(context.Background())
	var authority x509.UnknownAuthorityError
	var away *api.UnreachableError
	if !errors.As(err, &authority) || !errors.As(err, &away) || !asked {
		t.Errorf("%v", err)
	}
	for _, u := range []string{"http://127.0.0.1:1", "127.0.0.1:8420", "https://", "https://u:p@h", "https://h?x=1", "ftp://h", ""} {
		if _, err := api.NewClient(api.ClientConfig{URL: u, Token: token}); err == nil {
			t.Errorf("%q was accepted", u)
		}
	}
	if _, err := api.NewClient(api.ClientConfig{URL: srv.URL, Token: token, CA: []byte("no PEM")}); err == nil {
		t.Error("a CA file without certificates was accepted")
	}
}

func TestTheClientFollowsNoRedirectAndBelievesNoStranger(t *testing.T) {
	var elsewhere bool
	other := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere = true }))
	defer other.Close()
	for name, h := range map[string]http.HandlerFunc{
		"redirect": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other.URL, http.StatusFound) },
		"HTML":     func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500); _, _ = io.WriteString(w, "<html>") },
		"problem of another status": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(500)
			_, _ = io.WriteString(w, `{"status":200}`)
		},
		"no JSON": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") },
		"endless": func(w http.ResponseWriter, _ *http.Request) {
			for b := make([]byte, 1<<20); ; {
				if _, err := w.Write(b); err != nil {
					return
				}
			}
		},
	} {
		srv := httptest.NewTLSServer(h)
		_, err := client(t, srv, admin).Whoami(context.Background())
		var p *api.Problem
		if err == nil || errors.As(err, &p) || strings.Contains(err.Error(), admin) {
			t.Errorf("%s: %v", name, err)
		}
		srv.Close()
	}
	if elsewhere {
		t.Error("the client went where it was sent")
	}
}

func TestACastIsPlayedAtItsPace(t *testing.T) {
	v2 := `{"version":2,"width":80}` + "\n" + `[0.5,"o","a\n"]` + "\n" + `[100,"i","secret"]` + "\n\n" + `[101,"o","b\u001b[2J\n"]` + "\n" + `[50,"o","c\n"]`
	v3 := `{"version":3}` + "\n# remark\n" + `[0.5,"o","a\n"]` + "\n" + `[99.5,"i","secret"]` + "\n" + `[1,"o","b\u001b[2J\n"]` + "\n" + `[0,"o","c\n"]`
	for _, c := range []struct {
		speed float64
		idle  time.Duration
		want  time.Duration
	}{{1, 0, 101 * time.Second}, {2, 0, 50500 * time.Millisecond}, {1, 2 * time.Second, 3500 * time.Millisecond}, {0, 0, 0}} {
		for version, cast := range map[string]string{"2": v2, "3": v3} {
			var out strings.Builder
			var waited time.Duration
			err := api.PlayCast(context.Background(), strings.NewReader(cast), &out, api.Pace{
				Speed: c.speed, MaxIdle: c.idle,
				Clean: func(s string) string { return strings.ReplaceAll(s, "\x1b", "?") },
				Sleep: func(_ context.Context, d time.Duration) error { waited += d; return nil },
			})
			if err != nil || out.String() != "a\nb?[2J\nc\n" || waited.Round(time.Millisecond) != c.want {
				t.Errorf("version %s %+v: %q %s %v", version, c, out.String(), waited, err)
			}
		}
	}
}

func TestABrokenCastIsAnError(t *testing.T) {
	pace := api.Pace{Clean: func(s string) string { return s }}
	for _, cast := range []string{"", "x", `{"version":1}`, `{"version":2}` + "\n[1]", `{"version":2}` + "\n" + `["1","o","x"]`,
		`{"version":2}` + "\n" + `[1,"o"`, `{"version":2}` + "\n{}"} {
		if err := api.PlayCast(context.Background(), strings.NewReader(cast), io.Discard, pace); err == nil {
			t.Errorf("%q was played", cast)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	pace.Speed = 1
	if err := api.PlayCast(ctx, strings.NewReader(`{"version":2}`+"\n"+`[1000,"o","x"]`), io.Discard, pace); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func FuzzPlayCast(f *testing.F) {
	f.Add(`{"version":2,"width":80,"height":24}`+"\n"+`[0.5,"o","SELECT 1\r\n"]`+"\n"+`[0.6,"i","x"]`, 1.0)
	f.Add(`{"version":3,"term":{"cols":80}}`+"\n"+`[1e300,"o","x"]`+"\n"+`[-1e300,"o","x"]`, 1e-300)
	f.Fuzz(func(t *testing.T, cast string, speed float64) {
		_ = api.PlayCast(context.Background(), strings.NewReader(cast), io.Discard, api.Pace{
			Speed: speed, MaxIdle: time.Hour, Clean: func(s string) string { return s },
			Sleep: func(_ context.Context, d time.Duration) error {
				if d < 0 || d > 24*time.Hour {
					t.Errorf("a wait of %s", d)
				}
				return nil
			},
		})
	})
}

// idp is an issuer with one client.
func idp(t *testing.T, change func(metadata map[string]string)) (*httptest.Server, *url.Values) {
	t.Helper()
	return idpBy(t, httptest.NewTLSServer, change)
}

// idpBy is an idp on a server of start's.
func idpBy(t *testing.T, start func(http.Handler) *httptest.Server, change func(metadata map[string]string)) (*httptest.Server, *url.Values) {
	t.Helper()
	mux, form := http.NewServeMux(), &url.Values{}
	srv := start(mux)
	t.Cleanup(srv.Close)
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		m := map[string]string{"issuer": srv.URL, "token_endpoint": srv.URL + "/token"}
		if change != nil {
			change(m)
		}
		_, _ = io.WriteString(w, `{"issuer":"`+m["issuer"]+`","token_endpoint":"`+m["token_endpoint"]+`"}`)
	})
	mux.HandleFunc("POST /token", func(w http.ResponseWriter, r *http.Request) {
		id, secret, _ := r.BasicAuth()
		_ = r.ParseForm()
		*form = r.PostForm
		if id != "agent%3A1" || secret != "s%2Bcret+%25" {
			w.WriteHeader(401)
			_, _ = io.WriteString(w, `{"error":"invalid_client"}`)
			return
		}
		_, _ = io.WriteString(w, `{"access_token":"the.fresh.token","token_type":"bearer"}`)
	})
	return srv, form
}

func TestATokenComesFromTheIssuersTokenEndpoint(t *testing.T) {
	srv, form := idp(t, nil)
	r := api.TokenRequest{Issuer: srv.URL, ClientID: "agent:1", ClientSecret: gate.NewSecret("s+cret %"), CA: ca(srv),
		Scope: "a b", Resource: "urn:sallyport"}
	token, err := api.RequestToken(context.Background(), r)
	if err != nil || token.Reveal() != "the.fresh.token" {
		t.Fatalf("%v", err)
	}
	if form.Get("grant_type") != "client_credentials" || form.Get("scope") != "a b" || form.Get("resource") != "urn:sallyport" || form.Has("audience") {
		t.Errorf("%v", form)
	}
	r.ClientSecret = gate.NewSecret("wrong-canary")
	if _, err := api.RequestToken(context.Background(), r); err == nil || !strings.Contains(err.Error(), "invalid_client") || strings.Contains(err.Error(), "canary") {
		t.Errorf("%v", err)
	}
}

func TestASecretGoesOnlyToTheIssuerItself(t *testing.T) {
	for name, change := range map[string]func(map[string]string){
		"another name":       func(m map[string]string) { m["issuer"] = "https://evil.example" },
		"a trailing slash":   func(m map[string]string) { m["issuer"] += "/" },
		"a plain endpoint":   func(m map[string]string) { m["token_endpoint"] = "http://127.0.0.1:1/token" },
		"no endpoint":        func(m map[string]string) { m["token_endpoint"] = "" },
		"a user in endpoint": func(m map[string]string) { m["token_endpoint"] = "https://u:p@127.0.0.1:1/token" },
	} {
		srv, form := idp(t, change)
		_, err := api.RequestToken(context.Background(), api.TokenRequest{Issuer: srv.URL, ClientID: "agent:1", ClientSecret: gate.NewSecret("s+cret %"), CA: ca(srv)})
		if err == nil || len(*form) != 0 {
			t.Errorf("%s: %v %v", name, err, *form)
		}
	}
	for _, issuer := range []string{"http://idp.corp.example", "http://127.0.0.1.nip.example", "http://10.0.0.1", "http://127.0.0.1@evil.example", "ftp://127.0.0.1", ""} {
		_, err := api.RequestToken(context.Background(), api.TokenRequest{Issuer: issuer})
		if err == nil || !strings.Contains(err.Error(), "is not a plain https:// URL") {
			t.Errorf("%q: %v", issuer, err)
		}
	}
}

// TestAnIssuerOnThisMachineNeedsNoTLS as in its document: who tries the gateway out
// has a provider on localhost. Its secrets stay here.
func TestAnIssuerOnThisMachineNeedsNoTLS(t *testing.T) {
	srv, _ := idpBy(t, httptest.NewServer, nil)
	r := api.TokenRequest{Issuer: srv.URL, ClientID: "agent:1", ClientSecret: gate.NewSecret("s+cret %")}
	if token, err := api.RequestToken(context.Background(), r); err != nil || token.Reveal() != "the.fresh.token" {
		t.Error(err)
	}
	elsewhere, form := idpBy(t, httptest.NewServer, func(m map[string]string) { m["token_endpoint"] = "http://idp.corp.example/token" })
	r.Issuer = elsewhere.URL
	if _, err := api.RequestToken(context.Background(), r); err == nil || len(*form) != 0 {
		t.Errorf("a secret was sent elsewhere: %v", err)
	}
}
