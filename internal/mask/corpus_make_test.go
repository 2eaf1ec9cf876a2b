package mask

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"strings"
)

// item is one text of the corpus: pieces that are values of a detector, between
// pieces that are none.
type item struct {
	Kind   string   `json:"kind"` // what the text is, for who reads a failure
	Text   string   `json:"text"`
	Values []string `json:"values,omitempty"` // detector=value, in order
}

// corpus makes the corpus from a fixed seed.
func corpus() []item {
	m := maker{rand.New(rand.NewPCG(20261125, 4))}
	var items []item
	for _, p := range positives() {
		for range p.n {
			for _, context := range p.contexts(m) {
				items = append(items, labelled(context.kind, p.detector, context.text, p.value(m)))
			}
		}
	}
	items = append(items, secretItems(m)...)
	items = append(items, hardItems(m)...)
	for _, n := range negatives() {
		for range n.n {
			items = append(items, item{Kind: "none: " + n.kind, Text: n.make(m) + "\n"})
		}
	}
	return items
}

// labelled puts a value where the text has %v.
func labelled(kind, detector, text, value string) item {
	return item{Kind: kind, Text: strings.Replace(text, "%v", value, 1) + "\n", Values: []string{detector + "=" + value}}
}

// positive says how values of a detector are made and where they stand.
type positive struct {
	detector string
	n        int
	value    func(maker) string
	contexts func(maker) []context
}

type context struct{ kind, text string }

// anywhere are contexts for values that stand for themselves, a few at a time.
func anywhere(m maker) []context {
	all := []context{
		{"alone", "%v"}, {"word", "found %v in the output"}, {"sentence", "It was %v."}, {"json", `{"id":17,"value":"%v","ok":true}`},
		{"csv", "17,%v,2026-11-25"}, {"quoted", "value '%v' rejected"}, {"log", "2026-11-25T22:34:12.123Z INFO worker-3 got %v from 10.0.0.7"},
		{"brackets", "(%v)"}, {"tabs", "17\t%v\tok"}, {"colour", "match: \x1b[01;31m\x1b[K%v\x1b[m\x1b[K end"}, {"xml", "<value>%v</value>"},
		{"equals", "value=%v"}, {"table", "| 17 | %v | ok |"}, {"utf-8", "größe: „%v“ …"}, {"yaml", "value: %v"}, {"array", `["%v","x"]`},
	}
	m.Shuffle(len(all), func(a, b int) { all[a], all[b] = all[b], all[a] })
	return all[:4]
}

// after are contexts in which one of the words explains the value.
func after(words ...string) func(maker) []context {
	return func(m maker) []context {
		var all []context
		for _, w := range words {
			all = append(all, context{"explained", w + ": %v"}, context{"explained", w + "=%v"}, context{"explained", `{"` + w + `":"%v"}`},
				context{"explained", "2026-11-25 INFO " + w + " %v stored"})
		}
		m.Shuffle(len(all), func(a, b int) { all[a], all[b] = all[b], all[a] })
		return all[:3]
	}
}

func positives() []positive {
	fixed := func(make func(maker) string) func(maker) string { return make }
	return []positive{
		{"card", 14, maker.card, anywhere},
		{"iban", 14, maker.iban, anywhere},
		{"email", 14, maker.email, anywhere},
		{"phone", 16, maker.phone, anywhere},
		{"phone", 8, func(m maker) string { return m.from("23456789", 1) + m.from(decimals, 9) }, after("phone", "mobile", "phone_number", "tel", "contactPhone")},
		{"us-ssn", 8, maker.ssn, anywhere},
		{"us-ssn", 4, func(m maker) string { return strings.ReplaceAll(m.ssn(), "-", "") }, after("ssn", "customer_ssn", "SSN")},
		{"uk-nino", 7, func(m maker) string { return spacedNINO(m.nino()) }, anywhere},
		{"uk-nino", 6, maker.nino, after("nino", "NI number", "national_insurance")},
		{"de-steuer-id", 7, func(m maker) string { return groups(m.steuerID(), " ", 2, 3, 3, 3) }, anywhere},
		{"de-steuer-id", 6, maker.steuerID, after("steuer_id", "IdNr", "SteuerID")},
		{"fr-nir", 6, maker.nir, anywhere},
		{"fr-nir", 5, func(m maker) string { return groups(m.nir(), " ", 1, 2, 2, 2, 3, 3, 2) }, anywhere},
		{"es-dni", 10, maker.dni, anywhere},
		{"it-codice-fiscale", 10, maker.codiceFiscale, anywhere},
		{"nl-bsn", 9, maker.bsn, after("bsn", "burgerservicenummer", "BSN")},
		{"nl-bsn", 3, func(m maker) string { return groups(m.bsn(), ".", 4, 2, 3) }, anywhere},
		{"pl-pesel", 12, maker.pesel, after("pesel", "PESEL", "customer_pesel")},
		{"se-personnummer", 8, maker.personnummer, after("personnummer", "pnr", "Personnummer")},
		{"se-personnummer", 4, func(m maker) string { return "19" + m.personnummer() }, anywhere},
		{"br-cpf", 8, func(m maker) string { return dottedCPF(m.cpf()) }, anywhere},
		{"br-cpf", 4, maker.cpf, after("cpf", "CPF", "cliente_cpf")},
		{"in-aadhaar", 8, func(m maker) string { return groups(m.aadhaar(), " ", 4, 4, 4) }, anywhere},
		{"in-aadhaar", 4, maker.aadhaar, after("aadhaar", "Aadhaar", "aadhaar_number")},
		{"jwt", 6, maker.jwt, anywhere},
		{"aws-key", 8, func(m maker) string { return m.pick("AKIA", "ASIA") + m.from("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 16) }, anywhere},
		{"gcp-key", 4, func(m maker) string { return "AIza" + m.from(webSafe, 33) + "x7" }, anywhere},
		{"gcp-key", 3, func(m maker) string { return "GOCSPX-" + m.from(webSafe, 26) + "x7" }, anywhere},
		{"github-token", 6, func(m maker) string { return m.pick("ghp_", "gho_", "ghs_", "ghu_", "ghr_") + m.alnum(36) }, anywhere},
		{"github-token", 2, func(m maker) string { return "github_pat_" + m.alnum(22) + "_" + m.alnum(59) }, anywhere},
		{"gitlab-token", 7, func(m maker) string { return m.pick("glpat-", "gldt-", "glrt-", "glptt-") + m.from(webSafe, 18) + "x7" }, anywhere},
		{"slack-token", 7, func(m maker) string {
			return m.pick("xoxb-", "xoxp-", "xoxa-") + m.from(decimals, 12) + "-" + m.from(decimals, 12) + "-" + m.alnum(24)
		}, anywhere},
		{"stripe-key", 7, func(m maker) string { return m.pick("sk_live_", "sk_test_", "rk_live_", "whsec_") + m.alnum(32) }, anywhere},
		{"openai-key", 4, func(m maker) string { return "sk-proj-" + m.from(webSafe, 60) + "x7" }, anywhere},
		{"openai-key", 3, func(m maker) string { return "sk-" + m.alnum(48) }, anywhere},
		{"anthropic-key", 7, func(m maker) string { return "sk-ant-api03-" + m.from(webSafe, 90) + "x7AA" }, anywhere},
		{"npm-token", 7, func(m maker) string { return "npm_" + m.alnum(36) }, anywhere},
		{"pypi-token", 6, func(m maker) string { return "pypi-AgEIcHlwaS5vcmc" + m.from(webSafe, 98) + "x7" }, anywhere},
		{"twilio-key", 7, func(m maker) string { return "SK" + m.from(hexDigits, 31) + "7" }, anywhere},
		{"sendgrid-key", 6, func(m maker) string { return "SG." + m.alnum(22) + "." + m.from(webSafe, 42) + "7" }, anywhere},
		{"digitalocean-token", 7, func(m maker) string { return m.pick("dop_v1_", "doo_v1_") + m.from(hexDigits, 63) + "7" }, anywhere},
		{"vault-token", 7, func(m maker) string { return m.pick("hvs.", "hvb.") + m.from(webSafe, 90) + "x7" }, anywhere},
		{"databricks-token", 7, func(m maker) string { return "dapi" + m.from(hexDigits, 31) + "7" }, anywhere},
		{"telegram-token", 7, func(m maker) string {
			return m.from("123456789", 1) + m.from(decimals, 8) + ":AA" + m.from(webSafe, 32) + "7"
		}, anywhere},
		{"huggingface-token", 7, fixed(func(m maker) string { return "hf_" + m.alnum(34) }), anywhere},
		{"shopify-token", 7, func(m maker) string { return m.pick("shpat_", "shpss_") + m.from(hexDigits, 31) + "7" }, anywhere},
	}
}

// secretItems are the values that are secret for where they stand.
func secretItems(m maker) []item {
	var items []item
	add := func(detector, text, value string) { items = append(items, labelled("secret", detector, text, value)) }
	for range 8 {
		key := m.pick("DB_PASSWORD", "REDIS_PASSWORD", "ADMIN_PASSWD", "CLIENT_SECRET", "SMTP_PASS")
		add("assignment", key+"=%v", m.password())
		add("assignment", "export "+key+"='%v'", m.password())
		add("assignment", `ENV: `+key+`="%v" retries=3`, m.password())
		add("assignment", m.pick("password", "db_password", "clientSecret", "passphrase")+": %v", m.password())
		add("assignment", "    "+m.pick("password", "secret")+`: "%v"  # rotate`, m.password())
		add("assignment", `{"user":"app","`+m.pick("password", "client_secret", "dbPassword")+`":"%v","port":5432}`, m.password())
		add("assignment", `{"`+m.pick("api_key", "accessToken", "auth_token", "secretKey")+`": "%v"}`, m.alnum(32))
		add("assignment", m.pick("API_KEY", "AUTH_TOKEN", "X-Api-Key", "signing_key")+m.pick("=", ": ")+"%v", m.from(hexDigits, 31)+"7")
		add("assignment", "GET /v1/items?page=2&"+m.pick("token", "api_key", "access_token")+"=%v&sort=asc HTTP/1.1", m.alnum(28))
		add("assignment", "run --user app --"+m.pick("password", "db-password", "secret")+m.pick("=", " ")+"%v --port 5432", m.password())
		add("assignment", "<"+m.pick("password", "secret")+">%v</x>", m.alnum(12))
		add("assignment", `level=error msg="{\"password\":\"%v\",\"user\":\"app\"}"`, m.alnum(14))
		add("assignment", "password = %v", m.alnum(10))
		add("connection-string", m.pick("postgres", "mysql", "amqp", "redis", "mongodb+srv", "https")+"://app:%v@db.internal:5432/orders?x=1", m.alnum(12))
		add("connection-string", "DATABASE_URL=postgresql://svc:%v@10.0.0.3/orders", m.password())
		add("connection-string", "redis://:%v@cache:6379/0", m.alnum(20))
		add("connection-string", "host=db.internal port=5432 user=app password=%v dbname=orders", m.alnum(12))
		add("connection-string", `"jdbc:postgresql://db:5432/orders?user=app&password=%v&ssl=true"`, m.alnum(12))
		add("connection-string", "Server=db;Database=orders;User Id=sa;Password=%v;Encrypt=True", m.alnum(12)+"!")
		add("connection-string", "Driver={ODBC Driver 18};Server=db;UID=sa;PWD=%v;", m.alnum(12))
		add("connection-string", "root:%v@tcp(127.0.0.1:3306)/orders", m.alnum(12))
		add("connection-string", "mysql -h db -u root -p%v orders", m.alnum(12))
		add("connection-string", "curl -s -u admin:%v https://api.example.com/v1", m.alnum(12))
		add("authorization", "Authorization: Bearer %v", m.alnum(40))
		add("authorization", "> authorization: Basic %v", base64.StdEncoding.EncodeToString([]byte("app:"+m.alnum(9))))
		add("authorization", `curl -H "Authorization: token %v" https://api.example.com`, m.alnum(40))
		add("authorization", `{"Authorization":"Bearer %v"}`, m.alnum(32))
		add("authorization", `called with Bearer %v at 12:00`, m.alnum(32))
		add("private-key", "%v", m.pem())
		add("private-key", `{"type":"service_account","private_key":"%v\n"}`, strings.ReplaceAll(m.pem(), "\n", `\n`))
		add("private-key", "    key: |\n      %v\n    next: 1", strings.ReplaceAll(m.pem(), "\n", "\n      "))
		add("private-key", "# created\n%v", "AGE-SECRET-KEY-1"+m.from("QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L", 58))
		add("private-key", "Private-Lines: 2\n%v\nPrivate-MAC: 0a", m.from(alnums, 64)+"\n"+m.from(alnums, 40))
		add("private-key", "%v\n(end)", "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC"+m.from(alnums, 32)+"\n"+m.from(alnums, 64)+"\n"+m.from(alnums, 30)+"==")
		add("aws-key", "aws_secret_access_key = %v", m.alnum(38)+"/+")
		add("aws-key", `"SecretAccessKey": "%v",`, m.alnum(20)+"/"+m.alnum(19))
		add("azure-key", "DefaultEndpointsProtocol=https;AccountName=acme;AccountKey=%v;EndpointSuffix=core.windows.net", m.alnum(86)+"==")
		add("azure-key", "Endpoint=sb://acme.servicebus.windows.net/;SharedAccessKeyName=Root;SharedAccessKey=%v", m.alnum(43)+"=")
		add("azure-key", "https://acme.blob.core.windows.net/c/f?sv=2024-11-04&se=2026-12-01&sr=b&sig=%v&sp=r", m.alnum(43)+"%3D")
	}
	for range 8 {
		id, secret := "AKIA"+m.from("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 16), m.alnum(40)
		items = append(items, item{"pair", "deploy," + id + "," + secret + ",eu-west-1\n", []string{"aws-key=" + id, "aws-key=" + secret}})
		mail, number := m.email(), withLuhn("4"+m.from(decimals, 14))
		items = append(items, item{"record", fmt.Sprintf("%d;%s;%s;2026-11-25\n", m.IntN(1e6), mail, number), []string{"email=" + mail, "card=" + number}})
	}
	return items
}

// hardItems are values as people and programs write them that forms alone do not
// give away. Not all of them are found, and the table shows that.
func hardItems(m maker) []item {
	var items []item
	add := func(detector, text, value string) { items = append(items, labelled("hard", detector, text, value)) }
	d := func(n int) string { return m.from("23456789", 1) + m.from(decimals, n-1) }
	for range 3 {
		add("assignment", "the password is %v", m.alnum(10))
		add("assignment", "requirepass %v", m.alnum(12))
		add("assignment", "machine api.example.com login app password %v", m.alnum(12))
		add("assignment", "    - name: DB_PASSWORD\n      value: %v", m.alnum(12))
		add("assignment", `{"name":"API_TOKEN","value":"%v"}`, m.alnum(24))
		add("assignment", "ALTER USER app WITH PASSWORD '%v'", m.alnum(12))
		add("assignment", "create user x identified by '%v';", m.alnum(12))
		add("assignment", "token: %v", m.from(lowers, 20))
		add("assignment", "config.setPassword(\"%v\")", m.alnum(12))
		add("assignment", "DB_PASSWORD=%v", "a,b;"+m.alnum(6))
		add("assignment", "<add key=\"Password\" value=\"%v\" />", m.alnum(12))
		add("email", "%v:hunter2", "bob@example.com")
		add("email", "<%v> wrote:", m.email())
		add("email", "mailto:%v?subject=x", "bob"+m.from(decimals, 2)+"@example.com")
		add("email", "bob at example dot com or %v", "\"bob smith\"@example.com")
		add("phone", "Mobil %v", "+34 6"+m.from(decimals, 2)+" "+d(2)+" "+d(2)+" "+d(2))
		add("phone", "appeler le %v", "0041 44 668 18 "+m.from(decimals, 2))
		add("phone", "bel %v", "06-"+d(8))
		add("phone", "ring %v now", d(5)+" "+d(5))
		add("phone", "Tel. %v", "030/"+d(7))
		add("phone", "WhatsApp: %v", "+55 11 9"+d(4)+"-"+d(4))
		add("phone", "office %v", "555-0"+m.from(decimals, 3))
		add("card", "PAN:%v;EXP:1227", withLuhn("4"+m.from(decimals, 14)))
		add("card", "%v/12/2027", withLuhn("52"+m.from(decimals, 13)))
		add("card", "%B%v^DOE/JOHN^2712", withLuhn("4"+m.from(decimals, 14)))
		add("card", "card_%v", withLuhn("4"+m.from(decimals, 14)))
		add("iban", "IBAN:%v", strings.ToLower(m.iban()))
		add("iban", "acct %v BIC COBADEFF", m.iban())
		add("us-ssn", "SSN %v", strings.ReplaceAll(m.ssn(), "-", " "))
		add("us-ssn", "taxpayer %v", strings.ReplaceAll(m.ssn(), "-", ""))
		add("de-steuer-id", "Steuer-ID des Kunden lautet: %v", m.steuerID())
		add("nl-bsn", "klant %v", m.bsn())
		add("pl-pesel", "klient %v", m.pesel())
		add("se-personnummer", "kund %v", m.personnummer())
		add("br-cpf", "contribuinte %v", m.cpf())
		add("in-aadhaar", "holder %v", m.aadhaar())
		add("uk-nino", "employee %v", m.nino())
		add("es-dni", "dni %v", strings.ToLower(m.dni()))
		add("it-codice-fiscale", "cf: %v", strings.ToLower(m.codiceFiscale()))
		add("fr-nir", "n° %v", groups(m.nir(), "-", 1, 2, 2, 2, 3, 3, 2))
		add("jwt", "cookie: session=%v; Path=/", m.jwt())
		add("connection-string", "postgres://app:%v@db/x", m.alnum(4)+"/"+m.alnum(4)+"@"+m.alnum(3))
		add("connection-string", "sqlcmd -S db -U sa -P %v", m.alnum(12))
		add("connection-string", "sshpass -p %v ssh root@db", m.alnum(12))
		add("assignment", "X-Auth: %v", m.alnum(32))
		add("authorization", "authorization: %v", "AWS4-HMAC-SHA256 Credential=x/20261125/eu/s3/aws4_request, Signature="+m.from(hexDigits, 64))
		add("private-key", "%v", m.from(alnums+"+/", 64)+"\n"+m.from(alnums+"+/", 64))
		add("aws-key", "secret is %v", m.alnum(40))
		add("vault-token", "VAULT %v", "s."+m.alnum(24))
		add("azure-key", "client %v", m.alnum(3)+"8Q~"+m.alnum(34))
	}
	return items
}

// negative makes texts that hold nothing sensitive and look as if they did.
type negative struct {
	kind string
	n    int
	make func(maker) string
}

func negatives() []negative {
	hex := func(m maker, n int) string { return m.from(hexDigits, n) }
	d := func(m maker, n int) string { return m.from(decimals, n) }
	return []negative{
		{"order number", 12, func(m maker) string {
			return "order " + m.pick("ORD-", "#", "2026-", "PO") + d(m, 6) + "-" + d(m, 4) + " shipped"
		}},
		{"timestamp", 16, func(m maker) string {
			return m.pick("2026-11-25T22:34:12."+d(m, 6)+"Z", "25/Nov/2026:18:"+"02:03 +0000", "17"+d(m, 8), "17"+d(m, 11), "17"+d(m, 14), "17"+d(m, 17), "20261125"+d(m, 6), "2026 11 25 22 34 12", "Wed Nov 25 22:34:12 UTC 2026") + " started"
		}},
		{"uuid", 10, func(m maker) string {
			return "id=" + hex(m, 8) + "-" + hex(m, 4) + "-4" + hex(m, 3) + "-a" + hex(m, 3) + "-" + hex(m, 12)
		}},
		{"git", 10, func(m maker) string {
			return m.pick("commit "+hex(m, 40), "index "+hex(m, 7)+".."+hex(m, 7)+" 100644", hex(m, 7)+" fix: parse 12345", "@@ -"+d(m, 3)+",7 +"+d(m, 3)+",9 @@ func")
		}},
		{"address", 12, func(m maker) string {
			return m.pick("10.0."+d(m, 2)+".7:5432", "connect to 192.168.100.200 port 22", "2001:db8:85a3::8a2e:370:7334", "fe80::1%eth0", "00:1a:2b:3c:4d:5e", "inet 172.16.254.1/24 brd 172.16.254.255")
		}},
		{"version", 10, func(m maker) string {
			return m.pick("lodash@4.17."+d(m, 2), "golang.org/x/net@v0."+d(m, 2)+".0", "react@18.2.0-beta.1", "Python 3.11.4 (main)", "kernel 6.1.0-28-amd64 #1 SMP", "ubuntu 24.04.1", "pkg@npm:1.2.3", "foo@^1.2.3")
		}},
		{"unit", 6, func(m maker) string {
			return m.pick("getty@tty1.service loaded", "user@1000.service: Succeeded", "systemd-fsck@dev-sda1.service", "dev-disk-by\\x2duuid.swap", "git@github.com:acme/app.git", "root@web-1:~# ls")
		}},
		{"image", 4, func(m maker) string {
			return m.pick("logo@2x.png", "icon@3x.webp 1024", "image: nginx@sha256:"+hex(m, 64))
		}},
		{"base64", 8, func(m maker) string {
			return m.from(alnums+"+/", 76) + "\n" + m.from(alnums+"+/", 76) + "\n" + m.from(alnums, 18) + "=="
		}},
		{"hex dump", 8, func(m maker) string {
			return "000000" + hex(m, 2) + "  " + groups(hex(m, 16), " ", 2, 2, 2, 2, 2, 2, 2, 2) + "  " + groups(d(m, 16), " ", 2, 2, 2, 2, 2, 2, 2, 2) + "  |abc...|"
		}},
		{"octal dump", 4, func(m maker) string { return "0000020 " + groups(d(m, 32), " ", 4, 4, 4, 4, 4, 4, 4, 4) }},
		{"phone-like id", 12, func(m maker) string {
			return m.pick("id 415"+d(m, 7)+" ok", "ticket-415-555-"+d(m, 4), "run_555-123-"+d(m, 4), "sku 0800"+d(m, 6), "seq="+d(m, 10), "build 415.555."+d(m, 2), "offset +"+d(m, 6), "part no. 415 555 "+d(m, 4))
		}},
		{"wrong range", 12, func(m maker) string {
			return "invoice " + withLuhn((m.pick("1", "7", "83", "9", "0") + d(m, 14))[:15]) + " paid"
		}},
		{"wrong check digit", 12, func(m maker) string {
			v := []byte(withLuhn("4" + d(m, 14)))
			v[15] = '0' + (v[15]-'0'+1)%10
			return "card-like " + string(v)
		}},
		{"iban-like", 8, func(m maker) string { return "ref DE00" + d(m, 18) + " and XX12" + d(m, 18) }},
		{"national-like", 14, func(m maker) string {
			return m.pick("range 900-12-"+"3456", "666-45-6789", "count 111222333", "total 86095742719", "batch 44051401359", "build 251125-"+d(m, 4), "code AB123456C", "job 20261125-"+d(m, 4), "12345678A", "X1234567A", "abc 1234.56.780", "2341 2341 2340", "RSSMRA85T10A562X")
		}},
		{"placeholder", 16, func(m maker) string {
			return m.pick("password", "DB_PASSWORD", "token", "api_key", "secret") + m.pick("=", ": ") +
				m.pick("${DB_PASSWORD}", "$DB_PASSWORD", "****", "********", "<password>", "{{ .Values.password }}", "null", "xxxxx", "%s", "[redacted]", "true", "your-password-here", "$(cat /run/pw)", "\"\"", "...", "None")
		}},
		{"prose", 14, func(m maker) string {
			return m.pick("password: incorrect", "Enter your password: ", "token: expired", "error: invalid password for bob", "secret: not found", "password changed for root", "Token: is missing", "the password must have 12 characters", "pwd=/home/app", "PWD=/srv/app", "tokens: 5120 used", "max_tokens=4096", "next_token=aGVsbG8gd29ybGQgYWJj", "bypass=true", "authorization: enabled", "Authorization: required", "pass=12 fail=0 skip=3"[:0]+"passed=12 fail=0")
		}},
		{"program", 14, func(m maker) string {
			return m.pick("password = os.environ['PW']", "token := os.Getenv(\"TOKEN\")", "self.password = password", "password = getpass()", "if password == other {", "api_key = config.api_key", "func auth(password string, token string)", "secret: String,", "password: str = None", "token = request.headers.get(x)", "const token = await fetchToken()", "key=value", "key: user_id", "primary_key: id", "secretKeyRef:", "type Token struct {")
		}},
		{"url", 10, func(m maker) string {
			return m.pick("https://example.com:8443/a/b?x=1", "ssh://git@github.com/acme/app", "http://10.0.0.1:9090/-/healthy", "postgres://db.internal:5432/orders", "postgres://app:${PW}@db/orders", "https://user@host.internal/path", "s3://bucket/key@2026", "https://a.example/p/@scope/pkg", "mongodb://h1:27017,h2:27017/db")
		}},
		{"certificate", 4, func(m maker) string {
			return "-----BEGIN " + m.pick("CERTIFICATE", "PUBLIC KEY", "PGP PUBLIC KEY BLOCK") + "-----\nMIIDdzCCAl+gAwIBAgIE" + m.from(alnums, 44) + "\n-----END CERTIFICATE-----"
		}},
		{"pod", 8, func(m maker) string {
			return m.pick("coredns-"+hex(m, 10)+"-x7z2k 1/1 Running 0 12d", "sk-backend-7d9c8b-prod 1/1 Running", "pvc-"+hex(m, 8)+"-disk-sk-1", "task-4111-1111 done", "default-token-x7z2k kubernetes.io/service-account-token 3")
		}},
		{"token-like", 12, func(m maker) string {
			return m.pick("eyJub3QiOiJhIGp3dCJ9 is base64 JSON", "eyJhbGciOnRydW.x.y", "ghp_short", "AKIALOWERcase12345678", "sk-learn-contrib-utils-extra", "AIza-short", "SG.Singapore.Region", "hvs.name", "npm_config_registry=https://r.example", "xoxb-none", "dapi"+hex(m, 8), "SKU"+d(m, 12), "hf_hub_download(repo_id)", "glpat-x")
		}},
		{"table", 10, func(m maker) string {
			return m.pick("/dev/sda1  41152736  9823748  29208796  26% /", "-rw-r--r-- 1 root root 4096123 Nov 25 22:34 a.txt", "Mem: 16303428 8234512 1023456 123456 7045460 7712345", "1001 4242 0.3 1.2 1234567 98765 ? Ssl 10:02 0:42 nginx", "12 345 6789 10111213 14", "0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17")
		}},
		{"number", 12, func(m maker) string {
			return m.pick("52.520008, 13.404954", "ISBN 978-3-16-148410-0", "EAN 4006381333931", "0.4111111111111111", "account 123456789012 region", "arn:aws:iam::123456789012:role/x", "1,234,567.89 EUR", "trace_id="+d(m, 19), "user_id=1"+d(m, 17), "size 4096000000 bytes", "1e-07 3.14159265358979", "epoch 1764110052 uptime 8675309", "chunk 0xDEADBEEF12345678")
		}},
		{"random id", 60, func(m maker) string {
			return m.pick("object ", "id=", "/items/", "batch ", "\"n\":") + m.from("123456789", 1) + d(m, 7+m.IntN(12)) + m.pick("", " ok", ",", "}")
		}},
		{"number and letter", 10, func(m maker) string { return "bin " + d(m, 8) + m.from(uppers, 1) + " moved" }},
		{"measurements", 16, func(m maker) string {
			return m.pick("rpc call 8675309 returned", "cell 12345678 of mobile grid", "tel 12 rows", "0171 1234567 8910", "at 52-200-4000 and 300-200-1000", d(m, 3)+"-"+d(m, 2)+"-"+d(m, 4)+" lot", d(m, 4)+" "+d(m, 4)+" "+d(m, 4), d(m, 2)+" "+d(m, 3)+" "+d(m, 3)+" "+d(m, 3))
		}},
		{"generated", 16, func(m maker) string {
			return m.pick("etag: \""+m.from(hexDigits, 32)+"\"", "sha256:"+m.from(hexDigits, 64), "ETag=W/\"5f-"+m.from(alnums, 27)+"\"", "nonce="+m.from(alnums, 22), "request-id: "+m.alnum(26), "cache key: user:"+d(m, 6)+":profile", "session token count: 42", "csrf field: token", "public_key: "+m.alnum(43)+"=", "token_type=bearer", "token endpoint: https://idp.example/token", "secret: my-app-tls", "secretName: db-credentials", "imagePullSecret: regcred", "access key: disabled")
		}},
		{"log", 10, func(m maker) string {
			return strings.TrimSuffix(line(m.Rand, m.pick("nginx", "json", "syslog", "go", "k8s"), m.IntN(1e7)), "\n")
		}},
	}
}
