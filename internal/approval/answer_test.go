package approval_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport-gateway/sallyport/internal/approval"
	"github.com/sallyport-gateway/sallyport/internal/gate"
)

func TestWhoMayNotApproveIsRefused(t *testing.T) {
	w := newWorld(t)
	owned := func(a *gate.Ask) {
		a.Session.Principal.Attributes[approval.AttributeOwner] = gate.Attribute{Value: "Owner, erin@corp.example"}
	}
	id := w.ask(ask(owned)).Request
	for name, by := range map[string]*gate.Principal{
		"nobody":                   nil,
		"somebody without a name":  person(""),
		"an agent":                 person("dana", func(p *gate.Principal) { p.Kind = gate.KindAgent }),
		"an unknown kind":          person("dana", func(p *gate.Principal) { p.Kind = gate.KindUnknown }),
		"a kind of the future":     person("dana", func(p *gate.Principal) { p.Kind = 99 }),
		"an agent acting for dana": person("dana", func(p *gate.Principal) { p.Actor = gate.Party{Issuer: "i", Subject: "bot"} }),
		"a stale log-in":           person("dana", func(p *gate.Principal) { p.Expiry = start }),
		"no group":                 person("dana", func(p *gate.Principal) { p.Groups = nil }),
		"another group":            person("dana", func(p *gate.Principal) { p.Groups = []string{"staff", "DBA", "dba "} }),
		"the subject":              person("alice", func(p *gate.Principal) { p.Issuer = "https://idp" }),
		"the actor":                person("bot", func(p *gate.Principal) { p.Issuer = "https://idp" }),
		"the owner of the agent":   person("owner"),
		"another owner, by an attribute": person("erin-7", func(p *gate.Principal) {
			p.Attributes = map[string]gate.Attribute{"email": {Value: "Erin@corp.example"}}
		}),
		"the unknown group of empty": person("dana", func(p *gate.Principal) { p.Groups = []string{""} }),
	} {
		_, err := w.desk.Approve(context.Background(), id, by, "")
		var refusal *approval.Refusal
		if !errors.As(err, &refusal) || refusal.Public() == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
	w.expect(id, gate.RequestPending)
	if w.ask(ask(owned)).Granted {
		t.Error("it was granted")
	}
	if r := w.approve(id, "dana"); len(r.Answers) != 1 {
		t.Errorf("answers: %+v", r.Answers)
	}
}

func TestSubjectMayRefuseItsOwnRequest(t *testing.T) {
	w := newWorld(t)
	id := w.ask(ask()).Request
	r, err := w.desk.Deny(context.Background(), id, person("alice", func(p *gate.Principal) { p.Issuer = "https://idp" }), "")
	if err != nil || r.State != gate.RequestDenied {
		t.Error(r, err)
	}
}

func TestStrangerMayNotDeny(t *testing.T) {
	w := newWorld(t)
	id := w.ask(ask()).Request
	for _, by := range []*gate.Principal{
		person("x", func(p *gate.Principal) { p.Groups = nil }),
		person("x", func(p *gate.Principal) { p.Kind = gate.KindAgent }),
	} {
		if _, err := w.desk.Deny(context.Background(), id, by, ""); err == nil {
			t.Error("taken")
		}
	}
	w.expect(id, gate.RequestPending)
}

func TestTwoDifferentPeopleMustApproveWhenTheRuleSaysTwo(t *testing.T) {
	w, ctx := newWorld(t), context.Background()
	two := func(a *gate.Ask) { a.Approval.Count = 2 }
	id := w.ask(ask(two)).Request
	if r := w.approve(id, "dana"); r.State != gate.RequestPending {
		t.Fatalf("one was enough: %+v", r)
	}
	if _, err := w.desk.Approve(ctx, id, person("dana"), ""); err == nil {
		t.Error("one person counted twice")
	}
	if w.ask(ask(two)).Granted {
		t.Fatal("granted after one")
	}
	other := w.another()
	if r, err := other.Approve(ctx, id, person("eve"), ""); err != nil || r.State != gate.RequestApproved {
		t.Fatal(r, err)
	}
	if got := w.ask(ask(two)); !got.Granted || len(got.Approvers) != 2 {
		t.Errorf("%+v", got)
	}
}

func TestOneDenialEndsARequestWithAnApproval(t *testing.T) {
	w, ctx := newWorld(t), context.Background()
	id := w.ask(ask(func(a *gate.Ask) { a.Approval.Count = 2 })).Request
	w.approve(id, "dana")
	if r, err := w.desk.Deny(ctx, id, person("eve"), "no"); err != nil || r.State != gate.RequestDenied {
		t.Fatal(r, err)
	}
	if _, err := w.desk.Approve(ctx, id, person("frank"), ""); err == nil {
		t.Error("approved after the denial")
	}
}

func TestAnsweredRequestTakesNoOtherAnswer(t *testing.T) {
	ctx := context.Background()
	for name, end := range map[gate.RequestState]func(w *world, id string){
		gate.RequestApproved:  func(w *world, id string) { w.approve(id, "dana") },
		gate.RequestConsumed:  func(w *world, id string) { w.approve(id, "dana"); w.ask(ask()) },
		gate.RequestDenied:    func(w *world, id string) { _, _ = w.desk.Deny(ctx, id, person("dana"), "") },
		gate.RequestCancelled: func(w *world, id string) { _, _ = w.desk.Cancel(ctx, id, "why") },
		gate.RequestExpired:   func(w *world, _ string) { w.clock.advance(time.Hour) },
	} {
		w := newWorld(t)
		id := w.ask(ask()).Request
		end(w, id)
		_, err1 := w.desk.Approve(ctx, id, person("eve"), "")
		_, err2 := w.desk.Deny(ctx, id, person("eve"), "")
		if err1 == nil || err2 == nil {
			t.Errorf("%s: approve %v, deny %v", name, err1, err2)
		}
		w.expect(id, name)
	}
}

func TestApproveAndDenyAtOnceHaveOneWinner(t *testing.T) {
	w, ctx := newWorld(t), context.Background()
	other := w.another()
	for i := range 20 {
		a := ask(digest(fmt.Sprint("sha256:", i)))
		id := w.ask(a).Request
		var wins atomic.Int32
		var yes, no error
		var wg sync.WaitGroup
		wg.Go(func() { _, yes = w.desk.Approve(ctx, id, person("dana"), "") })
		wg.Go(func() { _, no = other.Deny(ctx, id, person("eve"), "") })
		wg.Wait()
		for _, err := range []error{yes, no} {
			if err == nil {
				wins.Add(1)
			}
		}
		granted := w.ask(a).Granted
		if wins.Load() != 1 || granted != (yes == nil) {
			t.Fatalf("approve: %v, deny: %v, granted: %v", yes, no, granted)
		}
	}
}

func TestCancelTakesBackAnUnusedGrant(t *testing.T) {
	w, ctx := newWorld(t), context.Background()
	id := w.ask(ask()).Request
	w.approve(id, "dana")
	if r, err := w.desk.Cancel(ctx, id, "wrong table"); err != nil || r.State != gate.RequestCancelled || r.Note != "wrong table" {
		t.Fatal(r, err)
	}
	if w.ask(ask()).Granted {
		t.Error("granted")
	}
	if _, err := w.desk.Cancel(ctx, id, ""); err == nil {
		t.Error("cancelled twice")
	}
}

func TestUnknownRequestIsNotFound(t *testing.T) {
	w, ctx := newWorld(t), context.Background()
	_, err1 := w.desk.Approve(ctx, "apr_x", person("dana"), "")
	_, err2 := w.desk.Deny(ctx, "apr_x", person("dana"), "")
	_, err3 := w.desk.Cancel(ctx, "apr_x", "")
	_, err4 := w.desk.Show(ctx, "apr_x")
	_, err5 := w.desk.Wait(ctx, "apr_x")
	for i, err := range []error{err1, err2, err3, err4, err5} {
		if !errors.Is(err, approval.ErrNotFound) {
			t.Errorf("%d: %v", i, err)
		}
	}
}

func TestEndlessCommentIsRefused(t *testing.T) {
	w := newWorld(t)
	id := w.ask(ask()).Request
	if _, err := w.desk.Approve(context.Background(), id, person("dana"), strings.Repeat("x", 5000)); err == nil {
		t.Error("taken")
	}
}

func TestWaitWakesAtOnceInThisProcess(t *testing.T) {
	w, ctx := newWorld(t, func(c *approval.Config) { c.Poll = time.Hour }), context.Background()
	for state, end := range map[gate.RequestState]func(id string){
		gate.RequestApproved:  func(id string) { w.approve(id, "dana") },
		gate.RequestDenied:    func(id string) { _, _ = w.desk.Deny(ctx, id, person("dana"), "") },
		gate.RequestCancelled: func(id string) { _, _ = w.desk.Cancel(ctx, id, "") },
	} {
		id := w.ask(ask(digest("sha256:" + string(state)))).Request
		got := make(chan string, 3)
		for range 3 {
			go func() {
				s, err := w.desk.Wait(ctx, id)
				got <- fmt.Sprint(s, err)
			}()
		}
		end(id)
		for range 3 {
			if s := <-got; s != string(state)+"<nil>" {
				t.Errorf("woke with %s, want %s", s, state)
			}
		}
	}
}

func TestWaitSeesTheAnswerGivenThroughAnotherGateway(t *testing.T) {
	w, ctx := newWorld(t), context.Background()
	id := w.ask(ask()).Request
	other := w.another()
	got := make(chan gate.RequestState, 1)
	go func() {
		s, _ := w.desk.Wait(ctx, id)
		got <- s
	}()
	if _, err := other.Approve(ctx, id, person("dana"), ""); err != nil {
		t.Fatal(err)
	}
	if s := <-got; s != gate.RequestApproved {
		t.Errorf("woke with %s", s)
	}
}

func TestWaitEndsWithTheRequestsTimeAndWithItsContext(t *testing.T) {
	w := newWorld(t, func(c *approval.Config) { c.Now, c.Poll = nil, time.Hour })
	id := w.ask(ask(func(a *gate.Ask) { a.Approval.Within = 20 * time.Millisecond })).Request
	if s, err := w.desk.Wait(context.Background(), id); s != gate.RequestExpired || err != nil {
		t.Errorf("%s, %v", s, err)
	}
	id = w.ask(ask(digest("sha256:b"))).Request
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if s, err := w.desk.Wait(ctx, id); s != gate.RequestPending || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%s, %v", s, err)
	}
}
