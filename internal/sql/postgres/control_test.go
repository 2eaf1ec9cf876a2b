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

func TestADefinitionTellsNothingOfWhatItComputesFromLabelledColumns(t *testing.T) {
	fresh(t, "computed",
		"CREATE TABLE people (id int PRIMARY KEY, ssn text, pay int, at timestamptz, email varchar(80), tags text[], doc jsonb, js json, up text GENERATED ALWAYS AS (substring(ssn from '^0.*')) STORED)",
		"CREATE VIEW sets AS SELECT id, regexp_matches(ssn, '0', 'g') AS m FROM people",
		"CREATE VIEW unnested AS SELECT id, unnest(tags) AS t FROM people",
		"CREATE VIEW series AS SELECT p.id FROM people p, generate_series(1, length(p.ssn)) g",
		"CREATE VIEW lateral_rows AS SELECT p.id FROM people p, jsonb_each(p.doc) e",
		"CREATE VIEW xml AS SELECT p.id, x.v FROM people p, XMLTABLE('/r/a' PASSING xmlparse(content p.ssn) COLUMNS v text PATH '.') x",
		"CREATE VIEW fails AS SELECT id, 1 / (length(ssn) - 11) AS f FROM people",
		"CREATE VIEW casts AS SELECT id, ssn::bigint::text AS f FROM people",
		"CREATE VIEW hidden AS SELECT id, (SELECT 1 / (length(p.ssn) - 11)) IS NULL AS f FROM people p",
		"CREATE VIEW twice AS SELECT id, (SELECT o.id FROM people o WHERE o.ssn LIKE '0%') AS f FROM people",
		"CREATE VIEW over_sets AS SELECT id, (SELECT count(*) FROM sets) AS n FROM people",
		"CREATE VIEW wide AS SELECT id, pay * 2 AS d FROM people", "CREATE VIEW split AS SELECT id, split_part('a', 'b', pay) AS d FROM people",
		"CREATE VIEW null_inside AS SELECT id, substring(ssn from '^0.*') IS NULL AS f FROM people",
		"CREATE VIEW counted AS SELECT count(substring(ssn from '^0.*')) AS n FROM people",
		"CREATE VIEW filtered AS SELECT id FROM people WHERE up IS NOT NULL",
		"CREATE VIEW part AS SELECT id, substring(ssn from '^0.*') AS f, pay FROM people",
		"CREATE VIEW over_part AS SELECT id, f IS NULL AS g FROM part",
		"CREATE VIEW counted_members AS SELECT DISTINCT ON (id) id, json_array_length(js) AS n FROM people", "CREATE VIEW keyed AS SELECT id, json_object_agg(ssn, 1) AS o FROM people GROUP BY id",
		"CREATE MATERIALIZED VIEW stored AS SELECT id, substring(ssn from '^0.*') AS f FROM people",
		"CREATE VIEW honest AS SELECT id, ssn, ssn IS NULL AS missing, upper(ssn) AS u, email::text AS mail, at::date AS day, doc->>'a' AS a, substr(ssn, 1, 3) AS head, email || ' ' || ssn AS both, to_json(ssn) AS j, max(pay) OVER () AS top, (SELECT max(o.ssn) FROM people o WHERE o.id = p.id) AS s, date_trunc('year', at) AS y FROM people p",
	)
	in := inspector(t, "computed", map[string][]string{"pii": {"public.people.ssn", "public.people.pay", "public.people.at", "public.people.email", "public.people.tags", "public.people.doc", "public.people.js"}}, nil)
	for _, text := range []string{
		"SELECT id FROM sets", "SELECT id, count(*) FROM sets GROUP BY id", "SELECT id FROM unnested", "SELECT id FROM series", "SELECT id FROM lateral_rows", "SELECT id FROM xml",
		"SELECT id FROM fails", "SELECT id FROM counted_members", "SELECT id FROM keyed", "SELECT id FROM casts", "SELECT id FROM hidden", "SELECT id FROM twice", "SELECT id FROM over_sets", "SELECT id FROM filtered", "SELECT id FROM wide", "SELECT id FROM split",
		"UPDATE part SET id = 1 WHERE f IS NULL", "UPDATE people SET id = 1 WHERE up IS NULL", "DELETE FROM part WHERE id = 1 RETURNING f IS NULL", "DELETE FROM part WHERE part IS NULL",
	} {
		if sql, err := inspect(t, in, text).AppendSQL(nil, nil); err == nil {
			t.Errorf("%q is sent: %s", text, sql)
		}
	}
	for text, want := range map[string]string{
		"SELECT id, f FROM part":                              `select id, CAST ( '[redacted]' AS text ) AS "f" from "public". part`,
		"SELECT f FROM stored":                                `select CAST ( '[redacted]' AS text ) AS "f" from "public". stored`,
		"SELECT up FROM people":                               `select CAST ( '[redacted]' AS text ) AS "up" from "public". people`,
		"SELECT f FROM null_inside":                           `select CAST ( NULL AS boolean ) AS "f" from "public". null_inside`,
		"SELECT g FROM over_part":                             `select CAST ( NULL AS boolean ) AS "g" from "public". over_part`,
		"SELECT n FROM counted":                               `select CAST ( NULL AS bigint ) AS "n" from "public". counted`,
		"SELECT f IS NULL FROM part":                          `select f is null from ( SELECT CAST ( '[redacted]' AS text ) AS "f" FROM "public"."part" ) AS "part"`,
		"DELETE FROM part WHERE id = 1 RETURNING id, ((f))":   `delete from "public". part where id = 1 returning id, CAST ( '[redacted]' AS text ) AS "f"`,
		"DELETE FROM part WHERE id = 1 RETURNING f":           `delete from "public". part where id = 1 returning CAST ( '[redacted]' AS text ) AS "f"`,
		"SELECT ssn FROM honest":                              `select CASE WHEN "honest"."ssn" IS NOT NULL THEN '[redacted]' END AS "ssn" from "public". honest`,
		"SELECT mail FROM honest":                             `select CASE WHEN "honest"."mail" IS NOT NULL THEN '[redacted]' END AS "mail" from "public". honest`,
		"SELECT id, missing FROM honest":                      `select id, missing from "public". honest`,
		"UPDATE people SET id = 1 WHERE ssn IS NULL AND id=2": `update "public". people set id = 1 where ssn is null and id = 2`,
	} {
		sql, err := inspect(t, in, text).AppendSQL(nil, nil)
		if err != nil || string(sql) != want {
			t.Errorf("%q: %v\n%s\n%s", text, err, sql, want)
		}
	}
}

func TestOrderByMeansAnOutputColumnBeforeAnInputColumn(t *testing.T) {
	in := inspector(t, database, corpusMarks, corpusFunctions)
	for text, want := range map[string]bool{
		"SELECT id, region AS email FROM customers ORDER BY email":                        true,
		"SELECT DISTINCT ON (email) id, region AS email FROM customers":                   true,
		"SELECT id, region AS email FROM customers ORDER BY email DESC NULLS LAST":        true,
		"SELECT id, email AS region FROM customers ORDER BY region":                       false,
		"SELECT id, region AS email FROM customers ORDER BY lower(email)":                 false,
		"SELECT id, region AS email FROM customers ORDER BY customers.email":              false,
		"SELECT count(*), max(region) AS email FROM customers GROUP BY email":             false,
		"SELECT id, region AS email FROM customers ORDER BY rank() OVER (ORDER BY email)": false,
	} {
		if _, err := inspect(t, in, text).AppendSQL(nil, nil); (err == nil) != want {
			t.Errorf("%q: %v", text, err)
		}
	}
}
