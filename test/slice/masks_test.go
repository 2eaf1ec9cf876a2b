package slice_test

import (
	"regexp"
	"strings"
	"testing"
)

// parts is a target with labels on parts of documents and of composite values,
// and on columns that are masked by tokens.
var parts = twinned{
	schema: `CREATE TYPE address AS (street text, zip text);
		CREATE TYPE contact AS (email text, ssn text, age int, home address);
		CREATE TABLE customers (id int PRIMARY KEY, name text, ssn text, profile jsonb, raw json, contact contact, phones text[], key uuid, number bigint, amount numeric, small varchar(8));
		INSERT INTO customers VALUES
			(1, 'Ada', '078-05-1120', '{"name": "Ada", "ssn": "078-05-1120", "cards": [{"no": "4111111111111111", "kind": "visa"}, {"no": null}, [{"no": "4111111111111111"}], 7], "deep": {"ssn": {"old": "078-05-1120"}}}',
				'{"ssn":"078-05-1120"}', ROW('ada@canary.example', '078-05-1120', 30, ROW('High St', '05-1120')), '{078-05-1120,219-09-9999,NULL}', '00000000-0000-0000-0000-000000000001', 1, 1.50, 'a'),
			(2, 'Ben', '219-09-9999', '{"name": "Ben", "ssn": null}', NULL, ROW(NULL, '219-09-9999', NULL, NULL), '{}', NULL, 2, 2, 'b'),
			(3, 'Cid', '078-05-1120', '["078-05 is not a member", {"ssn": "078-05-1120"}]', '[]', NULL, NULL, '00000000-0000-0000-0000-000000000001', 1, 1.5, 'c'),
			(4, 'Dan', NULL, '"a scalar"', NULL, NULL, NULL, NULL, NULL, NULL, NULL);
		CREATE TABLE payments (id int PRIMARY KEY, payer text, amount int);
		INSERT INTO payments VALUES (1, '078-05-1120', 10), (2, '219-09-9999', 20), (3, '078-05-1120', 5);
		CREATE TABLE old (LIKE customers);
		CREATE VIEW profiles AS SELECT id, profile FROM customers;
		CREATE TABLE eu () INHERITS (customers);
		INSERT INTO eu (id, profile) VALUES (9, '{"ssn": "078-05-1120", "name": "Eve"}')`,
	// Tokens differ with the values: they are only compared within one database.
	secrets: `UPDATE customers SET profile = jsonb_set(profile, '{ssn}', '"999"') WHERE jsonb_typeof(profile) = 'object' AND profile->>'ssn' IS NOT NULL;
		UPDATE customers SET profile = jsonb_set(jsonb_set(profile, '{cards,0,no}', '[1,2,3]'), '{deep,ssn,old}', '{"a":1}') WHERE id = 1;
		UPDATE customers SET profile = '["078-05 is not a member", {"ssn": 12}]' WHERE id = 3;
		UPDATE customers SET contact.email = 'zz@other.example', contact.ssn = '999', contact.home.zip = 'x' WHERE id = 1;
		UPDATE customers SET contact.ssn = '1' WHERE id = 2;
		UPDATE customers SET raw = '{"ssn":"\\u0000"}' WHERE id = 1`,
	labels: `  member: [public.customers.profile.ssn, public.customers.profile.cards.no, public.customers.profile.deep.ssn.old, public.customers.raw.ssn]
  field: [public.customers.contact.email, public.customers.contact.ssn, public.customers.contact.home.zip]
`,
	rules: `  - name: work
    when: sql.understood && command.effects.all(e, e in ["read", "write", "delete", "export"])
    then: allow
    mask: {member: redact, field: redact}
`,
}

func TestPartsOfValuesAreMaskedAndTheRestIsShown(t *testing.T) {
	p := startTwins(t, "parts", parts)
	for text, want := range map[string]string{
		"SELECT profile FROM customers WHERE id = 1": `D["{\"ssn\": \"[redacted]\", \"deep\": {\"ssn\": {\"old\": \"[redacted]\"}}, \"name\": \"Ada\", \"cards\": [{\"no\": \"[redacted]\", \"kind\": \"visa\"}, {\"no\": null}, \"[redacted]\", 7]}"]`,
		"SELECT profile->>'name', profile->'ssn', profile #>> '{cards,0,kind}', profile->'cards'->0->>'no' FROM customers WHERE id = 1": `D["Ada","\"[redacted]\"","visa","[redacted]"]`,
		"SELECT profile FROM customers WHERE id = 2":                                                                     `D["{\"ssn\": null, \"name\": \"Ben\"}"]`,
		"SELECT profile FROM customers WHERE id = 3":                                                                     `D["[\"078-05 is not a member\", {\"ssn\": \"[redacted]\"}]"]`,
		"SELECT profile FROM customers WHERE id = 4":                                                                     `D["\"a scalar\""]`,
		"SELECT id FROM customers WHERE profile->>'name' = 'Ada'":                                                        `D["1"]`,
		"SELECT count(*) FROM customers WHERE profile->>'ssn' LIKE '0%'":                                                 `D["0"]`,
		"SELECT id FROM customers WHERE profile @> '{\"name\": \"Ben\"}' ORDER BY profile->>'ssn'":                       `D["2"]`,
		"SELECT raw FROM customers WHERE id = 1":                                                                         `D["\"[redacted]\""]`,
		"SELECT contact FROM customers WHERE id = 1":                                                                     `D["([redacted],[redacted],30,\"(\"\"High St\"\",[redacted])\")"]`,
		"SELECT (contact).ssn, (contact).age, ((contact).home).street, ((contact).home).zip FROM customers WHERE id = 1": `D["[redacted]","30","High St","[redacted]"]`,
		"SELECT contact FROM customers WHERE id = 2":                                                                     `D["(,[redacted],,)"]`,
		"SELECT contact IS NULL, contact FROM customers WHERE id = 3":                                                    `D["t",NULL]`,
		"SELECT row_to_json(c)->'contact'->>'age', row_to_json(c)->'profile'->>'ssn' FROM customers c WHERE id = 1":      `D["30","[redacted]"]`,
		"SELECT profile FROM profiles WHERE id = 2":                                                                      `D["\"[redacted]\""]`,
		"SELECT profile FROM customers WHERE id = 9":                                                                     `D["{\"ssn\": \"[redacted]\", \"name\": \"Eve\"}"]`,
		"SELECT profile FROM eu":                                                                                         `D["{\"ssn\": \"[redacted]\", \"name\": \"Eve\"}"]`,
		"UPDATE customers SET name = 'ada' WHERE id = 1 RETURNING contact, profile->'name'":                              "ERROR",
		"UPDATE customers SET name = 'ada' WHERE id = 1 RETURNING contact":                                               `D["([redacted],[redacted],30,\"(\"\"High St\"\",[redacted])\")"]`,
		"UPDATE customers SET profile = profile || '{\"name\": \"x\"}' WHERE id = 1":                                     "ERROR",
		"COPY (SELECT profile, contact FROM customers WHERE id = 2) TO STDOUT":                                           `(,[redacted],,)`,
		"INSERT INTO old (id, profile) SELECT id, profile FROM customers WHERE id = 2 RETURNING profile":                 `D["{\"ssn\": null, \"name\": \"Ben\"}"]`,
		"SELECT jsonb_object_keys(profile) FROM customers WHERE id = 2":                                                  `D["name"]`,
		"SELECT id, profile->'cards' FROM customers ORDER BY profile, id":                                                `SELECT 5`,
	} {
		t.Run(text, func(t *testing.T) {
			p.t = t
			answer := p.play(queries(text))[0]
			if !strings.Contains(answer, want) {
				t.Errorf("want %s in\n%s", want, answer)
			}
			clean(t, "the answer", strings.ReplaceAll(answer, "078-05 is not a member", ""))
		})
	}
}

func TestAPathThatNamesNoPartIsAnErrorWithTheNearestName(t *testing.T) {
	w := the(t)
	startTwins(t, "parts_named", parts)
	for path, want := range map[string]string{
		"public.customers.contact.snn":      "did you mean ssn?",
		"public.customers.contact.home.zap": "did you mean zip?",
		"public.customers.name.first":       "have no parts",
		"publik.customers.name":             "did you mean public?",
		"public.custmers.profile.ssn":       "did you mean public.customers?",
		"public.customers.profil.ssn":       "did you mean profile?",
		"public.customers.":                 "schema.table.column",
	} {
		g := startGateway(t, w, settings{documents: map[string]string{"issuers.yaml": issuers(w.idp.URL),
			"targets.yaml": w.target("parts_named", "parts_named", "env: test") + credential + openPolicy + "---\nkind: Labels\ntarget: parts_named\ncolumns:\n  x: ['" + path + "']\n"}})
		if _, err := g.tryConnect("parts_named", w.token(t, reporter)); err == nil {
			t.Errorf("%s opens a session", path)
		}
		eventually(t, path+": the log says "+want, patience, func() bool { return strings.Contains(g.log(), want) })
	}
}

var token = regexp.MustCompile(`tok_[0-9a-f]{32}`)

func TestTokensKeepValuesEqualAndShowNothingElse(t *testing.T) {
	d := parts
	d.labels = "  pii: [public.customers.ssn, public.payments.payer, public.customers.phones, public.customers.key, public.customers.number, public.customers.amount, public.customers.small, public.customers.profile.ssn, public.customers.contact.ssn]\n"
	d.rules = strings.ReplaceAll(d.rules, "{member: redact, field: redact}", "{pii: token}")
	d.secrets = "SELECT 1" // the twin is another target: the same values have other tokens
	p := startTwins(t, "tokens", d)
	ask := func(target, text string) string {
		b := bareThrough(t, p.gw, target, w(t).token(t, "mobile-agent"))
		b.send(mQuery(text))
		return b.whole()
	}
	one, two := ask("tokens", "SELECT ssn FROM customers ORDER BY id"), ask("tokens_twin", "SELECT ssn FROM customers ORDER BY id")
	a, b := token.FindAllString(one, -1), token.FindAllString(two, -1)
	if len(a) != 3 || a[0] != a[2] || a[0] == a[1] || !strings.Contains(one, "NULL") {
		t.Errorf("tokens %s", one)
	}
	if len(b) != 3 || a[0] == b[0] {
		t.Errorf("two targets have the same tokens: %v %v", a, b)
	}
	if again := ask("tokens", "SELECT ssn FROM customers ORDER BY id"); again != one {
		t.Errorf("another session has other tokens:\n%s\n%s", one, again)
	}
	for text, want := range map[string]string{
		"SELECT c.id, sum(p.amount) FROM customers c JOIN payments p ON p.payer = c.ssn WHERE c.id < 3 GROUP BY c.id, c.ssn ORDER BY 1": `D["1","15"]`,
		"SELECT count(*), sum(amount) FROM payments GROUP BY payer ORDER BY 1":                                                          `D["2","15"]`,
		"SELECT count(*) FROM customers WHERE ssn IN (SELECT payer FROM payments WHERE amount > 10)":                                    `D["1"]`,
		"SELECT count(DISTINCT p.payer), count(DISTINCT c.ssn) FROM payments p, customers c":                                            `D["2","2"]`,
		"SELECT ssn, count(*) FROM customers GROUP BY ssn HAVING count(*) > 1":                                                          "tok_",
		"SELECT id FROM customers WHERE ssn = '078-05-1120'":                                                                            "ERROR",
		"SELECT DISTINCT ON (id) id, ssn = ssn FROM customers":                                                                          "",
		"SELECT phones FROM customers WHERE id = 1":                                                                                     `,NULL}`,
		"SELECT phones FROM customers WHERE id = 2":                                                                                     `D["{}"]`,
		"SELECT small FROM customers WHERE id = 1":                                                                                      `D["[redacte"]`,
		"SELECT profile->>'name', profile->>'ssn' FROM customers WHERE id = 1":                                                          `"Ada","tok_`,
		"SELECT (contact).age, (contact).ssn FROM customers WHERE id = 1":                                                               `"30","tok_`,
		"UPDATE customers SET name = 'x' WHERE id = 1 RETURNING ssn":                                                                    "tok_",
		"COPY customers (ssn) TO STDOUT":                                                                                                "tok_",
	} {
		answer := ask("tokens", text)
		if !strings.Contains(answer, want) {
			t.Errorf("%s: want %s in\n%s", text, want, answer)
		}
		clean(t, text, answer)
	}
	for _, column := range []string{"key", "number", "amount"} {
		answer := ask("tokens", "SELECT "+column+" FROM customers WHERE id IN (1, 3) ORDER BY id")
		rows := regexp.MustCompile(`D\["([^"]+)"\]`).FindAllStringSubmatch(answer, -1)
		if len(rows) != 2 || rows[0][1] != rows[1][1] || len(rows[0][1]) < 12 {
			t.Errorf("%s: %s", column, answer)
		}
	}
}

// keyProbes try to read the key of the tokens.
var keyProbes = []string{
	"SHOW sallyport.token_inner", "SHOW \"sallyport.token_outer\"", "SHOW SALLYPORT.Token_Inner", "SHOW ALL", "SELECT current_setting('sallyport.token_inner')", "SELECT current_setting('sallyport.TOKEN_INNER', true)",
	"SELECT pg_catalog.current_setting('sally' || 'port.token_inner')", "SELECT current_setting(n) FROM (VALUES ('sallyport.token_inner')) v(n)", "SELECT current_setting(setting_name => 'sallyport.token_inner')",
	"SELECT current_setting('sallyport.token_inner'::text)", "SELECT current_setting(U&'sallyport\\002Etoken_inner')", "SELECT current_setting(E'sallyport.token_inn\\x65r')", "SELECT current_setting(cast('sallyport.token_inner' AS varchar))",
	"SELECT * FROM pg_settings", "SELECT pg_show_all_settings()", "SELECT set_config('sallyport.token_inner', NULL, false)", "SELECT set_config('sallyport.token_inner', '00', false)", "SET sallyport.token_inner = '00'",
	"RESET sallyport.token_inner", "EXPLAIN (VERBOSE, COSTS OFF) SELECT ssn FROM customers", "EXPLAIN (SETTINGS, COSTS OFF) SELECT ssn FROM customers", "SELECT query FROM pg_stat_activity", "SELECT * FROM pg_prepared_statements",
	"SELECT set_config('sally' || 'port.token_inner', NULL, false)", "SELECT set_config(name, NULL, false) FROM (VALUES ('sallyport.token_inner')) v(name)", "SELECT current_setting(s.name) FROM pg_settings AS s(x, name)",
	"SELECT current_setting(s.name) FROM pg_settings s, (VALUES ('sallyport.token_inner')) AS t(name)", "SELECT (SELECT current_setting(s.name) FROM (VALUES ('sallyport.token_inner')) s(name)) FROM pg_settings s LIMIT 1", "PREPARE p AS SELECT ssn FROM customers; SELECT * FROM pg_prepared_statements", "SELECT * FROM pg_db_role_setting", "SELECT query_to_xml('SHOW sallyport.token_inner', true, false, '')", "COPY (SELECT current_setting('sallyport.token_inner')) TO STDOUT",
	"DO $$ BEGIN RAISE EXCEPTION '%', current_setting('sallyport.token_inner'); END $$", "SELECT current_setting($1)",
}

func TestTheKeyOfTheTokensIsNotToBeRead(t *testing.T) {
	d := parts
	d.labels = "  pii: [public.customers.ssn]\n"
	d.rules = "  - {name: all, when: 'true', then: allow, mask: {pii: token}}\n"
	d.secrets = "SELECT 1"
	p := startTwins(t, "keys", d)
	// What a superuser can see of the session with which the gateway asked.
	padding := regexp.MustCompile(`(36){32}|(5c){32}`) // of the blocks that the key makes
	for _, probe := range keyProbes {
		b := bareThrough(t, p.gw, "keys", p.w.token(t, "mobile-agent"))
		b.send(mQuery(probe))
		answer := b.whole()
		if strings.Contains(probe, "$1") {
			b = bareThrough(t, p.gw, "keys", p.w.token(t, "mobile-agent"))
		}
		b.send(mAll(probe, "sallyport.token_inner"), mSync())
		answer += b.whole()
		if padding.MatchString(answer) {
			t.Errorf("%s: %s", probe, answer)
		}
	}
	b := bareThrough(t, p.gw, "keys", p.w.token(t, "mobile-agent"))
	for _, text := range []string{"DISCARD ALL", "SELECT ssn FROM customers WHERE id = 1", "SHOW sallyport.session", "SELECT current_setting('sallyport.session'), current_setting('server_version_num')", "SELECT current_setting(s.name) FROM pg_settings s WHERE s.name = 'work_mem'"} {
		b.send(mQuery(text))
		if answer := b.whole(); strings.Contains(answer, "ERROR") {
			t.Errorf("%s: %s", text, answer)
		}
	}
	log, err := p.w.pg.Log()
	if err != nil {
		t.Fatal(err)
	}
	if padding.MatchString(log) || padding.MatchString(p.gw.log()) {
		t.Error("the key is in a log")
	}
	if !strings.Contains(log, "sallyport.token_inner") {
		t.Error("the server logged no statement under the mask")
	}
}

func w(t *testing.T) *world { return the(t) }
