package main

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

const (
	// maxLines is how many lines of one message the log gets within linesWindow. Anybody
	// who reaches a listener, and an agent with a connection, can have lines written as
	// fast as they like.
	maxLines    = 100
	linesWindow = time.Minute
)

// bounded is a handler whose log no flood fills.
type bounded struct {
	slog.Handler
	quotas *quotas // shared with what WithAttrs and WithGroup give
}

func newBounded(h slog.Handler) *bounded {
	return &bounded{h, &quotas{of: map[string]*quota{}}}
}

func (b *bounded) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &bounded{b.Handler.WithAttrs(attrs), b.quotas}
}

func (b *bounded) WithGroup(name string) slog.Handler {
	return &bounded{b.Handler.WithGroup(name), b.quotas}
}

func (b *bounded) Handle(ctx context.Context, r slog.Record) error {
	left, ok := b.quotas.take(r.Message, r.Time)
	if !ok {
		return nil
	}
	if left > 0 {
		r = r.Clone()
		r.AddAttrs(slog.Uint64("left_out", left))
	}
	return b.Handler.Handle(ctx, r)
}

// quotas are those of all messages, which are constants of the program.
type quotas struct {
	mu sync.Mutex
	of map[string]*quota // guarded by mu
}

// quota bounds the lines of one message. What is left out is told by the first line of
// the next window.
type quota struct {
	since time.Time // when the window began
	lines int       // written in it
	left  uint64    // left out since the last line that told
}

// take reports whether a line may be written, and how many were left out before it.
func (all *quotas) take(message string, now time.Time) (left uint64, ok bool) {
	all.mu.Lock()
	defer all.mu.Unlock()
	q := all.of[message]
	if q == nil {
		q = &quota{}
		all.of[message] = q
	}
	if age := now.Sub(q.since); age >= linesWindow || age < 0 {
		q.since, q.lines = now, 0
	}
	if q.lines == maxLines {
		q.left++
		return 0, false
	}
	q.lines++
	left, q.left = q.left, 0
	return left, true
}
