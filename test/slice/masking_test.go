package slice_test

import (
	"strings"
	"testing"

	"github.com/sallyport-gateway/sallyport/test/pgtest"
)

// canaries are parts of the labelled values.
var canaries = []string{"canary.example", "078-05", "219-09", "41111111", "55000055", "05-1120"}

// clean fails the test if a text shows a labelled value.
func clean(t *testing.T, what, text string) {
	t.Helper()
	for _, c := range canaries {
		if strings.Contains(text, c) {
			t.Errorf("%s shows %q:\n%.2000s", what, c, text)
		}
	}
}

func TestLabelledColumnsAreMaskedOnEveryWay(t *testing.T) {
	w := the(t)
	const masked = `["1","[redacted]",NULL]`
	cases := []struct {
		name  string
		steps []step
		want  string
	}{
		{"simple query", []step{send("Z", mQuery("SELECT id, email, ssn FROM customers WHERE id = 1"))}, masked},
		{"all columns", []step{send("Z", mQuery("SELECT * FROM customers WHERE id = 1"))}, `["1","Ada","[redacted]",NULL,"Paris"]`},
		{"extended protocol", []step{send("Z", mAll("SELECT id, email, ssn FROM customers WHERE id = $1::int", "1"), mSync())}, masked},
		{"binary format", []step{send("Z", mParse("", "SELECT email, ssn FROM customers WHERE id = 1"), mBindBinary("", ""), mDescribe('P', ""), mExecute("", 0), mSync())}, `["[redacted]",NULL]`},
		{"pieces of a portal", []step{send("Z", mParse("", "SELECT id, email, ssn FROM customers ORDER BY id"), mBind("", ""), mExecute("", 1), mSync())}, masked},
		{"named statement", []step{send("Z", mParse("n", "SELECT id, email, ssn FROM customers WHERE id = $1::int"), mDescribe('S', "n"), mSync()),
			send("Z", mBind("", "n", "1"), mExecute("", 0), mSync())}, masked},
		{"PREPARE and EXECUTE", []step{send("Z", mQuery("PREPARE p AS SELECT id, email, ssn FROM customers WHERE id = 1")), send("Z", mQuery("EXECUTE p"))}, masked},
		{"cursor", []step{send("Z", mQuery("BEGIN")), send("Z", mQuery("DECLARE c CURSOR FOR SELECT id, email, ssn FROM customers ORDER BY id")),
			send("Z", mQuery("FETCH 1 FROM c")), send("Z", mQuery("ROLLBACK"))}, masked},
		{"COPY of a table", []step{send("Z", mQuery("COPY customers (id, email, ssn) TO STDOUT"))}, `d("1\t[redacted]\t\\N\n")`},
		{"COPY of a query", []step{send("Z", mQuery("COPY (SELECT id, email, ssn FROM customers WHERE id = 1) TO STDOUT"))}, `d("1\t[redacted]\t\\N\n")`},
		{"RETURNING", []step{send("Z", mQuery("UPDATE customers SET city = 'Paris' WHERE id = 1 RETURNING id, email"))}, `["1","[redacted]"]`},
		{"last four digits", []step{send("Z", mQuery("SELECT id, card_number FROM payments WHERE id = 1"))}, `1111"]`},
		{"join", []step{send("Z", mQuery("SELECT c.email, p.id FROM payments p JOIN customers c ON c.id = p.customer WHERE p.id = 1"))}, `["[redacted]","1"]`},
		{"sub-select", []step{send("Z", mQuery("SELECT e FROM (SELECT email AS e FROM customers WHERE id = 1) s"))}, `["[redacted]"]`},
		{"with", []step{send("Z", mQuery("WITH s AS (SELECT email FROM customers WHERE id = 1) SELECT * FROM s"))}, `["[redacted]"]`},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			answers := strings.Join(converse(bareThrough(t, w.gw, "shop", w.token(t, "mobile-agent")), c.steps), "\n")
			if !strings.Contains(answers, c.want) {
				t.Errorf("want %s in\n%s", c.want, answers)
			}
			clean(t, "the answer", answers)
		})
	}
}

// probes use labelled columns in ways that could tell of their values.
var probes = []string{
	"SELECT count(*) FROM customers WHERE email LIKE 'ada%'",
	"SELECT id FROM customers ORDER BY ssn, id",
	"SELECT id FROM customers WHERE ssn > '1' ORDER BY id",
	"SELECT length(email), upper(ssn), md5(email) FROM customers ORDER BY id",
	"SELECT max(email), min(ssn), string_agg(email, ',') FROM customers",
	"SELECT email || '' FROM customers",
	"SELECT to_json(c) FROM customers c",
	"SELECT c FROM customers c",
	"SELECT c::text FROM customers c",
	"SELECT row_to_json(c) FROM customers c",
	"SELECT (c).email FROM customers c",
	"SELECT query_to_xml('SELECT * FROM customers', true, false, '')",
	"SELECT table_to_xml('customers', true, false, '')",
	"SELECT email::int FROM customers",
	"SELECT ssn::date FROM customers",
	"SELECT 1 / (CASE WHEN ssn LIKE '078%' THEN 0 ELSE 1 END) FROM customers WHERE id = 1",
	"SELECT DISTINCT email FROM customers",
	"SELECT id FROM customers GROUP BY id, email HAVING email > 'b'",
	"SELECT a.id FROM customers a JOIN customers b ON a.email < b.email",
	"SELECT id FROM customers WHERE email IN (SELECT email FROM customers WHERE id = 1)",
	"TABLE customers",
	"SELECT * FROM customers UNION ALL SELECT * FROM customers",
	"SELECT * FROM pg_stats WHERE tablename = 'customers'",
	"SELECT stavalues1 FROM pg_statistic",
	"SELECT most_common_vals, histogram_bounds FROM pg_stats",
	"EXPLAIN SELECT * FROM customers WHERE email = 'ada@canary'",
	"EXPLAIN ANALYZE SELECT * FROM customers WHERE ssn LIKE '078%'",
	"UPDATE customers SET city = email WHERE id = 1 RETURNING city",
	"UPDATE customers SET city = 'x' WHERE email LIKE 'ada%'",
	"UPDATE customers SET name = NULL WHERE id = 1",
	"INSERT INTO ledger (entry) SELECT email FROM customers RETURNING entry",
	"INSERT INTO customers (id, name) VALUES (1, 'again')",
	"INSERT INTO customers (id, name) VALUES (1, 'again') ON CONFLICT (id) DO UPDATE SET city = customers.email RETURNING city",
	"DELETE FROM customers WHERE id = 1",
	"COPY customers TO STDOUT",
	"COPY (SELECT c FROM customers c) TO STDOUT",
	"CREATE TEMP TABLE t AS SELECT * FROM customers",
	"SELECT * INTO TEMP t FROM customers",
	"DO $$ BEGIN RAISE EXCEPTION '%', (SELECT email FROM customers LIMIT 1); END $$",
	"SELECT xmlagg(xmlelement(name e, email)) FROM customers",
	"SELECT array_agg(email), jsonb_agg(ssn) FROM customers",
	"SELECT lag(email) OVER (ORDER BY id) FROM customers",
	"SELECT pg_read_file('/etc/passwd')",
	"SELECT * FROM payments WHERE card_number LIKE '4111%'",
	"SELECT set_config('application_name', (SELECT email FROM customers LIMIT 1), false)",
	"SELECT pg_notify('x', (SELECT email FROM customers LIMIT 1))",
}

// TestLabelledValuesInfluenceNoAnswer runs every probe against two states of the
// database that differ in the labelled values alone: the answers must be equal,
// whatever they are, and show nothing.
func TestLabelledValuesInfluenceNoAnswer(t *testing.T) {
	w := the(t)
	play := func() []string {
		b := bareThrough(t, w.gw, "shop", w.token(t, "mobile-agent"))
		var answers []string
		for _, p := range probes {
			b.send(mQuery("BEGIN"))
			b.until("Z")
			b.send(mQuery(p))
			answers = append(answers, b.whole())
			b.send(mQuery("ROLLBACK"))
			b.until("Z")
		}
		return answers
	}
	pgtest.Query(t, w.pg, "shop", "ALTER SEQUENCE ledger_n_seq RESTART")
	before := play()
	pgtest.Query(t, w.pg, "shop", `CREATE TABLE kept AS TABLE customers; CREATE TABLE kept_payments AS TABLE payments;
		UPDATE customers SET email = 'zz' || id || '@other.example.org', ssn = '999-99-999' || id;
		UPDATE payments SET card_number = '300000000000' || right(card_number, 4); ANALYZE customers, payments; ALTER SEQUENCE ledger_n_seq RESTART`)
	t.Cleanup(func() {
		pgtest.Query(t, w.pg, "shop", `UPDATE customers c SET email = k.email, ssn = k.ssn FROM kept k WHERE k.id = c.id;
			UPDATE payments p SET card_number = k.card_number FROM kept_payments k WHERE k.id = p.id; DROP TABLE kept, kept_payments; ANALYZE customers, payments`)
	})
	after := play()
	for i, p := range probes {
		clean(t, p, before[i])
		if before[i] != after[i] {
			t.Errorf("%s: the labelled values show:\n  %s\n  %s", p, before[i], after[i])
		}
	}
}

// whole reads one answer to the end with every byte of errors and notices, but
// for the session's own name.
func (b *bare) whole() string {
	b.t.Helper()
	var all strings.Builder
	for {
		typ, body, err := b.receive()
		if err != nil {
			return all.String() + err.Error()
		}
		switch typ {
		case 'E', 'N':
			text := strings.ReplaceAll(string(body), "\x00", " ")
			if i := strings.Index(text, "session=ses_"); i >= 0 {
				text = text[:i]
			}
			all.WriteString(string(typ) + text + "\n")
		case 'Z':
			return all.String()
		default:
			all.WriteString(show(typ, body) + "\n")
		}
	}
}
