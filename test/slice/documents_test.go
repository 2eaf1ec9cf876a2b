package slice_test

import (
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"
)

// The audiences of the two issuer documents that share one provider.
const (
	agentsAudience = "sallyport"
	peopleAudience = "sallyport-people"
)

// issuers accepts the provider's agents and people.
func issuers(url string) string {
	return fmt.Sprintf(`kind: Issuer
name: agents
url: %[1]s
audience: sallyport
tokens: at+jwt
max_lifetime: 1h
leeway: 0s
bound: {client_id: [reporting-agent, support-agent, mobile-agent, untiered-agent, twin]}
claims:
  agent: client_id
  attributes: {purpose: purpose, risk_tier: risk_tier}
---
kind: Issuer
name: people
url: %[1]s
audience: sallyport-people
tokens: at+jwt
identifies: people
bound: {client_id: [alice, bob, carol, twin]}
claims: {groups: groups}
---
kind: Role
name: dba
can: [sessions, approvals, revoke, documents, metrics]
issuer: %[1]s
groups: [dba]
`, url)
}

// forgerIssuer accepts the forger's tokens.
func forgerIssuer(url string) string {
	return fmt.Sprintf(`---
kind: Issuer
name: forger
url: %s
audience: sallyport
tokens: at+jwt
max_lifetime: 1h
bound: {client_id: [forged-agent]}
claims:
  agent: client_id
  attributes: {purpose: purpose, risk_tier: risk_tier}
`, url)
}

// target is a target on the shared PostgreSQL and what its labels are.
func (w *world) target(name, database, labels string) string {
	return fmt.Sprintf(`kind: Target
name: %s
protocol: postgres
address: %s
database: %s
labels: {%s}
credential: slice
tls: {mode: verify-full, ca: %s}
---
`, name, w.pg.Address(), database, labels, w.pg.CAFile)
}

// credential is where the role's password is.
const credential = `kind: Credential
name: slice
username: agent
password: {from: "file:password"}
---
`

const shopLabels = `kind: Labels
target: shop
columns:
  pii: [public.customers.email]
  ssn: [public.customers.ssn]
  card: [public.payments.card_number]
---
`

// shopPolicy is the story of the product: schema changes are blocked, writes to
// orders wait for a person unless the agent is of high risk, writes to the
// ledger and scratch are free, reads are masked.
const shopPolicy = `kind: Policy
name: shop
protocol: postgres
on: target.labels.env == "prod"
rules:
  - name: no-destructive-ddl
    when: command.effects.exists(e, e == "schema")
    then: block
    message: Schema changes in production go through migrations.
  - name: no-unbounded-writes
    when: sql.unbounded
    then: block
    message: Say which rows.
  - name: writes-need-a-person
    when: command.effects.exists(e, e in ["write", "delete"]) && sql.written.exists(t, t == "public.orders") && agent.attributes.risk_tier != "high"
    then: hold
    message: Orders are changed under four eyes.
    approvers: {groups: [dba], count: 1, within: 15m}
  - name: free-writes
    when: command.effects.all(e, e in ["read", "write", "delete"]) && size(sql.written) > 0 && sql.written.all(t, t in ["public.ledger", "public.scratch", "public.customers"])
    then: allow
    mask: {pii: redact, ssn: redact, card: last4}
  - name: reads
    when: command.effects.all(e, e in ["read", "export"])
    then: allow
    mask: {pii: redact, ssn: "null", card: last4}
  - name: reporting-reads
    when: command.effects == ["read"] && agent.attributes.purpose == "reporting"
    then: allow
    mask: {card: digits, ssn: plain}
tests:
  - name: a read is allowed
    agent: {attributes: {risk_tier: low, purpose: reporting}}
    target: {labels: {env: prod}}
    command: {effects: [read]}
    expect: allow
  - name: a write to orders waits
    agent: {attributes: {risk_tier: low, purpose: support}}
    target: {labels: {env: prod}}
    command: {effects: [write], facts: {written: [public.orders]}}
    expect: hold
    rule: writes-need-a-person
  - name: a write to orders by text waits
    agent: {attributes: {risk_tier: low, purpose: support}}
    target: {labels: {env: prod}}
    sql: UPDATE orders SET status = 'paid' WHERE id = 7
    expect: hold
`

// openPolicy allows what PostgreSQL itself allows the role, but for changes of
// the schema.
const openPolicy = `kind: Policy
name: open
protocol: postgres
on: target.labels.env == "test"
rules:
  - name: no-schema-changes
    when: command.effects.exists(e, e == "schema") && !sql.temporary
    then: block
    message: No schema changes here.
  - name: everything-understood
    when: command.effects.all(e, e in ["read", "write", "delete", "export", "execute", "schema"])
    then: allow
`

// sharedConfig is the configuration of the gateway that tests share.
func sharedConfig(w *world) settings {
	return settings{
		process: "hold: 30s\n",
		documents: map[string]string{
			"issuers.yaml": issuers(w.idp.URL) + forgerIssuer(w.forger.URL()),
			"targets.yaml": w.target("shop", "shop", "env: prod") + w.target("clients", "clients", "env: test") +
				w.target("open", "shop", "env: test") + credential + shopLabels + openPolicy,
			"shop.yaml": shopPolicy,
		},
	}
}

// pgError returns the server's error in err, or nil.
func pgError(err error) *pgconn.PgError {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		return e
	}
	return nil
}

func describe(err error) string {
	if e := pgError(err); e != nil {
		return fmt.Sprintf("%s %s: %s (detail %q, hint %q)", e.Severity, e.Code, e.Message, e.Detail, e.Hint)
	}
	return fmt.Sprint(err)
}
