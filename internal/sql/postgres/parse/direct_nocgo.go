//go:build !cgo

package parse

import (
	"context"

	pg_query "github.com/pganalyze/pg_query_go/v6"
)

// Direct parses in the calling process; in this build it cannot.
type Direct struct{}

// Parse returns [ErrUnavailable].
func (Direct) Parse(context.Context, string) (*pg_query.ParseResult, error) {
	return nil, failure(ErrUnavailable)
}
