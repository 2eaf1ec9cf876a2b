package loop

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

var errNoSocket = errors.New("loop: not a socket")

// Conn is a TCP connection that waits in a loop once Run has taken it over.
// Before that it is the connection it was made of. Like any net.Conn it may be
// used by several goroutines; at most one reads and one writes at a time.
type Conn struct {
	plain *net.TCPConn // nil once a loop has it

	fd            int
	task          *task
	local, remote net.Addr
	// uses counts calls under way, twice, and one more when the connection is
	// closed: the descriptor is given up with the last of them, so that no call
	// meets another connection under its number.
	uses        atomic.Int64
	read, write side
}

// adopt takes the descriptor away from the runtime's poller: left there, it would
// wake a thread for every event of ours.
func (c *Conn) adopt(t *task) error {
	raw, err := c.plain.SyscallConn()
	if err != nil {
		return err
	}
	var fd uintptr
	var errno syscall.Errno
	err = raw.Control(func(old uintptr) {
		fd, _, errno = syscall.RawSyscall(syscall.SYS_FCNTL, old, syscall.F_DUPFD_CLOEXEC, 0)
	})
	if err == nil && errno != 0 {
		err = errno
	}
	if err != nil {
		return fmt.Errorf("loop: %w", err)
	}
	c.fd, c.task, c.local, c.remote = int(fd), t, c.plain.LocalAddr(), c.plain.RemoteAddr()
	c.read.init(c)
	c.write.init(c)
	if err := t.poller.add(c); err != nil {
		_ = syscall.Close(c.fd)
		c.fd = -1
		return err
	}
	return nil
}

// settle is the end of adopt, when all connections of a task are moved.
func (c *Conn) settle() {
	_ = c.plain.Close()
	c.plain = nil
}

// giveBack undoes adopt.
func (c *Conn) giveBack() {
	c.task.poller.remove(c)
	_ = syscall.EpollCtl(c.task.poller.epfd, syscall.EPOLL_CTL_DEL, c.fd, nil)
	_ = syscall.Close(c.fd)
	c.fd, c.task = -1, nil
}

// use keeps the descriptor open for one call; release ends it.
func (c *Conn) use() bool {
	for {
		n := c.uses.Load()
		if n&1 != 0 {
			return false
		}
		if c.uses.CompareAndSwap(n, n+2) {
			return true
		}
	}
}

func (c *Conn) release() {
	if c.uses.Add(-2) == 1 {
		_ = syscall.Close(c.fd)
	}
}

// Read reads what there is, and waits while there is nothing.
func (c *Conn) Read(b []byte) (int, error) {
	if c.plain != nil {
		return c.plain.Read(b)
	}
	if len(b) == 0 {
		return 0, nil
	}
	if !c.use() {
		return 0, c.failed("read", net.ErrClosed)
	}
	defer c.release()
	for {
		if c.read.expired() {
			return 0, c.failed("read", os.ErrDeadlineExceeded)
		}
		if !c.read.clear() {
			if err := c.read.wait(); err != nil {
				return 0, c.failed("read", err)
			}
			continue
		}
		n, errno := readNow(c.fd, b)
		switch {
		case n == len(b):
			c.read.set(ready) // there may be more
			return n, nil
		case n > 0:
			return n, nil // the socket is empty: the next byte is a new event
		case errno == 0:
			c.read.set(ready | gone)
			return 0, io.EOF
		case errno == syscall.EINTR:
			c.read.set(ready)
		case errno == syscall.EAGAIN:
			if err := c.read.wait(); err != nil {
				return 0, c.failed("read", err)
			}
		default:
			return 0, c.failed("read", errno)
		}
	}
}

// Write writes all of b, and waits while the socket takes no more.
func (c *Conn) Write(b []byte) (int, error) {
	if c.plain != nil {
		return c.plain.Write(b)
	}
	if !c.use() {
		return 0, c.failed("write", net.ErrClosed)
	}
	defer c.release()
	done := 0
	for done < len(b) {
		if c.write.expired() {
			return done, c.failed("write", os.ErrDeadlineExceeded)
		}
		c.write.clear() // whatever it says: a socket mostly takes what it is given
		n, errno := writeNow(c.fd, b[done:])
		done += n
		switch errno {
		case 0, syscall.EINTR:
		case syscall.EAGAIN:
			if err := c.write.wait(); err != nil {
				return done, c.failed("write", err)
			}
		default:
			return done, c.failed("write", errno)
		}
	}
	return done, nil
}

func (c *Conn) failed(op string, err error) error {
	return &net.OpError{Op: op, Net: "tcp", Source: c.local, Addr: c.remote, Err: err}
}

// Close closes the connection. What waits for it returns.
func (c *Conn) Close() error {
	if c.plain != nil {
		return c.plain.Close()
	}
	for {
		n := c.uses.Load()
		if n&1 != 0 {
			return c.failed("close", net.ErrClosed)
		}
		if !c.uses.CompareAndSwap(n, n+1+2) {
			continue
		}
		p := c.task.poller
		p.remove(c)
		_ = syscall.EpollCtl(p.epfd, syscall.EPOLL_CTL_DEL, c.fd, nil)
		c.read.close()
		c.write.close()
		c.release()
		return nil
	}
}

// LocalAddr returns our address.
func (c *Conn) LocalAddr() net.Addr {
	if c.plain != nil {
		return c.plain.LocalAddr()
	}
	return c.local
}

// RemoteAddr returns the peer's address.
func (c *Conn) RemoteAddr() net.Addr {
	if c.plain != nil {
		return c.plain.RemoteAddr()
	}
	return c.remote
}

// SetDeadline bounds reads and writes.
func (c *Conn) SetDeadline(t time.Time) error {
	if c.plain != nil {
		return c.plain.SetDeadline(t)
	}
	c.read.bound(t)
	c.write.bound(t)
	return nil
}

// SetReadDeadline bounds reads, also one that waits.
func (c *Conn) SetReadDeadline(t time.Time) error {
	if c.plain != nil {
		return c.plain.SetReadDeadline(t)
	}
	c.read.bound(t)
	return nil
}

// SetWriteDeadline bounds writes, also one that waits.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	if c.plain != nil {
		return c.plain.SetWriteDeadline(t)
	}
	c.write.bound(t)
	return nil
}

// What is known of one direction, and who waits for it.
const (
	ready    = 1 << iota // an event came that no call has answered yet
	gone                 // the peer has closed or reset it: every call has an answer
	waiting              // the task waits: whoever clears this resumes it
	sleeping             // another goroutine waits, or the task when it blocks freely
	closed               // by us
)

// side is one direction of a connection.
type side struct {
	conn  *Conn
	state atomic.Uint32
	// deadline is in nanoseconds since the epoch; 0 is none, past is over.
	deadline atomic.Int64
	wakes    chan struct{} // for who sleeps; made by the first

	mu    sync.Mutex
	timer *time.Timer // guarded by mu
	fires int64       // guarded by mu; when the timer does; 0 if it does not
}

// past is a deadline that needs no look at the clock.
const past = 1

func (s *side) init(c *Conn) { s.conn = c }

func (s *side) set(bits uint32) { s.state.Or(bits) }

// clear takes the event and reports whether there was one.
func (s *side) clear() bool {
	old := s.state.Load()
	if old&ready != 0 {
		old = s.state.And(^uint32(ready))
	}
	return old&(ready|gone) != 0
}

// rouse adds bits and takes who waits: it wakes a sleeper, and returns the task
// for the caller to resume.
func (s *side) rouse(bits uint32) (t *task, woke bool) {
	for {
		old := s.state.Load()
		if !s.state.CompareAndSwap(old, (old|bits)&^(waiting|sleeping)) {
			continue
		}
		if old&sleeping != 0 {
			select {
			case s.wakes <- struct{}{}:
			default:
			}
		}
		if old&waiting != 0 {
			t = s.conn.task
		}
		return t, old&sleeping != 0
	}
}

// enter makes how one who waits, unless what it waits for is there.
func (s *side) enter(how uint32) bool {
	if s.deadline.Load() != 0 {
		s.arm()
	}
	for {
		old := s.state.Load()
		if old&(ready|closed) != 0 {
			return false
		}
		if s.state.CompareAndSwap(old, old|how) {
			break
		}
	}
	if !s.expired() {
		return true
	}
	// It ran out meanwhile: take the wait back, unless somebody else has.
	return s.state.And(^how)&how == 0
}

// wait returns when the direction may be ready, or its deadline may be over.
func (s *side) wait() error {
	if s.state.Load()&closed != 0 {
		return net.ErrClosed
	}
	if t := s.conn.task; !t.free {
		t.parked = s
		t.yield(struct{}{})
		return s.verdict()
	}
	if s.wakes == nil {
		s.wakes = make(chan struct{}, 1)
	}
	if s.enter(sleeping) {
		<-s.wakes
	}
	return s.verdict()
}

func (s *side) verdict() error {
	if s.state.Load()&closed != 0 {
		return net.ErrClosed
	}
	return nil
}

// bound sets the deadline, and lets one who waits see it.
func (s *side) bound(t time.Time) {
	at := int64(0)
	if !t.IsZero() {
		at = t.UnixNano()
		if time.Until(t) <= 0 {
			at = past
		}
	}
	s.deadline.Store(at)
	switch {
	case at == past:
		s.stir()
	case at != 0 && s.state.Load()&(waiting|sleeping) != 0:
		s.arm()
	}
}

func (s *side) expired() bool {
	at := s.deadline.Load()
	return at == past || at != 0 && time.Now().UnixNano() >= at
}

// arm lets the timer fire no later than the deadline. A timer that fires earlier
// is left alone: most deadlines are moved long before they matter.
func (s *side) arm() {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := s.deadline.Load()
	if at == 0 || s.fires != 0 && s.fires <= at {
		return
	}
	wait := time.Until(time.Unix(0, at))
	s.fires = at
	if s.timer == nil {
		s.timer = time.AfterFunc(wait, s.fire)
		return
	}
	s.timer.Reset(wait)
}

func (s *side) fire() {
	s.mu.Lock()
	s.fires = 0
	s.mu.Unlock()
	switch {
	case s.expired():
		s.stir()
	case s.state.Load()&(waiting|sleeping) != 0:
		s.arm()
	}
}

// stir lets who waits look again.
func (s *side) stir() {
	if t, _ := s.rouse(0); t != nil {
		t.wake()
	}
}

func (s *side) close() {
	s.deadline.Store(0)
	if t, _ := s.rouse(closed); t != nil {
		t.wake()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.timer != nil {
		s.timer.Stop()
	}
}
