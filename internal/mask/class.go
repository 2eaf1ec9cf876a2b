package mask

// Classes of bytes.
const (
	isDigit     uint8 = 1 << iota
	isLetter          // ASCII letters
	isUnder           // '_'
	isURL64           // base64url: letters, digits, '-', '_' (RFC 4648, section 5)
	isLocal           // what the local part of an address is made of; also every byte of a multi-byte character
	isBreak           // ends a token: blanks, controls, quotes, brackets, commas, semicolons
	isTrigger         // where a detector starts to look
	isSeparator       // between groups of digits

	isAlnum = isDigit | isLetter
	isWord  = isAlnum | isUnder
)

var class = func() (t [256]uint8) {
	for c := range t {
		switch {
		case c >= '0' && c <= '9':
			t[c] = isDigit | isURL64 | isLocal | isTrigger
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z':
			t[c] = isLetter | isURL64 | isLocal
		case c >= 0x80:
			t[c] = isLocal
		case c <= ' ', c == 0x7F:
			t[c] = isBreak
		}
	}
	for _, c := range "\"`,;<>)[]{}|" {
		t[c] |= isBreak
	}
	for _, c := range "._%+'-" {
		t[c] |= isLocal
	}
	t['_'] |= isUnder | isURL64
	t['-'] |= isURL64
	for _, c := range " -./()" {
		t[c] |= isSeparator
	}
	// Apart from digits: the signs that detectors hang on, and one letter of each
	// prefix that has no sign in it: AKIA AIza, eyJ, SG., hvs., Bearer.
	for _, c := range "@:=>-_'~AJGvB" {
		t[c] |= isTrigger
	}
	return t
}()

func blank(c byte) bool { return c == ' ' || c == '\t' }
func upper(c byte) bool { return c >= 'A' && c <= 'Z' }
func lower(c byte) bool { return c >= 'a' && c <= 'z' }
func digit(c byte) bool { return c >= '0' && c <= '9' }

func isHex(c byte) bool { return digit(c) || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F' }
