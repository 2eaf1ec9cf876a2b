package postgres

import (
	"slices"
	"strings"

	"github.com/sallyport-gateway/sallyport/internal/gate"
	"github.com/sallyport-gateway/sallyport/internal/proto/postgres/wire"
)

// failed: the target answered with an error.
func (s *session) failed(front *expect, n int) error {
	f, err := s.readFault(n)
	if err != nil {
		return err
	}
	if front.twin != nil && f.Severity == "ERROR" && ofTwin(f.Code) {
		return s.untwin(front.twin)
	}
	if front.parameters { // it has no parameters but those of its twin
		f.Internal = slices.DeleteFunc(f.Internal, func(field string) bool { return strings.HasPrefix(field, "Wunnamed portal with parameters: ") })
	}
	code := f.Code
	switch {
	case front.refusal != nil:
		f = front.refusal
	case front.muted != nil:
		f, front.muted = front.muted, nil
	default:
		s.clean(front, f)
	}
	if front.refusal == nil {
		if err := s.gate.Effect(front.command, "ERROR "+code, front.rows); err != nil {
			return err
		}
	}
	s.ans = f.Append(s.answers(), wire.ErrorResponse)
	if f.Severity != "ERROR" {
		// FATAL or PANIC: the target closes the connection now.
		if len(s.prover.doubts) > 0 {
			s.ans, s.prover.doubts = s.ans[:min(s.prover.mark, len(s.ans))], nil
			if s.partial {
				s.ans = s.ans[:0]
				s.gate.End(gate.EndTarget, f)
				return s.gate.Err()
			}
			f = fatal(f.Code, "terminating connection: the target ended it")
			s.ans = f.Append(s.ans, wire.ErrorResponse)
		}
		if err := s.flush(); err != nil {
			return err
		}
		s.partial = true // the client has been told; goodbye has nothing to add
		s.gate.End(gate.EndClosed, f)
		return s.gate.Err()
	}
	if front.typ == wire.Query {
		front.columns, front.rows, front.copying = -1, 0, 0
		s.revertAll(front)
		return nil
	}
	s.dropToSync()
	return nil
}

// dropToSync forgets what the target skips after an error: everything up to the
// next Sync. Nothing of it has happened, so its changes of the registry are
// taken back, newest first.
func (s *session) dropToSync() {
	n := 0
	for n < len(s.queue) && s.queue[n].typ != wire.Sync {
		n++
	}
	for i := n - 1; i >= 0; i-- {
		s.revertAll(&s.queue[i])
		if a := s.queue[i].ask; a != nil {
			s.unasked(a)
		}
	}
	for range n {
		s.pop()
	}
	if p := s.statements[""]; p != nil {
		p.binds = customPlans // it may be gone, or too old: to be parsed anew
	}
	if len(s.queue) == 0 {
		s.skip = true
	}
}

// revertAll takes back the changes of the registry that belong to one message.
func (s *session) revertAll(e *expect) {
	for i := len(e.undos) - 1; i >= 0; i-- {
		s.revert(e.undos[i])
	}
	s.revert(e.undo)
	e.undos, e.undo = nil, undo{}
	if s.temp != nil && (e.typ == wire.Query || e.typ == wire.Execute) {
		s.temp.made = nil // what it would have made may be there already, and another's
	}
}

func (s *session) readFault(n int) (*wire.Fault, error) {
	s.doubtScans()
	const maxFault = 1 << 20
	if n > maxFault {
		return nil, s.lie("an error message of %d bytes", n)
	}
	body, err := s.out.body(n)
	if err != nil {
		return nil, s.targetError(err)
	}
	f, err := wire.DecodeFault(body)
	if err != nil {
		return nil, s.lie("malformed ErrorResponse")
	}
	return f, nil
}
