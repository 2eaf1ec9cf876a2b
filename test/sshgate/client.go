package sshgate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport-gateway/sallyport/test/sshtest"
)

// Login logs in with a token as an agent does, with `sallyport login` and `sallyport
// ssh-config`, and returns the ssh_config(5) that was made. It knows each target by
// its name, and the gateway as sallyport.
func (g *Gateway) Login(ctx context.Context, dir, token string, targets ...string) (config string, err error) {
	if err := g.mustRun(ctx, token, nil, "login", "--dir", dir); err != nil {
		return "", err
	}
	args := []string{"ssh-config", "--dir", dir, "--address", g.Address}
	for _, t := range targets {
		args = append(args, "--target", t)
	}
	var text string
	if err := g.mustRun(ctx, token, &text, args...); err != nil {
		return "", err
	}
	config = filepath.Join(dir, "config")
	return config, os.WriteFile(config, []byte(text), 0o600)
}

// mustRun runs a subcommand that has to succeed.
func (g *Gateway) mustRun(ctx context.Context, token string, out *string, args ...string) error {
	a, err := g.CLI(ctx, token, args...)
	if err != nil {
		return err
	}
	if a.Status != 0 {
		return fmt.Errorf("sallyport %s: exit %d: %s%s", strings.Join(args, " "), a.Status, a.Out, a.Err)
	}
	if out != nil {
		*out = a.Out
	}
	return nil
}

// HostKey accepts the gateway's host key by the authority in the known_hosts file
// that `sallyport ssh-config` wrote to a folder.
func HostKey(dir string) (ssh.HostKeyCallback, error) {
	text, err := os.ReadFile(filepath.Join(dir, "known_hosts"))
	if err != nil {
		return nil, err
	}
	marker, _, authority, _, _, err := ssh.ParseKnownHosts(text)
	if err != nil {
		return nil, fmt.Errorf("known_hosts: %w", err)
	}
	if marker != "cert-authority" {
		return nil, errors.New("known_hosts: no authority in the first line")
	}
	checker := &ssh.CertChecker{IsHostAuthority: func(key ssh.PublicKey, _ string) bool {
		return bytes.Equal(key.Marshal(), authority.Marshal())
	}}
	return func(_ string, remote net.Addr, key ssh.PublicKey) error {
		// The name is the alias that the configuration gives the gateway, whatever its
		// address (HostKeyAlias of ssh_config(5)).
		return checker.CheckHostKey(net.JoinHostPort(alias, "22"), remote, key)
	}, nil
}

// alias is the name that clients know the gateway by.
const alias = "sallyport"

// Certificate is the key and certificate that `sallyport login` wrote to a folder.
func Certificate(dir string) (ssh.Signer, error) {
	private, err := os.ReadFile(filepath.Join(dir, "id_ed25519"))
	if err != nil {
		return nil, err
	}
	key, err := ssh.ParsePrivateKey(private)
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(filepath.Join(dir, "id_ed25519-cert.pub"))
	if err != nil {
		return nil, err
	}
	public, _, _, _, err := ssh.ParseAuthorizedKey(text)
	if err != nil {
		return nil, err
	}
	certificate, ok := public.(*ssh.Certificate)
	if !ok {
		return nil, errors.New("id_ed25519-cert.pub holds no certificate")
	}
	return ssh.NewCertSigner(certificate, key)
}

// Host is what the documents say of a host that the gateway reaches.
type Host struct {
	// Name is the target's name.
	Name string
	// Server is the host.
	Server *sshtest.Server
	// Account is who the gateway logs in as.
	Account string
	// Logins are further accounts that agents may choose.
	Logins []string
	// Labels are the target's labels, in YAML: env: prod.
	Labels string
	// Limits are the target's limits, in YAML; empty: none.
	Limits string
}

// Document is the Target with its credentials.
func (h *Host) Document() string {
	var b strings.Builder
	for _, account := range append([]string{h.Account}, h.Logins...) {
		fmt.Fprintf(&b, "kind: Credential\nname: %s-%s\nusername: %s\nkey: {from: \"file:%s\"}\n---\n", h.Name, account, account, h.Server.ClientKeyFile())
	}
	fmt.Fprintf(&b, "kind: Target\nname: %s\nprotocol: ssh\naddress: %s\ncredential: %s-%s\nhost_keys: [%q]\n", h.Name, h.Server.Address(), h.Name, h.Account, h.Server.Host.Line())
	if len(h.Logins) > 0 {
		b.WriteString("logins:\n")
		for _, account := range h.Logins {
			fmt.Fprintf(&b, "  %s: %s-%s\n", account, h.Name, account)
		}
	}
	if h.Labels != "" {
		fmt.Fprintf(&b, "labels: {%s}\n", h.Labels)
	}
	if h.Limits != "" {
		fmt.Fprintf(&b, "limits: {%s}\n", h.Limits)
	}
	return b.String() + "---\n"
}

// Issuers are the documents that trust the development issuer's agents of these
// names, and its people of any.
func Issuers(agents ...string) string {
	return fmt.Sprintf(`kind: Issuer
name: development
url: ISSUER
audience: %s
tokens: at+jwt
max_lifetime: 1h
leeway: 0s
bound: {client_id: [%s]}
claims:
  agent: client_id
---
kind: Issuer
name: people
url: ISSUER
audience: %s
tokens: at+jwt
identifies: people
bound: {client_id: [alice, bob]}
claims: {groups: groups}
---
kind: Role
name: operators
can: [sessions, approvals, revoke, documents]
issuer: ISSUER
groups: [operators]
---
`, Audience, strings.Join(agents, ", "), PeopleAudience)
}
