package arch

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/modfile"
)

// minReason is the length under which a reason says nothing.
const minReason = 12

// reasons reads the table rows "| `module` | reason |" of docs/dependencies.md.
func reasons(text string) map[string]string {
	row := regexp.MustCompile("(?m)^\\| `([^`]+)` \\|(.*)\\|\\s*$")
	all := map[string]string{}
	for _, m := range row.FindAllStringSubmatch(text, -1) {
		all[m[1]] = strings.TrimSpace(m[2])
	}
	return all
}

// required are the modules that a go.mod asks for.
func required(t *testing.T, path string) []string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	file, err := modfile.ParseLax(path, content, nil)
	if err != nil {
		t.Fatal(err)
	}
	var modules []string
	for _, r := range file.Require {
		modules = append(modules, r.Mod.Path)
	}
	return modules
}

// dependencyFindings compares the modules in use with those that have a reason.
func dependencyFindings(modules []string, reasons map[string]string) []string {
	var found []string
	for _, m := range modules {
		if len(reasons[m]) < minReason {
			found = append(found, fmt.Sprintf("docs/dependencies.md has no reason for %s", m))
		}
	}
	for m := range reasons {
		if !slices.Contains(modules, m) {
			found = append(found, fmt.Sprintf("docs/dependencies.md gives a reason for %s, which is not in use", m))
		}
	}
	return found
}

func TestEveryDependencyHasAReason(t *testing.T) {
	dir := root(t)
	text, err := os.ReadFile(filepath.Join(dir, "docs", "dependencies.md"))
	if err != nil {
		t.Fatal(err)
	}
	report(t, dependencyFindings(required(t, filepath.Join(dir, "go.mod")), reasons(string(text))))
}

func TestDependencyRuleCatchesTheMissingTheStaleAndTheEmptyReason(t *testing.T) {
	table := reasons("| module | reason |\n|---|---|\n| `a.example/known` | does a thing well |\n| `a.example/stale` | was of use once |\n| `a.example/empty` |  |\n")
	found := dependencyFindings([]string{"a.example/known", "a.example/empty", "a.example/missing"}, table)
	if len(found) != 3 {
		t.Errorf("findings %q, want empty, missing and stale", found)
	}
}
