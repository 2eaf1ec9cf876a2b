package setup

import (
	"fmt"
	"slices"
	"strings"
)

// Script returns the SQL for the role: it can be run any number of times, by a
// superuser or the administrator of a hosted database, in one transaction.
func (a *Audit) Script() string {
	var b strings.Builder
	a.head(&b)
	var own, public []Finding
	for _, f := range a.Findings() {
		if f.Public {
			public = append(public, f)
		} else {
			own = append(own, f)
		}
	}
	section(&b, "What the role has and does not need.", own)
	if len(public) > 0 {
		b.WriteString("\n-- What everybody may do. This concerns every role of the database: read it line by\n-- line, and give back what another role needs, as the comments show.\n")
		if len(a.others) > 0 {
			fmt.Fprintf(&b, "-- Roles that log in here: %s\n", oneLine(strings.Join(a.others, ", ")))
		}
		section(&b, "", public)
	}
	a.give(&b)
	b.WriteString("\nCOMMIT;\n")
	return b.String()
}

func (a *Audit) head(b *strings.Builder) {
	mode := "read rows"
	if a.o.Write {
		mode = "read, insert, update and delete rows"
	}
	fmt.Fprintf(b, `-- The role that the gateway should use in database %s: it may %s
-- in the schemas %s, and nothing else.
-- For PostgreSQL 13 to 18. Run it as a superuser or as the administrator of a hosted
-- database, in database %s; running it again changes nothing. Run
-- "sallyport setup postgres" again when relations, functions or labels were added.
-- It gives the role no password. Set one with \password, which sends only a hash,
-- and store it with "sallyport credential set".

BEGIN;
SET LOCAL standard_conforming_strings = on;
SET LOCAL search_path = '';

DO $$ BEGIN
  IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = %[5]s) THEN
    CREATE ROLE %[6]s LOGIN %[7]s CONNECTION LIMIT %[8]d;
  ELSIF EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = %[5]s
      AND (rolsuper OR rolcreatedb OR rolcreaterole OR rolreplication OR rolbypassrls OR NOT rolcanlogin)) THEN
    ALTER ROLE %[6]s LOGIN %[7]s;
  END IF;
END $$;
`, oneLine(a.server.database), mode, oneLine(strings.Join(a.schemas, ", ")), oneLine(a.server.database),
		quoteLiteral(a.role.name), a.name(), "NO"+strings.Join(roleFlags(), " NO"), a.o.Connections)
}

func section(b *strings.Builder, title string, findings []Finding) {
	if len(findings) == 0 {
		return
	}
	if title != "" {
		fmt.Fprintf(b, "\n-- %s\n", title)
	}
	for _, f := range findings {
		fmt.Fprintf(b, "-- %s: %s; %s.\n", f.Kind, oneLine(f.What), oneLine(f.Why))
		for _, sql := range f.SQL {
			b.WriteString(sql + "\n")
			if back := giveBack(sql); f.Public && back != "" {
				fmt.Fprintf(b, "--   %s\n", oneLine(back))
			}
		}
	}
}

// giveBack is the statement that gives one role what everybody loses.
func giveBack(sql string) string {
	body, ok := strings.CutPrefix(sql, "REVOKE ")
	if !ok {
		return ""
	}
	return "GRANT " + strings.TrimSuffix(body, "FROM PUBLIC;") + `TO "some role";`
}

// give writes what the role is for.
func (a *Audit) give(b *strings.Builder) {
	role := a.name()
	b.WriteString("\n-- What the role is for.\n")
	fmt.Fprintf(b, "GRANT CONNECT ON DATABASE %s TO %s;\n", quoteIdent(a.server.database), role)
	for _, s := range a.schemas {
		fmt.Fprintf(b, "GRANT USAGE ON SCHEMA %s TO %s;\n", quoteIdent(s), role)
	}
	for _, rel := range a.sorted() {
		a.giveRelation(b, rel)
	}
	for _, g := range a.reviewedRoutines() {
		fmt.Fprintf(b, "GRANT EXECUTE ON ROUTINE %s TO %s;\n", g, role)
	}
	for _, s := range a.schemas {
		if a.o.Write {
			fmt.Fprintf(b, "GRANT USAGE ON ALL SEQUENCES IN SCHEMA %s TO %s;\n", quoteIdent(s), role)
		}
	}
	a.giveLater(b)
}

func (a *Audit) sorted() []*relation {
	var all []*relation
	for _, rel := range a.relations {
		if a.chosen(rel.schema) {
			all = append(all, rel)
		}
	}
	slices.SortFunc(all, func(x, y *relation) int { return strings.Compare(x.identity, y.identity) })
	return all
}

func (a *Audit) giveRelation(b *strings.Builder, rel *relation) {
	switch {
	case rel.kind == "f":
		fmt.Fprintf(b, "-- %s is a foreign table: its rows are another server's, so that nothing is granted on it.\n", oneLine(rel.identity))
		return
	case rel.tainted:
		fmt.Fprintf(b, "-- %s shows columns that are withheld, so that nothing is granted on it.\n", oneLine(rel.identity))
		return
	}
	if len(rel.withheld) == 0 {
		fmt.Fprintf(b, "GRANT SELECT ON TABLE %s TO %s;\n", rel.identity, a.name())
	} else if columns := rel.shown(); len(columns) > 0 {
		fmt.Fprintf(b, "GRANT SELECT (%s) ON TABLE %s TO %s; -- without the columns that are always masked as null\n", strings.Join(columns, ", "), rel.identity, a.name())
	}
	if a.o.Write && (rel.kind == "r" || rel.kind == "p") {
		fmt.Fprintf(b, "GRANT INSERT, UPDATE, DELETE ON TABLE %s TO %s;\n", rel.identity, a.name())
	}
}

func (rel *relation) shown() []string {
	var all []string
	for _, c := range rel.columns {
		if !rel.withheld[c.number] {
			all = append(all, quoteIdent(c.name))
		}
	}
	return all
}

// reviewedRoutines are the functions that the role is meant to call.
func (a *Audit) reviewedRoutines() []string {
	var all []string
	for i := range a.routines {
		if g := &a.routines[i]; g.extension == "" && a.callable(g) {
			all = append(all, g.identity)
		}
	}
	return all
}

// giveLater grants on what is made later. Under labels nothing is: a table
// without labels would be shown plainly before anybody looked at it.
func (a *Audit) giveLater(b *strings.Builder) {
	if a.o.Masked {
		b.WriteString("-- Tables made later are not granted: nobody has labelled them yet.\n")
		return
	}
	owners := a.owners()
	tables := "SELECT"
	if a.o.Write {
		tables += ", INSERT, UPDATE, DELETE"
	}
	for _, o := range owners {
		for _, s := range a.schemas {
			in := fmt.Sprintf("ALTER DEFAULT PRIVILEGES FOR ROLE %s IN SCHEMA %s GRANT ", quoteIdent(o), quoteIdent(s))
			fmt.Fprintf(b, "%s%s ON TABLES TO %s;\n", in, tables, a.name())
			if a.o.Write {
				fmt.Fprintf(b, "%sUSAGE ON SEQUENCES TO %s;\n", in, a.name())
			}
		}
	}
}

// owners are the roles that own relations of the chosen schemas now, and so are
// likely to make more.
func (a *Audit) owners() []string {
	var all []string
	for _, rel := range a.sorted() {
		o := rel.owner
		if o == a.role.name {
			if o = a.server.databaseOwner; o == a.role.name {
				o = a.server.bootstrap
			}
		}
		if !slices.Contains(all, o) {
			all = append(all, o)
		}
	}
	slices.Sort(all)
	return all
}
