package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/sallyport-gateway/sallyport/internal/config"
	"github.com/sallyport-gateway/sallyport/internal/gate"
	"github.com/sallyport-gateway/sallyport/internal/hostpath"
	"github.com/sallyport-gateway/sallyport/internal/mask"
	"github.com/sallyport-gateway/sallyport/internal/policy"
	"github.com/sallyport-gateway/sallyport/internal/proto/ssh"
)

// prepareHosts checks what documents say of SSH hosts and of content detectors, which
// the packages that decode documents know nothing of.
func (p *process) prepareHosts(s *config.Set) (func(), []error) {
	var errs []error
	for _, d := range s.All(config.KindTarget) {
		if t, ok := d.Value.(*config.Target); ok && t.Protocol == "ssh" {
			errs = append(errs, checkHost(d, t)...)
		} else if ok {
			errs = append(errs, checkNoHost(s, d, t)...)
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

// checkHost checks the keys by which a host is known.
func checkHost(d *config.Document, t *config.Target) (errs []error) {
	for field, lines := range map[string][]string{"host_keys": t.HostKeys, "host_cas": t.HostCAs} {
		for i, line := range lines {
			if err := ssh.CheckTarget(&gate.Target{Keys: []string{line}}); err != nil {
				errs = append(errs, d.Errorf(fmt.Sprintf("%s[%d]", field, i), "a line as in the host's /etc/ssh/ssh_host_ed25519_key.pub; sallyport inspect "+t.Name+" shows it",
					"this is not a public key"))
			}
		}
	}
	if t.TLS != (config.TLS{}) {
		errs = append(errs, d.Errorf("tls", "leave it out", "SSH has no TLS: the host is known by host_keys or host_cas"))
	}
	return errs
}

// checkNoHost refuses what only hosts have.
func checkNoHost(s *config.Set, d *config.Document, t *config.Target) (errs []error) {
	for field, has := range map[string]bool{"host_keys": len(t.HostKeys) > 0, "host_cas": len(t.HostCAs) > 0, "logins": len(t.Logins) > 0, "limits.idle": t.Limits.Idle != 0} {
		if has {
			errs = append(errs, d.Errorf(field, "leave it out", "this is for SSH targets, and the protocol of %s is %s", t.Name, t.Protocol))
		}
	}
	if c, ok := s.Credential(t.Credential); ok && c.Authority != "" {
		errs = append(errs, d.Errorf("credential", "give a credential with a password or a key", "credential %s is a certificate of the SSH authority, with which only hosts let in", c.Name))
	}
	return errs
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
	if t.Protocol != "ssh" {
		if len(l.Paths) > 0 {
			errs = append(errs, d.Errorf("paths", "write columns", "target %s is no host, so it has no paths", l.Target))
		}
		if len(l.Detect) > 0 {
			errs = append(errs, d.Errorf("detect", "write columns", "content detectors watch hosts; what a database answers is masked by columns"))
		}
		return errs
	}
	if len(l.Columns) > 0 {
		errs = append(errs, d.Errorf("columns", "write paths", "target %s is a host, which has no columns", l.Target))
	}
	for _, label := range slices.Sorted(maps.Keys(l.Paths)) {
		if mask.Known(label) {
			errs = append(errs, d.Errorf("paths."+label+"#key", "choose another name for the label",
				"%q is a content detector: a rule that masks what it finds would seem to mask these files, which cannot be masked", label))
		}
		for i, path := range l.Paths[label] {
			if err := (hostpath.Marks{label: {path}}).Validate(); err != nil {
				errs = append(errs, d.Errorf(fmt.Sprintf("paths.%s[%d]", label, i), "for example: /home/app/.ssh, ~/.ssh or /srv/*/keys", "%v", err))
			}
		}
	}
	for i, name := range l.Detect {
		if !mask.Known(name) {
			errs = append(errs, d.Errorf(fmt.Sprintf("detect[%d]", i), "one of "+strings.Join(detectors(), ", "), "there is no content detector %q", name))
		}
	}
	return errs
}

// detectors are the names that detect: may have, groups first.
func detectors() []string {
	all := mask.Groups()
	for _, name := range mask.Names() {
		if !slices.Contains(all, name) {
			all = append(all, name)
		}
	}
	return all
}

// checkDetectorMasks checks that the masks of a policy for hosts suit the detectors
// that they are for.
func checkDetectorMasks(d *config.Document, doc *policy.Document) (errs []error) {
	for i, r := range doc.Rules {
		for _, label := range slices.Sorted(maps.Keys(r.Mask)) {
			if mask.Known(label) && !slices.Contains(mask.Masks(label), r.Mask[label]) {
				errs = append(errs, d.Errorf(fmt.Sprintf("rules[%d].mask.%s", i, label), "one of "+strings.Join(mask.Masks(label), ", "),
					"mask %q does not suit what the detector %s finds", r.Mask[label], label))
			}
		}
	}
	return errs
}
