package postgres

import (
	"bytes"
	"context"
	"reflect"
	"slices"

	"github.com/sallyport-gateway/sallyport/internal/gate"
	"github.com/sallyport-gateway/sallyport/internal/proto/postgres/wire"
	sql "github.com/sallyport-gateway/sallyport/internal/sql/postgres"
)

// A statement under labels is judged by a snapshot of the definitions at the
// target, and somebody else may change them before it runs there. So the target
// is asked, in the same flight, whether they are still those of the snapshot
// (sql.Shape.Watch): behind what reads, whose answer is kept back until then, and
// in front of what writes, which is not run if they are not. What costs a round
// trip happens only when the answer has changed: docs/masking-soundness.md has
// the argument.
const (
	// maxQuestions is how many questions a session keeps at the target.
	maxQuestions = 128
	// maxHeld is how much of an answer is kept back. A longer one waits until the
	// definitions were compared in the gateway's own session: by then the statement
	// has read all that it will read of them.
	maxHeld = 256 << 10
	// maxReplay is how much of a pipeline is kept to be run again.
	maxReplay = 16 << 10
	// maxAttempts is how often a statement is judged again because definitions
	// changed while it was on its way.
	maxAttempts = 3
)

// prover is what a session knows of the definitions behind its statements.
type prover struct {
	questions map[string]*question
	order     []string // texts of questions, oldest first
	names     uint64   // given so far
	epoch     string   // the name of epochQuestion at the target; empty while it is not there
	blocks    uint64   // transactions that have ended
	doubts    []doubt  // statements that were sent and are not proved
	mark      int      // where the answers to them begin
	marked    bool     // an expect in the queue says where that is
	changed   bool     // they were judged by definitions that are no more
	stale     bool     // a statement was not run for that
	told      bool     // answers were passed on while others are in doubt
	wrote     bool     // the pipeline has run what does more than read
	failure   *wire.Fault
	replay    []byte  // the pipeline since a question in front of a Bind; nil if it is not kept
	first     *asking // the question that stands in front of it
	replaying bool
	attempts  int
}

// doubt is a statement whose judgement is not proved yet.
type doubt struct {
	q       *question
	command uint64
	stream  *gate.Stream // for the question; nil if that went with the statement
	asked   bool
	writes  bool
	loose   bool // a savepoint may have given its locks back
	judged  []judged
}

// judged is a text and what was found of it.
type judged struct {
	inspector *sql.Inspector
	temporary *sql.Temporary
	text      string
	sent      string
	message   []byte // in place of sent: valid during the exchange
	masks     gate.Masks
	shape     *sql.Shape
}

// judged is the text under decision, which is sent as message.
func (s *session) judged(message []byte, own *sql.Shape) judged {
	return judged{inspector: s.inspector, temporary: s.env.Temporary, text: s.source, message: message, masks: s.subject.masks, shape: own}
}

func (p *prepared) judged() judged {
	return judged{inspector: p.inspector, temporary: p.temporary, text: p.canonical, sent: p.sent, masks: p.masks, shape: p.shape}
}

// watched reports whether a command needs a question: it has labels at stake.
func (s *session) watched(shape *sql.Shape) bool {
	return shape != nil && shape.Watch != "" && (!s.aborted() || slices.ContainsFunc(shape.Statements, leaves)) && s.hides()
}

// hides reports whether a command may not show all that is labelled, by the masks that
// were decided for it.
func (s *session) hides() bool {
	for l := range s.gate.Target.Marks {
		if s.subject.masks.For(l) != gate.MaskPlain {
			return true
		}
	}
	return false
}

// drops reports whether a text drops all prepared statements.
func drops(shape *sql.Shape) bool {
	return shape != nil && slices.ContainsFunc(shape.Statements, func(st sql.Statement) bool {
		return st.Kind == sql.KindDeallocateAll || st.Kind == sql.KindDiscard
	})
}

// reads reports whether a shape changes nothing, and leaves nothing behind.
func reads(shape *sql.Shape) bool {
	return shape.Effects&^(gate.EffectRead|gate.EffectExport) == 0 && !shape.Lasts && !holds(shape)
}

// holds reports whether a text declares a cursor that outlives its transaction: its rows
// are kept at the target then.
func holds(shape *sql.Shape) bool {
	return slices.ContainsFunc(shape.Statements, func(st sql.Statement) bool { return st.Hold })
}

// beforehand reports whether a text cannot be asked about behind it in a transaction block:
// what it does is not all taken back with the block, or it takes data of the client's, and
// no question can stand there.
func beforehand(shape, own *sql.Shape) bool {
	return shape.Lasts || len(own.Statements) > 1 && copyFollow(own) == gate.FollowInput
}

// provesFirst reports whether a command is proved before it is sent: in a transaction
// block the target cannot compare by itself what it answers, because under a stricter
// isolation level that can be older than its locks. In a block of the gateway's own
// nothing stands before it.
func (s *session) provesFirst(shape, own *sql.Shape) bool {
	return s.status == wire.StatusInTx && !s.block && s.leaving == 0 && beforehand(shape, own) && s.watched(shape)
}

// proveFirst asks about a command that has just been allowed, and waits for the answer. The
// locks of the question are kept to the end of the block. If the definitions are others the
// client has been told, and the target skips what comes before a Sync.
func (s *session) proveFirst(permit gate.Permit, shape *sql.Shape, judged ...judged) (stream gate.Stream, err error) {
	q := s.question(shape.Watch)
	messages, ask := s.appendAsk(nil, q, permit.Command(), false, true, nil)
	if stream, err = s.up.Open(permit, messages); err != nil {
		return stream, s.gateError(err)
	}
	s.push(ask)
	for _, p := range s.subject.refs {
		judged = append(judged, p.judged())
	}
	s.doubt(doubt{q: q, command: permit.Command(), asked: true, judged: judged})
	if err := s.settle(); err != nil || !s.skip {
		return stream, err
	}
	return stream, s.gate.Effect(permit.Command(), "not sent", 0)
}

// ends reports whether a text with more than one statement ends a transaction.
func ends(shape *sql.Shape) bool {
	return len(shape.Statements) > 1 && slices.ContainsFunc(shape.Statements, endsTransaction)
}

// doubt notes a statement that is sent before it is proved. What it answers is
// kept back.
func (s *session) doubt(d doubt) {
	if len(s.prover.doubts) == 0 && !s.prover.marked {
		s.prover.mark = len(s.ans)
	}
	s.prover.doubts = append(s.prover.doubts, d)
}

// marks reports whether the answers to the next message are the first that may
// have to be dropped.
func (s *session) marks() bool {
	first := !s.prover.marked
	if first { // until they begin
		s.prover.mark = len(s.ans)
	}
	s.prover.marked = true
	return first
}

// completes is how many statements a text has if each of them is answered with one
// CommandComplete and does the same whatever stands behind it; otherwise 0.
func completes(shape *sql.Shape) int {
	for i := range shape.Statements {
		switch shape.Statements[i].Word {
		case "select", "copy", "execute", "explain", "insert", "update", "delete", "merge":
		default:
			return 0
		}
	}
	return len(shape.Statements)
}

// proveText puts the questions about a Query around its message, which is in
// s.msg, and returns all of them. What was proved before is not asked about again.
func (s *session) proveText(e *expect, own *sql.Shape, proved bool) []byte {
	if !s.watched(e.shape) {
		return s.msg
	}
	copies := copyFollow(own) == gate.FollowInput
	harmless, idle := reads(e.shape), s.status == wire.StatusIdle && !s.started
	early := s.block && beforehand(e.shape, own)
	front := !proved && (early || !harmless && (idle || ends(own)))
	behind := !copies && (!proved && !early && (harmless || !idle) || ends(own))
	var messages []byte
	if front {
		var ask expect
		messages, ask = s.appendAsk(nil, s.question(e.shape.Guard), e.command, true, false, s.inspector)
		e.front = ask.ask
	}
	size := len(s.msg)
	if behind {
		q := s.question(e.shape.Watch)
		// In a transaction block nothing is undone that would not be undone anyway, if
		// the question fails; outside of one there must be nothing to undo.
		n, name := completes(own), q.name
		guards := false
		if n > 0 && harmless {
			if t := s.guarded(q, e.shape); t != nil {
				name, guards = t.name, true
			}
		}
		if n > 0 && (harmless || s.status == wire.StatusInTx) && (guards || s.firm(q, e.command)) {
			s.msg, e.within = appendExecute(s.msg, q, name, e.command)
			e.left = n
		} else {
			var ask expect
			if drops(own) {
				s.msg, ask = s.behindDrop(s.msg, q, e.command)
			} else {
				s.msg, ask = s.appendAsk(s.msg, q, e.command, false, false, nil)
			}
			s.msg = append(s.msg, controlMessages[controlSync]...)
			e.behind = ask.ask
		}
		d := doubt{q: q, command: e.command, asked: true, writes: !harmless, loose: slices.ContainsFunc(own.Statements, leaves),
			judged: []judged{s.judged(s.msg[wire.HeaderSize:size-1], own)}}
		for _, p := range s.subject.refs {
			d.judged = append(d.judged, p.judged())
		}
		s.doubt(d)
	}
	if !front {
		return s.msg
	}
	return append(messages, s.msg...)
}

// oweText notes what the target will answer to a Query and the questions around
// it.
func (s *session) oweText(e expect) {
	if e.front != nil {
		s.push(expect{typ: askTarget, command: e.command, ask: e.front, columns: -1})
	}
	behind := e.behind
	e.front, e.behind = nil, nil
	s.push(e)
	if behind != nil {
		s.syncs++
		s.push(expect{typ: askTarget, command: e.command, ask: behind, columns: -1})
		s.push(expect{typ: wire.Sync, own: true, command: e.command, sync: s.syncs})
	}
}

// late asks about a Query that failed before the question in its text was asked.
func (s *session) late(front *expect) error {
	msg, ask := s.appendAsk(nil, front.within.q, front.command, false, false, nil)
	if err := front.stream.Write(append(msg, controlMessages[controlSync]...)); err != nil {
		return s.gateError(err)
	}
	s.syncs++
	s.push(ask)
	s.push(expect{typ: wire.Sync, own: true, command: ask.command, sync: s.syncs})
	return s.up.Flush()
}

// proveBind puts a question in front of a Bind that writes outside of a
// transaction block, or could, and returns the messages. Other statements are asked about
// when they have run.
func (s *session) proveBind(po *portal, shape *sql.Shape, body []byte) []byte {
	bind := wire.AppendMessage(s.messageBuffer(), wire.Bind, body)
	s.msg = bind
	if !s.watched(shape) {
		return bind
	}
	if copies := copyFollow(po.statement.shape) == gate.FollowInput; copies && s.status != wire.StatusIdle {
		return bind
	} else if reads(shape) || s.status != wire.StatusIdle && s.leaving == 0 {
		if t := s.twinned(po.statement, shape); t != nil && len(bind) <= maxReplay {
			return s.bindTwin(po, t, body)
		}
		po.doubt = &doubt{q: s.question(shape.Watch), command: po.command, writes: !reads(shape), judged: []judged{po.statement.judged()}}
		for _, p := range s.subject.refs {
			if p != po.statement {
				po.doubt.judged = append(po.doubt.judged, p.judged())
			}
		}
		s.keep(bind, nil)
		return bind
	}
	messages, ask := s.appendAsk(nil, s.question(shape.Guard), po.command, true, true, po.statement.inspector)
	s.push(ask)
	s.keep(bind, ask.ask)
	return append(messages, bind...)
}

// proveExecute notes that what a portal answers is in doubt, the first time it
// runs: then it has read all definitions that it will read.
func (s *session) proveExecute(po *portal) {
	if po.doubt == nil {
		return
	}
	d := *po.doubt
	if d.stream == nil {
		d.stream = &po.stream
	}
	po.doubt = nil
	s.doubt(d)
}

// proveBefore proves what is in doubt before a transaction ends, because what was
// written is permanent then, before locks are given back, and before the questions are
// dropped.
func (s *session) proveBefore(shape *sql.Shape) error {
	if len(s.prover.doubts) == 0 || !drops(shape) && !slices.ContainsFunc(shape.Statements, leaves) {
		return nil
	}
	return s.settle()
}

// prove compares the definitions in the gateway's own session, which sees
// everything that the statements in doubt have seen. If nothing has changed since
// they were judged, all is well. If something has, it may have been changed back
// and forth; only inside of an open transaction block, whose locks keep what
// belongs to relations as it was for the statements, it is enough that they would
// be judged alike now. It reports whether what was answered so far may
// be passed on. What the target may not have analysed yet stays in doubt.
func (s *session) prove() (bool, error) {
	ctx := context.Background() // bounded by Probe
	in, err := s.catalog.fresh(ctx, s.gateway)
	if locked(err) {
		s.prover.changed = true // somebody is changing it
		return false, nil
	}
	if err != nil {
		s.gate.End(gate.EndTarget, err)
		return false, s.gate.Err()
	}
	block := s.status == wire.StatusInTx && s.leaving == 0
	for i := range s.prover.doubts {
		d := &s.prover.doubts[i]
		for _, j := range d.judged {
			if in != j.inspector && (!block || d.loose || !s.same(ctx, in, j)) {
				s.prover.changed = true
				return false, nil
			}
		}
	}
	s.prover.doubts = slices.DeleteFunc(s.prover.doubts, func(d doubt) bool { return !s.waiting(d.command) })
	return true, nil
}

// same reports whether a text is judged as before by another snapshot.
func (s *session) same(ctx context.Context, in *sql.Inspector, j judged) bool {
	if !in.Catalog().SharesWith(j.inspector.Catalog()) {
		return false
	}
	env, ok := s.envOf(ctx, in, j.temporary)
	if !ok {
		return false
	}
	var buf sql.Buffer
	now, err := in.Inspect(ctx, &env, j.text, &buf)
	if err != nil {
		return false
	}
	sent, err := now.AppendSQL(nil, j.masks)
	was := j.message
	if was == nil {
		was = []byte(j.sent)
	}
	return err == nil && bytes.Equal(sent, was) && now.Shape.Effects == j.shape.Effects &&
		slices.Equal(now.Shape.Labels, j.shape.Labels) && slices.Equal(now.Shape.NotNull, j.shape.NotNull) && reflect.DeepEqual(now.Shape.Facts, j.shape.Facts)
}
