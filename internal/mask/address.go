package mask

import "bytes"

const (
	// maxLocal and maxDomain bound the parts of an address (RFC 5321, section
	// 4.5.3.1).
	maxLocal  = 64
	maxDomain = 255
)

// address looks at an '@': an e-mail address, or the password before
// @tcp(host), as the Go driver of MySQL writes it.
func (s *Stream) address(i int) int {
	if s.at(i+1) == 't' && s.has(i, "@tcp(") || s.at(i+1) == 'u' && s.has(i, "@unix(") {
		return s.dsn(i)
	}
	t := s.b.text
	p := i
	for p > s.floor && i-p <= maxLocal && class[t[p-1]]&isLocal != 0 {
		q := p - 1
		for q > s.floor && p-q < 4 && t[q]&0xC0 == 0x80 {
			q--
		}
		if symbol(t[q]) {
			break
		}
		if t[q] < 0xC0 {
			q = p - 1 // not UTF-8
		}
		p = q
	}
	for p < i && bytes.IndexByte([]byte(".-+%'"), t[p]) >= 0 {
		p++
	}
	if p == i || i-p > maxLocal || t[i-1] == '.' {
		return i + 1
	}
	if p >= 2 && t[p-1] == '/' && t[p-2] == '/' {
		return i + 1 // the user of a URL
	}
	e, ok := s.domain(i + 1)
	if !ok {
		return i + 1
	}
	if s.at(e) == ':' {
		switch next := s.at(e + 1); {
		case next == '/', next == '~', next == '.':
			return i + 1 // a path on a host, a prompt
		case class[next]&isLetter != 0 && (string(t[p:i]) == "git" || string(t[p:i]) == "hg"):
			return i + 1
		}
	}
	s.match(email, p, e)
	return e
}

// symbol reports whether a byte of UTF-8 begins a sign or mark rather than a
// letter: U+0080 to U+00BF and U+2000 to U+2FFF.
func symbol(c byte) bool { return c == 0xC2 || c == 0xE2 }

// domain returns the end of the domain at p, and whether it is one that mail is
// sent to.
func (s *Stream) domain(p int) (end int, ok bool) {
	e := p
	dots, last := 0, p
	for ; e-p <= maxDomain; e++ {
		c := s.at(e)
		if c == '.' {
			dots, last = dots+1, e+1
		} else if class[c]&isAlnum == 0 && c != '-' && (c < 0x80 || symbol(c)) {
			break
		}
	}
	if s.short || e-p > maxDomain {
		return e, false
	}
	t := s.b.text
	for e > p && (t[e-1] == '.' || t[e-1] == '-') {
		e--
	}
	if last >= e {
		last = bytes.LastIndexByte(t[p:e], '.') + 1 + p
		dots = bytes.Count(t[p:e], []byte("."))
	}
	if dots == 0 || t[p] == '.' || t[p] == '-' || bytes.Contains(t[p:e], []byte("..")) {
		return e, false
	}
	return e, topLevel(t[last:e]) && !version(t[p:e])
}

// topLevel reports whether a label can be a top-level domain: letters, and none
// of the names that systemd's units and files end with.
func topLevel(label []byte) bool {
	if len(label) < 2 || len(label) > 24 {
		return false
	}
	var low [24]byte
	for k, c := range label {
		if class[c]&isLetter == 0 && c < 0x80 && !(k > 4 && bytes.HasPrefix(label, []byte("xn--"))) {
			return false
		}
		low[k] = c
		if upper(c) {
			low[k] = c | 0x20
		}
	}
	switch string(low[:len(label)]) {
	case "service", "socket", "target", "timer", "mount", "automount", "slice", "scope", "path", "device", "swap",
		"png", "jpg", "jpeg", "gif", "svg", "webp", "css", "scss", "js", "mjs", "ts", "tsx", "json", "yaml", "yml", "html", "txt", "log", "gz", "xml", "conf":
		return false
	}
	return true
}

// version reports whether what follows the '@' is a version: pkg@1.2.3-beta.
func version(domain []byte) bool {
	d := domain
	if len(d) > 1 && d[0] == 'v' && digit(d[1]) {
		d = d[1:]
	}
	k := 0
	for k < len(d) && digit(d[k]) {
		k++
	}
	return k > 0 && k+1 < len(d) && d[k] == '.' && digit(d[k+1])
}

// dsn masks the password before @tcp( or @unix(.
func (s *Stream) dsn(i int) int {
	t := s.b.text
	p := i
	for p > s.floor && i-p < maxRun && class[t[p-1]]&isBreak == 0 {
		p--
	}
	colon := bytes.IndexByte(t[p:i], ':')
	if colon < 0 || p+colon+1 == i || placeholder(t[p+colon+1:i]) {
		return i + 1
	}
	s.match(connectionString, p+colon+1, i)
	return i + 1
}

// colon looks at a ':': the password in a URL, a PuTTY key, an assignment.
func (s *Stream) colon(i int) int {
	if s.at(i+1) == '/' && s.at(i+2) == '/' && class[s.before(i)]&isAlnum != 0 {
		return s.userinfo(i + 3)
	}
	if s.before(i) == 's' && i >= 13 && string(s.b.text[i-13:i]) == "Private-Lines" {
		return s.putty(i)
	}
	if s.short {
		return i + 1
	}
	return s.assign(i)
}

// userinfo masks the password in the authority of a URL that begins at p (RFC
// 3986, section 3.2.1). People forget to encode passwords, so one may contain '@',
// '/', '?' and '#': if what follows the colon is no port, the last '@' ends it.
func (s *Stream) userinfo(p int) int {
	colon, at := 0, 0
	e := p
	for ; e-p < maxToken; e++ {
		c := s.at(e)
		if c <= ' ' || c == '"' || c == '\'' || c == '`' || c == '<' || c == '>' || c == 0x7F || c == '\\' {
			break
		}
		switch c {
		case ':':
			if colon == 0 && at == 0 {
				colon = e + 1
			}
		case '@':
			at = e
		case '/', '?', '#':
			if s.authorityEnds(colon, at, e) {
				return s.maskUser(p, colon, at)
			}
		}
	}
	if s.short {
		return p
	}
	return s.maskUser(p, colon, at)
}

// authorityEnds reports whether the authority ends at e: it does unless a
// password has begun, as what follows the colon is no port.
func (s *Stream) authorityEnds(colon, at, e int) bool {
	if colon == 0 {
		return true
	}
	if at > 0 {
		return false
	}
	for _, c := range s.b.text[colon:e] {
		if !digit(c) {
			return false
		}
	}
	return true
}

func (s *Stream) maskUser(p, colon, at int) int {
	t := s.b.text
	switch {
	case at == 0:
		return p
	case colon > 0 && colon < at:
		if !placeholder(t[colon:at]) {
			s.match(connectionString, colon, at)
		}
	case at-p >= 16 && random(t[p:at]):
		// A token in the place of the user, as git has it.
		if d, end := s.token(p); d != none && end == at {
			s.match(d, p, at)
		} else {
			s.match(connectionString, p, at)
		}
	}
	return at + 1
}
