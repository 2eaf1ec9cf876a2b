package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	cryptossh "golang.org/x/crypto/ssh"

	"github.com/sallyport-gateway/sallyport/internal/api"
	"github.com/sallyport-gateway/sallyport/internal/proto/ssh"
)

// The files of a log-in by SSH, in their folder.
const (
	sshKeyFile         = "id_ed25519"
	sshCertificateFile = "id_ed25519-cert.pub"
	sshKnownHostsFile  = "known_hosts"
	sshAlias           = ssh.HostAlias
)

// loginResult is what login made.
type loginResult struct {
	Key         string    `json:"key"`
	Certificate string    `json:"certificate"`
	Expires     time.Time `json:"expires"`
}

func newLoginCommand() *cobra.Command {
	c := &connection{}
	var dir string
	cmd := c.flags(&cobra.Command{
		Use:   "login [flags]",
		Short: "Get a short-lived SSH certificate for your token",
		Long: "Make a fresh SSH key and get a certificate for it that ends with your token. Stock ssh, scp, sftp,\n" +
			"rsync and Ansible log in with it, without prompts; sallyport ssh-config prints their configuration.\n" +
			"The token itself is not kept: when it has ended, get another one and log in again.",
		Example: "  export SALLYPORT_TOKEN=$(get-a-token)\n  sallyport login\n  ssh web1@sallyport uptime",
		Args:    exactly(),
		RunE: action(c, func(ctx context.Context, client *api.Client, _ []string) (loginResult, error) {
			return logIn(ctx, client, dir)
		}, func(w io.Writer, r loginResult) error {
			_, err := fmt.Fprintf(w, "%s is certified until %s\n", r.Key, when(r.Expires))
			return err
		}),
	})
	cmd.Flags().StringVar(&dir, "dir", "", "`FOLDER` for the key and its certificate (default ~/.sallyport/ssh)")
	return cmd
}

// sshDir returns the folder of the log-in's files, made if it is missing.
func sshDir(dir string) (string, error) {
	if dir == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", err
		}
		dir = filepath.Join(home, ".sallyport", "ssh")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	return filepath.Abs(dir)
}

func logIn(ctx context.Context, client *api.Client, dir string) (loginResult, error) {
	dir, err := sshDir(dir)
	if err != nil {
		return loginResult{}, err
	}
	key, err := ssh.GenerateKey()
	if err != nil {
		return loginResult{}, err
	}
	signer, err := cryptossh.ParsePrivateKey([]byte(key.Reveal()))
	if err != nil {
		return loginResult{}, errors.New("the new key cannot be read") // without the parser's words
	}
	certificate, err := client.Certify(ctx, string(cryptossh.MarshalAuthorizedKey(signer.PublicKey())))
	if err != nil {
		return loginResult{}, err
	}
	r := loginResult{Key: filepath.Join(dir, sshKeyFile), Certificate: filepath.Join(dir, sshCertificateFile), Expires: certificate.Expires}
	// The key first: a client that finds the new key with the old certificate is
	// refused, and one that finds them the other way round as well.
	for _, f := range []struct{ name, text string }{{r.Key, key.Reveal()}, {r.Certificate, certificate.Certificate + "\n"}} {
		if err := replaceFile(f.name, []byte(f.text)); err != nil {
			return loginResult{}, err
		}
	}
	return r, nil
}

func newSSHConfigCommand() *cobra.Command {
	c := &connection{}
	var dir, address string
	var targets []string
	cmd := c.flags(&cobra.Command{
		Use:   "ssh-config [flags]",
		Short: "Print the configuration with which stock SSH clients use the gateway",
		Long: "Print an ssh_config block for the gateway and write the known_hosts file that it names, with the\n" +
			"authority that signs the gateway's host key. Put the block into ~/.ssh/config; then\n\n" +
			"  ssh TARGET@" + sshAlias + " COMMAND\n\nworks, and the same for scp, sftp, rsync and Ansible (ansible_host=" + sshAlias + ", ansible_user=TARGET).",
		Example: "  sallyport ssh-config >> ~/.ssh/config\n  sallyport ssh-config --target web1 --address gw.internal:6422",
		Args:    exactly(),
		RunE: action(c, func(ctx context.Context, client *api.Client, _ []string) (sshConfig, error) {
			return makeSSHConfig(ctx, client, dir, address, or(c.api, os.Getenv("SALLYPORT_API"), defaultAPI), targets)
		}, func(w io.Writer, s sshConfig) error {
			_, err := io.WriteString(w, s.Text)
			return err
		}),
	})
	cmd.Flags().StringVar(&dir, "dir", "", "`FOLDER` of the key and its certificate (default ~/.sallyport/ssh)")
	cmd.Flags().StringVar(&address, "address", "", "host:port at which you reach the gateway's SSH listener (default: the API's host, the listener's port)")
	cmd.Flags().StringSliceVar(&targets, "target", nil, "also print a Host block for this `TARGET` by its own name; may be repeated")
	return cmd
}

// sshConfig is what ssh-config made.
type sshConfig struct {
	Text       string `json:"ssh_config"`
	KnownHosts string `json:"known_hosts"`
}

func makeSSHConfig(ctx context.Context, client *api.Client, dir, address, apiURL string, targets []string) (sshConfig, error) {
	dir, err := sshDir(dir)
	if err != nil {
		return sshConfig{}, err
	}
	access, err := client.SSHAccess(ctx)
	if err != nil {
		return sshConfig{}, err
	}
	if access.Address == "" && address == "" {
		return sshConfig{}, &hintError{errors.New("the gateway does not serve SSH"), "Add ssh: HOST:PORT to listen in sallyport.yaml.", exitFailed}
	}
	host, port, err := reachable(address, access.Address, apiURL)
	if err != nil {
		return sshConfig{}, err
	}
	known := filepath.Join(dir, sshKnownHostsFile)
	if err := replaceFile(known, fmt.Appendf(nil, "@cert-authority %s %s\n", sshAlias, access.HostAuthority)); err != nil {
		return sshConfig{}, err
	}
	var b strings.Builder
	block := func(alias, user string) {
		fmt.Fprintf(&b, "Host %s\n    HostName %s\n    Port %s\n", alias, host, port)
		if user != "" {
			fmt.Fprintf(&b, "    User %s\n", user)
		}
		fmt.Fprintf(&b, "    HostKeyAlias %s\n    UserKnownHostsFile %q\n    StrictHostKeyChecking yes\n    IdentityFile %q\n    CertificateFile %q\n"+
			"    IdentitiesOnly yes\n    PreferredAuthentications publickey\n    Ciphers aes128-gcm@openssh.com,aes256-gcm@openssh.com\n    ForwardAgent no\n    ForwardX11 no\n",
			sshAlias, known, filepath.Join(dir, sshKeyFile), filepath.Join(dir, sshCertificateFile))
	}
	block(sshAlias, "")
	for _, t := range targets {
		if strings.ContainsFunc(t, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`"*?!,\%$`, r) }) || t == "" {
			return sshConfig{}, fmt.Errorf("%q is not the name of a target", t)
		}
		b.WriteByte('\n')
		block(t, t)
	}
	return sshConfig{Text: b.String(), KnownHosts: known}, nil
}

// reachable returns where a client reaches the SSH listener.
func reachable(asked, listener, apiURL string) (host, port string, err error) {
	if asked != "" {
		return net.SplitHostPort(asked)
	}
	if host, port, err = net.SplitHostPort(listener); err != nil {
		return "", "", err
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		u, err := url.Parse(apiURL)
		if err != nil {
			return "", "", err
		}
		host = u.Hostname()
	}
	return host, port, nil
}
