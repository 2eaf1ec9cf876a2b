package sshcorpus

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport-gateway/sallyport/test/sshtest"
)

// The times of a case that names none.
const (
	// patience is how long a session may take.
	patience = 6 * time.Second
	// settled is how long to look for an effect after a session that ended well; a
	// process that a session left needs more to show.
	settled        = 120 * time.Millisecond
	settledProcess = 500 * time.Millisecond
	// dialPatience bounds a log-in.
	dialPatience = 20 * time.Second
	// poll is how often to look.
	poll = 10 * time.Millisecond
)

// noStatus is the exit status that ssh(1) itself ends with when the session had
// none: it was refused, killed or lost.
const noStatus = 255

// mostOutput bounds what is kept of each output of a session.
const mostOutput = 16 << 20

// answer is what a client got.
type answer struct {
	stdout, stderr []byte
	status         int
	// timedOut: the session had not ended when its time was over.
	timedOut bool
	// cut: the judge ended the session, having seen the effect.
	cut bool
}

// Door is one way to the host: straight, or through the gateway.
type Door struct {
	// Address is host:port.
	Address string
	// HostKey is whose key the server must have.
	HostKey ssh.HostKeyCallback
	// Login returns the name and the methods to log in with as an account of the host.
	Login func(account string) (user string, auth []ssh.AuthMethod)

	clients map[string]*ssh.Client
}

// session opens a session on the connection of an account. All cases of an account share one
// until it is lost, as with ControlMaster: what is decided is a command, not a
// connection.
func (d *Door) session(ctx context.Context, account string) (*ssh.Session, error) {
	if c := d.clients[account]; c != nil {
		if s, err := c.NewSession(); err == nil {
			return s, nil
		}
		_ = c.Close() // a case ended it
	}
	c, err := d.dial(ctx, account)
	if err != nil {
		return nil, err
	}
	if d.clients == nil {
		d.clients = map[string]*ssh.Client{}
	}
	d.clients[account] = c
	return c.NewSession()
}

func (d *Door) dial(ctx context.Context, account string) (*ssh.Client, error) {
	ctx, cancel := context.WithTimeout(ctx, dialPatience)
	defer cancel()
	user, auth := d.Login(account)
	return sshtest.Dial(ctx, d.Address, &ssh.ClientConfig{User: user, Auth: auth, HostKeyCallback: d.HostKey})
}

// Close ends the connections.
func (d *Door) Close() {
	for _, c := range d.clients {
		_ = c.Close()
	}
	d.clients = nil
}

// capped keeps the beginning of what is written to it.
type capped struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (w *capped) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.b.Write(p[:min(len(p), mostOutput-w.b.Len())])
	return len(p), nil
}

func (w *capped) bytes() []byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	return bytes.Clone(w.b.Bytes())
}

// play runs a case once. watch, which may be nil, ends it early when it sees what
// it looks for.
func (d *Door) play(ctx context.Context, c *Case, watch func() bool) (*answer, error) {
	account := bashAccount
	if c.Dash {
		account = dashAccount
	}
	s, err := d.session(ctx, account)
	if err != nil {
		return nil, fmt.Errorf("log in as %s: %w", account, err)
	}
	var stdout, stderr capped
	s.Stdout, s.Stderr = &stdout, &stderr
	input, err := s.StdinPipe()
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	a := &answer{status: noStatus}
	ended := make(chan error, 1)
	if err := s.Start(string(c.Command)); err != nil {
		ended <- err // refused; what came on the channel before counts
	} else {
		go feed(input, c) // ends with the session
		go func() { ended <- s.Wait() }()
	}
	a.await(ctx, c, ended, watch)
	_ = s.Close()
	a.stdout, a.stderr = stdout.bytes(), stderr.bytes()
	return a, nil
}

// feed writes the case's input and closes it after its hold.
func feed(input io.WriteCloser, c *Case) {
	_, _ = input.Write(c.Input)
	if c.Hold > 0 {
		hold := time.NewTimer(c.Hold)
		defer hold.Stop()
		<-hold.C
	}
	_ = input.Close()
}

func (a *answer) await(ctx context.Context, c *Case, ended <-chan error, watch func() bool) {
	most := c.Timeout
	if most == 0 {
		most = patience
	}
	timeout := time.NewTimer(most)
	defer timeout.Stop()
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for {
		select {
		case err := <-ended:
			a.status = statusOf(err)
			return
		case <-timeout.C:
			a.timedOut = true
			return
		case <-ctx.Done():
			a.timedOut = true
			return
		case <-tick.C:
			if watch != nil && watch() {
				a.cut = true
				return
			}
		}
	}
}

// statusOf is the exit status that ssh(1) would end with.
func statusOf(err error) int {
	var exit *ssh.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit) && exit.Signal() == "":
		return exit.ExitStatus()
	}
	return noStatus
}
