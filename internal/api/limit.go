package api

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"time"
)

const (
	// maxFailures is how many tokens of one remote may be refused within
	// failureWindow before it goes to the slow lane.
	maxFailures   = 10
	failureWindow = time.Minute
	// maxRemotes bounds the memory for counting; beyond it, remotes that are
	// not counted yet share one counter.
	maxRemotes = 4096
	// laneWait is how long a caller waits for the slow lane.
	laneWait = 2 * time.Second
)

// failures counts refused tokens per remote. A remote over the limit is not
// locked out, for a hostile neighbour behind the same address could otherwise
// keep an approver from revoking it: its tokens are verified one at a time for
// all such remotes together, and those that fail are answered 429.
type failures struct {
	now  func() time.Time
	lane chan struct{} // holds one element while the slow lane is taken

	mu     sync.Mutex
	counts map[netip.Prefix]count // guarded by mu
}

type count struct {
	failed int
	since  time.Time
}

func newFailures(now func() time.Time) *failures {
	return &failures{now: now, lane: make(chan struct{}, 1), counts: map[netip.Prefix]count{}}
}

// remotePrefix returns what a remote is counted by: an IPv4 address, or an IPv6
// network of 64 bits, which one host can use freely (RFC 4291, section 2.5.4).
func remotePrefix(remote string) netip.Prefix {
	a, err := netip.ParseAddrPort(remote)
	if err != nil {
		return netip.Prefix{} // all such remotes are one
	}
	addr := a.Addr().Unmap().WithZone("")
	bits := 64
	if addr.Is4() {
		bits = 32
	}
	p, _ := addr.Prefix(bits)
	return p
}

// slow reports whether the remote is over the limit.
func (f *failures) slow(remote string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	c := f.counts[f.slot(remotePrefix(remote))]
	return c.failed >= maxFailures && f.now().Sub(c.since) < failureWindow
}

// failed counts a refused token.
func (f *failures) failed(remote string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.slot(remotePrefix(remote))
	c := f.counts[p]
	if f.now().Sub(c.since) >= failureWindow {
		c = count{since: f.now()}
	}
	c.failed++
	f.counts[p] = c
}

// slot returns the counter of a remote. The caller holds mu.
func (f *failures) slot(p netip.Prefix) netip.Prefix {
	if _, ok := f.counts[p]; ok || len(f.counts) < maxRemotes {
		return p
	}
	for q, c := range f.counts {
		if f.now().Sub(c.since) >= failureWindow {
			delete(f.counts, q)
		}
	}
	if len(f.counts) < maxRemotes {
		return p
	}
	return netip.Prefix{}
}

// enter waits for the slow lane and reports whether it was reached. The caller
// then calls leave.
func (f *failures) enter(ctx context.Context) bool {
	t := time.NewTimer(laneWait)
	defer t.Stop()
	select {
	case f.lane <- struct{}{}:
		return true
	case <-t.C:
	case <-ctx.Done():
	}
	return false
}

func (f *failures) leave() { <-f.lane }

// isLoopback reports whether the remote is this machine.
func isLoopback(remote string) bool {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		return false
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.Unmap().IsLoopback()
}

// LimitListener returns a listener that accepts at most n connections at a time
// and leaves the others in the kernel's queue, so that connections that never
// speak cannot exhaust the process.
func LimitListener(l net.Listener, n int) net.Listener {
	return &limitListener{Listener: l, slots: make(chan struct{}, n), done: make(chan struct{})}
}

type limitListener struct {
	net.Listener
	slots chan struct{}
	once  sync.Once
	done  chan struct{} // closed by Close
}

func (l *limitListener) Accept() (net.Conn, error) {
	select {
	case l.slots <- struct{}{}:
	case <-l.done:
		return nil, net.ErrClosed
	}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.slots
		return nil, err
	}
	return &limitConn{Conn: c, slots: l.slots}, nil
}

func (l *limitListener) Close() error {
	l.once.Do(func() { close(l.done) })
	return l.Listener.Close()
}

type limitConn struct {
	net.Conn
	slots chan struct{}
	once  sync.Once
}

func (c *limitConn) Close() error {
	c.once.Do(func() { <-c.slots })
	return c.Conn.Close()
}
