package sshcorpus

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport-gateway/sallyport/test/sshgate"
)

// agent is who runs the cases, on the target.
const (
	agent      = "corpus"
	targetName = "corpus"
)

//go:embed documents.yaml
var documents string

// Gateway is the real gateway in front of the host.
type Gateway struct {
	*sshgate.Gateway
	// Door is the way through it.
	Door *Door

	token string
}

// StartGateway runs the program in front of the host. An empty program is built
// first. The caller stops it with [Gateway.Stop].
func StartGateway(ctx context.Context, program string, h *Host) (*Gateway, error) {
	host := sshgate.Host{Name: targetName, Server: h.Server, Account: bashAccount, Logins: []string{dashAccount}}
	gate, err := sshgate.Start(ctx, sshgate.Options{
		Program: program, Process: "log: {level: warn}\n",
		Documents: map[string]string{"corpus.yaml": sshgate.Issuers(agent) + host.Document() + documents},
	})
	if err != nil {
		return nil, err
	}
	g := &Gateway{Gateway: gate}
	if err := g.open(ctx); err != nil {
		return nil, errors.Join(err, g.Stop())
	}
	return g, nil
}

// open logs in with a token, which is the password.
func (g *Gateway) open(ctx context.Context) (err error) {
	if g.token, err = g.Token(agent, 55*time.Minute); err != nil {
		return err
	}
	dir := filepath.Join(g.Dir, "client")
	if _, err := g.Login(ctx, dir, g.token); err != nil {
		return err
	}
	hostKey, err := sshgate.HostKey(dir)
	if err != nil {
		return err
	}
	g.Door = &Door{
		Address: g.Address, HostKey: hostKey,
		Login: func(account string) (string, []ssh.AuthMethod) {
			return user(account), []ssh.AuthMethod{ssh.Password(g.token)}
		},
	}
	return nil
}

// user is the log-in name for an account of the host.
func user(account string) string {
	if account == bashAccount {
		return targetName
	}
	return account + "+" + targetName
}

// Reach says how other clients reach the host straight and through the gateway.
func (g *Gateway) Reach(h *Host) string {
	return fmt.Sprintf(`direct:  ssh -F none -i %s -o IdentitiesOnly=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -p %d %s@127.0.0.1
gateway: ssh -F %s/client/config %s@sallyport
accounts: %s@ and %s@ direct, %s@ and %s@ through the gateway
template: %s
token: %s
`, h.Server.ClientKeyFile(), h.Server.Port, bashAccount, g.Dir, user(bashAccount), bashAccount, dashAccount, user(bashAccount), user(dashAccount), h.bed.template, g.token)
}

// Stop ends the connections and the gateway.
func (g *Gateway) Stop() error {
	if g.Door != nil {
		g.Door.Close()
	}
	return g.Gateway.Stop()
}
