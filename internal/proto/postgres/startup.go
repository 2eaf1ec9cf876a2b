package postgres

import (
	"fmt"
	"strings"

	"github.com/sallyport-gateway/sallyport/internal/proto/postgres/wire"
	sql "github.com/sallyport-gateway/sallyport/internal/sql/postgres"
)

// parseStartup reads the parameters of a StartupMessage. What is passed on to
// the target is rebuilt from an allow-list: a setting can change how the server
// reads SQL. It returns the protocol options that were asked for.
func parseStartup(body []byte) (*startup, []string, *wire.Fault) {
	s := &startup{settings: map[string]string{}}
	var options []string
	var bad *wire.Fault
	set := func(name, value string) {
		if f := s.set(name, value); f != nil && bad == nil {
			bad = f
		}
	}
	seen := map[string]bool{}
	err := wire.DecodeStartup(body, func(name, value string) {
		if seen[name] {
			bad = fatal(codeProtocolViolation, "startup parameter %q is given twice", name)
			return
		}
		seen[name] = true
		switch {
		case name == "user":
			s.user = value
		case name == "database":
			s.database = value
		case name == "replication":
			if value != "" && value != "false" && value != "off" && value != "no" && value != "0" {
				bad = fatal(codeFeature, "replication connections are not allowed through the gateway")
			}
		case name == "options":
			if f := parseOptions(value, set); f != nil {
				bad = f
			}
		case strings.HasPrefix(name, "_pq_."):
			options = append(options, name)
		default:
			set(name, value)
		}
	})
	switch {
	case err != nil:
		return nil, nil, fatal(codeProtocolViolation, "invalid startup packet layout")
	case bad != nil:
		return nil, nil, bad
	case s.user == "":
		return nil, nil, fatal(codeInvalidAuth, "no PostgreSQL user name specified in startup packet")
	}
	if s.database == "" {
		s.database = s.user // as the server does
	}
	return s, options, nil
}

func (s *startup) set(name, value string) *wire.Fault {
	name = strings.ToLower(name)
	if err := startupSetting(name, value); err != nil {
		f := fatal(codeRejected, "setting %q is not allowed at connection start: %v", name, err)
		f.Hint = "Leave it out of the connection parameters and of the options parameter."
		return f
	}
	s.settings[name] = value
	return nil
}

// startupSetting says whether a client may ask for a setting. The others are
// pinned by the gateway or could change what a statement means.
func startupSetting(name, value string) error {
	switch name {
	case "application_name", "datestyle", "timezone", "intervalstyle", "extra_float_digits", "bytea_output",
		"client_min_messages", "geqo", "jit", "search_path",
		"idle_in_transaction_session_timeout", "lock_timeout", "statement_timeout":
		if strings.Contains(strings.ToLower(value), "pg_temp") {
			return fmt.Errorf("pg_temp cannot be named")
		}
		return nil
	case "default_transaction_isolation", "default_transaction_deferrable":
		return nil
	case "default_transaction_read_only":
		switch strings.ToLower(value) {
		case "on", "true", "yes", "1":
			return nil
		}
		return fmt.Errorf("it can only be switched on")
	case "client_encoding":
		switch strings.ToLower(strings.Trim(value, "'\" ")) {
		case "utf8", "utf-8", "unicode", "auto":
			return nil
		}
		return fmt.Errorf("the gateway speaks UTF8 only")
	case "standard_conforming_strings":
		switch strings.ToLower(value) {
		case "on", "true", "yes", "1":
			return nil
		}
		return fmt.Errorf("it must stay on")
	}
	if sql.Harmless(name, value) {
		return nil
	}
	return fmt.Errorf("it, or its value, is not on the gateway's list")
}

// parseOptions splits the options parameter as the server does
// (pg_split_opts): white space separates, a backslash escapes. Only -c name=value
// and --name=value are known.
func parseOptions(options string, set func(name, value string)) *wire.Fault {
	words := splitOptions(options)
	for i := 0; i < len(words); i++ {
		w := words[i]
		var setting string
		switch {
		case w == "-c" && i+1 < len(words):
			i++
			setting = words[i]
		case strings.HasPrefix(w, "-c") && len(w) > 2:
			setting = w[2:]
		case strings.HasPrefix(w, "--"):
			setting = w[2:]
		default:
			return fatal(codeRejected, "option %q is not allowed at connection start", w)
		}
		name, value, ok := strings.Cut(setting, "=")
		if !ok {
			return fatal(codeRejected, "option %q needs a value", setting)
		}
		set(strings.ReplaceAll(name, "-", "_"), value)
	}
	return nil
}

func splitOptions(s string) []string {
	var words []string
	var word strings.Builder
	in := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\' && i+1 < len(s):
			i++
			word.WriteByte(s[i])
			in = true
		case c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\v' || c == '\f':
			if in {
				words = append(words, word.String())
				word.Reset()
				in = false
			}
		default:
			word.WriteByte(c)
			in = true
		}
	}
	if in {
		words = append(words, word.String())
	}
	return words
}
