package postgres

import (
	"github.com/sallyport-gateway/sallyport/internal/proto/postgres/wire"
	sql "github.com/sallyport-gateway/sallyport/internal/sql/postgres"
)

// scans is what is known of the scans with which the target plans the session's
// statements. Those that give rows in the order of an index are switched off where
// that order could be the one of labelled values (sql.Shape.Unordered), and come back
// for the next statement that reads other tables.
type scans uint8

const (
	scansAsBegun   scans = iota // never switched
	scansDoubtful               // switched, and perhaps taken back
	scansAll                    // back to what the session began with
	scansUnordered              // off
)

// settingStatement is the name under which the gateway switches. No client can take it:
// reservedNames.
const settingStatement = "sallyport sets the scans"

// ownAnswers is what the target answers to appendOwn, where the text returns no rows.
const ownAnswers = 5

// setScans switches all of sql.Scans: to off, or with RESET to what they were.
func setScans(verb, value string) []byte {
	var b []byte
	for _, name := range sql.Scans() {
		b = appendOwn(b, settingStatement, verb+name+value)
	}
	return b
}

// unordered reports whether a command that is under decision is to be planned without
// scans in the order of an index.
func (s *session) unordered(shape *sql.Shape) bool {
	return shape.Unordered && s.catalog.order() != sql.OrderStorage && s.hides()
}

// runsLater reports whether a text can leave behind what is planned or run at the end of
// its transaction: a deferred trigger, the query of a cursor that outlives it.
func (s *session) runsLater(shape *sql.Shape) bool {
	return len(s.gate.Target.Marks) > 0 && shape.Unordered && s.catalog.order() != sql.OrderStorage && (shape.Runs && !reads(shape) || holds(shape))
}

// arrange switches scans before a command is planned that has just been allowed.
func (s *session) arrange(shape *sql.Shape) error {
	switch {
	case s.aborted():
	case s.unordered(shape) || s.code.later:
		return s.switchScans(scansUnordered)
	case s.scans != scansAsBegun && len(shape.Facts.Tables) > 0:
		return s.switchScans(scansAll)
	}
	return nil
}

// arrangeAgain does so before a portal runs: COPY, EXECUTE, functions and others are
// planned only then, and what came between may have switched the scans on.
func (s *session) arrangeAgain(po *portal) error {
	if s.aborted() || !po.unordered && !s.code.later {
		return nil
	}
	return s.switchScans(scansUnordered)
}

// arrangeEnd does so before a Sync, which can end a transaction.
func (s *session) arrangeEnd() error {
	if s.aborted() || s.skip || !s.code.later {
		return nil
	}
	return s.switchScans(scansUnordered)
}

// switchScans sets the scans and notes what the target owes for it. The setting is the
// session's, but goes with a transaction that fails. Where nothing waits for a Sync it has
// one of its own: some commands cannot have anything before them in their transaction.
func (s *session) switchScans(want scans) error {
	if want == s.scans {
		return nil
	}
	control := controlAllScans
	if want == scansUnordered {
		control = controlUnorderedScans
	}
	alone := s.first()
	if err := s.up.Control(control); err != nil {
		return err
	}
	s.push(expect{typ: askTarget, command: s.last, ask: &asking{sets: true, left: ownAnswers * len(sql.Scans())}, columns: -1})
	s.scans = want
	if !alone {
		return nil
	}
	if err := s.up.Control(controlSync); err != nil {
		return err
	}
	s.syncs++
	s.push(expect{typ: wire.Sync, own: true, command: s.last, sync: s.syncs})
	return nil
}

// first reports whether the target was sent nothing that a Sync has not ended.
func (s *session) first() bool { return len(s.queue) == 0 && !s.started }

// doubtScans: what was switched may have been taken back.
func (s *session) doubtScans() {
	if s.scans != scansAsBegun {
		s.scans = scansDoubtful
	}
}

// resets reports whether a statement can take back what was set before it, and its
// transaction goes on.
func resets(st sql.Statement) bool { return takesBack(st) && st.Kind != sql.KindRollback }

// takesBack reports whether a statement can take back what was set before it.
func takesBack(st sql.Statement) bool {
	switch st.Kind {
	case sql.KindRollback, sql.KindRollbackTo, sql.KindReset, sql.KindDiscard:
		return true
	}
	return false
}
