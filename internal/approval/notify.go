package approval

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/sallyport-gateway/sallyport/internal/gate"
)

// Notifier tells people what became of a request.
type Notifier interface {
	// Notify hears of every change that this process made: r.State says which.
	// It is called after the change is durable, by several goroutines at once;
	// it must return at once, must not change r, and its failure changes
	// nothing.
	Notify(r *Request)
}

type silence struct{}

func (silence) Notify(*Request) {}

// Notifiers tells each of several notifiers.
type Notifiers []Notifier

// Notify tells each one in turn.
func (n Notifiers) Notify(r *Request) {
	for _, one := range n {
		one.Notify(r)
	}
}

// LogNotifier writes what happened to a log: never the command's text, its
// parameters, or a comment.
type LogNotifier struct{ Log *slog.Logger }

// Notify writes one line.
func (n LogNotifier) Notify(r *Request) {
	n.Log.Info("access request", "request", r.ID, "state", string(r.State), "agent", r.Asker.Agent,
		"subject", r.Asker.Subject.Subject, "target", r.Target.Name, "rule", r.Rule,
		"approvals", r.approvals(), "needed", r.Terms.Count, "expires", r.Expires)
}

// bell wakes those who wait for one request.
type bell struct {
	rung    chan struct{} // closed by the next change
	waiters int           // guarded by Desk.mu
}

// changed wakes who waits and tells the notifier.
func (d *Desk) changed(r *Request) {
	d.mu.Lock()
	if b := d.waiting[r.ID]; b != nil {
		close(b.rung)
		b.rung = make(chan struct{})
	}
	d.mu.Unlock()
	d.cfg.Notifier.Notify(r)
}

// listen registers a waiter. The channel of the bell must be read before the
// state, so that no change falls between.
func (d *Desk) listen(id string) *bell {
	d.mu.Lock()
	defer d.mu.Unlock()
	b := d.waiting[id]
	if b == nil {
		b = &bell{rung: make(chan struct{})}
		d.waiting[id] = b
	}
	b.waiters++
	return b
}

func (d *Desk) unlisten(id string, b *bell) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if b.waiters--; b.waiters == 0 {
		delete(d.waiting, id)
	}
}

func (d *Desk) next(b *bell) <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	return b.rung
}

// Wait blocks until the request is answered, expires or ctx ends, and returns
// its state. Answers given through this desk wake it at once; those given
// through another one are seen within Config.Poll. When ctx ends it returns
// pending and the error of ctx.
func (d *Desk) Wait(ctx context.Context, request string) (gate.RequestState, error) {
	b := d.listen(request)
	defer d.unlisten(request, b)
	for {
		rung := d.next(b)
		r, err := d.cfg.Store.Get(ctx, request)
		switch {
		case ctx.Err() != nil:
			return gate.RequestPending, fmt.Errorf("wait for approval: %w", ctx.Err())
		case errors.Is(err, ErrNotFound):
			return "", fmt.Errorf("wait for approval: %w", err)
		case err != nil:
			// The store may be busy for a moment; the wait is bounded by ctx.
			d.cfg.Log.Error("waiting for approval", "request", request, "error", err)
		case r.expire(d.now()) || r.State != gate.RequestPending:
			return r.State, nil
		}
		pause := d.cfg.Poll
		if err == nil {
			pause = max(min(pause, r.Expires.Sub(d.now())), time.Millisecond)
		}
		t := time.NewTimer(pause)
		select {
		case <-ctx.Done():
		case <-rung:
		case <-t.C:
		}
		t.Stop()
	}
}
