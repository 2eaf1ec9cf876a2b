package lex

import (
	"errors"
	"fmt"
	"slices"
	"sort"
	"unicode/utf8"
)

// Edit replaces the tokens From up to, not including, To by the pieces. From
// equal to To inserts before From. Edits may nest: inside a piece made by
// [Span], the edits that lie in the span apply.
type Edit struct {
	From, To int
	Pieces   []Piece
}

// Piece is a part of a replacement.
type Piece struct {
	text     string
	original bool // not text, but the tokens from up to to
	from, to int
	before   int // text in front of this token, plus 1; 0 is text of its own
}

// Before is a piece of SQL text that belongs to the token that follows it: a
// position in it is that token's. It has the bounds of [Text].
func Before(sql string, token int) Piece { return Piece{text: sql, before: token + 1} }

// Text is a piece of SQL text. It must consist of whole tokens and hold no
// value that comes from the agent.
func Text(sql string) Piece { return Piece{text: sql} }

// Span is the original tokens from up to, not including, to, which must lie
// inside the edit.
func Span(from, to int) Piece { return Piece{original: true, from: from, to: to} }

// Template is a rewritten statement with slots for its literals. It is
// immutable and safe for concurrent use.
type Template struct {
	parts []part
	slots []Kind // what each literal of the shape must be
	bytes int
}

// part is text followed by a literal.
type part struct {
	text  string
	slot  int32 // index of the literal that follows, or -1
	marks []mark
}

// mark says that the text from an offset on is the original token, or inserted
// text if token is -1.
type mark struct{ offset, token int32 }

// ErrShape is returned by [Template.Append] for a text of another shape.
var ErrShape = errors.New("lex: the text does not have the template's shape")

// NewTemplate makes a template of a scanned text with the edits applied. It
// keeps no reference to t.
func NewTemplate(t *Tokens, edits []Edit) (*Template, error) {
	b := builder{t: t, edits: slices.Clone(edits), slotOf: make(map[int]int32, len(t.slots))}
	// The outer edit first; an insertion before what starts at the same token.
	slices.SortStableFunc(b.edits, func(x, y Edit) int {
		if x.From != y.From {
			return x.From - y.From
		}
		if (x.From == x.To) != (y.From == y.To) {
			if x.From == x.To {
				return -1
			}
			return 1
		}
		return y.To - x.To
	})
	if err := b.validate(); err != nil {
		return nil, err
	}
	for i, tok := range t.slots {
		b.slotOf[int(tok)] = int32(i)
		b.out.slots = append(b.out.slots, t.list[tok].Kind)
	}
	b.span(0, len(t.list), 0, len(b.edits))
	b.flush(-1)
	return &b.out, nil
}

// builder writes the parts of a template.
type builder struct {
	t      *Tokens
	edits  []Edit
	slotOf map[int]int32
	out    Template
	text   []byte
	marks  []mark
	last   int  // the token written last, or -1
	any    bool // something was written
	loose  bool // what was written last is a replacement
}

func (b *builder) validate() error {
	for i, e := range b.edits {
		if e.From < 0 || e.From > e.To || e.To > b.t.Len() {
			return fmt.Errorf("lex: edit of tokens %d to %d of %d", e.From, e.To, b.t.Len())
		}
		for _, p := range e.Pieces {
			if p.original && (p.from < e.From || p.from > p.to || p.to > e.To) {
				return fmt.Errorf("lex: span %d to %d outside its edit", p.from, p.to)
			}
		}
		for _, next := range b.edits[i+1:] {
			if next.From >= e.To {
				break
			}
			same := next.From == e.From && next.To == e.To && e.From != e.To
			if next.To > e.To || same {
				return fmt.Errorf("lex: the edits of tokens %d to %d and %d to %d overlap", e.From, e.To, next.From, next.To)
			}
		}
	}
	return nil
}

// span writes the tokens from up to to with the edits lo up to hi applied where
// they lie inside.
func (b *builder) span(from, to, lo, hi int) {
	i := from
	for e := lo; e < hi; e++ {
		edit := b.edits[e]
		if edit.From < i || edit.To > to {
			continue // in another span, or inside an edit that was done
		}
		b.tokens(i, edit.From)
		inner := e + 1
		for inner < hi && b.edits[inner].From < edit.To {
			inner++
		}
		b.replace(edit, e+1, inner)
		i = edit.To
		if edit.From != edit.To {
			e = inner - 1
		}
	}
	b.tokens(i, to)
}

func (b *builder) replace(e Edit, lo, hi int) {
	for _, p := range e.Pieces {
		if p.original {
			b.span(p.from, p.to, lo, hi)
			continue
		}
		b.separate()
		b.marks = append(b.marks, mark{int32(len(b.text)), int32(p.before) - 1})
		b.text = append(b.text, p.text...)
		b.last, b.any, b.loose = -1, true, true
	}
	b.loose = true
}

// separate puts a space before what comes next. A space is always safe.
func (b *builder) separate() {
	if b.any {
		b.text = append(b.text, ' ')
	}
}

func (b *builder) tokens(from, to int) {
	for i := from; i < to; i++ {
		if b.loose || b.last != i-1 {
			b.separate()
		} else if i > 0 {
			b.text = append(b.text, b.t.canon[b.t.list[i-1].CanonEnd:b.t.list[i].CanonStart]...)
		}
		b.last, b.any, b.loose = i, true, false
		if slot, ok := b.slotOf[i]; ok {
			b.flush(slot)
			continue
		}
		b.marks = append(b.marks, mark{int32(len(b.text)), int32(i)})
		b.text = append(b.text, b.t.Text(i)...)
	}
}

func (b *builder) flush(slot int32) {
	b.out.parts = append(b.out.parts, part{text: string(b.text), slot: slot, marks: slices.Clone(b.marks)})
	b.out.bytes += len(b.text)
	b.text, b.marks = b.text[:0], b.marks[:0]
}

// Append appends the text of the template with the literals of a text that has
// the same shape. It returns [ErrShape] if the literals cannot be the shape's.
func (p *Template) Append(dst []byte, literals *Tokens) ([]byte, error) {
	return p.AppendParameters(dst, literals, nil)
}

// AppendParameters is Append with parameters $1, $2 … in place of some of the literals,
// which are given by their numbers in the shape.
func (p *Template) AppendParameters(dst []byte, literals *Tokens, of []int32) ([]byte, error) {
	if err := p.check(literals); err != nil {
		return dst, err
	}
	for i := range p.parts {
		q := &p.parts[i]
		dst = append(dst, q.text...)
		if q.slot < 0 {
			continue
		}
		if n := slices.Index(of, q.slot); n >= 0 {
			dst = appendParameter(dst, n)
		} else {
			dst = append(dst, literals.Text(int(literals.slots[q.slot]))...)
		}
	}
	return dst, nil
}

func (p *Template) check(literals *Tokens) error {
	if len(literals.slots) != len(p.slots) {
		return ErrShape
	}
	for i, k := range p.slots {
		if literals.list[literals.slots[i]].Kind != k {
			return ErrShape
		}
	}
	return nil
}

// SourcePosition maps a position in what Append made of literals to one in the
// source of literals. Both count characters from 1. It returns 0 for inserted
// text and for what lies outside.
func (p *Template) SourcePosition(literals *Tokens, rendered int) int {
	if p.check(literals) != nil || rendered < 1 {
		return 0
	}
	left := rendered - 1
	for i := range p.parts {
		q := &p.parts[i]
		n := utf8.RuneCountInString(q.text)
		if left < n {
			at, _ := offsetOf([]byte(q.text), left+1)
			m := sort.Search(len(q.marks), func(j int) bool { return int(q.marks[j].offset) > at })
			if m == 0 || q.marks[m-1].token < 0 {
				return 0
			}
			return literals.position(int(q.marks[m-1].token))
		}
		left -= n
		if q.slot < 0 {
			continue
		}
		tok := int(literals.slots[q.slot])
		if n := utf8.RuneCount(literals.Text(tok)); left < n {
			return literals.position(tok)
		} else {
			left -= n
		}
	}
	return 0
}

// position is where a token starts in the source, in characters from 1.
func (t *Tokens) position(i int) int {
	if i >= len(t.list) {
		return 0
	}
	return utf8.RuneCountInString(t.src[:t.list[i].Start]) + 1
}
