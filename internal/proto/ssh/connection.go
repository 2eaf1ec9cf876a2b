package ssh

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport-gateway/sallyport/internal/gate"
)

// connection is one authenticated client. Its channels are sessions of their own;
// what they share is who the client is and the link to the target.
type connection struct {
	server *Server
	g      *gate.Gateway
	sconn  *ssh.ServerConn
	client net.Conn
	proof  gate.Proof
	id     string // ties the recordings of the channels together
	target string // as the client named it: TARGET or LOGIN+TARGET
	slots  chan struct{}
	end    context.CancelFunc // closes the connection

	mu    sync.Mutex
	links []*sharedLink // guarded by mu
}

// sharedLink is a connection to the target that some channels use.
type sharedLink struct {
	*gate.Link
	users int // guarded by connection.mu
	// inquiries holds an element for each question that is being asked.
	inquiries chan struct{}
}

// linkUsers bounds the channels on one connection to the target: OpenSSH's sshd
// allows ten (MaxSessions), and the rest is left for what the gateway asks itself.
const (
	linkUsers     = 8
	linkInquiries = 2
)

// serve serves the channels until the client leaves or the connection is ended, and
// returns when the last of them has ended.
func (c *connection) serve(ctx context.Context, channels <-chan ssh.NewChannel, requests <-chan *ssh.Request) error {
	var open sync.WaitGroup
	defer c.part(&open)
	open.Go(func() { c.globalRequests(requests) })
	for nc := range channels {
		select {
		case c.slots <- struct{}{}:
		default:
			_ = nc.Reject(ssh.ResourceShortage, "sallyport: too many open channels")
			continue
		}
		open.Go(func() {
			defer func() { <-c.slots }()
			defer c.recovered()
			a := &accepted{NewChannel: nc}
			c.channel(ctx, a)
			a.wait()
		})
	}
	return nil
}

// part ends the connection. What still runs at the host is stopped over the links, so
// they are closed when the channels have ended, or have had the time for it.
func (c *connection) part(open *sync.WaitGroup) {
	c.end()
	ended := make(chan struct{})
	go func() { // ends when the links are closed at the latest
		open.Wait()
		close(ended)
	}()
	late := time.NewTimer(partingTime)
	defer late.Stop()
	select {
	case <-ended:
	case <-late.C:
	}
	c.mu.Lock()
	for _, l := range c.links {
		_ = l.Close()
	}
	c.mu.Unlock()
	<-ended
}

// accepted is a channel request that remembers whether it was accepted.
type accepted struct {
	ssh.NewChannel
	requests <-chan *ssh.Request
}

// Accept implements ssh.NewChannel.
func (a *accepted) Accept() (ssh.Channel, <-chan *ssh.Request, error) {
	ch, requests, err := a.NewChannel.Accept()
	a.requests = requests
	return ch, requests, err
}

// wait returns when the client has closed the channel too: until then the library
// keeps it, with room for what the client may still send (RFC 4254, section 5.3).
func (a *accepted) wait() {
	if a.requests != nil {
		ssh.DiscardRequests(a.requests)
	}
}

// recovered keeps a panic inside its connection (gate.Gateway.Panicked). It is deferred in
// each goroutine that reads what the client or the host has sent.
func (c *connection) recovered() {
	if r := recover(); r != nil {
		c.g.Panicked("a connection of ssh", r)
		c.end()
	}
}

// globalRequests refuses every global request (RFC 4254, section 4): forwarding to
// the client is not served, and the rest asks for nothing that the gateway has.
// A refusal is also the answer that clients' keepalives wait for.
func (c *connection) globalRequests(requests <-chan *ssh.Request) {
	defer c.recovered()
	for r := range requests {
		switch r.Type {
		case "keepalive@openssh.com", "no-more-sessions@openssh.com", "hostkeys-prove-00@openssh.com":
		default:
			c.server.cfg.Log.Info("global request refused", "connection", c.id, "type", clean(r.Type[:min(len(r.Type), 64)]))
		}
		if r.WantReply {
			_ = r.Reply(false, nil)
		}
	}
}

// channel opens a session for one channel and serves it.
func (c *connection) channel(ctx context.Context, nc ssh.NewChannel) {
	switch nc.ChannelType() {
	case "session":
		c.session(ctx, nc)
	case "direct-tcpip", "direct-streamlocal@openssh.com":
		c.tunnel(ctx, nc)
	default:
		// x11, forwarded-tcpip and the like are the server's to open; tun@openssh.com
		// carries packets that nobody could decide about.
		c.server.cfg.Log.Info("channel refused", "connection", c.id, "type", clean(nc.ChannelType()[:min(len(nc.ChannelType()), 64)]))
		_ = nc.Reject(ssh.Prohibited, "sallyport: channels of this type are not served")
	}
}

// open makes the gate's session of a channel.
func (c *connection) open(ctx context.Context, conn net.Conn) (*gate.Session, error) {
	return c.g.Open(ctx, c.proof, c.target, gate.Client{Conn: conn, Protocol: c.server.Name(), User: c.sconn.User(),
		Application: clean(string(c.sconn.ClientVersion())), Connection: c.id, Hold: DefaultHold})
}

// reject words why no session was opened as the channel's failure. A client whose
// sessions cannot be recorded has no business here any more.
func (c *connection) reject(nc ssh.NewChannel, err error) {
	reason, text := ssh.ConnectionFailed, "the session could not be opened"
	var open *gate.OpenError
	if errors.As(err, &open) {
		text = open.Public
		switch open.Stage {
		case "identify", "authorise":
			reason = ssh.Prohibited
		case "limit", "record":
			reason = ssh.ResourceShortage
		}
	}
	_ = nc.Reject(reason, "sallyport: "+clean(text))
	if open != nil && open.Stage == "record" {
		c.end()
	}
}

// linked returns a connection to the target that has room for one more channel, and
// makes one where there is none. The caller gives it back with unlinked. One that was
// lost is forgotten, and one that was made before the target's documents changed is
// left to the channels that use it.
func (c *connection) linked(ctx context.Context, s *gate.Session) (*sharedLink, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.links = slices.DeleteFunc(c.links, func(l *sharedLink) bool {
		select {
		case <-l.Done():
		default:
			if l.users > 0 || s.Fits(l.Link) {
				return false
			}
		}
		_ = l.Close()
		return true
	})
	for _, l := range c.links {
		if l.users < linkUsers && s.Fits(l.Link) {
			l.users++
			return l, nil
		}
	}
	made, err := s.Link(ctx, login(s.SessionInfo))
	if err != nil {
		return nil, err
	}
	l := &sharedLink{Link: made, users: 1, inquiries: make(chan struct{}, linkInquiries)}
	c.links = append(c.links, l)
	return l, nil
}

func (c *connection) unlinked(l *sharedLink) {
	c.mu.Lock()
	defer c.mu.Unlock()
	l.users--
}

// over is told of a session's end. One that was ended from outside ends the
// connection: what ended it holds for every other channel as well.
func (c *connection) over(s *gate.Session) {
	var end *gate.EndError
	if !errors.As(s.Err(), &end) {
		return
	}
	if forConnection(end.Reason) {
		c.end()
	}
}

// forConnection reports whether what ended a session holds for the whole connection.
func forConnection(r gate.EndReason) bool {
	switch r {
	case gate.EndExpired, gate.EndRevoked, gate.EndRecorder, gate.EndShutdown:
		return true
	}
	return false
}
