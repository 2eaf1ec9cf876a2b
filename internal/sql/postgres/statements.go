package postgres

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/sallyport-gateway/sallyport/internal/gate"
)

// word notes the kind of a statement.
func (a *analysis) word(w string) {
	if !a.outside {
		a.facts.statements = append(a.facts.statements, w)
	}
}

// statement reads one statement of the text.
func (a *analysis) statement(n *pg_query.Node) {
	before := a.effects
	a.effects = 0
	a.ranges, a.names, a.joinAlias, a.systemColumns = nil, nil, false, nil
	a.explaining, a.reached = nil, 0
	made := len(a.creations)
	st := a.dispatch(n)
	a.allSeen(n)
	a.substituteAll(n)
	a.costs()
	st.Effects = a.effects
	if st.Effects == 0 {
		st.Effects = gate.EffectUnknown
	}
	a.effects = before | st.Effects
	a.makes(a.creations[made:], st.Effects)
	a.statements = append(a.statements, st)
}

// dispatch reads a statement of any kind. What is not listed here or in
// utilityOf is unknown.
func (a *analysis) dispatch(n *pg_query.Node) Statement {
	switch s := n.GetNode().(type) {
	case *pg_query.Node_SelectStmt, *pg_query.Node_InsertStmt, *pg_query.Node_UpdateStmt, *pg_query.Node_DeleteStmt, *pg_query.Node_MergeStmt:
		at := len(a.facts.statements)
		a.shows(a.nested(n, nil))
		word := "select"
		if len(a.facts.statements) > at {
			word = a.facts.statements[at]
		}
		return Statement{Word: word}
	case *pg_query.Node_TransactionStmt:
		return a.transaction(s.TransactionStmt)
	case *pg_query.Node_VariableSetStmt:
		st := a.setStatement(s.VariableSetStmt)
		a.word(st.Word)
		return st
	case *pg_query.Node_VariableShowStmt:
		name := strings.ToLower(s.VariableShowStmt.GetName())
		a.word("show")
		a.exact()
		a.reservedSetting(name)
		a.facts.settings = append(a.facts.settings, name)
		a.add(gate.EffectRead)
		return Statement{Kind: KindShow, Word: "show", Name: name}
	case *pg_query.Node_ExplainStmt:
		return a.explainStmt(s.ExplainStmt)
	case *pg_query.Node_CopyStmt:
		return a.copyStmt(s.CopyStmt)
	default:
		if st, ok := a.named(n); ok {
			return st
		}
		return a.other(n)
	}
}

// named reads statements about prepared statements and cursors.
func (a *analysis) named(n *pg_query.Node) (Statement, bool) {
	st := Statement{}
	switch s := n.GetNode().(type) {
	case *pg_query.Node_PrepareStmt:
		st = Statement{Kind: KindPrepare, Word: "prepare", Name: s.PrepareStmt.GetName()}
		a.word(st.Word)
		for _, t := range s.PrepareStmt.GetArgtypes() {
			a.typeName(t.GetTypeName())
		}
		a.preparing = true
		a.shows(a.nested(s.PrepareStmt.GetQuery(), nil))
		a.preparing = false
	case *pg_query.Node_ExecuteStmt:
		st = Statement{Kind: KindExecute, Word: "execute", Name: s.ExecuteStmt.GetName()}
		a.word(st.Word)
		a.add(gate.EffectRead)
		a.exprs(s.ExecuteStmt.GetParams(), &scope{}, useArgument("EXECUTE"))
	case *pg_query.Node_DeallocateStmt:
		st = Statement{Kind: KindDeallocate, Word: "deallocate", Name: s.DeallocateStmt.GetName()}
		if s.DeallocateStmt.GetIsall() || st.Name == "" {
			st.Kind, st.Name = KindDeallocateAll, ""
		}
		a.word(st.Word)
		a.add(gate.EffectRead)
	case *pg_query.Node_DeclareCursorStmt:
		const hold = 0x0020 // CURSOR_OPT_HOLD, nodes/parsenodes.h
		st = Statement{Kind: KindDeclare, Word: "declare", Name: s.DeclareCursorStmt.GetPortalname(), Hold: s.DeclareCursorStmt.GetOptions()&hold != 0}
		a.word(st.Word)
		a.shows(a.nested(s.DeclareCursorStmt.GetQuery(), nil))
	case *pg_query.Node_FetchStmt:
		a.exact()
		st = Statement{Kind: KindFetch, Word: "fetch", Name: s.FetchStmt.GetPortalname()}
		if s.FetchStmt.GetIsmove() {
			st.Kind, st.Word = KindMove, "move"
		}
		a.word(st.Word)
		a.add(gate.EffectRead)
	case *pg_query.Node_ClosePortalStmt:
		st = Statement{Kind: KindClose, Word: "close", Name: s.ClosePortalStmt.GetPortalname()}
		if st.Name == "" {
			st.Kind = KindCloseAll
		}
		a.word(st.Word)
		a.add(gate.EffectRead)
	default:
		return st, false
	}
	return st, true
}

// other reads everything that is neither a query nor about the session. All its
// literals belong to the shape.
func (a *analysis) other(n *pg_query.Node) Statement {
	a.exact()
	a.keepsSecrets(n)
	switch s := n.GetNode().(type) {
	case *pg_query.Node_CreateTableAsStmt:
		return a.createTableAs(s.CreateTableAsStmt)
	case *pg_query.Node_CreateStmt:
		return a.createTable(s.CreateStmt)
	case *pg_query.Node_ViewStmt:
		return a.createView(s.ViewStmt)
	case *pg_query.Node_TruncateStmt:
		return a.truncate(s.TruncateStmt)
	case *pg_query.Node_LockStmt:
		return a.lock(s.LockStmt)
	case *pg_query.Node_DoStmt:
		a.word("do")
		a.add(gate.EffectExecute | gate.EffectUnknown)
		a.unreviewed("DO block")
		a.runs, a.temporaries = true, true
		a.refuseAll("DO", "runs code that cannot be traced", "send the statements themselves")
		return Statement{Word: "do"}
	case *pg_query.Node_CallStmt:
		a.word("call")
		a.add(gate.EffectExecute)
		a.funcCall(s.CallStmt.GetFunccall(), &scope{}, useTarget)
		return Statement{Word: "call"}
	case *pg_query.Node_NotifyStmt:
		a.word("notify")
		a.add(gate.EffectTunnel)
		return Statement{Word: "notify"}
	case *pg_query.Node_ListenStmt:
		a.word("listen")
		a.add(gate.EffectTunnel)
		a.refuseAll("LISTEN", "shows what other sessions send, which cannot be masked", "poll a table instead")
		return Statement{Word: "listen"}
	case *pg_query.Node_UnlistenStmt:
		a.word("unlisten")
		a.add(gate.EffectRead)
		return Statement{Word: "unlisten"}
	case *pg_query.Node_DiscardStmt:
		return a.discard(s.DiscardStmt)
	case *pg_query.Node_ConstraintsSetStmt:
		a.word("set constraints")
		a.add(gate.EffectWrite) // deferred checks can run here
		return Statement{Word: "set constraints"}
	}
	return a.utility(n)
}

// utility reads a statement whose kind says all.
func (a *analysis) utility(n *pg_query.Node) Statement {
	if st, ok := a.temporaryDefinition(n); ok {
		return st
	}
	u, ok := utilityOf(n)
	if !ok {
		a.word("unknown")
		a.unknown()
		a.refuseAll("the statement", "is not understood", "use another statement")
		return Statement{Word: "unknown"}
	}
	a.word(u.word)
	a.add(u.effects)
	a.facts.created, a.facts.createdPermanent = true, true
	a.temporaries = true
	if n.GetDropStmt() != nil || n.GetCommentStmt() != nil {
		return Statement{Word: u.word}
	}
	// A definition can keep a query that reads labelled columns, and run later.
	a.refuseAll(strings.ToUpper(u.word), "can make a definition that shows labelled columns under another name", "ask an administrator")
	return Statement{Word: u.word}
}

func (a *analysis) transaction(s *pg_query.TransactionStmt) Statement {
	st := Statement{Name: s.GetSavepointName(), Chain: s.GetChain()}
	effects := gate.EffectRead
	switch s.GetKind() {
	case pg_query.TransactionStmtKind_TRANS_STMT_BEGIN, pg_query.TransactionStmtKind_TRANS_STMT_START:
		st.Kind, st.Word = KindBegin, "begin"
		a.transactionModes(s.GetOptions())
	case pg_query.TransactionStmtKind_TRANS_STMT_COMMIT:
		st.Kind, st.Word = KindCommit, "commit"
	case pg_query.TransactionStmtKind_TRANS_STMT_ROLLBACK:
		st.Kind, st.Word = KindRollback, "rollback"
	case pg_query.TransactionStmtKind_TRANS_STMT_SAVEPOINT:
		st.Kind, st.Word = KindSavepoint, "savepoint"
	case pg_query.TransactionStmtKind_TRANS_STMT_RELEASE:
		st.Kind, st.Word = KindRelease, "release"
	case pg_query.TransactionStmtKind_TRANS_STMT_ROLLBACK_TO:
		st.Kind, st.Word = KindRollbackTo, "rollback to"
	case pg_query.TransactionStmtKind_TRANS_STMT_PREPARE, pg_query.TransactionStmtKind_TRANS_STMT_COMMIT_PREPARED,
		pg_query.TransactionStmtKind_TRANS_STMT_ROLLBACK_PREPARED:
		a.exact()
		st.Word, effects = "prepare transaction", gate.EffectAdmin
	default:
		a.unknown()
		st.Word = "unknown"
	}
	a.word(st.Word)
	a.add(effects)
	return st
}

func (a *analysis) discard(s *pg_query.DiscardStmt) Statement {
	a.word("discard")
	switch s.GetTarget() {
	case pg_query.DiscardMode_DISCARD_PLANS, pg_query.DiscardMode_DISCARD_SEQUENCES:
		a.add(gate.EffectRead)
		return Statement{Word: "discard"}
	case pg_query.DiscardMode_DISCARD_TEMP:
		a.add(gate.EffectWrite)
		a.temporaries = true
		return Statement{Word: "discard"}
	case pg_query.DiscardMode_DISCARD_ALL:
		// It drops temporary tables and gives advisory locks back. Settings become
		// what the session began with, the gateway's pins among them.
		a.add(gate.EffectWrite)
		a.temporaries = true
	default:
		a.unknown()
	}
	return Statement{Kind: KindDiscard, Word: "discard"}
}

// into reads the table that a query makes.
func (a *analysis) into(into *pg_query.IntoClause, word string, perhaps bool) {
	a.exact()
	a.word(word)
	a.creates(into.GetRel())
	a.creation(into.GetRel(), perhaps)
	a.add(gate.EffectSchema | gate.EffectWrite)
}

// creates notes a new relation.
func (a *analysis) creates(rv *pg_query.RangeVar) {
	a.facts.created = true
	if !isTemporaryName(rv) {
		a.facts.createdPermanent = true
	} else {
		a.temporaries = true
	}
	a.facts.written = append(a.facts.written, qualifyUnknown(rv))
}

func (a *analysis) createTableAs(s *pg_query.CreateTableAsStmt) Statement {
	word := "create table as"
	if s.GetObjtype() == pg_query.ObjectType_OBJECT_MATVIEW {
		word = "create materialized view"
	}
	a.into(s.GetInto(), word, s.GetIfNotExists())
	st := Statement{Word: word}
	if e := s.GetQuery().GetExecuteStmt(); e != nil {
		inner, _ := a.named(s.GetQuery())
		st.Kind, st.Name = inner.Kind, inner.Name
		return st
	}
	a.nested(s.GetQuery(), nil)
	return st
}

func (a *analysis) createView(s *pg_query.ViewStmt) Statement {
	a.word("create view")
	a.creates(s.GetView())
	a.add(gate.EffectSchema)
	a.nested(s.GetQuery(), nil)
	a.temporaries = true // one that reads temporary relations is temporary itself
	if a.in.labels.all == 0 && isTemporaryName(s.GetView()) {
		if a.made == nil {
			a.made = map[string]*Relation{}
		}
		name := s.GetView().GetRelname()
		a.made[name] = &Relation{schema: temporarySchema, name: name, kind: 'v', more: &relationExtras{temporaryExtras: temporaryExtras{open: true, unusable: true}}}
	}
	return Statement{Word: "create view"}
}

func (a *analysis) createTable(s *pg_query.CreateStmt) Statement {
	a.word("create table")
	a.creates(s.GetRelation())
	a.add(gate.EffectSchema)
	if len(s.GetInhRelations()) > 0 || s.GetPartbound() != nil || s.GetOfTypename() != nil {
		a.facts.createdPermanent = true // its parent changes too
		a.refuseAll("CREATE TABLE", "can make a child of a relation with labelled columns", "ask an administrator")
	}
	for _, n := range s.GetTableElts() {
		if c := n.GetTableLikeClause(); c != nil {
			if isTemporaryName(s.GetRelation()) {
				a.likeClause(c)
			}
			continue
		}
		a.columnDefinition(n)
	}
	a.partitionSpec(s.GetPartspec())
	if len(s.GetInhRelations()) == 0 && s.GetPartbound() == nil && s.GetOfTypename() == nil {
		a.creation(s.GetRelation(), s.GetIfNotExists())
	}
	return Statement{Word: "create table"}
}

// columnDefinition reads what runs when rows are written to a new table.
func (a *analysis) columnDefinition(n *pg_query.Node) {
	constraints := []*pg_query.Node{n}
	if d := n.GetColumnDef(); d != nil {
		a.typeName(d.GetTypeName())
		constraints = d.GetConstraints()
	}
	sc := &scope{items: []*item{{open: true, hidden: true}}}
	for _, n := range constraints {
		c := n.GetConstraint()
		a.expr(c.GetRawExpr(), sc, useTarget)
		a.expr(c.GetWhereClause(), sc, useTarget)
		for _, x := range c.GetExclusions() { // an index element, and the name of an operator
			pair := x.GetList().GetItems()
			if len(pair) != 2 || len(pair[0].GetIndexElem().GetOpclass()) > 0 {
				a.unknown()
				continue
			}
			a.expr(pair[0].GetIndexElem().GetExpr(), sc, useTarget)
			a.operator(pair[1].GetList().GetItems())
		}
	}
}

// partitionSpec reads what says in which partition the rows of a new table lie.
func (a *analysis) partitionSpec(s *pg_query.PartitionSpec) {
	for _, n := range s.GetPartParams() {
		p := n.GetPartitionElem()
		if len(p.GetOpclass()) > 0 {
			a.unknown()
		}
		a.expr(p.GetExpr(), &scope{items: []*item{{open: true, hidden: true}}}, useTarget)
	}
}

func (a *analysis) truncate(s *pg_query.TruncateStmt) Statement {
	a.word("truncate")
	a.add(gate.EffectDelete)
	emptied := map[change]*reached{}
	for _, n := range s.GetRelations() {
		rel := a.resolve(n.GetRangeVar())
		if rel != nil {
			a.changes(rel, triggerTruncate, nil, emptied)
		}
		a.facts.unbounded = a.facts.unbounded || !rel.isOwnTable()
	}
	// CASCADE empties the tables as well that refer to one that is emptied.
	for before := 0; s.GetBehavior() == pg_query.DropBehavior_DROP_CASCADE && len(emptied) > before; {
		before = len(emptied)
		for _, c := range slices.SortedFunc(maps.Keys(emptied), func(x, y change) int { return cmp.Compare(x.relation, y.relation) }) {
			rel := a.in.cat.relations[c.relation]
			if rel == nil {
				continue
			}
			for _, k := range rel.extras().referencing {
				if other := a.in.cat.relations[k.relation]; other != nil {
					a.changes(other, triggerTruncate, nil, emptied)
				}
			}
		}
	}
	if s.GetRestartSeqs() {
		a.facts.written = append(a.facts.written, unknownRelation) // what the tables number their rows by
	}
	return Statement{Word: "truncate"}
}

// lock reads LOCK. ACCESS SHARE is what every SELECT takes.
func (a *analysis) lock(s *pg_query.LockStmt) Statement {
	const accessShare = 1 // storage/lockdefs.h
	a.word("lock")
	if s.GetMode() != accessShare {
		a.add(gate.EffectWrite)
	}
	a.add(gate.EffectRead)
	for _, n := range s.GetRelations() {
		if rel := a.resolve(n.GetRangeVar()); rel != nil {
			a.facts.tables = append(a.facts.tables, rel.Name())
		}
	}
	return Statement{Word: "lock"}
}
