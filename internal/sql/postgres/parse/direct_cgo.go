//go:build cgo

package parse

import (
	"context"
	"errors"
	"strings"

	pg_query "github.com/pganalyze/pg_query_go/v6"
	"github.com/pganalyze/pg_query_go/v6/parser"
)

// Direct parses in the calling process. See the package's documentation for
// where it must not be used.
type Direct struct{}

// Parse returns the parse tree of a canonical text. Errors are [*Error]. It does
// not wait and ignores ctx.
func (Direct) Parse(_ context.Context, canonical string) (*pg_query.ParseResult, error) {
	if strings.IndexByte(canonical, 0) >= 0 { // libpg_query would stop reading there
		return nil, rejection(nulMessage, 0)
	}
	data, err := parser.ParseToProtobuf(canonical)
	if err != nil {
		position := 0
		var e *parser.Error
		if errors.As(err, &e) {
			position = e.Cursorpos
		}
		return nil, rejection(err.Error(), position)
	}
	tree, err := decode(data, canonical)
	if err != nil {
		return nil, failure(err)
	}
	return tree, nil
}
