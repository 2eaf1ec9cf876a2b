package mask

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"
)

// action is what a detector's matches become. The zero value redacts.
type action uint8

const (
	actRedact action = iota
	actLast4
	actEmail
	actNull
	actPlain
)

// Rules say which mask applies to what each detector finds. They are immutable
// and shared by all streams, from any number of goroutines. The zero value
// redacts whatever any detector finds.
type Rules struct {
	actions [detectorCount]action
	buffers sync.Pool // of *buffer
}

// Compile makes rules of a map from labels to masks. A label is the name of a
// detector or of a group; a detector's own name goes before its group's. What no
// label names is shown as it is: the caller decides what the default is. A label
// that names no detector, and a mask that does not suit one, are errors.
func Compile(masks map[string]string) (*Rules, error) {
	r := &Rules{}
	for d := range r.actions {
		r.actions[d] = actPlain
	}
	labels := slices.SortedFunc(maps.Keys(masks), func(a, b string) int {
		// Groups first, so that single detectors have the last word. A group of
		// one has its detector's name.
		return groupFirst(a) - groupFirst(b)
	})
	for _, label := range labels {
		detectors := named(label)
		if len(detectors) == 0 {
			return nil, fmt.Errorf("mask %q: no such detector; there are the groups %s, and %s",
				label, strings.Join(Groups(), ", "), strings.Join(Names(), ", "))
		}
		act, ok := parseAction(masks[label])
		if !ok || !slices.Contains(Masks(label), masks[label]) {
			return nil, fmt.Errorf("mask %q: %q does not suit it; these do: %s",
				label, masks[label], strings.Join(Masks(label), ", "))
		}
		for _, d := range detectors {
			r.actions[d] = act
		}
	}
	return r, nil
}

func groupFirst(label string) int {
	if label == groupSecrets || label == groupNational {
		return 0
	}
	return 1
}

func parseAction(mask string) (action, bool) {
	switch mask {
	case Redact:
		return actRedact, true
	case Last4:
		return actLast4, true
	case Email:
		return actEmail, true
	case Null:
		return actNull, true
	case Plain:
		return actPlain, true
	}
	return 0, false
}

// on reports whether a detector's matches are masked at all.
func (r *Rules) on(d detector) bool { return d != none && r.actions[d] != actPlain }

// write appends the mask of a value.
func (r *Rules) write(dst []byte, d detector, value []byte) []byte {
	switch r.actions[d] {
	case actNull:
		return dst
	case actLast4:
		return appendLast4(append(dst, "****"...), value)
	case actEmail:
		return appendEmail(dst, value)
	}
	dst = append(dst, "[redacted:"...)
	dst = append(dst, detectors[d].name...)
	return append(dst, ']')
}

// appendLast4 appends the last four letters or digits, if there are at least
// eight: fewer would show half of the value.
func appendLast4(dst, value []byte) []byte {
	total := 0
	from := len(value)
	for k := len(value) - 1; k >= 0; k-- {
		if class[value[k]]&isAlnum != 0 {
			if total++; total <= 4 {
				from = k
			}
		}
	}
	if total < 8 {
		return dst
	}
	for _, c := range value[from:] {
		if class[c]&isAlnum != 0 {
			dst = append(dst, c)
		}
	}
	return dst
}

// appendEmail appends the first character of an address and its domain.
func appendEmail(dst, value []byte) []byte {
	at := len(value) - 1
	for at > 0 && value[at] != '@' {
		at--
	}
	_, first := utf8.DecodeRune(value)
	if first < at {
		dst = append(dst, value[:first]...)
	}
	dst = append(dst, "***"...)
	return append(dst, value[at:]...)
}
