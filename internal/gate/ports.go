package gate

import (
	"context"
	"net"
	"time"
)

// Protocol serves the client side of one wire protocol.
type Protocol interface {
	// Name is the word that targets name the protocol by ("postgres").
	Name() string
	// Serve speaks with one client until it leaves or its session ends, and
	// closes client. It returns nil for an ordinary end. It may leave the rest
	// to [Session.Run] and return before.
	Serve(ctx context.Context, client net.Conn, g *Gateway) error
}

// Proof is what a caller shows to say who it is. Exactly one member is set; the
// zero Proof names nobody.
type Proof struct {
	// Token is an OIDC token as it came.
	Token Secret
	// Certificate is a certificate in its protocol's encoding. A protocol sets it
	// only when the caller has proved on this connection that it holds the
	// certificate's key.
	Certificate []byte
}

// Identifier verifies what callers show.
type Identifier interface {
	// Identify verifies a proof and returns whom it names. The error's text is
	// for the log; the agent learns only that it was refused and which rule
	// refused it. It must be safe for concurrent use and must bound its own
	// network waits.
	Identify(ctx context.Context, proof Proof) (*Principal, error)
	// Revoked reports whether the principal was revoked, and why. It is asked
	// at Open; revocations that come later reach live sessions by
	// [Gateway.End].
	Revoked(p *Principal) (reason string, revoked bool)
}

// Directory finds targets.
type Directory interface {
	// Target returns the target with exactly this name, or false.
	Target(name string) (*Target, bool)
}

// Loop runs sessions. What it runs waits for its connections in the loop's own
// way, which may be cheaper than a goroutine's that blocks.
type Loop interface {
	// Conn readies a fresh connection for Run; until then it works as c does.
	Conn(c net.Conn) net.Conn
	// Run runs f on a goroutine of its own and returns at once. From now on the
	// waits of conns, which Conn has made, are the loop's. No other goroutine may
	// wait for them unless f has called Task.Block. When f returns that it rests,
	// after a read of one of them has returned ErrRest, it is called again, by any
	// goroutine, when that read has something to say.
	Run(f func(Task) (rests bool), conns ...net.Conn)
}

// ErrRest is what a read returns instead of waiting, where Session.Rest allows it.
// It is temporary, so that a tls.Conn goes on after it.
var ErrRest net.Error = restError{}

type restError struct{}

func (restError) Error() string   { return "nothing to read yet" }
func (restError) Timeout() bool   { return false }
func (restError) Temporary() bool { return true }

// Task is the goroutine of a session, as its Loop sees it.
type Task interface {
	// Block says that the goroutine may block in something else than its
	// connections from now on: a lock that is held long, another connection,
	// another goroutine. It is cheap, and repeating it does nothing.
	Block()
	// Resume says that it will not any more. Nothing else may wait for the
	// connections then.
	Resume()
}

// Recorder keeps recordings.
type Recorder interface {
	// Start begins the recording of a session. When it returns nil, the start
	// event survives the death of the process.
	Start(s *SessionInfo) (Recording, error)
}

// Recording is the full stream of one session. Calls for one recording do not
// overlap.
type Recording interface {
	// Append adds one event in order. It may keep the event in memory until
	// Commit. It blocks when storage is slow and never drops. The event and
	// what it points to are the caller's again on return.
	Append(e *Event) error
	// Commit makes every event appended so far survive the death of the
	// process. The gate calls it before bytes go to the target or to the agent.
	// After an error of Append or Commit the recording takes no further event.
	Commit() error
	// Close commits, ends the recording and releases its files.
	Close() error
}

// EventKind says what an event tells. The numbers are the recording format:
// append only.
type EventKind uint8

const (
	// EventCommand: a command and its decision, committed before forwarding.
	EventCommand EventKind = iota + 1
	// EventInput: further bytes of the agent that belong to a command's stream.
	EventInput
	// EventAnswer: bytes as the agent was answered, in masked form,
	// committed before they are sent.
	EventAnswer
	// EventEffect: what came of a command (rows, tag, error).
	EventEffect
	// EventHold: a command began to wait for a person, or the wait ended.
	EventHold
	// EventEnd: the session ended, and why.
	EventEnd
	// EventInquiry: the gateway asked the target something about a command that
	// it was inspecting, committed before the question is sent.
	EventInquiry
)

// Event is one entry in a recording.
type Event struct {
	Kind EventKind
	Time time.Time
	// Command counts the session's commands from 1; 0 belongs to no command.
	Command uint64
	// Text is the command as asked (EventCommand), the request id and its state
	// (EventHold), the command tag or SQLSTATE (EventEffect), the question
	// (EventInquiry), or the cause (EventEnd).
	Text string
	// Params are the command's parameters, for a reader.
	Params []string
	Phase  Phase
	// Effects, Labels and Verdict belong to EventCommand. Verdict is nil elsewhere.
	Effects Effects
	Labels  []string
	Verdict *Verdict
	// Status is the refusal's word if the command was not forwarded; empty if
	// it was.
	Status Status
	// Rows belongs to EventEffect.
	Rows int64
	// Data are the bytes of EventInput and EventAnswer, in the protocol's wire
	// form.
	Data []byte
}

// Dialer reaches targets.
type Dialer interface {
	// Dial connects to the target's address. It must honour ctx.
	Dial(ctx context.Context, t *Target) (net.Conn, error)
}

// Vault keeps credentials.
type Vault interface {
	// Credential returns the named credential, or an error that names only the
	// credential.
	Credential(ctx context.Context, name string) (*Credential, error)
}

// Approver keeps access requests.
type Approver interface {
	// Ask consumes an approved grant for exactly this ask (Asked.Granted), or
	// joins the pending request for it, or files one. It never waits for a
	// person. When Granted is true the grant is used up, durably.
	Ask(ctx context.Context, a *Ask) (Asked, error)
	// Wait blocks until the request is answered, expires or ctx ends, and
	// returns its state.
	Wait(ctx context.Context, request string) (RequestState, error)
	// Withdraw cancels a pending request: its agent gave the command up.
	Withdraw(ctx context.Context, request string) error
}

// Ask is a command that needs a person.
type Ask struct {
	Session *SessionInfo
	// Digest is the binding digest, "sha256:…".
	Digest string
	// Text and Params are what the approver reads; never truncated.
	Text     string
	Params   []string
	Effects  Effects
	Labels   []string
	Rule     string
	Reason   string
	Approval Approval
}

// Asked is the answer to an Ask.
type Asked struct {
	// Granted: the command may run now, once.
	Granted bool
	Request string
	State   RequestState
	Expires time.Time
	URL     string
	// Approvers are who approved, for the record.
	Approvers []string
}

// RequestState is the state of an access request (AuthZEN access request and
// approval profile). Any other word counts as not approved.
type RequestState string

const (
	RequestPending   RequestState = "pending"
	RequestApproved  RequestState = "approved"
	RequestDenied    RequestState = "denied"
	RequestExpired   RequestState = "expired"
	RequestCancelled RequestState = "cancelled"
	RequestConsumed  RequestState = "consumed"
)
