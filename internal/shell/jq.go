package shell

import (
	"errors"
	"slices"
	"strings"
)

// jqRefused are the words of jq's language that reach beyond its input (jq
// manual): modules are files, and $__prog_args names files.
var jqRefused = set("import include modulemeta get_search_list input_filename getpath_file $__prog_args $__prog_name")

// jqSafe reports why a filter may do more than compute; nil if it cannot. jq has
// no function that runs a command or opens a file but for modules, so a scan of
// its words outside of strings is enough; within strings, interpolation is a
// filter again, so words are looked for there too.
func jqSafe(filter string) error {
	for i := 0; i < len(filter); {
		c := filter[i]
		if !isNameRune(rune(c)) && c != '$' {
			i++
			continue
		}
		from := i
		for i++; i < len(filter) && (isNameRune(rune(filter[i])) || filter[i] == ':'); i++ {
		}
		if word := filter[from:i]; jqRefused[strings.Trim(word, ":")] || strings.HasPrefix(word, "$__prog") {
			if from > 0 && filter[from-1] == '.' {
				continue // a field's name
			}
			return errors.New(word + " reaches beyond the input")
		}
	}
	return nil
}

// jq understands jq's filter and files.
func (c *call) jq(p *Program, from int) {
	// --arg and its like take two values; --args makes operands data.
	var pairs [][2]int
	words := c.args
	var plain []word
	// data is where --args stands: the operands behind it are data, those before it
	// files.
	data, ended := -1, false
	for i := from; i < len(words); i++ {
		w := &words[i]
		switch {
		case ended:
		case w.is("--"):
			ended = true
		case w.is("--indent"):
			// Its value may look like one of the options below.
			if i+1 >= len(words) || words[i+1].form != static || !digitsOnly(words[i+1].text) {
				c.fail("--indent", "its value is no number", "")
				return
			}
			plain = append(plain, *w, words[i+1])
			i++
			continue
		}
		if !ended && w.form == static && (w.text == "--arg" || w.text == "--argjson" || w.text == "--slurpfile" || w.text == "--rawfile") {
			if i+2 >= len(words) {
				c.fail(w.text, "its values are missing", "")
				return
			}
			kind := Text
			if w.text == "--slurpfile" || w.text == "--rawfile" {
				kind = Read
			}
			if !c.use(Text, &words[i+1], nil, w.text, true) || !c.use(kind, &words[i+2], nil, w.text, true) {
				return
			}
			pairs = append(pairs, [2]int{i, i + 2})
			i += 2
			continue
		}
		if !ended && data < 0 && (w.is("--args") || w.is("--jsonargs")) {
			data = len(plain)
		}
		plain = append(plain, *w)
	}
	inner := &call{a: c.a, s: c.s, name: c.name, typed: c.typed, args: plain}
	in, ok := inner.parse(p, 0)
	if !ok {
		return
	}
	c.effect(0)
	if len(in.operands) == 0 {
		if len(in.given) == 0 {
			inner.fail("", "the filter is missing", "")
		}
		return
	}
	filter := &inner.args[in.operands[0]]
	filters := []word{*filter}
	if filter.form == each && !filter.spaced {
		filters = filter.alternatives
	}
	for i := range filters {
		if !inner.constant(&filters[i], nil, "the filter") {
			return
		}
		if err := jqSafe(filters[i].text); err != nil {
			inner.fail("filter", err.Error(), "")
			return
		}
	}
	if filter.form != each {
		*filter = filters[0]
	}
	own := word{form: homely, text: "/.jq"}
	inner.use(Read, &own, nil, "", true)
	in.modes = append(in.modes, "none")
	in.operands = slices.DeleteFunc(in.operands[1:], func(i int) bool {
		return data >= 0 && i > data && inner.text(&inner.args[i], "")
	})
	inner.operands(p, in)
	c.put(words, pairs, inner.args, from)
}

// put writes back words that were understood apart from pairs of values.
func (c *call) put(words []word, pairs [][2]int, changed []word, from int) {
	n := 0
	for i := from; i < len(words); i++ {
		if len(pairs) > 0 && i == pairs[0][0] {
			i = pairs[0][1]
			pairs = pairs[1:]
			continue
		}
		words[i] = changed[n]
		n++
	}
	c.args = words
}
