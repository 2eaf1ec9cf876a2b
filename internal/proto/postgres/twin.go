package postgres

import (
	"bytes"
	"math"
	"strconv"

	"github.com/sallyport-gateway/sallyport/internal/proto/postgres/wire"
	sql "github.com/sallyport-gateway/sallyport/internal/sql/postgres"
)

// A statement that a client has prepared is proved by a question each time it runs. The
// gateway prepares one that only reads a second time, with a guard (sql.Guarded). That
// twin is proved once. From then on it stands in for the client's where that would be
// alone in its pipeline: it needs no question, because the server itself refuses to plan
// it as soon as it would have to analyse it anew. Then the pipeline, of which nothing has
// run, is run again with the client's own statement.
const (
	twinName      = "sallyport twin "
	zoneStatement = "sallyport sets the zone"
	// twinAfter is how often a statement runs before it gets a twin.
	twinAfter = 3
	// twinAgain is how often it runs before it gets another one: a table that is
	// analysed all the time is better asked about.
	twinAgain = 50
	// maxTwins is how many of them a session keeps at the target.
	maxTwins = 64
	// withoutEarlyReports is the first release that reports a setting when the
	// transaction is over, and so not at all what was set for a transaction.
	withoutEarlyReports = 14
)

// twin is a guarded statement at the target.
type twin struct {
	name string
	of   *prepared
}

// twins is what a session knows of them.
type twins struct {
	list    []*twin // those that the target may have, oldest first
	names   uint64  // given so far
	wanted  *prepared
	foreign bool // the session's time zone could be the one of the guard
}

// zoneMessages set the zone under which a twin is analysed, to the end of the transaction.
func zoneMessages() []byte {
	return appendOwn(nil, zoneStatement, "SELECT pg_catalog.set_config('TimeZone', '"+sql.GuardZone+"', true)")
}

// noteZone notes the session's time zone.
func (s *session) noteZone(zone string) { s.twins.foreign = !sql.GuardsFail(zone) }

// twinned returns the twin that stands in for a statement that is bound now, and notes
// that it should get one.
func (s *session) twinned(p *prepared, shape *sql.Shape) *twin {
	if p.name == "" || !shape.Steady || s.status != wire.StatusIdle || !s.first() || s.prover.replay != nil || len(s.subject.refs) != 1 ||
		s.env.Temporary.Len() > 0 || s.twins.foreign || s.backend.release < withoutEarlyReports {
		return nil
	}
	if p.twin == nil {
		if p.steady++; p.steady >= twinAfter {
			s.twins.wanted = p
		}
	}
	return p.twin
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

// makeTwin prepares the twin of the statement that has just been sent, behind the
// client's Sync.
func (s *session) makeTwin() error {
	p := s.twins.wanted
	s.twins.wanted = nil
	if p == nil || s.statements[p.name] != p || !p.streamed || p.twin != nil {
		return nil
	}
	q := s.question(p.shape.Watch)
	if !s.firm(q, s.last) {
		return nil // the next time
	}
	text, ok := "", p.source != "" && !unsteady(p.source)
	if ok {
		text, ok = sql.Guarded(p.sent)
	}
	if !ok {
		p.steady = math.MinInt
		return nil
	}
	t := &twin{of: p}
	a := &asking{twin: t, left: ownAnswers + 1}
	var msg []byte
	if len(s.twins.list) < maxTwins {
		s.twins.names++
		t.name = twinName + strconv.FormatUint(s.twins.names, 10)
	} else {
		old := s.twins.list[0]
		s.twins.list = s.twins.list[1:]
		if old.of.twin == old {
			old.of.twin, old.of.steady = nil, 0
		}
		t.name = old.name
		msg = wire.AppendTarget(msg, wire.Close, 'S', t.name)
		a.left++
	}
	s.twins.list = append(s.twins.list, t)
	msg, at := wire.Begin(msg, wire.Parse)
	msg = wire.AppendString(wire.AppendString(msg, t.name), text)
	msg = wire.End(appendTypes(msg, p.types), at)
	msg, ask := s.appendAsk(msg, q, s.last, false, false, nil)
	ask.ask.twin = t
	if err := s.up.Control(controlZone); err != nil {
		return err
	}
	if err := p.stream.Write(msg); err != nil {
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
// nothing has changed since that was proved of the client's own.
func (s *session) twinProved(a *asking) {
	p := a.twin.of
	p.steady = 0
	if a.firm && bytes.Equal(a.marker, a.q.marker) && a.facts == a.q.facts {
		p.twin = a.twin
	}
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
	if t.of.twin == t {
		t.of.twin, t.of.steady = nil, -twinAgain
	}
	s.dropToSync()
	p := &s.prover
	p.doubts, p.marked = p.doubts[:0], false
	if p.replay == nil || p.attempts >= maxAttempts || len(p.replay)+s.in.buffered() > bufferSize {
		p.replay = nil
		s.ans = changedFault().Append(s.answers(), wire.ErrorResponse)
		return nil
	}
	p.replaying = true
	p.attempts++
	if len(s.queue) > 0 {
		s.queue[0].own = true
		return nil
	}
	s.skip = false
	return s.ownSync()
}
