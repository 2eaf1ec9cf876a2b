package api_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/sallyport-gateway/sallyport/internal/api"
)

const jsonType, yamlType = "application/json", "application/yaml"

// endpoints is every route with what a permitted person gets and which
// permission that takes.
var endpoints = []struct {
	method, path, contentType, body string
	permission                      string
	status                          int // for a person who may
	agent                           int // for the agent
}{
	{"GET", "/v1/approvals", "", "", api.PermitApprovals, 200, 403},
	{"GET", "/v1/approvals/apr_own", "", "", api.PermitApprovals, 200, 200},
	{"GET", "/v1/approvals/apr_other", "", "", api.PermitApprovals, 200, 404},
	{"POST", "/v1/approvals/apr_own/approve", jsonType, `{"comment":"ok"}`, api.PermitApprovals, 200, 403},
	{"POST", "/v1/approvals/apr_own/deny", jsonType, `{}`, api.PermitApprovals, 200, 403},
	{"GET", "/v1/sessions", "", "", api.PermitSessions, 200, 403},
	{"GET", "/v1/sessions/ses_1", "", "", api.PermitSessions, 200, 403},
	{"GET", "/v1/sessions/ses_1/recording", "", "", api.PermitSessions, 200, 403},
	{"GET", "/v1/sessions/ses_1/follow", "", "", api.PermitSessions, 200, 403},
	{"GET", "/v1/ssh", "", "", "", 200, 200},
	{"POST", "/v1/ssh/certificates", jsonType, `{"public_key":"ssh-ed25519 AAAAC3NzaC1"}`, "", 403, 200},
	{"POST", "/v1/revocations", jsonType, `{"agent":"a","reason":"r"}`, api.PermitRevoke, 200, 403},
	{"GET", "/v1/revocations", "", "", api.PermitRevoke, 200, 403},
	{"GET", "/v1/documents", "", "", api.PermitDocuments, 500, 403},
	{"PUT", "/v1/documents", yamlType, "kind: Target", api.PermitDocuments, 200, 403},
	{"DELETE", "/v1/documents/Target/orders", "", "", api.PermitDocuments, 200, 403},
	{"GET", "/v1/whoami", "", "", "", 200, 200},
	{"GET", "/metrics", "", "", api.PermitMetrics, 200, 403},
}

func TestEveryEndpointAnswersOnlyWhomItIsFor(t *testing.T) {
	for _, e := range endpoints {
		t.Run(e.method+" "+e.path, func(t *testing.T) {
			w := newWorld()
			srv := w.serve(t, nil)
			withoutRole := 403
			if e.permission == "" {
				withoutRole = e.status
			}
			for token, want := range map[string]int{
				nobody: 401, bad: 401, revoked: 401, expired: 401, unknown: 403,
				agent: e.agent, plain: withoutRole, admin: e.status,
			} {
				a := ask(t, srv, token, e.method, e.path, e.contentType, e.body)
				if a.status != want {
					t.Errorf("%q got %d, want %d: %s", token, a.status, want, a.body)
				}
				if a.status >= 400 {
					a.problem(t)
				}
				if a.status == 401 && !strings.HasPrefix(a.header.Get("WWW-Authenticate"), "Bearer") {
					t.Errorf("%q: 401 without a challenge", token)
				}
			}
		})
	}
}

func TestAPermissionOpensOnlyItsOwnEndpoints(t *testing.T) {
	for _, permission := range api.Permissions() {
		w := newWorld()
		w.allowed["plain"] = []string{permission}
		srv := w.serve(t, nil)
		for _, e := range endpoints {
			want := 403
			if e.permission == permission || e.permission == "" {
				want = e.status
			}
			if a := ask(t, srv, plain, e.method, e.path, e.contentType, e.body); a.status != want {
				t.Errorf("permission %s: %s %s got %d, want %d", permission, e.method, e.path, a.status, want)
			}
		}
	}
}

func TestEveryDescribedOperationIsInTheMatrix(t *testing.T) {
	known := map[string]bool{"GET /healthz": true, "GET /readyz": true}
	for _, e := range endpoints {
		path := strings.NewReplacer("apr_own", "{id}", "apr_other", "{id}", "ses_1", "{id}", "Target/orders", "{kind}/{name}").Replace(e.path)
		known[e.method+" "+path] = true
	}
	for _, o := range describedOperations(t) {
		if !known[o] {
			t.Errorf("%s is not in the authorisation matrix", o)
		}
		delete(known, o)
	}
	for o := range known {
		t.Errorf("%s is not described", o)
	}
}

func TestARefusedCallerChangesNothing(t *testing.T) {
	w := newWorld()
	srv := w.serve(t, nil)
	for _, token := range []string{nobody, bad, revoked, expired, unknown, agent, forAlice, plain} {
		for _, e := range endpoints {
			may := (token == agent || token == forAlice) && e.agent == 200
			if e.method != http.MethodGet && !may {
				ask(t, srv, token, e.method, e.path, e.contentType, e.body)
			}
		}
	}
	if len(w.answered)+len(w.applied)+len(w.revoked)+len(w.issued)+len(w.audit) != 0 {
		t.Errorf("something was done: %v %v %v %v", w.answered, w.applied, w.revoked, w.audit)
	}
}

func TestAnAgentSeesOnlyItsOwnRequests(t *testing.T) {
	srv := newWorld().serve(t, nil)
	missing := ask(t, srv, agent, "GET", "/v1/approvals/apr_none", "", "")
	for _, c := range []struct{ token, id string }{
		{agent, "apr_other"}, {agent, "apr_anonymous"},
		{sibling, "apr_own"},  // the same subject, another client
		{forAlice, "apr_own"}, // another subject
	} {
		a := ask(t, srv, c.token, "GET", "/v1/approvals/"+c.id, "", "")
		if a.status != 404 || a.body != missing.body {
			t.Errorf("%s reading %s: %d %s, want exactly what a missing id gives", c.token, c.id, a.status, a.body)
		}
	}
	own := ask(t, srv, agent, "GET", "/v1/approvals/apr_own", "", "")
	if own.status != 200 || strings.Contains(own.body, "internal remark") || strings.Contains(own.body, "bob") {
		t.Errorf("the agent's own request: %d %s", own.status, own.body)
	}
}

func TestATokenCountsOnlyInTheAuthorizationHeader(t *testing.T) {
	srv := newWorld().serve(t, nil)
	for name, change := range map[string]func(*http.Request){
		"query":             func(r *http.Request) { r.URL.RawQuery = "access_token=" + admin },
		"cookie":            func(r *http.Request) { r.AddCookie(&http.Cookie{Name: "token", Value: admin}) },
		"basic":             func(r *http.Request) { r.SetBasicAuth("admin", admin) },
		"bare":              func(r *http.Request) { r.Header.Set("Authorization", admin) },
		"empty":             func(r *http.Request) { r.Header.Set("Authorization", "Bearer ") },
		"two headers":       func(r *http.Request) { r.Header["Authorization"] = []string{"Bearer " + admin, "Bearer " + admin} },
		"over 16 KiB":       func(r *http.Request) { r.Header.Set("Authorization", "Bearer tok-"+strings.Repeat("a", 16<<10)) },
		"proxy":             func(r *http.Request) { r.Header.Set("Proxy-Authorization", "Bearer "+admin) },
		"forwarded by name": func(r *http.Request) { r.Header.Set("X-Forwarded-User", "admin") },
	} {
		r, _ := http.NewRequest("GET", srv.URL+"/v1/whoami", nil)
		change(r)
		if a := send(t, srv, r); a.status != 401 && a.status != 429 {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
	r, _ := http.NewRequest("GET", srv.URL+"/v1/whoami", nil)
	r.Header.Set("Authorization", "bEARER "+admin) // RFC 9110, section 11.1: the scheme in any case
	if a := send(t, srv, r); a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func TestFailedAttemptsAreLimitedButNobodyIsLockedOut(t *testing.T) {
	w := newWorld()
	srv := w.serve(t, nil)
	for i := range 10 {
		if a := ask(t, srv, bad, "GET", "/v1/whoami", "", ""); a.status != 401 {
			t.Fatalf("attempt %d: %d", i, a.status)
		}
	}
	a := ask(t, srv, bad, "GET", "/v1/whoami", "", "")
	if a.status != 429 || a.header.Get("Retry-After") != "60" || a.problem(t).Code != "too_many_requests" {
		t.Errorf("the eleventh: %d %v %s", a.status, a.header, a.body)
	}
	if a := ask(t, srv, admin, "GET", "/v1/whoami", "", ""); a.status != 200 {
		t.Errorf("a good token from the same address: %d %s", a.status, a.body)
	}
}

func TestMetricsNeedATokenUnlessTheOperatorOpensLoopback(t *testing.T) {
	srv := newWorld().serve(t, func(c *api.Config) { c.MetricsOnLoopback = true })
	if a := ask(t, srv, nobody, "GET", "/metrics", "", ""); a.status != 200 || a.body != "up 1\n" {
		t.Errorf("loopback: %d %s", a.status, a.body)
	}
	for _, name := range []string{"X-Forwarded-For", "Forwarded", "Via"} {
		r, _ := http.NewRequest("GET", srv.URL+"/metrics", nil)
		r.Header.Set(name, "203.0.113.9")
		if a := send(t, srv, r); a.status != 401 {
			t.Errorf("passed on with %s: %d", name, a.status)
		}
	}
}
