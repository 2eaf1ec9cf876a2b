package ssh

import (
	"bufio"
	"net"
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
}

func newBufferedConn(c net.Conn) *bufferedConn {
	return &bufferedConn{Conn: c, in: bufio.NewReaderSize(c, smallBuffer)}
}

// Read implements io.Reader.
func (c *bufferedConn) Read(b []byte) (int, error) {
	if c.in.Size() == smallBuffer && c.in.Buffered() == 0 {
		if len(b) >= smallBuffer {
			c.full++
		}
		if c.full > bulkReads {
			c.in = bufio.NewReaderSize(c.Conn, readBuffer)
		}
	}
	return c.in.Read(b)
}

// bulkReads is after how many large packets the connection counts as one that
// carries bulk.
const bulkReads = 16
