package ssh

import (
	"context"
	"errors"
	"io"
	"net"
	"reflect"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
	"mvdan.cc/sh/v3/syntax"

	"github.com/sallyport-gateway/sallyport/internal/gate"
	"github.com/sallyport-gateway/sallyport/internal/hostpath"
	"github.com/sallyport-gateway/sallyport/internal/proto/ssh/scp"
	"github.com/sallyport-gateway/sallyport/internal/proto/ssh/wire"
	"github.com/sallyport-gateway/sallyport/internal/shell"
)

// SQL judges the statements of database clients in command lines.
type SQL interface {
	// Judge returns what a statement does at the database, and the labels that it
	// touches. An error makes it unknown.
	Judge(ctx context.Context, address, database, text string) (effects gate.Effects, labels []string, err error)
}

// exec judges a command line and runs what was judged.
func (s *session) exec(ctx context.Context, payload []byte) {
	var v struct{ Command string }
	if err := ssh.Unmarshal(payload, &v); err != nil {
		s.refuse(ctx, "exec", "the request cannot be decoded")
		return
	}
	if argv := literalWords(v.Command); scp.Is(argv) {
		s.scp(ctx, argv)
		return
	} else if len(argv) > 0 && argv[0] == "rsync" {
		s.rsync(ctx, argv)
		return
	}
	command, err := s.understand(ctx, v.Command)
	var refusal *shell.Refusal
	switch {
	case errors.As(err, &refusal):
		s.refuse(ctx, strings.ToValidUTF8(v.Command, "\uFFFD"), refusal.Error())
		return
	case err != nil:
		s.c.server.cfg.Log.Warn("paths not resolved at the target", "session", s.gate.ID, "error", err)
		s.refuse(ctx, strings.ToValidUTF8(v.Command, "\uFFFD"), "the paths in it could not be resolved at the target")
		return
	}
	effects, labels := withSQL(ctx, s.c.server.cfg.SQL, command)
	s.facts = factsOf(command, s.gate.Target.Login)
	s.facts.Terminal = s.terminal != nil
	hints := s.facts.Unknown
	if s.terminal != nil {
		// With a terminal, programs page, colour and ask: what was judged is what
		// they do without one.
		effects |= gate.EffectUnknown
		hints = append(hints, "a terminal was asked for, with which programs do more than was judged: run it without -t")
	}
	cmd := &gate.Command{Text: command.Text, Params: s.visible(command.Stdin && effects != gate.EffectRead), Effects: effects,
		Labels: labels, Facts: s.facts, Follow: gate.FollowInput, Binding: s.binding("exec", command.Text)}
	p, ok := s.judge(ctx, cmd, hints)
	if !ok {
		return
	}
	if s.waited && !s.stands(ctx, v.Command, command) {
		s.changed(p)
		return
	}
	s.run(p, wire.AppendRequest(s.preamble(), "exec", true, ssh.Marshal(struct{ Command string }{command.Text})), 0)
}

// stands reports whether a line still is the command that was judged before it waited
// for a person: in that time a link that it names may have been turned elsewhere.
func (s *session) stands(ctx context.Context, line string, judged *shell.Command) bool {
	now, err := s.understand(ctx, line)
	return err == nil && reflect.DeepEqual(now, judged)
}

// changed refuses an approved command that is not what it was when it was judged.
func (s *session) changed(p gate.Permit) {
	_ = s.gate.Effect(p.Command(), "not run: what its paths name has changed", 0) // an error ends the session, which says so
	s.refusal(&gate.Refusal{Status: gate.StatusBlocked, Session: s.gate.ID,
		Reason: "what its paths name at the host changed while it waited, so it is not what was approved; ask again"}, nil)
}

// literalWords returns the words of a line that is one simple command without
// anything for a shell to expand, and nil for every other line.
func literalWords(line string) []string {
	if len(line) > maxLiteral {
		return nil
	}
	file, err := syntax.NewParser(syntax.Variant(syntax.LangPOSIX)).Parse(strings.NewReader(line), "")
	if err != nil || len(file.Stmts) != 1 {
		return nil
	}
	st := file.Stmts[0]
	call, ok := st.Cmd.(*syntax.CallExpr)
	if !ok || len(call.Assigns)+len(st.Redirs) > 0 || st.Negated || st.Background || st.Coprocess {
		return nil
	}
	var words []string
	for _, w := range call.Args {
		text, ok := literal(w)
		if !ok {
			return nil
		}
		words = append(words, text)
	}
	return words
}

// maxLiteral bounds the lines that are looked at for file transfers.
const maxLiteral = 16 << 10

// literal returns a word's text if a shell would take it as it stands. Patterns and
// tildes, which it would not, have no quotes around them.
func literal(w *syntax.Word) (string, bool) {
	var b strings.Builder
	for _, part := range w.Parts {
		switch p := part.(type) {
		case *syntax.Lit:
			if strings.ContainsAny(p.Value, `*?[]~{}\$`) {
				return "", false
			}
			b.WriteString(p.Value)
		case *syntax.SglQuoted:
			if p.Dollar {
				return "", false
			}
			b.WriteString(p.Value)
		case *syntax.DblQuoted:
			if len(p.Parts) > 1 {
				return "", false
			}
			if len(p.Parts) == 1 {
				lit, ok := p.Parts[0].(*syntax.Lit)
				if !ok || strings.ContainsAny(lit.Value, "\\`$") {
					return "", false
				}
				b.WriteString(lit.Value)
			}
		default:
			return "", false
		}
	}
	return b.String(), true
}

// factsOf are what policies see of a command line.
func factsOf(c *shell.Command, account string) *Facts {
	return &Facts{Kind: "exec", Login: account, Programs: c.Facts.Programs, Argv: c.Facts.Argv, Reads: c.Facts.Reads,
		Writes: c.Facts.Writes, Paths: c.Facts.Paths, Hosts: c.Facts.Hosts, Unknown: unknownHints(c.Unknown)}
}

// withSQL judges the SQL in a command by the rules of the database that it goes to.
func withSQL(ctx context.Context, judge SQL, c *shell.Command) (gate.Effects, []string) {
	if len(c.SQL) == 0 || judge == nil {
		return c.Effects, c.Labels
	}
	labels, all := c.Labels, gate.Effects(0)
	for _, q := range c.SQL {
		effects, more, err := judge.Judge(ctx, net.JoinHostPort(q.Host, q.Port), q.Database, q.Text)
		if err != nil || effects == 0 {
			effects = gate.EffectUnknown
		}
		all |= effects
		labels = append(labels, more...)
	}
	return c.Judged(all), labels
}

// maxAnswers bounds what a host may say about paths.
const maxAnswers = 8 << 20

// inquiryTimeout bounds how long it may take.
const inquiryTimeout = 20 * time.Second

// ask asks the host about paths, in one run of a fixed script in which the agent's
// words are quoted.
func (s *session) ask(ctx context.Context, questions []hostpath.Question) (*hostpath.Answers, error) {
	marks := hostpath.Marks(s.gate.Target.Marks)
	script, err := hostpath.Script(questions, marks)
	if err != nil {
		return nil, err
	}
	b := wire.AppendOpen(nil, "session", nil)
	b = wire.AppendRequest(b, "exec", true, ssh.Marshal(struct{ Command string }{script}))
	out, err := s.inquire(ctx, about(questions), wire.Append(b, wire.EOF, nil))
	if err != nil {
		return nil, err
	}
	return hostpath.ReadAnswers(out, questions, marks)
}

// about names the questions for a reader of the recording.
func about(questions []hostpath.Question) string {
	var b strings.Builder
	b.WriteString("where do these paths lead:")
	for i, q := range questions {
		if i == 20 {
			b.WriteString(" …")
			break
		}
		b.WriteString(" " + hostpath.Quote(clean(q.Name)))
	}
	return b.String()
}

var errAnswers = errors.New("ssh: the host's answer about paths is too long")

// readOutput collects the standard output of a stream until it is closed.
func readOutput(conn net.Conn) ([]byte, error) {
	buf := relayBuffers.Get().(*[]byte)
	defer relayBuffers.Put(buf)
	var out []byte
	for {
		n, err := conn.Read(*buf)
		if err != nil {
			return nil, err
		}
		for rest := (*buf)[:n]; len(rest) > 0; {
			var f wire.Frame
			if f, rest, err = wire.Next(rest); err != nil {
				return nil, err
			}
			switch f.Kind {
			case wire.Output:
				if out = append(out, f.Payload...); len(out) > maxAnswers {
					return nil, errAnswers
				}
			case wire.Failure:
				return nil, io.ErrUnexpectedEOF
			case wire.Close:
				return out, nil
			}
		}
	}
}

// shell asks for an interactive shell: a command as a whole, since what is typed
// into it is not seen as commands.
func (s *session) shell(ctx context.Context) {
	s.facts = &Facts{Kind: "shell", Login: s.gate.Target.Login, Terminal: s.terminal != nil}
	cmd := &gate.Command{Text: "interactive shell", Effects: gate.EffectExecute | gate.EffectUnknown, Facts: s.facts,
		Follow: gate.FollowInput, Binding: s.binding("shell", "")}
	p, ok := s.judge(ctx, cmd, []string{"a shell is not controlled command by command: run single commands (ssh TARGET COMMAND) instead"})
	if !ok {
		return
	}
	idle := s.gate.Target.Limits.Idle
	if idle <= 0 {
		idle = DefaultIdle
	}
	s.run(p, wire.AppendRequest(s.preamble(), "shell", true, nil), idle)
}
