package sshcorpus

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport-gateway/sallyport/test/sshtest"
)

//go:embed template.sh
var templateScript string

// lockName is the lock of the accounts and their home.
const lockName = "sallyport-corpus-ssh"

// Host is a bare sshd with the accounts of the corpus.
type Host struct {
	// Server is the sshd.
	Server *sshtest.Server
	// Door is the straight way to it.
	Door *Door

	bed    bed
	dir    string
	unlock func()
}

// StartHost waits for the accounts, makes the template and starts the server. The
// caller stops it with [Host.Stop].
func StartHost(ctx context.Context) (*Host, error) {
	h := &Host{}
	if err := h.start(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("start the host: %w", err), h.Stop())
	}
	return h, nil
}

func (h *Host) start(ctx context.Context) (err error) {
	if h.unlock, err = sshtest.Lock(ctx, lockName); err != nil {
		return err
	}
	if h.dir, err = os.MkdirTemp("", "sallyport-corpus-ssh-"); err != nil {
		return err
	}
	accounts := []sshtest.Account{
		{Name: bashAccount, UID: accountUID, Shell: "/bin/bash", Home: home},
		{Name: dashAccount, UID: accountUID, Shell: "/bin/sh", Home: home},
	}
	port := casesPort // as the cases have it, if nobody else has it
	if listens(port) {
		port = 0
	}
	if h.Server, err = sshtest.Start(ctx, sshtest.Options{Accounts: accounts, Port: port, LogLevel: "ERROR"}); err != nil {
		return err
	}
	h.bed.template = filepath.Join(h.dir, "template")
	cmd := exec.CommandContext(ctx, "bash", "-s", "--", h.bed.template, bashAccount)
	// The template is made with root's home out of sight, and without the settings
	// of whoever runs this.
	cmd.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=" + h.dir, "LANG=C.UTF-8"}
	cmd.Stdin = strings.NewReader(templateScript)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("make the template: %w: %s", err, out)
	}
	h.Door = &Door{
		Address: h.Server.Address(), HostKey: ssh.FixedHostKey(h.Server.Host.Public()),
		Login: func(account string) (string, []ssh.AuthMethod) {
			return account, []ssh.AuthMethod{ssh.PublicKeys(h.Server.Client.Signer)}
		},
	}
	return h.bed.reset()
}

// Port is where the server listens.
func (h *Host) Port() int { return h.Server.Port }

// Stop ends what the cases left and the server, and removes all that it wrote but
// the accounts.
func (h *Host) Stop() error {
	var errs []error
	if h.Door != nil {
		h.Door.Close()
		errs = append(errs, h.bed.reset())
	}
	if h.Server != nil {
		errs = append(errs, h.Server.Stop())
	}
	if h.dir != "" {
		errs = append(errs, os.RemoveAll(h.dir))
	}
	if h.unlock != nil {
		h.unlock()
	}
	return errors.Join(errs...)
}
