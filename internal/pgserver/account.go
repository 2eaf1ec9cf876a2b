package pgserver

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"syscall"
)

// account is whom the server runs as; nil means this process's own account.
type account struct {
	uid, gid int
}

// serverAccount finds an unprivileged account when the process is root, which
// PostgreSQL refuses to run as.
func serverAccount() (*account, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err := strconv.Atoi(u.Uid)
		if err != nil || uid == 0 {
			continue
		}
		gid, err := strconv.Atoi(u.Gid)
		if err != nil {
			continue
		}
		return &account{uid: uid, gid: gid}, nil
	}
	return nil, fmt.Errorf("find an account for PostgreSQL: this process is root, which PostgreSQL refuses, " +
		"and there is neither a user postgres nor nobody")
}

// own gives a file or folder to the account.
func (a *account) own(path string) error {
	if a == nil {
		return nil
	}
	return os.Lchown(path, a.uid, a.gid)
}

// attributes are the process attributes that make a child run as the account.
func (a *account) attributes() *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{}
	if a != nil {
		attr.Credential = &syscall.Credential{Uid: uint32(a.uid), Gid: uint32(a.gid)}
	}
	return attr
}

// Unprivileged makes cmd run as the account that a server of this package would
// run as, and gives the paths to that account. It does nothing when the process
// is not root. It is for companions that refuse to run as root as well, such as
// PgBouncer.
func Unprivileged(cmd *exec.Cmd, paths ...string) error {
	acct, err := serverAccount()
	if err != nil {
		return err
	}
	for _, path := range paths {
		if err := acct.own(path); err != nil {
			return err
		}
	}
	cmd.SysProcAttr = acct.attributes()
	dieWithParent(cmd.SysProcAttr)
	return nil
}
