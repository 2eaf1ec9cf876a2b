package record

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"hash/maphash"
	"os"
	"slices"
	"sync"

	"github.com/sallyport-gateway/sallyport/internal/gate"
)

const (
	// tailLimit is when a tail becomes a block.
	tailLimit = 64 << 10
	// directLimit is when pending frames become a block without a stay in the
	// tail.
	directLimit = 16 << 10
	// maxStart bounds the JSON of a Start.
	maxStart = 1 << 20
	// maxOpen bounds the pipelined commands whose effects a recording waits for.
	maxOpen = 1024
)

// Recording is one session's recording. The gate's calls do not overlap; the
// recorder's background joins in between them.
type Recording struct {
	r    *Recorder
	info *gate.SessionInfo

	mu       sync.Mutex // guards everything below
	tail     tail
	rec      file // nil unless written to lately
	buf      []byte
	frame    int    // where the frame being written begins in buf
	room     int    // what its payload may still take
	bufFirst uint64 // sequence number of buf's first frame
	tailNext uint64 // sequence number of the tail's first frame
	recSize  int64
	seq      uint64 // of the next frame
	counts   counts
	open     []uint64 // forwarded commands without an effect, oldest first; at most maxOpen
	kind     byte     // of the event being written
	command  uint64   // of the event being written
	slot     byte     // the next slot to define
	slots    [slotCount]uint64
	cause    string
	err      error
	touched  bool // the background will come
	recNew   bool // rec was written since the background came
	closed   bool
}

// begin writes the tail's magic and the start frame.
func (g *Recording) begin(start []byte) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := g.tail.begin(); err != nil {
		return err
	}
	g.beginEvent(kindStart, 0)
	put(g, start)
	g.endFrame(false)
	return g.commit()
}

// Append adds one event. See gate.Recording.
func (g *Recording) Append(e *gate.Event) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := g.usable(); err != nil {
		return err
	}
	if d := e.Time.Sub(g.info.Started).Microseconds(); d > int64(g.counts.Micros) {
		g.counts.Micros = uint64(d) // time never runs back in a recording
	}
	switch e.Kind {
	case gate.EventCommand:
		if err := g.appendCommand(e); err != nil {
			return g.fail(err)
		}
	case gate.EventInput, gate.EventAnswer:
		if e.Kind == gate.EventAnswer {
			g.counts.Bytes += uint64(len(e.Data))
		}
		g.beginEvent(byte(e.Kind), e.Command)
		put(g, e.Data)
	case gate.EventEffect:
		g.beginEvent(byte(e.Kind), e.Command)
		putVarint(g, e.Rows)
		put(g, e.Text)
		g.settleCommand(e.Command)
	case gate.EventHold, gate.EventInquiry, gate.EventEnd:
		if e.Kind == gate.EventEnd {
			g.cause = e.Text
		}
		g.beginEvent(byte(e.Kind), e.Command)
		put(g, e.Text)
	default:
		return g.fail(fmt.Errorf("event of kind %d", e.Kind))
	}
	g.endFrame(false)
	if g.err != nil {
		return g.fail(g.err) // a block could not be written on the way
	}
	if !g.touched {
		g.touched = true
		g.r.touch(g)
	}
	return nil
}

func (g *Recording) usable() error {
	if g.closed {
		return ErrClosed
	}
	return g.err
}

func (g *Recording) appendCommand(e *gate.Event) error {
	size := judgementSize(e)
	if size > maxJudgement {
		return fmt.Errorf("a decision of %d bytes, at most %d", size, maxJudgement)
	}
	flags := commandFlags(e)
	g.counts.add(flags)
	if flags&flagRuns != 0 {
		g.openCommand(e.Command)
	}
	g.beginEvent(byte(e.Kind), e.Command)
	put(g, []byte{flags})
	g.putJudgement(e)
	putUvarint(g, uint64(len(e.Text)))
	put(g, e.Text)
	putUvarint(g, uint64(len(e.Params)))
	for _, p := range e.Params {
		putUvarint(g, uint64(len(p)))
		put(g, p)
	}
	return nil
}

// openCommand notes that a command goes to the target.
func (g *Recording) openCommand(n uint64) {
	g.counts.Unknown++
	if len(g.open) == maxOpen {
		g.open = slices.Delete(g.open, 0, 1) // it stays counted as unknown
	}
	g.open = append(g.open, n)
}

// settleCommand notes that a command's effect is known.
func (g *Recording) settleCommand(n uint64) {
	if i := slices.Index(g.open, n); i >= 0 {
		g.open = slices.Delete(g.open, i, i+1)
		g.counts.Unknown--
	}
}

// putJudgement writes the number of the slot that holds the event's judgement,
// or defines the next one. It comes first in the payload, where there is room.
func (g *Recording) putJudgement(e *gate.Event) {
	g.reserve(judgementSize(e) + binary.MaxVarintLen64)
	at := len(g.buf)
	g.buf = appendJudgement(append(g.buf, 0), e)
	sum := maphash.Bytes(g.r.seed, g.buf[at+1:]) | 1 // zero marks an empty slot
	for i, s := range g.slots {
		if s == sum {
			g.buf = append(g.buf[:at], byte(i))
			g.room--
			return
		}
	}
	slot := g.slot
	g.slot = (slot + 1) % slotCount
	g.slots[slot] = sum
	// The length goes in front: make room for it.
	var n [binary.MaxVarintLen64]byte
	head := binary.PutUvarint(n[:], uint64(len(g.buf)-at-1))
	g.buf = append(g.buf, n[:head]...)
	copy(g.buf[at+1+head:], g.buf[at+1:])
	g.buf[at] = slot | slotDefine
	copy(g.buf[at+1:], n[:head])
	g.room -= len(g.buf) - at
}

// beginEvent opens the first frame of an event.
func (g *Recording) beginEvent(kind byte, command uint64) {
	g.kind, g.command = kind, command
	g.beginFrame(kind)
}

func (g *Recording) beginFrame(kind byte) {
	if g.buf == nil {
		g.buf = getSmall()
		g.bufFirst = g.seq
	}
	g.reserve(frameHead + maxBody - maxPayload)
	g.frame = len(g.buf)
	b := append(g.buf, 0, 0, 0, 0, 0, 0, 0, 0, kind)
	b = binary.AppendUvarint(b, g.seq)
	b = binary.AppendUvarint(b, g.counts.Micros)
	g.buf = binary.AppendUvarint(b, g.command)
	g.room = maxPayload
	g.seq++
}

// endFrame closes the frame. A buffer with enough frames becomes a block.
func (g *Recording) endFrame(goesOn bool) {
	body := g.buf[g.frame+frameHead:]
	if goesOn {
		body[0] |= more
	}
	binary.LittleEndian.PutUint32(g.buf[g.frame:], uint32(len(body)))
	binary.LittleEndian.PutUint32(g.buf[g.frame+4:], crc32.Checksum(body, castagnoli))
	if len(g.buf) >= tailLimit {
		_ = g.commit() // g.err tells
	}
}

// put writes payload, over as many frames as it takes. It is a function because
// methods have no type parameters.
func put[S string | []byte](g *Recording, s S) {
	for len(s) > 0 {
		if g.room == 0 {
			g.endFrame(true)
			g.beginFrame(g.kind | cont)
		}
		n := min(len(s), g.room)
		g.reserve(n)
		g.buf = append(g.buf, s[:n]...)
		g.room -= n
		s = s[n:]
	}
}

func putUvarint(g *Recording, v uint64) {
	var b [binary.MaxVarintLen64]byte
	put(g, b[:binary.PutUvarint(b[:], v)])
}

func putVarint(g *Recording, v int64) {
	var b [binary.MaxVarintLen64]byte
	put(g, b[:binary.PutVarint(b[:], v)])
}

// reserve moves the pending frames to a large buffer if the small one is full.
func (g *Recording) reserve(n int) {
	if cap(g.buf)-len(g.buf) >= n || cap(g.buf) >= largeBuffer {
		return
	}
	b := append(getLarge(), g.buf...)
	putBuffer(g.buf)
	g.buf = b
}

// Commit hands what was appended to the kernel. See gate.Recording.
func (g *Recording) Commit() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := g.usable(); err != nil {
		return err
	}
	return g.commit()
}

func (g *Recording) commit() error {
	if g.err != nil || len(g.buf) == 0 {
		return g.err
	}
	if n := len(g.buf); n >= directLimit || g.tail.size+int64(n) > tailLimit {
		if err := g.writeBlock(); err != nil {
			return g.fail(err)
		}
	} else {
		if g.tail.empty() {
			g.tailNext = g.bufFirst
		}
		if err := g.tail.append(g.buf); err != nil {
			return g.fail(err)
		}
	}
	putBuffer(g.buf)
	g.buf = nil
	return nil
}

// writeBlock compresses the tail and the pending frames into one block at the
// end of the .rec and starts the tail again. A crash in between leaves frames in
// both, which the reader drops by their sequence numbers.
func (g *Recording) writeBlock() error {
	raw, first := g.buf, g.bufFirst
	if !g.tail.empty() {
		whole, err := g.tail.frames(getLarge())
		defer putBuffer(whole)
		if err != nil {
			return fmt.Errorf("read the tail again: %w", err)
		}
		raw, first = append(whole, g.buf...), g.tailNext
	}
	if err := g.openRec(); err != nil {
		return err
	}
	dst := getPacked()
	defer putPacked(dst)
	out := packBlock(*dst, raw, block{first: first, next: g.seq, counts: g.counts})
	if err := g.writeRec(out); err != nil {
		return err
	}
	if g.tail.empty() {
		return nil
	}
	return g.tail.restart()
}

func (g *Recording) openRec() error {
	if g.rec != nil {
		return nil
	}
	flag := os.O_RDWR
	if g.recSize == 0 {
		flag |= os.O_CREATE | os.O_EXCL
	}
	f, err := g.r.open(g.r.path(g.info.ID, recExt), flag)
	if err != nil {
		return err
	}
	g.rec = f
	if g.recSize == 0 {
		g.r.mu.Lock()
		g.r.named = true
		g.r.mu.Unlock()
		return g.writeRec([]byte(recMagic))
	}
	return nil
}

func (g *Recording) writeRec(b []byte) error {
	g.recNew = true
	if _, err := g.rec.WriteAt(b, g.recSize); err != nil {
		_ = g.rec.Truncate(g.recSize)
		return err
	}
	g.recSize += int64(len(b))
	return nil
}

// fail makes err the recording's last word.
func (g *Recording) fail(err error) error {
	if g.err == nil {
		g.err = fmt.Errorf("record: %w", err)
	}
	if g.buf != nil {
		putBuffer(g.buf)
		g.buf = nil
	}
	return g.err
}

// flush is the background's first visit: it commits what waits, which frees the
// buffer.
func (g *Recording) flush() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.touched = false
	if g.closed || g.err != nil {
		return nil
	}
	return g.commit()
}

// sync is the background's second visit: it syncs the files and closes a .rec
// that was not written to meanwhile.
func (g *Recording) sync() error {
	g.mu.Lock()
	if g.closed || g.err != nil {
		g.mu.Unlock()
		return nil
	}
	tail, rec, size := g.tail.file, g.rec, g.tail.size
	g.recNew = false
	g.mu.Unlock()
	// Syncing takes milliseconds; the session goes on meanwhile. Close may close
	// the files under us, after it has synced them itself.
	err := tail.Sync()
	if rec != nil {
		err = errors.Join(err, rec.Sync())
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed || errors.Is(err, os.ErrClosed) {
		return nil
	}
	if err != nil {
		return g.fail(err)
	}
	if g.recNew {
		return nil
	}
	if g.tail.size == size { // nothing came meanwhile: the session is not busy
		err = g.tail.rest()
	}
	if g.rec != nil {
		err = errors.Join(err, g.rec.Close())
		g.rec = nil
	}
	if err != nil {
		return g.fail(err)
	}
	return nil
}

// Close commits, moves everything into the .rec, ends it with a summary, syncs
// it and removes the tail. After an error the files stay as they are; the tail
// is renamed, so that the recording is not taken for a live one.
func (g *Recording) Close() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return nil
	}
	err := g.err
	if err == nil {
		if err = g.finish(); err != nil {
			err = g.fail(err)
		}
	}
	g.closed = true
	err = errors.Join(err, g.tail.close())
	if g.rec != nil {
		err = errors.Join(err, g.rec.Close())
	}
	tail := g.r.path(g.info.ID, tailExt)
	if err != nil {
		return errors.Join(err, os.Rename(tail, g.r.path(g.info.ID, cutExt)))
	}
	return os.Remove(tail)
}

func (g *Recording) finish() error {
	if len(g.buf) > 0 || !g.tail.empty() {
		if err := g.writeLastBlock(); err != nil {
			return err
		}
	}
	if err := g.openRec(); err != nil {
		return err
	}
	sum := Summary{Start: newStart(g.info), Cause: g.cause, Complete: g.cause != ""}
	sum.setCounts(g.counts)
	if sum.Cause == "" {
		sum.Cause = CauseCrash
	}
	sum.Ended = sum.Started.Add(micros(g.counts.Micros))
	end, err := packSummary(&sum, g.seq, g.counts, g.recSize)
	if err != nil {
		return err
	}
	if err := g.writeRec(end); err != nil {
		return err
	}
	return g.rec.Sync()
}

// writeLastBlock moves the tail into a block even when nothing is pending.
func (g *Recording) writeLastBlock() error {
	if err := g.writeBlock(); err != nil {
		return err
	}
	if g.buf != nil {
		putBuffer(g.buf)
		g.buf = nil
	}
	return nil
}

// packSummary returns the summary block and the trailer, to stand at offset.
func packSummary(s *Summary, next uint64, c counts, offset int64) ([]byte, error) {
	raw, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	if len(raw) > maxSummary {
		return nil, fmt.Errorf("summary of %d bytes", len(raw))
	}
	b := block{magic: summaryBlock, codec: codecRaw, stored: uint32(len(raw)), raw: uint32(len(raw)),
		first: next, next: next, counts: c, crc: crc32.Checksum(raw, castagnoli)}
	out := make([]byte, blockHead, blockHead+len(raw)+trailerSize)
	b.putHeader(out)
	return appendTrailer(append(out, raw...), offset), nil
}
