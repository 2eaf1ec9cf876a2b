//go:build cgo && unix

package parse

import (
	"encoding/binary"
	"errors"
	"runtime"
	"runtime/debug"
	"syscall"

	"github.com/pganalyze/pg_query_go/v6/parser"
)

const available = true

// The exit statuses of a worker, for the log of whoever started it by hand.
const (
	exitClosed  = 0 // the parent closed the pipe
	exitConfine = 3 // a limit could not be set
	exitPipe    = 4 // the pipe broke
)

// keepRequest is how large a request buffer a worker keeps.
const keepRequest = 64 << 10

// work answers requests until the parent closes the pipe. It reads and writes
// the descriptors directly: the worker has one thing to do at a time.
func work() int {
	runtime.LockOSThread()
	runtime.GOMAXPROCS(1)
	debug.SetGCPercent(25)
	if err := confine(); err != nil {
		return exitConfine
	}
	// The first parse allocates what later ones use.
	if _, err := parser.ParseToProtobuf("select 1"); err != nil {
		return exitPipe
	}
	debug.FreeOSMemory()
	if writeAll(appendResponse(nil, responseReady, nil)) != nil {
		return exitPipe
	}
	var in, out []byte
	for {
		var err error
		if in, err = readRequest(in); err != nil {
			if errors.Is(err, errEnd) {
				return exitClosed
			}
			return exitPipe
		}
		out = answer(out[:0], string(in))
		if writeAll(out) != nil {
			return exitPipe
		}
		if cap(in) > keepRequest {
			in = nil
		}
		if cap(out) > keepRequest {
			out = nil
		}
	}
}

func answer(dst []byte, text string) []byte {
	tree, err := parser.ParseToProtobuf(text)
	if err == nil {
		return appendResponse(dst, responseTree, tree)
	}
	position := 0
	var e *parser.Error
	if errors.As(err, &e) {
		position = e.Cursorpos
	}
	return appendErrorResponse(dst, position, err.Error())
}

var errEnd = errors.New("end of requests")

// readRequest reads one request into buf or a larger buffer.
func readRequest(buf []byte) ([]byte, error) {
	if cap(buf) < 4096 {
		buf = make([]byte, 4096)
	}
	buf = buf[:cap(buf)]
	n, want := 0, requestHeader
	for n < want {
		m, err := syscall.Read(0, buf[n:])
		switch {
		case errors.Is(err, syscall.EINTR):
			continue
		case err != nil:
			return nil, err
		case m == 0 && n == 0:
			return nil, errEnd
		case m == 0:
			return nil, errFrame
		}
		n += m
		if n < requestHeader {
			continue
		}
		size := binary.LittleEndian.Uint32(buf)
		if size > maxText {
			return nil, ErrTooLarge
		}
		want = requestHeader + int(size)
		if want > len(buf) {
			grown := make([]byte, want)
			copy(grown, buf[:n])
			buf = grown
		}
	}
	if n > want {
		return nil, errFrame
	}
	return buf[requestHeader:want], nil
}

func writeAll(b []byte) error {
	for len(b) > 0 {
		n, err := syscall.Write(1, b)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}
