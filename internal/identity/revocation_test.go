package identity_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-gateway/sallyport/internal/gate"
	"github.com/sallyport-gateway/sallyport/internal/identity"
)

func TestARevocationStopsTheNextLogIn(t *testing.T) {
	cases := map[string]func(f *forger) identity.Revocation{
		"by agent": func(*forger) identity.Revocation { return identity.Revocation{Agent: "reporting-agent"} },
		"by agent of an issuer": func(f *forger) identity.Revocation {
			return identity.Revocation{Agent: "reporting-agent", Issuer: f.issuer.URL()}
		},
		"by subject": func(f *forger) identity.Revocation {
			return identity.Revocation{Subject: "alice", Issuer: f.issuer.URL()}
		},
		"by actor": func(f *forger) identity.Revocation {
			return identity.Revocation{Subject: "actor", Issuer: f.issuer.URL()}
		},
		"by token":              func(*forger) identity.Revocation { return identity.Revocation{Token: marker} },
		"by token of an issuer": func(f *forger) identity.Revocation { return identity.Revocation{Token: marker, Issuer: f.issuer.URL()} },
	}
	for name, make := range cases {
		t.Run(name, func(t *testing.T) {
			f := newForger(t)
			token := f.with(claims{"sub": "alice", "act": claims{"sub": "actor"}})
			p := f.accepts(token)
			if why, yes := f.verifier.Revoked(p); yes {
				t.Fatal(why)
			}
			r := make(f)
			r.By, r.At, r.Reason = "ops", f.Now(), "stolen laptop"
			var told []identity.Revocation
			f.revoked.Subscribe(func(r identity.Revocation) { told = append(told, r) })
			if err := f.revoked.Revoke(t.Context(), r); err != nil {
				t.Fatal(err)
			}
			refused := f.refuses(token, identity.RuleRevoked)
			if strings.Contains(refused.Public(), "laptop") {
				t.Errorf("the agent is told %q", refused.Public())
			}
			if why, yes := f.verifier.Revoked(p); !yes || !strings.Contains(why, "ops: stolen laptop") {
				t.Errorf("revoked %t because %q", yes, why)
			}
			if len(told) != 1 || !told[0].Match(&gate.SessionInfo{ID: "ses_1", Principal: p}) {
				t.Errorf("told %+v", told)
			}
			other := *p
			other.Subject, other.Agent, other.TokenID, other.Actor = "bob", "other", "t2", gate.Party{}
			if _, yes := f.verifier.Revoked(&other); yes || told[0].Match(&gate.SessionInfo{Principal: &other}) {
				t.Error("somebody else is revoked as well")
			}
		})
	}
}

func TestARevocationOfAnotherIssuerDoesNotCount(t *testing.T) {
	f := newForger(t)
	for _, r := range []identity.Revocation{
		{Agent: "reporting-agent", Issuer: "https://other.example"},
		{Subject: "reporting-agent", Issuer: "https://other.example"},
		{Token: marker, Issuer: "https://other.example"},
		{Session: "ses_1"},
	} {
		r.By, r.At = "ops", f.Now()
		if err := f.revoked.Revoke(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	p := f.accepts(f.with(nil))
	s := identity.Revocation{Session: "ses_1", By: "ops", At: f.Now()}
	if !s.Match(&gate.SessionInfo{ID: "ses_1", Principal: p}) || s.Match(&gate.SessionInfo{ID: "ses_2", Principal: p}) {
		t.Error("a session's revocation does not match that session alone")
	}
}

func TestARevocationEndsAndCanBeLifted(t *testing.T) {
	f := newForger(t)
	token := f.with(nil)
	revoke := func(r identity.Revocation) {
		t.Helper()
		r.Agent, r.By, r.At = "reporting-agent", "ops", f.Now()
		if err := f.revoked.Revoke(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	revoke(identity.Revocation{Until: f.Now().Add(time.Minute)})
	f.refuses(token, identity.RuleRevoked)
	f.add(time.Minute)
	f.accepts(token)
	revoke(identity.Revocation{})
	f.add(time.Second)
	revoke(identity.Revocation{Until: f.Now().Add(time.Second)}) // does not shorten the one for ever
	f.add(2 * time.Second)
	f.refuses(token, identity.RuleRevoked)
	if got := f.revoked.InForce(); len(got) != 1 || !got[0].Until.IsZero() {
		t.Errorf("in force %+v", got)
	}
	revoke(identity.Revocation{Lift: true})
	f.accepts(token)
	if got := f.revoked.InForce(); len(got) != 0 {
		t.Errorf("in force %+v", got)
	}
	f.add(time.Second)
	revoke(identity.Revocation{})
	f.refuses(token, identity.RuleRevoked)
}

func TestALiftThatCannotBeSavedLiftsNothing(t *testing.T) {
	store := &memoryStore{}
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	l, err := identity.OpenRevocations(t.Context(), store, func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Revoke(t.Context(), identity.Revocation{Agent: "a", By: "ops", At: now}); err != nil {
		t.Fatal(err)
	}
	lift := identity.Revocation{Agent: "a", By: "ops", At: now, Lift: true}
	store.err = errors.New("disk")
	if err := l.Revoke(t.Context(), lift); err == nil || len(l.InForce()) != 1 {
		t.Errorf("%v, in force %+v", err, l.InForce())
	}
	store.err = nil
	if err := l.Revoke(t.Context(), lift); err != nil || len(l.InForce()) != 0 {
		t.Errorf("%v, in force %+v", err, l.InForce())
	}
}

func TestALiftThatArrivesLateLiftsOnlyWhatWasBeforeIt(t *testing.T) {
	start := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	at := func(minutes int) time.Time { return start.Add(time.Duration(minutes) * time.Minute) }
	events := []identity.Revocation{
		{ID: "forever", Agent: "a", By: "ops", At: at(1)},
		{ID: "lift", Agent: "a", By: "ops", At: at(2), Lift: true},
		{ID: "hour", Agent: "a", By: "ops", At: at(3), Until: at(63)},
	}
	for _, order := range [][]int{{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}} {
		store := &memoryStore{}
		for _, i := range order {
			store.saved = append(store.saved, events[i], events[i])
		}
		l, err := identity.OpenRevocations(t.Context(), store, func() time.Time { return at(5) })
		if err != nil {
			t.Fatal(err)
		}
		if got := l.InForce(); len(got) != 1 || got[0].ID != "hour" {
			t.Errorf("order %v: in force %+v", order, got)
		}
	}
}

func TestARevocationSurvivesARestart(t *testing.T) {
	store := &memoryStore{}
	l, err := identity.OpenRevocations(t.Context(), store, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Revoke(t.Context(), identity.Revocation{ID: "r1", Agent: "a", By: "ops", At: time.Now()}); err != nil {
		t.Fatal(err)
	}
	again, err := identity.OpenRevocations(t.Context(), store, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, yes := again.Revoked(&gate.Principal{Agent: "a"}); !yes {
		t.Error("forgotten")
	}
}

func TestARevocationThatCannotBeSavedHoldsAllTheSame(t *testing.T) {
	store := &memoryStore{}
	l, err := identity.OpenRevocations(t.Context(), store, nil)
	if err != nil {
		t.Fatal(err)
	}
	store.err = errors.New("disk full")
	told := 0
	l.Subscribe(func(identity.Revocation) { told++ })
	err = l.Revoke(t.Context(), identity.Revocation{ID: "r1", Agent: "a", By: "ops", At: time.Now()})
	if !errors.Is(err, store.err) || !strings.Contains(err.Error(), "this gateway only") {
		t.Errorf("error %v", err)
	}
	if _, yes := l.Revoked(&gate.Principal{Agent: "a"}); !yes || told != 1 {
		t.Error("not in force")
	}
	if _, err := identity.OpenRevocations(t.Context(), store, nil); err == nil {
		t.Error("started without the revocations")
	}
}

func TestARevocationThatSaysTooLittleIsRefused(t *testing.T) {
	now := time.Now()
	for name, r := range map[string]identity.Revocation{
		"nobody":                   {By: "ops", At: now},
		"two at once":              {Agent: "a", Token: "t", By: "ops", At: now},
		"a subject without issuer": {Subject: "a", By: "ops", At: now},
		"no author":                {Agent: "a", At: now},
		"no time":                  {Agent: "a", By: "ops"},
		"a lifted session":         {Session: "s", Lift: true, By: "ops", At: now},
	} {
		l, err := identity.OpenRevocations(t.Context(), &memoryStore{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Apply(r); err == nil {
			t.Errorf("%s: accepted", name)
		}
		if r.Match(&gate.SessionInfo{Principal: &gate.Principal{}}) {
			t.Errorf("%s: matches", name)
		}
	}
}

// microStore keeps times as the state does: in microseconds.
type microStore struct{ memoryStore }

func (s *microStore) Save(ctx context.Context, r identity.Revocation) error {
	r.At = time.UnixMicro(r.At.UnixMicro())
	return s.memoryStore.Save(ctx, r)
}

func TestARevocationOfTheSameMicrosecondAsALiftSurvivesARestart(t *testing.T) {
	store := &microStore{}
	now := time.Date(2026, 11, 22, 12, 0, 0, 100, time.UTC)
	l, _ := identity.OpenRevocations(t.Context(), store, func() time.Time { return now })
	for _, r := range []identity.Revocation{
		{Agent: "a", By: "ops", At: now, Lift: true},
		{Agent: "a", By: "ops", At: now.Add(200 * time.Nanosecond)},
	} {
		if err := l.Revoke(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	_, live := l.Revoked(&gate.Principal{Agent: "a"})
	again, _ := identity.OpenRevocations(t.Context(), store, nil)
	_, restarted := again.Revoked(&gate.Principal{Agent: "a"})
	if !live || !restarted {
		t.Errorf("revoked: live %t, after a restart %t", live, restarted)
	}
}

func TestARevocationHoldsThoughTheClockWasSetBackBehindALift(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	l, _ := identity.OpenRevocations(t.Context(), &memoryStore{}, func() time.Time { return now })
	for _, r := range []identity.Revocation{
		{Agent: "a", By: "ops", At: now},
		{Agent: "a", By: "ops", At: now.Add(time.Second), Lift: true},
		{Agent: "a", By: "ops", At: now.Add(-time.Minute)},
	} {
		if err := l.Revoke(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	if _, yes := l.Revoked(&gate.Principal{Agent: "a"}); !yes {
		t.Error("Revoke said nothing was wrong, and the agent is let in")
	}
}
