package identity

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"
)

const (
	// DefaultMaxLifetime is how long a token may live when its issuer's document
	// does not say.
	DefaultMaxLifetime = time.Hour
	// DefaultLeeway is the difference of clocks that is forgiven when the
	// issuer's document does not say.
	DefaultLeeway = 30 * time.Second
	// MaxLeeway is the most that a document may forgive.
	MaxLeeway = time.Minute
)

// The kinds of token that an issuer can send. One document accepts one kind, so
// that a token made for another purpose is never taken for an access token.
const (
	// TokensAccess: access tokens of the JWT profile (RFC 9068), whose header
	// says at+jwt.
	TokensAccess = "at+jwt"
	// TokensJWT: other signed JWTs, as Entra ID, GitHub, GitLab, Kubernetes, AWS,
	// Google and SPIFFE send.
	TokensJWT = "jwt"
)

// What the tokens of an issuer identify.
const (
	// IdentifiesAgents: callers that open sessions and can never approve.
	IdentifiesAgents = "agents"
	// IdentifiesPeople: callers that use the API and open no session.
	IdentifiesPeople = "people"
)

// Issuer is the document of kind Issuer: whose tokens are accepted, and what
// they mean. The zero value accepts nothing and is not valid.
type Issuer struct {
	// Name is what policies, logs and people call the issuer: lower-case
	// letters, digits, "-", "_" and ".". Required, unique. Example: corp.
	Name string `json:"name" yaml:"name" required:"true" doc:"Name of the issuer for policies, logs and people." example:"corp"`
	// URL is the issuer identifier exactly as the iss claim has it; "/" at the
	// end counts. It must be https, or http with a loopback address. Required.
	// Example: https://idp.corp.example/realms/agents.
	URL string `json:"url" yaml:"url" required:"true" doc:"Issuer identifier exactly as the iss claim has it; https, or http with a loopback address." example:"https://idp.corp.example/realms/agents"`
	// Audience is the value that a token's aud claim must contain, exactly. It
	// must stand for this gateway and nothing else. Required. Example: sallyport.
	Audience string `json:"audience" yaml:"audience" required:"true" doc:"Value that the aud claim must contain exactly; it stands for this gateway and nothing else." example:"sallyport"`
	// Tokens is the one kind of token that the issuer sends: at+jwt or jwt.
	// Required; there is no default because guessing wrong confuses kinds.
	// Example: at+jwt.
	Tokens string `json:"tokens" yaml:"tokens" required:"true" enum:"at+jwt,jwt" doc:"The one kind of token that the issuer sends: at+jwt for access tokens of RFC 9068, jwt for others." example:"at+jwt"`
	// Identifies says whom the tokens name: agents, who open sessions, or
	// people, who approve and operate. Default: agents. Example: people.
	Identifies string `json:"identifies,omitempty" yaml:"identifies,omitempty" enum:"agents,people" doc:"Whom the tokens name: agents open sessions, people approve and operate." default:"agents" example:"people"`
	// Algorithms are the accepted signature algorithms: RS256, ES256, EdDSA, and
	// on request PS256 and ES384. Default: [RS256, ES256, EdDSA]. Example: [ES256].
	Algorithms []string `json:"algorithms,omitempty" yaml:"algorithms,omitempty" enum:"RS256,ES256,EdDSA,PS256,ES384" doc:"Accepted signature algorithms." default:"[RS256, ES256, EdDSA]" example:"[ES256]"`
	// MaxLifetime is the longest time from iat to exp that is accepted, however
	// long the issuer makes its tokens; up to 24h. Default: 1h. Example: 15m.
	MaxLifetime Duration `json:"max_lifetime,omitempty" yaml:"max_lifetime,omitempty" doc:"Longest time from iat to exp that is accepted; up to 24h." default:"1h" example:"15m"`
	// Leeway is how far the clocks of issuer and gateway may differ; up to 60s.
	// Default: 30s. Example: 5s.
	Leeway *Duration `json:"leeway,omitempty" yaml:"leeway,omitempty" doc:"How far the clocks of issuer and gateway may differ; up to 60s." default:"30s" example:"5s"`
	// MaxAudiences is how many audiences a token may have. 0 means any number, but
	// a token of kind jwt with several must then name its client (azp). Default:
	// 0. Example: 1.
	MaxAudiences int `json:"max_audiences,omitempty" yaml:"max_audiences,omitempty" doc:"How many audiences a token may have; 0 is any number." default:"0" example:"1"`
	// Bound are the conditions that make the issuer's tokens ours: for each claim
	// (a name, or a JSON Pointer that starts with "/") the exact value, or the
	// exact values of which one must match. Numbers and booleans are compared as
	// written; a claim that is a list matches if one element does. There are no
	// patterns. Required: an issuer that anyone can get a token from must not
	// open this gateway. Example: {azp: [reporting-agent, support-agent]}.
	Bound map[string]OneOrMore `json:"bound" yaml:"bound" doc:"Required. For each claim (a name, or a JSON Pointer) the exact value or values that make a token ours; there are no patterns." example:"{azp: [reporting-agent, support-agent]}"`
	// Claims say where in the token the agent's name, groups and attributes are.
	Claims Claims `json:"claims,omitzero" yaml:"claims,omitempty" doc:"Where in the token the agent's name, groups and attributes are." example:"{agent: azp, attributes: {purpose: purpose}}"`
	// JWKSURL is where the keys are, for an issuer without OpenID discovery; same
	// rules as URL. Default: what discovery says. Example:
	// https://spire.corp.example/keys.
	JWKSURL string `json:"jwks_url,omitempty" yaml:"jwks_url,omitempty" doc:"Where the keys are, for an issuer without OpenID discovery." default:"what discovery says" example:"https://spire.corp.example/keys"`
	// CA is the certificate authority of a private identity provider: the path of
	// a PEM file, or the PEM text itself. It replaces the system's authorities.
	// Default: the system's. Example: /etc/sallyport/idp-ca.pem.
	CA string `json:"ca,omitempty" yaml:"ca,omitempty" doc:"Certificate authority of a private provider: the path of a PEM file, or the PEM text. It replaces the system's." default:"the system's" example:"/etc/sallyport/idp-ca.pem"`
	// AllowUnprovenCnf accepts a token that is bound to a key or certificate (the
	// cnf claim, RFC 7800) as a plain bearer token. PostgreSQL, MySQL and SSH
	// passwords cannot prove possession, so this gives up the binding. Default:
	// false. Example: true.
	AllowUnprovenCnf bool `json:"allow_unproven_cnf,omitempty" yaml:"allow_unproven_cnf,omitempty" doc:"Accept tokens that are bound to a key (cnf) as plain bearer tokens." default:"false" example:"true"`
}

// Claims maps claims to what policies speak of. Each is the name of a top-level
// claim, taken literally, or a JSON Pointer (RFC 6901) that starts with "/", as
// /kubernetes.io/serviceaccount/name.
type Claims struct {
	// Agent is the claim with the agent's name. It must be a string. Default: the
	// subject of the acting party. Example: azp.
	Agent string `json:"agent,omitempty" yaml:"agent,omitempty" doc:"Claim with the agent's name." default:"the acting party's subject" example:"azp"`
	// Actor is the claim with the acting party's subject, for issuers that put
	// the agent into a client claim and not into act. It counts where the token
	// has no act claim and differs from sub. Default: none. Example: azp.
	Actor string `json:"actor,omitempty" yaml:"actor,omitempty" doc:"Claim with the acting party's subject, where the token has no act claim." default:"none" example:"azp"`
	// Groups is the claim with a person's groups: a list of strings, or one
	// string. Default: none. Example: groups.
	Groups string `json:"groups,omitempty" yaml:"groups,omitempty" doc:"Claim with a person's groups." default:"none" example:"groups"`
	// Attributes are the facts that policies may use, by the name that policies
	// call them. Default: none. Example: {purpose: purpose, risk_tier:
	// {claim: /tags/risk, trust: provider}}.
	Attributes map[string]AttributeClaim `json:"attributes,omitempty" yaml:"attributes,omitempty" doc:"The facts that policies may use, by the name that policies call them: a claim, or {claim, trust}." default:"none" example:"{purpose: purpose, risk_tier: {claim: /tags/risk, trust: provider}}"`
}

// AttributeClaim is where an attribute comes from. In a document it is the claim
// alone, or both members.
type AttributeClaim struct {
	// Claim is the claim's name or JSON Pointer. Required. Example: risk_tier.
	Claim string `json:"claim" yaml:"claim" required:"true" doc:"The claim's name or JSON Pointer." example:"risk_tier"`
	// Trust says who chose the value: provider, its administrator, or caller, who
	// asked for it with the token (a requested scope, a request tag). Default:
	// provider. Example: caller.
	Trust string `json:"trust,omitempty" yaml:"trust,omitempty" enum:"provider,caller" doc:"Who chose the value: the administrator of the provider, or the caller with its request." default:"provider" example:"caller"`
}

// OneOrMore is a list that a document may write as its single element.
type OneOrMore []string

var (
	nameForm      = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,62}$`)
	attributeForm = regexp.MustCompile(`^[a-z][a-z0-9_]{0,62}$`)
)

// unbinding claims say nothing about who a token was made for.
var unbinding = []string{"iss", "aud", "exp", "iat", "nbf", "jti", "uti", "typ"}

// Validate reports everything that is wrong with the document, joined. It uses neither
// the network nor files: PrepareIssuers reads the CA file.
func (i Issuer) Validate() error {
	var errs []error
	bad := func(field, format string, args ...any) {
		errs = append(errs, fmt.Errorf("issuer %q: %s: "+format, append([]any{i.Name, field}, args...)...))
	}
	if !nameForm.MatchString(i.Name) {
		bad("name", "must be lower-case letters, digits, '-', '_' or '.', at most 63")
	}
	if err := checkURL(i.URL); err != nil {
		bad("url", "%w", err)
	} else if strings.ContainsAny(i.URL, "?#") {
		bad("url", "an issuer has neither query nor fragment")
	}
	if err := checkURL(i.JWKSURL); err != nil && i.JWKSURL != "" {
		bad("jwks_url", "%w", err)
	}
	if i.Audience == "" {
		bad("audience", "required: without it, tokens made for other services would be accepted here")
	}
	switch i.Tokens {
	case TokensAccess, TokensJWT:
	case "":
		bad("tokens", "required: at+jwt for access tokens of the JWT profile (RFC 9068), jwt for all others")
	default:
		bad("tokens", "%q is neither at+jwt nor jwt", i.Tokens)
	}
	switch i.Identifies {
	case "", IdentifiesAgents, IdentifiesPeople:
	default:
		bad("identifies", "%q is neither agents nor people", i.Identifies)
	}
	for _, a := range i.Algorithms {
		if !supported(a) {
			bad("algorithms", "%q is not one of RS256, ES256, EdDSA, PS256, ES384", a)
		}
	}
	if i.MaxLifetime < 0 || time.Duration(i.MaxLifetime) > 24*time.Hour {
		bad("max_lifetime", "must be at most 24h, is %s", i.MaxLifetime)
	}
	if i.Leeway != nil && (*i.Leeway < 0 || time.Duration(*i.Leeway) > MaxLeeway) {
		bad("leeway", "must be at most 60s, is %s", *i.Leeway)
	}
	if i.MaxAudiences < 0 {
		bad("max_audiences", "must not be negative")
	}
	i.validateBound(bad)
	i.Claims.validate(bad)
	if i.inlineCA() {
		if _, err := authorities([]byte(i.CA)); err != nil {
			bad("ca", "%w", err)
		}
	}
	return errors.Join(errs...)
}

func (i Issuer) validateBound(bad func(field, format string, args ...any)) {
	if len(i.Bound) == 0 {
		bad("bound", "required: without a condition, everyone who can get a token from this issuer could use the gateway; "+
			"name the claim that tells your agents from others, for example bound: {azp: [reporting-agent]}")
	}
	for _, claim := range sortedKeys(i.Bound) {
		if err := checkPath(claim); err != nil {
			bad("bound", "%w", err)
		}
		if slices.Contains(unbinding, claim) {
			bad("bound", "%s says nothing about whom the token was made for; use a claim such as azp, client_id or sub", claim)
		}
		values := i.Bound[claim]
		if len(values) == 0 {
			bad("bound", "%s: needs at least one value", claim)
		}
		for _, v := range values {
			switch {
			case v == "":
				bad("bound", "%s: an empty value binds nothing", claim)
			case strings.Contains(v, "*"):
				bad("bound", "%s: %q: values match exactly, * has no meaning; list the values", claim, v)
			}
		}
	}
}

func (c Claims) validate(bad func(field, format string, args ...any)) {
	for field, path := range map[string]string{"claims.agent": c.Agent, "claims.actor": c.Actor, "claims.groups": c.Groups} {
		if path == "" {
			continue
		}
		if err := checkPath(path); err != nil {
			bad(field, "%w", err)
		}
	}
	for _, name := range sortedKeys(c.Attributes) {
		a := c.Attributes[name]
		if !attributeForm.MatchString(name) {
			bad("claims.attributes", "%q must be lower-case letters, digits and '_', at most 63", name)
		}
		if err := checkPath(a.Claim); err != nil {
			bad("claims.attributes", "%s: %w", name, err)
		}
		switch a.Trust {
		case "", "provider", "caller":
		default:
			bad("claims.attributes", "%s: trust %q is neither provider nor caller", name, a.Trust)
		}
	}
}

// maxPEMBytes bounds a CA file: some hundred certificates.
const maxPEMBytes = 1 << 20

// authorities returns those for the provider's certificate; nil, the system's, where the
// document names none.
func authorities(pem []byte) (*x509.CertPool, error) {
	if pem == nil {
		return nil, nil
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, errors.New("holds no certificate in PEM form")
	}
	return pool, nil
}

// inlineCA reports whether the document has the CA itself, and not the path of its file.
func (i Issuer) inlineCA() bool { return strings.Contains(i.CA, "-----BEGIN ") }

func (i Issuer) caPEM() ([]byte, error) {
	if i.CA == "" {
		return nil, nil
	}
	if i.inlineCA() {
		return []byte(i.CA), nil
	}
	f, err := os.Open(i.CA)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	return readBounded(f, maxPEMBytes)
}

// checkURL accepts https, and http to a loopback address, where nobody can
// listen in.
func checkURL(raw string) error {
	if raw == "" {
		return errors.New("required")
	}
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.User != nil {
		return fmt.Errorf("%q is not an absolute URL without user information", raw)
	}
	switch u.Scheme {
	case "https":
		return nil
	case "http":
		host := u.Hostname()
		if ip := net.ParseIP(host); ip != nil && ip.IsLoopback() || host == "localhost" {
			return nil
		}
		return fmt.Errorf("%q: http is accepted for loopback addresses only; anyone on the way could replace the keys", raw)
	}
	return fmt.Errorf("%q is not an https URL", raw)
}
