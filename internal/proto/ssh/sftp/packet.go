package sftp

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Version is the only protocol version spoken: the one that OpenSSH, and with it
// nearly every client, speaks.
const Version = 3

// MaxPacket is the largest packet, without its length field: OpenSSH's
// SFTP_MAX_MSG_LENGTH (sftp-common.h).
const MaxPacket = 256 << 10

// MaxPath is the longest path: PATH_MAX of Linux, less its NUL.
const MaxPath = 4095

// MaxName is the longest name of a directory entry: NAME_MAX of Linux.
const MaxName = 255

// maxHandle is the longest handle of a server (draft-ietf-secsh-filexfer-02,
// section 6.2).
const maxHandle = 256

// maxLongname bounds the line that describes a directory entry: a name and the
// mode, link count, owner, group, size and time before it.
const maxLongname = MaxName + 512

// maxMessage bounds the text of a status. It is read and dropped.
const maxMessage = 8 << 10

// maxExtensions bounds the extension pairs of INIT and VERSION; OpenSSH 9.9
// announces eleven.
const maxExtensions = 64

// Type is the type byte of a packet.
type Type byte

// The packet types of version 3 (draft-ietf-secsh-filexfer-02, section 3).
const (
	TypeInit          Type = 1
	TypeVersion       Type = 2
	TypeOpen          Type = 3
	TypeClose         Type = 4
	TypeRead          Type = 5
	TypeWrite         Type = 6
	TypeLstat         Type = 7
	TypeFstat         Type = 8
	TypeSetstat       Type = 9
	TypeFsetstat      Type = 10
	TypeOpendir       Type = 11
	TypeReaddir       Type = 12
	TypeRemove        Type = 13
	TypeMkdir         Type = 14
	TypeRmdir         Type = 15
	TypeRealpath      Type = 16
	TypeStat          Type = 17
	TypeRename        Type = 18
	TypeReadlink      Type = 19
	TypeSymlink       Type = 20
	TypeStatus        Type = 101
	TypeHandle        Type = 102
	TypeData          Type = 103
	TypeName          Type = 104
	TypeAttrs         Type = 105
	TypeExtended      Type = 200
	TypeExtendedReply Type = 201
)

// Code is the code of a status.
type Code uint32

// The status codes of version 3 (draft-ietf-secsh-filexfer-02, section 7).
const (
	OK               Code = 0
	EOF              Code = 1
	NoSuchFile       Code = 2
	PermissionDenied Code = 3
	Failure          Code = 4
	BadMessage       Code = 5
	NoConnection     Code = 6
	ConnectionLost   Code = 7
	OpUnsupported    Code = 8
)

// text is what a client is told with a code when the server failed. The server's
// own text is not passed on: it could hold anything.
func (c Code) text() string {
	switch c {
	case OK:
		return "Success"
	case EOF:
		return "End of file"
	case NoSuchFile:
		return "No such file"
	case PermissionDenied:
		return "Permission denied"
	case BadMessage:
		return "Bad message"
	case NoConnection:
		return "No connection"
	case ConnectionLost:
		return "Connection lost"
	case OpUnsupported:
		return "Operation unsupported"
	default:
		return "Failure"
	}
}

// Flags are the pflags of SSH_FXP_OPEN.
type Flags uint32

// The open flags of version 3 (draft-ietf-secsh-filexfer-02, section 6.3).
const (
	FlagRead   Flags = 0x01
	FlagWrite  Flags = 0x02
	FlagAppend Flags = 0x04
	FlagCreate Flags = 0x08
	FlagTrunc  Flags = 0x10
	FlagExcl   Flags = 0x20

	flagsKnown = FlagRead | FlagWrite | FlagAppend | FlagCreate | FlagTrunc | FlagExcl
)

// ErrMalformed is the error for a packet whose bytes are not of its form.
var ErrMalformed = errors.New("sftp: malformed packet")

// malformed says what of a packet is not of its form.
func malformed(what string) error { return fmt.Errorf("%w: %s", ErrMalformed, what) }

// Frame is a packet ready to be written: first Head, then Body. Body aliases the
// packet that came in, so bulk data is not copied; Head belongs to whoever made
// the frame and is valid until it makes the next one.
type Frame struct{ Head, Body []byte }

// Len returns how many bytes the frame has.
func (f Frame) Len() int { return len(f.Head) + len(f.Body) }

// AppendTo appends the whole frame to dst.
func (f Frame) AppendTo(dst []byte) []byte { return append(append(dst, f.Head...), f.Body...) }

// begin appends a length still to be known, the type and the id.
func begin(dst []byte, t Type, id uint32) []byte {
	return binary.BigEndian.AppendUint32(append(dst, 0, 0, 0, 0, byte(t)), id)
}

// end fills in the length of the only packet in dst, with more bytes to follow
// in a body.
func end(dst []byte, more int) []byte {
	binary.BigEndian.PutUint32(dst, uint32(len(dst)-4+more)) //nolint:gosec // bounded by MaxPacket
	return dst
}

func appendString[T ~string | ~[]byte](dst []byte, s T) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(s))) //nolint:gosec // bounded by MaxPacket
	return append(dst, s...)
}

// cursor reads fields off the front of a packet; after a fault it stays empty.
type cursor struct {
	b   []byte
	bad bool
}

func (c *cursor) take(n int) []byte {
	if n < 0 || n > len(c.b) {
		c.bad, c.b = true, nil
		return nil
	}
	b := c.b[:n:n]
	c.b = c.b[n:]
	return b
}

func (c *cursor) u8() byte {
	if b := c.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (c *cursor) u32() uint32 {
	if b := c.take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func (c *cursor) u64() uint64 {
	if b := c.take(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

// str reads a string of at most limit bytes.
func (c *cursor) str(limit int) []byte {
	n := c.u32()
	if n > uint32(limit) { //nolint:gosec // limits are small constants
		c.bad, c.b = true, nil
		return nil
	}
	return c.take(int(n))
}

// path reads a path: not too long, no NUL. The empty path is the directory in
// which the server started, as OpenSSH takes it.
func (c *cursor) path() string {
	s := c.str(MaxPath)
	for _, b := range s {
		if b == 0 {
			c.bad, c.b = true, nil
			return ""
		}
	}
	return string(s)
}

func (c *cursor) end() error {
	switch {
	case c.bad:
		return malformed("a field does not fit")
	case len(c.b) != 0:
		return malformed("bytes after the last field")
	}
	return nil
}
