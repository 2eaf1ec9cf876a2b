package postgres

import (
	"strings"

	"github.com/sallyport-gateway/sallyport/internal/gate"
)

// reviewed returns what a review says of a function.
func (in *Inspector) reviewed(f *function) (gate.Effects, bool) {
	for _, name := range []string{normalSignature(f.signature()), f.schema + "." + f.name + "(*)"} {
		if e, ok := in.functions[name]; ok && e != 0 {
			return e, true
		}
	}
	if f.extension != "" {
		if e, ok := in.functions["extension "+f.extension]; ok && e != 0 {
			return e, true
		}
	}
	return 0, false
}

// normalSignature brings a signature to the form that the catalog prints.
func normalSignature(s string) string {
	open := strings.IndexByte(s, '(')
	if open < 0 || !strings.HasSuffix(s, ")") {
		return strings.TrimSpace(s)
	}
	args := strings.Split(s[open+1:len(s)-1], ",")
	for i, a := range args {
		args[i] = normalType(strings.Join(strings.Fields(a), " "))
	}
	return strings.TrimSpace(s[:open]) + "(" + strings.Join(args, ", ") + ")"
}

// normalType spells a type as format_type does.
func normalType(t string) string {
	base, array := t, ""
	if strings.HasSuffix(base, "[]") {
		base, array = base[:len(base)-2], "[]"
	}
	switch strings.ToLower(base) {
	case "int", "int4":
		base = "integer"
	case "int8":
		base = "bigint"
	case "int2":
		base = "smallint"
	case "float8", "float", "double":
		base = "double precision"
	case "float4":
		base = "real"
	case "decimal":
		base = "numeric"
	case "bool":
		base = "boolean"
	case "varchar":
		base = "character varying"
	case "char", "bpchar":
		base = "character"
	case "timestamptz":
		base = "timestamp with time zone"
	case "timestamp":
		base = "timestamp without time zone"
	case "timetz":
		base = "time with time zone"
	case "time":
		base = "time without time zone"
	case "varbit":
		base = "bit varying"
	}
	return base + array
}
