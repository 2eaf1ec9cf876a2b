package postgres

import "sync"

// messageSize is the room for a message being built or for answers on their way.
const messageSize = 32 << 10

var messages = sync.Pool{New: func() any { b := make([]byte, 0, messageSize); return &b }}

func getMessage() []byte { return (*messages.Get().(*[]byte))[:0] }

// putMessage gives a buffer back. One that grew is left to the collector.
func putMessage(b []byte) {
	if cap(b) == messageSize {
		b = b[:0]
		messages.Put(&b)
	}
}
