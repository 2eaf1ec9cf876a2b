package gate

import "time"

// Target is a protected resource. It is built from documents and immutable: a
// changed document makes a new Target with another Generation.
type Target struct {
	Name     string
	Protocol string
	// Address is host:port as the dialer reaches it.
	Address string
	// Connector names the connector to dial through; empty dials from the gateway.
	Connector string
	// Database is the database or namespace at the target; may be empty.
	Database string
	// Login is the account that was asked for, where the target offers several;
	// empty for its only or usual one. Credential is that account's.
	Login string
	// Labels are the operator's key/value labels, seen by policies as target.labels.
	Labels map[string]string
	// Marks are the sensitive places of the target: label name → paths
	// ("public.customers.email"). What a path means is the protocol's affair.
	Marks map[string][]string
	// Detect names the content detectors that watch what the target answers.
	Detect []string
	// Keys are the public keys that the target may show, and Authorities those
	// that may sign for it, in the protocol's text form (an SSH host key). A
	// protocol that needs them refuses a target that has neither.
	Keys, Authorities []string
	// Functions are the reviewed functions of the target: signature → effect.
	Functions map[string]Effects
	// Credential names the credential to log in with.
	Credential string
	TLS        TLS
	Limits     Limits
	// Generation changes whenever any document that shapes this target changes.
	// Grants are bound to it.
	Generation string
}

// Handle is what an agent asks for the target by: its name, or LOGIN+NAME for
// one of several accounts.
func (t *Target) Handle() string {
	if t.Login == "" {
		return t.Name
	}
	return t.Login + "+" + t.Name
}

// TLSMode says how far the gateway trusts the way to the target. The zero value
// is the strictest.
type TLSMode uint8

const (
	// TLSVerifyFull requires TLS, a chain to a trusted CA and a matching name.
	TLSVerifyFull TLSMode = iota
	// TLSVerifyCA requires TLS and a chain to the CA; the name may differ.
	TLSVerifyCA
	// TLSRequire requires TLS and verifies nothing.
	TLSRequire
	// TLSDisable speaks plain text. For loopback and unix sockets.
	TLSDisable
)

// TLS is how the gateway speaks to the target.
type TLS struct {
	Mode TLSMode
	// CA is a PEM bundle; empty means the system's roots.
	CA []byte
	// ServerName overrides the host of Address for verification.
	ServerName string
}

// Limits bound one session. A zero member means no limit of that sort beyond
// the gateway's own hard bounds.
type Limits struct {
	// Rows and Bytes bound one command's answer.
	Rows  int64
	Bytes int64
	// Statement bounds the time of one command at the target.
	Statement time.Duration
	// Session bounds the time from opening to end, Idle the time in which neither
	// side of an interactive command says anything.
	Session, Idle time.Duration
	// Sessions bounds how many sessions are open at a time at one gateway: of the
	// target, and SessionsPerAgent of one agent at the target.
	Sessions, SessionsPerAgent int
}
