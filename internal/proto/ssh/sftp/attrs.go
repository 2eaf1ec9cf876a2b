package sftp

import (
	"encoding/binary"
	"io/fs"
)

// The attribute flags of version 3 (draft-ietf-secsh-filexfer-02, section 5).
// SSH_FILEXFER_ATTR_EXTENDED is not among them: nobody sends it, and what it
// carries could not be judged.
const (
	attrSize        = 0x01
	attrOwner       = 0x02
	attrPermissions = 0x04
	attrTimes       = 0x08
)

// The file type bits of a mode, as in stat(2).
const (
	modeType      = 0o170000
	modeFIFO      = 0o010000
	modeDirectory = 0o040000
	modeRegular   = 0o100000
	modeSymlink   = 0o120000
)

// Attrs are attributes of a file; each group is there or not. The zero Attrs
// holds none.
type Attrs struct {
	HasSize  bool
	Size     uint64
	HasOwner bool
	UID, GID uint32
	HasMode  bool
	// Mode are the file type and permission bits of stat(2).
	Mode     uint32
	HasTimes bool
	// AccessTime and ModifyTime are seconds since 1970.
	AccessTime, ModifyTime uint32
}

// Kind returns what the mode says that the file is.
func (a *Attrs) Kind() Kind {
	if !a.HasMode {
		return KindOther
	}
	switch a.Mode & modeType {
	case modeRegular:
		return KindRegular
	case modeDirectory:
		return KindDirectory
	case modeSymlink:
		return KindSymlink
	default:
		return KindOther
	}
}

// Permissions returns the permission bits for a reader.
func (a *Attrs) Permissions() fs.FileMode { return fs.FileMode(a.Mode & 0o777) }

func (c *cursor) attrs() (a Attrs) {
	flags := c.u32()
	if flags&^(attrSize|attrOwner|attrPermissions|attrTimes) != 0 {
		c.bad, c.b = true, nil
		return Attrs{}
	}
	if flags&attrSize != 0 {
		a.HasSize, a.Size = true, c.u64()
	}
	if flags&attrOwner != 0 {
		a.HasOwner, a.UID, a.GID = true, c.u32(), c.u32()
	}
	if flags&attrPermissions != 0 {
		a.HasMode, a.Mode = true, c.u32()
	}
	if flags&attrTimes != 0 {
		a.HasTimes, a.AccessTime, a.ModifyTime = true, c.u32(), c.u32()
	}
	return a
}

func (a *Attrs) append(dst []byte) []byte {
	at := len(dst)
	dst = append(dst, 0, 0, 0, 0)
	flags := uint32(0)
	if a.HasSize {
		flags |= attrSize
		dst = binary.BigEndian.AppendUint64(dst, a.Size)
	}
	if a.HasOwner {
		flags |= attrOwner
		dst = binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(dst, a.UID), a.GID)
	}
	if a.HasMode {
		flags |= attrPermissions
		dst = binary.BigEndian.AppendUint32(dst, a.Mode)
	}
	if a.HasTimes {
		flags |= attrTimes
		dst = binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(dst, a.AccessTime), a.ModifyTime)
	}
	binary.BigEndian.PutUint32(dst[at:], flags)
	return dst
}
