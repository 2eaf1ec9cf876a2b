package record

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-gateway/sallyport/internal/gate"
)

// readThrough reads to the end over damage, which must end, and returns what
// was given.
func readThrough(t testing.TB, dir, id string) (events int, damage []*DamageError, err error) {
	t.Helper()
	r, err := Open(dir, id)
	if err != nil {
		return 0, nil, err
	}
	defer r.Close()
	for calls := 0; ; calls++ {
		if calls > 1<<20 {
			t.Fatal("the reader does not come to an end")
		}
		e, err := r.Next()
		var d *DamageError
		switch {
		case errors.Is(err, io.EOF):
			_ = r.Summary()
			return events, damage, nil
		case errors.As(err, &d):
			damage = append(damage, d)
		case err != nil:
			return events, damage, err
		case e.Event.Kind != 0:
			events++
		}
	}
}

func TestOneChangedByteIsReportedWithItsPlace(t *testing.T) {
	const events = 300
	master := t.TempDir()
	rec := newRecorder(t, master)
	g := start(t, rec, session("ses_a"))
	for n := 1; n <= events; n++ {
		must(t, g.Append(crashEvent(n)))
		must(t, g.Commit())
	}
	files := map[string][]byte{}
	for _, name := range []string{"ses_a.rec", "ses_a.tail"} {
		b, err := os.ReadFile(filepath.Join(master, name))
		must(t, err)
		files[name] = b
	}
	for name, content := range files {
		for at := 0; at < len(content); at += 1 + len(content)/211 {
			dir := t.TempDir()
			for n, c := range files {
				c = slices.Clone(c)
				if n == name {
					c[at] ^= 0x10
				}
				must(t, os.WriteFile(filepath.Join(dir, n), c, 0o600))
			}
			_, damage, err := readThrough(t, dir, "ses_a")
			var d *DamageError
			if errors.As(err, &d) {
				continue // the magic or the start itself
			}
			must(t, err)
			// A length that grew in the tail looks like the end of a killed writer.
			if len(damage) == 0 && name == "ses_a.rec" {
				t.Fatalf("%s: byte %d was changed and nobody noticed", name, at)
			}
			if len(damage) > 0 && (damage[0].File != name && !strings.Contains(damage[0].Reason, "missing") || damage[0].Offset > int64(at)+256<<10) {
				t.Errorf("byte %d of %s: %v", at, name, damage[0])
			}
		}
	}
}

func TestRemovedBlockIsReported(t *testing.T) {
	dir := t.TempDir()
	g := start(t, newRecorder(t, dir), session("ses_a"))
	for n := 1; n <= 400; n++ {
		must(t, g.Append(crashEvent(n)))
		must(t, g.Commit())
	}
	must(t, g.Close())
	name := filepath.Join(dir, "ses_a.rec")
	b, err := os.ReadFile(name)
	must(t, err)
	first, err := parseBlock(b[magicSize:])
	must(t, err)
	second := magicSize + blockHead + int(first.stored)
	h, err := parseBlock(b[second:])
	must(t, err)
	must(t, os.WriteFile(name, slices.Delete(b, second, second+blockHead+int(h.stored)), 0o600))
	_, damage, err := readThrough(t, dir, "ses_a")
	if err != nil || len(damage) == 0 || !strings.Contains(damage[0].Reason, "missing") {
		t.Errorf("damage %v, error %v", damage, err)
	}
}

func TestUnknownFrameKindIsSkippedWithANote(t *testing.T) {
	dir := t.TempDir()
	rec := newRecorder(t, dir)
	g := start(t, rec, session("ses_a")).(*Recording)
	g.beginEvent(0x1e, 7)
	put(g, "from the future")
	g.endFrame(false)
	must(t, g.Append(command(1, "SELECT 1")))
	must(t, g.Close())
	r, err := Open(dir, "ses_a")
	must(t, err)
	defer r.Close()
	e, err := r.Next()
	if err != nil || e.Note == "" || e.Event.Kind != 0 {
		t.Errorf("unknown kind: %+v, %v", e, err)
	}
	if e, err = r.Next(); err != nil || e.Event.Text != "SELECT 1" {
		t.Errorf("the event behind it: %+v, %v", e, err)
	}
}

func TestRecoveryNamesTheCommandsWithUnknownOutcome(t *testing.T) {
	dir := t.TempDir()
	rec := newRecorder(t, dir)
	g := start(t, rec, session("ses_a"))
	blocked := command(2, "DROP")
	blocked.Status = gate.StatusBlocked
	prepared := command(3, "PREPARE")
	prepared.Phase = gate.Prepare
	for _, e := range []*gate.Event{command(1, "a"), {Kind: gate.EventEffect, Command: 1, Text: "A"}, blocked, prepared,
		command(4, "UPDATE"), command(5, "DELETE"), {Kind: gate.EventEffect, Command: 4, Text: "UPDATE 1"}} {
		must(t, g.Append(e))
	}
	must(t, g.Commit())
	if s, err := Summarise(dir, "ses_a"); err != nil || !s.Live || s.Unknown != 1 || s.Blocked != 1 || s.Commands != 5 {
		t.Errorf("live: %+v, %v", s, err)
	}
	must(t, rec.Close()) // as if the process ended
	done, err := Recover(dir)
	if err != nil || len(done) != 1 || !slices.Equal(done[0].Unknown, []uint64{5}) {
		t.Fatalf("recovered %+v, %v", done, err)
	}
	if s, err := Summarise(dir, "ses_a"); err != nil || s.Live || s.Unknown != 1 || s.Blocked != 1 || s.Commands != 5 || s.Cause != CauseCrash {
		t.Errorf("recovered: %+v, %v", s, err)
	}
	if out := string(export(t, dir, "ses_a", FormatText, ReplayOptions{})); !strings.Contains(out, "outcome of #5 unknown") || !strings.Contains(out, "without an end event (crash)") {
		t.Errorf("replay:\n%s", out)
	}
}

func TestListIsNewestFirstBoundedAndFiltered(t *testing.T) {
	dir := t.TempDir()
	rec := newRecorder(t, dir)
	base := time.Now().Add(-time.Hour)
	for i := range 30 {
		s := session(fmt.Sprintf("ses_%02d", (i*7)%30))
		s.Started = base.Add(time.Duration((i*7)%30) * time.Second)
		tg := *s.Target
		tg.Name = []string{"orders", "billing"}[i%2]
		s.Target = &tg
		g := start(t, rec, s)
		must(t, g.Append(command(1, "x")))
		must(t, g.Commit())
		if i < 28 {
			must(t, g.Append(&gate.Event{Kind: gate.EventEnd, Text: "closed"}))
			must(t, g.Close())
		}
	}
	must(t, os.WriteFile(filepath.Join(dir, "notes.txt"), nil, 0o600))
	list, err := List(dir, Filter{})
	if err != nil || len(list) != 30 || !slices.IsSortedFunc(list, newestFirst) {
		t.Fatalf("%d summaries, %v", len(list), err)
	}
	if s := list[29]; s.ID != "ses_00" || s.Agent != "reporting-agent" || !s.Complete || s.Cause != "closed" || s.Commands != 1 || s.Size == 0 {
		t.Errorf("oldest: %+v", s)
	}
	top, err := List(dir, Filter{Limit: 4})
	if err != nil || len(top) != 4 || top[0].ID != "ses_29" || top[3].ID != "ses_26" {
		t.Errorf("newest four: %v, %v", top, err)
	}
	for name, c := range map[string]struct {
		f    Filter
		want int
	}{
		"target": {Filter{Target: "billing"}, 15}, "agent": {Filter{Agent: "nobody"}, 0}, "live": {Filter{Live: true}, 2},
		"blocked": {Filter{Blocked: true}, 0}, "since": {Filter{Since: base.Add(20 * time.Second)}, 10}, "until": {Filter{Until: base.Add(20 * time.Second)}, 20},
	} {
		if got, err := List(dir, c.f); err != nil || len(got) != c.want {
			t.Errorf("%s: %d, want %d (%v)", name, len(got), c.want, err)
		}
	}
	must(t, os.WriteFile(filepath.Join(dir, "ses_bad.rec"), []byte("garbage garbage garbage"), 0o600))
	if list, err = List(dir, Filter{}); err == nil || len(list) != 30 {
		t.Errorf("with a broken file: %d, %v", len(list), err)
	}
}
