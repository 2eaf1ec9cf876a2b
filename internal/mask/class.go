package mask

// Classes of bytes.
const (
	isDigit   uint8 = 1 << iota
	isLetter        // ASCII letters
	isUnder         // '_'
	isURL64         // base64url: letters, digits, '-', '_' (RFC 4648, section 5)
	isLocal         // what the local part of an address is made of; also every byte of a multi-byte character
	isBreak         // ends a token: blanks, controls, quotes, brackets, commas, semicolons
	isTrigger       // where a detector starts to look
	isBlank         // space and tab

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
	for _, c := range "\"'`,;<>)[]{}|" {
		t[c] |= isBreak
	}
	for _, c := range "._%+'-" {
		t[c] |= isLocal
	}
	t['_'] |= isUnder | isURL64
	t['-'] |= isURL64
	t[' '] |= isBlank
	t['\t'] |= isBlank
	// Apart from digits: the signs that detectors hang on, and one letter of each
	// prefix that has no sign in it: AKIA AIza, eyJ, SG., hvs., Bearer.
	for _, c := range "@:=>-_AJGvB" {
		t[c] |= isTrigger
	}
	return t
}()

// triggers has the isTrigger bit of class alone.
var triggers = func() (t [256]uint8) {
	for c := range t {
		t[c] = class[c] & isTrigger
	}
	return t
}()

// skip returns the first place at or after i where a detector starts to look.
func skip(t []byte, i int) int {
	for len(t)-i >= 8 {
		q := t[i : i+8 : i+8]
		if triggers[q[0]]|triggers[q[1]]|triggers[q[2]]|triggers[q[3]] != 0 {
			break
		}
		if triggers[q[4]]|triggers[q[5]]|triggers[q[6]]|triggers[q[7]] != 0 {
			i += 4
			break
		}
		i += 8
	}
	for i < len(t) && triggers[t[i]] == 0 {
		i++
	}
	return i
}

func upper(c byte) bool { return c >= 'A' && c <= 'Z' }
func lower(c byte) bool { return c >= 'a' && c <= 'z' }
func digit(c byte) bool { return c >= '0' && c <= '9' }

func isHex(c byte) bool { return digit(c) || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F' }
