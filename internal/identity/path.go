package identity

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// path is a claim path: the names to descend by.
type path []string

// checkPath reports whether s is a claim's name or a JSON Pointer.
func checkPath(s string) error {
	_, err := parsePath(s)
	return err
}

// parsePath reads a claim path. A string that starts with "/" is a JSON Pointer
// (RFC 6901); any other is one top-level name, taken literally, because real
// claim names hold dots and slashes (https://example.com/tier, kubernetes.io).
func parsePath(s string) (path, error) {
	if s == "" {
		return nil, errors.New("the claim's name is empty")
	}
	if s[0] != '/' {
		return path{s}, nil
	}
	p := path(strings.Split(s[1:], "/"))
	if len(p) > maxJSONDepth {
		return nil, fmt.Errorf("%q descends deeper than %d", s, maxJSONDepth)
	}
	for i, name := range p {
		if bad := strings.NewReplacer("~0", "", "~1", "").Replace(name); strings.Contains(bad, "~") || name == "" {
			return nil, fmt.Errorf("%q is not a JSON Pointer; ~ is written ~0 and / is written ~1", s)
		}
		p[i] = strings.ReplaceAll(strings.ReplaceAll(name, "~1", "/"), "~0", "~")
	}
	return p, nil
}

// find returns what is at the path; false if anything on the way is missing or
// no object. A null counts as missing.
func (p path) find(o object) (any, bool) {
	for i, name := range p {
		v, ok := o[name]
		if !ok || v == nil {
			return nil, false
		}
		if i == len(p)-1 {
			return v, true
		}
		if o, ok = v.(object); !ok {
			return nil, false
		}
	}
	return nil, false
}

// UnmarshalJSON reads a text, an integer or a boolean, or a list of them.
func (l *OneOrMore) UnmarshalJSON(raw []byte) error {
	var v any
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber() // identifiers of 64 bits do not fit into a float
	if err := d.Decode(&v); err != nil {
		return err
	}
	return l.set(v)
}

// UnmarshalYAML reads a scalar, or a list of scalars.
func (l *OneOrMore) UnmarshalYAML(decode func(any) error) error {
	var v any
	if err := decode(&v); err != nil {
		return err
	}
	return l.set(v)
}

var errNoScalar = errors.New("must be a text, an integer or a boolean, or a list of them")

func (l *OneOrMore) set(v any) error {
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	out := make(OneOrMore, 0, len(list))
	for _, e := range list {
		switch e := e.(type) {
		case string:
			out = append(out, e)
		case bool, int, int64, uint64:
			out = append(out, fmt.Sprint(e))
		case json.Number:
			whole, ok := text(number(e))
			if !ok {
				return errNoScalar
			}
			out = append(out, whole)
		default:
			return errNoScalar
		}
	}
	*l = out
	return nil
}

// UnmarshalJSON reads the claim alone, or an object with claim and trust.
func (a *AttributeClaim) UnmarshalJSON(raw []byte) error {
	if json.Unmarshal(raw, &a.Claim) == nil {
		return nil
	}
	type plain AttributeClaim
	d := json.NewDecoder(strings.NewReader(string(raw)))
	d.DisallowUnknownFields()
	return d.Decode((*plain)(a))
}

// UnmarshalYAML reads the claim alone, or a mapping with claim and trust.
func (a *AttributeClaim) UnmarshalYAML(decode func(any) error) error {
	if decode(&a.Claim) == nil {
		return nil
	}
	var both map[string]string
	if err := decode(&both); err != nil {
		return errors.New("must be a claim, or {claim: …, trust: provider|caller}")
	}
	for k, v := range both {
		switch k {
		case "claim":
			a.Claim = v
		case "trust":
			a.Trust = v
		default:
			return fmt.Errorf("unknown field %q; there are claim and trust", k)
		}
	}
	return nil
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
