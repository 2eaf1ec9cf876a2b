package postgres

import (
	"fmt"
	"strings"

	"github.com/sallyport-gateway/sallyport/internal/gate"
	"github.com/sallyport-gateway/sallyport/internal/sql/postgres/lex"
)

// Inspection is what was found of one text. It is valid until its Buffer is
// used again.
type Inspection struct {
	// Shape is shared with other texts.
	Shape    *Shape
	tokens   *lex.Tokens
	analysed *analysed
}

// Text returns the canonical text without masks. It is for a reader and for
// digests; [Inspection.AppendSQL] is what is sent.
func (i *Inspection) Text() string { return i.tokens.Canonical() }

// AppendSQL appends the text to send: the canonical text with every labelled
// value masked at its source. The error is an *Error for the agent: what column
// or object, why, and what would work.
func (i *Inspection) AppendSQL(dst []byte, masks gate.Masks) ([]byte, error) {
	a := i.analysed
	masked := a.in.labels.masked(a.labels, masks)
	if masked == 0 && !a.always {
		return i.tokens.AppendCanonical(dst), nil
	}
	if err := a.refused(masked, masks); err != nil {
		return dst, err
	}
	t, err := a.template(i.tokens, masks)
	if err != nil {
		return dst, fmt.Errorf("rewrite: %w", err)
	}
	return t.Append(dst, i.tokens)
}

// AppendParameters appends the text that AppendSQL makes with parameters in place of
// Shape.Parameters.
func (i *Inspection) AppendParameters(dst []byte, masks gate.Masks) ([]byte, error) {
	a := i.analysed
	if a.in.labels.masked(a.labels, masks) == 0 && !a.always {
		return i.tokens.AppendParameters(dst, i.Shape.Parameters), nil
	}
	t, err := a.template(i.tokens, masks)
	if err != nil {
		return dst, fmt.Errorf("rewrite: %w", err)
	}
	return t.AppendParameters(dst, i.tokens, i.Shape.Parameters)
}

// AppendParameter appends the value of Shape.Parameters[n], in text form.
func (i *Inspection) AppendParameter(dst []byte, n int) []byte {
	return i.tokens.AppendValue(dst, int(i.tokens.Literals()[i.Shape.Parameters[n]]))
}

// Notice returns what the agent should be told of the text that AppendSQL makes
// with these masks, or nothing.
func (i *Inspection) Notice(masks gate.Masks) string {
	if i.analysed.in.labels.masked(i.analysed.costly, masks) == 0 {
		return ""
	}
	return "EXPLAIN shows no costs here: they are estimated from columns that are masked for this session"
}

// refused words the first use that cannot be masked.
func (a *analysed) refused(masked labelSet, masks gate.Masks) error {
	var tokens labelSet
	for i, l := range a.in.labels.names {
		if masked&(1<<i) == 0 {
			continue
		}
		if masks.For(l) == MaskToken {
			tokens |= 1 << i
		}
		if _, known := MaskLeaks(masks.For(l)); !known {
			return &Error{SQLSTATE: "42501", Message: fmt.Sprintf("label %s has the mask %q, which this protocol does not have", l, masks.For(l))}
		}
	}
	for _, r := range a.refusals {
		l := r.labels & masked
		if r.equal {
			l &^= tokens
		}
		if l != 0 {
			return r.error(strings.Join(a.in.labels.list(l), ", "))
		}
	}
	return nil
}

// error words a refusal: what, why, and what would work.
func (r *refusal) error(labels string) *Error {
	e := &Error{SQLSTATE: "42501", Hint: sentence(r.hint)}
	if strings.HasPrefix(r.use, "in ") || strings.HasPrefix(r.use, "as ") {
		e.Message = fmt.Sprintf("%s is masked and cannot be used %s", r.what, r.use)
		e.Detail = fmt.Sprintf("It carries the label %s.", labels)
		return e
	}
	e.Message = r.what + " " + r.use
	e.Detail = fmt.Sprintf("Columns with the label %s are masked for this session.", labels)
	return e
}

func sentence(s string) string {
	if s == "" {
		return ""
	}
	return strings.ToUpper(s[:1]) + s[1:] + "."
}

// lexEdits turns edits into those of the lexer, for one choice of masks.
func (in *Inspector) lexEdits(edits []edit, masks gate.Masks) []lex.Edit {
	var out []lex.Edit
	for _, e := range edits {
		if !e.always && in.labels.masked(e.labels, masks) == 0 {
			continue
		}
		var pieces []lex.Piece
		var b strings.Builder
		for _, p := range e.pieces {
			b.WriteString(p.text)
			b.WriteString(in.shownOrder(p.order, masks))
			for i, c := range p.columns {
				if i > 0 {
					b.WriteString(", ")
				}
				in.maskedColumn(&b, c, p.scope, masks)
			}
		}
		if b.Len() > 0 {
			pieces = append(pieces, lex.Text(b.String()))
		}
		out = append(out, lex.Edit{From: e.from, To: e.to, Pieces: pieces})
	}
	return out
}

func (in *Inspector) maskedColumn(b *strings.Builder, c maskedColumn, scope string, masks gate.Masks) {
	mask := gate.MaskPlain
	if c.whole != 0 {
		mask = in.labels.maskFor(c.whole, masks)
	}
	shown := in.labels.masked(c.labels, masks) == 0
	if !shown && c.shown != nil {
		fmt.Fprintf(b, "CASE WHEN %s%s %s THEN %s%s END", scope, quoteIdent(c.shown.column), c.shown.condition, scope, quoteIdent(c.column.name))
	} else if shown || mask != gate.MaskPlain || !in.partsSQL(b, c, scope, masks) {
		if !shown && mask == gate.MaskPlain {
			mask = gate.MaskRedact
		}
		in.columnSQL(b, c, scope, mask)
	}
	if !shown && c.as != "-" {
		b.WriteString(" AS " + quoteIdent(c.column.name))
	}
}

// SourcePosition maps a position in the text that AppendSQL made with these
// masks to one in the agent's text, both counted in characters from 1, for field
// P of an ErrorResponse. It returns 0 for inserted text.
func (i *Inspection) SourcePosition(position int, masks gate.Masks) int {
	if i.analysed.in.labels.masked(i.analysed.labels, masks) == 0 && !i.analysed.always {
		return i.tokens.SourcePosition(position)
	}
	t, err := i.analysed.template(i.tokens, masks)
	if err != nil {
		return 0
	}
	return t.SourcePosition(i.tokens, position)
}
