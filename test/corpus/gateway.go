package corpus

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/sallyport-gateway/sallyport/internal/identity/devissuer"
	"github.com/sallyport-gateway/sallyport/test/port"
)

// audience is the gateway's in the tokens.
const audience = "sallyport"

// The times that a start and a stop may take.
const (
	startPatience = 60 * time.Second
	stopPatience  = 20 * time.Second
)

//go:embed postgres/documents.yaml
var documents string

// configuration is sallyport.yaml.
const configuration = `listen:
  console: %s
  postgres: %s
state: sqlite:./data/state.db
recordings: file:./data/recordings
key: file:./data/key
documents: ./documents
log: {level: warn}
`

// target is the document of one target and what was reviewed and labelled there.
const target = `---
kind: Target
name: %[1]s
protocol: postgres
address: %[2]s
database: ` + databaseName + `
labels: {corpus: %[3]s}
credential: %[4]s
tls: {mode: disable}
---
kind: Functions
target: %[1]s
functions:
  "public.order_total(integer)": read
  "public.fmt_money(numeric)": read
`

// labels mark the columns that postgres/policy.json names. A composite value and
// a document are labelled whole.
const labels = `---
kind: Labels
target: %s
columns:
  pii: [public.customers.email, public.customers.ssn, public.profiles.contact, public.profiles.doc]
  card: [public.customers.card_number, public.payments.card_number]
`

// Gateway is `sallyport serve` as a child process, with one target for each
// policy and role.
type Gateway struct {
	// Address is host:port for PostgreSQL clients.
	Address string
	// Token is what the corpus's agent logs in with.
	Token string

	// database names the target of a policy and role; nil means targetName.
	database func(policy, role string) string

	dir    string
	cmd    *exec.Cmd
	ended  chan error
	issuer *http.Server
	served chan error
}

// StartGateway runs the program in front of the database. An empty program is
// built first. The caller stops it with [Gateway.Stop].
func StartGateway(ctx context.Context, program string, d *Database) (*Gateway, error) {
	g := &Gateway{}
	if err := g.start(ctx, program, d); err != nil {
		return nil, errors.Join(fmt.Errorf("start the gateway: %w", err), g.Stop())
	}
	return g, nil
}

func (g *Gateway) start(ctx context.Context, program string, d *Database) (err error) {
	if g.dir, err = os.MkdirTemp("", "sallyport-corpus-"); err != nil {
		return err
	}
	if program == "" {
		program = filepath.Join(g.dir, "sallyport")
		if err := build(ctx, program); err != nil {
			return err
		}
	}
	if program, err = filepath.Abs(program); err != nil {
		return err
	}
	issuer, err := g.startIssuer()
	if err != nil {
		return err
	}
	if err := g.configure(issuer, d.Address()); err != nil {
		return err
	}
	if g.Token, err = issuer.Mint(devissuer.Claims{Subject: "corpus", Audience: audience, Lifetime: 55 * time.Minute}); err != nil {
		return err
	}
	if err := g.launch(program); err != nil {
		return err
	}
	return g.awaitReady(ctx)
}

func build(ctx context.Context, program string) error {
	root, err := moduleRoot()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-o", program, "./cmd/sallyport")
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build the gateway: %w\n%s", err, out)
	}
	return nil
}

// startIssuer serves a development issuer on loopback.
func (g *Gateway) startIssuer() (*devissuer.Issuer, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	issuer, err := devissuer.New(devissuer.Config{URL: "http://" + l.Addr().String()})
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	g.issuer, g.served = &http.Server{Handler: issuer, ReadHeaderTimeout: patience}, make(chan error, 1)
	go func() { g.served <- g.issuer.Serve(l) }() // Stop ends it
	return issuer, nil
}

// configure writes sallyport.yaml and the documents.
func (g *Gateway) configure(issuer *devissuer.Issuer, database string) error {
	console, err := port.FreeAddress()
	if err != nil {
		return err
	}
	if g.Address, err = port.FreeAddress(); err != nil {
		return err
	}
	docs := strings.ReplaceAll(documents, "ISSUER", issuer.URL())
	for _, policy := range []string{"readonly", maskPolicy, "default"} {
		for _, role := range []string{roleAgent, roleSuper} {
			name := targetName(policy, role)
			docs += fmt.Sprintf(target, name, database, policy, strings.ReplaceAll(role, "_", "-"))
			if policy == maskPolicy {
				docs += fmt.Sprintf(labels, name)
			}
		}
	}
	if err := os.Mkdir(filepath.Join(g.dir, "documents"), 0o700); err != nil {
		return err
	}
	for name, content := range map[string]string{
		"sallyport.yaml":        fmt.Sprintf(configuration, console, g.Address),
		"documents/corpus.yaml": docs,
		"password":              "trusted\n", // the database trusts loopback
	} {
		if err := os.WriteFile(filepath.Join(g.dir, name), []byte(content), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// targetName is the database name by which the gateway knows a target.
func targetName(policy, role string) string {
	if role == roleSuper {
		return "corpus-" + policy + "-su"
	}
	return "corpus-" + policy
}

func (g *Gateway) launch(program string) error {
	log, err := os.Create(g.logFile())
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	g.cmd = exec.Command(program, "serve", "--config", filepath.Join(g.dir, "sallyport.yaml"))
	g.cmd.Dir, g.cmd.Stdout, g.cmd.Stderr = g.dir, log, log
	if err := g.cmd.Start(); err != nil {
		g.cmd = nil
		return err
	}
	g.ended = make(chan error, 1)
	go func() { g.ended <- g.cmd.Wait() }()
	return nil
}

// awaitReady waits until the gateway listens.
func (g *Gateway) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		var d net.Dialer
		c, err := d.DialContext(ctx, "tcp", g.Address)
		if err == nil {
			return c.Close()
		}
		select {
		case err := <-g.ended:
			g.cmd = nil
			return fmt.Errorf("it ended (%v); its log:\n%s", err, g.Log())
		case <-ctx.Done():
			return fmt.Errorf("it does not listen: %w; its log:\n%s", ctx.Err(), g.Log())
		case <-tick.C:
		}
	}
}

// Log is the end of what the gateway logged.
func (g *Gateway) Log() string {
	const most = 8000
	text, err := os.ReadFile(g.logFile())
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-most):])
}

func (g *Gateway) logFile() string { return filepath.Join(g.dir, "gateway.log") }

// login is a log-in to the target of a policy.
func (g *Gateway) login(policy, role string) login {
	name := targetName
	if g.database != nil {
		name = g.database
	}
	return login{address: g.Address, user: role, database: name(policy, role), token: g.Token}
}

// Stop ends the gateway and removes its files.
func (g *Gateway) Stop() error {
	var errs []error
	if g.cmd != nil {
		_ = g.cmd.Process.Signal(syscall.SIGTERM)
		timer := time.NewTimer(stopPatience)
		defer timer.Stop()
		select {
		case <-g.ended:
		case <-timer.C:
			_ = g.cmd.Process.Kill()
			<-g.ended
			errs = append(errs, errors.New("the gateway did not stop and was killed"))
		}
	}
	if g.issuer != nil {
		errs = append(errs, g.issuer.Close())
		<-g.served
	}
	if g.dir != "" {
		errs = append(errs, os.RemoveAll(g.dir))
	}
	return errors.Join(errs...)
}
