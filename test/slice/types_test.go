package slice_test

import (
	"strconv"
	"testing"

	"github.com/sallyport-gateway/sallyport/test/pgtest"
)

// A client declares the types of its parameters by number. Such a type may be a
// domain whose constraint is code that nobody reviewed.
func TestADeclaredParameterTypeRunsNothing(t *testing.T) {
	w := the(t)
	pgtest.Query(t, w.pg, "shop", `
		CREATE TABLE trap (n int);
		CREATE FUNCTION spring(text) RETURNS boolean LANGUAGE plpgsql AS $$BEGIN INSERT INTO trap VALUES (1); RETURN true; END$$;
		CREATE DOMAIN trapped AS text CHECK (spring(VALUE));
		GRANT ALL ON trap TO PUBLIC`)
	t.Cleanup(func() {
		pgtest.Query(t, w.pg, "shop", "DROP DOMAIN trapped; DROP FUNCTION spring(text); DROP TABLE trap")
	})
	oid, err := strconv.ParseUint(pgtest.Query(t, w.pg, "shop", "SELECT 'trapped'::regtype::oid")[0][0], 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	a := w.gw.connect(t, "shop", w.token(t, reporter))
	for name, text := range map[string]string{"null": "SELECT $1 IS NULL", "value": "SELECT $1"} {
		if _, err := a.PgConn().Prepare(t.Context(), name, text, []uint32{uint32(oid)}); err != nil {
			t.Logf("%s: refused: %v", text, err)
			continue
		}
		r := a.PgConn().ExecPrepared(t.Context(), name, [][]byte{[]byte("x")}, nil, nil).Read()
		if r.Err != nil {
			t.Errorf("%s: %v", text, r.Err)
		}
	}
	if n := pgtest.Query(t, w.pg, "shop", "SELECT count(*) FROM trap")[0][0]; n != "0" {
		t.Errorf("the domain's constraint ran %s times", n)
	}
}
