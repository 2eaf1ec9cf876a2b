// Package lex turns SQL text into tokens as PostgreSQL's own scanner does, and
// writes the canonical text of a statement: one spelling for every token, no
// comments, single spaces.
//
// The canonical text is what the rest of Sallyport works with. It is parsed by
// libpg_query, judged, rewritten by token position, and sent to the server; the
// agent's own bytes are never forwarded. So a mistake in this package can change
// what an agent meant, but never makes the judged text and the executed text
// differ.
//
// Three more things come out of the same pass over the text: the guard that
// keeps hostile input (size, nesting, endless operator chains, NUL, invalid
// UTF-8) away from the C parser; the shape, in which literals are replaced by
// their class, so that texts that differ only in literals share one decision;
// and [Template], which renders a rewritten statement with the literals of
// another statement of the same shape.
//
// Where servers of versions 13 to 18 read a text differently (0x1F, 1_000,
// 1abc, $1abc, \v), the text is refused. The scanner assumes client_encoding
// UTF8 and standard_conforming_strings on; the session pins both. Because the
// canonical text contains no backslash escapes outside plain strings and only
// quoted non-ASCII identifiers, it does not depend on any other setting.
//
// The package knows no grammar beyond balanced brackets. It does not split
// statements: a semicolon inside CREATE FUNCTION … BEGIN ATOMIC does not end
// one, which only the parser knows.
//
// Specification: https://www.postgresql.org/docs/current/sql-syntax-lexical.html
// and src/backend/parser/scan.l of PostgreSQL.
package lex
