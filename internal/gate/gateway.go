package gate

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base32"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"time"
)

// DefaultHold is how long a command waits for a person before its client is
// told to come back. It stays inside the 60 s that most clients allow.
const DefaultHold = 45 * time.Second

// dialTimeout bounds reaching a target and logging in to it.
const dialTimeout = 15 * time.Second

// Config is what a Gateway is made of. Every interface is required.
type Config struct {
	Identifier Identifier
	Directory  Directory
	Policy     Policy
	Approver   Approver
	Recorder   Recorder
	Dialer     Dialer
	Vault      Vault
	// Meter counts what agents spend. Nil counts nothing, and a policy that asks
	// for a budget blocks then.
	Meter Meter
	// Log receives what happened, never what was said. Nil discards.
	Log *slog.Logger
	// Loop runs sessions that a protocol hands over by Session.Run. Nil runs each
	// on a goroutine that blocks.
	Loop Loop
	// Hold is how long a command waits for a person, in every protocol. Zero
	// means what the protocol asks for in Client.Hold.
	Hold time.Duration
	// Now is the clock. Nil means time.Now.
	Now func() time.Time
}

// Gateway opens sessions. It is safe for concurrent use.
type Gateway struct {
	cfg   Config
	count Counters

	mu       sync.Mutex
	sessions map[string]*Session // guarded by mu; live sessions by id
	seats    map[seat]int        // guarded by mu; live sessions by target, and by target and agent
	closed   bool                // guarded by mu; no session opens any more
}

// New returns a gateway. It fails if a part is missing.
func New(cfg Config) (*Gateway, error) {
	for name, part := range map[string]any{
		"Identifier": cfg.Identifier, "Directory": cfg.Directory, "Policy": cfg.Policy, "Approver": cfg.Approver,
		"Recorder": cfg.Recorder, "Dialer": cfg.Dialer, "Vault": cfg.Vault,
	} {
		if part == nil {
			return nil, fmt.Errorf("gate: no %s", name)
		}
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Loop == nil {
		cfg.Loop = goroutines{}
	}
	return &Gateway{cfg: cfg, sessions: map[string]*Session{}, seats: map[seat]int{}}, nil
}

// Counters returns the gateway's counters.
func (g *Gateway) Counters() *Counters { return &g.count }

// Log returns the gateway's logger.
func (g *Gateway) Log() *slog.Logger { return g.cfg.Log }

// Client is the agent's end of a session.
type Client struct {
	// Conn is the authenticated, encrypted connection. Session.Answer writes to it.
	Conn net.Conn
	// Protocol is the protocol's name; the target must be of the same one.
	Protocol string
	// User is the user name that the client gave; recorded, otherwise free.
	User string
	// Application is what the client calls itself; declared, not verified.
	Application string
	// Connection is the same for the sessions that share a client's connection;
	// empty where a session has one to itself.
	Connection string
	// Hold is how long clients of this protocol can wait for a person, where the
	// configuration says nothing. Zero means DefaultHold.
	Hold time.Duration
}

// SessionInfo is what is known of a session from its start. It is immutable.
type SessionInfo struct {
	ID        string
	Principal *Principal
	Target    *Target
	Protocol  string
	// Remote is the client's network address.
	Remote      string
	User        string
	Application string
	Connection  string
	// Hold is how long a command waits for a person before its client is told to
	// come back.
	Hold    time.Duration
	Started time.Time
	// Deadline is when the session ends at the latest.
	Deadline time.Time
}

// Identify verifies who the caller is, for a protocol that authenticates its
// client before a session is asked for (SSH). It opens nothing: Open verifies the
// proof again. Errors are *OpenError.
func (g *Gateway) Identify(ctx context.Context, proof Proof) (*Principal, error) {
	p, err := g.cfg.Identifier.Identify(ctx, proof)
	if err != nil {
		return nil, &OpenError{Stage: "identify", Public: "the token was refused: " + publicText(err), Err: err}
	}
	if p.Kind != KindAgent {
		return nil, &OpenError{Stage: "authorise", Public: "the token identifies no agent, and only agents open sessions"}
	}
	if why, yes := g.cfg.Identifier.Revoked(p); yes {
		return nil, &OpenError{Stage: "identify", Public: "the token was refused: revoked", Err: errors.New(why)}
	}
	if !g.cfg.Now().Before(p.Expiry) {
		return nil, &OpenError{Stage: "identify", Public: "the token was refused: it has expired"}
	}
	return p, nil
}

// Open identifies the caller, finds the target and starts the recording. Errors
// are *OpenError.
func (g *Gateway) Open(ctx context.Context, proof Proof, target string, c Client) (*Session, error) {
	s, err := g.open(ctx, proof, target, c)
	if err != nil {
		g.count.Unopened.Add(1)
		return nil, err
	}
	g.count.Opened.Add(1)
	return s, nil
}

func (g *Gateway) open(ctx context.Context, proof Proof, target string, c Client) (*Session, error) {
	p, err := g.Identify(ctx, proof)
	if err != nil {
		return nil, err
	}
	t, ok := g.cfg.Directory.Target(target)
	if !ok || t.Protocol != c.Protocol {
		return nil, &OpenError{Stage: "authorise", Public: fmt.Sprintf("there is no %s target named %q", c.Protocol, target)}
	}
	now := g.cfg.Now()
	info := &SessionInfo{
		ID: newID("ses_"), Principal: p, Target: t, Protocol: c.Protocol,
		Remote: c.Conn.RemoteAddr().String(), User: c.User, Application: c.Application, Connection: c.Connection,
		Started: now, Deadline: p.Expiry, Hold: g.cfg.Hold,
	}
	if info.Hold == 0 {
		info.Hold = cmp.Or(c.Hold, DefaultHold)
	}
	if l := t.Limits.Session; l > 0 && now.Add(l).Before(info.Deadline) {
		info.Deadline = now.Add(l)
	}
	if !now.Before(info.Deadline) {
		return nil, &OpenError{Stage: "identify", Public: "the token was refused: it has expired"}
	}
	if err := g.checkSeats(info); err != nil {
		return nil, err
	}
	rec, err := g.cfg.Recorder.Start(info)
	if err != nil {
		return nil, &OpenError{Stage: "record", Public: "the session cannot be recorded, so it is not opened", Err: err}
	}
	s := &Session{SessionInfo: info, g: g, client: c.Conn, rec: rec, done: make(chan struct{})}
	at, _ := ctx.Value(connectionKey{}).(place)
	if err := g.register(s, at.in); err != nil {
		_ = rec.Close()
		return nil, err
	}
	if g.cfg.Meter != nil {
		s.meter = newMeter(g.cfg.Meter.Account(p, t))
	}
	s.timer = time.AfterFunc(info.Deadline.Sub(now), func() { s.End(EndExpired, nil) })
	// A revocation between Revoked above and register would have missed us, and so would
	// a change of the target.
	if why, yes := g.cfg.Identifier.Revoked(p); yes {
		s.End(EndRevoked, errors.New(why))
		s.Close()
		return nil, &OpenError{Stage: "identify", Public: "the token was refused: revoked"}
	}
	if now, ok := g.cfg.Directory.Target(target); !ok || now.Generation != t.Generation {
		s.End(EndRevoked, errors.New("the target's configuration changed"))
		s.Close()
		return nil, &OpenError{Stage: "authorise", Public: "the target's configuration changed: connect again"}
	}
	return s, nil
}

func (g *Gateway) register(s *Session, in *connection) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return &OpenError{Stage: "authorise", Public: "the gateway is shutting down"}
	}
	if err := g.seatsFree(s.SessionInfo); err != nil {
		return err
	}
	g.sessions[s.ID] = s
	if s.in = in; in != nil {
		in.open = append(in.open, s)
	}
	for _, at := range seatsOf(s.SessionInfo) {
		g.seats[at]++
	}
	return nil
}

func (g *Gateway) forget(s *Session) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.sessions[s.ID] != s {
		return
	}
	delete(g.sessions, s.ID)
	if s.in != nil {
		s.in.open = slices.DeleteFunc(s.in.open, func(o *Session) bool { return o == s })
	}
	for _, at := range seatsOf(s.SessionInfo) {
		if g.seats[at]--; g.seats[at] == 0 {
			delete(g.seats, at)
		}
	}
}

// Sessions returns the live sessions, in no order.
func (g *Gateway) Sessions() []*Session {
	g.mu.Lock()
	defer g.mu.Unlock()
	all := make([]*Session, 0, len(g.sessions))
	for _, s := range g.sessions {
		all = append(all, s)
	}
	return all
}

// End ends every live session that match picks and returns how many that were.
// It returns when each has been told; a running command is being cancelled at
// the target then.
func (g *Gateway) End(reason EndReason, err error, match func(*SessionInfo) bool) int {
	n := 0
	for _, s := range g.Sessions() {
		if match(s.SessionInfo) {
			s.End(reason, err)
			n++
		}
	}
	return n
}

// Shutdown refuses new sessions and ends the live ones. It waits for them to
// close until ctx ends.
func (g *Gateway) Shutdown(ctx context.Context) error {
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	g.End(EndShutdown, nil, func(*SessionInfo) bool { return true })
	for _, s := range g.Sessions() {
		select {
		case <-s.closed():
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// Probe logs in to a target on the gateway's own behalf, without an agent: to
// read a catalog, to inspect what a credential can do. The connection is closed
// when login returns; it never reaches a session.
func (g *Gateway) Probe(ctx context.Context, t *Target, login Login) error {
	ctx, cancel := context.WithTimeout(ctx, 4*dialTimeout)
	defer cancel()
	conn, _, err := g.dial(ctx, t, login)
	if conn != nil {
		_ = conn.Close()
	}
	return err
}

// Login authenticates a fresh connection to the target with the credential and
// returns the connection to use from then on: the same one, or one wrapped in
// TLS. It is the only code that sees the raw connection or the credential.
type Login func(ctx context.Context, conn net.Conn, t *Target, c *Credential) (net.Conn, error)

// dial logs in and returns the connection to use, and the one below it that the loop
// waits for.
func (g *Gateway) dial(ctx context.Context, t *Target, login Login) (conn, raw net.Conn, err error) {
	err = g.reach(ctx, t, g.cfg.Loop.Conn, func(c net.Conn, cred *Credential) error {
		raw = c
		conn, err = login(ctx, c, t, cred)
		return err
	})
	return conn, raw, err
}

// reach dials the target, readies the connection and logs in. It closes the
// connection if that fails.
func (g *Gateway) reach(ctx context.Context, t *Target, ready func(net.Conn) net.Conn, login func(net.Conn, *Credential) error) error {
	cred, err := g.cfg.Vault.Credential(ctx, t.Credential)
	if err != nil {
		return &OpenError{Stage: "login", Public: fmt.Sprintf("target %q has no usable credential", t.Name), Err: err}
	}
	raw, err := g.cfg.Dialer.Dial(ctx, t)
	if err != nil {
		return &OpenError{Stage: "dial", Public: fmt.Sprintf("target %q cannot be reached", t.Name), Err: err}
	}
	raw = ready(raw)
	// A target that stops answering in the middle of the log-in must not hold
	// the caller longer than ctx.
	stop := context.AfterFunc(ctx, func() { _ = raw.SetDeadline(time.Unix(1, 0)) })
	err = login(raw, cred)
	if err == nil && !stop() {
		err = context.Cause(ctx)
	}
	stop()
	if err != nil {
		_ = raw.Close()
		return &OpenError{Stage: "login", Public: fmt.Sprintf("the gateway could not log in to target %q", t.Name), Err: err}
	}
	return nil
}

// PublicError is an error of an Identifier with a text that the caller may see.
type PublicError interface {
	error
	Public() string
}

func publicText(err error) string {
	var p PublicError
	if errors.As(err, &p) {
		return p.Public()
	}
	return "it could not be verified"
}

// NewConnectionID returns an id for Client.Connection.
func NewConnectionID() string { return newID("con_") }

// newID returns prefix and 130 random bits in lower-case base32.
func newID(prefix string) string {
	var b [20]byte
	_, _ = rand.Read(b[:]) // crypto/rand.Read never fails (Go 1.24)
	return prefix + strings.ToLower(base32.StdEncoding.EncodeToString(b[:])[:26])
}
