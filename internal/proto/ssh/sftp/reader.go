package sftp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
)

// ErrTooLarge is the error for a packet longer than MaxPacket.
var ErrTooLarge = errors.New("sftp: packet too large")

// idleBuffer is what a Reader holds between packets; with a thousand idle
// sessions it is what counts.
const idleBuffer = 2 << 10

// bulkBuffers hold a packet of full size and the beginning of the next.
var bulkBuffers = sync.Pool{New: func() any {
	b := make([]byte, MaxPacket+64<<10)
	return &b
}}

// Reader splits a stream into packets. It belongs to one goroutine.
type Reader struct {
	src        io.Reader
	idle       [idleBuffer]byte
	buf        []byte
	bulk       *[]byte // where buf comes from, if it is of the pool
	start, end int     // the bytes read and not yet returned
}

// NewReader returns a Reader of src.
func NewReader(src io.Reader) *Reader {
	r := &Reader{src: src}
	r.buf = r.idle[:]
	return r
}

// Next returns the next packet without its length field. It is valid until the
// next call. The end of the stream between two packets is io.EOF, within one
// io.ErrUnexpectedEOF.
func (r *Reader) Next() ([]byte, error) {
	if err := r.fill(4); err != nil {
		return nil, err
	}
	size := binary.BigEndian.Uint32(r.buf[r.start:])
	if size == 0 {
		return nil, malformed("a packet of no bytes")
	}
	if size > MaxPacket {
		return nil, fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, size, MaxPacket)
	}
	n := int(size)
	if err := r.fill(4 + n); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	packet := r.buf[r.start+4 : r.start+4+n : r.start+4+n]
	r.start += 4 + n
	return packet, nil
}

// Whole reports whether Next returns without reading.
func (r *Reader) Whole() bool {
	have := r.end - r.start
	return have >= 4 && uint64(have-4) >= uint64(binary.BigEndian.Uint32(r.buf[r.start:])) //nolint:gosec // not negative
}

// fill reads until n bytes are there.
func (r *Reader) fill(n int) error {
	if r.start == r.end {
		r.start, r.end = 0, 0
		r.release()
	}
	if n > len(r.buf)-r.start {
		r.room(n)
	}
	empties := 0
	for r.end-r.start < n {
		got, err := r.src.Read(r.buf[r.end:])
		r.end += got
		if r.end-r.start >= n {
			return nil
		}
		if err != nil {
			if errors.Is(err, io.EOF) && r.end > r.start {
				return io.ErrUnexpectedEOF
			}
			return err
		}
		if got > 0 {
			empties = 0
		} else if empties++; empties > 100 { // bufio's maxConsecutiveEmptyReads
			return io.ErrNoProgress
		}
	}
	return nil
}

// room makes place for n bytes from start on.
func (r *Reader) room(n int) {
	if n > len(r.buf) {
		bulk := bulkBuffers.Get().(*[]byte)
		r.end = copy(*bulk, r.buf[r.start:r.end])
		r.buf, r.bulk, r.start = *bulk, bulk, 0
		return
	}
	r.end = copy(r.buf, r.buf[r.start:r.end])
	r.start = 0
}

// release gives an empty bulk buffer back before a wait that may be long.
func (r *Reader) release() {
	if r.bulk != nil {
		bulkBuffers.Put(r.bulk)
		r.bulk, r.buf = nil, r.idle[:]
	}
}

// Close gives the buffers back. The Reader is not to be used afterwards.
func (r *Reader) Close() {
	r.start, r.end = 0, 0
	r.release()
}
