// Package parse turns the canonical text of package lex into PostgreSQL's own
// parse tree, with the C parser kept at a distance.
//
// libpg_query is PostgreSQL's grammar, compiled from C, and works on text that
// an attacker chose: a deep tree overflows its stack, which no recover can
// catch. So [Pool] runs it in worker processes that are this same program
// started again with [WorkerArgument]. A worker has an empty environment, no
// descriptors but a pair of pipes, no credentials, bounded memory, and ends with
// its parent. A text that crashes or stalls it costs one worker and fails with
// an [*Error]; the worker is replaced and later texts are not affected.
//
// [Direct] parses inside the calling process, for tests and short-lived
// commands; it must not meet texts that package lex has not accepted, nor run
// in a process that writes to standard error from other goroutines, which
// libpg_query redirects while it works.
//
// A program that uses Pool must call [WorkerMain] first thing in main, and its
// tests first thing in TestMain.
//
// Without cgo the package compiles, but [New] and Direct report
// [ErrUnavailable]. The package does not judge statements. A worker that an
// attacker has taken over could answer later texts with wrong trees; the
// confinement limits what else it could do, and the guard of package lex is
// what keeps it from happening.
//
// Specification: https://github.com/pganalyze/libpg_query (17-6.x).
package parse
