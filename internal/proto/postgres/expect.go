package postgres

import (
	"github.com/sallyport-gateway/sallyport/internal/gate"
	"github.com/sallyport-gateway/sallyport/internal/proto/postgres/wire"
	sql "github.com/sallyport-gateway/sallyport/internal/sql/postgres"
)

// expect is one thing that the target owes: the answer to one forwarded message.
type expect struct {
	typ     byte // the message's type; Bind with refusal is controlFail
	kind    byte // of a Describe: 'S' or 'P'
	half    bool // a Describe of a statement has been half answered
	command uint64
	shape   *sql.Shape
	text    string // the agent's text of a Query or Parse, for error positions
	copying byte   // in COPY: CopyInResponse or CopyOutResponse
	muted   *wire.Fault
	columns int // of the rows; -1 is unknown
	rows    int64
	bytes   int64
	sync    uint64 // of a Sync or Query: its number
	result  *int   // where the number of columns goes, for later Executes
	undo    undo
	undos   []undo
	refusal *wire.Fault // the answer in place of the error that controlFail makes
	stream  *gate.Stream
	ask     *asking // of askTarget
	front   *asking // of a Query: the questions around it, until they are in the queue
	behind  *asking
	within  *asking // of a Query: the question in its text, until it is answered
	left    int     // statements of the text that come before it
	done    int     // statements of the text that have been answered
	sure    bool    // what the statement that answers answers was proved
	marks   bool    // the answers in doubt begin with this one
	own     bool    // a Sync of the gateway's own: the client is not told
	kept    bool    // a Parse that the target was not sent: it has the statement
	// parameters: of a Query that runs as its twin
	parameters bool
	twin       *twin // of a Bind or Query: what is bound in place of the statement
}

// answering reports whether rows or data have come of a statement.
func (e *expect) answering() bool { return e.bytes > 0 }

// push notes what the target will owe. While nothing is owed the queue begins at
// the front of its room again.
func (s *session) push(e expect) {
	if len(s.queue) == 0 {
		s.queue = s.room[:0]
	}
	s.queue = append(s.queue, e)
	if cap(s.queue) > cap(s.room) {
		s.room = s.queue
	}
}

func (s *session) pop() {
	if e := &s.queue[0]; e.typ == wire.Query && e.stream != nil {
		e.stream.End()
	}
	s.queue[0] = expect{}
	if len(s.queue) == 1 {
		s.queue = s.queue[:0]
		return
	}
	s.queue = s.queue[1:]
}

// waiting reports whether a command could still have to be analysed at the target: it
// has not begun to answer, or has more statements.
func (s *session) waiting(command uint64) bool {
	for i := range s.queue {
		e := &s.queue[i]
		if e.command != command || e.typ != wire.Execute && e.typ != wire.Query {
			continue
		}
		begun := e.done
		if e.answering() {
			begun++
		}
		if i > 0 || begun < len(e.shape.Statements) {
			return true
		}
	}
	return false
}
