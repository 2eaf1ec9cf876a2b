package record

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/klauspost/compress/s2"
)

// ID.rec is fileMagic and then blocks; ID.tail is tailMagic and then frames.
// The digit is the version of the format.
const (
	recMagic  = "SLYPREC1"
	tailMagic = "SLYPTAI1"
	magicSize = 8
)

// A block is a header of blockHead bytes and its stored bytes. The header is
// checked by itself, so that blocks can be walked without reading them, and
// carries the counts up to its end, so that a live session can be summed up
// cheaply.
const (
	blockHead = 80
	// maxRaw bounds a block before compression: a full tail, pending frames up
	// to the size that makes a block, and one more frame.
	maxRaw = 256 << 10

	frameBlock   = "SBLK" // stored bytes are frames
	summaryBlock = "SSUM" // stored bytes are a Summary as JSON; the last block

	codecRaw = 0
	codecS2  = 1

	// The last bytes of a finished recording: the offset of its summary block.
	trailerSize  = 16
	trailerMagic = "SEND"
	// maxSummary bounds a summary block. It repeats the start of the session.
	maxSummary = 1 << 20
)

// counts is what a block header says of the recording up to its end.
type counts struct {
	Commands uint64
	Blocked  uint64
	Held     uint64
	Unknown  uint64 // forwarded, with no effect recorded yet
	Bytes    uint64 // answered to the agent
	Micros   uint64 // time of the last event since the start
}

type block struct {
	magic  string
	codec  byte
	stored uint32
	raw    uint32
	first  uint64 // sequence number of the first frame
	next   uint64 // one past that of the last
	counts counts
	crc    uint32 // of the stored bytes
}

// putHeader encodes b into the first blockHead bytes of dst.
func (b *block) putHeader(dst []byte) {
	le := binary.LittleEndian
	clear(dst[:blockHead])
	copy(dst, b.magic)
	dst[4] = b.codec
	le.PutUint32(dst[8:], b.stored)
	le.PutUint32(dst[12:], b.raw)
	le.PutUint64(dst[16:], b.first)
	le.PutUint64(dst[24:], b.next)
	le.PutUint64(dst[32:], b.counts.Commands)
	le.PutUint32(dst[40:], uint32(b.counts.Blocked))
	le.PutUint32(dst[44:], uint32(b.counts.Held))
	le.PutUint64(dst[48:], b.counts.Bytes)
	le.PutUint64(dst[56:], b.counts.Micros)
	le.PutUint32(dst[64:], uint32(b.counts.Unknown))
	le.PutUint32(dst[72:], b.crc)
	le.PutUint32(dst[76:], crc32.Checksum(dst[:76], castagnoli))
}

// parseBlock decodes a block header. It returns errShort if h is too short.
func parseBlock(h []byte) (block, error) {
	if len(h) < blockHead {
		return block{}, errShort
	}
	le := binary.LittleEndian
	if crc32.Checksum(h[:76], castagnoli) != le.Uint32(h[76:]) {
		return block{}, fmt.Errorf("block header: %w", errFrame)
	}
	b := block{
		magic: string(h[:4]), codec: h[4], stored: le.Uint32(h[8:]), raw: le.Uint32(h[12:]),
		first: le.Uint64(h[16:]), next: le.Uint64(h[24:]), crc: le.Uint32(h[72:]),
		counts: counts{
			Commands: le.Uint64(h[32:]), Blocked: uint64(le.Uint32(h[40:])), Held: uint64(le.Uint32(h[44:])),
			Bytes: le.Uint64(h[48:]), Micros: le.Uint64(h[56:]), Unknown: uint64(le.Uint32(h[64:])),
		},
	}
	switch {
	case b.magic == frameBlock && b.raw <= maxRaw && b.stored <= uint32(s2.MaxEncodedLen(maxRaw)) && b.next > b.first:
	case b.magic == summaryBlock && b.codec == codecRaw && b.stored == b.raw && b.stored <= maxSummary:
	default:
		return block{}, fmt.Errorf("block header: kind %q of %d bytes", b.magic, b.stored)
	}
	return b, nil
}

// unpack returns the frames of a block, in dst if it has room.
func (b *block) unpack(dst, stored []byte) ([]byte, error) {
	if crc32.Checksum(stored, castagnoli) != b.crc {
		return nil, fmt.Errorf("block: %w", errFrame)
	}
	switch b.codec {
	case codecRaw:
		if b.stored != b.raw {
			return nil, fmt.Errorf("block of %d bytes says %d", b.stored, b.raw)
		}
		return append(dst[:0], stored...), nil
	case codecS2:
		if n, err := s2.DecodedLen(stored); err != nil || n != int(b.raw) || n > maxRaw {
			return nil, fmt.Errorf("block of %d bytes says %d", n, b.raw)
		}
		out, err := s2.Decode(dst[:cap(dst)], stored)
		if err != nil {
			return nil, fmt.Errorf("block: %w", err)
		}
		return out, nil
	}
	return nil, fmt.Errorf("block with unknown codec %d", b.codec)
}

// packBlock compresses raw frames into dst, header first. dst needs
// room for blockHead+s2.MaxEncodedLen(len(raw)) bytes.
func packBlock(dst, raw []byte, b block) []byte {
	dst = dst[:cap(dst)]
	b.magic, b.codec, b.raw = frameBlock, codecS2, uint32(len(raw))
	stored := s2.Encode(dst[blockHead:], raw) // what cannot be compressed grows by some bytes
	b.stored, b.crc = uint32(len(stored)), crc32.Checksum(stored, castagnoli)
	b.putHeader(dst)
	return dst[:blockHead+len(stored)]
}

// appendTrailer writes where the summary block begins.
func appendTrailer(dst []byte, offset int64) []byte {
	dst = binary.LittleEndian.AppendUint64(dst, uint64(offset))
	dst = binary.LittleEndian.AppendUint32(dst, crc32.Checksum(dst[len(dst)-8:], castagnoli))
	return append(dst, trailerMagic...)
}

// parseTrailer returns the offset of the summary block, or false.
func parseTrailer(t []byte) (int64, bool) {
	if len(t) != trailerSize || string(t[12:]) != trailerMagic ||
		crc32.Checksum(t[:8], castagnoli) != binary.LittleEndian.Uint32(t[8:]) {
		return 0, false
	}
	off := binary.LittleEndian.Uint64(t)
	return int64(off), off < 1<<62
}
