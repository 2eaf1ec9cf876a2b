package postgres

import (
	"context"
	"strings"
	"testing"

	pg_query "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// placeless parses a text and forgets where its parts stand.
func placeless(t *testing.T, text string) *pg_query.SelectStmt {
	t.Helper()
	tree, err := pg_query.Parse(text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	forgetPlaces(tree.ProtoReflect())
	return tree.GetStmts()[0].GetStmt().GetSelectStmt()
}

func TestAGuardIsOneMoreCondition(t *testing.T) {
	condition := placeless(t, "SELECT 1 WHERE "+guard).GetWhereClause()
	for _, text := range []string{
		"SELECT a FROM t", "SELECT a FROM t WHERE a = $1", "SELECT a FROM t WHERE a = 1 OR b = 2 ORDER BY a DESC LIMIT 5 OFFSET $2", "SELECT a, count(*) FROM t GROUP BY a HAVING count(*) > 1",
		"SELECT a IS DISTINCT FROM b FROM t JOIN u ON t.a = u.a WHERE a IS NOT DISTINCT FROM b AND c BETWEEN 1 AND 2", "SELECT a FROM t WHERE CASE WHEN a THEN b ELSE c END ORDER BY (SELECT b FROM u WHERE c LIMIT 1)",
		"SELECT a FROM (SELECT b FROM u WHERE c ORDER BY d) AS x (a) FETCH FIRST 3 ROWS ONLY", "SELECT DISTINCT ON (a) a, row_number() OVER w FROM t WINDOW w AS (PARTITION BY b)",
		"SELECT a FROM t, u WHERE t.a = u.a AND EXISTS (SELECT FROM v WHERE v.a = t.a)", "SELECT sum(a) FILTER (WHERE b) FROM t", "SELECT \"where\" FROM t WHERE \"order\" = 1", "SELECT a[1] FROM t WHERE a[2:3] = $1",
		"SELECT a FROM t WHERE a NOT IN (1, 2) AND NOT b", "SELECT a FROM t OFFSET 1", "SELECT a FROM t WHERE b;",
	} {
		got, ok := Guarded(text)
		if !ok {
			t.Errorf("%s: not guarded", text)
			continue
		}
		want, tree := placeless(t, text), placeless(t, got)
		switch {
		case want.GetWhereClause() == nil:
			want.WhereClause = condition
		case want.GetWhereClause().GetBoolExpr().GetBoolop() == pg_query.BoolExprType_AND_EXPR: // the parser flattens (a AND b) AND c
			e := want.GetWhereClause().GetBoolExpr()
			e.Args = append(e.Args, condition)
		default:
			want.WhereClause = pg_query.MakeBoolExprNode(pg_query.BoolExprType_AND_EXPR, []*pg_query.Node{want.GetWhereClause(), condition}, 0)
		}
		if !proto.Equal(want, tree) {
			t.Errorf("%s means something else:\n%s", text, got)
		}
	}
	for _, text := range []string{
		"SELECT 1", "SELECT a FROM t FOR UPDATE", "SELECT a FROM t UNION SELECT b FROM u", "WITH x AS (SELECT 1) SELECT a FROM x", "TABLE t", "VALUES (1)", "UPDATE t SET a = 1", "SELECT a INTO u FROM t", "SELECT a FROM t; SELECT b FROM u",
		"SELECT a FROM t WHERE t.order = 1", "SELECT a AS limit FROM t", "SELECT a FROM t WHERE (b).having", "SELECT timestamptz '2000-01-01' FROM t", "SELECT a::date FROM t", "SELECT a AT TIME ZONE b FROM t",
		"SELECT \"timestamptz\" '2000-01-01' FROM t",
	} {
		if got, ok := Guarded(text); ok {
			t.Errorf("%s is guarded: %s", text, got)
		}
	}
}

// TestAGuardFailsWhenADefinitionChanges: not before, and before the statement runs.
func TestAGuardFailsWhenADefinitionChanges(t *testing.T) {
	fresh(t, "guarded", "CREATE TABLE t (a int, b int)", "INSERT INTO t VALUES (1, 2), (3, 4)", "CREATE VIEW v AS SELECT a AS x FROM t")
	ctx := context.Background()
	conn := connected(t, "guarded")
	run := func(text string) error {
		_, err := conn.Exec(ctx, text).ReadAll()
		return err
	}
	for change, text := range map[string]string{
		"ALTER TABLE t RENAME COLUMN b TO c; ALTER TABLE t RENAME COLUMN a TO b; ALTER TABLE t RENAME COLUMN c TO a": "SELECT a FROM t",
		"INSERT INTO t SELECT i, i FROM generate_series(1, 5000) i; ANALYZE t":                                       "SELECT a FROM t WHERE a > 0 ORDER BY a", "CREATE INDEX ON t (a)": "SELECT a FROM t WHERE a > 0",
		"CREATE OR REPLACE VIEW v AS SELECT b AS x FROM t": "SELECT x FROM v", "CREATE OPERATOR public.=== (LEFTARG = int, RIGHTARG = int, FUNCTION = int4eq)": "SELECT count(*) FROM t",
		"CREATE SCHEMA another": "SELECT a FROM t LIMIT 1",
	} {
		guarded, ok := Guarded(text)
		if !ok {
			t.Fatal(text)
		}
		if err := run("BEGIN; SET LOCAL timezone TO '" + GuardZone + "'; PREPARE p AS " + guarded + "; COMMIT"); err != nil {
			t.Fatalf("%s: %v", guarded, err)
		}
		for range 7 { // custom plans, and then one for all
			if err := run("EXECUTE p"); err != nil {
				t.Errorf("%s fails: %v", guarded, err)
			}
		}
		plan, err := conn.Exec(ctx, "EXPLAIN EXECUTE p").ReadAll()
		if err != nil || strings.Contains(string(plan[0].Rows[0][0]), "Result") {
			t.Errorf("%s: the condition is left in the plan %q, %v", guarded, plan[0].Rows, err)
		}
		if err := run(change); err != nil {
			t.Fatal(err)
		}
		if err := run("EXECUTE p"); err == nil || !strings.Contains(err.Error(), "out of range") {
			t.Errorf("after %s %s: %v", change, guarded, err)
		}
		if err := run("DEALLOCATE p"); err != nil {
			t.Fatal(err)
		}
	}
}

// TestAGuardIsAnalysedInNoOtherZone tries all that have names, and those that somebody could
// make up; and a guard is analysed in its own zone however dates are written.
func TestAGuardIsAnalysedInNoOtherZone(t *testing.T) {
	ctx := context.Background()
	conn := connected(t, "postgres")
	in := func(zone string) error {
		_, err := conn.Exec(ctx, "SET timezone TO '"+zone+"'; SELECT WHERE "+guard).ReadAll()
		return err
	}
	names, err := conn.Exec(ctx, "SELECT name FROM pg_timezone_names").ReadAll()
	if err != nil || len(names[0].Rows) < 300 {
		t.Fatal(err)
	}
	sure := 0
	for _, row := range names[0].Rows {
		zone := string(row[0])
		if in(zone) == nil {
			t.Errorf("in %s it is analysed", zone)
		}
		if GuardsFail(zone) {
			sure++
		}
	}
	if sure < 300 {
		t.Errorf("only of %d of %d zones it is sure", sure, len(names[0].Rows))
	}
	for _, zone := range []string{"", "ABC-16", "UTC-15:17", "<x>-15:17", "<+16>-16", "Etc/GMT-20", "EST5EDT", "-16"} {
		if GuardsFail(zone) {
			t.Errorf("of %q it is said that a guard fails", zone)
		}
	}
	for _, style := range []string{"ISO, MDY", "ISO, YMD", "SQL, DMY", "German", "Postgres, DMY"} {
		if _, err := conn.Exec(ctx, "SET datestyle TO '"+style+"'").ReadAll(); err != nil {
			t.Fatal(err)
		}
		if err := in(GuardZone); err != nil {
			t.Errorf("with DateStyle %s: %v", style, err)
		}
		if in("Pacific/Kiritimati") == nil {
			t.Errorf("with DateStyle %s it is analysed far in the east", style)
		}
	}
}

// TestAGuardedTextIsPlannedForItsValues each time, as the text would be, and the planner
// leaves nothing of what makes it so.
func TestAGuardedTextIsPlannedForItsValues(t *testing.T) {
	fresh(t, "guardedtexts", "CREATE TABLE t (a int PRIMARY KEY, b text)", "INSERT INTO t SELECT g, CASE WHEN g % 1000 = 0 THEN 'rare' ELSE 'frequent' END FROM generate_series(1, 5000) g", "CREATE INDEX ON t (b)",
		"CREATE TABLE p (k int) PARTITION BY LIST (k)", "CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1)", "CREATE TABLE p2 PARTITION OF p FOR VALUES IN (2)", "ANALYZE")
	ctx := context.Background()
	conn := connected(t, "guardedtexts")
	// So that workers take part, which a function or a sub-query can forbid.
	if _, err := conn.Exec(ctx, "SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0").ReadAll(); err != nil {
		t.Fatal(err)
	}
	explain := func(text string) string {
		t.Helper()
		plan, err := conn.Exec(ctx, "EXPLAIN (COSTS OFF) "+text).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		var lines []string
		for _, row := range plan[0].Rows {
			lines = append(lines, string(row[0]))
		}
		return strings.Join(lines, "\n")
	}
	workers := false
	for text, values := range map[string][]string{
		"SELECT a FROM t WHERE b = $1":                           {"'rare'", "'frequent'"},
		"SELECT a FROM t WHERE a = $1":                           {"1", "2"},
		"SELECT a FROM t WHERE a > $1 ORDER BY b LIMIT 1":        {"4990", "0"},
		"SELECT count(*) FROM t JOIN t u USING (a) WHERE t.b=$1": {"'frequent'", "'rare'"},
		"SELECT max(a) FROM t WHERE a < $1":                      {"1000", "0"},
		"SELECT t.b, sum(u.a) FROM t LEFT JOIN t u ON u.a = t.a + 1 AND u.b <> $1 GROUP BY t.b ORDER BY 2":        {"'rare'", "'x'"},
		"SELECT a FROM (SELECT a, b FROM t OFFSET 0) s WHERE b = $1 AND EXISTS (SELECT FROM t u WHERE u.a = s.a)": {"'rare'", "'frequent'"},
		"SELECT count(*) FROM p WHERE k = $1": {"1", "2", "7"},
	} {
		guarded, ok := GuardedText(text, 1)
		if !ok {
			t.Fatal(text)
		}
		if _, err := conn.Exec(ctx, "BEGIN; SET LOCAL timezone TO '"+GuardZone+"'; PREPARE p(unknown, bool) AS "+guarded+"; COMMIT").ReadAll(); err != nil {
			t.Fatalf("%s: %v", guarded, err)
		}
		for i := range 30 {
			value := values[i%len(values)]
			got, want := explain("EXECUTE p("+value+", true)"), explain(strings.ReplaceAll(text, "$1", value))
			workers = workers || strings.Contains(got, "Gather")
			if got != want {
				t.Errorf("%s for %s is planned\n%s\nand as a text\n%s", guarded, value, got, want)
			}
		}
		if _, err := conn.Exec(ctx, "DEALLOCATE p").ReadAll(); err != nil {
			t.Fatal(err)
		}
	}
	if !workers {
		t.Error("no plan has workers")
	}
}

func forgetPlaces(m protoreflect.Message) {
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case strings.HasSuffix(string(f.Name()), "location") || f.Name() == "stmt_len":
			m.Clear(f)
		case f.IsList() && f.Message() != nil:
			for i := range v.List().Len() {
				forgetPlaces(v.List().Get(i).Message())
			}
		case f.Message() != nil:
			forgetPlaces(v.Message())
		}
		return true
	})
}
