package postgres

import (
	"strings"
	"testing"

	"github.com/sallyport-gateway/sallyport/internal/gate"
	"github.com/sallyport-gateway/sallyport/internal/proto/postgres/wire"
	sql "github.com/sallyport-gateway/sallyport/internal/sql/postgres"
)

func TestWhatRunsAtTheEndOfATransactionShowsNoValue(t *testing.T) {
	labelled := &gate.Target{Marks: map[string][]string{"pii": {"public.customers.ssn"}}}
	commit := &sql.Shape{Effects: gate.EffectRead, Facts: &sql.Facts{}, Statements: []sql.Statement{{Kind: sql.KindCommit, Word: "commit"}}}
	write := &sql.Shape{Effects: gate.EffectWrite, Facts: &sql.Facts{Tables: []string{"public.tickets"}, Written: []string{"public.tickets"}}}
	reads := &sql.Shape{Effects: gate.EffectWrite, Labels: []string{"pii"}, Facts: &sql.Facts{Tables: []string{"public.payments_2025"}}}
	const value = "078-05-1120"
	for _, c := range []struct {
		what  string
		shape *sql.Shape
		code  string
		kept  bool
	}{
		{"a Sync that commits, a constraint", nil, "23503", true},
		{"a Sync that commits, a conversion in a trigger", nil, "22P02", false},
		{"COMMIT, a constraint", commit, "23514", true},
		{"COMMIT, what a trigger raises", commit, "P0001", false},
		{"a write without labels", write, "22P02", true},
		{"a write of a partition with labels", reads, "22P02", false},
	} {
		s := &session{gate: &gate.Session{SessionInfo: &gate.SessionInfo{Target: labelled}}}
		f := &wire.Fault{Severity: "ERROR", Code: c.code, Message: "the message with " + value, Detail: "Key (ssn)=(" + value + ")"}
		s.clean(&expect{shape: c.shape}, f)
		if kept := strings.Contains(f.Message, value); kept != c.kept {
			t.Errorf("%s: the message is %q", c.what, f.Message)
		}
		if strings.Contains(f.Detail, value) {
			t.Errorf("%s: the detail is %q", c.what, f.Detail)
		}
	}
}
