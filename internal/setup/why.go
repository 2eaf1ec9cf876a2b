package setup

import "strings"

func flagWhy(flag string) string {
	switch flag {
	case "SUPERUSER":
		return "a superuser passes every check of PostgreSQL: it reads and writes files, runs programs and loads code on the server"
	case "CREATEDB":
		return "a database of its own is a place where it owns everything"
	case "CREATEROLE":
		return "it could make roles, and before PostgreSQL 16 take almost any role there is"
	case "REPLICATION":
		return "replication streams every table of the server, past grants, row security and masks"
	case "BYPASSRLS":
		return "row security does not hold for it"
	}
	return "the account does not need it"
}

func groupWhy(group string) string {
	switch group {
	case "pg_read_server_files":
		return "reads any file that the server's account can read (COPY FROM, pg_read_file)"
	case "pg_write_server_files":
		return "writes any file that the server's account can write, which is as good as running programs"
	case "pg_execute_server_program":
		return "runs programs on the server (COPY FROM PROGRAM)"
	case "pg_read_all_data":
		return "reads every table, view and sequence of every schema"
	case "pg_write_all_data":
		return "changes every table, view and sequence of every schema"
	case "pg_signal_backend", "pg_signal_autovacuum_worker":
		return "cancels and ends the sessions of others"
	case "pg_monitor", "pg_read_all_stats", "pg_read_all_settings", "pg_stat_scan_tables":
		return "sees what others run, with the values in it, and settings and logs of the server"
	case "pg_checkpoint", "pg_maintain":
		return "makes the server work on request: checkpoints, vacuum and index builds that lock"
	case "pg_create_subscription", "pg_use_reserved_connections", "pg_database_owner":
		return "acts on the whole database, not on rows"
	}
	if strings.HasPrefix(group, "pg_") {
		return "a predefined role gives rights past all grants on objects"
	}
	return "it may do whatever " + oneLine(group) + " may, and become it with SET ROLE"
}

// word says what a privilege beyond the expected is, in a reader's words.
func (a *Audit) word(g *grant) (kind, what, why string) {
	what = "may " + g.privilege
	switch g.class {
	case "DATABASE":
		return "database", what, databaseWhy(g.privilege)
	case "SCHEMA":
		if g.privilege == "USAGE" {
			return "schema", what, "it is for other schemas only"
		}
		return "schema", what, "objects of its own make code that others run (functions, operators, views found first in a search path)"
	case "TABLE":
		return "table", what, a.tableWhy(g)
	case "COLUMN":
		return "column", what, a.tableWhy(g)
	case "SEQUENCE":
		return "sequence", what, "setval and nextval change what keys come next, and no rollback takes that back"
	case "ROUTINE":
		return a.routineWord(g)
	case "LANGUAGE":
		return "language", "may write code (USAGE)", "with USAGE on a language anybody runs code with DO, and every statement in it is out of sight"
	case "FOREIGN SERVER", "FOREIGN DATA WRAPPER":
		return "server", what, "foreign servers reach other machines from inside the database"
	case "LARGE OBJECT":
		return "large object", what, "large objects stand outside all tables, so that no label says what is in them"
	case "TABLES":
		what += " on " + strings.ToLower(defaultClass(g.kind)) + " made later"
		if a.o.Masked && g.kind == "r" {
			return "default", what, "a table made later has no labels yet, so that it would be shown plainly before anybody looked at it"
		}
		return "default", what, "what is made later would be open without anybody's decision"
	case "PARAMETER":
		return "parameter", what, "settings that PostgreSQL keeps for superusers change how the server runs"
	}
	return strings.ToLower(g.class), what, "the account does not need it"
}

func databaseWhy(privilege string) string {
	switch privilege {
	case "CREATE":
		return "it could make schemas, publications and trusted extensions"
	case "TEMPORARY":
		return "temporary objects fill the disk, and temporary functions and operators are code nobody reviewed"
	}
	return "the gateway's account is for one database"
}

func (a *Audit) tableWhy(g *grant) string {
	rel := a.relations[g.object]
	switch {
	case g.privilege == "TRUNCATE":
		return "it empties a table at once, past row triggers and row security"
	case g.privilege == "TRIGGER":
		return "a trigger is code that runs whenever somebody else writes, with their rights"
	case g.privilege == "REFERENCES":
		return "a foreign key tells by its errors which values are there, and stops others from deleting"
	case g.privilege == "MAINTAIN":
		return "VACUUM FULL, CLUSTER and REINDEX lock the table against everybody"
	case g.kind == "f":
		return "a foreign table is another server's data: what it shows has no labels here, and a query runs there too"
	case g.privilege == "SELECT" && rel != nil && rel.tainted:
		return "the view shows columns that are withheld"
	case g.privilege == "SELECT" && rel != nil && a.chosen(rel.schema) && len(rel.withheld) > 0:
		return "labelled columns that are always shown as null need not be readable"
	case g.privilege == "SELECT":
		return "it is for other schemas only"
	case !a.o.Write:
		return "it is for reading only"
	}
	return "rows are changed in tables of the chosen schemas, not through views or elsewhere"
}

func (a *Audit) routineWord(g *grant) (kind, what, why string) {
	switch {
	case g.kind == "untrusted":
		return "function", "may EXECUTE code in an untrusted language", "such a function can do whatever the server's account can: files, programs, network"
	case reaching(g.extension):
		return "function", "may EXECUTE functions of " + g.extension, "they reach other servers, files or programs from inside the database"
	case strings.HasPrefix(g.object, "pg_catalog.lo_"):
		return "large object", "may make large objects", "large objects stand outside all tables and fill the disk"
	case g.kind == "definer":
		return "function", "may EXECUTE unreviewed SECURITY DEFINER functions", "they run with their owner's rights, so that they can show and change what the account cannot"
	}
	return "function", "may EXECUTE unreviewed functions", "nobody said what calling them does; a review in a document of kind Functions keeps them"
}
