package mask

// sign is what kind of trigger a byte is; zero for none.
type sign uint8

const (
	signDigit sign = 1 + iota
	signColon
	signEqual
	signJoint // '-' and '_'
	signV
	signG
	signA
	signOther
)

// signs are the triggers of class by kind.
var signs = func() (t [256]sign) {
	for c := range t {
		switch {
		case class[c]&isTrigger == 0:
		case digit(byte(c)):
			t[c] = signDigit
		default:
			t[c] = signOther
		}
	}
	t[':'], t['='], t['-'], t['_'], t['v'], t['G'], t['A'] = signColon, signEqual, signJoint, signJoint, signV, signG, signA
	return t
}()

// lookahead is how far from the end of the text quick leaves everything to the
// detectors, which know whether more text comes.
const lookahead = 4

// quick returns the next place at or after i that a detector must look at. It
// passes over most of what detectors start at, in one loop without state: times,
// dates, addresses, counts, names with hyphens, keys that announce nothing. It
// decides nothing else than the detectors would, and not near the text's end.
func quick(t []byte, i int) int {
	for {
		for i < len(t) && signs[t[i]] == 0 {
			i++
		}
		if i == 0 || i+lookahead >= len(t) {
			return i
		}
		next := i
		switch prev := t[i-1]; signs[t[i]] {
		case signDigit:
			next = quickDigits(t, i)
		case signColon:
			if t[i+1] == '/' {
				if class[prev]&isAlnum == 0 {
					return i
				}
				next = quickURL(t, i)
			} else {
				next = quickKey(t, i, prev)
			}
		case signEqual:
			next = quickKey(t, i, prev)
		case signJoint:
			// A hyphen between letters or digits, or an underscore.
			if class[prev]&isAlnum == 0 && t[i] == '-' || t[i+1] == '-' || i < 2 ||
				class[prev]&class[t[i-2]]&isLetter != 0 && prefixEnds[t[i-2]&31]>>(prev&31)&1 != 0 {
				return i
			}
			next = i + 1
		case signV:
			if prev == 'h' || i < 4 || t[i-4] == 'M' {
				return i
			}
			next = i + 1
		case signG:
			if prev == 'S' || t[i+1] == 'R' || i < 3 || t[i-2] == 'M' || t[i-3] == 'M' {
				return i
			}
			next = i + 1
		case signA:
			if i < 5 || t[i-4] == 'M' || t[i-5] == 'M' || class[prev]&isAlnum == 0 && accessKey(t[i+1]) {
				return i
			}
			next = i + 1
		}
		if next <= i {
			return i
		}
		i = next
	}
}

// accessKey reports whether the second letter is one of AKIA, ASIA, ABIA, ACCA,
// AIza, AGE-SECRET-KEY-.
func accessKey(c byte) bool {
	return c == 'K' || c == 'S' || c == 'B' || c == 'C' || c == 'I' || c == 'G'
}

// quickURL passes the "://" and the host of a URL without userinfo.
func quickURL(t []byte, i int) int {
	if t[i+2] != '/' {
		return i
	}
	j := i + 3
	for j < len(t) && (class[t[j]]&isAlnum != 0 || t[j] == '.' || t[j] == '-') {
		j++
	}
	if j-i > maxDomain || j+lookahead >= len(t) || t[j] != '/' && t[j] != ' ' && t[j] != '"' {
		return i
	}
	return i + 3
}

// prefixEnds has, by the last letter but one, the set of last letters of what
// stands before the first hyphen or underscore of a provider's key.
var prefixEnds = func() (t [32]uint32) {
	for _, kinds := range providers {
		for _, p := range kinds {
			for k := range len(p.prefix) {
				if c := p.prefix[k]; k >= 2 && (c == '-' || c == '_') {
					t[p.prefix[k-2]&31] |= 1 << (p.prefix[k-1] & 31)
					break
				}
			}
		}
	}
	return t
}()

// quickKey passes a sign of assignment if what stands before it is no key.
func quickKey(t []byte, i int, prev byte) int {
	switch {
	case class[prev]&isDigit != 0:
		return i + 1
	case i < 3:
	case prev == '"':
		if t[i-2] != '\\' && !endsKey(t, i-1) {
			return i + 1
		}
	case class[prev]&isLetter != 0:
		if !endsKey(t, i) && (prev != 's' || t[i-2] != 'e') {
			return i + 1
		}
	}
	return i
}

// quickDigits passes a run of digits and what it is a part of, if no value can be
// in it.
func quickDigits(t []byte, i int) int {
	prev := t[i-1]
	j := i + 1
	for j < len(t) && class[t[j]]&isDigit != 0 {
		j++
	}
	if j+lookahead >= len(t) {
		return i
	}
	if class[prev]&isWord != 0 {
		return quickWord(t, i, j)
	}
	switch {
	case class[t[j]]&isWord != 0:
		// 12ms, 3f2a91c7, but not 12345678Z.
		if j-i == 8 || j-i == 6 {
			return i
		}
		if e := quickRun(t, i, j); e > i {
			return quickHyphen(t, e)
		}
		return i
	case j-i >= 7:
		return i
	case class[t[j]]&isSeparator == 0:
	default:
		if prev == '+' || prev == '(' || prev == ' ' && i >= 2 && upper(t[i-2]) {
			return i
		}
		k := plainNumber(t, i, j)
		if k == 0 || k+lookahead >= len(t) {
			return i
		}
		j = k
	}
	if t[j] == ':' && t[j+1] != '/' {
		j++ // no key ends with a digit
	}
	return j
}

// quickRun returns the end of the letters and digits from j on, or i if they are
// many.
func quickRun(t []byte, i, j int) int {
	e := j
	for e < len(t) && class[t[e]]&isAlnum != 0 {
		e++
	}
	if e-i > maxRunDigits || e+lookahead >= len(t) {
		return i
	}
	return e
}

// quickWord passes the digits of a word that begins with letters.
func quickWord(t []byte, i, j int) int {
	e := quickRun(t, i, j)
	if e == i {
		return i
	}
	letters := 0
	for letters < 3 && letters < i && class[t[i-1-letters]]&isAlnum != 0 {
		letters++
	}
	switch {
	case letters == 0: // an underscore
		return quickLong(t, i, e)
	case letters == 1:
		if c := t[i-1]; (c < 'X' || c > 'Z' || e-i != 8) && c != 'B' {
			return quickLong(t, i, e)
		}
	case letters == 2:
		// An IBAN, compact or in groups; a national insurance number; ya29.
		if n := e - i; n != 2 && n != 7 && n < 13 || class[t[i+1]]&isDigit == 0 {
			return quickLong(t, i, e)
		}
	case e-i < leastOmocode, e-i > 10, i < 6, class[t[i-4]]&class[t[i-5]]&class[t[i-6]]&isLetter == 0:
		// No Italian tax code, which has six letters and then ten characters.
		return quickLong(t, i, e)
	}
	return i
}

// quickLong passes a token unless it is long enough for a provider's key, and a
// hyphen after it: it has digits, so it is no prefix.
func quickLong(t []byte, i, e int) int {
	if e-i >= 20 {
		return i
	}
	return quickHyphen(t, e)
}

func quickHyphen(t []byte, e int) int {
	if t[e] == '-' && class[t[e+1]]&isAlnum != 0 {
		return e + 1
	}
	return e
}
