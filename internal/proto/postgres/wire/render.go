package wire

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
)

// maxRendered is the longest message that a replay shows; a longer one is
// described instead.
const maxRendered = 64 << 10

// Renderer turns the recorded answers of a session into rows for a reader. It
// keeps at most one message. The zero value is ready.
type Renderer struct {
	pending []byte // the beginning of a message that is not complete
	skip    int    // bytes of a long message still to be passed over
	formats []uint16
}

// Render is given the next bytes that the agent was answered and calls emit for
// what became complete: "columns", "row" (a nil cell is NULL), "tag", "error",
// "notice" or "text". Bytes that are no message are shown as text.
func (r *Renderer) Render(_ uint64, answer []byte, emit func(kind string, cells [][]byte)) {
	for len(answer) > 0 {
		if r.skip > 0 {
			n := min(r.skip, len(answer))
			answer, r.skip = answer[n:], r.skip-n
			continue
		}
		if len(r.pending) < HeaderSize {
			n := min(HeaderSize-len(r.pending), len(answer))
			r.pending, answer = append(r.pending, answer[:n]...), answer[n:]
			if len(r.pending) < HeaderSize {
				return
			}
		}
		size := int(binary.BigEndian.Uint32(r.pending[1:])) + 1
		if size < HeaderSize || size > maxRendered {
			emit("text", [][]byte{fmt.Appendf(nil, "[message %q of %d bytes]", r.pending[0], size)})
			r.skip = max(size-len(r.pending), 0)
			r.pending = r.pending[:0]
			continue
		}
		n := min(size-len(r.pending), len(answer))
		r.pending, answer = append(r.pending, answer[:n]...), answer[n:]
		if len(r.pending) == size {
			r.message(r.pending[0], r.pending[HeaderSize:], emit)
			r.pending = r.pending[:0]
		}
	}
}

func (r *Renderer) message(typ byte, body []byte, emit func(kind string, cells [][]byte)) {
	switch typ {
	case RowDescription:
		columns, err := DecodeRowDescription(nil, body)
		if err != nil {
			break
		}
		names := make([][]byte, len(columns))
		r.formats = r.formats[:0]
		for i, c := range columns {
			names[i] = c.Name
			r.formats = append(r.formats, c.Format)
		}
		emit("columns", names)
		return
	case DataRow:
		values, err := DecodeDataRow(nil, body)
		if err != nil {
			break
		}
		for i, v := range values {
			if v != nil && i < len(r.formats) && r.formats[i] == 1 {
				values[i] = append([]byte(`\x`), hex.AppendEncode(nil, v)...)
			}
		}
		emit("row", values)
		return
	case CommandComplete:
		if tag, err := DecodeCommandComplete(body); err == nil {
			r.formats = r.formats[:0]
			emit("tag", [][]byte{tag})
			return
		}
	case ErrorResponse, NoticeResponse:
		f, err := DecodeFault(body)
		if err != nil {
			break
		}
		kind := "error"
		if typ == NoticeResponse {
			kind = "notice"
		}
		text := f.Severity + " " + f.Code + ": " + f.Message
		for _, more := range []string{f.Detail, f.Hint} {
			if more != "" {
				text += " | " + more
			}
		}
		emit(kind, [][]byte{[]byte(text)})
		return
	case CopyData:
		emit("row", [][]byte{body})
		return
	case Authentication, BackendKeyData, ParameterStatus, ReadyForQuery, ParseComplete, BindComplete, CloseComplete,
		NoData, ParameterDescription, CopyOutResponse, CopyInResponse, CopyDone, EmptyQueryResponse, PortalSuspended,
		NotificationResponse:
		return // nothing for a reader
	}
	emit("text", [][]byte{fmt.Appendf(nil, "[message %q that cannot be read: %q]", typ, body)})
}
