package gate

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"
)

// Mux is a logged-in connection to a target that carries several streams (SSH
// channels, HTTP/2 streams). It is safe for concurrent use.
type Mux interface {
	// Stream opens one. Each Write to it is given whole messages of the
	// protocol; Close stops what runs on it at the target.
	Stream(ctx context.Context) (net.Conn, error)
	// Done is closed when the connection is gone.
	Done() <-chan struct{}
	// Close closes the connection with all its streams.
	Close() error
}

// MuxLogin is a [Login] to a connection that carries several streams. It is the
// only code that sees the raw connection or the credential.
type MuxLogin func(ctx context.Context, conn net.Conn, t *Target, c *Credential) (Mux, error)

// Link is a connection to a target that the sessions of one caller share. It
// belongs to the protocol's connection, which closes it. Each session still sends
// only against its own Permits, on a stream of its own.
type Link struct {
	mux Mux
	of  *SessionInfo
}

// Link reaches the target and logs in. Errors are *OpenError.
func (s *Session) Link(ctx context.Context, login MuxLogin) (*Link, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	l := &Link{of: s.SessionInfo}
	err := s.g.reach(ctx, s.Target, s.g.cfg.Loop.Conn, func(raw net.Conn, c *Credential) (err error) {
		l.mux, err = login(ctx, raw, s.Target, c)
		return err
	})
	if err != nil {
		return nil, err
	}
	return l, nil
}

// errForeignLink is the error for a link that another caller made, or one to
// another target.
var errForeignLink = errors.New("gate: the link is another caller's")

// Join returns a connection to the target over a link that a session of the same
// caller has made.
func (s *Session) Join(ctx context.Context, l *Link) (*Upstream, error) {
	if !s.Fits(l) {
		return nil, &OpenError{Stage: "dial", Public: "the connection to the target is not this session's", Err: errForeignLink}
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	conn, err := l.mux.Stream(ctx)
	if err != nil {
		return nil, &OpenError{Stage: "dial", Public: fmt.Sprintf("target %q cannot be reached", s.Target.Name), Err: err}
	}
	return &Upstream{s: s, conn: conn}, nil
}

// Fits reports whether the session may join the link. One that another caller made,
// or that was made before the target's configuration changed, fits no more.
func (s *Session) Fits(l *Link) bool { return l.serves(s.SessionInfo) }

// serves reports whether the link was made for the same caller, token, target and
// configuration.
func (l *Link) serves(i *SessionInfo) bool {
	p, q := l.of.Principal, i.Principal
	return p.Party == q.Party && p.Actor == q.Actor && p.ClientID == q.ClientID && p.TokenID == q.TokenID &&
		l.of.Target.Handle() == i.Target.Handle() && l.of.Target.Generation == i.Target.Generation
}

// Inquire asks the target something about a command that is being inspected (where
// a path leads), on a stream of its own, before the command is decided. question
// is made by the protocol: a fixed text in which the agent's words are data. about
// tells a reader of the recording, in which it stands before the question is sent.
// The caller reads the answer and closes the connection.
func (s *Session) Inquire(ctx context.Context, l *Link, about string, question []byte) (net.Conn, error) {
	if !s.Fits(l) {
		return nil, errForeignLink
	}
	if end := s.Err(); end != nil {
		return nil, end
	}
	if err := s.append(Event{Kind: EventInquiry, Command: s.command + 1, Text: about}, nil); err != nil {
		return nil, err
	}
	if err := s.commit(); err != nil {
		return nil, err
	}
	conn, err := l.mux.Stream(ctx)
	if err != nil {
		return nil, fmt.Errorf("inquire at %s: %w", s.Target.Name, err)
	}
	if deadline, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(deadline)
	} else {
		_ = conn.SetDeadline(time.Now().Add(dialTimeout))
	}
	if _, err := conn.Write(question); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("inquire at %s: %w", s.Target.Name, err)
	}
	return conn, nil
}

// Done is closed when the connection is gone.
func (l *Link) Done() <-chan struct{} { return l.mux.Done() }

// Close closes the connection with the streams of all sessions.
func (l *Link) Close() error { return l.mux.Close() }
