package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sallyport-gateway/sallyport/internal/gate"
	"github.com/sallyport-gateway/sallyport/internal/proto/ssh"
	"github.com/sallyport-gateway/sallyport/internal/setup/host"
)

// inspectSSH shows the key that a host shows, for a person to compare: the gateway
// never trusts one because it was the first.
func inspectSSH(ctx context.Context, w io.Writer, p *process, t *gate.Target, asJSON bool) error {
	key, err := ssh.Inspect(ctx, p.gateway, t)
	if err != nil {
		return err
	}
	if asJSON {
		return printJSON(w, struct {
			Target      string `json:"target"`
			HostKey     string `json:"host_key"`
			Fingerprint string `json:"fingerprint"`
			Pinned      bool   `json:"pinned"`
		}{t.Name, key.Line, key.Fingerprint, key.Pinned})
	}
	if key.Pinned {
		_, err = fmt.Fprintf(w, "%s shows %s, which its document trusts.\n", clean(t.Address), key.Fingerprint)
		return err
	}
	_, err = fmt.Fprintf(w, "%s shows this key, which the document of target %s does not trust:\n\n    %s\n    %s\n\n"+
		"Compare the fingerprint with what the host itself says (ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub\n"+
		"on its console). If it is the same, add to the document:\n\n    host_keys: [%s]\n",
		clean(t.Address), clean(t.Name), key.Fingerprint, key.Line, key.Line)
	return err
}

func newSetupSSHCommand() *cobra.Command {
	var file string
	var check, asJSON bool
	c := &cobra.Command{
		Use:   "ssh [flags] TARGET",
		Short: "Print the least-privileged account and sshd configuration of an SSH target",
		Long: "Print what a host needs so that the gateway logs in with a certificate that it signs for each session:\n" +
			"the authority's public key, the part of sshd_config, a restricted account and the sudo rules to start\n" +
			"from. Nothing is changed: read it and run it as root on the host.\n\n" +
			"With --check, log in with the present credential instead, look at what the account can do beyond what\n" +
			"agents need (root, sudo, groups, what it can write), and report it. Nothing is changed there either.",
		Example: "  sallyport setup ssh web1 > setup.sh\n  ssh root@web1 sh -s < setup.sh\n  sallyport setup ssh web1 --check",
		Args:    exactly("TARGET"),
		RunE: func(c *cobra.Command, args []string) error {
			p, t, err := openTarget(c.Context(), file, args[0], "ssh")
			if err != nil {
				return err
			}
			defer p.close()
			if check {
				return checkHostAccount(c, p, t, asJSON)
			}
			return setupSSH(c, p, t)
		},
	}
	c.Flags().StringVar(&file, "config", "sallyport.yaml", "configuration file of the process")
	c.Flags().BoolVar(&check, "check", false, "report only, and exit 1 if the present credential can do more")
	c.Flags().BoolVar(&asJSON, "json", false, "print the report of --check as JSON")
	return c
}

// checkHostAccount reports what the account of the present credential can do too much.
func checkHostAccount(c *cobra.Command, p *process, t *gate.Target, asJSON bool) error {
	out, err := ssh.Run(c.Context(), p.gateway, t, host.Probe)
	if err != nil {
		return fmt.Errorf("look at the account of target %s: %w", t.Name, err)
	}
	findings, err := host.Findings(out)
	if err != nil {
		return fmt.Errorf("look at the account of target %s: %w", t.Name, err)
	}
	cred, _ := p.documents.Set().Credential(t.Credential)
	if asJSON {
		err = printJSON(c.OutOrStdout(), struct {
			Target  string         `json:"target"`
			Account string         `json:"account"`
			Beyond  []host.Finding `json:"beyond"`
		}{t.Name, cred.Username, findings})
	} else {
		printHostFindings(c.OutOrStdout(), t, cred.Username, findings)
	}
	if err == nil && len(findings) > 0 {
		err = fmt.Errorf("the credential of target %s can do more than it needs: %d findings", t.Name, len(findings))
	}
	return err
}

func printHostFindings(w io.Writer, t *gate.Target, account string, findings []host.Finding) {
	if len(findings) == 0 {
		fmt.Fprintf(w, "The account %s of %s can do no more than it needs, as far as it can see itself.\n", clean(account), clean(t.Name))
		return
	}
	fmt.Fprintf(w, "The account %s of %s can do more than it needs:\n", clean(account), clean(t.Name))
	for _, f := range findings {
		fmt.Fprintf(w, "\nit %s\n", clean(f.What))
		if len(f.Objects) > 0 {
			fmt.Fprintf(w, "    %s\n", clean(list(f.Objects)))
		}
		fmt.Fprintf(w, "    why it matters: %s\n    what to do: %s\n", clean(f.Why), clean(f.Do))
	}
}

func setupSSH(c *cobra.Command, p *process, t *gate.Target) error {
	authority, err := p.vault.Own(c.Context(), ownSSHTargetCA, ssh.GenerateKey)
	if err != nil {
		return err
	}
	public, err := ssh.PublicKey(authority)
	if err != nil {
		return err
	}
	cred, ok := p.documents.Set().Credential(t.Credential)
	if !ok {
		return fmt.Errorf("there is no credential %q", t.Credential)
	}
	if cred.Authority == "" {
		fmt.Fprintf(c.ErrOrStderr(), "Credential %s holds a secret. With the certificates below it needs none: write\n  kind: Credential\n  name: %s\n  username: %s\n  authority: ssh\n",
			clean(cred.Name), clean(cred.Name), clean(cred.Username))
	}
	if !accountName(cred.Username) {
		return fmt.Errorf("the credential's account %q cannot stand in a shell script: use letters, digits, dash and underscore", cred.Username)
	}
	_, err = io.WriteString(c.OutOrStdout(), strings.NewReplacer("@ACCOUNT@", cred.Username, "@CA@", public, "@TARGET@", t.Name).Replace(setupScript))
	return err
}

// accountName reports whether useradd takes the name, and a shell without quotes.
func accountName(name string) bool {
	return name != "" && len(name) <= 32 && !strings.ContainsFunc(name, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '_' || r == '-')
	}) && name[0] != '-'
}

// setupScript is for a host with sshd and useradd. It can be run again.
const setupScript = `#!/bin/sh
# What host @TARGET@ needs for agents that come through Sallyport. Run as root; safe to run again.
set -eu

# 1. The authority that signs the gateway's certificates. Each is for one session, for two
#    minutes, and its key id in the host's own log names the agent and the session.
umask 022
mkdir -p /etc/ssh/sallyport
printf '%s\n' '@CA@' >/etc/ssh/sallyport/ca.pub

# 2. An account without password, without keys of its own, and without rights.
id '@ACCOUNT@' >/dev/null 2>&1 || useradd --create-home --shell /bin/bash '@ACCOUNT@'
usermod --password '*' '@ACCOUNT@'
chmod 0750 "$(getent passwd '@ACCOUNT@' | cut -d: -f6)"

# 3. sshd: only certificates of the gateway log in as this account; no forwarding, no user
#    start-up files. MaxSessions lets the channels of one agent share a connection.
cat >/etc/ssh/sshd_config.d/50-sallyport.conf <<'END'
Match User @ACCOUNT@
    TrustedUserCAKeys /etc/ssh/sallyport/ca.pub
    AuthorizedKeysFile none
    AuthenticationMethods publickey
    PasswordAuthentication no
    KbdInteractiveAuthentication no
    AllowAgentForwarding no
    AllowTcpForwarding no
    AllowStreamLocalForwarding no
    X11Forwarding no
    PermitTunnel no
    PermitUserRC no
    MaxSessions 64
END
sshd -t

# 4. sudo: nothing. Where agents need a privileged command, allow exactly that one, by its
#    absolute path and arguments, for example:
#      @ACCOUNT@ ALL=(root) NOPASSWD: /usr/bin/systemctl restart app.service
#    visudo -c -f FILE checks such a file before it goes to /etc/sudoers.d/sallyport.

# 5. Take the new configuration into use; sessions that are open stay open.
systemctl reload ssh 2>/dev/null || systemctl reload sshd 2>/dev/null || echo 'reload sshd yourself' >&2
`
