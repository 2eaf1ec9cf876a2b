package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport-gateway/sallyport/internal/approval"
	"github.com/sallyport-gateway/sallyport/internal/gate"
)

// start is the time that the suites begin at.
var start = time.Date(2026, 11, 22, 12, 0, 0, 123456000, time.UTC)

func request(n int) *approval.Request {
	return &approval.Request{
		ID: fmt.Sprintf("apr_%d", n), Digest: "sha256:aa", State: gate.RequestPending,
		Asker: approval.Asker{
			Subject: gate.Party{Issuer: "https://idp", Subject: "alice"}, Actor: gate.Party{Issuer: "https://idp", Subject: "bot"},
			Client: "client", Agent: "reporting", Session: "ses_1", Remote: "192.0.2.1:7", Application: "psql",
			Attributes: map[string]gate.Attribute{"purpose": {Value: "reports", Trust: gate.TrustProvider}},
		},
		Target: approval.Target{Name: "orders", Protocol: "postgres", Generation: "g1", Labels: map[string]string{"env": "prod"}},
		Command: approval.Command{
			Text: "UPDATE t SET a = '\xff\u202e\x00'", Params: []string{"1", "\xfe", ""}, Headline: "UPDATE t",
			Effects: gate.EffectWrite, Labels: []string{"pii"},
		},
		Rule: "p/r", Reason: "ask", Terms: gate.Approval{Groups: []string{"dba"}, Count: 2, Within: time.Minute},
		Filed: start.Add(time.Duration(n) * time.Second), Expires: start.Add(time.Minute),
	}
}

func at(now time.Time) approval.Window {
	return approval.Window{Now: now, Since: now.Add(-time.Hour)}
}

// file inserts r, whatever is there.
func file(t *testing.T, s approval.Store, r *approval.Request) {
	t.Helper()
	err := s.Ask(context.Background(), r.Key(), at(r.Filed),
		func([]*approval.Request, approval.Load) (*approval.Request, error) { return r, nil })
	if err != nil {
		t.Fatal(err)
	}
}

// Requests tests approval.Store.
func Requests(t *testing.T, b Backend) {
	ctx := context.Background()
	t.Run("a request comes back as it was filed, every byte of it", func(t *testing.T) {
		open := b(t)
		want := request(1)
		want.Answers = []approval.Answer{{By: gate.Party{Issuer: "i", Subject: "dana"}, Name: "dana", Approved: true, Comment: "ok", At: start}}
		file(t, open().Requests, want)
		got, err := open().Requests.Get(ctx, want.ID)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
	})
	t.Run("a list is newest first, bounded, filtered and without the full text", func(t *testing.T) { listRequests(t, b) })
	t.Run("an unknown id is not found", func(t *testing.T) {
		s := b(t)().Requests
		_, getErr := s.Get(ctx, "apr_none")
		_, changeErr := s.Change(ctx, "apr_none", func(*approval.Request) error { t.Error("it was changed"); return nil })
		if !errors.Is(getErr, approval.ErrNotFound) || !errors.Is(changeErr, approval.ErrNotFound) {
			t.Errorf("Get: %v, Change: %v", getErr, changeErr)
		}
	})
	t.Run("an error of the callback undoes everything", func(t *testing.T) { undo(t, b) })
	t.Run("Ask finds only the open and lately denied requests of its key", func(t *testing.T) { findOpen(t, b) })
	t.Run("one command of one principal has at most one open request", func(t *testing.T) {
		s := b(t)().Requests
		file(t, s, request(1))
		second := request(2)
		err := s.Ask(ctx, second.Key(), at(start), func([]*approval.Request, approval.Load) (*approval.Request, error) { return second, nil })
		if err == nil {
			t.Error("a second one was filed")
		}
	})
	t.Run("the load counts what is pending, what was filed, and everybody", func(t *testing.T) { countLoad(t, b) })
	t.Run("changes through two handles do not overlap", func(t *testing.T) { twoHandles(t, b) })
	t.Run("a cancelled context writes nothing", func(t *testing.T) {
		s := b(t)().Requests
		gone, cancel := context.WithCancel(ctx)
		r := request(1)
		err := s.Ask(gone, r.Key(), at(start), func([]*approval.Request, approval.Load) (*approval.Request, error) {
			cancel()
			return r, nil
		})
		if _, getErr := s.Get(ctx, r.ID); err == nil || !errors.Is(getErr, approval.ErrNotFound) {
			t.Errorf("Ask: %v, Get: %v", err, getErr)
		}
	})
}

func listRequests(t *testing.T, b Backend) {
	ctx := context.Background()
	s := b(t)().Requests
	for n := 1; n <= 5; n++ {
		r := request(n)
		r.Digest = fmt.Sprintf("sha256:%d", n)
		if n%2 == 0 {
			r.State, r.Target.Name = gate.RequestDenied, "other"
		}
		r.Expires = start.Add(time.Duration(n) * time.Minute)
		file(t, s, r)
	}
	for name, c := range map[string]struct {
		f    approval.Filter
		want []string
	}{
		"all":    {approval.Filter{}, []string{"apr_5", "apr_4", "apr_3", "apr_2", "apr_1"}},
		"limit":  {approval.Filter{Limit: 2}, []string{"apr_5", "apr_4"}},
		"page":   {approval.Filter{Before: start.Add(3 * time.Second)}, []string{"apr_2", "apr_1"}},
		"state":  {approval.Filter{States: []gate.RequestState{gate.RequestPending}}, []string{"apr_5", "apr_3", "apr_1"}},
		"states": {approval.Filter{States: []gate.RequestState{gate.RequestDenied, gate.RequestExpired}}, []string{"apr_4", "apr_2"}},
		"target": {approval.Filter{Target: "other"}, []string{"apr_4", "apr_2"}},
		"due":    {approval.Filter{Due: start.Add(2 * time.Minute)}, []string{"apr_2", "apr_1"}},
	} {
		rs, err := s.List(ctx, c.f)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, r := range rs {
			got = append(got, r.ID)
			if r.Command.Text != "" || r.Command.Params != nil || r.Command.Headline == "" {
				t.Errorf("%s: %s has text %q, headline %q", name, r.ID, r.Command.Text, r.Command.Headline)
			}
		}
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}

func undo(t *testing.T, b Backend) {
	ctx := context.Background()
	s := b(t)().Requests
	r := request(1)
	file(t, s, r)
	no := errors.New("no")
	_, err := s.Change(ctx, r.ID, func(r *approval.Request) error {
		r.State = gate.RequestApproved
		return no
	})
	if !errors.Is(err, no) {
		t.Errorf("Change: %v", err)
	}
	err = s.Ask(ctx, r.Key(), at(start), func(found []*approval.Request, _ approval.Load) (*approval.Request, error) {
		found[0].State = gate.RequestConsumed
		return request(2), no
	})
	if !errors.Is(err, no) {
		t.Errorf("Ask: %v", err)
	}
	got, err := s.Get(ctx, r.ID)
	if err != nil || got.State != gate.RequestPending {
		t.Errorf("the request is %v, %v", got, err)
	}
	if _, err := s.Get(ctx, "apr_2"); !errors.Is(err, approval.ErrNotFound) {
		t.Errorf("the new request: %v", err)
	}
}

func findOpen(t *testing.T, b Backend) {
	s := b(t)().Requests
	for n, state := range []gate.RequestState{
		gate.RequestExpired, gate.RequestCancelled, gate.RequestConsumed, gate.RequestDenied, gate.RequestDenied, gate.RequestPending,
	} {
		r := request(n)
		r.State = state
		if n == 3 {
			r.Expires = start // a denial that no longer stands
		}
		file(t, s, r)
	}
	found := func(key approval.Key) (ids []string) {
		err := s.Ask(context.Background(), key, at(start), func(rs []*approval.Request, _ approval.Load) (*approval.Request, error) {
			for _, r := range rs {
				ids = append(ids, r.ID)
			}
			return nil, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return ids
	}
	if d := cmp.Diff([]string{"apr_5", "apr_4"}, found(request(0).Key())); d != "" {
		t.Error(d)
	}
	for name, change := range map[string]func(k *approval.Key){
		"digest":  func(k *approval.Key) { k.Digest += "b" },
		"subject": func(k *approval.Key) { k.Principal.Subject.Subject = "Alice" },
		"issuer":  func(k *approval.Key) { k.Principal.Subject.Issuer += "/" },
		"actor":   func(k *approval.Key) { k.Principal.Actor.Subject += " " },
		"realm":   func(k *approval.Key) { k.Principal.Actor.Issuer = "" },
		"client":  func(k *approval.Key) { k.Principal.Client = "CLIENT" },
	} {
		key := request(0).Key()
		change(&key)
		if ids := found(key); ids != nil {
			t.Errorf("another %s finds %v", name, ids)
		}
	}
}

func countLoad(t *testing.T, b Backend) {
	s := b(t)().Requests
	for n, change := range []func(r *approval.Request){
		func(*approval.Request) {},
		func(r *approval.Request) { r.Expires = start }, // expired, not swept yet
		func(r *approval.Request) { r.State = gate.RequestConsumed },
		func(r *approval.Request) { r.State, r.Filed = gate.RequestDenied, start.Add(-2*time.Hour) },
		func(r *approval.Request) { r.Asker.Client = "another" },
	} {
		r := request(n)
		r.Digest = fmt.Sprintf("sha256:%d", n)
		change(r)
		file(t, s, r)
	}
	var got approval.Load
	err := s.Ask(context.Background(), request(0).Key(), at(start), func(_ []*approval.Request, l approval.Load) (*approval.Request, error) {
		got = l
		return nil, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := (approval.Load{Pending: 1, Filed: 3, All: 2}); got != want {
		t.Errorf("load %+v, want %+v", got, want)
	}
}

func twoHandles(t *testing.T, b Backend) {
	ctx := context.Background()
	open := b(t)
	stores := []approval.Store{open().Requests, open().Requests}
	r := request(1)
	file(t, stores[0], r)
	const rounds = 40
	var wg sync.WaitGroup
	for i := range rounds {
		wg.Go(func() {
			_, err := stores[i%2].Change(ctx, r.ID, func(r *approval.Request) error {
				r.Answers = append(r.Answers, approval.Answer{Name: fmt.Sprint(i)})
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	got, err := stores[0].Get(ctx, r.ID)
	if err != nil || len(got.Answers) != rounds {
		t.Errorf("%d answers of %d are left, %v", len(got.Answers), rounds, err)
	}
}
