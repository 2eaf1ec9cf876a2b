package identity

import (
	"encoding/hex"
	"fmt"
	"log/slog"
)

// Rule names the rule of token validation that a token failed. The names are
// stable: operators alert on them.
type Rule string

// The rules, in the order in which they are applied.
const (
	RuleSize         Rule = "size"         // over 16 KiB, or empty
	RuleForm         Rule = "form"         // not a JWS in compact form
	RuleEncoding     Rule = "encoding"     // not canonical base64url
	RuleJSON         Rule = "json"         // header or payload is not strict JSON
	RuleHeader       Rule = "header"       // a header member that is not accepted
	RuleIssuer       Rule = "issuer"       // no document for this iss
	RuleAlgorithm    Rule = "algorithm"    // alg is not on the issuer's list
	RuleType         Rule = "type"         // typ is not the issuer's kind of token
	RuleAmbiguous    Rule = "ambiguous"    // the token fits several documents
	RuleKeys         Rule = "keys"         // the issuer's keys cannot be had
	RuleKey          Rule = "key"          // no key of the issuer matches kid and alg
	RuleSignature    Rule = "signature"    // the signature does not verify
	RuleAudience     Rule = "audience"     // aud is not for this gateway
	RuleExpired      Rule = "expired"      // exp has passed
	RuleNotYetValid  Rule = "not-yet"      // nbf or iat is in the future
	RuleLifetime     Rule = "lifetime"     // lives longer than max_lifetime
	RuleClaims       Rule = "claims"       // a required claim is missing or malformed
	RuleTokenKind    Rule = "token-kind"   // an ID, refresh or logout token
	RuleConfirmation Rule = "confirmation" // cnf, which cannot be proven here
	RuleBound        Rule = "bound"        // the issuer's conditions are not met
	RuleDelegation   Rule = "delegation"   // the act claim is not acceptable
	RuleMapping      Rule = "mapping"      // a mapped claim is missing or malformed
	RuleChanged      Rule = "changed"      // the issuer's document changed since
	RuleRevoked      Rule = "revoked"      // revoked by an operator
)

// publicText is what the caller is told; it never holds anything of the token.
func (r Rule) publicText() string {
	switch r {
	case RuleSize:
		return "it is empty or larger than 16 KiB"
	case RuleForm:
		return "it is not a signed token (JWS) in compact form"
	case RuleEncoding:
		return "it is not canonical base64url"
	case RuleJSON:
		return "its header or payload is not unambiguous JSON"
	case RuleHeader:
		return "its header has a member that is not accepted"
	case RuleIssuer:
		return "its issuer is not known here"
	case RuleAlgorithm:
		return "its signature algorithm is not accepted for this issuer"
	case RuleType:
		return "it is not the type of token that this issuer is configured for"
	case RuleAmbiguous:
		return "it fits more than one configured issuer"
	case RuleKeys:
		return "the keys of its issuer cannot be fetched; try again in 10 seconds"
	case RuleKey:
		return "it is signed with a key that its issuer does not publish"
	case RuleSignature:
		return "its signature is not valid"
	case RuleAudience:
		return "it was made for another audience"
	case RuleExpired:
		return "it has expired; get a new one"
	case RuleNotYetValid:
		return "it is not valid yet"
	case RuleLifetime:
		return "it lives longer than this issuer's tokens may; ask for a shorter one"
	case RuleClaims:
		return "a required claim is missing or malformed"
	case RuleTokenKind:
		return "it is not an access token"
	case RuleConfirmation:
		return "it is bound to a key, and this protocol cannot prove possession of a key"
	case RuleBound:
		return "it was not made for an agent that may use this gateway"
	case RuleDelegation:
		return "its delegation (act) is not acceptable"
	case RuleMapping:
		return "a claim that the gateway needs is missing or malformed"
	case RuleChanged:
		return "the gateway's configuration of its issuer changed; show a token again"
	case RuleRevoked:
		return "it was revoked"
	default:
		return "it could not be verified"
	}
}

// Rejection is the error of [Verifier.Identify]: which rule refused the token.
// It holds nothing of the token but its fingerprint, and the token id once the
// signature was verified.
type Rejection struct {
	// Rule is the rule that failed.
	Rule Rule
	// Issuer is the name of the issuer's document; empty before it is known.
	Issuer string
	// TokenID is the token's id for revocation; empty before the signature was
	// verified.
	TokenID string
	// Fingerprint is the first 12 hexadecimal digits of the token's SHA-256.
	Fingerprint string
	// Err says more, for the log; it may be nil.
	Err error
}

func reject(rule Rule, format string, args ...any) *Rejection {
	return &Rejection{Rule: rule, Err: fmt.Errorf(format, args...)}
}

// Error names the rule and, for the log, what exactly failed.
func (r *Rejection) Error() string {
	s := "token refused by rule " + string(r.Rule)
	if r.Issuer != "" {
		s += ", issuer " + r.Issuer
	}
	if r.Fingerprint != "" {
		s += ", token sha256 " + r.Fingerprint
	}
	if r.Err != nil {
		s += ": " + r.Err.Error()
	}
	return s
}

// Unwrap returns the inner error.
func (r *Rejection) Unwrap() error { return r.Err }

// Public returns the text that the caller may see (gate.PublicError).
func (r *Rejection) Public() string { return r.Rule.publicText() + " (rule " + string(r.Rule) + ")" }

// LogValue gives rule, issuer and token id to slog.
func (r *Rejection) LogValue() slog.Value {
	attrs := []slog.Attr{slog.String("rule", string(r.Rule)), slog.String("issuer", r.Issuer), slog.String("sha256", r.Fingerprint)}
	if r.TokenID != "" {
		attrs = append(attrs, slog.String("token", r.TokenID))
	}
	if r.Err != nil {
		attrs = append(attrs, slog.String("cause", r.Err.Error()))
	}
	return slog.GroupValue(attrs...)
}

func (r *Rejection) about(issuer string, hash [32]byte) *Rejection {
	r.Issuer, r.Fingerprint = issuer, hex.EncodeToString(hash[:6])
	return r
}
