// Package clients drives five real PostgreSQL clients — psql, pgx, psycopg2,
// JDBC and node-postgres — through the same scenarios against any address: a
// PostgreSQL server itself, or a gateway in front of one.
//
// It exists because "works unchanged" is a claim about other people's programs.
// A scenario passes against PostgreSQL first; the same scenario must then pass
// against the gateway. Each scenario opens its own connection over TLS with the
// server's name and certificate verified.
//
// psql is the real program; pgx runs in this process; the other three are small
// programs in their own languages under psycopg2, jdbc and node. They take their
// configuration from the environment (a password never stands on a command
// line) and print one JSON line per scenario. What they need installed is in
// scripts/install-deps; compiled classes and node modules are kept in the user's
// cache folder, keyed by the sources' hash.
//
// The package does not start servers and does not know the gateway.
package clients
