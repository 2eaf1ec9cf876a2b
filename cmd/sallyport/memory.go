package main

import (
	"context"
	"runtime/debug"
	heap "runtime/metrics"
	"time"

	"github.com/sallyport-gateway/sallyport/internal/gate"
)

// trim gives memory back to the system when a busy time is over: after a second
// without a command or a new session. Log-ins and large answers leave the heap
// larger than idle sessions need, and nothing else would collect it for minutes.
func trim(ctx context.Context, g *gate.Gateway) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	var last uint64
	trimmed := false
	p := newPace()
	for {
		p.follow(liveHeap())
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		counters := g.Counters()
		n := counters.Connections.Load()
		for d := range counters.Decided {
			n += counters.Decided[d].Load()
		}
		if n == last && !trimmed {
			debug.FreeOSMemory()
		}
		trimmed = n == last
		last = n
	}
}

// garbageRoom is what a heap may grow by before it is collected, however small it is.
const garbageRoom = 64 << 20

// pace is how often the heap is collected. What a bulk transfer reads is garbage a
// moment later, and the heap of a gateway with few sessions would be collected after
// every few megabytes of it: a tenth of the processor's time. A large heap keeps the
// runtime's pace, and limits.memory holds for every heap.
type pace struct {
	percent int
	fixed   bool // the operator has set another one (GOGC)
}

// usualPercent is the runtime's own.
const usualPercent = 100

func newPace() *pace {
	was := debug.SetGCPercent(usualPercent)
	if was != usualPercent {
		debug.SetGCPercent(was)
	}
	return &pace{percent: was, fixed: was != usualPercent}
}

// follow sets the pace for what lives in the heap. It stops the world for a moment, so
// it does nothing for small differences.
func (p *pace) follow(live uint64) {
	percent := gcPercent(live)
	if p.fixed || max(percent, p.percent)-min(percent, p.percent) <= p.percent/8 {
		return
	}
	debug.SetGCPercent(percent)
	p.percent = percent
}

// gcPercent is how much a heap may grow, in percent of what lives in it.
func gcPercent(live uint64) int {
	return int(max(usualPercent, garbageRoom*100/max(live, 1<<20))) //nolint:gosec // at most 6,400
}

// liveHeap is what the last collection has left.
func liveHeap() uint64 {
	s := []heap.Sample{{Name: "/gc/heap/live:bytes"}}
	heap.Read(s)
	return s[0].Value.Uint64()
}
