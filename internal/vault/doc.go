// Package vault keeps the credentials that the gateway logs in to targets with.
// [Vault] implements gate.Vault.
//
// A credential's document says where its secret comes from: an environment
// variable or a file, read each time it is used, or the sealed store. Sealed
// secrets are envelope encrypted: each version of each credential has a data key
// of its own (AES-256-GCM, NIST SP 800-38D), which a [KeyProvider] wraps with a
// master key that never enters the state. The additional data binds a
// ciphertext to the store, the credential's name, its version, the account and
// the master key, so that a row which was copied elsewhere does not open.
//
// Decrypted secrets are not cached: opening one takes a few microseconds, and a
// log-in some milliseconds.
//
// The package does not rotate passwords at targets, and it cannot notice that
// somebody who can write the state put back an older version of the same
// credential. Go cannot promise that a secret leaves no copy in the process's
// memory; keys and buffers that the package owns are cleared after use.
package vault
