// Package store is the gateway's durable state: access requests, sealed
// credentials, revocations and the log of configuration changes.
//
// The interfaces that it implements are declared by their consumers
// (approval.Store, vault.Store); it imports those two packages for their types
// and nothing else of the project. [Revocations] and [Changes] are plain records
// for whoever needs them. Package storetest holds the claims that every backend
// must keep.
//
// The backend of this release is SQLite in write-ahead-log mode
// (https://www.sqlite.org/wal.html), by way of a translation of SQLite to Go, so
// that the binary needs no C library. All writes of a process go through one
// connection that takes the write lock when a transaction begins, so that a
// transaction never has to be upgraded; several processes may share one file. A
// committed write survives a power cut (synchronous=FULL).
//
// The package knows no rules: what a request may become and who may read a
// credential is decided by its consumers inside the transaction that they are
// given. It is not for recordings, which are files of their own.
package store
