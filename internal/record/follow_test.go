package record

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport-gateway/sallyport/internal/gate"
)

// pieces is a renderer whose answers are parts until a line ends.
type pieces struct{}

func (pieces) Render(_ uint64, b []byte, emit func(string, [][]byte)) {
	if line, ok := bytes.CutSuffix(b, []byte("\n")); ok {
		emit("text", [][]byte{line})
		return
	}
	emit("part", [][]byte{b})
}

// watched collects what a follower was shown.
type watched struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (w *watched) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.Write(b)
}

func (w *watched) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.String()
}

// TestAFollowerSeesEachMomentAndTheEnd follows a session while it is written: each
// step is written when the one before has been shown.
func TestAFollowerSeesEachMomentAndTheEnd(t *testing.T) {
	dir := t.TempDir()
	rec := newRecorder(t, dir)
	s := session("ses_a")
	g := start(t, rec, s)
	r, err := Open(dir, "ses_a")
	must(t, err)
	defer r.Close()
	out := &watched{}
	looked := make(chan struct{}, 1)
	sleep := func(ctx context.Context, _ time.Duration) error {
		select {
		case looked <- struct{}{}:
		case <-ctx.Done():
		}
		return ctx.Err()
	}
	done := make(chan error, 1)
	go func() {
		done <- Replay(t.Context(), out, r, ReplayOptions{Follow: true, Renderer: pieces{}, Sleep: sleep})
	}()
	shown := func(text string) {
		t.Helper()
		for i := 0; !strings.Contains(out.String(), text); i++ {
			if i == 1000 {
				t.Fatalf("%q is not shown:\n%s", text, out.String())
			}
			<-looked
		}
	}
	for _, step := range []struct {
		e    gate.Event
		want string
	}{
		{gate.Event{Kind: gate.EventCommand, Command: 1, Text: "interactive shell", Verdict: &gate.Verdict{Decision: gate.Allow, Rule: "p/shells"}}, "rule p/shells\n"},
		{gate.Event{Kind: gate.EventAnswer, Command: 1, Data: []byte("$ ")}, "    : $ "},
		{gate.Event{Kind: gate.EventAnswer, Command: 1, Data: []byte("l\x1b[2J")}, `    : $ l\x1b[2J`},
		{gate.Event{Kind: gate.EventAnswer, Command: 1, Data: []byte("s\n")}, "[2Js\n"},
		{gate.Event{Kind: gate.EventAnswer, Command: 1, Data: []byte("[00:00:00.000] #2 ls\n")}, "    : [00:00:00.000] #2 ls\n"},
		{gate.Event{Kind: gate.EventAnswer, Command: 1, Data: []byte("open")}, "    : open"},
		{gate.Event{Kind: gate.EventEffect, Command: 1, Text: "exit 0"}, "    : open\n    = #1 exit 0"},
	} {
		step.e.Time = s.Started
		must(t, g.Append(&step.e))
		must(t, g.Commit())
		shown(step.want)
	}
	// The end, and something just before it.
	must(t, g.Append(&gate.Event{Kind: gate.EventAnswer, Time: s.Started, Command: 1, Data: []byte("last words\n")}))
	must(t, g.Append(&gate.Event{Kind: gate.EventEnd, Time: s.Started, Text: "closed"}))
	must(t, g.Close())
	go func() {
		for range looked { // lets the follower look again until it ends
		}
	}()
	must(t, <-done)
	close(looked)
	for _, want := range []string{"last words\n", "session ended: closed", "commands    1, of which 0 blocked"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in:\n%s", want, out.String())
		}
	}
	assertInert(t, []byte(out.String()))
}

// failing is a follower that has left.
type failing struct {
	w     io.Writer
	after int
}

func (f *failing) Write(b []byte) (int, error) {
	if f.after--; f.after < 0 {
		return 0, io.ErrClosedPipe
	}
	return f.w.Write(b)
}

func TestAQuietFollowerHearsABeatAndOneThatLeftIsNoticed(t *testing.T) {
	dir := t.TempDir()
	rec := newRecorder(t, dir)
	g := start(t, rec, session("ses_a"))
	defer func() { must(t, g.Close()) }()
	r, err := Open(dir, "ses_a")
	must(t, err)
	defer r.Close()
	var out bytes.Buffer
	naps := 0
	nap := func(context.Context, time.Duration) error { naps++; return nil }
	// The head, the session's own lines, two beats.
	if err := Follow(t.Context(), &failing{&out, 4}, r, ReplayOptions{Sleep: nap}); err != io.ErrClosedPipe {
		t.Fatal(err)
	}
	if want := 3*int(beat/followEvery) - 1; naps != want {
		t.Errorf("%d naps, want %d", naps, want)
	}
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	if len(lines) != 4 || !json.Valid([]byte(lines[0])) || !json.Valid([]byte(lines[1])) || lines[2]+lines[3] != "" {
		t.Errorf("%q", lines)
	}
}
