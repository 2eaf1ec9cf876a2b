package clients

import (
	"regexp"
	"strings"
)

// psqlReport is what psql wrote to standard error.
type psqlReport struct {
	errors  []ServerError
	notices []string
}

// psqlField matches the first line of a field in psql's verbose error form:
// "psql:<stdin>:3: ERROR:  22012: division by zero", "HINT:  …".
func psqlField() *regexp.Regexp {
	return regexp.MustCompile(`^(?:psql:[^ ]*:\d+: )?(?:psql: error: .* failed: )?` +
		`(ERROR|FATAL|PANIC|WARNING|NOTICE|INFO|LOG|DEBUG|DETAIL|HINT|QUERY|CONTEXT|LOCATION|STATEMENT|LINE \d+): +(?:([0-9A-Z]{5}): )?(.*)$`)
}

// parsePSQLReport reads psql's standard error. A line that begins no field goes
// on with the one before, or, without one, is a psql error of its own.
func parsePSQLReport(stderr string) psqlReport {
	field := psqlField()
	var report psqlReport
	var current *string
	for line := range strings.Lines(stderr) {
		line = strings.TrimSuffix(line, "\n")
		m := field.FindStringSubmatch(line)
		if m == nil {
			if strings.HasPrefix(line, "psql: error: ") {
				report.errors = append(report.errors, ServerError{Message: line})
			} else if current != nil {
				*current += "\n" + line
			}
			continue
		}
		current = report.add(m[1], m[2], m[3])
	}
	return report
}

// add takes a field and returns where its further lines go; nil drops them.
func (r *psqlReport) add(name, sqlState, text string) *string {
	last := func() *ServerError {
		if len(r.errors) == 0 {
			return &ServerError{}
		}
		return &r.errors[len(r.errors)-1]
	}
	switch name {
	case "ERROR", "FATAL", "PANIC":
		r.errors = append(r.errors, ServerError{SQLState: sqlState, Message: text})
		return &last().Message
	case "WARNING", "NOTICE", "INFO", "LOG", "DEBUG":
		r.notices = append(r.notices, name+": "+text)
		return &r.notices[len(r.notices)-1]
	case "DETAIL":
		last().Detail = text
		return &last().Detail
	case "HINT":
		last().Hint = text
		return &last().Hint
	default:
		return nil
	}
}
