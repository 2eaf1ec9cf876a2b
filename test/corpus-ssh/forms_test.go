package sshcorpus

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

const (
	secret = "CANARY-Zq7f3a91c2e5d84b60Xw"
	body   = "Zq7f3a91c2e5d84b60Xw"
)

func TestDetectorsSeeASecretInEveryForm(t *testing.T) {
	each := func(format string, from string) string {
		var b strings.Builder
		for i := range len(from) {
			fmt.Fprintf(&b, format, from[i])
		}
		return b.String()
	}
	packed := func(f func(*bytes.Buffer)) string {
		var b bytes.Buffer
		f(&b)
		return b.String()
	}
	zipped := packed(func(b *bytes.Buffer) {
		b.WriteString("PK\x03\x04")
		b.Write(make([]byte, 22))
		b.Write(binary.LittleEndian.AppendUint16(nil, 5)) // the name's length
		b.Write([]byte{0, 0})
		b.WriteString("a.txt")
		w, _ := flate.NewWriter(b, 9)
		_, _ = w.Write([]byte(secret))
		_ = w.Close()
	})
	gzipped := packed(func(b *bytes.Buffer) { w := gzip.NewWriter(b); _, _ = w.Write([]byte(secret)); _ = w.Close() })
	for name, output := range map[string]string{
		"as it is":             "x " + secret + " y",
		"ten characters of it": "…" + body[4:14] + "…",
		"other case":           strings.ToUpper(secret),
		"backwards":            string(reversed([]byte(secret))),
		"one a line":           each("%c\n", body),
		"one a line, numbered": each("  7\t%c\n", body),
		"with blanks":          each("%c ", body),
		"coloured":             each("\x1b[31m%c\x1b[0m", body),
		"every second":         each("%c.", body),
		"od -c":                "0000000" + each("   %c", body[:16]) + "\n0000020" + each("   %c", body[16:]) + "\n",
		"rot13":                string(mapped([]byte(secret), rot13)),
		"hexadecimal":          hex.EncodeToString([]byte(secret)),
		"hexdump -C":           "00000000  " + each("%02x ", body) + " |Zq|\n",
		"od -x, swapped words": hex.EncodeToString(swapped([]byte(secret+"\n"), 2)),
		"octal":                each(" %03o", body),
		"decimal":              each("%d ", body),
		"cmp -l":               each("  1 %o  12\n", body),
		"binary":               each("%08b ", body),
		"base64":               base64.StdEncoding.EncodeToString([]byte(secret)),
		"base64, wrapped":      each("%c", base64.StdEncoding.EncodeToString([]byte(secret)))[:17] + "\n" + base64.StdEncoding.EncodeToString([]byte(secret))[17:],
		"base64, shifted":      "/" + base64.StdEncoding.EncodeToString([]byte(secret)),
		"base64 for URLs":      base64.URLEncoding.EncodeToString([]byte("??>" + secret)),
		"base64 of gzip":       base64.StdEncoding.EncodeToString([]byte(gzipped)),
		"base32":               base32.StdEncoding.EncodeToString([]byte(secret + "12345")),
		"gzip":                 gzipped,
		"gzip in a stream":     "header" + gzipped,
		"zlib":                 packed(func(b *bytes.Buffer) { w := zlib.NewWriter(b); _, _ = w.Write([]byte(secret)); _ = w.Close() }),
		"zstd":                 packed(func(b *bytes.Buffer) { w, _ := zstd.NewWriter(b); _, _ = w.Write([]byte(secret)); _ = w.Close() }),
		"xz":                   program(t, "xz", "-c"),
		"bzip2":                program(t, "bzip2", "-c"),
		"zip":                  zipped,
		"swapped neighbours":   string(swapped([]byte(secret+"."), 2)),
		"uuencoded":            "begin 644 x\n;0T%.05)9+5IQ-V8S83DQ8S)E-60X-&(V,%AW\n`\nend\n",
	} {
		if !leaks([]byte(output), secret) {
			t.Errorf("not seen: %s: %q", name, output)
		}
	}
}

// program packs the secret with a real program.
func program(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Stdin = strings.NewReader(secret)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return string(out)
}

func TestDetectorsDoNotSeeASecretWhereThereIsNone(t *testing.T) {
	for _, output := range []string{
		"", "CANARY", "CANARY-", body[:9], "-rw------- 1 shx shx 28 May  4 12:00 /home/shx/secret/token.txt\n",
		"sallyport: refused: /home/shx/secret/token.txt is labelled", strings.Repeat("0123456789abcdef", 1000),
	} {
		if leaks([]byte(output), secret) {
			t.Errorf("seen in %.100q", output)
		}
	}
}
