package postgres

import (
	"encoding/binary"
	"errors"

	"github.com/sallyport-gateway/sallyport/internal/gate"
	"github.com/sallyport-gateway/sallyport/internal/proto/postgres/wire"
	sql "github.com/sallyport-gateway/sallyport/internal/sql/postgres"
)

// copied checks and passes on the target's messages of COPY.
func (s *session) copied(front *expect, typ byte, n int) error {
	runs := front.typ == wire.Query || front.typ == wire.Execute
	switch typ {
	case wire.CopyOutResponse:
		// A target cannot begin a COPY that was not asked for: a client would take
		// the data, or send some (bypass: a target that lies).
		if !runs || front.copying != 0 || !copies(front.shape, sql.KindCopyOut) {
			return s.lie("unexpected CopyOutResponse")
		}
		front.copying = wire.CopyOutResponse
	case wire.CopyInResponse:
		if !runs || front.copying != 0 || front.stream == nil || !copies(front.shape, sql.KindCopyIn) {
			return s.lie("unexpected CopyInResponse")
		}
		front.copying = wire.CopyInResponse
		if err := s.pass(typ, n); err != nil {
			return err
		}
		return errCopyIn
	default:
		if !runs || front.copying != wire.CopyOutResponse {
			return s.lie("unexpected COPY data")
		}
		if typ == wire.CopyDone {
			break
		}
		front.rows++
		front.bytes += int64(n)
		if s.overLimit(front) || front.muted != nil {
			return s.targetError(s.out.discard(n))
		}
	}
	return s.pass(typ, n)
}

func copies(shape *sql.Shape, kind sql.Kind) bool {
	if shape == nil {
		return false
	}
	for i := range shape.Statements {
		if shape.Statements[i].Kind == kind {
			return true
		}
	}
	return false
}

// copyIn passes data from the client to the target until either ends it. The
// target's answers are passed on by a second goroutine meanwhile: a target that
// sends notices while nobody reads them would stop reading itself.
func (s *session) copyIn() error {
	front := &s.queue[0]
	stream, extended := front.stream, front.typ == wire.Execute
	if extended {
		// While it takes data the server ignores Sync, also one that came before it
		// asked (PostgreSQL documentation, "COPY Operations").
		for len(s.queue) > 1 && s.queue[1].typ == wire.Sync {
			s.queue = append(s.queue[:1], s.queue[2:]...)
		}
	}
	if err := s.sure(); err != nil {
		return err
	}
	// What stands behind it in a pipeline is not run: the server takes it for data that
	// it does not expect.
	s.prover.doubts, s.prover.told = s.prover.doubts[:0], false
	if err := s.flush(); err != nil {
		return err
	}
	s.gate.Block() // until the session is idle again: two goroutines wait from now on
	answered := make(chan error, 1)
	go func() { // ends with the COPY, or with the session
		err := errPanicked
		defer func() { answered <- err }()
		defer s.recovered()
		err = s.drive()
	}()
	return s.copyData(stream, extended, answered)
}

// copyData reads the client's side of a COPY. In the extended protocol the
// server keeps its answer to the end of the data until a Sync, which the client
// may have sent before the data; so it is asked for.
func (s *session) copyData(stream *gate.Stream, extended bool, answered chan error) error {
	for {
		if s.in.buffered() == 0 {
			if err := s.up.Flush(); err != nil {
				return s.join(answered, err)
			}
		}
		typ, n, err := s.in.header()
		if err != nil {
			return s.join(answered, s.clientError(err))
		}
		select {
		case err := <-answered:
			// The target ended it (an error). What the client sends after that is an
			// ordinary message; data still on its way is ignored there.
			s.in.unread()
			return s.afterCopy(err)
		default:
		}
		switch typ {
		case wire.CopyData:
			err = s.input(stream, typ, n)
		case wire.CopyDone, wire.CopyFail:
			if typ == wire.CopyDone && n != 0 || n > maxSQL {
				return s.join(answered, s.violation("invalid message at the end of COPY"))
			}
			err = s.input(stream, typ, n)
			if err == nil && extended {
				err = s.up.Control(controlFlush)
			}
			if err == nil {
				err = s.up.Flush()
			}
			if err == nil {
				return s.afterCopy(<-answered)
			}
		case wire.Sync, wire.Flush:
			err = s.clientError(s.in.discard(n))
		case wire.Terminate:
			return s.join(answered, s.clientError(errTerminate))
		default:
			return s.join(answered, s.violation("unexpected message type 0x%02X during COPY from stdin", typ))
		}
		if err != nil {
			return s.join(answered, err)
		}
	}
}

// join waits for the goroutine of copyIn after the session has ended.
func (s *session) join(answered chan error, err error) error {
	if s.gate.Err() == nil {
		s.gate.End(gate.EndClosed, err)
	}
	<-answered
	return err
}

// afterCopy goes on where drive stopped for the COPY.
func (s *session) afterCopy(err error) error {
	if errors.Is(err, errCopyIn) { // the same text holds another COPY FROM STDIN
		return s.copyIn()
	}
	return err
}

// input passes one message of the client's data on, in pieces if it is long.
func (s *session) input(stream *gate.Stream, typ byte, n int) error {
	head := append(s.messageBuffer(), typ)
	s.msg = binary.BigEndian.AppendUint32(head, uint32(n+4)) //nolint:gosec // header bounds n
	for first := true; first || n > 0; first = false {
		if n > 0 {
			room := messageSize - len(s.msg)
			b, err := s.in.chunk(min(n, room))
			if err != nil {
				return s.clientError(err)
			}
			n -= len(b)
			s.msg = append(s.msg, b...)
		}
		if err := stream.Write(s.msg); err != nil {
			return s.gateError(err)
		}
		s.msg = s.msg[:0]
	}
	return nil
}
