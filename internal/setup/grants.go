package setup

import (
	"context"
	"fmt"
	"strings"
)

// acl is one catalog with privileges.
type acl struct {
	class string
	// from is the FROM clause; the other members are expressions over it.
	from, identity, schema, object, kind, extension, column string
	owner, acl, code                                        string // code: acldefault's letter; empty without a default
	where                                                   string
	// public is the condition under which what everybody may do counts.
	public string
}

const inExtension = `(SELECT e.extname FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid
	WHERE d.classid = 'pg_catalog.%s'::pg_catalog.regclass AND d.objid = %s.oid AND d.deptype = 'e' LIMIT 1)`

// acls are the catalogs that hold privileges (ddl-priv, table 5.2), apart from
// types and tablespaces of everybody, which lead nowhere by themselves.
func (a *Audit) acls() []acl {
	user := `n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'`
	relation := `pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace`
	name := `quote_ident(n.nspname) || '.' || quote_ident(c.relname)`
	all := []acl{
		{class: "DATABASE", from: `pg_catalog.pg_database c`, identity: `quote_ident(c.datname)`, owner: `c.datdba`, acl: `c.datacl`, code: "d",
			kind: `(c.datname = current_database())::text`, public: `c.datname = current_database()`},
		{class: "SCHEMA", from: `pg_catalog.pg_namespace n`, identity: `quote_ident(n.nspname)`, schema: `n.nspname`, owner: `n.nspowner`, acl: `n.nspacl`,
			code: "n", where: `n.nspname !~ '^pg_(toast|temp_)'`, public: user + ` AND x.privilege_type = 'CREATE'`},
		{class: "TABLE", from: relation, identity: name, schema: `n.nspname`, object: `c.oid::text`, kind: `c.relkind`, owner: `c.relowner`, acl: `c.relacl`,
			code: "r", where: `c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname !~ '^pg_(toast|temp_)'`, public: user},
		{class: "SEQUENCE", from: relation, identity: name, schema: `n.nspname`, owner: `c.relowner`, acl: `c.relacl`, code: "s", where: `c.relkind = 'S'`, public: user},
		{class: "COLUMN", from: relation + ` JOIN pg_catalog.pg_attribute t ON t.attrelid = c.oid AND NOT t.attisdropped`, identity: name, schema: `n.nspname`,
			object: `c.oid::text`, kind: `c.relkind`, column: `t.attname`, owner: `c.relowner`, acl: `t.attacl`, public: user},
		{class: "ROUTINE", from: `pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace JOIN pg_catalog.pg_language l ON l.oid = p.prolang`,
			identity: `quote_ident(n.nspname) || '.' || quote_ident(p.proname) || '(' || oidvectortypes(p.proargtypes) || ')'`, schema: `n.nspname`,
			object: `n.nspname || '.' || p.proname || '(' || oidvectortypes(p.proargtypes) || ')'`, extension: fmt.Sprintf(inExtension, "pg_proc", "p"),
			kind: `CASE WHEN l.lanispl AND NOT l.lanpltrusted THEN 'untrusted' WHEN p.prosecdef THEN 'definer' ELSE '' END`, owner: `p.proowner`, acl: `p.proacl`,
			code: "f", where: `p.prorettype NOT IN ('pg_catalog.trigger'::pg_catalog.regtype, 'pg_catalog.event_trigger'::pg_catalog.regtype)`,
			public: `(p.oid >= 16384 AND ` + user + ` OR n.nspname = 'pg_catalog' AND p.proname IN ('lo_creat', 'lo_create', 'lo_from_bytea'))`},
		{class: "LANGUAGE", from: `pg_catalog.pg_language c`, identity: `quote_ident(c.lanname)`, owner: `c.lanowner`, acl: `c.lanacl`, code: "l",
			where: `c.lanispl AND c.lanpltrusted`, public: `true`},
		{class: "FOREIGN SERVER", from: `pg_catalog.pg_foreign_server c`, identity: `quote_ident(c.srvname)`, owner: `c.srvowner`, acl: `c.srvacl`, code: "S", public: `true`},
		{class: "FOREIGN DATA WRAPPER", from: `pg_catalog.pg_foreign_data_wrapper c`, identity: `quote_ident(c.fdwname)`, owner: `c.fdwowner`, acl: `c.fdwacl`, code: "F", public: `true`},
		{class: "LARGE OBJECT", from: `pg_catalog.pg_largeobject_metadata c`, identity: `c.oid::text`, owner: `c.lomowner`, acl: `c.lomacl`, code: "L", public: `true`},
		{class: "TABLESPACE", from: `pg_catalog.pg_tablespace c`, identity: `quote_ident(c.spcname)`, owner: `c.spcowner`, acl: `c.spcacl`, code: "t", public: `c.oid >= 16384`},
		{class: "TABLES", from: `pg_catalog.pg_default_acl c LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.defaclnamespace`, identity: `coalesce(quote_ident(n.nspname), '')`,
			schema: `coalesce(n.nspname, '')`, kind: `c.defaclobjtype`, owner: `c.defaclrole`, acl: `c.defaclacl`, where: `c.defaclobjtype IN ('r', 'S', 'f', 'n', 'L')`,
			public: `c.defaclobjtype IN ('r', 'S', 'n', 'L')`},
	}
	if a.server.version >= 150000 {
		all = append(all, acl{class: "PARAMETER", from: `pg_catalog.pg_parameter_acl c`, identity: `quote_ident(c.parname)`, owner: `10::oid`, acl: `c.paracl`, public: `true`})
	}
	return all
}

func (c *acl) query(role string) string {
	or := func(s, other string) string {
		if s == "" {
			return other
		}
		return s
	}
	entries := c.acl
	if c.code != "" {
		entries = fmt.Sprintf("coalesce(%s, acldefault('%s', %s))", c.acl, c.code, c.owner)
	}
	columns := []string{c.identity, or(c.schema, "''"), or(c.object, "''"), or(c.kind, "''"), or(c.extension, "''"), or(c.column, "''"),
		"pg_get_userbyid(" + c.owner + ")", "pg_get_userbyid(x.grantor)", "x.grantee = 0", "x.privilege_type"}
	// What an owner has as such is told as ownership.
	return "SELECT " + strings.Join(columns, ", ") + " FROM " + c.from + " CROSS JOIN LATERAL aclexplode(" + entries + ") x WHERE " + or(c.where, "true") +
		" AND (x.grantee = " + role + " AND " + c.owner + " <> " + role + " OR x.grantee = 0 AND " + c.public + ")"
}

func (a *Audit) readGrants(ctx context.Context, r *reader) {
	for _, c := range a.acls() {
		r.rows(ctx, "privileges on "+strings.ToLower(c.class), 10, c.query(a.roleOID()), func(f []string) error {
			a.grants = append(a.grants, grant{class: c.class, identity: f[0], schema: f[1], object: f[2], kind: f[3], extension: f[4], column: f[5],
				owner: f[6], grantor: f[7], public: f[8] == "t", privilege: f[9]})
			return nil
		})
	}
}

// grantee is whom the privilege was granted to.
func (a *Audit) grantee(g *grant) string {
	if g.public {
		return "PUBLIC"
	}
	return quoteIdent(a.role.name)
}

// revoke is the SQL that takes a privilege away. Only what its grantor gave is
// taken, so that what somebody else than the owner gave is taken in their name.
func (a *Audit) revoke(g *grant) string {
	var s string
	switch g.class {
	case "COLUMN":
		s = fmt.Sprintf("REVOKE %s (%s) ON TABLE %s FROM %s;", g.privilege, quoteIdent(g.column), g.identity, a.grantee(g))
	case "TABLES":
		in := ""
		if g.identity != "" {
			in = " IN SCHEMA " + g.identity
		}
		return fmt.Sprintf("ALTER DEFAULT PRIVILEGES FOR ROLE %s%s REVOKE %s ON %s FROM %s;", quoteIdent(g.owner), in, g.privilege, defaultClass(g.kind), a.grantee(g))
	default:
		s = fmt.Sprintf("REVOKE %s ON %s %s FROM %s;", g.privilege, g.class, g.identity, a.grantee(g))
	}
	if g.grantor != g.owner && g.class != "PARAMETER" {
		s = "SET LOCAL ROLE " + quoteIdent(g.grantor) + "; " + s + " RESET ROLE;"
	}
	return s
}

// defaultClass is the word for pg_default_acl.defaclobjtype.
func defaultClass(kind string) string {
	switch kind {
	case "S":
		return "SEQUENCES"
	case "f":
		return "ROUTINES"
	case "n":
		return "SCHEMAS"
	case "L": // since PostgreSQL 18
		return "LARGE OBJECTS"
	default:
		return "TABLES"
	}
}
