package record

import (
	"bytes"
	"hash/crc32"
	"os"
	"path/filepath"
	"testing"

	"github.com/sallyport-gateway/sallyport/internal/gate"
)

// sample returns the files of a small recording, open and closed.
func sample(t testing.TB) (tail, rec []byte) {
	dir := t.TempDir()
	r := newRecorder(t, dir)
	g := start(t, r, session("ses_a"))
	for n := 1; n < 12; n++ {
		must(t, g.Append(crashEvent(n)))
	}
	must(t, g.Append(&gate.Event{Kind: gate.EventHold, Command: 3, Text: "apr_1 pending"}))
	must(t, g.Append(&gate.Event{Kind: gate.EventEnd, Text: "closed"}))
	must(t, g.Commit())
	tail, err := os.ReadFile(filepath.Join(dir, "ses_a.tail"))
	must(t, err)
	must(t, g.Close())
	rec, err = os.ReadFile(filepath.Join(dir, "ses_a.rec"))
	must(t, err)
	return tail, rec
}

func FuzzFrame(f *testing.F) {
	tail, _ := sample(f)
	f.Add(tail[magicSize:])
	f.Add(make([]byte, 10))
	f.Add(appendFrame(nil, frame{kind: 3, seq: 1, payload: []byte("x")}))
	f.Fuzz(func(t *testing.T, b []byte) {
		fr, n, err := nextFrame(b)
		if n < 0 || n > len(b) || err == nil && n == 0 {
			t.Fatalf("a frame of %d bytes in %d", n, len(b))
		}
		if err == nil && len(fr.payload) > maxBody {
			t.Fatalf("payload of %d bytes", len(fr.payload))
		}
	})
}

func FuzzPayload(f *testing.F) {
	f.Add(byte(gate.EventCommand), appendJudgement([]byte{1, slotDefine, 60}, command(1, "x")))
	f.Add(byte(gate.EventEffect), []byte{2, 'x'})
	f.Add(byte(kindRecovered), []byte{2, 1, 2})
	f.Fuzz(func(t *testing.T, kind byte, payload []byte) {
		r := &Reader{open: map[uint64]bool{}}
		for range 2 { // the second time with what the first left in the slots
			e := &Entry{}
			_ = r.decode(e, frame{kind: kind, payload: payload})
		}
		_, _ = decodeJudgement(payload)
	})
}

func FuzzBlock(f *testing.F) {
	_, rec := sample(f)
	f.Add(rec[magicSize:])
	raw := rowData(4000)
	f.Add(packBlock(*getPacked(), raw, block{first: 1, next: 2}))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := parseBlock(b)
		if err != nil {
			// Checksums stop most inputs; the code behind them is tried too.
			h = block{codec: codecS2, stored: uint32(len(b)), raw: uint32(len(b)), crc: crc(b)}
			_, _ = h.unpack(nil, b)
			return
		}
		out, err := h.unpack(nil, b[blockHead:])
		if err == nil && len(out) > maxRaw+maxSummary {
			t.Fatalf("%d bytes", len(out))
		}
	})
}

func FuzzFiles(f *testing.F) {
	tail, rec := sample(f)
	f.Add(tail, rec)
	f.Add(append(tail, make([]byte, 100)...), rec)
	f.Add(tail, []byte(recMagic))
	f.Add([]byte{}, rec)
	f.Fuzz(func(t *testing.T, tail, rec []byte) {
		dir := t.TempDir()
		must(t, os.WriteFile(filepath.Join(dir, "ses_a.tail"), tail, 0o600))
		must(t, os.WriteFile(filepath.Join(dir, "ses_a.rec"), rec, 0o600))
		_, _, _ = readThrough(t, dir, "ses_a")
		_, _ = Summarise(dir, "ses_a")
		if r, err := Open(dir, "ses_a"); err == nil {
			var out bytes.Buffer
			_ = Replay(t.Context(), &out, r, ReplayOptions{})
			r.Close()
			assertInert(t, out.Bytes())
		}
		_, _ = Recover(dir)
		_, _, _ = readThrough(t, dir, "ses_a")
	})
}

func FuzzSafe(f *testing.F) {
	for _, s := range hostile {
		f.Add(s, 10)
	}
	f.Fuzz(func(t *testing.T, s string, limit int) {
		out := appendSafe(nil, s, min(limit, 1000))
		assertInert(t, out)
		if bytes.ContainsRune(out, '\n') {
			t.Fatalf("a line end in %q", out)
		}
	})
}

func crc(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }
