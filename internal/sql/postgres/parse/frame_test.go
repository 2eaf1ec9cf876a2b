package parse

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/iotest"
)

func TestResponsesAreReadInAnyPieces(t *testing.T) {
	frame := appendErrorResponse(nil, 7, "syntax error")
	for _, r := range []io.Reader{bytes.NewReader(frame), iotest.OneByteReader(bytes.NewReader(frame)), iotest.DataErrReader(bytes.NewReader(frame))} {
		kind, payload, err := readResponse(r, make([]byte, responseHeader), 100)
		if err != nil || kind != responseError {
			t.Fatalf("kind %d, %v", kind, err)
		}
		if e, err := errorResponse(payload); err != nil || e.Message != "syntax error" || e.Position != 7 {
			t.Errorf("%+v, %v", e, err)
		}
	}
}

func TestBadResponsesAreRefused(t *testing.T) {
	frame := appendResponse(nil, responseTree, []byte("tree"))
	for _, c := range []struct {
		frame []byte
		want  error
	}{
		{frame[:3], io.EOF}, {frame[:7], io.EOF}, {append(frame, 0), errFrame},
		{[]byte{2, 0xff, 0xff, 0xff, 0xff}, ErrTooLarge},
	} {
		if _, _, err := readResponse(bytes.NewReader(c.frame), make([]byte, 64), 100); !errors.Is(err, c.want) {
			t.Errorf("%v: %v, want %v", c.frame, err, c.want)
		}
	}
}

func FuzzReadResponse(f *testing.F) {
	f.Add(appendResponse(nil, responseTree, []byte{8, 1}))
	f.Add(appendErrorResponse(nil, 1, "x"))
	f.Add(appendResponse(nil, responseReady, nil))
	f.Fuzz(func(t *testing.T, data []byte) {
		kind, payload, err := readResponse(bytes.NewReader(data), make([]byte, 16), 1024)
		if err != nil {
			return
		}
		if len(payload) > 1024 || len(payload)+responseHeader > len(data) {
			t.Fatalf("%d bytes of %d", len(payload), len(data))
		}
		switch kind {
		case responseTree:
			if tree, err := decode(payload, "select 1"); err == nil && tree == nil {
				t.Fatal("no tree and no error")
			}
		case responseError:
			_, _ = errorResponse(payload)
		}
	})
}
