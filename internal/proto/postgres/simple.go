package postgres

import (
	"context"

	"github.com/sallyport-gateway/sallyport/internal/gate"
	"github.com/sallyport-gateway/sallyport/internal/proto/postgres/wire"
	sql "github.com/sallyport-gateway/sallyport/internal/sql/postgres"
)

// query serves a Query message: one text, any number of statements, one command.
// The server runs them in one implicit transaction, so they are judged together
// and either all of them are sent or none.
func (s *session) query(ctx context.Context, n int) error {
	s.prover.replay = nil // a pipeline without a Sync is not run again
	if err := s.settle(); err != nil {
		return err
	}
	if s.skip {
		// Legal only after a Sync; the server would discard it as well.
		return s.clientError(s.in.discard(n))
	}
	delete(s.statements, "") // as the server does before it parses (exec_simple_query)
	body, ok, err := s.read(n, maxSQL+1)
	if err != nil {
		return err
	}
	if !ok {
		return s.refuseTooLong(ctx, "a statement of more than %d bytes", maxSQL)
	}
	text, err := wire.DecodeQuery(body)
	if err != nil {
		return s.violation("invalid string in message")
	}
	for range maxAttempts {
		in, f, err := s.inspect(ctx, text)
		if err != nil {
			return err
		}
		if f != nil {
			return s.refuse(f)
		}
		again, err := s.runText(ctx, in)
		if err != nil || !again {
			return err
		}
		text = []byte(s.source)
	}
	return s.refuse(changedFault())
}

// runText judges and forwards the text of a Query. It reports whether that has to
// be done again, because the definitions changed while it was on its way and it
// has done nothing.
func (s *session) runText(ctx context.Context, in *sql.Inspection) (again bool, err error) {
	e, f, err := s.sendText(ctx, in)
	switch {
	case err != nil:
		return false, err
	case f != nil:
		return false, s.refuse(f)
	case e == nil: // an empty text
		return false, nil
	}
	if err := s.exchange(); err != nil {
		return false, err
	}
	ok, f, err := s.outcome()
	if err == nil && s.block {
		err = s.leaveBlock(e, ok)
	}
	switch {
	case err != nil:
		return false, err
	case ok:
		return false, s.flush()
	case f == nil && !names(in.Shape) && s.status != wire.StatusFailed:
		return true, nil
	case f == nil:
		f = changedFault()
	}
	return false, s.refuse(f)
}

// sendText judges and sends the text of a Query. A fault is for the client.
func (s *session) sendText(ctx context.Context, in *sql.Inspection) (*expect, *wire.Fault, error) {
	if len(in.Shape.Statements) == 0 {
		s.ans = append(s.answers(), wire.EmptyQueryResponse, 0, 0, 0, 4)
		if s.started { // as a Query does, it ends what no Sync has ended
			return nil, nil, s.sync()
		}
		s.ans = wire.AppendReadyForQuery(s.ans, s.status)
		return nil, nil, s.flush()
	}
	msg, at := wire.Begin(s.messageBuffer(), wire.Query)
	s.subject = subject{inspection: in, head: msg, refs: s.refs[:0]}
	shape, f := s.refer(ctx, in.Shape)
	if f != nil {
		return nil, f, s.refuseUnjudged(ctx, in.Record(), f)
	}
	if f := s.separately(shape); f != nil {
		return nil, f, s.refuseUnjudged(ctx, in.Record(), f)
	}
	s.subject.shape = shape
	follow := copyFollow(in.Shape)
	s.cmd = gate.Command{Text: in.Record(), Effects: shape.Effects, Labels: shape.Labels, Facts: shape.Facts, Follow: max(gate.FollowMessages, follow)}
	permit, f, err := s.judge(ctx, s.status == wire.StatusIdle && !s.started)
	if err != nil || f != nil {
		return nil, f, err
	}
	s.msg = wire.End(append(s.subject.message, 0), at)
	if s.needsBlock(shape) {
		if f, err := s.enterBlock(permit.Command(), in.Shape); err != nil || f != nil {
			return nil, f, err
		}
	}
	if err := s.arrange(shape); err != nil {
		return nil, nil, err
	}
	if t := s.repeated(in, shape); t != nil {
		return s.sendTwin(t, in, permit)
	}
	first := s.provesFirst(shape, in.Shape)
	e := expect{typ: wire.Query, command: permit.Command(), shape: shape, text: s.source, columns: -1}
	if first {
		stream, err := s.proveFirst(permit, shape, s.judged(s.msg[wire.HeaderSize:len(s.msg)-1], in.Shape))
		if err != nil {
			return nil, nil, err
		}
		if s.skip {
			stream.End()
			return nil, nil, s.sync()
		}
		e.stream = &stream
	}
	s.syncs++
	e.sync = s.syncs
	messages := s.proveText(&e, in.Shape, first)
	switch {
	case first:
		if err := e.stream.WriteContent(messages, nil); err != nil { // it is on record, and no input
			return nil, nil, s.gateError(err)
		}
	case follow == gate.FollowInput || e.within != nil:
		stream, err := s.up.Open(permit, messages)
		if err != nil {
			return nil, nil, s.gateError(err)
		}
		e.stream = &stream
	default:
		if err := s.up.Send(permit, messages); err != nil {
			return nil, nil, s.gateError(err)
		}
	}
	s.track(shape)
	s.tell()
	if names(in.Shape) {
		p := &prepared{shape: in.Shape, canonical: in.Text(), record: in.Record(), sent: string(s.subject.message[wire.HeaderSize:]),
			inspector: s.inspector, temporary: s.env.Temporary}
		p.remember(s.subject.masks)
		e.undos = s.applyNames(p)
	}
	s.oweText(e)
	return &e, nil, s.makeTwin(e.stream)
}

// copyFollow says whether a text reads data from the client.
func copyFollow(shape *sql.Shape) gate.Follow {
	for i := range shape.Statements {
		if shape.Statements[i].Kind == sql.KindCopyIn {
			return gate.FollowInput
		}
	}
	return gate.FollowNothing
}

// gateError ends the session for an error of Send or Open: a Permit that does
// not fit is a fault in this package, and nothing was sent.
func (s *session) gateError(err error) error {
	if end := s.gate.Err(); end != nil {
		return end
	}
	s.gate.End(gate.EndProtocol, err)
	return s.gate.Err()
}

// refuse answers a Query with a fault. In a transaction block the target is made
// to fail as well, so that the block is failed for both; also behind messages
// that no Sync has ended, because they may have begun or ended a block since the
// last ReadyForQuery told.
func (s *session) refuse(f *wire.Fault) error {
	if s.status != wire.StatusInTx && !s.started {
		s.ans = f.Append(s.answers(), wire.ErrorResponse)
		s.ans = wire.AppendReadyForQuery(s.ans, s.status)
		return s.flush()
	}
	if err := s.up.Control(controlFail); err != nil {
		return err
	}
	if err := s.up.Control(controlSync); err != nil {
		return err
	}
	s.syncs++
	s.push(expect{typ: wire.Bind, command: s.last, refusal: f})
	s.push(expect{typ: wire.Sync, command: s.last, sync: s.syncs})
	return s.exchange()
}

// refuseCall refuses a FunctionCall: it names a function by number and runs it
// past every statement.
func (s *session) refuseCall(ctx context.Context) error {
	if err := s.settle(); err != nil {
		return err
	}
	if s.skip {
		return nil
	}
	f := fault(codeFeature, "FunctionCall messages are not allowed through the gateway")
	f.Hint = "Call the function in a SELECT."
	if err := s.refuseUnjudged(ctx, "[FunctionCall message]", f); err != nil {
		return err
	}
	return s.refuse(f)
}

func (s *session) refuseTooLong(ctx context.Context, format string, limit int) error {
	f := fault(codeLimit, format+" is not taken", limit)
	if err := s.refuseUnjudged(ctx, "["+f.Message+"]", f); err != nil {
		return err
	}
	return s.refuse(f)
}
