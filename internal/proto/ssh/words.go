package ssh

import (
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/sallyport-gateway/sallyport/internal/gate"
)

// exitRefused is the exit status of a command that was not run, or whose session
// the gateway ended (EX_NOPERM of sysexits.h).
const exitRefused = 77

// clean makes a text fit for a terminal: control and format characters, which could
// move the cursor or reverse the reading direction, are escaped.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' || !unicode.IsControl(r) && !unicode.Is(unicode.Cf, r) {
			return r
		}
		return unicode.ReplacementChar
	}, s)
}

// refusalText is what an agent reads on standard error: what happened, what would
// work, and the machine-readable line.
func refusalText(r *gate.Refusal, hints []string) []byte {
	var b strings.Builder
	switch r.Status {
	case gate.StatusApprovalRequired:
		fmt.Fprintf(&b, "sallyport: held by rule %s: %s\n", r.Rule, r.Error())
		fmt.Fprintf(&b, "sallyport: an approver answers at %s; run the identical command again after approval\n", r.URL)
	case gate.StatusApprovalDenied, gate.StatusCancelled:
		fmt.Fprintf(&b, "sallyport: not run: %s\n", r.Error())
	default:
		if r.Rule != "" {
			fmt.Fprintf(&b, "sallyport: blocked by rule %s: %s\n", r.Rule, r.Error())
		} else {
			fmt.Fprintf(&b, "sallyport: blocked: %s\n", r.Error())
		}
	}
	for _, h := range hints {
		fmt.Fprintf(&b, "sallyport: %s\n", h)
	}
	return []byte(clean(b.String()) + r.Line() + "\n")
}

func heldText(h gate.Held) []byte {
	reason := h.Reason
	if reason == "" {
		reason = "it needs approval"
	}
	return []byte(clean(fmt.Sprintf("sallyport: held by rule %s: %s\nsallyport: request %s waits until %s for an approver: %s\n",
		h.Rule, reason, h.Request, h.Until.UTC().Format(time.RFC3339), h.URL)))
}

func waitingText(h gate.Held, left time.Duration) []byte {
	return []byte(clean(fmt.Sprintf("sallyport: request %s still waits, %d s left\n", h.Request, int(left.Seconds()))))
}

// endText tells an agent why its session was ended from outside.
func endText(e *gate.EndError) []byte {
	reason := map[gate.EndReason]string{
		gate.EndExpired: "the token or the session's time has run out", gate.EndRevoked: "the session was revoked",
		gate.EndRecorder: "the session cannot be recorded", gate.EndShutdown: "the gateway is shutting down",
		gate.EndTarget: "the connection to the target is lost",
	}[e.Reason]
	if reason == "" {
		reason = "the session has ended"
	}
	return []byte(fmt.Sprintf("sallyport: session ended: %s\nSALLYPORT ended reason=%s retry=never\n", reason, e.Reason))
}
