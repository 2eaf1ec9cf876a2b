package postgres

import (
	"bytes"

	"github.com/sallyport-gateway/sallyport/internal/proto/postgres/wire"
)

// reported says which settings a client is told of. The server reports a fixed
// set (guc_tables.c, GUC_REPORT); a value of any other could carry data.
func reported(name string) bool {
	switch name {
	case "server_version", "server_encoding", "client_encoding", "application_name",
		"default_transaction_read_only", "in_hot_standby", "is_superuser", "session_authorization",
		"DateStyle", "IntervalStyle", "TimeZone", "integer_datetimes", "standard_conforming_strings",
		"scram_iterations", "search_path":
		return true
	}
	return false
}

// parameter passes on a changed setting, and ends the session when the target
// would from now on read text differently from how it was judged.
func (s *session) parameter(n int) error {
	if n > maxLoginMessage {
		return s.lie("a parameter of %d bytes", n)
	}
	body, err := s.out.body(n)
	if err != nil {
		return s.targetError(err)
	}
	name, value, err := wire.DecodeParameterStatus(body)
	if err != nil {
		return s.lie("malformed ParameterStatus")
	}
	switch string(name) {
	case "TimeZone":
		s.noteZone(string(value))
	case "client_encoding":
		if !bytes.Equal(value, []byte("UTF8")) {
			return s.lie("client_encoding became %q", value)
		}
	case "standard_conforming_strings":
		if !bytes.Equal(value, []byte("on")) {
			return s.lie("standard_conforming_strings became %q", value)
		}
	}
	if reported(string(name)) {
		s.ans = wire.AppendParameterStatus(s.answers(), string(name), string(value))
	}
	return nil
}
