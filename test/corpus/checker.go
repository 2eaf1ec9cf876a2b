package corpus

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// Checker runs cases, one after the other.
type Checker struct {
	// Database is where cases run. Required.
	Database *Database
	// Gateway is what is judged; nil proves the cases on bare PostgreSQL.
	Gateway *Gateway
	// NonInterference runs each case of the masking policy on the twin as well.
	NonInterference bool
}

// Result is what came of one case.
type Result struct {
	Case *Case
	// OK: it came out as the case claims.
	OK bool
	// Why is what was seen, for a reader.
	Why string
	// Answers are the steps' errors and tags, for a reader.
	Answers []string
}

// Judge runs a case and compares what came of it with what it expects. ctx is
// not looked at while a step waits; steps have a time limit of their own.
func (c *Checker) Judge(ctx context.Context, k *Case) Result {
	r := Result{Case: k}
	judge := c.direct
	if c.Gateway != nil {
		judge = c.through
	}
	ok, why, o, err := judge(ctx, k)
	if err != nil {
		ok, why = false, append(why, "it could not be run: "+err.Error())
	}
	r.OK, r.Why = ok, clip(strings.Join(why, "; "))
	if o != nil {
		r.Answers = o.play.shown()
	}
	return r
}

// direct proves a case without a gateway: an attack works, and between the twins
// it makes a difference; a harmless case runs without errors and shows nothing.
func (c *Checker) direct(ctx context.Context, k *Case) (ok bool, why []string, o *outcome, err error) {
	if o, err = c.play(ctx, k, templateName, nil); err != nil {
		return false, nil, o, err
	}
	twins := c.NonInterference && k.Policy == maskPolicy && !bool(k.NoNI)
	if k.Expect == Allowed {
		errs := o.play.errs()
		ok = len(errs) == 0 && len(o.play.answers) > 0
		why = shownErrors(why, errs)
		if hits := detect(o.play.got); k.Policy == maskPolicy && len(hits) > 0 {
			ok, why = false, append(why, fmt.Sprintf("it shows secrets: %v", hits))
		}
	} else {
		if ok, err = o.worked(); err != nil {
			return false, why, o, err
		}
		if !ok {
			why = shownErrors(append(why, "the attack does not work on bare PostgreSQL"+o.seen()), o.play.errs())
		}
	}
	if !twins {
		if k.Check.given["differs"] {
			ok, why = false, append(why, "only its twin could show that it works")
		}
		return ok, why, o, nil
	}
	difference, err := c.twin(ctx, k, o, nil)
	if err != nil {
		return false, why, o, err
	}
	switch {
	case k.Expect == Allowed && difference != "":
		ok, why = false, append(why, "the twins answer differently: "+difference)
	case k.Expect != Allowed && difference == "":
		ok, why = false, append(why, "the attack makes no difference between the twins")
	}
	return ok, why, o, nil
}

// through judges the gateway.
func (c *Checker) through(ctx context.Context, k *Case) (ok bool, why []string, o *outcome, err error) {
	if o, err = c.play(ctx, k, templateName, c.Gateway); err != nil {
		return false, nil, o, err
	}
	if k.Expect == Allowed {
		ok, why, err = c.allowed(ctx, k, o)
		return ok, why, o, err
	}
	errs, hits := o.play.errs(), detect(o.play.got)
	fail := func(what string) { ok, why = false, append(why, what) }
	ok = true
	if k.Policy == maskPolicy && len(hits) > 0 || k.Expect == Masked && len(hits) > 0 {
		fail(fmt.Sprintf("secrets came through: %v", hits))
	}
	if bool(k.MustSucceed) && (len(errs) > 0 || len(o.play.answers) < k.answered()) {
		fail("it must succeed and was refused: " + clip(refusal(o.play.got)))
	}
	if c.NonInterference && k.Policy == maskPolicy && !bool(k.NoNI) {
		// What is the same for other secrets tells nothing of them, refused or not:
		// an oracle answered from mask constants is fine.
		difference, err := c.twin(ctx, k, o, c.Gateway)
		if err != nil {
			return false, why, o, err
		}
		if difference != "" {
			fail("the twins answer differently: " + difference)
		}
		return ok, why, o, nil
	}
	worked, err := o.worked()
	if err != nil {
		return false, why, o, err
	}
	switch {
	case k.Expect == Masked && k.Check.given["translate"] && worked:
		fail("secrets came through, translated")
	case k.Expect == Blocked && worked:
		fail("the attack worked" + o.seen())
	case k.Expect == Blocked && len(errs) == 0 && !o.play.conn.dead:
		fail("nothing was refused")
	}
	return ok, why, o, nil
}

// allowed compares with the direct answer.
func (c *Checker) allowed(ctx context.Context, k *Case, o *outcome) (bool, []string, error) {
	if errs := o.play.errs(); len(errs) > 0 {
		return false, []string{"refused: " + clip(errs[0])}, nil
	}
	if len(o.play.answers) == 0 && o.play.conn.dead {
		return false, []string{"the log-in was refused: " + clip(refusal(o.play.got))}, nil
	}
	if k.VolatileOutput {
		return true, nil, nil
	}
	d, err := c.play(ctx, k, templateName, nil)
	if err != nil {
		return false, nil, err
	}
	if difference := sameGiven(d.play, o.play); difference != "" {
		return false, []string{difference}, nil
	}
	return true, nil, nil
}

// twin runs the case on the database with other secrets and returns the first
// difference.
func (c *Checker) twin(ctx context.Context, k *Case, o *outcome, g *Gateway) (string, error) {
	other, err := c.play(ctx, k, twinName, g)
	if err != nil {
		return "", fmt.Errorf("on the twin: %w", err)
	}
	return interference(o.play.got, other.play.got)
}

// play runs a case once, on a fresh copy of a template.
func (c *Checker) play(ctx context.Context, k *Case, template string, g *Gateway) (*outcome, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	db := c.Database
	if err := db.reset(template); err != nil {
		return nil, fmt.Errorf("reset: %w", err)
	}
	for _, sql := range k.Setup {
		if _, err := db.admin(databaseName, sql); err != nil {
			return nil, fmt.Errorf("setup: %w", err)
		}
	}
	look := func() (string, error) {
		if !k.Check.given["changed"] {
			return "", nil
		}
		rows, err := db.admin(databaseName, k.Check.Changed)
		return fmt.Sprintf("%q", rows), err
	}
	o := &outcome{play: &play{c: k, lookup: db.function, login: db.login(k.Role)}}
	if g != nil {
		o.play.login = g.login(k.Policy, k.Role)
	}
	o.play.login.startup = k.Startup
	var err error
	if o.before, err = look(); err != nil {
		return o, err
	}
	err = o.play.run()
	var lookErr error
	o.after, lookErr = look()
	return o, errors.Join(err, lookErr)
}

// seen is what an attack could be seen by.
func (o *outcome) seen() string {
	text := ""
	if o.play.c.Check.given["leak"] {
		text += fmt.Sprintf(", hits=%v", detect(o.play.got))
	}
	if o.before != "" || o.after != "" {
		text += fmt.Sprintf(", changed %s → %s", o.before, o.after)
	}
	return text
}

// refusal is the first error of a log-in.
func refusal(got []frame) string {
	for _, f := range got {
		if f.typ == 'E' {
			return strings.ReplaceAll(lenient(f.body), "\x00", "|")
		}
	}
	return "the connection was closed"
}

func shownErrors(why, errs []string) []string {
	for _, e := range errs[:min(2, len(errs))] {
		why = append(why, "error: "+clip(e))
	}
	return why
}

// shown is the answers for a reader.
func (p *play) shown() []string {
	var out []string
	for i := range p.answers {
		a := &p.answers[i]
		line := fmt.Sprintf("%d rows %q", len(a.rows), a.tags)
		if len(a.rows) > 0 {
			line += fmt.Sprintf(" first %q", a.rows[0])
		}
		for _, e := range a.errs {
			line += " error " + e
		}
		out = append(out, clip(line))
	}
	if len(p.answers) == 0 {
		out = append(out, clip(refusal(p.got)))
	}
	return out
}
