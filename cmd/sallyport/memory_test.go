package main

import (
	"runtime/debug"
	"testing"
)

func TestASmallHeapHasRoomForGarbageAndALargeOneTheUsualPace(t *testing.T) {
	for live, want := range map[uint64]int{0: 6400, 16 << 20: 400, 64 << 20: 100, 1 << 30: 100} {
		if got := gcPercent(live); got != want {
			t.Errorf("%d bytes live: %d %%, want %d", live, got, want)
		}
	}
}

func TestThePaceThatAnOperatorHasSetStays(t *testing.T) {
	before := debug.SetGCPercent(30)
	defer debug.SetGCPercent(before)
	newPace().follow(1 << 20)
	if got := debug.SetGCPercent(30); got != 30 {
		t.Errorf("the pace is %d", got)
	}
	debug.SetGCPercent(usualPercent)
	p := newPace()
	p.follow(16 << 20)
	p.follow(17 << 20) // nearly the same
	if got := debug.SetGCPercent(usualPercent); got != 400 {
		t.Errorf("the pace of 16 MiB is %d %%, want 400", got)
	}
}
