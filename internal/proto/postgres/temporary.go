package postgres

import (
	"context"
	"slices"
	"time"

	"github.com/sallyport-gateway/sallyport/internal/proto/postgres/wire"
	sql "github.com/sallyport-gateway/sallyport/internal/sql/postgres"
)

// maxTemporaryRows bounds what the target may say of a session's temporary
// relations: a row for each of their columns. A session with more uses none.
const maxTemporaryRows = 20_000

// temporaryStatement is the name under which the gateway asks for the session's
// temporary relations. No client can take it: reservedNames.
const temporaryStatement = "sallyport asks for temporary relations"

// temporaryQuestion is what is sent for it.
func temporaryQuestion() []byte { return appendOwn(nil, temporaryStatement, sql.TemporaryQuery) }

// appendOwn runs a statement under a name that no client can give. It leaves no
// statement, no portal and no unnamed ones changed.
func appendOwn(dst []byte, name, text string) []byte {
	dst = wire.AppendParse(dst, name, []byte(text), nil)
	dst = wire.AppendMessage(dst, wire.Bind, []byte(name+"\x00"+name+"\x00\x00\x00\x00\x00\x00\x00"))
	dst = wire.AppendExecute(dst, name, 0)
	dst = wire.AppendTarget(dst, wire.Close, 'P', name)
	return wire.AppendTarget(dst, wire.Close, 'S', name)
}

// temporaries is what a session knows of its temporary relations. They belong to
// one session, so the shared snapshot does not have them: after a statement that
// may have changed them, the session itself is asked.
//
// Where something is labelled, a table can be used only if a statement of the
// agent made it: what the agent's statements write is masked at its source, so
// such a table holds masks. What a function made may hold anything.
type temporaries struct {
	stale bool            // ask before the next statement is judged
	again bool            // and after the transaction, which may take back what was seen
	made  map[string]bool // by texts since the session was asked; true if they failed unless they made it
	own   map[uint32]bool
	rows  []sql.TemporaryRow
	views bool           // some of them are views
	now   *sql.Inspector // of the newest snapshot, if there are views or the session is to be asked
	asked *sql.Inspector // what now was when the session printed the views' queries
	by    *sql.Inspector // that has read rows into the session's Env; nil before
}

// code says what code of users the session has run: functions, triggers and the
// like, which can make and fill temporary relations of their own.
type code struct {
	ever bool
	open bool // in the transaction that is open, which may run more of it at its end
	// later says that its end plans or runs what may read in the order of an index
	later bool
}

// track notes what a text that is being sent may do to temporary relations.
func (s *session) track(shape *sql.Shape) {
	if shape.Runs || slices.ContainsFunc(shape.Statements, takesBack) {
		s.doubtScans()
	}
	s.twins.moved = s.twins.moved || shape.Moves()
	s.twins.sent = s.twins.sent || slices.ContainsFunc(shape.Facts.Settings, sql.KeepsOtherwise)
	if shape.Runs {
		s.code.ever, s.code.open = true, true
	}
	s.code.later = s.code.later || s.runsLater(shape)
	if s.temp == nil {
		if !shape.Temporaries {
			return
		}
		s.temp = &temporaries{}
	}
	t := s.temp
	t.stale = t.stale || shape.Temporaries
	if shape.Runs {
		clear(t.own) // it may write to any of them
		t.stale = true
	}
	for _, c := range shape.Creations {
		if t.made == nil {
			t.made = map[string]bool{}
		}
		t.made[c.Name] = !c.Perhaps && !shape.Runs
	}
	for i := range shape.Statements {
		switch shape.Statements[i].Kind {
		case sql.KindCommit, sql.KindRollback, sql.KindRollbackTo:
			t.stale = true // ON COMMIT DROP, or back to what was
		}
	}
}

// beside refuses to make temporary relations in a transaction that has run code of
// users: a deferred trigger would meet them at its end.
func (s *session) beside(shape *sql.Shape) *wire.Fault {
	if !shape.Temporaries || !s.code.open || s.status == wire.StatusIdle && !s.started {
		return nil
	}
	f := fault(codePrivilege, "this transaction has run functions or triggers on a target with masked data: make temporary tables in another one")
	f.Hint = "COMMIT first."
	return f
}

// sees lets the session's texts mean its temporary relations.
func (s *session) sees(ctx context.Context, in *sql.Inspector) error {
	t := s.temp
	if t == nil || t.by == in {
		return nil
	}
	view, err := s.viewOf(ctx, in)
	if err != nil {
		t.by = nil
		return err
	}
	t.by, s.env.Temporary = in, view
	return nil
}

// viewOf returns what an inspector sees of the session's temporary relations.
func (s *session) viewOf(ctx context.Context, in *sql.Inspector) (*sql.Temporary, error) {
	t := s.temp
	if t == nil || len(t.rows) == 0 {
		return nil, nil
	}
	free := len(s.gate.Target.Marks) == 0
	s.gate.Block() // the parser is another process
	var path []string
	if in == t.asked {
		path = append([]string{}, s.env.SearchPath...)
	}
	return in.NewTemporary(ctx, t.rows, path, func(relation uint32) bool { return free || t.own[relation] })
}

// envOf returns the context in which another snapshot judges what was judged with
// some temporary relations; not ok if the session knows others by now.
func (s *session) envOf(ctx context.Context, in *sql.Inspector, judged *sql.Temporary) (env sql.Env, ok bool) {
	env = s.env
	if judged != env.Temporary {
		return env, false
	}
	view, err := s.viewOf(ctx, in)
	env.Temporary = view
	return env, err == nil
}

// dateTemporaries has the session asked again if it has temporary views and the
// definitions have changed: a view's query is printed in the names of now.
func (s *session) dateTemporaries(ctx context.Context) {
	t := s.temp
	if t == nil || !t.views && !t.stale || s.skip || s.aborted() {
		return
	}
	var err error
	if t.now, err = s.current(ctx); err != nil {
		t.now = nil // no view can be used, and the statement is told
	}
	t.stale = t.stale || t.now != t.asked
}

// askTemporaries asks the session for its temporary relations if they may have
// changed. It is called between two messages of the client. In a transaction that
// has failed nothing can be asked, and nothing is needed.
func (s *session) askTemporaries() error {
	if s.temp == nil || !s.temp.stale || s.skip || s.aborted() {
		return nil
	}
	s.temp.asked = s.temp.now
	s.prover.replay = nil // what comes of it is asked about now, so it cannot be run again
	if err := s.settle(); err != nil || s.skip || s.aborted() {
		return err
	}
	if err := s.up.Control(controlTemporary); err != nil {
		return err
	}
	// A Sync would end what the client's pipeline has begun.
	sync := !s.started
	end := controlFlush
	if sync {
		end = controlSync
	}
	if err := s.up.Control(end); err != nil {
		return err
	}
	s.running.Store(true)
	defer s.running.Store(false)
	if err := s.up.Flush(); err != nil {
		return err
	}
	if s.gate.Target.Limits.Statement > 0 {
		s.began = time.Now()
		s.limitStatement()
	}
	return s.hearTemporaries(sync)
}

// hearTemporaries reads the answer.
func (s *session) hearTemporaries(sync bool) error {
	var rows []sql.TemporaryRow
	closed, failed := 0, false
	for closed < 2 || sync {
		typ, n, err := s.out.header()
		if err != nil {
			return s.targetError(err)
		}
		switch typ {
		case wire.ParseComplete, wire.BindComplete, wire.CommandComplete, wire.NoticeResponse:
			err = s.targetError(s.out.discard(n))
		case wire.CloseComplete:
			closed++
			err = s.targetError(s.out.discard(n))
		case wire.DataRow:
			rows, err = s.hearRow(rows, n)
		case wire.ParameterStatus:
			err = s.parameter(n)
		case wire.NotificationResponse:
			err = s.notified(n)
		case wire.ErrorResponse:
			if !sync {
				return s.lie("the session's temporary relations cannot be read")
			}
			failed = true
			err = s.targetError(s.out.discard(n))
		case wire.ReadyForQuery:
			body, err := s.out.body(n)
			if err != nil {
				return s.targetError(err)
			}
			if !sync || n != 1 || closed < 2 && !failed || body[0] != s.status {
				return s.lie("unexpected ReadyForQuery")
			}
			s.knowTemporaries(rows, failed)
			return nil
		default:
			err = s.lie("unexpected message %q", typ)
		}
		if err != nil {
			return err
		}
	}
	s.temp.again = true
	s.knowTemporaries(rows, false)
	return nil
}

func (s *session) hearRow(rows []sql.TemporaryRow, n int) ([]sql.TemporaryRow, error) {
	body, err := s.out.body(n)
	if err != nil {
		return rows, s.targetError(err)
	}
	fields, err := wire.DecodeDataRow(nil, body)
	if err != nil {
		return rows, s.lie("malformed DataRow")
	}
	row, err := sql.ReadTemporaryRow(fields)
	if err != nil {
		return rows, s.lie("%v", err)
	}
	if len(rows) >= maxTemporaryRows {
		return rows, s.lie("more than %d columns of temporary relations", maxTemporaryRows)
	}
	return append(rows, row), nil
}

// knowTemporaries takes what the session said. If it said nothing, none can be
// used until it was asked again.
func (s *session) knowTemporaries(rows []sql.TemporaryRow, failed bool) {
	t := s.temp
	t.by, t.rows = nil, rows
	if failed {
		t.rows = nil
		return
	}
	own := map[uint32]bool{}
	t.views = false
	for i := range rows {
		t.views = t.views || rows[i].IsView()
		sure, made := t.made[rows[i].Name]
		if t.own[rows[i].Relation] || made && (sure || !s.code.ever) {
			own[rows[i].Relation] = true
		}
	}
	t.own, t.made, t.stale = own, nil, false
}

// settledTemporaries is called when no transaction is open any more.
func (s *session) settledTemporaries() {
	s.code.open, s.code.later = false, false
	if t := s.temp; t != nil && t.again {
		t.again, t.stale = false, true
	}
}
