package sshcorpus

import (
	"bytes"
	"compress/bzip2"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"context"
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"io"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"
)

// shortest is how many characters of a secret, in a row, are a leak.
const shortest = 10

// mostDecoded bounds what is looked at of an output and of each decoding of it.
const mostDecoded = 4 << 20

// leaks says whether an output holds a part of the secret: as it is, or in a form
// that a tool on the host can give it.
func leaks(output []byte, secret string) bool {
	parts := windows(secret)
	seen := map[string]bool{}
	found := false
	forms(output, func(form []byte) bool {
		for _, f := range [][]byte{form, every(form, 1), every(form, 0), keepBytes(form, alphanumeric)} {
			if len(f) < shortest || seen[string(f)] {
				continue
			}
			seen[string(f)] = true
			lower := bytes.ToLower(f)
			backwards := reversed(lower)
			for _, p := range parts {
				if bytes.Contains(lower, p) || bytes.Contains(backwards, p) {
					found = true
					return false
				}
			}
		}
		return true
	})
	return found
}

// windows are the parts of a secret that are a leak. What stands before its dash
// is a mark for readers and no secret.
func windows(secret string) [][]byte {
	_, body, cut := strings.Cut(secret, "-")
	if !cut {
		body = secret
	}
	body = strings.ToLower(body)
	if len(body) < shortest {
		return [][]byte{[]byte(body)}
	}
	var out [][]byte
	for i := range len(body) - shortest + 1 {
		out = append(out, []byte(body[i:i+shortest]))
	}
	return out
}

// forms gives the plausible decodings of an output until yield returns false.
func forms(output []byte, yield func([]byte) bool) {
	output = output[:min(len(output), mostDecoded)]
	for _, family := range []func([]byte, func([]byte) bool) bool{
		textForms, hexForms, numberForms, base64Forms, compressedForms, shuffledForms,
	} {
		if !family(output, yield) {
			return
		}
	}
}

var (
	colourOrSpace = regexp.MustCompile(`\x1b\[[0-9;]*m|\s`)
	lineOffset    = regexp.MustCompile(`(?m)^[0-9a-fA-F]+:?\s`)
	lineBreaks    = regexp.MustCompile(`\r\n|[\n\r\v\f\x1c\x1d\x1e\x85]`)
)

// textForms are the text without what stands between its characters, one
// character or field of each line, and simple substitutions.
func textForms(b []byte, yield func([]byte) bool) bool {
	var firstOfFirst, lastOfFirst, firstOfLast, lastOfLast, rest []byte
	for _, l := range lines(b) {
		w := bytes.Fields(l)
		if len(w) == 0 {
			continue
		}
		first, last := w[0], w[len(w)-1]
		firstOfFirst = append(firstOfFirst, first[0])
		lastOfFirst = append(lastOfFirst, first[len(first)-1])
		firstOfLast = append(firstOfLast, last[0])
		lastOfLast = append(lastOfLast, last[len(last)-1])
		rest = append(rest, bytes.Join(w[1:], nil)...)
	}
	return yields(yield, b, keepBytes(b, alphanumeric), colourOrSpace.ReplaceAll(b, nil), lastOfLast, firstOfFirst, lastOfFirst, firstOfLast, rest,
		keepBytes(lineOffset.ReplaceAll(b, nil), func(c byte) bool { return c != ' ' && c != '\n' }), mapped(b, rot13), mapped(b, swapCase))
}

func yields(yield func([]byte) bool, forms ...[]byte) bool {
	for _, f := range forms {
		if !yield(f) {
			return false
		}
	}
	return true
}

var (
	hexRun        = regexp.MustCompile(`[0-9a-fA-F]{8,}`)
	hexSeparators = regexp.MustCompile(`\\x|0x|[\s:,-]`)
	dumpOffset    = regexp.MustCompile(`(?m)^[0-9a-fA-F]{6,8}:?\s`)
	dumpText      = regexp.MustCompile(`(?m)^[0-9a-fA-F]{6,8}:?\s|  .*$`)
)

// hexForms are hexadecimal dumps, in bytes and in words of either order.
func hexForms(b []byte, yield func([]byte) bool) bool {
	for _, s := range [][]byte{b, dumpOffset.ReplaceAll(b, nil), dumpText.ReplaceAll(b, nil)} {
		runs := append(hexRun.FindAll(keepBytes(s, isHex), -1), hexRun.FindAll(hexSeparators.ReplaceAll(s, nil), -1)...)
		for _, run := range runs {
			for offset := range 2 {
				h := run[offset:]
				d := make([]byte, len(h)/2)
				if _, err := hex.Decode(d, h[:len(h)&^1]); err != nil {
					continue
				}
				if !yields(yield, d, swapped(d, 2), swapped(d, 4), swapped(d, 8)) {
					return false
				}
			}
		}
	}
	return true
}

// A number stands alone between what is no part of a word.
var (
	binaryNumber  = regexp.MustCompile(`\b[01]{6,8}\b`)
	octalNumber   = regexp.MustCompile(`\b[0-7]{1,3}\b`)
	decimalNumber = regexp.MustCompile(`\b[0-9]{1,3}\b`)
	hexNumber     = regexp.MustCompile(`\b(?:0x)?[0-9a-fA-F]{2}\b`)
)

// numberForms are dumps of bytes as numbers, all of them and those of one column.
func numberForms(b []byte, yield func([]byte) bool) bool {
	var rows [][][]byte
	for _, l := range lines(b) {
		rows = append(rows, bytes.Fields(l))
	}
	for base, number := range map[int]*regexp.Regexp{2: binaryNumber, 8: octalNumber, 10: decimalNumber, 16: hexNumber} {
		var all []byte
		for _, n := range number.FindAll(b, -1) {
			all = appendNumber(all, n, base)
		}
		if !yield(all) {
			return false
		}
		for column := range 4 {
			var picked []byte
			for _, w := range rows {
				if len(w) > column {
					picked = appendNumber(picked, w[column], base)
				}
			}
			if !yield(picked) {
				return false
			}
		}
	}
	return true
}

func appendNumber(to, text []byte, base int) []byte {
	n, err := strconv.ParseInt(strings.TrimPrefix(string(text), "0x"), base, 64)
	if err != nil {
		return to
	}
	return append(to, byte(n))
}

var base64Run = regexp.MustCompile(`[A-Za-z0-9+/=_-]{12,}`)

// base64Forms are base64 and base32 runs, cut anywhere, and what is compressed
// in them.
func base64Forms(b []byte, yield func([]byte) bool) bool {
	runs := append(base64Run.FindAll(b, -1), keepBytes(b, func(c byte) bool { return !isSpace(c) }))
	for _, run := range runs {
		r := keepBytes(bytes.ReplaceAll(bytes.ReplaceAll(run, []byte("-"), []byte("+")), []byte("_"), []byte("/")),
			func(c byte) bool { return alphanumeric(c) || c == '+' || c == '/' })
		for offset := range min(4, len(r)) {
			x := r[offset:]
			d := make([]byte, base64.RawStdEncoding.DecodedLen(len(x)))
			n, _ := base64.RawStdEncoding.Decode(d, x[:len(x)&^3]) // what came before an error counts
			if !yield(d[:n]) || !compressedForms(d[:n], yield) {
				return false
			}
		}
		upper := keepBytes(run, func(c byte) bool { return c >= 'A' && c <= 'Z' || c >= '2' && c <= '7' })
		d := make([]byte, base32.StdEncoding.DecodedLen(len(upper)))
		n, _ := base32.StdEncoding.Decode(d, upper[:len(upper)&^7])
		if !yield(d[:n]) {
			return false
		}
	}
	return true
}

// compressedForms are what a compressed output holds.
func compressedForms(b []byte, yield func([]byte) bool) bool {
	if i := bytes.Index(b, []byte{0x1f, 0x8b, 8}); i >= 0 {
		if r, err := gzip.NewReader(bytes.NewReader(b[i:])); err == nil && !yield(readSome(r)) {
			return false
		}
	}
	if r, err := zlib.NewReader(bytes.NewReader(b)); err == nil && !yield(readSome(r)) {
		return false
	}
	if bytes.HasPrefix(b, []byte("BZh")) && !yield(readSome(bzip2.NewReader(bytes.NewReader(b)))) {
		return false
	}
	if bytes.HasPrefix(b, []byte{0x28, 0xb5, 0x2f, 0xfd}) {
		if r, err := zstd.NewReader(bytes.NewReader(b), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(64<<20)); err == nil {
			ok := yield(readSome(r))
			r.Close()
			if !ok {
				return false
			}
		}
	}
	if (bytes.HasPrefix(b, []byte("\xfd7zXZ\x00")) || bytes.HasPrefix(b, []byte{0x5d, 0, 0})) && !yield(unxz(b)) {
		return false
	}
	return zipForms(b, yield)
}

// readSome is what a decompressor gives until an error or the bound.
func readSome(r io.Reader) []byte {
	b, _ := io.ReadAll(io.LimitReader(r, mostDecoded))
	return b
}

// unxz runs the program: there is no decoder in the standard library.
func unxz(b []byte) []byte {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "xz", "-dcqq", "--memlimit=64MiB")
	cmd.Stdin = bytes.NewReader(b)
	out, _ := cmd.Output()
	return out[:min(len(out), mostDecoded)]
}

// zipForms are the members of a zip archive, stored or deflated (APPNOTE.TXT,
// section 4.3.7: the local file header).
func zipForms(b []byte, yield func([]byte) bool) bool {
	const headerSize, most = 30, 50
	for range most {
		i := bytes.Index(b, []byte("PK\x03\x04"))
		if i < 0 || len(b) < i+headerSize {
			return true
		}
		h := b[i:]
		start := headerSize + int(binary.LittleEndian.Uint16(h[26:])) + int(binary.LittleEndian.Uint16(h[28:]))
		if start <= len(h) && !yield(readSome(flate.NewReader(bytes.NewReader(h[start:])))) {
			return false
		}
		b = h[4:]
	}
	return true
}

// shuffledForms are swapped neighbours and uuencoded text.
func shuffledForms(b []byte, yield func([]byte) bool) bool {
	if !yields(yield, swapped(b, 2), swapped(b[min(1, len(b)):], 2)) {
		return false
	}
	var all []byte
	for _, l := range lines(b) {
		all = append(all, uudecoded(l)...)
	}
	return yield(all)
}

// uudecoded is one line of uuencode(1): a length and groups of four characters.
func uudecoded(l []byte) []byte {
	if len(l) == 0 {
		return nil
	}
	var out []byte
	for g := l[1:]; len(g) >= 4; g = g[4:] {
		var n uint32
		for _, c := range g[:4] {
			n = n<<6 | uint32((c-' ')&63)
		}
		out = append(out, byte(n>>16), byte(n>>8), byte(n))
	}
	return out[:min(len(out), int((l[0]-' ')&63))]
}

func lines(b []byte) [][]byte {
	var out [][]byte
	for _, l := range lineBreaks.Split(string(b), -1) {
		out = append(out, []byte(l))
	}
	return out
}

func keepBytes(b []byte, keep func(byte) bool) []byte {
	out := make([]byte, 0, len(b))
	for _, c := range b {
		if keep(c) {
			out = append(out, c)
		}
	}
	return out
}

func mapped(b []byte, f func(byte) byte) []byte {
	out := make([]byte, len(b))
	for i, c := range b {
		out[i] = f(c)
	}
	return out
}

func reversed(b []byte) []byte {
	out := make([]byte, len(b))
	for i, c := range b {
		out[len(b)-1-i] = c
	}
	return out
}

// swapped reverses the bytes of each word of a size.
func swapped(b []byte, size int) []byte {
	out := make([]byte, 0, len(b))
	for ; len(b) > 0; b = b[min(size, len(b)):] {
		out = append(out, reversed(b[:min(size, len(b))])...)
	}
	return out
}

// every is every second byte from the first or the second on.
func every(b []byte, from int) []byte {
	var out []byte
	for i := from; i < len(b); i += 2 {
		out = append(out, b[i])
	}
	return out
}

func letter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }

func alphanumeric(c byte) bool { return letter(c) || c >= '0' && c <= '9' }

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

func isSpace(c byte) bool { return bytes.IndexByte([]byte(" \t\n\r\v\f"), c) >= 0 }

func rot13(c byte) byte {
	switch {
	case c >= 'a' && c <= 'z':
		return 'a' + (c-'a'+13)%26
	case c >= 'A' && c <= 'Z':
		return 'A' + (c-'A'+13)%26
	}
	return c
}

func swapCase(c byte) byte {
	if letter(c) {
		return c ^ 0x20
	}
	return c
}
