package peer

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"sync"

	"golang.org/x/crypto/ssh"
)

// Listener runs a script for each connection that comes.
type Listener struct {
	// Address is host:port.
	Address string

	l       net.Listener
	running sync.WaitGroup
	mu      sync.Mutex
	conns   []net.Conn // guarded by mu
	errs    []error    // guarded by mu
}

// Listen serves a script on a free port of loopback. The script owns the
// connection until it returns; what it returns is in [Listener.Errors]. The caller
// ends it with [Listener.Close].
func Listen(script func(net.Conn) error) (*Listener, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &Listener{Address: l.Addr().String(), l: l}
	s.running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.conns = append(s.conns, c)
			s.mu.Unlock()
			s.running.Go(func() {
				err := script(c)
				_ = c.Close()
				s.mu.Lock()
				defer s.mu.Unlock()
				s.errs = append(s.errs, err)
			})
		}
	})
	return s, nil
}

// ListenSSH serves a script that begins after the key exchange.
func ListenSSH(config Config, script func(*Conn) error) (*Listener, error) {
	return Listen(func(c net.Conn) error {
		p, err := Server(c, config)
		if err != nil {
			return err
		}
		return script(p)
	})
}

// Errors are what the scripts returned that have ended.
func (s *Listener) Errors() []error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]error(nil), s.errs...)
}

// Close ends the listener and every connection, and waits for the scripts.
func (s *Listener) Close() error {
	err := s.l.Close()
	s.mu.Lock()
	for _, c := range s.conns {
		_ = c.Close()
	}
	s.mu.Unlock()
	s.running.Wait()
	return err
}

// LetIn accepts the authentication service and whoever asks, with any method. The
// methods none and a public key without a signature are sent on to a proper
// attempt, as a real server does. It returns the log-in that it took.
func (p *Conn) LetIn() (*UserauthRequest, error) {
	if _, err := p.Await(MsgServiceRequest); err != nil {
		return nil, err
	}
	if err := p.Send(&ServiceAccept{"ssh-userauth"}); err != nil {
		return nil, err
	}
	for {
		payload, err := p.Await(MsgUserauthRequest)
		if err != nil {
			return nil, err
		}
		var r UserauthRequest
		if err := ssh.Unmarshal(payload, &r); err != nil {
			return nil, err
		}
		switch {
		case r.Method == "none":
			err = p.Send(&UserauthFailure{Methods: []string{"publickey", "password"}})
		case r.Method == "publickey" && r.Rest[0] == 0:
			err = p.Write(append([]byte{MsgUserauthPKOK}, r.Rest[1:]...)) // RFC 4252, section 7
		default:
			return &r, p.Write([]byte{MsgUserauthSuccess})
		}
		if err != nil {
			return nil, err
		}
	}
}

// Channel is a channel as its script sees it.
type Channel struct {
	// Ours and Theirs are the two sides' numbers of it.
	Ours, Theirs uint32
	// Window is how much the other side may be sent, as it said at the opening.
	Window uint32
	// Packet is how much at once.
	Packet uint32
	// Command is what an exec request asked for.
	Command string
}

// AcceptExec waits for a session channel with an exec request on it and accepts
// both.
func (p *Conn) AcceptExec(window, packet uint32) (*Channel, error) {
	payload, err := p.Await(MsgChannelOpen)
	if err != nil {
		return nil, err
	}
	var open ChannelOpen
	if err := ssh.Unmarshal(payload, &open); err != nil {
		return nil, err
	}
	if open.Type != "session" {
		return nil, fmt.Errorf("channel of type %q", open.Type)
	}
	c := &Channel{Ours: 7, Theirs: open.Sender, Window: open.Window, Packet: open.Packet}
	if err := p.Send(&ChannelConfirm{Recipient: c.Theirs, Sender: c.Ours, Window: window, Packet: packet}); err != nil {
		return nil, err
	}
	for {
		r, err := p.channelRequest()
		if err != nil {
			return nil, err
		}
		if r.WantReply {
			if err := p.Send(&ChannelSuccess{c.Theirs}); err != nil {
				return nil, err
			}
		}
		if r.Type == "exec" {
			var exec struct{ Command string }
			err := ssh.Unmarshal(r.Rest, &exec)
			c.Command = exec.Command
			return c, err
		}
	}
}

func (p *Conn) channelRequest() (*ChannelRequest, error) {
	payload, err := p.Await(MsgChannelRequest)
	if err != nil {
		return nil, err
	}
	r := &ChannelRequest{}
	return r, ssh.Unmarshal(payload, r)
}

// Login asks for the authentication service and logs in with a password. It
// returns the server's answer: nil, or what it said no with.
func (p *Conn) Login(user, password string) error {
	if err := p.Service("ssh-userauth"); err != nil {
		return err
	}
	return p.Authenticate(user, "password", ssh.Marshal(struct {
		Change   bool
		Password string
	}{false, password}))
}

// Service asks for a service.
func (p *Conn) Service(name string) error {
	if err := p.Send(&ServiceRequest{name}); err != nil {
		return err
	}
	_, err := p.Await(MsgServiceAccept)
	return err
}

// ErrRefused is in the errors of log-ins that the server refused, as against
// connections that were lost.
var ErrRefused = errors.New("refused")

// Authenticate sends one authentication request with what the method has after
// its name, and returns nil when the server lets it in.
func (p *Conn) Authenticate(user, method string, rest []byte) error {
	if err := p.Send(&UserauthRequest{User: user, Service: "ssh-connection", Method: method, Rest: rest}); err != nil {
		return err
	}
	payload, err := p.Await(MsgUserauthSuccess, MsgUserauthFailure, MsgUserauthPKOK)
	if err != nil {
		return err
	}
	switch payload[0] {
	case MsgUserauthSuccess:
		return nil
	case MsgUserauthPKOK:
		return fmt.Errorf("%w: the key would do, with a signature", ErrRefused)
	}
	var f UserauthFailure
	if err := ssh.Unmarshal(payload, &f); err != nil {
		return err
	}
	return fmt.Errorf("%w: methods that can continue %q", ErrRefused, f.Methods)
}

// Open opens a channel and returns the server's answer: a confirmation or a
// failure.
func (p *Conn) Open(open *ChannelOpen) (*ChannelConfirm, *ChannelOpenFailure, error) {
	if err := p.Send(open); err != nil {
		return nil, nil, err
	}
	payload, err := p.Await(MsgChannelConfirm, MsgChannelOpenFail)
	if err != nil {
		return nil, nil, err
	}
	if payload[0] == MsgChannelConfirm {
		c := &ChannelConfirm{}
		return c, nil, ssh.Unmarshal(payload, c)
	}
	f := &ChannelOpenFailure{}
	return nil, f, ssh.Unmarshal(payload, f)
}

// SignedKey is the rest of a publickey request for a log-in name, properly signed
// (RFC 4252, section 7).
func (p *Conn) SignedKey(user string, signer ssh.Signer) []byte {
	key := signer.PublicKey()
	algorithm := key.Type()
	head := struct {
		Signed    bool
		Algorithm string
		Key       []byte
	}{true, algorithm, key.Marshal()}
	signed := append(ssh.Marshal(struct{ Session []byte }{p.SessionID}),
		ssh.Marshal(&UserauthRequest{User: user, Service: "ssh-connection", Method: "publickey", Rest: ssh.Marshal(head)})...)
	signature, err := signer.Sign(rand.Reader, signed)
	if err != nil {
		return ssh.Marshal(head) // without a signature no server takes it
	}
	return append(ssh.Marshal(head), ssh.Marshal(struct{ Signature []byte }{ssh.Marshal(signature)})...)
}
