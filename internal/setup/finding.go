package setup

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/sallyport-gateway/sallyport/internal/gate"
)

// Finding is one thing that a role can do and should not.
type Finding struct {
	// Kind is the sort of thing: attribute, membership, ownership, setting, or a
	// kind of object (table, function, …).
	Kind string `json:"kind"`
	// What is the right, in few words: "may TRUNCATE".
	What string `json:"what"`
	// Why says what it would let somebody do who got past the gateway.
	Why string `json:"why"`
	// Public says that everybody has it, so that taking it away concerns other
	// roles too.
	Public bool `json:"public,omitempty"`
	// Objects are what it is a right on; empty where there is but one.
	Objects []string `json:"objects,omitempty"`
	// SQL takes it away. A superuser, or the owner, runs it.
	SQL []string `json:"sql"`
}

// Findings returns what the role can do beyond reading, or changing the rows of,
// what it is for. None means least privilege.
func (a *Audit) Findings() []Finding {
	c := &collection{index: map[string]int{}}
	a.roleFindings(c)
	for i := range a.grants {
		g := &a.grants[i]
		if a.expected(g) {
			continue
		}
		kind, what, why := a.word(g)
		c.add(Finding{Kind: kind, What: what, Why: why, Public: g.public}, a.object(g), a.revoke(g))
	}
	for _, s := range a.mappings {
		c.add(Finding{Kind: "server", What: "has a user mapping", Why: "a mapping holds the log-in of another server, so that a foreign table or dblink reaches it"},
			s, fmt.Sprintf("DROP USER MAPPING IF EXISTS FOR %s SERVER %s;", a.name(), s))
	}
	for _, owner := range a.open {
		c.add(Finding{Kind: "default", What: "may EXECUTE functions made later", Public: true,
			Why: "PostgreSQL lets everybody execute a new function unless its owner's default privileges say otherwise"},
			"by "+owner, fmt.Sprintf("ALTER DEFAULT PRIVILEGES FOR ROLE %s REVOKE EXECUTE ON ROUTINES FROM PUBLIC;", quoteIdent(owner)))
	}
	a.settingFindings(c)
	return c.all
}

// collection joins findings of one sort.
type collection struct {
	all   []Finding
	index map[string]int
}

func (c *collection) add(f Finding, object string, sql ...string) {
	key := fmt.Sprint(f.Kind, "\x00", f.What, "\x00", f.Public)
	i, ok := c.index[key]
	if !ok {
		i = len(c.all)
		c.index[key] = i
		c.all = append(c.all, f)
	}
	if object != "" && !slices.Contains(c.all[i].Objects, object) {
		c.all[i].Objects = append(c.all[i].Objects, object)
	}
	c.all[i].SQL = append(c.all[i].SQL, sql...)
}

func (a *Audit) name() string { return quoteIdent(a.role.name) }

func (a *Audit) roleFindings(c *collection) {
	for _, flag := range roleFlags() {
		if a.role.flags[flag] {
			c.add(Finding{Kind: "attribute", What: "is " + flag, Why: flagWhy(flag)}, "", fmt.Sprintf("ALTER ROLE %s NO%s;", a.name(), flag))
		}
	}
	for _, m := range a.members {
		by := ""
		if a.server.version >= 160000 { // who granted it matters since then
			by = " GRANTED BY " + quoteIdent(m.grantor)
		}
		c.add(Finding{Kind: "membership", What: "is a member of " + m.group, Why: groupWhy(m.group)}, "",
			fmt.Sprintf("REVOKE %s FROM %s%s;", quoteIdent(m.group), a.name(), by))
	}
	owner := a.server.databaseOwner
	if owner == a.role.name {
		owner = a.server.bootstrap
	}
	for _, o := range a.owned {
		object, sql := o.kind+" "+o.identity, []string{fmt.Sprintf("ALTER %s %s OWNER TO %s;", ownedClass(o.kind), o.identity, quoteIdent(owner))}
		if o.kind == "extension" { // ALTER EXTENSION has no OWNER TO
			sql = []string{fmt.Sprintf("REASSIGN OWNED BY %s TO %s;", a.name(), quoteIdent(owner))}
		}
		if a.role.name == a.server.bootstrap {
			sql = nil // it owns PostgreSQL itself: use another role
		}
		c.add(Finding{Kind: "ownership", What: "owns objects",
			Why: "an owner may drop and alter what it owns, disable its row security and triggers, and grant itself everything back"}, object, sql...)
	}
}

// ownedClass is the word after ALTER for a type that pg_identify_object prints.
func ownedClass(kind string) string {
	switch kind {
	case "composite type":
		return "TYPE"
	case "statistics object":
		return "STATISTICS"
	case "foreign-data wrapper":
		return "FOREIGN DATA WRAPPER"
	default:
		return strings.ToUpper(kind)
	}
}

func (a *Audit) settingFindings(c *collection) {
	for _, s := range a.settings() {
		if v, ok := a.role.settings[s.name]; ok && v != "0" && v != "-1" || s.name == "temp_file_limit" && a.server.tempFileLimited {
			continue
		}
		c.add(Finding{Kind: "setting", What: "has no " + s.name, Why: s.why}, "", s.sql)
	}
	if a.role.limit < 0 {
		c.add(Finding{Kind: "setting", What: "has no connection limit", Why: "one account could take every connection that the server has"}, "",
			fmt.Sprintf("ALTER ROLE %s CONNECTION LIMIT %d;", a.name(), a.o.Connections))
	}
}

type setting struct{ name, why, sql string }

// settings are the bounds that the role starts each session with.
func (a *Audit) settings() []setting {
	set := func(name, value string) string {
		return fmt.Sprintf("ALTER ROLE %s SET %s = %s;", a.name(), name, quoteLiteral(value))
	}
	ms := strconv.FormatInt(a.o.Statement.Milliseconds(), 10) + "ms"
	return []setting{
		{"statement_timeout", "one statement could run, and hold its locks, for ever", set("statement_timeout", ms)},
		{"lock_timeout", "a statement that waits for a lock makes everybody behind it wait too", set("lock_timeout", "5s")},
		{"idle_in_transaction_session_timeout", "a transaction left open keeps its locks and stops vacuum from cleaning up",
			set("idle_in_transaction_session_timeout", "60s")},
		// Only a superuser may set it, which the role of a hosted database is not.
		{"temp_file_limit", "one sort or join could fill the disk with temporary files", "DO $$ BEGIN " + set("temp_file_limit", "1GB") +
			" EXCEPTION WHEN insufficient_privilege THEN RAISE WARNING 'temp_file_limit needs a superuser; set it for the server instead'; END $$;"},
	}
}

// chosen reports whether a schema is one that the role is for.
func (a *Audit) chosen(schema string) bool { return slices.Contains(a.schemas, schema) }

// expected reports whether the role is meant to have a privilege.
func (a *Audit) expected(g *grant) bool {
	rows := g.privilege == "SELECT" || a.o.Write && slices.Contains([]string{"INSERT", "UPDATE", "DELETE"}, g.privilege) && (g.kind == "r" || g.kind == "p")
	switch g.class {
	case "DATABASE":
		return g.privilege == "CONNECT" && g.kind == "true"
	case "SCHEMA":
		return g.privilege == "USAGE" && a.chosen(g.schema)
	case "TABLE":
		rel := a.relations[g.object]
		return rows && a.readable(rel) && (len(rel.withheld) == 0 || g.privilege != "SELECT")
	case "COLUMN":
		rel := a.relations[g.object]
		return rows && a.readable(rel) && (g.privilege != "SELECT" || !rel.withheldName(g.column))
	case "SEQUENCE":
		return a.o.Write && g.privilege == "USAGE" && a.chosen(g.schema)
	case "ROUTINE":
		if g.extension != "" && g.public && !reaching(g.extension) && g.kind != "untrusted" {
			return true // an extension's own functions are reviewed with it
		}
		return a.callable(g)
	case "TABLES":
		// An empty schema is every schema, also those that are not chosen.
		ok := g.kind == "r" && (g.privilege == "SELECT" || a.o.Write && slices.Contains([]string{"INSERT", "UPDATE", "DELETE"}, g.privilege)) ||
			g.kind == "S" && a.o.Write && g.privilege == "USAGE"
		return ok && a.chosen(g.schema) && !a.o.Masked
	}
	return false
}

// readable reports whether the role may read at least a part of a relation. A
// foreign table is another server's.
func (a *Audit) readable(rel *relation) bool {
	return rel != nil && a.chosen(rel.schema) && rel.kind != "f" && !rel.tainted
}

func (rel *relation) withheldName(name string) bool {
	return slices.ContainsFunc(rel.columns, func(c column) bool { return c.name == name && rel.withheld[c.number] })
}

// callable reports whether the role is meant to call a function: it was
// reviewed, and only reads unless the role may write.
func (a *Audit) callable(g *grant) bool {
	allowed := gate.EffectRead
	if a.o.Write {
		allowed |= gate.EffectWrite | gate.EffectDelete
	}
	e, ok := review(a.reviewed, g.object, g.extension)
	return ok && e&^allowed == 0
}

// object names what a grant is on, for a reader.
func (a *Audit) object(g *grant) string {
	switch g.class {
	case "COLUMN":
		return g.identity + "." + quoteIdent(g.column)
	case "TABLES":
		if g.identity == "" {
			return "made by " + g.owner
		}
		return "made by " + g.owner + " in " + g.identity
	default:
		return g.identity
	}
}
