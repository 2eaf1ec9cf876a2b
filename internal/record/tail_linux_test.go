package record

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sallyport-gateway/sallyport/internal/gate"
)

// busy appends and commits enough events for the tail to be mapped.
func busy(t *testing.T, g gate.Recording, from int) (next int) {
	t.Helper()
	for n := from; n < from+2*mapAfter; n++ {
		must(t, g.Append(&gate.Event{Kind: gate.EventEffect, Command: uint64(n), Text: "SELECT 1", Rows: 1}))
		must(t, g.Commit())
	}
	return from + 2*mapAfter
}

// count reads the recording to its present end.
func count(t *testing.T, dir string) (events int, torn bool) {
	t.Helper()
	r, err := Open(dir, "ses_a")
	must(t, err)
	defer r.Close()
	for {
		if _, err := r.Next(); errors.Is(err, io.EOF) {
			return events, r.Truncated()
		} else if err != nil {
			t.Fatal(err)
		}
		events++
	}
}

func TestTailIsMappedWhileItsSessionIsBusy(t *testing.T) {
	dir := t.TempDir()
	r := newRecorder(t, dir)
	g := start(t, r, session("ses_a")).(*Recording)
	check := func(events int, mapped bool) {
		t.Helper()
		i, err := os.Stat(filepath.Join(dir, "ses_a.tail"))
		must(t, err)
		if want := g.tail.size; !mapped && i.Size() != want || mapped && i.Size() != tailLimit || mapped != (g.tail.mem != nil) {
			t.Fatalf("the tail has %d bytes, %d of them frames; mapped: %v, want %v", i.Size(), want, g.tail.mem != nil, mapped)
		}
		if n, torn := count(t, dir); n != events || torn {
			t.Fatalf("%d events, torn %v, want %d", n, torn, events)
		}
	}
	check(0, false)
	n := busy(t, g, 1)
	check(n-1, true)
	must(t, g.sync()) // nobody writes meanwhile: the session is not busy any more
	check(n-1, false)
	must(t, g.Append(&gate.Event{Kind: gate.EventEffect, Command: uint64(n), Text: "SELECT 1", Rows: 1}))
	must(t, g.Commit())
	check(n, false)
	n = busy(t, g, n+1)
	check(n-1, true)
	for g.recSize == 0 { // until the tail becomes a block and starts again
		n = busy(t, g, n)
	}
	check(n-1, true)
	must(t, g.Close())
	if got, torn := count(t, dir); got != n-1 || torn {
		t.Fatalf("%d events, torn %v; want %d", got, torn, n-1)
	}
}

// TestFaultOfAMappedTailEndsTheRecording cuts the file under the mapping, as a
// disk error or a full copy-on-write file system would: the process must live.
func TestFaultOfAMappedTailEndsTheRecording(t *testing.T) {
	dir := t.TempDir()
	g := start(t, newRecorder(t, dir), session("ses_a"))
	n := busy(t, g, 1)
	must(t, os.Truncate(filepath.Join(dir, "ses_a.tail"), 0))
	_ = g.Append(&gate.Event{Kind: gate.EventEffect, Command: uint64(n), Text: "SELECT 1", Rows: 1})
	err := g.Commit()
	if err == nil || !strings.Contains(err.Error(), "write the tail") {
		t.Fatalf("commit: %v", err)
	}
	if again := g.Append(&gate.Event{Kind: gate.EventEnd}); again == nil {
		t.Fatal("the recording goes on")
	}
	if err := g.Close(); err == nil {
		t.Fatal("closed without an error")
	}
}

// TestUnfinishedAppendToAMappedTailIsNoFrame leaves what a kill in the middle of
// an append leaves.
func TestUnfinishedAppendToAMappedTailIsNoFrame(t *testing.T) {
	dir := t.TempDir()
	g := start(t, newRecorder(t, dir), session("ses_a")).(*Recording)
	n := busy(t, g, 1)
	next := appendFrame(nil, frame{kind: byte(gate.EventEffect), seq: g.seq, payload: []byte("x")})
	copy(g.tail.mem[g.tail.size+4:], next[4:])
	if got, torn := count(t, dir); got != n-1 || torn {
		t.Fatalf("%d events, torn %v; want %d", got, torn, n-1)
	}
	must(t, g.Close())
}
