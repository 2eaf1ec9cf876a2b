package ssh

import (
	"io"
	"net"
	"syscall"
	"testing"
)

// promptly reports whether the kernel acknowledges what comes in at once (tcp(7),
// TCP_QUICKACK).
func promptly(t *testing.T, c *net.TCPConn) bool {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var quick int
	if e := raw.Control(func(fd uintptr) {
		quick, err = syscall.GetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_QUICKACK)
	}); e != nil || err != nil {
		t.Fatal(e, err)
	}
	return quick == 1
}

func TestTheFirstMessagesAreAcknowledgedAtOnce(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	near, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer near.Close()
	far, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	b := newBufferedConn(near)
	var one [1]byte
	// exchange has the kernel take the connection for one of questions and answers.
	exchange := func(read io.Reader) {
		for _, err := range []error{failed(far.Write(one[:])), failed(io.ReadFull(read, one[:])), failed(near.Write(one[:])), failed(io.ReadFull(far, one[:]))} {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	for promptly(t, near.(*net.TCPConn)) {
		exchange(near)
	}
	for range promptReads {
		if _, err := far.Write(one[:]); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Read(one[:]); err != nil {
			t.Fatal(err)
		}
		if !promptly(t, near.(*net.TCPConn)) {
			t.Fatal("a message at the start waits for its acknowledgement")
		}
	}
	// What follows is the kernel's affair again.
	for promptly(t, near.(*net.TCPConn)) {
		exchange(b)
	}
}

func failed(_ int, err error) error { return err }
