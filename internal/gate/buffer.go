package gate

import "sync"

// buffers holds send buffers, so that an idle session has none.
var buffers = sync.Pool{New: func() any { b := make([]byte, 0, sendBuffer); return &b }}

func getBuffer() []byte { return (*buffers.Get().(*[]byte))[:0] }

func putBuffer(b []byte) {
	if cap(b) == sendBuffer {
		buffers.Put(&b)
	}
}
