package corpus

import (
	"context"
	"strings"
	"testing"
	"time"
)

// session is a client of the gateway in the middle of its work.
func session(t *testing.T, g *Gateway, policy string) *play {
	t.Helper()
	p := &play{c: &Case{Mode: "simple", Policy: policy, Role: roleAgent}, login: g.login(policy, roleAgent)}
	if err := p.connect(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.conn.close)
	return p
}

func (p *play) mustStep(t *testing.T, op *Op) {
	t.Helper()
	if err := p.step(op); err != nil {
		t.Fatal(err)
	}
}

func q(sql string) *Op {
	s := text(sql)
	return &Op{Q: &s}
}

func TestCorpusSessionNoticesWithinSecondsWhatOthersRedefine(t *testing.T) {
	db := startDatabase(t)
	g, err := StartGateway(context.Background(), "", db)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := g.Stop(); err != nil {
			t.Error(err)
		}
	})
	name, empty, sync := "s", "", Part{Sync: []byte("1")}
	prepare := Op{Pipe: []Part{{Parse: &name, SQL: text("SELECT region FROM customer_public")}, sync}}
	execute := Op{Pipe: []Part{{Bind: &empty, Stmt: name}, {Execute: &empty}, sync}}
	redefine := "CREATE OR REPLACE VIEW customer_public AS SELECT id, name, ssn AS region, created_at FROM customers"
	for what, steps := range map[string][2][]*Op{
		"same text":          {{q("SELECT region FROM customer_public")}, {q("SELECT region FROM customer_public")}},
		"other text":         {{q("SELECT 1")}, {q("SELECT region AS r FROM customer_public")}},
		"prepared statement": {{&prepare, &execute}, {&execute}},
		"in a transaction":   {{q("BEGIN"), q("SELECT 1")}, {q("SELECT region FROM customer_public")}},
		"copy":               {{q("COPY (SELECT region FROM customer_public) TO STDOUT")}, {q("COPY (SELECT region FROM customer_public) TO STDOUT")}},
	} {
		t.Run(what, func(t *testing.T) {
			if err := db.reset(templateName); err != nil {
				t.Fatal(err)
			}
			p := session(t, g, maskPolicy)
			for _, op := range steps[0] {
				p.mustStep(t, op)
			}
			if errs := p.errs(); len(errs) > 0 {
				t.Fatalf("before: %v", errs)
			}
			if _, err := db.admin(databaseName, redefine); err != nil {
				t.Fatal(err)
			}
			noticed := time.NewTimer(10 * time.Second)
			defer noticed.Stop()
			again := time.NewTicker(100 * time.Millisecond)
			defer again.Stop()
			for {
				p.conn.got = nil
				for _, op := range steps[1] {
					p.mustStep(t, op)
				}
				if len(detect(p.conn.got)) == 0 {
					return
				}
				select {
				case <-again.C:
				case <-noticed.C:
					t.Fatalf("secrets still come through: %v", p.shown())
				}
			}
		})
	}
}

func TestCorpusSessionReadsNothingInTheOrderOfAnIndexThatIsYoungerThanItself(t *testing.T) {
	db := startDatabase(t)
	g, err := StartGateway(context.Background(), "", db)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := g.Stop(); err != nil {
			t.Error(err)
		}
	})
	if err := db.reset(templateName); err != nil {
		t.Fatal(err)
	}
	old := session(t, g, maskPolicy)
	old.mustStep(t, q("SELECT id FROM customers WHERE region = 'US'"))
	if errs := old.errs(); len(errs) > 0 {
		t.Fatalf("before: %v", errs)
	}
	if _, err := db.admin(databaseName, "CREATE INDEX reg_ssn ON customers (region, ssn)"); err != nil {
		t.Fatal(err)
	}
	old.mustStep(t, q("SELECT id FROM customers WHERE region = 'US'"))
	if errs := old.errs(); len(errs) != 1 || !strings.Contains(errs[0], "since this session began") {
		t.Errorf("after: %v", errs)
	}
	fresh := session(t, g, maskPolicy)
	fresh.mustStep(t, q("SELECT id FROM customers WHERE region = 'US'"))
	if errs := fresh.errs(); len(errs) > 0 {
		t.Errorf("in a new session: %v", errs)
	}
}
