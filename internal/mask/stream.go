package mask

import "bytes"

const (
	// MaxHeld bounds what a stream holds back, in bytes: text that may still become
	// a value, and the control sequences in it.
	MaxHeld = 64 << 10

	// window is how far back from where they start to look detectors see: the
	// key of an assignment, the word before a number, the start of an address.
	window = 224
	// maxRun is how much of a token at the end is held because a match may begin
	// in it. No detector's match begins further before its trigger.
	maxRun = 128
	// blockSize is how much input is looked at at a time. It bounds the buffer.
	blockSize = 32 << 10
	// smallSize is what an idle stream keeps: the window and a token.
	smallSize = window + maxRun + 32
)

// Stream masks one stream of output. It is for one goroutine at a time. A stream
// that holds nothing back, or only a token, has no buffer and takes less than a
// kibibyte.
type Stream struct {
	rules *Rules
	b     *buffer // nil while the stream is idle

	// Places in the buffer's text.
	pos   int // the detectors have decided on everything before
	out   int // everything before has left
	floor int // where the last match ended: nothing before can be matched again

	final bool // no more input comes
	short bool // a detector looked past the end of the text
	hold  int  // where what must be held begins, after value

	mode    mode
	dropped int    // bytes dropped in this mode, up to maxKey
	quote   byte   // what ends modeQuoted
	stop    byte   // what ends a token besides blanks and quotes
	escaped bool   // the quote is escaped (a document within a document)
	lines   int    // in modeLines: how many are left
	want    wanted // the value that comes next
	counts  [detectorCount]uint32
	feeder
	size  int // of what is in small
	small [smallSize]byte
}

// buffer is what a stream needs while it works. Buffers are shared by the
// streams of the same rules.
type buffer struct {
	dst  []byte
	text []byte      // what is left of the input without sequences of no width
	zero []zeroWidth // those sequences, in order
	raw  []byte      // their bytes
	next int         // the first of zero that has not left
}

// zeroWidth is a sequence that stands before text[at].
type zeroWidth struct{ at, from, to int }

// NewStream returns a stream that masks by these rules.
func (r *Rules) NewStream() *Stream { return &Stream{rules: r} }

// Write takes the next bytes of the stream and appends to dst what may leave
// now. It keeps neither; p must not overlap the room behind dst.
func (s *Stream) Write(dst, p []byte) []byte {
	s.take(dst)
	for len(p) > 0 {
		n := min(len(p), blockSize)
		s.feed(s.b, p[:n])
		p = p[n:]
		s.run()
	}
	return s.give()
}

// Close appends to dst what is held, masked as if the stream ended here. The
// stream is then as new, but for the counts.
func (s *Stream) Close(dst []byte) []byte {
	s.take(dst)
	s.final = true
	s.feedRest(s.b)
	s.run()
	dst = s.give()
	*s = Stream{rules: s.rules, counts: s.counts}
	return dst
}

// Pending returns how many bytes are held back.
func (s *Stream) Pending() int {
	if s.b == nil {
		return s.size - s.out + s.parts
	}
	n := len(s.b.text) - s.out + s.parts
	for _, z := range s.b.zero[s.b.next:] {
		n += z.to - z.from
	}
	return n
}

// Counts returns how many values each detector has masked, by its name; nil if
// none did.
func (s *Stream) Counts() map[string]int {
	var counts map[string]int
	for d, n := range s.counts {
		if n > 0 {
			if counts == nil {
				counts = map[string]int{}
			}
			counts[detectors[d].name] = int(n)
		}
	}
	return counts
}

func (s *Stream) take(dst []byte) {
	if s.b == nil {
		s.b, _ = s.rules.buffers.Get().(*buffer)
		if s.b == nil {
			s.b = &buffer{}
		}
		s.b.text = append(s.b.text[:0], s.small[:s.size]...)
	}
	s.b.dst = dst
}

// give returns the output, and the buffer to the pool if what is left is small.
func (s *Stream) give() []byte {
	b := s.b
	dst := b.dst
	b.dst = nil
	if len(b.text) <= len(s.small) && len(b.zero) == 0 {
		s.size = copy(s.small[:], b.text)
		s.b = nil
		s.rules.buffers.Put(b)
	}
	return dst
}

// run looks at the text from pos on and lets leave what may.
func (s *Stream) run() {
	hold := s.scan()
	if s.final {
		hold = len(s.b.text)
		if s.mode > modeRun {
			s.drop(hold) // the value's end did not come
		}
	}
	s.emit(max(hold, s.out))
	s.compact()
}

// compact drops what has left and is out of the detectors' sight.
func (s *Stream) compact() {
	b := s.b
	if b.next > 0 {
		b.zero = b.zero[:copy(b.zero, b.zero[b.next:])]
		b.next = 0
		if len(b.zero) == 0 {
			b.raw = b.raw[:0]
		} else if gone := b.zero[0].from; gone > 0 {
			b.raw = b.raw[:copy(b.raw, b.raw[gone:])]
			for k := range b.zero {
				b.zero[k].from -= gone
				b.zero[k].to -= gone
			}
		}
	}
	gone := min(s.out, s.pos-window)
	if gone <= 0 {
		return
	}
	b.text = b.text[:copy(b.text, b.text[gone:])]
	s.pos -= gone
	s.out -= gone
	s.floor = max(s.floor-gone, 0)
	for k := range b.zero {
		b.zero[k].at -= gone
	}
}

// emit lets leave what stands before to, and what has no width there.
func (s *Stream) emit(to int) {
	b := s.b
	for b.next < len(b.zero) && b.zero[b.next].at <= to {
		z := b.zero[b.next]
		if z.at > s.out {
			b.dst = append(b.dst, b.text[s.out:z.at]...)
			s.out = z.at
		}
		b.dst = append(b.dst, b.raw[z.from:z.to]...)
		b.next++
	}
	if to > s.out {
		b.dst = append(b.dst, b.text[s.out:to]...)
		s.out = to
	}
}

// drop lets leave nothing of what stands before to but what has no width.
func (s *Stream) drop(to int) {
	b := s.b
	for b.next < len(b.zero) && b.zero[b.next].at < to {
		z := b.zero[b.next]
		b.dst = append(b.dst, b.raw[z.from:z.to]...)
		b.next++
	}
	s.out = max(s.out, to)
	s.floor = s.out
	s.pos = max(s.pos, to)
}

// match masks text[from:to] if the detector is on and has seen enough; it
// reports whether it did.
func (s *Stream) match(d detector, from, to int) bool {
	if s.short || !s.rules.on(d) || from < s.floor || from >= to {
		return false
	}
	s.emit(from)
	s.b.dst = s.rules.write(s.b.dst, d, s.b.text[from:to])
	s.drop(to)
	s.counts[d]++
	return true
}

// at returns the byte of text at j. Past the end it is a line end; if input may
// still come, the decision waits for it.
func (s *Stream) at(j int) byte {
	if j < len(s.b.text) {
		return s.b.text[j]
	}
	if !s.final {
		s.short = true
	}
	return '\n'
}

// before returns the byte before j; at the stream's start, a line end.
func (s *Stream) before(j int) byte {
	if j > 0 {
		return s.b.text[j-1]
	}
	return '\n'
}

// held returns where to hold from if everything before x is decided: at the
// start of the token that ends there.
func (s *Stream) held(x int) int {
	t := s.b.text
	h := x
	for h > 0 && x-h < maxRun && class[t[h-1]]&isBreak == 0 {
		h--
	}
	// A national insurance number may follow: two letters, a space, digits.
	if h == x && x >= 3 && t[x-1] == ' ' && upper(t[x-2]) && upper(t[x-3]) {
		h = x - 3
	}
	return max(h, s.floor)
}

// feeder takes apart what has width and what has not.
type feeder struct {
	part  [maxSequence]byte // the start of a sequence whose end has not come
	parts int
	last  [2]byte // the last two bytes of the input before part
	zeros int     // bytes without width since the last line end
}

const (
	// maxSequence bounds a control sequence. Longer ones are text.
	maxSequence = 40
	// maxZeros bounds the bytes without width in one line; what comes then is
	// text. It keeps what is held within MaxHeld.
	maxZeros = 16 << 10
	// maxParameter bounds the digits of a parameter of a control sequence, so that
	// no value can stand in one.
	maxParameter = 5
)

// feed appends input to the buffer.
func (f *feeder) feed(b *buffer, p []byte) {
	if f.parts > 0 {
		p = f.resume(b, p)
	}
	for len(p) > 0 {
		n := special(p)
		f.text(b, p[:n])
		p = p[n:]
		if len(p) == 0 {
			return
		}
		size, more := f.sequence(p)
		if more {
			f.parts = copy(f.part[:], p)
			return
		}
		p = f.put(b, p, size)
	}
}

// special returns where the first ESC or NUL is.
func special(p []byte) int {
	n := len(p)
	if k := bytes.IndexByte(p, 0x1b); k >= 0 {
		n = k
	}
	if k := bytes.IndexByte(p[:n], 0); k >= 0 {
		n = k
	}
	return n
}

// resume goes on with a sequence whose start is in part, byte by byte.
func (f *feeder) resume(b *buffer, p []byte) []byte {
	for f.parts > 0 {
		size, more := f.sequence(f.part[:f.parts])
		switch {
		case !more:
			f.pop(b, size)
		case len(p) == 0:
			return p
		default:
			f.part[f.parts] = p[0]
			f.parts++
			p = p[1:]
		}
	}
	return p
}

// feedRest appends what is in part: no more comes.
func (f *feeder) feedRest(b *buffer) {
	for f.parts > 0 {
		size, more := f.sequence(f.part[:f.parts])
		if more {
			size = 0
		}
		f.pop(b, size)
	}
}

// pop puts the first sequence or byte of part.
func (f *feeder) pop(b *buffer, size int) {
	var part [maxSequence]byte
	n := copy(part[:], f.part[:f.parts])
	f.parts = copy(f.part[:], f.put(b, part[:n], size))
}

// put appends a sequence of the given size without width, or, for zero, one
// byte of text. It returns what follows.
func (f *feeder) put(b *buffer, p []byte, size int) []byte {
	if size == 0 || f.zeros+size > maxZeros {
		f.text(b, p[:1])
		return p[1:]
	}
	f.zeros += size
	f.seen(p[:size])
	b.zero = append(b.zero, zeroWidth{len(b.text), len(b.raw), len(b.raw) + size})
	b.raw = append(b.raw, p[:size]...)
	return p[size:]
}

func (f *feeder) text(b *buffer, p []byte) {
	if f.zeros > 0 && bytes.IndexByte(p, '\n') >= 0 {
		f.zeros = 0
	}
	f.seen(p)
	b.text = append(b.text, p...)
}

func (f *feeder) seen(p []byte) {
	switch n := len(p); n {
	case 0:
	case 1:
		f.last = [2]byte{f.last[1], p[0]}
	default:
		f.last = [2]byte{p[n-2], p[n-1]}
	}
}

// sequence returns the size of the sequence without width that p starts with,
// zero if it starts with none; more is true if that depends on what follows.
func (f *feeder) sequence(p []byte) (size int, more bool) {
	switch p[0] {
	case 0:
		return f.wide(p)
	case 0x1b:
		return control(p)
	}
	return 0, false
}

// wide looks at a NUL: it has no width if NULs alternate with other bytes, as in
// the UTF-16 of ASCII text.
func (f *feeder) wide(p []byte) (size int, more bool) {
	switch {
	case f.last[0] == 0 && f.last[1] != 0:
		return 1, false
	case len(p) >= 2 && p[1] == 0:
		return 0, false
	case len(p) < 3:
		return 0, true
	case p[2] == 0:
		return 1, false
	}
	return 0, false
}

// control looks at an ESC: CSI (ECMA-48, section 5.4) and the designation of a
// character set (ISO 2022, section 14) have no width.
func control(p []byte) (size int, more bool) {
	if len(p) < 2 {
		return 0, true
	}
	if p[1] == '(' || p[1] == ')' {
		if len(p) < 3 {
			return 0, true
		}
		return 3, false
	}
	if p[1] != '[' {
		return 0, false
	}
	digits := 0
	for k := 2; k < maxSequence; k++ {
		if k == len(p) {
			return 0, true
		}
		switch c := p[k]; {
		case digit(c):
			if digits++; digits > maxParameter {
				return 0, false
			}
		case c >= 0x40 && c <= 0x7E:
			return k + 1, false
		case c >= 0x20 && c <= 0x3F:
			digits = 0
		default:
			return 0, false
		}
	}
	return 0, false
}
