package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"
)

// readAll reads documents as Check does.
func readAll(text string) Errors {
	chunks, err := split("f.yaml", []byte(text))
	if err != nil {
		return Errors{err}
	}
	_, errs := build(testKinds(), "testdata", chunks, 1)
	return errs
}

func TestHostileYAMLIsRefusedQuickly(t *testing.T) {
	var bomb strings.Builder
	bomb.WriteString("kind: Functions\ntarget: x\nfunctions:\n  a0: &a0 [x, x, x, x, x, x, x, x, x]\n")
	for i := 1; i < 12; i++ {
		fmt.Fprintf(&bomb, "  a%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d,", i-1), 9), ","))
	}
	deep := &strings.Builder{}
	for i := range 400 {
		deep.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	for name, text := range map[string]string{
		"flow lists":    "a: " + strings.Repeat("[", 200_000),
		"flow maps":     strings.Repeat("{a: ", 100_000),
		"dashes":        strings.Repeat("- ", 200_000) + "x",
		"question":      strings.Repeat("? ", 200_000) + "x",
		"tags":          "a: " + strings.Repeat("!!map ", 100_000),
		"anchors":       "a: " + strings.Repeat("&a ", 100_000),
		"deep blocks":   deep.String(),
		"alias bomb":    bomb.String(),
		"alias of self": "kind: Policy\nname: x\nrules: &a [*a]\n",
		"too large":     strings.Repeat("# x\n", maxFileBytes/4+1),
		"NUL":           "kind: Policy\x00\n",
		"many fields":   "kind: Policy\nname: x\n" + strings.Repeat("x: y\n", 100_000),
		"directive":     "%YAML 1.1\nkind: Policy\n",
		"escape":        "kind: \"\x1b[2J\"\n",
	} {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			if errs := readAll(text); len(errs) == 0 {
				t.Error("accepted")
			} else if len(errs) > maxErrors {
				t.Errorf("%d errors", len(errs))
			}
			if took := time.Since(start); took > time.Minute {
				t.Errorf("took %s", took)
			}
		})
	}
}

func TestNoDocumentIsLostBetweenMarkers(t *testing.T) {
	chunks, err := split("f.yaml", []byte("---\n---\nkind: Policy\nname: a\n---\n---\n# x\n---\nkind: Policy\nname: b\n...\nkind: Policy\nname: c\n"))
	if err != nil {
		t.Fatal(err)
	}
	set, errs := build(testKinds(), ".", chunks, 1)
	if len(errs) > 0 || len(set.All("Policy")) != 3 {
		t.Errorf("%d policies, %v", len(set.All("Policy")), errs)
	}
}

func TestAnchorsWorkWithinADocument(t *testing.T) {
	errs := readAll("kind: Policy\nname: a\nrules:\n  - &r {name: x, when: 'true', then: allow, mask: &m {pii: redact}}\n  - {name: y, mask: *m}\n  - *r\n")
	if len(errs) > 0 {
		t.Error(errs)
	}
}

func FuzzReadNeverPanicsAndShowsNoSecret(f *testing.F) {
	files, _ := filepath.Glob("testdata/errors/*.txtar")
	for _, name := range files {
		raw, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range txtar.Parse(raw).Files {
			if file.Name != "errors" {
				f.Add(string(file.Data))
			}
		}
	}
	f.Add(ordersDocs)
	f.Fuzz(func(t *testing.T, text string) {
		_ = readAll(text).Error()
		_, _ = parseProcess("f", "/x", []byte(text), nil)
		// Whatever is wrong around it, an inline password is not repeated.
		errs := readAll("kind: Credential\nname: a\nusername: b\npassword: QZQZ1\n" + text)
		if !strings.Contains(text, "QZQZ1") && strings.Contains(errs.Error(), "QZQZ1") {
			t.Error(errs)
		}
	})
}
