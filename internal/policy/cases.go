package policy

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/sallyport-gateway/sallyport/internal/gate"
	"github.com/sallyport-gateway/sallyport/internal/nearest"
)

// Result is what came of one test case.
type Result struct {
	Policy string `json:"policy"`
	Case   string `json:"case"`
	// Failure says what came out instead; empty if the case passed.
	Failure string `json:"failure,omitempty"`
	// Trace says why, if the case was decided.
	Trace *Trace `json:"trace,omitempty"`

	index int
}

// Place returns where the case stands, for whoever knows where the document is.
func (r *Result) Place() (kind, name, path string, line, column int) {
	return KindName, r.Policy, fmt.Sprintf("tests[%d]", r.index), 0, 0
}

// Test runs the cases of every document, each against its own document alone: a
// case says what its policy decides, whatever other policies there are. Documents
// that do not compile are returned as errors and no case is run.
func (e *Engine) Test(ctx context.Context, docs []*Document, known Known) ([]Result, []error) {
	if _, errs := e.Compile(docs, known); len(errs) > 0 {
		return nil, errs
	}
	var all []Result
	for _, d := range docs {
		if len(d.Tests) == 0 {
			continue
		}
		p, errs := e.Compile([]*Document{d}, known)
		if len(errs) > 0 {
			return nil, errs
		}
		for i := range d.Tests {
			if err := ctx.Err(); err != nil {
				return all, []error{err}
			}
			r := Result{Policy: d.Name, Case: d.Tests[i].Name, index: i}
			if err := e.run(p, d, &d.Tests[i], &r); err != nil {
				r.Failure = err.Error()
			}
			all = append(all, r)
		}
	}
	return all, nil
}

func (e *Engine) run(p *Program, d *Document, c *Case, r *Result) error {
	s, err := c.session(d)
	if err != nil {
		return err
	}
	cmd, err := e.command(s.Protocol, d, c)
	if err != nil {
		return err
	}
	cmd.Spent = func() (gate.Spending, error) { return gate.Spending(c.Budget), nil }
	t := &Trace{}
	v := p.decide(s, cmd, t)
	t.finish(v)
	r.Trace = t
	var wrong []string
	if v.Decision.String() != c.Expect {
		wrong = append(wrong, fmt.Sprintf("expected %s, got %s", c.Expect, v.Decision))
	}
	if rule := strings.TrimPrefix(v.Rule, d.Name+"/"); c.Rule != "" && c.Rule != rule && c.Rule != v.Rule {
		wrong = append(wrong, fmt.Sprintf("expected rule %s, got %q", c.Rule, rule))
	}
	for _, label := range slices.Sorted(maps.Keys(c.Mask)) {
		if got := v.Masks.For(label); got != c.Mask[label] {
			wrong = append(wrong, fmt.Sprintf("expected mask %s for %s, got %s", c.Mask[label], label, got))
		}
	}
	if len(wrong) > 0 {
		return fmt.Errorf("%s (%s)", strings.Join(wrong, "; "), v.Reason)
	}
	return nil
}

func (c *Case) session(d *Document) (*gate.SessionInfo, error) {
	p := &gate.Principal{Party: gate.Party{Issuer: c.Agent.Issuer, Subject: c.Agent.Subject}, Kind: gate.KindAgent,
		ClientID: c.Agent.ClientID, Agent: c.Agent.Name, Attributes: map[string]gate.Attribute{}}
	if c.Agent.Actor != "" {
		p.Actor = gate.Party{Issuer: c.Agent.Issuer, Subject: c.Agent.Actor}
	}
	for name, value := range c.Agent.Attributes {
		a := gate.Attribute{Value: value, Trust: gate.TrustProvider}
		switch c.Agent.Trust[name] {
		case "declared":
			a.Trust = gate.TrustDeclared
		case "caller":
			a.Trust = gate.TrustCaller
		}
		p.Attributes[name] = a
	}
	for name := range c.Agent.Trust {
		if _, ok := p.Attributes[name]; !ok {
			return nil, fmt.Errorf("trust is given for %q, which the agent does not have", name)
		}
	}
	t := &gate.Target{Name: c.Target.Name, Protocol: c.Target.Protocol, Labels: c.Target.Labels}
	if t.Name == "" {
		t.Name = "test"
	}
	switch {
	case t.Protocol == "":
		t.Protocol = d.Protocol
	case d.Protocol != "" && t.Protocol != d.Protocol:
		return nil, fmt.Errorf("the policy concerns %s targets, not %s", d.Protocol, t.Protocol)
	}
	return &gate.SessionInfo{ID: "ses_test", Principal: p, Target: t, Protocol: t.Protocol,
		User: c.Session.User, Application: c.Session.Application, Remote: c.Session.Remote}, nil
}

func (e *Engine) command(protocol string, d *Document, c *Case) (*gate.Command, error) {
	switch {
	case c.Command != nil && c.SQL != "":
		return nil, errors.New("the case has both command and sql")
	case c.SQL != "":
		if e.o.Inspect == nil {
			return nil, errors.New("this build has no SQL parser, so the case cannot be run")
		}
		return e.o.Inspect(protocol, c.SQL)
	case c.Command == nil:
		return nil, errors.New("the case has neither command nor sql")
	}
	cmd := &gate.Command{Text: c.Command.Text, Labels: c.Command.Labels}
	for _, word := range c.Command.Effects {
		effect, ok := gate.ParseEffect(word)
		if !ok {
			return nil, fmt.Errorf("there is no effect %q", word)
		}
		cmd.Effects |= effect
	}
	env := e.environments[d.Protocol]
	if env == nil || env.facts == nil {
		if len(c.Command.Facts) > 0 {
			return nil, errors.New("the policy has no facts; give it a protocol")
		}
		return cmd, nil
	}
	facts := reflect.New(env.facts)
	for name, value := range c.Command.Facts {
		if err := env.set(facts.Elem(), name, value); err != nil {
			return nil, err
		}
	}
	cmd.Facts = facts.Interface()
	return cmd, nil
}

// set gives a fact of a case its value.
func (e *environment) set(facts reflect.Value, name string, value any) error {
	var names []string
	for _, v := range e.vars {
		if v.fact < 0 {
			continue
		}
		_, short, _ := strings.Cut(v.name, ".")
		if names = append(names, short); short == name {
			return assign(facts.Field(v.fact), name, value)
		}
	}
	slices.Sort(names)
	suggestion := nearest.Hint(name, names)
	if suggestion == "" {
		suggestion = "one of " + quoteList(names)
	}
	return fmt.Errorf("there is no fact %q (%s)", name, suggestion)
}

func assign(to reflect.Value, name string, value any) error {
	switch v := value.(type) {
	case string:
		if to.Kind() == reflect.String {
			to.SetString(v)
			return nil
		}
	case bool:
		if to.Kind() == reflect.Bool {
			to.SetBool(v)
			return nil
		}
	case int64:
		if to.Kind() == reflect.Int || to.Kind() == reflect.Int64 {
			to.SetInt(v)
			return nil
		}
	case []any:
		if to.Kind() != reflect.Slice {
			break
		}
		list := make([]string, len(v))
		for i, x := range v {
			s, ok := x.(string)
			if !ok {
				return fmt.Errorf("fact %q is a list of strings", name)
			}
			list[i] = s
		}
		to.Set(reflect.ValueOf(list))
		return nil
	}
	return fmt.Errorf("fact %q is %s", name, to.Type())
}
