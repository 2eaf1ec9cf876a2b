package postgres

import (
	"strconv"
	"strings"
)

// oid is PostgreSQL's object identifier.
type oid uint32

// firstUserOID is where objects that initdb did not make begin
// (access/transam.h, FirstNormalObjectId).
const firstUserOID oid = 16384

// Catalog is a snapshot of what names mean at one target. It is immutable and
// shared by every session of the target.
type Catalog struct {
	version   int // server_version_num
	epoch     string
	shared    string // the epoch of what belongs to no relation
	schemas   map[oid]string
	relations map[oid]*Relation
	byName    map[qualified]*Relation
	types     map[oid]*typeInfo
	typeNames map[string][]*typeInfo // by type name; of pg_catalog none
	functions map[string][]*function // by function name, user functions only
	funcByOID map[oid]*function
	operators map[string][]operator // by operator name, user operators only
	casts     map[oid][]cast        // user casts that call a function, by each user type of theirs; 0 has those without one
	// everywhere are functions of users that a text can run without naming anything of a
	// user, see operators.go.
	everywhere []oid
	coerced    map[oid][]oid // types of users that a value can become as it is; 0 has those of pg_catalog's types
	// builtinNames are the names of pg_catalog's own functions.
	builtinNames map[string]bool
	builtinTypes map[string]bool
	// eventTriggers run when definitions change, those of temporary relations as well.
	eventTriggers []eventTrigger
}

type eventTrigger struct {
	name     string
	function oid
}

// qualified is a name with its schema.
type qualified struct{ schema, name string }

func (q qualified) String() string { return q.schema + "." + q.name }

// Relation is a table, view, sequence or the like.
type Relation struct {
	oid     oid
	schema  string
	name    string
	kind    byte // pg_class.relkind
	rls     bool
	columns []Column
	more    *relationExtras
}

// relationExtras is what few relations have; nil means none of it.
type relationExtras struct {
	parents     []oid
	children    []oid
	definition  string // of a view or materialised view, as pg_get_viewdef prints it
	triggers    []trigger
	rules       []rule
	policies    []policy
	indexes     []index
	checks      []check
	partition   *partitionKey    // of a partitioned table
	statistics  []string         // definitions of extended statistics
	support     []oid            // functions of users in the operator classes of indexes and the partition key
	referencing []foreignKey     // of others to this one
	references  []reference      // of this one to others
	defaults    map[int16]string // by attnum: default or generation expression
	temporaryExtras
}

// temporaryExtras is what only temporary relations have.
type temporaryExtras struct {
	writes   *summary // what writing rows runs
	unusable bool     // nobody knows what it holds
	open     bool     // its columns are not known
	view     *view    // what a view's query does
}

// Column is one live column.
type Column struct {
	name      string
	num       int16
	typ       oid
	typeSQL   string // as format_type prints it
	generated bool
	notNull   bool
	hasDef    bool
	plain     bool // stored in the row as it is, never packed or put elsewhere
}

// short reports whether values of the column have a length that everybody knows, or
// none to speak of.
func (c *Column) short() bool {
	name, arguments, _ := strings.Cut(c.typeSQL, "(")
	switch name {
	case "smallint", "integer", "bigint", "real", "double precision", "boolean", "date", "interval", "uuid", "oid", "money",
		"inet", "cidr", "macaddr", "macaddr8", "\"char\"", "pg_lsn", "xid", "xid8", "tid", "name", "point":
		return true
	case "character varying", "character", "numeric", "bit", "bit varying":
		digits, _, _ := strings.Cut(strings.TrimSuffix(arguments, ")"), ",")
		n, err := strconv.Atoi(digits)
		return err == nil && n <= 255 && strings.HasSuffix(arguments, ")")
	}
	return strings.HasPrefix(name, "time") && !strings.HasSuffix(c.typeSQL, "]")
}

type trigger struct {
	name     string
	function oid
	events   uint16 // pg_trigger.tgtype
	when     string // the whole definition when it has a WHEN clause
	// builtin is the name of a function of PostgreSQL itself, empty for a user's;
	// arguments are what it is given.
	builtin   string
	arguments []string
}

// Bits of pg_trigger.tgtype (catalog/pg_trigger.h).
const (
	triggerInsert   = 1 << 2
	triggerDelete   = 1 << 3
	triggerUpdate   = 1 << 4
	triggerTruncate = 1 << 5
)

type rule struct {
	name  string
	event byte // '2' update, '3' insert, '4' delete (pg_rewrite.ev_type)
}

type policy struct {
	name  string
	exprs []string
}

type index struct {
	name    string
	unique  bool // unique or exclusion
	primary bool // of the primary key, which holds at any time
	valid   bool // false while it is built, or if that failed
	ordered bool // a scan of it can give rows in an order of its keys
	partial bool // it has a predicate
	settled bool // its expressions give the same whatever is set
	nulls   bool // it takes NULLs for equal (NULLS NOT DISTINCT)
	keys    int  // how many of columns are keys; the others are only stored in it
	columns []int16
	exprs   []string // the list of expressions, and the predicate
}

// keyExprs are the expressions among its columns.
func (x *index) keyExprs() []string {
	if x.partial {
		return x.exprs[:len(x.exprs)-1]
	}
	return x.exprs
}

// predicate is the condition under which a row is in the index; empty if all are.
func (x *index) predicate() string {
	if x.partial {
		return x.exprs[len(x.exprs)-1]
	}
	return ""
}

// partitionKey is what says in which partition a row lies.
type partitionKey struct {
	columns []int16
	exprs   string
}

type check struct {
	name    string
	columns []int16
	expr    string
	holds   bool // validated, and by nothing but the values of the row
}

// foreignKey is a constraint of another relation that points here.
type foreignKey struct {
	relation        oid
	onDelete        byte
	onUpdate        byte
	columns, others []int16 // of the other relation, and those of this one
}

// reference is a foreign key of this relation.
type reference struct {
	relation        oid
	columns, others []int16
	valid           bool
	carries         bool // changes of that relation change this one
}

type typeInfo struct {
	oid       oid
	schema    string
	name      string
	kind      byte // pg_type.typtype
	category  byte
	base      oid // of a domain
	relation  oid // of a composite
	elem      oid // of an array
	functions []oid
	checks    []string // domain constraints
	preset    string   // of a domain: its default, which columns without one have
	baseSQL   string   // of a domain: what it is based on, as format_type prints it
}

type function struct {
	oid       oid
	schema    string
	name      string
	arguments string // as oidvectortypes prints them
	types     []oid  // of arguments, those that somebody made
	language  string
	extension string
	returns   oid
	support   oid // what the planner asks of it, if that is a function of users
	kind      byte
	argCount  int
}

// signature is the name under which a function is reviewed.
func (f *function) signature() string { return f.schema + "." + f.name + "(" + f.arguments + ")" }

type operator struct {
	schema   string
	name     string
	function oid
	others   []oid // what else of users runs where it is used, see operators.go
	types    []oid // of its operands, those that somebody made
}

type cast struct {
	source, target oid
	function       oid
}

func (r *Relation) extras() *relationExtras {
	if r.more == nil {
		return &noExtras
	}
	return r.more
}

var noExtras relationExtras

// Name returns the relation's name as schema.name.
func (r *Relation) Name() string { return r.schema + "." + r.name }

func (r *Relation) column(name string) *Column {
	for i := range r.columns {
		if r.columns[i].name == name {
			return &r.columns[i]
		}
	}
	return nil
}

func (r *Relation) columnByNum(num int16) *Column {
	for i := range r.columns {
		if r.columns[i].num == num {
			return &r.columns[i]
		}
	}
	return nil
}

func (r *Relation) isView() bool { return r.kind == 'v' || r.kind == 'm' }

func (r *Relation) isSystem() bool { return isSystemSchema(r.schema) && r.oid < firstUserOID }

func isSystemSchema(s string) bool { return s == "pg_catalog" || s == "information_schema" }

// relation finds a relation as PostgreSQL would under the search path:
// pg_catalog first unless the path names it later.
func (c *Catalog) relation(schema, name string, path []string) *Relation {
	if schema != "" {
		return c.byName[qualified{schema, name}]
	}
	for _, s := range effectivePath(path) {
		if r := c.byName[qualified{s, name}]; r != nil {
			return r
		}
	}
	return nil
}

// effectivePath puts pg_catalog in front unless it is named.
func effectivePath(path []string) []string {
	for _, s := range path {
		if s == "pg_catalog" {
			return path
		}
	}
	return append([]string{"pg_catalog"}, path...)
}

// Epoch returns what [Epoch] returned when the snapshot was taken.
func (c *Catalog) Epoch() string { return c.epoch }

// SharesWith reports whether nothing has changed between two snapshots that
// belongs to no relation: schemas, functions, operators, casts, types, event triggers. What
// belongs to one cannot change while a statement that uses it holds its lock.
func (c *Catalog) SharesWith(other *Catalog) bool { return c.shared == other.shared }

// Version returns the server's version number, 150004 for 15.4.
func (c *Catalog) Version() int { return c.version }

// userFunctions returns the functions of that name that initdb did not make,
// limited to a schema if one is given.
func (c *Catalog) userFunctions(schema, name string) []*function {
	all := c.functions[name]
	if schema == "" || len(all) == 0 {
		return all
	}
	var found []*function
	for _, f := range all {
		if f.schema == schema {
			found = append(found, f)
		}
	}
	return found
}
