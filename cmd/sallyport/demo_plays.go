//go:build cgo && unix

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/sallyport-gateway/sallyport/internal/api"
	"github.com/sallyport-gateway/sallyport/internal/identity/devissuer"
)

// The statements of the story.
const (
	readStatement = `SELECT c.name, c.email, c.ssn, p.card_number, p.amount
  FROM customers c JOIN orders o ON o.customer_id = c.id JOIN payments p ON p.order_id = o.id
  ORDER BY p.id LIMIT 4;`
	dropStatement   = `DROP TABLE customers;`
	deleteStatement = `DELETE FROM orders;`
	countStatement  = `SELECT count(*) AS customers FROM customers;`
	refundStatement = `UPDATE payments SET refunded = refunded + 25.00 WHERE order_id = 42;`
	refundedDirect  = `SELECT refunded FROM payments WHERE order_id = 42`
	longStatement   = `SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 100000) b`
)

// requestID finds the id of an access request in an answer.
var requestID = regexp.MustCompile(`\bapr_[A-Za-z0-9_-]+`)

func playConfigure(ctx context.Context, s *demoStory) error {
	s.p.command("", "cd "+s.w.dir)
	config := s.w.configFile()
	for _, c := range []struct {
		stdin, want string
		arguments   []string
	}{
		{s.w.password + "\n", "is sealed", []string{"credential", "set", "shop", "--username", demoRole, "--config", config}},
		{"", "are valid", []string{"check", "--config", config}},
		{"", "cases passed", []string{"policy", "test", "--config", config}},
	} {
		out, code := s.administer(ctx, c.stdin, c.arguments...)
		if err := expect(code == exitOK && strings.Contains(out, c.want), fmt.Sprintf("%q", c.want), out); err != nil {
			return err
		}
	}
	s.p.command("", s.short("sallyport serve --config "+config))
	// The gateway outlives the step.
	if err := s.w.startGateway(context.WithoutCancel(ctx)); err != nil {
		return err
	}
	s.p.answer(fmt.Sprintf("PostgreSQL for agents: 127.0.0.1:%d    SSH: 127.0.0.1:%d    API for people: %s\n", s.w.postgresPort, s.w.sshPort, s.w.api()))
	return nil
}

func playRead(ctx context.Context, s *demoStory) error {
	token, err := s.w.token("agent")
	if err != nil {
		return err
	}
	s.p.command("reporting-agent", `PGPASSWORD=$(cat agent.token) psql "`+s.w.conninfo()+`"`)
	// The session outlives the step.
	if s.first, err = s.w.open(context.WithoutCancel(ctx), token); err != nil {
		return err
	}
	out, err := s.ask(ctx, readStatement)
	if err != nil {
		return err
	}
	if err := expectIn(out, "[redacted]", "(4 rows)"); err != nil {
		return err
	}
	if err := s.expectNoSecret(ctx, out); err != nil {
		return err
	}
	log, err := s.w.server.Log()
	if err != nil {
		return err
	}
	if err := expect(strings.Contains(log, "'[redacted]'"), "the masks in the statement that the database logged", "none"); err != nil {
		return err
	}
	row, err := s.w.direct(ctx, "SELECT c.name, c.email, c.ssn, p.card_number FROM customers c JOIN orders o ON o.customer_id = c.id "+
		"JOIN payments p ON p.order_id = o.id ORDER BY p.id LIMIT 1")
	if err != nil {
		return err
	}
	s.p.note("The first row as it is, asked past the gateway:")
	s.p.answer(strings.ReplaceAll(row, "|", " | ") + "\n")
	s.session, err = s.liveSession(ctx, "reporting-agent")
	return err
}

// expectNoSecret fails if a labelled value is in the text.
func (s *demoStory) expectNoSecret(ctx context.Context, text string) error {
	values, err := s.labelled(ctx)
	if err != nil {
		return err
	}
	for _, v := range values {
		if strings.Contains(text, v) {
			return &mismatch{"no value of a labelled column", "the answer has " + v}
		}
	}
	return nil
}

// labelled returns all values of the labelled columns, from the target itself.
func (s *demoStory) labelled(ctx context.Context) ([]string, error) {
	out, err := s.w.direct(ctx, "SELECT email FROM customers UNION SELECT ssn FROM customers UNION SELECT card_number FROM payments")
	values := strings.Split(out, "\n")
	if err == nil && len(values) < 500 {
		err = fmt.Errorf("the target has only %d labelled values", len(values))
	}
	return values, err
}

// liveSession returns the id of an agent's one live session.
func (s *demoStory) liveSession(ctx context.Context, agent string) (string, error) {
	var list []api.Session
	if err := s.query(ctx, &list, "sessions", "list", "--live", "--agent", agent); err != nil {
		return "", err
	}
	if len(list) != 1 {
		return "", &mismatch{"one live session of " + agent, fmt.Sprint(len(list), " sessions")}
	}
	return list[0].ID, nil
}

// query asks the gateway as the approver.
func (s *demoStory) query(ctx context.Context, v any, arguments ...string) error {
	out, err := s.quietly(ctx, "approver", append(arguments, "--json")...)
	if err != nil {
		return err
	}
	return json.Unmarshal([]byte(out), v)
}

func playBlocked(ctx context.Context, s *demoStory) error {
	for _, c := range []struct {
		statement string
		want      []string
	}{
		{dropStatement, []string{"blocked by rule", "no-destructive-ddl"}},
		{deleteStatement, []string{"blocked by rule", "no-unbounded-writes"}},
		{countStatement, []string{"120", "(1 row)"}},
	} {
		out, err := s.ask(ctx, c.statement)
		if err == nil {
			err = expectIn(out, c.want...)
		}
		if err != nil {
			return err
		}
	}
	log, err := s.w.server.Log()
	if err != nil {
		return err
	}
	// The gateway sends what it understood, in a form of its own.
	log = strings.ToLower(log)
	if err := expectIn(log, "as customers from"); err != nil {
		return fmt.Errorf("in the log of the database: %w", err)
	}
	return expect(!strings.Contains(log, "drop table") && !strings.Contains(log, "delete from"),
		"neither statement in the log of the database", "one of them")
}

// refund types the UPDATE and waits until it is held.
func (s *demoStory) refund(ctx context.Context) error {
	if s.first == nil {
		return errors.New("the first agent has no session")
	}
	s.p.prompt("shop=>", refundStatement)
	if err := s.first.send(refundStatement); err != nil {
		return err
	}
	out, err := s.first.await(ctx, "HINT:", s.show)
	if err != nil {
		return err
	}
	s.request = requestID.FindString(out)
	return errors.Join(expectIn(out, "NOTICE", "held by rule", "writes-need-a-person"), expect(s.request != "", "the id of an access request", out))
}

// refunded checks how much was paid back, at the target itself.
func (s *demoStory) refunded(ctx context.Context, want string) error {
	got, err := s.w.direct(ctx, refundedDirect)
	if err != nil {
		return err
	}
	return expect(got == want, "refunded = "+want+" in the database", got)
}

func playHeld(ctx context.Context, s *demoStory) error {
	if err := s.refund(ctx); err != nil {
		return err
	}
	a, err := s.approval(ctx)
	if err != nil {
		return err
	}
	return errors.Join(expect(a.State == "pending", "a pending request", a.State), s.refunded(ctx, "0.00"))
}

// approval returns the present request.
func (s *demoStory) approval(ctx context.Context) (a api.Approval, err error) {
	if s.request == "" {
		return a, errors.New("there is no access request")
	}
	return a, s.query(ctx, &a, "approvals", "show", s.request)
}

func playSelfApproval(ctx context.Context, s *demoStory) error {
	if s.request == "" {
		return errors.New("there is no access request")
	}
	out, code := s.as(ctx, "agent", "approvals", "approve", s.request)
	if err := expect(code == exitRefused, fmt.Sprintf("exit code %d", exitRefused), fmt.Sprintf("exit code %d: %s", code, out)); err != nil {
		return err
	}
	a, err := s.approval(ctx)
	if err != nil {
		return err
	}
	return errors.Join(expect(a.State == "pending", "a request that is still pending", a.State), s.refunded(ctx, "0.00"))
}

func playApproved(ctx context.Context, s *demoStory) error {
	if s.request == "" {
		return errors.New("there is no access request")
	}
	out, code := s.as(ctx, "approver", "approvals", "list", "--state", "pending")
	if err := expect(code == exitOK && strings.Contains(out, s.request), "the request in the list", out); err != nil {
		return err
	}
	out, code = s.as(ctx, "approver", "approvals", "show", s.request)
	if err := expect(code == exitOK && strings.Contains(out, strings.TrimSuffix(refundStatement, ";")), "the whole statement", out); err != nil {
		return err
	}
	out, code = s.as(ctx, "approver", "approvals", "approve", s.request, "--comment", "checked with the customer")
	if err := expect(code == exitOK && strings.Contains(out, "is approved"), "an approval", out); err != nil {
		return err
	}
	s.p.note("The psql that waited goes on:")
	out, err := s.first.await(ctx, "", s.show)
	if err != nil {
		return err
	}
	return errors.Join(expectIn(out, "UPDATE 1"), s.refunded(ctx, "25.00"))
}

func playDenied(ctx context.Context, s *demoStory) error {
	before := s.request
	if err := s.refund(ctx); err != nil {
		return err
	}
	if err := expect(s.request != before, "a new access request", s.request); err != nil {
		return err
	}
	out, code := s.as(ctx, "approver", "approvals", "deny", s.request, "--comment", "was refunded already")
	if err := expect(code == exitOK && strings.Contains(out, "is denied"), "a denial", out); err != nil {
		return err
	}
	s.p.note("The psql that waited goes on:")
	out, err := s.first.await(ctx, "", s.show)
	if err != nil {
		return err
	}
	return errors.Join(expectIn(out, "ERROR", "approval_denied"), s.refunded(ctx, "25.00"))
}

// psqlOnce shows and runs a statement in a psql of its own.
func (s *demoStory) psqlOnce(ctx context.Context, who, tokenFile, token, statement string) (string, int, error) {
	s.p.command(who, fmt.Sprintf("PGPASSWORD=$(cat %s) psql … -c %s", tokenFile, shellWords([]string{statement})))
	out, code, err := s.w.once(ctx, token, statement)
	s.p.answer(out)
	return out, code, err
}

func playRiskTier(ctx context.Context, s *demoStory) error {
	token, err := s.w.token("agent2")
	if err != nil {
		return err
	}
	var before, after []api.Approval
	if err := s.query(ctx, &before, "approvals", "list"); err != nil {
		return err
	}
	was, err := s.w.direct(ctx, refundedDirect)
	if err != nil {
		return err
	}
	out, code, err := s.psqlOnce(ctx, "support-agent", "agent2.token", token, refundStatement)
	if err != nil {
		return err
	}
	if err := s.query(ctx, &after, "approvals", "list"); err != nil {
		return err
	}
	return errors.Join(
		expectIn(out, "blocked by rule", "no-writes-at-high-risk"),
		expect(code == 1 && !strings.Contains(out, "NOTICE"), "a refusal at once", out),
		expect(len(after) == len(before), "no new access request", fmt.Sprint(len(after)-len(before), " more")),
		s.refunded(ctx, was))
}

func playBadTokens(ctx context.Context, s *demoStory) error {
	stolen := demoAgent("reporting-agent", "refunds", "low")
	stolen.Lifetime = -10 * time.Minute
	foreign := demoAgent("reporting-agent", "refunds", "low")
	foreign.Audience = "https://billing.example"
	for _, c := range []struct {
		file   string
		claims devissuer.Claims
		want   string
	}{
		{"stolen.token", stolen, "expired"},
		{"billing.token", foreign, "audience"},
	} {
		token, err := s.w.agents.Mint(c.claims)
		if err != nil {
			return err
		}
		out, code, err := s.psqlOnce(ctx, "somebody", c.file, token, "SELECT 1")
		if err != nil {
			return err
		}
		if err := expect(code == 2, "no connection (exit code 2)", fmt.Sprintf("exit code %d: %s", code, out)); err != nil {
			return err
		}
		if err := expectIn(out, "FATAL", "the token was refused", c.want); err != nil {
			return err
		}
	}
	return nil
}
