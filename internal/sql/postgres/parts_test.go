package postgres

import (
	"context"
	"strings"
	"testing"

	"github.com/sallyport-gateway/sallyport/internal/gate"
)

func TestPartialMasksSuitElementsFieldsAndMembers(t *testing.T) {
	fresh(t, "kinds", "CREATE DOMAIN mail AS text CHECK (value LIKE '%@%')", "CREATE TYPE pair AS (v text, d date)", "CREATE TYPE deep AS (p pair, n int, m mail)",
		"CREATE TABLE t (a text[], b date[], c mail, d pair, e jsonb, f deep, g mail[], h deep, i pair[], j json, k jsonb)",
		`INSERT INTO t VALUES ('{alice@example.org,NULL,4111-1111}', '{2001-02-03}', 'alice@example.org', ROW('4111-1111', '2001-02-03'), '{"v": "4111-1111", "n": 4711, "o": {"x": "4711"}}',
			ROW(ROW('4111-1111', '2001-02-03'), 7, 'alice@example.org'), '{alice@example.org}', ROW(ROW('4111-1111', NULL), 7, 'a@b'), ARRAY[ROW('4111-1111', NULL)::pair], '{"v": "4111-1111"}', '[{"v": ["4111-1111"]}, [{"v": 1}], null]')`,
		"INSERT INTO t VALUES ('{}', '{}', NULL, ROW(NULL, NULL), '{}', ROW(NULL, NULL, NULL), '{}')")
	in := inspector(t, "kinds", map[string][]string{"l": {"public.t.a", "public.t.b", "public.t.c", "public.t.d", "public.t.e.v", "public.t.e.n", "public.t.e.o", "public.t.f.p.v", "public.t.f.m",
		"public.t.g", "public.t.h.p", "public.t.i", "public.t.j.v", "public.t.k.v"}}, nil)
	ctx := context.Background()
	conn, err := theServer.connect(ctx, "kinds", "postgres")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	for mask, want := range map[string][2]string{
		gate.MaskRedact: {`{[redacted]}|NULL|[redacted]|([redacted],)|{"n": "[redacted]", "o": "[redacted]", "v": "[redacted]"}|("([redacted],2001-02-03)",7,)|NULL|("([redacted],)",7,a@b)|NULL|"[redacted]"|[{"v": "[redacted]"}, "[redacted]", null]`,
			`{[redacted]}|NULL|NULL|(,)|{}|(,,)|NULL|NULL|NULL|NULL|NULL`},
		MaskNull: {`NULL|NULL|NULL|NULL|{"n": null, "o": null, "v": null}|("(,2001-02-03)",7,)|NULL|(,7,a@b)|NULL|NULL|[{"v": null}, "[redacted]", null]`,
			`NULL|NULL|NULL|NULL|{}|(,,)|NULL|NULL|NULL|NULL|NULL`},
		MaskLast4: {`{****.org,NULL,****1111}|NULL|****.org|(****1111,)|{"n": "****", "o": "[redacted]", "v": "****1111"}|("(****1111,2001-02-03)",7,)|NULL|("(****1111,)",7,a@b)|NULL|"[redacted]"|[{"v": "[redacted]"}, "[redacted]", null]`,
			`{}|NULL|NULL|(,)|{}|(,,)|NULL|NULL|NULL|NULL|NULL`},
		MaskEmail: {`{a***@example.org,NULL,***}|NULL|a***@example.org|(***,)|{"n": "***", "o": "[redacted]", "v": "***"}|("(***,2001-02-03)",7,)|NULL|("(***,)",7,a@b)|NULL|"[redacted]"|[{"v": "[redacted]"}, "[redacted]", null]`,
			`{}|NULL|NULL|(,)|{}|(,,)|NULL|NULL|NULL|NULL|NULL`},
		MaskDigits: {`{alice@example.org,NULL,0000-0000}|NULL|alice@example.org|(0000-0000,)|{"n": "0000", "o": "[redacted]", "v": "0000-0000"}|("(0000-0000,2001-02-03)",7,)|NULL|("(0000-0000,)",7,a@b)|NULL|"[redacted]"|[{"v": "[redacted]"}, "[redacted]", null]`,
			`{}|NULL|NULL|(,)|{}|(,,)|NULL|NULL|NULL|NULL|NULL`},
		MaskDateYear: {`{[redacted],NULL,4111}|{2001-01-01}|[redacted]|(4111,2001-01-01)|{"n": "4711", "o": "[redacted]", "v": "4111"}|("(4111,2001-02-03)",7,)|NULL|("(4111,)",7,a@b)|NULL|"[redacted]"|[{"v": "[redacted]"}, "[redacted]", null]`,
			`{}|{}|NULL|(,)|{}|(,,)|NULL|NULL|NULL|NULL|NULL`},
	} {
		sql, err := inspect(t, in, "SELECT * FROM t").AppendSQL(nil, gate.Masks{"l": mask})
		if err != nil {
			t.Fatal(err)
		}
		got, err := conn.Exec(ctx, string(sql)).ReadAll()
		if err != nil {
			t.Errorf("%s: %v\n%s", mask, err, sql)
			continue
		}
		direct, err := conn.Exec(ctx, "SELECT * FROM t").ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		for i, f := range direct[0].FieldDescriptions {
			if got[0].FieldDescriptions[i].DataTypeOID != f.DataTypeOID && f.Name != "g" {
				t.Errorf("%s: %s became of type %d", mask, f.Name, got[0].FieldDescriptions[i].DataTypeOID)
			}
		}
		for i := range want {
			cells := strings.Split(want[i], "|")
			for c, v := range got[0].Rows[i] {
				s := "NULL"
				if v != nil {
					s = string(v)
				}
				if s != cells[c] {
					t.Errorf("%s, column %s: %s, want %s", mask, got[0].FieldDescriptions[c].Name, s, cells[c])
				}
			}
		}
	}
}
