package approval_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport-gateway/sallyport/internal/approval"
	"github.com/sallyport-gateway/sallyport/internal/gate"
	"github.com/sallyport-gateway/sallyport/internal/store"
)

var start = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// clock is set by the test.
type clock struct{ offset atomic.Int64 }

func (c *clock) now() time.Time          { return start.Add(time.Duration(c.offset.Load())) }
func (c *clock) advance(d time.Duration) { c.offset.Add(int64(d)) }

// heard is a notifier that keeps the states it was told, by request.
type heard struct {
	mu     sync.Mutex
	states map[string][]gate.RequestState
}

func (h *heard) Notify(r *approval.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.states == nil {
		h.states = map[string][]gate.RequestState{}
	}
	h.states[r.ID] = append(h.states[r.ID], r.State)
}

type world struct {
	t     *testing.T
	path  string
	clock *clock
	heard *heard
	cfg   approval.Config
	desk  *approval.Desk
}

func newWorld(t *testing.T, change ...func(*approval.Config)) *world {
	t.Helper()
	w := &world{t: t, path: filepath.Join(t.TempDir(), "data", "state.db"), clock: &clock{}, heard: &heard{}}
	w.cfg = approval.Config{Notifier: w.heard, Now: w.clock.now, Poll: 5 * time.Millisecond,
		URL: func(id string) string { return "https://gw/" + id }}
	for _, c := range change {
		c(&w.cfg)
	}
	w.desk = w.another()
	return w
}

// another returns a desk with a handle of its own on the same state, as another
// gateway has.
func (w *world) another() *approval.Desk {
	w.t.Helper()
	s, err := store.Open(context.Background(), "sqlite:"+w.path)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = s.Close() })
	cfg := w.cfg
	cfg.Store = s.Requests
	d, err := approval.New(cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	return d
}

func ask(change ...func(*gate.Ask)) *gate.Ask {
	a := &gate.Ask{
		Session: &gate.SessionInfo{
			ID: "ses_1", Protocol: "postgres", Remote: "192.0.2.1:5", Application: "psql",
			Principal: &gate.Principal{
				Party: gate.Party{Issuer: "https://idp", Subject: "alice"}, Kind: gate.KindAgent,
				Actor: gate.Party{Issuer: "https://idp", Subject: "bot"}, ClientID: "reporting", Agent: "reporting-agent",
				Attributes: map[string]gate.Attribute{"purpose": {Value: "reports", Trust: gate.TrustProvider}},
			},
			Target: &gate.Target{Name: "orders", Generation: "g1", Labels: map[string]string{"env": "prod"}},
		},
		Digest: "sha256:aa", Text: "UPDATE t SET a = $1", Params: []string{"int4 1"}, Effects: gate.EffectWrite,
		Rule: "p/writes", Reason: "writes need a person",
		Approval: gate.Approval{Groups: []string{"dba"}, Within: 10 * time.Minute},
	}
	for _, c := range change {
		c(a)
	}
	return a
}

func digest(d string) func(*gate.Ask) { return func(a *gate.Ask) { a.Digest = d } }

func person(name string, change ...func(*gate.Principal)) *gate.Principal {
	p := &gate.Principal{Party: gate.Party{Issuer: "https://people", Subject: name}, Kind: gate.KindPerson,
		Groups: []string{"staff", "dba"}, Expiry: start.Add(1000 * time.Hour)}
	for _, c := range change {
		c(p)
	}
	return p
}

func (w *world) ask(a *gate.Ask) gate.Asked {
	w.t.Helper()
	got, err := w.desk.Ask(context.Background(), a)
	if err != nil {
		w.t.Fatal(err)
	}
	return got
}

func (w *world) approve(id, name string) *approval.Request {
	w.t.Helper()
	r, err := w.desk.Approve(context.Background(), id, person(name), "")
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

func (w *world) expect(id string, want gate.RequestState) {
	w.t.Helper()
	if r, err := w.desk.Show(context.Background(), id); err != nil || r.State != want {
		w.t.Errorf("the request is %v (%v), want %s", r, err, want)
	}
}

func TestApprovedCommandRunsOnce(t *testing.T) {
	w := newWorld(t)
	first := w.ask(ask())
	if first.Granted || first.State != gate.RequestPending || !strings.HasPrefix(first.Request, "apr_") || len(first.Request) != 30 ||
		first.URL != "https://gw/"+first.Request || !first.Expires.Equal(start.Add(10*time.Minute)) {
		t.Fatalf("%+v", first)
	}
	w.clock.advance(time.Minute)
	if r := w.approve(first.Request, "dana"); r.State != gate.RequestApproved || !r.Expires.Equal(start.Add(11*time.Minute)) {
		t.Fatalf("%+v", r)
	}
	second := w.ask(ask(func(a *gate.Ask) { a.Session.ID = "ses_2" })) // the connection is not bound
	if !second.Granted || second.Request != first.Request || second.State != gate.RequestConsumed ||
		fmt.Sprint(second.Approvers) != "[dana (https://people)]" {
		t.Fatalf("%+v", second)
	}
	if r, err := w.desk.Show(context.Background(), first.Request); err != nil || r.Note != "ses_2" || !r.Ended.Equal(start.Add(time.Minute)) {
		t.Errorf("%+v, %v", r, err)
	}
	if third := w.ask(ask()); third.Granted || third.Request == first.Request || third.State != gate.RequestPending {
		t.Errorf("%+v", third)
	}
	want := []gate.RequestState{gate.RequestPending, gate.RequestApproved, gate.RequestConsumed}
	if got := w.heard.states[first.Request]; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("heard %v", got)
	}
}

func TestIdenticalCommandJoinsThePendingRequest(t *testing.T) {
	w := newWorld(t)
	first := w.ask(ask())
	for range 50 {
		if again := w.ask(ask()); again.Request != first.Request || again.Granted {
			t.Fatalf("%+v", again)
		}
	}
	if n := len(w.heard.states[first.Request]); n != 1 {
		t.Errorf("approvers were told %d times", n)
	}
}

func TestAnythingElseOfThePrincipalDoesNotMatchTheGrant(t *testing.T) {
	for name, change := range map[string]func(*gate.Ask){
		"digest":                         digest("sha256:ab"),
		"subject":                        func(a *gate.Ask) { a.Session.Principal.Subject = "Alice" },
		"subject's issuer":               func(a *gate.Ask) { a.Session.Principal.Issuer += "/" },
		"actor":                          func(a *gate.Ask) { a.Session.Principal.Actor.Subject = "bot2" },
		"no actor":                       func(a *gate.Ask) { a.Session.Principal.Actor = gate.Party{} },
		"client":                         func(a *gate.Ask) { a.Session.Principal.ClientID = "other" },
		"more approvers":                 func(a *gate.Ask) { a.Approval.Count = 2 },
		"other groups":                   func(a *gate.Ask) { a.Approval.Groups = []string{"security"} },
		"a shorter time to use it":       func(a *gate.Ask) { a.Approval.Within = time.Minute },
		"one group more, as any of them": func(a *gate.Ask) { a.Approval.Groups = []string{"dba", "security"} },
	} {
		w := newWorld(t)
		w.approve(w.ask(ask()).Request, "dana")
		if got := w.ask(ask(change)); got.Granted {
			t.Errorf("another %s was granted", name)
		}
	}
	w := newWorld(t)
	w.approve(w.ask(ask()).Request, "dana")
	same := func(a *gate.Ask) { a.Approval.Groups, a.Approval.Count = []string{"dba", "dba"}, 1 }
	if !w.ask(ask(same)).Granted {
		t.Error("the same terms in other words were not granted")
	}
}

func TestChangedTermsCancelTheOldRequest(t *testing.T) {
	w := newWorld(t)
	old := w.ask(ask())
	fresh := w.ask(ask(func(a *gate.Ask) { a.Approval.Count = 2 }))
	if fresh.Request == old.Request {
		t.Fatal("it joined a request on other terms")
	}
	w.expect(old.Request, gate.RequestCancelled)
	if _, err := w.desk.Approve(context.Background(), old.Request, person("dana"), ""); err == nil {
		t.Error("the old request could be approved")
	}
}

func TestOneGrantIsConsumedOnceByManyCallersOfTwoGateways(t *testing.T) {
	w := newWorld(t)
	desks := []*approval.Desk{w.desk, w.another()}
	for range 3 {
		w.approve(w.ask(ask()).Request, "dana")
		var granted atomic.Int32
		var wg sync.WaitGroup
		begin := make(chan struct{})
		for i := range 64 {
			wg.Go(func() {
				<-begin
				got, err := desks[i%2].Ask(context.Background(), ask())
				if err != nil {
					t.Error(err)
				} else if got.Granted {
					granted.Add(1)
				}
			})
		}
		close(begin)
		wg.Wait()
		if granted.Load() != 1 {
			t.Fatalf("%d were granted", granted.Load())
		}
		// The others joined one new request, which the next round approves.
	}
	pending, err := w.desk.List(context.Background(), approval.Filter{States: []gate.RequestState{gate.RequestPending}})
	if err != nil || len(pending) != 1 {
		t.Errorf("%d are pending, %v", len(pending), err)
	}
}

func TestNobodyIsGrantedTwiceAfterARestart(t *testing.T) {
	w := newWorld(t)
	w.approve(w.ask(ask()).Request, "dana")
	waiting := w.ask(ask(digest("sha256:waiting")))
	used := w.ask(ask(digest("sha256:used")))
	w.approve(used.Request, "dana")
	if !w.ask(ask(digest("sha256:used"))).Granted {
		t.Fatal("not granted")
	}
	w.desk = w.another()
	if w.ask(ask(digest("sha256:used"))).Granted {
		t.Error("a used grant was granted again")
	}
	if !w.ask(ask()).Granted {
		t.Error("the approved grant is lost")
	}
	if again := w.ask(ask(digest("sha256:waiting"))); again.Request != waiting.Request {
		t.Error("the pending request is lost")
	}
}

func TestTimeEndsRequestsAndGrants(t *testing.T) {
	ctx := context.Background()
	w := newWorld(t)
	id := w.ask(ask()).Request
	w.clock.advance(10 * time.Minute)
	_, err := w.desk.Approve(ctx, id, person("dana"), "")
	var refusal *approval.Refusal
	if !errors.As(err, &refusal) || !strings.Contains(refusal.Public(), "expired") {
		t.Errorf("a late approval: %v", err)
	}
	w.expect(id, gate.RequestExpired)

	second := w.ask(ask())
	if second.Request == id {
		t.Fatal("it joined an expired request")
	}
	w.approve(second.Request, "dana")
	w.clock.advance(10 * time.Minute)
	if w.ask(ask()).Granted {
		t.Error("an expired grant was granted")
	}
	w.expect(second.Request, gate.RequestExpired)
}

func TestSweeperExpiresWhatIsDueAndTells(t *testing.T) {
	ctx := context.Background()
	w := newWorld(t)
	a, b := w.ask(ask()), w.ask(ask(digest("sha256:b")))
	w.approve(b.Request, "dana")
	w.clock.advance(9 * time.Minute)
	if n, err := w.desk.Expire(ctx); n != 0 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	w.clock.advance(time.Minute)
	if n, err := w.desk.Expire(ctx); n != 2 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	for _, id := range []string{a.Request, b.Request} {
		w.expect(id, gate.RequestExpired)
		if s := w.heard.states[id]; s[len(s)-1] != gate.RequestExpired {
			t.Errorf("heard %v", s)
		}
	}
	if n, err := w.desk.Expire(ctx); n != 0 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
}

func TestRuleCannotKeepAGrantForever(t *testing.T) {
	for within, want := range map[time.Duration]time.Duration{0: approval.DefaultWithin, -1: approval.DefaultWithin, 1 << 62: approval.MaxWithin} {
		got := newWorld(t).ask(ask(func(a *gate.Ask) { a.Approval.Within = within }))
		if !got.Expires.Equal(start.Add(want)) {
			t.Errorf("%v: until %v", within, got.Expires)
		}
	}
}

func TestDenialStandsForTheIdenticalCommand(t *testing.T) {
	w := newWorld(t)
	id := w.ask(ask()).Request
	if r, err := w.desk.Deny(context.Background(), id, person("dana"), "no"); err != nil || r.State != gate.RequestDenied {
		t.Fatal(r, err)
	}
	if got := w.ask(ask()); got.Granted || got.State != gate.RequestDenied || got.Request != id {
		t.Errorf("%+v", got)
	}
	if got := w.ask(ask(digest("sha256:other"))); got.State != gate.RequestPending {
		t.Errorf("another command: %+v", got)
	}
	w.clock.advance(10 * time.Minute)
	if got := w.ask(ask()); got.State != gate.RequestPending || got.Request == id {
		t.Errorf("later: %+v", got)
	}
}

func TestFloodOfRequestsIsRefusedWithAReason(t *testing.T) {
	ctx := context.Background()
	limits := func(c *approval.Config) { c.Pending, c.Hourly, c.Total = 3, 5, 7 }
	w := newWorld(t, limits)
	n := 0
	next := func(client string) (gate.Asked, error) {
		n++
		return w.desk.Ask(ctx, ask(digest(fmt.Sprint("sha256:", n)), func(a *gate.Ask) { a.Session.Principal.ClientID = client }))
	}
	refused := func(err error, says string) {
		t.Helper()
		var public gate.PublicError
		if !errors.As(err, &public) || !strings.Contains(public.Public(), says) {
			t.Errorf("%v, want %q", err, says)
		}
	}
	var ids []string
	for range 3 {
		got, err := next("a")
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, got.Request)
	}
	_, err := next("a")
	refused(err, "waiting already")
	if got := w.ask(ask(digest("sha256:1"), func(a *gate.Ask) { a.Session.Principal.ClientID = "a" })); got.Request != ids[0] {
		t.Error("a waiting request can no longer be joined")
	}
	for _, id := range ids {
		w.approve(id, "dana")
	}
	for range 2 {
		if _, err := next("a"); err != nil {
			t.Fatal(err)
		}
	}
	_, err = next("a")
	refused(err, "within the last hour")
	for _, client := range []string{"b", "b", "b", "c", "c"} {
		if _, err := next(client); err != nil {
			t.Fatal(err)
		}
	}
	_, err = next("c")
	refused(err, "too many requests")
	w.clock.advance(2 * time.Hour)
	if _, err := next("a"); err != nil {
		t.Errorf("the flood is over: %v", err)
	}
}

func TestAskThatCannotBeReviewedOrAnsweredIsRefused(t *testing.T) {
	w := newWorld(t)
	for name, c := range map[string]struct {
		change func(*gate.Ask)
		public bool
	}{
		"no groups":         {func(a *gate.Ask) { a.Approval.Groups = nil }, true},
		"long text":         {func(a *gate.Ask) { a.Text = strings.Repeat("x", approval.MaxReview+1) }, true},
		"long parameters":   {func(a *gate.Ask) { a.Params = []string{strings.Repeat("x", approval.MaxReview)} }, true},
		"no digest":         {digest(""), false},
		"nobody":            {func(a *gate.Ask) { a.Session.Principal.Party = gate.Party{} }, false},
		"no principal":      {func(a *gate.Ask) { a.Session.Principal = nil }, false},
		"no target":         {func(a *gate.Ask) { a.Session.Target = nil }, false},
		"no session at all": {func(a *gate.Ask) { a.Session = nil }, false},
	} {
		got, err := w.desk.Ask(context.Background(), ask(c.change))
		var public gate.PublicError
		if err == nil || got.Granted || errors.As(err, &public) != c.public {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}
