package postgres

import (
	"context"
	"strings"
	"testing"

	"github.com/sallyport-gateway/sallyport/internal/gate"
)

// Whatever the mask of a policy shows of its values, of what other sessions have sent it
// shows nothing.
func TestNoMaskShowsPartOfWhatOthersHaveSent(t *testing.T) {
	fresh(t, "activity", "CREATE TABLE t (v text)", "CREATE VIEW act AS SELECT pid, lower(query) AS q, query FROM pg_stat_activity")
	in := inspector(t, "activity", map[string][]string{"l": {"public.t.v"}}, nil)
	ctx := context.Background()
	conn := connected(t, "activity")
	const secret = "mallory@78.example"
	for _, mask := range []string{gate.MaskRedact, MaskNull, MaskLast4, MaskEmail, MaskDigits, MaskDateYear} {
		for _, text := range []string{
			"SELECT query FROM pg_stat_activity WHERE pid = pg_backend_pid() AND '" + secret + "' <> ''",
			"SELECT to_jsonb(a) - 'backend_start' FROM pg_stat_activity a WHERE pid = pg_backend_pid() AND '" + secret + "' <> ''",
			"SELECT q, query FROM act WHERE pid = pg_backend_pid() AND '" + secret + "' <> ''",
			"SELECT query IS NULL, length(query), query_id FROM pg_stat_activity WHERE pid = pg_backend_pid() AND '" + secret + "' <> ''",
		} {
			if strings.Contains(text, "query_id") && in.cat.version < 140000 {
				text = strings.Replace(text, ", query_id", "", 1)
			}
			sql, err := inspect(t, in, text).AppendSQL(nil, gate.Masks{"l": mask})
			if err != nil {
				continue // refused
			}
			r, err := conn.Exec(ctx, string(sql)).ReadAll()
			if err != nil || len(r) != 1 || len(r[0].Rows) != 1 {
				t.Fatal(text, err)
			}
			for i, value := range r[0].Rows[0] {
				got := string(value)
				if strings.Contains(got, "mallory") || strings.Contains(got, "78.example") || strings.Contains(got, "***") || strings.Contains(strings.ToLower(got), "select") {
					t.Errorf("%s, column %d under %s: %q", text, i, mask, got)
				}
			}
		}
	}
}
