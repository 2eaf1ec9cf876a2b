package sftp

import (
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"github.com/sallyport-gateway/sallyport/internal/gate"
)

// Operation is the word for what a command does.
type Operation string

// The operations, as policies name them.
const (
	OpOpen     Operation = "open"
	OpList     Operation = "list"
	OpStat     Operation = "stat"
	OpLstat    Operation = "lstat"
	OpSetstat  Operation = "setstat"
	OpRemove   Operation = "remove"
	OpMkdir    Operation = "mkdir"
	OpRmdir    Operation = "rmdir"
	OpRealpath Operation = "realpath"
	OpReadlink Operation = "readlink"
	OpSymlink  Operation = "symlink"
	OpRename   Operation = "rename"
	OpReplace  Operation = "replace"
	OpHardlink Operation = "hardlink"
	OpStatvfs  Operation = "statvfs"
	OpCopy     Operation = "copy"
	OpExpand   Operation = "expand"
	OpHome     Operation = "home"
)

// Kind is what a path names.
type Kind uint8

// The kinds. The zero Kind is of a path that was not resolved, which no
// operation accepts.
const (
	KindUnknown Kind = iota
	KindAbsent
	KindRegular
	KindDirectory
	KindSymlink
	KindOther
)

// String returns the word for a reader.
func (k Kind) String() string {
	switch k {
	case KindAbsent:
		return "absent"
	case KindRegular:
		return "file"
	case KindDirectory:
		return "directory"
	case KindSymlink:
		return "symlink"
	case KindOther:
		return "other"
	default:
		return "unknown"
	}
}

// Place is what a path named at the server when it was resolved.
type Place struct {
	// Real is the absolute path without symbolic links, "." and ".."; the last
	// component is a symbolic link only where Path.Follow is false. Of a path
	// whose end does not exist, the part that does is resolved and the rest
	// appended.
	Real string
	Kind Kind
	// Device and Inode identify the file; a zero Inode is not known and is then
	// not compared.
	Device, Inode uint64
	// Size, Mode and Links are those of stat(2), zero where not known.
	Size  uint64
	Mode  uint32
	Links uint64
	// Labels are those of the place, for whoever judges.
	Labels []string
}

// Role says what a command does with a path.
type Role uint8

// The roles.
const (
	// RoleSubject is the only path of a command.
	RoleSubject Role = iota + 1
	// RoleSource is what is renamed, linked or copied from.
	RoleSource
	// RoleDestination is where a name is made or content goes.
	RoleDestination
	// RoleText is what a new symbolic link will name.
	RoleText
)

// String returns the word for a reader.
func (r Role) String() string {
	switch r {
	case RoleSubject:
		return "path"
	case RoleSource:
		return "from"
	case RoleDestination:
		return "to"
	case RoleText:
		return "target"
	default:
		return "unknown"
	}
}

// Path is one path of a command.
type Path struct {
	// Given is the client's own spelling.
	Given string
	Role  Role
	// Effects is what the command does to this path.
	Effects gate.Effects
	// Follow says that a symbolic link at the end is followed.
	Follow bool
	// Absolute is Given below the directory in which the server started: what is
	// to be resolved. The Relay sets it.
	Absolute string
	// Place is what Given named when it was resolved. The Relay sets it before
	// the command is judged.
	Place Place
}

// Command is a request that is to be judged.
type Command struct {
	Operation Operation
	Paths     []Path
	// Flags are those of OpOpen.
	Flags Flags
	// Attrs are those that the command sets.
	Attrs Attrs
	// Length and Offset are those of OpCopy: how many bytes, and from where.
	FromOffset, Length, ToOffset uint64

	request  Request
	id       uint32 // the client's
	file     *File  // of a handle that the request names
	to       *File  // the second handle of OpCopy
	resolved bool   // the paths are places already: those of handles
	service  bool   // concerns no file: not judged
}

// Effects returns what the command does, over all its paths.
func (c *Command) Effects() (e gate.Effects) {
	for i := range c.Paths {
		e |= c.Paths[i].Effects
	}
	return e
}

// settable takes the type out of a mode: it cannot be set.
func settable(a Attrs) Attrs {
	a.Mode &= 0o7777
	return a
}

// openEffects: a file opened for writing and reading is both; making or emptying
// a file writes.
func openEffects(f Flags) (e gate.Effects) {
	if f&FlagRead != 0 {
		e |= gate.EffectRead
	}
	if f&(FlagWrite|FlagAppend|FlagCreate|FlagTrunc) != 0 {
		e |= gate.EffectWrite
	}
	return e
}

// openable reports whether the flags are a combination whose meaning is the same
// at every server. Without read and write a server opens for reading; with read
// alone, create and truncate change the file.
func openable(f Flags) bool {
	switch {
	case f&(FlagRead|FlagWrite) == 0:
		return false
	case f&(FlagAppend|FlagCreate|FlagTrunc|FlagExcl) != 0 && f&FlagWrite == 0:
		return false
	case f&FlagExcl != 0 && f&FlagCreate == 0:
		return false
	}
	return true
}

// command describes the requests that are judged; nil for one that only uses a
// handle.
func command(r Request) *Command {
	const (
		read, write, del = gate.EffectRead, gate.EffectWrite, gate.EffectDelete
	)
	one := func(op Operation, path string, e gate.Effects, follow bool) *Command {
		return &Command{Operation: op, request: r,
			Paths: []Path{{Given: path, Role: RoleSubject, Effects: e, Follow: follow}}}
	}
	two := func(op Operation, from, to Path) *Command {
		from.Role, to.Role = RoleSource, RoleDestination
		return &Command{Operation: op, request: r, Paths: []Path{from, to}}
	}
	var c *Command
	switch r := r.(type) {
	case *Open:
		c = one(OpOpen, r.Path, openEffects(r.Flags), r.Flags&FlagExcl == 0)
		c.Flags = r.Flags
		if r.Flags&FlagCreate != 0 {
			c.Attrs = Attrs{HasMode: r.Attrs.HasMode, Mode: r.Attrs.Mode & 0o7777}
		}
	case *Opendir:
		c = one(OpList, r.Path, read, true)
	case *Stat:
		c = one(OpStat, r.Path, read, true)
	case *Lstat:
		c = one(OpLstat, r.Path, read, false)
	case *Setstat:
		c = one(OpSetstat, r.Path, write, true)
		c.Attrs = settable(r.Attrs)
	case *Lsetstat:
		c = one(OpSetstat, r.Path, write, false)
		c.Attrs = settable(r.Attrs)
	case *Remove:
		c = one(OpRemove, r.Path, del, false)
	case *Mkdir:
		c = one(OpMkdir, r.Path, write, false)
		c.Attrs = Attrs{HasMode: r.Attrs.HasMode, Mode: r.Attrs.Mode & 0o7777}
	case *Rmdir:
		c = one(OpRmdir, r.Path, del, false)
	case *Realpath:
		c = one(OpRealpath, r.Path, read, true)
	case *Readlink:
		c = one(OpReadlink, r.Path, read, false)
	case *Statvfs:
		c = one(OpStatvfs, r.Path, read, true)
	case *ExpandPath:
		c = one(OpExpand, r.Path, read, true)
	case *HomeDirectory:
		c = one(OpHome, r.User, read, true)
	case *Symlink:
		c = &Command{Operation: OpSymlink, request: r, Paths: []Path{
			{Given: r.Link, Role: RoleDestination, Effects: write},
			{Given: r.Text, Role: RoleText, Effects: write, Follow: true}}}
	case *Rename:
		c = two(OpRename, Path{Given: r.Old, Effects: write}, Path{Given: r.New, Effects: write})
	case *PosixRename:
		c = two(OpReplace, Path{Given: r.Old, Effects: write}, Path{Given: r.New, Effects: write | del})
	case *Hardlink:
		c = two(OpHardlink, Path{Given: r.Old, Effects: write}, Path{Given: r.New, Effects: write})
	}
	return c
}

// Escape shows a path or name that a peer chose: printable ASCII, everything
// else escaped so that different bytes stay different.
func Escape(s string) string {
	plain := s != ""
	for i := range len(s) {
		if b := s[i]; b <= 0x20 || b >= 0x7f || b == '"' || b == '\\' || b == '\'' {
			plain = false
			break
		}
	}
	if plain {
		return s
	}
	return strconv.QuoteToASCII(s)
}

// Text says what the command does, for a reader: the operation and the resolved
// paths, with the client's own spelling where it differs.
func (c *Command) Text() string {
	var b strings.Builder
	b.WriteString("sftp ")
	b.WriteString(string(c.Operation))
	if c.Operation == OpOpen {
		b.WriteByte(' ')
		b.WriteString(c.Flags.String())
	}
	for i := range c.Paths {
		p := &c.Paths[i]
		shown := p.Place.Real
		if shown == "" {
			shown = p.Given
		}
		if p.Role != RoleSubject {
			b.WriteByte(' ')
			b.WriteString(p.Role.String())
		}
		b.WriteByte(' ')
		b.WriteString(Escape(shown))
		if p.Given != shown && !c.resolved {
			fmt.Fprintf(&b, " (given as %s)", Escape(p.Given))
		}
	}
	if c.Operation == OpCopy {
		fmt.Fprintf(&b, " length=%d from-offset=%d to-offset=%d", c.Length, c.FromOffset, c.ToOffset)
	}
	for _, a := range c.attributes() {
		b.WriteByte(' ')
		b.WriteString(a.Name + "=" + a.Value)
	}
	return b.String()
}

// String names the flags for a reader.
func (f Flags) String() string {
	var words []string
	for i, n := range [...]string{"read", "write", "append", "create", "truncate", "exclusive"} {
		if f&(1<<i) != 0 {
			words = append(words, n)
		}
	}
	return strings.Join(words, "+")
}

// Attribute is one attribute that a command sets, as text: numbers may be too
// large for JSON.
type Attribute struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

func (c *Command) attributes() (all []Attribute) {
	a := &c.Attrs
	add := func(name, value string) { all = append(all, Attribute{name, value}) }
	if a.HasSize {
		add("size", strconv.FormatUint(a.Size, 10))
	}
	if a.HasOwner {
		add("uid", strconv.FormatUint(uint64(a.UID), 10))
		add("gid", strconv.FormatUint(uint64(a.GID), 10))
	}
	if a.HasMode {
		add("mode", "0"+strconv.FormatUint(uint64(a.Mode&0o7777), 8))
	}
	if a.HasTimes {
		add("atime", strconv.FormatUint(uint64(a.AccessTime), 10))
		add("mtime", strconv.FormatUint(uint64(a.ModifyTime), 10))
	}
	return all
}

// ActionPath is a path of an Action.
type ActionPath struct {
	Role   string `json:"role"`
	Given  string `json:"given"`
	Real   string `json:"real"`
	Kind   string `json:"kind"`
	Device string `json:"device"`
	Inode  string `json:"inode"`
}

// Action is exactly what a command does, for the digest that an approval is bound
// to: every value is text, so that it survives JSON unchanged.
type Action struct {
	Protocol   string       `json:"protocol"`
	Operation  string       `json:"operation"`
	Paths      []ActionPath `json:"paths"`
	Flags      string       `json:"flags"`
	Attributes []Attribute  `json:"attributes"`
	FromOffset string       `json:"from_offset"`
	Length     string       `json:"length"`
	ToOffset   string       `json:"to_offset"`
}

// Action returns what the command does, for the digest of an approval.
func (c *Command) Action() Action {
	u := func(n uint64) string { return strconv.FormatUint(n, 10) }
	a := Action{Protocol: "sftp", Operation: string(c.Operation), Flags: c.Flags.String(), Attributes: c.attributes(),
		FromOffset: u(c.FromOffset), Length: u(c.Length), ToOffset: u(c.ToOffset)}
	for i := range c.Paths {
		p := &c.Paths[i]
		a.Paths = append(a.Paths, ActionPath{Role: p.Role.String(), Given: strconv.QuoteToASCII(p.Given),
			Real: strconv.QuoteToASCII(p.Place.Real), Kind: p.Place.Kind.String(),
			Device: u(p.Place.Device), Inode: u(p.Place.Inode)})
	}
	return a
}

// FileMode returns the mode of a place for a reader.
func (p *Place) FileMode() fs.FileMode { return fs.FileMode(p.Mode & 0o777) }

// onHandle describes a command on an open file: its path is where the file was
// verified to be.
func onHandle(r Request, op Operation, f *File) *Command {
	return &Command{Operation: op, request: r, file: f, resolved: true, Paths: []Path{
		{Given: f.Place.Real, Role: RoleSubject, Effects: gate.EffectWrite, Place: f.Place}}}
}

// onCopy describes a copy between open files.
func onCopy(r *CopyData, from, to *File) *Command {
	return &Command{Operation: OpCopy, request: r, file: from, to: to, resolved: true,
		FromOffset: r.FromOffset, Length: r.Length, ToOffset: r.ToOffset,
		Paths: []Path{
			{Given: from.Place.Real, Role: RoleSource, Effects: gate.EffectRead, Place: from.Place},
			{Given: to.Place.Real, Role: RoleDestination, Effects: gate.EffectWrite, Place: to.Place}}}
}
