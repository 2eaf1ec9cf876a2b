package record

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
)

// rowData returns about n bytes of PostgreSQL DataRow messages as a bulk
// SELECT over an orders table would answer them.
func rowData(n int) []byte {
	r := rand.New(rand.NewPCG(1, 2))
	first := []string{"Anna", "Bogdan", "Chiara", "Dmitri", "Elif", "Farid", "Grace", "Hiro"}
	status := []string{"open", "paid", "shipped", "returned"}
	var b []byte
	for id := 1; len(b) < n; id++ {
		cells := []string{
			fmt.Sprint(id), first[r.IntN(len(first))], fmt.Sprintf("%s.%d@example.com", first[r.IntN(len(first))], r.IntN(1e6)),
			status[r.IntN(len(status))], fmt.Sprintf("%d.%02d", r.IntN(5000), r.IntN(100)),
			fmt.Sprintf("2026-%02d-%02d %02d:%02d:%02d.%06d+00", 1+r.IntN(12), 1+r.IntN(28), r.IntN(24), r.IntN(60), r.IntN(60), r.IntN(1e6)),
			fmt.Sprintf("%016x", r.Uint64()),
		}
		at := len(b)
		b = append(b, 'D', 0, 0, 0, 0, 0, byte(len(cells)))
		for _, c := range cells {
			b = binary.BigEndian.AppendUint32(b, uint32(len(c)))
			b = append(b, c...)
		}
		binary.BigEndian.PutUint32(b[at+1:], uint32(len(b)-at-1))
	}
	return b
}

// BenchmarkCodec is the measurement behind the choice of the block codec.
func BenchmarkCodec(b *testing.B) {
	const block = 64 << 10
	data := rowData(8 << 20)
	for _, bs := range []int{8 << 10, 16 << 10, 32 << 10, 60 << 10, 128 << 10, 256 << 10, 1 << 20} {
		b.Run(fmt.Sprint("s2-", bs), func(b *testing.B) {
			dst := make([]byte, 0, s2.MaxEncodedLen(bs))
			var out int
			for b.Loop() {
				out = 0
				for at := 0; at < len(data); at += bs {
					out += len(s2.Encode(dst[:cap(dst)], data[at:min(at+bs, len(data))]))
				}
			}
			b.ReportMetric(float64(len(data))/float64(out), "ratio")
			b.ReportMetric(b.Elapsed().Seconds()/float64(b.N)/float64(len(data))*1e9, "s/GB")
		})
	}
	zf, _ := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
	for _, c := range []struct {
		name   string
		encode func(dst, src []byte) []byte
	}{
		{"raw", func(dst, src []byte) []byte { return dst[:copy(dst[:cap(dst)], src)] }},
		{"s2", func(dst, src []byte) []byte { return s2.Encode(dst[:cap(dst)], src) }},
		{"s2better", func(dst, src []byte) []byte { return s2.EncodeBetter(dst[:cap(dst)], src) }},
		{"zstd1", func(dst, src []byte) []byte { return zf.EncodeAll(src, dst[:0]) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			dst := make([]byte, 0, s2.MaxEncodedLen(block))
			b.SetBytes(int64(len(data)))
			var out int
			for b.Loop() {
				out = 0
				for at := 0; at < len(data); at += block {
					out += len(c.encode(dst, data[at:min(at+block, len(data))]))
				}
			}
			b.ReportMetric(float64(len(data))/float64(out), "ratio")
			b.ReportMetric(b.Elapsed().Seconds()/float64(b.N)/float64(len(data))*1e9, "s/GB")
		})
	}
}
