// Package setup says what the gateway's account at a PostgreSQL target should
// be allowed, what the present one can do beyond that, and which objects of the
// target nobody has reviewed.
//
// The gateway decides every statement, but a mistake in it should meet a second
// wall: an account that can do nothing else. [Read] reads what one role may do;
// [Audit.Findings] says what of it is too much, why, and the SQL that takes it
// away; [Audit.Script] writes the SQL for the role that the target should use.
// [Survey] lists the functions, operators, casts, types, triggers, rules,
// policies, foreign tables and columns that need a person's eye, and writes the
// documents that would settle them.
//
// The package runs no SQL of its own making but queries of the system catalogs,
// through a [Querier] that its caller opens with the target's credential; it
// changes nothing at the target. It looks at one database: what the account may
// do in others of the same server is seen only where the catalogs are shared
// (attributes, memberships, ownership, rights on databases).
//
// Privileges: https://www.postgresql.org/docs/current/ddl-priv.html, predefined
// roles: https://www.postgresql.org/docs/current/predefined-roles.html. Written
// for PostgreSQL 13 to 18.
package setup
