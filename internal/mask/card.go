package mask

// cardAt looks for a payment card number (ISO/IEC 7812-1) from group g on.
func (s *Stream) cardAt(num *number, g int) int {
	h := s.cardGroups(num, g)
	if h < 0 {
		return 0
	}
	f := s.figures(num, g, h)
	if !issued(f) || !luhn(f.d[:f.n]) {
		return 0
	}
	start, end := num.groups[g].start, num.groups[h].end
	// Numbers of 17 to 19 digits without groups are more often ids of other things.
	if g == h && f.n > 16 && !s.near(start, cardWords) {
		return 0
	}
	if !s.match(card, start, end) {
		return 0
	}
	return end
}

// cardGroups returns the last group of a number that is written as cards are, or
// -1.
func (s *Stream) cardGroups(num *number, g int) int {
	first := &num.groups[g]
	if n := first.end - first.start; n >= 12 && n <= 19 {
		if s.closes(num, g) {
			return g
		}
		return -1
	}
	if g+1 >= num.n {
		return -1
	}
	sep := num.groups[g+1].sep
	if sep != ' ' && sep != '-' {
		return -1
	}
	for _, sizes := range [...][]int{{4, 4, 4, 4, 3}, {4, 4, 4, 4, 2}, {4, 4, 4, 4, 1}, {4, 4, 4, 4}, {4, 6, 5}, {4, 6, 4}} {
		if h := g + len(sizes) - 1; s.shape(num, g, sep, sizes...) && !num.row(g, h) {
			return h
		}
	}
	return -1
}

// track looks for the number of a card in the first track of its stripe, %B…^
// (ISO/IEC 7813): text[p:e].
func (s *Stream) track(p, e int) int {
	var f figures
	if s.at(e) != '^' || e-p > 19 {
		return 0
	}
	for _, c := range s.b.text[p:e] {
		if !digit(c) {
			return 0
		}
		f.d[f.n] = c - '0'
		f.n++
	}
	if !issued(f) || !luhn(f.d[:f.n]) || !s.match(card, p, e) {
		return 0
	}
	return e
}

// luhn checks the check digit (ISO/IEC 7812-1, annex B).
func luhn(d []byte) bool {
	sum := 0
	for k := range d {
		v := int(d[len(d)-1-k])
		if k%2 == 1 {
			if v *= 2; v > 9 {
				v -= 9
			}
		}
		sum += v
	}
	return sum%10 == 0
}

// issued reports whether a number has the range and length of an issuer.
func issued(f figures) bool {
	n := f.n
	if n < 12 {
		return false
	}
	two, three, four, six := f.value(2), f.value(3), f.value(4), f.value(6)
	switch {
	case f.d[0] == 4: // Visa
		return n == 13 || n == 16 || n == 19
	case two >= 51 && two <= 55, four >= 2221 && four <= 2720: // Mastercard
		return n == 16
	case two == 34, two == 37: // American Express
		return n == 15
	case four == 6011, three >= 644 && three <= 649, two == 65: // Discover
		return n >= 16 && n <= 19
	case three >= 300 && three <= 305, two == 36, two == 38, two == 39: // Diners Club
		return n == 14
	case four >= 3528 && four <= 3589: // JCB
		return n >= 16 && n <= 19
	case two == 62, six >= 810000 && six <= 817199: // UnionPay
		return n >= 16 && n <= 19
	case four >= 2200 && four <= 2204: // Mir
		return n >= 16 && n <= 19
	case four == 5018, four == 5020, four == 5038, four == 5893, four == 6304, four == 6759, four >= 6761 && four <= 6763: // Maestro
		return n >= 12
	}
	return false
}
