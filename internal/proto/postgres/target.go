package postgres

import (
	"context"

	"github.com/sallyport-gateway/sallyport/internal/gate"
	"github.com/sallyport-gateway/sallyport/internal/proto/postgres/wire"
)

// describe serves Describe.
func (s *session) describe(ctx context.Context, n int) error {
	kind, target, f, err := s.target(n)
	if err != nil {
		return err
	}
	if f != nil {
		return s.failUnjudged(ctx, "[Describe]", f)
	}
	e := expect{typ: wire.Describe, kind: kind, command: s.last}
	var stream *gate.Stream
	if kind == 'S' {
		p := s.statements[target]
		if p == nil {
			return s.failUnjudged(ctx, "[Describe]", noStatementFault(target))
		}
		e.shape, e.result, stream = p.shape, &p.columns, &p.stream
		if !p.streamed {
			return s.again(ctx, p, gate.Prepare, s.appendTarget(wire.Describe, kind, target), e)
		}
	} else {
		p := s.portals[target]
		if p == nil {
			return s.failUnjudged(ctx, "[Describe]", fault(codeCursorName, "portal \"%s\" does not exist", target))
		}
		e.shape, e.result, stream = p.statement.shape, &p.columns, &p.stream
		if p.cursor {
			return s.again(ctx, p.statement, gate.Prepare, s.appendTarget(wire.Describe, kind, target), e)
		}
	}
	if err := stream.Write(s.appendTarget(wire.Describe, kind, target)); err != nil {
		return s.gateError(err)
	}
	return s.owe(e)
}

func (s *session) appendTarget(typ, kind byte, name string) []byte {
	s.msg = wire.AppendTarget(s.messageBuffer(), typ, kind, name)
	return s.msg
}

// target reads Describe and Close.
func (s *session) target(n int) (kind byte, target string, f *wire.Fault, err error) {
	body, ok, err := s.read(n, maxTarget)
	if err != nil {
		return 0, "", nil, err
	}
	if !ok {
		return 0, "", fault(codeNameTooLong, "a statement or portal name is limited to %d bytes", wire.MaxNameLength), nil
	}
	kind, b, err := wire.DecodeTarget(body)
	if err != nil {
		return 0, "", nil, s.violation("invalid Describe or Close message")
	}
	target, f = name(b)
	return kind, target, f, nil
}

// closeTarget serves Close. Closing what does not exist is no error.
func (s *session) closeTarget(ctx context.Context, n int) error {
	kind, target, f, err := s.target(n)
	if err != nil {
		return err
	}
	if f != nil {
		return s.failUnjudged(ctx, "[Close]", f)
	}
	e := expect{typ: wire.Close, kind: kind, command: s.last}
	var stream *gate.Stream
	var bySQL *prepared // PREPARE and DECLARE make what Close closes as well
	switch p, c := s.statements[target], s.portals[target]; {
	case kind == 'S' && p != nil && p.streamed:
		stream = &p.stream
	case kind == 'S':
		bySQL = p
	case c != nil && !c.cursor:
		stream = &c.stream
	case c != nil:
		bySQL = c.statement
	}
	if stream == nil && bySQL == nil {
		if err := s.up.Control(controlCloseNothing); err != nil {
			return err
		}
		return s.owe(e)
	}
	if kind == 'S' {
		e.undo = s.dropStatement(target)
	} else {
		e.undo = s.dropPortal(target)
	}
	msg := s.appendTarget(wire.Close, kind, target)
	if bySQL != nil {
		return s.again(ctx, bySQL, gate.Prepare, msg, e)
	}
	if err := stream.Write(msg); err != nil {
		return s.gateError(err)
	}
	return s.owe(e)
}
