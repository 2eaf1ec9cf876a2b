package postgres

import (
	"testing"

	"github.com/sallyport-gateway/sallyport/internal/gate"
)

func TestASessionBeyondALimitIsRefusedAsTooManyConnections(t *testing.T) {
	f := openFault(&gate.OpenError{Stage: "limit", Public: "target \"orders\" has its limit of 5 sessions open"})
	if f.Code != "53300" || f.Severity != "FATAL" || f.Message != "target \"orders\" has its limit of 5 sessions open" {
		t.Errorf("%+v", f)
	}
}
