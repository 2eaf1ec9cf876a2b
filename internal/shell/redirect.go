package shell

import (
	"strings"

	"mvdan.cc/sh/v3/syntax"

	"github.com/sallyport-gateway/sallyport/internal/gate"
	"github.com/sallyport-gateway/sallyport/internal/hostpath"
)

// redirect is one redirection: op with its descriptor, and the target or the
// here-document.
type redirect struct {
	op     string
	target *word
	here   *here
}

// discards reports whether it takes nothing but error messages away: what is printed
// stays what it is.
func (d *redirect) discards() bool {
	return (d.op == "2>" || d.op == "2>>") && d.target != nil && d.target.is("/dev/null")
}

// answersOnly reports whether it leaves standard input as it is.
func (d *redirect) answersOnly() bool { return d.discards() || d.op == "2>&1" }

// here is a here-document.
type here struct {
	parts   []part
	literal bool
	body    string
}

// redirect reads a redirection into the statement.
func (a *analysis) redirect(r *syntax.Redirect, s *state, out *statement) {
	fd := ""
	if r.N != nil {
		if fd = r.N.Value; len(fd) != 1 || fd[0] < '0' || fd[0] > '9' {
			a.fail("redirection", "the descriptor is not a digit", "")
			return
		}
	}
	switch r.Op {
	case syntax.RdrIn:
		a.input(fd, r, s, out)
	case syntax.RdrOut, syntax.AppOut, syntax.RdrClob:
		a.output(fd+r.Op.String(), r, s, out)
	case syntax.RdrAll, syntax.AppAll:
		op := ">"
		if r.Op == syntax.AppAll {
			op = ">>"
		}
		a.output(op, r, s, out)
		out.redirs = append(out.redirs, redirect{op: "2>&1"})
	case syntax.DplOut, syntax.DplIn:
		target := a.plain(r.Word, s)
		if target.form == static && (target.text == "-" || len(target.text) == 1 && target.text[0] >= '0' && target.text[0] <= '9') {
			if target.text != "1" && target.text != "2" && target.text != "-" && (answers(fd) || fd == "" && r.Op == syntax.DplOut) {
				s.turned = true
			}
			out.redirs = append(out.redirs, redirect{op: fd + r.Op.String() + target.text})
			return
		}
		if r.Op == syntax.DplOut && fd == "" {
			a.output(">", r, s, out)
			out.redirs = append(out.redirs, redirect{op: "2>&1"})
			return
		}
		a.fail("redirection", "what it duplicates is known only when it runs", "")
	case syntax.Hdoc, syntax.DashHdoc, syntax.WordHdoc:
		a.document(fd, r, s, out)
	default:
		a.fail(r.Op.String(), "this redirection writes", "")
		a.effects |= gate.EffectWrite
	}
}

// answers: a descriptor on which programs answer.
func answers(fd string) bool { return fd == "1" || fd == "2" }

// network reports whether bash would open a connection in place of a file (bash
// manual, section 3.6).
func (a *analysis) network(target *word) bool {
	if target.begins("/dev/tcp/") || target.begins("/dev/udp/") {
		a.effects |= gate.EffectTunnel
		a.fail(target.source(), "bash opens a network connection", "")
		return true
	}
	return false
}

// input reads < file.
func (a *analysis) input(fd string, r *syntax.Redirect, s *state, out *statement) {
	target := a.plain(r.Word, s)
	if target.process != nil {
		if fd != "" && fd != "0" || s.depth > 1 || len(out.redirs) > 0 || out.input != nil {
			a.fail("< <(", "process substitution is understood as the input of a command by itself, before any other redirection", "use a pipeline")
		}
		a.processes = a.processes[:len(a.processes)-1]
		s.piped, out.input = true, target.process
		return
	}
	if a.network(&target) {
		return
	}
	if fd == "" || fd == "0" {
		s.piped = true
	}
	s.turned = s.turned || answers(fd)
	a.effects |= gate.EffectRead
	asked := &target
	if a.ofProcess(&target) {
		asked = anyProcess(&target)
	}
	a.path(asked, s, hostpath.Question{Use: hostpath.Read, Follow: true}, "<")
	out.redirs = append(out.redirs, redirect{op: fd + "<", target: &target})
}

// output reads > file and its like.
func (a *analysis) output(op string, r *syntax.Redirect, s *state, out *statement) {
	target := a.plain(r.Word, s)
	if a.network(&target) {
		return
	}
	if n := map[string]string{"/dev/stdout": "1", "/dev/stderr": "2"}[target.text]; n != "" && target.form == static {
		if s.turned {
			a.fail(target.text, "an earlier redirection may have made it a file that was opened to be read", "")
		}
		// By its name the system would open it anew, whatever it is open for.
		out.redirs = append(out.redirs, redirect{op: strings.TrimRight(op, ">|") + ">&" + n})
		return
	}
	out.redirs = append(out.redirs, redirect{op: op, target: &target})
	if target.is("/dev/null") {
		return
	}
	a.effects |= gate.EffectWrite
	a.path(&target, s, hostpath.Question{Use: hostpath.Write, Follow: true}, ">")
}

// document reads here-documents and here-strings; both are written as
// here-documents.
func (a *analysis) document(fd string, r *syntax.Redirect, s *state, out *statement) {
	if fd == "" || fd == "0" {
		s.piped = true
	}
	s.turned = s.turned || answers(fd)
	h := &here{}
	out.redirs = append(out.redirs, redirect{op: fd + "<<", here: h})
	if r.Op == syntax.WordHdoc {
		w := a.plain(r.Word, s)
		h.parts = append(pieceParts(&w), part{text: "\n"})
		h.literal = w.form == static
		h.body = w.text + "\n"
		return
	}
	if r.Hdoc == nil {
		h.literal = true
		return
	}
	if r.Op == syntax.DashHdoc {
		a.fail("<<-", "the tabs that it takes away are not understood", "use <<")
		return
	}
	if quotedDelimiter(r.Word) {
		h.literal = true
		for _, p := range r.Hdoc.Parts {
			l, is := p.(*syntax.Lit)
			if !is {
				a.fail("<<", "its text is not understood", "")
				return
			}
			h.body += l.Value
		}
		return
	}
	pieces := a.pieces([]syntax.WordPart{&syntax.DblQuoted{Parts: hereParts(r.Hdoc.Parts)}}, s, true)
	w := a.dynamic(pieces, false)
	h.parts = w.parts
	if n := len(h.parts); n > 0 && !strings.HasSuffix(h.parts[n-1].text, "\n") {
		a.fail("<<", "its text does not end with its line", "")
		return
	}
	h.literal = true
	for _, p := range h.parts {
		h.literal = h.literal && !p.expansion && p.body == nil
		h.body += p.text
	}
}

// hereParts keeps double quotes in a here-document literal: there a backslash
// does not quote them (POSIX.1-2024, section 2.7.4).
func hereParts(parts []syntax.WordPart) []syntax.WordPart {
	out := make([]syntax.WordPart, len(parts))
	for i, p := range parts {
		if l, is := p.(*syntax.Lit); is {
			p = &syntax.Lit{Value: strings.ReplaceAll(l.Value, `\"`, `\\"`)}
		}
		out[i] = p
	}
	return out
}

func quotedDelimiter(w *syntax.Word) bool {
	for _, p := range w.Parts {
		l, is := p.(*syntax.Lit)
		if !is || strings.Contains(l.Value, `\`) {
			return true
		}
	}
	return false
}

// pieceParts are the parts of any word.
func pieceParts(w *word) []part {
	switch w.form {
	case static, pattern:
		return []part{{text: w.text}}
	case homely:
		return []part{{text: "$HOME", expansion: true, quoted: true}, {text: w.text}}
	}
	return w.parts
}
