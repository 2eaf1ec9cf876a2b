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

// arrange switches scans before a command is planned that has just been allowed, and
// notes what the target owes for it. The setting is the session's, but goes with a
// transaction that fails. Where nothing waits for a Sync it has one of its own: some
// commands cannot have anything before them in their transaction.
func (s *session) arrange(shape *sql.Shape) error {
	want := s.scans
	switch {
	case s.aborted():
	case shape.Unordered && s.catalog.order() != sql.OrderStorage && s.hides():
		want = scansUnordered
	case s.scans != scansAsBegun && len(shape.Facts.Tables) > 0:
		want = scansAll
	}
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

// takesBack reports whether a statement can take back what was set before it.
func takesBack(st sql.Statement) bool {
	switch st.Kind {
	case sql.KindRollback, sql.KindRollbackTo, sql.KindReset, sql.KindDiscard:
		return true
	}
	return false
}
