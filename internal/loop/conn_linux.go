//go:build amd64 || arm64

package loop

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/sallyport-gateway/sallyport/internal/gate"
)

var errNoSocket = errors.New("loop: not a socket")

// Conn is a TCP connection that waits in a loop once Run has taken it over.
// Before that it is the connection it was made of. Like any net.Conn it may be
// used by several goroutines; at most one reads and one writes at a time.
type Conn struct {
	plain *plain // nil once a loop has it

	fd            int
	task          *task
	local, remote net.Addr
	// uses counts calls under way, twice, and one more when the connection is
	// closed: the descriptor is given up with the last of them, so that no call
	// meets another connection under its number.
	uses        atomic.Int64
	read, write side

	low   int  // SO_RCVLOWAT, if it was set; belongs to who reads
	deaf  bool // the loop is not told of what arrives; belongs to who reads
	rests bool // the next read returns gate.ErrRest instead of waiting; belongs to who reads
	batch int  // bytes that are still to come of what belongs together; belongs to who writes
}

// adopt takes the descriptor away from the runtime's poller: left there, it would
// wake a thread for every event of ours.
func (c *Conn) adopt(t *task) error {
	var fd uintptr
	var errno syscall.Errno
	err := c.plain.socket.Control(func(old uintptr) {
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

// SyscallConn implements syscall.Conn, until Run has taken the connection over.
func (c *Conn) SyscallConn() (syscall.RawConn, error) {
	if c.plain == nil {
		return nil, errNoSocket
	}
	return c.plain.socket, nil
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
	c.setLow(1)
	c.setDeaf(false)
	return c.take(b)
}

// pollSlice is how long Gather polls at a time, so how late it sees a deadline that
// somebody sets meanwhile, or Close.
const pollSlice = 2 * time.Millisecond

// Gather reads like Read, but waits until n bytes are there, or for the given
// time and no longer: then it returns what came, or the error of a deadline. So a
// peer that sends much in small pieces costs one wake-up where it cost many.
//
// The wait is poll(2) on the caller's thread, and meanwhile the loop is not told of
// what arrives: where much does, the way over the loop would cost more than the
// reading. So a task that gathers goes on beside its loop.
func (c *Conn) Gather(b []byte, n int, wait time.Duration) (int, error) {
	until := time.Now().Add(wait)
	if c.plain != nil {
		_ = c.plain.SetReadDeadline(until)
		return c.plain.Read(b)
	}
	if len(b) == 0 {
		return 0, nil
	}
	if !c.use() {
		return 0, c.failed("read", net.ErrClosed)
	}
	defer c.release()
	c.task.Block()
	c.setLow(min(n, len(b)))
	c.setDeaf(true)
	for {
		switch {
		case c.read.state.Load()&closed != 0:
			return 0, c.failed("read", net.ErrClosed)
		case c.read.expired():
			return 0, c.failed("read", os.ErrDeadlineExceeded)
		}
		left := time.Until(until)
		if !pollIn(c.fd, min(left, pollSlice)) && left > pollSlice {
			continue
		}
		switch got, errno := readNow(c.fd, b); {
		case got > 0:
			return got, nil
		case errno == 0:
			return 0, io.EOF
		case errno == syscall.EINTR:
		case errno == syscall.EAGAIN:
			if left <= pollSlice {
				return 0, c.failed("read", os.ErrDeadlineExceeded)
			}
		default:
			return 0, c.failed("read", errno)
		}
	}
}

// setDeaf says whether the loop is told of what arrives. What came before it is told
// again is an event then (epoll_ctl(2), EPOLL_CTL_MOD), or found by the next read.
func (c *Conn) setDeaf(deaf bool) {
	if c.deaf == deaf {
		return
	}
	c.deaf = deaf
	events := uint32(bothWays)
	if deaf {
		events &^= syscall.EPOLLIN | syscall.EPOLLRDHUP
	}
	e := syscall.EpollEvent{Events: events, Fd: int32(c.fd)}                  //nolint:gosec // descriptors are small
	_ = syscall.EpollCtl(c.task.poller.epfd, syscall.EPOLL_CTL_MOD, c.fd, &e) // fails only when it is closed
	c.read.set(ready)
}

// setLow makes the socket ready from n bytes on. What was ready may not be any
// more, and the other way round, so the next read tries.
func (c *Conn) setLow(n int) {
	if c.low == n || c.low == 0 && n == 1 {
		return
	}
	_ = syscall.SetsockoptInt(c.fd, syscall.SOL_SOCKET, syscall.SO_RCVLOWAT, n) // a hint
	c.low = n
	c.read.set(ready)
}

// MayRest says whether the next read may return gate.ErrRest instead of waiting.
func (c *Conn) MayRest(may bool) { c.rests = may && c.plain == nil }

// take is Read between use and release.
func (c *Conn) take(b []byte) (int, error) {
	rests := c.rests
	c.rests = false
	for {
		if c.read.expired() {
			return 0, c.failed("read", os.ErrDeadlineExceeded)
		}
		if !c.read.clear() {
			if err := c.idle(rests); err != nil {
				return 0, err
			}
			continue
		}
		n, errno := readNow(c.fd, b)
		if n > 0 {
			c.task.turn()
		}
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
			if err := c.idle(rests); err != nil {
				return 0, err
			}
		default:
			return 0, c.failed("read", errno)
		}
	}
}

// idle waits, or says that the task is to rest.
func (c *Conn) idle(rests bool) error {
	if rests && !c.task.free {
		c.task.parked = &c.read
		return gate.ErrRest
	}
	if err := c.read.wait(); err != nil {
		return c.failed("read", err)
	}
	return nil
}

// Write writes all of b, and waits while the socket takes no more.
func (c *Conn) Write(b []byte) (int, error) {
	if c.plain != nil {
		more := c.batch > len(b)
		c.batch = max(0, c.batch-len(b))
		return c.plain.write(b, more)
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
		n, errno := writeNow(c.fd, b[done:], c.batch > len(b))
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
	c.batch = max(0, c.batch-len(b))
	return done, nil
}

// Batch says that the next n bytes belong together, over however many writes: the
// peer need not be woken for the first of them. A wrong n delays nothing by more
// than the kernel's 200 ms (tcp(7), TCP_CORK).
func (c *Conn) Batch(n int) { c.batch = n }

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
