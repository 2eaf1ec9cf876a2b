package identity

import (
	"slices"

	"github.com/sallyport-gateway/sallyport/internal/gate"
)

// maxDelegation is how many actors one token may name. Each is a service that
// handed the work on.
const maxDelegation = 5

// parties reads who the work is for, who acts, and through which client.
func (i *issuer) parties(t *token, p *gate.Principal) *Rejection {
	sub, r := t.payload.name("sub")
	if r != nil || sub == "" {
		return orMissing(r, "sub")
	}
	p.Party = gate.Party{Issuer: i.URL, Subject: sub}
	if p.ClientID, r = clientID(t); r != nil {
		return r
	}
	if act, ok := t.payload["act"]; ok {
		p.Actor, r = i.delegation(act, p.Party)
		return r
	}
	if i.actor == nil {
		return nil
	}
	v, _ := i.actor.find(t.payload)
	actor, ok := v.(string)
	if !ok || !isName(actor) {
		return reject(RuleMapping, "the claim of claims.actor is missing or no name")
	}
	if actor != sub {
		p.Actor = gate.Party{Issuer: i.URL, Subject: actor}
	}
	return nil
}

// delegation returns the outermost actor, the only one that counts (RFC 8693,
// section 4.1), and checks that the chain behind it is one.
func (i *issuer) delegation(act any, subject gate.Party) (gate.Party, *Rejection) {
	seen := []gate.Party{subject}
	for act != nil {
		o, ok := act.(object)
		if !ok {
			return gate.Party{}, reject(RuleDelegation, "act is no object")
		}
		if len(seen) > maxDelegation {
			return gate.Party{}, reject(RuleDelegation, "more than %d actors", maxDelegation)
		}
		for name := range o {
			if known, ok := registeredClaim(foldName(name)); ok && known != name {
				return gate.Party{}, reject(RuleJSON, "act: a name that differs from %s only in case", known)
			}
		}
		sub, r := o.name("sub")
		if r != nil || sub == "" {
			return gate.Party{}, reject(RuleDelegation, "act without sub")
		}
		party := gate.Party{Issuer: i.URL, Subject: sub}
		if _, foreign := o["iss"]; foreign {
			if party.Issuer, r = o.name("iss"); r != nil {
				return gate.Party{}, reject(RuleDelegation, "act with a malformed iss")
			}
		}
		if slices.Contains(seen, party) {
			return gate.Party{}, reject(RuleDelegation, "a party that acts for itself")
		}
		seen = append(seen, party)
		if act, ok = o["act"]; ok && act == nil {
			return gate.Party{}, reject(RuleDelegation, "act is no object")
		}
	}
	if len(seen) < 2 {
		return gate.Party{}, reject(RuleDelegation, "act is no object")
	}
	return seen[1], nil
}

// clientID returns the client that obtained the token: client_id (RFC 9068), azp
// (OpenID Connect), appid (Entra v1) or cid (Okta). Where several are present
// they must agree.
func clientID(t *token) (string, *Rejection) {
	id := ""
	for _, claim := range []string{"client_id", "azp", "appid", "cid"} {
		s, r := t.payload.name(claim)
		if r != nil {
			return "", r
		}
		if s != "" && id != "" && s != id {
			return "", reject(RuleClaims, "%s names another client", claim)
		}
		if id == "" {
			id = s
		}
	}
	return id, nil
}

// mapClaims reads the agent's name, the groups and the attributes.
func (i *issuer) mapClaims(t *token, p *gate.Principal) *Rejection {
	p.Agent = p.Acting().Subject
	if i.agent != nil {
		v, _ := i.agent.find(t.payload)
		name, ok := v.(string)
		if !ok || !isName(name) {
			return reject(RuleMapping, "the claim of claims.agent is missing or no name")
		}
		if r := verifiedEmail(i.agent, t); r != nil {
			return r
		}
		p.Agent = name
	}
	if r := i.mapGroups(t, p); r != nil {
		return r
	}
	for _, a := range i.attributes {
		v, ok := a.path.find(t.payload)
		if !ok {
			continue
		}
		s, ok := text(v)
		if !ok || len(s) > maxNameBytes || !printable(s) {
			return reject(RuleMapping, "the claim of the attribute %s is no short text, integer or boolean", a.name)
		}
		if p.Attributes == nil {
			p.Attributes = make(map[string]gate.Attribute, len(i.attributes))
		}
		p.Attributes[a.name] = gate.Attribute{Value: s, Trust: a.trust}
	}
	return nil
}

func (i *issuer) mapGroups(t *token, p *gate.Principal) *Rejection {
	if i.groups == nil {
		return nil
	}
	v, ok := i.groups.find(t.payload)
	if !ok {
		// Entra leaves out groups that do not fit and says so; going on without
		// them would decide on half of the facts.
		names, _ := t.payload["_claim_names"].(object)
		if _, elsewhere := names[i.groups[0]]; elsewhere || t.payload["hasgroups"] == true {
			return reject(RuleMapping, "the groups do not fit into the token (overage)")
		}
		return nil
	}
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	p.Groups = make([]string, 0, len(list))
	for _, e := range list {
		g, ok := e.(string)
		if !ok || !isName(g) {
			return reject(RuleMapping, "the claim of claims.groups is no list of names")
		}
		p.Groups = append(p.Groups, g)
	}
	return nil
}
