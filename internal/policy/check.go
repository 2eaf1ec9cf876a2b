package policy

import (
	"fmt"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"

	"github.com/sallyport-gateway/sallyport/internal/gate"
	"github.com/sallyport-gateway/sallyport/internal/nearest"
)

// names checks the names and words of one parsed expression, before CEL's type
// checker, which would call `agent.atributes.x` an undeclared reference to "agent".
type names struct {
	e      *environment
	known  *Known
	source *ast.SourceInfo
	text   []rune
	errs   []*Error
	local  []string          // iteration variables in scope
	elems  map[string]string // iteration variable → the list that it runs over
	used   map[string]bool   // declared variables that are used
}

func (n *names) fail(id int64, field, suggestion, format string, args ...any) {
	loc := n.source.GetStartLocation(id)
	line, column := loc.Line(), loc.Column()
	if field != "" {
		line, column = n.find(line, column, field)
	}
	n.errs = append(n.errs, &Error{Line: line, Column: column + 1, Message: fmt.Sprintf(format, args...), Suggestion: suggestion})
}

// find returns the place of the word field at or after line and column: the
// position of a selection is somewhere before its field.
func (n *names) find(line, column int, field string) (int, int) {
	lines := strings.Split(string(n.text), "\n")
	if line < 1 || line > len(lines) {
		return line, column
	}
	l := []rune(lines[line-1])
	if column < 0 || column > len(l) {
		return line, column
	}
	if i := strings.Index(string(l[column:]), field); i >= 0 {
		return line, column + len([]rune(string(l[column:])[:i]))
	}
	return line, column
}

// walk checks an expression and everything in it.
func (n *names) walk(e ast.Expr) {
	switch e.Kind() {
	case ast.IdentKind, ast.SelectKind:
		n.reference(e)
	case ast.CallKind:
		n.call(e)
	case ast.ListKind:
		for _, x := range e.AsList().Elements() {
			n.walk(x)
		}
	case ast.MapKind:
		for _, x := range e.AsMap().Entries() {
			n.walk(x.AsMapEntry().Key())
			n.walk(x.AsMapEntry().Value())
		}
	case ast.ComprehensionKind:
		n.loop(e)
	case ast.StructKind:
		n.fail(e.ID(), "", "", "messages cannot be made in a policy")
	}
}

func (n *names) loop(e ast.Expr) {
	c := e.AsComprehension()
	n.walk(c.IterRange())
	for _, v := range []string{c.IterVar(), c.IterVar2()} {
		if v != "" && slices.Contains(n.e.roots(), v) {
			n.fail(e.ID(), "", "", "%q cannot be the name of an iteration variable", v)
		}
	}
	outer, was := n.local, n.elems[c.IterVar()]
	n.local = append(slices.Clone(n.local), c.IterVar(), c.IterVar2(), c.AccuVar())
	n.elems[c.IterVar()] = n.variable(c.IterRange())
	n.walk(c.AccuInit())
	n.walk(c.LoopCondition())
	n.walk(c.LoopStep())
	n.walk(c.Result())
	n.local, n.elems[c.IterVar()] = outer, was
}

// chain takes a.b.c apart; ok is false for anything else.
func chain(e ast.Expr) (root string, fields []ast.Expr, ok bool) {
	switch e.Kind() {
	case ast.IdentKind:
		return strings.TrimPrefix(e.AsIdent(), "."), nil, true
	case ast.SelectKind:
		root, fields, ok = chain(e.AsSelect().Operand())
		return root, append(fields, e), ok
	}
	return "", nil, false
}

// variable returns the declared variable that e names as a whole, or "".
func (n *names) variable(e ast.Expr) string {
	root, fields, ok := chain(e)
	if !ok || slices.Contains(n.local, root) {
		return ""
	}
	name := root
	for _, f := range fields {
		name += "." + f.AsSelect().FieldName()
	}
	if _, declared := n.e.vars[name]; declared {
		return name
	}
	return ""
}

// reference checks a name like agent.attributes.risk_tier.
func (n *names) reference(e ast.Expr) {
	root, fields, ok := chain(e)
	if !ok {
		n.walk(e.AsSelect().Operand())
		return
	}
	if slices.Contains(n.local, root) {
		return
	}
	roots := n.e.roots()
	switch {
	case !slices.Contains(roots, root):
		suggestion := nearest.Hint(root, roots)
		if suggestion == "" {
			suggestion = "a policy knows " + quoteList(roots)
		}
		if root == "sql" {
			suggestion = "add protocol: postgres to the policy"
		}
		id := e.ID()
		if len(fields) > 0 {
			id = fields[0].AsSelect().Operand().ID()
		}
		n.fail(id, "", suggestion, "there is no %q", root)
		return
	case len(fields) == 0:
		n.fail(e.ID(), "", "one of "+quoteList(prefixed(root, n.e.members(root))), "%q is not a value", root)
		return
	}
	member := fields[0].AsSelect().FieldName()
	name := root + "." + member
	v, declared := n.e.vars[name]
	if !declared {
		n.unknown(fields[0], root, member)
		return
	}
	n.used[name] = true
	if v.typ.IsExactType(stringMap) && len(fields) > 1 {
		n.key(fields[1].ID(), name, fields[1].AsSelect().FieldName())
	}
}

func prefixed(root string, members []string) []string {
	all := make([]string, len(members))
	for i, m := range members {
		all[i] = root + "." + m
	}
	return all
}

func (n *names) unknown(e ast.Expr, root, member string) {
	members := n.e.members(root)
	suggestion := nearest.Hint(member, members)
	if suggestion == "" {
		if slices.Contains(n.known.Attributes, member) && root == "agent" {
			suggestion = "write agent.attributes." + member
		} else {
			suggestion = "one of " + quoteList(prefixed(root, members))
		}
	}
	n.fail(e.ID(), member, suggestion, "there is no %q in %q", member, root)
}

// key checks the name of an attribute.
func (n *names) key(id int64, name, key string) {
	if name != "agent.attributes" && name != "agent.trust" {
		return // the labels of targets are free
	}
	if slices.Contains(n.known.Attributes, key) {
		return
	}
	suggestion := nearest.Hint(key, n.known.Attributes)
	switch {
	case suggestion != "":
	case len(n.known.Attributes) == 0:
		suggestion = "no issuer maps any attribute; see claims.attributes of the issuer"
	default:
		suggestion = "the issuers map " + quoteList(n.known.Attributes)
	}
	n.fail(id, key, suggestion, "no issuer maps an attribute %q", key)
}

// call checks the words that functions and operators are given.
func (n *names) call(e ast.Expr) {
	c := e.AsCall()
	args := c.Args()
	if c.IsMemberFunction() {
		n.walk(c.Target())
	}
	for _, a := range args {
		n.walk(a)
	}
	switch c.FunctionName() {
	case "dyn":
		n.fail(e.ID(), "", "", "dyn would switch the type checks off")
	case "matches":
		if len(args) > 0 && args[len(args)-1].Kind() != ast.LiteralKind {
			n.fail(e.ID(), "", "write the pattern as a literal", "a pattern must not be computed")
		}
	case operators.Index:
		n.index(args[0], args[1])
	case operators.In:
		n.member(args[0], args[1])
	case operators.Equals, operators.NotEquals:
		n.compare(args[0], args[1])
		n.compare(args[1], args[0])
	}
}

func (n *names) index(of, key ast.Expr) {
	name := n.variable(of)
	if name != "agent.attributes" && name != "agent.trust" {
		return
	}
	word, ok := literal(key)
	if !ok {
		n.fail(key.ID(), "", "write "+name+".NAME", "the name of an attribute must not be computed")
		return
	}
	n.key(key.ID(), name, word)
}

// member checks `"write" in command.effects` and `e in ["write", "delete"]`.
func (n *names) member(item, list ast.Expr) {
	if word, ok := literal(item); ok {
		if name := n.variable(list); name == "agent.attributes" || name == "agent.trust" {
			n.key(item.ID(), name, word)
		} else {
			n.word(item.ID(), name, word)
		}
	}
	if list.Kind() == ast.ListKind {
		for _, x := range list.AsList().Elements() {
			n.compare(item, x)
		}
	}
}

// compare checks the literal that a value is compared with.
func (n *names) compare(value, with ast.Expr) {
	name := n.variable(value)
	if name == "" && value.Kind() == ast.IdentKind {
		name = n.elems[value.AsIdent()]
	}
	if value.Kind() == ast.SelectKind && n.variable(value.AsSelect().Operand()) == "agent.trust" {
		name = "agent.trust"
	}
	if word, ok := literal(with); ok {
		n.word(with.ID(), name, word)
	}
	if with.Kind() != ast.ListKind || name != "command.effects" || value.Kind() != ast.SelectKind {
		return
	}
	var effects gate.Effects
	var words []string
	for _, x := range with.AsList().Elements() {
		if word, ok := literal(x); ok {
			n.word(x.ID(), name, word)
			one, _ := gate.ParseEffect(word)
			effects |= one
			words = append(words, word)
		}
	}
	if effects != 0 && len(words) == len(with.AsList().Elements()) && !slices.Equal(words, effects.List()) {
		n.fail(with.ID(), "", fmt.Sprintf("effects are listed in this order: %q", effects.List()), "the effects are never equal to this list")
	}
}

// word checks a literal against the words that a variable can hold.
func (n *names) word(id int64, variable, word string) {
	var words []string
	what := ""
	switch variable {
	case "command.effects":
		words, what = gate.EffectNames(), "effect"
	case "command.labels":
		words, what = n.known.Labels, "label"
	case "agent.trust":
		words, what = []string{"declared", "caller", "provider"}, "level of trust"
	default:
		return
	}
	if slices.Contains(words, word) {
		return
	}
	suggestion := nearest.Hint(word, words)
	if suggestion == "" && len(words) > 0 {
		suggestion = "one of " + quoteList(words)
	}
	n.fail(id, "", suggestion, "there is no %s %q", what, word)
}

func literal(e ast.Expr) (string, bool) {
	if e.Kind() != ast.LiteralKind {
		return "", false
	}
	s, ok := e.AsLiteral().(types.String)
	return string(s), ok
}

// references returns the declared variables that a checked expression reads.
func (e *environment) references(checked *cel.Ast) []variable {
	var all []variable
	for _, ref := range checked.NativeRep().ReferenceMap() {
		if v, ok := e.vars[ref.Name]; ok {
			all = append(all, v)
		}
	}
	return all
}
