package postgres

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/sallyport-gateway/sallyport/internal/gate"
)

// TestTokensAreHMACs computes tokens beside the server.
func TestTokensAreHMACs(t *testing.T) {
	fresh(t, "tokens", "CREATE DOMAIN code AS varchar(40) CHECK (value !~ '^tok_')",
		"CREATE TABLE t (a text, b varchar(20), c code, d char(40), e uuid, f bytea, g int8, h int4, i numeric, j numeric(10,2), k numeric(30,2), l date, m varchar(10), n text[], o int8[], p bool, q float8, r int2)",
		"INSERT INTO t VALUES ('x', 'x', 'x', 'x', '00000000-0000-0000-0000-00000000000a', 'x', 4711, 4711, 4711.00, 1, 4711, '2001-02-03', 'x', '{x,y,NULL}', '{4711}', true, 1, 1)", "INSERT INTO t DEFAULT VALUES")
	var marks []string
	for c := 'a'; c <= 'r'; c++ {
		marks = append(marks, "public.t."+string(c))
	}
	in := inspector(t, "tokens", map[string][]string{"pii": marks}, nil)
	ctx := context.Background()
	conn, err := theServer.connect(ctx, "tokens", "postgres")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	for _, key := range []string{"a key of 32 bytes for the tests..", strings.Repeat("long ", 40)} {
		for name, value := range TokenSettings([]byte(key)) {
			if a := ask(t, conn, "SET "+name+" = '"+value+"'"); a.err != nil {
				t.Fatal(a.err)
			}
		}
		mac := func(s string) string {
			h := hmac.New(sha256.New, []byte(key))
			h.Write([]byte(s))
			return hex.EncodeToString(h.Sum(nil))
		}
		x := "tok_" + mac("x")[:32]
		uuid := mac("00000000-0000-0000-0000-00000000000a")
		for column, want := range map[string]string{
			"a": x, "b": x[:20], "c": x, "d": x + "    ", "e": uuid[:8] + "-" + uuid[8:12] + "-" + uuid[12:16] + "-" + uuid[16:20] + "-" + uuid[20:32],
			"f": `\\x` + mac("78"), "j": "", "l": "", "m": "[redacted]", "n": "{" + x + ",tok_" + mac("y")[:32] + ",NULL}", "p": "", "q": "", "r": "",
		} {
			text := "SELECT " + column + " FROM t"
			sql, err := inspect(t, in, text).AppendSQL(nil, gate.Masks{"pii": MaskToken})
			if err != nil {
				t.Fatal(err)
			}
			rows, err := conn.Exec(ctx, string(sql)).ReadAll()
			if err != nil {
				t.Fatalf("%s: %v", sql, err)
			}
			if got := string(rows[0].Rows[0][0]); got != strings.ReplaceAll(want, `\\`, `\`) {
				t.Errorf("%s: %s, want %s", column, got, want)
			}
			if rows[0].Rows[1][0] != nil {
				t.Errorf("%s: NULL became %s", column, rows[0].Rows[1][0])
			}
		}
		// Numbers keep their type and their equality.
		sql, err := inspect(t, in, "SELECT g, h, i, k, o FROM t WHERE a IS NOT NULL").AppendSQL(nil, gate.Masks{"pii": MaskToken})
		if err != nil {
			t.Fatal(err)
		}
		rows, err := conn.Exec(ctx, string(sql)).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		row := rows[0].Rows[0]
		if string(row[2])+".00" != string(row[3]) || strings.Trim(string(row[4]), "{}") != string(row[0]) {
			t.Errorf("numbers %s", row)
		}
		for _, v := range row {
			if strings.Contains(string(v), "4711") || len(v) < 4 {
				t.Errorf("a number is %s", v)
			}
		}
	}
}

func TestNoTextReadsASettingOfTheGateway(t *testing.T) {
	in := inspector(t, database, corpusMarks, nil)
	for _, text := range []string{
		"SHOW sallyport.token_inner", "SHOW sallyport.anything", "SELECT current_setting('sallyport.token_inner')", "SELECT current_setting($1)", "SELECT current_setting(name) FROM customers",
		"SELECT set_config('sallyport.token_inner', NULL, false)", "SELECT set_config($1, NULL, false)", "SET sallyport.token_inner = ''", "RESET sallyport.token_inner", "SELECT pg_catalog.current_setting('SALLYPORT.x', true)",
	} {
		i := inspect(t, in, text)
		if _, err := i.AppendSQL(nil, nil); err == nil || !i.Shape.Effects.Has(gate.EffectAdmin) {
			t.Errorf("%q: %v, %v", text, i.Shape.Effects, err)
		}
	}
	for _, text := range []string{"SHOW sallyport.session", "SELECT current_setting('sallyport.session')", "SELECT current_setting('server_version_num')::int", "SHOW ALL", "SELECT current_setting(s.name) FROM pg_catalog.pg_settings s"} {
		i := inspect(t, in, text)
		if _, err := i.AppendSQL(nil, nil); err != nil || i.Shape.Effects != gate.EffectRead {
			t.Errorf("%q: %v, %v", text, i.Shape.Effects, err)
		}
	}
}
