package ssh

import (
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport-gateway/sallyport/internal/proto/ssh/wire"
)

// agentConn is the agent's end of a channel, as the gate sees it: a connection that
// is written frames. It is made before the channel is accepted, so that the session
// can be opened, and refused, first.
type agentConn struct {
	client net.Conn // for its addresses
	ch     atomic.Pointer[ssh.Channel]
	// writing is held by Write: the library's channels share a buffer among writers
	// of one stream.
	writing sync.Mutex
	// asked is the request that a Reply frame answers; nil when none waits.
	asked atomic.Pointer[ssh.Request]
}

// accepted is called once the client may use the channel.
func (c *agentConn) accepted(ch ssh.Channel) { c.ch.Store(&ch) }

// Write applies whole frames to the channel.
func (c *agentConn) Write(b []byte) (int, error) {
	ch := c.ch.Load()
	if ch == nil {
		return 0, net.ErrClosed
	}
	c.writing.Lock()
	defer c.writing.Unlock()
	for rest := b; len(rest) > 0; {
		var f wire.Frame
		var err error
		if f, rest, err = wire.Next(rest); err != nil {
			return 0, err
		}
		if err := c.apply(*ch, f); err != nil {
			return 0, err
		}
	}
	return len(b), nil
}

func (c *agentConn) apply(ch ssh.Channel, f wire.Frame) error {
	switch f.Kind {
	case wire.Output:
		_, err := ch.Write(f.Payload)
		return err
	case wire.ErrorOutput:
		_, err := ch.Stderr().Write(f.Payload)
		return err
	case wire.Reply:
		ok, err := wire.DecodeReply(f.Payload)
		if err != nil {
			return err
		}
		if r := c.asked.Swap(nil); r != nil && r.WantReply {
			return r.Reply(ok, nil)
		}
		return nil
	case wire.Request:
		name, _, data, err := wire.DecodeRequest(f.Payload)
		if err != nil {
			return err
		}
		_, err = ch.SendRequest(name, false, data)
		return err
	case wire.EOF:
		if err := ch.CloseWrite(); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		return nil
	case wire.Close:
		if err := ch.Close(); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		return nil
	default:
		return wire.ErrFrame
	}
}

// Read implements net.Conn. What the agent sends is read from the channel itself.
func (c *agentConn) Read([]byte) (int, error) { return 0, net.ErrClosed }

// Close closes the channel.
func (c *agentConn) Close() error {
	if ch := c.ch.Load(); ch != nil {
		return (*ch).Close()
	}
	return nil
}

// LocalAddr implements net.Conn.
func (c *agentConn) LocalAddr() net.Addr { return c.client.LocalAddr() }

// RemoteAddr implements net.Conn.
func (c *agentConn) RemoteAddr() net.Addr { return c.client.RemoteAddr() }

// SetDeadline implements net.Conn; the library's channels have no deadlines.
func (c *agentConn) SetDeadline(time.Time) error { return nil }

// SetReadDeadline implements net.Conn.
func (c *agentConn) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline implements net.Conn.
func (c *agentConn) SetWriteDeadline(time.Time) error { return nil }
