package ssh

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport-gateway/sallyport/internal/proto/ssh/wire"
)

// replyTimeout bounds how long a host may take to open a channel or to start a
// program.
const replyTimeout = 15 * time.Second

// mux is a logged-in connection to a host. It implements gate.Mux.
type mux struct {
	conn ssh.Conn
	done chan struct{}
}

// newMux takes over the connection. Whatever the host asks for on its own is
// refused: it has no business with agents.
func newMux(conn ssh.Conn, channels <-chan ssh.NewChannel, requests <-chan *ssh.Request) *mux {
	m := &mux{conn: conn, done: make(chan struct{})}
	go ssh.DiscardRequests(requests) // ends with the connection
	go func() {                      // ends with the connection
		for nc := range channels {
			_ = nc.Reject(ssh.Prohibited, "not served")
		}
		close(m.done)
	}()
	return m
}

// Stream implements gate.Mux. Nothing goes to the host before the first message.
func (m *mux) Stream(context.Context) (net.Conn, error) {
	select {
	case <-m.done:
		return nil, errors.New("ssh: the connection to the host is lost")
	default:
	}
	return &stream{mux: m, frames: make(chan piece), begun: make(chan struct{}), told: make(chan struct{}), cancelled: make(chan struct{})}, nil
}

// Done implements gate.Mux.
func (m *mux) Done() <-chan struct{} { return m.done }

// Close implements gate.Mux.
func (m *mux) Close() error { return m.conn.Close() }

// stream is one channel at the host, as frames. Write is called by one goroutine at a
// time, and Read by one.
type stream struct {
	mux    *mux
	frames chan piece

	mu    sync.Mutex  // guards what follows against Close and deadlines
	ch    ssh.Channel // nil until an Open frame
	timer *time.Timer // of a deadline

	program atomic.Bool // a program runs or may run: Close stops it
	// begun is closed when data may be passed on: the answer to the request for the
	// program comes first.
	begun     chan struct{}
	told      chan struct{} // closed when Read was told that the channel was opened
	beginOnce sync.Once
	closeOnce sync.Once
	closeErr  error // of closeOnce
	once      sync.Once
	// cancelled is closed by a deadline in the past or by Close.
	cancelled chan struct{}
}

// piece is a frame on its way to Read, which lets taken go when it has copied it.
type piece struct {
	b     []byte
	taken chan<- struct{}
}

// Write applies whole frames to the channel.
func (s *stream) Write(b []byte) (int, error) {
	for rest := b; len(rest) > 0; {
		var f wire.Frame
		var err error
		if f, rest, err = wire.Next(rest); err != nil {
			return 0, err
		}
		if err := s.apply(f); err != nil {
			return 0, err
		}
	}
	return len(b), nil
}

func (s *stream) apply(f wire.Frame) error {
	if f.Kind == wire.Open {
		return s.open(f.Payload)
	}
	ch := s.channel()
	if ch == nil {
		return nil // the channel was not opened, which Read tells
	}
	switch f.Kind {
	case wire.Input:
		_, err := ch.Write(f.Payload)
		return gone(err)
	case wire.EOF:
		return gone(ch.CloseWrite())
	case wire.Request:
		name, want, data, err := wire.DecodeRequest(f.Payload)
		if err != nil {
			return err
		}
		if name == "exec" || name == "shell" || name == "subsystem" {
			s.program.Store(true)
		}
		stop := time.AfterFunc(replyTimeout, func() {
			if want {
				_ = s.mux.Close()
			}
		})
		defer stop.Stop()
		ok, err := ch.SendRequest(name, want, data)
		if err != nil {
			s.begin()
			return gone(err)
		}
		if want {
			go func() { // ends when it is read, or with the stream
				select {
				case <-s.told: // that the channel was opened
				case <-s.cancelled:
				}
				s.emit(wire.AppendReply(nil, ok), make(chan struct{}, 1))
				s.begin()
			}()
		}
		return nil
	default:
		return wire.ErrFrame
	}
}

func (s *stream) begin() { s.beginOnce.Do(func() { close(s.begun) }) }

// gone takes the end of a channel, which the host may close at any time, for no
// error: Read tells of it.
func gone(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

func (s *stream) open(payload []byte) error {
	kind, data, err := wire.DecodeOpen(payload)
	if err != nil || s.channel() != nil {
		return wire.ErrFrame
	}
	stop := time.AfterFunc(replyTimeout, func() { _ = s.mux.Close() })
	defer stop.Stop()
	ch, requests, err := s.mux.conn.OpenChannel(kind, data)
	var refused *ssh.OpenChannelError
	switch {
	case errors.As(err, &refused):
		go s.emit(wire.AppendFailure(nil, uint32(refused.Reason), clean(refused.Message)), make(chan struct{}, 1))
		return nil
	case err != nil:
		return fmt.Errorf("ssh: open channel: %w", err)
	}
	s.mu.Lock()
	s.ch = ch
	s.mu.Unlock()
	go func() { // ends with the channel
		s.emit(wire.Append(nil, wire.Opened, nil), make(chan struct{}, 1))
		close(s.told)
		if kind != "session" {
			s.begin()
		}
		s.receive(ch, requests, kind == "session")
	}()
	return nil
}

func (s *stream) channel() ssh.Channel {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ch
}

// receive passes on what the host sends until the channel is closed: the two data
// streams side by side, then the end of the data, the exit, the close. A host sends
// the exit status before or after the last data; a client expects it after. The end of
// a tunnel's data is told at once: the other direction may go on, or wait for it.
func (s *stream) receive(ch ssh.Channel, requests <-chan *ssh.Request, program bool) {
	var data sync.WaitGroup
	data.Go(func() {
		s.pump(ch, wire.Output)
		if !program {
			s.emit(wire.Append(nil, wire.EOF, nil), make(chan struct{}, 1))
		}
	})
	data.Go(func() { s.pump(ch.Stderr(), wire.ErrorOutput) })
	taken := make(chan struct{}, 1)
	var exit []byte
	for r := range requests {
		if r.WantReply {
			_ = r.Reply(false, nil)
		}
		// Both are told once (RFC 4254, section 6.10); a host that tells more is not
		// believed twice.
		if (r.Type == "exit-status" && len(r.Payload) == 4 || r.Type == "exit-signal" && len(r.Payload) <= maxExitSignal) && exit == nil {
			exit = wire.AppendRequest(nil, r.Type, false, r.Payload)
		}
	}
	// A host may close the channel with its answer. The answer is told first: a client
	// takes a channel that is closed before for a failure.
	select {
	case <-s.begun:
	case <-s.cancelled:
	}
	data.Wait()
	if program {
		// What a host sends after the end of the data is passed on as well, whether or
		// not it came before we had seen that end.
		s.pump(ch, wire.Output)
		s.pump(ch.Stderr(), wire.ErrorOutput)
	}
	s.program.Store(false)
	var end []byte
	if program {
		// The exit comes before the end of the data: a client that has nothing more to
		// send itself closes the channel at that end, and would not hear of it.
		end = wire.Append(exit, wire.EOF, nil)
	}
	s.emit(wire.Append(end, wire.Close, nil), taken)
}

// maxExitSignal bounds the payload of an exit-signal: a name, a text, a language.
const maxExitSignal = 4 << 10

// pumpSizes are the buffers of one data stream: an idle session has small ones.
const (
	pumpSmall = 2 << 10
	pumpLarge = 64 << 10
)

var pumpBuffers = sync.Pool{New: func() any { b := make([]byte, wire.HeaderSize+pumpLarge); return &b }}

func (s *stream) pump(r io.Reader, k wire.Kind) {
	select {
	case <-s.begun:
	case <-s.cancelled:
		return
	}
	small := make([]byte, wire.HeaderSize+pumpSmall)
	buf, taken := small, make(chan struct{}, 1)
	var large *[]byte
	defer func() {
		if large != nil {
			pumpBuffers.Put(large)
		}
	}()
	for {
		n, err := r.Read(buf[wire.HeaderSize:])
		if n > 0 {
			buf[0] = byte(k)
			if !s.emit(wire.End(buf[:wire.HeaderSize+n], 0), taken) {
				return
			}
		}
		if err != nil {
			return
		}
		switch {
		case n == pumpSmall && large == nil:
			large = pumpBuffers.Get().(*[]byte)
			buf = *large
		case n < pumpSmall && large != nil:
			pumpBuffers.Put(large)
			buf, large = small, nil
		}
	}
}

// emit hands frames to Read and waits until it has copied them. It reports false
// when nobody reads any more.
func (s *stream) emit(b []byte, taken chan struct{}) bool {
	select {
	case s.frames <- piece{b, taken}:
	case <-s.cancelled:
		return false
	}
	<-taken // Read always answers what it took
	return true
}

// Read returns whole frames. b must have room for pumpLarge bytes and their header.
func (s *stream) Read(b []byte) (int, error) {
	select {
	case p := <-s.frames:
		n := copy(b, p.b)
		p.taken <- struct{}{}
		if n < len(p.b) {
			return 0, io.ErrShortBuffer
		}
		return n, nil
	case <-s.cancelled:
		return 0, os.ErrDeadlineExceeded
	}
}

// Close stops what runs on the channel and closes it. OpenSSH's sshd sends the signal
// to the program's process group; a program that has left it goes on.
func (s *stream) Close() error {
	s.cancel()
	ch := s.channel()
	if ch == nil {
		return nil
	}
	// Whoever comes second waits for the first: the connection may be closed after it,
	// and the signal must have gone out by then.
	s.closeOnce.Do(func() {
		if s.program.Swap(false) {
			_, _ = ch.SendRequest("signal", false, ssh.Marshal(struct{ Signal string }{"KILL"}))
		}
		s.closeErr = ch.Close()
	})
	return s.closeErr
}

func (s *stream) cancel() { s.once.Do(func() { close(s.cancelled) }) }

// SetDeadline cancels the stream for good at a time; zero lifts a time that has not
// come.
func (s *stream) SetDeadline(t time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.timer != nil {
		s.timer.Stop()
		s.timer = nil
	}
	switch d := time.Until(t); {
	case t.IsZero():
	case d <= 0:
		s.cancel()
	default:
		s.timer = time.AfterFunc(d, s.cancel)
	}
	return nil
}

// SetReadDeadline implements net.Conn.
func (s *stream) SetReadDeadline(t time.Time) error { return s.SetDeadline(t) }

// SetWriteDeadline implements net.Conn.
func (s *stream) SetWriteDeadline(t time.Time) error { return s.SetDeadline(t) }

// LocalAddr implements net.Conn.
func (s *stream) LocalAddr() net.Addr { return s.mux.conn.LocalAddr() }

// RemoteAddr implements net.Conn.
func (s *stream) RemoteAddr() net.Addr { return s.mux.conn.RemoteAddr() }
