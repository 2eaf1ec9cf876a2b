package main

import (
	"testing"
	"time"

	"github.com/sallyport-gateway/sallyport/internal/gate"
	"github.com/sallyport-gateway/sallyport/internal/identity"
	"github.com/sallyport-gateway/sallyport/internal/store"
)

// TestARevocationAfterALiftLastsAsLongAsItSaysOverARestart: what was lifted lends nothing to
// what is revoked later, whether the gateway was restarted in between or not.
func TestARevocationAfterALiftLastsAsLongAsItSaysOverARestart(t *testing.T) {
	for _, between := range []bool{false, true} {
		location, now := "sqlite:"+t.TempDir()+"/state.db", time.Now()
		clock := func() time.Time { return now }
		who := &gate.Principal{Party: gate.Party{Issuer: "https://idp.test", Subject: "a"}, Agent: "reporting-agent"}
		var state *store.State
		open := func() *identity.Revocations {
			t.Helper()
			var err error
			if state, err = store.Open(t.Context(), location); err != nil {
				t.Fatal(err)
			}
			r, err := identity.OpenRevocations(t.Context(), revocationStore{state.Revocations}, clock)
			if err != nil {
				t.Fatal(err)
			}
			return r
		}
		r := open()
		restart := func() {
			t.Helper()
			if err := state.Close(); err != nil {
				t.Fatal(err)
			}
			r = open()
		}
		revoke := func(v identity.Revocation) {
			t.Helper()
			v.Agent, v.By, v.At = "reporting-agent", "ada", now
			if err := r.Revoke(t.Context(), v); err != nil {
				t.Fatal(err)
			}
			now = now.Add(time.Second)
			if between {
				restart()
			}
		}
		is := func(want bool, when string) {
			t.Helper()
			if _, yes := r.Revoked(who); yes != want {
				t.Errorf("restarts between %t: revoked %t %s", between, yes, when)
			}
		}
		revoke(identity.Revocation{})
		is(true, "for good")
		revoke(identity.Revocation{Lift: true})
		is(false, "after the lift")
		revoke(identity.Revocation{Until: now.Add(time.Hour)})
		is(true, "for an hour")
		restart()
		is(true, "for an hour, after a restart")
		now = now.Add(2 * time.Hour)
		is(false, "after two hours")
		restart()
		is(false, "after two hours and a restart")
		if err := state.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
