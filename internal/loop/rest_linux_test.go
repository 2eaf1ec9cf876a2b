//go:build amd64 || arm64

package loop_test

import (
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport-gateway/sallyport/internal/gate"
)

type rester interface{ MayRest(may bool) }

// echoResting echoes, and rests where it would wait. It counts its calls. With blocks
// it writes beside its loop.
func echoResting(l gate.Loop, c net.Conn, calls *atomic.Int64, blocks bool) <-chan struct{} {
	done := make(chan struct{})
	l.Run(func(task gate.Task) (rests bool) {
		calls.Add(1)
		defer func() {
			if !rests {
				_ = c.Close()
				close(done)
			}
		}()
		b := make([]byte, 1000)
		for {
			c.(rester).MayRest(true)
			n, err := c.Read(b)
			if err == gate.ErrRest {
				return true
			}
			if err != nil {
				return false
			}
			if blocks {
				task.Block()
			}
			if _, err := c.Write(b[:n]); err != nil {
				return false
			}
			task.Resume()
		}
	}, c)
	return done
}

func TestRestingSessionsAreCalledAgain(t *testing.T) {
	l := newLoop(t)
	var calls atomic.Int64
	var all sync.WaitGroup
	for i := range 100 { // more than the coroutines that are kept
		ours, peer := pair(t, l)
		done := echoResting(l, ours, &calls, i%2 == 0)
		all.Go(func() {
			for range 50 {
				ask(t, peer, "hello")
			}
			_ = peer.Close()
			await(t, done, "the end")
		})
	}
	all.Wait()
	if n := calls.Load(); n < 200 {
		t.Errorf("called %d times, so nothing rested", n)
	}
}

func TestARestingSessionHoldsNoGoroutine(t *testing.T) {
	l := newLoop(t)
	const sessions = 200
	before := runtime.NumGoroutine()
	var calls atomic.Int64
	var peers []net.Conn
	var ends []<-chan struct{}
	for range sessions {
		ours, peer := pair(t, l)
		ends = append(ends, echoResting(l, ours, &calls, false))
		ask(t, peer, "hello")
		peers = append(peers, peer)
	}
	if n := runtime.NumGoroutine() - before; n > sessions/2 {
		t.Errorf("%d goroutines more for %d sessions at rest", n, sessions)
	}
	for i, peer := range peers {
		_ = peer.Close()
		await(t, ends[i], "the end")
	}
}

func TestARestEndsWithADeadlineOrClose(t *testing.T) {
	for name, end := range map[string]func(net.Conn){
		"deadline": func(c net.Conn) { _ = c.SetReadDeadline(time.Unix(1, 0)) },
		"later":    func(c net.Conn) { _ = c.SetReadDeadline(time.Now().Add(5 * time.Millisecond)) },
		"close":    func(c net.Conn) { _ = c.Close() },
	} {
		l := newLoop(t)
		var calls atomic.Int64
		ours, peer := pair(t, l)
		done := echoResting(l, ours, &calls, false)
		ask(t, peer, "hello")
		end(ours)
		await(t, done, name)
	}
}
