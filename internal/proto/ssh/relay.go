package ssh

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport-gateway/sallyport/internal/gate"
	"github.com/sallyport-gateway/sallyport/internal/proto/ssh/wire"
)

// relayBuffers hold what is read from the target: one frame and a little more.
var relayBuffers = sync.Pool{New: func() any { b := make([]byte, 2*wire.HeaderSize+pumpLarge); return &b }}

// launch opens the permitted command's stream and starts to pass on the agent's input.
func (s *session) launch(p gate.Permit, frames []byte) bool {
	s.in.Lock()
	defer s.in.Unlock()
	stream, err := s.up.Open(p, frames)
	if err == nil {
		err = s.up.Flush()
	}
	if err != nil {
		return false
	}
	s.stream = &stream
	return true
}

// land closes the stream: the command takes no further input.
func (s *session) land() {
	s.in.Lock()
	defer s.in.Unlock()
	if s.stream != nil {
		s.stream.End()
		s.stream = nil
	}
}

// run runs a permitted command to its end: input and output side by side.
func (s *session) run(p gate.Permit, frames []byte, idle time.Duration) {
	if !s.launch(p, frames) {
		return
	}
	defer s.land()
	go s.input() // ends with the channel
	r := &relay{s: s, command: p.Command(), limit: s.gate.Target.Limits.Bytes, exit: "ended without an exit status"}
	if d := s.gate.Target.Limits.Statement; d > 0 && idle == 0 {
		t := time.AfterFunc(d, func() { r.stop(fmt.Sprintf("the command ran longer than %s", d)) })
		defer t.Stop()
	}
	if idle > 0 {
		s.activity.Store(time.Now().UnixNano())
		done := make(chan struct{})
		defer close(done)
		go s.watchIdle(idle, r, done)
	}
	r.run()
}

// watchIdle ends a shell in which nobody says anything.
func (s *session) watchIdle(idle time.Duration, r *relay, done <-chan struct{}) {
	defer s.c.recovered()
	tick := time.NewTicker(idle / 4)
	defer tick.Stop()
	for {
		select {
		case <-done:
			return
		case now := <-tick.C:
			if now.Sub(time.Unix(0, s.activity.Load())) > idle {
				r.stop(fmt.Sprintf("nothing was said for %s", idle))
				return
			}
		}
	}
}

// input passes on what the agent writes until it says that there is no more.
func (s *session) input() {
	defer s.c.recovered()
	small := make([]byte, wire.HeaderSize+pumpSmall)
	buf := small
	var large *[]byte
	defer func() {
		if large != nil {
			pumpBuffers.Put(large)
		}
	}()
	for {
		n, err := s.ch.Read(buf[wire.HeaderSize:])
		if n > 0 {
			s.activity.Store(time.Now().UnixNano())
			buf[0] = byte(wire.Input)
			b := wire.End(buf[:wire.HeaderSize+n], 0)
			if s.forward(b, b) != nil {
				return
			}
		}
		if err != nil {
			if errors.Is(err, io.EOF) {
				b := wire.Append(nil, wire.EOF, nil)
				_ = s.forward(b, b)
			}
			return
		}
		if n == pumpSmall && large == nil {
			large = pumpBuffers.Get().(*[]byte)
			buf = *large
		}
	}
}

// relay passes on what the target answers to one command.
type relay struct {
	s       *session
	command uint64
	limit   int64 // bytes of the answer; 0 is none
	bytes   int64
	exit    string // what the target said of the end
	out     []byte // answer frames, when they are not the target's own

	mu     sync.Mutex
	reason string // guarded by mu: why the gateway stopped the command
}

// stop ends the command for a reason that the agent is told.
func (r *relay) stop(reason string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.reason == "" {
		r.reason = reason
		r.s.up.Interrupt()
		go func() { _ = r.s.up.Close() }() // the relay may be waiting for a client that does not read
	}
}

func (r *relay) stopped() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.reason
}

// run returns when the command has ended, or the session.
func (r *relay) run() {
	buf := relayBuffers.Get().(*[]byte)
	defer relayBuffers.Put(buf)
	for {
		n, err := r.s.up.Read(*buf)
		if err != nil {
			r.interrupted(err)
			return
		}
		done, err := r.answer((*buf)[:n])
		if err != nil || done {
			return
		}
		r.s.activity.Store(time.Now().UnixNano())
	}
}

// interrupted tells the agent why its command was stopped. A session that was ended
// from outside says so itself.
func (r *relay) interrupted(err error) {
	reason := r.stopped()
	if r.s.gate.Err() != nil {
		return
	}
	if reason == "" {
		r.s.gate.End(gate.EndClosed, err)
		return
	}
	_ = r.s.up.Close()
	_ = r.s.gate.Effect(r.command, "stopped: "+reason, 0)
	b := r.flush(nil)
	b = wire.Append(b, wire.ErrorOutput, fmt.Appendf(nil, "sallyport: stopped: %s\nSALLYPORT stopped reason=%q retry=never\n", clean(reason), reason))
	_ = r.s.gate.Answer(r.command, wire.AppendEnd(b, exitRefused))
}

// answer passes on whole frames of the target and reports whether the command has
// ended.
func (r *relay) answer(b []byte) (done bool, err error) {
	masked := r.s.outs[0] != nil
	r.out = r.out[:0] // what is answered where masks apply; elsewhere it is b
	for rest := b; len(rest) > 0; {
		var f wire.Frame
		if f, rest, err = wire.Next(rest); err != nil {
			return false, err
		}
		switch f.Kind {
		case wire.Output, wire.ErrorOutput:
			r.bytes += int64(len(f.Payload))
			if r.limit > 0 && r.bytes > r.limit {
				r.stop(fmt.Sprintf("the answer is longer than %d bytes", r.limit))
				return false, nil // the next read is interrupted
			}
			if masked {
				r.out = r.masked(r.out, f)
			}
		case wire.Opened: // always alone
			return false, nil
		case wire.Failure:
			return true, r.failed(f.Payload)
		case wire.Request:
			r.exit = exitText(f.Payload)
			r.out = wire.Append(r.flush(r.out), f.Kind, f.Payload)
		case wire.EOF, wire.Close:
			done = done || f.Kind == wire.Close
			r.out = wire.Append(r.flush(r.out), f.Kind, nil)
		case wire.Reply:
			r.out = wire.Append(r.out, f.Kind, f.Payload)
		default:
			return false, wire.ErrFrame
		}
	}
	if done {
		if err := r.s.gate.Effect(r.command, r.exit, 0); err != nil {
			return true, err
		}
	}
	if masked {
		b = r.out
	}
	return done, r.s.gate.Answer(r.command, b)
}

// masked appends what of a data frame may leave now.
func (r *relay) masked(dst []byte, f wire.Frame) []byte {
	dst, at := wire.Begin(dst, f.Kind)
	dst = r.s.outs[streamOf(f.Kind)].Write(dst, f.Payload)
	if len(dst) == at+wire.HeaderSize {
		return dst[:at]
	}
	return wire.End(dst, at)
}

func streamOf(k wire.Kind) int {
	if k == wire.ErrorOutput {
		return 1
	}
	return 0
}

// flush appends what the masks have held back.
func (r *relay) flush(dst []byte) []byte {
	if r.s.outs[0] == nil {
		return dst
	}
	for _, k := range []wire.Kind{wire.Output, wire.ErrorOutput} {
		var at int
		dst, at = wire.Begin(dst, k)
		if dst = r.s.outs[streamOf(k)].Close(dst); len(dst) == at+wire.HeaderSize {
			dst = dst[:at]
		} else {
			dst = wire.End(dst, at)
		}
	}
	return dst
}

// failed ends a command whose channel the target would not open.
func (r *relay) failed(payload []byte) error {
	reason, text, err := wire.DecodeFailure(payload)
	if err != nil {
		return err
	}
	if err := r.s.gate.Effect(r.command, "refused by the target: "+ssh.RejectionReason(reason).String(), 0); err != nil {
		return err
	}
	b := wire.AppendReply(nil, true)
	b = wire.Append(b, wire.ErrorOutput, fmt.Appendf(nil, "sallyport: the target would not open a channel: %s\n", clean(text)))
	return r.s.gate.Answer(r.command, wire.AppendEnd(b, exitRefused))
}

// exitText words how a program ended, for the recording.
func exitText(payload []byte) string {
	name, _, data, err := wire.DecodeRequest(payload)
	if err != nil {
		return "exit unknown"
	}
	if name == "exit-status" && len(data) == 4 {
		return fmt.Sprintf("exit %d", binary.BigEndian.Uint32(data))
	}
	var sig struct {
		Name     string
		Core     bool
		Text     string
		Language string
	}
	if ssh.Unmarshal(data, &sig) == nil {
		return "signal " + clean(sig.Name)
	}
	return name
}
