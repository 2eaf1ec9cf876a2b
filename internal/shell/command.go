package shell

import (
	"strings"

	"github.com/sallyport-gateway/sallyport/internal/gate"
)

// Dialect is the shell that reads the command line at the host: the account's
// login shell.
type Dialect uint8

const (
	// POSIX is dash, busybox sh and other small shells.
	POSIX Dialect = iota
	// Bash is GNU bash.
	Bash
	// Zsh is zsh.
	Zsh
)

// Command is what a line does, and the text that does it.
type Command struct {
	// Text is what is forwarded. It is made from the parsed words.
	Text string
	// Effects are everything that the line does; EffectUnknown if anything in it
	// was not understood.
	Effects gate.Effects
	// Labels are the labels that the line touches, sorted.
	Labels []string
	Facts  Facts
	// Unknown are the reasons for EffectUnknown, in the line's order.
	Unknown []Reason
	// SQL are statements that the line hands to a database. Until somebody
	// judges them the effects hold EffectUnknown; see Judged.
	SQL []Statement
	// Stdin: a program in the line may read the channel's standard input.
	Stdin bool

	withoutSQL gate.Effects
}

// Judged are the effects when all SQL statements were judged and have the given
// effects together.
func (c *Command) Judged(sql gate.Effects) gate.Effects {
	if len(c.SQL) == 0 {
		return c.Effects
	}
	if sql == 0 {
		sql = gate.EffectUnknown
	}
	return c.withoutSQL | sql
}

// Doubt adds a reason for which the line is not understood.
func (c *Command) Doubt(r Reason) {
	c.Effects |= gate.EffectUnknown
	c.withoutSQL |= gate.EffectUnknown
	c.Unknown = append(c.Unknown, r)
}

// Facts are what rules may ask of a line.
type Facts struct {
	// Programs are the names of the programs, in the line's order, each once.
	Programs []string
	// Argv has one string for each simple command: its words, quoted.
	Argv []string
	// Reads and Writes are the real paths whose contents are read, and those that
	// are written, made or taken away; sorted. Paths are these and those that are
	// only looked at.
	Reads, Writes, Paths []string
	// Hosts are "METHOD host:port" for each connection that is made.
	Hosts []string
}

// Statement is SQL that a program hands to a database.
type Statement struct {
	Program, Host, Port, Database, User string
	Text                                string
}

// Reason says what was not understood.
type Reason struct {
	// What is the construct, program or option.
	What string
	// Why it cannot be understood.
	Why string
	// Instead is what would work; may be empty.
	Instead string
}

// String is the reason for an agent to read.
func (r Reason) String() string {
	s := r.What + ": " + r.Why
	if r.Instead != "" {
		s += "; " + r.Instead
	}
	return s
}

// Refusal is a line that cannot even be parsed or written anew.
type Refusal struct{ Reason Reason }

// Error is the reason.
func (r *Refusal) Error() string { return r.Reason.String() }

func refusal(what, why, instead string) *Refusal { return &Refusal{Reason{what, why, instead}} }

// short cuts a text for a message.
func short(s string) string {
	if len(s) > 60 {
		s = strings.ToValidUTF8(s[:57], "") + "..."
	}
	return s
}
