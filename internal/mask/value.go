package mask

import "bytes"

// secrecy says how sure the name of a key makes us of its value.
type secrecy uint8

const (
	notSecret secrecy = iota
	// looksSecret values must look random: token, key.
	looksSecret
	// isSecret values are masked unless they are placeholders or prose: password,
	// secret.
	isSecret
	// isHeader values are the credentials of an Authorization header.
	isHeader
	// isNeighbour values are a secret access key that follows its key id.
	isNeighbour
)

// wanted describes the value that comes next in the text.
type wanted struct {
	detector detector // none: no value is expected
	secrecy  secrecy
	started  bool // pos is at the value's first byte
	first    bool // the key is the first of its line
	line     bool // and ends with a colon: the value may go on to the line's end
	named    bool // the value may be the name of a secret: secret: app-tls
	noPath   bool // a path is no value: pwd=/home/app
	code     bool // the assignment is written as programs are
	sep      byte // '=', ':', '>' or, for options, ' '
	quote    byte // zero for a value without quotes
	escaped  bool
	stop     byte
	skipped  uint8 // how many bytes stand between the key and the value
}

const (
	// maxValue is how much of a value is looked at. A longer one is masked.
	maxValue = 256
	// maxGap bounds the blanks before a value.
	maxGap = 16
)

// value looks for the value that a key has announced. It reports whether that is
// decided; if not, text from s.hold on is needed.
func (s *Stream) value() bool {
	if !s.want.started && !s.start() {
		s.hold = s.held(s.pos)
		return s.want.detector == none
	}
	w := s.want
	v := s.pos
	if w.secrecy == isHeader {
		if next := s.scheme(v); next != v {
			if s.short {
				s.hold = s.held(v)
				return false
			}
			s.want.secrecy, s.pos = isSecret, next
			s.want.sep, s.want.line = '=', false
			return true
		}
	}
	s.quote, s.escaped, s.stop = w.quote, w.escaped, w.stop
	e, long := s.valueEnd(v, w)
	if s.short {
		s.hold = s.held(v)
		return false
	}
	s.want = wanted{}
	if long {
		s.maskLong(v, e, w)
		return true
	}
	if w.quote == 0 && w.secrecy != isHeader && !(w.first && w.sep == '=') {
		e = trimmed(s.b.text, v, e)
	}
	if s.specific(v, e) || !secretValue(s.b.text[v:e], w) {
		return true
	}
	if s.match(w.detector, v, e) && w.line && w.quote == 0 && w.secrecy == isSecret {
		s.mode = modeLine
	}
	return true
}

// specific reports whether a detector of one kind of token takes the whole value.
func (s *Stream) specific(v, e int) bool {
	if e-v < 16 {
		return false
	}
	d, end := s.token(v)
	if d == none && s.isWebToken(v) && s.rules.on(jwt) {
		return true
	}
	return d != none && end == e && s.rules.on(d)
}

// maskLong masks a value of which the end is not in sight.
func (s *Stream) maskLong(v, e int, w wanted) {
	if w.secrecy == isNeighbour || w.secrecy == looksSecret && !random(s.b.text[v:e]) {
		return // a path, a link, a document; nothing like a key
	}
	if !s.match(w.detector, v, e) {
		return
	}
	switch {
	case w.quote != 0:
		s.mode = modeQuoted
	case w.secrecy == isHeader, w.line && w.secrecy == isSecret:
		s.mode = modeLine
	default:
		s.mode = modeWord
	}
}

// start skips what stands between a key and its value. It reports whether a
// value starts at pos; if not, more text is needed, or none is wanted any more.
func (s *Stream) start() bool {
	w := &s.want
	for ; ; s.pos++ {
		c := s.at(s.pos)
		next := byte(0)
		if c == '\\' {
			next = s.at(s.pos + 1)
		}
		if s.short {
			return false
		}
		if w.skipped++; w.skipped > maxGap || s.pos >= len(s.b.text) {
			return s.unwant()
		}
		first := w.skipped == 1
		switch {
		case c == ' ', c == '\t':
			continue
		case w.secrecy == isNeighbour && (c == '\n' || c == '\r' || c == ',' || c == ':' || c == ';' || c == '|' || c == '"' || c == '\''):
			continue
		case c == '=' && w.sep == ':' && first:
			w.sep, w.code = '=', true
			continue
		case c == '>' && w.sep == '=' && first:
			continue
		case c == '=' && first, c < ' ', c == '{', c == '(', c == ']':
			return s.unwant() // a comparison, nothing, a structure
		case c == '[' && w.secrecy != isNeighbour:
			continue
		case c == '"', c == '\'', c == '`':
			w.quote = c
			s.pos++
		case c == '\\' && (next == '"' || next == '\''):
			w.quote, w.escaped = next, true
			s.pos += 2
		}
		w.started = true
		w.code = w.code || w.sep == '=' && !first && w.quote == 0
		return true
	}
}

// unwant gives up the value and reports that none starts.
func (s *Stream) unwant() bool {
	s.want = wanted{}
	return false
}

// scheme returns where the credentials begin if an authentication scheme (RFC
// 9110, section 11.1) stands at v, otherwise v.
func (s *Stream) scheme(v int) int {
	var word [24]byte
	n := 0
	for ; n < len(word); n++ {
		c := s.at(v + n)
		if class[c]&isURL64 == 0 {
			break
		}
		word[n] = c | 0x20
	}
	if s.short {
		return v + 1
	}
	switch string(word[:n]) {
	case "bearer", "basic", "token", "negotiate", "ntlm", "apikey", "bot", "gitlab-token", "key":
		k := v + n
		for s.at(k) == ' ' && k-v < len(word)+maxGap {
			k++
		}
		if k > v+n {
			return k
		}
	}
	return v
}

// valueEnd returns where the value that starts at v ends; long is true if that
// is too far away to see.
func (s *Stream) valueEnd(v int, w wanted) (e int, long bool) {
	for e = v; ; e++ {
		if e-v >= maxValue {
			return e, true
		}
		c := s.at(e)
		if s.short {
			return e, false
		}
		if c == '\\' {
			next := s.at(e + 1)
			if s.short {
				return e, false
			}
			if (w.escaped || w.quote == 0) && (next == '"' || next == '\'') {
				return e, false
			}
			if w.quote != 0 && next != '\n' {
				e++
			}
			continue
		}
		if w.quote != 0 {
			if c == w.quote && !w.escaped && e > v && s.at(e+1) == c {
				e++ // SQL and CSV double a quote in a value
				continue
			}
			if c == '\n' || c == w.quote && !w.escaped {
				return e, false
			}
		} else if w.secrecy == isHeader {
			if c < ' ' || c == '"' || c == '\'' {
				return e, false
			}
		} else if s.endsWord(e) {
			return e, false
		}
	}
}

// endsWord reports whether a value without quotes ends at i. A quote ends it, as
// it may stand in a string, unless more of a word follows.
func (s *Stream) endsWord(i int) bool {
	switch c := s.at(i); c {
	case '"', '\'', '`':
		return class[s.at(i+1)]&isAlnum == 0
	default:
		return c <= ' ' || c == 0x7F || c == s.stop && c != 0
	}
}

// trimmed returns the end of a value without the punctuation of the text around
// it.
func trimmed(t []byte, v, e int) int {
	for e > v && (t[e-1] == ',' || t[e-1] == ';' || t[e-1] == ')' || t[e-1] == '}' || t[e-1] == ']') {
		e--
	}
	return e
}

// secretValue decides whether a value is masked.
func secretValue(v []byte, w wanted) bool {
	if len(v) == 0 || placeholder(v) && !(w.first && w.sep == '=' && !w.code && w.secrecy == isSecret && commonPassword(v)) {
		return false
	}
	switch w.secrecy {
	case isHeader:
		first, _, _ := bytes.Cut(v, []byte(" "))
		return len(v) >= 6 && !prose(first)
	case isNeighbour:
		return len(v) == 40 && random(v)
	case looksSecret:
		return random(v)
	}
	if w.quote == 0 && (prose(v) || w.code && program(v) || w.named && w.sep == ':' && hyphenated(v)) {
		return false
	}
	return v[0] != '/' || w.quote != 0 || w.sep != ':' && !w.noPath
}

// placeholder reports whether a value stands for another: a variable, a template,
// a mask, a word for nothing.
func placeholder(v []byte) bool {
	n := len(v)
	switch {
	case v[0] == '$' && n > 2 && (v[1] == '{' || v[1] == '('), bytes.HasPrefix(v, []byte("{{")), bytes.HasPrefix(v, []byte("[[")),
		bytes.HasPrefix(v, []byte("%(")), v[0] == '<' && v[n-1] == '>', v[0] == '%' && v[n-1] == '%' && n > 2,
		v[0] == '%' && n <= 3, bytes.HasPrefix(v, []byte("@@")), bytes.HasPrefix(v, []byte("#{")), bytes.HasPrefix(v, []byte("<%")),
		bytes.HasPrefix(v, []byte("!")) && bytes.ContainsAny(v, " ") && v[1] >= 'A' && v[1] <= 'Z', string(v) == "!Ref", string(v) == "!secret":
		return true
	case v[0] == '$' && variable(v[1:]):
		return true
	case same(v):
		return true
	case bytes.HasPrefix(v, []byte("[redacted")), bytes.HasPrefix(v, []byte("redacted:")), bytes.HasPrefix(v, []byte("SCRAM-SHA-256$<")):
		return true
	}
	var low [24]byte
	if n > len(low) {
		return bytes.HasPrefix(v, []byte("your")) && bytes.ContainsAny(v, "-_")
	}
	for k, c := range v {
		low[k] = c
		if upper(c) {
			low[k] = c | 0x20
		}
	}
	if n >= 8 && string(low[:4]) == "your" && (low[4] == '-' || low[4] == '_') {
		return true
	}
	switch string(low[:n]) {
	case "null", "nil", "none", "true", "false", "yes", "no", "undefined", "unset", "empty", "redacted", "redacted]", "masked", "hidden",
		"password", "passwd", "secret", "token", "string", "str", "bool", "int", "text", "bytes", "any", "object", "n/a", "na", "-",
		"(none)", "(null)", "(unset)", "(empty)", "required", "optional", "*string", "[]byte", "~", "sensitive", "(sensitive", "filtered", "[filtered":
		return true
	}
	return false
}

// commonPassword reports whether a value that mostly stands for another is a
// password that people choose: where a key begins its line, PASSWORD=secret, it is
// one.
func commonPassword(v []byte) bool {
	return bytes.EqualFold(v, []byte("password")) || bytes.EqualFold(v, []byte("passwd")) || bytes.EqualFold(v, []byte("secret")) ||
		bytes.EqualFold(v, []byte("token")) || bytes.EqualFold(v, []byte("string")) || bytes.EqualFold(v, []byte("text"))
}

// variable reports whether a name is one of an environment variable: the value is
// not there.
func variable(name []byte) bool {
	if len(name) == 0 || digit(name[0]) {
		return false
	}
	for _, c := range name {
		if !upper(c) && !digit(c) && c != '_' {
			return false
		}
	}
	return true
}

// same reports whether a value is one sign again and again: ****, xxxxx, ...
func same(v []byte) bool {
	switch v[0] {
	case '*', 'x', 'X', '.', '-', '_', '#', '?':
	default:
		return len(v) >= 3 && bytes.HasPrefix(v, []byte("\xe2\x80\xa2")) // bullets
	}
	if len(v) < 3 {
		return v[0] == '*'
	}
	for _, c := range v {
		if c != v[0] {
			return false
		}
	}
	return true
}

// prose reports whether a value without quotes is a word about the key rather
// than its value: "password: incorrect".
func prose(v []byte) bool {
	var low [16]byte
	for len(v) > 0 && (v[len(v)-1] == '.' || v[len(v)-1] == ':' || v[len(v)-1] == '!' || v[len(v)-1] == '?') {
		v = v[:len(v)-1]
	}
	if len(v) > len(low) {
		return false
	}
	for k, c := range v {
		if class[c]&isLetter == 0 {
			return false
		}
		low[k] = c | 0x20
	}
	switch string(low[:len(v)]) {
	case "", "a", "an", "the", "is", "was", "has", "must", "not", "for", "of", "to", "in", "or", "and", "with", "from", "be", "can", "cannot", "will", "too",
		"invalid", "incorrect", "wrong", "bad", "expired", "expires", "missing", "failed", "failure", "rejected", "denied", "changed", "change", "updated",
		"update", "reset", "required", "accepted", "valid", "authentication", "auth", "login", "error", "ok", "set", "enter", "please", "mismatch", "unknown",
		"unauthorized", "forbidden", "revoked", "rotated", "created", "deleted", "lock", "locked", "never", "disabled", "enabled", "at", "by", "on", "no",
		"your", "this", "that", "if", "when", "user", "using", "unchanged", "needed", "should", "may", "type", "new", "old", "current", "length", "policy",
		"strength", "weak", "strong", "default", "field", "file", "path", "name", "value", "hash", "prompt", "found", "loaded", "verified", "success", "md":
		return true
	}
	return false
}

// hyphenated reports whether a value is a name of small letters and hyphens, as
// Kubernetes has them.
func hyphenated(v []byte) bool {
	for _, c := range v {
		if !lower(c) && c != '-' && c != '.' {
			return false
		}
	}
	return true
}

// program reports whether a value in a program's text is an expression: a call,
// an index, a member.
func program(v []byte) bool {
	k := 0
	for k < len(v) && (class[v[k]]&isWord != 0 || v[k] == '.') {
		k++
	}
	if k == 0 || digit(v[0]) {
		return false
	}
	if k < len(v) {
		return v[k] == '(' || v[k] == '['
	}
	root, _, member := bytes.Cut(v, []byte("."))
	if !member {
		return false // a word alone may be a password
	}
	switch string(root) {
	case "os", "process", "config", "cfg", "conf", "self", "this", "settings", "env", "req", "request", "ctx", "app", "options", "opts", "args",
		"params", "secrets", "var", "local", "data", "module", "Env", "Config", "viper", "flag", "user", "c", "s", "r", "p", "t", "m", "a":
		return true
	}
	return false
}

// random reports whether a value looks like a generated token or key.
func random(v []byte) bool {
	if len(v) < 8 {
		return false
	}
	var digits, uppers, lowers, signs, words, part int
	letters := true // the part so far has only letters
	flush := func() {
		if letters && part >= 3 {
			words += part
		}
		part, letters = 0, true
	}
	for k, c := range v {
		switch {
		case digit(c):
			digits++
			letters = false
		case upper(c):
			uppers++
		case lower(c):
			lowers++
		case c == '-', c == '_', c == '.', c == '~', c == ':':
			flush()
			continue
		case c == '+', c == '=', c == '@', c == '!', c == '#', c == '$', c == '%', c == '^', c == '*', c == '&', c == '?':
			signs++
			letters = false
		case c == '/' && k > 0:
			signs++
			letters = false
		default:
			return false // no alphabet of keys has it
		}
		part++
	}
	flush()
	switch {
	case words*2 > len(v) && len(v) < 20, words*4 > len(v)*3 && uppers*4 < lowers:
		return false
	case bytes.Contains(v, []byte("://")):
		return false
	case digits == 0:
		return len(v) >= 16 && uppers*4 > lowers && lowers*4 > uppers && words < len(v)+1 && (signs > 0 || uppers*3 > lowers)
	}
	return digits+signs >= 2 && uppers+lowers > 0
}
