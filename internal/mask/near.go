package mask

// nearby is how far before a value a word that explains it may stand.
const nearby = 48

// vocabulary is a list of words that explain a number, in lower case.
type vocabulary struct {
	second [32]uint32 // by first letter, the set of second ones; a is 1
	words  []string
}

func vocabularyOf(words ...string) *vocabulary {
	v := &vocabulary{words: words}
	for _, w := range words {
		v.second[w[0]&31] |= 1 << (w[1] & 31)
	}
	return v
}

// The words stand as words of their own, also within the names of keys:
// phone_number, phoneNumber.
var (
	cardWords  = vocabularyOf("card", "pan", "visa", "mastercard", "amex", "cc", "ccnum", "creditcard", "kreditkarte", "maestro", "unionpay")
	phoneWords = vocabularyOf("phone", "tel", "mobile", "cell", "fax", "msisdn", "sms", "whatsapp", "telephone", "telefon", "handy", "phones", "gsm",
		"cellphone", "mobil", "telefono", "telefone", "celular", "tlf", "contact")
	ssnWords     = vocabularyOf("ssn", "social", "socialsecurity")
	ninoWords    = vocabularyOf("nino", "insurance", "ni")
	steuerWords  = vocabularyOf("steuer", "steuerid", "idnr", "tin", "steueridentifikationsnummer", "steuernummer", "tax")
	bsnWords     = vocabularyOf("bsn", "burgerservicenummer", "sofi", "sofinummer")
	peselWords   = vocabularyOf("pesel")
	swedishWords = vocabularyOf("personnummer", "pnr", "personal", "personnr", "samordningsnummer")
	cpfWords     = vocabularyOf("cpf")
	aadhaarWords = vocabularyOf("aadhaar", "aadhar", "adhaar", "uidai", "uid")
)

// near reports whether one of the words stands before p in the same line, within
// reach.
func (s *Stream) near(p int, v *vocabulary) bool {
	t := s.b.text
	from := max(0, p-nearby)
	next := byte(0)
	for k := p - 1; k >= from; k-- {
		c := t[k]
		pair := v.second[c&31] >> (next & 31) & 1
		next = c
		if c == '\n' {
			return false
		}
		if pair == 0 || class[c]&isLetter == 0 {
			continue
		}
		if prev := s.before(k); class[prev]&isLetter != 0 && (!lower(prev) || !upper(c)) {
			continue
		}
		for _, word := range v.words {
			if s.wordAt(k, p, word) {
				return true
			}
		}
	}
	return false
}

// wordAt reports whether a word of text or of a name that ends before p stands
// at k, where a word begins.
func (s *Stream) wordAt(k, p int, word string) bool {
	t := s.b.text
	e := k + len(word)
	if e > p {
		return false
	}
	for j := range len(word) {
		if t[k+j]|0x20 != word[j] {
			return false
		}
	}
	next := byte('\n')
	if e < len(t) {
		next = t[e]
	}
	return !lower(next) && (class[next]&isLetter == 0 || lower(t[e-1]))
}
