package postgres

import (
	"strings"
	"unicode"

	pg_query "github.com/pganalyze/pg_query_go/v6"
)

// unknownRelation stands in facts for a relation that is computed when the statement
// runs. No rule can name it.
const unknownRelation = "?.?"

// changesBy notes what a function of pg_catalog changes beside the tables that its
// statement names: a sequence, or large objects, which are rows of pg_largeobject.
// What a definition does so is the definition's own.
func (a *analysis) changesBy(f *pg_query.FuncCall, name string) {
	if a.outside {
		return
	}
	what := ""
	switch name {
	case "nextval", "setval":
		what = unknownRelation
		if args := f.GetArgs(); len(args) > 0 {
			what = a.sequenceName(args[0])
		}
	case "lo_creat", "lo_create", "lo_from_bytea", "lo_import", "lo_put", "lo_truncate", "lo_truncate64", "lo_unlink", "lowrite":
		what = "pg_catalog.pg_largeobject"
	default:
		return
	}
	a.facts.tables = append(a.facts.tables, what)
	a.facts.written = append(a.facts.written, what)
}

// sequenceName is the relation that a constant of type regclass means.
func (a *analysis) sequenceName(n *pg_query.Node) string {
	if c := n.GetTypeCast(); c != nil && textOrRegclass(c.GetTypeName()) {
		n = c.GetArg()
	}
	if n.GetAConst() == nil {
		return unknownRelation
	}
	c := a.constant(n.GetAConst())
	names, ok := identifiers(c.s)
	if c.kind != 's' || !ok {
		return unknownRelation
	}
	if len(names) == 3 && names[0] == a.env.Database {
		names = names[1:]
	}
	rv := &pg_query.RangeVar{Relname: names[len(names)-1]}
	switch len(names) {
	case 1:
	case 2:
		rv.Schemaname = names[0]
	default:
		return unknownRelation
	}
	if rel := a.relation(rv); rel != nil {
		return rel.Name()
	}
	return qualifyUnknown(rv)
}

// textOrRegclass are types by way of which a constant means the same relation.
func textOrRegclass(t *pg_query.TypeName) bool {
	names := strs(t.GetNames())
	if len(names) == 2 && names[0] == "pg_catalog" {
		names = names[1:]
	}
	return len(names) == 1 && (names[0] == "regclass" || names[0] == "text") && len(t.GetArrayBounds()) == 0
}

// identifiers reads a qualified name as PostgreSQL does (utils/adt/varlena.c,
// SplitIdentifierString). A number is no name but an OID.
func identifiers(s string) (names []string, ok bool) {
	for {
		s = strings.TrimSpace(s)
		name := ""
		if rest, quoted := strings.CutPrefix(s, `"`); quoted {
			for again := true; again; {
				part, after, closed := strings.Cut(rest, `"`)
				if !closed {
					return nil, false
				}
				name += part
				rest, again = strings.CutPrefix(after, `"`)
				if again {
					name += `"`
				}
			}
			s = rest
		} else {
			end := strings.IndexFunc(s, func(r rune) bool { return r == '.' || unicode.IsSpace(r) })
			if end < 0 {
				end = len(s)
			}
			name, s = strings.ToLower(s[:end]), s[end:]
			if name != "" && name[0] >= '0' && name[0] <= '9' || strings.Contains(name, `"`) {
				return nil, false
			}
		}
		if name == "" {
			return nil, false
		}
		names = append(names, name)
		s = strings.TrimSpace(s)
		if s == "" {
			return names, true
		}
		if s[0] != '.' {
			return nil, false
		}
		s = s[1:]
	}
}
