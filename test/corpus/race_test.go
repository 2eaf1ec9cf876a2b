package corpus

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-gateway/sallyport/internal/pgserver"
)

// redefinition is what somebody with other rights does past the gateway while an
// agent reads: before it and after undo, read shows nothing labelled.
type redefinition struct {
	name           string
	setup          string
	change, undo   string
	read           string
	readableBefore bool // the read is no error before the change
	// window: docs/masking-soundness.md leaves a moment in which a change of this kind
	// is not noticed. A loop of changes finds it now and then.
	window bool
}

func redefinitions() []redefinition {
	return []redefinition{
		{
			name:           "view",
			change:         "CREATE OR REPLACE VIEW customer_public AS SELECT id, name, ssn AS region, created_at FROM customers",
			undo:           "CREATE OR REPLACE VIEW customer_public AS SELECT id, name, region, created_at FROM customers",
			read:           "SELECT region FROM customer_public",
			readableBefore: true,
		},
		{
			name:           "view within views",
			setup:          "CREATE VIEW over_public AS SELECT id, region FROM customer_public; CREATE VIEW over_over AS SELECT region AS r FROM over_public; GRANT SELECT ON over_public, over_over TO agent",
			change:         "CREATE OR REPLACE VIEW customer_public AS SELECT id, name, ssn AS region, created_at FROM customers",
			undo:           "CREATE OR REPLACE VIEW customer_public AS SELECT id, name, region, created_at FROM customers",
			read:           "SELECT r FROM over_over",
			readableBefore: true,
		},
		{
			name:           "view under another's name",
			setup:          "CREATE VIEW shown AS SELECT id, region FROM customers; CREATE VIEW hidden AS SELECT id, ssn AS region FROM customers; GRANT SELECT ON shown, hidden TO agent",
			change:         "ALTER VIEW shown RENAME TO spare; ALTER VIEW hidden RENAME TO shown",
			undo:           "ALTER VIEW shown RENAME TO hidden; ALTER VIEW spare RENAME TO shown",
			read:           "SELECT region FROM shown",
			readableBefore: true,
		},
		{
			name:           "relation in front on the search path",
			setup:          "CREATE SCHEMA agent; GRANT USAGE ON SCHEMA agent TO agent",
			change:         "CREATE VIEW agent.tickets AS SELECT id, id AS customer_id, ssn AS body FROM public.customers; GRANT SELECT ON agent.tickets TO agent",
			undo:           "DROP VIEW agent.tickets",
			read:           "SELECT body FROM tickets",
			readableBefore: true,
		},
		{
			name:           "schema under another's name",
			setup:          "CREATE SCHEMA one; CREATE SCHEMA two; CREATE VIEW one.v AS SELECT region AS x FROM public.customers; CREATE VIEW two.v AS SELECT ssn AS x FROM public.customers; GRANT USAGE ON SCHEMA one, two TO agent; GRANT SELECT ON one.v, two.v TO agent",
			change:         "ALTER SCHEMA one RENAME TO three; ALTER SCHEMA two RENAME TO one",
			undo:           "ALTER SCHEMA one RENAME TO two; ALTER SCHEMA three RENAME TO one",
			read:           "SELECT x FROM one.v",
			readableBefore: true,
			window:         true,
		},
		{
			name:           "parent",
			setup:          "CREATE TABLE people (id int, name text, ssn text); GRANT SELECT ON people TO agent",
			change:         "ALTER TABLE customers INHERIT people",
			undo:           "ALTER TABLE customers NO INHERIT people",
			read:           "SELECT ssn FROM people",
			readableBefore: true,
			window:         true,
		},
		{
			name:           "partition",
			setup:          "CREATE TABLE pay27 (LIKE payments); GRANT SELECT ON pay27 TO agent",
			change:         "ALTER TABLE payments ATTACH PARTITION pay27 FOR VALUES FROM ('2027-01-01') TO ('2028-01-01'); INSERT INTO payments VALUES (9, 1, '4111111111111111', 1, '2027-05-05')",
			undo:           "TRUNCATE pay27; ALTER TABLE payments DETACH PARTITION pay27",
			read:           "SELECT card_number FROM pay27",
			readableBefore: true,
		},
		{
			name:   "column",
			change: "ALTER TABLE customers ADD COLUMN copied text GENERATED ALWAYS AS (ssn) STORED",
			undo:   "ALTER TABLE customers DROP COLUMN copied",
			read:   "SELECT copied FROM customers",
		},
		{
			name:   "name of a labelled column",
			change: "ALTER TABLE customers RENAME COLUMN ssn TO code",
			undo:   "ALTER TABLE customers RENAME COLUMN code TO ssn",
			read:   "SELECT code FROM customers",
		},
		{
			name:   "function",
			change: "CREATE FUNCTION public.upper(int) RETURNS text LANGUAGE sql SECURITY DEFINER AS 'SELECT max(ssn) FROM public.customers'",
			undo:   "DROP FUNCTION public.upper(int)",
			read:   "SELECT upper(5)",
		},
		{
			name:   "operator",
			setup:  "CREATE FUNCTION leaks(int, int) RETURNS text LANGUAGE sql SECURITY DEFINER AS 'SELECT max(ssn) FROM public.customers'",
			change: "CREATE OPERATOR public.|| (LEFTARG = int, RIGHTARG = int, FUNCTION = leaks)",
			undo:   "DROP OPERATOR public.|| (int, int)",
			read:   "SELECT 5 || 6",
			window: true,
		},
	}
}

// wayToRead is how an agent sends a statement: what it does before the change, and
// what it does then.
type wayToRead struct {
	name          string
	before, after []*Op
}

// waysToRead are all ways for the first kind of change, and those that differ most
// for the others.
func waysToRead(r *redefinition) []wayToRead {
	all := everyWay(r.read)
	if r.name == "view" {
		return all
	}
	return slices.DeleteFunc(all, func(w wayToRead) bool {
		return !slices.Contains([]string{"simple", "prepared", "prepared and run often", "in a stricter transaction", "write"}, w.name)
	})
}

func everyWay(read string) []wayToRead {
	name, empty, sync, flush := "kept", "", Part{Sync: []byte("1")}, Part{Flush: []byte("1")}
	portal := "P"
	prepare := &Op{Pipe: []Part{{Parse: &name, SQL: text(read)}, sync}}
	execute := &Op{Pipe: []Part{{Bind: &empty, Stmt: name}, {Describe: &portal}, {Execute: &empty}, sync}}
	flushed := &Op{Pipe: []Part{{Bind: &empty, Stmt: name}, {Execute: &empty, Max: 1}, flush, {Execute: &empty}, sync}}
	s := text(read)
	write := "INSERT INTO tickets SELECT 100 + (random() * 1e6)::int, 1, x::text FROM (" + read + ") AS x"
	long := "SELECT x::text FROM (" + read + ") AS x, generate_series(1, 1500)"
	return []wayToRead{
		{"simple", []*Op{q(read)}, []*Op{q(read)}},
		{"first statement", nil, []*Op{q(read)}},
		{"unnamed", []*Op{{X: &s}}, []*Op{{X: &s}}},
		{"prepared", []*Op{prepare, execute}, []*Op{execute}},
		{"prepared and flushed", []*Op{prepare, execute}, []*Op{flushed}},
		{"prepared and run often", []*Op{prepare, execute, execute, execute, execute, execute}, []*Op{execute, execute}},
		{"prepared, never run", []*Op{prepare}, []*Op{execute}},
		{"in a transaction", []*Op{q("BEGIN"), q("SELECT 1")}, []*Op{q(read), q("ROLLBACK")}},
		{"in a stricter transaction", []*Op{q("BEGIN ISOLATION LEVEL REPEATABLE READ"), q("SELECT count(*) FROM orders")}, []*Op{q(read), q("ROLLBACK")}},
		{"in a stricter transaction, again", []*Op{q(read), q("BEGIN ISOLATION LEVEL SERIALIZABLE"), q("SELECT count(*) FROM orders")}, []*Op{q(read), q("ROLLBACK")}},
		{"copy", []*Op{q("COPY (" + read + ") TO STDOUT")}, []*Op{q("COPY (" + read + ") TO STDOUT")}},
		{"a long answer", []*Op{q(long)}, []*Op{q(long)}}, // longer than what is passed on at once, and not too long to be kept back
		{"cursor", []*Op{q("BEGIN")}, []*Op{q("DECLARE c CURSOR FOR " + read), q("FETCH ALL FROM c"), q("ROLLBACK")}},
		{"execute", []*Op{q("PREPARE p AS " + read)}, []*Op{q("EXECUTE p")}},
		{"text of three", []*Op{q("SELECT 1")}, []*Op{q("BEGIN; " + read + "; COMMIT")}},
		{"behind a commit", []*Op{q("SELECT 1")}, []*Op{q("BEGIN; SELECT 1; COMMIT; " + read)}},
		{"behind a failed block", []*Op{q("BEGIN"), q("SELECT 1/0")}, []*Op{q("ROLLBACK; " + read)}},
		{"behind a failed block, in a pipeline", []*Op{q("BEGIN"), q("SELECT 1/0")}, []*Op{{Pipe: []Part{{Parse: &empty, SQL: text("ROLLBACK")}, {Bind: &empty}, {Execute: &empty}, {Parse: &empty, SQL: text(read)}, {Bind: &empty}, {Execute: &empty}, sync}}}},
		{"write behind a failed block", []*Op{q("BEGIN"), q("SELECT 1/0")}, []*Op{q("ROLLBACK; " + write), q("ROLLBACK"), q("SELECT body FROM tickets")}},
		{"write behind a failed block, in a pipeline", []*Op{q("BEGIN"), q("SELECT 1/0")}, []*Op{{Pipe: []Part{{Parse: &empty, SQL: text("ROLLBACK")}, {Bind: &empty}, {Execute: &empty}, {Parse: &empty, SQL: text(write)}, {Bind: &empty}, {Execute: &empty}, sync}}, q("SELECT body FROM tickets")}},
		{"write behind a commit, in a pipeline", []*Op{q("BEGIN"), q("SELECT 1")}, []*Op{{Pipe: []Part{{Parse: &empty, SQL: text("COMMIT")}, {Bind: &empty}, {Execute: &empty}, {Parse: &empty, SQL: text(write)}, {Bind: &empty}, {Execute: &empty}, sync}}, q("SELECT body FROM tickets")}},
		{"write", []*Op{q("SELECT 1")}, []*Op{q(write), q("SELECT body FROM tickets")}},
	}
}

// raced starts what a race needs.
func raced(t *testing.T) (*Database, *Gateway) {
	t.Helper()
	db := startDatabase(t)
	g, err := StartGateway(context.Background(), "", db)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the gateway's log:\n%s", g.Log())
		}
		if err := g.Stop(); err != nil {
			t.Error(err)
		}
	})
	return db, g
}

func (d *Database) mustAdmin(t *testing.T, sql string) {
	t.Helper()
	if sql == "" {
		return
	}
	if _, err := d.admin(databaseName, sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func TestCorpusChangedDefinitionIsSeenByTheNextStatement(t *testing.T) {
	db, g := raced(t)
	for _, r := range redefinitions() {
		if err := db.reset(templateName); err != nil {
			t.Fatal(err)
		}
		db.mustAdmin(t, r.setup)
		for _, way := range waysToRead(&r) {
			t.Run(r.name+"/"+way.name, func(t *testing.T) {
				p := session(t, g, maskPolicy)
				for _, op := range way.before {
					p.mustStep(t, op)
				}
				if errs := p.errs(); r.readableBefore && len(errs) > 0 && !strings.Contains(way.name, "failed block") {
					t.Fatalf("before: %v", errs)
				}
				db.mustAdmin(t, r.change)
				defer db.mustAdmin(t, r.undo)
				answered := len(p.answers)
				p.mustSee(t, way.after)
				db.mustHoldNoSecrets(t)
				// A text is judged again without a word.
				if errs := p.answers[answered].errs; r.name == "view" && (way.name == "simple" || way.name == "copy") && len(errs) > 0 {
					t.Errorf("refused: %v", errs)
				}
			})
		}
	}
}

// mustSee plays steps and fails for a secret in what they were answered with.
func (p *play) mustSee(t *testing.T, steps []*Op) {
	t.Helper()
	p.conn.got = nil
	for _, op := range steps {
		if !p.conn.dead {
			p.mustStep(t, op)
		}
	}
	if hits := detect(p.conn.got); len(hits) > 0 {
		t.Errorf("secrets came through: %v in %v", hits, p.shown())
	}
}

// mustHoldNoSecrets fails for a secret that was written where agents may read it.
func (d *Database) mustHoldNoSecrets(t *testing.T) {
	t.Helper()
	rows, err := d.admin(databaseName, "SELECT body FROM tickets WHERE id >= 100")
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		if slices.ContainsFunc(secrets(), func(secret string) bool { return strings.Contains(row[0], secret) }) {
			t.Errorf("a secret was written: %v", row)
		}
	}
	d.mustAdmin(t, "DELETE FROM tickets WHERE id >= 100")
}

func TestCorpusDefinitionChangedUnderAStatementThatWaitsForIt(t *testing.T) {
	db, g := raced(t)
	for _, r := range redefinitions() {
		if err := db.reset(templateName); err != nil {
			t.Fatal(err)
		}
		db.mustAdmin(t, r.setup)
		for _, way := range waysToRead(&r) {
			t.Run(r.name+"/"+way.name, func(t *testing.T) {
				p := session(t, g, maskPolicy)
				for _, op := range way.before {
					p.mustStep(t, op)
				}
				other, err := connect(login{address: db.Address(), user: pgserver.Superuser, database: databaseName})
				if err != nil {
					t.Fatal(err)
				}
				defer other.close()
				must := func(sql string) {
					t.Helper()
					if _, err := query(other, sql); err != nil {
						t.Fatalf("%s: %v", sql, err)
					}
				}
				must("BEGIN; " + r.change)
				done := make(chan struct{})
				go func() { // ends when the other one has committed
					defer close(done)
					p.mustSee(t, way.after)
				}()
				db.awaitLock(t, done)
				must("COMMIT")
				<-done
				db.mustHoldNoSecrets(t)
				must(r.undo)
			})
		}
	}
}

func TestCorpusMaintenanceByOthersIsNoChangeOfDefinitions(t *testing.T) {
	db, g := raced(t)
	if err := db.reset(templateName); err != nil {
		t.Fatal(err)
	}
	read, name, empty, sync := "SELECT name, ssn FROM customers", "kept", "", Part{Sync: []byte("1")}
	write := "UPDATE customers SET notes = 'x' WHERE id = 1 RETURNING ssn"
	prepare := &Op{Pipe: []Part{{Parse: &name, SQL: text(write)}, sync}}
	execute := &Op{Pipe: []Part{{Bind: &empty, Stmt: name}, {Execute: &empty}, sync}}
	p := session(t, g, maskPolicy)
	for _, op := range []*Op{q(read), q(write), prepare, execute} {
		p.mustStep(t, op)
	}
	for i, steps := range [][]*Op{
		{q(read)}, {q(write)}, {execute}, {q("BEGIN"), q(read)}, {q(write)}, {execute}, {q("COMMIT")},
		{q("BEGIN ISOLATION LEVEL REPEATABLE READ"), q(read)}, {q(read)}, {q(write), q("COMMIT")},
	} {
		// What the server does by itself, too: it makes new statistics known, and so
		// analyses statements anew; and another relation is another one.
		for _, sql := range []string{"CREATE INDEX another ON customers (notes)", "DROP INDEX another"} {
			if i < 3 || i == 7 { // outside of a transaction, which would keep them waiting
				db.mustAdmin(t, sql)
			}
		}
		db.mustAdmin(t, "ALTER TABLE customers ALTER notes SET STATISTICS 10"+strings.Repeat("0", i%2))
		db.mustAdmin(t, "ANALYZE customers")
		for _, op := range steps {
			p.mustStep(t, op)
		}
	}
	if errs := p.errs(); len(errs) > 0 || p.conn.dead {
		t.Errorf("%v in %v", errs, p.shown())
	}
	if hits := detect(p.conn.got); len(hits) > 0 {
		t.Errorf("secrets came through: %v", hits)
	}
}

// awaitLock waits until a statement waits for a lock, or done is closed.
func (d *Database) awaitLock(t *testing.T, done <-chan struct{}) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-done:
			return
		case <-tick.C:
			rows, err := d.admin(databaseName, "SELECT 1 FROM pg_locks WHERE NOT granted")
			if err != nil {
				t.Error(err)
				return
			}
			if len(rows) > 0 {
				return
			}
		}
	}
}

func TestCorpusDefinitionsChangedAllTheTimeShowNothing(t *testing.T) {
	const rounds = 3 // of every way to read
	db, g := raced(t)
	for _, r := range redefinitions() {
		if r.window {
			continue
		}
		t.Run(r.name, func(t *testing.T) {
			if err := db.reset(templateName); err != nil {
				t.Fatal(err)
			}
			db.mustAdmin(t, r.setup)
			now, ended := make(chan struct{}, 1), make(chan int)
			go func() { ended <- db.redefine(t, &r, now) }() // ends when now is closed
			for _, way := range waysToRead(&r) {
				p := &play{c: &Case{Mode: "simple", Policy: maskPolicy, Role: roleAgent}, login: g.login(maskPolicy, roleAgent)}
				for range rounds {
					if p.conn == nil || p.conn.dead {
						if err := p.connect(); err != nil {
							t.Error(err)
							break
						}
						p.mustSee(t, way.before)
					}
					select {
					case now <- struct{}{}: // a change while the statement is on its way
					default: // there is one already
					}
					p.mustSee(t, way.after)
				}
				for _, c := range p.conns {
					c.close()
				}
			}
			close(now)
			t.Logf("%d changes", <-ended)
		})
	}
}

// redefine makes the change, or takes it back, whenever now says so, and returns
// how often it did.
func (d *Database) redefine(t *testing.T, r *redefinition, now <-chan struct{}) (n int) {
	other, err := connect(login{address: d.Address(), user: pgserver.Superuser, database: databaseName})
	if err != nil {
		t.Error(err)
		return 0
	}
	defer other.close()
	for range now {
		sql := r.change
		if n%2 == 1 {
			sql = r.undo
		}
		// A deadlock with the agent's statement ends one of both.
		for again := true; again; {
			_, err := query(other, sql)
			again = err != nil && strings.Contains(err.Error(), "40P01")
			if err != nil && !again {
				t.Errorf("%s: %v", sql, err)
				return n
			}
		}
		n++
	}
	return n
}
