package mask

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"
	"unsafe"
)

// once masks a text written at once.
func once(t testing.TB, r *Rules, text string) string {
	t.Helper()
	s := r.NewStream()
	out := s.Write(nil, []byte(text))
	return string(s.Close(out))
}

// samples are texts with the forms of values that are hard to cut.
var samples = []struct{ in, want string }{
	{"mail bob.smith@example.com now\n", "mail [redacted:email] now\n"},
	{"card 4111 1111 1111 1111, exp 12/27\n", "card [redacted:card], exp 12/27\n"},
	{"card 4111111111111111\n", "card [redacted:card]\n"},
	{"iban DE89 3704 0044 0532 0130 00 ok", "iban [redacted:iban] ok"},
	{"iban GB82WEST12345698765432.", "iban [redacted:iban]."},
	{"call +49 30 12345678 or (415) 555-0132.\n", "call [redacted:phone] or [redacted:phone].\n"},
	{"12 (415) 555-0132 x\n", "12 [redacted:phone] x\n"},
	{"PASSWORD=ab\"cd;ef)\nexport PASSWORD='ab;c'\nx \"password=abc\" y, (password=abc)\n", "PASSWORD=[redacted:assignment]\nexport PASSWORD='[redacted:assignment]'\nx \"password=[redacted:assignment]\" y, (password=[redacted:assignment])\n"},
	{"password='it''s', PGPASSWORD=x\nPGPASSWORD=secret psql\n<entry key=\"db.password\">abc1</entry>\n", "password='[redacted:assignment]', PGPASSWORD=[redacted:assignment]\nPGPASSWORD=[redacted:assignment] psql\n<entry key=\"db.password\">[redacted:assignment]</entry>\n"},
	{"{\"auth\":\"dXNlcjpwYXNzd29yZDEyMw==\"} password=\"" + strings.Repeat("a\"\"b", 200) + "\" x\n", "{\"auth\":\"[redacted:assignment]\"} password=\"[redacted:assignment]\" x\n"},
	{"ssn 123-45-6789\n", "ssn [redacted:us-ssn]\n"},
	{"NINO AB 12 34 56 C\n", "NINO [redacted:uk-nino]\n"},
	{"CF RSSMRA85T10A562S\n", "CF [redacted:it-codice-fiscale]\n"},
	{"NIR 1 85 05 78 006 084 91\n", "NIR [redacted:fr-nir]\n"},
	{"DNI 12345678Z NIE X1234567L\n", "DNI [redacted:es-dni] NIE [redacted:es-dni]\n"},
	{"bsn: 111222333\n", "bsn: [redacted:nl-bsn]\n"},
	{"CPF 529.982.247-25\n", "CPF [redacted:br-cpf]\n"},
	{"pesel 44051401359\n", "pesel [redacted:pl-pesel]\n"},
	{"personnummer 811218-9876\n", "personnummer [redacted:se-personnummer]\n"},
	{"IdNr 86 095 742 719\n", "IdNr [redacted:de-steuer-id]\n"},
	{"aadhaar 2341 2341 2346\n", "aadhaar [redacted:in-aadhaar]\n"},
	{"export DB_PASSWORD=hunter2\n", "export DB_PASSWORD=[redacted:assignment]\n"},
	{"password: \"a b \\\" c\" x\n", "password: \"[redacted:assignment]\" x\n"},
	{"{\\\"password\\\":\\\"hun\\\\ter2\\\",\\\"u\\\":1}\n", "{\\\"password\\\":\\\"[redacted:assignment]\\\",\\\"u\\\":1}\n"},
	{"  password: correct horse battery\nnext: 1\n", "  password: [redacted:assignment]\nnext: 1\n"},
	{"GET /x?token=a81f3c9d22e7b0&x=1 HTTP/1.1\n", "GET /x?token=[redacted:assignment]&x=1 HTTP/1.1\n"},
	{"<password>s3cr&t</password>\n", "<password>[redacted:assignment]</password>\n"},
	{"mysql --password hunter2 -u root\n", "mysql --password [redacted:assignment] -u root\n"},
	{"mysql -u root -phunter2 db\n", "mysql -u root -p[redacted:connection-string] db\n"},
	{"curl -u bob:s3cret https://x/\n", "curl -u bob:[redacted:connection-string] https://x/\n"},
	{"Authorization: Bearer abcDEF123._-xyz9 \n", "Authorization: Bearer [redacted:authorization] \n"},
	{"-H 'Authorization: Basic dXNlcjpwYXNz' x\n", "-H 'Authorization: Basic [redacted:authorization]' x\n"},
	{"postgres://app:p@ss/w0rd@db:5432/x?y=1 ok\n", "postgres://app:[redacted:connection-string]@db:5432/x?y=1 ok\n"},
	{"http://host:8080/a@b ok\n", "http://host:8080/a@b ok\n"},
	{"root:pa$s@tcp(db:3306)/x\n", "root:[redacted:connection-string]@tcp(db:3306)/x\n"},
	{"host=db user=app password='a b' dbname=x\n", "host=db user=app password='[redacted:connection-string]' dbname=x\n"},
	{"Server=db;Database=x;User Id=sa;Password=Pa55,w;Encrypt=yes\n", "Server=db;Database=x;User Id=sa;Password=[redacted:connection-string];Encrypt=yes\n"},
	{"id AKIAIOSFODNN7EXAMPLE,wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY,eu\n", "id [redacted:aws-key],[redacted:aws-key],eu\n"},
	{"jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc-_DEF end\n", "jwt [redacted:jwt] end\n"},
	{"not eyJhbGciOiJIUzI1NiJ9xx.eyJzdWIiOiIxIn0.abc end\n", "not eyJhbGciOiJIUzI1NiJ9xx.eyJzdWIiOiIxIn0.abc end\n"},
	{"-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA\nabc=\n-----END RSA PRIVATE KEY-----\nafter\n", "[redacted:private-key]\nafter\n"},
	{"\"k\":\"-----BEGIN PRIVATE KEY-----\\nMIIE\\n-----END PRIVATE KEY-----\\n\",\n", "\"k\":\"[redacted:private-key]\\n\",\n"},
	{"\x1b[01;31m\x1b[K4111\x1b[m\x1b[K 1111 1111 1111\n", "\x1b[01;31m\x1b[K[redacted:card]\x1b[m\x1b[K\n"},
	{"a \x1b[31mghp_0123456789abcdefghijABCDEFGHIJ012345\x1b[0m b\n", "a \x1b[31m[redacted:github-token]\x1b[0m b\n"},
	{"p\x00a\x00s\x00s\x00w\x00o\x00r\x00d\x00=\x00h\x00u\x00n\x00\n\x00", "p\x00a\x00s\x00s\x00w\x00o\x00r\x00d\x00=\x00[redacted:assignment]\x00\x00\x00\n\x00"},
	{"A=1\x00DB_PASSWORD=abc123\x00PATH=/bin\x00", "A=1\x00DB_PASSWORD=[redacted:assignment]\x00PATH=/bin\x00"},
	{"Größe josé@exämple.com ünïcode\n", "Größe [redacted:email] ünïcode\n"},
	{"PuTTY-User-Key-File-3: ssh-ed25519\nPrivate-Lines: 1\nAAAAIFq\nPrivate-MAC: 00\n", "PuTTY-User-Key-File-3: ssh-ed25519\nPrivate-Lines: 1\n[redacted:private-key]\nPrivate-MAC: 00\n"},
	{"2026-11-25T22:34:12.123456Z 10.0.0.1:5432 v1.2.3 pid=4242 took 12.5ms\n", "2026-11-25T22:34:12.123456Z 10.0.0.1:5432 v1.2.3 pid=4242 took 12.5ms\n"},
	{"bot 123456789:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw1 x\n", "bot [redacted:telegram-token] x\n"},
	{"password=${DB_PASSWORD} token: **** secret: <none> pwd=$PW\n", "password=${DB_PASSWORD} token: **** secret: <none> pwd=$PW\n"},
}

func TestEachFormIsMasked(t *testing.T) {
	for _, c := range samples {
		if got := once(t, &Rules{}, c.in); got != c.want {
			t.Errorf("%q\n got %q\nwant %q", c.in, got, c.want)
		}
	}
}

func TestOutputDoesNotDependOnHowInputIsCut(t *testing.T) {
	all := ""
	for _, c := range samples {
		cutEverywhere(t, c.in)
		all += c.in
	}
	rng := rand.New(rand.NewPCG(1, 2))
	want := once(t, &Rules{}, all)
	for range 300 {
		if got := inPieces(&Rules{}, all, func() int { return 1 + rng.IntN(40) }); got != want {
			t.Fatalf("cut at random:\n got %q\nwant %q", got, want)
		}
	}
}

// Byte by byte, the detectors look at every trigger themselves; at once, most are
// passed over in one loop. So this also proves that the loop decides nothing.
func TestCorpusAndLogsComeOutTheSameInAnyPieces(t *testing.T) {
	texts := map[string]string{}
	for _, i := range readCorpus(t) {
		texts["corpus"] += i.Text
	}
	for _, kind := range []string{"nginx", "json", "syslog", "go", "k8s"} {
		texts[kind] = string(logs(kind))
	}
	rng := rand.New(rand.NewPCG(5, 6))
	for name, text := range texts {
		want := once(t, &Rules{}, text)
		if name != "corpus" && want != text {
			t.Errorf("%s: something is masked in text that holds nothing sensitive", name)
		}
		for size, next := range map[string]func() int{
			"bytes": func() int { return 1 }, "small pieces": func() int { return 1 + rng.IntN(200) }, "large pieces": func() int { return 1 + rng.IntN(40000) },
		} {
			if got := inPieces(&Rules{}, text, next); got != want {
				k := 0
				for k < len(got) && k < len(want) && got[k] == want[k] {
					k++
				}
				t.Errorf("%s in %s differs at %d:\n got %.80q\nwant %.80q", name, size, k, got[max(0, k-40):], want[max(0, k-40):])
			}
		}
	}
}

func TestRandomMixturesOfFragmentsComeOutTheSameInAnyPieces(t *testing.T) {
	fragments := []string{
		"4111", " 1111", "-1111", "4111111111111111", "+49 ", "(415) ", "555-", "0123", "DE89", " 3704 0044 0532 0130 00", "AB ", "12 34 56 C", "1 85 05 2A 006 084 ",
		"bob", "@", "example", ".com", "@tcp(", "root:pw", "password", "PASSWORD", "token", "secret_key", "=", ": ", ":", "\"", "'", "\\\"", "\\", "${X}", "****", "hunter2",
		"a8f3K2x9Lq7Zt4", "Authorization: ", "Bearer ", "Basic ", "eyJhbGciOiJIUzI1NiJ9", ".eyJzdWIiOiIxIn0", ".abc", "ghp_0123456789abcdefghijABCDEFGHIJ012345", "sk-", "AKIAIOSFODNN7EXAMPLE",
		"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "-----BEGIN ", "RSA PRIVATE KEY", "-----", "-----END ", "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC", "postgres://", "app:", "://", "/", "&", "?", ";", ",",
		" ", "  ", "\n", "\r\n", "\t", "\x00", "a\x00b\x00", "\x1b[31m", "\x1b[", "\x1b(B", "\x1b", "é", "\xe2\x80\x9c", "\xff", "--password ", "mysql -u x -p", "curl -u ", "<password>", "<", ">", "Private-Lines: 2",
		"AGE-SECRET-KEY-1", "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7LQPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L", "ssn ", "123-45-6789", "phone ", "RSSMRA85T10A562S", "X1234567L", "12345678Z", "name: DB_PASSWORD\n value: ", "8Q~", "xxx",
		strings.Repeat("k", 130), strings.Repeat("7", 70), strings.Repeat("a1", 150), strings.Repeat("12 ", 20), strings.Repeat(" ", 20),
	}
	rng := rand.New(rand.NewPCG(81, 9))
	r := &Rules{}
	for range 3000 {
		text := ""
		for range 2 + rng.IntN(24) {
			text += fragments[rng.IntN(len(fragments))]
		}
		want := once(t, r, text)
		for _, size := range []func() int{func() int { return 1 }, func() int { return 1 + rng.IntN(12) }, func() int { return 1 + rng.IntN(120) }} {
			if got := inPieces(r, text, size); got != want {
				t.Fatalf("%q\nin pieces %q\nat once   %q", text, got, want)
			}
		}
	}
}

// cutEverywhere compares the output of a text with that of every cut in two and
// of single bytes.
func cutEverywhere(t *testing.T, text string) {
	t.Helper()
	r := &Rules{}
	want := once(t, r, text)
	for cut := range len(text) {
		s := r.NewStream()
		out := s.Write(nil, []byte(text[:cut]))
		out = s.Write(out, []byte(text[cut:]))
		if got := string(s.Close(out)); got != want {
			t.Errorf("%q cut at %d:\n got %q\nwant %q", text, cut, got, want)
			return
		}
	}
	if got := inPieces(r, text, func() int { return 1 }); got != want {
		t.Errorf("%q in bytes:\n got %q\nwant %q", text, got, want)
	}
}

func inPieces(r *Rules, text string, size func() int) string {
	s := r.NewStream()
	var out []byte
	for len(text) > 0 {
		n := min(size(), len(text))
		out = s.Write(out, []byte(text[:n]))
		text = text[n:]
	}
	return string(s.Close(out))
}

func TestLinesAndPromptsLeaveAtOnce(t *testing.T) {
	for _, line := range []string{"plain\n", "took 12 ms\n", "progress 10%\r", "agent@host:~$ ", "password: ", "[sudo] password for bob: ", "(yes/no)? ", "\x1b[?2004h\x1b[0m# ", "12 34\n"} {
		s := (&Rules{}).NewStream()
		if out := s.Write(nil, []byte(line)); string(out) != line || s.Pending() != 0 {
			t.Errorf("%q: %q left, %d bytes are held", line, out, s.Pending())
		}
	}
	for _, tail := range []string{"4111 1111 ", "bob@exam", "password=hunt", "AKIAIOSF", "-----BEG", "\x1b[3", "AB "} {
		s := (&Rules{}).NewStream()
		if out := s.Write(nil, []byte("x "+tail)); strings.Contains(string(out), tail) {
			t.Errorf("%q left although it may be part of a value", tail)
		}
	}
}

func TestNothingHeldOutgrowsTheBound(t *testing.T) {
	for name, piece := range map[string]string{
		"letters": "a", "digits": "7", "groups": "4111 ", "web token": "eyJ", "base64": "Ab3/", "escapes": "1\x1b[1;2;3;4;5m",
		"key": "-----BEGIN PRIVATE KEY-----", "dashes": "-", "value": "password=", "quoted": "password=\"ab\\", "url": "x://a:b", "wide": "1\x00",
	} {
		s := (&Rules{}).NewStream()
		most := 0
		var out []byte
		for range 20000 {
			out = s.Write(out[:0], []byte(piece))
			most = max(most, s.Pending())
		}
		if most > MaxHeld {
			t.Errorf("%s: %d bytes are held, at most %d may be", name, most, MaxHeld)
		}
	}
}

func TestAKeyWithoutEndIsSwallowedAndTextAfterItIsNot(t *testing.T) {
	body := strings.Repeat("MIIEpAIBAAKCAQEAMIIEpAIBAAKCAQEA\n", 3000)
	text := "-----BEGIN PRIVATE KEY-----\n" + body + "this is text\n"
	want := "[redacted:private-key]\nthis is text\n"
	if got := once(t, &Rules{}, text); got != want {
		t.Errorf("got %d bytes %.100q", len(got), got)
	}
	if got := inPieces(&Rules{}, text, func() int { return 7 }); got != want {
		t.Errorf("in pieces: got %d bytes %.100q", len(got), got)
	}
}

func TestAStreamTakesNothingWhileItWrites(t *testing.T) {
	r := &Rules{}
	s := r.NewStream()
	text := []byte(strings.Repeat("2026-11-25T22:34:12Z INFO request id=42 path=/a/b status=200 user=bob@example.com card=4111111111111111\n", 20))
	dst := make([]byte, 0, 2*len(text))
	s.Write(dst, text)
	if n := testing.AllocsPerRun(100, func() { s.Write(dst, text) }); n != 0 {
		t.Errorf("a write allocates %v times", n)
	}
}

func TestAnIdleStreamIsSmall(t *testing.T) {
	s := (&Rules{}).NewStream()
	s.Write(nil, []byte(strings.Repeat("x", 10000)+"\n user@exam"))
	if size := unsafe.Sizeof(*s); s.b != nil || size >= 1024 {
		t.Errorf("an idle stream has %d bytes and, it says, buffer %v", size, s.b)
	}
}

func FuzzSplit(f *testing.F) {
	for _, c := range samples {
		f.Add([]byte(c.in), uint64(len(c.in)))
	}
	r := &Rules{}
	f.Fuzz(func(t *testing.T, text []byte, seed uint64) {
		s := r.NewStream()
		want := s.Close(s.Write(nil, text))
		rng := rand.New(rand.NewPCG(seed, 7))
		s = r.NewStream()
		var got []byte
		for rest := text; len(rest) > 0; {
			n := min(1+rng.IntN(1+rng.IntN(64)), len(rest))
			got = s.Write(got, rest[:n])
			if s.Pending() > MaxHeld {
				t.Fatalf("%d bytes are held", s.Pending())
			}
			rest = rest[n:]
		}
		if got = s.Close(got); !bytes.Equal(got, want) {
			t.Fatalf("in pieces %q\nat once   %q", got, want)
		}
	})
}
