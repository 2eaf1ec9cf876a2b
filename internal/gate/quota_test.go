package gate

import (
	"testing"
	"time"
)

func TestTheFirstLineOfAWindowSaysHowManyWereLeftOut(t *testing.T) {
	var q quota
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for i := range maxLines + 7 {
		if left, ok := q.take(now); ok != (i < maxLines) || left != 0 {
			t.Fatalf("line %d: %t, %d left out", i, ok, left)
		}
	}
	now = now.Add(linesWindow)
	if left, ok := q.take(now); !ok || left != 7 {
		t.Errorf("%t, %d left out", ok, left)
	}
	if left, ok := q.take(now.Add(-time.Hour)); !ok || left != 0 {
		t.Errorf("after the clock was set back: %t, %d left out", ok, left)
	}
}
