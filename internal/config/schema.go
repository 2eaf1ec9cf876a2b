package config

import (
	"encoding"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/google/jsonschema-go/jsonschema"
)

const dialect = "https://json-schema.org/draft/2020-12/schema"

// Schema returns the JSON Schema of one document of the kinds, generated from
// their Go types and struct tags.
func Schema(kinds []Kind) ([]byte, error) {
	root := &jsonschema.Schema{Schema: dialect, Title: "Sallyport document", Type: "object", Required: []string{"kind"},
		Defs: map[string]*jsonschema.Schema{}}
	for _, k := range kinds {
		s := schemaOf(reflect.TypeOf(k.New()), "")
		s.Title, s.Description = k.Name, k.Doc
		var word any = k.Name
		s.Properties["kind"] = &jsonschema.Schema{Const: &word, Description: "The sort of document."}
		order := slices.DeleteFunc(s.PropertyOrder, func(p string) bool { return p == "kind" })
		s.PropertyOrder = append([]string{"kind"}, order...)
		s.Required = append([]string{"kind"}, s.Required...)
		root.Defs[k.Name] = s
		root.OneOf = append(root.OneOf, &jsonschema.Schema{Ref: "#/$defs/" + k.Name})
	}
	return json.MarshalIndent(root, "", "  ")
}

// ProcessSchema returns the JSON Schema of sallyport.yaml. protocols are the
// listeners besides the console; none accepts any word.
func ProcessSchema(protocols ...string) ([]byte, error) {
	root := schemaOf(reflect.TypeFor[Process](), "")
	root.Schema, root.Title = dialect, "sallyport.yaml"
	if len(protocols) > 0 {
		words := []any{ListenConsole}
		for _, p := range protocols {
			words = append(words, p)
		}
		root.Properties["listen"].PropertyNames = &jsonschema.Schema{Enum: words}
	}
	return json.MarshalIndent(root, "", "  ")
}

// durationPattern is what time.ParseDuration accepts and parseDuration leaves.
const durationPattern = `^([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$`

// schemaOf follows the same rules as the decoder.
func schemaOf(t reflect.Type, tag reflect.StructTag) *jsonschema.Schema {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	p := reflect.New(t).Interface()
	_, custom := p.(unmarshaler)
	_, text := p.(encoding.TextUnmarshaler)
	switch {
	case t == reflect.TypeFor[time.Duration]():
		return &jsonschema.Schema{Type: "string", Pattern: durationPattern}
	case t == reflect.TypeFor[Size]():
		return &jsonschema.Schema{Types: []string{"string", "integer"}, Pattern: `^[0-9]+ ?([KMGT]iB|[kMGT]?B)?$`}
	case custom:
		return &jsonschema.Schema{}
	case text:
		return &jsonschema.Schema{Types: []string{"string", "integer", "number", "boolean"}}
	}
	switch t.Kind() {
	case reflect.Struct:
		return structSchema(t)
	case reflect.Map:
		return &jsonschema.Schema{Type: "object", AdditionalProperties: schemaOf(t.Elem(), tag)}
	case reflect.Slice:
		return &jsonschema.Schema{Type: "array", Items: schemaOf(t.Elem(), tag)}
	case reflect.String:
		s := &jsonschema.Schema{Type: "string"}
		for _, w := range enumOf(tag) {
			s.Enum = append(s.Enum, w)
			if w == "null" { // YAML readers give the bare word as null
				s.Enum, s.Type, s.Types = append(s.Enum, nil), "", []string{"string", "null"}
			}
		}
		return s
	case reflect.Bool:
		return &jsonschema.Schema{Type: "boolean"}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		zero := 0.0
		return &jsonschema.Schema{Type: "integer", Minimum: &zero}
	case reflect.Float64:
		return &jsonschema.Schema{Type: "number"}
	}
	return &jsonschema.Schema{}
}

func structSchema(t reflect.Type) *jsonschema.Schema {
	s := &jsonschema.Schema{Type: "object", Properties: map[string]*jsonschema.Schema{},
		AdditionalProperties: &jsonschema.Schema{Not: &jsonschema.Schema{}}}
	for _, f := range fieldsOf(t) {
		p := schemaOf(f.typ, f.tag)
		p.Description = describe(f)
		s.Properties[f.name] = p
		s.PropertyOrder = append(s.PropertyOrder, f.name)
		if f.required {
			s.Required = append(s.Required, f.name)
		}
	}
	return s
}

// describe joins the tags that say what a field means.
func describe(f field) string {
	var parts []string
	if d := f.tag.Get("doc"); d != "" {
		parts = append(parts, d)
	}
	if d := f.tag.Get("default"); d != "" {
		parts = append(parts, "Default: "+strings.TrimSuffix(d, ".")+".")
	}
	if e := f.tag.Get("example"); e != "" {
		parts = append(parts, "Example: "+e)
	}
	return strings.Join(parts, " ")
}
