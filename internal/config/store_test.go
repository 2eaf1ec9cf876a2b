package config

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport-gateway/sallyport/internal/gate"
)

const ordersDocs = `# our database
kind: Target
name: orders
protocol: postgres
address: db.internal:5432
labels: {env: prod}
credential: orders-agent
limits: {rows: 10000, bytes: 64MiB, statement: 30s, session: 1h}
---
kind: Credential
name: orders-agent
username: sallyport
password: {from: env:ORDERS}
---
kind: Labels
target: orders
columns:
  pii: [public.customers.email, public.customers.ssn]
`

// journal remembers changes and can refuse them.
type journal struct {
	changes []*Change
	err     error
}

func (j *journal) Record(_ context.Context, c *Change) error {
	if j.err == nil {
		j.changes = append(j.changes, c)
	}
	return j.err
}

func newTestStore(t *testing.T, hooks ...Hook) (*Store, *journal) {
	t.Helper()
	j := &journal{}
	return NewStore(Options{Folder: filepath.Join(t.TempDir(), "documents"), Kinds: testKinds(), Hooks: hooks, Journal: j,
		Now: func() time.Time { return time.Unix(1e9, 0) }}), j
}

func apply(t *testing.T, s *Store, text string) *Change {
	t.Helper()
	c, err := s.Apply(t.Context(), "test.yaml", []byte(text), "alice")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// folder returns what is in a folder, hidden files too.
func folder(t *testing.T, path string) map[string]string {
	t.Helper()
	entries, _ := os.ReadDir(path)
	all := map[string]string{}
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(path, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		all[e.Name()] = string(b)
	}
	return all
}

func TestATargetIsBuiltFromItsDocuments(t *testing.T) {
	s, _ := newTestStore(t)
	apply(t, s, ordersDocs+`---
kind: Labels
name: orders-more
target: orders
columns: {pii: [public.a.b], card: [public.payments.card_number]}
---
kind: Functions
target: orders
functions: {"public.total(bigint)": read}
`)
	got, ok := s.Target("orders")
	if !ok {
		t.Fatal("no target")
	}
	want := &gate.Target{Name: "orders", Protocol: "postgres", Address: "db.internal:5432", Labels: map[string]string{"env": "prod"},
		Marks: map[string][]string{"pii": {"public.a.b", "public.customers.email", "public.customers.ssn"},
			"card": {"public.payments.card_number"}},
		Functions: map[string]gate.Effects{"public.total(bigint)": gate.EffectRead}, Credential: "orders-agent",
		Limits:     gate.Limits{Rows: 10000, Bytes: 64 << 20, Statement: 30 * time.Second, Session: time.Hour},
		Generation: got.Generation}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if _, ok := s.Target("Orders"); ok {
		t.Error("names are matched without regard to case")
	}
}

func TestTheGenerationChangesWithEveryDocumentThatShapesTheTarget(t *testing.T) {
	s, _ := newTestStore(t)
	apply(t, s, ordersDocs)
	seen := map[string]bool{}
	note := func(what string, fresh bool) {
		target, _ := s.Target("orders")
		if seen[target.Generation] == fresh {
			t.Errorf("%s: generation new is %t", what, !fresh)
		}
		seen[target.Generation] = true
	}
	note("start", true)
	apply(t, s, "kind: Labels\ntarget: orders\ncolumns: {pii: [public.a.b]}\n")
	note("labels", true)
	apply(t, s, "kind: Functions\ntarget: orders\nfunctions: {\"f()\": write}\n")
	note("functions", true)
	apply(t, s, "kind: Credential\nname: orders-agent\nusername: other\npassword: {from: env:ORDERS}\n")
	note("credential", true)
	apply(t, s, "kind: Credential\nname: another\nusername: other\nsealed: another\n")
	note("a credential of nobody", false)
}

func TestASetIsInForceWhenItIsSaidToBe(t *testing.T) {
	var s *Store
	said := 0
	s = NewStore(Options{Folder: filepath.Join(t.TempDir(), "documents"), Kinds: testKinds(), Applied: func(set *Set) {
		if said++; s.Set() != set {
			t.Error("another set is in force")
		}
	}})
	if err := s.Load(t.Context()); err != nil || said != 1 {
		t.Errorf("%d times, %v", said, err)
	}
}

func TestABadDocumentChangesNothing(t *testing.T) {
	refuse := errors.New("refused by another package")
	var refusing bool
	committed := 0
	s, j := newTestStore(t, func(*Set) (func(), []error) {
		if refusing {
			return nil, []error{refuse}
		}
		return func() { committed++ }, nil
	})
	apply(t, s, ordersDocs)
	before, files, set := folder(t, s.o.Folder), len(j.changes), s.Set()
	good := "kind: Policy\nname: fine\non: x\n---\n"
	for name, text := range map[string]string{
		"syntax":       good + "kind: [",
		"unknown kind": good + "kind: Nothing\n",
		"reference":    good + "kind: Target\nname: x\nprotocol: postgres\naddress: a:1\ncredential: nobody\n",
		"twice":        good + good,
		"empty":        "# nothing\n---\n",
		"not UTF-8":    good + "kind: Policy\nname: \xff\n",
		"hook":         good,
		"journal":      good,
	} {
		t.Run(name, func(t *testing.T) {
			refusing, j.err = name == "hook", nil
			if name == "journal" {
				j.err = errors.New("disk full")
			}
			if _, err := s.Apply(t.Context(), "test.yaml", []byte(text), "alice"); err == nil {
				t.Error("accepted")
			}
			if d := cmp.Diff(before, folder(t, s.o.Folder)); d != "" {
				t.Error(d)
			}
			if s.Set() != set || len(j.changes) != files || committed != 1 {
				t.Error("something changed")
			}
		})
	}
}

func TestApplyReplacesADocumentInItsFileAndKeepsTheOthers(t *testing.T) {
	s, j := newTestStore(t)
	if err := os.MkdirAll(s.o.Folder, 0o755); err != nil {
		t.Fatal(err)
	}
	own := "# kept\n---\n" + ordersDocs
	if err := os.WriteFile(filepath.Join(s.o.Folder, "mine.yaml"), []byte(own), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := s.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	c := apply(t, s, "kind: Credential\nname: orders-agent\nusername: other\npassword: {from: env:ORDERS}\n---\nkind: Policy\nname: p\non: x\n")
	want := map[string]string{
		"mine.yaml":     strings.Replace(own, "username: sallyport", "username: other", 1),
		"policy-p.yaml": "kind: Policy\nname: p\non: x\n",
	}
	if d := cmp.Diff(want, folder(t, s.o.Folder)); d != "" {
		t.Error(d)
	}
	if c.Who != "alice" || len(c.Documents) != 2 || c.Documents[0].Diff != "-username: sallyport\n+username: other\n" ||
		c.Documents[1].Action != ActionAdded {
		t.Errorf("%+v", c)
	}
	if j.changes[len(j.changes)-1] != c {
		t.Error("the change was not recorded")
	}
	if c := apply(t, s, "kind: Policy\nname: p\non: x\n"); len(c.Documents) != 0 {
		t.Errorf("the same document again is a change: %+v", c)
	}
	apply(t, s, "kind: Policy\nname: q\non: x\n---\n\n\nkind: Policy\nname: p\non: y\n")
	if d, _ := s.Set().Get("Policy", "p"); d.File != filepath.Join(s.o.Folder, "policy-p.yaml") || d.Line != 1 {
		t.Errorf("what was applied is in %s, line %d", d.File, d.Line)
	}
	if c, err := s.PlanRemove("Policy", "p"); err != nil || len(c.Documents) != 1 || c.Documents[0].Action != ActionRemoved {
		t.Errorf("%+v, %v", c, err)
	}
	if _, ok := s.Set().Get("Policy", "p"); !ok || folder(t, s.o.Folder)["policy-p.yaml"] == "" {
		t.Error("a plan has removed the document")
	}
	if _, err := s.Remove(t.Context(), "Policy", "p", "alice"); err != nil {
		t.Fatal(err)
	}
	if _, ok := s.Set().Get("Policy", "p"); ok || folder(t, s.o.Folder)["policy-p.yaml"] != "" {
		t.Error("the document is still there")
	}
	if _, err := s.Remove(t.Context(), "Policy", "p", "alice"); !errors.Is(err, ErrNoDocument) {
		t.Errorf("removed twice: %v", err)
	}
	if _, err := s.Remove(t.Context(), "Credential", "orders-agent", "alice"); err == nil {
		t.Error("a credential that a target needs was removed")
	}
}

func TestErrorsOfApplyNameThePlaceInWhatWasApplied(t *testing.T) {
	s, _ := newTestStore(t)
	apply(t, s, ordersDocs)
	_, err := s.Apply(t.Context(), "change.yaml", []byte("\n\n---\n\nkind: Labels\ntarget: ordres\ncolumns: {pii: [a.b.c]}\n"), "alice")
	var errs Errors
	if !errors.As(err, &errs) || len(errs) != 1 || errs[0].File != "change.yaml" || errs[0].Line != 6 || errs[0].Hint != `did you mean "orders"?` {
		t.Errorf("%v", err)
	}
}

func TestAChangeThatReachedItsCommitPointIsFinishedAfterACrash(t *testing.T) {
	s, _ := newTestStore(t)
	apply(t, s, ordersDocs)
	pending := `{"target-orders.yaml":"","policy-p.yaml":"kind: Policy\nname: p\non: x\n","labels-orders.yaml":""}`
	if err := os.WriteFile(filepath.Join(s.o.Folder, pendingFile), []byte(pending), 0o600); err != nil {
		t.Fatal(err)
	}
	again := NewStore(s.o)
	if err := again.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, ok := again.Set().Get("Policy", "p"); !ok || len(again.Set().Targets()) != 0 {
		t.Error("the change was not finished")
	}
	if _, err := os.Stat(filepath.Join(s.o.Folder, pendingFile)); err == nil {
		t.Error("the commit point is still there")
	}
}

func TestAPendingFileCannotWriteOutsideTheFolder(t *testing.T) {
	for _, name := range []string{"../evil.yaml", "/tmp/evil.yaml", ".hidden", "a/b.yaml"} {
		s, _ := newTestStore(t)
		apply(t, s, ordersDocs)
		if err := os.WriteFile(filepath.Join(s.o.Folder, pendingFile), []byte(`{"`+name+`":"x: y"}`), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := s.Load(t.Context()); err == nil {
			t.Errorf("%s accepted", name)
		}
	}
}

func TestAReloadWithAMistakeKeepsTheOldSet(t *testing.T) {
	s, j := newTestStore(t)
	apply(t, s, ordersDocs)
	old := s.Set()
	bad := filepath.Join(s.o.Folder, "bad.yaml")
	if err := os.WriteFile(bad, []byte("kind: Polcy\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	s.Poll(t.Context())
	if s.Set() != old {
		t.Fatal("the set changed")
	}
	if err := os.WriteFile(bad, []byte("kind: Policy\nname: now-good\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	s.Poll(t.Context())
	if _, ok := s.Set().Get("Policy", "now-good"); !ok {
		t.Fatal("the corrected file was not loaded")
	}
	last := j.changes[len(j.changes)-1]
	if last.Source != SourceReload || len(last.Documents) != 1 || last.Documents[0].Name != "now-good" {
		t.Errorf("%+v", last)
	}
	before := s.Set()
	s.Poll(t.Context())
	if s.Set() != before {
		t.Error("an unchanged folder was loaded again")
	}
}

func TestReadersSeeWholeSetsWhileDocumentsChange(t *testing.T) {
	s, _ := newTestStore(t)
	apply(t, s, ordersDocs)
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for ctx.Err() == nil {
				set := s.Set()
				_, a := set.Get("Policy", "a")
				_, b := set.Get("Policy", "b")
				if a != b {
					t.Error("half a change is visible")
				}
				if _, ok := s.Target("orders"); !ok {
					t.Error("the target is gone")
				}
			}
		})
	}
	for i := range 20 {
		on := strings.Repeat("x", i+1)
		apply(t, s, "kind: Policy\nname: a\non: "+on+"\n---\nkind: Policy\nname: b\non: "+on+"\n")
	}
	stop()
	wg.Wait()
}

func TestOnlyPeopleWithARoleMayDoWhatItSays(t *testing.T) {
	s, _ := newTestStore(t)
	apply(t, s, `kind: Role
name: dba
can: [approvals, sessions]
issuer: https://people
groups: [dba]
subjects: [alice]
---
kind: Role
name: auditors
can: [sessions]
groups: [audit]
`)
	person := func(issuer, subject string, groups ...string) *gate.Principal {
		return &gate.Principal{Party: gate.Party{Issuer: issuer, Subject: subject}, Kind: gate.KindPerson, Groups: groups}
	}
	agent := person("https://people", "alice", "dba")
	agent.Kind = gate.KindAgent
	unknown := person("https://people", "alice", "dba")
	unknown.Kind = gate.KindUnknown
	for i, c := range []struct {
		p    *gate.Principal
		can  string
		want bool
	}{
		{person("https://people", "alice"), "approvals", true},
		{person("https://people", "bob", "dba"), "approvals", true},
		{person("https://people", "bob", "dba"), "documents", false},
		{person("https://other", "alice", "dba"), "approvals", false},
		{person("https://other", "eve", "audit"), "sessions", true},
		{person("https://people", "bob"), "approvals", false},
		{person("https://people", "alice"), "", false},
		{agent, "approvals", false}, {unknown, "approvals", false}, {nil, "approvals", false},
	} {
		if got := s.Set().May(c.p, c.can); got != c.want {
			t.Errorf("case %d: %t", i, got)
		}
	}
}

func TestAChangeOfTheFolderThatCouldNotBeRecordedIsTriedAgainAndToldOnce(t *testing.T) {
	var log bytes.Buffer
	s, j := newTestStore(t)
	s.o.Log = slog.New(slog.NewTextHandler(&log, nil))
	apply(t, s, ordersDocs)
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(s.o.Folder, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	told := func() int { return strings.Count(log.String(), "documents not loaded") }
	write("more.yaml", "kind: Policy\nname: more\n")
	j.err = errors.New("busy")
	for range 3 {
		s.Poll(t.Context())
	}
	if n := told(); n != 1 {
		t.Errorf("told %d times", n)
	}
	j.err = nil
	s.Poll(t.Context())
	if _, ok := s.Set().Get("Policy", "more"); !ok {
		t.Error("the change never comes into force")
	}
	write("bad.yaml", "kind: Polcy\n")
	for range 3 {
		s.Poll(t.Context())
	}
	if n := told(); n != 2 {
		t.Errorf("a mistake was told %d times", n-1)
	}
}
