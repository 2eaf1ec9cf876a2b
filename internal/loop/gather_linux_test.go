//go:build amd64 || arm64

package loop_test

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/sallyport-gateway/sallyport/internal/gate"
)

// gatherer is what Gather and Batch are used through.
type gatherer interface {
	Gather(b []byte, n int, wait time.Duration) (int, error)
	Batch(n int)
}

func TestGatherWaitsForMuchButNotForLong(t *testing.T) {
	l := newLoop(t)
	const much = 10000
	for _, blocks := range []bool{false, true} {
		ours, peer := pair(t, l)
		g := ours.(gatherer)
		next := make(chan struct{})
		done := run(l, func(task gate.Task) {
			defer ours.Close()
			if blocks {
				task.Block()
			}
			b := make([]byte, 2*much)
			check := func(what string, n, want int, err, wantErr error) {
				if n != want || !errors.Is(err, wantErr) {
					t.Errorf("%s: %d, %v; want %d, %v", what, n, err, want, wantErr)
				}
				next <- struct{}{}
			}
			n, err := g.Gather(b, much, time.Millisecond)
			check("nothing came", n, 0, err, os.ErrDeadlineExceeded)
			n, err = g.Gather(b, much, patience)
			check("much came, in two pieces", n, much, err, nil)
			n, err = g.Gather(b, much, 20*time.Millisecond)
			check("less came", n, 3, err, nil)
			n, err = ours.Read(b)
			check("a read waits for one byte", n, 1, err, nil)
			n, err = g.Gather(b, much, patience)
			check("the end", n, 0, err, io.EOF)
		}, ours)
		<-next
		half := make([]byte, much/2)
		_, _ = peer.Write(half)
		_, _ = peer.Write(half)
		<-next
		_, _ = peer.Write([]byte("abc"))
		<-next
		_, _ = peer.Write([]byte("d"))
		<-next
		_ = peer.Close()
		<-next
		await(t, done, "the end")
	}
}

func TestGatherKeepsADeadlineThatEndsIt(t *testing.T) {
	l := newLoop(t)
	ours, _ := pair(t, l)
	began, got := make(chan struct{}), make(chan error, 2)
	done := run(l, func(gate.Task) {
		defer ours.Close()
		close(began)
		_, err := ours.(gatherer).Gather(make([]byte, 10), 10, patience)
		got <- err
		_, err = ours.Read(make([]byte, 10))
		got <- err
	}, ours)
	await(t, began, "the wait")
	_ = ours.SetDeadline(time.Unix(1, 0))
	await(t, done, "the end")
	for range 2 {
		if err := <-got; !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal(err)
		}
	}
}

func TestGatherEndsWhenItsConnectionIsClosed(t *testing.T) {
	l := newLoop(t)
	ours, _ := pair(t, l)
	began, got := make(chan struct{}), make(chan error, 1)
	done := run(l, func(gate.Task) {
		close(began)
		_, err := ours.(gatherer).Gather(make([]byte, 10), 10, patience)
		got <- err
	}, ours)
	await(t, began, "the wait")
	_ = ours.Close()
	await(t, done, "the end")
	if err := <-got; !errors.Is(err, net.ErrClosed) {
		t.Fatal(err)
	}
}

func TestGatherKeepsNobodyWaiting(t *testing.T) {
	l := newLoop(t)
	gathers, peer := pair(t, l)
	done := run(l, func(gate.Task) {
		defer gathers.Close()
		if n, err := gathers.(gatherer).Gather(make([]byte, 10), 10, 2*patience); n != 10 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
	}, gathers)
	other, client := pair(t, l)
	echoes := run(l, func(gate.Task) { defer other.Close(); _ = echo(other) }, other)
	for range 100 {
		ask(t, client, "hello")
	}
	_, _ = peer.Write(make([]byte, 10))
	await(t, done, "what was gathered")
	_ = client.Close()
	await(t, echoes, "the end")
}

// After a stream the loop has to be told again, whatever came meanwhile.
func TestReadsAfterAGatherAreResumed(t *testing.T) {
	l := newLoop(t)
	ours, peer := pair(t, l)
	done := run(l, func(task gate.Task) {
		defer ours.Close()
		b := make([]byte, 100)
		for range 100 {
			if _, err := ours.(gatherer).Gather(b, 2, patience); err != nil {
				t.Error(err)
			}
			task.Resume()
			if _, err := ours.Write([]byte("a")); err != nil {
				t.Error(err)
			}
			if _, err := ours.Read(b); err != nil {
				t.Error(err)
			}
			if _, err := ours.Write([]byte("b")); err != nil {
				t.Error(err)
			}
		}
	}, ours)
	answer := make([]byte, 1)
	for range 100 {
		for _, text := range []string{"xy", "z"} {
			_, _ = peer.Write([]byte(text))
			if _, err := io.ReadFull(peer, answer); err != nil {
				t.Fatal(err)
			}
		}
	}
	await(t, done, "the end")
}

func TestBatchArrivesWhole(t *testing.T) {
	l := newLoop(t)
	ours, peer := pair(t, l)
	done := run(l, func(gate.Task) {
		defer ours.Close()
		for range 100 {
			ours.(gatherer).Batch(5)
			for _, part := range []string{"ab", "cd", "efg"} { // the last is longer than was said
				if _, err := ours.Write([]byte(part)); err != nil {
					t.Error(err)
				}
			}
			if _, err := ours.Read(make([]byte, 1)); err != nil {
				t.Error(err)
			}
		}
	}, ours)
	for range 100 {
		got := make([]byte, 7)
		if _, err := io.ReadFull(peer, got); err != nil || string(got) != "abcdefg" {
			t.Fatalf("%q, %v", got, err)
		}
		if _, err := peer.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	await(t, done, "the end")
}
