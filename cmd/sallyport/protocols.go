//go:build cgo

package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"sync"

	pg_query "github.com/pganalyze/pg_query_go/v6"

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
			TLS: config, Catalogs: postgres.NewCatalogs(pool, p.log), Handshake: p.cfg.Limits.Handshake, TokenKey: p.vault.TokenKey, Log: p.log}), close: pool.Close}, nil
	case "ssh":
		parser := &lateParser{log: p.log}
		judge := sqlJudge{p, postgres.NewCatalogs(parser, p.log)}
		server, err := ssh.New(ssh.Config{Authority: p.ssh, Names: p.hostNames(), SQL: judge, Inner: p.inner, Handshake: p.cfg.Limits.Handshake, Log: p.log})
		return served{protocol: server, close: parser.close}, err
	default:
		return served{}, fmt.Errorf("listen: this build has no protocol %q", name)
	}
}

// startWorker does not return in a process that was started as a parser worker.
func startWorker() { parse.WorkerMain() }

// inspectFor describes a text as a command on a target, from what the target itself
// says: its catalog, or where its paths lead. assumed tells a person what of that is
// not certain.
func inspectFor(ctx context.Context, p *process, t *gate.Target, text string) (cmd *gate.Command, assumed string, err error) {
	switch t.Protocol {
	case "postgres":
		cmd, err = postgres.NewCatalogs(parse.Direct{}, p.log).Describe(ctx, p.gateway, t, text)
		if errors.Is(err, postgres.ErrCatalog) {
			err = &hintError{err: err, hint: "What names mean is in the target's catalog, so it must be reachable from here; sallyport policy test needs no target."}
		}
		return cmd, "", err
	case "ssh":
		return ssh.Describe(ctx, p.gateway, t, text, sqlJudge{p, postgres.NewCatalogs(parse.Direct{}, p.log)})
	default:
		return nil, "", fmt.Errorf("commands of protocol %s cannot be explained", t.Protocol)
	}
}

// lateParser parses in worker processes that it starts with the first text: few
// gateways see SQL in command lines.
type lateParser struct {
	log *slog.Logger

	mu     sync.Mutex
	pool   *parse.Pool // guarded by mu; nil before the first text
	closed bool        // guarded by mu
}

// Parse implements the parser of statements.
func (l *lateParser) Parse(ctx context.Context, canonical string) (*pg_query.ParseResult, error) {
	pool, err := l.started()
	if err != nil {
		return nil, err
	}
	return pool.Parse(ctx, canonical)
}

func (l *lateParser) started() (_ *parse.Pool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, errors.New("the parser is closed")
	}
	if l.pool == nil {
		l.pool, err = parse.New(parse.Config{Workers: 1, Log: l.log})
	}
	return l.pool, err
}

func (l *lateParser) close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	if l.pool == nil {
		return nil
	}
	return l.pool.Close()
}

// sqlJudge judges the SQL in command lines by the target at the database's address.
type sqlJudge struct {
	p        *process
	catalogs *postgres.Catalogs
}

// Judge implements ssh.SQL.
func (j sqlJudge) Judge(ctx context.Context, address, database, text string) (gate.Effects, []string, error) {
	for _, t := range j.p.documents.Set().Targets() {
		if t.Protocol == "postgres" && t.Address == address && t.Database == database {
			cmd, err := j.catalogs.Describe(ctx, j.p.gateway, t, text)
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
