package policy

import (
	"errors"
	"strings"
	"testing"

	"github.com/sallyport-gateway/sallyport/internal/gate"
)

// budgeted decides a command of an agent that has spent something.
func budgeted(t *testing.T, when string, spent func() (gate.Spending, error)) gate.Verdict {
	t.Helper()
	e, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	p, errs := e.Compile([]*Document{{Name: "p", Rules: []Rule{
		{Name: "over", When: Expression(when), Then: "block", Message: "over budget"},
		{Name: "all", When: "true", Then: "allow"},
	}}}, Known{})
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	e.Swap(p)
	if e.Budgets() != strings.Contains(when, "budget") {
		t.Errorf("Budgets is %v for %s", e.Budgets(), when)
	}
	v, err := e.Decide(t.Context(), &gate.SessionInfo{Principal: &gate.Principal{}, Target: &gate.Target{}}, &gate.Command{Spent: spent})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestBudgetsDecideAndAreNeverRemembered(t *testing.T) {
	spent := func() (gate.Spending, error) {
		return gate.Spending{Rows: 10001, Bytes: 2, Cells: 3, Writes: 4}, nil
	}
	for when, want := range map[string]gate.Decision{
		"budget.rows > 10000": gate.Block, "budget.rows > 10001": gate.Allow, "budget.bytes == 2 && budget.cells == 3 && budget.writes == 4": gate.Block,
		"budget.rows + budget.writes > 20000": gate.Allow,
	} {
		v := budgeted(t, when, spent)
		if v.Decision != want || v.Stable {
			t.Errorf("%s: %v, stable %v; want %v, unstable", when, v.Decision, v.Stable, want)
		}
	}
	if v := budgeted(t, "false", spent); !v.Stable {
		t.Error("a policy without budgets gives an unstable verdict")
	}
}

func TestABudgetThatIsNotKnownBlocks(t *testing.T) {
	for what, spent := range map[string]func() (gate.Spending, error){
		"not counted": nil, "unreadable": func() (gate.Spending, error) { return gate.Spending{}, errors.New("disk at /secret/path") },
	} {
		v := budgeted(t, "budget.rows > 10000", spent)
		if v.Decision != gate.Block || strings.Contains(v.Reason, "secret") {
			t.Errorf("%s: %+v", what, v)
		}
	}
}

func TestOneDecisionReadsTheBudgetOnce(t *testing.T) {
	n := 0
	budgeted(t, "budget.rows > 1 || budget.bytes > 1 || budget.rows > 2", func() (gate.Spending, error) { n++; return gate.Spending{}, nil })
	if n != 1 {
		t.Errorf("read %d times", n)
	}
}

func TestCasesGiveABudget(t *testing.T) {
	e, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	command := &CaseCommand{Effects: []string{"read"}}
	results, errs := e.Test(t.Context(), []*Document{{Name: "p",
		Rules: []Rule{{Name: "over", When: "budget.rows > 10", Then: "block"}, {Name: "all", When: "true", Then: "allow"}},
		Tests: []Case{{Name: "under", Command: command, Expect: "allow"}, {Name: "over", Command: command, Budget: CaseBudget{Rows: 11}, Expect: "block", Rule: "over"}},
	}}, Known{})
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	for _, r := range results {
		if r.Failure != "" {
			t.Errorf("%s: %s", r.Case, r.Failure)
		}
	}
}

func TestAWrongBudgetNameIsAnErrorWithTheNearest(t *testing.T) {
	e, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	_, errs := e.Compile([]*Document{{Name: "p", Rules: []Rule{{Name: "r", When: "budget.row > 1", Then: "block"}}}}, Known{})
	if len(errs) != 1 || !strings.Contains(errs[0].(*Error).Suggestion, "rows") {
		t.Errorf("%v", errs)
	}
}
