package mask

import "bytes"

// mode says what happens to the text at pos, apart from looking for values.
type mode uint8

const (
	modeSearch mode = iota
	// modeRun passes the rest of a token that is too long to be a value.
	modeRun
	// modeToken drops base64url and dots: the rest of a JSON Web Token.
	modeToken
	// modeWord drops the rest of a value without quotes.
	modeWord
	// modeQuoted drops the rest of a value in quotes.
	modeQuoted
	// modeLine drops the rest of a line.
	modeLine
	// modeLines drops a number of lines: the private part of a PuTTY key.
	modeLines
	// modePEM drops up to the END line of a key.
	modePEM
	// modeBody drops lines of base64.
	modeBody
)

const (
	// maxKey is after how much of a key without an END line the next line that is
	// no base64 ends it. An RSA key of 16,384 bits has 13 kB.
	maxKey = 64 << 10
	// maxLine is how much of a line is looked at to see whether it is base64. PEM
	// has 64 characters in a line (RFC 7468, section 2), MIME 76.
	maxLine = 80
)

// scan looks for values from pos on and returns where to hold from.
func (s *Stream) scan() int {
	for {
		s.short = false
		switch {
		case s.mode != modeSearch:
			if !s.pass() {
				if s.mode == modeRun {
					return s.held(s.pos) // a value may still begin in it
				}
				return s.pos
			}
		case s.want.detector != none:
			if !s.value() {
				return s.hold
			}
		default:
			i := quick(s.b.text, s.pos)
			s.pos = i
			if i == len(s.b.text) {
				return s.held(i)
			}
			next := s.dispatch(i)
			if s.short {
				s.pos = i
				return s.held(i)
			}
			// At the end of the stream a detector may have counted the line end that
			// is not there.
			s.pos = min(max(s.pos, next), len(s.b.text))
		}
	}
}

// dispatch asks the detectors that look at what stands at i. It returns where to
// go on if none of them found anything.
func (s *Stream) dispatch(i int) int {
	c := s.b.text[i]
	if digit(c) {
		return s.digits(i)
	}
	switch c {
	case '@':
		return s.address(i)
	case ':':
		return s.colon(i)
	case '=':
		return s.assign(i)
	case '>':
		return s.element(i)
	case '-':
		return s.dash(i)
	case '_', 'A', 'G', 'v':
		return s.prefixed(i)
	case 'J':
		return s.webToken(i)
	case '\'':
		return s.literal(i)
	case '~':
		return s.azureSecret(i)
	}
	return s.bearer(i)
}

// pass handles the text at pos as the mode says. It reports whether the mode
// ended; if not, it needs more text.
func (s *Stream) pass() bool {
	t := s.b.text
	i := s.pos
	switch s.mode {
	case modeRun:
		for i < len(t) && class[t[i]]&isAlnum != 0 {
			i++
		}
		s.pos = i
		return s.ended(i)
	case modeToken:
		for i < len(t) && (class[t[i]]&isURL64 != 0 || t[i] == '.') {
			if t[i] == '.' && class[s.at(i+1)]&isURL64 == 0 {
				// The end of a sentence, or of a token without signature.
				if s.short {
					s.drop(i)
					return false
				}
				break
			}
			i++
		}
	case modeWord:
		for i < len(t) && !s.endsWord(i) {
			i++
		}
		if s.short {
			s.drop(min(i, len(t)-1)) // a quote is the last byte
			return false
		}
	case modeQuoted:
		return s.passQuoted(i)
	case modeLine:
		for i < len(t) && t[i] != '\n' && t[i] != '\r' {
			i++
		}
	case modeLines:
		return s.passLines(i)
	case modePEM:
		return s.passKey(i)
	case modeBody:
		return s.passBody(i)
	}
	s.drop(i)
	return s.ended(i)
}

// ended leaves the mode if there is text at i.
func (s *Stream) ended(i int) bool {
	if i < len(s.b.text) {
		s.mode = modeSearch
		return true
	}
	return false
}

func (s *Stream) passQuoted(i int) bool {
	t := s.b.text
	for ; i < len(t); i++ {
		switch {
		case t[i] == s.quote && !s.escaped && s.at(i+1) == s.quote:
			i++
		case t[i] == '\n', t[i] == s.quote && !s.escaped:
			s.drop(i)
			return !s.short && s.ended(i)
		case t[i] == '\\':
			next := s.at(i + 1)
			if s.short {
				s.drop(i)
				return false
			}
			if s.escaped && next == s.quote {
				s.drop(i)
				return s.ended(i)
			}
			if next != '\n' {
				i++
			}
		}
	}
	s.drop(min(i, len(t)))
	return false
}

func (s *Stream) passLines(i int) bool {
	t := s.b.text
	for ; i < len(t); i++ {
		if t[i] == '\n' {
			if s.lines--; s.lines <= 0 {
				s.drop(i)
				return s.ended(i)
			}
		}
	}
	s.drop(i)
	return false
}

// passKey drops a key up to its END line, or, if the key is longer than any is,
// up to a line that is no base64.
func (s *Stream) passKey(i int) bool {
	t := s.b.text
	for {
		line := i
		for line < len(t) && t[line] != '\n' {
			line++
		}
		if k := bytes.Index(t[i:line], []byte("---")); k >= 0 {
			i += k
			end := s.boundary(i)
			if s.short {
				s.dropKey(i)
				return false
			}
			if end > 0 {
				s.drop(end)
				s.mode = modeSearch
				return true
			}
			i += 3
			s.dropKey(i)
			continue
		}
		if line == len(t) {
			// "--" may be the start of the END line.
			s.dropKey(max(i, len(t)-2))
			return false
		}
		s.dropKey(line)
		if s.dropped >= maxKey {
			ends := !s.base64Line(line + 1)
			if s.short {
				return false
			}
			if ends {
				s.mode = modeSearch
				return true
			}
		}
		i = line + 1
		s.dropKey(i)
	}
}

// dropKey drops up to i and counts what it dropped.
func (s *Stream) dropKey(i int) {
	s.dropped = min(s.dropped+max(i-s.pos, 0), maxKey)
	s.drop(i)
}

// boundary returns where the END line of a key whose dashes begin at i ends, or
// zero if there is none: "-----END … KEY-----", or "---- END … ----" of SSH2 keys
// (RFC 4716, section 3.3).
func (s *Stream) boundary(i int) int {
	k := i
	for s.at(k) == '-' && k-i < maxLine {
		k++
	}
	if s.at(k) == ' ' {
		k++
	}
	if !s.has(k, "END ") {
		return 0
	}
	from := k
	for c := s.at(k); k-from < maxLine && (upper(c) || digit(c) || c == ' '); c = s.at(k) {
		k++
	}
	for from = k; s.at(k) == '-' && k-from < 5; {
		k++
	}
	return k
}

// has reports whether the text at i is word.
func (s *Stream) has(i int, word string) bool {
	for k := range len(word) {
		if s.at(i+k) != word[k] {
			return false
		}
	}
	return true
}

// base64Line reports whether the line at i is base64 and nothing else.
func (s *Stream) base64Line(i int) bool {
	for k := i; k-i < maxLine; k++ {
		switch c := s.at(k); {
		case class[c]&isAlnum != 0, c == '+', c == '/', c == '=':
		case c == '\n', c == '\r', c == '-':
			return k-i >= 2
		default:
			return false
		}
	}
	return true
}

func (s *Stream) passBody(i int) bool {
	t := s.b.text
	for {
		for i < len(t) && (class[t[i]]&isAlnum != 0 || t[i] == '+' || t[i] == '/' || t[i] == '=') {
			i++
		}
		s.drop(i)
		next := i
		if s.at(next) == '\r' {
			next++
		}
		more := s.at(next) == '\n' && s.base64Line(next+1)
		if s.short {
			return false
		}
		if !more {
			s.mode = modeSearch
			return true
		}
		i = next + 1
	}
}
