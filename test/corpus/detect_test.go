package corpus

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// dataRow is a DataRow of the values; nil is NULL.
func dataRow(values ...[]byte) frame {
	b := uint16s(len(values))
	for _, v := range values {
		n := uint32(len(v))
		if v == nil {
			n = 1<<32 - 1
		}
		b = append(binary.BigEndian.AppendUint32(b, n), v...)
	}
	return frame{'D', b}
}

func rows(values ...string) []frame {
	var out []frame
	for _, v := range values {
		out = append(out, dataRow([]byte(v)))
	}
	return out
}

func TestCorpusDetectorsSeeEveryForm(t *testing.T) {
	const ssn, mail, card = "078-05-1120", "alice.archer@secretmail.example", "4111111111111111"
	sum := sha256.Sum256([]byte(card))
	each := func(s, format string) string {
		var b strings.Builder
		for i := range len(s) {
			fmt.Fprintf(&b, format, s[i])
		}
		return b.String()
	}
	var codes, letters []string
	for _, c := range ssn {
		codes, letters = append(codes, fmt.Sprint(int(c))), append(letters, string(c))
	}
	for name, got := range map[string][]frame{
		"literal":        {{'N', []byte("SNOTICE\x00Mthe card is " + card + "\x00\x00")}},
		"reversed":       rows(backwards(ssn)),
		"hex":            rows(`\x` + strings.ToUpper(hex.EncodeToString([]byte(ssn)))),
		"base64":         rows("before " + base64.StdEncoding.EncodeToString([]byte("ab"+mail+"cd"))),
		"charcodes":      rows(codes...),
		"url":            rows(strings.ReplaceAll(mail, "@", "%40")),
		"xmlent":         rows(each(ssn, "&#%d;")),
		"bits":           rows(each(ssn, "%08b")),
		"octal":          rows(each(ssn, `\%03o`)),
		"hash":           rows(hex.EncodeToString(sum[:])),
		"utf16":          rows(each(card, "\x00%c")),
		"split":          rows(letters...),
		"split-reversed": rows(strings.Split(backwards(card), "")...),
	} {
		if hits := detect(got); !slices.Contains(hits, name) {
			t.Errorf("%s: found %v", name, hits)
		}
	}
}

func TestCorpusDetectorsLetOrdinaryAnswersPass(t *testing.T) {
	got := append(rows("Alice Archer", "2026-01-05", "1200.50", "078", "***", "411 1111"), frame{'C', []byte("SELECT 6\x00")},
		frame{'T', []byte("\x00\x00")}, dataRow(nil, nil))
	if hits := detect(got); len(hits) > 0 {
		t.Errorf("found %v", hits)
	}
}

func TestCorpusCharCodesAreWholeNumbers(t *testing.T) {
	for text, want := range map[string]string{
		"48 55 56": "078", "48,055": "07", "1": "", "1234": "", "48.5 x48.": "", "999": "?", ".48": "", "48x55": "07",
	} {
		if got := charCodes(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestCorpusTranslatedSecretsAreFound(t *testing.T) {
	if !translated("ahi-af-bbca", "abcdefghij", "0123456789") {
		t.Error("digits written as letters are not found")
	}
	if translated("zzz-zz-zzzz", "abcdefghij", "0123456789") {
		t.Error("found where there is nothing")
	}
}
