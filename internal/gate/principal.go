package gate

import (
	"maps"
	"slices"
	"strings"
	"time"
)

// Trust says who vouches for an attribute. The zero value is the weakest.
type Trust uint8

const (
	// TrustDeclared: the caller said so itself, outside its token.
	TrustDeclared Trust = iota
	// TrustCaller: in the signed token, but the caller chose the value when it
	// asked for the token (a requested scope, a request tag).
	TrustCaller
	// TrustProvider: in the signed token, set by the identity provider's
	// administrator.
	TrustProvider
)

// String returns the word used in documents and recordings.
func (t Trust) String() string {
	switch t {
	case TrustCaller:
		return "caller"
	case TrustProvider:
		return "provider"
	default:
		return "declared"
	}
}

// Attribute is a fact about the agent taken from its token.
type Attribute struct {
	Value string
	Trust Trust
}

// Kind says what sort of caller an issuer vouches for. The zero value opens
// nothing.
type Kind uint8

const (
	// KindUnknown may neither open a session nor use the API.
	KindUnknown Kind = iota
	// KindAgent may open sessions; it can never approve.
	KindAgent
	// KindPerson may use the API (approve, inspect, revoke); it opens no session.
	KindPerson
)

// String returns the word used in documents and recordings.
func (k Kind) String() string {
	switch k {
	case KindAgent:
		return "agent"
	case KindPerson:
		return "person"
	default:
		return "unknown"
	}
}

// Party is one identity as one issuer names it. Two parties are the same only
// if both members are equal byte by byte.
type Party struct {
	Issuer  string `json:"iss"`
	Subject string `json:"sub"`
}

// IsZero reports whether the party names nobody.
func (p Party) IsZero() bool { return p == Party{} }

// Principal is a verified caller. It is made by an [Identifier] and is
// immutable afterwards.
type Principal struct {
	// Party is who the work is for: the token's issuer and subject.
	Party
	// Kind is what the issuer's document says its tokens identify.
	Kind Kind
	// Actor is who is acting for the subject: the outermost act claim
	// (RFC 8693, section 4.1). It is zero when the subject acts itself.
	Actor Party
	// ClientID is the OAuth client that obtained the token (client_id or azp).
	ClientID string
	// Agent is the agent's name as the issuer's claim mapping gives it.
	Agent string
	// Groups are the groups of a person, as the claim mapping gives them.
	Groups []string
	// Attributes are the mapped facts. A fact that the token lacks is absent.
	Attributes map[string]Attribute
	// TokenID names the token for revocation: jti, or the base64url SHA-256 of
	// the token's signed part where the issuer sends none. Never the token.
	TokenID string
	// Document is the digest of what the issuer's document said when the token was
	// verified. A principal that was verified under another document is verified anew.
	Document string
	// IssuedAt and Expiry are the token's iat and exp. Expiry is never zero.
	IssuedAt time.Time
	Expiry   time.Time
}

// Acting returns the party that is acting: the actor, or the subject itself.
func (p *Principal) Acting() Party {
	if p.Actor.IsZero() {
		return p.Party
	}
	return p.Actor
}

// Spender returns whom limits and budgets are kept for: the agent as its issuer's
// claim mapping names it, whomever it works for, or else the party that is acting.
// A new token, connection or session does not change it.
func (p *Principal) Spender() Party {
	if p.Agent != "" {
		return Party{Issuer: p.Issuer, Subject: p.Agent}
	}
	return p.Acting()
}

// String describes the principal for a reader of a log or an error.
func (p *Principal) String() string {
	var b strings.Builder
	b.WriteString(p.Agent)
	if p.Agent == "" {
		b.WriteString(p.Subject)
	}
	if !p.Actor.IsZero() {
		b.WriteString(" for ")
		b.WriteString(p.Subject)
	}
	return b.String()
}

// AttributeNames returns the names of the attributes in order.
func (p *Principal) AttributeNames() []string {
	return slices.Sorted(maps.Keys(p.Attributes))
}
