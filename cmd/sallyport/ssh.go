package main

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/sallyport-gateway/sallyport/internal/api"
	"github.com/sallyport-gateway/sallyport/internal/config"
	"github.com/sallyport-gateway/sallyport/internal/gate"
	"github.com/sallyport-gateway/sallyport/internal/mask"
	"github.com/sallyport-gateway/sallyport/internal/policy"
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

// prepareHosts checks what documents say of SSH hosts and of content detectors, which
// the packages that decode documents know nothing of.
func (p *process) prepareHosts(s *config.Set) (func(), []error) {
	var errs []error
	for _, d := range s.All(config.KindTarget) {
		t, ok := s.Target(d.Name)
		if !ok {
			continue
		}
		if t.Protocol != "ssh" {
			if len(t.Keys)+len(t.Authorities) > 0 {
				errs = append(errs, d.Errorf("host_keys", "leave them out", "host keys are for SSH targets"))
			}
			continue
		}
		if err := ssh.CheckTarget(t); err != nil {
			errs = append(errs, d.Errorf("host_keys", "as in the host's /etc/ssh/ssh_host_ed25519_key.pub", "%v", err))
		}
	}
	for _, d := range s.All(config.KindLabels) {
		errs = append(errs, checkLabels(s, d)...)
	}
	for _, d := range s.All(policy.KindName) {
		if doc, ok := d.Value.(*policy.Document); ok && doc.Protocol == "ssh" {
			errs = append(errs, checkDetectorMasks(d, doc)...)
		}
	}
	return func() {}, errs
}

// checkLabels checks that a Labels document speaks of what its target has.
func checkLabels(s *config.Set, d *config.Document) (errs []error) {
	l, ok := d.Value.(*config.Labels)
	if !ok {
		return nil
	}
	t, ok := s.Target(l.Target)
	if !ok {
		return nil // an error of its own
	}
	switch {
	case t.Protocol == "ssh" && len(l.Columns) > 0:
		errs = append(errs, d.Errorf("columns", "write paths", "target %s is a host, which has no columns", l.Target))
	case t.Protocol != "ssh" && len(l.Paths) > 0:
		errs = append(errs, d.Errorf("paths", "write columns", "target %s is no host, so it has no paths", l.Target))
	case t.Protocol != "ssh" && len(l.Detect) > 0:
		errs = append(errs, d.Errorf("detect", "", "content detectors watch hosts; what a database answers is masked by columns"))
	}
	for i, name := range l.Detect {
		if !mask.Known(name) {
			errs = append(errs, d.Errorf(fmt.Sprintf("detect[%d]", i), "one of "+strings.Join(slices.Concat(mask.Groups(), mask.Names()), ", "), "there is no content detector %q", name))
		}
	}
	return errs
}

// checkDetectorMasks checks that the masks of a policy for hosts suit the detectors
// that they are for.
func checkDetectorMasks(d *config.Document, doc *policy.Document) (errs []error) {
	for i, r := range doc.Rules {
		for label, name := range r.Mask {
			if mask.Known(label) && !slices.Contains(mask.Masks(label), name) {
				errs = append(errs, d.Errorf(fmt.Sprintf("rules[%d].mask.%s", i, label), "one of "+strings.Join(mask.Masks(label), ", "),
					"mask %q does not suit what the detector %s finds", name, label))
			}
		}
	}
	return errs
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
