package shell

import (
	"fmt"

	"mvdan.cc/sh/v3/syntax"
)

// process is <(...): commands whose output a program reads as a file. The shell does
// not wait for them, so they are written as parts of a pipeline, for which it does:
//
//	diff <(A) <(B)  as  { { A; } | { { B; } <&60 | { diff /dev/fd/63 /dev/fd/62; } 62<&0 <&60; } 63<&0; } 60<&0
//
// and, because a loop behind a pipe would keep its variables from what follows, the
// rest of the line goes with it:
//
//	LOOP < <(A); REST  as  { { A; } | { LOOP; { REST; } <&60; }; } 60<&0
type process struct {
	body *list
	// fd is the descriptor by which bash would name it.
	fd int
	// read: something reads it as a file.
	read bool
}

const (
	// firstProcess is the descriptor that bash gives the first of a command.
	firstProcess = 63
	// maxProcesses of a command.
	maxProcesses = 3
	// keptInput is the descriptor for standard input meanwhile.
	keptInput = "60"
)

// process reads <(...).
func (a *analysis) process(x *syntax.ProcSubst, s *state) piece {
	if x.Op != syntax.CmdIn || a.dialect != Bash || len(a.processes) == maxProcesses {
		a.fail(x.Op.String(), "this process substitution is not understood", "use a pipeline")
		return piece{quoted: true}
	}
	a.processed = true
	before := a.processes
	a.processes = nil
	inner := s.clone()
	inner.inLoop, inner.feed = false, nil
	p := &process{fd: firstProcess - len(before)}
	a.again(func() { p.body = a.statements(x.Stmts, &inner) })
	a.processes = append(before, p)
	if len(p.body.items) == 0 {
		a.fail("<(", "it is empty", "")
	}
	return piece{quoted: true, part: &part{text: fmt.Sprintf("/dev/fd/%d", p.fd), process: p}}
}

// finish takes the process substitutions of a statement: each must be what a program
// reads as a file.
func (a *analysis) finish(out *statement, before []*process) {
	for _, p := range a.processes {
		if !p.read {
			a.fail("<(", "process substitution is understood where a program reads a file, and behind < at the end of a command", "use a pipeline")
			break
		}
	}
	if _, is := out.node.(*simple); is {
		out.processes = a.processes
	} else if len(a.processes) > 0 {
		a.fail("<(", "process substitution is not understood here", "use a pipeline")
	}
	a.processes = before
}

// processed writes a statement with its process substitutions as a pipeline.
func (r *renderer) processed(st *statement) {
	for _, p := range st.processes {
		r.b.WriteString("{ ")
		r.source(p, p.fd != firstProcess)
		r.b.WriteString(" | ")
	}
	plain := *st
	plain.processes, plain.not = nil, false
	last := len(st.processes) - 1
	r.b.WriteString("{ ")
	r.statement(&plain)
	r.separate()
	r.b.WriteString(fmt.Sprintf("} %d<&0 <&%s", st.processes[last].fd, keptInput))
	r.separate()
	r.b.WriteString("}")
	for i := last - 1; i >= 0; i-- {
		r.b.WriteString(fmt.Sprintf(" %d<&0", st.processes[i].fd))
		r.separate()
		r.b.WriteString("}")
	}
	r.b.WriteString(" " + keptInput + "<&0")
}

// source writes what a process substitution runs; kept says that standard input is
// another pipe already.
func (r *renderer) source(p *process, kept bool) {
	r.b.WriteString("{ ")
	r.list(p.body)
	r.separate()
	r.b.WriteString("}")
	if kept {
		r.b.WriteString(" <&" + keptInput)
	}
}

// fed writes a statement that reads a process substitution as its standard input,
// with the rest of its list.
func (r *renderer) fed(st *statement, rest *list) {
	r.b.WriteString("{ ")
	r.source(st.input, false)
	r.b.WriteString(" | { ")
	plain := *st
	plain.input = nil
	r.statement(&plain)
	r.separate()
	if len(rest.items) > 0 {
		r.b.WriteString("{ ")
		r.list(rest)
		r.separate()
		r.b.WriteString("} <&" + keptInput)
		r.separate()
	}
	r.b.WriteString("}")
	r.separate()
	r.b.WriteString("} " + keptInput + "<&0")
}
