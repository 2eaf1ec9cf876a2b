//go:build amd64 || arm64

package loop

import (
	"io"
	"net"
	"syscall"
)

// plain is a connection that no loop has. The runtime's poller waits for it, but its
// reads and writes bypass the scheduler as a loop's do.
type plain struct {
	*net.TCPConn
	socket syscall.RawConn
}

// Read reads what there is, and waits while there is nothing.
func (p *plain) Read(b []byte) (n int, err error) {
	if len(b) == 0 {
		return 0, nil
	}
	var errno syscall.Errno
	err = p.socket.Read(func(fd uintptr) bool {
		for {
			if n, errno = readNow(int(fd), b); errno != syscall.EINTR {
				return errno != syscall.EAGAIN
			}
		}
	})
	switch {
	case err != nil:
		return 0, p.failed("read", err)
	case errno != 0:
		return 0, p.failed("read", errno)
	case n == 0:
		return 0, io.EOF
	}
	return n, nil
}

// Write writes all of b.
func (p *plain) Write(b []byte) (int, error) { return p.write(b, false) }

// write is Write. more says that the rest follows at once.
func (p *plain) write(b []byte, more bool) (done int, err error) {
	var errno syscall.Errno
	err = p.socket.Write(func(fd uintptr) bool {
		for done < len(b) {
			var n int
			n, errno = writeNow(int(fd), b[done:], more)
			done += n
			if errno != 0 && errno != syscall.EINTR {
				return errno != syscall.EAGAIN
			}
		}
		return true
	})
	switch {
	case err != nil:
		return done, p.failed("write", err)
	case done < len(b):
		return done, p.failed("write", errno)
	}
	return done, nil
}

// failed words an error as that of an ordinary read or write.
func (p *plain) failed(op string, err error) error {
	if raw, ok := err.(*net.OpError); ok { //nolint:errorlint // it is the socket's own
		err = raw.Err
	}
	return &net.OpError{Op: op, Net: "tcp", Source: p.LocalAddr(), Addr: p.RemoteAddr(), Err: err}
}
