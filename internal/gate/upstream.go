package gate

import (
	"errors"
	"net"
	"time"
)

// sendBuffer is how many bytes an Upstream collects before it writes by itself.
const sendBuffer = 32 << 10

// ErrPermit is the error for bytes that no unused Permit of this session covers.
var ErrPermit = errors.New("gate: no permit for these bytes")

// Upstream is the logged-in connection to a target. It takes bytes only against
// a Permit. Send, Open, Control and Flush belong to the goroutine that serves
// the session; Read may be called by another one; Interrupt by any.
type Upstream struct {
	s        *Session
	conn     net.Conn
	controls [][]byte
	out      []byte // collected, not yet written
}

// Send uses up the permit and queues b for the target. It refuses a zero, used
// or foreign permit. Call Flush to put queued bytes on the wire.
func (u *Upstream) Send(p Permit, b []byte) error {
	if err := u.use(p); err != nil {
		return err
	}
	return u.queue(b)
}

// Open uses up the permit of a command whose Follow is not zero, queues b as
// Send does, and returns the stream for the rest of the command's bytes.
func (u *Upstream) Open(p Permit, b []byte) (Stream, error) {
	if p.s == nil || p.s.follow == FollowNothing {
		return Stream{}, ErrPermit
	}
	if err := u.use(p); err != nil {
		return Stream{}, err
	}
	return Stream{u: u, command: p.n, input: u.s.follow == FollowInput}, u.queue(b)
}

func (u *Upstream) use(p Permit) error {
	if p.s == nil || p.s != u.s || p.n == 0 || p.n != u.s.permit {
		return ErrPermit
	}
	u.s.permit = 0
	return u.s.Err()
}

// Control queues the i-th of the fixed messages given to Dial.
func (u *Upstream) Control(i int) error {
	if err := u.s.Err(); err != nil {
		return err
	}
	return u.queue(u.controls[i])
}

// queue keeps the order of messages and copies b.
func (u *Upstream) queue(b []byte) error {
	if len(u.out)+len(b) > sendBuffer {
		if err := u.Flush(); err != nil {
			return err
		}
		if len(b) > sendBuffer {
			return u.write(b)
		}
	}
	if u.out == nil {
		u.out = getBuffer()
	}
	u.out = append(u.out, b...)
	return nil
}

// Flush writes what is queued. An error ends the session.
func (u *Upstream) Flush() error {
	if u.out == nil {
		return nil
	}
	err := u.write(u.out)
	putBuffer(u.out)
	u.out = nil
	return err
}

// Queued returns how many bytes wait for Flush.
func (u *Upstream) Queued() int { return len(u.out) }

// write commits the recording first: nothing is forwarded that is not on record.
func (u *Upstream) write(b []byte) error {
	if err := u.s.commit(); err != nil {
		return err
	}
	if _, err := u.conn.Write(b); err != nil {
		u.s.End(EndTarget, err)
		return u.s.Err()
	}
	return nil
}

// Read reads what the target sent.
func (u *Upstream) Read(b []byte) (int, error) { return u.conn.Read(b) }

// gatherer is a connection that can wait for more than one byte.
type gatherer interface {
	Gather(b []byte, n int, wait time.Duration) (int, error)
}

// Gather reads like Read. It waits for no longer than the given time, and until n
// bytes are there if the connection can. The deadline of reads is to be set again.
func (u *Upstream) Gather(b []byte, n int, wait time.Duration) (int, error) {
	if g, ok := u.conn.(gatherer); ok {
		return g.Gather(b, n, wait)
	}
	_ = u.conn.SetReadDeadline(time.Now().Add(wait))
	return u.conn.Read(b)
}

// SetReadDeadline bounds the next Read; the zero time lifts the bound.
func (u *Upstream) SetReadDeadline(t time.Time) error { return u.conn.SetReadDeadline(t) }

// Interrupt makes a Read or write that is blocked return, and every later one
// fail. The connection stays open until Close.
func (u *Upstream) Interrupt() { _ = u.conn.SetDeadline(time.Unix(1, 0)) }

// Close closes the connection to the target.
func (u *Upstream) Close() error { return u.conn.Close() }

// Stream carries the further bytes of one permitted command: COPY data, exec
// input, a request body. The zero Stream takes nothing. It belongs to the
// goroutine that serves the session.
type Stream struct {
	u       *Upstream
	command uint64
	input   bool // the bytes are the agent's, so they are recorded
}

// Command returns the number of the stream's command, for Answer.
func (t *Stream) Command() uint64 { return t.command }

// Write queues b for the target. On a FollowInput stream b is first recorded as
// the agent's input.
func (t *Stream) Write(b []byte) error { return t.WriteContent(b, b) }

// WriteContent is Write for bulk content (a file): kept stands in the recording
// for b, as in [Session.AnswerContent].
func (t *Stream) WriteContent(b, kept []byte) error {
	if t.u == nil {
		return ErrPermit
	}
	s := t.u.s
	if err := s.Err(); err != nil {
		return err
	}
	if !t.input || len(kept) == 0 {
		return t.u.queue(b)
	}
	if err := s.append(Event{Kind: EventInput, Command: t.command, Data: kept}, nil); err != nil {
		return err
	}
	return t.u.queue(b)
}

// End closes the stream: it takes nothing any more.
func (t *Stream) End() { t.u = nil }
