package ssh

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport-gateway/sallyport/internal/gate"
	"github.com/sallyport-gateway/sallyport/internal/mask"
	"github.com/sallyport-gateway/sallyport/internal/proto/ssh/wire"
	"github.com/sallyport-gateway/sallyport/internal/shell"
)

const (
	// startTimeout is how long a channel may stay open before it says what to run.
	startTimeout = 30 * time.Second
	// maxEnv bounds the variables of a channel, maxEnvValue each one's value.
	maxEnv      = 16
	maxEnvValue = 64
)

// session serves one session channel: it starts one program, once.
type session struct {
	c     *connection
	gate  *gate.Session
	link  *sharedLink
	agent *agentConn
	ch    ssh.Channel
	up    *gate.Upstream

	env      [][2]string // what the client set, of the variables that it may set
	terminal []byte      // the payload of pty-req; nil without one
	started  bool        // a program was asked for
	done     chan struct{}

	commands  uint64        // given to Decide so far
	withdrawn chan struct{} // closed when the client leaves
	left      sync.Once
	gone      chan struct{} // closed when nothing of the session runs any more
	waiting   *waiting      // while a command waits for a person
	waited    bool          // the last command waited for a person

	in       sync.Mutex   // guards stream and what is queued at up
	stream   *gate.Stream // of the running command; nil before and after
	signals  atomic.Bool  // a signal waits for in
	activity atomic.Int64 // Unix nanoseconds of the last byte either way

	facts *Facts
	outs  [2]*mask.Stream // of standard output and error; nil when nothing is masked
}

// session opens a gate session for the channel, connects it to the target, and only
// then accepts the channel: a refusal is the channel's failure.
func (c *connection) session(ctx context.Context, nc ssh.NewChannel) {
	agent := &agentConn{client: c.client}
	gs, err := c.open(ctx, agent)
	if err != nil {
		c.reject(nc, err)
		return
	}
	defer c.over(gs)
	defer gs.Close()
	link, err := c.linked(ctx, gs)
	if err == nil {
		defer c.unlinked(link)
		var up *gate.Upstream
		if up, err = gs.Join(ctx, link.Link); err == nil {
			s := &session{c: c, gate: gs, link: link, agent: agent, up: up, done: make(chan struct{}),
				withdrawn: make(chan struct{}), gone: make(chan struct{})}
			s.accept(ctx, nc)
			return
		}
	}
	c.server.cfg.Log.Warn("target not reached", "session", gs.ID, "error", err)
	gs.End(gate.EndTarget, err)
	c.reject(nc, err)
}

func (s *session) accept(ctx context.Context, nc ssh.NewChannel) {
	defer close(s.gone)
	defer s.up.Close()
	ch, requests, err := nc.Accept()
	if err != nil {
		return
	}
	defer ch.Close()
	s.ch = ch
	s.agent.accepted(ch)
	s.gate.OnEnd(s.ended)
	s.serve(ctx, requests)
}

// How long a session whose end was told may take to come to it: one that ended for all
// of its connection, and one whose connection goes on if it does.
const (
	partingTime     = 3 * time.Second
	lonePartingTime = 30 * time.Second
)

// ended is what happens when the gate ends the session. What runs at the host is
// stopped at once, whatever the rest is waiting for: a client that reads nothing, or a
// host that takes no input, would hold it up for as long as they like. One of them that
// does not let the channel end then loses the connection.
func (s *session) ended(end *gate.EndError) {
	s.up.Interrupt()
	s.leave()
	patience := lonePartingTime
	if forConnection(end.Reason) {
		patience = partingTime
	}
	go func() { // ends with the session, or when patience does
		_ = s.up.Close()
		late := time.NewTimer(patience)
		defer late.Stop()
		select {
		case <-s.gone:
		case <-late.C:
			s.c.end()
		}
	}()
}

// serve handles the channel's requests until the program has ended or the client has
// closed the channel.
func (s *session) serve(ctx context.Context, requests <-chan *ssh.Request) {
	start := time.NewTimer(startTimeout)
	defer start.Stop()
	for {
		select {
		case r, ok := <-requests:
			if !ok {
				s.leave()
				s.up.Interrupt()
				if s.started {
					<-s.done
				}
				return
			}
			if s.request(ctx, r) {
				start.Stop()
			}
		case <-s.done:
			return
		case <-s.withdrawn:
			if s.started {
				<-s.done
			}
			return
		case <-start.C:
			return
		}
	}
}

// leave withdraws a command that waits for a person.
func (s *session) leave() { s.left.Do(func() { close(s.withdrawn) }) }

// request handles one channel request (RFC 4254, section 6) and reports whether it
// started the program. What is not listed is refused.
func (s *session) request(ctx context.Context, r *ssh.Request) bool {
	ok := false
	switch r.Type {
	case "env":
		ok = s.setEnv(r.Payload)
	case "pty-req":
		ok = s.setTerminal(r.Payload)
	case "exec", "shell", "subsystem":
		if !s.started {
			s.start(ctx, r)
			return true
		}
	case "window-change":
		ok = s.started && s.terminal != nil && len(r.Payload) == 16 && s.control("window-change", r.Payload)
	case "signal":
		ok = s.started && signalName(r.Payload) && s.control("signal", r.Payload)
	}
	if r.WantReply {
		_ = r.Reply(ok, nil)
	}
	return false
}

// start runs what the request asks for, which answers the request.
func (s *session) start(ctx context.Context, r *ssh.Request) {
	s.started = true
	s.agent.asked.Store(r)
	go func() { // ends with the program; serve waits for it
		defer close(s.done)
		defer s.c.recovered()
		switch r.Type {
		case "exec":
			s.exec(ctx, r.Payload)
		case "shell":
			s.shell(ctx)
		default:
			s.subsystem(ctx, r.Payload)
		}
		s.farewell()
	}()
}

// safeEnv are the variables that a client may set: they choose the language and the
// form of what programs print, by names that no program takes for a path.
var (
	safeEnv   = regexp.MustCompile(`^(LANG|LANGUAGE|LC_[A-Z]{1,24}|TZ|NO_COLOR|COLORTERM)$`)
	safeValue = regexp.MustCompile(`^[A-Za-z0-9_@.,+-]*$`)
)

func (s *session) setEnv(payload []byte) bool {
	var v struct{ Name, Value string }
	if s.started || len(s.env) >= maxEnv || ssh.Unmarshal(payload, &v) != nil ||
		len(v.Value) > maxEnvValue || !safeEnv.MatchString(v.Name) || !safeValue.MatchString(v.Value) ||
		v.Name != "LANGUAGE" && strings.HasPrefix(v.Name, "L") && !shell.ByteLocale(v.Value) {
		return false
	}
	s.env = append(s.env, [2]string{v.Name, v.Value})
	return true
}

// terminalRequest is the payload of pty-req (RFC 4254, section 6.2).
type terminalRequest struct {
	Term                         string
	Columns, Rows, Width, Height uint32
	Modes                        string
}

var termName = regexp.MustCompile(`^[A-Za-z0-9._+-]{1,64}$`)

func (s *session) setTerminal(payload []byte) bool {
	var t terminalRequest
	if s.started || s.terminal != nil || ssh.Unmarshal(payload, &t) != nil || !termName.MatchString(t.Term) || len(t.Modes) > 1024 {
		return false
	}
	s.terminal = ssh.Marshal(&t)
	return true
}

// signalNames are those of RFC 4254, section 6.10.
var signalNames = map[string]bool{"ABRT": true, "ALRM": true, "FPE": true, "HUP": true, "ILL": true, "INT": true, "KILL": true,
	"PIPE": true, "QUIT": true, "SEGV": true, "TERM": true, "USR1": true, "USR2": true}

func signalName(payload []byte) bool {
	var v struct{ Name string }
	return ssh.Unmarshal(payload, &v) == nil && signalNames[v.Name]
}

// control passes on a request about the running program. It does not wait behind
// input that the program does not read: one waits at a time, more are refused.
func (s *session) control(name string, payload []byte) bool {
	if !s.signals.CompareAndSwap(false, true) {
		return false
	}
	frame := wire.AppendRequest(nil, name, false, payload)
	go func() { // ends when the program reads its input, or with the channel
		defer s.c.recovered()
		defer s.signals.Store(false)
		_ = s.forward(frame, frame)
	}()
	return true
}

// forward sends further frames of the running command; kept stands for them in the
// recording.
func (s *session) forward(frames, kept []byte) error {
	s.in.Lock()
	defer s.in.Unlock()
	if s.stream == nil {
		return gate.ErrPermit
	}
	if err := s.stream.WriteContent(frames, kept); err != nil {
		return err
	}
	return s.up.Flush()
}

// preamble are the frames that come before the program: the channel, its terminal,
// its variables.
func (s *session) preamble() []byte {
	b := wire.AppendOpen(nil, "session", nil)
	if s.terminal != nil {
		b = wire.AppendRequest(b, "pty-req", false, s.terminal)
	}
	for _, v := range s.env {
		b = wire.AppendRequest(b, "env", false, ssh.Marshal(struct{ Name, Value string }{v[0], v[1]}))
	}
	return b
}

// environment shows what the preamble sets, for the digest of a grant.
func (s *session) environment() []string {
	var all []string
	for _, v := range s.env {
		all = append(all, v[0]+"="+v[1])
	}
	return all
}

// farewell tells the client why its session was ended from outside, and closes the
// channel. It is no answer to a command: nothing in it came from the target.
func (s *session) farewell() {
	end, ended := s.gate.Err().(*gate.EndError)
	if !ended {
		return
	}
	b := wire.AppendReply(nil, true)
	if end.Reason == gate.EndClosed {
		_, _ = s.agent.Write(wire.Append(wire.Append(b, wire.EOF, nil), wire.Close, nil))
		return
	}
	_, _ = s.agent.Write(wire.AppendEnd(wire.Append(b, wire.ErrorOutput, endText(end)), exitRefused))
}

// subsystem serves sftp; others are on record and refused.
func (s *session) subsystem(ctx context.Context, payload []byte) {
	var v struct{ Name string }
	if ssh.Unmarshal(payload, &v) == nil && v.Name == "sftp" {
		s.sftp(ctx)
		return
	}
	s.refuse(ctx, fmt.Sprintf("subsystem %q", clean(v.Name)), "this subsystem is not served")
}
