package policy_test

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport-gateway/sallyport/internal/gate"
	"github.com/sallyport-gateway/sallyport/internal/policy"
)

func session(attributes map[string]string) *gate.SessionInfo {
	p := &gate.Principal{Party: gate.Party{Issuer: "https://idp", Subject: "s"}, Kind: gate.KindAgent, Agent: "a", Attributes: map[string]gate.Attribute{}}
	for n, v := range attributes {
		p.Attributes[n] = gate.Attribute{Value: v, Trust: gate.TrustProvider}
	}
	return &gate.SessionInfo{ID: "ses_1", Principal: p, Protocol: "postgres",
		Target: &gate.Target{Name: "orders", Protocol: "postgres", Labels: map[string]string{"env": "prod"}}}
}

func decide(t testing.TB, e *policy.Engine, s *gate.SessionInfo, cmd *gate.Command) gate.Verdict {
	t.Helper()
	v, err := e.Decide(context.Background(), s, cmd)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// with returns an engine with one policy of the given rules.
func with(t testing.TB, rules ...string) *policy.Engine {
	t.Helper()
	e := newEngine(t)
	e.Swap(mustRead(t, e, "kind: Policy\nname: p\nprotocol: postgres\nrules:\n  - "+strings.Join(rules, "\n  - ")+"\n"))
	return e
}

const (
	allow  = `{name: %s, when: true, then: allow}`
	block  = `{name: %s, when: true, then: block}`
	hold   = `{name: %s, when: true, then: hold, approvers: {groups: [dba]}}`
	broken = `{name: %s, when: 'agent.attributes.purpose == "x"', then: %s}`
	never  = `{name: %s, when: false, then: block}`
)

func TestBlockBeatsHoldBeatsAllowInAnyOrder(t *testing.T) {
	a, b, h := fmt.Sprintf(allow, "a"), fmt.Sprintf(block, "b"), fmt.Sprintf(hold, "h")
	n := fmt.Sprintf(never, "n")
	failing := fmt.Sprintf(broken, "f", "allow")
	for _, c := range []struct {
		rules []string
		want  gate.Decision
		rule  string
	}{
		{[]string{a}, gate.Allow, "p/a"},
		{[]string{n}, gate.Block, ""},
		{[]string{n, a}, gate.Allow, "p/a"},
		{[]string{a, b}, gate.Block, "p/b"},
		{[]string{b, a}, gate.Block, "p/b"},
		{[]string{a, h}, gate.Hold, "p/h"},
		{[]string{h, a}, gate.Hold, "p/h"},
		{[]string{h, b}, gate.Block, "p/b"},
		{[]string{b, h, a}, gate.Block, "p/b"},
		{[]string{a, failing}, gate.Block, "p/f"},
		{[]string{failing, a, h}, gate.Block, "p/f"},
	} {
		v := decide(t, with(t, c.rules...), session(nil), &gate.Command{Effects: gate.EffectRead})
		if v.Decision != c.want || v.Rule != c.rule {
			t.Errorf("%v: got %s by %q, want %s by %q", c.rules, v.Decision, v.Rule, c.want, c.rule)
		}
		if v.Decision == gate.Block && v.Reason == "" {
			t.Errorf("%v: a block without a reason", c.rules)
		}
	}
}

func TestAnEngineWithoutPoliciesBlocks(t *testing.T) {
	e := newEngine(t)
	if v := decide(t, e, session(nil), &gate.Command{Effects: gate.EffectRead}); v.Decision != gate.Block {
		t.Error(v)
	}
	for _, s := range []*gate.SessionInfo{nil, {}, {Target: &gate.Target{}}, {Principal: &gate.Principal{}}} {
		if v := decide(t, e, s, &gate.Command{}); v.Decision != gate.Block {
			t.Errorf("%+v: %v", s, v)
		}
	}
}

func TestEveryFailureAtRunTimeBlocks(t *testing.T) {
	long := strings.Repeat("x", 1<<20+1)
	for name, c := range map[string]struct {
		rule    string
		session *gate.SessionInfo
		cmd     *gate.Command
		reason  string
	}{
		"missing attribute": {fmt.Sprintf(broken, "r", "allow"), session(nil), &gate.Command{}, `no attribute "purpose"`},
		"missing trust":     {`{name: r, when: 'agent.trust.purpose == "provider"', then: allow}`, session(nil), &gate.Command{}, `no attribute "purpose"`},
		"missing label":     {`{name: r, when: 'target.labels.zone == "a"', then: allow}`, session(nil), &gate.Command{}, `no label "zone"`},
		"no facts":          {`{name: r, when: '!sql.unbounded', then: allow}`, session(nil), &gate.Command{}, "without facts"},
		"typed nil facts":   {`{name: r, when: '!sql.unbounded', then: allow}`, session(nil), &gate.Command{Facts: (*facts)(nil)}, "without facts"},
		"foreign facts":     {`{name: r, when: '!sql.unbounded', then: allow}`, session(nil), &gate.Command{Facts: &struct{ X int }{}}, "without facts"},
		"long text":         {`{name: r, when: '!command.text.contains("DROP")', then: allow}`, session(nil), &gate.Command{Text: long}, "longer than"},
		"long user":         {`{name: r, when: 'session.user != "x"', then: allow}`, &gate.SessionInfo{User: long, Target: session(nil).Target, Principal: session(nil).Principal}, &gate.Command{}, "longer than"},
		"many tables":       {`{name: r, when: 'sql.tables.all(x, x != "y")', then: allow}`, session(nil), &gate.Command{Facts: &facts{Tables: make([]string, 5000)}}, "more than"},
		"long table":        {`{name: r, when: 'sql.tables.all(x, x != "y")', then: allow}`, session(nil), &gate.Command{Facts: &facts{Tables: []string{long}}}, "longer than"},
		"long label":        {`{name: r, when: 'command.labels == []', then: allow}`, session(nil), &gate.Command{Labels: []string{long}}, "longer than"},
		"division by zero":  {`{name: r, when: '1 / sql.depth == 0', then: allow}`, session(nil), &gate.Command{Facts: &facts{}}, "division by zero"},
		"index":             {`{name: r, when: 'sql.tables[7] == "x"', then: allow}`, session(nil), &gate.Command{Facts: &facts{}}, "index out of bounds"},
	} {
		t.Run(name, func(t *testing.T) {
			v := decide(t, with(t, fmt.Sprintf(allow, "yes"), c.rule), c.session, c.cmd)
			if v.Decision != gate.Block || v.Rule != "p/r" || !strings.Contains(v.Reason, c.reason) {
				t.Errorf("got %s by %q: %s", v.Decision, v.Rule, v.Reason)
			}
		})
	}
}

// The run-time limit was silently without effect in some versions of cel-go when
// combined with other options (cel-expr/cel-go issue 1425).
func TestTheCostLimitStopsAnExpensiveExpression(t *testing.T) {
	e := with(t, fmt.Sprintf(allow, "yes"), `{name: r, when: 'sql.tables.exists(a, sql.columns.exists(b, a == b))', then: block}`)
	many := &facts{}
	for i := range 4096 {
		many.Tables = append(many.Tables, fmt.Sprintf("t%d", i))
		many.Columns = append(many.Columns, fmt.Sprintf("c%d", i))
	}
	start := time.Now()
	v := decide(t, e, session(nil), &gate.Command{Facts: many})
	if v.Decision != gate.Block || !strings.Contains(v.Reason, "cost limit") {
		t.Errorf("got %s: %s", v.Decision, v.Reason)
	}
	if took := time.Since(start); took > time.Minute {
		t.Errorf("took %s", took)
	}
	few := &facts{Tables: []string{"a"}, Columns: []string{"b"}}
	if v := decide(t, e, session(nil), &gate.Command{Facts: few}); v.Decision != gate.Allow {
		t.Errorf("a small command is stopped too: %s", v.Reason)
	}
}

func TestAnErrorThatCannotChangeTheConditionDoesNotBlock(t *testing.T) {
	e := with(t, fmt.Sprintf(allow, "yes"), `{name: r, when: '"write" in command.effects && agent.attributes.risk_tier != "high"', then: block}`,
		`{name: s, when: 'has(agent.attributes.purpose) && agent.attributes.purpose == "x"', then: block}`,
		`{name: u, when: '"zone" in target.labels && target.labels.zone == "x"', then: block}`)
	if v := decide(t, e, session(nil), &gate.Command{Effects: gate.EffectRead}); v.Decision != gate.Allow {
		t.Error(v.Reason)
	}
}

func TestSeveralHoldsMustAllBeSatisfied(t *testing.T) {
	e := newEngine(t)
	e.Swap(mustRead(t, e, `
kind: Policy
name: b
rules:
  - {name: two, when: true, then: hold, message: second, approvers: {groups: [security, dba], count: 2, within: 1h}}
---
kind: Policy
name: a
rules:
  - {name: one, when: true, then: hold, message: first, approvers: {groups: [dba, ops], count: 1, within: 5m}}
`))
	v := decide(t, e, session(nil), &gate.Command{})
	if v.Decision != gate.Hold || v.Rule != "a/one+b/two" || v.Reason != "first" {
		t.Errorf("got %s by %q: %s", v.Decision, v.Rule, v.Reason)
	}
	if fmt.Sprint(v.Approval) != fmt.Sprint(gate.Approval{Groups: []string{"dba"}, Count: 2, Within: 5 * time.Minute}) {
		t.Errorf("approval %+v", v.Approval)
	}
}

func TestHoldsThatNoGroupCanSatisfyBlock(t *testing.T) {
	e := with(t, fmt.Sprintf(hold, "h"), `{name: i, when: true, then: hold, approvers: {groups: [security]}}`)
	v := decide(t, e, session(nil), &gate.Command{})
	if v.Decision != gate.Block || v.Rule != "p/h+p/i" {
		t.Errorf("got %s by %q", v.Decision, v.Rule)
	}
}

func TestTheStricterMaskWins(t *testing.T) {
	for _, c := range []struct{ a, b, want string }{
		{"plain", "last4", "last4"}, {"last4", "plain", "last4"}, {"token", "last4", "token"}, {"null", "token", "null"},
		{"redact", "null", "redact"}, {"plain", "redact", "redact"}, {"last4", "email", "redact"}, {"last4", "last4", "last4"},
	} {
		e := with(t, fmt.Sprintf(`{name: a, when: true, then: allow, mask: {pii: "%s"}}`, c.a),
			fmt.Sprintf(`{name: b, when: true, then: allow, mask: {pii: "%s", card: last4}}`, c.b))
		v := decide(t, e, session(nil), &gate.Command{})
		if !maps.Equal(v.Masks, gate.Masks{"pii": c.want, "card": "last4"}) {
			t.Errorf("%s and %s: %v", c.a, c.b, v.Masks)
		}
	}
}

func TestAVerdictIsStableOnlyWithoutTheText(t *testing.T) {
	s := session(map[string]string{"risk_tier": "low"})
	read := `{name: a, when: 'command.effects == ["read"] && agent.attributes.risk_tier == "low" && !sql.unbounded', then: allow}`
	text := `{name: b, when: 'command.text.contains("secret")', then: block}`
	cmd := &gate.Command{Effects: gate.EffectRead, Facts: &facts{}}
	if v := decide(t, with(t, read), s, cmd); v.Decision != gate.Allow || !v.Stable {
		t.Errorf("%+v", v)
	}
	if v := decide(t, with(t, read, text), s, cmd); v.Decision != gate.Allow || v.Stable {
		t.Errorf("%+v", v)
	}
	if v := decide(t, with(t, fmt.Sprintf(block, "x"), text), s, cmd); v.Decision != gate.Block || !v.Stable {
		t.Errorf("a block before the text was read is stable: %+v", v)
	}
}

func TestExplainDecidesAsDecideDoes(t *testing.T) {
	e := newEngine(t)
	e.Swap(mustRead(t, e, designPolicy))
	for effects := range gate.Effects(1 << len(gate.EffectNames())) {
		for _, s := range []*gate.SessionInfo{session(nil), session(map[string]string{"risk_tier": "high"}), session(map[string]string{"risk_tier": "low"})} {
			cmd := &gate.Command{Effects: effects, Facts: &facts{Unbounded: effects&1 != 0 && effects&2 != 0}}
			v, x := decide(t, e, s, cmd), e.Explain(s, cmd)
			if v.Decision.String() != x.Decision || v.Rule != x.Rule || v.Reason != x.Reason || v.Stable != x.Stable {
				t.Fatalf("%s: %+v and %+v", effects, v, x)
			}
		}
	}
}

func TestAPolicyConcernsOnlyItsProtocol(t *testing.T) {
	e := newEngine(t)
	e.Swap(mustRead(t, e, "kind: Policy\nname: p\nprotocol: ssh\nrules:\n  - {name: a, when: true, then: allow}\n"))
	if v := decide(t, e, session(nil), &gate.Command{}); v.Decision != gate.Block {
		t.Error("a policy for ssh allowed a command of postgres")
	}
	s := session(nil)
	s.Target = &gate.Target{Protocol: "ssh"}
	if v := decide(t, e, s, &gate.Command{}); v.Decision != gate.Allow {
		t.Error(v)
	}
}

func TestSwapActsOnRunningSessionsAndChangesTheGeneration(t *testing.T) {
	e := newEngine(t)
	yes := mustRead(t, e, "kind: Policy\nname: p\nrules:\n  - {name: a, when: true, then: allow}\n")
	no := mustRead(t, e, "kind: Policy\nname: p\nrules:\n  - {name: b, when: true, then: block}\n")
	s := session(nil)
	var wg sync.WaitGroup
	ctx, stop := context.WithCancel(t.Context())
	for range 4 {
		wg.Go(func() {
			for ctx.Err() == nil {
				v := decide(t, e, s, &gate.Command{})
				if v.Rule != "" && (v.Decision == gate.Allow) != (v.Rule == "p/a") {
					t.Errorf("torn verdict %+v", v)
				}
			}
		})
	}
	for range 500 {
		before := e.Generation()
		e.Swap(yes)
		e.Swap(no)
		if e.Generation() != before+2 {
			t.Error("the generation did not change")
		}
	}
	stop()
	wg.Wait()
	if v := decide(t, e, s, &gate.Command{}); v.Rule != "p/b" {
		t.Errorf("%+v", v)
	}
}

func FuzzCompileNeverPanics(f *testing.F) {
	for _, s := range []string{`command.effects == ["read"]`, `target.labels.env == "prod"`, `has(agent.attributes.purpose)`,
		`sql.tables.exists(t, t.startsWith("public."))`, `agent.attributes["risk_tier"] in ["a"]`, `[1].map(agent, agent)`,
		`{"a": 1}.a == 1`, `command.text.matches("a{1000}{1000}")`, "(((((", `.agent.name == ""`, `"\xff" == "é"`} {
		f.Add(s)
	}
	e := newEngine(f)
	s := session(map[string]string{"risk_tier": "low"})
	f.Fuzz(func(t *testing.T, text string) {
		d := &policy.Document{Name: "p", Protocol: "postgres", On: policy.Expression(text),
			Rules: []policy.Rule{{Name: "r", When: policy.Expression(text), Then: "allow"}}}
		p, errs := e.Compile([]*policy.Document{d}, known)
		for _, err := range errs {
			_ = err.(*policy.Error).Detail()
		}
		if p != nil {
			e.Swap(p)
			decide(t, e, s, &gate.Command{Facts: &facts{Tables: []string{"public.x"}}})
			e.Explain(s, &gate.Command{})
		}
	})
}

const designPolicy = `
kind: Policy
name: production-databases
protocol: postgres
on: target.labels.env == "prod"
rules:
  - name: no-destructive-ddl
    when: command.effects.exists(e, e == "schema")
    then: block
  - name: no-unbounded-writes
    when: sql.unbounded
    then: block
  - name: writes-need-a-person
    when: command.effects.exists(e, e in ["write", "delete"]) && agent.attributes.risk_tier != "high"
    then: hold
    approvers: {groups: [dba], count: 1, within: 15m}
  - name: reads
    when: command.effects == ["read"]
    then: allow
    mask: {pii: redact, card: last4}
`

func BenchmarkDecideFourRules(b *testing.B) { benchmark(b, "") }

// The other policies concern another protocol or another target.
func BenchmarkDecideFourRulesAmongAHundredPolicies(b *testing.B) {
	var others strings.Builder
	for i := range 100 {
		fmt.Fprintf(&others, "---\nkind: Policy\nname: other-%d\nprotocol: %s\non: target.labels.env == \"dev\"\nrules:\n  - {name: a, when: 'command.text.contains(\"x\")', then: block}\n",
			i, []string{"ssh", "postgres"}[i%2])
	}
	benchmark(b, others.String())
}

func benchmark(b *testing.B, others string) {
	e := newEngine(b)
	e.Swap(mustRead(b, e, designPolicy+others))
	s := session(map[string]string{"risk_tier": "low"})
	cmd := &gate.Command{Effects: gate.EffectRead, Text: "SELECT 1", Facts: &facts{Tables: []string{"public.orders"}}}
	b.ReportAllocs()
	for b.Loop() {
		if v := decide(b, e, s, cmd); v.Decision != gate.Allow || !v.Stable {
			b.Fatal(v)
		}
	}
}

func BenchmarkCompileFourRules(b *testing.B) {
	e := newEngine(b)
	docs, _, err := read(e, []byte(designPolicy))
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, errs := e.Compile(docs, known); len(errs) > 0 {
			b.Fatal(errs)
		}
	}
}
