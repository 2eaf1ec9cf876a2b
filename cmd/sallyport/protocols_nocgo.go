//go:build !cgo

package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/sallyport-gateway/sallyport/internal/gate"
	"github.com/sallyport-gateway/sallyport/internal/policy"
)

// errNoParser is the answer of what needs PostgreSQL's parser, which is C.
var errNoParser = errors.New("this build has no SQL parser (it was made without cgo): use a release build for linux, or build with CGO_ENABLED=1")

func protocolNames() []string { return nil }

func facts() map[string]policy.FactsType { return nil }

func startWorker() {}

func newProtocol(name string, _ *process) (served, error) {
	return served{}, fmt.Errorf("listen %s: %w", name, errNoParser)
}

func inspectFor(context.Context, *process, *gate.Target, string) (*gate.Command, string, error) {
	return nil, "", errNoParser
}
