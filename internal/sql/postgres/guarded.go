package postgres

import (
	"strconv"
	"strings"

	"github.com/sallyport-gateway/sallyport/internal/sql/postgres/lex"
)

// GuardZone is a time zone in which nobody lives, but for the sake of guards: so far east
// of all that have names (which reach to 14 hours) that the last moment that a timestamptz
// can hold has a later local time there than anywhere.
const GuardZone = "<guard>-15:17"

// GuardsFail reports whether a guard surely fails where it is analysed under a session's
// time zone. It does under those that have names; the others are written with numbers.
func GuardsFail(zone string) bool { return zone != "" && !strings.ContainsAny(zone, "<:0123456789") }

// guard is a condition that is true where it was analysed under GuardZone, and cannot be
// analysed where it was not: the literal is read then, and no timestamptz is so late
// (IS_VALID_TIMESTAMP in datatype/timestamp.h). Planning leaves nothing of it. The error
// is one that only the server's log shows.
const guard = "'294277-01-01 15:00:00' :: pg_catalog.timestamptz IS NOT NULL"

// GuardedWatch is a Watch, of a Shape that is Steady, as a text that is to be analysed
// under GuardZone. It answers nothing, and fails once it is analysed anew.
func GuardedWatch(watch string) (guarded string, ok bool) {
	_, locks, ok := strings.Cut(watch, " WHERE true")
	return "SELECT WHERE NOT (" + guard + ") AND (true" + locks + ")", ok
}

// choice makes the server plan a statement for its parameters each time, as it plans a text
// for its literals: by a plan that serves for all of them it would cost more than anything
// (choose_custom_plan in utils/cache/plancache.c). With the parameter, which is true, the
// planner leaves nothing of it.
const choice = "OR (SELECT pg_catalog.generate_series(1, 2147483647)) IS NULL"

// GuardedText is Guarded for a text that parameters stand in, and one more, of type
// boolean: it is planned for their values each time.
func GuardedText(text string, parameters int) (guarded string, ok bool) {
	return guardedBy(text, guard+" and ( $"+strconv.Itoa(parameters+1)+" "+choice+" )")
}

// Guarded adds a condition to a SELECT that a server is to keep as a prepared statement:
// once it is analysed under GuardZone, it does the same as the text without it, until the
// server analyses it anew, because a definition behind it has changed; then it fails when
// it is planned, which is before it runs. It is not ok where the condition cannot be
// added, or the text has a literal whose meaning depends on the zone.
func Guarded(text string) (guarded string, ok bool) { return guardedBy(text, guard) }

func guardedBy(text, guard string) (guarded string, ok bool) {
	var t lex.Tokens
	if lex.Scan(&t, text, lex.Limits{}) != nil || t.Len() == 0 || !t.Is(0, "select") {
		return "", false
	}
	text = t.Canonical()
	switch last := t.Len() - 1; {
	case len(t.Semicolons()) == 1 && t.At(last).Kind == lex.Semicolon:
		return guardedBy(text[:t.At(last).CanonStart], guard)
	case len(t.Semicolons()) > 0:
		return "", false
	}
	depth, from, where, end := 0, -1, -1, t.Len()
	for i := range t.Len() {
		switch t.At(i).Kind {
		case lex.Word, lex.QuotedIdent:
		case lex.LeftParen, lex.LeftBracket:
			depth++
			continue
		case lex.RightParen, lex.RightBracket:
			depth--
			continue
		default:
			continue
		}
		word := strings.ToLower(t.Value(i))
		switch word {
		case "date", "time", "timetz", "timestamp", "timestamptz", "interval":
			return "", false
		case "current_time", "current_timestamp", "localtime", "localtimestamp":
			if i+1 < t.Len() && t.At(i+1).Kind == lex.LeftParen {
				return "", false // of a precision that is too high each text is warned
			}
		case "union", "intersect", "except", "into", "for", "from", "where", "group", "having", "window", "order", "limit", "offset", "fetch":
			if i > 0 && (t.At(i-1).Kind == lex.Dot || t.Is(i-1, "as")) {
				return "", false // a name, which these can be there
			}
		}
		if depth != 0 || end < t.Len() || t.At(i).Kind != lex.Word {
			continue
		}
		switch word {
		case "union", "intersect", "except", "into", "for":
			return "", false
		case "from":
			from = i
		case "where":
			where = i
		case "group", "having", "window", "order", "limit", "offset", "fetch":
			if from >= 0 {
				end = i
			}
		}
	}
	if from < 0 {
		return "", false
	}
	at := len(text)
	if end < t.Len() {
		at = int(t.At(end).CanonStart)
	}
	head, tail := strings.TrimSpace(text[:at]), text[at:]
	if tail != "" {
		tail = " " + tail
	}
	if where < 0 {
		return head + " where " + guard + tail, true
	}
	condition := int(t.At(where).CanonEnd)
	return head[:condition] + " ( " + strings.TrimSpace(head[condition:]) + " ) and " + guard + tail, true
}
