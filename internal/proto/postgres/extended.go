package postgres

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"strings"

	"github.com/sallyport-gateway/sallyport/internal/gate"
	"github.com/sallyport-gateway/sallyport/internal/proto/postgres/wire"
)

// pipelineLimit is how many messages may wait for the target's answer before
// the gateway asks for it: neither side's buffers can then fill up while the
// other side waits.
const pipelineLimit = 256

// name checks a statement's or portal's name and copies it.
func name(b []byte) (string, *wire.Fault) {
	if len(b) > wire.MaxNameLength {
		return "", fault(codeNameTooLong, "a statement or portal name is limited to %d bytes", wire.MaxNameLength)
	}
	if strings.HasPrefix(string(b), reservedNames) {
		return "", reservedFault()
	}
	return string(b), nil
}

// parse serves Parse. The text is judged before the server sees it, because
// parse analysis already runs the input functions of its constants; what it does
// is judged again at Bind, with its parameters.
func (s *session) parse(ctx context.Context, n int) error {
	body, ok, err := s.read(n, maxSQL+maxTarget+4*65536)
	if err != nil {
		return err
	}
	if !ok {
		return s.failTooLong(ctx, "a statement of more than %d bytes", maxSQL)
	}
	m, err := wire.DecodeParse(body)
	if err != nil {
		return s.violation("invalid Parse message")
	}
	stmt, f := name(m.Name)
	if f == nil && len(s.statements) >= maxStatements {
		f = fault(codeLimit, "more than %d prepared statements in one session", maxStatements)
	}
	if f != nil {
		return s.failUnjudged(ctx, string(m.SQL), f)
	}
	p := &prepared{name: stmt, columns: -1, types: declaredTypes(m.Types), streamed: true}
	s.subject = subject{refs: s.refs[:0], formats: s.subject.formats[:0]}
	if old := s.recall(ctx, stmt, m.SQL); old != nil {
		p.shape, p.canonical, p.record, p.source = old.shape, old.canonical, old.record, old.source
		s.source, s.inspector = old.source, old.inspector
		s.subject.again, s.subject.canonical = old, old.canonical
	} else {
		in, f, err := s.inspect(ctx, m.SQL)
		if err != nil {
			return err
		}
		if f != nil {
			return s.fail(f)
		}
		if len(in.Shape.Statements) > 1 {
			return s.failUnjudged(ctx, in.Record(), fault("42601", "cannot insert multiple commands into a prepared statement"))
		}
		p.shape, p.canonical, p.record = in.Shape, in.Text(), in.Record()
		if p.record == s.source { // there are no secrets in it
			p.source = s.source
		}
		s.subject.inspection = in
	}
	msg, at := wire.Begin(s.messageBuffer(), wire.Parse)
	s.subject.head, s.subject.shape = wire.AppendString(msg, stmt), p.shape
	effects := p.shape.Effects
	if len(p.shape.Statements) == 0 {
		effects = gate.EffectRead // the empty statement
	}
	s.cmd = gate.Command{Text: p.record, Effects: effects, Labels: p.shape.Labels, Facts: p.shape.Facts,
		Phase: gate.Prepare, Follow: gate.FollowMessages}
	permit, f, err := s.judge(ctx, false)
	if err != nil {
		return err
	}
	if f != nil {
		return s.fail(f)
	}
	p.remember(s.subject.masks)
	p.notice = s.subject.notice
	p.inspector, p.temporary = s.inspector, s.env.Temporary
	sent := s.subject.message[len(s.subject.head):]
	if old := s.subject.again; old != nil && string(sent) == old.sent {
		p.sent = old.sent
	} else {
		p.sent = string(sent)
	}
	if s.first() {
		if err := s.arrange(p.shape); err != nil {
			return err
		}
	}
	s.msg = appendTypes(append(s.subject.message, 0), p.types)
	s.msg = wire.End(s.msg, at)
	e := expect{typ: wire.Parse, command: permit.Command(), shape: p.shape, text: s.source}
	if old := s.subject.again; old != nil && p.name == "" && old.sent == p.sent && s.keeps(old, p.types) {
		e.kept, p.binds, s.msg = true, old.binds, s.msg[:0]
	}
	if p.stream, err = s.up.Open(permit, s.msg); err != nil {
		return s.gateError(err)
	}
	s.tell()
	e.undo = s.setStatement(p)
	return s.owe(e)
}

// customPlans is how often the server plans a statement for the parameters that it
// is given, before it considers a plan for all (utils/cache/plancache.c,
// choose_custom_plan).
const customPlans = 5

// keeps reports whether the target need not be told to parse its unnamed statement
// once more: it would make the same of it. A literal may mean something else by now
// ('now', a date under another DateStyle), a star other columns, which an old
// statement may not return (SQLSTATE 0A000), and a statement that is new is planned
// for its parameters.
func (s *session) keeps(p *prepared, types []byte) bool {
	return p.binds < customPlans && !unsteady(p.source) && bytes.Equal(p.types, types) && s.status != wire.StatusFailed
}

// unsteady reports whether a text has, or could have, a string literal or a star.
func unsteady(text string) bool {
	for i := range len(text) {
		if c := text[i]; c == '\'' || c == '*' || c == '$' && (i+1 == len(text) || text[i+1] < '0' || text[i+1] > '9') {
			return true
		}
	}
	return false
}

// recall returns the statement of that name if it was made of the same text and
// would be judged in the same way now: clients that do not keep statements send
// the same text again for every execution. What it may do and how it is masked is
// decided anew; only the reading of the text is spared.
func (s *session) recall(ctx context.Context, name string, text []byte) *prepared {
	p := s.statements[name]
	if p == nil || p.source == "" || p.source != string(text) || len(p.shape.Missing) > 0 {
		return nil
	}
	inspector, err := s.current(ctx)
	if err != nil || inspector != p.inspector {
		return nil
	}
	if err := s.sees(ctx, inspector); err != nil || s.env.Temporary != p.temporary {
		return nil
	}
	if s.stale(p.shape) != nil {
		return nil // the long way says so
	}
	return p
}

// firstUserType is where the OIDs of types begin that initdb did not make
// (access/transam.h, FirstNormalObjectId).
const firstUserType = 16384

// declaredTypes copies the parameter types that a client declares and leaves out
// those that somebody made: the input function or the constraint of such a type
// is code, and nothing in the text, which is what was judged, names it. The server
// infers the type from the text instead.
func declaredTypes(types []byte) []byte {
	judged := bytes.Clone(types)
	for i := 0; i+4 <= len(judged); i += 4 {
		if binary.BigEndian.Uint32(judged[i:]) >= firstUserType {
			clear(judged[i : i+4])
		}
	}
	return judged
}

func appendTypes(dst, types []byte) []byte {
	n := len(types) / 4
	return append(append(dst, byte(n>>8), byte(n)), types...) //nolint:gosec // the count came from 16 bits
}

// bindPortal serves Bind: with it the command is complete, so here it is
// decided, and held if it must be.
func (s *session) bindPortal(ctx context.Context, n int) error {
	body, ok, err := s.read(n, maxBind)
	if err != nil {
		return err
	}
	if !ok {
		return s.failTooLong(ctx, "parameters of more than %d bytes", maxBind)
	}
	err = s.bind.Decode(body)
	if err != nil && !errors.Is(err, wire.ErrFormats) {
		return s.violation("invalid Bind message")
	}
	pname, f := name(s.bind.Portal)
	p := s.statements[string(s.bind.Statement)]
	switch {
	case f != nil:
	case p == nil:
		f = noStatementFault(string(s.bind.Statement))
	case err != nil:
		f = fault(codeProtocolViolation, "bind message has %d parameter formats but %d parameters", len(s.bind.Formats), len(s.bind.Params))
	case len(s.portals) >= maxPortals:
		f = fault(codeLimit, "more than %d portals in one session", maxPortals)
	}
	if f != nil {
		return s.failUnjudged(ctx, "[Bind]", f)
	}
	f = s.renew(ctx, p)
	if f == nil {
		f = p.nullFault(s.bind.Params)
	}
	if f != nil {
		return s.failUnjudged(ctx, p.record, f)
	}
	s.subject = subject{canonical: p.canonical, types: p.types, refs: append(s.refs[:0], p), formats: s.subject.formats[:0]}
	shape, f := s.refer(ctx, p.shape)
	if f != nil {
		return s.failUnjudged(ctx, p.record, f)
	}
	s.subject.shape = shape
	effects := shape.Effects
	if len(p.shape.Statements) == 0 {
		effects = gate.EffectRead
	}
	s.cmd = gate.Command{Text: p.record, Params: s.showParams(), Effects: effects, Labels: shape.Labels, Facts: shape.Facts,
		Follow: max(gate.FollowMessages, copyFollow(p.shape))}
	permit, f, err := s.judge(ctx, s.status == wire.StatusIdle && !s.started && !s.executing())
	if err != nil {
		return err
	}
	if f != nil {
		return s.fail(f)
	}
	if err := s.arrange(shape); err != nil {
		return err
	}
	p.binds++
	po := &portal{name: pname, statement: p, command: permit.Command(), generation: s.gate.PolicyGeneration(),
		sync: s.syncs + 1, columns: p.columns, shape: shape, unordered: s.unordered(shape), refs: slices.Clone(s.subject.refs[1:])}
	// The message was decoded in full and holds nothing else, so framing it
	// again gives the same bytes.
	if s.provesFirst(shape, p.shape) {
		if po.stream, err = s.proveFirst(permit, shape); err != nil || s.skip {
			return err
		}
		s.msg = wire.AppendMessage(s.messageBuffer(), wire.Bind, body)
		if err := po.stream.WriteContent(s.msg, nil); err != nil { // it is on record, and no input
			return s.gateError(err)
		}
	} else if po.stream, err = s.up.Open(permit, s.proveBind(po, shape, body)); err != nil {
		return s.gateError(err)
	}
	e := expect{typ: wire.Bind, command: permit.Command(), shape: shape, undo: s.setPortal(po), twin: po.twin}
	e.marks = po.doubt != nil && s.prover.replay != nil && s.marks()
	return s.owe(e)
}

// nullFault is for a parameter that is not to be NULL.
func (p *prepared) nullFault(values [][]byte) *wire.Fault {
	for _, n := range p.shape.NotNull {
		// A document that is null is no NULL, and becomes one.
		document := int(4*n) <= len(p.types) && binary.BigEndian.Uint32(p.types[4*(n-1):]) == oidJSONB
		if (document || int(n) <= len(values) && values[n-1] == nil) && slices.ContainsFunc(p.shape.Labels, func(l string) bool { return p.masks.For(l) != gate.MaskPlain }) {
			f := fault(codePrivilege, "parameter $%d is not to be NULL, nor a document: the row would enter a unique index over labelled columns, and the answer would depend on them", n)
			f.Hint = "Leave the column as it is."
			return f
		}
	}
	return nil
}

// noStatementFault is for a prepared statement that there is not.
func noStatementFault(name string) *wire.Fault {
	if len(name) == 0 {
		return fault(codeStatementName, "unnamed prepared statement does not exist")
	}
	return fault(codeStatementName, "prepared statement \"%s\" does not exist", name)
}

// executing reports whether an Execute is on its way.
func (s *session) executing() bool {
	for i := range s.queue {
		if s.queue[i].typ == wire.Execute {
			return true
		}
	}
	return false
}

// execute serves Execute: of a bound portal, which was decided at Bind, or of a
// cursor of SQL, which is decided now.
func (s *session) execute(ctx context.Context, n int) error {
	body, ok, err := s.read(n, maxTarget)
	if err != nil {
		return err
	}
	if !ok {
		return s.failUnjudged(ctx, "[Execute]", fault(codeNameTooLong, "a portal name is limited to %d bytes", wire.MaxNameLength))
	}
	b, rows, err := wire.DecodeExecute(body)
	if err != nil {
		return s.violation("invalid Execute message")
	}
	p := s.portals[string(b)]
	if p == nil {
		return s.failUnjudged(ctx, "[Execute]", fault(codeCursorName, "portal \"%s\" does not exist", b))
	}
	if err := s.proveBefore(p.statement.shape); err != nil || s.skip {
		return err
	}
	e := expect{typ: wire.Execute, command: p.command, shape: p.statement.shape, columns: p.columns, stream: &p.stream}
	s.msg = wire.AppendExecute(s.messageBuffer(), p.name, rows)
	if p.cursor {
		if p.doubt != nil { // of what was bound before a text that may have declared it
			e.marks = s.marks()
			s.proveExecute(p)
		}
		return s.again(ctx, p.statement, gate.Run, s.msg, e)
	}
	if p.generation != s.gate.PolicyGeneration() {
		return s.failUnjudged(ctx, p.statement.record,
			fault(codePrivilege, "the policies changed since this statement was bound: bind it again"))
	}
	if !s.still(p) {
		return s.failUnjudged(ctx, p.statement.record,
			fault(codeStatementName, "what this statement runs by its name is another statement now: bind it again"))
	}
	if err := s.arrangeAgain(p); err != nil {
		return err
	}
	e.marks = p.doubt != nil && s.marks()
	if err := p.stream.Write(s.msg); err != nil {
		return s.gateError(err)
	}
	s.proveExecute(p)
	s.prover.wrote = s.prover.wrote || !reads(p.statement.shape)
	s.track(p.shape)
	if slices.ContainsFunc(p.statement.shape.Statements, leaves) {
		s.leaving = s.syncs + 1
	}
	if names(p.statement.shape) {
		e.undos = s.applyNames(p.statement)
	}
	if err := s.owe(e); err != nil || s.prover.questions == nil || !drops(p.statement.shape) {
		return err
	}
	return s.settle() // what is asked next must know that the questions are gone
}

// again decides what was judged before under another name, and sends one message
// about it.
func (s *session) again(ctx context.Context, p *prepared, phase gate.Phase, msg []byte, e expect) error {
	if f := s.renew(ctx, p); f != nil {
		return s.failUnjudged(ctx, p.record, f)
	}
	s.subject = subject{canonical: p.canonical, shape: p.shape, refs: append(s.refs[:0], p)}
	s.cmd = gate.Command{Text: p.record, Effects: p.shape.Effects, Labels: p.shape.Labels, Facts: p.shape.Facts, Phase: phase}
	permit, f, err := s.judge(ctx, false)
	if err != nil {
		return err
	}
	if f != nil {
		s.revertAll(&e)
		return s.fail(f)
	}
	if phase == gate.Run {
		if err := s.arrange(p.shape); err != nil {
			return err
		}
	}
	if err := s.up.Send(permit, msg); err != nil {
		return s.gateError(err)
	}
	if phase == gate.Run {
		s.track(p.shape)
	}
	e.command = permit.Command()
	return s.owe(e)
}

// owe notes what the target will answer.
func (s *session) owe(e expect) error {
	s.push(e)
	if len(s.queue) >= pipelineLimit {
		return s.settle()
	}
	return nil
}

// sync serves Sync: the end of a pipeline.
func (s *session) sync() error {
	if s.skip && !s.started && len(s.queue) == 0 {
		s.skip = false
		s.ans = wire.AppendReadyForQuery(s.answers(), s.status)
		return s.flush()
	}
	if err := s.arrangeEnd(); err != nil {
		return err
	}
	s.skip = false
	if err := s.askAll(true); err != nil {
		return err
	}
	if err := s.up.Control(controlSync); err != nil {
		return err
	}
	s.syncs++
	s.push(expect{typ: wire.Sync, command: s.last, sync: s.syncs})
	if err := s.makeTwin(s.doubtful()); err != nil {
		return err
	}
	if err := s.exchange(); err != nil {
		return err
	}
	if s.prover.replaying {
		return s.rewind()
	}
	ok, f, err := s.outcome()
	if err == nil && s.prover.replaying {
		return s.rewind()
	}
	s.prover.replay, s.prover.first, s.prover.attempts, s.prover.wrote = nil, nil, 0, false
	switch {
	case err != nil:
		return err
	case ok:
		return s.flush()
	case f == nil:
		f = changedFault()
	}
	return s.refuse(f)
}

// fail answers a message of the extended protocol with a fault. Where the target
// has seen messages since the last Sync, or is in a transaction block, it is made
// to fail in this place too.
func (s *session) fail(f *wire.Fault) error {
	if len(s.queue) == 0 && !s.started && s.status != wire.StatusInTx {
		s.skip = true
		s.ans = f.Append(s.answers(), wire.ErrorResponse)
		return s.flush()
	}
	if err := s.askAll(false); err != nil {
		return err
	}
	if err := s.up.Control(controlFail); err != nil {
		return err
	}
	s.push(expect{typ: wire.Bind, command: s.last, refusal: f})
	return s.settle()
}

func (s *session) failUnjudged(ctx context.Context, text string, f *wire.Fault) error {
	if err := s.refuseUnjudged(ctx, text, f); err != nil {
		return err
	}
	return s.fail(f)
}

func (s *session) failTooLong(ctx context.Context, format string, limit int) error {
	return s.failUnjudged(ctx, "[too long]", fault(codeLimit, format+" is not taken", limit))
}
