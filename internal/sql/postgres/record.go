package postgres

import (
	"strings"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/sallyport-gateway/sallyport/internal/sql/postgres/lex"
)

// secretText stands for a secret in a record.
const secretText = "'REDACTED'"

// Record returns the agent's own text for the record and for approvers, with
// secrets in it replaced: passwords of roles, connection strings and options of
// subscriptions, servers and user mappings.
func (i *Inspection) Record() string {
	src := i.tokens.Source()
	if len(i.analysed.secrets) == 0 {
		return src
	}
	var b strings.Builder
	at := 0
	for _, s := range i.analysed.secrets {
		for n := s.from; n < s.to && n < i.tokens.Len(); n++ {
			t := i.tokens.At(n)
			if t.Kind != lex.String || int(t.Start) < at {
				continue
			}
			b.WriteString(src[at:t.Start])
			b.WriteString(secretText)
			at = int(t.End)
		}
	}
	b.WriteString(src[at:])
	return b.String()
}

// keepsSecrets notes statements whose strings can be secrets: all strings of
// such a statement are replaced in records, which needs no list of options.
func (a *analysis) keepsSecrets(n *pg_query.Node) {
	switch n.GetNode().(type) {
	case *pg_query.Node_CreateRoleStmt, *pg_query.Node_AlterRoleStmt,
		*pg_query.Node_CreateSubscriptionStmt, *pg_query.Node_AlterSubscriptionStmt,
		*pg_query.Node_CreateForeignServerStmt, *pg_query.Node_AlterForeignServerStmt,
		*pg_query.Node_CreateUserMappingStmt, *pg_query.Node_AlterUserMappingStmt,
		*pg_query.Node_CreateFdwStmt, *pg_query.Node_AlterFdwStmt, *pg_query.Node_CreateForeignTableStmt:
		a.secrets = append(a.secrets, tokenSpan{a.from, a.to})
	}
}
