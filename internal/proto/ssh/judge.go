package ssh

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport-gateway/sallyport/internal/gate"
	"github.com/sallyport-gateway/sallyport/internal/mask"
	"github.com/sallyport-gateway/sallyport/internal/proto/ssh/wire"
)

// judge takes a command through the gate. It reports false when the command was
// refused, which the client has been told, or the session is over.
func (s *session) judge(ctx context.Context, cmd *gate.Command, hints []string) (gate.Permit, bool) {
	p, err := s.decide(ctx, cmd)
	if err == nil {
		return p, true
	}
	var r *gate.Refusal
	if errors.As(err, &r) {
		s.refusal(r, slices.DeleteFunc(hints, func(h string) bool { return h == r.Reason }))
	}
	return gate.Permit{}, false
}

// decide takes a command through the gate and returns its error.
func (s *session) decide(ctx context.Context, cmd *gate.Command) (gate.Permit, error) {
	s.commands++
	if cmd.Mask == nil {
		cmd.Mask = func(m gate.Masks) error { return s.applyMasks(cmd.Labels, m) }
	}
	cmd.Wait, cmd.Cancelled, s.waited = s.startWait, s.withdrawn, false
	p, err := s.gate.Decide(ctx, cmd)
	s.endWait()
	return p, err
}

// unsearched is the mask of commands whose answers no detector can look through (a
// file, whose length is told first; a tunnel): like labelled paths, they need a rule
// that shows plainly what the target's detectors would hide.
func (s *session) unsearched(labels []string, what string) func(gate.Masks) error {
	return func(m gate.Masks) error {
		if err := s.applyMasks(labels, m); err != nil {
			return err
		}
		if s.outs[0] == nil {
			return nil
		}
		s.outs[0], s.outs[1] = nil, nil
		return fmt.Errorf("%s cannot be searched for what the target's detectors find: it needs a rule with the mask plain for each of them", what)
	}
}

// applyMasks implements gate.Command.Mask: labels of paths cannot be masked, since
// the host reads the file; labels of detectors are applied to what it answers.
func (s *session) applyMasks(labels []string, m gate.Masks) error {
	if err := maskable(labels, m); err != nil {
		return err
	}
	masks := map[string]string{}
	for _, l := range s.gate.Target.Detect {
		masks[l] = m.For(l)
	}
	for l, name := range m {
		if mask.Known(l) {
			masks[l] = name
		}
	}
	rules, err := mask.Compile(masks)
	if err != nil {
		return err
	}
	s.outs[0], s.outs[1] = nil, nil
	if slices.ContainsFunc(slices.Collect(maps.Values(masks)), func(name string) bool { return name != gate.MaskPlain }) {
		s.outs[0], s.outs[1] = rules.NewStream(), rules.NewStream()
	}
	return nil
}

// maskable refuses a command that touches labelled paths, unless the rule shows them.
func maskable(labels []string, m gate.Masks) error {
	for _, l := range labels {
		if m.For(l) != gate.MaskPlain {
			return fmt.Errorf("it touches paths labelled %q, which may not be read", l)
		}
	}
	return nil
}

// refuse puts on record a command that is refused whatever the policy says.
func (s *session) refuse(ctx context.Context, text, why string, hints ...string) {
	s.facts = &Facts{Kind: "exec", Login: s.gate.Target.Login, Unknown: []string{why}}
	s.judge(ctx, &gate.Command{Text: text, Effects: gate.EffectUnknown, Facts: s.facts,
		Binding: s.binding("refused", text), Mask: func(gate.Masks) error { return errors.New(why) }}, append([]string{why}, hints...))
}

// visible is what an approver reads of a command besides its text.
func (s *session) visible(stdin bool) []string {
	var all []string
	for _, v := range s.environment() {
		all = append(all, "environment: "+v)
	}
	if stdin {
		all = append(all, "it reads standard input, which is not part of what is approved")
	}
	return all
}

// action is the part of the binding digest that says what runs.
type action struct {
	Kind        string   `json:"kind"`
	Command     string   `json:"command"`
	Environment []string `json:"environment"`
	Terminal    string   `json:"terminal"`
}

func (s *session) binding(kind, command string) func() gate.Binding {
	return func() gate.Binding {
		// Names that a pattern matched may be no UTF-8, which JSON cannot tell apart.
		return gate.Binding{Role: s.gate.Target.Login, Action: action{Kind: kind, Command: strconv.QuoteToASCII(command),
			Environment: s.environment(), Terminal: fmt.Sprintf("%x", s.terminal)}}
	}
}

// refusal is the native form of a refusal: words on standard error and an exit
// status that nothing else has.
func (s *session) refusal(r *gate.Refusal, hints []string) {
	b := wire.AppendReply(nil, true)
	b = wire.Append(b, wire.ErrorOutput, refusalText(r, hints))
	_ = s.gate.Answer(s.commands, wire.AppendEnd(b, exitRefused)) // an error ends the session, which says so
}

// waiting is a command that waits for a person.
type waiting struct {
	stop    chan struct{} // closed by endWait
	stopped chan struct{} // closed when progress is told no more
}

// progressEvery is how often a waiting client is told that it waits.
const progressEvery = 15 * time.Second

var errDeaf = errors.New("ssh: the client does not read")

// tell answers while a command waits. A client that does not take a few words ends its
// session: it must not choose by itself when an approved command runs.
func (s *session) tell(command uint64, b []byte) error {
	late := time.AfterFunc(progressEvery, func() { s.gate.End(gate.EndProtocol, errDeaf) })
	defer late.Stop()
	return s.gate.Answer(command, b)
}

// startWait implements gate.Command.Wait.
func (s *session) startWait(h gate.Held) {
	s.waited = true
	w := &waiting{stop: make(chan struct{}), stopped: make(chan struct{})}
	s.waiting = w
	b := wire.Append(wire.AppendReply(nil, true), wire.ErrorOutput, heldText(h))
	if err := s.tell(s.commands, b); err != nil {
		close(w.stopped)
		return
	}
	command := s.commands
	go func() { // ends with endWait
		defer close(w.stopped)
		tick := time.NewTicker(progressEvery)
		defer tick.Stop()
		for {
			select {
			case <-w.stop:
				return
			case <-tick.C:
			}
			text := waitingText(h, time.Until(h.Until))
			if err := s.tell(command, wire.Append(nil, wire.ErrorOutput, text)); err != nil {
				return
			}
		}
	}()
}

// endWait returns when progress is told no more.
func (s *session) endWait() {
	if w := s.waiting; w != nil {
		close(w.stop)
		<-w.stopped
		s.waiting = nil
	}
}

// unknownHints words what was not understood, for the agent.
func unknownHints[R fmt.Stringer](reasons []R) []string {
	var hints []string
	for i, r := range reasons {
		if i == maxHints {
			hints = append(hints, fmt.Sprintf("and %d more", len(reasons)-i))
			break
		}
		hints = append(hints, strings.TrimSpace(r.String()))
	}
	return hints
}

// maxHints bounds the reasons that an agent is told of one refusal.
const maxHints = 5
