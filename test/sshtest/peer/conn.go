package peer

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
)

// patience bounds the key exchange and, without a deadline of the caller's, every
// read.
const patience = 20 * time.Second

// version is what both sides say they are.
const version = "SSH-2.0-peer_1.0"

// Config is what a side of a connection says of itself. The zero value is a
// strict peer with good algorithms.
type Config struct {
	// HostKey signs the key exchange. Required for a server.
	HostKey ssh.Signer
	// Version is the version line without its line break; empty means an honest one.
	Version string
	// Preamble is sent before the version line, as a server may (RFC 4253, section
	// 4.2).
	Preamble string
	// Lax leaves out the marks of strict key exchange.
	Lax bool
	// Before, if not nil, is a packet that is sent within the first key exchange, where
	// a strict one has no room for it.
	Before []byte
	// Init, if not nil, changes the algorithms that are offered.
	Init func(*Init)
}

// Conn is one side of a connection. It is not safe for concurrent use but for one
// reader and one writer while no keys are exchanged.
type Conn struct {
	// Raw is the connection below.
	Raw net.Conn
	// Theirs is what the other side offered in its first SSH_MSG_KEXINIT.
	Theirs *Init
	// TheirVersion is the other side's version line.
	TheirVersion string
	// HostKey is the server's, as it came.
	HostKey ssh.PublicKey
	// SessionID is the first exchange hash.
	SessionID []byte

	config   Config
	server   bool
	reader   *bufio.Reader
	in, out  *seal
	pushed   [][]byte
	versions [2]string // client's and server's
}

// Server completes the key exchange as a server.
func Server(c net.Conn, config Config) (*Conn, error) {
	if config.HostKey == nil {
		return nil, errors.New("a server needs a host key")
	}
	return handshake(c, config, true)
}

// Client completes the key exchange as a client. It takes any host key.
func Client(c net.Conn, config Config) (*Conn, error) { return handshake(c, config, false) }

// Dial connects and completes the key exchange as a client.
func Dial(address string, config Config) (*Conn, error) {
	c, err := net.DialTimeout("tcp", address, patience)
	if err != nil {
		return nil, err
	}
	conn, err := Client(c, config)
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return conn, nil
}

func handshake(c net.Conn, config Config, server bool) (*Conn, error) {
	p := &Conn{Raw: c, config: config, server: server, reader: bufio.NewReader(c), in: &seal{}, out: &seal{}}
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		return nil, err
	}
	if err := p.exchangeVersions(); err != nil {
		return nil, fmt.Errorf("exchange versions: %w", err)
	}
	if err := p.Rekey(); err != nil {
		return nil, fmt.Errorf("exchange keys: %w", err)
	}
	return p, c.SetDeadline(time.Time{})
}

func (p *Conn) exchangeVersions() error {
	ours := p.config.Version
	if ours == "" {
		ours = version
	}
	if _, err := p.Raw.Write([]byte(p.config.Preamble + ours + "\r\n")); err != nil {
		return err
	}
	const mostLines = 100
	for range mostLines {
		l, err := p.reader.ReadString('\n')
		if err != nil {
			return err
		}
		if l = strings.TrimRight(l, "\r\n"); strings.HasPrefix(l, "SSH-") {
			p.TheirVersion = l
			p.versions = [2]string{ours, l}
			if p.server {
				p.versions = [2]string{l, ours}
			}
			return nil
		}
	}
	return errors.New("no version line")
}

// Read returns the next packet's payload. It answers a key exchange that the
// other side begins, and drops SSH_MSG_IGNORE, SSH_MSG_DEBUG and SSH_MSG_EXT_INFO.
func (p *Conn) Read() ([]byte, error) {
	if err := p.Raw.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return nil, err
	}
	for {
		payload, err := p.next()
		if err != nil {
			return nil, err
		}
		if len(payload) == 0 {
			return nil, errors.New("empty packet")
		}
		switch payload[0] {
		case MsgIgnore, MsgDebug, MsgExtInfo:
		case MsgKexInit:
			if err := p.answerKeys(payload); err != nil {
				return nil, err
			}
		default:
			return payload, nil
		}
	}
}

func (p *Conn) next() ([]byte, error) {
	if len(p.pushed) > 0 {
		payload := p.pushed[0]
		p.pushed = p.pushed[1:]
		return payload, nil
	}
	return p.in.read(p.reader)
}

// Await returns the next packet of one of the types and drops the others. A
// disconnect that is not asked for is an error.
func (p *Conn) Await(types ...byte) ([]byte, error) {
	for {
		payload, err := p.Read()
		if err != nil {
			return nil, err
		}
		for _, t := range types {
			if payload[0] == t {
				return payload, nil
			}
		}
		if payload[0] == MsgDisconnect {
			var m Disconnect
			_ = ssh.Unmarshal(payload, &m)
			return nil, fmt.Errorf("disconnected: %d %s", m.Reason, m.Description)
		}
	}
}

// Write sends a packet: a payload, or a message of this package.
func (p *Conn) Write(payload []byte) error { return p.WriteRaw(p.out.packet(payload)) }

// Send sends a message of this package.
func (p *Conn) Send(m any) error { return p.Write(ssh.Marshal(m)) }

// WriteFrame sends a sealed body behind a length that need not be its own.
func (p *Conn) WriteFrame(length uint32, body []byte) error {
	return p.WriteRaw(p.out.frame(length, body))
}

// WriteRaw sends bytes as they are.
func (p *Conn) WriteRaw(b []byte) error {
	if err := p.Raw.SetWriteDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	_, err := p.Raw.Write(b)
	return err
}

// Close closes the connection.
func (p *Conn) Close() error { return p.Raw.Close() }
