package setup

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport-gateway/sallyport/internal/gate"
)

// Options say what the account should be for.
type Options struct {
	// Role is the account to look at; empty means the one that is logged in. It
	// need not exist.
	Role string
	// Schemas are those whose relations it may read; empty means all that are
	// not PostgreSQL's own.
	Schemas []string
	// Write lets it insert, update and delete rows.
	Write bool
	// Masked says that the target has labels: relations made later stay
	// invisible until somebody has looked at them.
	Masked bool
	// Withheld are columns, as schema.table.column, that the account must not
	// read at all.
	Withheld []string
	// Reviewed are the target's reviewed functions: signature, schema.name(*) or
	// "extension NAME" → effect.
	Reviewed map[string]gate.Effects
	// Statement bounds one statement; zero means 60 s.
	Statement time.Duration
	// Connections bounds the account's connections; zero means 50.
	Connections int
}

// Audit is what was read of a role and of the objects that it may reach. It is
// immutable.
type Audit struct {
	o         Options
	server    server
	role      role
	members   []membership
	owned     []owned
	grants    []grant
	routines  []grant // the users' functions, whoever may call them
	mappings  []string
	open      []string // owners whose later functions everybody may call
	schemas   []string // chosen
	others    []string // roles that log in and are neither this one nor superusers
	relations map[string]*relation
	reviewed  map[string]gate.Effects
}

type server struct {
	version         int // server_version_num
	database        string
	databaseOwner   string
	bootstrap       string // the superuser made by initdb
	user            string
	tempFileLimited bool
}

type role struct {
	name     string
	exists   bool
	login    bool
	flags    map[string]bool // SUPERUSER, … → set
	limit    int             // -1: none
	settings map[string]string
}

type membership struct{ group, grantor string }

type owned struct{ kind, identity string }

// grant is one privilege that the role has directly or as part of PUBLIC.
type grant struct {
	class     string // TABLE, SCHEMA, …: the word after ON
	identity  string // quoted
	schema    string
	object    string // an oid
	kind      string // of a relation its relkind; of a routine what is said of it
	extension string
	column    string
	owner     string
	grantor   string
	public    bool
	privilege string
}

// relation is a table, view or the like of a chosen schema.
type relation struct {
	oid, identity, schema, name, kind, owner string
	columns                                  []column
	withheld                                 map[string]bool // by column number
	tainted                                  bool            // a view that shows a withheld column
}

type column struct{ number, name string }

// Read reads what a role may do at the target.
func Read(ctx context.Context, q Querier, o Options) (*Audit, error) {
	if o.Statement == 0 {
		o.Statement = time.Minute
	}
	if o.Connections == 0 {
		o.Connections = 50
	}
	a := &Audit{o: o, relations: map[string]*relation{}, reviewed: normalReviews(o.Reviewed)}
	r := begin(ctx, q)
	a.readServer(ctx, r)
	if a.role.name = o.Role; o.Role == "" {
		a.role.name = a.server.user
	}
	if r.err == nil {
		r.err = checkName(a.role.name)
	}
	a.readRole(ctx, r)
	a.readSchemas(ctx, r)
	a.readRelations(ctx, r)
	a.readWithheld(ctx, r)
	a.readGrants(ctx, r)
	a.readRest(ctx, r)
	if err := r.end(ctx); err != nil {
		return nil, err
	}
	return a, nil
}

// Role returns the name of the role that was read.
func (a *Audit) Role() string { return a.role.name }

func (a *Audit) readServer(ctx context.Context, r *reader) {
	r.rows(ctx, "the server", 6, `SELECT current_setting('server_version_num'), d.datname, pg_get_userbyid(d.datdba), pg_get_userbyid(10), current_user,
		current_setting('temp_file_limit') <> '-1' FROM pg_catalog.pg_database d WHERE d.datname = current_database()`, func(f []string) error {
		version, err := strconv.Atoi(f[0])
		a.server = server{version, f[1], f[2], f[3], f[4], f[5] == "t"}
		return err
	})
}

// roleOID is an expression for the role's oid; it is NULL when there is no such
// role, which equals nothing.
func (a *Audit) roleOID() string {
	return "(SELECT oid FROM pg_catalog.pg_roles WHERE rolname = " + quoteLiteral(a.role.name) + ")"
}

// roleFlags are the attributes that the account must not have, in the order of
// the columns that readRole reads.
func roleFlags() []string {
	return []string{"SUPERUSER", "CREATEDB", "CREATEROLE", "REPLICATION", "BYPASSRLS"}
}

func (a *Audit) readRole(ctx context.Context, r *reader) {
	a.role.flags, a.role.limit, a.role.settings = map[string]bool{}, -1, map[string]string{}
	r.rows(ctx, "the role", 7, `SELECT rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls, rolcanlogin, rolconnlimit
		FROM pg_catalog.pg_roles WHERE oid = `+a.roleOID(), func(f []string) (err error) {
		a.role.exists, a.role.login = true, f[5] == "t"
		for i, name := range roleFlags() {
			a.role.flags[name] = f[i] == "t"
		}
		a.role.limit, err = strconv.Atoi(f[6])
		return err
	})
	r.rows(ctx, "the role's settings", 1, `SELECT unnest(setconfig) FROM pg_catalog.pg_db_role_setting
		WHERE setrole = `+a.roleOID()+` AND setdatabase IN (0, (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database()))
		ORDER BY setdatabase`, func(f []string) error {
		name, value, _ := strings.Cut(f[0], "=")
		a.role.settings[name] = value
		return nil
	})
	r.rows(ctx, "memberships", 2, `SELECT pg_get_userbyid(roleid), pg_get_userbyid(grantor) FROM pg_catalog.pg_auth_members
		WHERE member = `+a.roleOID()+` ORDER BY 1, 2`, func(f []string) error {
		a.members = append(a.members, membership{f[0], f[1]})
		return nil
	})
	// A sequence that belongs to a column goes with its table; default privileges
	// and user mappings are told apart.
	r.rows(ctx, "what the role owns", 2, `SELECT i.type, i.identity FROM pg_catalog.pg_shdepend s
		CROSS JOIN LATERAL pg_identify_object(s.classid, s.objid, s.objsubid) i
		WHERE s.deptype = 'o' AND s.refclassid = 'pg_catalog.pg_authid'::pg_catalog.regclass AND s.refobjid = `+a.roleOID()+`
		AND s.dbid IN (0, (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())) AND i.type NOT IN ('default acl', 'user mapping')
		AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = s.classid AND d.objid = s.objid AND d.deptype IN ('a', 'i')
			AND d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjsubid > 0 AND i.type = 'sequence')
		ORDER BY 1, 2`, func(f []string) error {
		a.owned = append(a.owned, owned{f[0], f[1]})
		return nil
	})
	r.rows(ctx, "other roles", 1, `SELECT rolname FROM pg_catalog.pg_roles WHERE rolcanlogin AND NOT rolsuper AND rolname <> `+
		quoteLiteral(a.role.name)+` ORDER BY 1`, func(f []string) error {
		a.others = append(a.others, f[0])
		return nil
	})
}

func (a *Audit) readSchemas(ctx context.Context, r *reader) {
	var all []string
	r.rows(ctx, "schemas", 1, `SELECT nspname FROM pg_catalog.pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema' ORDER BY 1`,
		func(f []string) error { all = append(all, f[0]); return nil })
	if r.err != nil {
		return
	}
	if len(a.o.Schemas) == 0 {
		a.schemas = all
		return
	}
	for _, s := range a.o.Schemas {
		if !slices.Contains(all, s) {
			r.err = fmt.Errorf("database %s has no schema %q; it has %s", a.server.database, s, strings.Join(all, ", "))
			return
		}
	}
	a.schemas = slices.Compact(slices.Sorted(slices.Values(a.o.Schemas)))
}

func (a *Audit) readRelations(ctx context.Context, r *reader) {
	r.rows(ctx, "relations", 6, `SELECT c.oid, quote_ident(n.nspname) || '.' || quote_ident(c.relname), n.nspname, c.relname, c.relkind, pg_get_userbyid(c.relowner)
		FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
		WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'`, func(f []string) error {
		a.relations[f[0]] = &relation{oid: f[0], identity: f[1], schema: f[2], name: f[3], kind: f[4], owner: f[5], withheld: map[string]bool{}}
		return nil
	})
	r.rows(ctx, "columns", 3, `SELECT attrelid, attnum, attname FROM pg_catalog.pg_attribute
		WHERE attrelid >= 16384 AND attnum > 0 AND NOT attisdropped ORDER BY attrelid, attnum`, func(f []string) error {
		if rel := a.relations[f[0]]; rel != nil {
			rel.columns = append(rel.columns, column{f[1], f[2]})
		}
		return nil
	})
}

func (a *Audit) readRest(ctx context.Context, r *reader) {
	r.rows(ctx, "user mappings", 1, `SELECT quote_ident(srvname) FROM pg_catalog.pg_user_mappings WHERE umuser = `+a.roleOID()+` ORDER BY 1`,
		func(f []string) error { a.mappings = append(a.mappings, f[0]); return nil })
	r.rows(ctx, "functions", 3, `SELECT quote_ident(n.nspname) || '.' || quote_ident(p.proname) || '(' || oidvectortypes(p.proargtypes) || ')',
		n.nspname || '.' || p.proname || '(' || oidvectortypes(p.proargtypes) || ')', `+fmt.Sprintf(inExtension, "pg_proc", "p")+`
		FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
		WHERE p.oid >= 16384 AND n.nspname !~ '^pg_(toast|temp_)' ORDER BY 1`,
		func(f []string) error {
			a.routines = append(a.routines, grant{class: "ROUTINE", identity: f[0], object: f[1], extension: f[2]})
			return nil
		})
	// Without an entry of its own, an owner's later functions are everybody's.
	r.rows(ctx, "default privileges of functions", 1, `SELECT DISTINCT pg_get_userbyid(o.owner) FROM (
			SELECT nspowner AS owner FROM pg_catalog.pg_namespace WHERE nspname = ANY (`+a.schemaArray()+`)
			UNION SELECT relowner FROM pg_catalog.pg_class WHERE relnamespace IN (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = ANY (`+a.schemaArray()+`))
			UNION SELECT proowner FROM pg_catalog.pg_proc WHERE pronamespace IN (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = ANY (`+a.schemaArray()+`))) o
		WHERE pg_get_userbyid(o.owner) !~ '^pg_' AND o.owner IS DISTINCT FROM `+a.roleOID()+` AND EXISTS (SELECT FROM aclexplode(coalesce(
			(SELECT defaclacl FROM pg_catalog.pg_default_acl WHERE defaclrole = o.owner AND defaclnamespace = 0 AND defaclobjtype = 'f'),
			acldefault('f', o.owner))) x WHERE x.grantee = 0) ORDER BY 1`,
		func(f []string) error { a.open = append(a.open, f[0]); return nil })
	slices.SortStableFunc(a.grants, func(x, y grant) int {
		return cmp.Or(cmp.Compare(x.class, y.class), cmp.Compare(x.identity, y.identity), cmp.Compare(x.column, y.column), cmp.Compare(x.privilege, y.privilege))
	})
}

func (a *Audit) schemaArray() string {
	quoted := make([]string, len(a.schemas))
	for i, s := range a.schemas {
		quoted[i] = quoteLiteral(s)
	}
	return "ARRAY[" + strings.Join(quoted, ", ") + "]::pg_catalog.text[]"
}
