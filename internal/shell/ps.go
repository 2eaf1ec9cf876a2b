package shell

import "strings"

// ps understands ps. The letter e without a dash, and the formats that show
// environments, are refused. What ps cannot read as options with a dash it reads
// once more without (ps(1), "try the BSD way"), and then -e is that letter.
func (c *call) ps(p *Program, from int) {
	c.effect(0)
	var again psAgain
	for i := from; i < len(c.args); i++ {
		w := &c.args[i]
		if w.form != static {
			if w.form == dynamic && w.number {
				continue
			}
			c.fail(w.source(), "the argument is known only when it runs", "write it out")
			return
		}
		text := w.text
		value := ""
		switch {
		case strings.HasPrefix(text, "--"):
			name, v, has := strings.Cut(text, "=")
			if !psLong[name] {
				c.fail(name, "the option is not in the table of those that are understood", "")
				return
			}
			if value = v; !has && psValued[name] {
				if i++; i < len(c.args) {
					value = c.psValue(i)
				}
			}
			again.named = again.named || psNamed(name, value)
		case strings.HasPrefix(text, "-"):
			letters := text[1:]
			at := strings.IndexAny(letters, "oOpCuUgGtsqN")
			if at >= 0 {
				if value = letters[at+1:]; value == "" && letters[at] != 'N' {
					if i++; i < len(c.args) {
						value = c.psValue(i)
					}
				}
				again.read(letters[at:at+1], value)
				letters = letters[:at]
			}
			again.letters(letters)
			if strings.Trim(letters, "eAaxdfFlyjLmTHwcM") != "" {
				c.fail(text, "the option is not in the table of those that are understood", "")
				return
			}
		case digitsOnly(strings.ReplaceAll(text, ",", "")):
		default:
			letters := text
			if at := strings.IndexAny(letters, "oOpkt"); at >= 0 {
				if value = letters[at+1:]; value == "" {
					if i++; i < len(c.args) {
						value = c.psValue(i)
					}
				}
				again.formats = again.formats || letters[at] == 'o' || letters[at] == 'O'
				letters = letters[:at]
			}
			again.formats = again.formats || strings.ContainsAny(letters, "uvjlsX")
			if strings.Trim(letters, "auxwfljvrhTHLmcnsSgX") != "" {
				c.fail(text, "the letters are not in the table of those that are understood", "")
				return
			}
		}
		if strings.Contains(strings.ToLower(value), "env") {
			c.fail(value, "environments of processes are not shown", "")
			return
		}
	}
	if again.shows() {
		c.fail("e", "ps would try these options once more without their dash, where e shows environments of processes", "use -A for every process")
	}
}

// psAgain collects what says whether ps reads its options again without their dash,
// and what they mean then.
type psAgain struct {
	// every: -e is given; word: a value that would be letters with e among them.
	every, word bool
	// named: a user or another name that may be unknown; strange: a letter that has
	// no meaning with a dash.
	named, strange bool
	// list is -o, long a letter of a format, and formats one without a dash.
	list, long, formats bool
}

func (p *psAgain) letters(letters string) {
	p.every = p.every || strings.Contains(letters, "e")
	p.strange = p.strange || strings.Contains(letters, "x")
	p.long = p.long || strings.ContainsAny(letters, "fFlj")
}

func (p *psAgain) read(option, value string) {
	p.list = p.list || option == "o" || option == "O"
	p.named = p.named || psNamed(option, value)
	if strings.Contains(value, "e") && strings.Trim(value, "AacefgHhjklLmMnNOopqrSstTUuvVwWXxZ") == "" && option != "C" && option != "o" && option != "O" {
		p.word = true
	}
}

func (p *psAgain) shows() bool {
	return p.word || p.every && (p.named || p.strange || p.list && (p.long || p.formats) || p.long && p.formats)
}

// psNamed reports whether an option's value is a name that ps may not know.
func psNamed(option, value string) bool {
	switch option {
	case "u", "U", "g", "G", "t", "s", "p", "q", "--user", "--User", "--group", "--tty", "--pid", "--ppid", "--quick-pid":
		return value != "root" && strings.Trim(value, "0123456789, ") != ""
	}
	return false
}

// psValue is the value of an option of ps in a word of its own.
func (c *call) psValue(i int) string {
	w := &c.args[i]
	if c.own && w.form == dynamic && len(w.parts) == 1 && !w.many {
		quoteAll(w) // a list, which may have blanks between its members
	}
	if w.form == dynamic && w.split || w.form == pattern || w.form == each || strings.HasPrefix(w.prefix(), "-") {
		c.fail(w.source(), "the value is known only when it runs", `write it out, or put it in "..."`)
	}
	return w.source()
}

var (
	psLong   = set("--sort --no-headers --no-heading --headers --pid --ppid --format --forest --cols --columns --width --user --User --group --tty --quick-pid --deselect --version --lines --rows")
	psValued = set("--sort --pid --ppid --format --cols --columns --width --user --User --group --tty --quick-pid --lines --rows")
)
