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

// clean makes a text fit for one line of a terminal: control and format characters,
// which could move the cursor or reverse the reading direction, are replaced, and so
// is everything that somebody takes for the end of a line. No text of a client or a
// host can begin a line of the gateway's.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n', r == '\t':
			return ' '
		case unicode.IsControl(r), unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp):
			return unicode.ReplacementChar
		}
		return r
	}, s)
}

// refusalText is what an agent reads on standard error: what happened, what would
// work, and the machine-readable line.
func refusalText(r *gate.Refusal, hints []string) []byte {
	var b strings.Builder
	line := func(format string, args ...any) {
		b.WriteString("sallyport: " + clean(fmt.Sprintf(format, args...)) + "\n")
	}
	switch r.Status {
	case gate.StatusApprovalRequired:
		line("held by rule %s: %s", r.Rule, r.Error())
		line("an approver answers at %s; run the identical command again after approval", r.URL)
	case gate.StatusApprovalDenied, gate.StatusCancelled:
		line("not run: %s", r.Error())
	default:
		if r.Rule != "" {
			line("blocked by rule %s: %s", r.Rule, r.Error())
		} else {
			line("blocked: %s", r.Error())
		}
	}
	for _, h := range hints {
		line("%s", h)
	}
	return []byte(b.String() + r.Line() + "\n")
}

func heldText(h gate.Held) []byte {
	reason := h.Reason
	if reason == "" {
		reason = "it needs approval"
	}
	return []byte(clean(fmt.Sprintf("sallyport: held by rule %s: %s", h.Rule, reason)) + "\n" + clean(fmt.Sprintf(
		"sallyport: request %s waits until %s for an approver: %s", h.Request, h.Until.UTC().Format(time.RFC3339), h.URL)) + "\n")
}

func waitingText(h gate.Held, left time.Duration) []byte {
	return []byte(clean(fmt.Sprintf("sallyport: request %s still waits, %d s left", h.Request, int(left.Seconds()))) + "\n")
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
