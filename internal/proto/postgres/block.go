package postgres

import (
	"slices"

	"github.com/sallyport-gateway/sallyport/internal/gate"
	"github.com/sallyport-gateway/sallyport/internal/proto/postgres/wire"
	sql "github.com/sallyport-gateway/sallyport/internal/sql/postgres"
)

// withoutMixing is the first release of PostgreSQL that does not end a transaction
// that messages of the extended protocol have begun with a Query behind them: the
// Query's work is not committed, and a Sync behind it meets a transaction in a state
// that it does not expect. So no question can stand in front of a Query.
const withoutMixing = 18

// needsBlock reports whether a text that writes runs in a transaction block of the
// gateway's own, because no question can stand in front of it. In a block it is asked
// about behind it, before the block is committed.
func (s *session) needsBlock(shape *sql.Shape) bool {
	return s.backend.release >= withoutMixing && s.status == wire.StatusIdle && !s.started && !reads(shape) && s.watched(shape)
}

// enterBlock opens the block. A fault is for the client, and nothing was sent.
func (s *session) enterBlock(command uint64, own *sql.Shape) (*wire.Fault, error) {
	if slices.ContainsFunc(own.Statements, controlsTransaction) {
		f := fault(codeFeature, "a text that writes and controls transactions is not sent to this release of PostgreSQL where labels apply")
		f.Hint = "Send its statements one by one."
		return f, s.gate.Effect(command, "not sent", 0)
	}
	f, err := s.controlled(controlBegin)
	if err == nil && (f != nil || s.status != wire.StatusInTx) {
		err = s.lie("no transaction block")
	}
	s.block = err == nil
	return nil, err
}

// controlsTransaction reports whether a statement begins, ends or marks a transaction.
func controlsTransaction(st sql.Statement) bool {
	switch st.Kind {
	case sql.KindBegin, sql.KindCommit, sql.KindRollback, sql.KindSavepoint, sql.KindRelease, sql.KindRollbackTo:
		return true
	}
	return st.Word == "prepare transaction"
}

// endsTransaction reports whether a statement ends a transaction block, as COMMIT does
// with one that has failed, too.
func endsTransaction(st sql.Statement) bool {
	return st.Kind == sql.KindCommit || st.Kind == sql.KindRollback || st.Word == "prepare transaction"
}

// leaves reports whether a transaction that has failed goes on, or another one, behind a
// statement.
func leaves(st sql.Statement) bool { return endsTransaction(st) || st.Kind == sql.KindRollbackTo }

// aborted reports whether the target is in a transaction that has failed, and was sent
// nothing that changes this.
func (s *session) aborted() bool { return s.status == wire.StatusFailed && s.leaving == 0 }

// separately refuses a text whose statements have to be sent one by one where labels
// apply, because what one of them does to the transaction decides how the next is to be
// sent: what is set for it is taken back, or cannot be set yet, and the locks of the
// question in front of it go with the transaction.
func (s *session) separately(shape *sql.Shape) *wire.Fault {
	if len(s.gate.Target.Marks) == 0 {
		return nil
	}
	aborted := s.aborted()
	reverts := goesOn(shape, func(st sql.Statement) bool { return takesBack(st) || aborted && leaves(st) })
	unknown := aborted && reverts || goesOn(shape, endsTransaction) || s.started && (s.status == wire.StatusIdle || s.leaving != 0) ||
		beforehand(shape, shape) && goesOn(shape, leaves)
	var f *wire.Fault
	switch {
	case (s.code.later || s.runsLater(shape)) && (len(shape.Statements) > 1 || s.started) && slices.ContainsFunc(shape.Statements, resets):
		f = fault(codePrivilege, "a text that resets is not sent together with what a transaction runs at its end (a deferred trigger, a cursor WITH HOLD): that could read a table in the order of an index over labelled columns")
		f.Hint = "Send its statements one by one."
	case reverts && s.catalog.order() != sql.OrderStorage && (shape.Unordered || s.env.Temporary.Len() > 0):
		f = fault(codePrivilege, "a text that ends a transaction or resets, and then reads a table with an index over labelled columns, is not sent: its rows could come in the order of that")
		f.Hint = "Send its statements one by one."
	case unknown && !reads(shape) && s.watched(shape):
		f = fault(codePrivilege, "a text that writes is not sent together with what ends a transaction, or begins one, before it on a target with masked data")
		f.Hint = "Send its statements one by one, and behind a Sync."
	}
	return f
}

// goesOn reports whether a text does something behind a statement of a kind.
func goesOn(shape *sql.Shape, is func(sql.Statement) bool) bool {
	first := slices.IndexFunc(shape.Statements, is)
	return first >= 0 && slices.ContainsFunc(shape.Statements[first:], func(st sql.Statement) bool { return !takesBack(st) && !controlsTransaction(st) })
}

// leaveBlock ends the block, and adds to the answers of a text what the client is told
// of that: an error of COMMIT, and ReadyForQuery. If the answers do not stand the
// block is rolled back, and somebody else tells the client.
func (s *session) leaveBlock(e *expect, stands bool) error {
	s.block = false
	control := controlCommit
	if !stands || s.status != wire.StatusInTx {
		control = controlRollback
		s.doubtScans()
	}
	f, err := s.controlled(control)
	if err == nil && s.status != wire.StatusIdle {
		err = s.lie("a transaction block that does not end")
	}
	if err != nil || !stands {
		return err
	}
	if f != nil {
		if err := s.gate.Effect(e.command, "ERROR "+f.Code, 0); err != nil {
			return err
		}
		s.clean(&expect{}, f) // as the error of any COMMIT
		s.ans = f.Append(s.answers(), wire.ErrorResponse)
	}
	s.ans = wire.AppendReadyForQuery(s.answers(), s.status)
	return nil
}

// controlled sends a text of the gateway's own, while nothing else is owed, and reads
// its answer: an error, or none.
func (s *session) controlled(control int) (*wire.Fault, error) {
	if err := s.up.Control(control); err != nil {
		return nil, err
	}
	s.running.Store(true)
	defer s.running.Store(false)
	if err := s.up.Flush(); err != nil {
		return nil, err
	}
	var f *wire.Fault
	for {
		typ, n, err := s.out.header()
		if err != nil {
			return nil, s.targetError(err)
		}
		switch typ {
		case wire.CommandComplete, wire.NoticeResponse:
			err = s.targetError(s.out.discard(n))
		case wire.ParameterStatus:
			err = s.parameter(n)
		case wire.NotificationResponse:
			err = s.notified(n)
		case wire.ErrorResponse:
			f, err = s.readFault(n)
			if err == nil && f.Severity != "ERROR" {
				s.gate.End(gate.EndTarget, fatal(f.Code, "terminating connection: the target ended it"))
				err = s.gate.Err()
			}
		case wire.ReadyForQuery:
			body, err := s.out.body(n)
			if err != nil {
				return nil, s.targetError(err)
			}
			if n != 1 || body[0] != wire.StatusIdle && body[0] != wire.StatusInTx {
				return nil, s.lie("unexpected ReadyForQuery")
			}
			if s.status = body[0]; s.status == wire.StatusIdle {
				s.ended(s.syncs)
			}
			return f, nil
		default:
			err = s.lie("unexpected message %q", typ)
		}
		if err != nil {
			return nil, err
		}
	}
}
