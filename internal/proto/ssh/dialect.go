package ssh

import (
	"context"
	"fmt"
	"path"
	"regexp"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport-gateway/sallyport/internal/proto/ssh/wire"
	"github.com/sallyport-gateway/sallyport/internal/shell"
)

// everyShell are lines of plain words, which mean the same to every shell that an
// account may have. Other lines do not: in single quotes fish takes a backslash for
// one, csh an exclamation mark, and zsh evaluates what bash compares.
var everyShell = regexp.MustCompile(`^[A-Za-z0-9_./:,+@%' -]*$`)

// dialects are the login shells whose reading of a line is understood.
var dialects = map[string]shell.Dialect{"bash": shell.Bash, "sh": shell.POSIX, "dash": shell.POSIX, "ash": shell.POSIX, "zsh": shell.Zsh}

// loginShell is one account's shell, as the host told it.
type loginShell struct {
	name string
	read time.Time
}

// shells remembers the login shells of the accounts. The zero value is ready.
type shells struct {
	mu    sync.Mutex
	known map[string]loginShell // guarded by mu; by account and configuration
}

const (
	// shellAge is how long an account's shell is believed to stay.
	shellAge = 10 * time.Minute
	// maxShells bounds what is remembered.
	maxShells = 4096
)

func (k *shells) get(account string) (string, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	s, ok := k.known[account]
	return s.name, ok && time.Since(s.read) < shellAge
}

func (k *shells) put(account, name string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.known == nil || len(k.known) >= maxShells {
		k.known = map[string]loginShell{}
	}
	k.known[account] = loginShell{name, time.Now()}
}

// shellQuestion asks for the account's shell, which sshd puts into the environment,
// in words that every shell reads the same way.
const shellQuestion = `exec /bin/sh -c 'printf %s "$SHELL"'`

// dialect is how the account's login shell reads lines; false if that is not known.
func (s *session) dialect(ctx context.Context) (shell.Dialect, string, bool) {
	t := s.gate.Target
	account := fmt.Sprintf("%q %q", t.Handle(), t.Generation)
	name, known := s.c.server.shells.get(account)
	if !known {
		b := wire.AppendOpen(nil, "session", nil)
		b = wire.AppendRequest(b, "exec", true, ssh.Marshal(struct{ Command string }{shellQuestion}))
		out, err := s.inquire(ctx, "which shell does the account have", wire.Append(b, wire.EOF, nil))
		if err != nil {
			s.c.server.cfg.Log.Warn("login shell not known", "session", s.gate.ID, "error", err)
			return 0, "", false
		}
		name = path.Base(strings.TrimSpace(string(out[:min(len(out), 256)])))
		s.c.server.shells.put(account, name)
	}
	d, ok := dialects[name]
	return d, name, ok
}

// inquire asks the host a question in fixed words and returns its answer.
func (s *session) inquire(ctx context.Context, about string, question []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, inquiryTimeout)
	defer cancel()
	select {
	case s.link.inquiries <- struct{}{}:
		defer func() { <-s.link.inquiries }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	conn, err := s.gate.Inquire(ctx, s.link.Link, about, question)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	return readOutput(conn)
}

// understand parses a command line and resolves at the host where its paths lead. A
// line that is more than plain words is read as the account's own shell would.
func (s *session) understand(ctx context.Context, line string) (*shell.Command, error) {
	command, err := s.read(ctx, line, shell.Bash)
	if err != nil || everyShell.MatchString(line) && everyShell.MatchString(command.Text) {
		return command, err
	}
	d, name, ok := s.dialect(ctx)
	switch {
	case !ok:
		if s.gate.Err() == nil {
			command.Doubt(shell.Reason{What: "shell " + clean(name),
				Why: "the account's login shell is not one whose reading of a line is understood", Instead: "use plain words, or have it changed to bash or sh"})
		}
		return command, s.gate.Err()
	case d != shell.Bash:
		return s.read(ctx, line, d)
	}
	return command, nil
}

// read understands a line as a shell of the dialect reads it.
func (s *session) read(ctx context.Context, line string, d shell.Dialect) (*shell.Command, error) {
	plan, err := shell.Analyse([]byte(line), d, shell.Programs())
	if err != nil {
		return nil, err
	}
	questions := plan.Questions()
	if len(questions) == 0 {
		return plan.Settle(nil)
	}
	answers, err := s.ask(ctx, questions)
	if err != nil {
		return nil, err
	}
	return plan.Settle(answers)
}
