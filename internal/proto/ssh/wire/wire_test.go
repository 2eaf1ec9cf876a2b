package wire

import (
	"bytes"
	"testing"
)

func TestFramesComeBackAsTheyWent(t *testing.T) {
	b := AppendOpen(nil, "session", []byte("x"))
	b = AppendRequest(b, "exec", true, []byte("ls"))
	b = AppendReply(b, true)
	b = Append(b, Output, []byte("hello"))
	b = AppendExit(b, 77)
	b = AppendFailure(b, 1, "no")
	b = AppendOmitted(b, Output, 1<<40)
	b = Append(b, Close, nil)
	var kinds []Kind
	for len(b) > 0 {
		f, rest, err := Next(b)
		if err != nil {
			t.Fatal(err)
		}
		kinds = append(kinds, f.Kind)
		switch f.Kind {
		case Open:
			if name, data, err := DecodeOpen(f.Payload); err != nil || name != "session" || string(data) != "x" {
				t.Errorf("open: %q %q %v", name, data, err)
			}
		case Request:
			if _, _, _, err := DecodeRequest(f.Payload); err != nil {
				t.Error(err)
			}
		case Reply:
			if ok, err := DecodeReply(f.Payload); err != nil || !ok {
				t.Error("reply", ok, err)
			}
		case Failure:
			if reason, text, err := DecodeFailure(f.Payload); err != nil || reason != 1 || text != "no" {
				t.Error("failure", reason, text, err)
			}
		case Omitted:
			if k, n, err := DecodeOmitted(f.Payload); err != nil || k != Output || n != 1<<40 {
				t.Error("omitted", k, n, err)
			}
		}
		b = rest
	}
	if got, want := string(kinds2(kinds)), "OrRorF-C"; got != want {
		t.Errorf("kinds %s, want %s", got, want)
	}
}

func kinds2(k []Kind) (b []byte) {
	for _, k := range k {
		b = append(b, byte(k))
	}
	return b
}

func TestALengthBeyondTheBoundIsRefused(t *testing.T) {
	if _, _, err := Next([]byte{'o', 0xff, 0xff, 0xff, 0xff}); err != ErrFrame {
		t.Fatal(err)
	}
	if _, _, err := Next([]byte{'o', 0, 0, 0, 9, 1}); !Short(err) {
		t.Fatal(err)
	}
}

func TestReplayShowsLinesAcrossFrames(t *testing.T) {
	var r Renderer
	var got []string
	emit := func(kind string, cells [][]byte) { got = append(got, kind+":"+string(bytes.Join(cells, nil))) }
	b := Append(nil, Output, []byte("one\ntw"))
	b = Append(b, ErrorOutput, []byte("oops\n"))
	b = Append(b, Output, []byte("o\n"))
	b = AppendExit(Append(b, EOF, nil), 3)
	for i := range b { // byte by byte, as a recording may give it
		r.Render(1, b[i:i+1], emit)
	}
	want := []string{"text:one", "notice:oops", "text:two", "tag:exit status 3"}
	if len(got) != len(want) {
		t.Fatalf("got %q", got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("got %q, want %q", got[i], want[i])
		}
	}
}

func FuzzNext(f *testing.F) {
	f.Add(AppendRequest(AppendOpen(nil, "session", nil), "exec", true, []byte("ls")))
	f.Add(AppendFailure(AppendOmitted(AppendReply(nil, false), Input, 9), 2, "x"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var r Renderer
		r.Render(1, b, func(string, [][]byte) {})
		r.RenderInput(1, b, func(string) {})
		for len(b) > 0 {
			fr, rest, err := Next(b)
			if err != nil {
				return
			}
			if !bytes.Equal(Append(nil, fr.Kind, fr.Payload), b[:len(b)-len(rest)]) {
				t.Fatal("a frame does not encode to what it was decoded from")
			}
			_, _, _ = DecodeOpen(fr.Payload)
			_, _, _, _ = DecodeRequest(fr.Payload)
			_, _ = DecodeReply(fr.Payload)
			_, _, _ = DecodeFailure(fr.Payload)
			_, _, _ = DecodeOmitted(fr.Payload)
			b = rest
		}
	})
}
