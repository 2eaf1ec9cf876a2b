package shell

import (
	"errors"
	"regexp"
	"strings"
)

// awkSafe reports why an awk program may do more than read its input and print;
// nil if it cannot. It is a scanner for the grammar of POSIX awk with a check of
// every token: what opens a file, runs a command, or calls a function by name is
// refused by its token, wherever it stands, so that no full parse is needed to be
// sure (POSIX.1-2024, awk, and the gawk manual for what goes beyond).
//
// Refused are: system and every function that is not one of the string and
// number functions; getline; the pipe, |&; > and >> outside parentheses after
// print and printf, where they redirect; @ (indirect calls, @include, @load);
// ENVIRON is data. A name before a parenthesis is a call: it must be a known
// function, or one that the program defines.
func awkSafe(program string) error {
	s := &awkScanner{text: program, functions: map[string]bool{}}
	s.definitions()
	seen := map[string]bool{}
	for {
		t, err := s.next()
		if err != nil {
			return err
		}
		if t == "" {
			break
		}
		if seen[t] = true; seen["ENVIRON"] && (seen["strftime"] || seen["mktime"]) {
			return errors.New("ENVIRON can name a time zone, which can be any file")
		}
		if err := s.check(t); err != nil {
			return err
		}
	}
	if s.depth != 0 || s.braces != 0 {
		return errors.New("its brackets do not match")
	}
	return nil
}

// awkFunctions compute. The other words of the language that may stand before a
// parenthesis are in awkWords.
var awkFunctions = set("length substr index split sub gsub match sprintf tolower toupper sin cos atan2 exp log sqrt int rand srand " +
	"gensub strftime systime mktime and or xor lshift rshift compl strtonum asort asorti patsplit isarray")

var awkWords = set("if while for switch do else in print printf return getline delete exit next nextfile break continue function func BEGIN END " +
	"BEGINFILE ENDFILE case default")

// awkRefused are words that do more than compute and print.
var awkRefused = map[string]string{
	"system": "it runs a command", "getline": "it reads from a file or a command", "close": "there is nothing to close",
	"fflush": "there is nothing to flush", "extension": "it loads code", "PROCINFO": "it changes how gawk reads and calls",
	"SYMTAB": "it reaches every variable by name", "FUNCTAB": "it calls functions by name", "BEGINFILE": "it is not understood",
	"ENDFILE": "it is not understood", "ARGV": "it changes which files are read", "ARGC": "it changes which files are read",
	"ARGIND": "it is not understood", "dcgettext": "it is not understood", "bindtextdomain": "it reads files",
}

// awkSorted is what follows PROCINFO in a statement that says in which of gawk's own
// orders for (k in array) goes; any other value would be the name of a function.
var awkSorted = regexp.MustCompile(`^(\["sorted_in"\] *= *"@(?:unsorted|(?:ind|val)_(?:str|num|type)_(?:asc|desc))") *[;}\n]`)

func set(words string) map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(words) {
		m[w] = true
	}
	return m
}

type awkScanner struct {
	text string
	pos  int
	// previous is the last token, which says whether a slash divides.
	previous  string
	functions map[string]bool
	// depth of parentheses and brackets; braces of blocks.
	depth, braces int
	// printing is the depth at which a print statement stands, plus one.
	printing int
	// conditional are the depths at which the parentheses of if, while and for
	// stand that are open.
	conditional [64]int
	conditions  int
}

// definitions notes the functions that the program defines. A name that is a
// built-in in one awk must not be defined as a function of another.
func (s *awkScanner) definitions() {
	fields := strings.FieldsFunc(s.text, func(r rune) bool { return !isNameRune(r) })
	for i, f := range fields {
		if (f == "function" || f == "func") && i+1 < len(fields) {
			s.functions[fields[i+1]] = true
		}
	}
}

func isNameRune(r rune) bool {
	return r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
}

// next is the next token; empty at the end. Strings are `"`, regular expressions
// are `/`.
func (s *awkScanner) next() (string, error) {
	for s.pos < len(s.text) {
		switch c := s.text[s.pos]; {
		case c == ' ' || c == '\t':
			s.pos++
		case c == '\\' && s.pos+1 < len(s.text) && s.text[s.pos+1] == '\n':
			s.pos += 2
		case c == '#':
			for s.pos < len(s.text) && s.text[s.pos] != '\n' {
				s.pos++
			}
		case c == '"':
			return `"`, s.delimited('"')
		case c == '/':
			switch s.slash() {
			case expression:
				return "/", s.delimited('/')
			case either:
				return "", errors.New("a slash behind " + short(s.previous) + " divides in one awk and not in another: put what is before it in parentheses")
			}
			s.pos++
			if strings.HasPrefix(s.text[s.pos:], "=") {
				s.pos++
				return "/=", nil
			}
			return "÷", nil
		case c >= '0' && c <= '9' || c == '.':
			return s.number()
		case isNameRune(rune(c)):
			return s.name(), nil
		default:
			for _, op := range []string{"**=", ">>", "|&", "||", "&&", "==", "!=", "<=", ">=", "++", "--", "+=", "-=", "*=", "/=", "%=", "^=", "!~", "**"} {
				if strings.HasPrefix(s.text[s.pos:], op) {
					s.pos += len(op)
					return op, nil
				}
			}
			s.pos++
			if c >= 0x80 || c < ' ' && c != '\n' {
				return "", errors.New("it has a character outside strings that awk does not know")
			}
			return string(rune(c)), nil
		}
	}
	return "", nil
}

// slash is what a slash begins by the token before it.
type slash uint8

const (
	// either: one awk divides where another begins a regular expression, as after
	// length, a regular expression, ++, and words that only some awks know.
	either slash = iota
	division
	expression
)

// slash says what a slash begins here: after an operand it divides. It is refused
// where awks (gawk, mawk, the original awk, busybox) do not agree, because what is
// text to one of them is code to another.
func (s *awkScanner) slash() slash {
	switch p := s.previous; {
	case p == "++", p == "--", p == "/":
		return either
	case p == `"`, p == ")", p == "]":
		return division
	case p != "" && (p[0] >= '0' && p[0] <= '9' || p[0] == '.'):
		return division
	case awkBefore[p]:
		return expression
	case isWord(p):
		if awkWords[p] || awkFunctions[p] || s.functions[p] {
			return either
		}
		return division
	}
	return expression
}

// awkBefore are the words after which an expression begins in every awk.
var awkBefore = set("print printf return in else do exit")

// name reads a word.
func (s *awkScanner) name() string {
	from := s.pos
	for s.pos < len(s.text) && isNameRune(rune(s.text[s.pos])) {
		s.pos++
	}
	return s.text[from:s.pos]
}

// number reads a number. A letter right behind it would begin a word in one awk
// and belong to the number in another (hexadecimal constants), so it is refused.
func (s *awkScanner) number() (string, error) {
	from := s.pos
	for s.pos < len(s.text) && (s.text[s.pos] >= '0' && s.text[s.pos] <= '9' || s.text[s.pos] == '.') {
		s.pos++
	}
	if rest := s.text[s.pos:]; len(rest) > 1 && (rest[0] == 'e' || rest[0] == 'E') {
		digits := strings.TrimLeft(rest[1:], "+-")
		if len(rest[1:])-len(digits) < 2 && digits != "" && digits[0] >= '0' && digits[0] <= '9' {
			s.pos += 1 + len(rest[1:]) - len(digits)
			for s.pos < len(s.text) && s.text[s.pos] >= '0' && s.text[s.pos] <= '9' {
				s.pos++
			}
		}
	}
	if s.pos < len(s.text) && isNameRune(rune(s.text[s.pos])) {
		return "", errors.New("a letter right behind a number")
	}
	return s.text[from:s.pos], nil
}

// delimited passes over a string or a regular expression. Whether a slash within
// brackets ends the expression differs between awks, and so does where brackets
// end: the end must be outside of them by every reading.
func (s *awkScanner) delimited(end byte) error {
	var b brackets
	for s.pos++; s.pos < len(s.text); s.pos++ {
		switch c := s.text[s.pos]; {
		case c == '\n':
			return errors.New("a string or an expression is not closed on its line")
		case c == '\\':
			s.pos++
			b.last = 0
			continue
		case c == end && end == '/' && b.open():
			return errors.New("a slash within brackets")
		case c == end:
			s.pos++
			return nil
		case end == '/':
			b.read(c)
		}
	}
	return errors.New("a string or an expression is not closed")
}

// brackets follows the bracket expressions of a regular expression by three
// readings: the first ] closes; a ] right behind the opening [ or [^ does not, and
// classes as [:alpha:] nest; and every [ counts.
type brackets struct {
	simple, proper bool
	class          bool
	begin, depth   int
	last           byte
}

func (b *brackets) open() bool { return b.simple || b.proper || b.depth > 0 }

func (b *brackets) read(c byte) {
	defer func() { b.last = c }()
	b.begin++
	switch c {
	case '[':
		b.simple = true
		if b.depth == 0 || !b.proper {
			b.depth = 1
		}
		if !b.proper {
			b.proper, b.begin = true, 0
		}
	case ':', '.', '=':
		if b.proper && b.last == '[' && b.begin > 1 {
			b.class = true
			b.depth++
		}
	case '^':
		if b.proper && b.begin == 1 && b.last == '[' {
			b.begin = 0
		}
	case ']':
		b.simple = false
		switch {
		case b.class:
			if b.last == ':' || b.last == '.' || b.last == '=' {
				b.class = false
				b.depth--
			}
		case b.proper && b.begin > 1:
			b.proper, b.depth = false, 0
		}
	}
}

// check refuses what does more than compute and print.
func (s *awkScanner) check(t string) error {
	defer func() {
		if s.previous = t; t == ")" && s.conditions > 0 && s.depth == s.conditional[s.conditions-1] {
			// A statement begins behind if (...), and may begin with an expression.
			s.conditions--
			s.previous = ";"
		}
	}()
	if order := awkSorted.FindStringSubmatch(s.text[s.pos:]); t == "PROCINFO" && order != nil {
		s.pos += len(order[1])
		t = `"`
		return nil
	}
	if why := awkRefused[t]; why != "" {
		return errors.New(t + ": " + why)
	}
	switch t {
	case "|", "|&":
		return errors.New(t + " runs a command")
	case "@":
		return errors.New("@ loads code or calls by name")
	case ">", ">>":
		if t == ">>" || s.printing > 0 && s.depth <= s.printing-1 {
			return errors.New(t + " writes a file; a comparison must stand in parentheses")
		}
	case "(", "[":
		if t == "(" && isWord(s.previous) && !s.callable(s.previous) {
			return errors.New(s.previous + "(: the function is not understood")
		}
		if t == "(" && (s.previous == "if" || s.previous == "while" || s.previous == "for") {
			if s.conditions == len(s.conditional) {
				return errors.New("it is nested too deeply")
			}
			s.conditional[s.conditions] = s.depth
			s.conditions++
		}
		s.depth++
	case ")", "]":
		if s.depth--; s.depth < 0 {
			return errors.New("its brackets do not match")
		}
	case "{":
		s.braces++
		s.printing = 0
	case "}":
		s.braces--
		s.printing = 0
	case ";":
		// Not a newline: behind a comma the statement goes on.
		if s.depth == 0 {
			s.printing = 0
		}
	case "print", "printf":
		s.printing = s.depth + 1
	}
	if s.depth > 256 || s.braces > 256 || s.braces < 0 {
		return errors.New("it is nested too deeply")
	}
	return nil
}

func isWord(t string) bool {
	return t != "" && isNameRune(rune(t[0])) && (t[0] < '0' || t[0] > '9')
}

// callable: a parenthesis may follow the word. After a variable it is
// concatenation, which the scanner cannot tell from a call of a function that
// some awk has.
func (s *awkScanner) callable(word string) bool {
	return awkFunctions[word] || awkWords[word] || s.functions[word] && !awkRefusedName(word) || awkVariable[word]
}

func awkRefusedName(word string) bool { return awkRefused[word] != "" }

var awkVariable = set("NR NF FNR FS OFS RS ORS SUBSEP RSTART RLENGTH FILENAME")

// awk understands the program and operands of awk.
func (c *call) awk(p *Program, from int) {
	in, ok := c.parse(p, from)
	if !ok {
		return
	}
	for _, g := range in.given {
		if g.name == "-v" || g.name == "--assign" {
			if name, _, has := strings.Cut(g.value.prefix(), "="); !has || !isWord(name) || awkRefused[name] != "" {
				c.fail(g.name, "NAME=VALUE with a plain name is needed", "")
			}
		}
	}
	if len(in.operands) == 0 {
		c.fail("", "the program is missing", "")
		return
	}
	c.effect(0)
	w := &c.args[in.operands[0]]
	if !c.constant(w, nil, "the program") {
		return
	}
	if err := awkSafe(w.text); err != nil {
		c.fail("program", err.Error(), "print what is needed, and let the shell do the rest")
		return
	}
	c.awkFiles(in)
}

// awkFiles understands the operands after the program: files, and assignments.
func (c *call) awkFiles(in *input) {
	files := 0
	for _, i := range in.operands[1:] {
		w := &c.args[i]
		if w.is("-") {
			c.stdin()
			files++
			continue
		}
		if name, _, has := strings.Cut(w.prefix(), "="); has && isName(name) {
			if awkRefused[name] != "" || !c.text(w, name) {
				c.fail(w.source(), "the assignment is not understood", "")
			}
			continue
		}
		if w.begins("/inet") {
			c.fail(w.source(), "gawk opens a network connection", "")
		}
		if !c.use(Read, w, nil, "", true) {
			return
		}
		files++
	}
	if files == 0 {
		c.stdin()
	}
}

func isName(s string) bool {
	return isWord(s) && strings.IndexFunc(s, func(r rune) bool { return !isNameRune(r) }) < 0
}
