package policy

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"unicode/utf8"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"

	"github.com/sallyport-gateway/sallyport/internal/gate"
	"github.com/sallyport-gateway/sallyport/internal/nearest"
)

// Known are the names that documents of other kinds give. A name that is not in
// it is an error in an expression or mask.
type Known struct {
	// Attributes are the names that the issuers map, all issuers together.
	Attributes []string
	// Labels are the labels that Labels documents give.
	Labels []string
}

// Program is a set of policies ready to decide. It is immutable and safe for
// concurrent use; [Engine.Swap] brings it into force.
type Program struct {
	byProtocol map[string][]*policy // in the order of their names, with those of every protocol
	general    []*policy            // for a protocol that has none of its own
	plans      sync.Map             // *gate.Target → *plan; lives as long as the program
	planned    atomic.Int64         // entries in plans
	documents  []*Document
	budgets    bool // a condition reads budget.*
	known      Known
}

// policy is one compiled document.
type policy struct {
	name  string
	env   *environment
	on    *expression // nil: every target
	rules []*rule
}

// rule is one compiled rule. Its maps and slices are shared with verdicts.
type rule struct {
	name     string // "policy/rule"
	when     *expression
	then     gate.Decision
	message  string
	masks    gate.Masks
	approval gate.Approval
}

// expression is one compiled condition.
type expression struct {
	text     string
	program  cel.Program
	volatile bool // may come out differently for the same session and facts
	target   bool // depends on nothing but the target
	vars     []variable
}

// namePattern is what rules may be called: it needs no quoting in the
// machine-readable line of a refusal, and holds no "/" or "+".
var namePattern = regexp.MustCompile(`^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$`)

// maxRules bounds one document: our own, far above what people keep.
const maxRules = 1000

// Compile type-checks documents and makes a program of them. Errors are *Error,
// all of them at once.
func (e *Engine) Compile(docs []*Document, known Known) (*Program, []error) {
	p := &Program{byProtocol: map[string][]*policy{}, documents: docs, known: known}
	c := &compiler{e: e, known: &p.known}
	sorted := slices.SortedFunc(slices.Values(docs), func(a, b *Document) int { return cmp.Compare(a.Name, b.Name) })
	seen := map[string]bool{}
	for _, d := range sorted {
		c.doc = d
		if seen[d.Name] {
			c.fail("name", "", "there are two policies %q", d.Name)
		}
		seen[d.Name] = true
		compiled := c.document()
		if d.Protocol == "" {
			p.general = append(p.general, compiled)
		}
		for protocol := range e.environments {
			if protocol != "" && (d.Protocol == "" || d.Protocol == protocol) {
				p.byProtocol[protocol] = append(p.byProtocol[protocol], compiled)
			}
		}
	}
	if len(c.errs) > 0 {
		return nil, c.errs
	}
	p.budgets = c.budgets
	return p, nil
}

// compiler compiles one document at a time.
type compiler struct {
	e     *Engine
	known *Known
	doc   *Document
	env   *environment
	errs  []error

	budgets bool // a condition reads budget.*
}

func (c *compiler) fail(path, suggestion, format string, args ...any) {
	c.errs = append(c.errs, &Error{Policy: c.doc.Name, Path: path, Message: fmt.Sprintf(format, args...), Suggestion: suggestion})
}

func (c *compiler) document() *policy {
	d := c.doc
	env, ok := c.e.environments[d.Protocol]
	if !ok {
		protocols := slices.DeleteFunc(slices.Sorted(maps.Keys(c.e.environments)), func(p string) bool { return p == "" })
		suggestion := nearest.Hint(d.Protocol, protocols)
		if suggestion == "" {
			suggestion = "one of " + quoteList(protocols)
		}
		c.fail("protocol", suggestion, "unknown protocol %q", d.Protocol)
		env = c.e.environments[""]
	}
	c.env = env
	p := &policy{name: d.Name, env: env}
	if d.On != "" {
		p.on = c.expression("on", d.On)
	}
	if len(d.Rules) == 0 || len(d.Rules) > maxRules {
		c.fail("rules", "", "a policy has 1 to %d rules", maxRules)
	}
	seen := map[string]bool{}
	for i := range d.Rules {
		path := fmt.Sprintf("rules[%d]", i)
		if seen[d.Rules[i].Name] {
			c.fail(path+".name", "", "there are two rules %q in the policy", d.Rules[i].Name)
		}
		seen[d.Rules[i].Name] = true
		p.rules = append(p.rules, c.rule(path, &d.Rules[i]))
	}
	return p
}

func (c *compiler) rule(path string, r *Rule) *rule {
	out := &rule{name: c.doc.Name + "/" + r.Name, message: r.Message, masks: maps.Clone(r.Mask)}
	if !namePattern.MatchString(r.Name) {
		c.fail(path+".name", "lower-case letters, digits, dots, dashes and underscores, at most 63", "%q is not a name", r.Name)
	}
	out.when = c.expression(path+".when", r.When)
	switch r.Then {
	case "allow":
		out.then = gate.Allow
	case "hold":
		out.then = gate.Hold
	case "block":
		out.then = gate.Block
	default:
		c.fail(path+".then", nearest.Hint(r.Then, []string{"block", "hold", "allow"}), "unknown decision %q", r.Then)
	}
	c.masks(path, r)
	c.approvers(path, r, out)
	return out
}

func (c *compiler) masks(path string, r *Rule) {
	if r.Then == "block" && len(r.Mask) > 0 {
		c.fail(path+".mask", "masks belong to rules that allow or hold", "a rule that blocks masks nothing")
	}
	for _, label := range slices.Sorted(maps.Keys(r.Mask)) {
		place := path + ".mask." + label
		if _, ok := maskRank(r.Mask[label]); !ok {
			suggestion := nearest.Hint(r.Mask[label], maskNames())
			if suggestion == "" {
				suggestion = "one of " + quoteList(maskNames())
			}
			c.fail(place, suggestion, "unknown mask %q", r.Mask[label])
		}
		if !slices.Contains(c.known.Labels, label) {
			suggestion := nearest.Hint(label, c.known.Labels)
			if suggestion == "" {
				suggestion = "labels come from documents of kind Labels"
			}
			c.fail(place+"#key", suggestion, "there is no label %q", label)
		}
	}
}

func (c *compiler) approvers(path string, r *Rule, out *rule) {
	a := r.Approvers
	switch {
	case r.Then == "hold" && a == nil:
		c.fail(path, "add approvers: {groups: [NAME], count: 1, within: 15m}", "a rule that holds needs approvers")
		return
	case r.Then != "hold" && a != nil:
		c.fail(path+".approvers", "", "only a rule that holds has approvers")
		return
	case a == nil:
		return
	}
	if len(a.Groups) == 0 || slices.Contains(a.Groups, "") {
		c.fail(path+".approvers.groups", "", "approvers need at least one group")
	}
	if a.Count < 0 || a.Count > maxApprovers {
		c.fail(path+".approvers.count", "", "count is 1 to %d", maxApprovers)
	}
	if a.Within < 0 || a.Within > maxWithin {
		c.fail(path+".approvers.within", "", "within is at most %d hours", int(maxWithin.Hours()))
	}
	out.approval = gate.Approval{Groups: slices.Sorted(slices.Values(a.Groups)), Count: max(1, a.Count), Within: a.Within}
	if out.approval.Within == 0 {
		out.approval.Within = DefaultWithin
	}
}

// expression compiles one condition. It returns nil after an error.
func (c *compiler) expression(path string, text Expression) (out *expression) {
	start := len(c.errs)
	report := func(e *Error) {
		e.Policy, e.Path, e.text = c.doc.Name, path, string(text)
		c.errs = append(c.errs, e)
	}
	defer func() {
		// Folding a constant panics in cel-go for a map with a key of type bytes;
		// a document must not end the process.
		if p := recover(); p != nil {
			report(&Error{Line: 1, Column: 1, Message: "the condition cannot be compiled"})
			out = nil
		}
	}()
	if strings.TrimSpace(string(text)) == "" {
		c.fail(path, "write true for always", "the condition is empty")
		return nil
	}
	if utf8.RuneCountInString(string(text)) > maxExprLen {
		c.fail(path, "", "the condition is longer than %d characters", maxExprLen)
		return nil
	}
	parsed, issues := c.env.env.Parse(string(text))
	if issues.Err() != nil {
		report(firstIssue(issues))
		return nil
	}
	n := &names{e: c.env, known: c.known, source: parsed.NativeRep().SourceInfo(), text: []rune(string(text)),
		elems: map[string]string{}, used: map[string]bool{}}
	if nesting(parsed.NativeRep().Expr()) > maxNesting {
		report(&Error{Message: fmt.Sprintf("loops are nested more than %d deep", maxNesting)})
		return nil
	}
	n.walk(parsed.NativeRep().Expr())
	for _, err := range n.errs {
		report(err)
	}
	if len(c.errs) > start {
		return nil
	}
	checked, issues := c.env.env.Check(parsed)
	if issues.Err() != nil {
		report(firstIssue(issues))
		return nil
	}
	if checked.OutputType() == nil || !checked.OutputType().IsExactType(cel.BoolType) {
		report(&Error{Line: 1, Column: 1, Message: fmt.Sprintf("the condition is %s, not true or false", cel.FormatCELType(checked.OutputType()))})
		return nil
	}
	return c.program(report, string(text), checked)
}

// maxNesting bounds loops in loops.
const maxNesting = 3

// nesting returns how deep loops stand in loops.
func nesting(e ast.Expr) int {
	deepest := 0
	var visit func(e ast.NavigableExpr, depth int)
	visit = func(e ast.NavigableExpr, depth int) {
		if e.Kind() == ast.ComprehensionKind {
			depth++
		}
		deepest = max(deepest, depth)
		for _, x := range e.Children() {
			visit(x, depth)
		}
	}
	visit(ast.NavigateExpr(nil, e), 0)
	return deepest
}

// program bounds the cost. An expression whose largest possible cost is under the
// limit runs without counting, which is three times as fast.
func (c *compiler) program(report func(*Error), text string, checked *cel.Ast) *expression {
	estimate, err := c.env.env.EstimateCost(checked, sizes{c.env})
	if err != nil {
		report(&Error{Message: fmt.Sprintf("the cost cannot be estimated: %v", err)})
		return nil
	}
	if estimate.Max > maxEstimate || estimate.Min > maxCost {
		report(&Error{Line: 1, Column: 1, Message: "the condition can take too long: its loops multiply"})
		return nil
	}
	options := []cel.ProgramOption{cel.EvalOptions(cel.OptOptimize)}
	if estimate.Max > maxCost {
		options = append(options, cel.CostLimit(maxCost))
	}
	program, err := c.env.env.Program(checked, options...)
	if err != nil {
		report(&Error{Line: 1, Column: 1, Message: err.Error()})
		return nil
	}
	x := &expression{text: text, program: program, target: true, vars: c.env.references(checked)}
	for _, v := range x.vars {
		x.volatile = x.volatile || v.volatile
		x.target = x.target && v.target
		c.budgets = c.budgets || v.budget
	}
	slices.SortFunc(x.vars, func(a, b variable) int { return cmp.Compare(a.name, b.name) })
	x.vars = slices.CompactFunc(x.vars, func(a, b variable) bool { return a.name == b.name })
	return x
}

// firstIssue translates CEL's first error; later ones follow from it.
func firstIssue(issues *cel.Issues) *Error {
	all := issues.Errors()
	if len(all) == 0 {
		return &Error{Message: "the condition cannot be read"}
	}
	first := all[0]
	message, _, _ := strings.Cut(first.Message, "\n")
	message = strings.TrimPrefix(message, "Syntax error: ")
	if found, _, ok := strings.Cut(message, " expecting "); ok { // what follows are token names of the grammar
		message = strings.Replace(found, "mismatched input", "unexpected", 1)
	}
	e := &Error{Message: message}
	if first.Location != nil && first.Location.Line() > 0 {
		e.Line, e.Column = first.Location.Line(), first.Location.Column()+1
	}
	return e
}
