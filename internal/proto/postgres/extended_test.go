package postgres

import "testing"

func TestTextsThatMayMeanSomethingElseAreParsedAnew(t *testing.T) {
	for text, want := range map[string]bool{
		"SELECT a FROM t WHERE b = $1 AND c = $12": false,
		"SELECT 1.5e3, NULL, TRUE":                 false,
		"SELECT 'now'::timestamptz":                true,
		"SELECT E'\\x6eow'":                        true,
		"SELECT $$now$$":                           true,
		"SELECT $a$now$a$":                         true,
		"SELECT $":                                 true,
		"SELECT * FROM t WHERE a = $1":             true,
		"SELECT U&'now'":                           true,
	} {
		if got := unsteady(text); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}
