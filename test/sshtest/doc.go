// Package sshtest gives tests, proofs and benchmarks a private, real OpenSSH
// server: one call, on a free port of loopback, with a host key of its own.
//
// It fakes nothing and leaves the machine's own server and its configuration
// alone: the private one reads one configuration file in a temporary folder.
// What it needs beyond that folder are unprivileged accounts, which it makes once
// and leaves (nobody can log in to them but through a server like this one), and
// root, because sshd changes to the account that logs in.
//
// A machine without OpenSSH fails the test and is told what to install. For what
// no real server ever does there is the package peer below this one.
//
// The settings are those of sshd_config(5); the file formats are those of
// sshd(8), section AUTHORIZED_KEYS FILE FORMAT, and PROTOCOL.certkeys.
package sshtest
