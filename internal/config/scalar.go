package config

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"github.com/sallyport-gateway/sallyport/internal/nearest"
)

func isScalar(n ast.Node) bool {
	switch n.(type) {
	case *ast.StringNode, *ast.LiteralNode, *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return true
	}
	return false
}

// kindOf names a node for an error, without its value.
func kindOf(n ast.Node) string {
	switch n.(type) {
	case *ast.StringNode, *ast.LiteralNode:
		return "a string"
	case *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		return "a number"
	case *ast.BoolNode:
		return "true or false"
	case *ast.NullNode:
		return "nothing"
	case *ast.MappingNode, *ast.MappingValueNode:
		return "a mapping"
	case *ast.SequenceNode:
		return "a list"
	case *ast.MergeKeyNode:
		return "a merge key"
	}
	return "something else"
}

// scalar returns the text of a scalar as it was written.
func (d *decoder) scalar(n ast.Node, what string) (string, bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	}
	if isScalar(n) {
		return n.GetToken().Value, true
	}
	d.fail(n, "", "expected %s, got %s", what, kindOf(n))
	return "", false
}

func (d *decoder) duration(n ast.Node, to *time.Duration) {
	text, ok := d.scalar(n, "a duration")
	if !ok {
		return
	}
	t, err := parseDuration(text)
	if err != nil {
		d.fail(n, "write a number and a unit: 500ms, 45s, 15m, 8h", "%v", err)
		return
	}
	*to = t
}

// parseDuration reads a positive Go duration.
func parseDuration(text string) (time.Duration, error) {
	t, err := time.ParseDuration(text)
	switch {
	case err != nil:
		return 0, fmt.Errorf("%q is not a duration", text)
	case t <= 0:
		return 0, fmt.Errorf("the duration %q is not positive", text)
	}
	return t, nil
}

// basic decodes strings, booleans and numbers.
func (d *decoder) basic(n ast.Node, v reflect.Value, tag reflect.StructTag) {
	if !isScalar(n) {
		d.fail(n, "", "expected %s, got %s", wanted(v.Kind()), kindOf(n))
		return
	}
	text, _ := d.scalar(n, "")
	switch v.Kind() {
	case reflect.String:
		d.text(n, v, text, tag)
		return
	case reflect.Bool:
		if b, ok := n.(*ast.BoolNode); ok {
			v.SetBool(b.Value)
			return
		}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		if _, ok := n.(*ast.IntegerNode); ok {
			i, err := strconv.ParseInt(text, 10, 64)
			if err != nil || v.OverflowInt(i) || i < 0 {
				d.fail(n, "", "%q is not a whole number from 0 that fits", text)
				return
			}
			v.SetInt(i)
			return
		}
	case reflect.Float64:
		if f, err := strconv.ParseFloat(text, 64); err == nil && !isText(n) {
			v.SetFloat(f)
			return
		}
	}
	d.fail(n, "", "expected %s, got %s", wanted(v.Kind()), kindOf(n))
}

func isText(n ast.Node) bool {
	switch n.(type) {
	case *ast.StringNode, *ast.LiteralNode:
		return true
	}
	return false
}

func (d *decoder) text(n ast.Node, v reflect.Value, text string, tag reflect.StructTag) {
	if !isText(n) {
		d.fail(n, "put it in quotes", "expected a string, got %s", kindOf(n))
		return
	}
	if text == "" {
		d.fail(n, "leave the field out or give it a value", "the text is empty")
		return
	}
	if words := enumOf(tag); words != nil && !slices.Contains(words, text) {
		hint := nearest.Hint(text, words)
		if hint == "" {
			hint = "one of " + strings.Join(words, ", ")
		}
		d.fail(n, hint, "unknown word %q", text)
		return
	}
	v.SetString(text)
}

// enumOf returns the words that a field's innermost string may be, or nil.
func enumOf(tag reflect.StructTag) []string {
	if e := tag.Get("enum"); e != "" {
		return strings.Split(e, ",")
	}
	return nil
}

func wanted(k reflect.Kind) string {
	switch k {
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Float64:
		return "a number"
	}
	return "a whole number"
}

// generic decodes into any: string, bool, int64, float64, []any, map[string]any.
func (d *decoder) generic(n ast.Node, v reflect.Value, path string) {
	var to reflect.Value
	switch x := n.(type) {
	case *ast.StringNode, *ast.LiteralNode:
		text, _ := d.scalar(n, "")
		v.Set(reflect.ValueOf(text))
		return
	case *ast.BoolNode:
		v.Set(reflect.ValueOf(x.Value))
		return
	case *ast.IntegerNode:
		to = reflect.New(reflect.TypeFor[int64]()).Elem()
	case *ast.FloatNode:
		to = reflect.New(reflect.TypeFor[float64]()).Elem()
	case *ast.SequenceNode:
		to = reflect.New(reflect.TypeFor[[]any]()).Elem()
		d.list(n, to, path, "")
		v.Set(to)
		return
	case *ast.MappingNode, *ast.MappingValueNode:
		to = reflect.New(reflect.TypeFor[map[string]any]()).Elem()
		d.mapping(n, to, path, "")
		v.Set(to)
		return
	default:
		d.fail(n, "", "%s cannot stand here", kindOf(n))
		return
	}
	d.basic(n, to, "")
	v.Set(to)
}
