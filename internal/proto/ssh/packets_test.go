package ssh

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/sallyport-gateway/sallyport/internal/proto/ssh/wire"
)

// sftpPacket is a packet with n bytes behind its length.
func sftpPacket(n int, fill byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(n)), bytes.Repeat([]byte{fill}, n)...)
}

// sent collects the payloads of frames.
type sent struct {
	t      *testing.T
	frames [][]byte
}

func (s *sent) send(frame []byte) error {
	f, rest, err := wire.Next(frame)
	if err != nil || len(rest) > 0 || f.Kind != wire.Input {
		s.t.Errorf("a frame of kind %q, %d bytes behind it, %v", f.Kind, len(rest), err)
	}
	s.frames = append(s.frames, bytes.Clone(f.Payload))
	return nil
}

func TestWholePacketsGoTogetherAndHalfOnesNever(t *testing.T) {
	s := &sent{t: t}
	p := &packets{kind: wire.Input, send: s.send}
	write := func(b []byte) {
		t.Helper()
		if _, err := p.Write(b); err != nil {
			t.Fatal(err)
		}
	}
	flush := func(want ...int) {
		t.Helper()
		if err := p.Flush(); err != nil {
			t.Fatal(err)
		}
		if len(s.frames) != len(want) {
			t.Fatalf("%d frames, want %d", len(s.frames), len(want))
		}
		for i, n := range want {
			if len(s.frames[i]) != n {
				t.Errorf("a frame of %d bytes, want %d", len(s.frames[i]), n)
			}
		}
		s.frames = nil
	}
	flush() // nothing
	one := sftpPacket(100, 'a')
	write(one)
	write(one[:60])
	flush(104)
	write(one[60:103])
	flush() // half a packet waits
	write(one[103:])
	flush(104)
	var all []byte
	for i := range 5 { // more than a bundle
		all = append(all, sftpPacket(32<<10, byte(i))...)
	}
	for rest := all; len(rest) > 0; {
		n := min(len(rest), 1000)
		write(rest[:n])
		rest = rest[n:]
	}
	flush(4*(32<<10+4), 32<<10+4)
	// Two that are too long for one frame.
	write(sftpPacket(100<<10, 'b'))
	write(sftpPacket(250<<10, 'c'))
	flush(100<<10+4, 250<<10+4)
	if _, err := p.Write(sftpPacket(wire.MaxPayload, 'd')); !errors.Is(err, wire.ErrFrame) {
		t.Errorf("a packet longer than a frame: %v", err)
	}
}

func TestAFrameThatCannotBeSentIsAnError(t *testing.T) {
	broken := errors.New("broken")
	p := &packets{kind: wire.Input, send: func([]byte) error { return broken }}
	if _, err := p.Write(sftpPacket(10, 'x')); err != nil {
		t.Fatal(err)
	}
	if err := p.Flush(); !errors.Is(err, broken) {
		t.Error(err)
	}
	if _, err := p.Write(sftpPacket(bundle, 'x')); !errors.Is(err, broken) {
		t.Error(err)
	}
}
