package postgres

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"
	"strconv"

	"github.com/sallyport-gateway/sallyport/internal/gate"
	"github.com/sallyport-gateway/sallyport/internal/proto/postgres/wire"
	sql "github.com/sallyport-gateway/sallyport/internal/sql/postgres"
)

// What proves a statement costs the target an answer each time. The gateway prepares a
// guarded text (sql.Guarded) a second time, or first: it is proved once, and from then on
// it needs no proof, because the server itself refuses to plan it as soon as it would have
// to analyse it anew. Such a twin is made
//
//   - of a prepared statement that only reads. It stands in for the client's where that
//     would be alone in its pipeline;
//   - of a text that only reads, with parameters in place of its literals. It stands in for
//     texts that differ in these only;
//   - of a question. It stands in behind texts and pipelines that only read, outside of
//     transaction blocks, and answers nothing.
//
// When a twin fails the agent has seen nothing that was not proved. Where it stands in for a
// statement, nothing has run, and the pipeline is run again without it; where it is a
// question, the definitions are compared in another way.
const (
	twinName      = "sallyport twin "
	zoneStatement = "sallyport sets the zone"
	// twinAfter is how often a statement or a question runs before it gets a twin.
	twinAfter = 3
	// twinAgain is how often it runs before it gets another one: a table that is
	// analysed all the time is better asked about.
	twinAgain = 50
	// maxTwins is how many of them a session keeps at the target.
	maxTwins = 64
	// maxTexts is how many texts a session remembers, because they may come again, and
	// maxText how long they are, as the client sends them, and maxMasked as they are sent.
	maxTexts  = 32
	maxText   = 2 << 10
	maxMasked = 8 << 10
	// withoutEarlyReports is the first release that reports a setting when the
	// transaction is over, and so not at all what was set for a transaction.
	withoutEarlyReports = 14
)

// twin is a guarded statement at the target: of a client's, or of a question if of is nil.
type twin struct {
	name string
	of   *prepared // without a name it is a text
	q    *question // by which it is proved
}

// known makes it stand in, or says that it does not any more.
func (t *twin) known(stands bool, steady int) {
	now := t
	if !stands {
		now = nil
	}
	if t.of != nil {
		t.of.twin, t.of.steady = now, steady
	} else {
		t.q.twin, t.q.steady = now, steady
	}
}

// current reports whether it stands in.
func (t *twin) current() bool { return t.of != nil && t.of.twin == t || t.of == nil && t.q.twin == t }

// twins is what a session knows of them.
type twins struct {
	list    []*twin // those that the target may have, oldest first
	names   uint64  // given so far
	wanted  *twin   // to be made behind what is on its way
	foreign bool    // the session's time zone could be the one of the guard
	moved   bool    // and may have become it since the last ReadyForQuery
	// sent says that texts are to be sent, whatever has been kept: sql.KeepsOtherwise.
	sent bool
	// texts are those that may come again, by their parameters' types and themselves.
	texts map[string]*prepared
}

// zoneMessages set the zone under which a twin is analysed, to the end of the transaction.
func zoneMessages() []byte {
	return appendOwn(nil, zoneStatement, "SELECT pg_catalog.set_config('TimeZone', '"+sql.GuardZone+"', true)")
}

// noteZone notes the session's time zone.
func (s *session) noteZone(zone string) { s.twins.foreign = !sql.GuardsFail(zone) }

// twinsServe reports whether twins can be made and used now.
func (s *session) twinsServe() bool {
	return s.status == wire.StatusIdle && !s.started && s.env.Temporary.Len() == 0 && !s.twins.foreign && !s.twins.moved && s.backend.release >= withoutEarlyReports
}

// twinned returns the twin that stands in for a statement that is bound now, and notes
// that it should get one.
func (s *session) twinned(p *prepared, shape *sql.Shape) *twin {
	if p.name == "" || !shape.Steady || !s.first() || s.prover.replay != nil || len(s.subject.refs) != 1 || !s.twinsServe() {
		return nil
	}
	if p.twin == nil {
		if p.steady++; p.steady >= twinAfter && p.streamed {
			s.twins.wanted = &twin{of: p, q: s.question(shape.Watch)}
		}
	}
	return p.twin
}

// repeated returns the twin that stands in for a text, and notes that it should get one.
func (s *session) repeated(in *sql.Inspection, shape *sql.Shape) *twin {
	if !shape.Kept || s.twins.sent || len(s.source) > maxText || !shape.Steady || !reads(shape) || !s.watched(shape) || !s.twinsServe() {
		return nil
	}
	key, err := in.AppendParameters(append(s.text[:0], shape.ParameterTypes...), s.subject.masks)
	s.text = key
	if err != nil || len(key) > maxMasked {
		return nil
	}
	p := s.twins.texts[string(key)]
	if p == nil {
		p = &prepared{sent: string(key[len(shape.ParameterTypes):]), types: shape.ParameterTypes}
		s.twins.remember(string(key), p)
	}
	if p.twin == nil {
		if p.steady++; p.steady >= twinAfter {
			s.twins.wanted = &twin{of: p, q: s.question(shape.Watch)}
		}
	}
	return p.twin
}

// remember keeps a text in place of another one, if there are too many: of one without a
// twin, as long as there is one.
func (t *twins) remember(key string, p *prepared) {
	if t.texts == nil {
		t.texts = make(map[string]*prepared)
	}
	for _, twinned := range []bool{false, true} {
		for old, other := range t.texts {
			if len(t.texts) >= maxTexts && (twinned || other.twin == nil) {
				delete(t.texts, old)
			}
		}
	}
	t.texts[key] = p
}

// sendTwin sends what runs a twin in place of the text that was judged.
func (s *session) sendTwin(t *twin, in *sql.Inspection, permit gate.Permit) (*expect, *wire.Fault, error) {
	n := len(in.Shape.Parameters)
	dst, at := wire.Begin(s.msg[:0], wire.Bind)
	dst = wire.AppendString(append(dst, 0), t.name)
	dst = binary.BigEndian.AppendUint16(append(dst, 0, 0), uint16(n+1)) //nolint:gosec // maxText bounds them
	for i := range n {
		value := len(dst)
		dst = in.AppendParameter(append(dst, 0, 0, 0, 0), i)
		binary.BigEndian.PutUint32(dst[value:], uint32(len(dst)-value-4)) //nolint:gosec // a part of a text
	}
	dst = wire.End(append(dst, 0, 0, 0, 1, 't', 0, 0), at)
	dst = wire.AppendExecute(wire.AppendTarget(dst, wire.Describe, 'P', ""), "", 0)
	s.msg = append(dst, controlMessages[controlSync]...)
	if err := s.up.Send(permit, s.msg); err != nil {
		return nil, nil, s.gateError(err)
	}
	s.syncs++
	e := expect{typ: wire.Query, command: permit.Command(), shape: in.Shape, columns: -1, sync: s.syncs, twin: t} // positions are those of its text
	s.track(in.Shape)
	s.tell()
	s.push(e)
	return &e, nil, nil
}

// guarded returns the twin that stands in for a question behind what only reads, and notes
// that the question should get one.
func (s *session) guarded(q *question, shape *sql.Shape) *twin {
	if !shape.Steady || !s.twinsServe() {
		return nil
	}
	if q.twin == nil {
		if q.steady++; q.steady >= twinAfter && s.twins.wanted == nil {
			s.twins.wanted = &twin{q: q}
		}
	}
	return q.twin
}

// bindTwin makes the message of a Bind to a twin.
func (s *session) bindTwin(po *portal, t *twin, body []byte) []byte {
	s.keep(s.msg, nil)
	po.twin = t
	rest := body[len(s.bind.Portal)+len(s.bind.Statement)+2:]
	dst, at := wire.Begin(s.msg[:0], wire.Bind)
	dst = wire.AppendString(wire.AppendString(dst, po.name), t.name)
	s.msg = wire.End(append(dst, rest...), at)
	return s.msg
}

// guardedPipeline returns the twin that stands in for the question behind a pipeline that
// does nothing but read, and so loses nothing with its transaction.
func (s *session) guardedPipeline(d *doubt, kept bool) *twin {
	if kept || len(d.judged) > 1 || slices.ContainsFunc(s.queue, func(e expect) bool {
		return e.typ == wire.Execute && (completes(e.shape) == 0 || !reads(e.shape))
	}) {
		return nil
	}
	return s.guarded(d.q, d.judged[0].shape)
}

// text returns what the target is to prepare for a twin, and its parameters' types.
func (t *twin) text() (text string, types []byte, ok bool) {
	switch p := t.of; {
	case p == nil:
		text, ok = sql.GuardedWatch(t.q.text)
		return text, nil, ok
	case p.name == "":
		text, ok = sql.GuardedText(p.sent, len(p.types)/4)
		return text, binary.BigEndian.AppendUint32(bytes.Clone(p.types), oidBool), ok
	case p.source == "" || unsteady(p.source):
		return "", nil, false
	default:
		text, ok = sql.Guarded(p.sent)
		return text, p.types, ok
	}
}

// doubtful returns the stream of what was sent last of what is not proved.
func (s *session) doubtful() *gate.Stream {
	if n := len(s.prover.doubts); n > 0 {
		return s.prover.doubts[n-1].stream
	}
	return nil
}

// makeTwin prepares the twin that is wanted, behind a Sync or a Query that has just been
// sent. That of a question or a text goes on the stream of what is proved.
func (s *session) makeTwin(stream *gate.Stream) error {
	t := s.twins.wanted
	s.twins.wanted = nil
	if t == nil || s.begins() { // in a block the zone would stay
		return nil
	}
	if p := t.of; p != nil && p.name != "" {
		if s.statements[p.name] != p {
			return nil
		}
		stream = &p.stream
	}
	if stream == nil || !s.firm(t.q, s.last) {
		return nil // the next time
	}
	text, types, ok := t.text()
	if !ok {
		t.known(false, math.MinInt)
		return nil
	}
	a := &asking{twin: t, left: ownAnswers + 1}
	var msg []byte
	if len(s.twins.list) < maxTwins {
		s.twins.names++
		t.name = twinName + strconv.FormatUint(s.twins.names, 10)
	} else {
		old := s.twins.list[0]
		s.twins.list = s.twins.list[1:]
		if old.current() {
			old.known(false, 0)
		}
		t.name = old.name
		msg = wire.AppendTarget(msg, wire.Close, 'S', t.name)
		a.left++
	}
	s.twins.list = append(s.twins.list, t)
	msg, at := wire.Begin(msg, wire.Parse)
	msg = wire.AppendString(wire.AppendString(msg, t.name), text)
	msg = wire.End(appendTypes(msg, types), at)
	msg, ask := s.appendAsk(msg, t.q, s.last, false, false, nil)
	ask.ask.twin = t
	if err := s.up.Control(controlZone); err != nil {
		return err
	}
	if err := stream.Write(msg); err != nil {
		return s.gateError(err)
	}
	if err := s.up.Control(controlSync); err != nil {
		return err
	}
	s.push(expect{typ: askTarget, command: s.last, ask: a, columns: -1})
	s.push(ask)
	s.syncs++
	s.push(expect{typ: wire.Sync, own: true, command: s.last, sync: s.syncs})
	return nil
}

// twinProved takes the answer to the question behind a new twin. It is what was judged if
// nothing has changed since that was proved.
func (s *session) twinProved(a *asking) {
	same := a.firm && bytes.Equal(a.marker, a.q.marker) && a.facts == a.q.facts
	a.twin.known(same, 0)
}

// ofTwin reports whether an error can be about a twin, and not only about the moment: a
// lock that was not to be had, a cancellation.
func ofTwin(code string) bool {
	switch code[:min(2, len(code))] {
	case "40", "53", "55", "57":
		return false
	}
	return true
}

// untwin: the target did not take a Bind to a twin, so that nothing of the pipeline has
// run. It is run again with the client's own statement, which has the same fault unless
// it is the guard's.
func (s *session) untwin(t *twin) error {
	t.known(false, -twinAgain)
	if front := &s.queue[0]; front.typ == wire.Query { // the text is sent in its place
		front.typ, front.own, front.twin = wire.Sync, true, nil
		s.prover.stale = true
		return nil
	}
	s.dropToSync()
	p := &s.prover
	p.doubts, p.marked = p.doubts[:0], false
	if !s.replays() {
		p.replay = nil
		s.ans = changedFault().Append(s.answers(), wire.ErrorResponse)
		return nil
	}
	return s.runAgain()
}
