package api

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"
)

func FuzzStrictJSONTakesNothingThatEncodingJSONRefuses(f *testing.F) {
	for _, s := range []string{`{"agent":"a","reason":"r"}`, `{"a":1,"A":2}`, `[[[]]]`, `"\ud800"`, `{"a":{"b":[1,2,{"c":null}]}}`, `{} {}`, `{"ſ":1,"s":2}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var v any
		if err := strictJSON(data, &v); err == nil && !json.Valid(data) {
			t.Errorf("%q was taken", data)
		}
	})
}

func TestMembersThatFoldToTheSameNameAreRefused(t *testing.T) {
	// encoding/json matches names by simple Unicode folding: ſ (U+017F) is an s,
	// K (U+212A, the Kelvin sign) a k.
	for _, s := range []string{`{"session":"a","Session":"b"}`, `{"session":"a","ſession":"b"}`, `{"token":1,"to\u212aen":2}`} {
		var v any
		if err := strictJSON([]byte(s), &v); err == nil {
			t.Errorf("%s was taken", s)
		}
	}
}

func TestRemotesAreCountedInBoundedMemory(t *testing.T) {
	now := time.Unix(0, 0)
	f := newFailures(func() time.Time { return now })
	for i := range 2 * maxRemotes {
		f.failed(fmt.Sprintf("10.%d.%d.%d:1", i>>16, i>>8&255, i&255))
	}
	if len(f.counts) > maxRemotes+1 {
		t.Errorf("%d remotes are counted", len(f.counts))
	}
	for range maxFailures {
		f.failed("[2001:db8:1:2:3::4]:1")
	}
	if !f.slow("[2001:db8:1:2:ffff::1]:9") {
		t.Error("an address of the same network is counted apart")
	}
	now = now.Add(failureWindow)
	if f.slow("[2001:db8:1:2:ffff::1]:9") {
		t.Error("a failure counts for longer than the window")
	}
	f.failed("192.0.2.1:1")
	if len(f.counts) > 1 {
		t.Errorf("%d old counters are kept", len(f.counts))
	}
}
