//go:build !cgo

package main

import (
	"context"

	"github.com/sallyport-gateway/sallyport/internal/gate"
	"github.com/sallyport-gateway/sallyport/internal/setup"
)

func queryTarget(context.Context, *process, *gate.Target, func(setup.Querier) error) error {
	return errNoParser
}

func viewTracer(*process, *gate.Target) func(context.Context, setup.View) (string, error) {
	return func(context.Context, setup.View) (string, error) { return "", errNoParser }
}
