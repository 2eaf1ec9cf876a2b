package postgres

import "testing"

func TestRowsThatDependOnLabelledColumnsAreRefusedHoweverTheyDepend(t *testing.T) {
	fresh(t, "control",
		"CREATE TABLE people (id int PRIMARY KEY, ssn text, name text)",
		"CREATE VIEW low AS SELECT id, name FROM people WHERE ssn LIKE '0%'",
		"CREATE VIEW clean AS SELECT id, name FROM people WHERE id < 10",
		"CREATE TABLE settings (k text, person int)", "ALTER TABLE settings ENABLE ROW LEVEL SECURITY",
		"CREATE POLICY p ON settings USING (EXISTS (SELECT 1 FROM people c WHERE c.id = 1 AND c.ssn LIKE '0%'))",
		"CREATE TABLE viewed (k text)", "ALTER TABLE viewed ENABLE ROW LEVEL SECURITY", "CREATE POLICY p ON viewed USING (EXISTS (SELECT 1 FROM low))",
		"CREATE TABLE chained (k text)", "ALTER TABLE chained ENABLE ROW LEVEL SECURITY", "CREATE POLICY p ON chained USING (EXISTS (SELECT 1 FROM settings))",
		"CREATE TABLE checked (k text)", "ALTER TABLE checked ENABLE ROW LEVEL SECURITY", "CREATE POLICY p ON checked FOR INSERT WITH CHECK (k = (SELECT max(ssn) FROM people))",
		"CREATE TABLE cyclic (k text)", "CREATE VIEW cycle AS SELECT k FROM cyclic", "ALTER TABLE cyclic ENABLE ROW LEVEL SECURITY", "CREATE POLICY p ON cyclic USING (EXISTS (SELECT 1 FROM cycle))",
		"CREATE VIEW over_settings AS SELECT k FROM settings",
		"CREATE TABLE own (owner text, secret text)", "ALTER TABLE own ENABLE ROW LEVEL SECURITY", "CREATE POLICY p ON own USING (owner = current_user) WITH CHECK (owner = current_user)",
		"CREATE TABLE own_secret (owner text, secret text)", "ALTER TABLE own_secret ENABLE ROW LEVEL SECURITY", "CREATE POLICY p ON own_secret USING (secret = 'x')",
	)
	in := inspector(t, "control", map[string][]string{"pii": {"public.people.ssn", "public.own.secret", "public.own_secret.secret"}}, nil)
	for _, text := range []string{
		"SELECT * FROM settings", "SELECT count(*) FROM settings", "UPDATE settings SET k = 'x' WHERE person = 1", "DELETE FROM settings WHERE person = 1",
		"INSERT INTO settings VALUES ('x', 1)", "COPY settings TO STDOUT", "SELECT * FROM over_settings", "UPDATE over_settings SET k = 'x' WHERE k = 'y'",
		"SELECT * FROM viewed", "SELECT * FROM chained", "INSERT INTO checked VALUES ('x')", "SELECT * FROM cyclic", "SELECT * FROM cycle",
		"SELECT owner FROM own_secret", "DELETE FROM own_secret WHERE owner = 'x'",
		"SELECT id FROM low", "DELETE FROM low WHERE id = 1", "UPDATE low SET name = 'x' WHERE id = 1", "INSERT INTO low VALUES (1, 'x')",
		"MERGE INTO low t USING clean s ON t.id = s.id WHEN MATCHED THEN DELETE", "WITH d AS (DELETE FROM low WHERE id = 1) SELECT 1",
	} {
		if _, err := inspect(t, in, text).AppendSQL(nil, nil); err == nil {
			t.Errorf("%q is sent", text)
		}
	}
	for _, text := range []string{
		"SELECT * FROM own", "UPDATE own SET owner = 'x' WHERE owner = 'y'", "INSERT INTO own VALUES ('x', 'y')",
		"SELECT id, name FROM clean", "DELETE FROM clean WHERE id = 1", "UPDATE clean SET name = 'x' WHERE id = 1", "SELECT name FROM people WHERE id = 1",
	} {
		if _, err := inspect(t, in, text).AppendSQL(nil, nil); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
}
