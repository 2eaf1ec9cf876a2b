package postgres

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/sallyport-gateway/sallyport/internal/gate"
)

// readAll lets a role read everything: pg_read_all_data is new in 14.
const readAll = `DO $$
DECLARE s name;
BEGIN
  IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'pg_read_all_data') THEN
    GRANT pg_read_all_data TO other;
    RETURN;
  END IF;
  FOR s IN SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' LOOP
    EXECUTE format('GRANT USAGE ON SCHEMA %1$I TO other; GRANT SELECT ON ALL TABLES IN SCHEMA %1$I TO other; GRANT SELECT ON ALL SEQUENCES IN SCHEMA %1$I TO other', s);
  END LOOP;
END $$`

// capture runs a program against a server that logs every statement, and returns
// the statements in order.
func capture(t *testing.T, name string, args ...string) []string {
	t.Helper()
	ctx := context.Background()
	c, err := theServer.connect(ctx, "postgres", "postgres")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(ctx)
	log := filepath.Join(theServer.dir, "log")
	set := func(sql string) {
		if a := ask(t, c, sql); a.err != nil {
			t.Fatal(a.err)
		}
	}
	set("ALTER ROLE other LOGIN")
	inside, err := theServer.connect(ctx, database, "postgres")
	if err != nil {
		t.Fatal(err)
	}
	defer inside.Close(ctx)
	if a := ask(t, inside, readAll); a.err != nil {
		t.Fatal(a.err)
	}
	set("ALTER ROLE other SET log_statement = 'all'")
	set("ALTER ROLE other SET lc_messages = 'C'")
	before, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(name, append([]string{"-h", "127.0.0.1", "-p", strconv.Itoa(theServer.port), "-U", "other", "-d", database}, args...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", name, err, out)
	}
	set("ALTER ROLE other NOLOGIN")
	after, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, entry := range regexp.MustCompile(`(?m)^\S+ \S+ \S+ \[\d+\] `).Split(string(after[len(before):]), -1) {
		if _, sql, ok := strings.Cut(entry, "LOG:  statement: "); ok {
			out = append(out, strings.ReplaceAll(strings.TrimRight(sql, "\n"), "\n\t", "\n"))
		} else if _, sql, ok := strings.Cut(entry, "LOG:  execute "); ok {
			_, sql, _ = strings.Cut(sql, ": ")
			out = append(out, strings.ReplaceAll(strings.TrimRight(sql, "\n"), "\n\t", "\n"))
		}
	}
	if len(out) == 0 {
		t.Fatalf("no statement in %q", after[len(before):])
	}
	return out
}

// readable fails for statements that are not plain reads under masking.
func readable(t *testing.T, in *Inspector, statements []string) {
	t.Helper()
	var buf Buffer
	for _, s := range statements {
		i, err := in.Inspect(context.Background(), corpusEnv, s, &buf)
		if err != nil {
			t.Errorf("%q: %v", s, err)
			continue
		}
		if i.Shape.Effects&^gate.EffectRead != 0 {
			t.Errorf("%q has effects %v %v %v", s, i.Shape.Effects, i.Shape.Facts.Unreviewed, i.Shape.Facts.Functions)
		}
		if _, err := i.AppendSQL(nil, nil); err != nil {
			t.Errorf("%q: %v", s, err)
		}
	}
	t.Logf("%d statements", len(statements))
}

func TestCatalogQueriesOfPsqlAreReadsUnderMasking(t *testing.T) {
	in := inspector(t, database, corpusMarks, corpusFunctions)
	var args []string
	for _, c := range []string{`\d`, `\d+`, `\d customers`, `\d+ customers`, `\d+ orders`, `\d+ payments`, `\d+ customer_contact`, `\dt`, `\dt+`, `\dv`, `\dm`, `\di+`, `\ds`, `\df`, `\df+`, `\dn+`, `\l`, `\l+`, `\dT+`, `\dD`, `\do`, `\dC`, `\dO`, `\dx`, `\du`, `\dp`, `\ddp`, `\dy`, `\dE`, `\dF`, `\da`, `\dA`, `\db`, `\dconfig`, `\drds`, `\dRp`, `\sf order_total`, `\sv order_summary`, `\encoding`, `\conninfo`, `\z customers`, `\dd`, `\dL`, `\dP`, `\dX`} {
		args = append(args, "-c", c)
	}
	readable(t, in, capture(t, "psql", append([]string{"-X"}, args...)...))
}

func TestPgDumpOfTheSchemaIsARead(t *testing.T) {
	in := inspector(t, database, corpusMarks, corpusFunctions)
	readable(t, in, capture(t, "pg_dump", "--schema-only"))
}

func TestQueriesOfDriversAreReadsUnderMasking(t *testing.T) {
	in := inspector(t, database, corpusMarks, corpusFunctions)
	readable(t, in, []string{
		// JDBC
		"SET extra_float_digits = 3", "SET application_name = 'PostgreSQL JDBC Driver'", "SHOW TRANSACTION ISOLATION LEVEL",
		"SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED",
		"SELECT typinput='pg_catalog.array_in'::regproc as is_array, typtype, typname, pg_type.oid   FROM pg_catalog.pg_type   LEFT JOIN (select ns.oid as nspoid, ns.nspname, r.r           from pg_namespace as ns           join ( select s.r, (current_schemas(false))[s.r] as nspname                    from generate_series(1, array_upper(current_schemas(false), 1)) as s(r) ) as r          using ( nspname )        ) as sp     ON sp.nspoid = typnamespace  WHERE pg_type.oid = $1  ORDER BY sp.r, pg_type.oid DESC",
		"SELECT NULL AS TABLE_CAT, n.nspname AS TABLE_SCHEM, c.relname AS TABLE_NAME, CASE n.nspname ~ '^pg_' OR n.nspname = 'information_schema' WHEN true THEN 'SYSTEM TABLE' ELSE 'TABLE' END AS TABLE_TYPE, d.description AS REMARKS FROM pg_catalog.pg_namespace n, pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_description d ON (c.oid = d.objoid AND d.objsubid = 0 and d.classoid = 'pg_class'::regclass) WHERE c.relnamespace = n.oid ORDER BY TABLE_TYPE,TABLE_SCHEM,TABLE_NAME",
		"SELECT * FROM (SELECT n.nspname,c.relname,a.attname,a.atttypid,a.attnotnull OR (t.typtype = 'd' AND t.typnotnull) AS attnotnull,a.atttypmod,a.attlen,t.typtypmod,row_number() OVER (PARTITION BY a.attrelid ORDER BY a.attnum) AS attnum, nullif(a.attidentity, '') as attidentity,nullif(a.attgenerated, '') as attgenerated,pg_catalog.pg_get_expr(def.adbin, def.adrelid) AS adsrc,dsc.description,t.typbasetype,t.typtype FROM pg_catalog.pg_namespace n JOIN pg_catalog.pg_class c ON (c.relnamespace = n.oid) JOIN pg_catalog.pg_attribute a ON (a.attrelid=c.oid) JOIN pg_catalog.pg_type t ON (a.atttypid = t.oid) LEFT JOIN pg_catalog.pg_attrdef def ON (a.attrelid=def.adrelid AND a.attnum = def.adnum) LEFT JOIN pg_catalog.pg_description dsc ON (c.oid=dsc.objoid AND a.attnum = dsc.objsubid) WHERE c.relkind in ('r','p','v','f','m') and a.attnum > 0 AND NOT a.attisdropped AND c.relname LIKE 'orders') c WHERE true ORDER BY nspname,c.relname,attnum",
		// psycopg2, node-postgres, pgx, SQLAlchemy, Django, ActiveRecord, Metabase
		"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", "BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT a", "RELEASE SAVEPOINT a", "ROLLBACK TO SAVEPOINT a",
		"SET datestyle TO 'ISO'", "SET client_encoding TO 'UTF8'", "SET TIME ZONE 'UTC'", "SET SESSION timezone TO 'UTC'", "SET standard_conforming_strings = on",
		"SET client_min_messages TO 'warning'", "SET intervalstyle = iso_8601", "select pg_catalog.version()", "show standard_conforming_strings",
		"SELECT CAST('test plain returns' AS VARCHAR(60)) AS anon_1", "select current_schema()", "SHOW transaction isolation level",
		"SELECT t.oid, typarray FROM pg_type t JOIN pg_namespace ns ON typnamespace = ns.oid WHERE typname = 'hstore'",
		"SELECT pg_catalog.pg_class.relname FROM pg_catalog.pg_class JOIN pg_catalog.pg_namespace ON pg_catalog.pg_namespace.oid = pg_catalog.pg_class.relnamespace WHERE pg_catalog.pg_class.relkind = ANY (ARRAY['r','p']) AND pg_catalog.pg_table_is_visible(pg_catalog.pg_class.oid)",
		"SELECT table_name, column_name, data_type FROM information_schema.columns WHERE table_schema NOT IN ('pg_catalog', 'information_schema') ORDER BY 1, 2",
		"SELECT tc.constraint_name, kcu.column_name, ccu.table_name FROM information_schema.table_constraints tc JOIN information_schema.key_column_usage kcu ON tc.constraint_name = kcu.constraint_name JOIN information_schema.constraint_column_usage ccu ON ccu.constraint_name = tc.constraint_name WHERE tc.constraint_type = 'FOREIGN KEY'",
		"select t.typname, t.oid from pg_type t where t.typtype = 'e'", "SELECT 1 AS \"one\" FROM \"orders\" LIMIT 1",
		"SELECT a.attname FROM (SELECT indrelid, indkey, generate_subscripts(indkey, 1) idx FROM pg_index WHERE indrelid = '\"orders\"'::regclass AND indisprimary) i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[i.idx] ORDER BY i.idx",
		"SELECT to_tsvector('english', body) @@ to_tsquery('refund') FROM tickets", "SELECT meta @> '{\"src\":\"web\"}' FROM orders",
		"SELECT date_trunc('week', placed_at) + interval '1 day', extract(epoch from placed_at), placed_at AT TIME ZONE 'UTC' FROM orders",
		"SELECT width_bucket(total, 0, 100, 5), ntile(4) OVER (ORDER BY total), percentile_cont(0.9) WITHIN GROUP (ORDER BY total) FROM orders GROUP BY total",
		"SELECT substring(body from 1 for 3), trim(both ' ' from body), position('a' in body), overlay(body placing 'x' from 1) FROM tickets",
		"SELECT current_date, current_timestamp, localtime, current_user, session_user, current_catalog", "SELECT xmlelement(name a, xmlattributes(1 as b), 'c')",
		"SELECT * FROM json_to_recordset('[{\"a\":1}]') AS x(a int)", "SELECT ARRAY[1,2] || 3, '{1,2}'::int[] && ARRAY[2], (ARRAY[1,2])[1:1]",
		"SELECT grouping(status), status, count(*) FROM orders GROUP BY CUBE (status)", "DEALLOCATE ALL", "CLOSE ALL", "DISCARD PLANS",
	})
}
