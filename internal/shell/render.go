package shell

import (
	"strconv"
	"strings"

	"github.com/sallyport-gateway/sallyport/internal/hostpath"
)

// delimiter ends here-documents; a document with such a line gets a longer one.
const delimiter = "SALLYPORT_END"

// renderer writes a line from its nodes.
type renderer struct {
	b       strings.Builder
	plan    *Plan
	answers []hostpath.Answer
	// pending are here-documents whose text follows the next newline.
	pending []pendingHere
	failed  string
}

type pendingHere struct {
	text, delimiter string
}

// line is the whole text.
func (r *renderer) line(body *list) string {
	noglob := body.noglob()
	if r.plan.a.split || noglob {
		// Unquoted text that only the run knows must not be taken for patterns:
		// the names that it would match were never asked for.
		r.b.WriteString("set -f; ")
	}
	if noglob {
		body = &list{items: body.items[1:]}
	}
	head := r.b.String()
	r.list(body)
	if text := strings.TrimPrefix(r.b.String(), head); len(body.items) > 1 && strings.Contains(text, "\n") {
		// After an error of arithmetic bash gives up the command and goes on with the
		// next line. As one command all of it is given up.
		r.b.Reset()
		r.b.WriteString(head + "{ " + text)
		r.separate()
		r.b.WriteByte('}')
	}
	r.flush()
	return strings.TrimSuffix(r.b.String(), "\n")
}

// noglob reports whether a list begins with set -f.
func (l *list) noglob() bool {
	if len(l.items) < 2 || l.items[0].not || len(l.items[0].redirs) > 0 || l.items[0].input != nil {
		return false
	}
	first, is := l.items[0].node.(*simple)
	return is && len(first.assigns) == 0 && len(first.words) == 2 && first.words[0].is("set") && first.words[1].is("-f")
}

// list writes statements with separators between them.
func (r *renderer) list(l *list) {
	for i, st := range l.items {
		if i > 0 {
			r.separate()
		}
		if st.input != nil {
			r.fed(st, &list{items: l.items[i+1:]})
			return
		}
		r.statement(st)
	}
}

// separate ends a statement: with a newline where a here-document waits.
func (r *renderer) separate() {
	if !r.flush() {
		r.b.WriteString("; ")
	}
}

// flush writes the texts of the here-documents that wait.
func (r *renderer) flush() bool {
	if len(r.pending) == 0 {
		return false
	}
	r.b.WriteByte('\n')
	for _, h := range r.pending {
		r.b.WriteString(h.text + h.delimiter + "\n")
	}
	r.pending = nil
	return true
}

func (r *renderer) statement(st *statement) {
	if st.not {
		r.b.WriteString("! ")
	}
	if len(st.processes) > 0 {
		r.processed(st)
		return
	}
	length := r.b.Len()
	if st.node != nil {
		st.node.render(r)
	}
	if r.b.Len() == length && len(st.redirs) == 0 {
		r.failed = "a part of the line is empty, and what stands next would take its place"
	}
	for i := range st.redirs {
		r.redirect(&st.redirs[i])
	}
}

func (r *renderer) redirect(d *redirect) {
	r.b.WriteString(" " + d.op)
	switch {
	case d.target != nil:
		r.words([]word{*d.target}, false)
	case d.here != nil:
		r.document(d.here)
	}
}

func (r *renderer) document(h *here) {
	text := h.body
	end := delimiter
	if !h.literal {
		inner := renderer{plan: r.plan, answers: r.answers}
		for _, p := range h.parts {
			inner.part(p, true)
		}
		text, r.failed = inner.b.String(), r.failed+inner.failed
	}
	for strings.Contains("\n"+text, "\n"+end+"\n") {
		end += "_"
	}
	if h.literal {
		r.b.WriteString("'" + end + "'")
	} else {
		r.b.WriteString(end)
	}
	r.pending = append(r.pending, pendingHere{text, end})
}

func (n *simple) render(r *renderer) {
	if n.block != nil {
		n.block.render(r)
		return
	}
	before, after := n.pin.around(r)
	r.b.WriteString(before)
	defer func() { r.b.WriteString(after) }()
	for i, as := range n.assigns {
		if i > 0 {
			r.b.WriteByte(' ')
		}
		r.b.WriteString(as.name + "=")
		if as.isArray {
			r.b.WriteByte('(')
			r.words(as.array, true)
			r.b.WriteByte(')')
			continue
		}
		r.words([]word{as.value}, false)
	}
	if len(n.words) > 0 && len(n.assigns) > 0 {
		r.b.WriteByte(' ')
	}
	r.words(n.words, true)
}

func (n *binary) render(r *renderer) {
	r.statement(n.x)
	r.b.WriteString(" " + n.op + " ")
	r.statement(n.y)
}

func (n *nested) render(r *renderer) {
	r.b.WriteString(n.open + " ")
	r.list(n.body)
	if n.open == "(" && len(r.pending) == 0 {
		r.b.WriteString(" " + n.end)
		return
	}
	r.separate()
	r.b.WriteString(n.end)
}

func (n *conditional) render(r *renderer) {
	for i, arm := range n.arms {
		word := "if "
		if i > 0 {
			word = "elif "
		}
		r.b.WriteString(word)
		r.list(arm.condition)
		r.separate()
		r.b.WriteString("then ")
		r.list(arm.body)
		r.separate()
	}
	if n.otherwise != nil {
		r.b.WriteString("else ")
		r.list(n.otherwise)
		r.separate()
	}
	r.b.WriteString("fi")
}

func (n *loop) render(r *renderer) {
	r.b.WriteString(n.keyword + " ")
	r.list(n.condition)
	r.separate()
	r.b.WriteString("do ")
	r.list(n.body)
	r.separate()
	r.b.WriteString("done")
}

func (n *every) render(r *renderer) {
	r.b.WriteString("for " + n.name + " in ")
	r.words(n.items, true)
	r.separate()
	r.b.WriteString("do ")
	r.list(n.body)
	r.separate()
	r.b.WriteString("done")
}

func (n *choice) render(r *renderer) {
	r.b.WriteString("case ")
	r.words([]word{n.subject}, false)
	r.b.WriteString(" in ")
	for _, arm := range n.arms {
		r.b.WriteString("(" + strings.Join(arm.patterns, " | ") + ") ")
		r.list(arm.body)
		if !r.flush() {
			r.b.WriteByte(' ')
		}
		r.b.WriteString(";; ")
	}
	r.b.WriteString("esac")
}

func (n *regular) render(r *renderer) {
	r.b.WriteString("[[ ")
	r.words([]word{n.left}, false)
	r.b.WriteString(" =~ " + n.expression + " ]]")
}

func (n *counting) render(r *renderer) { r.b.WriteString("((" + r.numbers(n.text) + "))") }

// numbers puts the numerals of an expression in their places.
func (r *renderer) numbers(text string) string {
	pieces := strings.Split(text, "\x01")
	for i := 1; i < len(pieces); i += 2 {
		n, _ := strconv.Atoi(pieces[i])
		inner := renderer{plan: r.plan, answers: r.answers}
		inner.part(r.plan.a.numerals[n], false)
		r.failed += inner.failed
		r.alone(inner.b.String())
		pieces[i] = "$(printf %d " + inner.b.String() + " 2>/dev/null || echo '(')"
	}
	return strings.Join(pieces, "")
}

func (n *counted) render(r *renderer) {
	r.b.WriteString("for ((" + r.numbers(n.head) + ")); do ")
	r.list(n.body)
	r.separate()
	r.b.WriteString("done")
}

func (n *timed) render(r *renderer) {
	r.b.WriteString("time ")
	if n.portable {
		r.b.WriteString("-p ")
	}
	r.statement(n.body)
}

// words writes words with blanks between them. With fields a pattern becomes its
// names.
func (r *renderer) words(words []word, fields bool) {
	for i := range words {
		if i > 0 {
			r.b.WriteByte(' ')
		}
		w := &words[i]
		switch {
		case w.form == pattern && fields && !w.unmatched && len(w.asked) > 0:
			names := r.names(w)
			for j, n := range names {
				if j > 0 {
					r.b.WriteByte(' ')
				}
				r.b.WriteString(forward(n))
			}
		case w.form == static, w.form == pattern:
			r.b.WriteString(forward(w.text))
		case w.form == homely:
			r.b.WriteString(`"$HOME"`)
			if w.text != "" {
				r.b.WriteString(forward(w.text))
			}
		case len(w.parts) == 0:
			r.b.WriteString("''")
		default:
			for _, p := range w.parts {
				r.part(p, false)
			}
		}
	}
}

// names are the names that a pattern matched; the pattern's own text if none.
func (r *renderer) names(w *word) []string {
	var found []string
	feasible := 0
	for _, i := range w.asked {
		if i >= len(r.answers) || r.answers[i].Infeasible {
			continue
		}
		var names []string
		for _, p := range r.answers[i].Places {
			names = append(names, p.Name)
		}
		if feasible++; feasible > 1 && !equal(found, names) {
			r.failed = "the directory in which a pattern is expanded is not known for sure"
		}
		found = names
	}
	if len(found) == 0 {
		return []string{w.text}
	}
	return found
}

func equal(a, b []string) bool { return strings.Join(a, "\x00") == strings.Join(b, "\x00") }

// part writes a piece of a word, or of a here-document.
func (r *renderer) part(p part, here bool) {
	quote := p.quoted && !here
	switch {
	case p.body != nil:
		if quote {
			r.b.WriteByte('"')
		}
		inner := renderer{plan: r.plan, answers: r.answers}
		inner.list(p.body)
		inner.flush()
		text := inner.b.String()
		r.failed += inner.failed
		r.alone(text)
		r.b.WriteString("$(")
		if strings.HasPrefix(text, "(") {
			r.b.WriteByte(' ') // $(( would be arithmetic
		}
		r.b.WriteString(text)
		r.b.WriteByte(')')
		if quote {
			r.b.WriteByte('"')
		}
	case p.expansion && quote:
		r.b.WriteString(`"` + r.numbers(p.text) + `"`)
	case p.expansion:
		r.b.WriteString(r.numbers(p.text))
	case here:
		r.b.WriteString(strings.NewReplacer(`\`, `\\`, "$", `\$`, "`", "\\`").Replace(p.text))
	default:
		r.b.WriteString(forward(p.text))
	}
}

// alone checks that no here-document waits for its text where a substitution has lines
// of its own: some shells take the first of them for the document.
func (r *renderer) alone(substitution string) {
	if len(r.pending) > 0 && strings.Contains(substitution, "\n") {
		r.failed = "a here-document before a substitution with lines of its own is not read alike by all shells"
	}
}

// flat is a simple command in one string, for the facts.
func (r *renderer) flat(words []word) string {
	inner := renderer{plan: r.plan, answers: r.answers}
	inner.words(words, true)
	return inner.b.String()
}
