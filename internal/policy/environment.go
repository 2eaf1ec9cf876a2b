package policy

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/cost"
)

// Bounds of what an expression may see. A value beyond them is an error, which
// blocks; it is never cut, because a cut text could hide what it does.
const (
	maxText    = 1 << 20  // command.text: reading it costs about 1 ms per regular expression
	maxString  = 64 << 10 // any other string
	maxItems   = 4096     // of a list or map; PostgreSQL's parser makes at most 1,664 columns
	maxItem    = 1 << 10  // bytes of an item; a qualified column name has at most 194
	maxExprLen = 16 << 10 // characters of one expression
)

// Cost limits in CEL's units, of which one is roughly 20 to 50 ns.
const (
	// maxCost stops one evaluation: at most about 50 ms.
	maxCost = 1_000_000
	// maxEstimate refuses an expression at load. Two nested loops over the longest
	// lists are under it (and are stopped by maxCost when they take that long);
	// three are not.
	maxEstimate = 10_000_000_000
)

// FactsType is a protocol's struct of facts as expressions see it.
type FactsType struct {
	// Variable is the word before the dot: "sql" gives sql.tables.
	Variable string
	// Type is the struct type that Command.Facts points to. Its fields with a
	// cel tag are the facts; they are string, bool, int, int64 or []string. A
	// nil Type is a protocol without facts.
	Type reflect.Type
}

// variable is one dotted name that expressions may use.
type variable struct {
	name string
	typ  *cel.Type
	// volatile: the value can differ between commands with the same facts.
	volatile bool
	// target: the value depends on nothing but the target.
	target bool
	// budget: the value is what the agent has spent.
	budget bool
	// index of the facts' field, -1 for the others.
	fact int
}

var stringMap = cel.MapType(cel.StringType, cel.StringType)

// commonVariables are what every protocol has.
func commonVariables() []variable {
	list := cel.ListType(cel.StringType)
	return []variable{
		{name: "command.effects", typ: list, fact: -1},
		{name: "command.labels", typ: list, fact: -1},
		{name: "command.text", typ: cel.StringType, volatile: true, fact: -1},
		{name: "agent.issuer", typ: cel.StringType, fact: -1},
		{name: "agent.subject", typ: cel.StringType, fact: -1},
		{name: "agent.actor", typ: cel.StringType, fact: -1},
		{name: "agent.client_id", typ: cel.StringType, fact: -1},
		{name: "agent.name", typ: cel.StringType, fact: -1},
		{name: "agent.attributes", typ: stringMap, fact: -1},
		{name: "agent.trust", typ: stringMap, fact: -1},
		{name: "target.name", typ: cel.StringType, target: true, fact: -1},
		{name: "target.protocol", typ: cel.StringType, target: true, fact: -1},
		{name: "target.labels", typ: stringMap, target: true, fact: -1},
		{name: "session.id", typ: cel.StringType, fact: -1},
		{name: "session.user", typ: cel.StringType, fact: -1},
		{name: "session.application", typ: cel.StringType, fact: -1},
		{name: "session.remote", typ: cel.StringType, fact: -1},
		{name: "budget.rows", typ: cel.IntType, volatile: true, budget: true, fact: -1},
		{name: "budget.bytes", typ: cel.IntType, volatile: true, budget: true, fact: -1},
		{name: "budget.cells", typ: cel.IntType, volatile: true, budget: true, fact: -1},
		{name: "budget.writes", typ: cel.IntType, volatile: true, budget: true, fact: -1},
	}
}

// environment is what expressions of one protocol may use.
type environment struct {
	env   *cel.Env
	vars  map[string]variable
	facts reflect.Type
}

func newEnvironment(f FactsType) (*environment, error) {
	e := &environment{vars: map[string]variable{}, facts: f.Type}
	all := commonVariables()
	if f.Type != nil {
		more, err := factVariables(f)
		if err != nil {
			return nil, err
		}
		all = append(all, more...)
	}
	options := []cel.EnvOption{
		cel.ParserRecursionLimit(64),
		cel.ParserExpressionSizeLimit(maxExprLen),
		cel.EnableMacroCallTracking(),
	}
	for _, v := range all {
		if _, twice := e.vars[v.name]; twice {
			return nil, fmt.Errorf("policy: variable %s is declared twice", v.name)
		}
		e.vars[v.name] = v
		options = append(options, cel.Variable(v.name, v.typ))
	}
	var err error
	e.env, err = cel.NewEnv(options...)
	return e, err
}

func factVariables(f FactsType) ([]variable, error) {
	if f.Type.Kind() != reflect.Struct || f.Variable == "" {
		return nil, fmt.Errorf("policy: the facts %q are not a named struct", f.Variable)
	}
	var all []variable
	for i := range f.Type.NumField() {
		field := f.Type.Field(i)
		name := field.Tag.Get("cel")
		if name == "" || name == "-" {
			continue
		}
		v := variable{name: f.Variable + "." + name, fact: i}
		switch {
		case field.Type.Kind() == reflect.String:
			v.typ = cel.StringType
		case field.Type.Kind() == reflect.Bool:
			v.typ = cel.BoolType
		case field.Type.Kind() == reflect.Int || field.Type.Kind() == reflect.Int64:
			v.typ = cel.IntType
		case field.Type == reflect.TypeFor[[]string]():
			v.typ = cel.ListType(cel.StringType)
		default:
			return nil, fmt.Errorf("policy: fact %s has type %s, which expressions cannot use", v.name, field.Type)
		}
		all = append(all, v)
	}
	return all, nil
}

// roots returns the words before the first dot.
func (e *environment) roots() []string {
	roots := map[string]bool{}
	for n := range e.vars {
		root, _, _ := strings.Cut(n, ".")
		roots[root] = true
	}
	return slices.Sorted(maps.Keys(roots))
}

// members returns what may follow "root.".
func (e *environment) members(root string) []string {
	var all []string
	for n := range e.vars {
		if rest, ok := strings.CutPrefix(n, root+"."); ok {
			all = append(all, rest)
		}
	}
	slices.Sort(all)
	return all
}

// sizes tells CEL's cost estimate the bounds that values have.
type sizes struct{ e *environment }

// EstimateSize implements cost.Estimator.
func (s sizes) EstimateSize(n cost.AstNode) *cost.SizeEstimate {
	path := n.Path()
	if len(path) == 0 {
		return nil
	}
	v, ok := s.e.vars[strings.Join(path[:1], "")]
	if !ok {
		return nil
	}
	limit := uint64(maxString)
	switch {
	case v.name == "command.text":
		limit = maxText
	case len(path) > 1:
		limit = maxItem
	case v.name == "command.effects":
		limit = 9 // gate.EffectNames
	case v.typ.Kind() != cel.StringKind:
		limit = maxItems
	}
	return &cost.SizeEstimate{Min: 0, Max: limit}
}

// EstimateCallCost implements cost.Estimator: the standard costs hold.
func (sizes) EstimateCallCost(string, string, *cost.AstNode, []cost.AstNode) *cost.CallEstimate {
	return nil
}
