package mask

import (
	"slices"
	"strings"
	"testing"
)

func TestRulesMaskWhatTheyNameAndNothingElse(t *testing.T) {
	const text = "4111 1111 1111 1111 bob@example.com DE89370400440532013000 +4930123456789 password=hunter2 x\n"
	for _, c := range []struct {
		masks map[string]string
		want  string
	}{
		{nil, text},
		{map[string]string{"card": "last4"}, strings.Replace(text, "4111 1111 1111 1111", "****1111", 1)},
		{map[string]string{"email": "email"}, strings.Replace(text, "bob@", "b***@", 1)},
		{map[string]string{"iban": "null"}, strings.Replace(text, "DE89370400440532013000", "", 1)},
		{map[string]string{"phone": "last4", "iban": "last4"}, strings.Replace(strings.Replace(text, "+4930123456789", "****6789", 1), "DE89370400440532013000", "****3000", 1)},
		{map[string]string{"secrets": "redact"}, strings.Replace(text, "hunter2", "[redacted:assignment]", 1)},
		{map[string]string{"secrets": "redact", "assignment": "plain"}, text},
		{map[string]string{"secrets": "plain", "assignment": "null"}, strings.Replace(text, "hunter2", "", 1)},
	} {
		r, err := Compile(c.masks)
		if err != nil {
			t.Fatal(err)
		}
		if got := once(t, r, text); got != c.want {
			t.Errorf("%v:\n got %q\nwant %q", c.masks, got, c.want)
		}
	}
}

func TestEmailMaskKeepsOneCharacterOfSeveral(t *testing.T) {
	r, err := Compile(map[string]string{"email": "email"})
	if err != nil {
		t.Fatal(err)
	}
	if got := once(t, r, "élan@example.com a@example.com\n"); got != "é***@example.com ***@example.com\n" {
		t.Errorf("got %q", got)
	}
}

func TestUnsuitableMasksAndUnknownLabelsAreErrorsThatSayWhatThereIs(t *testing.T) {
	for label, mask := range map[string]string{"secrets": "last4", "jwt": "email", "email": "last4", "card": "email", "card ": "redact", "us-ssn": "last4", "phone": "hash", "iban": ""} {
		_, err := Compile(map[string]string{label: mask})
		if err == nil || !strings.Contains(err.Error(), "redact") && !strings.Contains(err.Error(), "secrets") {
			t.Errorf("%s: %s: error %v", label, mask, err)
		}
	}
}

func TestGroupsHoldEveryDetector(t *testing.T) {
	n := 0
	for _, g := range Groups() {
		n += len(named(g))
		if !Known(g) || !slices.Contains(Masks(g), Redact) {
			t.Errorf("%s is not known or cannot be redacted", g)
		}
	}
	if n != len(Names()) {
		t.Errorf("groups hold %d detectors of %d", n, len(Names()))
	}
	if Known("pii") || Masks("pii") != nil {
		t.Error("pii is no detector")
	}
}

func TestZeroRulesRedactEverything(t *testing.T) {
	if got := once(t, &Rules{}, "bob@example.com 4111111111111111\n"); got != "[redacted:email] [redacted:card]\n" {
		t.Errorf("got %q", got)
	}
}

func TestCountsNameTheDetectors(t *testing.T) {
	s := (&Rules{}).NewStream()
	if s.Counts() != nil {
		t.Error("a new stream has counted something")
	}
	s.Close(s.Write(nil, []byte("a@example.com b@example.com 4111111111111111")))
	if c := s.Counts(); len(c) != 2 || c["email"] != 2 || c["card"] != 1 {
		t.Errorf("counts %v", c)
	}
}
