package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport-gateway/sallyport/internal/api"
	"github.com/sallyport-gateway/sallyport/internal/gate"
)

const issuer = "https://idp.example"

// The callers. Their tokens are their names behind "tok-".
const (
	nobody   = ""            // no token
	bad      = "tok-bad"     // a token that is refused
	revoked  = "tok-revoked" // a person who was revoked
	expired  = "tok-expired" // a person whose token is over
	agent    = "tok-agent"   // the agent that filed apr_own
	sibling  = "tok-sibling" // the same subject by another client
	forAlice = "tok-for-alice"
	unknown  = "tok-unknown" // a principal of no kind
	plain    = "tok-plain"   // a person without a role
	admin    = "tok-admin"   // a person with every permission
)

// world is everything behind the interface.
type world struct {
	mu       sync.Mutex
	audit    []api.AuditEntry
	auditErr error
	answered []string
	applied  [][]byte
	issued   []string
	revoked  []api.Revocation
	allowed  map[string][]string // subject → permissions
	ready    error
	export   func(ctx context.Context, w io.Writer) error
	follow   func(ctx context.Context, w io.Writer) error
	panics   bool
	filter   api.SessionFilter
	log      bytes.Buffer
	now      time.Time
}

func newWorld() *world {
	return &world{
		now:     time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC),
		allowed: map[string][]string{"admin": api.Permissions(), "alice": api.Permissions()},
		export: func(_ context.Context, w io.Writer) error {
			_, err := io.WriteString(w, "{\"n\":1}\n")
			return err
		},
		follow: func(_ context.Context, w io.Writer) error {
			_, err := io.WriteString(w, "{\"version\":2}\n")
			return err
		},
	}
}

// certifier issues words.
type certifier struct{ *world }

func (c certifier) Issue(_ context.Context, p *gate.Principal, key string) (string, error) {
	if !strings.HasPrefix(key, "ssh-ed25519 ") {
		return "", errors.New("this is not one public key in the form of an authorized_keys line")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.issued = append(c.issued, p.Subject+" "+key)
	return "certificate of " + p.TokenID, nil
}

func (certifier) Access() api.SSHAccess {
	return api.SSHAccess{Address: "gateway.example:6422", HostAuthority: "ssh-ed25519 AAAA"}
}

func (w *world) Identify(_ context.Context, token gate.Secret) (*gate.Principal, error) {
	name, ok := strings.CutPrefix(token.Reveal(), "tok-")
	p := &gate.Principal{
		Party: gate.Party{Issuer: issuer, Subject: name}, Kind: gate.KindPerson, ClientID: "cli",
		TokenID: "jti-" + name, Expiry: w.now.Add(time.Hour),
	}
	switch {
	case !ok || token.Reveal() == bad:
		return nil, errors.New("bad signature of " + token.Reveal())
	case token.Reveal() == agent, token.Reveal() == sibling:
		p.Kind, p.Subject, p.ClientID, p.Agent = gate.KindAgent, "agent", name, name
		p.Attributes = map[string]gate.Attribute{"purpose": {Value: "reports", Trust: gate.TrustProvider}}
	case token.Reveal() == forAlice:
		p.Kind, p.Subject, p.ClientID, p.Agent = gate.KindAgent, "alice", "agent", name
		p.Actor = gate.Party{Issuer: issuer, Subject: "agent"}
	case token.Reveal() == unknown:
		p.Kind = gate.KindUnknown
	case token.Reveal() == expired:
		p.Expiry = w.now
	}
	return p, nil
}

func (w *world) Revoked(p *gate.Principal) (string, bool) { return "left", p.Subject == "revoked" }

func (w *world) Allowed(p *gate.Principal, permission string) bool {
	return slices.Contains(w.allowed[p.Subject], permission)
}

func (w *world) Record(_ context.Context, e api.AuditEntry) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.auditErr != nil {
		return w.auditErr
	}
	w.audit = append(w.audit, e)
	return nil
}

type approvals struct{ *world }

func (a approvals) request(id string) (api.Approval, error) {
	r := api.Approval{
		ID: id, State: "pending", Filed: a.now, Expires: a.now.Add(time.Minute), Rule: "p/r", Digest: "sha256:00",
		Target:  api.TargetView{Name: "orders", Protocol: "postgres"},
		Command: api.CommandView{Text: "UPDATE t SET a = 1", Headline: "UPDATE t SET a = 1", Effects: []string{"write"}},
		Needs:   api.Needs{Groups: []string{"dba"}, Count: 1},
		Answers: []api.Answer{{By: api.Party{Issuer: issuer, Subject: "bob"}, Decision: "approve", Comment: "internal remark", Time: a.now}},
	}
	switch id {
	case "apr_own":
		r.By = api.Caller{Subject: api.Party{Issuer: issuer, Subject: "agent"}, Client: "agent"}
	case "apr_other":
		r.By = api.Caller{Subject: api.Party{Issuer: issuer, Subject: "other"}, Client: "agent"}
	case "apr_anonymous": // must never match anybody
	default:
		return r, api.NoApproval()
	}
	return r, nil
}

func (a approvals) List(_ context.Context, f api.ApprovalFilter) ([]api.Approval, error) {
	r, err := a.request("apr_own")
	if f.State != "" && f.State != r.State {
		return nil, nil
	}
	return []api.Approval{r}, err
}

func (a approvals) Show(_ context.Context, id string) (api.Approval, error) { return a.request(id) }

func (a approvals) Answer(_ context.Context, by *gate.Principal, id string, approve bool, _ string) (api.Approval, error) {
	r, err := a.request(id)
	if err != nil {
		return r, err
	}
	if id == "apr_other" {
		return r, &api.Error{Kind: api.Conflict, Public: "The request is denied already.", Err: errors.New("inner secret")}
	}
	if a.panics {
		panic("handler bug with a secret")
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.answered = append(a.answered, by.Subject+" "+id)
	r.State = map[bool]string{true: "approved", false: "denied"}[approve]
	return r, nil
}

type sessions struct{ *world }

func (s sessions) List(_ context.Context, f api.SessionFilter) ([]api.Session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.filter = f
	return nil, nil
}

func (s sessions) Show(_ context.Context, id string) (api.Session, error) {
	if id != "ses_1" {
		return api.Session{}, &api.Error{Kind: api.NotFound, Public: "There is no such session."}
	}
	return api.Session{ID: id, State: "ended", Started: s.now}, nil
}

func (s sessions) Export(ctx context.Context, id, _ string, w io.Writer) error {
	if id != "ses_1" {
		return &api.Error{Kind: api.NotFound, Public: "There is no such session."}
	}
	return s.export(ctx, w)
}

func (s sessions) Follow(ctx context.Context, id string, w io.Writer) error {
	if id != "ses_1" {
		return &api.Error{Kind: api.NotFound, Public: "There is no such session."}
	}
	return s.follow(ctx, w)
}

type revocations struct{ *world }

func (r revocations) Revoke(_ context.Context, by *gate.Principal, x api.Revocation) (api.Revoked, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	x.ID, x.By, x.Created = "rev_1", api.Party{Issuer: by.Issuer, Subject: by.Subject}, r.now
	r.revoked = append(r.revoked, x)
	return api.Revoked{Revocation: x, Ended: 2}, nil
}

func (r revocations) List(context.Context) ([]api.Revocation, error) { return r.revoked, nil }

type documents struct{ *world }

func (d documents) List(context.Context) ([]api.Document, error) {
	return nil, errors.New("disk: /var/lib/secret")
}

func (d documents) Apply(_ context.Context, _ *gate.Principal, body []byte, dryRun bool) (api.Applied, error) {
	if bytes.Contains(body, []byte("bad")) {
		return api.Applied{}, &api.Error{Kind: api.Invalid, Public: "A document is not valid.",
			Places: []api.Place{{Where: "Policy x", Line: 3, Column: 7, Message: "unknown field", Suggestion: "did you mean then?"}}}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if !dryRun {
		d.applied = append(d.applied, bytes.Clone(body))
	}
	return api.Applied{DryRun: dryRun, Changes: []api.DocumentChange{{Kind: "Target", Name: "orders", Action: "added"}}}, nil
}

func (d documents) Remove(_ context.Context, _ *gate.Principal, kind, name string, dryRun bool) (api.Applied, error) {
	if name != "orders" {
		return api.Applied{}, &api.Error{Kind: api.NotFound, Public: "there is no such document"}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if !dryRun {
		d.applied = append(d.applied, []byte("-"+kind+" "+name))
	}
	return api.Applied{DryRun: dryRun, Changes: []api.DocumentChange{{Kind: kind, Name: name, Action: "removed"}}}, nil
}

func (w *world) config() api.Config {
	return api.Config{
		Identifier: w, Authority: w, Approvals: approvals{w}, Sessions: sessions{w}, Revocations: revocations{w},
		Documents: documents{w}, SSH: certifier{w}, Audit: w, Ready: func(context.Context) error { return w.ready },
		Metrics: http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(rw, "up 1\n") }),
		Log:     slog.New(slog.NewJSONHandler(&syncWriter{w: w}, nil)), Now: func() time.Time { return w.now },
	}
}

type syncWriter struct{ w *world }

func (s *syncWriter) Write(b []byte) (int, error) {
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	return s.w.log.Write(b)
}

// serve starts the interface over TLS.
func (w *world) serve(t *testing.T, change func(*api.Config)) *httptest.Server {
	t.Helper()
	cfg := w.config()
	if change != nil {
		change(&cfg)
	}
	s, err := api.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewUnstartedServer(s)
	srv.Config = api.HTTPServer(s, nil, cfg.Log)
	srv.EnableHTTP2 = true
	srv.StartTLS()
	t.Cleanup(srv.Close)
	return srv
}

func ca(srv *httptest.Server) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw})
}

func client(t *testing.T, srv *httptest.Server, token string) *api.Client {
	t.Helper()
	c, err := api.NewClient(api.ClientConfig{URL: srv.URL, CA: ca(srv),
		Token: func(context.Context) (gate.Secret, error) { return gate.NewSecret(token), nil }})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
}

func (a answer) problem(t *testing.T) api.Problem {
	t.Helper()
	if ct := a.header.Get("Content-Type"); ct != "application/problem+json" {
		t.Fatalf("content type %q of %s", ct, a.body)
	}
	var p api.Problem
	if err := json.Unmarshal([]byte(a.body), &p); err != nil {
		t.Fatal(err)
	}
	if p.Status != a.status || p.Code == "" || p.Detail == "" || p.Title == "" || p.Type != "about:blank" {
		t.Fatalf("incomplete problem for status %d: %s", a.status, a.body)
	}
	return p
}

func ask(t *testing.T, srv *httptest.Server, token, method, path, contentType, body string) answer {
	t.Helper()
	r, err := http.NewRequest(method, srv.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	return send(t, srv, r)
}

func send(t *testing.T, srv *httptest.Server, r *http.Request) answer {
	t.Helper()
	res, err := srv.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{res.StatusCode, res.Header, string(raw)}
}
