package setup

import (
	"context"
	"regexp"
	"slices"
	"strings"
)

// sign is a word in a name that suggests a label.
type sign struct{ word, label string }

// signs are the words that names are searched for, once lower-cased and split
// into words at everything but letters. A word of three letters or fewer must
// stand alone.
func signs() []sign {
	return []sign{
		{"ssn", "pii"}, {"socialsecurity", "pii"}, {"taxid", "pii"}, {"taxnumber", "pii"}, {"nin", "pii"}, {"passport", "pii"}, {"nationalid", "pii"},
		{"driverlicense", "pii"}, {"email", "pii"}, {"mail", "pii"}, {"phone", "pii"}, {"mobile", "pii"}, {"fax", "pii"}, {"birth", "pii"}, {"dob", "pii"},
		{"firstname", "pii"}, {"lastname", "pii"}, {"surname", "pii"}, {"fullname", "pii"}, {"maiden", "pii"}, {"gender", "pii"}, {"religion", "pii"},
		{"ethnicity", "pii"}, {"street", "pii"}, {"address", "pii"}, {"postcode", "pii"}, {"zipcode", "pii"}, {"latitude", "pii"}, {"longitude", "pii"},
		{"diagnosis", "health"}, {"medical", "health"}, {"patient", "health"},
		{"card", "card"}, {"pan", "card"}, {"cvv", "card"}, {"cvc", "card"}, {"iban", "bank"}, {"bic", "bank"}, {"swift", "bank"}, {"accountnumber", "bank"},
		{"routingnumber", "bank"}, {"salary", "bank"},
		{"password", "secret"}, {"passwd", "secret"}, {"pwd", "secret"}, {"passphrase", "secret"}, {"secret", "secret"}, {"token", "secret"}, {"apikey", "secret"},
		{"accesskey", "secret"}, {"privatekey", "secret"}, {"credential", "secret"}, {"otp", "secret"}, {"pin", "secret"}, {"salt", "secret"},
	}
}

// wordEnd separates the words of a name.
var wordEnd = regexp.MustCompile(`[^a-z]+`)

// Sensitive returns the label that a name suggests, and the word that suggests
// it; empty if none does. It goes by the name alone: what stands in a column
// called "notes" it cannot know.
func Sensitive(name string) (label, word string) {
	words := wordEnd.Split(strings.ToLower(camel(name)), -1)
	joined := strings.Join(words, "")
	for _, s := range signs() {
		if slices.Contains(words, s.word) || len(s.word) > 3 && strings.Contains(joined, s.word) {
			return s.label, s.word
		}
	}
	return "", ""
}

// camel puts a blank before a capital letter that follows a small one.
func camel(s string) string {
	var b strings.Builder
	small := false
	for _, c := range s {
		if small && c >= 'A' && c <= 'Z' {
			b.WriteByte(' ')
		}
		small = c >= 'a' && c <= 'z'
		b.WriteRune(c)
	}
	return b.String()
}

// columns lists the columns without labels whose names, types or fields look
// sensitive. Views have the labels of what they show, children and partitions
// those of their parents, and what is generated those of what it is made from.
func (s *surveyor) columns(ctx context.Context) {
	s.r.rows(ctx, "columns", 7, `SELECT n.nspname, c.relname, a.attname, t.typname, coalesce((SELECT string_agg(f.attname, ' ' ORDER BY f.attnum)
			FROM pg_catalog.pg_attribute f JOIN pg_catalog.pg_class k ON k.oid = f.attrelid
			WHERE k.oid = coalesce(nullif(e.typrelid, 0), t.typrelid) AND k.relkind = 'c' AND f.attnum > 0 AND NOT f.attisdropped), ''),
			coalesce(e.typname, ''), quote_ident(n.nspname) || '.' || quote_ident(c.relname) || '.' || quote_ident(a.attname)
		FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
		JOIN pg_catalog.pg_type t ON t.oid = a.atttypid LEFT JOIN pg_catalog.pg_type e ON e.oid = t.typelem AND t.typcategory = 'A'
		WHERE c.relkind IN ('r', 'p', 'f') AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' AND a.attinhcount = 0
		AND t.typname <> 'bool' AND `+userSchema+` AND `+s.notOfExtension("pg_class", "c")+` ORDER BY 1, 2, a.attnum`, func(f []string) error {
		if s.labelled[f[0]+"\x00"+f[1]+"\x00"+f[2]] {
			return nil
		}
		for _, place := range []struct{ name, what string }{{f[2], "its name"}, {f[3], "its type " + f[3]}, {f[5], "its type " + f[5]}, {f[4], "a field of its type"}} {
			if label, word := Sensitive(place.name); label != "" {
				s.add(Item{Kind: "column", Object: f[6], Label: label, Why: "it has no label, and " + place.what + " says " + word + ": it is shown plainly", Note: f[3]})
				return nil
			}
		}
		return nil
	})
}
