package mask

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
)

const (
	// maxToken bounds a key of a provider. What goes on after that is dropped.
	maxToken = 512
	// maxHeader bounds the header of a JSON Web Token, encoded. A longer one is
	// masked unseen.
	maxHeader = 4096
)

// alphabet is what the rest of a token is made of.
type alphabet uint8

const (
	alnum    alphabet = iota
	url64             // base64url
	url64Dot          // base64url in parts
	hexadecimal
	base32 // RFC 4648, section 6
)

func (a alphabet) has(c byte) bool {
	switch a {
	case alnum:
		return class[c]&isAlnum != 0
	case url64:
		return class[c]&isURL64 != 0
	case url64Dot:
		return class[c]&isURL64 != 0 || c == '.'
	case hexadecimal:
		return isHex(c)
	}
	return upper(c) || c >= '2' && c <= '7'
}

// provider is a kind of key that its first characters give away.
type provider struct {
	prefix   string
	detector detector
	rest     alphabet
	min      int // of what follows the prefix
	max      int // zero: no other length than what min says is known
}

// providers lists the kinds by first character; of two prefixes the longer one
// comes first.
var providers = func() (byFirst [256][]provider) {
	for _, p := range []provider{
		// docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html
		{"AKIA", awsKey, base32, 16, 16}, {"ASIA", awsKey, base32, 16, 16}, {"ABIA", awsKey, base32, 16, 16}, {"ACCA", awsKey, base32, 16, 16},
		{"AIza", gcpKey, url64, 35, 35}, {"GOCSPX-", gcpKey, url64, 28, 28}, {"ya29.", gcpKey, url64Dot, 20, 0},
		// github.blog/2021-04-05-behind-githubs-new-authentication-token-formats
		{"ghp_", githubToken, alnum, 36, 0}, {"gho_", githubToken, alnum, 36, 0}, {"ghu_", githubToken, alnum, 36, 0},
		{"ghs_", githubToken, url64Dot, 36, 0}, {"ghr_", githubToken, alnum, 36, 0}, {"github_pat_", githubToken, url64, 60, 0},
		// docs.gitlab.com/security/tokens
		{"glpat-", gitlabToken, url64Dot, 20, 0}, {"gldt-", gitlabToken, url64, 20, 0}, {"glrt-", gitlabToken, url64Dot, 20, 0},
		{"glcbt-", gitlabToken, url64, 20, 0}, {"glptt-", gitlabToken, url64, 20, 0}, {"glft-", gitlabToken, url64, 20, 0},
		{"glsoat-", gitlabToken, url64, 20, 0}, {"glagent-", gitlabToken, url64, 40, 0}, {"GR1348941", gitlabToken, url64, 20, 0},
		{"xoxb-", slackToken, url64, 20, 0}, {"xoxp-", slackToken, url64, 20, 0}, {"xoxa-", slackToken, url64, 20, 0},
		{"xoxr-", slackToken, url64, 20, 0}, {"xoxs-", slackToken, url64, 20, 0}, {"xoxe-", slackToken, url64, 20, 0},
		{"xoxe.", slackToken, url64Dot, 20, 0}, {"xapp-", slackToken, url64, 20, 0},
		{"sk_live_", stripeKey, alnum, 16, 0}, {"sk_test_", stripeKey, alnum, 16, 0}, {"rk_live_", stripeKey, alnum, 16, 0},
		{"rk_test_", stripeKey, alnum, 16, 0}, {"whsec_", stripeKey, alnum, 24, 0},
		{"sk-ant-", anthropicKey, url64, 20, 0}, {"sk-proj-", openaiKey, url64, 20, 0}, {"sk-svcacct-", openaiKey, url64, 20, 0},
		{"sk-admin-", openaiKey, url64, 20, 0}, {"sk-", openaiKey, url64, 20, 0},
		{"npm_", npmToken, alnum, 36, 0}, {"pypi-AgE", pypiToken, url64, 40, 0},
		{"SK", twilioKey, hexadecimal, 32, 32}, {"SG.", sendgridKey, url64Dot, 40, 0},
		{"dop_v1_", digitaloceanToken, hexadecimal, 64, 0}, {"doo_v1_", digitaloceanToken, hexadecimal, 64, 0}, {"dor_v1_", digitaloceanToken, hexadecimal, 64, 0},
		{"hvs.", vaultToken, url64, 24, 0}, {"hvb.", vaultToken, url64, 24, 0}, {"hvr.", vaultToken, url64, 24, 0},
		{"dapi", databricksToken, hexadecimal, 32, 32}, {"hf_", huggingfaceToken, alnum, 30, 0},
		{"shpat_", shopifyToken, hexadecimal, 32, 0}, {"shpca_", shopifyToken, hexadecimal, 32, 0},
		{"shppa_", shopifyToken, hexadecimal, 32, 0}, {"shpss_", shopifyToken, hexadecimal, 32, 0},
	} {
		byFirst[p.prefix[0]] = append(byFirst[p.prefix[0]], p)
	}
	return byFirst
}()

// token looks for a provider's key that begins at p and returns its end.
func (s *Stream) token(p int) (detector, int) {
	if p < len(s.b.text) {
		for _, kind := range providers[s.b.text[p]] {
			if !s.has(p, kind.prefix) {
				if s.short {
					return none, p
				}
				continue
			}
			return s.key(p, kind)
		}
	}
	return none, p
}

func (s *Stream) key(p int, kind provider) (detector, int) {
	from := p + len(kind.prefix)
	e := from
	letters := uint8(0)
	for ; e-p < maxToken; e++ {
		c := s.at(e)
		if !kind.rest.has(c) {
			break
		}
		letters |= class[c]
	}
	if s.short {
		return none, p
	}
	n := e - from
	if n < kind.min || kind.max > 0 && (n > kind.max || class[s.at(e)]&isURL64 != 0 && s.at(e) != '-') {
		return none, p
	}
	if kind.rest != base32 && letters&isDigit == 0 {
		return none, p // generated keys have digits; names of things may have none
	}
	if kind.detector == openaiKey && words(s.b.text[from:e]) {
		return none, p
	}
	for e > from && s.b.text[e-1] == '.' {
		e--
	}
	return kind.detector, e
}

// words reports whether a token is made of words: names of hosts and volumes
// begin as keys do.
func words(v []byte) bool {
	upperSeen := false
	for _, c := range v {
		upperSeen = upperSeen || upper(c)
	}
	return !upperSeen || !random(v)
}

// wordStart returns the start of the letters and digits before i, at most n of them.
func (s *Stream) wordStart(i, n int) (p int, ok bool) {
	t := s.b.text
	p = i
	for p > 0 && class[t[p-1]]&isAlnum != 0 {
		if i-p == n {
			return p, false
		}
		p--
	}
	return p, true
}

// prefixed looks at a sign or letter that some kinds of keys have in their
// prefix.
func (s *Stream) prefixed(i int) int {
	t := s.b.text
	p, ok := s.wordStart(i, 8)
	if !ok {
		return i + 1
	}
	switch c := t[i]; c {
	case '_', '-':
		if i-p < 2 {
			return i + 1
		}
	case 'A':
		if p != i {
			return s.keyBody(i, p)
		}
		if s.has(i, "AGE-SECRET-KEY-") {
			return s.ageKey(i)
		}
	case 'G':
		if p != i-1 || t[p] != 'S' {
			if p == i && s.has(i, "GR1348941") {
				break
			}
			return s.keyBody(i, p)
		}
	case 'v':
		if p != i-1 || t[p] != 'h' {
			return s.keyBody(i, p)
		}
	}
	return s.tokenAt(i, p)
}

// tokenAt masks the provider's key that begins at p, if one does. i is where to
// go on from if none does.
func (s *Stream) tokenAt(i, p int) int {
	d, e := s.token(p)
	if d == none || s.short || !s.match(d, p, e) {
		return i + 1
	}
	switch {
	case e-p >= maxToken:
		s.mode = modeToken
	case d == awsKey:
		s.want = wanted{detector: awsKey, secrecy: isNeighbour, stop: ','}
	}
	return e
}

// ageKey masks an age identity (age-encryption.org/v1, "Recipient stanza": Bech32
// in upper case).
func (s *Stream) ageKey(i int) int {
	e := i
	for c := s.at(e); e-i < maxToken && (upper(c) || digit(c) || c == '-'); c = s.at(e) {
		e++
	}
	if e-i < 60 {
		return i + 1
	}
	s.match(privateKey, i, e)
	return e
}

// keyBody looks for a private key without its BEGIN line: base64 that begins at p
// and decodes to what only private keys begin with.
func (s *Stream) keyBody(i, p int) int {
	t := s.b.text
	switch n := i - p; {
	case n < 1 || n > 7, t[i] == 'v' && n != 4, t[i] == 'G' && n > 3, t[i] == 'A' && n != 4 && n != 5:
		return i + 1
	case t[p] == 'M' && (t[p+1] == 'I' || t[p+1] == 'H' || t[p+1] == 'C' || t[p+1] == 'G' || t[p+1] == 'F'):
	case t[p] == 'b' && t[p+1] == '3':
	default:
		return i + 1
	}
	var text [24]byte
	for k := range text {
		c := s.at(p + k)
		if class[c]&isAlnum == 0 && c != '+' && c != '/' {
			return i + 1
		}
		text[k] = c
	}
	var der [18]byte
	if _, err := base64.StdEncoding.Decode(der[:], text[:]); err != nil || !privateDER(der[:]) && !bytes.HasPrefix(der[:], []byte("openssh-key-v1")) {
		return i + 1
	}
	if !s.match(privateKey, p, p+len(text)) {
		return i + 1
	}
	s.mode = modeBody
	return p + len(text)
}

// privateDER reports whether DER begins as a private key: a sequence of version
// 0 or 1 and then an algorithm (PKCS #8, RFC 5208), a modulus (RFC 8017, A.1.2),
// or a private key (RFC 5915).
func privateDER(b []byte) bool {
	if b[0] != 0x30 {
		return false
	}
	k := 2
	if b[1] >= 0x80 {
		k += int(b[1] & 0x7F)
	}
	if k > 4 || b[k] != 2 || b[k+1] != 1 || b[k+2] > 1 {
		return false
	}
	next := b[k+3]
	return next == 0x30 || next == 0x02 || next == 0x04
}

// webToken looks for a JSON Web Token at the J of "eyJ", which is how base64url
// of a JSON object begins.
func (s *Stream) webToken(i int) int {
	t := s.b.text
	p := i - 2
	if p < 0 || t[p] != 'e' || t[p+1] != 'y' {
		if q, ok := s.wordStart(i, 8); ok {
			return s.keyBody(i, q)
		}
		return i + 1
	}
	if class[s.before(p)]&isURL64 != 0 {
		return i + 1
	}
	e, ok := s.header(p)
	if !ok || !s.match(jwt, p, e) {
		return i + 1
	}
	s.mode = modeToken
	return e
}

func (s *Stream) isWebToken(p int) bool {
	if !s.has(p, "eyJ") {
		return false
	}
	_, ok := s.header(p)
	return ok
}

// header reports whether the header of a JSON Web Token stands at p (RFC 7515,
// section 7.1, and RFC 7516, section 7.1), and where it ends.
func (s *Stream) header(p int) (e int, ok bool) {
	for e = p; class[s.at(e)]&isURL64 != 0; e++ {
		if e-p >= maxHeader {
			return e, true
		}
	}
	if s.short || s.at(e) != '.' || class[s.at(e+1)]&isURL64 == 0 || s.short {
		return e, false
	}
	var decoded [maxHeader]byte
	n, err := base64.RawURLEncoding.Decode(decoded[:], s.b.text[p:e])
	if err != nil || !bytes.Contains(decoded[:n], []byte(`"alg"`)) && !bytes.Contains(decoded[:n], []byte(`"typ"`)) {
		return e, false
	}
	return e + 1, json.Valid(decoded[:n])
}

// azureSecret looks for the secret of an application in Microsoft Entra at its
// '~': three characters, a digit, Q~, and 31 to 34 characters.
func (s *Stream) azureSecret(i int) int {
	t := s.b.text
	p := i - 5
	if p < 0 || t[i-1] != 'Q' || !digit(t[i-2]) || p < s.floor || class[s.before(p)]&isURL64 != 0 {
		return i + 1
	}
	for _, c := range t[p : i-2] {
		if class[c]&isURL64 == 0 && c != '.' && c != '~' {
			return i + 1
		}
	}
	e := i + 1
	for c := s.at(e); e-i <= 40 && (class[c]&isURL64 != 0 || c == '.' || c == '~'); c = s.at(e) {
		e++
	}
	if n := e - i - 1; s.short || n < 31 || n > 34 {
		return i + 1
	}
	s.match(azureKey, p, e)
	return e
}

// bearer looks for credentials after "Bearer" (RFC 6750, section 2.1).
func (s *Stream) bearer(i int) int {
	if p, ok := s.wordStart(i, 8); ok && p < i {
		return s.keyBody(i, p)
	}
	if class[s.before(i)]&isWord != 0 || !s.has(i, "Bearer ") || !s.rules.on(authorization) || s.short {
		return i + 1
	}
	s.want = wanted{detector: authorization, secrecy: looksSecret, sep: '='}
	return i + len("Bearer ")
}

// dash looks at a hyphen: the BEGIN line of a key, an option, a prefix.
func (s *Stream) dash(i int) int {
	prev := s.before(i)
	if prev == '-' {
		return i + 1
	}
	k := i
	for s.at(k) == '-' && k-i < maxLine {
		k++
	}
	switch n := k - i; {
	case n == 1 && blank(prev):
		return s.option(i)
	case n < 4 && class[prev]&isAlnum != 0:
		return s.prefixed(i)
	case n == 2 && class[s.at(k)]&isLetter != 0 && class[prev]&isWord == 0:
		return s.flag(i, k)
	case n >= 4:
		return s.begin(i, k)
	}
	return k
}

// begin looks for the BEGIN line of a private key (RFC 7468, section 2; SSH2 keys
// have four hyphens and blanks). The dashes before k begin at i.
func (s *Stream) begin(i, k int) int {
	from := k
	if s.at(k) == ' ' {
		k++
	}
	if !s.has(k, "BEGIN ") {
		return from
	}
	label := k
	for c := s.at(k); k-label < maxLine && (upper(c) || digit(c) || c == ' '); c = s.at(k) {
		k++
	}
	name := s.b.text[label:k]
	if s.at(k) != '-' || s.short || !bytes.Contains(name, []byte("PRIVATE KEY")) {
		return from
	}
	if !s.match(privateKey, i, k) {
		return from
	}
	s.mode, s.dropped = modePEM, 0
	return k
}

// putty looks at the line that says how many lines of private data follow in a
// PuTTY key file, and masks those.
func (s *Stream) putty(i int) int {
	k := i + 1
	for s.at(k) == ' ' && k-i < 4 {
		k++
	}
	n := 0
	for c := s.at(k); digit(c) && n < 10000; c = s.at(k) {
		n = n*10 + int(c-'0')
		k++
	}
	if s.at(k) == '\r' {
		k++
	}
	if s.at(k) != '\n' || n == 0 {
		return i + 1
	}
	s.at(k + 1)
	if s.short || k+1 >= len(s.b.text) {
		return i + 1
	}
	if s.match(privateKey, k+1, k+2) {
		s.mode, s.lines = modeLines, n
	}
	return k + 2
}
