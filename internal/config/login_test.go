package config

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport-gateway/sallyport/internal/gate"
)

const hostDocs = `kind: Target
name: web1
protocol: ssh
address: web1.internal:22
credential: web1
logins: {backup: web1-backup, deploy: web1-deploy}
host_keys: [ssh-ed25519 AAAA]
host_cas: [ssh-ed25519 BBBB]
labels: {env: prod}
limits: {idle: 10m, session: 1h}
---
kind: Credential
name: web1
username: agent
authority: ssh
---
kind: Credential
name: web1-backup
username: backup
key: {from: file:backup.key}
---
kind: Credential
name: web1-deploy
username: deploy
password: {from: env:DEPLOY}
---
kind: Labels
target: web1
paths: {secret: [/srv/keys, /etc/shadow]}
detect: [secrets, card, secrets]
---
kind: Labels
name: more
target: web1
paths: {secret: [/etc/shadow], keys: [~/.ssh]}
detect: [card]
`

func TestEachAccountOfAHostIsATargetOfItsOwn(t *testing.T) {
	s, _ := newTestStore(t)
	apply(t, s, hostDocs)
	for handle, c := range map[string]struct{ login, credential string }{
		"web1": {"", "web1"}, "backup+web1": {"backup", "web1-backup"}, "deploy+web1": {"deploy", "web1-deploy"},
	} {
		got, ok := s.Target(handle)
		if !ok {
			t.Fatalf("there is no target %s", handle)
		}
		want := &gate.Target{Name: "web1", Login: c.login, Protocol: "ssh", Address: "web1.internal:22", Credential: c.credential,
			Keys: []string{"ssh-ed25519 AAAA"}, Authorities: []string{"ssh-ed25519 BBBB"}, Labels: map[string]string{"env": "prod"},
			Marks:  map[string][]string{"secret": {"/etc/shadow", "/srv/keys"}, "keys": {"~/.ssh"}},
			Detect: []string{"card", "secrets"}, Functions: map[string]gate.Effects{},
			Limits: gate.Limits{Idle: 10 * time.Minute, Session: time.Hour}, Generation: got.Generation}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: %s", handle, d)
		}
		if got.Handle() != handle {
			t.Errorf("%s is called %s", handle, got.Handle())
		}
	}
	for _, none := range []string{"root+web1", "+web1", "web1+backup", "backup+", "backup+web1+web1", "Backup+web1"} {
		if _, ok := s.Target(none); ok {
			t.Errorf("there is a target %s", none)
		}
	}
}

func TestTheGenerationOfAnAccountFollowsItsOwnCredentialAndTheHost(t *testing.T) {
	s, _ := newTestStore(t)
	apply(t, s, hostDocs)
	handles := []string{"web1", "backup+web1", "deploy+web1"}
	generations := func() (all []string) {
		for _, h := range handles {
			g, _ := s.Target(h)
			all = append(all, g.Generation)
		}
		return all
	}
	before := generations()
	if len(slices.Compact(slices.Sorted(slices.Values(before)))) != len(handles) {
		t.Fatalf("generations are shared: %q", before)
	}
	for _, step := range []struct {
		what, docs string
		changed    []bool
	}{
		{"one account's credential", "kind: Credential\nname: web1-backup\nusername: other\nkey: {from: file:backup.key}\n", []bool{false, true, false}},
		{"a label", "kind: Labels\nname: more\ntarget: web1\npaths: {secret: [/root]}\n", []bool{true, true, true}},
		{"a detector", "kind: Labels\ntarget: web1\ndetect: [email]\n", []bool{true, true, true}},
		{"the host's key", strings.Replace(hostDocs[:strings.Index(hostDocs, "---")], "AAAA", "CCCC", 1), []bool{true, true, true}},
	} {
		apply(t, s, step.docs)
		after := generations()
		for i, h := range handles {
			if (after[i] != before[i]) != step.changed[i] {
				t.Errorf("%s: the generation of %s has changed is %t, want %t", step.what, h, after[i] != before[i], step.changed[i])
			}
		}
		before = after
	}
	apply(t, s, "kind: Target\nname: web1\nprotocol: ssh\naddress: web1.internal:22\ncredential: web1\n")
	if _, ok := s.Target("backup+web1"); ok {
		t.Error("an account that the document no longer offers is still there")
	}
}

func TestAnAccountNeedsACredentialThatThereIs(t *testing.T) {
	s, _ := newTestStore(t)
	_, err := s.Plan("test.yaml", []byte(strings.Replace(hostDocs, "deploy: web1-deploy", "deploy: web1-deplyo", 1)))
	want := "test.yaml:6:39: there is no credential \"web1-deplyo\"\n    6 | logins: {backup: web1-backup, deploy: web1-deplyo}\n" +
		"      |                                       ^\n      = did you mean \"web1-deploy\"?"
	if err == nil || err.Error() != want {
		t.Errorf("%v", err)
	}
}
