package postgres

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport-gateway/sallyport/internal/gate"
	"github.com/sallyport-gateway/sallyport/internal/proto/postgres/wire"
)

// drive passes on what the target answers until it owes nothing more, or until
// it asks for COPY data (errCopyIn).
func (s *session) drive() error {
	s.running.Store(true)
	defer s.running.Store(false)
	for len(s.queue) > 0 {
		if s.queue[0].kept {
			s.pop()
			s.ans = append(s.answers(), wire.ParseComplete, 0, 0, 0, 4)
			continue
		}
		if front := &s.queue[0]; front.marks {
			s.prover.mark, front.marks = len(s.ans), false
		}
		if s.queue[0].bytes >= streaming && !s.out.whole() {
			if err := s.gather(); err != nil {
				return err
			}
			continue
		}
		if s.out.buffered() < wire.HeaderSize {
			if err := s.flush(); err != nil {
				return err
			}
		} else if passed, err := s.bulk(); passed || err != nil {
			if err != nil {
				return err
			}
			continue
		}
		typ, n, err := s.out.header()
		if err != nil {
			return s.targetError(err)
		}
		if typ == wire.DataRow && s.queue[0].ask == nil {
			err = s.row(n)
		} else {
			err = s.handle(typ, n)
		}
		if err != nil {
			return err
		}
	}
	return s.flush()
}

// errCopyIn stops drive: the target waits for data of the client.
var errCopyIn = errors.New("copy in")

// exchange puts what is queued on the wire and passes on the answers.
func (s *session) exchange() error {
	if len(s.queue) == 0 {
		return s.flush()
	}
	s.running.Store(true)
	if err := s.up.Flush(); err != nil {
		return err
	}
	s.started = true
	if s.gate.Target.Limits.Statement > 0 {
		s.began = time.Now()
		s.limitStatement()
	}
	err := s.drive()
	if errors.Is(err, errCopyIn) {
		return s.copyIn()
	}
	return err
}

// settle makes the target answer everything it was sent so far.
func (s *session) settle() error {
	if len(s.queue) == 0 {
		return s.flush()
	}
	if err := s.askAll(false); err != nil {
		return err
	}
	if err := s.up.Control(controlFlush); err != nil {
		return err
	}
	if err := s.exchange(); err != nil {
		return err
	}
	if s.prover.replaying {
		return s.rewind()
	}
	s.twins.wanted = nil // what comes before a Sync may not be what came before now
	ok, f, err := s.outcome()
	switch {
	case err != nil:
		return err
	case ok:
		return s.flush()
	case f == nil:
		f = changedFault()
	}
	if s.skip { // the target skips already
		s.ans = f.Append(s.answers(), wire.ErrorResponse)
		return s.flush()
	}
	return s.fail(f)
}

// answers returns the buffer for answers.
func (s *session) answers() []byte {
	if s.ans == nil {
		s.ans = getMessage()
	}
	return s.ans
}

// flush sends the collected answers.
func (s *session) flush() error {
	if len(s.ans) == 0 || s.block && len(s.queue) == 0 && len(s.ans) < maxHeld {
		return nil // in a block of the gateway's own it may not be committed
	}
	if len(s.prover.doubts) > 0 {
		if len(s.ans)-s.prover.mark < maxHeld {
			return nil
		}
		if len(s.queue) == 0 || !s.queue[0].sure {
			if err := s.sure(); err != nil {
				return err
			}
		}
		if len(s.queue) > 0 {
			s.queue[0].sure = s.queue[0].answering()
		}
		s.prover.mark = 0
	}
	var command uint64
	if len(s.queue) > 0 {
		command = s.queue[0].command
	} else {
		command = s.last
	}
	err := s.gate.Answer(command, s.ans)
	s.ans, s.partial = s.ans[:0], s.within
	return err
}

// handle checks a message of the target against what it owes, and passes it on.
func (s *session) handle(typ byte, n int) error {
	front := &s.queue[0]
	if front.ask != nil {
		return s.asked(front, typ, n)
	}
	switch typ {
	case wire.ReadyForQuery:
		return s.ready(front, n)
	case wire.ErrorResponse:
		return s.failed(front, n)
	case wire.NoticeResponse:
		return s.notice(front, n)
	case wire.ParameterStatus:
		return s.parameter(n)
	case wire.NotificationResponse:
		return s.notified(n)
	case wire.CommandComplete, wire.EmptyQueryResponse, wire.PortalSuspended:
		return s.complete(front, typ, n)
	case wire.RowDescription, wire.NoData, wire.ParameterDescription:
		return s.described(front, typ, n)
	case wire.ParseComplete, wire.BindComplete, wire.CloseComplete:
		return s.confirmed(front, typ, n)
	case wire.CopyInResponse, wire.CopyOutResponse, wire.CopyData, wire.CopyDone:
		return s.copied(front, typ, n)
	default:
		return s.lie("unexpected message %q", typ)
	}
}

// notified passes on a notification that the session has asked for.
func (s *session) notified(n int) error {
	if s.listening {
		return s.pass(wire.NotificationResponse, n)
	}
	return s.targetError(s.out.discard(n))
}

// confirmed: the target took a Parse, Bind or Close, so the registry keeps the
// change.
func (s *session) confirmed(front *expect, typ byte, n int) error {
	var want byte
	switch front.typ {
	case wire.Parse:
		want = wire.ParseComplete
	case wire.Bind:
		want = wire.BindComplete
	case wire.Close:
		want = wire.CloseComplete
	case wire.Query:
		if front.twin != nil && typ == wire.BindComplete && n == 0 {
			front.twin, front.parameters = nil, true // it runs
			return nil
		}
	}
	if typ != want || front.refusal != nil || n != 0 {
		return s.lie("unexpected message %q", typ)
	}
	if front.twin != nil {
		s.prover.replay = nil // what follows runs
	}
	s.pop()
	return s.pass(typ, n)
}

func (s *session) described(front *expect, typ byte, n int) error {
	switch {
	case front.typ == wire.Describe && front.kind == 'S' && !front.half && typ == wire.ParameterDescription:
		front.half = true
		return s.pass(typ, n)
	case front.typ == wire.Describe && (front.kind == 'P' || front.half) && typ != wire.ParameterDescription:
	case front.typ == wire.Query && typ == wire.RowDescription && front.copying == 0:
	default:
		return s.lie("unexpected message %q", typ)
	}
	columns := 0
	if typ == wire.RowDescription {
		for s.out.buffered() < 2 {
			if err := s.out.fill(); err != nil {
				return s.targetError(err)
			}
		}
		columns = int(binary.BigEndian.Uint16(s.out.buf[s.out.r:]))
	}
	if front.typ == wire.Query {
		front.columns = columns
	} else {
		if front.result != nil {
			*front.result = columns
		}
		s.pop()
	}
	return s.pass(typ, n)
}

// complete: a statement is done, or its portal has more rows.
func (s *session) complete(front *expect, typ byte, n int) error {
	if front.typ != wire.Query && front.typ != wire.Execute {
		return s.lie("unexpected message %q", typ)
	}
	tag := "EMPTY"
	switch typ {
	case wire.PortalSuspended:
		tag = "SUSPENDED"
		if front.typ == wire.Query {
			return s.lie("unexpected PortalSuspended")
		}
	case wire.CommandComplete:
		if n > maxTarget {
			return s.lie("a command tag of %d bytes", n)
		}
		body, err := s.out.body(n)
		if err != nil {
			return s.targetError(err)
		}
		text, err := wire.DecodeCommandComplete(body)
		if err != nil {
			return s.lie("malformed CommandComplete")
		}
		tag = tagOf(text)
	}
	if front.muted != nil { // it ended before the cancellation came
		s.gate.End(gate.EndProtocol, fatal(codeLimit, "%s", front.muted.Message))
		return s.gate.Err()
	}
	if err := s.gate.Effect(front.command, tag, max(front.rows, rowsOf(tag))); err != nil {
		return err
	}
	if front.shape != nil && front.shape.Effects.Has(gate.EffectSchema) && !front.shape.Facts.Temporary {
		s.redefined = true
	}
	if s.prover.questions != nil && (tag == "DEALLOCATE ALL" || tag == "DISCARD ALL") {
		s.dropped()
	}
	dst := s.answers()
	if typ == wire.CommandComplete {
		dst, at := wire.Begin(dst, typ)
		s.ans = wire.End(wire.AppendString(dst, tag), at)
	} else {
		s.ans = append(dst, typ, 0, 0, 0, 4)
	}
	if front.typ == wire.Execute {
		s.pop()
		return nil
	}
	front.columns, front.rows, front.bytes, front.copying = -1, 0, 0, 0
	front.done, front.sure = front.done+1, false
	if front.within != nil {
		if front.left--; front.left == 0 {
			front.ask, front.within = front.within, nil
		}
	}
	return nil
}

// dropped: the target has dropped all prepared statements.
func (s *session) dropped() {
	var behind *asking
	if s.queue[0].typ == wire.Query && len(s.queue) > 1 {
		behind = s.queue[1].ask
	}
	s.forget(behind)
}

// tagOf returns a command tag as a string, without an allocation for the most
// frequent ones.
func tagOf(text []byte) string {
	switch string(text) {
	case "SELECT 1":
		return "SELECT 1"
	case "SELECT 0":
		return "SELECT 0"
	case "UPDATE 1":
		return "UPDATE 1"
	case "INSERT 0 1":
		return "INSERT 0 1"
	case "DELETE 1":
		return "DELETE 1"
	case "BEGIN":
		return "BEGIN"
	case "COMMIT":
		return "COMMIT"
	}
	return string(text)
}

// rowsOf returns the number at the end of a command tag: the rows that were
// changed, where none were returned.
func rowsOf(tag string) int64 {
	if tag == "" || tag[len(tag)-1] < '0' || tag[len(tag)-1] > '9' {
		return 0
	}
	n, err := strconv.ParseInt(tag[strings.LastIndexByte(tag, ' ')+1:], 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// ready: the target waits for the next query.
func (s *session) ready(front *expect, n int) error {
	if front.typ != wire.Sync && front.typ != wire.Query || n != 1 {
		return s.lie("unexpected ReadyForQuery")
	}
	body, err := s.out.body(n)
	if err != nil {
		return s.targetError(err)
	}
	switch body[0] {
	case wire.StatusIdle, wire.StatusInTx, wire.StatusFailed:
		s.status = body[0]
	default:
		return s.lie("ReadyForQuery with status %d", body[0])
	}
	if front.sync >= s.leaving {
		s.leaving = 0
	}
	s.twins.moved = false // a zone that has changed was reported before
	if s.status == wire.StatusIdle {
		s.ended(front.sync)
	}
	own := front.own || s.block
	if front.within != nil && s.status == wire.StatusIdle {
		if err := s.late(front); err != nil {
			return err
		}
	}
	s.pop()
	if len(s.queue) == 0 {
		s.started = false
	}
	if own {
		return nil
	}
	s.ans = wire.AppendReadyForQuery(s.answers(), s.status)
	return nil
}

// ended: no transaction is open any more.
func (s *session) ended(sync uint64) {
	s.prover.blocks++
	if s.redefined { // and committed: now others can see it
		s.redefined = false
		s.catalog.expire()
	}
	s.settledTemporaries()
	if len(s.portals) > 0 {
		s.endTransaction(sync)
	}
}

// targetError ends the session for an error of the target's connection, unless
// it is the statement's time that ran out.
func (s *session) targetError(err error) error {
	if err == nil {
		return nil
	}
	if end := s.gate.Err(); end != nil {
		return end
	}
	if errors.Is(err, errLength) {
		return s.lie("%v", err)
	}
	switch {
	case timeout(err):
		err = fatal(codeCanceled, "terminating connection: the statement ran longer than the %v that target %q allows",
			s.gate.Target.Limits.Statement, s.gate.Target.Name)
	case errors.Is(err, io.EOF):
		err = io.ErrUnexpectedEOF
	}
	s.gate.End(gate.EndTarget, err)
	return s.gate.Err()
}

func timeout(err error) bool {
	var n net.Error
	return errors.As(err, &n) && n.Timeout()
}

// statementGrace is how much longer than the target's own statement_timeout the
// gateway waits before it gives the connection up.
const statementGrace = 10 * time.Second

// limitStatement bounds the wait for the target, should it not keep its own
// statement_timeout. A client can lower that, so the bound is the gateway's.
func (s *session) limitStatement() {
	var until time.Time
	if l := s.gate.Target.Limits.Statement; l > 0 {
		until = s.began.Add(l + statementGrace)
	}
	_ = s.up.SetReadDeadline(until)
	if s.gate.Err() != nil { // ended meanwhile: that deadline was not to be moved
		s.up.Interrupt()
	}
}
