package record

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/sallyport-gateway/sallyport/internal/gate"
)

func session(id string) *gate.SessionInfo {
	now := time.Now()
	return &gate.SessionInfo{
		ID: id, Protocol: "postgres", Remote: "127.0.0.1:5000", User: "agent", Application: "psql",
		Started: now, Deadline: now.Add(time.Hour),
		Principal: &gate.Principal{
			Party: gate.Party{Issuer: "https://idp.example", Subject: "alice"}, Kind: gate.KindAgent,
			Actor: gate.Party{Issuer: "https://idp.example", Subject: "bot"}, ClientID: "reporting", Agent: "reporting-agent",
			Attributes: map[string]gate.Attribute{"purpose": {Value: "reporting", Trust: gate.TrustProvider}},
			TokenID:    "jti-1", Expiry: now.Add(time.Hour),
		},
		Target: &gate.Target{Name: "orders", Protocol: "postgres", Address: "db:5432", Database: "orders",
			Labels: map[string]string{"env": "prod"}, Credential: "orders-agent"},
	}
}

func newRecorder(t testing.TB, dir string) *Recorder {
	t.Helper()
	r, err := New(Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}

func start(t testing.TB, r *Recorder, s *gate.SessionInfo) gate.Recording {
	t.Helper()
	g, err := r.Start(s)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// readAll returns every event to the end, with neighbouring data of one command
// joined, and the reader's summary.
func readAll(t testing.TB, dir, id string) ([]gate.Event, Summary) {
	t.Helper()
	r, err := Open(dir, id)
	must(t, err)
	defer r.Close()
	var all []gate.Event
	for {
		e, err := r.Next()
		if errors.Is(err, io.EOF) {
			return all, r.Summary()
		}
		must(t, err)
		if e.Note != "" || e.Cut {
			t.Fatalf("event %d: note %q, cut %v", e.Seq, e.Note, e.Cut)
		}
		all = join(all, e.Event)
	}
}

func join(all []gate.Event, e gate.Event) []gate.Event {
	if e.Kind == 0 {
		return all
	}
	if e.Data != nil {
		e.Data = append([]byte(nil), e.Data...)
	}
	if n := len(all); n > 0 && len(e.Data) > 0 && all[n-1].Kind == e.Kind && all[n-1].Command == e.Command {
		all[n-1].Data = append(all[n-1].Data, e.Data...)
		return all
	}
	return append(all, e)
}

// randomEvent makes any event that the gate could give.
func randomEvent(r *rand.Rand, at time.Time, command uint64) gate.Event {
	e := gate.Event{Kind: gate.EventKind(1 + r.IntN(6)), Time: at, Command: command}
	text := func(limit int) string { return strings.Repeat("é\x00\x1b", r.IntN(limit)) }
	size := []int{10, 100, 3000, 40000}[r.IntN(4)]
	switch e.Kind {
	case gate.EventCommand:
		e.Text = text(size)
		for range r.IntN(4) {
			e.Params = append(e.Params, text(size))
		}
		e.Phase, e.Effects = gate.Phase(r.IntN(2)), gate.Effects(r.IntN(512))
		for i := range r.IntN(3) {
			e.Labels = append(e.Labels, fmt.Sprint("label", i))
		}
		e.Status = []gate.Status{"", gate.StatusBlocked, gate.StatusApprovalRequired}[r.IntN(3)]
		if r.IntN(5) > 0 {
			e.Verdict = &gate.Verdict{Decision: gate.Decision(r.IntN(3)), Rule: fmt.Sprint("p/", r.IntN(40)), Reason: text(20), Stable: r.IntN(2) == 0}
			if r.IntN(2) == 0 {
				e.Verdict.Masks = gate.Masks{"pii": "redact", "card": "last4"}
				e.Verdict.Approval = gate.Approval{Groups: []string{"dba"}, Count: r.IntN(3), Within: time.Minute}
			}
		}
	case gate.EventInput, gate.EventAnswer:
		e.Data = []byte(text(size) + "x")
	case gate.EventEffect:
		e.Text, e.Rows = text(10), r.Int64()-r.Int64()
	default:
		e.Text = text(10)
	}
	return e
}

func TestEventsReadEqualEventsWritten(t *testing.T) {
	dir := t.TempDir()
	rec := newRecorder(t, dir)
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 1))
		s := session(fmt.Sprint("ses_", seed))
		g := start(t, rec, s)
		var want []gate.Event
		for i := range 1 + r.IntN(120) {
			at := s.Started.Add(time.Duration(i) * 7 * time.Millisecond)
			e := randomEvent(r, at, uint64(r.IntN(30)))
			must(t, g.Append(&e))
			want = join(want, e)
			if r.IntN(3) > 0 {
				must(t, g.Commit())
			}
			if r.IntN(40) == 0 {
				rec.sweep()
			}
		}
		if r.IntN(2) == 0 {
			must(t, g.Commit())
			check(t, dir, s.ID, want)
		}
		must(t, g.Close())
		check(t, dir, s.ID, want)
	}
}

func check(t *testing.T, dir, id string, want []gate.Event) {
	t.Helper()
	got, _ := readAll(t, dir, id)
	if len(got) != len(want) {
		t.Fatalf("%s: %d events, want %d", id, len(got), len(want))
	}
	for i := range got {
		if d := want[i].Time.Sub(got[i].Time); d < 0 || d > time.Millisecond {
			t.Fatalf("%s: event %d at %v, want %v", id, i, got[i].Time, want[i].Time)
		}
		got[i].Time = want[i].Time
		if !reflect.DeepEqual(want[i], got[i]) && !cmp.Equal(want[i], got[i], cmpopts.EquateEmpty()) {
			t.Fatalf("%s: event %d: %.2000s", id, i, cmp.Diff(want[i], got[i], cmpopts.EquateEmpty()))
		}
	}
}

func command(n uint64, text string) *gate.Event {
	return &gate.Event{Kind: gate.EventCommand, Time: time.Now(), Command: n, Text: text, Effects: gate.EffectRead,
		Verdict: &gate.Verdict{Decision: gate.Allow, Rule: "prod/reads", Masks: gate.Masks{"pii": "redact", "card": "last4"}}}
}

func TestRepeatedDecisionCostsOneByte(t *testing.T) {
	dir := t.TempDir()
	g := start(t, newRecorder(t, dir), session("ses_a"))
	size := func() int64 {
		must(t, g.Commit())
		i, err := os.Stat(filepath.Join(dir, "ses_a.tail"))
		must(t, err)
		return i.Size()
	}
	must(t, g.Append(command(1, "SELECT 1")))
	before := size()
	must(t, g.Append(command(2, "SELECT 1")))
	if n := size() - before; n > 30 {
		t.Errorf("a repeated decision makes a frame of %d bytes", n)
	}
}

func TestSessionIDsThatCouldLeaveTheFolderAreRefused(t *testing.T) {
	r := newRecorder(t, t.TempDir())
	for _, id := range []string{"", "..", "a/b", "../x", "ses.rec", "SES", "a b", "a\x00", "é", strings.Repeat("a", 65), "-a"} {
		if _, err := r.Start(session(id)); err == nil {
			t.Errorf("recording with id %q started", id)
		}
		if _, err := Open(r.Dir(), id); err == nil {
			t.Errorf("recording with id %q opened", id)
		}
		if _, err := Summarise(r.Dir(), id); err == nil {
			t.Errorf("recording with id %q summed up", id)
		}
	}
}

func TestIDOfAnOlderSessionIsRefused(t *testing.T) {
	r := newRecorder(t, t.TempDir())
	g := start(t, r, session("ses_a"))
	if _, err := r.Start(session("ses_a")); !errors.Is(err, os.ErrExist) {
		t.Errorf("live id: %v", err)
	}
	must(t, g.Close())
	if _, err := r.Start(session("ses_a")); !errors.Is(err, os.ErrExist) {
		t.Errorf("old id: %v", err)
	}
}

func TestFilesAreForTheOwnerAlone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "recordings")
	g := start(t, newRecorder(t, dir), session("ses_a"))
	must(t, g.Append(&gate.Event{Kind: gate.EventAnswer, Command: 1, Data: rowData(100 << 10)}))
	must(t, g.Commit())
	for name, want := range map[string]os.FileMode{"": 0o700, "ses_a.tail": 0o600, "ses_a.rec": 0o600, ".lock": 0o600} {
		i, err := os.Stat(filepath.Join(dir, name))
		must(t, err)
		if i.Mode().Perm() != want {
			t.Errorf("%q has mode %o, want %o", name, i.Mode().Perm(), want)
		}
	}
}

func TestFolderBelongsToOneRecorder(t *testing.T) {
	r := newRecorder(t, t.TempDir())
	if _, err := New(Config{Dir: r.Dir()}); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("second recorder: %v", err)
	}
	if _, err := Recover(r.Dir()); err == nil {
		t.Error("a folder in use was recovered")
	}
}

func TestLowSpaceRefusesANewRecording(t *testing.T) {
	r, err := New(Config{Dir: t.TempDir(), MinFree: 1 << 60})
	must(t, err)
	defer r.Close()
	if _, err := r.Start(session("ses_a")); err == nil || !strings.Contains(err.Error(), "MiB free") {
		t.Errorf("start: %v", err)
	}
}

func TestClosedRecordingTakesNothing(t *testing.T) {
	r := newRecorder(t, t.TempDir())
	g := start(t, r, session("ses_a"))
	must(t, g.Close())
	must(t, g.Close())
	if err := g.Append(command(1, "x")); !errors.Is(err, ErrClosed) {
		t.Errorf("append: %v", err)
	}
	if err := g.Commit(); !errors.Is(err, ErrClosed) {
		t.Errorf("commit: %v", err)
	}
	must(t, r.Close())
	if _, err := r.Start(session("ses_b")); !errors.Is(err, ErrClosed) {
		t.Errorf("start: %v", err)
	}
}

func TestUnknownEventKindFailsTheRecording(t *testing.T) {
	g := start(t, newRecorder(t, t.TempDir()), session("ses_a"))
	if err := g.Append(&gate.Event{Kind: 99}); err == nil {
		t.Error("kind 99 was taken")
	}
	if err := g.Append(command(1, "x")); err == nil {
		t.Error("an event was taken after an error")
	}
}

func TestWaitingEffectIsWrittenByTheBackground(t *testing.T) {
	dir := t.TempDir()
	r := newRecorder(t, dir)
	g := start(t, r, session("ses_a"))
	must(t, g.Append(command(1, "x")))
	must(t, g.Commit())
	must(t, g.Append(&gate.Event{Kind: gate.EventEffect, Command: 1, Text: "SELECT 1", Rows: 1}))
	r.sweep()
	events, _ := readAll(t, dir, "ses_a")
	if len(events) != 2 || events[1].Text != "SELECT 1" {
		t.Errorf("events: %v", events)
	}
	if g.(*Recording).buf != nil {
		t.Error("the idle recording keeps a buffer")
	}
}

// crashEvent is the n-th event of the killed writer: some are large.
func crashEvent(n int) *gate.Event {
	r := rand.New(rand.NewPCG(uint64(n), 9))
	e := command(uint64(n), fmt.Sprint("SELECT ", n))
	switch n % 7 {
	case 3:
		e = &gate.Event{Kind: gate.EventAnswer, Command: uint64(n), Data: []byte(strings.Repeat(fmt.Sprint(n, " "), r.IntN(9000)+1))}
	case 5:
		e = &gate.Event{Kind: gate.EventEffect, Command: uint64(n - 1), Text: "SELECT 1"}
	}
	return e
}
