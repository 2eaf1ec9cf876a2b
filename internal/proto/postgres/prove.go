package postgres

import (
	"bytes"
	"context"
	"encoding/binary"
	"reflect"
	"slices"
	"strconv"

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

const askTarget = 1 // the type of an expect that is a question

// Names at the target that no client can give: noStatement is another.
const (
	questionName = "sallyport question "
	epochName    = "sallyport epoch "
	askPortal    = "sallyport asks"
)

// epochQuestion is the state of all definitions, and whether the transaction sees
// what others commit.
const epochQuestion = "SELECT pg_catalog.current_setting('transaction_isolation'), q.e, 1 / ($1 IS NULL OR $1 = q.e)::pg_catalog.int4 FROM (" +
	sql.EpochQuery + " OFFSET 0) AS q(e)"

// question is a Watch that the target keeps as a prepared statement.
type question struct {
	text, name string // name is empty while the target does not have it
	marker     []byte // what it answered when definitions were last compared; nil before
	facts      string
	proved     uint64 // the last command decided before that
	block      uint64 // the transaction in which that was
}

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

func (p *prepared) judged() judged {
	return judged{inspector: p.inspector, temporary: p.temporary, text: p.canonical, sent: p.sent, masks: p.masks, shape: p.shape}
}

// asking is an expect's part of a question: what came of it.
type asking struct {
	q         *question
	front     bool // it stands in front of a statement, and fails if the definitions are others
	firm      bool // the marker alone proves
	parses    byte // the target is given: 1 the question, 2 epochQuestion
	parsed    int  // of them confirmed
	left      int  // answers that are to come
	rows      int
	marker    []byte
	facts     string
	isolation string
	epoch     string
	command   uint64
}

// watched reports whether a command needs a question: it has labels at stake.
func (s *session) watched(shape *sql.Shape) bool {
	if shape == nil || shape.Watch == "" || s.status == wire.StatusFailed {
		return false
	}
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

// reads reports whether a shape changes nothing.
func reads(shape *sql.Shape) bool {
	return shape.Effects&^(gate.EffectRead|gate.EffectExport) == 0
}

// ends reports whether a text with more than one statement ends a transaction.
func ends(shape *sql.Shape) bool {
	return len(shape.Statements) > 1 && slices.ContainsFunc(shape.Statements, func(st sql.Statement) bool {
		return st.Kind == sql.KindCommit || st.Kind == sql.KindRollback
	})
}

// question returns the session's question for a text.
func (s *session) question(text string) *question {
	q := s.prover.questions[text]
	if q != nil {
		return q
	}
	if s.prover.questions == nil {
		s.prover.questions = make(map[string]*question)
	}
	q = &question{text: text}
	s.prover.questions[text] = q
	s.prover.order = append(s.prover.order, text)
	return q
}

// forget makes the session ask anew: the target has dropped its statements, but
// for those that it is given behind that.
func (s *session) forget(behind *asking) {
	for _, q := range s.prover.questions {
		if behind == nil || behind.q != q || behind.parses&1 == 0 {
			q.name, q.marker = "", nil
		}
	}
	if behind == nil || behind.parses&2 == 0 {
		s.prover.epoch = ""
	}
}

// behindDrop appends the question behind a text that drops all prepared
// statements, or fails before it does: the target is given it once more.
func (s *session) behindDrop(dst []byte, q *question, command uint64) ([]byte, expect) {
	closed := 0
	for _, name := range []string{q.name, s.prover.epoch} {
		if name != "" {
			dst = wire.AppendTarget(dst, wire.Close, 'S', name)
			closed++
		}
	}
	q.name, q.marker, s.prover.epoch = "", nil, ""
	dst, e := s.appendAsk(dst, q, command, false, false, nil)
	e.ask.left += closed
	return dst, e
}

// firm reports whether the target's marker alone can prove a command. In the
// transaction that made it, it would not change with another analysis.
func (s *session) firm(q *question, command uint64) bool {
	return q.marker != nil && q.proved < command && q.block != s.prover.blocks
}

// appendAsk appends the messages of a question and returns what it owes. In front
// of a statement, which was judged by in, it fails if the answer is another one.
// kept says that the client may have an unnamed portal that outlives the question.
func (s *session) appendAsk(dst []byte, q *question, command uint64, front, kept bool, in *sql.Inspector) ([]byte, expect) {
	a := &asking{q: q, front: front, command: command, firm: s.firm(q, command)}
	if len(s.prover.questions) > maxQuestions {
		dst = s.evict(dst, a)
	}
	if q.name == "" {
		s.prover.names++
		q.name = questionName + strconv.FormatUint(s.prover.names, 10)
		dst = appendParse(dst, q.name, q.text, oidTimestamptz, oidText)
		a.parses, a.left = 1, a.left+1
	}
	var marker, facts, epoch []byte
	if front && a.firm {
		marker = q.marker
		if q.facts != "" {
			facts = []byte(q.facts)
		}
	}
	answers := 2
	if kept {
		answers = 3
	}
	dst = appendRun(dst, kept, q.name, marker, facts)
	a.left += answers
	if !a.firm {
		if s.prover.epoch == "" {
			s.prover.names++
			s.prover.epoch = epochName + strconv.FormatUint(s.prover.names, 10)
			dst = appendParse(dst, s.prover.epoch, epochQuestion, oidText)
			a.parses, a.left = a.parses|2, a.left+1
		}
		if front {
			epoch = []byte(in.Catalog().Epoch())
		}
		dst = appendRun(dst, kept, s.prover.epoch, epoch)
		a.left += answers
	}
	return dst, expect{typ: askTarget, command: command, ask: a, columns: -1}
}

// evict drops the oldest question.
func (s *session) evict(dst []byte, a *asking) []byte {
	old := s.prover.order[0]
	s.prover.order = s.prover.order[1:]
	if q := s.prover.questions[old]; q != nil && q != a.q && q.name != "" {
		dst = wire.AppendTarget(dst, wire.Close, 'S', q.name)
		a.left++
	}
	if old != a.q.text {
		delete(s.prover.questions, old)
	}
	return dst
}

// Types of the questions' parameters (catalog/pg_type.dat).
const (
	oidText        = 25
	oidTimestamptz = 1184
)

func appendParse(dst []byte, name, text string, parameters ...uint32) []byte {
	dst, at := wire.Begin(dst, wire.Parse)
	dst = wire.AppendString(wire.AppendString(dst, name), text)
	dst = append(dst, 0, byte(len(parameters)))
	for _, p := range parameters {
		dst = binary.BigEndian.AppendUint32(dst, p)
	}
	return wire.End(dst, at)
}

// appendRun runs a statement. Where the client may have kept an unnamed portal, it
// does so in a portal of the gateway's own and closes that. Everything is in
// binary form.
func appendRun(dst []byte, kept bool, name string, values ...[]byte) []byte {
	portal := ""
	if kept {
		portal = askPortal
	}
	dst, at := wire.Begin(dst, wire.Bind)
	dst = wire.AppendString(wire.AppendString(dst, portal), name)
	dst = append(dst, 0, 1, 0, 1, 0, byte(len(values)))
	for _, v := range values {
		if v == nil {
			dst = append(dst, 0xff, 0xff, 0xff, 0xff)
		} else {
			dst = append(binary.BigEndian.AppendUint32(dst, uint32(len(v))), v...) //nolint:gosec // a marker or a digest
		}
	}
	dst = wire.End(append(dst, 0, 1, 0, 1), at)
	dst = wire.AppendExecute(dst, portal, 0)
	if kept {
		dst = wire.AppendTarget(dst, wire.Close, 'P', portal)
	}
	return dst
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
	s.prover.marked = true
	return first
}

// askAll asks about everything that was sent since the last question. last says
// that a Sync follows, which ends all portals outside of a transaction block.
func (s *session) askAll(last bool) error {
	kept := !last || s.status != wire.StatusIdle || s.started || s.begins()
	for i := range s.prover.doubts {
		d := &s.prover.doubts[i]
		if d.asked || d.stream == nil {
			continue
		}
		msg, e := s.appendAsk(s.messageBuffer(), d.q, d.command, false, kept, nil)
		s.msg = msg
		for j := i; j < len(s.prover.doubts); j++ {
			if other := &s.prover.doubts[j]; other.q == d.q {
				other.asked = true
				e.ask.command = min(e.ask.command, other.command)
			}
		}
		e.ask.firm = e.ask.firm && s.firm(d.q, e.ask.command)
		if err := d.stream.Write(msg); err != nil {
			return s.gateError(err)
		}
		s.push(e)
	}
	return nil
}

// proveText puts the questions about a Query around its message, which is in
// s.msg, and returns all of them.
func (s *session) proveText(e *expect, own *sql.Shape) []byte {
	if !s.watched(e.shape) {
		return s.msg
	}
	copies := copyFollow(own) == gate.FollowInput
	harmless, idle := reads(e.shape), s.status == wire.StatusIdle && !s.started
	front := !harmless && (idle || ends(own))
	behind := !copies && (harmless || !idle || ends(own))
	q := s.question(e.shape.Watch)
	var messages []byte
	if front {
		var ask expect
		messages, ask = s.appendAsk(nil, q, e.command, true, false, s.inspector)
		e.front = ask.ask
	}
	size := len(s.msg)
	if behind {
		var ask expect
		if drops(own) {
			s.msg, ask = s.behindDrop(s.msg, q, e.command)
		} else {
			s.msg, ask = s.appendAsk(s.msg, q, e.command, false, false, nil)
		}
		s.msg = append(s.msg, controlMessages[controlSync]...)
		e.behind = ask.ask
		d := doubt{q: q, command: e.command, asked: true, writes: !harmless,
			judged: []judged{{inspector: s.inspector, temporary: s.env.Temporary, text: s.source, message: s.msg[wire.HeaderSize : size-1], masks: s.subject.masks, shape: own}}}
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

// proveBind puts a question in front of a Bind that writes outside of a
// transaction block, and returns the messages. Other statements are asked about
// when they have run.
func (s *session) proveBind(po *portal, shape *sql.Shape, body []byte) []byte {
	bind := wire.AppendMessage(s.messageBuffer(), wire.Bind, body)
	s.msg = bind
	if !s.watched(shape) {
		return bind
	}
	q := s.question(shape.Watch)
	if copies := copyFollow(po.statement.shape) == gate.FollowInput; copies && s.status != wire.StatusIdle {
		return bind
	} else if reads(shape) || s.status != wire.StatusIdle {
		po.doubt = &doubt{q: q, command: po.command, writes: !reads(shape), judged: []judged{po.statement.judged()}}
		for _, p := range s.subject.refs {
			if p != po.statement {
				po.doubt.judged = append(po.doubt.judged, p.judged())
			}
		}
		s.keep(bind, nil)
		return bind
	}
	messages, ask := s.appendAsk(nil, q, po.command, true, true, po.statement.inspector)
	s.push(ask)
	s.keep(bind, ask.ask)
	return append(messages, bind...)
}

// keep begins to keep a pipeline of which nothing has run yet, to run it again if
// that comes to nothing.
func (s *session) keep(bind []byte, front *asking) {
	p := &s.prover
	if p.replay == nil && s.status == wire.StatusIdle && !s.started && !s.executing() && len(bind) <= maxReplay {
		p.replay, p.first = append([]byte(nil), bind...), front
	}
}

// proveExecute notes that what a portal answers is in doubt, the first time it
// runs: then it has read all definitions that it will read.
func (s *session) proveExecute(po *portal) {
	if po.doubt == nil {
		return
	}
	d := *po.doubt
	d.stream = &po.stream
	po.doubt = nil
	s.doubt(d)
}

// proveBefore proves what is in doubt before a transaction ends, because what was
// written is permanent then, and before the questions are dropped.
func (s *session) proveBefore(shape *sql.Shape) error {
	ending := drops(shape) || slices.ContainsFunc(shape.Statements, func(st sql.Statement) bool {
		return st.Kind == sql.KindCommit || st.Kind == sql.KindRollback || st.Word == "prepare transaction"
	})
	if !ending || len(s.prover.doubts) == 0 {
		return nil
	}
	return s.settle()
}

// begins reports whether a statement on its way opens a transaction block.
func (s *session) begins() bool {
	return slices.ContainsFunc(s.queue, func(e expect) bool {
		return e.typ == wire.Execute && e.shape != nil && !ordinary(e.shape)
	})
}

// asked takes the target's answers to a question.
func (s *session) asked(front *expect, typ byte, n int) error {
	a := front.ask
	switch typ {
	case wire.NotificationResponse:
		return s.notified(n)
	case wire.NoticeResponse:
		return s.targetError(s.out.discard(n))
	case wire.ParameterStatus:
		return s.parameter(n)
	case wire.ErrorResponse:
		f, err := s.readFault(n)
		if err != nil {
			return err
		}
		return s.askFailed(front, f)
	case wire.DataRow:
		if n > maxLoginMessage {
			return s.lie("a row of %d bytes", n)
		}
		body, err := s.out.body(n)
		if err != nil {
			return s.targetError(err)
		}
		return s.askedRow(a, body)
	case wire.CommandComplete:
		if err := s.out.discard(n); err != nil {
			return s.targetError(err)
		}
	case wire.ParseComplete, wire.BindComplete, wire.CloseComplete:
		if n != 0 {
			return s.lie("unexpected message %q", typ)
		}
		if typ == wire.ParseComplete {
			a.parsed++
		}
	default:
		return s.lie("unexpected message %q", typ)
	}
	if a.left--; a.left > 0 {
		return nil
	}
	s.pop()
	return s.answered(a)
}

// askedRow reads the row of a question, or of epochQuestion: three columns each.
func (s *session) askedRow(a *asking, body []byte) error {
	values, ok := columns(body, 3)
	if !ok || a.rows > 1 {
		return s.lie("an unexpected row")
	}
	if a.rows++; a.rows == 1 {
		a.marker, a.facts = bytes.Clone(values[1]), string(values[2])
	} else {
		a.isolation, a.epoch = string(values[0]), string(values[1])
	}
	return nil
}

// columns splits a DataRow of n columns.
func columns(body []byte, n int) ([][]byte, bool) {
	if len(body) < 2 || int(binary.BigEndian.Uint16(body)) != n {
		return nil, false
	}
	body = body[2:]
	out := make([][]byte, n)
	for i := range out {
		if len(body) < 4 {
			return nil, false
		}
		size := int32(binary.BigEndian.Uint32(body)) //nolint:gosec // -1 is NULL
		body = body[4:]
		if size < 0 {
			continue
		}
		if int(size) > len(body) {
			return nil, false
		}
		out[i], body = body[:size], body[size:]
	}
	return out, len(body) == 0
}

// answered compares what the target said with what was proved. In front of a
// statement the target itself has done so.
func (s *session) answered(a *asking) error {
	if a.marker == nil || !a.firm && a.rows < 2 {
		return s.lie("a question without an answer")
	}
	same := a.front
	if !same && a.firm {
		same = bytes.Equal(a.marker, a.q.marker) && a.facts == a.q.facts
	}
	if in := s.inspectorOf(a); !same && !a.firm && in != nil {
		// Under a stricter isolation level the epoch is that of the transaction's
		// snapshot, and a statement sees definitions that are newer.
		same = a.isolation == "read committed" && a.epoch == in.Catalog().Epoch()
	}
	if !same {
		proved, err := s.prove()
		if err != nil || !proved {
			return err
		}
	}
	s.learn(a)
	s.settled(a.q)
	return nil
}

// inspectorOf returns the snapshot by which everything that a question is about
// was judged, or nil if there are several.
func (s *session) inspectorOf(a *asking) *sql.Inspector {
	var in *sql.Inspector
	for i := range s.prover.doubts {
		if d := &s.prover.doubts[i]; d.q == a.q {
			for _, j := range d.judged {
				if in != nil && in != j.inspector {
					return nil
				}
				in = j.inspector
			}
		}
	}
	return in
}

// learn remembers an answer that was proved.
func (s *session) learn(a *asking) {
	if !bytes.Equal(a.q.marker, a.marker) {
		a.q.marker, a.q.block = a.marker, s.prover.blocks
	}
	a.q.facts, a.q.proved = a.facts, s.last
}

// settled removes the doubts that a question has answered.
func (s *session) settled(q *question) {
	s.prover.doubts = slices.DeleteFunc(s.prover.doubts, func(d doubt) bool { return d.q == q && (d.asked || d.stream == nil) })
}

// prove compares the definitions in the gateway's own session, which sees
// everything that the statements in doubt have seen. If nothing has changed since
// they were judged, all is well. If something has, it may have been changed back
// and forth; only inside of an open transaction block, whose locks keep what
// belongs to relations as it was for the statements, it is enough that they would
// be judged alike now. It reports whether they may be answered.
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
	for i := range s.prover.doubts {
		for _, j := range s.prover.doubts[i].judged {
			if in != j.inspector && (s.status != wire.StatusInTx || !s.same(ctx, in, j)) {
				s.prover.changed = true
				return false, nil
			}
		}
	}
	s.prover.doubts = s.prover.doubts[:0]
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
		slices.Equal(now.Shape.Labels, j.shape.Labels) && reflect.DeepEqual(now.Shape.Facts, j.shape.Facts)
}

// askFailed: the target did not answer. In front of a statement that means that
// the statement was not run.
func (s *session) askFailed(front *expect, f *wire.Fault) error {
	a := front.ask
	if f.Severity != "ERROR" {
		s.gate.End(gate.EndTarget, fatal(f.Code, "terminating connection: the target ended it"))
		return s.gate.Err()
	}
	s.unasked(a)
	s.pop()
	if f.Code == codeStatementName {
		s.forget(nil)
	}
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

// unasked: the target has not taken a question, and may not have the statements
// that came with it.
func (s *session) unasked(a *asking) {
	a.q.marker = nil
	confirmed := a.parsed
	if a.parses&1 != 0 {
		if confirmed == 0 {
			a.q.name = ""
		}
		confirmed--
	}
	if a.parses&2 != 0 && confirmed < 1 {
		s.prover.epoch = ""
	}
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

// retryPipeline decides what becomes of a pipeline of which the target has run
// nothing: it is run again from what was kept, or the client is told.
func (s *session) retryPipeline(a *asking) error {
	p := &s.prover
	if p.stale && p.replay != nil && p.first == a && p.attempts < maxAttempts && len(p.replay)+s.in.buffered() <= bufferSize {
		p.stale, p.replaying = false, true
		p.attempts++
		if len(s.queue) > 0 {
			s.queue[0].own = true
			return nil
		}
		s.skip = false
		return s.ownSync()
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
	writes := p.wrote || slices.ContainsFunc(p.doubts, func(d doubt) bool { return d.writes })
	switch {
	case p.stale:
		p.stale = false
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
	if changed && !writes && f == nil && p.replay != nil && p.first == nil && s.status == wire.StatusIdle && !s.started &&
		p.attempts < maxAttempts && len(p.replay)+s.in.buffered() <= bufferSize {
		p.attempts++
		p.replaying = true
		return false, nil, nil
	}
	if changed && writes {
		// It may have written what nobody judged, and must not be committed.
		s.gate.End(gate.EndProtocol, fatal(codeSerialization,
			"terminating connection: definitions at the target changed while a transaction was using them; connect and run it again"))
		return false, nil, s.gate.Err()
	}
	return false, f, nil
}

// sure proves everything that was sent, because its answers cannot be kept back
// any longer. If that cannot be done the session ends.
func (s *session) sure() error {
	if len(s.prover.doubts) == 0 {
		return nil
	}
	proved, err := s.prove()
	if err != nil || proved {
		return err
	}
	s.gate.End(gate.EndProtocol, fatal(codeSerialization,
		"terminating connection: definitions at the target changed while a statement was using them; connect and run it again"))
	return s.gate.Err()
}
