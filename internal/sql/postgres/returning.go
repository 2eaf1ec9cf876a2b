package postgres

import (
	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/sallyport-gateway/sallyport/internal/gate"
	"github.com/sallyport-gateway/sallyport/internal/sql/postgres/lex"
)

// returning reads RETURNING. The changed relation cannot be replaced by masks,
// so labelled columns that are selected directly are replaced one by one, and
// stars are written out; anything else that can reach one is refused.
func (a *analysis) returning(list []*pg_query.Node, it *item, rel *Relation, visible *scope, from []*pg_query.Node) []outCol {
	if len(list) == 0 {
		return nil
	}
	a.add(gate.EffectRead)
	outs := a.targets(list, visible)
	if rel == nil || a.outside || a.tokens == nil {
		return outs
	}
	labels := a.in.labels.of(rel)
	if labels.any() == 0 {
		return outs
	}
	for _, n := range list {
		t := n.GetResTarget()
		if c := t.GetVal().GetColumnRef(); c != nil && a.returnColumn(t, c, it, rel, labels, from) {
			continue
		}
		a.visibleToTarget(it, rel, t.GetVal())
	}
	return outs
}

// returnColumn replaces a direct reference; false means that it is none.
func (a *analysis) returnColumn(t *pg_query.ResTarget, c *pg_query.ColumnRef, it *item, rel *Relation, labels *columnLabels, from []*pg_query.Node) bool {
	fields := c.GetFields()
	if len(fields) > 3 || len(fields) > 1 && fields[len(fields)-2].GetString_().GetSval() != it.alias {
		return false
	}
	start := a.tokens.TokenAt(int(c.GetLocation()))
	span := tokenSpan{start, start + 2*len(fields) - 1}
	prefix := quoteIdent(it.alias) + "."
	last := fields[len(fields)-1]
	if last.GetAStar() != nil {
		rest, ok := []editPiece(nil), true
		if len(fields) == 1 {
			rest, ok = a.restOfStar(from)
		}
		if !ok || span.to > a.tokens.Len() || a.tokens.At(span.to-1).Kind != lex.Star {
			return false
		}
		a.labels |= labels.any()
		pieces := append([]editPiece{{columns: a.maskedColumns(rel, nil), scope: prefix}}, rest...)
		a.change(edit{from: span.from, to: span.to, labels: labels.any(), pieces: pieces})
		return true
	}
	col := rel.column(last.GetString_().GetSval())
	if col == nil || labels.column(col.num) == 0 {
		return false
	}
	l := labels.column(col.num)
	a.labels |= l
	as := col.name
	if t.GetName() != "" {
		as = "-" // the alias follows
	}
	masked := maskColumn(col, labels)
	masked.as = as
	span = a.entry(span)
	a.change(edit{from: span.from, to: span.to, labels: l, pieces: []editPiece{{columns: []maskedColumn{masked}, scope: prefix}}})
	return true
}

// restOfStar names what * shows besides the changed relation: the items of the
// FROM list by their aliases.
func (a *analysis) restOfStar(from []*pg_query.Node) ([]editPiece, bool) {
	var pieces []editPiece
	var walk func(n *pg_query.Node) bool
	walk = func(n *pg_query.Node) bool {
		alias := ""
		switch f := n.GetNode().(type) {
		case *pg_query.Node_RangeVar:
			alias = f.RangeVar.GetRelname()
			if x := f.RangeVar.GetAlias(); x != nil {
				alias = x.GetAliasname()
			}
		case *pg_query.Node_RangeSubselect:
			alias = f.RangeSubselect.GetAlias().GetAliasname()
		case *pg_query.Node_RangeFunction:
			alias = f.RangeFunction.GetAlias().GetAliasname()
		case *pg_query.Node_JoinExpr:
			j := f.JoinExpr
			if j.GetIsNatural() || len(j.GetUsingClause()) > 0 || j.GetAlias() != nil {
				return false
			}
			return walk(j.GetLarg()) && walk(j.GetRarg())
		}
		if alias == "" {
			return false
		}
		pieces = append(pieces, editPiece{text: ", " + quoteIdent(alias) + ".*"})
		return true
	}
	for _, n := range from {
		if !walk(n) {
			return nil, false
		}
	}
	return pieces, true
}
