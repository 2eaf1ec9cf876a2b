package postgres

import (
	"errors"
	"fmt"

	"github.com/sallyport-gateway/sallyport/internal/gate"
	"github.com/sallyport-gateway/sallyport/internal/proto/postgres/wire"
)

// SQLSTATE codes the gateway answers with. Source: PostgreSQL documentation,
// appendix "PostgreSQL Error Codes".
const (
	codeProtocolViolation = "08P01"
	codeConnectionFailure = "08006"
	codeRejected          = "08004"
	codeFeature           = "0A000"
	codeInvalidAuth       = "28000"
	codeInvalidPassword   = "28P01"
	codeStatementName     = "26000"
	codeCursorName        = "34000"
	codeFailedTx          = "25P02"
	codeSerialization     = "40001"
	codePrivilege         = "42501"
	codeNameTooLong       = "42622"
	codeDiskFull          = "53100"
	codeTooManyConns      = "53300"
	codeLimit             = "54000"
	codeCanceled          = "57014"
	codeShutdown          = "57P01"
	codeInternal          = "XX000"
)

func fatal(code, format string, args ...any) *wire.Fault {
	return &wire.Fault{Severity: "FATAL", Code: code, Message: fmt.Sprintf(format, args...)}
}

func fault(code, format string, args ...any) *wire.Fault {
	return &wire.Fault{Severity: "ERROR", Code: code, Message: fmt.Sprintf(format, args...)}
}

// refusalFault words a refusal: what happened, the machine-readable line, and
// what to do. The line does not name the session: what an agent is told must
// depend on its request and on public data only, so that two databases which
// differ in secrets can be compared byte by byte. SHOW sallyport.session tells.
func refusalFault(r *gate.Refusal) *wire.Fault {
	public := *r
	public.Session = ""
	f := &wire.Fault{Severity: "ERROR", Code: codePrivilege, Detail: public.Line()}
	rule := ""
	if r.Rule != "" {
		rule = " by rule " + r.Rule
	}
	switch r.Status {
	case gate.StatusApprovalRequired:
		f.Message = fmt.Sprintf("approval_required: the statement is held%s: %s", rule, r.Reason)
		if r.Reason == "" {
			f.Message = "approval_required: the statement is held" + rule
		}
		f.Hint = "Ask an approver to answer request " + r.Request + ", then run the identical statement again. Do not modify it and do not try another way."
	case gate.StatusApprovalDenied:
		f.Message = fmt.Sprintf("approval_denied: %s", r.Reason)
		f.Hint = "Do not try this statement again."
	case gate.StatusCancelled:
		f.Code = codeCanceled
		f.Message = "canceling statement due to user request: " + r.Reason
	default:
		f.Message = fmt.Sprintf("blocked%s: %s", rule, r.Reason)
		f.Hint = "The session goes on; the statement was not sent to the database."
	}
	return f
}

// endFault words the end of a session.
func endFault(e *gate.EndError) *wire.Fault {
	switch e.Reason {
	case gate.EndExpired:
		return fatal(codeShutdown, "terminating connection: the session has expired; connect again with a fresh token")
	case gate.EndRevoked:
		return fatal(codeShutdown, "terminating connection: access was revoked")
	case gate.EndRecorder:
		return fatal(codeDiskFull, "terminating connection: the session cannot be recorded, so nothing more is forwarded")
	case gate.EndShutdown:
		return fatal(codeShutdown, "terminating connection: the gateway is shutting down")
	case gate.EndTarget:
		return fatal(codeConnectionFailure, "terminating connection: the connection to the target was lost")
	case gate.EndProtocol:
		return fatal(codeProtocolViolation, "terminating connection: protocol violation")
	default:
		return nil
	}
}

// openFault words why no session was opened.
func openFault(err error) *wire.Fault {
	var o *gate.OpenError
	if !errors.As(err, &o) {
		return fatal(codeInternal, "the session could not be opened")
	}
	switch o.Stage {
	case "identify":
		f := fatal(codeInvalidPassword, "%s", o.Public)
		f.Hint = "Give a fresh token as the password: PGPASSWORD=$(sallyport token)"
		return f
	case "authorise":
		return fatal(codeInvalidAuth, "%s", o.Public)
	case "limit":
		return fatal(codeTooManyConns, "%s", o.Public)
	case "record":
		return fatal(codeDiskFull, "%s", o.Public)
	default:
		return fatal(codeConnectionFailure, "%s", o.Public)
	}
}
