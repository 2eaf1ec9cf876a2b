package mask

import "bytes"

// maxKeyName bounds the name of a key.
const maxKeyName = 64

// assign looks at an '=' or ':' with a key before it.
func (s *Stream) assign(i int) int {
	t := s.b.text
	c := t[i]
	j := i
	if j > 0 && t[j-1] == ' ' {
		j--
	}
	// key", key', key\", key']
	if j > 0 && t[j-1] == ']' {
		j--
	}
	quoted := false
	if j > 0 && (t[j-1] == '"' || t[j-1] == '\'') {
		quoted = true
		if j--; j > 0 && t[j-1] == '\\' {
			j--
		}
	}
	if !endsKey(t, j) {
		return i + 1
	}
	k := j
	for k > 0 && j-k < maxKeyName && (class[t[k-1]]&isURL64 != 0 || t[k-1] == '.') {
		k--
	}
	w := s.announced(k, j)
	if w.detector == none && string(t[k:j]) == "value" {
		w = s.named(k)
	}
	if w.detector == none || !s.rules.on(w.detector) {
		return i + 1
	}
	w.sep = c
	w.code = j < i && !quoted && c == '='
	s.context(&w, k, quoted)
	s.want = w
	s.pos = i + 1
	return i + 1
}

// maxNamed is how far before "value" the name that it belongs to may end.
const maxNamed = 40

// named returns what the name before a key "value" at k announces: the
// environment of a container is a list of pairs of name and value.
func (s *Stream) named(k int) wanted {
	t := s.b.text
	e := k
	for e > 0 && k-e < maxNamed && (t[e-1] <= ' ' || t[e-1] == '"' || t[e-1] == ',' || t[e-1] == '\'' || t[e-1] == '\\') {
		e--
	}
	p := e
	for p > 0 && e-p < maxKeyName && class[t[p-1]]&isWord != 0 {
		p--
	}
	if e == k || e-p < 2 || !endsKey(t, e) {
		return wanted{}
	}
	return s.announced(p, e)
}

// context sets what depends on what stands before a key.
func (s *Stream) context(w *wanted, k int, quoted bool) {
	t := s.b.text
	key := k
	for n := 0; n < 3 && k > 0 && (t[k-1] == ' ' || t[k-1] == '"' && quoted); n++ {
		k--
	}
	switch c := s.before(k); c {
	case '&', '?':
		w.stop = '&'
	case ';':
		w.stop = ';'
	case ',':
		// In a list without blanks; in a sentence a value may have commas.
		if k == key {
			w.stop = ','
		}
	case '(':
		w.stop = ')'
	}
	if quoted {
		return
	}
	if k >= 7 && string(t[k-7:k]) == "export " {
		k -= 7
	}
	for n := 0; n < maxRun && k > 0 && (t[k-1] == ' ' || t[k-1] == '-'); n++ {
		k--
	}
	c := s.before(k)
	w.first = c == '\n' || c == 0 // the environment of a process has NULs
	w.line = w.first && w.sep == ':'
}

// endsKey reports whether one of the keys that matter ends before j: by its last
// three letters, a cheap test that most names fail.
func endsKey(t []byte, j int) bool {
	if j < 2 {
		return false
	}
	var third byte
	if j > 2 {
		third = t[j-3] | 0x20
	}
	b := t[j-1] | 0x20
	switch t[j-2] | 0x20 {
	case 'p':
		return b == 'w' // pw
	case 'r':
		return b == 'd' && third == 'o' // password
	case 'w':
		return b == 'd' && (third == 'p' || third == 's') // pwd, passwd
	case 'd':
		return b == 'e' && third == 'o' // passcode
	case 's':
		return (b == 's' || b == 'e') && third == 'a' // pass, passphrase
	case 'e':
		return b == 't' && third == 'r' || (b == 'n' || b == 'y') && third == 'k' // secret, token, key
	case 'a':
		return b == 'l' && third == 'i' // credential
	case 'l':
		return b == 's' && third == 'a' // credentials
	case 'o':
		return b == 'n' && (third == 'i' || third == 's') // authorization, .dockerconfigjson
	case 'i':
		return b == 'g' && third == 's' // sig
	case 't':
		return b == 'h' && third == 'u' // _auth
	case 'u':
		return b == 'e' && third == 'l' // value
	}
	return false
}

// announced returns what the key text[k:j] announces.
func (s *Stream) announced(k, j int) wanted {
	var raw, flat [maxKeyName]byte
	n, m := 0, 0
	for _, c := range s.b.text[k:j] {
		switch {
		case c == '-', c == '.', c == '_':
			c = '_'
		case upper(c):
			c |= 0x20
		}
		raw[n] = c
		n++
		if c != '_' {
			flat[m] = c
			m++
		}
	}
	d, secrecy := classify(raw[:n], flat[:m])
	switch {
	case secrecy == notSecret:
		return wanted{}
	case string(flat[:m]) == "pwd" || string(flat[:m]) == "oldpwd":
		if s.connects(k) {
			break
		}
		if upper(s.b.text[k]) && upper(s.b.text[k+1]) {
			return wanted{} // the shell's working directory
		}
		return wanted{detector: d, secrecy: secrecy, noPath: true}
	case d == azureKey && string(flat[:m]) == "sig", string(flat[:m]) == "key":
		if c := s.before(k); c != '&' && c != '?' {
			return wanted{}
		}
	}
	if d == assignment && secrecy == isSecret && s.connects(k) {
		d = connectionString
	}
	named := string(flat[:m]) == "secret" || bytes.HasSuffix(flat[:m], []byte("pullsecret")) || bytes.HasSuffix(flat[:m], []byte("tlssecret"))
	return wanted{detector: d, secrecy: secrecy, named: named}
}

// classify returns what a key means. raw has its separators as underscores, flat
// has none.
func classify(raw, flat []byte) (detector, secrecy) {
	ends := func(word string) bool { return bytes.HasSuffix(flat, []byte(word)) }
	part := func(word string) bool {
		rest, ok := bytes.CutSuffix(raw, []byte(word))
		return ok && (len(rest) == 0 || rest[len(rest)-1] == '_')
	}
	switch {
	case ends("password"), ends("passwd"), ends("passphrase"), ends("pwd"), part("pw"), part("pass"), ends("passcode"):
		return assignment, isSecret
	case ends("dbpass"), ends("userpass"), ends("rootpass"), ends("smtppass"), ends("adminpass"), ends("mailpass"), ends("ftppass"), ends("authpass"):
		return assignment, isSecret
	case ends("secretaccesskey"), ends("awssecretkey"):
		return awsKey, looksSecret
	case ends("accountkey"), ends("sharedaccesskey"), string(flat) == "sig":
		return azureKey, looksSecret
	case ends("secret"):
		return assignment, isSecret
	case ends("nexttoken"), ends("pagetoken"), ends("continuationtoken"), ends("synctoken"):
		return none, notSecret
	case ends("authorization"):
		return authorization, isHeader
	case ends("token"), ends("apikey"), ends("accesskey"), ends("secretkey"), ends("authkey"), ends("privatekey"), ends("encryptionkey"),
		ends("signingkey"), ends("masterkey"), ends("sharedkey"), ends("appkey"), ends("credential"), ends("credentials"), ends("licensekey"),
		string(raw) == "_auth", string(flat) == "xauth", string(flat) == "auth", ends("dockerconfigjson"), string(flat) == "key":
		return assignment, looksSecret
	}
	return none, notSecret
}

// connects reports whether a connection string is what the key at k is in.
func (s *Stream) connects(k int) bool {
	line := s.b.text[max(0, k-maxRun):k]
	if n := bytes.LastIndexByte(line, '\n'); n >= 0 {
		line = line[n+1:]
	}
	for _, sign := range []string{"host=", "Host=", "server=", "Server=", "SERVER=", "jdbc:", "dbname=", "Data Source=", "user=", "User Id=", "UID=", "Uid=",
		"Database=", "DSN=", "hostaddr=", "Username=", "User ID="} {
		if bytes.Contains(line, []byte(sign)) {
			return true
		}
	}
	return false
}

// element looks at the '>' of an XML element whose name is a key.
func (s *Stream) element(i int) int {
	t := s.b.text
	if i < 4 || !endsKey(t, i) && !(t[i-1] == '"' && endsKey(t, i-1)) {
		return i + 1
	}
	j := i
	before := byte('<')
	if t[i-1] == '"' {
		// <entry key="password">
		j, before = i-1, '"'
	}
	k := j
	for k > 0 && i-k < maxKeyName && (class[t[k-1]]&isURL64 != 0 || t[k-1] == '.') {
		k--
	}
	if s.before(k) != before {
		return i + 1
	}
	w := s.announced(k, j)
	if w.detector == none || !s.rules.on(w.detector) || w.secrecy == isHeader {
		return i + 1
	}
	w.sep, w.stop = '>', '<'
	s.want = w
	return i + 1
}

// flag looks at the name of a command's option, which begins at k, behind its
// hyphens. The form with '=' is an assignment.
func (s *Stream) flag(i, k int) int {
	e := k
	for c := s.at(e); e-k < maxKeyName && class[c]&isURL64 != 0; c = s.at(e) {
		e++
	}
	if s.at(e) != ' ' || s.short || e-k < 2 {
		return i + 2
	}
	if string(s.b.text[k:e]) == "user" {
		return s.userOption(i, e)
	}
	w := s.announced(k, e)
	if w.detector == none || !s.rules.on(w.detector) || w.secrecy == isHeader {
		return i + 2
	}
	w.sep = ' '
	s.want = w
	return e
}

// option looks at the options of which a value is a password: mysql -pPASSWORD
// sshpass -p PASSWORD, sqlcmd -P PASSWORD and curl -u NAME:PASSWORD.
func (s *Stream) option(i int) int {
	switch s.at(i + 1) {
	case 'p':
		if c := s.at(i + 2); c > ' ' && !s.short && c != '-' && (s.runs("mysql") || s.runs("mariadb")) {
			s.want = wanted{detector: connectionString, secrecy: isSecret, sep: '='}
			return i + 2
		}
		if s.at(i+2) == ' ' && !s.short && s.runs("sshpass") {
			s.want = wanted{detector: connectionString, secrecy: isSecret, sep: '='}
			return i + 2
		}
	case 'P':
		if s.at(i+2) == ' ' && !s.short && (s.runs("sqlcmd") || s.runs("bcp ") || s.runs("isql")) {
			s.want = wanted{detector: connectionString, secrecy: isSecret, sep: '='}
			return i + 2
		}
	case 'u':
		if s.at(i+2) == ' ' {
			return s.userOption(i, i+2)
		}
	}
	return i + 1
}

// literal looks at the quote of a literal of SQL that is a password: PASSWORD
// 'x', IDENTIFIED BY 'x'.
func (s *Stream) literal(i int) int {
	t := s.b.text
	j := i - 1
	if j < 2 || t[j] != ' ' {
		return i + 1
	}
	k := j
	for k > 0 && j-k < maxKeyName && class[t[k-1]]&isLetter != 0 {
		k--
	}
	word := t[k:j]
	by := bytes.EqualFold(word, []byte("by")) && k >= 11 && bytes.EqualFold(t[k-11:k], []byte("identified "))
	if !by && !bytes.EqualFold(word, []byte("password")) || !s.rules.on(assignment) {
		return i + 1
	}
	s.want = wanted{detector: assignment, secrecy: isSecret, sep: '=', quote: t[i], started: true}
	return i + 1
}

// runs reports whether a program's name stands before pos in the line.
func (s *Stream) runs(program string) bool {
	line := s.b.text[max(0, s.pos-maxRun):s.pos]
	if n := bytes.LastIndexByte(line, '\n'); n >= 0 {
		line = line[n+1:]
	}
	return bytes.Contains(line, []byte(program))
}

// userOption masks the password of an option of curl whose value follows the
// blank at k.
func (s *Stream) userOption(i, k int) int {
	if !s.runs("curl") && !s.runs("wget") {
		return i + 1
	}
	k++
	if c := s.at(k); c == '"' || c == '\'' {
		k++
	}
	colon := 0
	e := k
	for c := s.at(e); e-k < maxValue && !s.endsWord(e); c = s.at(e) {
		if c == ':' && colon == 0 {
			colon = e + 1
		}
		e++
	}
	if s.short || colon == 0 || colon == e || placeholder(s.b.text[colon:e]) {
		return i + 1
	}
	s.match(connectionString, colon, e)
	return e
}
