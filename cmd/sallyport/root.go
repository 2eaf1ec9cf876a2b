// Command sallyport is the gateway and its command line. It holds flags and
// wiring, one file per subcommand, and no logic: that is in internal/.
//
// The commands that only talk to a gateway build without cgo for every platform.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/sallyport-gateway/sallyport/internal/api"
	"github.com/sallyport-gateway/sallyport/internal/config"
	"github.com/sallyport-gateway/sallyport/internal/record"
)

// The exit codes, the same for every subcommand.
const (
	exitOK          = 0
	exitFailed      = 1 // the gateway, or this machine, failed
	exitUsage       = 2 // the command line is wrong
	exitRefused     = 3 // the token is missing, invalid or does not permit it
	exitNotFound    = 4 // there is no such thing
	exitConflict    = 5 // the present state does not permit it (answered already)
	exitInvalid     = 6 // documents or values are not valid
	exitUnreachable = 7 // no answer from the gateway
)

const exitCodes = `Exit codes: 0 done; 1 failed; 2 wrong command line; 3 token missing, refused or without
the permission; 4 no such thing; 5 the present state does not permit it; 6 documents or
values are not valid; 7 the gateway cannot be reached.`

// subcommands lists every subcommand. Each is made in the file of its name.
func subcommands() []*cobra.Command {
	return []*cobra.Command{
		newServeCommand(),
		newCheckCommand(),
		newPolicyCommand(),
		newSetupCommand(),
		newLoginCommand(),
		newSSHConfigCommand(),
		newInspectCommand(),
		newCredentialCommand(),
		newApprovalsCommand(),
		newSessionsCommand(),
		newRevokeCommand(),
		newApplyCommand(),
		newDocumentsCommand(),
		newSchemaCommand(),
		newTokenCommand(),
		newDemoCommand(),
		newVersionCommand(),
	}
}

// run carries out one command line. Errors are for report and exitCode.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) error {
	root := &cobra.Command{
		Use:           "sallyport",
		Short:         "The door between AI agents and production systems",
		Long:          "Sallyport decides every command of an agent before it reaches a target.\n\n" + exitCodes,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.ArbitraryArgs,
		RunE:          runGroup,
	}
	root.AddCommand(subcommands()...)
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return &usageError{c.CommandPath(), err.Error()}
	})
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	c, err := root.ExecuteContextC(ctx)
	if err != nil && strings.HasPrefix(err.Error(), "required flag(s)") { // cobra has no type for it
		return &usageError{c.CommandPath(), err.Error()}
	}
	return err
}

// newGroup returns a command that only holds others.
func newGroup(use, short string, commands ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: use, Short: short, Args: cobra.ArbitraryArgs, RunE: runGroup}
	c.AddCommand(commands...)
	return c
}

// runGroup shows the help of a command that only holds others, or says which of
// them was not found.
func runGroup(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return c.Help()
	}
	text := fmt.Sprintf("there is no command %q", args[0])
	c.SuggestionsMinimumDistance = 2 // letters that may differ
	if near := c.SuggestionsFor(args[0]); len(near) > 0 {
		text += "; did you mean " + strings.Join(near, " or ") + "?"
	}
	return &usageError{c.CommandPath(), text}
}

// exactly requires as many arguments as there are names.
func exactly(names ...string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) == len(names) {
			return nil
		}
		want := "no arguments"
		if len(names) > 0 {
			want = strings.Join(names, " ")
		}
		return &usageError{c.CommandPath(), fmt.Sprintf("it takes %s, not %d arguments", want, len(args))}
	}
}

// usageError is a wrong command line.
type usageError struct{ command, text string }

func (e *usageError) Error() string { return e.text + "; see " + e.command + " --help" }

// hintError is an error with what to do about it.
type hintError struct {
	err  error
	hint string
	code int // the exit code; 0 means exitFailed
}

func (e *hintError) Error() string { return e.err.Error() }
func (e *hintError) Unwrap() error { return e.err }

// exitCode returns the process's exit code for the error of run.
func exitCode(err error) int {
	var usage *usageError
	var hint *hintError
	var away *api.UnreachableError
	var problem *api.Problem
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &usage):
		return exitUsage
	case errors.As(err, &problem):
		return problemCode(problem)
	case errors.As(err, &hint) && hint.code != 0:
		return hint.code
	case errors.As(err, &away):
		return exitUnreachable
	}
	return exitFailed
}

func problemCode(p *api.Problem) int {
	switch p.Status {
	case 401, 403, 429:
		return exitRefused
	case 404:
		return exitNotFound
	case 409:
		return exitConflict
	case 400, 413, 415, 422:
		return exitInvalid
	default:
		return exitFailed
	}
}

// report tells a person what happened and what to do.
func report(w io.Writer, err error) {
	text := clean(err.Error())
	var mistakes config.Errors
	if errors.As(err, &mistakes) {
		text = screen(err.Error()) // each with its line and a caret under the place
	}
	fmt.Fprintf(w, "sallyport: %s\n", text)
	var problem *api.Problem
	if errors.As(err, &problem) {
		var documents *documentsError
		errors.As(err, &documents)
		for i, p := range problem.Errors {
			fmt.Fprintf(w, "  %s\n", clean(placeText(p)))
			if documents != nil && documents.excerpts[i] != "" {
				fmt.Fprintln(w, documents.excerpts[i])
			}
		}
	}
	var hint *hintError
	if errors.As(err, &hint) && hint.hint != "" {
		fmt.Fprintf(w, "  %s\n", clean(hint.hint))
	}
}

func placeText(p api.Place) string {
	where := p.Where
	if p.Line > 0 {
		where = fmt.Sprintf("%s:%d:%d", p.Where, p.Line, p.Column)
	}
	text := p.Message
	if where != "" {
		text = where + ": " + text
	}
	if p.Suggestion != "" {
		text += " (" + p.Suggestion + ")"
	}
	return text
}

// clean makes text that came from elsewhere safe for a terminal, in one line.
// record.Safe doubles backslashes, so that they can be told from its escapes;
// file names and texts that are escaped already are easier to read without.
func clean(s string) string { return strings.ReplaceAll(record.Safe(s), `\\`, `\`) }

// screen is clean for text of several lines.
func screen(s string) string {
	lines := strings.Split(strings.ReplaceAll(s, "\r\n", "\n"), "\n")
	for i, line := range lines {
		lines[i] = clean(line)
	}
	return strings.Join(lines, "\n")
}

// table writes rows in columns, every cell made safe.
func table(w io.Writer, head []string, rows [][]string) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, row := range append([][]string{head}, rows...) {
		for i, cell := range row {
			row[i] = clean(cell)
		}
		if _, err := fmt.Fprintln(t, strings.TrimRight(strings.Join(row, "\t"), "\t")); err != nil {
			return err
		}
	}
	return t.Flush()
}

// when shows a time in a table.
func when(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format("2006-01-02 15:04:05Z")
}

// printJSON writes v for a machine. Everything outside printable ASCII is
// escaped, so that the output is also safe on a terminal.
func printJSON(w io.Writer, v any) error {
	raw, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	_, err = w.Write(append(escapeJSON(raw), '\n'))
	return err
}

// escapeJSON escapes what is not printable ASCII. In JSON such characters stand
// only inside strings.
func escapeJSON(raw []byte) []byte {
	out := make([]byte, 0, len(raw)+len(raw)/16)
	for len(raw) > 0 {
		r, size := utf8.DecodeRune(raw)
		raw = raw[size:]
		switch {
		case r < 0x7f:
			out = append(out, byte(r))
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			out = fmt.Appendf(out, `\u%04x\u%04x`, high, low)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
	}
	return out
}
