package wire

// sequence takes the control sequences of terminals (ECMA-48, sections 5.4 and 5.6)
// out of a stream. The zero value is ready. A sequence that does not end like one, or
// is longer than any that programs use, is over: it cannot hide what comes after it.
type sequence struct {
	state sequenceState
	n     int // bytes of the present sequence
	cr    bool
	out   []byte
}

type sequenceState uint8

const (
	text    sequenceState = iota
	escape                // after ESC
	one                   // one more byte: a character set
	control               // CSI, until a final byte
	str                   // OSC, DCS and their like, until BEL or ST
	strEnd                // ESC in such a string
)

// maxSequence bounds one: titles and colour tables have hundreds of bytes.
const maxSequence = 1024

// strip returns the text of data, in which lines end in a line feed alone. It is valid
// until the next call.
func (s *sequence) strip(data []byte) []byte {
	s.out = s.out[:0]
	for _, c := range data {
		s.next(c)
	}
	return s.out
}

func (s *sequence) next(c byte) {
	if s.state != text {
		if s.n++; s.n > maxSequence || c == 0x18 || c == 0x1a || c == '\n' { // CAN and SUB end all
			s.state = text
		}
	}
	switch s.state {
	case text:
		s.plain(c)
	case escape:
		switch c {
		case '[':
			s.state = control
		case ']', 'P', 'X', '^', '_':
			s.state = str
		case '(', ')', '*', '+', '-', '.', '/', '#', '%', ' ':
			s.state = one
		case 0x1b:
		default:
			s.state = text
		}
	case one:
		s.state = text
	case control:
		switch {
		case c == 0x1b:
			s.state = escape
		case c >= 0x40 && c <= 0x7e:
			s.state = text
		case c < 0x20 || c > 0x7e: // not part of a sequence
			s.state = text
			s.plain(c)
		}
	case str:
		switch c {
		case 0x07:
			s.state = text
		case 0x1b:
			s.state = strEnd
		}
	case strEnd:
		if s.state = str; c == '\\' {
			s.state = text
		}
	}
}

// plain is a byte outside of sequences. A carriage return without a line feed begins
// the line again, which is shown as another line.
func (s *sequence) plain(c byte) {
	if s.cr && c != '\n' && c != '\r' {
		s.out = append(s.out, '\n')
	}
	if c != '\r' {
		s.cr = false
	}
	switch c {
	case '\r':
		s.cr = true
	case 0x07: // a bell
	case 0x1b:
		s.state, s.n = escape, 0
	default:
		s.out = append(s.out, c)
	}
}
