package postgres

import (
	"strings"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/sallyport-gateway/sallyport/internal/gate"
	"github.com/sallyport-gateway/sallyport/internal/sql/postgres/lex"
)

// explainStmt reads EXPLAIN. Planning runs functions that are declared
// immutable, so whatever the statement cannot be trusted with stays.
func (a *analysis) explainStmt(s *pg_query.ExplainStmt) Statement {
	a.exact()
	a.word("explain")
	analyze, costs := false, true
	a.planning = ""
	for _, n := range s.GetOptions() {
		d := n.GetDefElem()
		on, ok := boolOption(d)
		switch {
		case !ok && d.GetDefname() != "format" && d.GetDefname() != "serialize":
			a.unknown()
		case d.GetDefname() == "analyze":
			analyze = on
		case d.GetDefname() == "costs":
			costs = on
		case d.GetDefname() == "buffers", d.GetDefname() == "memory": // of planning, which reads statistics
			if on {
				a.planning += " , " + strings.ToUpper(d.GetDefname()) + " off"
			}
		}
	}
	outer, unbounded := a.effects, a.facts.unbounded
	a.effects = 0
	a.plans = !analyze
	switch {
	case analyze:
		a.explain = explainPlain
	case costs || a.planning != "":
		a.explain = explainCosts
	default:
		a.explain = explainBare
	}
	inner := a.dispatch(s.GetQuery())
	if a.explain == explainCosts {
		a.explaining, a.onlyReads = s, a.effects&^gate.EffectRead == 0
	}
	if !analyze {
		a.effects &^= gate.EffectWrite | gate.EffectDelete | gate.EffectSchema
		a.facts.unbounded = unbounded
	}
	a.effects |= outer | gate.EffectRead
	st := Statement{Word: "explain", Explain: true}
	if inner.Kind == KindExecute {
		st.Kind, st.Name = inner.Kind, inner.Name
		switch a.explain {
		case explainPlain:
			a.refuseAll("EXPLAIN ANALYZE EXECUTE", "shows estimates that can be made from labelled columns", "use EXPLAIN EXECUTE")
		case explainCosts:
			a.costly, a.onlyReads = a.in.labels.all, false
		}
	}
	a.explain, a.plans = explainNone, false
	return st
}

// costs leaves the costs out of EXPLAIN, and what measures its planning, if they can be made from labelled columns:
// those that the statement's tokens, or the definition of a view, can name. A
// statement that changes rows has all columns in its plan. What is left are the
// sizes of relations, which the catalog shows too.
func (a *analysis) costs() {
	if a.explaining == nil {
		return
	}
	if a.onlyReads {
		a.costly = a.reached | a.beneath
	}
	if a.costly != 0 {
		a.labels |= a.costly
		a.leaveCostsOut(a.explaining)
	}
}

// leaveCostsOut writes COSTS off into EXPLAIN. Of an option that is given twice
// the last one counts (commands/explain.c).
func (a *analysis) leaveCostsOut(s *pg_query.ExplainStmt) {
	first, next := a.from, a.from+1
	if a.tokens == nil || next >= a.to || !a.tokens.Is(first, "explain") {
		a.unknown()
		return
	}
	put := func(from, to int, text string) {
		a.change(edit{from: from, to: to, labels: a.costly, pieces: []editPiece{{text: text}}})
	}
	switch {
	case len(s.GetOptions()) == 0:
		put(next, next, "( COSTS off )")
	case a.tokens.Is(next, "verbose"):
		put(next, next+1, "( VERBOSE , COSTS off )")
	case a.tokens.At(next).Kind == lex.LeftParen:
		for next < a.to && a.tokens.At(next).Kind != lex.RightParen {
			next++
		}
		put(next, next, ", COSTS off"+a.planning)
	default:
		a.unknown()
	}
}

// boolOption reads an option that is on, off or bare.
func boolOption(d *pg_query.DefElem) (on, ok bool) {
	switch v := d.GetArg().GetNode().(type) {
	case nil:
		return true, true
	case *pg_query.Node_Boolean:
		return v.Boolean.GetBoolval(), true
	case *pg_query.Node_Integer:
		return v.Integer.GetIval() != 0, v.Integer.GetIval() == 0 || v.Integer.GetIval() == 1
	case *pg_query.Node_String_:
		switch strings.ToLower(v.String_.GetSval()) {
		case "true", "on":
			return true, true
		case "false", "off":
			return false, true
		}
	}
	return false, false
}
