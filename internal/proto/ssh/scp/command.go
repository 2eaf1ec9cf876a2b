package scp

import (
	"errors"
	"fmt"
	"strings"
)

// maxPaths bounds the paths of one command. A shell at the host would expand a
// pattern to more; then ask for the directory.
const maxPaths = 512

// Command is a parsed command line of scp on the server's side.
type Command struct {
	// Upload is -t; otherwise it is -f.
	Upload bool
	// Recursive is -r, Preserve -p, Directory -d (the target must be a
	// directory).
	Recursive, Preserve, Directory bool
	// Paths are the files to send, or the one place to put them.
	Paths []string
}

// Is reports whether the words are a call of scp on the server's side, so that
// Parse is to be asked.
func Is(argv []string) bool {
	return len(argv) > 0 && (argv[0] == "scp" || argv[0] == "/usr/bin/scp")
}

// Parse parses the words of a command. What a client of OpenSSH, PuTTY, libssh2
// or Paramiko sends is understood; options that run programs, read
// configuration or change the direction are not.
func Parse(argv []string) (*Command, error) {
	if !Is(argv) {
		return nil, errors.New("scp: not an scp command")
	}
	c := &Command{}
	from := false
	args := argv[1:]
	for len(args) > 0 && len(args[0]) > 1 && args[0][0] == '-' {
		word := args[0]
		args = args[1:]
		if word == "--" {
			break
		}
		for _, letter := range word[1:] {
			switch letter {
			case 't':
				c.Upload = true
			case 'f':
				from = true
			case 'r':
				c.Recursive = true
			case 'p':
				c.Preserve = true
			case 'd':
				c.Directory = true
			case 'v', 'q': // verbose and quiet concern the program, not the protocol
			default:
				return nil, fmt.Errorf("scp: option -%q is not supported", letter)
			}
		}
	}
	args = append([]string(nil), args...)
	c.Paths = args
	switch {
	case c.Upload == from:
		return nil, errors.New("scp: exactly one of -t and -f is needed")
	case c.Upload && len(args) != 1:
		return nil, errors.New("scp: an upload needs exactly one target")
	case len(args) == 0 || len(args) > maxPaths:
		return nil, fmt.Errorf("scp: between 1 and %d paths are needed", maxPaths)
	}
	for i, p := range args {
		if p == "" {
			args[i] = "." // as scp.c takes it
		}
		if strings.ContainsRune(p, 0) || len(p) > maxPath {
			return nil, errors.New("scp: a path that cannot be one")
		}
	}
	return c, nil
}

// Argv returns the command in words, in one spelling.
func (c *Command) Argv() []string {
	argv := []string{"scp"}
	for _, o := range []struct {
		on   bool
		flag string
	}{{c.Recursive, "-r"}, {c.Preserve, "-p"}, {c.Directory, "-d"}, {c.Upload, "-t"}, {!c.Upload, "-f"}} {
		if o.on {
			argv = append(argv, o.flag)
		}
	}
	return append(append(argv, "--"), c.Paths...)
}
