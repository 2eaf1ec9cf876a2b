package postgres

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-gateway/sallyport/internal/gate"
)

func TestSettingsThatChangeNoMeaningAreHarmless(t *testing.T) {
	in := inspector(t, database, corpusMarks, corpusFunctions)
	for _, text := range []string{
		"SET work_mem = '64MB'", "SET work_mem = 65536", "SELECT set_config('work_mem', '256MB', false)", "SET hash_mem_multiplier = 2.5", "SET temp_buffers = 1000", "SET maintenance_work_mem = '1GB'",
		"SET default_text_search_config = 'pg_catalog.english'", "SET default_text_search_config = german", "SET seed TO 0.5", "SET default_tablespace = ''", "SET default_table_access_method = heap",
		"SET synchronous_commit = on", "SET lock_timeout = 0", "SET transaction_timeout = 0", "SET default_toast_compression = lz4", "SET timezone_abbreviations = 'Australia'",
		"RESET statement_timeout", "RESET search_path", "RESET work_mem", "RESET client_encoding", "RESET ALL", "SET DateStyle TO DEFAULT", "SET TIME ZONE LOCAL", "RESET extra_float_digits", "DISCARD PLANS", "DISCARD SEQUENCES",
	} {
		if s := inspect(t, in, text).Shape; s.Effects != gate.EffectRead {
			t.Errorf("%q has effects %v", text, s.Effects)
		}
	}
	for _, text := range []string{
		"SET work_mem = '257MB'", "SET work_mem = 2147483647", "SET work_mem = '0.5GB'", "SET work_mem = '1TB'", "SET work_mem = -1", "SET temp_buffers = 100000", "SET hash_mem_multiplier = 1000", "SET hash_mem_multiplier = 'NaN'",
		"SET default_text_search_config = 'public.english'", "SET default_text_search_config = mine", "SET default_tablespace = 'fast'", "SET synchronous_commit = off", "SET default_table_access_method = mine",
		"SET debug_print_plan = on", "SET trace_sort = on", "SET trace_notify = on", "SET exit_on_error = on", "SET tcp_user_timeout = 1", "SET wal_sender_timeout = 0", "SET log_parameter_max_length_on_error = -1",
		"SET password_encryption = md5", "SET myapp.tenant = '7'", "RESET myapp.tenant", "SET sallyport.session = 'x'", "SET ROLE other", "RESET ROLE", "RESET SESSION AUTHORIZATION", "RESET transaction_read_only",
		"SET row_security = on", "SET transform_null_equals = on", "SET transaction_read_only = off", "SET local_preload_libraries = x",
	} {
		if s := inspect(t, in, text).Shape; !s.Effects.Has(gate.EffectAdmin) {
			t.Errorf("%q has effects %v", text, s.Effects)
		}
	}
}

func TestTheUserOfAPathIsNobodyWhereNoSchemaHasItsName(t *testing.T) {
	in := inspector(t, database, corpusMarks, corpusFunctions)
	for _, nobody := range []bool{true, false} {
		env := &Env{SearchPath: []string{"public"}, Database: database, NoUserSchema: nobody}
		for text, same := range map[string]bool{
			`SET search_path TO "$user", public`: true, `SET search_path = '$user', public`: true, `SELECT set_config('search_path', '"$user", public', false)`: true,
			`SET search_path TO "$user", app`: false, `SET search_path TO "$user, public"`: false, `SET search_path TO "$USER", public`: false, "SET search_path TO public": true,
		} {
			var buf Buffer
			i, err := in.Inspect(context.Background(), env, text, &buf)
			if err != nil {
				t.Fatal(err)
			}
			if want := same && (nobody || !strings.Contains(text, "$")); i.Shape.Effects.Has(gate.EffectAdmin) == want {
				t.Errorf("%s has effects %v, no schema of that name: %v", text, i.Shape.Effects, nobody)
			}
		}
	}
}

// TestEveryHarmlessSettingIsOneThatEveryRoleMaySet asks the server: a name that it
// does not know is of another version, one that it reserves is a mistake.
func TestEveryHarmlessSettingIsOneThatEveryRoleMaySet(t *testing.T) {
	ctx := context.Background()
	c, err := theServer.connect(ctx, database, "postgres")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(ctx)
	results, err := c.Exec(ctx, "SELECT name, context, boot_val FROM pg_settings").ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range results[0].Rows {
		name := strings.ToLower(string(row[0]))
		if context := string(row[1]); harmless(name) != nil && context != "user" {
			t.Errorf("%s is harmless, but of context %s", name, context)
		}
	}
}

func TestNoTimeoutMeansThePinnedOne(t *testing.T) {
	in := inspector(t, database, corpusMarks, corpusFunctions)
	env := &Env{SearchPath: []string{"public"}, Database: database, StatementTimeout: 7 * time.Second}
	for text, want := range map[string]string{
		"SET statement_timeout = 0":                   "set statement_timeout = 7000",
		"SET SESSION statement_timeout TO 0":          "set session statement_timeout to 7000",
		"SET LOCAL statement_timeout = '0'":           "set local statement_timeout = 7000",
		"SET statement_timeout = 8000":                "",
		"SET statement_timeout = '6s'":                "set statement_timeout = '6s'",
		"SET idle_in_transaction_session_timeout = 0": "set idle_in_transaction_session_timeout = 0",
		"SET transaction_timeout = 0":                 "",
	} {
		var buf Buffer
		i, err := in.Inspect(context.Background(), env, text, &buf)
		if err != nil {
			t.Fatal(err)
		}
		if admin := i.Shape.Effects.Has(gate.EffectAdmin); admin != (want == "") {
			t.Errorf("%q has effects %v", text, i.Shape.Effects)
			continue
		}
		sql, err := i.AppendSQL(nil, nil)
		if want != "" && (err != nil || string(sql) != want) {
			t.Errorf("%q is sent as %s (%v)", text, sql, err)
		}
	}
}
