package shell

import (
	"fmt"
	"strconv"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// braces expands {a,b} and {1..9}.
func (a *analysis) braces(parts []syntax.WordPart) [][]syntax.WordPart {
	// Braces next to each other multiply.
	if a.work++; a.work > maxWork {
		return a.tooManyBraces()
	}
	for i, p := range parts {
		b, is := p.(*syntax.BraceExp)
		if !is {
			continue
		}
		var all [][]syntax.WordPart
		add := func(middle []syntax.WordPart) {
			joined := append(append(append([]syntax.WordPart{}, parts[:i]...), middle...), parts[i+1:]...)
			all = append(all, a.braces(joined)...)
		}
		if b.Sequence {
			values, ok := sequence(b)
			if !ok {
				a.fail("{..}", "this sequence is not understood", "write the words out")
				return nil
			}
			for _, v := range values {
				if add([]syntax.WordPart{&syntax.Lit{Value: v}}); len(all) > maxBraces {
					return a.tooManyBraces()
				}
			}
			return all
		}
		for _, e := range b.Elems {
			if add(e.Parts); len(all) > maxBraces {
				return a.tooManyBraces()
			}
		}
		return all
	}
	return [][]syntax.WordPart{parts}
}

// tooManyBraces gives the line up: no further braces of it are tried.
func (a *analysis) tooManyBraces() [][]syntax.WordPart {
	if a.work = maxWork + 1; !a.multiplied {
		a.multiplied = true
		a.fail("{,}", "it makes too many words", "")
	}
	return nil
}

// sequence is the numbers of {1..9} or {1..9..2}.
func sequence(b *syntax.BraceExp) ([]string, bool) {
	var n [3]int
	n[2] = 1
	if len(b.Elems) < 2 || len(b.Elems) > 3 {
		return nil, false
	}
	if from, to := b.Elems[0].Lit(), b.Elems[1].Lit(); len(b.Elems) == 2 && len(from) == 1 && len(to) == 1 && from <= to && (from >= "a" && to <= "z" || from >= "A" && to <= "Z") {
		var letters []string
		for c := from[0]; c <= to[0]; c++ {
			letters = append(letters, string(rune(c)))
		}
		return letters, true
	}
	width := 0 // with leading zeros, all are as wide as the widest
	for i, e := range b.Elems {
		v := e.Lit()
		if !digits(strings.TrimLeft(v, "0")) && strings.Trim(v, "0") != "" || v == "" || len(v) > 9 {
			return nil, false
		}
		if i < 2 && len(v) > 1 && v[0] == '0' {
			width = max(len(b.Elems[0].Lit()), len(b.Elems[1].Lit()))
		}
		n[i], _ = strconv.Atoi(v)
	}
	if n[2] < 1 {
		return nil, false
	}
	var values []string
	for i := n[0]; i <= n[1]; i += n[2] {
		values = append(values, fmt.Sprintf("%0*d", width, i))
		if len(values) > 256 {
			return nil, false
		}
	}
	for i := n[0]; n[1] < n[0] && i >= n[1]; i -= n[2] {
		values = append(values, fmt.Sprintf("%0*d", width, i))
		if len(values) > 256 {
			return nil, false
		}
	}
	return values, len(values) > 0
}
