package parse

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	pg_query "github.com/pganalyze/pg_query_go/v6"
)

// Config is what a Pool is made of. The zero value is usable.
type Config struct {
	// Workers is how many processes parse at the same time. Zero means one per
	// processor, at least 2 and at most 8.
	Workers int
	// Deadline is how long one text may take. Zero means 2 s.
	Deadline time.Duration
	// TextBytes bounds a text, up to 128 MiB. Zero means 64 MiB: the canonical
	// text of 16 MiB of source can be longer than the source.
	TextBytes int
	// TreeBytes bounds a serialised tree. Zero means 128 MiB.
	TreeBytes int
	// Log receives crashes and restarts, never text. Nil discards.
	Log *slog.Logger
}

const (
	defaultDeadline  = 2 * time.Second
	defaultTextBytes = 64 << 20
	maxText          = 128 << 20 // a worker reads no longer request
	defaultTreeBytes = 128 << 20
	// startTimeout bounds the start of a worker.
	startTimeout = 10 * time.Second
	// smallTree is up to where a tree is decoded after its worker was given back.
	smallTree = 1 << 20
	// largeText is from where on a worker is replaced after its answer, so that
	// it does not keep the memory.
	largeText = 1 << 20
	// A worker that ends before it parsed anything is started again with a
	// growing pause, so that a broken installation does not use up a machine.
	minPause = 10 * time.Millisecond
	maxPause = time.Second
)

// Stats counts what became of workers since the pool was made.
type Stats struct {
	// Started is how many processes were started.
	Started uint64
	// Crashed is how many ended while they parsed.
	Crashed uint64
	// TimedOut is how many were ended because they took too long.
	TimedOut uint64
	// Failed is how many could not be started.
	Failed uint64
}

// Pool parses texts in worker processes. It is safe for concurrent use.
type Pool struct {
	cfg     Config
	idle    chan *process
	spawn   chan func()
	ctx     context.Context // ends with Close
	cancel  context.CancelFunc
	running sync.WaitGroup // restarts, processes and the spawner

	started, crashed, timedOut, failed atomic.Uint64

	mu   sync.Mutex
	live map[*process]struct{} // guarded by mu
	shut bool                  // guarded by mu; nothing starts any more
}

// New starts the workers in the background and returns at once; Parse waits for
// one that is ready. Close ends them.
func New(cfg Config) (*Pool, error) {
	if !available {
		return nil, ErrUnavailable
	}
	if cfg.Workers <= 0 {
		cfg.Workers = min(max(runtime.GOMAXPROCS(0), 2), 8)
	}
	if cfg.Deadline <= 0 {
		cfg.Deadline = defaultDeadline
	}
	if cfg.TextBytes <= 0 {
		cfg.TextBytes = defaultTextBytes
	}
	cfg.TextBytes = min(cfg.TextBytes, maxText)
	if cfg.TreeBytes <= 0 {
		cfg.TreeBytes = defaultTreeBytes
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	ctx, cancel := context.WithCancel(context.Background())
	p := &Pool{cfg: cfg, ctx: ctx, cancel: cancel, live: map[*process]struct{}{},
		idle: make(chan *process, cfg.Workers), spawn: make(chan func())}
	p.running.Add(1)
	go p.spawner()
	for range cfg.Workers {
		p.restart(0)
	}
	return p, nil
}

// spawner starts processes on one thread that lives as long as the pool: the
// kernel ends a child when the thread that started it ends (prctl(2),
// PR_SET_PDEATHSIG). Close ends it.
func (p *Pool) spawner() {
	defer p.running.Done()
	runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
	for {
		select {
		case f := <-p.spawn:
			f()
		case <-p.ctx.Done():
			return
		}
	}
}

// Parse returns the parse tree of a canonical text; its offsets are bytes of
// that text. Errors are [*Error], or wrap ctx's error if no worker became free
// in time. ctx bounds only the wait for a worker: a parse that has begun ends
// within Config.Deadline.
func (p *Pool) Parse(ctx context.Context, canonical string) (*pg_query.ParseResult, error) {
	if len(canonical) > p.cfg.TextBytes {
		return nil, failure(ErrTooLarge)
	}
	if strings.IndexByte(canonical, 0) >= 0 { // libpg_query would stop reading there
		return nil, rejection(nulMessage, 0)
	}
	for range p.cfg.Workers + 1 {
		w, err := p.take(ctx)
		if err != nil {
			return nil, err
		}
		tree, err := p.parseWith(w, canonical)
		if !errors.Is(err, errNotSent) {
			return tree, err
		}
		// The worker ended before it had the text. Another one takes it.
	}
	return nil, failure(ErrCrashed)
}

// Ready waits until a worker is ready.
func (p *Pool) Ready(ctx context.Context) error {
	w, err := p.take(ctx)
	if err == nil {
		p.idle <- w
	}
	return err
}

// Stats returns the counts so far.
func (p *Pool) Stats() Stats {
	return Stats{Started: p.started.Load(), Crashed: p.crashed.Load(), TimedOut: p.timedOut.Load(), Failed: p.failed.Load()}
}

// Close ends the workers and waits until they are gone. Parses that are under
// way fail.
func (p *Pool) Close() error {
	p.mu.Lock()
	p.shut = true
	p.cancel()
	for w := range p.live {
		w.kill()
	}
	p.mu.Unlock()
	p.running.Wait()
	return nil
}

func (p *Pool) take(ctx context.Context) (*process, error) {
	select {
	case w := <-p.idle:
		return w, nil
	default:
	}
	select {
	case w := <-p.idle:
		return w, nil
	case <-p.ctx.Done():
		return nil, failure(ErrClosed)
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for a parser: %w", ctx.Err())
	}
}

// errNotSent says that the worker was gone before it had read the request.
var errNotSent = errors.New("not sent")

// buffers holds request and response buffers.
var buffers = sync.Pool{New: func() any { b := make([]byte, bufferBytes); return &b }}

const bufferBytes = 16 << 10

// parseWith has one worker parse one text and gives the worker back.
func (p *Pool) parseWith(w *process, text string) (*pg_query.ParseResult, error) {
	held := buffers.Get().(*[]byte)
	defer buffers.Put(held)
	kind, payload, err := w.exchange(*held, text, p.cfg.Deadline, p.cfg.TreeBytes)
	if err != nil {
		return nil, p.discard(w, err)
	}
	w.useful = true
	switch kind {
	case responseError:
		e, err := errorResponse(payload)
		if err != nil {
			return nil, p.discard(w, err)
		}
		p.putBack(w, text)
		return nil, e
	case responseTree:
		if len(payload) <= smallTree {
			p.putBack(w, text)
		} else {
			// Large trees are decoded one per worker at a time.
			defer p.putBack(w, text)
		}
		tree, err := decode(payload, text)
		if err != nil {
			return nil, failure(err)
		}
		return tree, nil
	default:
		return nil, p.discard(w, errFrame)
	}
}

func (p *Pool) putBack(w *process, text string) {
	if len(text) >= largeText {
		w.kill()
		p.restart(0)
		return
	}
	p.idle <- w
}

// discard ends a worker that failed and starts another.
func (p *Pool) discard(w *process, err error) error {
	w.kill()
	pause := time.Duration(0)
	if !w.useful {
		pause = min(max(2*w.pause, minPause), maxPause)
	}
	p.restart(pause)
	switch {
	case errors.Is(err, errNotSent):
		return err
	case p.ctx.Err() != nil:
		return failure(ErrClosed)
	case errors.Is(err, os.ErrDeadlineExceeded):
		p.timedOut.Add(1)
		p.cfg.Log.Warn("SQL parser took too long and was ended")
		return failure(ErrTimeout)
	case errors.Is(err, ErrTooLarge):
		return failure(ErrTooLarge)
	case errors.Is(err, errFrame):
		return failure(ErrTree)
	case errors.Is(err, io.EOF), errors.Is(err, syscall.EPIPE), errors.Is(err, os.ErrClosed), errors.Is(err, syscall.ECONNRESET):
		p.crashed.Add(1)
		p.cfg.Log.Warn("SQL parser ended unexpectedly")
		return failure(ErrCrashed)
	default:
		p.crashed.Add(1)
		p.cfg.Log.Warn("SQL parser failed", "error", err)
		return failure(fmt.Errorf("%w: %w", ErrCrashed, err))
	}
}

// restart starts a worker in the background, after a pause, and again until it
// succeeds or the pool is closed.
func (p *Pool) restart(pause time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.shut {
		return
	}
	p.running.Add(1)
	go func() {
		defer p.running.Done()
		for {
			if !p.wait(pause) {
				return
			}
			w, err := p.start(pause)
			if err == nil {
				p.idle <- w
				return
			}
			if p.ctx.Err() != nil {
				return
			}
			p.failed.Add(1)
			p.cfg.Log.Error("SQL parser cannot be started", "error", err)
			pause = min(max(2*pause, minPause), maxPause)
		}
	}()
}

// wait pauses and reports whether the pool is still open.
func (p *Pool) wait(pause time.Duration) bool {
	if pause == 0 {
		return p.ctx.Err() == nil
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-p.ctx.Done():
		return false
	}
}

// start starts one worker and waits until it is ready.
func (p *Pool) start(pause time.Duration) (*process, error) {
	var w *process
	var err error
	done := make(chan struct{})
	select {
	case p.spawn <- func() { w, err = startProcess(); close(done) }:
		<-done
	case <-p.ctx.Done():
		return nil, ErrClosed
	}
	if err != nil {
		return nil, err
	}
	w.pause = pause
	p.started.Add(1)
	if !p.register(w) {
		return nil, ErrClosed
	}
	if err := w.ready(); err != nil {
		w.kill()
		return nil, err
	}
	return w, nil
}

// register has Close end the worker, and forgets it when it is gone.
func (p *Pool) register(w *process) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.shut {
		w.kill()
		_ = w.wait()
		return false
	}
	p.live[w] = struct{}{}
	p.running.Add(1)
	go func() {
		defer p.running.Done()
		_ = w.wait()
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.live, w)
	}()
	return true
}
