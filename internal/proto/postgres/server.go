package postgres

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/sallyport-gateway/sallyport/internal/gate"
	"github.com/sallyport-gateway/sallyport/internal/proto/postgres/wire"
	sql "github.com/sallyport-gateway/sallyport/internal/sql/postgres"
)

// DefaultHandshake is how long a client has for everything before the session:
// TLS, the startup packet, the password.
const DefaultHandshake = 10 * time.Second

// Config is what a Server is made of.
type Config struct {
	// TLS holds the gateway's certificate. Required: a token would otherwise
	// cross the network in clear.
	TLS *tls.Config
	// Catalogs knows the definitions at the targets. Required.
	Catalogs *Catalogs
	// Handshake bounds everything before the session, so that nobody who is
	// silent holds a connection. Zero means DefaultHandshake.
	Handshake time.Duration
	// TokenKey returns the key of the mask token at a target. Without it, or where
	// it fails, a statement under that mask fails at the target.
	TokenKey func(ctx context.Context, target string) ([]byte, error)
	// Log receives what goes wrong outside of a session's own errors. Nil discards.
	Log *slog.Logger
}

// Server serves PostgreSQL clients. It implements gate.Protocol and is safe for
// concurrent use.
type Server struct {
	tls     *tls.Config
	catalog *Catalogs
	log     *slog.Logger

	handshake time.Duration
	tokenKey  func(ctx context.Context, target string) ([]byte, error)

	mu   sync.Mutex
	keys map[cancelKey]*session // guarded by mu; live sessions by what cancels them
}

type cancelKey struct{ pid, key uint32 }

// New returns a server.
func New(cfg Config) *Server {
	if cfg.Handshake <= 0 {
		cfg.Handshake = DefaultHandshake
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	t := cfg.TLS.Clone()
	t.MinVersion = tls.VersionTLS12
	t.NextProtos = []string{"postgresql"}
	// Records of full size from the start: the gateway writes whole answers.
	t.DynamicRecordSizingDisabled = true
	return &Server{tls: t, catalog: cfg.Catalogs, handshake: cfg.Handshake, tokenKey: cfg.TokenKey, log: cfg.Log, keys: map[cancelKey]*session{}}
}

// Name returns "postgres".
func (p *Server) Name() string { return "postgres" }

// Serve speaks with one client and closes the connection.
func (p *Server) Serve(ctx context.Context, client net.Conn, g *gate.Gateway) error {
	handed := false
	defer func() {
		if !handed {
			_ = client.Close()
		}
	}()
	_ = client.SetDeadline(time.Now().Add(p.handshake))
	h := &handshake{server: p, conn: client}
	start, err := h.run()
	if err != nil || start == nil {
		return err
	}
	s, err := p.open(ctx, g, h.conn, start)
	if err != nil {
		f := openFault(err)
		var w *wire.Fault
		if errors.As(err, &w) {
			f = w
		}
		_, _ = h.conn.Write(f.Append(nil, wire.ErrorResponse))
		_ = h.conn.Close() // close_notify, then the connection
		return err
	}
	_ = client.SetDeadline(time.Time{})
	handed = true
	begun := false
	return s.gate.Run(ctx, func() (err error) {
		defer func() {
			if err != gate.ErrRest {
				p.close(s)
			}
		}()
		if !begun {
			begun = true
			s.gate.OnEnd(s.interrupt)
		}
		return s.run(ctx)
	})
}

// open opens the session at the gate, logs in to the target and answers the
// client's log-in.
func (p *Server) open(ctx context.Context, g *gate.Gateway, conn net.Conn, start *startup) (*session, error) {
	gs, err := g.Open(ctx, gate.Proof{Token: start.token}, start.database, gate.Client{
		Conn: conn, Protocol: p.Name(), User: start.user, Application: start.settings["application_name"],
	})
	if err != nil {
		return nil, err
	}
	s, err := p.connect(ctx, g, gs, conn, start)
	if err != nil {
		gs.Close()
		return nil, err
	}
	p.register(s)
	hello := s.hello(s.key)
	if err := gs.Answer(0, hello); err != nil {
		p.close(s)
		return nil, err
	}
	return s, nil
}

func (p *Server) connect(ctx context.Context, g *gate.Gateway, gs *gate.Session, conn net.Conn, start *startup) (*session, error) {
	catalog := p.catalog.of(gs.Target)
	b := &backend{settings: start.settings, session: gs.ID, catalog: catalog, own: p.ownSettings(ctx, gs)}
	up, err := gs.Dial(ctx, b.login, controlMessages...)
	if err != nil {
		var refused *wire.Fault
		if errors.As(err, &refused) {
			return nil, refused
		}
		return nil, err
	}
	return newSession(p, g, gs, conn, up, b, catalog), nil
}

// ownSettings are settings that the gateway needs in the session.
func (p *Server) ownSettings(ctx context.Context, gs *gate.Session) map[string]string {
	if p.tokenKey == nil || len(gs.Target.Marks) == 0 {
		return nil
	}
	key, err := p.tokenKey(ctx, gs.Target.Name)
	if err != nil {
		p.log.Error("token masks do not work in this session", "session", gs.ID, "target", gs.Target.Name, "error", err)
		return nil
	}
	return sql.TokenSettings(key)
}

// register gives the session a cancel key that nobody can guess and that means
// nothing to the target.
func (p *Server) register(s *session) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		var b [8]byte
		_, _ = rand.Read(b[:]) // never fails (Go 1.24)
		s.key = cancelKey{binary.BigEndian.Uint32(b[:]) &^ (1 << 31), binary.BigEndian.Uint32(b[4:])}
		if _, taken := p.keys[s.key]; !taken {
			p.keys[s.key] = s
			return
		}
	}
}

// close ends the session in the order that leaves nothing running: the target's
// statement, the target's connection, the client's, the recording.
func (p *Server) close(s *session) {
	p.mu.Lock()
	delete(p.keys, s.key)
	p.mu.Unlock()
	s.close()
}

// cancel handles a CancelRequest. PostgreSQL answers nothing, whatever it finds;
// the client waits for the end of the connection.
func (p *Server) cancel(pid, key uint32) {
	p.mu.Lock()
	s := p.keys[cancelKey{pid, key}]
	p.mu.Unlock()
	if s != nil {
		s.cancel()
	}
}

func (p *Server) logCancel(s *gate.Session, err error) {
	p.log.Warn("statement not cancelled at the target", "session", s.ID, "error", err)
}

// errNoTLS is the error for a client that speaks without TLS.
var errNoTLS = errors.New("client did not ask for TLS")

// startup is what a client said before its session.
type startup struct {
	user, database string
	token          gate.Secret
	settings       map[string]string // allowed session settings, by lower-case name
}

// handshake reads what comes before the session. conn becomes the TLS
// connection once there is one.
type handshake struct {
	server *Server
	conn   net.Conn
	secure bool
}

// The first packet is bounded as in the server (MAX_STARTUP_PACKET_LENGTH in
// libpq/pqcomm.h).
const maxStartup = 10000

// maxPassword is room for a token of 16 KiB.
const maxPassword = 16<<10 + 64

// run returns nil without an error when the connection was only for a
// CancelRequest.
func (h *handshake) run() (*startup, error) {
	if err := h.direct(); err != nil {
		return nil, err
	}
	// SSLRequest and GSSENCRequest once each, in either order, then the startup
	// packet: a client has no reason for a fourth.
	for range 3 {
		body, code, err := h.packet()
		if err != nil {
			return nil, err
		}
		switch {
		case code == wire.SSLRequest && len(body) == 0 && !h.secure:
			if err := h.startTLS(); err != nil {
				return nil, err
			}
		case code == wire.GSSENCRequest && len(body) == 0 && !h.secure:
			if _, err := h.conn.Write([]byte{'N'}); err != nil {
				return nil, err
			}
		case code == wire.CancelRequest && len(body) == 8:
			h.server.cancel(binary.BigEndian.Uint32(body), binary.BigEndian.Uint32(body[4:]))
			return nil, nil
		case code>>16 == 3:
			return h.login(body, code)
		default:
			return nil, h.refuse(fatal(codeProtocolViolation, "unsupported frontend protocol %d.%d", code>>16, code&0xffff))
		}
	}
	return nil, h.refuse(fatal(codeProtocolViolation, "too many requests before the startup packet"))
}

// packet reads one packet without a type byte. It reads exactly its bytes, so
// nothing sent in clear behind an SSLRequest can be taken for the first bytes of
// the encrypted connection (CVE-2021-23214): they break the TLS handshake.
func (h *handshake) packet() (body []byte, code uint32, err error) {
	var head [8]byte
	if err := readFull(h.conn, head[:]); err != nil {
		return nil, 0, err
	}
	n, code := binary.BigEndian.Uint32(head[:]), binary.BigEndian.Uint32(head[4:])
	if n < 8 || n > maxStartup {
		return nil, 0, h.refuse(fatal(codeProtocolViolation, "invalid length of startup packet"))
	}
	body = make([]byte, n-8)
	return body, code, readFull(h.conn, body)
}

// direct starts TLS at once when the client does (sslnegotiation=direct,
// PostgreSQL 17): a TLS record of a handshake begins with 0x16, a startup packet
// with zero.
func (h *handshake) direct() error {
	var first [1]byte
	if err := readFull(h.conn, first[:]); err != nil {
		return err
	}
	h.conn = &prefixed{Conn: h.conn, prefix: first[:]}
	if first[0] != 0x16 {
		return nil
	}
	return h.handshakeTLS()
}

func (h *handshake) startTLS() error {
	if _, err := h.conn.Write([]byte{'S'}); err != nil {
		return err
	}
	return h.handshakeTLS()
}

func (h *handshake) handshakeTLS() error {
	raw := h.conn
	if p, ok := raw.(*prefixed); ok && len(p.prefix) == 0 {
		raw = p.Conn
	}
	c := tls.Server(raw, h.server.tls)
	if err := c.Handshake(); err != nil {
		return fmt.Errorf("tls: %w", err)
	}
	h.conn, h.secure = c, true
	return nil
}

// login reads the startup parameters and the token.
func (h *handshake) login(body []byte, version uint32) (*startup, error) {
	if !h.secure {
		f := fatal(codeInvalidAuth, "this gateway needs TLS")
		f.Hint = "Connect with sslmode=require or, better, sslmode=verify-full and the gateway's certificate in sslrootcert."
		_ = h.refuse(f)
		return nil, errNoTLS
	}
	start, options, f := parseStartup(body)
	if f != nil {
		return nil, h.refuse(f)
	}
	var out []byte
	if version&0xffff != 0 || len(options) > 0 {
		out = appendNegotiate(out, options)
	}
	var at int
	out, at = wire.Begin(out, wire.Authentication)
	out = wire.End(binary.BigEndian.AppendUint32(out, 3), at) // AuthenticationCleartextPassword, inside TLS
	if _, err := h.conn.Write(out); err != nil {
		return nil, err
	}
	var head [wire.HeaderSize]byte
	if err := readFull(h.conn, head[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(head[1:])
	if head[0] != wire.Password || n < 5 || n > maxPassword {
		return nil, h.refuse(fatal(codeProtocolViolation, "expected a password message of at most %d bytes", maxPassword))
	}
	password := make([]byte, n-4)
	if err := readFull(h.conn, password); err != nil {
		return nil, err
	}
	token, err := wire.DecodePassword(password)
	if err != nil {
		return nil, h.refuse(fatal(codeProtocolViolation, "invalid password message"))
	}
	start.token = gate.NewSecret(string(token))
	return start, nil
}

// refuse tells the client and returns the same as an error for the log.
func (h *handshake) refuse(f *wire.Fault) error {
	_, _ = h.conn.Write(f.Append(nil, wire.ErrorResponse))
	if c, ok := h.conn.(*tls.Conn); ok {
		_ = c.CloseWrite()
	}
	return f
}

// appendNegotiate appends NegotiateProtocolVersion: 3.0 is what there is, and
// none of the protocol options is known.
func appendNegotiate(dst []byte, options []string) []byte {
	dst, at := wire.Begin(dst, 'v')
	dst = binary.BigEndian.AppendUint32(dst, 0)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(options))) //nolint:gosec // bounded by the packet
	for _, o := range options {
		dst = wire.AppendString(dst, o)
	}
	return wire.End(dst, at)
}

func readFull(c net.Conn, b []byte) error {
	for len(b) > 0 {
		n, err := c.Read(b)
		b = b[n:]
		if err != nil && len(b) > 0 {
			return err
		}
	}
	return nil
}

// prefixed is a connection whose first bytes were read already.
type prefixed struct {
	net.Conn
	prefix []byte
}

// Read returns the prefix first.
func (p *prefixed) Read(b []byte) (int, error) {
	if len(p.prefix) > 0 {
		n := copy(b, p.prefix)
		p.prefix = p.prefix[n:]
		return n, nil
	}
	return p.Conn.Read(b)
}
