package postgres

import (
	"slices"

	"github.com/sallyport-gateway/sallyport/internal/gate"
	"github.com/sallyport-gateway/sallyport/internal/proto/postgres/wire"
)

// keep begins to keep a pipeline of which nothing has run yet, to run it again if
// that comes to nothing.
func (s *session) keep(bind []byte, front *asking) {
	p := &s.prover
	if p.replay == nil && s.status == wire.StatusIdle && !s.started && !s.executing() && len(bind) <= maxReplay {
		p.replay, p.first = append(s.kept[:0], bind...), front
		s.kept = p.replay
	}
}

// askFailed: the target did not answer. In front of a statement that means that
// the statement was not run.
func (s *session) askFailed(front *expect, f *wire.Fault) error {
	a := front.ask
	if f.Severity != "ERROR" {
		s.gate.End(gate.EndTarget, fatal(f.Code, "terminating connection: the target ended it"))
		return s.gate.Err()
	}
	if a.sets { // what comes behind it must not run
		s.gate.End(gate.EndTarget, fatal(f.Code, "terminating connection: the target does not let the gateway set how statements are planned"))
		return s.gate.Err()
	}
	if a.guards && ofTwin(f.Code) {
		// It has only read, and has answered. The definitions are compared in the gateway's
		// own session, when everything is there.
		a.q.twin, a.q.steady = nil, -twinAgain
		if a.executes {
			front.ask = nil
			return nil
		}
		s.dropToSync()
		return nil
	}
	if a.twin != nil { // behind the client's Sync, so that it is nothing to the client
		a.twin.known(false, -twinAgain)
		s.dropToSync()
		return nil
	}
	s.unasked(a)
	if f.Code == codeStatementName {
		s.forget(nil)
	}
	if a.executes {
		front.ask = nil
		switch {
		case !changes(f.Code):
			s.prover.failure = &wire.Fault{Severity: "ERROR", Code: f.Code, Message: "the statement failed with SQLSTATE " + f.Code}
		case s.status == wire.StatusInTx: // the block has failed, with all that it wrote
			s.prover.failure = changedFault()
		default:
			s.prover.changed = true
		}
		return nil
	}
	s.pop()
	if !a.front {
		// The transaction had failed before, or has now, and the statement with it.
		if f.Code != codeFailedTx {
			s.prover.failure = &wire.Fault{Severity: "ERROR", Code: f.Code, Message: "the statement failed with SQLSTATE " + f.Code}
		}
		s.dropToSync()
		return nil
	}
	if changes(f.Code) {
		s.prover.stale = true
	} else {
		s.prover.failure = &wire.Fault{Severity: "ERROR", Code: f.Code, Message: f.Message}
	}
	if len(s.queue) > 0 && s.queue[0].typ == wire.Query {
		for len(s.queue) > 0 && !s.queue[0].own { // the question behind it, too
			s.drop()
		}
		if len(s.queue) > 0 {
			return nil
		}
		return s.ownSync()
	}
	s.dropToSync()
	return s.retryPipeline(a)
}

// drop forgets an expect that the target skips.
func (s *session) drop() {
	e := &s.queue[0]
	if e.ask != nil {
		s.unasked(e.ask)
	}
	s.revertAll(e)
	s.pop()
}

// changes reports whether an error of a question means that definitions changed:
// its own division by zero, or names that are no more.
func changes(code string) bool {
	return code == "22012" || code[:min(2, len(code))] == "42" || code == "26000" || code == "0A000" || code == "3F000"
}

// ownSync makes the target ready again after an error in front of a Query.
func (s *session) ownSync() error {
	if err := s.up.Control(controlSync); err != nil {
		return err
	}
	s.syncs++
	s.push(expect{typ: wire.Sync, own: true, command: s.last, sync: s.syncs})
	return s.up.Flush()
}

// replays reports whether the pipeline that was kept can be run again.
func (s *session) replays() bool {
	p := &s.prover
	return p.replay != nil && p.attempts < maxAttempts && len(p.replay)+s.in.buffered() <= bufferSize
}

// runAgain has the pipeline run again as soon as the target is ready.
func (s *session) runAgain() error {
	s.prover.replaying = true
	s.prover.attempts++
	if len(s.queue) > 0 {
		s.queue[0].own = true
		return nil
	}
	s.skip = false
	return s.ownSync()
}

// retryPipeline decides what becomes of a pipeline of which the target has run
// nothing: it is run again from what was kept, or the client is told.
func (s *session) retryPipeline(a *asking) error {
	p := &s.prover
	if p.stale && p.first == a && s.replays() {
		p.stale = false
		return s.runAgain()
	}
	f := p.failure
	if p.stale || f == nil {
		f = changedFault()
	}
	p.stale, p.failure, p.replay = false, nil, nil
	s.ans = f.Append(s.answers(), wire.ErrorResponse)
	return nil
}

// capture keeps a message of a pipeline that may have to be run again.
func (s *session) capture(typ byte, n int) error {
	p := &s.prover
	if p.replay == nil || p.replaying {
		return nil
	}
	if n > maxReplay-len(p.replay) {
		p.replay = nil
		return nil
	}
	switch typ {
	case wire.Parse, wire.Bind, wire.Describe, wire.Execute, wire.Close, wire.Flush, wire.Sync:
	default:
		p.replay = nil
		return nil
	}
	body, err := s.in.body(n)
	if err != nil {
		return s.clientError(err)
	}
	s.in.r -= n
	if p.first == nil && (typ == wire.Close || typ == wire.Parse && n > 0 && body[0] != 0) {
		p.replay = nil // it has run, and would not do the same again
		return nil
	}
	p.replay = wire.AppendMessage(p.replay, typ, body)
	s.kept = p.replay
	return nil
}

// rewind gives a pipeline that was not run back to the reader, to be judged by
// the definitions that there are now.
func (s *session) rewind() error {
	p := &s.prover
	if !s.in.unshift(p.replay) {
		return s.violation("a pipeline that is too long to be judged again")
	}
	p.replay, p.first, p.replaying, p.marked, s.skip = nil, nil, false, false, false
	s.catalog.expire()
	return nil
}

// changedFault is for a statement whose definitions changed while it ran, where
// the gateway cannot run it again by itself.
func changedFault() *wire.Fault {
	f := fault(codeSerialization, "could not serialize access: definitions at the target changed while the statement was on its way")
	f.Hint = "Run the transaction again."
	return f
}

// outcome is called when the target has answered everything of an exchange. It
// reports whether what is in s.ans may go to the client; otherwise it was dropped,
// and f, if it is not nil, is the answer.
func (s *session) outcome() (ok bool, f *wire.Fault, err error) {
	p := &s.prover
	f, p.failure = p.failure, nil
	defer func() { p.told = false }()
	writes := p.wrote || slices.ContainsFunc(p.doubts, func(d doubt) bool { return d.writes })
	switch {
	case p.stale: // a text was not run, and so is not in doubt
		p.stale, p.doubts, p.marked = false, p.doubts[:0], false
		s.catalog.expire() // it is judged by what is there now
		return false, nil, nil
	case f == nil && len(p.doubts) == 0:
		p.marked = false
		return true, nil, nil
	case f == nil && !p.changed:
		if _, err := s.prove(); err != nil || !p.changed {
			p.marked = false
			return err == nil, nil, err
		}
	}
	if len(p.doubts) > 0 {
		s.ans = s.ans[:min(p.mark, len(s.ans))]
	}
	changed := p.changed
	p.doubts, p.changed, p.marked = p.doubts[:0], false, false
	if p.told {
		return false, nil, s.tooLate()
	}
	if changed && !writes && f == nil && p.first == nil && s.status == wire.StatusIdle && !s.started && s.replays() {
		p.attempts++
		p.replaying = true
		return false, nil, nil
	}
	if changed && writes && !s.block { // that is rolled back, and the text judged again
		// It may have written what nobody judged, and must not be committed.
		s.gate.End(gate.EndProtocol, fatal(codeSerialization,
			"terminating connection: definitions at the target changed while a transaction was using them; connect and run it again"))
		return false, nil, s.gate.Err()
	}
	return false, f, nil
}

// sure proves everything that was answered, because it cannot be kept back any longer.
// If that cannot be done the session ends.
func (s *session) sure() error {
	if len(s.prover.doubts) == 0 {
		return nil
	}
	proved, err := s.prove()
	if err != nil {
		return err
	}
	if !proved {
		return s.tooLate()
	}
	s.prover.told = len(s.prover.doubts) > 0
	return nil
}

// tooLate ends the session: something was passed on of what does not stand.
func (s *session) tooLate() error {
	s.gate.End(gate.EndProtocol, fatal(codeSerialization,
		"terminating connection: definitions at the target changed while a statement was using them; connect and run it again"))
	return s.gate.Err()
}
