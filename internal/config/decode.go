package config

import (
	"encoding"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"github.com/sallyport-gateway/sallyport/internal/nearest"
)

// Struct tags that the decoder and the schema read:
//
//	yaml:"name"          the field's name; "-" leaves it out, ",inline" embeds
//	required:"true"      the field must be there
//	enum:"a,b"           the words that the innermost string may be
//	doc:"…"              what it means, with unit; for the schema
//	default:"…"          what leaving it out means; for the schema
//	example:"…"          for the schema

// ScalarHinter is implemented by struct types for which people write a plain
// value by mistake. The hint says what to write instead.
type ScalarHinter interface {
	ScalarHint() (message, hint string)
}

// unmarshaler is the form of custom decoding that goccy/go-yaml calls
// InterfaceUnmarshaler.
type unmarshaler interface {
	UnmarshalYAML(decode func(any) error) error
}

// field is one field of a struct type as documents see it.
type field struct {
	name     string
	index    []int
	tag      reflect.StructTag
	typ      reflect.Type
	required bool
}

// fieldsOf lists the fields of a struct type in order, embedded ones inlined.
func fieldsOf(t reflect.Type) []field {
	var all []field
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		inline := f.Anonymous && name == "" || strings.Contains(options, "inline")
		if inline && f.Type.Kind() == reflect.Struct {
			for _, sub := range fieldsOf(f.Type) {
				sub.index = append([]int{i}, sub.index...)
				all = append(all, sub)
			}
			continue
		}
		if name == "" || name == "-" || !f.IsExported() {
			continue
		}
		all = append(all, field{name, []int{i}, f.Tag, f.Type, f.Tag.Get("required") == "true"})
	}
	return all
}

// decoder fills Go values from one chunk and remembers where everything stood.
type decoder struct {
	c       *chunk
	errs    Errors
	places  map[string]ast.Node // by path
	anchors map[string]ast.Node
	open    []string // aliases being expanded
	nodes   *int     // decoded in this file
	depth   int
}

func (d *decoder) fail(n ast.Node, hint, format string, args ...any) {
	line, column := d.c.position(n)
	if len(d.errs) < maxErrors {
		d.errs = append(d.errs, d.c.errorAt(line, column, hint, format, args...))
	}
}

// collect gathers the anchors, before aliases can refer to them.
type collect struct{ d *decoder }

// Visit implements ast.Visitor.
func (v collect) Visit(n ast.Node) ast.Visitor {
	if a, ok := n.(*ast.AnchorNode); ok && a.Name != nil {
		name := a.Name.GetToken().Value
		if _, twice := v.d.anchors[name]; twice {
			v.d.fail(n, "", "anchor %q is defined twice", name)
		}
		v.d.anchors[name] = a.Value
	}
	return v
}

// plain resolves anchors and aliases; nil means an error was reported.
func (d *decoder) plain(n ast.Node) (ast.Node, func()) {
	switch x := n.(type) {
	case *ast.AnchorNode:
		return d.plain(x.Value)
	case *ast.AliasNode:
		name := x.Value.GetToken().Value
		to, ok := d.anchors[name]
		if !ok {
			d.fail(n, "", "there is no anchor %q in this document", name)
			return nil, nil
		}
		if slices.Contains(d.open, name) || len(d.open) >= maxDepth {
			d.fail(n, "", "alias %q contains itself", name)
			return nil, nil
		}
		d.open = append(d.open, name)
		inner, done := d.plain(to)
		return inner, func() {
			if done != nil {
				done()
			}
			d.open = d.open[:len(d.open)-1]
		}
	case *ast.TagNode:
		d.fail(n, "", "YAML tags are not accepted")
		return nil, nil
	}
	return n, nil
}

// value decodes n into v. path names the place in the document.
func (d *decoder) value(n ast.Node, v reflect.Value, path string, tag reflect.StructTag) {
	d.depth++
	defer func() { d.depth-- }()
	if *d.nodes++; *d.nodes > maxNodes || d.depth > maxDepth {
		if *d.nodes <= maxNodes+1 || d.depth > maxDepth {
			d.fail(n, "", "the file is too large or nested too deeply, aliases expanded")
		}
		return
	}
	at := n
	n, done := d.plain(n)
	if done != nil {
		defer done()
	}
	if n == nil {
		return
	}
	d.places[path] = at
	if _, null := n.(*ast.NullNode); null && v.Kind() == reflect.String && slices.Contains(enumOf(tag), n.GetToken().Value) {
		v.SetString(n.GetToken().Value) // the mask "null", written without quotes
		return
	} else if null {
		d.fail(n, "leave the field out or give it a value", "the field has no value")
		return
	}
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		v = v.Elem()
	}
	switch p := v.Addr().Interface().(type) {
	case unmarshaler:
		d.custom(n, p, path, tag)
		return
	case *time.Duration:
		d.duration(n, p)
		return
	case encoding.TextUnmarshaler:
		if text, ok := d.scalar(n, "a value"); ok {
			if err := p.UnmarshalText([]byte(text)); err != nil {
				d.fail(n, "", "%v", err)
			}
		}
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		d.structure(n, v, path)
	case reflect.Map:
		d.mapping(n, v, path, tag)
	case reflect.Slice:
		d.list(n, v, path, tag)
	case reflect.Interface:
		d.generic(n, v, path)
	default:
		d.basic(n, v, tag)
	}
}

// custom lets a type decode itself; what it asks for is decoded as strictly.
func (d *decoder) custom(n ast.Node, u unmarshaler, path string, tag reflect.StructTag) {
	before := len(d.errs)
	err := u.UnmarshalYAML(func(to any) error {
		start := len(d.errs)
		v := reflect.ValueOf(to)
		if v.Kind() != reflect.Pointer || v.IsNil() {
			return fmt.Errorf("config: cannot decode into %T", to)
		}
		d.value(n, v.Elem(), path, tag)
		failed := d.errs[start:]
		d.errs = d.errs[:start:start] // the type may try another form
		return Errors(failed).err()
	})
	if err == nil {
		return
	}
	d.errs = d.errs[:before]
	if many, ok := err.(Errors); ok {
		d.errs = append(d.errs, many...)
		return
	}
	d.fail(n, "", "%v", err)
}

// entries returns the fields of a mapping, duplicates and merge keys refused.
func (d *decoder) entries(n ast.Node, what string) ([]*ast.MappingValueNode, bool) {
	var values []*ast.MappingValueNode
	switch m := n.(type) {
	case *ast.MappingNode:
		values = m.Values
	case *ast.MappingValueNode:
		values = []*ast.MappingValueNode{m}
	default:
		d.fail(n, "", "expected %s, got %s", what, kindOf(n))
		return nil, false
	}
	seen := map[string]int{}
	kept := make([]*ast.MappingValueNode, 0, len(values))
	for _, e := range values {
		key, ok := e.Key.(*ast.StringNode)
		if !ok {
			d.fail(e.Key, "write plain words as field names", "%s cannot be a field name", kindOf(e.Key))
			continue
		}
		if first, twice := seen[key.Value]; twice {
			d.fail(e.Key, "", "field %q is written twice; the first is on line %d", key.Value, first)
			continue
		}
		line, _ := d.c.position(e.Key)
		seen[key.Value] = line
		kept = append(kept, e)
	}
	return kept, true
}

func keyOf(e *ast.MappingValueNode) string { return e.Key.(*ast.StringNode).Value }

func (d *decoder) structure(n ast.Node, v reflect.Value, path string) {
	if h, ok := v.Addr().Interface().(ScalarHinter); ok && isScalar(n) {
		message, hint := h.ScalarHint()
		d.fail(n, hint, "%s", message)
		return
	}
	entries, ok := d.entries(n, "a mapping of fields")
	if !ok {
		return
	}
	fields := fieldsOf(v.Type())
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.name
	}
	given := map[string]bool{}
	for _, e := range entries {
		key := keyOf(e)
		if path == "" && key == "kind" {
			continue
		}
		i := slices.Index(names, key)
		if i < 0 {
			hint := nearest.Hint(key, names)
			if hint == "" {
				hint = "the fields here are " + strings.Join(names, ", ")
			}
			d.fail(e.Key, hint, "unknown field %q", key)
			continue
		}
		given[key] = true
		d.value(e.Value, v.FieldByIndex(fields[i].index), join(path, key), fields[i].tag)
	}
	for _, f := range fields {
		if f.required && !given[f.name] {
			d.fail(n, exampleHint(f), "field %q is missing", f.name)
		}
	}
}

func exampleHint(f field) string {
	if e := f.tag.Get("example"); e != "" {
		return fmt.Sprintf("for example: %s: %s", f.name, e)
	}
	return ""
}

func (d *decoder) mapping(n ast.Node, v reflect.Value, path string, tag reflect.StructTag) {
	entries, ok := d.entries(n, "a mapping")
	if !ok {
		return
	}
	m := reflect.MakeMapWithSize(v.Type(), len(entries))
	for _, e := range entries {
		key := keyOf(e)
		d.places[join(path, key)+"#key"] = e.Key
		item := reflect.New(v.Type().Elem()).Elem()
		d.value(e.Value, item, join(path, key), tag)
		m.SetMapIndex(reflect.ValueOf(key).Convert(v.Type().Key()), item)
	}
	v.Set(m)
}

func (d *decoder) list(n ast.Node, v reflect.Value, path string, tag reflect.StructTag) {
	s, ok := n.(*ast.SequenceNode)
	if !ok {
		hint := ""
		if isScalar(n) {
			hint = "write it in brackets: [" + "…" + "]"
		}
		d.fail(n, hint, "expected a list, got %s", kindOf(n))
		return
	}
	list := reflect.MakeSlice(v.Type(), len(s.Values), len(s.Values))
	for i, item := range s.Values {
		d.value(item, list.Index(i), fmt.Sprintf("%s[%d]", path, i), tag)
	}
	v.Set(list)
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}
