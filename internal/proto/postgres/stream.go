package postgres

import (
	"encoding/binary"
	"time"

	"github.com/sallyport-gateway/sallyport/internal/proto/postgres/wire"
)

// A result that streams is passed on in pieces of at least pieceSize, unless the
// target pauses for longer than pieceWait: each piece is a write to the recording
// and one to the client, whatever its size. Of a large result gatherSize is waited
// for at a time, because each read may be a wake-up. A pause of up to pauseWait is no
// reason to go back to the loop.
const (
	streaming  = 64 << 10 // bytes of one answer from which on it streams
	pieceSize  = 24 << 10
	pieceWait  = time.Millisecond
	large      = 1 << 20   // bytes of one answer from which on it is large
	gatherSize = 128 << 10 // two of them fit the buffer
	pauseWait  = 20 * time.Millisecond
)

// gather is called when nothing whole is buffered of a result that streams. It
// waits a moment for much, and then, when it has sent what was collected, for as
// long as it takes.
func (s *session) gather() error {
	s.gate.Block() // a stream is no exchange: the others need not wait for its turns
	if len(s.ans) >= pieceSize {
		if err := s.flush(); err != nil {
			return err
		}
	}
	size := 1
	if s.queue[0].bytes >= large {
		size = gatherSize
	}
	err := s.more(size, pieceWait)
	if timeout(err) {
		if err := s.flush(); err != nil { // also notices a session that was ended meanwhile
			return err
		}
		err = s.more(1, pauseWait)
	}
	if timeout(err) {
		err = s.out.fill()
	}
	return s.targetError(err)
}

// more reads once, when size bytes have come or the time is over.
func (s *session) more(size int, wait time.Duration) error {
	err := s.out.gather(func(b []byte) (int, error) { return s.up.Gather(b, size, wait) })
	s.limitStatement()
	return err
}

// pass passes a message of n bytes on as it is. A long one goes in pieces.
func (s *session) pass(typ byte, n int) error {
	dst := s.answers()
	if len(dst)+wire.HeaderSize+n > messageSize {
		if err := s.flush(); err != nil {
			return err
		}
		dst = s.ans
	}
	dst = append(dst, typ)
	dst = binary.BigEndian.AppendUint32(dst, uint32(n+4)) //nolint:gosec // header bounds n
	if n <= messageSize-wire.HeaderSize {
		body, err := s.out.body(n)
		if err != nil {
			return s.targetError(err)
		}
		s.ans = append(dst, body...)
		return nil
	}
	s.ans, s.within = dst, true
	for n > 0 {
		b, err := s.out.chunk(n)
		if err != nil {
			return s.targetError(err)
		}
		n -= len(b)
		if len(s.ans)+len(b) > messageSize {
			if err := s.flush(); err != nil {
				return err
			}
		}
		s.ans = append(s.ans, b...)
	}
	s.within = false
	return nil
}

// row passes on a DataRow: the message there are millions of.
func (s *session) row(n int) error {
	front := &s.queue[0]
	if front.typ != wire.Execute && (front.typ != wire.Query || front.columns < 0) || front.copying != 0 {
		return s.lie("unexpected DataRow")
	}
	for s.out.buffered() < 2 {
		if err := s.out.fill(); err != nil {
			return s.targetError(err)
		}
	}
	columns := int(binary.BigEndian.Uint16(s.out.buf[s.out.r:]))
	if front.columns < 0 {
		front.columns = columns
	}
	if columns != front.columns || n < 2+4*columns {
		return s.lie("a row of %d columns where %d were announced", columns, front.columns)
	}
	front.rows++
	front.bytes += int64(n)
	if s.overLimit(front) || front.muted != nil {
		return s.targetError(s.out.discard(n))
	}
	return s.pass(wire.DataRow, n)
}

// bulk passes on as many whole rows, or pieces of COPY data, as are buffered, in
// one piece. It reports false when the next message is none, or is not there as a
// whole, or needs more care than being counted.
func (s *session) bulk() (bool, error) {
	front := &s.queue[0]
	b := s.out.buf[s.out.r:s.out.w]
	typ := b[0]
	switch {
	case front.muted != nil:
		return false, nil
	case typ == wire.DataRow && front.columns >= 0 && front.copying == 0 && (front.typ == wire.Query || front.typ == wire.Execute):
	case typ == wire.CopyData && front.copying == wire.CopyOutResponse:
	default:
		return false, nil
	}
	n := 0
	for len(b)-n >= wire.HeaderSize+2 && b[n] == typ {
		size := int(binary.BigEndian.Uint32(b[n+1:])) + 1
		if size > len(b)-n || size < wire.HeaderSize {
			break
		}
		if typ == wire.DataRow {
			columns := int(binary.BigEndian.Uint16(b[n+wire.HeaderSize:]))
			if columns != front.columns || size < wire.HeaderSize+2+4*columns {
				break // row says what is wrong
			}
		}
		front.rows++
		front.bytes += int64(size - wire.HeaderSize)
		if s.overLimit(front) {
			front.rows, front.bytes = front.rows-1, front.bytes-int64(size-wire.HeaderSize)
			break
		}
		n += size
	}
	if n == 0 {
		return false, nil
	}
	s.out.r += n
	if n >= pieceSize && len(s.prover.doubts) == 0 {
		if err := s.flush(); err != nil {
			return true, err
		}
		return true, s.gate.Answer(front.command, b[:n])
	}
	if len(s.answers())+n > messageSize {
		if err := s.flush(); err != nil {
			return true, err
		}
	}
	s.ans = append(s.ans, b[:n]...)
	return true, nil
}

// overLimit stops a statement that answers more than the target's limits allow.
func (s *session) overLimit(e *expect) bool {
	l := &s.gate.Target.Limits
	if e.muted != nil {
		return false
	}
	switch {
	case l.Rows > 0 && e.rows > l.Rows:
		e.muted = fault(codeLimit, "the statement returns more than the %d rows that target %q allows", l.Rows, s.gate.Target.Name)
	case l.Bytes > 0 && e.bytes > l.Bytes:
		e.muted = fault(codeLimit, "the statement returns more than the %d bytes that target %q allows", l.Bytes, s.gate.Target.Name)
	default:
		return false
	}
	e.muted.Hint = "Ask for less: a LIMIT, an aggregate, a narrower WHERE."
	go s.signal() // bounded by cancelTimeout; the target answers with an error
	return true
}
