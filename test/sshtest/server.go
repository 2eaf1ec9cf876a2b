package sshtest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
)

// startPatience is how long a server may take to answer.
const startPatience = 20 * time.Second

// Options are what a server should have. The zero value is a server that nobody
// can log in to.
type Options struct {
	// Accounts are who may log in; made if missing.
	Accounts []Account
	// Authorized are keys that may log in as each of the accounts, besides the
	// server's [Server.Client].
	Authorized []ssh.PublicKey
	// UserAuthorities are trusted to sign certificates of users (TrustedUserCAKeys).
	UserAuthorities []ssh.PublicKey
	// HostAuthority signs a certificate of the host key for 127.0.0.1; nil: none.
	HostAuthority *Key
	// Port is where to listen on loopback; 0 chooses a free one.
	Port int
	// Settings are further lines of sshd_config(5), by keyword. They go before ours,
	// and the first of a keyword counts, but for ListenAddress, Port and HostKey, which
	// add up.
	Settings map[string]string
	// LogLevel is sshd's; empty means VERBOSE.
	LogLevel string
}

// Server is a running sshd.
type Server struct {
	// Dir holds its configuration, keys and log. It goes with Stop.
	Dir string
	// Port is where it listens on 127.0.0.1.
	Port int
	// Host is its host key.
	Host *Key
	// Client is a key that may log in as each of the accounts.
	Client *Key

	accounts []Account
	process  *Process
}

// Start runs a server and returns when it answers. The caller stops it with
// [Server.Stop].
func Start(ctx context.Context, o Options) (*Server, error) {
	program, err := findServer()
	if err != nil {
		return nil, err
	}
	s := &Server{accounts: o.Accounts}
	if err := s.start(ctx, program, o); err != nil {
		return nil, errors.Join(fmt.Errorf("start sshd: %w", err), s.Stop())
	}
	return s, nil
}

// findServer is the absolute path of sshd, which it needs to run itself again
// for each connection.
func findServer() (string, error) {
	for _, path := range []string{"/usr/sbin/sshd", "/usr/local/sbin/sshd", "/usr/bin/sshd"} {
		if info, err := os.Stat(path); err == nil && info.Mode()&0o111 != 0 {
			return path, nil
		}
	}
	return "", errors.New("there is no OpenSSH server here; run make deps or install the package openssh-server")
}

func (s *Server) start(ctx context.Context, program string, o Options) (err error) {
	if err := ensureAccounts(ctx, o.Accounts); err != nil {
		return err
	}
	// sshd gives up its privileges in this folder, which Debian makes at boot.
	if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
		return err
	}
	if s.Dir, err = os.MkdirTemp("", "sshtest-"); err != nil {
		return err
	}
	// The accounts read authorized_keys below it.
	if err := os.Chmod(s.Dir, 0o755); err != nil {
		return err
	}
	if err := s.writeKeys(o); err != nil {
		return err
	}
	const tries = 3 // somebody may take a free port before sshd does
	for try := 1; ; try++ {
		if s.Port, err = choosePort(o.Port); err != nil {
			return err
		}
		if err := os.WriteFile(s.path("sshd_config"), []byte(s.configuration(o)), 0o644); err != nil {
			return err
		}
		if err := s.launch(program); err != nil {
			return err
		}
		err = s.awaitAnswer(ctx)
		if err == nil || try == tries || o.Port != 0 || ctx.Err() != nil {
			return err
		}
		if stopErr := s.process.stopAll(); stopErr != nil {
			return errors.Join(err, stopErr)
		}
	}
}

func (s *Server) launch(program string) error {
	log, err := os.OpenFile(s.path("sshd.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	cmd := exec.Command(program, "-D", "-e", "-f", s.path("sshd_config"))
	cmd.Stdout, cmd.Stderr = log, log
	s.process, err = StartProcess(cmd)
	return err
}

func choosePort(wanted int) (int, error) {
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(wanted)))
	if err != nil {
		return 0, err
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}

func (s *Server) path(name string) string { return filepath.Join(s.Dir, name) }

func (s *Server) writeKeys(o Options) (err error) {
	if s.Host, err = NewKey(); err != nil {
		return err
	}
	if s.Client, err = NewKey(); err != nil {
		return err
	}
	if err := errors.Join(s.Host.Write(s.path("host")), s.Client.Write(s.path("client"))); err != nil {
		return err
	}
	authorized := s.Client.Line() + "\n"
	for _, key := range o.Authorized {
		authorized += Line(key) + "\n"
	}
	var trusted string
	for _, key := range o.UserAuthorities {
		trusted += Line(key) + "\n"
	}
	if o.HostAuthority != nil {
		c := &ssh.Certificate{Key: s.Host.Public(), CertType: ssh.HostCert, KeyId: "sshtest host", ValidPrincipals: []string{"127.0.0.1", "localhost"}}
		if err := o.HostAuthority.Certify(c); err != nil {
			return err
		}
		if err := os.WriteFile(s.path("host-cert.pub"), []byte(Line(c)+"\n"), 0o644); err != nil {
			return err
		}
	}
	return errors.Join(
		os.WriteFile(s.path("authorized_keys"), []byte(authorized), 0o644),
		os.WriteFile(s.path("user_authorities"), []byte(trusted), 0o644),
	)
}

func (s *Server) configuration(o Options) string {
	var b strings.Builder
	for _, keyword := range slices.Sorted(maps.Keys(o.Settings)) {
		fmt.Fprintf(&b, "%s %s\n", keyword, o.Settings[keyword])
	}
	names := []string{"nobody-may-log-in"} // AllowUsers without a name would be an error
	passwords := "no"
	for _, a := range o.Accounts {
		names = append(names, a.Name)
		if a.Password != "" {
			passwords = "yes"
		}
	}
	level := o.LogLevel
	if level == "" {
		level = "VERBOSE"
	}
	lines := []string{
		"ListenAddress 127.0.0.1", "Port " + strconv.Itoa(s.Port), "HostKey " + s.path("host"), "PidFile none",
		"AllowUsers " + strings.Join(names, " "), "PermitRootLogin no", "StrictModes no", "UsePAM no",
		"AuthorizedKeysFile " + s.path("authorized_keys"), "PasswordAuthentication " + passwords, "KbdInteractiveAuthentication no",
		"UseDNS no", "PrintMotd no", "LogLevel " + level, "MaxStartups 1000", "MaxSessions 1000",
		"Subsystem sftp internal-sftp",
	}
	if len(o.UserAuthorities) > 0 {
		lines = append(lines, "TrustedUserCAKeys "+s.path("user_authorities"))
	}
	if o.HostAuthority != nil {
		lines = append(lines, "HostCertificate "+s.path("host-cert.pub"))
	}
	return b.String() + strings.Join(lines, "\n") + "\n"
}

// awaitAnswer waits until the server sends its version line (RFC 4253, section
// 4.2).
func (s *Server) awaitAnswer(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		if err := s.greeted(ctx); err == nil {
			return nil
		}
		select {
		case <-s.process.done:
			return fmt.Errorf("it ended (%v); its log:\n%s", s.process.err, s.Log())
		case <-ctx.Done():
			return fmt.Errorf("it does not answer: %w; its log:\n%s", ctx.Err(), s.Log())
		case <-tick.C:
		}
	}
}

func (s *Server) greeted(ctx context.Context) error {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", s.Address())
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	if err := c.SetReadDeadline(time.Now().Add(startPatience)); err != nil {
		return err
	}
	greeting := make([]byte, len("SSH-2.0-"))
	_, err = c.Read(greeting)
	if err == nil && string(greeting) != "SSH-2.0-" {
		err = fmt.Errorf("greeting %q", greeting)
	}
	return err
}

// Address is host:port.
func (s *Server) Address() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.Port)) }

// ClientKeyFile is the file of the private key that may log in.
func (s *Server) ClientKeyFile() string { return s.path("client") }

// KnownHosts is the line of a known_hosts file for this server, with a line
// break.
func (s *Server) KnownHosts() string {
	return fmt.Sprintf("[127.0.0.1]:%d %s\n", s.Port, s.Host.Line())
}

// PID is the process that listens.
func (s *Server) PID() int { return s.process.PID() }

// Log is what sshd logged so far.
func (s *Server) Log() string {
	text, err := os.ReadFile(s.path("sshd.log"))
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// Dial logs in as an account with [Server.Client].
func (s *Server) Dial(ctx context.Context, account string) (*ssh.Client, error) {
	return Dial(ctx, s.Address(), &ssh.ClientConfig{
		User: account, Auth: []ssh.AuthMethod{ssh.PublicKeys(s.Client.Signer)}, HostKeyCallback: ssh.FixedHostKey(s.Host.Public()),
	})
}

// Dial connects and logs in; ctx bounds both.
func Dial(ctx context.Context, address string, config *ssh.ClientConfig) (*ssh.Client, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = c.Close() })
	defer stop()
	conn, channels, requests, err := ssh.NewClientConn(c, address, config)
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return ssh.NewClient(conn, channels, requests), nil
}

// Stop ends the server with all its sessions, takes passwords away again and
// removes its folder.
func (s *Server) Stop() error {
	var errs []error
	if s.process != nil {
		errs = append(errs, s.process.stopAll())
	}
	for i := range s.accounts {
		if s.accounts[i].Password != "" {
			errs = append(errs, s.accounts[i].setPassword(context.Background(), ""))
		}
	}
	if s.Dir != "" {
		errs = append(errs, os.RemoveAll(s.Dir))
	}
	return errors.Join(errs...)
}
