package wire

import (
	"strings"
	"testing"
)

// watch gives a live renderer each piece of output and returns what a reader has on
// the screen: parts go on, all else ends a line.
func watch(t testing.TB, pieces ...string) string {
	t.Helper()
	r := &Renderer{Live: true}
	var b strings.Builder
	emit := func(kind string, cells [][]byte) {
		for _, c := range cells {
			b.Write(c)
		}
		if kind != "part" {
			b.WriteByte('\n')
		}
	}
	for _, p := range pieces {
		r.Render(1, Append(nil, Output, []byte(p)), emit)
	}
	return b.String()
}

func TestALiveViewShowsOutputAsItComes(t *testing.T) {
	for name, c := range map[string]struct {
		pieces []string
		want   string
	}{
		"a prompt has no line end":     {[]string{"$ "}, "$ "},
		"echo, key by key":             {[]string{"$ ", "l", "s", "\r\n", "a\r\nb\r\n$ "}, "$ ls\na\nb\n$ "},
		"colours and a title":          {[]string{"\x1b]0;title\x07\x1b[01;32muser@web1\x1b[00m:~$ "}, "user@web1:~$ "},
		"a sequence over pieces":       {[]string{"a\x1b", "[3", "1mb\x1b]0;x", "y\x1b", "\\c"}, "abc"},
		"bracketed paste, keypad, set": {[]string{"\x1b[?2004h\x1b=\x1b(Bx\x07"}, "x"},
		"a line that begins again":     {[]string{"10%\r20%\r\n"}, "10%\n20%\n"},
		"a character over pieces":      {[]string{"gr\xc3", "\xbc\xc3\x9fe \xf0\x9f", "\x9a\x80"}, "gr\u00fc\u00dfe \U0001F680"},
		"bytes that are no character":  {[]string{"a\xff", "b"}, "a\xffb"},
	} {
		if got := watch(t, c.pieces...); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// TestNoSequenceHidesWhatComesAfterIt: programs decide what a terminal shows, and must
// not blind the person who watches.
func TestNoSequenceHidesWhatComesAfterIt(t *testing.T) {
	for _, begin := range []string{"\x1b", "\x1b[", "\x1b]0;", "\x1bP", "\x1b_", "\x1bX", "\x1b(", "\x1b[1;", "\x1b]\x1b", "\x1b]\x1b\x1b"} {
		if got := watch(t, begin, "\nrm -rf /srv\r\n"); !strings.Contains(got, "rm -rf /srv\n") {
			t.Errorf("%q: a line after it is %q", begin, got)
		}
		if got := watch(t, begin+strings.Repeat("0", maxSequence)+"rm -rf /srv"); !strings.Contains(got, "rm -rf /srv") && begin != "\x1b[" {
			t.Errorf("%q: text after it is %q", begin, got)
		}
	}
}

func TestALiveViewShowsLinesOfInputAndNoKeys(t *testing.T) {
	r := &Renderer{Live: true}
	var lines []string
	emit := func(text string) { lines = append(lines, text) }
	r.RenderInput(1, Append(nil, Input, []byte("s")), emit)
	r.RenderInput(1, Append(nil, Input, []byte("ecret\r")), emit)
	if lines != nil {
		t.Errorf("keys of a terminal are shown: %q", lines)
	}
	r = &Renderer{Live: true}
	r.RenderInput(1, Append(nil, Input, []byte("one\ntw")), emit)
	r.RenderInput(1, Append(Append(nil, Input, []byte("o\n")), EOF, nil), emit)
	if got := strings.Join(lines, "|"); got != "one|two|[end of input]" {
		t.Errorf("%q", got)
	}
}

// FuzzLive gives output in any pieces: the text is the same as in one piece, and what
// is kept is bounded.
func FuzzLive(f *testing.F) {
	f.Add("a\x1b[31mb\r\nc\x1b]0;t\x07d", uint8(3))
	f.Add("\x1b\x1b[\x18\xc3\xbc\r\r\nx", uint8(1))
	f.Fuzz(func(t *testing.T, text string, size uint8) {
		whole := watch(t, text)
		var pieces []string
		for n := int(size) + 1; len(text) > n; text = text[n:] {
			pieces = append(pieces, text[:n])
		}
		if got := watch(t, append(pieces, text)...); got != whole {
			t.Errorf("in pieces %q, in one %q", got, whole)
		}
	})
}
