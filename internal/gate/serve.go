package gate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime/debug"
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
		open.Go(func() {
			defer func() { <-slots }()
			g.serve(ctx, p, conn)
		})
	}
}

func (g *Gateway) serve(ctx context.Context, p Protocol, conn net.Conn) {
	defer conn.Close()
	defer func() {
		if r := recover(); r != nil {
			g.count.Panics.Add(1)
			g.cfg.Log.Error("panic in a connection", "protocol", p.Name(), "panic", fmt.Sprint(r), "stack", string(debug.Stack()))
		}
	}()
	if err := p.Serve(ctx, conn, g); err != nil {
		g.count.Failed.Add(1)
		g.cfg.Log.LogAttrs(ctx, slog.LevelInfo, "connection ended", slog.String("protocol", p.Name()),
			slog.String("remote", conn.RemoteAddr().String()), slog.Any("error", err))
	}
}
