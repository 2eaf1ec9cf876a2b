//go:build cgo && unix

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	cryptossh "golang.org/x/crypto/ssh"

	"github.com/sallyport-gateway/sallyport/internal/pgserver"
	"github.com/sallyport-gateway/sallyport/internal/proto/ssh"
)

// demoHost is the host of the demo: a private sshd, which serves the one account that
// it runs as, on loopback. It needs no root; where the demo is root, it runs as the
// unprivileged account of the database.
type demoHost struct {
	dir     string // keys and configuration of sshd
	work    string // what agents work on
	port    int
	key     string // the host key, as in a document
	account string
	ssh     string // the client
}

// What lies on the host.
const (
	demoStripeKey = "sk_live_51NabcDEFghiJKLmnoPQRstuVWXyz0123456789abcd" //nolint:gosec // of nobody
	demoHostCard  = "4012888888881881"                                    // a number for tests
	demoLog       = `12:04:09 GET /cart 200
12:04:11 payment declined card=` + demoHostCard + ` order=4711
12:04:11 retry with STRIPE_KEY=` + demoStripeKey + `
12:04:12 payment ok order=4711
`
	demoOldConfig = "workers = 4\n"
	demoNewConfig = "workers = 8\n"
)

// errNoSSH says that the programs of OpenSSH are missing.
var errNoSSH = &hintError{err: errors.New("there is no OpenSSH server or client here"),
	hint: "make demo installs them; or, on Debian and Ubuntu: apt-get install openssh-server openssh-client"}

func (h *demoHost) address() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(h.port)) }

// file is one of sshd's, place one that agents see.
func (h *demoHost) file(name string) string  { return filepath.Join(h.dir, name) }
func (h *demoHost) place(name string) string { return filepath.Join(h.work, name) }

// startHost starts sshd and waits until it answers.
func (w *demoWorld) startHost(ctx context.Context) (err error) {
	h := &w.host
	if h.ssh, err = exec.LookPath("ssh"); err != nil {
		return errNoSSH
	}
	program := "/usr/sbin/sshd" // it wants an absolute path, to run itself again
	if _, err := os.Stat(program); err != nil {
		if program, err = exec.LookPath("sshd"); err != nil {
			return errNoSSH
		}
	}
	if h.dir, err = os.MkdirTemp("", "sallyport-demo-host-"); err != nil {
		return err
	}
	w.onClose(func() error { return os.RemoveAll(h.dir) })
	// A path without symbolic links, as the host will say it.
	if h.dir, err = filepath.EvalSymlinks(h.dir); err != nil {
		return err
	}
	h.work = h.file("srv")
	cmd := exec.CommandContext(context.WithoutCancel(ctx), program, "-D", "-e", "-f", h.file("sshd_config"))
	paths, err := h.furnish()
	if err != nil {
		return err
	}
	if err := pgserver.Unprivileged(cmd, paths...); err != nil {
		return err
	}
	if err := h.findAccount(); err != nil {
		return err
	}
	for try := 0; ; try++ {
		done, err := w.launchHost(ctx, cmd)
		if err == nil || try == 4 || !errors.Is(err, errHostEnded) {
			return err
		}
		<-done // somebody took the port first
		cmd = again(ctx, cmd)
	}
}

// again is the command once more: an exec.Cmd runs once.
func again(ctx context.Context, cmd *exec.Cmd) *exec.Cmd {
	next := exec.CommandContext(context.WithoutCancel(ctx), cmd.Path, cmd.Args[1:]...)
	next.SysProcAttr = cmd.SysProcAttr
	return next
}

// furnish writes sshd's keys and what agents find, and returns all of it.
func (h *demoHost) furnish() ([]string, error) {
	key, err := ssh.GenerateKey()
	if err != nil {
		return nil, err
	}
	if h.key, err = ssh.PublicKey(key); err != nil {
		return nil, err
	}
	for _, dir := range []string{h.work, h.place("log"), h.place("conf"), h.place("keys")} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			return nil, err
		}
	}
	for name, text := range map[string]string{
		h.file("host"): key.Reveal(), h.file("ca.pub"): "", h.place("log/app.log"): demoLog, h.place("conf/app.conf"): demoOldConfig,
		h.place("conf/app.conf.new"): demoNewConfig, h.place("keys/stripe"): demoStripeKey + "\n",
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	// Another name for the secret, as an attacker would make one.
	if err := os.Symlink("../keys/stripe", h.place("log/latest")); err != nil {
		return nil, err
	}
	paths := []string{h.dir}
	err = filepath.WalkDir(h.dir, func(path string, _ os.DirEntry, err error) error {
		paths = append(paths, path)
		return err
	})
	return paths, err
}

// findAccount finds whom sshd runs as: the owner of its folder.
func (h *demoHost) findAccount() error {
	info, err := os.Stat(h.dir)
	if err != nil {
		return err
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return errors.New("the owner of a folder is not known here")
	}
	u, err := user.LookupId(strconv.FormatUint(uint64(owner.Uid), 10))
	if err != nil {
		return err
	}
	h.account = u.Username
	return nil
}

// errHostEnded says that sshd ended at once.
var errHostEnded = errors.New("sshd has ended")

// launchHost picks a port, starts sshd and waits until it answers.
func (w *demoWorld) launchHost(ctx context.Context, cmd *exec.Cmd) (done chan struct{}, err error) {
	h := &w.host
	if h.port, err = freePort(); err != nil {
		return nil, err
	}
	config := fmt.Sprintf(`ListenAddress 127.0.0.1
Port %d
HostKey %s
TrustedUserCAKeys %s
AllowUsers %s
PidFile none
AuthorizedKeysFile none
AuthenticationMethods publickey
UsePAM no
StrictModes no
AllowTcpForwarding no
AllowStreamLocalForwarding no
AllowAgentForwarding no
X11Forwarding no
PermitTunnel no
PermitUserRC no
MaxSessions 64
Subsystem sftp internal-sftp
`, h.port, h.file("host"), h.file("ca.pub"), h.account)
	if err := os.WriteFile(h.file("sshd_config"), []byte(config), 0o644); err != nil { //nolint:gosec // no secret; sshd's account reads it
		return nil, err
	}
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	done = make(chan struct{})
	go func() { // ends with sshd
		_ = cmd.Wait()
		close(done)
	}()
	if err := h.awaitAnswer(ctx, done); err != nil {
		_ = cmd.Process.Kill()
		<-done
		return done, fmt.Errorf("start sshd: %w: %s", err, strings.TrimSpace(log.String()))
	}
	w.onClose(func() error {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		<-done
		return nil
	})
	return done, nil
}

func (h *demoHost) awaitAnswer(ctx context.Context, done <-chan struct{}) error {
	return until(ctx, "wait for sshd to answer", func() (bool, error) {
		select {
		case <-done:
			return false, errHostEnded
		default:
		}
		c, err := net.DialTimeout("tcp", h.address(), time.Second)
		if err != nil {
			return false, nil
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(5 * time.Second))
		greeting := make([]byte, len("SSH-2.0-"))
		_, err = io.ReadFull(c, greeting)
		return err == nil && string(greeting) == "SSH-2.0-", nil
	})
}

// trust makes the host let in who has a certificate of an authority. sshd reads the
// file at each log-in.
func (h *demoHost) trust(script string) error {
	for line := range strings.Lines(script) {
		_, rest, found := strings.Cut(line, "'ssh-ed25519 ")
		key, _, closed := strings.Cut(rest, "'")
		if !found || !closed {
			continue
		}
		authority := "ssh-ed25519 " + key
		if _, _, _, _, err := cryptossh.ParseAuthorizedKey([]byte(authority)); err != nil {
			return fmt.Errorf("the authority in the script: %w", err)
		}
		f, err := os.OpenFile(h.file("ca.pub"), os.O_WRONLY|os.O_TRUNC, 0)
		if err != nil {
			return err
		}
		_, err = f.WriteString(authority + "\n")
		return errors.Join(err, f.Close())
	}
	return &mismatch{"the public key of an authority in the script", script}
}

// sshCommand prepares a stock ssh whose environment has nothing of the caller's.
func (w *demoWorld) sshCommand(ctx context.Context, line string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, w.host.ssh, "-F", "ssh/config", "web", line)
	cmd.Dir = w.dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + w.dir, "LC_ALL=C.UTF-8"}
	cmd.WaitDelay = 5 * time.Second
	return cmd
}
