// Package sshgate runs the real gateway in front of SSH hosts, for the corpus,
// the proofs and the benchmarks: `sallyport serve` as a child process on a folder
// of documents, with a development issuer that it trusts.
//
// It starts and stops; what is configured and what is proved is the caller's. It
// knows nothing of the gateway but its command line, its configuration file and
// its addresses, as an operator does.
package sshgate
