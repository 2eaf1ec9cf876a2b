//go:build unix

package record

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/sallyport-gateway/sallyport/internal/gate"
)

// BenchmarkCommand is the hot path: a command of about 100 bytes is appended and
// committed, then its answer of about 150 bytes, then its effect is appended.
func BenchmarkCommand(b *testing.B) {
	g := start(b, newRecorder(b, b.TempDir()), session("ses_a"))
	verdict := gate.Verdict{Decision: gate.Allow, Rule: "production/reads", Masks: gate.Masks{"pii": "redact", "card": "last4"}}
	text := "SELECT abalance FROM pgbench_accounts WHERE aid = 1234567 AND bid BETWEEN 10 AND 2000 ORDER BY 1"
	answer := rowData(150)
	started := time.Now()
	var e gate.Event
	n := uint64(0)
	b.ReportAllocs()
	for b.Loop() {
		n++
		at := started.Add(time.Duration(n) * 50 * time.Microsecond)
		e = gate.Event{Kind: gate.EventCommand, Time: at, Command: n, Text: text, Effects: gate.EffectRead, Verdict: &verdict}
		_ = g.Append(&e)
		_ = g.Commit()
		e = gate.Event{Kind: gate.EventAnswer, Time: at, Command: n, Data: answer}
		_ = g.Append(&e)
		_ = g.Commit()
		e = gate.Event{Kind: gate.EventEffect, Time: at, Command: n, Text: "SELECT 1", Rows: 1}
		if err := g.Append(&e); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(2*b.N), "ns/commit")
}

// BenchmarkBulk is a large SELECT, answered in pieces as a protocol writes them.
func BenchmarkBulk(b *testing.B) {
	for _, piece := range []int{4 << 10, 16 << 10, 32 << 10, 64 << 10} {
		b.Run(fmt.Sprint(piece>>10, "KiB"), func(b *testing.B) {
			g := start(b, newRecorder(b, b.TempDir()), session("ses_a"))
			data := rowData(8 << 20)
			b.SetBytes(int64(piece))
			b.ReportAllocs()
			at := 0
			before := cpuTime()
			for b.Loop() {
				if at+piece > len(data) {
					at = 0
				}
				e := gate.Event{Kind: gate.EventAnswer, Time: time.Now(), Command: 1, Data: data[at : at+piece]}
				if err := g.Append(&e); err != nil {
					b.Fatal(err)
				}
				if err := g.Commit(); err != nil {
					b.Fatal(err)
				}
				at += piece
			}
			b.ReportMetric((cpuTime()-before).Seconds()/float64(b.N)/float64(piece)*1e9, "cpu-s/GB")
		})
	}
}

// BenchmarkIdle reports the heap that 2,000 idle recordings take, each of which
// has recorded a command, and the cost to open and close one.
func BenchmarkIdle(b *testing.B) {
	const sessions = 2000
	for b.Loop() {
		r := newRecorder(b, b.TempDir())
		infos := make([]*gate.SessionInfo, sessions)
		all := make([]gate.Recording, sessions)
		for i := range infos {
			infos[i] = session(fmt.Sprint("ses_", i))
		}
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		for i := range all {
			all[i] = start(b, r, infos[i])
			for n := range uint64(3) {
				must(b, all[i].Append(command(n+1, "SELECT 1")))
				must(b, all[i].Commit())
				must(b, all[i].Append(&gate.Event{Kind: gate.EventEffect, Time: time.Now(), Command: n + 1, Text: "SELECT 1"}))
			}
		}
		r.sweep()
		runtime.GC()
		runtime.GC() // the second one empties the pools
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/sessions, "heap-B/session")
		for _, g := range all {
			must(b, g.Close())
		}
		_ = r.Close()
	}
}
