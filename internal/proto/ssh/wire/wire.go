// Package wire is the form that an SSH channel's messages have inside the gateway
// and in recordings.
//
// A channel of the SSH connection protocol (RFC 4254, section 5) carries two data
// streams, requests and their replies. The gate forwards, answers and records
// bytes, so each message becomes a frame: a kind, a length and a payload. Frames
// are made by the gateway from what the SSH library decoded; neither side's own
// bytes are ever taken for frames.
//
// The package knows neither windows nor packets, which the SSH library keeps, and
// opens nothing.
package wire

import (
	"encoding/binary"
	"errors"
)

// Kind says what a frame carries.
type Kind byte

// The kinds of frames. They are part of recordings: append only.
const (
	// Open asks for a channel: the payload is a channel type and its data.
	Open Kind = 'O'
	// Request is a channel request: a name, whether a reply is wanted, its data.
	Request Kind = 'r'
	// Reply answers the oldest request that wanted one: 1 for success.
	Reply Kind = 'R'
	// Input is data for the command's standard input, or to the far end of a tunnel.
	Input Kind = 'i'
	// Output is data of the standard output, or from the far end of a tunnel.
	Output Kind = 'o'
	// ErrorOutput is data of the standard error (SSH_EXTENDED_DATA_STDERR).
	ErrorOutput Kind = 'e'
	// EOF says that the sender sends no more data.
	EOF Kind = 'E'
	// Close ends the channel.
	Close Kind = 'C'
	// Opened says that the channel was opened.
	Opened Kind = 'K'
	// Failure says that the channel was not opened: the reason (RFC 4254, section
	// 5.1) as a uint32, and a text.
	Failure Kind = 'F'
	// Omitted stands in a recording for content that is not kept: the kind of the
	// frames that are left out and how many bytes, as a uint64.
	Omitted Kind = '-'
)

const (
	// HeaderSize is the length of a frame before its payload.
	HeaderSize = 5
	// MaxPayload bounds a frame's payload. A channel's packet has at most 32 KiB
	// in the SSH library; requests are bounded by its packets of 256 KiB, and so
	// are SFTP's by OpenSSH, with four bytes more.
	MaxPayload = 256<<10 + 1<<10
)

// ErrFrame is the error for bytes that are no whole frames.
var ErrFrame = errors.New("ssh wire: not a frame")

// Begin appends a frame's header; End fills in the length when the payload has
// been appended.
func Begin(dst []byte, k Kind) ([]byte, int) {
	return append(dst, byte(k), 0, 0, 0, 0), len(dst)
}

// End completes the frame that began at.
func End(dst []byte, at int) []byte {
	binary.BigEndian.PutUint32(dst[at+1:], uint32(len(dst)-at-HeaderSize)) //nolint:gosec // bounded by MaxPayload
	return dst
}

// Append appends a frame with the payload.
func Append(dst []byte, k Kind, payload []byte) []byte {
	dst, at := Begin(dst, k)
	return End(append(dst, payload...), at)
}

// AppendOpen appends an Open of the channel type with its data.
func AppendOpen(dst []byte, channelType string, data []byte) []byte {
	dst, at := Begin(dst, Open)
	dst = appendString(dst, channelType)
	return End(append(dst, data...), at)
}

// AppendRequest appends a Request.
func AppendRequest(dst []byte, name string, wantReply bool, data []byte) []byte {
	dst, at := Begin(dst, Request)
	dst = appendString(dst, name)
	want := byte(0)
	if wantReply {
		want = 1
	}
	return End(append(append(dst, want), data...), at)
}

// AppendReply appends a Reply.
func AppendReply(dst []byte, ok bool) []byte {
	if ok {
		return Append(dst, Reply, []byte{1})
	}
	return Append(dst, Reply, []byte{0})
}

// AppendExit appends the request that tells a command's exit status (RFC 4254,
// section 6.10).
func AppendExit(dst []byte, status uint32) []byte {
	return AppendRequest(dst, "exit-status", false, binary.BigEndian.AppendUint32(nil, status))
}

// AppendFailure appends why a channel was not opened.
func AppendFailure(dst []byte, reason uint32, text string) []byte {
	dst, at := Begin(dst, Failure)
	return End(append(binary.BigEndian.AppendUint32(dst, reason), text[:min(len(text), 1024)]...), at)
}

// DecodeFailure returns why a channel was not opened.
func DecodeFailure(payload []byte) (reason uint32, text string, err error) {
	if len(payload) < 4 {
		return 0, "", ErrFrame
	}
	return binary.BigEndian.Uint32(payload), string(payload[4:]), nil
}

// AppendEnd appends a command's exit status, the end of its data and the close of its
// channel, in this order: a client that has nothing more to send itself may close the
// channel at the end of the data.
func AppendEnd(dst []byte, status uint32) []byte {
	return Append(Append(AppendExit(dst, status), EOF, nil), Close, nil)
}

// AppendOmitted appends what stands for n bytes of the kind in a recording.
func AppendOmitted(dst []byte, k Kind, n uint64) []byte {
	dst, at := Begin(dst, Omitted)
	return End(binary.BigEndian.AppendUint64(append(dst, byte(k)), n), at)
}

func appendString(dst []byte, s string) []byte {
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(s))) //nolint:gosec // names are short; Next checks
	return append(dst, s...)
}

// Frame is one decoded frame. Its payload is part of the buffer it came from.
type Frame struct {
	Kind    Kind
	Payload []byte
}

// Next decodes the first frame of b and returns the rest. The error is ErrFrame,
// or errShort if b ends inside the frame.
func Next(b []byte) (f Frame, rest []byte, err error) {
	if len(b) < HeaderSize {
		return f, b, errShort
	}
	n := binary.BigEndian.Uint32(b[1:])
	if n > MaxPayload {
		return f, b, ErrFrame
	}
	if uint32(len(b)-HeaderSize) < n { //nolint:gosec // positive
		return f, b, errShort
	}
	return Frame{Kind(b[0]), b[HeaderSize : HeaderSize+n]}, b[HeaderSize+n:], nil
}

// errShort says that a frame goes on behind the bytes at hand.
var errShort = errors.New("ssh wire: frame is incomplete")

// Short reports whether err is that of a frame whose end is still to come.
func Short(err error) bool { return errors.Is(err, errShort) }

// DecodeOpen returns the channel type and the data of an Open.
func DecodeOpen(payload []byte) (channelType string, data []byte, err error) {
	return cutString(payload)
}

// DecodeRequest returns the parts of a Request.
func DecodeRequest(payload []byte) (name string, wantReply bool, data []byte, err error) {
	name, data, err = cutString(payload)
	if err != nil || len(data) == 0 || data[0] > 1 {
		return "", false, nil, ErrFrame
	}
	return name, data[0] == 1, data[1:], nil
}

// DecodeReply returns what a Reply says.
func DecodeReply(payload []byte) (ok bool, err error) {
	if len(payload) != 1 || payload[0] > 1 {
		return false, ErrFrame
	}
	return payload[0] == 1, nil
}

// DecodeOmitted returns what an Omitted stands for.
func DecodeOmitted(payload []byte) (k Kind, n uint64, err error) {
	if len(payload) != 9 {
		return 0, 0, ErrFrame
	}
	return Kind(payload[0]), binary.BigEndian.Uint64(payload[1:]), nil
}

func cutString(b []byte) (string, []byte, error) {
	if len(b) < 2 {
		return "", nil, ErrFrame
	}
	n := int(binary.BigEndian.Uint16(b))
	if len(b)-2 < n {
		return "", nil, ErrFrame
	}
	return string(b[2 : 2+n]), b[2+n:], nil
}
