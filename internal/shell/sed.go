package shell

import (
	"errors"
	"regexp"
	"strings"
)

// sedSafe reports why a sed script may do more than edit the stream; nil if it
// cannot (POSIX.1-2024, sed; GNU sed manual, section 3). The commands e, r, R, w,
// W and the flags e and w of s are refused, and so is F, which is harmless but
// not POSIX. Labels and text end where GNU and busybox sed agree that they end.
func sedSafe(script string) error {
	s := &sedScanner{text: script}
	for {
		s.skip(" \t\n;")
		if s.pos >= len(s.text) {
			if s.depth != 0 {
				return errors.New("its braces do not match")
			}
			return nil
		}
		if err := s.command(); err != nil {
			return err
		}
	}
}

type sedScanner struct {
	text  string
	pos   int
	depth int
}

func (s *sedScanner) skip(chars string) {
	for s.pos < len(s.text) && strings.IndexByte(chars, s.text[s.pos]) >= 0 {
		s.pos++
	}
}

// peek is the next byte, zero at the end.
func (s *sedScanner) peek() byte {
	if s.pos < len(s.text) {
		return s.text[s.pos]
	}
	return 0
}

// command passes over one command with its addresses.
func (s *sedScanner) command() error {
	if s.peek() == '#' {
		s.line()
		return nil
	}
	if err := s.addresses(); err != nil {
		return err
	}
	s.skip(" \t")
	for s.peek() == '!' {
		s.pos++
		s.skip(" \t")
	}
	c := s.peek()
	s.pos++
	switch c {
	case '{':
		if s.depth++; s.depth > 64 {
			return errors.New("it is nested too deeply")
		}
		return nil
	case '}':
		if s.depth--; s.depth < 0 {
			return errors.New("its braces do not match")
		}
		return s.end()
	case '=', 'd', 'D', 'g', 'G', 'h', 'H', 'n', 'N', 'p', 'P', 'x', 'z':
		return s.end()
	case 'l', 'q', 'Q', 'L':
		s.skip(" \t")
		s.skip("0123456789")
		return s.end()
	case ':', 'b', 't', 'T':
		return s.label(c == ':')
	case 'a', 'i', 'c':
		return s.appended()
	case 's':
		return s.substitute()
	case 'y':
		delimiter := s.peek()
		s.pos++
		for range 2 {
			if err := s.delimited(delimiter, false); err != nil {
				return err
			}
		}
		return s.end()
	case 'e':
		return errors.New("e runs a command")
	case 'r', 'R':
		return errors.New("r reads a file")
	case 'w', 'W':
		return errors.New("w writes a file")
	case 0:
		return errors.New("a command is missing")
	}
	return errors.New("the command " + string(rune(c)) + " is not understood")
}

// addresses passes over 1,5 or /from/,/to/ and their like.
func (s *sedScanner) addresses() error {
	any, err := s.address()
	if err != nil || !any {
		return err
	}
	s.skip(" \t")
	if s.peek() != ',' {
		return nil
	}
	s.pos++
	s.skip(" \t")
	any, err = s.address()
	if err == nil && !any {
		return errors.New("an address is missing")
	}
	return err
}

func (s *sedScanner) address() (bool, error) {
	switch c := s.peek(); {
	case c >= '0' && c <= '9', c == '+' || c == '~':
		if c == '+' || c == '~' {
			s.pos++
		}
		s.skip("0123456789")
		if s.peek() == '~' {
			s.pos++
			s.skip("0123456789")
		}
		return true, nil
	case c == '$':
		s.pos++
		return true, nil
	case c == '/' || c == '\\':
		if c == '\\' {
			s.pos++
		}
		delimiter := s.peek()
		s.pos++
		if err := s.delimited(delimiter, true); err != nil {
			return false, err
		}
		s.skip("IM")
		return true, nil
	}
	return false, nil
}

// delimited passes over text up to the delimiter. In a regular expression a
// delimiter within brackets is read differently by different seds, so it must
// be escaped or another one used.
func (s *sedScanner) delimited(delimiter byte, expression bool) error {
	if delimiter == 0 || delimiter == '\n' || delimiter == '\\' || delimiter == ';' || delimiter == '{' || delimiter == '}' || delimiter == ' ' || delimiter >= 0x80 {
		return errors.New("the delimiter is not understood")
	}
	bracket := -1
	for ; s.pos < len(s.text); s.pos++ {
		switch c := s.text[s.pos]; {
		case c == '\\' && bracket < 0:
			s.pos++
		case c == '\\' && s.pos+1 < len(s.text) && s.text[s.pos+1] == delimiter:
			return errors.New("a delimiter within brackets")
		case c == delimiter && bracket >= 0:
			return errors.New("a delimiter within brackets")
		case c == delimiter:
			s.pos++
			return nil
		case c == '\n' && expression:
			return errors.New("an expression goes over the end of its line")
		case c == '[' && expression && bracket < 0:
			bracket = s.pos
		case c == ']' && bracket >= 0 && s.pos > bracket+1 && !(s.pos == bracket+2 && s.text[bracket+1] == '^'):
			bracket = -1
		}
	}
	return errors.New("a delimiter is missing")
}

// substitute passes over s/a/b/flags.
func (s *sedScanner) substitute() error {
	delimiter := s.peek()
	s.pos++
	if err := s.delimited(delimiter, true); err != nil {
		return err
	}
	if err := s.delimited(delimiter, false); err != nil {
		return err
	}
	for {
		switch c := s.peek(); {
		case strings.IndexByte("gpiImM0123456789", c) >= 0 && c != 0:
			s.pos++
		case c == 'e':
			return errors.New("the flag e of s runs a command")
		case c == 'w':
			return errors.New("the flag w of s writes a file")
		default:
			return s.end()
		}
	}
}

// label passes over a label. GNU sed ends it at a semicolon or a blank, POSIX at
// the line's end only: so nothing may follow on the line but a closing brace or a
// semicolon after a plain name, and what would follow must be harmless both ways.
func (s *sedScanner) label(defines bool) error {
	s.skip(" \t")
	from := s.pos
	for s.pos < len(s.text) && isNameRune(rune(s.text[s.pos])) {
		s.pos++
	}
	if defines && from == s.pos {
		return errors.New("a label is missing")
	}
	return s.end()
}

// appended passes over the text of a, i and c: the rest of the line, or the line
// behind one that is only a backslash. Text of several lines is refused, because
// seds do not agree which backslashes continue it.
func (s *sedScanner) appended() error {
	s.skip(" \t")
	if strings.HasPrefix(s.text[s.pos:], "\\\n") {
		s.pos += 2
	} else if first, _, more := strings.Cut(s.text[s.pos:], "\n"); more && strings.HasPrefix(first, `\`) && strings.Trim(first[1:], " \t") == "" {
		return errors.New("blanks behind a backslash")
	}
	from := s.pos
	s.line()
	if strings.HasSuffix(s.text[from:s.pos], `\`) {
		return errors.New("a text of several lines")
	}
	return nil
}

func (s *sedScanner) line() {
	for s.pos < len(s.text) && s.text[s.pos] != '\n' {
		s.pos++
	}
}

// end is the end of a command.
func (s *sedScanner) end() error {
	s.skip(" \t")
	switch s.peek() {
	case 0, '\n', ';', '}', '#':
		return nil
	}
	return errors.New("what follows a command is not understood")
}

// sed understands the scripts and operands of sed. Several scripts are joined as
// sed joins them, by newlines.
func (c *call) sed(p *Program, from int) {
	numbered := c.addressed(from)
	in, ok := c.parse(p, from)
	if !ok {
		return
	}
	for i := range numbered {
		expression := i > from && i < in.ended && (c.args[i-1].is("-e") || c.args[i-1].is("-ne"))
		if _, given := in.has("-e"); !expression && (given || len(in.operands) == 0 || in.operands[0] != i) {
			c.fail(c.args[i].text, "the path is known only when it runs", "write the path out")
			return
		}
		defer func() { c.args[i] = numbered[i] }()
	}
	var scripts []string
	for _, g := range in.given {
		if g.option.Value == Const && (g.name == "-e" || g.name == "--expression") {
			scripts = append(scripts, g.value.text)
		}
	}
	files := in.operands
	if len(scripts) == 0 {
		if len(files) == 0 {
			c.fail("", "the script is missing", "")
			return
		}
		w := &c.args[files[0]]
		if !c.constant(w, nil, "the script") {
			return
		}
		scripts, files = []string{w.text}, files[1:]
	}
	c.effect(0)
	for _, s := range scripts {
		// A script that ends within a text would be joined with the next.
		if strings.HasSuffix(s, `\`) {
			c.fail("script", "it ends in a backslash", "")
			return
		}
	}
	if err := sedSafe(strings.Join(scripts, "\n")); err != nil {
		c.fail("script", err.Error(), "")
		return
	}
	in.operands = files
	in.modes = append(in.modes, "none")
	c.operands(p, in)
}

// lineNumbers are scripts that choose lines by their numbers; N is a number that only
// the run knows.
var lineNumbers = regexp.MustCompile(`^L(,(L|\$|\+L))?[pdq=]( *; *L(,(L|\$|\+L))?[pdq=])*$`)

// addressed understands scripts like "${n},$((n + 5))p": what stands for a number is
// converted to one, so that a script of another kind cannot come of it, whatever the
// number is. For the rest of the analysis it is 1; the words to be written are returned.
func (c *call) addressed(from int) map[int]word {
	converted := map[int]word{}
	for i := from; c.own && c.a.dialect != Zsh && i < len(c.args); i++ {
		w := c.args[i]
		if w.form != dynamic || w.many {
			continue
		}
		skeleton, parts := "", []part{}
		for _, p := range w.parts {
			if !p.literal() {
				p, ok := c.a.number(p)
				if !ok {
					skeleton = ""
					break
				}
				skeleton, parts = skeleton+"1", append(parts, p)
				continue
			}
			skeleton, parts = skeleton+p.text, append(parts, p)
		}
		if !lineNumbers.MatchString(digitRuns.ReplaceAllString(skeleton, "L")) {
			continue
		}
		w.parts, w.split = parts, false
		converted[i], c.args[i] = w, lit(skeleton)
	}
	return converted
}

var digitRuns = regexp.MustCompile(`[0-9]+`)
