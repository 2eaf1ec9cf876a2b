package clients

import (
	"fmt"
	"strconv"
	"strings"
)

// psqlScriptOf is the psql script of a scenario.
func psqlScriptOf(c Config, s Scenario) (psqlScript, error) {
	switch s {
	case Connect:
		return psqlScript{text: "SELECT 1;\n"}, nil
	case Select:
		return psqlScript{text: "SELECT id, name, note FROM client_item ORDER BY id;\n"}, nil
	case Parameters:
		return psqlScript{text: psqlParameters}, nil
	case Prepared:
		return psqlScript{text: "PREPARE twice(int) AS SELECT $1 * 2;\n" + repeat(1, 10, "EXECUTE twice(%d);\n") + "DEALLOCATE twice;\n"}, nil
	case Transaction:
		return psqlScript{text: psqlTransaction}, nil
	case Error:
		const say = "\\echo :LAST_ERROR_SQLSTATE\n"
		return psqlScript{errors: 3, text: "SELECT 1/0;\n" + say + "BEGIN;\nSELECT 1/0;\n" + say + "SELECT 1;\n" + say + "ROLLBACK;\nSELECT 1;\n"}, nil
	case Cursor:
		return psqlScript{rows: totals, text: fmt.Sprintf("\\set FETCH_COUNT 100\nSELECT id FROM client_big ORDER BY id LIMIT %d;\n", cursorRows)}, nil
	case CopyOut:
		return psqlScript{text: "COPY (SELECT id, name FROM client_item ORDER BY id) TO STDOUT;\n"}, nil
	case CopyIn:
		return psqlScript{text: "COPY client_scratch FROM STDIN;\n" + repeat(0, copyRows-1, "psql\t%d\ta line\n") + "\\.\n" + psqlCount + psqlDelete}, nil
	case Large:
		return psqlScript{rows: totals, text: "SELECT id, filler FROM client_big;\n"}, nil
	case Cancel:
		return psqlScript{errors: 1, interrupt: true, text: "\\echo '" + mark + "started'\n" + terminated(c.SlowSQL)}, nil
	case Metadata:
		return psqlScript{text: "\\o /dev/null\n\\l\n\\dn\n\\dt client_*\n\\di client_*\n\\dv\n\\df client_*\n\\du\n\\dp client_item\n\\d+ client_item\n" +
			"\\o\n\\d client_item\n", rows: describedColumns}, nil
	case Notice:
		return psqlScript{text: "COMMIT;\n"}, nil
	case Multi:
		return psqlScript{text: "SELECT 1\\; SELECT 2;\n"}, nil
	case ApplicationName:
		return psqlScript{text: "SET application_name = 'client check';\nSHOW application_name;\n"}, nil
	case Refused:
		return psqlScript{errors: 1, text: terminated(c.RefusedSQL) + "SELECT 1;\n"}, nil
	default:
		return psqlScript{}, fmt.Errorf("psql does not know scenario %q", s)
	}
}

const (
	psqlCount  = "SELECT count(*) FROM client_scratch WHERE client = 'psql';\n"
	psqlDelete = "DELETE FROM client_scratch WHERE client = 'psql';\n"

	psqlTransaction = "BEGIN;\nINSERT INTO client_scratch VALUES ('psql', 1, 'a');\nROLLBACK;\n" + psqlCount +
		"BEGIN;\nINSERT INTO client_scratch VALUES ('psql', 1, 'a');\nCOMMIT;\n" + psqlCount + psqlDelete

	// psql 15 has no \bind: its variables become quoted literals.
	psqlParameters = `\set t 'it''s $1 β'
\set j '{"a": [1, "β"]}'
\set a '{"a b","c\\"d",NULL}'
SELECT 42::int4::text, :'t'::text, 12345678901234567890.123456789::numeric::text,
  '2026-11-22 10:00:00+00'::timestamptz::text, '\x00ff41'::bytea::text, :'j'::jsonb::text,
  ARRAY[1,2,3]::int4[]::text, :'a'::text[]::text, NULL::text;
`
)

func terminated(sql string) string { return strings.TrimRight(sql, "; \n") + ";\n" }

// repeat is format once for every number from first to last.
func repeat(first, last int, format string) string {
	var b strings.Builder
	for i := first; i <= last; i++ {
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

// totals is the number of rows and the sum of their first column.
func totals(rows [][]string) [][]string {
	sum := 0
	for _, row := range rows {
		n, _ := strconv.Atoi(row[0]) // what is no number makes a wrong sum, which the judge sees
		sum += n
	}
	return [][]string{{strconv.Itoa(len(rows)), strconv.Itoa(sum)}}
}

// describedColumns are the first fields of \d's lines up to the indexes.
func describedColumns(rows [][]string) [][]string {
	var columns [][]string
	for _, row := range rows {
		if len(row) < 2 {
			break
		}
		columns = append(columns, row[:1])
	}
	return columns
}
