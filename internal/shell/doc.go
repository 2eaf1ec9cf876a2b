// Package shell understands a shell command line before it runs at a host.
//
// [Analyse] parses the line with a real shell parser and says, from a reviewed
// table of programs ([Programs]), what each program in it would do: which files
// it reads and writes, which hosts it talks to, what else it runs. What the host
// alone knows (where names lead, what patterns match, what a repository's
// settings name) becomes questions for package hostpath; [Plan.Settle] takes the
// answers and gives the [Command]: effects, labels, facts for rules, and the text
// to forward. That text is written anew from the parsed words, quoted so that
// bash, dash, busybox sh and zsh read it the same way; the client's bytes are
// never forwarded.
//
// The rule that everything follows: a part of a line is understood when every
// value that could change what runs or what is touched is known before it runs.
// Program names, options and paths must be literal, or come from literals in the
// same line, or from a pattern that the host has expanded. Text that a command
// produces at run time may only become data: an argument of echo, a number, the
// subject of a comparison. Anything else is [gate.EffectUnknown], with a
// [Reason] that names what was not understood and what would be.
//
// What it does not do: run anything, ask the host itself, decide. It does not
// trust what a name looks like, and it has no list of what is forbidden: an
// option, a construct, a variable that the table does not know is unknown.
//
// The grammar is that of POSIX.1-2024, volume 3 chapter 2, and the parts of bash
// that docs/ssh-commands.md lists; the programs' grammars are those of their
// manuals (GNU coreutils 9, findutils 4.9, grep 3.8, sed 4.9, POSIX awk, git 2.39
// and later, and so on), where a shorter grammar is the intersection with
// busybox.
package shell
