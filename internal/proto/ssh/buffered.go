package ssh

import (
	"bufio"
	"net"
	"syscall"
)

// readBuffer holds some packets of 32 KiB, so that a bulk transfer needs few system
// calls. It is allocated when there is more than a small read.
const (
	smallBuffer = 4 << 10
	readBuffer  = 128 << 10
)

// bufferedConn reads ahead. The SSH library reads a packet in small pieces: its
// length, its body, its tag.
type bufferedConn struct {
	net.Conn
	in   *bufio.Reader
	full int // reads in a row that filled the small buffer

	socket syscall.RawConn // nil where Conn is none
	prompt int             // reads that are still to be acknowledged at once
	batch  batcher         // nil where Conn is none
}

func newBufferedConn(c net.Conn) *bufferedConn {
	b := &bufferedConn{Conn: c, prompt: promptReads}
	if s, ok := c.(syscall.Conn); ok {
		b.socket, _ = s.SyscallConn() // nil with an error
	}
	b.batch, _ = c.(batcher)
	b.in = bufio.NewReaderSize(promptReader{b}, smallBuffer)
	return b
}

// Read implements io.Reader.
func (c *bufferedConn) Read(b []byte) (int, error) {
	if c.in.Size() == smallBuffer && c.in.Buffered() == 0 {
		if len(b) >= smallBuffer {
			c.full++
		}
		if c.full > bulkReads {
			c.in = bufio.NewReaderSize(promptReader{c}, readBuffer)
		}
	}
	return c.in.Read(b)
}

// writeBuffer is the buffer of the SSH library's writes. Packets have other lengths:
// their bytes are 4 more than a multiple of 16.
const writeBuffer = 4096

// Write implements io.Writer. The library writes a large packet in two pieces, a full
// buffer and the rest: the peer need not be woken for the first.
func (c *bufferedConn) Write(b []byte) (int, error) {
	if len(b) == writeBuffer && c.batch != nil {
		c.batch.Batch(len(b) + 1)
	}
	return c.Conn.Write(b)
}

// batcher is a connection that can be told that the next n bytes belong together.
type batcher interface{ Batch(n int) }

// bulkReads is after how many large packets the connection counts as one that
// carries bulk.
const bulkReads = 16

// promptReads are more reads than a log-in and the start of the first program take.
const promptReads = 64

// promptReader reads from the connection, and acknowledges at once what comes first.
// OpenSSH, on either side, leaves Nagle's algorithm on until its first program: of two
// small messages in a row it holds the second back until the first is acknowledged,
// which a kernel puts off by 40 ms where there is nothing to answer.
type promptReader struct{ c *bufferedConn }

func (p promptReader) Read(b []byte) (int, error) {
	n, err := p.c.Conn.Read(b)
	if p.c.prompt > 0 && p.c.socket != nil {
		p.c.prompt--
		acknowledge(p.c.socket)
	}
	return n, err
}
