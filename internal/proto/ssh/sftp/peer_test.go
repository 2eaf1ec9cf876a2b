package sftp

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

// serverPath is OpenSSH's server, which speaks on its standard streams.
const serverPath = "/usr/lib/openssh/sftp-server"

// The test program is also the relay that real clients run as their server.
const relayVariable = "SALLYPORT_TEST_SFTP_RELAY"

func TestMain(m *testing.M) {
	if log := os.Getenv(relayVariable); log != "" {
		if err := runRelay(log); err != nil {
			fmt.Fprintln(os.Stderr, "relay:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// runRelay relays the standard streams to a real server and writes what the
// observer saw to the log.
func runRelay(log string) error {
	out, err := os.Create(log)
	if err != nil {
		return err
	}
	defer out.Close()
	server := exec.Command(serverPath)
	server.Stderr = os.Stderr
	in, err := server.StdinPipe()
	if err != nil {
		return err
	}
	from, err := server.StdoutPipe()
	if err != nil {
		return err
	}
	if err := server.Start(); err != nil {
		return err
	}
	p := &policy{secret: os.Getenv(relayVariable + "_SECRET")}
	r := New(Config{Judge: p, Resolver: ByServer{}, Observer: p, Timeout: 30 * time.Second}, os.Stdout, in)
	err = r.Run(context.Background(), os.Stdin, from)
	_ = in.Close()
	err = errors.Join(err, r.Finish(), server.Wait())
	fmt.Fprint(out, strings.Join(p.log, "\n"))
	return err
}

// policy allows everything outside a secret directory, and is the observer.
type policy struct {
	mu      sync.Mutex
	secret  string
	grant   *Grant
	decide  func(c *Command) error // before the answer; may be nil
	carry   func()                 // with content; may be nil
	log     []string
	content map[string][]byte // recorded, by path and direction
	reports []*Report
}

func (p *policy) Decide(_ context.Context, c *Command) (Grant, error) {
	p.note("judge " + c.Text() + " [" + c.Effects().String() + "]")
	for i := range c.Paths {
		real := c.Paths[i].Place.Real
		if p.secret != "" && (real == p.secret || strings.HasPrefix(real, p.secret+"/")) {
			return Grant{}, &Refused{"SALLYPORT blocked rule=secret"}
		}
	}
	if p.decide != nil {
		if err := p.decide(c); err != nil {
			return Grant{}, err
		}
	}
	if p.grant != nil {
		return *p.grant, nil
	}
	return Grant{Read: NoLimit, Write: NoLimit, Record: 1 << 10}, nil
}

func (p *policy) note(line string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.log = append(p.log, line)
}

func (p *policy) Content(f *File, d Direction, data []byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.content == nil {
		p.content = map[string][]byte{}
	}
	if p.carry != nil {
		p.carry()
	}
	key := f.Place.Real + " " + d.String()
	p.content[key] = append(p.content[key], data...)
	return nil
}

func (p *policy) Closed(r *Report) error {
	p.mu.Lock()
	p.reports = append(p.reports, r)
	p.mu.Unlock()
	p.note(fmt.Sprintf("closed %s down=%d %s up=%d %s inorder=%v/%v closed=%v", r.File.Place.Real, r.Downloaded.Bytes, r.Downloaded.SHA256,
		r.Uploaded.Bytes, r.Uploaded.SHA256, r.Downloaded.InOrder, r.Uploaded.InOrder, r.Closed))
	return nil
}

func (p *policy) Done(c *Command, code Code, note string) error {
	p.note(fmt.Sprintf("done %s %d %s", c.Operation, code, note))
	return nil
}

func (p *policy) Refused(what string) error {
	p.note("refused " + what)
	return nil
}

func (p *policy) saw(part string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Contains(strings.Join(p.log, "\n"), part)
}

// peer is a client of our own: it can say anything.
type peer struct {
	t      *testing.T
	to     io.WriteCloser
	from   *Reader
	next   uint32
	runErr chan error
	policy *policy
}

// dial starts a relay before a real server, agrees on the version and returns
// the client's end.
func dial(t *testing.T, cfg Config, p *policy) *peer {
	t.Helper()
	server := exec.Command(serverPath)
	server.Stderr = os.Stderr
	in, err := server.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	from, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Wait() })
	return connect(t, cfg, p, in, from)
}

// lazy is a writer that passes nothing on before Flush: a Relay that forgets it waits
// for ever.
func lazy(w io.Writer) io.Writer { return bufio.NewWriterSize(w, 1<<20) }

// connect runs a relay between a new client and the given server.
func connect(t *testing.T, cfg Config, p *policy, toServer io.WriteCloser, fromServer io.Reader) *peer {
	t.Helper()
	cfg.Judge, cfg.Observer = p, p
	if cfg.Resolver == nil {
		cfg.Resolver = ByServer{}
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = 20 * time.Second
	}
	clientIn, toClient := io.Pipe()
	fromClient, clientOut := io.Pipe()
	r := New(cfg, lazy(toClient), lazy(toServer))
	c := &peer{t: t, to: clientOut, from: NewReader(clientIn), runErr: make(chan error, 1), policy: p}
	go func() {
		err := r.Run(context.Background(), fromClient, fromServer)
		_ = toServer.Close()
		_ = fromClient.Close()
		err = errors.Join(err, r.Finish())
		_ = toClient.Close()
		c.runErr <- err
		close(c.runErr)
	}()
	t.Cleanup(func() { _ = c.to.Close(); _ = clientIn.Close(); <-c.runErr })
	c.write(AppendInit(nil))
	packet, err := c.from.Next()
	if err != nil {
		t.Fatalf("version: %v (relay: %v)", err, <-c.runErr)
	}
	if _, _, err := DecodeVersion(packet); err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *peer) write(b []byte) {
	c.t.Helper()
	if _, err := c.to.Write(b); err != nil {
		c.t.Fatalf("write: %v (relay: %v)", err, <-c.runErr)
	}
}

// do sends a request and returns the answer to it.
func (c *peer) do(q Request) Response {
	c.t.Helper()
	c.next++
	c.write(AppendRequest(nil, c.next, q))
	return c.answer(c.next, q)
}

func (c *peer) answer(id uint32, q Request) Response {
	c.t.Helper()
	packet, err := c.from.Next()
	if err != nil {
		c.t.Fatalf("answer: %v (relay: %v)", err, <-c.runErr)
	}
	got, r, err := DecodeResponse(append([]byte(nil), packet...), q)
	if err != nil {
		c.t.Fatal(err)
	}
	if got != id {
		c.t.Fatalf("an answer to %d, asked %d", got, id)
	}
	return r
}

// code asks and returns the status; an answer that is none is success.
func (c *peer) code(q Request) (Code, string) {
	c.t.Helper()
	if s, ok := c.do(q).(*Status); ok {
		return s.Code, s.Message
	}
	return OK, ""
}

func (c *peer) want(q Request, want Code) {
	c.t.Helper()
	if got, message := c.code(q); got != want {
		c.t.Errorf("%T: status %d %q, want %d\n%s", q, got, message, want, strings.Join(c.policy.log, "\n"))
	}
}

func (c *peer) open(path string, f Flags) []byte {
	c.t.Helper()
	r := c.do(&Open{Path: path, Flags: f})
	h, ok := r.(*Handle)
	if !ok {
		c.t.Fatalf("open %s: %+v\n%s", path, r, strings.Join(c.policy.log, "\n"))
	}
	return h.Handle
}
