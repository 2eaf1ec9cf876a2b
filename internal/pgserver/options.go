package pgserver

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Auth is how the server authenticates connections over TCP.
type Auth string

// The values of [Auth]. The zero value means [AuthSCRAM].
const (
	AuthSCRAM Auth = "scram-sha-256"
	AuthMD5   Auth = "md5"
	AuthTrust Auth = "trust"
	// AuthCert asks for a client certificate whose common name is the role
	// ([Authority.IssueClient] makes one) and needs TLS.
	AuthCert Auth = "cert"
)

// Options shape a server. The zero value is a server with SCRAM-SHA-256, TLS on
// offer, and only the role postgres.
type Options struct {
	// Auth is the authentication over TCP; zero means [AuthSCRAM].
	Auth Auth
	// NoTLS makes a server that answers SSLRequest with N.
	NoTLS bool
	// RequireTLS refuses TCP connections without TLS.
	RequireTLS bool
	// Durable keeps fsync, full_page_writes and synchronous_commit on. Without it
	// the server is faster and its data does not survive a crash of the machine.
	Durable bool
	// LogStatements writes every statement that the server executes to its log,
	// for tests that prove what reached the server ([Server.Log]).
	LogStatements bool
	// MaxConnections is max_connections; zero means 100.
	MaxConnections int
	// Settings are further lines of postgresql.conf and win over all others.
	Settings map[string]string
	// Roles are created first, then Databases, then Scripts run, in order.
	Roles     []Role
	Databases []Database
	Scripts   []Script
	// Dir is where the server keeps everything. Empty means a fresh temporary
	// folder that Stop removes. A given folder must be empty or absent, stays
	// after Stop, and must be reachable by the unprivileged account when the
	// process is root.
	Dir string
	// Port is the TCP port; zero means a free one.
	Port int
}

// Role is a role to create.
type Role struct {
	Name string
	// Password is its password; empty means none.
	Password string
	// Attributes are further words of CREATE ROLE. LOGIN is always given.
	Attributes string
}

// Database is a database to create.
type Database struct {
	Name string
	// Owner is its owner; empty means postgres.
	Owner string
}

// Script is SQL to run as superuser.
type Script struct {
	// Database is where it runs; empty means "postgres".
	Database string
	SQL      string
}

func (o Options) auth() Auth {
	if o.Auth == "" {
		return AuthSCRAM
	}
	return o.Auth
}

// check refuses what would make a server that no one can use.
func (o Options) check() error {
	switch o.auth() {
	case AuthSCRAM, AuthMD5, AuthTrust:
	case AuthCert:
		if o.NoTLS {
			return fmt.Errorf("authentication by certificate needs TLS")
		}
	default:
		return fmt.Errorf("unknown authentication %q", o.Auth)
	}
	if o.NoTLS && o.RequireTLS {
		return fmt.Errorf("TLS cannot be both off and required")
	}
	return nil
}

// hba is pg_hba.conf. The unix socket is in a folder that only the server's
// account (and root) can enter, so it needs no password.
func (o Options) hba() string {
	kind := "host"
	if o.RequireTLS || o.auth() == AuthCert {
		kind = "hostssl"
	}
	return "local all all trust\n" +
		kind + " all all 127.0.0.1/32 " + string(o.auth()) + "\n" +
		kind + " all all ::1/128 " + string(o.auth()) + "\n"
}

// conf is what is added to the postgresql.conf that initdb wrote; the last line
// of a name wins.
func (o Options) conf(port int, socketDir string) string {
	settings := map[string]string{
		"listen_addresses":           "127.0.0.1",
		"port":                       fmt.Sprint(port),
		"unix_socket_directories":    socketDir,
		"max_connections":            "100",
		"shared_buffers":             "32MB",
		"dynamic_shared_memory_type": "posix",
		"password_encryption":        "scram-sha-256",
		"logging_collector":          "off",
		"log_line_prefix":            "%m [%p] %u@%d ",
		"timezone":                   "UTC",
		"log_timezone":               "UTC",
		"max_wal_size":               "1GB",
	}
	if o.MaxConnections > 0 {
		settings["max_connections"] = fmt.Sprint(o.MaxConnections)
	}
	if o.auth() == AuthMD5 {
		settings["password_encryption"] = "md5"
	}
	if !o.Durable {
		settings["fsync"] = "off"
		settings["synchronous_commit"] = "off"
		settings["full_page_writes"] = "off"
	}
	if o.LogStatements {
		settings["log_statement"] = "all"
	}
	if !o.NoTLS {
		settings["ssl"] = "on"
		settings["ssl_cert_file"] = "server.crt"
		settings["ssl_key_file"] = "server.key"
		settings["ssl_ca_file"] = "ca.crt"
	}
	maps.Copy(settings, o.Settings)

	var b strings.Builder
	b.WriteString("\n# added by pgserver\n")
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		fmt.Fprintf(&b, "%s = '%s'\n", name, strings.ReplaceAll(settings[name], "'", "''"))
	}
	return b.String()
}

// setup is the SQL that makes the server what the options ask for, in order.
func (o Options) setup(superPassword string) []Script {
	scripts := []Script{{SQL: "ALTER ROLE " + quoteName(Superuser) + " PASSWORD " + quoteText(superPassword)}}
	for _, r := range o.Roles {
		sql := "CREATE ROLE " + quoteName(r.Name) + " LOGIN " + r.Attributes
		if r.Password != "" {
			sql += " PASSWORD " + quoteText(r.Password)
		}
		scripts = append(scripts, Script{SQL: sql})
	}
	for _, d := range o.Databases {
		sql := "CREATE DATABASE " + quoteName(d.Name)
		if d.Owner != "" {
			sql += " OWNER " + quoteName(d.Owner)
		}
		scripts = append(scripts, Script{SQL: sql})
	}
	return append(scripts, o.Scripts...)
}

func quoteName(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }

// quoteText quotes a literal for standard_conforming_strings = on, which a
// server of our own always has.
func quoteText(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
