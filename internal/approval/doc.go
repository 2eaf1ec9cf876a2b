// Package approval keeps access requests: a held command asks for a person, a
// person answers, and the answer lets exactly that command run, once.
//
// [Desk] implements gate.Approver. A request goes through these states, and
// every step is one compare-and-set that is durable before anybody hears of it:
//
//	pending → approved → consumed
//	        ↘ denied    ↘ expired, cancelled
//	        ↘ expired
//	        ↘ cancelled
//
// An approval is never a bearer grant. It is found again only by the binding
// digest of the command and by its principal (DESIGN.md, rule 6); the request's
// id only names it for people. The gate asks the policy again before it asks
// for the grant, so that an approval never overrides a block. A crash after the
// grant was consumed counts as used.
//
// The package does not compute the digest (gate does), does not decide which
// commands are held (policy does), and does not authenticate approvers: it is
// given a verified principal. Storage is behind [Store], messages to people
// behind [Notifier].
//
// The states and the rules on self-approval follow the access request and
// approval profile of OpenID AuthZEN
// (https://openid.github.io/authzen/).
package approval
