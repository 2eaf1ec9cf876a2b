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
	sql "github.com/sallyport-gateway/sallyport/internal/sql/postgres"
	"github.com/sallyport-gateway/sallyport/internal/sql/postgres/parse"
)

// The protocols of this build. A new one adds its name, its facts and how it is
// made here, and nothing anywhere else.

func protocolNames() []string { return []string{"postgres"} }

func facts() map[string]policy.FactsType {
	return map[string]policy.FactsType{"postgres": {Variable: "sql", Type: reflect.TypeFor[sql.Facts]()}}
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
