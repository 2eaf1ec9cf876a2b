package shell

import (
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// assign reads an assignment. A bare one sets a variable of the shell; the others
// are the environment of one program.
func (a *analysis) assign(as *syntax.Assign, bare bool, s *state, node *simple) {
	if bare && as.Array != nil && as.Name != nil && as.Index == nil && !as.Append && a.dialect == Bash {
		a.array(as, s, node)
		return
	}
	if as.Name == nil || as.Index != nil || as.Array != nil || as.Append || as.Naked {
		a.fail("assignment", "only NAME=VALUE is understood", "")
		return
	}
	name := as.Name.Value
	value := a.plain(as.Value, s)
	if len(s.vars) >= maxVariables {
		a.fail("command line", "it has too many variables", "")
		return
	}
	switch {
	case value.form == static && a.harmlessVariable(name, value.text):
	case !bare:
		a.fail(name+"=", "the variable can change what the program does", "")
		return
	case !a.assignable(name):
		a.fail(name+"=", "a variable of this name can change what the shell or programs do", "use another name, in small letters")
		return
	}
	if bare {
		kept := value
		if value.form == dynamic {
			kept = fuzz(value.number)
			kept.said = len(value.parts) == 1 && said(value.parts[0].body)
			kept.single = len(value.parts) == 1 && value.parts[0].single
		}
		s.set(name, kept)
	}
	node.assigns = append(node.assigns, assign{name: name, value: value})
}

// array reads NAME=(WORDS): the variable is data.
func (a *analysis) array(as *syntax.Assign, s *state, node *simple) {
	out := assign{name: as.Name.Value, isArray: true}
	for _, e := range as.Array.Elems {
		if e.Index != nil || e.Value == nil {
			a.fail("array", "only NAME=(WORDS) is understood", "")
			return
		}
		words := a.word(e.Value, s)
		for i := range words {
			if words[i].form == pattern {
				a.match(&words[i], s, "array")
			}
		}
		out.array = append(out.array, words...)
	}
	if !a.assignable(out.name) {
		a.fail(out.name+"=", "a variable of this name can change what the shell or programs do", "use another name, in small letters")
		return
	}
	known := word{whole: true}
	for _, w := range out.array {
		if w.form == dynamic || w.form == each {
			known.alternatives = nil
			break
		}
		known.alternatives = append(known.alternatives, w)
	}
	s.set(out.name, known)
	node.assigns = append(node.assigns, out)
}

// plainNames are names in capital letters that no shell and no common program
// knows, and that people use in command lines.
var plainNames = []string{
	"A", "B", "C", "D", "F", "I", "K", "L", "M", "N", "P", "S", "T", "V", "X", "Y", "Z",
	"APP", "BASE", "CONFIG", "COUNT", "DATE", "DEST", "DIR", "DIRS", "END", "ERR", "ERRORS", "FILE", "FILES", "FOUND", "IP", "LIMIT",
	"LOG", "LOGDIR", "LOGFILE", "LOGS", "MAX", "MIN", "MSG", "NAME", "NOW", "NUM", "OUT", "PATTERN", "PID", "PIDS", "PORT", "RESULT",
	"ROOT", "SERVICE", "SIZE", "SRC", "START", "STATUS", "TARGET", "THRESHOLD", "TODAY", "TOTAL", "VALUE", "VERSION",
}

// zshNames are names in small letters that zsh ties to others or gives a meaning
// (zshparam(1)).
var zshNames = []string{
	"argv", "cdpath", "fignore", "fpath", "histchars", "mailpath", "manpath", "module_path", "path", "prompt", "psvar", "status", "watch",
	"options", "commands", "functions", "aliases", "parameters", "modules", "termcap", "terminfo", "dirstack", "pipestatus", "signals",
	"galiases", "saliases", "builtins", "reswords", "nameddirs", "userdirs", "jobdirs", "jobtexts", "jobstates", "errnos", "sysparams", "mapfile",
	"keymaps", "widgets", "zsh_eval_context", "history", "historywords", "patchars", "funcstack", "functrace",
}

// assignable reports whether a variable of the shell is nothing but a variable.
func (a *analysis) assignable(name string) bool {
	if name != strings.ToLower(name) {
		return slices.Contains(plainNames, name)
	}
	if name == "status" && a.dialect == Bash {
		return true
	}
	return name != "_" && !slices.Contains(zshNames, name) && !strings.HasSuffix(name, "_proxy")
}

// harmlessVariable reports whether a program may be given the variable with the
// value. The form of a value is checked where a program would open a file by it.
func (a *analysis) harmlessVariable(name, value string) bool {
	plain := strings.Trim(value, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+@.") == "" && !strings.Contains(value, "..")
	switch name {
	case "TZ":
		// tzset(3): a colon or a slash at the beginning names a file.
		return strings.Trim(value, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+/,:.") == "" &&
			!strings.HasPrefix(value, ":") && !strings.HasPrefix(value, "/") && !strings.Contains(value, "..")
	case "LANGUAGE":
		return plain
	case "LANG", "LC_ALL", "LC_COLLATE", "LC_CTYPE", "LC_MESSAGES", "LC_MONETARY", "LC_NUMERIC", "LC_TIME":
		return plain && ByteLocale(value)
	case "COLUMNS", "LINES":
		return digits(value)
	case "NO_COLOR", "CLICOLOR", "SYSTEMD_COLORS":
		return plain
	case "TERM":
		return slices.Contains(terminals, value)
	case "PAGER", "GIT_PAGER", "SYSTEMD_PAGER", "MANPAGER":
		return value == "" || value == "cat"
	case "GIT_OPTIONAL_LOCKS":
		return value == "0"
	}
	return false
}

// terminals are those that every host describes. Another name could be that of a file.
var terminals = []string{"dumb", "xterm", "xterm-256color", "linux", "vt100", "vt220", "screen", "screen-256color", "tmux-256color", "ansi"}

// ByteLocale reports whether in a locale each byte that a shell, sed or awk takes for
// a sign of its language is one. In some character sets (GBK, Big5, Shift JIS) the
// backslash is also the second half of a letter, and a program reads another script
// than the one that was judged.
func ByteLocale(value string) bool {
	name, charset, has := strings.Cut(value, ".")
	if !has {
		return name == "" || name == "C" || name == "POSIX" || strings.HasPrefix(name, "en_") && len(name) == 5
	}
	charset, _, _ = strings.Cut(charset, "@")
	switch strings.ToLower(charset) {
	case "utf-8", "utf8":
		return true
	}
	return false
}
