// Package postgres says what a PostgreSQL statement does, and rewrites it so
// that labelled columns never leave the table scan.
//
// A statement takes these steps: the lexer guards it and writes it in canonical
// form; PostgreSQL's own grammar (libpg_query) parses the canonical form; names
// are resolved against a [Catalog] snapshot as PostgreSQL would resolve them
// under the pinned search_path; every node, function, operator, cast, type and
// relation adds its effects; and every read of a relation with labelled columns
// becomes a place where [Inspection.AppendSQL] puts a sub-select in which the
// labelled columns are masks. What was judged is what is sent: the canonical
// text, with those places spliced by token, never a deparsed tree.
//
// Soundness rests on two allow-lists and on substitution at the source. What is
// not on a list has the effect unknown. A relation is left alone only if no
// labelled column, no whole row and no star of it can be named by any
// identifier of the statement, a test that needs no scoping. The analysis of
// scopes serves messages and views; it can only add refusals.
//
// The package does not decide, does not connect to anything (a [Querier] loads
// the catalog) and does not mask what the server sends back: errors, notices
// and parameter status are the wire loop's to filter.
//
// What stays open by design: whether a labelled value of a table is null (not of
// what a view or a generated column computes from it), and that a row exists; the size of a relation, also of a partition or a partial index, in pages and rows
// (pg_class, pg_stat_all_tables, pg_relation_size), and with it in which page a row lies
// (ctid, TABLESAMPLE, pg_locks of a serializable transaction); time.
// In which order rows come that nobody orders depends on the settings with which a
// session begins: see [Order].
// Partial masks and tokens show what [MaskLeaks] says; where only parts of a
// column are labelled, the shape of the rest is shown. A review of a function, rule or
// foreign table is trusted: nothing masks what it returns. A definition that
// changes between the snapshot and the execution is not seen here; [Epoch] and
// [Shape.Watch] say when.
//
// Specification: PostgreSQL 13 to 18, "SQL Commands", "Lexical Structure",
// "Type Conversion", "System Catalogs"; https://www.postgresql.org/docs/15/.
package postgres
