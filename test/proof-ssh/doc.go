// Package sshproof proves SSH through the gateway with real clients against a
// real OpenSSH server, and with hostile ones on either side.
//
// What a client gets is compared with what it gets from the server itself: each
// scenario runs both ways, and output, exit status and files must be the same. What
// the gateway refuses is asked for by a raw client that sends any message of RFC
// 4254 and of OpenSSH's PROTOCOL.
//
// It runs as root, since an OpenSSH server for several accounts does, and with
// `make proof-ssh` alone.
package sshproof
