package identity

import (
	"errors"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// maxJSONDepth bounds the nesting of a token's header and payload. The deepest
// thing a token legitimately holds is five nested act claims.
const maxJSONDepth = 16

// object is a decoded JSON object. Its values are string, number, bool, nil,
// []any or object.
type object map[string]any

// number is a JSON number as it was written.
type number string

var (
	errJSONSyntax    = errors.New("malformed JSON")
	errJSONDepth     = errors.New("JSON nested too deeply")
	errJSONText      = errors.New("JSON string that is not valid Unicode")
	errJSONDuplicate = errors.New("JSON object with two members of one name")
)

// parseObject reads exactly one JSON object (RFC 8259). Unlike encoding/json it
// refuses everything that two readers could understand differently: duplicate
// members, members whose names differ only in case, invalid UTF-8, unpaired
// surrogates. Errors never quote the input.
func parseObject(raw []byte, depth int) (object, error) {
	p := &jsonReader{in: raw, depth: depth}
	p.space()
	if p.peek() != '{' {
		return nil, errJSONSyntax
	}
	v, err := p.object()
	if err != nil {
		return nil, err
	}
	p.space()
	if p.pos != len(p.in) {
		return nil, errJSONSyntax
	}
	return v, nil
}

type jsonReader struct {
	in    []byte
	pos   int
	depth int // levels that may still be opened
}

// peek returns the next byte, or 0 at the end; 0 is valid nowhere.
func (p *jsonReader) peek() byte {
	if p.pos >= len(p.in) {
		return 0
	}
	return p.in[p.pos]
}

func (p *jsonReader) space() {
	for p.pos < len(p.in) {
		switch p.in[p.pos] {
		case ' ', '\t', '\n', '\r':
			p.pos++
		default:
			return
		}
	}
}

func (p *jsonReader) take(c byte) bool {
	if p.peek() != c {
		return false
	}
	p.pos++
	return true
}

func (p *jsonReader) word(w string) bool {
	if !strings.HasPrefix(string(p.in[p.pos:min(len(p.in), p.pos+len(w))]), w) {
		return false
	}
	p.pos += len(w)
	return true
}

func (p *jsonReader) value() (any, error) {
	p.space()
	switch c := p.peek(); {
	case c == '{':
		return p.object()
	case c == '[':
		return p.array()
	case c == '"':
		return p.string()
	case c == '-' || c >= '0' && c <= '9':
		return p.number()
	case p.word("true"):
		return true, nil
	case p.word("false"):
		return false, nil
	case p.word("null"):
		return nil, nil
	}
	return nil, errJSONSyntax
}

func (p *jsonReader) object() (object, error) {
	if p.depth == 0 {
		return nil, errJSONDepth
	}
	p.depth--
	p.pos++ // '{'
	o := object{}
	var odd map[string]struct{} // folded forms of names that are not their own folded form
	p.space()
	if p.take('}') {
		p.depth++
		return o, nil
	}
	for {
		p.space()
		if p.peek() != '"' {
			return nil, errJSONSyntax
		}
		name, err := p.string()
		if err != nil {
			return nil, err
		}
		folded := foldName(name)
		_, taken := o[folded]
		if _, also := odd[folded]; taken || also {
			return nil, errJSONDuplicate
		}
		if folded != name {
			if odd == nil {
				odd = map[string]struct{}{}
			}
			odd[folded] = struct{}{}
		}
		p.space()
		if !p.take(':') {
			return nil, errJSONSyntax
		}
		if o[name], err = p.value(); err != nil {
			return nil, err
		}
		p.space()
		if p.take('}') {
			p.depth++
			return o, nil
		}
		if !p.take(',') {
			return nil, errJSONSyntax
		}
	}
}

func (p *jsonReader) array() ([]any, error) {
	if p.depth == 0 {
		return nil, errJSONDepth
	}
	p.depth--
	p.pos++ // '['
	list := []any{}
	p.space()
	if p.take(']') {
		p.depth++
		return list, nil
	}
	for {
		v, err := p.value()
		if err != nil {
			return nil, err
		}
		list = append(list, v)
		p.space()
		if p.take(']') {
			p.depth++
			return list, nil
		}
		if !p.take(',') {
			return nil, errJSONSyntax
		}
	}
}

// number reads the grammar of RFC 8259, section 6.
func (p *jsonReader) number() (number, error) {
	start := p.pos
	p.take('-')
	if !p.take('0') && !p.digits() {
		return "", errJSONSyntax
	}
	if p.take('.') && !p.digits() {
		return "", errJSONSyntax
	}
	if p.take('e') || p.take('E') {
		if !p.take('+') {
			p.take('-')
		}
		if !p.digits() {
			return "", errJSONSyntax
		}
	}
	return number(p.in[start:p.pos]), nil
}

func (p *jsonReader) digits() bool {
	start := p.pos
	for c := p.peek(); c >= '0' && c <= '9'; c = p.peek() {
		p.pos++
	}
	return p.pos > start
}

func (p *jsonReader) string() (string, error) {
	p.pos++ // '"'
	start := p.pos
	for {
		switch c := p.peek(); {
		case c == '"':
			s := p.in[start:p.pos]
			p.pos++
			if !utf8.Valid(s) {
				return "", errJSONText
			}
			return string(s), nil
		case c == '\\':
			return p.escaped(start)
		case c < 0x20:
			return "", errJSONSyntax
		}
		p.pos++
	}
}

// escaped reads the rest of a string from its first backslash on.
func (p *jsonReader) escaped(start int) (string, error) {
	b := append([]byte(nil), p.in[start:p.pos]...)
	for {
		c := p.peek()
		switch {
		case c == '"':
			p.pos++
			if !utf8.Valid(b) {
				return "", errJSONText
			}
			return string(b), nil
		case c < 0x20:
			return "", errJSONSyntax
		case c != '\\':
			b = append(b, c)
			p.pos++
			continue
		}
		p.pos++
		r, err := p.escape()
		if err != nil {
			return "", err
		}
		b = utf8.AppendRune(b, r)
	}
}

// escape reads what follows a backslash (RFC 8259, section 7).
func (p *jsonReader) escape() (rune, error) {
	c := p.peek()
	p.pos++
	switch c {
	case '"', '\\', '/':
		return rune(c), nil
	case 'b':
		return '\b', nil
	case 'f':
		return '\f', nil
	case 'n':
		return '\n', nil
	case 'r':
		return '\r', nil
	case 't':
		return '\t', nil
	case 'u':
	default:
		return 0, errJSONSyntax
	}
	r, ok := p.hex4()
	if !ok {
		return 0, errJSONSyntax
	}
	if !utf16.IsSurrogate(r) {
		return r, nil
	}
	if !p.word(`\u`) {
		return 0, errJSONText
	}
	low, ok := p.hex4()
	if !ok {
		return 0, errJSONSyntax
	}
	if r = utf16.DecodeRune(r, low); r == unicode.ReplacementChar {
		return 0, errJSONText
	}
	return r, nil
}

func (p *jsonReader) hex4() (rune, bool) {
	if len(p.in)-p.pos < 4 {
		return 0, false
	}
	var r rune
	for _, c := range p.in[p.pos : p.pos+4] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	p.pos += 4
	return r, true
}

// foldName returns one representative of all names that encoding/json and other
// case-insensitive readers take for the same one. "ſub" (U+017F) is "sub" to them.
func foldName(s string) string {
	plain := true
	for i := 0; i < len(s); i++ {
		if c := s[i]; c >= utf8.RuneSelf || c >= 'A' && c <= 'Z' {
			plain = false
			break
		}
	}
	if plain {
		return s
	}
	return strings.Map(func(r rune) rune {
		least := r
		for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
			least = min(least, f)
		}
		return unicode.ToLower(least)
	}, s)
}

// text returns a scalar as text: a string as it is, an integer and a boolean as
// written. Anything else has no text that two readers agree on.
func text(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case bool:
		if v {
			return "true", true
		}
		return "false", true
	case number:
		return string(v), !strings.ContainsAny(string(v), ".eE") && v != "-0"
	}
	return "", false
}
