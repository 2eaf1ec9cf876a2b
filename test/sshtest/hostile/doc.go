// Package hostile is a list of SSH servers that lie, each in one way, as a host
// under an attacker's control would to the gateway that logs in to it.
//
// A [Lie] says what it does and what must come of it. Each accepts any log-in and
// answers a command with [Greeting] and exit status 0, but for its lie.
//
// The numbers of sections in the lies are those of RFC 4253, RFC 4252 and RFC
// 4254.
package hostile
