package postgres

import (
	"fmt"
	"strings"

	"github.com/sallyport-gateway/sallyport/internal/gate"
)

// The masks of this package besides gate.MaskPlain and gate.MaskRedact.
const (
	// MaskNull shows NULL.
	MaskNull = "null"
	// MaskLast4 shows the last four characters of a text of at least eight. It
	// leaks those.
	MaskLast4 = "last4"
	// MaskEmail shows the first character and the domain. It leaks those.
	MaskEmail = "email"
	// MaskDateYear shows the year, in UTC. It leaks that.
	MaskDateYear = "date-year"
	// MaskToken shows a keyed token of the value: equal values stay equal.
	MaskToken = "token"
	// MaskDigits replaces digits by zeros and leaves the format. It leaks the
	// length and everything that is not a digit.
	MaskDigits = "digits"
)

// redactedText is what redact makes of a text.
const redactedText = "[redacted]"

// MaskLeaks reports whether a mask shows a part of the value, and what; known
// is false for a name that is no mask.
func MaskLeaks(mask string) (what string, known bool) {
	switch mask {
	case gate.MaskRedact, MaskNull:
		return "", true
	case gate.MaskPlain:
		return "the value", true
	case MaskLast4:
		return "the last four characters", true
	case MaskEmail:
		return "the first character and the domain", true
	case MaskDateYear:
		return "the year", true
	case MaskToken:
		return "which values are equal", true
	case MaskDigits:
		return "the length and everything but the digits", true
	}
	return "", false
}

// strictest picks the mask of a column with several labels: one that all agree
// on, else redact.
func strictest(names []string) string {
	mask := ""
	for _, n := range names {
		if n == gate.MaskPlain {
			continue
		}
		if mask != "" && mask != n {
			return gate.MaskRedact
		}
		mask = n
	}
	if mask == "" {
		return gate.MaskPlain
	}
	return mask
}

// maskFor returns the mask of a set of labels.
func (t *labelTable) maskFor(s labelSet, masks gate.Masks) string {
	var names []string
	for _, l := range t.list(s) {
		names = append(names, masks.For(l))
	}
	return strictest(names)
}

// masked returns the labels of a set that are not shown plainly.
func (t *labelTable) masked(s labelSet, masks gate.Masks) labelSet {
	var out labelSet
	for i, n := range t.names {
		if s&(1<<i) != 0 && masks.For(n) != gate.MaskPlain {
			out |= 1 << i
		}
	}
	return out
}

// columnSQL writes a column of a select list under a mask. The result has the
// column's type, except that a domain becomes its base type, which is what
// PostgreSQL announces to a client anyway; a domain's checks would refuse masks.
//
// redact makes '[redacted]' of every kind of text, the same as a JSON string of
// json, and NULL of every other type: a zero would look like a value. All masks
// but null keep NULL as it is for types that they can show.
func (in *Inspector) columnSQL(b *strings.Builder, m maskedColumn, scope, mask string) {
	c := m.column
	ref := scope + quoteIdent(c.name)
	if mask == gate.MaskPlain {
		b.WriteString(ref)
		return
	}
	t := in.cat.types[c.typ]
	typeSQL := c.typeSQL
	for t != nil && t.kind == 'd' {
		typeSQL = t.baseSQL
		t = in.cat.types[t.base]
	}
	if m.computed {
		in.constantSQL(b, t, typeSQL, mask)
		return
	}
	value, also := in.maskValue(t, typeSQL, ref, mask, 0), ""
	if m.alone && showsPart(mask) {
		also = stored(scope)
	}
	if t != nil && t.kind == 'c' && value != "" {
		// IS NOT NULL of a row asks for every field.
		fmt.Fprintf(b, "CASE WHEN %s IS DISTINCT FROM NULL%s THEN CAST ( %s AS %s ) ELSE CAST ( NULL AS %s ) END", ref, also, value, typeSQL, typeSQL)
		return
	}
	if value == "" {
		fmt.Fprintf(b, "CAST ( NULL AS %s )", typeSQL)
		return
	}
	text := t.oid == oidText
	switch {
	case also != "":
	case keepsNull(t, mask) && text:
		b.WriteString(value)
		return
	case keepsNull(t, mask):
		fmt.Fprintf(b, "CAST ( %s AS %s )", value, typeSQL)
		return
	case text:
		fmt.Fprintf(b, "CASE WHEN %s IS NOT NULL THEN %s END", ref, value)
		return
	}
	// Both branches have the type's modifier, so that the whole has it.
	fmt.Fprintf(b, "CASE WHEN %s IS NOT NULL%s THEN CAST ( %s AS %s ) ELSE CAST ( NULL AS %s ) END", ref, also, value, typeSQL, typeSQL)
}

// constantSQL writes the mask of a computed column: it does not look at the
// column, so that the column is not computed and NULL shows nothing. Masks that
// show a part become redact.
func (in *Inspector) constantSQL(b *strings.Builder, t *typeInfo, typeSQL, mask string) {
	value := ""
	if t != nil && t.kind != 'c' && mask != MaskNull {
		value = in.redactValue(t, "", 0)
	}
	if value == "" {
		value = "NULL"
	}
	fmt.Fprintf(b, "CAST ( %s AS %s )", value, typeSQL)
}

// maxMaskDepth bounds composites within composites.
const maxMaskDepth = 8

// maskValue returns an expression for a value that is not null; empty means NULL.
// Every row pays for it, and every text for its analysis and planning: texts are
// joined by ||, which takes half the time of concat, and nothing is cast that is
// a text already.
func (in *Inspector) maskValue(t *typeInfo, typeSQL, ref, mask string, depth int) string {
	if t == nil || depth > maxMaskDepth {
		return ""
	}
	text, plain := t.category == 'S' && t.elem == 0, ref
	if t.oid != oidText {
		plain = ref + " :: pg_catalog.text"
	}
	switch {
	case mask == MaskNull:
		return ""
	case t.elem != 0 && t.category == 'A' && mask != gate.MaskRedact:
		if value := in.maskElements(t, typeSQL, ref, mask, depth); value != "" {
			return value
		}
	case t.kind == 'c':
		return in.maskFields(t, ref, depth, func(*Column) (string, []labelPart) { return mask, nil }, nil)
	case mask == MaskToken:
		if value := tokenValue(t, typeSQL, ref); value != "" {
			return value
		}
	case mask == MaskDateYear && t.category == 'D' && (strings.HasPrefix(t.name, "timestamp") || t.name == "date"):
		// The year in UTC: that of the session's time zone, which the agent sets, would
		// tell the days around a new year apart. A date that has no whole year
		// as a timestamp shows none: an error would tell of the value.
		if t.name == "timestamptz" {
			ref = "pg_catalog.timezone ( 'UTC' , " + ref + " )"
		}
		first, last := " OPERATOR(pg_catalog.>=) '4713-01-01 BC'", ""
		if t.name == "date" { // some are no timestamps
			last = " AND " + ref + " OPERATOR(pg_catalog.<) '294277-01-01'"
		}
		return "CASE WHEN " + ref + first + last + " THEN pg_catalog.date_trunc ( 'year' , " + ref + " :: pg_catalog.timestamp ) END"
	case mask == MaskDateYear && text:
		year := "pg_catalog.\"left\" ( " + plain + " , 4 )"
		return "CASE WHEN pg_catalog.length ( " + plain + " ) OPERATOR(pg_catalog.>=) 4 AND pg_catalog.translate ( " + year + " , '0123456789' , '' ) OPERATOR(pg_catalog.=) '' " +
			"THEN " + year + " ELSE '" + redactedText + "' END"
	case mask == MaskLast4 && text:
		return "'****' OPERATOR(pg_catalog.||) pg_catalog.\"right\" ( " + plain + " , CASE WHEN pg_catalog.length ( " + plain + " ) OPERATOR(pg_catalog.>=) 8 THEN 4 ELSE 0 END )"
	case mask == MaskEmail && text:
		return "CASE WHEN pg_catalog.strpos ( " + plain + " , '@' ) OPERATOR(pg_catalog.>) 1 THEN pg_catalog.\"left\" ( " + plain + " , 1 ) OPERATOR(pg_catalog.||) '***@' OPERATOR(pg_catalog.||) pg_catalog.split_part ( " + plain + " , '@' , 2 ) " +
			"WHEN " + ref + " IS NOT NULL THEN '***' END"
	case mask == MaskDigits && text:
		return "pg_catalog.translate ( " + plain + " , '123456789' , '000000000' )"
	}
	return in.redactValue(t, ref, depth)
}

// keepsNull reports whether the expression of a mask is NULL for NULL.
func keepsNull(t *typeInfo, mask string) bool {
	switch mask {
	case MaskLast4, MaskEmail, MaskDigits:
		return t.category == 'S' && t.elem == 0
	}
	return false
}

// redactValue returns the constant for a type; empty means NULL.
func (in *Inspector) redactValue(t *typeInfo, ref string, depth int) string {
	switch {
	case t.elem != 0 && t.category == 'A':
		elem := in.cat.types[t.elem]
		if elem != nil && elem.category == 'S' && elem.kind == 'b' {
			return "ARRAY [ '" + redactedText + "' ]"
		}
		return ""
	case t.category == 'S' && t.kind == 'b':
		return "'" + redactedText + "'"
	case t.name == "json" || t.name == "jsonb":
		return `'"` + redactedText + `"'`
	case t.kind == 'c':
		return in.maskFields(t, ref, depth, func(*Column) (string, []labelPart) { return gate.MaskRedact, nil }, nil)
	}
	return ""
}

// quoteIdent writes an identifier in quotes.
func quoteIdent(name string) string {
	return `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
}
