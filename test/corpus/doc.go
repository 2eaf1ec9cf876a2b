// Package corpus judges the gateway by cases: statements and raw messages of
// hostile and of honest agents, each with what must come of it. It runs them
// over the wire, through the real gateway, against a real PostgreSQL, and looks
// only at what the client got and at what the database holds afterwards.
//
// A case belongs to one of three policies and expects one of three outcomes:
//
//   - blocked: what the attack is after did not happen, and the client was told;
//   - masked: no form of a secret that the detectors know reached the client;
//   - allowed: the same rows, tags and copy data as without the gateway.
//
// The proof for masking is non-interference: the case runs again on a twin
// database that differs only in its secrets, and every byte that the client got
// must be the same. Without a gateway (direct mode) the cases themselves are
// proved: each attack works on bare PostgreSQL, each harmless case runs.
//
// The scratch database is dropped and copied from its template before each run
// of a case. The package does not decide anything and knows nothing of how the
// gateway works; [Gateway] only starts it, as a child process with the documents
// in the folder postgres.
//
// The project's own cases are in cases.jsonl and more.jsonl; its tests run them in
// some minutes. held.jsonl and wider.jsonl are judged by
//
//	make corpus CASES=test/corpus/postgres/wider.jsonl
//
// The messages are those of PostgreSQL's protocol 3.0:
// https://www.postgresql.org/docs/current/protocol.html.
package corpus
