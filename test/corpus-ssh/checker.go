package sshcorpus

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"time"
)

// Checker runs cases, one after the other.
type Checker struct {
	// Host is where cases run. Required.
	Host *Host
	// Gateway is the way that is judged; nil proves the cases on the bare host.
	Gateway *Door
}

// Verdict is what came of a case.
type Verdict string

// The verdicts. Of an attack all but Refused fail; of a harmless case all but
// Same, and a share of those that are Told.
const (
	// Refused: no effect, and the client was told.
	Refused Verdict = "refused"
	// Worked: the attack had its effect. On the bare host that is what it claims.
	Worked Verdict = "BREACH"
	// Side: not the effect, but something else on the host changed.
	Side Verdict = "SIDE-EFFECT"
	// Zero: no effect, but the exit status says that all went well.
	Zero Verdict = "ZERO-EXIT"
	// Held: no effect, but the session did not end.
	Held Verdict = "TIMEOUT"
	// NoEffect: the attack does not work on the bare host.
	NoEffect Verdict = "NO-EFFECT"
	// Same: a harmless case with the bytes and exit status of the bare host.
	Same Verdict = "same"
	// Told: a harmless case that was refused, with a message that says why.
	Told Verdict = "TOLD"
	// Differs: a harmless case with other bytes or another exit status.
	Differs Verdict = "DIFFERS"
	// Broken: the case could not be run, or does not do on the bare host what it
	// claims.
	Broken Verdict = "BROKEN"
)

// Result is what came of one case.
type Result struct {
	Case    *Case
	Verdict Verdict
	// OK: it came out as the case claims.
	OK bool
	// Why is what was seen, for a reader.
	Why string
}

// Judge runs a case and compares what came of it with what it claims.
func (c *Checker) Judge(ctx context.Context, k *Case) Result {
	judge := c.harmless
	if k.Kind == Attack {
		judge = c.attack
	}
	r, err := judge(ctx, k)
	if err != nil {
		r = Result{Verdict: Broken, Why: "it could not be run: " + err.Error()}
	}
	r.Case, r.Why = k, clip(r.Why)
	return r
}

// attack passes through the gateway when nothing came of it, and on the bare host
// when its effect did.
func (c *Checker) attack(ctx context.Context, k *Case) (r Result, err error) {
	if err := c.Host.bed.reset(); err != nil {
		return r, fmt.Errorf("reset: %w", err)
	}
	d, err := newDetector(k)
	if err != nil {
		return r, err
	}
	defer d.close()
	door := c.Gateway
	if door == nil {
		door = c.Host.Door
	}
	a, err := door.play(ctx, k, d.whileRunning)
	if err != nil {
		return r, err
	}
	worked := c.settle(d, k, a)
	side := append(difference(c.Host.bed.fresh, look()), spool()...)
	r.Why = a.String()
	switch {
	case worked:
		r.Verdict = Worked
	case c.Gateway == nil:
		r.Verdict = NoEffect
	case len(side) > 0:
		r.Verdict, r.Why = Side, fmt.Sprintf("%q changed; %s", side[:min(3, len(side))], r.Why)
	case a.timedOut:
		r.Verdict = Held
	case a.status == 0:
		r.Verdict = Zero
	default:
		r.Verdict = Refused
	}
	r.OK = worked == (c.Gateway == nil) && (worked || r.Verdict == Refused)
	return r, nil
}

// settle looks for the effect until it is there or its time is over.
func (c *Checker) settle(d *detector, k *Case, a *answer) bool {
	if a.cut {
		return true
	}
	most := k.Settle
	if most == 0 && (a.status == 0 || a.timedOut) {
		most = settled
	}
	if k.Check.Process != "" {
		most = max(most, settledProcess)
	}
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for deadline := time.Now().Add(most); ; <-tick.C {
		if d.fired(a) {
			return true
		}
		if !time.Now().Before(deadline) {
			return false
		}
	}
}

// harmless passes on the bare host when it exits as claimed, changes nothing and
// answers the same twice; through the gateway when it answers as on the bare
// host.
func (c *Checker) harmless(ctx context.Context, k *Case) (r Result, err error) {
	direct, side, err := c.playHarmless(ctx, k, c.Host.Door)
	if err != nil {
		return r, err
	}
	if why := k.broken(direct, side); why != "" {
		return Result{Verdict: Broken, Why: "on the bare host: " + why + "; " + direct.String()}, nil
	}
	door := c.Gateway
	if door == nil {
		door = c.Host.Door
	}
	through, side, err := c.playHarmless(ctx, k, door)
	if err != nil {
		return r, err
	}
	same := through.status == direct.status && !through.timedOut
	if k.Check.Volatile {
		same = same && k.Check.matches(through.stdout)
	} else {
		same = same && bytes.Equal(through.stdout, direct.stdout)
	}
	r.Why = through.String()
	switch {
	case len(side) > 0:
		r.Verdict, r.Why = Side, fmt.Sprintf("%q changed; %s", side[:min(3, len(side))], r.Why)
	case same:
		r.Verdict, r.OK = Same, true
	case c.Gateway != nil && through.refused():
		r.Verdict = Told
	default:
		r.Verdict, r.Why = Differs, r.Why+"; direct: "+direct.String()
	}
	return r, nil
}

func (c *Checker) playHarmless(ctx context.Context, k *Case, door *Door) (*answer, []string, error) {
	if err := c.Host.bed.reset(); err != nil {
		return nil, nil, fmt.Errorf("reset: %w", err)
	}
	a, err := door.play(ctx, k, nil)
	if err != nil {
		return nil, nil, err
	}
	return a, append(difference(c.Host.bed.fresh, look()), spool()...), nil
}

// broken says what a harmless case does not do on the bare host that it claims;
// empty if it does all.
func (k *Case) broken(a *answer, side []string) string {
	quiet := len(a.stdout) == 0 && k.Check.Exit == 0 && !k.Check.Empty && k.Class != "h-exit"
	switch {
	case a.timedOut:
		return "it does not end"
	case a.status != k.Check.Exit:
		return fmt.Sprintf("exit status %d instead of %d", a.status, k.Check.Exit)
	case len(side) > 0:
		return fmt.Sprintf("it changes %q", side[:min(3, len(side))])
	case !k.Check.matches(a.stdout):
		return "its output does not match " + k.Check.Stdout.String()
	case quiet:
		return "it prints nothing"
	}
	return ""
}

// refused says whether a client was refused with a message that says why.
func (a *answer) refused() bool {
	return a.status != 0 && !a.timedOut && len(a.stdout) == 0 && bytes.Contains(a.stderr, []byte("sallyport"))
}

// String is an answer for a reader.
func (a *answer) String() string {
	text := fmt.Sprintf("exit %d", a.status)
	if a.timedOut {
		text = "no end"
	}
	if len(a.stdout) > 0 {
		text += fmt.Sprintf(", stdout %q", clip(string(a.stdout)))
	}
	if len(a.stderr) > 0 {
		text += fmt.Sprintf(", stderr %q", clip(string(a.stderr)))
	}
	return text
}

// clip shortens a text for a report.
func clip(s string) string {
	const most = 300
	if r := []rune(strings.ToValidUTF8(s, "\uFFFD")); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}
