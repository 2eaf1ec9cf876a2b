package parse

import (
	"encoding/binary"
	"errors"
	"io"
)

// A request is its length and the text. A response is a kind, a length and a
// payload: a serialised ParseResult; or a position and a message; or nothing,
// once, when the worker is ready. Numbers are 32 bits, little endian.
const (
	requestHeader  = 4
	responseHeader = 5
)

type responseKind byte

const (
	responseReady responseKind = iota + 1
	responseTree
	responseError
)

var errFrame = errors.New("malformed frame")

func appendRequest(dst []byte, text string) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(text)))
	return append(dst, text...)
}

func appendResponse(dst []byte, kind responseKind, payload []byte) []byte {
	dst = append(dst, byte(kind))
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(payload)))
	return append(dst, payload...)
}

func appendErrorResponse(dst []byte, position int, message string) []byte {
	dst = append(dst, byte(responseError))
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(message)+4))
	dst = binary.LittleEndian.AppendUint32(dst, uint32(int32(position)))
	return append(dst, message...)
}

// readResponse reads one response into buf, or into a new buffer if that is too
// small; the payload lies in either. A payload over limit bytes is
// [ErrTooLarge]; bytes that came with the response and are not part of it are an error,
// because nobody asked for them.
func readResponse(r io.Reader, buf []byte, limit int) (kind responseKind, payload []byte, err error) {
	n, want := 0, responseHeader
	for n < want {
		m, err := r.Read(buf[n:])
		n += m
		if n >= responseHeader {
			size := int(binary.LittleEndian.Uint32(buf[1:]))
			if size > limit {
				return 0, nil, ErrTooLarge
			}
			want = responseHeader + size
			if want > len(buf) {
				grown := make([]byte, want)
				copy(grown, buf[:n])
				buf = grown
			}
		}
		if err != nil && n < want {
			return 0, nil, err
		}
	}
	if n > want {
		return 0, nil, errFrame
	}
	return responseKind(buf[0]), buf[responseHeader:want], nil
}

// errorResponse reads the payload of a responseError.
func errorResponse(payload []byte) (*Error, error) {
	if len(payload) < 4 {
		return nil, errFrame
	}
	return rejection(string(payload[4:]), int(int32(binary.LittleEndian.Uint32(payload)))), nil
}
