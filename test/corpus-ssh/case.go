package sshcorpus

import (
	"bytes"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

//go:embed cases.jsonl
var publicCases []byte

//go:embed more.jsonl
var moreCases []byte

// casesPort is the sshd that cases name which connect to the host itself.
const casesPort = 22922

// Kind says what a case claims.
type Kind string

// The kinds of cases.
const (
	Attack   Kind = "attack"
	Harmless Kind = "harmless"
)

// Case is one line of a case file.
type Case struct {
	// ID names the case and Class what it is about.
	ID    string
	Class string
	Kind  Kind
	// Command is the command line, byte for byte.
	Command []byte
	// Dash runs it as the account whose shell is /bin/sh.
	Dash bool
	// Input goes to standard input, which stays open for Hold after it.
	Input []byte
	Hold  time.Duration
	// Timeout ends the case; 0 means the judge's own.
	Timeout time.Duration
	// Settle is how long to look for an effect after a success; 0 means the judge's own.
	Settle time.Duration
	// Why says what is hostile about it, for a reader.
	Why string
	// Check is what to look at.
	Check Check
}

// Check is what to look at: for an attack exactly one of the first six, for a
// harmless case the rest.
type Check struct {
	// FileChanged is a path whose content, times, mode, inode or links change.
	FileChanged string
	// Created is a path that comes to exist.
	Created string
	// Listening is a port that somebody comes to listen on.
	Listening int
	// Connected is a port on which the judge listens and somebody connects.
	Connected int
	// Leak is a secret that comes out, in any form that the detectors know.
	Leak string
	// Output is a mark that comes out.
	Output string
	// Process is a mark in the command line of a process that outlives the session.
	Process string

	// Exit is the exit status on a bare sshd.
	Exit int
	// Stdout must match standard output; nil: anything does.
	Stdout *regexp.Regexp
	// Volatile: the output differs from run to run.
	Volatile bool
	// Empty: no output is right.
	Empty bool
}

// line is a case as it stands in the file.
type line struct {
	ID        string   `json:"id"`
	Class     string   `json:"class"`
	Kind      Kind     `json:"kind"`
	Cmd       *string  `json:"cmd"`
	CmdB64    *string  `json:"cmd_b64"`
	User      string   `json:"user"`
	Stdin     string   `json:"stdin"`
	StdinHold float64  `json:"stdin_hold"`
	Timeout   float64  `json:"timeout"`
	Settle    float64  `json:"settle"`
	Why       string   `json:"why"`
	Note      string   `json:"note"`
	Check     rawCheck `json:"check"`
}

type rawCheck struct {
	FileChanged string `json:"file_changed"`
	Created     string `json:"created"`
	Listening   int    `json:"listening"`
	Connected   int    `json:"connected"`
	Leak        string `json:"leak"`
	Output      string `json:"output"`
	Process     string `json:"process"`

	Exit     int    `json:"exit"`
	Stdout   string `json:"stdout_re"`
	Volatile bool   `json:"volatile"`
	Empty    bool   `json:"empty"`
}

// OwnCases are the project's own cases, for a host whose sshd listens on port.
func OwnCases(port int) ([]Case, error) {
	return ReadCases(slices.Concat(publicCases, []byte("\n"), moreCases), port)
}

// ReadCases reads a case file: one JSON object a line. A key that is not known,
// a case without a check and a text that is not Unicode are errors.
func ReadCases(text []byte, port int) ([]Case, error) {
	var cases []Case
	seen := map[string]bool{}
	for i, l := range bytes.Split(text, []byte("\n")) {
		if len(bytes.TrimSpace(l)) == 0 {
			continue
		}
		c, err := readCase(l, port)
		if err == nil && seen[c.ID] {
			err = errors.New("the id is taken")
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
		seen[c.ID] = true
		cases = append(cases, *c)
	}
	return cases, nil
}

// loneSurrogate is half of a UTF-16 pair, as some writers escape bytes that are
// not UTF-8; decoders replace it, and the case would be another one.
var loneSurrogate = regexp.MustCompile(`(?i)\\ud[c-f]`)

func readCase(text []byte, port int) (*Case, error) {
	var l line
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&l); err != nil {
		return nil, err
	}
	if l.ID == "" || l.Class == "" {
		return nil, errors.New("no id or no class")
	}
	c := &Case{ID: l.ID, Class: l.Class, Kind: l.Kind, Dash: l.User == "dash", Why: l.Why,
		Hold: seconds(l.StdinHold), Timeout: seconds(l.Timeout), Settle: seconds(l.Settle)}
	var err error
	if c.Command, err = l.command(text, port); err != nil {
		return nil, fmt.Errorf("%s: %w", l.ID, err)
	}
	if c.Input, err = base64.StdEncoding.DecodeString(l.Stdin); err != nil {
		return nil, fmt.Errorf("%s: stdin: %w", l.ID, err)
	}
	if l.User != "" && l.User != "bash" && l.User != "dash" {
		return nil, fmt.Errorf("%s: user %q", l.ID, l.User)
	}
	if c.Check, err = l.Check.check(l.Kind); err != nil {
		return nil, fmt.Errorf("%s: %w", l.ID, err)
	}
	return c, nil
}

func seconds(n float64) time.Duration { return time.Duration(n * float64(time.Second)) }

// command is the command line for a host whose sshd listens on port.
func (l *line) command(text []byte, port int) ([]byte, error) {
	switch {
	case (l.Cmd == nil) == (l.CmdB64 == nil):
		return nil, errors.New("one of cmd and cmd_b64 is needed")
	case l.CmdB64 != nil:
		return base64.StdEncoding.DecodeString(*l.CmdB64)
	case strings.ContainsRune(*l.Cmd, '\uFFFD') && loneSurrogate.Match(text):
		return nil, errors.New("cmd is not Unicode; use cmd_b64")
	}
	return []byte(strings.ReplaceAll(*l.Cmd, strconv.Itoa(casesPort), strconv.Itoa(port))), nil
}

func (r *rawCheck) check(kind Kind) (Check, error) {
	c := Check{FileChanged: r.FileChanged, Created: r.Created, Listening: r.Listening, Connected: r.Connected, Leak: r.Leak,
		Output: r.Output, Process: r.Process, Exit: r.Exit, Volatile: r.Volatile, Empty: r.Empty}
	given := 0
	for _, is := range []bool{r.FileChanged != "", r.Created != "", r.Listening != 0, r.Connected != 0, r.Leak != "", r.Output != "", r.Process != ""} {
		if is {
			given++
		}
	}
	switch {
	case kind == Attack && given != 1:
		return c, fmt.Errorf("an attack has one check, not %d", given)
	case kind == Harmless && given != 0:
		return c, errors.New("a harmless case has no check of an attack")
	case kind != Attack && kind != Harmless:
		return c, fmt.Errorf("kind %q", kind)
	}
	if r.Stdout != "" {
		var err error
		if c.Stdout, err = regexp.Compile("(?s)" + r.Stdout); err != nil {
			return c, err
		}
	}
	return c, nil
}

// matches says whether standard output is as the case claims. The end of the text
// is also before its last line break, as in the language that the patterns are
// written for.
func (c *Check) matches(stdout []byte) bool {
	return c.Stdout == nil || c.Stdout.Match(stdout) || c.Stdout.Match(bytes.TrimSuffix(stdout, []byte("\n")))
}

// String is the command line for a reader.
func (c *Case) String() string { return strconv.QuoteToASCII(string(c.Command)) }
