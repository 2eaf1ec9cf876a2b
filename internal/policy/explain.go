package policy

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"cel.dev/cel-go/common/types/ref"

	"github.com/sallyport-gateway/sallyport/internal/gate"
)

// Trace says how a decision came about. It holds the command's text and facts:
// show it only to people who may see the session.
type Trace struct {
	Decision string            `json:"decision"`
	Rule     string            `json:"rule,omitempty"`
	Reason   string            `json:"reason,omitempty"`
	Masks    map[string]string `json:"masks,omitempty"`
	// Leaks says of each mask that shows something what it shows.
	Leaks    map[string]string `json:"leaks,omitempty"`
	Approval *gate.Approval    `json:"approval,omitempty"`
	// Stable says that the decision is the same for every command with these facts.
	Stable bool `json:"stable"`
	// Policies are those of the target's protocol, in order.
	Policies []PolicyTrace `json:"policies"`
	// Others is how many policies concern other protocols.
	Others int `json:"others"`
}

// PolicyTrace is what one policy says.
type PolicyTrace struct {
	Name string `json:"name"`
	// On is the condition, Applies its result.
	On      string      `json:"on,omitempty"`
	Applies bool        `json:"applies"`
	Error   string      `json:"error,omitempty"`
	Values  []Value     `json:"values,omitempty"`
	Rules   []RuleTrace `json:"rules,omitempty"`
}

// RuleTrace is what one rule says.
type RuleTrace struct {
	// Name is "policy/rule".
	Name    string `json:"name"`
	When    string `json:"when"`
	Matches bool   `json:"matches"`
	// Then is what the rule does with the commands that it matches.
	Then   string  `json:"then"`
	Error  string  `json:"error,omitempty"`
	Values []Value `json:"values,omitempty"`
}

// Value is what a name in a condition stood for.
type Value struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Explain decides as Decide does and says why. It evaluates every rule, also
// those that cannot change the decision.
func (e *Engine) Explain(s *gate.SessionInfo, cmd *gate.Command) *Trace {
	t := &Trace{}
	v := e.state.Load().program.decide(s, cmd, t)
	t.finish(v)
	return t
}

func (t *Trace) finish(v gate.Verdict) {
	t.Decision, t.Rule, t.Reason, t.Stable = v.Decision.String(), v.Rule, v.Reason, v.Stable
	if v.Decision == gate.Hold {
		t.Approval = &v.Approval
	}
	for label, mask := range v.Masks {
		if t.Masks == nil {
			t.Masks, t.Leaks = map[string]string{}, map[string]string{}
		}
		t.Masks[label] = mask
		if l := leak(mask); l != "" {
			t.Leaks[label] = l
		}
	}
}

// begin returns a step for every policy of the protocol, each with its condition,
// so that those that do not concern the target are shown too.
func (t *Trace) begin(p *Program, s *gate.SessionInfo) []step {
	all := p.policies(s)
	t.Others = len(p.documents) - len(all)
	steps := make([]step, len(all))
	for i, x := range all {
		steps[i] = step{policy: x, on: x.on}
	}
	return steps
}

func (t *Trace) on(a *activation, st step, applies bool, err error) {
	if t == nil {
		return
	}
	p := PolicyTrace{Name: st.policy.name, Applies: applies}
	if st.on != nil {
		p.On, p.Values = st.on.text, st.on.values(a)
	}
	if err != nil {
		p.Error = err.Error()
	}
	t.Policies = append(t.Policies, p)
}

func (t *Trace) rule(a *activation, r *rule, matches bool, err error) {
	if t == nil {
		return
	}
	out := RuleTrace{Name: r.name, When: r.when.text, Matches: matches, Then: r.then.String(), Values: r.when.values(a)}
	if err != nil {
		out.Error = err.Error()
	}
	last := &t.Policies[len(t.Policies)-1]
	last.Rules = append(last.Rules, out)
}

// maxShown bounds a value in a trace, in characters.
const maxShown = 200

// values describes what the expression's names stand for.
func (x *expression) values(a *activation) []Value {
	var all []Value
	for _, v := range x.vars {
		text := "not known"
		if value, ok := a.ResolveName(v.name); ok {
			text = show(value)
		}
		a.err = nil
		all = append(all, Value{v.name, text})
	}
	return all
}

// show writes a value on one line, quoted, so that hostile text cannot act on a
// terminal.
func show(v any) string {
	if r, ok := v.(ref.Val); ok {
		v = r.Value()
	}
	var text string
	switch v := v.(type) {
	case string:
		text = v
		if r := []rune(text); len(r) > maxShown {
			text = string(r[:maxShown]) + "…"
		}
		return strconv.QuoteToGraphic(text)
	case []string:
		text = fmt.Sprintf("%q", v)
	case map[string]string:
		var parts []string
		for _, k := range slices.Sorted(maps.Keys(v)) {
			parts = append(parts, fmt.Sprintf("%q: %q", k, v[k]))
		}
		text = "{" + strings.Join(parts, ", ") + "}"
	default:
		text = fmt.Sprint(v)
	}
	if r := []rune(text); len(r) > maxShown {
		text = string(r[:maxShown]) + "…"
	}
	return text
}

// WriteText writes the trace for a reader.
func (t *Trace) WriteText(w io.Writer) error {
	var b strings.Builder
	b.WriteString(strings.ToUpper(t.Decision))
	if t.Rule != "" {
		b.WriteString(" by " + t.Rule)
	}
	b.WriteByte('\n')
	if t.Reason != "" {
		b.WriteString("  " + strconv.QuoteToGraphic(t.Reason) + "\n")
	}
	if t.Approval != nil {
		fmt.Fprintf(&b, "  approval by %d of %s within %s\n", t.Approval.Count, strings.Join(t.Approval.Groups, ", "), t.Approval.Within)
	}
	for _, label := range slices.Sorted(maps.Keys(t.Masks)) {
		fmt.Fprintf(&b, "  mask %s: %s", label, t.Masks[label])
		if l := t.Leaks[label]; l != "" {
			b.WriteString(" (leaks: " + l + ")")
		}
		b.WriteByte('\n')
	}
	for _, p := range t.Policies {
		p.text(&b)
	}
	if t.Others > 0 {
		fmt.Fprintf(&b, "%d policies concern other protocols\n", t.Others)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (p *PolicyTrace) text(b *strings.Builder) {
	result := "does not concern this"
	switch {
	case p.Error != "":
		result = "FAILED, blocks: " + strconv.QuoteToGraphic(p.Error)
	case p.Applies:
		result = "concerns this"
	}
	fmt.Fprintf(b, "policy %s: %s\n", p.Name, result)
	if p.On != "" {
		fmt.Fprintf(b, "    on %s\n", oneLine(p.On))
		writeValues(b, p.Values)
	}
	for _, r := range p.Rules {
		sign, result := "-", "no"
		switch {
		case r.Error != "":
			sign, result = "!", "FAILED, blocks: "+strconv.QuoteToGraphic(r.Error)
		case r.Matches:
			sign, result = "*", r.Then
		}
		fmt.Fprintf(b, "  %s %s: %s\n    when %s\n", sign, r.Name, result, oneLine(r.When))
		writeValues(b, r.Values)
	}
}

func writeValues(b *strings.Builder, values []Value) {
	for _, v := range values {
		fmt.Fprintf(b, "      %s = %s\n", v.Name, v.Value)
	}
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
