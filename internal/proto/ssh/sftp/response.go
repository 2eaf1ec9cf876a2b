package sftp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// errUnsupported is the error for a packet type that is not of version 3.
var errUnsupported = errors.New("sftp: unsupported operation")

// Response is a decoded response of a server.
type Response interface {
	// Type is the packet's type.
	Type() Type
	// append appends what follows the id.
	append(dst []byte) []byte
}

// Status is SSH_FXP_STATUS. Message is for a person.
type Status struct {
	Code    Code
	Message string
}

// Handle is SSH_FXP_HANDLE.
type Handle struct{ Handle []byte }

// Data is SSH_FXP_DATA.
type Data struct{ Data []byte }

// Entry is one name of SSH_FXP_NAME.
type Entry struct {
	Name, Longname []byte
	Attrs          Attrs
}

// Name is SSH_FXP_NAME.
type Name struct{ Entries []Entry }

// FileAttrs is SSH_FXP_ATTRS.
type FileAttrs struct{ Attrs Attrs }

// StatvfsReply answers statvfs and fstatvfs: f_bsize, f_frsize, f_blocks,
// f_bfree, f_bavail, f_files, f_ffree, f_favail, f_fsid, f_flag, f_namemax.
type StatvfsReply struct{ Fields [11]uint64 }

// LimitsReply answers limits. Zero is no limit.
type LimitsReply struct{ Packet, Read, Write, Handles uint64 }

// UsersGroupsReply answers users-groups-by-id: a name for each id, empty where
// there is none.
type UsersGroupsReply struct{ Users, Groups [][]byte }

// Type returns the packet type.
func (*Status) Type() Type { return TypeStatus }

// Type returns the packet type.
func (*Handle) Type() Type { return TypeHandle }

// Type returns the packet type.
func (*Data) Type() Type { return TypeData }

// Type returns the packet type.
func (*Name) Type() Type { return TypeName }

// Type returns the packet type.
func (*FileAttrs) Type() Type { return TypeAttrs }

// Type returns the packet type.
func (*StatvfsReply) Type() Type { return TypeExtendedReply }

// Type returns the packet type.
func (*LimitsReply) Type() Type { return TypeExtendedReply }

// Type returns the packet type.
func (*UsersGroupsReply) Type() Type { return TypeExtendedReply }

func (r *Status) append(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(r.Code))
	return appendString(appendString(dst, r.Message), "")
}
func (r *Handle) append(dst []byte) []byte { return appendString(dst, r.Handle) }
func (r *Data) append(dst []byte) []byte   { return appendString(dst, r.Data) }
func (r *Name) append(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(r.Entries))) //nolint:gosec // bounded by MaxPacket
	for i := range r.Entries {
		e := &r.Entries[i]
		dst = e.Attrs.append(appendString(appendString(dst, e.Name), e.Longname))
	}
	return dst
}
func (r *FileAttrs) append(dst []byte) []byte { return r.Attrs.append(dst) }
func (r *StatvfsReply) append(dst []byte) []byte {
	for _, f := range r.Fields {
		dst = binary.BigEndian.AppendUint64(dst, f)
	}
	return dst
}
func (r *LimitsReply) append(dst []byte) []byte {
	for _, f := range [...]uint64{r.Packet, r.Read, r.Write, r.Handles} {
		dst = binary.BigEndian.AppendUint64(dst, f)
	}
	return dst
}
func (r *UsersGroupsReply) append(dst []byte) []byte {
	for _, names := range [][][]byte{r.Users, r.Groups} {
		at := len(dst)
		dst = append(dst, 0, 0, 0, 0)
		for _, n := range names {
			dst = appendString(dst, n)
		}
		binary.BigEndian.PutUint32(dst[at:], uint32(len(dst)-at-4)) //nolint:gosec // bounded by MaxPacket
	}
	return dst
}

// AppendResponse encodes a response into the empty dst.
func AppendResponse(dst []byte, id uint32, r Response) []byte {
	return end(r.append(begin(dst[:0], r.Type(), id)), 0)
}

// DecodeResponse decodes a packet of a server that answers a request of the
// given form. A type that does not answer it is an error. Handles, data and
// names alias the packet.
func DecodeResponse(packet []byte, to Request) (id uint32, r Response, err error) {
	c := cursor{b: packet}
	t := Type(c.u8())
	id = c.u32()
	if c.bad {
		return 0, nil, malformed("no id")
	}
	r, err = c.response(t, to)
	if err != nil {
		return id, nil, err
	}
	return id, r, nil
}

func (c *cursor) response(t Type, to Request) (Response, error) {
	if t == TypeStatus {
		return c.status()
	}
	if t != answerType(to) {
		return nil, malformed(fmt.Sprintf("a response of type %d does not answer a request of type %d", t, to.Type()))
	}
	var r Response
	switch to := to.(type) {
	case *Open, *Opendir:
		r = &Handle{c.str(maxHandle)}
	case *Read:
		r = &Data{c.str(MaxPacket)}
	case *Readdir:
		return c.names(maxEntries(c.b), MaxName)
	case *Realpath, *Readlink, *ExpandPath, *HomeDirectory:
		return c.names(1, MaxPath)
	case *Stat, *Lstat, *Fstat:
		r = &FileAttrs{c.attrs()}
	case *Statvfs, *Fstatvfs:
		s := &StatvfsReply{}
		for i := range s.Fields {
			s.Fields[i] = c.u64()
		}
		r = s
	case *Limits:
		r = &LimitsReply{c.u64(), c.u64(), c.u64(), c.u64()}
	case *UsersGroupsByID:
		r = &UsersGroupsReply{c.lookups(len(to.Users)), c.lookups(len(to.Groups))}
	}
	return r, c.end()
}

// answerType is the type of the packet that answers a request that succeeds, if
// it is not a status.
func answerType(to Request) Type {
	switch to.(type) {
	case *Open, *Opendir:
		return TypeHandle
	case *Read:
		return TypeData
	case *Readdir, *Realpath, *Readlink, *ExpandPath, *HomeDirectory:
		return TypeName
	case *Stat, *Lstat, *Fstat:
		return TypeAttrs
	case *Statvfs, *Fstatvfs, *Limits, *UsersGroupsByID:
		return TypeExtendedReply
	default:
		return TypeStatus
	}
}

func (c *cursor) status() (Response, error) {
	s := &Status{Code: Code(c.u32()), Message: string(c.str(maxMessage))}
	c.str(MaxName) // the language of the message
	if s.Code > OpUnsupported {
		return nil, malformed("a status code that is not of version 3")
	}
	return s, c.end()
}

// maxEntries is how many entries a packet of this size can hold at most, so that
// a count in it cannot make us reserve memory.
func maxEntries(b []byte) int { return len(b) / 12 }

func (c *cursor) names(limit, maxName int) (Response, error) {
	n := int(c.u32())
	if c.bad || n > limit {
		return nil, malformed("more names than fit")
	}
	r := &Name{Entries: make([]Entry, 0, min(n, 128))}
	for range n {
		e := Entry{c.str(maxName), c.str(maxLongname + maxName), c.attrs()}
		if c.bad || len(e.Name) == 0 || bytes.IndexByte(e.Name, 0) >= 0 {
			return nil, malformed("a name that cannot be one")
		}
		r.Entries = append(r.Entries, e)
	}
	return r, c.end()
}

// lookups reads the names that answer n ids.
func (c *cursor) lookups(n int) [][]byte {
	in := cursor{b: c.str(MaxPacket)}
	names := make([][]byte, 0, n)
	for len(in.b) > 0 {
		names = append(names, in.str(MaxName))
	}
	if in.bad || len(names) != n {
		c.bad, c.b = true, nil
	}
	return names
}
