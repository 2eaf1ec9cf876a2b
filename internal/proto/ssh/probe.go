package ssh

import (
	"context"
	"fmt"
	"net"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport-gateway/sallyport/internal/gate"
	"github.com/sallyport-gateway/sallyport/internal/hostpath"
	"github.com/sallyport-gateway/sallyport/internal/proto/ssh/wire"
	"github.com/sallyport-gateway/sallyport/internal/shell"
)

// probeKeyID is what the host's log has where the gateway logs in for itself.
const probeKeyID = "sallyport probe"

// Run runs a command at a host on the gateway's own behalf, with the target's
// credential, and returns its standard output. No agent has a part in it: the command
// is a fixed text, in which an agent's words are quoted.
func Run(ctx context.Context, g *gate.Gateway, t *gate.Target, command string) ([]byte, error) {
	var out []byte
	err := g.Probe(ctx, t, func(ctx context.Context, raw net.Conn, t *gate.Target, cred *gate.Credential) (net.Conn, error) {
		m, err := logIn(raw, t, cred, probeKeyID)
		if err != nil {
			return nil, err
		}
		defer m.Close()
		conn, err := m.Stream(ctx)
		if err != nil {
			return nil, err
		}
		defer conn.Close()
		b := wire.AppendOpen(nil, "session", nil)
		b = wire.AppendRequest(b, "exec", true, ssh.Marshal(struct{ Command string }{command}))
		if _, err := conn.Write(wire.Append(b, wire.EOF, nil)); err != nil {
			return nil, err
		}
		out, err = readOutput(conn)
		return nil, err
	})
	return out, err
}

// Describe describes a command line as a session would, without running it. Where
// the line has paths the host is asked, with the target's own credential, where they
// lead; if it cannot be asked, the command is one that is not understood, as in a
// session, and assumed says so. judge may be nil.
func Describe(ctx context.Context, g *gate.Gateway, t *gate.Target, line string, judge SQL) (cmd *gate.Command, assumed string, err error) {
	if argv := literalWords(line); len(argv) > 0 && (argv[0] == "scp" || argv[0] == "rsync") {
		return nil, "", fmt.Errorf("%s moves files, which is decided as they move, and so cannot be explained as one command", argv[0])
	}
	plan, err := shell.Analyse([]byte(line), shell.Bash, shell.Programs())
	if err != nil {
		return nil, "", err
	}
	var answers *hostpath.Answers
	if questions := plan.Questions(); len(questions) > 0 {
		if answers, err = inquire(ctx, g, t, questions); err != nil {
			assumed = fmt.Sprintf("the host could not be asked where the paths lead (%v), so the command counts as not understood; a session would refuse it", err)
		}
	}
	c, err := plan.Settle(answers)
	if err != nil {
		return nil, "", err
	}
	effects, labels := withSQL(ctx, judge, c)
	return &gate.Command{Text: c.Text, Effects: effects, Labels: labels, Facts: factsOf(c, t.Login),
		Mask: func(m gate.Masks) error { return maskable(labels, m) }}, assumed, nil
}

// inquire asks a host about paths outside of a session.
func inquire(ctx context.Context, g *gate.Gateway, t *gate.Target, questions []hostpath.Question) (*hostpath.Answers, error) {
	marks := hostpath.Marks(t.Marks)
	script, err := hostpath.Script(questions, marks)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, inquiryTimeout)
	defer cancel()
	out, err := Run(ctx, g, t, script)
	if err != nil {
		return nil, err
	}
	return hostpath.ReadAnswers(out, questions, marks)
}
