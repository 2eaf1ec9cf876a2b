// Package api is the HTTPS interface of the gateway for people and their tools:
// access requests are answered, sessions listed and replayed, agents revoked and
// documents applied through it. It holds the server ([New]) and the Go client
// that the command line uses ([NewClient]).
//
// A caller proves who it is with the same short-lived OIDC tokens as everywhere,
// in the Authorization header and nowhere else. There are no cookies and no
// cross-origin access, so a web page cannot borrow a caller's standing. People
// may do what their roles permit ([Authority]); an agent's token may only ask
// whom it names and how its own access requests stand. What is not known, not
// permitted or too large is refused as a problem document (RFC 9457), worded in
// problem.go alone; the inner error goes to the log. Every call that changes
// something, and every look into a recording, is written to [Audit] before it is
// carried out; if it cannot be written, it is not carried out.
//
// The package verifies no tokens, keeps no state and knows no storage: what it
// needs it declares as small interfaces, which package main adapts. It does not
// decide who may answer an access request beyond the permission to try: groups
// and the ban on answering one's own request belong to the approval package,
// behind [Approvals].
//
// The interface is described by OpenAPI 3.1 at /openapi.json ([OpenAPI]).
//
// Specifications: RFC 9110 (HTTP), RFC 9457 (problem details), RFC 6750 (bearer
// tokens), OpenAPI 3.1.
package api
