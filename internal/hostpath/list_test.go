package hostpath

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A list of checksums is looked into only if all programs that read such lists find the
// same names in it.
func TestTheHostSaysWhatAListOfChecksumsNames(t *testing.T) {
	home := world(t)
	sum := strings.Repeat("0f", 32)
	lists := map[string]struct {
		text  string
		names []string // nil if it is refused
	}{
		"plain":   {sum + "  app/a.txt\n" + sum + " *odd/a b\n" + sum + "  -x", []string{"app/a.txt", "odd/a b", "-x"}},
		"secret":  {sum + "  links/token\n", []string{"links/token"}},
		"empty":   {"", []string{}},
		"tagged":  {"SHA256 (app/a.txt) = " + sum + "\n", nil},
		"one":     {sum + " app/a.txt\n", nil},
		"escaped": {`\` + sum + "  app/a\\nb\n", nil},
		"return":  {sum + "  app/a.txt\r\n", nil},
		"zero":    {sum + "  app/a.txt\x00b\n", nil},
		"comment": {"# sums\n" + sum + "  app/a.txt\n", nil},
		"input":   {sum + "  -\n", nil},
		"two":     {sum + " *app/x  app/a.txt\n", nil},
		"long":    {strings.Repeat(sum+"  app/a.txt\n", 300), nil},
	}
	for name, l := range lists {
		if err := os.WriteFile(filepath.Join(home, "list-"+name), []byte(l.text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(home, "secret/sums"), []byte(sum+"  /dev/kmsg\n#"), 0o644); err != nil {
		t.Fatal(err)
	}
	marks := Marks{"secret": {home + "/secret"}}
	for shell, argv := range shells(t) {
		for name, l := range lists {
			a := ask(t, argv, home, []Question{{Name: "list-" + name, Use: Read, Follow: true, List: true}}, marks).List[0]
			if (a.Refused == "") != (l.names != nil) {
				t.Errorf("%s, %s: %q", shell, name, a.Refused)
				continue
			}
			var got []string
			for i := range a.Places[1:] {
				got = append(got, a.Places[1+i].Name)
			}
			if l.names != nil && !slices.Equal(got, l.names) {
				t.Errorf("%s, %s: %q", shell, name, got)
			}
			if labelled := len(a.Labels()) > 0; labelled != (name == "secret") {
				t.Errorf("%s, %s: labels %v", shell, name, a.Labels())
			}
		}
		a := ask(t, argv, home, []Question{{Name: "secret/sums", Use: Read, Follow: true, List: true}}, marks).List[0]
		if a.Refused == "" || len(a.Places) != 1 || strings.Contains(a.Refused+a.Places[0].Refused, "kmsg") || len(a.Labels()) != 1 {
			t.Errorf("%s: a labelled list: %+v", shell, a)
		}
	}
}
