package postgres

import (
	"maps"
	"slices"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/sallyport-gateway/sallyport/internal/sql/postgres/lex"
)

// tokenSpan is tokens from up to, not including, to.
type tokenSpan struct{ from, to int }

// rangeUse is a labelled relation in a FROM clause.
type rangeUse struct {
	rel     *Relation
	alias   string
	renamed []string  // alias column list
	name    tokenSpan // the relation expression: [ONLY] name [*]
	bare    bool      // without an alias
	only    bool
	table   bool // TABLE name: the span covers the keyword
	sampled bool
}

// maxRanges bounds the labelled relations of one statement; a join of a thousand
// relations is more than PostgreSQL can plan.
const maxRanges = 1000

// nameSpan returns the tokens of a qualified name at a byte offset.
func (a *analysis) nameSpan(location int32) tokenSpan {
	i := a.tokens.TokenAt(int(location))
	j := i + 1
	for j+1 < a.tokens.Len() && a.tokens.At(j).Kind == lex.Dot {
		j += 2
	}
	return tokenSpan{i, j}
}

// noteName remembers where a relation is named, so that the name itself does
// not count as a whole row.
func (a *analysis) noteName(rv *pg_query.RangeVar) {
	if a.outside || a.tokens == nil {
		return
	}
	a.names = append(a.names, a.nameSpan(rv.GetLocation()))
}

// substitute remembers a relation that is read. Whether it is replaced is
// decided when the whole statement was seen.
func (a *analysis) substitute(rv *pg_query.RangeVar, rel *Relation, sampled bool) {
	if a.outside || a.tokens == nil {
		return
	}
	a.noteName(rv)
	if a.in.labels.of(rel).any() == 0 {
		return
	}
	u := rangeUse{rel: rel, alias: rv.GetRelname(), bare: rv.GetAlias() == nil, only: !rv.GetInh(), sampled: sampled}
	u.name = a.nameSpan(rv.GetLocation())
	if !u.bare {
		u.alias, u.renamed = rv.GetAlias().GetAliasname(), strs(rv.GetAlias().GetColnames())
		a.noteAlias(u.name.to)
	}
	n := a.tokens.Len()
	if u.only {
		if u.name.from > 1 && u.name.to < n && a.tokens.At(u.name.from-1).Kind == lex.LeftParen && a.tokens.Is(u.name.from-2, "only") {
			u.name = tokenSpan{u.name.from - 2, u.name.to + 1}
		} else if u.name.from > 0 && a.tokens.Is(u.name.from-1, "only") {
			u.name.from--
		} else {
			a.unknown()
		}
	} else if u.name.to < n && a.tokens.At(u.name.to).Kind == lex.Star {
		u.name.to++
	}
	if u.name.from > 0 && a.tokens.Is(u.name.from-1, "table") {
		u.table = true
		u.name.from--
	}
	if len(a.ranges) >= maxRanges {
		a.unknown()
		return
	}
	if !slices.ContainsFunc(a.ranges, func(x rangeUse) bool { return x.name == u.name }) {
		a.ranges = append(a.ranges, u) // a recursive WITH query is read twice
	}
}

// noteAlias remembers the alias that follows a relation expression.
func (a *analysis) noteAlias(at int) {
	for at < a.tokens.Len() {
		switch k := a.tokens.At(at).Kind; {
		case k == lex.Star || k == lex.RightParen || a.tokens.Is(at, "as"):
			at++
			continue
		case k == lex.Word || k == lex.QuotedIdent:
			a.names = append(a.names, tokenSpan{at, at + 1})
		}
		return
	}
}

// substituteAll replaces every labelled relation of which a labelled column, a
// whole row or a star can be named by the tokens of a statement. The test
// looks at tokens alone: no mistake in resolving names can defeat it.
func (a *analysis) substituteAll(n *pg_query.Node) {
	if len(a.ranges) == 0 {
		return
	}
	x := a.indexTokens()
	type reached struct {
		rangeUse
		hit   labelSet
		every bool
	}
	var all []reached
	for _, u := range a.ranges {
		if hit, every := a.reach(u, x); hit != 0 {
			all = append(all, reached{u, hit, every})
		}
	}
	for _, u := range all {
		hit := u.hit
		a.labels |= hit
		a.reached |= hit
		if u.sampled {
			a.refuse(hit, u.rel.Name(), "cannot be masked under TABLESAMPLE", "leave TABLESAMPLE out, or select other columns")
			continue
		}
		for _, c := range a.systemColumns {
			if c.relation == u.rel.oid {
				a.refuse(hit, u.rel.Name()+"."+c.name, "cannot be selected together with masked columns", "leave it out, or select it in a statement of its own")
			}
		}
		if len(all) == 1 && !u.every && a.inline(n.GetSelectStmt(), u.rangeUse, x) {
			continue
		}
		var only []string
		if !u.every && len(u.renamed) == 0 {
			only = x.named(u.rel)
		}
		a.change(a.replacement(u.rangeUse, hit, only))
		if u.bare {
			a.unqualify(u.rangeUse, hit, x)
		}
	}
}

// inline masks labelled columns in place, which spares the server the sub-select:
// where the statement is a plain SELECT from this relation alone, and each token
// that can name a labelled column is an entry of its select list, by itself or
// behind the relation's alias. Where there is a GROUP BY, the relation may be joined
// with others, and columns are named with its alias: grouped by its key, a table has
// columns that a sub-select in its place would not have.
func (a *analysis) inline(s *pg_query.SelectStmt, u rangeUse, x *tokenIndex) bool {
	if s == nil || s.GetOp() != pg_query.SetOperation_SETOP_NONE ||
		len(u.renamed) > 0 || u.table || s.GetWithClause() != nil || s.GetIntoClause() != nil || len(s.GetDistinctClause()) > 0 ||
		len(s.GetWindowClause()) > 0 || len(s.GetLockingClause()) > 0 ||
		u.rel.kind == 'v' && a.in.aloneBelow(u.rel, 0) {
		return false
	}
	alone := len(s.GetFromClause()) == 1 && a.isNamed(s.GetFromClause()[0].GetRangeVar(), u)
	grouped := len(s.GetGroupClause()) > 0
	if !alone && !(grouped && a.joined(s.GetFromClause(), u)) || s.GetHavingClause() != nil && !grouped {
		return false
	}
	labels := a.in.labels.of(u.rel)
	masked := map[int]edit{} // by the token that names the column
	for _, n := range s.GetTargetList() {
		fields := n.GetResTarget().GetVal().GetColumnRef().GetFields()
		if len(fields) == 0 || len(fields) > 2 || len(fields) == 2 && fields[0].GetString_().GetSval() != u.alias || len(fields) == 1 && !alone {
			continue
		}
		from := a.tokens.TokenAt(int(n.GetResTarget().GetVal().GetColumnRef().GetLocation()))
		to := from + 2*len(fields) - 1
		name := fields[len(fields)-1].GetString_().GetSval()
		column := u.rel.column(name)
		if column == nil || labels.column(column.num) == 0 || to > a.to || a.tokens.Value(to-1) != name {
			continue
		}
		if labels.isComputed(column.num) && !alone {
			return false // its mask would be there in rows that the join has nothing for
		}
		c := maskColumn(column, labels)
		if n.GetResTarget().GetName() != "" {
			c.as = "-" // the alias follows
		}
		span := a.entry(tokenSpan{from, to})
		masked[to-1] = edit{from: span.from, to: span.to, labels: c.labels, pieces: []editPiece{{columns: []maskedColumn{c}, scope: quoteIdent(u.alias) + "."}}}
	}
	for i := range u.rel.columns {
		if labels.column(u.rel.columns[i].num) == 0 {
			continue
		}
		for _, token := range x.words[u.rel.columns[i].name] {
			if _, ok := masked[token]; !ok {
				return false
			}
		}
	}
	for _, token := range slices.Sorted(maps.Keys(masked)) {
		a.change(masked[token])
	}
	return true
}

// joined reports whether a labelled relation is an item of a FROM clause, by itself or
// within joins that hide no names.
func (a *analysis) joined(from []*pg_query.Node, u rangeUse) bool {
	for _, n := range from {
		switch f := n.GetNode().(type) {
		case *pg_query.Node_RangeVar:
			if a.isNamed(f.RangeVar, u) {
				return true
			}
		case *pg_query.Node_JoinExpr:
			if f.JoinExpr.GetAlias() == nil && a.joined([]*pg_query.Node{f.JoinExpr.GetLarg(), f.JoinExpr.GetRarg()}, u) {
				return true
			}
		}
	}
	return false
}

// isNamed reports whether a FROM entry is where a labelled relation is named: it may
// be named in a sub-query instead.
func (a *analysis) isNamed(rv *pg_query.RangeVar, u rangeUse) bool {
	if rv == nil {
		return false
	}
	at := a.tokens.TokenAt(int(rv.GetLocation()))
	return at >= u.name.from && at < u.name.to
}

// entry returns the tokens of an entry of a select list that is a column reference
// and nothing else: the reference and the parentheses around it.
func (a *analysis) entry(ref tokenSpan) tokenSpan {
	for ref.from > a.from && ref.to < a.to && a.tokens.At(ref.from-1).Kind == lex.LeftParen && a.tokens.At(ref.to).Kind == lex.RightParen {
		ref.from--
		ref.to++
	}
	return ref
}

// unqualify drops the schema from schema.relation.column: a sub-select has an
// alias, but no schema.
func (a *analysis) unqualify(u rangeUse, hit labelSet, x *tokenIndex) {
	for _, i := range x.words[u.rel.schema] {
		if i+3 >= a.to || a.tokens.At(i+1).Kind != lex.Dot || a.tokens.At(i+3).Kind != lex.Dot || x.names[i] || a.tokens.Value(i+2) != u.alias {
			continue
		}
		from := i
		if i >= a.from+2 && a.tokens.At(i-1).Kind == lex.Dot {
			from -= 2 // the database
		}
		a.change(edit{from: from, to: i + 2, labels: hit})
	}
}

// named are the columns of a relation whose names occur in the statement. A role
// may be allowed to read no others.
func (x *tokenIndex) named(rel *Relation) []string {
	names := []string{}
	for i := range rel.columns {
		if name := rel.columns[i].name; len(x.words[name]) > 0 {
			names = append(names, name)
		}
	}
	return names
}

// replacement is the sub-select that stands for a labelled relation, with all
// its columns or only some.
func (a *analysis) replacement(u rangeUse, hit labelSet, only []string) edit {
	head, tail := "( SELECT ", " FROM "
	if u.table {
		head = "SELECT * FROM " + head
	}
	if u.only {
		tail += "ONLY "
	}
	tail += quoteIdent(u.rel.schema) + "." + quoteIdent(u.rel.name)
	end := " )"
	if u.bare {
		end += " AS " + quoteIdent(u.alias)
	}
	columns := a.maskedColumns(u.rel, only)
	pieces := []editPiece{{text: head}, {columns: columns}, {text: tail}}
	if u.rel.kind == 'v' && a.in.aloneBelow(u.rel, 0) {
		pieces = append(pieces, editPiece{order: columns})
	}
	return edit{from: u.name.from, to: u.name.to, labels: hit, pieces: append(pieces, editPiece{text: end})}
}

// maskedColumns are a relation's columns, in order, or those of a list.
func (a *analysis) maskedColumns(rel *Relation, only []string) []maskedColumn {
	labels := a.in.labels.of(rel)
	var out []maskedColumn
	if only == nil {
		for i := range rel.columns {
			c := &rel.columns[i]
			out = append(out, maskColumn(c, labels))
		}
		return out
	}
	for _, name := range only {
		if c := rel.column(name); c != nil {
			out = append(out, maskColumn(c, labels))
		}
	}
	return out
}

func maskColumn(c *Column, labels *columnLabels) maskedColumn {
	return maskedColumn{column: c, labels: labels.column(c.num), whole: labels.ofWhole(c.num), parts: labels.partsOf(c.num), computed: labels.isComputed(c.num), shown: labels.shownRows(c.num), alone: labels.isAlone(c.num)}
}

// maxIdentifier is the length from which PostgreSQL cuts identifiers
// (NAMEDATALEN, pg_config_manual.h).
const maxIdentifier = 64

// change adds an edit, once.
func (a *analysis) change(e edit) {
	span := tokenSpan{e.from, e.to}
	if i, ok := a.editAt[span]; ok {
		a.edits[i].labels |= e.labels
		return
	}
	if a.editAt == nil {
		a.editAt = map[tokenSpan]int{}
	}
	a.editAt[span] = len(a.edits)
	a.edits = append(a.edits, e)
}

// tokenIndex says where identifiers and stars stand in a statement.
type tokenIndex struct {
	words map[string][]int
	names []bool          // tokens that only name a relation or an alias
	stars map[string]bool // what stands before .*
	star  bool            // there is a star of its own
	all   bool            // NATURAL, TABLE, a join with an alias: any column can be meant
}

// indexTokens reads the tokens of a statement.
func (a *analysis) indexTokens() *tokenIndex {
	x := &tokenIndex{words: map[string][]int{}, names: make([]bool, a.tokens.Len()), stars: map[string]bool{}, all: a.joinAlias}
	for _, n := range a.names {
		for i := n.from; i < min(n.to, len(x.names)); i++ {
			x.names[i] = true
		}
	}
	for i := a.from; i < a.to; i++ {
		switch a.tokens.At(i).Kind {
		case lex.Star:
			a.indexStar(x, i)
		case lex.Word, lex.QuotedIdent:
			value := a.tokens.Value(i)
			x.words[value] = append(x.words[value], i)
			if a.tokens.Is(i, "natural") || a.tokens.Is(i, "table") || len(value) >= maxIdentifier {
				x.all = true
			}
		}
	}
	return x
}

// indexStar notes a star that can stand for columns. A star that multiplies is
// followed by an operand, and count(*) is not a star.
func (a *analysis) indexStar(x *tokenIndex, i int) {
	if i > a.from+1 && a.tokens.At(i-1).Kind == lex.Dot {
		// In (expression).* the expression is judged by its own tokens.
		if k := a.tokens.At(i - 2).Kind; k == lex.Word || k == lex.QuotedIdent {
			x.stars[a.tokens.Value(i-2)] = true
		}
		return
	}
	if i+1 >= a.to {
		x.star = true
		return
	}
	switch next := a.tokens.At(i + 1); next.Kind {
	case lex.RightParen:
		x.star = x.star || i == a.from || a.tokens.At(i-1).Kind != lex.LeftParen
	case lex.Comma, lex.Semicolon:
		x.star = true
	case lex.Word:
		switch a.tokens.Value(i + 1) {
		case "from", "into", "where", "group", "having", "window", "union", "intersect", "except", "order", "limit", "offset", "fetch", "for", "on":
			x.star = true
		}
	}
}

// reach returns the labels of a relation that the statement's tokens can name;
// every is true if all columns can be meant without being named.
func (a *analysis) reach(u rangeUse, x *tokenIndex) (hit labelSet, every bool) {
	labels := a.in.labels.of(u.rel)
	if x.all || x.star || x.stars[u.alias] {
		return labels.any(), true
	}
	visible := make(map[string]bool, len(u.rel.columns))
	for i := range u.rel.columns {
		c := &u.rel.columns[i]
		name := c.name
		if i < len(u.renamed) {
			name = u.renamed[i]
		}
		visible[name] = true
		if l := labels.column(c.num); l != 0 && len(x.words[name]) > 0 {
			hit |= l
		}
	}
	for _, i := range x.words[u.alias] {
		if !x.names[i] && !a.namesColumn(i, visible) {
			return labels.any(), true // a whole row, or a function on one
		}
	}
	return hit, false
}

// namesColumn reports whether a token is the qualifier of a column, which is
// judged by its own token.
func (a *analysis) namesColumn(i int, visible map[string]bool) bool {
	if i+2 >= a.to || a.tokens.At(i+1).Kind != lex.Dot {
		return false
	}
	if k := a.tokens.At(i + 2).Kind; k != lex.Word && k != lex.QuotedIdent {
		return false
	}
	name := a.tokens.Value(i + 2)
	return visible[name] || isSystemColumn(name)
}

// substituteCopy turns COPY relation TO into COPY (SELECT …) TO.
func (a *analysis) substituteCopy(s *pg_query.CopyStmt, rel *Relation) {
	labels := a.in.labels.of(rel)
	if labels.any() == 0 {
		return
	}
	names := strs(s.GetAttlist())
	if len(names) == 0 { // generated columns are left out, as COPY does
		for i := range rel.columns {
			if !rel.columns[i].generated {
				names = append(names, rel.columns[i].name)
			}
		}
	}
	columns := a.maskedColumns(rel, names)
	var hit labelSet
	for _, c := range columns {
		hit |= c.labels
	}
	if hit == 0 {
		return
	}
	a.labels |= hit
	span := a.nameSpan(s.GetRelation().GetLocation())
	if len(s.GetAttlist()) > 0 {
		for span.to < a.tokens.Len() && a.tokens.At(span.to).Kind != lex.RightParen {
			span.to++
		}
		span.to++
	}
	from := " FROM "
	if rel.kind == 'r' {
		from += "ONLY "
	}
	a.change(edit{from: span.from, to: span.to, labels: hit, pieces: []editPiece{
		{text: "( SELECT "}, {columns: columns}, {text: from + quoteIdent(rel.schema) + "." + quoteIdent(rel.name) + " )"},
	}})
}
