package record

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/sallyport-gateway/sallyport/internal/gate"
)

// maxEvent bounds what a reader puts together for one event: a statement of
// 16 MiB, which is the gateway's limit for SQL, and as much for its parameters.
// What is longer is on disk whole, and is shown cut.
const maxEvent = 32 << 20

// maxRetries is how often a tail with a bad frame is read again before it
// counts as damaged.
const maxRetries = 3

// maxTail bounds a tail as the reader takes it: the writer stops at tailLimit.
const maxTail = magicSize + maxRaw

// Entry is one event as it was recorded.
type Entry struct {
	// Seq is the sequence number of the event's last frame.
	Seq uint64
	// At is the time since the session's start, on the gateway's monotonic clock.
	At time.Duration
	// Event is the event as the gate gave it; Event.Time is the start plus At.
	// Data of more than 60 KiB comes as several events. Its Data is valid until
	// the next call of Next.
	Event gate.Event
	// Unknown are the commands whose outcome is unknown after a crash. Such an
	// entry, written by Recover, has no Event.Kind.
	Unknown []uint64
	// Cut: the event was longer than a reader takes, and its end is missing.
	Cut bool
	// Note says in a few words that something was not understood; empty otherwise.
	Note string
}

// DamageError says that a part of a recording cannot be read. Reading can go on
// behind it.
type DamageError struct {
	// File is the file's name, Offset where in it the damage begins.
	File   string
	Offset int64
	Reason string
}

// Error names the file, the offset and the reason.
func (e *DamageError) Error() string {
	return fmt.Sprintf("record: %s is damaged at byte %d: %s", e.File, e.Offset, e.Reason)
}

// Reader reads one recording from its start. It is not safe for concurrent use.
type Reader struct {
	dir   string
	id    string
	start Start
	tail  *os.File // nil if there is none
	rec   *os.File // nil if there is none yet
	isCut bool

	at     int64  // offset of the next block in rec
	frames []byte // decoded, not yet given
	base   int64  // offset of frames in the tail; -1 when they come from a block
	block  block
	next   uint64 // sequence number of the next frame
	stored []byte // buffer for a block's stored bytes
	raw    []byte // buffer for frames
	parts  []byte // the payload of an event that goes over several frames
	cut    bool   // parts ran over maxEvent
	slots  [slotCount]*judgement

	final   *Summary // from the summary block
	counts  counts
	open    map[uint64]bool // forwarded commands without an effect
	before  uint64          // the same in blocks that were stepped over
	cause   string
	torn    bool // the last frame is incomplete
	damaged bool
	recEnd  bool // rec has no block that could be read any more
	tailEnd bool // the tail is damaged and was read to its end
	retries int  // reads of the tail that met a frame in the making
}

// Open opens the recording of a session in a folder. The error is
// fs.ErrNotExist if there is none.
func Open(dir, id string) (*Reader, error) {
	if err := checkID(id); err != nil {
		return nil, err
	}
	r := &Reader{dir: dir, id: id, at: magicSize, base: -1, open: map[uint64]bool{}}
	// The tail comes first: once it is gone, the .rec is there.
	var err error
	if r.tail, err = openFile(r.path(tailExt), tailMagic); errors.Is(err, fs.ErrNotExist) {
		r.tail, err = openFile(r.path(cutExt), tailMagic)
		r.isCut = err == nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	r.rec, err = openFile(r.path(recExt), recMagic)
	if err != nil && !(errors.Is(err, fs.ErrNotExist) && r.tail != nil) {
		r.Close()
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("record: session %s: %w", id, fs.ErrNotExist)
		}
		return nil, err
	}
	if err := r.readStart(); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

// openFile opens a file and checks its magic. A file with less than a magic is
// one whose writer was killed at once: it counts as missing.
func openFile(name, magic string) (*os.File, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("record: %w", err)
	}
	var b [magicSize]byte
	switch _, err = f.ReadAt(b[:], 0); {
	case errors.Is(err, io.EOF):
		err = fmt.Errorf("record: %s is empty: %w", filepath.Base(name), fs.ErrNotExist)
	case err == nil && string(b[:]) != magic:
		err = &DamageError{filepath.Base(name), 0, fmt.Sprintf("not a recording of version %s", magic[len(magic)-1:])}
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

func (r *Reader) path(ext string) string { return filepath.Join(r.dir, r.id+ext) }

func (r *Reader) readStart() error {
	f, err := r.event()
	if err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return fmt.Errorf("record: start of %s: %w", r.id, err)
	}
	if f.kind != kindStart || len(f.payload) > maxStart {
		return &DamageError{r.id, 0, "the first frame is not a start"}
	}
	if err := json.Unmarshal(f.payload, &r.start); err != nil {
		return &DamageError{r.id, 0, "the start is not readable: " + err.Error()}
	}
	if r.start.Version != formatVersion || r.start.ID != r.id {
		return &DamageError{r.id, 0, fmt.Sprintf("the start says version %d of session %.40q", r.start.Version, r.start.ID)}
	}
	return nil
}

// Start returns what is known of the session from its start.
func (r *Reader) Start() Start { return r.start }

// Close releases the files.
func (r *Reader) Close() {
	for _, f := range []*os.File{r.tail, r.rec} {
		if f != nil {
			_ = f.Close()
		}
	}
}

// Next returns the next event. At the present end it returns io.EOF; for a
// live session a later call may give more. After a *DamageError the next call
// goes on behind the damage. The entry is valid until the next call.
func (r *Reader) Next() (*Entry, error) {
	f, err := r.event()
	if err != nil {
		return nil, err
	}
	e := &Entry{Seq: f.seq, At: micros(f.micros), Cut: r.cut}
	e.Event.Time = r.start.Started.Add(e.At)
	e.Event.Command = f.command
	r.counts.Micros = max(r.counts.Micros, f.micros)
	if err := r.decode(e, f); err != nil {
		e.Event = gate.Event{Time: e.Event.Time, Command: f.command}
		e.Note = fmt.Sprintf("event %d of kind %d: %v", f.seq, f.kind, err)
	}
	return e, nil
}

// event returns the next event as one frame with its whole payload. Parts of
// answers and inputs are events of their own.
func (r *Reader) event() (frame, error) {
	r.parts, r.cut = r.parts[:0], false
	for {
		f, err := r.frame()
		if err != nil {
			return f, err // an unfinished event is dropped with its end
		}
		if f.kind == byte(gate.EventAnswer) || f.kind == byte(gate.EventInput) {
			return f, nil
		}
		if !f.cont {
			r.parts, r.cut = r.parts[:0], false // the event before has no end
			if !f.more {
				return f, nil
			}
		} else if len(r.parts) == 0 {
			continue // its beginning is missing
		}
		if len(r.parts)+len(f.payload) > maxEvent {
			r.cut = true
			f.payload = f.payload[:max(0, maxEvent-len(r.parts))]
		}
		r.parts = append(r.parts, f.payload...)
		if !f.more {
			f.payload = r.parts
			return f, nil
		}
	}
}

// frame returns the next frame in order, from blocks and then from the tail.
func (r *Reader) frame() (frame, error) {
	for {
		f, n, err := nextFrame(r.frames)
		inBlock := r.base < 0
		switch {
		case len(r.frames) == 0 || !inBlock && (errors.Is(err, errShort) || errors.Is(err, errNone)):
			r.torn = len(r.frames) > 0 && !errors.Is(err, errNone)
			r.frames = nil
			if err := r.load(); err != nil {
				return frame{}, err
			}
			continue
		case err != nil && !inBlock && r.retries < maxRetries:
			r.retries++ // a live writer may have started the tail again under us
			r.frames = nil
			continue
		case err != nil:
			return frame{}, r.damage(n, err)
		}
		r.retries = 0
		if f.seq > r.next {
			if !inBlock && r.more() {
				r.frames = nil // blocks were added since we last looked
				continue
			}
			missing := f.seq - r.next
			r.next, r.slots = f.seq, [slotCount]*judgement{}
			return frame{}, r.harm(fmt.Sprintf("%d frames are missing", missing))
		}
		r.frames = r.frames[n:]
		if !inBlock {
			r.base += int64(n)
		}
		if f.seq < r.next {
			continue // already read from a block
		}
		r.next++
		return f, nil
	}
}

// damage reports a frame that cannot be read and steps over it, or over
// everything that is loaded if its length is not known.
func (r *Reader) damage(n int, err error) error {
	d := r.harm("frame: " + err.Error())
	if n == 0 {
		n = len(r.frames)
	}
	r.frames = r.frames[n:]
	if r.base >= 0 {
		r.base += int64(n)
		r.tailEnd = true // what is loaded is read, then it is over
	}
	return d
}

func (r *Reader) harm(reason string) *DamageError {
	r.damaged = true
	r.parts = r.parts[:0]
	if r.base >= 0 {
		return &DamageError{filepath.Base(r.tail.Name()), r.base, reason}
	}
	return &DamageError{r.id + recExt, r.at, reason}
}

// load gets the next block, or the tail. It returns io.EOF at the end.
func (r *Reader) load() error {
	if r.rec == nil {
		r.rec, _ = openFile(r.path(recExt), recMagic) // a live session may have one by now
	}
	if r.rec != nil && !r.recEnd {
		err := r.loadBlock()
		if !errors.Is(err, io.EOF) {
			return err
		}
	}
	if r.tail == nil || r.final != nil || r.tailEnd {
		return io.EOF
	}
	// The tail is at most one block; read what it has now.
	r.raw = sized(r.raw, maxTail)
	n, err := r.tail.ReadAt(r.raw, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("record: %w", err)
	}
	if n <= magicSize {
		return io.EOF
	}
	r.frames, r.base = r.raw[magicSize:n], magicSize
	return r.skipKnown()
}

// skipKnown steps over the frames of the tail that were given before.
func (r *Reader) skipKnown() error {
	for {
		f, n, err := nextFrame(r.frames)
		if err != nil || f.seq >= r.next {
			if errors.Is(err, errShort) || errors.Is(err, errNone) {
				r.torn = len(r.frames) > 0 && !errors.Is(err, errNone)
				r.frames = nil
				return io.EOF
			}
			return nil
		}
		r.frames = r.frames[n:]
		r.base += int64(n)
	}
}

// more reports whether the .rec has a block that was not read.
func (r *Reader) more() bool {
	if r.rec == nil {
		r.rec, _ = openFile(r.path(recExt), recMagic)
	}
	if r.rec == nil || r.recEnd {
		return false
	}
	b, err := r.header()
	if err != nil {
		return false
	}
	s, err := r.rec.Stat()
	return err == nil && r.at+blockHead+int64(b.stored) <= s.Size()
}

func (r *Reader) header() (block, error) {
	var h [blockHead]byte
	if _, err := r.rec.ReadAt(h[:], r.at); err != nil {
		return block{}, err
	}
	return parseBlock(h[:])
}

// loadBlock reads the next block of the .rec. io.EOF means that there is no
// whole one.
func (r *Reader) loadBlock() error {
	r.base = -1
	b, err := r.header()
	switch {
	case errors.Is(err, io.EOF):
		return io.EOF
	case err != nil:
		// Without a header the next block cannot be found.
		d := r.harm(err.Error())
		r.recEnd = true
		return d
	}
	r.stored = sized(r.stored, int(b.stored))
	if _, err := r.rec.ReadAt(r.stored, r.at+blockHead); err != nil {
		if errors.Is(err, io.EOF) {
			return io.EOF
		}
		return fmt.Errorf("record: %w", err)
	}
	if b.magic == summaryBlock {
		r.recEnd, r.final = true, &Summary{}
		if err := json.Unmarshal(r.stored, r.final); err != nil {
			return r.harm("summary: " + err.Error())
		}
		return io.EOF
	}
	r.raw = sized(r.raw, maxRaw)
	raw, err := b.unpack(r.raw, r.stored)
	if err != nil {
		d := r.harm(err.Error())
		r.at += blockHead + int64(b.stored)
		r.next, r.slots = max(r.next, b.next), [slotCount]*judgement{}
		return d
	}
	r.frames, r.block = raw, b
	r.at += blockHead + int64(b.stored)
	return nil
}

func sized(b []byte, n int) []byte {
	if cap(b) < n {
		b = make([]byte, n)
	}
	return b[:n]
}

// Live reports whether the session is being recorded now.
func (r *Reader) Live() bool {
	if r.final != nil || r.tail == nil || r.isCut || !folderLive(r.dir) {
		return false
	}
	// Renamed or removed since: not live any more.
	_, err := os.Lstat(r.path(tailExt))
	return err == nil
}

// Truncated reports whether the last frame read was incomplete, which is what a
// killed process may leave behind.
func (r *Reader) Truncated() bool { return r.torn }

// Summary sums up what was read so far: after io.EOF, the whole recording.
func (r *Reader) Summary() Summary {
	s := Summary{Start: r.start, Cause: r.cause}
	s.setCounts(r.counts)
	s.Unknown = uint64(len(r.open)) + r.before
	s.Live = r.Live()
	if !s.Live {
		s.Ended = s.Started.Add(micros(r.counts.Micros))
		s.Complete = r.cause != "" && r.final != nil && !r.damaged
		switch {
		case s.Cause != "":
		case r.isCut:
			s.Cause = CauseRecorder
		case r.final != nil && r.final.Cause != "":
			s.Cause = r.final.Cause
		default:
			s.Cause = CauseCrash
		}
	}
	for _, f := range []*os.File{r.tail, r.rec} {
		if f != nil {
			if i, err := f.Stat(); err == nil {
				s.Size += i.Size()
			}
		}
	}
	return s
}

// idOf returns the session id of a file of a recording.
func idOf(name string) (id, ext string, ok bool) {
	ext = filepath.Ext(name)
	id = strings.TrimSuffix(name, ext)
	ok = (ext == recExt || ext == tailExt || ext == cutExt) && checkID(id) == nil
	return id, ext, ok
}
