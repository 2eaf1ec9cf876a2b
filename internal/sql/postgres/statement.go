package postgres

import "github.com/sallyport-gateway/sallyport/internal/gate"

// Kind is the kind of one statement of a text, as the wire loop needs it.
type Kind uint8

// The kinds. The zero value is a statement that the wire loop forwards without
// further care.
const (
	KindOther Kind = iota
	KindBegin
	KindCommit
	KindRollback
	KindSavepoint
	KindRelease
	KindRollbackTo
	KindPrepare
	KindExecute
	KindDeallocate
	KindDeallocateAll
	KindDeclare
	KindFetch
	KindMove
	KindClose
	KindCloseAll
	KindSet
	KindReset
	KindShow
	KindDiscard // ALL: what KindCloseAll, KindDeallocateAll, RESET ALL and UNLISTEN * do, and more
	KindCopyIn
	KindCopyOut
)

// Statement is what the wire loop must know of one statement of a text.
type Statement struct {
	Kind Kind
	// Word is the statement's kind as [Facts.Statements] has it.
	Word string
	// Name is the name in PREPARE, EXECUTE, DEALLOCATE, DECLARE, FETCH, MOVE,
	// CLOSE, SAVEPOINT, RELEASE and ROLLBACK TO, and the parameter in SET, RESET
	// and SHOW; folded as PostgreSQL folds it.
	Name string
	// Effects is what this statement alone does. For EXECUTE, FETCH and MOVE
	// the effects of the named statement or cursor come on top: [Combine].
	Effects gate.Effects
	// Local says that a SET ends with the transaction.
	Local bool
	// Hold says that a cursor outlives its transaction.
	Hold bool
	// Explain says that the statement is inside EXPLAIN; Name and Kind are then
	// those of the explained EXECUTE, if it is one.
	Explain bool
	// Chain says that COMMIT or ROLLBACK begins the next transaction at once.
	Chain bool
}
