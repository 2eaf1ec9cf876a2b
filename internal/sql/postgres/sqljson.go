package postgres

import (
	pg_query "github.com/pganalyze/pg_query_go/v6"
)

func (a *analysis) jsonFunc(f *pg_query.JsonFuncExpr, sc *scope, u use) taint {
	a.jsonOutput(f.GetOutput())
	t := a.jsonValue(f.GetContextItem(), sc, u)
	t.join(a.expr(f.GetPathspec(), sc, u))
	t.join(a.exprs(f.GetPassing(), sc, u))
	t.join(a.jsonBehavior(f.GetOnEmpty(), sc, u))
	t.join(a.jsonBehavior(f.GetOnError(), sc, u))
	return t
}

func (a *analysis) jsonValue(v *pg_query.JsonValueExpr, sc *scope, u use) taint {
	if v == nil {
		return taint{}
	}
	t := a.expr(v.GetRawExpr(), sc, u)
	t.join(a.expr(v.GetFormattedExpr(), sc, u))
	return t
}

func (a *analysis) jsonPair(p *pg_query.JsonKeyValue, sc *scope, u use) taint {
	t := a.expr(p.GetKey(), sc, u)
	t.join(a.jsonValue(p.GetValue(), sc, u))
	return t
}

func (a *analysis) jsonBehavior(b *pg_query.JsonBehavior, sc *scope, u use) taint {
	if b == nil {
		return taint{}
	}
	return a.expr(b.GetExpr(), sc, u)
}

func (a *analysis) jsonOutput(o *pg_query.JsonOutput) {
	if o != nil && o.GetTypeName() != nil {
		a.typeName(o.GetTypeName())
	}
}

func (a *analysis) jsonAggregate(c *pg_query.JsonAggConstructor, sc *scope) taint {
	a.jsonOutput(c.GetOutput())
	a.expr(c.GetAggFilter(), sc, useWhere)
	for _, n := range c.GetAggOrder() {
		a.operator(n.GetSortBy().GetUseOp())
		a.expr(n.GetSortBy().GetNode(), sc, useOrder)
	}
	a.window(c.GetOver(), sc)
	return taint{}
}
