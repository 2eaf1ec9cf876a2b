package postgres

import (
	"context"
	"errors"
	"maps"
	"net"
	"slices"
	"sync/atomic"
	"time"

	"github.com/sallyport-gateway/sallyport/internal/gate"
	"github.com/sallyport-gateway/sallyport/internal/proto/postgres/wire"
	sql "github.com/sallyport-gateway/sallyport/internal/sql/postgres"
)

// Limits of what a client may send in one message.
const (
	maxSQL    = 16 << 20  // a statement's text; libpg_query's guard has the same bound
	maxBind   = 256 << 20 // the parameters of one Bind
	maxTarget = 1 << 10   // Describe, Close, Execute: a name and a number
)

// goodbyeTimeout bounds telling a client why its session ends.
const goodbyeTimeout = 2 * time.Second

// cancelTimeout bounds sending a CancelRequest to the target.
const cancelTimeout = 5 * time.Second

// The fixed messages that go to the target without a command.
const (
	controlSync = iota
	controlFlush
	controlTerminate
	controlCopyFail
	controlFail
	controlCloseNothing
	controlTemporary
	controlBegin
	controlCommit
	controlRollback
	controlAllScans
	controlUnorderedScans
	controlZone
)

// noStatement is a name that no client can give: names are checked for it.
const noStatement = "sallyport refused a statement here"

// controlMessages hold nothing that came from an agent.
//
// controlFail is a Bind of a statement that does not exist. It stands for a
// refused message: the server itself then fails the transaction block or the
// pipeline, so that its state after a refusal is exactly its state after any
// other error. It has no other effect: exec_bind_message looks up the statement
// before it touches a portal.
var controlMessages = [][]byte{
	controlSync:         {wire.Sync, 0, 0, 0, 4},
	controlFlush:        {wire.Flush, 0, 0, 0, 4},
	controlTerminate:    {wire.Terminate, 0, 0, 0, 4},
	controlCopyFail:     wire.AppendMessage(nil, wire.CopyFail, []byte("the client left\x00")),
	controlFail:         wire.AppendMessage(nil, wire.Bind, []byte("\x00"+noStatement+"\x00\x00\x00\x00\x00\x00\x00")),
	controlCloseNothing: wire.AppendTarget(nil, wire.Close, 'S', noStatement),
	controlTemporary:    temporaryQuestion(),
	controlBegin:        wire.AppendMessage(nil, wire.Query, []byte("BEGIN\x00")),
	controlCommit:       wire.AppendMessage(nil, wire.Query, []byte("COMMIT\x00")),
	controlRollback:     wire.AppendMessage(nil, wire.Query, []byte("ROLLBACK\x00")),

	controlAllScans:       setScans("RESET ", ""),
	controlUnorderedScans: setScans("SET ", " TO off"),
	controlZone:           zoneMessages(),
}

// session serves one client. Everything in it belongs to the goroutine in run,
// but for the atomics; during COPY FROM STDIN the goroutine of copyIn owns what
// drive touches.
type session struct {
	server  *Server
	gate    *gate.Session
	client  net.Conn
	in      reader // from the client
	up      *gate.Upstream
	out     reader // from the target
	backend *backend
	gateway *gate.Gateway
	catalog *catalog
	env     sql.Env
	key     cancelKey

	status     byte     // of the last ReadyForQuery
	block      bool     // a transaction block of the gateway's own is open
	queue      []expect // what the target still owes, in order
	started    bool     // an unsynced message may have taken effect at the target
	skip       bool     // messages are discarded up to the next Sync
	syncs      uint64   // Sync and Query messages forwarded
	leaving    uint64   // the one that tells how it is, where status may be over; 0 if it is not
	last       uint64   // the last command that was decided
	statements map[string]*prepared
	portals    map[string]*portal
	listening  bool         // a LISTEN was forwarded
	temp       *temporaries // nil while the session has made none
	code       code
	prover     prover
	redefined  bool // this transaction has changed definitions that nobody else sees yet
	scans      scans
	twins      twins

	*work          // nil while the session is idle
	msg     []byte // the message being built; pooled while the session is busy
	ans     []byte // answers not yet sent; pooled while the session is busy
	within  bool   // ans ends in the middle of a message
	partial bool   // the client has got only a part of one, and nothing can be said to it

	calls   callbacks
	began   time.Time               // when the target got what it works on; kept for limits only
	running atomic.Bool             // the target is working on something
	held    atomic.Pointer[holding] // set while a command waits for a person
}

// callbacks are the session's own methods as the gate calls them. A method value
// is an allocation, so they are made once.
type callbacks struct {
	mask    func(gate.Masks) error
	binding func() gate.Binding
	wait    func(gate.Held)
}

func newSession(p *Server, g *gate.Gateway, gs *gate.Session, client net.Conn, up *gate.Upstream, b *backend, c *catalog) *session {
	s := &session{server: p, gateway: g, gate: gs, client: client, up: up, backend: b, catalog: c, status: wire.StatusIdle}
	s.calls = callbacks{s.applyMasks, s.binding, s.startWait}
	s.in.src, s.out.src, s.out.eager = client, up, true
	s.env = sql.Env{SearchPath: b.searchPath, NoUserSchema: b.noSchema, Database: b.database, StatementTimeout: gs.Target.Limits.Statement}
	s.noteZone(b.params["TimeZone"])
	for name := range b.settings {
		s.twins.sent = s.twins.sent || sql.KeepsOtherwise(name)
	}
	return s
}

// hello is the end of the log-in: what the target said of itself, and a key of
// the gateway's own.
func (s *session) hello(key cancelKey) []byte {
	b, at := wire.Begin(nil, wire.Authentication)
	b = wire.End(append(b, 0, 0, 0, 0), at)
	// In order, so that two sessions alike begin with the same bytes.
	for _, name := range slices.Sorted(maps.Keys(s.backend.params)) {
		if reported(name) {
			b = wire.AppendParameterStatus(b, name, s.backend.params[name])
		}
	}
	s.backend.params = nil
	b = wire.AppendBackendKeyData(b, key.pid, key.key)
	return wire.AppendReadyForQuery(b, wire.StatusIdle)
}

// run serves the client until it leaves, the session ends, or it rests (gate.ErrRest).
func (s *session) run(ctx context.Context) error {
	err := s.serve(ctx)
	if err == gate.ErrRest {
		return err
	}
	end := s.gate.Err()
	if end == nil && (err == nil || errors.Is(err, errTerminate)) {
		return nil
	}
	s.goodbye()
	return err
}

func (s *session) serve(ctx context.Context) error {
	for {
		if s.in.buffered() == 0 {
			s.idle()
		}
		typ, n, err := s.in.header()
		s.gate.Stay()
		if err == gate.ErrRest {
			return err
		}
		if err != nil {
			return s.clientError(err)
		}
		if s.work == nil {
			s.work = works.Get().(*work)
		}
		if err := s.message(ctx, typ, n); err != nil {
			return err
		}
	}
}

// errPanicked is why a session ended in which a goroutine has panicked.
var errPanicked error = fatal(codeInternal, "terminating connection: internal error of the gateway")

// recovered keeps a panic inside the session (gate.Gateway.Panicked).
func (s *session) recovered() {
	if r := recover(); r != nil {
		s.gateway.Panicked("a session of postgres", r)
		s.gate.End(gate.EndProtocol, errPanicked)
	}
}

var errTerminate = errors.New("client terminated")

// message handles one message of the client.
func (s *session) message(ctx context.Context, typ byte, n int) error {
	if s.prover.replay != nil {
		if err := s.capture(typ, n); err != nil {
			return err
		}
	}
	switch typ {
	case wire.Query, wire.Parse, wire.Bind, wire.Describe, wire.Execute:
		s.dateTemporaries(ctx)
		if err := s.askTemporaries(); err != nil {
			return err
		}
	}
	switch typ {
	case wire.Terminate:
		return errTerminate
	case wire.CopyData, wire.CopyDone, wire.CopyFail:
		// Outside COPY the server ignores them: what was in flight when a COPY
		// failed (PostgresMain in tcop/postgres.c).
		return s.clientError(s.in.discard(n))
	case wire.Query:
		return s.query(ctx, n)
	case wire.FunctionCall:
		if err := s.in.discard(n); err != nil {
			return s.clientError(err)
		}
		return s.refuseCall(ctx)
	case wire.Sync:
		if n != 0 {
			return s.violation("invalid message format: Sync")
		}
		return s.sync()
	}
	if s.skip {
		switch typ {
		case wire.Parse, wire.Bind, wire.Describe, wire.Execute, wire.Close, wire.Flush:
			return s.clientError(s.in.discard(n))
		}
	}
	switch typ {
	case wire.Parse:
		return s.parse(ctx, n)
	case wire.Bind:
		return s.bindPortal(ctx, n)
	case wire.Describe:
		return s.describe(ctx, n)
	case wire.Execute:
		return s.execute(ctx, n)
	case wire.Close:
		return s.closeTarget(ctx, n)
	case wire.Flush:
		if n != 0 {
			return s.violation("invalid message format: Flush")
		}
		return s.settle()
	default:
		return s.violation("invalid frontend message type %d", typ)
	}
}

// idle gives back what a busy session holds.
func (s *session) idle() {
	s.gate.Rest()
	s.in.release()
	s.out.release()
	if s.msg != nil {
		putMessage(s.msg)
		s.msg = nil
	}
	if s.ans != nil && len(s.ans) == 0 {
		putMessage(s.ans)
		s.ans = nil
	}
	switch {
	case len(s.queue) == 0:
		s.queue = nil // its room goes with the rest of work; pop has emptied it
	case s.work != nil:
		s.room = nil // still needed here
	}
	if s.work != nil {
		if s.prover.replay != nil {
			s.kept = nil // still needed here
		}
		s.work.reset()
		works.Put(s.work)
		s.work = nil
	}
}

// read returns the body of a message. A longer one than limit is skipped and
// answered with a fault, which ok false says.
func (s *session) read(n, limit int) (body []byte, ok bool, err error) {
	if n > limit {
		return nil, false, s.clientError(s.in.discard(n))
	}
	if n > bufferSize {
		s.gate.Block() // to read and to judge it takes a while
	}
	body, err = s.in.body(n)
	if err != nil {
		return nil, false, s.clientError(err)
	}
	return body, true, nil
}

// clientError ends the session for an error of the client's connection.
func (s *session) clientError(err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, errLength) {
		return s.violation("%v", err)
	}
	s.gate.End(gate.EndClosed, err)
	return s.gate.Err()
}

// violation ends the session for a message that no client may send.
func (s *session) violation(format string, args ...any) error {
	f := fatal(codeProtocolViolation, format, args...)
	s.gate.End(gate.EndProtocol, f)
	return s.gate.Err()
}

// lie ends the session for a message that an honest target does not send.
func (s *session) lie(format string, args ...any) error {
	f := fatal(codeConnectionFailure, "the target broke the protocol: "+format, args...)
	s.gate.End(gate.EndProtocol, f)
	return s.gate.Err()
}

// goodbye tells the client why the session ended, if it can be told: in the
// middle of a message nothing can be said.
func (s *session) goodbye() {
	var end *gate.EndError
	if !errors.As(s.gate.Err(), &end) || s.partial {
		return
	}
	f := endFault(end)
	var own *wire.Fault
	if errors.As(end.Err, &own) {
		f = own
	}
	if f == nil {
		return
	}
	_ = s.client.SetWriteDeadline(time.Now().Add(goodbyeTimeout))
	_, _ = s.client.Write(f.Append(nil, wire.ErrorResponse))
}

// interrupt is called when the session is ended from outside: the running
// statement is cancelled at the target, and whatever run waits for returns.
func (s *session) interrupt(*gate.EndError) {
	if s.running.Load() {
		go s.signal() // bounded by cancelTimeout
	}
	s.up.Interrupt()
	_ = s.client.SetReadDeadline(time.Unix(1, 0))
	_ = s.client.SetWriteDeadline(time.Now().Add(goodbyeTimeout))
}

// close ends everything that belongs to the session.
func (s *session) close() {
	s.gate.Block()
	if s.running.Load() {
		s.signal()
	}
	if s.gate.Err() == nil && len(s.queue) == 0 {
		_ = s.up.Control(controlTerminate)
		_ = s.up.Flush()
	}
	_ = s.up.Close()
	_ = s.client.Close()
	s.idle()
	s.gate.Close()
}

// cancel handles a CancelRequest for this session: a held command is withdrawn,
// a running one is cancelled at the target.
func (s *session) cancel() {
	if h := s.held.Load(); h != nil {
		h.withdraw()
		return
	}
	if s.running.Load() {
		s.signal()
	}
}

// signal sends a CancelRequest with the target's own key.
func (s *session) signal() {
	ctx, cancel := context.WithTimeout(context.Background(), cancelTimeout)
	defer cancel()
	err := s.gate.Signal(ctx, func(_ context.Context, conn net.Conn) error {
		if _, err := conn.Write(wire.AppendCancelRequest(nil, s.backend.pid, s.backend.key)); err != nil {
			return err
		}
		var b [1]byte
		_, _ = conn.Read(b[:]) // the target closes when the signal is on its way
		return nil
	})
	if err != nil {
		s.server.logCancel(s.gate, err)
	}
}
