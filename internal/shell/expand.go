package shell

import (
	"slices"
	"strconv"
	"strings"

	"mvdan.cc/sh/v3/syntax"

	"github.com/sallyport-gateway/sallyport/internal/hostpath"
)

// piece is a part of a word while it is read.
type piece struct {
	text   string
	quoted bool
	// home: $HOME, or an unquoted tilde at the beginning.
	home bool
	// name of a variable whose value is one of several.
	name  string
	value *word
	// run-time text.
	part *part
	num  bool
	// many: it becomes several words even in quotes.
	many bool
}

// word reads a word as the shell would expand it; braces and unquoted values may
// make several words of it, or none.
func (a *analysis) word(w *syntax.Word, s *state) []word {
	if a.words++; a.words > maxWords {
		if a.words == maxWords+1 {
			a.fail("command line", "it has too many words", "")
		}
		return nil
	}
	if a.dialect == POSIX {
		return a.expand(a.pieces(w.Parts, s, false), s, true)
	}
	var words []word
	// The parser's tree is walked again later, and does not know brace nodes.
	w = &syntax.Word{Parts: slices.Clone(w.Parts)}
	syntax.SplitBraces(w)
	for _, parts := range a.braces(w.Parts) {
		words = append(words, a.expand(a.pieces(parts, s, false), s, true)...)
	}
	return words
}

// plain reads a word that is neither split nor expanded: the value of an
// assignment, the target of a redirection, the subject of case.
func (a *analysis) plain(w *syntax.Word, s *state) word {
	if w == nil {
		return lit("")
	}
	before := a.whole
	a.whole = true
	pieces := a.pieces(w.Parts, s, false)
	a.whole = before
	words := a.expand(pieces, s, false)
	if len(words) != 1 {
		return lit("")
	}
	return words[0]
}

// pieces reads the parts of a word.
func (a *analysis) pieces(parts []syntax.WordPart, s *state, quoted bool) []piece {
	var all []piece
	for i, p := range parts {
		switch x := p.(type) {
		case *syntax.Lit:
			all = append(all, a.literal(x.Value, quoted, i == 0 && !quoted)...)
		case *syntax.SglQuoted:
			text := x.Value
			if x.Dollar {
				var ok bool
				if text, ok = ansi(text); !ok {
					a.fail("$'...'", "an escape in it is not understood", "")
				}
			}
			all = append(all, piece{text: text, quoted: true})
		case *syntax.DblQuoted:
			if x.Dollar {
				a.fail(`$"..."`, "it is translated when it runs", `use "..."`)
			}
			all = append(all, piece{quoted: true})
			all = append(all, a.pieces(x.Parts, s, true)...)
		case *syntax.ParamExp:
			all = append(all, a.parameter(x, s, quoted)...)
		case *syntax.CmdSubst:
			all = append(all, a.substitution(x, s, quoted))
		case *syntax.ArithmExp:
			all = append(all, a.arithmetic(x, s, quoted))
		case *syntax.ProcSubst:
			all = append(all, a.process(x, s))
		case *syntax.ExtGlob:
			a.fail(x.Op.String(), "extended patterns are not understood", "use *, ? and [...]")
		default:
			a.fail("word", "a part of it is not understood", "")
		}
	}
	return all
}

// literal reads unquoted or double-quoted text, in which a backslash quotes
// (POSIX.1-2024, shell command language, sections 2.2.1 and 2.2.3).
func (a *analysis) literal(text string, quoted, first bool) []piece {
	var all []piece
	if first && strings.HasPrefix(text, "~") {
		end := strings.IndexByte(text, '/')
		if end < 0 {
			end = len(text)
		}
		if end > 1 {
			a.fail(text[:end], "home directories of others are known only to the host", "write the path")
		}
		all = append(all, piece{home: true})
		text = text[end:]
	}
	var b strings.Builder
	flush := func() {
		if b.Len() > 0 {
			all = append(all, piece{text: b.String(), quoted: quoted})
			b.Reset()
		}
	}
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' || i+1 == len(text) || quoted && !strings.ContainsRune("$`\"\\\n", rune(text[i+1])) {
			b.WriteByte(text[i])
			continue
		}
		i++
		if text[i] == '\n' {
			continue
		}
		if quoted {
			b.WriteByte(text[i])
			continue
		}
		flush()
		// A quoted character may be the first byte of several.
		end := i + 1
		for end < len(text) && text[end]&0xc0 == 0x80 {
			end++
		}
		all = append(all, piece{text: text[i:end], quoted: true})
		i = end - 1
	}
	flush()
	return all
}

// ansi undoes the escapes of $'...' (bash manual, ANSI-C quoting); the result
// must be text without control characters but newline and tab.
func ansi(s string) (string, bool) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			b.WriteByte(s[i])
			continue
		}
		if i++; i == len(s) {
			return "", false
		}
		switch c := s[i]; c {
		case 'n':
			b.WriteByte('\n')
		case 't':
			b.WriteByte('\t')
		case '\\', '\'', '"', '?':
			b.WriteByte(c)
		case 'x':
			end := i + 1
			for end < len(s) && end < i+3 && strings.IndexByte("0123456789abcdefABCDEF", s[end]) >= 0 {
				end++
			}
			n, err := strconv.ParseUint(s[i+1:end], 16, 8)
			if err != nil || n < ' ' || n >= 0x7f {
				return "", false
			}
			b.WriteByte(byte(n))
			i = end - 1
		case '0', '1', '2', '3', '4', '5', '6', '7':
			end := i
			for end < len(s) && end < i+3 && s[end] >= '0' && s[end] <= '7' {
				end++
			}
			n, err := strconv.ParseUint(s[i:end], 8, 8)
			if err != nil || n < ' ' || n >= 0x7f {
				return "", false
			}
			b.WriteByte(byte(n))
			i = end - 1
		default:
			return "", false
		}
	}
	return b.String(), true
}

// expand makes words of pieces. With fields, unquoted values are split and
// patterns expanded.
func (a *analysis) expand(pieces []piece, s *state, fields bool) []word {
	for _, p := range pieces {
		if p.part != nil && p.part.process != nil && len(pieces) == 1 {
			return []word{{form: dynamic, parts: []part{{text: p.part.text}}, process: p.part.process}}
		}
	}
	for i := range pieces {
		if pieces[i].value != nil {
			return a.choose(pieces, i, s, fields)
		}
	}
	for i := range pieces {
		if pieces[i].part != nil {
			return []word{a.dynamic(pieces, fields)}
		}
	}
	return a.known(pieces, s, fields)
}

// choose makes the word whose i-th piece is one of several values.
func (a *analysis) choose(pieces []piece, i int, s *state, fields bool) []word {
	w := word{form: each, feed: pieces[i].value.feed}
	if w.feed != nil {
		if len(meaningful(pieces)) > 1 {
			known := slices.Clone(pieces)
			if known[i].value = nil; known[i].part == nil {
				known[i].part = &part{text: "${" + pieces[i].name + "}", expansion: true, quoted: pieces[i].quoted}
			}
			return a.expand(known, s, fields)
		}
		pieces = slices.Clone(pieces)
		if fields && !pieces[i].quoted {
			w.feed.end() // one word is meant, and one is sent
			pieces[i].quoted = true
			if pieces[i].part != nil {
				whole := *pieces[i].part
				whole.quoted = true
				pieces[i].part = &whole
			}
		}
	}
	for _, alternative := range pieces[i].value.alternatives {
		if a.work++; a.work > maxWork {
			if a.work == maxWork+1 {
				a.fail("for", "it has too many values to follow", "")
			}
			return []word{a.dynamic(pieces, fields)}
		}
		rest := append([]piece{}, pieces...)
		var with []piece
		sole := len(meaningful(pieces)) == 1
		if alternative.below {
			// A name below this place: by itself, and one word whatever is in it.
			if !sole {
				return []word{a.dynamic(pieces, fields)}
			}
			pieces[i].quoted = true
			w.alternatives = append(w.alternatives, alternative)
			continue
		}
		switch alternative.form {
		case static:
			if fields && !pieces[i].quoted && (alternative.text == "" || strings.ContainsAny(alternative.text, " \t\n*?[\\")) {
				return []word{a.dynamic(pieces, fields)}
			}
			with = []piece{{text: alternative.text, quoted: true}}
		case homely:
			with = []piece{{home: true}, {text: alternative.text, quoted: true}}
		case pattern:
			if !sole { // what is not there below a name has no place, and is a path all the same
				return []word{a.dynamic(pieces, fields)}
			}
			alternative.asked = nil
			w.alternatives = append(w.alternatives, alternative)
			continue
		default:
			return []word{a.dynamic(pieces, fields)}
		}
		name := pieces[i].name
		var out []piece
		for j := range rest {
			if j == i || rest[j].name == name && name != "" {
				out = append(out, with...)
				continue
			}
			out = append(out, rest[j])
		}
		for _, made := range a.expand(out, s, fields) {
			if made.form == each {
				w.alternatives = append(w.alternatives, made.alternatives...)
				continue
			}
			if made.form == dynamic {
				return []word{a.dynamic(pieces, fields)}
			}
			w.alternatives = append(w.alternatives, made)
		}
	}
	if len(w.alternatives) == 0 || len(w.alternatives) > maxAlternatives {
		return []word{a.dynamic(pieces, fields)}
	}
	w.parts = a.dynamic(pieces, false).parts
	w.spaced = fields && !pieces[i].quoted
	return []word{w}
}

// meaningful are the pieces that add text.
func meaningful(pieces []piece) []piece {
	var all []piece
	for _, p := range pieces {
		if p.text != "" || p.home || p.value != nil || p.part != nil {
			all = append(all, p)
		}
	}
	return all
}

// dynamic makes the word that only the run knows.
func (a *analysis) dynamic(pieces []piece, fields bool) word {
	w := word{form: dynamic}
	all := meaningful(pieces)
	for _, p := range all {
		switch {
		case p.part != nil:
			w.parts = append(w.parts, *p.part)
			w.many = w.many || p.many
			w.split = w.split || fields && !p.part.quoted || p.many
		case p.value != nil:
			quoted := p.quoted || !fields
			w.parts = append(w.parts, part{text: "${" + p.name + "}", expansion: true, quoted: quoted})
			w.split = w.split || !quoted
		case p.home:
			w.parts = append(w.parts, part{text: "${HOME}", expansion: true, quoted: true})
		case len(w.parts) > 0 && !w.parts[len(w.parts)-1].expansion && w.parts[len(w.parts)-1].body == nil:
			w.parts[len(w.parts)-1].text += p.text
		default:
			w.parts = append(w.parts, part{text: p.text})
		}
		w.number = len(all) == 1 && p.num
	}
	w.split = w.split && !w.number // a number is one word
	a.split = a.split || w.split
	return w
}

// known makes words of text that is known.
func (a *analysis) known(pieces []piece, s *state, fields bool) []word {
	var text, glob strings.Builder
	home, special, empty := false, false, true
	for _, p := range pieces {
		if p.home {
			if text.Len() > 0 {
				// $HOME in the middle: data at best.
				return []word{a.dynamic(pieces, fields)}
			}
			home = true
			continue
		}
		empty = empty && !p.quoted && p.text == ""
		text.WriteString(p.text)
		if p.quoted || !fields || s.noglob {
			glob.WriteString(hostpath.Pattern(p.text))
			continue
		}
		special = special || strings.ContainsAny(p.text, "*?[")
		glob.WriteString(p.text)
	}
	t := text.String()
	if home && t != "" && t[0] != '/' {
		return []word{a.dynamic(pieces, fields)}
	}
	switch {
	case special && isPattern(glob.String()):
		g := glob.String()
		if home {
			g = strings.TrimPrefix(g, "/")
		}
		if a.dialect == Zsh && strings.ContainsAny(t, "(){}<>|#^") {
			a.fail(t, "zsh's own patterns are not understood", "use *, ? and [...]")
		}
		if strings.Contains(g, `\`) {
			a.fail(t, "a pattern with a backslash", "")
		}
		return []word{{form: pattern, text: t, glob: g, home: home}}
	case home:
		return []word{{form: homely, text: t}}
	case t == "" && fields && empty:
		return nil
	}
	return []word{lit(t)}
}

// isPattern reports whether a text has what expands: a star, a question mark, or
// a bracket that closes.
func isPattern(s string) bool {
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '*', '?':
			return true
		case '[':
			// hostpath.Pattern writes a literal character as [c].
			if i+2 < len(s) && s[i+2] == ']' && strings.IndexByte("*?[", s[i+1]) >= 0 {
				i += 2
				continue
			}
			if strings.IndexByte(s[i+1:], ']') > 0 {
				return true
			}
		}
	}
	return false
}
