package postgres

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport-gateway/sallyport/internal/gate"
	"github.com/sallyport-gateway/sallyport/internal/sql/postgres/parse"
)

// corpusCase is one case of the corpus' cases.jsonl.
type corpusCase struct {
	ID          string            `json:"id"`
	Class       string            `json:"class"`
	Mode        string            `json:"mode"`
	SQL         []json.RawMessage `json:"sql"`
	Setup       []string          `json:"setup"`
	Startup     map[string]string `json:"startup"`
	Expect      string            `json:"expect"`
	Policy      string            `json:"policy"`
	Role        string            `json:"role"`
	MustSucceed bool              `json:"must_succeed"`
	Volatile    bool              `json:"volatile_output"`
}

// statements returns the texts of a case in the order in which they are sent;
// wire is true if the case is about messages rather than texts.
func (c *corpusCase) statements(t *testing.T) (texts []string, wire bool) {
	if len(c.Startup) > 0 {
		return nil, true
	}
	for _, raw := range c.SQL {
		var s string
		if json.Unmarshal(raw, &s) == nil {
			texts = append(texts, s)
			continue
		}
		var op map[string]any
		if err := json.Unmarshal(raw, &op); err != nil {
			t.Fatalf("%s: %v", c.ID, err)
		}
		switch {
		case op["q"] != nil:
			texts = append(texts, op["q"].(string))
		case op["x"] != nil:
			text := op["x"].(string)
			params, _ := op["params"].([]any)
			for i := len(params); i > 0; i-- {
				text = strings.ReplaceAll(text, fmt.Sprintf("$%d", i), fmt.Sprintf("'%v'", params[i-1]))
			}
			texts = append(texts, text)
		case op["pipe"] != nil:
			for _, o := range op["pipe"].([]any) {
				if s, ok := o.(map[string]any)["sql"].(string); ok {
					texts = append(texts, s)
				}
				if s, ok := o.(map[string]any)["q"].(string); ok {
					texts = append(texts, s)
				}
			}
		default:
			return nil, true
		}
	}
	return texts, false
}

func readCases(t *testing.T) []corpusCase {
	t.Helper()
	f, err := os.Open(corpus + "cases.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var out []corpusCase
	s := bufio.NewScanner(f)
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		if len(s.Bytes()) == 0 {
			continue
		}
		var c corpusCase
		if err := json.Unmarshal(s.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		out = append(out, c)
	}
	return out
}

var corpusMarks = map[string][]string{
	"pii":  {"public.customers.email", "public.customers.ssn", "public.profiles.contact", "public.profiles.doc"},
	"card": {"public.customers.card_number", "public.payments.card_number"},
}

var corpusFunctions = map[string]gate.Effects{
	"public.order_total(int)":   gate.EffectRead,
	"public.fmt_money(numeric)": gate.EffectRead,
}

var corpusEnv = &Env{SearchPath: []string{"public"}, Database: database}

// inspector loads the catalog as it is now.
func inspector(t testing.TB, db string, marks map[string][]string, functions map[string]gate.Effects) *Inspector {
	t.Helper()
	ctx := context.Background()
	c, err := theServer.connect(ctx, db, "postgres")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(ctx)
	cat, err := LoadCatalog(ctx, querier{c})
	if err != nil {
		t.Fatal(err)
	}
	in, err := NewInspector(ctx, cat, Options{Parser: parse.Direct{}, Database: database, Marks: marks, Functions: functions})
	if err != nil {
		t.Fatal(err)
	}
	return in
}

// decide is a stand-in for the corpus policies, in the terms that rules have.
func decide(policy string, s *Shape) bool {
	only := func(allowed gate.Effects) bool { return s.Effects&^allowed == 0 }
	switch policy {
	case "readonly":
		return only(gate.EffectRead | gate.EffectExport)
	case "mask":
		return only(gate.EffectRead|gate.EffectExport|gate.EffectWrite|gate.EffectDelete) && !s.Facts.Unbounded
	default:
		return only(gate.EffectRead|gate.EffectExport|gate.EffectWrite|gate.EffectDelete|gate.EffectExecute|gate.EffectUnknown) && s.Facts.Understood && !s.Facts.Unbounded
	}
}

// outcome is what came of the texts of a case behind the gateway.
type outcome struct {
	answers []string
	changed bool // something was sent that can change the databases
	refused string
	errors  []string
}

// play runs a case's texts as the gateway would: each is inspected, decided,
// rewritten and sent, and EXECUTE and FETCH carry the shape of what they run.
func play(t *testing.T, c *corpusCase, in *Inspector, db string) outcome {
	ctx := context.Background()
	role := "agent"
	if c.Role == "agent_su" {
		role = "postgres"
	}
	conn, err := theServer.connect(ctx, db, role)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	var out outcome
	var buf Buffer
	names := map[string]*Shape{}
	texts, _ := c.statements(t)
	for _, text := range texts {
		i, err := in.Inspect(ctx, corpusEnv, text, &buf)
		if err != nil {
			out.refused = err.Error()
			out.answers = append(out.answers, "refused "+err.Error())
			continue
		}
		shape := i.Shape
		for _, s := range i.Shape.Statements {
			switch s.Kind {
			case KindPrepare, KindDeclare:
				names[s.Name] = i.Shape
			case KindExecute, KindFetch, KindMove:
				shape = Combine(shape, names[s.Name])
			}
		}
		if !decide(c.Policy, shape) {
			out.refused = fmt.Sprintf("blocked %v %v understood=%v unbounded=%v", shape.Effects, shape.Facts.Unreviewed, shape.Facts.Understood, shape.Facts.Unbounded)
			out.answers = append(out.answers, out.refused)
			continue
		}
		sql, err := i.AppendSQL(nil, nil)
		if err != nil {
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("%s: %v", c.ID, err)
			}
			out.refused = e.Error()
			out.answers = append(out.answers, "refused "+e.Error())
			continue
		}
		out.changed = out.changed || shape.Effects&^(gate.EffectRead|gate.EffectExport) != 0
		a := ask(t, conn, string(sql))
		if a.fatal != nil {
			t.Fatalf("%s: %s: %v", c.ID, sql, a.fatal)
		}
		if a.err != nil {
			out.errors = append(out.errors, a.err.Message+" in "+string(sql))
		}
		out.answers = append(out.answers, a.text)
	}
	return out
}

// reset makes both databases anew from their templates.
func reset(t *testing.T, setup []string) {
	t.Helper()
	ctx := context.Background()
	c, err := theServer.connect(ctx, "postgres", "postgres")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(ctx)
	for _, db := range []string{database, twin} {
		for _, sql := range []string{"DROP DATABASE IF EXISTS run_" + db + " WITH (FORCE)", "CREATE DATABASE run_" + db + " TEMPLATE " + db} {
			if _, err := c.Exec(ctx, sql).ReadAll(); err != nil {
				t.Fatal(err)
			}
		}
		d, err := theServer.connect(ctx, "run_"+db, "postgres")
		if err != nil {
			t.Fatal(err)
		}
		for _, sql := range setup {
			if _, err := d.Exec(ctx, sql).ReadAll(); err != nil {
				t.Fatal(err)
			}
		}
		d.Close(ctx)
	}
}

func TestCorpusStatementsAreAnsweredMaskedOrRefusedAsTheirCasesSay(t *testing.T) {
	type score struct{ good, all int }
	scores := map[string]*score{}
	plain := inspector(t, database, nil, corpusFunctions)
	masked := inspector(t, database, corpusMarks, corpusFunctions)
	wire, dirty := 0, true
	for _, c := range readCases(t) {
		texts, isWire := c.statements(t)
		if isWire {
			wire++
			continue
		}
		in := plain
		if c.Policy == "mask" {
			in = masked
		}
		if dirty || len(c.Setup) > 0 {
			reset(t, c.Setup)
		}
		dirty = len(c.Setup) > 0
		if len(c.Setup) > 0 {
			var marks map[string][]string
			if c.Policy == "mask" {
				marks = corpusMarks
			}
			in = inspector(t, "run_"+database, marks, corpusFunctions)
		}
		got := play(t, &c, in, "run_"+database)
		dirty = dirty || got.changed
		why := judge(t, &c, in, got, texts)
		key := c.Policy + " " + c.Expect
		if scores[key] == nil {
			scores[key] = &score{}
		}
		scores[key].all++
		if why == "" {
			scores[key].good++
		} else {
			t.Errorf("%s %s %s: %s\n  %q\n  %+v", c.ID, c.Class, c.Expect, why, texts, got)
		}
	}
	for _, k := range slices.Sorted(maps.Keys(scores)) {
		t.Logf("%-20s %d/%d", k, scores[k].good, scores[k].all)
	}
	t.Logf("%d cases are about messages, not statements", wire)
}

// judge compares what came of a case with what it expects.
func judge(t *testing.T, c *corpusCase, in *Inspector, got outcome, texts []string) string {
	switch c.Expect {
	case "allowed":
		if got.refused != "" || len(got.errors) > 0 {
			return "not allowed"
		}
		role := "agent"
		if c.Role == "agent_su" {
			role = "postgres"
		}
		if got.changed || len(c.Setup) > 0 {
			reset(t, c.Setup)
		}
		ctx := context.Background()
		conn, err := theServer.connect(ctx, "run_"+database, role)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close(ctx)
		for i, text := range texts {
			if a := ask(t, conn, text); !c.Volatile && a.text != got.answers[i] {
				return fmt.Sprintf("answer differs from the direct one: %s", a.text)
			}
		}
		return ""
	case "blocked":
		if got.refused == "" {
			return "nothing was refused"
		}
	}
	if c.Policy == "mask" {
		if c.MustSucceed && (got.refused != "" || len(got.errors) > 0) {
			return "refused though it must succeed"
		}
		if other := play(t, c, in, "run_"+twin); !slices.Equal(other.answers, got.answers) {
			return fmt.Sprintf("the twin answers differently: %q", other.answers)
		}
		for _, a := range got.answers {
			for _, secret := range secrets {
				if strings.Contains(a, secret) {
					return "the answer holds " + secret
				}
			}
		}
	}
	return ""
}

var secrets = []string{
	"@secretmail.example", "078-05-1120", "219-09-9999", "457-55-5462", "612-33-7781", "733-21-8846",
	"4111111111111111", "5500005555555559", "340000000000009", "6011000990139424", "3530111333300000",
}
