package sshgate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/sallyport-gateway/sallyport/internal/identity/devissuer"
	"github.com/sallyport-gateway/sallyport/test/port"
	"github.com/sallyport-gateway/sallyport/test/sshtest"
)

// The times that things may take; they are long because the machines that run
// this are slow and shared.
const (
	startPatience   = 60 * time.Second
	stopPatience    = 20 * time.Second
	commandPatience = 60 * time.Second
)

// The audiences of the tokens of agents and of people.
const (
	Audience       = "sallyport"
	PeopleAudience = "sallyport-people"
)

// Options are what a gateway is started with.
type Options struct {
	// Program is the gateway's program; empty builds it.
	Program string
	// Process are further lines of sallyport.yaml.
	Process string
	// Documents are files of the documents folder, by name. ISSUER in them is the
	// development issuer's address.
	Documents map[string]string
	// Files are files beside sallyport.yaml, by name, as a key that a document names.
	Files map[string][]byte
}

// Gateway is a running gateway.
type Gateway struct {
	// Program is what runs.
	Program string
	// Dir is its folder: sallyport.yaml, documents, data.
	Dir string
	// Address is host:port for SSH clients.
	Address string
	// Console is host:port of the console.
	Console string
	// Issuer is trusted by documents that name ISSUER.
	Issuer *devissuer.Issuer

	process *sshtest.Process
	issuer  *http.Server
	served  chan error
}

// Start writes the configuration and runs the gateway until it listens. The
// caller stops it with [Gateway.Stop].
func Start(ctx context.Context, o Options) (*Gateway, error) {
	g := &Gateway{Program: o.Program}
	if err := g.start(ctx, o); err != nil {
		return nil, errors.Join(fmt.Errorf("start the gateway: %w", err), g.Stop())
	}
	return g, nil
}

func (g *Gateway) start(ctx context.Context, o Options) (err error) {
	if g.Dir, err = os.MkdirTemp("", "sallyport-sshgate-"); err != nil {
		return err
	}
	if g.Program == "" {
		g.Program = filepath.Join(g.Dir, "sallyport")
		if err := Build(ctx, g.Program); err != nil {
			return err
		}
	}
	if g.Program, err = filepath.Abs(g.Program); err != nil {
		return err
	}
	if err := g.startIssuer(); err != nil {
		return err
	}
	if err := g.configure(o); err != nil {
		return err
	}
	return g.Launch(ctx)
}

// Build builds the program.
func Build(ctx context.Context, program string) error {
	root, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return fmt.Errorf("find the module: %w", err)
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-o", program, "./cmd/sallyport")
	cmd.Dir = filepath.Dir(strings.TrimSpace(string(root)))
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build the gateway: %w\n%s", err, out)
	}
	return nil
}

// startIssuer serves a development issuer on loopback.
func (g *Gateway) startIssuer() error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	if g.Issuer, err = devissuer.New(devissuer.Config{URL: "http://" + l.Addr().String()}); err != nil {
		return errors.Join(err, l.Close())
	}
	g.issuer, g.served = &http.Server{Handler: g.Issuer, ReadHeaderTimeout: 10 * time.Second}, make(chan error, 1)
	go func() { g.served <- g.issuer.Serve(l) }() // Stop ends it
	return nil
}

// configure writes sallyport.yaml, the documents and the files.
func (g *Gateway) configure(o Options) (err error) {
	if g.Console, err = port.FreeAddress(); err != nil {
		return err
	}
	if g.Address, err = port.FreeAddress(); err != nil {
		return err
	}
	files := map[string][]byte{"sallyport.yaml": fmt.Appendf(nil, `listen:
  console: %s
  ssh: %s
state: sqlite:./data/state.db
recordings: file:./data/recordings
key: file:./data/key
documents: ./documents
%s`, g.Console, g.Address, o.Process)}
	for name, text := range o.Documents {
		files[filepath.Join("documents", name)] = []byte(strings.ReplaceAll(text, "ISSUER", g.Issuer.URL()))
	}
	for name, content := range o.Files {
		files[name] = content
	}
	if err := os.Mkdir(filepath.Join(g.Dir, "documents"), 0o700); err != nil {
		return err
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(g.Dir, name), content, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// Launch runs the program on the folder as it is and returns when it listens, as
// after a crash or [Gateway.Halt].
func (g *Gateway) Launch(ctx context.Context) error {
	log, err := os.OpenFile(g.logFile(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	cmd := exec.Command(g.Program, "serve", "--config", filepath.Join(g.Dir, "sallyport.yaml"))
	cmd.Dir, cmd.Stdout, cmd.Stderr = g.Dir, log, log
	if g.process, err = sshtest.StartProcess(cmd); err != nil {
		return err
	}
	return g.awaitReady(ctx)
}

// awaitReady waits until the gateway listens, for SSH and on the console.
func (g *Gateway) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	return errors.Join(g.awaitListener(ctx, g.Address), g.awaitListener(ctx, g.Console))
}

func (g *Gateway) awaitListener(ctx context.Context, address string) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		var d net.Dialer
		c, err := d.DialContext(ctx, "tcp", address)
		if err == nil {
			return c.Close()
		}
		select {
		case <-g.process.Done():
			return fmt.Errorf("it ended (%v); its log:\n%s", g.process.Err(), g.Log())
		case <-ctx.Done():
			return fmt.Errorf("it does not listen: %w; its log:\n%s", ctx.Err(), g.Log())
		case <-tick.C:
		}
	}
}

// PID is the gateway's process.
func (g *Gateway) PID() int { return g.process.PID() }

// Log is the end of what the gateway logged.
func (g *Gateway) Log() string {
	const most = 16000
	text, err := os.ReadFile(g.logFile())
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-most):])
}

func (g *Gateway) logFile() string { return filepath.Join(g.Dir, "gateway.log") }

// Token mints a token of an agent for a time.
func (g *Gateway) Token(agent string, lifetime time.Duration) (string, error) {
	return g.Issuer.Mint(devissuer.Claims{Subject: agent, Audience: Audience, Lifetime: lifetime})
}

// Person mints a token of a person who is in groups.
func (g *Gateway) Person(name string, groups ...string) (string, error) {
	return g.Issuer.Mint(devissuer.Claims{Subject: name, Audience: PeopleAudience, Lifetime: 50 * time.Minute, Extra: map[string]any{"groups": groups}})
}

// Answer is what a subcommand printed.
type Answer struct {
	// Out and Err are its standard output and error.
	Out, Err string
	// Status is its exit status.
	Status int
}

// CLI runs a subcommand of the program against this gateway with a token, which
// may be empty.
func (g *Gateway) CLI(ctx context.Context, token string, args ...string) (Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, commandPatience)
	defer cancel()
	cmd := exec.CommandContext(ctx, g.Program, args...)
	cmd.Dir = g.Dir
	cmd.Env = append(os.Environ(), g.Environment(token)...)
	var out, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &stderr
	err := cmd.Run()
	if cmd.ProcessState == nil {
		return Answer{}, err
	}
	return Answer{Out: out.String(), Err: stderr.String(), Status: cmd.ProcessState.ExitCode()}, nil
}

// Environment are the variables by which the program's subcommands find this
// gateway.
func (g *Gateway) Environment(token string) []string {
	return []string{"SALLYPORT_API=https://" + g.Console, "SALLYPORT_CA=" + filepath.Join(g.Dir, "data", "gateway.crt"), "SALLYPORT_TOKEN=" + token}
}

// Halt ends the process as an operator would; Launch starts it again.
func (g *Gateway) Halt() error {
	if g.process == nil {
		return nil
	}
	err := g.process.Stop(stopPatience)
	g.process = nil
	if log := g.Log(); strings.Contains(log, "panic:") || strings.Contains(log, "goroutine ") {
		err = errors.Join(err, fmt.Errorf("the gateway panicked:\n%s", log))
	}
	return err
}

// Stop ends the gateway and removes its files.
func (g *Gateway) Stop() error {
	errs := []error{g.Halt()}
	if g.issuer != nil {
		errs = append(errs, g.issuer.Close())
		<-g.served
	}
	if g.Dir != "" {
		errs = append(errs, os.RemoveAll(g.Dir))
	}
	return errors.Join(errs...)
}
