package postgres

import (
	"strings"

	pg_query "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// anyAlone is a column by itself, or a row that has one.
func (t *target) anyAlone(n *pg_query.Node) bool {
	for _, x := range n.GetRowExpr().GetArgs() {
		if t.alone(x) != "" {
			return true
		}
	}
	return t.alone(n) != ""
}

// alone returns the name of a column that an expression is, apart from functions
// that keep different values apart, or nearly.
func (t *target) alone(n *pg_query.Node) string {
	for range maxMaskDepth {
		switch e := n.GetNode().(type) {
		case *pg_query.Node_ColumnRef:
			return t.column(e.ColumnRef)
		case *pg_query.Node_TypeCast:
			n = e.TypeCast.GetArg()
		case *pg_query.Node_CollateClause:
			n = e.CollateClause.GetArg()
		case *pg_query.Node_AIndirection:
			n = e.AIndirection.GetArg()
		case *pg_query.Node_CoalesceExpr:
			n = e.CoalesceExpr.GetArgs()[0]
		case *pg_query.Node_AExpr:
			if !strings.Contains(" -> ->> #> #>> ", " "+operatorName(e.AExpr.GetName())+" ") {
				return ""
			}
			n = e.AExpr.GetLexpr()
		case *pg_query.Node_FuncCall:
			args := e.FuncCall.GetArgs()
			switch operatorName(e.FuncCall.GetFuncname()) {
			case "lower", "upper", "btrim", "ltrim", "rtrim", "md5", "date", "to_char":
				if len(args) == 0 {
					return ""
				}
				n = args[0]
			case "date_trunc", "date_part", "extract":
				if len(args) < 2 {
					return ""
				}
				n = args[1]
			default:
				return ""
			}
		default:
			return ""
		}
	}
	return ""
}

// column returns the target's column that a reference means, if it means one.
func (t *target) column(c *pg_query.ColumnRef) string {
	fields := strs(c.GetFields())
	if len(fields) == 0 || len(fields) > 1 && fields[len(fields)-2] != t.it.alias || c.GetFields()[len(fields)-1].GetAStar() != nil {
		return ""
	}
	name := fields[len(fields)-1]
	if t.rel != nil && t.rel.column(name) == nil && (!isSystemColumn(name) || name == "tableoid") {
		return ""
	}
	return name
}

// depends says whether an expression names the changed relation, under whatever
// alias. Sub-queries have names of their own.
func (a *analysis) depends(n *pg_query.Node, t *target) bool {
	if n == nil {
		return false
	}
	found := false
	walkSides(n.ProtoReflect(), func(m protoreflect.Message) bool {
		switch v := m.Interface().(type) {
		case *pg_query.ColumnRef:
			found = found || t.names(v)
			return false
		case *pg_query.SubLink:
			found = found || a.depends(v.GetTestexpr(), t) || a.dependsInside(v.GetSubselect(), t)
			return false
		}
		return true
	})
	return found
}

// dependsInside says whether a sub-query depends on the row that is judged.
func (a *analysis) dependsInside(n *pg_query.Node, t *target) bool {
	own, inner := map[string]bool{}, []*Relation{}
	for _, rv := range rangeVars(n) {
		alias := rv.GetRelname()
		if x := rv.GetAlias(); x != nil {
			alias = x.GetAliasname()
		}
		own[alias] = true
		if rel := a.relation(rv); rel != nil {
			inner = append(inner, rel)
		}
	}
	found := false
	walkColumnRefs(n.ProtoReflect(), func(c *pg_query.ColumnRef) {
		fields := strs(c.GetFields())
		if len(fields) > 1 && own[fields[len(fields)-2]] || !t.names(c) {
			return
		}
		for _, rel := range inner {
			if len(fields) == 1 && rel.column(fields[0]) != nil {
				return
			}
		}
		found = true
	}, nil)
	return found
}

// names says whether a reference can mean the changed relation.
func (t *target) names(c *pg_query.ColumnRef) bool {
	fields := strs(c.GetFields())
	if len(fields) > 1 {
		q := fields[len(fields)-2]
		for _, alias := range t.again {
			if q == alias {
				return true
			}
		}
		return q == t.it.alias
	}
	return len(fields) == 1 && (t.rel == nil || t.rel.column(fields[0]) != nil || isSystemColumn(fields[0]) || fields[0] == t.it.alias)
}

func (t *target) named(n *pg_query.Node) bool {
	found := false
	walkColumnRefs(n.ProtoReflect(), func(c *pg_query.ColumnRef) { found = found || t.names(c) }, nil)
	return found
}
