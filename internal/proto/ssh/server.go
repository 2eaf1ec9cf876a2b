package ssh

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport-gateway/sallyport/internal/gate"
)

const (
	// DefaultHandshake is how long a client has to log in.
	DefaultHandshake = 10 * time.Second
	// DefaultHold is how long a command waits for a person: agents' own time limit
	// for a command is usually 120 s.
	DefaultHold = 110 * time.Second
	// DefaultIdle is how long nobody needs to say anything in a shell.
	DefaultIdle = 15 * time.Minute
	// MaxChannels bounds the open channels of one connection.
	MaxChannels = 64
	// maxTries bounds what a client may try: its other keys first, perhaps, that ssh
	// offers by itself.
	maxTries = 8
	// maxToken is room for a token of 16 KiB.
	maxToken = 16<<10 + 64
)

// Config is what a Server is made of.
type Config struct {
	// Authority holds the gateway's own keys. Required.
	Authority *Authority
	// Names are what the gateway's host certificate is for besides HostAlias: the
	// hosts by which clients reach it.
	Names []string
	// Handshake bounds everything before the session. Zero means DefaultHandshake.
	Handshake time.Duration
	// SQL judges the statements of database clients in command lines. Nil makes
	// them unknown.
	SQL SQL
	// Inner returns the protocol that serves tunnels to an address, where a target
	// of one of our protocols is there; nil where none is.
	Inner func(address string) gate.Protocol
	// Log receives what goes wrong outside of a session's own errors. Nil discards.
	Log *slog.Logger
}

// Server serves SSH clients. It implements gate.Protocol and is safe for concurrent
// use.
type Server struct {
	cfg     Config
	signers []ssh.Signer
	shells  shells
}

// New returns a server.
func New(cfg Config) (*Server, error) {
	if cfg.Authority == nil {
		return nil, errors.New("ssh: no Authority")
	}
	if cfg.Handshake <= 0 {
		cfg.Handshake = DefaultHandshake
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	signers, err := cfg.Authority.hostSigners(cfg.Names)
	if err != nil {
		return nil, err
	}
	return &Server{cfg: cfg, signers: signers}, nil
}

// Name returns "ssh".
func (p *Server) Name() string { return "ssh" }

// proofKey is where a log-in leaves what it proved in the Permissions of the method
// that succeeded. Nothing else says who the client is (CVE-2024-45337).
type proofKey struct{}

// proved is who a client is, and until when that holds.
type proved struct {
	proof  gate.Proof
	expiry time.Time
}

// Serve speaks with one client and closes the connection.
func (p *Server) Serve(ctx context.Context, client net.Conn, g *gate.Gateway) error {
	defer client.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(ctx, func() { _ = client.Close() })()
	_ = client.SetDeadline(time.Now().Add(p.cfg.Handshake))
	sconn, channels, requests, err := ssh.NewServerConn(newBufferedConn(client), p.serverConfig(ctx, g))
	if err != nil {
		return fmt.Errorf("ssh: log-in: %w", err)
	}
	defer sconn.Close()
	who, ok := sconn.Permissions.ExtraData[proofKey{}].(proved)
	if !ok {
		return errors.New("ssh: a log-in left no proof")
	}
	_ = client.SetDeadline(time.Time{})
	// The sessions end with the token by themselves, and say so; a connection without
	// one must not stay.
	expired := time.AfterFunc(time.Until(who.expiry)+partingTime, cancel)
	defer expired.Stop()
	c := &connection{server: p, g: g, sconn: sconn, client: client, proof: who.proof, id: gate.NewConnectionID(),
		target: sconn.User(), slots: make(chan struct{}, MaxChannels), end: cancel}
	return c.serve(ctx, channels, requests)
}

// serverConfig is the log-in of one connection.
func (p *Server) serverConfig(ctx context.Context, g *gate.Gateway) *ssh.ServerConfig {
	token := func(secret []byte) (*ssh.Permissions, error) {
		if len(secret) > maxToken {
			return nil, refused("the token is too long", nil)
		}
		return identified(ctx, g, gate.Proof{Token: gate.NewSecret(string(secret))})
	}
	cfg := &ssh.ServerConfig{
		Config: algorithms(), PublicKeyAuthAlgorithms: signatures(), MaxAuthTries: maxTries, ServerVersion: "SSH-2.0-Sallyport",
		PasswordCallback: func(_ ssh.ConnMetadata, password []byte) (*ssh.Permissions, error) { return token(password) },
		KeyboardInteractiveCallback: func(_ ssh.ConnMetadata, ask ssh.KeyboardInteractiveChallenge) (*ssh.Permissions, error) {
			answers, err := ask("", "", []string{"Token: "}, []bool{false})
			if err != nil {
				return nil, err
			}
			if len(answers) != 1 {
				return nil, refused("one answer is expected: the token", nil)
			}
			return token([]byte(answers[0]))
		},
		// The library calls this for an offered key too; who the client is comes
		// from the Permissions that it returns for the key that then signed.
		PublicKeyCallback: func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
			if _, is := key.(*ssh.Certificate); !is {
				return nil, errors.New("ssh: only certificates of the gateway are accepted")
			}
			return identified(ctx, g, gate.Proof{Certificate: key.Marshal()})
		},
	}
	for _, s := range p.signers {
		cfg.AddHostKey(s)
	}
	return cfg
}

// identified verifies a proof at the gate and keeps it for the channels to come.
func identified(ctx context.Context, g *gate.Gateway, proof gate.Proof) (*ssh.Permissions, error) {
	p, err := g.Identify(ctx, proof)
	if err != nil {
		var open *gate.OpenError
		if errors.As(err, &open) {
			return nil, refused(open.Public, err)
		}
		return nil, refused("it could not be verified", err)
	}
	return &ssh.Permissions{ExtraData: map[any]any{proofKey{}: proved{proof, p.Expiry}}}, nil
}

// refused tells the client why, in a banner, and the log what is behind it.
func refused(public string, err error) error {
	if err == nil {
		err = errors.New(public)
	}
	return &ssh.BannerError{Err: err, Message: "sallyport: " + clean(public) + "\r\n"}
}
