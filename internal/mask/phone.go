package mask

// span is the least and the greatest number of digits of national numbers.
type span struct{ least, most int8 }

// countries are the calling codes of ITU-T E.164 (list of 15 November 2016 and
// amendments) with the lengths of national significant numbers that are in use.
// Codes of three digits that are not listed have between 6 and 11.
var countries = map[int]span{
	1: {10, 10}, 7: {10, 10}, 20: {8, 10}, 27: {9, 9}, 30: {10, 10}, 31: {9, 9}, 32: {8, 9}, 33: {9, 9}, 34: {9, 9}, 36: {8, 9}, 39: {6, 11},
	40: {9, 9}, 41: {9, 9}, 43: {7, 13}, 44: {9, 10}, 45: {8, 8}, 46: {7, 10}, 47: {8, 8}, 48: {9, 9}, 49: {7, 12}, 51: {8, 9}, 52: {10, 11},
	53: {8, 8}, 54: {10, 11}, 55: {10, 11}, 56: {9, 9}, 57: {8, 10}, 58: {10, 10}, 60: {8, 10}, 61: {9, 9}, 62: {8, 12}, 63: {8, 10}, 64: {8, 10},
	65: {8, 8}, 66: {8, 9}, 81: {9, 10}, 82: {8, 10}, 84: {9, 10}, 86: {10, 11}, 90: {10, 10}, 91: {10, 10}, 92: {9, 10}, 93: {9, 9}, 94: {9, 9},
	95: {7, 10}, 98: {10, 10}, 353: {7, 9}, 351: {9, 9}, 352: {5, 11}, 358: {6, 11}, 380: {9, 9}, 420: {9, 9}, 421: {9, 9}, 852: {8, 8}, 886: {8, 9},
	971: {8, 9}, 972: {8, 9}, 966: {8, 9},
}

// country returns the lengths of numbers behind the calling code that the digits
// begin with, and the code's length.
func country(f figures) (span, int) {
	for n := 1; n <= 2 && n < f.n; n++ {
		if c, ok := countries[f.value(n)]; ok {
			return c, n
		}
	}
	if f.n < 4 {
		return span{}, 0
	}
	code := f.value(3)
	if c, ok := countries[code]; ok {
		return c, 3
	}
	switch {
	case code >= 210 && code <= 269 && code != 210 && code != 214 && code != 215 && code != 217 && code != 219, code >= 290 && code <= 299,
		code >= 350 && code <= 389, code >= 420 && code <= 423, code >= 500 && code <= 599, code >= 670 && code <= 692,
		code >= 850 && code <= 856, code == 880, code >= 960 && code <= 998:
		return span{6, 11}, 3
	}
	return span{}, 0
}

// international looks for a number with '+' before it (E.164, written as ITU-T
// E.123 and people do).
func (s *Stream) international(num *number) int {
	p := num.groups[0].start
	if s.before(p) != '+' || class[s.before(p-1)]&isWord != 0 || s.before(p-1) == '+' {
		return 0
	}
	all := s.figures(num, 0, num.n-1)
	if all.n == 0 || all.d[0] == 0 {
		return 0
	}
	lengths, code := country(all)
	if code == 0 {
		return 0
	}
	// The longest number of whole groups; a trunk zero in brackets counts extra.
	best, total := -1, -code
	for h := range num.n {
		x := &num.groups[h]
		total += x.end - x.start
		if h > 0 && x.sep == '(' && x.end-x.start == 1 && s.b.text[x.start] == '0' {
			total--
		}
		if total > int(lengths.most) {
			break
		}
		if total >= int(lengths.least) && s.closes(num, h) {
			best = h
		}
	}
	if best < 0 || !s.match(phone, p-1, num.groups[best].end) {
		return 0
	}
	return num.groups[best].end
}

// phoneAt looks for a number in the written form of a country, or, next to a word
// such as phone, in any form.
func (s *Stream) phoneAt(num *number, g int) int {
	p := num.groups[g].start
	from := p
	if s.before(p) == '(' && g+1 < num.n && num.groups[g+1].sep == ')' {
		from--
	}
	if c := s.before(from); class[c]&isWord != 0 || c == '.' || c == '-' || c == '/' || c == '#' || c == '$' || c == '\\' || c == '@' {
		return 0
	}
	h := s.written(num, g)
	if h < 0 {
		if h = s.anyForm(num, g); h >= 0 && !s.near(from, phoneWords) {
			return 0
		}
	}
	if h < 0 || !s.match(phone, from, num.groups[h].end) {
		return 0
	}
	return num.groups[h].end
}

// anyForm returns the last group of a number of 7 to 15 digits, or -1.
func (s *Stream) anyForm(num *number, g int) int {
	if num.n-g == 2 && num.groups[g+1].sep == ' ' && num.total < 9 {
		return -1
	}
	best, total := -1, 0
	for h := g; h < num.n; h++ {
		x := &num.groups[h]
		if total += x.end - x.start; total > 15 || h > g && x.sep == '.' && num.groups[g].end-num.groups[g].start > 5 {
			break
		}
		if total >= 7 && s.closes(num, h) {
			best = h
		}
		if total >= 10 && best == h {
			break
		}
	}
	return best
}

// written returns the last group of a number in the written form of a country,
// or -1.
func (s *Stream) written(num *number, g int) int {
	t := s.b.text
	x := &num.groups
	size := func(k int) int {
		if g+k >= num.n {
			return 0
		}
		return x[g+k].end - x[g+k].start
	}
	first := size(0)
	if first > 5 || first < 1 {
		return -1
	}
	d := t[x[g].start:x[g].end]
	if d[0] != '0' {
		return s.american(num, g)
	}
	if first < 2 || d[1] == '0' {
		return -1
	}
	sep := byte(0)
	if g+1 < num.n {
		sep = x[g+1].sep
	}
	switch {
	case first == 2 && (sep == ' ' || sep == '.' || sep == '-') && s.shape(num, g, sep, 2, 2, 2, 2, 2): // France
		if !s.pairAround(num, g, g+4) {
			return g + 4
		}
	case first == 2 && (sep == ' ' || sep == '-') && s.shape(num, g, sep, 2, 4, 4): // Australia, Japan, Korea
		return g + 2
	case first == 2 && sep == '-' && d[1] == '6' && s.shape(num, g, '-', 2, 8): // Netherlands
		return g + 1
	case first == 3 && (sep == ' ' || sep == '-') && s.shape(num, g, sep, 3, 4, 4): // London, Japan, Korea
		return g + 2
	case first == 4 && s.shape(num, g, sep, 4, 3, 3) && d[1] == '4': // Australia
		return g + 2
	case first == 4 && s.shape(num, g, sep, 4, 3, 4) && d[1] == '1' && (d[2] == '1' || d[3] == '1'): // United Kingdom
		return g + 2
	case first == 5 && (d[1] == '1' || d[1] == '7') && (s.shape(num, g, sep, 5, 6) || s.shape(num, g, sep, 5, 3, 3)): // United Kingdom
		if size(1) == 6 {
			return g + 1
		}
		return g + 2
	case sep == '/' && first >= 3 && size(1) >= 5 && size(1) <= 8 && s.closes(num, g+1): // Germany
		return g + 1
	case sep == ')' && s.before(x[g].start) == '(' && first+size(1) >= 8 && first+size(1) <= 12 && s.closes(num, g+1):
		return g + 1
	case (sep == ' ' || sep == '-') && germanArea(d) && size(1) >= 6 && size(1) <= 8 && s.closes(num, g+1):
		return g + 1
	case sep == ')' && s.before(x[g].start) == '(' && first <= 4 && size(1) == 4 && size(2) == 4 && s.closes(num, g+2):
		return g + 2
	}
	return -1
}

// germanArea reports whether digits are the code of a mobile network or of one
// of the largest cities of Germany.
func germanArea(d []byte) bool {
	switch string(d) {
	case "030", "040", "069", "089", "0221", "0211", "0711", "0341", "0351", "0511", "0421", "0911", "0201", "0231":
		return true
	}
	return len(d) == 4 && d[1] == '1' && d[2] >= '5' && d[2] <= '7'
}

// american looks for a number of the North American Numbering Plan: area and
// exchange begin with 2 to 9 and do not end with 11.
func (s *Stream) american(num *number, g int) int {
	x := &num.groups
	t := s.b.text
	at := g
	if t[x[g].start] == '1' && x[g].end-x[g].start == 1 {
		at++
	}
	if at+2 >= num.n {
		return -1
	}
	sep := x[at+1].sep
	code := func(k int) bool {
		d := t[x[k].start:x[k].end]
		if len(d) != 3 || d[0] < '2' || d[1] == '1' && d[2] == '1' {
			return false
		}
		// Of the round numbers only services have some: 800.
		return k != at || d[1] != '0' || d[2] != '0' || d[0] == '5' || d[0] >= '7'
	}
	if !code(at) || !code(at+1) || x[at+2].end-x[at+2].start != 4 || !s.closes(num, at+2) {
		return -1
	}
	switch last := x[at+2].sep; {
	case sep == '-' && last == '-', sep == '.' && last == '.':
		return at + 2
	case sep == ')' && (last == '-' || last == ' ' || last == '.') && (s.before(x[at].start) == '('):
		return at + 2
	case sep == ' ' && last == '-':
		return at + 2
	}
	return -1
}

// pairAround reports whether the groups from g to h are part of a row of pairs,
// as in a dump of bytes.
func (s *Stream) pairAround(num *number, g, h int) bool {
	p, e := num.groups[g].start, num.groups[h].end
	t := s.b.text
	if g > 0 {
		return true
	}
	if s.before(p) == ' ' && p >= 4 && class[t[p-2]]&isAlnum != 0 && class[t[p-3]]&isAlnum != 0 && class[t[p-4]]&isAlnum == 0 && isHex(t[p-2]) && isHex(t[p-3]) {
		return true
	}
	return s.at(e) == ' ' && isHex(s.at(e+1)) && isHex(s.at(e+2)) && class[s.at(e+3)]&isAlnum == 0
}
