package corpus

import (
	"context"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
)

// startDatabase runs a private server for the test.
func startDatabase(t *testing.T) *Database {
	t.Helper()
	db, err := StartDatabase(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Stop(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// judgeOwn judges every nth of the project's own cases and returns the report.
func judgeOwn(t *testing.T, c *Checker, nth int) *Report {
	t.Helper()
	cases, err := OwnCases(c.Database.Port())
	if err != nil {
		t.Fatal(err)
	}
	r := &Report{}
	for i := 0; i < len(cases); i += nth {
		r.Add(c.Judge(context.Background(), &cases[i]))
	}
	return r
}

func TestCorpusAttacksWorkAndHarmlessCasesRunOnBarePostgreSQL(t *testing.T) {
	r := judgeOwn(t, &Checker{Database: startDatabase(t), NonInterference: true}, 1)
	logReport(t, r)
	for _, f := range r.Failed() {
		t.Errorf("%s", f.Case.ID)
	}
}

func TestCorpusComesOutOfTheGatewayAsItsCasesSay(t *testing.T) {
	db := startDatabase(t)
	g, err := StartGateway(context.Background(), "", db)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the gateway's log:\n%s", g.Log())
		}
		if err := g.Stop(); err != nil {
			t.Error(err)
		}
	})
	r := judgeOwn(t, &Checker{Database: db, Gateway: g, NonInterference: true}, 1)
	logReport(t, r)
	for _, f := range r.Failed() {
		t.Errorf("%s", f.Case.ID)
	}
}

func TestCorpusCheckerFailsAGatewayThatLetsEverythingThrough(t *testing.T) {
	db := startDatabase(t)
	open := &Gateway{Address: db.Address(), database: func(string, string) string { return databaseName }}
	r := judgeOwn(t, &Checker{Database: db, Gateway: open, NonInterference: true}, 3)
	for _, x := range r.results {
		if x.OK != (x.Case.Expect == Allowed) {
			t.Errorf("ok=%v for %s", x.OK, x)
		}
	}
}

func TestCorpusCheckerFailsAGatewayThatRefusesEverybody(t *testing.T) {
	db := startDatabase(t)
	closed := &Gateway{Address: db.Address(), database: func(string, string) string { return "no_such_database" }}
	r := judgeOwn(t, &Checker{Database: db, Gateway: closed, NonInterference: true}, 3)
	for _, x := range r.results {
		if useful := x.Case.Expect == Allowed || bool(x.Case.MustSucceed); x.OK == useful {
			t.Errorf("ok=%v for %s", x.OK, x)
		}
	}
}

func TestCorpusLabelsAreTheSensitiveColumnsOfThePolicy(t *testing.T) {
	text, err := os.ReadFile("postgres/policy.json")
	if err != nil {
		t.Fatal(err)
	}
	var policy struct {
		Columns []string `json:"sensitive_columns"`
	}
	if err := json.Unmarshal(text, &policy); err != nil {
		t.Fatal(err)
	}
	var labelled []string
	for _, word := range strings.FieldsFunc(labels, func(r rune) bool { return strings.ContainsRune(" ,[]\n", r) }) {
		if strings.HasPrefix(word, "public.") {
			labelled = append(labelled, word)
		}
	}
	slices.Sort(labelled)
	slices.Sort(policy.Columns)
	if !slices.Equal(labelled, policy.Columns) {
		t.Errorf("labelled %v, sensitive %v", labelled, policy.Columns)
	}
}

func TestCorpusSecretsAreInTheSchemaAndNotInTheTwin(t *testing.T) {
	db := startDatabase(t)
	dump := func(database string) string {
		var all string
		for _, table := range []string{"customers", "payments", "profiles"} {
			rows, err := db.admin(database, "SELECT x::text FROM "+table+" x")
			if err != nil {
				t.Fatal(err)
			}
			for _, row := range rows {
				all += row[0] + "\n"
			}
		}
		return all
	}
	plain, twin := dump(templateName), dump(twinName)
	for _, s := range secrets() {
		if !strings.Contains(plain, s) {
			t.Errorf("%s is not in the template", s)
		}
		if strings.Contains(twin, s) {
			t.Errorf("%s is in the twin", s)
		}
	}
}

func TestCorpusResetReleasesWhatACaseLeft(t *testing.T) {
	db := startDatabase(t)
	for _, sql := range []string{
		"BEGIN; CREATE TABLE left_over(); PREPARE TRANSACTION 'left'",
		"SELECT pg_create_logical_replication_slot('left', 'pgoutput')",
	} {
		if err := db.reset(templateName); err != nil {
			t.Fatal(err)
		}
		if _, err := db.admin(databaseName, sql); err != nil {
			t.Fatal(err)
		}
		if err := db.reset(templateName); err != nil {
			t.Errorf("after %s: %v", sql, err)
		}
	}
}

func logReport(t *testing.T, r *Report) {
	t.Helper()
	var b strings.Builder
	if err := r.Write(&b); err != nil {
		t.Fatal(err)
	}
	t.Log("\n" + b.String())
}
