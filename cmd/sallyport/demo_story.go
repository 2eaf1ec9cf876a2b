//go:build cgo && unix

package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// stepPatience bounds one step.
const stepPatience = 60 * time.Second

// demoStep is one step of the story: what is claimed, and the play that shows it
// and returns an error if it is not so.
type demoStep struct {
	name  string // for the JSON file
	title string
	why   string // what a newcomer has to know before
	play  func(context.Context, *demoStory) error
	means string // what it means that it went so
}

// demoSteps is the story.
func demoSteps() []demoStep {
	return []demoStep{
		{"configure", "A gateway is configured, checked and started",
			"Documents say whose tokens count, what the target is, which columns are sensitive, and the policy. " +
				"The target's password is sealed: it is in no file in clear.",
			playConfigure, "The gateway is up. Agents will never see the password of the database."},
		{"masked-read", "An agent reads customers, and sees no personal data",
			"The agent uses plain psql. Its password is a short-lived token of its identity provider; the database " +
				"name is the target's. Columns that are labelled pii or card are masked.",
			playRead, "The gateway rewrote the statement: the values never left the database."},
		{"blocked", "A DROP and a DELETE of everything are blocked",
			"The gateway reads every statement with PostgreSQL's own grammar and decides on what it does. " +
				"The answer is an ordinary error; its DETAIL is a line for machines.",
			playBlocked, "Neither reached the database, and the session goes on: an agent can act on the answer."},
		{"held", "An UPDATE waits for a person",
			"The rule writes-need-a-person holds writes. The agent's psql is told at once, and waits.",
			playHeld, "The statement waits at the gateway. Nothing has changed in the database."},
		{"no-self-approval", "The agent cannot approve its own request",
			"It knows the id and calls the approval itself, with its own token.",
			playSelfApproval, "The request is still pending: an agent's token approves nothing."},
		{"approved", "A person reads the exact statement and approves it",
			"Dana is in the group dba. She sees who asks, for what, and the whole statement.",
			playApproved, "It ran. The approval was for this statement, agent, target and rule, and for one run."},
		{"single-use", "The same UPDATE again needs a new approval",
			"An approval is used up by the statement that it was given for. This time Dana says no.",
			playDenied, "A repeated refund is not paid twice."},
		{"risk-tier", "An agent of high risk is not even held",
			"A second agent's token says risk_tier: high. Its identity provider vouches for that.",
			playRiskTier, "The same statement, another agent, another decision."},
		{"bad-tokens", "A stolen token that has expired is refused, and so is one for another service",
			"Tokens are short-lived, and each is made for one service (its audience).",
			playBadTokens, "Without a valid token made for this gateway there is no session."},
		{"revoked", "A revoked agent's running query is cut at once",
			"A third agent runs a query that takes minutes. Dana revokes the agent.",
			playRevoked, "The session ended, and the query was cancelled in the database."},
		{"host-read", "The agent works on a host, with stock ssh",
			"The gateway signs a certificate for each log-in; the host trusts its authority, and nothing else. The agent " +
				"has a certificate of the gateway, which ends with its token. What it runs is parsed like a statement.",
			playHost, "It read the log. The card number and the key in it were masked on their way."},
		{"host-blocked", "A link to a secret, a substitution and a program that runs others are refused",
			"Two of them lead to a labelled folder, by other names than its own; of one, nobody can say what it would read. " +
				"A refusal is words on standard error, a line for machines, and exit status 77.",
			playHostBlocked, "None of them ran: the host itself was asked where the paths lead, before."},
		{"host-held", "A change on the host waits for a person, and runs once",
			"The rule changes-need-a-person holds what writes. ssh is told at once, and waits.",
			playHostHeld, "The file has changed, once, by exactly the command that Dana approved."},
		{"secrets", "No secret is in what the gateway keeps",
			"Everything that the gateway wrote is searched: state, log, and all recordings, decoded.",
			playSecrets, "Whoever reads recordings sees what the agent saw: masks."},
		{"replay", "The first agent's session is replayed from its recording",
			"Who, what, every decision, and what was answered; here at a tenth of the speed.",
			playReplay, "Every command and every answer is on record."},
		{"host-replay", "So is what happened on the host",
			"Each command is a session of its own, with what the gateway asked the host about its paths.",
			playHostReplay, "Who asked, who approved, what ran, what it printed and how it ended."},
	}
}

// demoStory is the state of the play.
type demoStory struct {
	w      *demoWorld
	p      *demoPrinter
	report func([]demoStepDone) error

	first   *psqlSession // the first agent's; nil before it is opened
	session string       // its id
	request string       // the access request that is pending

	hostSession string // of the command that was held on the host
}

// mismatch is a step that did not do what it says.
type mismatch struct{ want, got string }

func (m *mismatch) Error() string {
	return fmt.Sprintf("expected %s, but saw: %s", m.want, strings.TrimSpace(m.got))
}

// expect fails a step unless ok.
func expect(ok bool, want, got string) error {
	if ok {
		return nil
	}
	return &mismatch{want, or(strings.TrimSpace(got), "nothing")}
}

// expectIn fails a step unless every part is in the text.
func expectIn(text string, parts ...string) error {
	for _, part := range parts {
		if !strings.Contains(text, part) {
			return &mismatch{fmt.Sprintf("%q in the answer", part), or(strings.TrimSpace(text), "nothing")}
		}
	}
	return nil
}

// play plays all steps; one that fails does not keep the later ones from being
// tried. The report is written when the gateway is up and at the end. Its error
// is for what is not a step's: the report, or an interruption.
func (s *demoStory) play(ctx context.Context, steps []demoStep) ([]demoStepDone, error) {
	defer s.leave()
	done := make([]demoStepDone, 0, len(steps))
	for i, step := range steps {
		s.p.title(i+1, len(steps), step.title)
		s.p.say(step.why)
		err := s.playStep(ctx, step, &done)
		if ctx.Err() != nil {
			return done, errors.New("interrupted")
		}
		switch {
		case err != nil && i == 0:
			s.p.bad(err.Error())
			return done, fmt.Errorf("the gateway is not up: %w", err)
		case err != nil:
			s.p.bad(err.Error())
		default:
			s.p.good(step.means)
		}
		if i == 0 || i == len(steps)-1 {
			if err := s.report(done); err != nil {
				return done, err
			}
		}
	}
	return done, nil
}

func (s *demoStory) playStep(ctx context.Context, step demoStep, done *[]demoStepDone) error {
	ctx, cancel := context.WithTimeout(ctx, stepPatience)
	defer cancel()
	began := time.Now()
	err := step.play(ctx, s)
	*done = append(*done, demoStepDone{step.name, err == nil, float64(time.Since(began).Milliseconds()) / 1000})
	return err
}

// leave ends what the story left open.
func (s *demoStory) leave() {
	if s.first != nil {
		_ = s.first.cmd.Process.Kill()
		_ = s.first.quit(context.Background()) // it was killed, so it ends
		s.first = nil
	}
}

// administer shows a command of whoever sets up the gateway and runs it.
func (s *demoStory) administer(ctx context.Context, stdin string, arguments ...string) (string, int) {
	s.p.command("", s.short("sallyport "+shellWords(arguments)))
	out := &demoLines{show: s.p.answer}
	code := s.w.command(ctx, stdin, out, arguments...)
	return out.text.String(), code
}

// as shows and runs a command that speaks with the gateway, as someone whose
// token is in the environment. What it prints is shown as it comes; of a list,
// what has room.
func (s *demoStory) as(ctx context.Context, who string, arguments ...string) (string, int) {
	name := map[string]string{"approver": demoApprover, "agent": "reporting-agent"}[who]
	s.p.command(name, "sallyport "+shellWords(arguments))
	out := &demoLines{show: s.p.answer}
	if arguments[1] == "list" {
		out.show = s.p.crop
	}
	code := s.w.client(ctx, who, out, arguments...)
	return out.text.String(), code
}

// quietly runs a command for a check, without showing it.
func (s *demoStory) quietly(ctx context.Context, who string, arguments ...string) (string, error) {
	var out strings.Builder
	if code := s.w.client(ctx, who, &out, arguments...); code != exitOK {
		return "", fmt.Errorf("sallyport %s: exit code %d: %s", strings.Join(arguments, " "), code, out.String())
	}
	return out.String(), nil
}

// shellWords quotes arguments as a person would.
func shellWords(arguments []string) string {
	words := make([]string, len(arguments))
	for i, a := range arguments {
		words[i] = a
		if strings.ContainsAny(a, " '\"$&|;<>()*?") {
			words[i] = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
		}
	}
	return strings.Join(words, " ")
}

// show prints a line of psql.
func (s *demoStory) show(line string) { s.p.answer(line + "\n") }

// ask types a statement into the first agent's psql and returns the answer.
func (s *demoStory) ask(ctx context.Context, sql string) (string, error) {
	if s.first == nil {
		return "", errors.New("the first agent has no session")
	}
	s.p.prompt("shop=>", sql)
	if err := s.first.send(sql); err != nil {
		return "", err
	}
	return s.first.await(ctx, "", s.show)
}

// short leaves out the folder that the shell is in.
func (s *demoStory) short(text string) string { return strings.ReplaceAll(text, s.w.dir+"/", "") }
