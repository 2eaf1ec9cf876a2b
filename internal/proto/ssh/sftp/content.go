package sftp

import (
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"math"
)

// NoLimit is a limit of a Grant that allows any number of bytes.
const NoLimit = math.MaxUint64

// Direction says which way content goes.
type Direction uint8

// The directions. Download is from the server to the client.
const (
	Download Direction = iota + 1
	Upload
)

// String returns the word for a reader.
func (d Direction) String() string {
	switch d {
	case Download:
		return "download"
	case Upload:
		return "upload"
	default:
		return "unknown"
	}
}

// Content keeps count and a digest of what an open file carried in one
// direction. It belongs to the side of the Engine that sees the data.
type Content struct {
	sum      hash.Hash
	bytes    uint64
	first    uint64 // the offset of the first byte
	next     uint64 // where the next byte would be in sequence
	jumped   bool
	recorded uint64
	failed   uint64
	copied   uint64 // by the server itself, unseen
}

// used is what counts against the limit.
func (c *Content) used() uint64 { return c.bytes + c.copied }

// add takes the next data into the digest and returns the part of it that is to
// be recorded. The count of bytes is kept by the Engine, under its lock.
func (c *Content) add(offset uint64, data []byte, record uint64) []byte {
	if c.sum == nil {
		c.sum = sha256.New()
		c.first, c.next = offset, offset
	}
	if offset != c.next {
		c.jumped = true
	}
	c.next = offset + uint64(len(data))
	c.sum.Write(data)
	if c.recorded >= record {
		return nil
	}
	n := min(uint64(len(data)), record-c.recorded)
	c.recorded += n
	return data[:n]
}

// Summary says what an open file carried in one direction.
type Summary struct {
	// Bytes is how many bytes were carried.
	Bytes uint64
	// SHA256 is over the bytes in the order in which they were carried; empty if
	// there were none. It is the digest of that part of the file when InOrder.
	SHA256 string
	// InOrder says that every piece followed the one before without a gap.
	InOrder bool
	// First is the offset of the first byte.
	First uint64
	// Recorded is how many of the bytes were given out to be recorded: the first.
	Recorded uint64
	// Failed is how many requests to write the server refused. The bytes of those
	// are counted and in the digest all the same.
	Failed uint64
	// Copied is how many bytes the server was told to copy by itself: they were
	// not seen, and are neither counted in Bytes nor in the digest.
	Copied uint64
}

func (c *Content) summary() Summary {
	s := Summary{Bytes: c.bytes, InOrder: !c.jumped, First: c.first, Recorded: c.recorded, Failed: c.failed, Copied: c.copied}
	if c.sum != nil {
		s.SHA256 = hex.EncodeToString(c.sum.Sum(nil))
	}
	return s
}
