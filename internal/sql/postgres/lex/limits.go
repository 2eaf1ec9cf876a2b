package lex

// Limits bound what [Scan] accepts. A zero field means the default.
type Limits struct {
	// Bytes is the size of the source. Default [MaxBytes].
	Bytes int
	// Tokens is how many tokens there may be. Default [MaxTokens].
	Tokens int
	// Nesting is how deep brackets may nest. Default [MaxNesting].
	Nesting int
	// Depth bounds the height of the parse tree: brackets that contain each
	// other plus, on every level, the operators, casts, NOTs, CASEs, joins and
	// set operations of the longest chain without a separator. Default [MaxDepth].
	Depth int
	// Statements is how many semicolons may stand outside brackets. Default
	// [MaxStatements].
	Statements int
}

// The defaults. They keep libpg_query, whose recursion has no limit of its own
// (libpg_query issues 348 and 366), at a small part of an 8 MiB stack; the
// parse package's tests measure where it breaks.
const (
	// MaxBytes is 16 MiB, far above what PostgreSQL clients send.
	MaxBytes = 16 << 20
	// MaxTokens leaves room for an INSERT of 30,000 rows with eight columns.
	MaxTokens = 600_000
	// MaxNesting is deeper than any generator of SQL is known to go.
	MaxNesting = 400
	// MaxDepth lets 1,000 terms be chained by one operator.
	MaxDepth = 1000
	// MaxStatements bounds one simple query message.
	MaxStatements = 1000
	// maxPacked bounds height times size, because the C parser copies what is
	// below a node once for every node above it.
	maxPacked = 1 << 30
)

func (l Limits) withDefaults() Limits {
	set := func(v *int, d int) {
		if *v <= 0 {
			*v = d
		}
	}
	set(&l.Bytes, MaxBytes)
	set(&l.Tokens, MaxTokens)
	set(&l.Nesting, MaxNesting)
	set(&l.Depth, MaxDepth)
	set(&l.Statements, MaxStatements)
	return l
}

// level is what is known of one level of brackets: an upper bound of the height
// of the parse tree under it.
type level struct {
	close Kind // the bracket that ends the level
	// sets counts UNION, INTERSECT and EXCEPT, which a comma does not end.
	sets int32
	// done is the height of the finished segments, without sets.
	done int32
	// Of the segment since the last comma: the highest level closed in it,
	// what chains across AND, OR and the parts of CASE, and what does not.
	child, hard, soft, softMax int32
}

func (l *level) segment() int32 { return l.child + l.hard + max(l.soft, l.softMax) }

func (l *level) endSegment() {
	l.done = max(l.done, l.segment())
	l.child, l.hard, l.soft, l.softMax = 0, 0, 0, 0
}

func (l *level) height() int32 { return max(l.done, l.segment()) + l.sets }

func (l *level) separate() {
	l.softMax = max(l.softMax, l.soft)
	l.soft = 0
}

// word counts the words that make the tree higher without a bracket.
// AND and OR chains are flattened by the grammar; the parts of one CASE are
// siblings.
func (l *level) word(w string) bool {
	switch w {
	case "and", "or", "when", "then", "else", "on", "where", "from", "having":
		l.separate()
		return false
	case "not", "case", "join":
		l.hard++
	case "union", "intersect", "except":
		l.sets++
	case "collate", "at":
		l.soft++
	default:
		return false
	}
	return true
}
