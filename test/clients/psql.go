package clients

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	// fieldSeparator stands between psql's columns: no value of the scenarios has it.
	fieldSeparator = "\x1f"
	// mark begins a line that the script printed about itself, on both outputs.
	mark = "=== "
)

// psqlScript is what one scenario gives psql.
type psqlScript struct {
	// text is the script on standard input.
	text string
	// errors is how many errors it must meet.
	errors int
	// rows makes the judged rows of the output lines; nil takes them as they are.
	rows func(lines [][]string) [][]string
	// interrupt: psql is sent SIGINT, as by Ctrl-C, once the script said "started".
	interrupt bool
}

func runPSQL(ctx context.Context, c Config, scenarios []Scenario) ([]Result, error) {
	var results []Result
	for _, s := range scenarios {
		r, err := playPSQL(ctx, c, s)
		if err != nil {
			return results, err
		}
		r.Scenario = s
		results = append(results, r)
	}
	return results, nil
}

func playPSQL(ctx context.Context, c Config, s Scenario) (Result, error) {
	if s == Pipeline {
		return Result{Unsupported: "psql sends one command at a time"}, nil
	}
	if s == Statements {
		return psqlStatements(ctx, c)
	}
	script, err := psqlScriptOf(c, s)
	if err != nil {
		return Result{}, err
	}
	stdout, stderr, err := execPSQL(ctx, c, script)
	if err != nil {
		return Result{}, err
	}
	report := parsePSQLReport(stderr)
	r := Result{Rows: splitRows(stdout), Notices: report.notices}
	if len(report.errors) > 0 {
		r.Error = &report.errors[len(report.errors)-1]
	}
	switch {
	case len(report.errors) != script.errors:
		r.Failure = fmt.Sprintf("%d errors, want %d; psql said:\n%s", len(report.errors), script.errors, stderr)
	case s == Notice:
		r.Rows = nil
		for _, n := range report.notices {
			_, message, _ := strings.Cut(n, ": ")
			r.Rows = append(r.Rows, []string{message})
		}
	case s == Cancel:
		// psql leaves a script that was interrupted, so that the session goes on
		// cannot be seen here; the other four clients show it.
		r.Rows = [][]string{{r.Error.SQLState}, {"1"}}
	case s == Refused && r.Error.SQLState != "42501":
		r.Failure = "refused with " + r.Error.String() + ", want SQLSTATE 42501"
	case script.rows != nil:
		r.Rows = script.rows(r.Rows)
	}
	return r, nil
}

// execPSQL runs psql once. A non-zero exit is not an error of the machinery:
// what psql said tells what it means.
func execPSQL(ctx context.Context, c Config, script psqlScript) (stdout, stderr string, err error) {
	cmd := exec.CommandContext(ctx, "psql", "-X", "-q", "-A", "-t", "-F", fieldSeparator, "-P", "null=NULL",
		"-v", "VERBOSITY=verbose", "-v", "SHOW_CONTEXT=never")
	cmd.Env = append(plainEnv(), "PGHOST="+c.Host, "PGPORT="+strconv.Itoa(c.Port), "PGDATABASE="+c.Database, "PGUSER="+c.User,
		"PGPASSWORD="+c.Password, "PGSSLMODE=verify-full", "PGSSLROOTCERT="+c.CAFile, "PGCONNECT_TIMEOUT=30", "PGCLIENTENCODING=UTF8")
	cmd.Stdin = strings.NewReader(script.text)
	var errOut bytes.Buffer
	out := &watchedBuffer{word: mark + "started", seen: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = out, &errOut
	if err := cmd.Start(); err != nil {
		return "", "", fmt.Errorf("run psql (package postgresql-client): %w", err)
	}
	done := make(chan struct{})
	if script.interrupt {
		go interruptOnceStarted(cmd, out.seen, done)
	}
	err = cmd.Wait()
	close(done)
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return "", "", fmt.Errorf("run psql: %w", err)
	}
	if ctx.Err() != nil {
		return "", "", fmt.Errorf("run psql: %w; it said: %s%s", ctx.Err(), out.buffer.String(), errOut.String())
	}
	return out.buffer.String(), errOut.String(), nil
}

// interruptOnceStarted sends SIGINT until psql ends: psql passes it on as a
// cancel request while a query runs and heeds it only then.
func interruptOnceStarted(cmd *exec.Cmd, started, done <-chan struct{}) {
	select {
	case <-started:
	case <-done:
		return
	}
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-done:
			return
		case <-tick.C:
			_ = cmd.Process.Signal(syscall.SIGINT)
		}
	}
}

// watchedBuffer closes seen when word was written. One goroutine writes it.
type watchedBuffer struct {
	buffer bytes.Buffer
	word   string
	seen   chan struct{}
}

func (w *watchedBuffer) Write(p []byte) (int, error) {
	n, err := w.buffer.Write(p)
	if w.word != "" && strings.Contains(w.buffer.String(), w.word) {
		w.word = ""
		close(w.seen)
	}
	return n, err
}

// splitRows makes rows of psql's unaligned output, without the script's marks.
func splitRows(stdout string) [][]string {
	var rows [][]string
	for line := range strings.Lines(stdout) {
		line = strings.TrimSuffix(line, "\n")
		if !strings.HasPrefix(line, mark) {
			rows = append(rows, strings.Split(line, fieldSeparator))
		}
	}
	return rows
}

// psqlStatements runs Config.Statements in one psql. Each may be a meta-command.
func psqlStatements(ctx context.Context, c Config) (Result, error) {
	var text strings.Builder
	for _, sql := range c.Statements {
		sql = strings.TrimRight(sql, "; \n")
		if !strings.HasPrefix(sql, `\`) {
			sql += ";"
		}
		fmt.Fprintf(&text, "\\echo '%sstep'\n\\warn '%sstep'\n%s\n", mark, mark, sql)
	}
	stdout, stderr, err := execPSQL(ctx, c, psqlScript{text: text.String()})
	if err != nil {
		return Result{}, err
	}
	outs, errs := strings.Split(stdout, mark+"step\n")[1:], strings.Split(stderr, mark+"step\n")
	r := Result{}
	for i, out := range outs {
		step := Step{Rows: splitRows(out)}
		report := parsePSQLReport(errs[min(i+1, len(errs)-1)])
		r.Notices = append(r.Notices, report.notices...)
		if len(report.errors) > 0 {
			step.Error = &report.errors[0]
		}
		r.Steps = append(r.Steps, step)
	}
	if len(r.Steps) != len(c.Statements) {
		r.Failure = fmt.Sprintf("%d of %d statements ran; psql said:\n%s", len(r.Steps), len(c.Statements), stderr)
		if report := parsePSQLReport(stderr); len(report.errors) > 0 {
			r.Error = &report.errors[0]
		}
	}
	return r, nil
}
