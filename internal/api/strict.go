package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"
)

// maxJSONDepth bounds the nesting of a body. Our deepest is 2.
const maxJSONDepth = 16

// strictJSON decodes like encoding/json, but refuses members that are repeated
// or differ only in case: encoding/json would let the last one win, and another
// reader of the same bytes another one.
func strictJSON(data []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if err := checkMembers(d, 0); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("more than one JSON value")
	}
	if err := json.Unmarshal(data, v); err != nil {
		var t *json.UnmarshalTypeError
		if errors.As(err, &t) {
			return fmt.Errorf("%s cannot be a %s", t.Field, t.Value)
		}
		return errors.New("not valid JSON")
	}
	return nil
}

// fold returns the first rune of those that encoding/json takes for the same in a
// member's name (ſ is an s there).
func fold(r rune) rune {
	first := r
	for next := unicode.SimpleFold(r); next != r; next = unicode.SimpleFold(next) {
		first = min(first, next)
	}
	return first
}

func checkMembers(d *json.Decoder, depth int) error {
	t, err := d.Token()
	if err != nil {
		return errors.New("not valid JSON")
	}
	open, ok := t.(json.Delim)
	if !ok {
		return nil
	}
	if depth >= maxJSONDepth {
		return errors.New("nested too deep")
	}
	seen := map[string]bool{}
	for d.More() {
		if open == '{' {
			name, err := d.Token()
			if err != nil {
				return errors.New("not valid JSON")
			}
			folded := strings.Map(fold, name.(string))
			if seen[folded] {
				return fmt.Errorf("member %q is repeated", folded)
			}
			seen[folded] = true
		}
		if err := checkMembers(d, depth+1); err != nil {
			return err
		}
	}
	if _, err := d.Token(); err != nil {
		return errors.New("not valid JSON")
	}
	return nil
}
