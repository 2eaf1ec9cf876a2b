package policy

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"github.com/sallyport-gateway/sallyport/internal/gate"
)

// activation gives an expression its values. It belongs to one decision.
type activation struct {
	session *gate.SessionInfo
	cmd     *gate.Command // nil while only the target may be read
	env     *environment

	attributes, trust map[string]string // made when first asked for
	facts             reflect.Value     // zero until first asked for
	spent             *gate.Spending    // read when first asked for, so that all rules see the same
	err               error             // why a value could not be given
}

var activations = sync.Pool{New: func() any { return new(activation) }}

// effectValues are the lists of effects as CEL values, for every set of effects.
var effectValues = func() []ref.Val {
	all := make([]ref.Val, 1<<len(gate.EffectNames()))
	for i := range all {
		all[i] = types.NewStringList(types.DefaultTypeAdapter, gate.Effects(i).List())
	}
	return all
}()

// Parent implements cel.Activation.
func (*activation) Parent() cel.Activation { return nil }

// ResolveName implements cel.Activation. A value beyond its bound is not given,
// which makes the expression fail.
func (a *activation) ResolveName(name string) (any, bool) {
	v, ok := a.env.vars[name]
	if !ok {
		return nil, false
	}
	if v.fact >= 0 {
		return a.fact(v)
	}
	if v.target {
		return a.targetValue(name)
	}
	if a.cmd == nil || a.session == nil || a.session.Principal == nil {
		return a.refuse("%s is not known", name)
	}
	if v.budget {
		return a.budget(name)
	}
	p := a.session.Principal
	switch name {
	case "command.effects":
		return effectValues[int(a.cmd.Effects)&(len(effectValues)-1)], true
	case "command.labels":
		return a.list(name, a.cmd.Labels)
	case "command.text":
		if len(a.cmd.Text) > maxText {
			return a.refuse("the text is longer than %d bytes", maxText)
		}
		return a.cmd.Text, true
	case "agent.issuer":
		return a.text(name, p.Issuer)
	case "agent.subject":
		return a.text(name, p.Subject)
	case "agent.actor":
		return a.text(name, p.Acting().Subject)
	case "agent.client_id":
		return a.text(name, p.ClientID)
	case "agent.name":
		return a.text(name, p.Agent)
	case "agent.attributes", "agent.trust":
		return a.attribute(name)
	case "session.id":
		return a.text(name, a.session.ID)
	case "session.user":
		return a.text(name, a.session.User)
	case "session.application":
		return a.text(name, a.session.Application)
	case "session.remote":
		return a.text(name, a.session.Remote)
	}
	return a.refuse("%s is not known", name)
}

func (a *activation) refuse(format string, args ...any) (any, bool) {
	if a.err == nil {
		a.err = fmt.Errorf(format, args...)
	}
	return nil, false
}

func (a *activation) text(name, s string) (any, bool) {
	if len(s) > maxString {
		return a.refuse("%s is longer than %d bytes", name, maxString)
	}
	return s, true
}

func (a *activation) list(name string, l []string) (any, bool) {
	if len(l) > maxItems {
		return a.refuse("%s has more than %d entries", name, maxItems)
	}
	for _, s := range l {
		if len(s) > maxItem {
			return a.refuse("%s has an entry longer than %d bytes", name, maxItem)
		}
	}
	return l, true
}

func (a *activation) strings(name string, m map[string]string) (any, bool) {
	if len(m) > maxItems {
		return a.refuse("%s has more than %d entries", name, maxItems)
	}
	for k, v := range m {
		if len(k) > maxItem || len(v) > maxItem {
			return a.refuse("%s has an entry longer than %d bytes", name, maxItem)
		}
	}
	return m, true
}

func (a *activation) targetValue(name string) (any, bool) {
	if a.session == nil || a.session.Target == nil {
		return a.refuse("%s is not known", name)
	}
	t := a.session.Target
	switch name {
	case "target.name":
		return a.text(name, t.Name)
	case "target.protocol":
		return a.text(name, t.Protocol)
	case "target.labels":
		return a.strings(name, t.Labels)
	}
	return a.refuse("%s is not known", name)
}

func (a *activation) attribute(name string) (any, bool) {
	if a.attributes == nil {
		all := a.session.Principal.Attributes
		a.attributes, a.trust = make(map[string]string, len(all)), make(map[string]string, len(all))
		for n, v := range all {
			a.attributes[n], a.trust[n] = v.Value, v.Trust.String()
		}
	}
	if name == "agent.trust" {
		return a.strings(name, a.trust)
	}
	return a.strings(name, a.attributes)
}

// budget reads what the agent has spent. What is not counted or cannot be read is
// an error: a budget that silently did not count would not protect.
func (a *activation) budget(name string) (any, bool) {
	if a.spent == nil {
		if a.cmd.Spent == nil {
			return a.refuse("%s is not counted here", name)
		}
		s, err := a.cmd.Spent()
		if err != nil {
			return a.refuse("what the agent has spent cannot be read")
		}
		a.spent = &s
	}
	switch name {
	case "budget.rows":
		return types.Int(a.spent.Rows), true
	case "budget.bytes":
		return types.Int(a.spent.Bytes), true
	case "budget.cells":
		return types.Int(a.spent.Cells), true
	case "budget.writes":
		return types.Int(a.spent.Writes), true
	}
	return a.refuse("%s is not known", name)
}

// fact reads a field of the protocol's struct. Facts that are missing or of
// another type are an error: what was not understood is not judged.
func (a *activation) fact(v variable) (any, bool) {
	if a.cmd == nil {
		return a.refuse("%s is not known", v.name)
	}
	if !a.facts.IsValid() {
		f := reflect.ValueOf(a.cmd.Facts)
		if f.Kind() == reflect.Pointer {
			f = f.Elem()
		}
		if !f.IsValid() || f.Type() != a.env.facts {
			return a.refuse("the command comes without facts, so %s is not known", v.name)
		}
		a.facts = f
	}
	field := a.facts.Field(v.fact)
	switch field.Kind() {
	case reflect.Bool:
		return types.Bool(field.Bool()), true
	case reflect.Int, reflect.Int64:
		return types.Int(field.Int()), true
	case reflect.String:
		return a.text(v.name, field.String())
	case reflect.Slice:
		l, ok := field.Interface().([]string)
		if !ok {
			return a.refuse("%s is not known", v.name)
		}
		return a.list(v.name, l)
	}
	return a.refuse("%s is not known", v.name)
}

var errNotBool = errors.New("the condition is neither true nor false")

// explain words the commonest failure, a name that the agent or the target lacks.
func (x *expression) explain(a *activation, err error) error {
	key, ok := strings.CutPrefix(err.Error(), "no such key: ")
	if !ok {
		return err
	}
	for _, v := range x.vars {
		switch v.name {
		case "agent.attributes", "agent.trust":
			if _, has := a.session.Principal.Attributes[key]; !has {
				err = fmt.Errorf("the agent's token has no attribute %q", key)
			}
		case "target.labels":
			if _, has := a.session.Target.Labels[key]; !has {
				err = fmt.Errorf("the target has no label %q", key)
			}
		}
	}
	return err
}

// eval returns whether the condition holds. An error means that it is not known.
func (x *expression) eval(a *activation) (bool, error) {
	out, _, err := x.program.Eval(a)
	if err != nil {
		if a.err != nil {
			err, a.err = a.err, nil
		}
		return false, x.explain(a, err)
	}
	b, ok := out.(types.Bool)
	if !ok {
		return false, errNotBool
	}
	return bool(b), nil
}
