package sshtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Account is an unprivileged account of this machine that may log in.
type Account struct {
	// Name is the account's name.
	Name string
	// UID is its number; 0 lets the machine choose. A number that another account
	// has already is shared with it, as is that one's group.
	UID int
	// Shell is its log-in shell; empty means /bin/bash.
	Shell string
	// Home is its home folder; empty means /home and the name. The folder is made,
	// empty, if it is not there.
	Home string
	// Password lets the account log in with this password until the server stops;
	// empty: by key only. Servers that run at the same time must not give one account
	// different passwords.
	Password string
}

// noPassword is the field of shadow(5) that no password matches and that, unlike
// "!", does not lock the account: sshd refuses locked accounts even with a key.
const noPassword = "*"

// accountsLock keeps servers that start at the same time from running useradd(8)
// at the same time, which fails.
const accountsLock = "sallyport-sshtest"

// ensureAccounts makes the accounts that are not there.
func ensureAccounts(ctx context.Context, accounts []Account) error {
	if os.Geteuid() != 0 {
		return errors.New("an SSH server for several accounts runs as root; run this as root or with sudo")
	}
	unlock, err := Lock(ctx, accountsLock)
	if err != nil {
		return err
	}
	defer unlock()
	for i := range accounts {
		if err := accounts[i].ensure(ctx); err != nil {
			return fmt.Errorf("account %s: %w", accounts[i].Name, err)
		}
	}
	return nil
}

// Lock waits for the exclusive use, among processes of this machine, of what a
// name stands for, and returns how to give it back.
func Lock(ctx context.Context, name string) (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(os.TempDir(), name+".lock"), os.O_CREATE|os.O_RDWR|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { _ = f.Close() }, nil // closing gives the lock back
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, errors.Join(fmt.Errorf("lock %s: %w", name, err), f.Close())
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(fmt.Errorf("wait for %s: %w", name, ctx.Err()), f.Close())
		case <-tick.C:
		}
	}
}

func (a *Account) home() string {
	if a.Home != "" {
		return a.Home
	}
	return filepath.Join("/home", a.Name)
}

func (a *Account) ensure(ctx context.Context) error {
	var unknown user.UnknownUserError
	if _, err := user.Lookup(a.Name); errors.As(err, &unknown) {
		if err := run(ctx, "", "useradd", a.useradd()...); err != nil {
			return err
		}
	} else if err != nil {
		return err
	}
	if err := a.setPassword(ctx, a.Password); err != nil {
		return err
	}
	return a.ensureHome()
}

func (a *Account) useradd() []string {
	shell := a.Shell
	if shell == "" {
		shell = "/bin/bash"
	}
	args := []string{"--no-create-home", "--home-dir", a.home(), "--shell", shell}
	if a.UID != 0 {
		args = append(args, "--uid", strconv.Itoa(a.UID), "--non-unique")
		if other, err := user.LookupId(strconv.Itoa(a.UID)); err == nil {
			args = append(args, "--gid", other.Gid)
		}
	}
	return append(args, a.Name)
}

// setPassword sets a password; empty takes it away.
func (a *Account) setPassword(ctx context.Context, password string) error {
	field := noPassword
	if password != "" {
		// SHA-512 of crypt(3); the password goes over standard input, not the command line.
		var out strings.Builder
		cmd := exec.CommandContext(ctx, "openssl", "passwd", "-6", "-stdin")
		cmd.Stdin, cmd.Stdout = strings.NewReader(password+"\n"), &out
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("openssl passwd: %w", err)
		}
		field = strings.TrimSpace(out.String())
	}
	return run(ctx, a.Name+":"+field+"\n", "chpasswd", "--encrypted")
}

func (a *Account) ensureHome() error {
	who, err := user.Lookup(a.Name)
	if err != nil {
		return err
	}
	err = os.Mkdir(a.home(), 0o755)
	if errors.Is(err, os.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	uid, gid, err := ids(who)
	if err != nil {
		return err
	}
	return os.Chown(a.home(), uid, gid)
}

func ids(who *user.User) (uid, gid int, err error) {
	if uid, err = strconv.Atoi(who.Uid); err != nil {
		return 0, 0, err
	}
	gid, err = strconv.Atoi(who.Gid)
	return uid, gid, err
}

// run runs a program to its end; its output is in the error.
func run(ctx context.Context, input, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdin = strings.NewReader(input)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, strings.TrimSpace(string(out)))
	}
	return nil
}
