package mask

// maxGroups bounds the groups of digits that are looked at together. A German
// number in pairs has eight.
const maxGroups = 16

// maxRunDigits is the length from which a token is no value: an IBAN has 34
// characters.
const maxRunDigits = 64

// leastOmocode is how far from its end an Italian tax code has its first digit at
// the latest: one with more letters for digits is not found.
const leastOmocode = 5

// group is one group of digits in a number.
type group struct {
	start, end int
	sep        byte // before the group: one of " -./()", zero for the first
}

// number is a sequence of groups of digits.
type number struct {
	groups [maxGroups]group
	n      int
	end    int
	total  int // digits
}

// digits looks at the first digit of a run.
func (s *Stream) digits(i int) int {
	t := s.b.text
	if class[s.before(i)]&isWord != 0 {
		return s.inWord(i)
	}
	// Most runs are short and stand alone. This is the same as below, faster.
	j := i + 1
	for j < len(t) && class[t[j]]&isDigit != 0 {
		j++
	}
	if j < len(t) {
		c := t[j]
		if class[c]&isWord != 0 {
			return s.digitWord(i, j)
		}
		if end := plainNumber(t, i, j); end > 0 {
			return end
		}
	}
	if j-i > maxRunDigits {
		s.mode = modeRun
		return j
	}
	var num number
	s.number(i, &num)
	if s.short {
		return i
	}
	if num.total < 7 {
		return s.fewDigits(&num)
	}
	if dated(t, &num) {
		return num.end
	}
	for g := 0; g < num.n; g++ {
		if end := s.numberAt(&num, g); end > 0 || s.short {
			return end
		}
	}
	if num.n == maxGroups {
		// A table of numbers goes on. What may still be the start of a value is
		// looked at again.
		return num.groups[maxGroups/2].start
	}
	return num.end
}

// plainNumber returns the end of a number whose first group is t[i:j] if no
// value can be in it, which most numbers show at a glance: few digits, a date, an
// address of the Internet Protocol. Otherwise it returns zero.
func plainNumber(t []byte, i, j int) int {
	total, groups, largest, k := j-i, 1, j-i, j
	dots := true
	for k+1 < len(t) && class[t[k]]&isSeparator != 0 && class[t[k+1]]&isDigit != 0 {
		dots = dots && t[k] == '.'
		from := k + 1
		for k = from; k < len(t) && class[t[k]]&isDigit != 0; k++ {
		}
		total += k - from
		largest = max(largest, k-from)
		if groups++; groups == maxGroups {
			return 0
		}
	}
	if k+2 >= len(t) || t[k] == ')' || t[k] == '(' || class[t[k]]&isSeparator != 0 && t[k+1] == '(' && digit(t[k+2]) {
		return 0
	}
	switch {
	case total < 6, total == 6 && groups != 3:
		if groups >= 3 && j == i+1 {
			return 0 // the start of a French number in groups
		}
		return k
	case groups == 3 && j-i == 4 && total == 8 && t[j] == t[j+3] && t[j] != ' ', dots && groups == 4 && largest <= 3, dots && groups == 2,
		groups == 2 && total < 9 && largest < 7 && t[j] == ' ':
		return k
	}
	return 0
}

// fewDigits looks for the numbers that have letters between their groups.
func (s *Stream) fewDigits(num *number) int {
	p := num.groups[0].start
	if num.n == 3 && num.total == 6 {
		if end := s.ninoGroups(p); end > 0 || s.short {
			return end
		}
	}
	if num.n >= 3 && num.groups[0].end == p+1 && s.leftEdge(p) {
		if end := s.nirGroups(p); end > 0 || s.short {
			return end
		}
	}
	return num.end
}

// number reads the groups from i on.
func (s *Stream) number(i int, num *number) {
	sep := byte(0)
	for j := i; num.n < maxGroups; {
		k := j
		for class[s.at(k)]&isDigit != 0 {
			if k++; k-j > maxRunDigits {
				break
			}
		}
		num.groups[num.n] = group{j, k, sep}
		num.n++
		num.total += k - j
		num.end = k
		if sep, j = s.separator(k); j == 0 {
			return
		}
	}
}

// separator returns what separates two groups at k and where the next one
// begins; zero if none does.
func (s *Stream) separator(k int) (sep byte, next int) {
	c := s.at(k)
	if class[c]&isSeparator == 0 {
		return 0, 0
	}
	n := s.at(k + 1)
	switch {
	case digit(n):
		return c, k + 1
	case c == ')' && (n == ' ' || n == '-' || n == '.') && digit(s.at(k+2)):
		return ')', k + 2
	case (c == ' ' || c == '-') && n == '(' && digit(s.at(k+2)):
		return '(', k + 2
	}
	return 0, 0
}

// dated reports whether a number is a date or an address of the Internet
// Protocol.
func dated(t []byte, num *number) bool {
	g := &num.groups
	size := func(k int) int { return g[k].end - g[k].start }
	if num.n == 3 && size(0) == 4 && size(1) == 2 && size(2) == 2 && g[1].sep == g[2].sep && g[1].sep != ' ' {
		return true
	}
	if num.n == 2 && g[1].sep == '.' {
		return true // a decimal
	}
	if num.n == 4 && g[1].sep == '.' && g[2].sep == '.' && g[3].sep == '.' && size(0) <= 3 && size(1) <= 3 && size(2) <= 3 && size(3) <= 3 {
		return true
	}
	return false
}

// inWord looks at the first digit of a token that begins with letters.
func (s *Stream) inWord(i int) int {
	t := s.b.text
	p, ok := s.wordStart(i, 34)
	e := i
	for class[s.at(e)]&isAlnum != 0 {
		if e++; e-i > maxRunDigits {
			break
		}
	}
	if s.short {
		return i
	}
	if e-i > maxRunDigits {
		if ok {
			if next := s.wordToken(i, p, e); s.floor == next || s.short {
				return next
			}
		}
		s.mode = modeRun
		return e
	}
	if !ok || p == i || class[s.before(p)]&isUnder != 0 {
		if ok && p < i {
			return s.wordToken(i, p, e)
		}
		return e
	}
	switch n := i - p; {
	case n == 1 && t[p] == 'B' && s.before(p) == '%':
		if end := s.track(i, e); end > 0 {
			return end
		}
	case n == 1 && t[p] >= 'X' && t[p] <= 'Z':
		if end := s.nie(p, e); end > 0 {
			return end
		}
	case n == 2 && upper(t[p]) && upper(t[p+1]), n == 2 && lower(t[p]) && lower(t[p+1]):
		if end := s.ibanAt(p); end > 0 || s.short {
			return end
		}
		if end := s.nino(p, i, e); end > 0 || s.short {
			return end
		}
	case e-p == 16 && n >= 6 && e-i >= leastOmocode:
		if s.edges(p, e) && codiceFiscale(t[p:e]) && s.match(itCodiceFiscale, p, e) {
			return e
		}
	}
	return s.wordToken(i, p, e)
}

// wordToken looks for a provider's key that begins a token text[p:e].
func (s *Stream) wordToken(i, p, e int) int {
	switch t := s.b.text; {
	case e-i >= 20 && e-p >= 34 && (t[p] == 'd' || t[p] == 'S') && class[s.before(p)]&isUnder == 0,
		e-p == 4 && t[p] == 'y':
		if next := s.tokenAt(i, p); next > i+1 || s.short {
			return next
		}
	case e-i >= 20 && (t[p] == 'M' || t[p] == 'b'):
		if next := s.keyBody(i, p); next > i+1 || s.short {
			return next
		}
	}
	return e
}

// digitWord looks at a token that begins with digits, text[i:j], and goes on with
// letters.
func (s *Stream) digitWord(i, j int) int {
	t := s.b.text
	e := j
	for class[s.at(e)]&isAlnum != 0 {
		if e++; e-i > maxRunDigits {
			s.mode = modeRun
			return e
		}
	}
	if s.short {
		return i
	}
	switch {
	case j-i == 8 && e == j+1:
		if s.edges(i, e) && dniLetter(t[i:j], t[j]) && s.match(esDNI, i, e) {
			return e
		}
	case j-i == 6 && e-i == 15 && (t[j] == 'A' || t[j] == 'B'):
		if s.edges(i, e) && nir(t[i:e]) && s.match(frNIR, i, e) {
			return e
		}
	}
	return e
}

// edges reports whether nothing that belongs to the token stands before p or
// after e.
func (s *Stream) edges(p, e int) bool { return s.leftEdge(p) && s.rightEdge(e) }

func (s *Stream) leftEdge(p int) bool {
	c := s.before(p)
	return class[c]&isWord == 0 && c != '.' && c != '-' && c != '+' && c != '\\' && c != '@'
}

func (s *Stream) rightEdge(e int) bool {
	c := s.at(e)
	if class[c]&isWord != 0 || c == '@' {
		return false
	}
	if c == '.' || c == '-' || c == '_' || c == ':' {
		next := s.at(e + 1)
		return class[next]&isWord == 0 || c == ':' && class[next]&isLetter != 0
	}
	return true
}

// numberAt looks for a value that begins with group g, and returns its end if it
// masked one.
func (s *Stream) numberAt(num *number, g int) int {
	first := &num.groups[g]
	if g == 0 {
		if end := s.international(num); end > 0 || s.short {
			return end
		}
		if end := s.ninoGroups(first.start); end > 0 || s.short {
			return end
		}
	} else if first.sep != ' ' && first.sep != '/' && first.sep != '(' {
		return 0
	}
	if g > 0 || s.leftEdge(first.start) {
		if end := s.cardAt(num, g); end > 0 || s.short {
			return end
		}
		if end := s.nationalAt(num, g); end > 0 || s.short {
			return end
		}
	}
	if end := s.phoneAt(num, g); end > 0 || s.short {
		return end
	}
	if n := first.end - first.start; n >= 8 && n <= 10 && g == num.n-1 {
		return s.telegram(first.start, first.end)
	}
	return 0
}

// closes reports whether a value can end with group h.
func (s *Stream) closes(num *number, h int) bool {
	if h == num.n-1 {
		return s.rightEdge(num.groups[h].end)
	}
	sep := num.groups[h+1].sep
	return sep == ' ' || sep == '/'
}

// shape reports whether the groups from g on have the given sizes and separator,
// and whether a value can end there.
func (s *Stream) shape(num *number, g int, sep byte, sizes ...int) bool {
	if g+len(sizes) > num.n {
		return false
	}
	for k, size := range sizes {
		x := &num.groups[g+k]
		if x.end-x.start != size || k > 0 && x.sep != sep {
			return false
		}
	}
	return s.closes(num, g+len(sizes)-1)
}

// row reports whether the groups from g to h are part of a longer row of groups
// of four, as in a dump of memory.
func (num *number) row(g, h int) bool {
	four := func(k int) bool {
		return k >= 0 && k < num.n && num.groups[k].end-num.groups[k].start == 4
	}
	return four(g-1) || four(h+1)
}

// figures are the digits of a value, without separators.
type figures struct {
	d [40]byte // values 0 to 9
	n int
}

// figures returns the digits of the groups from g to h.
func (s *Stream) figures(num *number, g, h int) (f figures) {
	for k := g; k <= h; k++ {
		for _, c := range s.b.text[num.groups[k].start:num.groups[k].end] {
			if f.n == len(f.d) {
				return f
			}
			f.d[f.n] = c - '0'
			f.n++
		}
	}
	return f
}

// value returns the number that the first n digits make.
func (f figures) value(n int) int {
	v := 0
	for _, d := range f.d[:n] {
		v = v*10 + int(d)
	}
	return v
}

// telegram looks for the token of a Telegram bot (core.telegram.org/bots/api).
func (s *Stream) telegram(p, e int) int {
	if s.at(e) != ':' {
		return 0
	}
	k := e + 1
	for class[s.at(k)]&isURL64 != 0 && k-e <= 40 {
		k++
	}
	if s.short || k-e-1 != 35 || class[s.before(p)]&isWord != 0 && !s.botBefore(p) || !s.match(telegramToken, p, k) {
		return 0
	}
	return k
}

// botBefore reports whether "/bot" stands before p, as in the URLs of the API.
func (s *Stream) botBefore(p int) bool {
	return p >= 4 && string(s.b.text[p-4:p]) == "/bot"
}
