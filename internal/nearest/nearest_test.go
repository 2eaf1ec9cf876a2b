package nearest

import (
	"slices"
	"strings"
	"testing"
)

func TestName(t *testing.T) {
	names := []string{"public.customers", "public.orders", "ssn", "email", "block", "hold", "allow"}
	for word, want := range map[string]string{
		"public.custmoers": "public.customers",
		"PUBLIC.ORDERS":    "public.orders",
		"snn":              "ssn",
		"x":                "",
		"alow":             "allow",
		"deny":             "",
		"":                 "",
		"ss":               "ssn",
	} {
		if got := Name(word, slices.Values(names)); got != want {
			t.Errorf("Name(%q) = %q, want %q", word, got, want)
		}
	}
	if got := Name(strings.Repeat("a", maxWord+1), slices.Values([]string{strings.Repeat("a", maxWord+1)})); got != "" {
		t.Errorf("a word without a bound has %q", got)
	}
}

func TestHint(t *testing.T) {
	if got := Hint("hodl", []string{"hold"}); got != `did you mean "hold"?` {
		t.Error(got)
	}
	if got := Hint("hodl", nil); got != "" {
		t.Error(got)
	}
}
