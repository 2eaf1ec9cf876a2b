//go:build cgo && unix

package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"embed"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/sallyport-gateway/sallyport/internal/config"
	"github.com/sallyport-gateway/sallyport/internal/identity/devissuer"
	"github.com/sallyport-gateway/sallyport/internal/pgserver"
)

// What the demo's documents are about.
const (
	demoTarget   = "shop"
	demoRole     = "sallyport_shop"
	demoAudience = "sallyport"
	demoApprover = "dana"
	// demoLifetime is how long the tokens live that people go on with by hand.
	demoLifetime = time.Hour
	// demoPatience bounds every wait of the demo for something that takes a moment.
	demoPatience = 30 * time.Second
)

// demoFiles are the shop's data and the configuration, as a person writes it.
//
//go:embed demo
var demoFiles embed.FS

// demoWorld is everything that the story plays in. Its parts are closed in the
// reverse order of their start.
type demoWorld struct {
	dir          string // configuration, state and tokens
	psql         string // the program
	server       *pgserver.Server
	password     string // of demoRole
	agents       *devissuer.Issuer
	people       *devissuer.Issuer
	consolePort  int
	postgresPort int
	sshPort      int
	host         demoHost
	gatewayDone  chan error // the gateway's end

	closers []func() error
}

func (w *demoWorld) onClose(f func() error) { w.closers = append(w.closers, f) }

func (w *demoWorld) close() error {
	var errs []error
	for i := len(w.closers) - 1; i >= 0; i-- {
		errs = append(errs, w.closers[i]())
	}
	w.closers = nil
	return errors.Join(errs...)
}

func (w *demoWorld) file(name string) string { return filepath.Join(w.dir, name) }
func (w *demoWorld) caFile() string          { return w.file("data/gateway.crt") }
func (w *demoWorld) configFile() string      { return w.file("sallyport.yaml") }
func (w *demoWorld) tokenFile(who string) string {
	return w.file(who + ".token")
}
func (w *demoWorld) api() string { return "https://127.0.0.1:" + strconv.Itoa(w.consolePort) }

// openDir makes or takes over the folder. One demo at a time has a folder; what
// an earlier one left in it, which may have crashed, is removed.
func (w *demoWorld) openDir(dir string) (err error) {
	if dir == "" {
		if w.dir, err = os.MkdirTemp("", "sallyport-demo-"); err == nil {
			w.onClose(func() error { return os.RemoveAll(w.dir) })
		}
		return err
	}
	if w.dir, err = filepath.Abs(dir); err != nil {
		return err
	}
	if err := os.MkdirAll(w.dir, 0o700); err != nil {
		return err
	}
	entries, err := os.ReadDir(w.dir)
	if err != nil {
		return err
	}
	lock := w.file(".sallyport-demo")
	if _, err := os.Lstat(lock); err != nil && len(entries) > 0 {
		return &hintError{err: fmt.Errorf("%s holds other files", w.dir), hint: "Give a new or empty folder, or that of an earlier demo.", code: exitConflict}
	}
	f, err := os.OpenFile(lock, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	w.onClose(f.Close)
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil { //nolint:gosec // a descriptor is small
		return &hintError{err: fmt.Errorf("another demo runs in %s", w.dir), hint: "Give another folder, or none.", code: exitConflict}
	}
	for _, left := range []string{"data", "documents", "sallyport.yaml", "gateway.log", "upstream-ca.crt", "env", "ssh"} {
		if err := os.RemoveAll(w.file(left)); err != nil {
			return err
		}
	}
	return nil
}

// startTarget starts PostgreSQL with the shop's data and the gateway's role.
func (w *demoWorld) startTarget(ctx context.Context) (err error) {
	shop, err := demoFiles.ReadFile("demo/shop.sql")
	if err != nil {
		return err
	}
	w.password = rand.Text()
	w.server, err = pgserver.Start(ctx, pgserver.Options{
		Roles:     []pgserver.Role{{Name: "shop_owner"}, {Name: demoRole, Password: w.password, Attributes: "NOSUPERUSER NOINHERIT"}},
		Databases: []pgserver.Database{{Name: demoTarget, Owner: "shop_owner"}},
		Scripts: []pgserver.Script{
			{Database: demoTarget, SQL: string(shop)},
			// What reaches the database can be looked up in its log.
			{SQL: "ALTER ROLE " + demoRole + " SET log_statement = 'all'"},
		},
	})
	if err != nil {
		return err
	}
	w.onClose(w.server.Stop)
	if w.psql, err = w.server.Programs.Path("psql"); err != nil {
		return &hintError{err: err, hint: "Install the package postgresql-client, or run make deps."}
	}
	ca, err := os.ReadFile(w.server.CAFile)
	if err != nil {
		return err
	}
	return os.WriteFile(w.file("upstream-ca.crt"), ca, 0o600)
}

// startIssuers starts one issuer for agents and one for people.
func (w *demoWorld) startIssuers() (err error) {
	if w.agents, err = w.startIssuer(); err != nil {
		return err
	}
	w.people, err = w.startIssuer()
	return err
}

func (w *demoWorld) startIssuer() (*devissuer.Issuer, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	issuer, err := devissuer.New(devissuer.Config{URL: "http://" + l.Addr().String()})
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	server := &http.Server{Handler: issuer, ReadHeaderTimeout: 10 * time.Second}
	done := make(chan struct{})
	go func() { // ends with server.Close
		_ = server.Serve(l)
		close(done)
	}()
	w.onClose(func() error {
		err := server.Close()
		<-done
		return err
	})
	return issuer, nil
}

// demoAgent says what the token of an agent says.
func demoAgent(name, purpose, tier string) devissuer.Claims {
	return devissuer.Claims{Subject: name, ClientID: name, Audience: demoAudience, Lifetime: demoLifetime,
		Extra: map[string]any{"purpose": purpose, "risk_tier": tier}}
}

// mintTokens writes the tokens that the story and people afterwards use.
func (w *demoWorld) mintTokens() error {
	for who, c := range map[string]devissuer.Claims{
		"agent":  demoAgent("reporting-agent", "refunds", "low"),
		"agent2": demoAgent("support-agent", "support", "high"),
		"agent3": demoAgent("batch-agent", "statistics", "low"),
	} {
		if err := w.writeToken(who, w.agents, c); err != nil {
			return err
		}
	}
	return w.writeToken("approver", w.people, devissuer.Claims{Subject: demoApprover, ClientID: "sallyport-console", Audience: demoAudience,
		Lifetime: demoLifetime, Extra: map[string]any{"groups": []string{"dba"}}})
}

func (w *demoWorld) writeToken(who string, issuer *devissuer.Issuer, c devissuer.Claims) error {
	token, err := issuer.Mint(c)
	if err != nil {
		return err
	}
	return replaceFile(w.tokenFile(who), []byte(token+"\n"))
}

// token reads the token of someone.
func (w *demoWorld) token(who string) (string, error) {
	raw, err := readSmall(w.tokenFile(who))
	return trimLine(raw), err
}

// writeConfiguration writes what a person writes for a gateway of their own.
func (w *demoWorld) writeConfiguration() error {
	if err := os.MkdirAll(w.file("documents"), 0o700); err != nil {
		return err
	}
	if err := w.choosePorts(); err != nil {
		return err
	}
	places := strings.NewReplacer("AGENTS-URL", w.agents.URL(), "PEOPLE-URL", w.people.URL(), "UPSTREAM", w.server.Address(),
		"HOST-ADDRESS", w.host.address(), "HOST-KEY", w.host.key, "HOST-ACCOUNT", w.host.account, "HOST-FOLDER", w.host.work)
	for _, name := range []string{"identity.yaml", "policy.yaml", "shop.yaml", "web.yaml"} {
		text, err := demoFiles.ReadFile("demo/documents/" + name)
		if err != nil {
			return err
		}
		if err := os.WriteFile(w.file("documents/"+name), []byte(places.Replace(string(text))), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// choosePorts picks free ports and writes sallyport.yaml.
func (w *demoWorld) choosePorts() (err error) {
	if w.consolePort, err = freePort(); err != nil {
		return err
	}
	if w.postgresPort, err = freePort(); err != nil {
		return err
	}
	if w.sshPort, err = freePort(); err != nil {
		return err
	}
	text, err := demoFiles.ReadFile("demo/sallyport.yaml")
	if err != nil {
		return err
	}
	return os.WriteFile(w.configFile(), fmt.Appendf(nil, string(text), w.consolePort, w.postgresPort, w.sshPort), 0o600)
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}

// startGateway starts the gateway in this process, as serve does. When another
// process takes one of the ports first, it picks others.
func (w *demoWorld) startGateway(ctx context.Context) error {
	log, err := os.OpenFile(w.file("gateway.log"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	w.onClose(log.Close)
	for try := 0; ; try++ {
		err := w.tryGateway(ctx, log)
		if err == nil || try == 4 || !errors.Is(err, syscall.EADDRINUSE) {
			return err
		}
		if err := w.choosePorts(); err != nil {
			return err
		}
	}
}

func (w *demoWorld) tryGateway(ctx context.Context, log io.Writer) error {
	cfg, err := config.LoadProcess(w.configFile(), protocolNames()...)
	if err != nil {
		return err
	}
	p, err := newProcess(ctx, cfg, newLog(cfg, log))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- p.serve(ctx, func() { close(ready) }) }()
	select {
	case <-ready:
	case err := <-done:
		cancel()
		return err
	}
	w.gatewayDone = done
	w.onClose(func() error {
		cancel()
		return <-done
	})
	return os.WriteFile(w.file("env"), []byte(w.environment()), 0o600)
}

// environment is a file for a shell: with it, psql and sallyport need no flags.
func (w *demoWorld) environment() string {
	var b strings.Builder
	export := func(name, value string) {
		fmt.Fprintf(&b, "export %s='%s'\n", name, strings.ReplaceAll(value, "'", `'\''`))
	}
	export("SALLYPORT_API", w.api())
	export("SALLYPORT_CA", w.caFile())
	export("SALLYPORT_TOKEN_FILE", w.tokenFile("approver"))
	export("PGHOST", "127.0.0.1")
	export("PGPORT", strconv.Itoa(w.postgresPort))
	export("PGDATABASE", demoTarget)
	export("PGUSER", "agent")
	export("PGSSLMODE", "verify-full")
	export("PGSSLROOTCERT", w.caFile())
	if program, err := os.Executable(); err == nil {
		fmt.Fprintf(&b, "PATH='%s':$PATH\n", strings.ReplaceAll(filepath.Dir(program), "'", `'\''`))
	}
	return b.String()
}

// direct asks the target itself, past the gateway.
func (w *demoWorld) direct(ctx context.Context, sql string) (string, error) {
	rows, err := w.server.Query(ctx, demoTarget, sql)
	if err != nil {
		return "", err
	}
	var lines []string
	for _, r := range rows {
		lines = append(lines, strings.Join(r, "|"))
	}
	return strings.Join(lines, "\n"), nil
}

// command runs a subcommand of this program, exactly as a shell would, and
// returns its exit code.
func (w *demoWorld) command(ctx context.Context, stdin string, out io.Writer, arguments ...string) int {
	err := run(ctx, arguments, strings.NewReader(stdin), out, out)
	if err != nil {
		report(out, err)
	}
	return exitCode(err)
}

// client runs a subcommand that speaks with the gateway, as someone.
func (w *demoWorld) client(ctx context.Context, who string, out io.Writer, arguments ...string) int {
	return w.command(ctx, "", out, append(arguments, "--api", w.api(), "--ca", w.caFile(), "--token-file", w.tokenFile(who))...)
}

// logTail is the end of the gateway's log.
func (w *demoWorld) logTail() string {
	const lines = 12
	raw, err := os.ReadFile(w.file("gateway.log"))
	if err != nil {
		return ""
	}
	all := bytes.SplitAfter(raw, []byte("\n"))
	return string(bytes.Join(all[max(0, len(all)-lines):], nil))
}

// until waits for a condition.
func until(ctx context.Context, what string, condition func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, demoPatience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		yes, err := condition()
		if err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		if yes {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", what, ctx.Err())
		case <-tick.C:
		}
	}
}
