package postgres

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/sallyport-gateway/sallyport/internal/proto/postgres/wire"
)

// bufferSize is the room for what one read brings. It holds two TLS records. While
// a result streams the room is wideSize.
const (
	bufferSize = 32 << 10
	wideSize   = 256 << 10
)

// maxMessage is the longest message of PostgreSQL itself (PQ_LARGE_MESSAGE_LIMIT
// in libpq/libpq.h: MaxAllocSize - 1, one gigabyte).
const maxMessage = 1<<30 - 2

var errLength = errors.New("invalid message length")

var (
	readBuffers = sync.Pool{New: func() any { return new([bufferSize]byte) }}
	wideBuffers = sync.Pool{New: func() any { return new([wideSize]byte) }}
)

func getBuffer() []byte { return readBuffers.Get().(*[bufferSize]byte)[:] }

func putBuffer(b []byte) {
	if len(b) == wideSize {
		wideBuffers.Put((*[wideSize]byte)(b))
		return
	}
	readBuffers.Put((*[bufferSize]byte)(b))
}

// reader reads frames. While nothing is buffered and it waits for the next one
// it holds no buffer: the first bytes come into small.
type reader struct {
	src   io.Reader
	eager bool // an answer is due: read into the buffer at once
	small [16]byte
	buf   []byte
	big   []byte // a message longer than buf, read whole
	r, w  int    // buf[r:w] is unread
}

// buffered returns how many bytes can be had without waiting.
func (f *reader) buffered() int { return f.w - f.r }

// wait blocks until at least one byte is buffered.
func (f *reader) wait() error {
	if f.buffered() > 0 {
		return nil
	}
	if f.eager {
		return f.fill()
	}
	f.release()
	n, err := f.src.Read(f.small[:])
	f.put(f.small[:n])
	if n > 0 {
		return nil
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return err
}

// put appends bytes that were read elsewhere. There must be room.
func (f *reader) put(b []byte) {
	if len(b) > 0 && f.buf == nil {
		f.buf, f.r, f.w = getBuffer(), 0, 0
	}
	if len(b) > 0 {
		f.w += copy(f.buf[f.w:], b)
	}
}

// unshift puts bytes that were read before in front of what is unread. There must
// be room, which ok false denies.
func (f *reader) unshift(b []byte) (ok bool) {
	if len(b)+f.buffered() > bufferSize {
		return false
	}
	if f.buf == nil {
		f.put(b)
		return true
	}
	copy(f.buf[len(b):], f.buf[f.r:f.w])
	f.w = len(b) + f.w - f.r
	f.r = 0
	copy(f.buf[:], b)
	return true
}

// release gives the buffer back if nothing is in it.
func (f *reader) release() {
	f.big = nil
	if f.buf != nil && f.r == f.w {
		putBuffer(f.buf)
		f.buf, f.r, f.w = nil, 0, 0
	}
}

// fill reads once more, after moving what is unread to the front.
func (f *reader) fill() error {
	if f.buf == nil {
		f.buf, f.r, f.w = getBuffer(), 0, 0
	}
	f.toFront()
	n, err := f.src.Read(f.buf[f.w:])
	return f.took(n, err)
}

func (f *reader) toFront() {
	if f.r > 0 {
		f.w = copy(f.buf, f.buf[f.r:f.w])
		f.r = 0
	}
}

// gather reads once more, where much is to come: into a wide buffer, which read
// fills as far as it will.
func (f *reader) gather(read func(b []byte) (int, error)) error {
	if len(f.buf) != wideSize {
		wide := wideBuffers.Get().(*[wideSize]byte)[:]
		n := copy(wide, f.buf[f.r:f.w])
		if f.buf != nil {
			putBuffer(f.buf)
		}
		f.buf, f.r, f.w = wide, 0, n
	}
	f.toFront()
	n, err := read(f.buf[f.w:])
	return f.took(n, err)
}

// whole reports whether the next message is buffered, or will never be because it
// is longer than the buffer.
func (f *reader) whole() bool {
	if f.buffered() < wire.HeaderSize {
		return false
	}
	n := int64(binary.BigEndian.Uint32(f.buf[f.r+1:])) + 1
	return n <= int64(f.buffered()) || n > int64(len(f.buf))
}

// took notes what a read has brought.
func (f *reader) took(n int, err error) error {
	f.w += n
	if n > 0 {
		return nil
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return err
}

// header waits for the next message and consumes its type and length. n is the
// length of the body.
func (f *reader) header() (typ byte, n int, err error) {
	if err := f.wait(); err != nil {
		return 0, 0, err
	}
	for f.buffered() < wire.HeaderSize {
		if err := f.fill(); err != nil {
			return 0, 0, unexpected(err)
		}
	}
	typ = f.buf[f.r]
	length := binary.BigEndian.Uint32(f.buf[f.r+1:])
	if length < 4 || length-4 > maxMessage {
		return typ, 0, fmt.Errorf("%w %d of message %q", errLength, length, typ)
	}
	f.r += wire.HeaderSize
	return typ, int(length - 4), nil
}

// unread takes back the header that was read last, if its message has not been
// touched.
func (f *reader) unread() { f.r -= wire.HeaderSize }

// body returns the next n bytes. They stay valid until the next call of wait,
// fill, body or chunk. What does not fit the buffer is read into memory that
// grows with what arrives, not with what was announced.
func (f *reader) body(n int) ([]byte, error) {
	f.big = nil
	if n <= bufferSize {
		for f.buffered() < n {
			if err := f.fill(); err != nil {
				return nil, unexpected(err)
			}
		}
		b := f.buf[f.r : f.r+n : f.r+n]
		f.r += n
		return b, nil
	}
	for len(f.big) < n {
		b, err := f.chunk(n - len(f.big))
		if err != nil {
			return nil, err
		}
		f.big = append(f.big, b...)
	}
	return f.big, nil
}

// chunk returns at least one and at most n of the next bytes.
func (f *reader) chunk(n int) ([]byte, error) {
	if f.buffered() == 0 {
		if err := f.fill(); err != nil {
			return nil, unexpected(err)
		}
	}
	n = min(n, f.buffered())
	b := f.buf[f.r : f.r+n : f.r+n]
	f.r += n
	return b, nil
}

// discard skips n bytes.
func (f *reader) discard(n int) error {
	for n > 0 {
		b, err := f.chunk(n)
		if err != nil {
			return err
		}
		n -= len(b)
	}
	return nil
}

func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
