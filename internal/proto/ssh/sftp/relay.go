package sftp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// copyTimeout bounds a copy at the server, which moves whole files.
const copyTimeout = time.Hour

// Refused is the error of a Judge for a command that may not run. The session
// goes on.
type Refused struct {
	// Message is for the agent.
	Message string
}

// Error returns the message.
func (r *Refused) Error() string { return r.Message }

// Judge decides commands.
type Judge interface {
	// Decide is called with the paths resolved, before anything that the command
	// asks for is sent. It is called for one command at a time and may wait for a
	// person. A *Refused is answered as "permission denied"; any other error ends
	// the session.
	Decide(ctx context.Context, c *Command) (Grant, error)
}

// Resolver finds what paths name at the server.
type Resolver interface {
	// Resolve sets Place of every path from its Absolute and Follow. It may use
	// the Host. An error is answered as a failure of the command, with its text
	// if it is a *Refused; an error of the Host ends the session.
	Resolve(ctx context.Context, h *Host, paths []Path) error
}

// Observer is told what happens, for the recording. An error of it ends the
// session. Content and Closed are called from two goroutines.
type Observer interface {
	// Content is called with the part of a file's content that is to be recorded,
	// before it goes on.
	Content(f *File, d Direction, data []byte) error
	// Closed is called when a file is closed or left open at the end.
	Closed(r *Report) error
	// Done is called when a command has been answered. Note says what a reader
	// should know beyond the code.
	Done(c *Command, code Code, note string) error
	// Refused is called for what was answered without asking the server.
	Refused(what string) error
}

// Config is what a Relay works with. All but PathOnly, Handles and Go is required.
type Config struct {
	Judge    Judge
	Resolver Resolver
	Observer Observer
	// Timeout bounds each wait for an answer of the server to a request of the
	// Relay's own. Example: 30 s.
	Timeout time.Duration
	// PathOnly accepts servers without /proc, where an opened file can only be
	// compared with its path. False refuses to open files there.
	PathOnly bool
	// Handles is how many files a client may have open; zero means
	// DefaultHandles.
	Handles int
	// Go runs what reads from the server, in a goroutine. Nil runs it as it is.
	Go func(func())
}

// Start runs f in a goroutine of Go's.
func (c *Config) Start(f func()) {
	if c.Go == nil {
		go f()
		return
	}
	c.Go(f)
}

// Relay carries one SFTP session between two streams.
type Relay struct {
	cfg    Config
	engine *Engine
	server io.Writer // written by the client's goroutine only

	clientMu sync.Mutex // guards client: both goroutines answer
	client   io.Writer

	replies  chan reply    // answers to our own requests
	progress chan struct{} // the server answered something
	ended    chan struct{} // closed when the server's goroutine ends
	endErr   error         // why; read after ended is closed

	forwarded uint64        // requests of the client that the server got; of Run's goroutine
	delivered atomic.Uint64 // answers to them that the client got

	host host
}

type reply struct {
	id uint32
	r  Response
}

// flusher is a writer that may keep packets back until Flush.
type flusher interface{ Flush() error }

// flush has a writer pass on what it has kept back.
func flush(w io.Writer) error {
	if f, ok := w.(flusher); ok {
		return f.Flush()
	}
	return nil
}

// New returns a Relay that writes to the client and to the server. A writer with a
// method Flush() error may keep packets back; it is called before the Relay waits.
func New(cfg Config, client, server io.Writer) *Relay {
	if cfg.Handles == 0 {
		cfg.Handles = DefaultHandles
	}
	return &Relay{cfg: cfg, engine: NewEngine(cfg.Handles), client: client, server: server,
		replies: make(chan reply, 2*reserved), progress: make(chan struct{}, 1), ended: make(chan struct{}),
		host: host{used: map[int]bool{}, start: "/"}}
}

// Run carries packets until one side ends or an error occurs, and returns nil if
// the client ended the session between two packets. It starts one goroutine,
// which ends when reading from the server does: when Run returns, the caller
// closes the stream from the server and calls Finish. ctx ends waits, not reads.
func (r *Relay) Run(ctx context.Context, fromClient, fromServer io.Reader) error {
	r.cfg.Start(func() { r.serve(fromServer) })
	err := r.run(ctx, fromClient)
	if late := r.flushServer(); err == nil {
		err = late
	}
	return err
}

func (r *Relay) run(ctx context.Context, fromClient io.Reader) error {
	in := NewReader(fromClient)
	defer in.Close()
	for {
		if !in.Whole() {
			if err := r.flushServer(); err != nil {
				return err
			}
		}
		packet, err := in.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read client: %w", err)
		}
		if err := r.ready(ctx); err != nil {
			return err
		}
		if err := r.take(ctx, packet); err != nil {
			return err
		}
	}
}

// Finish waits for the server's goroutine, whose stream the caller has closed,
// and reports the files that are still open.
func (r *Relay) Finish() error {
	<-r.ended
	var err error
	for _, report := range r.engine.Close() {
		err = errors.Join(err, r.cfg.Observer.Closed(report))
	}
	return err
}

// Ended is closed when the server has ended the session or broken the protocol;
// the caller then closes the client's stream, so that Run returns.
func (r *Relay) Ended() <-chan struct{} { return r.ended }

// ready waits until the Engine takes another packet.
func (r *Relay) ready(ctx context.Context) error { return r.await(ctx, r.engine.Ready) }

// inOrder waits until the server has answered what the client asked before, so
// that what is answered here keeps its place.
func (r *Relay) inOrder(ctx context.Context) error {
	return r.await(ctx, func() bool { return r.delivered.Load() == r.forwarded })
}

// await waits for something that an answer of the server brings about.
func (r *Relay) await(ctx context.Context, done func() bool) error {
	if done() {
		return nil
	}
	if err := r.flushServer(); err != nil {
		return err
	}
	timer := time.NewTimer(r.cfg.Timeout)
	defer timer.Stop()
	for !done() {
		select {
		case <-r.progress:
			timer.Reset(r.cfg.Timeout) // it is alive
		case <-r.ended:
			return r.serverGone()
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-timer.C:
			return serverError("no answer within %v", r.cfg.Timeout)
		}
	}
	return nil
}

func (r *Relay) serverGone() error {
	if r.endErr == nil {
		return fmt.Errorf("read server: %w", io.ErrUnexpectedEOF)
	}
	return r.endErr
}

// take handles one packet of the client.
func (r *Relay) take(ctx context.Context, packet []byte) error {
	step, err := r.engine.Client(packet)
	if err != nil {
		return err
	}
	if step.Refused != "" {
		if err := r.cfg.Observer.Refused(step.Refused); err != nil {
			return err
		}
	}
	switch step.Kind {
	case StepForward:
		if len(step.Content) > 0 {
			if err := r.cfg.Observer.Content(step.File, step.Direction, step.Content); err != nil {
				return err
			}
		}
		if step.File != nil && step.File.closing {
			r.host.release(step.File.fd)
		}
		if err := write(r.server, step.Frame); err != nil {
			return fmt.Errorf("write server: %w", err)
		}
		if !r.host.greeted {
			r.host.greeted = true
			return r.greet(ctx)
		}
		r.forwarded++
		return nil
	case StepAnswer:
		if err := r.inOrder(ctx); err != nil {
			return err
		}
		return r.toClient(step.Frame, true)
	case StepCommand:
		// What was asked for before does not wait for a decision about this.
		if err := r.flushServer(); err != nil {
			return err
		}
		return r.perform(ctx, step.Command)
	default:
		return clientError("a packet that means nothing")
	}
}

// serve carries packets of the server.
func (r *Relay) serve(from io.Reader) {
	defer close(r.ended)
	in := NewReader(from)
	defer in.Close()
	defer func() {
		if err := r.flushClient(); r.endErr == nil {
			r.endErr = err
		}
	}()
	for {
		if !in.Whole() {
			if r.endErr = r.flushClient(); r.endErr != nil {
				return
			}
		}
		packet, err := in.Next()
		if err != nil {
			if !errors.Is(err, io.EOF) {
				r.endErr = fmt.Errorf("read server: %w", err)
			}
			return
		}
		if r.endErr = r.takeServer(packet); r.endErr != nil {
			return
		}
		select {
		case r.progress <- struct{}{}:
		default:
		}
	}
}

func (r *Relay) takeServer(packet []byte) error {
	step, err := r.engine.Server(packet)
	if err != nil {
		return err
	}
	if step.Refused != "" {
		if err := r.cfg.Observer.Refused(step.Refused); err != nil {
			return err
		}
	}
	if len(step.Content) > 0 {
		if err := r.cfg.Observer.Content(step.File, step.Direction, step.Content); err != nil {
			return err
		}
	}
	if step.Ended != nil {
		if err := r.cfg.Observer.Closed(step.Ended); err != nil {
			return err
		}
	}
	switch step.Kind {
	case StepAnswer:
		if err := r.toClient(step.Frame, false); err != nil {
			return err
		}
		if !step.Greeting {
			r.delivered.Add(1)
		}
		return nil
	case StepReply:
		select {
		case r.replies <- reply{step.ID, step.Response}:
			return nil
		default:
			return serverError("answers that nobody waits for")
		}
	default:
		return nil
	}
}

// toClient answers the client; last says that no other answer is at hand.
func (r *Relay) toClient(f Frame, last bool) error {
	r.clientMu.Lock()
	defer r.clientMu.Unlock()
	err := write(r.client, f)
	if err == nil && last {
		err = flush(r.client)
	}
	if err != nil {
		return fmt.Errorf("write client: %w", err)
	}
	return nil
}

func (r *Relay) flushClient() error {
	r.clientMu.Lock()
	defer r.clientMu.Unlock()
	if err := flush(r.client); err != nil {
		return fmt.Errorf("write client: %w", err)
	}
	return nil
}

// flushServer belongs to Run's goroutine, as all writes to the server do.
func (r *Relay) flushServer() error {
	if err := flush(r.server); err != nil {
		return fmt.Errorf("write server: %w", err)
	}
	return nil
}

// write writes a frame; the two parts of one with a body in two writes, so that
// bulk data is not copied.
func write(w io.Writer, f Frame) error {
	if _, err := w.Write(f.Head); err != nil {
		return err
	}
	if len(f.Body) == 0 {
		return nil
	}
	_, err := w.Write(f.Body)
	return err
}
