package mask

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// logs returns about 256 KiB of log text of a kind, which holds nothing
// sensitive and many digits, colons and hyphens.
func logs(kind string) []byte {
	rng := rand.New(rand.NewPCG(3, 4))
	var b []byte
	clock := 0
	for len(b) < 256<<10 {
		clock += rng.IntN(900)
		b = append(b, line(rng, kind, clock)...)
	}
	return b
}

func line(rng *rand.Rand, kind string, clock int) string {
	h, m, sec, ms := 8+clock/3600000%12, clock/60000%60, clock/1000%60, clock%1000
	hex := func(n int) string { return fmt.Sprintf("%0*x", n, rng.Uint64())[:n] }
	path := [...]string{"/api/v1/orders/48213", "/static/app.3f2a91c7.js", "/healthz", "/v2/search?q=blue+shoes&page=3&size=20", "/login"}[rng.IntN(5)]
	switch kind {
	case "nginx":
		return fmt.Sprintf("10.%d.%d.%d - - [25/Nov/2026:%02d:%02d:%02d +0000] \"GET %s HTTP/1.1\" %d %d \"https://shop.example.com/\" \"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36\" %d.%03d\n",
			rng.IntN(256), rng.IntN(256), rng.IntN(256), h, m, sec, path, 200+rng.IntN(4), rng.IntN(90000), rng.IntN(3), ms)
	case "json":
		return fmt.Sprintf("{\"level\":\"info\",\"ts\":\"2026-11-25T%02d:%02d:%02d.%03dZ\",\"caller\":\"server/handler.go:%d\",\"msg\":\"request served\",\"method\":\"GET\",\"path\":\"%s\",\"status\":200,\"duration_ms\":%d.%d,\"trace_id\":\"%s\",\"bytes\":%d}\n",
			h, m, sec, ms, rng.IntN(900), path, rng.IntN(200), rng.IntN(10), hex(16)+hex(16), rng.IntN(100000))
	case "syslog":
		return fmt.Sprintf("Nov 25 %02d:%02d:%02d web-%d systemd[1]: session-%d.scope: Deactivated successfully, consumed %d.%03ds CPU time.\nNov 25 %02d:%02d:%02d web-%d kernel: [%d.%06d] eth0: link up, 1000Mbps, full-duplex, lpa 0x%s\n",
			h, m, sec, rng.IntN(20), rng.IntN(90000), rng.IntN(9), ms, h, m, sec, rng.IntN(20), clock, rng.IntN(999999), hex(4))
	case "go":
		return fmt.Sprintf("goroutine %d [running]:\nmain.(*Server).handle(0xc000%s, {0x%s, 0x%d})\n\t/src/cmd/server/main.go:%d +0x%s\nruntime/debug.Stack()\n\t/usr/local/go/src/runtime/debug/stack.go:26 +0x5e\n",
			rng.IntN(9000), hex(6), hex(8), rng.IntN(90), rng.IntN(400), hex(3))
	}
	return fmt.Sprintf("I1125 %02d:%02d:%02d.%06d       1 controller.go:%d] \"Reconciling\" logger=\"pod-gc\" namespace=\"kube-system\" name=\"coredns-%s-%s\" uid=\"%s-%s-%s-%s-%s\" attempt=%d\n",
		h, m, sec, rng.IntN(999999), rng.IntN(900), hex(10), hex(5), hex(8), hex(4), hex(4), hex(4), hex(12), rng.IntN(5))
}

// sensitive returns about 256 KiB of text in which every line holds values.
func sensitive() []byte {
	var b []byte
	for len(b) < 256<<10 {
		for _, c := range samples {
			b = append(b, c.in...)
			b = append(b, '\n')
		}
	}
	return b
}

func BenchmarkWrite(b *testing.B) {
	for _, kind := range []string{"nginx", "json", "syslog", "go", "k8s", "sensitive"} {
		text := sensitive
		if kind != "sensitive" {
			text = func() []byte { return logs(kind) }
		}
		for _, size := range []int{1 << 10, 32 << 10} {
			b.Run(fmt.Sprintf("%s/%dKiB", kind, size>>10), func(b *testing.B) {
				text := text()
				s := (&Rules{}).NewStream()
				dst := make([]byte, 0, 4*len(text))
				measure(b, text, func() {
					dst = dst[:0]
					for p := text; len(p) > 0; {
						n := min(size, len(p))
						dst = s.Write(dst, p[:n])
						p = p[n:]
					}
				})
			})
		}
	}
}

// BenchmarkReference copies text and looks at each of its bytes in a table, which
// is the least that a detector can do: the rates of BenchmarkWrite mean something
// only next to it, in the same run.
func BenchmarkReference(b *testing.B) {
	text := logs("json")
	dst := make([]byte, 0, len(text))
	found := 0
	measure(b, text, func() {
		dst = append(dst[:0], text...)
		n := 0
		for _, c := range dst {
			n += int(signs[c])
		}
		found += n
	})
	if found == 0 {
		b.Fatal("nothing found")
	}
}

// measure runs a function over a text and reports, besides the mean, the rate of
// the fastest run: on a machine with other work the mean says little.
func measure(b *testing.B, text []byte, run func()) {
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	fastest := time.Hour
	for b.Loop() {
		start := time.Now()
		run()
		fastest = min(fastest, time.Since(start))
	}
	b.ReportMetric(float64(len(text))/1e6/fastest.Seconds(), "fastest-MB/s")
}
