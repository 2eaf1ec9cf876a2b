// Package pgserver starts a private, real PostgreSQL for the demo, the tests
// and the benchmarks: its own data folder, a free loopback port, its own
// certificate authority, and no trace left behind.
//
// It exists because a gateway can only be believed in front of the real server.
// [Find] looks for the server programs that the machine has; [Start] runs them,
// as an unprivileged account when the process is root (PostgreSQL refuses to run
// as root). A fresh data folder is copied from a template that initdb made once
// for this version, so a start takes a fraction of a second.
//
// It does not install PostgreSQL, does not keep data that matters (by default it
// runs without fsync), and is never part of `sallyport serve`.
//
// See https://www.postgresql.org/docs/current/server-start.html.
package pgserver
