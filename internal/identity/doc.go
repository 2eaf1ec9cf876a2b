// Package identity says who a caller is: it verifies the short-lived tokens of
// OpenID Connect issuers and turns them into a [gate.Principal].
//
// An [Issuer] is one document of the configuration: which issuer, which
// audience, which kind of token, which algorithms, which claims a token must
// carry, and how claims become the agent's name, groups and attributes. A
// [Verifier] holds the issuers in force, fetches their keys, and implements
// [gate.Identifier]. [Revocations] is the kill switch.
//
// A token is attacker-controlled until its signature is verified, and an
// attacker may hold valid tokens of the same issuer that were made for someone
// else. Therefore the rules are applied in a fixed order and the first one that
// fails rejects; JSON is read by a decoder that refuses what readers disagree
// about (duplicate members, names that differ only in case, lone surrogates,
// numbers that are no integers); base64url has exactly one accepted spelling;
// nothing in a token ever makes the gateway fetch a URL; and a token never
// appears in a log or an error, which name the rule, the issuer and a prefix of
// the token's SHA-256.
//
// It does not obtain tokens, does not log anyone in, does not talk to
// introspection endpoints, and cannot check proof of possession: a token that
// is bound to a key (the cnf claim) is refused unless its issuer's document
// accepts it as a bearer token.
//
// Specifications: JSON Web Signature (RFC 7515), JSON Web Key (RFC 7517), JSON
// Web Token (RFC 7519) and its best current practices (RFC 8725), the JWT
// profile for access tokens (RFC 9068), token exchange for the act claim
// (RFC 8693, section 4.1), OpenID Connect Discovery 1.0.
package identity
