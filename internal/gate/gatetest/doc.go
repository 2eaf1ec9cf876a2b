// Package gatetest is the conformance suite that every protocol passes. A
// protocol brings a [Case]: a way to make itself, a target, a native client and
// a few commands. [Run] then proves the promises that no protocol may break:
//
//   - a blocked command's bytes never reach the target;
//   - a refusal is native to the protocol, and the session goes on;
//   - a command is on record before it is forwarded, and an answer before it is
//     sent; a recorder that cannot write stops the traffic;
//   - a hold waits, expires, and its approval is consumed once, by the identical
//     command only;
//   - a masked value never leaves, not even into the recording;
//   - a credential is never in a record, a log or an error;
//   - unknown, truncated and oversized messages are refused, and no other session
//     notices;
//   - a session that is ended stops what runs at the target.
//
// The gateway around the protocol is real; what it asks (identity, policy,
// approval, storage) is played by this package, so that a test can say exactly
// what happens. The target is whatever the case starts: a real server.
package gatetest
