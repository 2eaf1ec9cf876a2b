//go:build cgo && unix

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
)

// psqlArguments are the arguments that every psql of the demo gets.
func (w *demoWorld) psqlArguments(more ...string) []string {
	return append([]string{"-X", w.conninfo()}, more...)
}

// conninfo is the connection string of psql. The user name is free: the token
// says who it is.
func (w *demoWorld) conninfo() string {
	return fmt.Sprintf("host=127.0.0.1 port=%d dbname=%s user=agent sslmode=verify-full sslrootcert=data/gateway.crt",
		w.postgresPort, demoTarget)
}

// psqlCommand prepares a psql whose environment has nothing of the caller's
// settings: no PG… variable, no ~/.pgpass.
func (w *demoWorld) psqlCommand(ctx context.Context, token string, arguments ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, w.psql, arguments...)
	cmd.Dir = w.dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + w.dir, "LC_ALL=C.UTF-8", "PGPASSWORD=" + token, "PGCONNECT_TIMEOUT=10"}
	return cmd
}

// once runs statements in a psql of their own and returns what it answered and
// its exit code.
func (w *demoWorld) once(ctx context.Context, token string, statements ...string) (string, int, error) {
	var arguments []string
	for _, s := range statements {
		arguments = append(arguments, "-c", s)
	}
	out, err := w.psqlCommand(ctx, token, w.psqlArguments(arguments...)...).CombinedOutput()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return string(out), exit.ExitCode(), nil
	}
	return string(out), 0, err
}

// psqlSession is a psql that stays open: what is typed into it is one session.
type psqlSession struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
	lines chan string // closed when psql has ended
	marks int
}

// open starts a psql.
func (w *demoWorld) open(ctx context.Context, token string) (*psqlSession, error) {
	cmd := w.psqlCommand(ctx, token, w.psqlArguments()...)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	s := &psqlSession{cmd: cmd, stdin: stdin, lines: make(chan string, 64)}
	ended := make(chan struct{})
	for _, r := range []io.Reader{stdout, stderr} {
		go func() { // ends when psql closes its output
			for in := bufio.NewScanner(r); in.Scan(); {
				s.lines <- in.Text()
			}
			ended <- struct{}{}
		}()
	}
	go func() {
		<-ended
		<-ended
		close(s.lines)
	}()
	return s, nil
}

// mark is what psql prints on both of its outputs after a statement.
func (s *psqlSession) mark() string { return fmt.Sprintf("--%d--", s.marks) }

// send types a statement.
func (s *psqlSession) send(sql string) error {
	s.marks++
	_, err := fmt.Fprintf(s.stdin, "%s\n\\echo %s\n\\warn %s\n", sql, s.mark(), s.mark())
	return err
}

// await returns what psql says to the statement that was sent, line by line to
// show, until a line contains text, or to the end if text is empty.
func (s *psqlSession) await(ctx context.Context, text string, show func(string)) (string, error) {
	var all strings.Builder
	for marks := 0; ; {
		select {
		case <-ctx.Done():
			return all.String(), fmt.Errorf("psql gave no further answer: %w", ctx.Err())
		case line, open := <-s.lines:
			if !open {
				return all.String(), errors.New("psql has ended")
			}
			if line == s.mark() {
				if marks++; marks == 2 {
					return all.String(), nil
				}
				continue
			}
			all.WriteString(line + "\n")
			show(line)
			if text != "" && strings.Contains(line, text) {
				return all.String(), nil
			}
		}
	}
}

// quit closes the session as a person does.
func (s *psqlSession) quit(ctx context.Context) error {
	_, err := io.WriteString(s.stdin, "\\q\n")
	err = errors.Join(err, s.stdin.Close())
	for {
		select {
		case <-ctx.Done():
			return errors.Join(err, ctx.Err())
		case _, open := <-s.lines:
			if !open {
				return errors.Join(err, s.cmd.Wait())
			}
		}
	}
}
