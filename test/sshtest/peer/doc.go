// Package peer speaks SSH's transport with both hands free, as a hostile server
// or a hostile client does: it completes a real key exchange and then sends any
// packet that a test wants, in any order, of any size, against every window.
//
// It is for tests alone. It knows one key exchange and one family of ciphers,
// checks no host key, and keeps to the protocol only where it must to get to the
// point where it does not.
//
// It follows RFC 4253 (transport), RFC 4252 (authentication), RFC 4254
// (connection), RFC 8731 (curve25519-sha256), RFC 5647 as OpenSSH names it
// (aes128-gcm@openssh.com) and OpenSSH's PROTOCOL, section 1.10 (strict key
// exchange).
package peer
