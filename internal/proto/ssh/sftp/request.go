package sftp

import (
	"encoding/binary"
	"fmt"
)

// maxLookups bounds the ids of one users-groups-by-id request.
const maxLookups = 1024

// Request is a decoded request of a client.
type Request interface {
	// Type is the packet's type.
	Type() Type
	// append appends what follows the id.
	append(dst []byte) []byte
}

// Open is SSH_FXP_OPEN.
type Open struct {
	Path  string
	Flags Flags
	Attrs Attrs
}

// Close is SSH_FXP_CLOSE.
type Close struct{ Handle []byte }

// Read is SSH_FXP_READ.
type Read struct {
	Handle []byte
	Offset uint64
	Length uint32
}

// Write is SSH_FXP_WRITE.
type Write struct {
	Handle []byte
	Offset uint64
	Data   []byte
}

// Lstat is SSH_FXP_LSTAT.
type Lstat struct{ Path string }

// Fstat is SSH_FXP_FSTAT.
type Fstat struct{ Handle []byte }

// Setstat is SSH_FXP_SETSTAT.
type Setstat struct {
	Path  string
	Attrs Attrs
}

// Fsetstat is SSH_FXP_FSETSTAT.
type Fsetstat struct {
	Handle []byte
	Attrs  Attrs
}

// Opendir is SSH_FXP_OPENDIR.
type Opendir struct{ Path string }

// Readdir is SSH_FXP_READDIR.
type Readdir struct{ Handle []byte }

// Remove is SSH_FXP_REMOVE.
type Remove struct{ Path string }

// Mkdir is SSH_FXP_MKDIR.
type Mkdir struct {
	Path  string
	Attrs Attrs
}

// Rmdir is SSH_FXP_RMDIR.
type Rmdir struct{ Path string }

// Realpath is SSH_FXP_REALPATH.
type Realpath struct{ Path string }

// Stat is SSH_FXP_STAT.
type Stat struct{ Path string }

// Rename is SSH_FXP_RENAME, which does not replace a file.
type Rename struct{ Old, New string }

// Readlink is SSH_FXP_READLINK.
type Readlink struct{ Path string }

// Symlink is SSH_FXP_SYMLINK in the order of OpenSSH and those who follow it:
// what the link says, then where it is made. The draft has it the other way
// round (OpenSSH's PROTOCOL, section 4.1).
type Symlink struct{ Text, Link string }

// PosixRename is posix-rename@openssh.com, which replaces a file.
type PosixRename struct{ Old, New string }

// Statvfs is statvfs@openssh.com.
type Statvfs struct{ Path string }

// Fstatvfs is fstatvfs@openssh.com.
type Fstatvfs struct{ Handle []byte }

// Hardlink is hardlink@openssh.com.
type Hardlink struct{ Old, New string }

// Fsync is fsync@openssh.com.
type Fsync struct{ Handle []byte }

// Lsetstat is lsetstat@openssh.com: attributes of a symbolic link itself.
type Lsetstat struct {
	Path  string
	Attrs Attrs
}

// Limits is limits@openssh.com.
type Limits struct{}

// ExpandPath is expand-path@openssh.com: a leading ~ or ~user.
type ExpandPath struct{ Path string }

// CopyData is copy-data: Length bytes, zero for all, from one open file to
// another at the server.
type CopyData struct {
	From       []byte
	FromOffset uint64
	Length     uint64
	To         []byte
	ToOffset   uint64
}

// HomeDirectory is home-directory.
type HomeDirectory struct{ User string }

// UsersGroupsByID is users-groups-by-id@openssh.com.
type UsersGroupsByID struct{ Users, Groups []uint32 }

// UnknownExtension is an extended request that is not understood. It is never
// encoded for a server.
type UnknownExtension struct{ Name string }

// Type returns the packet type.
func (*Open) Type() Type { return TypeOpen }

// Type returns the packet type.
func (*Close) Type() Type { return TypeClose }

// Type returns the packet type.
func (*Read) Type() Type { return TypeRead }

// Type returns the packet type.
func (*Write) Type() Type { return TypeWrite }

// Type returns the packet type.
func (*Lstat) Type() Type { return TypeLstat }

// Type returns the packet type.
func (*Fstat) Type() Type { return TypeFstat }

// Type returns the packet type.
func (*Setstat) Type() Type { return TypeSetstat }

// Type returns the packet type.
func (*Fsetstat) Type() Type { return TypeFsetstat }

// Type returns the packet type.
func (*Opendir) Type() Type { return TypeOpendir }

// Type returns the packet type.
func (*Readdir) Type() Type { return TypeReaddir }

// Type returns the packet type.
func (*Remove) Type() Type { return TypeRemove }

// Type returns the packet type.
func (*Mkdir) Type() Type { return TypeMkdir }

// Type returns the packet type.
func (*Rmdir) Type() Type { return TypeRmdir }

// Type returns the packet type.
func (*Realpath) Type() Type { return TypeRealpath }

// Type returns the packet type.
func (*Stat) Type() Type { return TypeStat }

// Type returns the packet type.
func (*Rename) Type() Type { return TypeRename }

// Type returns the packet type.
func (*Readlink) Type() Type { return TypeReadlink }

// Type returns the packet type.
func (*Symlink) Type() Type { return TypeSymlink }

// Type returns the packet type.
func (*PosixRename) Type() Type { return TypeExtended }

// Type returns the packet type.
func (*Statvfs) Type() Type { return TypeExtended }

// Type returns the packet type.
func (*Fstatvfs) Type() Type { return TypeExtended }

// Type returns the packet type.
func (*Hardlink) Type() Type { return TypeExtended }

// Type returns the packet type.
func (*Fsync) Type() Type { return TypeExtended }

// Type returns the packet type.
func (*Lsetstat) Type() Type { return TypeExtended }

// Type returns the packet type.
func (*Limits) Type() Type { return TypeExtended }

// Type returns the packet type.
func (*ExpandPath) Type() Type { return TypeExtended }

// Type returns the packet type.
func (*CopyData) Type() Type { return TypeExtended }

// Type returns the packet type.
func (*HomeDirectory) Type() Type { return TypeExtended }

// Type returns the packet type.
func (*UsersGroupsByID) Type() Type { return TypeExtended }

// Type returns the packet type.
func (*UnknownExtension) Type() Type { return TypeExtended }

func (r *Open) append(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint32(appendString(dst, r.Path), uint32(r.Flags))
	return r.Attrs.append(dst)
}
func (r *Close) append(dst []byte) []byte { return appendString(dst, r.Handle) }
func (r *Read) append(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint64(appendString(dst, r.Handle), r.Offset)
	return binary.BigEndian.AppendUint32(dst, r.Length)
}
func (r *Write) append(dst []byte) []byte {
	return appendString(binary.BigEndian.AppendUint64(appendString(dst, r.Handle), r.Offset), r.Data)
}
func (r *Lstat) append(dst []byte) []byte   { return appendString(dst, r.Path) }
func (r *Fstat) append(dst []byte) []byte   { return appendString(dst, r.Handle) }
func (r *Setstat) append(dst []byte) []byte { return r.Attrs.append(appendString(dst, r.Path)) }
func (r *Fsetstat) append(dst []byte) []byte {
	return r.Attrs.append(appendString(dst, r.Handle))
}
func (r *Opendir) append(dst []byte) []byte  { return appendString(dst, r.Path) }
func (r *Readdir) append(dst []byte) []byte  { return appendString(dst, r.Handle) }
func (r *Remove) append(dst []byte) []byte   { return appendString(dst, r.Path) }
func (r *Mkdir) append(dst []byte) []byte    { return r.Attrs.append(appendString(dst, r.Path)) }
func (r *Rmdir) append(dst []byte) []byte    { return appendString(dst, r.Path) }
func (r *Realpath) append(dst []byte) []byte { return appendString(dst, r.Path) }
func (r *Stat) append(dst []byte) []byte     { return appendString(dst, r.Path) }
func (r *Rename) append(dst []byte) []byte   { return appendString(appendString(dst, r.Old), r.New) }
func (r *Readlink) append(dst []byte) []byte { return appendString(dst, r.Path) }
func (r *Symlink) append(dst []byte) []byte  { return appendString(appendString(dst, r.Text), r.Link) }
func (r *PosixRename) append(dst []byte) []byte {
	return appendString(appendString(appendString(dst, ExtPosixRename), r.Old), r.New)
}
func (r *Statvfs) append(dst []byte) []byte {
	return appendString(appendString(dst, ExtStatvfs), r.Path)
}
func (r *Fstatvfs) append(dst []byte) []byte {
	return appendString(appendString(dst, ExtFstatvfs), r.Handle)
}
func (r *Hardlink) append(dst []byte) []byte {
	return appendString(appendString(appendString(dst, ExtHardlink), r.Old), r.New)
}
func (r *Fsync) append(dst []byte) []byte { return appendString(appendString(dst, ExtFsync), r.Handle) }
func (r *Lsetstat) append(dst []byte) []byte {
	return r.Attrs.append(appendString(appendString(dst, ExtLsetstat), r.Path))
}
func (r *Limits) append(dst []byte) []byte { return appendString(dst, ExtLimits) }
func (r *ExpandPath) append(dst []byte) []byte {
	return appendString(appendString(dst, ExtExpandPath), r.Path)
}
func (r *CopyData) append(dst []byte) []byte {
	dst = appendString(appendString(dst, ExtCopyData), r.From)
	dst = binary.BigEndian.AppendUint64(dst, r.FromOffset)
	dst = appendString(binary.BigEndian.AppendUint64(dst, r.Length), r.To)
	return binary.BigEndian.AppendUint64(dst, r.ToOffset)
}
func (r *HomeDirectory) append(dst []byte) []byte {
	return appendString(appendString(dst, ExtHomeDirectory), r.User)
}
func (r *UsersGroupsByID) append(dst []byte) []byte {
	dst = appendString(dst, ExtUsersGroupsByID)
	for _, ids := range [][]uint32{r.Users, r.Groups} {
		dst = binary.BigEndian.AppendUint32(dst, uint32(4*len(ids))) //nolint:gosec // at most maxLookups
		for _, id := range ids {
			dst = binary.BigEndian.AppendUint32(dst, id)
		}
	}
	return dst
}
func (r *UnknownExtension) append(dst []byte) []byte { return appendString(dst, r.Name) }

// AppendRequest encodes a request into the empty dst.
func AppendRequest(dst []byte, id uint32, r Request) []byte {
	return end(r.append(begin(dst[:0], r.Type(), id)), 0)
}

// RequestID returns the id of a request that may otherwise be malformed.
func RequestID(packet []byte) (id uint32, ok bool) {
	if len(packet) < 5 {
		return 0, false
	}
	return binary.BigEndian.Uint32(packet[1:]), true
}

// decode reads a request whose type and id are already taken off. Handles and
// data alias the packet.
func (c *cursor) request(t Type) (Request, error) {
	var r Request
	switch t {
	case TypeOpen:
		r = &Open{c.path(), Flags(c.u32()), c.attrs()}
		if r.(*Open).Flags&^flagsKnown != 0 {
			return nil, malformed("unknown flags to open a file")
		}
	case TypeClose:
		r = &Close{c.str(maxHandle)}
	case TypeRead:
		r = &Read{c.str(maxHandle), c.u64(), c.u32()}
	case TypeWrite:
		r = &Write{c.str(maxHandle), c.u64(), c.str(MaxPacket)}
	case TypeLstat:
		r = &Lstat{c.path()}
	case TypeFstat:
		r = &Fstat{c.str(maxHandle)}
	case TypeSetstat:
		r = &Setstat{c.path(), c.attrs()}
	case TypeFsetstat:
		r = &Fsetstat{c.str(maxHandle), c.attrs()}
	case TypeOpendir:
		r = &Opendir{c.path()}
	case TypeReaddir:
		r = &Readdir{c.str(maxHandle)}
	case TypeRemove:
		r = &Remove{c.path()}
	case TypeMkdir:
		r = &Mkdir{c.path(), c.attrs()}
	case TypeRmdir:
		r = &Rmdir{c.path()}
	case TypeRealpath:
		r = &Realpath{c.path()}
	case TypeStat:
		r = &Stat{c.path()}
	case TypeRename:
		r = &Rename{c.path(), c.path()}
	case TypeReadlink:
		r = &Readlink{c.path()}
	case TypeSymlink:
		r = &Symlink{c.path(), c.path()}
	case TypeExtended:
		return c.extended()
	default:
		return nil, fmt.Errorf("%w: type %d", errUnsupported, t)
	}
	return r, c.end()
}

func (c *cursor) extended() (Request, error) {
	var r Request
	switch name := Extension(c.str(MaxName)); name {
	case ExtPosixRename:
		r = &PosixRename{c.path(), c.path()}
	case ExtStatvfs:
		r = &Statvfs{c.path()}
	case ExtFstatvfs:
		r = &Fstatvfs{c.str(maxHandle)}
	case ExtHardlink:
		r = &Hardlink{c.path(), c.path()}
	case ExtFsync:
		r = &Fsync{c.str(maxHandle)}
	case ExtLsetstat:
		r = &Lsetstat{c.path(), c.attrs()}
	case ExtLimits:
		r = &Limits{}
	case ExtExpandPath:
		r = &ExpandPath{c.path()}
	case ExtCopyData:
		r = &CopyData{c.str(maxHandle), c.u64(), c.u64(), c.str(maxHandle), c.u64()}
	case ExtHomeDirectory:
		r = &HomeDirectory{c.path()}
	case ExtUsersGroupsByID:
		r = &UsersGroupsByID{c.ids(), c.ids()}
	default:
		if c.bad {
			return nil, c.end()
		}
		return &UnknownExtension{string(name)}, nil
	}
	return r, c.end()
}

// ids reads a string that is a row of 32-bit ids.
func (c *cursor) ids() []uint32 {
	b := c.str(4 * maxLookups)
	if len(b)%4 != 0 {
		c.bad, c.b = true, nil
		return nil
	}
	ids := make([]uint32, 0, len(b)/4)
	for ; len(b) > 0; b = b[4:] {
		ids = append(ids, binary.BigEndian.Uint32(b))
	}
	return ids
}

// DecodeRequest decodes a packet of a client after INIT. The id is returned with
// an error also, if the packet has one.
func DecodeRequest(packet []byte) (id uint32, r Request, err error) {
	c := cursor{b: packet}
	t := Type(c.u8())
	id = c.u32()
	if c.bad {
		return 0, nil, malformed("no id")
	}
	r, err = c.request(t)
	if err != nil {
		return id, nil, err
	}
	return id, r, nil
}
