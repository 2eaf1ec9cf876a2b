package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/sallyport-gateway/sallyport/internal/identity/devissuer"
	"github.com/sallyport-gateway/sallyport/test/port"
)

// audience is the gateway's in the benchmark's tokens.
const audience = "sallyport"

// unlabelledTarget is the same database under another name, without labels.
const unlabelledTarget = "bench-unlabelled"

// sallyportConfig is sallyport.yaml.
const sallyportConfig = `listen:
  console: 127.0.0.1:%d
  postgres: 127.0.0.1:%d
state: sqlite:./data/state.db
recordings: file:./data/recordings
key: file:./data/key
documents: ./documents
tls: {certificate: %s, key: %s}
log: {level: warn}
`

// sallyportDocuments turn on all that a production gateway has on: policy rules
// over effects and facts, labels with a mask, recordings.
const sallyportDocuments = `kind: Issuer
name: development
url: %[1]s
audience: ` + audience + `
tokens: at+jwt
max_lifetime: 1h
bound: {client_id: [bench]}
claims:
  agent: client_id
  attributes: {risk_tier: risk_tier}
---
kind: Credential
name: bench
username: ` + dbRole + `
password: {from: "file:password"}
---
kind: Target
name: bench
protocol: postgres
address: 127.0.0.1:%[2]d
database: ` + dbName + `
labels: {env: bench}
credential: bench
tls: {mode: disable}
---
kind: Target
name: ` + unlabelledTarget + `
protocol: postgres
address: 127.0.0.1:%[2]d
database: ` + dbName + `
labels: {env: bench}
credential: bench
tls: {mode: disable}
---
kind: Labels
target: bench
columns:
  card: [public.bulk.card]
---
kind: Policy
name: bench
protocol: postgres
on: target.labels.env == "bench"
rules:
  - name: no-schema-changes
    when: command.effects.exists(e, e in ["schema", "admin", "unknown"])
    then: block
    message: The benchmark changes no schema.
  - name: no-unbounded-writes
    when: sql.unbounded
    then: block
  - name: reads-and-writes
    when: command.effects.all(e, e in ["read", "write", "export"]) && agent.attributes.risk_tier != "high"
    then: allow
    mask: {card: last4}
`

// startSallyport runs `sallyport serve` with an issuer of this process. All that
// ties the benchmark to the gateway's configuration is in this file.
func (b *bed) startSallyport(ctx context.Context, program string) (*system, error) {
	issuer, stopIssuer, err := startIssuer()
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(b.dir, "sallyport")
	port, err := b.writeSallyport(dir, issuer.URL())
	if err != nil {
		return nil, errors.Join(err, stopIssuer())
	}
	program, err = filepath.Abs(program)
	if err != nil {
		return nil, errors.Join(err, stopIssuer())
	}
	began := time.Now()
	c, err := startChild(filepath.Join(b.dir, "sallyport.log"), func(cmd *exec.Cmd) error { cmd.Dir = dir; return nil },
		program, "serve", "--config", filepath.Join(dir, "sallyport.yaml"))
	if err != nil {
		return nil, errors.Join(err, stopIssuer())
	}
	stop := func() error { return errors.Join(c.stop(), stopIssuer()) }
	s := &system{name: sallyport, host: loopback, port: port, database: "bench", user: "agent", caFile: b.caFile,
		password: func() (string, error) {
			return issuer.Mint(devissuer.Claims{Subject: "bench", ClientID: "bench", Audience: audience, Lifetime: 50 * time.Minute,
				Extra: map[string]any{"risk_tier": "low"}})
		},
		pid: c.cmd.Process.Pid, stop: stop}
	if err := awaitReady(ctx, s, began, c.ended); err != nil {
		_ = stop()
		return nil, c.withLog(err)
	}
	return s, nil
}

// writeSallyport writes the configuration and returns the PostgreSQL port.
func (b *bed) writeSallyport(dir, issuerURL string) (int, error) {
	if err := os.MkdirAll(filepath.Join(dir, "documents"), 0o700); err != nil {
		return 0, err
	}
	console, err := port.Free()
	if err != nil {
		return 0, err
	}
	listen, err := port.Free()
	if err != nil {
		return 0, err
	}
	for name, content := range map[string]string{
		"sallyport.yaml":       fmt.Sprintf(sallyportConfig, console, listen, b.certFile, b.keyFile),
		"documents/bench.yaml": fmt.Sprintf(sallyportDocuments, issuerURL, b.server.Port),
		"password":             dbPassword + "\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			return 0, err
		}
	}
	return listen, nil
}

// startIssuer serves a development issuer on loopback.
func startIssuer() (*devissuer.Issuer, func() error, error) {
	l, err := net.Listen("tcp", net.JoinHostPort(loopback, "0"))
	if err != nil {
		return nil, nil, err
	}
	issuer, err := devissuer.New(devissuer.Config{URL: "http://" + l.Addr().String()})
	if err != nil {
		return nil, nil, errors.Join(err, l.Close())
	}
	server := &http.Server{Handler: issuer, ReadHeaderTimeout: 10 * time.Second}
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	return issuer, func() error {
		err := server.Close()
		<-done
		return err
	}, nil
}
