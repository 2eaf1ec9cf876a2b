package postgres

// Error is a refusal worded as PostgreSQL words its errors.
type Error struct {
	// SQLSTATE is the five-character code.
	SQLSTATE string
	Message  string
	Detail   string
	Hint     string
	// Position is the character in the agent's text that the error is at,
	// counted from 1; 0 means none.
	Position int
}

// Error returns the message, the detail and the hint, for a reader.
func (e *Error) Error() string {
	s := e.Message
	if e.Detail != "" {
		s += ": " + e.Detail
	}
	if e.Hint != "" {
		s += " (" + e.Hint + ")"
	}
	return s
}
