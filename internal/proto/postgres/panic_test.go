package postgres

import (
	"errors"
	"testing"

	"github.com/sallyport-gateway/sallyport/internal/gate"
	"github.com/sallyport-gateway/sallyport/internal/proto/postgres/wire"
	sql "github.com/sallyport-gateway/sallyport/internal/sql/postgres"
)

// TestAPanicDuringCopyEndsItsSessionOnly: another goroutine than the gate's own reads what
// the target says meanwhile.
func TestAPanicDuringCopyEndsItsSessionOnly(t *testing.T) {
	answer := wire.AppendMessage(nil, wire.CopyInResponse, []byte{0, 0, 0})
	answer = wire.AppendMessage(answer, wire.CommandComplete, []byte("COPY 0\x00"))
	answer = wire.AppendReadyForQuery(answer, wire.StatusIdle)
	underLie(t, answer, func(s *session) {
		s.redefined, s.catalog = true, nil // the end of the transaction will not survive this
		shape := &sql.Shape{Facts: &sql.Facts{}, Effects: gate.EffectWrite, Statements: []sql.Statement{{Kind: sql.KindCopyIn}}}
		s.queue = []expect{{typ: wire.Query, command: 1, shape: shape, columns: -1, sync: 1, stream: &gate.Stream{}}}
		if err := s.drive(); !errors.Is(err, errCopyIn) {
			t.Fatal(err)
		}
		if err := s.copyIn(); err == nil || s.gate.Err() == nil || s.gateway.Counters().Panics.Load() != 1 {
			t.Errorf("%v, the session %v, %d panics", err, s.gate.Err(), s.gateway.Counters().Panics.Load())
		}
	})
}
