package postgres

import (
	"slices"
	"strings"
	"unicode"

	pg_query "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// boundColumn is what bounds need to know of a column that a query can name.
type boundColumn struct {
	name string
	typ  oid     // 0 if not known
	own  bool    // a column of a table as it is, so that a condition on it leaves rows out
	base *Column // the table's column; nil for where a row lies
	few  bool    // its values are few: constants, or what a bounded query gives
	star bool    // * shows it
}

// boundSource is a relation in FROM, or the one that a statement changes.
type boundSource struct {
	alias, schema string
	cols          []boundColumn
	few           bool // a condition leaves rows of it out
	target        bool // the statement changes it
	open          bool // it has columns that are not known
}

// level is what names mean inside one query, for the question which rows a
// condition leaves out. What it does not know, no condition is bounded by.
type level struct {
	parent  *level
	ctes    *cteScope
	sources []*boundSource
	conds   []*pg_query.Node // that the rows of the sources meet
	merged  bool             // * shows columns of NATURAL or USING once
}

// boundQuery is a query whose sources and columns were looked at.
type boundQuery struct {
	level *level
	cols  []boundColumn
}

// resolveBound finds what a column reference means, nil if that is not certain.
func (a *analysis) resolveBound(c *pg_query.ColumnRef, lv *level) (*boundSource, *boundColumn) {
	fields := strs(c.GetFields())
	if len(fields) == 0 || len(fields) > 3 || c.GetFields()[len(fields)-1].GetAStar() != nil {
		return nil, nil
	}
	name := fields[len(fields)-1]
	for ; lv != nil; lv = lv.parent {
		var src *boundSource
		var col *boundColumn
		open := false
		for _, s := range lv.sources {
			if !a.working(len(s.cols)) {
				return nil, nil
			}
			if len(fields) > 1 && (s.alias != fields[len(fields)-2] || len(fields) == 3 && s.schema != fields[0]) {
				continue
			}
			open = open || s.open || len(fields) > 1
			for i := range s.cols {
				if s.cols[i].name == name {
					if col != nil {
						return nil, nil
					}
					src, col = s, &s.cols[i]
				}
			}
		}
		if col != nil || open {
			return src, col
		}
	}
	return nil, nil
}

// limited reports whether an expression has few values, the same ones for every row
// that a condition judges: it names columns of which that is true, or none.
// Functions of users can read what they like.
func (a *analysis) limited(n *pg_query.Node, lv *level) (few, constant bool) {
	if n == nil {
		return false, false
	}
	few, constant = true, true
	walkSides(n.ProtoReflect(), func(m protoreflect.Message) bool {
		switch v := m.Interface().(type) {
		case *pg_query.SubLink:
			few = false
		case *pg_query.ColumnRef:
			src, col := a.resolveBound(v, lv)
			few, constant = few && col != nil && (src.few || col.few), false
			return false
		case *pg_query.FuncCall:
			names := strs(v.GetFuncname())
			if v.GetOver() != nil || v.GetAggStar() || len(a.in.cat.userFunctions("", names[len(names)-1])) > 0 {
				few = false
			}
		}
		return few
	})
	return few, few && constant
}

// boundedQuery looks at a query inside another one. It has no columns if they are not known.
func (a *analysis) boundedQuery(s *pg_query.SelectStmt, parent *level, ctes *cteScope) *boundQuery {
	if s == nil || !a.enter() {
		return &boundQuery{}
	}
	defer a.leave()
	if q := a.boundQueries[s]; q != nil {
		return q
	}
	q := &boundQuery{level: &level{parent: parent, ctes: boundWith(s.GetWithClause(), ctes)}}
	if a.boundQueries == nil {
		a.boundQueries = map[*pg_query.SelectStmt]*boundQuery{}
	}
	a.boundQueries[s] = q
	switch {
	case s.GetOp() > pg_query.SetOperation_SETOP_NONE:
		q.cols = a.boundSetOperation(s, q.level)
	case len(s.GetValuesLists()) > 0:
		for _, row := range s.GetValuesLists() {
			for i, n := range row.GetList().GetItems() {
				few, _ := a.limited(n, q.level)
				if i >= len(q.cols) {
					q.cols = append(q.cols, boundColumn{name: columnNumber(i), few: true, star: true})
				}
				q.cols[i].few = q.cols[i].few && few
			}
		}
	default:
		for _, n := range s.GetFromClause() {
			a.boundFrom(n, q.level, true)
		}
		a.settle(q.level, s.GetWhereClause())
		q.cols = a.boundTargets(s, q.level)
	}
	if rows, ok := a.limit(s); ok && rows <= fewRows && a.closed(s, ctes) {
		for i := range q.cols {
			q.cols[i].few = true
		}
	}
	return q
}

// boundWith adds the queries of a WITH clause to those that can be named.
func boundWith(w *pg_query.WithClause, ctes *cteScope) *cteScope {
	for _, n := range w.GetCtes() {
		c := n.GetCommonTableExpr()
		ctes = &cteScope{parent: ctes, name: c.GetCtename()}
		if !w.GetRecursive() {
			ctes.query = c
		}
	}
	return ctes
}

func (a *analysis) boundSetOperation(s *pg_query.SelectStmt, lv *level) []boundColumn {
	left := a.boundedQuery(s.GetLarg(), lv.parent, lv.ctes).cols
	right := a.boundedQuery(s.GetRarg(), lv.parent, lv.ctes).cols
	if len(left) != len(right) {
		return nil
	}
	out := make([]boundColumn, len(left))
	for i := range left {
		out[i] = boundColumn{name: left[i].name, few: left[i].few, own: left[i].own && right[i].own, star: true}
		if s.GetOp() == pg_query.SetOperation_SETOP_UNION {
			out[i].few = left[i].few && right[i].few
		}
	}
	return out
}

// boundTargets are the columns that a select list gives. A condition on one of them
// leaves rows out only if the query has one source, so that no other's rows are meant.
func (a *analysis) boundTargets(s *pg_query.SelectStmt, lv *level) []boundColumn {
	own := len(lv.sources) == 1 && len(s.GetGroupClause()) == 0
	var out []boundColumn
	for _, n := range s.GetTargetList() {
		t := n.GetResTarget()
		c := t.GetVal().GetColumnRef()
		if fields := c.GetFields(); len(fields) > 0 && fields[len(fields)-1].GetAStar() != nil {
			for _, src := range lv.sources {
				if len(fields) > 1 && src.alias != fields[len(fields)-2].GetString_().GetSval() {
					continue
				}
				if src.open || lv.merged || len(out) > maxColumns || !a.working(len(src.cols)) {
					return nil
				}
				for _, col := range src.cols {
					if col.star {
						out = append(out, boundColumn{name: col.name, typ: col.typ, own: own && col.own, base: col.base, few: src.few || col.few, star: true})
					}
				}
			}
			continue
		}
		few, constant := a.limited(t.GetVal(), lv)
		if constant && len(lv.sources) > 0 && calls(t.GetVal()) {
			few = false // what it gives can be another value for every row
		}
		col := boundColumn{name: t.GetName(), few: few, star: true}
		if col.name == "" {
			col.name = outputName(t.GetVal())
		}
		if src, from := a.resolveBound(c, lv); own && src == lv.sources[0] && from != nil {
			col.own, col.typ, col.base = from.own, from.typ, from.base
		}
		out = append(out, col)
	}
	return out
}

func calls(n *pg_query.Node) bool {
	found := false
	walkSides(n.ProtoReflect(), func(m protoreflect.Message) bool {
		_, call := m.Interface().(*pg_query.FuncCall)
		found = found || call
		return !found
	})
	return found
}

// boundFrom adds an entry of FROM. An outer join gives NULL besides the rows of its
// sides, and its condition leaves none of them out.
func (a *analysis) boundFrom(n *pg_query.Node, lv *level, inner bool) {
	if !a.enter() {
		return
	}
	defer a.leave()
	src := &boundSource{open: true}
	var alias *pg_query.Alias
	switch f := n.GetNode().(type) {
	case *pg_query.Node_RangeVar:
		alias = f.RangeVar.GetAlias()
		src = a.boundRelation(f.RangeVar, lv)
	case *pg_query.Node_RangeTableSample:
		a.boundFrom(f.RangeTableSample.GetRelation(), lv, inner)
		return
	case *pg_query.Node_RangeSubselect:
		alias = f.RangeSubselect.GetAlias()
		outer := lv.parent
		if f.RangeSubselect.GetLateral() {
			outer = lv
		}
		cols := a.boundedQuery(f.RangeSubselect.GetSubquery().GetSelectStmt(), outer, lv.ctes).cols
		src = &boundSource{cols: cols, open: cols == nil}
	case *pg_query.Node_RangeFunction:
		// Which columns it has beyond those that are listed is not known.
		alias = f.RangeFunction.GetAlias()
		_, constant := a.limited(n, lv)
		for _, d := range f.RangeFunction.GetColdeflist() {
			src.cols = append(src.cols, boundColumn{name: d.GetColumnDef().GetColname(), few: constant})
		}
		if len(src.cols) == 0 {
			for _, name := range strs(alias.GetColnames()) {
				src.cols = append(src.cols, boundColumn{name: name, few: constant})
			}
		}
	case *pg_query.Node_JoinExpr:
		j := f.JoinExpr
		before, conds := len(lv.sources), len(lv.conds)
		inner = inner && j.GetJointype() == pg_query.JoinType_JOIN_INNER
		a.boundFrom(j.GetLarg(), lv, inner)
		a.boundFrom(j.GetRarg(), lv, inner)
		if inner && j.GetQuals() != nil {
			lv.conds = append(lv.conds, j.GetQuals())
		}
		lv.merged = lv.merged || j.GetIsNatural() || len(j.GetUsingClause()) > 0
		switch {
		case j.GetAlias() != nil:
			// It hides what it is made of.
			lv.sources = append(lv.sources[:before:before], &boundSource{alias: j.GetAlias().GetAliasname(), open: true})
			lv.conds = lv.conds[:conds:conds]
		case j.GetJoinUsingAlias() != nil:
			lv.sources = append(lv.sources, &boundSource{alias: j.GetJoinUsingAlias().GetAliasname(), open: true})
		}
		return
	}
	if alias != nil {
		src.alias, src.schema = alias.GetAliasname(), ""
		for i, name := range strs(alias.GetColnames()) {
			if i < len(src.cols) {
				src.cols[i].name = name
			}
		}
	}
	lv.sources = append(lv.sources, src)
}

// boundRelation is a relation or a WITH query in FROM.
func (a *analysis) boundRelation(rv *pg_query.RangeVar, lv *level) *boundSource {
	name := rv.GetRelname()
	if c := lv.ctes.find(name); c != nil && rv.GetSchemaname() == "" {
		cols := append([]boundColumn(nil), a.boundedQuery(c.query.GetCtequery().GetSelectStmt(), nil, c.parent).cols...)
		for i, as := range strs(c.query.GetAliascolnames()) {
			if i < len(cols) {
				cols[i].name = as
			}
		}
		return &boundSource{alias: name, cols: cols, open: len(cols) == 0}
	}
	return a.relationSource(a.relation(rv), name)
}

func (a *analysis) relationSource(rel *Relation, alias string) *boundSource {
	if rel == nil {
		return &boundSource{alias: alias, open: true}
	}
	src := &boundSource{alias: alias, schema: rel.schema, open: rel.extras().open}
	for i := range rel.columns {
		c := &rel.columns[i]
		base := a.ownColumn(rel, i)
		src.cols = append(src.cols, boundColumn{name: c.name, typ: c.typ, own: base != nil, base: base, star: true})
	}
	if rel.kind != 'v' {
		src.cols = append(src.cols, boundColumn{name: "ctid", own: true})
	}
	return src
}

// viewOf returns what a view does, nil if it is not known.
func (a *analysis) viewOf(rel *Relation) *view {
	if rel.isTemporary() {
		return rel.extras().view
	}
	return a.view(rel)
}

// ownColumn returns the column of a table that a column is, also through views that
// show it as it is; nil if it is computed.
func (a *analysis) ownColumn(rel *Relation, i int) *Column {
	c := &rel.columns[i]
	for range maxViewDepth {
		if rel.kind != 'v' {
			return c
		}
		v := a.viewOf(rel)
		at := slices.IndexFunc(rel.columns, func(x Column) bool { return x.num == c.num })
		if v == nil || len(v.simple) != len(rel.columns) || at < 0 || v.simple[at] == 0 {
			return nil
		}
		rel = v.bases[0]
		if c = rel.columnByNum(v.simple[at]); c == nil {
			return nil
		}
	}
	return nil
}

// settle finds the sources of a query of which a condition leaves rows out, by
// themselves or by those that they are joined with. The relation that a statement
// changes is never one: its rows are in question.
func (a *analysis) settle(lv *level, where *pg_query.Node) {
	conds := lv.conds
	if where != nil {
		conds = append(conds[:len(conds):len(conds)], where)
	}
	for again := true; again; {
		again = false
		for _, s := range lv.sources {
			for _, n := range conds {
				if !s.target && !s.few && a.bounds(n, s, lv) {
					s.few, again = true, true
				}
			}
		}
	}
}

// closed reports whether a query names nothing of the queries around it.
func (a *analysis) closed(s *pg_query.SelectStmt, ctes *cteScope) bool {
	if s == nil || !a.enter() {
		return false
	}
	defer a.leave()
	lv := &level{ctes: boundWith(s.GetWithClause(), ctes)}
	for _, n := range s.GetFromClause() {
		a.boundFrom(n, lv, false)
	}
	ok := true
	walkSides(s.ProtoReflect(), func(m protoreflect.Message) bool {
		switch v := m.Interface().(type) {
		case *pg_query.SelectStmt:
			if v != s {
				ok = ok && a.closed(v, lv.ctes)
				return false
			}
		case *pg_query.ColumnRef:
			if fields := v.GetFields(); len(fields) == 1 && fields[0].GetAStar() != nil {
				return false
			}
			_, col := a.resolveBound(v, lv)
			ok = ok && col != nil
		}
		return ok
	})
	return ok
}

// mayRead reports whether the rows of a query can be those of a relation: its own, or
// those that a view, a partition or a function shows.
func (a *analysis) mayRead(m protoreflect.Message, ctes *cteScope, rel *Relation, seen map[*cteScope]bool) bool {
	if !a.enter() {
		return true
	}
	defer a.leave()
	found, root := false, m
	walkSides(m, func(m protoreflect.Message) bool {
		switch v := m.Interface().(type) {
		case *pg_query.SelectStmt:
			if m != root {
				found = found || a.mayRead(m, ctes, rel, seen)
				return false
			}
			ctes = boundWith(v.GetWithClause(), ctes)
		case *pg_query.FuncCall:
			names := strs(v.GetFuncname())
			found = found || len(a.in.cat.userFunctions("", names[len(names)-1])) > 0
		case *pg_query.RangeVar:
			c := ctes.find(v.GetRelname())
			switch {
			case c == nil || v.GetSchemaname() != "":
				found = found || a.showsRows(a.relation(v), rel, 0)
			case c.query == nil:
				found = true // a recursive one
			case !seen[c]:
				seen[c] = true
				found = found || a.mayRead(c.query.ProtoReflect(), c.parent, rel, seen)
			}
		}
		return !found
	})
	return found
}

// showsRows reports whether a relation, or what a view reads, has rows of another one.
func (a *analysis) showsRows(from, rel *Relation, depth int) bool {
	if from == nil || from == rel || depth >= maxViewDepth {
		return true
	}
	for _, r := range []*Relation{from, rel} {
		if !r.isView() {
			continue
		}
		v := a.viewOf(r)
		if v == nil {
			return true
		}
		for _, base := range v.bases {
			if r == from && a.showsRows(base, rel, depth+1) || r == rel && a.showsRows(from, base, depth+1) {
				return true
			}
		}
		return false
	}
	family := func(r *Relation) bool { return len(r.extras().parents)+len(r.extras().children) > 0 }
	return family(from) && family(rel)
}

func columnKey(n *pg_query.Node) string {
	fields := n.GetColumnRef().GetFields()
	if len(fields) == 0 {
		return ""
	}
	return fields[len(fields)-1].GetString_().GetSval()
}

// leavesOut reports whether a pattern is one that not every text matches: it has a
// letter or digit, and as a regular expression nothing but texts that stand for
// themselves.
func leavesOut(op, pattern string) bool {
	sign := func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }
	switch op {
	case "^@":
		return pattern != ""
	case "~~", "~~*":
		return strings.ContainsFunc(pattern, sign)
	case "~", "~*":
		return strings.ContainsFunc(pattern, sign) &&
			!strings.ContainsFunc(strings.Trim(pattern, "^$"), func(r rune) bool { return !sign(r) && !strings.ContainsRune(" -_@:/,", r) })
	}
	return false
}
