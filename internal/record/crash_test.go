//go:build unix

package record

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sallyport-gateway/sallyport/internal/gate"
)

// TestMain runs this binary as a writer that is to be killed, if asked to.
func TestMain(m *testing.M) {
	if dir := os.Getenv("RECORD_TEST_WRITER"); dir != "" {
		if err := writeUntilKilled(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(3)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// writeUntilKilled says on its standard output how many events it committed.
func writeUntilKilled(dir string) error {
	if lim, err := strconv.ParseUint(os.Getenv("RECORD_TEST_FSIZE"), 10, 64); err == nil {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: lim, Max: lim}); err != nil {
			return err
		}
	}
	r, err := New(Config{Dir: dir})
	if err != nil {
		return err
	}
	g, err := r.Start(session("ses_killed"))
	if err != nil {
		return err
	}
	for n := 1; n < 100000; n++ {
		if err := g.Append(crashEvent(n)); err != nil {
			fmt.Println("failed", err)
			break
		}
		if err := g.Commit(); err != nil {
			fmt.Println("failed", err)
			break
		}
		fmt.Println(n)
	}
	if err := g.Close(); err != nil {
		fmt.Println("failed", err)
	}
	return r.Close()
}

func writer(t *testing.T, dir string, env ...string) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	c := exec.Command(os.Args[0], "-test.run=^$")
	c.Env = append(append(os.Environ(), "RECORD_TEST_WRITER="+dir), env...)
	c.Stderr = os.Stderr
	out, err := c.StdoutPipe()
	must(t, err)
	must(t, c.Start())
	return c, bufio.NewScanner(out)
}

// committed asserts that the first n events can be read and reports how many can.
func committed(t *testing.T, dir string, n int) int {
	t.Helper()
	got, _ := readAll(t, dir, "ses_killed")
	if len(got) < n {
		t.Fatalf("%d events were committed, %d can be read", n, len(got))
	}
	for i, e := range got {
		want := crashEvent(i + 1)
		if e.Kind != want.Kind || e.Text != want.Text || string(e.Data) != string(want.Data) || e.Command != want.Command {
			t.Fatalf("event %d is not what was written: %v %q", i+1, e.Kind, e.Text)
		}
	}
	return len(got)
}

func TestCommittedEventsSurviveKill(t *testing.T) {
	for round := range 25 {
		dir := t.TempDir()
		c, out := writer(t, dir)
		r := rand.New(rand.NewPCG(uint64(round), 3))
		stop, n := 1+r.IntN(60*(round+1)), 0
		for n < stop && out.Scan() {
			n, _ = strconv.Atoi(out.Text())
		}
		must(t, c.Process.Signal(syscall.SIGKILL))
		for out.Scan() { // what it still said before it died
			if m, err := strconv.Atoi(out.Text()); err == nil {
				n = m
			}
		}
		_ = c.Wait()
		had := committed(t, dir, n)
		if s, err := Summarise(dir, "ses_killed"); err != nil || s.Complete || s.Live || s.Cause != CauseCrash {
			t.Fatalf("summary before recovery: %+v, %v", s, err)
		}
		done, err := Recover(dir)
		must(t, err)
		if len(done) != 1 || done[0].Err != nil {
			t.Fatalf("recovered: %+v", done)
		}
		if again := committed(t, dir, n); again != had {
			t.Fatalf("%d events before recovery, %d after", had, again)
		}
		s, err := Summarise(dir, "ses_killed")
		must(t, err)
		if s.Cause != CauseCrash || s.Complete || s.Unknown != uint64(len(done[0].Unknown)) || s.Commands == 0 {
			t.Fatalf("summary: %+v", s)
		}
		if done, err = Recover(dir); err != nil || len(done) != 0 {
			t.Fatalf("second recovery: %+v, %v", done, err)
		}
		if left, _ := filepath.Glob(filepath.Join(dir, "*.tail")); len(left) > 0 {
			t.Fatalf("left over: %v", left)
		}
	}
}

func TestFullDiskEndsTheRecordingAndKeepsWhatWasCommitted(t *testing.T) {
	// The limit meets the tail (small) or the .rec (large).
	for _, limit := range []int{9000, 40000, 200000} {
		dir := t.TempDir()
		c, out := writer(t, dir, "RECORD_TEST_FSIZE="+strconv.Itoa(limit))
		n, failed := 0, ""
		for out.Scan() {
			if m, err := strconv.Atoi(out.Text()); err == nil {
				n = m
			} else {
				failed += out.Text() + "\n"
			}
		}
		must(t, c.Wait())
		if !strings.Contains(failed, "file too large") || n == 0 {
			t.Fatalf("limit %d: %d events, said %q", limit, n, failed)
		}
		committed(t, dir, n)
		s, err := Summarise(dir, "ses_killed")
		must(t, err)
		if s.Complete || s.Live || s.Cause != CauseRecorder {
			t.Fatalf("limit %d: summary %+v", limit, s)
		}
		_, err = Recover(dir)
		must(t, err)
		committed(t, dir, n)
		if s, err = Summarise(dir, "ses_killed"); err != nil || s.Cause != CauseRecorder {
			t.Fatalf("limit %d: summary %+v, %v", limit, s, err)
		}
	}
}

// sick is a file that fails after some bytes.
type sick struct {
	file
	left *int
	err  error
}

func (s sick) WriteAt(b []byte, off int64) (int, error) {
	if *s.left -= len(b); *s.left < 0 {
		n, _ := s.file.WriteAt(b[:len(b)/2], off) // a short write
		return n, s.err
	}
	return s.file.WriteAt(b, off)
}

func TestFailingWritesDamageNothingThatWasCommitted(t *testing.T) {
	for _, failure := range []error{syscall.ENOSPC, syscall.EIO, syscall.EDQUOT} {
		for budget := 600; budget < 300000; budget = budget*5/4 + 13 {
			dir := t.TempDir()
			r := newRecorder(t, dir)
			left, open := budget, r.open
			r.open = func(name string, flag int) (file, error) {
				f, err := open(name, flag)
				return sick{f, &left, failure}, err
			}
			g, err := r.Start(session("ses_killed"))
			if err != nil {
				if !errors.Is(err, failure) {
					t.Fatalf("start: %v", err)
				}
				continue
			}
			n := 0
			for err == nil && n < 400 {
				if err = g.Append(crashEvent(n + 1)); err == nil {
					err = g.Commit()
				}
				if err == nil {
					n++
				}
			}
			if n < 400 && !errors.Is(err, failure) {
				t.Fatalf("budget %d: %v", budget, err)
			}
			if n < 400 {
				if err := g.Append(crashEvent(n + 1)); !errors.Is(err, failure) {
					t.Fatalf("append after the failure: %v", err)
				}
			}
			closed := g.Close()
			if n < 400 && closed == nil {
				t.Fatal("close of a failed recording says nothing")
			}
			committed(t, dir, n)
			_ = r.Close()
			_, err = Recover(dir)
			must(t, err)
			committed(t, dir, n)
		}
	}
}

func TestReaderFollowsAWriter(t *testing.T) {
	dir := t.TempDir()
	rec := newRecorder(t, dir)
	g := start(t, rec, session("ses_killed"))
	const events = 3000
	go func() {
		for n := 1; n <= events; n++ {
			_ = g.Append(crashEvent(n))
			_ = g.Commit()
		}
		_ = g.Append(&gate.Event{Kind: gate.EventEnd, Text: "closed"})
		_ = g.Close()
	}()
	r, err := Open(dir, "ses_killed")
	must(t, err)
	defer r.Close()
	var got []gate.Event
	deadline := time.Now().Add(time.Minute)
	for {
		e, err := r.Next()
		if errors.Is(err, io.EOF) {
			if time.Now().After(deadline) {
				t.Fatalf("%d events", len(got))
			}
			continue
		}
		must(t, err)
		if e.Event.Kind == gate.EventEnd {
			break
		}
		got = join(got, e.Event)
	}
	if len(got) != events {
		t.Fatalf("%d events read, %d written", len(got), events)
	}
	for i := range got {
		if want := crashEvent(i + 1); got[i].Text != want.Text || string(got[i].Data) != string(want.Data) {
			t.Fatalf("event %d differs", i+1)
		}
	}
	for {
		if _, err := r.Next(); errors.Is(err, io.EOF) && r.final != nil {
			break
		} else if time.Now().After(deadline) {
			t.Fatal("the summary did not come")
		}
	}
	if s := r.Summary(); !s.Complete || s.Live || s.Cause != "closed" {
		t.Errorf("summary: %+v", s)
	}
}
