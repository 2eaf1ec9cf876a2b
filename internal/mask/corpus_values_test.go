package mask

import (
	"encoding/base64"
	"fmt"
	"math/big"
	"math/rand/v2"
	"strings"
)

// maker makes the values of the corpus. It has check digits of its own, written
// from the specifications and not from the detectors, so that an error in those
// shows.
type maker struct{ *rand.Rand }

func (m maker) pick(from ...string) string { return from[m.IntN(len(from))] }

func (m maker) from(alphabet string, n int) string {
	b := make([]byte, n)
	for k := range b {
		b[k] = alphabet[m.IntN(len(alphabet))]
	}
	return string(b)
}

const (
	decimals  = "0123456789"
	lowers    = "abcdefghijklmnopqrstuvwxyz"
	uppers    = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	alnums    = decimals + lowers + uppers
	hexDigits = "0123456789abcdef"
	webSafe   = alnums + "-_"
)

// alnum has at least one digit, as generated keys have.
func (m maker) alnum(n int) string {
	return m.from(alnums, n-2) + m.from(decimals, 1) + m.from(uppers, 1)
}

// groups writes digits in groups of the given sizes.
func groups(digits, sep string, sizes ...int) string {
	var parts []string
	for _, n := range sizes {
		parts, digits = append(parts, digits[:n]), digits[n:]
	}
	return strings.Join(parts, sep)
}

// withLuhn appends the digit that makes the sum of the digits, every other one
// doubled, a multiple of ten.
func withLuhn(digits string) string {
	for c := range 10 {
		sum, full := 0, fmt.Sprint(digits, c)
		for k := range full {
			d := int(full[len(full)-1-k] - '0')
			if k%2 == 1 {
				d = d/5 + d*2%10
			}
			sum += d
		}
		if sum%10 == 0 {
			return full
		}
	}
	panic("no check digit")
}

func (m maker) card() string {
	prefix := m.pick("4", "4", "51", "52", "55", "2221", "2720", "34", "37", "6011", "644", "65", "36", "300", "3528", "62", "2200", "6304", "5018")
	n := 16
	switch prefix {
	case "34", "37":
		n = 15
	case "36", "300":
		n = 14
	}
	full := withLuhn(prefix + m.from(decimals, n-1-len(prefix)))
	switch m.IntN(3) {
	case 0:
		return full
	case 1:
		return cardGroups(full, " ")
	}
	return cardGroups(full, "-")
}

func cardGroups(full, sep string) string {
	switch len(full) {
	case 15:
		return groups(full, sep, 4, 6, 5)
	case 14:
		return groups(full, sep, 4, 6, 4)
	}
	return groups(full, sep, 4, 4, 4, 4)
}

func (m maker) iban() string {
	country := []struct {
		code string
		bban []string // pairs of alphabet and length
	}{
		{"DE", []string{decimals, "18"}}, {"FR", []string{decimals, "10", alnumUpper, "11", decimals, "2"}}, {"GB", []string{uppers, "4", decimals, "14"}},
		{"NL", []string{uppers, "4", decimals, "10"}}, {"ES", []string{decimals, "20"}}, {"IT", []string{uppers, "1", decimals, "10", alnumUpper, "12"}},
		{"PL", []string{decimals, "24"}}, {"NO", []string{decimals, "11"}}, {"CH", []string{decimals, "5", alnumUpper, "12"}}, {"BE", []string{decimals, "12"}},
		{"SE", []string{decimals, "20"}}, {"AT", []string{decimals, "16"}}, {"MT", []string{uppers, "4", decimals, "5", alnumUpper, "18"}}, {"SA", []string{decimals, "2", alnumUpper, "18"}},
	}[m.IntN(14)]
	bban := ""
	for k := 0; k < len(country.bban); k += 2 {
		n := 0
		fmt.Sscan(country.bban[k+1], &n)
		bban += m.from(country.bban[k], n)
	}
	number := ""
	for _, c := range bban + country.code + "00" {
		if c >= 'A' {
			number += fmt.Sprint(c - 'A' + 10)
		} else {
			number += string(c)
		}
	}
	n, _ := new(big.Int).SetString(number, 10)
	full := fmt.Sprintf("%s%02d%s", country.code, 98-new(big.Int).Mod(n, big.NewInt(97)).Int64(), bban)
	if m.IntN(2) == 0 {
		return full
	}
	spaced := ""
	for k := 0; k < len(full); k += 4 {
		spaced += " " + full[k:min(k+4, len(full))]
	}
	return spaced[1:]
}

const alnumUpper = decimals + uppers

func (m maker) email() string {
	local := m.pick("bob", "alice.smith", "j.doe+news", "info", "r2d2", "first_last", "o'brien", "maria-jose", "x", "support.eu", "günther")
	domain := m.pick("example.com", "mail.example.co.uk", "xn--bcher-kva.example", "corp.example.io", "a.museum", "sub.domain.example.org", "example.de", "münchen.example")
	return local + m.from(decimals, m.IntN(3)) + "@" + domain
}

func (m maker) phone() string {
	d := func(n int) string { return m.from("23456789", 1) + m.from("0123456789", n-1) }
	switch m.IntN(16) {
	case 0:
		return "+1" + d(3) + d(3) + d(4)
	case 1:
		return "+1 " + d(3) + "-" + d(3) + "-" + d(4)
	case 2:
		return "+1 (" + m.from("23456789", 1) + m.from("02345678", 2) + ") " + d(3) + "-" + d(4)
	case 3:
		return "+49 30 " + d(8)
	case 4:
		return "+49-171-" + d(7)
	case 5:
		return "+44 20 " + d(4) + " " + d(4)
	case 6:
		return "+44 (0)20 7" + m.from(decimals, 3) + " " + d(4)
	case 7:
		return "+33 6 " + groups(m.from(decimals, 8), " ", 2, 2, 2, 2)
	case 8:
		return "+91 " + d(5) + " " + d(5)
	case 9:
		return "(" + m.from("23456789", 1) + m.from("02345678", 2) + ") " + m.from("2345678", 1) + m.from("02345678", 2) + "-" + d(4)
	case 10:
		return m.from("23456789", 1) + m.from("02345678", 2) + "-" + m.from("23456789", 1) + m.from("02345678", 2) + "-" + d(4)
	case 11:
		return "1-800-" + m.from("23456789", 1) + m.from("02345678", 2) + "-" + d(4)
	case 12:
		return "020 7" + m.from(decimals, 3) + " " + d(4)
	case 13:
		return "07" + d(3) + " " + d(6)
	case 14:
		return "0171 " + d(7)
	}
	return "0" + m.from("1234567", 1) + " " + groups(m.from(decimals, 8), " ", 2, 2, 2, 2)
}

func (m maker) date() (yy, mm, dd string) {
	return fmt.Sprintf("%02d", m.IntN(100)), fmt.Sprintf("%02d", 1+m.IntN(12)), fmt.Sprintf("%02d", 1+m.IntN(28))
}

func (m maker) ssn() string {
	for {
		area := m.IntN(899) + 1
		if area != 666 {
			return fmt.Sprintf("%03d-%02d-%04d", area, 1+m.IntN(99), 1+m.IntN(9999))
		}
	}
}

func (m maker) nino() string {
	return m.pick("AB", "CE", "JG", "LA", "PW", "SR", "YZ", "WM", "TK") + groups(m.from(decimals, 6), "", 2, 2, 2) + m.from("ABCD", 1)
}

func spacedNINO(v string) string {
	return v[:2] + " " + v[2:4] + " " + v[4:6] + " " + v[6:8] + " " + v[8:]
}

// steuerID follows the specification's example: one digit twice, ISO 7064 MOD
// 11,10.
func (m maker) steuerID() string {
	for {
		order := m.Perm(10)
		b := make([]byte, 10)
		for k, d := range order[:9] {
			b[k] = byte('0' + d)
		}
		b[9] = b[m.IntN(8)]
		if b[0] == '0' {
			continue
		}
		p := 10
		for _, c := range b {
			t := (int(c-'0') + p) % 10
			if t == 0 {
				t = 10
			}
			p = (2 * t) % 11
		}
		return fmt.Sprint(string(b), (11-p)%10)
	}
}

func (m maker) nir() string {
	_, mm, _ := m.date()
	dept, number := fmt.Sprintf("%02d", 1+m.IntN(19)), ""
	head := m.pick("1", "2") + fmt.Sprintf("%02d", m.IntN(100)) + mm
	rest := m.from(decimals, 6)
	number = head + dept + rest
	if m.IntN(5) == 0 {
		dept, number = "2A", head+"19"+rest
	}
	n, _ := new(big.Int).SetString(number, 10)
	return fmt.Sprintf("%s%s%s%02d", head, dept, rest, 97-new(big.Int).Mod(n, big.NewInt(97)).Int64())
}

func (m maker) dni() string {
	n := m.IntN(90000000) + 10000000
	letter := string("TRWAGMYFPDXBNJZSQVHLCKE"[n%23])
	switch m.IntN(3) {
	case 0:
		return fmt.Sprint(n, letter)
	case 1:
		return fmt.Sprint(n, "-", letter)
	}
	k := m.IntN(3)
	n = k*10000000 + m.IntN(10000000)
	return fmt.Sprintf("%c%07d%c", 'X'+k, n%10000000, "TRWAGMYFPDXBNJZSQVHLCKE"[n%23])
}

func (m maker) codiceFiscale() string {
	yy, _, dd := m.date()
	v := m.from("BCDFGLMNPRSTVZ", 3) + m.from("BCDFGLMNPRSTVZ", 2) + m.from("AEIO", 1) + yy + m.from("ABCDEHLMPRST", 1) + dd + m.from("ABCDFGHL", 1) + m.from(decimals, 3)
	odd := []int{1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23}
	sum := 0
	for k, c := range v {
		n := int(c - 'A')
		if c <= '9' {
			n = int(c - '0')
		}
		if k%2 == 0 {
			n = odd[n]
		}
		sum += n
	}
	return v + string(rune('A'+sum%26))
}

func (m maker) bsn() string {
	for {
		v := m.from("123456789", 1) + m.from(decimals, 8)
		sum := 0
		for k, w := range []int{9, 8, 7, 6, 5, 4, 3, 2, -1} {
			sum += int(v[k]-'0') * w
		}
		if sum%11 == 0 {
			return v
		}
	}
}

func (m maker) pesel() string {
	yy, mm, dd := m.date()
	v := yy + mm + dd + m.from(decimals, 4)
	sum := 0
	for k, w := range []int{1, 3, 7, 9, 1, 3, 7, 9, 1, 3} {
		sum += int(v[k]-'0') * w
	}
	return fmt.Sprint(v, (10-sum%10)%10)
}

func (m maker) personnummer() string {
	yy, mm, dd := m.date()
	v := withLuhn(yy + mm + dd + m.from(decimals, 3))
	return v[:6] + "-" + v[6:]
}

func (m maker) cpf() string {
	v := m.from(decimals, 8) + m.from("123456789", 1)
	for range 2 {
		sum := 0
		for k := range v {
			sum += int(v[k]-'0') * (len(v) + 1 - k)
		}
		d := 11 - sum%11
		if d > 9 {
			d = 0
		}
		v += fmt.Sprint(d)
	}
	return v
}

func dottedCPF(v string) string { return v[:3] + "." + v[3:6] + "." + v[6:9] + "-" + v[9:] }

// aadhaar multiplies in the dihedral group by its definition instead of a table.
func (m maker) aadhaar() string {
	product := func(a, b int) int {
		switch {
		case a < 5 && b < 5:
			return (a + b) % 5
		case a < 5:
			return (a+b-5)%5 + 5
		case b < 5:
			return (a-5-b+5)%5 + 5
		}
		return (a - b + 5) % 5
	}
	permute := func(times, d int) int {
		for range times {
			d = []int{1, 5, 7, 6, 2, 8, 3, 0, 9, 4}[d]
		}
		return d
	}
	v := m.from("23456789", 1) + m.from(decimals, 10)
	for check := range 10 {
		full, c := fmt.Sprint(v, check), 0
		for k := range full {
			c = product(c, permute(k%8, int(full[len(full)-1-k]-'0')))
		}
		if c == 0 {
			return full
		}
	}
	panic("no check digit")
}

func (m maker) jwt() string {
	part := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	header := m.pick(`{"alg":"RS256","typ":"JWT","kid":"k1"}`, `{"alg":"HS256","typ":"JWT"}`, `{"typ":"JWT","alg":"ES256"}`, `{"alg":"EdDSA","kid":"2026-11"}`)
	return part(header) + "." + part(fmt.Sprintf(`{"sub":"%d","iss":"https://idp.example"}`, m.IntN(1e9))) + "." + m.from(webSafe, 43)
}

// password is what people and programs make.
func (m maker) password() string {
	return m.pick("hunter2", "Tr0ub4dor&3", "correcthorse", "S3cret!", "letmein", "p@ssw0rd", "xK9$"+m.alnum(8), m.alnum(16), m.alnum(24), m.from(hexDigits, 31)+"7")
}

func (m maker) pem() string {
	kind := m.pick("RSA PRIVATE KEY", "EC PRIVATE KEY", "PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "OPENSSH PRIVATE KEY", "DSA PRIVATE KEY", "PGP PRIVATE KEY BLOCK")
	body := ""
	for range 1 + m.IntN(3) {
		body += m.from(alnums+"+/", 64) + "\n"
	}
	return "-----BEGIN " + kind + "-----\n" + body + m.from(alnums, 22) + "==\n-----END " + kind + "-----"
}
