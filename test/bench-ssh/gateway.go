package main

import (
	"context"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport-gateway/sallyport/test/sshgate"
	"github.com/sallyport-gateway/sallyport/test/sshtest"
)

const (
	agent      = "bench"
	targetName = "bench"
)

// documents turn on all that a production gateway has on: policy rules over
// effects and facts, labels, recordings.
const documents = `kind: Labels
target: bench
paths: {secret: [/home/spbench/secret, /etc/shadow]}
---
kind: Policy
name: bench
protocol: ssh
on: "true"
rules:
  - name: nothing-unknown
    when: size(ssh.unknown) > 0
    then: block
  - name: reads-and-writes
    when: command.effects.all(e, e in ["read", "write"]) && ssh.kind in ["exec", "sftp", "scp"]
    then: allow
`

// gateway is the same with the gateway between.
func (b *bed) gateway(ctx context.Context, program string) (*system, error) {
	host := sshgate.Host{Name: targetName, Server: b.server, Account: account}
	g, err := sshgate.Start(ctx, sshgate.Options{
		Program: program, Process: "log: {level: warn}\n",
		Documents: map[string]string{"bench.yaml": sshgate.Issuers(agent) + host.Document() + documents},
	})
	if err != nil {
		return nil, err
	}
	b.stops = append(b.stops, g.Stop)
	token, err := g.Token(agent, 55*time.Minute)
	if err != nil {
		return nil, err
	}
	config, err := g.Login(ctx, b.path("client"), token, targetName)
	if err != nil {
		return nil, err
	}
	hostKey, err := sshgate.HostKey(b.path("client"))
	if err != nil {
		return nil, err
	}
	certificate, err := sshgate.Certificate(b.path("client"))
	if err != nil {
		return nil, err
	}
	return &system{name: "sallyport", config: config, host: targetName, pid: g.PID(), dial: func(ctx context.Context) (*ssh.Client, error) {
		return sshtest.Dial(ctx, g.Address, &ssh.ClientConfig{User: targetName, Auth: []ssh.AuthMethod{ssh.PublicKeys(certificate)}, HostKeyCallback: hostKey})
	}}, nil
}
