package pgserver

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// Superuser is the server's superuser.
const Superuser = "postgres"

const (
	// startPatience is how long a server may take to accept connections.
	startPatience = 60 * time.Second
	// startTries is how often a start is tried when another process took the
	// free port first.
	startTries = 3
)

// Server is a running private PostgreSQL. Its methods are safe for concurrent
// use; its fields do not change.
type Server struct {
	// Host and Port are where it listens over TCP.
	Host string
	Port int
	// Socket is the folder of its unix socket. Only the server's account and root
	// can enter it; through it every role logs in without a password.
	Socket string
	// Password is the password of [Superuser].
	Password string
	// CAFile is the PEM file that verifies the server's certificate (which is for
	// localhost and 127.0.0.1); empty without TLS.
	CAFile string
	// Authority signed the server's certificate and can issue client
	// certificates; nil without TLS.
	Authority *Authority
	// Programs are the programs that run it.
	Programs Programs
	// Dir holds everything of the server; Data its data folder; LogFile its log.
	Dir, Data, LogFile string

	process *process
	// temporary: Stop removes Dir.
	temporary bool
}

// Start runs a private server and returns when it accepts connections and is
// set up as asked. The caller stops it with [Server.Stop]; on Linux it also
// stops when this process dies. ctx bounds the start only.
func Start(ctx context.Context, o Options) (*Server, error) {
	if err := o.check(); err != nil {
		return nil, fmt.Errorf("start PostgreSQL: %w", err)
	}
	programs, err := Find()
	if err != nil {
		return nil, fmt.Errorf("start PostgreSQL: %w", err)
	}
	acct, err := serverAccount()
	if err != nil {
		return nil, err
	}
	s := &Server{Host: "127.0.0.1", Password: rand.Text(), Programs: programs}
	if err := s.start(ctx, o, acct); err != nil {
		return nil, errors.Join(fmt.Errorf("start PostgreSQL: %w", err), s.Stop())
	}
	return s, nil
}

func (s *Server) start(ctx context.Context, o Options, acct *account) error {
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	if err := s.makeDirs(o, acct); err != nil {
		return err
	}
	if err := fillData(ctx, s.Programs, acct, s.Data); err != nil {
		return err
	}
	if err := s.writeTLS(o, acct); err != nil {
		return err
	}
	if err := s.writeFile("pg_hba.conf", []byte(o.hba()), acct); err != nil {
		return err
	}
	if err := s.launch(ctx, o, acct); err != nil {
		return err
	}
	for _, script := range o.setup(s.Password) {
		if err := s.Exec(ctx, script.Database, script.SQL); err != nil {
			return fmt.Errorf("set up: %w", err)
		}
	}
	return nil
}

// makeDirs makes the folders: one to hold all, data and socket, both private.
func (s *Server) makeDirs(o Options, acct *account) error {
	if o.Dir == "" {
		dir, err := os.MkdirTemp("", "sallyport-pg-")
		if err != nil {
			return err
		}
		s.Dir, s.temporary = dir, true
	} else {
		dir, err := filepath.Abs(o.Dir)
		if err != nil {
			return err
		}
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		s.Dir = dir
	}
	// The server's account must get through to the folders inside; these are 0700.
	if err := os.Chmod(s.Dir, 0o755); err != nil {
		return err
	}
	s.Data, s.Socket, s.LogFile = filepath.Join(s.Dir, "data"), filepath.Join(s.Dir, "socket"), filepath.Join(s.Dir, "postgres.log")
	for _, dir := range []string{s.Data, s.Socket} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			return err
		}
		if err := acct.own(dir); err != nil {
			return err
		}
	}
	return nil
}

func (s *Server) writeTLS(o Options, acct *account) error {
	if o.NoTLS {
		return nil
	}
	authority, err := NewAuthority()
	if err != nil {
		return err
	}
	pair, err := authority.IssueServer()
	if err != nil {
		return err
	}
	for name, content := range map[string][]byte{
		"server.crt": pair.CertPEM, "server.key": pair.KeyPEM, "ca.crt": authority.CertPEM,
	} {
		if err := s.writeFile(name, content, acct); err != nil {
			return err
		}
	}
	s.Authority, s.CAFile = authority, filepath.Join(s.Dir, "ca.crt")
	return os.WriteFile(s.CAFile, authority.CertPEM, 0o644)
}

// writeFile writes a file of the data folder.
func (s *Server) writeFile(name string, content []byte, acct *account) error {
	path := filepath.Join(s.Data, name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		return err
	}
	return acct.own(path)
}

// launch runs postgres, again on another port when the free one was taken
// between finding and using it.
func (s *Server) launch(ctx context.Context, o Options, acct *account) error {
	base, err := os.ReadFile(filepath.Join(s.Data, "postgresql.conf"))
	if err != nil {
		return err
	}
	tries := startTries
	if o.Port != 0 {
		tries = 1
	}
	for try := 1; ; try++ {
		s.Port = o.Port
		if s.Port == 0 {
			if s.Port, err = freePort(s.Host); err != nil {
				return err
			}
		}
		conf := string(base) + o.conf(s.Port, s.Socket)
		if err := s.writeFile("postgresql.conf", []byte(conf), acct); err != nil {
			return err
		}
		if err = s.run(ctx, acct); err == nil {
			return nil
		}
		if try == tries || ctx.Err() != nil {
			return err
		}
	}
}

// run starts the process and waits until it answers.
func (s *Server) run(ctx context.Context, acct *account) error {
	logFile, err := os.OpenFile(s.LogFile, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = logFile.Close() }()
	cmd := exec.Command(filepath.Join(s.Programs.Dir, "postgres"), "-D", s.Data)
	cmd.Dir = s.Data
	cmd.Env = serverEnv()
	cmd.Stdout, cmd.Stderr = logFile, logFile
	cmd.SysProcAttr = acct.attributes()
	dieWithParent(cmd.SysProcAttr)
	if s.process, err = startProcess(cmd); err != nil {
		return err
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		if err = s.Exec(ctx, "", "SELECT 1"); err == nil {
			return nil
		}
		select {
		case <-s.process.done:
			return fmt.Errorf("postgres ended (%v); its log:\n%s", s.process.err, s.logTail())
		case <-ctx.Done():
			return fmt.Errorf("wait for postgres: %w (last: %v); its log:\n%s", ctx.Err(), err, s.logTail())
		case <-tick.C:
		}
	}
}

// Stop ends the server and removes its folder unless the caller chose it. A
// second call does nothing.
func (s *Server) Stop() error {
	var err error
	if s.process != nil {
		signal := syscall.SIGINT // fast shutdown: disconnects, checkpoints, ends
		if s.temporary {
			signal = syscall.SIGQUIT // immediate: nothing is kept
		}
		err = s.process.stop(signal)
	}
	if s.temporary && s.Dir != "" {
		err = errors.Join(err, os.RemoveAll(s.Dir))
	}
	return err
}

// PID is the process id of the postmaster; backends are its children.
func (s *Server) PID() int { return s.process.cmd.Process.Pid }

// Address is host:port.
func (s *Server) Address() string { return net.JoinHostPort(s.Host, strconv.Itoa(s.Port)) }

// URL is a connection string over TCP, with TLS verified in full where the
// server has it. An empty user means [Superuser] with its password; an empty
// database means "postgres".
func (s *Server) URL(database, user, password string) string {
	if user == "" {
		user, password = Superuser, s.Password
	}
	if database == "" {
		database = "postgres"
	}
	query := url.Values{"sslmode": {"disable"}}
	if s.CAFile != "" {
		query = url.Values{"sslmode": {"verify-full"}, "sslrootcert": {s.CAFile}}
	}
	u := url.URL{Scheme: "postgres", User: url.UserPassword(user, password), Host: s.Address(), Path: "/" + database, RawQuery: query.Encode()}
	return u.String()
}

func freePort(host string) (int, error) {
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	return port, l.Close()
}
