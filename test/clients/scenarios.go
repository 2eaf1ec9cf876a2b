package clients

import "strconv"

// Scenario names what a client does.
type Scenario string

// The scenarios.
const (
	// Connect logs in over verified TLS and selects 1.
	Connect Scenario = "connect"
	// Select reads a small table.
	Select Scenario = "select"
	// Parameters sends a value of every common type and null, and reads them back
	// both as text and in the client's own types.
	Parameters Scenario = "parameters"
	// Prepared uses one prepared statement ten times.
	Prepared Scenario = "prepared"
	// Pipeline sends several commands before it reads the first answer.
	Pipeline Scenario = "pipeline"
	// Transaction rolls one insert back and commits another.
	Transaction Scenario = "transaction"
	// Error meets an error outside and inside a transaction and goes on.
	Error Scenario = "error"
	// Cursor reads a result in pieces from a portal or cursor.
	Cursor Scenario = "cursor"
	// CopyOut and CopyIn use COPY with the client as the other end.
	CopyOut Scenario = "copy_out"
	CopyIn  Scenario = "copy_in"
	// Large reads 100,000 rows.
	Large Scenario = "large"
	// Cancel cancels a running query and goes on.
	Cancel Scenario = "cancel"
	// Metadata describes a table by the means that the client's users use.
	Metadata Scenario = "metadata"
	// Notice receives a warning.
	Notice Scenario = "notice"
	// Multi sends two statements in one text.
	Multi Scenario = "multi"
	// ApplicationName sets a session parameter and reads it back.
	ApplicationName Scenario = "application_name"
	// Refused meets SQLSTATE 42501 and goes on; the refusal is in Result.Error.
	Refused Scenario = "refused"
	// Statements runs Config.Statements; the answers are in Result.Steps. It is
	// not among AllScenarios.
	Statements Scenario = "statements"
)

// AllScenarios returns every scenario but Statements.
func AllScenarios() []Scenario {
	return []Scenario{
		Connect, Select, Parameters, Prepared, Pipeline, Transaction, Error, Cursor, CopyOut,
		CopyIn, Large, Cancel, Metadata, Notice, Multi, ApplicationName, Refused,
	}
}

const (
	// bigRows is the number of rows of client_big.
	bigRows = 100_000
	// cursorRows is how many of them scenario Cursor reads.
	cursorRows = 1000
	// copyRows is how many rows scenario CopyIn writes.
	copyRows = 1000
)

// Schema is the SQL that makes what the scenarios use, in the database that they
// use, for role. Run it as superuser.
func Schema(role string) string {
	return `
CREATE TABLE client_item(
	id int PRIMARY KEY, name text NOT NULL, amount numeric(30,9), made timestamptz,
	payload bytea, doc jsonb, numbers int[], tags text[], note text);
INSERT INTO client_item VALUES
	(1, 'alpha', 1.5, '2026-11-22 10:00:00+00', '\x00ff', '{"a": 1}', '{1,2}', '{a,b}', 'first'),
	(2, 'it''s β', 12345678901234567890.123456789, '1999-12-31 23:59:59.999999+00', '', '[]', '{}', '{}', NULL),
	(3, E'tab\there', -0.000000001, NULL, NULL, NULL, NULL, '{"x y","q\"z",NULL}', '');
COMMENT ON TABLE client_item IS 'what the scenarios read';
CREATE TABLE client_big AS SELECT g AS id, 'row ' || g AS filler FROM generate_series(1, ` + strconv.Itoa(bigRows) + `) g;
ALTER TABLE client_big ADD PRIMARY KEY (id);
CREATE TABLE client_scratch(client text NOT NULL, n int NOT NULL, t text);
CREATE TABLE client_secret(secret text);
INSERT INTO client_secret VALUES ('not for you');
ANALYZE;
GRANT SELECT ON client_item, client_big TO "` + role + `";
GRANT SELECT, INSERT, UPDATE, DELETE ON client_scratch TO "` + role + `";
`
}

// want returns the rows that a scenario must end with, the same for every
// client. The second result is false for scenarios that are not judged by rows.
func (s Scenario) want() ([][]string, bool) {
	switch s {
	case Connect, Refused:
		return [][]string{{"1"}}, true
	case Select:
		return [][]string{{"1", "alpha", "first"}, {"2", "it's β", "NULL"}, {"3", "tab\there", ""}}, true
	case Parameters:
		return [][]string{{"42", "it's $1 β", "12345678901234567890.123456789", "2026-11-22 10:00:00+00",
			`\x00ff41`, `{"a": [1, "β"]}`, "{1,2,3}", `{"a b","c\"d",NULL}`, "NULL"}}, true
	case Prepared:
		var rows [][]string
		for i := 1; i <= 10; i++ {
			rows = append(rows, []string{strconv.Itoa(2 * i)})
		}
		return rows, true
	case Pipeline:
		return [][]string{{"1"}, {"2"}, {"3"}}, true
	case Transaction:
		return [][]string{{"0"}, {"1"}}, true
	case Error:
		return [][]string{{"22012"}, {"22012"}, {"25P02"}, {"1"}}, true
	case Cursor:
		return [][]string{{strconv.Itoa(cursorRows), strconv.Itoa(cursorRows * (cursorRows + 1) / 2)}}, true
	case CopyOut:
		return [][]string{{"1\talpha"}, {"2\tit's β"}, {"3\ttab\\there"}}, true
	case CopyIn:
		return [][]string{{strconv.Itoa(copyRows)}}, true
	case Large:
		return [][]string{{strconv.Itoa(bigRows), strconv.Itoa(bigRows * (bigRows + 1) / 2)}}, true
	case Cancel:
		return [][]string{{"57014"}, {"1"}}, true
	case Metadata:
		return [][]string{{"id"}, {"name"}, {"amount"}, {"made"}, {"payload"}, {"doc"}, {"numbers"}, {"tags"}, {"note"}}, true
	case Notice:
		return [][]string{{"there is no transaction in progress"}}, true
	case Multi:
		return [][]string{{"1"}, {"2"}}, true
	case ApplicationName:
		return [][]string{{"client check"}}, true
	default:
		return nil, false
	}
}
