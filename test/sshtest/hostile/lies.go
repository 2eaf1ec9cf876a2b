package hostile

import (
	"net"

	"github.com/sallyport-gateway/sallyport/test/sshtest/peer"
)

// Greeting is what a command prints on a host that answers it.
const Greeting = "hello from the host\n"

// Smuggled is what a lie sends where nothing may be sent: it must not reach the
// client.
const Smuggled = "smuggled-4be1"

// Outcome is what must come of a lie.
type Outcome int

// The outcomes. In all of them the gateway goes on for others, within its memory,
// and nothing with [Smuggled] in it reaches the client.
const (
	// Ends: the client's command ends with an error, in bounded time.
	Ends Outcome = iota
	// Survives: the client gets Greeting and exit status 0.
	Survives
	// Either: one or the other.
	Either
)

// Lie is one server that lies.
type Lie struct {
	// Name says in which way.
	Name string
	// Outcome is what must come of it.
	Outcome Outcome
	// LogIn: the lie comes before the client is logged in.
	LogIn bool
	// Config is what the server says of itself; the caller adds its host key.
	Config peer.Config
	// Seen, if not nil, is told what the client offered in the key exchange.
	Seen func(*peer.Init)
	// WrongKey makes the server show another host key than the one that is pinned.
	WrongKey bool

	// below serves instead of a key exchange; nil: none.
	below func(net.Conn) error
	// loggingIn serves after the key exchange; nil lets everybody in.
	loggingIn func(*peer.Conn) error
	// running serves a command; nil answers it.
	running func(*peer.Conn, *peer.Channel) error
}

// Serve serves one connection with the lie.
func (l *Lie) Serve(c net.Conn, config peer.Config) error {
	if l.below != nil {
		return l.below(c)
	}
	p, err := peer.Server(c, config)
	if err != nil {
		return err
	}
	if l.Seen != nil {
		l.Seen(p.Theirs)
	}
	if l.loggingIn != nil {
		return l.loggingIn(p)
	}
	if _, err := p.LetIn(); err != nil {
		return err
	}
	const window, packet = 1 << 20, 1 << 15
	channel, err := p.AcceptExec(window, packet)
	if err != nil {
		return err
	}
	if l.running != nil {
		return l.running(p, channel)
	}
	return answer(p, channel)
}

// Lies are all of them.
func Lies() []Lie {
	var all []Lie
	all = append(all, beforeKeys()...)
	all = append(all, beforeLogIn()...)
	all = append(all, packets()...)
	all = append(all, channels()...)
	return append(all, requests()...)
}
