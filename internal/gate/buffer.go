package gate

import "sync"

// buffers holds send buffers, so that an idle session has none.
var buffers = sync.Pool{New: func() any { return new([sendBuffer]byte) }}

func getBuffer() []byte { return buffers.Get().(*[sendBuffer]byte)[:0] }

func putBuffer(b []byte) {
	if cap(b) == sendBuffer {
		buffers.Put((*[sendBuffer]byte)(b[:sendBuffer]))
	}
}

// entry is an event on its way to a recording, which copies what it keeps.
type entry struct {
	Event
	verdict Verdict
}

// entries holds events, so that an idle session has none.
var entries = sync.Pool{New: func() any { return new(entry) }}
