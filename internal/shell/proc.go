package shell

import (
	"regexp"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// ofProcess understands /proc/$PID/NAME, where only the run knows the number: what stands
// for it is converted to a number, as in an expression, and nothing else can stand there.
// What the file tells is the same of every process.
func (a *analysis) ofProcess(w *word) bool {
	if a.dialect == Zsh || w.form != dynamic || w.many || len(w.parts) != 3 {
		return false
	}
	head, pid, tail := w.parts[0], w.parts[1], w.parts[2]
	if !head.literal() || head.text != "/proc/" || !tail.literal() || !processFiles[tail.text] {
		return false
	}
	pid, ok := a.number(pid)
	if !ok {
		return false
	}
	w.parts, w.split = []part{head, pid, tail}, false
	return true
}

// number makes of a part what is a number when it runs, or one with a parenthesis.
func (a *analysis) number(p part) (part, bool) {
	switch name := variable.FindStringSubmatch(p.text); {
	case p.process != nil:
		return p, false
	case p.expansion && (p.text == "${$}" || p.text == "${?}" || numeral.MatchString(p.text) || strings.HasPrefix(p.text, "$((")):
	case p.body != nil, p.expansion && name != nil:
		if p.quoted = true; name != nil {
			p.text = "${" + name[1] + ":-0}"
		}
		p = part{text: a.converted(p), expansion: true}
	default:
		return p, false
	}
	p.quoted = true
	return p, true
}

// anyProcess is the path that the host is asked about for them all.
func anyProcess(w *word) *word { return &word{form: static, text: "/proc/1" + w.parts[2].text} }

func (p *part) literal() bool { return !p.expansion && p.body == nil && p.process == nil }

var (
	variable = regexp.MustCompile(`^\$\{([A-Za-z_][A-Za-z_0-9]*)\}$`)
	numeral  = regexp.MustCompile(`^\x01[0-9]+\x01$`)
)

// processFiles are those that tell of a process what ps tells.
var processFiles = set("/status /stat /statm /comm /cmdline /limits /io /cgroup /sched /schedstat /wchan /oom_score /oom_score_adj")

// ownNumeral reads the text that we write ourselves where a number is meant, as what it was
// made of.
func (a *analysis) ownNumeral(x *syntax.CmdSubst, s *state, quoted bool) (piece, bool) {
	inner := conversion(x)
	if inner == nil || a.dialect == Zsh {
		return piece{}, false
	}
	or := x.Stmts[0].Cmd.(*syntax.BinaryCmd)
	silent := or.X.Redirs[0]
	echo, is := or.Y.Cmd.(*syntax.CallExpr)
	if x.Stmts[0].Negated || or.X.Negated || or.Y.Negated || len(x.Stmts[0].Redirs)+len(or.Y.Redirs) > 0 || !is ||
		silent.Op != syntax.RdrOut || silent.N == nil || silent.N.Value != "2" || silent.Word.Lit() != "/dev/null" ||
		len(echo.Args) != 2 || echo.Args[0].Lit() != "echo" || len(echo.Args[1].Parts) != 1 {
		return piece{}, false
	}
	if sign, is := echo.Args[1].Parts[0].(*syntax.SglQuoted); !is || sign.Value != "(" || sign.Dollar {
		return piece{}, false
	}
	made := part{expansion: true, quoted: true}
	switch of := inner.(type) {
	case *syntax.CmdSubst:
		commands := a.substitution(of, s, true)
		if commands.part == nil {
			return piece{}, false
		}
		made = *commands.part
		made.quoted = true
	case *syntax.ParamExp:
		if of.Param == nil || !syntax.ValidName(of.Param.Value) || of.Index != nil || of.Length || of.Excl {
			return piece{}, false
		}
		made.text = "${" + of.Param.Value + ":-0}"
	default:
		return piece{}, false
	}
	return expansion(a.converted(made), quoted, false), true
}
