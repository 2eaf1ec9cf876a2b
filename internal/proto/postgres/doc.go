// Package postgres serves the PostgreSQL frontend/backend protocol 3.0 to
// agents and speaks it to targets.
//
// An agent connects with TLS, gives the target's name as the database and its
// token as the password. From then on every statement is parsed
// (internal/sql/postgres), decided by the gate, re-framed from the decoded
// message and forwarded; the answer is checked against what was asked, recorded
// and passed on. A refused statement leaves the session as PostgreSQL itself
// would after an error: the next statement works, a transaction block is failed,
// a pipeline is skipped to its Sync.
//
// One goroutine serves a session. It waits either for the agent or for the
// target, never for both, as a PostgreSQL backend does; only COPY FROM STDIN
// and a held statement use a second one while they last. An idle session holds
// no buffer.
//
// The package does not decide anything and does not know what a statement
// means; it knows what the messages mean and in which state the server is.
//
// Source: PostgreSQL documentation, chapter "Frontend/Backend Protocol".
package postgres
