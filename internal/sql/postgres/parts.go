package postgres

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sallyport-gateway/sallyport/internal/gate"
	"github.com/sallyport-gateway/sallyport/internal/nearest"
)

// labelPart is a labelled part of a column's value: a field of a composite, or a
// member of a jsonb document.
type labelPart struct {
	path   []string
	labels labelSet
}

// maxPath bounds the path of a part.
const maxPath = 8

// partsOf says whether parts of a type can be labelled by themselves, and checks
// the names that can be known. whole means that the label covers all of it.
func (c *Catalog) partsOf(o oid, path []string) (whole bool, err error) {
	t := c.base(o)
	switch {
	case t == nil || len(path) == 0:
		return true, nil
	case len(path) > maxPath:
		return false, fmt.Errorf("a path of more than %d names", maxPath)
	case t.kind == 'c':
		rel := c.relations[t.relation]
		if rel == nil {
			return true, nil
		}
		field := rel.column(path[0])
		if field == nil {
			return false, fmt.Errorf("%s.%s has no field %s%s", t.schema, t.name, path[0], didYouMean(nearest.Name(path[0], columnNames(rel))))
		}
		if len(path) == 1 {
			return false, nil
		}
		_, err := c.partsOf(field.typ, path[1:])
		return false, err
	case t.name == "jsonb" && t.oid < firstUserOID:
		return false, nil
	case t.name == "json" && t.oid < firstUserOID, t.category == 'A' && c.hasParts(t.elem):
		return true, nil
	}
	return false, fmt.Errorf("values of type %s have no parts", t.name)
}

func (c *Catalog) hasParts(o oid) bool {
	t := c.base(o)
	return t == nil || t.kind == 'c' || t.name == "json" || t.name == "jsonb"
}

// base returns what a domain is based on.
func (c *Catalog) base(o oid) *typeInfo {
	t := c.types[o]
	for t != nil && t.kind == 'd' {
		t = c.types[t.base]
	}
	return t
}

func columnNames(rel *Relation) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for i := range rel.columns {
			if !yield(rel.columns[i].name) {
				return
			}
		}
	}
}

// partsSQL writes a column of which only parts are masked; false means that it
// cannot be done, and the column is masked as a whole.
func (in *Inspector) partsSQL(b *strings.Builder, m maskedColumn, scope string, masks gate.Masks) bool {
	c := m.column
	parts := slices.DeleteFunc(slices.Clone(m.parts), func(p labelPart) bool { return in.labels.masked(p.labels, masks) == 0 })
	ref := scope + quoteIdent(c.name)
	if len(parts) == 0 {
		b.WriteString(ref)
		return true
	}
	t := in.cat.types[c.typ]
	typeSQL := c.typeSQL
	for t != nil && t.kind == 'd' {
		typeSQL = t.baseSQL
		t = in.cat.types[t.base]
	}
	value := in.partsValue(t, ref, parts, masks, 0)
	if value == "" {
		return false
	}
	also := ""
	if m.alone {
		also = stored(scope)
	}
	fmt.Fprintf(b, "CASE WHEN %s IS DISTINCT FROM NULL%s THEN CAST ( %s AS %s ) ELSE CAST ( NULL AS %s ) END", ref, also, value, typeSQL, typeSQL)
	return true
}

// partsValue returns an expression for a value of which parts are masked; empty
// means that it cannot be done.
func (in *Inspector) partsValue(t *typeInfo, ref string, parts []labelPart, masks gate.Masks, depth int) string {
	switch {
	case t == nil || depth > maxMaskDepth:
		return ""
	case t.kind == 'c':
		return in.maskFields(t, ref, depth, func(f *Column) (string, []labelPart) {
			var whole labelSet
			var inner []labelPart
			for _, p := range parts {
				switch {
				case p.path[0] != f.name:
				case len(p.path) == 1:
					whole |= p.labels
				default:
					inner = append(inner, labelPart{p.path[1:], p.labels})
				}
			}
			if mask := in.labels.maskFor(whole, masks); mask != gate.MaskPlain {
				return mask, nil
			}
			return gate.MaskPlain, inner
		}, masks)
	case t.name == "jsonb":
		value := ref
		for _, p := range parts {
			value = in.memberSQL(value, p.path, in.labels.maskFor(p.labels, masks), depth)
		}
		return value
	}
	return ""
}

// maskFields returns a row with each field under the mask that maskOf says, or
// with parts of it masked; empty if the type is not known.
func (in *Inspector) maskFields(t *typeInfo, ref string, depth int, maskOf func(*Column) (string, []labelPart), masks gate.Masks) string {
	rel := in.cat.relations[t.relation]
	if rel == nil || len(rel.columns) == 0 {
		return ""
	}
	fields := make([]string, len(rel.columns))
	for i := range rel.columns {
		c := &rel.columns[i]
		field := "( " + ref + " ) . " + quoteIdent(c.name)
		mask, parts := maskOf(c)
		ft, sql := in.cat.types[c.typ], c.typeSQL
		value, present := "", " IS NOT NULL"
		switch {
		case mask == gate.MaskPlain && len(parts) == 0:
			fields[i] = field
			continue
		case ft != nil && ft.kind == 'd':
			// A mask would have to pass the domain's checks inside of the row.
		case len(parts) > 0:
			value = in.partsValue(ft, field, parts, masks, depth+1)
		default:
			value = in.maskValue(ft, sql, field, mask, depth+1)
		}
		if ft != nil && ft.kind == 'c' {
			present = " IS DISTINCT FROM NULL"
		}
		if value == "" {
			fields[i] = "NULL"
			continue
		}
		fields[i] = "CASE WHEN " + field + present + " THEN CAST ( " + value + " AS " + sql + " ) END"
	}
	return "ROW ( " + strings.Join(fields, " , ") + " )"
}

// maskElements masks every element of an array; empty if its elements do not suit
// the mask.
func (in *Inspector) maskElements(t *typeInfo, typeSQL, ref, mask string, depth int) string {
	elem := in.cat.types[t.elem]
	elemSQL, ok := strings.CutSuffix(typeSQL, "[]")
	if elem == nil || !ok || elem.kind != 'b' || depth > 0 {
		return ""
	}
	const element = `"sallyport_e" . "v"`
	value := in.maskValue(elem, elemSQL, element, mask, depth+1)
	if value == "" {
		return ""
	}
	return `COALESCE ( ( SELECT pg_catalog.array_agg ( CASE WHEN ` + element + ` IS NOT NULL THEN CAST ( ` + value + ` AS ` + elemSQL + ` ) END ORDER BY "sallyport_e" . "n" )` +
		` FROM pg_catalog.unnest ( ` + ref + ` ) WITH ORDINALITY AS "sallyport_e" ( "v" , "n" ) ) , '{}' )`
}

// memberSQL masks the member of a jsonb document at a path. An array on the way
// stands for its elements, as in the lax mode of SQL/JSON paths; an array inside
// of such an array is masked as a whole. What has no member of that name is left
// as it is.
//
// OFFSET 0 keeps the planner from writing the document out once for each of its
// uses, which doubles with every level.
func (in *Inspector) memberSQL(doc string, path []string, mask string, depth int) string {
	n := fmt.Sprint(depth + len(path)) // names must differ within one another
	object, element, list := `"sallyport_o`+n+`"`, `"sallyport_e`+n+`"`, `"sallyport_l`+n+`"`
	value := element + ` . "v"`
	key := quoteLiteral(path[0]) + " :: pg_catalog.text"
	member := "pg_catalog.jsonb_object_field ( " + value + " , " + key + " )"
	var masked string
	if len(path) > 1 {
		masked = in.memberSQL(member, path[1:], mask, depth)
	} else {
		masked = in.memberMask(member, "pg_catalog.jsonb_extract_path_text ( "+value+" , "+key+" )", mask)
	}
	const redacted = `CAST ( '"` + redactedText + `"' AS pg_catalog.jsonb )`
	one := "CASE pg_catalog.jsonb_typeof ( " + value + " ) WHEN 'object' THEN CASE WHEN pg_catalog.jsonb_exists ( " + value + " , " + key + " )" +
		" THEN pg_catalog.jsonb_concat ( " + value + " , pg_catalog.jsonb_build_object ( " + key + " , " + masked + " ) ) ELSE " + value + " END" +
		" WHEN 'array' THEN " + redacted + " ELSE " + value + " END"
	isArray := "pg_catalog.jsonb_typeof ( " + object + ` . "d" ) OPERATOR(pg_catalog.=) 'array'`
	return "( SELECT CASE WHEN " + isArray + " THEN COALESCE ( " + list + ` . "l" , CAST ( '[]' AS pg_catalog.jsonb ) ) ELSE pg_catalog.jsonb_array_element ( ` + list + ` . "l" , 0 ) END` +
		" FROM ( SELECT " + doc + ` AS "d" OFFSET 0 ) AS ` + object + " , LATERAL ( SELECT pg_catalog.jsonb_agg ( " + one + " ORDER BY " + element + ` . "n" ) AS "l"` +
		" FROM pg_catalog.jsonb_array_elements ( CASE WHEN " + isArray + " THEN " + object + ` . "d" ELSE pg_catalog.jsonb_build_array ( ` + object + ` . "d" ) END )` +
		" WITH ORDINALITY AS " + element + ` ( "v" , "n" ) ) AS ` + list + " )"
}

// memberMask is the mask of one member, which is json or, of a scalar, text.
func (in *Inspector) memberMask(member, text, mask string) string {
	const redacted = `CAST ( '"` + redactedText + `"' AS pg_catalog.jsonb )`
	value := redacted
	switch mask {
	case gate.MaskRedact:
	case MaskNull:
		value = "CAST ( 'null' AS pg_catalog.jsonb )"
	default:
		scalar := in.maskValue(&typeInfo{oid: oidText, schema: "pg_catalog", name: "text", kind: 'b', category: 'S'}, "text", text, mask, 0)
		value = "CASE WHEN pg_catalog.jsonb_typeof ( " + member + " ) IN ( 'object' , 'array' ) THEN " + redacted +
			" ELSE pg_catalog.to_jsonb ( CAST ( " + scalar + " AS pg_catalog.text ) ) END"
	}
	return "CASE WHEN pg_catalog.jsonb_typeof ( " + member + " ) OPERATOR(pg_catalog.=) 'null' THEN " + member + " ELSE " + value + " END"
}
