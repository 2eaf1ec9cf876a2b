// Package gate owns the path that every command of every protocol takes, and
// the types that flow along it:
//
//	identify → authorise → inspect → decide → (hold) → record → forward → mask → record → answer
//
// A protocol package parses its wire format, describes each command in a
// [Command] and asks [Session.Decide]. What comes back is either a [Permit],
// which opens [Upstream.Send] once for that one command, or an error, which the
// protocol words in its own error form. The connection to the target is raw
// only inside the log-in function given to [Session.Dial]; afterwards it takes
// bytes only against a Permit, and the agent is answered only through
// [Session.Answer], which records before it writes. A protocol that forgets a
// step sends nothing.
//
// The package imports only the standard library. Whatever needs a token
// verifier, a policy language, a disk or a network is behind an interface
// declared here by its consumer: [Identifier], [Directory], [Policy],
// [Approver], [Recorder], [Dialer], [Vault], [Meter].
//
// It does not parse any protocol, does not decide what a rule means, and does
// not store anything.
package gate
