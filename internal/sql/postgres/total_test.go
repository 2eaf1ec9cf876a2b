package postgres

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// extremes are values of types, for which functions are most likely to fail.
var extremes = map[string][]string{
	"text":        {`''`, `'a'`, `E'\n"\''`, `'äöü☃'`, `repeat('x', 5000)`, `'%_\'`, `'-1'`, `'('`},
	"varchar(20)": {`''`, `'a@b'`},
	"char(5)":     {`''`, `'é'`},
	"bytea":       {`''`, `'\x00ff'`, `'\xc3'`, `'\x61'`},
	"int2":        {`0`, `32767`, `'-32768'`},
	"int4":        {`0`, `-1`, `2147483647`, `'-2147483648'`},
	"int8":        {`0`, `9223372036854775807`, `'-9223372036854775808'`},
	"numeric":     {`0`, `'NaN'`, `1e400`, `-1e400`, `1e-16000`, `-1.5`},
	"float4":      {`0`, `'NaN'`, `'Infinity'`, `3e38`, `1e-45`},
	"float8":      {`0`, `'NaN'`, `'-Infinity'`, `1.7e308`, `5e-324`, `-1e200`},
	"bool":        {`true`, `false`},
	"date":        {`'2020-01-01'`, `'infinity'`, `'5874897-12-31'`, `'4713-01-01 BC'`},
	"timestamp":   {`'2020-01-01'`, `'-infinity'`, `'294276-12-31'`, `'4713-01-01 BC'`},
	"timestamptz": {`'2020-01-01'`, `'infinity'`, `'294276-12-31'`, `'4713-06-01 BC'`},
	"time":        {`'00:00'`, `'24:00'`},
	"interval":    {`'0'`, `'-178000000 years'`, `'2147483647 days'`, `'2147483647 hours'`},
	"uuid":        {`'00000000-0000-0000-0000-000000000000'`, `'ffffffff-ffff-ffff-ffff-ffffffffffff'`},
	"json":        {`'1'`, `'{}'`, `'[]'`, `'{"a":{"b":1}}'`, `'{"a":"\u0000"}'`, `'["\ud800"]'`, `'{"a":1e1000000}'`},
	"jsonb":       {`'1'`, `'{}'`, `'[]'`, `'{"a":{"b":1}}'`, `'null'`, `'1e1000'`},
	"text[]":      {`'{}'`, `'{a}'`, `'{a,NULL,b}'`, `'{{a,b},{c,d}}'`, `'[5:6]={a,b}'`},
	"int4[]":      {`'{}'`, `'{1}'`, `'{{1,2},{3,4}}'`},
	"json[]":      {`'{}'`, `ARRAY['{"a":"\u0000"}'::json]`},
	"inet":        {`'1.2.3.4'`, `'::1/64'`},
	"macaddr8":    {`'08:00:2b:01:02:03:04:05'`, `'08:00:2b:ff:fe:03:04:05'`},
	"money":       {`'0'`, `'-92233720368547758.08'`},
	"varbit":      {`B''`, `B'10101'`},
	"box":         {`'(0,0),(1,1)'`, `'(1e308,1e308),(-1e308,-1e308)'`, `'(1e-300,1e-300),(0,0)'`},
	"circle":      {`'<(0,0),1>'`, `'<(0,0),1e200>'`, `'<(-1e308,0),NaN>'`},
	"point":       {`'(0,0)'`, `'(1e308,-1e308)'`},
	"path":        {`'((0,0),(1,1))'`, `'[(1e308,1e308),(-1e308,-1e308)]'`},
	"polygon":     {`'((0,0),(1,1),(1,0))'`, `'((1e308,1e308),(-1e308,-1e308),(1e308,-1e308))'`},
	"tsvector":    {`''`, `'a:1A b:2'`},
	"xml":         {`'<a/>'`, `'x'`},
	"int4range":   {`'empty'`, `'(,)'`, `'[1,5)'`},
	"daterange":   {`'empty'`, `'[-infinity,5874897-01-01]'`, `'(,)'`},
	"mood":        {`'sad'`, `'ok'`},
	"pair":        {`ROW('{"a":"\u0000"}', 1)`, `ROW(NULL, NULL)`, `ROW('{}', 2)`},
	"short":       {`''`, `'abc'`},
}

// What definitions compute of labelled columns is not refused if it gives a value for
// all of theirs: each function and operator of which that is said is tried on a server.
func TestWhatIsSaidToGiveAValueForEveryValueFailsForNone(t *testing.T) {
	const rows = 8
	types := []string{}
	for name := range extremes {
		types = append(types, name)
	}
	slices.Sort(types)
	column := func(i int) string { return fmt.Sprintf("c%d", i) }
	table, insert := "CREATE TABLE t (id int", []string{}
	marks := []string{}
	for i, name := range types {
		table += fmt.Sprintf(", %s %s", column(i), name)
		marks = append(marks, "public.t."+column(i))
	}
	for row := range rows {
		values := fmt.Sprint(row)
		for _, name := range types {
			value := "NULL"
			if row < len(extremes[name]) {
				value = extremes[name][row]
			}
			values += ", " + value
		}
		insert = append(insert, "INSERT INTO t VALUES ("+values+")")
	}
	fresh(t, "total", append([]string{"CREATE TYPE mood AS ENUM ('sad', 'ok')", "CREATE TYPE pair AS (j json, n int)", "CREATE DOMAIN short AS varchar(9)", table + ")",
		// printed is an expression as PostgreSQL prints it in a view.
		`CREATE FUNCTION printed(e text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN
		 EXECUTE 'CREATE VIEW v AS SELECT ' || e || ' AS x FROM t'; e := pg_get_viewdef('v'::regclass); DROP VIEW v;
		 RETURN regexp_replace(e, '^ *SELECT (.*) AS x\s+FROM t;$', '\1'); EXCEPTION WHEN others THEN RETURN NULL; END $$`,
		// tried counts for how many values, or pairs of them, an expression works and fails.
		`CREATE FUNCTION tried(e text, c text, pairs bool, OUT good int, OUT bad int, OUT message text) LANGUAGE plpgsql AS $$ DECLARE n int; BEGIN
		 good := 0; bad := 0; FOR i IN 0..7 LOOP FOR j IN CASE WHEN pairs THEN i + 1 ELSE i END..CASE WHEN pairs THEN 7 ELSE i END LOOP BEGIN
		 EXECUTE 'SELECT count(*) FROM t WHERE id IN ($1, $2) AND ' || c || ' IS NOT NULL' INTO n USING i, j; CONTINUE WHEN n < 1 + (i <> j)::int;
		 EXECUTE 'SELECT ' || e || ' FROM t WHERE id IN ($1, $2)' USING i, j; good := good + 1;
		 EXCEPTION WHEN others THEN bad := bad + 1; message := sqlerrm; END; END LOOP; END LOOP; END $$`,
	}, insert...)...)
	in := inspector(t, "total", map[string][]string{"l": marks}, nil)
	rel := in.cat.byName[qualified{"public", "t"}]
	ctx := context.Background()
	conn, err := theServer.connect(ctx, "total", "postgres")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	query := func(sql string) [][]byte {
		var out [][]byte
		err := querier{conn}.Query(ctx, sql, func(row [][]byte) error {
			for _, v := range row {
				out = append(out, slices.Clone(v))
			}
			return nil
		})
		if err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
		return out
	}
	tried := 0
	try := func(expr, c string, pairs bool) {
		printed := query("SELECT printed(" + quoteLiteral(expr) + ")")[0]
		if printed == nil {
			return
		}
		a := in.defining()
		if in.expression(ctx, a, "it", string(printed), rel); a.forced != 0 || a.opaque {
			return
		}
		tried++
		got := query(fmt.Sprintf("SELECT * FROM tried(%s, %s, %t)", quoteLiteral(expr), quoteLiteral(c), pairs))
		if string(got[0]) != "0" && string(got[1]) != "0" {
			t.Errorf("%s is said to give a value for every %s, but: %s", expr, types[slices.Index(marks, "public.t."+c)], got[2])
		}
	}
	units := strings.Fields("microseconds hour day week month quarter year century epoch julian timezone")
	for i := range types {
		c := column(i)
		for _, f := range strings.Fields(totalFunctions) {
			aggregate := strings.Contains(" array_agg avg bool_and bool_or count every json_agg jsonb_agg max min string_agg ", " "+f+" ")
			for _, rest := range []string{"", ", 'a'::text", ", 1", ", 'UTF8'::name", ", " + c} {
				try(f+"("+c+rest+")", c, aggregate)
			}
		}
		for _, f := range strings.Fields(totalFirst) {
			for _, rest := range []string{", 'a'::text", ", 1", ", 'a'::text, 1", ", '(a)|b'::text, 'b'::text", ", 1, 'x'::text", ", 2, 3"} {
				try(f+"("+c+rest+")", c, false)
			}
		}
		for _, format := range strings.Fields("YYYY-MM-DDTH TMMonth HH24:MI J IW 999 9.99 9V99 RN 999TH S9EEEE L9PR") {
			try("to_char("+c+", '"+format+"')", c, false)
		}
		for _, unit := range units {
			try("date_trunc('"+unit+"', "+c+")", c, false)
			try("date_part('"+unit+"', "+c+")", c, false)
			try("extract("+unit+" FROM "+c+")", c, false)
		}
		try("array_agg(regexp_match("+c+", 'a'))", c, true)
		try("json_object_agg(id, "+c+")", c, true)
		for _, cast := range strings.Fields("text varchar(2) int4 int8 numeric date json") {
			try(c+"::"+cast, c, false)
		}
		for _, op := range append(strings.Fields(totalOperators), "||", "LIKE", "~~*", "IS DISTINCT FROM") {
			for _, other := range []string{c, "'a'::text", "1", "'{a}'::text[]", "'{}'::jsonb", "1.5::float8"} {
				try(c+" "+op+" "+other, c, false)
				try(other+" "+op+" "+c, c, false)
			}
		}
		try("CASE "+c+" WHEN "+c+" THEN 1 END", c, false)
		try(c+" = ANY (SELECT "+c+" FROM t)", c, false)
		try("greatest("+c+", "+c+")", c, false)
	}
	if tried < 1000 {
		t.Errorf("only %d expressions were tried", tried)
	}
	t.Logf("%d expressions were tried", tried)
}
