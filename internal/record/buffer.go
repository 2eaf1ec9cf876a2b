package record

import (
	"sync"
	"time"

	"github.com/klauspost/compress/s2"
)

// Pending frames live in pooled buffers between Append and Commit, so that an
// idle session has none. Most commits fit the small ones.
const (
	smallBuffer = 1 << 10
	// largeBuffer holds the frames below tailLimit that wait, one frame more
	// and, in writeBlock, a full tail before them.
	largeBuffer = maxRaw
)

var (
	smalls = sync.Pool{New: func() any { return new([smallBuffer]byte) }}
	larges = sync.Pool{New: func() any { return new([largeBuffer]byte) }}
	packed = sync.Pool{New: func() any { b := make([]byte, blockHead+s2.MaxEncodedLen(maxRaw)); return &b }}
)

func getSmall() []byte { return smalls.Get().(*[smallBuffer]byte)[:0] }
func getLarge() []byte { return larges.Get().(*[largeBuffer]byte)[:0] }

func putBuffer(b []byte) {
	switch cap(b) {
	case smallBuffer:
		smalls.Put((*[smallBuffer]byte)(b[:smallBuffer]))
	case largeBuffer:
		larges.Put((*[largeBuffer]byte)(b[:largeBuffer]))
	}
}

func getPacked() *[]byte  { return packed.Get().(*[]byte) }
func putPacked(b *[]byte) { packed.Put(b) }

func micros(n uint64) time.Duration { return time.Duration(min(n, 1<<53)) * time.Microsecond }
