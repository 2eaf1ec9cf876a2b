package slice_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sallyport-gateway/sallyport/test/port"
)

// settings are what a test wants of a gateway.
type settings struct {
	// process are further lines of sallyport.yaml.
	process string
	// documents are files of the documents folder, by name.
	documents map[string]string
	// prefix is a command line that runs the program, as of a shell that limits it.
	prefix []string
	// environment is added to the child's.
	environment []string
}

// gateway is one configuration folder, and the process that runs on it.
type gateway struct {
	dir       string
	console   int
	port      int
	ca        string
	program   string
	prefix    []string
	env       []string
	processes int // started so far

	cmd   *exec.Cmd
	ended chan error

	mu  sync.Mutex
	out bytes.Buffer // guarded by mu: what the processes logged
}

// newGateway writes a configuration folder. The password of the target is in a
// file outside of the state.
func newGateway(t testing.TB, w *world, s settings) *gateway {
	t.Helper()
	dir, err := os.MkdirTemp(w.dir, "gateway-")
	if err != nil {
		t.Fatal(err)
	}
	g := &gateway{dir: dir, program: w.program, prefix: s.prefix, env: s.environment, console: freePort(t), port: freePort(t),
		ca: filepath.Join(dir, "data", "gateway.crt")}
	files := map[string]string{
		"password": password + "\n",
		"sallyport.yaml": fmt.Sprintf("listen: {console: '127.0.0.1:%d', postgres: '127.0.0.1:%d'}\n%s", g.console, g.port,
			s.process),
	}
	for name, text := range s.documents {
		files["documents/"+name] = text
	}
	if err := os.Mkdir(filepath.Join(dir, "documents"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		g.write(t, name, text)
	}
	return g
}

// startGateway starts a gateway of a test's own.
func startGateway(t testing.TB, w *world, s settings) *gateway {
	t.Helper()
	g := newGateway(t, w, s)
	g.start(t)
	return g
}

func (g *gateway) write(t testing.TB, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(g.dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// start runs the program and returns when it says that it is ready.
func (g *gateway) start(t testing.TB) {
	t.Helper()
	line := append(append([]string(nil), g.prefix...), g.program, "serve", "--config", filepath.Join(g.dir, "sallyport.yaml"))
	cmd := exec.Command(line[0], line[1:]...)
	cmd.Dir = g.dir
	cmd.Env = append(os.Environ(), g.env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ready, ended := make(chan bool, 1), make(chan error, 1)
	go func() { // ends with the process
		lines := bufio.NewScanner(stderr)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			g.mu.Lock()
			g.out.WriteString(lines.Text() + "\n")
			g.mu.Unlock()
			if strings.Contains(lines.Text(), "msg=ready ") {
				ready <- true
			}
		}
		ended <- cmd.Wait()
	}()
	g.cmd, g.ended = cmd, ended
	if g.processes++; g.processes == 1 {
		t.Cleanup(func() { g.stop(t) })
	}
	select {
	case <-ready:
	case err := <-ended:
		g.cmd = nil
		t.Fatalf("the gateway ended: %v\n%s", err, g.log())
	case <-time.After(patience):
		t.Fatalf("the gateway is not ready:\n%s", g.log())
	}
}

// stop ends the process as an operator would.
func (g *gateway) stop(t testing.TB) {
	t.Helper()
	if g.cmd == nil {
		return
	}
	_ = g.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-g.ended:
	case <-time.After(patience):
		_ = g.cmd.Process.Kill()
		<-g.ended
		t.Errorf("the gateway did not stop:\n%s", g.log())
	}
	g.cmd = nil
	if log := g.log(); strings.Contains(log, "panic") || strings.Contains(log, "goroutine ") {
		t.Errorf("the gateway panicked:\n%s", log)
	}
}

// kill ends the process as a crash would.
func (g *gateway) kill() {
	_ = g.cmd.Process.Kill()
	<-g.ended
	g.cmd = nil
}

// log is what all processes of the gateway wrote.
func (g *gateway) log() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.out.String()
}

// answer is what a command line printed.
type answer struct {
	out, err string
	code     int
}

// cli runs a subcommand with the token, which may be empty.
func (g *gateway) cli(t testing.TB, token string, args ...string) answer {
	t.Helper()
	return g.cliInput(t, token, "", args...)
}

func (g *gateway) cliInput(t testing.TB, token, input string, args ...string) answer {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, g.program, args...)
	cmd.Dir = g.dir
	cmd.Stdin = strings.NewReader(input)
	cmd.Env = append(os.Environ(), append(g.env, fmt.Sprintf("SALLYPORT_API=https://127.0.0.1:%d", g.console),
		"SALLYPORT_CA="+g.ca, "SALLYPORT_TOKEN="+token)...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return answer{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// must runs a subcommand that has to succeed and returns what it printed.
func (g *gateway) must(t testing.TB, token string, args ...string) string {
	t.Helper()
	a := g.cli(t, token, args...)
	if a.code != 0 {
		t.Fatalf("sallyport %s: exit %d\n%s%s", strings.Join(args, " "), a.code, a.out, a.err)
	}
	return a.out
}

// list runs a subcommand with --json and decodes what it prints.
func (g *gateway) list(t testing.TB, into any, token string, args ...string) {
	t.Helper()
	if err := json.Unmarshal([]byte(g.must(t, token, append(args, "--json")...)), into); err != nil {
		t.Fatal(err)
	}
}

// url is a connection string for a target of the gateway, over verified TLS.
func (g *gateway) url(target string) string {
	return fmt.Sprintf("host=127.0.0.1 port=%d dbname=%s user=%s sslmode=verify-full sslrootcert=%s", g.port, target, role, g.ca)
}

// agent is a pgx connection with the notices that arrived on it.
type agent struct {
	*pgx.Conn
	notices chan *pgconn.Notice
}

// connect logs in as an agent with a token.
func (g *gateway) connect(t testing.TB, target, token string) *agent {
	t.Helper()
	a, err := g.tryConnect(target, token)
	if err != nil {
		t.Fatalf("log in to %s: %v", target, err)
	}
	t.Cleanup(func() { a.leave() })
	return a
}

func (g *gateway) tryConnect(target, token string) (*agent, error) {
	config, err := pgx.ParseConfig(g.url(target))
	if err != nil {
		return nil, err
	}
	config.Password = token
	a := &agent{notices: make(chan *pgconn.Notice, 100)}
	config.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) { a.notices <- n }
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	a.Conn, err = pgx.ConnectConfig(ctx, config)
	return a, err
}

func (a *agent) leave() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = a.Close(ctx)
}

// run sends one simple query and returns its rows as text and its error.
func (a *agent) run(sql string) ([][]string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*patience)
	defer cancel()
	results, err := a.PgConn().Exec(ctx, sql).ReadAll()
	var rows [][]string
	for _, r := range results {
		for _, row := range r.Rows {
			var cells []string
			for _, v := range row {
				cells = append(cells, string(v))
			}
			rows = append(rows, cells)
		}
	}
	return rows, err
}

// want runs a query and compares its rows, each "a|b".
func (a *agent) want(t testing.TB, sql string, want ...string) {
	t.Helper()
	rows, err := a.run(sql)
	if err != nil {
		t.Errorf("%s: %s", sql, describe(err))
		return
	}
	if got := joined(rows); strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("%s: rows %q, want %q", sql, got, want)
	}
}

func joined(rows [][]string) []string {
	var out []string
	for _, r := range rows {
		out = append(out, strings.Join(r, "|"))
	}
	return out
}

// refused runs a query that must be refused with a code, and a text in its
// message, detail or hint.
func (a *agent) refused(t testing.TB, sql, code, text string) *pgconn.PgError {
	t.Helper()
	_, err := a.run(sql)
	return wantError(t, sql, err, code, text)
}

func wantError(t testing.TB, what string, err error, code, text string) *pgconn.PgError {
	t.Helper()
	pg := pgError(err)
	if pg == nil || pg.Code != code || !strings.Contains(pg.Message+"\n"+pg.Detail+"\n"+pg.Hint, text) {
		t.Errorf("%s: %s; want %s with %q", what, describe(err), code, text)
		return &pgconn.PgError{}
	}
	return pg
}

// alive proves that a session goes on.
func (a *agent) alive(t testing.TB) {
	t.Helper()
	a.want(t, "SELECT 1", "1")
}

// eventually waits until a condition holds.
func eventually(t testing.TB, what string, within time.Duration, holds func() bool) {
	t.Helper()
	deadline := time.NewTimer(within)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-deadline.C:
			t.Fatalf("not within %v: %s", within, what)
		case <-tick.C:
		}
	}
}

func freePort(t testing.TB) int {
	t.Helper()
	n, err := port.Free()
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// files returns the content of every file under a folder, by path.
func files(t testing.TB, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		b, err := io.ReadAll(f)
		found[path] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
