package config

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

var update = flag.Bool("update", false, "write the golden files")

// policyDoc stands for the documents of packages that config does not know.
type policyDoc struct {
	Name  string `yaml:"name" required:"true"`
	On    string `yaml:"on"`
	Rules []struct {
		Name string            `yaml:"name" required:"true"`
		When string            `yaml:"when"`
		Then string            `yaml:"then" enum:"block,hold,allow"`
		Mask map[string]string `yaml:"mask"`
	} `yaml:"rules"`
}

func testKinds() []Kind {
	return append(Kinds(), Kind{Name: "Policy", New: func() any { return new(policyDoc) }, Validate: func(doc any) []error {
		var errs []error
		for i, r := range doc.(*policyDoc).Rules {
			if at := strings.Index(r.When, "BAD"); at >= 0 {
				before := r.When[:at]
				line := 1 + strings.Count(before, "\n")
				column := at - strings.LastIndexByte(before, '\n')
				errs = append(errs, placedError{"rules[" + string(rune('0'+i)) + "].when", line, column})
			}
		}
		return errs
	}})
}

type placedError struct {
	path         string
	line, column int
}

func (e placedError) Error() string { return "BAD is not defined" }
func (e placedError) Hint() string  { return "" }
func (e placedError) Place() (kind, name, path string, l, c int) {
	return "", "", e.path, e.line, e.column
}

// TestMistakesAreReportedWithTheirPlaceAndAHint compares every txtar file's
// documents with the errors that it expects.
func TestMistakesAreReportedWithTheirPlaceAndAHint(t *testing.T) {
	files, _ := filepath.Glob("testdata/errors/*.txtar")
	if len(files) == 0 {
		t.Fatal("no cases")
	}
	for _, name := range files {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			a, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			var chunks []*chunk
			var errs Errors
			want := ""
			for _, f := range a.Files {
				if f.Name == "errors" {
					want = string(f.Data)
					continue
				}
				c, err := split(f.Name, f.Data)
				if err != nil {
					errs = append(errs, err)
				}
				chunks = append(chunks, c...)
			}
			_, more := build(testKinds(), "testdata", chunks, 1)
			got := ""
			if errs = append(errs, more...); len(errs) > 0 {
				got = errs.Error() + "\n"
			}
			if *update {
				a.Files = append(a.Files[:len(a.Files)-1:len(a.Files)-1], txtar.File{Name: "errors", Data: []byte(got)})
				if err := os.WriteFile(name, txtar.Format(a), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if d := cmp.Diff(want, got); d != "" && !*update {
				t.Error(d)
			}
		})
	}
}
