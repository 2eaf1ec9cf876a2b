package loop_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sallyport-gateway/sallyport/internal/gate"
	"github.com/sallyport-gateway/sallyport/internal/loop"
)

// patience bounds what must happen at once.
const patience = 10 * time.Second

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newLoop(t *testing.T) *loop.Loop {
	t.Helper()
	l, err := loop.New(1) // one poller: what blocks it is seen by all
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

// pair returns the loop's end of a connection and the peer's.
func pair(t *testing.T, l *loop.Loop) (ours, peer net.Conn) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	if peer, err = net.Dial("tcp", listener.Addr().String()); err != nil {
		t.Fatal(err)
	}
	raw, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = peer.Close() })
	_ = peer.SetDeadline(time.Now().Add(patience))
	return l.Conn(raw), peer
}

// run runs f in the loop and returns a channel that closes when f has returned.
func run(l *loop.Loop, f func(gate.Task), conns ...net.Conn) <-chan struct{} {
	done := make(chan struct{})
	l.Run(func(t gate.Task) bool {
		defer close(done)
		f(t)
		return false
	}, conns...)
	return done
}

func await(t *testing.T, done <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatalf("%s did not happen", what)
	}
}

func echo(c net.Conn) error {
	b := make([]byte, 1000)
	for {
		n, err := c.Read(b)
		if err != nil {
			return err
		}
		if _, err := c.Write(b[:n]); err != nil {
			return err
		}
	}
}

func ask(t *testing.T, peer net.Conn, text string) {
	t.Helper()
	if _, err := peer.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(text))
	if _, err := io.ReadFull(peer, got); err != nil || string(got) != text {
		t.Fatalf("answer %q, %v; want %q", got, err, text)
	}
}

func TestManySessionsAreServedAtOnce(t *testing.T) {
	l := newLoop(t)
	var all sync.WaitGroup
	for range 50 {
		ours, peer := pair(t, l)
		done := run(l, func(gate.Task) { defer ours.Close(); _ = echo(ours) }, ours)
		all.Go(func() {
			for range 100 {
				ask(t, peer, "hello")
			}
			_ = peer.Close()
			await(t, done, "the end")
		})
	}
	all.Wait()
}

func TestLargeTransfersWaitForTheSlowerSide(t *testing.T) {
	l := newLoop(t)
	ours, peer := pair(t, l)
	const size = 20 << 20
	sent := bytes.Repeat([]byte("0123456789abcde\n"), size/16)
	var got bytes.Buffer
	done := run(l, func(gate.Task) {
		defer ours.Close()
		if _, err := io.CopyN(&got, ours, size); err != nil {
			t.Error(err)
		}
		if n, err := ours.Write(got.Bytes()); n != size || err != nil {
			t.Errorf("wrote %d, %v", n, err)
		}
	}, ours)
	if _, err := peer.Write(sent); err != nil {
		t.Fatal(err)
	}
	back, err := io.ReadAll(peer)
	if err != nil || !bytes.Equal(back, sent) {
		t.Fatalf("%d bytes came back, %v", len(back), err)
	}
	await(t, done, "the end")
}

// TestBlockedSessionDoesNotStopTheOthers lets a session block without saying so.
func TestBlockedSessionDoesNotStopTheOthers(t *testing.T) {
	for _, says := range []bool{true, false} {
		l := newLoop(t)
		ours, _ := pair(t, l)
		began, let := make(chan struct{}), make(chan struct{})
		blocked := run(l, func(task gate.Task) {
			defer ours.Close()
			if says {
				task.Block()
			}
			close(began)
			<-let
		}, ours)
		await(t, began, "the block")
		other, peer := pair(t, l)
		done := run(l, func(gate.Task) { defer other.Close(); _ = echo(other) }, other)
		for range 100 {
			ask(t, peer, "are you there?")
		}
		_ = peer.Close()
		await(t, done, "the other's end")
		close(let)
		await(t, blocked, "the blocked one's end")
	}
}

// TestBlockedInTheLoop blocks in what an event began, which holds the poller.
func TestBlockedInTheLoop(t *testing.T) {
	l := newLoop(t)
	ours, peer := pair(t, l)
	let := make(chan struct{})
	blocked := run(l, func(gate.Task) {
		defer ours.Close()
		for range 3 {
			if _, err := ours.Read(make([]byte, 1)); err != nil {
				t.Error(err)
			}
			<-let
			_, _ = ours.Write([]byte("x"))
		}
	}, ours)
	other, otherPeer := pair(t, l)
	done := run(l, func(gate.Task) { defer other.Close(); _ = echo(other) }, other)
	for range 3 {
		if _, err := peer.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		ask(t, otherPeer, "are you there?")
		let <- struct{}{}
		if _, err := io.ReadFull(peer, make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
	}
	_ = otherPeer.Close()
	await(t, done, "the other's end")
	await(t, blocked, "the end")
}

func TestBlockLetsOthersWaitForTheConnection(t *testing.T) {
	l := newLoop(t)
	ours, peer := pair(t, l)
	second, secondPeer := pair(t, l)
	done := run(l, func(task gate.Task) {
		defer ours.Close()
		defer second.Close()
		for range 3 {
			task.Block()
			copied := make(chan struct{})
			go func() {
				defer close(copied)
				_, _ = io.CopyN(second, ours, 4)
			}()
			_, _ = io.CopyN(ours, second, 4)
			<-copied
			task.Resume()
			_, _ = io.CopyN(ours, ours, 4)
		}
	}, ours, second)
	for range 3 {
		if _, err := peer.Write([]byte("ping")); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(secondPeer, make([]byte, 4)); err != nil {
			t.Fatal(err)
		}
		if _, err := secondPeer.Write([]byte("pong")); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(peer, make([]byte, 4)); err != nil {
			t.Fatal(err)
		}
		ask(t, peer, "self")
	}
	await(t, done, "the end")
}

func TestDeadlines(t *testing.T) {
	l := newLoop(t)
	ours, peer := pair(t, l)
	steps := make(chan string, 10)
	done := run(l, func(task gate.Task) {
		defer ours.Close()
		b := make([]byte, 10)
		read := func() {
			_, err := ours.Read(b)
			var n net.Error
			switch {
			case errors.Is(err, os.ErrDeadlineExceeded) && errors.As(err, &n) && n.Timeout():
				steps <- "timeout"
			case err != nil:
				steps <- err.Error()
			default:
				steps <- "read"
			}
		}
		_ = ours.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
		read() // runs out
		read() // is over
		_ = ours.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
		_ = ours.SetReadDeadline(time.Now().Add(time.Hour)) // moved before it mattered
		steps <- "wait"
		read() // until the peer writes
		_ = ours.SetReadDeadline(time.Time{})
		steps <- "wait"
		read() // until somebody else ends it
		_ = ours.SetReadDeadline(time.Time{})
		task.Block()
		_ = ours.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
		read() // runs out for a sleeper as well
	}, ours)
	want := func(w string) {
		t.Helper()
		select {
		case got := <-steps:
			if got != w {
				t.Fatalf("%s, want %s", got, w)
			}
		case <-time.After(patience):
			t.Fatalf("no %s", w)
		}
	}
	want("timeout")
	want("timeout")
	want("wait")
	_, _ = peer.Write([]byte("x"))
	want("read")
	want("wait")
	_ = ours.SetReadDeadline(time.Unix(1, 0))
	want("timeout")
	want("timeout")
	await(t, done, "the end")
}

func TestCloseWakesWhoWaits(t *testing.T) {
	for _, blocks := range []bool{true, false} {
		l := newLoop(t)
		ours, peer := pair(t, l)
		began, ended := make(chan struct{}), make(chan error, 1)
		done := run(l, func(task gate.Task) {
			if blocks {
				task.Block()
			}
			close(began)
			_, err := ours.Read(make([]byte, 1))
			ended <- err
		}, ours)
		await(t, began, "the wait")
		if err := ours.Close(); err != nil {
			t.Fatal(err)
		}
		await(t, done, "the end")
		if err := <-ended; !errors.Is(err, net.ErrClosed) {
			t.Fatalf("read: %v", err)
		}
		if err := ours.Close(); !errors.Is(err, net.ErrClosed) {
			t.Fatalf("second close: %v", err)
		}
		if _, err := ours.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
			t.Fatalf("write: %v", err)
		}
		if _, err := peer.Read(make([]byte, 1)); err != io.EOF {
			t.Fatalf("the peer reads: %v", err)
		}
	}
}

func TestEndsOfThePeerAreSeen(t *testing.T) {
	l := newLoop(t)
	ours, peer := pair(t, l)
	got := make(chan error, 3)
	done := run(l, func(gate.Task) {
		defer ours.Close()
		b := make([]byte, 100)
		for range 3 { // data with the end behind it, the end, and the end again
			_, err := ours.Read(b)
			got <- err
		}
	}, ours)
	_, _ = peer.Write([]byte("last words"))
	_ = peer.Close()
	await(t, done, "the end")
	if err := <-got; err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := <-got; err != io.EOF {
			t.Fatalf("%v, want EOF", err)
		}
	}
	ours, peer = pair(t, l)
	done = run(l, func(gate.Task) {
		defer ours.Close()
		_, err := ours.Read(make([]byte, 1))
		got <- err
	}, ours)
	_ = peer.(*net.TCPConn).SetLinger(0)
	_ = peer.Close()
	await(t, done, "the end")
	if err := <-got; !errors.Is(err, syscall.ECONNRESET) {
		t.Fatalf("%v, want a reset", err)
	}
}

func TestOtherConnectionsAreLeftToTheRuntime(t *testing.T) {
	l := newLoop(t)
	ours, _ := pair(t, l)
	a, b := net.Pipe()
	if l.Conn(a) != a {
		t.Fatal("a pipe was taken for a socket")
	}
	done := run(l, func(task gate.Task) {
		defer ours.Close()
		defer a.Close()
		task.Block()
		task.Resume()
		_ = echo(a)
	}, ours, a)
	ask(t, b, "hello")
	_ = b.Close()
	await(t, done, "the end")
}

func TestConnectionKnowsItsAddresses(t *testing.T) {
	l := newLoop(t)
	ours, peer := pair(t, l)
	check := func() {
		if ours.LocalAddr().String() != peer.RemoteAddr().String() || ours.RemoteAddr().String() != peer.LocalAddr().String() {
			t.Errorf("%v %v", ours.LocalAddr(), ours.RemoteAddr())
		}
	}
	check()
	done := run(l, func(gate.Task) { defer ours.Close(); check() }, ours)
	await(t, done, "the end")
}

// TestStopsOfTheWorldDoNotWait collects garbage while a loop waits.
func TestStopsOfTheWorldDoNotWait(t *testing.T) {
	l := newLoop(t)
	ours, peer := pair(t, l)
	done := run(l, func(gate.Task) { defer ours.Close(); _ = echo(ours) }, ours)
	for range 20 {
		ask(t, peer, "hello")
		runtime.GC()
	}
	_ = peer.Close()
	await(t, done, "the end")
}

func BenchmarkExchange(b *testing.B) {
	l, err := loop.New(1)
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer listener.Close()
	peer, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	raw, err := listener.Accept()
	if err != nil {
		b.Fatal(err)
	}
	ours := l.Conn(raw)
	done := run(l, func(gate.Task) { defer ours.Close(); _ = echo(ours) }, ours)
	buf := make([]byte, 100)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := peer.Write(buf); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(peer, buf); err != nil {
			b.Fatal(err)
		}
	}
	_ = peer.Close()
	<-done
}

// TestPeerThatNeverLetsWaitDoesNotStopTheOthers reads byte by byte what a peer
// sends without a pause.
func TestPeerThatNeverLetsWaitDoesNotStopTheOthers(t *testing.T) {
	l := newLoop(t)
	flooded, flood := pair(t, l)
	let := make(chan struct{})
	floodDone := run(l, func(gate.Task) {
		defer flooded.Close()
		b := make([]byte, 1)
		for {
			select {
			case <-let:
				return
			default:
			}
			if _, err := flooded.Read(b); err != nil {
				t.Error(err)
				return
			}
		}
	}, flooded)
	sent := make(chan struct{})
	go func() { // ends when the flooded side closes
		defer close(sent)
		b := make([]byte, 64<<10)
		for {
			if _, err := flood.Write(b); err != nil {
				return
			}
		}
	}()
	other, peer := pair(t, l)
	done := run(l, func(gate.Task) { defer other.Close(); _ = echo(other) }, other)
	for range 100 {
		ask(t, peer, "are you there?")
	}
	_ = peer.Close()
	await(t, done, "the other's end")
	close(let)
	await(t, floodDone, "the flooded one's end")
	await(t, sent, "the end of the flood")
}

func TestTheSocketIsLentUntilTheLoopHasIt(t *testing.T) {
	if runtime.GOOS != "linux" {
		return // elsewhere the loop has no connections of its own
	}
	l := newLoop(t)
	c, _ := pair(t, l)
	socket, ok := c.(syscall.Conn)
	if !ok {
		t.Fatal("a connection without a socket")
	}
	if _, err := socket.SyscallConn(); err != nil {
		t.Error(err)
	}
	<-run(l, func(gate.Task) { _ = c.Close() }, c)
	if _, err := socket.SyscallConn(); err == nil {
		t.Error("the socket of a connection that the loop had is lent")
	}
}

func TestAConnectionThatNoLoopHasReadsAndWritesAsAnyOther(t *testing.T) {
	l := newLoop(t)
	c, peer := pair(t, l)
	sent := bytes.Repeat([]byte("0123456789abcdef"), 1<<16) // more than a socket takes at once
	written := make(chan error, 1)
	go func() {
		_, err := c.Write(sent)
		written <- err
	}()
	got := make([]byte, len(sent))
	if _, err := io.ReadFull(peer, got); err != nil || !bytes.Equal(got, sent) {
		t.Fatal("what was written did not arrive", err)
	}
	if err := <-written; err != nil {
		t.Fatal(err)
	}
	if _, err := peer.Write(sent[:100]); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, got[:100]); err != nil || !bytes.Equal(got[:100], sent[:100]) {
		t.Fatal("what was sent was not read", err)
	}
	if n, err := c.Read(nil); n != 0 || err != nil {
		t.Error(n, err)
	}
	_ = c.SetDeadline(time.Unix(1, 0))
	if _, err := c.Read(got); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("a read after its deadline:", err)
	}
	if _, err := c.Write(sent); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("a write after its deadline:", err)
	}
	_ = c.SetDeadline(time.Time{})
	_ = peer.Close()
	if _, err := c.Read(got); !errors.Is(err, io.EOF) {
		t.Error("a read after the peer has closed:", err)
	}
	_ = c.Close()
	if _, err := c.Read(got); !errors.Is(err, net.ErrClosed) {
		t.Error("a read after the end:", err)
	}
	if _, err := c.Write(sent); !errors.Is(err, net.ErrClosed) {
		t.Error("a write after the end:", err)
	}
}

func TestAReadIsWokenByDataDeadlineAndClose(t *testing.T) {
	for name, wake := range map[string]func(ours, peer net.Conn){
		"data":     func(_, peer net.Conn) { _, _ = peer.Write([]byte("x")) },
		"deadline": func(ours, _ net.Conn) { _ = ours.SetReadDeadline(time.Unix(1, 0)) },
		"close":    func(ours, _ net.Conn) { _ = ours.Close() },
		"reset": func(_, peer net.Conn) {
			_ = peer.(*net.TCPConn).SetLinger(0)
			_ = peer.Close()
		},
	} {
		c, peer := pair(t, newLoop(t))
		read := make(chan error, 1)
		go func() {
			_, err := c.Read(make([]byte, 1))
			read <- err
		}()
		wake(c, peer)
		if err := <-read; (err == nil) != (name == "data") {
			t.Errorf("%s: %v", name, err)
		}
		_ = c.Close()
	}
}
