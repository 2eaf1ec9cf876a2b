package policy

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/sallyport-gateway/sallyport/internal/gate"
)

// Options are what an Engine is made of.
type Options struct {
	// Facts maps the names of the protocols of this build to their facts.
	Facts map[string]FactsType
	// Inspect describes a command's text as the protocol would, for test cases.
	// Nil means this build has no parser: cases with a text are errors then.
	Inspect func(protocol, text string) (*gate.Command, error)
}

// Engine decides commands by the program in force. It implements gate.Policy and
// is safe for concurrent use. Without a program it blocks everything.
type Engine struct {
	o            Options
	environments map[string]*environment // by protocol; "" has no facts
	state        atomic.Pointer[state]
}

// state changes as one: a generation belongs to exactly one program.
type state struct {
	program    *Program
	generation uint64
}

var _ gate.Policy = (*Engine)(nil)

// New returns an engine with no policy. It fails if facts have a type that
// expressions cannot use.
func New(o Options) (*Engine, error) {
	e := &Engine{o: o, environments: map[string]*environment{}}
	var err error
	if e.environments[""], err = newEnvironment(FactsType{}); err != nil {
		return nil, err
	}
	for protocol, f := range o.Facts {
		if e.environments[protocol], err = newEnvironment(f); err != nil {
			return nil, err
		}
	}
	e.state.Store(&state{program: &Program{}, generation: 1})
	return e, nil
}

// Swap brings a program into force, at once for every session.
func (e *Engine) Swap(p *Program) {
	for {
		old := e.state.Load()
		if e.state.CompareAndSwap(old, &state{p, old.generation + 1}) {
			return
		}
	}
}

// Generation implements gate.Policy.
func (e *Engine) Generation() uint64 { return e.state.Load().generation }

// Budgets reports whether a policy in force asks what agents have spent.
func (e *Engine) Budgets() bool { return e.state.Load().program.budgets }

// Decide implements gate.Policy. It never returns an error: what cannot be
// evaluated is a verdict that blocks, with the rule and the cause as its reason.
func (e *Engine) Decide(_ context.Context, s *gate.SessionInfo, cmd *gate.Command) (gate.Verdict, error) {
	return e.state.Load().program.decide(s, cmd, nil), nil
}

// maxPlans bounds the targets a program remembers; beyond it, it works them out
// again for each command.
const maxPlans = 1 << 16

// plan is what a program knows of a target: the policies that concern it.
type plan struct {
	steps []step
}

// step is one policy in a plan.
type step struct {
	policy *policy
	on     *expression // still to be evaluated for each command; nil: it concerns
	err    error       // the condition on the target failed: everything is blocked
}

// planFor evaluates the conditions that depend on nothing but the target.
func (p *Program) planFor(s *gate.SessionInfo) *plan {
	if known, ok := p.plans.Load(s.Target); ok {
		return known.(*plan)
	}
	made := &plan{}
	for _, x := range p.policies(s) {
		st := step{policy: x, on: x.on}
		if x.on != nil && x.on.target {
			holds, err := x.on.eval(&activation{session: s, env: x.env})
			if err == nil && !holds {
				continue
			}
			st.on, st.err = nil, err
		}
		made.steps = append(made.steps, st)
	}
	if p.planned.Add(1) <= maxPlans {
		p.plans.Store(s.Target, made)
	}
	return made
}

func (p *Program) policies(s *gate.SessionInfo) []*policy {
	if all, ok := p.byProtocol[s.Target.Protocol]; ok {
		return all
	}
	return p.general
}

// decide evaluates the rules in the order of policies and rules. Without a trace
// it ends at the first block; the verdict is the same.
func (p *Program) decide(s *gate.SessionInfo, cmd *gate.Command, t *Trace) gate.Verdict {
	if s == nil || s.Target == nil || s.Principal == nil || cmd == nil {
		return gate.Verdict{Reason: "the command cannot be judged"}
	}
	a := activations.Get().(*activation)
	*a = activation{session: s, cmd: cmd}
	defer func() { *a = activation{}; activations.Put(a) }()
	o := outcome{stable: true}
	steps := p.planFor(s).steps
	if t != nil {
		steps = t.begin(p, s)
	}
	for _, st := range steps {
		if a.env != st.policy.env {
			a.env = st.policy.env
			a.facts = reflect.Value{}
		}
		if !o.step(a, st, t) && t == nil {
			break
		}
	}
	return o.verdict()
}

// outcome collects what the rules say.
type outcome struct {
	blocked *gate.Verdict // the first block
	held    []*rule
	allowed []*rule
	stable  bool
}

// step evaluates one policy; false means that nothing further can change the
// verdict.
func (o *outcome) step(a *activation, st step, t *Trace) bool {
	applies, err := st.err == nil, st.err
	if err == nil && st.on != nil {
		if o.blocked == nil {
			o.stable = o.stable && !st.on.volatile
		}
		applies, err = st.on.eval(a)
	}
	t.on(a, st, applies, err)
	if err != nil {
		o.block(st.policy.name, failure("policy "+st.policy.name, err))
		return false
	}
	if !applies {
		return true
	}
	for _, r := range st.policy.rules {
		if o.blocked == nil {
			o.stable = o.stable && !r.when.volatile
		}
		matches, err := r.when.eval(a)
		t.rule(a, r, matches, err)
		switch {
		case err != nil:
			o.block(r.name, failure("rule "+r.name, err))
		case !matches:
			continue
		case r.then == gate.Allow:
			o.allowed = append(o.allowed, r)
			continue
		case r.then == gate.Hold:
			o.held = append(o.held, r)
			continue
		default:
			o.block(r.name, r.message)
		}
		if t == nil {
			return false
		}
	}
	return o.blocked == nil
}

// maxReason bounds the text of an evaluation error, which may quote a value.
const maxReason = 300

func failure(what string, err error) string {
	text := err.Error()
	if len(text) > maxReason {
		text = strings.ToValidUTF8(text[:maxReason], "") + "…"
	}
	return fmt.Sprintf("%s cannot be evaluated, so the command is blocked: %s", what, text)
}

// block keeps the first block.
func (o *outcome) block(rule, reason string) {
	if o.blocked == nil {
		if reason == "" {
			reason = "rule " + rule + " blocks this command"
		}
		o.blocked = &gate.Verdict{Rule: rule, Reason: reason}
	}
}

// verdict says what comes out: block beats hold beats allow; nothing blocks.
func (o *outcome) verdict() gate.Verdict {
	if o.blocked == nil && len(o.held) > 0 {
		o.hold()
	}
	switch {
	case o.blocked != nil:
		o.blocked.Stable = o.stable
		return *o.blocked
	case len(o.held) > 0:
		v := gate.Verdict{Decision: gate.Hold, Rule: joined(o.held), Reason: o.held[0].message, Stable: o.stable,
			Masks: merged(o.held, o.allowed), Approval: together(o.held)}
		if v.Reason == "" {
			v.Reason = "rule " + v.Rule + " asks for approval"
		}
		return v
	case len(o.allowed) > 0:
		return gate.Verdict{Decision: gate.Allow, Rule: o.allowed[0].name, Stable: o.stable, Masks: merged(nil, o.allowed)}
	}
	return gate.Verdict{Reason: "no rule allows this command", Stable: o.stable}
}

// hold blocks when nobody can satisfy all rules that hold.
func (o *outcome) hold() {
	if len(o.held) > 1 && len(together(o.held).Groups) == 0 {
		o.block(joined(o.held), "the rules "+joined(o.held)+" each ask for approval, but no group may approve for all of them")
	}
}

// joined names every rule that holds, so that a grant given under one rule is not
// good for two.
func joined(rules []*rule) string {
	if len(rules) == 1 {
		return rules[0].name
	}
	names := make([]string, len(rules))
	for i, r := range rules {
		names[i] = r.name
	}
	return strings.Join(names, "+")
}

// together returns the approval that satisfies every rule: the groups that all of
// them name, the largest count, the shortest time.
func together(rules []*rule) gate.Approval {
	a := rules[0].approval
	for _, r := range rules[1:] {
		var both []string
		for _, g := range a.Groups {
			if slices.Contains(r.approval.Groups, g) {
				both = append(both, g)
			}
		}
		a = gate.Approval{Groups: both, Count: max(a.Count, r.approval.Count), Within: min(a.Within, r.approval.Within)}
	}
	return a
}

// merged returns the masks that satisfy every rule: the union, and the stricter
// mask where rules disagree.
func merged(held, allowed []*rule) gate.Masks {
	if len(held) == 0 && len(allowed) == 1 {
		return allowed[0].masks
	}
	if len(held) == 1 && len(allowed) == 0 {
		return held[0].masks
	}
	m := gate.Masks{}
	for _, rules := range [][]*rule{held, allowed} {
		for _, r := range rules {
			for label, mask := range r.masks {
				if was, ok := m[label]; ok {
					mask = stricter(was, mask)
				}
				m[label] = mask
			}
		}
	}
	return m
}
