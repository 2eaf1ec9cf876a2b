package mask

// ibanLengths are the lengths by country (SWIFT IBAN Registry, release 99).
var ibanLengths = map[[2]byte]int{
	{'A', 'D'}: 24, {'A', 'E'}: 23, {'A', 'L'}: 28, {'A', 'T'}: 20, {'A', 'Z'}: 28, {'B', 'A'}: 20, {'B', 'E'}: 16, {'B', 'G'}: 22, {'B', 'H'}: 22,
	{'B', 'I'}: 27, {'B', 'R'}: 29, {'B', 'Y'}: 28, {'C', 'H'}: 21, {'C', 'R'}: 22, {'C', 'Y'}: 28, {'C', 'Z'}: 24, {'D', 'E'}: 22, {'D', 'J'}: 27,
	{'D', 'K'}: 18, {'D', 'O'}: 28, {'E', 'E'}: 20, {'E', 'G'}: 29, {'E', 'S'}: 24, {'F', 'I'}: 18, {'F', 'K'}: 18, {'F', 'O'}: 18, {'F', 'R'}: 27,
	{'G', 'B'}: 22, {'G', 'E'}: 22, {'G', 'I'}: 23, {'G', 'L'}: 18, {'G', 'R'}: 27, {'G', 'T'}: 28, {'H', 'N'}: 28, {'H', 'R'}: 21, {'H', 'U'}: 28,
	{'I', 'E'}: 22, {'I', 'L'}: 23, {'I', 'Q'}: 23, {'I', 'S'}: 26, {'I', 'T'}: 27, {'J', 'O'}: 30, {'K', 'W'}: 30, {'K', 'Z'}: 20, {'L', 'B'}: 28,
	{'L', 'C'}: 32, {'L', 'I'}: 21, {'L', 'T'}: 20, {'L', 'U'}: 20, {'L', 'V'}: 21, {'L', 'Y'}: 25, {'M', 'C'}: 27, {'M', 'D'}: 24, {'M', 'E'}: 22,
	{'M', 'K'}: 19, {'M', 'N'}: 20, {'M', 'R'}: 27, {'M', 'T'}: 31, {'M', 'U'}: 30, {'N', 'I'}: 28, {'N', 'L'}: 18, {'N', 'O'}: 15, {'O', 'M'}: 23,
	{'P', 'K'}: 24, {'P', 'L'}: 28, {'P', 'S'}: 29, {'P', 'T'}: 25, {'Q', 'A'}: 29, {'R', 'O'}: 24, {'R', 'S'}: 22, {'R', 'U'}: 33, {'S', 'A'}: 24,
	{'S', 'C'}: 31, {'S', 'D'}: 18, {'S', 'E'}: 24, {'S', 'I'}: 19, {'S', 'K'}: 24, {'S', 'M'}: 27, {'S', 'O'}: 23, {'S', 'T'}: 25, {'S', 'V'}: 28,
	{'T', 'L'}: 23, {'T', 'N'}: 24, {'T', 'R'}: 26, {'U', 'A'}: 29, {'V', 'A'}: 22, {'V', 'G'}: 24, {'X', 'K'}: 20, {'Y', 'E'}: 30,
}

// ibanAt looks for an IBAN (ISO 13616-1) whose country begins at p: compact, or
// in groups of four with spaces or hyphens between them.
func (s *Stream) ibanAt(p int) int {
	t := s.b.text
	want := ibanLengths[[2]byte{t[p] &^ 0x20, t[p+1] &^ 0x20}]
	if want == 0 || !digit(s.at(p+2)) || !digit(s.at(p+3)) || !s.leftEdge(p) {
		return 0
	}
	var v [34]byte
	n := 0
	sep := s.at(p + 4)
	if sep != ' ' && sep != '-' {
		sep = 0
	}
	e := p
	for ; n < want; e++ {
		c := s.at(e)
		if c == sep && sep != 0 && n > 0 && n%4 == 0 {
			c = s.at(e + 1)
			e++
		}
		if class[c]&isAlnum == 0 {
			return 0
		}
		v[n] = c
		n++
	}
	// ISO 7064 gives check digits from 02 to 98.
	if check := int(v[2]-'0')*10 + int(v[3]-'0'); check < 2 || check > 98 {
		return 0
	}
	if !s.rightEdge(e) || !mod97(v[:n]) || !s.match(iban, p, e) {
		return 0
	}
	return e
}

// mod97 checks an IBAN by ISO 7064 mod 97-10.
func mod97(v []byte) bool {
	rest := 0
	for k := range v {
		c := v[(k+4)%len(v)]
		switch {
		case digit(c):
			rest = (rest*10 + int(c-'0')) % 97
		default:
			rest = (rest*100 + int(c&^0x20-'A') + 10) % 97
		}
	}
	return rest == 1
}
