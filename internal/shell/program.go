package shell

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sallyport-gateway/sallyport/internal/gate"
)

// Kind says what a value or an operand is to a program.
type Kind string

// The kinds. Any other is an error in the table.
const (
	// Text is data: whatever it is, the program does the same kind of thing.
	Text Kind = "text"
	// Const is text that must be known, because it can change what is done, and
	// that is harmless when it is of the form in Option.Values.
	Const Kind = "const"
	// Stat, Entry, List, Read, Recurse and Follow are paths that are looked at,
	// looked at without following a link, listed, read, read with everything
	// below, and read below through links. Walk is looked at with everything
	// below.
	Stat    Kind = "stat"
	Entry   Kind = "entry"
	List    Kind = "list"
	Read    Kind = "read"
	Recurse Kind = "recurse"
	Walk    Kind = "walk"
	Follow  Kind = "follow"
	// Write, Create, Delete and Remove are paths that are written, made, taken
	// away, and taken away with everything below.
	Write  Kind = "write"
	Create Kind = "create"
	Delete Kind = "delete"
	Remove Kind = "remove"
	// Alter is a path of which owner or mode are changed: that of a link, or of
	// what it leads to.
	Alter Kind = "alter"
	// Spread is Alter of everything below, too.
	Spread Kind = "spread"
	// Fill is a path where anything below is written.
	Fill Kind = "fill"
	// Never is what is known and not harmless.
	Never Kind = "never"
	// Setting is the name of a kernel setting without a value; Header a header
	// that is not read from a file; Format a format that names no file; Lines a
	// count, which may stand in the next word; Output a form of kubectl's output.
	Setting Kind = "setting"
	// Name is a name without a slash; Local is a path to read that must be no URI.
	Name      Kind = "name"
	Local     Kind = "local"
	Header    Kind = "header"
	Format    Kind = "format"
	RPMFormat Kind = "rpmformat"
	Lines     Kind = "lines"
	// Charset is the name of a character set: one with a slash is a file to iconv.
	Charset Kind = "charset"
	Output  Kind = "kube"
	// Date is a date as GNU programs read it: one that begins with TZ="…" has them
	// open a file of that name.
	Date Kind = "date"
	// Package is the name of a package, which no path is.
	Package Kind = "package"
	// Duration is a number of seconds, up to ten minutes: a session that ends
	// does not end what it left waiting.
	Duration Kind = "duration"
	// Deadline is a Duration that is not zero, which would be none.
	Deadline Kind = "deadline"
)

// Option is an option of a program.
type Option struct {
	// Names are its spellings, with their dashes.
	Names []string
	// Value is what its value is; empty if it takes none.
	Value Kind
	// Optional: the value may only stand in the same word.
	Optional bool
	// Apart: the value stands in the next word, even if more letters follow the option's
	// in its own.
	Apart bool
	// Values are the values that a Const may have; empty allows any text that is
	// known.
	Values []string
	// Mode is set by the option: see Program.Operands.
	Mode string
	// Effects are added by the option.
	Effects gate.Effects
}

// Operand is what an operand is, by its position.
type Operand struct {
	Kind Kind
	// Many: this and all that follow.
	Many bool
	// Values as of an option.
	Values []string
}

// Program is an entry of the table: what a program's arguments mean.
type Program struct {
	Name    string
	Aliases []string
	// Effects are what it does whatever its arguments are. Zero is read.
	Effects gate.Effects
	Options []Option
	// Operands by position. Modes change them: "recurse" and "follow" turn what
	// is read into what is read below, "stat" turns what is listed into what is
	// looked at, "none" says that there is no leading operand (a pattern was
	// given by an option).
	Operands []Operand
	// Default is used where there is no operand of the last kind.
	Default string
	// Stdin: without such an operand, or with a dash for one, standard input is
	// read.
	Stdin bool
	// Number: a dash and digits is an option.
	Number bool
	// Words: options are words of one dash, as in -name.
	Words bool
	// First: the first operand ends the options.
	First bool
	// All: no operand may be left out. Without one the program reads commands, or does
	// something else.
	All bool
	// Endless: a word of two dashes does not end the options.
	Endless bool
	// Dashes: a word of two dashes is put before an operand that is known only when
	// the program runs.
	Dashes bool
	// Data: whatever the arguments are, options too, the program only computes.
	Data bool
	// Response: an argument that begins with @ names a file of arguments.
	Response bool
	// Add are words put before the arguments, so that no file of the account
	// changes what the program does.
	Add []string
	// Env are variables that env gives it, so that it makes no files of its own.
	Env []string
	// Commands are the subcommands; with them a first operand must be one.
	Commands []Program
	// Alone: no subcommand is needed.
	Alone bool
	// Special names the code that knows what no table can say.
	Special string
}

// Table is a set of programs. It does not change.
type Table struct {
	programs map[string]*Program
	// options by program and name.
	options map[*Program]map[string]*Option
}

// NewTable makes a table; later entries replace earlier ones of the same name. An
// error says which entry is wrong.
func NewTable(programs ...[]Program) (*Table, error) {
	t := &Table{map[string]*Program{}, map[*Program]map[string]*Option{}}
	for _, group := range programs {
		for i := range group {
			p := &group[i]
			if err := t.add(p); err != nil {
				return nil, fmt.Errorf("program %s: %w", p.Name, err)
			}
			for _, name := range append([]string{p.Name}, p.Aliases...) {
				t.programs[name] = p
			}
		}
	}
	return t, nil
}

var kinds = []Kind{Text, Const, Stat, Entry, List, Read, Recurse, Walk, Follow, Write, Create, Delete, Remove, Alter, Spread, Fill, Never, Setting, Name, Local, Header, Format, RPMFormat, Lines, Output, Package, Duration, Deadline, Charset, Date}

func (t *Table) add(p *Program) error {
	if p.Name == "" || strings.Contains(p.Name, "/") {
		return fmt.Errorf("a name without a slash is needed")
	}
	if p.Special != "" && specials(p.Special) == nil {
		return fmt.Errorf("special %q is not known", p.Special)
	}
	names := map[string]*Option{}
	for i := range p.Options {
		o := &p.Options[i]
		if o.Value != "" && !slices.Contains(kinds, o.Value) {
			return fmt.Errorf("option %v: kind %q is not known", o.Names, o.Value)
		}
		for _, n := range o.Names {
			if !strings.HasPrefix(n, "-") && !strings.HasPrefix(n, "+") || len(n) < 2 {
				return fmt.Errorf("option %q does not begin with a dash", n)
			}
			if names[n] != nil {
				return fmt.Errorf("option %s stands twice", n)
			}
			names[n] = o
		}
	}
	for i, o := range p.Operands {
		if !slices.Contains(kinds, o.Kind) || o.Many && i != len(p.Operands)-1 {
			return fmt.Errorf("operand %d is wrong", i+1)
		}
	}
	t.options[p] = names
	if p.Special == "git" {
		if err := t.addGit(); err != nil {
			return err
		}
	}
	for i := range p.Commands {
		if err := t.add(&p.Commands[i]); err != nil {
			return fmt.Errorf("%s: %w", p.Commands[i].Name, err)
		}
	}
	return nil
}

// opts reads options in short: names joined by commas, then =KIND for a value or
// [=KIND] for one that may be left out, (a|b) for the values of a const, then
// !MODE.
func opts(groups ...string) []Option {
	var all []Option
	for _, text := range strings.Fields(strings.Join(groups, " ")) {
		var o Option
		text, o.Mode, _ = strings.Cut(text, "!")
		if head, optional := strings.CutSuffix(text, "]"); optional {
			o.Optional = true
			text = strings.Replace(head, "[=", "=", 1)
		}
		names, value, has := strings.Cut(text, "=")
		if has {
			value, o.Apart = strings.CutPrefix(value, "next:")
			kind, values, listed := strings.Cut(value, "(")
			o.Value = Kind(kind)
			if listed {
				o.Values = strings.Split(strings.TrimSuffix(values, ")"), "|")
			}
		}
		o.Names = strings.Split(names, ",")
		all = append(all, o)
	}
	return all
}

// args reads operands in short: kinds with "..." for all that follow.
func args(text string) []Operand {
	var all []Operand
	for _, f := range strings.Fields(text) {
		kind, many := strings.CutSuffix(f, "...")
		kind, values, listed := strings.Cut(kind, "(")
		o := Operand{Kind: Kind(kind), Many: many}
		if listed {
			o.Values = strings.Split(strings.TrimSuffix(values, ")"), "|")
		}
		all = append(all, o)
	}
	return all
}
