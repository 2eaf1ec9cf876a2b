package gate

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// verdictCacheSize bounds the decisions that one session remembers.
const verdictCacheSize = 64

// Session is one authorised connection of one principal to one target. Decide,
// Answer, Input and Effect belong to the goroutine that serves the session;
// End may be called from anywhere.
type Session struct {
	*SessionInfo
	g      *Gateway
	client net.Conn
	in     *connection // whose protocol serves it; nil outside of Listen
	rec    Recording
	timer  *time.Timer

	command  uint64           // commands decided so far; owned by the serving goroutine
	permit   uint64           // the command whose Permit is outstanding; 0 if none
	follow   Follow           // what the outstanding Permit's stream may carry
	verdicts map[any]*Verdict // what is stable, by the pointer to the facts
	meter    *meter           // nil when nothing is counted
	epoch    uint64           // the policy generation that verdicts belong to

	task    Task       // what runs the session; set by Run
	batch   batcher    // the client's raw connection, if it is one
	rester  rester     // the same
	dialled []net.Conn // raw connections to the target, until Run

	recMu sync.Mutex // guards rec against an answer from a stream's goroutine
	ended atomic.Pointer[EndError]
	onEnd atomic.Pointer[func(*EndError)]
	done  chan struct{} // closed by the first End
	once  sync.Once     // for Close
	gone  chan struct{} // made by closed, closed by Close; guarded by g.mu
}

// Permit allows one command to be forwarded, once, on its own session. The zero
// Permit allows nothing; only Session.Decide makes another one.
type Permit struct {
	s *Session
	n uint64
}

// Command returns the number of the command in its session, for Answer.
func (p Permit) Command() uint64 { return p.n }

// Decide takes a command through decide, hold and record. It returns a Permit
// when the command may be forwarded; a *Refusal when it may not, after which the
// session goes on; and an *EndError when the session is over. Only one Permit is
// outstanding at a time: a new Decide voids the one before.
func (s *Session) Decide(ctx context.Context, cmd *Command) (Permit, error) {
	s.command++
	s.permit = 0
	if err := s.Err(); err != nil {
		return Permit{}, err
	}
	v, err := s.verdict(ctx, cmd)
	if err != nil {
		s.g.cfg.Log.Error("policy failed, command blocked", "session", s.ID, "error", err)
		v = Verdict{Reason: "the policy could not be evaluated, so the command is blocked"}
	}
	if v.Decision != Block {
		if err := s.mask(cmd, v.Masks); err != nil {
			v = Verdict{Rule: v.Rule, Reason: err.Error()}
		}
	}
	s.g.count.Decided[min(v.Decision, Hold)].Add(1)
	var refusal *Refusal
	switch {
	case v.Decision == Allow:
	case v.Decision == Hold && cmd.Phase == Prepare:
		// Nothing runs yet; the wait comes with Run.
	case v.Decision == Hold:
		v, refusal, err = s.hold(ctx, cmd, v)
		if err != nil {
			return Permit{}, err
		}
	default:
		refusal = &Refusal{Status: StatusBlocked, Rule: v.Rule, Reason: v.Reason, Session: s.ID}
		if refusal.Reason == "" {
			refusal.Reason = "no rule allows this command"
		}
	}
	if err := s.recordCommand(cmd, &v, refusal); err != nil {
		return Permit{}, err
	}
	if refusal != nil {
		return Permit{}, refusal
	}
	s.meter.weigh(s.command, cmd, &v)
	s.permit, s.follow = s.command, cmd.Follow
	return Permit{s, s.command}, nil
}

// verdict asks the policy, or remembers what it said.
func (s *Session) verdict(ctx context.Context, cmd *Command) (Verdict, error) {
	epoch := s.g.cfg.Policy.Generation()
	if epoch != s.epoch || len(s.verdicts) >= verdictCacheSize {
		clear(s.verdicts)
		s.epoch = epoch
	}
	if cmd.Facts != nil {
		if v, ok := s.verdicts[cmd.Facts]; ok {
			return *v, nil
		}
	}
	cmd.Spent = s.meter.asked()
	v, err := s.g.cfg.Policy.Decide(ctx, s.SessionInfo, cmd)
	if err == nil && v.Stable && cmd.Facts != nil {
		if s.verdicts == nil {
			s.verdicts = make(map[any]*Verdict)
		}
		kept := v
		s.verdicts[cmd.Facts] = &kept
	}
	return v, err
}

func (s *Session) mask(cmd *Command, m Masks) error {
	if cmd.Mask != nil {
		return cmd.Mask(m)
	}
	for _, l := range cmd.Labels {
		if m.For(l) != MaskPlain {
			return fmt.Errorf("the command touches data labelled %q, which cannot be masked here", l)
		}
	}
	return nil
}

// hold waits for a person. It returns the verdict to record and, unless the
// command may run, the refusal.
func (s *Session) hold(ctx context.Context, cmd *Command, v Verdict) (Verdict, *Refusal, error) {
	if cmd.Binding == nil {
		return v, nil, s.fail(errors.New("gate: a held command has no binding"))
	}
	digest, err := s.digest(v.Rule, cmd.Binding())
	if err != nil {
		return v, nil, s.fail(err)
	}
	ask := &Ask{
		Session: s.SessionInfo, Digest: digest, Text: cmd.Text, Params: slices.Clone(cmd.Params), Effects: cmd.Effects,
		Labels: cmd.Labels, Rule: v.Rule, Reason: v.Reason, Approval: v.Approval,
	}
	s.Block()
	asked, err := s.g.cfg.Approver.Ask(ctx, ask)
	if err != nil {
		s.g.cfg.Log.Error("access request failed, command blocked", "session", s.ID, "error", err)
		return v, &Refusal{Status: StatusBlocked, Rule: v.Rule, Session: s.ID,
			Reason: "the command needs approval, and the request could not be filed: " + publicText(err)}, nil
	}
	if asked.Granted {
		s.g.count.Granted.Add(1)
		return v, nil, s.recordHold(asked.Request, RequestConsumed)
	}
	if asked.State == RequestPending && cmd.Wait != nil {
		if asked.State, err = s.await(ctx, cmd, v, digest, asked); err != nil {
			return v, nil, err
		}
		if asked.State == RequestApproved || asked.State == RequestConsumed { // by the same command, elsewhere
			// The policy is asked again: an approval never overrides a block that
			// came meanwhile, and the masks may have changed.
			again, err := s.g.cfg.Policy.Decide(ctx, s.SessionInfo, cmd)
			if err != nil || again.Decision == Block || again.Rule != v.Rule {
				return again, &Refusal{Status: StatusBlocked, Rule: again.Rule, Session: s.ID,
					Reason: "the policy changed while the command waited"}, nil
			}
			if err := s.mask(cmd, again.Masks); err != nil {
				return again, &Refusal{Status: StatusBlocked, Rule: again.Rule, Reason: err.Error(), Session: s.ID}, nil
			}
			if again.Decision == Allow {
				return again, nil, nil
			}
			consumed, err := s.g.cfg.Approver.Ask(ctx, ask)
			if err == nil && consumed.Granted {
				s.g.count.Granted.Add(1)
				return again, nil, s.recordHold(consumed.Request, RequestConsumed)
			}
			v, asked = again, consumed
		}
	}
	r := &Refusal{Rule: v.Rule, Reason: v.Reason, Session: s.ID,
		Request: asked.Request, Expires: asked.Expires, URL: asked.URL, Digest: digest}
	switch asked.State {
	case RequestDenied:
		r.Status, r.Reason = StatusApprovalDenied, "an approver refused this command"
	case RequestCancelled:
		r.Status, r.Reason = StatusCancelled, "the command was withdrawn while it waited for approval"
	default:
		r.Status = StatusApprovalRequired
	}
	return v, r, nil
}

// await tells the client that it waits, waits, and returns the request's state.
func (s *Session) await(ctx context.Context, cmd *Command, v Verdict, digest string, asked Asked) (RequestState, error) {
	if err := s.recordHold(asked.Request, RequestPending); err != nil {
		return "", err
	}
	s.g.count.Held.Add(1)
	until := s.g.cfg.Now().Add(s.Hold)
	cmd.Wait(Held{Request: asked.Request, Rule: v.Rule, Reason: v.Reason, URL: asked.URL, Digest: digest, Until: until})
	cancelled := cmd.Cancelled // read now: the command is the protocol's again when Decide returns
	ctx, cancel := context.WithTimeout(ctx, s.Hold)
	defer cancel()
	var withdrawn atomic.Bool
	finished := make(chan struct{})
	defer close(finished)
	go func() { // ends with this function
		select {
		case <-cancelled:
			withdrawn.Store(true)
			cancel()
		case <-s.done:
			cancel()
		case <-finished:
		}
	}()
	state, err := s.g.cfg.Approver.Wait(ctx, asked.Request)
	if withdrawn.Load() {
		// What nobody waits for must not stay for somebody to approve.
		if err := s.g.cfg.Approver.Withdraw(context.WithoutCancel(ctx), asked.Request); err != nil {
			s.g.cfg.Log.Error("access request not withdrawn", "session", s.ID, "error", err)
		}
	}
	if end := s.Err(); end != nil {
		return "", end
	}
	switch {
	case withdrawn.Load():
		state = RequestCancelled
	case err != nil:
		state = RequestPending // the client comes back later
	}
	return state, s.recordHold(asked.Request, state)
}

// digest binds a grant to the exact command (DESIGN.md, rule 6). The token and
// the connection are not bound: both change between asking and running again.
func (s *Session) digest(rule string, b Binding) (string, error) {
	doc := struct {
		Version    string  `json:"v"`
		Subject    Party   `json:"subject"`
		Actor      Party   `json:"actor"`
		Client     string  `json:"client"`
		Target     string  `json:"target"`
		Generation string  `json:"generation"`
		Protocol   string  `json:"protocol"`
		Rule       string  `json:"rule"`
		Binding    Binding `json:"binding"`
	}{"sallyport-grant-v1", s.Principal.Party, s.Principal.Actor, s.Principal.ClientID,
		s.Target.Name, s.Target.Generation, s.Protocol, rule, b}
	raw, err := json.Marshal(doc)
	if err != nil {
		return "", fmt.Errorf("gate: binding: %w", err)
	}
	canonical, err := canonicalJSON(raw)
	if err != nil {
		return "", fmt.Errorf("gate: binding: %w", err)
	}
	sum := sha256.Sum256(canonical)
	return "sha256:" + hex.EncodeToString(sum[:]), nil
}

func (s *Session) recordCommand(cmd *Command, v *Verdict, r *Refusal) error {
	e := Event{Kind: EventCommand, Command: s.command, Text: cmd.Text, Params: cmd.Params,
		Phase: cmd.Phase, Effects: cmd.Effects, Labels: cmd.Labels}
	if r != nil {
		e.Status = r.Status
	}
	return s.append(e, v)
}

// recordHold is committed at once: a wait may be long.
func (s *Session) recordHold(request string, state RequestState) error {
	err := s.append(Event{Kind: EventHold, Command: s.command, Text: request + " " + string(state)}, nil)
	if err != nil {
		return err
	}
	return s.commit()
}

// append adds an event, of now, to the recording; if it cannot, the session is
// over.
func (s *Session) append(e Event, v *Verdict) error {
	n := entries.Get().(*entry)
	n.Event = e
	n.Time = s.g.cfg.Now()
	if v != nil {
		n.verdict = *v
		n.Event.Verdict = &n.verdict
	}
	s.recMu.Lock()
	err := s.rec.Append(&n.Event)
	s.recMu.Unlock()
	*n = entry{}
	entries.Put(n)
	if err != nil {
		s.End(EndRecorder, err)
		return s.Err()
	}
	return nil
}

// commit makes what was appended durable; if it cannot, the session is over.
func (s *Session) commit() error {
	s.recMu.Lock()
	err := s.rec.Commit()
	s.recMu.Unlock()
	if err != nil {
		s.End(EndRecorder, err)
		return s.Err()
	}
	return nil
}

func (s *Session) fail(err error) error {
	s.End(EndProtocol, err)
	return s.Err()
}

// batcher is a connection that can be told that the next n bytes belong together.
type batcher interface{ Batch(n int) }

// maxRecord is the longest record of TLS (RFC 8446, section 5.1): what is longer
// is written in several pieces.
const maxRecord = 16 << 10

// Answer records b as what the agent was answered to a command and then writes
// it to the client. What cannot be recorded is not sent, and the session ends.
// It may be called by the goroutine that serves a command's stream, but not
// concurrently.
func (s *Session) Answer(command uint64, b []byte) error {
	return s.AnswerContent(command, b, b)
}

// AnswerContent is Answer for bulk content (a file) of which the recording keeps
// only a part: kept stands in it for b, and says how much of b it leaves out; none
// means that Keep has put on record what is kept. The protocol records the digest of
// the whole as the command's effect.
func (s *Session) AnswerContent(command uint64, b, kept []byte) error {
	if len(b) == 0 {
		return nil
	}
	if end := s.Err(); end != nil {
		return end
	}
	if len(kept) > 0 {
		if err := s.append(Event{Kind: EventAnswer, Command: command, Data: kept}, nil); err != nil {
			return err
		}
	}
	if err := s.commit(); err != nil {
		return err
	}
	s.meter.bytes(len(b))
	if s.batch != nil && len(b) > maxRecord {
		s.batch.Batch(len(b))
	}
	if _, err := s.client.Write(b); err != nil {
		s.End(EndClosed, err)
		return s.Err()
	}
	return nil
}

// Keep puts on record what is kept of content that then goes on in another form, to
// the agent, or with input to the target. It is durable before that goes on.
func (s *Session) Keep(command uint64, input bool, kept []byte) error {
	if end := s.Err(); end != nil {
		return end
	}
	kind := EventAnswer
	if input {
		kind = EventInput
	}
	return s.append(Event{Kind: kind, Command: command, Data: kept}, nil)
}

// Effect records what came of a command: its rows and its tag or error code.
func (s *Session) Effect(command uint64, text string, rows int64) error {
	s.meter.rows(command, rows)
	return s.append(Event{Kind: EventEffect, Command: command, Text: text, Rows: rows}, nil)
}

// Dial reaches the target and logs in. Only login sees the credential and the
// raw connection. controls are the fixed messages that the protocol may send
// without a command: they hold nothing that came from the agent. Errors are
// *OpenError.
func (s *Session) Dial(ctx context.Context, login Login, controls ...[]byte) (*Upstream, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	conn, raw, err := s.g.dial(ctx, s.Target, login)
	if err != nil {
		return nil, err
	}
	s.dialled = append(s.dialled, raw)
	return &Upstream{s: s, conn: conn, controls: controls}, nil
}

// Signal opens a second connection to the target, without logging in, for a
// message out of band (a CancelRequest), and closes it when send returns.
func (s *Session) Signal(ctx context.Context, send func(ctx context.Context, conn net.Conn) error) error {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	conn, err := s.g.cfg.Dialer.Dial(ctx, s.Target)
	if err != nil {
		return fmt.Errorf("signal %s: %w", s.Target.Name, err)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	return send(ctx, conn)
}

// PolicyGeneration changes whenever the same command could be decided
// differently. A protocol that runs again what was decided before compares it.
func (s *Session) PolicyGeneration() uint64 { return s.g.cfg.Policy.Generation() }

// OnEnd sets what happens when the session is ended from outside: cancel the
// running command at the target, wake the goroutine that serves the client. It
// runs once, at once if the session has ended already. It must not block long.
func (s *Session) OnEnd(f func(*EndError)) {
	s.onEnd.Store(&f)
	if s.Err() != nil {
		s.runOnEnd()
	}
}

func (s *Session) runOnEnd() {
	if f := s.onEnd.Swap(nil); f != nil {
		(*f)(s.ended.Load())
	}
}

// End ends the session: nothing more is decided, forwarded or answered. Only the
// first reason counts.
func (s *Session) End(reason EndReason, err error) {
	if !s.ended.CompareAndSwap(nil, &EndError{reason, err}) {
		return
	}
	s.g.count.ended(reason)
	close(s.done)
	s.runOnEnd()
}

// Err returns nil while the session lives, and the *EndError afterwards.
func (s *Session) Err() error {
	if e := s.ended.Load(); e != nil {
		return e
	}
	return nil
}

// Done is closed when the session has ended.
func (s *Session) Done() <-chan struct{} { return s.done }

// Close records the end and forgets the session. The protocol calls it when it
// has closed both connections. A session that nobody ended was closed by a peer.
func (s *Session) Close() {
	s.once.Do(func() {
		s.End(EndClosed, nil)
		s.timer.Stop()
		s.meter.close()
		end := s.ended.Load()
		if end.Reason != EndRecorder {
			_ = s.append(Event{Kind: EventEnd, Text: string(end.Reason)}, nil)
		}
		if err := s.rec.Close(); err != nil {
			s.g.cfg.Log.Error("recording not closed", "session", s.ID, "error", err)
		}
		s.g.forget(s)
		close(s.closedLocked())
	})
}

// closed returns a channel that Close closes.
func (s *Session) closed() <-chan struct{} { return s.closedLocked() }

func (s *Session) closedLocked() chan struct{} {
	s.g.mu.Lock()
	defer s.g.mu.Unlock()
	if s.gone == nil {
		s.gone = make(chan struct{})
	}
	return s.gone
}
