package postgres

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strconv"
	"strings"

	"github.com/sallyport-gateway/sallyport/internal/proto/postgres/wire"
	sql "github.com/sallyport-gateway/sallyport/internal/sql/postgres"
)

const askTarget = 1 // the type of an expect that is a question

// Names at the target that no client can give, by message or in a text: whoever
// could would put a statement of his own in the place of a question.
const (
	reservedNames = "sallyport "
	questionName  = "sallyport question "
	epochName     = "sallyport epoch "
	askPortal     = "sallyport asks"
)

func reservedFault() *wire.Fault {
	return fault(codePrivilege, "names that begin with \"%s\" are the gateway's own", reservedNames)
}

// reserved reports whether a text gives or drops a name of the gateway's own.
func reserved(shape *sql.Shape) bool {
	return slices.ContainsFunc(shape.Statements, func(st sql.Statement) bool { return strings.HasPrefix(st.Name, reservedNames) })
}

// epochQuestion is the state of all definitions, and whether the transaction sees
// what others commit. It fails unless each of its parameters is NULL or equal to that.
const epochQuestion = "SELECT q.i, q.e, 1 / (($1 IS NULL OR $1 = q.e) AND ($2 IS NULL OR $2 = q.i))::pg_catalog.int4 FROM (" +
	"SELECT pg_catalog.current_setting('transaction_isolation'), (" + sql.EpochQuery + ") OFFSET 0) AS q(i, e)"

// committed is the isolation level at which a statement sees what others commit.
const committed = "read committed"

// question is a Watch or a Guard that the target keeps as a prepared statement.
type question struct {
	text, name string // name is empty while the target does not have it
	marker     []byte // what it answered when definitions were last compared; nil before
	facts      string
	proved     uint64 // the last command decided before that
	block      uint64 // the transaction in which that was
	twin       *twin  // stands in for it; nil if there is none
	steady     int    // how often it could have
}

// asking is an expect's part of a question: what came of it.
type asking struct {
	q         *question
	front     bool  // it stands in front of a statement, and fails if the definitions are others
	firm      bool  // the marker alone proves
	executes  bool  // it stands in the text of a Query, as an EXECUTE
	sets      bool  // nothing is asked, but set: q is nil
	twin      *twin // it is prepared, and q nil, or asked about
	guards    bool  // the question is its own twin: it answers nothing
	parses    byte  // the target is given: 1 the question, 2 epochQuestion
	parsed    int   // of them confirmed
	left      int   // answers that are to come
	rows      int
	marker    []byte
	facts     string
	isolation string
	epoch     string
	command   uint64
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
			q.name, q.marker, q.twin = "", nil, nil
		}
	}
	s.twins.texts = nil
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
// transaction that made it, it would not change with another analysis; and inside
// of a transaction block a server process takes notice of what others have changed
// with the locks that it takes, which are none after the first question without a
// relation of the statement's.
func (s *session) firm(q *question, command uint64) bool {
	if q.marker == nil || q.proved >= command || q.block == s.prover.blocks {
		return false
	}
	return s.status == wire.StatusIdle || strings.Count(q.text, " OR EXISTS ") > 1
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
		if front {
			dst = appendParse(dst, q.name, q.text, oidTimestamptz, oidText, oidText)
		} else {
			dst = appendParse(dst, q.name, q.text)
		}
		a.parses, a.left = 1, a.left+1
	}
	answers := 2
	if kept {
		answers = 3
	}
	var isolation []byte
	if front && (s.status != wire.StatusIdle || !s.first()) { // what it reads could be of a snapshot that is older than its locks
		isolation = []byte(committed)
	}
	switch {
	case front && a.firm && q.facts != "":
		dst = appendRun(dst, kept, q.name, q.marker, []byte(q.facts), isolation)
	case front && a.firm:
		dst = appendRun(dst, kept, q.name, q.marker, nil, nil)
	case front:
		dst = appendRun(dst, kept, q.name, nil, nil, nil)
	default:
		dst = appendRun(dst, kept, q.name)
	}
	a.left += answers
	if !a.firm {
		if s.prover.epoch == "" {
			s.prover.names++
			s.prover.epoch = epochName + strconv.FormatUint(s.prover.names, 10)
			dst = appendParse(dst, s.prover.epoch, epochQuestion, oidText, oidText)
			a.parses, a.left = a.parses|2, a.left+1
		}
		var epoch []byte
		if front {
			epoch = []byte(in.Catalog().Epoch())
		}
		dst = appendRun(dst, kept, s.prover.epoch, epoch, isolation)
		a.left += answers
	}
	return dst, expect{typ: askTarget, command: command, ask: a, columns: -1}
}

// appendExecute appends a question that is firm to the text of a Query, which is
// message. It then needs neither a transaction nor a message of its own,
// and the server sends both answers at once.
// name is its own, or that of its twin.
func appendExecute(message []byte, q *question, name string, command uint64) ([]byte, *asking) {
	message = append(message[:len(message)-1], `;EXECUTE "`...)
	message = append(append(message, name...), '"', 0)
	return wire.End(message, 1), &asking{q: q, command: command, firm: true, executes: true, guards: name != q.name, left: 2}
}

// evict drops the oldest question.
func (s *session) evict(dst []byte, a *asking) []byte {
	old := s.prover.order[0]
	s.prover.order = s.prover.order[1:]
	if q := s.prover.questions[old]; q != nil && q != a.q && q.name != "" {
		dst = wire.AppendTarget(dst, wire.Close, 'S', q.name)
		a.left++
	}
	if old == a.q.text {
		s.prover.order = append(s.prover.order, old)
	} else {
		delete(s.prover.questions, old)
	}
	return dst
}

// Types of the questions' parameters (catalog/pg_type.dat).
const (
	oidBool        = 16
	oidText        = 25
	oidTimestamptz = 1184
	oidJSONB       = 3802
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

// askAll asks about everything that was sent since the last question. last says
// that a Sync follows, which ends all portals outside of a transaction block.
func (s *session) askAll(last bool) error {
	kept := !last || s.status != wire.StatusIdle || s.started || s.begins()
	for i := range s.prover.doubts {
		d := &s.prover.doubts[i]
		if d.asked || d.stream == nil {
			continue
		}
		msg, e := []byte(nil), expect{}
		if t := s.guardedPipeline(d, kept); t != nil {
			msg = appendRun(s.messageBuffer(), false, t.name)
			e = expect{typ: askTarget, command: d.command, ask: &asking{q: d.q, guards: true, command: d.command, left: 2}, columns: -1}
		} else {
			msg, e = s.appendAsk(s.messageBuffer(), d.q, d.command, false, kept, nil)
		}
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
		if a.q == nil {
			return s.targetError(s.out.discard(n))
		}
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
	case wire.RowDescription:
		if !a.executes {
			return s.lie("unexpected message %q", typ)
		}
		if err := s.out.discard(n); err != nil {
			return s.targetError(err)
		}
	case wire.ParseComplete, wire.BindComplete, wire.CloseComplete:
		if n != 0 || a.executes {
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
	if a.executes {
		front.ask = nil // of the Query, ReadyForQuery is to come
	} else {
		s.pop()
	}
	return s.answered(a)
}

// askedRow reads the row of a question, or of epochQuestion.
func (s *session) askedRow(a *asking, body []byte) error {
	n := 3 // of epochQuestion, or a Guard
	if a.rows == 0 && !a.front {
		n = 2
	}
	values, ok := columns(body, n)
	if !ok || a.rows > 1 {
		return s.lie("an unexpected row")
	}
	if a.rows++; a.rows == 1 {
		a.marker, a.facts = a.q.marker, a.q.facts
		if a.marker == nil || !bytes.Equal(a.marker, values[0]) {
			a.marker = bytes.Clone(values[0])
		}
		if a.facts != string(values[1]) {
			a.facts = string(values[1])
		}
	} else {
		a.isolation, a.epoch = string(values[0]), string(values[1])
	}
	return nil
}

// columns splits a DataRow of n columns, three at most.
func columns(body []byte, n int) (out [3][]byte, ok bool) {
	if len(body) < 2 || int(binary.BigEndian.Uint16(body)) != n {
		return out, false
	}
	body = body[2:]
	for i := range out[:n] {
		if len(body) < 4 {
			return out, false
		}
		size := int32(binary.BigEndian.Uint32(body)) //nolint:gosec // -1 is NULL
		body = body[4:]
		if size < 0 {
			continue
		}
		if int(size) > len(body) {
			return out, false
		}
		out[i], body = body[:size], body[size:]
	}
	return out, len(body) == 0
}

// answered compares what the target said with what was proved. In front of a
// statement the target itself has done so.
func (s *session) answered(a *asking) error {
	switch {
	case a.q == nil:
		return nil
	case a.guards:
		a.q.proved = s.last
		s.settled(a.q)
		return nil
	case a.twin != nil && a.marker != nil:
		s.twinProved(a)
		return nil
	}
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
		same = a.isolation == committed && a.epoch == in.Catalog().Epoch()
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

// unasked: the target has not taken a question, and may not have the statements
// that came with it.
func (s *session) unasked(a *asking) {
	if a.q == nil {
		return
	}
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
