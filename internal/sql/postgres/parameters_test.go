package postgres

import (
	"encoding/hex"
	"strings"
	"testing"
)

func TestLiteralsThatParametersCanStandFor(t *testing.T) {
	fresh(t, "parametered", "CREATE TABLE t (id int PRIMARY KEY, big bigint, name text, code varchar(9), at timestamptz, f float8, tag uuid, kind \"char\", secret text)", "CREATE DOMAIN short AS text CHECK (length(VALUE) < 5)", "CREATE TABLE d (id int, s short)")
	in := inspector(t, "parametered", map[string][]string{"pii": {"public.t.secret"}}, nil)
	const int4, int8, any = "00000017", "00000014", "00000000"
	for text, want := range map[string]struct {
		sent  string // behind WHERE
		types string
		kept  bool
	}{
		"SELECT id FROM t WHERE id = 5":                                        {"id = $1", int4, true},
		"SELECT id FROM t WHERE 5 < id AND big <> 12345678901 OR NOT id >= 7":  {"$1 < id and big <> $2 or not id >= $3", int4 + int8 + int4, true},
		"SELECT id FROM t WHERE name = 'it''s' AND code < E'\\x41'":            {"name = $1 and code < $2", any + any, true},
		"SELECT id FROM t WHERE tag = 'x'::uuid AND name = 'y'::varchar(1)":    {"tag = $1 :: uuid and name = 'y' :: varchar ( 1 )", any, false},
		"SELECT id FROM t WHERE tag = CAST('x' AS uuid)":                       {"tag = cast ( $1 as uuid )", any, true},
		"SELECT id FROM t WHERE id = 5 AND at > 'now'":                         {"id = $1 and at > 'now'", int4, false},
		"SELECT id FROM t WHERE kind = 'x'":                                    {"kind = 'x'", "", false},
		"SELECT id FROM t WHERE f = 1.5 AND id = 1.0":                          {"f = 1.5 and id = 1.0", "", true},
		"SELECT id FROM t WHERE id = -5":                                       {"id = -5", "", true},
		"SELECT id FROM t WHERE id IN (1, 2) AND id BETWEEN 3 AND 4":           {"id in ( 1, 2 ) and id between 3 and 4", "", true},
		"SELECT id FROM t WHERE id + 1 = 5":                                    {"id + 1 = $1", int4, true},
		"SELECT id FROM t WHERE (SELECT count(*) FROM t u WHERE u.id < 4) = 9": {"( select pg_catalog.count ( * ) from public.t u where u.id < $1 ) = $2", int4 + int4, true},
		"SELECT id FROM t WHERE id IN (SELECT id % 3 FROM t WHERE id > 1 GROUP BY id % 3 HAVING count(*) > 2 ORDER BY 1 LIMIT 4)": {
			"id in ( select id % 3 from public.t where id > $1 group by id % 3 having pg_catalog.count ( * ) > 2 order by 1 limit 4 )", int4, true},
		"SELECT id FROM d WHERE s = 'x'":                           {"s = 'x'", "", false},
		"SELECT id FROM t WHERE id = $1 AND big = 3":               {"id = $1 and big = 3", "", false},
		"SELECT id FROM t WHERE id = 3 FOR UPDATE":                 {"id = $1 for update", int4, true},
		"SELECT 1 FROM t WHERE id = 3; SELECT 2 FROM t WHERE true": {"id = 3 ; select 2 from public.t where true", "", false},
		"SELECT current_query() FROM t WHERE id = 3":               {"id = $1", int4, false},
		"SELECT statement FROM pg_cursors, t WHERE t.id = 3":       {"t.id = $1", int4, false},
		"UPDATE t SET big = 1 WHERE id = 3":                        {"id = 3", "", false},
		"DECLARE c CURSOR FOR SELECT id FROM t WHERE id = 3":       {"id = 3", "", false},
		"EXPLAIN SELECT id FROM t WHERE id = 3":                    {"id = 3", "", false},
	} {
		i := inspect(t, in, text)
		sent, err := i.AppendParameters(nil, nil)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		_, where, _ := strings.Cut(string(sent), " where ")
		if got := strings.Join(strings.Fields(where), " "); spaceless(got) != spaceless(want.sent) || hex.EncodeToString(i.Shape.ParameterTypes) != want.types || i.Shape.Kept != want.kept {
			t.Errorf("%s: %s, types %x, kept %t", text, got, i.Shape.ParameterTypes, i.Shape.Kept)
		}
	}
	i := inspect(t, in, `SELECT id FROM t WHERE name = 'it''s \ ''' AND 7 > id AND name <> U&'\00e4'`)
	for n, want := range []string{`it's \ '`, "7", "ä"} {
		if got := string(i.AppendParameter(nil, n)); got != want {
			t.Errorf("parameter %d is %q", n+1, got)
		}
	}
}

func spaceless(text string) string { return strings.NewReplacer(" ", "", `"`, "").Replace(text) }
