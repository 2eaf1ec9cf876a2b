package policy_test

import (
	"bytes"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/sallyport-gateway/sallyport/internal/gate"
	"github.com/sallyport-gateway/sallyport/internal/policy"
)

var update = flag.Bool("update", false, "write the golden files")

// facts stand for a protocol's.
type facts struct {
	Tables    []string `cel:"tables"`
	Columns   []string `cel:"columns"`
	Unbounded bool     `cel:"unbounded"`
	Depth     int64    `cel:"depth"`
	Verb      string   `cel:"verb"`
	Hidden    func()
}

var known = policy.Known{Attributes: []string{"purpose", "risk_tier"}, Labels: []string{"card", "pii"}}

func newEngine(t testing.TB) *policy.Engine {
	t.Helper()
	e, err := policy.New(policy.Options{
		Facts: map[string]policy.FactsType{
			"postgres": {Variable: "sql", Type: reflect.TypeFor[facts]()},
			"ssh":      {},
		},
		Inspect: func(_, text string) (*gate.Command, error) {
			if strings.HasPrefix(text, "SELECT") {
				return &gate.Command{Text: text, Effects: gate.EffectRead, Facts: &facts{}}, nil
			}
			return nil, errors.New("cannot be parsed")
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// read decodes policy documents and compiles them. How the gateway reads
// documents, with places, is tested in test/document.
func read(e *policy.Engine, text []byte) ([]*policy.Document, *policy.Program, error) {
	var docs []*policy.Document
	for d := yaml.NewDecoder(bytes.NewReader(text)); ; {
		var doc struct {
			Kind            string `yaml:"kind"`
			policy.Document `yaml:",inline"`
		}
		if err := d.Decode(&doc); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, nil, err
		}
		docs = append(docs, &doc.Document)
	}
	p, errs := e.Compile(docs, known)
	return docs, p, errors.Join(errs...)
}

func mustRead(t testing.TB, e *policy.Engine, text string) *policy.Program {
	t.Helper()
	_, p, err := read(e, []byte(text))
	if err != nil {
		t.Fatalf("%v", err)
	}
	return p
}

// golden runs a function over every txtar file of a folder: its first file is the
// input, its last one what must come out.
func golden(t *testing.T, folder string, run func(t *testing.T, input []byte) string) {
	t.Helper()
	files, _ := filepath.Glob(filepath.Join("testdata", folder, "*.txtar"))
	if len(files) == 0 {
		t.Fatal("no cases")
	}
	for _, name := range files {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			a, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			got := run(t, a.Files[0].Data)
			if *update {
				a.Files = []txtar.File{a.Files[0], {Name: "output", Data: []byte(got)}}
				if err := os.WriteFile(name, txtar.Format(a), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if d := cmp.Diff(string(a.Files[1].Data), got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestExplainShowsEveryRuleAndValue(t *testing.T) {
	golden(t, "explain", func(t *testing.T, input []byte) string {
		e := newEngine(t)
		docs, _, err := read(e, input)
		if err != nil {
			t.Fatal(err)
		}
		results, errs := e.Test(t.Context(), docs, known)
		if len(errs) > 0 {
			t.Fatal(errs)
		}
		var b bytes.Buffer
		for _, r := range results {
			b.WriteString("== " + r.Policy + ": " + r.Case + "\n")
			if r.Failure != "" {
				b.WriteString("FAILED " + r.Failure + "\n")
			}
			if r.Trace != nil {
				if err := r.Trace.WriteText(&b); err != nil {
					t.Fatal(err)
				}
			}
		}
		return b.String()
	})
}
