//go:build cgo

package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"reflect"

	"github.com/sallyport-gateway/sallyport/internal/gate"
	"github.com/sallyport-gateway/sallyport/internal/policy"
	"github.com/sallyport-gateway/sallyport/internal/proto/postgres"
	"github.com/sallyport-gateway/sallyport/internal/proto/ssh"
	sql "github.com/sallyport-gateway/sallyport/internal/sql/postgres"
	"github.com/sallyport-gateway/sallyport/internal/sql/postgres/parse"
)

// The protocols of this build. A new one adds its name, its facts and how it is
// made here, and nothing anywhere else.

func protocolNames() []string { return []string{"postgres", "ssh"} }

func facts() map[string]policy.FactsType {
	return map[string]policy.FactsType{
		"postgres": {Variable: "sql", Type: reflect.TypeFor[sql.Facts]()},
		"ssh":      {Variable: "ssh", Type: reflect.TypeFor[ssh.Facts]()},
	}
}

func newProtocol(name string, p *process) (served, error) {
	switch name {
	case "postgres":
		pool, err := parse.New(parse.Config{Log: p.log})
		if err != nil {
			return served{}, err
		}
		config := &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: p.certificate.get}
		return served{protocol: postgres.New(postgres.Config{
			TLS: config, Catalogs: postgres.NewCatalogs(pool, p.log), Handshake: p.cfg.Limits.Handshake, Log: p.log}), close: pool.Close}, nil
	case "ssh":
		server, err := ssh.New(ssh.Config{Authority: p.ssh, Names: p.hostNames(), SQL: sqlJudge{p}, Inner: p.inner, Handshake: p.cfg.Limits.Handshake, Log: p.log})
		return served{protocol: server}, err
	default:
		return served{}, fmt.Errorf("listen: this build has no protocol %q", name)
	}
}

// startWorker does not return in a process that was started as a parser worker.
func startWorker() { parse.WorkerMain() }

// inspectFor describes a text as a command on a target, from the target's own
// catalog.
func inspectFor(ctx context.Context, p *process, t *gate.Target, text string) (*gate.Command, error) {
	if t.Protocol != "postgres" {
		return nil, fmt.Errorf("commands of protocol %s cannot be explained", t.Protocol)
	}
	return postgres.NewCatalogs(parse.Direct{}, p.log).Describe(ctx, p.gateway, t, text)
}

// sqlJudge judges the SQL in command lines by the target at the database's address.
type sqlJudge struct{ p *process }

// Judge implements ssh.SQL.
func (j sqlJudge) Judge(ctx context.Context, address, database, text string) (gate.Effects, []string, error) {
	for _, t := range j.p.documents.Set().Targets() {
		if t.Protocol == "postgres" && t.Address == address && t.Database == database {
			cmd, err := inspectFor(ctx, j.p, t, text)
			if err != nil {
				return gate.EffectUnknown, nil, err
			}
			return cmd.Effects, cmd.Labels, nil
		}
	}
	return gate.EffectUnknown, nil, fmt.Errorf("no target is database %q at %s", database, address)
}

// inner returns the protocol that is served here for a target at the address.
func (p *process) inner(address string) gate.Protocol {
	for _, t := range p.documents.Set().Targets() {
		if t.Address != address {
			continue
		}
		for _, s := range p.protocols {
			if s.protocol.Name() == t.Protocol {
				return s.protocol
			}
		}
	}
	return nil
}
