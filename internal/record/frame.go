package record

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

// A frame is
//
//	length  uint32  of the body
//	crc     uint32  CRC-32C of the body
//	body    kind byte, sequence uvarint, time uvarint (µs since the start),
//	        command uvarint, payload
//
// with little-endian fixed numbers. Bit 7 of the kind says that the next frame
// goes on with the payload of the same event, bit 6 that this one does so.
const (
	frameHead = 8
	// maxPayload bounds a frame's payload, so that a reader needs a small
	// buffer for any recording.
	maxPayload = 60 << 10
	// maxBody is maxPayload and the longest kind, sequence, time and command.
	maxBody = maxPayload + 1 + 3*binary.MaxVarintLen64
	more    = 0x80
	cont    = 0x40
)

// Frame kinds beyond those of gate.EventKind, which end at 0x1f.
const (
	kindStart     = 0x20 // Start as JSON; the first frame of a recording
	kindRecovered = 0x21 // uvarint count and command numbers, outcome unknown
)

// castagnoli is a constant table; it is hardware-accelerated by crc32.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var (
	// errShort says that a frame or block goes on behind the bytes at hand.
	errShort = errors.New("incomplete")
	errFrame = errors.New("checksum does not match")
	// errNone says that there are zeros where a frame could begin: the end of a
	// tail that was mapped.
	errNone = errors.New("no frame")
)

type frame struct {
	kind    byte
	more    bool
	cont    bool
	seq     uint64
	micros  uint64
	command uint64
	payload []byte // a part of the buffer that was decoded
}

// nextFrame decodes the first frame of b and returns how many bytes it takes.
// The error is errShort if b ends inside the frame, errNone if there is none. A frame whose checksum does
// not match still has a length when that is possible, else 0.
func nextFrame(b []byte) (f frame, n int, err error) {
	if isZero(b[:min(len(b), 4)]) && len(b) > 0 {
		return f, 0, errNone
	}
	if len(b) < frameHead {
		return f, 0, errShort
	}
	size := binary.LittleEndian.Uint32(b)
	if size < 4 || size > maxBody {
		return f, 0, fmt.Errorf("frame of %d bytes", size)
	}
	n = frameHead + int(size)
	if len(b) < n {
		return f, 0, errShort
	}
	body := b[frameHead:n]
	if crc32.Checksum(body, castagnoli) != binary.LittleEndian.Uint32(b[4:]) {
		return f, n, errFrame
	}
	d := decoder{b: body[1:]}
	f = frame{kind: body[0] &^ (more | cont), more: body[0]&more != 0, cont: body[0]&cont != 0, seq: d.uvarint(), micros: d.uvarint(), command: d.uvarint()}
	if d.err != nil {
		return frame{}, n, d.err
	}
	f.payload = d.b
	return f, n, nil
}

func isZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// appendFrame encodes a whole frame. Recordings write theirs in place.
func appendFrame(b []byte, f frame) []byte {
	at := len(b)
	b = append(b, 0, 0, 0, 0, 0, 0, 0, 0, f.kind)
	b = binary.AppendUvarint(b, f.seq)
	b = binary.AppendUvarint(b, f.micros)
	b = binary.AppendUvarint(b, f.command)
	b = append(b, f.payload...)
	body := b[at+frameHead:]
	binary.LittleEndian.PutUint32(b[at:], uint32(len(body)))
	binary.LittleEndian.PutUint32(b[at+4:], crc32.Checksum(body, castagnoli))
	return b
}

// decoder takes values off the front of b. After an error it gives zeros.
type decoder struct {
	b   []byte
	err error
}

var errValue = errors.New("malformed value")

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) varint() int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) byte() byte {
	if len(d.b) == 0 {
		d.fail()
		return 0
	}
	v := d.b[0]
	d.b = d.b[1:]
	return v
}

func (d *decoder) string() string { return string(d.bytes()) }

func (d *decoder) bytes() []byte {
	n := d.uvarint()
	if n > uint64(len(d.b)) {
		d.fail()
		return nil
	}
	v := d.b[:n]
	d.b = d.b[n:]
	return v
}

// count reads the length of a list whose members take at least one byte each,
// which bounds it by what is left.
func (d *decoder) count() int {
	n := d.uvarint()
	if n > uint64(len(d.b)) {
		d.fail()
		return 0
	}
	return int(n)
}

func (d *decoder) fail() {
	d.b = nil
	if d.err == nil {
		d.err = errValue
	}
}

func appendString[S string | []byte](b []byte, s S) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}
