// Package ssh serves the SSH protocol on both sides (RFC 4251 to 4254 and
// OpenSSH's PROTOCOL): agents log in to the gateway with an OIDC token or a
// certificate that was issued for one, and the gateway logs in to hosts.
//
// A gate session is a channel, not a connection: what RFC 4254, section 6 calls a
// session is one remote program, and that is what is decided, recorded and ended
// by itself. The sessions of one client connection share one connection to the
// target, a gate.Link.
//
// An exec request is a command like an SQL statement. Its line is parsed by
// internal/shell, the paths in it are resolved at the host by internal/hostpath,
// and what is forwarded is written anew from the parse. Files move through SFTP or
// scp, parsed packet by packet. Shells, terminals and tunnels are commands of
// their own, which rules may allow as a whole; everything else is refused.
//
// The package does not decide, mask by itself, store or dial; it does not control
// what is typed into a shell that a rule has allowed.
package ssh
