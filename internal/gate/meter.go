package gate

import (
	"fmt"
	"sync"
)

// Spending is what commands moved. The members count up and are never negative.
type Spending struct {
	// Rows were read or changed.
	Rows int64
	// Bytes were answered to the agent.
	Bytes int64
	// Cells are labelled values that were shown, in whole or in part: those under
	// the masks redact and null are not counted.
	Cells int64
	// Writes are rows that were changed, at least one for each command with an
	// effect beyond reading.
	Writes int64
}

// Plus returns the sum.
func (s Spending) Plus(o Spending) Spending {
	return Spending{s.Rows + o.Rows, s.Bytes + o.Bytes, s.Cells + o.Cells, s.Writes + o.Writes}
}

// Meter counts what agents spend.
type Meter interface {
	// Account returns the account of the principal's agent ([Principal.Spender])
	// at the target. Sessions of one agent at one target share one. It must not
	// block: it is called while the session opens.
	Account(p *Principal, t *Target) Account
}

// Account is what one agent spends at one target, over all its sessions. It is
// safe for concurrent use.
type Account interface {
	// Spent returns what was spent within the window that the meter keeps. An
	// error means that it is not known; what depends on it is blocked.
	Spent() (Spending, error)
	// Spend adds. It must neither block nor allocate: it is called for every
	// answer.
	Spend(s Spending)
	// Close ends one session's use of the account.
	Close()
}

// meter is one session's use of its account. A nil meter counts nothing.
type meter struct {
	account Account
	spent   func() (Spending, error) // account.Spent

	mu    sync.Mutex      // guards what follows against the goroutine of a stream
	loads map[uint64]load // by command; those that only read what has no labels are not in it
	old   uint64          // commands up to this one were forgotten
	worst load            // the heaviest of the forgotten
}

// load says how a command's rows are counted.
type load struct {
	cells  int64 // labelled values shown by each row
	writes bool
}

// maxLoads bounds the commands of one session whose loads are known. The rows of
// an older one, which must have kept its portal all the while, count like the
// heaviest of the forgotten.
const maxLoads = 1024

func newMeter(a Account) *meter { return &meter{account: a, spent: a.Spent} }

// asked returns what Command.Spent is to be.
func (m *meter) asked() func() (Spending, error) {
	if m == nil {
		return nil
	}
	return m.spent
}

// weigh notes how the rows of a command that may run are counted.
func (m *meter) weigh(n uint64, cmd *Command, v *Verdict) {
	if m == nil || cmd.Phase == Prepare {
		return
	}
	l := load{writes: cmd.Effects&^(EffectRead|EffectExport) != 0 || cmd.Effects == 0}
	shown := int64(0)
	for _, label := range cmd.Labels {
		if mask := v.Masks.For(label); mask != MaskRedact && mask != maskNull {
			shown++
		}
	}
	if shown > 0 {
		l.cells = shown
		if cmd.Cells > 0 {
			l.cells = cmd.Cells
		}
	}
	if l == (load{}) {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.loads) >= maxLoads {
		for _, o := range m.loads {
			m.worst.cells, m.worst.writes = max(m.worst.cells, o.cells), m.worst.writes || o.writes
		}
		clear(m.loads)
		m.old = n - 1
	}
	if m.loads == nil {
		m.loads = map[uint64]load{}
	}
	m.loads[n] = l
}

// maskNull is the mask that shows nothing at all.
const maskNull = "null"

func (m *meter) rows(n uint64, rows int64) {
	if m == nil {
		return
	}
	m.mu.Lock()
	l, known := m.loads[n]
	if !known && n <= m.old {
		l = m.worst
	}
	m.mu.Unlock()
	rows = max(rows, 0)
	s := Spending{Rows: rows, Cells: rows * l.cells}
	if l.writes {
		s.Writes = max(rows, 1)
	}
	if s != (Spending{}) {
		m.account.Spend(s)
	}
}

func (m *meter) bytes(n int) {
	if m != nil {
		m.account.Spend(Spending{Bytes: int64(n)})
	}
}

func (m *meter) close() {
	if m != nil {
		m.account.Close()
	}
}

// seat is what the limits on sessions count: a target's sessions, or those of one
// agent at a target.
type seat struct {
	target string
	agent  Party
	one    bool // the agent's own; otherwise those of all agents
}

func seatsOf(i *SessionInfo) [2]seat {
	return [2]seat{{target: i.Target.Name}, {target: i.Target.Name, agent: i.Principal.Spender(), one: true}}
}

// checkSeats refuses a session beyond a limit before anything is made for it.
func (g *Gateway) checkSeats(i *SessionInfo) error {
	if i.Target.Limits.Sessions <= 0 && i.Target.Limits.SessionsPerAgent <= 0 {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.seatsFree(i)
}

// seatsFree decides; the caller holds g.mu.
func (g *Gateway) seatsFree(i *SessionInfo) error {
	at, l := seatsOf(i), i.Target.Limits
	if l.Sessions > 0 && g.seats[at[0]] >= l.Sessions {
		return &OpenError{Stage: "limit", Public: fmt.Sprintf("target %q has its limit of %d sessions open; try again when one has closed", i.Target.Name, l.Sessions)}
	}
	if l.SessionsPerAgent > 0 && g.seats[at[1]] >= l.SessionsPerAgent {
		return &OpenError{Stage: "limit", Public: fmt.Sprintf("the agent has its limit of %d sessions open at target %q; close one first", l.SessionsPerAgent, i.Target.Name)}
	}
	return nil
}
