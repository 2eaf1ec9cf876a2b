package corpus

import (
	"reflect"
	"testing"
)

// TestCorpusQuestionsChangeNoAnswer sends texts again and again: the first time
// the question about definitions goes behind a text, later within it, and the
// answers have to be the same to the byte.
func TestCorpusQuestionsChangeNoAnswer(t *testing.T) {
	db, g := raced(t)
	if err := db.reset(templateName); err != nil {
		t.Fatal(err)
	}
	p := session(t, g, maskPolicy)
	p.mustStep(t, q("PREPARE kept (int) AS SELECT name, ssn FROM customers WHERE id = $1"))
	within := false
	for _, texts := range [][]string{
		{"SELECT name, ssn FROM customers ORDER BY id"},
		{"SELECT name FROM customers WHERE id = -1"},
		{"SELECT name FROM customers; SELECT id FROM orders; ; SELECT 1;"},
		{"SELECT name FROM customers -- and a comment"},
		{"TABLE customer_public"},
		{"VALUES ((SELECT count(*) FROM customers))"},
		{"WITH c AS (SELECT id, ssn FROM customers) SELECT * FROM c ORDER BY id"},
		{"COPY (SELECT id, ssn FROM customers) TO STDOUT"},
		{"COPY customers (id, name) TO STDOUT; SELECT 5"},
		{"EXPLAIN (COSTS OFF) SELECT name FROM customers WHERE id = 1"},
		{"SELECT 1 / (id - id) FROM customers", "SELECT name FROM customers"},
		{"SELECT name FROM customers; SELECT 1 / (id - id) FROM customers; SELECT 2"},
		{"SELECT nothing FROM customers"},
		{"DECLARE c CURSOR FOR SELECT name FROM customers"}, // no transaction block
		{"EXECUTE kept(1)", "EXECUTE kept(2); SELECT 3"},
		{
			"BEGIN", "SELECT name FROM customers WHERE id = 1", "SELECT id FROM orders; SELECT name FROM customers",
			"UPDATE customers SET notes = 'x' WHERE id = 1 RETURNING name, ssn", "DELETE FROM tickets WHERE id = -1; SELECT 1",
			"INSERT INTO customers (id) VALUES (1)", "ROLLBACK",
		},
		{
			"BEGIN ISOLATION LEVEL SERIALIZABLE", "SELECT name FROM customers WHERE id = 1", "SELECT 1 / (id - id) FROM customers",
			"SELECT name FROM customers WHERE id = 1", "ROLLBACK",
		},
	} {
		var first []frame
		for i := range 4 {
			from := len(p.conn.got)
			for _, sql := range texts {
				p.mustStep(t, q(sql))
			}
			if got := p.conn.got[from:]; i == 0 {
				first = got
			} else if !reflect.DeepEqual(got, first) {
				t.Errorf("%s\n  the first time %q\n  now            %q", texts, first, got)
			}
		}
		rows, err := db.admin(databaseName, `SELECT 1 FROM pg_stat_activity WHERE query LIKE '%;EXECUTE "sallyport question %'`)
		if err != nil {
			t.Fatal(err)
		}
		within = within || len(rows) > 0
	}
	if !within {
		t.Error("no question went within a text")
	}
	// A client that parses its statement each time never has one that is too old.
	all := text("SELECT * FROM tickets WHERE id = 1")
	for i := range 3 {
		p.mustStep(t, &Op{X: &all})
		if i == 1 {
			db.mustAdmin(t, "ALTER TABLE tickets ADD COLUMN extra int")
		}
	}
	if errs := p.answers[len(p.answers)-1].errs; len(errs) > 0 {
		t.Errorf("after another column was added: %v", errs)
	}
	one := text("SELECT extra FROM tickets WHERE id = 1")
	for i := range 4 {
		p.mustStep(t, &Op{X: &one})
		if i == 1 {
			db.mustAdmin(t, "ALTER TABLE tickets ALTER extra TYPE text")
		}
	}
	if errs := p.answers[len(p.answers)-1].errs; len(errs) > 0 {
		t.Errorf("for the second time after a column has another type: %v", errs)
	}
	if hits := detect(p.conn.got); len(hits) > 0 {
		t.Errorf("secrets came through: %v", hits)
	}
}
