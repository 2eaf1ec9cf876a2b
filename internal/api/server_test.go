package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-gateway/sallyport/internal/api"
)

func describedOperations(t *testing.T) []string {
	t.Helper()
	raw, err := api.OpenAPI("1.2.3")
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		OpenAPI string
		Paths   map[string]map[string]json.RawMessage
	}
	if err := json.Unmarshal(raw, &doc); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(doc.OpenAPI, "3.1") {
		t.Errorf("OpenAPI %s", doc.OpenAPI)
	}
	var all []string
	for path, methods := range doc.Paths {
		for m := range methods {
			all = append(all, strings.ToUpper(m)+" "+path)
		}
	}
	return all
}

func TestTheDescriptionIsServedAndNamesOnlyOurProblemForm(t *testing.T) {
	srv := newWorld().serve(t, nil)
	a := ask(t, srv, nobody, "GET", "/openapi.json", "", "")
	if a.status != 200 || !json.Valid([]byte(a.body)) || strings.Contains(a.body, "ErrorModel") || !strings.Contains(a.body, `"Problem"`) {
		t.Errorf("%d %.200s", a.status, a.body)
	}
}

func TestHealthAndReadinessTellNothingButTheStatus(t *testing.T) {
	w := newWorld()
	srv := w.serve(t, nil)
	if a := ask(t, srv, nobody, "GET", "/healthz", "", ""); a.status != 200 || a.body != "ok\n" {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := ask(t, srv, nobody, "GET", "/readyz", "", ""); a.status != 200 || a.body != "ready\n" {
		t.Errorf("%d %s", a.status, a.body)
	}
	w.ready = errors.New("dial tcp 10.0.0.1: refused")
	if a := ask(t, srv, nobody, "GET", "/readyz", "", ""); a.status != 503 || a.body != "not ready\n" {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func TestWhatIsNotThereIsAProblem(t *testing.T) {
	srv := newWorld().serve(t, nil)
	for _, c := range [][2]string{{"GET", "/"}, {"GET", "/v1/"}, {"GET", "/docs"}, {"GET", "/schemas/Approval.json"},
		{"DELETE", "/v1/documents"}, {"OPTIONS", "/v1/approvals"}, {"GET", "/v2/whoami"}, {"GET", "/v1/approvals/a/b/c"}} {
		a := ask(t, srv, admin, c[0], c[1], "", "")
		if a.status != 404 || a.problem(t).Code != "not_found" {
			t.Errorf("%v: %d %s", c, a.status, a.body)
		}
		if a.header.Get("Access-Control-Allow-Origin") != "" || a.header.Get("Set-Cookie") != "" {
			t.Errorf("%v: %v", c, a.header)
		}
	}
}

func TestEveryAnswerForbidsBrowsersEverything(t *testing.T) {
	srv := newWorld().serve(t, nil)
	for _, path := range []string{"/v1/whoami", "/healthz", "/nothing", "/v1/sessions/ses_1/recording"} {
		h := ask(t, srv, admin, "GET", path, "", "").header
		for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store",
			"X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer", "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'"} {
			if h.Get(name) != want {
				t.Errorf("%s: %s is %q", path, name, h.Get(name))
			}
		}
	}
}

func TestBadInputIsRefusedWithTheRightStatus(t *testing.T) {
	srv := newWorld().serve(t, nil)
	deep := strings.Repeat(`{"a":`, 40) + "1" + strings.Repeat("}", 40)
	for _, c := range []struct {
		name, method, path, contentType, body string
		status                                int
	}{
		{"unknown state", "GET", "/v1/approvals?state=maybe", "", "", 422},
		{"limit of zero", "GET", "/v1/approvals?limit=0", "", "", 422},
		{"limit over the bound", "GET", "/v1/sessions?limit=1001", "", "", 422},
		{"unknown query", "GET", "/v1/approvals?access_token=x", "", "", 422},
		{"unknown format", "GET", "/v1/sessions/ses_1/recording?format=exe", "", "", 422},
		{"long id", "GET", "/v1/approvals/" + strings.Repeat("a", 129), "", "", 422},
		{"not JSON", "POST", "/v1/revocations", jsonType, "{", 400},
		{"two values", "POST", "/v1/revocations", jsonType, `{"agent":"a","reason":"r"}{}`, 400},
		{"deep", "POST", "/v1/revocations", jsonType, deep, 400},
		{"repeated member", "POST", "/v1/revocations", jsonType, `{"agent":"a","agent":"b","reason":"r"}`, 400},
		{"case variant", "POST", "/v1/revocations", jsonType, `{"agent":"a","AGENT":"b","reason":"r"}`, 400},
		{"unknown member", "POST", "/v1/revocations", jsonType, `{"agent":"a","reason":"r","all":true}`, 422},
		{"no body", "POST", "/v1/revocations", jsonType, "", 400},
		{"no reason", "POST", "/v1/revocations", jsonType, `{"agent":"a"}`, 422},
		{"nothing named", "POST", "/v1/revocations", jsonType, `{"reason":"r"}`, 422},
		{"two named", "POST", "/v1/revocations", jsonType, `{"agent":"a","session":"s","reason":"r"}`, 422},
		{"past", "POST", "/v1/revocations", jsonType, `{"agent":"a","reason":"r","until":"2020-01-01T00:00:00Z"}`, 422},
		{"session for a while", "POST", "/v1/revocations", jsonType, `{"session":"s","reason":"r","until":"2030-01-01T00:00:00Z"}`, 422},
		{"not JSON by type", "POST", "/v1/revocations", "text/plain", `{"agent":"a","reason":"r"}`, 415},
		{"JSON over 64 KiB", "POST", "/v1/revocations", jsonType, `{"agent":"a","reason":"` + strings.Repeat("r", 64<<10) + `"}`, 413},
		{"documents of another type", "PUT", "/v1/documents", jsonType, "kind: Target", 415},
		{"documents of no type", "PUT", "/v1/documents", "", "kind: Target", 415},
		{"no documents", "PUT", "/v1/documents", yamlType, "", 400},
		{"documents over 4 MiB", "PUT", "/v1/documents", yamlType, strings.Repeat("#", api.MaxDocumentsBytes+1), 413},
		{"documents of 4 MiB", "PUT", "/v1/documents", yamlType, strings.Repeat("#", api.MaxDocumentsBytes), 200},
		{"invalid documents", "PUT", "/v1/documents", yamlType, "bad", 422},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := ask(t, srv, admin, c.method, c.path, c.contentType, c.body)
			if a.status != c.status {
				t.Fatalf("%d, want %d: %.300s", a.status, c.status, a.body)
			}
			if a.status != 200 {
				if p := a.problem(t); len(a.body) > 2000 {
					t.Errorf("the problem repeats what was sent: %.200v", p)
				}
			}
		})
	}
}

func TestAProblemTellsNoInternals(t *testing.T) {
	w := newWorld()
	w.panics = true
	srv := w.serve(t, nil)
	for path, want := range map[string]int{"/v1/approvals/apr_other/approve": 409, "/v1/approvals/apr_own/approve": 500} {
		a := ask(t, srv, admin, "POST", path, jsonType, "{}")
		if a.status != want || strings.Contains(a.body, "secret") {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
	if a := ask(t, srv, admin, "GET", "/v1/documents", "", ""); a.status != 500 || strings.Contains(a.body, "disk") {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := ask(t, srv, admin, "GET", "/v1/whoami", "", ""); a.status != 200 {
		t.Errorf("after a panic the server answers %d", a.status)
	}
}

func TestWhatCannotBeAuditedIsNotDone(t *testing.T) {
	w := newWorld()
	w.auditErr = errors.New("disk full")
	srv := w.serve(t, nil)
	for _, e := range endpoints {
		if e.method == http.MethodGet && !strings.HasSuffix(e.path, "recording") && !strings.HasSuffix(e.path, "follow") {
			continue
		}
		token := admin
		if e.status == 403 { // for agents alone
			token = agent
		}
		if a := ask(t, srv, token, e.method, e.path, e.contentType, e.body); a.status != 503 || strings.Contains(a.body, "disk") {
			t.Errorf("%s %s: %d %s", e.method, e.path, a.status, a.body)
		}
	}
	if len(w.answered)+len(w.applied)+len(w.revoked)+len(w.issued) != 0 {
		t.Error("something was done")
	}
}

func TestACallIsOnRecordBeforeAndAfterItIsDone(t *testing.T) {
	w := newWorld()
	srv := w.serve(t, nil)
	ask(t, srv, admin, "POST", "/v1/approvals/apr_own/approve", jsonType, `{"comment":"seen"}`)
	ask(t, srv, admin, "POST", "/v1/approvals/apr_other/deny", jsonType, `{}`)
	ask(t, srv, admin, "GET", "/v1/sessions/ses_1/recording?format=text", "", "")
	var got []string
	for _, e := range w.audit {
		if e.By.Subject != "admin" || e.Remote == "" || !e.Time.Equal(w.now) {
			t.Errorf("entry without who and when: %+v", e)
		}
		got = append(got, strings.Join([]string{e.Action, e.Object, e.Detail, e.Outcome}, " "))
	}
	want := []string{
		"approval.approve apr_own seen begun", "approval.approve apr_own seen done",
		"approval.deny apr_other  begun", "approval.deny apr_other  refused",
		"recording.read ses_1 text begun", "recording.read ses_1 text done",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("audit:\n%s", strings.Join(got, "\n"))
	}
}

func TestADryRunChangesNothing(t *testing.T) {
	w := newWorld()
	srv := w.serve(t, nil)
	applied, err := client(t, srv, admin).Apply(context.Background(), []byte("kind: Target"), true)
	if err != nil || !applied.DryRun || len(w.applied) != 0 {
		t.Errorf("%+v %v", applied, err)
	}
}

func TestTheLogHoldsNoTokenAndNoPathOfTheCaller(t *testing.T) {
	w := newWorld()
	srv := w.serve(t, func(c *api.Config) { c.Log = w.config().Log })
	for _, token := range []string{admin, agent, plain} {
		ask(t, srv, token, "GET", "/v1/approvals/canary-id?state=canary-query", "", "")
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	text := w.log.String()
	for _, canary := range []string{admin, agent, plain, "canary"} {
		if strings.Contains(text, canary) {
			t.Errorf("the log holds %q:\n%s", canary, text)
		}
	}
	if !strings.Contains(text, `"route":"GET /v1/approvals/{id}"`) {
		t.Errorf("the log lacks the route:\n%s", text)
	}
}

func TestARecordingThatBreaksOffLooksBroken(t *testing.T) {
	w := newWorld()
	w.export = func(_ context.Context, out io.Writer) error {
		_, _ = io.WriteString(out, strings.Repeat("x", 1<<20))
		return errors.New("disk gone")
	}
	srv := w.serve(t, nil)
	r, err := client(t, srv, admin).Recording(context.Background(), "ses_1", "text")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := io.Copy(io.Discard, r); err == nil {
		t.Error("a recording that broke off ended like a complete one")
	}
}

func TestTooManyRecordingsAtATimeAreRefused(t *testing.T) {
	w := newWorld()
	const most = 16
	begun, release := make(chan struct{}, most), make(chan struct{})
	w.export = func(_ context.Context, out io.Writer) error {
		_, err := io.WriteString(out, "x")
		begun <- struct{}{}
		<-release
		return err
	}
	srv := w.serve(t, nil)
	done := make(chan struct{}, most)
	for range most {
		go func() {
			defer func() { done <- struct{}{} }()
			if r, err := client(t, srv, admin).Recording(context.Background(), "ses_1", ""); err == nil {
				_, _ = io.Copy(io.Discard, r)
				_ = r.Close()
			}
		}()
	}
	for range most {
		<-begun
	}
	a := ask(t, srv, admin, "GET", "/v1/sessions/ses_1/recording", "", "")
	if a.status != 503 || a.header.Get("Retry-After") == "" {
		t.Errorf("%d %s", a.status, a.body)
	}
	close(release)
	for range most {
		<-done
	}
	if a := ask(t, srv, admin, "GET", "/v1/sessions/ses_1/recording", "", ""); a.status != 200 {
		t.Errorf("afterwards: %d", a.status)
	}
}

func TestTheServerBoundsEveryWait(t *testing.T) {
	s := api.HTTPServer(http.NotFoundHandler(), nil, newWorld().config().Log)
	for name, d := range map[string]time.Duration{"header": s.ReadHeaderTimeout, "read": s.ReadTimeout, "write": s.WriteTimeout, "idle": s.IdleTimeout} {
		if d <= 0 || d > time.Minute {
			t.Errorf("%s timeout is %s", name, d)
		}
	}
	if s.MaxHeaderBytes == 0 || s.HTTP2 == nil || s.HTTP2.MaxConcurrentStreams == 0 {
		t.Error("headers or streams are not bounded")
	}
}

func TestConnectionsBeyondTheLimitWaitUntilOneCloses(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := api.LimitListener(inner, 1)
	accepted := make(chan net.Conn)
	go func() {
		defer close(accepted)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			accepted <- c
		}
	}()
	for range 2 {
		c, err := net.Dial("tcp", inner.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	first := <-accepted
	select {
	case <-accepted:
		t.Fatal("a second connection was accepted")
	default:
	}
	_ = first.Close()
	_ = first.Close() // closing twice frees one place only
	second := <-accepted
	_ = l.Close()
	for c := range accepted {
		t.Errorf("accepted %v after Close", c.RemoteAddr())
	}
	_ = second.Close()
}

func TestAMissingPartIsAnError(t *testing.T) {
	if _, err := api.New(api.Config{}); err == nil {
		t.Error("an interface of nothing was made")
	}
}
