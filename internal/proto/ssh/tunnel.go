package ssh

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport-gateway/sallyport/internal/gate"
	"github.com/sallyport-gateway/sallyport/internal/proto/ssh/wire"
)

// tunnelKept is how many bytes of each direction of a tunnel the recording keeps.
const tunnelKept = 64 << 10

// tunnelRequest is where a client wants a tunnel to lead.
type tunnelRequest struct {
	place   string // host:port, or the path of a socket
	tcp     bool
	payload []byte // the channel's data, encoded anew
}

// parseTunnel decodes the data of direct-tcpip (RFC 4254, section 7.2) and
// direct-streamlocal@openssh.com (OpenSSH's PROTOCOL, section 2.4).
func parseTunnel(nc ssh.NewChannel) (tunnelRequest, bool) {
	if nc.ChannelType() == "direct-tcpip" {
		var d struct {
			Host       string
			Port       uint32
			OriginHost string
			OriginPort uint32
		}
		if ssh.Unmarshal(nc.ExtraData(), &d) != nil || d.Port == 0 || d.Port > 65535 || len(d.Host) == 0 || len(d.Host) > 255 || clean(d.Host) != d.Host {
			return tunnelRequest{}, false
		}
		// Where the client's end is at home is nobody's business at the target.
		d.OriginHost, d.OriginPort = "127.0.0.1", 0
		return tunnelRequest{net.JoinHostPort(d.Host, strconv.FormatUint(uint64(d.Port), 10)), true, ssh.Marshal(&d)}, true
	}
	var d struct {
		Path     string
		Reserved string
		Port     uint32
	}
	if ssh.Unmarshal(nc.ExtraData(), &d) != nil || len(d.Path) == 0 || d.Path[0] != '/' || len(d.Path) > 107 || clean(d.Path) != d.Path {
		return tunnelRequest{}, false
	}
	d.Reserved, d.Port = "", 0
	return tunnelRequest{d.Path, false, ssh.Marshal(&d)}, true
}

// tunnel serves a connection through the target's network, where a rule allows it. One
// to a target that speaks a protocol of ours is handed to that protocol, which asks
// for the agent's token itself and judges each command.
func (c *connection) tunnel(ctx context.Context, nc ssh.NewChannel) {
	to, ok := parseTunnel(nc)
	if !ok {
		_ = nc.Reject(ssh.Prohibited, "sallyport: the tunnel's destination cannot be decoded")
		return
	}
	// One in another would be a way around the limit of a listener.
	if _, within := ctx.Value(withinTunnel{}).(bool); within {
		_ = nc.Reject(ssh.Prohibited, "sallyport: no tunnels within tunnels")
		return
	}
	agent := &agentConn{client: c.client}
	gs, err := c.open(ctx, agent)
	if err != nil {
		c.reject(nc, err)
		return
	}
	defer c.over(gs)
	defer gs.Close()
	s := &session{c: c, gate: gs, agent: agent, withdrawn: make(chan struct{}), gone: make(chan struct{})}
	defer close(s.gone)
	if to.tcp && c.server.cfg.Inner != nil {
		if inner := c.server.cfg.Inner(to.place); inner != nil {
			s.hand(ctx, nc, to, inner)
			return
		}
	}
	link, err := c.linked(ctx, gs)
	var up *gate.Upstream
	if err == nil {
		defer c.unlinked(link)
		up, err = gs.Join(ctx, link.Link)
	}
	if err != nil {
		gs.End(gate.EndTarget, err)
		c.reject(nc, err)
		return
	}
	defer up.Close()
	s.link, s.up = link, up
	s.gate.OnEnd(s.ended)
	s.dig(ctx, nc, to)
}

// withinTunnel marks the context of what is served inside a tunnel.
type withinTunnel struct{}

// hand serves a tunnel that a rule allows by another protocol of the gateway: nothing
// goes to the target by way of the host.
func (s *session) hand(ctx context.Context, nc ssh.NewChannel, to tunnelRequest, inner gate.Protocol) {
	p, ok := s.mayDig(ctx, nc, to)
	if !ok {
		return
	}
	ch, requests, err := nc.Accept()
	if err != nil {
		return
	}
	c := s.c
	s.gate.OnEnd(func(e *gate.EndError) {
		if forConnection(e.Reason) {
			c.end() // with the inner protocol's sessions, which are ended for the same reason
		}
	})
	go ssh.DiscardRequests(requests) // ends with the channel
	near, far := net.Pipe()          // has the deadlines that a channel lacks
	var copies sync.WaitGroup
	copies.Go(func() { _, _ = io.Copy(far, ch); _ = far.Close() })
	said := make(chan struct{}) // closed when the agent has been sent everything
	copies.Go(func() { _, _ = io.Copy(ch, far); close(said) })
	ctx = gate.Nested(context.WithValue(ctx, withinTunnel{}, true))
	if err := inner.Serve(ctx, &addressed{near, c.client}, c.g); err != nil {
		c.server.cfg.Log.Info("connection ended", "protocol", inner.Name(), "connection", c.id, "error", err)
	}
	_ = near.Close()
	late := time.NewTimer(partingTime)
	defer late.Stop()
	select {
	case <-said:
	case <-late.C: // an agent that does not read
	}
	_ = ch.Close()
	copies.Wait()
	_ = s.gate.Effect(p.Command(), "served as "+inner.Name()+" by the gateway", 0)
}

// addressed is a pipe with the addresses of the client's connection.
type addressed struct {
	net.Conn
	client net.Conn
}

// LocalAddr implements net.Conn.
func (a *addressed) LocalAddr() net.Addr { return a.client.LocalAddr() }

// RemoteAddr implements net.Conn.
func (a *addressed) RemoteAddr() net.Addr { return a.client.RemoteAddr() }

// mayDig decides about a tunnel. A refusal is the channel's failure.
func (s *session) mayDig(ctx context.Context, nc ssh.NewChannel, to tunnelRequest) (gate.Permit, bool) {
	s.facts = &Facts{Kind: "tunnel", Login: s.gate.Target.Login, Hosts: []string{to.place}}
	cmd := &gate.Command{Text: "tunnel to " + to.place, Effects: gate.EffectTunnel, Facts: s.facts, Follow: gate.FollowInput,
		Binding: s.binding("tunnel", to.place)}
	s.commands++
	cmd.Mask = s.unsearched(nil, "what a tunnel carries")
	// A channel that is not open yet cannot be told anything: it waits in silence.
	cmd.Wait, cmd.Cancelled = func(gate.Held) {}, s.withdrawn
	p, err := s.gate.Decide(ctx, cmd)
	if err != nil {
		var r *gate.Refusal
		text := "the session has ended"
		if errors.As(err, &r) {
			text = r.Line()
		}
		_ = nc.Reject(ssh.Prohibited, text)
		return gate.Permit{}, false
	}
	return p, true
}

// dig opens a tunnel that a rule allows, and passes bytes until an end closes it.
func (s *session) dig(ctx context.Context, nc ssh.NewChannel, to tunnelRequest) {
	p, ok := s.mayDig(ctx, nc, to)
	if !ok {
		return
	}
	if !s.launch(p, wire.AppendOpen(nil, nc.ChannelType(), to.payload)) {
		_ = nc.Reject(ssh.ConnectionFailed, "sallyport: the target could not be reached")
		return
	}
	defer s.land()
	t := &tunnel{s: s, command: p.Command()}
	t.serve(nc)
}

// tunnel passes the bytes of one tunnel.
type tunnel struct {
	s       *session
	command uint64
	input   sync.WaitGroup // the goroutine that passes on what the agent sends

	sent     uint64 // by the agent; the input goroutine's until it has ended
	received uint64
}

// serve passes bytes until either end closes the tunnel, and puts on record how many
// they were.
func (t *tunnel) serve(nc ssh.NewChannel) {
	buf := relayBuffers.Get().(*[]byte)
	defer relayBuffers.Put(buf)
	for {
		n, err := t.s.up.Read(*buf)
		if err != nil {
			break
		}
		if done, err := t.frame(nc, (*buf)[:n]); done || err != nil {
			break
		}
	}
	_ = t.s.up.Close() // the target's answer lets go of input that it does not read
	_ = t.s.agent.Close()
	t.input.Wait()
	_ = t.s.gate.Effect(t.command, fmt.Sprintf("closed: %d bytes sent, %d bytes received", t.sent, t.received), 0)
}

// frame handles one piece of the target's frames and reports the tunnel's end.
func (t *tunnel) frame(nc ssh.NewChannel, b []byte) (done bool, err error) {
	f, _, err := wire.Next(b)
	if err != nil {
		return true, err
	}
	switch f.Kind {
	case wire.Opened:
		return false, t.accept(nc)
	case wire.Failure:
		reason, text, err := wire.DecodeFailure(f.Payload)
		if err == nil {
			_ = nc.Reject(ssh.RejectionReason(reason), "sallyport: "+clean(text))
		}
		return true, err
	case wire.Output:
		kept := keep(b, f, t.received)
		t.received += uint64(len(f.Payload))
		if limit := t.s.gate.Target.Limits.Bytes; limit > 0 && t.received > uint64(limit) {
			return true, nil
		}
		return false, t.s.gate.AnswerContent(t.command, b, kept)
	case wire.EOF:
		return false, t.s.gate.Answer(t.command, b)
	default:
		return true, t.s.gate.Answer(t.command, b)
	}
}

// keep returns what stands for a data frame in the recording: the frame itself at the
// beginning of a direction, and later how long it was.
func keep(b []byte, f wire.Frame, before uint64) []byte {
	if before < tunnelKept {
		return b
	}
	return wire.AppendOmitted(nil, f.Kind, uint64(len(f.Payload)))
}

func (t *tunnel) accept(nc ssh.NewChannel) error {
	ch, requests, err := nc.Accept()
	if err != nil {
		return err
	}
	go func() { // ends with the channel
		ssh.DiscardRequests(requests)
		t.s.up.Interrupt()
	}()
	t.s.ch = ch
	t.s.agent.accepted(ch)
	t.input.Go(t.send)
	return nil
}

// send passes on what the agent sends.
func (t *tunnel) send() {
	defer t.s.c.recovered()
	buf := pumpBuffers.Get().(*[]byte)
	defer pumpBuffers.Put(buf)
	for {
		n, err := t.s.ch.Read((*buf)[wire.HeaderSize:])
		if n > 0 {
			(*buf)[0] = byte(wire.Input)
			b := wire.End((*buf)[:wire.HeaderSize+n], 0)
			kept := keep(b, wire.Frame{Kind: wire.Input, Payload: b[wire.HeaderSize:]}, t.sent)
			t.sent += uint64(n)
			if t.s.forward(b, kept) != nil {
				return
			}
		}
		if err != nil {
			b := wire.Append(nil, wire.EOF, nil)
			_ = t.s.forward(b, b)
			return
		}
	}
}
