package mask

// nearby is how far before a value a word that explains it may stand.
const nearby = 48

// words that explain a number, in lower case. They stand as words of their own,
// also within the names of keys: phone_number, phoneNumber.
var (
	cardWords  = []string{"card", "pan", "visa", "mastercard", "amex", "cc", "ccnum", "creditcard", "kreditkarte", "maestro", "unionpay"}
	phoneWords = []string{"phone", "tel", "mobile", "cell", "fax", "msisdn", "sms", "whatsapp", "telephone", "telefon", "handy", "phones", "gsm",
		"cellphone", "mobil", "telefono", "telefone", "celular", "tlf", "call", "dial", "contact"}
	ssnWords     = []string{"ssn", "social", "socialsecurity"}
	ninoWords    = []string{"nino", "insurance", "ni"}
	steuerWords  = []string{"steuer", "steuerid", "idnr", "tin", "steueridentifikationsnummer", "steuernummer", "tax"}
	nirWords     = []string{"nir", "insee", "secu", "vitale"}
	bsnWords     = []string{"bsn", "burgerservicenummer", "sofi", "sofinummer"}
	peselWords   = []string{"pesel"}
	swedishWords = []string{"personnummer", "pnr", "personal", "personnr", "samordningsnummer"}
	cpfWords     = []string{"cpf"}
	aadhaarWords = []string{"aadhaar", "aadhar", "adhaar", "uidai", "uid"}
)

// near reports whether one of the words stands before p in the same line, within
// reach.
func (s *Stream) near(p int, words []string) bool {
	t := s.b.text
	from := max(0, p-nearby)
	for k := p - 1; k >= from; k-- {
		if t[k] == '\n' {
			from = k + 1
		}
	}
	for _, word := range words {
		for k := from; k+len(word) <= p; k++ {
			if t[k]|0x20 == word[0] && s.wordAt(k, word) {
				return true
			}
		}
	}
	return false
}

// wordAt reports whether a word of text or of a name begins at k.
func (s *Stream) wordAt(k int, word string) bool {
	t := s.b.text
	for j := range len(word) {
		if t[k+j]|0x20 != word[j] {
			return false
		}
	}
	if prev := s.before(k); class[prev]&isLetter != 0 && (!lower(prev) || !upper(t[k])) {
		return false
	}
	e := k + len(word)
	next := byte('\n')
	if e < len(t) {
		next = t[e]
	}
	return !lower(next) && (class[next]&isLetter == 0 || lower(t[e-1]))
}
