package postgres

import (
	"github.com/sallyport-gateway/sallyport/internal/gate"
	sql "github.com/sallyport-gateway/sallyport/internal/sql/postgres"
)

// Bounds on what one session may keep at the target.
const (
	maxStatements = 10000
	maxPortals    = 10000
)

// prepared is a statement that the target keeps: by Parse, by PREPARE, or as
// the query of a cursor. PostgreSQL has one name space for the first two.
type prepared struct {
	name      string
	shape     *sql.Shape
	canonical string     // as judged
	record    string     // for a reader
	source    string     // as the client sent it; "" if that holds secrets, or is not known
	types     []byte     // declared parameter types
	masks     gate.Masks // as they were applied
	sent      string     // the text that the target has
	notice    string     // for the agent, about that
	inspector *sql.Inspector
	temporary *sql.Temporary // of the session when it was judged
	shown     []string       // the mask of each label of shape, as it was applied
	stream    gate.Stream
	streamed  bool  // stream is open (made by Parse)
	columns   int   // of its result; -1 is unknown
	binds     int   // since the target has parsed it
	hold      bool  // a cursor that outlives its transaction
	twin      *twin // proved; nil if there is none
	steady    int   // how often it could have used one

	runner, combined *sql.Shape // see with
}

// remember notes which masks were applied.
func (p *prepared) remember(m gate.Masks) {
	p.masks, p.shown = m, p.shown[:0]
	for _, l := range p.shape.Labels {
		p.shown = append(p.shown, m.For(l))
	}
}

// sameMasks reports whether m would mask the statement as it was masked.
func (p *prepared) sameMasks(m gate.Masks) bool {
	if len(p.shown) != len(p.shape.Labels) {
		return false
	}
	for i, l := range p.shape.Labels {
		if p.shown[i] != m.For(l) {
			return false
		}
	}
	return true
}

// portal is a bound statement or a cursor of SQL.
type portal struct {
	name       string
	statement  *prepared
	stream     gate.Stream
	command    uint64
	generation uint64      // of the policy that allowed it
	sync       uint64      // the Sync or Query it belongs to
	columns    int         // of its rows; -1 is unknown
	shape      *sql.Shape  // of the statement and of what it runs by name; nil for a cursor
	cursor     bool        // made by DECLARE: it has no stream
	doubt      *doubt      // what is to be proved when it runs; nil when it was
	unordered  bool        // see arrangeAgain
	twin       *twin       // in place of the statement
	refs       []*prepared // what it runs by name
}

// undo is a change of the registry that the target has not confirmed.
type undo struct {
	kind      byte // 'S' statement, 'P' portal, 0 none
	name      string
	statement *prepared // what was there before; nil for nothing
	portal    *portal
	all       *everything // of kind 'A': all that was there before
}

// everything is what DISCARD ALL, DEALLOCATE ALL and CLOSE ALL take away.
type everything struct {
	statements map[string]*prepared
	portals    map[string]*portal
	listening  bool
}

func (s *session) setStatement(p *prepared) undo {
	u := undo{kind: 'S', name: p.name, statement: s.statements[p.name]}
	if s.statements == nil {
		s.statements = make(map[string]*prepared)
	}
	s.statements[p.name] = p
	return u
}

func (s *session) setPortal(p *portal) undo {
	u := undo{kind: 'P', name: p.name, portal: s.portals[p.name]}
	if s.portals == nil {
		s.portals = make(map[string]*portal)
	}
	s.portals[p.name] = p
	return u
}

func (s *session) dropStatement(name string) undo {
	u := undo{kind: 'S', name: name, statement: s.statements[name]}
	delete(s.statements, name)
	return u
}

func (s *session) dropPortal(name string) undo {
	u := undo{kind: 'P', name: name, portal: s.portals[name]}
	delete(s.portals, name)
	return u
}

// dropAll forgets what the target is about to drop at once.
func (s *session) dropAll(statements, portals, listening bool) undo {
	was := &everything{s.statements, s.portals, s.listening}
	if statements {
		unnamed := s.statements[""] // is not in the server's table of names
		s.statements = nil
		if unnamed != nil {
			s.setStatement(unnamed)
		}
	}
	if portals {
		s.portals = nil
	}
	s.listening = s.listening && !listening
	return undo{kind: 'A', all: was}
}

// revert takes back a change that the target did not make.
func (s *session) revert(u undo) {
	switch u.kind {
	case 'A':
		s.statements, s.portals, s.listening = u.all.statements, u.all.portals, u.all.listening
	case 'S':
		if u.statement == nil {
			delete(s.statements, u.name)
		} else {
			s.statements[u.name] = u.statement
		}
	case 'P':
		if u.portal == nil {
			delete(s.portals, u.name)
		} else {
			s.portals[u.name] = u.portal
		}
	}
}

// endTransaction forgets the portals of transactions that are over: those made
// up to the Sync or Query number done.
func (s *session) endTransaction(done uint64) {
	if p := s.portals[""]; p != nil && len(s.portals) == 1 { // nearly always
		if p.sync <= done && !(p.cursor && p.statement.hold) {
			delete(s.portals, "")
		}
		return
	}
	for name, p := range s.portals {
		if p.sync <= done && !(p.cursor && p.statement.hold) {
			delete(s.portals, name)
		}
	}
}
