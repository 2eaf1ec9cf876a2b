package gate

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Status is the machine-readable word of a refusal.
type Status string

const (
	// StatusBlocked: a rule, or the absence of one, forbids the command.
	StatusBlocked Status = "blocked"
	// StatusApprovalRequired: a person must approve; run the command again then.
	StatusApprovalRequired Status = "approval_required"
	// StatusApprovalDenied: a person said no.
	StatusApprovalDenied Status = "approval_denied"
	// StatusCancelled: the agent withdrew the command while it waited.
	StatusCancelled Status = "cancelled"
)

// Refusal is the answer to a command that was not forwarded. Protocols word it
// in their own error form; the session goes on.
type Refusal struct {
	Status  Status
	Rule    string
	Reason  string
	Session string
	// Request, Expires, URL and Digest are set for approval_required and
	// approval_denied.
	Request string
	Expires time.Time
	URL     string
	Digest  string
}

// Error returns the reason, for a person.
func (r *Refusal) Error() string {
	if r.Reason == "" {
		return string(r.Status)
	}
	return r.Reason
}

// Line returns the one machine-readable line, the same in every protocol:
//
//	SALLYPORT blocked rule=no-ddl reason="…" retry=never session=…
func (r *Refusal) Line() string {
	var b strings.Builder
	b.WriteString("SALLYPORT ")
	b.WriteString(string(r.Status))
	field := func(name, value string) {
		if value == "" {
			return
		}
		b.WriteByte(' ')
		b.WriteString(name)
		b.WriteByte('=')
		if strings.ContainsAny(value, " \"\\\t\r\n") || !printable(value) {
			value = strconv.QuoteToASCII(value)
		}
		b.WriteString(value)
	}
	if r.Request != "" {
		field("id", r.Request)
	}
	switch r.Status {
	case StatusApprovalRequired:
		field("status", "pending")
		field("rule", r.Rule)
		field("expires", r.Expires.UTC().Format(time.RFC3339))
		field("url", r.URL)
		field("digest", r.Digest)
		field("retry", "run the identical command again after approval")
	default:
		field("rule", r.Rule)
		field("reason", r.Reason)
		field("retry", "never")
	}
	field("session", r.Session)
	return b.String()
}

func printable(s string) bool {
	for _, c := range s {
		if c < 0x20 || c > 0x7e {
			return false
		}
	}
	return true
}

// EndReason says why a session ended, or could not be opened. Protocols word it
// in their own fatal form.
type EndReason string

const (
	// EndClosed: the agent or the target closed the connection.
	EndClosed EndReason = "closed"
	// EndExpired: the token, the policy's or the target's session limit ran out.
	EndExpired EndReason = "expired"
	// EndRevoked: an operator revoked the agent, the token or the session.
	EndRevoked EndReason = "revoked"
	// EndRecorder: the recording could not be written.
	EndRecorder EndReason = "recorder"
	// EndProtocol: the agent or the target broke the protocol.
	EndProtocol EndReason = "protocol"
	// EndShutdown: the gateway is stopping.
	EndShutdown EndReason = "shutdown"
	// EndTarget: the target could not be reached or dropped the connection.
	EndTarget EndReason = "target"
)

// EndError is a session's end. Err is for the log, Reason for the agent.
type EndError struct {
	Reason EndReason
	Err    error
}

// Error joins the reason and the inner error.
func (e *EndError) Error() string {
	if e.Err == nil {
		return "session " + string(e.Reason)
	}
	return fmt.Sprintf("session %s: %v", e.Reason, e.Err)
}

// Unwrap returns the inner error.
func (e *EndError) Unwrap() error { return e.Err }

// OpenError says why no session was opened. Public is for the agent: it names
// no internals. Err is for the log and is never sent.
type OpenError struct {
	// Stage is the step that refused: identify, authorise, limit, record, dial,
	// login.
	Stage  string
	Public string
	Err    error
}

// Error joins the stage, the public text and the inner error.
func (e *OpenError) Error() string {
	if e.Err == nil {
		return e.Stage + ": " + e.Public
	}
	return fmt.Sprintf("%s: %s: %v", e.Stage, e.Public, e.Err)
}

// Unwrap returns the inner error.
func (e *OpenError) Unwrap() error { return e.Err }
