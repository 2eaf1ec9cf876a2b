package corpus

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// maxMessage bounds one message; the largest of the corpora are kilobytes.
const maxMessage = 64 << 20

// patience is how long a read or a write may take.
const patience = 10 * time.Second

// frame is one message of the server: its type and its body.
type frame struct {
	typ  byte
	body []byte
}

// decodeFrame takes one message off b; ok is false if it is not all there yet.
func decodeFrame(b []byte) (f frame, rest []byte, ok bool, err error) {
	if len(b) < 5 {
		return frame{}, b, false, nil
	}
	n := binary.BigEndian.Uint32(b[1:])
	if n < 4 || n > maxMessage {
		return frame{}, b, false, fmt.Errorf("a message %q of %d bytes", b[0], n)
	}
	if uint32(len(b)) < n+1 {
		return frame{}, b, false, nil
	}
	return frame{b[0], bytes.Clone(b[5 : n+1])}, b[n+1:], true, nil
}

// errField says that a message is shorter than what it says of itself.
var errField = errors.New("a field reaches past its message")

// dataFields are the values of a DataRow; nil is NULL.
func dataFields(body []byte) ([][]byte, error) {
	if len(body) < 2 {
		return nil, errField
	}
	out := make([][]byte, binary.BigEndian.Uint16(body))
	b := body[2:]
	for i := range out {
		if len(b) < 4 {
			return nil, errField
		}
		n := int32(binary.BigEndian.Uint32(b))
		b = b[4:]
		if n < 0 {
			continue
		}
		if int(n) > len(b) {
			return nil, errField
		}
		out[i], b = b[:n:n], b[n:]
	}
	return out, nil
}

// appendFrame appends a message of the client.
func appendFrame(dst []byte, typ byte, parts ...[]byte) []byte {
	n := 4
	for _, p := range parts {
		n += len(p)
	}
	dst = binary.BigEndian.AppendUint32(append(dst, typ), uint32(n))
	for _, p := range parts {
		dst = append(dst, p...)
	}
	return dst
}

// cstring is a text with its end.
func cstring[T ~[]byte | ~string](s T) []byte { return append([]byte(s), 0) }

func uint16s(values ...int) []byte {
	var b []byte
	for _, v := range values {
		b = binary.BigEndian.AppendUint16(b, uint16(v))
	}
	return b
}

// login is how a connection begins.
type login struct {
	address        string
	user, database string
	// token is the password; with one the connection uses TLS, without one the
	// server must trust.
	token   string
	startup map[string]string
}

// conn is a client's connection. It keeps every message that it got.
type conn struct {
	net   net.Conn
	buf   []byte
	got   []frame
	start []frame // what the log-in was answered with
	// dead: the server closed the connection, or nothing came in time.
	dead    bool
	timeout time.Duration
	token   string
}

// connect logs in. A server that refuses leaves a dead connection; the error is
// for one that cannot be spoken to.
func connect(l login) (*conn, error) {
	d := net.Dialer{Timeout: patience}
	n, err := d.Dial("tcp", l.address)
	if err != nil {
		return nil, err
	}
	c := &conn{net: n, timeout: patience, token: l.token}
	if err := c.begin(l); err != nil {
		_ = n.Close()
		return nil, err
	}
	return c, nil
}

func (c *conn) begin(l login) error {
	if l.token != "" {
		if err := c.secure(); err != nil {
			return err
		}
	}
	body := binary.BigEndian.AppendUint32(nil, 3<<16) // protocol 3.0
	params := map[string]string{"user": l.user, "database": l.database, "application_name": "corpus"}
	order := []string{"user", "database", "application_name"}
	for _, name := range sortedKeys(l.startup) {
		if _, ok := params[name]; !ok {
			order = append(order, name)
		}
		params[name] = l.startup[name]
	}
	for _, name := range order {
		body = append(append(body, cstring(name)...), cstring(params[name])...)
	}
	body = append(body, 0)
	if err := c.write(append(binary.BigEndian.AppendUint32(nil, uint32(len(body)+4)), body...)); err != nil {
		return err
	}
	var err error
	c.start, err = c.until()
	return err
}

// secure asks for TLS. The certificate is not checked: the corpus is about what
// comes through, and runs on loopback.
func (c *conn) secure() error {
	request := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, 8), 80877103)
	if err := c.write(request); err != nil {
		return err
	}
	var answer [1]byte
	if _, err := io.ReadFull(c.net, answer[:]); err != nil || answer[0] != 'S' {
		return fmt.Errorf("the gateway refused TLS: %q %v", answer[0], err)
	}
	t := tls.Client(c.net, &tls.Config{InsecureSkipVerify: true})
	if err := t.Handshake(); err != nil {
		return err
	}
	c.net = t
	return nil
}

func (c *conn) write(b []byte) error {
	_ = c.net.SetWriteDeadline(time.Now().Add(c.timeout))
	_, err := c.net.Write(b)
	return err
}

// next returns the next message. At the end of the connection, or when nothing
// comes in time, ok is false and the connection is dead.
func (c *conn) next() (f frame, ok bool, err error) {
	for {
		f, rest, ok, err := decodeFrame(c.buf)
		if err != nil {
			c.dead = true
			return frame{}, false, err
		}
		if ok {
			c.buf = rest
			c.got = append(c.got, f)
			return f, true, nil
		}
		_ = c.net.SetReadDeadline(time.Now().Add(c.timeout))
		chunk := make([]byte, 64<<10)
		n, err := c.net.Read(chunk)
		c.buf = append(c.buf, chunk[:n]...)
		if err != nil && n == 0 {
			c.dead = true
			return frame{}, false, nil
		}
	}
}

// until reads to the next message after which it is the client's turn:
// ReadyForQuery, CopyInResponse, CopyBothResponse. It answers the gateway's
// question for the password.
func (c *conn) until() ([]frame, error) {
	var out []frame
	for {
		f, ok, err := c.next()
		if err != nil || !ok {
			return out, err
		}
		out = append(out, f)
		switch f.typ {
		case 'Z', 'G', 'W':
			return out, nil
		case 'R':
			switch {
			case bytes.HasPrefix(f.body, []byte{0, 0, 0, 0}):
			case c.token != "" && bytes.HasPrefix(f.body, []byte{0, 0, 0, 3}):
				if err := c.write(appendFrame(nil, 'p', cstring(c.token))); err != nil {
					c.dead = true
					return out, nil
				}
			default:
				c.dead = true
				return out, errors.New("the server wants another authentication: it must trust")
			}
		}
	}
}

func (c *conn) close() {
	_ = c.write(appendFrame(nil, 'X'))
	_ = c.net.Close()
}
