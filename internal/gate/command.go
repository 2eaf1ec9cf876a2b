package gate

import (
	"context"
	"strings"
	"time"
)

// Effects is the set of things that a command does. The zero value is no
// effect known, which policies treat as unknown.
type Effects uint16

// The effects, in the order in which they are listed.
const (
	EffectRead Effects = 1 << iota
	EffectWrite
	EffectDelete
	EffectSchema
	EffectAdmin
	EffectExecute
	EffectExport
	EffectTunnel
	EffectUnknown

	effectsEnd
)

var effectNames = [...]string{"read", "write", "delete", "schema", "admin", "execute", "export", "tunnel", "unknown"}

// EffectNames returns the word of every effect, in order.
func EffectNames() []string { return append([]string(nil), effectNames[:]...) }

// ParseEffect returns the effect with the given word, or false.
func ParseEffect(word string) (Effects, bool) {
	for i, n := range effectNames {
		if n == word {
			return 1 << i, true
		}
	}
	return 0, false
}

// Has reports whether every effect of x is in e.
func (e Effects) Has(x Effects) bool { return e&x == x }

// List returns the words in order. No effect at all is listed as unknown: what
// was not understood must not look harmless. The slice is shared: do not
// change it.
func (e Effects) List() []string { return effectLists[e&(effectsEnd-1)] }

// String joins the words with commas.
func (e Effects) String() string { return strings.Join(e.List(), ",") }

var effectLists = func() (lists [effectsEnd][]string) {
	for e := range effectsEnd {
		for i, n := range effectNames {
			if e&(1<<i) != 0 {
				lists[e] = append(lists[e], n)
			}
		}
	}
	lists[0] = []string{"unknown"}
	return lists
}()

// Phase says how far a command goes.
type Phase uint8

const (
	// Run is a command that takes effect when it is forwarded.
	Run Phase = iota
	// Prepare is a command that only makes ready what a later command runs (a
	// Parse message). A hold does not wait for it: the wait comes at Run.
	Prepare
)

// Follow says what a command's stream carries. The zero value opens none.
type Follow uint8

const (
	// FollowNothing: the command is complete in itself.
	FollowNothing Follow = iota
	// FollowMessages: the protocol's own messages about the command, made from
	// decoded ones (Describe, Execute and Close of what was bound).
	FollowMessages
	// FollowInput: data of the agent (COPY data, exec input, a request body);
	// it is recorded before it is forwarded.
	FollowInput
)

// Command is the unit of decision, as a protocol describes it.
type Command struct {
	// Text is what the agent asked, for a reader. Secrets in it (a password in
	// CREATE ROLE) are replaced by the protocol before it comes here.
	Text string
	// Params are the typed parameters, for a reader; may be nil.
	Params []string
	// Effects is what the command does. Zero means unknown.
	Effects Effects
	// Labels are the labels that the command touches.
	Labels []string
	Phase  Phase
	// Follow says what further bytes belong to the command. Unless something
	// does, its Permit opens no stream.
	Follow Follow
	// Facts is the protocol's struct of facts. Policy builds a typed
	// environment from it. Equal pointers mean equal facts: a decision that
	// depends on nothing else may be remembered under the pointer.
	Facts any
	// Cells is how many labelled values one row of the answer shows, in whole or
	// in part; zero with Labels means that it is not known: one per label that is
	// shown. Mask may set it.
	Cells int64
	// Spent returns what the agent has spent at the target. Session.Decide sets
	// it; nil means that nothing is counted. An error means that it is not known.
	Spent func() (Spending, error)
	// Binding says what exactly runs, for the digest that a grant is bound to.
	// It is called only for a hold.
	Binding func() Binding
	// Mask is told the masks that apply before anything is recorded or
	// forwarded. An error blocks the command; its text goes to the agent. A nil
	// Mask with Labels blocks.
	Mask func(Masks) error
	// Wait is called once when the command starts to wait for a person, so that
	// the protocol can tell its client. Nil means the command must not wait: it
	// is answered with approval_required at once (an open transaction).
	Wait func(Held)
	// Cancelled ends the wait early when the agent withdraws the command. It
	// may be nil, and Wait may set it.
	Cancelled <-chan struct{}
}

// Binding is the part of a grant's digest that the protocol knows (DESIGN.md,
// rule 6). Every member is bound.
type Binding struct {
	// Role is the account at the target.
	Role string `json:"role"`
	// Database is the database or namespace.
	Database string `json:"database"`
	// Action is the exact thing to run; it must encode to JSON
	// deterministically (structs, slices and sorted maps of strings).
	Action any `json:"action"`
}

// Masks says how each label is to be shown. A label that is not in it is shown
// as MaskRedact.
type Masks map[string]string

// The masks every protocol knows by name.
const (
	// MaskPlain shows the value. It must be asked for by name.
	MaskPlain = "plain"
	// MaskRedact replaces the value by a constant.
	MaskRedact = "redact"
)

// For returns the mask of a label: redact unless the rules say otherwise.
func (m Masks) For(label string) string {
	if name, ok := m[label]; ok {
		return name
	}
	return MaskRedact
}

// Held tells a waiting client what it waits for.
type Held struct {
	// Request is the id of the access request.
	Request string
	// Rule is the rule that holds the command.
	Rule string
	// Reason is the rule's message, for a reader.
	Reason string
	// URL is where an approver answers.
	URL string
	// Digest is the binding digest, "sha256:…".
	Digest string
	// Until is when the wait ends with approval_required.
	Until time.Time
}

// Decision is what happens to a command. The zero value blocks.
type Decision uint8

const (
	Block Decision = iota
	Allow
	Hold
)

// String returns the word used in documents and recordings.
func (d Decision) String() string {
	switch d {
	case Allow:
		return "allow"
	case Hold:
		return "hold"
	default:
		return "block"
	}
}

// Verdict is what the policies say of a command. The zero value blocks.
type Verdict struct {
	Decision Decision
	// Rule is "policy/rule"; empty when no rule spoke.
	Rule string
	// Reason is for the agent.
	Reason string
	// Masks apply to an allowed or held command.
	Masks Masks
	// Approval says who may answer a held command.
	Approval Approval
	// Stable says that the verdict depends on nothing but the session and
	// Command.Facts, so that it may be remembered until the policies change.
	Stable bool
}

// Approval says who may answer a held command and how long it may take.
type Approval struct {
	Groups []string
	// Count is how many different people must approve; zero means one.
	Count int
	// Within is how long the request, and then the grant, may live.
	Within time.Duration
}

// Policy decides commands.
type Policy interface {
	// Decide returns the verdict for a command. It must be safe for concurrent
	// use and must not keep cmd. An error blocks the command.
	Decide(ctx context.Context, s *SessionInfo, cmd *Command) (Verdict, error)
	// Generation changes whenever a decision could come out differently for
	// the same session and facts.
	Generation() uint64
}
