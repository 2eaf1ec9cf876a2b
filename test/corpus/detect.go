package corpus

import (
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"unicode/utf16"
)

// secrets are the values of the labelled columns, as schema.sql inserts them.
func secrets() []string {
	return []string{
		"alice.archer@secretmail.example", "bob.baker@secretmail.example", "carol.cole@secretmail.example",
		"dan.dorn@secretmail.example", "vera.vip@secretmail.example",
		"078-05-1120", "219-09-9999", "457-55-5462", "612-33-7781", "733-21-8846",
		"4111111111111111", "5500005555555559", "340000000000009", "6011000990139424", "3530111333300000",
	}
}

// seen is what a client got, in the forms in which detectors look at it.
type seen struct {
	raw      []byte // every body
	rawLower []byte
	text     string // every value and body that can carry data, one a line
	lower    string
	packed   string // text without white space
	codes    string // numbers of two or three digits, taken for characters
	tight    string // letters, digits, @ and . only, nothing between values
	pieces   string // the same of values of up to four bytes
}

// content is the values and bodies that can carry data.
func content(got []frame) [][]byte {
	var out [][]byte
	for _, f := range got {
		switch f.typ {
		case 'D':
			fields, _ := dataFields(f.body) // a malformed one is found by note
			for _, v := range fields {
				if v != nil {
					out = append(out, v)
				}
			}
		case 'V':
			out = append(out, f.body[min(4, len(f.body)):])
		case 'd', 'E', 'N', 'A', 'S', 'T', 'C':
			out = append(out, f.body)
		}
	}
	return out
}

// readable is the content as text, one value a line.
func readable(got []frame) string {
	var lines []string
	for _, v := range content(got) {
		lines = append(lines, lenient(v))
	}
	return strings.Join(lines, "\n")
}

func see(got []frame) *seen {
	s := &seen{text: readable(got)}
	var joined, pieces strings.Builder
	for _, v := range content(got) {
		joined.WriteString(lenient(v))
	}
	for _, f := range got {
		s.raw = append(s.raw, f.body...)
		if f.typ != 'D' {
			continue
		}
		fields, _ := dataFields(f.body)
		for _, v := range fields {
			if len(v) <= 4 {
				pieces.WriteString(lenient(v))
			}
		}
	}
	s.rawLower, s.lower = bytes.ToLower(s.raw), strings.ToLower(s.text)
	s.packed = strings.Join(strings.Fields(s.text), "")
	s.codes = charCodes(s.text)
	s.tight, s.pieces = keep(joined.String(), isAddress), keep(pieces.String(), isAddress)
	return s
}

// isAddress is what remains of a secret when separators are dropped.
func isAddress(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '@' || r == '.'
}

func keep(s string, want func(rune) bool) string {
	return strings.Map(func(r rune) rune {
		if want(r) {
			return r
		}
		return -1
	}, s)
}

// charCodes takes each number of two or three digits that is no part of a
// decimal for a character.
func charCodes(s string) string {
	var out strings.Builder
	for i := 0; i < len(s); {
		if s[i] < '0' || s[i] > '9' {
			i++
			continue
		}
		j, n := i, 0
		for ; j < len(s) && s[j] >= '0' && s[j] <= '9'; j++ {
			n = min(n*10+int(s[j]-'0'), 1000)
		}
		alone := (i == 0 || s[i-1] != '.') && (j == len(s) || s[j] != '.')
		if d := j - i; alone && (d == 2 || d == 3) {
			if n > 255 {
				n = '?'
			}
			out.WriteRune(rune(n))
		}
		i = j
	}
	return out.String()
}

// detect names the detectors that find a secret, sorted.
func detect(got []frame) []string {
	s, hits := see(got), map[string]bool{}
	for _, secret := range secrets() {
		for _, v := range []string{secret, strings.ReplaceAll(secret, "-", "")} {
			for name, found := range s.forms(v) {
				if found {
					hits[name] = true
				}
			}
		}
		bare := keep(secret, isAddress)
		hits["split"] = hits["split"] || strings.Contains(s.tight, bare) || strings.Contains(s.pieces, bare)
		bare = backwards(bare)
		hits["split-reversed"] = hits["split-reversed"] || strings.Contains(s.tight, bare) || strings.Contains(s.pieces, bare)
	}
	maps.DeleteFunc(hits, func(_ string, hit bool) bool { return !hit })
	return slices.Sorted(maps.Keys(hits))
}

// forms says in which forms a value is there.
func (s *seen) forms(v string) map[string]bool {
	lowerHex := func(b []byte) bool { return bytes.Contains(s.rawLower, []byte(hex.EncodeToString(b))) }
	escaped := func(format string) bool {
		var b strings.Builder
		for i := range len(v) {
			fmt.Fprintf(&b, format, v[i])
		}
		return strings.Contains(s.text, b.String())
	}
	quoted := strings.ReplaceAll(url.QueryEscape(v), "+", "%20")
	return map[string]bool{
		"literal":   bytes.Contains(s.raw, []byte(v)) || strings.Contains(s.text, v) || strings.Contains(s.lower, strings.ToLower(v)),
		"reversed":  bytes.Contains(s.raw, []byte(backwards(v))),
		"hex":       lowerHex([]byte(v)) || lowerHex([]byte(v[1:])),
		"base64":    s.base64(v),
		"charcodes": strings.Contains(s.codes, v),
		"url":       strings.Contains(quoted, "%") && strings.Contains(s.text, quoted),
		"xmlent":    escaped("&#%d;"),
		"bits":      escaped("%08b"),
		"octal":     escaped(`\%03o`),
		"hash":      s.hash(v),
		"utf16":     s.utf16(v),
	}
}

// base64 looks for the value at each of the three places that it can have in a
// group.
func (s *seen) base64(v string) bool {
	for k := range 3 {
		e := base64.StdEncoding.EncodeToString([]byte("xx"[:k] + v))
		if k > 0 {
			e = e[4:]
		}
		e = e[:max(0, len(e)/4-1)*4]
		if len(e) >= 8 && strings.Contains(s.packed, e) {
			return true
		}
	}
	return false
}

func (s *seen) hash(v string) bool {
	b := []byte(v)
	m, s1, s224, s256, s384, s512 := md5.Sum(b), sha1.Sum(b), sha256.Sum224(b), sha256.Sum256(b), sha512.Sum384(b), sha512.Sum512(b)
	for _, d := range [][]byte{m[:], s1[:], s224[:], s256[:], s384[:], s512[:]} {
		if bytes.Contains(s.raw, d) || bytes.Contains(s.rawLower, []byte(hex.EncodeToString(d))) {
			return true
		}
	}
	return false
}

func (s *seen) utf16(v string) bool {
	var little, big []byte
	for _, u := range utf16.Encode([]rune(v)) {
		little, big = append(little, byte(u), byte(u>>8)), append(big, byte(u>>8), byte(u))
	}
	return bytes.Contains(s.raw, little) || bytes.Contains(s.raw, big)
}

func backwards(s string) string {
	r := []rune(s)
	slices.Reverse(r)
	return string(r)
}
