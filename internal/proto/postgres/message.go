package postgres

import (
	"sync"

	"github.com/sallyport-gateway/sallyport/internal/gate"
	"github.com/sallyport-gateway/sallyport/internal/proto/postgres/wire"
	sql "github.com/sallyport-gateway/sallyport/internal/sql/postgres"
)

// messageSize is the room for a message being built or for answers on their way.
const messageSize = 32 << 10

var messages = sync.Pool{New: func() any { return new([messageSize]byte) }}

func getMessage() []byte { return messages.Get().(*[messageSize]byte)[:0] }

// putMessage gives a buffer back. One that grew is left to the collector.
func putMessage(b []byte) {
	if cap(b) == messageSize {
		messages.Put((*[messageSize]byte)(b[:messageSize]))
	}
}

// work is what a session needs while it handles messages.
type work struct {
	cmd       gate.Command
	subject   subject        // what cmd is about, for its callbacks
	source    string         // the text under inspection
	inspector *sql.Inspector // what inspected it
	refs      []*prepared    // scratch for subject.refs
	room      []expect       // for the session's queue
	buf       sql.Buffer
	bind      wire.BindMessage
	shown     []string // scratch for the parameters as they are recorded
	kept      []byte   // for the prover's replay
	text      []byte   // scratch for what a text is remembered by
}

// works holds what is not in use, so that an idle session has none.
var works = sync.Pool{New: func() any { return new(work) }}

// maxKept is how many parameters' places are kept for the next command.
const maxKept = 64

// reset forgets the last command: texts and parameters can be large, and are
// another session's affair the next time.
func (w *work) reset() {
	if len(w.source) > messageSize {
		w.buf = sql.Buffer{}
	}
	w.cmd, w.subject, w.source, w.inspector = gate.Command{}, subject{}, "", nil
	if cap(w.text) > messageSize {
		w.text = nil
	}
	if cap(w.room) > maxKept {
		w.room = nil
	}
	clear(w.refs[:cap(w.refs)])
	w.refs = w.refs[:0]
	if cap(w.bind.Params) > maxKept {
		w.bind, w.shown = wire.BindMessage{}, nil
	}
	clear(w.shown[:cap(w.shown)])
	clear(w.bind.Params[:cap(w.bind.Params)])
	w.bind.Portal, w.bind.Statement, w.bind.Results = nil, nil, nil
}
