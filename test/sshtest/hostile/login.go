package hostile

import (
	"errors"
	"io"
	"net"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport-gateway/sallyport/test/sshtest/peer"
)

// beforeKeys are lies before there are keys.
func beforeKeys() []Lie {
	return []Lie{
		{Name: "says nothing at all", LogIn: true, below: hold},
		{Name: "sends lines before its version for ever (4.2)", LogIn: true, below: func(c net.Conn) error {
			return forEver(c, "a line that is no version\r\n")
		}},
		{Name: "sends a version line without an end (4.2)", LogIn: true, below: func(c net.Conn) error {
			if _, err := io.WriteString(c, "SSH-2.0-"); err != nil {
				return err
			}
			return forEver(c, strings.Repeat("A", 4096))
		}},
		{Name: "speaks version 1", LogIn: true, below: func(c net.Conn) error {
			_, err := io.WriteString(c, "SSH-1.5-old\r\n")
			return errors.Join(err, hold(c))
		}},
		{Name: "says nothing after its version", LogIn: true, below: func(c net.Conn) error {
			_, err := io.WriteString(c, "SSH-2.0-silent\r\n")
			return errors.Join(err, hold(c))
		}},
		{Name: "announces a first packet of 2 GiB", LogIn: true, below: func(c net.Conn) error {
			_, err := io.WriteString(c, "SSH-2.0-huge\r\n\x7f\xff\xff\xff")
			return errors.Join(err, forEver(c, strings.Repeat("A", 4096)))
		}},
		{Name: "has another host key than the pinned one", LogIn: true, WrongKey: true},
		{Name: "has no modern key exchange", LogIn: true, Config: peer.Config{Init: func(m *peer.Init) {
			m.KexAlgos = []string{"diffie-hellman-group1-sha1", "diffie-hellman-group14-sha1"}
		}}},
		{Name: "has no modern cipher", LogIn: true, Config: peer.Config{Init: func(m *peer.Init) {
			m.CiphersClientServer, m.CiphersServerClient = []string{"3des-cbc", "arcfour"}, []string{"3des-cbc", "arcfour"}
		}}},
		{Name: "would not encrypt", LogIn: true, Config: peer.Config{Init: func(m *peer.Init) {
			m.CiphersClientServer, m.CiphersServerClient = []string{"none"}, []string{"none"}
		}}},
	}
}

// hold keeps a connection until the other side closes it.
func hold(c net.Conn) error {
	_, err := io.Copy(io.Discard, c)
	return err
}

// forEver sends a text again and again until the other side has enough.
func forEver(c net.Conn, text string) error {
	for {
		if _, err := io.WriteString(c, text); err != nil {
			return err
		}
	}
}

// beforeLogIn are lies while the gateway logs in.
func beforeLogIn() []Lie {
	service := func(then func(*peer.Conn) error) func(*peer.Conn) error {
		return func(p *peer.Conn) error {
			if _, err := p.Await(peer.MsgServiceRequest); err != nil {
				return err
			}
			if err := p.Send(&peer.ServiceAccept{Service: "ssh-userauth"}); err != nil {
				return err
			}
			return then(p)
		}
	}
	return []Lie{
		{Name: "never answers the request for the service", LogIn: true, loggingIn: func(p *peer.Conn) error { return hold(p.Raw) }},
		{Name: "never answers a log-in", LogIn: true, loggingIn: service(func(p *peer.Conn) error { return hold(p.Raw) })},
		{Name: "sends banners for ever (RFC 4252, 5.4)", LogIn: true, loggingIn: service(func(p *peer.Conn) error {
			for {
				if err := p.Send(&peer.Banner{Message: strings.Repeat(Smuggled+"\x1b[2J\r\n", 200)}); err != nil {
					return err
				}
			}
		})},
		{Name: "wants one more method for ever", LogIn: true, loggingIn: service(func(p *peer.Conn) error {
			for {
				if _, err := p.Await(peer.MsgUserauthRequest); err != nil {
					return err
				}
				if err := p.Send(&peer.UserauthFailure{Methods: []string{"publickey", "password", "keyboard-interactive"}, Partial: true}); err != nil {
					return err
				}
			}
		})},
		{Name: "exchanges keys for ever instead of a log-in", LogIn: true, loggingIn: service(rekeyForEver)},
		{Name: "sends SSH_MSG_IGNORE for ever instead of a log-in", LogIn: true, loggingIn: service(func(p *peer.Conn) error {
			for {
				if err := p.Write(append([]byte{peer.MsgIgnore}, ssh.Marshal(struct{ Data []byte }{make([]byte, 1000)})...)); err != nil {
					return err
				}
			}
		})},
		{Name: "disconnects with a huge text full of control characters", LogIn: true, loggingIn: service(func(p *peer.Conn) error {
			return p.Send(&peer.Disconnect{Reason: 2, Description: strings.Repeat(Smuggled+"\x1b]0;owned\x07\r\n", 1000)})
		})},
		{Name: "opens a channel before it lets in", LogIn: true, loggingIn: service(func(p *peer.Conn) error {
			err := p.Send(&peer.ChannelOpen{Type: "session", Sender: 1, Window: 1 << 20, Packet: 1 << 15})
			return errors.Join(err, hold(p.Raw))
		})},
	}
}

func rekeyForEver(p *peer.Conn) error {
	for {
		if err := p.Rekey(); err != nil {
			return err
		}
	}
}
