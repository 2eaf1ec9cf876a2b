//go:build !cgo || !unix

package main

import (
	"context"
	"errors"
	"io"
)

// runDemo says what to do: the demo runs a gateway, which needs PostgreSQL's
// parser, and a private PostgreSQL, which needs Unix.
func runDemo(context.Context, demoOptions, io.Writer) error {
	return &hintError{err: errors.New("this build cannot run a gateway, so it has no demo"),
		hint: "Use a release build for Linux, or build with a C compiler and CGO_ENABLED=1 on Linux or macOS."}
}
