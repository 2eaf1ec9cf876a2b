package main

import (
	"context"
	"fmt"
	"net/url"

	"github.com/sallyport-gateway/sallyport/internal/api"
	"github.com/sallyport-gateway/sallyport/internal/gate"
	"github.com/sallyport-gateway/sallyport/internal/proto/ssh"
)

// openSSH makes the gateway's own SSH keys on the first start, or opens them. They
// are needed as soon as an SSH target or listener is configured, and cost nothing
// before.
func (p *process) openSSH(ctx context.Context) (err error) {
	var keys ssh.Keys
	var target gate.Secret
	for name, key := range map[string]*gate.Secret{
		"gateway/ssh-host-key": &keys.Host, "gateway/ssh-host-ca": &keys.HostAuthority,
		"gateway/ssh-user-ca": &keys.UserAuthority, ownSSHTargetCA: &target,
	} {
		if *key, err = p.vault.Own(ctx, name, ssh.GenerateKey); err != nil {
			return fmt.Errorf("ssh keys: %w", err)
		}
	}
	p.ssh, err = ssh.NewAuthority(keys, nil)
	return err
}

// certificates verifies the certificates that this gateway issued to agents.
func (p *process) certificates() func([]byte) (*gate.Principal, error) {
	if p.ssh == nil {
		return nil
	}
	return p.ssh.Principal
}

// sshAccess tells agents how to log in by SSH, and issues their certificates.
type sshAccess struct{ p *process }

// Issue implements api.SSH.
func (a sshAccess) Issue(_ context.Context, who *gate.Principal, publicKey string) (string, error) {
	return a.p.ssh.Issue(who, []byte(publicKey))
}

// Access implements api.SSH.
func (a sshAccess) Access() api.SSHAccess {
	access := api.SSHAccess{HostAuthority: a.p.ssh.HostAuthorityKey()}
	for _, s := range a.p.protocols {
		if s.protocol.Name() == "ssh" {
			access.Address = s.listener.Addr().String()
		}
	}
	return access
}

// hostNames are the hosts by which clients reach the gateway, as far as its
// configuration says.
func (p *process) hostNames() []string {
	u, err := url.Parse(p.url())
	if err != nil || u.Hostname() == "" {
		return nil
	}
	return []string{u.Hostname()}
}
