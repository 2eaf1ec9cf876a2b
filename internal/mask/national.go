package mask

// nationalAt looks for the number of a person from group g on.
func (s *Stream) nationalAt(num *number, g int) int {
	first := &num.groups[g]
	size := first.end - first.start
	sep := byte(0)
	if g+1 < num.n {
		sep = num.groups[g+1].sep
	}
	if size >= 9 && size <= 15 {
		return s.compactNational(num, g, size)
	}
	switch size {
	case 1:
		return s.nirGroups(first.start)
	case 2:
		if sep == ' ' && s.shape(num, g, ' ', 2, 3, 3, 3) {
			return s.national(deSteuerID, num, g, g+3, steuerID)
		}
	case 3:
		switch {
		case sep == '-' && s.shape(num, g, '-', 3, 2, 4), sep == ' ' && s.shape(num, g, ' ', 3, 2, 4) && s.near(first.start, ssnWords):
			return s.national(usSSN, num, g, g+2, ssn)
		case sep == '.' && g+3 < num.n && num.groups[g+3].sep == '-':
			if s.cpfGroups(num, g) {
				return s.national(brCPF, num, g, g+3, cpf)
			}
		}
	case 4:
		switch {
		case sep == '.' && s.shape(num, g, '.', 4, 2, 3):
			return s.national(nlBSN, num, g, g+2, bsn)
		case (sep == ' ' || sep == '-') && s.shape(num, g, sep, 4, 4, 4) && !num.row(g, g+2):
			return s.national(inAadhaar, num, g, g+2, aadhaar)
		}
	case 6:
		if s.shape(num, g, '-', 6, 4) && s.near(first.start, swedishWords) {
			return s.national(sePersonnummer, num, g, g+1, personnummer)
		}
	case 8:
		if s.shape(num, g, '-', 8, 4) {
			if f := s.figures(num, g, g+1); f.value(2) == 19 || s.near(first.start, swedishWords) {
				return s.national(sePersonnummer, num, g, g+1, personnummer)
			}
		}
		if g == num.n-1 {
			return s.hyphenDNI(first.start, first.end)
		}
	}
	return 0
}

// compactNational looks at a group that is a number of its own.
func (s *Stream) compactNational(num *number, g, size int) int {
	p := num.groups[g].start
	if !s.closes(num, g) {
		return 0
	}
	try := func(d detector, words *vocabulary, check func(figures) bool) int {
		f := s.figures(num, g, g)
		if !check(f) || words != nil && !s.near(p, words) {
			return 0
		}
		return s.national(d, num, g, g, check)
	}
	end := 0
	switch size {
	case 9:
		if end = try(usSSN, ssnWords, ssn); end == 0 {
			end = try(nlBSN, bsnWords, bsn)
		}
	case 10:
		end = try(sePersonnummer, swedishWords, personnummer)
	case 11:
		if end = try(brCPF, cpfWords, cpf); end == 0 {
			if end = try(plPESEL, peselWords, pesel); end == 0 {
				end = try(deSteuerID, steuerWords, steuerID)
			}
		}
	case 12:
		if end = try(inAadhaar, aadhaarWords, aadhaar); end == 0 {
			end = try(sePersonnummer, swedishWords, personnummer)
		}
	case 15:
		end = try(frNIR, nil, func(f figures) bool {
			var v [15]byte
			for k := range v {
				v[k] = f.d[k] + '0'
			}
			return nir(v[:])
		})
	}
	return end
}

// national masks the groups from g to h if their digits pass the check.
func (s *Stream) national(d detector, num *number, g, h int, check func(figures) bool) int {
	f := s.figures(num, g, h)
	end := num.groups[h].end
	if !check(f) || !s.match(d, num.groups[g].start, end) {
		return 0
	}
	return end
}

func (s *Stream) cpfGroups(num *number, g int) bool {
	x := &num.groups
	return x[g+1].end-x[g+1].start == 3 && x[g+2].end-x[g+2].start == 3 && x[g+2].sep == '.' &&
		x[g+3].end-x[g+3].start == 2 && s.closes(num, g+3)
}

// ssn: secure.ssa.gov/poms.nsf/lnx/0110201035. Areas 000, 666 and from 900 on,
// group 00 and serial 0000 are never given.
func ssn(f figures) bool {
	area := f.value(3)
	return f.n == 9 && area != 0 && area != 666 && area < 900 && (f.d[3] != 0 || f.d[4] != 0) &&
		(f.d[5] != 0 || f.d[6] != 0 || f.d[7] != 0 || f.d[8] != 0)
}

// steuerID: § 139b AO; the check digit is ISO 7064 mod 11,10. Of the first ten
// digits one stands two or three times and the others at most once.
func steuerID(f figures) bool {
	if f.n != 11 || f.d[0] == 0 {
		return false
	}
	var seen [10]int
	product := 10
	for _, d := range f.d[:10] {
		seen[d]++
		sum := (int(d) + product) % 10
		if sum == 0 {
			sum = 10
		}
		product = sum * 2 % 11
	}
	repeated := 0
	for _, n := range seen {
		if n > 3 {
			return false
		}
		if n > 1 {
			repeated++
		}
	}
	check := 11 - product
	if check == 10 {
		check = 0
	}
	return repeated == 1 && check == int(f.d[10])
}

// bsn: the eleven test with weights 9 to 2 and -1.
func bsn(f figures) bool {
	if f.n != 9 {
		return false
	}
	sum := -int(f.d[8])
	for k := range 8 {
		sum += int(f.d[k]) * (9 - k)
	}
	return sum%11 == 0 && f.value(9) > 9999999
}

// pesel: the Polish act on population records, article 15; weights 1, 3, 7, 9,
// the century in the month.
func pesel(f figures) bool {
	if f.n != 11 {
		return false
	}
	sum := 0
	for k, w := range [...]int{1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1} {
		sum += int(f.d[k]) * w
	}
	month, day := int(f.d[2]*10+f.d[3])%20, int(f.d[4]*10+f.d[5])
	return sum%10 == 0 && month >= 1 && month <= 12 && day >= 1 && day <= 31
}

// personnummer: ten or twelve digits, Luhn over the last ten; days from 61 on are
// coordination numbers.
func personnummer(f figures) bool {
	d := f.d[:f.n]
	switch f.n {
	case 12:
		if century := f.value(2); century < 18 || century > 20 {
			return false
		}
		d = d[2:]
	case 10:
	default:
		return false
	}
	month, day := int(d[2]*10+d[3]), int(d[4]*10+d[5])
	if day > 60 {
		day -= 60
	}
	return month >= 1 && month <= 12 && day >= 1 && day <= 31 && luhn(d)
}

// cpf: two check digits mod 11; one digit eleven times is none.
func cpf(f figures) bool {
	if f.n != 11 {
		return false
	}
	equal := true
	for _, d := range f.d[:11] {
		equal = equal && d == f.d[0]
	}
	check := func(n int) bool {
		sum := 0
		for k := range n {
			sum += int(f.d[k]) * (n + 1 - k)
		}
		return sum*10%11%10 == int(f.d[n])
	}
	return !equal && check(9) && check(10)
}

// The tables of Verhoeff's check digit: the dihedral group of order ten and the
// permutation.
var (
	verhoeffProduct = [10][10]byte{
		{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, {1, 2, 3, 4, 0, 6, 7, 8, 9, 5}, {2, 3, 4, 0, 1, 7, 8, 9, 5, 6}, {3, 4, 0, 1, 2, 8, 9, 5, 6, 7},
		{4, 0, 1, 2, 3, 9, 5, 6, 7, 8}, {5, 9, 8, 7, 6, 0, 4, 3, 2, 1}, {6, 5, 9, 8, 7, 1, 0, 4, 3, 2}, {7, 6, 5, 9, 8, 2, 1, 0, 4, 3},
		{8, 7, 6, 5, 9, 3, 2, 1, 0, 4}, {9, 8, 7, 6, 5, 4, 3, 2, 1, 0},
	}
	verhoeffPermutation = [8][10]byte{
		{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, {1, 5, 7, 6, 2, 8, 3, 0, 9, 4}, {5, 8, 0, 3, 7, 9, 6, 1, 4, 2}, {8, 9, 1, 6, 0, 4, 3, 5, 2, 7},
		{9, 4, 5, 3, 1, 2, 6, 8, 7, 0}, {4, 2, 8, 6, 5, 7, 3, 9, 0, 1}, {2, 7, 9, 3, 8, 0, 6, 4, 1, 5}, {7, 0, 4, 6, 9, 1, 3, 2, 5, 8},
	}
)

// aadhaar: twelve digits, the first not 0 or 1, Verhoeff.
func aadhaar(f figures) bool {
	if f.n != 12 || f.d[0] < 2 {
		return false
	}
	c := byte(0)
	for k := range 12 {
		c = verhoeffProduct[c][verhoeffPermutation[k%8][f.d[11-k]]]
	}
	return c == 0
}

// nirGroups looks for a French number in its groups: 1 85 05 78 006 084 36.
func (s *Stream) nirGroups(p int) int {
	var v [15]byte
	n, e := 0, p
	for k, size := range [...]int{1, 2, 2, 2, 3, 3, 2} {
		if k > 0 {
			if s.at(e) != ' ' {
				return 0
			}
			e++
		}
		for range size {
			c := s.at(e)
			if !digit(c) && c != 'A' && c != 'B' {
				return 0
			}
			v[n] = c
			n++
			e++
		}
	}
	if !s.rightEdge(e) || !nir(v[:]) || !s.match(frNIR, p, e) {
		return 0
	}
	return e
}

// nir: fr.wikipedia.org/wiki/Numéro_de_sécurité_sociale_en_France; the key is 97
// less the number mod 97, with 2A as 19 and 2B as 18.
func nir(v []byte) bool {
	if len(v) != 15 || v[0] < '1' || v[0] > '8' || v[0] == '5' || v[0] == '6' {
		return false
	}
	number := int64(0)
	for k, c := range v[:13] {
		switch {
		case k == 6 && (c == 'A' || c == 'B') && v[5] == '2':
			number = number/10*10 + 1 // 2A is 19, 2B is 18
			number = number*10 + int64('9'-(c-'A')-'0')
		case digit(c):
			number = number*10 + int64(c-'0')
		default:
			return false
		}
	}
	if !digit(v[13]) || !digit(v[14]) {
		return false
	}
	month := int(v[3]-'0')*10 + int(v[4]-'0')
	if month == 0 || month > 12 && month < 20 || month > 42 && month < 50 {
		return false
	}
	return 97-number%97 == int64(v[13]-'0')*10+int64(v[14]-'0')
}

const dniLetters = "TRWAGMYFPDXBNJZSQVHLCKE"

// dniLetter: the letter of a Spanish DNI is its number mod 23.
func dniLetter(d []byte, letter byte) bool {
	n := 0
	for _, c := range d {
		n = n*10 + int(c-'0')
	}
	return dniLetters[n%23] == letter
}

// hyphenDNI looks for a DNI with a hyphen before its letter.
func (s *Stream) hyphenDNI(p, e int) int {
	if s.at(e) != '-' || !upper(s.at(e+1)) || !s.rightEdge(e+2) || s.short ||
		!dniLetter(s.b.text[p:e], s.b.text[e+1]) || !s.match(esDNI, p, e+2) {
		return 0
	}
	return e + 2
}

// nie looks for the number of a foreigner in Spain, X1234567L or X-1234567-L; the
// token that begins with its letter is text[p:e].
func (s *Stream) nie(p, e int) int {
	t := s.b.text
	if e-p != 9 || !s.edges(p, e) {
		return 0
	}
	d := [8]byte{t[p] - 'X' + '0'}
	for k := 1; k < 8; k++ {
		if d[k] = t[p+k]; !digit(d[k]) {
			return 0
		}
	}
	if !dniLetter(d[:], t[e-1]) || !s.match(esDNI, p, e) {
		return 0
	}
	return e
}

// nino looks for a UK national insurance number whose two letters begin at p:
// compact in the token that ends at e, or, if only the letters are before i, in
// groups (gov.uk NIM39110).
func (s *Stream) nino(p, i, e int) int {
	t := s.b.text
	if !ninoPrefix(t[p], t[p+1]) || !s.leftEdge(p) || e-p != 9 || t[e-1] < 'A' || t[e-1] > 'D' {
		return 0
	}
	for _, c := range t[i : e-1] {
		if !digit(c) {
			return 0
		}
	}
	if !s.rightEdge(e) || !s.near(p, ninoWords) || !s.match(ukNINO, p, e) {
		return 0
	}
	return e
}

// ninoGroups looks for a UK national insurance number in groups, AB 12 34 56 C,
// at its first digit.
func (s *Stream) ninoGroups(i int) int {
	t := s.b.text
	p := i - 3
	if p < 0 || t[i-1] != ' ' || !upper(t[p]) || !upper(t[p+1]) || !ninoPrefix(t[p], t[p+1]) || !s.leftEdge(p) {
		return 0
	}
	for k, want := range "00 00 00 A" {
		c := s.at(i + k)
		switch want {
		case '0':
			if !digit(c) {
				return 0
			}
		case ' ':
			if c != ' ' {
				return 0
			}
		default:
			if c < 'A' || c > 'D' {
				return 0
			}
		}
	}
	if !s.rightEdge(i+10) || !s.match(ukNINO, p, i+10) {
		return 0
	}
	return i + 10
}

// ninoPrefix reports whether a prefix is given: some letters and pairs are not.
func ninoPrefix(a, b byte) bool {
	bad := func(c byte) bool {
		return c == 'D' || c == 'F' || c == 'I' || c == 'Q' || c == 'U' || c == 'V' || !upper(c)
	}
	switch string([]byte{a, b}) {
	case "BG", "GB", "KN", "NK", "NT", "TN", "ZZ":
		return false
	}
	return !bad(a) && !bad(b) && b != 'O'
}

// The values of characters at odd places of an Italian tax code (D.M. 23 December
// 1976, table 1): digits have those of the letters A to J.
const codiceOdd = "\x01\x00\x05\x07\x09\x0d\x0f\x11\x13\x15\x02\x04\x12\x14\x0b\x03\x06\x08\x0c\x0e\x10\x0a\x16\x19\x18\x17"

// codiceFiscale checks the form of an Italian tax code and its last character.
// Digits may be replaced by letters where codes collide (omocodia).
func codiceFiscale(v []byte) bool {
	sum := 0
	for k, c := range v {
		if lower(c) {
			c &^= 0x20
		}
		letter := k < 6 || k == 8 || k == 11 || k == 15
		switch {
		case letter != upper(c) && (letter || !omocode(c)):
			return false
		case k == 8 && !monthLetter(c):
			return false
		}
		n := int(c - 'A')
		if digit(c) {
			n = int(c - '0')
		}
		switch {
		case k == 15:
			return sum%26 == n
		case k%2 == 0:
			sum += int(codiceOdd[n])
		default:
			sum += n
		}
	}
	return false
}

func omocode(c byte) bool {
	return c == 'L' || c == 'M' || c == 'N' || c >= 'P' && c <= 'V' && c != 'O'
}

func monthLetter(c byte) bool {
	return c >= 'A' && c <= 'E' || c == 'H' || c == 'L' || c == 'M' || c == 'P' || c >= 'R' && c <= 'T'
}
