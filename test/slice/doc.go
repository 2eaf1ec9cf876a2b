// Package slice proves the vertical slice: an agent works on a real PostgreSQL
// through the real program.
//
// Its tests build bin/sallyport, start it as a child with a configuration folder
// that they write, in front of a real PostgreSQL, with tokens of a real OpenID
// provider, and speak to it with real clients, with its own command line, and
// with bare frames where no real client would say such a thing. What the gateway
// answers is compared, wherever that is possible, with what PostgreSQL answers
// without it.
//
// It exists because each part is proved beside its code, and none of those
// proofs says that the parts fit together. `make proof-slice` runs it.
//
// Source of what the protocol must do: PostgreSQL documentation, chapter
// "Frontend/Backend Protocol".
package slice
