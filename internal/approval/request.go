package approval

import (
	"slices"
	"time"

	"github.com/sallyport-gateway/sallyport/internal/gate"
)

// Request is an access request: the record of a command that waits, or waited,
// for a person.
type Request struct {
	// ID names the request ("apr_…"); it cannot be guessed and grants nothing.
	ID string
	// Digest binds the request to the exact command, "sha256:…".
	Digest  string
	Asker   Asker
	Target  Target
	Command Command
	// Rule is the policy rule that held the command, Reason its message.
	Rule   string
	Reason string
	// Terms say who may answer and for how long.
	Terms gate.Approval
	State gate.RequestState
	// Filed is when the request was made.
	Filed time.Time
	// Expires is when a pending request or an unused grant ends, and until when
	// a denial stands.
	Expires time.Time
	// Answers are what people said so far, in order.
	Answers []Answer
	// Ended is when the request was consumed, expired or cancelled; zero before.
	Ended time.Time
	// Note says what ended it: the session that consumed the grant, or why it
	// was cancelled.
	Note string
}

// Asker is who asked, as its token said at that moment.
type Asker struct {
	Subject    gate.Party
	Actor      gate.Party
	Client     string
	Agent      string
	Attributes map[string]gate.Attribute
	// Session, Remote and Application say where the request came from. They are
	// for the reader and not part of what is bound.
	Session     string
	Remote      string
	Application string
}

// Target is what the command would run on.
type Target struct {
	Name       string
	Protocol   string
	Generation string
	Labels     map[string]string
}

// Command is what the agent wants to run, in full.
type Command struct {
	// Text and Params are what the approver reads. [Desk.List] leaves them out.
	Text   string
	Params []string
	// Headline is the beginning of Text in one line, safe to print; it says how
	// much it leaves out.
	Headline string
	Effects  gate.Effects
	Labels   []string
}

// Answer is what one person said.
type Answer struct {
	By gate.Party
	// Name is the person as a reader knows it.
	Name     string
	Approved bool
	Comment  string
	At       time.Time
}

// Principal names whose request it is. Load is counted by it.
type Principal struct {
	Subject gate.Party
	Actor   gate.Party
	Client  string
}

// Key finds the requests for one exact command of one principal.
type Key struct {
	Principal Principal
	Digest    string
}

// Key returns the request's key.
func (r *Request) Key() Key {
	return Key{Principal{r.Asker.Subject, r.Asker.Actor, r.Asker.Client}, r.Digest}
}

// open reports whether the request can still change the fate of a command.
func (r *Request) open() bool {
	return r.State == gate.RequestPending || r.State == gate.RequestApproved
}

// expire ends an open request whose time is over, and reports whether it did.
func (r *Request) expire(now time.Time) bool {
	if !r.open() || now.Before(r.Expires) {
		return false
	}
	r.State, r.Ended, r.Note = gate.RequestExpired, now, ""
	return true
}

// approvals counts the different people who approved.
func (r *Request) approvals() int {
	n := 0
	for i, a := range r.Answers {
		same := func(b Answer) bool { return b.Approved && b.By == a.By }
		if a.Approved && !slices.ContainsFunc(r.Answers[:i], same) {
			n++
		}
	}
	return n
}

// approvers returns who approved, for the record.
func (r *Request) approvers() []string {
	var names []string
	for _, a := range r.Answers {
		if a.Approved {
			names = append(names, a.By.Subject+" ("+a.By.Issuer+")")
		}
	}
	return names
}

// terms returns t with its defaults filled in and its bounds applied.
func terms(t gate.Approval) gate.Approval {
	t.Groups = slices.Clone(t.Groups)
	slices.Sort(t.Groups)
	t.Groups = slices.Compact(t.Groups)
	t.Count = max(t.Count, 1)
	if t.Within <= 0 {
		t.Within = DefaultWithin
	}
	t.Within = min(t.Within, MaxWithin)
	return t
}

func sameTerms(a, b gate.Approval) bool {
	return a.Count == b.Count && a.Within == b.Within && slices.Equal(a.Groups, b.Groups)
}
