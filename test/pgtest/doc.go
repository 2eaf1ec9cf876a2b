// Package pgtest gives tests a private, real PostgreSQL: one call, stopped when
// the test ends.
//
// It is a thin layer over internal/pgserver, which does the work and serves the
// demo and the benchmarks as well. It does not fake anything: a machine without
// PostgreSQL fails the test and is told which package to install.
package pgtest
