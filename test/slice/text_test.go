package slice_test

import (
	"strings"
	"testing"

	"github.com/sallyport-gateway/sallyport/test/pgtest"
)

// texts are one statement with each of the values, several times.
func texts(n int, sql string, values ...string) []step {
	var out []step
	for i := range n {
		out = append(out, send("Z", mQuery(strings.ReplaceAll(sql, "?", values[i%len(values)]))))
	}
	return out
}

// TestATextWithOtherValuesIsStillProved changes what a statement means while the gateway
// does not ask about it any more.
func TestATextWithOtherValuesIsStillProved(t *testing.T) {
	w := the(t)
	swap := "CREATE VIEW other AS SELECT id, ssn AS city FROM customers; ALTER VIEW shown RENAME TO x; ALTER VIEW other RENAME TO shown; ALTER VIEW x RENAME TO other"
	view := "CREATE OR REPLACE VIEW shown AS SELECT id, ssn AS city FROM customers"
	for name, c := range map[string]struct{ sql, change string }{
		"views that change places": {"SELECT city FROM shown WHERE id = ?", swap},
		"a view":                   {"SELECT city FROM shown WHERE id = ?", view},
		"a view below":             {"SELECT city FROM above WHERE id = ? LIMIT 5", view},
		"schemas that change places": {"SELECT city FROM public.customers WHERE id = ?",
			"CREATE SCHEMA aside; ALTER TABLE public.customers SET SCHEMA aside; CREATE VIEW public.customers AS SELECT id, ssn AS city FROM aside.customers; GRANT ALL ON public.customers TO agent"},
	} {
		t.Run(name, func(t *testing.T) {
			p := startTwins(t, "valued", often)
			b := bareThrough(t, p.gw, "valued", w.token(t, "mobile-agent"))
			answers := converse(b, texts(6, c.sql, "1", "2"))
			if !strings.Contains(answers[4], "Paris") || !strings.Contains(answers[5], "Rome") {
				t.Fatalf("before: %s", answers)
			}
			expectTwins(b, false, true)
			pgtest.Query(t, w.pg, "valued", c.change)
			for _, answer := range converse(b, texts(8, c.sql, "1", "2")) {
				clean(t, "the answer", answer)
			}
		})
	}
}

// TestATextWithOtherValuesIsAnsweredAsWithoutTheGateway does what parameters would do
// otherwise than literals, and what makes the server analyse a twin anew, drop it or fail it.
func TestATextWithOtherValuesIsAnsweredAsWithoutTheGateway(t *testing.T) {
	d := often
	d.schema += `;
		CREATE TABLE items (id bigint PRIMARY KEY, code uuid, kind text, note varchar(20), price numeric(10,2), fixed char(4), at timestamptz);
		INSERT INTO items SELECT g, ('00000000-0000-0000-0000-' || lpad(g::text, 12, '0'))::uuid, CASE WHEN g % 100 = 0 THEN 'rare' ELSE 'frequent' END, 'it''s \ ' || g, g / 4.0, 'c' || g % 7, '2020-01-01' FROM generate_series(1, 3000) g;
		CREATE INDEX ON items (kind, id DESC)`
	p := startTwins(t, "valuedas", d)
	analyse := "ANALYZE customers, items"
	const one = "SELECT name, city FROM customers WHERE id = ?"
	many := func(between ...step) []step {
		out := texts(6, one, "1", "2", "3")
		for _, s := range between {
			out = append(append(out, s), texts(5, one, "2", "1")...)
		}
		return out
	}
	q := func(sql string) step { return send("Z", mQuery(sql)) }
	for name, c := range map[string]struct {
		steps []step
		admin string // between the third last step and the one before
		own   bool   // a statement is kept
	}{
		"alone":            {many(), "", true},
		"a semicolon":      {texts(6, one+";", "1", "2"), "", true},
		"analysed anew":    {many(), analyse, true},
		"indexed":          {many(), "CREATE INDEX IF NOT EXISTS by_city ON customers (city)", true},
		"in a block":       {many(q("BEGIN"), q("COMMIT"), q("BEGIN"), q("SELECT 1/0"), q("ROLLBACK")), analyse, true},
		"beside others":    {many(q("SELECT 1; SELECT city FROM customers WHERE id = 2")), "", true},
		"dropped":          {many(q("DEALLOCATE ALL"), q("DISCARD ALL")), analyse, true},
		"another zone":     {many(q("SET TimeZone = '<x>-15:17'"), q("SET TimeZone = 'Europe/Paris'")), analyse, true},
		"unnamed":          {many(send("Z", mParse("", "SELECT 7"), mSync()), send("Z", mBind("", ""), mExecute("", 0), mSync())), "", true},
		"a pipeline":       {many(send("Z", mAll("SELECT city FROM customers WHERE id = 1"), mSync())), "", true},
		"errors":           {texts(8, "SELECT 1 / (id - 2) FROM items WHERE id = ?", "1", "2", "3"), "", true},
		"no numbers":       {texts(9, "SELECT id FROM items WHERE id = '?'", "1", "2", "3", "3", "x", " 4 ", "5.5"), "", true},
		"numbers":          {texts(24, "SELECT id FROM items WHERE id = ?", "7", "-1", "+8", "2147483647", "2147483648", "9223372036854775807", "9223372036854775808", "1.0", "1e2", "007"), "", true},
		"both sides":       {texts(8, "SELECT id FROM items WHERE ? >= id AND 1 < id ORDER BY id", "3", "4"), "", true},
		"a constant":       {texts(8, "SELECT id FROM items WHERE ? = 3 AND id < 4 ORDER BY 1", "3", "4"), "", true},
		"strings":          {texts(16, "SELECT note, id FROM items WHERE note = '?'", `it''s \ 5`, `it''s \ 6`, `\`, "", "'' OR 1=1", "ä", "x'\n'y", "$1"), "", true},
		"escapes":          {texts(8, "SELECT id FROM items WHERE note = E'it\\'s \\\\ ?'", "1", "2"), "", true},
		"dollars":          {texts(8, "SELECT id FROM items WHERE note = $$it's \\ ?$$", "1", "2"), "", true},
		"padded":           {texts(8, "SELECT id FROM items WHERE fixed = '?' AND id < 30 ORDER BY id DESC", "c1", "c2  ", "c3"), "", true},
		"decimals":         {texts(8, "SELECT id FROM items WHERE price = '?'", "1.5", "2", "x"), "", true},
		"less exact":       {texts(8, "SELECT id FROM items WHERE price < ? ORDER BY id", "2", "3"), "", true},
		"uuids":            {texts(8, "SELECT id FROM items WHERE code = '00000000-0000-0000-0000-00000000000?'::uuid", "1", "2", "x"), "", true},
		"a cast":           {texts(8, "SELECT id FROM items WHERE note = 'it''s \\ ?'::pg_catalog.text", "1", "2"), "", true},
		"a longer cast":    {texts(8, "SELECT id FROM items WHERE note = 'it''s \\ ?'::varchar(3)", "1", "2"), "", false},
		"dates":            {texts(8, "SELECT id FROM items WHERE at = '?' AND id < 5", "2020-01-01", "now"), "", false},
		"other strings":    {texts(8, "SELECT id, 'x' FROM items WHERE id = ?", "1", "2"), "", false},
		"an own parameter": {texts(8, "SELECT id FROM items WHERE id = ? AND id = $1", "1", "2"), "", false},
		"grouped":          {texts(8, "SELECT kind = 'rare', count(*) FROM items WHERE kind = '?' GROUP BY kind = 'rare'", "rare", "x"), "", false},
		"grouped by sums":  {texts(8, "SELECT id % 2, count(*) FROM items WHERE id < ? GROUP BY id % 2 ORDER BY 1, 2", "5", "6"), "", true},
		"stars":            {texts(8, "SELECT c.id, i.* FROM customers c JOIN items i ON i.id = c.id AND i.id < ? WHERE c.id > ?", "1", "2", "0"), "", true},
		"a star":           {texts(8, "SELECT * FROM orders WHERE id = ?", "1", "2", "0"), "", true},
		"sub-queries":      {texts(8, "SELECT id FROM items WHERE id = ? AND EXISTS (SELECT FROM customers c WHERE c.id = ? AND c.id = items.id)", "1", "2", "3"), "", true},
		"common tables":    {texts(8, "WITH x AS (SELECT id FROM items WHERE id = ?) SELECT id FROM x", "1", "2", "3"), "", false},
		"unions":           {texts(8, "SELECT id FROM items WHERE id = ? UNION ALL SELECT 2", "1", "2", "3"), "", false},
		"cases":            {texts(8, "SELECT id FROM items WHERE CASE WHEN id = ? THEN true ELSE id = 5 END", "1", "2", "3"), "", true},
		"lists":            {texts(8, "SELECT id FROM items WHERE id IN (?, 7) ORDER BY id", "1", "2", "3"), "", true},
		"rows":             {texts(8, "SELECT id FROM items WHERE (id, price) = (?, 0.25)", "1", "2"), "", true},
		"limits":           {texts(8, "SELECT id FROM items WHERE id > 100 ORDER BY id LIMIT ? OFFSET ?", "1", "2"), "", true},
		"a locking read":   {texts(8, "SELECT name FROM customers WHERE id = ? FOR UPDATE", "1", "2"), "", false},
		"many rows":        {texts(8, "SELECT id, note FROM items WHERE id > ? ORDER BY id", "1", "2500", "0"), "", true},
		"no rows":          {texts(8, "SELECT id FROM items WHERE id = ? AND id = 2", "1", "2"), "", true},
		"no condition":     {texts(8, "SELECT count(*) FROM items", ""), "", true},
		"an own name":      {texts(8, "SELECT count(id) FROM items", ""), "", true},
		"renamed": {append(texts(6, "SELECT name FROM customers WHERE id = ?", "1", "2"), texts(6, "SELECT city FROM customers WHERE id = ?", "1", "2")...),
			"ALTER TABLE customers RENAME name TO called; ALTER TABLE customers RENAME called TO name", true},
		"a frequent value, and a rare one": {texts(24, "SELECT id FROM items WHERE kind = '?' LIMIT 3", "frequent", "rare", "none"), "", true},
		"a wide range, and a narrow one":   {texts(24, "SELECT id FROM items WHERE kind > '?' LIMIT 3", "a", "g", "rara"), "", true},
		"refused":                          {many(q("DROP TABLE nothing")), "", true},
		"planned for all":                  {append(texts(6, "SELECT id FROM items WHERE kind > '?' LIMIT 3", "a", "g", "rara"), append([]step{q("SET plan_cache_mode = force_generic_plan")}, texts(9, "SELECT id FROM items WHERE kind > '?' LIMIT 3", "a", "g", "rara")...)...), "", true},
		"cursors":                          {texts(8, "SELECT statement, name FROM pg_cursors, items WHERE id = ?", "1", "2"), "", false},
		"a precision":                      {texts(8, "SELECT current_timestamp(9) IS NULL FROM items WHERE id = ?", "1", "2"), "", false},
	} {
		t.Run(name, func(t *testing.T) {
			p.answersAsWithout(t, c.steps, c.admin, c.own, withoutTables)
		})
	}
}

// TestATextWithOtherValuesIsPlannedForEachOfThem: a plan for all of them could be another
// one, and give rows in another order.
func TestATextWithOtherValuesIsPlannedForEachOfThem(t *testing.T) {
	w := the(t)
	p := startTwins(t, "planned", often)
	b := bareThrough(t, p.gw, "planned", w.token(t, "mobile-agent"))
	converse(b, texts(40, "SELECT name FROM customers WHERE id = ?", "1", "2"))
	expectTwins(b, false, true)
	b.send(mQuery("SHOW server_version_num"))
	if strings.Contains(b.until("Z"), `D["13`) {
		return // it has no twins, and does not count plans
	}
	b.send(mQuery("SELECT generic_plans = 0 AND custom_plans > 20 FROM pg_prepared_statements WHERE name LIKE 'sallyport twin%' AND statement LIKE '%IS NULL%'"))
	if answer := b.until("Z"); !strings.Contains(answer, `D["t"]`) {
		t.Errorf("plans: %s", answer)
	}
}

// TestATextThatWaitsForALockIsCancelledOnce: the gateway does not run again what somebody
// has cancelled.
func TestATextThatWaitsForALockIsCancelledOnce(t *testing.T) {
	w := the(t)
	p := startTwins(t, "textlocked", often)
	b := bareThrough(t, p.gw, "textlocked", w.token(t, "mobile-agent"))
	one := texts(1, "SELECT name FROM customers WHERE id = ?", "1")
	converse(b, append(queries("SET lock_timeout = '200ms'"), texts(6, "SELECT name FROM customers WHERE id = ?", "1", "2")...))
	expectTwins(b, false, true)
	other := bareDirect(t, w, "textlocked")
	converse(other, queries("BEGIN", "LOCK TABLE customers IN ACCESS EXCLUSIVE MODE"))
	if answer := converse(b, one)[0]; strings.Count(answer, "55P03") != 1 || strings.Contains(answer, "twin") {
		t.Errorf("a lock that is not to be had: %s", answer)
	}
	converse(other, queries("ROLLBACK"))
	if answer := converse(b, one)[0]; !strings.Contains(answer, "Ada") {
		t.Errorf("behind it: %s", answer)
	}
}
