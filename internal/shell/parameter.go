package shell

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// parameter reads a parameter expansion. Its value is known, or it is data.
func (a *analysis) parameter(x *syntax.ParamExp, s *state, quoted bool) []piece {
	if x.Index != nil && a.dialect == Bash {
		return a.element(x, s, quoted)
	}
	if x.Param == nil || x.Flags != nil || x.Excl || x.Width || x.IsSet || x.Split != 0 || x.GlobSubst != 0 || x.RcExpand != 0 ||
		x.NestedParam != nil || x.Index != nil || len(x.Modifiers) > 0 || x.Names != 0 {
		a.fail("${...}", "this form takes a variable's value for a name, or evaluates it", "use $NAME")
		return nil
	}
	name := x.Param.Value
	if !knownParameter(name) {
		a.fail("$"+name, "this parameter is not understood", "")
		return nil
	}
	if pieces, is := a.positional(x, s, quoted); is {
		return pieces
	}
	if x.Length {
		return []piece{expansion("${#"+name+"}", quoted, true)}
	}
	value, assigned := s.vars[name]
	if x.Exp != nil || x.Slice != nil || x.Repl != nil {
		return a.operation(x, name, value, assigned, s, quoted)
	}
	if name == "HOME" && !assigned {
		return []piece{{home: true, quoted: quoted}}
	}
	if !assigned {
		number := name == "#" || name == "?" || name == "$"
		p := expansion("${"+name+"}", quoted, number)
		p.many = name == "@" // a line has no arguments: in quotes too it is no word
		return []piece{p}
	}
	return a.value(name, value, quoted)
}

// element reads ${x[1]}, ${x[@]} and ${#x[@]}: data.
func (a *analysis) element(x *syntax.ParamExp, s *state, quoted bool) []piece {
	index := ""
	if w, is := x.Index.(*syntax.Word); is {
		index = w.Lit()
	}
	if x.Param == nil || !syntax.ValidName(x.Param.Value) || x.Excl || x.Exp != nil || x.Slice != nil || x.Repl != nil || x.Names != 0 || x.Short ||
		index != "@" && index != "*" && !digits(index) {
		a.fail("${...[...]}", "only literal numbers, @ and * are understood as an index", "")
		return nil
	}
	name := x.Param.Value + "[" + index + "]"
	if x.Length {
		return []piece{expansion("${#"+name+"}", quoted, true)}
	}
	p := expansion("${"+name+"}", quoted, false)
	p.many = index == "@"
	return []piece{p}
}

// value is the value of a variable that the line assigned.
func (a *analysis) value(name string, value word, quoted bool) []piece {
	switch value.form {
	case static:
		if !quoted && !a.whole && a.dialect != Zsh && strings.ContainsAny(value.text, " \t\n") {
			break
		}
		return []piece{{text: value.text, quoted: quoted || a.dialect == Zsh || strings.Contains(value.text, `\`)}}
	case homely:
		return []piece{{home: true}, {text: value.text, quoted: true}}
	case each:
		return []piece{{name: name, value: &value, quoted: quoted || a.dialect == Zsh}}
	}
	p := expansion("${"+name+"}", quoted, value.number)
	p.part.single = value.single
	return []piece{p}
}

// expansion is an expansion whose text only the run knows.
func expansion(text string, quoted, number bool) piece {
	return piece{part: &part{text: text, expansion: true, quoted: quoted}, num: number}
}

// knownParameter holds for names and for the special parameters that are numbers
// or words of the shell itself. The positional ones are empty.
func knownParameter(name string) bool {
	return syntax.ValidName(name) || name == "#" || name == "?" || name == "$" || name == "@" || name == "*" ||
		len(name) == 1 && name[0] >= '0' && name[0] <= '9'
}

// operation reads ${x:-word}, ${x#pattern}, ${x:1:2} and ${x/a/b}.
func (a *analysis) operation(x *syntax.ParamExp, name string, value word, assigned bool, s *state, quoted bool) []piece {
	if !syntax.ValidName(name) {
		a.fail("${"+name+"...}", "this form is not understood", "")
		return nil
	}
	head := "${" + name
	switch {
	case x.Slice != nil:
		text := head
		for _, e := range []syntax.ArithmExpr{x.Slice.Offset, x.Slice.Length} {
			if e == nil {
				continue
			}
			n, ok := a.arithmeticExpr(e, s, 0)
			if !ok {
				a.fail(head+":...}", "its numbers are not understood", "use literal numbers")
				return nil
			}
			text += ":" + strings.Replace(n, "-", " -", 1)
		}
		return []piece{expansion(text+"}", quoted, false)}
	case x.Repl != nil:
		from, ok1 := a.operand(x.Repl.Orig, s)
		to, ok2 := a.operand(x.Repl.With, s)
		if !ok1 || !ok2 {
			a.fail(head+"/...}", "its pattern must be literal", "")
			return nil
		}
		op := "/"
		if x.Repl.All {
			op = "//"
		}
		return []piece{expansion(head+op+from+"/"+to+"}", quoted, false)}
	}
	return a.alternative(x, name, value, assigned, s, quoted)
}

// alternative reads the operators that POSIX has.
func (a *analysis) alternative(x *syntax.ParamExp, name string, value word, assigned bool, s *state, quoted bool) []piece {
	head := "${" + name
	op := x.Exp.Op
	switch op {
	case syntax.DefaultUnset, syntax.DefaultUnsetOrNull, syntax.AlternateUnset, syntax.AlternateUnsetOrNull,
		syntax.RemSmallPrefix, syntax.RemLargePrefix, syntax.RemSmallSuffix, syntax.RemLargeSuffix,
		syntax.UpperFirst, syntax.UpperAll, syntax.LowerFirst, syntax.LowerAll:
	default:
		a.fail(head+op.String()+"...}", "this operator assigns, or evaluates the value", "")
		return nil
	}
	if assigned && value.form == static {
		switch {
		case op == syntax.DefaultUnset, op == syntax.DefaultUnsetOrNull && value.text != "":
			return a.value(name, value, quoted)
		}
	}
	text, ok := a.operand(x.Exp.Word, s)
	if !ok {
		a.fail(head+op.String()+"...}", "what stands in it must be literal", "")
		return nil
	}
	return []piece{expansion(head+op.String()+text+"}", quoted, false)}
}

// operand writes the literal word of an operation. Command substitutions in it
// are read for what they do, but are not written.
func (a *analysis) operand(w *syntax.Word, s *state) (string, bool) {
	if w == nil {
		return "", true
	}
	var b strings.Builder
	for _, p := range a.pieces(w.Parts, s, false) {
		if p.part != nil || p.value != nil || p.home {
			return "", false
		}
		for _, r := range p.text {
			switch {
			case !p.quoted && strings.ContainsRune("*?[]!-", r), r >= '0' && r <= '9', r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', strings.ContainsRune("_./:,=+%@", r):
				b.WriteRune(r)
			case r == ' ' && !p.quoted:
				b.WriteByte(' ')
			case r == '-', r == ' ', r == '!', r == '#':
				b.WriteByte('\\')
				b.WriteRune(r)
			default:
				return "", false
			}
		}
	}
	// A quoted dash or blank is written with a backslash, which inside quotes
	// would stand: such operands are refused there.
	return b.String(), !strings.Contains(b.String(), `\`)
}

// substitution reads $(...): what it does counts, and its output is data.
func (a *analysis) substitution(x *syntax.CmdSubst, s *state, quoted bool) piece {
	if x.TempFile || x.ReplyVar {
		a.fail("${ ...; }", "this form is not understood", "use $(...)")
		return piece{}
	}
	if p, is := a.ownNumeral(x, s, quoted); is {
		return p
	}
	a.substituted++
	inner := s.clone()
	inner.inLoop, inner.feed = false, nil
	before := a.whole
	a.whole = false
	var body *list
	a.again(func() { body = a.statements(x.Stmts, &inner) })
	a.whole = before
	if len(body.items) == 0 {
		return piece{quoted: true}
	}
	p := piece{part: &part{body: body, quoted: quoted, single: oneWord(body)}, quoted: quoted}
	p.value, _ = a.newest(body, s)
	return p
}

// oneWord reports whether commands print one word, as far as they print anything.
func oneWord(l *list) bool {
	if len(l.items) != 1 {
		return false
	}
	only, is := l.items[0].node.(*simple)
	if !is || len(only.words) == 0 || slices.ContainsFunc(only.words, func(w word) bool { return w.form != static }) {
		return false
	}
	given := func(options ...string) bool {
		return slices.ContainsFunc(only.words[1:], func(w word) bool { return slices.Contains(options, w.text) })
	}
	switch only.words[0].text {
	case "pgrep":
		return given("-o", "-n", "-of", "-nf", "-fo", "-fn", "-ox", "-nx", "-xo", "-xn") && !given("-l", "-a", "-fl", "-fa", "-af", "-lf")
	case "pidof":
		return given("-s")
	case "hostname", "uname":
		return len(only.words) == 1 || len(only.words) == 2 && given("-s", "-f", "-r", "-m", "-n")
	case "id":
		return len(only.words) == 2 && given("-u", "-un", "-g", "-gn")
	case "whoami", "nproc", "arch":
		return len(only.words) == 1
	}
	return false
}

// arithmetic reads $((...)).
func (a *analysis) arithmetic(x *syntax.ArithmExp, s *state, quoted bool) piece {
	text, ok := "", false
	if !x.Bracket && !x.Unsigned {
		text, ok = a.arithmeticExpr(x.X, s, 0)
	}
	if !ok {
		a.fail("$((...))", "it may assign, or evaluate the text of a variable as a command", "use numbers, and variables that the line sets to numbers")
		return piece{}
	}
	return expansion("$(("+text+"))", quoted, true)
}

// arithmeticExpr writes an expression over numbers. A variable may only stand in
// it if its value is a number for sure: shells evaluate anything else again.
func (a *analysis) arithmeticExpr(e syntax.ArithmExpr, s *state, depth int) (string, bool) {
	if depth > 16 {
		return "", false
	}
	switch x := e.(type) {
	case *syntax.ParenArithm:
		inner, ok := a.arithmeticExpr(x.X, s, depth+1)
		return "(" + inner + ")", ok
	case *syntax.UnaryArithm:
		inner, ok := a.arithmeticExpr(x.X, s, depth+1)
		return "-" + inner, ok && !x.Post && x.Op == syntax.Minus && !strings.HasPrefix(inner, "-")
	case *syntax.BinaryArithm:
		switch x.Op {
		case syntax.Add, syntax.Sub, syntax.Mul, syntax.Quo, syntax.Rem, syntax.Eql, syntax.Neq, syntax.Lss, syntax.Gtr, syntax.Leq, syntax.Geq,
			syntax.AndArit, syntax.OrArit, syntax.TernQuest, syntax.TernColon, syntax.Shl, syntax.Shr, syntax.And, syntax.Or, syntax.Xor:
		case syntax.Pow:
			// An exponent below zero is an error, behind which a shell does not go on.
			if y, is := x.Y.(*syntax.Word); !is || a.dialect != Bash || !digits(y.Lit()) {
				return "", false
			}
		default:
			return "", false
		}
		left, ok1 := a.arithmeticExpr(x.X, s, depth+1)
		right, ok2 := a.arithmeticExpr(x.Y, s, depth+1)
		return left + " " + x.Op.String() + " " + right, ok1 && ok2
	case *syntax.Word:
		return a.arithmeticWord(x, s)
	}
	return "", false
}

var hexadecimal = regexp.MustCompile(`^0[xX][0-9a-fA-F]{1,8}$`)

func (a *analysis) arithmeticWord(w *syntax.Word, s *state) (string, bool) {
	if len(w.Parts) != 1 {
		return "", false
	}
	switch p := w.Parts[0].(type) {
	case *syntax.Lit:
		if digits(p.Value) || hexadecimal.MatchString(p.Value) {
			return p.Value, true
		}
		if syntax.ValidName(p.Value) {
			return a.numeral(p.Value, p.Value, s)
		}
	case *syntax.ParamExp:
		switch {
		case p.Param == nil, p.Excl, p.Index != nil, p.Exp != nil, p.Slice != nil, p.Repl != nil, p.Names != 0, p.Flags != nil, p.Width, p.IsSet,
			len(p.Modifiers) > 0, p.NestedParam != nil:
			return "", false
		case p.Length && syntax.ValidName(p.Param.Value):
			return "${#" + p.Param.Value + "}", true
		case p.Length:
			return "", false
		case p.Param.Value == "#" && !s.called || p.Param.Value == "?":
			return "${" + p.Param.Value + "}", true
		case syntax.ValidName(p.Param.Value):
			return a.numeral(p.Param.Value, "${"+p.Param.Value+"}", s)
		}
	case *syntax.CmdSubst:
		if inner := conversion(p); inner != nil {
			return a.arithmeticWord(&syntax.Word{Parts: []syntax.WordPart{inner}}, s)
		}
		if made := a.substitution(p, s, true); made.part != nil && !said(made.part.body) && a.dialect != Zsh {
			made.part.quoted = true
			return a.converted(*made.part), true
		}
	case *syntax.ArithmExp:
		if !p.Bracket && !p.Unsigned {
			inner, ok := a.arithmeticExpr(p.X, s, 1)
			return "(" + inner + ")", ok
		}
	}
	return "", false
}

// numeral writes a variable in an expression: as it stands if it is a number for
// sure, and converted if only the run knows. Text that is known and no number is
// refused: it would be evaluated.
func (a *analysis) numeral(name, text string, s *state) (string, bool) {
	value, assigned := s.vars[name]
	switch {
	case isNumber(value):
		return text, true
	case assigned && value.form == dynamic && !value.whole && !value.said && a.dialect != Zsh:
		return a.converted(part{text: "${" + name + ":-0}", expansion: true, quoted: true}), true
	}
	return "", false
}

// conversion is what a numeral in our own text is made of; nil if it is none.
func conversion(p *syntax.CmdSubst) syntax.WordPart {
	if len(p.Stmts) != 1 {
		return nil
	}
	or, is := p.Stmts[0].Cmd.(*syntax.BinaryCmd)
	if !is || or.Op != syntax.OrStmt || len(or.X.Redirs) != 1 {
		return nil
	}
	call, is := or.X.Cmd.(*syntax.CallExpr)
	if !is || len(call.Args) != 3 || call.Args[0].Lit() != "printf" || call.Args[1].Lit() != "%d" || len(call.Args[2].Parts) != 1 {
		return nil
	}
	quoted, is := call.Args[2].Parts[0].(*syntax.DblQuoted)
	if !is || len(quoted.Parts) != 1 {
		return nil
	}
	switch inner := quoted.Parts[0].(type) {
	case *syntax.CmdSubst:
		return inner
	case *syntax.ParamExp:
		if inner.Exp != nil && inner.Exp.Op == syntax.DefaultUnsetOrNull && inner.Exp.Word.Lit() == "0" {
			bare := *inner
			bare.Exp = nil
			return &bare
		}
	}
	return nil
}

// said reports whether commands print text as it stands in the line or in a file, which
// nobody calculates with.
func said(l *list) bool {
	if l == nil || len(l.items) == 0 {
		return false
	}
	only, is := l.items[len(l.items)-1].node.(*simple)
	return is && len(only.words) > 0 && slices.Contains([]string{"echo", "printf", "cat", "head", "tail"}, only.words[0].text)
}

// converted writes text that only the run knows as a number in an expression. What
// is no number becomes a parenthesis, an error where a shell would evaluate it.
func (a *analysis) converted(p part) string {
	a.numerals = append(a.numerals, p)
	return fmt.Sprintf("\x01%d\x01", len(a.numerals)-1)
}

func allNumbers(words []word) bool {
	for i := range words {
		if !isNumber(words[i]) {
			return false
		}
	}
	return true
}
