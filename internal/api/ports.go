package api

import (
	"context"
	"io"
	"time"

	"github.com/sallyport-gateway/sallyport/internal/gate"
)

// What a role can permit a person to do in this interface.
const (
	// PermitApprovals: list, read and answer access requests. Before an answer
	// counts, the approval package checks besides that the person is in the right
	// group and not the requester.
	PermitApprovals = "approvals"
	// PermitSessions: list sessions and read recordings, which hold data.
	PermitSessions = "sessions"
	// PermitRevoke: revoke agents, tokens and sessions, and list revocations.
	PermitRevoke = "revoke"
	// PermitDocuments: list and change documents.
	PermitDocuments = "documents"
	// PermitMetrics: read the metrics.
	PermitMetrics = "metrics"
)

// Permissions returns every permission, for the validation of roles.
func Permissions() []string {
	return []string{PermitApprovals, PermitSessions, PermitRevoke, PermitDocuments, PermitMetrics}
}

// Identifier verifies tokens. [gate.Identifier] satisfies it.
type Identifier interface {
	// Identify returns whom a token names. It must be safe for concurrent use
	// and bound its own network waits. Its error is for the log.
	Identify(ctx context.Context, token gate.Secret) (*gate.Principal, error)
	// Revoked reports whether the principal was revoked, and why.
	Revoked(p *gate.Principal) (reason string, revoked bool)
}

// Authority knows the roles.
type Authority interface {
	// Allowed reports whether a role gives the person the permission. It must
	// be safe for concurrent use and answer false for what it does not know.
	Allowed(p *gate.Principal, permission string) bool
}

// ApprovalFilter picks access requests.
type ApprovalFilter struct {
	// State is a state's word; empty picks every state.
	State string
	// Limit is the greatest number to return; always set.
	Limit int
}

// Approvals keeps access requests. Errors are *Error where the caller is told
// more than that something failed. It must be safe for concurrent use.
type Approvals interface {
	// List returns access requests, newest first, without text and parameters.
	List(ctx context.Context, f ApprovalFilter) ([]Approval, error)
	// Show returns one; NotFound if there is none.
	Show(ctx context.Context, id string) (Approval, error)
	// Answer approves or denies a request in a person's name and returns the
	// request as it stands then. Forbidden if the person may not answer it,
	// Conflict if it is not pending any more. When it returns nil the answer is
	// durable.
	Answer(ctx context.Context, by *gate.Principal, id string, approve bool, comment string) (Approval, error)
}

// SessionFilter picks sessions.
type SessionFilter struct {
	// Target and Agent pick by exact name; empty picks all.
	Target string
	Agent  string
	// Since and Until bound the start (Until itself is out); zero is no bound.
	Since, Until time.Time
	// Live picks only sessions that live, Blocked only those with a refused
	// command.
	Live, Blocked bool
	// Limit is the greatest number to return; always set.
	Limit int
}

// Sessions knows live and recorded sessions. It must be safe for concurrent use.
type Sessions interface {
	// List returns sessions, newest first.
	List(ctx context.Context, f SessionFilter) ([]Session, error)
	// Show returns one; NotFound if there is none.
	Show(ctx context.Context, id string) (Session, error)
	// Export writes a recording as jsonl, asciicast or text: what is recorded
	// so far for a live session. It must write nothing before it is sure that
	// the recording exists (NotFound), read in constant memory and stop at the
	// first error of w.
	Export(ctx context.Context, id, format string, w io.Writer) error
	// Follow writes a recording as asciicast, with what is added to it, until the
	// session ends. While nothing happens it writes an empty line every ten
	// seconds. It has the duties of Export.
	Follow(ctx context.Context, id string, w io.Writer) error
}

// Revocations keeps revocations. It must be safe for concurrent use.
type Revocations interface {
	// Revoke makes a revocation durable, ends the live sessions that it
	// concerns and returns how many those were. ID, By and Created of r are
	// unset. NotFound if r names a session that does not live, or lifts what is
	// not revoked.
	Revoke(ctx context.Context, by *gate.Principal, r Revocation) (Revoked, error)
	// List returns the revocations that have not run out, newest first.
	List(ctx context.Context) ([]Revocation, error)
}

// Documents keeps the configuration documents. It must be safe for concurrent use.
type Documents interface {
	// List returns the documents in force, by kind and name.
	List(ctx context.Context) ([]Document, error)
	// Apply checks a stream of YAML documents as a whole and, unless dryRun,
	// puts it in force as a whole, durably. A bad document changes nothing:
	// Invalid, with the places. It must not keep body.
	Apply(ctx context.Context, by *gate.Principal, body []byte, dryRun bool) (Applied, error)
	// Remove takes one document out of force, as Apply puts one in. NotFound if
	// there is none; Invalid, with the places, if others need it.
	Remove(ctx context.Context, by *gate.Principal, kind, name string, dryRun bool) (Applied, error)
}

// The outcomes of an audit entry.
const (
	OutcomeBegun   = "begun"
	OutcomeDone    = "done"
	OutcomeRefused = "refused"
	OutcomeFailed  = "failed"
)

// AuditEntry is one call that changes something or reveals recorded data.
type AuditEntry struct {
	Time time.Time
	By   *gate.Principal
	// Remote is the caller's network address.
	Remote string
	// Action is the operation ("approval.approve").
	Action string
	// Object is what it was done to: an id or a name; may be empty.
	Object string
	// Detail is what was asked, without secrets: a comment, a reason, a format,
	// the digest of a body.
	Detail string
	// Outcome is OutcomeBegun before the call is carried out, and one of the
	// others afterwards.
	Outcome string
}

// Audit is the log of who did what.
type Audit interface {
	// Record appends an entry. When it returns nil the entry is durable. An
	// error refuses the call that it was to record.
	Record(ctx context.Context, e AuditEntry) error
}
