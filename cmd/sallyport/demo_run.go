//go:build cgo && unix

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"

	"github.com/sallyport-gateway/sallyport/internal/pgserver"
)

// demoReport is the JSON file of the demo: how to reach what runs, and what came
// of the steps.
type demoReport struct {
	API           string         `json:"api"`
	CA            string         `json:"ca"`
	Postgres      demoPostgres   `json:"postgres"`
	SSH           demoSSH        `json:"ssh"`
	AgentToken    string         `json:"agent_token"`
	Agent2Token   string         `json:"agent2_token"`
	ApproverToken string         `json:"approver_token"`
	State         string         `json:"state"`
	Steps         []demoStepDone `json:"steps"`
}

type demoPostgres struct {
	Host     string       `json:"host"`
	Port     int          `json:"port"`
	Database string       `json:"database"`
	Upstream demoUpstream `json:"upstream"`
}

// demoSSH is how agents reach the host: TARGET at the address, with a token as the
// password.
type demoSSH struct {
	Host   string `json:"host"`
	Port   int    `json:"port"`
	Target string `json:"target"`
}

// demoUpstream is the way around the gateway, for checks: the private server's
// superuser.
type demoUpstream struct {
	Host     string `json:"host"`
	Port     int    `json:"port"`
	User     string `json:"user"`
	Password string `json:"password"`
	Database string `json:"database"`
}

type demoStepDone struct {
	Name    string  `json:"name"`
	OK      bool    `json:"ok"`
	Seconds float64 `json:"seconds"`
}

// runDemo starts the world, plays the story, and stops everything. Its error
// says what kept a step from doing what it says.
func runDemo(ctx context.Context, o demoOptions, out io.Writer) (err error) {
	p := newDemoPrinter(out)
	w := &demoWorld{}
	defer func() { err = errors.Join(err, w.close()) }()
	began := time.Now()
	if err := startWorld(ctx, w, o, p); err != nil {
		if errors.Is(err, pgserver.ErrNotInstalled) {
			return &hintError{err: err, hint: "make demo installs it; or, on Debian and Ubuntu: apt-get install postgresql postgresql-client"}
		}
		if log := w.logTail(); log != "" {
			p.say("The end of the gateway's log:")
			p.answer(log)
		}
		return err
	}
	s := &demoStory{w: w, p: p, report: func(done []demoStepDone) error { return w.writeReport(o.json, done) }}
	done, err := s.play(ctx, demoSteps())
	if err != nil {
		return err
	}
	err = summarise(p, w, done, time.Since(began))
	if o.keep && ctx.Err() == nil {
		err = errors.Join(err, goOn(ctx, w, p))
	}
	return err
}

// startWorld starts all that the story needs, and says what.
func startWorld(ctx context.Context, w *demoWorld, o demoOptions, p *demoPrinter) error {
	p.say("Sallyport stands between AI agents and production systems. It decides every single command " +
		"before the target sees it. This demo plays that on a real PostgreSQL and a real OpenSSH server, with psql and ssh.")
	p.line("", "")
	if err := w.openDir(o.dir); err != nil {
		return err
	}
	began := time.Now()
	if err := w.startTarget(ctx); err != nil {
		return err
	}
	version := serverVersion.FindString(w.server.Programs.Version)
	p.say(fmt.Sprintf("started  PostgreSQL %s with the data of a shop, at %s (%.1f s)", version, w.server.Address(), time.Since(began).Seconds()))
	began = time.Now()
	if err := w.startHost(ctx); err != nil {
		return err
	}
	p.say(fmt.Sprintf("started  an OpenSSH server for the account %s, at %s (%.1f s)", w.host.account, w.host.address(), time.Since(began).Seconds()))
	if err := errors.Join(w.startIssuers(), ctx.Err()); err != nil {
		return err
	}
	if err := w.mintTokens(); err != nil {
		return err
	}
	p.say("started  an OpenID issuer for agents and one for people, for this demo only")
	if err := w.writeConfiguration(); err != nil {
		return err
	}
	p.say("wrote    the gateway's configuration to " + w.dir)
	return nil
}

// serverVersion finds the version in "postgres (PostgreSQL) 15.18 (Debian …)".
var serverVersion = regexp.MustCompile(`[0-9]+(\.[0-9]+)+`)

// writeReport writes the JSON file, if one is wanted.
func (w *demoWorld) writeReport(file string, done []demoStepDone) error {
	if file == "" {
		return nil
	}
	r := demoReport{API: w.api(), CA: w.caFile(), State: w.file("data"), Steps: done,
		SSH: demoSSH{Host: "127.0.0.1", Port: w.sshPort, Target: "web"},
		Postgres: demoPostgres{Host: "127.0.0.1", Port: w.postgresPort, Database: demoTarget, Upstream: demoUpstream{
			Host: w.server.Host, Port: w.server.Port, User: pgserver.Superuser, Password: w.server.Password, Database: demoTarget}}}
	for who, to := range map[string]*string{"agent": &r.AgentToken, "agent2": &r.Agent2Token, "approver": &r.ApproverToken} {
		token, err := w.token(who)
		if err != nil {
			return err
		}
		*to = token
	}
	raw, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return replaceFile(file, append(raw, '\n'))
}

// summarise says how it went.
func summarise(p *demoPrinter, w *demoWorld, done []demoStepDone, took time.Duration) error {
	var failed []string
	for _, d := range done {
		if !d.OK {
			failed = append(failed, d.Name)
		}
	}
	p.gap()
	p.line(styleTitle, strings.Repeat("─", demoWidth))
	if len(failed) == 0 {
		p.line(styleGood, fmt.Sprintf("✓ All %d steps did what they say, in %.0f seconds.", len(done), took.Seconds()))
		return nil
	}
	p.say("The end of the gateway's log:")
	p.answer(w.logTail())
	return fmt.Errorf("%d of %d steps did not do what they say: %s", len(failed), len(done), strings.Join(failed, ", "))
}

// goOn leaves everything up and says what to try, until the context ends.
func goOn(ctx context.Context, w *demoWorld, p *demoPrinter) error {
	p.line("", "")
	p.say("Everything is still up. In another terminal, go on by hand (the tokens live for an hour):")
	for _, step := range [][2]string{
		{"", "cd " + w.dir + " && . ./env"},
		{"the agent", "PGPASSWORD=$(cat agent.token) psql"},
		{"", "ssh -F ssh/config web ls -l " + w.host.work},
		{"the agent of high risk", "PGPASSWORD=$(cat agent2.token) psql"},
		{demoApprover + ", the approver", "sallyport approvals list"},
		{"", "sallyport approvals approve ID"},
		{"", "sallyport sessions list"},
		{"", "sallyport sessions replay ID"},
		{"", "sallyport sessions follow ID"},
		{"", "sallyport revoke agent reporting-agent --reason 'it misbehaves'"},
		{"the administrator", "sallyport policy explain --target shop --attribute risk_tier=low 'DELETE FROM payments'"},
	} {
		if step[0] != "" {
			p.note(step[0] + ":")
		}
		p.line(styleCommand, demoIndent+"$ "+step[1])
	}
	p.line("", "")
	p.say("Ctrl-C stops the gateway, PostgreSQL and the OpenSSH server.")
	select {
	case <-ctx.Done():
		return nil
	case err := <-w.gatewayDone:
		w.gatewayDone <- err // for the closer
		return fmt.Errorf("the gateway has ended: %w", err)
	}
}
