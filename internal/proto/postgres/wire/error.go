package wire

import "strconv"

// Fault is an ErrorResponse or NoticeResponse. Source: section "Error and Notice
// Message Fields".
type Fault struct {
	Severity string // ERROR, FATAL, PANIC, WARNING, NOTICE, …
	Code     string // SQLSTATE
	Message  string
	Detail   string
	Hint     string
	Position int // in characters of the statement, from 1; 0 is none
	// Internal are the fields that describe the server and its objects
	// (q, W, s, t, c, d, n, F, L, R), in order of appearance, each with its
	// type byte in front.
	Internal []string
}

// Append appends the message with the given type byte.
func (f *Fault) Append(dst []byte, typ byte) []byte {
	dst, at := Begin(dst, typ)
	field := func(code byte, value string) {
		if value != "" {
			dst = AppendString(append(dst, code), value)
		}
	}
	field('S', f.Severity)
	field('V', f.Severity)
	field('C', f.Code)
	field('M', f.Message)
	field('D', f.Detail)
	field('H', f.Hint)
	if f.Position > 0 {
		field('P', strconv.Itoa(f.Position))
	}
	for _, s := range f.Internal {
		dst = AppendString(dst, s)
	}
	return End(append(dst, 0), at)
}

// DecodeFault decodes an ErrorResponse or NoticeResponse.
func DecodeFault(body []byte) (*Fault, error) {
	c := cursor{b: body}
	f := &Fault{}
	for {
		code := c.u8()
		if c.bad {
			return nil, ErrMalformed
		}
		if code == 0 {
			break
		}
		value := string(c.str())
		switch code {
		case 'S':
			if f.Severity == "" {
				f.Severity = value
			}
		case 'V': // the same, never localised
			f.Severity = value
		case 'C':
			f.Code = value
		case 'M':
			f.Message = value
		case 'D':
			f.Detail = value
		case 'H':
			f.Hint = value
		case 'P':
			n, err := strconv.Atoi(value)
			if err != nil || n < 0 {
				return nil, ErrMalformed
			}
			f.Position = n
		default:
			f.Internal = append(f.Internal, string(code)+value)
		}
	}
	return f, c.end()
}

// Error returns the severity, code and message.
func (f *Fault) Error() string { return f.Severity + " " + f.Code + ": " + f.Message }
