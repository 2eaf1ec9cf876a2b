package gate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime/debug"
	"slices"
	"sync"
	"time"
)

// MaxConnections is how many connections one listener serves when its
// configuration names no other number.
const MaxConnections = 20000

// Listen accepts connections for one protocol until ctx ends or the listener
// fails, and returns when the last of them is closed. At most limit connections
// are open at a time; more are closed at once, so that a flood costs others
// nothing. A panic ends only its own connection.
func (g *Gateway) Listen(ctx context.Context, l net.Listener, p Protocol, limit int) error {
	if limit <= 0 {
		limit = MaxConnections
	}
	defer context.AfterFunc(ctx, func() { _ = l.Close() })()
	slots := make(chan struct{}, limit)
	var open sync.WaitGroup
	defer open.Wait()
	var delay time.Duration
	for {
		conn, err := l.Accept()
		if err != nil {
			if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return nil
			}
			// Out of descriptors or a connection gone before it was accepted: the
			// listener itself is well, so wait and go on.
			delay = min(max(2*delay, 5*time.Millisecond), time.Second)
			g.cfg.Log.Error("accept", "protocol", p.Name(), "error", err)
			select {
			case <-time.After(delay):
			case <-ctx.Done():
			}
			continue
		}
		delay = 0
		select {
		case slots <- struct{}{}:
		default:
			g.count.Refused.Add(1)
			g.cfg.Log.Warn("connection refused: too many", "protocol", p.Name(), "limit", limit)
			_ = conn.Close()
			continue
		}
		g.count.Connections.Add(1)
		open.Add(1)
		c := &connection{g: g, protocol: p, conn: g.cfg.Loop.Conn(conn), done: func() { <-slots; open.Done() }}
		go c.serve(ctx) // ends with Serve
	}
}

// connection is one client from its acceptance to its end.
type connection struct {
	g        *Gateway
	protocol Protocol
	conn     net.Conn
	done     func() // called once it is closed

	session *Session
	rest    func() error // what Serve has left to Run
	open    []*Session   // guarded by g.mu; those that are not closed
}

// connectionKey is the key of the context that Serve is given, and place its value.
type connectionKey struct{}

// place says in which connection a session opens.
type place struct {
	in     *connection
	nested bool // what the connection's protocol carries, see Nested
}

func (c *connection) serve(ctx context.Context) {
	c.guard(func() error {
		return c.protocol.Serve(context.WithValue(ctx, connectionKey{}, place{in: c}), c.conn, c.g)
	})
	if c.rest == nil {
		c.close()
		return
	}
	conns := append(c.session.dialled, c.conn)
	c.session.dialled = nil
	c.g.cfg.Loop.Run(func(t Task) (rests bool) {
		defer func() {
			if !rests {
				c.close()
			}
		}()
		c.session.task = t
		c.session.batch, _ = c.conn.(batcher)
		c.session.rester, _ = c.conn.(rester)
		c.guard(func() error {
			err := c.rest()
			if rests = err == ErrRest; rests {
				return nil
			}
			return err
		})
		return rests
	}, conns...)
}

func (c *connection) close() {
	_ = c.conn.Close()
	c.closeLeft()
	c.done()
}

// errLeft is why a session ended that its protocol did not close.
var errLeft = errors.New("gate: the protocol left the session open: it panicked")

// closeLeft closes the sessions that the protocol has not closed, because it
// panicked: nothing serves them any more, and they would keep their seats, their
// connections to the target and their open recordings.
func (c *connection) closeLeft() {
	c.g.mu.Lock()
	left := slices.Clone(c.open)
	c.g.mu.Unlock()
	for _, s := range left {
		s.End(EndProtocol, errLeft)
		for _, raw := range s.dialled {
			_ = raw.Close()
		}
		s.Close()
	}
}

// guard keeps a panic to its own connection, and logs why the connection ended.
func (c *connection) guard(f func() error) {
	log := c.g.cfg.Log
	defer func() {
		if r := recover(); r != nil {
			c.g.Panicked("a connection of "+c.protocol.Name(), r)
		}
	}()
	if err := f(); err != nil {
		c.g.count.Failed.Add(1)
		log.LogAttrs(context.Background(), slog.LevelInfo, "connection ended", slog.String("protocol", c.protocol.Name()),
			slog.String("remote", c.conn.RemoteAddr().String()), slog.Any("error", err))
	}
}

// Panicked counts and logs a panic that somebody has recovered, who keeps it inside of
// what it is about: a connection, a session, a snapshot. The gate itself guards the
// goroutines that it has started; a protocol does so in each that it starts and that reads
// what a client or a target has sent.
func (g *Gateway) Panicked(where string, value any) {
	g.count.Panics.Add(1)
	g.cfg.Log.Error("panic", "in", where, "panic", fmt.Sprint(value), "stack", string(debug.Stack()))
}

// Run serves the rest of the session by f, in the way of Config.Loop: when Serve,
// which must return what Run returns, has returned. f closes both connections and
// the session, unless it returns ErrRest: then it is called again.
func (s *Session) Run(ctx context.Context, f func() error) error {
	at, _ := ctx.Value(connectionKey{}).(place)
	if at.in == nil || at.nested {
		return f()
	}
	at.in.session, at.in.rest = s, f
	return nil
}

// Nested returns a context for a protocol that serves what another one carries (a
// tunnel): its sessions run to their end within its Serve, for the connection below is
// the other protocol's.
func Nested(ctx context.Context) context.Context {
	at, _ := ctx.Value(connectionKey{}).(place)
	return context.WithValue(ctx, connectionKey{}, place{in: at.in, nested: true})
}

// Block says that the session's goroutine may block in something else than its
// connections. See Task.
func (s *Session) Block() {
	if s.task != nil {
		s.task.Block()
	}
}

// Resume says that it will not any more. See Task.
func (s *Session) Resume() {
	if s.task != nil {
		s.task.Resume()
	}
}

// rester is a connection whose next read may return ErrRest.
type rester interface{ MayRest(may bool) }

// Rest is Resume in a session that is idle: the next read of the client's connection
// that would have to wait may return ErrRest. The function that Run was given then
// returns it, and is called again when there is something to read: an idle session
// needs no stack.
func (s *Session) Rest() {
	s.Resume()
	if s.rester != nil {
		s.rester.MayRest(true)
	}
}

// Stay takes Rest back: a read may have been answered from a buffer, and the next
// ones have to wait.
func (s *Session) Stay() {
	if s.rester != nil {
		s.rester.MayRest(false)
	}
}

// goroutines is the Loop that leaves waiting to the runtime.
type goroutines struct{}

// Conn implements Loop.
func (goroutines) Conn(c net.Conn) net.Conn { return c }

// Run implements Loop.
func (goroutines) Run(f func(Task) bool, _ ...net.Conn) { go f(nil) }
