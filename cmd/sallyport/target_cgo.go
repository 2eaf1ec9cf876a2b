//go:build cgo

package main

import (
	"context"
	"fmt"

	"github.com/sallyport-gateway/sallyport/internal/gate"
	"github.com/sallyport-gateway/sallyport/internal/proto/postgres"
	"github.com/sallyport-gateway/sallyport/internal/setup"
	sql "github.com/sallyport-gateway/sallyport/internal/sql/postgres"
	"github.com/sallyport-gateway/sallyport/internal/sql/postgres/parse"
)

// queryTarget runs fn in a session of the gateway's own at a target, with the
// target's credential.
func queryTarget(ctx context.Context, p *process, t *gate.Target, fn func(setup.Querier) error) error {
	return postgres.NewCatalogs(parse.Direct{}, p.log).Query(ctx, p.gateway, t, func(q sql.Querier) error { return fn(q) })
}

// viewTracer returns a function that says why a view cannot be traced; it says
// nothing of one that can.
func viewTracer(p *process, t *gate.Target) func(context.Context, setup.View) (string, error) {
	catalogs := postgres.NewCatalogs(parse.Direct{}, p.log)
	return func(ctx context.Context, v setup.View) (string, error) {
		cmd, err := catalogs.Describe(ctx, p.gateway, t, "SELECT * FROM "+v.Identity)
		if err != nil {
			return "", err
		}
		facts, ok := cmd.Facts.(*sql.Facts)
		switch {
		case !ok || !facts.Understood:
			return "its definition is not understood, so that a statement on it has the effect unknown", nil
		case len(facts.Unreviewed) > 0:
			return fmt.Sprintf("it runs what nobody reviewed: %s", list(facts.Unreviewed)), nil
		case cmd.Effects != gate.EffectRead:
			return "reading it does more than read: " + cmd.Effects.String(), nil
		}
		return "", nil
	}
}
