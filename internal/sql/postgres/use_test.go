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
		"SELECT num_nonnulls(email, ssn, region) FROM customers":                    false,
		"SELECT id FROM customers WHERE num_nulls(email, ssn) = 0":                  false,
		"SELECT num_nulls(VARIADIC ARRAY[email]) FROM customers":                    true,
		"SELECT num_nulls(NULLIF(email, 'a')) FROM customers":                       true,
		"UPDATE customers SET notes = lower(email)":                                 true,
		"UPDATE customers SET email = email || ''":                                  true,
		"UPDATE customers SET email = CASE WHEN id = 1 THEN email END":              true,
		"UPDATE customers SET (notes, region) = ROW(lower(email), 'EU')":            true,
		"UPDATE customers SET notes = (SELECT lower(c.email) FROM customers c)":     true,
	})
}

// TestTokensJoinAndGroup: they show which values are equal, and no more is asked.
func TestTokensJoinAndGroup(t *testing.T) {
	equal := []string{
		"SELECT c.id, p.id FROM customers c JOIN payments p ON p.card_number = c.card_number",
		"SELECT c.id, p.id FROM customers c, payments p WHERE c.card_number = p.card_number AND p.amount > 1",
		"SELECT c.id FROM customers c LEFT JOIN payments p USING (card_number) GROUP BY c.id HAVING count(*) > 1",
		"SELECT id FROM customers c WHERE card_number IN (SELECT card_number FROM payments)",
		"SELECT id FROM customers c WHERE NOT EXISTS (SELECT FROM payments p WHERE p.card_number IS NOT DISTINCT FROM c.card_number)",
		"SELECT card_number, count(*), sum(amount) FROM payments GROUP BY card_number ORDER BY count(*) DESC",
		"SELECT card_number AS n, count(*) FROM payments GROUP BY n",
		"SELECT lower(email), count(*) FROM customers GROUP BY 1",
		"SELECT DISTINCT card_number FROM payments",
		"SELECT DISTINCT ON (card_number) card_number, amount FROM payments",
		"SELECT count(DISTINCT card_number), array_agg(DISTINCT card_number) FROM payments",
		"SELECT card_number FROM customers INTERSECT SELECT card_number FROM payments",
		"SELECT id, sum(amount) OVER (PARTITION BY card_number) FROM payments",
		"SELECT a.id, b.id FROM payments a JOIN payments b ON a.card_number <> b.card_number",
	}
	for _, mask := range []string{gate.MaskRedact, MaskNull, MaskLast4, MaskToken} {
		texts := map[string]bool{}
		for _, text := range equal {
			texts[text] = mask != MaskToken
		}
		refusals(t, mask, texts)
	}
	refusals(t, MaskToken, map[string]bool{
		"SELECT id FROM customers WHERE card_number = '4111111111111111'":                                                   true,
		"SELECT id FROM customers WHERE card_number = $1":                                                                   true,
		"SELECT id FROM customers WHERE card_number = name":                                                                 true,
		"SELECT id FROM customers WHERE name IN (SELECT card_number FROM payments)":                                         true,
		"SELECT id FROM customers WHERE card_number IN (SELECT name FROM customers)":                                        true,
		"SELECT id FROM customers c JOIN (SELECT name AS card_number FROM customers) x USING (card_number)":                 true,
		"SELECT id FROM customers WHERE card_number IN ('4111111111111111')":                                                true,
		"SELECT id FROM customers WHERE card_number LIKE 'tok_0%'":                                                          true,
		"SELECT a.id FROM payments a JOIN payments b ON a.card_number < b.card_number":                                      true,
		"SELECT id FROM payments ORDER BY card_number":                                                                      true,
		"SELECT id, rank() OVER (ORDER BY card_number) FROM payments":                                                       true,
		"SELECT length(card_number) FROM payments":                                                                          true,
		"UPDATE customers c SET notes = 'x' FROM payments p WHERE p.card_number = c.card_number":                            true,
		"MERGE INTO customers c USING payments p ON p.card_number = c.card_number WHEN MATCHED THEN UPDATE SET notes = 'x'": true,
		"UPDATE customers SET notes = 'x' RETURNING ssn = card_number":                                                      true,
		"UPDATE customers SET notes = 'x' RETURNING lower(email)":                                                           true,
		"UPDATE customers SET notes = CASE WHEN ssn = card_number THEN 'same' END":                                          true,
		"DELETE FROM payments p USING customers c WHERE p.card_number = c.card_number":                                      true,
	})
}
