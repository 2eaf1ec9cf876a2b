// Package budget counts what each agent spends at each target within the last
// hour: rows, bytes, labelled values shown, and rows changed. Policies read it as
// budget.rows, budget.bytes, budget.cells and budget.writes.
//
// A limit on one answer does not stop an agent that asks again and again, and a
// limit on a session does not stop one that connects again. A [Book] counts per
// agent, whatever its token, session or gateway: what is spent is added to a
// [Store] that all gateways share, at most once a second, and read from it at most
// once a second. So an agent can go over its budget by what it gets within about
// two seconds, and by the answers to the commands that were allowed before: bound
// one answer with the target's limits. What a gateway had not stored when it was
// killed is lost, at most one second's worth.
//
// The window is kept in minutes: what counts is the present minute and the sixty
// before it, so that nothing is forgotten early.
//
// The package decides nothing and stores nothing itself. Nothing is stored while
// [Config].Wanted says that no policy asks.
package budget
