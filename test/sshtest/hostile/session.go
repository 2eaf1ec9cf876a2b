package hostile

import (
	"bytes"
	"errors"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport-gateway/sallyport/test/sshtest/peer"
)

// answer prints the greeting and ends a command well.
func answer(p *peer.Conn, c *peer.Channel) error {
	return errors.Join(greet(p, c), status(p, c, 0), end(p, c))
}

func greet(p *peer.Conn, c *peer.Channel) error { return say(p, c, Greeting) }

func say(p *peer.Conn, c *peer.Channel, text string) error {
	return p.Send(&peer.ChannelData{Recipient: c.Theirs, Data: []byte(text)})
}

func status(p *peer.Conn, c *peer.Channel, n uint32) error {
	return p.Send(&peer.ChannelRequest{Recipient: c.Theirs, Type: "exit-status", Rest: ssh.Marshal(peer.ExitStatus{Status: n})})
}

// end closes the channel and waits for the other side to do so.
func end(p *peer.Conn, c *peer.Channel) error {
	err := errors.Join(p.Send(&peer.ChannelEOF{Recipient: c.Theirs}), p.Send(&peer.ChannelClose{Recipient: c.Theirs}))
	if err != nil {
		return err
	}
	_, err = p.Await(peer.MsgChannelClose)
	return err
}

// packets are lies about packets while a command runs.
func packets() []Lie {
	return []Lie{
		{Name: "announces a packet of 2 GiB (6.1)", running: func(p *peer.Conn, _ *peer.Channel) error {
			return errors.Join(p.WriteFrame(1<<31-1, make([]byte, 64)), forEver(p.Raw, strings.Repeat("A", 4096)))
		}},
		{Name: "announces a packet of no bytes", running: func(p *peer.Conn, _ *peer.Channel) error {
			return errors.Join(p.WriteFrame(0, nil), hold(p.Raw))
		}},
		{Name: "has more padding than packet", running: func(p *peer.Conn, _ *peer.Channel) error {
			return errors.Join(p.WriteFrame(16, append([]byte{255}, make([]byte, 15)...)), hold(p.Raw))
		}},
		{Name: "sends a packet that was changed on the way", running: func(p *peer.Conn, c *peer.Channel) error {
			return errors.Join(greet(p, c), p.WriteRaw(bytes.Repeat([]byte{0, 0, 0, 32}, 20)), hold(p.Raw))
		}},
		{Name: "exchanges keys for ever while a command runs (9)", running: func(p *peer.Conn, _ *peer.Channel) error { return rekeyForEver(p) }},
		{Name: "begins a second key exchange within the first", running: func(p *peer.Conn, _ *peer.Channel) error {
			init := ssh.Marshal(p.NewInit())
			return errors.Join(p.Write(init), p.Write(init), hold(p.Raw))
		}},
		{Name: "begins a key exchange and never goes on", running: func(p *peer.Conn, _ *peer.Channel) error {
			return errors.Join(p.Write(ssh.Marshal(p.NewInit())), hold(p.Raw))
		}},
		{Name: "sends messages of numbers that nobody knows (11.4)", Outcome: Either, running: func(p *peer.Conn, c *peer.Channel) error {
			for _, number := range []byte{8, 29, 49, 70, 79, 101, 127, 192, 255} {
				if err := p.Write([]byte{number, 1, 2, 3}); err != nil {
					return err
				}
			}
			return answer(p, c)
		}},
		{Name: "sends an empty message", running: func(p *peer.Conn, _ *peer.Channel) error {
			return errors.Join(p.Write(nil), hold(p.Raw))
		}},
		{Name: "sends messages that end in the middle of a field", running: func(p *peer.Conn, _ *peer.Channel) error {
			return errors.Join(p.Write([]byte{peer.MsgChannelData, 0, 0}), hold(p.Raw))
		}},
		{Name: "lets in again", Outcome: Either, running: func(p *peer.Conn, c *peer.Channel) error {
			return errors.Join(p.Write([]byte{peer.MsgUserauthSuccess}), answer(p, c))
		}},
		{Name: "closes the connection in the middle of a command", running: func(p *peer.Conn, c *peer.Channel) error {
			return errors.Join(greet(p, c), p.Close())
		}},
		{Name: "disconnects in the middle of a command", running: func(p *peer.Conn, c *peer.Channel) error {
			return errors.Join(greet(p, c), p.Send(&peer.Disconnect{Reason: 11, Description: Smuggled + "\x1b[2J"}))
		}},
	}
}

// channels are lies about channels and their windows (RFC 4254, section 5).
func channels() []Lie {
	return []Lie{
		{Name: "sends more than the window holds (5.2)", running: func(p *peer.Conn, c *peer.Channel) error {
			chunk := make([]byte, min(c.Packet, 1<<15))
			for sent := uint64(0); sent <= 2*uint64(c.Window)+1<<22; sent += uint64(len(chunk)) {
				if err := p.Send(&peer.ChannelData{Recipient: c.Theirs, Data: chunk}); err != nil {
					return err
				}
			}
			return hold(p.Raw)
		}},
		{Name: "sends more than a packet may hold (5.2)", running: func(p *peer.Conn, c *peer.Channel) error {
			return errors.Join(p.Send(&peer.ChannelData{Recipient: c.Theirs, Data: make([]byte, 2*c.Packet+4096)}), hold(p.Raw))
		}},
		{Name: "sends data for a channel that is not open", running: func(p *peer.Conn, c *peer.Channel) error {
			return errors.Join(p.Send(&peer.ChannelData{Recipient: c.Theirs + 77, Data: []byte(Smuggled)}), hold(p.Raw))
		}},
		{Name: "sends data after its EOF (5.3)", Outcome: Either, running: func(p *peer.Conn, c *peer.Channel) error {
			// The greeting itself is late: a gateway that passes it on gives no more than
			// what an honest host could have said.
			return errors.Join(p.Send(&peer.ChannelEOF{Recipient: c.Theirs}), greet(p, c), status(p, c, 0),
				p.Send(&peer.ChannelClose{Recipient: c.Theirs}), hold(p.Raw))
		}},
		{Name: "sends data after its close (5.3)", Outcome: Either, running: func(p *peer.Conn, c *peer.Channel) error {
			return errors.Join(greet(p, c), status(p, c, 0), p.Send(&peer.ChannelClose{Recipient: c.Theirs}), say(p, c, Smuggled), hold(p.Raw))
		}},
		{Name: "lets the window overflow (5.2)", running: func(p *peer.Conn, c *peer.Channel) error {
			more := &peer.WindowAdjust{Recipient: c.Theirs, Bytes: 1<<32 - 1}
			return errors.Join(p.Send(more), p.Send(more), hold(p.Raw))
		}},
		{Name: "sends extended data of unknown kinds (5.2)", Outcome: Either, running: func(p *peer.Conn, c *peer.Channel) error {
			for _, code := range []uint32{2, 1<<32 - 1} {
				if err := p.Send(&peer.ChannelExtended{Recipient: c.Theirs, Code: code, Data: []byte(Smuggled)}); err != nil {
					return err
				}
			}
			return answer(p, c)
		}},
		{Name: "confirms the channel again", Outcome: Either, running: func(p *peer.Conn, c *peer.Channel) error {
			return errors.Join(p.Send(&peer.ChannelConfirm{Recipient: c.Theirs, Sender: c.Ours + 1, Window: 1 << 30, Packet: 1 << 30}), answer(p, c))
		}},
		{Name: "opens channels to the gateway: forwarded-tcpip, x11, auth-agent, session (RFC 4254, 6.1; PROTOCOL.agent)", Outcome: Survives, running: openChannels},
	}
}

func openChannels(p *peer.Conn, c *peer.Channel) error {
	address := ssh.Marshal(struct {
		Host       string
		Port       uint32
		Originator string
		From       uint32
	}{"127.0.0.1", 22, Smuggled, 1})
	for i, kind := range []string{"forwarded-tcpip", "direct-tcpip", "x11", "auth-agent@openssh.com", "auth-agent", "session", "forwarded-streamlocal@openssh.com", "tun@openssh.com", Smuggled} {
		open := &peer.ChannelOpen{Type: kind, Sender: uint32(100 + i), Window: 1 << 20, Packet: 1 << 15, Rest: address}
		if err := p.Send(open); err != nil {
			return err
		}
		if _, err := p.Await(peer.MsgChannelOpenFail); err != nil {
			return errors.Join(errors.New("a channel of type "+kind+" was not refused"), err)
		}
	}
	return answer(p, c)
}

// requests are lies in requests (RFC 4254, sections 4 and 6).
func requests() []Lie {
	return []Lie{
		{Name: "ends a command twice with different statuses", Outcome: Either, running: func(p *peer.Conn, c *peer.Channel) error {
			return errors.Join(greet(p, c), status(p, c, 0), status(p, c, 1), end(p, c))
		}},
		{Name: "ends a command with a huge text full of control characters", running: func(p *peer.Conn, c *peer.Channel) error {
			text := strings.Repeat(Smuggled+"\x1b]0;owned\x07", 1000)
			signal := peer.ExitSignal{Signal: "TERM", Message: text, Language: text}
			return errors.Join(greet(p, c), p.Send(&peer.ChannelRequest{Recipient: c.Theirs, Type: "exit-signal", Rest: ssh.Marshal(signal)}), end(p, c))
		}},
		{Name: "ends a command by a signal that does not exist", running: func(p *peer.Conn, c *peer.Channel) error {
			signal := peer.ExitSignal{Signal: Smuggled + "\x1b[2J"}
			return errors.Join(greet(p, c), p.Send(&peer.ChannelRequest{Recipient: c.Theirs, Type: "exit-signal", Rest: ssh.Marshal(signal)}), end(p, c))
		}},
		{Name: "ends a command without a status", running: func(p *peer.Conn, c *peer.Channel) error { return errors.Join(greet(p, c), end(p, c)) }},
		{Name: "ends a command with half a status", running: func(p *peer.Conn, c *peer.Channel) error {
			return errors.Join(greet(p, c), p.Send(&peer.ChannelRequest{Recipient: c.Theirs, Type: "exit-status", Rest: []byte{0, 0}}), end(p, c))
		}},
		{Name: "asks for what only clients ask: pty-req, exec, subsystem, env, auth-agent-req", Outcome: Survives, running: clientRequests},
		{Name: "makes global requests: forwards, host keys, unknown (RFC 4254, 4; PROTOCOL, 2.5)", Outcome: Survives, running: globalRequests},
		{Name: "answers requests that nobody made", Outcome: Either, running: func(p *peer.Conn, c *peer.Channel) error {
			return errors.Join(p.Write([]byte{peer.MsgRequestSuccess}), p.Write([]byte{peer.MsgRequestFailure}), p.Send(&peer.ChannelSuccess{Recipient: c.Theirs}), answer(p, c))
		}},
		{Name: "floods with global requests that want an answer", Outcome: Survives, running: func(p *peer.Conn, c *peer.Channel) error {
			const many = 1000
			for range many {
				if err := p.Send(&peer.GlobalRequest{Type: "keepalive@openssh.com", WantReply: true}); err != nil {
					return err
				}
				if _, err := p.Await(peer.MsgRequestFailure, peer.MsgRequestSuccess); err != nil {
					return err
				}
			}
			return answer(p, c)
		}},
	}
}

func clientRequests(p *peer.Conn, c *peer.Channel) error {
	for _, kind := range []string{"pty-req", "exec", "shell", "subsystem", "env", "auth-agent-req@openssh.com", "x11-req", Smuggled} {
		r := &peer.ChannelRequest{Recipient: c.Theirs, Type: kind, WantReply: true, Rest: ssh.Marshal(struct{ Text string }{Smuggled})}
		if err := p.Send(r); err != nil {
			return err
		}
		if _, err := p.Await(peer.MsgChannelFailure); err != nil {
			return errors.Join(errors.New("the request "+kind+" was not refused"), err)
		}
	}
	return answer(p, c)
}

func globalRequests(p *peer.Conn, c *peer.Channel) error {
	for _, kind := range []string{"tcpip-forward", "cancel-tcpip-forward", "streamlocal-forward@openssh.com", "no-more-sessions@openssh.com", Smuggled} {
		if err := p.Send(&peer.GlobalRequest{Type: kind, WantReply: true, Rest: ssh.Marshal(struct{ Text string }{Smuggled})}); err != nil {
			return err
		}
		if _, err := p.Await(peer.MsgRequestFailure); err != nil {
			return errors.Join(errors.New("the request "+kind+" was not refused"), err)
		}
	}
	keys := &peer.GlobalRequest{Type: "hostkeys-00@openssh.com", Rest: ssh.Marshal(struct{ Key string }{Smuggled})}
	return errors.Join(p.Send(keys), answer(p, c))
}
