package document

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
	"github.com/google/jsonschema-go/jsonschema"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/sallyport-gateway/sallyport/internal/config"
	"github.com/sallyport-gateway/sallyport/internal/identity"
	"github.com/sallyport-gateway/sallyport/internal/mask"
	"github.com/sallyport-gateway/sallyport/internal/policy"
	"github.com/sallyport-gateway/sallyport/internal/proto/ssh"
	"github.com/sallyport-gateway/sallyport/internal/sql/postgres"
)

var update = flag.Bool("update", false, "write the golden files")

// smallFacts keep the golden files apart from the facts of a real protocol.
type smallFacts struct {
	Tables    []string `cel:"tables"`
	Unbounded bool     `cel:"unbounded"`
	Depth     int64    `cel:"depth"`
}

func kinds() []config.Kind {
	return append(config.Kinds(),
		config.Kind{Name: "Issuer", New: func() any { return new(identity.Issuer) }, Validate: func(d any) []error {
			if err := d.(*identity.Issuer).Validate(); err != nil {
				return []error{err}
			}
			return nil
		}},
		config.Kind{Name: policy.KindName, New: func() any { return new(policy.Document) }})
}

// newStore returns a store over a folder that compiles policies as a hook.
func newStore(t *testing.T, facts reflect.Type, known func(*config.Set) policy.Known) (*config.Store, *policy.Engine) {
	t.Helper()
	e, err := policy.New(policy.Options{Facts: map[string]policy.FactsType{"postgres": {Variable: "sql", Type: facts}, "ssh": {Variable: "ssh", Type: reflect.TypeFor[ssh.Facts]()}}})
	if err != nil {
		t.Fatal(err)
	}
	return config.NewStore(config.Options{Folder: t.TempDir(), Kinds: kinds(), Hooks: []config.Hook{
		func(s *config.Set) (func(), []error) {
			p, errs := e.Compile(config.Values[policy.Document](s), known(s))
			return func() { e.Swap(p) }, errs
		}}}), e
}

func knownOf(s *config.Set) policy.Known {
	k := policy.Known{Labels: slices.Concat(s.LabelNames(), mask.Groups(), mask.Names())}
	for _, i := range config.Values[identity.Issuer](s) {
		for name := range i.Claims.Attributes {
			k.Attributes = append(k.Attributes, name)
		}
	}
	return k
}

func TestMistakesInPoliciesNameTheirPlaceInTheFile(t *testing.T) {
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
			s, _ := newStore(t, reflect.TypeFor[smallFacts](), func(*config.Set) policy.Known {
				return policy.Known{Attributes: []string{"purpose", "risk_tier"}, Labels: []string{"card", "pii"}}
			})
			got := "no error\n"
			if _, err := s.Plan(a.Files[0].Name, a.Files[0].Data); err != nil {
				got = err.Error() + "\n"
			}
			if *update {
				a.Files = []txtar.File{a.Files[0], {Name: "output", Data: []byte(got)}}
				if err := os.WriteFile(name, txtar.Format(a), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if d := cmp.Diff(string(a.Files[1].Data), got); d != "" {
				t.Error(d)
			}
		})
	}
}

// example is one block of YAML in the documentation.
type example struct{ file, text string }

var fence = regexp.MustCompile("(?ms)^```yaml\n(.*?)^```")

// examples returns the blocks that are documents and those that are process
// files; a fragment is neither.
func examples(t *testing.T) (documents, processes []example) {
	t.Helper()
	files, _ := filepath.Glob("../../docs/*.md")
	for _, name := range append(files, "../../README.md") {
		raw, err := os.ReadFile(name)
		if err != nil {
			continue // there may be no README in a source archive
		}
		for _, m := range fence.FindAllStringSubmatch(string(raw), -1) {
			switch x := (example{filepath.Base(name), m[1]}); {
			case regexp.MustCompile(`(?m)^kind:`).MatchString(x.text):
				documents = append(documents, x)
			case regexp.MustCompile(`(?m)^(listen|documents|state):`).MatchString(x.text):
				processes = append(processes, x)
			}
		}
	}
	return documents, processes
}

// values decodes YAML as an editor with the schema does.
func values(t *testing.T, text string) []any {
	t.Helper()
	var all []any
	for d := yaml.NewDecoder(strings.NewReader(text)); ; {
		var v any
		if err := d.Decode(&v); err != nil {
			return all
		}
		raw, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		var plain any
		if err := json.Unmarshal(raw, &plain); err != nil {
			t.Fatal(err)
		}
		all = append(all, plain)
	}
}

func resolved(t *testing.T, raw []byte, err error) *jsonschema.Resolved {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	var s jsonschema.Schema
	if err := json.Unmarshal(raw, &s); err != nil {
		t.Fatal(err)
	}
	r, err := s.Resolve(nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestTheExamplesOfTheDocumentationAreValid(t *testing.T) {
	documents, processes := examples(t)
	if len(documents) < 3 || len(processes) < 1 {
		t.Fatalf("%d documents and %d process files", len(documents), len(processes))
	}
	raw, err := config.Schema(kinds())
	schema := resolved(t, raw, err)
	// What one page does not define, the first example of configuration.md does.
	var whole string
	for _, x := range documents {
		if x.file == "configuration.md" {
			whole = x.text
			break
		}
	}
	for _, x := range documents {
		s, _ := newStore(t, reflect.TypeFor[postgres.Facts](), knownOf)
		if x.text != whole {
			if _, err := s.Apply(t.Context(), "configuration.md", []byte(whole), "test"); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := s.Plan(x.file, []byte(x.text)); err != nil {
			t.Errorf("%v", err)
		}
		for _, v := range values(t, x.text) {
			if err := schema.Validate(v); err != nil {
				t.Errorf("%s: the schema refuses %v: %v", x.file, v, err)
			}
		}
	}
	raw, err = config.ProcessSchema()
	schema = resolved(t, raw, err)
	for _, x := range processes {
		path := filepath.Join(t.TempDir(), "sallyport.yaml")
		if err := os.WriteFile(path, []byte(x.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := config.LoadProcess(path); err != nil {
			t.Errorf("%s: %v", x.file, err)
		}
		for _, v := range values(t, x.text) {
			if err := schema.Validate(v); err != nil {
				t.Errorf("%s: the schema refuses %v: %v", x.file, v, err)
			}
		}
	}
}

func TestTheTestCasesOfTheDocumentationPass(t *testing.T) {
	documents, _ := examples(t)
	ran := 0
	for _, x := range documents {
		if !strings.Contains(x.text, "tests:") {
			continue
		}
		s, e := newStore(t, reflect.TypeFor[postgres.Facts](), knownOf)
		for _, y := range documents {
			if y.file == "configuration.md" {
				if _, err := s.Apply(t.Context(), y.file, []byte(y.text), "test"); err != nil {
					t.Fatal(err)
				}
				break
			}
		}
		if _, err := s.Apply(t.Context(), x.file, []byte(x.text), "test"); err != nil {
			t.Fatal(err)
		}
		results, errs := e.Test(t.Context(), config.Values[policy.Document](s.Set()), knownOf(s.Set()))
		if len(errs) > 0 {
			t.Fatal(errs)
		}
		for _, r := range results {
			if ran++; r.Failure != "" {
				t.Errorf("%s: %s: %s", r.Policy, r.Case, r.Failure)
			}
		}
	}
	if ran == 0 {
		t.Error("no test case in the documentation")
	}
}

func TestTheSchemaRefusesWhatTheDecoderRefuses(t *testing.T) {
	raw, err := config.Schema(kinds())
	schema := resolved(t, raw, err)
	for _, text := range []string{
		"kind: Polcy\nname: x",
		"name: x",
		"kind: Target\nname: x\nprotocol: postgres\naddress: a:1\ncredental: x",
		"kind: Target\nname: x\nprotocol: postgres\naddress: a:1\ncredential: x\nlimits: {rows: many}",
		"kind: Target\nname: x\nprotocol: postgres\naddress: a:1\ncredential: x\ntls: {mode: none}",
		"kind: Credential\nname: x\nusername: y\npassword: secret",
		"kind: Policy\nname: p\nrules: [{name: a, when: 'true', then: alow}]",
		"kind: Policy\nname: p\nrules: [{name: a, when: 'true', then: allow, mask: {pii: readct}}]",
		"kind: Policy\nname: p\nrules: [{name: a, then: allow}]",
		"kind: Role\nname: p\ncan: [everything]",
		"kind: Functions\ntarget: t\nfunctions: {\"f()\": harmless}",
	} {
		s, _ := newStore(t, reflect.TypeFor[smallFacts](), knownOf)
		if _, err := s.Plan("x.yaml", []byte(text)); err == nil {
			t.Errorf("the decoder accepts %q", text)
		}
		for _, v := range values(t, text) {
			if schema.Validate(v) == nil {
				t.Errorf("the schema accepts %q", text)
			}
		}
	}
}
