package setup

import (
	"slices"
	"strings"

	"github.com/sallyport-gateway/sallyport/internal/gate"
)

// normalReviews spells the reviewed signatures as the catalog prints them.
func normalReviews(all map[string]gate.Effects) map[string]gate.Effects {
	out := map[string]gate.Effects{}
	for signature, e := range all {
		out[normalSignature(signature)] = e
	}
	return out
}

// review returns what a review says of a function, by its signature, its name
// or its extension.
func review(all map[string]gate.Effects, signature, extension string) (gate.Effects, bool) {
	name, _, _ := strings.Cut(signature, "(")
	keys := []string{normalSignature(signature), name + "(*)"}
	if extension != "" {
		keys = append(keys, "extension "+extension)
	}
	for _, k := range keys {
		if e := all[k]; e != 0 {
			return e, true
		}
	}
	return 0, false
}

// normalSignature spells the types of a signature as format_type does.
func normalSignature(s string) string {
	open := strings.IndexByte(s, '(')
	if open < 0 || !strings.HasSuffix(s, ")") {
		return strings.TrimSpace(s)
	}
	args := strings.Split(s[open+1:len(s)-1], ",")
	for i, a := range args {
		base := strings.Join(strings.Fields(a), " ")
		base, array := strings.CutSuffix(base, "[]")
		if long, ok := longTypes()[strings.ToLower(base)]; ok {
			base = long
		}
		if args[i] = base; array {
			args[i] += "[]"
		}
	}
	return strings.TrimSpace(s[:open]) + "(" + strings.Join(args, ", ") + ")"
}

// longTypes are the names that format_type spells in another way.
func longTypes() map[string]string {
	return map[string]string{
		"int": "integer", "int4": "integer", "int8": "bigint", "int2": "smallint", "float8": "double precision", "float": "double precision",
		"float4": "real", "decimal": "numeric", "bool": "boolean", "varchar": "character varying", "char": "character", "bpchar": "character",
		"timestamptz": "timestamp with time zone", "timestamp": "timestamp without time zone", "timetz": "time with time zone",
		"time": "time without time zone", "varbit": "bit varying",
	}
}

// reaching are extensions whose functions leave the database: other servers,
// files, programs, raw pages.
func reaching(extension string) bool {
	return slices.Contains([]string{"dblink", "postgres_fdw", "file_fdw", "oracle_fdw", "mysql_fdw", "tds_fdw", "multicorn", "adminpack", "pageinspect",
		"pg_surgery", "http", "pg_net", "pg_cron", "aws_s3", "aws_lambda", "pg_background", "plsh", "lo"}, extension)
}
