package postgres

import (
	"testing"

	"github.com/sallyport-gateway/sallyport/internal/gate"
)

// refusals checks which texts are refused under a mask.
func refusals(t *testing.T, mask string, texts map[string]bool) {
	t.Helper()
	in := inspector(t, database, corpusMarks, corpusFunctions)
	for text, refused := range texts {
		_, err := inspect(t, in, text).AppendSQL(nil, gate.Masks{"pii": mask, "card": mask})
		if (err != nil) != refused {
			t.Errorf("%s under %s: %v", text, mask, err)
		}
	}
}

// TestWhatMakesSomethingOfAMaskIsRefused: it would look like an answer.
func TestWhatMakesSomethingOfAMaskIsRefused(t *testing.T) {
	refusals(t, gate.MaskRedact, map[string]bool{
		"SELECT lower(coalesce(email, '')) FROM customers":                          false,
		"SELECT md5(lower(email)) FROM customers":                                   true,
		"SELECT length(coalesce(email, '')) FROM customers":                         true,
		"SELECT concat(ssn)::int FROM customers":                                    true,
		"SELECT * FROM customers c, json_array_elements(json_build_array(c.email))": true,
		"SELECT id FROM customers ORDER BY coalesce(email, '')":                     true,
		"SELECT id, lower(email) AS e FROM customers ORDER BY e":                    true,
		"SELECT lower(email), id FROM customers ORDER BY 1":                         true,
		"SELECT lower(email), count(*) FROM customers GROUP BY 1":                   true,
		"SELECT DISTINCT upper(email) FROM customers":                               true,
		"SELECT array_agg(DISTINCT email) FROM customers":                           true,
		"SELECT count(DISTINCT lower(email)) FROM customers":                        true,
		"SELECT email || '' FROM customers UNION SELECT name FROM customers":        true,
		"SELECT id FROM customers WHERE concat(email) LIKE 'alice%'":                true,
		"SELECT region FROM customers GROUP BY region HAVING max(email) > 'b'":      true,
		"SELECT CASE WHEN upper(email) LIKE 'A%' THEN 1 END FROM customers":         true,
		"SELECT string_agg(name, ',' ORDER BY email) FROM customers":                true,
		"UPDATE customers SET notes = lower(email)":                                 true,
		"UPDATE customers SET email = email || ''":                                  true,
		"UPDATE customers SET email = CASE WHEN id = 1 THEN email END":              true,
		"UPDATE customers SET (notes, region) = ROW(lower(email), 'EU')":            true,
		"UPDATE customers SET notes = (SELECT lower(c.email) FROM customers c)":     true,
	})
}
